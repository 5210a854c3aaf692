/* SPDX-License-Identifier: MIT */
/* ImageConcatWithNoiseAugmentation (Stability's ldm/modules/diffusionmodules/upscaling.py): the
 * low-resolution picture gets noise of a level that the user chooses, by a schedule of its own, of
 * which the buffers are in the checkpoint. */
#include <stddef.h>

#include "network/registry.h"

/* AbstractLowScaleModel.register_schedule registers the first eight of LatentDiffusion's. */
enum { BUFFERS = 8 };

static void declare(ldm_builder *b, const void *config)
{
    const ldm_low_scale *v = config;
    const int64_t shape[1] = {v->timesteps};
    int i;

    ldm_b_use(b, 0);
    for (i = 0; i < BUFFERS; i++)
        ldm_b_tensor(b, ldm_schedule_buffers[i], LDM_INIT_ZEROS, 0, 1, shape);
}

#define V(field) offsetof(ldm_low_scale, field)
static const ldm_param_row schedule_rows[] = {
    {"timesteps", LDM_PARAM_INT, V(timesteps), LDM_EFFECT_SHAPE, false},
    {"beta_schedule", LDM_PARAM_BETAS, V(beta_schedule), LDM_EFFECT_SILENT, false},
    {"linear_start", LDM_PARAM_DOUBLE, V(linear_start), LDM_EFFECT_SILENT, false},
    {"linear_end", LDM_PARAM_DOUBLE, V(linear_end), LDM_EFFECT_SILENT, false},
    {"cosine_s", LDM_PARAM_DOUBLE, V(cosine_s), LDM_EFFECT_SILENT, false},
};
static const ldm_param_row rows[] = {
    {"noise_schedule_config", LDM_PARAM_MODULE, 0, LDM_EFFECT_SHAPE, true},
    {"max_noise_level", LDM_PARAM_INT, V(max_noise_level), LDM_EFFECT_SILENT, false},
    LDM_PARAM_SKIP("to_cuda"),
};
#undef V

static ldm_status read(ldm_param_reader *r, const ldm_module *m)
{
    static const ldm_param_table table = LDM_PARAM_TABLE(rows);
    static const ldm_param_table schedule = LDM_PARAM_TABLE(schedule_rows);
    ldm_low_scale *v = &r->network->low_scale;
    const ldm_value *map;
    ldm_status st;

    *v = (ldm_low_scale){
        .timesteps = 1000,
        .max_noise_level = 1000,
        .linear_start = 1e-4,
        .linear_end = 2e-2,
        .cosine_s = 8e-3,
    };
    st = ldm_params_read(r, m->at, m->params, m->path, &table, v);
    if (st)
        return st;
    map = ldm_value_find(m->params, "noise_schedule_config");
    st = ldm_params_read(r, map, map, "model.params.low_scale_config.params.noise_schedule_config",
                         &schedule, v);
    if (st)
        return st;
    if (v->timesteps < 1 || v->timesteps > 100000)
        return ldm_params_bad(map, r->err, "timesteps", "1 to 100000", v->timesteps);
    if (v->max_noise_level < 1 || v->max_noise_level > v->timesteps)
        return ldm_params_bad(m->params, r->err, "max_noise_level",
                              "1 to the number of timesteps of noise_schedule_config",
                              v->max_noise_level);
    v->present = true;
    return LDM_OK;
}

const ldm_network_part ldm_part_low_scale = {LDM_ROLE_LOW_SCALE, read, declare, NULL};
