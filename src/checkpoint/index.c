/* SPDX-License-Identifier: MIT */
/* The index of a checkpoint; see index.h. */
#include "checkpoint/index.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

enum { MAX_META = 10000, MAX_WARNINGS = 100, WARNING_TEXT = 400 };

ldm_status ldm_index_no_room(const ldm_ckpt *ck, uint64_t pos, const char *what, ldm_error *err)
{
    if (!ldm_arena_over_limit(ck->keep) && !(ck->scratch && ldm_arena_over_limit(ck->scratch)))
        return ldm_error_set(err, LDM_ERR_NOMEM, "%s: out of memory for %s", ck->src.name, what);
    return ldm_source_error(&ck->src, err, LDM_ERR_LIMIT, pos,
                            "its %s need more memory than a file of %llu bytes may ask for; raise "
                            "the limit if you trust it",
                            what, ldm_ull(ck->src.size));
}

ldm_status ldm_index_begin(ldm_ckpt *ck, size_t count, ldm_error *err)
{
    ck->tensors = ldm_arena_alloc(ck->keep, count, sizeof *ck->tensors);
    ck->by_name = ldm_arena_alloc(ck->keep, count, sizeof *ck->by_name);
    if (!ck->tensors || !ck->by_name)
        return ldm_index_no_room(ck, 0, "tensors", err);
    ck->tensor_cap = count;
    return LDM_OK;
}

static bool is_contiguous(const ldm_tensor_info *t)
{
    uint64_t expected = 1;
    int d;

    if (t->numel == 0)
        return true;
    for (d = t->ndim - 1; d >= 0; d--) {
        if (t->shape[d] != 1 && t->stride[d] != expected)
            return false;
        expected *= t->shape[d]; /* cannot overflow: it ends at numel */
    }
    return true;
}

/* Elements that the storage has room for; of a type of unknown size, any number. */
static uint64_t capacity_of(const ldm_tensor_info *t)
{
    const size_t size = ldm_dtype_size(t->dtype);

    return size ? t->storage_bytes / size : UINT64_MAX;
}

ldm_status ldm_index_check(ldm_tensor_info *t, const char *what, const ldm_source *src,
                           uint64_t pos, ldm_error *err)
{
    const uint64_t capacity = capacity_of(t);
    uint64_t numel = 1, last = t->offset_elems, span;
    bool empty = false;
    int d;

    for (d = 0; d < t->ndim; d++) {
        if (t->shape[d] == 0)
            empty = true;
        else if (ldm_mul_u64(numel, t->shape[d], &numel))
            numel = UINT64_MAX;
    }
    /* An f32 copy must be addressable, whatever the strides say. */
    if (numel > INT64_MAX / sizeof(double))
        return ldm_source_error(src, err, LDM_ERR_RANGE, pos,
                                "tensor '%.120s': the product of its shape overflows", what);
    t->numel = empty ? 0 : numel;
    for (d = 0; d < t->ndim && !empty; d++) {
        if (ldm_mul_u64(t->shape[d] - 1, t->stride[d], &span) || ldm_add_u64(last, span, &last))
            return ldm_source_error(src, err, LDM_ERR_RANGE, pos,
                                    "tensor '%.120s': stride %llu of dimension %d overflows", what,
                                    ldm_ull(t->stride[d]), d);
    }
    if (empty ? last > capacity : last >= capacity)
        return ldm_source_error(src, err, LDM_ERR_FORMAT, pos,
                                "tensor '%.120s' reaches element %llu of its storage '%.40s', "
                                "which has %llu",
                                what, ldm_ull(last), t->storage, ldm_ull(capacity));
    t->contiguous = is_contiguous(t);
    return LDM_OK;
}

ldm_status ldm_index_dense(ldm_tensor_info *t, const char *what, const ldm_source *src,
                           uint64_t pos, ldm_error *err)
{
    uint64_t stride = 1;
    int d;

    for (d = t->ndim - 1; d >= 0; d--) {
        t->stride[d] = stride;
        if (t->shape[d] && ldm_mul_u64(stride, t->shape[d], &stride))
            return ldm_source_error(src, err, LDM_ERR_RANGE, pos,
                                    "tensor '%.120s': the product of its shape overflows", what);
    }
    return LDM_OK;
}

