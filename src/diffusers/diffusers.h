/* SPDX-License-Identifier: MIT */
/* Models in the form of Hugging Face diffusers, as checkpoints with CompVis' names: a folder with
 * model_index.json (unet, vae or vqvae, text encoder, scheduler), a folder or a file of one part
 * alone. What the JSON files say becomes metadata `hyper_parameters.*`, as Lightning writes it. */
#ifndef LDM_DIFFUSERS_DIFFUSERS_H
#define LDM_DIFFUSERS_DIFFUSERS_H

#include <stdbool.h>

#include "checkpoint/checkpoint.h"

/* The scale factor in a first stage's config.json that `ldm convert` wrote. */
#define LDM_DIFFUSERS_SCALE "_ldm_scale_factor"

/* The settings of `ldm: sampling:` in model_index.json, under a name that diffusers passes over. */
#define LDM_DIFFUSERS_SAMPLING "_ldm_sampling"

/* Whose form a folder has that `ldm convert` writes: some pipelines look for it. */
#define LDM_DIFFUSERS_VERSION "0.42.1"

/* A folder of diffusers: it holds model_index.json, or config.json of a part. */
bool ldm_diffusers_is_folder(const char *path);

/* Opens such a folder. LDM_ERR_FORMAT where a file is not what its name says, LDM_ERR_UNSUPPORTED
 * for parts of other kinds than LDM's and Stable Diffusion 1 and 2's. */
ldm_status ldm_diffusers_open(const char *path, ldm_ckpt **out, ldm_error *err);

/* Whether an open file's keys are those of a part in diffusers' names. */
bool ldm_diffusers_has_names(const ldm_ckpt *ck);

/* The same file under CompVis' names; `folder` is where its config.json may lie. Takes ck over, on
 * failure as well. */
ldm_status ldm_diffusers_rename(ldm_ckpt *ck, const char *folder, ldm_ckpt **out, ldm_error *err);

#endif
