/* SPDX-License-Identifier: MIT */
/* Comparing two sets: which measures are computed, FID and sFID, the Inception score. */
#include "measure/quality.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "sample/rng.h"

/* ---- FID and sFID ---------------------------------------------------------------------------- */

/* The statistics are those of the set's pictures, which can be drawn again. */
static bool can_draw(const ldm_quality_set *s, ldm_stat_kind k)
{
    return s->pictures > 1 && s->stats[k].count == s->pictures && s->features[ldm_stat_tap(k)];
}

static uint64_t rank_of(const ldm_set_stats *s)
{
    return s->count ? s->count : UINT64_MAX;
}

static ldm_status distance(ldm_stat_kind k, const ldm_set_stats *a, const ldm_set_stats *b,
                           ldm_pool *pool, double *out, ldm_error *err)
{
    const bool swap = rank_of(b) < rank_of(a);
    const ldm_normal x = ldm_set_stats_normal(k, swap ? b : a);
    const ldm_normal y = ldm_set_stats_normal(k, swap ? a : b);

    return ldm_frechet(&x, &y, pool, out, err);
}

/* Statistics of as many pictures as there are, drawn with replacement; of a set that has none, what
 * it has. */
static ldm_status draw_stats(const ldm_quality_set *s, ldm_stat_kind k, ldm_rng *rng,
                             uint32_t *picks, ldm_set_stats *out, ldm_error *err)
{
    const ldm_tap t = ldm_stat_tap(k);
    size_t i;

    for (i = 0; i < s->pictures; i++)
        picks[i] = ldm_rng_interval(rng, (uint32_t)s->pictures - 1);
    out->count = s->pictures;
    return ldm_covariance_of_rows(s->features[t], picks, s->pictures, ldm_tap_dim(t),
                                  ldm_quality_set_pool(s), out->mean, out->cov, err);
}

/* Distances of resampled sets. drawn: room for the statistics of either. */
static ldm_status resample(const ldm_comparison *c, ldm_stat_kind k, ldm_set_stats drawn[2],
                           uint32_t *picks, double *values, ldm_error *err)
{
    const ldm_quality_set *const sets[2] = {c->samples, c->reference};
    ldm_pool *pool = ldm_quality_set_pool(c->samples->net ? c->samples : c->reference);
    ldm_status st = LDM_OK;
    ldm_rng rng;
    int i, side;

    ldm_rng_seed(&rng, c->how->seed);
    for (i = 0; !st && i < c->how->bootstrap; i++) {
        const ldm_set_stats *now[2];

        for (side = 0; !st && side < 2; side++) {
            now[side] = drawn[side].mean ? &drawn[side] : &sets[side]->stats[k];
            if (drawn[side].mean)
                st = draw_stats(sets[side], k, &rng, picks, &drawn[side], err);
        }
        if (!st)
            st = distance(k, now[0], now[1], pool, &values[i], err);
    }
    return st;
}

static ldm_status frechet_error(const ldm_comparison *c, ldm_stat_kind k, double *error,
                                ldm_error *err)
{
    const ldm_quality_set *const sets[2] = {c->samples, c->reference};
    const size_t most =
        sets[0]->pictures > sets[1]->pictures ? sets[0]->pictures : sets[1]->pictures;
    ldm_set_stats drawn[2] = {{0}, {0}};
    uint32_t *picks;
    double *values, mean;
    ldm_status st = LDM_OK;
    int side;

    if (!c->how->bootstrap || (!can_draw(sets[0], k) && !can_draw(sets[1], k)))
        return LDM_OK;
    picks = ldm_reallocarray(NULL, most, sizeof *picks);
    values = ldm_calloc((size_t)c->how->bootstrap, sizeof *values);
    if (!picks || !values)
        st = ldm_error_nomem(err, most * sizeof *picks, "resampling");
    for (side = 0; !st && side < 2; side++) {
        if (can_draw(sets[side], k))
            st = ldm_set_stats_create(k, &drawn[side], err);
    }
    if (!st)
        st = resample(c, k, drawn, picks, values, err);
    if (!st)
        ldm_mean_and_deviation(values, (size_t)c->how->bootstrap, true, &mean, error);
    ldm_set_stats_free(&drawn[0]);
    ldm_set_stats_free(&drawn[1]);
    ldm_free(picks);
    ldm_free(values);
    return st;
}

