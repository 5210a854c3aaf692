/* SPDX-License-Identifier: MIT */
/* ldm metrics with the published measures: FID, KID, Inception score, precision and recall, sFID.
 */
#ifndef LDM_CLI_MEASURES_H
#define LDM_CLI_MEASURES_H

#include "cli/ranks.h"

/* As the command line gave it; texts may be NULL. */
typedef struct ldm_quality_options {
    const char *inception, *mode, *write_features;
    const char *kid_subsets, *kid_subset_size, *is_splits, *neighbours, *bootstrap;
    bool fid, kid, is, pr, sfid;
    ldm_ranks ranks;
} ldm_quality_options;

/* The command line asks for one of these measures, or for statistics of these features. */
bool ldm_quality_asked(const ldm_quality_options *o, const char *write_stats);

/* Measures paths[0], the samples, against paths[1]; or writes statistics of all paths, together
 * with other processes where a launcher started several. An exit code. */
int ldm_quality_run(const ldm_cli *cli, const ldm_command *cmd, ldm_quality_options *o,
                    ldm_model_options *model, const char *write_stats, bool overwrite, bool json,
                    char **paths, int count);

#endif
