/* SPDX-License-Identifier: MIT */
/* The settings that no shape shows, by trying: heads, scale_factor and the choice of weights are
 * searched together (two of them may be wrong at once), then each is judged by itself with all
 * pictures while the others stay at the best that was found. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "doctor/probes.h"
#include "engine/engine.h"
#include "sample/schedule.h"

enum { MAX_HEADS = 32, MAX_SCALES = 8, MAX_WIDTHS = 18, COARSE = 4, TEXT = 96 };

/* What speaks against a setting: so much more error (a logarithm), so many standard errors. */
static const double worse = 0.10, sigmas_needed = 4, slightly = 0.03;
#define BUDGET_SECONDS 500.0

#define UNET "model.params.unet_config.params."

typedef struct heads {
    char sets[LDM_CANDIDATE_SETS][TEXT];
    int set_count;
    char name[TEXT];
    int tuple[MAX_WIDTHS + 2]; /* heads at each width; the output side's; the order of q, k, v */
    bool usual;                /* a number of the published model of this kind */
} heads;

typedef struct scale {
    double value;
    const char *why;
    bool estimate; /* from the deviation of the pictures' latents */
} scale;

typedef struct point {
    int weights, heads, scale; /* indices */
    ldm_reading reading;
    double mean;
} point;

typedef struct search {
    ldm_doctor *d;
    ldm_error *err;
    ldm_trial trial;
    heads heads[MAX_HEADS];
    int head_count, widths[MAX_WIDTHS], width_count;
    scale scales[MAX_SCALES];
    int scale_count;
    int weights[2], weight_count; /* values of --ema, the given one first */
    const char *weight_names[2];
    ldm_reading given_reading;
    int coarse, fine; /* pictures */
    point best;
    ldm_scores best_scores;
    char announcement[TEXT];
    float *alphas;
    int timesteps;
    bool scale_is_buffer, has_up, new_order, shipped_pictures;
    int usual_width, usual_number; /* of heads; 0: none */
} search;

/* ---- candidates ------------------------------------------------------------------------------ */

/* Widths of the UNet's attention, each once. */
static void list_widths(search *s, const ldm_unet_config *u)
{
    for (int l = 0; l < u->channel_mult.count; l++) {
        bool attends = l == u->channel_mult.count - 1; /* the middle block */
        const int width = u->model_channels * u->channel_mult.items[l];

        for (int i = 0; i < u->attention_resolutions.count; i++)
            attends |= u->attention_resolutions.items[i] == 1 << l;
        for (int i = 0; i < s->width_count; i++)
            attends &= s->widths[i] != width;
        if (attends)
            s->widths[s->width_count++] = width;
    }
}

static bool fill_tuple(const search *s, heads *h, int number, int width, int up)
{
    for (int i = 0; i < s->width_count; i++) {
        if (width > 0 ? s->widths[i] % width : s->widths[i] % number)
            return false;
        h->tuple[i] = width > 0 ? s->widths[i] / width : number;
    }
    h->tuple[s->width_count] = width > 0 ? 0 : up - number;
    return true;
}

/* Adds a candidate unless it is the same as an earlier one; the given one comes first. */
static void add_heads(search *s, int number, int width, int up, bool given, bool flip)
{
    heads *h = &s->heads[s->head_count];
    const bool order = s->new_order != flip;
    int most = 0;

    if (s->head_count == MAX_HEADS)
        return;
    memset(h, 0, sizeof *h);
    if (!fill_tuple(s, h, number, width, up))
        return;
    for (int i = 0; i < s->width_count; i++)
        most = h->tuple[i] > most ? h->tuple[i] : most;
    h->tuple[MAX_WIDTHS + 1] = order && most > 1; /* one head has no order */
    for (int i = 0; i < s->head_count; i++) {
        if (!memcmp(s->heads[i].tuple, h->tuple, sizeof h->tuple))
            return;
    }
    if (width > 0)
        snprintf(h->name, sizeof h->name, "num_head_channels %d%s", width,
                 flip ? " in the other order" : "");
    else
        snprintf(h->name, sizeof h->name, "num_heads %d%s", number,
                 flip ? " in the other order" : "");
    h->usual = !order && (width > 0 ? width == s->usual_width : number == s->usual_number);
    if (!given && width > 0) {
        snprintf(h->sets[h->set_count++], TEXT, UNET "num_head_channels=%d", width);
    } else if (!given) {
        snprintf(h->sets[h->set_count++], TEXT, UNET "num_heads=%d", number);
        snprintf(h->sets[h->set_count++], TEXT, UNET "num_head_channels=-1");
        if (s->has_up)
            snprintf(h->sets[h->set_count++], TEXT, UNET "num_heads_upsample=-1");
    }
    if (flip)
        snprintf(h->sets[h->set_count++], TEXT, UNET "use_new_attention_order=%s",
                 order ? "true" : "false");
    s->head_count++;
}

