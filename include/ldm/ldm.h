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
 * Rules that hold for every call: fallible calls return ldm_status and take `ldm_error *err` last,
 * which may be NULL; on failure out-parameters are left NULL or zeroed and nothing is to be freed;
 * strings are UTF-8; memory that a call hands over is released with the call named beside it. */
#ifndef LDM_LDM_H
#define LDM_LDM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ldm/error.h>

#ifdef __cplusplus
extern "C" {
#endif

LDM_API const char *ldm_version(void);

/* Releases a string or array that ldm handed over. NULL is fine. */
LDM_API void ldm_release(void *p);

/* A file that comes with ldm, by its name in the source tree ("configs/study/approach1.yaml",
 * "models/demo/config.yaml"), wherever the program was built or installed. ldm_release it. */
LDM_API ldm_status ldm_shipped_path(const char *name, char **path, ldm_error *err);

/* ---- models ---------------------------------------------------------------------------------- */

typedef struct ldm_model ldm_model;

typedef enum ldm_tristate { LDM_NO = 0, LDM_YES = 1, LDM_AUTO = -1 } ldm_tristate;

/* A zeroed struct with ldm_model_options_init() is the shipped default model with its own config.
 */
typedef struct ldm_model_options {
    const char *ckpt;           /* NULL: the shipped default model */
    const char *const *configs; /* YAML files, later ones laid over earlier ones. Without ckpt the
                                   first layer is the shipped model's own config */
    size_t config_count;
    const char *config_text; /* YAML text as the first layer (a recipe's merged config), in the
                                place of the shipped model's own; NULL: none */
    const char *config_name; /* what messages call that text; NULL: "recipe" */
    const char *const *sets; /* OmegaConf dot-list assignments, after the files */
    size_t set_count;
    ldm_tristate ema;      /* AUTO: EMA when the config's use_ema allows it and the file has it */
    int threads;           /* for loading; 0: as many as processors may be used */
    const char *max_isa;   /* "c", "avx2", "avx512"; NULL: the best there is */
    const char *precision; /* "exact", "f32", "bf16", "auto" (the fastest of these that this
                              build and processor have, told in a note); NULL: "f32" */
    uint64_t max_memory;   /* bytes that this process may take; 0: no limit */
    bool dry_run;          /* reads and checks everything but the weights: runs can be created
                              for their info (memory, FLOP, time) and not sampled */
} ldm_model_options;

LDM_API void ldm_model_options_init(ldm_model_options *opt);

/* Opens, checks and packs. The checkpoint stays mapped, and weights are read from it as long as the
 * model is open: replace the file by renaming another, don't write to it (a run or an evaluation
 * that finds it changed gives LDM_ERR_IO). LDM_ERR_MISMATCH when a tensor that the run would use is
 * missing or has another shape; the message names the first and says how many. */
LDM_API ldm_status ldm_model_open(const ldm_model_options *opt, ldm_model **out, ldm_error *err);
LDM_API void ldm_model_close(ldm_model *m);

/* Facts for people and programs; strings live as long as the model. */
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
    bool codebook;            /* the first stage quantises latents (VQ) */
    bool posterior;           /* its encoder gives the moments of latents (KL) */
    int timesteps;            /* of training (1000) */
    bool guidance_has_effect; /* false where conditional and unconditional eps are the same */
    uint64_t weight_bytes;    /* of the packed weights */
    double load_seconds;
} ldm_model_info;
LDM_API void ldm_model_get_info(const ldm_model *m, ldm_model_info *out);

/* The checkpoint's SHA-256 as 64 hex digits; reads the whole file on the first call. *hex lives as
 * long as the model. */
LDM_API ldm_status ldm_model_hash(const ldm_model *m, const char **hex, ldm_error *err);

/* Warnings and notes of loading (weights initialised, settings without effect...), one line each.
 */
LDM_API size_t ldm_model_note_count(const ldm_model *m);
LDM_API const char *ldm_model_note(const ldm_model *m, size_t i);

/* ---- reports --------------------------------------------------------------------------------- */

typedef struct ldm_report_options {
    bool json;   /* one JSON object; else text for a terminal */
    bool all;    /* every name, not the first 10 */
    bool values; /* check: read the weights too; checksums, NaN and infinity */
    bool keys;   /* inspect: the list of names */
    bool shapes; /* inspect: the layer shapes of the network that a YAML describes */
    bool colour; /* text: ANSI colours */
} ldm_report_options;

