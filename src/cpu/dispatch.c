/* SPDX-License-Identifier: MIT */
/* The tables of kernels, and the backends made of them. No other file of ldm knows which
 * instruction sets there are. */
#include "cpu/cpu.h"

#include <stdio.h>

#include "cpu/kernels.h"
#include "cpu/onednn.h"

#define WINO(size, isa, out, in, side)                                                             \
    {                                                                                              \
        out, in, side, ldm_wino_input##size##_##isa, ldm_wino_output##size##_##isa,                \
            ldm_wino_filter##size##_##isa                                                          \
    }

#define KERNELS(isa, rows, columns, chunk_rows, pixels, few, bf16_kernels)                         \
    const ldm_kernels ldm_kernels_##isa = {                                                        \
        .mr = rows,                                                                                \
        .nr = columns,                                                                             \
        .chunk = chunk_rows,                                                                       \
        .block_pixels = pixels,                                                                    \
        .tile = ldm_tile_##isa,                                                                    \
        .strip = ldm_strip_##isa,                                                                  \
        .pack = ldm_pack_##isa,                                                                    \
        bf16_kernels,                                                                              \
        .moments = ldm_moments_##isa,                                                              \
        .affine = ldm_affine_##isa,                                                                \
        .softmax = ldm_softmax_##isa,                                                              \
        .softmax_part = ldm_softmax_part_##isa,                                                    \
        .layer_norm = ldm_layer_norm_##isa,                                                        \
        .relu = ldm_relu_##isa,                                                                    \
        .silu = ldm_silu_##isa,                                                                    \
        .gelu = ldm_gelu_##isa,                                                                    \
        .quick_gelu = ldm_quick_gelu_##isa,                                                        \
        .geglu = ldm_geglu_##isa,                                                                  \
        .add = ldm_add_##isa,                                                                      \
        .multiply = ldm_multiply_##isa,                                                            \
        .largest_of = ldm_largest_of_##isa,                                                        \
        .mean_of = ldm_mean_of_##isa,                                                              \
        .vq = ldm_vq_##isa,                                                                        \
        .wino2 = WINO(2, isa, 2, 4, 4),                                                            \
        .wino4 = WINO(4, isa, 4, 6, 6),                                                            \
        .wino_up2 = WINO(_up2, isa, 2, 3, 3),                                                      \
        .wino_up4 = WINO(_up4, isa, 4, 4, 5),                                                      \
        .wino_few = few,                                                                           \
    }

#define BACKEND(label, isa, text, bf16_conv, gain)                                                 \
    static const ldm_cpu_backend_impl backend_##label = {                                          \
        .base =                                                                                    \
            {                                                                                      \
                .name = text,                                                                      \
                .conv_plan = ldm_cpu_conv_plan,                                                    \
                .conv_pack = ldm_cpu_conv_pack,                                                    \
                .conv = ldm_cpu_conv,                                                              \
                .norm_scratch = ldm_cpu_norm_scratch,                                              \
                .norm = ldm_cpu_norm,                                                              \
                .attention_scratch = ldm_cpu_attention_scratch,                                    \
                .attention = ldm_cpu_attention,                                                    \
                .layer_norm = ldm_cpu_layer_norm,                                                  \
                .geglu = ldm_cpu_geglu,                                                            \
                .activate = ldm_cpu_activate,                                                      \
                .add = ldm_cpu_add,                                                                \
                .copy = ldm_cpu_copy,                                                              \
                .pool = ldm_cpu_pool,                                                              \
                .upsample2 = ldm_cpu_upsample2,                                                    \
                .add_vector = ldm_cpu_add_vector,                                                  \
                .vq_nearest = ldm_cpu_vq_nearest,                                                  \
            },                                                                                     \
        .kernels = &ldm_kernels_##isa,                                                             \
        .bf16 = bf16_conv,                                                                         \
        .bf16_gain = gain,                                                                         \
    }

#define BF16(isa)                                                                                  \
    .strip_bf16 = ldm_strip_bf16_##isa, .round_bf16 = ldm_round_bf16_##isa,                        \
    .pair_bf16 = ldm_pair_bf16_##isa

/* The last number of a backend: how much faster than f32 its products in bf16 are. */
KERNELS(ref, 4, 8, 256, 96, NULL, BF16(ref));
BACKEND(ref, ref, "c", &ldm_bf16_own, 1);

#if defined(__x86_64__)
KERNELS(avx2, 6, 16, 256, 192, NULL, .strip_bf16 = NULL);
BACKEND(avx2, avx2, "avx2", NULL, 0);

#if defined(LDM_AVX512BF16)
KERNELS(avx512, 10, 32, 256, 384, ldm_wino_few_avx512, BF16(avx512));
BACKEND(avx512_bf16, avx512, "avx512", &ldm_bf16_own, 2); /* Zen 4, Zen 5 */
#if defined(LDM_ONEDNN)
/* A tile product of AMX does 16 times the work of a multiply-add, but waits for memory half of the
 * time. */
BACKEND(avx512_amx, avx512, "avx512", &ldm_onednn_products, 8);
#endif
#else
KERNELS(avx512, 10, 32, 256, 384, ldm_wino_few_avx512, .strip_bf16 = NULL);
#endif
BACKEND(avx512, avx512, "avx512", NULL, 0);
#endif

const ldm_backend *ldm_cpu_backend(const ldm_cpu *cpu)
{
    switch (cpu->isa) {
#if defined(__x86_64__)
    case LDM_ISA_AVX512:
#if defined(LDM_ONEDNN)
        if (cpu->avx512_bf16 && cpu->amx_bf16)
            return &backend_avx512_amx.base;
#endif
#if defined(LDM_AVX512BF16)
        if (cpu->avx512_bf16)
            return &backend_avx512_bf16.base;
#endif
        return &backend_avx512.base;
    case LDM_ISA_AVX2:
        return &backend_avx2.base;
#endif
    default:
        return &backend_ref.base;
    }
}

ldm_status ldm_cpu_bf16(const ldm_cpu *cpu, ldm_error *err)
{
    if (!cpu->avx512_bf16)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "precision bf16 needs AVX512_BF16, which this processor (%s, %s) "
                             "lacks or LDM_MAX_ISA forbids; use precision f32",
                             cpu->name, ldm_isa_name(cpu->isa));
    if (!ldm_cpu_impl(ldm_cpu_backend(cpu))->bf16)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "precision bf16: the compiler of this build did not know AVX512_BF16; "
                             "build with gcc 10 or clang 9 (or later), or use precision f32");
#if defined(LDM_ONEDNN)
    if (cpu->amx_bf16)
        return ldm_onednn_usable(err);
#endif
    return LDM_OK;
}

const char *ldm_cpu_bf16_text(const ldm_cpu *cpu, char buf[64])
{
    snprintf(buf, 64, "AVX512_BF16");
#if defined(LDM_ONEDNN)
    if (cpu->amx_bf16) {
        char version[24];

        snprintf(buf, 64, "AMX_BF16 through %s", ldm_onednn_version(version));
    }
#else
    (void)cpu;
#endif
    return buf;
}
