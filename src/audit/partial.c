/* SPDX-License-Identifier: MIT */
/* A configuration that ldm_network_create refuses, read part by part: each entry that names a
 * target (model, UNet, first stage, conditioner) is put among stand-ins that are known, and what is
 * refused then is refused for its own sake. So all reasons are found at once, and the parts that
 * are known are compared with the checkpoint as those of any other model. */
#include <stdio.h>
#include <string.h>

#include "audit/partial.h"
#include "base/alloc.h"

static const char stand_in_model[] = "model.target=ldm.models.diffusion.ddpm.LatentDiffusion";
static const char stand_in_unet[] =
    "model.params.unet_config={target: ldm.modules.diffusionmodules.openaimodel.UNetModel, params: "
    "{image_size: 8, in_channels: 3, out_channels: 3, model_channels: 32, num_res_blocks: 1, "
    "attention_resolutions: [], channel_mult: [1], num_heads: 1}}";
static const char stand_in_stage[] =
    "model.params.first_stage_config={target: ldm.models.autoencoder.IdentityFirstStage}";
static const char stand_in_cond[] = "model.params.cond_stage_config=__is_unconditional__";
/* Gives contexts of any width. */
static const char stand_in_contexts[] =
    "model.params.cond_stage_config={target: ldm.modules.encoders.modules.ClassEmbedder, params: "
    "{n_classes: 1, embed_dim: %lld}}";

static const struct {
    const char *label, *path;
} entries[LDM_PARTIAL_ROLES] = {
    [LDM_PARTIAL_MODEL] = {"model", "model"},
    [LDM_PARTIAL_UNET] = {"UNet", "model.params.unet_config"},
    [LDM_PARTIAL_STAGE] = {"first stage", "model.params.first_stage_config"},
    [LDM_PARTIAL_COND] = {"conditioner", "model.params.cond_stage_config"},
};

/* The role that a component of a checkpoint belongs to. */
static int role_of(ldm_component c)
{
    static const int roles[LDM_COMPONENT_COUNT] = {
        [LDM_COMPONENT_SCHEDULE] = LDM_PARTIAL_MODEL,
        [LDM_COMPONENT_UNET] = LDM_PARTIAL_UNET,
        [LDM_COMPONENT_EMA] = LDM_PARTIAL_UNET,
        [LDM_COMPONENT_FIRST_STAGE] = LDM_PARTIAL_STAGE,
        [LDM_COMPONENT_COND_STAGE] = LDM_PARTIAL_COND,
    };

    return roles[c];
}

/* ---- lists of texts -------------------------------------------------------------------------- */

static ldm_status add_text(ldm_partial *p, const char ***list, size_t *count, size_t *cap,
                           const char *text, ldm_error *err)
{
    size_t i;

    for (i = 0; i < *count; i++) {
        if (!strcmp((*list)[i], text))
            return LDM_OK;
    }
    if (!ldm_grow(list, cap, *count + 1, sizeof **list))
        return ldm_error_nomem(err, 0, "the report");
    (*list)[*count] = ldm_arena_strdup(p->arena, text);
    if (!(*list)[*count])
        return ldm_error_nomem(err, 0, "the report");
    ++*count;
    return LDM_OK;
}

/* Keeps why a part is refused; passes on what is no refusal. */
static ldm_status add_reason(ldm_partial *p, ldm_status st, const ldm_error *why, ldm_error *err)
{
    if (st != LDM_ERR_UNSUPPORTED && st != LDM_ERR_CONFIG) {
        if (err)
            *err = *why;
        return st;
    }
    p->unsupported |= st == LDM_ERR_UNSUPPORTED;
    return add_text(p, &p->reasons, &p->reason_count, &p->reason_cap, why->msg, err);
}

/* ---- one part among stand-ins ---------------------------------------------------------------- */

/* Two maps would merge: the old value goes before the new one comes. */
static ldm_status put(ldm_config *cfg, const char *assignment, ldm_error *err)
{
    char clear[64];
    ldm_status st;

    snprintf(clear, sizeof clear, "%.*s=", (int)strcspn(assignment, "="), assignment);
    st = ldm_config_set(cfg, clear, err);
    return st ? st : ldm_config_set(cfg, assignment, err);
}

