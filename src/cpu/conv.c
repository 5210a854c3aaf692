/* SPDX-License-Identifier: MIT */
/* Convolution: which algorithm computes a layer, and the calls of the one chosen. The algorithms
 * are direct.c, winograd.c and bf16.c. */
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "cpu/bf16.h"
#include "cpu/conv_impl.h"

/* Speeds of two cores of a server, for the estimate below: operations and bytes a second. */
#define FLOPS 300e9
#define MEMORY_BYTES 20e9  /* weights */
#define CACHE_BYTES 40e9   /* transformed inputs and outputs, written and read */
#define FILTER_BYTES 120e9 /* transformed filters, written */
#define GATHER_BYTES 60e9  /* inputs rounded to bf16: read, written, read */

static int output_tile(int algorithm)
{
    return algorithm == LDM_CONV_WINOGRAD4 ? 4 : algorithm == LDM_CONV_WINOGRAD2 ? 2 : 1;
}

static int matrix_count(const ldm_conv_desc *d, int algorithm)
{
    const int out = output_tile(algorithm);
    const int side = ldm_wino_reads_small(d) ? out + 1 : out + 2;

    return out == 1 ? ldm_conv_taps(d) : side * side;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Seconds that one sample takes, up to a factor that all algorithms share: the larger of its
 * arithmetic and of reading the weights from memory, then the transforms. This is a model and not a
 * measurement, since the algorithm for a picture must depend on nothing but its shape. */
static double seconds_of(const ldm_conv_desc *d, int algorithm)
{
    const double channels = (double)d->cin * d->cout;
    const int out = output_tile(algorithm), matrices = matrix_count(d, algorithm);
    const double tiles = (double)ldm_ceil_div((size_t)d->out_h, (size_t)out) *
                         (double)ldm_ceil_div((size_t)d->out_w, (size_t)out);
    const double compute = 2.0 * tiles * matrices * channels / FLOPS;
    const double weights = 4.0 * ldm_conv_taps(d) * channels / MEMORY_BYTES;

    if (out == 1)
        return larger(compute, weights);
    return larger(compute + 4.0 * matrices * channels / FILTER_BYTES, weights) +
           8.0 * tiles * matrices * (d->cin + d->cout) / CACHE_BYTES;
}

static double bf16_seconds(const ldm_cpu_backend_impl *impl, const ldm_conv_desc *d)
{
    const double values = (double)d->out_h * d->out_w * ldm_conv_taps(d) * d->cin;
    const double compute = 2.0 * values * d->cout / (FLOPS * impl->bf16_gain);
    const double weights = 2.0 * ldm_conv_taps(d) * d->cin * d->cout / MEMORY_BYTES;

    return larger(compute, weights) + 6.0 * values / GATHER_BYTES + impl->bf16->run_cost;
}

/* What Winograd can do at all. */
static bool winograd_fits(const ldm_conv_desc *d)
{
    return d->kernel_h == 3 && d->kernel_w == 3 && d->stride == 1;
}

static bool winograd_algorithm(int algorithm)
{
    return algorithm == LDM_CONV_WINOGRAD2 || algorithm == LDM_CONV_WINOGRAD4;
}

static bool bf16_fits(const ldm_cpu_backend_impl *impl, const ldm_conv_desc *d)
{
    return impl->bf16 && ldm_bf16_fits(d);
}

static int choose(const ldm_cpu_backend_impl *impl, const ldm_conv_desc *d, ldm_precision p)
{
    int algorithm, best = LDM_CONV_DIRECT;

    if (p != LDM_PRECISION_EXACT && winograd_fits(d)) {
        for (algorithm = LDM_CONV_WINOGRAD2; algorithm <= LDM_CONV_WINOGRAD4; algorithm++) {
            if (seconds_of(d, algorithm) < seconds_of(d, best))
                best = algorithm;
        }
    }
    if (p == LDM_PRECISION_BF16 && bf16_fits(impl, d) &&
        bf16_seconds(impl, d) < seconds_of(d, best))
        best = LDM_CONV_BF16;
    return best;
}

ldm_status ldm_cpu_conv_plan(const ldm_backend *b, const ldm_conv_desc *d, ldm_precision p,
                             int algorithm, int threads, ldm_conv_plan *out, ldm_error *err)
{
    static const char *const names[LDM_CONV_ALGORITHMS] = {"direct", "winograd2", "winograd4",
                                                           "bf16"};
    const ldm_cpu_backend_impl *impl = ldm_cpu_impl(b);
    const ldm_kernels *k = impl->kernels;
    size_t floats;

    if (p == LDM_PRECISION_BF16 && !impl->bf16)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "backend %s has no bf16 convolution; use precision f32 or exact",
                             b->name);
    if (d->cin < 1 || d->cout < 1 || d->in_h < 1 || d->in_w < 1 || d->out_h < 1 || d->out_w < 1 ||
        d->kernel_h < 1 || d->kernel_h > LDM_CONV_MAX_KERNEL || d->kernel_w < 1 ||
        d->kernel_w > LDM_CONV_MAX_KERNEL || (d->stride != 1 && d->stride != 2) || d->pad_top < 0 ||
        d->pad_left < 0 || threads < 1)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "convolution %d -> %d channels, kernel %dx%d, stride %d, %dx%d -> "
                             "%dx%d: expected positive sizes, kernel sides 1 to %d, stride 1 or 2",
                             d->cin, d->cout, d->kernel_h, d->kernel_w, d->stride, d->in_h, d->in_w,
                             d->out_h, d->out_w, LDM_CONV_MAX_KERNEL);
    if (algorithm < -1 || algorithm >= LDM_CONV_ALGORITHMS ||
        (winograd_algorithm(algorithm) && !winograd_fits(d)) ||
        (algorithm == LDM_CONV_BF16 && (p != LDM_PRECISION_BF16 || !bf16_fits(impl, d))))
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "convolution algorithm %d does not fit kernel %dx%d, stride %d",
                             algorithm, d->kernel_h, d->kernel_w, d->stride);
    /* channels are below 2^31 each, and there are 49 taps at most */
    if (ldm_mul_size(ldm_round_up((size_t)d->cin, 32) * (size_t)ldm_conv_taps(d),
                     ldm_round_up((size_t)d->cout, 32), &floats) ||
        ldm_mul_size(floats, sizeof(float), &floats))
        return ldm_error_set(err, LDM_ERR_RANGE,
                             "convolution %d -> %d channels does not fit memory", d->cin, d->cout);
    memset(out, 0, sizeof *out);
    out->desc = *d;
    out->algorithm = algorithm >= 0 ? algorithm : choose(impl, d, p);
    out->name = names[out->algorithm];
    out->pack_tasks = (int)ldm_ceil_div((size_t)d->cout, (size_t)k->nr);
    if (out->algorithm == LDM_CONV_BF16)
        return ldm_bf16_plan(k, impl->bf16, out, threads, err);
    out->as_is = winograd_algorithm(out->algorithm) || ldm_direct_packs_late(d);
    out->rectifies = true;
    out->activates = out->algorithm == LDM_CONV_DIRECT && ldm_direct_takes_pixels(d);
    out->gates = out->activates && d->cout % (2 * k->nr) == 0;
    if (out->algorithm == LDM_CONV_WINOGRAD4)
        out->slabs = ldm_wino_slabs(k, d);
    out->normalises =
        winograd_algorithm(out->algorithm) && ldm_wino_normalises(k, out->algorithm, d, threads);
    out->packed_floats = (size_t)ldm_conv_taps(d) * (size_t)d->cin *
                         (out->as_is ? (size_t)d->cout : (size_t)k->nr * (size_t)out->pack_tasks);
    out->scratch_floats = winograd_algorithm(out->algorithm)
                              ? ldm_wino_scratch_floats(k, out->algorithm, d, threads)
                              : ldm_direct_scratch_floats(k, d, threads);
    if (out->algorithm == LDM_CONV_DIRECT)
        out->in_place_floats = ldm_direct_in_place_floats(k, d, threads);
    return LDM_OK;
}