/* The heads of the published model of this kind, where the doctor's own inference knows one. */
static void find_usual(search *s)
{
    const ldm_infer_setting *width = ldm_inference_find(s->d->inference, UNET "num_head_channels");
    const ldm_infer_setting *number = ldm_inference_find(s->d->inference, UNET "num_heads");

    s->usual_width = width && width->from != LDM_INFER_META ? atoi(width->value) : 0;
    s->usual_number = number && number->from != LDM_INFER_META ? atoi(number->value) : 0;
}

static void list_heads(search *s, const ldm_unet_config *u)
{
    static const int widths[] = {32, 64, 16, 8, 128, 40, 24}, numbers[] = {8, 1, 4, 2, 16};
    const int up = u->num_heads_upsample > 0 ? u->num_heads_upsample : u->num_heads;

    s->has_up = up != u->num_heads;
    s->new_order = u->use_new_attention_order;
    find_usual(s);
    list_widths(s, u);
    add_heads(s, u->num_heads, u->num_head_channels, up, true, false);
    for (int flip = 0; flip < (u->use_spatial_transformer ? 1 : 2); flip++) {
        if (flip)
            add_heads(s, u->num_heads, u->num_head_channels, up, true, true);
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
            add_heads(s, 0, widths[i], 0, false, flip);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            add_heads(s, numbers[i], 0, numbers[i], false, flip);
    }
}

/* Two within 3 % are one: no probe tells them apart. An estimate is not as exact as that. */
static void add_scale(search *s, double value, const char *why, bool estimate)
{
    if (!(value > 0) || !isfinite(value) || s->scale_count == MAX_SCALES)
        return;
    for (int i = 0; i < s->scale_count; i++) {
        if (fabs(log(s->scales[i].value / value)) < (estimate ? 0.15 : 0.03))
            return;
    }
    s->scales[s->scale_count++] = (scale){value, why, estimate};
}

static void list_scales(search *s, const ldm_model *m)
{
    const ldm_tensor_info *t = ldm_ckpt_find(s->d->ck, "scale_factor");
    float buffer;

    add_scale(s, m->scale_factor, "given", false);
    if (t && t->numel == 1 && !ldm_ckpt_read_f32(s->d->ck, t, &buffer, NULL))
        add_scale(s, buffer, "the file's buffer", false);
    add_scale(s, 1, "the default", false);
    add_scale(s, 0.18215, "Stable Diffusion's, and of CompVis' text models", false);
    if (!s->shipped_pictures) /* of another kind of pictures it says little */
        add_scale(s, 1 / s->trial.deviation, "that which makes the latents' deviation 1", true);
}

static void list_weights(search *s, const ldm_model *m)
{
    const bool shadows =
        ldm_ckpt_find(s->d->ck, "model_ema.diffusion_modelinput_blocks00weight") != NULL;
    const bool raw =
        ldm_ckpt_find(s->d->ck, "model.diffusion_model.input_blocks.0.0.weight") != NULL;
    const bool ema = m->audit->effective.ema;

    s->weight_count = shadows && raw ? 2 : 1;
    s->weights[0] = ema;
    s->weights[1] = !ema;
    s->weight_names[0] = ema ? "EMA" : "raw";
    s->weight_names[1] = ema ? "raw" : "EMA";
}

