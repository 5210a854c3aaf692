/* SPDX-License-Identifier: MIT */
/* Compares every tensor of the description with the checkpoint's, by name and shape, and takes the
 * settings that come from the file. Other files make the reports; see internal.h. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "audit/internal.h"
#include "base/alloc.h"
#include "base/half.h"

/* load_state_dict takes a one-element vector for a 0-d buffer (files from before PyTorch 0.4). */
bool ldm_audit_same_shape(const ldm_tensor_decl *want, const ldm_tensor_info *have)
{
    int i;

    if (want->ndim == 0 && have->ndim == 1 && have->numel == 1)
        return true;
    if (want->ndim != have->ndim)
        return false;
    for (i = 0; i < want->ndim; i++) {
        if ((uint64_t)want->shape[i] != have->shape[i])
            return false;
    }
    return true;
}

static int shape_in_file(const void *ctx, const char *name, int64_t *dims)
{
    const ldm_tensor_info *t = ldm_ckpt_find(ctx, name);
    int i;

    if (!t || t->ndim > 4)
        return -1;
    for (i = 0; i < t->ndim; i++)
        dims[i] = t->shape[i] <= INT64_MAX ? (int64_t)t->shape[i] : 0;
    return t->ndim;
}

ldm_shape_source ldm_audit_shape_source(const ldm_ckpt *ck)
{
    return (ldm_shape_source){ck, shape_in_file};
}

bool ldm_audit_run_uses(const ldm_audit *a, const ldm_tensor_decl *t)
{
    return a->priv->run_uses[t - a->network->tensors];
}

const char *ldm_audit_missing_reason(const ldm_audit *a, const ldm_tensor_decl *t)
{
    if (ldm_audit_run_uses(a, t))
        return NULL;
    switch (t->component) {
    case LDM_COMPONENT_SCHEDULE:
        return strcmp(t->name, "scale_factor") == 0 ? "taken from the configuration"
                                                    : "computed from the configuration";
    case LDM_COMPONENT_UNET:
        return "the EMA shadows are used instead";
    case LDM_COMPONENT_EMA:
        return "the raw weights are used instead";
    case LDM_COMPONENT_COND_STAGE:
        return "sampling does not read it";
    default:
        return "of the encoder; sampling does not read it";
    }
}

static bool has_shadows(const ldm_network *s, const ldm_ckpt *ck)
{
    int i;

    for (i = 0; i < s->tensor_count; i++) {
        int shadow = s->tensors[i].ema;

        if (s->tensors[i].component == LDM_COMPONENT_UNET && shadow >= 0 &&
            ldm_ckpt_find(ck, s->tensors[shadow].name))
            return true;
    }
    return false;
}

/* LitEma counts its updates; 0 is what it begins with. */
static ldm_status find_updates(ldm_audit *a, ldm_error *err)
{
    const ldm_tensor_info *t = ldm_ckpt_find(a->ckpt, "model_ema.num_updates");
    float updates = 1;
    ldm_status st = LDM_OK;

    if (t && t->numel == 1 && ldm_dtype_readable(t->dtype))
        st = ldm_ckpt_read_f32(a->ckpt, t, &updates, err);
    a->priv->ema_never_updated = updates == 0;
    return st;
}

