/* SPDX-License-Identifier: MIT */
/* A config's life: create, lay files over it, free. */
#include "config/config.h"

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "config/tree.h"

ldm_status ldm_config_create(ldm_config **out, ldm_error *err)
{
    const ldm_value empty = {.kind = LDM_VALUE_MAP};
    ldm_config *cfg = ldm_calloc(1, sizeof *cfg);
    ldm_builder b = {.cfg = cfg, .name = "the empty configuration"};
    ldm_status st;

    *out = NULL;
    if (!cfg)
        return ldm_error_nomem(err, sizeof *cfg, "the configuration");
    b.arena = cfg->arena = ldm_arena_create(LDM_CONFIG_MAX_ARENA);
    st = cfg->arena ? ldm_tree_merge(&b, &empty, NULL, "", "", 0, &cfg->root, err)
                    : ldm_error_nomem(err, 0, "the configuration");
    if (st) {
        ldm_config_free(cfg);
        return st;
    }
    *out = cfg;
    return LDM_OK;
}

void ldm_config_free(ldm_config *cfg)
{
    size_t i;

    if (!cfg)
        return;
    for (i = 0; i < cfg->source_count; i++)
        ldm_free(cfg->sources[i]);
    ldm_free(cfg->sources);
    ldm_arena_free(cfg->arena);
    ldm_arena_free(cfg->resolved_arena);
    ldm_free(cfg);
}

/* The config's own copy of a file name; it stays when the load fails, and is used by the next. */
static const char *keep_source(ldm_config *cfg, const char *name)
{
    char *copy;
    size_t i;

    for (i = 0; i < cfg->source_count; i++) {
        if (!strcmp(cfg->sources[i], name))
            return cfg->sources[i];
    }
    if (!ldm_grow(&cfg->sources, &cfg->source_cap, cfg->source_count + 1, sizeof *cfg->sources))
        return NULL;
    copy = ldm_strdup(name);
    if (copy)
        cfg->sources[cfg->source_count++] = copy;
    return copy;
}

static ldm_status lay_over(ldm_config *cfg, const char *name, const ldm_value *layer,
                           ldm_error *err)
{
    ldm_builder b = {.cfg = cfg, .name = name};
    ldm_value *root;
    ldm_status st;

    b.arena = ldm_arena_create(LDM_CONFIG_MAX_ARENA);
    if (!b.arena)
        return ldm_error_nomem(err, 0, "the configuration");
    st = ldm_tree_merge(&b, cfg->root, layer, "", "", 0, &root, err);
    if (st) {
        ldm_arena_free(b.arena);
        return st;
    }
    return ldm_config_replace(cfg, name, b.arena, root, err);
}

/* A file that holds no map: what it is, if it is of a kind that is often taken for another. */
static const char *what_it_is(const ldm_value *v)
{
    const char *text = v->kind == LDM_VALUE_STRING ? v->u.text : "";

    if (!strncmp(text, "version https://git-lfs", 23))
        return "a Git LFS pointer, not the file itself (fetch it with git lfs pull)";
    if (text[0] == '<')
        return "a web page (download the file itself)";
    return ldm_value_kind_name(v->kind);
}

ldm_status ldm_config_load_text(ldm_config *cfg, const char *name, const char *text, size_t size,
                                ldm_error *err)
{
    ldm_yaml_input in = {.name = name, .text = text, .size = size, .positions = true};
    ldm_arena *scratch = NULL;
    ldm_value *layer = NULL;
    ldm_c_locale locale;
    ldm_status st;

    if (!ldm_c_locale_enter(&locale))
        return ldm_error_nomem(err, 0, "number parsing");
    in.source = keep_source(cfg, name);
    scratch = in.source ? ldm_arena_create(LDM_CONFIG_MAX_ARENA) : NULL;
    if (!scratch) {
        st = ldm_error_nomem(err, 0, "the configuration");
        goto done;
    }
    st = ldm_yaml_parse(&in, scratch, &layer, err);
    if (st || !layer || layer->kind == LDM_VALUE_NULL)
        goto done;
    if (layer->kind != LDM_VALUE_MAP) {
        st = ldm_error_at_line(err, LDM_ERR_CONFIG, layer->line, layer->column,
                               "%s:%d:%d: the file is %s; a configuration is a map of `key: value`",
                               name, layer->line, layer->column, what_it_is(layer));
        goto done;
    }
    st = lay_over(cfg, name, layer, err);
done:
    ldm_arena_free(scratch);
    ldm_c_locale_leave(&locale);
    return st;
}

ldm_status ldm_config_load(ldm_config *cfg, const char *path, ldm_error *err)
{
    char *text = NULL;
    size_t size = 0;
    ldm_status st = ldm_file_read(path, LDM_CONFIG_MAX_BYTES, &text, &size, err);

    if (!st)
        st = ldm_config_load_text(cfg, path, text, size, err);
    ldm_free(text);
    return st;
}

const char *ldm_config_file(const ldm_config *cfg)
{
    return cfg->source_count ? cfg->sources[0] : "no file";
}

const ldm_value *ldm_config_root(const ldm_config *cfg)
{
    return ldm_tree_root(cfg);
}

/* Whether any text below v refers to a map or a list. The tree is LDM_CONFIG_MAX_DEPTH deep at
 * most. */
static bool refers(const ldm_value *root, const ldm_value *v)
{
    size_t i;

    if (v->kind == LDM_VALUE_STRING)
        return ldm_reference_target(root, v) != NULL;
    for (i = 0; ldm_tree_is_container(v) && i < v->u.list.count; i++) {
        if (refers(root, v->u.list.items[i]))
            return true;
    }
    return false;
}

/* A reference that contains itself ends at the depth that a configuration may have. */
ldm_status ldm_config_replace(ldm_config *cfg, const char *name, ldm_arena *arena, ldm_value *root,
                              ldm_error *err)
{
    ldm_builder b = {.cfg = cfg, .name = name, .references = root};
    ldm_value *resolved = NULL;
    ldm_status st = LDM_OK;

    if (refers(root, root)) {
        b.arena = ldm_arena_create(LDM_CONFIG_MAX_ARENA);
        st = b.arena ? ldm_tree_merge(&b, root, NULL, "", "", 0, &resolved, err)
                     : ldm_error_nomem(err, 0, "the configuration");
    }
    if (st) {
        ldm_arena_free(b.arena);
        ldm_arena_free(arena);
        return st;
    }
    ldm_arena_free(cfg->arena);
    ldm_arena_free(cfg->resolved_arena);
    cfg->arena = arena;
    cfg->root = root;
    cfg->resolved_arena = b.arena;
    cfg->resolved = resolved;
    return LDM_OK;
}
