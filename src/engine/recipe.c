/* The recipe of a picture: what a PNG carries so that `ldm generate --like` can repeat it. */
#include <string.h>

#include "base/alloc.h"
#include "engine/engine.h"
#include "base/json_text.h"

static json_t *seed_json(uint64_t seed)
{
    ldm_str s = {0};
    json_t *j;

    if (seed <= INT64_MAX)
        return json_integer((json_int_t)seed);
    ldm_str_printf(&s, "%llu", (unsigned long long)seed);
    j = s.failed ? NULL : json_string(s.data);
    ldm_str_free(&s);
    return j;
}

static size_t ascii_length(const char *s)
{
    size_t n = 0;

    while (s[n] && (unsigned char)s[n] < 0x80)
        n++;
    return n;
}

/* A file's name may be any bytes, JSON is UTF-8: others become '?'. */
static json_t *name_json(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t ascii = ascii_length(name);
    json_t *j = json_string(name);
    char *copy, *p;

    if (j || !name[ascii]) /* no odd byte: there was no memory */
        return j;
    copy = ldm_strdup(name);
    for (p = copy; p && *p; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
    j = copy ? json_string(copy) : NULL;
    ldm_free(copy);
    return j;
}

ldm_status ldm_recipe_create(const ldm_model *m, const ldm_job *job, const ldm_result *res, int c,
                             int h, int w, char **json, ldm_error *err)
{
    const char *hex;
    ldm_str yaml = {0}, text = {0};
    json_t *root;
    bool failed;
    ldm_status st;

    *json = NULL;
    st = ldm_model_hash(m, &hex, err);
    if (st)
        return st;
    ldm_config_emit(m->config, &yaml);
    root = yaml.failed
               ? NULL
               : json_pack(
                     "{s:s, s:{s:o, s:s, s:b}, s:s, s:s, s:s, s:o, s:i, s:s, s:i, s:s, s:f, "
                     "s:f, s:f, s:s, s:i, s:b, "
                     "s:b, s:[i, i, i]}",
                     "ldm", ldm_version(), "checkpoint", "name", name_json(ldm_ckpt_path(m->ckpt)),
                     "sha256", hex, "default", (int)m->is_default, "config", yaml.data, "weights",
                     m->audit->effective.ema ? "EMA" : "raw", "precision",
                     ldm_precision_name(m->precision), "seed", seed_json(res->seed), "index",
                     res->index, "sampler", "ddim", "steps", job->steps, "timesteps",
                     job->timesteps, "eta", job->eta, "temperature", job->temperature, "scale",
                     job->scale, "cond", job->cond, "cache", job->cache, "quantize",
                     (int)job->quantize, "quantize_x0", (int)job->quantize_x0, "shape", c, h, w);
    ldm_str_free(&yaml);
    if (!root)
        return ldm_error_nomem(err, 0, "the recipe");
    /* What a recipe cannot repeat is said in it. */
    failed = (job->x_t || job->noise || job->mask) &&
             json_object_set_new(root, "arrays",
                                 json_pack("{s:b, s:b, s:b}", "x_t", job->x_t != NULL, "noise",
                                           job->noise != NULL, "mask", job->mask != NULL));
    failed = failed || !ldm_json_append(root, JSON_INDENT(1), &text);
    json_decref(root);
    if (failed) {
        ldm_str_free(&text);
        return ldm_error_nomem(err, 0, "the recipe");
    }
    *json = text.data; /* handed on */
    return LDM_OK;
}
