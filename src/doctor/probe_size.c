/* SPDX-License-Identifier: MIT */
/* The size of the latents that the network was trained on. Every size of pictures goes through it,
 * so no tensor shows the size; but what it knows of a picture as a whole it knows at one size
 * alone: the same pictures, made larger or smaller, are denoised with more error. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "doctor/probe_search.h"
#include "engine/engine.h"

enum { MAX_SIZES = 10, FEWEST = 4, SMALL = 16, LARGEST = 64 };
#define SIZE_SECONDS 120.0 /* the most that one size may take */
#define SIZE_PATH "model.params.image_size"
#define STAGE_PATH "model.params.first_stage_config.params.ddconfig."

typedef struct sized {
    int side;
    ldm_scores scores;
    double mean;
} sized;

typedef struct sizes {
    ldm_search *s;
    ldm_model *m; /* with the best of everything else */
    sized list[MAX_SIZES];
    int count, n, multiple, factor; /* n: pictures; factor: the first stage's */
    double each;                    /* seconds of a picture and a latent pixel */
    bool left_out;                  /* a size would take too long */
} sizes;

/* As many pictures for every size: of fewer, the errors could not be compared one by one. */
static ldm_status measure(sizes *z, int side)
{
    ldm_search *s = z->s;
    sized *at = &z->list[z->count];
    const double begin = ldm_seconds();
    ldm_trial t;
    ldm_status st;

    for (int i = 0; i < z->count; i++) {
        if (z->list[i].side == side)
            return LDM_OK;
    }
    if (side < 1 || side % z->multiple || z->count == MAX_SIZES)
        return LDM_OK;
    if (z->each * side * side * z->n > SIZE_SECONDS) {
        z->left_out = true;
        return LDM_OK;
    }
    st = ldm_doctor_step(s->d, "trying sizes", 0.6, s->err);
    if (!st)
        st = ldm_trial_create(s->d, z->m, s->trial.form, side, &t, s->err);
    if (st)
        return st;
    at->side = side;
    st = ldm_probe_measure(z->m, &t, z->n, s->scales[s->best.scale].value, s->alphas, s->timesteps,
                           &at->scores, s->err);
    ldm_trial_free(&t);
    at->mean = ldm_scores_mean(&at->scores, s->best.reading);
    z->each = fmax(z->each, (ldm_seconds() - begin) / ((double)side * side * z->n));
    z->count += !st;
    return st;
}

static const sized *best_of(const sizes *z)
{
    const sized *best = &z->list[0];

    for (int i = 1; i < z->count; i++)
        best = z->list[i].mean < best->mean ? &z->list[i] : best;
    return best;
}

static ldm_status measure_all(sizes *z, int given)
{
    static const int usual[] = {SMALL, 8, 32, 64};
    ldm_status st = measure(z, given < SMALL ? given : SMALL);
    int best;

    for (size_t i = 0; i < sizeof usual / sizeof *usual && !st; i++)
        st = measure(z, usual[i]);
    for (int side = given / 2; side <= 2 * given && side > 0 && !st; side *= 2)
        st = side <= LARGEST || side == given ? measure(z, side) : LDM_OK;
    if (st)
        return st;
    best = best_of(z)->side;
    st = measure(z, best * 3 / 4);
    return st ? st : measure(z, best * 3 / 2);
}

/* The nearest to the best of the others; NULL: there is none. */
static const sized *rival_of(const sizes *z, const sized *best, ldm_margin *margin)
{
    const sized *near = NULL;

    for (int i = 0; i < z->count; i++) {
        const ldm_margin one = ldm_scores_margin(&z->list[i].scores, z->s->best.reading,
                                                 &best->scores, z->s->best.reading);

        if (&z->list[i] == best || (near && one.difference >= margin->difference))
            continue;
        near = &z->list[i];
        *margin = one;
    }
    return near;
}

/* Whether nothing larger than the best was tried, so that the curve's bottom may lie there. */
static bool at_the_end(const sizes *z, const sized *best)
{
    for (int i = 0; i < z->count; i++) {
        if (z->list[i].side > best->side)
            return false;
    }
    return true;
}

static ldm_status undecided(sizes *z, const sized *best, const sized *near,
                            const ldm_margin *margin)
{
    ldm_search *s = z->s;

    return ldm_search_add(
        s, SIZE_PATH, NULL, NULL, 0, LDM_FINDING_UNDECIDED, NULL, NULL,
        near ? ldm_doctor_text(s->d,
                               "assumed: no tensor shows it, and pictures do not tell: with "
                               "latents of %d x %d the error of denoised pictures is the least, "
                               "and %.0f %% larger with the nearest, %d x %d (%.1f standard "
                               "errors)%s",
                               best->side, best->side, 100 * (exp(margin->difference) - 1),
                               near->side, near->side, margin->sigmas,
                               z->left_out ? "; larger ones would take too long to try" : "")
             : ldm_doctor_text(s->d, "assumed: no tensor shows it, and trying others would take "
                                     "too long"));
}

