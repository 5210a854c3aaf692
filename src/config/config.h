/* SPDX-License-Identifier: MIT */
/* Configuration: CompVis YAML files as one tree whose values remember where they were written.
 *
 * Layers are laid over each other in the order of the calls, as OmegaConf.merge does: maps merge
 * key by key, everything else is replaced. Scalars are typed as OmegaConf types plain YAML scalars
 * (`4.5e-06`, `1e-6`, `1_000`, `True`, `null`, `~`; quoted ones stay text). */
#ifndef LDM_CONFIG_CONFIG_H
#define LDM_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

typedef struct ldm_config ldm_config;

/* A node of the tree; owned by its config and valid until its next load, set or free. */
typedef struct ldm_value ldm_value;

typedef enum ldm_value_kind {
    LDM_VALUE_NULL,
    LDM_VALUE_BOOL,
    LDM_VALUE_INT,
    LDM_VALUE_FLOAT,
    LDM_VALUE_STRING,
    LDM_VALUE_LIST,
    LDM_VALUE_MAP
} ldm_value_kind;

/* Where a value was written. `source` is a file name, or "--set" for an override (line 0). */
typedef struct ldm_origin {
    const char *source; /* NULL: nowhere (a default) */
    int line, column;   /* 1-based; 0 where there is none */
} ldm_origin;

bool ldm_origin_is_override(const ldm_origin *o); /* of --set */

ldm_status ldm_config_create(ldm_config **out, ldm_error *err);
void ldm_config_free(ldm_config *cfg); /* NULL is fine */

/* Parses a YAML file (or `size` bytes of text called `name`) and lays it over what is there. On
 * failure the config stays as it was; the error has line and column and names the file. */
ldm_status ldm_config_load(ldm_config *cfg, const char *path, ldm_error *err);
ldm_status ldm_config_load_text(ldm_config *cfg, const char *name, const char *text, size_t size,
                                ldm_error *err);

/* One OmegaConf dot-list assignment, "model.params.scale_factor=1.0". The value is YAML, flow lists
 * and maps included; an empty value is null. List elements are addressed by number
 * ("attention_resolutions.0=8" or "attention_resolutions[0]=8"). Missing maps on the path are
 * created, and a null on the path is replaced by a map; a path through another scalar is an error.
 */
ldm_status ldm_config_set(ldm_config *cfg, const char *assignment, ldm_error *err);

/* A configuration of its own that holds the value at a dotted path of map keys and nothing beside
 * it: references are resolved, places are kept. LDM_ERR_CONFIG where nothing stands at the path.
 * The names of its files are src's, which must outlive it. */
ldm_status ldm_config_extract(const ldm_config *src, const char *path, ldm_config **out,
                              ldm_error *err);

/* The root map; never NULL. */
const ldm_value *ldm_config_root(const ldm_config *cfg);

/* The name of the first file, for messages about the whole configuration. */
const char *ldm_config_file(const ldm_config *cfg);

/* The value at a dotted path below `v`, NULL where there is none (or v is NULL). */
const ldm_value *ldm_value_find(const ldm_value *v, const char *path);

/* A text that consists of one reference, ${a.b.c}, reads as the value at that path of the whole
 * config, here and in the accessors below. Every other interpolation, and the text ???, is an
 * LDM_VALUE_STRING; it is an error only when an accessor reads it. */
ldm_value_kind ldm_value_get_kind(const ldm_value *v);
const char *ldm_value_kind_name(ldm_value_kind kind); /* "a number", "a list", ... for messages */
ldm_origin ldm_value_origin(const ldm_value *v);
const char *ldm_value_path(const ldm_value *v); /* full dotted path, "" for the root */
const char *ldm_value_key(const ldm_value *v);  /* last part of the path */

/* Entries of a map or list, in order; 0 and NULL for others. */
size_t ldm_value_count(const ldm_value *v);
const ldm_value *ldm_value_at(const ldm_value *v, size_t i);

/* Scalars. Each fails with LDM_ERR_CONFIG, file:line:column, path, what was found and expected when
 * the kind does not fit. An int is accepted as a double, a bool is not accepted as an int; a float
 * with an integral value (8.0) is accepted as an int. */
ldm_status ldm_value_bool(const ldm_value *v, bool *out, ldm_error *err);
ldm_status ldm_value_int(const ldm_value *v, int64_t *out, ldm_error *err);
ldm_status ldm_value_double(const ldm_value *v, double *out, ldm_error *err);
ldm_status ldm_value_string(const ldm_value *v, const char **out, ldm_error *err);

/* Error at a value's place: "FILE:LINE:COL: path: message". */
ldm_status ldm_value_error(const ldm_value *v, ldm_error *err, const char *fmt, ...)
    LDM_PRINTF(3, 4);

/* yaml_edit.c: `text` (a YAML file called `name`) with these assignments in it, everything else as
 * it was: comments, order, blank lines. Where an edit in place does not give the tree that the
 * assignments mean, the tree is written anew (comments are lost then). */
ldm_status ldm_yaml_edit(const char *name, const char *text, const char *const *sets, size_t count,
                         ldm_str *out, ldm_error *err);

/* The merged tree as YAML text that ldm_config_load_text reads back to the same tree. */
void ldm_config_emit(const ldm_config *cfg, ldm_str *out);

#endif
