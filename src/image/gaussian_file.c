/* SPDX-License-Identifier: MIT */
/* Gaussian statistics as a file; the format is in gaussian.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/gaussian.h"

enum { HEADER_BYTES = 128 };

static size_t value_count(size_t dim)
{
    return dim + dim * (dim + 1) / 2;
}

static void put_double(unsigned char *to, double v)
{
    uint64_t bits;
    int i;

    memcpy(&bits, &v, sizeof bits);
    for (i = 0; i < 8; i++)
        to[i] = (unsigned char)(bits >> (8 * i));
}

static double get_double(const unsigned char *from)
{
    uint64_t bits = 0;
    double v;
    int i;

    for (i = 0; i < 8; i++)
        bits |= (uint64_t)from[i] << (8 * i);
    memcpy(&v, &bits, sizeof v);
    return v;
}

ldm_status ldm_gaussian_write(const char *path, const ldm_gaussian *g, ldm_error *err)
{
    size_t bytes = HEADER_BYTES + 8 * value_count(g->dim), i, k;
    unsigned char *data, *at;
    ldm_status st;
    int len;

    if (g->count < 2)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s: statistics need 2 pictures at least, found %llu", path,
                             (unsigned long long)g->count);
    data = ldm_malloc(bytes);
    if (!data)
        return ldm_error_nomem(err, bytes, "statistics");
    memset(data, ' ', HEADER_BYTES);
    len = snprintf((char *)data, HEADER_BYTES, "ldm-stats 1 %zu %llu %s", g->dim,
                   (unsigned long long)g->count, g->network);
    data[len] = ' '; /* snprintf's end */
    data[HEADER_BYTES - 1] = '\n';
    at = data + HEADER_BYTES;
    for (i = 0; i < g->dim; i++, at += 8)
        put_double(at, g->mean[i]);
    for (i = 0; i < g->dim; i++) {
        for (k = 0; k <= i; k++, at += 8)
            put_double(at, g->scatter[i * g->dim + k] / (double)(g->count - 1));
    }
    st = ldm_file_write(path, data, bytes, err);
    ldm_free(data);
    return st;
}

/* The header's three fields, checked against the file's size before any memory is taken on them. */
static ldm_status read_header(const char *path, const ldm_map *m, size_t *dim, uint64_t *count,
                              char network[65], ldm_error *err)
{
    char line[HEADER_BYTES + 1];
    unsigned long long d, n;

    if (m->size < HEADER_BYTES || memcmp(m->data, "ldm-stats ", 10))
        return ldm_error_set(err, LDM_ERR_FORMAT,
                             "%s holds no statistics: expected \"ldm-stats 1\" at its beginning "
                             "(ldm metrics --write-stats makes such a file)",
                             path);
    memcpy(line, m->data, HEADER_BYTES);
    line[HEADER_BYTES] = '\0';
    if (sscanf(line, "ldm-stats 1 %7llu %15llu %64[0-9a-f]", &d, &n, network) != 3 ||
        line[HEADER_BYTES - 1] != '\n' || strlen(network) != 64)
        return ldm_error_set(err, LDM_ERR_FORMAT,
                             "%s: the first line is \"%.40s...\", expected \"ldm-stats 1 DIM COUNT "
                             "SHA256\"; a newer ldm may have written it",
                             path, line);
    if (!d || d > LDM_GAUSSIAN_MAX_DIM || n < 2)
        return ldm_error_set(err, LDM_ERR_FORMAT,
                             "%s: %llu features of %llu pictures, expected 1 to %d of at least 2",
                             path, d, n, LDM_GAUSSIAN_MAX_DIM);
    if (m->size != HEADER_BYTES + 8 * value_count((size_t)d))
        return ldm_error_set(err, LDM_ERR_FORMAT,
                             "%s is %llu bytes long, expected %zu for %llu features: it was cut or "
                             "added to",
                             path, (unsigned long long)m->size,
                             HEADER_BYTES + 8 * value_count((size_t)d), d);
    *dim = (size_t)d;
    *count = n;
    return LDM_OK;
}

static ldm_status bad_value(const char *path, uint64_t byte, const char *what, ldm_error *err)
{
    return ldm_error_at(err, LDM_ERR_FORMAT, byte, "%s holds %s at byte %llu", path, what,
                        (unsigned long long)byte);
}

/* Numbers, and of a covariance no more than the two variances allow: with a negative one the
 * distance would come out as 0. Row i of the file's lower triangle begins at entry i (i + 1) / 2.
 */
static ldm_status check_values(const char *path, const ldm_map *m, const ldm_gaussian *g,
                               ldm_error *err)
{
    const size_t dim = g->dim;

    for (size_t byte = HEADER_BYTES; byte < m->size; byte += 8) {
        if (!isfinite(get_double(m->data + byte)))
            return bad_value(path, byte, "NaN or infinity", err);
    }
    for (size_t i = 0; i < dim; i++) {
        const double own = g->scatter[i * dim + i];
        const uint64_t row = HEADER_BYTES + 8 * (uint64_t)(dim + i * (i + 1) / 2);

        if (own < 0)
            return bad_value(path, row + 8 * i, "a negative variance", err);
        for (size_t k = 0; k < i; k++) {
            if (fabs(g->scatter[i * dim + k]) > 1.001 * sqrt(own * g->scatter[k * dim + k]) + 1e-12)
                return bad_value(path, row + 8 * k,
                                 "a covariance larger than its two variances allow", err);
        }
    }
    return LDM_OK;
}

ldm_status ldm_gaussian_read(const char *path, ldm_gaussian **out, ldm_error *err)
{
    ldm_gaussian *g = NULL;
    const unsigned char *at;
    char network[65];
    uint64_t count = 0;
    size_t dim = 0, i, k;
    ldm_map m;
    ldm_status st;

    *out = NULL;
    st = ldm_map_open(path, &m, err);
    if (st)
        return st;
    st = read_header(path, &m, &dim, &count, network, err);
    if (!st)
        st = ldm_gaussian_create(dim, &g, err);
    if (!st) {
        g->count = count;
        memcpy(g->network, network, sizeof network);
        at = m.data + HEADER_BYTES;
        for (i = 0; i < dim; i++, at += 8)
            g->mean[i] = get_double(at);
        for (i = 0; i < dim; i++) {
            for (k = 0; k <= i; k++, at += 8)
                g->scatter[i * dim + k] = get_double(at) * (double)(count - 1);
        }
        st = check_values(path, &m, g, err);
    }
    ldm_map_close(&m);
    if (st)
        ldm_gaussian_free(g);
    else
        *out = g;
    return st;
}
