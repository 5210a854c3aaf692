/* SPDX-License-Identifier: MIT */
/* Random numbers, guarded memory, comparison; see kernelcheck.h. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/half.h"
#include "kernelcheck.h"

#define GUARD_FLOATS 67        /* odd, so that views are not aligned */
#define GUARD_BITS 0x7fc5a5a5u /* a NaN: reading it shows as well */

static uint64_t next(check *k)
{
    uint64_t z = (k->rng += 0x9e3779b97f4a7c15u); /* splitmix64 */

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int check_int(check *k, int lo, int hi)
{
    return lo + (int)(next(k) % (uint64_t)(hi - lo + 1));
}

float check_float(check *k)
{
    return (float)(int32_t)(next(k) >> 32) * 0x1p-31f;
}

void check_fail(check *k, const char *fmt, ...)
{
    va_list ap;

    k->failed++;
    fprintf(stderr, "FAIL %s, %s: ", k->tested->name, k->what);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static void *need(void *p)
{
    if (!p) {
        fprintf(stderr, "kernelcheck: out of memory\n");
        exit(1);
    }
    return p;
}

static void *aligned(size_t bytes)
{
    return need(aligned_alloc(64, (bytes + 127) / 64 * 64));
}

float *check_zeros(size_t n)
{
    float *p = aligned(n * sizeof *p);

    memset(p, 0, n * sizeof *p);
    return p;
}

void check_round_bf16(const ldm_view *v)
{
    const size_t pixels = (size_t)v->n * (size_t)v->h * (size_t)v->w;
    size_t i;
    int c;

    for (i = 0; i < pixels; i++) {
        for (c = 0; c < v->c; c++) {
            float *at = v->data + i * v->pitch + c;

            *at = ldm_bf16_to_float(ldm_float_to_bf16(*at));
        }
    }
}

float *check_array(check *k, size_t n)
{
    float *p = check_zeros(n);
    size_t i;

    for (i = 0; i < n; i++)
        p[i] = check_float(k);
    return p;
}

static void guard_fill(float *p, size_t n)
{
    const uint32_t bits = GUARD_BITS;
    size_t i;

    for (i = 0; i < n; i++)
        memcpy(p + i, &bits, sizeof bits);
}

static bool guard_ok(const float *p, size_t n)
{
    const uint32_t bits = GUARD_BITS;
    size_t i;

    for (i = 0; i < n; i++) {
        if (memcmp(p + i, &bits, sizeof bits) != 0)
            return false;
    }
    return true;
}

guarded guarded_make(check *k, int n, int h, int w, int c, int extra_pitch)
{
    const size_t pixels = (size_t)n * (size_t)h * (size_t)w;
    guarded g;
    size_t p;
    int j;

    g.v = (ldm_view){NULL, n, h, w, c, (size_t)(c + extra_pitch)};
    g.floats = 2 * GUARD_FLOATS + pixels * g.v.pitch;
    g.base = aligned(g.floats * sizeof *g.base);
    guard_fill(g.base, g.floats);
    g.v.data = g.base + GUARD_FLOATS;
    for (p = 0; p < pixels; p++) {
        for (j = 0; j < c; j++)
            g.v.data[p * g.v.pitch + (size_t)j] = check_float(k);
    }
    return g;
}

guarded guarded_copy(const guarded *g)
{
    guarded r = *g;

    r.base = aligned(g->floats * sizeof *g->base);
    memcpy(r.base, g->base, g->floats * sizeof *g->base);
    r.v.data = r.base + GUARD_FLOATS;
    return r;
}

void guarded_free(guarded *g)
{
    free(g->base);
    g->base = NULL;
}

void guarded_check(check *k, const guarded *g)
{
    const ldm_view *v = &g->v;
    const size_t pixels = (size_t)v->n * (size_t)v->h * (size_t)v->w;
    bool ok = guard_ok(g->base, GUARD_FLOATS) &&
              guard_ok(g->base + g->floats - GUARD_FLOATS, GUARD_FLOATS);
    size_t p;

    for (p = 0; p < pixels; p++)
        ok = ok && guard_ok(v->data + p * v->pitch + v->c, v->pitch - (size_t)v->c);
    if (!ok)
        check_fail(k, "wrote outside the view");
}

context context_make(int threads, size_t scratch_floats)
{
    context c = {.floats = scratch_floats};
    ldm_error err;

    if (ldm_pool_create(threads, &c.ctx.pool, &err)) {
        fprintf(stderr, "kernelcheck: %s\n", err.msg);
        exit(1);
    }
    c.ctx.threads = threads;
    c.ctx.scratch_floats = scratch_floats;
    c.ctx.scratch = ldm_pages_alloc((scratch_floats + GUARD_FLOATS) * sizeof(float));
    need(c.ctx.scratch);
    guard_fill(c.ctx.scratch, scratch_floats + GUARD_FLOATS);
    return c;
}

void context_free(check *k, context *c)
{
    if (k && !guard_ok(c->ctx.scratch + c->floats, GUARD_FLOATS))
        check_fail(k, "wrote behind its %zu floats of scratch", c->floats);
    ldm_pool_free(c->ctx.pool);
    ldm_pages_free(c->ctx.scratch, (c->floats + GUARD_FLOATS) * sizeof(float));
}

void check_views(check *k, const ldm_view *got, const ldm_view *want, double tolerance)
{
    const size_t pixels = (size_t)want->n * (size_t)want->h * (size_t)want->w;
    double worst = -1.0;
    size_t p, at = 0;
    int j, channel = 0;

    k->done++;
    for (p = 0; p < pixels; p++) {
        for (j = 0; j < want->c; j++) {
            const double g = got->data[p * got->pitch + (size_t)j];
            const double diff = fabs(g - want->data[p * want->pitch + (size_t)j]);

            if (!(diff <= worst)) {
                worst = isnan(diff) ? INFINITY : diff;
                at = p;
                channel = j;
            }
        }
    }
    if (worst > tolerance)
        check_fail(k, "pixel %zu channel %d is %.9g, expected %.9g (within %.3g)", at, channel,
                   (double)got->data[at * got->pitch + (size_t)channel],
                   (double)want->data[at * want->pitch + (size_t)channel], tolerance);
}

void check_same(check *k, const ldm_view *got, const ldm_view *want, const char *why)
{
    const size_t pixels = (size_t)want->n * (size_t)want->h * (size_t)want->w;
    size_t p;

    k->done++;
    for (p = 0; p < pixels; p++) {
        if (memcmp(got->data + p * got->pitch, want->data + p * want->pitch,
                   (size_t)want->c * sizeof(float)) != 0) {
            check_fail(k, "pixel %zu differs with %s", p, why);
            return;
        }
    }
}
