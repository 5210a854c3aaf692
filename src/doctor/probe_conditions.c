/* SPDX-License-Identifier: MIT */
/* What the UNet reads beside x and t, for a trial: the context of a text or a class, channels,
 * labels. */
#include <string.h>

#include <ldm/tokenize.h>

#include "base/alloc.h"
#include "doctor/probes.h"
#include "engine/engine.h"

static ldm_status zeros(ldm_array *a, int ndim, const uint64_t *shape, ldm_error *err)
{
    a->ndim = ndim;
    a->numel = 1;
    for (int i = 0; i < ndim; i++) {
        a->shape[i] = shape[i];
        a->numel *= shape[i];
    }
    a->data = ldm_calloc((size_t)a->numel, sizeof *a->data);
    return a->data ? LDM_OK : ldm_error_nomem(err, a->numel * sizeof *a->data, "an input");
}

/* ---- token ids ------------------------------------------------------------------------------- */

/* The ids of a text by the model's vocabulary; false where none is at hand that fits. */
static bool encode_text(const ldm_model *m, const ldm_conditioner *c, const char *text, float *ids)
{
    ldm_text_vocab *vocab = NULL;
    ldm_text_ids *one = NULL;
    bool done = false;

    if (c->vocabulary &&
        !ldm_text_vocab_open(c->vocabulary, NULL, ldm_ckpt_path(m->ckpt), &vocab, NULL) &&
        ldm_text_vocab_size(vocab) <= (size_t)c->entries &&
        !ldm_text_encode(vocab, text, strlen(text), true, &one, NULL) &&
        ldm_text_ids_length(one) == (size_t)c->tokens) {
        for (int i = 0; i < c->tokens; i++)
            ids[i] = (float)ldm_text_ids_data(one)[i];
        done = true;
    }
    ldm_text_ids_free(one);
    ldm_text_vocab_free(vocab);
    return done;
}

/* Without a vocabulary: a start, words of any meaning (none in an empty text), an end, padding, as
 * the tokenizers of CLIP (start and end are the last two ids), open_clip (padded with 0) and BERT
 * write them. */
static void invent_ids(const ldm_conditioner *c, bool empty, float *ids)
{
    enum { WORDS = 12, BERT_BASE = 30522, CLS = 101, SEP = 102 };
    const bool clip = c->vocabulary && !strcmp(c->vocabulary, "clip");
    const bool bert = !c->vocabulary || !strcmp(c->vocabulary, "bert");
    const int last = c->entries - 1, base = c->entries == BERT_BASE;
    const int start = !bert ? last - 1 : base ? CLS : 2, end = !bert ? last : base ? SEP : 3;
    const int words = empty ? 0 : c->tokens < WORDS + 2 ? c->tokens - 2 : WORDS;
    uint64_t seed = 20211220;

    for (int i = 0; i < c->tokens; i++) {
        int id = i ? clip ? end : 0 : start;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        if (i > 0 && i <= words)
            id = (int)((seed >> 33) % (uint64_t)c->entries);
        else if (i == words + 1)
            id = end;
        ids[i] = (float)(id < 0 || id > last ? 0 : id);
    }
}

static ldm_status make_ids(const ldm_model *m, const ldm_conditioner *c, ldm_condition what,
                           ldm_array *ids, ldm_error *err)
{
    const bool empty = what == LDM_CONDITION_EMPTY, text = c->takes == LDM_COND_TAKES_TOKENS;
    const uint64_t shape[] = {1, (uint64_t)c->tokens};
    ldm_status st = zeros(ids, text ? 2 : 1, shape, err);

    if (st)
        return st;
    if (!text)
        ids->data[0] = empty && c->uncond_class > 0 ? (float)c->uncond_class
                       : !empty && c->entries > 1   ? 1
                                                    : 0;
    else if (!encode_text(m, c, empty ? "" : "a smiling woman with red hair, photograph",
                          ids->data))
        invent_ids(c, empty, ids->data);
    return LDM_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Zeros where the conditioner makes no context. */
static ldm_status make_context(const ldm_model *m, ldm_condition what, ldm_array *context,
                               ldm_error *err)
{
    const ldm_unet_inputs *in = &m->network->unet_inputs;
    const ldm_conditioner *c = m->network->conditioner_count ? m->network->conditioners : NULL;
    ldm_array ids = {0};
    ldm_eval_job *job = NULL;
    ldm_status st;

    if (!c || !c->context_tokens ||
        (c->takes != LDM_COND_TAKES_TOKENS && c->takes != LDM_COND_TAKES_CLASS))
        return zeros(context, 3,
                     (uint64_t[]){1, in->context_tokens > 0 ? (uint64_t)in->context_tokens : 1,
                                  (uint64_t)in->context_width},
                     err);
    st = make_ids(m, c, what, &ids, err);
    if (!st)
        st = ldm_eval_job_create(LDM_PART_COND, &job, err);
    if (!st)
        st = ldm_eval_job_set_array(job, "in", &ids, err);
    if (!st)
        st = ldm_eval(m, job, context, err);
    ldm_eval_job_free(job);
    ldm_array_free(&ids);
    return st;
}

ldm_status ldm_probe_conditions(const ldm_model *m, ldm_condition what, ldm_trial *t,
                                ldm_error *err)
{
    const ldm_unet_inputs *in = &m->network->unet_inputs;
    ldm_status st = in->context_width ? make_context(m, what, &t->context, err) : LDM_OK;

    if (!st && in->concat)
        st = zeros(&t->concat, 4,
                   (uint64_t[]){1, (uint64_t)in->concat, (uint64_t)t->h, (uint64_t)t->w}, err);
    if (!st && in->labels)
        st = zeros(&t->labels, 2, (uint64_t[]){1, (uint64_t)in->labels}, err);
    for (uint64_t i = 0; !st && what == LDM_CONDITION_OTHER && i < t->labels.numel; i++)
        t->labels.data[i] = in->classes == 1 ? 0 : 1;
    return st;
}
