/* SPDX-License-Identifier: MIT */
/* What a sweep measures itself on the pictures of a cell. */
#include <math.h>
#include <stddef.h>

#include "cli/sweep/sweep.h"

double ldm_sweep_saturation(const ldm_image *im)
{
    const size_t pixels = (size_t)im->width * (size_t)im->height;
    double sum = 0;

    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *p = im->pixels + 3 * i;
        uint8_t most = p[0] > p[1] ? p[0] : p[1], least = p[0] < p[1] ? p[0] : p[1];

        most = p[2] > most ? p[2] : most;
        least = p[2] < least ? p[2] : least;
        sum += most ? (double)(most - least) / most : 0;
    }
    return pixels ? sum / (double)pixels : 0;
}

double ldm_sweep_variety(const ldm_image *pictures, int n)
{
    const size_t values =
        n > 0 ? (size_t)pictures->width * (size_t)pictures->height * (size_t)pictures->channels : 0;
    double sum = 0;

    if (n < 2 || !values)
        return NAN;
    for (size_t v = 0; v < values; v++) {
        double mean = 0, squares = 0;

        for (int i = 0; i < n; i++) {
            const double x = pictures[i].pixels[v] / 255.0;

            mean += x;
            squares += x * x;
        }
        mean /= n;
        sum += fmax(squares - n * mean * mean, 0) / (n - 1);
    }
    return sqrt(2 * sum / (double)values);
}
