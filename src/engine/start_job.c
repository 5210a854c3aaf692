/* SPDX-License-Identifier: MIT */
/* Image-to-image before a run exists: the pictures or latents of a job, and what a recipe says of
 * them; see start_job.h. */
#include "engine/start_job.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/sha2.h>

#include "engine/canvas.h"

ldm_fit_how ldm_start_fit(const ldm_job *j)
{
    return !strcmp(j->fit, "pad")       ? LDM_FIT_HOW_PAD
           : !strcmp(j->fit, "stretch") ? LDM_FIT_HOW_STRETCH
           : !strcmp(j->fit, "keep")    ? LDM_FIT_HOW_KEEP
                                        : LDM_FIT_HOW_CROP;
}

ldm_status ldm_start_check_images(const char *what, const ldm_image *ims, size_t count,
                                  ldm_error *err)
{
    size_t i;

    for (i = 0; i < count; i++) {
        const ldm_image *im = &ims[i];

        if (im->width < 1 || im->height < 1 || !im->pixels ||
            (im->channels != 1 && im->channels != 3 && im->channels != 4))
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "%s: picture %zu has %d x %d pixels of %d channels%s, expected "
                                 "1, 3 or 4 channels",
                                 what, i, im->width, im->height, im->channels,
                                 im->pixels ? "" : ", and none are there");
    }
    return LDM_OK;
}

static ldm_status settle_latents(const ldm_model *m, ldm_job *j, ldm_error *err)
{
    const ldm_array *a = j->init;
    uint64_t i;

    if (a->ndim != 4 || a->shape[1] != (uint64_t)m->latent_c || !a->numel ||
        a->shape[0] > INT32_MAX || a->shape[2] > LDM_MAX_SIDE || a->shape[3] > LDM_MAX_SIDE)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "init has %d dimensions and %" PRIu64 " values, expected latents "
                             "[N,%d,H,W]",
                             a->ndim, a->numel, m->latent_c);
    for (i = 0; i < a->numel; i++) {
        if (!isfinite(a->data[i]))
            return ldm_error_set(err, LDM_ERR_USAGE, "init: element %" PRIu64 " is %g", i,
                                 (double)a->data[i]);
    }
    if (ldm_options_given(&j->options, "shape") &&
        (j->latent_h != (int)a->shape[2] || j->latent_w != (int)a->shape[3]))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "shape %d,%d,%d: the latents of init are %" PRIu64 " x %" PRIu64,
                             j->latent_c, j->latent_h, j->latent_w, a->shape[2], a->shape[3]);
    j->latent_c = m->latent_c;
    j->latent_h = (int)a->shape[2];
    j->latent_w = (int)a->shape[3];
    return LDM_OK;
}

/* The size follows the pictures. */
static ldm_status settle_kept_size(const ldm_model *m, ldm_job *j, ldm_error *err)
{
    const int multiple = 1 << (m->network->unet.channel_mult.count - 1);
    const int factor = m->network->first_stage.factor;
    const ldm_image *im = j->init_images;
    ldm_pad pad = {0};
    int width, height, w, h;
    bool asked;
    size_t i;

    (void)ldm_pad_read(j->pad, &pad, NULL); /* it was read before */
    width = im->width + pad.left + pad.right;
    height = im->height + pad.top + pad.bottom;
    for (i = 1; i < j->init_count; i++) {
        if (im[i].width != im->width || im[i].height != im->height)
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "fit keep: picture 0 is %d x %d and picture %zu is %d x %d; one "
                                 "run makes pictures of one size",
                                 im->width, im->height, i, im[i].width, im[i].height);
    }
    asked = ldm_options_given(&j->options, "shape");
    h = ldm_picture_in_latent_side(height, factor, multiple);
    w = ldm_picture_in_latent_side(width, factor, multiple);
    if (asked && (j->latent_h != h || j->latent_w != w))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "shape %d,%d,%d: fit keep takes the size from the picture, which is "
                             "%d,%d,%d; leave one out",
                             j->latent_c, j->latent_h, j->latent_w, m->latent_c, h, w);
    j->latent_c = m->latent_c;
    j->latent_h = h;
    j->latent_w = w;
    if (j->latent_h > LDM_MAX_SIDE || j->latent_w > LDM_MAX_SIDE)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "fit keep: a picture of %d x %d is a latent of %d x %d, at most %d",
                             width, height, j->latent_w, j->latent_h, LDM_MAX_SIDE);
    return LDM_OK;
}

/* ---- masks ----------------------------------------------------------------------------------- */

static size_t pixels_of(const ldm_image *im)
{
    return (size_t)im->width * (size_t)im->height;
}

static size_t count_light(const ldm_image *mask)
{
    size_t i, light = 0;

    for (i = 0; i < pixels_of(mask); i++)
        light += ldm_canvas_light(mask->pixels + i * (size_t)mask->channels, mask->channels);
    return light;
}

