/* SPDX-License-Identifier: MIT */
/* The tables of settings: one row a setting, and everything that reads or writes a setting's value.
 *
 * A setting has one key. It is the option on the command line (`--max-memory` for max_memory), the
 * key in the configuration's `ldm: sampling:` section, the key in a picture's recipe, and the key
 * of ldm_job_set() and its like. Each of these forms is read by one function below, and all of them
 * check the row's range or choices.
 *
 * Values are fields of a plain struct that begins with an ldm_options (job.h): a row knows the
 * offset of its field. The header remembers which rows have been given a value, so no value has to
 * mean "not said". */
#ifndef LDM_JOB_SETTINGS_H
#define LDM_JOB_SETTINGS_H

#include <jansson.h>
#include <ldm/ldm.h>

#include "base/arena.h"
#include "base/str.h"
#include "config/config.h"

struct ldm_setting_row {
    const char *key;
    ldm_setting_type type;
    unsigned flags;    /* LDM_SETTING_... */
    const char *group; /* heading under which front ends show it; "" is for programs only */
    size_t offset;     /* of the field in the plain struct */
    double min, max;   /* of an INT or REAL, both included */
    const char *const *choices; /* of a CHOICE, ended by NULL; or, where another table has them: */
    const char *(*choice)(size_t i);            /* its i-th name, NULL after the last */
    const char *(*canonical)(const char *text); /* the name that a text means, NULL: none */
    const char *(*near)(const char *text); /* of a text that means none, what comes near it, NULL:
                                              nothing does; the field may be NULL */
    const char *expected; /* what messages say that it can be; NULL: what the others tell */
    const char *value;    /* the default as text; NULL: none, something else decides */
    const char *lacking;  /* what a recipe means that is older than the setting; NULL: all recipes
                             have it */
    bool empty;           /* of a TEXT: may have no characters */
    bool drawn;           /* of a U64: a seed, and -1 or "random" draws one */
    char letter;          /* 'n' for -n; 0: none */
    const char *arg;      /* the value's name in the help; NULL for a BOOL */
    const char *help;     /* lines separated by '\n' */
    const char *help_no;  /* of a BOOL that is switched off: of the option --no-KEY */
};

typedef struct ldm_table {
    const ldm_setting_row *rows;
    size_t count;
    const char *what; /* "a job", for messages */
} ldm_table;

const ldm_table *ldm_table_of(ldm_setting_kind kind); /* NULL: no such kind */

/* The first field of every plain struct. */
typedef struct ldm_options {
    const ldm_table *table;
    ldm_arena *texts; /* copies of TEXT values */
    uint64_t given;   /* bit i: row i has been given a value */
    uint64_t drawn;   /* bit i: row i was told to draw that value */
} ldm_options;

/* Texts in the order in which they were given; the array is owned, the texts lie in the arena. */
typedef struct ldm_texts {
    const char **items;
    size_t count, cap;
} ldm_texts;

/* Begins the plain struct at `o` (zeroed): every field is its row's default, nothing is given. */
ldm_status ldm_options_init(ldm_options *o, ldm_setting_kind kind, ldm_error *err);
void ldm_options_finish(ldm_options *o); /* releases texts; a zeroed struct is fine */

/* LDM_ERR_USAGE for a key that the table does not have; the message names the nearest one. */
ldm_status ldm_options_row(const ldm_options *o, const char *key, const ldm_setting_row **row,
                           ldm_error *err);
bool ldm_options_given(const ldm_options *o, const char *key);
bool ldm_options_drawn(const ldm_options *o, const char *key);

/* The readers of each form. On failure the value stays as it was. Messages begin with "KEY: ". */
ldm_status ldm_options_set(ldm_options *o, const char *key, const char *text, ldm_error *err);
ldm_status ldm_options_set_int(ldm_options *o, const char *key, int64_t v, ldm_error *err);
ldm_status ldm_options_set_u64(ldm_options *o, const char *key, uint64_t v, ldm_error *err);
ldm_status ldm_options_set_real(ldm_options *o, const char *key, double v, ldm_error *err);
ldm_status ldm_options_set_bool(ldm_options *o, const char *key, bool v, ldm_error *err);
ldm_status ldm_options_unset(ldm_options *o, const char *key, ldm_error *err);

/* The value as the text that ldm_options_set reads back; a list as its items, one a line. */
ldm_status ldm_options_text(const ldm_options *o, const ldm_setting_row *row, ldm_str *out,
                            ldm_error *err);

/* The field as the C type of its row; NULL where the key or the type is another one. */
const void *ldm_options_field(const ldm_options *o, const char *key, ldm_setting_type type);

/* The order of precedence: what `o` was given stays, the rest takes what `from` (of the same table)
 * was given, and counts as given. The command line, then a recipe, then the configuration, then the
 * defaults: each is laid below the ones before it by one call. */
ldm_status ldm_options_lay_below(ldm_options *o, const ldm_options *from, ldm_error *err);

/* As ldm_options_lay_below, but the values do not count as given: they are defaults of `o`. */
ldm_status ldm_options_default_to(ldm_options *o, const ldm_options *from, ldm_error *err);

/* Takes a value back: what `below` was given shows again, or the default. *changed: that is another
 * one. */
ldm_status ldm_options_drop(ldm_options *o, const char *key, const ldm_options *below,
                            bool *changed, ldm_error *err);

/* The configuration's map: every key must be a row with LDM_SETTING_CONFIG. */
ldm_status ldm_options_read_config(ldm_options *o, const ldm_value *map, ldm_error *err);

/* A recipe: the rows with LDM_SETTING_PIXELS. Reading leaves alone what the recipe lacks, but for
 * what that means by the row. */
ldm_status ldm_options_read_recipe(ldm_options *o, const json_t *recipe, ldm_error *err);
/* False when out of memory. */
bool ldm_options_write_recipe(const ldm_options *o, json_t *recipe);

#endif
