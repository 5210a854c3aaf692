/* SPDX-License-Identifier: MIT */
/* pixels A.png B.png: do two PNGs show the same picture? Compares size, colour type, bit depth and
 * every decoded byte; text chunks and the way of packing may differ. Decodes with libspng directly,
 * so that a flaw of ldm's own reader cannot hide a difference.
 *
 * Exit code: 0 the same, 1 different, 2 one of them cannot be read. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spng.h>

enum { SAME, DIFFERENT, UNREADABLE };

typedef struct picture {
    struct spng_ihdr header;
    uint8_t *bytes; /* free() */
    size_t size;
} picture;

/* 0, or libspng's error code. */
static int decode(FILE *f, picture *p)
{
    spng_ctx *ctx = spng_ctx_new(0);
    int rc = ctx ? 0 : SPNG_EMEM;

    if (!rc)
        rc = spng_set_png_file(ctx, f);
    if (!rc)
        rc = spng_get_ihdr(ctx, &p->header);
    if (!rc)
        rc = spng_decoded_image_size(ctx, SPNG_FMT_PNG, &p->size);
    if (!rc && !(p->bytes = malloc(p->size)))
        rc = SPNG_EMEM;
    if (!rc)
        rc = spng_decode_image(ctx, p->bytes, p->size, SPNG_FMT_PNG, 0);
    if (!rc)
        rc = spng_decode_chunks(ctx); /* to the end: a file that was cut off is not whole */
    spng_ctx_free(ctx);
    return rc;
}

static int load(const char *path, picture *p)
{
    FILE *f = fopen(path, "rb");
    int rc;

    if (!f) {
        perror(path);
        return -1;
    }
    rc = decode(f, p);
    fclose(f);
    if (rc)
        fprintf(stderr, "%s: %s\n", path, spng_strerror(rc));
    return rc;
}

static int compare(const char *const *path, const picture *a, const picture *b)
{
    const struct spng_ihdr *h = &a->header;
    size_t i;

    if (h->width != b->header.width || h->height != b->header.height ||
        h->color_type != b->header.color_type || h->bit_depth != b->header.bit_depth ||
        a->size != b->size) {
        printf("%s is %u x %u, type %d of %d bits; %s is %u x %u, type %d of %d bits\n", path[0],
               h->width, h->height, h->color_type, h->bit_depth, path[1], b->header.width,
               b->header.height, b->header.color_type, b->header.bit_depth);
        return DIFFERENT;
    }
    for (i = 0; i < a->size; i++) {
        if (a->bytes[i] != b->bytes[i]) {
            printf("byte %zu of %zu is %d in %s and %d in %s\n", i, a->size, a->bytes[i], path[0],
                   b->bytes[i], path[1]);
            return DIFFERENT;
        }
    }
    return SAME;
}

int main(int argc, char **argv)
{
    picture a = {.bytes = NULL}, b = {.bytes = NULL};
    int rc = UNREADABLE;

    if (argc != 3) {
        fprintf(stderr, "usage: pixels A.png B.png\n");
        return UNREADABLE;
    }
    if (!load(argv[1], &a) && !load(argv[2], &b))
        rc = compare((const char *const *)argv + 1, &a, &b);
    free(a.bytes);
    free(b.bytes);
    return rc;
}