ldm_status ldm_measure_frechet(const ldm_comparison *c, ldm_stat_kind k, ldm_quality_figure *f,
                               ldm_error *err)
{
    const ldm_set_stats *a = &c->samples->stats[k], *b = &c->reference->stats[k];
    ldm_pool *pool = ldm_quality_set_pool(c->samples->net ? c->samples : c->reference);
    ldm_status st;

    if (!a->mean || !b->mean) {
        const ldm_quality_set *s = a->mean ? c->reference : c->samples;

        if (s->pictures)
            ldm_figure_refuse(f, "the %s have %zu picture%s, and statistics need 2 at least",
                              s == c->samples ? "samples" : "reference pictures", s->pictures,
                              s->pictures == 1 ? "" : "s");
        else
            ldm_figure_refuse(f, "the %s have no %s", s == c->samples ? "samples" : "reference",
                              k == LDM_STAT_MAIN ? "mu and sigma" : "mu_s and sigma_s");
        return LDM_OK;
    }
    st = distance(k, a, b, pool, &f->value, err);
    return st ? st : frechet_error(c, k, &f->error, err);
}

/* ---- Inception score ------------------------------------------------------------------------- */

enum { CLASSES = LDM_INCEPTION_CLASSES };

/* softmax of one picture's logits, and its logarithm. */
static void probabilities(const float *logits, double *p, double *log_p)
{
    double most = logits[0], sum = 0;
    int c;

    for (c = 1; c < CLASSES; c++)
        most = fmax(most, logits[c]);
    for (c = 0; c < CLASSES; c++) {
        p[c] = exp(logits[c] - most);
        sum += p[c];
    }
    for (c = 0; c < CLASSES; c++) {
        p[c] /= sum;
        log_p[c] = logits[c] - most - log(sum);
    }
}

/* exp of the mean distance of the pictures' distributions from their mean. sum_p sum p log p - sum
 * q log q, over n pictures with mean distribution q. */
static double score_of(const float *logits, const uint32_t *picks, size_t n)
{
    double p[CLASSES], log_p[CLASSES], q[CLASSES] = {0}, negative = 0, marginal = 0;
    size_t i;
    int c;

    for (i = 0; i < n; i++) {
        probabilities(logits + (size_t)picks[i] * CLASSES, p, log_p);
        for (c = 0; c < CLASSES; c++) {
            q[c] += p[c];
            negative += p[c] > 0 ? p[c] * log_p[c] : 0;
        }
    }
    for (c = 0; c < CLASSES; c++) {
        q[c] /= (double)n;
        marginal += q[c] > 0 ? q[c] * log(q[c]) : 0;
    }
    return exp(negative / (double)n - marginal);
}

typedef struct score_job {
    const float *logits;
    const uint32_t *picks;
    size_t n, splits;
    double *scores;
} score_job;

static void score_task(void *arg, size_t i, int worker)
{
    const score_job *j = arg;
    const size_t begin = i * j->n / j->splits, end = (i + 1) * j->n / j->splits;

    (void)worker;
    j->scores[i] = score_of(j->logits, j->picks + begin, end - begin);
}

/* The mean over splits of the pictures in this order. */
static void mean_score(const ldm_quality_set *s, const uint32_t *picks, size_t splits,
                       double *scores, double *mean, double *spread)
{
    score_job j = {.logits = s->features[LDM_TAP_LOGITS_UNBIASED],
                   .picks = picks,
                   .n = s->pictures,
                   .splits = splits,
                   .scores = scores};

    ldm_pool_run(ldm_quality_set_pool(s), splits, score_task, &j);
    ldm_mean_and_deviation(scores, splits, false, mean, spread);
}

