/* One side of a comparison: checked, loaded, sampled, its pictures written. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/compare/compare.h"
#include "cli/generate/generate.h"
#include "cli/signals.h"

char *ldm_cmp_format(const char *fmt, ...)
{
    va_list ap;
    char *text;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    text = len < 0 ? NULL : malloc((size_t)len + 1);
    if (!text)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return text;
}

int ldm_cmp_make_folder(const ldm_compare *c, const char *path)
{
    char *dir = ldm_cmp_format("%s/", path), *p;
    struct stat st;

    if (!dir)
        return ldm_cli_nomem(c->cmd);
    for (p = dir + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(dir, 0777) && (stat(dir, &st) || !S_ISDIR(st.st_mode))) {
            ldm_cli_say(c->cmd, "--out: cannot make folder '%s': %s", dir, strerror(errno));
            free(dir);
            return LDM_EXIT_FAILED;
        }
        *p = '/';
    }
    free(dir);
    return LDM_EXIT_OK;
}

int ldm_cmp_model_options(const ldm_compare *c, const char *layer, ldm_model_options *out,
                          const char ***configs)
{
    const ldm_list *l = &c->o->model.configs;
    size_t i;

    ldm_model_opts_export(&c->o->model, c->cli, out);
    *configs = malloc((l->count + 1) * sizeof **configs);
    if (!*configs)
        return ldm_cli_nomem(c->cmd);
    for (i = 0; i < l->count; i++)
        (*configs)[i] = l->items[i];
    if (layer)
        (*configs)[i++] = layer;
    out->configs = *configs;
    out->config_count = i;
    return LDM_EXIT_OK;
}

/* Says why a side cannot be had and keeps it for the tables. */
static int failed(const ldm_compare *c, ldm_cmp_side *s, ldm_status st, const ldm_error *err)
{
    free(s->failure);
    s->failure = ldm_cmp_format("%s", err->msg);
    return ldm_cli_fail(c->cmd, st, err);
}

static int check(ldm_compare *c, ldm_cmp_side *s, const ldm_model_options *mo)
{
    const ldm_report_options ro = {.json = true, .all = true};
    char *report;
    ldm_error err;
    bool fits;
    ldm_status st = ldm_check(mo, &ro, &report, &fits, &err);

    if (st)
        return failed(c, s, st, &err);
    s->audit = json_loads(report, 0, NULL);
    ldm_release(report);
    return s->audit ? LDM_EXIT_OK : ldm_cli_nomem(c->cmd);
}

static int on_progress(void *ctx, const ldm_progress *p)
{
    ldm_bar_update(ctx, p);
    return ldm_signals_interrupted() != 0;
}

static void add_note(ldm_cmp_side *s, const char *text)
{
    json_array_append_new(s->notes, ldm_cli_json_text(text));
}