ldm_status ldm_index_add(ldm_ckpt *ck, ldm_tensor *t, const char *name, size_t name_len,
                         const ldm_source *src, uint64_t pos, ldm_error *err)
{
    char *copy, what[128];
    size_t i, len;
    ldm_status st;

    if (ck->tensor_count == LDM_MAX_TENSORS)
        return ldm_source_error(src, err, LDM_ERR_LIMIT, pos,
                                "more than %d tensors, no checkpoint has so many", LDM_MAX_TENSORS);
    copy = ldm_arena_strndup(ck->keep, name, name_len);
    if (!copy)
        return ldm_index_no_room(ck, src->base + pos, "names", err);
    for (i = 0; i < name_len; i += len) {
        len = name[i] ? ldm_utf8_len(name + i, name_len - i) : 0;
        if (!len)
            return ldm_source_error(src, err, LDM_ERR_FORMAT, pos,
                                    "a tensor's name is not UTF-8 (byte 0x%02x after '%.*s')",
                                    (unsigned char)name[i], (int)(i < 80 ? i : 80), name);
    }
    st = ldm_index_check(&t->info, copy, src, pos, err);
    if (st)
        return st;
    /* A stride of 0 repeats elements. A view with more elements than its storage is left out: it
     * would make a small file take much memory, and no weights are such a view. */
    if (t->info.numel > capacity_of(&t->info)) {
        snprintf(what, sizeof what,
                 "a view that repeats elements (%llu of a storage of %llu), as torch's expand() "
                 "makes it",
                 ldm_ull(t->info.numel), ldm_ull(capacity_of(&t->info)));
        return ldm_index_skip(ck, copy, what, err);
    }
    if (t->info.dtype == LDM_DTYPE_U16 || t->info.dtype == LDM_DTYPE_U32 ||
        t->info.dtype == LDM_DTYPE_U64) {
        st = ldm_index_warn(ck, NULL, "key '%.120s' holds numbers of %s, which is unusual: read",
                            copy, ldm_dtype_name(t->info.dtype));
        if (st)
            return ldm_index_no_room(ck, src->base + pos, "warnings", err);
    }
    if (!ldm_dtype_readable(t->info.dtype)) {
        st = ldm_index_warn(ck, NULL,
                            "key '%.120s' holds numbers of %s, which ldm does not compute with; "
                            "this matters only to a run that needs the tensor",
                            copy, ldm_dtype_name(t->info.dtype));
        if (st)
            return ldm_index_no_room(ck, src->base + pos, "warnings", err);
    }
    t->pos = src->base + pos;
    t->info.name = copy;
    t->info.storage = ldm_arena_strdup(ck->keep, t->info.storage);
    if (!t->info.storage)
        return ldm_index_no_room(ck, src->base + pos, "names", err);
    ck->tensors[ck->tensor_count] = *t;
    ck->by_name[ck->tensor_count].name = copy;
    ck->by_name[ck->tensor_count].index = ck->tensor_count;
    ck->tensor_count++;
    return LDM_OK;
}

ldm_status ldm_index_skip(ldm_ckpt *ck, const char *name, const char *what, ldm_error *err)
{
    ldm_ckpt_skipped *s;

    if (!ldm_grow(&ck->skipped, &ck->skipped_cap, ck->skipped_count + 1, sizeof *ck->skipped))
        return ldm_error_nomem(err, sizeof *s, "skipped keys");
    s = &ck->skipped[ck->skipped_count];
    s->name = ldm_arena_strdup(ck->keep, name);
    s->what = ldm_arena_strdup(ck->keep, what);
    if (!s->name || !s->what)
        return ldm_index_no_room(ck, 0, "skipped keys", err);
    ck->skipped_count++;
    return ldm_index_warn(ck, err, "state dict key '%s' is %s: skipped", name, what);
}

ldm_status ldm_index_finish(ldm_ckpt *ck, ldm_error *err)
{
    size_t twice = ldm_names_sort(ck->by_name, ck->tensor_count);
    const ldm_tensor *a, *b;

    if (twice == ck->tensor_count)
        return LDM_OK;
    a = &ck->tensors[ck->by_name[twice - 1].index];
    b = &ck->tensors[ck->by_name[twice].index];
    return ldm_source_error(
        &ck->src, err, LDM_ERR_FORMAT, a->pos < b->pos ? b->pos : a->pos,
        "two tensors are named '%.120s' (the other at byte %llu), expected each "
        "name once",
        a->info.name, ldm_ull(a->pos < b->pos ? a->pos : b->pos));
}

bool ldm_index_meta(ldm_ckpt *ck, const char *path, const char *value, ldm_status *st)
{
    ldm_meta *m;

    if (ck->meta_count == MAX_META)
        return false;
    if (!ldm_grow(&ck->metas, &ck->meta_cap, ck->meta_count + 1, sizeof *ck->metas)) {
        *st = LDM_ERR_NOMEM;
        return false;
    }
    m = &ck->metas[ck->meta_count];
    m->path = ldm_arena_strdup(ck->keep, path);
    m->value = ldm_arena_strdup(ck->keep, value);
    if (!m->path || !m->value) {
        *st = ldm_arena_over_limit(ck->keep) ? LDM_OK : LDM_ERR_NOMEM;
        return false;
    }
    ck->meta_count++;
    return true;
}

ldm_status ldm_index_warn(ldm_ckpt *ck, ldm_error *err, const char *fmt, ...)
{
    char raw[WARNING_TEXT], text[WARNING_TEXT];
    const char *copy;
    va_list ap;

    if (ck->warning_count == MAX_WARNINGS)
        return LDM_OK;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    if (ck->warning_count == MAX_WARNINGS - 1)
        snprintf(raw, sizeof raw, "more warnings are left out");
    ldm_printable(raw, strlen(raw), text, sizeof text);
    if (!ldm_grow(&ck->warnings, &ck->warning_cap, ck->warning_count + 1, sizeof *ck->warnings))
        return ldm_error_nomem(err, sizeof text, "a warning");
    copy = ldm_arena_strdup(ck->keep, text);
    if (!copy)
        return ldm_index_no_room(ck, 0, "warnings", err);
    ck->warnings[ck->warning_count++] = copy;
    return LDM_OK;
}

size_t ldm_printable(const char *text, size_t len, char *dst, size_t cap)
{
    char piece[8];
    size_t i, n = 0, used, out;

    if (!cap)
        return 0;
    for (i = 0; i < len; i += used) {
        used = ldm_shown_len(text + i, len - i);
        out = used;
        memcpy(piece, text + i, used);
        if (!used) {
            used = 1;
            out = (size_t)snprintf(piece, sizeof piece, "\\x%02x", (unsigned char)text[i]);
        }
        /* What is left must fit with its NUL, or "..." must. */
        if (n + out + (i + used < len ? 4 : 1) > cap) {
            if (cap >= n + 4) {
                memcpy(dst + n, "...", 3);
                n += 3;
            }
            break;
        }
        memcpy(dst + n, piece, out);
        n += out;
    }
    dst[n] = '\0';
    return n;
}
