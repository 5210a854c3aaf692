/* SPDX-License-Identifier: MIT */
/* ldm: latent diffusion models in C.
 *
 * Loads an original CompVis latent diffusion checkpoint and its YAML, says whether the two belong
 * together, and generates pictures with the original code's numbers.
 *
 *   ldm_model   configuration + checkpoint + packed weights. Immutable once open: any number of
 *               threads may share one.
 *   ldm_run     one job on a model: its own threads, memory and random numbers. One thread at a
 * time.
 *
 * Objects are opaque; their settings are set by key (see "settings"). Structs that the library
 * returns may get new fields at their end; structs that a caller fills never do.
 *
 * Rules that hold for every call: fallible calls return ldm_status and take `ldm_error *err` last,
 * which may be NULL; on failure out-parameters are left NULL or zeroed and nothing is to be freed;
 * NULL for a pointer is LDM_ERR_USAGE, named in the message, but where a call says what NULL means;
 * strings are UTF-8; memory that a call returns is released with the call that its comment names.
 */
#ifndef LDM_LDM_H
#define LDM_LDM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ldm/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; ldm_version() is the library's, as "MAJOR.MINOR.PATCH". */
#define LDM_VERSION_MAJOR 0
#define LDM_VERSION_MINOR 2
#define LDM_VERSION_PATCH 0

LDM_API const char *ldm_version(void);

/* The models that come with ldm, by the names that the model option "model" takes: portrait makes
 * pictures of words, demo is the study's kind of model, without conditioning. The default is used
 * where neither "model" nor a checkpoint is given. */
#define LDM_SHIPPED_MODELS "portrait, demo"
#define LDM_SHIPPED_DEFAULT "portrait"

/* Releases a string or array that ldm handed over. NULL is fine. */
LDM_API void ldm_release(void *p);

/* A file that comes with ldm, by its name in the source tree ("configs/study/approach1.yaml",
 * "models/demo/config.yaml"), wherever the program was built or installed. ldm_release it. */
LDM_API ldm_status ldm_shipped_path(const char *name, char **path, ldm_error *err);

/* ---- arrays ---------------------------------------------------------------------------------- */

/* A C-order array of float32. This struct is final: it never gets another field. Where a call takes
 * an array, ndim is 1 to 8, numel is the product of the shape, and data is not NULL; anything else
 * is LDM_ERR_USAGE. ldm_array_free releases data and zeroes the struct. */
typedef struct ldm_array {
    int ndim;
    uint64_t shape[8];
    uint64_t numel;
    float *data;
} ldm_array;

LDM_API ldm_status ldm_array_read(const char *path, ldm_array *out, ldm_error *err); /* .npy */
LDM_API ldm_status ldm_array_write(const char *path, const ldm_array *a, ldm_error *err);
LDM_API ldm_status ldm_array_write_int64(const char *path, int ndim, const uint64_t *shape,
                                         const int64_t *data, ldm_error *err);
LDM_API void ldm_array_free(ldm_array *a); /* NULL is fine */

/* ---- settings --------------------------------------------------------------------------------
 *
 * The settings of a model, a job, an evaluation and a benchmark are listed in one table each. The
 * objects below are set by key; a front end lists the rows and needs to know none of them. */

typedef enum ldm_setting_kind {
    LDM_SETTINGS_MODEL, /* of ldm_model_options */
    LDM_SETTINGS_JOB,   /* of ldm_job */
    LDM_SETTINGS_EVAL,  /* of ldm_eval_job */
    LDM_SETTINGS_BENCH  /* of ldm_bench_options */
} ldm_setting_kind;

typedef enum ldm_setting_type {
    LDM_TYPE_INT,    /* an int in min..max */
    LDM_TYPE_U64,    /* a whole number of 64 bits */
    LDM_TYPE_REAL,   /* a double in min..max */
    LDM_TYPE_BOOL,   /* as text: true, false */
    LDM_TYPE_CHOICE, /* one of the choices */
    LDM_TYPE_TEXT,   /* not empty */
    LDM_TYPE_SHAPE,  /* three whole numbers in min..max, as text: C,H,W */
    LDM_TYPE_BYTES,  /* as text: 500M, 2G (powers of 1024), 1.5GB (powers of 1000) */
    LDM_TYPE_LIST    /* texts; setting it adds one */
} ldm_setting_type;

enum {
    LDM_SETTING_PIXELS = 1,   /* changes pictures: recipes hold it */
    LDM_SETTING_COMPUTE = 2,  /* only how they are computed: threads, batch, memory */
    LDM_SETTING_CONFIG = 4,   /* the configuration's `ldm: sampling:` section may give it */
    LDM_SETTING_CONDITION = 8 /* what a picture is to show: only models that are conditioned by it
                                 take it */
};

/* A row. All that the getters return is static. */
typedef struct ldm_setting_row ldm_setting_row;

LDM_API size_t ldm_setting_count(ldm_setting_kind kind);
LDM_API const ldm_setting_row *ldm_setting_at(ldm_setting_kind kind,
                                              size_t i); /* NULL: no such row */
LDM_API const ldm_setting_row *ldm_setting_find(ldm_setting_kind kind,
                                                const char *key); /* or NULL */

LDM_API const char *ldm_setting_key(const ldm_setting_row *s);
LDM_API ldm_setting_type ldm_setting_get_type(const ldm_setting_row *s);
LDM_API unsigned ldm_setting_flags(const ldm_setting_row *s); /* LDM_SETTING_... */
LDM_API const char *
ldm_setting_group(const ldm_setting_row *s); /* a heading; "": for programs only */
LDM_API double ldm_setting_min(const ldm_setting_row *s);
LDM_API double ldm_setting_max(const ldm_setting_row *s);
/* The i-th choice; NULL after the last. */
LDM_API const char *ldm_setting_choice(const ldm_setting_row *s, size_t i);
LDM_API const char *ldm_setting_default(const ldm_setting_row *s); /* as text; NULL: none */
/* The value, as text, of a recipe that is older than the setting; NULL: every recipe has it. */
LDM_API const char *ldm_setting_lacking(const ldm_setting_row *s);
LDM_API char ldm_setting_letter(const ldm_setting_row *s);     /* 'n' for -n; '\0': none */
LDM_API const char *ldm_setting_arg(const ldm_setting_row *s); /* the value's name; NULL for BOOL */
LDM_API const char *ldm_setting_help(const ldm_setting_row *s);    /* lines separated by '\n' */
LDM_API const char *ldm_setting_help_no(const ldm_setting_row *s); /* of a BOOL when off; or NULL */

