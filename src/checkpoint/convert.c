/* SPDX-License-Identifier: MIT */
/* Conversion loops; see convert.h. Plain C that the compiler vectorises: loads through memcpy,
 * since older files align nothing, and no branch within an element. */
#include "checkpoint/convert.h"

#include <stdint.h>
#include <string.h>

#include "base/half.h"

static inline float from_bits(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline float bfloat_to_float(uint16_t b)
{
    return from_bits((uint32_t)b << 16);
}

/* float8_e5m2 has the exponent of f16 and its two upper bits of the fraction. */
static inline float e5m2_to_float(uint8_t b)
{
    return ldm_half_to_float((uint16_t)(b << 8));
}

/* float8_e4m3fn: exponent bias 7, no infinity; all ones is NaN ("FP8 Formats for Deep Learning",
 * Micikevicius et al. 2022, table 1). f16 counts its exponent from 15, eight more, so the value is
 * that of the f16 with the same exponent and fraction times 2^8: 0x38 (1.0) becomes 0x1c00 (2^-8) *
 * 256. */
static inline float e4m3_to_float(uint8_t b)
{
    const uint16_t half = (uint16_t)((b & 0x80) << 8 | (b & 0x7f) << 7);
    const uint32_t nan = 0x7fc00000;

    return (b & 0x7f) == 0x7f ? from_bits(nan | (uint32_t)(b & 0x80) << 24)
                              : ldm_half_to_float(half) * 256.0f;
}

#define AS_IS(x) ((float)(x))

/* type: how an element is stored; expr: a function or macro from it to float */
#define LOOP(name, type, expr)                                                                     \
    static void name(const unsigned char *src, size_t stride, size_t count, float *dst)            \
    {                                                                                              \
        type x;                                                                                    \
        size_t i;                                                                                  \
                                                                                                   \
        if (stride == 1) {                                                                         \
            for (i = 0; i < count; i++) {                                                          \
                memcpy(&x, src + i * sizeof x, sizeof x);                                          \
                dst[i] = expr(x);                                                                  \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (i = 0; i < count; i++) {                                                              \
            memcpy(&x, src + i * stride * sizeof x, sizeof x);                                     \
            dst[i] = expr(x);                                                                      \
        }                                                                                          \
    }

LOOP(from_f64, double, AS_IS)
LOOP(from_f16, uint16_t, ldm_half_to_float)
LOOP(from_bf16, uint16_t, bfloat_to_float)
LOOP(from_i64, int64_t, AS_IS)
LOOP(from_i32, int32_t, AS_IS)
LOOP(from_i16, int16_t, AS_IS)
LOOP(from_i8, int8_t, AS_IS)
LOOP(from_u64, uint64_t, AS_IS)
LOOP(from_u32, uint32_t, AS_IS)
LOOP(from_u16, uint16_t, AS_IS)
LOOP(from_u8, uint8_t, AS_IS)
LOOP(from_f8_e4m3, uint8_t, e4m3_to_float)
LOOP(from_f8_e5m2, uint8_t, e5m2_to_float)

/* Copies the bits: assigning floats could turn a signalling NaN into a quiet one. */
static void from_f32(const unsigned char *src, size_t stride, size_t count, float *dst)
{
    size_t i;

    if (stride == 1) {
        memcpy(dst, src, count * sizeof *dst);
        return;
    }
    for (i = 0; i < count; i++)
        memcpy(&dst[i], src + i * stride * sizeof *dst, sizeof *dst);
}

#define NOT_ZERO(x) ((x) ? 1.0f : 0.0f)
LOOP(from_bool, uint8_t, NOT_ZERO)

typedef void convert_fn(const unsigned char *src, size_t stride, size_t count, float *dst);

static convert_fn *const converters[LDM_DTYPE_COUNT] = {
    [LDM_DTYPE_F64] = from_f64,         [LDM_DTYPE_F32] = from_f32,
    [LDM_DTYPE_F16] = from_f16,         [LDM_DTYPE_BF16] = from_bf16,
    [LDM_DTYPE_I64] = from_i64,         [LDM_DTYPE_I32] = from_i32,
    [LDM_DTYPE_I16] = from_i16,         [LDM_DTYPE_I8] = from_i8,
    [LDM_DTYPE_U8] = from_u8,           [LDM_DTYPE_BOOL] = from_bool,
    [LDM_DTYPE_U64] = from_u64,         [LDM_DTYPE_U32] = from_u32,
    [LDM_DTYPE_U16] = from_u16,         [LDM_DTYPE_F8_E4M3] = from_f8_e4m3,
    [LDM_DTYPE_F8_E5M2] = from_f8_e5m2,
};

void ldm_convert_f32(ldm_dtype dtype, const unsigned char *src, size_t stride, size_t count,
                     float *dst)
{
    converters[dtype](src, stride, count, dst);
}
