/* SPDX-License-Identifier: MIT */
/* ldm generate in a few files: cmd_generate.c reads the options, arrays.c the arrays, generate.c
 * runs the job, take.c writes a picture, output.c decides where results go, like.c takes options
 * from a picture that ldm made, resume.c finds what an earlier run left, shared.c divides a run
 * among processes, write_stats.c writes statistics, fit.c says what a run takes, starts.c reads
 * pictures, texts.c prompts and names, given.c all of these. */
#ifndef LDM_CLI_GENERATE_H
#define LDM_CLI_GENERATE_H

#include "cli/cli.h"
#include "cli/opts.h"
#include "cli/outputs.h"
#include "cli/place.h"
#include "cli/ranks.h"

/* The arrays that can be given as files: ROW(name of ldm_job_set_array, option, fewest dimensions,
 * most, layout, what it is). Those that are options of their own and say what a picture shows: */
#define LDM_CONDITION_ARRAYS(ROW)                                                                  \
    ROW(context, "context", 3, 3, "[1 or N,tokens,width]", "for cross-attention, not of a prompt") \
    ROW(uncond_context, "uncond-context", 3, 3, "[1 or N,tokens,width]",                           \
        "of guidance's unconditional half")                                                        \
    ROW(concat, "concat", 4, 4, "[1 or N,C,H,W]", "channels after those of the latent")            \
    ROW(labels, "labels", 1, 2, "[1 or N] or [1 or N,W]", "for label_emb")                         \
    ROW(ids, "ids", 2, 2, "[1 or N,tokens]", "token ids for the conditioner")                      \
    ROW(cond_noise, "cond-noise", 4, 4, "[1 or N,C,H,W]",                                          \
        "noise that --image draws as conditioning, where it does")
/* Options of their own. */
#define LDM_ARRAY_OPTIONS(ROW)                                                                     \
    ROW(x0, "x0", 4, 4, "[1 or N,C,H,W]", "known latent for --mask FILE.npy")                      \
    ROW(x_t, "x-t", 4, 4, "[N,C,H,W]", "start noise; sets number and size")                        \
    ROW(noise, "noise", 5, 5, "[S,N,C,H,W]", "noise of each step really run")                      \
    LDM_CONDITION_ARRAYS(ROW)
/* All of them: --mask and --init name pictures as well. */
#define LDM_ARRAY_FILES(ROW)                                                                       \
    ROW(mask, "mask", 4, 4, "[1 or N,1 or C,H,W]", "where it is 1 the latent keeps x0")            \
    ROW(init, "init", 4, 4, "[N,C,H,W]", "latents to begin with")                                  \
    LDM_ARRAY_OPTIONS(ROW)

typedef struct ldm_generate_opts {
    ldm_targets to;   /* the model and the job */
    const char *like; /* NULL: no recipe */
#define LDM_PATH_FIELD(name, ...) const char *name;
    LDM_ARRAY_FILES(LDM_PATH_FIELD) /* NULL: not given */
#undef LDM_PATH_FIELD
    const char *init_file,
        *mask_file; /* --init and --mask as typed: arrays go to the fields above, */
    const char *init_image, *mask_image; /* and pictures, or folders of them, here */
    const char *image, *segmentation;    /* pictures as conditioning, or folders of them */
    const char *palette;                 /* colours of the segmentation's labels; NULL: numbers */
    const char *layout;                  /* a JSON file; NULL: none */
    const char *prompts, *class_names;   /* files of lines; NULL: not given */
    bool prompt_given;                   /* --prompt, not a recipe's */
    const char *out, *save_latent, *save_image, *write_stats;
    const char *save_intermediates; /* a folder; NULL: not given */
    const char *log_every_text;     /* --log-every-t; NULL: not given */
    int log_every_t;                /* steps from one to the next */
    bool grid, npz, json, quiet;
    bool hushed;            /* quiet because another process speaks, and not as asked */
    const char *preview_as; /* how pictures so far are shown; NULL: not given */
    bool dry_run, resume, overwrite;
    const char *quality_text; /* --quality; NULL: not given */
    int quality;              /* of a JPEG */
    ldm_ranks ranks;          /* which of how many this is */
    bool own_share;
    bool shared;    /* several processes, or one that joins them, make the run in its folder */
    bool full_path; /* the recipe holds the checkpoint's path */
    bool printed;   /* JSON is on stdout */
} ldm_generate_opts;

