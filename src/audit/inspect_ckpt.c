/* SPDX-License-Identifier: MIT */
/* `ldm inspect` of a checkpoint: everything that can be known without reading weights. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit/internal.h"
#include "infer/infer.h"

enum { FIRST = 10 };

typedef struct page {
    const ldm_ckpt *ck;
    const ldm_inspect_report *r;
    ldm_str *out;
    ldm_tally group[LDM_GROUP_COUNT], kind[LDM_KIND_COUNT], dtype[LDM_DTYPE_COUNT], total;
    ldm_inferred inferred;
    ldm_json j;
} page;

static void tally(page *p)
{
    size_t i;

    for (i = 0; i < ldm_ckpt_count(p->ck); i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(p->ck, i);
        uint64_t bytes = t->numel * ldm_dtype_size(t->dtype);

        ldm_audit_tally_add(&p->group[ldm_audit_key_group(t->name)], t->numel, bytes);
        ldm_audit_tally_add(&p->kind[ldm_audit_key_kind_of(t->name)], t->numel, bytes);
        ldm_audit_tally_add(&p->dtype[t->dtype], t->numel, bytes);
        ldm_audit_tally_add(&p->total, t->numel, bytes);
    }
}

/* Byte offset of element 0 where the file stores it plainly. */
static uint64_t offset_of(const ldm_tensor_info *t)
{
    return t->storage_offset + t->offset_elems * ldm_dtype_size(t->dtype);
}

/* ---- text --------------------------------------------------------------------------------------
 */

static void put_tally(page *p, const char *label, const ldm_tally *t)
{
    char n[32], bytes[16];

    if (t->tensors)
        ldm_str_printf(p->out, "  %-24s %8" PRIu64 " %18s %10s\n", label, t->tensors,
                       ldm_format_count(t->elements, n), ldm_format_bytes(t->bytes, bytes));
}

static void totals(page *p)
{
    int i;

    ldm_audit_heading(p->out, p->r->colour, "Contents");
    ldm_str_printf(p->out, "  %-24s %8s %18s %10s\n", "", "tensors", "numbers", "bytes");
    for (i = 0; i < LDM_GROUP_COUNT; i++)
        put_tally(p, ldm_audit_group_label(i), &p->group[i]);
    for (i = 0; i < LDM_KIND_COUNT; i++)
        put_tally(p, ldm_audit_key_kind_label((ldm_key_kind)i), &p->kind[i]);
    for (i = 0; i < LDM_DTYPE_COUNT; i++)
        put_tally(p, ldm_dtype_name((ldm_dtype)i), &p->dtype[i]);
    put_tally(p, "all", &p->total);
}

static void put_list(ldm_str *out, const char *label, const ldm_int_list *l)
{
    int i;

    if (!l->count)
        return;
    ldm_str_printf(out, " %s [", label);
    for (i = 0; i < l->count; i++)
        ldm_str_printf(out, i ? ", %d" : "%d", l->items[i]);
    ldm_str_puts(out, "]");
}

static void put_int(ldm_str *out, const char *label, int v)
{
    if (v > 0)
        ldm_str_printf(out, " %s %d", label, v);
}

void ldm_audit_put_inferred(ldm_str *out, const ldm_inferred *in)
{
    if (in->unet_prefix) {
        ldm_str_puts(out, in->unet_from_ema ? "  UNet (EMA only):" : "  UNet:");
        put_int(out, "model_channels", in->model_channels);
        put_list(out, "channel_mult", &in->channel_mult);
        put_int(out, "num_res_blocks", in->num_res_blocks);
        put_list(out, "attends at 1/", &in->attention);
        put_int(out, "in", in->in_channels);
        put_int(out, "out", in->out_channels);
        ldm_str_puts(out, in->cross_attention ? " cross-attention\n" : "\n");
    }
    if (in->stage_prefix) {
        ldm_str_puts(out, in->codebook    ? "  first stage (VQ):"
                          : in->posterior ? "  first stage (KL):"
                          : in->gumbel    ? "  first stage (Gumbel):"
                                          : "  first stage:");
        put_int(out, "ch", in->ch);
        put_list(out, "ch_mult", &in->ch_mult);
        put_int(out, "num_res_blocks", in->stage_res_blocks);
        put_int(out, "z_channels", in->z_channels);
        put_int(out, "embed_dim", in->embed_dim);
        put_int(out, "n_embed", in->n_embed);
        ldm_str_puts(out, "\n");
    }
    if (in->diffusers)
        ldm_str_puts(out, "  keys as Hugging Face diffusers names them: not a CompVis file\n");
}

