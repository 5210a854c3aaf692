/* SPDX-License-Identifier: MIT */
/* A set of strings: open addressing over an arena. */
#include "tokenize/words.h"

#include <string.h>

#include "base/alloc.h"

enum { FIRST_SLOTS = 1024 };

/* More than any vocabulary has; a file of LDM_VOCAB_LIMIT bytes cannot ask for more. */
static const uint64_t ARENA_LIMIT = (uint64_t)256 << 20;

ldm_status ldm_words_init(ldm_words *w, ldm_error *err)
{
    memset(w, 0, sizeof *w);
    w->arena = ldm_arena_create(ARENA_LIMIT);
    w->slots = ldm_calloc(FIRST_SLOTS, sizeof *w->slots);
    if (!w->arena || !w->slots)
        return ldm_error_nomem(err, FIRST_SLOTS * sizeof *w->slots, "a vocabulary");
    w->slot_count = FIRST_SLOTS;
    return LDM_OK;
}

void ldm_words_free(ldm_words *w)
{
    ldm_arena_free(w->arena);
    ldm_free(w->at);
    ldm_free(w->slots);
    memset(w, 0, sizeof *w);
}

uint32_t ldm_hash(const char *text, size_t len)
{
    uint32_t h = LDM_HASH_START;

    for (size_t i = 0; i < len; i++)
        h = ldm_hash_byte(h, (unsigned char)text[i]);
    return h;
}

/* The slot of the string, or the free one where it belongs. */
static size_t find_slot(const ldm_words *w, const char *text, size_t len, uint32_t hash)
{
    size_t slot = hash & (w->slot_count - 1);

    while (w->slots[slot]) {
        const ldm_word *word = &w->at[w->slots[slot] - 1];

        if (word->hash == hash && word->len == len && !memcmp(word->text, text, len))
            break;
        slot = (slot + 1) & (w->slot_count - 1);
    }
    return slot;
}

uint32_t ldm_words_find_hashed(const ldm_words *w, const char *text, size_t len, uint32_t hash)
{
    uint32_t there = w->slots[find_slot(w, text, len, hash)];

    return there ? there - 1 : LDM_NO_WORD;
}

uint32_t ldm_words_find(const ldm_words *w, const char *text, size_t len)
{
    return ldm_words_find_hashed(w, text, len, ldm_hash(text, len));
}

static bool more_slots(ldm_words *w)
{
    size_t count = w->slot_count * 2, slot;
    uint32_t *slots = ldm_calloc(count, sizeof *slots);

    if (!slots)
        return false;
    for (size_t i = 0; i < w->count; i++) {
        slot = w->at[i].hash & (count - 1);
        while (slots[slot])
            slot = (slot + 1) & (count - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    ldm_free(w->slots);
    w->slots = slots;
    w->slot_count = count;
    return true;
}

ldm_status ldm_words_add(ldm_words *w, const char *text, size_t len, uint32_t *number,
                         ldm_error *err)
{
    uint32_t hash = ldm_hash(text, len);
    ldm_word *word;

    *number = ldm_words_find_hashed(w, text, len, hash);
    if (*number != LDM_NO_WORD)
        return LDM_OK;
    if (len > UINT32_MAX || w->count >= UINT32_MAX / 4 ||
        (2 * (w->count + 1) > w->slot_count && !more_slots(w)) ||
        !ldm_grow(&w->at, &w->cap, w->count + 1, sizeof *w->at))
        return ldm_error_nomem(err, len, "a vocabulary");
    word = &w->at[w->count];
    word->text = ldm_arena_strndup(w->arena, text, len);
    if (!word->text)
        return ldm_error_nomem(err, len, "a vocabulary");
    word->len = (uint32_t)len;
    word->hash = hash;
    word->id = -1;
    w->slots[find_slot(w, text, len, hash)] = (uint32_t)w->count + 1;
    *number = (uint32_t)w->count++;
    return LDM_OK;
}
