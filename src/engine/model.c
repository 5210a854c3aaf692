/* SPDX-License-Identifier: MIT */
/* A model: configuration, checkpoint, description, audit, packed weights. Immutable once open, but
 * for parts that are packed at their first use, under a lock. */
#include "engine/engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "checkpoint/join.h"
#include "cpu/cpu.h"
#include "engine/start_job.h"
#include "sample/schedule.h"

#define LDM_TEXT(x) #x
#define LDM_VERSION_TEXT(major, minor, patch)                                                      \
    LDM_TEXT(major) "." LDM_TEXT(minor) "." LDM_TEXT(patch)

const char *ldm_version(void)
{
    return LDM_VERSION_TEXT(LDM_VERSION_MAJOR, LDM_VERSION_MINOR, LDM_VERSION_PATCH);
}

void ldm_release(void *p)
{
    ldm_free(p);
}

/* The instructions that "isa" asks for, neither more nor fewer: pictures then have the same bytes
 * as on other machines that were asked for the same. */
static ldm_status pin_instructions(ldm_model *m, const char *isa, ldm_error *err)
{
    const char *best = ldm_isa_name(m->cpu.isa);
    ldm_status st = isa ? ldm_cpu_cap(&m->cpu, isa, err) : LDM_OK;

    if (!isa || st || !strcmp(isa, ldm_isa_name(m->cpu.isa)))
        return st;
    return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                         "isa %s: this processor (%s), or LDM_MAX_ISA, allows %s at most", isa,
                         m->cpu.name, best);
}

ldm_status ldm_model_choose_backend(ldm_model *m, const ldm_model_options *opt, ldm_error *err)
{
    ldm_status st;

    ldm_cpu_detect(&m->cpu);
    st = ldm_cpu_cap(&m->cpu, opt->max_isa, err);
    if (!st)
        st = pin_instructions(m, opt->isa, err);
    if (st)
        return st;
    m->backend = ldm_cpu_backend(&m->cpu);
    m->precision = LDM_PRECISION_F32;
    if (!opt->precision || strcmp(opt->precision, "f32") == 0)
        return LDM_OK;
    if (strcmp(opt->precision, "exact") == 0) {
        m->precision = LDM_PRECISION_EXACT;
        return LDM_OK;
    }
    if (strcmp(opt->precision, "bf16") == 0) {
        m->precision = LDM_PRECISION_BF16;
        return ldm_cpu_bf16(&m->cpu, err);
    }
    if (strcmp(opt->precision, "auto") == 0) {
        if (!ldm_cpu_bf16(&m->cpu, NULL))
            m->precision = LDM_PRECISION_BF16;
        return LDM_OK;
    }
    return ldm_error_set(err, LDM_ERR_USAGE,
                         "precision is \"%s\", expected exact, f32, bf16 or auto", opt->precision);
}

const char *ldm_model_precision_name(const ldm_model *m)
{
    static const char *const names[] = {"exact", "f32", "bf16"};

    return names[m->precision];
}

/* What auto has come to, and why. */
static ldm_status note_precision(ldm_model *m, const ldm_model_options *opt, ldm_error *err)
{
    ldm_error why = {0};
    char how[64];

    if (!opt->precision || strcmp(opt->precision, "auto"))
        return LDM_OK;
    if (!ldm_cpu_bf16(&m->cpu, &why))
        return ldm_notes_add(&m->notes, err, "precision auto takes bf16, by %s",
                             ldm_cpu_bf16_text(&m->cpu, how));
    return ldm_notes_add(&m->notes, err, "precision auto takes f32: %s", why.msg);
}

static bool same_extent(ldm_extent a, ldm_extent b)
{
    return a.h == b.h && a.w == b.w;
}

/* sample_diffusion.py takes the UNet's image_size; other places in the configuration may say
 * something else, and then the user is shown all of them. Stable Diffusion's YAML calls the UNet's
 * "unused", and its size is the model's own: 64, which its scripts take. */
