/* SPDX-License-Identifier: MIT */
/* DiagonalGaussianDistribution (ldm/modules/distributions/distributions.py): what AutoencoderKL's
 * encoder gives. */
#include "engine/posterior.h"

#include <inttypes.h>
#include <math.h>

#include "sample/rng.h"

/* The original clamps log variances to these. */
static const float LOGVAR_MIN = -30.0f, LOGVAR_MAX = 20.0f;

void ldm_posterior_latent(const float *moments, size_t chw, const float *noise, float *z)
{
    const float *logvar = moments + chw;
    size_t i;

    for (i = 0; i < chw; i++) {
        float l = logvar[i] < LOGVAR_MIN   ? LOGVAR_MIN
                  : logvar[i] > LOGVAR_MAX ? LOGVAR_MAX
                                           : logvar[i];

        z[i] = noise ? moments[i] + expf(0.5f * l) * noise[i] : moments[i];
    }
}

bool ldm_posterior_asked(const ldm_eval_job *job)
{
    return job->mean || job->sample || job->noise;
}

ldm_status ldm_posterior_check(const ldm_model *m, const ldm_eval_job *job, const ldm_array *out,
                               ldm_error *err)
{
    const ldm_array *noise = job->noise;
    uint64_t i;

    if (!ldm_posterior_asked(job))
        return LDM_OK;
    if (job->part != LDM_PART_ENCODE || (job->mean && (job->sample || noise)))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "mean, sample and noise are for encode, and mean goes without the "
                             "other two");
    if (!m->network->first_stage.posterior)
        return ldm_error_set(
            err, LDM_ERR_USAGE,
            "this model's first stage (%.120s) gives latents and no moments: there "
            "is no mean or sample to take",
            m->network->first_stage.target);
    if (!noise)
        return LDM_OK;
    for (i = 0; noise->ndim == 4 && i < 4 && noise->shape[i] == out->shape[i]; i++)
        ;
    if (i != 4)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the noise has another shape than the latents, expected [%" PRIu64
                             ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]",
                             out->shape[0], out->shape[1], out->shape[2], out->shape[3]);
    for (i = 0; i < noise->numel; i++) {
        if (!isfinite(noise->data[i]))
            return ldm_error_set(err, LDM_ERR_USAGE, "the noise: element %" PRIu64 " is %g", i,
                                 (double)noise->data[i]);
    }
    return LDM_OK;
}

void ldm_posterior_take(const ldm_model *m, const ldm_eval_job *job, uint64_t sample,
                        const float *moments, size_t chw, float *z)
{
    ldm_rng rng;

    if (job->mean) {
        ldm_posterior_latent(moments, chw, NULL, z);
    } else if (job->noise) {
        ldm_posterior_latent(moments, chw, job->noise->data + sample * chw, z);
    } else {
        ldm_rng_seed(&rng, job->seed + sample);
        ldm_rng_randn(&rng, z, chw);
        ldm_posterior_latent(moments, chw, z, z);
    }
    ldm_model_scale(m, z, z, chw);
}

void ldm_model_unscale(const ldm_model *m, const float *z, float *out, size_t count)
{
    /* 1. / scale_factor is a Python float for a number of the YAML, a float32 tensor for a buffer.
     */
    float inverse =
        m->scale_is_buffer ? 1.0f / (float)m->scale_factor : (float)(1.0 / m->scale_factor);
    size_t i;

    for (i = 0; i < count; i++)
        out[i] = inverse * z[i];
}

void ldm_model_scale(const ldm_model *m, const float *z, float *out, size_t count)
{
    float scale = (float)m->scale_factor;
    size_t i;

    for (i = 0; i < count; i++)
        out[i] = scale * z[i];
}
