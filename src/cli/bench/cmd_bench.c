/* ldm bench: how long it takes until the first step, and how long a step, a decode, a picture and
 * every operation take. */
#include <string.h>

#include "cli/generate/generate.h"
#include "cli/bench/roofline.h"

typedef struct options {
    ldm_model_opts model;
    int rounds, batch, steps, cache, seeds;
    double eta;
    const char *shapes, *plot;
    bool json, layers;
} options;

static const ldm_opt rows[] = {
    LDM_ROWS_MODEL(options),
    LDM_ROW_PRECISION(options),
    {.type = LDM_OPT_HEADING, .name = "Timing"},
    {.type = LDM_OPT_INT,
     .name = "rounds",
     .arg = "N",
     .min = 1,
     .max = 100000,
     .field = offsetof(options, rounds),
     .help = "evaluations of the UNet to take the median of; default 5"},
    {.type = LDM_OPT_INT,
     .name = "batch",
     .arg = "N",
     .min = 1,
     .max = 1024,
     .field = offsetof(options, batch),
     .help = "pictures per evaluation; default 1"},
    {.type = LDM_OPT_FLAG,
     .name = "layers",
     .field = offsetof(options, layers),
     .help = "a table of every operation"},
    {.type = LDM_OPT_TEXT,
     .name = "shapes",
     .arg = "FILE",
     .field = offsetof(options, shapes),
     .help = "the kernels alone, on a list of convolutions as\n"
             "`ldm inspect --shapes` writes it; needs no model"},
    {.type = LDM_OPT_TEXT,
     .name = "plot",
     .arg = "FILE.svg",
     .field = offsetof(options, plot),
     .help = "a roofline: every operation (or shape) under what the\n"
             "machine can do at most, which is measured as well"},
    {.type = LDM_OPT_HEADING, .name = "Whole pictures"},
    {.type = LDM_OPT_INT,
     .name = "steps",
     .arg = "N",
     .min = 1,
     .max = 1000,
     .field = offsetof(options, steps),
     .help = "time a picture of N DDIM steps; with --cache the\n"
             "default is the config's, or 50"},
    {.type = LDM_OPT_INT,
     .name = "cache",
     .arg = "N",
     .min = 2,
     .max = 1000,
     .field = offsetof(options, cache),
     .help = "make the pictures with `ldm generate --cache N` as\n"
             "well, in turn: speed, and error against without"},
    {.type = LDM_OPT_REAL,
     .name = "eta",
     .arg = "X",
     .min = 0,
     .max = 100,
     .field = offsetof(options, eta),
     .help = "noise in their steps; default: the config's, or 0"},
    {.type = LDM_OPT_INT,
     .name = "seeds",
     .arg = "N",
     .min = 1,
     .max = 10000,
     .field = offsetof(options, seeds),
     .help = "so many pictures, one at a time; default 1, with\n"
             "--cache 4"},
    {.type = LDM_OPT_HEADING, .name = "Output and machine"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "one JSON object instead of text"},
    LDM_ROW_THREADS(options),
    LDM_ROW_MAX_MEMORY(options),
};

/* Contradictions, and names that nothing could be written to. An exit code. */
static int check(const ldm_command *cmd, const options *o)
{
    const char *dot = o->plot ? strrchr(o->plot, '.') : NULL;

    if (o->plot && (!dot || strcmp(dot, ".svg")))
        return ldm_cli_usage(
            cmd,
            "--plot: '%s' does not end in .svg; the picture is drawn as SVG, which "
            "browsers show and rsvg-convert or inkscape turn into a PNG",
            o->plot);
    if (o->shapes && (o->steps || o->cache || o->seeds || o->eta >= 0 || o->layers))
        return ldm_cli_usage(cmd, "--shapes times kernels without a model: leave out %s",
                             o->steps    ? "--steps"
                             : o->cache  ? "--cache"
                             : o->seeds  ? "--seeds"
                             : o->layers ? "--layers"
                                         : "--eta");
    if ((o->seeds || o->eta >= 0) && !o->steps && !o->cache)
        return ldm_cli_usage(cmd, "%s is about whole pictures: give --steps N, or --cache N, too",
                             o->seeds ? "--seeds" : "--eta");
    return ldm_output_check_file(cmd, "--plot", o->plot);
}

static int bench(const ldm_cli *cli, const ldm_command *cmd, const options *o,
                 const ldm_model_options *mo)
{
    const ldm_bench_options bo = {.rounds = o->rounds,
                                  .batch = o->batch,
                                  .threads = o->model.threads,
                                  .layers = o->layers,
                                  .machine = o->plot != NULL,
                                  .steps = o->steps,
                                  .eta = o->eta,
                                  .cache = o->cache,
                                  .seeds = o->seeds,
                                  .shapes = o->shapes,
                                  .process_start = cli->start};
    char *text = NULL, *json = NULL;
    json_t *report = NULL;
    ldm_error err;
    ldm_status st =
        ldm_bench(mo, &bo, o->json ? NULL : &text, o->json || o->plot ? &json : NULL, &err);
    int code = LDM_EXIT_OK;

    if (!st && o->plot) {
        report = json_loads(json, 0, NULL);
        code = report ? ldm_roofline_write(cmd, o->plot, report) : ldm_cli_nomem(cmd);
        json_decref(report);
    }
    if (o->json)
        text = json;
    else
        ldm_release(json);
    if (code)
        ldm_release(text);
    else
        code = ldm_cli_report(cmd, st, &err, text, o->json);
    return code;
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {.rounds = 5, .batch = 1, .eta = -1};
    ldm_model_options mo;
    int code;

    if (!ldm_model_opts_begin(cli, cmd, argc, argv, &o, &o.model, &mo, &code))
        return code;
    code = check(cmd, &o);
    if (!code)
        code = bench(cli, cmd, &o, &mo);
    ldm_model_opts_free(&o.model);
    return code;
}

const ldm_command ldm_cmd_bench = {
    .name = "bench",
    .args = "[--ckpt FILE] [--config FILE] [options]",
    .summary = "how fast is this machine with this model?",
    .about = "Times the way to the first step (ready_s, from the start of the process), the first\n"
             "and the median evaluation of the UNet (first_eps_s, eps_s), decoding a latent and\n"
             "encoding a picture (decode_s, encode_s); reports the peak of resident memory that\n"
             "loading, evaluations and decodes took.",
    .notes = "The errors of --cache: relative L2 distance of the final latents, and PSNR of the\n"
             "pictures, each of the same seed with and without; medians, least and greatest.\n\n"
             "  ldm bench --ckpt model.ckpt --config config.yaml --rounds 20 --json\n"
             "  ldm bench --steps 50 --cache 3 --seeds 8\n"
             "  ldm bench --shapes bench/shapes/ffhq.txt --plot roofline.svg",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .run = run,
};