/* ---- models ---------------------------------------------------------------------------------- */

/* Which model, and how to load it. Rows: ldm_setting_at(LDM_SETTINGS_MODEL, i): "ckpt" (not set:
 * a shipped model), "model" (which of them, by name), "config" (YAML files, later ones laid over
 * earlier ones), "set" (assignments after the files), "ema", "threads", "max_memory", "precision",
 * "max_isa", "isa" (these instructions, neither more nor fewer), "config_text" and "config_name"
 * (YAML text as the first layer, a recipe's), "dry_run" (runs can be created for their info and not
 * sampled). */
typedef struct ldm_model_options ldm_model_options;

LDM_API ldm_status ldm_model_options_create(ldm_model_options **out, ldm_error *err);
LDM_API void ldm_model_options_free(ldm_model_options *opt); /* NULL is fine */

/* Sets a value; text in every type's form. Texts are copied. LDM_ERR_USAGE for an unknown key or a
 * value out of its range: the message begins with "KEY: ", and the value stays as it was. */
LDM_API ldm_status ldm_model_options_set(ldm_model_options *opt, const char *key, const char *text,
                                         ldm_error *err);
LDM_API ldm_status ldm_model_options_set_int(ldm_model_options *opt, const char *key, int value,
                                             ldm_error *err);
LDM_API ldm_status ldm_model_options_set_u64(ldm_model_options *opt, const char *key,
                                             uint64_t value, ldm_error *err);
LDM_API ldm_status ldm_model_options_set_bool(ldm_model_options *opt, const char *key, bool value,
                                              ldm_error *err);
LDM_API ldm_status ldm_model_options_unset(ldm_model_options *opt, const char *key, ldm_error *err);
LDM_API bool ldm_model_options_is_set(const ldm_model_options *opt, const char *key);
/* The value as text, the items of a list one a line. ldm_release it. */
LDM_API ldm_status ldm_model_options_get(const ldm_model_options *opt, const char *key, char **text,
                                         ldm_error *err);
/* As ldm_job_get_int and ldm_job_get_text. */
LDM_API int ldm_model_options_get_int(const ldm_model_options *opt, const char *key);
LDM_API uint64_t ldm_model_options_get_u64(const ldm_model_options *opt, const char *key);
LDM_API const char *ldm_model_options_get_text(const ldm_model_options *opt, const char *key);
/* An independent copy. */
LDM_API ldm_status ldm_model_options_copy(const ldm_model_options *opt, ldm_model_options **out,
                                          ldm_error *err);

/* Takes what is not set from a picture's recipe: the model's configuration, weights and precision.
 * name: what messages call the recipe; NULL: "recipe". LDM_ERR_FORMAT if it is damaged. */
LDM_API ldm_status ldm_model_options_use_recipe(ldm_model_options *opt, const char *json,
                                                const char *name, ldm_error *err);

/* Takes folders for the files in them, as the command line does: as "ckpt" for model.ckpt,
 * last.ckpt or the one checkpoint in it or in its checkpoints/ (a folder of diffusers stays), as
 * "config" for config.yaml, its one YAML or CompVis' configs/DATE-project.yaml. beside: where no
 * configuration is set, the one that lies beside the checkpoint is, if there is one: of the same
 * stem, or as above; none is where the one "config" is the word none. LDM_ERR_USAGE where a folder
 * holds none, or several: the message names them. ldm_model_open and ldm_check do this where a
 * folder is named. */
LDM_API ldm_status ldm_model_options_find_files(ldm_model_options *opt, bool beside,
                                                ldm_error *err);

/* A loaded model; see the top. */
typedef struct ldm_model ldm_model;

/* Opens, checks and packs. opt NULL: the shipped model. The checkpoint stays mapped, and weights
 * are read from it as long as the model is open: replace the file by renaming another, don't write
 * to it (a run or an evaluation that finds it changed gives LDM_ERR_IO). LDM_ERR_MISMATCH when a
 * tensor that the run would use is missing or has another shape; the message names the first and
 * says how many. */
LDM_API ldm_status ldm_model_open(const ldm_model_options *opt, ldm_model **out, ldm_error *err);
LDM_API void ldm_model_close(ldm_model *m); /* NULL is fine */

/* Facts for people and programs. Made by the library, which may add fields at the end. */
typedef struct ldm_model_info {
    const char *ckpt_path, *ckpt_format;
    const char *isa, *precision;
    const char *weights;      /* "EMA" or "raw" */
    bool is_default;          /* the shipped model, not the user's */
    const char *default_note; /* what the shipped model is, one line; NULL for the user's */
    int latent_channels, latent_h, latent_w; /* the config's own shape */
    bool shape_ambiguous; /* config does not say one shape: latent_candidates lists them */
    const char *latent_candidates;
    int downsample;           /* picture pixels per latent pixel (4 for f4) */
    int side_step, side_max;  /* pixels: a side is a multiple of the one, at most the other */
    bool codebook;            /* the first stage quantises latents (VQ) */
    bool posterior;           /* its encoder gives the moments of latents (KL) */
    int timesteps;            /* of training (1000) */
    bool guidance_has_effect; /* false where conditional and unconditional eps are the same */
    double load_seconds;
    bool reads_text;  /* a prompt conditions it */
    int classes;      /* a class conditions it, 0 to so many less one; 0: none does */
    int uncond_class; /* the one of them that stands for no class; -1: there is none */
} ldm_model_info;
/* It and its strings live as long as the model. NULL for NULL. */
LDM_API const ldm_model_info *ldm_model_get_info(const ldm_model *m);

/* Bytes of the weights that are packed by now: parts are packed at their first use. */
LDM_API uint64_t ldm_model_weight_bytes(const ldm_model *m);

/* The checkpoint's SHA-256 as 64 hex digits; reads the whole file on the first call. *hex lives as
 * long as the model. */
LDM_API ldm_status ldm_model_hash(const ldm_model *m, const char **hex, ldm_error *err);
/* The same of a file that may be no model at all: whether it is the one that a recipe names. */
LDM_API ldm_status ldm_checkpoint_hash(const char *path, char hex[65], ldm_error *err);
/* Whether the checksums that a zip archive holds for its entries are right: LDM_ERR_FORMAT names
 * the first that is not, and pictures made meanwhile are of other weights than were saved. Reads
 * the whole file. LDM_OK also for files without checksums. Loading does not look, as torch does
 * not. */
