/* The matrix product tile and the packing of its right side, in portable C: the definition that the
 * vector versions are checked against. */
#include "cpu/kernels.h"

#define NR 8

void ldm_tile_ref(const ldm_tile *t, int mr)
{
    int i, j, tap;
    size_t k;

    for (i = 0; i < mr; i++) {
        float acc[NR] = {0};
        const float *b = t->b;

        for (tap = 0; tap < t->taps; tap++) {
            const float *a = t->rows[tap * mr + i] + t->row_offset;

            for (k = 0; k < t->k; k++, b += NR) {
                for (j = 0; j < NR; j++)
                    acc[j] += a[k] * b[j];
            }
        }
        for (j = 0; j < NR && !t->first; j++)
            acc[j] = t->partial[i * NR + j] + acc[j];
        if (!t->last) {
            for (j = 0; j < NR; j++)
                t->partial[i * NR + j] = acc[j];
            continue;
        }
        for (j = 0; j < t->cols; j++) {
            float v = acc[j];

            if (t->bias)
                v += t->bias[j];
            if (t->residual)
                v += t->residual[(size_t)i * t->residual_pitch + (size_t)j];
            t->y[(size_t)i * t->y_pitch + (size_t)j] = v;
        }
    }
}

void ldm_pack_ref(const ldm_pack *p)
{
    const size_t taps = (size_t)p->taps;
    size_t ci, tap;
    int j;

    for (ci = 0; ci < p->cin; ci++) {
        size_t first = ci / p->chunk_len * p->chunk_len;
        size_t len = p->cin - first < p->chunk_len ? p->cin - first : p->chunk_len;

        for (tap = 0; tap < taps; tap++) {
            float *dst = p->dst + (first * taps + tap * len + ci - first) * NR;

            for (j = 0; j < p->rows; j++)
                dst[j] = p->src[(size_t)j * p->src_stride + ci * taps + tap];
            for (; j < NR; j++)
                dst[j] = 0.0f;
        }
    }
}
