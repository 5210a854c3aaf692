/* SPDX-License-Identifier: MIT */
/* CLIP's byte pair encoding: cleaning, splitting into words, merging. */
#include "tokenize/bpe.h"

#include <string.h>

#include "base/alloc.h"
#include "tokenize/clean.h"

/* ---- merging one word --------------------------------------------------------------------------
 */

/* A word as a list of symbols. Neighbours that can be merged wait in a heap by (rank, position);
 * one whose symbols have changed meanwhile is passed over. So a word of n bytes takes n log n
 * steps, where the originals search the whole word for each merge. */
typedef struct node {
    uint32_t symbol;        /* LDM_NO_WORD: merged into another */
    uint32_t before, after; /* LDM_NO_WORD: none */
} node;

typedef struct work {
    const ldm_bpe *bpe;
    node *nodes;
    size_t count, node_cap;
    uint64_t *heap; /* rank << 32 | index of the left node */
    size_t heap_len, heap_cap;
    uint32_t *merged; /* nodes of the merges under way */
    size_t merged_len, merged_cap;
} work;

static void work_free(work *w)
{
    ldm_free(w->nodes);
    ldm_free(w->heap);
    ldm_free(w->merged);
}

static bool heap_push(work *w, uint64_t key)
{
    size_t i, up;

    if (!ldm_grow(&w->heap, &w->heap_cap, w->heap_len + 1, sizeof *w->heap))
        return false;
    for (i = w->heap_len++; i > 0; i = up) {
        up = (i - 1) / 2;
        if (w->heap[up] <= key)
            break;
        w->heap[i] = w->heap[up];
    }
    w->heap[i] = key;
    return true;
}

static uint64_t heap_pop(work *w)
{
    uint64_t top = w->heap[0], key = w->heap[--w->heap_len];
    size_t i = 0, down;

    for (; 2 * i + 1 < w->heap_len; i = down) {
        down = 2 * i + 1;
        if (down + 1 < w->heap_len && w->heap[down + 1] < w->heap[down])
            down++;
        if (key <= w->heap[down])
            break;
        w->heap[i] = w->heap[down];
    }
    w->heap[i] = key;
    return top;
}

/* Puts the pair of a node and the one after it into the heap, if there is a merge for it. */
static bool offer(work *w, uint32_t left)
{
    const node *n = &w->nodes[left];
    uint32_t rank;

    if (n->after == LDM_NO_WORD)
        return true;
    rank = ldm_bpe_rank(w->bpe, n->symbol, w->nodes[n->after].symbol);
    return rank == LDM_NO_WORD || heap_push(w, (uint64_t)rank << 32 | left);
}

static bool merge_at(work *w, uint32_t left, const ldm_merge *m)
{
    node *n = &w->nodes[left], *gone;

    if (n->symbol != m->left || n->after == LDM_NO_WORD || w->nodes[n->after].symbol != m->right)
        return true;
    gone = &w->nodes[n->after];
    n->symbol = m->made;
    n->after = gone->after;
    gone->symbol = LDM_NO_WORD;
    if (n->after != LDM_NO_WORD)
        w->nodes[n->after].before = left;
    if (!ldm_grow(&w->merged, &w->merged_cap, w->merged_len + 1, sizeof *w->merged))
        return false;
    w->merged[w->merged_len++] = left;
    return true;
}

/* The originals merge all pairs of the smallest rank from left to right before they look for the
 * next rank, which may be a smaller one: what the merges bring about waits until they are through.
 */
static bool merge_word(work *w)
{
    uint32_t rank, i;

    for (i = 0; i < w->count; i++) {
        if (!offer(w, i))
            return false;
    }
    while (w->heap_len > 0) {
        rank = (uint32_t)(w->heap[0] >> 32);
        w->merged_len = 0;
        while (w->heap_len > 0 && (uint32_t)(w->heap[0] >> 32) == rank) {
            if (!merge_at(w, (uint32_t)heap_pop(w), &w->bpe->merges[rank]))
                return false;
        }
        for (i = 0; i < w->merged_len; i++) {
            const node *n = &w->nodes[w->merged[i]];

            if (n->symbol == LDM_NO_WORD)
                continue;
            if ((n->before != LDM_NO_WORD && !offer(w, n->before)) || !offer(w, w->merged[i]))
                return false;
        }
    }
    return true;
}

static bool add_byte(work *w, uint32_t symbol)
{
    node *n;

    if (!ldm_grow(&w->nodes, &w->node_cap, w->count + 1, sizeof *w->nodes))
        return false;
    n = &w->nodes[w->count];
    n->symbol = symbol;
    n->before = w->count ? (uint32_t)w->count - 1 : LDM_NO_WORD;
    n->after = LDM_NO_WORD;
    if (w->count)
        w->nodes[w->count - 1].after = (uint32_t)w->count;
    w->count++;
    return true;
}

/* A symbol that vocab.json lacks is the end token, as in transformers. */
static int32_t id_of(const ldm_bpe *b, uint32_t symbol)
{
    int32_t id = b->vocab.words.at[symbol].id;

    return id >= 0 ? id : b->end_id;
}

static bool encode_word(work *w, const uint32_t *at, size_t len, ldm_token_sink *out)
{
    unsigned char bytes[4];
    size_t i, k, n;

    w->count = 0;
    for (i = 0; i < len; i++) {
        n = ldm_utf8_put(bytes, at[i]);
        for (k = 0; k < n; k++) {
            bool last = i + 1 == len && k + 1 == n;

            if (!add_byte(w, last ? w->bpe->last_byte[bytes[k]] : w->bpe->byte[bytes[k]]))
                return false;
        }
    }
    if (!merge_word(w))
        return false;
    for (i = 0; i < w->count; i++) {
        if (w->nodes[i].symbol != LDM_NO_WORD)
            ldm_token_put(out, id_of(w->bpe, w->nodes[i].symbol));
    }
    return true;
}

