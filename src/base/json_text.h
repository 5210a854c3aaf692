/* SPDX-License-Identifier: MIT */
/* JSON: as text, and of values that it has no form for. */
#ifndef LDM_BASE_JSON_TEXT_H
#define LDM_BASE_JSON_TEXT_H

#include <jansson.h>

#include "base/str.h"

/* Appends root as text, with jansson's flags; root NULL is a failure. Returns false when out of
 * memory. (json_dumps would silently lose a key where its buffer cannot grow.) Real numbers have
 * the fewest digits that read back to them, unless JSON_REAL_PRECISION asks for less than 17. */
bool ldm_json_append(const json_t *root, size_t flags, ldm_str *out);

/* A JSON string of bytes that need not be UTF-8 (file names): where they are not, every byte above
 * 127 becomes '?'. null for NULL. NULL when out of memory. */
json_t *ldm_json_text(const char *text);

/* A JSON integer, or its decimal text where JSON's 64 signed bits cannot hold it. */
json_t *ldm_json_u64(uint64_t v);

/* Why a text was not read, without the library's own names. *valid: it is JSON, but holds what is
 * not taken: a key twice, a number beyond 64 bits, a character 0. The text is at's, or a constant.
 */
const char *ldm_json_wrong(const json_error_t *at, bool *valid);

/* A JSON number, or null for NaN and infinity, which JSON has no way to write. */
json_t *ldm_json_real(double v);

#endif