/* Rows of options that another command has as well; ldm_generate_opts is the first member of its
 * options. For LDM_CONDITION_ARRAYS and LDM_ARRAY_OPTIONS: */
#define LDM_ARRAY_OPTION_ROW(field_name, option, least, most, layout, what)                        \
    {.type = LDM_OPT_TEXT,                                                                         \
     .name = option,                                                                               \
     .arg = "FILE.npy",                                                                            \
     .field = offsetof(ldm_generate_opts, field_name),                                             \
     .help = layout ":\n" what},
#define LDM_CLASS_NAMES_ROW                                                                        \
    {                                                                                              \
        .type = LDM_OPT_TEXT, .name = "class-names", .arg = "FILE",                                \
        .field = offsetof(ldm_generate_opts, class_names),                                         \
        .help = "a line a class, from 0 on, or JSON: --class takes names"                          \
    }
#define LDM_IMAGE_ROW                                                                              \
    {                                                                                              \
        .type = LDM_OPT_TEXT, .name = "image", .arg = "FILE|DIR",                                  \
        .field = offsetof(ldm_generate_opts, image),                                               \
        .help = "for models that read a picture beside the latent: the\n"                          \
                "one to paint in (with --mask, white is painted), or to\n"                         \
                "enlarge; `ldm check` says what a model takes"                                     \
    }
/* The other files that a picture is conditioned by. */
#define LDM_MAP_ROWS                                                                               \
    {.type = LDM_OPT_TEXT,                                                                         \
     .name = "segmentation",                                                                       \
     .arg = "FILE.png",                                                                            \
     .field = offsetof(ldm_generate_opts, segmentation),                                           \
     .help = "a map of label numbers, grey or indexed, for models of\n"                            \
             "semantic synthesis; or of colours, with --palette"},                                 \
        {.type = LDM_OPT_TEXT,                                                                     \
         .name = "palette",                                                                        \
         .arg = "FILE.gpl",                                                                        \
         .field = offsetof(ldm_generate_opts, palette),                                            \
         .help = "its colours, \"R G B [NAME]\" a line: the n-th is label n"},                     \
    {                                                                                              \
        .type = LDM_OPT_TEXT, .name = "layout", .arg = "FILE.json",                                \
        .field = offsetof(ldm_generate_opts, layout),                                              \
        .help = "boxes or token ids for layout models; docs/PICTURES.md\n"                         \
                "has the form"                                                                     \
    }

/* The number of pictures that was asked for; 0: not said. */
int ldm_generate_count(const ldm_generate_opts *o);

/* ---- arrays ---------------------------------------------------------------------------------- */

#define LDM_ARRAY_FIELD(name, ...) ldm_array name;
typedef struct ldm_given_arrays {
    LDM_ARRAY_FILES(LDM_ARRAY_FIELD) /* zeroed: not given */
} ldm_given_arrays;
#undef LDM_ARRAY_FIELD

/* Reads the files that the options name, and holds what the start noise says against the line. An
 * exit code. */
int ldm_arrays_read(const ldm_command *cmd, const ldm_generate_opts *o, ldm_given_arrays *out);
void ldm_arrays_free(ldm_given_arrays *a); /* a zeroed struct is fine */
/* Gives them to the job; arrays stay the caller's. */
ldm_status ldm_arrays_set(const ldm_generate_opts *o, const ldm_given_arrays *a, ldm_job *job,
                          ldm_error *err);
