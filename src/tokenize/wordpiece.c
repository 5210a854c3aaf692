/* SPDX-License-Identifier: MIT */
/* BERT's WordPiece: vocabulary, cleaning, pieces. */
#include "tokenize/wordpiece.h"

#include <string.h>

#include "base/alloc.h"
#include "tokenize/clean.h"

enum { UNK, SEP, PAD, CLS, MASK };
enum { LONGEST_WORD = 100 }; /* characters; a longer word is unknown */

static const char *const special_names[LDM_BERT_SPECIALS] = {"[UNK]", "[SEP]", "[PAD]", "[CLS]",
                                                             "[MASK]"};

void ldm_wordpiece_free(ldm_wordpiece *w)
{
    ldm_vocab_free(&w->vocab);
}

ldm_status ldm_wordpiece_load(ldm_wordpiece *w, const char *name, const char *text, size_t bytes,
                              ldm_error *err)
{
    ldm_status st = ldm_vocab_init(&w->vocab, err);
    ldm_lines l;

    if (!st)
        st = ldm_lines_init(&l, name, text, bytes, err);
    while (!st && ldm_lines_next(&l)) {
        if (memchr(l.line, '\0', l.len))
            return ldm_lines_error(&l, err, "a NUL; expected a list of words, one a line");
        if (!l.len) /* no word; at the file's end editors leave such lines */
            continue;
        if (!w->repeats && ldm_words_find(&w->vocab.words, l.line, l.len) != LDM_NO_WORD)
            w->repeats = l.number;
        st = ldm_vocab_give(&w->vocab, l.line, l.len, l.number - 1, err);
        if (st)
            return ldm_error_wrap(err, st, "%s, line %d", name, l.number);
    }
    for (int i = 0; i < LDM_BERT_SPECIALS && !st; i++) {
        w->special[i] = ldm_vocab_id(&w->vocab, special_names[i]);
        if (w->special[i] < 0)
            st = ldm_error_set(err, LDM_ERR_FORMAT,
                               "%s: has no %s; expected BERT's list of words, one a line", name,
                               special_names[i]);
    }
    w->start_id = w->special[CLS];
    w->end_id = w->special[SEP];
    w->pad_id = w->special[PAD];
    return st;
}

/* ---- one word -------------------------------------------------------------------------------- */

/* The text of a word in UTF-8, and where each of its characters begins in it. */
typedef struct spelled {
    char text[4 * LONGEST_WORD];
    size_t start[LONGEST_WORD + 1];
    size_t count; /* of characters */
} spelled;

/* The longest piece of s that begins with character `from`: its id, and the character after it. */
static int32_t longest_piece(const ldm_wordpiece *w, const spelled *s, size_t from, size_t *end)
{
    uint32_t hash[LONGEST_WORD + 1], h = LDM_HASH_START, number;
    char text[2 + 4 * LONGEST_WORD];
    size_t prefix = from > 0 ? 2 : 0, len, i;

    memcpy(text, "##", prefix);
    memcpy(text + prefix, s->text + s->start[from], s->start[s->count] - s->start[from]);
    for (i = 0; i < prefix; i++)
        h = ldm_hash_byte(h, '#');
    for (*end = from; *end < s->count; ++*end) {
        for (i = s->start[*end]; i < s->start[*end + 1]; i++)
            h = ldm_hash_byte(h, (unsigned char)s->text[i]);
        hash[*end + 1] = h;
    }
    for (; *end > from; --*end) {
        len = prefix + s->start[*end] - s->start[from];
        number = ldm_words_find_hashed(&w->vocab.words, text, len, hash[*end]);
        if (number != LDM_NO_WORD)
            return w->vocab.words.at[number].id;
    }
    return -1;
}

/* A word with a part that no piece fits is unknown as a whole. */
static void encode_word(const ldm_wordpiece *w, const uint32_t *at, size_t len, ldm_token_sink *out)
{
    int32_t ids[LONGEST_WORD];
    size_t count = 0, from, end;
    spelled s;

    if (len > LONGEST_WORD) {
        ldm_token_put(out, w->special[UNK]);
        return;
    }
    s.count = len;
    s.start[0] = 0;
    for (from = 0; from < len; from++)
        s.start[from + 1] =
            s.start[from] + ldm_utf8_put((unsigned char *)s.text + s.start[from], at[from]);
    for (from = 0; from < len; from = end) {
        ids[count] = longest_piece(w, &s, from, &end);
        if (ids[count++] < 0) {
            ldm_token_put(out, w->special[UNK]);
            return;
        }
    }
    for (from = 0; from < count; from++)
        ldm_token_put(out, ids[from]);
}

/* ---- a text ---------------------------------------------------------------------------------- */

static bool is_punctuation(uint32_t c)
{
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
           (c >= 123 && c <= 126) || ldm_is_punctuation(c);
}

/* Words end at white space, and each punctuation mark is a word. */
static void encode_words(const ldm_wordpiece *w, const ldm_utext *t, ldm_token_sink *out)
{
    size_t from = 0, at;

    for (at = 0; at <= t->len; at++) {
        bool space = at == t->len || ldm_is_space(t->at[at]);

        if (!space && !is_punctuation(t->at[at]))
            continue;
        if (at > from)
            encode_word(w, t->at + from, at - from, out);
        if (!space)
            encode_word(w, t->at + at, 1, out);
        from = at + 1;
    }
}

static bool encode_part(const ldm_wordpiece *w, const ldm_utext *t, size_t from, size_t to,
                        ldm_token_sink *out)
{
    ldm_utext a = {0}, b = {0};
    size_t i;
    bool fine;

    for (i = from; i < to; i++)
        ldm_utext_lower_one(&a, t->at[i]);
    ldm_clean_bert(a.at, a.len, &b);
    a.len = 0;
    ldm_utext_nfd(b.at, b.len, &a);
    b.len = 0;
    for (i = 0; i < a.len; i++) {
        if (!ldm_is_mark(a.at[i]))
            ldm_utext_put(&b, a.at[i]);
    }
    fine = !a.failed && !b.failed;
    if (fine)
        encode_words(w, &b, out);
    ldm_utext_free(&a);
    ldm_utext_free(&b);
    return fine;
}

/* The special token that begins at t->at[at], or -1. */
static int find_special(const ldm_utext *t, size_t at, size_t *len)
{
    for (int i = 0; i < LDM_BERT_SPECIALS; i++) {
        const char *name = special_names[i];

        *len = 0;
        while (name[*len] && at + *len < t->len && t->at[at + *len] == (unsigned char)name[*len])
            ++*len;
        if (!name[*len])
            return i;
    }
    return -1;
}

/* Special tokens first, as they are spelled; what stands between them is cleaned piece by piece. */
ldm_status ldm_wordpiece_encode(const ldm_wordpiece *w, const ldm_utext *text, ldm_token_sink *out,
                                ldm_error *err)
{
    size_t from = 0, at = 0, len = 0;
    bool fine = true;
    int special;

    while (fine && at < text->len) {
        special = text->at[at] == '[' ? find_special(text, at, &len) : -1;
        if (special < 0) {
            at++;
            continue;
        }
        fine = encode_part(w, text, from, at, out);
        ldm_token_put(out, w->special[special]);
        at += len;
        from = at;
    }
    fine = fine && encode_part(w, text, from, at, out);
    return fine ? LDM_OK : ldm_error_nomem(err, text->len, "a text");
}