/* The size stands in two places of a YAML, and in a third the first stage's: that one only where it
 * does not say as well which levels attend. */
static bool put_cures(ldm_search *s, int side, int factor, ldm_finding *f)
{
    const ldm_value *root = ldm_config_root(s->d->config);
    const ldm_value *resolution = ldm_value_find(root, STAGE_PATH "resolution");
    const ldm_value *attends = ldm_value_find(root, STAGE_PATH "attn_resolutions");

    f->before[0] = ldm_doctor_text(s->d, LDM_UNET "image_size=%d", side);
    f->cure = ldm_doctor_text(s->d, SIZE_PATH "=%d", side);
    if (!resolution || ldm_value_count(attends))
        return f->before[0] && f->cure;
    f->before[1] = ldm_doctor_text(s->d, STAGE_PATH "resolution=%d", side * factor);
    return f->before[0] && f->before[1] && f->cure;
}

static ldm_status decided(sizes *z, int given, const sized *best, const sized *near,
                          const ldm_margin *margin)
{
    ldm_search *s = z->s;
    const bool same = best->side == given;
    char found[LDM_PROBE_TEXT], was[LDM_PROBE_TEXT];
    ldm_finding f = {.path = SIZE_PATH,
                     .given = was,
                     .found = found,
                     .sure = ldm_search_sure(margin),
                     .state = same ? LDM_FINDING_RIGHT : LDM_FINDING_WRONG};

    snprintf(was, sizeof was, "%d", given);
    snprintf(found, sizeof found, "%d", best->side);
    f.how = ldm_doctor_text(s->d,
                            "the error of denoised pictures is %.0f %% larger with latents of "
                            "%d x %d, the nearest (%.1f standard errors)",
                            100 * (exp(margin->difference) - 1), near->side, near->side,
                            margin->sigmas);
    if (!f.how || (!same && !put_cures(s, best->side, z->factor, &f)))
        return ldm_error_nomem(s->err, 0, "a finding");
    return ldm_doctor_add(s->d, &f, s->err);
}

int ldm_size_start(const ldm_doctor *d, const ldm_model *m)
{
    const int multiple = 1 << (m->network->unet.channel_mult.count - 1);
    const int side = ldm_probe_side(d, m);

    if (!ldm_doctor_size_is_open(d) || m->latent_h != m->latent_w || side <= SMALL)
        return side;
    return multiple > SMALL ? multiple : SMALL / multiple * multiple;
}

static double pixel_seconds(const ldm_search *s)
{
    return s->each / ((double)s->trial.h * s->trial.w);
}

double ldm_size_seconds(const ldm_search *s)
{
    double sum = 0;

    for (int side = 8; side <= 64; side *= 2) {
        const double one = pixel_seconds(s) * side * side * 2 * FEWEST;

        sum += one > SIZE_SECONDS ? 0 : one;
    }
    return sum;
}

ldm_status ldm_size_judge(ldm_search *s, const ldm_model *m, int *side)
{
    sizes z = {.s = s,
               .multiple = 1 << (m->network->unet.channel_mult.count - 1),
               .factor = m->network->first_stage.factor};
    const sized *best, *near;
    ldm_margin margin = {0, 0};
    ldm_status st;

    /* A size that somebody has given is believed: pictures of another kind could speak against it.
     */
    if (!ldm_doctor_size_is_open(s->d))
        return LDM_OK;
    *side = ldm_probe_side(s->d, m);
    if (m->latent_h != m->latent_w)
        return LDM_OK;
    z.n = s->fine < 2 * FEWEST ? s->fine : 2 * FEWEST;
    z.each = pixel_seconds(s);
    st = ldm_search_open(s, s->best.weights, s->best.heads, &z.m);
    if (!st)
        st = measure_all(&z, m->latent_h);
    ldm_model_close(z.m);
    if (st || !z.count)
        return st ? st : undecided(&z, NULL, NULL, &margin);
    best = best_of(&z);
    near = rival_of(&z, best, &margin);
    if (!near || !ldm_search_against(&margin) || z.n < FEWEST ||
        (z.left_out && at_the_end(&z, best)))
        return undecided(&z, best, near, &margin);
    *side = best->side;
    return decided(&z, m->latent_h, best, near, &margin);
}
