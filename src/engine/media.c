/* SPDX-License-Identifier: MIT */
/* Arrays and pictures of the public interface, over the image room. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "engine/engine.h"
#include "engine/parameters.h"
#include "image/apart.h"
#include "image/jpeg.h"
#include "image/npy.h"
#include "image/picture.h"

/* A recipe has some kilobytes, nearly all of them configuration; parsing takes 20 times its size.
 */
enum { MAX_RECIPE_BYTES = 1 << 20 };

ldm_status ldm_array_read(const char *path, ldm_array *out, ldm_error *err)
{
    ldm_npy npy;
    ldm_status st;
    int i;

    LDM_REQUIRE(out, "out", err);
    memset(out, 0, sizeof *out);
    LDM_REQUIRE(path, "path", err);
    st = ldm_npy_read(path, &npy, err);
    if (st)
        return st;
    out->ndim = npy.ndim;
    for (i = 0; i < npy.ndim; i++)
        out->shape[i] = npy.shape[i];
    out->numel = npy.numel;
    out->data = npy.data; /* handed on */
    return LDM_OK;
}

ldm_status ldm_array_write(const char *path, const ldm_array *a, ldm_error *err)
{
    ldm_status st;

    LDM_REQUIRE(path, "path", err);
    st = ldm_array_check(a, "the array", err);
    return st ? st : ldm_npy_write(path, LDM_NPY_F32, a->ndim, a->shape, a->data, err);
}

ldm_status ldm_array_write_int64(const char *path, int ndim, const uint64_t *shape,
                                 const int64_t *data, ldm_error *err)
{
    LDM_REQUIRE(path, "path", err);
    LDM_REQUIRE(shape, "shape", err);
    LDM_REQUIRE(data, "data", err);
    if (ndim < 1 || ndim > 8)
        return ldm_error_set(err, LDM_ERR_USAGE, "ndim is %d, expected 1 to 8", ndim);
    return ldm_npy_write(path, LDM_NPY_I64, ndim, shape, data, err);
}

void ldm_array_free(ldm_array *a)
{
    if (!a)
        return;
    ldm_free(a->data);
    memset(a, 0, sizeof *a);
}

static ldm_status check_images(const ldm_image *ims, size_t count, ldm_error *err)
{
    ldm_status st = LDM_OK;
    char what[40];
    size_t i;

    LDM_REQUIRE(ims, "ims", err);
    if (!count)
        return ldm_error_set(err, LDM_ERR_USAGE, "there are no pictures");
    for (i = 0; !st && i < count; i++) {
        snprintf(what, sizeof what, "picture %zu", i);
        st = ldm_image_check(&ims[i], what, err);
    }
    return st;
}

static ldm_picture as_picture(const ldm_image *im)
{
    return (ldm_picture){(uint32_t)im->width, (uint32_t)im->height, im->pixels};
}

static void hand_over(const ldm_picture *p, ldm_image *out)
{
    out->width = (int)p->width;
    out->height = (int)p->height;
    out->channels = 3;
    out->pixels = p->rgb;
}

ldm_status ldm_image_read(const char *path, ldm_image *out, ldm_error *err)
{
    ldm_picture p;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    memset(out, 0, sizeof *out);
    LDM_REQUIRE(path, "path", err);
    st = ldm_picture_read(path, 0, &p, err);
    if (!st)
        hand_over(&p, out);
    return st;
}

ldm_status ldm_image_read_channels(const char *path, int channels, ldm_image *out, ldm_error *err)
{
    ldm_pixels p;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    memset(out, 0, sizeof *out);
    LDM_REQUIRE(path, "path", err);
    if (channels && channels != 1 && channels != 3 && channels != 4)
        return ldm_error_set(err, LDM_ERR_USAGE, "channels is %d, expected 0, 1, 3 or 4", channels);
    st = ldm_pixels_read(path, (unsigned)channels, 0, &p, err);
    if (!st && p.channels == 2) {
        st = ldm_pixels_convert(&p, 4, err);
        if (st)
            ldm_pixels_free(&p);
    }
    if (!st)
        *out = (ldm_image){(int)p.width, (int)p.height, (int)p.channels, p.data};
    return st;
}

