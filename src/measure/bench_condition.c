/* SPDX-License-Identifier: MIT */
/* What the whole pictures of a benchmark show: a prompt, a class, a picture. A recipe's settings
 * say it, so they are kept as a recipe has them. */
#include <string.h>

#include "base/json_text.h"
#include "measure/bench.h"

/* The prompts of all pictures in their order; *out stays NULL where they share one, or have none.
 * False when out of memory. */
static bool list_prompts(const ldm_job *job, json_t **out)
{
    const int of_each = job->prompt_count > 1 ? job->count / (int)job->prompt_count : 0;

    if (!job->prompts || job->mix || !of_each)
        return true;
    *out = json_array();
    for (int i = 0; *out && i < job->count; i++) {
        if (json_array_append_new(*out, ldm_json_text(job->prompts[i / of_each])))
            return false;
    }
    return *out != NULL;
}

static bool list_notes(const ldm_run *run, json_t *out)
{
    for (size_t i = 0; out && i < ldm_run_note_count(run); i++) {
        if (json_array_append_new(out, ldm_json_text(ldm_run_note(run, i))))
            return false;
    }
    return out != NULL;
}

ldm_status ldm_bench_keep_condition(ldm_bench_data *b, const ldm_run *run, ldm_error *err)
{
    const ldm_job *job = ldm_run_get_job(run);

    if (b->settings)
        return LDM_OK;
    b->settings = json_object();
    b->notes = json_array();
    /* Recipes hold the class of their own picture; here are those of all. */
    if (!b->settings || !ldm_recipe_add_settings(b->settings, job, 0) ||
        (job->class_text &&
         json_object_set_new(b->settings, "class", ldm_json_text(job->class_text))) ||
        !list_prompts(job, &b->prompts) || !list_notes(run, b->notes))
        return ldm_error_nomem(err, 0, "the report");
    return LDM_OK;
}

void ldm_bench_free_condition(ldm_bench_data *b)
{
    json_decref(b->settings);
    json_decref(b->prompts);
    json_decref(b->notes);
}

/* ---- as text --------------------------------------------------------------------------------- */

/* ", " before all but the first. */
static void separate(ldm_str *out, size_t begin)
{
    if (out->len > begin)
        ldm_str_puts(out, ", ");
}

static void put_value(ldm_str *out, size_t begin, const char *key, const json_t *value)
{
    enum { MOST = 60 };

    if (!json_is_string(value) && !json_is_integer(value))
        return;
    separate(out, begin);
    ldm_str_printf(out, "%s ", key);
    if (json_is_string(value))
        ldm_str_put_short(out, json_string_value(value), MOST);
    else
        ldm_str_printf(out, "%lld", (long long)json_integer_value(value));
}

/* Pictures are in a recipe by their hash, arrays by their names alone. */
static void put_inputs(const ldm_bench_data *b, ldm_str *out, size_t begin)
{
    static const char *const pictures[] = {"init", "image", "segmentation"};
    const json_t *array;
    const char *name;

    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++) {
        const json_t *it = json_object_get(b->settings, pictures[i]);

        if (!json_is_object(it))
            continue;
        separate(out, begin);
        ldm_str_printf(out, "%s%s", pictures[i], json_object_get(it, "mask") ? " and mask" : "");
    }
    json_object_foreach(json_object_get(b->settings, "arrays"), name, array)
    {
        if (!json_is_true(array))
            continue;
        separate(out, begin);
        ldm_str_puts(out, name);
    }
}

void ldm_bench_text_condition(const ldm_bench_data *b, ldm_str *out)
{
    const double scale = json_number_value(json_object_get(b->settings, "scale"));
    const size_t begin = out->len, prompts = json_array_size(b->prompts);

    for (size_t i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);
        const char *key = ldm_setting_key(row);

        if (!(ldm_setting_flags(row) & LDM_SETTING_CONDITION))
            continue;
        put_value(out, begin, key, json_object_get(b->settings, key));
        if (!strcmp(key, "prompt") && prompts)
            ldm_str_printf(out, " and %zu more", prompts - 1);
    }
    put_inputs(b, out, begin);
    if (out->len == begin || !(scale < 1 || scale > 1))
        return;
    ldm_str_printf(out, ", scale %g", scale);
}
