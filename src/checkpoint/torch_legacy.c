/* SPDX-License-Identifier: MIT */
/* PyTorch's format before 1.6: a stream of five pickles (magic number, protocol version, system
 * information, the object, the list of storage keys), then for each key an 8-byte element count and
 * the storage's bytes, without alignment. */
#include <string.h>

#include "checkpoint/torch.h"

#define MAGIC_TEXT "0x1950a86a20f9469cfc6c"
enum { LEGACY_VERSION = 1001 };

static ldm_status check_magic(const ldm_source *src, const ldm_pk *v, ldm_error *err)
{
    if (v->kind == LDM_PK_BIGINT && v->u.text.len == sizeof MAGIC_TEXT - 1 &&
        !memcmp(v->u.text.data, MAGIC_TEXT, sizeof MAGIC_TEXT - 1))
        return LDM_OK;
    if (v->kind == LDM_PK_DICT)
        return ldm_source_error(
            src, err, LDM_ERR_FORMAT, v->pos,
            "a pickled dictionary without tensors' bytes, expected torch's magic number: it "
            "looks like the data.pkl out of an unpacked checkpoint; give the file "
            "as it was before it was unpacked");
    return ldm_source_error(src, err, LDM_ERR_FORMAT, v->pos,
                            "a pickle that begins with %s, expected torch's magic number "
                            "%s: not written by torch.save",
                            ldm_pk_kind_name(v->kind), MAGIC_TEXT);
}

static ldm_status check_version(const ldm_source *src, const ldm_pk *v, ldm_error *err)
{
    if (v->kind == LDM_PK_INT && v->u.integer == LEGACY_VERSION)
        return LDM_OK;
    return ldm_source_error(src, err, LDM_ERR_UNSUPPORTED, v->pos,
                            "format version %lld, expected %d",
                            v->kind == LDM_PK_INT ? (long long)v->u.integer : -1LL, LEGACY_VERSION);
}

static ldm_status check_system(const ldm_source *src, const ldm_pk *v, ldm_error *err)
{
    size_t i;

    for (i = 0; v->kind == LDM_PK_DICT && i < v->u.seq.count; i += 2) {
        const ldm_pk *little = v->u.seq.items[i + 1];

        if (ldm_pk_is(v->u.seq.items[i], "little_endian") && little->kind == LDM_PK_BOOL &&
            little->u.boolean)
            return LDM_OK;
    }
    return ldm_source_error(src, err, LDM_ERR_UNSUPPORTED, v->pos,
                            "the system information does not say little_endian: True; save the "
                            "file again on a little-endian machine");
}

/* The storages follow in the order of the list; their types are known from the persistent ids. */
static ldm_status place_storages(ldm_torch *t, const ldm_pk *keys, uint64_t pos, ldm_error *err)
{
    const ldm_source *src = &t->src;
    size_t i;

    if (keys->kind != LDM_PK_LIST)
        return ldm_source_error(src, err, LDM_ERR_FORMAT, keys->pos,
                                "the list of storage keys is %s", ldm_pk_kind_name(keys->kind));
    for (i = 0; i < keys->u.seq.count; i++) {
        const ldm_pk *key = keys->u.seq.items[i];
        const char *text;
        const ldm_name *found;
        ldm_storage *s;

        if (key->kind != LDM_PK_STR)
            return ldm_source_error(src, err, LDM_ERR_FORMAT, key->pos,
                                    "storage key %zu is %s, expected a string", i,
                                    ldm_pk_kind_name(key->kind));
        text = ldm_arena_strndup(t->ck->scratch, key->u.text.data, key->u.text.len);
        if (!text)
            return ldm_index_no_room(t->ck, key->pos, "storage keys", err);
        found = ldm_names_find(t->by_key, t->count, text);
        if (!found)
            return ldm_source_error(src, err, LDM_ERR_FORMAT, key->pos,
                                    "the file lists storage '%.80s', which no tensor names: its "
                                    "size is unknown",
                                    text);
        s = &t->storages[found->index];
        if (s->placed)
            return ldm_source_error(src, err, LDM_ERR_FORMAT, key->pos,
                                    "storage '%.80s' is listed twice", text);
        if (src->size - pos < 8 || s->bytes > src->size - pos - 8)
            return ldm_source_error(src, err, LDM_ERR_FORMAT, pos,
                                    "storage '%.80s' needs 8 + %llu bytes, %llu are left: the file "
                                    "is cut off",
                                    text, ldm_ull(s->bytes), ldm_ull(src->size - pos));
        if (ldm_le64(src->data + pos) != s->numel)
            return ldm_source_error(src, err, LDM_ERR_FORMAT, pos,
                                    "storage '%.80s' has %llu elements, its tensors expect %llu of "
                                    "%s",
                                    text, ldm_ull(ldm_le64(src->data + pos)), ldm_ull(s->numel),
                                    s->type->name);
        s->offset = pos + 8;
        s->placed = true;
        pos += 8 + s->bytes;
    }
    for (i = 0; i < t->count; i++) {
        if (!t->storages[i].placed)
            return ldm_source_error(src, err, LDM_ERR_FORMAT, t->storages[i].pos,
                                    "a persistent id names storage '%.80s', which the file does "
                                    "not list",
                                    t->storages[i].key);
    }
    return LDM_OK;
}

ldm_status ldm_read_torch_legacy(ldm_ckpt *ck, ldm_error *err)
{
    static ldm_status (*const checks[])(const ldm_source *, const ldm_pk *,
                                        ldm_error *) = {check_magic, check_version, check_system};
    ldm_torch *t = ldm_arena_alloc(ck->scratch, 1, sizeof *t);
    ldm_pickle *other = ldm_arena_alloc(ck->scratch, 1, sizeof *other);
    uint64_t pos = 0;
    ldm_status st;
    size_t i;

    if (!t || !other)
        return ldm_index_no_room(ck, 0, "index", err);
    t->ck = ck;
    t->src = ck->src;
    ck->format = "PyTorch legacy";
    for (i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        st = ldm_pickle_read(&t->src, pos, ck->scratch, ck->scratch_limit, other, err);
        if (!st)
            st = checks[i](&t->src, other->root, err);
        if (st)
            return st;
        pos = other->end;
    }
    st = ldm_pickle_read(&t->src, pos, ck->scratch, ck->scratch_limit, &t->pickle, err);
    if (st)
        return st;
    st = ldm_pickle_read(&t->src, t->pickle.end, ck->scratch, ck->scratch_limit, other, err);
    if (!st)
        st = ldm_torch_storages(t, err);
    if (!st)
        st = place_storages(t, other->root, other->end, err);
    if (!st)
        st = ldm_torch_index(t, err);
    return st;
}