static bool is_jpeg(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot && (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
}

ldm_status ldm_image_write(const char *path, const ldm_image *im, const char *recipe,
                           ldm_error *err)
{
    return ldm_image_write_quality(path, im, LDM_JPEG_DEFAULT_QUALITY, recipe, err);
}

static ldm_status write_png(const char *path, const ldm_pixels *p, const char *recipe,
                            ldm_error *err)
{
    ldm_png_texts texts;
    ldm_status st = ldm_png_texts_make(recipe, (int)p->width, (int)p->height, &texts, err);

    if (!st)
        st = ldm_png_write_pixels(path, p, texts.items, texts.count, err);
    ldm_png_texts_free(&texts);
    return st;
}

ldm_status ldm_image_encode(const ldm_image *im, const char *recipe, char **png, size_t *size,
                            ldm_error *err)
{
    ldm_png_texts texts;
    ldm_pixels samples;
    ldm_status st;

    LDM_REQUIRE(png, "png", err);
    *png = NULL;
    LDM_REQUIRE(size, "size", err);
    *size = 0;
    st = ldm_image_check_any(im, "im", err);
    if (st)
        return st;
    samples =
        (ldm_pixels){(uint32_t)im->width, (uint32_t)im->height, (unsigned)im->channels, im->pixels};
    st = ldm_png_texts_make(recipe, im->width, im->height, &texts, err);
    if (!st)
        st = ldm_png_encode(&samples, texts.items, texts.count, png, size, err);
    ldm_png_texts_free(&texts);
    return st;
}

ldm_status ldm_image_write_quality(const char *path, const ldm_image *im, int quality,
                                   const char *recipe, ldm_error *err)
{
    ldm_jpeg_options options = {quality, LDM_JPEG_444, recipe};
    ldm_pixels samples;
    ldm_status st;

    LDM_REQUIRE(path, "path", err);
    if (!*path)
        return ldm_error_set(err, LDM_ERR_USAGE, "path is empty, expected a file's name");
    st = ldm_image_check_any(im, "im", err);
    if (st)
        return st;
    if (quality < 1 || quality > 100)
        return ldm_error_set(err, LDM_ERR_USAGE, "quality is %d, expected 1 to 100", quality);
    samples =
        (ldm_pixels){(uint32_t)im->width, (uint32_t)im->height, (unsigned)im->channels, im->pixels};
    if (!is_jpeg(path))
        return write_png(path, &samples, recipe, err);
    if (im->channels == 4)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "%s: a JPEG has 1 or 3 channels, this picture has 4", path);
    return ldm_jpeg_write(path, &samples, &options, err);
}

/* A JPEG has comments without keys: ours is a JSON object that begins with the version, a text.
 * Other programs' comments may have a key of that name. */
static bool is_recipe(const ldm_text *t)
{
    static const char key[] = "\"ldm\"";
    const char *at = t->value;

    if (!strcmp(t->key, LDM_RECIPE_KEY))
        return true;
    if (strcmp(t->key, LDM_JPEG_COMMENT_KEY) || *at != '{' || !(at = strstr(at, key)))
        return false;
    at += strlen(key);
    at += strspn(at, " \t\r\n");
    if (*at++ != ':')
        return false;
    at += strspn(at, " \t\r\n");
    return *at == '"' && at[1] >= '0' && at[1] <= '9';
}

ldm_status ldm_image_read_recipe(const char *path, char **json, ldm_error *err)
{
    ldm_text *texts;
    size_t count, i;
    ldm_status st;

    LDM_REQUIRE(json, "json", err);
    *json = NULL;
    LDM_REQUIRE(path, "path", err);
    st = ldm_picture_read_texts(path, &texts, &count, err);
    if (st)
        return st;
    for (i = 0; i < count && !is_recipe(&texts[i]); i++)
        ;
    if (i == count) {
        st = ldm_error_set(err, LDM_ERR_FORMAT,
                           "%s holds no recipe: expected a picture that ldm generate wrote", path);
    } else if (strlen(texts[i].value) > MAX_RECIPE_BYTES) {
        st = ldm_error_set(err, LDM_ERR_LIMIT,
                           "%s: its recipe has %zu bytes, at most %d are expected", path,
                           strlen(texts[i].value), MAX_RECIPE_BYTES);
    } else {
        *json = ldm_strdup(texts[i].value);
        if (!*json)
            st = ldm_error_nomem(err, strlen(texts[i].value), "a recipe");
    }
    ldm_free(texts);
    return st;
}