/* ---- splitting a text into words ---------------------------------------------------------------
 */

/* The pattern's flag IGNORECASE, on text in small letters: U+017F, the long s, is an s as well. */
static size_t match_word(const ldm_utext *t, size_t at, const char *word)
{
    size_t i;

    for (i = 0; word[i]; i++) {
        if (at + i >= t->len)
            return 0;
        if (t->at[at + i] != (unsigned char)word[i] && !(word[i] == 's' && t->at[at + i] == 0x17f))
            return 0;
    }
    return i;
}

static size_t match_contraction(const ldm_utext *t, size_t at)
{
    static const char *const words[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    size_t len = 0;

    if (t->at[at] != '\'')
        return 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0] && len == 0; i++)
        len = match_word(t, at, words[i]);
    return len;
}

/* What belongs to no word: white space, and U+0345. That mark is no letter, but the small form of
 * one; a pattern that ignores case then takes it neither for a letter nor for anything else. */
static bool is_between(uint32_t c)
{
    return c == 0x345 || ldm_is_white(c);
}

static bool is_other(uint32_t c)
{
    return !is_between(c) && !ldm_is_letter(c) && !ldm_is_number(c);
}

/* The length of the word at `at`, which is_between is not true of: letters, one number, or other
 * characters. */
static size_t match_run(const ldm_utext *t, size_t at)
{
    size_t i = at;

    if (ldm_is_number(t->at[at]))
        return 1;
    while (i < t->len && ldm_is_letter(t->at[i]))
        i++;
    if (i > at)
        return i - at;
    while (i < t->len && is_other(t->at[i]))
        i++;
    return i - at;
}

/* A special token spelled in the text; *id is its own where the spelling is exact. */
static size_t match_special(const ldm_bpe *b, const ldm_utext *t, size_t at, int32_t *id)
{
    const char *word = b->start;
    size_t len, i;

    *id = b->start_id;
    len = match_word(t, at, word);
    if (len == 0) {
        word = b->end;
        *id = b->end_id;
        len = match_word(t, at, word);
    }
    for (i = 0; i < len; i++) {
        if (t->at[at + i] != (unsigned char)word[i])
            *id = -1;
    }
    return len;
}

/* A cleaned text in small letters. */
static bool encode_words(work *w, const ldm_utext *t, ldm_token_sink *out)
{
    size_t at = 0, len;
    int32_t id = -1;

    while (at < t->len) {
        if (is_between(t->at[at])) {
            at++;
            continue;
        }
        len = t->at[at] == '<' ? match_special(w->bpe, t, at, &id) : 0;
        if (len > 0 && id >= 0) {
            ldm_token_put(out, id);
            at += len;
            continue;
        }
        if (len == 0)
            len = match_contraction(t, at);
        if (len == 0)
            len = match_run(t, at);
        if (!encode_word(w, t->at + at, len, out))
            return false;
        at += len;
    }
    return true;
}

/* ---- a whole text ------------------------------------------------------------------------------
 */

static void clean(const ldm_bpe *b, const ldm_utext *in, ldm_text_cleaning cleaning, ldm_utext *out)
{
    ldm_utext a = {0}, c = {0};

    if (b->openclip) {
        ldm_fix_text(in, &c);
        ldm_unescape_html(&c, &a);
        c.len = 0;
        ldm_unescape_html(&a, &c);
    } else if (cleaning == LDM_TEXT_NO_FTFY) {
        ldm_clean_bert(in->at, in->len, &c);
    } else {
        ldm_fix_text(in, &c);
    }
    a.len = 0;
    ldm_clean_white(&c, &a);
    ldm_utext_lower(&a, out);
    out->failed |= a.failed || c.failed;
    ldm_utext_free(&a);
    ldm_utext_free(&c);
}

static bool encode_part(work *w, const ldm_utext *t, size_t from, size_t to,
                        ldm_text_cleaning cleaning, ldm_token_sink *out)
{
    ldm_utext in = {0}, cleaned = {0};
    bool fine;

    ldm_utext_append_part(&in, t, from, to);
    clean(w->bpe, &in, cleaning, &cleaned);
    fine = !in.failed && !cleaned.failed && encode_words(w, &cleaned, out);
    ldm_utext_free(&in);
    ldm_utext_free(&cleaned);
    return fine;
}

/* transformers looks for its special tokens first, as they are spelled, and cleans what stands
 * between them piece by piece; open_clip cleans all. */
static bool encode_parts(work *w, const ldm_utext *t, ldm_text_cleaning cleaning,
                         ldm_token_sink *out)
{
    size_t from = 0, at = 0, len;
    int32_t id;

    while (at < t->len) {
        len = !w->bpe->openclip && t->at[at] == '<' ? match_special(w->bpe, t, at, &id) : 0;
        if (len == 0 || id < 0) {
            at++;
            continue;
        }
        if (!encode_part(w, t, from, at, cleaning, out))
            return false;
        ldm_token_put(out, id);
        at += len;
        from = at;
    }
    return encode_part(w, t, from, at, cleaning, out);
}

ldm_status ldm_bpe_encode(const ldm_bpe *b, const ldm_utext *text, ldm_text_cleaning cleaning,
                          ldm_token_sink *out, ldm_error *err)
{
    work w = {.bpe = b};
    bool fine = encode_parts(&w, text, cleaning, out);

    work_free(&w);
    return fine ? LDM_OK : ldm_error_nomem(err, text->len, "a text");
}
