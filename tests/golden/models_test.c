/* SPDX-License-Identifier: MIT */
/* Parity with the original code on models with conditioning, one row a reference case: eps at every
 * t, the blocks, the conditioner's context and its layers, sampling with guidance, decoding of the
 * stored latents, encoding; and the whole way from a prompt to the latents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "golden.h"

enum { PATH_LEN = 1024, RUNS = 3, IMAGES = 3, PROMPTS = 2 };

/* How a run is conditioned. */
typedef enum given { BY_ARRAYS, BY_CLASSES, BY_IDS, BY_PROMPTS } given;

typedef struct model_run {
    const char *name; /* arrays NAME_z, NAME_noise; NULL ends the list */
    const char *sampler, *spacing;
    int steps;
    double eta, scale;
} model_run;

typedef struct model_case {
    const char *name;
    plain_ema ema;
    const char *eps;     /* reference of eps */
    const char *concat;  /* array to be concatenated, or NULL */
    bool context;        /* context.npy and context_uncond.npy */
    int blocks;          /* files of act/ */
    const char *ids;     /* what the conditioner takes, or NULL */
    const char *hidden;  /* what it makes of them */
    int layers;          /* files of text/ that are compared */
    double factor;       /* scale_factor */
    double latent;       /* bar of latents after sampling; 0: the variant's own */
    given given;         /* a second way to the same context; BY_ARRAYS: none */
    const char *classes; /* BY_CLASSES */
    const char *prompts[PROMPTS];
    model_run runs[RUNS];
    const char *images[IMAGES]; /* NAME_image and NAME_u8 of the stored NAME_z */
    const char *encode[2];      /* input, and the moments or latent that come out; or NULL */
} model_case;

#define MONSTER "a painting of a virus monster playing guitar"
#define CAFE "Caf\xc3\xa9 society, 1920s -- don't stop!  (35mm, f/1.8)"

static const model_case cases[] = {
    {.name = "class-cond",
     .eps = "eps",
     .context = true,
     .blocks = 14,
     .ids = "classes",
     .hidden = "context",
     .factor = 1,
     .given = BY_CLASSES,
     .classes = "0,4,9",
     .runs = {{"cfg20", "ddim", "compvis", 20, 0, 3},
              {"nocfg20", "ddim", "compvis", 20, 0, 1},
              {"plms20_cfg", "plms", "compvis", 20, 0, 3}},
     .images = {"cfg20"}},
    {.name = "text-bert",
     .eps = "eps",
     .context = true,
     .blocks = 14,
     .ids = "ids",
     .hidden = "context",
     .factor = 0.18215,
     .given = BY_IDS,
     .runs = {{"cfg20", "ddim", "compvis", 20, 0, 5}, {"plms20", "plms", "compvis", 20, 0, 5}},
     .images = {"cfg20"}},
    {.name = "inpaint",
     .ema = EMA_YES,
     .eps = "eps_ema",
     .concat = "cond",
     .blocks = 14,
     .factor = 1,
     .runs = {{"ddim20", "ddim", "compvis", 20, 0, 1}},
     .images = {"ddim20"}},
    {.name = "superres",
     .eps = "eps",
     .concat = "cond",
     .blocks = 18,
     .factor = 1,
     .runs = {{"ddim20", "ddim", "compvis", 20, 0, 1},
              {"ddim20_eta1", "ddim", "compvis", 20, 1, 1}},
     .images = {"ddim20"}},
    {.name = "sd1",
     .eps = "eps",
     .context = true,
     .blocks = 21,
     .ids = "text/ids",
     .hidden = "text/hidden",
     .layers = 4,
     .factor = 0.18215,
     .given = BY_PROMPTS,
     .prompts = {MONSTER, CAFE},
     .runs = {{"ddim20", "ddim", "compvis", 20, 0, 7.5},
              {"plms20", "plms", "compvis", 20, 0, 7.5},
              {"dpm15", "dpm-solver++", "linspace", 15, 0, 7.5}},
     .images = {"ddim20", "plms20", "dpm15"},
     .encode = {"init_u8", "encode_moments"}},
    {.name = "sd2",
     .eps = "eps",
     .context = true,
     .blocks = 21,
     .ids = "text/ids",
     .hidden = "text/hidden",
     .layers = 3,
     .factor = 0.18215,
     .latent = 2e-4,
     .given = BY_PROMPTS,
     .prompts = {MONSTER, CAFE},
     .runs = {{"ddim20", "ddim", "compvis", 20, 0, 9},
              {"plms20", "plms", "compvis", 20, 0, 9},
              {"dpm15", "dpm-solver++", "linspace", 15, 0, 9}},
     .images = {"ddim20", "dpm15"},
     .encode = {"init_u8", "encode_moments"}},
    {.name = "sd-inpaint",
     .eps = "eps",
     .concat = "c_concat",
     .context = true,
     .blocks = 12,
     .ids = "text/ids",
     .hidden = "text/hidden",
     .layers = 2,
     .factor = 0.18215,
     .given = BY_PROMPTS,
     .prompts = {MONSTER},
     .runs = {{"ddim20", "ddim", "compvis", 20, 0, 7.5},
              {"ddim20_eta1", "ddim", "compvis", 20, 1, 7.5}},
     .images = {"ddim20", "ddim20_eta1"},
     .encode = {"masked_image", "masked_moments"}},
};

