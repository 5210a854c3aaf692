/* SPDX-License-Identifier: MIT */
/* Sets of pictures: through the network in batches, features kept, statistics at the end. */
#include "measure/quality_set.h"

#include <stdio.h>
#include <string.h>

#include <nettle/sha2.h>

#include "base/alloc.h"
#include "image/resize_float.h"

enum { FIRST_CAPACITY = 256 };

/* ---- modes and settings ---------------------------------------------------------------------- */

static const struct {
    const char *name, *text;
    ldm_float_resize resize;
    float middle, scale; /* (x - middle) * scale */
} modes[] = {
    [LDM_FID_TF1] = {"tf1", "TensorFlow 1's bilinear resize without half a pixel, (x - 128) / 128",
                     LDM_FLOAT_RESIZE_TF1, 128, 1 / 128.0f},
    [LDM_FID_PYTORCH] = {"pytorch", "PyTorch's bilinear resize, 2 x / 255 - 1",
                         LDM_FLOAT_RESIZE_TORCH, 127.5f, 1 / 127.5f},
    [LDM_FID_CLEAN] = {"clean", "PIL's bicubic resize with antialiasing, (x - 128) / 128",
                       LDM_FLOAT_RESIZE_PIL, 128, 1 / 128.0f},
};

enum { MODES = sizeof modes / sizeof modes[0] };

const char *ldm_fid_mode_name(ldm_fid_mode m)
{
    return (unsigned)m < MODES ? modes[m].name : NULL;
}

const char *ldm_fid_mode_text(ldm_fid_mode m)
{
    return (unsigned)m < MODES ? modes[m].text : NULL;
}

void ldm_quality_settings_default(ldm_quality_settings *s, size_t size)
{
    static const ldm_quality_settings usual = {
        .kid_subsets = 100,
        .kid_subset_size = 1000,
        .is_splits = 10,
        .neighbours = 3,
        .bootstrap = 20,
        .seed = 2020,
    };

    if (!s)
        return;
    memset(s, 0, size);
    memcpy(s, &usual, size < sizeof usual ? size : sizeof usual);
}

ldm_tap ldm_stat_tap(ldm_stat_kind k)
{
    return k == LDM_STAT_MAIN ? LDM_TAP_2048 : LDM_TAP_SPATIAL;
}

unsigned ldm_stat_measure(ldm_stat_kind k)
{
    return k == LDM_STAT_MAIN ? LDM_QUALITY_FID : LDM_QUALITY_SFID;
}

bool ldm_quality_set_wants(const ldm_quality_set *s, ldm_tap t)
{
    const unsigned m = s->how.measures;

    if (m & LDM_QUALITY_FEATURES)
        return true;
    switch (t) {
    case LDM_TAP_2048:
        return m & (LDM_QUALITY_FID | LDM_QUALITY_KID | LDM_QUALITY_PR);
    case LDM_TAP_LOGITS_UNBIASED:
        return m & LDM_QUALITY_IS;
    case LDM_TAP_SPATIAL:
        return m & LDM_QUALITY_SFID;
    default:
        return false;
    }
}

/* ---- statistics ------------------------------------------------------------------------------ */

ldm_status ldm_set_stats_create(ldm_stat_kind k, ldm_set_stats *out, ldm_error *err)
{
    const size_t dim = ldm_tap_dim(ldm_stat_tap(k));

    *out = (ldm_set_stats){.mean = ldm_calloc(dim + 1, dim * sizeof *out->mean)};
    if (!out->mean)
        return ldm_error_nomem(err, (uint64_t)dim * dim * sizeof *out->mean, "statistics");
    out->cov = out->mean + dim;
    return LDM_OK;
}

void ldm_set_stats_free(ldm_set_stats *s)
{
    ldm_free(s->mean);
    *s = (ldm_set_stats){0};
}

ldm_normal ldm_set_stats_normal(ldm_stat_kind k, const ldm_set_stats *s)
{
    return (ldm_normal){ldm_tap_dim(ldm_stat_tap(k)), s->mean, s->cov};
}

/* Takes b into a: the means' weighted mean, the sums of squares and what the means differ by (T.
 * Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
 * variances", 1979). Both counts are known. */
static void merge(ldm_set_stats *a, const ldm_set_stats *b, size_t dim)
{
    const double na = (double)a->count, nb = (double)b->count, n = na + nb;
    size_t i, k;

    for (i = 0; i < dim; i++) {
        for (k = 0; k < dim; k++) {
            const double apart = (b->mean[i] - a->mean[i]) * (b->mean[k] - a->mean[k]);

            a->cov[i * dim + k] = (a->cov[i * dim + k] * (na - 1) + b->cov[i * dim + k] * (nb - 1) +
                                   apart * (na * nb / n)) /
                                  (n - 1);
        }
    }
    for (i = 0; i < dim; i++)
        a->mean[i] += (b->mean[i] - a->mean[i]) * (nb / n);
    a->count += b->count;
}

