/* SPDX-License-Identifier: MIT */
/* Maps of labels: numbers as a PNG holds them, or colours by a palette (ldm_image_read_labels). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "engine/engine.h"
#include "image/picture.h"

enum { MAX_LABELS = 256, MAX_PALETTE_BYTES = 1 << 16 };

typedef struct palette {
    uint8_t rgb[MAX_LABELS][3];
    int count;
} palette;

/* Three numbers of 0 to 255, then the end of the line or a name after white space. */
static bool read_colour(const char *line, uint8_t rgb[3])
{
    int i;

    for (i = 0; i < 3; i++) {
        char *end = NULL;
        long v;

        line += strspn(line, " \t");
        v = *line >= '0' && *line <= '9' ? strtol(line, &end, 10) : -1;
        if (v < 0 || v > 255 || !(*end == '\0' || strchr(" \t\r\n", *end)))
            return false;
        rgb[i] = (uint8_t)v;
        line = end;
    }
    return true;
}

/* Of a .gpl: its first line, "Name: ..." and "Columns: ..."; comments and empty lines. */
static bool is_beside(const char *line, int number)
{
    const size_t blank = strspn(line, " \t\r");

    return line[blank] == '\n' || line[blank] == '\0' || line[blank] == '#' ||
           (number == 1 && !strncmp(line, "GIMP Palette", 12)) || !strncmp(line, "Name:", 5) ||
           !strncmp(line, "Columns:", 8);
}

static ldm_status parse_palette(const char *text, const char *path, palette *out, ldm_error *err)
{
    const char *line = text + ldm_utf8_mark(text, strlen(text));
    int number = 0;

    out->count = 0;
    while (*line) {
        const size_t length = strcspn(line, "\n");

        number++;
        if (!is_beside(line, number)) {
            if (out->count == MAX_LABELS)
                return ldm_error_set(err, LDM_ERR_LIMIT, "%s:%d: more than %d colours", path,
                                     number, MAX_LABELS);
            if (!read_colour(line, out->rgb[out->count++]))
                return ldm_error_set(err, LDM_ERR_FORMAT,
                                     "%s:%d: '%.*s' is no colour, expected three numbers from 0 to "
                                     "255 and a name, or none",
                                     path, number, (int)(length < 60 ? length : 60), line);
        }
        line += length + (line[length] == '\n');
    }
    if (!out->count)
        return ldm_error_set(err, LDM_ERR_FORMAT, "%s holds no colours", path);
    return LDM_OK;
}

static ldm_status read_palette(const char *path, palette *out, ldm_error *err)
{
    char *text = NULL;
    size_t size;
    ldm_status st = ldm_text_read(path, MAX_PALETTE_BYTES, &text, &size, err);

    if (!st && strlen(text) != size)
        st = ldm_error_set(err, LDM_ERR_FORMAT, "%s holds a zero byte: it is no palette", path);
    if (!st)
        st = parse_palette(text, path, out, err);
    ldm_free(text);
    return st;
}

/* rgb becomes its labels, in place. */
static ldm_status look_up(ldm_pixels *p, const palette *colours, const char *path, ldm_error *err)
{
    const size_t pixels = (size_t)p->width * p->height;
    int last = 0;
    size_t i;

    for (i = 0; i < pixels; i++) {
        const uint8_t *rgb = p->data + 3 * i;

        if (memcmp(colours->rgb[last], rgb, 3) != 0) {
            for (last = 0; last < colours->count && memcmp(colours->rgb[last], rgb, 3) != 0; last++)
                ;
        }
        if (last == colours->count)
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "%s: pixel (%zu, %zu) has the colour %d %d %d, which the palette "
                                 "does not have",
                                 path, i % p->width, i / p->width, rgb[0], rgb[1], rgb[2]);
        p->data[i] = (uint8_t)last;
    }
    p->channels = 1;
    return LDM_OK;
}

static ldm_status read_map(const ldm_map *map, const char *path, const palette *colours,
                           ldm_pixels *out, ldm_error *err)
{
    ldm_status st;

    if (!ldm_png_is(map->data, (size_t)map->size))
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "%s is no PNG: a map of labels must hold exact values", path);
    if (!colours) {
        st = ldm_png_read_numbers_memory(map->data, (size_t)map->size, path, 0, out, err);
        return st == LDM_ERR_UNSUPPORTED ? ldm_error_wrap(err, st, "no palette is given (palette)")
                                         : st;
    }
    st = ldm_pixels_read_memory(map->data, (size_t)map->size, path, 3, 0, out, err);
    return st ? st : look_up(out, colours, path, err);
}

ldm_status ldm_image_read_labels(const char *path, const char *palette_path, ldm_image *out,
                                 ldm_error *err)
{
    palette colours;
    ldm_pixels p = {0};
    ldm_map map;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    memset(out, 0, sizeof *out);
    LDM_REQUIRE(path, "path", err);
    st = palette_path ? read_palette(palette_path, &colours, err) : LDM_OK;
    if (st)
        return st;
    st = ldm_map_open(path, &map, err);
    if (st)
        return st;
    st = read_map(&map, path, palette_path ? &colours : NULL, &p, err);
    ldm_map_close(&map);
    if (st) {
        ldm_pixels_free(&p);
        return st;
    }
    *out = (ldm_image){(int)p.width, (int)p.height, 1, p.data};
    return LDM_OK;
}
