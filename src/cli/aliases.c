/* SPDX-License-Identifier: MIT */
/* Other programs' spellings; see aliases.h. */
#include "cli/aliases.h"

#include <ctype.h>
#include <string.h>

static const ldm_alias aliases[] = {
    {.there = "n_samples", .here = "count"},
    {.there = "custom_steps", .letter = 'c', .here = "steps"},
    {.there = "ddim_steps", .here = "steps"},
    {.there = "ddim_eta", .here = "eta"},
    {.there = "", .letter = 'e', .here = "eta"},  /* --eta is the same there */
    {.there = "", .letter = 'r', .here = "ckpt"}, /* --resume FILE is a switch here */
    {.there = "logdir", .letter = 'l', .here = "out"},
    {.there = "outdir", .here = "out"},
    {.there = "base", .letter = 'b', .here = "config"},
    {.there = "batch_size", .here = "batch"},
    {.there = "plms", .here = "sampler", .value = "plms"},
    {.there = "dpm_solver", .here = "sampler", .value = "dpm-solver++"},
    /* Ancestral sampling over all timesteps, whatever --custom_steps says. */
    {.there = "vanilla_sample",
     .letter = 'v',
     .here = "sampler",
     .value = "ddpm",
     .also = "steps",
     .also_value = "1000"},
    {.there = "from-file", .here = "prompts"},
    {.there = "init-img", .here = "init"},
    {.there = "init_image", .here = "init", .others = true},
    {.there = "negative_prompt", .here = "negative", .others = true},
    {.there = "num_inference_steps", .here = "steps", .others = true},
    {.there = "num_steps", .here = "steps", .others = true},
    {.there = "guidance_scale", .here = "scale", .others = true},
    {.there = "guidance", .here = "scale", .others = true},
    {.there = "cfg_scale", .here = "scale", .others = true},
    {.there = "cfg", .here = "scale", .others = true},
    {.there = "num_images_per_prompt", .here = "count", .others = true},
    {.there = "denoising_strength", .here = "strength", .others = true},
    {.there = "sampler_name", .here = "sampler", .others = true},
    {.there = "scheduler", .here = "sampler", .others = true, .schedule = true},
    {.there = "schedule_type", .here = "timesteps", .others = true, .schedule = true},
    {.there = "schedule", .here = "timesteps", .others = true, .schedule = true},
    {.there = "karras", .here = "timesteps", .value = "karras", .others = true},
    {.there = "text", .here = "prompt", .others = true},
    {.there = "", .letter = 'p', .here = "prompt", .others = true},
    {.there = "", .letter = 'q', .here = "quiet", .others = true},
    {.there = "num_images", .here = "count", .others = true},
    {.there = "n", .here = "count", .others = true},
    {.there = "n", .letter = 'n', .here = "frames", .others = true}, /* of ldm interpolate */
    {.there = "num_frames", .here = "frames", .others = true},
    {.there = "outfile", .here = "out", .others = true},
    {.there = "checkpoint", .here = "ckpt", .others = true},
    {.there = "vae", .here = "first-stage", .others = true},
    {.there = "output", .here = "out", .others = true},
    {.there = "output_dir", .here = "out", .others = true},
    {.there = "mse", .here = "psnr", .others = true},
    {.there = "fp16", .here = "half", .others = true}, /* of ldm convert */

    {.there = "fp16", .beside = "precision", .idle = "--precision chooses the arithmetic"},
    {.there = "half", .beside = "precision", .idle = "--precision chooses the arithmetic"},
    {.there = "device",
     .beside = "threads",
     .arg = "NAME",
     .only = "cpu",
     .refusal = "ldm computes on processors alone",
     .idle = "ldm computes on processors alone"},
    {.there = "laion400m", .beside = "sampler", .idle = "--ckpt names the model"},
    {.there = "f",
     .beside = "sampler",
     .arg = "N",
     .idle = "the checkpoint's first stage says by which factor a latent is smaller"},
    {.there = "C",
     .beside = "sampler",
     .arg = "N",
     .idle = "the checkpoint says how many channels a latent has"},
    {.there = "skip_grid", .beside = "grid", .idle = "there is no sheet without --grid"},
    {.there = "n_rows", .beside = "grid", .arg = "N", .idle = "--grid chooses the rows itself"},
};

/* Values of options that have the same name here. */
static const struct {
    const char *option, *there, *here;
    bool others;
} values[] = {
    {"precision", "full", "f32", false},
    /* Of float16 products, which CompVis' scripts default to. */
    {"precision", "autocast", "f32", false},
    /* ComfyUI's, which draw their noise on a GPU. */
    {"sampler", "dpmpp_sde_gpu", "dpmpp_sde", true},
    {"sampler", "dpmpp_2m_sde_gpu", "dpmpp_2m_sde", true},
    {"sampler", "dpmpp_3m_sde_gpu", "dpmpp_3m_sde", true},
};

