/* SPDX-License-Identifier: MIT */
/* A set of strings, each with a number and with the id that a vocabulary gives it. Private to the
 * room. Strings are copied into an arena and end with NUL. */
#ifndef LDM_TOKENIZE_WORDS_H
#define LDM_TOKENIZE_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

#define LDM_NO_WORD UINT32_MAX

typedef struct ldm_word {
    const char *text;
    uint32_t len;
    uint32_t hash;
    int32_t id; /* -1: none */
} ldm_word;

typedef struct ldm_words {
    ldm_arena *arena;
    ldm_word *at;
    size_t count, cap;
    uint32_t *slots; /* number + 1, or 0: free; slot_count is a power of two, at most half full */
    size_t slot_count;
} ldm_words;

ldm_status ldm_words_init(ldm_words *w, ldm_error *err); /* zeroed struct */
void ldm_words_free(ldm_words *w);

/* FNV-1a, to be continued byte by byte: h = ldm_hash_byte(h, b), from LDM_HASH_START on. */
#define LDM_HASH_START 2166136261u

static inline uint32_t ldm_hash_byte(uint32_t h, unsigned char b)
{
    return (h ^ b) * 16777619u;
}

uint32_t ldm_hash(const char *text, size_t len);

/* The string's number, or LDM_NO_WORD. */
uint32_t ldm_words_find(const ldm_words *w, const char *text, size_t len);
uint32_t ldm_words_find_hashed(const ldm_words *w, const char *text, size_t len, uint32_t hash);

/* The string's number; added, with id -1, if it was not there. */
ldm_status ldm_words_add(ldm_words *w, const char *text, size_t len, uint32_t *number,
                         ldm_error *err);

#endif
