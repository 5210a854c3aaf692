/* SPDX-License-Identifier: MIT */
/* What a run's conditioning is made of, and its arrays a batch. */
#include "engine/run_cond.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "engine/captions.h"
#include "engine/layout.h"
#include "engine/run_state.h"

/* ---- what the job says ----------------------------------------------------------------------- */

static const ldm_conditioner *conditioner(const ldm_run *r)
{
    return r->m->network->conditioner_count ? r->m->network->conditioners : NULL;
}

static bool takes(const ldm_run *r, ldm_cond_takes what)
{
    return conditioner(r) && conditioner(r)->takes == what;
}

static bool takes_text(const ldm_run *r)
{
    return ldm_network_reads_text(r->m->network);
}

/* The UNet reads the context of a class, or the class itself. */
static bool takes_class(const ldm_run *r)
{
    return takes(r, LDM_COND_TAKES_CLASS) ||
           (r->m->network->unet_inputs.classes && !r->m->network->low_scale.present);
}

/* Boxes, or ids themselves. */
static bool takes_layout(const ldm_run *r)
{
    return takes(r, LDM_COND_TAKES_TOKENS) && !takes_text(r);
}

/* The classes of the text "207" or "25,187", in an array with room for `more` after them. */
static ldm_status read_classes(const ldm_run *r, const char *text, size_t more, ldm_array *out,
                               ldm_error *err)
{
    const int entries = takes(r, LDM_COND_TAKES_CLASS) ? conditioner(r)->entries
                                                       : r->m->network->unet_inputs.classes;
    const size_t count = ldm_job_entries(&r->job), all = count + more;
    const char *p;
    size_t i;

    *out = (ldm_array){.ndim = 1, .shape = {all}, .numel = all};
    out->data = ldm_reallocarray(NULL, all, sizeof *out->data);
    if (!out->data)
        return ldm_error_nomem(err, all * sizeof *out->data, "the classes");
    for (p = text, i = 0; i < count; i++, p++) {
        char *end;
        const long v = strtol(p, &end, 10);

        if (end == p || (*end && *end != ',') || v < 0 || v >= entries) {
            ldm_array_free(out);
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "class is '%.100s', expected numbers from 0 to %d, separated by "
                                 "commas; for names a list of them is needed, as `ldm generate "
                                 "--class-names FILE` reads one",
                                 text, entries - 1);
        }
        out->data[i] = (float)v;
        p = end;
    }
    return LDM_OK;
}

/* An option that does not apply is refused: it says what this model takes. */
static ldm_status refuse_stray(const ldm_run *r, const ldm_job *asked, ldm_error *err)
{
    const struct {
        const char *key;
        bool fits;
    } keys[] = {{"prompt", takes_text(r)},
                {"negative", takes_text(r)},
                {"class", takes_class(r)},
                {"layout", takes_layout(r)},
                {"noise_level", r->m->network->low_scale.present}};
    const char *word = "nothing: it is unconditional";
    size_t i;

    if (takes_text(r))
        word = "a prompt";
    else if (takes_class(r))
        word = "a class";
    else if (takes(r, LDM_COND_TAKES_TOKENS))
        word = "a layout, or token ids";
    else if (ldm_concat_wants(r->m->network->unet_inputs.concat_kind))
        word = ldm_concat_wants(r->m->network->unet_inputs.concat_kind);
    else if (conditioner(r))
        word = "an array (context, concat or labels)";
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].fits || !asked || !ldm_options_given(&asked->options, keys[i].key))
            continue;
        return ldm_error_set(err, LDM_ERR_USAGE, "%s: this model takes %s%s", keys[i].key, word,
                             strcmp(keys[i].key, "noise_level")
                                 ? ""
                                 : "; a noise level is of models that enlarge a picture and were "
                                   "trained with noise in it (x4-upscaling)");
    }
    if (asked && asked->layout && asked->ids)
        return ldm_error_set(err, LDM_ERR_USAGE, "layout and ids are given: leave one out");
    if (asked && asked->prompts && !takes_text(r))
        return ldm_error_set(err, LDM_ERR_USAGE, "prompts: this model takes %s", word);
    if (asked && asked->ids && !takes(r, LDM_COND_TAKES_TOKENS))
        return ldm_error_set(err, LDM_ERR_USAGE, "ids: this model takes %s", word);
    return LDM_OK;
}

