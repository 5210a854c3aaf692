/* SPDX-License-Identifier: MIT */
/* ldm eval: one part of the network on the user's own arrays, for debugging and for the parity
 * tests: .npy in, .npy out, and every block's output on request. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ldm/tokenize.h>

#include "base/json_text.h"
#include "cli/cli.h"
#include "cli/drawn.h"
#include "cli/inputs.h"
#include "cli/opts.h"
#include "cli/outputs.h"
#include "cli/signals.h"

typedef struct options {
    const char *part, *in, *ids, *prompt, *vocab, *context, *concat, *labels, *noise, *out;
    bool quiet, json, overwrite;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_HEADING, .name = "Evaluation"},
    {.type = LDM_OPT_CHOICE,
     .name = "part",
     .arg = "PART",
     .choices = "unet|encode|decode|quantize|indices|text|cond",
     .field = offsetof(options, part),
     .help = "what to run"},
    {.type = LDM_OPT_TEXT,
     .name = "in",
     .arg = "FILE.npy",
     .field = offsetof(options, in),
     .help = "the input, [N,C,H,W]"},
    {.type = LDM_OPT_TEXT,
     .name = "context",
     .arg = "FILE.npy",
     .field = offsetof(options, context),
     .help = "unet: for cross-attention, [N,tokens,width]"},
    {.type = LDM_OPT_TEXT,
     .name = "concat",
     .arg = "FILE.npy",
     .field = offsetof(options, concat),
     .help = "unet: channels after those of the latent, [N,C,H,W]"},
    {.type = LDM_OPT_TEXT,
     .name = "labels",
     .arg = "FILE.npy",
     .field = offsetof(options, labels),
     .help = "unet: for label_emb, [N] or [N,W]"},
    {.type = LDM_OPT_TEXT,
     .name = "ids",
     .arg = "FILE.npy",
     .field = offsetof(options, ids),
     .help = "text: the same as --in, [N,tokens]"},
    {.type = LDM_OPT_TEXT,
     .name = "prompt",
     .arg = "TEXT",
     .field = offsetof(options, prompt),
     .may_be_empty = true,
     .help = "text: the ids of this text, in the place of --ids"},
    {.type = LDM_OPT_TEXT,
     .name = "vocab",
     .arg = "FILE",
     .field = offsetof(options, vocab),
     .help = "of --prompt; default: beside the checkpoint, or as\n"
             "`make vocab` installed it"},
    {.type = LDM_OPT_TEXT,
     .name = "noise",
     .arg = "FILE.npy",
     .field = offsetof(options, noise),
     .help = "noise of --sample, [N,C,H,W] (implies it)"},
    {.type = LDM_OPT_TEXT,
     .letter = 'o',
     .name = "out",
     .arg = "FILE.npy",
     .field = offsetof(options, out),
     .help = "the output; float32, indices int64"},
    LDM_OVERWRITE_ROW(offsetof(options, overwrite)),
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_EVAL, .name = "Evaluation"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "a JSON object about the output instead of text"},
    {.type = LDM_OPT_FLAG,
     .name = "quiet",
     .field = offsetof(options, quiet),
     .help = "no notes on stderr"},
    {.type = LDM_OPT_HEADING, .name = "Model"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Model"},
    {.type = LDM_OPT_HEADING, .name = "Machine"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Machine"},
};

static const struct {
    const char *name;
    ldm_part part;
} parts[] = {
    {"unet", LDM_PART_UNET},         {"encode", LDM_PART_ENCODE},   {"decode", LDM_PART_DECODE},
    {"quantize", LDM_PART_QUANTIZE}, {"indices", LDM_PART_INDICES}, {"text", LDM_PART_TEXT},
    {"cond", LDM_PART_COND},
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

static int report(const ldm_command *cmd, const options *o, const char *dump, const ldm_array *a)
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
        json_array_append_new(shape, ldm_json_u64(a->shape[i]));
    json_object_set_new(root, "part", json_string(o->part));
    json_object_set_new(root, "out", o->out ? ldm_json_text(o->out) : json_null());
    json_object_set_new(root, "dump", dump ? ldm_json_text(dump) : json_null());
    json_object_set_new(root, "dtype", json_string(type));
    json_object_set_new(root, "shape", shape);
    json_object_set_new(root, "mean", ldm_json_real(s.mean));
    json_object_set_new(root, "std", ldm_json_real(s.std));
    json_object_set_new(root, "min", ldm_json_real(s.min));
    json_object_set_new(root, "max", ldm_json_real(s.max));
    json_object_set_new(root, "not_finite", ldm_json_u64(s.not_finite));
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
static void note_codebook(const ldm_command *cmd, const ldm_eval_job *job, const ldm_model *model)
{
    if (ldm_eval_job_is_set(job, "quantize") && !ldm_model_get_info(model)->codebook)
        ldm_cli_say(cmd, "note: --no-quantize has no effect: this model's first stage has no "
                         "codebook");
}

static ldm_part part_of(const char *name)
{
    size_t i = 0;

    while (strcmp(parts[i].name, name))
        i++; /* the row's choices are these names */
    return parts[i].part;
}

