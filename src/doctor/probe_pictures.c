/* SPDX-License-Identifier: MIT */
/* Pictures for the probes, and their way through the first stage. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "doctor/probes.h"
#include "engine/engine.h"
#include "engine/picture_in.h"

enum {
    MAX_SIDE = 64,
    GUESSED_SIDE = 16,
    SHIPPED = 16,
    SHIPPED_COLUMNS = 8,
    SHIPPED_BORDER = 4,
    SHIPPED_SIDE = 128
};

/* ---- pictures -------------------------------------------------------------------------------- */

/* One picture of the sheet of renders that comes with the shipped model. */
static ldm_status cut(const ldm_image *sheet, int index, ldm_image *out, ldm_error *err)
{
    const int step = SHIPPED_SIDE + SHIPPED_BORDER;
    const int x = SHIPPED_BORDER + index % SHIPPED_COLUMNS * step;
    const int y = SHIPPED_BORDER + index / SHIPPED_COLUMNS * step;
    const size_t row = (size_t)SHIPPED_SIDE * (size_t)sheet->channels;

    if (x + SHIPPED_SIDE > sheet->width || y + SHIPPED_SIDE > sheet->height)
        return ldm_error_set(err, LDM_ERR_FORMAT, "the shipped renders are %d x %d pixels",
                             sheet->width, sheet->height);
    *out = (ldm_image){SHIPPED_SIDE, SHIPPED_SIDE, sheet->channels, NULL};
    out->pixels = ldm_malloc(row * SHIPPED_SIDE);
    if (!out->pixels)
        return ldm_error_nomem(err, row * SHIPPED_SIDE, "a picture");
    for (size_t i = 0; i < SHIPPED_SIDE; i++)
        memcpy(out->pixels + i * row,
               sheet->pixels +
                   (((size_t)y + i) * (size_t)sheet->width + (size_t)x) * (size_t)sheet->channels,
               row);
    return LDM_OK;
}

static ldm_status take_shipped(ldm_doctor *d, ldm_error *err)
{
    ldm_image sheet = {0}, one;
    char *path;
    ldm_status st = ldm_shipped_path("models/demo/renders.png", &path, err);

    if (st)
        return st;
    st = ldm_image_read(path, &sheet, err);
    for (int i = 0; i < SHIPPED && !st; i++) {
        st = cut(&sheet, i, &one, err);
        if (st)
            break;
        st = ldm_doctor_add_image(d, &one, err);
        ldm_free(one.pixels);
    }
    ldm_release(sheet.pixels);
    ldm_release(path);
    return st;
}

ldm_status ldm_probe_pictures(ldm_doctor *d, const ldm_model *m, ldm_error *err)
{
    const ldm_first_stage *fs = &m->network->first_stage;
    ldm_status st = LDM_OK;

    if (fs->no_encode || (fs->in_channels != 1 && fs->in_channels != 3) ||
        fs->in_channels != fs->out_channels)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED, "the model has no encoder for pictures%s%s",
                             fs->no_encode ? ": " : "", fs->no_encode ? fs->no_encode : "");

    if (d->image_count) {
        d->pictures = ldm_doctor_text(d, "%zu that %s given", d->image_count,
                                      d->image_count == 1 ? "was" : "were");
    } else {
        st = take_shipped(d, err);
        if (st)
            return st;
        d->pictures = ldm_doctor_text(d,
                                      "%zu renders of portraits that come with ldm: a model of "
                                      "other pictures shows less on them",
                                      d->image_count);
    }
    return d->pictures ? st : ldm_error_nomem(err, 0, "a text");
}

/* ---- through the first stage ----------------------------------------------------------------- */

/* The smallest picture's, in latents. */
static int side_at_hand(const ldm_doctor *d, const ldm_model *m)
{
    int side = GUESSED_SIDE;

    for (size_t i = 0; i < d->image_count; i++) {
        const ldm_image *im = &d->images[i];
        const int least = im->width < im->height ? im->width : im->height;
        const int own = least / m->network->first_stage.factor;

        side = own < side ? own : side;
    }
    return side;
}

int ldm_probe_side(const ldm_doctor *d, const ldm_model *m)
{
    const int multiple = 1 << (m->network->unet.channel_mult.count - 1);
    int side = m->latent_h < m->latent_w ? m->latent_h : m->latent_w;

    side = side > MAX_SIDE ? MAX_SIDE : side;
    side = ldm_doctor_size_is_open(d) ? side_at_hand(d, m) : side;
    side = side / multiple * multiple;
    return side < multiple ? multiple : side;
}

