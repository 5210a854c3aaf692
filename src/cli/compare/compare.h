/* SPDX-License-Identifier: MIT */
/* ldm compare in files: cmd_compare.c holds options and order, compare_options.c says which model a
 * side is, compare_run.c samples it, compare_judge.c measures, compare_pairs.c holds pictures of
 * one seed against each other, compare_ablate.c makes B with one setting of A, compare_facts.c says
 * what was found, warned of and done, compare_tables.c puts it all into tables, compare_text.c and
 * compare_json.c print these (terminal, Markdown, JSON), compare_html.c, compare_style.c and
 * compare_svg.c write the report.
 */
#ifndef LDM_CLI_COMPARE_H
#define LDM_CLI_COMPARE_H

#include <stdio.h>

#include "cli/cli.h"
#include "cli/opts.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "cli/svg.h"

typedef struct ldm_compare_opts {
    ldm_targets to; /* the model and the job */
    const char *out, *cascade, *stats;
    bool ablate, overwrite, json, quiet;
    ldm_opt_list sweep; /* --sweep KEY=V,V: a grid over settings in the place of A and B */
} ldm_compare_opts;

typedef struct ldm_cmp_picture {
    uint64_t seed;
    bool good;       /* false: its sampling failed, nothing below is set */
    ldm_image image; /* pixels: free() */
    float *latent;   /* [latent_floats] of its side; free() */
    char *file;      /* free() */
    ldm_image_metrics m;
    int faces; /* -1: not counted */
} ldm_cmp_picture;

/* Means over the good pictures. */
typedef struct ldm_cmp_summary {
    size_t good, failed;
    double brightness, contrast, r, g, b, coherence;
    const char *grade;  /* the most frequent one; static */
    size_t grade_count; /* how many pictures have it */
    double skin_share;
    double face_share; /* NaN: not counted */
    double frechet;    /* NaN: no statistics */
} ldm_cmp_summary;

/* One configuration: what it says, what it loads, what it draws. */
typedef struct ldm_cmp_side {
    char *stem, *title;          /* "approach1", "Approach 1" */
    char *layer;                 /* its file */
    bool whole;                  /* which is no layer, but a whole configuration */
    char *folder;                /* of its pictures, with a trailing slash */
    json_t *audit;               /* of ldm_check */
    json_t *notes;               /* of loading and sampling, an array of texts */
    char *sha256;                /* of the checkpoint */
    const char *isa, *precision; /* static */
    int threads;
    size_t latent_floats; /* of a picture */
    int steps_asked, steps_run;
    double eta, scale;
    char *cond;
    bool guidance_works; /* conditional and unconditional predictions can differ */
    double load_seconds, sample_seconds;
    ldm_cmp_picture *pictures;
    size_t count;
    ldm_cmp_summary sum;
    char *failure; /* of a variant that could not be sampled; NULL: fine */
} ldm_cmp_side;

/* The pictures of one seed on both sides. */
typedef struct ldm_cmp_pair {
    bool both;      /* both were made; false: nothing below is set */
    bool same_size; /* false: nothing but this is set */
    bool equal;     /* byte by byte */
    double psnr;    /* decibels; infinite where equal */
    double latent;  /* |a - b| / |b|; NaN: of other shapes, or b is 0 */
} ldm_cmp_pair;

/* B with the settings of one group taken from A. */
typedef struct ldm_cmp_variant {
    char *name;       /* "attention heads" */
    json_t *settings; /* [{key, a, b}] */
    ldm_cmp_side side;
    size_t same; /* pictures that equal B's, byte by byte */
} ldm_cmp_variant;

typedef struct ldm_compare {
    const ldm_command *cmd;
    const ldm_compare_opts *o;
    ldm_place place;
    const char *out; /* its folder, with a trailing slash */
    ldm_bar bar;

    ldm_cmp_side a, b;
    ldm_cmp_pair *pairs; /* one for each picture of the shorter side */
    size_t pair_count;
    char *command, *date;      /* as typed; when it began, "2026-11-29 04:40 UTC" */
    double seconds;            /* from the beginning to the report */
    bool reported;             /* stdout has what was found */
    json_t *difference;        /* of ldm_config_difference */
    json_t *study_a, *study_b; /* published figures of the layers; NULL: none */

    ldm_cmp_variant *variants;
    size_t variant_count;

    ldm_face_judge *judge;
    char *judge_missing; /* why there is none */
    char *stats_file;    /* NULL: none */
    char *stats_missing; /* why there is no distance */
    uint64_t stats_count;
} ldm_compare;

/* ---- compare_options.c ----------------------------------------------------------------------- */

/* Which of the two sides are whole configurations, and what that means; NULL: neither, or nothing
 * would lie under them anyway. free() it. */
char *ldm_cmp_whole_text(const ldm_compare *c);

/* Options of the common configuration with the side's layer laid over it, or with its whole
 * configuration in its place. NULL: those of the common one. An exit code. */
int ldm_cmp_model_options(const ldm_compare *c, const ldm_cmp_side *s, ldm_model_options **out);

/* ---- compare_run.c --------------------------------------------------------------------------- */

/* Whether the side can be loaded, without loading its weights: what is wrong with the second side
 * is said before hours of sampling the first. An exit code, said on stderr. */
int ldm_cmp_side_try(ldm_compare *c, ldm_cmp_side *s);

/* Checks, loads and samples s, whose layer, stem and folder are set; writes its pictures. An exit
 * code, said on stderr. */
