/* SPDX-License-Identifier: MIT */
/* What follows from a key's name: which component it belongs to, weight or bias, and whether it is
 * one of those that CompVis files carry without any effect on sampling. */
#include <string.h>

#include "audit/internal.h"

bool ldm_audit_starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool ldm_audit_ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* Buffers of DDPM.register_schedule and LatentDiffusion, by their full names. */
static bool is_schedule_buffer(const char *name)
{
    static const char *const more[] = {"lvlb_weights", "logvar", "scale_factor"};
    size_t i;

    for (i = 0; i < LDM_SCHEDULE_BUFFERS; i++) {
        if (strcmp(name, ldm_schedule_buffers[i]) == 0)
            return true;
    }
    for (i = 0; i < sizeof more / sizeof more[0]; i++) {
        if (strcmp(name, more[i]) == 0)
            return true;
    }
    return ldm_audit_starts_with(name, "ddim_");
}

int ldm_audit_key_group(const char *name)
{
    static const struct {
        const char *prefix;
        int group;
    } rows[] = {
        {"model.diffusion_model.", LDM_COMPONENT_UNET},
        {"model_ema.", LDM_COMPONENT_EMA},
        {"first_stage_model.", LDM_COMPONENT_FIRST_STAGE},
        {"cond_stage_model.", LDM_COMPONENT_COND_STAGE},
        {"low_scale_model.", LDM_COMPONENT_LOW_SCALE},
        /* Of a file of a first stage alone. */
        {"encoder.", LDM_COMPONENT_FIRST_STAGE},
        {"decoder.", LDM_COMPONENT_FIRST_STAGE},
        {"quantize.", LDM_COMPONENT_FIRST_STAGE},
        {"quant_conv.", LDM_COMPONENT_FIRST_STAGE},
        {"post_quant_conv.", LDM_COMPONENT_FIRST_STAGE},
    };
    size_t i;

    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (ldm_audit_starts_with(name, rows[i].prefix))
            return rows[i].group;
    }
    return is_schedule_buffer(name) ? (int)LDM_COMPONENT_SCHEDULE : (int)LDM_GROUP_OTHER;
}

const char *ldm_audit_group_label(int group)
{
    switch (group) {
    case LDM_COMPONENT_SCHEDULE:
        return "schedule buffers";
    case LDM_COMPONENT_UNET:
        return "model.diffusion_model";
    case LDM_COMPONENT_EMA:
        return "model_ema";
    case LDM_COMPONENT_FIRST_STAGE:
        return "first_stage_model";
    case LDM_COMPONENT_COND_STAGE:
        return "cond_stage_model";
    case LDM_COMPONENT_LOW_SCALE:
        return "low_scale_model";
    default:
        return "other";
    }
}

/* The names of shadows have no dots, so the end of the name decides and not its last part. */
ldm_key_kind ldm_audit_key_kind_of(const char *name)
{
    if (ldm_audit_ends_with(name, "weight"))
        return LDM_KIND_WEIGHT;
    return ldm_audit_ends_with(name, "bias") ? LDM_KIND_BIAS : LDM_KIND_OTHER;
}

const char *ldm_audit_key_kind_label(ldm_key_kind k)
{
    return k == LDM_KIND_WEIGHT ? "weight" : k == LDM_KIND_BIAS ? "bias" : "other";
}

bool ldm_audit_key_is_parameter(const char *name)
{
    int group = ldm_audit_key_group(name);

    if (group == LDM_COMPONENT_SCHEDULE || group == LDM_COMPONENT_EMA)
        return strcmp(name, "logvar") == 0;
    return !ldm_audit_starts_with(name, "first_stage_model.model_ema.") &&
           !ldm_audit_starts_with(name, "first_stage_model.loss.") &&
           !ldm_audit_starts_with(name, "loss.") && ldm_audit_key_kind_of(name) != LDM_KIND_OTHER;
}