static ldm_status settle_shape(ldm_model *m, ldm_error *err)
{
    const ldm_network *s = m->network;
    const ldm_param *outer = ldm_network_param(s, "image_size");
    const ldm_first_stage *f = &s->first_stage;
    const bool own =
        s->conditioner_count && s->conditioners->own_size && outer && outer->origin.source;
    const ldm_extent unet = own ? s->diffusion.image_size : s->unet.image_size;
    int side = f->resolution ? f->resolution / f->factor : 0;
    ldm_extent sizes[3] = {unet, unet, {side, side}};
    static const char *const names[3] = {"unet_config.image_size", "image_size",
                                         "ddconfig.resolution / downsampling"};
    ldm_str text = {0};
    int i;

    if (outer && outer->origin.source)
        sizes[1] = s->diffusion.image_size;
    if (own) /* a resolution of 256 is what its first stage was trained with */
        side = unet.h;
    m->latent_c = s->lone_first_stage ? f->latent_channels : s->unet.out_channels;
    if (s->lone_first_stage) {
        m->latent_h = m->latent_w = side;
        return LDM_OK;
    }
    m->latent_h = unet.h;
    m->latent_w = unet.w;
    /* resolution is one number: of latents that are not square it can be either side's. */
    if (!side || side == unet.h || side == unet.w)
        sizes[2] = unet;
    m->shape_ambiguous = !same_extent(sizes[1], unet) || !same_extent(sizes[2], unet);
    if (!m->shape_ambiguous)
        return LDM_OK;
    for (i = 0; i < 3; i++)
        ldm_str_printf(&text, "%s%d,%d,%d (%s)", i ? "; " : "", m->latent_c, sizes[i].h, sizes[i].w,
                       names[i]);
    m->latent_candidates = text.failed ? NULL : ldm_arena_strdup(m->texts, text.data);
    ldm_str_free(&text);
    return m->latent_candidates ? LDM_OK : ldm_error_nomem(err, 0, "a note");
}

/* One of the schedule's buffers: the checkpoint's, or NULL where it has none of n values. */
static const ldm_tensor_info *schedule_buffer(const ldm_model *m, const char *name, size_t n)
{
    const ldm_tensor_info *t = ldm_ckpt_find(m->ckpt, name);

    return t && t->ndim == 1 && t->numel == n ? t : NULL;
}

/* What register_schedule would compute: in double, rounded to float at the end. */
static ldm_status compute_schedule(ldm_model *m, ldm_error *err)
{
    const ldm_diffusion_config *d = &m->network->diffusion;
    size_t n = (size_t)d->timesteps, i;
    double *betas = ldm_reallocarray(NULL, 2 * n, sizeof *betas), *alphas;

    if (!betas)
        return ldm_error_nomem(err, 2 * n * sizeof *betas, "the schedule");
    alphas = betas + n;
    ldm_betas(d->beta_schedule, d->timesteps, d->linear_start, d->linear_end, d->cosine_s, betas);
    ldm_alphas_cumprod(betas, d->timesteps, alphas, m->alphas_cumprod);
    for (i = 0; i < n; i++) {
        m->sqrt_alphas_cumprod[i] = (float)sqrt(alphas[i]);
        m->sqrt_one_minus_alphas_cumprod[i] = (float)sqrt(1 - alphas[i]);
    }
    ldm_free(betas);
    return LDM_OK;
}

