/* SPDX-License-Identifier: MIT */
/* Samples of a picture as its file holds them, with 1 to 4 channels, and reading them from a file
 * of any kind that this room knows: PNG and JPEG, told apart by content, never by name. */
#ifndef LDM_IMAGE_PIXELS_H
#define LDM_IMAGE_PIXELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* u8 samples, rows from top to bottom, channels interleaved, no padding. Channels: 1 grey, 2 grey
 * and alpha, 3 RGB, 4 RGB and alpha. Alpha is 255 where opaque and not multiplied into the colours.
 */
typedef struct ldm_pixels {
    uint32_t width, height;
    unsigned channels;
    uint8_t *data; /* [height][width][channels], owned; ldm_pixels_free */
} ldm_pixels;

/* Memory for a picture, zeroed. LDM_ERR_RANGE for a side of 0 or channels outside 1..4. */
ldm_status ldm_pixels_create(uint32_t width, uint32_t height, unsigned channels, ldm_pixels *out,
                             ldm_error *err);
void ldm_pixels_free(ldm_pixels *p); /* zeroed struct is fine */

/* Changes the number of channels (1..4, else LDM_ERR_RANGE) as PIL's Image.convert does:
 * - grey from RGB: (19595 R + 38470 G + 7471 B + 32768) >> 16, the luma of ITU-R Rec. 601;
 * - RGB from grey: three equal channels;
 * - alpha that is not wanted is dropped: the colours stay, nothing is composed onto a background;
 * - alpha that is missing is 255.
 * After an error p is unchanged. */
ldm_status ldm_pixels_convert(ldm_pixels *p, unsigned channels, ldm_error *err);

/* Reads a PNG or JPEG. Its EXIF orientation is obeyed: width and height are those of the upright
 * picture. channels: 1..4 to have it converted as above, 0 for as many as the file holds: 1 for
 * grey, 3 for colour and palettes, one more with an alpha channel or a transparent colour. Samples
 * of 16 bits give their upper 8; gamma and colour profiles are not applied; CMYK becomes RGB
 * (jpeg.h).
 *
 * At most max_pixels pixels (0: 64 million), checked before memory for them is taken, else
 * LDM_ERR_LIMIT. A damaged or truncated file is LDM_ERR_FORMAT, a picture of another kind
 * LDM_ERR_UNSUPPORTED with its name where it is known (WebP, GIF ...). Messages begin with the path
 * or contain it. After an error *out is zeroed. */
ldm_status ldm_pixels_read(const char *path, unsigned channels, uint64_t max_pixels,
                           ldm_pixels *out, ldm_error *err);

/* The same from memory; name stands for the path in messages. data may be NULL if size is 0. */
ldm_status ldm_pixels_read_memory(const void *data, size_t size, const char *name,
                                  unsigned channels, uint64_t max_pixels, ldm_pixels *out,
                                  ldm_error *err);

#endif
