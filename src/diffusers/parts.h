/* SPDX-License-Identifier: MIT */
/* Inside the room: the parts of a folder, and what their JSON says. */
#ifndef LDM_DIFFUSERS_PARTS_H
#define LDM_DIFFUSERS_PARTS_H

#include <jansson.h>

#include "checkpoint/checkpoint.h"

typedef enum ldm_part_kind {
    LDM_PART_KIND_NONE,
    LDM_PART_KIND_UNET,
    LDM_PART_KIND_STAGE,
    LDM_PART_KIND_CLIP,
    LDM_PART_KIND_OPEN_CLIP,
    LDM_PART_KIND_BERT,
    LDM_PART_KIND_CLASS /* ClassEmbedder: of folders that ldm wrote */
} ldm_part_kind;

/* One part: its weights in diffusers' names, and its config.json (NULL: there is none). */
typedef struct ldm_folder_part {
    ldm_part_kind kind;
    ldm_ckpt *ck;
    json_t *config;
} ldm_folder_part;

/* What an open file's keys are. */
ldm_part_kind ldm_part_kind_of(const ldm_ckpt *ck, const json_t *config);

/* weights_files.c: the weights in a folder, one file or shards with an index. LDM_ERR_IO where
 * there are none. */
ldm_status ldm_folder_weights(const char *folder, ldm_ckpt **out, ldm_error *err);
/* A JSON file of a folder; NULL in *out where there is none. */
ldm_status ldm_folder_json(const char *folder, const char *name, json_t **out, ldm_error *err);

/* folder_config.c: adds the settings of UNet, first stage and scheduler as metadata. Any may be
 * NULL. codebook: the first stage has one, and its scaling_factor is not believed. */
ldm_status ldm_folder_settings(ldm_ckpt *joined, const json_t *unet, const json_t *stage,
                               const json_t *scheduler, bool codebook, ldm_error *err);

/* Adds the sampling's settings of a model_index.json that `ldm convert` wrote, NULL: none, as
 * metadata `ldm.sampling.*`: values as JSON writes them. */
ldm_status ldm_folder_sampling(ldm_ckpt *joined, const json_t *index, ldm_error *err);

/* Heads of the UNet's attention with `channels` channels, by its config.json. */
int ldm_folder_heads(const json_t *unet, int channels);

#endif