static bool alpha_varies(const ldm_image *mask)
{
    size_t i = 0;

    while (mask->channels == 4 && i < pixels_of(mask) && mask->pixels[4 * i + 3] == mask->pixels[3])
        i++;
    return mask->channels == 4 && i < pixels_of(mask);
}

/* Programs disagree on what alpha means in a mask: an editor's brush leaves opaque what it painted,
 * while others paint what is transparent. So it is not guessed where nothing else has a shape. */
static ldm_status shape_in_alpha(size_t i, bool light, ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_USAGE,
                         "the mask of picture %zu has its shape in its alpha channel, and its "
                         "colours alone count, which are %s everywhere: save it in black and white "
                         "(white is painted), without transparency",
                         i, light ? "light" : "dark");
}

/* Truth values where bytes are needed. */
static bool is_binary(const ldm_image *mask)
{
    const size_t n = pixels_of(mask) * (size_t)mask->channels;
    size_t i = 0, ones = 0;

    for (; i < n && mask->pixels[i] <= 1; i++)
        ones += mask->pixels[i];
    return i == n && ones;
}

/* A mask belongs to its picture and paints something. */
static ldm_status check_mask(const ldm_job *j, const ldm_image *im, size_t i, bool padded,
                             ldm_error *err)
{
    const ldm_image *mask = j->mask_images ? &j->mask_images[j->mask_count == 1 ? 0 : i] : NULL;
    size_t light;

    if (mask && (mask->width != im->width || mask->height != im->height))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the mask is %d x %d, and the picture that it belongs to is %d x %d: "
                             "make them one size",
                             mask->width, mask->height, im->width, im->height);
    light = mask ? count_light(mask) : 0;
    if (mask && (!light || light == pixels_of(mask)) && alpha_varies(mask))
        return shape_in_alpha(i, light > 0, err);
    if (!padded && (mask ? !light : !ldm_canvas_transparent(im)))
        return ldm_error_set(err, LDM_ERR_USAGE, "nothing of picture %zu is to be painted: %s", i,
                             !mask             ? "it is opaque, unlike another one"
                             : is_binary(mask) ? "its mask holds 0 and 1, and white is 255"
                                               : "its mask is dark everywhere (white is painted)");
    return LDM_OK;
}

ldm_status ldm_start_check_masks(const ldm_job *j, const ldm_image *ims, size_t count, bool padded,
                                 ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t i;

    if (j->mask_images && j->mask_count != 1 && j->mask_count != count)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%zu masks for %zu pictures, expected one for all or one for each",
                             j->mask_count, count);
    for (i = 0; !st && i < count; i++)
        st = check_mask(j, &ims[i], i, padded, err);
    return st;
}

static bool coloured(const ldm_image *im)
{
    const size_t n = pixels_of(im), channels = (size_t)im->channels;
    size_t i, count = 0;

    for (i = 0; channels > 1 && i < n; i++) {
        const uint8_t *p = im->pixels + channels * i;

        count += abs(p[0] - p[1]) > 24 || abs(p[1] - p[2]) > 24;
    }
    return count > n / 10;
}

/* Does alpha draw another shape than the colours: neither what is transparent nor what is opaque is
 * what is light? A hundredth of the pixels may differ, as at soft edges. */
static bool alpha_differs(const ldm_image *mask)
{
    const size_t n = pixels_of(mask);
    size_t i, same = 0;

    if (!alpha_varies(mask))
        return false;
    for (i = 0; i < n; i++) {
        const uint8_t *p = mask->pixels + 4 * i;

        same += ldm_canvas_light(p, 4) == (p[3] >= LDM_CANVAS_FILL_PAINTED);
    }
    return same > n / 100 && n - same > n / 100;
}

ldm_status ldm_start_note_masks(const ldm_job *j, ldm_notes *notes, ldm_error *err)
{
    for (size_t i = 0; i < j->mask_count; i++) {
        const bool colours = coloured(&j->mask_images[i]);
        char which[40] = "";

        if (!colours && !alpha_differs(&j->mask_images[i]))
            continue;
        if (j->mask_count > 1)
            snprintf(which, sizeof which, " of picture %zu", i);
        return ldm_notes_add(notes, err,
                             "warning: the mask%s %s: is it the mask? What is lighter "
                             "than middle grey in it is painted",
                             which,
                             colours ? "is a picture in colours"
                                     : "has transparent parts, which count for nothing");
    }
    return LDM_OK;
}

