/* Settings that change nothing with the others as they are, and why: what `ldm check` reports as
 * "has no effect". */
#include <string.h>

#include "network/private.h"

static ldm_setting *find(ldm_network *s, const char *path)
{
    size_t i;

    for (i = 0; i < s->setting_count; i++) {
        if (strcmp(s->settings[i].path, path) == 0)
            return &s->settings[i];
    }
    return NULL;
}

static void mark(ldm_network *s, const char *path, const char *reason)
{
    ldm_setting *set = find(s, path);

    if (set) {
        set->effect = LDM_EFFECT_NONE;
        set->reason = reason;
    }
}

void ldm_network_mark_effects(ldm_network *s)
{
    const ldm_unet_config *u = &s->unet;
    const ldm_diffusion_config *d = &s->diffusion;
    ldm_setting *key = find(s, "model.params.conditioning_key");

    if (u->num_head_channels != -1) {
        mark(s, "model.params.unet_config.params.num_heads", "num_head_channels is set and wins");
        mark(s, "model.params.unet_config.params.num_heads_upsample",
             "num_head_channels is set and wins");
    } else if (!u->legacy) {
        mark(s, "model.params.unet_config.params.num_heads_upsample",
             "with legacy: false every block takes num_heads");
    }
    if (d->cond_stage == LDM_COND_STAGE_NONE) {
        if (key && key->origin.source && strcmp(key->value, "null"))
            mark(s, "model.params.conditioning_key",
                 "cond_stage_config is __is_unconditional__, which sets it to null");
        mark(s, "model.params.concat_mode",
             "cond_stage_config is __is_unconditional__: nothing is concatenated");
    }
    if (d->beta_schedule != LDM_BETA_COSINE)
        mark(s, "model.params.cosine_s", "of the cosine schedule only");
    else {
        mark(s, "model.params.linear_start", "the cosine schedule does not take it");
        mark(s, "model.params.linear_end", "the cosine schedule does not take it");
    }
}