enum { CASES = sizeof cases / sizeof cases[0] };

/* ---- one case ---------------------------------------------------------------------------------
 */

typedef struct opened {
    const model_case *c;
    const golden_variant *v;
    ldm_model *m;
    char folder[PATH_LEN];
    ldm_array x, context, uncond, concat; /* without data where the case has none */
} opened;

static opened open_case(const model_case *c, const golden_variant *v)
{
    opened o = {.c = c, .v = v};

    snprintf(o.folder, sizeof o.folder, "%s", golden_folder(c->name));
    o.m = golden_open(o.folder, "model.ckpt", o.folder, c->ema, v);
    o.x = golden_load(o.folder, "x_T.npy");
    if (c->context) {
        o.context = golden_load(o.folder, "context.npy");
        o.uncond = golden_load(o.folder, "context_uncond.npy");
    }
    if (c->concat)
        o.concat = golden_load(o.folder, "%s.npy", c->concat);
    return o;
}

static void close_case(opened *o)
{
    ldm_array_free(&o->x);
    ldm_array_free(&o->context);
    ldm_array_free(&o->uncond);
    ldm_array_free(&o->concat);
    ldm_model_close(o->m);
}

static plain_eval unet_of(const opened *o)
{
    return (plain_eval){.part = LDM_PART_UNET,
                        .in = &o->x,
                        .t = 500,
                        .context = o->context.data ? &o->context : NULL,
                        .concat = o->concat.data ? &o->concat : NULL};
}

static void unet(const opened *o)
{
    if (o->v->runs > 0) /* else the blocks say enough: the kernels of C are slow */
        golden_eps_of(o->m, o->folder, unet_of(o), o->c->eps, o->v->eps);
    /* The transformers inside of blocks are stored of Stable Diffusion alone. */
    assert_int_equal(golden_dumps(o->m, o->folder, "act", unet_of(o), NULL, "st_", o->v->eps),
                     o->c->blocks);
}

/* The whole batch of ids, then the layers of the first prompt. */
static void conditioner(const opened *o)
{
    static const char *const not_layers[] = {"ids.npy", "hidden.npy", NULL};
    ldm_array ids, want, got;
    plain_eval job = {.part = LDM_PART_COND, .in = &ids};

    if (!o->c->ids)
        return;
    ids = golden_load(o->folder, "%s.npy", o->c->ids);
    want = golden_load(o->folder, "%s.npy", o->c->hidden);
    got = golden_eval(o->m, &job);
    assert_int_equal(got.ndim, want.ndim);
    assert_memory_equal(got.shape, want.shape, sizeof *got.shape * (size_t)got.ndim);
    golden_near(o->c->hidden, got.data, want.data, want.numel, o->v->eps);
    ldm_array_free(&got);
    ldm_array_free(&want);
    if (o->c->layers) {
        job.part = LDM_PART_TEXT;
        /* Embeddings are dumped of every tower, and stored of one. */
        assert_int_equal(
            golden_dumps(o->m, o->folder, "text", job, not_layers, "embeddings", o->v->eps),
            o->c->layers);
    }
    ldm_array_free(&ids);
}

/* A stored picture of bytes [H,W,3] as the network takes it. */
static ldm_array picture_of(const opened *o, const char *name)
{
    ldm_array a = golden_load(o->folder, "%s.npy", name), out = {.ndim = 4};
    uint64_t hw, i, k;

    if (a.ndim == 4)
        return a;
    assert_int_equal(a.ndim, 3);
    hw = a.shape[0] * a.shape[1];
    out.shape[0] = 1;
    out.shape[1] = 3;
    out.shape[2] = a.shape[0];
    out.shape[3] = a.shape[1];
    out.numel = a.numel;
    out.data = malloc(out.numel * sizeof *out.data);
    assert_non_null(out.data);
    for (i = 0; i < hw; i++) {
        for (k = 0; k < 3; k++)
            out.data[k * hw + i] = 2 * a.data[i * 3 + k] / 255.0f - 1;
    }
    ldm_array_free(&a);
    return out;
}

