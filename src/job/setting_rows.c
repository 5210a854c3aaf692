/* The rows; see settings.h. To add a setting: a field in job.h, a row here, and the code that obeys
 * the field. The command line, --help, the configuration, recipes, --like, --resume and the C
 * interface follow. */
#include "job/settings.h"

#include <string.h>

#include "job/job.h"
#include "sample/sampler.h"

/* Bounds that several rows share. A model's own limits (its timesteps, its channels) are checked
 * when a run is created. */
enum {
    MAX_STEPS = 100000,
    MAX_COUNT = 1000000,
    MAX_BATCH = 1024,
    MAX_THREADS = 1024,
    MAX_ROUNDS = 100000,
    MAX_SEEDS = 10000
};
#define MAX_ETA 100
#define MAX_T 1e6

static const char *sampler_name(size_t i)
{
    const ldm_sampler *s = ldm_sampler_at(i);

    return s ? s->name : NULL;
}

static const char *sampler_meant(const char *text)
{
    const ldm_sampler *s = ldm_sampler_find(text);

    return s ? s->name : NULL;
}

static const char *spacing_name(size_t i)
{
    return i < LDM_SPACING_COUNT ? ldm_spacing_name((ldm_spacing)i) : NULL;
}

static const char *spacing_meant(const char *text)
{
    ldm_spacing s;

    return ldm_spacing_parse(text, &s, NULL) ? NULL : ldm_spacing_name(s);
}

static const char *const conds[] = {"none", "zeros", NULL};
static const char *const precisions[] = {"f32", "exact", "bf16", "auto", NULL};

#define SAMPLING "Sampling"
#define MACHINE "Machine"
#define TIMING "Timing"
#define WHOLE "Whole pictures"
#define PIXELS LDM_SETTING_PIXELS
#define CONFIG LDM_SETTING_CONFIG
#define COMPUTE LDM_SETTING_COMPUTE
#define F(name) offsetof(struct ldm_job, name)