/* Whether the checkpoint's EMA shadows belong to the UNet: use_ema of the whole configuration. */
static bool use_ema(const ldm_config *cfg)
{
    const ldm_value *v = ldm_value_find(ldm_config_root(cfg), "model.params.use_ema");
    bool ema = true;

    if (v && ldm_value_bool(v, &ema, NULL))
        return true;
    return ema;
}

static const ldm_value *value_at(const ldm_partial *p, const char *path)
{
    return ldm_value_find(ldm_config_root(p->cfg), path);
}

/* What passes contexts and labels to the UNet: without it one that reads them would be refused for
 * what its stand-ins lack. */
static ldm_status pass_conditions(const ldm_partial *p, ldm_config *cfg, ldm_error *err)
{
    const ldm_value *key = value_at(p, "model.params.conditioning_key");
    const ldm_value *width = value_at(p, "model.params.unet_config.params.context_dim");
    const char *name;
    char text[256];
    int64_t n;
    ldm_status st;

    if (!key || ldm_value_get_kind(key) != LDM_VALUE_STRING || ldm_value_string(key, &name, NULL))
        return put(cfg, stand_in_cond, err);
    if (!width || ldm_value_get_kind(width) != LDM_VALUE_INT || ldm_value_int(width, &n, NULL) ||
        n < 1)
        n = 1;
    snprintf(text, sizeof text, "model.params.conditioning_key=%.100s", name);
    st = ldm_config_set(cfg, text, err);
    snprintf(text, sizeof text, stand_in_contexts, (long long)n);
    return st ? st : put(cfg, text, err);
}

static ldm_status surround(const ldm_partial *p, int role, ldm_config *cfg, ldm_error *err)
{
    ldm_status st = LDM_OK;

    if (role != LDM_PARTIAL_MODEL)
        st = put(cfg, stand_in_model, err);
    if (!st && role != LDM_PARTIAL_UNET)
        st = put(cfg, stand_in_unet, err);
    if (!st && role != LDM_PARTIAL_STAGE)
        st = put(cfg, stand_in_stage, err);
    if (!st && role == LDM_PARTIAL_UNET)
        st = pass_conditions(p, cfg, err);
    else if (!st && role != LDM_PARTIAL_COND)
        st = put(cfg, stand_in_cond, err);
    if (!st && role == LDM_PARTIAL_UNET)
        st = ldm_config_set(
            cfg, use_ema(p->cfg) ? "model.params.use_ema=true" : "model.params.use_ema=false", err);
    return st;
}

/* A model of an unknown class is read as LatentDiffusion once more, for the reasons that its
 * parameters give. */
static ldm_status look_further(ldm_partial *p, ldm_config *cfg, ldm_error *err)
{
    ldm_network *network = NULL;
    ldm_error why = {0};
    ldm_status st = put(cfg, stand_in_model, &why);

    if (!st)
        st = ldm_network_create(cfg, NULL, &network, &why);
    ldm_network_free(network);
    return st ? add_reason(p, st, &why, err) : LDM_OK;
}

static ldm_status read_role(ldm_partial *p, int role, ldm_error *err)
{
    ldm_partial_role *r = &p->roles[role];
    const ldm_shape_source shapes = ldm_audit_shape_source(p->ck);
    ldm_error why = {0};
    ldm_status st = ldm_config_extract(p->cfg, r->path, &r->cfg, &why);

    if (!st)
        st = surround(p, role, r->cfg, &why);
    if (!st)
        st = ldm_network_create(r->cfg, p->ck ? &shapes : NULL, &r->network, &why);
    if (!st)
        return LDM_OK;
    st = add_reason(p, st, &why, err);
    if (!st && role == LDM_PARTIAL_MODEL && r->cfg)
        st = look_further(p, r->cfg, err);
    return st;
}

/* "config.yaml:41" without the folder. NULL when out of memory. */
static const char *place_of(const ldm_partial *p, ldm_origin o)
{
    const char *slash = o.source ? strrchr(o.source, '/') : NULL;

    if (slash && slash[1])
        o.source = slash + 1;
    return ldm_audit_origin_text(p->arena, o);
}

/* What the configuration names: {target: NAME}, or NAME alone. */
static ldm_status find_target(ldm_partial *p, ldm_partial_role *r, ldm_error *err)
{
    const ldm_value *at = ldm_value_find(ldm_config_root(p->cfg), r->path);
    const ldm_value *target =
        at && ldm_value_get_kind(at) == LDM_VALUE_MAP ? ldm_value_find(at, "target") : at;

    r->written = at && ldm_value_get_kind(at) != LDM_VALUE_NULL;
    if (!target || ldm_value_get_kind(target) != LDM_VALUE_STRING ||
        ldm_value_string(target, &r->target, NULL))
        return LDM_OK;
    r->place = place_of(p, ldm_value_origin(target));
    return r->place ? LDM_OK : ldm_error_nomem(err, 0, "the report");
}

