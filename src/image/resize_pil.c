/* SPDX-License-Identifier: MIT */
/* PIL's resampling of 8-bit pictures (Pillow's algorithm since version 2.7): one filter evaluated
 * for each output column and row, weights normalised in double and then rounded to fixed point, a
 * pass over rows and a pass over columns with 8-bit samples between. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "image/resample.h"
#include "image/resize.h"

/* Fraction bits of weights: 32 bits less 8 of a sample and 2 for sums beyond 255. */
enum { PRECISION_BITS = 32 - 8 - 2 };

typedef struct kernel {
    double (*weight)(double x);
    double support;
} kernel;

static double box_weight(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double bilinear_weight(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double bicubic_weight(double x)
{
    const double a = -0.5;

    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x)
{
    const double pi = 3.14159265358979323846;

    if (x == 0.0)
        return 1.0;
    x *= pi;
    return sin(x) / x;
}

static double lanczos_weight(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static const kernel kernels[] = {
    [LDM_RESAMPLE_BOX] = {box_weight, 0.5},
    [LDM_RESAMPLE_BILINEAR] = {bilinear_weight, 1.0},
    [LDM_RESAMPLE_BICUBIC] = {bicubic_weight, 2.0},
    [LDM_RESAMPLE_LANCZOS] = {lanczos_weight, 3.0},
};

/* The taps of one axis: output i is the sum of weight[i * taps + k] * input[first[i] + k] over
 * k < used[i]. */
typedef struct axis {
    size_t taps;
    size_t *first, *used;
    int32_t *weight;
} axis;

static void axis_free(axis *a)
{
    ldm_free(a->first);
    ldm_free(a->used);
    ldm_free(a->weight);
    memset(a, 0, sizeof *a);
}

size_t ldm_resample_taps(ldm_resample filter, double scale)
{
    return (size_t)ceil(kernels[filter].support * (scale < 1.0 ? 1.0 : scale)) * 2 + 1;
}

size_t ldm_resample_weights(ldm_resample filter, double scale, double centre, uint32_t size,
                            double *weights, size_t *used)
{
    const kernel *f = &kernels[filter];
    const double stretch = scale < 1.0 ? 1.0 : scale, support = f->support * stretch;
    const double per_pixel = 1.0 / stretch;
    int64_t from = (int64_t)(centre - support + 0.5), to = (int64_t)(centre + support + 0.5);
    double sum = 0.0;
    size_t k;

    from = from < 0 ? 0 : from;
    to = to > (int64_t)size ? (int64_t)size : to;
    *used = (size_t)(to - from);
    for (k = 0; k < *used; k++) {
        weights[k] = f->weight(((double)k + (double)from - centre + 0.5) * per_pixel);
        sum += weights[k];
    }
    for (k = 0; sum != 0.0 && k < *used; k++)
        weights[k] /= sum;
    return (size_t)from;
}

/* Weights of one output, rounded away from zero at one half. real: room for a->taps numbers. */
static void set_weights(axis *a, size_t i, double centre, double scale, uint32_t size,
                        ldm_resample filter, double *real)
{
    size_t k;

    a->first[i] = ldm_resample_weights(filter, scale, centre, size, real, &a->used[i]);
    for (k = 0; k < a->used[i]; k++) {
        const double w = real[k] * (1 << PRECISION_BITS);

        a->weight[i * a->taps + k] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
}

/* The part [low, high) of `size` samples, as `out` samples. */
static ldm_status axis_create(uint32_t size, float low, float high, uint32_t out,
                              ldm_resample filter, axis *a, ldm_error *err)
{
    const double scale = (double)(high - low) / out;
    double *real = NULL;
    size_t count = 0, i;

    a->taps = ldm_resample_taps(filter, scale);
    if (!ldm_mul_size(out, a->taps, &count)) {
        real = ldm_reallocarray(NULL, a->taps, sizeof *real);
        a->first = ldm_calloc(out, sizeof *a->first);
        a->used = ldm_calloc(out, sizeof *a->used);
        a->weight = ldm_calloc(count, sizeof *a->weight);
    }
    if (!real || !a->first || !a->used || !a->weight) {
        ldm_free(real);
        return ldm_error_nomem(err, count * sizeof *a->weight, "resizing weights");
    }
    for (i = 0; i < out; i++)
        set_weights(a, i, low + ((double)i + 0.5) * scale, scale, size, filter, real);
    ldm_free(real);
    return LDM_OK;
}

/* A sum in fixed point, with one half added before, as a sample. A negative number is shifted as
 * two's complement, that is towards minus infinity; it becomes 0 in any case. */
static uint8_t clip8(int32_t sum)
{
    sum = sum < 0 ? 0 : sum >> PRECISION_BITS;
    return (uint8_t)(sum > 255 ? 255 : sum);
}

/* Rows first_row .. first_row + out->height of in. */
static void resample_rows(const ldm_pixels *in, size_t first_row, const axis *a, ldm_pixels *out)
{
    const size_t channels = in->channels;
    size_t x, y, c, k;

    for (y = 0; y < out->height; y++) {
        const uint8_t *row = in->data + (first_row + y) * in->width * channels;
        uint8_t *to = out->data + y * out->width * channels;

        for (x = 0; x < out->width; x++) {
            const int32_t *w = a->weight + x * a->taps;
            const uint8_t *from = row + a->first[x] * channels;

            for (c = 0; c < channels; c++) {
                int32_t sum = 1 << (PRECISION_BITS - 1);

                for (k = 0; k < a->used[x]; k++)
                    sum += from[k * channels + c] * w[k];
                to[x * channels + c] = clip8(sum);
            }
        }
    }
}

/* Columns; row 0 of in is row first_row of what the axis was made for. */
static ldm_status resample_columns(const ldm_pixels *in, size_t first_row, const axis *a,
                                   ldm_pixels *out, ldm_error *err)
{
    const size_t row = (size_t)out->width * out->channels;
    int32_t *sums = ldm_calloc(row, sizeof *sums);
    size_t y, i, k;

    if (!sums)
        return ldm_error_nomem(err, row * sizeof *sums, "resizing");
    for (y = 0; y < out->height; y++) {
        const int32_t *w = a->weight + y * a->taps;
        const uint8_t *from = in->data + (a->first[y] - first_row) * row;

        for (i = 0; i < row; i++)
            sums[i] = 1 << (PRECISION_BITS - 1);
        for (k = 0; k < a->used[y]; k++)
            for (i = 0; i < row; i++)
                sums[i] += from[k * row + i] * w[k];
        for (i = 0; i < row; i++)
            out->data[y * row + i] = clip8(sums[i]);
    }
    ldm_free(sums);
    return LDM_OK;
}

/* The pass over rows makes only those that the pass over columns reads. */
static ldm_status rows_then_columns(const ldm_pixels *in, const axis *across, const axis *down,
                                    ldm_pixels *out, ldm_error *err)
{
    const size_t last = out->height - 1, first_row = down->first[0];
    const size_t count = down->first[last] + down->used[last] - first_row;
    ldm_pixels mid;
    ldm_status st = ldm_pixels_create(out->width, (uint32_t)count, in->channels, &mid, err);

    if (st)
        return st;
    resample_rows(in, first_row, across, &mid);
    st = resample_columns(&mid, first_row, down, out, err);
    ldm_pixels_free(&mid);
    return st;
}

static ldm_status columns_then_rows(const ldm_pixels *in, const axis *across, const axis *down,
                                    ldm_pixels *out, ldm_error *err)
{
    ldm_pixels mid;
    ldm_status st = ldm_pixels_create(in->width, out->height, in->channels, &mid, err);

    if (!st)
        st = resample_columns(in, 0, down, &mid, err);
    if (!st)
        resample_rows(&mid, 0, across, out);
    ldm_pixels_free(&mid);
    return st;
}

/* Pillow 13: columns first if the height loses more than twice the pixels that the width loses. */
static bool columns_first(const ldm_pixels *in, const ldm_pixels *out)
{
    const int64_t less_w = (int64_t)in->width - out->width;
    const int64_t less_h = (int64_t)in->height - out->height;

    return less_h > 0 && less_h > 2 * less_w;
}

/* A pass that would change nothing is left out, as it is in PIL. */
static ldm_status resample_axes(const ldm_pixels *in, const ldm_resize_box *box,
                                ldm_resize_order order, const axis *across, const axis *down,
                                ldm_pixels *out, ldm_error *err)
{
    const bool rows = out->width != in->width || box->left > 0 || box->right < (float)in->width;
    const bool columns =
        out->height != in->height || box->top > 0 || box->bottom < (float)in->height;

    if (!rows)
        return resample_columns(in, 0, down, out, err);
    if (columns && order == LDM_RESIZE_PILLOW_13 && columns_first(in, out))
        return columns_then_rows(in, across, down, out, err);
    if (columns)
        return rows_then_columns(in, across, down, out, err);
    resample_rows(in, 0, across, out);
    return LDM_OK;
}

static ldm_status resample(const ldm_pixels *in, const ldm_resize_box *box, ldm_resize_how how,
                           ldm_pixels *out, ldm_error *err)
{
    axis across = {0}, down = {0};
    ldm_status st =
        axis_create(in->width, box->left, box->right, out->width, how.filter, &across, err);

    if (!st)
        st = axis_create(in->height, box->top, box->bottom, out->height, how.filter, &down, err);
    if (!st)
        st = resample_axes(in, box, how.order, &across, &down, out, err);
    axis_free(&across);
    axis_free(&down);
    return st;
}

/* The source of each of `out` samples, by a running sum as PIL has it, which rounds differently
 * from a product; `size` where it would be beyond the picture. */
static void nearest_sources(float low, float high, uint32_t size, uint32_t out, uint32_t *sources)
{
    const double step = (double)(high - low) / out;
    double at = low + step * 0.5;
    uint32_t i;

    for (i = 0; i < out; i++) {
        sources[i] = at < size ? (uint32_t)at : size;
        at += step;
    }
}

static ldm_status nearest(const ldm_pixels *in, const ldm_resize_box *box, ldm_pixels *out,
                          ldm_error *err)
{
    const size_t channels = in->channels;
    uint32_t *columns = ldm_calloc(out->width, sizeof *columns);
    uint32_t *rows = ldm_calloc(out->height, sizeof *rows);
    ldm_status st = LDM_OK;
    size_t x, y;

    if (!columns || !rows) {
        st = ldm_error_nomem(err, ((uint64_t)out->width + out->height) * sizeof *rows, "resizing");
        goto done;
    }
    nearest_sources(box->left, box->right, in->width, out->width, columns);
    nearest_sources(box->top, box->bottom, in->height, out->height, rows);
    for (y = 0; y < out->height; y++)
        for (x = 0; x < out->width; x++)
            if (rows[y] < in->height && columns[x] < in->width) /* else it stays 0 */
                memcpy(out->data + (y * out->width + x) * channels,
                       in->data + ((size_t)rows[y] * in->width + columns[x]) * channels, channels);
done:
    ldm_free(columns);
    ldm_free(rows);
    return st;
}

/* ---- alpha ---- */

/* a * b / 255, rounded. */
static uint8_t scaled(unsigned a, unsigned b)
{
    const unsigned t = a * b + 128;

    return (uint8_t)((t + (t >> 8)) >> 8);
}

static void multiply_alpha(ldm_pixels *p)
{
    const size_t channels = p->channels, count = (size_t)p->width * p->height;
    size_t i, c;

    for (i = 0; i < count; i++)
        for (c = 0; c + 1 < channels; c++)
            p->data[i * channels + c] =
                scaled(p->data[i * channels + c], p->data[i * channels + channels - 1]);
}

/* 255 * colour / alpha, cut off; a colour may exceed its alpha after a filter with negative lobes.
 */
static void divide_alpha(ldm_pixels *p)
{
    const size_t channels = p->channels, count = (size_t)p->width * p->height;
    size_t i, c;

    for (i = 0; i < count; i++) {
        const unsigned alpha = p->data[i * channels + channels - 1];

        if (alpha == 0 || alpha == 255)
            continue;
        for (c = 0; c + 1 < channels; c++) {
            const unsigned v = 255u * p->data[i * channels + c] / alpha;

            p->data[i * channels + c] = (uint8_t)(v > 255 ? 255 : v);
        }
    }
}

/* ---- the whole ---- */

static ldm_status copy_pixels(const ldm_pixels *in, ldm_pixels *out, ldm_error *err)
{
    ldm_status st = ldm_pixels_create(in->width, in->height, in->channels, out, err);

    if (!st)
        memcpy(out->data, in->data, (size_t)in->width * in->height * in->channels);
    return st;
}

/* A box of whole pixels and of the target's size is cut out. */
static bool is_crop(const ldm_resize_box *b, const ldm_pixels *out)
{
    return b->left == floorf(b->left) && b->top == floorf(b->top) &&
           b->right - b->left == (float)out->width && b->bottom - b->top == (float)out->height;
}

static void crop(const ldm_pixels *in, const ldm_resize_box *box, ldm_pixels *out)
{
    const size_t left = (size_t)box->left, top = (size_t)box->top, row = out->width;
    size_t y;

    for (y = 0; y < out->height; y++)
        memcpy(out->data + y * row * out->channels,
               in->data + ((top + y) * in->width + left) * in->channels, row * out->channels);
}

static ldm_status resize_into(const ldm_pixels *in, const ldm_resize_box *box, ldm_resize_how how,
                              ldm_pixels *out, ldm_error *err)
{
    if (is_crop(box, out)) {
        crop(in, box, out);
        return LDM_OK;
    }
    if (how.filter == LDM_RESAMPLE_NEAREST)
        return nearest(in, box, out, err);
    return resample(in, box, how, out, err);
}

static ldm_status check_request(const ldm_pixels *in, const ldm_resize_box *box, ldm_resize_how how,
                                ldm_error *err)
{
    if ((unsigned)how.filter > LDM_RESAMPLE_LANCZOS)
        return ldm_error_set(err, LDM_ERR_RANGE, "no such resize filter: %d", (int)how.filter);
    if (how.order != LDM_RESIZE_ROWS_FIRST && how.order != LDM_RESIZE_PILLOW_13)
        return ldm_error_set(err, LDM_ERR_RANGE, "no such resize order: %d", (int)how.order);
    /* Written so that NaN is refused. */
    if (!(box->left >= 0 && box->left < box->right && box->right <= (float)in->width &&
          box->top >= 0 && box->top < box->bottom && box->bottom <= (float)in->height))
        return ldm_error_set(err, LDM_ERR_RANGE,
                             "the region %g,%g to %g,%g does not lie in a picture of %u x %u",
                             box->left, box->top, box->right, box->bottom, in->width, in->height);
    return LDM_OK;
}

ldm_status ldm_resize(const ldm_pixels *in, const ldm_resize_box *box, ldm_resize_how how,
                      uint32_t width, uint32_t height, ldm_pixels *out, ldm_error *err)
{
    const ldm_resize_box whole = {0, 0, (float)in->width, (float)in->height};
    const bool alpha = in->channels % 2 == 0 && how.filter != LDM_RESAMPLE_NEAREST;
    ldm_pixels weighted = {0};
    ldm_status st;

    memset(out, 0, sizeof *out);
    if (!box)
        box = &whole;
    st = check_request(in, box, how, err);
    if (st)
        return st;
    if (!memcmp(box, &whole, sizeof whole) && width == in->width && height == in->height)
        return copy_pixels(in, out, err);
    st = ldm_pixels_create(width, height, in->channels, out, err);
    if (!st && alpha)
        st = copy_pixels(in, &weighted, err);
    if (!st && alpha)
        multiply_alpha(&weighted);
    if (!st)
        st = resize_into(alpha ? &weighted : in, box, how, out, err);
    if (!st && alpha)
        divide_alpha(out);
    ldm_pixels_free(&weighted);
    if (st)
        ldm_pixels_free(out);
    return st;
}
