/* SPDX-License-Identifier: MIT */
/* Checkpoints made by hand; see testing.h. */
#include "checkpoint/ckpt_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libdeflate.h>

void bytes_free(bytes *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}

void put(bytes *b, const void *data, size_t len)
{
    if (b->len + len > b->cap) {
        b->cap = 2 * (b->len + len);
        b->data = realloc(b->data, b->cap);
        assert_non_null(b->data);
    }
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
}

void put_text(bytes *b, const char *text)
{
    put(b, text, strlen(text));
}

void put_le(bytes *b, uint64_t v, int n_bytes)
{
    for (; n_bytes > 0; n_bytes--, v >>= 8) {
        unsigned char c = (unsigned char)v;

        put(b, &c, 1);
    }
}

void set_le(bytes *b, size_t at, uint64_t v, int n_bytes)
{
    assert_true(at + (size_t)n_bytes <= b->len);
    for (; n_bytes > 0; n_bytes--, v >>= 8)
        b->data[at++] = (unsigned char)v;
}

bytes read_whole(const char *path)
{
    FILE *f = fopen(path, "rb");
    bytes b = {0};
    char piece[65536];
    size_t n;

    if (!f)
        fail_msg("cannot open %s", path);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        put(&b, piece, n);
    fclose(f);
    return b;
}

void pk_str(bytes *b, const char *text)
{
    put_text(b, "X");
    put_le(b, strlen(text), 4);
    put_text(b, text);
}

void pk_int(bytes *b, int64_t v)
{
    put(b, "\x8a\x08", 2);
    put_le(b, (uint64_t)v, 8);
}

void pk_global(bytes *b, const char *module, const char *name)
{
    put_text(b, "c");
    put_text(b, module);
    put_text(b, "\n");
    put_text(b, name);
    put_text(b, "\n");
}

void pk_ordered_dict(bytes *b)
{
    pk_global(b, "collections", "OrderedDict");
    put_text(b, ")R");
}

void pk_storage(bytes *b, const char *type, const char *key, int64_t numel)
{
    put_text(b, "(");
    pk_str(b, "storage");
    pk_global(b, "torch", type);
    pk_str(b, key);
    pk_str(b, "cpu");
    pk_int(b, numel);
    put_text(b, "tQ");
}

void pk_tensor(bytes *b, const pk_view *v)
{
    int d;

    pk_global(b, "torch._utils", "_rebuild_tensor_v2");
    put_text(b, "(");
    pk_storage(b, v->type, v->key, v->numel);
    pk_int(b, v->offset);
    put_text(b, "(");
    for (d = 0; d < v->ndim; d++)
        pk_int(b, v->shape[d]);
    put_text(b, "t(");
    for (d = 0; d < v->ndim; d++)
        pk_int(b, v->stride[d]);
    put(b, "t\x89", 2);
    pk_ordered_dict(b);
    put_text(b, "tR");
}

/* Version, flags, method, time and date, CRC, sizes, name and extra lengths: both headers have
 * them. */
static void put_common(bytes *b, const zip_item *e, const char *name)
{
    const uint64_t claimed = e->claimed ? e->claimed : e->len;
    const uint64_t packed = e->claimed_packed ? e->claimed_packed : e->len;
    uint32_t crc = e->no_crc ? 0 : libdeflate_crc32(0, e->data, e->len);

    put_le(b, 20, 2);
    put_le(b, e->flags, 2);
    put_le(b, e->method, 2);
    put_le(b, 0, 4);
    put_le(b, e->method ? 0 : crc ^ (uint32_t)e->wrong_crc, 4);
    put_le(b, e->zip64 ? 0xffffffff : packed, 4);
    put_le(b, e->zip64 ? 0xffffffff : claimed, 4);
    put_le(b, strlen(name), 2);
    put_le(b, e->zip64 ? 20 : 0, 2);
}

static void put_extra(bytes *b, const zip_item *e)
{
    if (!e->zip64)
        return;
    put_le(b, 1, 2);
    put_le(b, 16, 2);
    put_le(b, e->claimed ? e->claimed : e->len, 8);
    put_le(b, e->claimed_packed ? e->claimed_packed : e->len, 8);
}

