/* `ldm check --values`: reads every tensor once and counts what is not a finite number. */
#include <math.h>

#include "audit/internal.h"
#include "base/alloc.h"

enum { LEAST_VALUES = 1 << 22 };

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

/* Views may overlap, and their strides may be 0: a small file can describe any number of values.
 * What this reads in all is held against the file's size; no honest file comes near. */
static ldm_status debit(const ldm_ckpt *ck, const ldm_tensor_info *t, uint64_t *left,
                        ldm_error *err)
{
    const uint64_t cost = ldm_ckpt_read_cost(t), size = ldm_ckpt_file_bytes(ck);

    if (t->numel > LEAST_VALUES && t->numel > size)
        *left = 0;
    if (cost > *left)
        return ldm_error_set(
            err, LDM_ERR_LIMIT,
            "%s: '%.120s' and the tensors before it have more values than a file of "
            "%llu bytes can hold; leave out --values if you trust it",
            ldm_ckpt_path(ck), t->name, (unsigned long long)size);
    *left -= cost;
    return LDM_OK;
}

ldm_status ldm_find_values(const ldm_audit *a, ldm_findings *f, ldm_error *err)
{
    const ldm_tensor_info *book =
        ldm_ckpt_find(a->ckpt, "first_stage_model.quantize.embedding.weight");
    float *buf = NULL;
    uint64_t cap = 0, left = LEAST_VALUES + 4 * ldm_ckpt_file_bytes(a->ckpt);
    ldm_status st = LDM_OK;
    size_t i;

    for (i = 0; i < ldm_ckpt_count(a->ckpt) && !st; i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(a->ckpt, i);
        ldm_bad_values b = {t, 0, 0};

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
