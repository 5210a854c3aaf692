/* SPDX-License-Identifier: MIT */
/* The settings that no shape shows, by trying: heads, scale_factor and the choice of weights are
 * searched together (two of them may be wrong at once), then each is judged by itself with all
 * pictures while the others stay at the best that was found. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "doctor/probe_search.h"
#include "engine/engine.h"

static void offer(ldm_search *s, const ldm_scores *scores, int weights, int h, int at_scale)
{
    for (int r = 0; r < LDM_READINGS; r++) {
        const double mean = ldm_scores_mean(scores, (ldm_reading)r);

        if (mean < s->head_mean[h])
            s->head_mean[h] = mean;
        if (mean < s->best.mean)
            s->best = (ldm_point){weights, h, at_scale, (ldm_reading)r, mean};
    }
}

/* Every choice of heads and weights with every scale, on a few pictures. */
static ldm_status search_all(ldm_search *s)
{
    const int opened = s->weight_count * s->head_count;
    ldm_status st = LDM_OK;

    s->best.mean = 1e300;
    for (int i = 0; i < s->head_count; i++)
        s->head_mean[i] = 1e300;
    for (int i = 0; i < opened && !st; i++) {
        ldm_scores scores;
        ldm_model *m;

        st = ldm_doctor_step(s->d, s->announcement, 0.1 + 0.5 * i / opened, s->err);
        if (!st)
            st = ldm_search_open(s, i / s->head_count, i % s->head_count, &m);
        for (int k = 0; k < s->scale_count && !st; k++) {
            st = ldm_search_measure(s, m, s->coarse, k, &scores);
            if (!st)
                offer(s, &scores, i / s->head_count, i % s->head_count, k);
        }
        if (!st)
            ldm_model_close(m);
    }
    return st;
}

/* A learned network does better than the best that one could do knowing the pictures' deviation
 * alone: r^2 / (1 + r^2) of the power, r the ratio of noise to signal (Wiener). */
static bool has_learned(const ldm_search *s)
{
    const int n = s->best_scores.count / LDM_TRIAL_LEVELS;
    bool learned = false;

    for (int level = 0; level < LDM_TRIAL_LEVELS; level++) {
        const double r = ldm_trial_ratios[level] * ldm_trial_ratios[level];
        double mean = 0;

        for (int i = 0; i < n; i++)
            mean += s->best_scores.log_error[s->best.reading][level * n + i] / n;
        learned |= mean < log(0.7 * r / (1 + r));
    }
    return learned;
}

static ldm_status measure_best(ldm_search *s)
{
    ldm_model *m;
    ldm_status st = ldm_search_open(s, s->best.weights, s->best.heads, &m);

    if (st)
        return st;
    st = ldm_search_measure(s, m, s->fine, s->best.scale, &s->best_scores);
    ldm_model_close(m);
    return st;
}

static ldm_status untrained(ldm_search *s, double fresh)
{
    const char *also = fresh > 0.5 ? "; its weights are as a constructor leaves them"
                       : !s->stage.gives_back
                           ? ". The first stage does not give pictures back either"
                           : ". Or its first stage is another model's: then the latents that it is "
                             "tried on are none that it knows";

    s->d->untrained = true;
    return ldm_search_add(
        s, "network", NULL, NULL, 0.95, LDM_FINDING_NOTE, NULL, NULL,
        ldm_doctor_text(s->d,
                        "the network has learned nothing: with no heads, scale, weights or "
                        "reading of its output does it do better than a filter that knows "
                        "only how much noise there is%s",
                        also));
}

/* The UNet knows the encoder's latents, so the encoder is its own; then what the decoder makes of
 * them should be the picture. */
static ldm_status judge_stage(ldm_search *s)
{
    if (s->stage.gives_back)
        return LDM_OK;
    return ldm_search_add(
        s, "weights.first_stage", NULL, "damaged", 0.95, LDM_FINDING_WRONG, NULL, NULL,
        ldm_doctor_text(s->d,
                        "pictures that go through encoder and decoder lose %.0f %% of their power, "
                        "while the UNet knows the encoder's latents: the decoder is another "
                        "model's, or damaged. --first-stage lays another file's over it",
                        100 * (s->stage.lost < 1 ? s->stage.lost : 1)));
}

static ldm_status search(ldm_search *s)
{
    ldm_status st = search_all(s);

    if (!st)
        st = measure_best(s);
    return st;
}

static ldm_reading reading_of(const char *name)
{
    for (int r = 0; r < LDM_READINGS; r++) {
        if (!strcmp(ldm_reading_names[r], name))
            return (ldm_reading)r;
    }
    return LDM_READ_EPS;
}

static void list_candidates(ldm_search *s, const ldm_model *m)
{
    s->alphas = m->alphas_cumprod;
    s->timesteps = m->network->diffusion.timesteps;
    s->given_reading = reading_of(m->network->diffusion.parameterization);
    s->scale_is_buffer = m->scale_is_buffer;
    s->scale_count = s->head_count = s->width_count = 0;
    ldm_heads_list(s, &m->network->unet);
    ldm_scales_list(s, m);
    ldm_weights_list(s, m);
}

