/* SPDX-License-Identifier: MIT */
/* Other programs' spellings; see aliases.h. */
#include "cli/aliases.h"

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
    {.there = "init_img", .here = "init", .others = true},
    {.there = "negative_prompt", .here = "negative", .others = true},
    {.there = "negative-prompt", .here = "negative", .others = true},
    {.there = "num_inference_steps", .here = "steps", .others = true},
    {.there = "num-inference-steps", .here = "steps", .others = true},
    {.there = "guidance_scale", .here = "scale", .others = true},
    {.there = "guidance-scale", .here = "scale", .others = true},
    {.there = "cfg_scale", .here = "scale", .others = true},
    {.there = "cfg-scale", .here = "scale", .others = true},
    {.there = "num_images_per_prompt", .here = "count", .others = true},
    {.there = "denoising_strength", .here = "strength", .others = true},
};

static const char *const refused[][2] = {
    {"n_iter", "-n is the number of all pictures here"},
    {"n_rows", "--grid chooses the rows itself"},
    {"skip_grid", "there is no sheet without --grid here"},
    {"skip_save", "every picture is written here"},
    {"H", "--size WxH gives the size of the pictures here"},
    {"W", "--size WxH gives the size of the pictures here"},
    {"height", "--size WxH gives the size of the pictures here"},
    {"width", "--size WxH gives the size of the pictures here"},
    {"C", "--shape C,H,W gives the size of the latent here"},
    {"f", "the factor comes from the first stage here"},
    {"fixed_code", "--x-t gives the start noise here"},
};

const ldm_alias *ldm_alias_at(size_t i)
{
    return i < sizeof aliases / sizeof *aliases ? &aliases[i] : NULL;
}

bool ldm_alias_refused(const ldm_command *cmd, const char *word)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (strcmp(refused[i][0], word))
            continue;
        ldm_cli_usage(cmd, "--%s is another program's option, not ldm's: %s", word, refused[i][1]);
        return true;
    }
    return false;
}
