/* SPDX-License-Identifier: MIT */
/* Pictures of a server under test; see client.h. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"

/* The bytes of a file, or NULL. */
char *file_bytes(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *data = malloc(1 << 22);

    *size = f && data ? fread(data, 1, 1 << 22, f) : 0;
    if (f)
        fclose(f);
    return data;
}

/* Where `what` begins in the data, or NULL. */
const char *find_bytes(const char *data, size_t size, const char *what)
{
    const size_t len = strlen(what);

    for (size_t i = 0; i + len <= size; i++) {
        if (!memcmp(data + i, what, len))
            return data + i;
    }
    return NULL;
}

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_of(const void *data, size_t size, char *out)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < size; i += 3) {
        const unsigned v = (unsigned)p[i] << 16 | (i + 1 < size ? (unsigned)p[i + 1] << 8 : 0) |
                           (i + 2 < size ? p[i + 2] : 0);

        *out++ = digits64[v >> 18];
        *out++ = digits64[v >> 12 & 63];
        *out++ = i + 1 < size ? digits64[v >> 6 & 63] : '=';
        *out++ = i + 2 < size ? digits64[v & 63] : '=';
    }
    *out = '\0';
}

size_t from_base64(const char *text, unsigned char *out, size_t cap)
{
    size_t n = 0;
    unsigned held = 0;

    for (size_t i = 0; text[i] && text[i] != '=' && n < cap; i++) {
        held = held << 6 | (unsigned)(strchr(digits64, text[i]) - digits64);
        if (i % 4)
            out[n++] = (unsigned char)(held >> (2 * (3 - i % 4)));
    }
    return n;
}

reply picture(const server *s, const char *id, int index)
{
    char path[96];
    reply r;

    snprintf(path, sizeof path, "/api/v1/pictures/%s/%d", id, index);
    r = ask(s, "GET", path, "", NULL);
    assert_int_equal(r.status, 200);
    assert_memory_equal(r.body, "\x89PNG", 4);
    return r;
}

char *cli_picture(const char *options, size_t *size)
{
    static const char tiny[] =
        "--ckpt tests/data/tiny/model.ckpt --config tests/data/tiny/config.yaml";
    char dir[] = "/tmp/ldm-server-cli.XXXXXX", command[900];
    char *data;

    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command, "'%s' generate %s --quiet %s -o '%s/a.png' >/dev/null",
             LDM_TEST_PROGRAM, strncmp(options, "--ckpt", 6) != 0 ? tiny : "", options, dir);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/a.png", dir);
    data = file_bytes(command, size);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
    return data;
}

/* Of two PNGs that were made alike: from the first IDAT on. */
void assert_same_picture(const char *a, size_t a_size, const char *b, size_t b_size)
{
    const char *p = find_bytes(a, a_size, "IDAT"), *q = find_bytes(b, b_size, "IDAT");

    assert_non_null(p);
    assert_non_null(q);
    assert_int_equal(a_size - (size_t)(p - a), b_size - (size_t)(q - b));
    assert_memory_equal(p, q, a_size - (size_t)(p - a));
}
