/* SPDX-License-Identifier: MIT */
/* How far apart two pictures are; see apart.h. */
#include "image/apart.h"

#include <math.h>
#include <stdlib.h>

ldm_difference ldm_difference_of(ldm_bytes_at a, ldm_bytes_at b, size_t width, size_t height,
                                 size_t channels)
{
    const double count = (double)width * (double)height * (double)channels;
    ldm_difference d = {0};
    double squares = 0, absolute = 0;

    for (size_t y = 0; y < height; y++) {
        const uint8_t *p = a.first + y * a.row, *q = b.first + y * b.row;

        for (size_t x = 0; x < width; x++, p += a.pixel, q += b.pixel) {
            for (size_t k = 0; k < channels; k++) {
                const int by = abs(p[k] - q[k]);

                squares += (double)by * by;
                absolute += by;
                if (by > d.largest)
                    d.largest = by;
            }
        }
    }
    d.mse = squares / count;
    d.mean_absolute = absolute / count;
    d.psnr = d.mse > 0 ? 10 * log10(255.0 * 255.0 / d.mse) : INFINITY;
    return d;
}
