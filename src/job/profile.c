/* SPDX-License-Identifier: MIT */
/* Reading the `ldm:` section; see profile.h. */
#include "job/profile.h"

#include <string.h>

#include "base/error.h"

/* Finds a key's value among the allowed ones. Every key of `map` must be one of `keys`. */
static ldm_status check_keys(const ldm_value *map, const char *const *keys, const char *expected,
                             ldm_error *err)
{
    size_t i, k;

    if (ldm_value_get_kind(map) != LDM_VALUE_MAP)
        return ldm_value_error(map, err, "is %s, expected a map of %s",
                               ldm_value_kind_name(ldm_value_get_kind(map)), expected);
    for (i = 0; i < ldm_value_count(map); i++) {
        const ldm_value *v = ldm_value_at(map, i);

        for (k = 0; keys[k] && strcmp(keys[k], ldm_value_key(v)); k++)
            ;
        if (!keys[k])
            return ldm_value_error(v, err, "is unknown, expected %s", expected);
    }
    return LDM_OK;
}

static ldm_status read_rename(const ldm_value *map, ldm_arena *arena, ldm_profile *p,
                              ldm_error *err)
{
    size_t i, n = ldm_value_count(map);
    ldm_status st;

    if (ldm_value_get_kind(map) != LDM_VALUE_MAP)
        return ldm_value_error(map, err, "is %s, expected a map of old: new",
                               ldm_value_kind_name(ldm_value_get_kind(map)));
    p->rename = ldm_arena_alloc(arena, n, sizeof *p->rename);
    if (n && !p->rename)
        return ldm_error_nomem(err, n * sizeof *p->rename, "renaming rules");
    for (i = 0; i < n; i++) {
        const ldm_value *v = ldm_value_at(map, i);

        p->rename[i].from = ldm_value_key(v);
        if (!p->rename[i].from[strspn(p->rename[i].from, "^")])
            return ldm_value_error(v, err, "an empty text cannot be renamed");
        st = ldm_value_string(v, &p->rename[i].to, err);
        if (st)
            return st;
    }
    p->rename_count = n;
    return LDM_OK;
}

static ldm_status read_load(const ldm_value *map, ldm_arena *arena, ldm_profile *p, ldm_error *err)
{
    static const char *const keys[] = {"strict", "rename", "missing", "seed", NULL};
    const ldm_value *v;
    const char *missing;
    int64_t seed;
    ldm_status st = check_keys(map, keys, "strict, rename, missing, seed", err);

    if (st)
        return st;
    v = ldm_value_find(map, "strict");
    if (v && (st = ldm_value_bool(v, &p->strict, err)))
        return st;
    v = ldm_value_find(map, "rename");
    if (v && (st = read_rename(v, arena, p, err)))
        return st;
    v = ldm_value_find(map, "missing");
    if (v) {
        st = ldm_value_string(v, &missing, err);
        if (st)
            return st;
        p->init_missing = strcmp(missing, "init") == 0;
        if (!p->init_missing && strcmp(missing, "error"))
            return ldm_value_error(v, err, "is \"%s\", expected error or init", missing);
        if (p->init_missing && p->strict)
            return ldm_value_error(v, err, "is init beside strict: true; choose one");
    }
    v = ldm_value_find(map, "seed");
    if (v) {
        st = ldm_value_int(v, &seed, err);
        if (st)
            return st;
        p->seed = (uint64_t)seed;
    }
    return LDM_OK;
}

ldm_status ldm_profile_read(const ldm_config *cfg, ldm_arena *arena, ldm_profile *out,
                            ldm_error *err)
{
    static const char *const keys[] = {"description", "sampling", "load", NULL};
    const ldm_value *section = ldm_value_find(ldm_config_root(cfg), "ldm"), *v;
    ldm_status st;

    memset(out, 0, sizeof *out);
    st = ldm_job_begin(&out->sampling, err);
    if (st || !section)
        return st;
    st = check_keys(section, keys, "description, sampling, load", err);
    if (st)
        return st;
    v = ldm_value_find(section, "description");
    if (v && (st = ldm_value_string(v, &out->description, err)))
        return st;
    v = ldm_value_find(section, "sampling");
    if (v && (st = ldm_options_read_config(&out->sampling.options, v, err)))
        return st;
    v = ldm_value_find(section, "load");
    return v ? read_load(v, arena, out, err) : LDM_OK;
}

void ldm_profile_free(ldm_profile *p)
{
    ldm_options_finish(&p->sampling.options);
}
