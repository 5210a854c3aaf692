/* ldm eval: one part of the network on the user's own arrays, for debugging and for the parity
 * tests: .npy in, .npy out, and every block's output on request. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/opts.h"

typedef struct options {
    ldm_model_opts model;
    const char *part, *in, *context, *noise, *out, *dump;
    double t;
    uint64_t seed;
    bool quantize, mean, sample, json;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_HEADING, .name = "Evaluation"},
    {.type = LDM_OPT_CHOICE,
     .name = "part",
     .arg = "PART",
     .choices = "unet|encode|decode|quantize|indices",
     .field = offsetof(options, part),
     .help = "what to run"},
    {.type = LDM_OPT_TEXT,
     .name = "in",
     .arg = "FILE.npy",
     .field = offsetof(options, in),
     .help = "the input, [N,C,H,W]"},
    {.type = LDM_OPT_REAL,
     .name = "t",
     .arg = "T",
     .min = 0,
     .max = 1e6,
     .field = offsetof(options, t),
     .help = "timestep, for unet (0 to 999 in training)"},
    {.type = LDM_OPT_TEXT,
     .name = "context",
     .arg = "FILE.npy",
     .field = offsetof(options, context),
     .help = "conditioning passed to unet, as CompVis would pass it"},
    {.type = LDM_OPT_UNFLAG,
     .name = "no-quantize",
     .field = offsetof(options, quantize),
     .help = "decode: without the codebook"},
    {.type = LDM_OPT_FLAG,
     .name = "mean",
     .field = offsetof(options, mean),
     .help = "encode with a KL first stage: the latent at the mean,\nwith the scale factor, not "
             "the moments"},
    {.type = LDM_OPT_FLAG,
     .name = "sample",
     .field = offsetof(options, sample),
     .help =
         "encode with a KL first stage: a sampled latent, with the\nscale factor, not the moments"},
    {.type = LDM_OPT_TEXT,
     .name = "noise",
     .arg = "FILE.npy",
     .field = offsetof(options, noise),
     .help = "the sample's noise, [N,C,H,W] (implies --sample)"},
    {.type = LDM_OPT_U64,
     .name = "seed",
     .arg = "N",
     .field = offsetof(options, seed),
     .help = "of the sample's noise: sample i has seed N + i; default 42"},
    {.type = LDM_OPT_TEXT,
     .letter = 'o',
     .name = "out",
     .arg = "FILE.npy",
     .field = offsetof(options, out),
     .help = "the output; float32, indices int64"},
    {.type = LDM_OPT_TEXT,
     .name = "dump",
     .arg = "DIR",
     .field = offsetof(options, dump),
     .help = "write every block's output there as .npy"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "a JSON object about the output instead of text"},
    LDM_ROW_THREADS(options),
    LDM_ROW_MAX_MEMORY(options),
    LDM_ROWS_MODEL(options),
    LDM_ROW_PRECISION(options),
};

static const struct {
    const char *name;
    ldm_part part;
} parts[] = {
    {"unet", LDM_PART_UNET},         {"encode", LDM_PART_ENCODE},   {"decode", LDM_PART_DECODE},
    {"quantize", LDM_PART_QUANTIZE}, {"indices", LDM_PART_INDICES},
};

/* What an array holds, for a first look without numpy. */
typedef struct summary {
    double mean, std, min, max;
    uint64_t not_finite;
} summary;

static summary summarize(const ldm_array *a)
{
    summary s = {0};
    double sum = 0, squares = 0;
    uint64_t n = 0;

    for (uint64_t i = 0; i < a->numel; i++) {
        double v = a->data[i];

        if (!isfinite(v)) {
            s.not_finite++;
            continue;
        }
        if (!n || v < s.min)
            s.min = v;
        if (!n || v > s.max)
            s.max = v;
        sum += v;
        n++;
    }
    s.mean = n ? sum / (double)n : 0;
    for (uint64_t i = 0; i < a->numel; i++) {
        double d = (double)a->data[i] - s.mean;

        if (isfinite(a->data[i]))
            squares += d * d;
    }
    s.std = n ? sqrt(squares / (double)n) : 0;
    return s;
}

