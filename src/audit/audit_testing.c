/* SPDX-License-Identifier: MIT */
/* Checkpoints and reports for tests; see audit_testing.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit/audit_testing.h"
#include "base/alloc.h"
#include "base/str.h"

/* Line 1 is `model:`. Two levels, attention at the second; num_head_channels on line 23. */
const char test_yaml[] = "model:\n"
                         "  base_learning_rate: 2.0e-06\n"
                         "  target: ldm.models.diffusion.ddpm.LatentDiffusion\n"
                         "  params:\n"
                         "    linear_start: 0.0015\n"
                         "    linear_end: 0.0195\n"
                         "    timesteps: 1000\n"
                         "    image_size: 8\n"
                         "    channels: 3\n"
                         "    monitor: val/loss\n"
                         "    conditioning_key: crossattn\n"
                         "    unet_config:\n"
                         "      target: ldm.modules.diffusionmodules.openaimodel.UNetModel\n"
                         "      params:\n"
                         "        image_size: 8\n"
                         "        in_channels: 3\n"
                         "        out_channels: 3\n"
                         "        model_channels: 32\n"
                         "        attention_resolutions: [2]\n"
                         "        num_res_blocks: 1\n"
                         "        channel_mult: [1, 2]\n"
                         "        num_heads: 8\n"
                         "        num_head_channels: 32\n"
                         "    first_stage_config:\n"
                         "      target: ldm.models.autoencoder.VQModelInterface\n"
                         "      params:\n"
                         "        embed_dim: 3\n"
                         "        n_embed: 64\n"
                         "        ddconfig:\n"
                         "          double_z: false\n"
                         "          z_channels: 3\n"
                         "          resolution: 16\n"
                         "          in_channels: 3\n"
                         "          out_ch: 3\n"
                         "          ch: 32\n"
                         "          ch_mult: [1, 2]\n"
                         "          num_res_blocks: 1\n"
                         "          attn_resolutions: []\n"
                         "          dropout: 0.0\n"
                         "        lossconfig:\n"
                         "          target: torch.nn.Identity\n"
                         "    cond_stage_config: __is_unconditional__\n";

static void finish(test_model *m, const char *const *overrides)
{
    ldm_error err = {.msg = ""};
    size_t i;

    for (i = 0; overrides && overrides[i]; i++) {
        if (ldm_config_set(m->cfg, overrides[i], &err))
            fail_msg("%s", err.msg);
    }
    if (ldm_network_create(m->cfg, NULL, &m->network, &err))
        fail_msg("%s", err.msg);
}

test_model test_model_create(const char *yaml, const char *const *overrides)
{
    test_model m = {NULL, NULL};
    ldm_error err = {.msg = ""};

    if (ldm_config_create(&m.cfg, &err) ||
        ldm_config_load_text(m.cfg, "test.yaml", yaml, strlen(yaml), &err))
        fail_msg("%s", err.msg);
    finish(&m, overrides);
    return m;
}

test_model test_model_load(const char *path, const char *const *overrides)
{
    test_model m = {NULL, NULL};
    ldm_error err = {.msg = ""};

    if (ldm_config_create(&m.cfg, &err) || ldm_config_load(m.cfg, path, &err))
        fail_msg("%s", err.msg);
    finish(&m, overrides);
    return m;
}

void test_model_free(test_model *m)
{
    ldm_network_free(m->network);
    ldm_config_free(m->cfg);
}

/* ---- safetensors: u64 length, JSON header, data -------------------------------------------------
 */

typedef struct writer {
    ldm_str header, data;
} writer;

static void put_tensor(writer *w, const char *name, int ndim, const int64_t *shape,
                       const float *values, uint64_t numel, bool as_bytes)
{
    const size_t bytes = (size_t)numel * (as_bytes ? 1 : 4);
    int i;

    ldm_str_printf(&w->header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                   w->header.len > 1 ? "," : "", name, as_bytes ? "U8" : "F32");
    for (i = 0; i < ndim; i++)
        ldm_str_printf(&w->header, i ? ",%lld" : "%lld", (long long)shape[i]);
    ldm_str_printf(&w->header, "],\"data_offsets\":[%zu,%zu]}", w->data.len, w->data.len + bytes);
    ldm_str_append(&w->data, (const char *)values, bytes);
}

static void fill_schedule(const ldm_network *s, float *f32)
{
    size_t n = (size_t)s->diffusion.timesteps;
    double *betas = ldm_calloc(n, sizeof *betas), *f64 = ldm_calloc(n, sizeof *f64);

    ldm_betas(s->diffusion.beta_schedule, (int)n, s->diffusion.linear_start,
              s->diffusion.linear_end, s->diffusion.cosine_s, betas);
    ldm_alphas_cumprod(betas, (int)n, f64, f32);
    ldm_free(betas);
    ldm_free(f64);
}

