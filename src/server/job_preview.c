/* SPDX-License-Identifier: MIT */
/* Latents as colours; see job_preview.h. */
#include "server/job_preview.h"

#include <math.h>
#include <stddef.h>

static const double reach = 2.5;

static void paint_channel(const float *v, size_t n, uint8_t *out)
{
    double sum = 0, squares = 0, mean, deviation;

    for (size_t i = 0; i < n; i++) {
        sum += v[i];
        squares += (double)v[i] * v[i];
    }
    mean = sum / (double)n;
    deviation = sqrt(fmax(squares / (double)n - mean * mean, 0));
    for (size_t i = 0; i < n; i++) {
        const double at = deviation > 0 ? 0.5 + (v[i] - mean) / (2 * reach * deviation) : 0.5;

        out[3 * i] = (uint8_t)(at >= 1 ? 255 : at > 0 ? at * 255 : 0); /* NaN is black */
    }
}

void ldm_preview_paint(const float *latent, int c, int h, int w, uint8_t *rgb)
{
    const size_t n = (size_t)h * (size_t)w;

    for (size_t k = 0; k < 3; k++)
        paint_channel(latent + (c >= 3 ? k * n : 0), n, rgb + k);
}
