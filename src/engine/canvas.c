/* SPDX-License-Identifier: MIT */
/* Pictures with a part to be painted; see canvas.h. */
#include "engine/canvas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/fill.h"

enum { MAX_PAD = 16384, HALF = LDM_CANVAS_FILL_PAINTED };

ldm_status ldm_pad_read(const char *text, ldm_pad *out, ldm_error *err)
{
    int v[4] = {0}, n = 0;
    const char *at = text;

    while (n < 4) {
        char *end;
        const long value = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : -1;

        if (value < 0 || value > MAX_PAD)
            break;
        v[n++] = (int)value;
        at = end;
        if (*at != ',')
            break;
        at++;
    }
    if (*at || (n != 1 && n != 4) || at[-1] == ',')
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "pad is '%s', expected LEFT,TOP,RIGHT,BOTTOM in pixels, or one number "
                             "for all four, at most %d",
                             text, MAX_PAD);
    *out = n == 1 ? (ldm_pad){v[0], v[0], v[0], v[0]} : (ldm_pad){v[0], v[1], v[2], v[3]};
    return LDM_OK;
}

bool ldm_canvas_transparent(const ldm_image *im)
{
    const size_t pixels = (size_t)im->width * (size_t)im->height;
    size_t i;

    for (i = 0; im->channels == 4 && i < pixels; i++) {
        if (im->pixels[4 * i + 3] < HALF)
            return true;
    }
    return false;
}

/* A copy with other channels. */
static ldm_status copy_as(const ldm_image *im, unsigned channels, ldm_pixels *out, ldm_error *err)
{
    ldm_status st = ldm_pixels_create((uint32_t)im->width, (uint32_t)im->height,
                                      (unsigned)im->channels, out, err);

    if (st)
        return st;
    memcpy(out->data, im->pixels, (size_t)im->width * (size_t)im->height * (size_t)im->channels);
    st = ldm_pixels_convert(out, channels, err);
    if (st)
        ldm_pixels_free(out);
    return st;
}

bool ldm_canvas_light(const uint8_t *pixel, int channels)
{
    /* ITU-R Rec. 601 as PIL rounds it */
    const int luma = channels < 3
                         ? pixel[0]
                         : (19595 * pixel[0] + 38470 * pixel[1] + 7471 * pixel[2] + 32768) >> 16;

    return luma >= HALF;
}

/* 255 where the mask is light. */
static ldm_status paint_of_mask(const ldm_image *mask, ldm_pixels *out, ldm_error *err)
{
    const size_t channels = (size_t)mask->channels;
    ldm_status st = ldm_pixels_create((uint32_t)mask->width, (uint32_t)mask->height, 1, out, err);
    size_t i;

    for (i = 0; !st && i < (size_t)out->width * out->height; i++)
        out->data[i] = ldm_canvas_light(mask->pixels + i * channels, mask->channels) ? 255 : 0;
    return st;
}

static ldm_status paint_of_alpha(const ldm_image *im, ldm_pixels *out, ldm_error *err)
{
    ldm_status st = ldm_pixels_create((uint32_t)im->width, (uint32_t)im->height, 1, out, err);
    size_t i;

    for (i = 0; !st && im->channels == 4 && i < (size_t)im->width * (size_t)im->height; i++)
        out->data[i] = im->pixels[4 * i + 3] < HALF ? 255 : 0;
    return st;
}

/* The picture's alpha; 255 where it has none. */
static ldm_status cover_of(const ldm_image *im, ldm_pixels *out, ldm_error *err)
{
    ldm_status st = ldm_pixels_create((uint32_t)im->width, (uint32_t)im->height, 1, out, err);
    size_t i;

    for (i = 0; !st && i < (size_t)im->width * (size_t)im->height; i++)
        out->data[i] = im->channels == 4 ? im->pixels[4 * i + 3] : 255;
    return st;
}

/* Under transparent pixels files hold anything. The colours around say nothing wrong to the
 * encoder, which sees some of them beside what is kept, nor to the filter that resizes. */
static ldm_status fill_hole(const ldm_canvas *c, int fill_below, ldm_pixels *p, ldm_error *err)
{
    const size_t pixels = (size_t)p->width * p->height;
    ldm_pixels hole;
    ldm_status st = ldm_pixels_create(p->width, p->height, 1, &hole, err);
    size_t i;

    for (i = 0; !st && i < pixels; i++)
        hole.data[i] = c->cover.data[i] < fill_below ? 255 : 0;
    if (!st)
        st = ldm_fill_hole(&hole, p, err);
    ldm_pixels_free(&hole);
    return st;
}

/* in, moved by left and top, in a picture of width x height; beyond it the nearest of its pixels.
 */
static ldm_status place(const ldm_pixels *in, int left, int top, int width, int height,
                        ldm_pixels *out, ldm_error *err)
{
    const int w = (int)in->width, h = (int)in->height;
    const size_t c = in->channels;
    ldm_status st = ldm_pixels_create((uint32_t)width, (uint32_t)height, in->channels, out, err);
    int x, y;

    for (y = 0; !st && y < height; y++) {
        const int from_y = y < top ? 0 : y - top < h ? y - top : h - 1;
        const uint8_t *row = in->data + (size_t)from_y * (size_t)w * c;
        uint8_t *to = out->data + (size_t)y * (size_t)width * c;

        for (x = 0; x < width; x++) {
            const int from_x = x < left ? 0 : x - left < w ? x - left : w - 1;

            memcpy(to + (size_t)x * c, row + (size_t)from_x * c, c);
        }
    }
    return st;
}

ldm_status ldm_canvas_extend(const ldm_pixels *in, int width, int height, ldm_pixels *out,
                             ldm_error *err)
{
    return place(in, 0, 0, width, height, out, err);
}

