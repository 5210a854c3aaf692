/* Pictures of 1 to 4 channels: memory, changes of channels, and which decoder a file is for. */
#include "image/pixels.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/file.h"
#include "image/jpeg.h"
#include "image/picture.h"

enum { OPAQUE = 255, MAX_CHANNELS = 4 };

ldm_status ldm_pixels_create(uint32_t width, uint32_t height, unsigned channels, ldm_pixels *out,
                             ldm_error *err)
{
    size_t bytes;

    memset(out, 0, sizeof *out);
    if (!width || !height || !channels || channels > MAX_CHANNELS)
        return ldm_error_set(err, LDM_ERR_RANGE,
                             "a picture of %u x %u pixels and %u channels, expected at least 1 x 1 "
                             "and 1 to 4 channels",
                             width, height, channels);
    if (ldm_mul_size(width, height, &bytes) || ldm_mul_size(bytes, channels, &bytes))
        return ldm_error_set(err, LDM_ERR_RANGE, "a picture of %u x %u pixels exceeds memory",
                             width, height);
    out->data = ldm_calloc(bytes, 1);
    if (!out->data)
        return ldm_error_nomem(err, bytes, "a picture");
    out->width = width;
    out->height = height;
    out->channels = channels;
    return LDM_OK;
}

void ldm_pixels_free(ldm_pixels *p)
{
    ldm_free(p->data);
    memset(p, 0, sizeof *p);
}

static uint8_t luma(const uint8_t *c)
{
    return (uint8_t)((19595u * c[0] + 38470u * c[1] + 7471u * c[2] + 32768u) >> 16);
}

/* One pixel of `from` channels as one of `to` channels. */
static void convert_pixel(const uint8_t *in, unsigned from, uint8_t *out, unsigned to)
{
    const uint8_t alpha = from % 2 == 0 ? in[from - 1] : OPAQUE;

    if (to <= 2)
        out[0] = from <= 2 ? in[0] : luma(in);
    else if (from <= 2)
        memset(out, in[0], 3);
    else
        memcpy(out, in, 3);
    if (to % 2 == 0)
        out[to - 1] = alpha;
}

ldm_status ldm_pixels_convert(ldm_pixels *p, unsigned channels, ldm_error *err)
{
    const size_t count = (size_t)p->width * p->height;
    ldm_pixels out;
    ldm_status st;
    size_t i;

    if (channels == p->channels)
        return LDM_OK;
    st = ldm_pixels_create(p->width, p->height, channels, &out, err);
    if (st)
        return st;
    for (i = 0; i < count; i++)
        convert_pixel(p->data + i * p->channels, p->channels, out.data + i * channels, channels);
    ldm_pixels_free(p);
    *p = out;
    return LDM_OK;
}

/* ---- files ---- */

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
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "%s is a %s picture, expected PNG or JPEG: please convert it", name,
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
