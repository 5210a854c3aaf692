/* SPDX-License-Identifier: MIT */
/* Convolutions on random shapes: against plain loops in double (the C backend) or the C backend
 * (the others), and bit for bit across threads, batches and the place of a sample in its batch. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/conv_impl.h"
#include "kernelcheck.h"

typedef struct conv_case {
    ldm_conv_desc d;
    guarded x, y, residual;
    guarded raw; /* x before it was normalised; base NULL: it was not */
    float *affine;
    bool silu;
    float *weights, *bias;
    size_t bias_stride;
    bool in_place; /* the residual is y itself */
    bool relu;
    ldm_precision precision;
    int algorithm; /* -1: the backend's choice */
    bool halves;   /* weights are halves, and given as such where they may stay in the file */
    bool rounded;  /* bf16: x and weights are bf16 values already */
    char text[200];
} conv_case;

typedef enum case_kind {
    SMALL,
    MANY_CHANNELS,
    MANY_PIXELS, /* so that each worker has tiles of its own */
    LARGE_MATRIX /* kernel 1, with weights that are packed where they are used */
} case_kind;

/* in, summed in double over the whole window. */
static void naive(const conv_case *t, ldm_view *y)
{
    const ldm_conv_desc *d = &t->d;
    const int up = d->upsample ? 2 : 1, h = d->in_h * up, w = d->in_w * up;
    int i, oy, ox, co, ci, ky, kx;

    for (i = 0; i < y->n; i++) {
        for (oy = 0; oy < d->out_h; oy++) {
            for (ox = 0; ox < d->out_w; ox++) {
                float *out = view_pixel(y, i, oy, ox);

                for (co = 0; co < d->cout; co++) {
                    double s = t->bias ? t->bias[(size_t)i * t->bias_stride + (size_t)co] : 0.0;

                    for (ky = 0; ky < d->kernel_h; ky++) {
                        for (kx = 0; kx < d->kernel_w; kx++) {
                            const int iy = oy * d->stride + ky - d->pad_top;
                            const int ix = ox * d->stride + kx - d->pad_left;
                            const float *in, *wt = t->weights;

                            if (iy < 0 || iy >= h || ix < 0 || ix >= w)
                                continue;
                            in = view_pixel(&t->x.v, i, iy / up, ix / up);
                            wt += ((size_t)co * (size_t)d->cin * (size_t)d->kernel_h + (size_t)ky) *
                                      (size_t)d->kernel_w +
                                  (size_t)kx;
                            for (ci = 0; ci < d->cin; ci++, wt += ldm_conv_taps(d))
                                s += (double)in[ci] * (double)*wt;
                        }
                    }
                    if (t->residual.base)
                        s += view_pixel(&t->residual.v, i, oy, ox)[co];
                    out[co] = (float)(t->relu ? fmax(0.0, s) : s);
                }
            }
        }
    }
}

/* A float that is a half, below 2 in size: its fraction is cut to 10 bits, or to steps of 2^-24. */
static float to_half(float v)
{
    int e;
    float step;

    frexpf(v, &e);
    step = ldexpf(1.0f, (e > -13 ? e : -13) - 11);
    return truncf(v / step) * step;
}

/* Every fourth a subnormal half, or zero. */
static void make_halves(float *v, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        v[i] = to_half(i % 4 ? v[i] : v[i] * 0x1p-16f);
}

static uint16_t half_of(float v)
{
    const uint16_t sign = signbit(v) ? 0x8000 : 0;
    int e;
    const float f = frexpf(fabsf(v), &e); /* v = f * 2^e, f from 0.5 to 1 */

    if (v == 0)
        return sign;
    if (e < -13) /* subnormal: multiples of 2^-24 */
        return (uint16_t)(sign | (unsigned)(fabsf(v) * 0x1p24f));
    return (uint16_t)(sign | (unsigned)(e + 14) << 10 | (unsigned)((f - 0.5f) * 0x1p11f));
}