LDM_API ldm_status ldm_model_intact(const ldm_model *m, ldm_error *err);

/* Warnings and notes of loading (weights initialised, settings without effect...), one line each.
 * NULL after the last. */
LDM_API size_t ldm_model_note_count(const ldm_model *m);
LDM_API const char *ldm_model_note(const ldm_model *m, size_t i);

/* Whether pictures of width x height are far from the model's own size: *text: a line that says so
 * (ldm_release it), or NULL. */
LDM_API ldm_status ldm_model_size_note(const ldm_model *m, int width, int height, char **text,
                                       ldm_error *err);

/* What a picture of this seed shows where no prompt is given: a caption such as the model was
 * trained on, by the rules of grammar.txt beside its checkpoint. *out: ldm_release it; NULL where
 * the model takes no text or has no such file. Errors: the file's. */
LDM_API ldm_status ldm_model_caption(const ldm_model *m, uint64_t seed, char **out, ldm_error *err);

/* ---- reports --------------------------------------------------------------------------------- */

enum {
    LDM_REPORT_JSON = 1,       /* one JSON object; else text for a terminal */
    LDM_REPORT_ALL = 2,        /* every name, not the first 10 */
    LDM_REPORT_VALUES = 4,     /* check: read the weights too; checksums, NaN and infinity */
    LDM_REPORT_KEYS = 8,       /* inspect: the list of names */
    LDM_REPORT_SHAPES = 16,    /* inspect: the layer shapes of the network that a YAML describes */
    LDM_REPORT_COLOUR = 32,    /* text: ANSI colours */
    LDM_REPORT_COLUMNS = 65536 /* text: times the width that it is laid out for, 40 to 100 (others
                                  up to 4096 are taken as the nearest of these; 0: 100).
                                  `80 * LDM_REPORT_COLUMNS` is added as the others are */
};

/* Configuration against checkpoint. opt NULL: the shipped model. how: LDM_REPORT_..., added up.
 * *fits is false if a tensor that the run would use is missing or has another shape. *report:
 * ldm_release it; there is one with LDM_ERR_NUMERIC, too, which says that tensors of the model hold
 * NaN or infinity (values), with LDM_ERR_UNSUPPORTED, where ldm knows no part of the model, and
 * with LDM_ERR_CONFIG, where the configuration is wrong, of what can be read of it; else NULL on
 * failure. A model that ldm knows in part is reported as far as that goes. */
LDM_API ldm_status ldm_check(const ldm_model_options *opt, unsigned how, char **report, bool *fits,
                             ldm_error *err);

/* What is in a checkpoint or a YAML file, without loading weights; of a picture that ldm made, its
 * recipe. ldm_release the report; there may be one with LDM_ERR_CONFIG, too, as of ldm_check. */
LDM_API ldm_status ldm_inspect(const char *path, unsigned how, char **report, ldm_error *err);

/* The samplers that a job's "sampler" may name: evaluations, settings that they take, timesteps,
 * other names. how: LDM_REPORT_JSON: an array of objects, each with the name in AUTOMATIC1111's web
 * UI besides; else text. ldm_release the report. */
LDM_API ldm_status ldm_samplers(unsigned how, char **report, ldm_error *err);

/* Where the configurations of a and b differ, laid over each other as ldm_model_open does: a JSON
 * array of {"key": dotted path, "a": value, "b": value}, in the order of a's keys, then b's; "a" or
 * "b" is absent where only the other one has the key. Maps that both have are compared entry by
 * entry, except those whose names hold dots; everything else is one value. Opens no checkpoint.
 * ldm_release it. */
LDM_API ldm_status ldm_config_difference(const ldm_model_options *a, const ldm_model_options *b,
                                         char **json, ldm_error *err);

/* ---- sampling -------------------------------------------------------------------------------- */

struct ldm_image; /* below, see "pictures" */

typedef struct ldm_progress { /* made by the library, which may add fields at the end */
    int step, step_count;     /* 1-based within this batch; step 0: the first is about to begin */
    double timestep;          /* where the step began; some samplers' have a fraction */
    int first_image, images_in_batch, image_count;
    const char *stage; /* "sampling" or "decoding" */
    /* [images_in_batch,C,H,W]: the latents as the model predicts them at this step, for a preview;
     * valid during the call. NULL before the first step and while decoding. */
    const float *predicted;
    int latent_c, latent_h, latent_w;
    /* With the setting "preview": what the pictures first_image and following look like so far, RGB
     * [preview_count][preview_height][preview_width][3]; NULL where there is no new one. Made from
     * the predicted x0, a pixel of the latent each; with "preview_decode" the first one decoded. */
    const uint8_t *preview;
    int preview_count, preview_width, preview_height;
    /* [images_in_batch,C,H,W]: the latents after this step (CompVis' x_inter), at step 0 the start;
     * valid during the call. NULL while decoding. */
    const float *latents;
} ldm_progress;

/* What pictures to make, and how. Rows: ldm_setting_at(LDM_SETTINGS_JOB, i).
 * Picture i has seed + i and a noise stream of its own; with "vary_strength" above 0 all have the
 * seed, and picture i a variation of its start noise by that of the seed vary + i. */
typedef struct ldm_job ldm_job;

/* A job with m's defaults: CompVis' sample_diffusion.py's where it has any (50 steps, scale 1, one
 * picture, but eta 0 and seed 42), with what the configuration's `ldm: sampling:` section says laid
 * over them. m may be NULL; it need not be the model of the run, whose configuration counts then,
 * and may be closed before the job is freed. */
LDM_API ldm_status ldm_job_create(const ldm_model *m, ldm_job **out, ldm_error *err);
LDM_API void ldm_job_free(ldm_job *job); /* NULL is fine */

/* Sets a value; text in every type's form ("true", "3,64,64", "2G"). Texts are copied.
 * LDM_ERR_USAGE for an unknown key or a value out of its range: the message begins with "KEY: ",
 * and the value stays as it was. -1 (or the text "random") draws a seed, here and now: all runs of
 * the job have that one. */
