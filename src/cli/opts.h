/* Options as rows of a table: one row parses the option, checks its value and prints its help. */
#ifndef LDM_CLI_OPTS_H
#define LDM_CLI_OPTS_H

#include <stddef.h>
#include <stdint.h>

#include "cli/cli.h"

/* What a row stores, and the type of the field at its offset. */
typedef enum ldm_opt_type {
    LDM_OPT_HEADING, /* no option: a headline in the help */
    LDM_OPT_FLAG,    /* bool, set to true */
    LDM_OPT_UNFLAG,  /* bool, set to false */
    LDM_OPT_YES,     /* ldm_tristate, set to LDM_YES */
    LDM_OPT_NO,      /* ldm_tristate, set to LDM_NO */
    LDM_OPT_TEXT,    /* const char *, not empty */
    LDM_OPT_LIST,    /* ldm_list, appended to */
    LDM_OPT_CHOICE,  /* const char *, one of row->choices ("a|b|c") */
    LDM_OPT_INT,     /* int in min..max */
    LDM_OPT_U64,     /* uint64_t */
    LDM_OPT_REAL,    /* double in min..max */
    LDM_OPT_BYTES,   /* uint64_t: 500M, 2G (powers of 1024), 1.5GB (powers of 1000) */
    LDM_OPT_SHAPE    /* int[3]: C,H,W */
} ldm_opt_type;

typedef struct ldm_opt {
    ldm_opt_type type;
    char letter;      /* 'n' for -n; 0: none */
    const char *name; /* "steps" for --steps; the text of a heading */
    const char *arg;  /* the value's name in the help; NULL for flags */
    const char *help; /* lines separated by '\n' */
    size_t field;     /* offsetof in the command's options struct */
    double min, max;
    const char *choices;
} ldm_opt;

/* Strings that belong to argv (or to whoever appended them); the array is owned. */
typedef struct ldm_list {
    const char **items;
    size_t count, cap;
} ldm_list;

int ldm_list_add(ldm_list *l, const char *item); /* 0, or -1 when out of memory */
void ldm_list_free(ldm_list *l);

typedef enum ldm_parse {
    LDM_PARSE_OK,
    LDM_PARSE_HELP, /* --help was asked for and printed */
    LDM_PARSE_ERROR /* said on stderr */
} ldm_parse;

/* Reads argv (argv[0] is the command's name) into the options struct at `out`, which holds the
 * defaults. *args: index of the first argument that is no option; the rest follow it. May be called
 * again on the same argv. */
ldm_parse ldm_opts_parse(const ldm_command *cmd, int argc, char **argv, void *out, int *args);

/* The exit code for a parse that did not end in LDM_PARSE_OK. */
int ldm_parse_exit(ldm_parse p);

void ldm_opts_help(const ldm_command *cmd);

/* Number of edits (insert, delete, replace, swap neighbours) between two short words; words longer
 * than 63 bytes count as far apart. */
size_t ldm_word_distance(const char *a, const char *b);

/* The candidate that a mistyped word may have meant, or NULL. */
const char *ldm_word_nearest(const char *word, const char *const *candidates, size_t count);

/* ---- the options that every command with a model has ------------------------------------------
 */

typedef struct ldm_model_opts {
    const char *ckpt;
    ldm_list configs, sets;
    ldm_tristate ema;
    int threads;
    uint64_t max_memory;
    const char *precision;
} ldm_model_opts;

/* Rows for a struct `s` that holds an ldm_model_opts named `model`. */
/* clang-format off */
#define LDM_ROWS_MODEL(s)                                                                          \
    {.type = LDM_OPT_HEADING, .name = "Model"},                                                    \
    {.type = LDM_OPT_TEXT, .name = "ckpt", .arg = "FILE", .field = offsetof(s, model.ckpt),        \
     .help = "CompVis checkpoint (PyTorch or safetensors);\n"                                      \
             "default: the shipped model"},                                                        \
    {.type = LDM_OPT_LIST, .name = "config", .arg = "FILE", .field = offsetof(s, model.configs),   \
     .help = "its YAML; repeatable, later files are laid over\n"                                   \
             "earlier ones"},                                                                      \
    {.type = LDM_OPT_LIST, .name = "set", .arg = "KEY=VALUE", .field = offsetof(s, model.sets),    \
     .help = "change one value of the config, e.g.\n"                                              \
             "model.params.scale_factor=0.18215; repeatable"},                                     \
    {.type = LDM_OPT_YES, .name = "ema", .field = offsetof(s, model.ema),                          \
     .help = "use the averaged (EMA) weights; default where the\n"                                 \
             "config's use_ema allows it and the file has them"},                                  \
    {.type = LDM_OPT_NO, .name = "no-ema", .field = offsetof(s, model.ema),                        \
     .help = "use the raw weights"}

#define LDM_ROW_THREADS(s)                                                                         \
    {.type = LDM_OPT_INT, .name = "threads", .arg = "N", .min = 1, .max = 1024,                    \
     .field = offsetof(s, model.threads), .help = "default: all processors"}

#define LDM_ROW_MAX_MEMORY(s)                                                                      \
    {.type = LDM_OPT_BYTES, .name = "max-memory", .arg = "SIZE",                                   \
     .field = offsetof(s, model.max_memory),                                                       \
     .help = "give up rather than take more, e.g. 500M or 2G"}

#define LDM_ROW_PRECISION(s)                                                                       \
    {.type = LDM_OPT_CHOICE, .name = "precision", .arg = "NAME", .choices =                        \
     "f32|exact|bf16|auto", .field = offsetof(s, model.precision),                                 \
     .help = "of the arithmetic; default f32. auto: the fastest that\nthis CPU and build have"}
/* clang-format on */

void ldm_model_opts_init(ldm_model_opts *m);
void ldm_model_opts_free(ldm_model_opts *m);

/* Fills the library's struct; it borrows m's lists. */
void ldm_model_opts_export(const ldm_model_opts *m, const ldm_cli *cli, ldm_model_options *out);

/* How a command begins whose options, at `options`, hold the ldm_model_opts `m`: reads argv into
 * them and fills the library's struct. False: *code is the exit code, and m is released. */
bool ldm_model_opts_begin(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv,
                          void *options, ldm_model_opts *m, ldm_model_options *out, int *code);

/* Opens the model and says its notes on stderr. An exit code. */
int ldm_model_opts_open(const ldm_model_opts *m, const ldm_cli *cli, const ldm_command *cmd,
                        ldm_model **out);

#endif