static int report(const ldm_command *cmd, const options *o, const ldm_array *a)
{
    const char *type = strcmp(o->part, "indices") ? "float32" : "int64";
    summary s = summarize(a);
    json_t *root, *shape;

    if (!o->json) {
        if (o->out)
            printf("%s: ", o->out);
        printf("%s %s [", o->part, type);
        for (int i = 0; i < a->ndim; i++)
            printf("%s%llu", i ? "," : "", (unsigned long long)a->shape[i]);
        printf("] mean %.6g std %.6g min %.6g max %.6g", s.mean, s.std, s.min, s.max);
        if (s.not_finite)
            printf(" (%llu values are NaN or infinite)", (unsigned long long)s.not_finite);
        printf("\n");
        return LDM_EXIT_OK;
    }
    root = json_object();
    shape = json_array();
    for (int i = 0; i < a->ndim; i++)
        json_array_append_new(shape, ldm_cli_json_u64(a->shape[i]));
    json_object_set_new(root, "part", json_string(o->part));
    json_object_set_new(root, "out", o->out ? ldm_cli_json_text(o->out) : json_null());
    json_object_set_new(root, "dump", o->dump ? ldm_cli_json_text(o->dump) : json_null());
    json_object_set_new(root, "dtype", json_string(type));
    json_object_set_new(root, "shape", shape);
    json_object_set_new(root, "mean", ldm_cli_json_real(s.mean));
    json_object_set_new(root, "std", ldm_cli_json_real(s.std));
    json_object_set_new(root, "min", ldm_cli_json_real(s.min));
    json_object_set_new(root, "max", ldm_cli_json_real(s.max));
    json_object_set_new(root, "not_finite", ldm_cli_json_u64(s.not_finite));
    return ldm_cli_print_json(cmd, root);
}

static ldm_status write_output(const options *o, ldm_part part, const ldm_array *a, ldm_error *err)
{
    int64_t *ints;
    ldm_status st;

    if (part != LDM_PART_INDICES)
        return ldm_array_write(o->out, a, err);
    ints = a->numel <= SIZE_MAX / sizeof *ints ? malloc((size_t)a->numel * sizeof *ints) : NULL;
    if (!ints && a->numel) {
        memset(err, 0, sizeof *err);
        err->code = LDM_ERR_NOMEM;
        return LDM_ERR_NOMEM;
    }
    for (uint64_t i = 0; i < a->numel; i++)
        ints[i] = (int64_t)a->data[i];
    st = ldm_array_write_int64(o->out, a->ndim, a->shape, ints, err);
    free(ints);
    return st;
}

/* An option without effect is said to have none. */
static void note_codebook(const ldm_command *cmd, const options *o, const ldm_model *model)
{
    ldm_model_info info;

    ldm_model_get_info(model, &info);
    if (!o->quantize && !info.codebook)
        ldm_cli_say(cmd, "note: --no-quantize has no effect: this model's first stage has no "
                         "codebook");
}

