/* SPDX-License-Identifier: MIT */
/* Inside the room: latents from the moments that a first stage's encoder gives (AutoencoderKL). */
#ifndef LDM_ENGINE_POSTERIOR_H
#define LDM_ENGINE_POSTERIOR_H

#include "engine/engine.h"

/* z = mean + exp(0.5 * logvar) * noise in float32, logvar clamped to -30..20; noise NULL: the mean.
 * moments: [2][chw], means, then log variances. noise may be z. */
void ldm_posterior_latent(const float *moments, size_t chw, const float *noise, float *z);

/* out = 1 / scale_factor * z in float32; may be in place. */
void ldm_model_unscale(const ldm_model *m, const float *z, float *out, size_t count);
/* out = scale_factor * z in float32 (get_first_stage_encoding); may be in place. */
void ldm_model_scale(const ldm_model *m, const float *z, float *out, size_t count);

/* Does the job ask for a latent in the place of moments? */
bool ldm_posterior_asked(const ldm_eval_job *job);
/* Can the job have what it asks of the encoder? out: the shape of its output. LDM_ERR_USAGE. */
ldm_status ldm_posterior_check(const ldm_model *m, const ldm_eval_job *job, const ldm_array *out,
                               ldm_error *err);
/* The mean, or a sample with the job's noise or seed, of one sample's moments, times the scale
 * factor: what the UNet and decode take. */
void ldm_posterior_take(const ldm_model *m, const ldm_eval_job *job, uint64_t sample,
                        const float *moments, size_t chw, float *z);

#endif