/* The file of the input; NULL: it is made from --prompt. */
static const char *input_of(const options *o)
{
    return o->in ? o->in : o->ids;
}

enum { ARRAYS = 5 };

/* Reads the arrays that were named, and gives them to the job. */
static ldm_status read_arrays(const options *o, ldm_eval_job *job, ldm_array *arrays,
                              ldm_error *err)
{
    const struct {
        const char *name, *path;
    } files[ARRAYS] = {{"in", input_of(o)},
                       {"context", o->context},
                       {"concat", o->concat},
                       {"labels", o->labels},
                       {"noise", o->noise}};
    ldm_status st = LDM_OK;
    int i;

    for (i = 0; !st && i < ARRAYS; i++) {
        if (!files[i].path)
            continue;
        st = ldm_array_read(files[i].path, &arrays[i], err);
        if (!st)
            st = ldm_eval_job_set_array(job, files[i].name, &arrays[i], err);
    }
    return st;
}

/* [1,tokens] of --prompt. */
static int make_ids(const ldm_command *cmd, const options *o, const ldm_targets *targets,
                    const ldm_model *model, ldm_array *ids)
{
    ldm_text_vocab *vocab = NULL;
    ldm_text_ids *text = NULL;
    ldm_error err;
    ldm_status st;
    size_t n;
    int code = LDM_EXIT_OK;

    st = ldm_model_vocab(model, o->vocab, &vocab, &err);
    if (!st)
        st = ldm_text_encode(vocab, o->prompt, strlen(o->prompt), true, &text, &err);
    if (st) {
        code = ldm_cli_fail(cmd, st, &err);
    } else {
        n = ldm_text_ids_length(text);
        if (ldm_text_ids_needed(text) > n)
            ldm_cli_say(cmd, "note: the text is cut: it has %zu tokens, and there is room for %zu",
                        ldm_text_ids_needed(text) - 2, n - 2);
        *ids = (ldm_array){.ndim = 2, .shape = {1, n}, .numel = n};
        ids->data = malloc(n * sizeof *ids->data);
        for (size_t i = 0; ids->data && i < n; i++)
            ids->data[i] = (float)ldm_text_ids_data(text)[i];
        code = ids->data ? LDM_EXIT_OK : ldm_cli_nomem(cmd);
        if (!code && ldm_eval_job_set_array(targets->eval, "in", ids, &err))
            code = ldm_cli_fail(cmd, err.code, &err);
    }
    ldm_text_ids_free(text);
    ldm_text_vocab_free(vocab);
    return code;
}

static int say_interrupted(const ldm_command *cmd, const options *o, const char *dump)
{
    if (dump)
        ldm_cli_say(cmd,
                    "interrupted: %s%s not all arrays of the dump are in %s; the same command with "
                    "--overwrite begins again",
                    o->out ? o->out : "", o->out ? " is not written, and" : "", dump);
    else
        ldm_cli_say(cmd, "interrupted: nothing is written");
    return LDM_EXIT_SIGNAL + ldm_signals_interrupted();
}

static int evaluate(const ldm_command *cmd, const options *o, const ldm_targets *targets)
{
    ldm_array arrays[ARRAYS] = {{0}}, out = {0};
    ldm_model *model = NULL;
    ldm_error err;
    ldm_status st;
    int code, i;

    ldm_signals_end_at_once(cmd, "nothing is written", o->json); /* a pipe may be waited for */
    st = read_arrays(o, targets->eval, arrays, &err);
    code = st ? ldm_cli_fail(cmd, st, &err) : ldm_model_open_said(cmd, targets->model, &model);
    if (!code && o->prompt)
        code = make_ids(cmd, o, targets, model, &arrays[0]);
    if (!code) {
        note_codebook(cmd, targets->eval, model);
        ldm_signals_catch_interrupts();
        ldm_eval_job_set_cancel(targets->eval, ldm_signals_stop, NULL);
        st = ldm_eval(model, targets->eval, &out, &err);
        if (st == LDM_ERR_CANCELLED)
            code = say_interrupted(cmd, o, ldm_eval_job_get_text(targets->eval, "dump"));
        if (st == LDM_ERR_USAGE && !strncmp(err.msg, "the input", 9)) {
            ldm_cli_say(cmd, "%s: %s", o->prompt ? "--prompt" : input_of(o), err.msg);
            code = LDM_EXIT_USAGE;
        }
    }
    if (!code && !st && !o->json && !o->overwrite)
        ldm_output_note_replaced(cmd, o->out);
    if (!code && !st && o->out)
        st = write_output(o, part_of(o->part), &out, &err);
    if (!code)
        code = st ? ldm_cli_fail(cmd, st, &err)
                  : report(cmd, o, ldm_eval_job_get_text(targets->eval, "dump"), &out);
    ldm_array_free(&out);
    for (i = 0; i < ARRAYS; i++)
        ldm_array_free(&arrays[i]);
    ldm_model_close(model);
    return code;
}

/* The arrays of --dump have the names of blocks: whatever is called .npy in the folder may be in
 * the place of one. */