int ldm_cmp_side_run(ldm_compare *c, ldm_cmp_side *s);
void ldm_cmp_side_free(ldm_cmp_side *s); /* a zeroed struct is fine */

/* ---- compare_judge.c ------------------------------------------------------------------------- */

/* Opens the face judge and finds the statistics. An exit code: a file that an option names must be
 * there, a default one that is not is noted. */
int ldm_cmp_judge_open(ldm_compare *c);

/* Metrics and faces of every picture of a side; its means but for the distance. */
int ldm_cmp_judge_side(ldm_compare *c, ldm_cmp_side *s);

/* Frechet distances of all sides, with the encoder of the common configuration. */
int ldm_cmp_judge_distances(ldm_compare *c);

/* ---- compare_pairs.c --------------------------------------------------------------------------
 */

int ldm_cmp_find_pairs(ldm_compare *c);

/* Pictures of s that equal B's, byte by byte. */
size_t ldm_cmp_count_same(const ldm_compare *c, const ldm_cmp_side *s);

/* Pairs that equal each other, pairs there are, and the medians of the pairs that differ (NaN:
 * none). */
typedef struct ldm_cmp_pair_summary {
    size_t equal, both;
    double psnr, latent;
} ldm_cmp_pair_summary;
ldm_cmp_pair_summary ldm_cmp_summarise_pairs(const ldm_compare *c);

/* ---- compare_facts.c --------------------------------------------------------------------------
 */

/* What the comparison comes to; what the reader is warned of, each with its side's name; command,
 * date, checkpoint and machine as pairs [name, text]. Arrays; NULL when out of memory. */
json_t *ldm_cmp_conclusion(const ldm_compare *c);
json_t *ldm_cmp_warnings(const ldm_compare *c);
json_t *ldm_cmp_provenance(const ldm_compare *c);

/* ---- compare_ablate.c ------------------------------------------------------------------------ */

int ldm_cmp_ablate(ldm_compare *c);

/* A setting's value as people write it, into buf; a map becomes the list of its keys. */
const char *ldm_cmp_value_text(const json_t *v, char *buf, size_t size);

/* ---- compare_tables.c ------------------------------------------------------------------------ */

enum { LDM_CMP_CELL = 128, LDM_CMP_MAX_ROWS = 40, LDM_CMP_MAX_COLUMNS = 10 };

typedef struct ldm_cmp_table {
    const char *title;
    size_t columns, rows;
    char head[LDM_CMP_MAX_COLUMNS][LDM_CMP_CELL];
    char cell[LDM_CMP_MAX_ROWS][LDM_CMP_MAX_COLUMNS][LDM_CMP_CELL];
} ldm_cmp_table;

typedef enum ldm_cmp_table_kind {
    LDM_CMP_PARAMETERS,  /* the study's table 1 */
    LDM_CMP_PERFORMANCE, /* the study's table 2 */
    LDM_CMP_SEEDS,       /* each pair of pictures */
    LDM_CMP_KEYS,
    LDM_CMP_SETTINGS,
    LDM_CMP_ABLATION, /* only with variants */
    LDM_CMP_TABLE_KINDS
} ldm_cmp_table_kind;

/* Numbers for people: 21,550 and 871 and 12.3 and 0.412. */
const char *ldm_cmp_number(double v, char *buf, size_t size);

/* A text that does not fit its cell is cut; a difference beyond the last row is counted in it. */
void ldm_cmp_table_make(const ldm_compare *c, ldm_cmp_table_kind kind, ldm_cmp_table *t);
bool ldm_cmp_table_exists(const ldm_compare *c, ldm_cmp_table_kind kind);

/* ---- compare_text.c -------------------------------------------------------------------------- */

void ldm_cmp_print_text(const ldm_compare *c, FILE *f);
void ldm_cmp_write_markdown(const ldm_compare *c, FILE *f);

/* Fewer pictures leave it to the seeds in which order settings that are alike come. */
enum { LDM_CMP_FEW = 100 };

/* How far Frechet distances of so many pictures can be trusted: a remark of both reports; free()
 * it. NULL when out of memory. */
char *ldm_cmp_trust(size_t pictures);

/* What the tables rest on and how to read them, an array of sentences. NULL when out of memory. */
json_t *ldm_cmp_remarks(const ldm_compare *c);

/* ---- compare_json.c ---------------------------------------------------------------------------
 */

int ldm_cmp_print_json(const ldm_compare *c);

/* ---- compare_html.c, compare_style.c, compare_svg.c
 * ----------------------------------------------------------- */

int ldm_cmp_write_html(const ldm_compare *c, FILE *f);

extern const char ldm_cmp_style[]; /* its style sheet */

/* Histograms of one metric of both sides on one axis, from the least to the greatest value there
 * is: A upwards, B downwards. */
void ldm_cmp_svg_histogram(FILE *f, const char *title, const double *a, size_t na, const double *b,
                           size_t nb);

/* Horizontal bars, one per variant. value NaN: none. full: the value of the longest bar there can
 * be, 0: of the longest there is. */
typedef struct ldm_cmp_bar {
    const char *name;
    double value;
    char text[32];
    int kind; /* 0: a variant, 1: A, 2: B */
} ldm_cmp_bar;
void ldm_cmp_svg_bars(FILE *f, const char *title, const ldm_cmp_bar *bars, size_t count,
                      double full);

#endif