/* " --x-t x.npy --noise n.npy", free() it; NULL when out of memory. */
char *ldm_arrays_named(const ldm_generate_opts *o);
/* The first option among them that was given, "x-t"; NULL: none. */
const char *ldm_arrays_first(const ldm_generate_opts *o);
/* The path behind a name, for reading and for setting. */
size_t ldm_arrays_count(void);
const char *ldm_arrays_key(size_t i);
const char **ldm_arrays_path(ldm_generate_opts *o, size_t i);

/* ---- where pictures go ----------------------------------------------------------------------- */

typedef struct ldm_output {
    char *folder; /* with a trailing slash; NULL: one picture under `file` */
    char *file;
    char *npz, *grid; /* names of --npz and --grid; NULL: not asked for */
    bool fresh;       /* none was named: the run makes a folder of its own */
    bool shared;      /* arrays and sheets are written from the pictures' files */
    int taken;        /* files of a run that lies in the folder, all that this one would make among
                         them: it is refused (ldm_resume_refuse); 0: none does */
    ldm_place place;  /* the folder, locked as long as the run is at work in it */
} ldm_output;

/* Decides on names for `count` pictures, and looks whether every file that the options name could
 * be written: hours of sampling must not end at a misspelt folder. Makes nothing yet, and locks the
 * folder where there is one. An exit code.
 *
 * Without -o every run has a folder of its own, generated_outputs/0001/ and so on: the number after
 * the highest there is, with --resume the highest. In a folder that was named another run's
 * pictures are an error, unless --resume or --overwrite says what to do with them. */
int ldm_output_plan(const ldm_command *cmd, const ldm_generate_opts *o, int count, ldm_output *out);

/* Makes the folder, where there is one and it was not there before, and takes it for this run: its
 * pictures are an error as they are above, and a numbered one gets the next number that is free. An
 * exit code. */
int ldm_output_claim(const ldm_command *cmd, const ldm_generate_opts *o, int count,
                     ldm_output *out);

/* Once the run is sure to begin: which files of earlier runs it will replace. kept: pictures that
 * --resume found. */
void ldm_output_say_replaced(const ldm_command *cmd, const ldm_generate_opts *o,
                             const ldm_output *out, int kept);

/* Whether a folder of pictures has such names: 00000.png, grid.png, samples.npz. */
bool ldm_output_is_ours(const char *name, size_t len);

/* say_settings.c: model, sampling, sizes and seeds of a run, a line each on stderr. */
void ldm_generate_say_settings(const ldm_model_info *mi, const ldm_run_info *ri,
                               const ldm_job *job);

/* The name of picture i; free() it. NULL when out of memory. */
char *ldm_output_name(const ldm_output *out, int i);

void ldm_output_free(ldm_output *out); /* place.lock of one not planned: -1 */

/* What a run may be made from: pictures to begin with, or as conditioning. One of them at most. */
typedef struct ldm_role {
    const char *name;   /* of ldm_job_set_images, and in recipes */
    const char *option; /* "--init" */
    const char *file;   /* its key among a recipe's files */
    size_t path;        /* offsetof its field in ldm_generate_opts */
} ldm_role;

size_t ldm_role_count(void);
const ldm_role *ldm_role_at(size_t i);
const char **ldm_role_path(ldm_generate_opts *o, const ldm_role *role);
/* The one that was given; NULL: none. */
const ldm_role *ldm_role_given(const ldm_generate_opts *o);

/* What its option and --mask must name to make pictures again; NULL where they are not given. */
typedef struct ldm_start_names {
    const ldm_role *role;
    const char *init, *mask;
} ldm_start_names;

/* The first option that was given and keeps floating-point values of the run in arrays, with its
 * dashes; NULL: none. */
const char *ldm_generate_array_option(const ldm_generate_opts *o);