static int evaluate(const ldm_cli *cli, const ldm_command *cmd, const options *o)
{
    ldm_eval_job job = {
        .t = o->t, .quantize = o->quantize, .threads = o->model.threads, .dump_dir = o->dump};
    ldm_array in = {0}, context = {0}, noise = {0}, out = {0};
    ldm_model *model = NULL;
    ldm_status st = LDM_OK;
    ldm_error err;
    int code;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!strcmp(parts[i].name, o->part))
            job.part = parts[i].part;
    }
    st = ldm_array_read(o->in, &in, &err);
    if (!st && o->context)
        st = ldm_array_read(o->context, &context, &err);
    if (!st && o->noise)
        st = ldm_array_read(o->noise, &noise, &err);
    if (st) {
        code = ldm_cli_fail(cmd, st, &err);
        goto done;
    }
    code = ldm_model_opts_open(&o->model, cli, cmd, &model);
    if (code)
        goto done;
    job.in = &in;
    job.context = o->context ? &context : NULL;
    job.encode = o->mean                 ? LDM_ENCODE_MEAN
                 : o->sample || o->noise ? LDM_ENCODE_SAMPLE
                                         : LDM_ENCODE_PLAIN;
    job.noise = o->noise ? &noise : NULL;
    job.seed = o->seed;
    note_codebook(cmd, o, model);
    st = ldm_eval(model, &job, &out, &err);
    if (st == LDM_ERR_USAGE && !strncmp(err.msg, "the input", 9)) {
        ldm_cli_say(cmd, "%s: %s", o->in, err.msg);
        code = LDM_EXIT_USAGE;
        goto done;
    }
    if (!st && o->out)
        st = write_output(o, job.part, &out, &err);
    code = st ? ldm_cli_fail(cmd, st, &err) : report(cmd, o, &out);
done:
    ldm_array_free(&out);
    ldm_array_free(&context);
    ldm_array_free(&noise);
    ldm_array_free(&in);
    ldm_model_close(model);
    return code;
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {.t = -1, .quantize = true, .seed = 42};
    ldm_parse parse;
    int args, code;

    ldm_model_opts_init(&o.model);
    parse = ldm_opts_parse(cmd, argc, argv, &o, &args);
    if (parse)
        code = ldm_parse_exit(parse);
    else if (!o.part)
        code = ldm_cli_usage(cmd, "--part is missing: unet, encode, decode, quantize or indices");
    else if (!o.in)
        code = ldm_cli_usage(cmd, "--in is missing: the input array, a .npy file");
    else if (!o.out && !o.dump)
        code = ldm_cli_usage(cmd, "--out is missing: where to write the result (or --dump DIR)");
    else if (!strcmp(o.part, "unet") && o.t < 0)
        code = ldm_cli_usage(cmd, "--t is missing: the timestep for the UNet");
    else if (strcmp(o.part, "unet") && o.context)
        code = ldm_cli_usage(cmd, "--context belongs to --part unet; %s takes none", o.part);
    else if (strcmp(o.part, "encode") && (o.mean || o.sample || o.noise))
        code = ldm_cli_usage(cmd, "--%s belongs to --part encode",
                             o.mean     ? "mean"
                             : o.sample ? "sample"
                                        : "noise");
    else if (o.mean && (o.sample || o.noise))
        code =
            ldm_cli_usage(cmd, "--mean and --%s exclude each other", o.sample ? "sample" : "noise");
    else
        code = evaluate(cli, cmd, &o);
    ldm_model_opts_free(&o.model);
    return code;
}

const ldm_command ldm_cmd_eval = {
    .name = "eval",
    .args = "--part PART --in FILE.npy --out FILE.npy [options]",
    .summary = "one part of the network on your own arrays",
    .about = "Runs one part of the network and writes what comes out as .npy, for holding numbers\n"
             "against another implementation.",
    .notes = "What goes in and out, all float32 and NCHW:\n"
             "  unet      noisy latent [N,C,H,W] and --t     eps [N,C,H,W]\n"
             "  encode    picture [N,C,h,w] in -1..1         latent before quantisation; of a KL\n"
             "                                               first stage the moments [N,2C,H,W],\n"
             "                                               or what --mean or --sample asks for\n"
             "  decode    latent with the scale factor       picture, not clamped\n"
             "  quantize  latent without the scale factor    what goes to post_quant_conv\n"
             "  indices   the same                           codebook indices, int64 [N,H,W]\n\n"
             "  ldm eval --part unet --in x.npy --t 500 --out eps.npy\n"
             "  ldm eval --part unet --in x.npy --t 500 --dump act/",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .run = run,
};