/* Weights as they may lie in a checkpoint: off the lines of the cache, and nothing behind them. */
static float *as_in_a_file(const float *weights, size_t n, float **memory)
{
    *memory = malloc((n + 1) * sizeof **memory);
    if (!*memory)
        abort();
    memcpy(*memory + 1, weights, n * sizeof **memory);
    return *memory + 1;
}

/* The same in half precision, from floats that are halves. */
static uint16_t *halves_in_a_file(const float *weights, size_t n, float **memory)
{
    uint16_t *at;
    size_t i;

    *memory = malloc((n + 1) * sizeof *at);
    if (!*memory)
        abort();
    at = (uint16_t *)(void *)*memory + 1;
    for (i = 0; i < n; i++)
        at[i] = half_of(weights[i]);
    return at;
}

/* Moments of y in the slabs that the plan can tell of it, as [n][slab row][slab column] pixels of
 * 2 * cout; base NULL: it can't. */
static guarded make_moments(check *k, const ldm_backend *b, const conv_case *t, ldm_slabs *slabs)
{
    const ldm_conv_desc *d = &t->d;
    guarded none = {.base = NULL};
    ldm_conv_plan plan;
    ldm_error err;

    if (b->conv_plan(b, d, t->precision, t->algorithm, 1, &plan, &err) || !plan.slabs.h)
        return none;
    *slabs = plan.slabs;
    return guarded_make(k, t->y.v.n, (d->out_h - 1) / plan.slabs.h + 1,
                        (d->out_w - 1) / plan.slabs.w + 1, 2 * d->cout, 0);
}

/* One channel of one slab against y itself, in double: what cancels are distances from some pixel
 * of the slab. */
static void check_slab(check *k, const ldm_view *y, const ldm_view *m, const ldm_slabs *s, int i,
                       int row, int col, int channel)
{
    const int top = row * s->h, bottom = top + s->h < y->h ? top + s->h : y->h;
    const int left = col * s->w, right = left + s->w < y->w ? left + s->w : y->w;
    const double count = (double)(bottom - top) * (right - left);
    const float *got = view_pixel(m, i, row, col) + channel;
    double mean = 0.0, deviation = 0.0, far = 0.0, within;
    int py, px;

    for (py = top; py < bottom; py++) {
        for (px = left; px < right; px++)
            mean += view_pixel(y, i, py, px)[channel];
    }
    mean /= count;
    for (py = top; py < bottom; py++) {
        for (px = left; px < right; px++) {
            const double distance = view_pixel(y, i, py, px)[channel] - mean;

            deviation += distance * distance;
            far = fmax(far, fabs(distance));
        }
    }
    within = 0x1p-24 * (16 + count / 16 + 8) * 2; /* 16 pixels are added up, then their sums */
    if (!(fabs(got[0] - mean) <= 0x1p-23 * fabs(mean) + within * far) ||
        !(fabs(got[m->c / 2] - deviation) <= within * count * far * far))
        check_fail(
            k, "sample %d slab %d, %d channel %d: mean %.9g and deviation %.9g, not %.9g and %.9g",
            i, row, col, channel, (double)got[0], (double)got[m->c / 2], mean, deviation);
}

static void check_moments(check *k, const ldm_view *y, const ldm_view *m, const ldm_slabs *s)
{
    int i, row, col, channel;

    k->done++;
    for (i = 0; i < m->n; i++) {
        for (row = 0; row < m->h; row++) {
            for (col = 0; col < m->w; col++) {
                for (channel = 0; channel < y->c; channel++)
                    check_slab(k, y, m, s, i, row, col, channel);
            }
        }
    }
}

/* Plans, packs and runs on the samples [first, first + n) of the case; y: a copy of t->y to write;
 * moments: NULL or of no base, not to be written. */
