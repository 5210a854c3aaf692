/* SPDX-License-Identifier: MIT */
/* Pictures as conditioning before a run exists: what the network takes of them, the size that
 * follows, and what recipes hold; see concat.h. */
#include <inttypes.h>
#include <string.h>

#include "engine/canvas.h"
#include "engine/concat.h"
#include "engine/conditions.h"
#include "engine/run_state.h"
#include "engine/start_job.h"

/* scripts/streamlit/superresolution.py */
enum { DEFAULT_LEVEL = 20 };
static const char default_prompt[] = "a high quality professional photograph";

static const char *name_of(const ldm_job *j)
{
    return j->segmentation_images ? "segmentation" : "image";
}

/* ---- what does not apply --------------------------------------------------------------------- */

static ldm_status refuse(const char *what, ldm_concat_kind kind, const ldm_network *n,
                         ldm_error *err)
{
    const char *wants = ldm_concat_wants(kind);

    if (wants)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s: this model takes %s", what, wants);
    if (n->unet_inputs.concat)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "%s: this model reads %d channels beside the latent, and what they "
                             "are made of is not known: give them as an array (concat)",
                             what, n->unet_inputs.concat);
    return ldm_error_set(
        err, LDM_ERR_USAGE,
        "%s: this model takes no picture as conditioning, so it neither paints nor enlarges one; "
        "any model begins with a picture (init), or paints a part of it (init, mask)",
        what);
}

static ldm_status refuse_stray(const ldm_model *m, const ldm_job *j, ldm_error *err)
{
    const ldm_network *n = m->network;
    const ldm_concat_kind kind = n->unet_inputs.concat_kind;

    if (j->segmentation_images && kind != LDM_CONCAT_MAP)
        return refuse("segmentation", kind, n, err);
    if (j->image_images && (kind == LDM_CONCAT_NONE || kind == LDM_CONCAT_MAP))
        return refuse("image", kind, n, err);
    if (j->image_images && j->mask_images && !ldm_concat_takes_mask(kind))
        return refuse("mask", kind, n, err);
    if (j->cond_noise && !ldm_concat_draws(n))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "cond_noise: this model's conditioning draws no noise");
    return LDM_OK;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

typedef struct sides {
    int h, w;
} sides;

/* The latent that belongs to the pictures as they are. */
static sides own_sides(const ldm_model *m, const ldm_image *im, const ldm_pad *pad)
{
    const int multiple = 1 << (m->network->unet.channel_mult.count - 1);
    const int unit = ldm_concat_unit(m->network);

    return (sides){ldm_picture_in_latent_side(im->height + pad->top + pad->bottom, unit, multiple),
                   ldm_picture_in_latent_side(im->width + pad->left + pad->right, unit, multiple)};
}

/* The size that the job asks for; false: it does not say. */
static bool asked_sides(const ldm_job *j, sides *out)
{
    if (j->x_t && j->x_t->ndim == 4) {
        *out = (sides){(int)j->x_t->shape[2], (int)j->x_t->shape[3]};
        return j->x_t->shape[2] <= LDM_MAX_SIDE && j->x_t->shape[3] <= LDM_MAX_SIDE;
    }
    *out = (sides){j->latent_h, j->latent_w};
    return ldm_options_given(&j->options, "shape");
}

static ldm_status check_alike(const ldm_job *j, const ldm_image *ims, size_t count, ldm_error *err)
{
    size_t i;

    for (i = 1; i < count; i++) {
        if (ims[i].width != ims[0].width || ims[i].height != ims[0].height)
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "%s: picture 0 is %d x %d and picture %zu is %d x %d; one run "
                                 "makes pictures of one size: give it (shape), or one after the "
                                 "other",
                                 name_of(j), ims[0].width, ims[0].height, i, ims[i].width,
                                 ims[i].height);
    }
    return LDM_OK;
}

static ldm_status settle_size(const ldm_model *m, ldm_job *j, const ldm_image *ims, size_t count,
                              const ldm_pad *pad, ldm_error *err)
{
    const sides own = own_sides(m, ims, pad);
    sides asked;
    const bool said = asked_sides(j, &asked), equal = asked.h == own.h && asked.w == own.w;
    ldm_status st;

    if (!strcmp(j->fit, "auto"))
        j->fit = said && !equal ? "crop" : "keep";
    if (ldm_start_fit(j) != LDM_FIT_HOW_KEEP)
        return LDM_OK;
    st = check_alike(j, ims, count, err);
    if (st)
        return st;
    if (said && !equal)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "shape %d,%d,%d: fit keep takes the size from the picture, which is "
                             "%d,%d,%d; leave one out",
                             m->latent_c, asked.h, asked.w, m->latent_c, own.h, own.w);
    if (own.h > LDM_MAX_SIDE || own.w > LDM_MAX_SIDE)
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "%s: a picture of %d x %d is a latent of %d x %d, at most %d",
                             name_of(j), ims->width + pad->left + pad->right,
                             ims->height + pad->top + pad->bottom, own.w, own.h, LDM_MAX_SIDE);
    j->latent_c = m->latent_c;
    j->latent_h = own.h;
    j->latent_w = own.w;
    return LDM_OK;
}

