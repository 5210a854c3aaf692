/* SPDX-License-Identifier: MIT */
/* One run of several processes, as `ldm generate` and `ldm metrics` have it: which of how many this
 * is, and what all of them have done so far. How they divide the work: ldm/cluster.h. */
#ifndef LDM_CLI_RANKS_H
#define LDM_CLI_RANKS_H

#include <ldm/cluster.h>

#include "cli/cli.h"
#include "cli/opts.h"
#include "cli/progress.h"

typedef struct ldm_ranks {
    const char *rank_text, *of_text, *lease_text, *block_text; /* as typed; NULL: not given */
    bool no_wait;
    ldm_rank rank;   /* which of how many this is */
    bool said;       /* by --rank and --of */
    int lease;       /* seconds */
    int block;       /* pictures; 0: chosen */
    char prefix[96]; /* "[2/3 host] ", of the lines on stderr that come from several together */
} ldm_ranks;

/* Rows of options for an ldm_ranks at offset `at`, but for --no-wait. shared: what the processes
 * share, "the run in the folder -o". */
#define LDM_RANK_ROWS(at, shared)                                                                  \
    {.type = LDM_OPT_TEXT,                                                                         \
     .name = "rank",                                                                               \
     .arg = "R",                                                                                   \
     .field = (at) + offsetof(ldm_ranks, rank_text),                                               \
     .help =                                                                                       \
         "this is process R, from 0, of those that share\n" shared "; default: as mpirun, srun,\n" \
         "torchrun or a Slurm array say"},                                                         \
        {.type = LDM_OPT_TEXT,                                                                     \
         .name = "of",                                                                             \
         .arg = "N",                                                                               \
         .field = (at) + offsetof(ldm_ranks, of_text),                                             \
         .help = "how many processes there are"},                                                  \
        {.type = LDM_OPT_FLAG,                                                                     \
         .name = "no-wait",                                                                        \
         .field = (at) + offsetof(ldm_ranks, no_wait),                                             \
         .help = "end when nothing is left to begin; default: wait, to go\n"                       \
                 "on with what a process leaves that dies"},                                       \
        {.type = LDM_OPT_TEXT,                                                                     \
         .name = "lease",                                                                          \
         .arg = "S",                                                                               \
         .field = (at) + offsetof(ldm_ranks, lease_text),                                          \
         .help = "take a process for dead after S seconds without a sign\n"                        \
                 "of life; default 300"},                                                          \
    {                                                                                              \
        .type = LDM_OPT_TEXT, .name = "block", .arg = "N",                                         \
        .field = (at) + offsetof(ldm_ranks, block_text),                                           \
        .help = "pictures that a process takes at a time; default: chosen"                         \
    }

/* Reads what was typed and what a launcher says. An exit code. */
int ldm_ranks_find(const ldm_command *cmd, const ldm_cli *cli, ldm_ranks *r);
/* Forgets the launcher: this process is alone. */
void ldm_ranks_alone(ldm_ranks *r);
/* The option among these that was given although the process is alone, "--lease"; NULL: none. */
const char *ldm_ranks_given(const ldm_ranks *r);
/* The first option among all of them that was given; NULL: none. */
const char *ldm_ranks_option(const ldm_ranks *r);
/* Threads that one of several processes should start. */
int ldm_ranks_threads(const ldm_ranks *r);
/* What others may know about this process, for ldm_work_options.about; free() it. NULL when out of
 * memory. */
char *ldm_ranks_about(const ldm_ranks *r, int threads, const char *isa);
/* cmd with a prefix for its lines that names this process, where there are several. *r must outlive
 * it. */
ldm_command ldm_ranks_command(const ldm_command *cmd, ldm_ranks *r);
/* "note: process 0 of 3 (Open MPI), 2 threads; the run is shared in FOLDER". */
void ldm_ranks_say(const ldm_command *cmd, const ldm_ranks *r, int threads, const char *folder);
/* Warns where the first process of the run computes with other instructions; theirs may be NULL. */
void ldm_ranks_warn_isa(const ldm_command *cmd, const char *theirs, const char *ours);
/* Warns where records of done/ name different instructions. what: "pictures". */
void ldm_ranks_warn_mixed(const ldm_command *cmd, const json_t *records, const char *what);
/* Marks the block or the last work that this process has as done. record: what done/ says of it;
 * taken over. An exit code. */
int ldm_ranks_complete(const ldm_command *cmd, ldm_work *work, json_t *record);
/* Sleeps; a signal ends it. */
void ldm_ranks_pause(double seconds);

/* The progress of all, by the process that speaks. */
typedef struct ldm_ranks_view {
    const ldm_command *cmd;
    ldm_work *work;
    ldm_bar *bar; /* told that a line stands there; NULL: there is none */
    bool quiet;
    bool looked;         /* the fields below count */
    double shown, begun; /* when it was shown, and since when it is measured */
    int shown_from;      /* pictures that were done then */
} ldm_ranks_view;

/* Shows it where it is time to; call it often. */
void ldm_ranks_show(ldm_ranks_view *v);
/* After the last block: a silence beyond the lease, and what was done, `made` by this process. all:
 * the whole run is done. */
void ldm_ranks_say_end(ldm_ranks_view *v, int made, bool all);

#endif