ldm_status ldm_image_grid(const ldm_image *ims, size_t count, size_t columns, ldm_image *out,
                          ldm_error *err)
{
    ldm_picture *pics, sheet;
    ldm_status st;
    size_t i;

    LDM_REQUIRE(out, "out", err);
    memset(out, 0, sizeof *out);
    st = check_images(ims, count, err);
    if (st)
        return st;
    pics = ldm_reallocarray(NULL, count, sizeof *pics);
    if (!pics)
        return ldm_error_nomem(err, count * sizeof *pics, "the grid");
    for (i = 0; i < count; i++)
        pics[i] = as_picture(&ims[i]);
    if (!columns)
        columns = (size_t)ceil(sqrt((double)count));
    st = ldm_grid(pics, count, columns, LDM_GRID_GAP, &sheet, err);
    ldm_free(pics);
    if (!st)
        hand_over(&sheet, out);
    return st;
}

ldm_status ldm_image_write_npz(const char *path, const ldm_image *ims, size_t count, ldm_error *err)
{
    ldm_album *album;
    ldm_status st;

    LDM_REQUIRE(path, "path", err);
    st = check_images(ims, count, err);
    for (size_t i = 1; !st && i < count; i++) {
        if (ims[i].height != ims[0].height || ims[i].width != ims[0].width)
            st = ldm_error_set(err, LDM_ERR_USAGE, "%s: pictures of different sizes", path);
    }
    if (!st)
        st = ldm_album_npz(path, count, ims[0].width, ims[0].height, &album, err);
    if (st)
        return st;
    for (size_t i = 0; !st && i < count; i++)
        st = ldm_album_add(album, &ims[i], err);
    if (!st)
        st = ldm_album_close(album, err);
    ldm_album_free(album);
    return st;
}

ldm_status ldm_image_measure(const ldm_image *im, ldm_image_metrics *out, size_t size,
                             ldm_error *err)
{
    ldm_image_metrics all;
    ldm_picture p;
    ldm_metrics m;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    memset(out, 0, size);
    st = ldm_image_check(im, "im", err);
    if (st)
        return st;
    p = as_picture(im);
    ldm_metrics_compute(&p, &m);
    all = (ldm_image_metrics){
        .brightness = m.brightness,
        .contrast = m.contrast,
        .mean_r = m.mean_r,
        .mean_g = m.mean_g,
        .mean_b = m.mean_b,
        .colour_coherence = m.colour_coherence,
        .skin_like = m.skin_like,
        .colour_grade = m.colour_grade,
        .verdict = ldm_metrics_verdict(&m),
    };
    memcpy(out, &all, size < sizeof all ? size : sizeof all);
    return LDM_OK;
}

ldm_status ldm_image_compare(const ldm_image *a, const ldm_image *b, ldm_image_difference *out,
                             size_t size, ldm_error *err)
{
    ldm_image_difference all;
    ldm_difference d;
    size_t channels, row;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    memset(out, 0, size);
    st = ldm_image_check_any(a, "a", err);
    if (!st)
        st = ldm_image_check_any(b, "b", err);
    if (st)
        return st;
    if (a->width != b->width || a->height != b->height || a->channels != b->channels)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%d x %d pixels of %d channels and %d x %d of %d: only pictures of "
                             "one kind and size can be compared",
                             a->width, a->height, a->channels, b->width, b->height, b->channels);
    channels = (size_t)a->channels;
    row = channels * (size_t)a->width;
    d = ldm_difference_of((ldm_bytes_at){a->pixels, row, channels},
                          (ldm_bytes_at){b->pixels, row, channels}, (size_t)a->width,
                          (size_t)a->height, channels);
    all = (ldm_image_difference){d.psnr, d.mse, d.mean_absolute, d.largest};
    memcpy(out, &all, size < sizeof all ? size : sizeof all);
    return LDM_OK;
}
