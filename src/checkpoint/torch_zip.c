/* SPDX-License-Identifier: MIT */
/* PyTorch's zip format (torch.save since 1.6): TOP/data.pkl is the main pickle, TOP/data/KEY holds
 * the bytes of storage KEY, TOP/byteorder says how its numbers lie. Other entries (version, .data/,
 * .format_version, ...) carry nothing that is needed. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "checkpoint/torch.h"
#include "checkpoint/zip.h"

/* The entry "TOP/name", or NULL. */
static const ldm_zip_entry *find_in(const ldm_ckpt *ck, const ldm_zip *zip, const char *top,
                                    const char *name, ldm_status *st, ldm_error *err)
{
    const char *full = ldm_arena_printf(ck->scratch, "%s%s", top, name);

    if (!full) {
        *st = ldm_index_no_room(ck, 0, "entry names", err);
        return NULL;
    }
    return ldm_zip_find(zip, full);
}

/* Whether an entry's last part is data.pkl, in letters of either case: some reader would take it.
 */
static bool looks_like_pickle(const char *name, const char *leaf)
{
    return !strcasecmp(ldm_file_name(name), leaf);
}

static bool ends_in(const char *name, const char *ending)
{
    const size_t n = strlen(name), m = strlen(ending);

    return n >= m && !strcasecmp(name + n - m, ending);
}

/* What a zip file without a main pickle is: an archive with a checkpoint inside, what torch.save
 * leaves when it fails (its own records, version and byteorder, without the pickle), or something
 * else. */
static ldm_status no_pickle(const ldm_ckpt *ck, const ldm_zip *zip, ldm_error *err)
{
    static const char *const endings[] = {".ckpt", ".safetensors", ".pth", ".pt", ".bin"};
    bool records = false;
    size_t i, k;

    for (i = 0; i < zip->count; i++) {
        const char *name = zip->entries[i].name;

        records = records || ends_in(name, "/.data/serialization_id") || ends_in(name, "/version");
        for (k = 0; k < sizeof endings / sizeof endings[0]; k++) {
            if (ends_in(name, endings[k]))
                return ldm_source_error(&ck->src, err, LDM_ERR_FORMAT, 0,
                                        "a zip archive with the checkpoint '%.120s' inside: unpack "
                                        "it and give that file",
                                        name);
        }
    }
    if (records)
        return ldm_source_error(
            &ck->src, err, LDM_ERR_FORMAT, 0,
            "written by torch.save, which broke off: the file holds torch's own "
            "records and no data.pkl, so the weights never got into it (an "
            "object that cannot be pickled ends a save so); save it again");
    return ldm_source_error(&ck->src, err, LDM_ERR_FORMAT, 0,
                            "a zip file of %zu entries without data.pkl, expected one written by "
                            "torch.save",
                            zip->count);
}

/* The only entry "X/data.pkl" (or "data.pkl"); *top gets "X/". No other entry may be mistaken for
 * it.
 */
static ldm_status find_pickle(const ldm_ckpt *ck, const ldm_zip *zip, const ldm_zip_entry **out,
                              const char **top, ldm_error *err)
{
    static const char leaf[] = "data.pkl";
    const size_t leaf_len = sizeof leaf - 1;
    const ldm_zip_entry *first = NULL;
    size_t i;

    *out = NULL;
    for (i = 0; i < zip->count; i++) {
        const ldm_zip_entry *e = &zip->entries[i];
        const char *slash = strchr(e->name, '/');

        if (!looks_like_pickle(e->name, leaf))
            continue;
        if (first)
            return ldm_source_error(&ck->src, err, LDM_ERR_FORMAT, e->header_offset,
                                    "a second main pickle '%.120s' beside '%.120s'", e->name,
                                    first->name);
        first = e;
        if (!strcmp(slash ? slash + 1 : e->name, leaf))
            *out = e;
    }
    if (!*out)
        return no_pickle(ck, zip, err);
    *top = ldm_arena_strndup(ck->scratch, (*out)->name, strlen((*out)->name) - leaf_len);
    return *top ? LDM_OK : ldm_index_no_room(ck, (*out)->header_offset, "entry names", err);
}