static const ldm_setting_row job_rows[] = {
    {"seed", LDM_TYPE_U64, PIXELS, SAMPLING, F(seed), .value = "42", .arg = "N",
     .help = "picture i has seed N + i; default 42"},
    {"sampler", LDM_TYPE_CHOICE, PIXELS | CONFIG, SAMPLING, F(sampler), .choice = sampler_name,
     .canonical = sampler_meant, .value = "ddim", .arg = "NAME",
     .help = "default ddim; other programs' names are known, too"},
    {"steps", LDM_TYPE_INT, PIXELS | CONFIG, SAMPLING, F(steps), 1, MAX_STEPS, .value = "50",
     .arg = "N", .help = "1 to the model's timesteps (1000); default 50"},
    {"timesteps", LDM_TYPE_CHOICE, PIXELS | CONFIG, SAMPLING, F(timesteps), .choice = spacing_name,
     .canonical = spacing_meant, .arg = "NAME",
     .help = "how they are spaced; default: the sampler's own, with\n"
             "ddim compvis; compvis and quad are the original's and\n"
             "may run another number than asked"},
    {"eta", LDM_TYPE_REAL, PIXELS | CONFIG, SAMPLING, F(eta), 0, MAX_ETA, .arg = "X",
     .help = "noise in the steps: 0 none, 1 as DDPM; default: the\n"
             "sampler's own, with ddim 0"},
    {"temperature", LDM_TYPE_REAL, PIXELS | CONFIG, SAMPLING, F(temperature), 0, 100, .value = "1",
     .arg = "X", .help = "factor on that noise; default 1"},
    {"scale", LDM_TYPE_REAL, PIXELS | CONFIG, SAMPLING, F(scale), -1000, 1000, .value = "1",
     .arg = "X", .help = "classifier-free guidance; default 1: none"},
    {"cond", LDM_TYPE_CHOICE, PIXELS | CONFIG, SAMPLING, F(cond), .choices = conds, .value = "none",
     .arg = "NAME", .help = "conditioning; default none"},
    {"cache", LDM_TYPE_INT, PIXELS | CONFIG, SAMPLING, F(cache), 1, MAX_STEPS, .value = "1",
     .lacking = "1", .arg = "N",
     .help = "evaluate the whole network every N-th step only, in\n"
             "between its outermost blocks with the deeper features\n"
             "of that step: faster, other pictures; default 1: off.\n"
             "`ldm bench --cache N` measures speed and error"},
    {"quantize", LDM_TYPE_BOOL, PIXELS, SAMPLING, F(quantize), .value = "true",
     .help = "decode through the codebook", .help_no = "decode without the codebook"},
    {"quantize_x0", LDM_TYPE_BOOL, PIXELS, SAMPLING, F(quantize_x0), .value = "false",
     .help = "put the predicted x0 through the codebook in each step"},
    {"whole_timesteps", LDM_TYPE_BOOL, PIXELS | CONFIG, SAMPLING, F(whole_timesteps),
     .value = "false", .lacking = "false",
     .help = "round the fractional timesteps of k-diffusion's\n"
             "samplers (its `quantize`)"},
    {"zero_snr", LDM_TYPE_BOOL, PIXELS | CONFIG, SAMPLING, F(zero_snr), .value = "false",
     .lacking = "false", .help = "rescale the noise schedule to end without signal"},
    {"shape", LDM_TYPE_SHAPE, PIXELS, SAMPLING, F(shape), 1, 65536, .arg = "C,H,W",
     .help = "latent shape; default: the config's"},
    {"count", LDM_TYPE_INT, 0, SAMPLING, F(count), 1, MAX_COUNT, .value = "1", .letter = 'n',
     .arg = "N", .help = "pictures; default 1"},
    {"batch", LDM_TYPE_INT, COMPUTE, MACHINE, F(batch), 1, MAX_BATCH, .arg = "N",
     .help = "pictures computed together; default: chosen"},
    {"threads", LDM_TYPE_INT, COMPUTE, MACHINE, F(threads), 1, MAX_THREADS, .arg = "N",
     .help = "default: all processors"},
    {"max_memory", LDM_TYPE_BYTES, COMPUTE, MACHINE, F(max_memory), .arg = "SIZE",
     .help = "give up rather than take more, e.g. 500M or 2G"},
};

#undef F
#define F(name) offsetof(struct ldm_model_options, name)

static const ldm_setting_row model_rows[] = {
    {"ckpt", LDM_TYPE_TEXT, PIXELS, "Model", F(ckpt), .arg = "FILE",
     .help = "CompVis checkpoint (PyTorch or safetensors);\n"
             "default: the shipped model"},
    {"config", LDM_TYPE_LIST, PIXELS, "Model", F(configs), .arg = "FILE",
     .help = "its YAML; repeatable, later files are laid over\n"
             "earlier ones"},
    {"set", LDM_TYPE_LIST, PIXELS, "Model", F(sets), .arg = "KEY=VALUE",
     .help = "change one value of the config, e.g.\n"
             "model.params.scale_factor=0.18215; repeatable"},
    {"ema", LDM_TYPE_BOOL, PIXELS, "Model", F(ema),
     .help = "use the averaged (EMA) weights; default where the\n"
             "config's use_ema allows it and the file has them",
     .help_no = "use the raw weights"},
    {"threads", LDM_TYPE_INT, COMPUTE, MACHINE, F(threads), 1, MAX_THREADS, .arg = "N",
     .help = "default: all processors"},
    {"max_memory", LDM_TYPE_BYTES, COMPUTE, MACHINE, F(max_memory), .arg = "SIZE",
     .help = "give up rather than take more, e.g. 500M or 2G"},
    {"precision", LDM_TYPE_CHOICE, PIXELS, MACHINE, F(precision), .choices = precisions,
     .value = "f32", .arg = "NAME",
     .help = "of the arithmetic; default f32. auto: the fastest that\n"
             "this CPU and build have"},
    {"max_isa", LDM_TYPE_TEXT, COMPUTE, "", F(max_isa), .arg = "NAME",
     .help = "instructions to use at most: c, avx2, avx512; default: the best"},
    {"config_text", LDM_TYPE_TEXT, PIXELS, "", F(config_text), .arg = "YAML",
     .help = "YAML as the first layer, in the place of the shipped model's own"},
    {"config_name", LDM_TYPE_TEXT, 0, "", F(config_name), .value = "recipe", .arg = "NAME",
     .help = "what messages call that text"},
    {"dry_run", LDM_TYPE_BOOL, 0, "", F(dry_run), .value = "false",
     .help = "read and check everything but the weights"},
};

