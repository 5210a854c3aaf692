/* SPDX-License-Identifier: MIT */
/* Half precision (IEEE 754 binary16) and bfloat16 to float, exactly, and float to these, to the
 * nearest, ties to even. */
#ifndef LDM_BASE_HALF_H
#define LDM_BASE_HALF_H

#include <stdint.h>
#include <string.h>

/* The exponent is rebased by a multiplication, which is right for subnormals as well; infinities
 * and NaNs get the largest exponent back. No branch, so that compilers vectorise loops of it. */
static inline float ldm_half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t rest = (uint32_t)(h & 0x7fff) << 13;
    const uint32_t special = (h & 0x7c00) == 0x7c00 ? UINT32_MAX : 0;
    float scaled;
    uint32_t bits;

    memcpy(&scaled, &rest, sizeof scaled);
    scaled *= 0x1p112f;
    memcpy(&bits, &scaled, sizeof bits);
    bits = (bits & ~special) | ((rest | 0x7f800000) & special) | sign;
    memcpy(&scaled, &bits, sizeof scaled);
    return scaled;
}

/* A value beyond 65504 becomes an infinity, a NaN stays one. Below 2^-14 the sum with 0.5 rounds at
 * the last bit of a subnormal, 2^-24. */
static inline uint16_t ldm_float_to_half(float x)
{
    const float half = 0.5f;
    uint32_t bits, sign;
    float sum;

    memcpy(&bits, &x, sizeof bits);
    sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (bits >= 0x477ff000) /* 65520 and more */
        return (uint16_t)(sign | 0x7c00);
    if (bits < 0x38800000) {
        memcpy(&sum, &bits, sizeof sum);
        sum += half;
        memcpy(&bits, &sum, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000));
    }
    bits += 0xc8000fff + (bits >> 13 & 1); /* the exponent's bias 127 becomes 15 */
    return (uint16_t)(sign | bits >> 13);
}

static inline float ldm_bf16_to_float(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t ldm_float_to_bf16(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
