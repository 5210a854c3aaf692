/* SPDX-License-Identifier: MIT */
/* Reading constructor parameters by rows. A part's file lists the parameters of its constructor as
 * rows; ldm_params_read fills the part's struct from a map of the configuration, and notes every
 * parameter with its value and place, and every key that no row names. */
#ifndef LDM_NETWORK_PARAMS_H
#define LDM_NETWORK_PARAMS_H

#include "network/private.h"

struct ldm_module; /* part.h */

typedef enum ldm_param_kind {
    LDM_PARAM_INT, /* int; null sets -1 */
    LDM_PARAM_BOOL,
    LDM_PARAM_DOUBLE,
    LDM_PARAM_STRING,  /* const char *; null sets NULL */
    LDM_PARAM_INTS,    /* ldm_int_list */
    LDM_PARAM_BOOLS,   /* ldm_int_list of 0 and 1; null: none */
    LDM_PARAM_CLASSES, /* int: a number, LDM_CLASSES_* for its word; null sets -1 */
    LDM_PARAM_EXTENT,  /* ldm_extent: a number, or a list [h, w] */
    LDM_PARAM_BETAS,   /* ldm_beta_schedule, by its name */
    LDM_PARAM_SKIPPED, /* of no use to sampling: any value */
    LDM_PARAM_MODULE   /* a nested map, which the part reads itself */
} ldm_param_kind;

typedef struct ldm_param_row {
    const char *name;
    ldm_param_kind kind;
    size_t offset; /* of the field in the struct that is filled */
    ldm_effect effect;
    bool required;
} ldm_param_row;

/* A row of a parameter that only training or logging reads. */
#define LDM_PARAM_SKIP(name)                                                                       \
    {                                                                                              \
        name, LDM_PARAM_SKIPPED, 0, LDM_EFFECT_TRAINING, false                                     \
    }

typedef struct ldm_param_reader {
    ldm_network *network;           /* collects what is read */
    const ldm_shape_source *shapes; /* of the checkpoint, or NULL */
    ldm_error *err;
} ldm_param_reader;

/* Rows of one constructor. */
typedef struct ldm_param_table {
    const ldm_param_row *rows;
    size_t count;
    const char *others; /* NULL: a key without a row is unknown. Else the constructor takes any, and
                           this says why such a key has no effect */
} ldm_param_table;

#define LDM_PARAM_TABLE(rows)                                                                      \
    {                                                                                              \
        rows, sizeof(rows) / sizeof(rows)[0], NULL                                                 \
    }

/* Fills `base`, which holds the defaults, from map. map may be NULL where no row is required; then
 * the defaults stay. at: what a message about a missing map points to; path: of the map. */
ldm_status ldm_params_read(ldm_param_reader *r, const ldm_value *at, const ldm_value *map,
                           const char *path, const ldm_param_table *table, void *base);

/* For a name that a map lacks: LDM_ERR_CONFIG that points to a key of the map that is spelled alike
 * and is no row of the table (NULL: none is). LDM_OK: there is no such key. */
ldm_status ldm_params_missing(const ldm_value *map, const char *name, const ldm_param_table *table,
                              ldm_error *err);

/* Notes one parameter that is no row of a map, with its value as text. */
ldm_status ldm_params_add(ldm_param_reader *r, const char *path, const char *name,
                          ldm_effect effect, const char *value, const ldm_value *at);

/* Marks a parameter that has no effect with the others as they are. path: whole. */
void ldm_params_mark(ldm_network *s, const char *path, const char *reason);
const ldm_param *ldm_params_find(const ldm_network *s, const char *path);

/* Keys outside `model.params` that --set gives and nothing reads. */
ldm_status ldm_params_find_strays(ldm_param_reader *r, const ldm_value *root,
                                  const ldm_value *model);

/* "NAME is 7, expected WHAT", at the place of `name` (dotted) below at; at `at` where it is not
 * written. */
ldm_status ldm_params_bad(const ldm_value *at, ldm_error *err, const char *name, const char *what,
                          int found);
/* The same place with a text, and LDM_ERR_UNSUPPORTED. */
ldm_status ldm_params_unsupported(const ldm_value *at, ldm_error *err, const char *name,
                                  const char *what);

#endif
