/* SPDX-License-Identifier: MIT */
/* ldm generate, and its short forms ldm inpaint and ldm upscale: their options, and what they are
 * put into. generate.c does the work. */
#include "cli/generate/generate.h"

#include <stdio.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/drawn.h"
#include "cli/inputs.h"

enum { DEFAULT_QUALITY = 95 };

static const ldm_opt rows[] = {
    {.type = LDM_OPT_HEADING, .name = "Model"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Model"},
    {.type = LDM_OPT_TEXT,
     .name = "like",
     .arg = "IMAGE.png",
     .field = offsetof(ldm_generate_opts, like),
     .help = "repeat the recipe that is stored in this picture;\n"
             "options given beside it take precedence"},
    {.type = LDM_OPT_HEADING,
     .name = "Sampling (the config's section \"ldm: sampling:\" may set other defaults)"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_JOB, .name = "Sampling"},
    {.type = LDM_OPT_TEXT,
     .name = "prompts",
     .arg = "FILE",
     .field = offsetof(ldm_generate_opts, prompts),
     .help = "a prompt a line, - for those of stdin; -n pictures of\n"
             "each, empty lines are left out"},
    LDM_CLASS_NAMES_ROW,
    {.type = LDM_OPT_HEADING, .name = "Pictures in"},
    {.type = LDM_OPT_TEXT,
     .name = "init",
     .arg = "FILE|DIR",
     .field = offsetof(ldm_generate_opts, init_file),
     .help = "begin with this picture, noised (image-to-image); of a\n"
             "folder each makes one; .npy: latents [N,C,H,W]"},
    {.type = LDM_OPT_TEXT,
     .name = "mask",
     .arg = "FILE|DIR",
     .field = offsetof(ldm_generate_opts, mask_file),
     .help = "paint what is white in this picture of --init's size,\n"
             "keep the rest, byte by byte; transparent parts of\n"
             "--init are a mask, too. .npy: [1 or N,1 or C,H,W], with\n"
             "--x0, 1 where the latent keeps it"},
    LDM_IMAGE_ROW,
    LDM_MAP_ROWS,
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_JOB, .name = "Pictures in"},
    {.type = LDM_OPT_HEADING, .name = "Arrays"},
    LDM_ARRAY_OPTIONS(LDM_ARRAY_OPTION_ROW){.type = LDM_OPT_HEADING, .name = "Output"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_JOB, .name = "Preview"},
    {.type = LDM_OPT_CHOICE,
     .name = "preview-as",
     .arg = "HOW",
     .choices = "auto|kitty|iterm2|sixel|blocks",
     .field = offsetof(ldm_generate_opts, preview_as),
     .help = "how --preview draws on stderr; default auto: what the\n"
             "terminal says that it can, nothing where it is none"},
    {.type = LDM_OPT_TEXT,
     .letter = 'o',
     .name = "out",
     .arg = "OUT",
     .field = offsetof(ldm_generate_opts, out),
     .help = "one picture: a name ending in .png, .jpg or .jpeg; else\n"
             "a folder of 00000.png, 00001.png, ...; missing folders\n"
             "are made. Default: a folder for each run,\n"
             "generated_outputs/0001/, generated_outputs/0002/, ..."},
    {.type = LDM_OPT_TEXT,
     .name = "quality",
     .arg = "N",
     .field = offsetof(ldm_generate_opts, quality_text),
     .help = "of a JPEG, 1 to 100; default 95"},
    {.type = LDM_OPT_FLAG,
     .name = "full-path",
     .field = offsetof(ldm_generate_opts, full_path),
     .help = "keep the checkpoint's path in the picture, so that\n"
             "--like finds it; else its name and SHA-256 alone"},
    {.type = LDM_OPT_FLAG,
     .name = "overwrite",
     .field = offsetof(ldm_generate_opts, overwrite),
     .help = "replace pictures of another run in the folder that -o\n"
             "names, and files that ldm did not make; without it\n"
             "they are an error"},
    {.type = LDM_OPT_FLAG,
     .name = "grid",
     .field = offsetof(ldm_generate_opts, grid),
     .help = "also a contact sheet, grid.png in the folder; of several prompts one a row"},
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
     .help = "the final latents, float32 [N,C,H,W]; NaN where a picture\n"
             "failed"},
    {.type = LDM_OPT_TEXT,
     .name = "save-image",
     .arg = "FILE.npy",
     .field = offsetof(ldm_generate_opts, save_image),
     .help = "the pictures as float32 [N,C,H,W], -1..1, not clamped"},
    {.type = LDM_OPT_TEXT,
     .name = "save-intermediates",
     .arg = "DIR",
     .field = offsetof(ldm_generate_opts, save_intermediates),
     .help = "x_inter.npy and pred_x0.npy, [K,N,C,H,W]: the latents on\n"
             "the way and what they are predicted to become"},
    {.type = LDM_OPT_TEXT,
     .name = "log-every-t",
     .arg = "N",
     .field = offsetof(ldm_generate_opts, log_every_text),
     .help = "of --save-intermediates: every N-th step, counted from\n"
             "the end, the first one, too; default 100, as in the\n"
             "original"},
    {.type = LDM_OPT_TEXT,
     .name = "write-stats",
     .arg = "STATS",
     .field = offsetof(ldm_generate_opts, write_stats),
     .help = "the pictures' statistics, as `ldm metrics` writes them"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(ldm_generate_opts, json),
     .help = "one JSON object about the run on stdout"},
    {.type = LDM_OPT_FLAG,
     .name = "quiet",
     .field = offsetof(ldm_generate_opts, quiet),
     .help = "no notes and no progress bar on stderr"},
    {.type = LDM_OPT_HEADING, .name = "Machine"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_JOB, .name = "Machine"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Machine"},
    {.type = LDM_OPT_HEADING, .name = "Several processes or machines (docs/CLUSTER.md)"},
    LDM_RANK_ROWS(offsetof(ldm_generate_opts, ranks), "the run in the folder -o"),
    {.type = LDM_OPT_FLAG,
     .name = "own-share",
     .field = offsetof(ldm_generate_opts, own_share),
     .help = "make this process' share alone, and take none of the\n"
             "others'; for folders that the processes do not share:\n"
             "`ldm merge` joins them"},
};

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv);
static int run_upscale(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv);

