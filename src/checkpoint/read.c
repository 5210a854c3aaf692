/* SPDX-License-Identifier: MIT */
/* Tensor values out of an open checkpoint: mapped in place, or inflated where the entry is
 * deflated, and gathered along the strides. Everything about a view was checked when the file was
 * opened. */
#include <string.h>

#include "base/alloc.h"
#include "checkpoint/convert.h"
#include "checkpoint/index.h"
#include "checkpoint/zip.h"

static const ldm_tensor *as_tensor(const ldm_tensor_info *info)
{
    return (const ldm_tensor *)info; /* its first member */
}

/* Elements of the storage from the view's first to its last, both counted. */
static uint64_t span_elems(const ldm_tensor_info *t)
{
    uint64_t last = 0;
    int d;

    if (!t->numel)
        return 0;
    for (d = 0; d < t->ndim; d++)
        last += (t->shape[d] - 1) * t->stride[d];
    return last + 1;
}

/* The same view with as few dimensions as possible: those of size 1 are dropped, and two whose
 * elements follow each other without a gap are joined. [2,1,3,4] of a contiguous tensor becomes
 * [24]. Returns the number of dimensions, 1 or more. */
static int compact(const ldm_tensor_info *t, uint64_t *shape, uint64_t *stride)
{
    int n = 0, d;

    for (d = 0; d < t->ndim; d++) {
        if (t->shape[d] == 1)
            continue;
        if (n && stride[n - 1] == t->shape[d] * t->stride[d]) {
            shape[n - 1] *= t->shape[d];
            stride[n - 1] = t->stride[d];
            continue;
        }
        shape[n] = t->shape[d];
        stride[n++] = t->stride[d];
    }
    if (!n)
        shape[n++] = 1;
    return n;
}

/* Rows along the last dimension, the others counted like an odometer. */
static void gather(const ldm_tensor_info *t, const unsigned char *first, float *dst)
{
    const size_t elem = ldm_dtype_size(t->dtype);
    uint64_t shape[LDM_MAX_DIMS] = {0}, stride[LDM_MAX_DIMS] = {0}, index[LDM_MAX_DIMS] = {0};
    const int last = compact(t, shape, stride) - 1;
    uint64_t at = 0, done;
    int d;

    for (done = 0; done < t->numel; done += shape[last]) {
        ldm_convert_f32(t->dtype, first + at * elem, (size_t)stride[last], (size_t)shape[last],
                        dst + done);
        for (d = last - 1; d >= 0; d--) {
            at += stride[d];
            if (++index[d] < shape[d])
                break;
            at -= stride[d] * shape[d];
            index[d] = 0;
        }
    }
}

static void negate(float *v, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        v[i] = -v[i];
}

static ldm_status inflate(const ldm_ckpt *ck, const ldm_tensor *t, unsigned char **out,
                          ldm_error *err)
{
    const uint64_t bytes = t->info.storage_bytes;
    ldm_status st;

    /* A tiny view must not unfold a huge storage. */
    if (bytes > ck->max_storage_bytes && bytes / 4 > t->info.numel * sizeof(float))
        return ldm_source_error(&ck->src, err, LDM_ERR_LIMIT, t->info.storage_offset,
                                "'%.120s' would inflate %llu bytes, at most %llu are allowed",
                                t->info.name, ldm_ull(bytes), ldm_ull(ck->max_storage_bytes));
    *out = ldm_malloc((size_t)bytes);
    if (!*out)
        return ldm_error_nomem(err, bytes, t->info.name);
    st = ldm_zip_inflate(&ck->src, t->info.storage_offset, ck->src.data + t->info.storage_offset,
                         t->packed_bytes, *out, bytes, err);
    if (st) {
        ldm_free(*out);
        *out = NULL;
    }
    return st;
}

/* Rows of three tensors, head by head: q of a head, its k, its v, then the next head's. */
static ldm_status read_pieces(const ldm_tensor *t, float *dst, ldm_error *err)
{
    const size_t each = (size_t)t->pieces[0]->info.numel, block = each / (size_t)t->heads;
    float *piece = ldm_reallocarray(NULL, each, sizeof *piece);
    ldm_status st = piece ? LDM_OK : ldm_error_nomem(err, each * sizeof *piece, t->info.name);

    for (int i = 0; i < t->piece_count && !st; i++) {
        st = ldm_ckpt_read_f32(t->owner, &t->pieces[i]->info, piece, err);
        for (size_t h = 0; h < (size_t)t->heads && !st; h++)
            memcpy(dst + (h * (size_t)t->piece_count + (size_t)i) * block, piece + h * block,
                   block * sizeof *dst);
    }
    ldm_free(piece);
    return st;
}

