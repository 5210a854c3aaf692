/* SPDX-License-Identifier: MIT */
/* Tensors in pickled values; see torch.h. Shapes of the pickled calls after torch's
 * torch/_utils.py (_rebuild_tensor, _rebuild_tensor_v2, _rebuild_parameter) and the persistent ids
 * of torch/serialization.py. */
#include "checkpoint/torch.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"

enum { MAX_WRAPPERS = 8 };

const char *ldm_torch_show(const ldm_pk *v, ldm_shown *s)
{
    if (v->kind == LDM_PK_STR)
        ldm_printable(v->u.text.data, v->u.text.len, s->text, sizeof s->text);
    else
        snprintf(s->text, sizeof s->text, "%s", ldm_pk_kind_name(v->kind));
    return s->text;
}

/* ('module', class, file, source): how the legacy format pickles a torch.nn.Module's class. */
static bool is_class_id(const ldm_pk *id)
{
    return id->kind == LDM_PK_TUPLE && id->u.seq.count >= 2 &&
           ldm_pk_is(id->u.seq.items[0], "module");
}

/* ('storage', type, key, location, numel[, view_metadata]) */
static ldm_status read_persid(const ldm_torch *t, const ldm_pk *v, ldm_storage *s, ldm_error *err)
{
    const ldm_pk *id = v->u.persid.id;
    ldm_pk *const *item = id->u.seq.items;
    const ldm_pk *type;
    ldm_shown name;

    memset(s, 0, sizeof *s);
    s->pos = v->pos;
    if (id->kind != LDM_PK_TUPLE || id->u.seq.count < 5 || !ldm_pk_is(item[0], "storage"))
        return ldm_source_error(
            &t->src, err, LDM_ERR_UNSUPPORTED, v->pos,
            "a persistent id that is %s%s%s, expected ('storage', type, key, location, count)",
            ldm_pk_kind_name(id->kind),
            id->kind == LDM_PK_TUPLE && id->u.seq.count ? " beginning with " : "",
            id->kind == LDM_PK_TUPLE && id->u.seq.count ? ldm_torch_show(item[0], &name) : "");
    type = item[1];
    if (type->kind != LDM_PK_GLOBAL || !type->u.global.row ||
        type->u.global.row->role != LDM_GLOBAL_STORAGE)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSUPPORTED, v->pos,
                                "a storage of type %.120s, expected torch.FloatStorage or the like",
                                type->kind == LDM_PK_GLOBAL ? type->u.global.name
                                                            : ldm_pk_kind_name(type->kind));
    s->type = type->u.global.row;
    if (item[2]->kind != LDM_PK_STR || memchr(item[2]->u.text.data, 0, item[2]->u.text.len))
        return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, v->pos,
                                "a storage's key is %s, expected a string without NUL",
                                ldm_pk_kind_name(item[2]->kind));
    if (item[4]->kind != LDM_PK_INT || item[4]->u.integer < 0 ||
        ldm_mul_u64((uint64_t)item[4]->u.integer, s->type->elem_bytes, &s->bytes))
        return ldm_source_error(&t->src, err, LDM_ERR_RANGE, v->pos,
                                "storage '%s' has an impossible number of elements",
                                ldm_torch_show(item[2], &name));
    s->numel = (uint64_t)item[4]->u.integer;
    if (id->u.seq.count > 5 && item[5]->kind != LDM_PK_NONE)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSUPPORTED, v->pos,
                                "storage '%s' is a view of another (torch before 0.4); save the "
                                "file again with a newer torch",
                                ldm_torch_show(item[2], &name));
    s->key = ldm_arena_strndup(t->ck->scratch, item[2]->u.text.data, item[2]->u.text.len);
    return s->key ? LDM_OK : ldm_index_no_room(t->ck, t->src.base + v->pos, "storages", err);
}

ldm_status ldm_torch_storages(ldm_torch *t, ldm_error *err)
{
    ldm_storage *all;
    ldm_pk **ids, *v;
    ldm_name *names;
    size_t n = 0, i;
    ldm_status st;

    for (v = t->pickle.persids; v; v = v->u.persid.next)
        n += !is_class_id(v->u.persid.id);
    all = ldm_arena_alloc(t->ck->scratch, n, sizeof *all);
    ids = ldm_arena_alloc(t->ck->scratch, n, sizeof *ids);
    names = ldm_arena_alloc(t->ck->scratch, n, sizeof *names);
    t->storages = ldm_arena_alloc(t->ck->scratch, n, sizeof *t->storages);
    t->by_key = ldm_arena_alloc(t->ck->scratch, n, sizeof *t->by_key);
    if (!all || !ids || !names || !t->storages || !t->by_key)
        return ldm_index_no_room(t->ck, t->src.base, "storages", err);
    for (i = 0, v = t->pickle.persids; v; v = v->u.persid.next) {
        if (is_class_id(v->u.persid.id))
            continue;
        st = read_persid(t, v, &all[i], err);
        if (st)
            return st;
        ids[i] = v;
        names[i].name = all[i].key;
        names[i].index = i;
        i++;
    }
    ldm_names_sort(names, n);
    for (i = 0; i < n; i++) {
        const ldm_storage *s = &all[names[i].index];
        const ldm_storage *same = t->count ? &t->storages[t->count - 1] : NULL;

        if (!same || strcmp(same->key, s->key) != 0) {
            t->storages[t->count] = *s;
            t->by_key[t->count].name = s->key;
            t->by_key[t->count].index = t->count;
            t->count++;
        } else if (same->type != s->type || same->numel != s->numel) {
            return ldm_source_error(
                &t->src, err, LDM_ERR_FORMAT, s->pos,
                "storage '%.80s' is %llu elements of %s here, and %llu of %s at "
                "byte %llu",
                s->key, ldm_ull(s->numel), s->type->name, ldm_ull(same->numel), same->type->name,
                ldm_ull(t->src.base + same->pos));
        }
        ids[names[i].index]->u.persid.storage = t->count - 1;
    }
    return LDM_OK;
}