/* Options of the command's own that do nothing beside the others; the library says so of its
 * settings. One that names a file is refused instead: it would go unread. */
static void note_idle(const ldm_command *cmd, const ldm_generate_opts *o)
{
    static const char *const jpeg[] = {".jpg", ".jpeg", NULL};

    if (o->quality_text && !(o->out && ldm_output_ends_in(o->out, jpeg)))
        ldm_cli_say(cmd, "note: --quality has no effect: it is of a JPEG, and PNGs are written");
    if (o->preview_as && !ldm_job_get_int(o->to.job, "preview"))
        ldm_cli_say(cmd, "note: --preview-as has no effect: --preview is not given");
    if (o->log_every_text && !o->save_intermediates)
        ldm_cli_say(cmd, "note: --log-every-t has no effect: --save-intermediates is not given");
}

/* The shipped models neither enlarge pictures nor were trained to paint in them. */
static int check_model(const ldm_command *cmd, const ldm_generate_opts *o)
{
    if (ldm_model_ckpt(o->to.model) || cmd->run == run)
        return LDM_EXIT_OK;
    if (cmd->run == run_upscale)
        return ldm_cli_usage(cmd,
                             "no --ckpt was given, and the shipped model enlarges no pictures: "
                             "this command needs a model that was trained for it, --ckpt FILE "
                             "(docs/MODELS.md)");
    return ldm_cli_usage(cmd,
                         "no --ckpt was given, and the shipped model was not trained to paint in "
                         "pictures: this command needs a model that was, --ckpt FILE "
                         "(docs/MODELS.md); with any model `ldm generate --init %s%s%s` does",
                         o->image ? o->image : "IMAGE", o->mask_image ? " --mask " : "",
                         o->mask_image ? o->mask_image : "");
}

