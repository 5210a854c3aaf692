/* SPDX-License-Identifier: MIT */
/* Features of pictures by the Inception network, computed by several processes together: `ldm
 * metrics --write-stats FILE.npz` under mpirun, srun and the like. */
#ifndef LDM_CLI_SHARED_MEASURES_H
#define LDM_CLI_SHARED_MEASURES_H

#include <ldm/quality.h>

#include "cli/ranks.h"

typedef struct ldm_measures_share {
    const ldm_command *cmd;
    const ldm_ranks *ranks;
    ldm_inception *net;
    const ldm_quality_settings *how; /* of the whole set */
    int threads;
    const char *result; /* the file that is made; the processes meet in the folder RESULT.run */
    char **paths;       /* [count]: folders, and files of one picture each */
    int count;
    /* Writes what is made of the finished set, by one of the processes. An exit code. */
    int (*write)(void *ctx, ldm_quality_set *s);
    void *ctx;
} ldm_measures_share;

/* Whether the paths are folders and files of one picture each, which can be shared out. */
bool ldm_measures_can_share(char **paths, int count);

/* Computes blocks of features until nothing is left, and what is made of all where this process is
 * the last. The features, their order and the result are those of one process. An exit code. */
int ldm_measures_share_run(const ldm_measures_share *s);

#endif