static const ldm_global_row *callee_row(const ldm_pk *v)
{
    if (v->kind != LDM_PK_OBJECT || v->u.object.callee->kind != LDM_PK_GLOBAL)
        return NULL;
    return v->u.object.callee->u.global.row;
}

/* A call that rebuilds a tensor, with what wraps it taken off. */
typedef struct rebuild {
    const ldm_global_row *row; /* TENSOR, TENSOR_V3 or QTENSOR */
    const ldm_pk *args;
    const ldm_pk *at; /* for messages */
} rebuild;

static const ldm_global_row *global_row(const ldm_pk *v)
{
    return v->kind == LDM_PK_GLOBAL ? v->u.global.row : NULL;
}

/* The arguments of _rebuild_from_type_v2 (function, class, arguments, attributes) if the class is a
 * dense tensor's; torch writes it where a tensor carries a Python attribute. */
static ldm_pk *const *typed_args(const ldm_pk *args)
{
    const ldm_global_row *cls;

    if (args->kind != LDM_PK_TUPLE || args->u.seq.count < 3)
        return NULL;
    cls = global_row(args->u.seq.items[1]);
    return cls && cls->role == LDM_GLOBAL_TENSOR_CLASS ? args->u.seq.items : NULL;
}

static bool rebuilds(const ldm_global_row *row)
{
    return row && (row->role == LDM_GLOBAL_TENSOR || row->role == LDM_GLOBAL_TENSOR_V3 ||
                   row->role == LDM_GLOBAL_QTENSOR);
}

/* False where v is no tensor that ldm reads; out->args is NULL where it is one with odd arguments.
 */
static bool unwrap(const ldm_pk *v, rebuild *out)
{
    int depth;

    memset(out, 0, sizeof *out);
    for (depth = 0; depth < MAX_WRAPPERS; depth++) {
        const ldm_global_row *row = callee_row(v);
        const ldm_pk *args = row ? v->u.object.args : NULL;
        ldm_pk *const *typed = NULL;

        out->at = v;
        if (row && row->role == LDM_GLOBAL_TYPED) {
            typed = typed_args(args);
            row = typed ? global_row(typed[0]) : NULL;
            args = typed ? typed[2] : NULL;
        }
        if (rebuilds(row)) {
            out->row = row;
            out->args = args;
            return true;
        }
        if (!row || row->role != LDM_GLOBAL_PARAMETER)
            return depth > 0;
        if (args->kind != LDM_PK_TUPLE || args->u.seq.count < 1)
            return true;
        v = args->u.seq.items[0];
    }
    return true;
}

bool ldm_torch_is_tensor(const ldm_pk *v)
{
    rebuild r;

    return unwrap(v, &r);
}

/* A tuple of non-negative integers. */
static ldm_status read_dims(const ldm_torch *t, const ldm_pk *v, const char *what,
                            const char *field, uint64_t *dims, int *ndim, ldm_error *err)
{
    size_t i;

    if (v->kind != LDM_PK_TUPLE)
        return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, v->pos,
                                "tensor '%.120s': its %s is %s, expected a tuple", what, field,
                                ldm_pk_kind_name(v->kind));
    if (v->u.seq.count > LDM_MAX_DIMS)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSUPPORTED, v->pos,
                                "tensor '%.120s' has %zu dimensions, at most %d are expected", what,
                                v->u.seq.count, LDM_MAX_DIMS);
    for (i = 0; i < v->u.seq.count; i++) {
        const ldm_pk *d = v->u.seq.items[i];

        if (d->kind != LDM_PK_INT)
            return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, d->pos,
                                    "tensor '%.120s': %s of dimension %zu is %s, expected an "
                                    "integer",
                                    what, field, i, ldm_pk_kind_name(d->kind));
        if (d->u.integer < 0)
            return ldm_source_error(&t->src, err, LDM_ERR_RANGE, d->pos,
                                    "tensor '%.120s': %s of dimension %zu is %lld, expected 0 or "
                                    "more",
                                    what, field, i, (long long)d->u.integer);
        dims[i] = (uint64_t)d->u.integer;
    }
    *ndim = (int)v->u.seq.count;
    return LDM_OK;
}

