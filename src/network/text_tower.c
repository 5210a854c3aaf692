/* SPDX-License-Identifier: MIT */
#include "network/text_tower.h"

#include <stdio.h>

enum { NAME_MAX_LEN = 192, MAX_LAYERS = 256 };

static int shape_of(const ldm_param_reader *r, const char *name, int64_t *dims)
{
    char full[NAME_MAX_LEN];

    if (!r->shapes)
        return -1;
    snprintf(full, sizeof full, "%s.%s", ldm_component_prefix(LDM_COMPONENT_COND_STAGE), name);
    return r->shapes->shape(r->shapes->ctx, full, dims);
}

static ldm_status refuse(const ldm_param_reader *r, const ldm_module *m, const char *name,
                         const char *why)
{
    return ldm_value_error(m->at, r->err, "is %.120s, and the checkpoint's cond_stage_model.%s %s",
                           m->target, name, why);
}

/* The last layer that the checkpoint has, plus one. */
static int count_layers(const ldm_param_reader *r, const ldm_tower_names *names)
{
    char name[NAME_MAX_LEN];
    int64_t dims[4];
    int n;

    for (n = 0; n < MAX_LAYERS; n++) {
        snprintf(name, sizeof name, "%s%d%s", names->layers, n, names->in_layer);
        if (shape_of(r, name, dims) < 0)
            break;
    }
    return n;
}

/* A file without this encoder, or no file at all: it would have to be as wide as the UNet's
 * contexts are. That its tensors are missing is the audit's to say. */
static void take_context_width(const ldm_param_reader *r, ldm_text_tower *t)
{
    const int width = r->network->unet.context_dim;

    if (width >= LDM_TOWER_HEAD_DIM && width % LDM_TOWER_HEAD_DIM == 0)
        t->width = width;
}

ldm_status ldm_tower_measure(const ldm_param_reader *r, const ldm_module *m,
                             const ldm_tower_names *names, ldm_text_tower *t)
{
    int64_t dims[4];
    int layers;

    t->published_width = t->width;
    t->published_layers = t->layers;
    if (shape_of(r, names->table, dims) == 2) {
        if (dims[0] < 1 || dims[0] > 1 << 20 || dims[1] < LDM_TOWER_HEAD_DIM ||
            dims[1] > LDM_MAX_WIDTH || dims[1] % LDM_TOWER_HEAD_DIM)
            return refuse(r, m, names->table,
                          "has a shape that is no [entries,width] with a width of whole heads of "
                          "64");
        t->entries = (int)dims[0];
        t->width = (int)dims[1];
    } else {
        take_context_width(r, t);
    }
    if (shape_of(r, names->positions, dims) == 2) {
        if (dims[0] < 1 || dims[0] > LDM_MAX_TOKENS)
            return refuse(r, m, names->positions, "has a number of positions beyond 1 to 4096");
        t->tokens = (int)dims[0];
    }
    if (names->projection && shape_of(r, names->projection, dims) == 2 && dims[1] >= 1 &&
        dims[1] <= LDM_MAX_WIDTH)
        t->projection = (int)dims[1];
    layers = count_layers(r, names);
    if (layers)
        t->layers = layers;
    return LDM_OK;
}

ldm_status ldm_tower_describe(ldm_param_reader *r, const ldm_module *m, const ldm_text_tower *t,
                              int tokens, const char *vocabulary, double scale, const void *config)
{
    ldm_conditioner *c;
    ldm_status st = ldm_part_add_conditioner(r, m, LDM_COND_TAKES_TOKENS, config, &c);

    if (st)
        return st;
    c->vocabulary = vocabulary;
    c->scale = scale;
    c->own_size = true; /* of Stable Diffusion */
    c->entries = t->entries;
    c->tokens = c->context_tokens = tokens;
    c->context_width = t->width;
    c->layers = t->layers;
    c->published = t->published;
    c->published_width = t->published_width;
    c->published_layers = t->published_layers;
    return LDM_OK;
}
