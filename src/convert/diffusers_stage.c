/* SPDX-License-Identifier: MIT */
/* The first stage's part of a folder of diffusers. */
#include <stdio.h>

#include "convert/diffusers_parts.h"
#include "diffusers/diffusers.h"

#define STAGE "first_stage_model."

enum { NAME_LIMIT = 256 };

static int width_of_level(const ldm_folder_writer *w, int level)
{
    char name[NAME_LIMIT];

    snprintf(name, sizeof name, STAGE "decoder.up.%d.block.0.conv1.weight", level);
    return ldm_folder_extent(w, name, 0);
}

static ldm_part_shape stage_shape(const ldm_folder_writer *w)
{
    ldm_part_shape s = {.levels = 0};
    char name[NAME_LIMIT];

    while (width_of_level(w, s.levels)) {
        snprintf(name, sizeof name, STAGE "decoder.up.%d.attn.0.norm.weight", s.levels);
        s.attends |= ldm_folder_find(w, name) ? 1U << s.levels : 0U;
        s.levels++;
    }
    do
        snprintf(name, sizeof name, STAGE "decoder.up.0.block.%d.conv1.weight", s.blocks + 1);
    while (ldm_folder_find(w, name) && ++s.blocks);
    return s;
}

ldm_status ldm_folder_stage(ldm_folder_writer *w, const char *folder)
{
    const ldm_first_stage *fs = &w->s->network->first_stage;
    const ldm_part_shape s = stage_shape(w);
    json_t *j = json_object(), *widths = json_array();
    ldm_modules modules = {0};
    ldm_status st;

    for (int l = 0; l < s.levels; l++)
        json_array_append_new(widths, json_integer(width_of_level(w, l)));
    json_object_set_new(j, "_class_name", json_string(fs->codebook ? "VQModel" : "AutoencoderKL"));
    json_object_set_new(j, "_diffusers_version", json_string(LDM_DIFFUSERS_VERSION));
    json_object_set_new(j, "in_channels", json_integer(fs->in_channels));
    json_object_set_new(j, "out_channels", json_integer(fs->out_channels));
    json_object_set_new(j, "layers_per_block", json_integer(s.blocks));
    json_object_set_new(j, "block_out_channels", widths);
    json_object_set_new(j, "down_block_types",
                        ldm_folder_strings(s.levels, s.attends, false, "AttnDownEncoderBlock2D",
                                           "DownEncoderBlock2D"));
    json_object_set_new(
        j, "up_block_types",
        ldm_folder_strings(s.levels, s.attends, true, "AttnUpDecoderBlock2D", "UpDecoderBlock2D"));
    json_object_set_new(j, "latent_channels",
                        json_integer(ldm_folder_extent(w, STAGE "decoder.conv_in.weight", 1)));
    json_object_set_new(j, "norm_num_groups", json_integer(32));
    json_object_set_new(j, "scaling_factor", json_real(w->s->scale_factor));
    /* diffusers ignores names that begin with '_'; a VQModel's scaling_factor nobody believes. */
    json_object_set_new(j, LDM_DIFFUSERS_SCALE, json_real(w->s->scale_factor));
    json_object_set_new(
        j, "mid_block_add_attention",
        json_boolean(ldm_folder_find(w, STAGE "decoder.mid.attn_1.norm.weight") != NULL));
    if (fs->codebook) {
        json_object_set_new(
            j, "num_vq_embeddings",
            json_integer(ldm_folder_extent(w, STAGE "quantize.embedding.weight", 0)));
        json_object_set_new(
            j, "vq_embed_dim",
            json_integer(ldm_folder_extent(w, STAGE "quantize.embedding.weight", 1)));
    }
    st = ldm_folder_json_write(w, folder, "config.json", j);
    ldm_modules_stage(&modules, &s, STAGE);
    if (!st)
        st = ldm_folder_part_write(w, folder, "diffusion_pytorch_model", STAGE, &modules);
    ldm_modules_free(&modules);
    return st;
}
