/* ldm generate: its options, and where their values come from: the line, before it the recipe of a
 * picture (--like), before that the configuration and the library. generate.c does the work. */
#include <math.h>
#include <string.h>

#include "cli/generate/generate.h"

static const ldm_opt rows[] = {
    LDM_ROWS_MODEL(ldm_generate_opts),
    {.type = LDM_OPT_TEXT,
     .name = "like",
     .arg = "IMAGE.png",
     .field = offsetof(ldm_generate_opts, like),
     .help = "repeat the recipe that is stored in this picture;\n"
             "options given beside it win"},
    {.type = LDM_OPT_HEADING,
     .name = "Sampling (the config's section \"ldm: sampling:\" may set other defaults)"},
    {.type = LDM_OPT_INT,
     .name = "steps",
     .arg = "N",
     .min = 1,
     .max = 1000,
     .field = offsetof(ldm_generate_opts, steps),
     .help = "DDIM steps, 1 to 1000; default 50"},
    {.type = LDM_OPT_CHOICE,
     .name = "timesteps",
     .arg = "NAME",
     .choices = "compvis|quad|leading|trailing|linspace",
     .field = offsetof(ldm_generate_opts, timesteps),
     .help = "how they are spaced; compvis (default) and quad are\n"
             "the original's and may run another number than asked"},
    {.type = LDM_OPT_REAL,
     .name = "eta",
     .arg = "X",
     .min = 0,
     .max = 100,
     .field = offsetof(ldm_generate_opts, eta),
     .help = "noise in the steps: 0 none (default), 1 as DDPM"},
    {.type = LDM_OPT_REAL,
     .name = "temperature",
     .arg = "X",
     .min = 0,
     .max = 100,
     .field = offsetof(ldm_generate_opts, temperature),
     .help = "factor on that noise; default 1"},
    {.type = LDM_OPT_REAL,
     .name = "scale",
     .arg = "X",
     .min = -1000,
     .max = 1000,
     .field = offsetof(ldm_generate_opts, scale),
     .help = "classifier-free guidance; default 1: none"},
    {.type = LDM_OPT_CHOICE,
     .name = "cond",
     .arg = "NAME",
     .choices = "none|zeros",
     .field = offsetof(ldm_generate_opts, cond),
     .help = "conditioning; default none"},
    {.type = LDM_OPT_INT,
     .name = "cache",
     .arg = "N",
     .min = 1,
     .max = 1000,
     .field = offsetof(ldm_generate_opts, cache),
     .help = "evaluate the whole network every N-th step only, in\n"
             "between its outermost blocks with the deeper features\n"
             "of that step: faster, other pictures; default 1: off.\n"
             "`ldm bench --cache N` measures speed and error"},
    {.type = LDM_OPT_TEXT,
     .name = "mask",
     .arg = "FILE.npy",
     .field = offsetof(ldm_generate_opts, mask),
     .help = "[1 or N,1 or C,H,W]: where it is 1 the latent keeps x0"},
    {.type = LDM_OPT_TEXT,
     .name = "x0",
     .arg = "FILE.npy",
     .field = offsetof(ldm_generate_opts, x0),
     .help = "known latent [1 or N,C,H,W] for --mask"},
    {.type = LDM_OPT_FLAG,
     .name = "quantize-x0",
     .field = offsetof(ldm_generate_opts, quantize_x0),
     .help = "put the predicted x0 through the codebook in each step"},
    {.type = LDM_OPT_UNFLAG,
     .name = "no-quantize",
     .field = offsetof(ldm_generate_opts, quantize),
     .help = "decode without the codebook"},
    {.type = LDM_OPT_U64,
     .name = "seed",
     .arg = "N",
     .field = offsetof(ldm_generate_opts, seed),
     .help = "picture i has seed N + i; default 42"},
    {.type = LDM_OPT_TEXT,
     .name = "x-t",
     .arg = "FILE.npy",
     .field = offsetof(ldm_generate_opts, x_t),
     .help = "start noise [N,C,H,W]; sets number and size"},
    {.type = LDM_OPT_TEXT,
     .name = "noise",
     .arg = "FILE.npy",
     .field = offsetof(ldm_generate_opts, noise),
     .help = "noise [S,N,C,H,W] of each step really run"},
    {.type = LDM_OPT_INT,
     .letter = 'n',
     .name = "count",
     .arg = "N",
     .min = 1,
     .max = 1000000,
     .field = offsetof(ldm_generate_opts, count),
     .help = "pictures; default 1"},
    {.type = LDM_OPT_INT,
     .name = "batch",
     .arg = "N",
     .min = 1,
     .max = 1024,
     .field = offsetof(ldm_generate_opts, batch),
     .help = "pictures computed together; default: chosen"},
    {.type = LDM_OPT_SHAPE,
     .name = "shape",
     .arg = "C,H,W",
     .field = offsetof(ldm_generate_opts, shape),
     .help = "latent shape; default: the config's"},
    {.type = LDM_OPT_HEADING, .name = "Output"},
    {.type = LDM_OPT_TEXT,
     .letter = 'o',
     .name = "out",
     .arg = "OUT",
     .field = offsetof(ldm_generate_opts, out),
     .help = "an existing folder, a name ending in / or -n above 1:\n"
             "a folder of 00000.png, 00001.png, ...; else one PNG of\n"
             "that name. Default: generated_outputs/"},
    {.type = LDM_OPT_FLAG,
     .name = "grid",
     .field = offsetof(ldm_generate_opts, grid),
     .help = "also a contact sheet, grid.png in the folder"},
    {.type = LDM_OPT_FLAG,
     .name = "npz",
     .field = offsetof(ldm_generate_opts, npz),
     .help = "also samples.npz, the array that FID tools read"},
    {.type = LDM_OPT_FLAG,
     .name = "resume",
     .field = offsetof(ldm_generate_opts, resume),
     .help = "go on with a run that was broken off: keep what is\n"
             "there of it, make the rest"},
    {.type = LDM_OPT_FLAG,
     .name = "dry-run",
     .field = offsetof(ldm_generate_opts, dry_run),
     .help = "say what the run would take (memory, arithmetic,\n"
             "time) and make nothing"},
    {.type = LDM_OPT_TEXT,
     .name = "save-latent",
     .arg = "FILE.npy",
     .field = offsetof(ldm_generate_opts, save_latent),
     .help = "the final latents, float32 [N,C,H,W]"},
    {.type = LDM_OPT_TEXT,
     .name = "save-image",
     .arg = "FILE.npy",
     .field = offsetof(ldm_generate_opts, save_image),
     .help = "the pictures as float32 [N,C,H,W], -1..1, not clamped"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(ldm_generate_opts, json),
     .help = "one JSON object about the run on stdout"},
    {.type = LDM_OPT_FLAG,
     .name = "quiet",
     .field = offsetof(ldm_generate_opts, quiet),
     .help = "no notes and no progress bar on stderr"},
    {.type = LDM_OPT_HEADING, .name = "Machine"},
    LDM_ROW_THREADS(ldm_generate_opts),
    LDM_ROW_MAX_MEMORY(ldm_generate_opts),
    LDM_ROW_PRECISION(ldm_generate_opts),
};