LDM_API ldm_status ldm_job_set(ldm_job *job, const char *key, const char *text, ldm_error *err);
LDM_API ldm_status ldm_job_set_int(ldm_job *job, const char *key, int value, ldm_error *err);
LDM_API ldm_status ldm_job_set_u64(ldm_job *job, const char *key, uint64_t value, ldm_error *err);
LDM_API ldm_status ldm_job_set_real(ldm_job *job, const char *key, double value, ldm_error *err);
LDM_API ldm_status ldm_job_set_bool(ldm_job *job, const char *key, bool value, ldm_error *err);
LDM_API ldm_status ldm_job_set_shape(ldm_job *job, const char *key, const int value[3],
                                     ldm_error *err);
/* Back to the default of the library. */
LDM_API ldm_status ldm_job_unset(ldm_job *job, const char *key, ldm_error *err);
/* Whether it was set, by a call above or by a recipe. */
LDM_API bool ldm_job_is_set(const ldm_job *job, const char *key);
/* Whether the value was drawn, and not chosen. */
LDM_API bool ldm_job_is_drawn(const ldm_job *job, const char *key);

/* The value as text; ldm_release it. */
LDM_API ldm_status ldm_job_get(const ldm_job *job, const char *key, char **text, ldm_error *err);
/* The value by its type; 0, NULL or false, where the key or its type is another one. batch and
 * threads are 0 and shape is 0,0,0 where they are chosen for you. A text lives as long as the job,
 * or until it is set again. */
LDM_API int ldm_job_get_int(const ldm_job *job, const char *key);
LDM_API uint64_t ldm_job_get_u64(const ldm_job *job, const char *key); /* U64 and BYTES */
LDM_API double ldm_job_get_real(const ldm_job *job, const char *key);
LDM_API bool ldm_job_get_bool(const ldm_job *job, const char *key);
LDM_API const char *ldm_job_get_text(const ldm_job *job, const char *key); /* CHOICE and TEXT */
LDM_API const int *ldm_job_get_shape(const ldm_job *job, const char *key); /* [3] */

/* Takes the settings that are not set from a recipe (ldm_run_recipe). The seed becomes that
 * picture's own. Where the job has another sampler, the recipe's eta, timesteps and the like, which
 * belong to its own, are not taken. LDM_ERR_FORMAT if it is damaged. */
LDM_API ldm_status ldm_job_use_recipe(ldm_job *job, const char *json, ldm_error *err);

/* Arrays by name; NULL takes one away. The array stays the caller's and must outlive the runs.
 *   "x_t"    start noise [N,C,H,W]; sets count and shape; without it noise comes from the seed
 *   "noise"  [D,N,C,H,W], one entry a draw, in the order drawn; how many draws a run makes is the
 *            sampler's (the message names the number)
 *   "mask"   [1 or N,1 or C,H,W], 1 keeps x0; with x0
 *   "x0"     [1 or N,C,H,W]
 * What the UNet reads beside the latent, in the place of what its conditioner makes of prompts and
 * classes; which of them a model has follows from its conditioning_key:
 *   "context"         [1 or N,tokens,width], for cross-attention
 *   "uncond_context"  the same, of guidance's unconditional half
 *   "concat"          [1 or N,C,H,W], after the channels of the latent
 *   "labels"          [1 or N], or vectors [1 or N,W], for label_emb
 *   "ids"             [1 or N,tokens], token ids for the conditioner
 *   "mix"             [N], between several prompts (ldm_job_set_prompts) or classes: picture i's
 *                     context is so far along them, in a straight line from one to the next; 0 is
 *                     the first one, 0.5 the middle of the first and the second. Sets count
 *   "cond_noise"      the noise that a picture as conditioning draws, in the place of its stream's:
 *                     [1 or N,C,H,W], of LatentInpaintDiffusion's posterior sample (C: the
 *                     latent's), or of LatentUpscaleDiffusion's noise augmentation (C: concat's)
 * In the place of pictures to begin with (ldm_job_set_images):
 *   "init"            [M,C,H,W], latents with the scale factor; sets the shape */
LDM_API ldm_status ldm_job_set_array(ldm_job *job, const char *name, const ldm_array *a,
                                     ldm_error *err);

/* Prompts in the place of the setting "prompt": "count" pictures are made of each, in their order,
 * picture i with seed + i. texts: `count` of them, UTF-8; they stay the caller's and must outlive
 * the runs. NULL takes them away. */
LDM_API ldm_status ldm_job_set_prompts(ldm_job *job, const char *const *texts, size_t count,
                                       ldm_error *err);

/* How many pictures the job is about: those of the start noise, or "count" for each prompt or
 * class; where count is not set, as many as the pictures to begin with. 0 for NULL. */
LDM_API uint64_t ldm_job_total(const ldm_job *job);

/* Pictures by name; count 0 takes them away. They stay the caller's and must outlive the runs.
 *
 * "init": image-to-image. Picture i begins with ims[i % count], noised as far as the setting
 * "strength" says; the setting "fit" says how other sizes become the run's. Channels 1, 3 or 4.
 * Where "count" is not set, there are as many pictures as these. As in CompVis' img2img.py: the
 * encoder, of a KL first stage a sample of its posterior (one draw of noise), x0 noised to the
 * timestep (one draw), and the steps from there on. Entries of the array "noise" begin with these
 * draws; where the steps add no noise, they may end after them.
 *
 * "mask": one for all of init's pictures or one for each, of their sizes. What is light (luma 128
 * and more) is painted; outside of it the result has the input's own bytes. Inside, the painted
 * part begins over "mask_blur" pixels; where it is not set, the picture's shorter side / 128, at
 * most 4. A mask's alpha does not count; one that is light or dark everywhere and has a shape in
 * its alpha alone is LDM_ERR_USAGE, since programs disagree which part of such a one is painted.
 * Without "mask" the transparent part of init (alpha below 128) is painted, where alpha / 255 of
 * its own colour shows through, and with "pad" the room beside it; "mask_blur" is for "mask" alone.
 * Where strength is not set it is 1 then (start noise alone); where fit is not set, the result has
 * the picture's size.
 *
 * "image": the conditioning of models that concatenate a picture with the latent; picture i is made
 * from ims[i % count]. What becomes of it follows from the model: an inpainting model takes "mask"
 * (or transparency, or "pad") with it as above, where mask_blur is 0 if it is not set; one that
 * enlarges takes a small picture, adds noise where it was trained with noise ("noise_level"), and
 * works in tiles where it is large ("tile"). A picture whose sides the network cannot take is
 * extended by its last column and row and the result is cut again; with a shape, or other sizes
 * than the first one's, "fit" says how it is resized. "image" and "init" exclude each other.
 *
 * "segmentation": maps of label numbers (1 channel, ldm_image_read_labels) for SpatialRescaler; the
 * same rules. */
