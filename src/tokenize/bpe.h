/* SPDX-License-Identifier: MIT */
/* Byte pair encoding as CLIP has it: a text is split into words by a pattern, a word into bytes,
 * and neighbours are merged by the list of merges. Private to the room. */
#ifndef LDM_TOKENIZE_BPE_H
#define LDM_TOKENIZE_BPE_H

#include "tokenize/sink.h"
#include "tokenize/utext.h"
#include "tokenize/vocab.h"

/* Symbols are words of the vocabulary by number; a byte is a symbol, too, once within a word and
 * once as its last ("</w>"). */
typedef struct ldm_merge {
    uint32_t left, right, made;
} ldm_merge;

typedef struct ldm_bpe {
    ldm_vocab vocab;
    uint32_t byte[256], last_byte[256];
    ldm_merge *merges; /* by rank: the smaller, the earlier */
    size_t merge_count;
    uint32_t *slots; /* pair -> rank + 1; 0: free */
    size_t slot_count;
    const char *start, *end; /* the special tokens as a text spells them; static */
    int32_t start_id, end_id;
    bool openclip;
} ldm_bpe;

/* vocab: the list of merges, or with `merges` a vocab.json. b: zeroed; to be freed whatever comes.
 */
ldm_status ldm_bpe_load(ldm_bpe *b, ldm_token_kind kind, const char *name, const char *vocab,
                        size_t vocab_bytes, const char *merges, size_t merges_bytes,
                        ldm_error *err);
void ldm_bpe_free(ldm_bpe *b);

/* The rank of the pair, or LDM_NO_WORD. */
uint32_t ldm_bpe_rank(const ldm_bpe *b, uint32_t left, uint32_t right);

/* A whole text to ids. */
ldm_status ldm_bpe_encode(const ldm_bpe *b, const ldm_utext *text, ldm_text_cleaning cleaning,
                          ldm_token_sink *out, ldm_error *err);

#endif