#undef F
#define F(name) offsetof(struct ldm_eval_job, name)

static const ldm_setting_row eval_rows[] = {
    {"t", LDM_TYPE_REAL, PIXELS, "Evaluation", F(t), 0, MAX_T, .arg = "T",
     .help = "timestep, for unet (0 to 999 in training)"},
    {"quantize", LDM_TYPE_BOOL, PIXELS, "Evaluation", F(quantize), .value = "true",
     .help = "decode: through the codebook", .help_no = "decode: without the codebook"},
    {"mean", LDM_TYPE_BOOL, PIXELS, "Evaluation", F(mean), .value = "false",
     .help = "encode with a KL first stage: the latent at the\n"
             "mean, with the scale factor, not the moments"},
    {"sample", LDM_TYPE_BOOL, PIXELS, "Evaluation", F(sample), .value = "false",
     .help = "the same: a sampled latent"},
    {"seed", LDM_TYPE_U64, PIXELS, "Evaluation", F(seed), .value = "42", .arg = "N",
     .help = "of the noise of --sample: sample i has seed N + i;\ndefault 42"},
    {"dump", LDM_TYPE_TEXT, 0, "Evaluation", F(dump), .arg = "DIR",
     .help = "write every block's output there as .npy"},
    {"threads", LDM_TYPE_INT, COMPUTE, MACHINE, F(threads), 1, MAX_THREADS, .arg = "N",
     .help = "default: all processors"},
};

#undef F
#define F(name) offsetof(struct ldm_bench_options, name)

static const ldm_setting_row bench_rows[] = {
    {"rounds", LDM_TYPE_INT, 0, TIMING, F(rounds), 1, MAX_ROUNDS, .value = "5", .arg = "N",
     .help = "evaluations of the UNet to take the median of; default 5"},
    {"batch", LDM_TYPE_INT, COMPUTE, TIMING, F(batch), 1, MAX_BATCH, .value = "1", .arg = "N",
     .help = "pictures per evaluation; default 1"},
    {"layers", LDM_TYPE_BOOL, 0, TIMING, F(layers), .value = "false",
     .help = "a table of every operation"},
    {"shapes", LDM_TYPE_TEXT, 0, TIMING, F(shapes), .arg = "FILE",
     .help = "the kernels alone, on a list of convolutions as\n"
             "`ldm inspect --shapes` writes it; needs no model"},
    {"steps", LDM_TYPE_INT, PIXELS, WHOLE, F(steps), 1, MAX_STEPS, .arg = "N",
     .help = "time a picture of N DDIM steps; with --cache the\n"
             "default is the config's, or 50"},
    {"cache", LDM_TYPE_INT, PIXELS, WHOLE, F(cache), 2, MAX_STEPS, .arg = "N",
     .help = "make the pictures with `ldm generate --cache N` as\n"
             "well, in turn: speed, and error against without"},
    {"eta", LDM_TYPE_REAL, PIXELS, WHOLE, F(eta), 0, MAX_ETA, .arg = "X",
     .help = "noise in their steps; default: the config's, or 0"},
    {"seeds", LDM_TYPE_INT, 0, WHOLE, F(seeds), 1, MAX_SEEDS, .arg = "N",
     .help = "so many pictures, one at a time; default 1, with\n"
             "--cache 4"},
    {"threads", LDM_TYPE_INT, COMPUTE, MACHINE, F(threads), 1, MAX_THREADS, .arg = "N",
     .help = "default: all processors"},
    {"shape", LDM_TYPE_SHAPE, PIXELS, "", F(shape), 1, 65536, .arg = "C,H,W",
     .help = "latent shape; default: the config's"},
    {"machine", LDM_TYPE_BOOL, 0, "", F(machine), .value = "false",
     .help = "what the machine can do at most: multiply-adds, reading from memory"},
    {"process_start", LDM_TYPE_REAL, 0, "", F(process_start), 0, 1e18, .value = "0", .arg = "S",
     .help = "CLOCK_MONOTONIC seconds at the start of the process"},
};

