/* SPDX-License-Identifier: MIT */
/* Inside the room: the records of a zip of stored entries, as numpy.savez writes it: always in
 * zip64 form, since 50,000 pictures of 256 x 256 exceed 4 GiB; always dated 1980-01-01, so that the
 * same arrays give the same bytes. Format: PKWARE APPNOTE 6.3, sections 4.3.7 to 4.3.16, 4.5.3. */
#ifndef LDM_IMAGE_ZIP_RECORDS_H
#define LDM_IMAGE_ZIP_RECORDS_H

#include <stddef.h>
#include <stdint.h>

enum { LDM_ZIP_NAME_MAX = 204, LDM_ZIP_RECORD_MAX = 512 };

typedef struct ldm_zip_entry {
    const char *name; /* at most LDM_ZIP_NAME_MAX bytes */
    uint32_t crc;
    uint64_t bytes, offset; /* of the local record */
} ldm_zip_entry;

/* A record under construction: little-endian fields one after the other. */
typedef struct ldm_zip_record {
    unsigned char bytes[LDM_ZIP_RECORD_MAX];
    size_t len;
} ldm_zip_record;

/* Each begins the record anew. The local record stands before an entry's bytes. */
void ldm_zip_local(ldm_zip_record *r, const ldm_zip_entry *e);
/* An entry of the central directory. */
void ldm_zip_directory(ldm_zip_record *r, const ldm_zip_entry *e);
/* What ends the file, behind a directory of `count` entries from `begin` to `end`. */
void ldm_zip_end(ldm_zip_record *r, size_t count, uint64_t begin, uint64_t end);

#endif
