/* SPDX-License-Identifier: MIT */
/* Statistics of measurements: spread, distance of arrays, distance of pictures. */
#include <math.h>

#include "base/sort.h"
#include "image/apart.h"
#include "measure/bench.h"

ldm_spread ldm_spread_of(double *v, int n)
{
    ldm_sort_doubles(v, (size_t)n);
    return (ldm_spread){n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]), v[0], v[n - 1]};
}

double ldm_relative_l2(const float *got, const float *want, size_t n)
{
    double diff = 0, norm = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        const double e = want[i], d = got[i] - e;

        diff += d * d;
        norm += e * e;
    }
    return norm > 0 ? sqrt(diff / norm) : diff > 0 ? INFINITY : 0;
}

double ldm_bench_psnr(const ldm_result *exact, const ldm_result *other)
{
    const size_t row = 3 * (size_t)exact->width;

    if (!exact->pixels || !other->pixels)
        return NAN; /* of other channels than 1 or 3: no bytes */
    return ldm_difference_of((ldm_bytes_at){exact->pixels, row, 3},
                             (ldm_bytes_at){other->pixels, row, 3}, (size_t)exact->width,
                             (size_t)exact->height, 3)
        .psnr;
}
