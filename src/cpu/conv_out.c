/* SPDX-License-Identifier: MIT */
/* What becomes of the products of a convolution, whichever algorithm makes them by panels. */
#include "cpu/conv_impl.h"

ldm_tile_out ldm_conv_outputs(const ldm_kernels *k, const ldm_conv_desc *d, const ldm_conv_args *a,
                              size_t panel, size_t pixel, float *partial)
{
    const size_t column = panel * (size_t)k->nr;
    const size_t sample = pixel / ((size_t)d->out_h * (size_t)d->out_w);

    return (ldm_tile_out){
        .partial = partial,
        .y = a->y.data + pixel * a->y.pitch + column,
        .y_pitch = a->y.pitch,
        .bias = a->bias ? a->bias + sample * a->bias_stride + column : NULL,
        .residual = a->residual.data ? a->residual.data + pixel * a->residual.pitch + column : NULL,
        .residual_pitch = a->residual.pitch,
        .relu = a->activation == LDM_ACTIVATION_RELU,
        .cols = ldm_conv_columns(k, d, panel),
    };
}

void ldm_conv_activate(const ldm_kernels *k, ldm_activation f, const ldm_tile_out *out,
                       size_t count)
{
    const size_t n = (size_t)out->cols;
    float *y = out->y;
    size_t i;

    if (f == LDM_ACTIVATION_NONE || f == LDM_ACTIVATION_RELU)
        return;
    for (i = 0; i < count; i++, y += out->y_pitch) {
        if (f == LDM_ACTIVATION_SILU)
            k->silu(y, y, n);
        else if (f == LDM_ACTIVATION_GELU)
            k->gelu(y, y, n);
        else
            k->quick_gelu(y, y, n);
    }
}

void ldm_conv_gate(const ldm_kernels *k, const float *pairs, const ldm_tile_out *out, size_t count)
{
    const size_t nr = (size_t)k->nr;
    size_t i;

    for (i = 0; i < count; i++, pairs += 2 * nr)
        k->geglu(pairs, pairs + nr, out->y + i * out->y_pitch, nr);
}
