/* SPDX-License-Identifier: MIT */
/* Pictures on their way into the encoder: channels, size, values; see picture_in.h. */
#include "engine/picture_in.h"

#include <stdio.h>
#include <string.h>

#include <nettle/sha2.h>

#include "base/error.h"

/* The last column and row again and again: an edge of another colour would leave its mark. */
static ldm_status extend(const ldm_pixels *in, uint32_t width, uint32_t height, ldm_pixels *out,
                         ldm_error *err)
{
    const size_t c = in->channels;
    ldm_status st = ldm_pixels_create(width, height, in->channels, out, err);
    size_t x, y;

    for (y = 0; !st && y < height; y++) {
        const uint8_t *from =
            in->data + (y < in->height ? y : in->height - 1) * (size_t)in->width * c;
        uint8_t *to = out->data + y * (size_t)width * c;

        memcpy(to, from, (size_t)in->width * c);
        for (x = in->width; x < width; x++)
            memcpy(to + x * c, from + (in->width - 1) * c, c);
    }
    return st;
}

ldm_status ldm_picture_in_fit(const ldm_image *im, unsigned channels, uint32_t width,
                              uint32_t height, ldm_fit_how how, ldm_pixels *out, ldm_error *err)
{
    static const ldm_fit_mode modes[] = {LDM_FIT_CROP, LDM_FIT_PAD, LDM_FIT_STRETCH};
    const ldm_resize_how lanczos = {LDM_RESAMPLE_LANCZOS, LDM_RESIZE_ROWS_FIRST};
    const size_t bytes = (size_t)im->width * (size_t)im->height * (size_t)im->channels;
    ldm_pixels copy;
    ldm_status st;

    memset(out, 0, sizeof *out);
    st = ldm_pixels_create((uint32_t)im->width, (uint32_t)im->height, (unsigned)im->channels, &copy,
                           err);
    if (st)
        return st;
    memcpy(copy.data, im->pixels, bytes);
    st = ldm_pixels_convert(&copy, channels, err);
    if (!st)
        st = how == LDM_FIT_HOW_KEEP
                 ? extend(&copy, width, height, out, err)
                 : ldm_pixels_fit(&copy, width, height, modes[how], lanczos, out, err);
    ldm_pixels_free(&copy);
    return st;
}

void ldm_picture_in_planes(const ldm_pixels *p, float *planes)
{
    const size_t pixels = (size_t)p->width * p->height;
    size_t i, c;

    for (c = 0; c < p->channels; c++) {
        for (i = 0; i < pixels; i++)
            planes[c * pixels + i] = 2.0f * ((float)p->data[i * p->channels + c] / 255.0f) - 1.0f;
    }
}

int ldm_picture_in_latent_side(int pixels, int factor, int multiple)
{
    const int step = factor * multiple;

    return (pixels / step + (pixels % step != 0)) * multiple;
}

ldm_status ldm_image_hash(const ldm_image *im, char hex[65], ldm_error *err)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx ctx;
    char head[64];
    size_t i;

    LDM_REQUIRE(hex, "hex", err);
    hex[0] = '\0';
    LDM_REQUIRE(im, "im", err);
    if (im->width < 1 || im->height < 1 || im->channels < 1 || im->channels > 4 || !im->pixels)
        return ldm_error_set(err, LDM_ERR_USAGE, "im: %d x %d pixels of %d channels%s", im->width,
                             im->height, im->channels, im->pixels ? "" : ", and none are there");
    sha256_init(&ctx);
    i = (size_t)snprintf(head, sizeof head, "%d,%d,%d\n", im->height, im->width, im->channels);
    sha256_update(&ctx, i, (const uint8_t *)head);
    sha256_update(&ctx, (size_t)im->width * (size_t)im->height * (size_t)im->channels, im->pixels);
    sha256_digest(&ctx, sizeof digest, digest);
    for (i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return LDM_OK;
}