/* ---- measuring ------------------------------------------------------------------------------- */

static ldm_status open_candidate(const search *s, int weights, int h, ldm_model **m)
{
    const char *sets[LDM_CANDIDATE_SETS];

    for (int i = 0; i < s->heads[h].set_count; i++)
        sets[i] = s->heads[h].sets[i];
    return ldm_probe_open(s->d, sets, s->heads[h].set_count,
                          s->weight_count == 2 ? s->weights[weights] : -1, m, s->err);
}

static ldm_status measure(const search *s, const ldm_model *m, int n, int at_scale, ldm_scores *out)
{
    return ldm_probe_measure(m, &s->trial, n, s->scales[at_scale].value, s->alphas, s->timesteps,
                             out, s->err);
}

static void offer(search *s, const ldm_scores *scores, int weights, int h, int at_scale)
{
    for (int r = 0; r < LDM_READINGS; r++) {
        const double mean = ldm_scores_mean(scores, (ldm_reading)r);

        if (mean < s->best.mean)
            s->best = (point){weights, h, at_scale, (ldm_reading)r, mean};
    }
}

/* Every choice of heads and weights with every scale, on a few pictures. */
static ldm_status search_all(search *s)
{
    const int opened = s->weight_count * s->head_count;
    ldm_status st = LDM_OK;

    s->best.mean = 1e300;
    for (int i = 0; i < opened && !st; i++) {
        ldm_scores scores;
        ldm_model *m;

        st = ldm_doctor_step(s->d, s->announcement, 0.1 + 0.5 * i / opened, s->err);
        if (!st)
            st = open_candidate(s, i / s->head_count, i % s->head_count, &m);
        for (int k = 0; k < s->scale_count && !st; k++) {
            st = measure(s, m, s->coarse, k, &scores);
            if (!st)
                offer(s, &scores, i / s->head_count, i % s->head_count, k);
        }
        if (!st)
            ldm_model_close(m);
    }
    return st;
}