static int keep(ldm_compare *c, ldm_cmp_side *s, ldm_run *run, const ldm_result *r)
{
    ldm_cmp_picture *p = &s->pictures[r->index];
    size_t bytes = 3 * (size_t)r->width * (size_t)r->height;
    const ldm_generate_opts given = {.model.ckpt = c->o->model.ckpt};
    char *library, *recipe;
    ldm_error err;
    ldm_status st;

    if (!r->rgb) {
        ldm_cli_say(c->cmd,
                    "pictures of this model have %d channels: compare shows those of 1 "
                    "(grey) or 3 (RGB)",
                    r->channels);
        return LDM_EXIT_FAILED;
    }
    p->file = ldm_cmp_format("%s%05d.png", s->folder, r->index);
    p->image = (ldm_image){r->width, r->height, malloc(bytes)};
    if (!p->file || !p->image.rgb)
        return ldm_cli_nomem(c->cmd);
    memcpy(p->image.rgb, r->rgb, bytes);
    st = ldm_run_recipe(run, r, &library, &err);
    if (!st) {
        recipe = ldm_recipe_complete(library, &given, r->index);
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

static int sample(ldm_compare *c, ldm_cmp_side *s, ldm_run *run)
{
    int code = LDM_EXIT_OK;
    ldm_result r;
    ldm_error err;
    ldm_status st;
    bool have = true;

    while (!code) {
        double begin = ldm_cli_now();

        st = ldm_run_next(run, &r, &have, &err);
        s->sample_seconds += ldm_cli_now() - begin;
        if (st == LDM_ERR_CANCELLED) {
            ldm_bar_clear(&c->bar);
            ldm_cli_say(c->cmd, "interrupted: the pictures that are done are kept, and there is no "
                                "report");
            return LDM_EXIT_SIGNAL + ldm_signals_interrupted();
        }
        if (st) {
            ldm_bar_clear(&c->bar);
            return failed(c, s, st, &err);
        }
        if (!have)
            break;
        s->pictures[r.index].seed = r.seed;
        s->pictures[r.index].faces = -1;
        if (r.status == LDM_OK) {
            code = keep(c, s, run, &r);
        } else {
            ldm_bar_clear(&c->bar);
            ldm_cli_say(c->cmd, "%s: picture %d failed: %s", s->title, r.index, err.msg);
        }
    }
    ldm_bar_clear(&c->bar);
    return code;
}

/* The contact sheet beside the pictures. */
static int write_grid(ldm_compare *c, const ldm_cmp_side *s)
{
    ldm_image *ims = calloc(s->count, sizeof *ims), sheet = {0};
    char *path = ldm_cmp_format("%sgrid.png", s->folder);
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
    if (!st && n > 1)
        st = ldm_image_write(path, &sheet, NULL, &err);
    if (st)
        code = ldm_cli_fail(c->cmd, st, &err);
    ldm_release(sheet.rgb);
    free(path);
    free(ims);
    return code;
}

static int run_model(ldm_compare *c, ldm_cmp_side *s, const ldm_model *m)
{
    ldm_run *run = NULL;
    ldm_model_info mi;
    ldm_run_info ri;
    ldm_error err;
    ldm_status st;
    ldm_job job;
    size_t i;
    int code;

    ldm_model_get_info(m, &mi);
    s->load_seconds = mi.load_seconds;
    s->guidance_works = mi.guidance_has_effect;
    ldm_model_init_job(m, &job);
    job.seed = c->o->seed;
    job.count = c->o->count;
    job.batch = c->o->batch;
    job.threads = c->o->model.threads;
    job.max_memory = c->o->model.max_memory;
    job.progress = on_progress;
    job.ctx = &c->bar;
    st = ldm_run_create(m, &job, &run, &err);
    if (st)
        return failed(c, s, st, &err);
    ldm_run_get_info(run, &ri);
    s->steps_asked = ri.steps_asked;
    s->steps_run = ri.steps_run;
    s->eta = job.eta;
    s->scale = job.scale;
    snprintf(s->cond, sizeof s->cond, "%s", job.cond);
    for (i = 0; i < ldm_model_note_count(m); i++)
        add_note(s, ldm_model_note(m, i));
    for (i = 0; i < ldm_run_note_count(run); i++)
        add_note(s, ldm_run_note(run, i));
    s->pictures = calloc((size_t)ri.count, sizeof *s->pictures);
    s->count = s->pictures ? (size_t)ri.count : 0;
    code = s->pictures ? ldm_cmp_make_folder(c, s->folder) : ldm_cli_nomem(c->cmd);
    if (!code && !c->o->quiet)
        ldm_cli_say(c->cmd, "%s: %d picture%s, %d steps, eta %g, scale %g, conditioning %s",
                    s->title, ri.count, ri.count == 1 ? "" : "s", ri.steps_run, job.eta, job.scale,
                    job.cond);
    if (!code)
        code = sample(c, s, run);
    if (!code)
        code = write_grid(c, s);
    ldm_run_free(run);
    return code;
}

int ldm_cmp_side_run(ldm_compare *c, ldm_cmp_side *s)
{
    const char **configs = NULL;
    ldm_model *m = NULL;
    ldm_model_options mo;
    ldm_error err;
    ldm_status st;
    int code;

    s->notes = json_array();
    if (!s->notes)
        return ldm_cli_nomem(c->cmd);
    code = ldm_cmp_model_options(c, s->layer, &mo, &configs);
    if (!code)
        code = check(c, s, &mo);
    if (!code) {
        st = ldm_model_open(&mo, &m, &err);
        code = st ? failed(c, s, st, &err) : run_model(c, s, m);
    }
    ldm_model_close(m);
    free(configs);
    return code ? code : ldm_cmp_judge_side(c, s);
}

void ldm_cmp_side_free(ldm_cmp_side *s)
{
    size_t i;

    for (i = 0; i < s->count; i++) {
        free(s->pictures[i].file);
        free(s->pictures[i].image.rgb);
    }
    free(s->pictures);
    json_decref(s->audit);
    json_decref(s->notes);
    free(s->stem);
    free(s->title);
    free(s->layer);
    free(s->folder);
    free(s->failure);
    memset(s, 0, sizeof *s);
}
