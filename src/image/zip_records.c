/* SPDX-License-Identifier: MIT */
/* Records of a zip; see zip_records.h. */
#include "image/zip_records.h"

#include <string.h>

enum { VERSION_ZIP64 = 45, DOS_1980_01_01 = 0x21 };

static void put(ldm_zip_record *r, uint64_t value, int width)
{
    int i;

    for (i = 0; i < width; i++)
        r->bytes[r->len++] = (unsigned char)(value >> (8 * i));
}

/* From "version needed" to the name's length: the fields that local and central records share. The
 * 32-bit sizes say "see the zip64 field". */
static void put_common(ldm_zip_record *r, const ldm_zip_entry *e, int extra_len)
{
    put(r, VERSION_ZIP64, 2);
    put(r, 0, 2); /* flags */
    put(r, 0, 2); /* stored */
    put(r, 0, 2); /* time */
    put(r, DOS_1980_01_01, 2);
    put(r, e->crc, 4);
    put(r, UINT32_MAX, 4);
    put(r, UINT32_MAX, 4);
    put(r, strlen(e->name), 2);
    put(r, (uint64_t)extra_len, 2);
}

/* The name, and the zip64 field of two sizes, in the directory with the offset behind them. */
static void put_name_and_sizes(ldm_zip_record *r, const ldm_zip_entry *e, int fields)
{
    memcpy(r->bytes + r->len, e->name, strlen(e->name));
    r->len += strlen(e->name);
    put(r, 1, 2);
    put(r, (uint64_t)(8 * fields), 2);
    put(r, e->bytes, 8);
    put(r, e->bytes, 8);
}

void ldm_zip_local(ldm_zip_record *r, const ldm_zip_entry *e)
{
    r->len = 0;
    put(r, 0x04034b50, 4);
    put_common(r, e, 20);
    put_name_and_sizes(r, e, 2);
}

void ldm_zip_directory(ldm_zip_record *r, const ldm_zip_entry *e)
{
    r->len = 0;
    put(r, 0x02014b50, 4);
    put(r, VERSION_ZIP64, 2);
    put_common(r, e, 28);
    put(r, 0, 2); /* comment */
    put(r, 0, 2); /* disk */
    put(r, 0, 2); /* internal attributes */
    put(r, 0, 4); /* external attributes */
    put(r, UINT32_MAX, 4);
    put_name_and_sizes(r, e, 3);
    put(r, e->offset, 8);
}

void ldm_zip_end(ldm_zip_record *r, size_t count, uint64_t begin, uint64_t end)
{
    r->len = 0;
    put(r, 0x06064b50, 4); /* zip64 end of central directory */
    put(r, 44, 8);
    put(r, VERSION_ZIP64, 2);
    put(r, VERSION_ZIP64, 2);
    put(r, 0, 4);
    put(r, 0, 4);
    put(r, count, 8);
    put(r, count, 8);
    put(r, end - begin, 8);
    put(r, begin, 8);

    put(r, 0x07064b50, 4); /* its locator */
    put(r, 0, 4);
    put(r, end, 8);
    put(r, 1, 4);

    put(r, 0x06054b50, 4); /* end of central directory */
    put(r, 0, 2);
    put(r, 0, 2);
    put(r, count, 2);
    put(r, count, 2);
    put(r, end - begin, 4);
    put(r, UINT32_MAX, 4);
    put(r, 0, 2);
}
