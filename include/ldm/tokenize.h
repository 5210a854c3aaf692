/* ldm: text to token ids, exactly as the text encoders of CompVis' models were given them.
 *
 *   ldm_tokenizer   a vocabulary, ready for use. Immutable: any number of threads may share one.
 *   ldm_tokens      the ids of one text.
 *
 * The rules of ldm.h hold: fallible calls return ldm_status and take `ldm_error *err` last, which
 * may be NULL; on failure out-parameters are NULL and nothing is to be freed; strings are UTF-8. */
#ifndef LDM_TOKENIZE_H
#define LDM_TOKENIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ldm/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whose tokens. Each gives 77 ids: a start, at most 75 of the text, an end, padding.
 *   CLIP      Stable Diffusion 1 (FrozenCLIPEmbedder): transformers' CLIPTokenizer. Padded with the
 *             end token.
 *   OPENCLIP  Stable Diffusion 2 (FrozenOpenCLIPEmbedder): open_clip's SimpleTokenizer. Padded with
 *             0. The same merges as CLIP; HTML entities are unescaped twice more.
 *   BERT      latent-diffusion's text-to-image model (BERTTokenizer): BERT uncased, WordPiece.
 * Padded with [PAD]. */
typedef enum ldm_token_kind { LDM_TOKEN_CLIP, LDM_TOKEN_OPENCLIP, LDM_TOKEN_BERT } ldm_token_kind;

/* "clip", "openclip" or "bert" as a kind; LDM_ERR_USAGE for another word. */
LDM_API ldm_status ldm_token_kind_parse(const char *name, ldm_token_kind *out, ldm_error *err);

typedef struct ldm_tokenizer ldm_tokenizer;

/* Opens the vocabulary of a tokenizer. path names it:
 *   CLIP, OPENCLIP  the list of merges (bpe_simple_vocab_16e6.txt.gz, packed or not), or vocab.json
 *                   with merges.txt beside it
 *   BERT            vocab.txt, a word a line
 * or a folder that holds one of these under its own name. The file is untrusted: LDM_ERR_FORMAT
 * says what is wrong with it, and where. */
LDM_API ldm_status ldm_tokenizer_open(ldm_token_kind kind, const char *path, ldm_tokenizer **out,
                                      ldm_error *err);

/* Finds the vocabulary and opens it: beside the checkpoint (`ckpt`, a file or its folder; NULL:
 * there is none), else in the folder of data that ldm uses (`make vocab` fills it). LDM_ERR_IO
 * where there is none; the message names the command. */
LDM_API ldm_status ldm_tokenizer_find(ldm_token_kind kind, const char *ckpt, ldm_tokenizer **out,
                                      ldm_error *err);
LDM_API void ldm_tokenizer_free(ldm_tokenizer *t); /* NULL is fine */

/* The file that was read; lives as long as t. */
LDM_API const char *ldm_tokenizer_path(const ldm_tokenizer *t);

/* The number of ids, which is the number of rows that an embedding table for it has. */
LDM_API size_t ldm_tokenizer_size(const ldm_tokenizer *t);

typedef enum ldm_text_cleaning {
    LDM_TEXT_FTFY, /* as the originals do where ftfy is installed: what CompVis' environment has */
    LDM_TEXT_NO_FTFY /* CLIP alone: transformers' fallback without ftfy. Others: the same as FTFY */
} ldm_text_cleaning;

typedef struct ldm_tokens ldm_tokens;

/* text: `bytes` bytes of UTF-8, at most LDM_TEXT_LIMIT; need not end with NUL and may hold NULs.
 * LDM_ERR_USAGE for text that is no UTF-8 (err->offset says where), LDM_ERR_LIMIT for more bytes. A
 * text with more than 75 tokens is cut and no error: compare ldm_tokens_needed. */
#define LDM_TEXT_LIMIT 1000000
LDM_API ldm_status ldm_tokenize(const ldm_tokenizer *t, const char *text, size_t bytes,
                                ldm_text_cleaning cleaning, ldm_tokens **out, ldm_error *err);
LDM_API void ldm_tokens_free(ldm_tokens *tokens); /* NULL is fine */

/* The ids, [ldm_tokens_length] (77). They live as long as tokens. */
LDM_API const int32_t *ldm_tokens_ids(const ldm_tokens *tokens);
LDM_API size_t ldm_tokens_length(const ldm_tokens *tokens);

/* Ids before the padding, start and end among them: 2 to 77. */
LDM_API size_t ldm_tokens_used(const ldm_tokens *tokens);

/* Ids that the whole text has, start and end among them. Above ldm_tokens_length the text was cut.
 */
LDM_API size_t ldm_tokens_needed(const ldm_tokens *tokens);

/* Id i as the vocabulary writes it ("astronaut</w>", "##ing"); i < ldm_tokens_length. Lives as long
 * as the tokenizer. */
LDM_API const char *ldm_tokens_piece(const ldm_tokens *tokens, size_t i);

#ifdef __cplusplus
}
#endif
#endif
