/* SPDX-License-Identifier: MIT */
/* JPEG files (ITU-T T.81, JFIF) through libturbojpeg.
 *
 * Read: baseline, extended and progressive files with Huffman coding, 8 bits a sample: grey, YCbCr
 * or RGB, CMYK or YCCK. Refused with LDM_ERR_UNSUPPORTED: 12 bits, lossless, hierarchical and
 * arithmetic coding, which most programs refuse, too. */
#ifndef LDM_IMAGE_JPEG_H
#define LDM_IMAGE_JPEG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/picture.h"
#include "image/pixels.h"

/* Reads a JPEG with the channels that it holds: 1 for grey, 3 for the rest. CMYK, whose samples
 * programs store inverted as Adobe's do, becomes RGB as in PIL, without its colour profile. EXIF
 * orientation is obeyed (exif.h).
 *
 * Before memory for pixels is taken, the size is held against max_pixels (0: 64 million), else
 * LDM_ERR_LIMIT, and against the file's own: a file of n bytes has at most 8 n coded blocks of 8 x
 * 8 samples, else LDM_ERR_FORMAT. The decoder needs up to 12 bytes a pixel, the result included. A
 * file without its end marker, and one for whose samples the decoder has so much as a warning, is
 * LDM_ERR_FORMAT; what follows the end marker is ignored, and so are stray bytes just before it.
 * After an error *out is zeroed. */
ldm_status ldm_jpeg_read_memory(const void *data, size_t size, const char *name,
                                uint64_t max_pixels, ldm_pixels *out, ldm_error *err);

enum { LDM_JPEG_DEFAULT_QUALITY = 95, LDM_JPEG_MAX_SIDE = 65500 };

/* How often colour is sampled: for each pixel, or once for 2 x 2 of them (smaller files). */
typedef enum ldm_jpeg_sampling { LDM_JPEG_444, LDM_JPEG_420 } ldm_jpeg_sampling;

typedef struct ldm_jpeg_options {
    int quality;                /* 1..100, libjpeg's scale */
    ldm_jpeg_sampling sampling; /* has no meaning for grey */
    const char *comment;        /* UTF-8, such as a recipe's JSON, at most 4 MB; NULL: none */
} ldm_jpeg_options;

/* Writes a baseline JPEG atomically (temporary name, then rename), the same bytes for the same
 * input and library. p has 1 or 3 channels (JPEG has no alpha: LDM_ERR_USAGE) and at most 65,500
 * pixels a side (LDM_ERR_RANGE). options may be NULL: quality 95, 4:4:4, no comment. Wrong options
 * are LDM_ERR_USAGE.
 *
 * The comment stands in COM segments after JFIF's APP0. A segment holds 65,533 bytes at most; a
 * longer comment is cut into segments that follow each other. Each but the last is full, and the
 * last one is not: it has 0 to 65,532 bytes. So a comment of up to 65,532 bytes is one segment with
 * just this text, and joining the segments gives a longer one. An empty comment writes none. */
ldm_status ldm_jpeg_write(const char *path, const ldm_pixels *p, const ldm_jpeg_options *options,
                          ldm_error *err);

/* The key that a JPEG's comments get as texts: they have none of their own. */
#define LDM_JPEG_COMMENT_KEY "Comment"

/* The comments of a JPEG, joined as ldm_jpeg_write cuts them, wherever they stand in the file, in
 * the form of ldm_png_read_texts_memory, each with the key LDM_JPEG_COMMENT_KEY. A comment that is
 * not UTF-8 is taken as Latin-1, and one with a NUL ends there. At most 1000 segments and 4 MB of
 * them (LDM_ERR_LIMIT). Pixels are not decoded, whole or damaged, but a file without its end marker
 * is LDM_ERR_FORMAT. *texts is one block to ldm_free (strings inside), NULL without any. */
ldm_status ldm_jpeg_read_texts_memory(const void *data, size_t size, const char *name,
                                      ldm_text **texts, size_t *count, ldm_error *err);

#endif
