/* SPDX-License-Identifier: MIT */
/* Checks a job before any work. A message names the wrong value and what was expected. */
#include "engine/run_job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/concat.h"
#include "engine/conditions.h"
#include "engine/start_job.h"
#include "sample/sampler.h"

/* The model's own limits; those of a setting by itself are its row's. */
static ldm_status check_numbers(const ldm_model *m, const ldm_job *j, ldm_error *err)
{
    int limit = m->network->diffusion.timesteps;

    if (j->steps > limit)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "steps is %d, expected 1 to %d (the timesteps the "
                             "model was trained with)",
                             j->steps, limit);
    if (j->cache > limit)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "cache is %d, expected 1 (every step evaluates the whole network) to "
                             "%d",
                             j->cache, limit);
    if (j->quantize_x0 && !m->network->first_stage.codebook)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "quantize-x0: this model's first stage (%.120s) has no codebook to "
                             "quantise with; leave it out",
                             m->network->first_stage.target);
    return LDM_OK;
}

static ldm_status wrong_shape(const ldm_array *a, const char *what, const char *expected,
                              ldm_error *err)
{
    char found[128];

    return ldm_error_set(err, LDM_ERR_USAGE, "%s has shape %s, expected %s", what,
                         ldm_shape_text(a, found, sizeof found), expected);
}

static uint64_t max_count(void)
{
    return (uint64_t)ldm_setting_max(ldm_setting_find(LDM_SETTINGS_JOB, "count"));
}

/* The start noise sets the number of pictures and their size. */
static ldm_status settle_x_t(const ldm_model *m, ldm_job *j, ldm_error *err)
{
    const ldm_array *a = j->x_t;
    char expected[96];

    snprintf(expected, sizeof expected, "[N,%d,H,W]", m->latent_c);
    if (a->ndim != 4 || a->shape[1] != (uint64_t)m->latent_c || !a->numel ||
        a->shape[0] > max_count() || a->shape[2] > LDM_MAX_SIDE || a->shape[3] > LDM_MAX_SIDE)
        return wrong_shape(a, "the start noise (x_t)", expected, err);
    j->count = (int)a->shape[0];
    j->latent_c = m->latent_c;
    j->latent_h = (int)a->shape[2];
    j->latent_w = (int)a->shape[3];
    return ldm_check_finite(a, "the start noise (x_t)", err);
}

/* `count` pictures for each prompt or class. */
/* Picture i has seed + i. */
static ldm_status check_last_seed(const ldm_job *j, ldm_error *err)
{
    if (j->seed <= UINT64_MAX - (uint64_t)(j->count - 1))
        return LDM_OK;
    return ldm_error_set(err, LDM_ERR_USAGE,
                         "seed %" PRIu64 ": picture i has seed + i, and the last of %d would be "
                         "beyond the greatest there is, %" PRIu64,
                         j->seed, j->count, UINT64_MAX);
}

/* A picture for each place between the prompts or classes. */
static ldm_status settle_mix(ldm_job *j, size_t entries, ldm_error *err)
{
    const ldm_array *a = j->mix;
    char expected[48];
    uint64_t i;

    snprintf(expected, sizeof expected, j->x_t ? "[%d], as x_t" : "[N]", j->count);
    if (a->ndim != 1 || !a->numel || a->numel > max_count() ||
        (j->x_t && a->numel != (uint64_t)j->count))
        return wrong_shape(a, "mix", expected, err);
    if (entries < 2)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "mix is about places between prompts or classes: give two or more");
    for (i = 0; i < a->numel; i++) {
        if (!(a->data[i] >= 0 && a->data[i] <= (float)(entries - 1)))
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "mix: element %" PRIu64 " is %g, expected 0 to %zu (the last of "
                                 "%zu prompts or classes)",
                                 i, (double)a->data[i], entries - 1, entries);
    }
    j->count = (int)a->numel;
    return check_last_seed(j, err);
}

static ldm_status settle_count(ldm_job *j, ldm_error *err)
{
    const size_t entries = ldm_job_entries(j);

    if (!entries)
        return ldm_error_set(err, LDM_ERR_USAGE, "the list of prompts is empty");
    if (j->mix)
        return settle_mix(j, entries, err);
    if (j->x_t && (size_t)j->count % entries)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the start noise (x_t) is of %d pictures, expected a multiple of the "
                             "%zu prompts or classes",
                             j->count, entries);
    if (j->x_t)
        return check_last_seed(j, err);
    if (entries > max_count() / (uint64_t)j->count)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%d pictures for each of %zu prompts or classes: expected at most "
                             "%" PRIu64 " in all",
                             j->count, entries, max_count());
    j->count *= (int)entries;
    return check_last_seed(j, err);
}

/* The next larger side that the network takes, in pixels; the largest where there is none. */
static int nearest_side(int side, int step, int most)
{
    const int near = (side > most ? most : side + step / 2) / step * step;

    return near < step ? step : near <= most ? near : most / step * step;
}