/* A mix is of contexts that the conditioner makes. */
static ldm_status check_mix(const ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;

    if (!j->mix || (r->m->network->unet_inputs.context_width && !j->context && !j->ids &&
                    strcmp(j->cond, "zeros") && (takes_text(r) || takes(r, LDM_COND_TAKES_CLASS))))
        return LDM_OK;
    return ldm_error_set(err, LDM_ERR_USAGE,
                         "mix: nothing lies between %s; it is for the contexts of prompts, or of "
                         "classes that a conditioner reads",
                         takes_class(r) ? "the classes of this model's label_emb"
                                        : "the conditions of this model");
}

static ldm_status missing(const char *key, const char *what, ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_USAGE, "%s: this model makes pictures of %s", key, what);
}

/* What a picture shows, another caption would paint over. */
static ldm_status take_empty_prompt(ldm_run *r, ldm_error *err)
{
    const ldm_status st = ldm_job_set(&r->job, "prompt", "", err);

    return st ? st
              : ldm_notes_add(&r->notes, err,
                              "no prompt was given: with a picture the empty one is taken; "
                              "--prompt TEXT says what to make of it");
}

/* Where the context comes from, if the UNet reads one. A text model that was given no prompt takes
 * the empty one with a picture; without one it may have a grammar of its own for that. */
static ldm_status settle_source(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;

    if (!r->m->network->unet_inputs.context_width || j->context || !strcmp(j->cond, "zeros"))
        return LDM_OK;
    if (takes_text(r) && !j->prompt && !j->prompts && !j->ids) {
        bool drawn;
        ldm_status st;

        if (ldm_job_start_count(j))
            return take_empty_prompt(r, err);
        st = ldm_captions_draw(r, &drawn, err);
        return st || drawn ? st : missing("prompt", "a text; give it one (prompt)", err);
    }
    if (takes_layout(r) && !j->ids && !j->layout)
        return missing("layout",
                       "a layout; give it boxes or token ids (layout), an array "
                       "[N,tokens] (ids), or the context itself",
                       err);
    if (takes(r, LDM_COND_TAKES_CLASS) && !j->class_text)
        return missing("class", "a class; give it a number (class)", err);
    return LDM_OK;
}

/* The default of the original's script for this kind of model. */
static void settle_scale(ldm_run *r)
{
    const ldm_conditioner *c = conditioner(r);

    if (!ldm_options_given(&r->job.options, "scale") && c && c->scale != 0 &&
        r->m->network->unet_inputs.context_width)
        r->job.scale = c->scale;
}

bool ldm_run_uncond_zeros(const ldm_run *r)
{
    const ldm_job *j = &r->job;

    return !strcmp(j->uncond, "zeros") && !j->uncond_context && strcmp(j->cond, "zeros");
}

/* Guidance needs an unconditional half: given, or what the original's script takes for one (the
 * empty prompt, the last class). */
static bool has_unconditional(const ldm_run *r)
{
    const ldm_job *j = &r->job;

    if (!r->m->network->unet_inputs.context_width)
        return false;
    if (j->uncond_context || ldm_run_uncond_zeros(r))
        return true;
    if (j->context || j->ids || !strcmp(j->cond, "zeros"))
        return false;
    return takes_text(r) || (takes(r, LDM_COND_TAKES_CLASS) && conditioner(r)->uncond_class >= 0);
}

int ldm_run_samples(const ldm_run *r, int n)
{
    return r->cond.guided ? 2 * n : n;
}

ldm_graph_size ldm_run_unet_size(const ldm_run *r)
{
    ldm_graph_size size = {.tokens = r->cond.tokens};

    ldm_run_tile_size(r, &size.h, &size.w);
    return size;
}

