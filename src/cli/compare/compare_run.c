/* SPDX-License-Identifier: MIT */
/* One side of a comparison: checked, loaded, sampled, its pictures written. */
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "cli/compare/compare.h"
#include "cli/generate/generate.h"
#include "cli/sheets.h"
#include "cli/sampling.h"
#include "cli/signals.h"

/* Says why a side cannot be had and keeps it for the tables. */
static int failed(const ldm_compare *c, ldm_cmp_side *s, ldm_status st, const ldm_error *err)
{
    free(s->failure);
    s->failure = ldm_cli_format("%s", err->msg);
    return ldm_cli_fail(c->cmd, st, err);
}

/* The same of a model that could not be opened. */
static int unopened(const ldm_compare *c, ldm_cmp_side *s, const ldm_model_options *mo,
                    ldm_status st, const ldm_error *err)
{
    free(s->failure);
    s->failure = ldm_cli_format("%s", err->msg);
    return ldm_model_fail(c->cmd, mo, st, err);
}

static int check(ldm_compare *c, ldm_cmp_side *s, const ldm_model_options *mo)
{
    char *report;
    ldm_error err;
    bool fits;
    ldm_status st = ldm_check(mo, LDM_REPORT_JSON | LDM_REPORT_ALL, &report, &fits, &err);

    if (!st)
        s->audit = json_loads(report, 0, NULL);
    ldm_release(report);
    if (st)
        return failed(c, s, st, &err);
    return s->audit ? LDM_EXIT_OK : ldm_cli_nomem(c->cmd);
}

static void add_note(ldm_cmp_side *s, const char *text)
{
    json_array_append_new(s->notes, ldm_json_text(text));
}

static int keep(ldm_compare *c, ldm_cmp_side *s, ldm_run *run, const ldm_result *r)
{
    ldm_cmp_picture *p = &s->pictures[r->index];
    size_t bytes = (size_t)r->channels * (size_t)r->width * (size_t)r->height;
    const ldm_generate_opts given = {.to.model = c->o->to.model};
    char *library, *recipe;
    ldm_error err;
    ldm_status st;

    if (!r->pixels) {
        ldm_cli_say(c->cmd,
                    "pictures of this model have %d channels: compare shows those of 1 "
                    "(grey) or 3 (RGB)",
                    ldm_run_get_info(run)->image_c);
        return LDM_EXIT_FAILED;
    }
    p->file = ldm_cli_format("%s%05d.png", s->folder, r->index);
    p->image = (ldm_image){r->width, r->height, r->channels, malloc(bytes)};
    if (!p->file || !p->image.pixels)
        return ldm_cli_nomem(c->cmd);
    memcpy(p->image.pixels, r->pixels, bytes);
    p->latent = malloc(s->latent_floats * sizeof *p->latent);
    if (!p->latent)
        return ldm_cli_nomem(c->cmd);
    memcpy(p->latent, r->latent, s->latent_floats * sizeof *p->latent);
    st = ldm_run_recipe(run, r->index, &library, &err);
    if (!st) {
        recipe = ldm_recipe_complete(library, &given, (ldm_start_names){0});
        ldm_release(library);
        if (!recipe)
            return ldm_cli_nomem(c->cmd);
        st = ldm_image_write(p->file, &p->image, recipe, &err);
        free(recipe);
    }
    if (st) {
        ldm_bar_clear(&c->bar);
        return failed(c, s, st, &err);
    }
    p->good = true;
    return LDM_EXIT_OK;
}

typedef struct taking {
    ldm_compare *c;
    ldm_cmp_side *s;
    ldm_run *run;
} taking;

static int take_picture(void *ctx, const ldm_result *r, const ldm_error *why)
{
    const taking *t = ctx;

    t->s->pictures[r->index].seed = r->seed;
    t->s->pictures[r->index].faces = -1;
    if (!r->status)
        return keep(t->c, t->s, t->run, r);
    ldm_cli_say(t->c->cmd, "%s: picture %d failed: %s", t->s->title, r->index, why->msg);
    return LDM_EXIT_OK;
}

static int sample(ldm_compare *c, ldm_cmp_side *s, ldm_run *run)
{
    ldm_sampling loop = {.run = run, .bar = &c->bar};
    taking t = {c, s, run};
    int code;

    ldm_bar_init(&c->bar);
    c->bar.on = c->bar.on && !c->o->quiet;
    ldm_bar_expect(&c->bar, ldm_run_get_info(run), 0);
    code = ldm_sampling_run(&loop, take_picture, &t);

    s->sample_seconds += loop.seconds;
    if (loop.cancelled)
        return ldm_sampling_no_report(c->cmd);
    return loop.status ? failed(c, s, loop.status, &loop.error) : code;
}

/* The contact sheet beside the pictures. */
static int write_grid(ldm_compare *c, const ldm_cmp_side *s)
{
    ldm_image *ims = calloc(s->count, sizeof *ims), sheet = {0};
    char *path = ldm_cli_format("%sgrid.png", s->folder), *mark = NULL;
    size_t n = 0, i;
    ldm_error err;
    ldm_status st = LDM_OK;
    int code = ims && path ? LDM_EXIT_OK : ldm_cli_nomem(c->cmd);

    for (i = 0; !code && i < s->count; i++) {
        if (s->pictures[i].good)
            ims[n++] = s->pictures[i].image;
    }
    if (n > 1)
        st = ldm_image_grid(ims, n, 0, &sheet, &err);
    if (!st && n > 1) {
        mark = ldm_sheet_recipe(NULL, LDM_SHEET, n);
        if (mark)
            st = ldm_image_write(path, &sheet, mark, &err);
        else
            code = ldm_cli_nomem(c->cmd);
    }
    if (st)
        code = ldm_cli_fail(c->cmd, st, &err);
    free(mark);
    ldm_release(sheet.pixels);
    free(path);
    free(ims);
    return code;
}

