/* SPDX-License-Identifier: MIT */
/* The tables of the rows in settings.inc; see settings.h. Here are the names that rows use: bounds,
 * choices, headings. */
#include "job/settings.h"

#include <string.h>

#include "job/job.h"
#include "sample/sampler.h"

/* Bounds that several rows share. A model's own limits (its timesteps, its channels) are checked
 * when a run is created. */
enum {
    MAX_STEPS = 100000,
    MAX_COUNT = 1000000,
    MAX_BATCH = 1024,
    MAX_THREADS = 1024,
    MAX_ROUNDS = 100000,
    MAX_SEEDS = 10000
};
#define MAX_ETA 100
#define MAX_T 1e6

static const char *sampler_name(size_t i)
{
    const ldm_sampler *s = ldm_sampler_at(i);

    return s ? s->name : NULL;
}

static const char *sampler_meant(const char *text)
{
    const ldm_sampler *s = ldm_sampler_find(text);

    return s ? s->name : NULL;
}

/* Samplers of other programs that are none here, and what is the most like them: DPM-Solver in one
 * step (dpm_fast, dpm_adaptive), Adams-Bashforth's multistep (ipndm), Heun's method. */
static const char *sampler_near(const char *text)
{
    static const char *const others[][2] = {
        {"dpm_fast", "dpm-solver++"},
        {"dpm_adaptive", "dpm-solver++"},
        {"dpm_ad", "dpm-solver++"},
        {"restart", "heun"},
        {"heunpp2", "heun"},
        {"ipndm", "plms"},
        {"ipndm_v", "plms"},
        {"dpmpp_2m_sde_heun", "dpmpp_2m_sde"},
        {"dpmpp_2m_sde_heun_gpu", "dpmpp_2m_sde"},
        {"DPM++ 2M SDE Heun", "dpmpp_2m_sde"},
    };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (ldm_sampler_same_name(others[i][0], text))
            return others[i][1];
    }
    return NULL;
}

static const char *spacing_name(size_t i)
{
    return i < LDM_SPACING_COUNT ? ldm_spacing_name((ldm_spacing)i) : NULL;
}

static const char *spacing_meant(const char *text)
{
    ldm_spacing s;

    return ldm_spacing_parse(text, &s, NULL) ? NULL : ldm_spacing_name(s);
}

static const char *solver_name(size_t i)
{
    return i < LDM_SOLVER_COUNT ? ldm_solver_name((ldm_solver)i) : NULL;
}

static const char *solver_meant(const char *text)
{
    ldm_solver s;

    return ldm_solver_find(text, &s) ? ldm_solver_name(s) : NULL;
}

static const char *const conds[] = {"none", "zeros", NULL};
static const char *const fits[] = {"auto", "crop", "pad", "stretch", "keep", NULL};
static const char *const final_sigmas[] = {"auto", "zero", "least", NULL};
static const char *const inversions[] = {"ddim", "compvis", NULL};
static const char *const isas[] = {"c", "avx2", "avx512", NULL};
static const char *const precisions[] = {"f32", "exact", "bf16", "auto", NULL};

#define SAMPLING "Sampling"
#define PICTURES_IN "Pictures in"
#define INVERSION "Inversion"
#define PREVIEW "Preview"
#define MACHINE "Machine"
#define TIMING "Timing"
#define WHOLE "Whole pictures"
#define PIXELS LDM_SETTING_PIXELS
#define CONFIG LDM_SETTING_CONFIG
#define COMPUTE LDM_SETTING_COMPUTE
#define CONDITION LDM_SETTING_CONDITION
#define SETTING(setting_type, field, name, setting_flags, heading, ...)                            \
    {.key = name,                                                                                  \
     .type = LDM_TYPE_##setting_type,                                                              \
     .flags = setting_flags,                                                                       \
     .group = heading,                                                                             \
     .offset = offsetof(struct OWNER, field),                                                      \
     __VA_ARGS__},

#define OWNER ldm_job
#define LDM_ROWS_JOB
static const ldm_setting_row job_rows[] = {
#include "job/settings.inc"
};
#undef OWNER