static ldm_status check_given(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const ldm_conditions with = {j->context, j->concat, j->labels};
    const ldm_conditions without = {j->uncond_context, j->concat, j->labels};
    const char *wants = ldm_concat_wants(r->m->network->unet_inputs.concat_kind);
    const unsigned later = LDM_LATER_CONTEXT | LDM_LATER_LABELS | LDM_LATER_CONCAT;
    const uint64_t n = (uint64_t)j->count;
    ldm_status st = ldm_conditions_check(r->m, &with, n, j->latent_h, j->latent_w, later, "", err);

    if (!st)
        st = ldm_conditions_check(r->m, &without, n, j->latent_h, j->latent_w, later,
                                  "unconditional ", err);
    if (!st && r->cond.guided && j->uncond_context &&
        j->uncond_context->shape[1] != (uint64_t)r->cond.tokens)
        st = ldm_error_set(err, LDM_ERR_USAGE,
                           "the context has %d tokens and the unconditional one %d: they run as "
                           "one batch and must be alike",
                           r->cond.tokens, (int)j->uncond_context->shape[1]);
    r->cond.with = with;
    r->cond.without = without;
    if (!st)
        st = ldm_concat_plan(r, err);
    if (st || r->cond.with.concat)
        return st;
    if (wants && r->m->network->unet_inputs.concat)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "this model makes pictures of %s, or of an array (concat)", wants);
    return ldm_conditions_check(r->m, &with, n, j->latent_h, j->latent_w,
                                LDM_LATER_CONTEXT | LDM_LATER_LABELS, "", err);
}

static ldm_status note_odd(ldm_run *r, const char *text, int count, ldm_error *err)
{
    if (!count)
        return LDM_OK;
    if (count == 1)
        return ldm_notes_add(&r->notes, err, "warning: layout: %s", text);
    return ldm_notes_add(&r->notes, err, "warning: layout: %s; %d more box%s like it", text,
                         count - 1, count == 2 ? " is" : "es are");
}

/* Before any work: a layout with a mistake is found now. */
static ldm_status read_layout(ldm_run *r, ldm_error *err)
{
    const ldm_conditioner *c = conditioner(r);
    ldm_array *ids = &r->cond.layout;
    ldm_layout_odd odd;
    ldm_status st;

    if (!r->job.layout || !takes_layout(r))
        return LDM_OK;
    *ids = (ldm_array){.ndim = 2, .shape = {1, (uint64_t)c->tokens}, .numel = (uint64_t)c->tokens};
    ids->data = ldm_reallocarray(NULL, (size_t)ids->numel, sizeof *ids->data);
    if (!ids->data)
        return ldm_error_nomem(err, ids->numel * sizeof *ids->data, "a layout");
    st = ldm_layout_read(r->job.layout, strlen(r->job.layout), c->tokens, c->entries, ids->data,
                         &odd, err);
    if (!st)
        st = note_odd(r, odd.outside, odd.outside_count, err);
    return st ? st : note_odd(r, odd.cut, odd.cut_count, err);
}

void ldm_run_cond_guide(ldm_run *r)
{
    settle_scale(r);
    r->cond.guided = r->job.scale != 1.0 && has_unconditional(r);
}

ldm_status ldm_run_cond_plan(ldm_run *r, const ldm_job *asked, ldm_error *err)
{
    const ldm_unet_inputs *in = &r->m->network->unet_inputs;
    ldm_job *j = &r->job;
    ldm_status st = refuse_stray(r, asked, err);

    if (!st)
        st = settle_source(r, err);
    if (!st)
        st = check_mix(r, err);
    if (!st)
        st = read_layout(r, err);
    if (st)
        return st;
    ldm_run_cond_guide(r);
    if (in->context_width)
        r->cond.tokens = j->context ? (int)(j->context->ndim == 3 ? j->context->shape[1] : 0)
                         : j->ids   ? (int)(j->ids->ndim == 2 ? j->ids->shape[1] : 1)
                                    : in->context_tokens;
    return check_given(r, err);
}

/* ---- making it ------------------------------------------------------------------------------- */

