/* SPDX-License-Identifier: MIT */
/* Tokenizers of all kinds: opening, the 77 ids. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "tokenize/bpe.h"
#include "tokenize/tokenize.h"
#include "tokenize/wordpiece.h"

struct ldm_tokenizer {
    ldm_token_kind kind;
    char *path;
    ldm_bpe bpe;             /* CLIP, OPENCLIP */
    ldm_wordpiece wordpiece; /* BERT */
    const ldm_vocab *vocab;  /* of the one in use */
    int32_t start, end, pad;
};

typedef struct kind_row {
    const char *name;
    const char *file;  /* that `make vocab` installs */
    const char *files; /* that a folder may hold, in words */
} kind_row;

#define MERGES "bpe_simple_vocab_16e6.txt.gz"

static const kind_row kinds[] = {
    [LDM_TOKEN_CLIP] = {"clip", MERGES, MERGES " and no vocab.json"},
    [LDM_TOKEN_OPENCLIP] = {"openclip", MERGES, MERGES " and no vocab.json"},
    [LDM_TOKEN_BERT] = {"bert", "vocab.txt", "vocab.txt"},
};

const char *ldm_token_kind_name(ldm_token_kind kind)
{
    return kinds[kind].name;
}

const char *ldm_token_kind_file(ldm_token_kind kind)
{
    return kinds[kind].file;
}

ldm_status ldm_token_kind_parse(const char *name, ldm_token_kind *out, ldm_error *err)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!strcmp(kinds[i].name, name)) {
            *out = (ldm_token_kind)i;
            return LDM_OK;
        }
    }
    return ldm_error_set(err, LDM_ERR_USAGE, "kind is \"%s\", expected clip, openclip or bert",
                         name);
}

/* ---- opening --------------------------------------------------------------------------------- */

static ldm_status load(ldm_tokenizer *t, const char *vocab, size_t vocab_bytes, const char *merges,
                       size_t merges_bytes, ldm_error *err)
{
    ldm_status st;

    if (t->kind == LDM_TOKEN_BERT) {
        st = ldm_wordpiece_load(&t->wordpiece, t->path, vocab, vocab_bytes, err);
        t->vocab = &t->wordpiece.vocab;
        t->start = t->wordpiece.start_id;
        t->end = t->wordpiece.end_id;
        t->pad = t->wordpiece.pad_id;
        return st;
    }
    st = ldm_bpe_load(&t->bpe, t->kind, t->path, vocab, vocab_bytes, merges, merges_bytes, err);
    t->vocab = &t->bpe.vocab;
    t->start = t->bpe.start_id;
    t->end = t->bpe.end_id;
    t->pad = t->kind == LDM_TOKEN_OPENCLIP ? 0 : t->end;
    return st;
}

static bool is_gzip(const void *data, size_t bytes)
{
    return bytes >= 2 && !memcmp(data, "\x1f\x8b", 2);
}

ldm_status ldm_tokenizer_read(ldm_token_kind kind, const char *name, const void *vocab,
                              size_t vocab_bytes, const void *merges, size_t merges_bytes,
                              ldm_tokenizer **out, ldm_error *err)
{
    ldm_tokenizer *t = ldm_calloc(1, sizeof *t);
    char *unpacked = NULL;
    ldm_status st = LDM_OK;

    *out = NULL;
    if (t) {
        t->kind = kind;
        t->path = ldm_strdup(name);
    }
    if (!t || !t->path)
        st = ldm_error_nomem(err, sizeof *t, "a tokenizer");
    if (!st && is_gzip(vocab, vocab_bytes)) {
        st = ldm_gunzip(name, vocab, vocab_bytes, &unpacked, &vocab_bytes, err);
        vocab = unpacked;
    }
    if (!st)
        st = load(t, vocab, vocab_bytes, merges, merges_bytes, err);
    ldm_free(unpacked);
    if (st)
        ldm_tokenizer_free(t);
    else
        *out = t;
    return st;
}

static ldm_status join(const char *dir, const char *name, char **path, ldm_error *err)
{
    ldm_str text = {0};

    ldm_str_printf(&text, "%s/%s", dir, name);
    *path = text.data;
    if (!text.failed)
        return LDM_OK;
    ldm_str_free(&text);
    *path = NULL;
    return ldm_error_nomem(err, strlen(dir), "a path");
}

ldm_status ldm_vocab_in_dir(ldm_token_kind kind, const char *dir, char **path, ldm_error *err)
{
    const char *const names[] = {kinds[kind].file, kind == LDM_TOKEN_BERT ? NULL : "vocab.json"};
    ldm_status st;

    for (size_t i = 0; i < 2 && names[i]; i++) {
        st = join(dir, names[i], path, err);
        if (st)
            return st;
        if (access(*path, R_OK) == 0 && !ldm_is_dir(*path))
            return LDM_OK;
        ldm_free(*path);
    }
    *path = NULL;
    return LDM_OK;
}

/* merges.txt of the folder in which vocab.json lies. */
static ldm_status read_merges(const char *path, char **merges, size_t *bytes, ldm_error *err)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? ldm_strndup(path, (size_t)(slash - path)) : ldm_strdup(".");
    char *name = NULL;
    ldm_status st = dir ? join(dir, "merges.txt", &name, err) : ldm_error_nomem(err, 1, "a path");

    if (!st)
        st = ldm_file_read(name, LDM_VOCAB_LIMIT, merges, bytes, err);
    if (st && name)
        ldm_error_wrap(err, st, "%s needs merges.txt beside it", path);
    ldm_free(name);
    ldm_free(dir);
    return st;
}

