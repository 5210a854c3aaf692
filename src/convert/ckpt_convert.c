/* SPDX-License-Identifier: MIT */
/* ldm convert: which tensors are written, under which names and types, with which configuration. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "convert/convert_private.h"
#include "convert/diffusers_write.h"
#include "engine/engine.h"

/* Models of more bytes of weights are not opened a second time to compare eps: that would take more
 * memory than a conversion may. Their tensors are equal, value by value, in any case. */
#define EPS_LIMIT ((uint64_t)64 << 20)

typedef struct conversion {
    ldm_sources src;
    ldm_out_list list;
    ldm_watch watch;
    ldm_not_finite not_finite;
    unsigned how;
    uint64_t bytes, unet_bytes;
    size_t left_out;
    bool retyped; /* a weight is written in another type than it had */
} conversion;

static ldm_dtype type_of(const conversion *c, const ldm_tensor_info *t, ldm_component component)
{
    const bool real = t->dtype == LDM_DTYPE_F16 || t->dtype == LDM_DTYPE_BF16 ||
                      t->dtype == LDM_DTYPE_F32 || t->dtype == LDM_DTYPE_F64;

    if (real && component != LDM_COMPONENT_SCHEDULE && c->how & LDM_CONVERT_HALF)
        return LDM_DTYPE_F16;
    if (real && component != LDM_COMPONENT_SCHEDULE && c->how & LDM_CONVERT_BF16)
        return LDM_DTYPE_BF16;
    return t->dtype == LDM_DTYPE_F16 || t->dtype == LDM_DTYPE_BF16 ? t->dtype : LDM_DTYPE_F32;
}

static const ldm_tensor_info *source_of(const conversion *c, const ldm_tensor_decl *t)
{
    if (c->src.audit->effective.ema && t->ema >= 0)
        t = &c->src.network->tensors[t->ema];
    return ldm_ckpt_find(c->src.ckpt, t->name);
}

static ldm_status add_tensor(conversion *c, const ldm_tensor_decl *t, ldm_error *err)
{
    const ldm_tensor_info *info = source_of(c, t);
    ldm_out_tensor *out;

    if (!info || !ldm_dtype_readable(info->dtype) || info->numel != t->numel ||
        t->component == LDM_COMPONENT_EMA)
        return LDM_OK;
    /* A text encoder keeps all of its layers: its depth is told by their number. */
    if (!t->used && t->component != LDM_COMPONENT_SCHEDULE &&
        t->component != LDM_COMPONENT_COND_STAGE)
        return LDM_OK;
    if (!ldm_grow(&c->list.items, &c->list.cap, c->list.count + 1, sizeof *c->list.items))
        return ldm_error_nomem(err, 0, "the list of tensors");
    out = &c->list.items[c->list.count++];
    *out = (ldm_out_tensor){
        .name = t->name, .dtype = type_of(c, info, t->component), .ndim = t->ndim, .source = info};
    for (int d = 0; d < t->ndim; d++)
        out->shape[d] = (uint64_t)t->shape[d];
    c->bytes += t->numel * ldm_dtype_size(out->dtype);
    c->unet_bytes += t->component == LDM_COMPONENT_UNET ? t->numel * sizeof(float) : 0;
    /* A float64 is rounded to a float32 when it is read, too. */
    c->retyped |=
        out->dtype != info->dtype && !(info->dtype == LDM_DTYPE_F64 && out->dtype == LDM_DTYPE_F32);
    return LDM_OK;
}

static ldm_status list_tensors(conversion *c, ldm_error *err)
{
    ldm_status st = ldm_audit_verdict(c->src.audit, err);

    for (int i = 0; i < c->src.network->tensor_count && !st; i++)
        st = add_tensor(c, &c->src.network->tensors[i], err);
    c->left_out = ldm_ckpt_count(c->src.ckpt) - c->list.count;
    return st;
}

/* ---- the configuration ----------------------------------------------------------------------- */