static int work(const ldm_command *cmd, ldm_generate_opts *o, int argc, char **argv)
{
    ldm_recipe recipe = {0};
    int code;

    o->quality = DEFAULT_QUALITY;
    o->log_every_t = LDM_LOG_EVERY_T;
    code = ldm_cli_read_whole(cmd, "--quality", o->quality_text, 1, 100, &o->quality);
    if (!code)
        code = ldm_cli_read_whole(cmd, "--log-every-t", o->log_every_text, 1, INT_MAX,
                                  &o->log_every_t);
    o->prompt_given = ldm_job_is_set(o->to.job, "prompt");
    *(ldm_starts_is_array(o->init_file) ? &o->init : &o->init_image) = o->init_file;
    *(ldm_starts_is_array(o->mask_file) ? &o->mask : &o->mask_image) = o->mask_file;
    if (!code)
        code = ldm_inputs_resolve(cmd, o->to.model, argc, argv, o->quiet);
    if (!code && o->like)
        code = ldm_recipe_load(cmd, o->like, &recipe, o);
    if (!code)
        code = check_model(cmd, o);
    if (!code)
        code = ldm_inputs_find_config(cmd, o->to.model, o->quiet);
    if (!code && !o->mask != !o->x0)
        code = ldm_cli_usage(cmd, "%s",
                             o->x0 ? "--x0 needs --mask FILE.npy as well: where to keep it"
                                   : "--mask needs --x0 as well: the latent to keep");
    if (!code && o->prompts && o->prompt_given)
        code = ldm_cli_usage(cmd, "--prompt and --prompts exclude each other");
    if (!code)
        note_idle(cmd, o);
    if (!code)
        code = ldm_generate(cmd, o, &recipe);
    ldm_recipe_free(&recipe);
    return code;
}

/* Whether a picture is named behind those that the command takes. */
static int check_surplus(const ldm_command *cmd, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (ldm_output_ends_in(argv[i], ldm_output_pictures.endings) && !access(argv[i], F_OK))
            return ldm_cli_usage(cmd,
                                 "the picture '%s' is one too many; usage: ldm %s %s, or folders "
                                 "of pictures in their place",
                                 argv[i], cmd->name, cmd->args);
    }
    return LDM_EXIT_OK;
}

/* Whether no mask is needed: a part of the picture is transparent, or there is room beside it. */
static bool paints_without_mask(const ldm_generate_opts *o)
{
    ldm_image im = {0};
    size_t i = 0, n;

    if (ldm_job_is_set(o->to.job, "pad"))
        return true;
    if (ldm_image_read_channels(o->image, 0, &im, NULL))
        return false;
    n = im.channels == 4 ? (size_t)im.width * (size_t)im.height : 0;
    while (i < n && im.pixels[4 * i + 3] >= 128)
        i++;
    ldm_release(im.pixels);
    return i < n;
}

/* Takes the first arguments that are no options for the first `count` of IMAGE and MASK, but for
 * those that an option gave. */
static int take_files(const ldm_command *cmd, ldm_generate_opts *o, int count, int *argc,
                      char ***argv)
{
    const char **const to[] = {&o->image, &o->mask_file};

    for (int i = 0; i < count; i++) {
        if (*to[i] || (i && !*argc && paints_without_mask(o)))
            continue;
        if (!*argc && i)
            return ldm_cli_usage(cmd,
                                 "MASK is missing, and no part of %s is transparent, which would "
                                 "be painted: ldm %s %s",
                                 o->image, cmd->name, cmd->args);
        if (!*argc)
            return ldm_cli_usage(cmd, "IMAGE is missing: ldm %s %s", cmd->name, cmd->args);
        *to[i] = **argv;
        --*argc;
        ++*argv;
    }
    return count ? check_surplus(cmd, *argc, *argv) : LDM_EXIT_OK;
}

