/* SPDX-License-Identifier: MIT */
/* Files of sets: pictures, arrays of pictures, statistics; and what is written of a set. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/file.h"
#include "checkpoint/zip.h"
#include "image/npz_arrays.h"
#include "measure/quality_set.h"

static bool ends_in(const char *path, const char *ending)
{
    const size_t n = strlen(path), e = strlen(ending);

    return n >= e && !strcmp(path + n - e, ending);
}

/* ---- an .npz that is open -------------------------------------------------------------------- */

typedef struct archive {
    const char *path;
    ldm_arena *arena;
    ldm_source whole;
    ldm_map map;
    ldm_zip zip;
} archive;

static void archive_close(archive *a)
{
    ldm_map_close(&a->map);
    ldm_arena_free(a->arena);
}

static ldm_status archive_open(const char *path, archive *a, ldm_error *err)
{
    ldm_status st;

    memset(a, 0, sizeof *a);
    a->path = path;
    a->arena = ldm_arena_create(0);
    if (!a->arena)
        return ldm_error_nomem(err, 0, "an archive");
    st = ldm_map_open(path, &a->map, err);
    a->whole = (ldm_source){.name = path, .data = a->map.data, .size = a->map.size};
    if (!st)
        st = ldm_zip_open(&a->whole, a->arena, &a->zip, err);
    if (st)
        archive_close(a);
    return st;
}

/* The array `name`; shape->data NULL where there is none. part: its bytes. */
static ldm_status find_array(archive *a, const char *name, ldm_source *part, ldm_npy_shape *shape,
                             ldm_error *err)
{
    char file[64];
    const ldm_zip_entry *e;
    ldm_status st;

    snprintf(file, sizeof file, "%s.npy", name);
    e = ldm_zip_find(&a->zip, file);
    memset(shape, 0, sizeof *shape);
    if (!e)
        return LDM_OK;
    st = ldm_zip_entry_open(&a->zip, e, a->arena, part, err);
    if (!st)
        st = ldm_npy_look(part->data, (size_t)part->size, a->path, shape, err);
    return st ? ldm_error_wrap(err, st, "the array %s", name) : LDM_OK;
}

/* ---- statistics ------------------------------------------------------------------------------ */

static ldm_status wrong_stats(const archive *a, const char *name, const ldm_npy_shape *shape,
                              const char *expected, ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_FORMAT,
                         "%.300s: %s has %d dimensions, the first of %llu, expected %s; it holds "
                         "statistics of other features",
                         a->path, name, shape->ndim,
                         (unsigned long long)(shape->ndim ? shape->shape[0] : 0), expected);
}

static ldm_status check_stats(const archive *a, const char *const names[2], size_t dim,
                              const ldm_set_stats *stats, ldm_error *err)
{
    double largest = 0;
    size_t i, k;

    for (i = 0; i < dim * (dim + 1); i++) {
        if (!isfinite(stats->mean[i]))
            return ldm_error_set(err, LDM_ERR_NUMERIC, "%.300s: %s holds NaN or infinity", a->path,
                                 names[i >= dim]);
    }
    for (i = 0; i < dim; i++)
        largest = fmax(largest, fabs(stats->cov[i * (dim + 1)]));
    for (i = 0; i < dim; i++) {
        for (k = 0; k < i; k++) {
            if (fabs(stats->cov[i * dim + k] - stats->cov[k * dim + i]) > 1e-4 * largest)
                return ldm_error_set(err, LDM_ERR_NUMERIC,
                                     "%.300s: %s is not symmetric at row %zu, column %zu; it is no "
                                     "covariance",
                                     a->path, names[1], i, k);
        }
    }
    return LDM_OK;
}

