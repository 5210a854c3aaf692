/* SPDX-License-Identifier: MIT */
/* A growing string for reports and messages. After an allocation failure further appends do nothing
 * and `failed` stays set: check once, at the end. */
#ifndef LDM_BASE_STR_H
#define LDM_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ldm_str {
    char *data; /* NUL-terminated once anything was appended; NULL before */
    size_t len, cap;
    bool failed;
} ldm_str;

#if defined(__GNUC__)
#define LDM_STR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define LDM_STR_PRINTF(fmt, args)
#endif

void ldm_str_append(ldm_str *s, const char *text, size_t len);
void ldm_str_puts(ldm_str *s, const char *text);
void ldm_str_printf(ldm_str *s, const char *fmt, ...) LDM_STR_PRINTF(2, 3);
void ldm_str_vprintf(ldm_str *s, const char *fmt, va_list ap) LDM_STR_PRINTF(2, 0);
void ldm_str_free(ldm_str *s); /* frees data and resets */

/* Appends an option's explanation for `--help`: each of its lines begins at `column`, of which
 * `used` are taken in the first. Where a line would be longer than 80 columns, its words are laid
 * out anew. */
void ldm_str_explain(ldm_str *s, const char *text, size_t used, size_t column);

/* 1234567 as "1,234,567"; buf holds at least 27 bytes and is returned. */
char *ldm_format_count(uint64_t n, char *buf);

/* Bytes for people: "1.32 GB" (powers of 1000, as files are sold); buf holds at least 16 bytes. */
char *ldm_format_bytes(uint64_t n, char *buf);

/* The fewest digits that read back to the same number, with a point whatever the locale: "0.3",
 * "1e-05", "50". buf holds at least LDM_REAL_TEXT bytes and is returned. */
enum { LDM_REAL_TEXT = 40 };
char *ldm_format_real(double v, char *buf);

/* Edits (insert, delete, replace, swap neighbours), for "did you mean": at most `limit`, limit + 1
 * for anything farther. */
size_t ldm_edit_distance(const char *a, const char *b, size_t limit);

/* At how many edits from a known word `word` may be that one, mistyped: what is farther from so
 * short a word is another word. */
size_t ldm_edit_limit(const char *word);

/* text with A to Z made small, cut off where out has no room for it. */
void ldm_lower(char *out, size_t size, const char *text);

/* Length of the UTF-8 sequence at p (overlong forms and surrogates refused), 0 if there is none. */
size_t ldm_utf8_len(const char *p, size_t left);
/* Bytes of UTF-8's byte order mark at the text's beginning: 3, or 0 where it has none. Editors of
 * Windows write it, and it says nothing. */
size_t ldm_utf8_mark(const char *text, size_t size);
/* Whether a text begins with UTF-16's byte order mark, as some editors of Windows save it. */
bool ldm_is_utf16(const char *text, size_t size);
/* The same, and 0 for what must not reach a terminal: control characters, C1 and those of direction
 * among them. */
size_t ldm_shown_len(const char *p, size_t left);
/* Takes every occurrence of `what` out of the text; an empty `what` is none. */
void ldm_remove_all(char *text, const char *what);
/* FNV-1a (G. Fowler, L. Noll, K. Vo), 64 bits: of `size` bytes behind those that h is of, from
 * LDM_HASH64_START on. */
#define LDM_HASH64_START 14695981039346656037u
uint64_t ldm_hash64(uint64_t h, const void *data, size_t size);
/* Appends a text that may have any length, and anything in it, for a terminal: `most` bytes of it
 * and what the last character takes beyond them, flattened as below, and "..." where something was
 * cut.
 */
void ldm_str_put_short(ldm_str *s, const char *text, size_t most);
/* Replaces each byte of such characters, and bytes that are not UTF-8, by '?'. */
void ldm_flatten(char *s);

#endif