#undef F

#define TABLE(rows, what)                                                                          \
    {                                                                                              \
        rows, sizeof rows / sizeof rows[0], what                                                   \
    }
static const ldm_table tables[] = {
    [LDM_SETTINGS_MODEL] = TABLE(model_rows, "a model"),
    [LDM_SETTINGS_JOB] = TABLE(job_rows, "a job"),
    [LDM_SETTINGS_EVAL] = TABLE(eval_rows, "an evaluation"),
    [LDM_SETTINGS_BENCH] = TABLE(bench_rows, "a benchmark"),
};

/* ldm_options.given has a bit for every row. */
_Static_assert(sizeof job_rows / sizeof job_rows[0] <= 64, "more rows than bits");

const ldm_table *ldm_table_of(ldm_setting_kind kind)
{
    return (size_t)kind < sizeof tables / sizeof tables[0] ? &tables[kind] : NULL;
}

/* ---- listing --------------------------------------------------------------------------------- */

size_t ldm_setting_count(ldm_setting_kind kind)
{
    const ldm_table *t = ldm_table_of(kind);

    return t ? t->count : 0;
}

const ldm_setting_row *ldm_setting_at(ldm_setting_kind kind, size_t i)
{
    const ldm_table *t = ldm_table_of(kind);

    return t && i < t->count ? &t->rows[i] : NULL;
}

const ldm_setting_row *ldm_setting_find(ldm_setting_kind kind, const char *key)
{
    const ldm_table *t = ldm_table_of(kind);
    size_t i;

    for (i = 0; t && key && i < t->count; i++) {
        if (strcmp(t->rows[i].key, key) == 0)
            return &t->rows[i];
    }
    return NULL;
}

const char *ldm_setting_key(const ldm_setting_row *s)
{
    return s ? s->key : NULL;
}

ldm_setting_type ldm_setting_get_type(const ldm_setting_row *s)
{
    return s ? s->type : LDM_TYPE_TEXT;
}

unsigned ldm_setting_flags(const ldm_setting_row *s)
{
    return s ? s->flags : 0;
}

const char *ldm_setting_group(const ldm_setting_row *s)
{
    return s ? s->group : NULL;
}

double ldm_setting_min(const ldm_setting_row *s)
{
    return s ? s->min : 0;
}

double ldm_setting_max(const ldm_setting_row *s)
{
    return s ? s->max : 0;
}

const char *ldm_setting_choice(const ldm_setting_row *s, size_t i)
{
    size_t k;

    if (!s || s->type != LDM_TYPE_CHOICE)
        return NULL;
    if (s->choice)
        return s->choice(i);
    for (k = 0; k < i && s->choices[k]; k++)
        ;
    return s->choices[k];
}

const char *ldm_setting_default(const ldm_setting_row *s)
{
    return s ? s->value : NULL;
}

const char *ldm_setting_lacking(const ldm_setting_row *s)
{
    return s ? s->lacking : NULL;
}

char ldm_setting_letter(const ldm_setting_row *s)
{
    return s ? s->letter : '\0';
}

const char *ldm_setting_arg(const ldm_setting_row *s)
{
    return s ? s->arg : NULL;
}

const char *ldm_setting_help(const ldm_setting_row *s)
{
    return s ? s->help : NULL;
}

const char *ldm_setting_help_no(const ldm_setting_row *s)
{
    return s ? s->help_no : NULL;
}
