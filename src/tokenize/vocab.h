/* SPDX-License-Identifier: MIT */
/* What the kinds of vocabularies share: text files from anywhere, and the way from an id to its
 * word. Private to the room. */
#ifndef LDM_TOKENIZE_VOCAB_H
#define LDM_TOKENIZE_VOCAB_H

#include "tokenize/tokenize.h"
#include "tokenize/words.h"

enum {
    LDM_VOCAB_LIMIT = 32 << 20, /* bytes of a file, and of what a gzip file unpacks to */
    LDM_VOCAB_IDS = 1 << 20     /* ids are below this */
};

typedef struct ldm_vocab {
    ldm_words words;
    const char **pieces; /* [size] by id, the words' own text; NULL where no word has the id */
    size_t size, cap;
} ldm_vocab;

ldm_status ldm_vocab_init(ldm_vocab *v, ldm_error *err); /* zeroed struct */
void ldm_vocab_free(ldm_vocab *v);

/* Gives the string this id. A string that comes again has its last id, and its old id keeps the
 * piece: so do Python's dictionaries, of which the originals are made. */
ldm_status ldm_vocab_give(ldm_vocab *v, const char *text, size_t len, int64_t id, ldm_error *err);

/* The string's id, or -1. */
int32_t ldm_vocab_id(const ldm_vocab *v, const char *text);

/* A text file in memory, line by line. */
typedef struct ldm_lines {
    const char *name; /* for messages */
    const char *at, *end;
    const char *line; /* the current one, without its end ("\n", "\r\n") */
    size_t len;
    int number; /* of the current line, from 1 */
} ldm_lines;

/* LDM_ERR_FORMAT where the text is no UTF-8. */
ldm_status ldm_lines_init(ldm_lines *l, const char *name, const char *text, size_t bytes,
                          ldm_error *err);
bool ldm_lines_next(ldm_lines *l);

/* "NAME, line N: ..." */
ldm_status ldm_lines_error(const ldm_lines *l, ldm_error *err, const char *what);

/* Unpacks a gzip file into fresh memory. */
ldm_status ldm_gunzip(const char *name, const void *data, size_t bytes, char **out,
                      size_t *out_bytes, ldm_error *err);

#endif
