/* SPDX-License-Identifier: MIT */
/* Files of other kinds than CompVis' models, told by a name in them that no model of CompVis' has.
 */
#include <string.h>

#include "infer/infer_private.h"

typedef struct sign {
    const char *text; /* in a key */
    bool begins;      /* where the key begins */
    bool spoils;      /* a UNet with it computes something else than CompVis' */
    const char *what;
} sign;

#define ADDITION "; give the checkpoint of the model that it is added to"
#define WORD "a textual inversion (the embedding of a word)" ADDITION
#define TEXT "a text encoder alone; give the checkpoint of the model that it belongs to"

/* The first that is met counts: what is told by more comes first. */
static const sign signs[] = {
    {"conditioner.embedders.1.", true, true,
     "Stable Diffusion XL, which has two text encoders and is no model of CompVis' code"},
    {".joint_blocks.", false, true,
     "a transformer (Stable Diffusion 3 or the like), which is no model of CompVis' code"},
    {"double_blocks.", false, true,
     "a transformer (FLUX or the like), which is no model of CompVis' code"},
    {".time_stack.", false, true,
     "a model of videos (Stable Video Diffusion or the like), whose UNet has layers over time"},
    {"motion_modules.", false, true,
     "layers over time for a model of videos (AnimateDiff)" ADDITION},
    {"time_embed.cond_proj.", false, true,
     "a UNet that reads the guidance scale (a latent consistency model), which CompVis' does not"},
    {"lora_A.", false, false, "a LoRA, which changes a model's weights" ADDITION},
    {"lora_down.", false, false, "a LoRA, which changes a model's weights" ADDITION},
    {"lora.down.", false, false, "a LoRA, which changes a model's weights" ADDITION},
    {"hada_w1_", false, false, "a LoRA (LoHa), which changes a model's weights" ADDITION},
    {"lokr_w1", false, false, "a LoRA (LoKr), which changes a model's weights" ADDITION},
    {"input_hint_block.", false, false, "a ControlNet" ADDITION},
    {"controlnet_cond_embedding.", true, false, "a ControlNet" ADDITION},
    {"ip_adapter.", true, false, "an IP-Adapter" ADDITION},
    {"adapter.body.", true, false, "a T2I-Adapter" ADDITION},
    {"emb_params", true, false, WORD},
    {"string_to_param", true, false, WORD},
    {"string_to_token", true, false, WORD},
    {"text_model.encoder.", true, false, TEXT},
    {"transformer.text_model.encoder.", true, false, TEXT},
    {"model.layers.0.mlp.gate_proj.", true, false, "a language model"},
    {"conv_first.", true, false, "a network that enlarges pictures (ESRGAN or the like)"},
};
enum { SIGNS = sizeof signs / sizeof *signs };

static bool shows(const sign *s, const char *name)
{
    return s->begins ? !strncmp(name, s->text, strlen(s->text)) : strstr(name, s->text) != NULL;
}

/* diffusers' learned_embeds: one vector, or some, by the word in angle brackets. */
static bool is_word(const ldm_ckpt *ck)
{
    const ldm_tensor_info *t = ldm_ckpt_count(ck) == 1 ? ldm_ckpt_at(ck, 0) : NULL;

    return t && t->ndim <= 2 && t->name[0] == '<' && t->name[strlen(t->name) - 1] == '>';
}

const char *ldm_infer_other_kind(const ldm_ckpt *ck, bool spoiled)
{
    if (is_word(ck))
        return WORD;
    for (size_t k = 0; k < SIGNS; k++) {
        for (size_t i = 0; i < ldm_ckpt_count(ck); i++) {
            if ((signs[k].spoils || !spoiled) && shows(&signs[k], ldm_ckpt_at(ck, i)->name))
                return signs[k].what;
        }
    }
    return NULL;
}