static void first_stage(const opened *o)
{
    ldm_array in, want, got;
    const plain_eval job = {.part = LDM_PART_ENCODE, .in = &in};
    char file[64];
    int i;

    for (i = 0; i < (o->v->runs > 0 ? IMAGES : 1) && o->c->images[i]; i++) {
        snprintf(file, sizeof file, "%s_image.npy", o->c->images[i]);
        if (golden_has(o->folder, file)) /* of the others the bytes alone are stored */
            golden_decode(o->m, o->folder, o->c->images[i], o->c->factor);
    }
    if (!o->c->encode[0])
        return;
    in = picture_of(o, o->c->encode[0]);
    want = golden_load(o->folder, "%s.npy", o->c->encode[1]);
    got = golden_eval(o->m, &job);
    assert_int_equal(got.numel, want.numel);
    golden_near(o->c->encode[1], got.data, want.data, want.numel, o->v->eps);
    free(in.data);
    ldm_array_free(&want);
    ldm_array_free(&got);
}

/* ---- sampling -------------------------------------------------------------------------------- */

static double latent_bar(const opened *o)
{
    return o->c->latent > 0 ? o->c->latent : o->v->latent;
}

static void sample(const opened *o, const model_run *r, given by)
{
    ldm_array noise = {0}, ids = {0}, z;
    char file[64];
    plain_job job;

    plain_job_init(&job);
    job.sampler = r->sampler;
    job.timesteps = r->spacing;
    job.steps = r->steps;
    job.eta = r->eta > 0 ? r->eta : -1;
    job.scale = r->scale;
    job.concat = o->concat.data ? &o->concat : NULL;
    /* Token ids alone say nothing of an unconditional half. */
    if (by == BY_ARRAYS || by == BY_IDS)
        job.uncond_context = r->scale > 1 ? &o->uncond : NULL;
    if (by == BY_ARRAYS)
        job.context = o->context.data ? &o->context : NULL;
    if (by == BY_CLASSES)
        job.classes = o->c->classes;
    if (by == BY_IDS) {
        ids = golden_load(o->folder, "%s.npy", o->c->ids);
        job.ids = &ids;
    }
    if (by == BY_PROMPTS) {
        job.prompts = o->c->prompts;
        job.prompt_count = o->c->prompts[1] ? PROMPTS : 1;
    }
    snprintf(file, sizeof file, "%s_noise.npy", r->name);
    if (golden_has(o->folder, file)) {
        noise = golden_load(o->folder, "%s", file);
        job.noise = &noise;
    }
    z = golden_sample(o->m, o->folder, r->name, job, o->c->factor, latent_bar(o));
    ldm_array_free(&z);
    ldm_array_free(&ids);
    ldm_array_free(&noise);
}

static void model(const model_case *c, const golden_variant *v)
{
    opened o = open_case(c, v);
    const int runs = golden_slow_build() ? 0 : v->runs > 1 ? RUNS : v->runs;
    int i;

    unet(&o);
    conditioner(&o);
    first_stage(&o);
    for (i = 0; i < runs && c->runs[i].name; i++)
        sample(&o, &c->runs[i], BY_ARRAYS);
    if (runs == RUNS && (c->given == BY_CLASSES || c->given == BY_IDS))
        sample(&o, &c->runs[0], c->given);
    golden_report(v, c->name);
    close_case(&o);
}

static void models(void **state)
{
    const golden_variant *v = *state;
    size_t i;

    if (golden_slow_build())
        print_message("skipped: sampling runs (a build with sanitizers)\n");
    for (i = 0; i < CASES; i++)
        model(&cases[i], v);
}

/* From the prompts as typed: tokenizer, text encoder, guidance against the empty prompt. */
static void by_text(void **state)
{
    const golden_variant *v = *state;
    size_t i;

    if (access("build/vocab/bpe_simple_vocab_16e6.txt.gz", R_OK)) {
        print_message("skipped: no vocabulary (make vocab)\n");
        skip();
    }
    for (i = 0; i < CASES; i++) {
        opened o;

        if (cases[i].given != BY_PROMPTS)
            continue;
        o = open_case(&cases[i], v);
        sample(&o, &cases[i].runs[0], BY_PROMPTS);
        golden_report(v, cases[i].name);
        close_case(&o);
    }
}

/* The same noise and another prompt: another picture. A test that compares latents would not notice
 * a context that is ignored if it were the same everywhere. */
