/* SPDX-License-Identifier: MIT */
/* Renaming of keys, as compatibility scripts do it: `key.replace(old, new)` on every key, one rule
 * after the other. Where two keys come out alike the later one stays, as in a Python dict. */
#include <string.h>

#include "base/str.h"
#include "checkpoint/index.h"

/* Rules may feed each other ("a" becomes "bb", "b" becomes "cc", ...): no key needs so many. */
enum { MAX_RENAMED = 4096 };

/* Appends `name` with every occurrence of the rule's text replaced, and gives up after MAX_RENAMED
 * bytes. Returns whether there was one. */
static bool apply(const ldm_ckpt_rename_rule *rule, const char *name, ldm_str *out)
{
    bool anchored = rule->from[0] == '^';
    const char *from = rule->from + anchored, *hit;
    size_t len = strlen(from);
    bool any = false;

    if (!len) {
        ldm_str_puts(out, name);
        return false;
    }
    while (out->len <= MAX_RENAMED &&
           (hit = anchored ? (strncmp(name, from, len) == 0 ? name : NULL) : strstr(name, from))) {
        ldm_str_append(out, name, (size_t)(hit - name));
        ldm_str_puts(out, rule->to);
        name = hit + len;
        any = true;
        if (anchored)
            break;
    }
    ldm_str_puts(out, name);
    return any;
}

static ldm_status rename_one(ldm_ckpt *ck, ldm_tensor_info *t, const ldm_ckpt_rename_rule *rules,
                             size_t count, size_t *renamed, ldm_error *err)
{
    ldm_str now = {0}, next = {0};
    ldm_status st = LDM_OK;
    bool any = false;
    size_t i;

    ldm_str_puts(&now, t->name);
    for (i = 0; i < count && !st; i++) {
        ldm_str swap = now;
        bool hit;

        next.len = 0;
        hit = apply(&rules[i], now.data ? now.data : "", &next);
        any |= hit;
        now = next;
        next = swap;
        if (now.failed || next.failed)
            st = ldm_error_nomem(err, 0, "renamed keys");
        else if (hit && now.len > MAX_RENAMED)
            st = ldm_error_set(err, LDM_ERR_LIMIT,
                               "%s: renaming makes more than %d bytes of the key '%.120s'; see "
                               "ldm.load.rename in the configuration",
                               ck->src.name, MAX_RENAMED, t->name);
    }
    if (!st && any) {
        const char *name = ldm_arena_strndup(ck->keep, now.data, now.len);

        if (name) {
            t->name = name;
            ++*renamed;
        } else {
            st = ldm_index_no_room(ck, t->storage_offset, "renamed keys", err);
        }
    }
    ldm_str_free(&now);
    ldm_str_free(&next);
    return st;
}

static void fill_names(ldm_ckpt *ck)
{
    size_t i;

    for (i = 0; i < ck->tensor_count; i++) {
        ck->by_name[i].name = ck->tensors[i].info.name;
        ck->by_name[i].index = i;
    }
}

/* Drops all but the last of equal names. */
static ldm_status drop_hidden(ldm_ckpt *ck, ldm_error *err)
{
    size_t i, kept = 0;
    ldm_status st;

    fill_names(ck);
    if (ldm_names_sort(ck->by_name, ck->tensor_count) == ck->tensor_count)
        return LDM_OK;
    for (i = 1; i < ck->tensor_count; i++) {
        const ldm_name *earlier = &ck->by_name[i - 1], *later = &ck->by_name[i];

        if (strcmp(earlier->name, later->name))
            continue;
        ck->tensors[earlier->index].info.name = NULL;
        st = ldm_index_warn(ck, err, "two keys became '%.120s' by renaming: the later one counts",
                            later->name);
        if (st)
            return st;
    }
    for (i = 0; i < ck->tensor_count; i++) {
        if (ck->tensors[i].info.name)
            ck->tensors[kept++] = ck->tensors[i];
    }
    ck->tensor_count = kept;
    fill_names(ck);
    ldm_names_sort(ck->by_name, ck->tensor_count);
    return LDM_OK;
}

ldm_status ldm_ckpt_rename_by(ldm_ckpt *ck, ldm_ckpt_rename_fn *fn, size_t *renamed, size_t *taken,
                              ldm_error *err)
{
    ldm_str name = {0};
    ldm_status st = LDM_OK;
    size_t i;

    *renamed = *taken = 0;
    for (i = 0; !st && i < ck->tensor_count; i++) {
        ldm_tensor_info *t = &ck->tensors[i].info;

        const char *copy = NULL;
        bool other;

        name.len = 0;
        other = fn(t->name, &name);
        if (other && !name.failed && name.len && ldm_ckpt_find(ck, name.data)) {
            ++*taken;
            continue;
        }
        if (other && !name.failed)
            copy = ldm_arena_strndup(ck->keep, name.data, name.len);
        if (copy) {
            t->name = copy;
            ++*renamed;
        } else if (name.failed) {
            st = ldm_error_nomem(err, 0, "renamed keys");
        } else if (other) {
            st = ldm_index_no_room(ck, t->storage_offset, "renamed keys", err);
        }
    }
    ldm_str_free(&name);
    return st || !*renamed ? st : drop_hidden(ck, err);
}

ldm_status ldm_ckpt_rename(ldm_ckpt *ck, const ldm_ckpt_rename_rule *rules, size_t count,
                           size_t *renamed, ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t i;

    *renamed = 0;
    for (i = 0; !st && i < ck->tensor_count; i++)
        st = rename_one(ck, &ck->tensors[i].info, rules, count, renamed, err);
    return st ? st : drop_hidden(ck, err);
}
