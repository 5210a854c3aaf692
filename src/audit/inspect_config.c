/* SPDX-License-Identifier: MIT */
/* `ldm inspect` of a configuration: what it describes, every setting with its place, the keys and
 * the layers of the network it builds. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit/takes.h"
#include "audit/internal.h"
#include "audit/shapes.h"
#include "base/alloc.h"

typedef struct page {
    const ldm_config *cfg;
    const ldm_network *s;
    const ldm_inspect_report *r;
    ldm_str *out;
    ldm_arena *arena;
    const char *one_file;
    ldm_json j;
} page;

/* ---- keys and layers ---------------------------------------------------------------------------
 */

static ldm_status keys(page *p, ldm_error *err)
{
    json_t *all;
    int i;

    if (p->r->json) {
        all = json_array();
        for (i = 0; i < p->s->tensor_count; i++)
            ldm_audit_json_add(&p->j, all, ldm_json_text(p->s->tensors[i].name));
        return ldm_audit_json_write(&p->j, all, p->out, err);
    }
    for (i = 0; i < p->s->tensor_count; i++)
        ldm_str_printf(p->out, "%s\n", p->s->tensors[i].name);
    return LDM_OK;
}

static json_t *shape_json(page *p, const ldm_layer_shape *l)
{
    json_t *o = json_object();

    ldm_audit_json_set(&p->j, o, "cin", json_integer(l->cin));
    ldm_audit_json_set(&p->j, o, "cout", json_integer(l->cout));
    ldm_audit_json_set(&p->j, o, "kernel", json_integer(l->kernel));
    ldm_audit_json_set(&p->j, o, "stride", json_integer(l->stride));
    ldm_audit_json_set(&p->j, o, "upsample", json_integer(l->upsample));
    ldm_audit_json_set(&p->j, o, "in_h", json_integer(l->in_h));
    ldm_audit_json_set(&p->j, o, "in_w", json_integer(l->in_w));
    ldm_audit_json_set(&p->j, o, "count", json_integer(l->count));
    return o;
}

/* A first stage alone says the size of its pictures. */
static ldm_extent latent_of(const ldm_network *s)
{
    const int side = s->first_stage.resolution / s->first_stage.factor;

    return s->lone_first_stage ? (ldm_extent){side ? side : 1, side ? side : 1}
                               : s->diffusion.image_size;
}

/* One part's layers: rows of text, or an array put into `root`. */
static ldm_status part_shapes(page *p, ldm_graph_part part, const char *key, const char *title,
                              json_t *root, ldm_error *err)
{
    const ldm_extent size = latent_of(p->s);
    ldm_layer_shape *list = NULL;
    size_t count = 0, i;
    ldm_graph *g;
    json_t *all;
    ldm_status st = ldm_graph_create(p->s, part, (ldm_graph_size){size.h, size.w, 0}, &g, err);

    if (st)
        return st;
    st = ldm_audit_layer_shapes(g, &list, &count, err);
    if (!st && root) {
        all = json_array();
        for (i = 0; i < count; i++)
            ldm_audit_json_add(&p->j, all, shape_json(p, &list[i]));
        ldm_audit_json_set(&p->j, root, key, all);
    } else if (!st) {
        ldm_str_printf(
            p->out,
            "# Convolutions and linear layers of the %s, latent %dx%dx%d; the whole graph: "
            "%.1f GFLOP at batch 1\n# cin cout kernel stride upsample in_h in_w count\n",
            title,
            p->s->lone_first_stage ? p->s->first_stage.latent_channels : p->s->diffusion.channels,
            size.h, size.w, ldm_graph_flop(g) / 1e9);
        for (i = 0; i < count; i++)
            ldm_str_printf(p->out, "%d %d %d %d %d %d %d %d\n", list[i].cin, list[i].cout,
                           list[i].kernel, list[i].stride, list[i].upsample, list[i].in_h,
                           list[i].in_w, list[i].count);
    }
    ldm_free(list);
    ldm_graph_free(g);
    return st;
}