static ldm_status settle_schedule(ldm_model *m, ldm_error *err)
{
    const size_t n = (size_t)m->network->diffusion.timesteps; /* 0: a first stage alone has none */
    const ldm_tensor_info *alphas = m->audit->effective.alphas_cumprod;
    const bool rounded = m->audit->effective.schedule_rounded;
    const bool unread = rounded || m->audit->effective.schedule_damaged;
    const ldm_tensor_info *root = unread ? NULL : schedule_buffer(m, "sqrt_alphas_cumprod", n);
    const ldm_tensor_info *rest =
        unread ? NULL : schedule_buffer(m, "sqrt_one_minus_alphas_cumprod", n);
    ldm_status st = LDM_OK;

    if (!n)
        return LDM_OK;
    m->alphas_cumprod = ldm_reallocarray(NULL, 3 * n, sizeof *m->alphas_cumprod);
    if (!m->alphas_cumprod)
        return ldm_error_nomem(err, 3 * n * sizeof *m->alphas_cumprod, "the schedule");
    m->sqrt_alphas_cumprod = m->alphas_cumprod + n;
    m->sqrt_one_minus_alphas_cumprod = m->alphas_cumprod + 2 * n;
    if (!alphas || !root || !rest)
        st = compute_schedule(m, err);
    if (!st && alphas)
        st = ldm_ckpt_read_f32(m->ckpt, alphas, m->alphas_cumprod, err);
    if (!st && root)
        st = ldm_ckpt_read_f32(m->ckpt, root, m->sqrt_alphas_cumprod, err);
    if (!st && rest)
        st = ldm_ckpt_read_f32(m->ckpt, rest, m->sqrt_one_minus_alphas_cumprod, err);
    if (st || alphas)
        return st;
    return ldm_notes_add(&m->notes, err,
                         rounded ? "the checkpoint's noise schedule was rounded to half precision, "
                                   "which made 0 or 1 of values: the configuration's, which it "
                                   "equals, is used"
                         : unread ? "the checkpoint's noise schedule is damaged: it is computed "
                                    "from the configuration"
                                  : "the checkpoint has no alphas_cumprod buffer: the schedule is "
                                    "computed from the configuration");
}

static ldm_status settle_scale(ldm_model *m, ldm_error *err)
{
    m->scale_factor = m->audit->effective.scale_factor;
    m->scale_is_buffer = m->audit->effective.scale_is_buffer;
    if (!(m->scale_factor > 0) || !isfinite(m->scale_factor))
        return ldm_error_set(err, LDM_ERR_CONFIG,
                             "scale_factor is %g (%s), expected a positive number", m->scale_factor,
                             m->scale_is_buffer ? "the checkpoint's buffer" : "configuration");
    return LDM_OK;
}

/* The description with the file that it ends in ("models/portrait/README.md") as it lies here. */
static const char *whole_path(ldm_model *m, const char *text)
{
    const char *at = text ? strstr(text, "models/") : NULL, *whole;
    char *path;
    ldm_str out = {0};

    if (!at || ldm_shipped_path(at, &path, NULL))
        return text;
    ldm_str_printf(&out, "%.*s%s", (int)(at - text), text, path);
    whole = out.failed ? NULL : ldm_arena_strdup(m->texts, out.data);
    ldm_str_free(&out);
    ldm_free(path);
    return whole ? whole : text;
}

static ldm_status open_files(ldm_model *m, const ldm_model_options *opt, ldm_error *err)
{
    ldm_sources src;
    ldm_status st = ldm_sources_open(opt, m->texts, &src, err);

    if (st)
        return st;
    m->config = src.config;
    m->profile = src.profile;
    m->ckpt = src.ckpt;
    m->network = src.network;
    m->audit = src.audit;
    m->shipped = src.shipped;
    m->default_note = src.shipped ? whole_path(m, src.profile.description) : NULL;
    st = ldm_audit_verdict(m->audit, err);
    if (!st)
        st = ldm_hash_open(m->hash, ldm_ckpt_main_file(m->ckpt), err);
    if (!st && src.inferred)
        st = ldm_notes_add(&m->notes, err, "%s", src.inferred);
    if (!st && src.profile.rename_count)
        st = ldm_notes_add(&m->notes, err,
                           "%zu of %zu keys of the checkpoint are renamed by ldm.load.rename",
                           src.renamed, ldm_ckpt_count(m->ckpt));
    if (!st && m->audit->initialised)
        st = ldm_notes_add(&m->notes, err,
                           "warning: %zu of the %zu keys of the model are missing in the "
                           "checkpoint; the %zu that a run reads are initialised at random, as "
                           "ldm.load.missing: init permits",
                           m->audit->missing_count, m->audit->model_keys, m->audit->initialised);
    return st;
}

static ldm_status add_warning(void *ctx, const char *text, ldm_error *err)
{
    ldm_model *m = ctx;

    return ldm_notes_add(&m->notes, err, "warning: %s", text);
}

