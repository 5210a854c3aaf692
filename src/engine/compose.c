/* SPDX-License-Identifier: MIT */
/* Pictures as they are handed out: cut to size, composed with the input; see compose.h. */
#include "engine/compose.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/canvas.h"
#include "engine/concat.h"
#include "engine/start_job.h"
#include "image/feather.h"

void ldm_compose_size(const ldm_run *r, int *width, int *height)
{
    const ldm_job *j = &r->job;
    const int f = r->m->network->first_stage.factor;
    /* Pixels of the picture that is given, for a latent pixel: fewer than f where it is enlarged.
     */
    const int unit = j->init_images ? f : ldm_concat_unit(r->m->network);
    size_t count;
    const ldm_image *ims = ldm_canvas_pictures(j, &count);
    ldm_pad pad = {0};

    *width = j->latent_w * f;
    *height = j->latent_h * f;
    if (!ims || ldm_start_fit(j) != LDM_FIT_HOW_KEEP)
        return;
    (void)ldm_pad_read(j->pad, &pad, NULL); /* it was read before */
    *width = (ims->width + pad.left + pad.right) * f / unit;
    *height = (ims->height + pad.top + pad.bottom) * f / unit;
}

void ldm_compose_settle(ldm_run *r)
{
    const int w = r->info.image_w, h = r->info.image_h, side = (w < h ? w : h) / 128;
    ldm_job *j = &r->job;

    /* On a small picture 4 pixels are much: a rim of what was to go would show. */
    if (j->init_images && j->mask_images && !ldm_options_given(&j->options, "mask_blur"))
        j->mask_blur = side < 4 ? side : 4;
}

/* Rows of `from` bytes become rows of `to`, in place. */
static void cut_rows(void *data, size_t rows, size_t from, size_t to)
{
    unsigned char *p = data;
    size_t y;

    for (y = 1; y < rows; y++)
        memmove(p + y * to, p + y * from, to);
}

static void cut(ldm_run *r, bool rgb, size_t from_w, size_t from_h)
{
    const size_t w = (size_t)r->info.image_w, h = (size_t)r->info.image_h;
    const size_t planes = (size_t)r->info.image_c;
    size_t c;

    if (rgb)
        cut_rows(r->picture.rgb, h, from_w * 3, w * 3);
    for (c = 0; c < planes; c++) {
        float *plane = r->image + c * from_w * from_h;

        cut_rows(plane, h, from_w * sizeof *plane, w * sizeof *plane);
        memmove(r->image + c * w * h, plane, w * h * sizeof *plane);
    }
}

static ldm_status blend(ldm_run *r, const ldm_canvas *canvas, ldm_error *err)
{
    const size_t pixels = (size_t)canvas->paint.width * canvas->paint.height;
    float *weights = ldm_reallocarray(NULL, pixels, sizeof *weights);
    ldm_status st;
    size_t i;

    if (!weights)
        return ldm_error_nomem(err, (uint64_t)pixels * sizeof *weights, "a mask");
    /* The edge of a hole is as soft as the picture's alpha makes it. */
    st = ldm_feather(&canvas->paint, r->job.mask_images ? (unsigned)r->job.mask_blur : 0, weights,
                     err);
    for (i = 0; !st && i < pixels; i++) {
        const float bare = 1 - (float)canvas->cover.data[i] / 255;

        if (weights[i] > 0 && (!r->job.mask_images || weights[i] < bare))
            weights[i] = bare;
    }
    if (!st)
        ldm_feather_blend(canvas->picture.data, weights, pixels, r->picture.rgb);
    ldm_free(weights);
    return st;
}

ldm_status ldm_compose(ldm_run *r, int index, bool rgb, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const int f = r->m->network->first_stage.factor;
    const int w = j->latent_w * f, h = j->latent_h * f;
    const unsigned channels = (unsigned)r->m->network->first_stage.in_channels;
    size_t count;
    const ldm_image *ims = ldm_canvas_pictures(j, &count);
    ldm_canvas canvas;
    ldm_status st;

    if (!ims)
        return LDM_OK;
    if (w != r->info.image_w || h != r->info.image_h)
        cut(r, rgb, (size_t)w, (size_t)h);
    if (!rgb || !(j->painted || (j->masked && !j->mask)))
        return LDM_OK;
    st = ldm_canvas_make(j, (size_t)index % count, channels, w, h, ldm_start_fit(j),
                         LDM_CANVAS_FILL_EMPTY, &canvas, err);
    if (!st)
        st = ldm_pixels_convert(&canvas.picture, 3, err);
    if (!st)
        st = blend(r, &canvas, err);
    ldm_canvas_free(&canvas);
    return st;
}
