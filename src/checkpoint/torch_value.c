/* Tensors and state dicts in pickled values; see torch.h. Shapes of the pickled calls after torch's
 * torch/_utils.py (_rebuild_tensor, _rebuild_tensor_v2, _rebuild_parameter) and the persistent ids
 * of torch/serialization.py. */
#include "checkpoint/torch.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"

enum { MAX_WRAPPERS = 8, NAME_SHOWN = 120 };

/* A pickled text as a printable C string for messages. */
typedef struct shown {
    char text[NAME_SHOWN];
} shown;

static const char *show(const ldm_pk *v, shown *s)
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
    shown name;

    memset(s, 0, sizeof *s);
    s->pos = v->pos;
    if (id->kind != LDM_PK_TUPLE || id->u.seq.count < 5 || !ldm_pk_is(item[0], "storage"))
        return ldm_source_error(
            &t->src, err, LDM_ERR_UNSUPPORTED, v->pos,
            "a persistent id that is %s%s%s, expected ('storage', type, key, location, count)",
            ldm_pk_kind_name(id->kind),
            id->kind == LDM_PK_TUPLE && id->u.seq.count ? " beginning with " : "",
            id->kind == LDM_PK_TUPLE && id->u.seq.count ? show(item[0], &name) : "");
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
                                show(item[2], &name));
    s->numel = (uint64_t)item[4]->u.integer;
    if (id->u.seq.count > 5 && item[5]->kind != LDM_PK_NONE)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSUPPORTED, v->pos,
                                "storage '%s' is a view of another (torch before 0.4); save the "
                                "file again with a newer torch",
                                show(item[2], &name));
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

bool ldm_torch_is_tensor(const ldm_pk *v)
{
    const ldm_global_row *row = callee_row(v);

    return row && (row->role == LDM_GLOBAL_TENSOR || row->role == LDM_GLOBAL_PARAMETER);
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

/* (storage, storage_offset, size, stride[, requires_grad, backward_hooks[, metadata]]) */
ldm_status ldm_torch_tensor(const ldm_torch *t, const ldm_pk *v, const char *what, ldm_tensor *out,
                            ldm_error *err)
{
    ldm_tensor_info *info = &out->info;
    const ldm_storage *s;
    const ldm_pk *args = NULL;
    ldm_pk *const *arg;
    int strides = 0, depth;
    ldm_status st;

    memset(out, 0, sizeof *out);
    for (depth = 0; depth < MAX_WRAPPERS && ldm_torch_is_tensor(v); depth++) {
        args = v->u.object.args;
        if (args->kind != LDM_PK_TUPLE || args->u.seq.count < 1)
            break;
        if (callee_row(v)->role == LDM_GLOBAL_TENSOR)
            break;
        v = args->u.seq.items[0];
        args = NULL;
    }
    if (!args || args->kind != LDM_PK_TUPLE || args->u.seq.count < 4 || args->u.seq.count > 7 ||
        args->u.seq.items[0]->kind != LDM_PK_PERSID ||
        args->u.seq.items[0]->u.persid.storage >= t->count ||
        args->u.seq.items[1]->kind != LDM_PK_INT)
        return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, v->pos,
                                "tensor '%.120s' is rebuilt from other arguments than a storage, "
                                "offset, size and stride",
                                what);
    arg = args->u.seq.items;
    if (args->u.seq.count > 5 && arg[5]->kind != LDM_PK_DICT && arg[5]->kind != LDM_PK_NONE)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSAFE, arg[5]->pos,
                                "tensor '%.120s' has %s as its hooks, expected an empty "
                                "dictionary; nothing was executed",
                                what, ldm_pk_kind_name(arg[5]->kind));
    if (arg[1]->u.integer < 0)
        return ldm_source_error(&t->src, err, LDM_ERR_RANGE, arg[1]->pos,
                                "tensor '%.120s' begins at element %lld of its storage", what,
                                (long long)arg[1]->u.integer);
    s = &t->storages[arg[0]->u.persid.storage];
    if (s->type->dtype < 0)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSUPPORTED, v->pos,
                                "tensor '%.120s' is made of %s, which ldm does not read", what,
                                s->type->name);
    info->dtype = (ldm_dtype)s->type->dtype;
    info->offset_elems = (uint64_t)arg[1]->u.integer;
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
        return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, v->pos,
                                "tensor '%.120s' has %d dimensions and %d strides", what,
                                info->ndim, strides);
    return ldm_index_check(info, what, &t->src, v->pos, err);
}

