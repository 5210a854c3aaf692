/* SPDX-License-Identifier: MIT */
/* Pictures of any common kind: which decoder a file is for, told by its first bytes. */
#include "image/pixels.h"

#include <string.h>

#include "base/file.h"
#include "image/jpeg.h"
#include "image/picture.h"

enum { MAX_CHANNELS = 4 };

typedef enum format { FORMAT_UNKNOWN, FORMAT_PNG, FORMAT_JPEG } format;

typedef struct signature {
    size_t offset, size;
    const char *bytes, *name;
    format format;
} signature;

/* How files of common kinds begin; those that are not read are here for the message. */
static const signature signatures[] = {
    {0, 8, "\x89PNG\r\n\x1a\n", "PNG", FORMAT_PNG},
    {0, 3, "\xff\xd8\xff", "JPEG", FORMAT_JPEG},
    {0, 4, "\x89PNG", "PNG", FORMAT_PNG}, /* its decoder says what is wrong */
    {0, 2, "\xff\xd8", "JPEG", FORMAT_JPEG},
    {8, 4, "WEBP", "WebP", FORMAT_UNKNOWN},
    {4, 8, "ftypavif", "AVIF", FORMAT_UNKNOWN},
    {4, 8, "ftypheic", "HEIC", FORMAT_UNKNOWN},
    {0, 12, "\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", FORMAT_UNKNOWN},
    {0, 2, "\xff\x0a", "JPEG XL", FORMAT_UNKNOWN},
    {0, 12, "\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", FORMAT_UNKNOWN},
    {0, 4, "GIF8", "GIF", FORMAT_UNKNOWN},
    {0, 4, "II*\0", "TIFF", FORMAT_UNKNOWN},
    {0, 4, "MM\0*", "TIFF", FORMAT_UNKNOWN},
    {0, 2, "BM", "BMP", FORMAT_UNKNOWN},
};

static ldm_status find_format(const unsigned char *data, size_t size, const char *name,
                              format *found, ldm_error *err)
{
    size_t i;

    *found = FORMAT_UNKNOWN;
    if (!size)
        return ldm_error_set(err, LDM_ERR_FORMAT, "%s is empty, expected a picture, PNG or JPEG",
                             name);
    for (i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const signature *s = &signatures[i];

        if (size < s->offset + s->size || memcmp(data + s->offset, s->bytes, s->size) != 0)
            continue;
        *found = s->format;
        if (s->format != FORMAT_UNKNOWN)
            return LDM_OK;
        return ldm_error_set(
            err, LDM_ERR_UNSUPPORTED,
            "%s is a picture in the format %s, expected PNG or JPEG: please convert it", name,
            s->name);
    }
    return ldm_error_set(err, LDM_ERR_FORMAT,
                         "%s is no picture that ldm knows, expected PNG or JPEG", name);
}

ldm_status ldm_pixels_read_memory(const void *data, size_t size, const char *name,
                                  unsigned channels, uint64_t max_pixels, ldm_pixels *out,
                                  ldm_error *err)
{
    format found;
    ldm_status st;

    memset(out, 0, sizeof *out);
    if (channels > MAX_CHANNELS)
        return ldm_error_set(err, LDM_ERR_RANGE, "%s: %u channels asked for, expected 0 to 4", name,
                             channels);
    st = find_format(data, size, name, &found, err);
    if (st)
        return st;
    st = found == FORMAT_PNG ? ldm_png_read_pixels_memory(data, size, name, max_pixels, out, err)
                             : ldm_jpeg_read_memory(data, size, name, max_pixels, out, err);
    if (!st && channels)
        st = ldm_pixels_convert(out, channels, err);
    if (st)
        ldm_pixels_free(out);
    return st;
}

ldm_status ldm_pixels_read(const char *path, unsigned channels, uint64_t max_pixels,
                           ldm_pixels *out, ldm_error *err)
{
    ldm_status st;
    ldm_map map;

    memset(out, 0, sizeof *out);
    st = ldm_map_open(path, &map, err);
    if (st)
        return st;
    st = ldm_pixels_read_memory(map.data, (size_t)map.size, path, channels, max_pixels, out, err);
    ldm_map_close(&map);
    return st;
}

ldm_status ldm_picture_read(const char *path, uint64_t max_pixels, ldm_picture *out, ldm_error *err)
{
    ldm_pixels p;
    ldm_status st = ldm_pixels_read(path, 3, max_pixels, &p, err);

    *out = (ldm_picture){p.width, p.height, p.data}; /* zeroed after an error */
    return st;
}

ldm_status ldm_picture_read_texts(const char *path, ldm_text **texts, size_t *count, ldm_error *err)
{
    format found;
    ldm_status st;
    ldm_map map;

    *texts = NULL;
    *count = 0;
    st = ldm_map_open(path, &map, err);
    if (st)
        return st;
    st = find_format(map.data, (size_t)map.size, path, &found, err);
    if (!st)
        st = found == FORMAT_PNG
                 ? ldm_png_read_texts_memory(map.data, (size_t)map.size, path, texts, count, err)
                 : ldm_jpeg_read_texts_memory(map.data, (size_t)map.size, path, texts, count, err);
    ldm_map_close(&map);
    return st;
}