static ldm_status choose_weights(ldm_audit *a, int ema, ldm_error *err)
{
    ldm_effective *e = &a->effective;
    bool shadows = has_shadows(a->network, a->ckpt);

    if (ema == 1 && !a->network->diffusion.use_ema)
        return ldm_error_set(
            err, LDM_ERR_USAGE,
            "--ema: the configuration says use_ema: false, so its model has no EMA "
            "weights; add --set model.params.use_ema=true");
    if (ema == 1 && !shadows)
        return ldm_error_set(err, LDM_ERR_MISMATCH,
                             "%s: --ema was asked for, but the file has no model_ema.* tensors; "
                             "leave it out to use the raw weights",
                             ldm_ckpt_path(a->ckpt));
    a->priv->ema_asked = ema;
    e->ema = ema == 1 || (ema == -1 && a->network->diffusion.use_ema && shadows);
    if (ema == 1)
        e->ema_reason = "--ema was given";
    else if (ema == 0)
        e->ema_reason = "--no-ema was given";
    else if (e->ema)
        e->ema_reason = "use_ema is true and the file has model_ema.*";
    else if (a->network->diffusion.use_ema)
        e->ema_reason =
            "the file has no model_ema.* (the original would sample with random shadows)";
    else
        e->ema_reason = "use_ema is false";
    return shadows ? find_updates(a, err) : LDM_OK;
}

/* Which tensors a sampling run reads: the UNet or its shadows, conditioner, decoder and codebook. A
 * scale_factor buffer counts too if nothing else gives the number, because it cannot be computed.
 */
static void mark_used(ldm_audit *a)
{
    const ldm_network *s = a->network;
    const ldm_param *scale = ldm_network_param(s, "scale_factor");
    int i;

    for (i = 0; i < s->tensor_count; i++) {
        const ldm_tensor_decl *t = &s->tensors[i];

        if (t->component == LDM_COMPONENT_UNET && (t->used & LDM_USED_UNET))
            a->priv->run_uses[a->effective.ema && t->ema >= 0 ? t->ema : i] = true;
        else if (t->component == LDM_COMPONENT_FIRST_STAGE)
            a->priv->run_uses[i] |= (t->used & (LDM_USED_DECODE | LDM_USED_QUANTIZE)) != 0;
        else if (t->component == LDM_COMPONENT_COND_STAGE)
            a->priv->run_uses[i] |= (t->used & LDM_USED_COND) != 0;
        else if (t->component == LDM_COMPONENT_SCHEDULE && strcmp(t->name, "scale_factor") == 0)
            a->priv->run_uses[i] = !(scale && scale->origin.source);
    }
}

static void match(ldm_audit *a)
{
    const ldm_network *s = a->network;
    size_t i;
    int k;

    for (k = 0; k < s->tensor_count; k++) {
        const ldm_tensor_decl *t = &s->tensors[k];
        const ldm_tensor_info *have = ldm_ckpt_find(a->ckpt, t->name);

        if (!have) {
            a->missing[a->missing_count++] = t;
            a->run_missing += a->priv->run_uses[k];
        } else if (!ldm_audit_same_shape(t, have)) {
            ldm_shape_mismatch *m = &a->mismatched[a->mismatched_count++];

            m->expected = t;
            m->found = have;
            /* A schedule of another length would be used by the sampler as it is. */
            a->run_mismatched += a->priv->run_uses[k] || strcmp(t->name, "alphas_cumprod") == 0;
        } else {
            a->matching++;
        }
    }
    for (i = 0; i < a->checkpoint_keys; i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(a->ckpt, i);

        if (ldm_network_find(s, t->name) < 0)
            a->unexpected[a->unexpected_count++] = t;
    }
    a->initialised = a->policy.init_missing ? a->run_missing : 0;
    a->fits = a->run_missing == a->initialised && a->run_mismatched == 0;
    if (a->policy.strict)
        a->fits = !a->missing_count && !a->mismatched_count && !a->unexpected_count;
}

static bool dtype_is_float(ldm_dtype d)
{
    return d == LDM_DTYPE_F64 || d == LDM_DTYPE_F32 || d == LDM_DTYPE_F16 || d == LDM_DTYPE_BF16 ||
           d == LDM_DTYPE_F8_E4M3 || d == LDM_DTYPE_F8_E5M2;
}

/* Relative error that rounding to the file's dtype may leave. */
static double dtype_tolerance(ldm_dtype d)
{
    if (d == LDM_DTYPE_F16)
        return 1e-3;
    return d == LDM_DTYPE_BF16 ? 8e-3 : 2e-6;
}