static void set_defaults(ldm_generate_opts *o)
{
    ldm_job job;

    ldm_job_init(&job);
    memset(o, 0, sizeof *o);
    ldm_model_opts_init(&o->model);
    o->eta = o->temperature = o->scale = NAN; /* not said: see generate.c */
    o->seed = job.seed;
    o->quantize = job.quantize;
    o->quantize_x0 = job.quantize_x0;
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    ldm_generate_opts o;
    ldm_recipe recipe = {0};
    ldm_parse parse;
    int args, code = LDM_EXIT_OK;

    set_defaults(&o);
    parse = ldm_opts_parse(cmd, argc, argv, &o, &args);
    if (!parse && o.like) {
        /* The recipe's settings are the defaults under a second reading of the same line. */
        const char *like = o.like;

        ldm_model_opts_free(&o.model);
        set_defaults(&o);
        code = ldm_recipe_load(cmd, like, &recipe, &o);
        if (!code)
            parse = ldm_opts_parse(cmd, argc, argv, &o, &args);
    }
    if (parse)
        code = ldm_parse_exit(parse);
    else if (!code && !o.mask != !o.x0)
        code = ldm_cli_usage(cmd, "%s",
                             o.mask ? "--mask needs --x0 as well: the latent to keep"
                                    : "--x0 needs --mask as well: where to keep it");
    if (!parse && !code)
        code = ldm_generate(cli, cmd, &o, &recipe);
    ldm_model_opts_free(&o.model);
    ldm_recipe_free(&recipe);
    return code;
}

const ldm_command ldm_cmd_generate = {
    .name = "generate",
    .args = "[--ckpt FILE] [--config FILE] [options]",
    .summary = "make pictures",
    .about =
        "Samples pictures from a latent diffusion model with DDIM, as CompVis' code does, and\n"
        "writes them as PNG. The names of the files written go to stdout, everything else to\n"
        "stderr. Each PNG carries its recipe: --like repeats it.",
    .notes =
        "A picture depends on its own seed, not on the batch, the threads or the others.\n"
        "Ctrl-C ends after the current step and keeps what is done; --resume makes the rest. A\n"
        "run that does not fit into --max-memory or the machine is refused before it starts.\n\n"
        "  ldm generate -o face.png\n"
        "  ldm generate --ckpt model.ckpt --config config.yaml --steps 150 -n 8 -o faces/ --grid\n"
        "  ldm generate --like face.png --steps 200 -o again.png",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .run = run,
};
