/* SPDX-License-Identifier: MIT */
/* CLIP's tokenizers on arbitrary bytes: a vocabulary file, and a text for it. The first byte says
 * of what kind: bit 0 the flavour, bit 1 vocab.json (then merges) instead of the list of merges,
 * bit 2 without ftfy. The parts of the rest end with a NUL byte each; the last is the text. With
 * bit 3 the rest is one file, which may be packed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tokenize/tokenize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes up to the next NUL, which is skipped. */
static const char *next_part(const uint8_t **data, size_t *size, size_t *bytes)
{
    const uint8_t *part = *data, *end = *size ? memchr(part, 0, *size) : NULL;

    *bytes = end ? (size_t)(end - part) : *size;
    *size -= *bytes + (end != NULL);
    *data += *bytes + (end != NULL);
    return (const char *)part;
}

/* Every id must be one of the vocabulary, and what is used must fit. */
static void check(const ldm_tokenizer *t, const ldm_tokens *tokens)
{
    if (tokens->used < 2 || tokens->used > LDM_TOKENS_LENGTH || tokens->needed < tokens->used)
        abort();
    for (size_t i = 0; i < LDM_TOKENS_LENGTH; i++) {
        if (tokens->ids[i] < 0 || (size_t)tokens->ids[i] >= ldm_tokenizer_size(t) ||
            strlen(ldm_tokenizer_piece(t, tokens->ids[i])) > 1024)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t text[] = "hello the caf\xc3\xa9 12";
    const char *vocab, *merges = NULL;
    size_t vocab_bytes, merges_bytes = 0;
    ldm_token_kind kind;
    ldm_tokenizer *t;
    ldm_tokens tokens;
    uint8_t flags;

    if (size == 0)
        return 0;
    flags = *data++;
    size--;
    kind = flags & 1 ? LDM_TOKEN_OPENCLIP : LDM_TOKEN_CLIP;
    if (flags & 8) {
        vocab = (const char *)data;
        vocab_bytes = size;
        data = text;
        size = sizeof text - 1;
    } else {
        vocab = next_part(&data, &size, &vocab_bytes);
    }
    if ((flags & 10) == 2)
        merges = next_part(&data, &size, &merges_bytes);
    if (ldm_tokenizer_read(kind, "fuzz", vocab, vocab_bytes, merges, merges_bytes, &t, NULL))
        return 0;
    if (!ldm_tokenize(t, (const char *)data, size, flags & 4 ? LDM_TEXT_NO_FTFY : LDM_TEXT_FTFY,
                      &tokens, NULL))
        check(t, &tokens);
    ldm_tokenizer_free(t);
    return 0;
}
