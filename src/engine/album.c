/* SPDX-License-Identifier: MIT */
/* Files of many pictures, written while these come one by one; see ldm.h. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "engine/engine.h"
#include "engine/parameters.h"
#include "image/npy.h"
#include "image/picture.h"

struct ldm_album {
    size_t count, added;
    int width, height;
    uint8_t *black; /* a picture */

    ldm_npz_writer npz; /* the one, */
    ldm_png_rows *rows; /* or the other; NULL: it is an .npz */
    ldm_png_texts texts;
    size_t columns, gap, row_bytes;
    uint8_t *band; /* a row of the sheet's pictures with the gap above it */
};

static ldm_status begin(size_t count, int width, int height, ldm_album **out, ldm_error *err)
{
    ldm_album *a;
    size_t pixels, bytes;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    if (!count || width < 1 || height < 1)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%zu pictures of %d x %d, expected one or more of 1 x 1 or more",
                             count, width, height);
    if (ldm_mul_size((size_t)width, (size_t)height, &pixels) || ldm_mul_size(pixels, 3, &bytes))
        return ldm_error_set(err, LDM_ERR_RANGE, "pictures of %d x %d are too large", width,
                             height);
    a = ldm_calloc(1, sizeof *a);
    if (!a)
        return ldm_error_nomem(err, sizeof *a, "an album");
    a->count = count;
    a->width = width;
    a->height = height;
    a->black = ldm_calloc(1, bytes);
    if (!a->black) {
        ldm_album_free(a);
        return ldm_error_nomem(err, bytes, "an album");
    }
    *out = a;
    return LDM_OK;
}

ldm_status ldm_album_npz(const char *path, size_t count, int width, int height, ldm_album **out,
                         ldm_error *err)
{
    const uint64_t shape[4] = {count, (uint64_t)height, (uint64_t)width, 3};
    ldm_album *a;
    ldm_status st;

    LDM_REQUIRE(path, "path", err);
    st = begin(count, width, height, out, err);
    if (st)
        return st;
    a = *out;
    st = ldm_npz_begin(&a->npz, path, "arr_0", 4, shape, err);
    if (st) {
        ldm_album_free(a);
        *out = NULL;
    }
    return st;
}

static ldm_status open_grid(ldm_album *a, const char *path, const char *recipe, ldm_error *err)
{
    const size_t cell_w = (size_t)a->width + a->gap, cell_h = (size_t)a->height + a->gap;
    const size_t lines = (a->count + a->columns - 1) / a->columns;
    size_t width, height, band;
    ldm_status st;

    if (ldm_mul_size(cell_w, a->columns, &width) || ldm_mul_size(cell_h, lines, &height) ||
        width > UINT32_MAX - a->gap || height > UINT32_MAX - a->gap ||
        ldm_mul_size(3 * (width + a->gap), cell_h, &band))
        return ldm_error_set(err, LDM_ERR_RANGE, "a grid of %zu pictures is too large", a->count);
    a->row_bytes = 3 * (width + a->gap);
    a->band = ldm_calloc(1, band);
    if (!a->band)
        return ldm_error_nomem(err, band, "a row of the grid");
    st = ldm_png_texts_make(recipe, (int)(width + a->gap), (int)(height + a->gap), &a->texts, err);
    return st ? st
              : ldm_png_rows_open(path, (uint32_t)(width + a->gap), (uint32_t)(height + a->gap),
                                  a->texts.items, a->texts.count, &a->rows, err);
}

ldm_status ldm_album_grid(const char *path, size_t count, size_t columns, int width, int height,
                          const char *recipe, ldm_album **out, ldm_error *err)
{
    ldm_album *a;
    ldm_status st;

    LDM_REQUIRE(path, "path", err);
    st = begin(count, width, height, out, err);
    if (st)
        return st;
    a = *out;
    a->columns = columns ? columns : (size_t)ceil(sqrt((double)count));
    if (a->columns > count)
        a->columns = count;
    a->gap = count == 1 ? 0 : LDM_GRID_GAP;
    st = open_grid(a, path, recipe, err);
    if (st) {
        ldm_album_free(a);
        *out = NULL;
    }
    return st;
}

/* `lines` rows of the band, and it is black again. */
static ldm_status write_band(ldm_album *a, size_t lines, ldm_error *err)
{
    ldm_status st = LDM_OK;

    for (size_t y = 0; !st && y < lines; y++)
        st = ldm_png_rows_add(a->rows, a->band + y * a->row_bytes, err);
    memset(a->band, 0, lines * a->row_bytes);
    return st;
}

static ldm_status add_to_grid(ldm_album *a, const uint8_t *pixels, ldm_error *err)
{
    const size_t column = a->added % a->columns, line = 3 * (size_t)a->width;
    const size_t left = 3 * (a->gap + column * ((size_t)a->width + a->gap));

    for (size_t y = 0; y < (size_t)a->height; y++)
        memcpy(a->band + (a->gap + y) * a->row_bytes + left, pixels + y * line, line);
    if (column + 1 < a->columns && a->added + 1 < a->count)
        return LDM_OK;
    return write_band(a, a->gap + (size_t)a->height, err);
}

ldm_status ldm_album_add(ldm_album *a, const ldm_image *im, ldm_error *err)
{
    const uint8_t *pixels;
    ldm_status st = LDM_OK;

    LDM_REQUIRE(a, "a", err);
    if (im)
        st = ldm_image_check(im, "im", err);
    if (!st && im && (im->width != a->width || im->height != a->height))
        st = ldm_error_set(err, LDM_ERR_USAGE, "a picture of %d x %d among those of %d x %d",
                           im->width, im->height, a->width, a->height);
    if (!st && a->added == a->count)
        st = ldm_error_set(err, LDM_ERR_USAGE, "more than the %zu pictures that were announced",
                           a->count);
    if (st)
        return st;
    pixels = im ? im->pixels : a->black;
    st = a->rows ? add_to_grid(a, pixels, err)
                 : ldm_npz_add(&a->npz, pixels, 3 * (size_t)a->width * (size_t)a->height, err);
    a->added++;
    return st;
}

ldm_status ldm_album_close(ldm_album *a, ldm_error *err)
{
    ldm_status st = LDM_OK;

    LDM_REQUIRE(a, "a", err);
    if (a->added < a->count)
        return ldm_error_set(err, LDM_ERR_USAGE, "%zu pictures of the %zu that were announced",
                             a->added, a->count);
    if (!a->rows)
        return ldm_npz_end(&a->npz, err);
    if (a->gap)
        st = write_band(a, a->gap, err);
    return st ? st : ldm_png_rows_commit(a->rows, err);
}

void ldm_album_free(ldm_album *a)
{
    if (!a)
        return;
    ldm_npz_abort(&a->npz);
    ldm_png_rows_free(a->rows);
    ldm_png_texts_free(&a->texts);
    ldm_free(a->band);
    ldm_free(a->black);
    ldm_free(a);
}