/* Whether two names differ in their numbers at most: "layers.2.norm.weight" and
 * "layers.0.norm.weight". */
static bool alike(const char *a, const char *b)
{
    static const char digits[] = "0123456789";

    while (*a && *b) {
        const size_t n = strspn(a, digits), m = strspn(b, digits);

        if (!n != !m || (!n && *a != *b))
            return false;
        a += n ? n : 1;
        b += m ? m : 1;
    }
    return *a == *b;
}

/* Whether the part is built, and, where `like` is not NULL, with a layer of the same kind. */
static bool builds(const ldm_network *s, int component, const char *like)
{
    for (int i = 0; i < s->tensor_count; i++) {
        if ((int)s->tensors[i].component == component && (!like || alike(s->tensors[i].name, like)))
            return true;
    }
    return false;
}

/* Text encoders' files hold more than the encoder now and then (CLIP's network for pictures); a
 * layer like those that are built is none of that. */
bool ldm_audit_left_out(const ldm_audit *a, const char *name)
{
    const int group = ldm_audit_key_group(name);

    switch (group) {
    case LDM_COMPONENT_UNET:
        return builds(a->network, group, NULL);
    case LDM_COMPONENT_FIRST_STAGE:
        return ldm_audit_starts_with(name, "first_stage_model.decoder.") &&
               builds(a->network, group, NULL);
    case LDM_COMPONENT_COND_STAGE:
        return builds(a->network, group, name);
    default:
        return false;
    }
}

const char *ldm_audit_unexpected_reason(const ldm_audit *a, const char *name)
{
    static const struct {
        const char *prefix, *reason;
    } rows[] = {
        {"ddim_", "left behind by CompVis' sampler"},
        {"loss.", "of the training loss"},
        {"first_stage_model.loss.", "of the first stage's training loss"},
        {"first_stage_model.model_ema.", "EMA of the first stage; not used in sampling"},
        {"first_stage_model.encoder.", "of the encoder; sampling does not read it"},
        {"first_stage_model.quant_conv.", "of the encoder; sampling does not read it"},
        {"model_ema.decay", "EMA bookkeeping"},
        {"model_ema.num_updates", "EMA bookkeeping"},
        {"model_ema.", "EMA shadows, which this configuration does not use (use_ema: false)"},
        {"cond_stage_model.", "of a conditioner, which this configuration does not have"},
        {"scale_factor", "counts only with scale_by_std: true"},
        {"lvlb_weights", "weights of the training loss"},
        {"logvar", "of the training loss"},
        {"optimizer", "of training"},
    };
    size_t i;

    if (ldm_audit_left_out(a, name))
        return NULL;
    if (a->network->conditioner_count && ldm_audit_starts_with(name, "cond_stage_model."))
        return "of the conditioner; sampling does not read it";
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (ldm_audit_starts_with(name, rows[i].prefix))
            return rows[i].reason;
    }
    return NULL;
}

static const char *const critical_keys[] = {
    "model.diffusion_model.time_embed.0.weight",
    "model.diffusion_model.input_blocks.0.0.weight",
    "model.diffusion_model.input_blocks.0.0.bias",
    "model.diffusion_model.middle_block.1.qkv.weight",
    "model.diffusion_model.out.2.weight",
    "model_ema.diffusion_modelinput_blocks00weight",
    "first_stage_model.encoder.conv_in.weight",
    "first_stage_model.quant_conv.weight",
    "first_stage_model.quantize.embedding.weight",
    "first_stage_model.post_quant_conv.weight",
    "first_stage_model.decoder.conv_in.weight",
    "first_stage_model.decoder.conv_out.weight",
    "alphas_cumprod",
    "scale_factor",
};

size_t ldm_audit_critical_count(void)
{
    return sizeof critical_keys / sizeof critical_keys[0];
}

const char *ldm_audit_critical_key(size_t i)
{
    return critical_keys[i];
}