size_t ldm_probe_pixels(const ldm_model *m, int side)
{
    const ldm_first_stage *fs = &m->network->first_stage;
    const size_t pixels = (size_t)side * (size_t)fs->factor;

    return (size_t)fs->in_channels * pixels * pixels;
}

ldm_status ldm_probe_planes(const ldm_model *m, const ldm_image *im, int side, float *planes,
                            ldm_error *err)
{
    const ldm_first_stage *fs = &m->network->first_stage;
    const uint32_t pixels = (uint32_t)(side * fs->factor);
    ldm_pixels fit = {0};
    ldm_status st = ldm_picture_in_fit(im, (unsigned)fs->in_channels, pixels, pixels,
                                       LDM_FIT_HOW_CROP, &fit, err);

    if (!st)
        ldm_picture_in_planes(&fit, planes);
    ldm_pixels_free(&fit);
    return st;
}

/* RGB from -1 to 1 into another form, or back. */
static void reform(const ldm_model *m, const float *in, size_t n, ldm_picture_form form, bool back,
                   float *out)
{
    const size_t channels = (size_t)m->network->first_stage.in_channels, plane = n / channels;

    for (size_t c = 0; c < channels; c++) {
        const float *from = in + plane * (form.bgr ? channels - 1 - c : c);

        for (size_t i = 0; i < plane; i++) {
            const float v = from[i];

            out[c * plane + i] = !form.unit_range ? v : back ? 2 * v - 1 : 0.5F * (v + 1);
        }
    }
}

static ldm_status evaluate(const ldm_model *m, ldm_part part, const ldm_array *in, bool quantize,
                           size_t least, ldm_array *out, ldm_error *err)
{
    ldm_eval_job *job = NULL;
    ldm_status st = ldm_eval_job_create(part, &job, err);

    if (!st)
        st = ldm_eval_job_set_array(job, "in", in, err);
    if (!st && !quantize)
        st = ldm_eval_job_set_bool(job, "quantize", false, err);
    if (!st)
        st = ldm_eval(m, job, out, err);
    if (!st && out->numel < least)
        st = ldm_error_set(err, LDM_ERR_MISMATCH, "the first stage gives %llu values, expected %zu",
                           (unsigned long long)out->numel, least);
    ldm_eval_job_free(job);
    return st;
}

static ldm_status allocate(ldm_array *a, int channels, int side, ldm_error *err)
{
    const uint64_t c = (uint64_t)channels, s = (uint64_t)side;

    *a = (ldm_array){.ndim = 4, .shape = {1, c, s, s}, .numel = c * s * s};
    a->data = ldm_reallocarray(NULL, (size_t)a->numel, sizeof *a->data);
    return a->data ? LDM_OK : ldm_error_nomem(err, a->numel * sizeof *a->data, "a picture");
}

ldm_status ldm_probe_encode(const ldm_model *m, const float *planes, int side,
                            ldm_picture_form form, float *latent, ldm_error *err)
{
    const ldm_first_stage *fs = &m->network->first_stage;
    const size_t each = (size_t)m->latent_c * (size_t)side * (size_t)side;
    ldm_array in, out = {0};
    ldm_status st = allocate(&in, fs->in_channels, side * fs->factor, err);

    if (st)
        return st;
    reform(m, planes, (size_t)in.numel, form, false, in.data);
    st = evaluate(m, LDM_PART_ENCODE, &in, true, each, &out, err);
    if (!st)
        memcpy(latent, out.data, each * sizeof *latent); /* of a posterior: the means come first */
    ldm_free(in.data);
    ldm_array_free(&out);
    return st;
}

ldm_status ldm_probe_decode(const ldm_model *m, const float *latent, int side,
                            ldm_picture_form form, bool quantize, float *planes, ldm_error *err)
{
    const size_t n = ldm_probe_pixels(m, side);
    ldm_array in, out = {0};
    ldm_status st = allocate(&in, m->latent_c, side, err);

    if (st)
        return st;
    for (uint64_t i = 0; i < in.numel; i++)
        in.data[i] = (float)(latent[i] * m->scale_factor);
    st = evaluate(m, LDM_PART_DECODE, &in, quantize, n, &out, err);
    if (!st)
        reform(m, out.data, n, form, true, planes);
    ldm_free(in.data);
    ldm_array_free(&out);
    return st;
}