/* ---- against the checkpoint ------------------------------------------------------------------ */

static ldm_status add_fault(ldm_partial *p, const ldm_tensor_decl *expected,
                            const ldm_tensor_info *found, ldm_error *err)
{
    if (!ldm_grow(&p->faults, &p->fault_cap, p->fault_count + 1, sizeof *p->faults))
        return ldm_error_nomem(err, 0, "the report");
    p->faults[p->fault_count++] = (ldm_partial_fault){expected, found};
    return LDM_OK;
}

/* The tensors of one part; those of its stand-ins are left out. */
static ldm_status match_role(ldm_partial *p, int role, ldm_error *err)
{
    const ldm_audit *a = p->roles[role].audit;
    ldm_status st = LDM_OK;
    int k;

    for (k = 0; !st && k < a->network->tensor_count; k++) {
        const ldm_tensor_decl *t = &a->network->tensors[k];
        const ldm_tensor_info *have;

        if (role_of(t->component) != role)
            continue;
        have = ldm_ckpt_find(p->ck, t->name);
        p->want[t->component]++;
        p->used[role] += ldm_audit_run_uses(a, t);
        if (have && ldm_audit_same_shape(t, have))
            p->matching[t->component]++;
        else if (ldm_audit_run_uses(a, t))
            st = add_fault(p, t, have, err);
    }
    return st;
}

static ldm_status compare_role(ldm_partial *p, int role, int ema, ldm_error *err)
{
    ldm_partial_role *r = &p->roles[role];
    /* --ema and --no-ema are about the UNet's weights. */
    ldm_status st = ldm_audit_create(r->network, p->ck, role == LDM_PARTIAL_UNET ? ema : -1, NULL,
                                     &r->audit, err);

    return st ? st : match_role(p, role, err);
}

/* ---- what shapes show of the UNet -------------------------------------------------------------
 */

static bool int_at(const ldm_partial *p, const char *name, int64_t *out)
{
    char path[128];
    const ldm_value *v;

    snprintf(path, sizeof path, "model.params.unet_config.params.%s", name);
    v = ldm_value_find(ldm_config_root(p->cfg), path);
    return v && ldm_value_get_kind(v) == LDM_VALUE_INT && !ldm_value_int(v, out, NULL);
}

static ldm_status compare_int(ldm_partial *p, const char *name, int found, ldm_error *err)
{
    char text[160];
    int64_t wanted;

    if (found <= 0 || !int_at(p, name, &wanted))
        return LDM_OK;
    if (wanted == found) {
        p->agreements++;
        return LDM_OK;
    }
    snprintf(text, sizeof text,
             "the checkpoint's UNet has %s %d, the configuration says %lld: "
             "--set model.params.unet_config.params.%s=%d",
             name, found, (long long)wanted, name, found);
    return add_text(p, &p->differences, &p->difference_count, &p->difference_cap, text, err);
}

static ldm_status compare_widths(ldm_partial *p, ldm_error *err)
{
    const ldm_value *v =
        ldm_value_find(ldm_config_root(p->cfg), "model.params.unet_config.params.channel_mult");
    const ldm_int_list *found = &p->inferred.channel_mult;
    size_t i, count;
    bool same;

    if (!v || ldm_value_get_kind(v) != LDM_VALUE_LIST || !found->count)
        return LDM_OK;
    count = ldm_value_count(v);
    same = count == (size_t)found->count;
    for (i = 0; same && i < count; i++) {
        int64_t n = 0;

        same = !ldm_value_int(ldm_value_at(v, i), &n, NULL) && n == found->items[i];
    }
    p->agreements += same;
    if (same)
        return LDM_OK;
    return add_text(p, &p->differences, &p->difference_count, &p->difference_cap,
                    "the checkpoint's UNet has another channel_mult than the configuration says",
                    err);
}