static ldm_status replace(ldm_pixels *p, ldm_pixels by, ldm_status st)
{
    if (!st) {
        ldm_pixels_free(p);
        *p = by;
    }
    return st;
}

/* The pads repeat the picture's edge, but no such colour is the picture's own. */
static ldm_status add_pads(const ldm_pad *pad, ldm_canvas *c, ldm_error *err)
{
    const int w = (int)c->picture.width, h = (int)c->picture.height;
    const int width = w + pad->left + pad->right, height = h + pad->top + pad->bottom;
    ldm_pixels bigger = {0};
    ldm_status st = place(&c->picture, pad->left, pad->top, width, height, &bigger, err);
    int x, y;

    st = replace(&c->picture, bigger, st);
    if (st || !c->paint.data)
        return st;
    st = place(&c->paint, pad->left, pad->top, width, height, &bigger, err);
    st = replace(&c->paint, bigger, st);
    if (!st)
        st = place(&c->cover, pad->left, pad->top, width, height, &bigger, err);
    if (st)
        return st;
    st = replace(&c->cover, bigger, st);
    for (y = 0; y < height; y++) {
        for (x = 0; x < width; x++) {
            if (y >= pad->top && y < pad->top + h && x >= pad->left && x < pad->left + w)
                continue;
            c->paint.data[(size_t)y * (size_t)width + (size_t)x] = 255;
            c->cover.data[(size_t)y * (size_t)width + (size_t)x] = 0;
        }
    }
    return st;
}

/* filter: of the picture. */
static ldm_status fit(int width, int height, ldm_fit_how how, ldm_resample filter, ldm_canvas *c,
                      ldm_error *err)
{
    static const ldm_fit_mode modes[] = {LDM_FIT_CROP, LDM_FIT_PAD, LDM_FIT_STRETCH};
    const ldm_resize_how smooth = {filter, LDM_RESIZE_ROWS_FIRST};
    const ldm_resize_how nearest = {LDM_RESAMPLE_NEAREST, LDM_RESIZE_ROWS_FIRST};
    /* Lanczos overshoots: something would show through at the edge of what has no colour. */
    const ldm_resize_how mean = {LDM_RESAMPLE_BILINEAR, LDM_RESIZE_ROWS_FIRST};
    const uint32_t w = (uint32_t)width, h = (uint32_t)height;
    ldm_pixels fitted = {0};
    ldm_status st;

    if (how == LDM_FIT_HOW_KEEP)
        return LDM_OK;
    st = ldm_pixels_fit(&c->picture, w, h, modes[how], smooth, &fitted, err);
    st = replace(&c->picture, fitted, st);
    if (st || !c->paint.data)
        return st;
    st = ldm_pixels_fit(&c->paint, w, h, modes[how], nearest, &fitted, err);
    st = replace(&c->paint, fitted, st);
    if (st)
        return st;
    st = ldm_pixels_fit(&c->cover, w, h, modes[how], mean, &fitted, err);
    return replace(&c->cover, fitted, st);
}

const ldm_image *ldm_canvas_pictures(const ldm_job *j, size_t *count)
{
    *count = j->init_images    ? j->init_count
             : j->image_images ? j->image_count
                               : j->segmentation_count;
    return j->init_images    ? j->init_images
           : j->image_images ? j->image_images
                             : j->segmentation_images;
}

ldm_status ldm_canvas_make(const ldm_job *j, size_t i, unsigned channels, int width, int height,
                           ldm_fit_how how, int fill_below, ldm_canvas *out, ldm_error *err)
{
    size_t count;
    const ldm_image *im = &ldm_canvas_pictures(j, &count)[i];
    const bool painted = j->masked || j->painted;
    /* Between two labels lies no third one. */
    const ldm_resample filter =
        j->segmentation_images ? LDM_RESAMPLE_NEAREST : LDM_RESAMPLE_LANCZOS;
    ldm_pad pad = {0};
    ldm_status st;

    *out = (ldm_canvas){0};
    st = ldm_pad_read(j->pad, &pad, err);
    if (!st)
        st = copy_as(im, channels, &out->picture, err);
    if (!st && j->mask_images)
        st = paint_of_mask(&j->mask_images[j->mask_count == 1 ? 0 : i], &out->paint, err);
    else if (!st && painted)
        st = paint_of_alpha(im, &out->paint, err);
    if (!st && out->paint.data)
        st = cover_of(im, &out->cover, err);
    if (!st && painted && !j->mask_images)
        st = fill_hole(out, fill_below, &out->picture, err);
    if (!st && (pad.left || pad.top || pad.right || pad.bottom))
        st = add_pads(&pad, out, err);
    if (!st)
        st = fit(width, height, how, filter, out, err);
    if (st)
        ldm_canvas_free(out);
    return st;
}

void ldm_canvas_free(ldm_canvas *c)
{
    ldm_pixels_free(&c->picture);
    ldm_pixels_free(&c->paint);
    ldm_pixels_free(&c->cover);
}

void ldm_canvas_latent_mask(const ldm_pixels *paint, int factor, int latent_h, int latent_w,
                            float *mask)
{
    int x, y;

    for (y = 0; y < latent_h; y++) {
        for (x = 0; x < latent_w; x++) {
            const size_t at_y = (size_t)(y * factor), at_x = (size_t)(x * factor);
            const bool painted = at_y < paint->height && at_x < paint->width &&
                                 paint->data[at_y * paint->width + at_x];

            mask[(size_t)y * (size_t)latent_w + (size_t)x] = painted ? 0.0f : 1.0f;
        }
    }
}
