/* References to maps and lists. OmegaConf reads `channel_mult: ${widths}` as the list that stands
 * at `widths`; here a copy of it takes the text's place in a second tree, which the accessors see.
 * The tree as written stays for later layers and for emitting. References to scalars are read where
 * they stand (value.c). */
#include <string.h>

#include "config/tree.h"

enum { MAX_REFERENCES = 16 }; /* ${a} -> ${b} -> ... */

static bool is_container(const ldm_value *v)
{
    return v->kind == LDM_VALUE_MAP || v->kind == LDM_VALUE_LIST;
}

bool ldm_reference_path(const char *text, char *path, size_t cap)
{
    const size_t len = strlen(text);

    if (strncmp(text, "${", 2) != 0 || text[len - 1] != '}' || len == 3 || len - 3 >= cap ||
        text[2] == '.' || strcspn(text + 2, "${}:'\" ") != len - 3)
        return false;
    memcpy(path, text + 2, len - 3);
    path[len - 3] = '\0';
    return true;
}

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

        if (!is_container(v))
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
    return v && is_container(v) ? v : NULL;
}

const ldm_value *ldm_reference_target(const ldm_value *root, const ldm_value *v)
{
    int left = MAX_REFERENCES;

    return v->kind == LDM_VALUE_STRING ? target_of(root, v, &left) : NULL;
}

/* Whether any text below v refers to a map or a list. The tree is LDM_CONFIG_MAX_DEPTH deep at
 * most. */
static bool refers(const ldm_value *root, const ldm_value *v)
{
    size_t i;

    if (v->kind == LDM_VALUE_STRING)
        return ldm_reference_target(root, v) != NULL;
    for (i = 0; is_container(v) && i < v->u.list.count; i++) {
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
