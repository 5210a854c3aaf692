/* SPDX-License-Identifier: MIT */
/* A configuration from a checkpoint alone: names, shapes and buffers say what the YAML said, and
 * for each setting that they do not show, what models of this kind are published with. No weights
 * are read, but the noise schedule's buffers and scale_factor.
 *
 * The UNet is ldm/modules/diffusionmodules/openaimodel.py, the first stage
 * ldm/modules/diffusionmodules/model.py, the conditioners ldm/modules/encoders/modules.py, the
 * schedule make_beta_schedule of ldm/modules/diffusionmodules/util.py. */
#ifndef LDM_INFER_INFER_H
#define LDM_INFER_INFER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"
#include "base/arena.h"
#include "checkpoint/checkpoint.h"
#include "config/config.h"

/* Where a setting's value is from; the later, the less sure. */
typedef enum ldm_infer_from {
    LDM_INFER_SHAPE,     /* a name or a shape has it */
    LDM_INFER_BUFFER,    /* the values of a buffer have it */
    LDM_INFER_META,      /* the file's own hyper_parameters, or a folder's JSON */
    LDM_INFER_PUBLISHED, /* nothing shows it; the published model of exactly these shapes has it */
    LDM_INFER_ASSUMED,   /* nothing shows it; published models of this kind have it */
    LDM_INFER_OPEN       /* nothing shows it, and models of this kind differ: a guess */
} ldm_infer_from;
const char *ldm_infer_from_text(ldm_infer_from f); /* "the shapes", "assumed", ...; static */

typedef struct ldm_infer_setting {
    const char *path;  /* "model.params.unet_config.params.num_heads" */
    const char *value; /* YAML, on one line: "[1, 2, 4]" */
    ldm_infer_from from;
    const char *how; /* one phrase: what shows it, or who has it; NULL where that needs no word */
} ldm_infer_setting;

/* What the tensors are. */
typedef struct ldm_inference {
    const char *kind;   /* "a latent diffusion model", "a first stage alone", "a UNet alone",
                           "a UNet and a text encoder, but no first stage" */
    const char *family; /* "Stable Diffusion 1", NULL: no published model is like it */
    bool whole; /* UNet and first stage are both there, and every part is one that CompVis has */
    bool lacks_cond; /* the UNet reads a context, and nothing in the file computes one */
    const ldm_infer_setting *settings; /* in the order of a YAML; a prefix stays together */
    size_t count;
    const char **problems; /* what no configuration of CompVis' can say, one line each */
    size_t problem_count;

    struct ldm_inference_private *priv;
} ldm_inference;

/* LDM_ERR_MISMATCH: the file holds no UNet and no first stage; the message says what it holds. */
ldm_status ldm_infer(const ldm_ckpt *ck, ldm_inference **out, ldm_error *err);
void ldm_inference_free(ldm_inference *in); /* NULL is fine */

/* What a file of another kind holds, one phrase ("a LoRA: changes to a model's weights; ...");
 * NULL: nothing that is known. spoiled: only what a UNet with CompVis' names may be all the same.
 */
const char *ldm_infer_other_kind(const ldm_ckpt *ck, bool spoiled);

/* The setting at a path; NULL where there is none. */
const ldm_infer_setting *ldm_inference_find(const ldm_inference *in, const char *path);
/* The number of settings that are LDM_INFER_OPEN. */
size_t ldm_inference_open_count(const ldm_inference *in);

/* A YAML text that ldm_config_load_text reads; with a comment at each setting that no shape and no
 * buffer shows. `name`: of the checkpoint, for the first line. */
void ldm_inference_yaml(const ldm_inference *in, const char *name, ldm_str *out);

/* ---- a configuration that was given -----------------------------------------------------------
 */

/* A setting of a configuration that contradicts what the tensors show. */
typedef struct ldm_contradiction {
    const char *path;
    ldm_origin origin;    /* of the value, or of the map that lacks it; source NULL: nowhere */
    const char *given;    /* as text; NULL: it is not there */
    const char *fallback; /* the constructor's default, which counts where it is not there; NULL:
                             there is none */
    const char *found;    /* what the tensors show, as YAML on one line */
    const char *part;     /* where the class of a part changes: the path of the part, which is to be
                             replaced as a whole, as the parameters of another class stay no good;
                             NULL: the value alone */
    const char *block;    /* the part as YAML on one line; NULL as `part` */
    ldm_infer_from from;
    bool obeyed; /* ldm takes the file's in any case: a schedule that its buffers hold */
} ldm_contradiction;

/* Holds cfg against the inference, setting by setting: those that a shape or a buffer shows, by
 * value (1.0 is 1, attention_resolutions are a set of levels). *out: *count entries in the arena.
 */
ldm_status ldm_infer_compare(const ldm_inference *in, const ldm_config *cfg, ldm_arena *arena,
                             ldm_contradiction **out, size_t *count, ldm_error *err);

/* Holds cfg against the published model of exactly these shapes, where there is one: what no tensor
 * shows (scale_factor, parameterization, heads). part: the setting that `found` is of, where it is
 * another than `path` (num_heads for num_head_channels, or the other way round). */
ldm_status ldm_infer_compare_published(const ldm_inference *in, const ldm_config *cfg,
                                       ldm_arena *arena, ldm_contradiction **out, size_t *count,
                                       ldm_error *err);

#endif
