/* SPDX-License-Identifier: MIT */
/* Which files make a model: configuration layers in order, and where a shipped model lies. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "engine/engine.h"

/* One of "a, b, c". */
static bool is_listed(const char *name, const char *list)
{
    const size_t len = strlen(name);

    for (const char *at = strstr(list, name); at; at = strstr(at + 1, name)) {
        if ((at == list || at[-1] == ' ') && (!at[len] || at[len] == ','))
            return true;
    }
    return false;
}

/* The shipped model whose name this may be, mistyped; empty: none. */
static void meant(const char *name, char out[33])
{
    const char *at = LDM_SHIPPED_MODELS;

    for (; *at; at += strspn(at, ", ")) {
        const size_t len = strcspn(at, ",");
        char lower[33];

        snprintf(out, 33, "%.*s", (int)len, at);
        ldm_lower(lower, sizeof lower, name);
        if (ldm_edit_distance(lower, out, ldm_edit_limit(out)) <= ldm_edit_limit(out))
            return;
        at += len;
    }
    *out = '\0';
}

static ldm_status refuse_name(const char *name, ldm_error *err)
{
    char near[33];

    meant(name, near);
    return ldm_error_set(err, LDM_ERR_USAGE,
                         "model is '%.60s', expected the name of a shipped model (%s)%s%s%s; a "
                         "checkpoint of your own is given by its file (ckpt)",
                         name, LDM_SHIPPED_MODELS, *near ? ": did you mean " : "", near,
                         *near ? "?" : "");
}

/* The folder of the shipped model of this name. */
static ldm_status shipped_dir(const char *name, char *dir, size_t size, ldm_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    char ckpt[64], config[64], root[PATH_MAX];
    const char *const names[] = {ckpt, config, NULL};
    int n = 0;

    if (!*name || strlen(name) > 32 || name[strspn(name, letters)])
        return refuse_name(name, err);
    snprintf(ckpt, sizeof ckpt, "models/%s/model.ckpt", name);
    snprintf(config, sizeof config, "models/%s/config.yaml", name);
    if (ldm_shipped_find(names, root, sizeof root))
        n = snprintf(dir, size, "%s/models/%s", root, name);
    if (n > 0 && (size_t)n < size)
        return LDM_OK;
    if (!is_listed(name, LDM_SHIPPED_MODELS))
        return refuse_name(name, err);
    return ldm_error_set(err, LDM_ERR_IO,
                         "the shipped model (%s, config.yaml) is not in %s or %s; name a "
                         "checkpoint and its configuration",
                         ckpt, LDM_SHARE_INSTALLED, LDM_SHARE_BUILT);
}

ldm_status ldm_layers_load(const ldm_model_options *opt, ldm_arena *texts, ldm_config **config,
                           const char **ckpt_path, const char **shipped, const char **inferred,
                           ldm_error *err)
{
    const bool infer = opt->ckpt && !opt->configs.count && !opt->config_text;
    const char *name = opt->model ? opt->model : LDM_SHIPPED_DEFAULT;
    char dir[PATH_MAX];
    ldm_config *cfg = NULL;
    ldm_status st;
    size_t i;

    *config = NULL;
    *inferred = NULL;
    *shipped = NULL;
    *ckpt_path = opt->ckpt;
    if (opt->ckpt && opt->model)
        return ldm_error_set(err, LDM_ERR_USAGE, "model %.60s and ckpt %s are given: leave one out",
                             opt->model, opt->ckpt);
    if (!opt->ckpt) {
        st = shipped_dir(name, dir, sizeof dir, err);
        if (st)
            return st;
        *ckpt_path = ldm_arena_printf(texts, "%s/model.ckpt", dir);
        *shipped = ldm_arena_strdup(texts, name);
        if (!*ckpt_path || !*shipped)
            return ldm_error_nomem(err, sizeof dir, "a path");
    }
    st = ldm_config_create(&cfg, err);
    if (st)
        return st;
    if (infer) {
        st = ldm_inferred_layer(opt, texts, cfg, inferred, err);
    } else if (opt->config_text) {
        st = ldm_config_load_text(cfg, opt->config_name ? opt->config_name : "recipe",
                                  opt->config_text, strlen(opt->config_text), err);
    } else if (!opt->ckpt) {
        const char *path = ldm_arena_printf(texts, "%s/config.yaml", dir);

        st = path ? ldm_config_load(cfg, path, err) : ldm_error_nomem(err, sizeof dir, "a path");
    }
    for (i = 0; !st && i < opt->configs.count; i++)
        st = ldm_config_load(cfg, opt->configs.items[i], err);
    for (i = 0; !st && i < opt->sets.count; i++)
        st = ldm_config_set(cfg, opt->sets.items[i], err);
    if (st) {
        ldm_config_free(cfg);
        return st;
    }
    *config = cfg;
    return LDM_OK;
}

