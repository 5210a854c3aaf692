/* SPDX-License-Identifier: MIT */
/* The parts that ldm knows: one row a target. A new part is one file that defines the
 * ldm_network_part, and one row here; several targets may name one part. */
#ifndef LDM_NETWORK_REGISTRY_H
#define LDM_NETWORK_REGISTRY_H

#include "network/part.h"

/* clang-format off */
#define LDM_PART_LIST(ROW)                                                                             \
    ROW("ldm.models.diffusion.ddpm.LatentDiffusion", ldm_part_latent_diffusion)                        \
    ROW("ldm.models.diffusion.ddpm.LatentInpaintDiffusion", ldm_part_latent_inpaint)                   \
    ROW("ldm.models.diffusion.ddpm.LatentUpscaleDiffusion", ldm_part_latent_upscale)                   \
    ROW("ldm.models.autoencoder.AutoencoderKL", ldm_part_alone_kl)                                     \
    ROW("ldm.models.autoencoder.VQModel", ldm_part_alone_vq)                                           \
    ROW("ldm.models.autoencoder.VQModelInterface", ldm_part_alone_vq)                                  \
    ROW("ldm.modules.diffusionmodules.openaimodel.UNetModel", ldm_part_unet)                           \
    ROW("ldm.models.autoencoder.VQModelInterface", ldm_part_first_vq)                                  \
    ROW("ldm.models.autoencoder.AutoencoderKL", ldm_part_first_kl)                                     \
    ROW("ldm.models.autoencoder.IdentityFirstStage", ldm_part_first_identity)                          \
    ROW("__is_unconditional__", ldm_part_cond_none)                                                    \
    ROW("__is_first_stage__", ldm_part_cond_first_stage)                                               \
    ROW("torch.nn.Identity", ldm_part_cond_identity)                                                   \
    ROW("ldm.modules.encoders.modules.ClassEmbedder", ldm_part_cond_class)                             \
    ROW("ldm.modules.encoders.modules.BERTEmbedder", ldm_part_cond_bert)                               \
    ROW("ldm.modules.encoders.modules.TransformerEmbedder", ldm_part_cond_transformer)                 \
    ROW("ldm.modules.encoders.modules.FrozenCLIPEmbedder", ldm_part_cond_clip)                         \
    ROW("ldm.modules.encoders.modules.FrozenOpenCLIPEmbedder", ldm_part_cond_openclip)                 \
    ROW("ldm.modules.encoders.modules.SpatialRescaler", ldm_part_cond_rescaler)                        \
    ROW("ldm.modules.diffusionmodules.upscaling.ImageConcatWithNoiseAugmentation", ldm_part_low_scale)
/* clang-format on */

#define LDM_PART_DECLARE(target, part) extern const ldm_network_part part;
LDM_PART_LIST(LDM_PART_DECLARE)

#endif