LDM_API ldm_status ldm_job_set_images(ldm_job *job, const char *name, const struct ldm_image *ims,
                                      size_t count, ldm_error *err);

/* Called after each step, and between the operations of a decode, on the thread of ldm_run_next;
 * nonzero cancels there. fn NULL: no call. */
LDM_API void ldm_job_set_progress(ldm_job *job, int (*fn)(void *ctx, const ldm_progress *p),
                                  void *ctx);

/* Asked between the operations of a step and of a decode, and 50 times a second within a long one,
 * on the thread of ldm_run_next; true cancels there. A step of a large batch may take minutes; this
 * ends it within a fraction of a second. fn NULL: nothing is asked. */
LDM_API void ldm_job_set_cancel(ldm_job *job, bool (*fn)(void *ctx), void *ctx);

/* fn returns true where picture `index` is not wanted. NULL: all are. */
LDM_API void ldm_job_set_skip(ldm_job *job, bool (*fn)(void *ctx, int index), void *ctx);

/* One job on a model. */
typedef struct ldm_run ldm_run;

/* job is copied, its strings too, and may be changed and freed; the arrays in it stay the caller's
 * and must outlive the run. NULL: a job of m's defaults. LDM_ERR_USAGE names what the model cannot
 * do. */
LDM_API ldm_status ldm_run_create(const ldm_model *m, const ldm_job *job, ldm_run **out,
                                  ldm_error *err);
LDM_API void ldm_run_free(ldm_run *r); /* NULL is fine */

typedef struct ldm_run_info { /* made by the library, which may add fields at the end */
    int steps_asked, steps_run;
    const double *timesteps; /* [steps_run]: where each step begins, the largest first; some
                                samplers' have a fraction */
    int count, batch;
    int latent_c, latent_h, latent_w;
    int image_h, image_w; /* of the pictures that are handed out */
    int image_c;          /* channels of a picture: 3 RGB, 1 grey; others have no RGB form */
    int threads;
    bool noise_used; /* the sampler adds noise, or a mask: random numbers count in the steps */
    uint64_t memory_weights, memory_activations, memory_total; /* bytes */
    /* Floating point operations, per picture. An evaluation with guidance costs twice; where a part
     * of the steps is guided, flop_per_eps is the mean. */
    double flop_per_eps, flop_decode;
    double eps_evaluations; /* of the whole network, of the whole run, per picture */
    double flop_shallow, shallow_evaluations; /* the same of its outermost blocks alone (cache) */
    double estimated_seconds;                 /* of the whole run, in a dry run; else 0 */
    bool composed; /* outside a mask the pictures' bytes are the input's */
} ldm_run_info;
/* Lives as long as the run. NULL for NULL. */
LDM_API const ldm_run_info *ldm_run_get_info(const ldm_run *r);
/* The job as it is run: every value is set or was chosen. Lives as long as the run. */
LDM_API const ldm_job *ldm_run_get_job(const ldm_run *r);
/* Remarks about this run for the user: "150 steps asked, 167 run: ...", "guidance has no effect:
 * ...". One line each. */
LDM_API size_t ldm_run_note_count(const ldm_run *r);
LDM_API const char *ldm_run_note(const ldm_run *r, size_t i);

/* One finished picture, made by the library, which may add fields at the end. It and its pointers
 * are the run's and hold until the next call on it. */
typedef struct ldm_result {
    int index; /* 0 .. count - 1 */
    uint64_t seed;
    const float *latent;   /* [C,H,W] */
    const float *image;    /* [ldm_run_info.image_c,height,width], -1..1, not clamped */
    const uint8_t *pixels; /* [height,width,channels]: RGB, a grey picture as three equal channels.
                              NULL where a picture has other channels than 1 or 3 */
    int width, height, channels;
    ldm_status status; /* LDM_ERR_NUMERIC: this picture failed (message in err of ldm_run_next);
                          the pointers are NULL, the others go on */
} ldm_result;

/* The next picture in order; computes a batch when none is waiting. *out is NULL after the last.
 * After LDM_ERR_CANCELLED the run is in the state before the call: a further call samples the
 * same batch from its first step, or decodes the same picture again, with the same results. */
LDM_API ldm_status ldm_run_next(ldm_run *r, const ldm_result **out, ldm_error *err);

/* From now on ldm_run_next makes the pictures first .. first + count - 1 only, whatever it made
 * before; pictures of a batch that were not handed out are dropped. A run can be sent anywhere any
 * number of times: a picture does not depend on the others. LDM_ERR_USAGE outside of the run. */
LDM_API ldm_status ldm_run_range(ldm_run *r, int first, int count, ldm_error *err);

/* The recipe of one picture: a JSON object with everything needed to repeat it:
 *   "ldm" version, "checkpoint" {"name", "sha256", "default": true for a shipped model, "shipped":
 * its name}, "config" (the merged YAML as text), "weights" ("EMA" or "raw"), "precision", "seed" (a
 * string above 2^63 - 1), "index", every setting of a job that changes pixels (LDM_SETTING_PIXELS)
 * by its key, and for a picture that begins with another one "init" {"kind": "picture" or "latent",
 * "sha256": ldm_image_hash, or that of the latent's floats}. Waits for the hash, which is computed
 * beside the sampling. ldm_release it. */
LDM_API ldm_status ldm_run_recipe(ldm_run *r, int index, char **json, ldm_error *err);

/* ---- inversion ------------------------------------------------------------------------------- */

/* The remarks for the user about ldm_invert with these arguments ("init: 1 of 1 picture of another
 * size ..."), a line each, before anything is computed; what it refuses is refused here, too.
 * *text: ldm_release it; NULL where there is none. */
LDM_API ldm_status ldm_invert_notes(const ldm_model *m, const ldm_job *job, char **text,
                                    ldm_error *err);

