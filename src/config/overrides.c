/* SPDX-License-Identifier: MIT */
/* `--set a.b.c=value`: OmegaConf's dot-list, one assignment at a time.
 *
 * Stricter than OmegaConf in two cases that usually are typing errors: an assignment without "=",
 * and a path that leads through a number, a text or a truth value. */
#include <string.h>

#include "base/alloc.h"
#include "config/config.h"
#include "config/tree.h"

static const char source_name[] = "--set";

bool ldm_origin_is_override(const ldm_origin *o)
{
    return o->source && !o->line && !strcmp(o->source, source_name);
}

typedef struct assignment {
    const char *name; /* "--set a.b.c", for messages */
    char **parts;     /* of the path */
    size_t count;
    const ldm_value *value;
} assignment;

static bool is_container(const ldm_value *v)
{
    return v->kind == LDM_VALUE_MAP || v->kind == LDM_VALUE_LIST;
}

/* Copies `base` (NULL: nothing is there yet) and lays the assigned value over what stands at the
 * path's parts from `part` on. Everything else stays. */
static ldm_status assign(ldm_builder *b, const assignment *as, size_t part, const ldm_value *base,
                         const char *key, const char *parent_path, int depth, ldm_value **out,
                         ldm_error *err)
{
    const ldm_value new_map = {.kind = LDM_VALUE_MAP, .source = source_name};
    const char *name;
    ldm_value *v;
    size_t index = 0, i;
    bool found = false;
    ldm_status st;

    if (part == as->count)
        return ldm_tree_merge(b, base, as->value, key, parent_path, depth, out, err);
    name = as->parts[part];
    if (!base || base->kind == LDM_VALUE_NULL)
        base = &new_map;
    if (!is_container(base))
        return ldm_value_error(base, err,
                               "is %s, which has no entry %.100s; %s cannot be set below it",
                               ldm_value_kind_name(base->kind), name, as->name);
    if (base->kind == LDM_VALUE_LIST && !ldm_parse_index(name, base->u.list.count, &index))
        return ldm_value_error(base, err,
                               "is a list of %zu; %.100s is not the number of an entry "
                               "(counted from 0)",
                               base->u.list.count, name);
    st = ldm_tree_node(b, base, base->u.list.count + 1, key, parent_path, depth, &v, err);
    for (i = 0; !st && i < base->u.list.count; i++) {
        const ldm_value *item = base->u.list.items[i];
        const bool here = base->kind == LDM_VALUE_LIST ? i == index : !strcmp(item->key, name);

        found |= here;
        st = here ? assign(b, as, part + 1, item, item->key, v->path, depth + 1,
                           &v->u.list.items[i], err)
                  : ldm_tree_merge(b, item, NULL, item->key, v->path, depth + 1,
                                   &v->u.list.items[i], err);
        v->u.list.count = i + 1;
    }
    if (!st && !found) {
        st = assign(b, as, part + 1, NULL, name, v->path, depth + 1, &v->u.list.items[i], err);
        v->u.list.count = i + 1;
    }
    if (!st && v->kind == LDM_VALUE_MAP && !ldm_map_sort(v, b->arena))
        st = ldm_error_nomem(err, 0, "the configuration");
    *out = v;
    return st;
}

/* Cuts the path into as->parts. */
static ldm_status split(assignment *as, const char *path, ldm_arena *scratch, ldm_error *err)
{
    size_t cap = 0, len;

    while (path) {
        const char *next = ldm_path_part(&path, &len);

        if (!len)
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "%.300s: a part of the key is empty; write it as a.b.c=value",
                                 as->name);
        if (strchr(" \t", path[0]) || strchr(" \t", path[len - 1]))
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "%.300s: a blank beside a key; write a.b.c=value without it",
                                 as->name);
        if (len > LDM_CONFIG_MAX_KEY || as->count >= LDM_CONFIG_MAX_DEPTH)
            return ldm_error_set(err, LDM_ERR_LIMIT, "%.300s: the key is too long", as->name);
        if (!ldm_grow(&as->parts, &cap, as->count + 1, sizeof *as->parts))
            return ldm_error_nomem(err, 0, "the key of --set");
        as->parts[as->count] = ldm_arena_strndup(scratch, path, len);
        if (!as->parts[as->count++])
            return ldm_error_nomem(err, 0, "the key of --set");
        path = next;
    }
    return LDM_OK;
}

ldm_status ldm_config_set(ldm_config *cfg, const char *text, ldm_error *err)
{
    const char *equals = strchr(text, '=');
    ldm_value null_value = {.kind = LDM_VALUE_NULL, .source = source_name};
    ldm_yaml_input in = {.source = source_name};
    assignment as = {.name = NULL};
    ldm_builder b = {.cfg = cfg};
    ldm_arena *scratch = NULL;
    ldm_value *value = NULL, *root;
    ldm_c_locale locale;
    const char *path;
    ldm_status st;

    if (!equals)
        return ldm_error_set(err, LDM_ERR_USAGE, "--set %.300s: no \"=\"; write it as a.b.c=value",
                             text);
    if (!ldm_c_locale_enter(&locale))
        return ldm_error_nomem(err, 0, "number parsing");
    scratch = ldm_arena_create(LDM_CONFIG_MAX_ARENA);
    b.arena = ldm_arena_create(LDM_CONFIG_MAX_ARENA);
    path = scratch ? ldm_arena_strndup(scratch, text, (size_t)(equals - text)) : NULL;
    as.name = path ? ldm_arena_printf(scratch, "--set %.200s", path) : NULL;
    if (!b.arena || !as.name) {
        st = ldm_error_nomem(err, 0, "the configuration");
        goto done;
    }
    b.name = in.name = as.name;
    in.text = path;
    in.size = strlen(path);
    st = ldm_yaml_check_text(&in, err);
    if (!st)
        st = split(&as, path, scratch, err);
    if (st)
        goto done;
    in.text = equals + 1;
    in.size = strlen(equals + 1);
    st = ldm_yaml_parse(&in, scratch, &value, err);
    if (st)
        goto done;
    as.value = value ? value : &null_value; /* "a.b=" is null, as in OmegaConf */
    st = assign(&b, &as, 0, cfg->root, "", "", 0, &root, err);
    if (st)
        goto done;
    st = ldm_config_replace(cfg, as.name, b.arena, root, err);
    b.arena = NULL;
done:
    ldm_free(as.parts);
    ldm_arena_free(b.arena);
    ldm_arena_free(scratch);
    ldm_c_locale_leave(&locale);
    return st;
}
