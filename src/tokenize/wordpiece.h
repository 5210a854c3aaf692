/* SPDX-License-Identifier: MIT */
/* WordPiece as BERT (uncased) has it: a word is split into the longest pieces of the vocabulary,
 * from its beginning on; "##" marks those within a word. Private to the room. */
#ifndef LDM_TOKENIZE_WORDPIECE_H
#define LDM_TOKENIZE_WORDPIECE_H

#include "tokenize/sink.h"
#include "tokenize/utext.h"
#include "tokenize/vocab.h"

enum { LDM_BERT_SPECIALS = 5 };

typedef struct ldm_wordpiece {
    ldm_vocab vocab;
    int32_t special[LDM_BERT_SPECIALS]; /* ids in the order of the names in wordpiece.c */
    int32_t start_id, end_id, pad_id;
    int repeats; /* the first line whose word stands further up, too; 0: none */
} ldm_wordpiece;

/* text: a word a line; the first has id 0. w: zeroed; to be freed whatever comes. */
ldm_status ldm_wordpiece_load(ldm_wordpiece *w, const char *name, const char *text, size_t bytes,
                              ldm_error *err);
void ldm_wordpiece_free(ldm_wordpiece *w);

ldm_status ldm_wordpiece_encode(const ldm_wordpiece *w, const ldm_utext *text, ldm_token_sink *out,
                                ldm_error *err);

#endif
