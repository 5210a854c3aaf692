/* SPDX-License-Identifier: MIT */
/* `ldm check` and `ldm inspect`: opening what the reports of audit are about. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "engine/engine.h"
#include "engine/inspect_recipe.h"

static ldm_status hand_over(ldm_str *s, char **report, ldm_error *err)
{
    ldm_str_puts(s, ""); /* an empty report is a text, too */
    if (s->failed) {
        ldm_str_free(s);
        return ldm_error_nomem(err, 0, "the report");
    }
    *report = s->data;
    return LDM_OK;
}

enum { MOST_COLUMNS = 4096 }; /* of any terminal */

/* What LDM_REPORT_COLUMNS is multiplied by, within what a report can be laid out for. */
static size_t columns_of(unsigned how)
{
    const size_t n = how / LDM_REPORT_COLUMNS;

    return n && n < 40 ? 40 : n > 100 ? 100 : n;
}

static ldm_status check_flags(unsigned how, ldm_error *err)
{
    const unsigned all = LDM_REPORT_JSON | LDM_REPORT_ALL | LDM_REPORT_VALUES | LDM_REPORT_KEYS |
                         LDM_REPORT_SHAPES | LDM_REPORT_COLOUR;

    return how % LDM_REPORT_COLUMNS & ~all || how / LDM_REPORT_COLUMNS > MOST_COLUMNS
               ? ldm_error_set(err, LDM_ERR_USAGE, "how is %u, which holds no LDM_REPORT_...", how)
               : LDM_OK;
}

/* Where a configuration is refused: whether what can be read of it is worth a report. */
static bool is_readable(ldm_status st, const ldm_config *cfg)
{
    return st == LDM_ERR_UNSUPPORTED ||
           (st == LDM_ERR_CONFIG && ldm_value_find(ldm_config_root(cfg), "model.target"));
}

/* Of a model that is known in part, or whose configuration is wrong: *err says why, and stays what
 * it is about where it is wrong. */
static ldm_status check_in_part(const ldm_model_options *opt, const ldm_sources *src, bool json,
                                const ldm_audit_report *how, ldm_str *text, bool *fits,
                                ldm_error *err)
{
    const ldm_error why = *err;
    ldm_partial *p;
    ldm_status st = ldm_partial_create(src->config, src->ckpt, ldm_model_options_ema(opt),
                                       why.code == LDM_ERR_CONFIG ? &why : NULL, &p, err);

    if (st)
        return st;
    st = json ? ldm_partial_json(p, &src->given, text, err)
              : ldm_partial_text(p, &src->given, how, text, err);
    *fits = ldm_partial_fits(p) && ldm_partial_judged(p) && !ldm_partial_wrong(p);
    if (!st && ldm_partial_wrong(p)) {
        *err = why;
        st = why.code;
    } else if (!st && !ldm_partial_judged(p))
        st = ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                           "ldm knows no part of this model, so nothing was compared");
    ldm_partial_free(p);
    return st;
}

/* A checkpoint without a YAML; where the file is damaged, no YAML would help. */
static ldm_status no_config(const ldm_model_options *opt, ldm_error *err)
{
    ldm_ckpt *ck = NULL;
    const ldm_status st = ldm_ckpt_open_any(opt->ckpt, opt->first_stage, &ck, err);

    ldm_ckpt_close(ck);
    return st ? st
              : ldm_error_set(
                    err, LDM_ERR_USAGE,
                    "no configuration given for %s: a check is of a checkpoint against "
                    "the YAML that it was trained with; without one, `ldm doctor` makes it",
                    opt->ckpt);
}

ldm_status ldm_check(const ldm_model_options *opt, unsigned flags, char **report, bool *fits,
                     ldm_error *err)
{
    static const ldm_model_options none;
    const ldm_audit_report how = {(flags & LDM_REPORT_ALL) != 0, (flags & LDM_REPORT_VALUES) != 0,
                                  (flags & LDM_REPORT_COLOUR) != 0, columns_of(flags)};
    ldm_arena *texts;
    ldm_sources src;
    ldm_str text = {0};
    ldm_error own; /* what is refused is a part of the report */
    ldm_status st;

    err = err ? err : &own;
    LDM_REQUIRE(report, "report", err);
    *report = NULL;
    LDM_REQUIRE(fits, "fits", err);
    *fits = false;
    st = check_flags(flags, err);
    if (st)
        return st;
    opt = opt ? opt : &none;
    if (ldm_names_folder(opt)) {
        ldm_model_options *found;

        st = ldm_found_options(opt, &found, err);
        if (!st)
            st = ldm_check(found, flags, report, fits, err);
        ldm_model_options_free(found);
        return st;
    }
    if (opt->ckpt && access(opt->ckpt, F_OK))
        return ldm_file_cannot_open(opt->ckpt, err);
    if (opt->ckpt && !opt->configs.count && !opt->config_text)
        return no_config(opt, err);
    texts = ldm_arena_create(0);
    if (!texts)
        return ldm_error_nomem(err, 0, "the check");
    st = ldm_sources_read(opt, texts, &src, err);
    if (!st)
        st = ldm_sources_match(opt, &src, err);
    if (!st) {
        st = flags & LDM_REPORT_JSON ? ldm_audit_json(src.audit, &how, &text, err)
                                     : ldm_audit_text(src.audit, &how, &text, err);
        *fits = src.audit->fits;
    } else if (src.config && !src.network && is_readable(st, src.config)) {
        st = check_in_part(opt, &src, (flags & LDM_REPORT_JSON) != 0, &how, &text, fits, err);
    }
    if (!st)
        st = hand_over(&text, report, err);
    else if ((st == LDM_ERR_NUMERIC || st == LDM_ERR_UNSUPPORTED || st == LDM_ERR_CONFIG) &&
             !text.failed)
        *report = text.data; /* whole; the error is what it says. NULL: there is none */
    else
        ldm_str_free(&text);
    ldm_sources_close(&src);
    ldm_arena_free(texts);
    return st;
}

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), e = strlen(ending);

    return n >= e && strcmp(path + n - e, ending) == 0;
}

