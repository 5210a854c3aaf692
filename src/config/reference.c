/* SPDX-License-Identifier: MIT */
/* References to maps and lists. OmegaConf reads `channel_mult: ${widths}` as the list that stands
 * at `widths`; here a copy of it takes the text's place in a second tree, which the accessors see.
 * The tree as written stays for later layers and for emitting. References to scalars are read where
 * they stand (value.c). */
#include <string.h>

#include "config/tree.h"

enum { MAX_REFERENCES = 16 }; /* ${a} -> ${b} -> ... */

static const ldm_value *target_of(const ldm_value *root, const ldm_value *v, int *left);

/* As ldm_value_find, but follows references on the path. */
static const ldm_value *find_through(const ldm_value *root, const char *path, int *left)
{
    const ldm_value *v = root;
    const char *part = path;

    while (v && part) {
        char key[LDM_CONFIG_MAX_KEY + 1];
        size_t len, index;
        const char *next = ldm_path_part(&part, &len);

        if (!ldm_tree_is_container(v))
            v = target_of(root, v, left);
        if (!v || len >= sizeof key)
            return NULL;
        memcpy(key, part, len);
        key[len] = '\0';
        if (v->kind == LDM_VALUE_MAP)
            v = ldm_map_get(v, key);
        else
            v = ldm_parse_index(key, v->u.list.count, &index) ? v->u.list.items[index] : NULL;
        part = next;
    }
    return v;
}

/* The map or list that a text refers to, directly or through further references; NULL if there is
 * none. *left: how many references may still be followed, so that a: ${a.b} ends. */
static const ldm_value *target_of(const ldm_value *root, const ldm_value *v, int *left)
{
    char path[512];

    while (v && v->kind == LDM_VALUE_STRING) {
        if (!ldm_reference_path(v->u.text, path, sizeof path) || --*left < 0)
            return NULL;
        v = find_through(root, path, left);
    }
    return v && ldm_tree_is_container(v) ? v : NULL;
}

const ldm_value *ldm_reference_target(const ldm_value *root, const ldm_value *v)
{
    int left = MAX_REFERENCES;

    return v->kind == LDM_VALUE_STRING ? target_of(root, v, &left) : NULL;
}
