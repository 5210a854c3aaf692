/* SPDX-License-Identifier: MIT */
/* The recipe of a picture: what a PNG carries so that `ldm generate --like` can repeat it. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_text.h"
#include "engine/between.h"
#include "engine/concat.h"
#include "engine/run_job.h"
#include "engine/start_job.h"

/* What is a fact of the model and the picture, and no setting of the job. "shipped" is there for a
 * model that comes with ldm. */
static json_t *facts(const ldm_model *m, const char *hex, const char *yaml)
{
    json_t *root = json_pack(
        "{s:s, s:{s:o, s:s, s:b}, s:s, s:s, s:s}", "ldm", ldm_version(), "checkpoint", "name",
        ldm_json_text(ldm_file_name(ldm_ckpt_path(m->ckpt))), "sha256", hex, "default",
        m->shipped != NULL, "config", yaml, "weights", m->audit->effective.ema ? "EMA" : "raw",
        "precision", ldm_model_precision_name(m));

    if (root && m->shipped &&
        json_object_set_new(json_object_get(root, "checkpoint"), "shipped",
                            json_string(m->shipped))) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* What a recipe cannot repeat is said in it. */
static bool add_arrays(json_t *root, const ldm_job *job)
{
    json_t *given = json_object();
    const ldm_array *a;
    const char *name;
    bool any = false;
    size_t i;

    for (i = 0; given && ldm_job_array_at(job, i, &name, &a); i++) {
        any |= a != NULL;
        if (json_object_set_new(given, name, json_boolean(a != NULL))) {
            json_decref(given);
            return false;
        }
    }
    if (any)
        return !json_object_set_new(root, "arrays", given);
    json_decref(given);
    return given != NULL;
}

/* Which of the job's prompts, or classes, picture `index` is of. */
static size_t entry_of(const ldm_job *job, int index, size_t entries)
{
    if (job->mix) /* between two of them, which no recipe can say */
        return (size_t)job->mix->data[index];
    return (size_t)index / ((size_t)job->count / entries);
}

/* Of several prompts or classes a picture's recipe holds its own. buf: for a class. */
static void take_own(const ldm_job *job, int index, ldm_job *own, char *buf, size_t size)
{
    const char *p = job->class_text;
    size_t i;

    if (job->prompts)
        own->prompt = job->prompts[entry_of(job, index, job->prompt_count)];
    if (!p)
        return;
    for (i = entry_of(job, index, ldm_job_entries(job)); i > 0; i--)
        p = strchr(p, ',') + 1;
    snprintf(buf, size, "%.*s", (int)strcspn(p, ","), p);
    own->class_text = buf;
}

bool ldm_recipe_add_settings(json_t *root, const ldm_job *job, int index)
{
    ldm_job own = *job; /* borrows the texts */
    char class_text[32];

    own.seed = ldm_picture_seed(job, index);
    own.vary = job->vary_strength > 0 ? job->vary + (uint64_t)index : job->vary;
    take_own(job, index, &own, class_text, sizeof class_text);
    if (!ldm_options_write_recipe(&own.options, root) ||
        json_object_set_new(root, "index", json_integer(index)))
        return false;
    return ldm_start_describe(job, index, root) && ldm_concat_describe(job, index, root) &&
           add_arrays(root, job);
}

ldm_status ldm_recipe_create(const ldm_model *m, const ldm_job *job, int index,
                             const char *vocabulary, char **json, ldm_error *err)
{
    const char *hex;
    ldm_str yaml = {0}, text = {0};
    json_t *root;
    bool done;
    ldm_status st;

    *json = NULL;
    st = ldm_model_hash(m, &hex, err);
    if (st)
        return st;
    ldm_config_emit(m->config, &yaml);
    root = yaml.failed ? NULL : facts(m, hex, yaml.data);
    ldm_str_free(&yaml);
    done = root && ldm_recipe_add_settings(root, job, index) &&
           (!*vocabulary ||
            !json_object_set_new(root, "vocabulary", json_pack("{s:s}", "sha256", vocabulary))) &&
           ldm_json_append(root, JSON_INDENT(1), &text);
    json_decref(root);
    if (!done) {
        ldm_str_free(&text);
        return ldm_error_nomem(err, 0, "the recipe");
    }
    *json = text.data; /* handed on */
    return LDM_OK;
}