static ldm_status make_zeros(ldm_run *r, ldm_array *out, ldm_error *err)
{
    const int width = r->m->network->unet_inputs.context_width;

    *out = (ldm_array){.ndim = 3, .shape = {1, (uint64_t)r->cond.tokens, (uint64_t)width}};
    out->numel = out->shape[1] * out->shape[2];
    out->data = ldm_calloc((size_t)out->numel, sizeof *out->data);
    return out->data ? LDM_OK : ldm_error_nomem(err, out->numel * sizeof *out->data, "a context");
}

/* The unconditional half's context is made together with the others. */
static bool makes_both(const ldm_run *r)
{
    return r->cond.guided && !r->cond.without.context;
}

/* Of contexts that were made together the last is the unconditional half's. */
static void split_last(ldm_run_cond *c)
{
    const size_t floats = ldm_condition_floats(&c->made);

    c->made.shape[0]--;
    c->made.numel -= floats;
    c->made_without = c->made;
    c->made_without.shape[0] = 1;
    c->made_without.numel = floats;
    c->made_without.data = c->made.data + c->made.numel;
}

/* The original takes the empty prompt for the unconditional half. out NULL: nothing is computed. */
static ldm_status encode_prompts(ldm_run *r, ldm_array *out, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const char *const *prompts = j->prompts ? j->prompts : &j->prompt;
    const bool both = makes_both(r);
    const char *negative = j->negative;

    if (both && !negative)
        negative = "";
    if (out && !both)
        negative = NULL;
    return ldm_run_encode_texts(r, prompts, j->prompts ? j->prompt_count : 1, negative, out, err);
}

static ldm_status encode_classes(ldm_run *r, ldm_error *err)
{
    ldm_array ids;
    ldm_status st = read_classes(r, r->job.class_text, makes_both(r), &ids, err);

    if (st)
        return st;
    if (makes_both(r))
        ids.data[ids.numel - 1] = (float)conditioner(r)->uncond_class;
    st = ldm_run_encode_ids(r, &ids, &r->cond.made, err);
    ldm_array_free(&ids);
    return st;
}

static ldm_status encode_given_ids(ldm_run *r, ldm_error *err)
{
    const ldm_array *ids = r->job.ids;
    char found[96];

    if (ids->ndim != 2 || !ids->numel ||
        (ids->shape[0] != 1 && ids->shape[0] != (uint64_t)r->job.count))
        return ldm_error_set(err, LDM_ERR_USAGE, "ids has shape %s, expected [1 or %d,%d]",
                             ldm_shape_text(ids, found, sizeof found), r->job.count,
                             conditioner(r)->tokens);
    if (ldm_check_ids(ids, conditioner(r)->entries, "ids", err))
        return LDM_ERR_USAGE;
    return ldm_run_encode_ids(r, ids, &r->cond.made, err);
}

static ldm_status make_context(ldm_run *r, ldm_error *err)
{
    ldm_run_cond *c = &r->cond;
    const ldm_job *j = &r->job;
    ldm_status st;

    if (c->guided && ldm_run_uncond_zeros(r)) {
        st = make_zeros(r, &c->zeros, err);
        if (st)
            return st;
        c->without.context = &c->zeros;
    }
    if (!r->m->network->unet_inputs.context_width || j->context)
        return LDM_OK;
    if (!strcmp(j->cond, "zeros"))
        st = make_zeros(r, &c->made, err);
    else if (j->ids)
        st = encode_given_ids(r, err);
    else if (takes_text(r))
        st = encode_prompts(r, &r->cond.made, err);
    else if (takes_layout(r))
        st = ldm_run_encode_ids(r, &c->layout, &c->made, err);
    else
        st = encode_classes(r, err);
    if (st)
        return st;
    c->with.context = &c->made;
    if (makes_both(r)) {
        split_last(c);
        c->without.context = &c->made_without;
    }
    return LDM_OK;
}