/* Why a value of the state dict that is no tensor cannot stand. LDM_OK for plain data. */
static ldm_status refuse_opaque(const ldm_torch *t, const ldm_pk *key, const ldm_pk *v,
                                ldm_error *err)
{
    const ldm_pk *global = v->kind == LDM_PK_OBJECT ? v->u.object.callee : v;
    const ldm_global_row *row;
    shown name;

    if (v->kind != LDM_PK_OBJECT && v->kind != LDM_PK_GLOBAL && v->kind != LDM_PK_PERSID)
        return LDM_OK;
    if (global->kind != LDM_PK_GLOBAL)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSAFE, v->pos,
                                "state dict key '%s' is %s, expected a tensor; nothing was "
                                "executed",
                                show(key, &name),
                                v->kind == LDM_PK_PERSID ? "a bare storage"
                                                         : "the result of an unknown call");
    row = global->u.global.row;
    if (row && row->role == LDM_GLOBAL_OTHER_TENSOR)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSUPPORTED, v->pos,
                                "state dict key '%s' is a tensor made by %s; ldm reads dense "
                                "tensors only",
                                show(key, &name), global->u.global.name);
    return ldm_source_error(&t->src, err, row ? LDM_ERR_FORMAT : LDM_ERR_UNSAFE, v->pos,
                            "state dict key '%s' is made by %s'%.120s' (byte %llu), expected a "
                            "tensor; nothing was executed",
                            show(key, &name), row ? "" : "the unknown global ",
                            global->u.global.name, ldm_ull(t->src.base + global->pos));
}

static ldm_status index_state(ldm_torch *t, const ldm_pk *state, ldm_error *err)
{
    ldm_pk *const *item = state->u.seq.items;
    size_t i;
    ldm_status st;

    st = ldm_index_begin(t->ck, state->u.seq.count / 2, err);
    for (i = 0; !st && i < state->u.seq.count; i += 2) {
        const ldm_pk *key = item[i], *v = item[i + 1];
        ldm_tensor tensor;
        shown name;

        if (key->kind != LDM_PK_STR)
            return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, key->pos,
                                    "a key of the state dict is %s, expected a string",
                                    ldm_pk_kind_name(key->kind));
        if (ldm_torch_is_tensor(v)) {
            st = ldm_torch_tensor(t, v, show(key, &name), &tensor, err);
            if (!st)
                st = ldm_index_add(t->ck, &tensor, key->u.text.data, key->u.text.len, &t->src,
                                   key->pos, err);
            continue;
        }
        st = refuse_opaque(t, key, v, err);
        if (!st)
            st = ldm_index_warn(t->ck, err, "state dict key '%s' is %s, no tensor: skipped",
                                show(key, &name), ldm_pk_kind_name(v->kind));
    }
    return st ? st : ldm_index_finish(t->ck, err);
}

