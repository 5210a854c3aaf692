/* SPDX-License-Identifier: MIT */
/* The vocabularies of text encoders: where they lie, and the public interface to the tokenizers. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <ldm/tokenize.h>

#include "base/alloc.h"
#include "base/file.h"
#include "engine/engine.h"
#include "engine/unknown_words.h"
#include "tokenize/tokenize.h"

struct ldm_text_vocab {
    ldm_tokenizer *tokenizer;
    char doubt[512]; /* empty: none */
};

struct ldm_text_ids {
    const ldm_text_vocab *vocab;
    ldm_tokens tokens;
};

/* ---- finding --------------------------------------------------------------------------------- */

char *ldm_folder_of(const char *ckpt)
{
    const char *slash = strrchr(ckpt, '/');

    if (ldm_is_dir(ckpt))
        return ldm_strdup(ckpt);
    return slash ? ldm_strndup(ckpt, slash == ckpt ? 1 : (size_t)(slash - ckpt)) : ldm_strdup(".");
}

ldm_status ldm_vocab_beside(ldm_token_kind kind, const char *ckpt, char **path, ldm_error *err)
{
    char *dir = ldm_folder_of(ckpt), inner[PATH_MAX];
    ldm_status st;

    *path = NULL;
    if (!dir)
        return ldm_error_nomem(err, strlen(ckpt), "a path");
    st = ldm_vocab_in_dir(kind, dir, path, err);
    if (!st && !*path && snprintf(inner, sizeof inner, "%s/tokenizer", dir) < (int)sizeof inner)
        st = ldm_vocab_in_dir(kind, inner, path, err);
    ldm_free(dir);
    return st;
}

/* Looks where `make vocab` puts it: build/vocab in a source tree, share/ldmc/vocab where ldm was
 * installed. */
static ldm_status find_installed(ldm_token_kind kind, char **path, ldm_error *err)
{
    static const char *const folders[] = {"vocab", "build/vocab"};
    char name[128], dir[PATH_MAX];
    const char *names[] = {name, NULL};
    ldm_str text = {0};

    *path = NULL;
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s", folders[i], ldm_token_kind_file(kind));
        if (!ldm_shipped_find(names, dir, sizeof dir))
            continue;
        ldm_str_printf(&text, "%s/%s", dir, name);
        *path = text.data;
        if (!text.failed)
            return LDM_OK;
        ldm_str_free(&text);
        *path = NULL;
        return ldm_error_nomem(err, strlen(dir), "a path");
    }
    return LDM_OK;
}

ldm_status ldm_vocab_find(ldm_token_kind kind, const char *ckpt, char **path, ldm_error *err)
{
    ldm_status st = LDM_OK;

    *path = NULL;
    if (ckpt)
        st = ldm_vocab_beside(kind, ckpt, path, err);
    if (!st && !*path)
        st = find_installed(kind, path, err);
    if (!st && !*path)
        st = ldm_error_set(
            err, LDM_ERR_UNSUPPORTED,
            "no vocabulary for %s text (%s): the published models' belongs to others "
            "and does not come with ldm; `make vocab` gets it, or name a copy (vocab)",
            ldm_token_kind_name(kind), ldm_token_kind_file(kind));
    return st;
}

/* ---- the public interface ----------------------------------------------------------------------
 */

ldm_status ldm_text_vocab_open(const char *kind, const char *path, const char *ckpt,
                               ldm_text_vocab **out, ldm_error *err)
{
    ldm_text_vocab *v = NULL;
    ldm_token_kind which;
    char *found = NULL;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(kind, "kind", err);
    st = ldm_token_kind_parse(kind, &which, err);
    if (!st && !path)
        st = ldm_vocab_find(which, ckpt, &found, err);
    if (st)
        return st;
    v = ldm_calloc(1, sizeof *v);
    st = v ? ldm_tokenizer_open(which, path ? path : found, &v->tokenizer, err)
           : ldm_error_nomem(err, sizeof *v, "a vocabulary");
    ldm_free(found);
    if (st) {
        ldm_free(v);
        return st;
    }
    if (ldm_tokenizer_repeats(v->tokenizer))
        snprintf(v->doubt, sizeof v->doubt,
                 "%.200s, line %d: this word stands further up as well; text gets the id of this "
                 "line",
                 ldm_tokenizer_path(v->tokenizer), ldm_tokenizer_repeats(v->tokenizer));
    *out = v;
    return LDM_OK;
}

/* A table may be larger, for words that a user added; but one with room for the published words has
 * them all, and a file with fewer would give other ids: one that is cut off. */