static void run(check *k, const ldm_backend *b, const conv_case *t, int threads, int first, int n,
                guarded *y, guarded *moments)
{
    const size_t in_plane = (size_t)t->d.in_h * (size_t)t->d.in_w;
    const size_t out_plane = (size_t)t->d.out_h * (size_t)t->d.out_w;
    ldm_conv_plan plan;
    ldm_conv_args a = {.x = t->x.v, .y = y->v, .bias_stride = t->bias_stride};
    ldm_error err;
    context c;
    float *packed, *memory = NULL;
    int task;

    if (b->conv_plan(b, &t->d, t->precision, t->algorithm, threads, &plan, &err)) {
        check_fail(k, "conv_plan: %s", err.msg);
        return;
    }
    packed = check_zeros(plan.packed_floats);
    for (task = plan.pack_tasks - 1; task >= 0; task--)
        b->conv_pack(b, &plan, t->weights, packed, task);
    c = context_make(threads, plan.scratch_floats);
    a.packed = packed;
    if (t->relu && plan.rectifies)
        a.activation = LDM_ACTIVATION_RELU;
    if (plan.as_is && t->halves) {
        a.half = true;
        a.packed = halves_in_a_file(t->weights, plan.packed_floats, &memory);
    } else if (plan.as_is && first % 2 == 0) {
        a.packed = as_in_a_file(t->weights, plan.packed_floats, &memory);
    }
    a.x.n = a.y.n = n;
    a.x.data += (size_t)first * in_plane * a.x.pitch;
    a.y.data += (size_t)first * out_plane * a.y.pitch;
    if (t->raw.base && plan.normalises) {
        a.x.data = view_pixel(&t->raw.v, first, 0, 0);
        a.x.pitch = t->raw.v.pitch;
        a.affine = t->affine + first * 2 * t->d.cin;
        a.silu = t->silu;
    }
    if (t->bias)
        a.bias = t->bias + (size_t)first * t->bias_stride;
    if (t->residual.base) {
        a.residual = t->in_place ? y->v : t->residual.v;
        a.residual.n = n;
        a.residual.data += (size_t)first * out_plane * a.residual.pitch;
    }
    if (moments && moments->base)
        a.moments = view_pixel(&moments->v, first, 0, 0);
    b->conv(b, &c.ctx, &plan, &a);
    if (t->relu && !plan.rectifies)
        b->activate(b, &c.ctx, LDM_ACTIVATION_RELU, &a.y, &a.y);
    context_free(k, &c);
    free(packed);
    free(memory);
    guarded_check(k, y);
    if (a.moments)
        guarded_check(k, moments);
}

static int channels(check *k, int most)
{
    return check_int(k, 0, 3) == 0 ? check_int(k, 1, 8) : check_int(k, 1, most);
}

/* Sizes that bf16 serves; what it does not is computed as in f32. */
static void make_bf16(check *k, conv_case *t, bool large)
{
    ldm_conv_desc *d = &t->d;

    d->cin = 32 + 2 * check_int(k, 0, large ? 150 : 20);
    d->cout = 16 + check_int(k, 0, large ? 150 : 60);
    t->precision = LDM_PRECISION_BF16;
    t->algorithm = ldm_conv_taps(d) == 1 && d->in_h == 1 && d->in_w == 1 ? -1 : LDM_CONV_BF16;
    t->rounded = check_int(k, 0, 1);
}

/* Normalises x as norm does for a convolution that cannot. */
static void normalise(check *k, conv_case *t)
{
    const size_t plane = (size_t)t->d.in_h * (size_t)t->d.in_w, cin = (size_t)t->d.cin;
    int i;

    t->raw = t->x;
    t->x = guarded_copy(&t->raw);
    t->affine = check_array(k, 2 * cin * (size_t)t->x.v.n);
    t->silu = check_int(k, 0, 1);
    for (i = 0; i < t->x.v.n; i++) {
        const float *factor = t->affine + (size_t)i * 2 * cin;

        ldm_kernels_of(k->tested)->affine(view_pixel(&t->raw.v, i, 0, 0), t->raw.v.pitch,
                                          view_pixel(&t->x.v, i, 0, 0), t->x.v.pitch, plane, cin,
                                          factor, factor + cin, t->silu);
    }
}

