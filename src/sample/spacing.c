/* SPDX-License-Identifier: MIT */
/* The timesteps of a run; see spacing.h. */
#include "sample/spacing.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

static const char *const spacing_names[] = {
    [LDM_SPACING_COMPVIS] = "compvis",   [LDM_SPACING_QUAD] = "quad",
    [LDM_SPACING_LEADING] = "leading",   [LDM_SPACING_TRAILING] = "trailing",
    [LDM_SPACING_LINSPACE] = "linspace", [LDM_SPACING_DISCRETE] = "discrete",
    [LDM_SPACING_KARRAS] = "karras",     [LDM_SPACING_EXPONENTIAL] = "exponential",
};

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

ldm_status ldm_spacing_parse(const char *name, ldm_spacing *out, ldm_error *err)
{
    size_t i;

    for (i = 0; i < COUNT_OF(spacing_names); i++)
        if (!strcmp(name, spacing_names[i])) {
            *out = (ldm_spacing)i;
            return LDM_OK;
        }
    return ldm_error_set(err, LDM_ERR_USAGE,
                         "timestep spacing is '%s', expected compvis, quad, leading, trailing, "
                         "linspace, discrete, karras or exponential",
                         name);
}

const char *ldm_spacing_name(ldm_spacing s)
{
    return spacing_names[s];
}

/* Entry i of numpy.linspace(0, stop, n), which multiplies by a rounded step. */
static double numpy_linspace0(double stop, int n, int i)
{
    if (n == 1)
        return 0;
    return i == n - 1 ? stop : i * (stop / (n - 1));
}

/* How many timesteps CompVis' range(0, T, T // S) has: more than S where S does not divide T. */
static int compvis_count(int train_steps, int steps)
{
    int stride = train_steps / steps;

    return (train_steps + stride - 1) / stride;
}

/* Timestep i of `steps`, as an index into alphas_cumprod; train_steps itself means "does not
 * exist". The paper of table 2 counts from 1 to T, and so do its three formulas; index = t - 1:
 *   leading   arange(1, T + 1, floor(T / S)), the first S of it
 *   trailing  round(flip(arange(T, 0, -T / S)))
 *   linspace  round(linspace(1, T, S))
 * with ties to even as NumPy rounds. The quotients below are exact before rounding. */
static int timestep(ldm_spacing s, int train_steps, int steps, int i)
{
    const double total = train_steps;
    double root;

    switch (s) {
    case LDM_SPACING_QUAD:
        root = numpy_linspace0(sqrt(total * .8), steps, i);
        return (int)(root * root) + 1;
    case LDM_SPACING_LEADING:
        return i * (train_steps / steps);
    case LDM_SPACING_TRAILING:
        return (int)rint(total * (i + 1) / steps) - 1;
    case LDM_SPACING_LINSPACE:
        return steps == 1 ? 0 : (int)rint(1 + (total - 1) * i / (steps - 1)) - 1;
    default:
        break;
    }
    return i * (train_steps / steps) + 1;
}

static ldm_status check_request(ldm_spacing s, int train_steps, int steps, ldm_error *err)
{
    if (train_steps < 1)
        return ldm_error_set(err, LDM_ERR_CONFIG, "timesteps is %d, expected at least 1",
                             train_steps);
    if (steps < 1 || steps > train_steps)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%d steps asked for, expected 1 to %d (the model's timesteps)", steps,
                             train_steps);
    if ((unsigned)s > LDM_SPACING_LINSPACE)
        return ldm_error_set(err, LDM_ERR_USAGE, "timestep spacing %d is no list of timesteps",
                             (int)s);
    return LDM_OK;
}

ldm_status ldm_timesteps_create(ldm_spacing s, int train_steps, int steps, ldm_timesteps *out,
                                ldm_error *err)
{
    ldm_status st = check_request(s, train_steps, steps, err);
    int count, i, t;

    memset(out, 0, sizeof *out);
    if (st)
        return st;
    count = s == LDM_SPACING_COMPVIS ? compvis_count(train_steps, steps) : steps;
    out->t = ldm_reallocarray(NULL, (size_t)count, sizeof *out->t);
    if (!out->t)
        return ldm_error_nomem(err, (size_t)count * sizeof *out->t, "the timesteps");
    for (i = 0; i < count; i++) {
        t = timestep(s, train_steps, steps, i);
        if (t < train_steps)
            out->t[out->count++] = t;
        else
            out->dropped++;
    }
    if (out->count)
        return LDM_OK;
    ldm_timesteps_free(out);
    return ldm_error_set(err, LDM_ERR_CONFIG,
                         "spacing '%s' has no timestep below %d: take leading, trailing or "
                         "linspace",
                         spacing_names[s], train_steps);
}

void ldm_timesteps_free(ldm_timesteps *t)
{
    ldm_free(t->t);
    memset(t, 0, sizeof *t);
}