/* What the run is, for the tables and the reader. */
static int describe(const ldm_compare *c, ldm_cmp_side *s, const ldm_model *m, const ldm_run *run)
{
    const ldm_run_info *ri = ldm_run_get_info(run);
    const ldm_job *job = ldm_run_get_job(run);
    size_t i;

    s->load_seconds = ldm_model_get_info(m)->load_seconds;
    s->guidance_works = ldm_model_get_info(m)->guidance_has_effect;
    s->steps_asked = ri->steps_asked;
    s->steps_run = ri->steps_run;
    s->eta = ldm_job_get_real(job, "eta");
    s->scale = ldm_job_get_real(job, "scale");
    s->cond = strdup(ldm_job_get_text(job, "cond"));
    s->threads = ri->threads;
    s->isa = ldm_model_get_info(m)->isa;
    s->precision = ldm_model_get_info(m)->precision;
    s->latent_floats = (size_t)ri->latent_c * (size_t)ri->latent_h * (size_t)ri->latent_w;
    s->pictures = calloc((size_t)ri->count, sizeof *s->pictures);
    s->count = s->pictures ? (size_t)ri->count : 0;
    if (!s->pictures || !s->cond)
        return ldm_cli_nomem(c->cmd);
    for (i = 0; i < ldm_model_note_count(m); i++)
        add_note(s, ldm_model_note(m, i));
    for (i = 0; i < ldm_run_note_count(run); i++)
        add_note(s, ldm_run_note(run, i));
    return LDM_EXIT_OK;
}

static int keep_hash(const ldm_compare *c, ldm_cmp_side *s, const ldm_model *m)
{
    const char *hex;
    ldm_error err;
    ldm_status st = ldm_model_hash(m, &hex, &err);

    if (st)
        return ldm_cli_fail(c->cmd, st, &err);
    s->sha256 = strdup(hex);
    return s->sha256 ? LDM_EXIT_OK : ldm_cli_nomem(c->cmd);
}

static int run_model(ldm_compare *c, ldm_cmp_side *s, const ldm_model *m)
{
    ldm_run *run = NULL;
    ldm_error err;
    ldm_status st;
    int code;

    ldm_sampling_watch(c->o->to.job, &c->bar);
    st = ldm_run_create(m, c->o->to.job, &run, &err);
    if (st)
        return failed(c, s, st, &err);
    code = describe(c, s, m, run);
    if (!code)
        code = ldm_output_make_folder(c->cmd, "--out", s->folder);
    if (!code && !c->o->quiet)
        ldm_cli_say(c->cmd, "%s: %zu picture%s, %d step%s, eta %g, scale %g, conditioning %s",
                    s->title, s->count, s->count == 1 ? "" : "s", s->steps_run,
                    s->steps_run == 1 ? "" : "s", s->eta, s->scale, s->cond);
    if (!code)
        code = sample(c, s, run);
    if (!code)
        code = write_grid(c, s);
    if (!code)
        code = keep_hash(c, s, m);
    ldm_run_free(run);
    return code;
}

int ldm_cmp_side_try(ldm_compare *c, ldm_cmp_side *s)
{
    ldm_model_options *mo = NULL;
    ldm_model *m = NULL;
    ldm_error err;
    ldm_status st;
    int code = ldm_cmp_model_options(c, s, &mo);

    if (code)
        return code;
    st = ldm_model_options_set_bool(mo, "dry_run", true, &err);
    if (!st)
        st = ldm_model_open(mo, &m, &err);
    code = st ? unopened(c, s, mo, st, &err) : LDM_EXIT_OK;
    ldm_model_close(m);
    ldm_model_options_free(mo);
    return code;
}

int ldm_cmp_side_run(ldm_compare *c, ldm_cmp_side *s)
{
    ldm_model *m = NULL;
    ldm_model_options *mo = NULL;
    ldm_error err;
    ldm_status st;
    int code;

    s->notes = json_array();
    if (!s->notes)
        return ldm_cli_nomem(c->cmd);
    code = ldm_cmp_model_options(c, s, &mo);
    if (!code)
        code = check(c, s, mo);
    if (!code) {
        st = ldm_model_open(mo, &m, &err);
        code = st ? unopened(c, s, mo, st, &err) : run_model(c, s, m);
    }
    ldm_model_close(m);
    ldm_model_options_free(mo);
    return code ? code : ldm_cmp_judge_side(c, s);
}

void ldm_cmp_side_free(ldm_cmp_side *s)
{
    size_t i;

    for (i = 0; i < s->count; i++) {
        free(s->pictures[i].file);
        free(s->pictures[i].image.pixels);
        free(s->pictures[i].latent);
    }
    free(s->pictures);
    json_decref(s->audit);
    json_decref(s->notes);
    free(s->stem);
    free(s->title);
    free(s->layer);
    free(s->folder);
    free(s->failure);
    free(s->cond);
    free(s->sha256);
    memset(s, 0, sizeof *s);
}
