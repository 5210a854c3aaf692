/* SPDX-License-Identifier: MIT */
/* Writing a safetensors file tensor by tensor: 8 bytes of header length, a JSON header, then the
 * values (github.com/huggingface/safetensors). The memory that it takes is that of the largest
 * tensor, once as float32 and once as it is written. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/file.h"
#include "base/half.h"
#include "base/json_text.h"
#include "convert/convert_private.h"

enum { CHUNK = 1 << 16, ALIGNMENT = 8 };

static uint64_t out_numel(const ldm_out_tensor *t)
{
    uint64_t n = 1;

    for (int d = 0; d < t->ndim; d++)
        n *= t->shape[d];
    return n;
}

/* The most values that a source of the list has. */
static size_t out_largest(const ldm_out_list *list)
{
    uint64_t most = 1;

    for (size_t i = 0; i < list->count; i++)
        most = list->items[i].source->numel > most ? list->items[i].source->numel : most;
    return (size_t)most;
}

/* Values of t as float32, in `whole` (room for the source's values), from where *values points. */
static ldm_status out_values(const ldm_ckpt *ck, const ldm_out_tensor *t, float *whole,
                             const float **values, ldm_error *err)
{
    const size_t n = (size_t)out_numel(t), block = t->blocks ? n / (size_t)t->blocks : 0;
    ldm_status st = ldm_ckpt_read_f32(ck, t->source, whole, err);

    *values = whole;
    for (size_t b = 0; !st && b < (size_t)t->blocks; b++) /* towards the front: nothing is lost */
        memmove(whole + b * block, whole + (3 * b + (size_t)t->part) * block,
                block * sizeof *whole);
    return st;
}

/* ---- the header ------------------------------------------------------------------------------ */

static const char *type_name(ldm_dtype d)
{
    switch (d) {
    case LDM_DTYPE_F64:
        return "F64";
    case LDM_DTYPE_F16:
        return "F16";
    case LDM_DTYPE_BF16:
        return "BF16";
    case LDM_DTYPE_I64:
        return "I64";
    case LDM_DTYPE_I32:
        return "I32";
    default:
        return "F32";
    }
}

static json_t *entry_of(const ldm_out_tensor *t, uint64_t *at)
{
    json_t *entry = json_object(), *shape = json_array(), *offsets = json_array();
    const uint64_t end = *at + out_numel(t) * ldm_dtype_size(t->dtype);

    for (int d = 0; d < t->ndim; d++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[d]));
    json_array_append_new(offsets, json_integer((json_int_t)*at));
    json_array_append_new(offsets, json_integer((json_int_t)end));
    json_object_set_new(entry, "dtype", json_string(type_name(t->dtype)));
    json_object_set_new(entry, "shape", shape);
    json_object_set_new(entry, "data_offsets", offsets);
    *at = end;
    return entry;
}

static ldm_status header_text(const ldm_out_list *list, const ldm_out_meta *meta, size_t count,
                              ldm_str *out, ldm_error *err)
{
    json_t *root = json_object(), *about = json_object();
    uint64_t at = 0;

    for (size_t i = 0; i < count; i++)
        json_object_set_new(about, meta[i].key, ldm_json_text(meta[i].value));
    json_object_set_new(root, "__metadata__", about);
    for (size_t i = 0; i < list->count; i++)
        json_object_set_new(root, list->items[i].name, entry_of(&list->items[i], &at));
    if (!ldm_json_append(root, JSON_COMPACT, out))
        out->failed = true;
    json_decref(root);
    while (!out->failed && out->len % ALIGNMENT)
        ldm_str_puts(out, " ");
    return out->failed ? ldm_error_nomem(err, 0, "the header") : LDM_OK;
}

/* ---- values ---------------------------------------------------------------------------------- */

static ldm_status write_error(const char *path, ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

static ldm_status write_all(FILE *f, const void *data, size_t bytes, const char *path,
                            ldm_error *err)
{
    return fwrite(data, 1, bytes, f) == bytes ? LDM_OK : write_error(path, err);
}

static ldm_status too_large(const ldm_out_tensor *t, float x, ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_NUMERIC,
                         "%s holds %g, which float16 cannot hold (65504 at most); convert to bf16",
                         t->name, (double)x);
}

/* n values in the type of t into `bytes`. */
static ldm_status encode(const ldm_out_tensor *t, const float *x, size_t n, unsigned char *bytes,
                         ldm_error *err)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t half;

        if (t->dtype == LDM_DTYPE_F32) {
            memcpy(bytes + 4 * i, x + i, 4);
            continue;
        }
        half = t->dtype == LDM_DTYPE_F16 ? ldm_float_to_half(x[i]) : ldm_float_to_bf16(x[i]);
        if (t->dtype == LDM_DTYPE_F16 && (half & 0x7fff) == 0x7c00 && isfinite(x[i]))
            return too_large(t, x[i], err);
        memcpy(bytes + 2 * i, &half, 2);
    }
    return LDM_OK;
}

/* The bytes as they lie in the source, where they are what is to be written. */
static const void *as_it_is(const ldm_ckpt *ck, const ldm_out_tensor *t)
{
    return !t->blocks && t->dtype == t->source->dtype ? ldm_ckpt_data(ck, t->source) : NULL;
}

/* The source's own numbers, where some may be more than a float32 holds. */
static const unsigned char *wide_of(const ldm_ckpt *ck, const ldm_out_tensor *t)
{
    return t->source->dtype == LDM_DTYPE_F64 ? ldm_ckpt_data(ck, t->source) : NULL;
}

