/* SPDX-License-Identifier: MIT */
/* The grid of ldm compare --sweep: axes, cells, pictures and what is measured on them. */
#include "cli/sweep/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/generate/generate.h"
#include "cli/sampling.h"
#include "cli/sheets.h"
#include "cli/signals.h"

/* What cells are measured with, and the sums of the one at work. */
typedef struct measure {
    ldm_sweep *s;
    ldm_model *model;
    ldm_features *features; /* NULL: no distances */
    ldm_stats *renders;
    double *values;
    ldm_stats *stats; /* of the cell */
    ldm_sweep_cell *cell;
    ldm_run *run; /* of the cell */
    double contrast, saturation;
    int with_face;
    ldm_image *pictures; /* [count] of the cell, for its sheet */
    int kept;
} measure;

/* ---- axes ------------------------------------------------------------------------------------ */

static int add_value(const ldm_sweep *s, ldm_sweep_axis *axis, const char *text, size_t length)
{
    if (!length)
        return ldm_cli_usage(s->cmd, "--sweep: an empty value of %s", axis->key);
    if (axis->count == LDM_SWEEP_VALUES)
        return ldm_cli_usage(s->cmd, "--sweep %s: at most %d values", axis->key, LDM_SWEEP_VALUES);
    axis->values[axis->count] = ldm_cli_format("%.*s", (int)length, text);
    return axis->values[axis->count++] ? LDM_EXIT_OK : ldm_cli_nomem(s->cmd);
}

/* Each value must be one that the setting can have. */
static int check_values(const ldm_sweep *s, const ldm_sweep_axis *axis)
{
    ldm_job *job;
    ldm_error err;
    ldm_status st = ldm_job_create(NULL, &job, &err);

    for (size_t i = 0; !st && i < axis->count; i++)
        st = ldm_job_set(job, axis->key, axis->values[i], &err);
    ldm_job_free(job);
    return st ? ldm_cli_usage(s->cmd, "--sweep %s", err.msg) : LDM_EXIT_OK;
}

/* A key as it is typed: --max-memory is max_memory. */
static char *key_of(const char *text, size_t length)
{
    char *key = ldm_cli_format("%.*s", (int)length, text);

    for (char *p = key; p && *p; p++)
        *p = *p == '-' ? '_' : *p;
    return key;
}

static int read_axis(ldm_sweep *s, const char *text)
{
    static const char *const fixed[] = {"count", "seed", "batch", "threads", "max_memory"};
    const char *equals = strchr(text, '='), *at;
    ldm_sweep_axis *axis = &s->axes[s->axis_count];
    int code = LDM_EXIT_OK;

    if (!equals || equals == text)
        return ldm_cli_usage(s->cmd, "--sweep: '%s' is not KEY=VALUE,VALUE,...", text);
    if (s->axis_count == LDM_SWEEP_AXES)
        return ldm_cli_usage(s->cmd, "--sweep: at most %d settings", LDM_SWEEP_AXES);
    s->axis_count++;
    axis->key = key_of(text, (size_t)(equals - text));
    if (!axis->key)
        return ldm_cli_nomem(s->cmd);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        if (!strcmp(axis->key, fixed[i]))
            return ldm_cli_usage(s->cmd,
                                 "--sweep: %s is the same in all cells; give it by its "
                                 "option",
                                 axis->key);
    }
    for (size_t i = 0; i + 1 < s->axis_count; i++) {
        if (!strcmp(axis->key, s->axes[i].key))
            return ldm_cli_usage(s->cmd, "--sweep: %s is given twice", axis->key);
    }
    for (at = equals + 1; !code; at++) {
        const size_t length = strcspn(at, ",");

        code = add_value(s, axis, at, length);
        at += length;
        if (!*at)
            break;
    }
    return code ? code : check_values(s, axis);
}

