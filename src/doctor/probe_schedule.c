/* SPDX-License-Identifier: MIT */
/* The noise schedule of a file that has lost its own, among those that models were published with.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "doctor/probe_search.h"
#include "engine/engine.h"

typedef struct schedule {
    ldm_beta_schedule kind;
    double start, end;
} schedule;

enum { COUNT = 7 };
static const schedule published[COUNT] = {
    {LDM_BETA_LINEAR, 0.0015, 0.0195}, {LDM_BETA_LINEAR, 0.00085, 0.012},
    {LDM_BETA_LINEAR, 0.0015, 0.0155}, {LDM_BETA_LINEAR, 0.0015, 0.0205},
    {LDM_BETA_LINEAR, 0.0001, 0.02},   {LDM_BETA_SQRT_LINEAR, 0.0001, 0.02},
    {LDM_BETA_COSINE, 0.0001, 0.02},
};

static ldm_status alphas_of(const schedule *c, int n, float *out, ldm_error *err)
{
    double *betas = ldm_reallocarray(NULL, 2 * (size_t)n, sizeof *betas);

    if (!betas)
        return ldm_error_nomem(err, 2 * (size_t)n * sizeof *betas, "a schedule");
    ldm_betas(c->kind, n, c->start, c->end, 8e-3, betas);
    ldm_alphas_cumprod(betas, n, betas + n, out);
    ldm_free(betas);
    return LDM_OK;
}

/* Whether it is the schedule of the published model of this kind. */
static bool is_usual(const ldm_doctor *d, const schedule *c)
{
    const ldm_infer_setting *start = ldm_inference_find(d->inference, "model.params.linear_start");
    const ldm_infer_setting *end = ldm_inference_find(d->inference, "model.params.linear_end");

    return c->kind == LDM_BETA_LINEAR && start && end && start->from <= LDM_INFER_ASSUMED &&
           atof(start->value) == c->start && atof(end->value) == c->end;
}

static ldm_status measure_all(ldm_search *s, ldm_scores *scores)
{
    float *alphas = ldm_reallocarray(NULL, (size_t)s->timesteps, sizeof *alphas);
    ldm_model *m = NULL;
    ldm_status st = alphas ? LDM_OK : ldm_error_nomem(s->err, 0, "a schedule");

    if (!st)
        st = ldm_search_open(s, s->best.weights, s->best.heads, &m);
    for (int i = 0; i < COUNT && !st; i++) {
        st = alphas_of(&published[i], s->timesteps, alphas, s->err);
        if (!st)
            st = ldm_probe_measure(m, &s->trial, s->fine, s->scales[s->best.scale].value, alphas,
                                   s->timesteps, &scores[i], s->err);
    }
    ldm_model_close(m);
    ldm_free(alphas);
    return st;
}

static ldm_margin between_two(const ldm_search *s, const ldm_scores *a, const ldm_scores *b)
{
    return ldm_scores_margin(a, s->best.reading, b, s->best.reading);
}

/* The one with the smallest error; of those that nothing tells apart from it the usual one. */
static int best_of(const ldm_search *s, const ldm_scores *scores, bool *usual)
{
    int best = 0;

    for (int i = 1; i < COUNT; i++) {
        if (ldm_scores_mean(&scores[i], s->best.reading) <
            ldm_scores_mean(&scores[best], s->best.reading))
            best = i;
    }
    *usual = false;
    for (int i = 0; i < COUNT && !*usual; i++) {
        *usual = is_usual(s->d, &published[i]) &&
                 between_two(s, &scores[i], &scores[best]).difference < ldm_slightly;
        best = *usual ? i : best;
    }
    return best;
}

static ldm_status cure(ldm_search *s, const ldm_diffusion_config *dc, const schedule *found,
                       double sure, const ldm_margin *to_given)
{
    const char *how = ldm_doctor_text(
        s->d,
        "the file has no schedule; the error is %.0f %% larger with what was given (%.1f "
        "standard errors)",
        100 * (exp(to_given->difference) - 1), to_given->sigmas);
    const schedule given = {dc->beta_schedule, dc->linear_start, dc->linear_end};
    const schedule *const both[] = {&given, found};
    const char *const paths[] = {"model.params.beta_schedule", "model.params.linear_start",
                                 "model.params.linear_end"};
    char texts[2][3][LDM_PROBE_TEXT], set[2 * LDM_PROBE_TEXT];
    ldm_status st = LDM_OK;

    for (int i = 0; i < 2; i++) {
        snprintf(texts[i][0], LDM_PROBE_TEXT, "%s", ldm_beta_schedule_name(both[i]->kind));
        snprintf(texts[i][1], LDM_PROBE_TEXT, "%.9g", both[i]->start);
        snprintf(texts[i][2], LDM_PROBE_TEXT, "%.9g", both[i]->end);
    }
    for (int i = 0; i < 3 && !st; i++) {
        if (!strcmp(texts[0][i], texts[1][i]))
            continue;
        snprintf(set, sizeof set, "%s=%s", paths[i], texts[1][i]);
        st = ldm_search_add(s, paths[i], texts[0][i], texts[1][i], sure, LDM_FINDING_WRONG, set,
                            NULL, how);
    }
    return st;
}

ldm_status ldm_schedule_judge(ldm_search *s, const ldm_model *base)
{
    const ldm_diffusion_config *dc = &base->network->diffusion;
    const char *path = "model.params.beta_schedule";
    ldm_scores scores[COUNT];
    ldm_margin to_given, near = {1e300, 0};
    char given[LDM_PROBE_TEXT];
    bool usual;
    int best;
    ldm_status st = measure_all(s, scores);

    if (st)
        return st;
    best = best_of(s, scores, &usual);
    to_given = between_two(s, &s->best_scores, &scores[best]);
    for (int i = 0; i < COUNT; i++) {
        const ldm_margin to = between_two(s, &scores[i], &scores[best]);

        if (i != best && to.difference < near.difference)
            near = to;
    }
    snprintf(given, sizeof given, "%s %g to %g", ldm_beta_schedule_name(dc->beta_schedule),
             dc->linear_start, dc->linear_end);
    if (!ldm_search_against(&to_given))
        return ldm_search_add(
            s, path, given, given, 0.7, LDM_FINDING_RIGHT, NULL, NULL,
            "the file has no schedule; no published one gives a smaller error than this");
    if (!ldm_search_against(&near) && !usual)
        return ldm_search_add(s, path, given, NULL, 0, LDM_FINDING_UNDECIDED, NULL, NULL,
                              "the file has no schedule, the one that was given does not fit the "
                              "weights, and more than one published schedule does");
    return cure(s, dc, &published[best], usual ? 0.9 : ldm_search_sure(&near), &to_given);
}
