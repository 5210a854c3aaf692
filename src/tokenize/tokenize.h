/* SPDX-License-Identifier: MIT */
/* Text to token ids, exactly as the text encoders of CompVis' models were given them.
 *
 * A tokenizer is a vocabulary, ready for use. It is immutable: any number of threads may share one.
 */
#ifndef LDM_TOKENIZE_TOKENIZE_H
#define LDM_TOKENIZE_TOKENIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/* Whose tokens. Each gives 77 ids: a start, at most 75 of the text, an end, padding.
 *   CLIP      Stable Diffusion 1 (FrozenCLIPEmbedder): transformers' CLIPTokenizer. Padded with the
 *             end token.
 *   OPENCLIP  Stable Diffusion 2 (FrozenOpenCLIPEmbedder): open_clip's SimpleTokenizer. Padded with
 *             0. The same merges as CLIP; HTML entities are unescaped twice more.
 *   BERT      latent-diffusion's text-to-image model (BERTTokenizer): BERT uncased, WordPiece.
 * Padded with [PAD]. */
typedef enum ldm_token_kind { LDM_TOKEN_CLIP, LDM_TOKEN_OPENCLIP, LDM_TOKEN_BERT } ldm_token_kind;

/* "clip", "openclip" or "bert" as a kind; LDM_ERR_USAGE for another word. */
ldm_status ldm_token_kind_parse(const char *name, ldm_token_kind *out, ldm_error *err);
const char *ldm_token_kind_name(ldm_token_kind kind); /* static */

/* The file that `make vocab` installs for the kind, without a folder; static. */
const char *ldm_token_kind_file(ldm_token_kind kind);

typedef struct ldm_tokenizer ldm_tokenizer;

/* Opens the vocabulary of a tokenizer. path names it:
 *   CLIP, OPENCLIP  the list of merges (bpe_simple_vocab_16e6.txt.gz, packed or not), or vocab.json
 *                   with merges.txt beside it
 *   BERT            vocab.txt, a word a line
 * or a folder that holds one of these under its own name. The file is untrusted: LDM_ERR_FORMAT
 * says what is wrong with it, and where. *out is NULL on failure. */
ldm_status ldm_tokenizer_open(ldm_token_kind kind, const char *path, ldm_tokenizer **out,
                              ldm_error *err);

/* The same from memory. `vocab`: what the file holds (a gzip file is unpacked); `merges`: of
 * merges.txt where vocab is a vocab.json, else NULL. name: for messages, and ldm_tokenizer_path.
 * Nothing is kept of the three. */
ldm_status ldm_tokenizer_read(ldm_token_kind kind, const char *name, const void *vocab,
                              size_t vocab_bytes, const void *merges, size_t merges_bytes,
                              ldm_tokenizer **out, ldm_error *err);
void ldm_tokenizer_free(ldm_tokenizer *t); /* NULL is fine */

/* The path of a vocabulary of this kind in the folder `dir`: the file of ldm_token_kind_file, or
 * vocab.json. *path is NULL where the folder has none; else ldm_free it. */
ldm_status ldm_vocab_in_dir(ldm_token_kind kind, const char *dir, char **path, ldm_error *err);

ldm_token_kind ldm_tokenizer_kind(const ldm_tokenizer *t);
const char *ldm_tokenizer_path(const ldm_tokenizer *t); /* the file that was read; t's */

/* The number of ids, which is the number of rows that an embedding table for it has. */
size_t ldm_tokenizer_size(const ldm_tokenizer *t);

/* The first line of a list of words whose word stands further up, too: text gets the later id. 0:
 * none. */
int ldm_tokenizer_repeats(const ldm_tokenizer *t);

/* An id as the vocabulary writes it ("astronaut</w>", "##ing"); "" for one that it does not have.
 * t's. */
const char *ldm_tokenizer_piece(const ldm_tokenizer *t, int32_t id);

/* Of CLIP and OPENCLIP: the merges as merges.txt lists them, behind a line about the version. */
ldm_status ldm_tokenizer_merges(const ldm_tokenizer *t, ldm_str *out, ldm_error *err);

typedef enum ldm_text_cleaning {
    LDM_TEXT_FTFY, /* as the originals do where ftfy is installed, which CompVis' environment has */
    LDM_TEXT_NO_FTFY /* CLIP alone: transformers' fallback without ftfy. Others: the same as FTFY */
} ldm_text_cleaning;

enum {
    LDM_TOKENS_LENGTH = 77,  /* ids of a text, whatever the kind */
    LDM_TEXT_LIMIT = 1000000 /* bytes of a text */
};

typedef struct ldm_tokens {
    int32_t ids[LDM_TOKENS_LENGTH];
    size_t used;   /* before the padding, start and end among them: 2 to 77 */
    size_t needed; /* by the whole text, start and end among them; above 77: it was cut */
} ldm_tokens;

/* text: `bytes` bytes of UTF-8; need not end with NUL and may hold NULs. LDM_ERR_USAGE for text
 * that is no UTF-8 (err->offset says where), LDM_ERR_LIMIT for more bytes than LDM_TEXT_LIMIT. */
ldm_status ldm_tokenize(const ldm_tokenizer *t, const char *text, size_t bytes,
                        ldm_text_cleaning cleaning, ldm_tokens *out, ldm_error *err);

#endif
