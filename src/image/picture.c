/* SPDX-License-Identifier: MIT */
/* Pictures in memory: creation, the conversion from the network's planes, contact sheets. */
#include "image/picture.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

ldm_status ldm_picture_create(uint32_t width, uint32_t height, ldm_picture *out, ldm_error *err)
{
    size_t bytes;

    memset(out, 0, sizeof *out);
    if (!width || !height)
        return ldm_error_set(err, LDM_ERR_RANGE,
                             "a picture of %u x %u pixels, expected at least 1 x 1", width, height);
    if (ldm_mul_size(width, height, &bytes) || ldm_mul_size(bytes, 3, &bytes))
        return ldm_error_set(err, LDM_ERR_RANGE, "a picture of %u x %u pixels exceeds memory",
                             width, height);
    out->rgb = ldm_calloc(bytes, 1);
    if (!out->rgb)
        return ldm_error_nomem(err, bytes, "a picture");
    out->width = width;
    out->height = height;
    return LDM_OK;
}

void ldm_picture_free(ldm_picture *p)
{
    ldm_free(p->rgb);
    memset(p, 0, sizeof *p);
}

void ldm_picture_from_planes(const float *x, ldm_picture *out)
{
    const size_t pixels = (size_t)out->width * out->height;
    size_t i, c;

    for (i = 0; i < pixels; i++)
        for (c = 0; c < 3; c++) {
            float v = x[c * pixels + i];

            /* This form turns NaN into -1, which is black. */
            v = v > -1.0f ? (v < 1.0f ? v : 1.0f) : -1.0f;
            out->rgb[3 * i + c] = (uint8_t)(255.0f * ((v + 1.0f) / 2.0f));
        }
}

static void copy_into(const ldm_picture *from, ldm_picture *to, size_t left, size_t top)
{
    size_t y;

    for (y = 0; y < from->height; y++)
        memcpy(to->rgb + 3 * ((top + y) * to->width + left), from->rgb + 3 * y * from->width,
               3 * (size_t)from->width);
}

ldm_status ldm_grid(const ldm_picture *pics, size_t count, size_t columns, uint32_t gap,
                    ldm_picture *out, ldm_error *err)
{
    uint64_t width, height, cell_w, cell_h;
    ldm_status st;
    size_t i, rows;

    memset(out, 0, sizeof *out);
    if (!count || !columns)
        return ldm_error_set(err, LDM_ERR_RANGE,
                             "a grid of %zu pictures in %zu columns, expected at least one of each",
                             count, columns);
    for (i = 1; i < count; i++)
        if (pics[i].width != pics[0].width || pics[i].height != pics[0].height)
            return ldm_error_set(
                err, LDM_ERR_MISMATCH,
                "picture %zu of the grid is %u x %u, expected %u x %u as the first", i,
                pics[i].width, pics[i].height, pics[0].width, pics[0].height);
    if (count == 1)
        gap = 0;
    if (columns > count)
        columns = count;
    rows = (count + columns - 1) / columns;
    cell_w = (uint64_t)pics[0].width + gap;
    cell_h = (uint64_t)pics[0].height + gap;
    if (ldm_mul_u64(cell_w, columns, &width) || ldm_mul_u64(cell_h, rows, &height) ||
        width + gap > UINT32_MAX || height + gap > UINT32_MAX)
        return ldm_error_set(err, LDM_ERR_RANGE, "a grid of %zu pictures is too large", count);
    st = ldm_picture_create((uint32_t)(width + gap), (uint32_t)(height + gap), out, err);
    if (st)
        return st;
    for (i = 0; i < count; i++)
        copy_into(&pics[i], out, gap + (size_t)(i % columns * cell_w),
                  gap + (size_t)(i / columns * cell_h));
    return LDM_OK;
}