static int make_cells(ldm_sweep *s)
{
    size_t count = 1;

    for (size_t k = 0; k < s->axis_count; k++)
        count *= s->axes[k].count;
    if (count > LDM_SWEEP_CELLS)
        return ldm_cli_usage(s->cmd, "--sweep: %zu cells, at most %d", count, LDM_SWEEP_CELLS);
    s->cells = calloc(count, sizeof *s->cells);
    if (!s->cells)
        return ldm_cli_nomem(s->cmd);
    s->cell_count = count;
    for (size_t i = 0; i < count; i++) {
        size_t left = i;

        for (size_t k = s->axis_count; k-- > 0;) {
            s->cells[i].at[k] = left % s->axes[k].count;
            left /= s->axes[k].count;
        }
    }
    return LDM_EXIT_OK;
}

/* ---- a cell ---------------------------------------------------------------------------------- */

static ldm_status make_job(const measure *m, const ldm_sweep_cell *cell, ldm_job **out,
                           ldm_error *err)
{
    static const char *const common[] = {"seed",  "count",   "prompt",    "class",
                                         "batch", "threads", "max_memory"};
    const ldm_sweep *s = m->s;
    ldm_status st = ldm_job_create(m->model, out, err);

    for (size_t i = 0; !st && i < sizeof common / sizeof *common; i++) {
        char *text = NULL;

        if (!ldm_job_is_set(s->to->job, common[i]))
            continue;
        st = ldm_job_get(s->to->job, common[i], &text, err);
        if (!st)
            st = ldm_job_set(*out, common[i], text, err);
        ldm_release(text);
    }
    for (size_t k = 0; !st && k < s->axis_count; k++)
        st = ldm_job_set(*out, s->axes[k].key, s->axes[k].values[cell->at[k]], err);
    ldm_sampling_watch(*out, s->bar);
    return st;
}

static ldm_status keep(measure *m, const ldm_result *r, ldm_error *err)
{
    const size_t bytes = (size_t)r->width * (size_t)r->height * 3;
    ldm_image *im = &m->pictures[m->kept];

    *im = (ldm_image){r->width, r->height, 3, malloc(bytes)};
    if (!im->pixels) {
        memset(err, 0, sizeof *err);
        return LDM_ERR_NOMEM;
    }
    memcpy(im->pixels, r->pixels, bytes);
    m->kept++;
    return LDM_OK;
}

static int take_picture(void *ctx, const ldm_result *r, const ldm_error *why)
{
    measure *m = ctx;
    ldm_image_metrics figures;
    ldm_error err;
    ldm_status st;
    size_t faces = 0;

    (void)why;
    if (r->status || !r->pixels) {
        m->cell->failed++;
        return LDM_EXIT_OK;
    }
    st = keep(m, r, &err);
    if (!st)
        st = ldm_image_measure(&m->pictures[m->kept - 1], &figures, sizeof figures, &err);
    if (!st && m->s->judge)
        st = ldm_face_judge_find(m->s->judge, &m->pictures[m->kept - 1], NULL, &faces, &err);
    if (!st && m->features)
        st = ldm_features_compute(m->features, &m->pictures[m->kept - 1], m->values, &err);
    if (!st && m->features)
        st = ldm_stats_add(m->stats, m->values, &err);
    if (st)
        return ldm_cli_fail(m->s->cmd, st, &err);
    m->contrast += figures.contrast;
    m->saturation += ldm_sweep_saturation(&m->pictures[m->kept - 1]);
    m->with_face += faces > 0;
    return LDM_EXIT_OK;
}

static int write_sheet(const measure *m)
{
    const size_t number = (size_t)(m->cell - m->s->cells);
    char *path = ldm_cli_format("%scell_%03zu.png", m->s->out, number);
    char *first = NULL, *recipe = NULL;
    ldm_image sheet = {0};
    ldm_error err;
    ldm_status st;
    int code = LDM_EXIT_OK;

    if (!path)
        return ldm_cli_nomem(m->s->cmd);
    st = ldm_run_recipe(m->run, 0, &first, &err);
    if (!st)
        st = ldm_image_grid(m->pictures, (size_t)m->kept, 0, &sheet, &err);
    if (!st)
        recipe = ldm_sheet_recipe(first, LDM_SHEET, (size_t)m->kept);
    if (!st && !recipe)
        code = ldm_cli_nomem(m->s->cmd);
    if (!st && !code)
        st = ldm_image_write(path, &sheet, recipe, &err);
    if (st)
        code = ldm_cli_fail(m->s->cmd, st, &err);
    free(recipe);
    ldm_release(first);
    ldm_release(sheet.pixels);
    free(path);
    return code;
}