/* How many pictures there is time for. */
static ldm_status plan(search *s, const ldm_model *m)
{
    const double begin = ldm_seconds();
    ldm_scores scores;
    double each;
    const int runs = s->weight_count * s->head_count * s->scale_count;
    ldm_status st = measure(s, m, 1, 0, &scores);

    each = ldm_seconds() - begin;
    s->coarse = s->trial.n < COARSE ? s->trial.n : COARSE;
    s->fine = s->trial.n;
    while (s->coarse > 1 && each * runs * s->coarse > 0.5 * BUDGET_SECONDS)
        s->coarse--;
    while (s->fine > 2 &&
           each * (s->head_count + s->scale_count + 2) * s->fine > 0.5 * BUDGET_SECONDS)
        s->fine--;
    snprintf(s->announcement, sizeof s->announcement,
             "about %.0f s: trying heads, scales and weights",
             each * (runs * s->coarse + (s->head_count + s->scale_count + 4) * s->fine));
    return st;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static ldm_status add(search *s, const char *path, const char *given, const char *found,
                      double sure, ldm_finding_state state, const char *cure, const char *flag,
                      const char *how)
{
    const ldm_value *v = ldm_value_find(ldm_config_root(s->d->config), path);
    const ldm_origin o = v ? ldm_value_origin(v) : (ldm_origin){NULL, 0, 0};
    const char *slash = o.source ? strrchr(o.source, '/') : NULL;
    ldm_finding f = {.path = path,
                     .given = given,
                     .found = found,
                     .sure = sure,
                     .state = state,
                     .cure = cure,
                     .flag = flag,
                     .how = how};

    if (!how)
        return ldm_error_nomem(s->err, 0, "a finding");
    if (o.source && o.line && !s->d->made)
        f.place = ldm_doctor_text(s->d, "%s:%d", slash ? slash + 1 : o.source, o.line);
    return ldm_doctor_add(s->d, &f, s->err);
}

/* A learned network does better than the best that one could do knowing the pictures' deviation
 * alone: r^2 / (1 + r^2) of the power, r the ratio of noise to signal (Wiener). */
static bool has_learned(const search *s)
{
    const int n = s->best_scores.count / LDM_TRIAL_LEVELS;
    bool learned = false;

    for (int level = 0; level < LDM_TRIAL_LEVELS; level++) {
        const double r = ldm_trial_ratios[level] * ldm_trial_ratios[level];
        double mean = 0;

        for (int i = 0; i < n; i++)
            mean += s->best_scores.log_error[s->best.reading][level * n + i] / n;
        learned |= mean < log(0.7 * r / (1 + r));
    }
    return learned;
}

typedef struct rival {
    ldm_margin to_best;
    int index;
} rival;

/* The scores of all candidates of one kind, with the others at the best; *near: the nearest to the
 * best of those that are not the best. */
/* Of those that the pictures do not tell apart, the published model's heads are taken, if they are
 * among them: at small pictures the coarse levels' heads hardly matter. */
static ldm_status prefer_usual(search *s)
{
    ldm_status st = LDM_OK;

    for (int i = 0; i < s->head_count && !st; i++) {
        ldm_scores scores;
        ldm_margin m;
        ldm_model *model;

        if (!s->heads[i].usual || i == s->best.heads || s->heads[s->best.heads].usual)
            continue;
        st = open_candidate(s, s->best.weights, i, &model);
        if (st)
            break;
        st = measure(s, model, s->fine, s->best.scale, &scores);
        ldm_model_close(model);
        m = ldm_scores_margin(&scores, s->best.reading, &s->best_scores, s->best.reading);
        if (!st && m.difference < slightly) {
            s->best.heads = i;
            s->best_scores = scores;
        }
    }
    return st;
}

static ldm_status judge(search *s, bool by_heads, rival *near, ldm_margin *given)
{
    const int count = by_heads ? s->head_count : s->scale_count;
    const int at = by_heads ? s->best.heads : s->best.scale;
    ldm_model *m = NULL;
    ldm_status st = LDM_OK;

    near->index = -1;
    *given = (ldm_margin){0, 0};
    if (!by_heads)
        st = open_candidate(s, s->best.weights, s->best.heads, &m);
    for (int i = 0; i < count && !st; i++) {
        ldm_scores scores;
        ldm_margin margin;

        if (i == at)
            continue;
        st = ldm_doctor_step(s->d, by_heads ? "judging heads" : "judging scale_factor",
                             (by_heads ? 0.6 : 0.75) + 0.15 * i / count, s->err);
        if (!st && by_heads)
            st = open_candidate(s, s->best.weights, i, &m);
        if (!st)
            st = measure(s, m, s->fine, by_heads ? s->best.scale : i, &scores);
        if (by_heads) {
            ldm_model_close(m);
            m = NULL;
        }
        if (st)
            break;
        margin = ldm_scores_margin(&scores, s->best.reading, &s->best_scores, s->best.reading);
        if (i == 0)
            *given = margin;
        if (near->index < 0 || margin.difference < near->to_best.difference)
            *near = (rival){margin, i};
    }
    if (!by_heads)
        ldm_model_close(m);
    return st;
}

static double sure_by(const ldm_margin *m)
{
    return m->difference > slightly ? ldm_sure_of(m->sigmas > 8 ? 8 : m->sigmas) : 0.5;
}

static bool against(const ldm_margin *m)
{
    return m->difference > worse && m->sigmas > sigmas_needed;
}

static const char *error_text(search *s, const char *what, const ldm_margin *given,
                              const rival *near, const char *nearest)
{
    return ldm_doctor_text(
        s->d,
        "%s: the error of denoised pictures is %.0f %% larger with what was given (%.1f standard "
        "errors), %.0f %% with %s (%.1f)",
        what, 100 * (exp(given->difference) - 1), given->sigmas,
        100 * (exp(near->to_best.difference) - 1), nearest, near->to_best.sigmas);
}

static const char *right_text(search *s, const rival *near, const char *nearest)
{
    return ldm_doctor_text(s->d,
                           "the error of denoised pictures is %.0f %% larger with %s, the nearest "
                           "(%.1f standard errors)",
                           100 * (exp(near->to_best.difference) - 1), nearest,
                           near->to_best.sigmas);
}

/* One finding for each assignment that the configuration does not have yet. */
static ldm_status cure_heads(search *s, const heads *h, double sure, const char *how)
{
    ldm_status st = LDM_OK;

    for (int i = 0; i < h->set_count && !st; i++) {
        const char *value = strchr(h->sets[i], '=') + 1;
        char path[TEXT], given[TEXT] = "";
        const ldm_value *v;
        int64_t number;
        bool truth;

        snprintf(path, sizeof path, "%.*s", (int)(value - 1 - h->sets[i]), h->sets[i]);
        v = ldm_value_find(ldm_config_root(s->d->config), path);
        if (v && !ldm_value_bool(v, &truth, NULL))
            snprintf(given, sizeof given, "%s", truth ? "true" : "false");
        else if (v && !ldm_value_int(v, &number, NULL))
            snprintf(given, sizeof given, "%lld", (long long)number);
        if (!strcmp(given, value) || (!*given && !strcmp(value, "-1")))
            continue;
        st = add(s, path, *given ? given : NULL, value, sure, LDM_FINDING_WRONG, h->sets[i], NULL,
                 how);
    }
    return st;
}

static const char *given_heads_path(const ldm_unet_config *u)
{
    return u->num_head_channels > 0 ? UNET "num_head_channels" : UNET "num_heads";
}

static ldm_status judge_heads(search *s, const ldm_unet_config *u)
{
    const heads *best = &s->heads[s->best.heads];
    const char *path = given_heads_path(u), *how;
    char given[TEXT];
    ldm_margin m;
    rival near;
    ldm_status st;

    if (s->head_count < 2)
        return LDM_OK;
    st = judge(s, true, &near, &m);
    if (st)
        return st;
    snprintf(given, sizeof given, "%d",
             u->num_head_channels > 0 ? u->num_head_channels : u->num_heads);
    if (s->best.heads == 0 || !against(&m)) {
        const bool open = s->d->made && !against(&near.to_best) && !s->heads[0].usual;

        how = right_text(s, &near, s->heads[near.index].name);
        return add(s, path, given, open ? NULL : given, sure_by(&near.to_best),
                   open ? LDM_FINDING_UNDECIDED : LDM_FINDING_RIGHT, NULL, NULL, how);
    }
    how = error_text(s, best->name, &m, &near, s->heads[near.index].name);
    if (near.index && !against(&near.to_best) && !best->usual)
        return add(s, path, given, NULL, sure_by(&near.to_best), LDM_FINDING_UNDECIDED, NULL, NULL,
                   how);
    return cure_heads(s, best, sure_by(against(&near.to_best) ? &near.to_best : &m), how);
}

/* Whether a scale 15 % beside the best one is better: then the true one is no candidate. */
static ldm_status between(search *s, bool *is)
{
    ldm_model *m;
    ldm_status st = open_candidate(s, s->best.weights, s->best.heads, &m);

    *is = false;
    for (int i = -1; i <= 1 && !st; i += 2) {
        const double value = s->scales[s->best.scale].value * (i < 0 ? 1 / 1.15 : 1.15);
        ldm_scores scores;
        ldm_margin beside;

        st = ldm_probe_measure(m, &s->trial, s->fine, value, s->alphas, s->timesteps, &scores,
                               s->err);
        beside = ldm_scores_margin(&scores, s->best.reading, &s->best_scores, s->best.reading);
        *is |= !st && beside.difference < -slightly && beside.sigmas < -sigmas_needed;
    }
    ldm_model_close(m);
    return st;
}

static ldm_status judge_scale(search *s, const ldm_model *m)
{
    const char *path = "model.params.scale_factor", *how;
    const scale *best = &s->scales[s->best.scale];
    char given[TEXT], found[TEXT], cure[2 * TEXT];
    bool beside;
    ldm_margin margin;
    rival near;
    ldm_status st;

    if (s->scale_count < 2)
        return LDM_OK;
    st = judge(s, false, &near, &margin);
    if (st)
        return st;
    snprintf(given, sizeof given, "%.6g", m->scale_factor);
    snprintf(found, sizeof found, "%.6g", best->value);
    snprintf(cure, sizeof cure, "%s=%s", path, found);
    if (s->best.scale == 0 || !against(&margin)) {
        char name[TEXT];

        snprintf(name, sizeof name, "%.6g", s->scales[near.index].value);
        how = right_text(s, &near, name);
        return add(s, path, given, given, sure_by(&near.to_best), LDM_FINDING_RIGHT, NULL, NULL,
                   how);
    }
    how = ldm_doctor_text(s->d,
                          "%s (%s): the error of denoised pictures is %.0f %% larger with what was "
                          "given (%.1f standard errors)",
                          found, best->why, 100 * (exp(margin.difference) - 1), margin.sigmas);
    st = between(s, &beside);
    if (st)
        return st;
    if ((near.index && !against(&near.to_best)) || s->scale_is_buffer || beside)
        return add(s, path, given, NULL, sure_by(&near.to_best), LDM_FINDING_UNDECIDED, NULL, NULL,
                   how);
    return add(s, path, given, found, sure_by(&margin), LDM_FINDING_WRONG, cure, NULL, how);
}

static ldm_status judge_reading(search *s)
{
    const char *path = "model.params.parameterization", *how;
    const char *given = ldm_reading_names[s->given_reading];
    const char *found = ldm_reading_names[s->best.reading];
    ldm_margin to_given =
        ldm_scores_margin(&s->best_scores, s->given_reading, &s->best_scores, s->best.reading);
    ldm_margin least = {1e300, 0};
    char cure[2 * TEXT];

    for (int r = 0; r < LDM_READINGS; r++) {
        const ldm_margin m =
            ldm_scores_margin(&s->best_scores, (ldm_reading)r, &s->best_scores, s->best.reading);

        if (r != (int)s->best.reading && m.difference < least.difference)
            least = m;
    }
    how =
        ldm_doctor_text(s->d,
                        "read as %s, the output has an error that is %.1f times smaller than read "
                        "otherwise (%.1f standard errors)",
                        found, exp(least.difference), least.sigmas);
    snprintf(cure, sizeof cure, "%s=%s", path, found);
    if (s->best.reading == s->given_reading)
        return add(s, path, given, given, sure_by(&least), LDM_FINDING_RIGHT, NULL, NULL, how);
    if (!against(&to_given) || !against(&least))
        return add(s, path, given, NULL, sure_by(&to_given), LDM_FINDING_UNDECIDED, NULL, NULL,
                   how);
    return add(s, path, given, found, sure_by(&to_given), LDM_FINDING_WRONG, cure, NULL, how);
}

/* The other weights, with all else at the best. */
static ldm_status judge_weights(search *s)
{
    const char *path = "model.params.use_ema", *how;
    const int other = !s->best.weights;
    ldm_margin m;
    ldm_scores scores;
    ldm_model *model;
    ldm_status st;

    if (s->weight_count < 2)
        return LDM_OK;
    st = open_candidate(s, other, s->best.heads, &model);
    if (!st) {
        st = measure(s, model, s->fine, s->best.scale, &scores);
        ldm_model_close(model);
    }
    if (st)
        return st;
    m = ldm_scores_margin(&scores, s->best.reading, &s->best_scores, s->best.reading);
    how = ldm_doctor_text(s->d,
                          "the %s weights: the error of denoised pictures is %.0f %% larger with "
                          "the %s ones (%.1f standard errors)",
                          s->weight_names[s->best.weights], 100 * (exp(m.difference) - 1),
                          s->weight_names[other], m.sigmas);
    if (s->best.weights == 0 || m.difference < slightly || m.sigmas < sigmas_needed)
        return add(s, path, s->weights[0] ? "true" : "false", s->weights[0] ? "true" : "false",
                   s->best.weights ? 0.5 : sure_by(&m), LDM_FINDING_RIGHT, NULL, NULL, how);
    if (s->weights[1]) /* the averaged ones are better */
        return add(s, path, "false", "true", sure_by(&m), LDM_FINDING_WRONG,
                   "model.params.use_ema=true", NULL, how);
    return m.difference > worse ? add(s, path, "true", "false", sure_by(&m), LDM_FINDING_WRONG,
                                      "model.params.use_ema=false", "--no-ema", how)
                                : LDM_OK;
}

/* ---- the schedule ---------------------------------------------------------------------------- */

/* Only where the file has lost its buffers: those are what a run takes. */
static ldm_status judge_schedule(search *s, const ldm_model *base)
{
    enum { COUNT = LDM_PUBLISHED_SCHEDULES };
    const ldm_published_schedule *const known = ldm_published_schedules;
    const ldm_diffusion_config *dc = &base->network->diffusion;
    float *alphas = ldm_reallocarray(NULL, (size_t)s->timesteps, sizeof *alphas);
    ldm_scores scores[COUNT];
    ldm_model *m = NULL;
    int best = -1;
    bool usual = false;
    ldm_margin to_given, near = {1e300, 0};
    ldm_status st = alphas ? LDM_OK : ldm_error_nomem(s->err, 0, "a schedule");

    if (!st)
        st = open_candidate(s, s->best.weights, s->best.heads, &m);
    for (int i = 0; i < COUNT && !st; i++) {
        st = ldm_schedule_alphas(&known[i], s->timesteps, alphas, s->err);
        if (!st)
            st = ldm_probe_measure(m, &s->trial, s->fine, s->scales[s->best.scale].value, alphas,
                                   s->timesteps, &scores[i], s->err);
        if (!st && (best < 0 || ldm_scores_mean(&scores[i], s->best.reading) <
                                    ldm_scores_mean(&scores[best], s->best.reading)))
            best = i;
    }
    ldm_model_close(m);
    ldm_free(alphas);
    if (st)
        return st;
    to_given = ldm_scores_margin(&s->best_scores, s->best.reading, &scores[best], s->best.reading);
    for (int i = 0; i < COUNT && !usual; i++) { /* of those that nothing tells apart */
        usual = ldm_schedule_is_usual(s->d, &known[i]) &&
                ldm_scores_margin(&scores[i], s->best.reading, &scores[best], s->best.reading)
                        .difference < slightly;
        best = usual ? i : best;
    }
    for (int i = 0; i < COUNT; i++) {
        const ldm_margin to =
            ldm_scores_margin(&scores[i], s->best.reading, &scores[best], s->best.reading);

        if (i != best && to.difference < near.difference)
            near = to;
    }
    if (!against(&to_given)) {
        char given[TEXT];

        snprintf(given, sizeof given, "%s %g to %g", ldm_beta_schedule_name(dc->beta_schedule),
                 dc->linear_start, dc->linear_end);
        return add(s, "model.params.beta_schedule", given, given, 0.7, LDM_FINDING_RIGHT, NULL,
                   NULL,
                   "the file has no schedule; no published one gives a smaller error than this");
    }
    if (!against(&near) && !usual)
        return add(s, "model.params.beta_schedule", NULL, NULL, 0, LDM_FINDING_UNDECIDED, NULL,
                   NULL,
                   "the file has no schedule, the one that was given does not fit the weights, and "
                   "more than one published schedule does");
    {
        const char *how = ldm_doctor_text(
            s->d,
            "the file has no schedule; the error is %.0f %% larger with what was given (%.1f "
            "standard errors)",
            100 * (exp(to_given.difference) - 1), to_given.sigmas);
        const char *const paths[] = {"model.params.beta_schedule", "model.params.linear_start",
                                     "model.params.linear_end"};
        char given[3][TEXT], found[3][TEXT], cure[2 * TEXT];

        snprintf(given[0], TEXT, "%s", ldm_beta_schedule_name(dc->beta_schedule));
        snprintf(found[0], TEXT, "%s", ldm_beta_schedule_name(known[best].kind));
        snprintf(given[1], TEXT, "%.9g", dc->linear_start);
        snprintf(found[1], TEXT, "%.9g", known[best].start);
        snprintf(given[2], TEXT, "%.9g", dc->linear_end);
        snprintf(found[2], TEXT, "%.9g", known[best].end);
        for (int i = 0; i < 3 && !st; i++) {
            if (!strcmp(given[i], found[i]))
                continue;
            snprintf(cure, sizeof cure, "%s=%s", paths[i], found[i]);
            st = add(s, paths[i], given[i], found[i], usual ? 0.9 : sure_by(&near),
                     LDM_FINDING_WRONG, cure, NULL, how);
        }
    }
    return st;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static ldm_status measure_best(search *s)
{
    ldm_model *m;
    ldm_status st = open_candidate(s, s->best.weights, s->best.heads, &m);

    if (st)
        return st;
    st = measure(s, m, s->fine, s->best.scale, &s->best_scores);
    ldm_model_close(m);
    return st;
}

static ldm_status untrained(search *s, double fresh)
{
    s->d->untrained = true;
    return add(
        s, "network", NULL, NULL, 0.95, LDM_FINDING_NOTE, NULL, NULL,
        ldm_doctor_text(s->d,
                        "the network has learned nothing: with no heads, scale, weights or "
                        "reading of its output does it do better than a filter that knows "
                        "only how much noise there is%s",
                        fresh > 0.5 ? "; its weights are as a constructor leaves them" : ""));
}

static ldm_status judge_all(search *s, const ldm_model *m, double fresh)
{
    ldm_status st = plan(s, m);

    if (!st)
        st = search_all(s);
    if (!st)
        st = measure_best(s);
    if (!st && !has_learned(s))
        return untrained(s, fresh);
    if (!st)
        st = prefer_usual(s);
    if (!st)
        st = judge_heads(s, &m->network->unet);
    if (!st)
        st = judge_scale(s, m);
    if (!st)
        st = judge_reading(s);
    if (!st)
        st = judge_weights(s);
    if (!st && !m->audit->effective.alphas_cumprod)
        st = judge_schedule(s, m);
    return st;
}

static ldm_reading reading_of(const char *name)
{
    for (int r = 0; r < LDM_READINGS; r++) {
        if (!strcmp(ldm_reading_names[r], name))
            return (ldm_reading)r;
    }
    return LDM_READ_EPS;
}

ldm_status ldm_probe_settings(ldm_doctor *d, double fresh, ldm_error *err)
{
    const bool shipped = !d->image_count;
    search s = {.d = d, .err = err};
    ldm_error why = {.msg = ""};
    ldm_model *m;
    ldm_status st = ldm_probe_open(d, NULL, 0, -1, &m, &why);

    if (!st)
        st = ldm_trial_create(d, m, &s.trial, &why);
    if (st) { /* no network could be tried: that is the finding */
        d->reason = ldm_doctor_text(d, "%s", why.msg);
        ldm_model_close(m);
        return d->reason ? LDM_OK : ldm_error_nomem(err, 0, "a text");
    }
    s.shipped_pictures = shipped;
    s.alphas = m->alphas_cumprod;
    s.timesteps = m->network->diffusion.timesteps;
    s.given_reading = reading_of(m->network->diffusion.parameterization);
    s.scale_is_buffer = m->scale_is_buffer;
    list_heads(&s, &m->network->unet);
    list_scales(&s, m);
    list_weights(&s, m);
    st = judge_all(&s, m, fresh);
    ldm_trial_free(&s.trial);
    ldm_model_close(m);
    return st;
}