static ldm_status no_state_dict(const ldm_torch *t, const ldm_pk *root, ldm_error *err)
{
    char keys[200] = "";
    size_t i, n = 0;
    shown name;

    if (root->kind == LDM_PK_OBJECT && root->u.object.callee->kind == LDM_PK_GLOBAL)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSUPPORTED, root->pos,
                                "the file holds an object of %.120s, expected a dictionary with "
                                "'state_dict'; save model.state_dict() instead",
                                root->u.object.callee->u.global.name);
    if (root->kind != LDM_PK_DICT)
        return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, root->pos,
                                "the file holds %s, expected a dictionary with 'state_dict' or one "
                                "of tensors",
                                ldm_pk_kind_name(root->kind));
    for (i = 0; i < root->u.seq.count && n + NAME_SHOWN + 4 < sizeof keys; i += 2)
        n += (size_t)snprintf(keys + n, sizeof keys - n, "%s%.60s", i ? ", " : "",
                              show(root->u.seq.items[i], &name));
    return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, root->pos,
                            "no state dict: the keys are %s%s, expected 'state_dict' or the "
                            "tensors themselves",
                            keys[0] ? keys : "none", i < root->u.seq.count ? ", ..." : "");
}

/* CompVis' loaders read sd["state_dict"]; a dictionary of tensors is taken as it is. */
static ldm_status find_state(const ldm_torch *t, const ldm_pk **state, const char **path,
                             ldm_error *err)
{
    const ldm_pk *root = t->pickle.root;
    bool tensors = false;
    size_t i;

    *state = NULL;
    if (root->kind != LDM_PK_DICT)
        return no_state_dict(t, root, err);
    for (i = 0; i < root->u.seq.count; i += 2) {
        const ldm_pk *key = root->u.seq.items[i], *v = root->u.seq.items[i + 1];

        tensors = tensors || ldm_torch_is_tensor(v);
        if (!ldm_pk_is(key, "state_dict"))
            continue;
        if (*state)
            return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, key->pos,
                                    "a second 'state_dict', expected one");
        if (v->kind != LDM_PK_DICT)
            return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, v->pos,
                                    "'state_dict' is %s, expected a dictionary",
                                    ldm_pk_kind_name(v->kind));
        *state = v;
    }
    *path = *state ? "state_dict" : "";
    if (*state)
        return LDM_OK;
    if (!tensors) {
        /* What pretends to be a state dict is told why it is none. */
        for (i = 0; i < root->u.seq.count; i += 2) {
            ldm_status st = refuse_opaque(t, root->u.seq.items[i], root->u.seq.items[i + 1], err);

            if (st)
                return st;
        }
        return no_state_dict(t, root, err);
    }
    *state = root;
    return LDM_OK;
}

/* Copies what the accessors show of the globals, and warns of those that ldm does not know. */
static ldm_status index_globals(ldm_torch *t, ldm_error *err)
{
    ldm_ckpt *ck = t->ck;
    ldm_status st = LDM_OK;
    size_t i;

    ck->globals = ldm_arena_alloc(ck->keep, t->pickle.global_count, sizeof *ck->globals);
    if (!ck->globals)
        return ldm_index_no_room(ck, t->src.base, "globals", err);
    for (i = 0; i < t->pickle.global_count && !st; i++) {
        const ldm_pk *g = t->pickle.globals[i];

        ck->globals[i].name = ldm_arena_strdup(ck->keep, g->u.global.name);
        ck->globals[i].offset = t->src.base + g->pos;
        ck->globals[i].known = g->u.global.row != NULL;
        if (!ck->globals[i].name)
            return ldm_index_no_room(ck, ck->globals[i].offset, "globals", err);
        ck->global_count++;
        if (!g->u.global.row)
            st = ldm_index_warn(ck, err,
                                "unknown global '%.160s' (byte %llu) outside the state dict: kept "
                                "as data, nothing is executed",
                                g->u.global.name, ldm_ull(ck->globals[i].offset));
    }
    return st;
}

ldm_status ldm_torch_index(ldm_torch *t, ldm_error *err)
{
    const ldm_pk *state = NULL;
    ldm_status st;

    st = find_state(t, &state, &t->ck->state_path, err);
    if (!st)
        st = index_state(t, state, err);
    if (!st)
        st = index_globals(t, err);
    if (!st)
        st = ldm_torch_metadata(t, state, err);
    return st;
}
