/* SPDX-License-Identifier: MIT */
/* Sets of pictures from files: a PNG, or an array of bytes as NumPy stores it. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/file.h"
#include "checkpoint/zip.h"
#include "engine/engine.h"
#include "image/npy.h"

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), e = strlen(ending);

    return n >= e && strcmp(path + n - e, ending) == 0;
}

void ldm_images_free(ldm_image *ims, size_t count)
{
    size_t i;

    for (i = 0; ims && i < count; i++)
        ldm_free(ims[i].pixels);
    ldm_free(ims);
}

static bool is_pictures(const ldm_npy *a)
{
    return a->ndim == 4 && a->shape[3] == 3 && a->numel && a->shape[1] <= 1 << 15 &&
           a->shape[2] <= 1 << 15;
}

static ldm_status convert(const char *path, const ldm_npy *a, ldm_image **out, size_t *count,
                          ldm_error *err)
{
    size_t n, each, i, k;
    ldm_image *ims;

    if (!is_pictures(a))
        return ldm_error_set(err, LDM_ERR_FORMAT,
                             "%s has %d dimensions, expected pictures [N,H,W,3] of bytes", path,
                             a->ndim);
    n = (size_t)a->shape[0];
    each = (size_t)(a->shape[1] * a->shape[2] * 3);
    ims = ldm_calloc(n, sizeof *ims);
    if (!ims)
        return ldm_error_nomem(err, (uint64_t)n * sizeof *ims, "pictures");
    for (i = 0; i < n; i++) {
        const float *from = a->data + i * each;

        ims[i] = (ldm_image){(int)a->shape[2], (int)a->shape[1], 3, ldm_malloc(each)};
        if (!ims[i].pixels) {
            ldm_images_free(ims, n);
            return ldm_error_nomem(err, each, "a picture");
        }
        for (k = 0; k < each; k++) {
            if (!(from[k] >= 0 && from[k] <= 255) || from[k] != (float)(uint8_t)from[k]) {
                ldm_images_free(ims, n);
                return ldm_error_set(err, LDM_ERR_FORMAT,
                                     "%s: picture %zu holds %g, expected whole numbers from 0 to "
                                     "255",
                                     path, i, (double)from[k]);
            }
            ims[i].pixels[k] = (uint8_t)from[k];
        }
    }
    *out = ims;
    *count = n;
    return LDM_OK;
}

static ldm_status read_npz(const char *path, ldm_npy *a, ldm_error *err)
{
    ldm_arena *arena = ldm_arena_create(0);
    ldm_source whole = {0}, part;
    bool found = false;
    ldm_map map;
    ldm_zip zip;
    ldm_status st;
    size_t i;

    memset(a, 0, sizeof *a);
    if (!arena)
        return ldm_error_nomem(err, 0, "an archive");
    st = ldm_map_open(path, &map, err);
    if (st) {
        ldm_arena_free(arena);
        return st;
    }
    whole.name = path;
    whole.data = map.data;
    whole.size = map.size;
    st = ldm_zip_open(&whole, arena, &zip, err);
    for (i = 0; !st && !found && i < zip.count; i++) {
        if (!ends_in(zip.entries[i].name, ".npy"))
            continue;
        st = ldm_zip_entry_open(&zip, &zip.entries[i], arena, &part, err);
        if (!st)
            st = ldm_npy_read_memory(part.data, (size_t)part.size, path, a, err);
        found = !st && is_pictures(a);
        if (!found)
            ldm_npy_free(a);
    }
    if (!st && !found)
        st =
            ldm_error_set(err, LDM_ERR_FORMAT,
                          "%s holds no array of pictures [N,H,W,3] among its %zu", path, zip.count);
    ldm_map_close(&map);
    ldm_arena_free(arena);
    return st;
}

ldm_status ldm_images_read(const char *path, ldm_image **out, size_t *count, ldm_error *err)
{
    ldm_npy a;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(count, "count", err);
    *count = 0;
    LDM_REQUIRE(path, "path", err);
    if (!ends_in(path, ".npy") && !ends_in(path, ".npz")) {
        ldm_image *one = ldm_calloc(1, sizeof *one);

        if (!one)
            return ldm_error_nomem(err, sizeof *one, "a picture");
        st = ldm_image_read(path, one, err);
        if (st) {
            ldm_free(one);
            return st;
        }
        *out = one;
        *count = 1;
        return LDM_OK;
    }
    st = ends_in(path, ".npz") ? read_npz(path, &a, err) : ldm_npy_read(path, &a, err);
    if (st)
        return st;
    st = convert(path, &a, out, count, err);
    ldm_npy_free(&a);
    return st;
}