/* Configuration against checkpoint. *fits is false if a tensor that the run would use is missing or
 * has another shape. *report: ldm_release it; there is one with LDM_ERR_NUMERIC, too, which says
 * that tensors of the model hold NaN or infinity (values), else NULL on failure. */
LDM_API ldm_status ldm_check(const ldm_model_options *opt, const ldm_report_options *ropt,
                             char **report, bool *fits, ldm_error *err);

/* What is in a checkpoint or a YAML file, without loading weights. */
LDM_API ldm_status ldm_inspect(const char *path, const ldm_report_options *ropt, char **report,
                               ldm_error *err);

/* Where the configurations of a and b differ, laid over each other as ldm_model_open does: a JSON
 * array of {"key": dotted path, "a": value, "b": value}, in the order of a's keys, then b's; "a" or
 * "b" is absent where only the other one has the key. Maps that both have are descended into, but
 * for those whose names hold dots; all else is one value. Opens no checkpoint. ldm_release it. */
LDM_API ldm_status ldm_config_difference(const ldm_model_options *a, const ldm_model_options *b,
                                         char **json, ldm_error *err);

/* ---- sampling -------------------------------------------------------------------------------- */

/* A C-order array of float32. ldm_array_free releases data and zeroes the struct. */
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
LDM_API void ldm_array_free(ldm_array *a);

typedef struct ldm_progress {
    int step, step_count; /* 1-based within this batch; step 0: the first is about to begin */
    int timestep;
    int first_image, images_in_batch, image_count;
    const char *stage; /* "sampling" or "decoding" */
} ldm_progress;

typedef struct ldm_job {
    int steps;             /* 1 .. the model's timesteps */
    const char *timesteps; /* "compvis", "quad", "leading", "trailing", "linspace" */
    double eta, temperature;
    double scale;     /* guidance scale; 1: none */
    const char *cond; /* "none" or "zeros" */
    uint64_t seed;    /* picture i has seed + i and a noise stream of its own */
    int cache;        /* 1: every step evaluates the whole network. N: every N-th step does,
                         the others take the features of its deeper blocks as they were in the
                         last whole one and evaluate the outermost blocks alone: faster, and
                         not the same pictures */
    int count;        /* pictures */
    int batch;        /* pictures computed together; 0: chosen */
    int latent_c, latent_h, latent_w; /* 0: the config's */
    bool quantize; /* decode through the codebook (VQ); true is CompVis' default */
    bool quantize_x0;
    const ldm_array *x_t;   /* start noise [N,C,H,W]; sets count and shape; NULL: from the seed */
    const ldm_array *noise; /* [S,N,C,H,W] of each step really run, in the order drawn; or NULL */
    const ldm_array *mask;  /* [1 or N,1 or C,H,W], 1 keeps x0; with x0 */
    const ldm_array *x0;    /* [1 or N,C,H,W] */
    int threads;            /* 0: as many as processors may be used */
    uint64_t max_memory;    /* bytes for the whole process; 0: no limit */
    bool (*skip)(void *ctx, int index); /* true: picture `index` is not wanted; may be NULL */
    int (*progress)(void *ctx, const ldm_progress *p); /* after each step, and between the
                                operations of a decode; nonzero cancels there; may be NULL */
    void *ctx;
} ldm_job;

/* CompVis' sample_diffusion.py defaults where it has any: 50 steps, eta 1 becomes the study's 0,
 * scale 1, cond none, no cache (1), seed 42, one picture. */
LDM_API void ldm_job_init(ldm_job *job);

/* The same, with what the configuration's `ldm: sampling:` section says laid over it. Strings are
 * the model's. */
LDM_API void ldm_model_init_job(const ldm_model *m, ldm_job *job);

typedef struct ldm_run ldm_run;

/* job is copied, its strings too; the arrays in it stay the caller's and must outlive the run. */
LDM_API ldm_status ldm_run_create(const ldm_model *m, const ldm_job *job, ldm_run **out,
                                  ldm_error *err);
LDM_API void ldm_run_free(ldm_run *r);

typedef struct ldm_run_info {
    int steps_asked, steps_run;
    const int *timesteps; /* [steps_run], in the order sampled (largest first) */
    int count, batch;
    int latent_c, latent_h, latent_w, image_h, image_w;
    int image_c; /* channels of a picture: 3 RGB, 1 grey; others have no RGB form */
    int threads;
    bool noise_used; /* eta > 0 or a mask: random numbers are drawn in the steps */
    uint64_t memory_weights, memory_activations, memory_total; /* bytes */
    double flop_per_eps, flop_decode; /* floating point operations, per picture */
    double eps_evaluations;           /* of the whole network, of the whole run, per picture */
    double flop_shallow, shallow_evaluations; /* the same of its outermost blocks alone (cache) */
    double estimated_seconds;                 /* of the whole run, in a dry run; else 0 */
} ldm_run_info;
LDM_API void ldm_run_get_info(const ldm_run *r, ldm_run_info *out);
/* What the program should tell the user about this run: "150 steps asked, 167 run: ...", "guidance
 * has no effect: ...". One line each. */