static int check_dump(const ldm_command *cmd, const options *o, const char *folder)
{
    DIR *dir = folder ? opendir(folder) : NULL;
    const struct dirent *e;
    int code = LDM_EXIT_OK;

    while (dir && !code && (e = readdir(dir))) {
        char *path = strcmp(ldm_output_ending(e->d_name), ".npy")
                         ? NULL
                         : ldm_cli_format("%s/%s", folder, e->d_name);

        if (path)
            code = ldm_output_check_array(cmd, "--dump", path, o->overwrite);
        free(path);
    }
    if (dir)
        closedir(dir);
    return code;
}

/* What is asked of a posterior. */
static int check_encode(const ldm_command *cmd, const options *o, const ldm_eval_job *job)
{
    const char *sample = ldm_eval_job_is_set(job, "sample") ? "sample" : o->noise ? "noise" : NULL;
    bool mean = ldm_eval_job_is_set(job, "mean");

    if (strcmp(o->part, "encode") && (mean || sample))
        return ldm_cli_usage(cmd, "--%s belongs to --part encode", mean ? "mean" : sample);
    if (mean && sample)
        return ldm_cli_usage(cmd, "--mean and --%s exclude each other", sample);
    return LDM_EXIT_OK;
}

static int check(const ldm_command *cmd, const options *o, const ldm_eval_job *job)
{
    bool unet = o->part && !strcmp(o->part, "unet");
    const char *of_unet = o->context  ? "context"
                          : o->concat ? "concat"
                          : o->labels ? "labels"
                                      : NULL;
    int code;

    if (!o->part)
        return ldm_cli_usage(cmd, "--part is missing: unet, encode, decode, quantize, indices, "
                                  "text or cond");
    if (o->ids && o->in)
        return ldm_cli_usage(cmd, "--in and --ids both name the input; give one of them");
    if (o->prompt && input_of(o))
        return ldm_cli_usage(cmd, "--%s and --prompt both give the input; give one of them",
                             o->in ? "in" : "ids");
    if (o->prompt && strcmp(o->part, "text") && strcmp(o->part, "cond"))
        return ldm_cli_usage(cmd, "--prompt belongs to --part text; %s reads none", o->part);
    if (o->vocab && !o->prompt)
        return ldm_cli_usage(cmd, "--vocab is of --prompt, which is not given");
    if (!o->prompt && !input_of(o))
        return ldm_cli_usage(cmd, "--in is missing: the input array, a .npy file");
    if (!o->out && !ldm_eval_job_is_set(job, "dump"))
        return ldm_cli_usage(cmd, "--out is missing: where to write the result (or --dump DIR)");
    if (unet && !ldm_eval_job_is_set(job, "t"))
        return ldm_cli_usage(cmd, "--t is missing: the timestep for the UNet");
    if (!unet && of_unet)
        return ldm_cli_usage(cmd, "--%s belongs to --part unet; %s takes none", of_unet, o->part);
    code = check_encode(cmd, o, job);
    if (!code)
        code = ldm_output_check_array(cmd, "-o", o->out, o->overwrite);
    return code ? code : check_dump(cmd, o, ldm_eval_job_get_text(job, "dump"));
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    ldm_targets targets = {0};
    ldm_error err;
    ldm_status st;
    ldm_parse parse = LDM_PARSE_OK;
    int args, code = ldm_model_begin(cli, cmd, &targets);

    st = code ? LDM_OK : ldm_eval_job_create(LDM_PART_UNET, &targets.eval, &err);
    if (st)
        code = ldm_cli_fail(cmd, st, &err);
    if (!code) {
        parse = ldm_opts_parse(cmd, argc, argv, &o, &targets, &args);
        code = parse ? ldm_parse_exit(parse)
                     : ldm_inputs_resolve(cmd, targets.model, argc - args, argv + args, false);
    }
    if (!code && !parse) {
        ldm_drawn_say(cmd, &targets);
        code = check(cmd, &o, targets.eval);
    }
    if (!code && !parse)
        code = ldm_inputs_find_config(cmd, targets.model, false);
    if (!code && !parse) {
        st = ldm_eval_job_set_part(targets.eval, part_of(o.part), &err);
        code = st ? ldm_cli_fail(cmd, st, &err) : evaluate(cmd, &o, &targets);
    }
    if (code && o.json && parse == LDM_PARSE_OK)
        ldm_cli_json_failure(cmd);
    ldm_targets_free(&targets);
    return code;
}

const ldm_command ldm_cmd_eval = {
    .name = "eval",
    .args = "--part PART --in FILE.npy --out FILE.npy [--ckpt FILE] [options]",
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
             "  indices   the same                           codebook indices, int64 [N,H,W]\n"
             "  text      token ids [N,tokens]               context [N,tokens,width]\n"
             "  cond      what the conditioner takes: ids,   context, or what is concatenated\n"
             "            classes [N], planes or a picture   [N,C,H,W]\n\n"
             "  ldm eval --part unet --in x.npy --t 500 --out eps.npy\n"
             "  ldm eval --part unet --in x.npy --t 500 --dump act/\n"
             "  ldm eval --part text --prompt 'a woman with red hair' --out context.npy",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .max_args = -1,
    .run = run,
};