ldm_status ldm_quality_set_take_stats(ldm_quality_set *s, ldm_stat_kind k, ldm_set_stats *stats,
                                      const char *path, ldm_error *err)
{
    ldm_set_stats *given = &s->given[k];
    ldm_status st = LDM_OK;

    if (!given->mean) {
        *given = *stats;
        *stats = (ldm_set_stats){0};
    } else if (!given->count || !stats->count) {
        st = ldm_error_set(err, LDM_ERR_USAGE,
                           "%.300s: statistics without a count of pictures (only ldm writes one) "
                           "cannot be merged with others",
                           path);
    } else {
        merge(given, stats, ldm_tap_dim(ldm_stat_tap(k)));
    }
    ldm_set_stats_free(stats);
    return st;
}

/* ---- creating -------------------------------------------------------------------------------- */

static ldm_status check_settings(const ldm_quality_settings *how, ldm_error *err)
{
    if ((unsigned)how->mode >= MODES)
        return ldm_error_set(err, LDM_ERR_USAGE, "how->mode is %d, expected one of %d",
                             (int)how->mode, MODES);
    if (how->kid_subsets < 1 || how->kid_subset_size < 2 || how->is_splits < 1 ||
        how->neighbours < 1 || how->bootstrap < 0 || how->bootstrap == 1)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%d subsets of %d pictures, %d splits, %d neighbours, %d resamplings: "
                             "expected at least 1, 2, 1, 1, and 2 (0: none)",
                             how->kid_subsets, how->kid_subset_size, how->is_splits,
                             how->neighbours, how->bootstrap);
    return LDM_OK;
}

ldm_status ldm_quality_set_create(ldm_inception *n, const ldm_quality_settings *how,
                                  ldm_quality_set **out, ldm_error *err)
{
    ldm_quality_set *s;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(how, "how", err);
    st = check_settings(how, err);
    if (st)
        return st;
    s = ldm_calloc(1, sizeof *s);
    if (s && n)
        s->waiting = ldm_calloc(LDM_INCEPTION_BATCH, sizeof *s->waiting);
    if (!s || (n && !s->waiting)) {
        ldm_free(s);
        return ldm_error_nomem(err, sizeof *s, "a set of pictures");
    }
    s->net = n;
    s->how = *how;
    *out = s;
    return LDM_OK;
}

void ldm_quality_set_free(ldm_quality_set *s)
{
    int i;

    if (!s)
        return;
    for (i = 0; i < s->waiting_count; i++)
        ldm_picture_free(&s->waiting[i]);
    ldm_free(s->waiting);
    for (i = 0; i < LDM_TAPS; i++)
        ldm_free(s->features[i]);
    for (i = 0; i < LDM_STAT_KINDS; i++) {
        ldm_set_stats_free(&s->given[i]);
        ldm_set_stats_free(&s->stats[i]);
    }
    ldm_free(s);
}

ldm_pool *ldm_quality_set_pool(const ldm_quality_set *s)
{
    return s->net ? s->net->pool : NULL;
}

/* ---- pictures through the network ------------------------------------------------------------ */

typedef struct prepare_job {
    ldm_quality_set *set;
    ldm_status *statuses; /* of each picture */
    ldm_error *errors;
} prepare_job;

static void prepare_task(void *arg, size_t i, int worker)
{
    const prepare_job *j = arg;
    const ldm_quality_set *s = j->set;
    float *x = s->net->x + i * LDM_INCEPTION_FLOATS;
    const float middle = modes[s->how.mode].middle, scale = modes[s->how.mode].scale;
    size_t k;

    (void)worker;
    j->statuses[i] = ldm_resize_to_floats(&s->waiting[i], modes[s->how.mode].resize,
                                          LDM_INCEPTION_SIDE, LDM_INCEPTION_SIDE, x, &j->errors[i]);
    for (k = 0; !j->statuses[i] && k < LDM_INCEPTION_FLOATS; k++)
        x[k] = (x[k] - middle) * scale;
}