static ldm_status note_warnings(ldm_model *m, ldm_error *err)
{
    size_t i;
    ldm_status st = ldm_audit_warnings(m->audit, add_warning, m, err);

    for (i = 0; !st && i < ldm_ckpt_warning_count(m->ckpt); i++)
        st = ldm_notes_add(&m->notes, err, "%s", ldm_ckpt_warning(m->ckpt, i));
    for (i = 0; !st && i < m->network->unknown_count; i++) {
        const ldm_unknown_key *u = &m->network->unknown[i];
        char line[16] = ""; /* text without lines has none */

        if (ldm_audit_key_is_mistake(u)) /* a warning above */
            continue;
        if (u->origin.line)
            snprintf(line, sizeof line, ":%d", u->origin.line);
        st = ldm_notes_add(&m->notes, err, "%s%s: %s is no parameter of the model and is ignored",
                           u->origin.source, line, u->path);
    }
    return st;
}

/* Refuses before anything is packed what could not fit. */
static ldm_status check_memory(const ldm_model *m, uint64_t limit, ldm_error *err)
{
    ldm_estimate unet;
    uint64_t bytes;
    char need[16], have[16];
    ldm_status st;

    if (!limit || m->network->lone_first_stage)
        return LDM_OK;
    st = ldm_model_estimate(m, LDM_GRAPH_UNET, (ldm_graph_size){m->latent_h, m->latent_w, 0}, 1, 1,
                            &unet, err);
    if (st)
        return st;
    bytes = unet.weight_bytes + unet.arena_bytes;
    if (bytes > limit)
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "the UNet alone needs %s and max_memory is %s; give more",
                             ldm_format_bytes(bytes, need), ldm_format_bytes(limit, have));
    return LDM_OK;
}

static bool embeds_class(const ldm_network *s)
{
    return s->conditioner_count && s->conditioners->takes == LDM_COND_TAKES_CLASS;
}

/* Of an upscaler label_emb takes the noise level, and no class. */
static int classes_of(const ldm_network *s)
{
    return embeds_class(s)        ? s->conditioners->entries
           : s->low_scale.present ? 0
                                  : s->unet_inputs.classes;
}

static void fill_info(ldm_model *m, double begin)
{
    const int factor = m->network->first_stage.factor, levels = m->network->unet.channel_mult.count;

    m->info = (ldm_model_info){
        .ckpt_path = ldm_ckpt_path(m->ckpt),
        .ckpt_format = ldm_ckpt_format(m->ckpt),
        .isa = m->backend->name,
        .precision = ldm_model_precision_name(m),
        .weights = m->audit->effective.ema ? "EMA" : "raw",
        .is_default = m->shipped != NULL,
        .default_note = m->default_note,
        .latent_channels = m->latent_c,
        .latent_h = m->latent_h,
        .latent_w = m->latent_w,
        .shape_ambiguous = m->shape_ambiguous,
        .latent_candidates = m->latent_candidates,
        .downsample = factor,
        .side_step = factor << (levels > 1 ? levels - 1 : 0),
        .side_max = LDM_MAX_SIDE * factor,
        .codebook = m->network->first_stage.codebook,
        .posterior = m->network->first_stage.posterior,
        .timesteps = m->network->diffusion.timesteps,
        .guidance_has_effect = m->audit->effective.cross_attention,
        .load_seconds = ldm_seconds() - begin,
        .reads_text = ldm_network_reads_text(m->network),
        .classes = classes_of(m->network),
        .uncond_class = embeds_class(m->network) ? m->network->conditioners->uncond_class : -1,
    };
}