/* The label of an upscaler: how much noise its picture has. */
static ldm_status make_level(ldm_run *r, ldm_error *err)
{
    ldm_run_cond *c = &r->cond;

    c->labels = (ldm_array){.ndim = 1, .shape = {1}, .numel = 1};
    c->labels.data = ldm_reallocarray(NULL, 1, sizeof *c->labels.data);
    if (!c->labels.data)
        return ldm_error_nomem(err, sizeof *c->labels.data, "a label");
    c->labels.data[0] = (float)r->job.noise_level;
    c->with.labels = c->without.labels = &c->labels;
    return LDM_OK;
}

/* Labels of label_emb from the job's class. */
static ldm_status make_labels(ldm_run *r, ldm_error *err)
{
    ldm_run_cond *c = &r->cond;
    ldm_status st;

    if (!r->m->network->unet_inputs.labels || r->job.labels)
        return LDM_OK;
    if (r->m->network->low_scale.present)
        return make_level(r, err);
    if (!r->m->network->unet_inputs.classes || !r->job.class_text)
        return ldm_error_set(err, LDM_ERR_USAGE, "this model reads labels: give it %s",
                             r->m->network->unet_inputs.classes ? "a class (class)"
                                                                : "an array (labels)");
    st = read_classes(r, r->job.class_text, 0, &c->labels, err);
    c->with.labels = c->without.labels = &c->labels;
    return st;
}

/* One entry's floats for the samples of a batch; NULL and LDM_OK for no array. */
static ldm_status allocate(ldm_run *r, const ldm_array *a, float **out, ldm_error *err)
{
    const size_t samples = (size_t)ldm_run_samples(r, r->job.batch);
    size_t floats, bytes;

    *out = NULL;
    if (!a)
        return LDM_OK;
    if (ldm_mul_size(ldm_condition_floats(a), samples, &floats) ||
        ldm_mul_size(floats, sizeof **out, &bytes))
        return ldm_error_set(err, LDM_ERR_LIMIT, "the conditioning is too large");
    *out = ldm_reallocarray(NULL, floats, sizeof **out);
    return *out ? LDM_OK : ldm_error_nomem(err, bytes, "the conditioning");
}

ldm_status ldm_run_cond_check(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const bool instead = j->context || j->ids || !strcmp(j->cond, "zeros");
    ldm_array classes = {0};
    ldm_status st = LDM_OK;

    if (r->m->network->unet_inputs.context_width && !instead && takes_text(r))
        st = encode_prompts(r, NULL, err);
    if (!st && j->class_text && takes_class(r))
        st = read_classes(r, j->class_text, 0, &classes, err);
    ldm_array_free(&classes);
    return st;
}

ldm_status ldm_run_cond_make(ldm_run *r, ldm_error *err)
{
    ldm_run_cond *c = &r->cond;
    const size_t both = 2 * (size_t)r->job.batch * r->chw;
    ldm_status st = make_context(r, err);

    if (!st)
        st = make_labels(r, err);
    if (!st)
        st = ldm_concat_make(r, err);
    if (!st)
        st = allocate(r, c->with.context, &c->context, err);
    if (!st)
        st = allocate(r, c->with.concat, &c->concat, err);
    if (!st)
        st = allocate(r, c->with.labels, &c->label_values, err);
    if (st || !c->guided)
        return st;
    c->x = ldm_reallocarray(NULL, both, sizeof *c->x);
    c->eps = ldm_reallocarray(NULL, both, sizeof *c->eps);
    return c->x && c->eps ? LDM_OK : ldm_error_nomem(err, 2 * both * sizeof *c->x, "the latents");
}

void ldm_run_cond_free(ldm_run *r)
{
    ldm_run_cond *c = &r->cond;

    ldm_concat_free(&c->pictures);
    ldm_array_free(&c->layout);
    ldm_array_free(&c->made);
    ldm_array_free(&c->zeros);
    ldm_array_free(&c->labels);
    ldm_free(c->context);
    ldm_free(c->concat);
    ldm_free(c->label_values);
    ldm_free(c->x);
    ldm_free(c->eps);
    ldm_kept_free(c->whole);
    ldm_kept_free(c->shallow);
}

