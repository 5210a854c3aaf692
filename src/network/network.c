/* SPDX-License-Identifier: MIT */
/* The description: reading parameters, listing state_dict(), making graphs. */
#include "network/network.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "network/registry.h"

/* The model's own part reads all others; its tensors are those of the whole. */
static ldm_status describe(ldm_network *s, const ldm_config *cfg, const ldm_shape_source *shapes,
                           ldm_error *err)
{
    const ldm_value *root = ldm_config_root(cfg), *model = ldm_value_find(root, "model");
    ldm_param_reader r = {s, shapes, err};
    ldm_builder b = {.network = s, .declared = s, .err = err};
    const ldm_network_part *part;
    ldm_module m;
    ldm_status st;

    st = model ? LDM_OK : ldm_params_missing(root, "model", NULL, err);
    if (st)
        return st;
    if (!model)
        return ldm_error_set(err, LDM_ERR_CONFIG,
                             "%s: the configuration has no `model:` section; a CompVis YAML begins "
                             "with one",
                             ldm_config_file(cfg));
    st = ldm_part_open(&r, LDM_ROLE_MODEL, model, "model", &m, &part);
    if (!st)
        st = part->read(&r, &m);
    if (!st)
        st = ldm_params_find_strays(&r, root, model);
    if (st)
        return st;
    part->declare(&b, &s->diffusion);
    return b.st;
}

ldm_status ldm_network_begin(ldm_network **out, ldm_error *err)
{
    ldm_network *s = ldm_calloc(1, sizeof *s);

    *out = NULL;
    if (!s)
        return ldm_error_nomem(err, sizeof *s, "the network's description");
    s->priv = ldm_calloc(1, sizeof *s->priv);
    if (s->priv)
        s->priv->arena = ldm_arena_create(0);
    if (!s->priv || !s->priv->arena) {
        ldm_network_free(s);
        return ldm_error_nomem(err, sizeof *s->priv, "the network's description");
    }
    *out = s;
    return LDM_OK;
}

ldm_status ldm_network_create(const ldm_config *cfg, const ldm_shape_source *shapes,
                              ldm_network **out, ldm_error *err)
{
    ldm_network *s;
    ldm_status st = ldm_network_begin(&s, err);

    *out = NULL;
    if (st)
        return st;
    st = describe(s, cfg, shapes, err);
    if (st) {
        ldm_network_free(s);
        return st;
    }
    *out = s;
    return LDM_OK;
}

void ldm_network_free(ldm_network *s)
{
    if (!s)
        return;
    if (s->priv) {
        ldm_arena_free(s->priv->arena);
        ldm_free(s->priv->buckets);
    }
    ldm_free(s->priv);
    ldm_free(s->conditioners);
    ldm_free(s->params);
    ldm_free(s->unknown);
    ldm_free(s->tensors);
    ldm_free(s);
}

/* ---- graphs ---------------------------------------------------------------------------------- */

static bool is_unet(ldm_graph_part part)
{
    return part == LDM_GRAPH_UNET || part == LDM_GRAPH_UNET_SHALLOW;
}

static int log2_of(int power)
{
    int n = 0;

    while (power > 1 << n)
        n++;
    return n;
}

/* The conditioner that has a graph of its own; NULL: there is none. */
static const ldm_conditioner *with_graph(const ldm_network *s)
{
    const ldm_conditioner *c = s->conditioners;

    return s->conditioner_count && c->part->build ? c : NULL;
}

static ldm_status check_part(const ldm_network *s, ldm_graph_part part, ldm_error *err)
{
    const ldm_first_stage *f = &s->first_stage;

    if (is_unet(part) && s->lone_first_stage)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "this is a first stage alone (%.120s): it has no UNet", f->target);
    if (part == LDM_GRAPH_ENCODE && f->no_encode)
        return ldm_error_set(err, LDM_ERR_CONFIG, "%s", f->no_encode);
    if ((part == LDM_GRAPH_QUANTIZE || part == LDM_GRAPH_INDICES) && !f->codebook)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "this model's first stage (%.120s) has no codebook: there is nothing "
                             "to quantise with",
                             f->target);
    if (part == LDM_GRAPH_COND && !with_graph(s))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "this model has no conditioner with a network of its own (%.120s)",
                             s->conditioner_count ? s->conditioners->target : "unconditional");
    return LDM_OK;
}

/* Both sides of a latent or a picture must be multiples of this. */
static int multiple_of(const ldm_network *s, ldm_graph_part part)
{
    if (is_unet(part))
        return 1 << (s->unet.channel_mult.count - 1);
    if (part == LDM_GRAPH_ENCODE)
        return s->first_stage.factor;
    return part == LDM_GRAPH_COND ? with_graph(s)->factor : 1;
}

