/* SPDX-License-Identifier: MIT */
/* Metadata lines for `ldm inspect` out of pickled values; see torch.h. Values may be shared or hold
 * themselves, so depth, lines and work are bounded and what lies beyond is cut, not followed. */
#include "checkpoint/torch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 32,
    PATH_BYTES = 256,
    VALUE_BYTES = 200,
    KEY_BYTES = 100,
    MAX_INLINE_SCAN = 1 << 20 /* items looked at, in all, to see whether sequences are flat */
};

typedef struct frame {
    const ldm_pk *seq;
    size_t next;
    size_t path_len; /* of the container's own path */
} frame;

typedef struct walk {
    ldm_torch *t;
    const ldm_pk *state;
    frame frames[MAX_DEPTH];
    int depth;
    size_t scanned;
    char path[PATH_BYTES];
} walk;

/* Python's repr(): the shortest of 15 to 17 digits that reads back the same. */
static void format_float(double f, char *dst, size_t cap)
{
    int digits;

    for (digits = 15; digits <= 17; digits++) {
        snprintf(dst, cap, "%.*g", digits, f);
        if (isnan(f) || strtod(dst, NULL) == f)
            break;
    }
    if (isfinite(f) && !strpbrk(dst, ".e"))
        snprintf(dst, cap, "%.1f", f);
}

static bool is_scalar(const ldm_pk *v)
{
    return v->kind == LDM_PK_NONE || v->kind == LDM_PK_BOOL || v->kind == LDM_PK_INT ||
           v->kind == LDM_PK_FLOAT || v->kind == LDM_PK_RUN;
}

static bool is_container(const ldm_pk *v)
{
    return v->kind == LDM_PK_TUPLE || v->kind == LDM_PK_LIST || v->kind == LDM_PK_SET ||
           v->kind == LDM_PK_DICT;
}

/* A sequence of numbers alone, which is shown on one line. */
static bool is_flat(walk *w, const ldm_pk *v)
{
    size_t i;

    if (!is_container(v) || v->kind == LDM_PK_DICT)
        return false;
    for (i = 0; i < v->u.seq.count; i++) {
        if (++w->scanned > MAX_INLINE_SCAN || !is_scalar(v->u.seq.items[i]))
            return false;
    }
    return true;
}

static void format_tensor(const ldm_tensor_info *info, char *dst, size_t cap)
{
    size_t n = (size_t)snprintf(dst, cap, "tensor %s [", ldm_dtype_name(info->dtype));
    int d;

    for (d = 0; d < info->ndim; d++) /* 8 dimensions of 20 digits fit VALUE_BYTES */
        n += (size_t)snprintf(dst + n, cap - n, "%s%llu", d ? ", " : "", ldm_ull(info->shape[d]));
    snprintf(dst + n, cap - n, "]");
}

static void format_scalar(const ldm_pk *v, char *dst, size_t cap)
{
    switch (v->kind) {
    case LDM_PK_NONE:
        snprintf(dst, cap, "None");
        break;
    case LDM_PK_BOOL:
        snprintf(dst, cap, "%s", v->u.boolean ? "True" : "False");
        break;
    case LDM_PK_INT:
        snprintf(dst, cap, "%lld", (long long)v->u.integer);
        break;
    case LDM_PK_FLOAT:
        format_float(v->u.real, dst, cap);
        break;
    case LDM_PK_RUN:
        snprintf(dst, cap, "<%llu more>", ldm_ull(v->u.run));
        break;
    case LDM_PK_STR:
    case LDM_PK_BIGINT:
        ldm_printable(v->u.text.data, v->u.text.len, dst, cap);
        break;
    case LDM_PK_BYTES:
        snprintf(dst, cap, "<%zu bytes>", v->u.text.len);
        break;
    case LDM_PK_GLOBAL:
        snprintf(dst, cap, "<%.*s>", (int)cap - 3, v->u.global.name);
        break;
    case LDM_PK_PERSID:
        /* A class of the legacy format: ('module', class, file, source). */
        if (v->u.persid.storage == SIZE_MAX &&
            v->u.persid.id->u.seq.items[1]->kind == LDM_PK_GLOBAL)
            snprintf(dst, cap, "<%.*s>", (int)cap - 3,
                     v->u.persid.id->u.seq.items[1]->u.global.name);
        else
            snprintf(dst, cap, "<a storage>");
        break;
    case LDM_PK_OBJECT:
        snprintf(dst, cap, "<object of %.*s>", (int)cap - 16,
                 v->u.object.callee->kind == LDM_PK_GLOBAL ? v->u.object.callee->u.global.name
                                                           : "an unknown call");
        break;
    default:
        snprintf(dst, cap, "<%s>", ldm_pk_kind_name(v->kind));
        break;
    }
}

