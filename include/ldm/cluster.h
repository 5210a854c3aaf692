/* SPDX-License-Identifier: MIT */
/* One run that many processes share, on one machine or on many: which of how many this process is,
 * and a folder in which they divide the pictures among them.
 *
 * The processes do not talk to each other. Each takes blocks of pictures by claiming them with a
 * hard link in the folder that all of them see, and keeps its claims alive by touching a file.
 * Whoever has nothing left takes the blocks of those that died. The rules of ldm.h hold here. */
#ifndef LDM_CLUSTER_H
#define LDM_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ldm/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- which of how many ----------------------------------------------------------------------- */

/* Made by the library, which may add fields at the end. */
typedef struct ldm_rank {
    int rank, size;       /* of all processes of the run: 0 <= rank < size */
    int local_size;       /* processes on this machine; 0: the launcher does not say */
    int cpus;             /* processors that the launcher gives this process; 0: not said */
    bool array_only;      /* a job array alone says so: its tasks need not belong together */
    const char *launcher; /* "Open MPI", "Slurm step", "none", ...; static */
} ldm_rank;

/* Reads what a launcher says in the environment. look returns the value of a variable or NULL, as
 * getenv. rank, size: what the user said, which takes precedence; size 0: nothing. The first of
 * these that is there: the user, Open MPI, PMI (MPICH and its kin), a Slurm step, torchrun. Tasks
 * of a Slurm job array multiply what a Slurm step says. LDM_ERR_USAGE names the variable whose
 * value is no number, or that is missing beside another, and a rank that is not below the size. */
LDM_API ldm_status ldm_rank_find(const char *(*look)(void *ctx, const char *name), void *ctx,
                                 int rank, int size, ldm_rank *out, ldm_error *err);

/* How many threads this process should start. allowed: processors of its affinity mask; machine:
 * processors of the machine. At least 1. */
LDM_API int ldm_rank_threads(const ldm_rank *r, int allowed, int machine);

#ifdef __cplusplus
}
#endif
#endif
