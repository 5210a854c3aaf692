/* SPDX-License-Identifier: MIT */
/* Statistics, SiLU, softmax, sums and nearest codebook entries in portable C: the definition of the
 * vector versions. */
#include "cpu/kernels.h"

#include <math.h>

void ldm_moments_ref(const float *x, size_t pitch, size_t pixels, size_t c, float *mean,
                     float *deviation)
{
    size_t p, j;

    for (j = 0; j < c; j++) {
        const float first = x[j];
        float sum = 0.0f, square = 0.0f;

        for (p = 1; p < pixels; p++) {
            const float d = x[p * pitch + j] - first;

            sum += d;
            square += d * d;
        }
        mean[j] = first + sum / (float)pixels;
        deviation[j] = square - sum * (sum / (float)pixels);
        if (deviation[j] < 0.0f)
            deviation[j] = 0.0f;
    }
}

static float silu1(float v)
{
    return v / (1.0f + expf(-v));
}

void ldm_affine_ref(const float *x, size_t x_pitch, float *y, size_t y_pitch, size_t pixels,
                    size_t c, const float *a, const float *b, bool silu)
{
    size_t p, j;

    for (p = 0; p < pixels; p++, x += x_pitch, y += y_pitch) {
        for (j = 0; j < c; j++) {
            float v = x[j] * a[j] + b[j];

            y[j] = silu ? silu1(v) : v;
        }
    }
}

float ldm_softmax_ref(float *row, size_t n, float scale)
{
    float max = row[0], sum = 0.0f;
    size_t i;

    for (i = 1; i < n; i++) {
        if (row[i] > max)
            max = row[i];
    }
    for (i = 0; i < n; i++) {
        row[i] = expf((row[i] - max) * scale);
        sum += row[i];
    }
    return sum;
}

float ldm_softmax_part_ref(float *row, size_t n, float scale, float *top, float *ratio)
{
    const float factor = scale * 0x1.715476p+0f, before = *top; /* log2(e) */
    float sum = 0.0f;
    size_t i;

    for (i = 0; i < n; i++) {
        if (row[i] * factor > *top)
            *top = row[i] * factor;
    }
    for (i = 0; i < n; i++) {
        row[i] = exp2f(row[i] * factor - *top);
        sum += row[i];
    }
    *ratio = exp2f(before - *top);
    return sum;
}

void ldm_layer_norm_ref(const float *x, const float *gamma, const float *beta, float eps, float *y,
                        size_t n)
{
    float sum = 0.0f, square = 0.0f, mean, rstd;
    size_t i;

    for (i = 0; i < n; i++)
        sum += x[i];
    mean = sum / (float)n;
    for (i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    rstd = 1.0f / sqrtf(square / (float)n + eps);
    for (i = 0; i < n; i++)
        y[i] = (x[i] - mean) * rstd * gamma[i] + beta[i];
}

/* v * Phi(v) */
static float gelu1(float v)
{
    return v * 0.5f * erfcf(v * -0x1.6a09e6p-1f);
}

void ldm_gelu_ref(const float *x, float *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = gelu1(x[i]);
}

void ldm_quick_gelu_ref(const float *x, float *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = x[i] / (1.0f + expf(-1.702f * x[i]));
}

void ldm_geglu_ref(const float *a, const float *b, float *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = a[i] * gelu1(b[i]);
}

/* A NaN stays one. */
void ldm_relu_ref(const float *x, float *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

void ldm_silu_ref(const float *x, float *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = silu1(x[i]);
}

void ldm_add_ref(const float *a, const float *b, float *y, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

void ldm_multiply_ref(float *y, size_t n, float s)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] *= s;
}

void ldm_largest_of_ref(const float *const *taps, int count, float *y, size_t n)
{
    size_t i;
    int t;

    for (i = 0; i < n; i++) {
        float v = taps[0][i];

        for (t = 1; t < count; t++)
            v = taps[t][i] > v || taps[t][i] != taps[t][i] ? taps[t][i] : v;
        y[i] = v;
    }
}

void ldm_mean_of_ref(const float *const *taps, int count, float *y, size_t n)
{
    size_t i;
    int t;

    for (i = 0; i < n; i++) {
        float v = taps[0][i];

        for (t = 1; t < count; t++)
            v += taps[t][i];
        y[i] = v / (float)count;
    }
}

void ldm_vq_ref(const float *z, size_t pitch, size_t pixels, size_t c, const float *codebook,
                int entries, int64_t *indices)
{
    size_t p, k;
    int j;

    for (p = 0; p < pixels; p++, z += pitch) {
        const float *e = codebook;
        float best = 0.0f, zz = 0.0f;

        for (k = 0; k < c; k++)
            zz += z[k] * z[k];
        indices[p] = 0;
        for (j = 0; j < entries; j++, e += c) {
            float ee = 0.0f, ze = 0.0f, d;

            for (k = 0; k < c; k++) {
                ee += e[k] * e[k];
                ze += z[k] * e[k];
            }
            d = (zz + ee) - 2.0f * ze;
            if (j == 0 || d < best) {
                best = d;
                indices[p] = j;
            }
        }
    }
}