/* names: of the mean and of the covariance. Without the mean nothing happens. */
static ldm_status read_stats(archive *a, ldm_quality_set *s, ldm_stat_kind k, uint64_t count,
                             const char *const names[2], bool *found, ldm_error *err)
{
    const size_t dim = ldm_tap_dim(ldm_stat_tap(k));
    ldm_source mean_part, cov_part;
    ldm_npy_shape mean, cov;
    ldm_set_stats stats = {0};
    char expected[64];
    ldm_status st = find_array(a, names[0], &mean_part, &mean, err);

    if (!st)
        st = find_array(a, names[1], &cov_part, &cov, err);
    if (st || (!mean.data && !cov.data))
        return st;
    *found = true;
    if (!mean.data || !cov.data)
        return ldm_error_set(err, LDM_ERR_FORMAT, "%.300s holds %s without %s", a->path,
                             names[!mean.data], names[!!mean.data]);
    snprintf(expected, sizeof expected, "[%zu]", dim);
    if (mean.ndim != 1 || mean.shape[0] != dim)
        return wrong_stats(a, names[0], &mean, expected, err);
    snprintf(expected, sizeof expected, "[%zu, %zu]", dim, dim);
    if (cov.ndim != 2 || cov.shape[0] != dim || cov.shape[1] != dim)
        return wrong_stats(a, names[1], &cov, expected, err);
    st = ldm_set_stats_create(k, &stats, err);
    if (!st)
        st = ldm_npy_read_f64(mean_part.data, (size_t)mean_part.size, a->path, stats.mean, err);
    if (!st)
        st = ldm_npy_read_f64(cov_part.data, (size_t)cov_part.size, a->path, stats.cov, err);
    if (!st)
        st = check_stats(a, names, dim, &stats, err);
    stats.count = count;
    if (!st)
        st = ldm_quality_set_take_stats(s, k, &stats, a->path, err);
    ldm_set_stats_free(&stats);
    return st;
}

static ldm_status read_count(archive *a, uint64_t *count, ldm_error *err)
{
    ldm_source part;
    ldm_npy_shape shape;
    double value = 0;
    ldm_status st = find_array(a, "count", &part, &shape, err);

    *count = 0;
    if (st || !shape.data || shape.numel != 1)
        return st;
    st = ldm_npy_read_f64(part.data, (size_t)part.size, a->path, &value, err);
    if (!st && !(value >= 2 && value <= 1e15))
        return ldm_error_set(err, LDM_ERR_FORMAT, "%.300s: statistics of %g pictures", a->path,
                             value);
    *count = (uint64_t)value;
    return st;
}

/* A text that ldm wrote as bytes; "" where there is none. */
static ldm_status read_text(archive *a, const char *name, char *text, size_t size, ldm_error *err)
{
    ldm_source part;
    ldm_npy_shape shape;
    ldm_status st = find_array(a, name, &part, &shape, err);

    text[0] = '\0';
    if (st || !shape.data || !shape.bytes || shape.numel >= size)
        return st;
    memcpy(text, shape.data, (size_t)shape.numel);
    text[shape.numel] = '\0';
    return LDM_OK;
}

/* What the file says must be what the set's other files and its network are. */
static ldm_status agree(const archive *a, char *known, size_t size, const char *says,
                        const char *own, const char *what, ldm_error *err)
{
    const char *other = known[0] ? known : own;

    if (says[0] && other[0] && strcmp(says, other))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%.300s: its numbers were made with the %s %.16s, others here with "
                             "%.16s: they cannot be compared",
                             a->path, what, says, other);
    if (says[0])
        snprintf(known, size, "%s", says);
    return LDM_OK;
}

/* Which network the file's numbers are of, and how its pictures were resized. */
static ldm_status read_origin(archive *a, ldm_quality_set *s, ldm_error *err)
{
    char network[65], mode[16];
    ldm_status st = read_text(a, "network", network, sizeof network, err);

    if (!st)
        st = read_text(a, "mode", mode, sizeof mode, err);
    if (!st)
        st = agree(a, s->network, sizeof s->network, network, ldm_inception_sha256(s->net),
                   "network", err);
    if (!st)
        st = agree(a, s->mode, sizeof s->mode, mode, s->net ? ldm_fid_mode_name(s->how.mode) : "",
                   "mode", err);
    return st;
}

static ldm_status read_all_stats(archive *a, ldm_quality_set *s, bool found[LDM_STAT_KINDS],
                                 ldm_error *err)
{
    static const char *const names[LDM_STAT_KINDS][2] = {{"mu", "sigma"}, {"mu_s", "sigma_s"}};
    uint64_t count;
    int k;
    ldm_status st = read_count(a, &count, err);

    for (k = 0; !st && k < LDM_STAT_KINDS; k++) {
        if (s->how.measures & ldm_stat_measure((ldm_stat_kind)k))
            st = read_stats(a, s, (ldm_stat_kind)k, count, names[k], &found[k], err);
    }
    return !st && (found[0] || found[1]) ? read_origin(a, s, err) : st;
}

/* ---- pictures -------------------------------------------------------------------------------- */

static ldm_status add_images(ldm_quality_set *s, const char *path, ldm_error *err)
{
    ldm_image *ims;
    size_t count, i;
    ldm_status st = ldm_images_read(path, &ims, &count, err);

    for (i = 0; !st && i < count; i++)
        st = ldm_quality_set_add(s, &ims[i], err);
    if (ims)
        ldm_images_free(ims, count);
    return st;
}

