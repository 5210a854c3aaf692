/* SPDX-License-Identifier: MIT */
/* A rough picture of latents: channels as colours, at the latents' own size. It costs nothing
 * beside a step, where decoding would cost more than one. */
#ifndef LDM_SERVER_JOB_PREVIEW_H
#define LDM_SERVER_JOB_PREVIEW_H

#include <stdint.h>

/* latent: [c,h,w]. rgb: [h,w,3]. The first three channels are red, green and blue (of two or one:
 * grey), each from two and a half standard deviations below its mean to as many above it. */
void ldm_preview_paint(const float *latent, int c, int h, int w, uint8_t *rgb);

#endif