/* Whether a pickled dictionary says True for this key. */
static bool says_true(const ldm_pk *dict, const char *key)
{
    size_t i;

    for (i = 0; dict->kind == LDM_PK_DICT && i < dict->u.seq.count; i += 2) {
        const ldm_pk *v = dict->u.seq.items[i + 1];

        if (ldm_pk_is(dict->u.seq.items[i], key))
            return v->kind == LDM_PK_BOOL && v->u.boolean;
    }
    return false;
}

/* How many arguments the three functions take, and where their hooks stand:
 *   _rebuild_tensor     (storage, offset, size, stride)
 *   _rebuild_tensor_v2  (..., requires_grad, hooks[, metadata])
 *   _rebuild_tensor_v3  (..., requires_grad, hooks, type[, metadata])
 *   _rebuild_qtensor    (..., quantiser, requires_grad, hooks) */
typedef struct signature {
    size_t most, hooks, metadata;
} signature;

static signature signature_of(const ldm_global_row *row)
{
    if (row->role == LDM_GLOBAL_TENSOR_V3)
        return (signature){8, 5, 7};
    if (row->role == LDM_GLOBAL_QTENSOR)
        return (signature){7, 6, SIZE_MAX};
    return (signature){7, 5, 6};
}

static bool is_rebuilt(const ldm_torch *t, const ldm_pk *args, size_t most)
{
    return args && args->kind == LDM_PK_TUPLE && args->u.seq.count >= 4 &&
           args->u.seq.count <= most && args->u.seq.items[0]->kind == LDM_PK_PERSID &&
           args->u.seq.items[0]->u.persid.storage < t->count &&
           args->u.seq.items[1]->kind == LDM_PK_INT;
}

/* The type of the elements: the storage's, or of an untyped storage the seventh argument's. One
 * that ldm does not know is OTHER: the tensor is listed, and only a run that needs it is refused.
 */
static ldm_status read_type(const ldm_torch *t, const rebuild *r, const ldm_storage *s,
                            const char *what, ldm_dtype *out, ldm_error *err)
{
    const ldm_global_row *row = s->type;

    if (r->row->role == LDM_GLOBAL_TENSOR_V3) {
        row = r->args->u.seq.count > 6 ? global_row(r->args->u.seq.items[6]) : NULL;
        *out = row && row->role == LDM_GLOBAL_DTYPE ? (ldm_dtype)row->dtype : LDM_DTYPE_OTHER;
        return LDM_OK;
    }
    if (row->dtype < 0)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSUPPORTED, r->at->pos,
                                "tensor '%.120s' is made of %s, which ldm does not read", what,
                                row->name);
    *out = (ldm_dtype)row->dtype;
    return LDM_OK;
}

ldm_status ldm_torch_tensor(const ldm_torch *t, const ldm_pk *v, const char *what, ldm_tensor *out,
                            ldm_error *err)
{
    ldm_tensor_info *info = &out->info;
    const ldm_storage *s;
    ldm_pk *const *arg;
    signature sig = {0};
    rebuild r;
    int strides = 0;
    ldm_status st;

    memset(out, 0, sizeof *out);
    unwrap(v, &r);
    if (r.row)
        sig = signature_of(r.row);
    if (!is_rebuilt(t, r.args, sig.most))
        return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, r.at->pos,
                                "tensor '%.120s' is rebuilt from other arguments than a storage, "
                                "offset, size and stride",
                                what);
    arg = r.args->u.seq.items;
    if (r.args->u.seq.count > sig.hooks && arg[sig.hooks]->kind != LDM_PK_DICT &&
        arg[sig.hooks]->kind != LDM_PK_NONE)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSAFE, arg[sig.hooks]->pos,
                                "tensor '%.120s' has %s as its hooks, expected an empty "
                                "dictionary; nothing was executed",
                                what, ldm_pk_kind_name(arg[sig.hooks]->kind));
    if (arg[1]->u.integer < 0)
        return ldm_source_error(&t->src, err, LDM_ERR_RANGE, arg[1]->pos,
                                "tensor '%.120s' begins at element %lld of its storage", what,
                                (long long)arg[1]->u.integer);
    s = &t->storages[arg[0]->u.persid.storage];
    st = read_type(t, &r, s, what, &info->dtype, err);
    if (st)
        return st;
    info->offset_elems = (uint64_t)arg[1]->u.integer;
    info->negated = r.args->u.seq.count > sig.metadata && says_true(arg[sig.metadata], "neg");
    info->storage = s->key;
    info->storage_offset = s->offset;
    info->storage_bytes = s->bytes;
    out->packed_bytes = s->packed_bytes;
    st = read_dims(t, arg[2], what, "size", info->shape, &info->ndim, err);
    if (!st)
        st = read_dims(t, arg[3], what, "stride", info->stride, &strides, err);
    if (st)
        return st;
    if (strides != info->ndim)
        return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, r.at->pos,
                                "tensor '%.120s' has %d dimensions and %d strides", what,
                                info->ndim, strides);
    return ldm_index_check(info, what, &t->src, r.at->pos, err);
}
