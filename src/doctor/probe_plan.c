/* SPDX-License-Identifier: MIT */
/* How long an examination takes, before it begins: one picture through each network is timed, and
 * what the probes will run is counted. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "doctor/probe_search.h"
#include "engine/engine.h"

/* Seconds that a part of the examination may take; what takes longer is tried on fewer pictures. */
enum { STAGE_BUDGET = 150, SEARCH_BUDGET = 250, JUDGE_BUDGET = 250 };
enum { COARSE = 4, LEAST_STAGE = 3, LEAST_FINE = 2, SCHEDULES = 7, SHUFFLED = 4 };
/* How often all pictures are run to look for a scale: where pictures of the user's give an
 * estimate, it is often the best, and the bottom of the error's curve is looked for. */
enum { BESIDE = 3, DESCENT = 8 };

/* Seconds of one picture. */
typedef struct prices {
    double encode, decode;
    double unet; /* at all levels */
    double open; /* of a model with its first evaluation, beyond that */
} prices;

static ldm_status time_stage(const ldm_search *s, const ldm_model *m, prices *p)
{
    const size_t each = s->trial.each, pixels = ldm_probe_pixels(m, s->trial.h);
    float *latent = ldm_reallocarray(NULL, each, sizeof *latent);
    float *planes = ldm_reallocarray(NULL, pixels, sizeof *planes);
    double begin = ldm_seconds();
    ldm_status st = latent && planes ? LDM_OK : ldm_error_nomem(s->err, 0, "a picture");

    if (!st)
        st =
            ldm_probe_decode(m, s->trial.latents, s->trial.h, s->trial.form, false, planes, s->err);
    p->decode = ldm_seconds() - begin;
    begin = ldm_seconds();
    if (!st)
        st = ldm_probe_encode(m, planes, s->trial.h, s->trial.form, latent, s->err);
    p->encode = ldm_seconds() - begin;
    ldm_free(latent);
    ldm_free(planes);
    return st;
}

static ldm_status time_unet(const ldm_search *s, prices *p)
{
    const double begin = ldm_seconds();
    double between;
    ldm_scores scores;
    ldm_model *m;
    ldm_status st = ldm_search_open(s, 0, 0, &m);

    if (st)
        return st;
    st = ldm_search_measure(s, m, 1, 0, &scores);
    between = ldm_seconds();
    if (!st)
        st = ldm_search_measure(s, m, 1, 0, &scores);
    p->unet = ldm_seconds() - between;
    p->open = between - begin - p->unet;
    p->open = p->open > 0 ? p->open : 0;
    ldm_model_close(m);
    return st;
}

/* Passes of a picture through the first stage by ldm_probe_stage: ranges, codebook, exchanged. */
static int stage_passes(const ldm_model *m)
{
    return (m->network->first_stage.codebook ? 4 : 2) + (m->network->first_stage.in_channels == 3);
}

/* What is judged once a network has been seen to have learned: models that are opened, and how
 * often all pictures are run. */
static void count_judged(const ldm_search *s, const ldm_model *m, int *opened, int *runs)
{
    const int heads = s->head_count - 1 < LDM_NEAR_HEADS ? s->head_count - 1 : LDM_NEAR_HEADS;
    const bool lost = !m->audit->effective.alphas_cumprod;
    const bool conditions = s->trial.context.data || s->trial.labels.data;

    *opened = heads + (s->scale_count > 1) + s->weight_count - 1 + lost +
              (m->network->first_stage.in_channels == 3) + conditions;
    *runs = heads + s->scale_count - 1 + s->weight_count - 1 + (lost ? SCHEDULES : 0) +
            (m->network->first_stage.in_channels == 3) + (conditions ? SHUFFLED : 0);
}

ldm_status ldm_search_plan(ldm_search *s, const ldm_model *m, int *stage_pictures)
{
    const int n = s->trial.n, opened = s->weight_count * s->head_count;
    const int runs = opened * s->scale_count, passes = stage_passes(m);
    const int looks = s->scales[s->scale_count - 1].estimate ? BESIDE + DESCENT : BESIDE;
    prices p = {0, 0, 0, 0};
    int models, judged;
    double first, more;
    ldm_status st = ldm_doctor_step(s->d, "timing the first stage on one picture", 0.037, s->err);

    if (!st)
        st = time_stage(s, m, &p);
    if (!st)
        st = ldm_doctor_step(s->d, "timing the UNet on one picture", 0.038, s->err);
    if (!st)
        st = time_unet(s, &p);
    count_judged(s, m, &models, &judged);
    s->coarse = n < COARSE ? n : COARSE;
    while (s->coarse > 1 && p.unet * runs * s->coarse > SEARCH_BUDGET)
        s->coarse--;
    s->fine = n;
    while (s->fine > LEAST_FINE && p.unet * (judged + 3) * s->fine > JUDGE_BUDGET)
        s->fine--;
    while (*stage_pictures > LEAST_STAGE &&
           (p.encode + p.decode) * passes * *stage_pictures > STAGE_BUDGET)
        --*stage_pictures;
    if (*stage_pictures > n)
        *stage_pictures = n;
    first = ldm_seconds() - s->d->begin + (p.encode + p.decode) * passes * *stage_pictures +
            p.open * (opened + 2) + p.unet * (runs * s->coarse + looks * s->fine);
    s->each = p.unet;
    if (ldm_doctor_size_is_open(s->d)) /* sizes, and all once more at the one that is found */
        first += ldm_size_seconds(s) + p.open * opened + p.unet * runs * s->coarse;
    more = p.open * models + p.unet * judged * s->fine + p.encode * n;
    snprintf(s->announcement, sizeof s->announcement,
             "about %.0f s, and %.0f s more where the network has learned something: trying heads, "
             "scales and weights",
             first, more);
    return st ? st : ldm_doctor_step(s->d, s->announcement, 0.04, s->err);
}
