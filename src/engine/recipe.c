/* The recipe of a picture: what a PNG carries so that `ldm generate --like` can repeat it. */
#include <string.h>

#include "base/json_text.h"
#include "engine/engine.h"

static json_t *name_json(const char *path)
{
    const char *slash = strrchr(path, '/');

    return ldm_json_text(slash ? slash + 1 : path);
}

/* What is a fact of the model and the picture, and no setting of the job. */
static json_t *facts(const ldm_model *m, const char *hex, const char *yaml)
{
    return json_pack("{s:s, s:{s:o, s:s, s:b}, s:s, s:s, s:s}", "ldm", ldm_version(), "checkpoint",
                     "name", name_json(ldm_ckpt_path(m->ckpt)), "sha256", hex, "default",
                     (int)m->is_default, "config", yaml, "weights",
                     m->audit->effective.ema ? "EMA" : "raw", "precision",
                     ldm_model_precision_name(m));
}

static bool add_settings(json_t *root, const ldm_job *job, int index)
{
    ldm_job own = *job; /* borrows the texts */

    own.seed = job->seed + (uint64_t)index;
    if (!ldm_options_write_recipe(&own.options, root) ||
        json_object_set_new(root, "index", json_integer(index)))
        return false;
    /* What a recipe cannot repeat is said in it. */
    return !(job->x_t || job->noise || job->mask) ||
           !json_object_set_new(root, "arrays",
                                json_pack("{s:b, s:b, s:b}", "x_t", job->x_t != NULL, "noise",
                                          job->noise != NULL, "mask", job->mask != NULL));
}

ldm_status ldm_recipe_create(const ldm_model *m, const ldm_job *job, int index, char **json,
                             ldm_error *err)
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
    done = root && add_settings(root, job, index) && ldm_json_append(root, JSON_INDENT(1), &text);
    json_decref(root);
    if (!done) {
        ldm_str_free(&text);
        return ldm_error_nomem(err, 0, "the recipe");
    }
    *json = text.data; /* handed on */
    return LDM_OK;
}
