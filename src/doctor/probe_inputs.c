/* SPDX-License-Identifier: MIT */
/* What a network is tried on: latents of pictures, and noise. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "doctor/probes.h"
#include "engine/engine.h"
#include "sample/rng.h"

const double ldm_trial_ratios[LDM_TRIAL_LEVELS] = {0.3, 1.0, 3.0};

void ldm_trial_free(ldm_trial *t)
{
    ldm_free(t->latents);
    ldm_free(t->noise);
    ldm_array_free(&t->context);
    ldm_array_free(&t->concat);
    ldm_array_free(&t->labels);
    memset(t, 0, sizeof *t);
}

/* ---- latents --------------------------------------------------------------------------------- */

static double deviation_of(const float *x, size_t n)
{
    double sum = 0, squares = 0;

    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    return sqrt(squares / (double)n - sum / (double)n * (sum / (double)n));
}

static ldm_status make_latents(const ldm_doctor *d, const ldm_model *m, ldm_trial *t,
                               ldm_error *err)
{
    const size_t all = (size_t)t->n * t->each;
    float *planes = ldm_reallocarray(NULL, ldm_probe_pixels(m, t->h), sizeof *planes);
    ldm_status st = planes ? LDM_OK : ldm_error_nomem(err, 0, "a picture");
    ldm_rng rng;

    t->latents = ldm_reallocarray(NULL, all, sizeof *t->latents);
    t->noise = ldm_reallocarray(NULL, all * LDM_TRIAL_LEVELS, sizeof *t->noise);
    if (!st && (!t->latents || !t->noise))
        st = ldm_error_nomem(err, all * sizeof *t->latents, "latents");
    for (int i = 0; i < t->n && !st; i++) {
        st = ldm_probe_planes(m, &d->images[i], t->h, planes, err);
        if (!st)
            st = ldm_probe_encode(m, planes, t->h, t->form, t->latents + (size_t)i * t->each, err);
    }
    ldm_free(planes);
    if (st)
        return st;
    ldm_rng_seed(&rng, 20211220); /* any number: the noise is the same in every examination */
    ldm_rng_randn(&rng, t->noise, all * LDM_TRIAL_LEVELS);
    t->deviation = deviation_of(t->latents, all);
    if (!(t->deviation > 1e-6 && t->deviation < 1e6))
        return ldm_error_set(err, LDM_ERR_NUMERIC,
                             "the encoder makes latents of a deviation of %g of the pictures",
                             t->deviation);
    return st;
}

ldm_status ldm_trial_create(const ldm_doctor *d, const ldm_model *m, ldm_picture_form form,
                            int side, ldm_trial *out, ldm_error *err)
{
    ldm_status st;

    memset(out, 0, sizeof *out);
    out->form = form;
    out->n = (int)d->image_count;
    out->c = m->latent_c;
    out->h = out->w = side;
    out->each = (size_t)out->c * (size_t)out->h * (size_t)out->w;
    st = make_latents(d, m, out, err);
    if (!st)
        st = ldm_probe_conditions(m, LDM_CONDITION_EMPTY, out, err);
    if (st)
        ldm_trial_free(out);
    return st;
}
