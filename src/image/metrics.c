/* SPDX-License-Identifier: MIT */
/* The study's figures of a picture; docs/METRICS.md has each formula with its source. Sums are in
 * double over values that are exact integers before scaling, so that a grey picture has a colour
 * variation of exactly zero and not of rounding. */
#include <math.h>

#include "image/picture.h"

/* Millionths of R, G, B. Luma: ITU-R BT.601. Cb, Cr: JFIF 1.02; their weights sum to zero. */
static const int32_t luma_weights[3] = {299000, 587000, 114000};
static const int32_t cb_weights[3] = {-168736, -331264, 500000};
static const int32_t cr_weights[3] = {500000, -418688, -81312};
static const double full_scale = 255e6;

static int32_t weighted(const ldm_picture *p, size_t pixel, const int32_t weights[3])
{
    const uint8_t *rgb = p->rgb + 3 * pixel;

    return weights[0] * rgb[0] + weights[1] * rgb[1] + weights[2] * rgb[2];
}

/* Pearson correlation of all pairs of neighbours (x, y), (x + dx, y + dy). Where one side of the
 * pairs does not vary there is no correlation to compute: 1 if all values are the same, else 0.
 * Returns false if the picture is too small for a pair. */
static bool neighbour_correlation(const ldm_picture *p, const int32_t weights[3], uint32_t dx,
                                  uint32_t dy, double *out)
{
    const size_t w = p->width, h = p->height, step = dy * w + dx;
    double n = (double)(w - dx) * (double)(h - dy);
    double mean_a = 0, mean_b = 0, aa = 0, bb = 0, ab = 0;
    bool varies_a = false, varies_b = false;
    int32_t first;
    size_t x, y;

    if (w <= dx || h <= dy)
        return false;
    first = weighted(p, 0, weights);
    for (y = 0; y + dy < h; y++)
        for (x = 0; x + dx < w; x++) {
            const int32_t a = weighted(p, y * w + x, weights);
            const int32_t b = weighted(p, y * w + x + step, weights);

            mean_a += a;
            mean_b += b;
            varies_a |= a != first;
            varies_b |= b != weighted(p, step, weights);
        }
    if (!varies_a || !varies_b) {
        *out = !varies_a && !varies_b && first == weighted(p, step, weights) ? 1 : 0;
        return true;
    }
    mean_a /= n;
    mean_b /= n;
    for (y = 0; y + dy < h; y++)
        for (x = 0; x + dx < w; x++) {
            const double a = weighted(p, y * w + x, weights) - mean_a;
            const double b = weighted(p, y * w + x + step, weights) - mean_b;

            aa += a * a;
            bb += b * b;
            ab += a * b;
        }
    *out = ab / sqrt(aa * bb);
    return true;
}

static double coherence(const ldm_picture *p)
{
    const int32_t *const channels[2] = {cb_weights, cr_weights};
    double sum = 0, r;
    int count = 0, i, down;

    for (i = 0; i < 2; i++)
        for (down = 0; down < 2; down++)
            if (neighbour_correlation(p, channels[i], !down, down, &r)) {
                sum += r;
                count++;
            }
    return count ? sum / count : 1; /* a single pixel agrees with itself */
}

void ldm_metrics_compute(const ldm_picture *p, ldm_metrics *out)
{
    const size_t pixels = (size_t)p->width * p->height;
    double luma = 0, luma2 = 0, sum[3] = {0, 0, 0}, mean, d;
    size_t i, c;

    for (i = 0; i < pixels; i++) {
        luma += weighted(p, i, luma_weights);
        for (c = 0; c < 3; c++)
            sum[c] += p->rgb[3 * i + c];
    }
    mean = luma / (double)pixels;
    for (i = 0; i < pixels; i++) {
        d = weighted(p, i, luma_weights) - mean;
        luma2 += d * d;
    }
    out->brightness = mean / full_scale;
    out->contrast = mean > 0 ? sqrt(luma2 / (double)pixels) / mean : 0;
    out->mean_r = sum[0] / (255.0 * (double)pixels);
    out->mean_g = sum[1] / (255.0 * (double)pixels);
    out->mean_b = sum[2] / (255.0 * (double)pixels);
    out->skin_like = sum[0] > sum[1] && sum[1] > sum[2];
    out->colour_coherence = coherence(p);
    out->colour_grade = out->colour_coherence >= 0.95   ? "excellent"
                        : out->colour_coherence >= 0.85 ? "fair"
                                                        : "poor";
}

const char *ldm_metrics_verdict(const ldm_metrics *m)
{
    const int met = (m->contrast > 0.3) + (m->brightness >= 0.4 && m->brightness <= 0.6) +
                    m->skin_like + (m->colour_coherence >= 0.85);

    switch (met) {
    case 4:
        return "VERY LIKELY A GOOD FACE IMAGE!";
    case 3:
        return "LIKELY A GOOD FACE IMAGE";
    case 2:
        return "POSSIBLY A FACE IMAGE";
    default:
        return "UNLIKELY TO BE A GOOD FACE IMAGE";
    }
}
