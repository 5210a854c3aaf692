/* SPDX-License-Identifier: MIT */
/* The text encoder's part of a folder of diffusers. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "convert/diffusers_parts.h"
#include "tokenize/tokenize.h"

#define COND "cond_stage_model."
#define CLIP_TABLE COND "transformer.text_model.embeddings.token_embedding.weight"
#define OPEN_CLIP_TABLE COND "model.token_embedding.weight"

enum { NAME_LIMIT = 256 };

ldm_status ldm_folder_text(ldm_folder_writer *w, bool open_clip)
{
    const char *table = open_clip ? OPEN_CLIP_TABLE : CLIP_TABLE;
    const char *positions = open_clip ? COND "model.positional_embedding"
                                      : COND
                                "transformer.text_model.embeddings.position_embedding.weight";
    const int width = ldm_folder_extent(w, table, 1);
    json_t *j = json_object();
    ldm_modules modules = {0};
    char name[NAME_LIMIT];
    int layers = 0;
    ldm_status st;

    do
        snprintf(name, sizeof name,
                 open_clip ? COND "model.transformer.resblocks.%d.ln_1.weight"
                           : COND "transformer.text_model.encoder.layers.%d.layer_norm1.weight",
                 layers);
    while (ldm_folder_find(w, name) && ++layers);
    layers -= open_clip; /* the last one is never run */
    json_object_set_new(j, "architectures", json_pack("[s]", "CLIPTextModel"));
    json_object_set_new(j, "model_type", json_string("clip_text_model"));
    json_object_set_new(j, "vocab_size", json_integer(ldm_folder_extent(w, table, 0)));
    json_object_set_new(j, "hidden_size", json_integer(width));
    json_object_set_new(
        j, "intermediate_size",
        json_integer(ldm_folder_extent(
            w,
            open_clip ? COND "model.transformer.resblocks.0.mlp.c_fc.weight"
                      : COND "transformer.text_model.encoder.layers.0.mlp.fc1.weight",
            0)));
    json_object_set_new(j, "num_hidden_layers", json_integer(layers));
    json_object_set_new(j, "num_attention_heads", json_integer(width < 64 ? 1 : width / 64));
    json_object_set_new(j, "max_position_embeddings",
                        json_integer(ldm_folder_extent(w, positions, 0)));
    json_object_set_new(j, "hidden_act", json_string(open_clip ? "gelu" : "quick_gelu"));
    json_object_set_new(j, "layer_norm_eps", json_real(1e-5));
    json_object_set_new(j, "bos_token_id", json_integer(ldm_folder_extent(w, table, 0) - 2));
    json_object_set_new(j, "eos_token_id", json_integer(ldm_folder_extent(w, table, 0) - 1));
    /* transformers computes in the type of the file where no torch_dtype says another, diffusers'
     * networks in float32: the two could not be joined. */
    json_object_set_new(j, "torch_dtype", json_string("float32"));
    st = ldm_folder_json_write(w, "text_encoder", "config.json", j);
    if (open_clip)
        ldm_modules_open_clip(&modules, layers, COND);
    else
        ldm_modules_clip(&modules, COND);
    if (!st)
        st = ldm_folder_part_write(w, "text_encoder", "model", COND, &modules);
    ldm_modules_free(&modules);
    return st;
}

/* LDMBertModel (diffusers' pipelines/latent_diffusion): 8 heads of 64, as CompVis' BERTEmbedder. */
ldm_status ldm_folder_bert(ldm_folder_writer *w)
{
    const char *table = COND "transformer.token_emb.weight";
    json_t *j = json_object();
    ldm_modules modules = {0};
    char name[NAME_LIMIT];
    int layers = 0;
    ldm_status st;

    do
        snprintf(name, sizeof name, COND "transformer.attn_layers.layers.%d.1.to_q.weight",
                 2 * layers);
    while (ldm_folder_find(w, name) && ++layers);
    json_object_set_new(j, "architectures", json_pack("[s]", "LDMBertModel"));
    json_object_set_new(j, "model_type", json_string("ldmbert"));
    json_object_set_new(j, "vocab_size", json_integer(ldm_folder_extent(w, table, 0)));
    json_object_set_new(j, "d_model", json_integer(ldm_folder_extent(w, table, 1)));
    json_object_set_new(
        j, "max_position_embeddings",
        json_integer(ldm_folder_extent(w, COND "transformer.pos_emb.emb.weight", 0)));
    json_object_set_new(j, "encoder_layers", json_integer(layers));
    json_object_set_new(j, "encoder_ffn_dim",
                        json_integer(ldm_folder_extent(
                            w, COND "transformer.attn_layers.layers.1.1.net.0.0.weight", 0)));
    json_object_set_new(j, "encoder_attention_heads", json_integer(8));
    json_object_set_new(j, "head_dim", json_integer(64));
    json_object_set_new(j, "activation_function", json_string("gelu"));
    json_object_set_new(j, "pad_token_id", json_integer(0));
    json_object_set_new(j, "torch_dtype", json_string("float32"));
    st = ldm_folder_json_write(w, "bert", "config.json", j);
    ldm_modules_bert(&modules, layers, COND);
    if (!st)
        st = ldm_folder_part_write(w, "bert", "model", COND, &modules);
    ldm_modules_free(&modules);
    return st;
}

