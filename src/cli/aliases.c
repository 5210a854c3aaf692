/* CompVis' spellings; see aliases.h. */
#include "cli/aliases.h"

#include <string.h>

static const ldm_alias aliases[] = {
    {"n_samples", 0, "count", NULL},  {"custom_steps", 'c', "steps", NULL},
    {"ddim_steps", 0, "steps", NULL}, {"ddim_eta", 0, "eta", NULL},
    {"", 'e', "eta", NULL},  /* --eta is the same there */
    {"", 'r', "ckpt", NULL}, /* --resume FILE is a switch here */
    {"logdir", 'l', "out", NULL},     {"outdir", 0, "out", NULL},
    {"base", 'b', "config", NULL},    {"batch_size", 0, "batch", NULL},
    {"plms", 0, "sampler", "plms"},   {"vanilla_sample", 'v', "sampler", "ddpm"},
};

static const char *const refused[][2] = {
    {"from-file", "--prompts FILE takes a prompt a line here"},
    {"n_iter", "-n is the number of all pictures here"},
    {"n_rows", "--grid chooses the rows itself"},
    {"skip_grid", "there is no sheet without --grid here"},
    {"skip_save", "every picture is written here"},
    {"H", "--shape C,H,W gives the size of the latent here"},
    {"W", "--shape C,H,W gives the size of the latent here"},
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
        ldm_cli_usage(cmd, "--%s is CompVis' option, not ldm's: %s", word, refused[i][1]);
        return true;
    }
    return false;
}