/* The type that the values were rounded to, whatever they are stored in: a file of float16 may have
 * been widened since. */
static ldm_dtype rounded_to(ldm_dtype stored, const float *x, int n)
{
    bool half = true, bf16 = true;

    for (int i = 0; i < n; i++) {
        const uint16_t h = ldm_float_to_half(x[i]);
        uint32_t bits;

        memcpy(&bits, x + i, sizeof bits);
        half = half && ldm_half_to_float(h) == x[i];
        bf16 = bf16 && !(bits & 0xffff);
    }
    return bf16 ? LDM_DTYPE_BF16 : half ? LDM_DTYPE_F16 : stored; /* so many bf16 are f16, too */
}

/* alphas_cumprod falls from nearly 1 towards 0. */
static bool is_schedule(const float *x, int n)
{
    for (int i = 0; i < n; i++) {
        if (!(x[i] >= 0 && x[i] <= 1) || (i && x[i] > x[i - 1]))
            return false;
    }
    return n > 0 && x[0] > 0;
}

/* If the file's schedule is the linear one (CompVis: betas are squares of evenly spaced roots), its
 * first and last beta are the two numbers of the YAML. */
static void recover_linear(ldm_schedule_check *c, const float *file, int n, double tolerance,
                           double *betas, double *f64, float *f32)
{
    int i;

    if (n < 2 || file[n - 2] <= 0)
        return;
    c->linear_start = 1.0 - (double)file[0];
    c->linear_end = 1.0 - (double)file[n - 1] / (double)file[n - 2];
    /* f32 alphas give betas to five digits or so; the YAML's numbers have fewer. */
    c->linear_start = round(c->linear_start * 1e5) / 1e5;
    c->linear_end = round(c->linear_end * 1e5) / 1e5;
    if (!(c->linear_start > 0 && c->linear_end > 0 && c->linear_end < 1))
        return;
    ldm_betas(LDM_BETA_LINEAR, n, c->linear_start, c->linear_end, 0, betas);
    ldm_alphas_cumprod(betas, n, f64, f32);
    for (i = 0; i < n; i++) {
        if (fabs((double)f32[i] - (double)file[i]) > 1e-2 * fabs((double)f32[i]) + tolerance)
            return;
    }
    c->recovered = true;
}