static ldm_status check_byteorder(ldm_ckpt *ck, const ldm_zip *zip, const char *top, ldm_error *err)
{
    ldm_status st = LDM_OK;
    const ldm_zip_entry *e = find_in(ck, zip, top, "byteorder", &st, err);
    ldm_source text;

    if (st || !e)
        return st; /* torch before 2.1 did not write it: little-endian */
    if (e->bytes <= 16) {
        st = ldm_zip_entry_open(zip, e, ck->scratch, &text, err);
        if (st)
            return st;
        if (text.size == 6 && !memcmp(text.data, "little", 6))
            return LDM_OK;
    }
    return ldm_source_error(&ck->src, err, LDM_ERR_UNSUPPORTED, e->data_offset,
                            "'%.120s' says other than 'little': save the file again on a "
                            "little-endian machine",
                            e->name);
}

static ldm_status place_storages(ldm_torch *t, const ldm_zip *zip, const char *top, ldm_error *err)
{
    ldm_ckpt *ck = t->ck;
    const char *name;
    size_t i;

    ck->sums = ldm_arena_alloc(ck->keep, t->count, sizeof *ck->sums);
    if (!ck->sums)
        return ldm_index_no_room(ck, t->src.base, "checksums", err);
    for (i = 0; i < t->count; i++) {
        ldm_storage *s = &t->storages[i];
        ldm_status st = LDM_OK;
        const char *key = ldm_arena_printf(ck->scratch, "data/%s", s->key);
        const ldm_zip_entry *e = key ? find_in(ck, zip, top, key, &st, err) : NULL;

        if (!key)
            return ldm_index_no_room(ck, t->src.base + s->pos, "entry names", err);
        if (st)
            return st;
        if (!e)
            return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, s->pos,
                                    "a persistent id names storage '%.80s', but there is no entry "
                                    "'%.80sdata/%.80s'",
                                    s->key, top, s->key);
        if (e->bytes != s->bytes)
            return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, s->pos,
                                    "storage '%.80s' should have %llu elements of %s, %llu bytes; "
                                    "entry '%.80s' has %llu",
                                    s->key, ldm_ull(s->numel), s->type->name, ldm_ull(s->bytes),
                                    e->name, ldm_ull(e->bytes));
        s->offset = e->data_offset;
        s->packed_bytes = e->deflated ? e->packed_bytes : 0;
        s->placed = true;
        if (e->deflated)
            continue;
        name = ldm_arena_strdup(ck->keep, e->name);
        if (!name)
            return ldm_index_no_room(ck, t->src.base + s->pos, "entry names", err);
        ck->sums[ck->sum_count++] = (ldm_sum){name, e->data_offset, e->bytes, e->crc};
    }
    return LDM_OK;
}

ldm_status ldm_read_torch_zip(ldm_ckpt *ck, ldm_error *err)
{
    ldm_torch *t = ldm_arena_alloc(ck->scratch, 1, sizeof *t);
    const ldm_zip_entry *entry = NULL;
    const char *top = "";
    ldm_zip zip;
    ldm_status st;

    if (!t)
        return ldm_index_no_room(ck, 0, "index", err);
    t->ck = ck;
    ck->format = "PyTorch zip";
    st = ldm_zip_open(&ck->src, ck->scratch, &zip, err);
    if (st)
        return st;
    st = find_pickle(ck, &zip, &entry, &top, err);
    if (st)
        return st;
    if (find_in(ck, &zip, top, "constants.pkl", &st, err))
        return ldm_source_error(&ck->src, err, LDM_ERR_UNSUPPORTED, entry->data_offset,
                                "a TorchScript archive (it has constants.pkl), expected a file "
                                "written by torch.save");
    if (!st)
        st = check_byteorder(ck, &zip, top, err);
    if (!st)
        st = ldm_zip_entry_open(&zip, entry, ck->scratch, &t->src, err);
    if (!st)
        st = ldm_pickle_read(&t->src, 0, ck->scratch, ck->scratch_limit, &t->pickle, err);
    if (!st)
        st = ldm_torch_storages(t, err);
    if (!st)
        st = place_storages(t, &zip, top, err);
    if (!st)
        st = ldm_torch_index(t, err);
    return st;
}
