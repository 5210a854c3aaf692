/* SPDX-License-Identifier: MIT */
/* For the room's tests: a small configuration as text, and checkpoints made of a network. */
#ifndef LDM_AUDIT_TESTING_H
#define LDM_AUDIT_TESTING_H

#include <jansson.h>

#include "audit/audit.h"

/* A configuration with its network; overrides are dot-list assignments, ended by NULL. */
typedef struct test_model {
    ldm_config *cfg;
    ldm_network *network;
} test_model;
test_model test_model_create(const char *yaml, const char *const *overrides);
test_model test_model_load(const char *path, const char *const *overrides);
void test_model_free(test_model *m);

extern const char test_yaml[]; /* line numbers matter to the tests: see there */

/* How a checkpoint differs from what the network lists. All may be left zero. */
typedef struct test_edit {
    /* New name (in buf of 512 bytes), the same, or NULL to leave the tensor out. */
    const char *(*rename)(const char *name, char *buf);
    const char *extra;     /* one more tensor [2, 3] */
    const char *as_bytes;  /* this tensor's elements are unsigned bytes */
    const char *fill_name; /* this tensor holds fill_value; others 0, position_ids 0, 1 ... */
    float fill_value;
    const char *add_scale; /* a 0-d tensor of this name with fill_value */
    bool schedule;         /* alphas_cumprod of the network's own schedule */
} test_edit;

/* A safetensors file in memory, opened; *data must be freed after closing. */
ldm_ckpt *test_ckpt_create(const ldm_network *network, const test_edit *edit, void **data);

/* Reports; asserted to succeed. */
json_t *test_check_json(const ldm_audit *a, bool values);
char *test_check_text(const ldm_audit *a, bool all, bool colour); /* ldm_free */

/* A file made of one configuration and held against another. */
typedef struct test_bench {
    test_model trained, asked;
    ldm_ckpt *ck;
    void *data;
    ldm_audit *a;
} test_bench;
test_bench test_bench_create(const char *const *trained, const char *const *asked,
                             const test_edit *edit, int ema);
void test_bench_free(test_bench *b);

/* Length of an array in a report. */
size_t test_list_size(const json_t *root, const char *name);
/* The remedy that a report gives for one cause; NULL where it does not name that cause. */
const char *test_remedy(const json_t *root, const char *id);
/* Fails, showing the text, where `part` is not in it. */
void test_contains(const char *text, const char *part);

#endif