static ldm_status compare_shapes(ldm_partial *p, ldm_error *err)
{
    const ldm_inferred *in = &p->inferred;
    ldm_status st;

    if (!in->unet_prefix)
        return LDM_OK;
    st = compare_int(p, "model_channels", in->model_channels, err);
    if (!st)
        st = compare_int(p, "in_channels", in->in_channels, err);
    if (!st)
        st = compare_int(p, "out_channels", in->out_channels, err);
    if (!st)
        st = compare_int(p, "num_res_blocks", in->num_res_blocks, err);
    return st ? st : compare_widths(p, err);
}

static ldm_status compare(ldm_partial *p, int ema, ldm_error *err)
{
    ldm_status st = ldm_audit_infer(p->ck, p->arena, &p->inferred, err);
    size_t i;
    int role;

    for (i = 0; !st && i < ldm_ckpt_count(p->ck); i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(p->ck, i);

        ldm_audit_tally_add(&p->file[ldm_audit_key_group(t->name)], t->numel,
                            t->numel * ldm_dtype_size(t->dtype));
    }
    for (role = 0; !st && role < LDM_PARTIAL_ROLES; role++) {
        if (p->roles[role].network)
            st = compare_role(p, role, ema, err);
    }
    if (!st && (!p->roles[LDM_PARTIAL_UNET].network || p->fault_count))
        st = compare_shapes(p, err);
    return st;
}

/* ---- all ------------------------------------------------------------------------------------- */

ldm_status ldm_partial_create(const ldm_config *cfg, const ldm_ckpt *ck, int ema,
                              const ldm_error *why, ldm_partial **out, ldm_error *err)
{
    ldm_partial *p = ldm_calloc(1, sizeof *p);
    ldm_status st = LDM_OK;
    int role;

    *out = NULL;
    if (p)
        p->arena = ldm_arena_create(0);
    if (!p || !p->arena) {
        ldm_partial_free(p);
        return ldm_error_nomem(err, sizeof *p, "the report");
    }
    p->cfg = cfg;
    p->ck = ck;
    p->family = ldm_audit_family(cfg);
    if (why)
        st = add_reason(p, why->code, why, err);
    for (role = 0; !st && role < LDM_PARTIAL_ROLES; role++) {
        p->roles[role].label = entries[role].label;
        p->roles[role].path = entries[role].path;
        st = find_target(p, &p->roles[role], err);
        if (!st && p->roles[role].written)
            st = read_role(p, role, err);
    }
    if (!st && ck)
        st = compare(p, ema, err);
    if (st)
        ldm_partial_free(p);
    else
        *out = p;
    return st;
}

void ldm_partial_free(ldm_partial *p)
{
    int role;

    if (!p)
        return;
    for (role = 0; role < LDM_PARTIAL_ROLES; role++) {
        ldm_audit_free(p->roles[role].audit);
        ldm_network_free(p->roles[role].network);
        ldm_config_free(p->roles[role].cfg);
    }
    ldm_free(p->reasons);
    ldm_free(p->faults);
    ldm_free(p->differences);
    ldm_arena_free(p->arena);
    ldm_free(p);
}

bool ldm_partial_wrong(const ldm_partial *p)
{
    return !p->unsupported;
}

bool ldm_partial_fits(const ldm_partial *p)
{
    return !p->fault_count && !p->difference_count;
}

bool ldm_partial_judged(const ldm_partial *p)
{
    return p->agreements || p->difference_count || p->used[LDM_PARTIAL_UNET] ||
           p->used[LDM_PARTIAL_STAGE] || p->used[LDM_PARTIAL_COND];
}

/* The first reason keeps its place at the beginning, where editors look for it. */
ldm_status ldm_partial_refuse(const ldm_partial *p, ldm_error *err)
{
    ldm_str s = {0};
    size_t i;

    if (!err)
        return LDM_ERR_UNSUPPORTED;
    ldm_str_puts(&s, err->msg);
    for (i = 0; i < p->reason_count; i++) {
        if (strcmp(p->reasons[i], err->msg)) /* without the list of what is known instead */
            ldm_str_printf(&s, "; also %.*s", (int)strcspn(p->reasons[i], ";"), p->reasons[i]);
    }
    ldm_str_printf(&s, "; %s%s%s`ldm check` reports what can be read of the model",
                   p->family ? "this is " : "", p->family ? p->family : "", p->family ? "; " : "");
    if (!s.failed)
        snprintf(err->msg, sizeof err->msg, "%s", s.data);
    ldm_str_free(&s);
    return LDM_ERR_UNSUPPORTED;
}