/* More tiles of Winograd's in a row than there are in a block. */
static void make_long_rows(check *k, ldm_conv_desc *d)
{
    *d = (ldm_conv_desc){.cin = d->cin,
                         .cout = d->cout,
                         .kernel_h = 3,
                         .kernel_w = 3,
                         .stride = 1,
                         .pad_top = 1,
                         .pad_left = 1};
    d->in_h = d->out_h = check_int(k, 8, 13);
    d->in_w = d->out_w = check_int(k, 510, 620);
}

/* Any window: oblong, with stride and padding of its own. */
static void make_window(check *k, ldm_conv_desc *d)
{
    d->upsample = false;
    d->stride = check_int(k, 1, 2);
    d->kernel_h = check_int(k, 1, LDM_CONV_MAX_KERNEL);
    d->kernel_w = check_int(k, 1, LDM_CONV_MAX_KERNEL);
    d->pad_top = check_int(k, 0, d->kernel_h / 2);
    d->pad_left = check_int(k, 0, d->kernel_w / 2);
    d->in_h += d->kernel_h;
    d->in_w += d->kernel_w;
    d->out_h = (d->in_h + 2 * d->pad_top - d->kernel_h) / d->stride + 1;
    d->out_w = (d->in_w + 2 * d->pad_left - d->kernel_w) / d->stride + 1;
}

static void make_case(check *k, conv_case *t, case_kind kind)
{
    ldm_conv_desc *d = &t->d;
    const bool large = kind == MANY_CHANNELS || kind == LARGE_MATRIX, wide = kind == MANY_PIXELS;
    const bool long_rows = wide && check_int(k, 0, 2) == 0;
    const int n = check_int(k, 1, 3), most = large ? 600 : wide ? 24 : 70;
    size_t rows;

    memset(t, 0, sizeof *t);
    d->cin = channels(k, most);
    d->cout = channels(k, large ? 100 : wide ? 40 : 70);
    d->kernel_h = d->kernel_w = check_int(k, 0, large ? 5 : 2) ? 3 : 1;
    if (kind == LARGE_MATRIX) {
        d->kernel_h = d->kernel_w = 1;
        d->cin = check_int(k, 1030, 1100);
        d->cout = check_int(k, 1020, 1060);
    }
    d->stride = d->kernel_h == 3 && check_int(k, 0, large ? 5 : 2) == 0 ? 2 : 1;
    d->upsample = d->stride == 1 && check_int(k, 0, 3) == 0;
    d->in_h = wide ? check_int(k, 30, 70) : check_int(k, 1, large ? 7 : 19);
    d->in_w = wide ? check_int(k, 30, 70) : check_int(k, 1, large ? 11 : 21);
    d->pad_top = d->pad_left = d->kernel_h / 2;
    if (d->stride == 2 && check_int(k, 0, 1)) { /* the autoencoder pads only right and bottom */
        d->pad_top = d->pad_left = 0;
        d->out_h = d->in_h / 2 ? d->in_h / 2 : 1;
        d->out_w = d->in_w / 2 ? d->in_w / 2 : 1;
    } else {
        d->out_h = (d->in_h * (d->upsample ? 2 : 1) - 1) / d->stride + 1;
        d->out_w = (d->in_w * (d->upsample ? 2 : 1) - 1) / d->stride + 1;
    }
    if (long_rows)
        make_long_rows(k, d);
    if (kind == SMALL && check_int(k, 0, 2) == 0)
        make_window(k, d);
    t->relu = check_int(k, 0, 2) == 0;
    t->precision = check_int(k, 0, 3) ? LDM_PRECISION_F32 : LDM_PRECISION_EXACT;
    t->algorithm = -1;
    if (t->precision == LDM_PRECISION_F32 && d->kernel_h == 3 && d->kernel_w == 3 && d->stride == 1)
        t->algorithm = check_int(k, long_rows ? 1 : -1, 2); /* small shapes would all be direct */
    if (k->bf16)
        make_bf16(k, t, large);
    t->x = guarded_make(k, n, d->in_h, d->in_w, d->cin, check_int(k, 0, 1) * check_int(k, 1, 40));
    t->y =
        guarded_make(k, n, d->out_h, d->out_w, d->cout, check_int(k, 0, 1) * check_int(k, 1, 40));
    rows = (size_t)d->cin * (size_t)ldm_conv_taps(d);
    t->weights = check_array(k, rows * (size_t)d->cout);
    if (t->rounded) {
        const ldm_view weights = {t->weights, 1, 1, d->cout, (int)rows, rows};

        check_round_bf16(&weights);
        check_round_bf16(&t->x.v);
    }
    t->halves = !k->bf16 && check_int(k, 0, 2) == 0;
    if (t->halves)
        make_halves(t->weights, rows * (size_t)d->cout);
    if (!k->bf16 && (long_rows || check_int(k, 0, 1)))
        normalise(k, t);
    if (check_int(k, 0, 3)) {
        t->bias_stride = check_int(k, 0, 1) ? (size_t)(d->cout + check_int(k, 0, 5)) : 0;
        t->bias = check_array(k, (size_t)d->cout + (size_t)(n - 1) * t->bias_stride);
    }
    if (check_int(k, 0, 1)) {
        t->in_place = check_int(k, 0, 1);
        t->residual = t->in_place ? guarded_copy(&t->y)
                                  : guarded_make(k, n, d->out_h, d->out_w, d->cout,
                                                 check_int(k, 0, 1) * check_int(k, 1, 9));
    }
    snprintf(t->text, sizeof t->text,
             "conv %d->%d k%dx%d s%d pad %d,%d%s %dx%d->%dx%d n %d bias %d/%zu residual %s "
             "algorithm %d%s%s",
             d->cin, d->cout, d->kernel_h, d->kernel_w, d->stride, d->pad_top, d->pad_left,
             d->upsample ? " up" : "", d->in_h, d->in_w, d->out_h, d->out_w, n, t->bias != NULL,
             t->bias_stride, t->residual.base ? t->in_place ? "in place" : "yes" : "no",
             t->algorithm, t->raw.base ? " normalised" : "", t->relu ? " relu" : "");
}

