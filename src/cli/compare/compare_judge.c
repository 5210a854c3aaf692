/* SPDX-License-Identifier: MIT */
/* What is measured on the pictures of a comparison. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/compare/compare.h"

/* "renders.stats" of the shipped model that is compared; NULL: it has none. */
static char *shipped_stats(const ldm_compare *c)
{
    const char *model = ldm_model_options_get_text(c->o->to.model, "model");
    char *name = ldm_cli_format("models/%s/renders.stats", model);
    char *path = NULL;

    if (name && ldm_shipped_path(name, &path, NULL))
        path = NULL;
    free(name);
    return path;
}

/* "renders.stats" beside the checkpoint, as it ships with a model of ours. */
static char *default_stats(const ldm_compare *c)
{
    const char *ckpt = ldm_model_ckpt(c->o->to.model), *slash;
    char *path;

    if (!ckpt)
        return shipped_stats(c);
    slash = strrchr(ckpt, '/');
    path = slash ? ldm_cli_format("%.*s/renders.stats", (int)(slash - ckpt), ckpt)
                 : strdup("renders.stats");
    if (path && access(path, R_OK)) {
        free(path);
        path = NULL;
    }
    return path;
}

/* There is no distance, and this is why. An exit code. */
static int miss_distance(ldm_compare *c, const char *why)
{
    c->stats_missing = ldm_cli_format("No Frechet distance: %s", why);
    if (!c->stats_missing)
        return ldm_cli_nomem(c->cmd);
    if (!c->o->quiet)
        ldm_cli_say(c->cmd, "note: %s", c->stats_missing);
    return LDM_EXIT_OK;
}

static int find_stats(ldm_compare *c)
{
    char *found;

    if (c->o->stats) { /* hours of sampling must not end at a misspelt name */
        ldm_stats *stats;
        ldm_error err;
        ldm_status st = ldm_stats_read(c->o->stats, &stats, &err);

        if (st)
            return ldm_cli_fail(c->cmd, st, &err);
        ldm_stats_free(stats);
        c->stats_file = strdup(c->o->stats);
        return c->stats_file ? LDM_EXIT_OK : ldm_cli_nomem(c->cmd);
    }
    found = default_stats(c);
    c->stats_file = found ? strdup(found) : NULL;
    if (ldm_model_ckpt(c->o->to.model))
        free(found);
    else
        ldm_release(found);
    if (c->stats_file)
        return LDM_EXIT_OK;
    return miss_distance(c,
                         "the model has no file renders.stats beside its checkpoint (ldm metrics "
                         "--write-stats makes one from the pictures that it was trained on)");
}

int ldm_cmp_judge_open(ldm_compare *c)
{
    ldm_error err;
    ldm_status st = ldm_face_judge_open(c->o->cascade, &c->judge, &err);

    if (st && (c->o->cascade || st != LDM_ERR_IO))
        return ldm_cli_fail(c->cmd, st, &err);
    if (st) {
        c->judge_missing = strdup(err.msg);
        if (!c->judge_missing)
            return ldm_cli_nomem(c->cmd);
        if (!c->o->quiet)
            ldm_cli_say(c->cmd, "note: %s; faces are not judged", err.msg);
    }
    return find_stats(c);
}

static void grade(ldm_cmp_side *s)
{
    size_t i, k, best = 0;

    for (i = 0; i < s->count; i++) {
        size_t n = 0;

        if (!s->pictures[i].good)
            continue;
        for (k = 0; k < s->count; k++)
            n += s->pictures[k].good &&
                 !strcmp(s->pictures[k].m.colour_grade, s->pictures[i].m.colour_grade);
        if (n > best) {
            best = n;
            s->sum.grade = s->pictures[i].m.colour_grade;
        }
    }
    s->sum.grade_count = best;
}