/* "512x384"; one number is a square's. */
static bool read_size(const char *text, int *w, int *h)
{
    int end = 0;

    if (strspn(text, "0123456789xX") != strlen(text) || strlen(text) > 15)
        return false;
    if (sscanf(text, "%7d%n", w, &end) == 1 && !text[end])
        *h = *w;
    else if (sscanf(text, "%7d%*[xX]%7d%n", w, h, &end) != 2 || text[end])
        return false;
    return *w > 0 && *h > 0;
}

/* Such a size as a latent's shape. */
static ldm_status settle_size(const ldm_model *m, ldm_job *j, ldm_error *err)
{
    const int factor = m->info.downsample, step = m->info.side_step, most = m->info.side_max;
    int w, h;

    if (!j->size)
        return LDM_OK;
    if (ldm_options_given(&j->options, "shape"))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "size %s and shape %d,%d,%d are given: leave one out", j->size,
                             j->latent_c, j->latent_h, j->latent_w);
    if (!read_size(j->size, &w, &h))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "size is '%.40s', expected width x height in pixels, such as 512x384",
                             j->size);
    if (w % step || h % step || w > most || h > most)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "size %s: with this model both sides must be multiples of %d, at most "
                             "%d; the nearest that is possible is %dx%d",
                             j->size, step, most, nearest_side(w, step, most),
                             nearest_side(h, step, most));
    return ldm_job_set_shape(j, "shape", (const int[3]){m->latent_c, h / factor, w / factor}, err);
}

static ldm_status settle_shape(const ldm_model *m, ldm_job *j, ldm_error *err)
{
    const int multiple = m->info.side_step / m->info.downsample;
    ldm_status st = settle_size(m, j, err);

    if (!st)
        st = ldm_concat_settle(m, j, err);
    if (!st)
        st = ldm_start_settle(m, j, err);
    if (st)
        return st;
    if (j->x_t && j->vary_strength > 0)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "start noise (x_t) and vary_strength are given: leave one out");
    if (j->x_t)
        return settle_x_t(m, j, err);
    if (!j->latent_c && !j->latent_h && !j->latent_w) {
        j->latent_c = m->latent_c;
        j->latent_h = m->latent_h;
        j->latent_w = m->latent_w;
    }
    if (j->latent_c != m->latent_c)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "shape %d,%d,%d: the network's latents have %d channels", j->latent_c,
                             j->latent_h, j->latent_w, m->latent_c);
    if (j->latent_h < 1 || j->latent_w < 1 || j->latent_h > LDM_MAX_SIDE ||
        j->latent_w > LDM_MAX_SIDE || j->latent_h % multiple || j->latent_w % multiple)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "shape %d,%d,%d: height and width must be multiples of %d, at most %d",
                             j->latent_c, j->latent_h, j->latent_w, multiple, LDM_MAX_SIDE);
    return LDM_OK;
}

static bool fits_region(const ldm_job *j, const ldm_array *a, bool one_channel)
{
    uint64_t n = (uint64_t)j->count, c = (uint64_t)j->latent_c;

    return a->ndim == 4 && (a->shape[0] == 1 || a->shape[0] == n) &&
           (a->shape[1] == c || (one_channel && a->shape[1] == 1)) &&
           a->shape[2] == (uint64_t)j->latent_h && a->shape[3] == (uint64_t)j->latent_w;
}

static ldm_status check_region(const ldm_job *j, ldm_error *err)
{
    char expected[128];
    ldm_status st;

    if (!j->mask && !j->x0)
        return LDM_OK;
    if (!j->mask || !j->x0)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "mask and x0 go together: %s is missing (x0 is the known latent, mask "
                             "is 1 where it is kept)",
                             j->mask ? "x0" : "mask");
    snprintf(expected, sizeof expected, "[1 or %d,1 or %d,%d,%d]", j->count, j->latent_c,
             j->latent_h, j->latent_w);
    if (!fits_region(j, j->mask, true))
        return wrong_shape(j->mask, "the mask", expected, err);
    snprintf(expected, sizeof expected, "[1 or %d,%d,%d,%d]", j->count, j->latent_c, j->latent_h,
             j->latent_w);
    if (!fits_region(j, j->x0, false))
        return wrong_shape(j->x0, "the known latent (x0)", expected, err);
    st = ldm_check_finite(j->mask, "the mask", err);
    return st ? st : ldm_check_finite(j->x0, "the known latent (x0)", err);
}