/* The shadows are the weights now, and names are CompVis' own. */
static ldm_status yaml_of(const conversion *c, ldm_str *out, ldm_error *err)
{
    const char *sets[2] = {"model.params.use_ema=false", "ldm.load.rename={}"};
    const bool renames = ldm_value_find(ldm_config_root(c->src.config), "ldm.load.rename") != NULL;
    ldm_str tree = {0};
    ldm_status st;

    ldm_config_emit(c->src.config, &tree);
    st = tree.failed
             ? ldm_error_nomem(err, 0, "the configuration")
             : ldm_yaml_edit("the configuration", tree.data, sets, renames ? 2 : 1, out, err);
    ldm_str_free(&tree);
    return st || !out->failed ? st : ldm_error_nomem(err, 0, "the configuration");
}

/* ---- what must stay ----------------------------------------------------------------------------
 */

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;

    return a && b && !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What is read is not replaced: neither could be compared with it then, nor begun again. */
static ldm_status check_apart(const conversion *c, const ldm_model_options *opt, const char *path,
                              ldm_error *err)
{
    bool same = same_file(path, c->src.ckpt_path) || same_file(path, opt->first_stage);

    for (size_t i = 0; i < opt->configs.count; i++)
        same |= same_file(path, opt->configs.items[i]);
    return same ? ldm_error_set(err, LDM_ERR_USAGE,
                                "%s is read by this conversion and would be replaced by it; write "
                                "to another name",
                                path)
                : LDM_OK;
}

/* ---- its name -------------------------------------------------------------------------------- */

static const char *ending_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');

    return dot ? dot : path + strlen(path);
}

/* "model.safetensors" -> "model" and the ending; ldm_free it. */
static char *with_ending(const char *out, const char *ending)
{
    ldm_str path = {0};

    ldm_str_printf(&path, "%.*s%s", (int)(ending_of(out) - out), out, ending);
    return path.data;
}

/* Whether the YAML says the same as the text. */
static bool says_the_same(const char *path, const ldm_str *yaml)
{
    ldm_config *a = NULL, *b = NULL;
    ldm_str x = {0}, y = {0};
    bool same = !ldm_config_create(&a, NULL) && !ldm_config_create(&b, NULL) &&
                !ldm_config_load(a, path, NULL) &&
                !ldm_config_load_text(b, path, yaml->data, yaml->len, NULL);

    if (same) {
        ldm_config_emit(a, &x);
        ldm_config_emit(b, &y);
        same = !x.failed && !y.failed && x.len == y.len && !memcmp(x.data, y.data, x.len);
    }
    ldm_str_free(&x);
    ldm_str_free(&y);
    ldm_config_free(a);
    ldm_config_free(b);
    return same;
}

/* Where the YAML is written, of model.safetensors: model.yaml; or model.safetensors.yaml, which is
 * found before it, where model.yaml is read here, or would lie beside the source's model.ckpt, or
 * where such a one is there already. *stays: it is there and says the same. */
static ldm_status choose_yaml(const conversion *c, const ldm_model_options *opt, const char *out,
                              const ldm_str *yaml, char **path, bool *stays, ldm_error *err)
{
    char *own = with_ending(out, ".yaml"), *source = with_ending(out, ending_of(c->src.ckpt_path));
    char *longer = ldm_malloc(strlen(out) + sizeof ".yaml");
    bool read, there;
    struct stat seen;

    *stays = false;
    *path = NULL;
    if (!own || !source || !longer) {
        ldm_free(own);
        ldm_free(longer);
        ldm_free(source);
        return ldm_error_nomem(err, 0, "a path");
    }
    snprintf(longer, strlen(out) + sizeof ".yaml", "%s.yaml", out);
    read = check_apart(c, opt, own, NULL) != LDM_OK;
    there = !stat(longer, &seen);
    *stays = read && !there && says_the_same(own, yaml);
    if (!*stays && (read || there || same_file(source, c->src.ckpt_path))) {
        *path = longer;
        longer = NULL;
    } else {
        *path = own;
        own = NULL;
    }
    ldm_free(own);
    ldm_free(longer);
    ldm_free(source);
    return *stays ? LDM_OK : check_apart(c, opt, *path, err);
}

static ldm_status check_new(const conversion *c, const char *path, ldm_error *err)
{
    struct stat seen;

    if (!(c->how & LDM_CONVERT_NEW) || lstat(path, &seen))
        return LDM_OK;
    return ldm_error_set(err, LDM_ERR_IO,
                         "%s is there already; --overwrite replaces it, or give another name",
                         path);
}