static void context_counts(void **state)
{
    opened o = open_case(&cases[4], *state);
    plain_eval job = unet_of(&o);
    ldm_array a = golden_eval(o.m, &job), b;

    assert_string_equal(o.c->name, "sd1");
    job.context = &o.uncond;
    b = golden_eval(o.m, &job);
    assert_true(golden_distance(a.data, b.data, a.numel) > 1e-2);
    ldm_array_free(&a);
    ldm_array_free(&b);
    close_case(&o);
}

/* A list of words that ends early would give the words other ids than the table's rows. */
static void vocabulary_that_is_cut_off(void **state)
{
    opened o = open_case(&cases[4], *state);
    ldm_error err = {.msg = ""};
    ldm_job *job;
    ldm_run *run;

    assert_int_equal(ldm_job_create(o.m, &job, &err), LDM_OK);
    assert_int_equal(ldm_job_set(job, "prompt", "a cat", &err), LDM_OK);
    assert_int_equal(ldm_job_set(job, "vocab", "tests/data/tokenize/merges.txt", &err), LDM_OK);
    assert_int_equal(ldm_run_create(o.m, job, &run, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "the text encoder's table 49408: it is cut off"));
    ldm_job_free(job);
    close_case(&o);
}

/* Stable Diffusion 1 at full size, where its checkpoint is at hand: eps with a random context, with
 * a prompt's, and that context. */
static void sd1_full(void **state)
{
    const golden_variant *v = *state;
    const char *ckpt = getenv("LDM_FULL_SD1_CKPT");
    char folder[PATH_LEN];
    ldm_array x, ids, context, want, got;
    plain_eval job = {.part = LDM_PART_UNET, .in = &x, .t = 500, .context = &context};
    static const char *const runs[][2] = {{"context_random", "eps_t500"},
                                          {"context", "eps_t500_prompt"}};
    ldm_model *m;
    int i;

    if (!ckpt || access(ckpt, R_OK) || golden_slow_build()) {
        print_message("skipped: sd1-full (LDM_FULL_SD1_CKPT names no checkpoint)\n");
        skip();
    }
    snprintf(folder, sizeof folder, "%s", golden_folder("sd1-full"));
    m = golden_open(NULL, ckpt, folder, EMA_NO, v);
    x = golden_load(folder, "x_T.npy");
    for (i = 0; i < 2; i++) {
        context = golden_load(folder, "%s.npy", runs[i][0]);
        want = golden_load(folder, "%s.npy", runs[i][1]);
        got = golden_eval(m, &job);
        golden_near(runs[i][1], got.data, want.data, want.numel, 5e-5);
        ldm_array_free(&got);
        ldm_array_free(&want);
        ldm_array_free(&context);
    }
    ids = golden_load(folder, "text/ids.npy");
    want = golden_load(folder, "context.npy");
    job = (plain_eval){.part = LDM_PART_TEXT, .in = &ids};
    got = golden_eval(m, &job);
    assert_int_equal(got.numel, want.numel);
    golden_near("context", got.data, want.data, want.numel, v->eps);
    golden_report(v, "sd1-full");
    ldm_array_free(&got);
    ldm_array_free(&want);
    ldm_array_free(&ids);
    ldm_array_free(&x);
    ldm_model_close(m);
}

int main(void)
{
    static struct CMUnitTest tests[GOLDEN_VARIANTS + 3];
    int k, n = 0;

    /* The last, "c, exact", differs from the one before in convolutions alone, which the other
     * programs run. */
    for (k = 0; k < GOLDEN_VARIANTS - 1; k++) {
        if (golden_variant_runs(k))
            tests[n++] = (struct CMUnitTest){golden_variants[k].name, models, NULL, NULL,
                                             (void *)(uintptr_t)&golden_variants[k]};
    }
    tests[n++] =
        (struct CMUnitTest){"by text", by_text, NULL, NULL, (void *)(uintptr_t)&golden_variants[0]};
    tests[n++] = (struct CMUnitTest){"the context counts", context_counts, NULL, NULL,
                                     (void *)(uintptr_t)&golden_variants[0]};
    tests[n++] = (struct CMUnitTest){"a vocabulary that is cut off", vocabulary_that_is_cut_off,
                                     NULL, NULL, (void *)(uintptr_t)&golden_variants[0]};
    tests[n] = (struct CMUnitTest){"sd1 at full size", sd1_full, NULL, NULL,
                                   (void *)(uintptr_t)&golden_variants[0]};
    return cmocka_run_group_tests_name("models", tests, NULL, NULL);
}
