/* SPDX-License-Identifier: MIT */
/* Checkpoints of several files; see join.h. */
#include "checkpoint/join.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "checkpoint/index.h"

ldm_status ldm_ckpt_join_create(const char *path, const char *format, ldm_ckpt **out,
                                ldm_error *err)
{
    ldm_ckpt *ck = ldm_calloc(1, sizeof *ck);
    char *name = ck ? ldm_strdup(path) : NULL;

    *out = NULL;
    if (!name) {
        ldm_free(ck);
        return ldm_error_nomem(err, sizeof *ck, path);
    }
    ck->src.name = name;
    ck->state_path = "";
    ck->format = format;
    ck->keep = ldm_arena_create(0);
    if (!ck->keep) {
        ldm_ckpt_close(ck);
        return ldm_error_nomem(err, sizeof *ck, path);
    }
    *out = ck;
    return LDM_OK;
}

/* What a part had to say is said of the whole. */
static ldm_status take_warnings(ldm_ckpt *joined, const ldm_ckpt *part, ldm_error *err)
{
    ldm_status st = LDM_OK;

    for (size_t i = 0; !st && i < ldm_ckpt_warning_count(part); i++)
        st = ldm_index_warn(joined, err, "%s", ldm_ckpt_warning(part, i));
    return st;
}

ldm_status ldm_ckpt_join_own(ldm_ckpt *joined, ldm_ckpt *part, ldm_error *err)
{
    if (!ldm_grow(&joined->parts, &joined->part_cap, joined->part_count + 1,
                  sizeof *joined->parts)) {
        ldm_ckpt_close(part);
        return ldm_error_nomem(err, sizeof part, joined->src.name);
    }
    joined->parts[joined->part_count++] = part;
    joined->src.size += part->src.size;
    return take_warnings(joined, part, err);
}

static ldm_status wrong(const char *name, const ldm_ckpt_recipe *r, const char *why, ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_FORMAT, "%s: '%.120s', which becomes '%.120s', %s",
                         r->part->src.name, r->pieces[0]->name, name, why);
}

/* Shape and strides of one piece under another shape. */
static ldm_status reshape(const char *name, const ldm_ckpt_recipe *r, ldm_tensor_info *t,
                          ldm_error *err)
{
    uint64_t numel = 1, stride = 1;
    int d;

    if (r->ndim > (int)(sizeof r->shape / sizeof *r->shape))
        return wrong(name, r, "has more than 4 dimensions", err);
    for (d = 0; d < r->ndim; d++) {
        if (ldm_mul_u64(numel, r->shape[d], &numel))
            return wrong(name, r, "is too large", err);
    }
    if (r->count == 1 && (numel != t->numel || !t->contiguous))
        return wrong(name, r, "has another number of elements", err);
    t->ndim = r->ndim;
    t->numel = numel;
    for (d = r->ndim - 1; d >= 0; d--) {
        t->shape[d] = r->shape[d];
        t->stride[d] = stride;
        stride *= r->shape[d];
    }
    return LDM_OK;
}

static ldm_status check_pieces(const char *name, const ldm_ckpt_recipe *r, ldm_error *err)
{
    const ldm_tensor_info *first = r->pieces[0];

    for (int i = 1; i < r->count; i++) {
        if (r->pieces[i]->numel != first->numel || r->pieces[i]->dtype != first->dtype ||
            r->pieces[i]->ndim < 1 || r->pieces[i]->shape[0] != first->shape[0])
            return wrong(name, r, "has another shape or type than its like", err);
    }
    if (r->count > 1 && (first->ndim < 1 || !first->shape[0] || r->heads < 1 ||
                         first->shape[0] % (uint64_t)r->heads))
        return wrong(name, r, "cannot be split into the heads of the configuration", err);
    return LDM_OK;
}

ldm_status ldm_ckpt_join_add(ldm_ckpt *joined, const char *name, const ldm_ckpt_recipe *r,
                             ldm_error *err)
{
    ldm_tensor t = {.info = *r->pieces[0]};
    ldm_tensor *grown;
    ldm_status st = check_pieces(name, r, err);

    if (!st && r->ndim)
        st = reshape(name, r, &t.info, err);
    if (st)
        return st;
    if (joined->tensor_count == LDM_MAX_TENSORS)
        return ldm_error_set(err, LDM_ERR_LIMIT, "%s: more than %d tensors", joined->src.name,
                             LDM_MAX_TENSORS);
    t.owner = r->part;
    t.piece_count = r->count;
    t.heads = r->heads;
    for (int i = 0; i < r->count; i++)
        t.pieces[i] = (const ldm_tensor *)r->pieces[i];
    t.packed_bytes = t.pieces[0]->packed_bytes;
    if (r->count > 1)
        t.info.contiguous = true;
    t.info.name = ldm_arena_strdup(joined->keep, name);
    if (joined->tensor_count == joined->tensor_cap) { /* the arena frees the old list at the end */
        joined->tensor_cap = joined->tensor_cap ? 2 * joined->tensor_cap : 512;
        grown = ldm_arena_alloc(joined->keep, joined->tensor_cap, sizeof *grown);
        if (grown && joined->tensor_count)
            memcpy(grown, joined->tensors, joined->tensor_count * sizeof *grown);
        joined->tensors = grown;
    }
    if (!joined->tensors || !t.info.name)
        return ldm_error_nomem(err, 0, joined->src.name);
    joined->tensors[joined->tensor_count++] = t;
    return LDM_OK;
}

ldm_status ldm_ckpt_join_meta(ldm_ckpt *joined, const char *path, const char *value, ldm_error *err)
{
    ldm_status st = LDM_OK;

    (void)ldm_index_meta(joined, path, value, &st);
    return st ? ldm_error_nomem(err, 0, joined->src.name) : LDM_OK;
}

ldm_status ldm_ckpt_join_finish(ldm_ckpt *joined, ldm_error *err)
{
    joined->by_name =
        ldm_arena_alloc(joined->keep, joined->tensor_count + 1, sizeof *joined->by_name);
    if (!joined->by_name)
        return ldm_error_nomem(err, 0, joined->src.name);
    for (size_t i = 0; i < joined->tensor_count; i++)
        joined->by_name[i] = (ldm_name){joined->tensors[i].info.name, i};
    return ldm_index_finish(joined, err);
}

const char *ldm_ckpt_main_file(const ldm_ckpt *ck)
{
    return ck->part_count ? ldm_ckpt_main_file(ck->parts[0]) : ck->src.name;
}
