/* SPDX-License-Identifier: MIT */
/* ldm: text to token ids, exactly as the text encoders of CompVis' models were given them.
 *
 *   ldm_text_vocab   a vocabulary, ready for use. Immutable: any number of threads may share one.
 *   ldm_text_ids     the ids of one text.
 *
 * The rules of ldm.h hold: fallible calls return ldm_status and take `ldm_error *err` last, which
 * may be NULL; on failure out-parameters are NULL and nothing is to be freed; strings are UTF-8.
 * NULL for another pointer is LDM_ERR_USAGE, and the calls that return no status give NULL, "" or
 * 0. */
#ifndef LDM_TOKENIZE_H
#define LDM_TOKENIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ldm/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ldm_model; /* ldm.h */
typedef struct ldm_text_vocab ldm_text_vocab;

/* Opens a vocabulary. kind: whose tokens;
 *   "clip"      Stable Diffusion 1 (FrozenCLIPEmbedder), transformers' CLIPTokenizer
 *   "openclip"  Stable Diffusion 2 (FrozenOpenCLIPEmbedder), open_clip's SimpleTokenizer
 *   "bert"      latent-diffusion's text-to-image model (BERTTokenizer), BERT uncased
 *
 * path: the file (bpe_simple_vocab_16e6.txt.gz, or vocab.json with merges.txt beside it; for "bert"
 * vocab.txt), or a folder that holds it. NULL: it is looked for beside `ckpt` (a checkpoint or its
 * folder; NULL: there is none), then in the folder of data that `make vocab` fills.
 *
 * LDM_ERR_USAGE for another kind, LDM_ERR_UNSUPPORTED where there is no file (the message names the
 * command that gets it), LDM_ERR_FORMAT for a file that is no vocabulary. */
LDM_API ldm_status ldm_text_vocab_open(const char *kind, const char *path, const char *ckpt,
                                       ldm_text_vocab **out, ldm_error *err);
/* The one of a model's text encoder: the kind follows from the model, and it is looked for beside
 * its checkpoint. LDM_ERR_USAGE as well where the model reads no text, and for a vocabulary with
 * more words than the encoder's table, or one that is cut off. */
LDM_API ldm_status ldm_model_vocab(const struct ldm_model *m, const char *path,
                                   ldm_text_vocab **out, ldm_error *err);
LDM_API void ldm_text_vocab_free(ldm_text_vocab *v); /* NULL is fine */

/* The kind's name, and the file that was read. They live as long as v. */
LDM_API const char *ldm_text_vocab_kind(const ldm_text_vocab *v);
LDM_API const char *ldm_text_vocab_path(const ldm_text_vocab *v);

/* Why its ids may be others than those that the model was trained with, one sentence: a word that
 * stands in it twice, or fewer words than the encoder's table has rows (of ldm_model_vocab). NULL:
 * nothing speaks for that. Lives as long as v. */
LDM_API const char *ldm_text_vocab_doubt(const ldm_text_vocab *v);

/* The number of ids: rows that an embedding table for it has (49408; "bert": 30522). */
LDM_API size_t ldm_text_vocab_size(const ldm_text_vocab *v);

typedef struct ldm_text_ids ldm_text_ids;

/* text: `bytes` bytes of UTF-8, at most 1,000,000; need not end with NUL and may hold NULs. ftfy:
 * with the repairs that the originals make where ftfy is installed; false: as "clip" does it
 * without (the other kinds know no difference).
 *
 * LDM_ERR_USAGE for text that is no UTF-8 (err->offset says where), LDM_ERR_LIMIT for more bytes. A
 * text with more tokens than there is room for is cut, which is no error: see ldm_text_ids_needed.
 */
LDM_API ldm_status ldm_text_encode(const ldm_text_vocab *v, const char *text, size_t bytes,
                                   bool ftfy, ldm_text_ids **out, ldm_error *err);
LDM_API void ldm_text_ids_free(ldm_text_ids *ids); /* NULL is fine */

/* [ldm_text_ids_length] (77): a start, the text's, an end, padding. Live as long as ids. */
LDM_API const int32_t *ldm_text_ids_data(const ldm_text_ids *ids);
LDM_API size_t ldm_text_ids_length(const ldm_text_ids *ids);

/* Ids before the padding, start and end among them: 2 to 77. */
LDM_API size_t ldm_text_ids_used(const ldm_text_ids *ids);

/* Ids of the whole text, start and end among them. Above ldm_text_ids_length the text was cut. */
LDM_API size_t ldm_text_ids_needed(const ldm_text_ids *ids);

/* Id i as the vocabulary writes it ("astronaut</w>", "##ing"), "" for i past the end. Lives as long
 * as the vocabulary. */
LDM_API const char *ldm_text_ids_piece(const ldm_text_ids *ids, size_t i);

#ifdef __cplusplus
}
#endif
#endif