static ldm_status check_tokens(int tokens, ldm_error *err)
{
    if (tokens >= 1 && tokens <= LDM_MAX_TOKENS)
        return LDM_OK;
    return ldm_error_set(err, LDM_ERR_USAGE, "a context of %d tokens: expected 1 to %d", tokens,
                         LDM_MAX_TOKENS);
}

static ldm_status check_size(const ldm_network *s, ldm_graph_part part, ldm_graph_size size,
                             ldm_error *err)
{
    const bool picture = part == LDM_GRAPH_ENCODE || part == LDM_GRAPH_COND;
    const int multiple = multiple_of(s, part), limit = picture ? 1 << 15 : 1 << 12;
    const int h = size.h, w = size.w;

    if (h < 1 || w < 1 || h > limit || w > limit)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s of %d x %d pixels: expected 1 to %d a side",
                             picture ? "picture" : "latent", h, w, limit);
    if (h % multiple || w % multiple)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s of %d x %d pixels: this network halves it %d times, so both sides "
                             "must be multiples of %d",
                             picture ? "picture" : "latent", h, w, log2_of(multiple), multiple);
    return LDM_OK;
}

static bool takes_ids(const ldm_conditioner *c)
{
    return c->takes == LDM_COND_TAKES_CLASS || c->takes == LDM_COND_TAKES_TOKENS;
}

/* Fills in the number of tokens, and checks what counts for this part. */
static ldm_status settle_size(const ldm_network *s, ldm_graph_part part, ldm_graph_size *size,
                              ldm_error *err)
{
    const ldm_conditioner *c = part == LDM_GRAPH_COND ? with_graph(s) : NULL;
    const bool ids = c && takes_ids(c);
    const bool context = is_unet(part) && s->unet_inputs.context_width;
    ldm_status st = LDM_OK;

    if (!size->tokens && (ids || context))
        size->tokens = ids ? c->tokens : s->unet_inputs.context_tokens;
    if (ids && size->tokens > c->tokens && c->takes == LDM_COND_TAKES_TOKENS)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%d token ids: this conditioner has positions for %d", size->tokens,
                             c->tokens);
    if (ids || context)
        st = check_tokens(size->tokens, err);
    return st || ids ? st : check_size(s, part, *size, err); /* ids have no pixels */
}

static int build(ldm_builder *b, ldm_graph_part part, ldm_graph_size size)
{
    const ldm_network *s = b->network;

    if (is_unet(part)) {
        ldm_b_begin(b, LDM_COMPONENT_UNET);
        return s->priv->unet->build(b, &s->unet, part, size);
    }
    if (part == LDM_GRAPH_COND) {
        b->graph->output_channels_last = takes_ids(with_graph(s));
        ldm_b_begin(b, LDM_COMPONENT_COND_STAGE);
        return with_graph(s)->part->build(b, with_graph(s)->config, part, size);
    }
    ldm_b_begin(b, LDM_COMPONENT_FIRST_STAGE);
    return s->first_stage.part->build(b, s->first_stage.config, part, size);
}

ldm_status ldm_graph_begin(ldm_graph **out, ldm_error *err)
{
    ldm_graph *g = ldm_calloc(1, sizeof *g);

    *out = NULL;
    if (!g)
        return ldm_error_nomem(err, sizeof *g, "a graph");
    g->feature = -1;
    g->arena = ldm_arena_create(0);
    if (!g->arena) {
        ldm_graph_free(g);
        return ldm_error_nomem(err, 0, "a graph");
    }
    *out = g;
    return LDM_OK;
}

ldm_status ldm_graph_create(const ldm_network *s, ldm_graph_part part, ldm_graph_size size,
                            ldm_graph **out, ldm_error *err)
{
    ldm_builder b = {.network = s, .err = err};
    ldm_graph *g;
    ldm_status st;

    *out = NULL;
    st = check_part(s, part, err);
    if (!st)
        st = settle_size(s, part, &size, err);
    if (st)
        return st;
    st = ldm_graph_begin(&g, err);
    if (st)
        return st;
    b.graph = g;
    g->output = build(&b, part, size);
    if (b.st) {
        ldm_graph_free(g);
        return b.st;
    }
    *out = g;
    return LDM_OK;
}

void ldm_graph_free(ldm_graph *g)
{
    if (!g)
        return;
    ldm_arena_free(g->arena);
    ldm_free(g->nodes);
    ldm_free(g->values);
    ldm_free(g);
}

bool ldm_network_reads_text(const ldm_network *s)
{
    return s->conditioner_count && s->conditioners[0].takes == LDM_COND_TAKES_TOKENS &&
           s->conditioners[0].vocabulary;
}

int ldm_graph_input(const ldm_graph *g, const char *name)
{
    int i;

    for (i = 0; i < g->input_count; i++) {
        if (!strcmp(g->inputs[i].name, name))
            return g->inputs[i].value;
    }
    return -1;
}