ldm_status ldm_model_vocab(const ldm_model *m, const char *path, ldm_text_vocab **out,
                           ldm_error *err)
{
    const ldm_conditioner *c;
    size_t size, published;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(m, "m", err);
    if (!ldm_network_reads_text(m->network))
        return ldm_error_set(err, LDM_ERR_USAGE, "this model reads no text");
    c = m->network->conditioners;
    published = strcmp(c->vocabulary, "bert") ? 49408 : 30522;
    st = ldm_text_vocab_open(c->vocabulary, path, ldm_ckpt_path(m->ckpt), out, err);
    if (st == LDM_ERR_UNSUPPORTED && !path && (size_t)c->entries < published)
        return ldm_error_set(
            err, st,
            "this model's text encoder has a table of %d words, so it was trained "
            "with a vocabulary of its own: put that beside the checkpoint, or name "
            "it (vocab)",
            c->entries);
    if (st)
        return st;
    size = ldm_text_vocab_size(*out);
    if (size < (size_t)c->entries && (size_t)c->entries < published)
        snprintf((*out)->doubt, sizeof(*out)->doubt,
                 "%.200s has %zu words and the text encoder's table %d: where words are missing, "
                 "those after them get other ids than the model was trained with",
                 ldm_text_vocab_path(*out), size, c->entries);
    if (size <= (size_t)c->entries && !(size < published && published <= (size_t)c->entries))
        return LDM_OK;
    st = ldm_error_set(err, LDM_ERR_USAGE,
                       "%s has %zu words and the text encoder's table %d: it is %s (this model's "
                       "own is given as vocab)",
                       ldm_text_vocab_path(*out), size, c->entries,
                       size > (size_t)c->entries ? "another model's vocabulary"
                                                 : "cut off, or another model's vocabulary");
    ldm_text_vocab_free(*out);
    *out = NULL;
    return st;
}

void ldm_text_vocab_free(ldm_text_vocab *v)
{
    if (!v)
        return;
    ldm_tokenizer_free(v->tokenizer);
    ldm_free(v);
}

const char *ldm_text_vocab_kind(const ldm_text_vocab *v)
{
    return v ? ldm_token_kind_name(ldm_tokenizer_kind(v->tokenizer)) : NULL;
}

const char *ldm_text_vocab_doubt(const ldm_text_vocab *v)
{
    return v && *v->doubt ? v->doubt : NULL;
}

const char *ldm_text_vocab_path(const ldm_text_vocab *v)
{
    return v ? ldm_tokenizer_path(v->tokenizer) : NULL;
}

size_t ldm_text_vocab_size(const ldm_text_vocab *v)
{
    return v ? ldm_tokenizer_size(v->tokenizer) : 0;
}

const char *ldm_vocab_piece(const ldm_text_vocab *v, size_t id)
{
    return ldm_tokenizer_piece(v->tokenizer, (int32_t)id);
}

ldm_status ldm_text_encode(const ldm_text_vocab *v, const char *text, size_t bytes, bool ftfy,
                           ldm_text_ids **out, ldm_error *err)
{
    ldm_text_ids *ids;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(v, "v", err);
    LDM_REQUIRE(text, "text", err);
    ids = ldm_calloc(1, sizeof *ids);
    if (!ids)
        return ldm_error_nomem(err, sizeof *ids, "token ids");
    ids->vocab = v;
    st = ldm_tokenize(v->tokenizer, text, bytes, ftfy ? LDM_TEXT_FTFY : LDM_TEXT_NO_FTFY,
                      &ids->tokens, err);
    if (st)
        ldm_free(ids);
    else
        *out = ids;
    return st;
}

void ldm_text_ids_free(ldm_text_ids *ids)
{
    ldm_free(ids);
}

const int32_t *ldm_text_ids_data(const ldm_text_ids *ids)
{
    return ids ? ids->tokens.ids : NULL;
}

size_t ldm_text_ids_length(const ldm_text_ids *ids)
{
    return ids ? LDM_TOKENS_LENGTH : 0; /* the same for all so far */
}

size_t ldm_text_ids_used(const ldm_text_ids *ids)
{
    return ids ? ids->tokens.used : 0;
}

size_t ldm_text_ids_needed(const ldm_text_ids *ids)
{
    return ids ? ids->tokens.needed : 0;
}

const char *ldm_text_ids_piece(const ldm_text_ids *ids, size_t i)
{
    return ids && i < LDM_TOKENS_LENGTH
               ? ldm_tokenizer_piece(ids->vocab->tokenizer, ids->tokens.ids[i])
               : "";
}