/* The noise from which DDIM makes a picture: DDIM run backwards from what the job begins with (the
 * pictures or the array "init"; of a KL first stage the posterior's mean, alpha is dropped). The
 * job's settings count: steps, timesteps, guidance and what is conditioned on; eta is 0.
 * "inversion" and "refine" say how each step is inverted.
 *
 * *noise: [N,C,H,W], the array "x_t" of a job with the same settings. *errors: [N], how far that
 * job ends from where the inversion began, relative L2 of the latents; NULL: the way back is not
 * run. ldm_array_free both. */
LDM_API ldm_status ldm_invert(const ldm_model *m, const ldm_job *job, ldm_array *noise,
                              ldm_array *errors, ldm_error *err);

/* ---- between two pictures -------------------------------------------------------------------- */

/* The standard normal noise of a seed: with the shape [1,C,H,W] the start noise of that seed's
 * picture. ldm_array_free. */
LDM_API ldm_status ldm_noise(uint64_t seed, int ndim, const uint64_t *shape, ldm_array *out,
                             ldm_error *err);
/* out, [numel of each], lies between a (t 0) and b (t 1) on the arc: slerp. A job's settings "vary"
 * and "vary_strength" do the same with its pictures' start noise. */
LDM_API ldm_status ldm_noise_between(const ldm_array *a, const ldm_array *b, double t, float *out,
                                     ldm_error *err);

/* ---- parts of the network, for debugging -------------------------------------------------------
 */

typedef enum ldm_part {
    LDM_PART_UNET,     /* in: x [N,C,H,W], t; out: eps */
    LDM_PART_ENCODE,   /* in: image [N,channels,h,w] in -1..1; out: latent before quantisation, or
                          what "mean" and "sample" ask for */
    LDM_PART_DECODE,   /* in: z [N,C,H,W] with the scale factor; out: image */
    LDM_PART_QUANTIZE, /* in: latent without scale factor; out: what goes to post_quant_conv */
    LDM_PART_INDICES,  /* the same; out: codebook indices [N,H,W] */
    LDM_PART_TEXT,     /* the text encoder. in: token ids [N,tokens]; out: context
                          [N,tokens,width] */
    LDM_PART_COND      /* what the conditioner makes of its input. in: classes [N] or token ids
                          [N,tokens], out: context [N,tokens,width]; in: planes of labels, or a
                          picture [N,C,h,w], out: what is concatenated [N,C,H,W] */
} ldm_part;

/* Rows: ldm_setting_at(LDM_SETTINGS_EVAL, i): "t" (timestep, for the UNet: 0 to the model's
 * timesteps - 1), "quantize" (decode: through the codebook, if there is
 * one), "mean", "sample", "seed" (encode: below), "threads", "dump" (a folder for every
 * block's output as .npy, "input_blocks_00.npy", ...). */
/* Encode gives the encoder's output: a latent, or, where the first stage has a posterior
 * (AutoencoderKL), moments [N,2C,H,W], means, then log variances; both without the scale factor.
 * With a posterior, "mean" and "sample" ask for a latent [N,C,H,W] with the scale factor, as the
 * UNet and decode take it: at the means, or at means + standard deviations * noise (log variances
 * count as -30 to 20). The noise is the array "noise", else sample i has seed + i. */
typedef struct ldm_eval_job ldm_eval_job;

LDM_API ldm_status ldm_eval_job_create(ldm_part part, ldm_eval_job **out, ldm_error *err);
LDM_API void ldm_eval_job_free(ldm_eval_job *job); /* NULL is fine */
/* As ldm_job_set and its like. */
LDM_API ldm_status ldm_eval_job_set(ldm_eval_job *job, const char *key, const char *text,
                                    ldm_error *err);
LDM_API ldm_status ldm_eval_job_set_int(ldm_eval_job *job, const char *key, int value,
                                        ldm_error *err);
LDM_API ldm_status ldm_eval_job_set_real(ldm_eval_job *job, const char *key, double value,
                                         ldm_error *err);
LDM_API ldm_status ldm_eval_job_set_bool(ldm_eval_job *job, const char *key, bool value,
                                         ldm_error *err);
LDM_API ldm_status ldm_eval_job_set_part(ldm_eval_job *job, ldm_part part, ldm_error *err);
LDM_API const char *ldm_eval_job_get_text(const ldm_eval_job *job, const char *key);
LDM_API bool ldm_eval_job_is_set(const ldm_eval_job *job, const char *key);
LDM_API bool ldm_eval_job_is_drawn(const ldm_eval_job *job, const char *key); /* as of a job */
/* The value as text; ldm_release it. */
LDM_API ldm_status ldm_eval_job_get(const ldm_eval_job *job, const char *key, char **text,
                                    ldm_error *err);
/* "in": the input. Of the UNet, where its configuration has them (with one entry a sample, or one
 * for all): "context" [N,tokens,width] for cross-attention, "concat" [N,C,H,W] after the channels
 * of x, "labels" [N] or [N,W] for label_emb. "noise": of "sample", [N,C,H,W]; may stay away. All
 * stay the caller's and must outlive the evaluation. */
LDM_API ldm_status ldm_eval_job_set_array(ldm_eval_job *job, const char *name, const ldm_array *a,
                                          ldm_error *err);

/* Asked as ldm_job_set_cancel's fn is, on the thread of ldm_eval; true ends it with
 * LDM_ERR_CANCELLED. Arrays of "dump" that are written by then stay. fn NULL: nothing is asked. */
LDM_API void ldm_eval_job_set_cancel(ldm_eval_job *job, bool (*fn)(void *ctx), void *ctx);

/* out: fresh array, ldm_array_free. Indices come as floats (exact below 2^24). */
LDM_API ldm_status ldm_eval(const ldm_model *m, const ldm_eval_job *job, ldm_array *out,
                            ldm_error *err);

/* ---- pictures -------------------------------------------------------------------------------- */

/* This struct is final: it never gets another field. */
typedef struct ldm_image {
    int width, height;
    int channels;    /* 1 (grey), 3 (RGB) or 4; calls that cannot do with them say so */
    uint8_t *pixels; /* [height][width][channels]; ldm_release */
} ldm_image;

/* PNG or JPEG, told apart by content, as RGB; upright, as its EXIF orientation says. */
LDM_API ldm_status ldm_image_read(const char *path, ldm_image *out, ldm_error *err);
/* The same with 1, 3 or 4 channels; 0: as many as the file holds (grey with alpha becomes 4). */
LDM_API ldm_status ldm_image_read_channels(const char *path, int channels, ldm_image *out,
                                           ldm_error *err);
