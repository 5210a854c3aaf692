/* SPDX-License-Identifier: MIT */
/* What generate.c and shared.c work on. */
#ifndef LDM_CLI_GENERATE_TASK_H
#define LDM_CLI_GENERATE_TASK_H

#include "cli/generate/generate.h"
#include "cli/generate/given.h"
#include "cli/progress.h"
#include "cli/view.h"

/* One `ldm generate` from the opened model to the last file. */
typedef struct ldm_task {
    const ldm_command *cmd;
    ldm_generate_opts *o;
    ldm_given given;
    ldm_output output;
    const ldm_recipe *recipe;
    ldm_model *model;
    ldm_run *run;
    const ldm_model_info *mi;
    const ldm_run_info *ri;
    ldm_bar bar;
    ldm_view view; /* of --preview */

    /* What the arrays and the sheet at the end need; NULL where nothing asked for it. */
    float *latents, *images; /* [count,C,H,W] and [count,3,h,w] */
    ldm_intermediates intermediates;
    uint8_t *rgb;     /* [count,h,w,3] */
    bool *good;       /* [count]: in rgb */
    json_t *pictures; /* [{index, seed, file}], with --json */

    bool *kept;             /* [count]: made by an earlier run (--resume) */
    int kept_count, listed; /* of them, and how far they are in `pictures` */

    ldm_features *features;  /* of --write-stats; else NULL */
    ldm_work *work;          /* of a run that several processes share; else NULL */
    bool wrote_sheets;       /* of such a run: by this process */
    ldm_ranks_view together; /* of such a run: its progress */

    int seen, failed, written; /* pictures of this run */
    bool unwritable;           /* a picture could not be written: the rest cannot either */
    double started, finished;
} ldm_task;

/* ---- take.c: a picture that is done ---- */

enum { LDM_MANY_PICTURES = 24 }; /* that fit a terminal beside the rest */

/* For ldm_sampling_run; ctx is the task. */
int ldm_generate_take(void *ctx, const ldm_result *r, const ldm_error *why);
/* ldm_cli_fail of a file that is made of all pictures; but not where another process, which took
 * this one for dead, has finished the run, and swept this one's half of the file away. */
int ldm_generate_fail(const ldm_task *t, ldm_status st, const ldm_error *err);
/* Lists the kept pictures before `index` for --json, so that the list stays in order. */
void ldm_generate_list_kept(ldm_task *t, int index);
/* Columns of the contact sheet: of several prompts one a row; else 0, as square as it gets. */
size_t ldm_generate_sheet_columns(const ldm_task *t);
/* The recipe of a contact sheet of n pictures. *text: free() it. An exit code. */
int ldm_generate_sheet_recipe(ldm_task *t, size_t n, char **text);

/* ---- write_stats.c: --write-stats; without it they do nothing ---- */

int ldm_generate_stats_open(ldm_task *t); /* an exit code, as the others */
/* Keeps the features of a block's good pictures for whoever writes the statistics. */
int ldm_generate_stats_block(ldm_task *t, int first, int count);
/* Of all good pictures; block: pictures in a block of a shared run, any number in another. */
int ldm_generate_stats_write(ldm_task *t, int block);

/* ---- shared.c: the run of which this process makes a part ---- */

/* Joins it. An exit code: another run in the folder is refused. */
int ldm_shared_join(ldm_task *t);
/* Makes blocks until nothing is left, and what is made of all pictures where this is the last. An
 * exit code; interrupts are no failure. */
int ldm_shared_sample(ldm_task *t);
/* For ldm_job_set_progress; ctx is the task. */
int ldm_shared_progress(void *ctx, const ldm_progress *p);

#endif
