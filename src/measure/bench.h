/* SPDX-License-Identifier: MIT */
/* Inside the room: what `ldm bench` measured. bench.c times the parts of a model, bench_layers.c
 * the operations of the UNet, bench_inputs.c makes its inputs, bench_run.c whole pictures,
 * bench_condition.c keeps what they show,
 * bench_bf16.c bf16 beside f32, bench_shapes.c the kernels alone; bench_stat.c has the statistics,
 * bench_report.c writes them down. */
#ifndef LDM_MEASURE_BENCH_H
#define LDM_MEASURE_BENCH_H

#include <jansson.h>

#include "base/str.h"
#include "engine/engine.h"

/* bench_stat.c. Median, least and greatest of a few values. */
typedef struct ldm_spread {
    double median, low, high;
} ldm_spread;

/* Sorts v; n is at least 1. */
ldm_spread ldm_spread_of(double *v, int n);
/* |got - want| / |want| */
double ldm_relative_l2(const float *got, const float *want, size_t n);
/* PSNR in dB over all bytes of two pictures of one size; infinite where they are the same. */
double ldm_bench_psnr(const ldm_result *exact, const ldm_result *other);

/* One operation of the UNet. Strings are the program's. */
typedef struct ldm_layer_time {
    const char *name, *op, *algorithm;
    int kernel, cin, c, h, w;
    double flop, bytes; /* the arithmetic and the memory traffic of one call: see ldm_step_info */
    double seconds;     /* smallest seen */
} ldm_layer_time;

/* One convolution of a file of shapes. */
typedef struct ldm_shape_time {
    ldm_conv_desc desc;
    int count;
    const char *algorithm; /* static */
    double flop, bytes, seconds;
} ldm_shape_time;

/* Precision bf16 beside f32: values of pairs on the same inputs; ratios are f32's time over bf16's.
 */
typedef struct ldm_bench_f32 {
    bool measured;
    ldm_spread eps_error, eps_ratio; /* error: relative L2 */
    double eps_s, bf16_eps_s;        /* medians */
    uint64_t weight_bytes;           /* of the UNet in f32 */
    int steps, seeds;                /* run, of the pictures */
    ldm_spread latent_error, psnr;
} ldm_bench_f32;

typedef struct ldm_bench_data {
    const ldm_bench_options *o;
    const ldm_model *m; /* with shapes: only cpu, backend and precision are set */
    ldm_pool *pool;
    int batch, rounds;

    /* Of a model. */
    int h, w; /* latent */
    double ready, first, decode_s;
    double encode_s; /* negative: the checkpoint has no encoder, see no_encoder */
    ldm_spread eps;
    uint64_t peak; /* resident bytes after loading, evaluations and decodes */
    ldm_error no_encoder;
    ldm_layer_time *layers;
    int layer_count;

    /* Of the first run of whole pictures; NULL: none was made. */
    json_t *settings; /* of its first picture, as the recipe has them; the class of all */
    json_t *prompts;  /* in the pictures' order; NULL: all have the same one, or none */
    json_t *notes;    /* what the run remarks */

    double usual_s;     /* what a picture of LDM_BENCH_USUAL_STEPS takes by the parts */
    ldm_guidance usual; /* of such a picture */

    /* Of whole pictures, one at a time; with o->steps or o->cache. */
    int steps_asked, steps_run, whole_steps; /* whole_steps: of steps_run, with the cache */
    double eta;
    ldm_guidance guidance;
    int seeds;            /* pictures; 0: none were timed */
    int image_w, image_h; /* of each */
    uint64_t first_seed;
    ldm_spread picture_s, step_s; /* without cache */
    ldm_spread cached_picture_s, cached_step_s, picture_ratio, step_ratio, latent_error, psnr;

    ldm_bench_f32 f32; /* at precision bf16 */

    /* Of the kernels alone; with o->shapes. */
    ldm_shape_time *shapes;
    int shape_count;

    double peak_flops, bandwidth; /* a second, with o->machine */
} ldm_bench_data;

/* bench_inputs.c: what an evaluation of the UNet is given: normal noise for the latent and for all
 * conditioning but labels, which are class 0; timestep 500. */
typedef struct ldm_bench_inputs {
    ldm_named_array arrays[LDM_MAX_INPUTS]; /* all that the graph takes, for n samples */
    float *owned[LDM_MAX_INPUTS];
    int count;
    float *x, *t; /* two of them */
    size_t x_floats;
} ldm_bench_inputs;

ldm_status ldm_bench_inputs_create(const ldm_model *m, int h, int w, int n, ldm_bench_inputs *out,
                                   ldm_error *err);
void ldm_bench_inputs_free(ldm_bench_inputs *in); /* a zeroed struct is fine */
/* What follows from the conditioning alone, computed once, as in a run. *out is NULL where there is
 * nothing. */
ldm_status ldm_bench_inputs_keep(const ldm_bench_inputs *in, const ldm_program *p, int n,
                                 ldm_pool *pool, float *arena, ldm_kept **out, ldm_error *err);
ldm_execution ldm_bench_execution(const ldm_bench_inputs *in, const ldm_kept *kept, float *out);

/* bench_layers.c: times every operation of `unet` in `rounds` evaluations like `run`. */
ldm_status ldm_bench_layers(ldm_bench_data *b, const ldm_program *unet, float *arena,
                            const ldm_execution *run, ldm_error *err);

enum { LDM_BENCH_USUAL_STEPS = 50 };

/* bench_run.c: sets usual_s and usual of what was timed. */
ldm_status ldm_bench_forecast(ldm_bench_data *b, ldm_error *err);

/* bench_run.c: whole pictures, and the same with the cache in turn. */
ldm_status ldm_bench_pictures(ldm_bench_data *b, ldm_error *err);

/* A job of m for such pictures, one at a time; cache above 1: with it. */
ldm_status ldm_bench_job(const ldm_bench_data *b, const ldm_model *m, int cache, ldm_job **out,
                         ldm_error *err);

/* Whether pictures are to be timed; at precision bf16 some are made in any case. */
bool ldm_bench_makes_pictures(const ldm_bench_data *b);
/* Refuses what the pictures cannot be made of, before anything is timed. */
ldm_status ldm_bench_check_job(const ldm_bench_data *b, ldm_error *err);
size_t ldm_bench_latent_floats(const ldm_run *run); /* of one picture */

/* bench_condition.c: keeps what the pictures of a run show, and its notes, unless an earlier run's
 * are kept. */
ldm_status ldm_bench_keep_condition(ldm_bench_data *b, const ldm_run *run, ldm_error *err);
void ldm_bench_free_condition(ldm_bench_data *b);
/* "prompt a red cat, scale 5": what the settings say of it, and how strong the guidance is. Appends
 * nothing where there is no condition. */
void ldm_bench_text_condition(const ldm_bench_data *b, ldm_str *out);

/* bench_bf16.c: opens the same model in f32 and sets b->f32. */
ldm_status ldm_bench_bf16(ldm_bench_data *b, const ldm_model_options *opt, ldm_error *err);

/* bench_shapes.c */
ldm_status ldm_bench_shapes(ldm_bench_data *b, ldm_error *err);

/* bench_report.c. Either may be NULL. */
ldm_status ldm_bench_report(const ldm_bench_data *b, char **text, char **json, ldm_error *err);

#endif
