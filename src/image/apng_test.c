/* SPDX-License-Identifier: MIT */
/* Animated PNGs: the first frame is what any reader of PNG sees, and the chunks are as specified.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/alloc.h"
#include "image/apng.h"

enum { W = 13, H = 7, FRAMES = 3 };

static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void frames_and_chunks(void **state)
{
    static const char *const want[] = {"IHDR", "acTL", "iTXt", "fcTL", "IDAT",
                                       "fcTL", "fdAT", "fcTL", "fdAT", "IEND"};
    const ldm_text text = {"ldm", "{\"a\": 1}"};
    static const unsigned channels[] = {1, 3, 4};
    char path[] = "/tmp/ldm_apng_XXXXXX";
    const int fd = mkstemp(path);
    size_t k;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    for (k = 0; k < 3; k++) {
        uint8_t data[FRAMES][W * H * 4];
        ldm_pixels frames[FRAMES], back;
        ldm_error err = {.msg = ""};
        ldm_text *texts;
        size_t i, j, count, size, at = 8, n = 0;
        char *file;

        for (i = 0; i < FRAMES; i++) {
            for (j = 0; j < sizeof data[i]; j++)
                data[i][j] = (uint8_t)(i * 31 + j * 7);
            frames[i] = (ldm_pixels){W, H, channels[k], data[i]};
        }
        if (ldm_apng_write(path, frames, FRAMES, 80, &text, &err))
            fail_msg("%s", err.msg);
        if (ldm_pixels_read(path, 0, 0, &back, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(back.channels, channels[k]);
        assert_memory_equal(back.data, data[0], W * H * channels[k]);
        ldm_pixels_free(&back);
        assert_int_equal(ldm_picture_read_texts(path, &texts, &count, &err), LDM_OK);
        assert_int_equal(count, 1);
        assert_string_equal(texts[0].value, text.value);
        ldm_free(texts);
        assert_int_equal(ldm_file_read(path, 1 << 20, &file, &size, &err), LDM_OK);
        while (at < size) {
            const unsigned char *p = (const unsigned char *)file + at;

            assert_true(n < sizeof want / sizeof *want);
            assert_memory_equal(p + 4, want[n], 4);
            if (!strcmp(want[n], "acTL"))
                assert_int_equal(get32(p + 8), FRAMES);
            if (!strcmp(want[n], "fcTL"))
                assert_int_equal(get32(p + 8), n == 3 ? 0 : n - 4);
            n++;
            at += 12 + get32(p);
        }
        assert_int_equal(n, sizeof want / sizeof *want);
        assert_int_equal(at, size);
        ldm_free(file);
        frames[1].width--;
        assert_int_equal(ldm_apng_write(path, frames, FRAMES, 80, NULL, &err), LDM_ERR_USAGE);
        assert_int_equal(ldm_apng_write(path, frames, 0, 80, NULL, &err), LDM_ERR_USAGE);
    }
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(frames_and_chunks)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
