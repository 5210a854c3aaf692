/* SPDX-License-Identifier: MIT */
/* Giving hostile files to the program, and the bars of processor time and memory that it must keep.
 */
#ifndef LDM_DURABILITY_HOSTILE_H
#define LDM_DURABILITY_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>

#include "checkpoint/ckpt_testing.h"

#define TINY_CKPT "tests/data/tiny/model.ckpt"
#define TINY_CONFIG "tests/data/tiny/config.yaml"

enum {
    /* The promise is 200 ms and 64 MB; a busy or slow machine may take twice the time. */
    MAX_MS = 400,
    MAX_MB = 64,
    FILE_BYTES = LDM_TEST_BARS ? 10 << 20 : 1 << 20,
    YAML_BYTES = LDM_TEST_BARS ? (4 << 20) - 64 : 1 << 20 /* larger ones are refused unread */
};

/* A folder of its own, and names of files in it. Setup and teardown of a test. */
typedef struct place {
    char dir[64], ckpt[96], yaml[96], said[96];
} place;

int place_begin(void **state);
int place_end(void **state);

/* Writes b to a file and releases it: what this process holds would count as its child's. */
size_t write_file(const char *path, bytes *b);

typedef struct spent {
    int code; /* -1: ended by a signal */
    double ms, mb;
    char line[1024]; /* the first of stderr */
    int lines;
} spent;

/* args ends with NULL. */
spent run_program(const place *p, const char *const *args);

/* One command on a file of `size` bytes. loads: it may also be a file without a fault. */
void expect_refusal(const place *p, const char *name, const char *const *args, size_t size,
                    bool loads);

#endif
