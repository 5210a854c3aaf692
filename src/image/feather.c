/* SPDX-License-Identifier: MIT */
/* Feathered masks; see feather.h. The distance to the nearest kept pixel is computed in two passes:
 * along columns, then over the columns within reach. */
#include "image/feather.h"

#include <math.h>

#include "base/alloc.h"

/* Distance along the column to the nearest pixel that is kept, at most `most`. */
static void along_columns(const ldm_pixels *paint, unsigned most, unsigned *out)
{
    const size_t w = paint->width, h = paint->height;
    size_t x, y;

    for (x = 0; x < w; x++) {
        unsigned d = most;

        for (y = 0; y < h; y++) {
            d = paint->data[y * w + x] ? (d < most ? d + 1 : most) : 0;
            out[y * w + x] = d;
        }
        d = most;
        for (y = h; y-- > 0;) {
            d = paint->data[y * w + x] ? (d < most ? d + 1 : most) : 0;
            if (d < out[y * w + x])
                out[y * w + x] = d;
        }
    }
}

/* The nearest kept pixel by way of the columns from x - most to x + most; squared. */
static unsigned nearest(const unsigned *row, size_t w, size_t x, unsigned most)
{
    const size_t first = x > most ? x - most : 0, last = x + most < w ? x + most : w - 1;
    unsigned best = most * most;
    size_t i;

    for (i = first; i <= last; i++) {
        const unsigned dx = (unsigned)(i > x ? i - x : x - i);
        const unsigned d = dx * dx + row[i] * row[i];

        best = d < best ? d : best;
    }
    return best;
}

ldm_status ldm_feather(const ldm_pixels *paint, unsigned blur, float *weights, ldm_error *err)
{
    const size_t w = paint->width, h = paint->height;
    const unsigned most = blur + 1;
    unsigned *columns = ldm_reallocarray(NULL, w * h, sizeof *columns);
    size_t x, y;

    if (!columns)
        return ldm_error_nomem(err, (uint64_t)w * h * sizeof *columns, "a mask");
    along_columns(paint, most, columns);
    for (y = 0; y < h; y++) {
        for (x = 0; x < w; x++)
            weights[y * w + x] =
                columns[y * w + x]
                    ? sqrtf((float)nearest(columns + y * w, w, x, most)) / (float)most
                    : 0.0f;
    }
    ldm_free(columns);
    return LDM_OK;
}

void ldm_feather_blend(const uint8_t *from, const float *weights, size_t pixels, uint8_t *to)
{
    size_t i, c;

    for (i = 0; i < pixels; i++) {
        for (c = 0; c < 3; c++) {
            const float a = from[3 * i + c], b = to[3 * i + c];

            to[3 * i + c] = weights[i] <= 0   ? from[3 * i + c]
                            : weights[i] >= 1 ? to[3 * i + c]
                                              : (uint8_t)(a + weights[i] * (b - a) + 0.5f);
        }
    }
}
