/* SPDX-License-Identifier: MIT */
/* Conditioning: whether the UNet obeys what it is conditioned by, and whether it knows the
 * conditioner's language. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sort.h"
#include "doctor/probe_search.h"
#include "engine/engine.h"

enum { PICTURES = 4, SHUFFLES = 3 };

/* Two conditions that change eps by less than rounding does are one; less than the second has
 * hardly an effect on a picture. */
static const double rounding = 1e-6, hardly = 1e-4;

typedef struct probe {
    ldm_search *s;
    ldm_model *m; /* the best candidate */
    double scale;
    int n;
} probe;

/* ---- does it change anything ----------------------------------------------------------------- */

static ldm_status output(const probe *p, const ldm_trial *t, int level, ldm_array *out)
{
    return ldm_probe_output(p->m, t, p->n, p->scale, p->s->alphas, p->s->timesteps, level, out,
                            p->s->err);
}

static double distance(const ldm_array *a, const ldm_array *b)
{
    double off = 0, all = 0;

    for (uint64_t i = 0; i < a->numel && i < b->numel; i++) {
        off += ((double)a->data[i] - b->data[i]) * ((double)a->data[i] - b->data[i]);
        all += (double)a->data[i] * a->data[i];
    }
    return all > 0 ? sqrt(off / all) : 0;
}

/* By how much another condition changes the output at the level where that is most. */
static ldm_status change_of(const probe *p, double *most)
{
    const ldm_trial *own = &p->s->trial;
    ldm_trial other = *own; /* shares pictures and noise; conditions are its own */
    ldm_status st;

    *most = 0;
    other.context = other.concat = other.labels = (ldm_array){0};
    st = ldm_probe_conditions(p->m, LDM_CONDITION_OTHER, &other, p->s->err);
    for (int level = 0; level < LDM_TRIAL_LEVELS && !st; level++) {
        ldm_array a = {0}, b = {0};

        st = output(p, own, level, &a);
        if (!st)
            st = output(p, &other, level, &b);
        if (!st && distance(&a, &b) > *most)
            *most = distance(&a, &b);
        ldm_array_free(&a);
        ldm_array_free(&b);
    }
    ldm_array_free(&other.context);
    ldm_array_free(&other.concat);
    ldm_array_free(&other.labels);
    return st;
}

static const char *condition_name(const ldm_model *m)
{
    return m->network->conditioner_count && m->network->conditioners->takes == LDM_COND_TAKES_TOKENS
               ? "text"
               : "class";
}

static ldm_status judge_effect(const probe *p, bool *effect)
{
    const char *path = "conditioning", *name = condition_name(p->m), *how;
    double most;
    ldm_status st = change_of(p, &most);

    *effect = !st && most >= hardly;
    if (st)
        return st;
    if (most >= hardly) {
        how = ldm_doctor_text(p->s->d, "another %s changes the network's output by up to %.2g %%",
                              name, 100 * most);
        return ldm_search_add(p->s, path, NULL, "obeyed", 1, LDM_FINDING_RIGHT, NULL, NULL, how);
    }
    if (most < rounding) {
        how = ldm_doctor_text(p->s->d,
                              "another %s leaves the network's output as it is: prompts and "
                              "guidance change nothing. What reads the condition is missing or "
                              "zero in this file",
                              name);
        return ldm_search_add(p->s, path, "connected", "ignored", 0.99, LDM_FINDING_WRONG, NULL,
                              NULL, how);
    }
    how = ldm_doctor_text(p->s->d, "another %s changes the network's output by %.2g %% at most",
                          name, 100 * most);
    return ldm_search_add(p->s, path, NULL, NULL, 0, LDM_FINDING_UNDECIDED, NULL, NULL, how);
}

/* ---- is it the conditioner that it was trained with ------------------------------------------ */

/* The same numbers in other channels: what the UNet learned to read of a context is gone, its
 * statistics stay. */
static void shuffle(const ldm_array *in, unsigned turn, ldm_array *out)
{
    const size_t width = (size_t)in->shape[in->ndim - 1];
    uint64_t seed = 20211220 + turn;
    size_t *from = ldm_reallocarray(NULL, width, sizeof *from);

    if (!from)
        return;
    for (size_t i = 0; i < width; i++) {
        size_t j;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        j = (size_t)((seed >> 33) % (i + 1));
        from[i] = from[j];
        from[j] = i;
    }
    for (uint64_t i = 0; i < in->numel; i++)
        out->data[i] = in->data[i / width * width + from[i % width]];
    ldm_free(from);
}

static ldm_status measure_shuffled(const probe *p, ldm_scores *scores)
{
    ldm_trial t = p->s->trial;
    const ldm_array *own = &p->s->trial.context;
    ldm_status st = LDM_OK;

    t.context.data = ldm_reallocarray(NULL, (size_t)own->numel, sizeof *own->data);
    if (!t.context.data)
        return ldm_error_nomem(p->s->err, own->numel * sizeof *own->data, "a context");
    for (unsigned i = 0; i < SHUFFLES && !st; i++) {
        shuffle(own, i, &t.context);
        st = ldm_probe_measure(p->m, &t, p->s->fine, p->scale, p->s->alphas, p->s->timesteps,
                               &scores[i], p->s->err);
    }
    ldm_free(t.context.data);
    return st;
}

