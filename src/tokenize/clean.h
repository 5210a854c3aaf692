/* SPDX-License-Identifier: MIT */
/* What is done to a text before it is split into tokens: ftfy 6.3.1's fix_text with its default
 * settings, Python's html.unescape, white space, BERT's own cleaning. Private to the room.
 *
 * Each function appends to `out`, which is another text than `in`; running out of memory shows in
 * out->failed alone. */
#ifndef LDM_TOKENIZE_CLEAN_H
#define LDM_TOKENIZE_CLEAN_H

#include "tokenize/utext.h"

/* ftfy repeats its repairs until nothing changes, and a text can be made (a chain of
 * "&amp;amp;...") that needs as many rounds as it has letters. Each pass over a text of n code
 * points takes n from this budget; when it is spent, the text stays as it is. Up to 10,000 code
 * points no chain spends it, and of 100,000 a usual text spends a fiftieth. */
typedef struct ldm_budget {
    uint64_t left;
} ldm_budget;

#define LDM_CLEAN_BUDGET ((uint64_t)1 << 26)

/* False when the budget does not suffice for n more code points. */
bool ldm_budget_take(ldm_budget *b, size_t n);

/* ftfy.fix_text(in). */
void ldm_fix_text(const ldm_utext *in, ldm_utext *out);

/* ftfy's fix_encoding: mends text that was decoded by the wrong encoding ("cafÃ©"). In place. */
void ldm_fix_encoding(ldm_utext *text, ldm_budget *budget);

/* U+0080 to U+009F as the byte of Windows-1252 with the same number; what has none stays. */
uint32_t ldm_c1_as_windows1252(uint32_t c);

/* ftfy's unescape_html: named entities that end in a semicolon, those in capitals, numbers. */
void ldm_unescape_ftfy(const ldm_utext *in, ldm_utext *out);

/* Python's html.unescape, which also takes the old names without a semicolon ("&ampfoo"). */
void ldm_unescape_html(const ldm_utext *in, ldm_utext *out);

/* White space at both ends goes, each run of it within becomes one space. */
void ldm_clean_white(const ldm_utext *in, ldm_utext *out);

/* BERT's clean-up: control characters and U+FFFD go, white space becomes spaces, each CJK ideograph
 * stands between spaces; form C. */
void ldm_clean_bert(const uint32_t *in, size_t len, ldm_utext *out);

#endif