/* ClassEmbedder's table, of which diffusers has no class: a row is the UNet's context. */
ldm_status ldm_folder_classes(ldm_folder_writer *w)
{
    const char *table = COND "embedding.weight";
    json_t *j =
        json_pack("{s:s,s:i,s:i}", "_class_name", "ClassEmbedder", "n_classes",
                  ldm_folder_extent(w, table, 0), "embed_dim", ldm_folder_extent(w, table, 1));
    ldm_modules modules = {0};
    ldm_status st = ldm_folder_json_write(w, "class_embedder", "config.json", j);

    ldm_modules_classes(&modules, COND);
    if (!st)
        st = ldm_folder_part_write(w, "class_embedder", "model", COND, &modules);
    ldm_modules_free(&modules);
    return st;
}

/* The ids of all words, and the merges, as transformers' CLIPTokenizer reads them. */
static ldm_status write_clip_words(ldm_folder_writer *w, const ldm_tokenizer *t)
{
    char path[LDM_FOLDER_PATH + 64];
    json_t *ids = json_object();
    ldm_str merges = {0};
    ldm_status st;

    for (size_t i = 0; i < ldm_tokenizer_size(t); i++)
        json_object_set_new(ids, ldm_tokenizer_piece(t, (int32_t)i), json_integer((json_int_t)i));
    st = ldm_folder_json_write(w, "tokenizer", "vocab.json", ids);
    if (!st)
        st = ldm_tokenizer_merges(t, &merges, w->err);
    snprintf(path, sizeof path, "%s/tokenizer/merges.txt", w->root);
    if (!st)
        st = ldm_file_write(path, merges.data, merges.len, w->err);
    ldm_str_free(&merges);
    return st;
}

ldm_status ldm_folder_clip_tokens(ldm_folder_writer *w, bool open_clip, const char *vocabulary,
                                  bool *fits)
{
    static const char start[] = "<|startoftext|>", end[] = "<|endoftext|>";
    const char *table = open_clip ? OPEN_CLIP_TABLE : CLIP_TABLE;
    ldm_tokenizer *t = NULL;
    ldm_status st = ldm_tokenizer_open(LDM_TOKEN_CLIP, vocabulary, &t, w->err);

    *fits = !st && ldm_tokenizer_size(t) == (size_t)ldm_folder_extent(w, table, 0);
    if (*fits)
        st = ldm_folder_json_write(w, "tokenizer", "tokenizer_config.json",
                                   json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:i}", "tokenizer_class",
                                             "CLIPTokenizer", "bos_token", start, "eos_token", end,
                                             "unk_token", end, "pad_token", open_clip ? "!" : end,
                                             "do_lower_case", 1, "errors", "replace",
                                             "model_max_length", LDM_TOKENS_LENGTH));
    if (!st && *fits)
        st = write_clip_words(w, t);
    ldm_tokenizer_free(t);
    return st;
}

/* The vocabulary as transformers' BertTokenizer reads it. */
ldm_status ldm_folder_bert_tokens(ldm_folder_writer *w, const char *vocabulary)
{
    enum { LIMIT = 16 << 20 };
    char path[LDM_FOLDER_PATH + 64], *text = NULL;
    json_t *j = json_pack("{s:s,s:b,s:i}", "tokenizer_class", "BertTokenizer", "do_lower_case", 1,
                          "model_max_length",
                          ldm_folder_extent(w, COND "transformer.pos_emb.emb.weight", 0));
    size_t bytes;
    ldm_status st = ldm_folder_json_write(w, "tokenizer", "tokenizer_config.json", j);

    if (!st)
        st = ldm_file_read(vocabulary, LIMIT, &text, &bytes, w->err);
    snprintf(path, sizeof path, "%s/tokenizer/vocab.txt", w->root);
    if (!st)
        st = ldm_file_write(path, text, bytes, w->err);
    ldm_free(text);
    return st;
}
