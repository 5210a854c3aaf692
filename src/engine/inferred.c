/* SPDX-License-Identifier: MIT */
/* A checkpoint without a YAML: the configuration that its tensors show, where that leaves nothing
 * open. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "infer/infer.h"

/* Whether one of the assignments sets this path. */
static bool is_set(const ldm_model_options *opt, const char *path)
{
    const size_t len = strlen(path);

    for (size_t i = 0; i < opt->sets.count; i++) {
        if (!strncmp(opt->sets.items[i], path, len) && opt->sets.items[i][len] == '=')
            return true;
    }
    return false;
}

/* "num_head_channels 32, parameterization eps": those settings that no tensor shows. */
static bool list(const ldm_model_options *opt, const ldm_inference *in, bool open, ldm_str *out)
{
    bool any = false;

    for (size_t i = 0; i < in->count; i++) {
        const ldm_infer_setting *s = &in->settings[i];
        const char *name = strrchr(s->path, '.') + 1;

        if (is_set(opt, s->path) || s->from < (open ? LDM_INFER_OPEN : LDM_INFER_PUBLISHED) ||
            !strcmp(name, "resolution") || !strcmp(name, "image_size"))
            continue;
        ldm_str_printf(out, "%s%s %s", any ? ", " : "", name, s->value);
        if (open && s->how)
            ldm_str_printf(out, " (%s)", s->how);
        any = true;
    }
    return any;
}

/* What to do where the tensors do not say all. A YAML brings no part that the file lacks. */
static const char *cure(const ldm_model_options *opt, const ldm_inference *in, ldm_str *made)
{
    if (in->lacks_cond)
        return "get the file of the whole model";
    if (strstr(in->kind, "UNet") && !in->problem_count)
        return "name the file or folder of that (--first-stage FILE)";
    /* The tensors of a first stage alone show all that its configuration says. */
    if (in->problem_count || !strstr(in->kind, "first stage alone"))
        return "give the YAML that it was trained with";
    ldm_str_printf(made,
                   "have `ldm doctor --ckpt %s --write-config NEW.yaml` make one that fits, or "
                   "give the YAML that it was trained with",
                   opt->ckpt);
    return made->failed ? "give the YAML" : made->data;
}

static ldm_status refuse(const ldm_model_options *opt, const ldm_inference *in, ldm_error *err)
{
    ldm_str text = {0};
    ldm_status st = LDM_OK;

    if (!in->whole)
        st = ldm_error_set(err, LDM_ERR_USAGE,
                           "no configuration given for %s, which holds %s%s%s: %s", opt->ckpt,
                           in->kind, in->problem_count ? ": " : "",
                           in->problem_count ? in->problems[0] : "", cure(opt, in, &text));
    else if (list(opt, in, true, &text))
        st = ldm_error_set(
            err, LDM_ERR_USAGE,
            "no configuration given for %s, and no tensor shows all of it; a guess "
            "would be %.300s: give the YAML, or the settings (set), or have "
            "`ldm doctor --ckpt %s --write-config NEW.yaml` measure them and make one",
            opt->ckpt, text.failed ? "a setting" : text.data, opt->ckpt);
    ldm_str_free(&text);
    return st;
}

/* "; nor the size of pictures: 256 x 256 are taken (...)", where it is but assumed. */
static const char *size_note(const ldm_model_options *opt, const ldm_inference *in,
                             ldm_arena *texts)
{
    static const char path[] = "model.params.image_size";
    static const char mult[] = "model.params.first_stage_config.params.ddconfig.ch_mult";
    const ldm_infer_setting *s = ldm_inference_find(in, path);
    const ldm_infer_setting *levels = ldm_inference_find(in, mult);
    long side = s ? strtol(s->value, NULL, 10) : 0;

    if (!s || s->from < LDM_INFER_PUBLISHED || is_set(opt, path) ||
        is_set(opt, "model.params.unet_config.params.image_size"))
        return "";
    for (const char *c = levels ? levels->value : ""; (c = strchr(c, ',')); c++)
        side *= 2; /* the first stage halves a picture once between two levels */
    return ldm_arena_printf(texts,
                            "; nothing shows the size of the pictures that it was trained on: %ld "
                            "x %ld are assumed (image_size %s; --shape C,H,W takes another)",
                            side, side, s->value);
}

/* What is assumed, for the user. */
static ldm_status describe(const ldm_model_options *opt, const ldm_inference *in, ldm_arena *texts,
                           const char **note, ldm_error *err)
{
    ldm_str text = {0};
    const bool some = list(opt, in, false, &text);
    const char *size = size_note(opt, in, texts);

    *note = text.failed || !size
                ? NULL
                : ldm_arena_printf(texts,
                                   "no configuration was given: it is made from the tensors"
                                   "%s%s%s%s%s%s",
                                   in->family ? ", after " : "", in->family ? in->family : "",
                                   some ? "; no tensor shows, and assumed are: " : "",
                                   some ? text.data : "", size,
                                   some || *size ? "; `ldm doctor` measures what is assumed" : "");
    ldm_str_free(&text);
    return *note ? LDM_OK : ldm_error_nomem(err, 0, "a note");
}

/* Reads the configuration that the file itself holds, where that describes a model. */
static bool load_own(const ldm_ckpt *ck, ldm_config *cfg)
{
    static const char name[] = "the checkpoint's own configuration", path[] = "model.params";
    const char *text = ldm_ckpt_config(ck);
    ldm_config *tried = NULL;
    bool fits;

    if (!text || ldm_config_create(&tried, NULL))
        return false;
    fits = !ldm_config_load_text(tried, name, text, strlen(text), NULL) &&
           ldm_value_find(ldm_config_root(tried), path);
    ldm_config_free(tried);
    return fits && !ldm_config_load_text(cfg, name, text, strlen(text), NULL);
}

ldm_status ldm_inferred_layer(const ldm_model_options *opt, ldm_arena *texts, ldm_config *cfg,
                              const char **note, ldm_error *err)
{
    ldm_ckpt *ck = NULL;
    ldm_inference *in = NULL;
    ldm_str yaml = {0};
    ldm_status st = ldm_ckpt_open_any(opt->ckpt, opt->first_stage, &ck, err);

    if (!st)
        st = ldm_ckpt_spell_keys(ck, err);
    if (!st && load_own(ck, cfg)) {
        *note = "no configuration was given: the one inside the checkpoint is taken";
        goto done;
    }
    if (!st)
        st = ldm_infer(ck, &in, err);
    if (!st)
        st = refuse(opt, in, err);
    if (!st) {
        ldm_inference_yaml(in, opt->ckpt, &yaml);
        st = yaml.failed ? ldm_error_nomem(err, 0, "the configuration")
                         : ldm_config_load_text(cfg, "the inferred configuration", yaml.data,
                                                yaml.len, err);
    }
    if (!st)
        st = describe(opt, in, texts, note, err);
done:
    ldm_str_free(&yaml);
    ldm_inference_free(in);
    ldm_ckpt_close(ck);
    return st;
}
