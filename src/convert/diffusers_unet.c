/* SPDX-License-Identifier: MIT */
/* The UNet's part of a folder of diffusers. */
#include "convert/diffusers_parts.h"
#include "diffusers/diffusers.h"

#define UNET "model.diffusion_model."

static ldm_part_shape unet_shape(const ldm_unet_config *u)
{
    ldm_part_shape s = {.levels = u->channel_mult.count,
                        .updown = u->resblock_updown,
                        .transformers = u->use_spatial_transformer};

    s.blocks = u->num_res_blocks;
    for (int i = 0; i < u->attention_resolutions.count; i++) {
        for (int l = 0; l < s.levels; l++)
            s.attends |= u->attention_resolutions.items[i] == 1 << l ? 1U << l : 0U;
    }
    return s;
}

/* diffusers' UNet2DModel has heads of one width, or one head everywhere; its UNet2DConditionModel a
 * number for each level, under the name attention_head_dim. */
static ldm_status heads_json(const ldm_folder_writer *w, const ldm_unet_config *u,
                             const ldm_part_shape *s, json_t **out)
{
    json_t *list = json_array();
    int width = 0;

    *out = NULL;
    for (int l = 0; l < s->levels; l++) {
        const int channels = u->model_channels * u->channel_mult.items[l];
        const int heads = ldm_folder_heads_at(u, channels);
        const bool attends = s->attends >> l & 1U || l == s->levels - 1;

        json_array_append_new(list, json_integer(heads));
        if (!attends || s->transformers)
            continue;
        if (width && channels / heads != width && !(heads == 1 && width == -1)) {
            json_decref(list);
            return ldm_error_set(w->err, LDM_ERR_UNSUPPORTED,
                                 "num_heads %d: diffusers' UNet2DModel has heads of one width",
                                 heads);
        }
        width = heads == 1 ? -1 : channels / heads;
    }
    if (s->transformers) {
        *out = list;
        return LDM_OK;
    }
    json_decref(list);
    *out = width > 0 ? json_integer(width) : json_null();
    return LDM_OK;
}

/* What UNet2DModel and UNet2DConditionModel do otherwise, or not at all. */
static ldm_status check_unet(const ldm_folder_writer *w, const ldm_unet_config *u)
{
    const char *why = NULL;

    if (u->num_classes < -1 || (w->s->network->unet_inputs.labels && u->num_classes < 0))
        why = "labels that are no classes (num_classes)";
    else if (!u->conv_resample)
        why = "conv_resample false";
    else if (u->resblock_updown && u->use_spatial_transformer)
        why = "resblock_updown and cross-attention";
    else if (u->num_attention_blocks.count || u->disable_self_attentions.count ||
             u->disable_middle_self_attn)
        why = "attention in some blocks of a level alone";
    else if (u->n_embed > 0)
        why = "n_embed";
    return why ? ldm_error_set(w->err, LDM_ERR_UNSUPPORTED,
                               "diffusers has no UNet with %s: such a model is not converted", why)
               : LDM_OK;
}

static void put_shape(json_t *j, const ldm_unet_config *u, const ldm_part_shape *s)
{
    const bool cross = s->transformers;
    json_t *widths = json_array();

    for (int l = 0; l < s->levels; l++)
        json_array_append_new(widths, json_integer(u->model_channels * u->channel_mult.items[l]));
    json_object_set_new(j, "_class_name",
                        json_string(cross ? "UNet2DConditionModel" : "UNet2DModel"));
    json_object_set_new(j, "_diffusers_version", json_string(LDM_DIFFUSERS_VERSION));
    json_object_set_new(j, "sample_size", json_integer(u->image_size.h));
    json_object_set_new(j, "in_channels", json_integer(u->in_channels));
    json_object_set_new(j, "out_channels", json_integer(u->out_channels));
    json_object_set_new(j, "layers_per_block", json_integer(s->blocks));
    json_object_set_new(j, "block_out_channels", widths);
    json_object_set_new(j, "down_block_types",
                        ldm_folder_strings(s->levels, s->attends, false,
                                           cross ? "CrossAttnDownBlock2D" : "AttnDownBlock2D",
                                           "DownBlock2D"));
    json_object_set_new(j, "up_block_types",
                        ldm_folder_strings(s->levels, s->attends, true,
                                           cross ? "CrossAttnUpBlock2D" : "AttnUpBlock2D",
                                           "UpBlock2D"));
    if (u->use_scale_shift_norm)
        json_object_set_new(j, "resnet_time_scale_shift", json_string("scale_shift"));
    if (u->num_classes > 0)
        json_object_set_new(j, "num_class_embeds", json_integer(u->num_classes));
}

ldm_status ldm_folder_unet(ldm_folder_writer *w)
{
    const ldm_unet_config *u = &w->s->network->unet;
    const ldm_part_shape s = unet_shape(u);
    json_t *j, *heads = NULL;
    ldm_modules modules = {0};
    ldm_status st = check_unet(w, u);

    if (!st)
        st = heads_json(w, u, &s, &heads);
    if (st)
        return st;
    j = json_object();
    put_shape(j, u, &s);
    json_object_set_new(j, "attention_head_dim", heads);
    if (s.transformers) {
        json_object_set_new(j, "cross_attention_dim",
                            json_integer(w->s->network->unet_inputs.context_width));
        json_object_set_new(j, "use_linear_projection", json_boolean(u->use_linear_in_transformer));
        json_object_set_new(j, "transformer_layers_per_block", json_integer(u->transformer_depth));
    } else if (s.updown) {
        json_object_set_new(j, "downsample_type", json_string("resnet"));
        json_object_set_new(j, "upsample_type", json_string("resnet"));
    }
    st = ldm_folder_json_write(w, "unet", "config.json", j);
    ldm_modules_unet(&modules, &s, UNET);
    if (!st)
        st = ldm_folder_part_write(w, "unet", "diffusion_pytorch_model", UNET, &modules);
    ldm_modules_free(&modules);
    return st;
}
