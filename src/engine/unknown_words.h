/* SPDX-License-Identifier: MIT */
/* Inside the room: words of prompts that a model with a small vocabulary does not know. */
#ifndef LDM_ENGINE_UNKNOWN_WORDS_H
#define LDM_ENGINE_UNKNOWN_WORDS_H

#include <stddef.h>

#include <ldm/tokenize.h>

#include "engine/notes.h"

/* Adds one note about all `count` texts, or none. `which`: what they are, "prompt". Each unknown
 * word is named once, with the first text that has it where there are several, and with the word of
 * the vocabulary that it is near. Only of small vocabularies, made for what a model was trained on:
 * a large one takes any word apart into pieces that the model has met. */
ldm_status ldm_unknown_words_note(ldm_notes *notes, const ldm_text_vocab *vocab, const char *which,
                                  const char *const *texts, size_t count, ldm_error *err);

/* vocabulary.c: an id as the vocabulary writes it ("##ing"); "" for one that it does not have. */
const char *ldm_vocab_piece(const ldm_text_vocab *v, size_t id);

#endif