static ldm_status compare_schedule(ldm_audit *a, ldm_error *err)
{
    const ldm_diffusion_config *d = &a->network->diffusion;
    const ldm_tensor_info *t = ldm_ckpt_find(a->ckpt, "alphas_cumprod");
    ldm_schedule_check *c = &a->priv->schedule;
    int n = d->timesteps, i;
    double *betas, *f64, worst = -1, tolerance, quantum;
    float *file, *f32;
    ldm_dtype type;
    bool lost = false;
    ldm_status st;

    c->state = LDM_SCHEDULE_COMPUTED;
    if (!t || !dtype_is_float(t->dtype))
        return LDM_OK;
    if (t->ndim != 1 || t->numel != (uint64_t)n) {
        c->state = LDM_SCHEDULE_OTHER_LENGTH;
        return LDM_OK;
    }
    a->effective.alphas_cumprod = t;
    betas = ldm_arena_alloc(a->priv->arena, (size_t)n, sizeof *betas);
    f64 = ldm_arena_alloc(a->priv->arena, (size_t)n, sizeof *f64);
    f32 = ldm_arena_alloc(a->priv->arena, (size_t)n, sizeof *f32);
    file = ldm_arena_alloc(a->priv->arena, (size_t)n, sizeof *file);
    if (!betas || !f64 || !f32 || !file)
        return ldm_error_nomem(err, (uint64_t)n * sizeof *f64, "the noise schedule");
    st = ldm_ckpt_read_f32(a->ckpt, t, file, err);
    if (st)
        return st;
    ldm_betas(d->beta_schedule, n, d->linear_start, d->linear_end, d->cosine_s, betas);
    ldm_alphas_cumprod(betas, n, f64, f32);
    type = rounded_to(t->dtype, file, n);
    quantum = type == LDM_DTYPE_F16 ? 0x1p-24 : 0; /* of f16 near 0 */
    tolerance = dtype_tolerance(type);
    for (i = 0; i < n; i++) {
        double diff = fabs((double)file[i] - (double)f32[i]) / fmax(fabs((double)f32[i]), 1e-12);

        lost = lost || file[i] <= 0 || file[i] >= 1;
        if (fabs((double)file[i] - (double)f32[i]) <= quantum)
            diff = 0;
        if (isnan(diff))
            diff = INFINITY;
        if (diff > worst) {
            worst = diff;
            c->worst = i;
            c->in_file = file[i];
            c->in_config = f32[i];
        }
    }
    c->state = worst <= tolerance ? LDM_SCHEDULE_EQUAL : LDM_SCHEDULE_DIFFERENT;
    if (c->state == LDM_SCHEDULE_DIFFERENT && is_schedule(file, n))
        recover_linear(c, file, n, tolerance, betas, f64, f32);
    if (c->state == LDM_SCHEDULE_EQUAL && lost) {
        c->state = LDM_SCHEDULE_ROUNDED;
        a->effective.alphas_cumprod = NULL;
        a->effective.schedule_rounded = true;
    }
    if (!is_schedule(file, n)) {
        c->state = LDM_SCHEDULE_DAMAGED;
        a->effective.alphas_cumprod = NULL;
        a->effective.schedule_damaged = true;
    }
    return LDM_OK;
}

static ldm_status read_scale(ldm_audit *a, ldm_error *err)
{
    const ldm_tensor_info *t = ldm_ckpt_find(a->ckpt, "scale_factor");
    float value;
    ldm_status st;

    a->effective.scale_factor = a->network->diffusion.scale_factor;
    if (!t || t->numel != 1)
        return LDM_OK;
    st = ldm_ckpt_read_f32(a->ckpt, t, &value, err);
    if (st)
        return st;
    a->priv->file_has_scale = true;
    a->priv->file_scale = value;
    if (a->network->diffusion.scale_by_std) {
        if (!isfinite(value) || value == 0)
            return ldm_error_set(err, LDM_ERR_NUMERIC,
                                 "%s: the buffer scale_factor holds %g; latents are divided by it, "
                                 "so a finite number other than 0 is needed: the file is damaged",
                                 ldm_ckpt_path(a->ckpt), (double)value);
        a->effective.scale_factor = value;
        a->effective.scale_is_buffer = true;
    }
    return LDM_OK;
}

/* The positions that transformers' CLIPTextEmbeddings looks up are a buffer of the file. They are 0
 * to 76, and merging programs that average all tensors have left others (40.99, which is 40 when it
 * becomes an integer). */
static ldm_status read_positions(ldm_audit *a, ldm_error *err)
{
    static const char name[] = "cond_stage_model.transformer.text_model.embeddings.position_ids";
    enum { MOST = 77 };
    const ldm_tensor_info *t = ldm_ckpt_find(a->ckpt, name);
    float at[MOST];
    ldm_status st;

    a->priv->odd_position = -1;
    if (!t || t->numel > MOST || !ldm_dtype_readable(t->dtype))
        return LDM_OK;
    st = ldm_ckpt_read_f32(a->ckpt, t, at, err);
    for (int i = (int)t->numel - 1; !st && i >= 0; i--) {
        if (truncf(at[i]) != (float)i) {
            a->priv->odd_position = i;
            a->priv->odd_value = at[i];
        }
    }
    return st;
}

/* Weights that a run reads must be separate floating-point numbers. A file with the right names and
 * shapes whose elements are truth values, or which shows one element under many indices, is no
 * trained model. */
