/* SPDX-License-Identifier: MIT */
/* How far apart two pictures are: PSNR and its kin, as `ldm metrics --psnr` and `ldm reconstruct`
 * show them. */
#ifndef LDM_CLI_PSNR_H
#define LDM_CLI_PSNR_H

#include "cli/cli.h"

/* "PSNR 31.20 dB, MSE 49.31, mean difference 4.10, largest 60" on stdout, without a line end. */
void ldm_psnr_print(const ldm_image_difference *d);
/* "psnr", "mse", "mean_absolute" and "largest"; a PSNR that is infinite is null. */
void ldm_psnr_to_json(json_t *o, const ldm_image_difference *d);

/* Means over pictures; that of PSNR is over those that differ. Zeroed: none yet. */
typedef struct ldm_psnr_means {
    double psnr, mse; /* sums until they are printed */
    size_t count, differing;
} ldm_psnr_means;

void ldm_psnr_add(ldm_psnr_means *m, const ldm_image_difference *d);
/* "mean of 3 pictures: PSNR 31.20 dB, MSE 49.31" as a line; of equal ones alone there is no PSNR.
 * what: "pictures". */
void ldm_psnr_print_means(const ldm_psnr_means *m, const char *what);
/* "mean_psnr" (null where none differ) and "mean_mse". */
void ldm_psnr_means_to_json(json_t *o, const ldm_psnr_means *m);

/* ldm metrics --psnr: two pictures, two arrays of pictures in their order, or the pictures of two
 * folders that have the same names. summary: the means alone. An exit code. */
int ldm_psnr_run(const ldm_command *cmd, bool json, bool summary, char **paths, int count);

#endif