ldm_status ldm_measure_is(const ldm_comparison *c, ldm_quality_figure *f, ldm_error *err)
{
    const ldm_quality_set *s = c->samples;
    const size_t splits = (size_t)c->how->is_splits, resamplings = (size_t)c->how->bootstrap;
    uint32_t *picks;
    double *scores, *means, spread;
    ldm_rng rng;
    size_t i, k;

    if (s->pictures < splits) {
        ldm_figure_refuse(f,
                          "%zu pictures cannot be divided into %zu splits; set fewer splits "
                          "(--is-splits)",
                          s->pictures, splits);
        return LDM_OK;
    }
    picks = ldm_reallocarray(NULL, s->pictures, sizeof *picks);
    scores = ldm_calloc(splits + resamplings + 1, sizeof *scores);
    if (!picks || !scores) {
        ldm_free(picks);
        ldm_free(scores);
        return ldm_error_nomem(err, s->pictures * sizeof *picks, "the Inception score");
    }
    means = scores + splits;
    ldm_rng_seed(&rng, c->how->seed);
    ldm_rng_permutation(&rng, (uint32_t)s->pictures, picks);
    mean_score(s, picks, splits, scores, &f->value, &f->spread);
    for (i = 0; i < resamplings; i++) {
        for (k = 0; k < s->pictures; k++)
            picks[k] = ldm_rng_interval(&rng, (uint32_t)s->pictures - 1);
        mean_score(s, picks, splits, scores, &means[i], &spread);
    }
    if (resamplings)
        ldm_mean_and_deviation(means, resamplings, true, &spread, &f->error);
    ldm_free(picks);
    ldm_free(scores);
    return LDM_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Sets of different networks or modes say nothing together; what a file does not say is taken to
 * fit. */
static ldm_status check_alike(const ldm_quality_set *a, const ldm_quality_set *b, ldm_error *err)
{
    const char *na = a->net ? a->net->sha256 : a->network,
               *nb = b->net ? b->net->sha256 : b->network;
    const char *ma = a->net ? ldm_fid_mode_name(a->how.mode) : a->mode;
    const char *mb = b->net ? ldm_fid_mode_name(b->how.mode) : b->mode;

    if (*na && *nb && strcmp(na, nb))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "samples and reference come from different networks (%.16s... and "
                             "%.16s...) and cannot be compared",
                             na, nb);
    if (*ma && *mb && strcmp(ma, mb))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "samples and reference were resized differently (modes %s and %s) and "
                             "cannot be compared",
                             ma, mb);
    return LDM_OK;
}

static void clear(ldm_quality_figure *f)
{
    *f = (ldm_quality_figure){.value = NAN, .error = NAN, .spread = NAN};
}

static ldm_status compute(const ldm_comparison *c, ldm_quality_result *r, ldm_error *err)
{
    const unsigned m = c->how->measures;
    ldm_status st = LDM_OK;

    if (m & LDM_QUALITY_FID)
        st = ldm_measure_frechet(c, LDM_STAT_MAIN, &r->fid, err);
    if (!st && m & LDM_QUALITY_KID)
        st = ldm_measure_kid(c, &r->kid, err);
    if (!st && m & LDM_QUALITY_IS)
        st = ldm_measure_is(c, &r->is, err);
    if (!st && m & LDM_QUALITY_PR)
        st = ldm_measure_pr(c, &r->precision, &r->recall, err);
    if (!st && m & LDM_QUALITY_SFID)
        st = ldm_measure_frechet(c, LDM_STAT_SPATIAL, &r->sfid, err);
    return st;
}

ldm_status ldm_quality_compare(const ldm_quality_set *samples, const ldm_quality_set *reference,
                               const ldm_quality_settings *how, ldm_quality_result *out,
                               size_t size, ldm_error *err)
{
    const ldm_comparison c = {samples, reference, how};
    ldm_quality_result r;
    ldm_status st = LDM_OK;

    LDM_REQUIRE(out, "out", err);
    memset(out, 0, size);
    LDM_REQUIRE(samples, "samples", err);
    LDM_REQUIRE(how, "how", err);
    clear(&r.fid);
    clear(&r.kid);
    clear(&r.is);
    clear(&r.precision);
    clear(&r.recall);
    clear(&r.sfid);
    if (!reference && how->measures & ~(unsigned)(LDM_QUALITY_IS | LDM_QUALITY_FEATURES))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "all measures but the Inception score need a reference");
    if (!samples->finished || (reference && !reference->finished))
        return ldm_error_set(err, LDM_ERR_USAGE, "the set is not finished");
    if (reference)
        st = check_alike(samples, reference, err);
    if (!st)
        st = compute(&c, &r, err);
    if (!st)
        memcpy(out, &r, size < sizeof r ? size : sizeof r);
    return st;
}
