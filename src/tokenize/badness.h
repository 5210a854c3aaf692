/* SPDX-License-Identifier: MIT */
/* Which characters occur in damaged text, and whether a text looks damaged: ftfy 6.3.1's heuristic
 * (by Robyn Speer, Apache-2.0; its rules and classes, not its code). Private to the room. */
#ifndef LDM_TOKENIZE_BADNESS_H
#define LDM_TOKENIZE_BADNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Classes of characters, one bit each. The first fourteen are ftfy's categories of characters that
 * result from reading UTF-8 in another encoding; the next five say which bytes of UTF-8 they were;
 * the rest are found by rule, not by table. */
enum {
    LDM_MOJI_COMMON = 1 << 0,
    LDM_MOJI_C1 = 1 << 1,
    LDM_MOJI_BAD = 1 << 2,
    LDM_MOJI_LAW = 1 << 3,
    LDM_MOJI_CURRENCY = 1 << 4,
    LDM_MOJI_START_PUNCTUATION = 1 << 5,
    LDM_MOJI_END_PUNCTUATION = 1 << 6,
    LDM_MOJI_NUMERIC = 1 << 7,
    LDM_MOJI_KAOMOJI = 1 << 8,
    LDM_MOJI_UPPER_ACCENTED = 1 << 9,
    LDM_MOJI_LOWER_ACCENTED = 1 << 10,
    LDM_MOJI_UPPER_COMMON = 1 << 11,
    LDM_MOJI_LOWER_COMMON = 1 << 12,
    LDM_MOJI_BOX = 1 << 13,

    LDM_MOJI_FIRST_OF_2 = 1 << 14,
    LDM_MOJI_FIRST_OF_3 = 1 << 15,
    LDM_MOJI_FIRST_OF_4 = 1 << 16,
    LDM_MOJI_CONTINUATION = 1 << 17, /* or a space, for a no-break space */
    LDM_MOJI_CONTINUATION_STRICT = 1 << 18,

    LDM_MOJI_ASCII_LOWER = 1 << 19, /* a-z */
    LDM_MOJI_ASCII_UPPER = 1 << 20, /* A-Z */
    LDM_MOJI_OTHER = 1 << 21,       /* not in A-Za-z */
    LDM_MOJI_SPACE = 1 << 22,       /* Python's \s */
    LDM_MOJI_WORD = 1 << 23,        /* Python's \w */
    LDM_MOJI_IN_LINE = 1 << 24      /* not a newline */
};

/* The classes of the tables alone (the first nineteen), 0 for ASCII but the space. */
uint32_t ldm_moji_class(uint32_t c);

/* ftfy's is_bad: somewhere in at[0..len) stand characters side by side that hardly do so on
 * purpose. */
bool ldm_is_bad(const uint32_t *at, size_t len);

#endif
