/* Which files make a model: configuration layers in order, and where the shipped model lies. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"

static bool readable(const char *dir, const char *name)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", dir, name);

    return len > 0 && (size_t)len < sizeof path && access(path, R_OK) == 0;
}

static bool holds_model(const char *dir)
{
    return readable(dir, "model.ckpt") && readable(dir, "config.yaml");
}

/* The folder of the shipped model: beside the program (build/ldm or bin/ldm), where it was installed,
 * where it was built. */
static ldm_status default_dir(char *dir, size_t size, ldm_error *err)
{
    static const char *const beside[] = {"../models/demo", "../share/ldmc/models/demo"};
    static const char *const fixed[] = {LDM_MODELS_INSTALLED "/demo", LDM_MODELS_BUILT "/demo"};
    char exe[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    size_t i;

    if (len > 0) {
        char *slash;

        exe[len] = '\0';
        slash = strrchr(exe, '/');
        if (slash) {
            *slash = '\0';
            for (i = 0; i < 2; i++) {
                int n = snprintf(dir, size, "%s/%s", exe, beside[i]);

                if (n > 0 && (size_t)n < size && holds_model(dir))
                    return LDM_OK;
            }
        }
    }
    for (i = 0; i < 2; i++) {
        snprintf(dir, size, "%s", fixed[i]);
        if (holds_model(dir))
            return LDM_OK;
    }
    return ldm_error_set(err, LDM_ERR_IO,
                         "the shipped model (model.ckpt, config.yaml) is not in %s or %s; give "
                         "--ckpt FILE --config FILE",
                         fixed[0], fixed[1]);
}

static ldm_status load_layers(const ldm_model_options *opt, ldm_arena *texts, ldm_config **config,
                              const char **ckpt_path, bool *is_default, ldm_error *err)
{
    char dir[PATH_MAX];
    ldm_config *cfg = NULL;
    ldm_status st;
    size_t i;

    *config = NULL;
    *is_default = !opt->ckpt;
    if (opt->ckpt && !opt->config_count && !opt->config_text)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "no configuration given for %s: a checkpoint needs the YAML that it "
                             "was trained with (--config FILE)",
                             opt->ckpt);
    *ckpt_path = opt->ckpt;
    if (!opt->ckpt) {
        st = default_dir(dir, sizeof dir, err);
        if (st)
            return st;
        *ckpt_path = ldm_arena_printf(texts, "%s/model.ckpt", dir);
        if (!*ckpt_path)
            return ldm_error_nomem(err, sizeof dir, "a path");
    }
    st = ldm_config_create(&cfg, err);
    if (st)
        return st;
    if (opt->config_text) {
        st = ldm_config_load_text(cfg, "recipe", opt->config_text, strlen(opt->config_text), err);
    } else if (!opt->ckpt) {
        const char *path = ldm_arena_printf(texts, "%s/config.yaml", dir);

        st = path ? ldm_config_load(cfg, path, err) : ldm_error_nomem(err, sizeof dir, "a path");
    }
    for (i = 0; !st && i < opt->config_count; i++)
        st = ldm_config_load(cfg, opt->configs[i], err);
    for (i = 0; !st && i < opt->set_count; i++)
        st = ldm_config_set(cfg, opt->sets[i], err);
    if (st) {
        ldm_config_free(cfg);
        return st;
    }
    *config = cfg;
    return LDM_OK;
}

ldm_status ldm_sources_open(const ldm_model_options *opt, ldm_arena *texts, ldm_sources *out,
                            ldm_error *err)
{
    ldm_load_policy policy;
    ldm_status st;

    memset(out, 0, sizeof *out);
    st = load_layers(opt, texts, &out->config, &out->ckpt_path, &out->is_default, err);
    if (!st)
        st = ldm_profile_read(out->config, texts, &out->profile, err);
    if (!st)
        st = ldm_ckpt_open(out->ckpt_path, NULL, &out->ckpt, err);
    if (!st && out->profile.rename_count)
        st = ldm_ckpt_rename(out->ckpt, out->profile.rename, out->profile.rename_count,
                             &out->renamed, err);
    if (!st)
        st = ldm_spec_create(out->config, &out->spec, err);
    policy.strict = out->profile.strict;
    policy.init_missing = out->profile.init_missing;
    if (!st)
        st = ldm_audit_create(out->spec, out->ckpt, (int)opt->ema, &policy, &out->audit, err);
    if (st)
        ldm_sources_close(out);
    return st;
}

void ldm_sources_close(ldm_sources *s)
{
    ldm_audit_free(s->audit);
    ldm_spec_free(s->spec);
    ldm_ckpt_close(s->ckpt);
    ldm_config_free(s->config);
    memset(s, 0, sizeof *s);
}
