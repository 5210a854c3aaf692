/* SPDX-License-Identifier: MIT */
/* From a configuration's target to the part that it names. */
#include "network/registry.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/str.h"

static const struct {
    const char *target;
    const ldm_network_part *part;
} rows[] = {
#define LDM_PART_ROW(target, part) {target, &part},
    LDM_PART_LIST(LDM_PART_ROW)};

enum { ROWS = sizeof rows / sizeof rows[0] };

static const char *role_name(ldm_role role)
{
    static const char *const names[] = {
        [LDM_ROLE_MODEL] = "models",
        [LDM_ROLE_UNET] = "UNets",
        [LDM_ROLE_FIRST_STAGE] = "first stages",
        [LDM_ROLE_CONDITIONER] = "conditioners",
        [LDM_ROLE_LOW_SCALE] = "models of low-resolution pictures",
    };

    return names[role];
}

/* "A, B or C": the targets of a role. */
static void put_targets(ldm_role role, ldm_str *out)
{
    int of_role[ROWS], n = 0, i;

    for (i = 0; i < ROWS; i++) {
        if (rows[i].part->role == role)
            of_role[n++] = i;
    }
    for (i = 0; i < n; i++)
        ldm_str_printf(out, "%s%s", !i ? "" : i == n - 1 ? " or " : ", ", rows[of_role[i]].target);
}

/* The known target of a role that is spelled alike: a few letters off, of another case, or the
 * class without its module. NULL: none. */
static const char *nearest(ldm_role role, const char *target)
{
    enum { FAR = 4 };
    size_t best = FAR;
    const char *found = NULL;

    for (int i = 0; i < ROWS; i++) {
        const char *name = strrchr(rows[i].target, '.');
        size_t d;

        if (rows[i].part->role != role)
            continue;
        d = ldm_edit_distance(rows[i].target, target, FAR - 1);
        if (!strcasecmp(rows[i].target, target) ||
            (name && !strchr(target, '.') && !strcasecmp(name + 1, target)))
            d = 1;
        if (d < best) {
            best = d;
            found = rows[i].target;
        }
    }
    return found;
}

static ldm_status refuse(const ldm_value *at, ldm_role role, const char *target, ldm_error *err)
{
    const char *near = target ? nearest(role, target) : NULL;
    ldm_str list = {0};
    ldm_status st = target ? LDM_ERR_UNSUPPORTED : LDM_ERR_CONFIG;

    put_targets(role, &list);
    if (list.failed)
        st = ldm_error_nomem(err, 0, "the list of targets");
    else if (target && near)
        ldm_value_error(at, err, "is %.120s (did you mean %s?); of %s ldm knows %s", target, near,
                        role_name(role), list.data);
    else if (target)
        ldm_value_error(at, err, "is %.120s; of %s ldm knows %s", target, role_name(role),
                        list.data);
    else
        ldm_value_error(at, err, "target is missing, expected %s", list.data);
    if (err)
        err->code = st;
    ldm_str_free(&list);
    return st;
}

static const ldm_network_part *find(ldm_role role, const char *target)
{
    int i;

    for (i = 0; i < ROWS; i++) {
        if (rows[i].part->role == role && strcmp(rows[i].target, target) == 0)
            return rows[i].part;
    }
    return NULL;
}

ldm_status ldm_part_open(ldm_param_reader *r, ldm_role role, const ldm_value *at, const char *path,
                         ldm_module *m, const ldm_network_part **part)
{
    const ldm_value *target = at;
    ldm_status st;

    *m = (ldm_module){.at = at};
    if (ldm_value_get_kind(at) == LDM_VALUE_MAP) {
        target = ldm_value_find(at, "target");
        if (!target) {
            st = ldm_params_missing(at, "target", NULL, r->err);
            return st ? st : refuse(at, role, NULL, r->err);
        }
        m->params = ldm_value_find(at, "params");
    } else if (role != LDM_ROLE_CONDITIONER || ldm_value_get_kind(at) != LDM_VALUE_STRING) {
        return ldm_value_error(at, r->err, "is %s, expected a map with target and params",
                               ldm_value_kind_name(ldm_value_get_kind(at)));
    }
    st = ldm_value_string(target, &m->target, r->err);
    if (st)
        return st;
    m->path = ldm_arena_printf(r->network->priv->arena, "%s.params", path);
    if (!m->path)
        return ldm_error_nomem(r->err, 0, "the network's description");
    *part = find(role, m->target);
    return *part ? LDM_OK : refuse(target, role, m->target, r->err);
}

bool ldm_network_knows_target(const char *path, const char *target, const char **alike)
{
    static const char *const paths[] = {
        [LDM_ROLE_MODEL] = "model",
        [LDM_ROLE_UNET] = "model.params.unet_config",
        [LDM_ROLE_FIRST_STAGE] = "model.params.first_stage_config",
        [LDM_ROLE_CONDITIONER] = "model.params.cond_stage_config",
        [LDM_ROLE_LOW_SCALE] = "model.params.low_scale_config",
    };

    *alike = NULL;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (strcmp(paths[i], path) != 0)
            continue;
        *alike = nearest((ldm_role)i, target);
        return find((ldm_role)i, target) != NULL;
    }
    return false;
}
