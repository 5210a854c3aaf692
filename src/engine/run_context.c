/* SPDX-License-Identifier: MIT */
/* Contexts from token ids and texts: the conditioner, run once before the first step. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "engine/prompt_syntax.h"
#include "engine/run_state.h"
#include "engine/unknown_words.h"
#include <ldm/tokenize.h>

/* One entry a row of ids. */
static ldm_status run_rows(ldm_run *r, const ldm_array *ids, int tokens, ldm_array *out,
                           ldm_error *err)
{
    const size_t row = (size_t)tokens, width = (size_t)out->shape[2];
    ldm_program *p = NULL;
    ldm_status st = ldm_model_program(r->m, LDM_GRAPH_COND, (ldm_graph_size){1, 1, tokens}, 1,
                                      r->pool, &p, err);
    size_t floats = st ? 0 : ldm_program_arena_floats(p);
    float *arena = st ? NULL : ldm_pages_alloc(floats * sizeof *arena);
    uint64_t i;

    if (!st && !arena)
        st = ldm_error_nomem(err, floats * sizeof *arena, "the conditioner's activations");
    for (i = 0; !st && i < out->shape[0]; i++) {
        const ldm_execution run = {
            .inputs = {{"ids", ids->data + i * row}},
            .out = out->data + i * row * width,
        };

        st = ldm_program_run(p, r->pool, arena, &run, err);
    }
    ldm_pages_free(arena, floats * sizeof *arena);
    ldm_program_free(p);
    return st ? st : ldm_check_finite(out, "the context that the conditioner gave", err);
}

ldm_status ldm_run_encode_ids(ldm_run *r, const ldm_array *ids, ldm_array *out, ldm_error *err)
{
    const ldm_conditioner *c = r->m->network->conditioners;
    const int tokens = ids->ndim == 2 ? (int)ids->shape[1] : 1;
    ldm_status st;

    *out = (ldm_array){.ndim = 3,
                       .shape = {ids->shape[0], (uint64_t)tokens, (uint64_t)c->context_width}};
    if (ldm_mul_u64(ids->numel, (uint64_t)c->context_width, &out->numel) ||
        out->numel > SIZE_MAX / sizeof *out->data)
        return ldm_error_set(err, LDM_ERR_LIMIT, "the contexts are too large");
    out->data = ldm_reallocarray(NULL, (size_t)out->numel, sizeof *out->data);
    if (!out->data)
        return ldm_error_nomem(err, out->numel * sizeof *out->data, "the contexts");
    st = run_rows(r, ids, tokens, out, err);
    if (st)
        ldm_array_free(out);
    return st;
}

/* A text that is cut is reported once, by its first words. */
static ldm_status note_cut(ldm_run *r, const char *text, const ldm_text_ids *ids, ldm_error *err)
{
    enum { SHOWN = 40 };
    const int room = (int)ldm_text_ids_length(ids) - 2;
    const size_t whole = strlen(text);
    size_t shown = 0, next;

    if (ldm_text_ids_needed(ids) <= ldm_text_ids_length(ids))
        return LDM_OK;
    /* Characters are not taken apart. The text is UTF-8: it was tokenized. */
    while (shown < whole && (next = ldm_utf8_len(text + shown, whole - shown)) &&
           shown + next <= SHOWN)
        shown += next;
    return ldm_notes_add(&r->notes, err,
                         "warning: the prompt \"%.*s%s\" has %zu tokens and the text encoder reads "
                         "%d: the rest is cut",
                         (int)shown, text, shown < whole ? "..." : "", ldm_text_ids_needed(ids) - 2,
                         room);
}

/* The prompts, and after them the text that guidance leads away from. */
typedef struct texts {
    const char *const *prompts;
    size_t count;
    const char *negative; /* NULL: there is none */
} texts;

static const char *text_at(const texts *t, size_t i)
{
    return i < t->count ? t->prompts[i] : t->negative;
}

static ldm_status cannot_encode(const texts *t, size_t i, ldm_status st, ldm_error *err)
{
    if (i == t->count)
        return ldm_error_wrap(err, st, "negative");
    return t->count > 1 ? ldm_error_wrap(err, st, "prompt %zu", i + 1)
                        : ldm_error_wrap(err, st, "prompt");
}

static ldm_status tokenize(ldm_run *r, const ldm_text_vocab *vocab, const texts *t, ldm_array *ids,
                           ldm_error *err)
{
    const ldm_conditioner *c = r->m->network->conditioners;
    ldm_prompt_syntax said = {0};
    ldm_status st = LDM_OK;
    size_t i, k;

    for (i = 0; !st && i < ids->shape[0]; i++) {
        const char *text = text_at(t, i);
        ldm_text_ids *one;

        st = ldm_text_encode(vocab, text, strlen(text), true, &one, err);
        if (st)
            return cannot_encode(t, i, st, err);
        if (ldm_text_ids_length(one) != (size_t)c->tokens)
            st = ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                               "this model's conditioner reads %d token ids and its tokenizer "
                               "gives %zu: give the ids themselves",
                               c->tokens, ldm_text_ids_length(one));
        for (k = 0; !st && k < (size_t)c->tokens; k++)
            ids->data[i * (size_t)c->tokens + k] = (float)ldm_text_ids_data(one)[k];
        if (!st)
            st = note_cut(r, text, one, err);
        if (!st)
            st = ldm_prompt_syntax_note(&said, text, &r->notes, err);
        ldm_text_ids_free(one);
    }
    if (!st)
        st = ldm_unknown_words_note(&r->notes, vocab, r->captions_drawn ? "caption" : "prompt",
                                    t->prompts, t->count, err);
    if (!st && t->negative)
        st = ldm_unknown_words_note(&r->notes, vocab, "negative prompt", &t->negative, 1, err);
    return st;
}

ldm_status ldm_run_encode_texts(ldm_run *r, const char *const *prompts, size_t count,
                                const char *negative, ldm_array *out, ldm_error *err)
{
    const ldm_conditioner *c = r->m->network->conditioners;
    const texts all = {prompts, count, negative};
    ldm_array ids = {.ndim = 2, .shape = {count + (negative ? 1 : 0), (uint64_t)c->tokens}};
    ldm_text_vocab *vocab = NULL;
    ldm_status st = ldm_model_vocab(r->m, r->job.vocab, &vocab, err);

    if (st)
        return st;
    ids.numel = ids.shape[0] * ids.shape[1];
    ids.data = ldm_reallocarray(NULL, (size_t)ids.numel, sizeof *ids.data);
    if (ldm_text_vocab_doubt(vocab))
        st = ldm_notes_add(&r->notes, err, "warning: %s", ldm_text_vocab_doubt(vocab));
    if (!st && !*r->vocabulary)
        st = ldm_checkpoint_hash(ldm_text_vocab_path(vocab), r->vocabulary, err);
    if (!st)
        st = ids.data ? tokenize(r, vocab, &all, &ids, err)
                      : ldm_error_nomem(err, ids.numel * sizeof *ids.data, "the token ids");
    if (!st)
        st = ldm_check_ids(&ids, c->entries, "the token ids", err);
    if (!st && out)
        st = ldm_run_encode_ids(r, &ids, out, err);
    ldm_free(ids.data);
    ldm_text_vocab_free(vocab);
    return st;
}
