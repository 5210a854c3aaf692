/* SPDX-License-Identifier: MIT */
/* One branch of a configuration as a configuration of its own: a part of a model can then be read
 * among other parts than those that it was written with. */
#include <string.h>

#include "config/tree.h"

/* Copies v. A text that refers to a scalar becomes that scalar, since what it refers to is left
 * behind; references to maps and lists were resolved when the configuration was read. */
static ldm_status copy(ldm_builder *b, const ldm_value *v, const char *key, const char *parent_path,
                       int depth, ldm_value **out, ldm_error *err)
{
    const char *why;
    const ldm_value *scalar = ldm_tree_is_container(v) ? v : ldm_tree_resolve(v, &why);
    ldm_value like = scalar ? *scalar : *v; /* what cannot be resolved is copied as it is */
    size_t i;
    ldm_status st;

    like.source = v->source;
    like.line = v->line;
    like.column = v->column;
    st = ldm_tree_node(b, &like, ldm_value_count(v), key, parent_path, depth, out, err);
    for (i = 0; !st && i < ldm_value_count(v); i++) {
        const ldm_value *item = ldm_value_at(v, i);

        st = copy(b, item, item->key, (*out)->path, depth + 1, &(*out)->u.list.items[i], err);
        (*out)->u.list.count = i + 1;
    }
    if (!st && v->kind == LDM_VALUE_MAP && !ldm_map_sort(*out, b->arena))
        st = ldm_error_nomem(err, 0, "the configuration");
    return st;
}

/* Cuts the first part off a path of map keys; returns what follows it, NULL at the end. */
static const char *cut(const char *path, char part[LDM_CONFIG_MAX_KEY + 1])
{
    const size_t len = strcspn(path, ".");
    const size_t kept = len < LDM_CONFIG_MAX_KEY ? len : LDM_CONFIG_MAX_KEY;

    memcpy(part, path, kept);
    part[kept] = '\0';
    return path[len] ? path + len + 1 : NULL;
}

/* A copy of v with nothing in it but what lies along `path`, which leads() has walked; NULL: all of
 * it. */
static ldm_status branch(ldm_builder *b, const ldm_value *v, const char *path, const char *key,
                         const char *parent_path, int depth, ldm_value **out, ldm_error *err)
{
    char part[LDM_CONFIG_MAX_KEY + 1];
    ldm_status st;

    if (!path)
        return copy(b, v, key, parent_path, depth, out, err);
    path = cut(path, part);
    st = ldm_tree_node(b, v, 1, key, parent_path, depth, out, err);
    if (!st)
        st = branch(b, ldm_map_get(v, part), path, part, (*out)->path, depth + 1,
                    (*out)->u.list.items, err);
    if (st)
        return st;
    (*out)->u.list.count = 1;
    return ldm_map_sort(*out, b->arena) ? LDM_OK : ldm_error_nomem(err, 0, "the configuration");
}

/* Whether maps lead along the path to its end. */
static bool leads(const ldm_value *v, const char *path)
{
    char part[LDM_CONFIG_MAX_KEY + 1];

    while (v && path) {
        if (v->kind != LDM_VALUE_MAP)
            return false;
        path = cut(path, part);
        v = ldm_map_get(v, part);
    }
    return v != NULL;
}

ldm_status ldm_config_extract(const ldm_config *src, const char *path, ldm_config **out,
                              ldm_error *err)
{
    ldm_builder b = {.name = path};
    ldm_value *root;
    ldm_status st;

    *out = NULL;
    if (!leads(ldm_tree_root(src), path))
        return ldm_error_set(err, LDM_ERR_CONFIG, "the configuration has no %.200s", path);
    st = ldm_config_create(out, err);
    if (st)
        return st;
    b.cfg = *out;
    b.arena = ldm_arena_create(LDM_CONFIG_MAX_ARENA);
    if (!b.arena)
        st = ldm_error_nomem(err, 0, "the configuration");
    if (!st)
        st = branch(&b, ldm_tree_root(src), path, "", "", 0, &root, err);
    if (!st) {
        st = ldm_config_replace(*out, path, b.arena, root, err);
        b.arena = NULL;
    }
    ldm_arena_free(b.arena);
    if (st) {
        ldm_config_free(*out);
        *out = NULL;
    }
    return st;
}
