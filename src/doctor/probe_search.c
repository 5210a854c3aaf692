/* SPDX-License-Identifier: MIT */
/* What the probes of settings share: opening and measuring a candidate, holding it against others,
 * and saying so. */
#include <math.h>
#include <string.h>

#include "doctor/probe_search.h"

const double ldm_worse = 0.10, ldm_slightly = 0.03, ldm_sigmas_needed = 4;

ldm_status ldm_search_open(const ldm_search *s, int weights, int h, ldm_model **m)
{
    const char *sets[LDM_CANDIDATE_SETS];

    for (int i = 0; i < s->heads[h].set_count; i++)
        sets[i] = s->heads[h].sets[i];
    return ldm_probe_open(s->d, sets, s->heads[h].set_count,
                          s->weight_count == 2 ? s->weights[weights] : -1, m, s->err);
}

ldm_status ldm_search_measure(const ldm_search *s, const ldm_model *m, int n, int at_scale,
                              ldm_scores *out)
{
    return ldm_probe_measure(m, &s->trial, n, s->scales[at_scale].value, s->alphas, s->timesteps,
                             out, s->err);
}

ldm_status ldm_search_add(ldm_search *s, const char *path, const char *given, const char *found,
                          double sure, ldm_finding_state state, const char *cure, const char *flag,
                          const char *how)
{
    const ldm_value *v = ldm_value_find(ldm_config_root(s->d->config), path);
    const ldm_origin o = v ? ldm_value_origin(v) : (ldm_origin){NULL, 0, 0};
    ldm_finding f = {.path = path,
                     .given = given,
                     .found = found,
                     .sure = sure,
                     .state = state,
                     .cure = cure,
                     .flag = flag,
                     .how = how};

    if (!how)
        return ldm_error_nomem(s->err, 0, "a finding");
    if (o.source && o.line && !s->d->made)
        f.place = ldm_doctor_place(s->d, &o);
    return ldm_doctor_add(s->d, &f, s->err);
}

/* Whether so many other heads had a smaller error on the coarse pictures that these need no more:
 * what is far from the best is not the nearest to it. */
static bool is_far(const ldm_search *s, int h)
{
    int nearer = 0;

    for (int i = 1; i < s->head_count; i++)
        nearer += i != s->best.heads && (s->head_mean[i] < s->head_mean[h] ||
                                         (s->head_mean[i] == s->head_mean[h] && i < h));
    return h && nearer >= LDM_NEAR_HEADS - 1;
}

/* The scores of all candidates of one kind, with the others at the best; *near: the nearest to the
 * best of those that are not the best. */
ldm_status ldm_search_judge(ldm_search *s, bool by_heads, ldm_rival *near, ldm_margin *given)
{
    const int count = by_heads ? s->head_count : s->scale_count;
    const int at = by_heads ? s->best.heads : s->best.scale;
    ldm_model *m = NULL;
    ldm_status st = LDM_OK;

    near->index = -1;
    *given = (ldm_margin){0, 0};
    if (!by_heads)
        st = ldm_search_open(s, s->best.weights, s->best.heads, &m);
    for (int i = 0; i < count && !st; i++) {
        ldm_scores scores;
        ldm_margin margin;

        if (i == at || (by_heads && is_far(s, i)))
            continue;
        st = ldm_doctor_step(s->d, by_heads ? "judging heads" : "judging scale_factor",
                             (by_heads ? 0.66 : 0.76) + 0.09 * i / count, s->err);
        if (!st && by_heads)
            st = ldm_search_open(s, s->best.weights, i, &m);
        if (!st)
            st = ldm_search_measure(s, m, s->fine, by_heads ? s->best.scale : i, &scores);
        if (by_heads) {
            ldm_model_close(m);
            m = NULL;
        }
        if (st)
            break;
        margin = ldm_scores_margin(&scores, s->best.reading, &s->best_scores, s->best.reading);
        if (i == 0)
            *given = margin;
        if (near->index < 0 || margin.difference < near->to_best.difference)
            *near = (ldm_rival){margin, i};
    }
    if (!by_heads)
        ldm_model_close(m);
    return st;
}

double ldm_search_sure(const ldm_margin *m)
{
    return m->difference > ldm_slightly ? ldm_sure_of(m->sigmas > 8 ? 8 : m->sigmas) : 0.5;
}

bool ldm_search_against(const ldm_margin *m)
{
    return m->difference > ldm_worse && m->sigmas > ldm_sigmas_needed;
}

const char *ldm_search_worse_text(ldm_search *s, const char *what, const ldm_margin *given,
                                  const ldm_rival *near, const char *nearest)
{
    return ldm_doctor_text(
        s->d,
        "%s: the error of denoised pictures is %.0f %% larger with what was given (%.1f standard "
        "errors), %.0f %% with %s (%.1f)",
        what, 100 * (exp(given->difference) - 1), given->sigmas,
        100 * (exp(near->to_best.difference) - 1), nearest, near->to_best.sigmas);
}

/* "0", not "-0", of what rounds to it. */
static double rounded(double v, double unit)
{
    return fabs(v) < 0.5 * unit ? 0 : v;
}

const char *ldm_search_right_text(ldm_search *s, const ldm_rival *near, const char *nearest)
{
    return ldm_doctor_text(s->d,
                           "the error of denoised pictures is %.0f %% larger with %s, the nearest "
                           "(%.1f standard errors)",
                           rounded(100 * (exp(near->to_best.difference) - 1), 1), nearest,
                           rounded(near->to_best.sigmas, 0.1));
}
