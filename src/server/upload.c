/* SPDX-License-Identifier: MIT */
/* Pictures to begin with; see upload.h. */
#include "server/upload.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "server/base64.h"

enum { MAX_FILE = 64 << 20 };

unsigned char *ldm_upload_bytes(const char *text, size_t *size)
{
    const char *comma = !strncmp(text, "data:", 5) ? strchr(text, ',') : NULL;
    const char *from = comma ? comma + 1 : text;
    const size_t room = ldm_base64_room(strlen(from));
    unsigned char *out = ldm_malloc(room);

    if (out && ldm_base64_decode(from, strlen(from), out, room, size) && *size)
        return out;
    ldm_free(out);
    return NULL;
}

/* A mask of one channel that is `clear` where alpha is less than `edge`, elsewhere the opposite;
 * im has 1, 3 or 4 channels and keeps its memory. */
static void alpha_to_mask(ldm_image *im, int edge, uint8_t clear)
{
    const size_t n = (size_t)im->width * (size_t)im->height, c = (size_t)im->channels;

    for (size_t i = 0; i < n; i++) /* never beyond what was read */
        im->pixels[i] = c == 4 && im->pixels[i * c + 3] < edge ? clear : 255 - clear;
    im->channels = 1;
}

static bool has_transparency(const ldm_image *im)
{
    const size_t n = (size_t)im->width * (size_t)im->height;

    for (size_t i = 0; im->channels == 4 && i < n; i++) {
        if (im->pixels[i * 4 + 3] < 255)
            return true;
    }
    return false;
}

/* Dark becomes light. Alpha stays: the library looks whether it holds the mask's shape. */
static void invert_colours(ldm_image *im)
{
    const size_t n = (size_t)im->width * (size_t)im->height * (size_t)im->channels;

    for (size_t i = 0; i < n; i++) {
        if (im->channels != 4 || i % 4 != 3)
            im->pixels[i] = (uint8_t)(255 - im->pixels[i]);
    }
}

/* Makes the mask that im says into one whose light part is painted. The web UI (create_binary_mask
 * in its modules/processing.py) takes alpha of more than 128 as painted, the OpenAI API what is
 * transparent. */
static void read_mask(ldm_upload_kind kind, ldm_image *im)
{
    if (kind == LDM_UPLOAD_MASK_ALPHA)
        alpha_to_mask(im, 128, 255);
    else if (has_transparency(im))
        alpha_to_mask(im, 129, 0);
    if (kind == LDM_UPLOAD_MASK_INVERT)
        invert_colours(im);
}

static bool keep(const char *path, ldm_blob *out)
{
    return !ldm_file_read(path, MAX_FILE, &out->data, &out->size, NULL);
}

/* In the library's words, without the path of the file here. */
static bool unreadable(ldm_refusal *r, const char *field, const char *path, ldm_status st,
                       const ldm_error *err)
{
    const char *at = strstr(err->msg, path);
    const int before = at ? (int)(at - err->msg) : 0;
    const char *code = ldm_status_name(st);

    if (st == LDM_ERR_NOMEM || st == LDM_ERR_IO)
        return ldm_refuse(r, 500, code, field, "the picture cannot be read here");
    return ldm_refuse(r, 422, code, field, "%.*s%s%s", before, err->msg, at ? "the file" : "",
                      at ? at + strlen(path) : err->msg);
}

static bool take(ldm_server *s, const char *path, ldm_upload_kind kind, const char *field,
                 ldm_blob *out, ldm_refusal *r)
{
    ldm_image im = {0};
    ldm_error err;
    ldm_status st = ldm_image_read_channels(path, 0, &im, &err);
    bool fine = true;

    if (st)
        return unreadable(r, field, path, st, &err);
    if ((double)im.width * im.height > s->limits.pixels)
        fine = ldm_refuse(r, 422, "ERR_LIMIT", field, "at most %.0f pixels in one picture",
                          s->limits.pixels);
    if (fine && kind != LDM_UPLOAD_PICTURE && kind != LDM_UPLOAD_MASK) {
        read_mask(kind, &im);
        fine = !ldm_image_write(path, &im, NULL, &err) ||
               ldm_refuse(r, 500, "ERR_IO", field, "out of room");
    }
    out->transparent = im.channels == 4;
    ldm_release(im.pixels);
    return fine && (keep(path, out) || ldm_refuse(r, 500, "ERR_NOMEM", field, "out of memory"));
}

bool ldm_upload_take(ldm_server *s, ldm_upload_kind kind, const char *field, const void *data,
                     size_t size, ldm_blob *out, ldm_refusal *r)
{
    char *path = ldm_gallery_scratch(s->gallery, "upload.png");
    bool fine;

    *out = (ldm_blob){.data = NULL};
    if (!path || ldm_file_write(path, data, size, NULL))
        fine = ldm_refuse(r, 500, "ERR_IO", field, "the picture cannot be kept here");
    else
        fine = take(s, path, kind, field, out, r);
    if (path)
        remove(path);
    ldm_free(path);
    return fine;
}

bool ldm_upload_take_text(ldm_server *s, ldm_upload_kind kind, const char *field,
                          const json_t *text, ldm_blob *out, ldm_refusal *r)
{
    size_t size = 0;
    unsigned char *bytes =
        json_is_string(text) ? ldm_upload_bytes(json_string_value(text), &size) : NULL;
    bool fine;

    *out = (ldm_blob){.data = NULL};
    if (!bytes)
        return ldm_refuse(r, 422, "ERR_FORMAT", field, "this is no picture in base64");
    fine = ldm_upload_take(s, kind, field, bytes, size, out, r);
    ldm_free(bytes);
    return fine;
}
