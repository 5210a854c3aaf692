/* Inside the room: JSON as text. */
#ifndef LDM_BASE_JSON_TEXT_H
#define LDM_BASE_JSON_TEXT_H

#include <jansson.h>

#include "base/str.h"

/* Appends root (NULL is a failure) with jansson's flags. False when out of memory: json_dumps would
 * lose a key, and say nothing, where its buffer cannot grow. */
bool ldm_json_append(const json_t *root, size_t flags, ldm_str *out);

#endif