static bool is_json(const char *data, size_t bytes)
{
    size_t at = 0;

    while (at < bytes && (data[at] == ' ' || (data[at] >= '\t' && data[at] <= '\r')))
        at++;
    return at < bytes && data[at] == '{';
}

static ldm_status open_file(ldm_token_kind kind, const char *path, ldm_tokenizer **out,
                            ldm_error *err)
{
    char *vocab = NULL, *merges = NULL;
    size_t vocab_bytes = 0, merges_bytes = 0;
    ldm_status st = ldm_file_read(path, LDM_VOCAB_LIMIT, &vocab, &vocab_bytes, err);

    if (!st && kind != LDM_TOKEN_BERT && is_json(vocab, vocab_bytes))
        st = read_merges(path, &merges, &merges_bytes, err);
    if (!st)
        st = ldm_tokenizer_read(kind, path, vocab, vocab_bytes, merges, merges_bytes, out, err);
    ldm_free(vocab);
    ldm_free(merges);
    return st;
}

ldm_status ldm_tokenizer_open(ldm_token_kind kind, const char *path, ldm_tokenizer **out,
                              ldm_error *err)
{
    char *found = NULL;
    ldm_status st;

    *out = NULL;
    if (!ldm_is_dir(path))
        return open_file(kind, path, out, err);
    st = ldm_vocab_in_dir(kind, path, &found, err);
    if (st)
        return st;
    if (!found)
        return ldm_error_set(err, LDM_ERR_IO, "%s: the folder has no %s", path, kinds[kind].files);
    st = open_file(kind, found, out, err);
    ldm_free(found);
    return st;
}

void ldm_tokenizer_free(ldm_tokenizer *t)
{
    if (!t)
        return;
    ldm_bpe_free(&t->bpe);
    ldm_wordpiece_free(&t->wordpiece);
    ldm_free(t->path);
    ldm_free(t);
}

ldm_token_kind ldm_tokenizer_kind(const ldm_tokenizer *t)
{
    return t->kind;
}

const char *ldm_tokenizer_path(const ldm_tokenizer *t)
{
    return t->path;
}

size_t ldm_tokenizer_size(const ldm_tokenizer *t)
{
    return t->vocab->size;
}

int ldm_tokenizer_repeats(const ldm_tokenizer *t)
{
    return t->wordpiece.repeats;
}

const char *ldm_tokenizer_piece(const ldm_tokenizer *t, int32_t id)
{
    const char *piece = NULL;

    if (id >= 0 && (size_t)id < t->vocab->size)
        piece = t->vocab->pieces[id];
    return piece ? piece : "";
}

/* ---- a text ---------------------------------------------------------------------------------- */

static ldm_status decode(const char *text, size_t bytes, ldm_utext *out, ldm_error *err)
{
    size_t good;

    if (bytes > LDM_TEXT_LIMIT)
        return ldm_error_set(err, LDM_ERR_LIMIT, "the text has %zu bytes; the most is %d", bytes,
                             LDM_TEXT_LIMIT);
    good = ldm_utext_decode(out, (const unsigned char *)text, bytes, false);
    if (good < bytes)
        return ldm_error_at(err, LDM_ERR_USAGE, good, "the text is no UTF-8: byte %zu is 0x%02x",
                            good, (unsigned)(unsigned char)text[good]);
    return out->failed ? ldm_error_nomem(err, bytes, "a text") : LDM_OK;
}

/* Start, at most 75 ids, end, padding. */
static void frame(const ldm_tokenizer *t, const ldm_token_sink *sink, ldm_tokens *tokens)
{
    size_t kept = sink->count < LDM_TOKENS_LENGTH - 2 ? sink->count : LDM_TOKENS_LENGTH - 2, i;

    tokens->used = kept + 2;
    tokens->needed = sink->count + 2;
    tokens->ids[0] = t->start;
    memcpy(tokens->ids + 1, sink->ids, kept * sizeof *sink->ids);
    tokens->ids[kept + 1] = t->end;
    for (i = kept + 2; i < LDM_TOKENS_LENGTH; i++)
        tokens->ids[i] = t->pad;
}

ldm_status ldm_tokenize(const ldm_tokenizer *t, const char *text, size_t bytes,
                        ldm_text_cleaning cleaning, ldm_tokens *out, ldm_error *err)
{
    ldm_token_sink sink = {.count = 0};
    ldm_utext points = {0};
    ldm_status st = decode(text, bytes, &points, err);

    memset(out, 0, sizeof *out);
    if (!st)
        st = t->kind == LDM_TOKEN_BERT ? ldm_wordpiece_encode(&t->wordpiece, &points, &sink, err)
                                       : ldm_bpe_encode(&t->bpe, &points, cleaning, &sink, err);
    ldm_utext_free(&points);
    if (!st)
        frame(t, &sink, out);
    return st;
}

ldm_status ldm_tokenizer_merges(const ldm_tokenizer *t, ldm_str *out, ldm_error *err)
{
    const ldm_bpe *b = &t->bpe;

    ldm_str_puts(out, "#version: 0.2\n");
    for (size_t i = 0; i < b->merge_count; i++) {
        const ldm_word *left = &b->vocab.words.at[b->merges[i].left];
        const ldm_word *right = &b->vocab.words.at[b->merges[i].right];

        ldm_str_append(out, left->text, left->len);
        ldm_str_puts(out, " ");
        ldm_str_append(out, right->text, right->len);
        ldm_str_puts(out, "\n");
    }
    return out->failed ? ldm_error_nomem(err, out->len, "the merges") : LDM_OK;
}
