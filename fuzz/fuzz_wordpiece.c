/* SPDX-License-Identifier: MIT */
/* BERT's tokenizer on arbitrary bytes: a list of words up to the first NUL byte, then a text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tokenize/tokenize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t words = end ? (size_t)(end - data) : size, i;
    const uint8_t *text = data + words + (end != NULL);
    ldm_tokenizer *t;
    ldm_tokens tokens;

    if (ldm_tokenizer_read(LDM_TOKEN_BERT, "fuzz", data, words, NULL, 0, &t, NULL))
        return 0;
    if (!ldm_tokenize(t, (const char *)text, size - (size_t)(text - data), LDM_TEXT_FTFY, &tokens,
                      NULL)) {
        for (i = 0; i < LDM_TOKENS_LENGTH; i++) {
            if (tokens.ids[i] < 0 || (size_t)tokens.ids[i] >= ldm_tokenizer_size(t))
                abort();
        }
    }
    ldm_tokenizer_free(t);
    return 0;
}
