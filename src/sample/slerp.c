/* SPDX-License-Identifier: MIT */
/* Spherical interpolation; see slerp.h. */
#include "sample/slerp.h"

#include <math.h>
#include <string.h>

void ldm_slerp(const float *a, const float *b, double t, size_t count, float *out)
{
    double dot = 0, aa = 0, bb = 0, cosine, angle, from = 1 - t, to = t;
    size_t i;

    if (t <= 0 || t >= 1) {
        memmove(out, t <= 0 ? a : b, count * sizeof *out);
        return;
    }
    for (i = 0; i < count; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    cosine = aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : 1;
    angle = acos(cosine > 1 ? 1 : cosine < -1 ? -1 : cosine);
    if (sin(angle) > 1e-6) {
        from = sin((1 - t) * angle) / sin(angle);
        to = sin(t * angle) / sin(angle);
    }
    for (i = 0; i < count; i++)
        out[i] = (float)(from * a[i] + to * b[i]);
}