/* ---- latents on the way ---------------------------------------------------------------------- */

enum { LDM_LOG_EVERY_T = 100 }; /* CompVis' default */

/* --save-intermediates: what CompVis' samplers return as intermediates, in the order of the steps.
 * Zeroed: not asked for. */
typedef struct ldm_intermediates {
    float *x, *pred_x0;     /* [entries,count,C,H,W] */
    size_t entries, latent; /* C * H * W */
    int count, steps, every;
} ldm_intermediates;

/* The start, and every step after which `every` divides the number of those that are left; the
 * first one, too (CompVis: index % log_every_t == 0 or index == total_steps - 1). */
size_t ldm_intermediates_entries(int steps, int every);

/* Whether the files could be written. An exit code. */
int ldm_intermediates_check(const ldm_command *cmd, const ldm_generate_opts *o);
void ldm_intermediates_note_replaced(const ldm_command *cmd, const ldm_generate_opts *o);

/* Room for a run's. An exit code. */
int ldm_intermediates_open(const ldm_command *cmd, const ldm_generate_opts *o,
                           const ldm_run_info *ri, ldm_intermediates *k);
void ldm_intermediates_take(ldm_intermediates *k, const ldm_progress *p);
/* DIR/x_inter.npy and DIR/pred_x0.npy. An exit code. */
int ldm_intermediates_write(const ldm_command *cmd, const ldm_generate_opts *o,
                            const ldm_run_info *ri, const ldm_intermediates *k);
void ldm_intermediates_free(ldm_intermediates *k);

/* ---- recipes --------------------------------------------------------------------------------- */

typedef struct ldm_recipe {
    json_t *root;       /* NULL: none; strings in options point into it */
    const char *sha256; /* NULL: not recorded */
    bool ckpt_named;    /* the line named another checkpoint file */
    const char
        *init_sha256; /* of the picture that it was made from, where the line names no other */
    const char *mask_sha256; /* likewise */
    int init_index;          /* which of the option's that is */
} ldm_recipe;

/* Reads the recipe in the PNG `path`, and takes from it what the line did not say. An exit code. */
int ldm_recipe_load(const ldm_command *cmd, const char *path, ldm_recipe *r, ldm_generate_opts *o);
void ldm_recipe_free(ldm_recipe *r);

/* The library's recipe of a picture with the files added that the command line named, so that
 * --like finds them again. Fresh text; free() it. NULL when out of
 * memory. */
char *ldm_recipe_complete(const char *library_json, const ldm_generate_opts *o,
                          ldm_start_names starts);

/* ---- pictures to begin with ------------------------------------------------------------------ */

typedef struct ldm_starts {
    const ldm_role *role; /* of ims; NULL: there are none */
    char **paths;         /* [count], of pictures */
    ldm_image *ims;       /* [count]; NULL: there are none */
    size_t count;
    char **mask_paths; /* [mask_count], of --mask where it is no array; likewise */
    ldm_image *masks;
    size_t mask_count;
} ldm_starts;

/* Reads the pictures that --init, --image, --segmentation and --mask name. An exit code. */
int ldm_starts_read(const ldm_command *cmd, const ldm_generate_opts *o, ldm_starts *s);
void ldm_starts_free(ldm_starts *s);

/* Where a run begins with pictures that ldm made and no prompt is set: the prompt that their
 * recipes have in common, if the model reads any, with a note; where they have several, the note
 * says what is done otherwise. An exit code. */
int ldm_starts_take_prompt(const ldm_command *cmd, const ldm_model *m, const ldm_starts *s,
                           const char *otherwise, ldm_job *job);

/* Says what the library remarks of an inversion that is to come, unless quiet: all, or the lines
 * that begin with `about`, where the others are said of another run. */
ldm_status ldm_starts_note_inverse(const ldm_command *cmd, const ldm_model *m, const ldm_job *job,
                                   bool quiet, const char *about, ldm_error *err);
