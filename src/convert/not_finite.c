/* SPDX-License-Identifier: MIT */
/* Values of a conversion that are no numbers, counted as they are written: a damaged model stays
 * one in any form, and its user should hear of it before its pictures show it. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "convert/convert_private.h"

/* Exponent bits of a type that are all set in NaN and infinity alone; 0: of another type. */
static uint32_t exponent_of(ldm_dtype d)
{
    switch (d) {
    case LDM_DTYPE_F32:
        return 0x7f800000;
    case LDM_DTYPE_F16:
        return 0x7c00;
    case LDM_DTYPE_BF16:
        return 0x7f80;
    default:
        return 0;
    }
}

static uint64_t count_bytes(ldm_dtype d, const unsigned char *bytes, size_t n)
{
    const uint32_t exponent = exponent_of(d);
    uint64_t count = 0;

    for (size_t i = 0; i < n && exponent > 0xffff; i++) {
        uint32_t x;

        memcpy(&x, bytes + 4 * i, sizeof x);
        count += (x & exponent) == exponent;
    }
    for (size_t i = 0; i < n && exponent && exponent <= 0xffff; i++) {
        uint16_t x;

        memcpy(&x, bytes + 2 * i, sizeof x);
        count += (x & exponent) == exponent;
    }
    return count;
}

static void add(ldm_not_finite *f, const ldm_out_tensor *t, uint64_t values, uint64_t too_large)
{
    if (!values)
        return;
    f->values += values;
    f->too_large += too_large;
    /* q, k and v of one tensor of the source are written one after the other. */
    f->tensors += f->last != t->source;
    f->last = t->source;
    f->first = f->first ? f->first : t->source;
}

void ldm_not_finite_bytes(ldm_not_finite *f, const ldm_out_tensor *t, const void *bytes, size_t n)
{
    add(f, t, count_bytes(t->dtype, bytes, n), 0);
}

/* Where value i of t lies in its source, of which every third block may be taken. */
static size_t place_of(const ldm_out_tensor *t, size_t block, size_t i)
{
    return t->blocks ? (3 * (i / block) + (size_t)t->part) * block + i % block : i;
}

void ldm_not_finite_values(ldm_not_finite *f, const ldm_out_tensor *t, const float *x, size_t n,
                           const unsigned char *wide)
{
    const size_t block = t->blocks ? n / (size_t)t->blocks : n;
    uint64_t values = 0, too_large = 0;

    for (size_t i = 0; i < n; i++) {
        double source = 0;

        if (isfinite(x[i]))
            continue;
        values++;
        if (!wide)
            continue;
        memcpy(&source, wide + sizeof source * place_of(t, block, i), sizeof source);
        too_large += isfinite(source);
    }
    add(f, t, values, too_large);
}

void ldm_not_finite_say(const ldm_not_finite *f, ldm_str *report)
{
    const uint64_t bad = f->values - f->too_large;

    if (!f->values)
        return;
    ldm_str_puts(report, "warning: ");
    if (bad)
        ldm_str_printf(report, "%" PRIu64 " value%s NaN or infinite", bad,
                       bad == 1 ? " is" : "s are");
    if (f->too_large)
        ldm_str_printf(report,
                       "%s%" PRIu64 " float64 value%s than float32 holds (3.4e38 at most) and "
                       "became infinite",
                       bad ? ", " : "", f->too_large,
                       f->too_large == 1 ? " is more" : "s are more");
    ldm_str_printf(report,
                   ", in %zu tensor%s of the source, first in %.120s; pictures of this model are "
                   "likely spoiled: `ldm check --values` lists such tensors\n",
                   f->tensors, f->tensors == 1 ? "" : "s", f->first->name);
}