static ldm_status shapes(page *p, ldm_error *err)
{
    json_t *root = p->r->json ? json_object() : NULL;
    ldm_status st;

    if (p->r->json && !root)
        return ldm_error_nomem(err, 0, "the JSON report");
    st =
        p->s->lone_first_stage ? LDM_OK : part_shapes(p, LDM_GRAPH_UNET, "unet", "UNet", root, err);
    if (!st)
        st = part_shapes(p, LDM_GRAPH_DECODE, "decoder", "first stage's decoder", root, err);
    if (!root)
        return st;
    if (!st)
        return ldm_audit_json_write(&p->j, root, p->out, err);
    json_decref(root);
    return st;
}

/* ---- overview ----------------------------------------------------------------------------------
 */

static const char *target(const page *p, const char *path)
{
    const ldm_value *v = ldm_value_find(ldm_config_root(p->cfg), path);
    const char *name = NULL;
    ldm_error ignored;

    if (!v || ldm_value_get_kind(v) != LDM_VALUE_STRING || ldm_value_string(v, &name, &ignored))
        return NULL;
    return name;
}

typedef struct totals {
    ldm_tally component[LDM_COMPONENT_COUNT];
    uint64_t parameters;
} totals;

static totals count(const ldm_network *s)
{
    totals t = {.parameters = 0};
    int i;

    for (i = 0; i < s->tensor_count; i++) {
        const ldm_tensor_decl *k = &s->tensors[i];

        ldm_audit_tally_add(&t.component[k->component], k->numel, 4 * k->numel);
        if (ldm_audit_key_is_parameter(k->name) && !ldm_network_is_copy(s, k->name))
            t.parameters += k->numel;
    }
    return t;
}

static const char *effect_word(ldm_effect e)
{
    switch (e) {
    case LDM_EFFECT_SHAPE:
        return "shape";
    case LDM_EFFECT_SILENT:
        return "silent";
    case LDM_EFFECT_TRAINING:
        return "training";
    case LDM_EFFECT_NONE:
        break;
    }
    return "no effect";
}

static const char *origin(page *p, ldm_origin o)
{
    const char *text = ldm_audit_origin_text(p->arena, o);

    if (!text)
        p->out->failed = true;
    return text ? text : "";
}

/* The place without its file where all settings are of one file, which the heading names. */
static const char *brief(page *p, ldm_origin o)
{
    const char *text;

    if (!p->one_file || !o.source || strcmp(o.source, p->one_file) || o.line <= 0)
        return origin(p, o);
    text = ldm_arena_printf(p->arena, "line %d", o.line);
    if (!text)
        p->out->failed = true;
    return text ? text : "";
}

/* The file that every setting comes from; NULL where there are several. */
static const char *only_file(const ldm_network *s)
{
    const char *file = NULL;
    size_t i;

    for (i = 0; i < s->param_count; i++) {
        const char *source = s->params[i].origin.source;

        if (!source || s->params[i].origin.line <= 0)
            continue;
        if (file && strcmp(file, source))
            return NULL;
        file = source;
    }
    return file;
}

static void text_settings(page *p)
{
    static const char prefix[] = "model.params.";
    size_t i;

    ldm_audit_heading(p->out, p->r->colour,
                      "Settings (silent: changes the numbers, and no tensor's shape shows it)");
    for (i = 0; i < p->s->param_count; i++) {
        const ldm_param *k = &p->s->params[i];
        const char *path = k->path;

        if (ldm_audit_starts_with(path, prefix))
            path += sizeof prefix - 1;
        ldm_audit_put_setting(p->out, p->r->width, path, k->value);
        ldm_str_printf(p->out, " %-9s ", effect_word(k->effect));
        ldm_audit_put_name(p->out, brief(p, k->origin));
        ldm_str_puts(p->out, "\n");
    }
    for (i = 0; i < p->s->unknown_count; i++) {
        const ldm_unknown_key *u = &p->s->unknown[i];

        if (i == 0)
            ldm_audit_heading(p->out, p->r->colour, "Unknown keys");
        ldm_str_puts(p->out, "  ");
        ldm_audit_put_name(p->out, u->path);
        ldm_str_printf(p->out, "  %s", origin(p, u->origin));
        if (u->suggestion)
            ldm_str_printf(p->out, "  did you mean %s?", u->suggestion);
        ldm_str_puts(p->out, "\n");
    }
}

