/* SPDX-License-Identifier: MIT */
/* Conversion of checkpoints: of any form that ldm reads to one safetensors file with CompVis'
 * names, or to a folder of diffusers. The rules of ldm.h hold here as well. */
#ifndef LDM_CONVERT_H
#define LDM_CONVERT_H

#include <ldm/ldm.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LDM_CONVERT_HALF = 1,      /* weights as float16; a value that it cannot hold is an error */
    LDM_CONVERT_BF16 = 2,      /* weights as bfloat16 */
    LDM_CONVERT_DIFFUSERS = 4, /* a folder of diffusers */
    LDM_CONVERT_NEW = 8        /* LDM_ERR_IO where the file or its YAML is there already */
};

/* With LDM_CONVERT_DIFFUSERS `out` is a folder that must not be there yet: model_index.json, unet,
 * vae or vqvae, text_encoder, scheduler. LDM_ERR_UNSUPPORTED where diffusers has no such model.
 *
 * Else writes what opt describes to `out`, and its YAML beside it: "x.yaml" for "x.safetensors",
 * and "x.safetensors.yaml", which is found first, where x.yaml is one that opt names or would be
 * taken for the source's. An x.yaml that says the same stays as it is. The file's metadata hold it
 * as well. Weights that neither sampling nor encoding reads are left out; of EMA and raw weights
 * those stay that opt says. Types stay as they are unless `how` says otherwise; a noise schedule
 * stays float32.
 *
 * Written under a temporary name and then renamed; read back and compared with the source, value by
 * value, before that is done. Files that are there under these names are replaced, but for those
 * that opt names: LDM_ERR_USAGE. opt NULL: the shipped model.
 *
 * progress: called before each tensor is written and before it is read back, with how much is done,
 * 0 to 1; nonzero ends the conversion with LDM_ERR_CANCELLED, and nothing is left of it. NULL: no
 * call. *report: one line each of what was written and how it was checked, and one that begins with
 * "warning: " where values are NaN or infinite, or float64 that float32 does not hold; they are
 * written. ldm_release it. */
LDM_API ldm_status ldm_convert(const ldm_model_options *opt, const char *out, unsigned how,
                               int (*progress)(void *ctx, double done), void *ctx, char **report,
                               ldm_error *err);

#ifdef __cplusplus
}
#endif
#endif