/* ---- eps of both ----------------------------------------------------------------------------- */

static void fill(ldm_array *a, uint64_t *seed)
{
    for (uint64_t i = 0; i < a->numel; i++) { /* a fixed sequence of about -1.7 to 1.7 */
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        a->data[i] = (float)((double)(*seed >> 33) / (double)(1u << 31) - 0.5) * 3.4f;
    }
}

static ldm_status make(ldm_array *a, int ndim, const uint64_t *shape, uint64_t *seed,
                       ldm_error *err)
{
    a->ndim = ndim;
    a->numel = 1;
    for (int d = 0; d < ndim; d++) {
        a->shape[d] = shape[d];
        a->numel *= shape[d];
    }
    a->data = ldm_reallocarray(NULL, (size_t)a->numel, sizeof *a->data);
    if (!a->data)
        return ldm_error_nomem(err, a->numel * sizeof *a->data, "an input");
    fill(a, seed);
    return LDM_OK;
}

/* What a first stage alone makes of a fixed latent: it has no eps. */
static ldm_status picture_of(const ldm_model *m, ldm_array *out, ldm_error *err)
{
    ldm_array z = {0};
    ldm_eval_job *job = NULL;
    uint64_t seed = 1;
    ldm_status st =
        make(&z, 4, (uint64_t[]){1, (uint64_t)m->network->first_stage.latent_channels, 8, 8}, &seed,
             err);

    if (!st)
        st = ldm_eval_job_create(LDM_PART_DECODE, &job, err);
    if (!st)
        st = ldm_eval_job_set_array(job, "in", &z, err);
    if (!st)
        st = ldm_eval(m, job, out, err);
    ldm_eval_job_free(job);
    ldm_array_free(&z);
    return st;
}

/* eps of one model at a fixed input. */
static ldm_status eps_of(const ldm_model_options *opt, ldm_array *out, ldm_error *err)
{
    ldm_array x = {0}, context = {0}, concat = {0}, labels = {0};
    const ldm_unet_inputs *in;
    ldm_model *m = NULL;
    ldm_eval_job *job = NULL;
    uint64_t seed = 1, multiple, side;
    ldm_status st = ldm_model_open(opt, &m, err);

    if (st)
        return st;
    if (m->network->lone_first_stage) {
        st = picture_of(m, out, err);
        ldm_model_close(m);
        return st;
    }
    in = &m->network->unet_inputs;
    multiple = (uint64_t)1 << (m->network->unet.channel_mult.count - 1);
    side = multiple < 8 ? 8 : multiple;
    st = make(&x, 4, (uint64_t[]){1, (uint64_t)in->latent, side, side}, &seed, err);
    if (!st && in->concat)
        st = make(&concat, 4, (uint64_t[]){1, (uint64_t)in->concat, side, side}, &seed, err);
    if (!st && in->context_width)
        st = make(&context, 3, (uint64_t[]){1, 4, (uint64_t)in->context_width}, &seed, err);
    if (!st && in->labels)
        st = make(&labels, 2, (uint64_t[]){1, (uint64_t)in->labels}, &seed, err);
    for (uint64_t i = 0; i < labels.numel && in->classes; i++)
        labels.data[i] = 0;
    if (!st)
        st = ldm_eval_job_create(LDM_PART_UNET, &job, err);
    if (!st)
        st = ldm_eval_job_set_real(job, "t", m->network->diffusion.timesteps / 2, err);
    if (!st)
        st = ldm_eval_job_set_array(job, "in", &x, err);
    if (!st && concat.data)
        st = ldm_eval_job_set_array(job, "concat", &concat, err);
    if (!st && context.data)
        st = ldm_eval_job_set_array(job, "context", &context, err);
    if (!st && labels.data)
        st = ldm_eval_job_set_array(job, "labels", &labels, err);
    if (!st)
        st = ldm_eval(m, job, out, err);
    ldm_eval_job_free(job);
    ldm_array_free(&x);
    ldm_array_free(&context);
    ldm_array_free(&concat);
    ldm_array_free(&labels);
    ldm_model_close(m);
    return st;
}