/* A map of labels as one channel of their numbers. palette NULL: the PNG's own numbers, grey values
 * or an indexed PNG's indices (16 bits: up to 255). Else a file of colours, "R G B [NAME]" a line,
 * as GIMP writes palettes (.gpl): the n-th colour is label n, the first is 0; pixels of other
 * colours are LDM_ERR_USAGE. JPEGs are refused: they change colours. */
LDM_API ldm_status ldm_image_read_labels(const char *path, const char *palette, ldm_image *out,
                                         ldm_error *err);
/* SHA-256 of "HEIGHT,WIDTH,CHANNELS\n" and the pixels: what is shown, whatever file holds it. */
LDM_API ldm_status ldm_image_hash(const ldm_image *im, char hex[65], ldm_error *err);
/* A PNG, or a JPEG of quality 95 where the path ends in .jpg or .jpeg: grey for 1 channel, with
 * alpha for 4 (PNG only). Atomic. recipe: JSON of ldm_run_recipe for the PNG's text chunks or the
 * JPEG's comment, or NULL. */
LDM_API ldm_status ldm_image_write(const char *path, const ldm_image *im, const char *recipe,
                                   ldm_error *err);
/* The same; quality of a JPEG: 1 to 100. A PNG loses nothing, whatever the quality. */
LDM_API ldm_status ldm_image_write_quality(const char *path, const ldm_image *im, int quality,
                                           const char *recipe, ldm_error *err);
/* The bytes of the PNG that ldm_image_write writes. ldm_release *png. */
LDM_API ldm_status ldm_image_encode(const ldm_image *im, const char *recipe, char **png,
                                    size_t *size, ldm_error *err);
/* The recipe in a picture that ldm wrote; LDM_ERR_FORMAT where there is none. ldm_release it. */
LDM_API ldm_status ldm_image_read_recipe(const char *path, char **json, ldm_error *err);
/* A contact sheet of equal pictures; columns 0: as square as it gets. ldm_release(out->pixels). */
LDM_API ldm_status ldm_image_grid(const ldm_image *ims, size_t count, size_t columns,
                                  ldm_image *out, ldm_error *err);
/* An animated PNG of equal pictures, each shown for ms milliseconds, again and again. recipe: as
 * for ldm_image_write. */
LDM_API ldm_status ldm_image_write_animation(const char *path, const ldm_image *ims, size_t count,
                                             int ms, const char *recipe, ldm_error *err);
/* arr_0 [N,H,W,3] u8, the .npz that the ADM evaluation and FID tools read. */
LDM_API ldm_status ldm_image_write_npz(const char *path, const ldm_image *ims, size_t count,
                                       ldm_error *err);

/* Files of many pictures of one size, written while these come one by one: none but a row of the
 * sheet is kept in memory. The same bytes as ldm_image_write_npz, and as ldm_image_write of
 * ldm_image_grid. Nothing appears under `path` before all `count` pictures were added. */
typedef struct ldm_album ldm_album;

LDM_API ldm_status ldm_album_npz(const char *path, size_t count, int width, int height,
                                 ldm_album **out, ldm_error *err);
/* A PNG. columns and recipe: as for ldm_image_grid and ldm_image_write. */
LDM_API ldm_status ldm_album_grid(const char *path, size_t count, size_t columns, int width,
                                  int height, const char *recipe, ldm_album **out, ldm_error *err);
/* RGB of that size; NULL: black. */
LDM_API ldm_status ldm_album_add(ldm_album *a, const ldm_image *im, ldm_error *err);
/* Ends the file. On failure, too, the album is to be freed. */
LDM_API ldm_status ldm_album_close(ldm_album *a, ldm_error *err);
LDM_API void ldm_album_free(ldm_album *a); /* unfinished: nothing is left of it. NULL is fine */

/* The study's figures of one picture; docs/METRICS.md has formulas and sources. */
typedef struct ldm_image_metrics { /* later versions may add fields at the end */
    double brightness, contrast, mean_r, mean_g, mean_b, colour_coherence;
    bool skin_like;
    const char *colour_grade; /* "excellent", "fair", "poor"; static */
    const char *verdict;      /* the study's sentence; static */
} ldm_image_metrics;
/* size: sizeof *out. Of fields that only one side knows, the library's are left out and the
 * caller's are zeroed. */
LDM_API ldm_status ldm_image_measure(const ldm_image *im, ldm_image_metrics *out, size_t size,
                                     ldm_error *err);

/* How far apart two pictures are, over all bytes. */
typedef struct ldm_image_difference { /* later versions may add fields at the end */
    double psnr;                      /* 10 log10(255^2 / mse), decibels; infinity where mse is 0 */
    double mse;                       /* mean of squared differences of bytes */
    double mean_absolute;             /* mean of their absolute values */
    int largest;                      /* the largest of these; 0: the pictures are equal */
} ldm_image_difference;
/* LDM_ERR_USAGE where sizes or channels differ. size: sizeof *out. */
LDM_API ldm_status ldm_image_compare(const ldm_image *a, const ldm_image *b,
                                     ldm_image_difference *out, size_t size, ldm_error *err);

/* A PNG or JPEG as one picture, or .npy or .npz pictures [N,H,W,3] of values 0 to 255 (the first
 * array of an .npz that has such a shape). ldm_images_free. */
LDM_API ldm_status ldm_images_read(const char *path, ldm_image **out, size_t *count,
                                   ldm_error *err);
LDM_API void ldm_images_free(ldm_image *ims, size_t count);

/* What the first stage loses of a picture. Over the bytes of its own pixels and channels. */
typedef struct ldm_reconstruction {  /* later versions may add fields at the end */
    double psnr;                     /* 10 log10(255^2 / mse), decibels; infinity where mse is 0 */
    double mse;                      /* mean of squared differences of bytes */
    double mean_absolute;            /* mean of their absolute values */
    int largest;                     /* the largest of these */
    int padded_width, padded_height; /* the size that was encoded: multiples of the factor */
} ldm_reconstruction;

/* A picture through the first stage and back: encoder, codebook or posterior, decoder. job: its
 * settings "threads", "quantize", "sample" (with a posterior a sample of it, else the mean) and
 * "seed" count; NULL: the defaults. A picture whose sides are no multiples of the factor is
 * extended by its last column and row, and cut again. *out: of the picture's size, RGB; ldm_release
 * its pixels. figures may be NULL; size: sizeof *figures. */
