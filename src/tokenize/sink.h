/* SPDX-License-Identifier: MIT */
/* Where ids go: the first 75 are kept, all are counted. Private to the room. */
#ifndef LDM_TOKENIZE_SINK_H
#define LDM_TOKENIZE_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "tokenize/tokenize.h"

typedef struct ldm_token_sink {
    int32_t ids[LDM_TOKENS_LENGTH - 2];
    size_t count; /* of all */
} ldm_token_sink;

static inline void ldm_token_put(ldm_token_sink *s, int32_t id)
{
    if (s->count < LDM_TOKENS_LENGTH - 2)
        s->ids[s->count] = id;
    s->count++;
}

#endif
