/* Renaming of keys, as compatibility scripts do it: `key.replace(old, new)` on every key, one rule
 * after the other. Where two keys come out alike the later one stays, as in a Python dict. */
#include <string.h>

#include "base/str.h"
#include "checkpoint/index.h"

/* Appends `name` with every occurrence of the rule's text replaced. Returns whether there was one. */
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
    while ((hit = anchored ? (strncmp(name, from, len) == 0 ? name : NULL) : strstr(name, from))) {
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
    bool any = false;
    size_t i;

    ldm_str_puts(&now, t->name);
    for (i = 0; i < count; i++) {
        ldm_str swap = now;

        next.len = 0;
        any |= apply(&rules[i], now.data ? now.data : "", &next);
        now = next;
        next = swap;
        if (now.failed || next.failed)
            break;
    }
    if (!now.failed && !next.failed && any) {
        t->name = ldm_arena_strndup(ck->keep, now.data, now.len);
        ++*renamed;
    }
    any = now.failed || next.failed || !t->name;
    ldm_str_free(&now);
    ldm_str_free(&next);
    return any ? ldm_error_nomem(err, 0, "renamed keys") : LDM_OK;
}

static void fill_names(ldm_ckpt *ck)
{
    size_t i;

    for (i = 0; i < ck->tensor_count; i++) {
        ck->by_name[i].name = ck->tensors[i].info.name;
        ck->by_name[i].index = i;
    }
}

/* Drops the earlier of equal names. */
static ldm_status drop_hidden(ldm_ckpt *ck, ldm_error *err)
{
    size_t twice, hidden;
    ldm_status st;

    for (;;) {
        fill_names(ck);
        twice = ldm_names_sort(ck->by_name, ck->tensor_count);
        if (twice >= ck->tensor_count)
            return LDM_OK;
        hidden = ck->by_name[twice - 1].index;
        st = ldm_index_warn(ck, err, "two keys became '%.120s' by renaming: the later one counts",
                            ck->by_name[twice].name);
        if (st)
            return st;
        ck->tensor_count--;
        memmove(&ck->tensors[hidden], &ck->tensors[hidden + 1],
                (ck->tensor_count - hidden) * sizeof *ck->tensors);
    }
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
