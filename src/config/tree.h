/* SPDX-License-Identifier: MIT */
/* The inside of the config tree, for the files of this room only.
 *
 * A parser builds a tree of its own in a scratch arena, in which aliases share their targets. The
 * builder below merges a copy of it and of the present tree into a fresh arena. Only a complete
 * result replaces the old tree: a failed load changes nothing, and old text does not accumulate. */
#ifndef LDM_CONFIG_TREE_H
#define LDM_CONFIG_TREE_H

#include "base/arena.h"
#include "config/config.h"

/* Caps on hostile input; a CompVis file has about 150 values in 6 levels. */
#define LDM_CONFIG_MAX_BYTES ((size_t)4 << 20)
#define LDM_CONFIG_MAX_DEPTH 64
#define LDM_CONFIG_MAX_VALUES ((size_t)1 << 17)
#define LDM_CONFIG_MAX_INDICATORS LDM_CONFIG_MAX_VALUES /* [ ] { } , : - and the like */
#define LDM_CONFIG_MAX_ANCHORS 1024
#define LDM_CONFIG_MAX_KEY                                                                         \
    200 /* bytes; YAML itself ends a simple key at 1024, escapes included                          \
         */
#define LDM_CONFIG_MAX_ARENA ((uint64_t)256 << 20)

struct ldm_value {
    const ldm_config *cfg; /* where ${...} looks; NULL in a parser's tree */
    const char *key, *path;
    const char *source;
    int line, column;
    int key_line, key_column; /* of its key, while parsing */
    ldm_value_kind kind;
    union {
        bool truth;
        int64_t integer;
        double real;
        const char *text;
        struct {
            ldm_value **items;  /* in order of writing */
            ldm_value **sorted; /* maps: the same by key, for the lookup */
            size_t count;
        } list;
    } u;
};

struct ldm_config {
    ldm_arena *arena; /* of root and all below it */
    ldm_value *root;  /* as it was written */
    ldm_arena *resolved_arena;
    ldm_value *resolved; /* with copies in the place of references to maps and lists; NULL: there
                            are none, and root is what the accessors see */
    char **sources;      /* names that origins point at; they outlive the arenas */
    size_t source_count, source_cap;
};

/* A map or a list. */
static inline bool ldm_tree_is_container(const ldm_value *v)
{
    return v->kind == LDM_VALUE_MAP || v->kind == LDM_VALUE_LIST;
}

/* What the accessors see. */
static inline const ldm_value *ldm_tree_root(const ldm_config *cfg)
{
    return cfg->resolved ? cfg->resolved : cfg->root;
}

/* What OmegaConf's YAML loader makes of a plain scalar: sets kind and value, and text as given (not
 * copied) where it is a string. Numbers need the "C" locale of ldm_c_locale_enter. */
void ldm_scalar_resolve(const char *text, ldm_value *v);

/* Numbers are read and written with a point whatever the caller's locale is. Thread-local; enter
 * returns false when out of memory, and then there is nothing to leave. */
typedef struct ldm_c_locale {
    void *own, *old;
} ldm_c_locale;
bool ldm_c_locale_enter(ldm_c_locale *l);
void ldm_c_locale_leave(ldm_c_locale *l);

typedef struct ldm_yaml_input {
    const char *name;   /* for messages */
    const char *source; /* for origins; kept, not copied */
    const char *text;
    size_t size;
    bool positions; /* false: values get line 0 */
} ldm_yaml_input;

/* Parses one document into `arena`. *out is NULL for an empty one. */
ldm_status ldm_yaml_parse(const ldm_yaml_input *in, ldm_arena *arena, ldm_value **out,
                          ldm_error *err);

/* Refuses text that is not UTF-8, holds characters that YAML forbids, or has more indicators than
 * the values of a configuration can need. */
ldm_status ldm_yaml_check_text(const ldm_yaml_input *in, ldm_error *err);

/* Sorts a map's entries for ldm_map_get; false when out of memory. */
bool ldm_map_sort(ldm_value *map, ldm_arena *arena);
ldm_value *ldm_map_get(const ldm_value *map, const char *key);

/* A list index in decimal ("0", "12") below count. */
bool ldm_parse_index(const char *text, size_t count, size_t *out);

/* Splits the first part off a dotted path ("a.b", "a[0].b"). Returns where the next part begins, or
 * NULL after the last one. *len is the length of the part at *path; an opening bracket at *path is
 * skipped.
 */
const char *ldm_path_part(const char **path, size_t *len);

typedef struct ldm_builder {
    ldm_arena *arena;
    const ldm_config *cfg;
    const char *name; /* of the layer, for messages */
    size_t values;
    const ldm_value
        *references; /* root in which texts that refer to maps and lists are looked up, and
                        copies take their place; NULL: texts are copied as they are */
} ldm_builder;

/* A copy of `base` with `over` laid over it, either of which may be NULL, but not both. */
ldm_status ldm_tree_merge(ldm_builder *b, const ldm_value *base, const ldm_value *over,
                          const char *key, const char *parent_path, int depth, ldm_value **out,
                          ldm_error *err);

/* A new node in the builder's arena: `like`'s origin and value, its own key and path, no entries
 * yet but room for `count`. */
ldm_status ldm_tree_node(ldm_builder *b, const ldm_value *like, size_t count, const char *key,
                         const char *parent_path, int depth, ldm_value **out, ldm_error *err);

/* value.c. The scalar that a value stands for: itself, or the target of a text that is one
 * reference
 * ${a.b.c}. NULL, and a reason in *why, if there is none. */
const ldm_value *ldm_tree_resolve(const ldm_value *v, const char **why);

/* path.c. The path in a text that is one reference, ${a.b.c}; false: it is none. */
bool ldm_reference_path(const char *text, char *path, size_t cap);
/* reference.c. The map or list below root that the text v refers to, by way of other references if
 * need be; NULL: none. */
const ldm_value *ldm_reference_target(const ldm_value *root, const ldm_value *v);
/* Makes root the config's tree and resolves its references. The config owns the arena afterwards.
 * On failure the arena is freed and the config stays as it was. */
ldm_status ldm_config_replace(ldm_config *cfg, const char *name, ldm_arena *arena, ldm_value *root,
                              ldm_error *err);

#endif
