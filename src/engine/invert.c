/* SPDX-License-Identifier: MIT */
/* The noise that leads to a picture: DDIM inversion, and how far the way back ends from where it
 * began; see ldm_invert in ldm.h. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/run_state.h"
#include "engine/start.h"

static ldm_status check(const ldm_model *m, const ldm_job *job, ldm_error *err)
{
    if (m->dry)
        return ldm_error_set(
            err, LDM_ERR_USAGE,
            "the model was opened for a dry run: it has no weights to invert with");
    if (!job->init && !job->init_images)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "inversion needs a picture or latents to begin with (init)");
    if (ldm_options_given(&job->options, "sampler") && strcmp(job->sampler, "ddim"))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "inversion is DDIM's: sampler %s has none; leave it out",
                             job->sampler);
    if (job->mask_images || job->mask)
        return ldm_error_set(err, LDM_ERR_USAGE, "inversion takes no mask");
    if (ldm_options_given(&job->options, "eta") && job->eta > 0)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "eta is %g: steps that add noise cannot be inverted, expected 0",
                             job->eta);
    return LDM_OK;
}

static ldm_status make_array(const ldm_run *r, ldm_array *out, ldm_error *err)
{
    const ldm_job *j = &r->job;

    *out = (ldm_array){.ndim = 4,
                       .shape = {(uint64_t)j->count, (uint64_t)j->latent_c, (uint64_t)j->latent_h,
                                 (uint64_t)j->latent_w}};
    out->numel = (uint64_t)j->count * r->chw;
    out->data = ldm_reallocarray(NULL, (size_t)out->numel, sizeof *out->data);
    return out->data ? LDM_OK : ldm_error_nomem(err, out->numel * sizeof *out->data, "latents");
}

/* Samples all pictures, and copies their latents; begun (may be NULL): what they began with. */
static ldm_status sample_all(ldm_run *r, ldm_array *latents, ldm_array *begun, ldm_error *err)
{
    ldm_status st = make_array(r, latents, err);
    int i;

    if (!st && begun)
        st = make_array(r, begun, err);
    while (!st) {
        st = ldm_run_sample(r, err);
        if (st || !r->in_batch)
            return st;
        for (i = 0; !st && i < r->in_batch; i++) {
            const size_t at = (size_t)r->pictures[i] * r->chw;

            st = r->failed[i];
            if (st && err)
                *err = r->errors[i];
            memcpy(latents->data + at, r->x + (size_t)i * r->chw, r->chw * sizeof *r->x);
            if (begun)
                memcpy(begun->data + at, ldm_start_latent(r, i), r->chw * sizeof *r->x);
        }
        r->used = r->in_batch;
    }
    return st;
}

/* Relative L2 of each picture. */
static ldm_status measure(const ldm_array *back, const ldm_array *begun, ldm_array *errors,
                          ldm_error *err)
{
    const size_t n = (size_t)begun->shape[0], each = (size_t)(begun->numel / begun->shape[0]);
    size_t i, k;

    *errors = (ldm_array){.ndim = 1, .shape = {n}, .numel = n};
    errors->data = ldm_reallocarray(NULL, n, sizeof *errors->data);
    if (!errors->data)
        return ldm_error_nomem(err, n * sizeof *errors->data, "errors");
    for (i = 0; i < n; i++) {
        const float *a = back->data + i * each, *b = begun->data + i * each;
        double d = 0, norm = 0;

        for (k = 0; k < each; k++) {
            d += ((double)a[k] - b[k]) * ((double)a[k] - b[k]);
            norm += (double)b[k] * b[k];
        }
        errors->data[i] = (float)(norm > 0 ? sqrt(d / norm) : sqrt(d));
    }
    return LDM_OK;
}

/* Makes a run of the same settings that begins with pictures (up), or with noise (the way back). */
static ldm_status create(const ldm_model *m, const ldm_job *job, const ldm_array *noise,
                         ldm_run **r, ldm_error *err)
{
    ldm_job own = {0};
    ldm_status st = ldm_job_resolve(job, &m->profile.sampling, &own, err);

    own.inverse = !noise;
    if (!st)
        st = ldm_options_set(&own.options, "sampler", "ddim", err);
    if (!st)
        st = ldm_options_set_real(&own.options, "eta", 0, err);
    if (!st)
        st = ldm_options_set_real(&own.options, "temperature", 1, err);
    if (!st)
        st = ldm_options_set_bool(&own.options, "quantize_x0", false, err);
    if (!st && noise) {
        own.x_t = noise;
        own.init = NULL;
        own.init_images = NULL;
        own.init_count = 0;
        st = ldm_options_unset(&own.options, "shape", err);
    }
    if (!st)
        st = ldm_run_create(m, &own, r, err);
    ldm_options_finish(&own.options);
    return st;
}

static ldm_status run(const ldm_model *m, const ldm_job *job, const ldm_array *noise,
                      ldm_array *latents, ldm_array *begun, ldm_error *err)
{
    ldm_run *r = NULL;
    ldm_status st = create(m, job, noise, &r, err);

    if (!st)
        st = sample_all(r, latents, begun, err);
    ldm_run_free(r);
    return st;
}

ldm_status ldm_invert_notes(const ldm_model *m, const ldm_job *job, char **text, ldm_error *err)
{
    ldm_run *r = NULL;
    ldm_str lines = {0};
    ldm_status st;
    size_t i;

    LDM_REQUIRE(text, "text", err);
    *text = NULL;
    LDM_REQUIRE(m, "m", err);
    LDM_REQUIRE(job, "job", err);
    st = check(m, job, err);
    if (!st)
        st = create(m, job, NULL, &r, err);
    for (i = 0; !st && i < ldm_run_note_count(r); i++)
        ldm_str_printf(&lines, "%s%s", i ? "\n" : "", ldm_run_note(r, i));
    if (!st && lines.failed)
        st = ldm_error_nomem(err, 0, "notes");
    if (!st)
        *text = lines.data;
    else
        ldm_str_free(&lines);
    ldm_run_free(r);
    return st;
}

ldm_status ldm_invert(const ldm_model *m, const ldm_job *job, ldm_array *noise, ldm_array *errors,
                      ldm_error *err)
{
    ldm_array begun = {0}, back = {0};
    ldm_status st;

    LDM_REQUIRE(noise, "noise", err);
    memset(noise, 0, sizeof *noise);
    if (errors)
        memset(errors, 0, sizeof *errors);
    LDM_REQUIRE(m, "m", err);
    LDM_REQUIRE(job, "job", err);
    st = check(m, job, err);
    if (!st)
        st = run(m, job, NULL, noise, errors ? &begun : NULL, err);
    if (!st && errors)
        st = run(m, job, noise, &back, NULL, err);
    if (!st && errors)
        st = measure(&back, &begun, errors, err);
    if (!st)
        st = ldm_hash_unchanged(m->hash, err);
    ldm_array_free(&begun);
    ldm_array_free(&back);
    if (st) {
        ldm_array_free(noise);
        ldm_array_free(errors);
    }
    return st;
}