/* Does a part of the pictures stay: masks, transparent parts, pads? */
static ldm_status settle_masks(ldm_job *j, ldm_error *err)
{
    ldm_pad pad = {0};
    bool padded;
    ldm_status st = ldm_pad_read(j->pad, &pad, err);
    size_t i;

    if (!st)
        st = ldm_start_check_images("mask", j->mask_images, j->mask_count, err);
    if (st)
        return st;
    padded = pad.left || pad.top || pad.right || pad.bottom;
    if (j->inverse && padded)
        return ldm_error_set(err, LDM_ERR_USAGE, "inversion takes no pad");
    j->masked = j->mask_images || padded;
    if (j->inverse) /* alpha is dropped */
        return LDM_OK;
    for (i = 0; !j->masked && i < j->init_count; i++)
        j->masked = ldm_canvas_transparent(&j->init_images[i]);
    if (!j->masked)
        return LDM_OK;
    if (j->mask)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "a mask is given as an array and by pictures: leave one out");
    st = ldm_start_check_masks(j, j->init_images, j->init_count, padded, err);
    if (!st && !ldm_options_given(&j->options, "strength"))
        j->strength = 1;
    return st;
}

/* What needs a picture to begin with. */
static ldm_status check_without(const ldm_job *j, ldm_error *err)
{
    ldm_pad pad = {0};
    ldm_status st = ldm_pad_read(j->pad, &pad, err);

    if (st)
        return st;
    if (j->mask_images)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "a mask needs the picture that it belongs to (init)");
    if (pad.left || pad.top || pad.right || pad.bottom)
        return ldm_error_set(err, LDM_ERR_USAGE, "pad needs a picture to paint beside (init)");
    return LDM_OK;
}

/* What auto means here. A recipe says it, since it holds the shape as well. */
static void settle_fit(ldm_job *j)
{
    if (!strcmp(j->fit, "auto"))
        j->fit = j->masked && !ldm_options_given(&j->options, "shape") ? "keep" : "crop";
}

static ldm_status settle_pictures(const ldm_model *m, ldm_job *j, ldm_error *err)
{
    const ldm_first_stage *f = &m->network->first_stage;
    ldm_status st = ldm_start_check_images("init", j->init_images, j->init_count, err);

    if (!st)
        st = settle_masks(j, err);
    if (!st)
        settle_fit(j);
    if (!st && f->no_encode)
        st = ldm_error_set(err, LDM_ERR_UNSUPPORTED, "init: %s", f->no_encode);
    if (!st && f->in_channels != 1 && f->in_channels != 3)
        st = ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                           "init: this model's encoder takes pictures of %d channels, expected 1 "
                           "or 3",
                           f->in_channels);
    if (!st && ldm_start_fit(j) == LDM_FIT_HOW_KEEP)
        st = settle_kept_size(m, j, err);
    return st;
}

ldm_status ldm_start_settle(const ldm_model *m, ldm_job *j, ldm_error *err)
{
    const double most = ldm_setting_max(ldm_setting_find(LDM_SETTINGS_JOB, "count"));
    ldm_status st;

    j->masked = j->mask != NULL;
    if (j->image_images || j->segmentation_images)
        return LDM_OK; /* pictures are its conditioning (concat_job.c) */
    if (!j->init_images) {
        st = check_without(j, err);
        if (st || !j->init)
            return st;
    }
    if (j->init && j->init_images)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "init is given as pictures and as latents: leave one out");
    if (j->x_t)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "start noise (x_t) and init are given: a run begins with one of them");
    st = j->init ? settle_latents(m, j, err) : settle_pictures(m, j, err);
    if (!st && (double)ldm_job_start_count(j) > most)
        st = ldm_error_set(err, LDM_ERR_USAGE, "init: %" PRIu64 " pictures, at most %.0f",
                           ldm_job_start_count(j), most);
    if (!st && !ldm_options_given(&j->options, "count"))
        j->count = (int)ldm_job_start_count(j);
    return st;
}

/* ---- recipes --------------------------------------------------------------------------------- */

static void hash_latent(const ldm_array *a, size_t from, char hex[65])
{
    const size_t bytes = (size_t)(a->numel / a->shape[0]) * sizeof *a->data;
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx ctx;
    size_t i;

    sha256_init(&ctx);
    sha256_update(&ctx, bytes, (const uint8_t *)a->data + from * bytes);
    sha256_digest(&ctx, sizeof digest, digest);
    for (i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

bool ldm_start_describe(const ldm_job *j, int index, json_t *recipe)
{
    char hex[65] = "", mask[65] = "";
    json_t *init;
    size_t from;

    if (!j->init && !j->init_images)
        return true;
    from = (size_t)index % (size_t)ldm_job_start_count(j);
    if (j->init)
        hash_latent(j->init, from, hex);
    else if (ldm_image_hash(&j->init_images[from], hex, NULL))
        return false;
    if (j->mask_images &&
        ldm_image_hash(&j->mask_images[j->mask_count == 1 ? 0 : from], mask, NULL))
        return false;
    init = json_pack("{s:s, s:s}", "kind", j->init ? "latent" : "picture", "sha256", hex);
    return init && (!*mask || !json_object_set_new(init, "mask", json_string(mask))) &&
           !json_object_set_new(recipe, "init", init);
}
