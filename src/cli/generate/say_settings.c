/* SPDX-License-Identifier: MIT */
/* What ldm generate says of a run before its first step. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/generate/generate.h"
#include "cli/terminal.h"

/* Whether a setting is what it is for everybody who says nothing; numbers may be spelled otherwise.
 */
static bool is_default(const ldm_setting_row *s, const char *text)
{
    const char *usual = ldm_setting_default(s) ? ldm_setting_default(s) : ldm_setting_lacking(s);
    char *end, *usual_end;
    double a, b;

    if (!usual)
        return !text[0];
    a = strtod(text, &end);
    b = strtod(usual, &usual_end);
    if (end != text && !*end && usual_end != usual && !*usual_end)
        return a == b;
    return !strcmp(text, usual);
}

static bool is_among(const char *key, const char *const *keys, size_t count)
{
    bool is = false;

    for (size_t i = 0; i < count; i++)
        is |= !strcmp(key, keys[i]);
    return is;
}

/* Whether the job's sampler takes a setting of samplers (`ldm help samplers`). */
static bool sampler_takes(const ldm_job *job, const char *setting)
{
    char *report, *name = NULL;
    json_t *all = NULL, *row, *taken;
    bool takes = false;
    size_t i, k;

    if (!ldm_samplers(LDM_REPORT_JSON, &report, NULL)) {
        all = json_loads(report, 0, NULL);
        ldm_release(report);
    }
    if (ldm_job_get(job, "sampler", &name, NULL))
        name = NULL;
    json_array_foreach(all, i, row)
    {
        const char *its = json_string_value(json_object_get(row, "name"));

        if (!its || !name || strcmp(its, name) != 0)
            continue;
        json_array_foreach(json_object_get(row, "takes"), k, taken) takes |=
            json_is_string(taken) && !strcmp(json_string_value(taken), setting);
    }
    json_decref(all);
    ldm_release(name);
    return takes;
}

/* The settings that change pictures, as they are run: the sampler's own, and of the others those
 * that are not as usual. The number of steps begins the line; other lines have seed and shape, and
 * a layout is long. */
static void put_sampling(ldm_str *line, const ldm_job *job)
{
    static const char *const always[] = {"sampler", "timesteps", "eta"};
    static const char *const elsewhere[] = {"steps", "seed", "shape", "layout"};
    const char *separator = "";

    for (size_t i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *s = ldm_setting_at(LDM_SETTINGS_JOB, i);
        const char *key = ldm_setting_key(s);
        const bool shown = is_among(key, always, sizeof always / sizeof *always);
        char *text;

        if (!(ldm_setting_flags(s) & LDM_SETTING_PIXELS) ||
            (!ldm_setting_default(s) && !ldm_job_is_set(job, key) && !shown) ||
            is_among(key, elsewhere, sizeof elsewhere / sizeof *elsewhere) ||
            (!strcmp(key, "eta") && !sampler_takes(job, key)) || ldm_job_get(job, key, &text, NULL))
            continue;
        if (text[0] && (shown || !is_default(s, text))) {
            ldm_str_printf(line, "%s%s ", separator, key);
            ldm_str_put_short(line, text, 60);
            separator = ", ";
        }
        ldm_release(text);
    }
}

/* Prints and releases one line of the settings, which begins with a word of 12 columns. */
static void say_setting(ldm_str *line)
{
    if (!line->failed)
        ldm_terminal_line(stderr, line->data, 12);
    ldm_str_free(line);
}

void ldm_generate_say_settings(const ldm_model_info *mi, const ldm_run_info *ri, const ldm_job *job)
{
    ldm_str line = {0};

    ldm_str_printf(&line, "model       %s (%s, %s weights), %s kernels, loaded in %.2f s",
                   mi->ckpt_path, mi->ckpt_format, mi->weights, mi->isa, mi->load_seconds);
    say_setting(&line);
    ldm_str_printf(&line, "sampling    %d step%s: ", ri->steps_run, ri->steps_run == 1 ? "" : "s");
    put_sampling(&line, job);
    say_setting(&line);
    ldm_str_printf(&line, "latent      %d,%d,%d  ->  picture %d x %d", ri->latent_c, ri->latent_h,
                   ri->latent_w, ri->image_w, ri->image_h);
    say_setting(&line);
    ldm_str_printf(&line, "pictures    %d from seed %llu, %d at a time, %d thread%s, %.0f MB",
                   ri->count, (unsigned long long)ldm_job_get_u64(job, "seed"), ri->batch,
                   ri->threads, ri->threads == 1 ? "" : "s", (double)ri->memory_total / 1e6);
    say_setting(&line);
}