static ldm_status write_tensor(FILE *f, const char *path, const ldm_ckpt *ck,
                               const ldm_out_tensor *t, ldm_not_finite *bad, float *whole,
                               ldm_error *err)
{
    const size_t n = (size_t)out_numel(t), size = ldm_dtype_size(t->dtype);
    const void *raw = as_it_is(ck, t);
    unsigned char bytes[CHUNK];
    const size_t step = sizeof bytes / size;
    const float *values;
    ldm_status st;

    if (raw) {
        if (bad)
            ldm_not_finite_bytes(bad, t, raw, n);
        return write_all(f, raw, n * size, path, err);
    }
    st = out_values(ck, t, whole, &values, err);
    if (!st && bad)
        ldm_not_finite_values(bad, t, values, n, wide_of(ck, t));
    for (size_t i = 0; i < n && !st; i += step) {
        const size_t part = n - i < step ? n - i : step;

        st = encode(t, values + i, part, bytes, err);
        if (!st)
            st = write_all(f, bytes, part * size, path, err);
    }
    return st;
}

/* ---- reading back ---------------------------------------------------------------------------- */

static ldm_status differs(const char *path, const ldm_out_tensor *t, ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_IO,
                         "%s: %s was read back with other values than were written", path, t->name);
}

/* Bytes that were made again, piece by piece, against those in the file. */
static ldm_status check_made(const char *path, const ldm_ckpt *ck, const ldm_out_tensor *t,
                             const unsigned char *written, float *whole, ldm_error *err)
{
    const size_t n = (size_t)out_numel(t), size = ldm_dtype_size(t->dtype);
    unsigned char bytes[CHUNK];
    const size_t step = sizeof bytes / size;
    const float *values;
    ldm_status st = out_values(ck, t, whole, &values, err);

    for (size_t i = 0; i < n && !st; i += step) {
        const size_t part = n - i < step ? n - i : step;

        st = encode(t, values + i, part, bytes, err);
        if (!st && memcmp(bytes, written + i * size, part * size))
            st = differs(path, t, err);
    }
    return st;
}

/* What was looked at is let go: the pages of a mapped file count as memory, too. */
static ldm_status check_tensor(const char *path, const ldm_ckpt *ck, const ldm_ckpt *back,
                               const ldm_out_tensor *t, float *whole, ldm_error *err)
{
    const ldm_tensor_info *info = ldm_ckpt_find(back, t->name);
    const size_t n = (size_t)out_numel(t);
    const void *raw = as_it_is(ck, t);
    const unsigned char *written = info ? ldm_ckpt_data(back, info) : NULL;
    ldm_status st = LDM_OK;

    if (!info || info->numel != n || (n && !written))
        return differs(path, t, err);
    if (!raw)
        st = check_made(path, ck, t, written, whole, err);
    else if (memcmp(raw, written, n * ldm_dtype_size(t->dtype)))
        st = differs(path, t, err);
    ldm_ckpt_release(back, info);
    return st;
}

/* Called once for each tensor that is written, and again before it is read back. w: NULL where
 * nobody watches. */
static ldm_status tell(ldm_watch *w, ldm_error *err)
{
    const double done = w ? (double)w->done++ / (double)(w->total ? w->total : 1) : 0;

    return w && w->fn && w->fn(w->ctx, done < 1 ? done : 1)
               ? ldm_error_set(err, LDM_ERR_CANCELLED, "the conversion was ended")
               : LDM_OK;
}

static ldm_status check(const char *tmp_path, const ldm_ckpt *ck, const ldm_out_list *list,
                        float *whole, ldm_error *err)
{
    ldm_ckpt *back = NULL;
    ldm_status st = ldm_ckpt_open(tmp_path, NULL, &back, err);

    for (size_t i = 0; i < list->count && !st; i++) {
        st = tell(list->watch, err);
        if (!st)
            st = check_tensor(tmp_path, ck, back, &list->items[i], whole, err);
        ldm_ckpt_release(ck, list->items[i].source);
    }
    ldm_ckpt_close(back);
    return st;
}

ldm_status ldm_safetensors_write(const char *path, const ldm_ckpt *ck, const ldm_out_list *list,
                                 const ldm_out_meta *meta, size_t meta_count, ldm_error *err)
{
    float *whole = ldm_reallocarray(NULL, out_largest(list), sizeof *whole);
    ldm_outfile out = {0};
    ldm_str header = {0};
    unsigned char length[8];
    ldm_status st = whole ? LDM_OK : ldm_error_nomem(err, 0, "a tensor");

    if (!st)
        st = header_text(list, meta, meta_count, &header, err);
    if (!st)
        st = ldm_outfile_open(path, &out, err);
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header.len >> 8 * i);
    if (!st)
        st = write_all(out.stream, length, sizeof length, path, err);
    if (!st)
        st = write_all(out.stream, header.data, header.len, path, err);
    for (size_t i = 0; i < list->count && !st; i++) {
        st = tell(list->watch, err);
        if (!st)
            st = write_tensor(out.stream, path, ck, &list->items[i], list->not_finite, whole, err);
        ldm_ckpt_release(ck, list->items[i].source);
    }
    if (!st && fflush(out.stream))
        st = write_error(path, err);
    if (!st)
        st = check(out.tmp_path, ck, list, whole, err);
    if (!st)
        st = ldm_outfile_commit(&out, err);
    ldm_outfile_abort(&out);
    ldm_str_free(&header);
    ldm_free(whole);
    return st;
}