ldm_status ldm_ckpt_read_f32(const ldm_ckpt *ck, const ldm_tensor_info *t, float *dst,
                             ldm_error *err)
{
    const ldm_tensor *full = as_tensor(t);
    const unsigned char *base;
    unsigned char *inflated = NULL;
    ldm_status st;

    if (full->piece_count > 1)
        return t->numel ? read_pieces(full, dst, err) : LDM_OK;
    if (full->owner) /* the same element order, whatever its shape is called */
        return ldm_ckpt_read_f32(full->owner, &full->pieces[0]->info, dst, err);
    base = ck->src.data + t->storage_offset;
    if (!ldm_dtype_readable(t->dtype))
        return ldm_source_error(&ck->src, err, LDM_ERR_UNSUPPORTED, t->storage_offset,
                                "tensor '%.120s' holds numbers of %s, which ldm does not compute "
                                "with; convert it to float32 or float16 and save the file again",
                                t->name, ldm_dtype_name(t->dtype));
    if (!t->numel)
        return LDM_OK;
    if (as_tensor(t)->packed_bytes) {
        st = inflate(ck, as_tensor(t), &inflated, err);
        if (st)
            return st;
        base = inflated;
    }
    base += t->offset_elems * ldm_dtype_size(t->dtype);
    if (t->contiguous)
        ldm_convert_f32(t->dtype, base, 1, (size_t)t->numel, dst);
    else
        gather(t, base, dst);
    if (t->negated)
        negate(dst, (size_t)t->numel);
    ldm_free(inflated);
    return LDM_OK;
}

ldm_status ldm_ckpt_check_sums(const ldm_ckpt *ck, ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t i;

    for (i = 0; i < ck->part_count && !st; i++)
        st = ldm_ckpt_check_sums(ck->parts[i], err);
    for (i = 0; i < ck->sum_count && !st; i++) {
        const ldm_sum *s = &ck->sums[i];

        st = ldm_zip_check_crc(&ck->src, s->offset, s->entry, ck->src.data + s->offset, s->bytes,
                               s->crc, err);
        ldm_map_release(&ck->map, s->offset, s->bytes);
    }
    return st;
}

uint64_t ldm_ckpt_read_cost(const ldm_tensor_info *t)
{
    return as_tensor(t)->packed_bytes ? t->numel + t->storage_bytes : t->numel;
}

const void *ldm_ckpt_data(const ldm_ckpt *ck, const ldm_tensor_info *t)
{
    const ldm_tensor *full = as_tensor(t);

    if (full->owner)
        return full->piece_count == 1 ? ldm_ckpt_data(full->owner, &full->pieces[0]->info) : NULL;
    if (!t->contiguous || t->negated || as_tensor(t)->packed_bytes || !ck->src.data)
        return NULL;
    return ck->src.data + t->storage_offset + t->offset_elems * ldm_dtype_size(t->dtype);
}

/* The tensor's stretch of the file. */
static void stretch(const ldm_tensor_info *t, uint64_t *offset, uint64_t *bytes)
{
    const uint64_t elem = ldm_dtype_size(t->dtype);

    if (as_tensor(t)->packed_bytes) {
        *offset = t->storage_offset;
        *bytes = as_tensor(t)->packed_bytes;
        return;
    }
    *offset = t->storage_offset + t->offset_elems * elem;
    *bytes = span_elems(t) * elem;
}

void ldm_ckpt_will_need(const ldm_ckpt *ck, const ldm_tensor_info *t)
{
    const ldm_tensor *full = as_tensor(t);
    uint64_t offset, bytes;

    if (full->owner) {
        for (int i = 0; i < full->piece_count; i++)
            ldm_ckpt_will_need(full->owner, &full->pieces[i]->info);
        return;
    }
    stretch(t, &offset, &bytes);
    ldm_map_will_need(&ck->map, offset, bytes);
}

void ldm_ckpt_release(const ldm_ckpt *ck, const ldm_tensor_info *t)
{
    const ldm_tensor *full = as_tensor(t);
    uint64_t offset, bytes;

    if (full->owner) {
        for (int i = 0; i < full->piece_count; i++)
            ldm_ckpt_release(full->owner, &full->pieces[i]->info);
        return;
    }
    stretch(t, &offset, &bytes);
    ldm_map_release(&ck->map, offset, bytes);
}