static void inferred(page *p)
{
    const ldm_inferred *in = &p->inferred;

    if (!in->unet_prefix && !in->stage_prefix && !in->diffusers)
        return;
    ldm_audit_heading(p->out, p->r->colour, "What the shapes say");
    ldm_audit_put_inferred(p->out, in);
}

static void tensors(page *p)
{
    size_t n = ldm_ckpt_count(p->ck), shown = p->r->all || n < FIRST ? n : FIRST, i;

    ldm_audit_heading(p->out, p->r->colour, "Tensors");
    for (i = 0; i < shown; i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(p->ck, i);

        ldm_str_puts(p->out, "  ");
        ldm_audit_put_name(p->out, t->name);
        ldm_str_printf(p->out, "  %s ", ldm_dtype_name(t->dtype));
        ldm_audit_put_shape_info(p->out, t);
        if (*t->storage) {
            ldm_str_puts(p->out, "  storage ");
            ldm_audit_put_name(p->out, t->storage);
        }
        ldm_str_printf(p->out, "  at %" PRIu64 "%s\n", offset_of(t),
                       t->contiguous ? "" : "  strided view");
    }
    if (shown < n)
        ldm_str_printf(p->out, "  ... and %zu more (--all shows them)\n", n - shown);
}

/* Optimizer states are many and say little: only with --all. */
static void metadata(page *p)
{
    enum { FIRST_META = 40 };
    size_t n = ldm_ckpt_meta_count(p->ck), shown = 0, i;

    if (!n)
        return;
    ldm_audit_heading(p->out, p->r->colour, "Metadata");
    for (i = 0; i < n; i++) {
        const char *path = ldm_ckpt_meta_path(p->ck, i);

        if (!p->r->all && (shown == FIRST_META || ldm_audit_starts_with(path, "optimizer_states")))
            continue;
        ldm_str_puts(p->out, "  ");
        ldm_audit_put_name(p->out, path);
        ldm_str_puts(p->out, " = ");
        ldm_audit_put_name(p->out, ldm_ckpt_meta_value(p->ck, i));
        ldm_str_puts(p->out, "\n");
        shown++;
    }
    if (shown < n)
        ldm_str_printf(p->out, "  ... and %zu more (--all shows them)\n", n - shown);
}

static void globals(page *p)
{
    size_t n = ldm_ckpt_global_count(p->ck), i;

    if (!n)
        return;
    ldm_audit_heading(p->out, p->r->colour, "Pickle globals (none is ever called)");
    for (i = 0; i < n; i++) {
        ldm_ckpt_global g = ldm_ckpt_global_at(p->ck, i);

        ldm_str_printf(p->out, "  %12" PRIu64 "  ", g.offset);
        ldm_audit_paint(p->out, p->r->colour, g.known ? LDM_TONE_GOOD : LDM_TONE_WARN,
                        g.known ? "known  " : "unknown");
        ldm_str_puts(p->out, "  ");
        ldm_audit_put_name(p->out, g.name);
        ldm_str_puts(p->out, "\n");
    }
}