/* The figures of the cell's pictures. */
static int conclude(measure *m, double seconds)
{
    ldm_sweep_cell *c = m->cell;
    const double n = m->kept;
    ldm_error err;

    c->pictures = m->kept;
    c->seconds = seconds / (n + c->failed);
    c->contrast = m->contrast / n;
    c->saturation = m->saturation / n;
    c->variety = ldm_sweep_variety(m->pictures, m->kept);
    c->faces = m->s->judge ? m->with_face / n : NAN;
    c->frechet = NAN;
    if (m->stats && ldm_stats_count(m->stats) > 1 &&
        ldm_stats_distance(m->stats, m->renders, &c->frechet, &err))
        return ldm_cli_fail(m->s->cmd, err.code, &err);
    return m->kept ? write_sheet(m) : LDM_EXIT_OK;
}

static void clear(measure *m)
{
    for (int i = 0; i < m->kept; i++)
        free(m->pictures[i].pixels);
    free(m->pictures);
    ldm_stats_free(m->stats);
    m->pictures = NULL;
    m->stats = NULL;
    m->kept = m->with_face = 0;
    m->contrast = m->saturation = 0;
}

static int sample_cell(measure *m, ldm_run *run)
{
    const ldm_run_info *info = ldm_run_get_info(run);
    ldm_sampling sampling = {.run = run, .bar = m->s->bar};
    ldm_error err;
    int code;

    m->run = run;
    m->cell->steps = info->steps_run;
    m->cell->evaluations = info->eps_evaluations + info->shallow_evaluations;
    m->s->threads = info->threads;
    m->pictures = calloc((size_t)info->count, sizeof *m->pictures);
    if (!m->pictures)
        return ldm_cli_nomem(m->s->cmd);
    if (m->features && ldm_stats_create(m->features, &m->stats, &err))
        return ldm_cli_fail(m->s->cmd, err.code, &err);
    ldm_bar_expect(m->s->bar, info, 0);
    code = ldm_sampling_run(&sampling, take_picture, m);
    if (sampling.status)
        code = ldm_cli_fail(m->s->cmd, sampling.status, &sampling.error);
    if (!code && sampling.cancelled)
        code = ldm_sampling_no_report(m->s->cmd);
    return code ? code : conclude(m, sampling.seconds);
}

/* Rows that are the same need a reason: what a setting of the cell does not do is said, once for
 * all cells, and stands in the report. */
static int note_idle(const measure *m, const ldm_run *run)
{
    ldm_sweep *s = m->s;

    for (size_t i = 0; i < ldm_run_note_count(run); i++) {
        const char *note = ldm_run_note(run, i);
        size_t k = 0;
        char **more;

        while (k < s->idle_count && strcmp(s->idle[k], note))
            k++;
        if (k < s->idle_count || !strstr(note, " has no effect"))
            continue;
        more = realloc(s->idle, (k + 1) * sizeof *more);
        if (!more)
            return ldm_cli_nomem(s->cmd);
        s->idle = more;
        s->idle[k] = strdup(note);
        if (!s->idle[k])
            return ldm_cli_nomem(s->cmd);
        s->idle_count++;
        if (!s->quiet)
            ldm_cli_note(s->cmd, note);
    }
    return LDM_EXIT_OK;
}

