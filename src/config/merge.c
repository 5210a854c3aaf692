/* SPDX-License-Identifier: MIT */
/* Building trees: copies with another tree laid over them, as OmegaConf.merge does. */
#include <stdlib.h>
#include <string.h>

#include "config/tree.h"

/* The arena is exhausted: either the input is too large, or the machine has no more memory. */
static ldm_status no_room(const ldm_builder *b, ldm_error *err)
{
    if (ldm_arena_over_limit(b->arena))
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "%s: the configuration takes more than %llu MB of memory; make it "
                             "smaller",
                             b->name, (unsigned long long)(LDM_CONFIG_MAX_ARENA >> 20));
    return ldm_error_nomem(err, 0, "the configuration");
}

ldm_status ldm_tree_node(ldm_builder *b, const ldm_value *like, size_t count, const char *key,
                         const char *parent_path, int depth, ldm_value **out, ldm_error *err)
{
    const bool container = like->kind == LDM_VALUE_MAP || like->kind == LDM_VALUE_LIST;
    ldm_value *v;

    if (++b->values > LDM_CONFIG_MAX_VALUES)
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "%s: more than %zu values once its aliases are expanded; make it "
                             "smaller",
                             b->name, LDM_CONFIG_MAX_VALUES);
    if (container && depth >= LDM_CONFIG_MAX_DEPTH)
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "%s: %.100s is nested deeper than %d levels; make it flatter", b->name,
                             *parent_path ? parent_path : key, LDM_CONFIG_MAX_DEPTH);
    v = ldm_arena_alloc(b->arena, 1, sizeof *v);
    if (!v)
        return no_room(b, err);
    *v = *like;
    v->cfg = b->cfg;
    v->key = ldm_arena_strdup(b->arena, key);
    v->path = *parent_path ? ldm_arena_printf(b->arena, "%s.%s", parent_path, key) : v->key;
    if (!v->key || !v->path)
        return no_room(b, err);
    if (container) {
        v->u.list.count = 0;
        v->u.list.sorted = NULL;
        v->u.list.items = ldm_arena_alloc(b->arena, count, sizeof *v->u.list.items);
        if (!v->u.list.items)
            return no_room(b, err);
    } else if (like->kind == LDM_VALUE_STRING) {
        v->u.text = ldm_arena_strdup(b->arena, like->u.text);
        if (!v->u.text)
            return no_room(b, err);
    }
    *out = v;
    return LDM_OK;
}

ldm_status ldm_tree_merge(ldm_builder *b, const ldm_value *base, const ldm_value *over,
                          const char *key, const char *parent_path, int depth, ldm_value **out,
                          ldm_error *err)
{
    const ldm_value *target =
        base && b->references ? ldm_reference_target(b->references, base) : NULL;
    const bool both = base && over && base->kind == LDM_VALUE_MAP && over->kind == LDM_VALUE_MAP;
    const ldm_value *first = both || !over ? (target ? target : base) : over;
    const bool container = first->kind == LDM_VALUE_MAP || first->kind == LDM_VALUE_LIST;
    size_t count = container ? first->u.list.count : 0, i;
    ldm_value *v = NULL;
    ldm_status st;

    /* Two maps become one that stands where the first was written. */
    st = ldm_tree_node(b, first, count + (both ? over->u.list.count : 0), key, parent_path, depth,
                       &v, err);
    if (st || !container) {
        *out = v;
        return st;
    }
    for (i = 0; i < count; i++) {
        const ldm_value *item = first->u.list.items[i];
        const ldm_value *cover = both ? ldm_map_get(over, item->key) : NULL;

        st = ldm_tree_merge(b, item, cover, item->key, v->path, depth + 1,
                            &v->u.list.items[v->u.list.count], err);
        if (st)
            return st;
        v->u.list.count++;
    }
    for (i = 0; both && i < over->u.list.count; i++) {
        const ldm_value *item = over->u.list.items[i];

        if (ldm_map_get(base, item->key))
            continue;
        st = ldm_tree_merge(b, NULL, item, item->key, v->path, depth + 1,
                            &v->u.list.items[v->u.list.count], err);
        if (st)
            return st;
        v->u.list.count++;
    }
    if (v->kind == LDM_VALUE_MAP && !ldm_map_sort(v, b->arena))
        return no_room(b, err);
    *out = v;
    return LDM_OK;
}