static ldm_status prepare(ldm_quality_set *s, ldm_error *err)
{
    const size_t count = (size_t)s->waiting_count;
    prepare_job j = {.set = s,
                     .statuses = ldm_calloc(count, sizeof *j.statuses),
                     .errors = ldm_calloc(count, sizeof *j.errors)};
    ldm_status st = LDM_OK;
    size_t i;

    if (!j.statuses || !j.errors)
        st = ldm_error_nomem(err, count * sizeof *j.errors, "preparing pictures");
    else
        ldm_pool_run(s->net->pool, count, prepare_task, &j);
    for (i = 0; !st && i < count; i++) {
        st = j.statuses[i];
        if (st && err)
            *err = j.errors[i];
    }
    ldm_free(j.statuses);
    ldm_free(j.errors);
    return st;
}

ldm_status ldm_quality_set_make_room(ldm_quality_set *s, size_t count, ldm_error *err)
{
    size_t capacity = s->capacity ? s->capacity : FIRST_CAPACITY;
    int t;

    if (s->pictures + count <= s->capacity)
        return LDM_OK;
    while (capacity < s->pictures + count)
        capacity *= 2;
    for (t = 0; t < LDM_TAPS; t++) {
        const size_t row = ldm_tap_dim((ldm_tap)t) * sizeof(float);
        float *grown;

        if (!ldm_quality_set_wants(s, (ldm_tap)t))
            continue;
        grown = ldm_reallocarray(s->features[t], capacity, row);
        if (!grown)
            return ldm_error_nomem(err, (uint64_t)capacity * row, "features");
        s->features[t] = grown;
    }
    s->capacity = capacity;
    return LDM_OK;
}

ldm_status ldm_quality_set_flush(ldm_quality_set *s, ldm_error *err)
{
    const int count = s->waiting_count;
    ldm_taps taps = {{NULL}};
    ldm_status st = LDM_OK;
    int i;

    if (!count)
        return LDM_OK;
    st = prepare(s, err);
    if (!st)
        st = ldm_quality_set_make_room(s, (size_t)count, err);
    for (i = 0; !st && i < LDM_TAPS; i++) {
        if (s->features[i])
            taps.values[i] = s->features[i] + s->pictures * ldm_tap_dim((ldm_tap)i);
    }
    if (!st)
        st = ldm_inception_run(s->net, count, &taps, err);
    for (i = 0; i < count; i++)
        ldm_picture_free(&s->waiting[i]);
    s->waiting_count = 0;
    if (!st)
        s->pictures += (size_t)count;
    return st;
}

ldm_status ldm_quality_set_take(ldm_quality_set *s, uint32_t width, uint32_t height,
                                const uint8_t *rgb, ldm_error *err)
{
    ldm_picture *p;
    ldm_status st;

    if (!s->net)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "pictures need the Inception network; give its weights "
                             "(--inception FILE), or statistics in place of pictures");
    if (s->finished)
        return ldm_error_set(err, LDM_ERR_USAGE, "the set is finished: it takes no more pictures");
    p = &s->waiting[s->waiting_count];
    st = ldm_picture_create(width, height, p, err);
    if (st)
        return st;
    memcpy(p->rgb, rgb, (size_t)width * height * 3);
    s->waiting_count++;
    if (!s->width) {
        s->width = width;
        s->height = height;
    }
    s->mixed |= width != s->width || height != s->height;
    return s->waiting_count == LDM_INCEPTION_BATCH ? ldm_quality_set_flush(s, err) : LDM_OK;
}

ldm_status ldm_quality_set_add(ldm_quality_set *s, const ldm_image *im, ldm_error *err)
{
    ldm_status st;

    LDM_REQUIRE(s, "s", err);
    st = ldm_image_check(im, "im", err);
    return st ? st
              : ldm_quality_set_take(s, (uint32_t)im->width, (uint32_t)im->height, im->pixels, err);
}

/* ---- finishing ------------------------------------------------------------------------------- */

static ldm_status stats_of_pictures(const ldm_quality_set *s, ldm_stat_kind k, ldm_set_stats *out,
                                    ldm_error *err)
{
    const ldm_tap t = ldm_stat_tap(k);
    ldm_status st = ldm_set_stats_create(k, out, err);

    if (!st)
        st = ldm_covariance_of_rows(s->features[t], NULL, s->pictures, ldm_tap_dim(t),
                                    ldm_quality_set_pool(s), out->mean, out->cov, err);
    out->count = s->pictures;
    if (st)
        ldm_set_stats_free(out);
    return st;
}

