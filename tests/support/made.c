/* SPDX-License-Identifier: MIT */
/* See made.h. */
#include "made.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "network/network.h"
#include "sample/rng.h"
#include "sample/schedule.h"

enum { MAX_STEPS = 100000 };

/* Of a tensor and of its second name (cond_stage_model, where it is the first stage) the same. */
static uint64_t seed_of(const ldm_network *n, const char *name, unsigned seed)
{
    const char *p = ldm_network_is_copy(n, name) ? strchr(name, '.') : name;
    uint64_t h = 14695981039346656037u + seed;

    if (p == name && !strncmp(name, "first_stage_model", 17))
        p = strchr(name, '.');
    for (; p && *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    return h >> 1;
}

/* Norms near 1 and 0, weights of about 1 / sqrt(fan in): activations stay of order 1. */
static void draw(const ldm_network *n, const ldm_tensor_decl *t, unsigned seed, float *out)
{
    const float scale = t->fan_in ? 1 / sqrtf((float)t->fan_in) : t->ndim > 1 ? 1 : 0.2f;
    const float mean = !t->fan_in && t->ndim == 1 && strstr(t->name, "weight") ? 1 : 0;
    ldm_rng rng;
    uint64_t i;

    ldm_rng_seed(&rng, seed_of(n, t->name, seed));
    ldm_rng_randn(&rng, out, (size_t)t->numel);
    for (i = 0; i < t->numel; i++)
        out[i] = strstr(t->name, "position_ids") ? (float)i : out[i] * scale + mean;
}

/* The buffer of register_schedule that the name ends in; those that no run reads are 0. */
static void fill_schedule(const ldm_network *n, const ldm_tensor_decl *t, float *out)
{
    static double betas[MAX_STEPS], alphas[MAX_STEPS];
    static float rounded[MAX_STEPS];
    const ldm_diffusion_config *d = &n->diffusion;
    const ldm_low_scale *v = &n->low_scale;
    const char *leaf = strrchr(t->name, '.') ? strrchr(t->name, '.') + 1 : t->name;
    const int steps = (int)t->numel;
    int i;

    if (t->component == LDM_COMPONENT_LOW_SCALE)
        ldm_betas(v->beta_schedule, steps, v->linear_start, v->linear_end, v->cosine_s, betas);
    else
        ldm_betas(d->beta_schedule, steps, d->linear_start, d->linear_end, d->cosine_s, betas);
    ldm_alphas_cumprod(betas, steps, alphas, rounded);
    for (i = 0; i < steps; i++) {
        if (!strcmp(leaf, "betas"))
            out[i] = (float)betas[i];
        else if (!strcmp(leaf, "alphas_cumprod"))
            out[i] = rounded[i];
        else if (!strcmp(leaf, "sqrt_alphas_cumprod"))
            out[i] = (float)sqrt(alphas[i]);
        else if (!strcmp(leaf, "sqrt_one_minus_alphas_cumprod"))
            out[i] = (float)sqrt(1 - alphas[i]);
        else
            out[i] = 0;
    }
}

static bool is_schedule(const ldm_tensor_decl *t)
{
    return (t->component == LDM_COMPONENT_SCHEDULE || t->component == LDM_COMPONENT_LOW_SCALE) &&
           t->ndim == 1 && t->numel <= MAX_STEPS;
}

static void header_of(const ldm_network *n, bool wide, ldm_str *out)
{
    const uint64_t size = wide ? sizeof(double) : sizeof(float);
    uint64_t at = 0;
    int i, k;

    ldm_str_puts(out, "{");
    for (i = 0; i < n->tensor_count; i++) {
        const ldm_tensor_decl *t = &n->tensors[i];

        ldm_str_printf(out, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "", t->name,
                       wide ? "F64" : "F32");
        for (k = 0; k < t->ndim; k++)
            ldm_str_printf(out, "%s%" PRId64, k ? "," : "", t->shape[k]);
        ldm_str_printf(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at,
                       at + size * t->numel);
        at += size * t->numel;
    }
    ldm_str_puts(out, "}");
    while (out->len % 8)
        ldm_str_puts(out, " ");
}

static void append_tensor(const ldm_network *n, const ldm_tensor_decl *t, unsigned seed, bool wide,
                          ldm_str *out)
{
    float *values = calloc((size_t)t->numel, sizeof *values);
    uint64_t i;

    if (!values) {
        out->failed = true;
        return;
    }
    if (is_schedule(t))
        fill_schedule(n, t, values);
    else
        draw(n, t, seed, values);
    if (!wide)
        ldm_str_append(out, (const char *)values, (size_t)t->numel * sizeof *values);
    for (i = 0; wide && i < t->numel; i++) {
        const double v = (double)values[i] * (1 + 1e-9); /* no float32 */

        ldm_str_append(out, (const char *)&v, sizeof v);
    }
    free(values);
}

static ldm_status write_file(const ldm_network *n, unsigned seed, bool wide, const char *path,
                             ldm_error *err)
{
    ldm_str header = {0}, file = {0};
    unsigned char length[8];
    ldm_status st;
    int i;

    header_of(n, wide, &header);
    for (i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header.len >> 8 * i);
    ldm_str_append(&file, (const char *)length, sizeof length);
    ldm_str_append(&file, header.data, header.len);
    for (i = 0; i < n->tensor_count; i++)
        append_tensor(n, &n->tensors[i], seed, wide, &file);
    st = file.failed || header.failed ? ldm_error_nomem(err, 0, path)
                                      : ldm_file_write(path, file.data, file.len, err);
    ldm_str_free(&header);
    ldm_str_free(&file);
    return st;
}

int made_checkpoint_as(const char *config, unsigned seed, bool wide, const char *out)
{
    ldm_error err = {.msg = ""};
    ldm_config *cfg = NULL;
    ldm_network *n = NULL;
    ldm_status st = ldm_config_create(&cfg, &err);

    if (!st)
        st = ldm_config_load(cfg, config, &err);
    if (!st)
        st = ldm_network_create(cfg, NULL, &n, &err);
    if (!st)
        st = write_file(n, seed, wide, out, &err);
    ldm_network_free(n);
    ldm_config_free(cfg);
    if (st)
        fprintf(stderr, "%s: %s\n", config, err.msg);
    return st ? 1 : 0;
}

int made_checkpoint(const char *config, unsigned seed, const char *out)
{
    return made_checkpoint_as(config, seed, false, out);
}
