/* The room's header: tokenizers as include/ldm/tokenize.h has them (opening by path, encoding), and
 * what the engine and the tests need besides. */
#ifndef LDM_TOKENIZE_TOKENIZE_H
#define LDM_TOKENIZE_TOKENIZE_H

#include <ldm/tokenize.h>

#include "base/error.h"

/* Ids of a text, whatever the kind. */
#define LDM_TOKENS_LENGTH 77

/* The name of the kind ("clip") and of the file that `make vocab` installs for it; static. */
const char *ldm_token_kind_name(ldm_token_kind kind);
const char *ldm_token_kind_file(ldm_token_kind kind);

/* The path of a vocabulary of this kind in the folder `dir`: the file of ldm_token_kind_file, or
 * vocab.json with merges.txt. *path is NULL where the folder has none; else ldm_free it. */
ldm_status ldm_vocab_in_dir(ldm_token_kind kind, const char *dir, char **path, ldm_error *err);

/* A tokenizer from memory. `vocab`: what the file holds (a gzip file is unpacked); `merges`: of
 * merges.txt where vocab is a vocab.json, else NULL. name: for messages, and ldm_tokenizer_path.
 * Nothing is kept of the three. */
ldm_status ldm_tokenizer_read(ldm_token_kind kind, const char *name, const void *vocab,
                              size_t vocab_bytes, const void *merges, size_t merges_bytes,
                              ldm_tokenizer **out, ldm_error *err);

#endif