/* Copies the options for the audit's reports, because opt may have been freed by then. */
static ldm_status keep_given(const ldm_model_options *opt, ldm_arena *texts, const char *ckpt_path,
                             ldm_audit_given *out, ldm_error *err)
{
    bool failed = false;
    size_t i;

    out->configs = ldm_arena_alloc(texts, opt->configs.count + 1, sizeof *out->configs);
    out->sets = ldm_arena_alloc(texts, opt->sets.count + 1, sizeof *out->sets);
    if (!out->configs || !out->sets)
        return ldm_error_nomem(err, 0, "the configuration's names");
    if (!opt->ckpt && !opt->config_text) {
        int folder = (int)(strrchr(ckpt_path, '/') - ckpt_path);

        out->configs[out->config_count++] =
            ldm_arena_printf(texts, "%.*s/config.yaml", folder, ckpt_path);
        failed = !out->configs[0];
    }
    for (i = 0; i < opt->configs.count; i++) {
        const char *copy = ldm_arena_strdup(texts, opt->configs.items[i]);

        failed |= !copy;
        out->configs[out->config_count++] = copy;
    }
    for (i = 0; i < opt->sets.count; i++) {
        const char *copy = ldm_arena_strdup(texts, opt->sets.items[i]);

        failed |= !copy;
        out->sets[out->set_count++] = copy;
    }
    return failed ? ldm_error_nomem(err, 0, "the configuration's names") : LDM_OK;
}

/* ---- assignments that nothing reads ---------------------------------------------------------- */

/* The path of the first parameter that has this name; NULL: there is none. */
static const char *path_of_name(const ldm_network *net, const char *name)
{
    size_t i;

    for (i = 0; i < net->param_count; i++) {
        if (!strcmp(net->params[i].name, name))
            return net->params[i].path;
    }
    return NULL;
}

/* An assignment that nothing reads is a mistake, where a key of a file may belong to training. */
static ldm_status refuse_assignment(const ldm_sources *s, const ldm_unknown_key *u, ldm_error *err)
{
    const ldm_value *root = ldm_config_root(s->config), *v = ldm_value_find(root, u->path);
    const char *dot = strrchr(u->path, '.'), *other;

    while (ldm_value_at(v, 0))
        v = ldm_value_at(v, 0); /* the key that was set, "modle.params.scale_factor" of "modle" */
    if (u->suggestion)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "--set %s: the model has no such parameter; did you mean %.*s%s%s?",
                             v ? ldm_value_path(v) : u->path, (int)(dot ? dot - u->path + 1 : 0),
                             u->path, u->suggestion, v ? ldm_value_path(v) + strlen(u->path) : "");
    other = path_of_name(s->network, v ? ldm_value_key(v) : u->path);
    if (other)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "--set %s: the model has no such parameter; did you mean %s?",
                             v ? ldm_value_path(v) : u->path, other);
    return ldm_error_set(
        err, LDM_ERR_USAGE,
        "--set %s: the model has no such parameter; `ldm inspect` lists those of a "
        "configuration",
        v ? ldm_value_path(v) : u->path);
}

