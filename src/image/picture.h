/* SPDX-License-Identifier: MIT */
/* Pictures: u8 RGB, rows top to bottom, NHWC without padding. PNG in and out, contact sheets,
 * resizing, and the study's metrics. */
#ifndef LDM_IMAGE_PICTURE_H
#define LDM_IMAGE_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/pixels.h"

typedef struct ldm_picture {
    uint32_t width, height;
    uint8_t *rgb; /* [height][width][3], owned; ldm_picture_free */
} ldm_picture;

ldm_status ldm_picture_create(uint32_t width, uint32_t height, ldm_picture *out, ldm_error *err);
void ldm_picture_free(ldm_picture *p); /* zeroed struct is fine */

/* A key and its UTF-8 text, as a PNG tEXt/iTXt chunk carries it. */
typedef struct ldm_text {
    const char *key, *value;
} ldm_text;

/* Writes a PNG atomically, the same bytes for the same input. texts may be NULL; a key is 1 to 79
 * printable ASCII characters, a value UTF-8 (else LDM_ERR_USAGE); an empty value is left out. */
ldm_status ldm_png_write(const char *path, const ldm_picture *p, const ldm_text *texts,
                         size_t text_count, ldm_error *err);

/* ldm_png_write for 1 to 4 channels (else LDM_ERR_USAGE), 8 bits each: grey, grey and alpha, RGB,
 * RGBA. */
ldm_status ldm_png_write_pixels(const char *path, const ldm_pixels *p, const ldm_text *texts,
                                size_t text_count, ldm_error *err);
/* The same bytes in memory; free() *data. */
ldm_status ldm_png_encode(const ldm_pixels *p, const ldm_text *texts, size_t text_count,
                          char **data, size_t *size, ldm_error *err);

/* Reads a PNG with the channels that it holds, upright: what ldm_pixels_read (pixels.h) gives with
 * channels 0. Orientation is that of an eXIf chunk. The decoder needs up to 4 bytes a pixel; a
 * file's size and that of its pixels are held against each other before memory is taken. */
ldm_status ldm_png_read_pixels_memory(const void *data, size_t size, const char *name,
                                      uint64_t max_pixels, ldm_pixels *out, ldm_error *err);

/* The numbers that a PNG's pixels hold, upright: grey values or indices of a palette, of 1 to 8
 * bits as they are, of 16 bits up to 255 (else LDM_ERR_RANGE). LDM_ERR_UNSUPPORTED for colours. */
ldm_status ldm_png_read_numbers_memory(const void *data, size_t size, const char *name,
                                       uint64_t max_pixels, ldm_pixels *out, ldm_error *err);
/* Does the file begin as a PNG does? */
bool ldm_png_is(const void *data, size_t size);

/* Reads a PNG or JPEG of any kind as RGB, upright, by ldm_pixels_read (pixels.h), which says what
 * becomes of grey and alpha and which errors there are. */
ldm_status ldm_picture_read(const char *path, uint64_t max_pixels, ldm_picture *out,
                            ldm_error *err);

/* The texts of a PNG, as ldm_png_read_texts_memory, or the comments of a JPEG, as
 * ldm_jpeg_read_texts_memory (jpeg.h). */
ldm_status ldm_picture_read_texts(const char *path, ldm_text **texts, size_t *count,
                                  ldm_error *err);

/* An RGB PNG row by row: the same bytes as ldm_png_write of the whole. */
typedef struct ldm_png_rows ldm_png_rows;

/* texts: until ldm_png_rows_free. */
ldm_status ldm_png_rows_open(const char *path, uint32_t width, uint32_t height,
                             const ldm_text *texts, size_t text_count, ldm_png_rows **out,
                             ldm_error *err);
ldm_status ldm_png_rows_add(ldm_png_rows *r, const uint8_t *row, ldm_error *err); /* [3 width] */
ldm_status ldm_png_rows_commit(ldm_png_rows *r, ldm_error *err);
void ldm_png_rows_free(ldm_png_rows *r); /* uncommitted: nothing is left. NULL is fine */

/* The text chunks of a PNG, before or after its pixels, as UTF-8: 1000 and 4 MB of them at most.
 * Pixels are not looked at, whole or damaged. *texts is one block to ldm_free (strings inside),
 * NULL without any. */
ldm_status ldm_png_read_texts_memory(const void *data, size_t size, const char *name,
                                     ldm_text **texts, size_t *count, ldm_error *err);

/* CompVis' custom_to_pil: x [3,h,w] f32 (NCHW plane order) in -1..1 -> clamp, (x+1)/2, (u8)(255*x)
 * truncated, computed in f32 as PyTorch does; NaN becomes 0. out must be created with w x h. */
void ldm_picture_from_planes(const float *x, ldm_picture *out);

/* Pixels between the pictures of a contact sheet. */
enum { LDM_GRID_GAP = 2 };

/* All pictures of one size in a sheet with `columns` columns and `gap` pixels between and around,
 * as torchvision.utils.make_grid (padding 2, black); a single picture is copied without a border,
 * as there. */
ldm_status ldm_grid(const ldm_picture *pics, size_t count, size_t columns, uint32_t gap,
                    ldm_picture *out, ldm_error *err);

/* Bicubic (Catmull-Rom, a = -0.5, edges clamped); the kernel is stretched when shrinking, so that
 * nothing aliases. */
ldm_status ldm_resize_bicubic(const ldm_picture *in, uint32_t width, uint32_t height,
                              ldm_picture *out, ldm_error *err);

/* The study's figures, all on 0..1 values; formulas and sources in docs/METRICS.md. */
typedef struct ldm_metrics {
    double brightness; /* mean Rec. 601 luma; 0.4 to 0.6 is ideal */
    double contrast;   /* RMS contrast: std / mean of the luma; > 0.3 is good; 0 if mean is 0 */
    double mean_r, mean_g, mean_b;
    bool skin_like;           /* R > G > B */
    double colour_coherence;  /* lag-1 spatial autocorrelation of Cb and Cr, averaged; -1 to 1; a
                                 channel that does not vary counts as 1 */
    const char *colour_grade; /* "excellent" >= 0.95, "fair" >= 0.85, else "poor" */
} ldm_metrics;

void ldm_metrics_compute(const ldm_picture *p, ldm_metrics *out);

/* The study's closing sentence for these figures ("VERY LIKELY A GOOD FACE IMAGE!" ...); static. */
const char *ldm_metrics_verdict(const ldm_metrics *m);

#endif
