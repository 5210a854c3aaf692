/* SPDX-License-Identifier: MIT */
/* Captions of random portraits, from the grammar that a model's training captions were made of: a
 * text file whose head says how it is read (models/portrait/grammar.txt). First the facts of a
 * portrait are drawn by their shares, then a sentence that tells some of them. */
#ifndef LDM_CAPTION_CAPTION_H
#define LDM_CAPTION_CAPTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct ldm_grammar ldm_grammar;

/* Reads a grammar. Errors: LDM_ERR_IO, LDM_ERR_FORMAT with the file's name and line. */
ldm_status ldm_grammar_load(const char *path, ldm_grammar **out, ldm_error *err);

/* The same of a text of `bytes` bytes; name stands in messages. */
ldm_status ldm_grammar_parse(const char *name, const char *text, size_t bytes, ldm_grammar **out,
                             ldm_error *err);
void ldm_grammar_free(ldm_grammar *g); /* NULL is fine */

/* A caption, the same for the same seed on every machine; ldm_free releases it. LDM_ERR_LIMIT where
 * the rules lead to no end. */
ldm_status ldm_grammar_caption(const ldm_grammar *g, uint64_t seed, char **out, ldm_error *err);

#endif