#define OWNER ldm_model_options
#define LDM_ROWS_MODEL
static const ldm_setting_row model_rows[] = {
#include "job/settings.inc"
};
#undef OWNER

#define OWNER ldm_eval_job
#define LDM_ROWS_EVAL
static const ldm_setting_row eval_rows[] = {
#include "job/settings.inc"
};
#undef OWNER

#define OWNER ldm_bench_options
#define LDM_ROWS_BENCH
static const ldm_setting_row bench_rows[] = {
#include "job/settings.inc"
};
#undef OWNER

#undef SETTING

#define TABLE(rows, what)                                                                          \
    {                                                                                              \
        rows, sizeof rows / sizeof rows[0], what                                                   \
    }
static const ldm_table tables[] = {
    [LDM_SETTINGS_MODEL] = TABLE(model_rows, "a model"),
    [LDM_SETTINGS_JOB] = TABLE(job_rows, "a job"),
    [LDM_SETTINGS_EVAL] = TABLE(eval_rows, "an evaluation"),
    [LDM_SETTINGS_BENCH] = TABLE(bench_rows, "a benchmark"),
};

/* ldm_options.given has a bit for every row. */
_Static_assert(sizeof job_rows / sizeof job_rows[0] <= 64, "more rows than bits");

const ldm_table *ldm_table_of(ldm_setting_kind kind)
{
    return (size_t)kind < sizeof tables / sizeof tables[0] ? &tables[kind] : NULL;
}

/* ---- listing --------------------------------------------------------------------------------- */

size_t ldm_setting_count(ldm_setting_kind kind)
{
    const ldm_table *t = ldm_table_of(kind);

    return t ? t->count : 0;
}

const ldm_setting_row *ldm_setting_at(ldm_setting_kind kind, size_t i)
{
    const ldm_table *t = ldm_table_of(kind);

    return t && i < t->count ? &t->rows[i] : NULL;
}

const ldm_setting_row *ldm_setting_find(ldm_setting_kind kind, const char *key)
{
    const ldm_table *t = ldm_table_of(kind);
    size_t i;

    for (i = 0; t && key && i < t->count; i++) {
        if (strcmp(t->rows[i].key, key) == 0)
            return &t->rows[i];
    }
    return NULL;
}

const char *ldm_setting_key(const ldm_setting_row *s)
{
    return s ? s->key : NULL;
}

ldm_setting_type ldm_setting_get_type(const ldm_setting_row *s)
{
    return s ? s->type : LDM_TYPE_TEXT;
}

unsigned ldm_setting_flags(const ldm_setting_row *s)
{
    return s ? s->flags : 0;
}

const char *ldm_setting_group(const ldm_setting_row *s)
{
    return s ? s->group : NULL;
}

double ldm_setting_min(const ldm_setting_row *s)
{
    return s ? s->min : 0;
}

double ldm_setting_max(const ldm_setting_row *s)
{
    return s ? s->max : 0;
}

const char *ldm_setting_choice(const ldm_setting_row *s, size_t i)
{
    size_t k;

    if (!s || s->type != LDM_TYPE_CHOICE)
        return NULL;
    if (s->choice)
        return s->choice(i);
    for (k = 0; k < i && s->choices[k]; k++)
        ;
    return s->choices[k];
}

const char *ldm_setting_default(const ldm_setting_row *s)
{
    return s ? s->value : NULL;
}

const char *ldm_setting_lacking(const ldm_setting_row *s)
{
    return s ? s->lacking : NULL;
}

char ldm_setting_letter(const ldm_setting_row *s)
{
    return s ? s->letter : '\0';
}

const char *ldm_setting_arg(const ldm_setting_row *s)
{
    return s ? s->arg : NULL;
}

const char *ldm_setting_help(const ldm_setting_row *s)
{
    return s ? s->help : NULL;
}

const char *ldm_setting_help_no(const ldm_setting_row *s)
{
    return s ? s->help_no : NULL;
}