/* Latents are the first stage's, and nothing but a latent goes into the network. */
static ldm_status check_network(const ldm_model *m, ldm_error *err)
{
    const ldm_network *s = m->network;

    if (s->lone_first_stage)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "this is a first stage alone (%.120s): it has no UNet to make "
                             "pictures with; it encodes and decodes (ldm reconstruct, ldm eval)",
                             s->first_stage.target);
    if (s->unet_inputs.latent != s->unet.out_channels)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "the UNet takes %d channels and gives %d: it needs a conditioning "
                             "beside the latent, and conditioning_key %s passes none",
                             s->unet.in_channels, s->unet.out_channels,
                             s->diffusion.conditioning_key ? s->diffusion.conditioning_key
                                                           : "null");
    if (s->unet.out_channels != s->first_stage.latent_channels)
        return ldm_error_set(err, LDM_ERR_CONFIG,
                             "the UNet's latents have %d channels (out_channels) and the first "
                             "stage's %d (embed_dim)",
                             s->unet.out_channels, s->first_stage.latent_channels);
    return LDM_OK;
}

/* Again, for the caller may have changed them since they were set. */
static ldm_status check_arrays(const ldm_job *j, ldm_error *err)
{
    ldm_status st = LDM_OK;
    const ldm_array *a;
    const char *name;
    size_t i;

    for (i = 0; !st && ldm_job_array_at(j, i, &name, &a); i++) {
        if (a)
            st = ldm_array_check(a, name, err);
    }
    return st;
}

/* What the sampler is asked to do where nobody says. The configuration's advice is about its own
 * sampler: where the caller takes another, what that one does not take of it is left out. */
static void settle_sampler(const ldm_job *asked, ldm_job *j)
{
    const ldm_sampler *s = j->inverse ? &ldm_sampler_ddim_invert : ldm_sampler_find(j->sampler);
    const bool other = asked && ldm_options_given(&asked->options, "sampler");
    const bool timesteps_asked = asked && ldm_options_given(&asked->options, "timesteps");
    const bool eta_asked = asked && ldm_options_given(&asked->options, "eta");
    ldm_spacing spacing;

    if (!ldm_options_given(&j->options, "timesteps") ||
        (other && !timesteps_asked && !ldm_spacing_parse(j->timesteps, &spacing, NULL) &&
         !(s->spacings & LDM_SPACING_BIT(spacing))))
        j->timesteps = ldm_spacing_name(s->default_spacing);
    if (!ldm_options_given(&j->options, "eta") || (!eta_asked && !s->takes_eta))
        j->eta = s->own_eta;
    if (other && !ldm_options_given(&asked->options, "temperature") && !s->takes_temperature)
        j->temperature = 1;
    if (other && !ldm_options_given(&asked->options, "solver") && !s->solvers)
        j->solver = ldm_solver_name(LDM_SOLVER_OWN);
    if (other && !ldm_options_given(&asked->options, "final_sigma") && !s->takes_final_sigma)
        j->final_sigma = "auto";
    if (other && !ldm_options_given(&asked->options, "lower_order_final") && !s->takes_lower_order)
        j->lower_order_final = true;
}

ldm_status ldm_job_settle(const ldm_model *m, const ldm_job *asked, ldm_job *job,
                          ldm_spacing *spacing, ldm_error *err)
{
    ldm_status st = check_network(m, err);

    settle_sampler(asked, job);
    if (!st)
        st = ldm_concat_defaults(m, job, err);
    if (!st)
        st = check_arrays(job, err);
    if (!st)
        st = check_numbers(m, job, err);
    if (!st)
        st = ldm_spacing_parse(job->timesteps, spacing, err);
    if (!st)
        st = settle_shape(m, job, err);
    if (!st)
        st = settle_count(job, err);
    if (!st)
        st = check_region(job, err);
    return st;
}

ldm_status ldm_job_check_noise(const ldm_job *j, int steps_run, int draws, int least,
                               ldm_error *err)
{
    const ldm_array *a = j->noise;
    bool masked = j->masked;
    char entries[64], expected[160];

    if (!a)
        return LDM_OK;
    if (masked)
        snprintf(entries, sizeof entries, "%d or %d", draws, steps_run);
    else if (least < draws)
        snprintf(entries, sizeof entries, "%d or %d", least, draws);
    else
        snprintf(entries, sizeof entries, "%d", draws);
    snprintf(expected, sizeof expected, "[%s,%d,%d,%d,%d] (one entry a draw; %d steps run)",
             entries, j->count, j->latent_c, j->latent_h, j->latent_w, steps_run);
    if (a->ndim != 5 ||
        (a->shape[0] != (uint64_t)draws && !(masked && a->shape[0] == (uint64_t)steps_run) &&
         !(!masked && a->shape[0] == (uint64_t)least)) ||
        a->shape[1] != (uint64_t)j->count || a->shape[2] != (uint64_t)j->latent_c ||
        a->shape[3] != (uint64_t)j->latent_h || a->shape[4] != (uint64_t)j->latent_w)
        return wrong_shape(a, "the noise", expected, err);
    if (masked && a->shape[0] != (uint64_t)draws && j->eta > 0)
        return ldm_error_set(
            err, LDM_ERR_USAGE,
            "the noise has one entry a step; with a mask and eta > 0 two are drawn "
            "(q_sample's, then the step's own), so %d are expected",
            draws);
    return ldm_check_finite(a, "the noise", err);
}
