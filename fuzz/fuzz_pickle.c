/* SPDX-License-Identifier: MIT */
/* Fuzz target: pickle streams. The input becomes a/data.pkl of a sound zip file with one storage of
 * 64 bytes ("0"), so that mutations meet the pickle machine and what reads its values, not the zip.
 */
#include "ckpt_fuzz.h"

#include <stdint.h>

enum { STORAGE_BYTES = 64, MAX_INPUT = 1 << 20, ENTRIES = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct out {
    unsigned char *at;
} out;

static void put(out *o, uint64_t v, int bytes)
{
    for (; bytes > 0; bytes--, v >>= 8)
        *o->at++ = (unsigned char)v;
}

static void put_bytes(out *o, const void *data, size_t size)
{
    if (size)
        memcpy(o->at, data, size);
    o->at += size;
}

/* What local header and directory record share; a CRC of 0 is not checked. */
static void put_common(out *o, const char *name, size_t size)
{
    put(o, 20, 2); /* version needed */
    put(o, 0, 2);  /* flags */
    put(o, 0, 2);  /* stored */
    put(o, 0, 4);  /* time, date */
    put(o, 0, 4);  /* CRC */
    put(o, size, 4);
    put(o, size, 4);
    put(o, strlen(name), 2);
    put(o, 0, 2); /* extra */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char zeros[STORAGE_BYTES];
    const char *const names[ENTRIES] = {"a/data.pkl", "a/data/0"};
    const void *const bodies[ENTRIES] = {data, zeros};
    const size_t sizes[ENTRIES] = {size, STORAGE_BYTES};
    size_t starts[ENTRIES], directory, i;
    unsigned char *zip;
    out o;

    if (size > MAX_INPUT)
        return 0;
    zip = malloc(size + STORAGE_BYTES + 400);
    if (!zip)
        return 0;
    o.at = zip;
    for (i = 0; i < ENTRIES; i++) {
        starts[i] = (size_t)(o.at - zip);
        put(&o, 0x04034b50, 4);
        put_common(&o, names[i], sizes[i]);
        put_bytes(&o, names[i], strlen(names[i]));
        put_bytes(&o, bodies[i], sizes[i]);
    }
    directory = (size_t)(o.at - zip);
    for (i = 0; i < ENTRIES; i++) {
        put(&o, 0x02014b50, 4);
        put(&o, 20, 2); /* version made by */
        put_common(&o, names[i], sizes[i]);
        put(&o, 0, 10); /* comment length, disk, attributes */
        put(&o, starts[i], 4);
        put_bytes(&o, names[i], strlen(names[i]));
    }
    i = (size_t)(o.at - zip) - directory;
    put(&o, 0x06054b50, 4);
    put(&o, 0, 4); /* disks */
    put(&o, ENTRIES, 2);
    put(&o, ENTRIES, 2);
    put(&o, i, 4);
    put(&o, directory, 4);
    put(&o, 0, 2); /* comment */
    fuzz_ckpt(zip, (size_t)(o.at - zip));
    free(zip);
    return 0;
}