static void summarise(ldm_cmp_side *s)
{
    ldm_cmp_summary *sum = &s->sum;
    size_t i, skin = 0, faces = 0, judged = 0;
    double n;

    memset(sum, 0, sizeof *sum);
    sum->grade = "none";
    for (i = 0; i < s->count; i++) {
        const ldm_cmp_picture *p = &s->pictures[i];

        if (!p->good) {
            sum->failed++;
            continue;
        }
        sum->good++;
        sum->brightness += p->m.brightness;
        sum->contrast += p->m.contrast;
        sum->r += p->m.mean_r;
        sum->g += p->m.mean_g;
        sum->b += p->m.mean_b;
        sum->coherence += p->m.colour_coherence;
        skin += p->m.skin_like;
        judged += p->faces >= 0;
        faces += p->faces > 0;
    }
    n = (double)sum->good; /* no good picture: every mean is NaN */
    sum->brightness /= n;
    sum->contrast /= n;
    sum->r /= n;
    sum->g /= n;
    sum->b /= n;
    sum->coherence /= n;
    sum->skin_share = (double)skin / n;
    sum->face_share = judged ? (double)faces / (double)judged : NAN;
    sum->frechet = NAN;
    grade(s);
}

int ldm_cmp_judge_side(ldm_compare *c, ldm_cmp_side *s)
{
    ldm_error err;
    ldm_status st;
    size_t i, n;

    for (i = 0; i < s->count; i++) {
        ldm_cmp_picture *p = &s->pictures[i];

        if (!p->good)
            continue;
        st = ldm_image_measure(&p->image, &p->m, sizeof p->m, &err);
        if (st)
            return ldm_cli_fail(c->cmd, st, &err);
        if (!c->judge)
            continue;
        st = ldm_face_judge_find(c->judge, &p->image, NULL, &n, &err);
        if (st)
            return ldm_cli_fail(c->cmd, st, &err);
        p->faces = (int)n;
    }
    summarise(s);
    return LDM_EXIT_OK;
}

/* ---- Frechet distances ----------------------------------------------------------------------- */

static ldm_status side_distance(ldm_cmp_side *s, ldm_features *f, const ldm_stats *renders,
                                double *values, ldm_error *err)
{
    ldm_stats *stats;
    ldm_status st = ldm_stats_create(f, &stats, err);
    double distance;
    size_t i;

    if (st)
        return st;
    for (i = 0; !st && i < s->count; i++) {
        if (!s->pictures[i].good)
            continue;
        st = ldm_features_compute(f, &s->pictures[i].image, values, err);
        if (!st)
            st = ldm_stats_add(stats, values, err);
    }
    if (!st && ldm_stats_count(stats) >= 2) {
        st = ldm_stats_distance(stats, renders, &distance, err);
        if (!st)
            s->sum.frechet = distance;
    }
    ldm_stats_free(stats);
    return st;
}

int ldm_cmp_judge_distances(ldm_compare *c)
{
    ldm_stats *renders = NULL;
    ldm_features *f = NULL;
    ldm_model *m = NULL;
    ldm_model_options *mo = NULL;
    double *values = NULL;
    ldm_error err;
    ldm_status st;
    size_t i;
    int code;

    if (!c->stats_file)
        return LDM_EXIT_OK;
    code = ldm_cmp_model_options(c, NULL, &mo);
    if (code)
        return code;
    st = ldm_stats_read(c->stats_file, &renders, &err);
    if (!st)
        st = ldm_model_open(mo, &m, &err);
    if (!st)
        st = ldm_features_open(m, ldm_model_options_get_int(mo, "threads"), &f, &err);
    if (!st) {
        c->stats_count = ldm_stats_count(renders);
        values = malloc(ldm_features_dim(f) * sizeof *values);
        if (!values)
            code = ldm_cli_nomem(c->cmd);
    }
    if (!st && !code) {
        st = side_distance(&c->a, f, renders, values, &err);
        if (!st)
            st = side_distance(&c->b, f, renders, values, &err);
        if (!st && isnan(c->a.sum.frechet) && isnan(c->b.sum.frechet))
            code = miss_distance(c, "it is taken of two pictures or more of a side");
        for (i = 0; !st && i < c->variant_count; i++) {
            if (!c->variants[i].side.failure)
                st = side_distance(&c->variants[i].side, f, renders, values, &err);
        }
    }
    if (st && c->o->stats) {
        code = ldm_cli_fail(c->cmd, st, &err);
    } else if (st) { /* a file found beside the checkpoint may be of another model */
        code = miss_distance(c, err.msg);
    }
    free(values);
    ldm_features_close(f);
    ldm_model_close(m);
    ldm_stats_free(renders);
    ldm_model_options_free(mo);
    return code;
}
