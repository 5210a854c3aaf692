/* SPDX-License-Identifier: MIT */
/* CLIP's vocabulary files: the list of merges, from which open_clip makes its vocabulary, and
 * transformers' vocab.json with merges.txt. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "tokenize/bpe.h"

enum {
    MOST_MERGES =
        49152 - 256 - 2, /* both originals read so many and no more; the file has others */
    LONGEST_SYMBOL = 1024
};

static const char END_OF_WORD[] = "</w>";

void ldm_bpe_free(ldm_bpe *b)
{
    ldm_vocab_free(&b->vocab);
    ldm_free(b->merges);
    ldm_free(b->slots);
    memset(b, 0, sizeof *b);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Bytes that show are written as the character of Latin-1 with their number. */
static bool shows(int byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/* The 256 bytes in the order of their ids: those that show, then the others, which are written as
 * U+0100, U+0101 and so on. */
static void byte_alphabet(uint8_t order[256], uint16_t letter[256])
{
    size_t n = 0;
    uint16_t next = 0x100;
    int byte;

    for (byte = 0; byte < 256; byte++) {
        if (shows(byte)) {
            letter[n] = (uint16_t)byte;
            order[n++] = (uint8_t)byte;
        }
    }
    for (byte = 0; byte < 256; byte++) {
        if (!shows(byte)) {
            letter[n] = next++;
            order[n++] = (uint8_t)byte;
        }
    }
}

static ldm_status add_bytes(ldm_bpe *b, ldm_error *err)
{
    uint8_t order[256];
    uint16_t letter[256];
    char text[16];
    ldm_status st = LDM_OK;

    byte_alphabet(order, letter);
    for (int i = 0; i < 256 && !st; i++) {
        size_t len = ldm_utf8_put((unsigned char *)text, letter[i]);

        st = ldm_words_add(&b->vocab.words, text, len, &b->byte[order[i]], err);
        memcpy(text + len, END_OF_WORD, sizeof END_OF_WORD - 1);
        len += sizeof END_OF_WORD - 1;
        if (!st)
            st = ldm_words_add(&b->vocab.words, text, len, &b->last_byte[order[i]], err);
    }
    return st;
}

/* ---- merges ---------------------------------------------------------------------------------- */

static size_t pair_slot(const ldm_bpe *b, uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    size_t slot = (size_t)(h >> 32) & (b->slot_count - 1);

    while (b->slots[slot]) {
        const ldm_merge *m = &b->merges[b->slots[slot] - 1];

        if (m->left == left && m->right == right)
            break;
        slot = (slot + 1) & (b->slot_count - 1);
    }
    return slot;
}

uint32_t ldm_bpe_rank(const ldm_bpe *b, uint32_t left, uint32_t right)
{
    return b->slots[pair_slot(b, left, right)] - 1; /* 0 - 1 is LDM_NO_WORD */
}

/* "left right" as a line of the list. */
static ldm_status add_merge(ldm_bpe *b, const ldm_lines *l, ldm_error *err)
{
    const char *blank = memchr(l->line, ' ', l->len);
    char made[LONGEST_SYMBOL];
    size_t left, right;
    ldm_merge m;
    ldm_status st;

    if (!blank || blank == l->line || blank + 1 == l->line + l->len ||
        memchr(blank + 1, ' ', (size_t)(l->line + l->len - blank - 1)) ||
        memchr(l->line, '\0', l->len))
        return ldm_lines_error(l, err, "expected two symbols with one space between them");
    if (l->len > sizeof made)
        return ldm_lines_error(l, err, "a symbol of more than 1024 bytes");
    left = (size_t)(blank - l->line);
    right = l->len - left - 1;
    memcpy(made, l->line, left);
    memcpy(made + left, blank + 1, right);
    st = ldm_words_add(&b->vocab.words, l->line, left, &m.left, err);
    if (!st)
        st = ldm_words_add(&b->vocab.words, blank + 1, right, &m.right, err);
    if (!st)
        st = ldm_words_add(&b->vocab.words, made, left + right, &m.made, err);
    if (st)
        return st;
    b->merges[b->merge_count++] = m;
    /* A pair that comes again has its last rank. */
    b->slots[pair_slot(b, m.left, m.right)] = (uint32_t)b->merge_count;
    return LDM_OK;
}

/* The first line is a version, whatever it says: both originals skip it. */
static ldm_status read_merges(ldm_bpe *b, const char *name, const char *text, size_t bytes,
                              ldm_error *err)
{
    size_t most = bytes / 4 + 1; /* "a b\n" */
    ldm_lines l;
    ldm_status st = ldm_lines_init(&l, name, text, bytes, err);

    if (st)
        return st;
    most = most < MOST_MERGES ? most : MOST_MERGES;
    for (b->slot_count = 64; b->slot_count < 2 * most; b->slot_count *= 2)
        ;
    b->merges = ldm_reallocarray(NULL, most, sizeof *b->merges);
    b->slots = ldm_calloc(b->slot_count, sizeof *b->slots);
    if (!b->merges || !b->slots)
        return ldm_error_nomem(err, most * sizeof *b->merges, "a vocabulary");
    (void)ldm_lines_next(&l);
    while (!st && b->merge_count < most && ldm_lines_next(&l)) {
        if (l.len == 0 && l.at == l.end)
            break;
        st = add_merge(b, &l, err);
    }
    if (!st && b->merge_count == 0)
        st = ldm_error_set(
            err, LDM_ERR_FORMAT,
            "%s: no merges; expected a line about the version, then two symbols a line", name);
    return st;
}

/* ---- ids ------------------------------------------------------------------------------------- */

/* open_clip's numbers: bytes, bytes that end a word, merges, the two special tokens. */
static ldm_status number_by_merges(ldm_bpe *b, ldm_error *err)
{
    uint8_t order[256];
    uint16_t letter[256];
    ldm_status st = LDM_OK;
    int64_t id = 0;
    size_t i;

    byte_alphabet(order, letter);
#define GIVE(number)                                                                               \
    do {                                                                                           \
        const ldm_word *w = &b->vocab.words.at[number];                                            \
        st = ldm_vocab_give(&b->vocab, w->text, w->len, id++, err);                                \
    } while (0)
    for (i = 0; i < 256 && !st; i++)
        GIVE(b->byte[order[i]]);
    for (i = 0; i < 256 && !st; i++)
        GIVE(b->last_byte[order[i]]);
    for (i = 0; i < b->merge_count && !st; i++)
        GIVE(b->merges[i].made);
#undef GIVE
    if (!st)
        st = ldm_vocab_give(&b->vocab, b->start, strlen(b->start), id++, err);
    if (!st)
        st = ldm_vocab_give(&b->vocab, b->end, strlen(b->end), id, err);
    return st;
}

static ldm_status number_by_json(ldm_bpe *b, const char *name, const char *text, size_t bytes,
                                 ldm_error *err)
{
    json_error_t where;
    json_t *root = json_loadb(text, bytes, 0, &where), *value;
    const char *key;
    ldm_status st = LDM_OK;

    if (!root)
        return ldm_error_at_line(err, LDM_ERR_FORMAT, where.line, where.column, "%s, line %d: %s",
                                 name, where.line, where.text);
    if (!json_is_object(root))
        st = ldm_error_set(err, LDM_ERR_FORMAT, "%s: expected one JSON object of words and ids",
                           name);
    else {
        json_object_foreach(root, key, value)
        {
            if (!json_is_integer(value))
                st = ldm_error_set(err, LDM_ERR_FORMAT,
                                   "%s: \"%.100s\" has no whole number as its id", name, key);
            else if ((st = ldm_vocab_give(&b->vocab, key, strlen(key), json_integer_value(value),
                                          err)))
                ldm_error_wrap(err, st, "%s: \"%.100s\"", name, key);
            if (st)
                break;
        }
    }
    json_decref(root);
    return st;
}

/* The special token's id under either flavour's name: diffusers keeps version 2's vocabulary under
 * the names of version 1. */
static int32_t special_id(const ldm_bpe *b, const char *own, const char *other)
{
    int32_t id = ldm_vocab_id(&b->vocab, own);

    return id >= 0 ? id : ldm_vocab_id(&b->vocab, other);
}

static ldm_status find_special(ldm_bpe *b, const char *name, ldm_error *err)
{
    b->start_id = special_id(b, b->start, b->openclip ? "<|startoftext|>" : "<start_of_text>");
    b->end_id = special_id(b, b->end, b->openclip ? "<|endoftext|>" : "<end_of_text>");
    if (b->start_id < 0 || b->end_id < 0)
        return ldm_error_set(err, LDM_ERR_FORMAT, "%s: has no %s", name,
                             b->start_id < 0 ? b->start : b->end);
    return LDM_OK;
}

ldm_status ldm_bpe_load(ldm_bpe *b, ldm_token_kind kind, const char *name, const char *vocab,
                        size_t vocab_bytes, const char *merges, size_t merges_bytes, ldm_error *err)
{
    ldm_status st = ldm_vocab_init(&b->vocab, err);

    b->openclip = kind == LDM_TOKEN_OPENCLIP;
    b->start = b->openclip ? "<start_of_text>" : "<|startoftext|>";
    b->end = b->openclip ? "<end_of_text>" : "<|endoftext|>";
    if (!st)
        st = add_bytes(b, err);
    if (!st && merges)
        st = read_merges(b, "merges.txt", merges, merges_bytes, err);
    else if (!st)
        st = read_merges(b, name, vocab, vocab_bytes, err);
    if (!st)
        st = merges ? number_by_json(b, name, vocab, vocab_bytes, err) : number_by_merges(b, err);
    /* Every word of the vocabulary is a byte, a byte that ends a word, a merge, or special. */
    if (!st && merges && b->merge_count + 2 * 256 + 2 < b->vocab.size)
        st = ldm_error_set(err, LDM_ERR_FORMAT,
                           "merges.txt has %zu merges, and %s %zu words: one of the two is cut "
                           "off, or of another tokenizer",
                           b->merge_count, name, b->vocab.size);
    return st ? st : find_special(b, name, err);
}
