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

/* ---- a folder that all of them see ------------------------------------------------------------
 *
 * FOLDER/.ldm-run holds manifest.json (what is made, by whoever came first), workers/ (a file for
 * each process, which it touches while it lives), claims/ (hard links to these: who does what) and
 * done/ (a record for each block that is complete). Whether a process lives is judged by the times
 * that the file server gives: the clocks of the machines do not count. A block that is done twice,
 * because its first owner was taken for dead, gives the same files again. */

/* One process' part in it. One thread at a time. */
typedef struct ldm_work ldm_work;

/* This struct is final: it never gets another field. */
typedef struct ldm_work_options {
    const char *folder;
    const char *run;   /* JSON object: what the run makes */
    const char *about; /* JSON object: what others may know about this process */
    int pictures;      /* 1 or more */
    int block;         /* pictures in a block; 0: chosen. The first process' counts */
    int batch;         /* pictures computed together: a chosen block is a multiple of it, unless
                          there are less than two of it for each of the ranks */
    double lease; /* seconds without a sign of life after which a process is taken for dead; the
                     first process' counts */
    int rank, size;
    bool own_only; /* leave the blocks of the other ranks alone */
} ldm_work_options;

/* Joins the run in the folder, or begins it. *run: what the first process said that it makes, which
 * the caller compares with its own; ldm_release it. The folder is made where it is missing.
 * LDM_ERR_UNSUPPORTED where its file system has no hard links. */
LDM_API ldm_status ldm_work_open(const ldm_work_options *o, ldm_work **out, char **run,
                                 ldm_error *err);
/* Gives back what is claimed, so that others take it at once. NULL is fine. */
LDM_API void ldm_work_close(ldm_work *w);

/* Whether the finish is done, by whomever. false for NULL. */
LDM_API bool ldm_work_finished(const ldm_work *w);
/* Pictures in a block. 0 for NULL. */
LDM_API int ldm_work_block(const ldm_work *w);

typedef enum ldm_work_kind {
    LDM_WORK_BLOCK,  /* make the pictures first .. first + count - 1, then ldm_work_complete */
    LDM_WORK_FINISH, /* every block is done: write what is made of all pictures, then the same */
    LDM_WORK_WAIT,   /* nothing is left to take, others are at work: ask again after `seconds` */
    LDM_WORK_LEFT,   /* own_only: the rest is the other ranks' */
    LDM_WORK_DONE    /* everything is done */
} ldm_work_kind;

/* Made by the library, which may add fields at the end. */
typedef struct ldm_work_item {
    ldm_work_kind kind;
    int first, count;
    bool taken_over; /* another process began it and is taken for dead */
    double seconds;
} ldm_work_item;

/* What to do next: a block of this rank's own first, then one that nobody has begun, then one of a
 * process that is taken for dead. The one before must be complete or given back. */
LDM_API ldm_status ldm_work_next(ldm_work *w, ldm_work_item *out, ldm_error *err);

/* The item is done. record: a JSON object for its file in done/; "worker" and "block" are added. */
LDM_API ldm_status ldm_work_complete(ldm_work *w, const char *record, ldm_error *err);
/* The item is not done, and others may have it. */
LDM_API void ldm_work_give_back(ldm_work *w);

/* A sign of life; call it often, it does something a few times a lease only. */
LDM_API void ldm_work_beat(ldm_work *w);
/* The longest time between two calls of it so far, in seconds, where that was longer than the
 * lease: others took this process for dead although it was not. Else 0. */
LDM_API double ldm_work_silence(const ldm_work *w);

/* Made by the library, which may add fields at the end. */
typedef struct ldm_work_count {
    int pictures, pictures_done; /* of the run, and in complete blocks */
    int blocks, blocks_done;
    int workers; /* processes that show signs of life */
} ldm_work_count;
/* Looks into the folder. */
LDM_API ldm_status ldm_work_get_count(ldm_work *w, ldm_work_count *out, ldm_error *err);

/* What the run in a folder makes, as ldm_work_open hands it out. ldm_release it. */
LDM_API ldm_status ldm_work_get_run(const char *folder, char **run, ldm_error *err);

/* All records of done/, as a JSON array in the order of the blocks. ldm_release it. */
LDM_API ldm_status ldm_work_records(const char *folder, char **json, ldm_error *err);

/* The run in a folder: a JSON object {"run", "pictures", "block", "lease", "pictures_done",
 * "finished", "per_second", "seconds_left", "workers": [...], "claims": [...]}. Without a run:
 * LDM_ERR_IO. Takes part in nothing, but writes a file of its own for a moment, to learn the file
 * server's time. ldm_release it. */
LDM_API ldm_status ldm_work_status(const char *folder, char **json, ldm_error *err);

/* Whether there is a run in the folder. */
LDM_API bool ldm_work_is_there(const char *folder);

#ifdef __cplusplus
}
#endif
#endif
