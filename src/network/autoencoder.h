/* SPDX-License-Identifier: MIT */
/* The Encoder and Decoder that first stages share (`ddconfig`). */
#ifndef LDM_NETWORK_AUTOENCODER_H
#define LDM_NETWORK_AUTOENCODER_H

#include "network/part.h"

typedef struct ldm_autoencoder_config {
    int ch, out_ch, in_channels, z_channels, resolution, num_res_blocks;
    ldm_int_list ch_mult, attn_resolutions;
    bool double_z, resamp_with_conv, tanh_out, give_pre_end, use_linear_attn;
    const char *attn_type; /* "vanilla" or "none" */
} ldm_autoencoder_config;

/* Reads and validates m->params: ddconfig. */
ldm_status ldm_autoencoder_read(ldm_param_reader *r, const ldm_module *m,
                                ldm_autoencoder_config *v);
/* Sets the fields that follow from encoder and decoder: picture channels, factor, resolution. */
void ldm_autoencoder_describe(const ldm_autoencoder_config *v, ldm_first_stage *f);

/* Picture [in_channels,h,w] -> [z_channels or, with double_z, 2 * z_channels, h / f, w / f]. Each
 * declares its tensors where the builder declares. */
int ldm_autoencoder_encode(ldm_builder *b, const ldm_autoencoder_config *v, int x);
/* [z_channels,h,w] -> picture [out_ch, h * f, w * f]. */
int ldm_autoencoder_decode(ldm_builder *b, const ldm_autoencoder_config *v, int x);

#endif