/* Where nothing says the size: at one that the network does not know its errors say less, so once
 * more, at the right one. */
static ldm_status settle_size(ldm_search *s, const ldm_model *m)
{
    int side = s->trial.h;
    ldm_trial other;
    ldm_status st = ldm_size_judge(s, m, &side);

    if (st || side == s->trial.h)
        return st;
    st = ldm_trial_create(s->d, m, s->trial.form, side, &other, s->err);
    if (st)
        return st;
    ldm_trial_free(&s->trial);
    s->trial = other;
    list_candidates(s, m); /* a scale is of the latents' deviation */
    return search(s);
}

static ldm_status judge_schedule(ldm_search *s, const ldm_model *m)
{
    const ldm_status st = ldm_doctor_step(s->d, "judging the schedule", 0.9, s->err);

    return st ? st : ldm_schedule_judge(s, m);
}

static ldm_status judge_all(ldm_search *s, const ldm_model *m, double fresh)
{
    ldm_status st = search(s);

    if (!st)
        st = settle_size(s, m);
    /* A wrong schedule looks like a wrong scale, so the scale is measured by a right one alone. */
    if (!st && m->audit->effective.alphas_cumprod)
        st = ldm_doctor_step(s->d, "looking for scale_factor", 0.65, s->err);
    if (!st && m->audit->effective.alphas_cumprod)
        st = ldm_scale_refine(s);
    if (!st && !has_learned(s))
        return untrained(s, fresh);
    if (!st)
        st = judge_stage(s);
    if (!st)
        st = ldm_heads_prefer_usual(s);
    if (!st)
        st = ldm_heads_judge(s, &m->network->unet);
    if (!st)
        st = ldm_scale_judge(s, m);
    if (!st)
        st = ldm_reading_judge(s);
    if (!st)
        st = ldm_doctor_step(s->d, "judging weights", 0.85, s->err);
    if (!st)
        st = ldm_weights_judge(s);
    if (!st && !m->audit->effective.alphas_cumprod)
        st = judge_schedule(s, m);
    if (!st)
        st = ldm_doctor_step(s->d, "judging the order of the colours", 0.93, s->err);
    if (!st)
        st = ldm_order_judge(s, m);
    if (!st)
        st = ldm_doctor_step(s->d, "judging the conditioner", 0.96, s->err);
    if (!st)
        st = ldm_conditioner_judge(s);
    return st;
}

/* What is tried, and on what. Latents are made before the first stage is judged, to time the
 * networks, and again where it turns out to know pictures of another form. */
static ldm_status prepare(ldm_search *s, const ldm_model *m, ldm_error *why)
{
    const size_t given = s->d->image_count;
    int pictures = given < LDM_STAGE_PICTURES ? (int)given : LDM_STAGE_PICTURES;
    ldm_status made =
        ldm_trial_create(s->d, m, (ldm_picture_form){0}, ldm_size_start(s->d, m), &s->trial, why);
    ldm_status st = made == LDM_ERR_CANCELLED || made == LDM_ERR_NOMEM ? made : LDM_OK;

    if (!made) {
        list_candidates(s, m);
        st = ldm_search_plan(s, m, &pictures);
    }
    if (!st)
        st = ldm_probe_stage(s->d, m, pictures, &s->stage, why);
    if (!st && (made || s->stage.form.unit_range)) {
        ldm_trial_free(&s->trial);
        st = ldm_trial_create(s->d, m, s->stage.form, ldm_size_start(s->d, m), &s->trial, why);
        if (!st)
            list_candidates(s, m); /* a scale is of the latents' deviation */
        if (!st && made)
            st = ldm_search_plan(s, m, &pictures);
    }
    if (st)
        ldm_trial_free(&s->trial);
    return st;
}

ldm_status ldm_probe_settings(ldm_doctor *d, double fresh, ldm_error *err)
{
    ldm_error why = {.msg = ""};
    ldm_search s = {.d = d, .err = &why, .shipped_pictures = !d->image_count};
    ldm_model *m;
    ldm_status st = ldm_doctor_step(d, "opening the model", 0.03, &why);

    m = NULL;
    if (!st)
        st = ldm_probe_open(d, NULL, 0, -1, &m, &why);
    if (!st)
        st = ldm_doctor_step(d, "taking the pictures through the encoder", 0.035, &why);
    if (!st)
        st = ldm_probe_pictures(d, m, &why);
    if (!st)
        st = prepare(&s, m, &why);
    if (st == LDM_ERR_CANCELLED || st == LDM_ERR_NOMEM) {
        ldm_model_close(m);
        return ldm_error_set(err, st, "%s", why.msg);
    }
    if (st) { /* no network could be tried: that is the finding */
        d->reason = ldm_doctor_text(d, "%s", ldm_doctor_placeless(why.msg));
        ldm_model_close(m);
        return d->reason ? LDM_OK : ldm_error_nomem(err, 0, "a text");
    }
    s.err = err;
    st = judge_all(&s, m, fresh);
    ldm_trial_free(&s.trial);
    ldm_model_close(m);
    return st;
}