static void warnings(page *p)
{
    size_t i;

    if (!ldm_ckpt_warning_count(p->ck))
        return;
    ldm_audit_heading(p->out, p->r->colour, "Warnings");
    for (i = 0; i < ldm_ckpt_warning_count(p->ck); i++) {
        ldm_str_puts(p->out, "  ");
        ldm_audit_put_wrapped(p->out, p->r->width, 4, 2, ldm_ckpt_warning(p->ck, i));
    }
}

static void text(page *p)
{
    const char *path = ldm_ckpt_state_dict_path(p->ck), *other;
    char bytes[16];

    ldm_audit_put_name(p->out, ldm_ckpt_path(p->ck));
    ldm_str_printf(p->out, "\n%s, %s, state dict ", ldm_ckpt_format(p->ck),
                   ldm_format_bytes(ldm_ckpt_file_bytes(p->ck), bytes));
    if (*path)
        ldm_str_printf(p->out, "under \"%s\"\n", path);
    else
        ldm_str_puts(p->out, "at the top\n");
    other = ldm_infer_other_kind(p->ck, false);
    if (other) {
        ldm_str_puts(p->out, "holds ");
        ldm_audit_put_wrapped(p->out, p->r->width, 2, 6, other);
    }
    totals(p);
    inferred(p);
    tensors(p);
    metadata(p);
    globals(p);
    warnings(p);
}