/* A checkpoint is recognised by its first bytes; any other file is read as YAML. */
static bool looks_like_text(const char *path)
{
    const unsigned char *head;
    bool text = true;
    ldm_map map;
    size_t n, i;

    if (ldm_map_open(path, &map, NULL))
        return false; /* opening it reports why */
    head = map.data;
    n = map.size < 256 ? (size_t)map.size : 256;
    if (n >= 9 && head[8] == '{' && head[7] == 0) /* safetensors: a length, then JSON */
        text = false;
    for (i = 0; text && i < n; i++)
        text = head[i] >= 0x20 || head[i] == '\n' || head[i] == '\r' || head[i] == '\t';
    ldm_map_close(&map);
    return text;
}

static ldm_status inspect_in_part(const ldm_config *cfg, const ldm_inspect_report *how,
                                  ldm_str *text, ldm_error *err)
{
    const ldm_error why = *err;
    ldm_partial *p;
    ldm_status st =
        ldm_partial_create(cfg, NULL, -1, why.code == LDM_ERR_CONFIG ? &why : NULL, &p, err);

    if (st)
        return st;
    st = ldm_partial_inspect(p, how, text, err);
    if (!st && ldm_partial_wrong(p)) {
        *err = why;
        st = why.code;
    }
    ldm_partial_free(p);
    return st;
}

static ldm_status inspect_model(const ldm_config *cfg, const ldm_inspect_report *how,
                                ldm_network **network, ldm_str *text, ldm_error *err)
{
    ldm_status st = ldm_network_create(cfg, NULL, network, err);

    if (st && is_readable(st, cfg) && !how->keys && !how->shapes)
        return inspect_in_part(cfg, how, text, err);
    return st ? st : ldm_inspect_config(cfg, *network, how, text, err);
}

static ldm_status inspect_yaml(const char *path, const ldm_inspect_report *how, ldm_str *text,
                               ldm_error *err)
{
    ldm_config *cfg = NULL;
    ldm_network *network = NULL;
    ldm_status st = ldm_config_create(&cfg, err);

    if (!st)
        st = ldm_config_load(cfg, path, err);
    if (!st && !ldm_value_count(ldm_config_root(cfg)))
        st = ldm_error_set(err, LDM_ERR_FORMAT, "%s holds no settings and is no checkpoint either",
                           path);
    /* A layer that describes no whole model is still a configuration to look at. */
    if (!st && ldm_value_find(ldm_config_root(cfg), "model.target"))
        st = inspect_model(cfg, how, &network, text, err);
    else if (!st)
        st = ldm_inspect_config(cfg, NULL, how, text, err);
    ldm_network_free(network);
    ldm_config_free(cfg);
    return st;
}

/* What is no checkpoint is one of many things here. */
#define SNIFFED "expected a PyTorch checkpoint (.ckpt, .pt) or safetensors"

static ldm_status add_expected(ldm_error *err)
{
    char said[sizeof err->msg];

    snprintf(said, sizeof said, "%.*s", (int)(strlen(err->msg) - strlen(" or safetensors")),
             err->msg);
    return ldm_error_at(err, LDM_ERR_FORMAT, err->offset,
                        "%s, safetensors, a YAML file or a picture that ldm made", said);
}

ldm_status ldm_inspect(const char *path, unsigned flags, char **report, ldm_error *err)
{
    const ldm_inspect_report how = {
        (flags & LDM_REPORT_JSON) != 0,   (flags & LDM_REPORT_ALL) != 0,
        (flags & LDM_REPORT_KEYS) != 0,   (flags & LDM_REPORT_SHAPES) != 0,
        (flags & LDM_REPORT_COLOUR) != 0, columns_of(flags)};
    ldm_ckpt *ckpt = NULL;
    ldm_str text = {0};
    char *found = NULL;
    ldm_error own; /* as for ldm_check */
    ldm_status st;

    err = err ? err : &own;
    LDM_REQUIRE(report, "report", err);
    *report = NULL;
    LDM_REQUIRE(path, "path", err);
    st = check_flags(flags, err);
    if (st)
        return st;
    if (ldm_is_dir(path)) {
        st = ldm_find_checkpoint(path, &found, err);
        path = found;
    }
    if (st)
        return st;
    if (ldm_looks_like_picture(path)) {
        st = ldm_inspect_recipe(path, how.json, how.all, &text, err);
    } else if (ends_in(path, ".yaml") || ends_in(path, ".yml")) {
        st = inspect_yaml(path, &how, &text, err);
    } else {
        st = looks_like_text(path) && !ends_in(path, ".index.json")
                 ? inspect_yaml(path, &how, &text, err)
                 : LDM_ERR_FORMAT;
        if (st && !text.len) { /* no configuration: what is it as a checkpoint? */
            ldm_str_free(&text);
            st = ldm_ckpt_open_any(path, NULL, &ckpt, err);
            if (st == LDM_ERR_FORMAT && ends_in(err->msg, SNIFFED))
                st = add_expected(err);
        }
        if (ckpt)
            st = ldm_inspect_checkpoint(ckpt, &how, &text, err);
    }
    if (!st)
        st = hand_over(&text, report, err);
    else if (st == LDM_ERR_CONFIG && !text.failed)
        *report = text.data; /* of what can be read; NULL: there is none */
    else
        ldm_str_free(&text);
    ldm_ckpt_close(ckpt);
    ldm_free(found);
    return st;
}
