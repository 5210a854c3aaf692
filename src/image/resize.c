/* SPDX-License-Identifier: MIT */
/* Bicubic resizing in two passes, rows then columns, with weights computed once per axis. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "image/picture.h"

/* The taps of one axis: output i is the sum of weight[i * taps + k] * input[first[i] + k], input
 * clamped to its edges. */
typedef struct axis {
    size_t taps;
    int64_t *first;
    float *weight;
} axis;

/* Keys 1981, with a = -0.5 (Catmull-Rom): interpolates, exact on quadratics. */
static double cubic(double x)
{
    x = fabs(x);
    if (x < 1)
        return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2)
        return ((-0.5 * x + 2.5) * x - 4) * x + 2;
    return 0;
}

static void axis_free(axis *a)
{
    ldm_free(a->first);
    ldm_free(a->weight);
    memset(a, 0, sizeof *a);
}

/* Pixel centres lie at i + 0.5. When shrinking, the kernel is stretched by the ratio, so that every
 * input pixel counts (no aliasing). */
static ldm_status axis_create(uint32_t in, uint32_t out, axis *a, ldm_error *err)
{
    const double ratio = (double)in / out, stretch = ratio > 1 ? ratio : 1;
    size_t i, k;

    a->taps = (size_t)ceil(4 * stretch) + 1;
    a->first = ldm_calloc(out, sizeof *a->first);
    a->weight = ldm_calloc(out, a->taps * sizeof *a->weight);
    if (!a->first || !a->weight)
        return ldm_error_nomem(err, out * a->taps * sizeof *a->weight, "resizing weights");
    for (i = 0; i < out; i++) {
        const double centre = ((double)i + 0.5) * ratio - 0.5;
        float *w = a->weight + i * a->taps;
        double sum = 0;

        a->first[i] = (int64_t)floor(centre - 2 * stretch) + 1;
        for (k = 0; k < a->taps; k++)
            sum += cubic(((double)(a->first[i] + (int64_t)k) - centre) / stretch);
        for (k = 0; k < a->taps; k++)
            w[k] = (float)(cubic(((double)(a->first[i] + (int64_t)k) - centre) / stretch) / sum);
    }
    return LDM_OK;
}

static size_t clamped(int64_t i, uint32_t size)
{
    return i < 0 ? 0 : i >= (int64_t)size ? size - 1 : (size_t)i;
}

/* mid: [in->height][width][3] */
static void resize_rows(const ldm_picture *in, const axis *a, uint32_t width, float *mid)
{
    size_t y, x, k, c;

    for (y = 0; y < in->height; y++)
        for (x = 0; x < width; x++) {
            float sum[3] = {0, 0, 0};

            for (k = 0; k < a->taps; k++) {
                size_t from = clamped(a->first[x] + (int64_t)k, in->width);
                const uint8_t *p = in->rgb + 3 * (y * in->width + from);

                for (c = 0; c < 3; c++)
                    sum[c] += a->weight[x * a->taps + k] * (float)p[c];
            }
            memcpy(mid + 3 * (y * width + x), sum, sizeof sum);
        }
}

static void resize_columns(const float *mid, uint32_t mid_height, const axis *a, ldm_picture *out)
{
    const size_t row = 3 * (size_t)out->width;
    size_t y, i, k;

    for (y = 0; y < out->height; y++)
        for (i = 0; i < row; i++) {
            float sum = 0;

            for (k = 0; k < a->taps; k++)
                sum += a->weight[y * a->taps + k] *
                       mid[clamped(a->first[y] + (int64_t)k, mid_height) * row + i];
            sum = floorf(sum + 0.5f);
            out->rgb[y * row + i] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
        }
}

ldm_status ldm_resize_bicubic(const ldm_picture *in, uint32_t width, uint32_t height,
                              ldm_picture *out, ldm_error *err)
{
    axis across = {0}, down = {0};
    float *mid = NULL;
    size_t mid_count;
    ldm_status st;

    memset(out, 0, sizeof *out);
    st = ldm_picture_create(width, height, out, err);
    if (!st)
        st = axis_create(in->width, width, &across, err);
    if (!st)
        st = axis_create(in->height, height, &down, err);
    if (st)
        goto done;
    if (!ldm_mul_size((uint64_t)width * in->height, 3, &mid_count))
        mid = ldm_calloc(mid_count, sizeof *mid);
    if (!mid) {
        st = ldm_error_nomem(err, (uint64_t)width * in->height * 3 * sizeof *mid, "resizing");
        goto done;
    }
    resize_rows(in, &across, width, mid);
    resize_columns(mid, in->height, &down, out);
done:
    axis_free(&across);
    axis_free(&down);
    ldm_free(mid);
    if (st)
        ldm_picture_free(out);
    return st;
}