static void free_case(conv_case *t)
{
    guarded_free(&t->x);
    guarded_free(&t->y);
    if (t->raw.base)
        guarded_free(&t->raw);
    free(t->affine);
    if (t->residual.base)
        guarded_free(&t->residual);
    free(t->weights);
    free(t->bias);
}

/* Rounding of a sum of m terms of size about 1/3 behaves as a random walk; 8 of its deviations.
 * Winograd adds its transforms, whose constants lose up to a hundred times that. bf16 adds up in
 * f32 too, so that inputs which need no rounding leave no more than that. */
static double tolerance(const conv_case *t)
{
    const double m = (double)t->d.cin * ldm_conv_taps(&t->d);

    /* each product of two inputs is off by 2^-9 of its size at most on either side */
    if (t->algorithm == LDM_CONV_BF16 && !t->rounded)
        return 8 * 0x1p-9 * sqrt(m) / 3 + 1e-6;
    return 8 * 0x1p-24 * (m / 3 + 2) * (t->precision == LDM_PRECISION_EXACT ? 1 : 16);
}

static void one_case(check *k, case_kind kind)
{
    conv_case t;
    char what[sizeof t.text + 32];
    guarded want, got, other, moments, others = {.base = NULL};
    ldm_slabs slabs = {0, 0};
    int threads, i;

    make_case(k, &t, kind);
    memcpy(what, t.text, sizeof t.text);
    k->what = what;
    want = guarded_copy(&t.y);
    got = guarded_copy(&t.y);
    moments = make_moments(k, k->tested, &t, &slabs);
    run(k, k->tested, &t, 1, 0, t.y.v.n, &got, &moments);
    if (moments.base) {
        check_moments(k, &got.v, &moments.v, &slabs);
        others = guarded_copy(&moments);
    }
    if (k->tested == k->c) {
        naive(&t, &want.v);
    } else {
        conv_case exact = t;

        exact.precision = LDM_PRECISION_EXACT;
        exact.algorithm = -1;
        run(k, k->c, &exact, 1, 0, t.y.v.n, &want, NULL);
    }
    check_views(k, &got.v, &want.v, tolerance(&t));

    for (threads = 2; threads <= 4; threads++) {
        other = guarded_copy(&t.y);
        run(k, k->tested, &t, threads, 0, t.y.v.n, &other, threads < 4 ? &others : NULL);
        check_same(k, &other.v, &got.v, "the number of threads");
        if (moments.base)
            check_same(k, &others.v, &moments.v, "the number of threads, moments");
        guarded_free(&other);
    }
    other = guarded_copy(&t.y);
    for (i = 0; i < t.y.v.n; i++)
        run(k, k->tested, &t, 2, i, 1, &other, &others);
    check_same(k, &other.v, &got.v, "the batch");
    if (moments.base) {
        check_same(k, &others.v, &moments.v, "the batch, moments");
        guarded_free(&moments);
        guarded_free(&others);
    }
    guarded_free(&other);
    guarded_free(&want);
    guarded_free(&got);
    free_case(&t);
    k->what = "";
}

