/* SPDX-License-Identifier: MIT */
/* A picture through the first stage and back; see ldm_reconstruct in ldm.h. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/picture_in.h"
#include "engine/posterior.h"
#include "image/apart.h"
#include "image/picture.h"

/* What is made on the way. */
typedef struct work {
    ldm_pixels in; /* as the encoder takes it: extended to the factor's multiple */
    ldm_array planes, latent, image;
    ldm_picture shown;
} work;

static void finish(work *w)
{
    ldm_pixels_free(&w->in);
    ldm_array_free(&w->planes);
    ldm_array_free(&w->latent);
    ldm_array_free(&w->image);
    ldm_picture_free(&w->shown);
}

static ldm_status check(const ldm_model *m, const ldm_image *im, ldm_error *err)
{
    const ldm_first_stage *f = &m->network->first_stage;

    if (im->width < 1 || im->height < 1 || !im->pixels ||
        (im->channels != 1 && im->channels != 3 && im->channels != 4))
        return ldm_error_set(
            err, LDM_ERR_USAGE, "im: %d x %d pixels of %d channels%s, expected 1, 3 or 4 channels",
            im->width, im->height, im->channels, im->pixels ? "" : ", and none are there");
    if (im->width > 1 << 15 || im->height > 1 << 15)
        return ldm_error_set(err, LDM_ERR_LIMIT, "im: %d x %d pixels, at most %d a side", im->width,
                             im->height, 1 << 15);
    if (f->no_encode)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED, "%s", f->no_encode);
    if ((f->in_channels != 1 && f->in_channels != 3) || f->out_channels != f->in_channels)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "this model's first stage takes pictures of %d channels and gives %d, "
                             "expected 1 or 3 in both",
                             f->in_channels, f->out_channels);
    return LDM_OK;
}

static ldm_status make_planes(const ldm_model *m, const ldm_image *im, work *w, ldm_error *err)
{
    const int factor = m->network->first_stage.factor, c = m->network->first_stage.in_channels;
    const int width = factor * ldm_picture_in_latent_side(im->width, factor, 1);
    const int height = factor * ldm_picture_in_latent_side(im->height, factor, 1);
    ldm_status st = ldm_picture_in_fit(im, (unsigned)c, (uint32_t)width, (uint32_t)height,
                                       LDM_FIT_HOW_KEEP, &w->in, err);

    if (st)
        return st;
    w->planes = (ldm_array){
        .ndim = 4, .shape = {1, (uint64_t)c, (uint64_t)height, (uint64_t)width}, .numel = 1};
    w->planes.numel = (uint64_t)c * (uint64_t)height * (uint64_t)width;
    w->planes.data = ldm_reallocarray(NULL, (size_t)w->planes.numel, sizeof *w->planes.data);
    if (!w->planes.data)
        return ldm_error_nomem(err, w->planes.numel * sizeof *w->planes.data, "a picture");
    ldm_picture_in_planes(&w->in, w->planes.data);
    return LDM_OK;
}

/* Encoder and decoder by ldm_eval, whose settings are the caller's. */
static ldm_status there_and_back(const ldm_model *m, const ldm_eval_job *job, work *w,
                                 ldm_error *err)
{
    const bool posterior = m->network->first_stage.posterior;
    ldm_eval_job own = *job; /* borrows the texts */
    ldm_status st;

    own.part = LDM_PART_ENCODE;
    own.in = &w->planes;
    own.context = own.noise = NULL;
    own.mean = posterior && !own.sample;
    own.dump = NULL;
    st = ldm_eval(m, &own, &w->latent, err);
    if (!st && !posterior)
        ldm_model_scale(m, w->latent.data, w->latent.data, (size_t)w->latent.numel);
    own.part = LDM_PART_DECODE;
    own.in = &w->latent;
    own.mean = own.sample = false;
    if (!st)
        st = ldm_eval(m, &own, &w->image, err);
    return st;
}

/* The decoded planes as bytes, cut to the picture's own size: RGB, grey as three equal channels. */
static ldm_status show(work *w, const ldm_image *im, ldm_image *out, ldm_error *err)
{
    const uint64_t *s = w->image.shape;
    const size_t pixels = (size_t)(s[2] * s[3]), row = (size_t)im->width * 3;
    float *rgb = w->image.data;
    ldm_status st = ldm_picture_create((uint32_t)s[3], (uint32_t)s[2], &w->shown, err);
    size_t y;

    if (!st && s[1] == 1) {
        rgb = ldm_reallocarray(NULL, 3 * pixels, sizeof *rgb);
        if (!rgb)
            return ldm_error_nomem(err, 3 * pixels * sizeof *rgb, "a picture");
        for (y = 0; y < 3; y++)
            memcpy(rgb + y * pixels, w->image.data, pixels * sizeof *rgb);
    }
    if (!st)
        ldm_picture_from_planes(rgb, &w->shown);
    if (rgb != w->image.data)
        ldm_free(rgb);
    if (st)
        return st;
    out->pixels = ldm_reallocarray(NULL, (size_t)im->height, row);
    if (!out->pixels)
        return ldm_error_nomem(err, (uint64_t)im->height * row, "a picture");
    out->width = im->width;
    out->height = im->height;
    out->channels = 3;
    for (y = 0; y < (size_t)im->height; y++)
        memcpy(out->pixels + y * row, w->shown.rgb + y * w->shown.width * 3, row);
    return LDM_OK;
}

/* Over the bytes of the picture's own region and channels. */
static void measure(const work *w, const ldm_image *out, ldm_reconstruction *f)
{
    const size_t c = w->in.channels;
    const ldm_difference d =
        ldm_difference_of((ldm_bytes_at){w->in.data, w->in.width * c, c},
                          (ldm_bytes_at){out->pixels, 3 * (size_t)out->width, 3},
                          (size_t)out->width, (size_t)out->height, c);

    *f = (ldm_reconstruction){.psnr = d.psnr,
                              .mse = d.mse,
                              .mean_absolute = d.mean_absolute,
                              .largest = d.largest,
                              .padded_width = (int)w->in.width,
                              .padded_height = (int)w->in.height};
}

ldm_status ldm_reconstruct(const ldm_model *m, const ldm_eval_job *job, const ldm_image *im,
                           ldm_image *out, ldm_reconstruction *figures, size_t size, ldm_error *err)
{
    ldm_reconstruction all = {0};
    ldm_eval_job *own = NULL;
    work w = {0};
    uint64_t i;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    memset(out, 0, sizeof *out);
    if (figures)
        memset(figures, 0, size);
    LDM_REQUIRE(m, "m", err);
    LDM_REQUIRE(im, "im", err);
    st = check(m, im, err);
    if (!st && !job)
        st = ldm_eval_job_create(LDM_PART_ENCODE, &own, err);
    if (!st)
        st = make_planes(m, im, &w, err);
    if (!st)
        st = there_and_back(m, job ? job : own, &w, err);
    for (i = 0; !st && i < w.image.numel; i++) {
        if (!isfinite(w.image.data[i]))
            st = ldm_error_set(err, LDM_ERR_NUMERIC,
                               "the picture has NaN or infinite values after the first stage; `ldm "
                               "check --values` looks for such weights");
    }
    if (!st)
        st = show(&w, im, out, err);
    if (!st) {
        measure(&w, out, &all);
        if (figures)
            memcpy(figures, &all, size < sizeof all ? size : sizeof all);
    }
    finish(&w);
    ldm_eval_job_free(own);
    return st;
}
