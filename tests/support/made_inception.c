/* SPDX-License-Identifier: MIT */
/* See made_inception.h. */
#include "made_inception.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/inception.h"

static float made_value(const ldm_tensor_decl *t, int number, size_t at)
{
    const double u = made_noise((uint32_t)number, (uint32_t)at);
    const char *last = strrchr(t->name, '.') + 1;

    if (t->ndim == 4)
        return (float)(u * sqrt(6 / ((double)t->shape[1] * t->shape[2] * t->shape[3])));
    if (!strcmp(t->name, "fc.weight"))
        return (float)(0.05 * u);
    if (!strcmp(t->name, "fc.bias") || !strcmp(last, "running_mean"))
        return (float)(0.1 * u);
    if (!strcmp(last, "weight"))
        return (float)(1 + 0.2 * u);
    return !strcmp(last, "bias") ? (float)(0.1 + 0.1 * u) : (float)(1 + 0.3 * u);
}

static void put_header(FILE *f, const ldm_network *s)
{
    char *json = calloc((size_t)s->tensor_count, 256), *at = json;
    unsigned long long offset = 0;
    uint64_t len;
    int i, d;

    if (!json)
        abort();
    *at++ = '{';
    for (i = 0; i < s->tensor_count; i++) {
        const ldm_tensor_decl *t = &s->tensors[i];

        at += sprintf(at, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? "," : "", t->name);
        for (d = 0; d < t->ndim; d++)
            at += sprintf(at, "%s%lld", d ? "," : "", (long long)t->shape[d]);
        at += sprintf(at, "],\"data_offsets\":[%llu,", offset);
        offset += 4 * t->numel;
        at += sprintf(at, "%llu]}", offset);
    }
    *at++ = '}';
    while ((at - json) % 8)
        *at++ = ' ';
    len = (uint64_t)(at - json);
    fwrite(&len, sizeof len, 1, f);
    fwrite(json, 1, (size_t)len, f);
    free(json);
}

int made_inception(const char *out, int classes)
{
    FILE *f = fopen(out, "wb");
    ldm_network *s = NULL;
    ldm_error err;
    int i;

    if (!f || ldm_inception_create(&s, &err)) {
        fprintf(stderr, "%s cannot be written\n", out);
        return 1;
    }
    for (i = 0; i < s->tensor_count; i++) {
        if (!strncmp(s->tensors[i].name, "fc.", 3)) {
            s->tensors[i].numel = s->tensors[i].numel / LDM_INCEPTION_CLASSES * (uint64_t)classes;
            s->tensors[i].shape[0] = classes;
        }
    }
    put_header(f, s);
    for (i = 0; i < s->tensor_count; i++) {
        const size_t n = (size_t)s->tensors[i].numel;
        float *v = malloc(n * sizeof *v);
        size_t k;

        if (!v)
            abort();
        for (k = 0; k < n; k++)
            v[k] = made_value(&s->tensors[i], i, k);
        fwrite(v, sizeof *v, n, f);
        free(v);
    }
    ldm_network_free(s);
    return fclose(f) ? 1 : 0;
}