void ldm_cpu_conv_pack(const ldm_backend *b, const ldm_conv_plan *plan, const float *weights,
                       float *packed, int task)
{
    const ldm_kernels *k = ldm_kernels_of(b);
    const ldm_conv_desc *d = &plan->desc;
    const size_t row = (size_t)ldm_conv_taps(d) * (size_t)d->cin;
    const size_t first = (size_t)task * (size_t)k->nr, left = (size_t)d->cout - first;
    const size_t rows = left < (size_t)k->nr ? left : (size_t)k->nr;

    if (plan->algorithm == LDM_CONV_BF16)
        ldm_bf16_pack(k, ldm_cpu_impl(b)->bf16, plan, weights, packed, task);
    else if (plan->as_is)
        memcpy(packed + first * row, weights + first * row, rows * row * sizeof *packed);
    else
        ldm_direct_pack(k, d, weights, packed, task);
}

void ldm_cpu_conv(const ldm_backend *b, const ldm_exec_ctx *ctx, const ldm_conv_plan *plan,
                  const ldm_conv_args *a)
{
    const ldm_kernels *k = ldm_kernels_of(b);

    if (plan->algorithm == LDM_CONV_DIRECT)
        ldm_direct_conv(k, ctx, plan, a);
    else if (plan->algorithm == LDM_CONV_BF16)
        ldm_bf16_conv(k, ldm_cpu_impl(b)->bf16, ctx, plan, a);
    else
        ldm_wino_conv(k, ctx, plan, a);
}