static void keys_text(page *p)
{
    size_t i;

    for (i = 0; i < ldm_ckpt_count(p->ck); i++) {
        ldm_audit_put_name(p->out, ldm_ckpt_at(p->ck, i)->name);
        ldm_str_puts(p->out, "\n");
    }
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

static json_t *integer(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static void set_tally(page *p, json_t *object, const char *label, const ldm_tally *t)
{
    json_t *o;

    if (!t->tensors)
        return;
    o = json_object();
    ldm_audit_json_set(&p->j, o, "tensors", integer(t->tensors));
    ldm_audit_json_set(&p->j, o, "elements", integer(t->elements));
    ldm_audit_json_set(&p->j, o, "bytes", integer(t->bytes));
    ldm_audit_json_set(&p->j, object, label, o);
}

static json_t *tensors_json(page *p)
{
    json_t *all = json_array();
    size_t i;

    for (i = 0; i < ldm_ckpt_count(p->ck); i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(p->ck, i);
        json_t *o = json_object();

        ldm_audit_json_set(&p->j, o, "name", ldm_json_text(t->name));
        ldm_audit_json_set(&p->j, o, "dtype", ldm_json_text(ldm_dtype_name(t->dtype)));
        ldm_audit_json_set(&p->j, o, "shape", ldm_audit_json_shape_info(t));
        ldm_audit_json_set(&p->j, o, "storage", ldm_json_text(t->storage));
        ldm_audit_json_set(&p->j, o, "offset", integer(offset_of(t)));
        ldm_audit_json_set(&p->j, o, "contiguous", json_boolean(t->contiguous));
        ldm_audit_json_add(&p->j, all, o);
    }
    return all;
}

static json_t *keys_json(page *p)
{
    json_t *all = json_array();
    size_t i;

    for (i = 0; i < ldm_ckpt_count(p->ck); i++)
        ldm_audit_json_add(&p->j, all, ldm_json_text(ldm_ckpt_at(p->ck, i)->name));
    return all;
}

static void extras_json(page *p, json_t *root)
{
    json_t *meta = json_array(), *names = json_array(), *warn = json_array(), *o;
    size_t i;

    for (i = 0; i < ldm_ckpt_meta_count(p->ck); i++) {
        o = json_object();
        ldm_audit_json_set(&p->j, o, "path", ldm_json_text(ldm_ckpt_meta_path(p->ck, i)));
        ldm_audit_json_set(&p->j, o, "value", ldm_json_text(ldm_ckpt_meta_value(p->ck, i)));
        ldm_audit_json_add(&p->j, meta, o);
    }
    for (i = 0; i < ldm_ckpt_global_count(p->ck); i++) {
        ldm_ckpt_global g = ldm_ckpt_global_at(p->ck, i);

        o = json_object();
        ldm_audit_json_set(&p->j, o, "name", ldm_json_text(g.name));
        ldm_audit_json_set(&p->j, o, "offset", integer(g.offset));
        ldm_audit_json_set(&p->j, o, "known", json_boolean(g.known));
        ldm_audit_json_add(&p->j, names, o);
    }
    for (i = 0; i < ldm_ckpt_warning_count(p->ck); i++)
        ldm_audit_json_add(&p->j, warn, ldm_json_text(ldm_ckpt_warning(p->ck, i)));
    ldm_audit_json_set(&p->j, root, "metadata", meta);
    ldm_audit_json_set(&p->j, root, "globals", names);
    ldm_audit_json_set(&p->j, root, "warnings", warn);
}

static json_t *json(page *p)
{
    json_t *root = json_object(), *groups = json_object(), *kinds = json_object();
    json_t *dtypes = json_object();
    int i;

    for (i = 0; i < LDM_GROUP_COUNT; i++)
        set_tally(p, groups, ldm_audit_group_label(i), &p->group[i]);
    for (i = 0; i < LDM_KIND_COUNT; i++)
        set_tally(p, kinds, ldm_audit_key_kind_label((ldm_key_kind)i), &p->kind[i]);
    for (i = 0; i < LDM_DTYPE_COUNT; i++)
        set_tally(p, dtypes, ldm_dtype_name((ldm_dtype)i), &p->dtype[i]);
    ldm_audit_json_set(&p->j, root, "kind", ldm_json_text("checkpoint"));
    ldm_audit_json_set(&p->j, root, "path", ldm_json_text(ldm_ckpt_path(p->ck)));
    ldm_audit_json_set(&p->j, root, "format", ldm_json_text(ldm_ckpt_format(p->ck)));
    ldm_audit_json_set(&p->j, root, "bytes", integer(ldm_ckpt_file_bytes(p->ck)));
    ldm_audit_json_set(&p->j, root, "state_dict", ldm_json_text(ldm_ckpt_state_dict_path(p->ck)));
    ldm_audit_json_set(&p->j, root, "tensor_count", integer(p->total.tensors));
    ldm_audit_json_set(&p->j, root, "elements", integer(p->total.elements));
    ldm_audit_json_set(&p->j, root, "components", groups);
    ldm_audit_json_set(&p->j, root, "kinds", kinds);
    ldm_audit_json_set(&p->j, root, "dtypes", dtypes);
    ldm_audit_json_set(&p->j, root, "tensors", tensors_json(p));
    extras_json(p, root);
    return root;
}

ldm_status ldm_inspect_checkpoint(const ldm_ckpt *ck, const ldm_inspect_report *r, ldm_str *out,
                                  ldm_error *err)
{
    page p = {.ck = ck, .r = r, .out = out};
    ldm_arena *arena;
    ldm_status st;

    if (r->shapes)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s: --shapes lists the layers that a configuration describes; give "
                             "the YAML file instead",
                             ldm_ckpt_path(ck));
    if (r->json && r->keys)
        return ldm_audit_json_write(&p.j, keys_json(&p), out, err);
    if (r->keys) {
        keys_text(&p);
        return out->failed ? ldm_error_nomem(err, 0, "the report") : LDM_OK;
    }
    arena = ldm_arena_create(0);
    if (!arena)
        return ldm_error_nomem(err, 0, "the report");
    tally(&p);
    st = ldm_audit_infer(ck, arena, &p.inferred, err);
    if (!st && r->json)
        st = ldm_audit_json_write(&p.j, json(&p), out, err);
    else if (!st)
        text(&p);
    if (!st && out->failed)
        st = ldm_error_nomem(err, 0, "the report");
    ldm_arena_free(arena);
    return st;
}
