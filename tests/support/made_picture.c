/* SPDX-License-Identifier: MIT */
/* See made_picture.h. */
#include "made_picture.h"

float made_noise(uint32_t stream, uint32_t at)
{
    uint32_t x = at * 2654435761u + stream * 0x9e3779b9u;

    x ^= x >> 16;
    x *= 0x45d9f3bu;
    x ^= x >> 16;
    return (float)((double)x / 2147483648.0 - 1);
}

void made_picture(int number, int width, int height, uint8_t *rgb)
{
    int x, y, c;

    for (y = 0; y < height; y++) {
        for (x = 0; x < width; x++) {
            for (c = 0; c < 3; c++) {
                const uint32_t at = (uint32_t)((y * width + x) * 3 + c);
                const int slope = (x * (3 + number) + y * (2 + 5 * number) + c * 60) % 256;
                const int v = slope + (int)(made_noise((uint32_t)(1000 + number), at) * 40);

                rgb[at] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
    }
}
