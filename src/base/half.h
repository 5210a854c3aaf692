/* Half precision (IEEE 754 binary16) to float, exactly. */
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

#endif