/* ---- masks ----------------------------------------------------------------------------------- */

static ldm_status settle_masks(const ldm_model *m, ldm_job *j, const ldm_pad *pad, ldm_error *err)
{
    const bool padded = pad->left || pad->top || pad->right || pad->bottom;
    const bool takes = ldm_concat_takes_mask(m->network->unet_inputs.concat_kind);
    size_t i;

    if (!takes)
        return padded ? ldm_error_set(err, LDM_ERR_USAGE,
                                      "pad: this model does not paint beside a picture")
                      : LDM_OK;
    j->painted = j->mask_images || padded;
    for (i = 0; !j->painted && i < j->image_count; i++)
        j->painted = ldm_canvas_transparent(&j->image_images[i]);
    if (!j->painted)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "image: this model paints a part of a picture and nothing says which: "
                             "give it a mask (mask; white is painted), a picture that is "
                             "transparent there, or pad");
    if (j->mask)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "a mask is given as an array and by pictures: leave one out");
    if (j->mask_images && !ldm_options_given(&j->options, "mask_blur"))
        j->mask_blur = 0; /* as the original composes */
    return ldm_start_check_masks(j, j->image_images, j->image_count, padded, err);
}

/* ---- settling -------------------------------------------------------------------------------- */

static ldm_status check_count(const ldm_job *j, size_t count, ldm_error *err)
{
    const double most = ldm_setting_max(ldm_setting_find(LDM_SETTINGS_JOB, "count"));

    if ((double)count <= most)
        return LDM_OK;
    return ldm_error_set(err, LDM_ERR_USAGE, "%s: %zu pictures, at most %.0f", name_of(j), count,
                         most);
}

static ldm_status check_labels(const ldm_image *map, int known, ldm_error *err)
{
    const size_t width = (size_t)map->width, pixels = width * (size_t)map->height;
    size_t i;

    for (i = 0; i < pixels; i++) {
        if (map->pixels[i] >= known)
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "segmentation: label %d at pixel (%zu, %zu); this model knows 0 "
                                 "to %d",
                                 map->pixels[i], i % width, i / width, known - 1);
    }
    return LDM_OK;
}

/* A map holds numbers of planes, and colours are none. */
static ldm_status check_map(const ldm_model *m, const ldm_job *j, ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t i;

    for (i = 0; !st && i < j->segmentation_count; i++) {
        if (j->segmentation_images[i].channels != 1)
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "segmentation: picture %zu has %d channels, expected 1: a label's "
                                 "number a pixel (ldm_image_read_labels)",
                                 i, j->segmentation_images[i].channels);
        st = check_labels(&j->segmentation_images[i], m->network->conditioners->channels_in, err);
    }
    return st;
}

static ldm_status check_exclusive(const ldm_job *j, ldm_error *err)
{
    if (j->image_images && j->segmentation_images)
        return ldm_error_set(err, LDM_ERR_USAGE, "image and segmentation are given: leave one out");
    if (j->concat)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s and the array concat are given: both are what is concatenated; "
                             "leave one out",
                             name_of(j));
    if (j->init || j->init_images)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s and init are given: a run begins with noise where the picture is "
                             "its conditioning; leave one out",
                             name_of(j));
    return LDM_OK;
}

static ldm_status settle_level(const ldm_model *m, ldm_job *j, ldm_error *err)
{
    const ldm_low_scale *v = &m->network->low_scale;
    const int classes = m->network->unet_inputs.classes;
    int most = v->max_noise_level - 1; /* torch.randint(0, max_noise_level) in training */

    if (!v->present)
        return LDM_OK;
    if (most > v->timesteps - 1)
        most = v->timesteps - 1;
    if (classes && most > classes - 1)
        most = classes - 1;
    if (!ldm_options_given(&j->options, "noise_level"))
        return ldm_job_set_int(j, "noise_level", DEFAULT_LEVEL < most ? DEFAULT_LEVEL : most, err);
    if (j->noise_level > most)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "noise_level is %d, expected 0 to %d (below max_noise_level, as "
                             "the model was trained)",
                             j->noise_level, most);
    return LDM_OK;
}

static bool has_text(const ldm_model *m, const ldm_job *j)
{
    return !ldm_network_reads_text(m->network) || j->prompt || j->prompts || j->ids || j->context ||
           !strcmp(j->cond, "zeros");
}