/* Statistics without a count stand alone: the pictures of such a file are for other measures. */
static ldm_status settle_stats(ldm_quality_set *s, ldm_stat_kind k, ldm_error *err)
{
    const bool pictures = s->pictures > 1 && s->features[ldm_stat_tap(k)];
    ldm_set_stats *stats = &s->stats[k];
    ldm_status st = LDM_OK;

    if (!(s->how.measures & ldm_stat_measure(k)))
        return LDM_OK;
    if (pictures && !(s->given[k].mean && !s->given[k].count))
        st = stats_of_pictures(s, k, stats, err);
    if (st || !s->given[k].mean)
        return st;
    if (stats->mean)
        merge(&s->given[k], stats, ldm_tap_dim(ldm_stat_tap(k)));
    ldm_set_stats_free(stats);
    *stats = s->given[k];
    s->given[k] = (ldm_set_stats){0};
    return LDM_OK;
}

ldm_status ldm_quality_set_finish(ldm_quality_set *s, ldm_error *err)
{
    ldm_status st;
    int k;

    LDM_REQUIRE(s, "s", err);
    if (s->finished)
        return LDM_OK;
    st = ldm_quality_set_flush(s, err);
    for (k = 0; !st && k < LDM_STAT_KINDS; k++)
        st = settle_stats(s, (ldm_stat_kind)k, err);
    s->finished = !st;
    return st;
}

/* ---- what a set is --------------------------------------------------------------------------- */

uint64_t ldm_quality_set_pictures(const ldm_quality_set *s)
{
    return s ? s->pictures + (uint64_t)s->waiting_count : 0;
}

uint64_t ldm_quality_set_count(const ldm_quality_set *s)
{
    int k;

    for (k = 0; s && k < LDM_STAT_KINDS; k++) {
        if (s->stats[k].mean)
            return s->stats[k].count;
        if (s->given[k].mean)
            return s->given[k].count;
    }
    return ldm_quality_set_pictures(s);
}

bool ldm_quality_set_is_empty(const ldm_quality_set *s)
{
    int k;

    for (k = 0; s && k < LDM_STAT_KINDS; k++) {
        if (s->stats[k].mean || s->given[k].mean)
            return false;
    }
    return !ldm_quality_set_pictures(s);
}

const char *ldm_quality_set_text(ldm_quality_set *s)
{
    const unsigned long long count = ldm_quality_set_count(s), through = s ? s->pictures : 0;
    const char *resize, *others;
    char read[64] = "";

    if (!s)
        return "";
    if (s->from_files)
        snprintf(read, sizeof read, "; features of %zu of them from files", s->from_files);
    resize = modes[s->how.mode].text;
    others = s->how.measures & (LDM_QUALITY_FID | LDM_QUALITY_SFID) && count != through
                 ? "; mean and covariance from a file, besides"
                 : "";
    if (!through && count)
        snprintf(s->text, sizeof s->text, "statistics of %llu pictures, resized by: %s", count,
                 s->mode[0] ? s->mode : "not recorded");
    else if (through && s->from_files == s->pictures)
        snprintf(s->text, sizeof s->text, "features of %llu pictures from files, resized by: %s%s",
                 through, s->mode[0] ? s->mode : "not recorded", others);
    else if (!through)
        snprintf(s->text, sizeof s->text,
                 "statistics from a file that records neither the number of pictures nor how they "
                 "were resized");
    else if (s->mixed)
        snprintf(s->text, sizeof s->text, "%llu pictures of several sizes to 299 x 299 by %s%s%s",
                 through, resize, read, others);
    else
        snprintf(s->text, sizeof s->text, "%llu picture%s of %u x %u to 299 x 299 by %s%s%s",
                 through, through == 1 ? "" : "s", s->width, s->height, resize, read, others);
    return s->text;
}

static void hash_doubles(struct sha256_ctx *ctx, const double *v, size_t n)
{
    sha256_update(ctx, n * sizeof *v, (const uint8_t *)v);
}

ldm_status ldm_quality_set_sha256(ldm_quality_set *s, const char **hex, ldm_error *err)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx ctx;
    int k, i;

    LDM_REQUIRE(hex, "hex", err);
    *hex = NULL;
    LDM_REQUIRE(s, "s", err);
    if (!s->finished)
        return ldm_error_set(err, LDM_ERR_USAGE, "the set is not finished");
    sha256_init(&ctx);
    for (k = 0; k < LDM_STAT_KINDS; k++) {
        const size_t dim = ldm_tap_dim(ldm_stat_tap((ldm_stat_kind)k));

        if (s->stats[k].mean)
            hash_doubles(&ctx, s->stats[k].mean, dim + dim * dim);
    }
    sha256_digest(&ctx, sizeof digest, digest);
    for (i = 0; i < SHA256_DIGEST_SIZE; i++)
        snprintf(s->sha256 + 2 * i, 3, "%02x", digest[i]);
    *hex = s->sha256;
    return LDM_OK;
}