/* ---- a batch --------------------------------------------------------------------------------- */

/* The entry of picture i: entries stand for equally many pictures in a row each. */
static const float *entry_of(const ldm_run *r, const ldm_array *a, int i)
{
    const uint64_t per = (uint64_t)r->job.count / a->shape[0];

    return a->data + (uint64_t)i / (per ? per : 1) * ldm_condition_floats(a);
}

/* Picture i's place between the contexts of two entries, as the job's mix says. */
static void take_between(const ldm_run *r, const ldm_array *a, int i, float *out)
{
    const size_t floats = ldm_condition_floats(a), last = (size_t)a->shape[0] - 1;
    const float place = r->job.mix->data[i];
    const size_t low = (size_t)place < last ? (size_t)place : last;
    const float *from = a->data + low * floats, *to = low < last ? from + floats : from;
    const float w = place - (float)low;
    size_t k;

    for (k = 0; k < floats; k++)
        out[k] = w > 0 ? from[k] + w * (to[k] - from[k]) : from[k];
}

/* Each active picture's entry of the array, or a place between two (`mixed`), one after the other;
 * returns the place behind them. */
static float *take_entries(const ldm_run *r, const ldm_array *a, bool mixed, float *out)
{
    const size_t floats = ldm_condition_floats(a);
    int i;

    for (i = 0; i < r->active_n; i++, out += floats) {
        const int picture = r->pictures[r->active + i];

        if (mixed)
            take_between(r, a, picture, out);
        else
            memcpy(out, entry_of(r, a, picture), floats * sizeof *out);
    }
    return out;
}

/* Of a guided run first the unconditional half. A mix is of the other one. */
static void take(const ldm_run *r, const ldm_array *with, const ldm_array *without, bool mixed,
                 float *out)
{
    if (!out)
        return;
    if (r->cond.guided)
        out = take_entries(r, without, false, out);
    (void)take_entries(r, with, mixed, out);
}

/* What is made of pictures draws noise of its own for each; both halves are given the same. */
static void take_pictures(const ldm_run *r, float *out)
{
    const size_t floats = ldm_condition_floats(&r->cond.pictures.made);
    const int halves = r->cond.guided ? 2 : 1;
    int half, i;

    for (half = 0; half < halves; half++) {
        for (i = 0; i < r->active_n; i++, out += floats)
            memcpy(out, ldm_concat_of(r, r->active + i), floats * sizeof *out);
    }
}

/* Rows for the largest batch, filled for this one. */
static ldm_status keep(ldm_run *r, ldm_program *p, ldm_kept **kept, ldm_error *err)
{
    const ldm_named_array inputs[LDM_MAX_INPUTS] = {
        {"context", r->cond.context}, {"concat", r->cond.concat}, {"labels", r->cond.label_values}};
    const int samples = ldm_run_samples(r, r->active_n);
    ldm_status st = LDM_OK;

    if (!*kept)
        st = ldm_kept_create(p, LDM_DEPENDS_COND, ldm_run_samples(r, r->job.batch), kept, err);
    return st ? st : ldm_kept_fill(*kept, p, r->pool, r->arena, inputs, samples, err);
}

ldm_status ldm_run_cond_begin(ldm_run *r, ldm_error *err)
{
    ldm_run_cond *c = &r->cond;
    const int samples = ldm_run_samples(r, r->active_n);
    ldm_status st;

    c->feature_samples = 0;
    if (!c->context && !c->concat && !c->label_values)
        return LDM_OK;
    take(r, c->with.context, c->without.context, r->job.mix != NULL, c->context);
    if (c->pictures.kind != LDM_CONCAT_NONE)
        take_pictures(r, c->concat);
    else
        take(r, c->with.concat, c->without.concat, false, c->concat);
    take(r, c->with.labels, c->without.labels, false, c->label_values);
    st = keep(r, r->unet[samples], &c->whole, err);
    if (!st && r->job.cache > 1)
        st = keep(r, r->shallow[samples], &c->shallow, err);
    return st;
}