/* files: how many of the arguments IMAGE and MASK the command takes. */
static int run_with(const ldm_cli *cli, const ldm_command *cmd, int files, int argc, char **argv)
{
    ldm_generate_opts o = {0};
    ldm_command named = *cmd;
    ldm_parse parse;
    int args, code = ldm_job_command_begin(cli, cmd, argc, argv, &o, &o.to, &parse, &args);

    if (!code && !parse) {
        argc -= args;
        argv += args;
        code = ldm_shared_find(cmd, cli, &o);
        named = ldm_ranks_command(cmd, &o.ranks);
        if (!code)
            ldm_drawn_say(&named, &o.to);
        if (!code)
            code = take_files(&named, &o, files, &argc, &argv);
        code = code ? code : work(&named, &o, argc, argv);
    }
    if (code && o.json && !o.printed)
        ldm_cli_json_failure(cmd);
    ldm_targets_free(&o.to);
    return code;
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    return run_with(cli, cmd, 0, argc, argv);
}

static int run_inpaint(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    return run_with(cli, cmd, 2, argc, argv);
}

static int run_upscale(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    return run_with(cli, cmd, 1, argc, argv);
}

const ldm_command ldm_cmd_generate = {
    .name = "generate",
    .args = "[--ckpt FILE] [--config FILE] [options]",
    .summary = "make pictures",
    .about =
        "Samples pictures from a latent diffusion model, with DDIM as CompVis' code does or with\n"
        "another sampler, and writes them as PNG or JPEG. The names of the files written go to\n"
        "stdout, everything else to stderr. Each picture carries its recipe: --like repeats it.",
    .notes =
        "A picture depends on its own seed, not on the batch, the threads or the others.\n"
        "--seed -1 draws one, which is said and stands in the recipe.\n"
        "Ctrl-C ends after the current step and keeps what is done; --resume makes the rest. A\n"
        "run that does not fit into --max-memory or the machine is refused before it starts.\n"
        "A folder as --ckpt, a checkpoint without --config (a YAML beside it is taken), files\n"
        "without an option and the spellings of CompVis' scripts are understood, with a note.\n\n"
        "  ldm generate -o face.png\n"
        "  ldm generate --ckpt model.ckpt --config config.yaml --steps 150 -n 8 -o faces/ --grid\n"
        "  ldm generate --init photo.jpg --strength 0.5 -n 4 -o variants/\n"
        "  ldm generate --init photo.jpg --mask mask.png -o painted.png\n"
        "  ldm generate --like face.png --steps 200 -o again.png",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .max_args = -1,
    .run = run,
};

const ldm_command ldm_cmd_inpaint = {
    .name = "inpaint",
    .args = "IMAGE [MASK] --ckpt FILE [--config FILE] [options]",
    .summary = "paint a part of a picture anew",
    .about =
        "Paints what is white in MASK, a picture of IMAGE's size, with a model that was trained\n"
        "for it (CompVis' inpainting_big, Stable Diffusion's inpainting models); outside of\n"
        "it the result has IMAGE's own bytes. Without MASK its transparent part is painted, or "
        "what\n"
        "--pad adds. It is `ldm generate --image IMAGE --mask MASK`.",
    .notes = "Sides that the network cannot take are extended and cut again. For other models:\n"
             "`ldm generate --init IMAGE --mask MASK`.\n\n"
             "  ldm inpaint photo.jpg mask.png --ckpt inpainting_big.ckpt -o painted.png\n"
             "  ldm inpaint photo.jpg mask.png --ckpt sd-v1-5-inpainting.ckpt --prompt \"a cat\"",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .max_args = -1,
    .run = run_inpaint,
};

const ldm_command ldm_cmd_upscale = {
    .name = "upscale",
    .args = "IMAGE --ckpt FILE [--config FILE] [options]",
    .summary = "enlarge a picture",
    .about = "Enlarges IMAGE by the factor of the model's first stage (4 for the published ones)\n"
             "with a model that was trained for it (CompVis' bsr_sr, Stable Diffusion's\n"
             "x4-upscaling). It is `ldm generate --image IMAGE`.",
    .notes =
        "A picture with a side above --tile runs in overlapping tiles that share every step, so\n"
        "that no seam is seen. x4-upscaling takes --prompt and --noise-level as well.\n\n"
        "  ldm upscale small.png --ckpt bsr_sr.ckpt -o large.png",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .max_args = -1,
    .run = run_upscale,
};
