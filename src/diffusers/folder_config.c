/* SPDX-License-Identifier: MIT */
/* What diffusers' JSON files say, as the settings of CompVis' constructors. */
#include <stdio.h>
#include <string.h>

#include "base/json_text.h"
#include "checkpoint/join.h"
#include "diffusers/diffusers.h"
#include "diffusers/parts.h"

#define ROOT "hyper_parameters."
#define UNET ROOT "unet_config.params."

static const char *text_of(const json_t *config, const char *key)
{
    const char *s = json_string_value(json_object_get(config, key));

    return s ? s : "";
}

static int whole_of(const json_t *v)
{
    const json_int_t i = json_is_integer(v) ? json_integer_value(v) : 0;

    return i > 0 && i <= 1 << 20 ? (int)i : 0;
}

static ldm_status put_int(ldm_ckpt *joined, const char *path, int value, ldm_error *err)
{
    char text[24];

    snprintf(text, sizeof text, "%d", value);
    return value ? ldm_ckpt_join_meta(joined, path, text, err) : LDM_OK;
}

static ldm_status put_number(ldm_ckpt *joined, const char *path, const json_t *v, ldm_error *err)
{
    char text[40];

    if (!json_is_number(v))
        return LDM_OK;
    snprintf(text, sizeof text, "%.12g", json_number_value(v));
    return ldm_ckpt_join_meta(joined, path, text, err);
}

/* ---- heads ----------------------------------------------------------------------------------- */

/* UNet2DConditionModel's attention_head_dim is a number of heads (num_attention_heads where that is
 * given): a mistake of its first version that became its interface. UNet2DModel's is a width. */
static const json_t *heads_of(const json_t *unet, bool *number)
{
    const json_t *heads = json_object_get(unet, "num_attention_heads");

    *number = strstr(text_of(unet, "_class_name"), "Condition") != NULL;
    if (*number && heads && !json_is_null(heads))
        return heads;
    return json_object_get(unet, "attention_head_dim");
}

int ldm_folder_heads(const json_t *unet, int channels)
{
    const json_t *widths = json_object_get(unet, "block_out_channels"), *v;
    bool number;
    int value;

    v = heads_of(unet, &number);
    if (!v && unet)
        value = 8; /* the default of both classes */
    else if (json_is_array(v)) {
        value = 0;
        for (size_t i = 0; i < json_array_size(v); i++) {
            if (whole_of(json_array_get(widths, i)) == channels)
                value = whole_of(json_array_get(v, i));
        }
    } else {
        value = whole_of(v);
    }
    if (!value)
        return 1; /* null: one head */
    return number ? value : channels % value ? 1 : channels / value;
}

/* The same number of heads on every level, or the same width of them. */
static ldm_status put_heads(ldm_ckpt *joined, const json_t *unet, ldm_error *err)
{
    const json_t *widths = json_object_get(unet, "block_out_channels");
    const size_t n = json_array_size(widths);
    bool same_number = true, same_width = true;
    int first = 0, width = 0;
    bool number;

    for (size_t i = 0; i < n; i++) {
        const int c = whole_of(json_array_get(widths, i)), heads = ldm_folder_heads(unet, c);

        if (!c || !heads)
            continue;
        first = i ? first : heads;
        width = i ? width : c / heads;
        same_number &= heads == first;
        same_width &= c / heads == width;
    }
    (void)heads_of(unet, &number);
    if (number && same_number)
        return put_int(joined, UNET "num_heads", first, err);
    if (same_width)
        return put_int(joined, UNET "num_head_channels", width, err);
    return same_number ? put_int(joined, UNET "num_heads", first, err) : LDM_OK;
}

/* ---- the parts ------------------------------------------------------------------------------- */

static ldm_status put_unet(ldm_ckpt *joined, const json_t *unet, ldm_error *err)
{
    const int size = whole_of(json_object_get(unet, "sample_size"));
    ldm_status st = put_int(joined, ROOT "image_size", size, err);

    if (!st)
        st = put_int(joined, UNET "image_size", size, err);
    if (!st && strstr(text_of(unet, "_class_name"), "Condition"))
        st = ldm_ckpt_join_meta(joined, UNET "legacy", "false", err);
    return st ? st : put_heads(joined, unet, err);
}

/* "scaled_linear" is what CompVis calls linear, "linear" its sqrt_linear. */
static const char *schedule_name(const char *theirs)
{
    if (!strcmp(theirs, "linear"))
        return "sqrt_linear";
    return !strcmp(theirs, "squaredcos_cap_v2") ? "cosine" : "linear";
}

static ldm_status put_scheduler(ldm_ckpt *joined, const json_t *s, ldm_error *err)
{
    const char *prediction = text_of(s, "prediction_type"), *betas = text_of(s, "beta_schedule");
    ldm_status st =
        put_int(joined, ROOT "timesteps", whole_of(json_object_get(s, "num_train_timesteps")), err);

    if (!st)
        st = put_number(joined, ROOT "linear_start", json_object_get(s, "beta_start"), err);
    if (!st)
        st = put_number(joined, ROOT "linear_end", json_object_get(s, "beta_end"), err);
    if (!st && *betas && strcmp(schedule_name(betas), "linear"))
        st = ldm_ckpt_join_meta(joined, ROOT "beta_schedule", schedule_name(betas), err);
    if (!st && *prediction)
        st = ldm_ckpt_join_meta(joined, ROOT "parameterization",
                                !strcmp(prediction, "v_prediction") ? "v"
                                : !strcmp(prediction, "sample")     ? "x0"
                                                                    : "eps",
                                err);
    return st;
}

/* VQModel's configuration has 0.18215 by default, whatever the model was trained with. What
 * `ldm convert` wrote says it in a name of its own. */
static ldm_status put_stage(ldm_ckpt *joined, const json_t *stage, bool codebook, ldm_error *err)
{
    const json_t *scale = json_object_get(stage, "scaling_factor");
    const json_t *own = json_object_get(stage, LDM_DIFFUSERS_SCALE);
    ldm_status st;

    if (json_is_number(own))
        return put_number(joined, ROOT "scale_factor", own, err);
    if (!codebook)
        return put_number(joined, ROOT "scale_factor", scale ? scale : NULL, err);
    if (!json_is_number(scale) || json_number_value(scale) == 1.0)
        return LDM_OK;
    st = ldm_ckpt_warn(joined,
                       "the scaling_factor in its config.json is not believed: diffusers writes "
                       "0.18215 for every first stage with a codebook, and LDM's have 1",
                       err);
    return st;
}

ldm_status ldm_folder_settings(ldm_ckpt *joined, const json_t *unet, const json_t *stage,
                               const json_t *scheduler, bool codebook, ldm_error *err)
{
    ldm_status st = LDM_OK;

    if (unet)
        st = put_unet(joined, unet, err);
    if (!st && scheduler)
        st = put_scheduler(joined, scheduler, err);
    if (!st && stage)
        st = put_stage(joined, stage, codebook, err);
    return st;
}

ldm_status ldm_folder_sampling(ldm_ckpt *joined, const json_t *index, ldm_error *err)
{
    json_t *own = json_object_get(index, LDM_DIFFUSERS_SAMPLING), *value;
    const char *key;
    char path[128];
    ldm_status st = LDM_OK;

    json_object_foreach(own, key, value)
    {
        ldm_str text = {0};

        if (!st && ldm_json_append(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12), &text) &&
            snprintf(path, sizeof path, "ldm.sampling.%s", key) < (int)sizeof path)
            st = ldm_ckpt_join_meta(joined, path, text.data, err);
        ldm_str_free(&text);
    }
    return st;
}