LDM_API size_t ldm_run_note_count(const ldm_run *r);
LDM_API const char *ldm_run_note(const ldm_run *r, size_t i);

/* One finished picture. Pointers are the run's and hold until the next call on it. */
typedef struct ldm_result {
    int index; /* 0 .. count - 1 */
    uint64_t seed;
    const float *latent; /* [C,H,W] */
    const float *image;  /* [channels,height,width], -1..1, not clamped */
    const uint8_t *rgb;  /* [height,width,3]; grey as three equal channels; NULL where a picture has
                            other channels than 1 or 3 */
    int channels, width, height;
    ldm_status status; /* LDM_ERR_NUMERIC: this picture failed (message in err of ldm_run_next);
                          the pointers are NULL, the others go on */
} ldm_result;

/* The next picture in order; computes a batch when none is waiting. *have is false after the last.
 * After LDM_ERR_CANCELLED the run is as before the call, but for time: a further call samples the
 * same batch from its first step, or decodes the same picture again, with the same results. */
LDM_API ldm_status ldm_run_next(ldm_run *r, ldm_result *out, bool *have, ldm_error *err);

/* The recipe of one picture: a JSON object with everything needed to repeat it:
 *   "ldm" version, "checkpoint" {"name", "sha256", "default": true for the shipped model}, "config"
 *   (the merged YAML as text), "weights" ("EMA" or "raw"), "precision", "seed" (a string above
 *   2^63 - 1), "index", "sampler" ("ddim"), "steps" (asked), "timesteps" (the spacing's name),
 * "eta", "temperature", "scale", "cond", "cache", "quantize", "quantize_x0", "shape" [C,H,W]. Waits
 * for the hash, which is computed beside the sampling. ldm_release it. */
LDM_API ldm_status ldm_run_recipe(ldm_run *r, const ldm_result *res, char **json, ldm_error *err);

/* ---- parts of the network, for debugging -------------------------------------------------------
 */

typedef enum ldm_part {
    LDM_PART_UNET,   /* in: x [N,C,H,W], t; out: eps */
    LDM_PART_ENCODE, /* in: image [N,channels,h,w] in -1..1; out: latent before quantisation, or
                        what ldm_encode_output asks for */
    LDM_PART_DECODE, /* in: z [N,C,H,W] with the scale factor; out: image */
    LDM_PART_QUANTIZE, /* in: latent without scale factor; out: what goes to post_quant_conv */
    LDM_PART_INDICES   /* the same; out: codebook indices [N,H,W] */
} ldm_part;

/* What ENCODE gives where the first stage's encoder gives moments (AutoencoderKL). */
typedef enum ldm_encode_output {
    LDM_ENCODE_PLAIN, /* the encoder's output, without the scale factor: moments [N,2C,H,W], means, then log variances; of a
                          first stage without them the latent */
    /* The next two are latents [N,C,H,W] with the scale factor, as the UNet and DECODE take them. */
    LDM_ENCODE_MEAN,  /* the means */
    LDM_ENCODE_SAMPLE /* means + standard deviations * noise; log variances count as -30 to 20 */
} ldm_encode_output;

typedef struct ldm_eval_job {
    ldm_part part;
    const ldm_array *in;
    const ldm_array *context; /* passed to the network as CompVis would; may be NULL */
    double t;                 /* timestep, for the UNet */
    bool quantize;            /* decode: through the codebook, if there is one */
    ldm_encode_output encode; /* encode; LDM_ERR_USAGE for MEAN and SAMPLE without a posterior */
    const ldm_array *noise;   /* SAMPLE: [N,C,H,W]; NULL: of the seeds */
    uint64_t seed;            /* SAMPLE: sample i has seed + i */
    int threads;
    const char *dump_dir; /* every block's output as .npy ("input_blocks_00.npy", ...); or NULL */
} ldm_eval_job;

/* out: fresh array, ldm_array_free. Indices come as floats (exact below 2^24). */
LDM_API ldm_status ldm_eval(const ldm_model *m, const ldm_eval_job *job, ldm_array *out,
                            ldm_error *err);