static void text_no_model(page *p)
{
    const ldm_value *root = ldm_config_root(p->cfg);
    size_t i;

    ldm_str_puts(p->out, "a configuration that describes no model; its sections:\n");
    for (i = 0; i < ldm_value_count(root); i++) {
        const ldm_value *v = ldm_value_at(root, i);

        ldm_str_puts(p->out, "  ");
        ldm_audit_put_name(p->out, ldm_value_key(v));
        ldm_str_printf(p->out, "  %s  %s\n", ldm_value_kind_name(ldm_value_get_kind(v)),
                       origin(p, ldm_value_origin(v)));
    }
}

static const char *const target_paths[] = {"model.target", "model.params.unet_config.target",
                                           "model.params.first_stage_config.target",
                                           "model.params.cond_stage_config.target"};
enum { TARGET_COUNT = sizeof target_paths / sizeof target_paths[0] };

static void put_sizes(page *p)
{
    const ldm_first_stage *f = &p->s->first_stage;
    const ldm_diffusion_config *d = &p->s->diffusion;
    const ldm_extent size = latent_of(p->s);

    ldm_str_printf(p->out, "  latent %d x %d x %d, pictures of %d x %d pixels\n",
                   p->s->lone_first_stage ? f->latent_channels : d->channels, size.h, size.w,
                   size.h * f->factor, size.w * f->factor);
}

static void text_model(page *p)
{
    const ldm_network *s = p->s;
    totals t = count(s);
    char n[32], bytes[16];
    int i;

    p->one_file = only_file(s);
    if (p->one_file) {
        ldm_audit_put_name(p->out, p->one_file);
        ldm_str_puts(p->out, ": ");
    }
    ldm_str_puts(p->out,
                 s->lone_first_stage ? "a first stage alone\n" : "a latent diffusion model\n");
    for (i = 0; i < TARGET_COUNT; i++) {
        if (!target(p, target_paths[i]))
            continue;
        ldm_str_printf(p->out, "  %-42s ", target_paths[i]);
        ldm_audit_put_name(p->out, target(p, target_paths[i]));
        ldm_str_puts(p->out, "\n");
    }
    put_sizes(p);
    ldm_audit_heading(p->out, p->r->colour, "Keys and parameters");
    ldm_str_printf(p->out, "  %-24s %8s %18s %10s\n", "", "keys", "numbers", "as f32");
    for (i = 0; i < LDM_COMPONENT_COUNT; i++) {
        if (t.component[i].tensors)
            ldm_str_printf(p->out, "  %-24s %8" PRIu64 " %18s %10s\n", ldm_audit_group_label(i),
                           t.component[i].tensors, ldm_format_count(t.component[i].elements, n),
                           ldm_format_bytes(t.component[i].bytes, bytes));
    }
    ldm_str_printf(p->out, "  %-24s %8s %18s %10s\n", "parameters", "",
                   ldm_format_count(t.parameters, n), ldm_format_bytes(4 * t.parameters, bytes));
    if (!s->lone_first_stage) {
        ldm_audit_heading(p->out, p->r->colour, "Conditions");
        ldm_audit_put_conditions(s, ldm_audit_scale(p->cfg), p->r->width, p->out);
    }
    text_settings(p);
}

static json_t *typed(const char *value)
{
    json_t *v = json_loads(value, JSON_DECODE_ANY, NULL); /* numbers, lists, true, null */

    return v ? v : ldm_json_text(value);
}

static json_t *settings_json(page *p)
{
    json_t *all = json_object();
    size_t i;

    for (i = 0; i < p->s->param_count; i++) {
        const ldm_param *k = &p->s->params[i];
        json_t *o = json_object();

        ldm_audit_json_set(&p->j, o, "value", typed(k->value));
        ldm_audit_json_set(&p->j, o, "origin", ldm_json_text(origin(p, k->origin)));
        ldm_audit_json_set(&p->j, o, "effect", ldm_json_text(effect_word(k->effect)));
        if (k->reason)
            ldm_audit_json_set(&p->j, o, "reason", ldm_json_text(k->reason));
        ldm_audit_json_set(&p->j, all, k->path, o);
    }
    return all;
}

