/* SPDX-License-Identifier: MIT */
/* The segments of a JPEG file, walked without decoding. Private to this room. */
#ifndef LDM_IMAGE_JPEG_SEGMENTS_H
#define LDM_IMAGE_JPEG_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Second bytes of markers (T.81 table B.1). */
enum {
    LDM_JPEG_SOF0 = 0xc0,
    LDM_JPEG_DHT = 0xc4,
    LDM_JPEG_JPG = 0xc8,
    LDM_JPEG_DAC = 0xcc,
    LDM_JPEG_SOF15 = 0xcf,
    LDM_JPEG_RST0 = 0xd0,
    LDM_JPEG_RST7 = 0xd7,
    LDM_JPEG_SOI = 0xd8,
    LDM_JPEG_EOI = 0xd9,
    LDM_JPEG_SOS = 0xda,
    LDM_JPEG_APP0 = 0xe0,
    LDM_JPEG_APP1 = 0xe1,
    LDM_JPEG_COM = 0xfe
};

/* A position in a file of `size` bytes; begin with {data, size, name}. */
typedef struct ldm_jpeg_walk {
    const unsigned char *data;
    size_t size;
    const char *name; /* for messages */
    size_t at;        /* of the next marker, or of coded data */
    bool coded;       /* coded data follow: the last segment was SOS */
} ldm_jpeg_walk;

typedef struct ldm_jpeg_segment {
    unsigned marker;           /* second byte */
    const unsigned char *data; /* after the length; inside the file */
    size_t size;               /* 0 for EOI */
    size_t at;                 /* the marker's offset in the file */
} ldm_jpeg_segment;

/* The next segment; coded data are passed over, and the last segment is EOI. LDM_ERR_FORMAT where a
 * marker is missing or the file ends before EOI. */
ldm_status ldm_jpeg_next(ldm_jpeg_walk *w, ldm_jpeg_segment *out, ldm_error *err);

/* What is known of a picture before it is decoded. */
typedef struct ldm_jpeg_frame {
    uint32_t width, height; /* as stored, each at least 1 */
    unsigned components;    /* 1, 3 or 4 */
    uint64_t blocks;        /* of 8 x 8 samples, all components together */
    int orientation;        /* 1..8, 0 where EXIF says nothing */
} ldm_jpeg_frame;

/* Walks the whole file, up to EOI: one frame of a kind that is read, at least one scan. */
ldm_status ldm_jpeg_read_frame(const void *data, size_t size, const char *name, ldm_jpeg_frame *out,
                               ldm_error *err);

#endif
