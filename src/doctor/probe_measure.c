/* SPDX-License-Identifier: MIT */
/* The error of a denoising network on known pictures, and comparing two candidates by it. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "doctor/probes.h"
#include "engine/engine.h"

enum { NOT_FINITE = 40 };

const char *const ldm_reading_names[LDM_READINGS] = {"eps", "v", "x0"};

ldm_status ldm_probe_open(const ldm_doctor *d, const char *const *sets, int count, int ema,
                          ldm_model **out, ldm_error *err)
{
    ldm_model_options *opt = NULL;
    ldm_status st = ldm_doctor_options(d, &opt, err);

    *out = NULL;
    ema = ema < 0 && d->half_ema ? 0 : ema;
    for (int i = 0; i < count && !st; i++)
        st = ldm_model_options_set(opt, "set", sets[i], err);
    if (!st && ema >= 0)
        st = ldm_model_options_set_bool(opt, "ema", ema, err);
    if (!st && ema == 1)
        st = ldm_model_options_set(opt, "set", "model.params.use_ema=true", err);
    if (!st)
        st = ldm_model_open(opt, out, err);
    ldm_model_options_free(opt);
    return st;
}

/* The timestep whose ratio of noise to signal is nearest to `ratio`, by its logarithm. */
static int timestep_for(const float *alphas, int timesteps, double ratio)
{
    double best = 1e300;
    int at = 0;

    for (int i = 0; i < timesteps; i++) {
        const double a = alphas[i];
        const double off = a > 0 && a < 1 ? fabs(0.5 * log((1 - a) / a) - log(ratio)) : 1e299;

        if (off < best) {
            best = off;
            at = i;
        }
    }
    return at;
}

static ldm_status evaluate(const ldm_model *m, const ldm_trial *t, const ldm_array *x, int at,
                           ldm_array *out, ldm_error *err)
{
    ldm_eval_job *job = NULL;
    ldm_status st = ldm_eval_job_create(LDM_PART_UNET, &job, err);

    if (!st)
        st = ldm_eval_job_set_real(job, "t", at, err);
    if (!st)
        st = ldm_eval_job_set_array(job, "in", x, err);
    if (!st && t->context.data)
        st = ldm_eval_job_set_array(job, "context", &t->context, err);
    if (!st && t->concat.data)
        st = ldm_eval_job_set_array(job, "concat", &t->concat, err);
    if (!st && t->labels.data)
        st = ldm_eval_job_set_array(job, "labels", &t->labels, err);
    if (!st)
        st = ldm_eval(m, job, out, err);
    ldm_eval_job_free(job);
    return st;
}

/* x0 as a reading of the output o takes it, at signal a and noise s. */
static double x0_of(ldm_reading r, double x, double o, double a, double s)
{
    switch (r) {
    case LDM_READ_EPS:
        return (x - s * o) / a;
    case LDM_READ_V: /* v = a eps - s x0 */
        return a * x - s * o;
    default:
        return o;
    }
}

static double log_error(const float *z, const float *x, const float *o, size_t each, double scale,
                        ldm_reading r, double a)
{
    const double s = sqrt(1 - a * a);
    double mean = 0, error = 0, power = 0;

    for (size_t i = 0; i < each; i++)
        mean += z[i] / (double)each;
    for (size_t i = 0; i < each; i++) {
        const double want = scale * z[i], off = x0_of(r, x[i], o[i], a, s) - want;

        error += off * off;
        power += scale * scale * (z[i] - mean) * (z[i] - mean);
    }
    error = log(error / power);
    return isfinite(error) ? error : NOT_FINITE;
}

/* What the network is given at a level, and what it makes of it. */
typedef struct level_run {
    double a; /* sqrt(alphas_cumprod) */
    ldm_array x, o;
} level_run;

static void free_run(level_run *r)
{
    ldm_free(r->x.data);
    ldm_array_free(&r->o);
}

/* The noise is as large as `ratio` of the signal's deviation, whatever the scale: candidates for
 * the scale are given the same task, at the timestep that fits their size. */