static void put_network_tensor(writer *w, const ldm_network *network, const ldm_tensor_decl *t,
                               const test_edit *e)
{
    float *values = ldm_calloc((size_t)t->numel, sizeof *values);
    char buf[512];
    const char *name = e->rename ? e->rename(t->name, buf) : t->name;
    uint64_t i;

    assert_non_null(values);
    for (i = 0; i < t->numel; i++) {
        if (e->fill_name && strcmp(t->name, e->fill_name) == 0)
            values[i] = e->fill_value;
        else if (strstr(t->name, "position_ids"))
            values[i] = (float)i;
    }
    if (e->schedule && strcmp(t->name, "alphas_cumprod") == 0)
        fill_schedule(network, values);
    if (name)
        put_tensor(w, name, t->ndim, t->shape, values, t->numel,
                   e->as_bytes && !strcmp(t->name, e->as_bytes));
    ldm_free(values);
}

ldm_ckpt *test_ckpt_create(const ldm_network *network, const test_edit *edit, void **data)
{
    static const test_edit none;
    static const float zeros[6];
    static const int64_t shape[2] = {2, 3};
    const test_edit *e = edit ? edit : &none;
    writer w = {{.data = NULL}, {.data = NULL}};
    unsigned char *file;
    ldm_ckpt *ck;
    ldm_error err = {.msg = ""};
    int i;

    ldm_str_puts(&w.header, "{");
    for (i = 0; i < network->tensor_count; i++)
        put_network_tensor(&w, network, &network->tensors[i], e);
    if (e->extra)
        put_tensor(&w, e->extra, 2, shape, zeros, 6, false);
    if (e->add_scale)
        put_tensor(&w, e->add_scale, 0, NULL, &e->fill_value, 1, false);
    ldm_str_puts(&w.header, "}");
    while (w.header.len % 8)
        ldm_str_puts(&w.header, " ");
    assert_false(w.header.failed || w.data.failed);
    file = ldm_malloc(8 + w.header.len + w.data.len);
    assert_non_null(file);
    for (i = 0; i < 8; i++)
        file[i] = (unsigned char)((uint64_t)w.header.len >> (8 * i));
    memcpy(file + 8, w.header.data, w.header.len);
    if (w.data.len)
        memcpy(file + 8 + w.header.len, w.data.data, w.data.len);
    if (ldm_ckpt_open_memory(file, 8 + w.header.len + w.data.len, "test.safetensors", NULL, &ck,
                             &err))
        fail_msg("%s", err.msg);
    ldm_str_free(&w.header);
    ldm_str_free(&w.data);
    *data = file;
    return ck;
}

json_t *test_check_json(const ldm_audit *a, bool values)
{
    ldm_audit_report r = {.values = values};
    ldm_str out = {.data = NULL};
    ldm_error err = {.msg = ""};
    json_error_t where;
    json_t *root;

    ldm_status st = ldm_audit_json(a, &r, &out, &err);

    if (st && st != LDM_ERR_NUMERIC)
        fail_msg("%s", err.msg);
    root = json_loads(out.data, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        fail_msg("line %d: %s", where.line, where.text);
    ldm_str_free(&out);
    return root;
}

char *test_check_text(const ldm_audit *a, bool all, bool colour)
{
    ldm_audit_report r = {.all = all, .colour = colour};
    ldm_str out = {.data = NULL};
    ldm_error err = {.msg = ""};

    if (ldm_audit_text(a, &r, &out, &err))
        fail_msg("%s", err.msg);
    return out.data;
}

test_bench test_bench_create(const char *const *trained, const char *const *asked,
                             const test_edit *edit, int ema)
{
    test_bench b;
    ldm_error err = {.msg = ""};

    b.trained = test_model_create(test_yaml, trained);
    b.asked = test_model_create(test_yaml, asked);
    b.ck = test_ckpt_create(b.trained.network, edit, &b.data);
    if (ldm_audit_create(b.asked.network, b.ck, ema, NULL, &b.a, &err))
        fail_msg("%s", err.msg);
    b.a->given.config = b.asked.cfg;
    return b;
}

void test_bench_free(test_bench *b)
{
    ldm_audit_free(b->a);
    ldm_ckpt_close(b->ck);
    ldm_free(b->data);
    test_model_free(&b->trained);
    test_model_free(&b->asked);
}

size_t test_list_size(const json_t *root, const char *name)
{
    json_t *l = json_object_get(root, name);

    assert_true(json_is_array(l));
    return json_array_size(l);
}

/* The remedy that the report gives for one cause; NULL where it does not name that cause. */
const char *test_remedy(const json_t *root, const char *id)
{
    json_t *c, *all = json_object_get(root, "causes");
    size_t i;

    json_array_foreach(all, i, c)
    {
        if (strcmp(json_string_value(json_object_get(c, "id")), id) == 0)
            return json_string_value(json_object_get(c, "remedy"));
    }
    return NULL;
}

void test_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text ? text : "(nothing)");
}
