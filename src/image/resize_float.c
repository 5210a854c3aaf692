/* SPDX-License-Identifier: MIT */
/* Resizing to floats as TensorFlow 1, PyTorch and PIL do it; see resize_float.h. All arithmetic is
 * in the types and the order of the originals. */
#include "image/resize_float.h"

#include <string.h>

#include "base/alloc.h"
#include "image/resample.h"

enum { CHANNELS = 3 };

/* Where one result lies between two source samples. */
typedef struct between {
    size_t low, high;
    float weight; /* of the higher; the lower has 1 - weight */
} between;

static void place(between *list, ldm_float_resize how, uint32_t in, uint32_t out)
{
    const float scale =
        how == LDM_FLOAT_RESIZE_TF1 ? (float)((double)in / out) : (float)in / (float)out;
    uint32_t i;

    for (i = 0; i < out; i++) {
        float at = (float)i * scale;

        if (how == LDM_FLOAT_RESIZE_TORCH) {
            /* in float with a fused multiply-add, as PyTorch is compiled */
            at = (float)(((double)i + 0.5) * (double)scale - 0.5);
            at = at < 0 ? 0 : at;
        }
        list[i].low = (size_t)at < in - 1 ? (size_t)at : in - 1;
        list[i].high = list[i].low + (list[i].low + 1 < in);
        list[i].weight = at - (float)list[i].low;
    }
}

static float mix(ldm_float_resize how, float low, float high, float weight)
{
    if (how == LDM_FLOAT_RESIZE_TF1)
        return low + (high - low) * weight;
    return (1 - weight) * low + weight * high;
}

static ldm_status bilinear(const ldm_picture *p, ldm_float_resize how, uint32_t width,
                           uint32_t height, float *out, ldm_error *err)
{
    const size_t row = (size_t)p->width * CHANNELS;
    between *across = ldm_reallocarray(NULL, (size_t)width + height, sizeof *across), *down;
    uint32_t x, y;
    int c;

    if (!across)
        return ldm_error_nomem(err, ((uint64_t)width + height) * sizeof *across, "resizing");
    down = across + width;
    place(across, how, p->width, width);
    place(down, how, p->height, height);
    for (y = 0; y < height; y++) {
        const uint8_t *top = p->rgb + down[y].low * row, *bottom = p->rgb + down[y].high * row;

        for (x = 0; x < width; x++) {
            const size_t low = across[x].low * CHANNELS, high = across[x].high * CHANNELS;
            const float w = across[x].weight;

            for (c = 0; c < CHANNELS; c++)
                *out++ = mix(how, mix(how, top[low + (size_t)c], top[high + (size_t)c], w),
                             mix(how, bottom[low + (size_t)c], bottom[high + (size_t)c], w),
                             down[y].weight);
        }
    }
    ldm_free(across);
    return LDM_OK;
}

/* One axis of PIL's filter. */
typedef struct axis {
    double *weights; /* [out][taps] */
    size_t *first, *used;
    size_t taps;
} axis;

static void axis_free(axis *a)
{
    ldm_free(a->weights);
    ldm_free(a->first);
    ldm_free(a->used);
}

static ldm_status axis_create(uint32_t in, uint32_t out, axis *a, ldm_error *err)
{
    const double scale = (double)in / out;
    uint32_t i;

    a->taps = ldm_resample_taps(LDM_RESAMPLE_BICUBIC, scale);
    a->weights = ldm_reallocarray(NULL, out, a->taps * sizeof *a->weights);
    a->first = ldm_reallocarray(NULL, out, sizeof *a->first);
    a->used = ldm_reallocarray(NULL, out, sizeof *a->used);
    if (!a->weights || !a->first || !a->used)
        return ldm_error_nomem(err, (uint64_t)out * a->taps * sizeof *a->weights, "resizing");
    for (i = 0; i < out; i++)
        a->first[i] = ldm_resample_weights(LDM_RESAMPLE_BICUBIC, scale, ((double)i + 0.5) * scale,
                                           in, a->weights + i * a->taps, &a->used[i]);
    return LDM_OK;
}

/* The picture's rows to the result's width: [height of p][width][3]. */
static void filter_rows(const ldm_picture *p, const axis *a, uint32_t width, float *to)
{
    const size_t row = (size_t)p->width * CHANNELS;
    size_t y, x, c, k;

    for (y = 0; y < p->height; y++) {
        for (x = 0; x < width; x++) {
            const double *w = a->weights + x * a->taps;
            const uint8_t *from = p->rgb + y * row + a->first[x] * CHANNELS;

            for (c = 0; c < CHANNELS; c++) {
                double sum = 0;

                for (k = 0; k < a->used[x]; k++)
                    sum += from[k * CHANNELS + c] * w[k];
                *to++ = (float)sum;
            }
        }
    }
}

static void filter_columns(const float *from, const axis *a, uint32_t width, uint32_t height,
                           double *sums, float *to)
{
    const size_t row = (size_t)width * CHANNELS;
    size_t y, i, k;

    for (y = 0; y < height; y++) {
        const double *w = a->weights + y * a->taps;

        memset(sums, 0, row * sizeof *sums);
        for (k = 0; k < a->used[y]; k++) {
            const float *line = from + (a->first[y] + k) * row;

            for (i = 0; i < row; i++)
                sums[i] += line[i] * w[k];
        }
        for (i = 0; i < row; i++) {
            const float v = (float)sums[i];

            *to++ = v < 0 ? 0 : v > 255 ? 255 : v;
        }
    }
}

static ldm_status bicubic(const ldm_picture *p, uint32_t width, uint32_t height, float *out,
                          ldm_error *err)
{
    const size_t row = (size_t)width * CHANNELS;
    float *rows = ldm_reallocarray(NULL, p->height, row * sizeof *rows);
    double *sums = ldm_reallocarray(NULL, row, sizeof *sums);
    axis across = {0}, down = {0};
    ldm_status st = axis_create(p->width, width, &across, err);

    if (!st)
        st = axis_create(p->height, height, &down, err);
    if (!st && (!rows || !sums))
        st = ldm_error_nomem(err, (uint64_t)p->height * row * sizeof *rows, "resizing");
    if (!st) {
        filter_rows(p, &across, width, rows);
        filter_columns(rows, &down, width, height, sums, out);
    }
    axis_free(&across);
    axis_free(&down);
    ldm_free(rows);
    ldm_free(sums);
    return st;
}

ldm_status ldm_resize_to_floats(const ldm_picture *p, ldm_float_resize how, uint32_t width,
                                uint32_t height, float *out, ldm_error *err)
{
    if (!p->width || !p->height || !width || !height)
        return ldm_error_set(err, LDM_ERR_RANGE,
                             "resizing %u x %u pixels to %u x %u: no side may "
                             "be 0",
                             p->width, p->height, width, height);
    if (how == LDM_FLOAT_RESIZE_PIL)
        return bicubic(p, width, height, out, err);
    return bilinear(p, how, width, height, out, err);
}
