/* SPDX-License-Identifier: MIT */
/* Text as an array of code points, and what Unicode says of a code point. Private to the room. The
 * questions are asked in the words of the original code, which is Python: str methods, the modules
 * re (Python's own) and regex. Data: libutf8proc (Unicode 15.0 in Debian 12). */
#ifndef LDM_TOKENIZE_UTEXT_H
#define LDM_TOKENIZE_UTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/* Grows; after an allocation failure appends do nothing and `failed` stays set. Zeroed: empty. */
typedef struct ldm_utext {
    uint32_t *at;
    size_t len, cap;
    bool failed;
} ldm_utext;

void ldm_utext_free(ldm_utext *t); /* frees and zeroes */
void ldm_utext_put(ldm_utext *t, uint32_t c);
void ldm_utext_append(ldm_utext *t, const uint32_t *at, size_t len);
void ldm_utext_append_part(ldm_utext *t, const ldm_utext *of, size_t from, size_t to);

/* Appends `bytes` bytes of strict UTF-8. With `variants` also Java's two bytes for NUL and CESU-8's
 * six bytes for a character above U+FFFF, as ftfy's "utf-8-variants". Returns the number of bytes
 * read: less than `bytes` is where the text stops being UTF-8. */
size_t ldm_utext_decode(ldm_utext *t, const unsigned char *text, size_t bytes, bool variants);

/* The bytes of strict UTF-8 with which the text begins: `bytes` if it is nothing else. */
size_t ldm_utf8_good(const unsigned char *text, size_t bytes);

/* One code point as UTF-8; the number of bytes, 1 to 4. */
size_t ldm_utf8_put(unsigned char out[4], uint32_t c);
bool ldm_utext_same(const ldm_utext *a, const ldm_utext *b);
void ldm_utext_swap(ldm_utext *a, ldm_utext *b);

bool ldm_is_white(uint32_t c);       /* regex: \s, the property White_Space */
bool ldm_is_space(uint32_t c);       /* str.isspace(), which adds U+001C to U+001F */
bool ldm_is_letter(uint32_t c);      /* regex: \p{L} */
bool ldm_is_number(uint32_t c);      /* regex: \p{N} */
bool ldm_is_decimal(uint32_t c);     /* re: \d */
bool ldm_is_word(uint32_t c);        /* re: \w */
bool ldm_is_control(uint32_t c);     /* categories C*, unassigned and private ones among them */
bool ldm_is_mark(uint32_t c);        /* category Mn */
bool ldm_is_separator(uint32_t c);   /* category Zs */
bool ldm_is_punctuation(uint32_t c); /* categories P* */

/* str.lower() of one character out of context, appended: only U+0130 gives two. */
void ldm_utext_lower_one(ldm_utext *t, uint32_t c);

/* str.lower() of `in` appended to `out`: a capital sigma at the end of a word becomes U+03C2. */
void ldm_utext_lower(const ldm_utext *in, ldm_utext *out);

/* Normalisation forms C and D of in[0..len) appended to `out`. */
void ldm_utext_nfc(const uint32_t *in, size_t len, ldm_utext *out);
void ldm_utext_nfd(const uint32_t *in, size_t len, ldm_utext *out);

/* Normalisation form KC of one code point, appended. */
void ldm_utext_nfkc_one(ldm_utext *out, uint32_t c);

#endif