/* free() it. */
static float *pack_weights(const ldm_backend *b, const ldm_conv_plan *plan, const float *weights)
{
    float *packed = check_zeros(plan->packed_floats);
    int task;

    for (task = 0; task < plan->pack_tasks; task++)
        b->conv_pack(b, plan, weights, packed, task);
    return packed;
}

/* A convolution that applies an activation against the two operations one after the other: the same
 * to the last bit. */
static void one_activated(check *k, ldm_activation f)
{
    const bool gated = f == LDM_ACTIVATION_GEGLU, large = check_int(k, 0, 3) == 0;
    const int n = check_int(k, 1, 2), h = check_int(k, 1, large ? 40 : 9), w = check_int(k, 2, 20);
    const int least = k->bf16 ? 32 : 1; /* channels that bf16 fits, an even number */
    const int cin = large ? 2 * check_int(k, 250, 550) : least * check_int(k, 1, 70 / least);
    const int y_c = gated ? 32 * check_int(k, 1, large ? 20 : 3) : check_int(k, least, 150);
    const int cout = gated ? 2 * y_c : y_c;
    const ldm_conv_desc d = {cin, cout, 1, 1, 1, 0, 0, false, h, w, h, w};
    guarded x = guarded_make(k, n, h, w, cin, check_int(k, 0, 7));
    guarded whole = guarded_make(k, n, h, w, cout, 0), want = guarded_make(k, n, h, w, y_c, 0);
    float *weights = check_array(k, (size_t)cin * (size_t)cout);
    float *bias = check_array(k, (size_t)(2 * cout));
    const ldm_backend *b = k->tested;
    char what[120];
    int threads;

    snprintf(what, sizeof what, "activation %d of conv %d->%d %dx%d n %d", (int)f, cin, cout, h, w,
             n);
    k->what = what;
    for (threads = 1; threads <= 3; threads++) {
        guarded y = guarded_copy(&want);
        ldm_conv_args a = {.x = x.v, .y = whole.v, .bias = bias};
        ldm_conv_plan plan;
        ldm_error err;
        float *packed;
        context c;

        a.bias_stride = h * w % 2 ? (size_t)cout : 0;
        if (b->conv_plan(b, &d, k->bf16 ? LDM_PRECISION_BF16 : LDM_PRECISION_F32,
                         k->bf16 ? LDM_CONV_BF16 : -1, threads, &plan, &err) ||
            !plan.activates || (gated && !plan.gates)) {
            check_fail(k, "the plan refuses it");
            guarded_free(&y);
            break;
        }
        packed = pack_weights(b, &plan, weights);
        a.packed = packed;
        c = context_make(threads, plan.scratch_floats);
        b->conv(b, &c.ctx, &plan, &a);
        if (gated)
            b->geglu(b, &c.ctx, &whole.v, &want.v);
        else
            b->activate(b, &c.ctx, f, &whole.v, &want.v);
        a.activation = f;
        a.y = y.v;
        b->conv(b, &c.ctx, &plan, &a);
        context_free(k, &c);
        guarded_check(k, &y);
        check_same(k, &y.v, &want.v, "the activation inside of the convolution");
        guarded_free(&y);
        free(packed);
    }
    guarded_free(&x);
    guarded_free(&whole);
    guarded_free(&want);
    free(weights);
    free(bias);
    k->what = "";
}