/* As ComfyUI's comfy/samplers.py and the web UI's modules/sd_schedulers.py compute them, for T
 * timesteps and S steps. The noise levels of S timesteps evenly from T - 1 to 0 are discrete's; of
 * 1, 1 + T / S, 1 + 2 T / S ... compvis'. simple (T - 1 - int(i T / S)) is trailing's where S
 * divides T, else rounded otherwise; the T - 1 - i (T - 1) / S of sgm_uniform are nobody's here. */
static const ldm_alias_schedule_row schedules[] = {
    {"normal", "discrete", false, NULL},
    {"uniform", "discrete", false, NULL},
    {"karras", "karras", false, NULL},
    {"exponential", "exponential", false, NULL},
    {"ddim_uniform", "compvis", false, NULL},
    {"ddim", "compvis", false, NULL},
    {"automatic", NULL, true, NULL},
    {"simple", NULL, false, "trailing is the same where --steps divides the model's timesteps"},
    {"sgm_uniform", NULL, false, "trailing is near"},
    {"polyexponential", NULL, false, "exponential is the same for a rho of 1"},
    {"beta", NULL, false, NULL},
    {"kl_optimal", NULL, false, NULL},
    {"align_your_steps", NULL, false, NULL},
    {"linear_quadratic", NULL, false, NULL},
};

#define SIZE "--size WxH gives the size of the pictures here"
static const struct {
    const char *there;
    char letter;
    const char *why;
} refused[] = {
    {"n_iter", '\0', "-n is the number of all pictures here"},
    {"batch_count", '\0', "-n is the number of all pictures here"},
    {"reference", '\0',
     "the set to compare with is an argument: ldm metrics --fid SAMPLES REFERENCE"},
    {"against", '\0', "ldm metrics --psnr A B compares pictures, --fid SAMPLES REFERENCE sets"},
    {"ssim", '\0', "ldm metrics --psnr A B says how far apart pictures are"},
    {"lpips", '\0', "ldm metrics --psnr A B says how far apart pictures are"},
    {"factor", '\0', "the model says by how much it enlarges, most by 4"},
    {"upscale", '\0', "ldm upscale IMAGE enlarges, by as much as the model was trained for"},
    {"lora", '\0', "there are no LoRAs here; a checkpoint that one was merged into is read"},
    {"clip_skip", '\0', "the configuration says which layer of the text encoder is read"},
    {"verbose", '\0', "what is done is said anyway, and --quiet says less"},
    {"", 's', "it is --steps, --seed or --scale here, written out"},
    {"skip_save", '\0', "every picture is written here"},
    {"H", 'H', SIZE},
    {"W", 'W', SIZE},
    {"height", '\0', SIZE},
    {"width", '\0', SIZE},
    {"fixed_code", '\0', "--x-t gives the start noise here"},
};

const ldm_alias *ldm_alias_at(size_t i)
{
    return i < sizeof aliases / sizeof *aliases ? &aliases[i] : NULL;
}

static char plain(char c)
{
    return c == '_' ? '-' : c;
}

bool ldm_alias_begins(const char *name, const char *with)
{
    while (*with && plain(*name) == plain(*with)) {
        name++;
        with++;
    }
    return !*with;
}

bool ldm_alias_same(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && ldm_alias_begins(a, b);
}

const char *ldm_alias_value(const char *option, const char *text, bool *others)
{
    for (size_t i = 0; text && i < sizeof values / sizeof *values; i++) {
        if (!strcmp(values[i].option, option) && !strcmp(values[i].there, text)) {
            *others = *others || values[i].others;
            return values[i].here;
        }
    }
    return NULL;
}

static char folded(char c)
{
    return c == '_' || c == ' ' ? '-' : (char)tolower((unsigned char)c);
}

/* As schedules are named; those of "SGM Uniform" may be joined, too. */
static bool same_schedule(const char *a, const char *b)
{
    while (*a && *b) {
        if (folded(*a) == '-' && folded(*b) != '-')
            a++;
        if (folded(*a++) != folded(*b++))
            return false;
    }
    return !*a && !*b;
}

const ldm_alias_schedule_row *ldm_alias_schedule(const ldm_alias *a, const char *text)
{
    if (!a || !a->schedule || (!strcmp(a->here, "sampler") && same_schedule("ddim", text)))
        return NULL;
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
        if (same_schedule(schedules[i].there, text))
            return &schedules[i];
    }
    return NULL;
}

bool ldm_alias_refused(const ldm_command *cmd, const char *word, char letter)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (letter ? refused[i].letter != letter
                   : !*word || !ldm_alias_same(refused[i].there, word))
            continue;
        if (letter)
            ldm_cli_usage(cmd, "-%c is another program's option, not ldm's: %s", letter,
                          refused[i].why);
        else
            ldm_cli_usage(cmd, "--%s is another program's option, not ldm's: %s", word,
                          refused[i].why);
        return true;
    }
    return false;
}
