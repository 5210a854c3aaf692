/* SPDX-License-Identifier: MIT */
/* The folder .ldm-run: names, the file server's clock, and what its entries say. Private to the
 * room.
 *
 * Blocks are numbered from 0; the number after the last stands for the finish, the files that are
 * made of all pictures. A claim's name is BLOCK.ATTEMPT: who finds the highest attempt dead links
 * the next one, so two processes never have the same. */
#ifndef LDM_CLUSTER_RUN_FOLDER_H
#define LDM_CLUSTER_RUN_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <ldm/cluster.h>

#include "base/error.h"

enum { LDM_RUN_MOST_BLOCKS = 10000000 };

typedef struct ldm_run_folder {
    char *path; /* "DIR/.ldm-run" */
    int pictures, block, blocks;
    double lease;
    json_t *run; /* what is made */
} ldm_run_folder;

/* Reads the manifest. */
ldm_status ldm_run_folder_open(const char *dir, ldm_run_folder *out, ldm_error *err);
void ldm_run_folder_close(ldm_run_folder *f); /* a zeroed struct is fine */

/* "DIR/.ldm-run/SUB/NAME"; ldm_free it. NULL when out of memory. */
char *ldm_run_path(const char *folder, const char *sub, const char *name);

/* "000012", "final"; buf: 32 bytes. Returns buf. */
const char *ldm_run_block_name(const ldm_run_folder *f, int block, char *buf);
int ldm_run_block_count(const ldm_run_folder *f, int block); /* pictures in it */

/* What is there of every block, by the names in done/ and claims/. */
typedef struct ldm_run_marks {
    bool *done;    /* [blocks + 1] */
    int *attempts; /* [blocks + 1]: claims so far */
    int blocks_done;
} ldm_run_marks;
ldm_status ldm_run_marks_create(const ldm_run_folder *f, ldm_run_marks *out, ldm_error *err);
void ldm_run_marks_free(ldm_run_marks *m); /* a zeroed struct is fine */
void ldm_run_marks_done(const ldm_run_folder *f, ldm_run_marks *m, int block);
ldm_status ldm_run_marks_read(const ldm_run_folder *f, ldm_run_marks *m, ldm_error *err);

/* Touches the file, and says when that was by the clock of the server that holds it. */
ldm_status ldm_run_touch(const char *path, double *now, ldm_error *err);

/* A worker's file, or a claim, which is a link to it. */
typedef struct ldm_run_sign {
    bool there;
    double touched; /* by the file server's clock */
    uint64_t file;  /* the inode's number: the worker */
    json_t *about;  /* an object; NULL: it cannot be read */
} ldm_run_sign;
ldm_status ldm_run_sign_read(const char *path, ldm_run_sign *out, ldm_error *err);
void ldm_run_sign_free(ldm_run_sign *s);
/* Touched within the lease, and not a process of this machine that is gone. */
bool ldm_run_sign_lives(const ldm_run_sign *s, double now, double lease);

/* Reads the marks again, and adds up. now: by the file server's clock. */
ldm_status ldm_run_count(const ldm_run_folder *f, ldm_run_marks *m, double now, ldm_work_count *out,
                         ldm_error *err);

/* "BOOT/PIDS": equal for processes that can see each other by number. */
void ldm_run_machine(char *buf, size_t size);

/* A JSON file of this folder. */
ldm_status ldm_run_read_json(const char *path, json_t **out, ldm_error *err);
ldm_status ldm_run_write_json(const char *path, const json_t *root, ldm_error *err);

#endif