/* Bytes are taken where they lie: ADM's reference files have 10,000 pictures. */
static ldm_status add_bytes(ldm_quality_set *s, const archive *a, const ldm_npy_shape *shape,
                            ldm_error *err)
{
    uint64_t i;
    ldm_status st = LDM_OK;

    if (!shape->numel)
        return ldm_error_set(err, LDM_ERR_FORMAT, "%.300s: arr_0 holds no picture", a->path);
    if (shape->ndim != 4 || shape->shape[3] != 3 || shape->shape[1] > 1 << 15 ||
        shape->shape[2] > 1 << 15)
        return ldm_error_set(err, LDM_ERR_FORMAT,
                             "%.300s: arr_0 has %d dimensions, expected pictures [N,H,W,3]",
                             a->path, shape->ndim);
    for (i = 0; !st && i < shape->shape[0]; i++)
        st = ldm_quality_set_take(s, (uint32_t)shape->shape[2], (uint32_t)shape->shape[1],
                                  shape->data + i * shape->shape[1] * shape->shape[2] * 3, err);
    return st;
}

/* ---- features -------------------------------------------------------------------------------- */

/* The first feature that the set needs; LDM_TAPS where it needs none. */
static ldm_tap first_wanted(const ldm_quality_set *s)
{
    int t = 0;

    while (t < LDM_TAPS && !ldm_quality_set_wants(s, (ldm_tap)t))
        t++;
    return (ldm_tap)t;
}

/* Whether the file holds features of any kind. */
static bool has_features(const archive *a)
{
    char file[64];
    int t;

    for (t = 0; t < LDM_TAPS; t++) {
        snprintf(file, sizeof file, "%s.npy", ldm_tap_name((ldm_tap)t));
        if (ldm_zip_find(&a->zip, file))
            return true;
    }
    return false;
}

/* One feature of *rows pictures, behind what the set holds; *rows 0: as many as the file has. */
static ldm_status read_feature(archive *a, ldm_quality_set *s, ldm_tap t, size_t *rows,
                               ldm_error *err)
{
    const size_t dim = ldm_tap_dim(t);
    ldm_source part;
    ldm_npy_shape shape;
    ldm_npy values;
    ldm_status st = find_array(a, ldm_tap_name(t), &part, &shape, err);

    if (st)
        return st;
    if (!shape.data || shape.ndim != 2 || shape.shape[1] != dim || !shape.shape[0] ||
        (*rows && shape.shape[0] != *rows))
        return ldm_error_set(
            err, LDM_ERR_FORMAT,
            "%.300s holds no array %s of [pictures, %zu] features, as `ldm metrics "
            "--write-features` writes it",
            a->path, ldm_tap_name(t), dim);
    st = ldm_npy_read_memory(part.data, (size_t)part.size, a->path, &values, err);
    if (st)
        return st;
    if (!*rows)
        st = ldm_quality_set_make_room(s, (size_t)shape.shape[0], err);
    *rows = (size_t)shape.shape[0];
    if (!st)
        memcpy(s->features[t] + s->pictures * dim, values.data, *rows * dim * sizeof(float));
    ldm_npy_free(&values);
    return st;
}

static ldm_status add_features(archive *a, ldm_quality_set *s, ldm_error *err)
{
    const unsigned kernels = LDM_QUALITY_KID | LDM_QUALITY_PR | LDM_QUALITY_IS;
    size_t rows = 0;
    int t = first_wanted(s);
    ldm_status st = LDM_OK;

    if (!s->net && s->how.measures & kernels)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%.300s: KID, Inception score, precision and recall of features from "
                             "files need the network as well, whose kernels compute them "
                             "(--inception FILE)",
                             a->path);
    if (s->finished)
        return ldm_error_set(err, LDM_ERR_USAGE, "the set is finished: it takes no more features");
    st = ldm_quality_set_flush(s, err); /* the order is that of the calls */
    if (!st)
        st = read_origin(a, s, err);
    for (; !st && t < LDM_TAPS; t++) {
        if (ldm_quality_set_wants(s, (ldm_tap)t))
            st = read_feature(a, s, (ldm_tap)t, &rows, err);
    }
    if (st)
        return st;
    s->pictures += rows;
    s->from_files += rows;
    return LDM_OK;
}

/* Which measures need features although there are statistics. */
static bool needs_pictures(const ldm_quality_set *s, const bool found[LDM_STAT_KINDS])
{
    unsigned without = LDM_QUALITY_KID | LDM_QUALITY_PR | LDM_QUALITY_IS | LDM_QUALITY_FEATURES;

    without |= found[LDM_STAT_MAIN] ? 0 : LDM_QUALITY_FID;
    without |= found[LDM_STAT_SPATIAL] ? 0 : LDM_QUALITY_SFID;
    return s->how.measures & without;
}