ldm_status ldm_model_open(const ldm_model_options *opt, ldm_model **out, ldm_error *err)
{
    static const ldm_model_options none;
    double begin = ldm_seconds();
    const ldm_weights *w;
    ldm_pool *pool = NULL;
    ldm_model *m;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    opt = opt ? opt : &none;
    if (ldm_names_folder(opt)) {
        ldm_model_options *found;

        st = ldm_found_options(opt, &found, err);
        if (!st)
            st = ldm_model_open(found, out, err);
        ldm_model_options_free(found);
        return st;
    }
    m = ldm_calloc(1, sizeof *m);
    if (!m)
        return ldm_error_nomem(err, sizeof *m, "the model");
    pthread_mutex_init(&m->lock, NULL);
    m->hash = ldm_hash_create();
    m->texts = m->notes.texts = ldm_arena_create(0);
    st = m->hash && m->texts ? LDM_OK : ldm_error_nomem(err, 0, "the model");
    if (!st)
        st = ldm_model_choose_backend(m, opt, err);
    if (!st)
        st = note_precision(m, opt, err);
    if (!st)
        st = open_files(m, opt, err);
    if (!st)
        st = settle_shape(m, err);
    if (!st)
        st = settle_schedule(m, err);
    if (!st)
        st = settle_scale(m, err);
    if (!st)
        st = note_warnings(m, err);
    if (!st)
        st = check_memory(m, opt->max_memory, err);
    m->dry = opt->dry_run;
    m->threads = opt->threads;
    if (!st && !m->dry)
        st = ldm_pool_create(opt->threads, &pool, err);
    if (!st && !m->dry)
        st = ldm_model_weights(m, m->network->lone_first_stage ? LDM_GRAPH_DECODE : LDM_GRAPH_UNET,
                               pool, &w, err);
    ldm_pool_free(pool);
    if (st) {
        ldm_model_close(m);
        return st;
    }
    fill_info(m, begin);
    *out = m;
    return LDM_OK;
}

void ldm_model_close(ldm_model *m)
{
    int i;

    if (!m)
        return;
    ldm_hash_free(m->hash);
    for (i = 0; i < LDM_PART_COUNT; i++)
        ldm_weights_free(m->weights[i]);
    ldm_free(m->alphas_cumprod);
    ldm_notes_free(&m->notes);
    ldm_audit_free(m->audit);
    ldm_network_free(m->network);
    ldm_ckpt_close(m->ckpt);
    ldm_config_free(m->config);
    ldm_profile_free(&m->profile);
    ldm_arena_free(m->texts);
    ldm_free(m->preview_map);
    pthread_mutex_destroy(&m->lock);
    ldm_free(m);
}

const ldm_model_info *ldm_model_get_info(const ldm_model *m)
{
    return m ? &m->info : NULL;
}

uint64_t ldm_model_weight_bytes(const ldm_model *m)
{
    ldm_model *locked = (ldm_model *)(uintptr_t)m;
    uint64_t bytes = 0;
    int i;

    if (!m)
        return 0;
    pthread_mutex_lock(&locked->lock);
    for (i = 0; i < LDM_PART_COUNT; i++) {
        if (m->weights[i])
            bytes += ldm_weights_bytes(m->weights[i]);
    }
    pthread_mutex_unlock(&locked->lock);
    return bytes;
}

size_t ldm_model_note_count(const ldm_model *m)
{
    return m ? m->notes.count : 0;
}

const char *ldm_model_note(const ldm_model *m, size_t i)
{
    return m ? ldm_notes_at(&m->notes, i) : NULL;
}

ldm_status ldm_model_hash(const ldm_model *m, const char **hex, ldm_error *err)
{
    ldm_status st;

    LDM_REQUIRE(hex, "hex", err);
    *hex = NULL;
    LDM_REQUIRE(m, "m", err);
    st = ldm_hash_wait(m->hash, err);
    *hex = st ? NULL : m->hash->hex;
    return st;
}

ldm_status ldm_model_intact(const ldm_model *m, ldm_error *err)
{
    LDM_REQUIRE(m, "m", err);
    return ldm_ckpt_check_sums(m->ckpt, err);
}

/* The part whose packed weights a part computes with. */
static ldm_graph_part weights_of(ldm_graph_part part)
{
    return part == LDM_GRAPH_UNET_SHALLOW ? LDM_GRAPH_UNET : part;
}