static ldm_status check_assignments(const ldm_sources *s, ldm_error *err)
{
    size_t i;

    for (i = 0; i < s->network->unknown_count; i++) {
        if (ldm_origin_is_override(&s->network->unknown[i].origin))
            return refuse_assignment(s, &s->network->unknown[i], err);
    }
    return LDM_OK;
}

/* ---- files ------------------------------------------------------------------------------------
 */

ldm_status ldm_sources_read(const ldm_model_options *opt, ldm_arena *texts, ldm_sources *out,
                            ldm_error *err)
{
    ldm_status st;

    memset(out, 0, sizeof *out);
    st = ldm_layers_load(opt, texts, &out->config, &out->ckpt_path, &out->shipped, &out->inferred,
                         err);
    if (!st)
        st = ldm_profile_read(out->config, texts, &out->profile, err);
    if (!st)
        st = ldm_ckpt_open_any(out->ckpt_path, opt->first_stage, &out->ckpt, err);
    if (!st && out->profile.rename_count)
        st = ldm_ckpt_rename(out->ckpt, out->profile.rename, out->profile.rename_count,
                             &out->renamed, err);
    if (!st)
        st = ldm_ckpt_spell_keys(out->ckpt, err);
    if (!st)
        st = keep_given(opt, texts, out->ckpt_path, &out->given, err);
    if (st)
        ldm_sources_close(out);
    return st;
}

ldm_status ldm_sources_match(const ldm_model_options *opt, ldm_sources *s, ldm_error *err)
{
    const ldm_load_policy policy = {.strict = s->profile.strict,
                                    .init_missing = s->profile.init_missing};
    const ldm_shape_source shapes = ldm_audit_shape_source(s->ckpt);
    ldm_status st = ldm_network_create(s->config, &shapes, &s->network, err);

    if (!st && opt->first_stage && s->network->first_stage.identity)
        st = ldm_error_set(
            err, LDM_ERR_USAGE,
            "the first stage %s would not be read: the configuration's first stage is "
            "IdentityFirstStage, which takes the latent as the picture; leave it "
            "out, or give the YAML of a model with a first stage",
            opt->first_stage);
    if (!st)
        st = check_assignments(s, err);
    if (!st)
        st = ldm_audit_create(s->network, s->ckpt, ldm_model_options_ema(opt), &policy, &s->audit,
                              err);
    if (!st)
        s->audit->given = s->given;
    if (!st) {
        s->audit->given.config = s->config;
        s->audit->given.family = ldm_audit_family(s->config);
        s->audit->given.scale = ldm_audit_scale(s->config);
    }
    return st;
}

/* A refusal of one part says what else is refused, and which model it is about. */
static ldm_status explain(const ldm_sources *s, ldm_error *err)
{
    ldm_partial *p;

    if (ldm_partial_create(s->config, NULL, -1, NULL, &p, NULL))
        return LDM_ERR_UNSUPPORTED; /* with the message as it is */
    (void)ldm_partial_refuse(p, err);
    ldm_partial_free(p);
    return LDM_ERR_UNSUPPORTED;
}

ldm_status ldm_sources_open(const ldm_model_options *opt, ldm_arena *texts, ldm_sources *out,
                            ldm_error *err)
{
    ldm_status st = ldm_sources_read(opt, texts, out, err);

    if (st)
        return st;
    st = ldm_sources_match(opt, out, err);
    if (st == LDM_ERR_UNSUPPORTED && !out->network)
        st = explain(out, err);
    if (st)
        ldm_sources_close(out);
    return st;
}

void ldm_sources_close(ldm_sources *s)
{
    ldm_profile_free(&s->profile);
    ldm_audit_free(s->audit);
    ldm_network_free(s->network);
    ldm_ckpt_close(s->ckpt);
    ldm_config_free(s->config);
    memset(s, 0, sizeof *s);
}