static json_t *model_json(page *p)
{
    totals t = count(p->s);
    json_t *root = json_object(), *targets = json_object(), *parts = json_object();
    json_t *unknown = json_array(), *o;
    size_t i;

    for (i = 0; i < TARGET_COUNT; i++)
        ldm_audit_json_set(&p->j, targets, target_paths[i],
                           ldm_json_text(target(p, target_paths[i])));
    for (i = 0; i < LDM_COMPONENT_COUNT; i++) {
        o = json_object();
        ldm_audit_json_set(&p->j, o, "tensors", json_integer((json_int_t)t.component[i].tensors));
        ldm_audit_json_set(&p->j, o, "elements", json_integer((json_int_t)t.component[i].elements));
        ldm_audit_json_set(&p->j, parts, ldm_audit_group_label((int)i), o);
    }
    for (i = 0; i < p->s->unknown_count; i++) {
        const ldm_unknown_key *u = &p->s->unknown[i];

        o = json_object();
        ldm_audit_json_set(&p->j, o, "key", ldm_json_text(u->path));
        ldm_audit_json_set(&p->j, o, "origin", ldm_json_text(origin(p, u->origin)));
        ldm_audit_json_set(&p->j, o, "suggestion", ldm_json_text(u->suggestion));
        ldm_audit_json_add(&p->j, unknown, o);
    }
    ldm_audit_json_set(&p->j, root, "kind",
                       ldm_json_text(p->s->lone_first_stage ? "first stage" : "latent diffusion"));
    ldm_audit_json_set(&p->j, root, "targets", targets);
    ldm_audit_json_set(&p->j, root, "model_keys", json_integer(p->s->tensor_count));
    ldm_audit_json_set(&p->j, root, "parameters", json_integer((json_int_t)t.parameters));
    ldm_audit_json_set(&p->j, root, "components", parts);
    ldm_audit_json_set(&p->j, root, "downsample", json_integer(p->s->first_stage.factor));
    ldm_audit_json_set(&p->j, root, "conditions",
                       ldm_audit_conditions_json(p->s, ldm_audit_scale(p->cfg), &p->j));
    ldm_audit_json_set(&p->j, root, "settings", settings_json(p));
    ldm_audit_json_set(&p->j, root, "unknown", unknown);
    return root;
}

static json_t *no_model_json(page *p)
{
    const ldm_value *root = ldm_config_root(p->cfg);
    json_t *o = json_object(), *sections = json_array();
    size_t i;

    for (i = 0; i < ldm_value_count(root); i++)
        ldm_audit_json_add(&p->j, sections, ldm_json_text(ldm_value_key(ldm_value_at(root, i))));
    ldm_audit_json_set(&p->j, o, "kind", ldm_json_text("no model"));
    ldm_audit_json_set(&p->j, o, "sections", sections);
    return o;
}

static ldm_status overview(page *p, ldm_error *err)
{
    json_t *root;

    if (p->r->json) {
        root = p->s ? model_json(p) : no_model_json(p);
        return ldm_audit_json_write(&p->j, root, p->out, err);
    }
    if (p->s)
        text_model(p);
    else
        text_no_model(p);
    return LDM_OK;
}

ldm_status ldm_inspect_config(const ldm_config *cfg, const ldm_network *network,
                              const ldm_inspect_report *r, ldm_str *out, ldm_error *err)
{
    page p = {.cfg = cfg, .s = network, .r = r, .out = out};
    ldm_status st;

    if (!network && (r->keys || r->shapes))
        return ldm_error_set(
            err, LDM_ERR_CONFIG,
            "the configuration describes no model (no `model:` section), so it has "
            "no %s to list; give a CompVis YAML",
            r->keys ? "keys" : "layers");
    p.arena = ldm_arena_create(0);
    if (!p.arena)
        return ldm_error_nomem(err, 0, "the report");
    if (r->keys)
        st = keys(&p, err);
    else if (r->shapes)
        st = shapes(&p, err);
    else
        st = overview(&p, err);
    if (!st && out->failed)
        st = ldm_error_nomem(err, 0, "the report");
    ldm_arena_free(p.arena);
    return st;
}