bool ldm_starts_is_array(const char *path); /* NULL is none */

/* Whether the recipe's picture was made from the same one. An exit code. */
int ldm_starts_check(const ldm_command *cmd, const ldm_starts *s, const ldm_recipe *r,
                     const char *like);

/* Those of picture `index`; below 0: of all. */
ldm_start_names ldm_starts_name(const ldm_starts *s, const ldm_generate_opts *o, int index);

ldm_status ldm_starts_set(const ldm_starts *s, ldm_job *job, ldm_error *err);

/* Gives the job what the file that --layout names holds. An exit code. */
int ldm_layout_set(const ldm_command *cmd, const ldm_generate_opts *o);

/* ---- going on with a broken run -------------------------------------------------------------- */

/* Refuses what --resume cannot do, before any work. An exit code. */
int ldm_resume_check(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out);

/* Looks which pictures of this run are there and whole: kept[ri->count] is set for them, *count
 * says how many, their pixels go to rgb ([ri->count,h,w,3]; NULL: not wanted). A picture of another
 * run under one of the names is an error that names the first difference. Left-over temporary files
 * are removed, unless it is a dry run. An exit code. */
int ldm_resume_scan(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out,
                    ldm_run *run, const ldm_run_info *ri, bool *kept, uint8_t *rgb, int *count);

/* Whether picture i is there and whole: *kept. rgb: its pixels ([h,w,3]; NULL: not wanted). As
 * ldm_resume_scan, of one. An exit code. */
int ldm_resume_look(const ldm_command *cmd, const ldm_output *out, ldm_run *run,
                    const ldm_run_info *ri, int i, uint8_t *rgb, bool *kept);

/* Refuses a run whose files are in the folder already (out->taken), and says whether the pictures
 * are its own or another's. An exit code. */
int ldm_resume_refuse(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out,
                      ldm_run *run, const ldm_run_info *ri);

/* Removes temporary files of broken runs. An exit code. */
int ldm_resume_sweep(const ldm_command *cmd, const char *folder);

/* Whether two recipes give the same pictures; says the first difference of `name`, but where cmd is
 * NULL. An exit code. */
int ldm_resume_compare(const ldm_command *cmd, const char *name, json_t *its, json_t *ours);

/* ---- several processes ----------------------------------------------------------------------- */

/* Finds out which of how many processes this is, and whether they share the run: fills in what
 * follows from it (o->shared, o->ranks, o->resume, threads). An exit code. */
int ldm_shared_find(const ldm_command *cmd, const ldm_cli *cli, ldm_generate_opts *o);

/* Refuses what a shared run cannot do, before any work. An exit code. */
int ldm_shared_check(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out);

/* ---- what a run takes ------------------------------------------------------------------------ */

/* Bytes that this process may take: --max-memory, or what the machine has. */
uint64_t ldm_fit_limit(const ldm_generate_opts *o);
bool ldm_fit_limit_given(const ldm_generate_opts *o);

/* ldm_cli_fail for calls that were given that limit. */
int ldm_fit_fail(const ldm_command *cmd, const ldm_generate_opts *o, ldm_status st,
                 const ldm_error *err);

/* Bytes of what is kept for the arrays and sheets at the end. */
double ldm_fit_results(const ldm_generate_opts *o, const ldm_output *out, const ldm_run_info *ri);

/* Whether that fits beside the run. An exit code. */
int ldm_fit_check(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out,
                  const ldm_run_info *ri);

/* The report of --dry-run on stdout; `kept` pictures are there already. An exit code. */
int ldm_fit_print(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out,
                  const ldm_run_info *ri, int kept);

/* ---- the work -------------------------------------------------------------------------------- */

/* Does what the options ask for; an exit code. A zeroed recipe: there is none. */
int ldm_generate(const ldm_command *cmd, ldm_generate_opts *o, const ldm_recipe *recipe);

#endif
