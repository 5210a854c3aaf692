/* SPDX-License-Identifier: MIT */
/* `ldm check --values`: reads every tensor once and counts the values that are not finite, then
 * compares the file's storages with their checksums. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "audit/internal.h"
#include "base/alloc.h"

enum { LEAST_VALUES = 1 << 22, LEAST_BYTES = 4 * LEAST_VALUES };

static ldm_status grow_buffer(float **buf, uint64_t *cap, uint64_t need, ldm_error *err)
{
    float *p;

    if (need <= *cap)
        return LDM_OK;
    if (need > SIZE_MAX / sizeof *p)
        return ldm_error_nomem(err, need, "a tensor");
    p = ldm_reallocarray(*buf, (size_t)need, sizeof *p);
    if (!p)
        return ldm_error_nomem(err, need * sizeof *p, "a tensor");
    *buf = p;
    *cap = need;
    return LDM_OK;
}

static void count_bad(const float *v, uint64_t n, ldm_bad_values *b)
{
    uint64_t i;

    for (i = 0; i < n; i++) {
        if (!isfinite(v[i])) {
            if (!b->nan && !b->inf)
                b->first = i;
            if (isnan(v[i]))
                b->nan++;
            else
                b->inf++;
        }
    }
}

static double deviation(const float *v, uint64_t n)
{
    double sum = 0, squares = 0, mean;
    uint64_t i;

    for (i = 0; i < n; i++) {
        sum += v[i];
        squares += (double)v[i] * v[i];
    }
    mean = n ? sum / (double)n : 0;
    return n ? sqrt(fmax(squares / (double)n - mean * mean, 0)) : 0;
}

/* The position of the first of them in the file. For a packed entry or a strided view it is the
 * beginning of the storage. */
static uint64_t place(const ldm_bad_values *b)
{
    const ldm_tensor_info *t = b->tensor;
    const bool packed = ldm_ckpt_read_cost(t) != t->numel;
    const uint64_t elem = t->offset_elems + (t->contiguous ? b->first : 0);

    return t->storage_offset + (packed ? 0 : elem * ldm_dtype_size(t->dtype));
}

/* Tensors that the model does not have may hold any value, for example an attention mask of -inf.
 */
ldm_status ldm_audit_values_verdict(const ldm_audit *a, const ldm_findings *f, ldm_error *err)
{
    const ldm_bad_values *first = NULL, *b;
    char others[64] = "";
    size_t n = 0, i;

    for (i = 0; i < f->bad_count; i++) {
        b = &f->bad[i];
        if (ldm_network_find(a->network, b->tensor->name) < 0)
            continue;
        if (!n++)
            first = b;
    }
    if (!first)
        return f->values_read ? ldm_ckpt_check_sums(a->ckpt, err) : LDM_OK;
    if (n > 1)
        snprintf(others, sizeof others, " (and %zu more %s such)", n - 1,
                 n == 2 ? "tensor holds" : "tensors hold");
    return ldm_error_at(err, LDM_ERR_NUMERIC, place(first),
                        "%s: byte %" PRIu64 ": '%.120s' holds %" PRIu64 " NaN and %" PRIu64
                        " infinite values%s: the file is damaged, or its training failed",
                        ldm_ckpt_path(a->ckpt), place(first), first->tensor->name, first->nan,
                        first->inf, others);
}

/* Views may overlap, and their strides may be 0: a small file can describe any number of values.
 * So the number of values read in all, and at once, is limited by the file's size. Genuine files
 * stay far below. */
static ldm_status debit(const ldm_ckpt *ck, const ldm_tensor_info *t, uint64_t *left,
                        ldm_error *err)
{
    const uint64_t cost = ldm_ckpt_read_cost(t), size = ldm_ckpt_file_bytes(ck);
    const uint64_t inflated = cost - t->numel, most = LEAST_BYTES + 4 * size;

    if (t->numel > most / sizeof(float) || inflated > most - t->numel * sizeof(float))
        *left = 0;
    if (cost > *left)
        return ldm_error_at(err, LDM_ERR_LIMIT, t->storage_offset,
                            "%s: byte %" PRIu64 ": '%.120s' and the tensors before it have more "
                            "values than a file of %" PRIu64 " bytes can hold; leave out --values "
                            "if you trust it",
                            ldm_ckpt_path(ck), t->storage_offset, t->name, size);
    *left -= cost;
    return LDM_OK;
}

ldm_status ldm_audit_find_values(const ldm_audit *a, ldm_findings *f, ldm_error *err)
{
    const ldm_tensor_info *book =
        ldm_ckpt_find(a->ckpt, "first_stage_model.quantize.embedding.weight");
    float *buf = NULL;
    uint64_t cap = 0, left = LEAST_VALUES + 4 * ldm_ckpt_file_bytes(a->ckpt);
    ldm_status st = LDM_OK;
    size_t i;

    for (i = 0; i < ldm_ckpt_count(a->ckpt) && !st; i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(a->ckpt, i);
        ldm_bad_values b = {t, 0, 0, 0};

        st = debit(a->ckpt, t, &left, err);
        if (!st)
            st = grow_buffer(&buf, &cap, t->numel, err);
        if (!st && t->numel)
            st = ldm_ckpt_read_f32(a->ckpt, t, buf, err);
        if (st || !t->numel)
            continue;
        count_bad(buf, t->numel, &b);
        if (t == book && !b.nan && !b.inf)
            f->codebook_std = deviation(buf, t->numel);
        ldm_ckpt_release(a->ckpt, t);
        if (!b.nan && !b.inf)
            continue;
        if (!ldm_grow(&f->bad, &f->bad_cap, f->bad_count + 1, sizeof *f->bad))
            st = ldm_error_nomem(err, sizeof *f->bad, "the list of bad values");
        else
            f->bad[f->bad_count++] = b;
    }
    ldm_free(buf);
    f->values_read = !st;
    return st;
}