ldm_status ldm_concat_defaults(const ldm_model *m, ldm_job *j, ldm_error *err)
{
    const ldm_concat_kind kind = m->network->unet_inputs.concat_kind;

    if (!j->image_images)
        return LDM_OK;
    if (kind == LDM_CONCAT_LOW_NOISED && !has_text(m, j))
        return ldm_job_set(j, "prompt", default_prompt, err);
    if (kind != LDM_CONCAT_LOW || strcmp(j->sampler, "ddim"))
        return LDM_OK;
    if (!ldm_options_given(&j->options, "steps") && m->network->diffusion.timesteps > 100)
        j->steps = 100;
    if (!ldm_options_given(&j->options, "eta"))
        j->eta = 1;
    return LDM_OK;
}

static ldm_status settle_pictures(const ldm_model *m, ldm_job *j, const ldm_image *ims,
                                  size_t count, ldm_error *err)
{
    const ldm_first_stage *f = &m->network->first_stage;
    const ldm_concat_kind kind = m->network->unet_inputs.concat_kind;
    const bool encodes = kind == LDM_CONCAT_PICTURE || ldm_concat_takes_mask(kind);
    ldm_pad pad = {0};
    ldm_status st = ldm_pad_read(j->pad, &pad, err);

    if (!st)
        st = ldm_start_check_images(name_of(j), ims, count, err);
    if (!st)
        st = ldm_start_check_images("mask", j->mask_images, j->mask_count, err);
    if (!st)
        st = check_count(j, count, err);
    if (!st)
        st = check_map(m, j, err);
    if (!st && encodes && f->no_encode)
        st = ldm_error_set(err, LDM_ERR_UNSUPPORTED, "image: %s", f->no_encode);
    if (!st && encodes && f->in_channels != 1 && f->in_channels != 3)
        st = ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                           "image: this model's encoder takes pictures of %d channels, expected 1 "
                           "or 3",
                           f->in_channels);
    if (!st)
        st = settle_masks(m, j, &pad, err);
    if (!st)
        st = settle_size(m, j, ims, count, &pad, err);
    if (!st && !ldm_options_given(&j->options, "count"))
        j->count = (int)count;
    return st;
}

ldm_status ldm_concat_settle(const ldm_model *m, ldm_job *j, ldm_error *err)
{
    size_t count;
    const ldm_image *ims = ldm_concat_pictures(j, &count);
    ldm_status st = refuse_stray(m, j, err);

    j->painted = false;
    if (!st)
        st = settle_level(m, j, err);
    if (st || !ims)
        return st;
    st = check_exclusive(j, err);
    return st ? st : settle_pictures(m, j, ims, count, err);
}

/* ---- recipes, notes -------------------------------------------------------------------------- */

bool ldm_concat_describe(const ldm_job *j, int index, json_t *recipe)
{
    char hex[65] = "", mask[65] = "";
    json_t *given;
    size_t count, from;
    const ldm_image *ims = ldm_concat_pictures(j, &count);

    if (!ims)
        return true;
    from = (size_t)index % count;
    if (ldm_image_hash(&ims[from], hex, NULL))
        return false;
    if (j->mask_images &&
        ldm_image_hash(&j->mask_images[j->mask_count == 1 ? 0 : from], mask, NULL))
        return false;
    given = json_pack("{s:s}", "sha256", hex);
    return given && (!*mask || !json_object_set_new(given, "mask", json_string(mask))) &&
           !json_object_set_new(recipe, name_of(j), given);
}

ldm_status ldm_concat_note(ldm_run *r, ldm_error *err)
{
    static const char *const how[] = {"cut and resized", "resized, with borders,", "stretched"};
    const ldm_job *j = &r->job;
    const int unit = ldm_concat_unit(r->m->network);
    const int w = j->latent_w * unit, h = j->latent_h * unit;
    const ldm_image *first = NULL;
    size_t count, i, others = 0;
    const ldm_image *ims = ldm_concat_pictures(j, &count);
    ldm_pad pad = {0};
    ldm_status st = LDM_OK;

    if (ims && j->prompt && !strcmp(j->prompt, default_prompt))
        st = ldm_notes_add(&r->notes, err, "prompt: \"%s\", where nothing else is said",
                           default_prompt);
    if (st)
        return st;
    (void)ldm_pad_read(j->pad, &pad, NULL); /* it was read before */
    for (i = 0; ims && i < count; i++) {
        if (ims[i].width + pad.left + pad.right == w && ims[i].height + pad.top + pad.bottom == h)
            continue;
        first = first ? first : &ims[i];
        others++;
    }
    if (!others)
        return LDM_OK;
    if (ldm_start_fit(j) == LDM_FIT_HOW_KEEP)
        return ldm_notes_add(&r->notes, err, "%s: %d x %d is extended to %d x %d and cut again",
                             name_of(j), first->width + pad.left + pad.right,
                             first->height + pad.top + pad.bottom, w, h);
    return ldm_notes_add(
        &r->notes, err, "%s: %zu of %zu picture%s of another size (%d x %d%s) %s %s to %d x %d",
        name_of(j), others, count, count == 1 ? "" : "s", first->width, first->height,
        others > 1 ? ", ..." : "", others == 1 ? "is" : "are", how[ldm_start_fit(j)], w, h);
}