LDM_API ldm_status ldm_reconstruct(const ldm_model *m, const ldm_eval_job *job, const ldm_image *im,
                                   ldm_image *out, ldm_reconstruction *figures, size_t size,
                                   ldm_error *err);

/* ---- faces ----------------------------------------------------------------------------------- */

/* A detector of frontal faces that was not trained on the pictures it judges: OpenCV's Haar cascade
 * haarcascade_frontalface_alt2.xml (Debian package opencv-data), which is found at run time.
 * docs/METRICS.md has its settings. Immutable: threads may share one. */
typedef struct ldm_face_judge ldm_face_judge;

/* cascade: its XML; NULL: where distributions put it. LDM_ERR_IO says how to install it. */
LDM_API ldm_status ldm_face_judge_open(const char *cascade, ldm_face_judge **out, ldm_error *err);
LDM_API void ldm_face_judge_close(ldm_face_judge *j); /* NULL is fine */

/* This struct is final: it never gets another field. */
typedef struct ldm_face {
    int x, y, width, height; /* pixels of the picture */
} ldm_face;

/* *faces: *count rectangles sorted by y, x, width, NULL if there are none; ldm_release it. faces
 * may be NULL where the number is enough. */
LDM_API ldm_status ldm_face_judge_find(const ldm_face_judge *j, const ldm_image *im,
                                       ldm_face **faces, size_t *count, ldm_error *err);

/* ---- distances between sets of pictures ------------------------------------------------------ */

/* Features of pictures for a Frechet distance: for each level of the first stage's encoder
 * (conv_in, every down, mid) the mean of every channel over the positions. One thread at a time. */
typedef struct ldm_features ldm_features;

/* m must outlive it. threads: 0: as many as processors may be used. */
LDM_API ldm_status ldm_features_open(const ldm_model *m, int threads, ldm_features **out,
                                     ldm_error *err);
LDM_API void ldm_features_close(ldm_features *f); /* NULL is fine */
LDM_API size_t ldm_features_dim(const ldm_features *f);

/* values: [ldm_features_dim]. The picture's sides must be multiples of the first stage's factor. */
LDM_API ldm_status ldm_features_compute(ldm_features *f, const ldm_image *im, double *values,
                                        ldm_error *err);

/* Mean and covariance of features; docs/METRICS.md has the file's format. */
typedef struct ldm_stats ldm_stats;

LDM_API ldm_status ldm_stats_create(const ldm_features *f, ldm_stats **out, ldm_error *err);
LDM_API void ldm_stats_free(ldm_stats *s); /* NULL is fine */
LDM_API ldm_status ldm_stats_add(ldm_stats *s, const double *values, ldm_error *err);
LDM_API uint64_t ldm_stats_count(const ldm_stats *s); /* pictures */
LDM_API ldm_status ldm_stats_read(const char *path, ldm_stats **out, ldm_error *err);
LDM_API ldm_status ldm_stats_write(const char *path, const ldm_stats *s, ldm_error *err);

/* LDM_ERR_USAGE where the two come from different encoders, or one from fewer than 2 pictures. */
LDM_API ldm_status ldm_stats_distance(const ldm_stats *a, const ldm_stats *b, double *out,
                                      ldm_error *err);

/* ---- timing ---------------------------------------------------------------------------------- */

/* Rows: ldm_setting_at(LDM_SETTINGS_BENCH, i): "rounds" (eps evaluations that are timed), "batch",
 * "layers" (every operation of the UNet), "machine" (what the machine can do at most; in the JSON
 * every operation as well), "steps" (whole pictures of so many steps; not set: none, with cache the
 * config's), "eta" and "cache" (of these; cache: also with it, and its error against without),
 * "seeds" (pictures; not set: 1, with cache 4), "shapes" (the kernels alone, on this file of
 * shapes; the rest is left out but for batch, threads, machine, and no model is opened), "shape",
 * "threads", "process_start". */
typedef struct ldm_bench_options ldm_bench_options;

LDM_API ldm_status ldm_bench_options_create(ldm_bench_options **out, ldm_error *err);
LDM_API void ldm_bench_options_free(ldm_bench_options *opt); /* NULL is fine */
/* As ldm_job_set and its like. */
LDM_API ldm_status ldm_bench_options_set(ldm_bench_options *opt, const char *key, const char *text,
                                         ldm_error *err);
LDM_API ldm_status ldm_bench_options_set_int(ldm_bench_options *opt, const char *key, int value,
                                             ldm_error *err);
LDM_API ldm_status ldm_bench_options_set_real(ldm_bench_options *opt, const char *key, double value,
                                              ldm_error *err);
LDM_API ldm_status ldm_bench_options_set_bool(ldm_bench_options *opt, const char *key, bool value,
                                              ldm_error *err);
LDM_API bool ldm_bench_options_is_set(const ldm_bench_options *opt, const char *key);
/* What the whole pictures show, and how they are made: the settings, arrays and pictures of a job.
 * "steps", "eta", "cache" and "seeds" of the options come before the job's, "batch" is 1; where the
 * job begins with pictures or is conditioned by them, they set the size. The job stays the caller's
 * and must outlive ldm_bench. NULL takes it away. */
LDM_API ldm_status ldm_bench_options_set_job(ldm_bench_options *opt, const ldm_job *job,
                                             ldm_error *err);

/* bopt NULL: the defaults. Opens the model itself, so that readiness is measured from the start of
 * the process. *text: tables for a terminal; *json: one object of ready_s, load_s, first_eps_s,
 * eps_s, eps_min_s, decode_s, picture_50_s (what a picture of 50 steps takes by these, with the
 * sampler and the guidance that the model's settings and the job's say), encode_s (null where the
 * checkpoint has no encoder), peak_rss_bytes (up to the decodes), weight_bytes, threads, isa, cpu,
 * precision, and where asked for "layers", "machine", "generation", "cache", "shapes". Where whole
 * pictures are made, "settings" are those of the first one as its recipe has them (but "class"
 * names the classes of all), "prompts" (where each has its own) is a list in the order of the
 * pictures, and "notes" are ldm_run_note's. Either may be NULL; ldm_release both. */
LDM_API ldm_status ldm_bench(const ldm_model_options *opt, const ldm_bench_options *bopt,
                             char **text, char **json, ldm_error *err);

#ifdef __cplusplus
}
#endif
#endif
