/* SPDX-License-Identifier: MIT */
/* Names of the published models that a configuration may describe, so that a refusal can say which
 * model it is about. Facts of the configurations that CompVis and Stability AI published. */
#include <string.h>

#include "audit/partial.h"

/* A row matches where every part of it that is not NULL or 0 does; the first one counts. Targets
 * match by a part of their text. */
typedef struct sign {
    const char *name, *model, *conditioner;
    int64_t in_channels;
    const char *cond_stage_key;
} sign;

static const sign signs[] = {
    {"Stable Diffusion XL, or another model of Stability's generative-models", "sgm.", NULL, 0,
     NULL},
    {"Stable Diffusion 3, or another diffusion transformer", "mmdit", NULL, 0, NULL},
    {"Stable Diffusion 2, depth to picture", "LatentDepth2ImageDiffusion", NULL, 0, NULL},
    {"Stable Diffusion's x4 upscaler", "LatentUpscale", NULL, 0, NULL},
    {"Stable Diffusion 2, unCLIP", "ImageEmbeddingConditioned", NULL, 0, NULL},
    {"Stable Diffusion 2, inpainting", "LatentInpaintDiffusion", "OpenCLIP", 0, NULL},
    {"Stable Diffusion v1, inpainting", "LatentInpaintDiffusion", NULL, 0, NULL},
    {"InstructPix2Pix", "LatentDiffusion", "FrozenCLIPEmbedder", 8, NULL},
    {"Stable Diffusion v1, inpainting", "LatentDiffusion", "FrozenCLIPEmbedder", 9, NULL},
    {"Stable Diffusion's image variations", "LatentDiffusion", "FrozenClipImageEmbedder", 0, NULL},
    {"Stable Diffusion v1", "LatentDiffusion", "FrozenCLIPEmbedder", 0, NULL},
    {"Stable Diffusion 2", "LatentDiffusion", "FrozenOpenCLIPEmbedder", 0, NULL},
    {"CompVis' model of layouts", "LatentDiffusion", "BERTEmbedder", 0, "coordinates_bbox"},
    {"CompVis' text-to-image model", "LatentDiffusion", "BERTEmbedder", 0, NULL},
    {"CompVis' class-conditional model", "LatentDiffusion", "ClassEmbedder", 0, NULL},
    {"CompVis' model of semantic maps", "LatentDiffusion", "SpatialRescaler", 0, NULL},
    {"CompVis' super-resolution model", "LatentDiffusion", "torch.nn.Identity", 6, NULL},
    {"CompVis' inpainting model", "LatentDiffusion", "__is_first_stage__", 7, NULL},
    {"an autoencoder alone, without a diffusion model", "autoencoder.", NULL, 0, NULL},
    {"a model of taming-transformers", "taming.", NULL, 0, NULL},
};

static const char *text_at(const ldm_config *cfg, const char *path)
{
    const ldm_value *v = ldm_value_find(ldm_config_root(cfg), path);
    const char *text = NULL;

    if (!v || ldm_value_get_kind(v) != LDM_VALUE_STRING || ldm_value_string(v, &text, NULL))
        return NULL;
    return text;
}

static int64_t number_at(const ldm_config *cfg, const char *path)
{
    const ldm_value *v = ldm_value_find(ldm_config_root(cfg), path);
    int64_t n = 0;

    if (!v || ldm_value_get_kind(v) != LDM_VALUE_INT || ldm_value_int(v, &n, NULL))
        return 0;
    return n;
}

static bool has(const char *text, const char *part)
{
    return !part || (text && strstr(text, part));
}

const char *ldm_audit_family(const ldm_config *cfg)
{
    const char *model = text_at(cfg, "model.target");
    const char *cond = text_at(cfg, "model.params.cond_stage_config.target");
    const char *key = text_at(cfg, "model.params.cond_stage_key");
    const int64_t in = number_at(cfg, "model.params.unet_config.params.in_channels");
    size_t i;

    if (!cond)
        cond = text_at(cfg, "model.params.cond_stage_config");
    for (i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        const sign *s = &signs[i];

        if (has(model, s->model) && has(cond, s->conditioner) && has(key, s->cond_stage_key) &&
            (!s->in_channels || s->in_channels == in))
            return s->name;
    }
    return NULL;
}