/* The size that a part's algorithms are chosen for, whatever size it is later run at. */
static ldm_graph_size nominal_size(const ldm_model *m, ldm_graph_part part)
{
    const ldm_network *s = m->network;
    const int multiple = 1 << (s->unet.channel_mult.count - 1);
    const ldm_extent size = {m->latent_h, m->latent_w};
    int factor = 1;

    if (part == LDM_GRAPH_ENCODE)
        factor = s->first_stage.factor;
    else if (part == LDM_GRAPH_COND && s->conditioner_count && s->conditioners->factor)
        factor = s->conditioners->factor;
    return (ldm_graph_size){
        .h = (size.h + multiple - 1) / multiple * multiple * factor,
        .w = (size.w + multiple - 1) / multiple * multiple * factor,
    };
}

static ldm_status pack(ldm_model *m, ldm_graph_part part, ldm_pool *pool, ldm_error *err)
{
    ldm_weight_source src = ldm_model_source(m);
    ldm_graph *g;
    ldm_status st = ldm_graph_create(m->network, part, nominal_size(m, part), &g, err);

    if (st)
        return st;
    st = ldm_weights_create(m->network, g, m->backend, m->precision, &src, pool, &m->weights[part],
                            err);
    ldm_graph_free(g);
    if (!st)
        st = ldm_hash_unchanged(m->hash, err);
    if (st) {
        ldm_weights_free(m->weights[part]); /* not for the next one who asks */
        m->weights[part] = NULL;
    }
    return st;
}

ldm_status ldm_model_weights(const ldm_model *m, ldm_graph_part part, ldm_pool *pool,
                             const ldm_weights **out, ldm_error *err)
{
    ldm_model *owner = (ldm_model *)(uintptr_t)m; /* a cache: nothing that callers see changes */
    ldm_status st = LDM_OK;

    part = weights_of(part);
    pthread_mutex_lock(&owner->lock);
    if (!owner->weights[part])
        st = pack(owner, part, pool, err);
    *out = owner->weights[part];
    pthread_mutex_unlock(&owner->lock);
    return st;
}

ldm_status ldm_model_program(const ldm_model *m, ldm_graph_part part, ldm_graph_size size, int n,
                             ldm_pool *pool, ldm_program **out, ldm_error *err)
{
    const ldm_weights *weights;
    ldm_graph *g;
    ldm_status st;

    *out = NULL;
    st = ldm_graph_create(m->network, part, size, &g, err);
    if (st)
        return st;
    st = ldm_model_weights(m, part, pool, &weights, err);
    if (!st)
        st = ldm_program_create(g, weights, m->backend, m->precision, n, ldm_pool_threads(pool),
                                out, err);
    if (st)
        ldm_graph_free(g);
    return st;
}

/* With the algorithms that the weights are, or will be, packed for: another size's need other
 * scratch. */
ldm_status ldm_model_estimate(const ldm_model *m, ldm_graph_part part, ldm_graph_size size, int n,
                              int threads, ldm_estimate *out, ldm_error *err)
{
    const ldm_weight_source src = ldm_model_source(m);
    ldm_weights *weights = NULL;
    ldm_program *p = NULL;
    ldm_graph *g;
    ldm_status st = ldm_graph_create(m->network, weights_of(part), nominal_size(m, part), &g, err);

    if (st)
        return st;
    st = ldm_weights_plan(m->network, g, m->backend, m->precision, &src, &weights, err);
    ldm_graph_free(g);
    if (st)
        return st;
    st = ldm_graph_create(m->network, part, size, &g, err);
    if (!st) {
        out->flop = ldm_graph_flop(g);
        st = ldm_program_create(g, weights, m->backend, m->precision, n, threads, &p, err);
        if (st)
            ldm_graph_free(g);
    }
    if (!st) {
        out->weight_bytes = ldm_weights_bytes(weights);
        out->arena_bytes = (uint64_t)ldm_program_arena_floats(p) * sizeof(float);
        out->time_bytes = (uint64_t)ldm_program_kept_floats(p, LDM_DEPENDS_TIME) * sizeof(float);
        out->cond_bytes = (uint64_t)ldm_program_kept_floats(p, LDM_DEPENDS_COND) * sizeof(float);
    }
    ldm_program_free(p);
    ldm_weights_free(weights);
    return st;
}