static void format_flat(const ldm_pk *v, char *dst, size_t cap)
{
    static const char *const brackets[] = {"()", "[]", "{}"};
    const char *b = brackets[v->kind == LDM_PK_TUPLE ? 0 : v->kind == LDM_PK_LIST ? 1 : 2];
    char item[40];
    size_t i, n, len;

    dst[0] = b[0];
    n = 1;
    for (i = 0; i < v->u.seq.count; i++) {
        format_scalar(v->u.seq.items[i], item, sizeof item);
        len = strlen(item);
        /* ", ", the item, then either the bracket or ", ..." with it */
        if (n + len + 10 > cap) {
            n += (size_t)snprintf(dst + n, cap - n, ", ...");
            break;
        }
        n += (size_t)snprintf(dst + n, cap - n, "%s%s", i ? ", " : "", item);
    }
    snprintf(dst + n, cap - n, "%c", b[1]);
}

/* One line for a leaf. Tensors are checked like those of the state dict: a bad one is an error. */
static ldm_status add_leaf(walk *w, const ldm_pk *v, bool *full, ldm_error *err)
{
    char value[VALUE_BYTES];
    ldm_tensor tensor;
    ldm_status st = LDM_OK;

    if (ldm_torch_is_tensor(v)) {
        st = ldm_torch_tensor(w->t, v, w->path, &tensor, err);
        if (st == LDM_ERR_UNSUPPORTED || st == LDM_ERR_UNSAFE) {
            /* Only the state dict must be readable in full. */
            st = LDM_OK;
            format_scalar(v, value, sizeof value);
        } else if (!st) {
            format_tensor(&tensor.info, value, sizeof value);
        }
    } else if (is_container(v) && v->u.seq.count && !is_flat(w, v)) {
        snprintf(value, sizeof value, "<%s, nested too deep to show>", ldm_pk_kind_name(v->kind));
    } else if (is_container(v)) {
        if (v->kind == LDM_PK_DICT)
            snprintf(value, sizeof value, "{}");
        else
            format_flat(v, value, sizeof value);
    } else {
        format_scalar(v, value, sizeof value);
    }
    if (st)
        return st;
    *full = !ldm_index_meta(w->t->ck, w->path, value, &st);
    return st ? ldm_index_no_room(w->t->ck, w->t->src.base + v->pos, "metadata", err) : LDM_OK;
}

static void enter(walk *w, const ldm_pk *v)
{
    frame *f = &w->frames[w->depth++];

    f->seq = v;
    f->next = 0;
    f->path_len = strlen(w->path);
}

/* Sets the path to the container's plus the name of item i. */
static void set_path(walk *w, const frame *f, size_t i)
{
    char key[KEY_BYTES];
    size_t n = f->path_len;

    if (f->seq->kind == LDM_PK_DICT)
        format_scalar(f->seq->u.seq.items[i], key, sizeof key);
    else
        snprintf(key, sizeof key, "%zu", i);
    if (n && n + 1 < sizeof w->path)
        w->path[n++] = '.';
    ldm_printable(key, strlen(key), w->path + n, sizeof w->path - n);
}

/* The state dict's tensors are in the index, and its own tensors are not repeated as metadata. */
static bool is_skipped(const walk *w, const frame *f, const ldm_pk *v)
{
    return v == w->state || (f->seq == w->state && ldm_torch_is_tensor(v));
}

ldm_status ldm_torch_metadata(ldm_torch *t, const ldm_pk *state, ldm_error *err)
{
    walk *w = ldm_arena_alloc(t->ck->scratch, 1, sizeof *w);
    bool full = false;
    ldm_status st = LDM_OK;

    if (!w)
        return ldm_index_no_room(t->ck, t->src.base, "metadata", err);
    w->t = t;
    w->state = state;
    enter(w, t->pickle.root);
    while (w->depth && !full && !st) {
        frame *f = &w->frames[w->depth - 1];
        bool dict = f->seq->kind == LDM_PK_DICT;
        size_t i = f->next;
        const ldm_pk *v;

        if (i >= f->seq->u.seq.count) {
            w->depth--;
            continue;
        }
        f->next += dict ? 2 : 1;
        v = f->seq->u.seq.items[dict ? i + 1 : i];
        if (is_skipped(w, f, v))
            continue;
        w->path[f->path_len] = '\0';
        set_path(w, f, i);
        if (is_container(v) && v->u.seq.count && !is_flat(w, v) && w->depth < MAX_DEPTH)
            enter(w, v);
        else
            st = add_leaf(w, v, &full, err);
    }
    if (!st && full)
        st = ldm_index_warn(t->ck, err, "metadata beyond '%.200s' is left out", w->path);
    return st;
}
