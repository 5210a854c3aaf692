/* SPDX-License-Identifier: MIT */
/* What no shape and no buffer shows, by the models that CompVis, Stability AI and others published:
 * one row a kind of model. The rows' values are those of the YAML files in
 * github.com/CompVis/latent-diffusion (models/ldm, configs), CompVis/stable-diffusion (configs) and
 * Stability-AI/stablediffusion (configs). */
#include <string.h>

#include "infer/infer_private.h"

static const ldm_infer_family families[] = {
    {"Stable Diffusion 1",
     LDM_INFER_CLIP,
     0,
     8,
     320,
     {4, {1, 2, 4, 4}},
     8,
     0,
     false,
     "0.18215",
     512,
     0.00085,
     0.012},
    {"Stable Diffusion 2",
     LDM_INFER_OPEN_CLIP,
     0,
     8,
     320,
     {4, {1, 2, 4, 4}},
     0,
     64,
     false,
     "0.18215",
     512,
     0.00085,
     0.012},
    {"the text model txt2img-1p4B",
     LDM_INFER_BERT,
     0,
     8,
     320,
     {4, {1, 2, 4, 4}},
     8,
     0,
     false,
     "0.18215",
     256,
     0.00085,
     0.012},
    {"the layout model layout2img-openimages256",
     LDM_INFER_BERT,
     1,
     4,
     128,
     {4, {1, 2, 3, 4}},
     0,
     32,
     true,
     NULL,
     256,
     0.0015,
     0.0205},
    {"the ImageNet model cin256-v2",
     LDM_INFER_CLASS,
     1,
     4,
     192,
     {4, {1, 2, 3, 5}},
     1,
     0,
     true,
     NULL,
     256,
     0.0015,
     0.0195},
    {"the ImageNet model cin-ldm-vq-f8",
     LDM_INFER_CLASS,
     1,
     8,
     256,
     {3, {1, 2, 4}},
     0,
     32,
     true,
     NULL,
     256,
     0.0015,
     0.0195},
    {"the unconditional models with VQ f4 (FFHQ, CelebA-HQ, LSUN bedrooms)",
     LDM_INFER_UNCONDITIONAL,
     1,
     4,
     224,
     {4, {1, 2, 3, 4}},
     0,
     32,
     true,
     NULL,
     256,
     0.0015,
     0.0195},
    {"the unconditional model with KL f8 (LSUN churches)",
     LDM_INFER_UNCONDITIONAL,
     0,
     8,
     192,
     {5, {1, 1, 2, 2, 4}},
     8,
     0,
     true,
     NULL,
     256,
     0.0015,
     0.0155},
    {"the inpainting model inpainting_big",
     LDM_INFER_FIRST_STAGE,
     1,
     4,
     256,
     {4, {1, 2, 3, 4}},
     8,
     0,
     true,
     NULL,
     256,
     0.0015,
     0.0205},
    {"the super-resolution model bsr_sr",
     LDM_INFER_IDENTITY,
     1,
     4,
     160,
     {4, {1, 2, 2, 4}},
     0,
     32,
     true,
     NULL,
     256,
     0.0015,
     0.0155},
    {"the semantic model semantic_synthesis256",
     LDM_INFER_RESCALER,
     1,
     4,
     128,
     {3, {1, 4, 8}},
     8,
     0,
     true,
     NULL,
     256,
     0.0015,
     0.0205},
};

static bool same_list(const ldm_infer_ints *a, const ldm_infer_ints *b)
{
    return a->count == b->count && !memcmp(a->items, b->items, sizeof *a->items * (size_t)a->count);
}

const ldm_infer_family *ldm_infer_family_of(const ldm_infer_facts *f, bool *exact)
{
    const ldm_infer_family *found = NULL;
    const int factor = f->f.mult.count ? 1 << (f->f.mult.count - 1) : 0;

    *exact = false;
    for (size_t i = 0; i < sizeof families / sizeof *families && !*exact; i++) {
        const ldm_infer_family *row = &families[i];

        if (row->cond != f->kind || (row->codebook >= 0 && row->codebook != f->f.codebook))
            continue;
        if (row->factor && factor && row->factor != factor && row->cond != LDM_INFER_UNCONDITIONAL)
            continue;
        *exact = row->channels == f->u.model_channels && same_list(&row->mult, &f->u.mult);
        if (!found || *exact)
            found = row;
    }
    return found;
}

bool ldm_infer_same_levels(const ldm_infer_family *fam, const ldm_infer_facts *f)
{
    return same_list(&fam->mult, &f->u.mult);
}