static double distance(const ldm_array *a, const ldm_array *b)
{
    double sum = 0, all = 0;

    for (uint64_t i = 0; i < a->numel; i++) {
        sum += ((double)a->data[i] - b->data[i]) * ((double)a->data[i] - b->data[i]);
        all += (double)b->data[i] * b->data[i];
    }
    return all > 0 ? sqrt(sum / all) : sqrt(sum);
}

/* LDM_ERR_NUMERIC where types stayed and eps is not equal bit by bit. */
static ldm_status compare_outputs(const conversion *c, const ldm_model_options *opt,
                                  const char *out, const char *key, const char *yaml,
                                  ldm_str *report, ldm_error *err)
{
    ldm_model_options *other = NULL;
    const char *what = c->src.network->lone_first_stage ? "the decoded picture" : "eps";
    ldm_array a = {0}, b = {0};
    ldm_status st;

    if (c->unet_bytes > EPS_LIMIT) {
        ldm_str_puts(report, "checked: every value, read back; eps is not compared, for the memory "
                             "that it would take\n");
        return LDM_OK;
    }
    st = ldm_model_options_create(&other, err);
    if (!st)
        st = ldm_model_options_set(other, "ckpt", out, err);
    if (!st)
        st = ldm_model_options_set(other, key, yaml, err);
    if (!st)
        st = eps_of(opt, &a, err);
    if (!st)
        st = eps_of(other, &b, err);
    if (!st && !c->retyped &&
        (a.numel != b.numel || memcmp(a.data, b.data, (size_t)a.numel * sizeof *a.data)))
        st = ldm_error_set(err, LDM_ERR_NUMERIC, "%s: %s differs from the source's", out, what);
    if (!st && !c->retyped)
        ldm_str_printf(report, "checked: every value, read back; %s of both is equal bit by bit\n",
                       what);
    else if (!st && !isfinite(distance(&b, &a)))
        ldm_str_printf(report,
                       "checked: every value, read back; %s is not compared: it holds NaN or "
                       "infinity\n",
                       what);
    else if (!st)
        ldm_str_printf(report,
                       "checked: every value, read back; %s differs by %.2g of its norm, for the "
                       "types changed\n",
                       what, distance(&b, &a));
    ldm_array_free(&a);
    ldm_array_free(&b);
    ldm_model_options_free(other);
    return st;
}

/* A folder of diffusers says by which rule its schedule is computed. What the file's own buffer
 * holds beside that (its rounding to float16, a schedule of another rule) changes pictures a
 * little, and no evaluation of the network, which is all that is compared. */
static ldm_status note_schedule(const conversion *c, ldm_str *report, ldm_error *err)
{
    static const double same = 1e-6; /* float32's own rounding is below */
    const ldm_tensor_info *buffer = c->src.audit->effective.alphas_cumprod;
    const ldm_diffusion_config *d = &c->src.network->diffusion;
    const size_t n = (size_t)d->timesteps;
    double *betas, most = 0;
    float *own, *computed;
    ldm_status st;

    if (!buffer || buffer->numel != n)
        return LDM_OK;
    betas = ldm_reallocarray(NULL, 3 * n, sizeof *betas);
    if (!betas)
        return ldm_error_nomem(err, 3 * n * sizeof *betas, "the schedule");
    own = (float *)(betas + 2 * n);
    computed = own + n;
    st = ldm_ckpt_read_f32(c->src.ckpt, buffer, own, err);
    if (!st) {
        ldm_betas(d->beta_schedule, d->timesteps, d->linear_start, d->linear_end, d->cosine_s,
                  betas);
        ldm_alphas_cumprod(betas, d->timesteps, betas + n, computed);
    }
    for (size_t i = 0; !st && i < n; i++)
        most = fmax(most, fabs((double)own[i] - computed[i]));
    if (most > same)
        ldm_str_printf(report,
                       "not kept: the file's own noise schedule (alphas_cumprod, off by up to %.2g "
                       "from the configuration's); a folder of diffusers computes it, so pictures "
                       "differ a little\n",
                       most);
    ldm_free(betas);
    return st;
}