static ldm_status check_weights(const ldm_audit *a, ldm_error *err)
{
    int k, d;

    for (k = 0; k < a->network->tensor_count; k++) {
        const ldm_tensor_decl *t = &a->network->tensors[k];
        const ldm_tensor_info *have = a->priv->run_uses[k] && t->component != LDM_COMPONENT_SCHEDULE
                                          ? ldm_ckpt_find(a->ckpt, t->name)
                                          : NULL;
        uint64_t at;

        if (!have)
            continue;
        at = have->storage_offset + have->offset_elems * ldm_dtype_size(have->dtype);
        if (!dtype_is_float(have->dtype))
            return ldm_error_at(err, LDM_ERR_MISMATCH, at,
                                "%s: byte %" PRIu64 ": '%.120s' holds numbers of %s, expected "
                                "floating-point weights",
                                ldm_ckpt_path(a->ckpt), at, have->name,
                                ldm_dtype_name(have->dtype));
        for (d = 0; d < have->ndim; d++) {
            if (have->shape[d] > 1 && !have->stride[d])
                return ldm_error_at(err, LDM_ERR_MISMATCH, at,
                                    "%s: byte %" PRIu64 ": '%.120s' repeats its elements (stride 0 "
                                    "in dimension %d), expected one for each index",
                                    ldm_ckpt_path(a->ckpt), at, have->name, d);
        }
    }
    return LDM_OK;
}

/* Allocates the lists at their largest possible length. */
static bool allocate(ldm_audit *a)
{
    size_t model = (size_t)a->network->tensor_count, file = ldm_ckpt_count(a->ckpt);
    ldm_arena *arena = a->priv->arena;

    a->model_keys = model;
    a->checkpoint_keys = file;
    a->priv->run_uses = ldm_arena_alloc(arena, model + 1, sizeof *a->priv->run_uses);
    a->missing = ldm_arena_alloc(arena, model + 1, sizeof *a->missing);
    a->mismatched = ldm_arena_alloc(arena, model + 1, sizeof *a->mismatched);
    a->unexpected = ldm_arena_alloc(arena, file + 1, sizeof *a->unexpected);
    return a->priv->run_uses && a->missing && a->mismatched && a->unexpected;
}

ldm_status ldm_audit_create(const ldm_network *network, const ldm_ckpt *ckpt, int ema,
                            const ldm_load_policy *policy, ldm_audit **out, ldm_error *err)
{
    ldm_audit *a = ldm_calloc(1, sizeof *a);
    ldm_status st;

    *out = NULL;
    if (a)
        a->priv = ldm_calloc(1, sizeof *a->priv);
    if (a && a->priv)
        a->priv->arena = ldm_arena_create(0);
    if (!a || !a->priv || !a->priv->arena) {
        ldm_audit_free(a);
        return ldm_error_nomem(err, sizeof *a, "the audit");
    }
    a->network = network;
    a->ckpt = ckpt;
    if (policy)
        a->policy = *policy;
    a->effective.cross_attention = network->unet.use_spatial_transformer;
    if (!allocate(a)) {
        st = ldm_error_nomem(err, ldm_ckpt_count(ckpt) * sizeof(void *), "the lists of keys");
        goto fail;
    }
    st = choose_weights(a, ema, err);
    if (!st)
        st = read_scale(a, err);
    if (!st)
        st = read_positions(a, err);
    if (!st)
        st = compare_schedule(a, err);
    if (st)
        goto fail;
    mark_used(a);
    match(a);
    if (a->fits)
        st = check_weights(a, err);
    if (st)
        goto fail;
    *out = a;
    return LDM_OK;
fail:
    ldm_audit_free(a);
    return st;
}

void ldm_audit_free(ldm_audit *a)
{
    if (!a)
        return;
    if (a->priv)
        ldm_arena_free(a->priv->arena);
    ldm_free(a->priv);
    ldm_free(a);
}
