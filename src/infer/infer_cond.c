/* SPDX-License-Identifier: MIT */
/* Conditioners (ldm/modules/encoders/modules.py, and what LatentDiffusion makes of
 * conditioning_key) from their tensors, and from the channels that the UNet takes beside the
 * latent's. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "infer/infer_private.h"

enum { MAX_LAYERS = 256 };

static bool any_with_prefix(const ldm_ckpt *ck, const char *prefix)
{
    const size_t len = prefix ? strlen(prefix) : 0;

    for (size_t i = 0; len && i < ldm_ckpt_count(ck); i++) {
        if (!strncmp(ldm_ckpt_at(ck, i)->name, prefix, len))
            return true;
    }
    return false;
}

ldm_infer_cond ldm_infer_read_cond(const ldm_infer_facts *f)
{
    static const struct {
        const char *key;
        ldm_infer_cond kind;
    } signs[] = {
        {"transformer.text_model.embeddings.token_embedding.weight", LDM_INFER_CLIP},
        {"model.token_embedding.weight", LDM_INFER_OPEN_CLIP},
        {"transformer.token_emb.weight", LDM_INFER_BERT},
        {"embedding.weight", LDM_INFER_CLASS},
        {"channel_mapper.weight", LDM_INFER_RESCALER},
        {"decoder.conv_in.weight", LDM_INFER_FIRST_STAGE},
    };

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (ldm_infer_look(&f->cond, "%s", signs[i].key))
            return signs[i].kind;
    }
    if (any_with_prefix(f->ck, f->cond.prefix))
        return LDM_INFER_UNKNOWN;
    if (f->u.cross)
        return LDM_INFER_UNKNOWN; /* a context, from an encoder that is not in the file */
    if (f->u.num_classes || f->u.continuous_classes || f->u.adm)
        return LDM_INFER_IDENTITY; /* labels go to label_emb as they are */
    return f->u.in_channels > f->u.out_channels ? LDM_INFER_IDENTITY : LDM_INFER_UNCONDITIONAL;
}

#define COND "model.params.cond_stage_config"
#define P(name) COND ".params." name

static void target(ldm_inference *in, const char *name)
{
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, COND ".target", "%s", name);
}

static void put_class(ldm_inference *in, const ldm_infer_scope *s)
{
    const ldm_tensor_info *t = ldm_infer_look(s, "embedding.weight");

    target(in, "ldm.modules.encoders.modules.ClassEmbedder");
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, P("n_classes"), "%d", ldm_infer_dim(t, 0));
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, P("embed_dim"), "%d", ldm_infer_dim(t, 1));
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, P("key"), "class_label");
}

/* Whether a vocabulary of so many words lies beside the checkpoint, which then reads text. */
static bool has_vocabulary(const ldm_ckpt *ck, int words)
{
    enum { LARGEST_FILE = 16 << 20 };
    const char *ckpt = ldm_ckpt_path(ck), *slash = strrchr(ckpt, '/');
    char path[PATH_MAX], *text = NULL;
    size_t size = 0, i;
    int lines = 0;

    if (snprintf(path, sizeof path, "%.*svocab.txt", slash ? (int)(slash + 1 - ckpt) : 0, ckpt) >=
            (int)sizeof path ||
        ldm_file_read(path, LARGEST_FILE, &text, &size, NULL))
        return false;
    while (size && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    for (i = 0; i < size; i++)
        lines += text[i] == '\n';
    ldm_free(text);
    return size && lines + 1 == words;
}

/* x_transformers alternates attention and feed-forward: two entries of `layers` a layer. */
static void put_bert(ldm_inference *in, const ldm_infer_scope *s)
{
    enum { BERT_BASE_VOCABULARY = 30522 };
    const ldm_tensor_info *t = ldm_infer_look(s, "transformer.token_emb.weight");
    const int words = ldm_infer_dim(t, 0);
    int n = 0;

    while (n < MAX_LAYERS &&
           ldm_infer_look(s, "transformer.attn_layers.layers.%d.1.to_q.weight", 2 * n))
        n++;
    target(in, "ldm.modules.encoders.modules.BERTEmbedder");
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, P("n_embed"), "%d", ldm_infer_dim(t, 1));
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, P("n_layer"), "%d", n);
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, P("vocab_size"), "%d", words);
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, P("max_seq_len"), "%d",
                  ldm_infer_dim(ldm_infer_look(s, "transformer.pos_emb.emb.weight"), 0));
    if (has_vocabulary(s->ck, words))
        ldm_infer_put(in, LDM_INFER_META, "vocab.txt beside the checkpoint has as many words",
                      P("use_tokenizer"), "true");
    else if (words != BERT_BASE_VOCABULARY) /* the default, true, is for text by that vocabulary */
        ldm_infer_put(in, LDM_INFER_ASSUMED, "its vocabulary is not that of bert-base-uncased",
                      P("use_tokenizer"), "false");
}

static void put_rescaler(ldm_inference *in, const ldm_infer_facts *f)
{
    const ldm_tensor_info *t = ldm_infer_look(&f->cond, "channel_mapper.weight");

    target(in, "ldm.modules.encoders.modules.SpatialRescaler");
    ldm_infer_put(in, LDM_INFER_SHAPE, "as often as the first stage halves a picture",
                  P("n_stages"), "%d", f->f.mult.count - 1);
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, P("in_channels"), "%d", ldm_infer_dim(t, 1));
    ldm_infer_put(in, LDM_INFER_SHAPE, NULL, P("out_channels"), "%d", ldm_infer_dim(t, 0));
    if (ldm_infer_look(&f->cond, "channel_mapper.bias"))
        ldm_infer_put(in, LDM_INFER_SHAPE, NULL, P("bias"), "true");
}

void ldm_infer_put_cond(ldm_inference *in, const ldm_infer_facts *f)
{
    switch (f->kind) {
    case LDM_INFER_CLASS:
        put_class(in, &f->cond);
        return;
    case LDM_INFER_BERT:
        put_bert(in, &f->cond);
        return;
    case LDM_INFER_CLIP:
        target(in, "ldm.modules.encoders.modules.FrozenCLIPEmbedder");
        return;
    case LDM_INFER_OPEN_CLIP:
        target(in, "ldm.modules.encoders.modules.FrozenOpenCLIPEmbedder");
        ldm_infer_put(in, LDM_INFER_SHAPE, NULL, P("freeze"), "true");
        ldm_infer_put(in, LDM_INFER_ASSUMED, "every published model with open_clip", P("layer"),
                      "penultimate");
        return;
    case LDM_INFER_RESCALER:
        put_rescaler(in, f);
        return;
    case LDM_INFER_FIRST_STAGE:
        ldm_infer_put(in, LDM_INFER_SHAPE, NULL, COND, "__is_first_stage__");
        return;
    case LDM_INFER_IDENTITY:
        target(in, "torch.nn.Identity");
        return;
    case LDM_INFER_UNCONDITIONAL:
        ldm_infer_put(in, LDM_INFER_SHAPE, NULL, COND, "__is_unconditional__");
        return;
    case LDM_INFER_UNKNOWN:
        in->lacks_cond = !any_with_prefix(f->ck, f->cond.prefix);
        ldm_infer_problem(in,
                          !in->lacks_cond
                              ? "the tensors of %s belong to a conditioner that CompVis' code "
                                "does not have"
                              : "the UNet reads a context (cross-attention), and the file has no "
                                "%s* that computes one",
                          f->cond.prefix ? f->cond.prefix : "cond_stage_model.");
        return;
    }
}
