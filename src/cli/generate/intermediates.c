/* SPDX-License-Identifier: MIT */
/* The latents on the way: ldm generate --save-intermediates. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/generate/generate.h"
#include "cli/outputs.h"

const char *ldm_generate_array_option(const ldm_generate_opts *o)
{
    return o->save_latent          ? "--save-latent"
           : o->save_image         ? "--save-image"
           : o->save_intermediates ? "--save-intermediates"
                                   : NULL;
}

/* Whether the latents after step 1 to `steps` are kept. left: steps that follow it. */
static bool is_kept(int step, int steps, int every)
{
    const int left = steps - step;

    return step == 1 || left % every == 0;
}

/* How many of the steps up to `step` are kept: the entry of that one, for entry 0 is the start. */
static size_t kept_until(int step, int steps, int every)
{
    size_t n = 0;

    for (int i = 1; i <= step; i++)
        n += is_kept(i, steps, every);
    return n;
}

size_t ldm_intermediates_entries(int steps, int every)
{
    return 1 + kept_until(steps, steps, every);
}

/* The file of an array; free() it. NULL when out of memory. */
static char *name_of(const ldm_generate_opts *o, const char *array)
{
    const size_t n = strlen(o->save_intermediates);

    return ldm_cli_format("%s%s%s.npy", o->save_intermediates,
                          n && o->save_intermediates[n - 1] == '/' ? "" : "/", array);
}

static const char *const arrays[] = {"x_inter", "pred_x0"};

int ldm_intermediates_check(const ldm_command *cmd, const ldm_generate_opts *o)
{
    int code = LDM_EXIT_OK;

    for (size_t i = 0; o->save_intermediates && !code && i < 2; i++) {
        char *name = name_of(o, arrays[i]);

        code = name ? ldm_output_check_array(cmd, "--save-intermediates", name, o->overwrite)
                    : ldm_cli_nomem(cmd);
        free(name);
    }
    return code;
}

void ldm_intermediates_note_replaced(const ldm_command *cmd, const ldm_generate_opts *o)
{
    for (size_t i = 0; o->save_intermediates && i < 2; i++) {
        char *name = name_of(o, arrays[i]);

        ldm_output_note_replaced(cmd, name);
        free(name);
    }
}

/* Not a number wherever a picture that fails never comes to. NULL when out of memory. */
static float *unknown_floats(size_t entries, size_t floats)
{
    float *all = calloc(entries, floats * sizeof *all); /* which checks the product */

    for (size_t i = 0; all && i < entries * floats; i++)
        all[i] = NAN;
    return all;
}

int ldm_intermediates_open(const ldm_command *cmd, const ldm_generate_opts *o,
                           const ldm_run_info *ri, ldm_intermediates *k)
{
    size_t floats;

    if (!o->save_intermediates)
        return LDM_EXIT_OK;
    k->every = o->log_every_t;
    k->steps = ri->steps_run;
    k->count = ri->count;
    k->entries = ldm_intermediates_entries(k->steps, k->every);
    k->latent = (size_t)ri->latent_c * (size_t)ri->latent_h * (size_t)ri->latent_w;
    floats = k->latent * (size_t)k->count;
    k->x = unknown_floats(k->entries, floats);
    k->pred_x0 = unknown_floats(k->entries, floats);
    return k->x && k->pred_x0 ? LDM_EXIT_OK : ldm_cli_nomem(cmd);
}

void ldm_intermediates_take(ldm_intermediates *k, const ldm_progress *p)
{
    size_t at, bytes;

    if (!k->x || !p->latents || (p->step && !is_kept(p->step, k->steps, k->every)))
        return;
    at = (kept_until(p->step, k->steps, k->every) * (size_t)k->count + (size_t)p->first_image) *
         k->latent;
    bytes = (size_t)p->images_in_batch * k->latent * sizeof *k->x;
    memcpy(k->x + at, p->latents, bytes);
    memcpy(k->pred_x0 + at, p->predicted ? p->predicted : p->latents, bytes);
}

int ldm_intermediates_write(const ldm_command *cmd, const ldm_generate_opts *o,
                            const ldm_run_info *ri, const ldm_intermediates *k)
{
    float *const values[] = {k->x, k->pred_x0};
    ldm_array a = {.ndim = 5,
                   .shape = {k->entries, (uint64_t)k->count, (uint64_t)ri->latent_c,
                             (uint64_t)ri->latent_h, (uint64_t)ri->latent_w},
                   .numel = k->entries * (uint64_t)k->count * k->latent};
    int code = ldm_output_make_folder(cmd, "--save-intermediates", o->save_intermediates);

    for (size_t i = 0; !code && i < 2; i++) {
        char *name = name_of(o, arrays[i]);
        ldm_error err;

        a.data = values[i];
        if (!name)
            code = ldm_cli_nomem(cmd);
        else if (ldm_array_write(name, &a, &err))
            code = ldm_cli_fail(cmd, err.code, &err);
        else if (!o->json)
            printf("%s\n", name);
        free(name);
    }
    return code;
}

void ldm_intermediates_free(ldm_intermediates *k)
{
    free(k->x);
    free(k->pred_x0);
}