static ldm_status run_level(const ldm_model *m, const ldm_trial *t, int n, double scale,
                            const float *alphas, int timesteps, int level, level_run *out,
                            ldm_error *err)
{
    const int at = timestep_for(alphas, timesteps, ldm_trial_ratios[level] * scale * t->deviation);
    const double s = sqrt(1 - (double)alphas[at]);
    const size_t all = (size_t)n * t->each;
    const float *noise = t->noise + (size_t)level * (size_t)t->n * t->each;

    *out = (level_run){.a = sqrt(alphas[at]),
                       .x = {.ndim = 4,
                             .shape = {(uint64_t)n, (uint64_t)t->c, (uint64_t)t->h, (uint64_t)t->w},
                             .numel = all}};
    out->x.data = ldm_reallocarray(NULL, all, sizeof *out->x.data);
    if (!out->x.data)
        return ldm_error_nomem(err, all * sizeof *out->x.data, "latents");
    for (size_t i = 0; i < all; i++)
        out->x.data[i] = (float)(out->a * scale * t->latents[i] + s * noise[i]);
    return evaluate(m, t, &out->x, at, &out->o, err);
}

static ldm_status measure_level(const ldm_model *m, const ldm_trial *t, int n, double scale,
                                const float *alphas, int timesteps, int level, ldm_scores *out,
                                ldm_error *err)
{
    level_run run;
    ldm_status st = run_level(m, t, n, scale, alphas, timesteps, level, &run, err);

    for (int i = 0; i < n && !st; i++) {
        const size_t from = (size_t)i * t->each;

        for (int r = 0; r < LDM_READINGS; r++)
            out->log_error[r][out->count] =
                log_error(t->latents + from, run.x.data + from, run.o.data + from, t->each, scale,
                          (ldm_reading)r, run.a);
        out->count++;
    }
    free_run(&run);
    return st;
}

ldm_status ldm_probe_output(const ldm_model *m, const ldm_trial *t, int n, double scale,
                            const float *alphas, int timesteps, int level, ldm_array *out,
                            ldm_error *err)
{
    level_run run;
    ldm_status st = run_level(m, t, n, scale, alphas, timesteps, level, &run, err);

    *out = run.o;
    run.o = (ldm_array){0};
    free_run(&run);
    return st;
}

ldm_status ldm_probe_measure(const ldm_model *m, const ldm_trial *t, int n, double scale,
                             const float *alphas, int timesteps, ldm_scores *out, ldm_error *err)
{
    ldm_status st = LDM_OK;

    memset(out, 0, sizeof *out);
    for (int level = 0; level < LDM_TRIAL_LEVELS && !st; level++)
        st = measure_level(m, t, n, scale, alphas, timesteps, level, out, err);
    return st;
}

/* ---- comparing ------------------------------------------------------------------------------- */

double ldm_scores_mean(const ldm_scores *s, ldm_reading r)
{
    double sum = 0;

    for (int i = 0; i < s->count; i++)
        sum += s->log_error[r][i];
    return s->count ? sum / s->count : NOT_FINITE;
}

ldm_margin ldm_margin_of(const double *a, const double *b, int n, int levels)
{
    double all = 0, variance = 0;

    for (int level = 0; level < levels; level++) {
        const double *x = a + level * n, *y = b + level * n;
        double mean = 0, squares = 0;

        for (int i = 0; i < n; i++)
            mean += (x[i] - y[i]) / n;
        for (int i = 0; i < n; i++)
            squares += (x[i] - y[i] - mean) * (x[i] - y[i] - mean);
        all += mean / levels;
        variance += n > 1 ? squares / (n - 1.0) / n / (levels * levels) : 1;
    }
    /* With few pictures a spread may be small by chance: 3 % is taken for the least. */
    variance += 0.03 * 0.03 / (n ? n * levels : 1);
    return (ldm_margin){all, all / sqrt(variance)};
}

ldm_margin ldm_scores_margin(const ldm_scores *a, ldm_reading ra, const ldm_scores *b,
                             ldm_reading rb)
{
    const int n = (a->count < b->count ? a->count : b->count) / LDM_TRIAL_LEVELS;

    return ldm_margin_of(a->log_error[ra], b->log_error[rb], n, LDM_TRIAL_LEVELS);
}

double ldm_sure_of(double sigmas)
{
    return 0.5 * erfc(-sigmas / sqrt(2.0));
}