/* What does not go together is part of the result. */
static int run_cell(measure *m, ldm_sweep_cell *cell)
{
    ldm_job *job = NULL;
    ldm_run *run = NULL;
    ldm_error err;
    ldm_status st = make_job(m, cell, &job, &err);
    char *name = ldm_sweep_name(m->s, cell);
    int code = name ? LDM_EXIT_OK : ldm_cli_nomem(m->s->cmd);

    m->cell = cell;
    if (!st)
        st = ldm_run_create(m->model, job, &run, &err);
    if (!code && st == LDM_ERR_USAGE) {
        cell->refused = strdup(err.msg);
        if (!m->s->quiet && name)
            ldm_cli_say(m->s->cmd, "note: %s is refused: %s", name, err.msg);
        cell->frechet = cell->contrast = cell->faces = NAN;
        cell->saturation = cell->variety = NAN;
        code = cell->refused ? LDM_EXIT_OK : ldm_cli_nomem(m->s->cmd);
    } else if (!code && st) {
        code = ldm_cli_fail(m->s->cmd, st, &err);
    } else if (!code) {
        if (!m->s->quiet)
            ldm_cli_say(m->s->cmd, "note: cell %zu of %zu: %s", (size_t)(cell - m->s->cells) + 1,
                        m->s->cell_count, name);
        code = note_idle(m, run);
        if (!code)
            code = sample_cell(m, run);
    }
    clear(m);
    free(name);
    ldm_run_free(run);
    ldm_job_free(job);
    return code;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int open_measures(measure *m)
{
    const ldm_targets *to = m->s->to;
    ldm_error err;
    ldm_status st;
    int code =
        (m->s->quiet ? ldm_model_open_quiet : ldm_model_open_said)(m->s->cmd, to->model, &m->model);

    if (code)
        return code;
    m->s->model_name = ldm_model_get_info(m->model)->ckpt_path;
    m->s->isa = ldm_model_get_info(m->model)->isa;
    if (!m->s->stats_file)
        return LDM_EXIT_OK;
    st = ldm_stats_read(m->s->stats_file, &m->renders, &err);
    if (!st)
        st = ldm_features_open(m->model, ldm_model_options_get_int(to->model, "threads"),
                               &m->features, &err);
    if (st)
        return ldm_cli_fail(m->s->cmd, st, &err);
    m->values = malloc(ldm_features_dim(m->features) * sizeof *m->values);
    return m->values ? LDM_EXIT_OK : ldm_cli_nomem(m->s->cmd);
}

static void sweep_free(ldm_sweep *s)
{
    for (size_t k = 0; k < s->axis_count; k++) {
        free(s->axes[k].key);
        for (size_t i = 0; i < s->axes[k].count; i++)
            free(s->axes[k].values[i]);
    }
    for (size_t i = 0; i < s->cell_count; i++)
        free(s->cells[i].refused);
    free(s->cells);
    for (size_t i = 0; i < s->idle_count; i++)
        free(s->idle[i]);
    free(s->idle);
}

/* A reason that no value of an axis changes is a mistake of the line. */
static int check_any(const ldm_sweep *s)
{
    for (size_t i = 0; i < s->cell_count; i++) {
        if (!s->cells[i].refused)
            return LDM_EXIT_OK;
    }
    return ldm_cli_usage(s->cmd, "no cell can be run; the first one: %s", s->cells[0].refused);
}

int ldm_sweep_run(ldm_sweep *s, const ldm_opt_list *texts)
{
    measure m = {.s = s};
    int code = LDM_EXIT_OK;

    for (size_t i = 0; !code && i < texts->count; i++)
        code = read_axis(s, texts->items[i]);
    if (!code)
        code = make_cells(s);
    if (!code)
        code = ldm_output_make_folder(s->cmd, "--out", s->out);
    if (!code)
        code = open_measures(&m);
    for (size_t i = 0; !code && i < s->cell_count; i++)
        code = run_cell(&m, &s->cells[i]);
    if (!code)
        code = check_any(s);
    if (!code)
        code = ldm_sweep_report(s);
    free(m.values);
    ldm_features_close(m.features);
    ldm_stats_free(m.renders);
    ldm_model_close(m.model);
    sweep_free(s);
    return code;
}