/* A convolution that writes over its input against one that does not: the same to the last bit. */
static void one_in_place(check *k)
{
    const bool large = check_int(k, 0, 3) == 0;
    const int n = check_int(k, 1, 3), h = check_int(k, 1, large ? 40 : 9), w = check_int(k, 1, 40);
    const int cin = large ? check_int(k, 300, 900) : check_int(k, 2, 70);
    const int cout = check_int(k, 1, cin * 2 / 3);
    const ldm_conv_desc d = {cin, cout, 1, 1, 1, 0, 0, false, h, w, h, w};
    guarded x = guarded_make(k, n, h, w, cin, 0);
    guarded want = guarded_make(k, n, h, w, cout, 0);
    guarded residual = guarded_make(k, n, h, w, cout, check_int(k, 0, 7));
    float *weights = check_array(k, (size_t)cin * (size_t)cout);
    float *bias = check_array(k, (size_t)cout);
    const ldm_backend *b = k->tested;
    const size_t pitch = (size_t)(cout + check_int(k, 0, cin * 2 / 3 - cout));
    char what[120];
    int threads;

    snprintf(what, sizeof what, "in place, conv %d->%d %dx%d n %d", cin, cout, h, w, n);
    k->what = what;
    for (threads = 1; threads <= 3; threads++) {
        guarded y = guarded_copy(&x);
        ldm_conv_args a = {.x = x.v, .y = want.v, .bias = bias};
        ldm_conv_plan plan;
        ldm_error err;
        float *packed;
        context c;

        if (w % 2)
            a.residual = residual.v;
        a.activation = (h + w) % 3 ? LDM_ACTIVATION_NONE : LDM_ACTIVATION_SILU;
        if (b->conv_plan(b, &d, LDM_PRECISION_F32, -1, threads, &plan, &err) ||
            !plan.in_place_floats) {
            check_fail(k, "the plan refuses it");
            guarded_free(&y);
            break;
        }
        packed = pack_weights(b, &plan, weights);
        a.packed = packed;
        c = context_make(threads, plan.scratch_floats);
        b->conv(b, &c.ctx, &plan, &a);
        context_free(k, &c);
        c = context_make(threads, plan.in_place_floats);
        a.x = a.y = y.v;
        a.y.c = cout;
        a.y.pitch = pitch;
        b->conv(b, &c.ctx, &plan, &a);
        context_free(k, &c);
        guarded_check(k, &y);
        check_same(k, &a.y, &want.v, "the place of the result");
        guarded_free(&y);
        free(packed);
    }
    guarded_free(&x);
    guarded_free(&want);
    guarded_free(&residual);
    free(weights);
    free(bias);
    k->what = "";
}

void check_in_place(check *k)
{
    int i;

    for (i = 0; i < k->rounds; i++)
        one_in_place(k);
}

void check_activated(check *k)
{
    int i;

    for (i = 0; i < k->rounds; i++)
        one_activated(k, (ldm_activation)(LDM_ACTIVATION_RELU + i % 5));
}

void check_conv(check *k)
{
    static const case_kind kinds[] = {SMALL, SMALL,        SMALL, MANY_PIXELS,
                                      SMALL, LARGE_MATRIX, SMALL, MANY_CHANNELS};
    int i;

    for (i = 0; i < k->rounds; i++)
        one_case(k, kinds[i % 8]);
}