static ldm_status add_archive(ldm_quality_set *s, const char *path, ldm_error *err)
{
    bool found[LDM_STAT_KINDS] = {false, false};
    ldm_npy_shape shape;
    ldm_source part;
    archive a;
    ldm_status st = archive_open(path, &a, err);

    if (st)
        return st;
    st = read_all_stats(&a, s, found, err);
    if (!st)
        st = find_array(&a, "arr_0", &part, &shape, err);
    if (!st && shape.data && shape.bytes && needs_pictures(s, found))
        st = add_bytes(s, &a, &shape, err);
    else if (!st && !shape.data && !found[0] && !found[1] && has_features(&a))
        st = add_features(&a, s, err);
    else if (!st && !found[0] && !found[1])
        st = add_images(s, path, err); /* of another type, or another name */
    archive_close(&a);
    return st;
}

ldm_status ldm_quality_set_add_file(ldm_quality_set *s, const char *path, ldm_error *err)
{
    LDM_REQUIRE(s, "s", err);
    LDM_REQUIRE(path, "path", err);
    if (s->finished)
        return ldm_error_set(err, LDM_ERR_USAGE, "the set is finished: it takes no more files");
    return ends_in(path, ".npz") ? add_archive(s, path, err) : add_images(s, path, err);
}

/* ---- writing --------------------------------------------------------------------------------- */

static ldm_npz_array text_array(const char *name, const char *text)
{
    return (ldm_npz_array){name, LDM_NPY_U8, 1, {strlen(text)}, text};
}

/* What read_origin reads; returns how many arrays. */
static size_t put_origin(const ldm_quality_set *s, ldm_npz_array *to)
{
    size_t n = 0;

    if (s->net || s->network[0])
        to[n++] = text_array("network", s->net ? ldm_inception_sha256(s->net) : s->network);
    if (s->net || s->mode[0])
        to[n++] = text_array("mode", s->net ? ldm_fid_mode_name(s->how.mode) : s->mode);
    return n;
}

ldm_status ldm_quality_set_write_stats(const ldm_quality_set *s, const char *path, ldm_error *err)
{
    static const char *const names[LDM_STAT_KINDS][2] = {{"mu", "sigma"}, {"mu_s", "sigma_s"}};
    ldm_npz_array arrays[2 * LDM_STAT_KINDS + 3];
    size_t n = 0;
    int64_t count;
    int k;

    LDM_REQUIRE(s, "s", err);
    LDM_REQUIRE(path, "path", err);
    for (k = 0; k < LDM_STAT_KINDS; k++) {
        const uint64_t dim = ldm_tap_dim(ldm_stat_tap((ldm_stat_kind)k));

        if (!s->stats[k].mean)
            continue;
        arrays[n++] = (ldm_npz_array){names[k][0], LDM_NPY_F64, 1, {dim}, s->stats[k].mean};
        arrays[n++] = (ldm_npz_array){names[k][1], LDM_NPY_F64, 2, {dim, dim}, s->stats[k].cov};
    }
    if (!n)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%.300s: statistics need 2 pictures at least, found %zu", path,
                             s->pictures);
    count = (int64_t)ldm_quality_set_count(s);
    if (count)
        arrays[n++] = (ldm_npz_array){"count", LDM_NPY_I64, 0, {0}, &count};
    n += put_origin(s, arrays + n);
    return ldm_npz_write_arrays(path, arrays, n, err);
}

ldm_status ldm_quality_set_write_features(ldm_quality_set *s, const char *path, ldm_error *err)
{
    ldm_npz_array arrays[LDM_TAPS + 2];
    size_t n = 0;
    int t;
    ldm_status st;

    LDM_REQUIRE(s, "s", err);
    LDM_REQUIRE(path, "path", err);
    st = ldm_quality_set_flush(s, err);
    if (st)
        return st;
    for (t = 0; s->pictures && t < LDM_TAPS; t++) {
        if (s->features[t])
            arrays[n++] = (ldm_npz_array){ldm_tap_name((ldm_tap)t),
                                          LDM_NPY_F32,
                                          2,
                                          {s->pictures, ldm_tap_dim((ldm_tap)t)},
                                          s->features[t]};
    }
    if (!n)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%.300s: the set holds no features of pictures to be written", path);
    n += put_origin(s, arrays + n);
    return ldm_npz_write_arrays(path, arrays, n, err);
}