/* A folder has no YAML: it is read back under the source's own. */
static ldm_status write_folder(conversion *c, const ldm_model_options *opt, const char *out,
                               ldm_str *report, ldm_error *err)
{
    const ldm_folder_source s = {c->src.network, c->src.ckpt, &c->list,
                                 c->src.audit->effective.scale_factor,
                                 ldm_value_find(ldm_config_root(c->src.config), "ldm.sampling")};
    ldm_str yaml = {0};
    char size[16];
    ldm_status st = ldm_diffusers_write(out, &s, report, err);

    if (!st)
        st = yaml_of(c, &yaml, err);
    if (!st)
        ldm_str_printf(report, "%s: a folder of diffusers, %s, %s weights\n", out,
                       ldm_format_bytes(c->bytes, size),
                       c->src.audit->effective.ema ? "EMA" : "raw");
    if (!st)
        st = note_schedule(c, report, err);
    if (!st)
        st = compare_outputs(c, opt, out, "config_text", yaml.data, report, err);
    ldm_str_free(&yaml);
    return st;
}

/* ---- the call -------------------------------------------------------------------------------- */

static ldm_status write_file(conversion *c, const ldm_model_options *opt, const char *out,
                             ldm_str *report, ldm_error *err)
{
    char *beside = NULL, size[16];
    ldm_str yaml = {0};
    bool stays = false;
    ldm_status st = check_apart(c, opt, out, err);

    if (!st)
        st = check_new(c, out, err);
    if (!st)
        st = yaml_of(c, &yaml, err);
    if (!st)
        st = choose_yaml(c, opt, out, &yaml, &beside, &stays, err);
    if (!st && !stays)
        st = check_new(c, beside, err);
    if (!st) {
        const ldm_out_meta meta[] = {
            {"format", "pt"}, {"config", yaml.data}, {"made_by", "ldm convert"}};

        st = ldm_safetensors_write(out, c->src.ckpt, &c->list, meta, 3, err);
    }
    if (!st && !stays)
        st = ldm_file_write(beside, yaml.data, yaml.len, err);
    if (!st)
        ldm_str_printf(report,
                       "%s: %zu tensors, %s, %s weights; %zu of the source left out\n%s%s\n", out,
                       c->list.count, ldm_format_bytes(c->bytes, size),
                       c->src.audit->effective.ema ? "EMA" : "raw", c->left_out, beside,
                       stays ? " stays as it is: it says the same" : "");
    if (!st)
        st = ldm_vocabulary_copy(c->src.network, c->src.ckpt_path, out, report, err);
    if (!st)
        st = ldm_grammar_copy(c->src.network, c->src.ckpt_path, out, report, err);
    if (!st)
        st = compare_outputs(c, opt, out, "config", beside, report, err);
    ldm_str_free(&yaml);
    ldm_free(beside);
    return st;
}

ldm_status ldm_convert(const ldm_model_options *opt, const char *out, unsigned how,
                       int (*progress)(void *ctx, double done), void *ctx, char **report,
                       ldm_error *err)
{
    static const ldm_model_options none;
    conversion c = {.how = how, .watch = {.fn = progress, .ctx = ctx}};
    ldm_arena *texts;
    ldm_str text = {0};
    ldm_status st;

    LDM_REQUIRE(report, "report", err);
    *report = NULL;
    LDM_REQUIRE(out, "out", err);
    opt = opt ? opt : &none;
    if ((how & LDM_CONVERT_HALF && how & LDM_CONVERT_BF16) || how > 15)
        return ldm_error_set(err, LDM_ERR_USAGE, "how is %u, which holds no LDM_CONVERT_...", how);
    texts = ldm_arena_create(0);
    if (!texts)
        return ldm_error_nomem(err, 0, "the conversion");
    st = ldm_sources_open(opt, texts, &c.src, err);
    if (!st)
        st = list_tensors(&c, err);
    c.list.watch = &c.watch;
    c.list.not_finite = &c.not_finite;
    c.watch.total = 2 * c.list.count;
    if (!st)
        st = how & LDM_CONVERT_DIFFUSERS ? write_folder(&c, opt, out, &text, err)
                                         : write_file(&c, opt, out, &text, err);
    if (!st)
        ldm_not_finite_say(&c.not_finite, &text);
    if (!st && text.failed)
        st = ldm_error_nomem(err, 0, "the report");
    if (st)
        ldm_str_free(&text);
    *report = text.data;
    ldm_free(c.list.items);
    ldm_sources_close(&c.src);
    ldm_arena_free(texts);
    return st;
}