/* ---- pictures -------------------------------------------------------------------------------- */

typedef struct ldm_image {
    int width, height;
    uint8_t *rgb; /* [height][width][3]; ldm_release */
} ldm_image;

LDM_API ldm_status ldm_image_read(const char *path, ldm_image *out, ldm_error *err); /* PNG */
/* Atomic. recipe: JSON of ldm_run_recipe for the PNG's text chunks, or NULL. */
LDM_API ldm_status ldm_image_write(const char *path, const ldm_image *im, const char *recipe,
                                   ldm_error *err);
/* The recipe in a PNG that ldm wrote; LDM_ERR_FORMAT where there is none. ldm_release it. */
LDM_API ldm_status ldm_image_read_recipe(const char *path, char **json, ldm_error *err);
/* A contact sheet of equal pictures; columns 0: as square as it gets. ldm_release(out->rgb). */
LDM_API ldm_status ldm_image_grid(const ldm_image *ims, size_t count, size_t columns,
                                  ldm_image *out, ldm_error *err);
/* arr_0 [N,H,W,3] u8, the .npz that the ADM evaluation and FID tools read. */
LDM_API ldm_status ldm_image_write_npz(const char *path, const ldm_image *ims, size_t count,
                                       ldm_error *err);

/* The study's figures of one picture; docs/METRICS.md has formulas and sources. */
typedef struct ldm_image_metrics {
    double brightness, contrast, mean_r, mean_g, mean_b, colour_coherence;
    bool skin_like;
    const char *colour_grade; /* "excellent", "fair", "poor"; static */
    const char *verdict;      /* the study's sentence; static */
} ldm_image_metrics;
LDM_API void ldm_image_measure(const ldm_image *im, ldm_image_metrics *out);

/* A PNG as one picture, or .npy or .npz pictures [N,H,W,3] of values 0 to 255 (the first array of
 * an .npz that has such a shape). ldm_images_free. */
LDM_API ldm_status ldm_images_read(const char *path, ldm_image **out, size_t *count,
                                   ldm_error *err);
LDM_API void ldm_images_free(ldm_image *ims, size_t count);

/* ---- faces ----------------------------------------------------------------------------------- */

/* A detector of frontal faces that nobody trained on the pictures it judges: OpenCV's Haar cascade
 * haarcascade_frontalface_alt2.xml (Debian package opencv-data), which is found at run time.
 * docs/METRICS.md has its settings. Immutable: threads may share one. */
typedef struct ldm_face_judge ldm_face_judge;

/* cascade: its XML; NULL: where distributions put it. LDM_ERR_IO says how to install it. */
LDM_API ldm_status ldm_face_judge_open(const char *cascade, ldm_face_judge **out, ldm_error *err);
LDM_API void ldm_face_judge_close(ldm_face_judge *j); /* NULL is fine */

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

typedef struct ldm_bench_options {
    int rounds; /* eps evaluations that are timed; 0: 5 */
    int batch;  /* 0: 1 */
    int threads;
    int latent_h, latent_w; /* 0: the config's */
    bool layers;            /* every operation of the UNet */
    bool machine;           /* what the machine can do at most: multiply-adds, reading from memory;
                               in the JSON every operation as well */
    int steps;              /* whole pictures of so many steps; 0: none, with cache the config's */
    double eta;             /* of these; negative: the config's */
    int cache;              /* above 1: also with ldm_job.cache, its error against without */
    int seeds;              /* pictures; 0: 1, with cache 4 */
    const char *shapes;     /* the kernels alone, on this file of shapes (bench/shapes); the rest is
                               left out but for batch, threads, machine, and no model is opened */
    double process_start;   /* CLOCK_MONOTONIC seconds at the start of main */
} ldm_bench_options;

/* Opens the model itself, so that readiness is measured from the start of the process. *text:
 * tables for a terminal; *json: one object of ready_s, load_s, first_eps_s, eps_s, eps_min_s,
 * decode_s, encode_s (null where the checkpoint has no encoder), peak_rss_bytes (up to the
 * decodes), weight_bytes, threads, isa, cpu, precision, and where asked for "layers", "machine",
 * "generation", "cache", "shapes". Either may be NULL; ldm_release both. */
LDM_API ldm_status ldm_bench(const ldm_model_options *opt, const ldm_bench_options *bopt,
                             char **text, char **json, ldm_error *err);

#ifdef __cplusplus
}
#endif
#endif