void put_zip(bytes *b, const zip_item *items, size_t count, const zip_end *end)
{
    const zip_end none = {0};
    uint64_t *starts = malloc((count + 1) * sizeof *starts), dir, dir_bytes, pos;
    size_t i;

    assert_non_null(starts);
    end = end ? end : &none;
    for (i = 0; i < count; i++) {
        const zip_item *e = &items[i];
        const char *local = e->local_name ? e->local_name : e->name;

        starts[i] = b->len;
        put_text(b, "PK\3\4");
        put_common(b, e, local);
        put_text(b, local);
        put_extra(b, e);
        put(b, e->data, e->len);
    }
    dir = b->len;
    for (i = 0; i < count; i++) {
        const zip_item *e = &items[i];

        put_text(b, "PK\1\2");
        put_le(b, 20, 2);
        put_common(b, e, e->name);
        put_le(b, 0, 8);
        put_le(b, 0, 2);
        put_le(b, e->local_offset ? e->local_offset : starts[i], 4);
        put_text(b, e->name);
        put_extra(b, e);
    }
    dir_bytes = end->dir_bytes ? end->dir_bytes : b->len - dir;
    dir = end->dir_offset ? end->dir_offset : dir;
    pos = b->len;
    if (end->zip64) {
        put_text(b, "PK\6\6");
        put_le(b, 44, 8);
        put_le(b, 0x2d002d, 4);
        put_le(b, 0, 8);
        put_le(b, end->count ? end->count : count, 8);
        put_le(b, end->count ? end->count : count, 8);
        put_le(b, dir_bytes, 8);
        put_le(b, dir, 8);
        put_text(b, "PK\6\7");
        put_le(b, 0, 4);
        put_le(b, pos, 8);
        put_le(b, 1, 4);
    }
    put_text(b, "PK\5\6");
    put_le(b, 0, 4);
    put_le(b, end->zip64 ? 0xffff : end->count ? end->count : count, 2);
    put_le(b, end->zip64 ? 0xffff : end->count ? end->count : count, 2);
    put_le(b, end->zip64 ? 0xffffffff : dir_bytes, 4);
    put_le(b, end->zip64 ? 0xffffffff : dir, 4);
    put_le(b, 0, 2);
    free(starts);
}

void put_ckpt(bytes *b, const bytes *pickle, const void *data, size_t len)
{
    const zip_item items[] = {
        {.name = "x/data.pkl", .data = pickle->data, .len = pickle->len},
        {.name = "x/data/0", .data = data, .len = len},
    };

    put_zip(b, items, data ? 2 : 1, NULL);
}

void put_legacy_head(bytes *b)
{
    static const char magic[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

    put(b, magic, sizeof magic - 1);
    put(b, "\x80\x02M\xe9\x03.", 6);
    put(b, "\x80\x02}", 3);
    pk_str(b, "little_endian");
    put(b, "\x88s.", 3);
}

opened open_bytes(const void *data, size_t len)
{
    opened o;

    memset(&o, 0, sizeof o);
    o.copy = malloc(len ? len : 1);
    assert_non_null(o.copy);
    if (len)
        memcpy(o.copy, data, len);
    o.st = ldm_ckpt_open_memory(o.copy, len, "test.ckpt", NULL, &o.ck, &o.err);
    assert_true((o.st == LDM_OK) == (o.ck != NULL));
    return o;
}

void opened_done(opened *o)
{
    ldm_ckpt_close(o->ck);
    free(o->copy);
    memset(o, 0, sizeof *o);
}

size_t read_all(const ldm_ckpt *ck)
{
    size_t i, failed = 0;

    for (i = 0; i < ldm_ckpt_count(ck); i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(ck, i);
        float *values;

        if (t->numel > 1 << 20)
            continue;
        values = malloc((size_t)t->numel * sizeof *values + 1);
        assert_non_null(values);
        failed += ldm_ckpt_read_f32(ck, t, values, NULL) != LDM_OK;
        free(values);
    }
    return failed;
}

void expect_error(const bytes *b, ldm_status st, const char *part)
{
    opened o = open_bytes(b->data, b->len);

    if (o.st != st || !strstr(o.err.msg, part) || strncmp(o.err.msg, "test.ckpt: ", 11) != 0)
        fail_msg("expected %s and '%s', got %s: %s", ldm_status_name(st), part,
                 ldm_status_name(o.st), o.st ? o.err.msg : "");
    opened_done(&o);
}