/* A context that says less than a shuffled one is in a language that the UNet does not know. One
 * that says as much may be of a text that hardly matters, so nothing is concluded from that. */
static ldm_status judge_language(const probe *p)
{
    const char *path = "cond_stage_model", *how;
    const ldm_reading r = p->s->best.reading;
    ldm_scores scores[SHUFFLES];
    ldm_margin least = {1e300, 0}, most = {-1e300, 0};
    ldm_status st = measure_shuffled(p, scores);

    if (st)
        return st;
    for (int i = 0; i < SHUFFLES; i++) {
        const ldm_margin m = ldm_scores_margin(&scores[i], r, &p->s->best_scores, r);

        least = m.difference < least.difference ? m : least;
        most = m.difference > most.difference ? m : most;
    }
    how = ldm_doctor_text(
        p->s->d,
        "with the channels of its %s shuffled the error of denoised pictures is %.1f to %.1f %% "
        "larger (%.1f standard errors)",
        p->m->network->conditioners->takes == LDM_COND_TAKES_TOKENS ? "empty text's context"
                                                                    : "class' vector",
        100 * (exp(least.difference) - 1), 100 * (exp(most.difference) - 1), least.sigmas);
    if (least.difference > ldm_slightly && least.sigmas > ldm_sigmas_needed)
        return ldm_search_add(p->s, path, NULL, "the one that the UNet knows",
                              ldm_search_sure(&least), LDM_FINDING_RIGHT, NULL, NULL, how);
    if (most.difference < -ldm_worse && most.sigmas < -ldm_sigmas_needed)
        return ldm_search_add(p->s, path, "of this file", "another model's",
                              ldm_sure_of(-most.sigmas), LDM_FINDING_WRONG, NULL, NULL, how);
    return ldm_search_add(p->s, path, NULL, "not told apart from another model's", 0.5,
                          LDM_FINDING_NOTE, NULL, NULL, how);
}

/* ---- where the classes begin ----------------------------------------------------------------- */

/* Logarithms of the norms of a table's rows. */
static void norms_of(const float *table, size_t rows, size_t width, double *norms)
{
    for (size_t i = 0; i < rows; i++) {
        double sum = 1e-30;

        for (size_t k = 0; k < width; k++)
            sum += (double)table[i * width + k] * table[i * width + k];
        norms[i] = 0.5 * log(sum);
    }
}

/* By how many deviations (by quartiles) the first row's norm is off the median. */
static double first_row_off(double *norms, size_t rows)
{
    const double first = norms[0];
    double spread;

    ldm_sort_doubles(norms, rows);
    spread = (norms[3 * rows / 4] - norms[rows / 4]) / 1.35;
    return fabs(first - norms[rows / 2]) / (spread > 1e-6 ? spread : 1e-6);
}

/* A first row that is unlike all others was never trained, or stands for no class: then the classes
 * begin at 1. Nothing else about the numbers of classes shows without pictures of known classes. */
static ldm_status judge_table(const probe *p)
{
    enum { LEAST_ROWS = 8 };
    const char *name = p->s->trial.labels.data ? "model.diffusion_model.label_emb.weight"
                                               : "cond_stage_model.embedding.weight";
    const ldm_tensor_info *t = ldm_ckpt_find(p->s->d->ck, name);
    const size_t rows = t && t->ndim == 2 ? (size_t)t->shape[0] : 0;
    float *table;
    double *norms, off = 0;
    ldm_status st;

    if (rows < LEAST_ROWS)
        return LDM_OK;
    table = ldm_reallocarray(NULL, (size_t)t->numel, sizeof *table);
    norms = ldm_reallocarray(NULL, rows, sizeof *norms);
    st = table && norms ? ldm_ckpt_read_f32(p->s->d->ck, t, table, p->s->err)
                        : ldm_error_nomem(p->s->err, 0, "the class table");
    if (!st) {
        norms_of(table, rows, (size_t)t->shape[1], norms);
        off = first_row_off(norms, rows);
    }
    ldm_free(table);
    ldm_free(norms);
    if (st)
        return st;
    return ldm_search_add(
        p->s, "classes", NULL, NULL, 0.5, off > 8 ? LDM_FINDING_UNDECIDED : LDM_FINDING_NOTE, NULL,
        NULL,
        ldm_doctor_text(p->s->d,
                        off > 8 ? "row 0 of the class table is unlike the others (its norm is %.0f "
                                  "deviations off): it was never trained, or stands for no class, "
                                  "and the classes begin at 1"
                                : "whether the table is off by one does not show without pictures "
                                  "of known classes; row 0 is like the others (%.1f deviations)",
                        off));
}

ldm_status ldm_conditioner_judge(ldm_search *s)
{
    const ldm_network *n;
    bool effect;
    probe p = {.s = s, .scale = s->scales[s->best.scale].value};
    ldm_status st;

    if (!s->trial.context.data && !s->trial.labels.data)
        return LDM_OK;
    st = ldm_search_open(s, s->best.weights, s->best.heads, &p.m);
    if (st)
        return st;
    n = p.m->network;
    p.n = s->fine < PICTURES ? s->fine : PICTURES;
    st = judge_effect(&p, &effect);
    if (!st && effect && s->trial.context.data && n->conditioner_count)
        st = judge_language(&p);
    if (!st && !strcmp(condition_name(p.m), "class"))
        st = judge_table(&p);
    ldm_model_close(p.m);
    return st;
}
