/* SPDX-License-Identifier: MIT */
/* Inside the room: a folder of diffusers while it is written. */
#ifndef LDM_CONVERT_DIFFUSERS_PARTS_H
#define LDM_CONVERT_DIFFUSERS_PARTS_H

#include <jansson.h>

#include "convert/convert_private.h"
#include "convert/diffusers_write.h"
#include "diffusers/modules.h"

enum { LDM_FOLDER_PATH = 4096 };

typedef struct ldm_folder_writer {
    const ldm_folder_source *s;
    char root[LDM_FOLDER_PATH]; /* a temporary name */
    ldm_arena *names;
    ldm_str *report;
    ldm_error *err;
} ldm_folder_writer;

/* diffusers_files.c */
/* Writes `part`/`name` ("": the folder itself); takes j. */
ldm_status ldm_folder_json_write(ldm_folder_writer *w, const char *part, const char *name,
                                 json_t *j);
/* Writes `part`/`file`.safetensors: what of the source begins with prefix, under the names of
 * `modules`. */
ldm_status ldm_folder_part_write(ldm_folder_writer *w, const char *part, const char *file,
                                 const char *prefix, const ldm_modules *modules);
/* Heads of the UNet's attention with so many channels. */
int ldm_folder_heads_at(const ldm_unet_config *u, int channels);
/* A tensor of the source; NULL: it has none of that name. And its extent; 0: it has none. */
const ldm_out_tensor *ldm_folder_find(const ldm_folder_writer *w, const char *name);
int ldm_folder_extent(const ldm_folder_writer *w, const char *name, int axis);
/* A list of `count` names: `with` where the level's bit is set. reversed: the coarsest first. */
json_t *ldm_folder_strings(int count, unsigned bits, bool reversed, const char *with,
                           const char *without);

/* The parts. LDM_ERR_UNSUPPORTED where diffusers has no such part; the message says why. */
ldm_status ldm_folder_unet(ldm_folder_writer *w);
/* folder: "vae" or "vqvae". */
ldm_status ldm_folder_stage(ldm_folder_writer *w, const char *folder);
ldm_status ldm_folder_text(ldm_folder_writer *w, bool open_clip);
ldm_status ldm_folder_bert(ldm_folder_writer *w);
ldm_status ldm_folder_classes(ldm_folder_writer *w);
/* vocabulary: of CLIP, in any form. *fits: it has a word for each row of the model's table; else
 * nothing is written. */
ldm_status ldm_folder_clip_tokens(ldm_folder_writer *w, bool open_clip, const char *vocabulary,
                                  bool *fits);
/* vocabulary: the path of a vocab.txt. */
ldm_status ldm_folder_bert_tokens(ldm_folder_writer *w, const char *vocabulary);

#endif
