/* SPDX-License-Identifier: MIT */
/* ldm.h for runs that are made in parts: ranges of pictures, files that are written picture by
 * picture, and the instructions that make the bytes the same on other machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support.h"

enum { PICTURES = 7 };

static void expect_range(ldm_run *run, const output *all, int first, int count)
{
    const ldm_result *r;
    ldm_error err;

    assert_int_equal(ldm_run_range(run, first, count, &err), LDM_OK);
    for (int i = first; i < first + count; i++) {
        if (ldm_run_next(run, &r, &err) || !r)
            fail_msg("picture %d: %s", i, r ? err.msg : "none");
        assert_int_equal(r->index, i);
        assert_memory_equal(r->latent, all->data + (size_t)i * all->per_picture,
                            3 * 8 * 8 * sizeof *r->latent);
    }
    assert_int_equal(ldm_run_next(run, &r, &err), LDM_OK);
    assert_null(r);
}

static void ranges_give_the_pictures_of_the_whole(void **state)
{
    ldm_model *m = open_small();
    plain_job job = short_job(PICTURES);
    const ldm_result *r;
    output all = run_all(m, &job);
    ldm_run *run;
    ldm_error err;

    (void)state;
    job.batch = 3;
    assert_int_equal(plain_run_create(m, &job, &run, NULL), LDM_OK);
    expect_range(run, &all, 4, 3);
    expect_range(run, &all, 1, 5);
    expect_range(run, &all, 6, 1);
    expect_range(run, &all, 3, 0);
    assert_int_equal(ldm_run_range(run, 0, 7, NULL), LDM_OK);
    assert_int_equal(ldm_run_next(run, &r, NULL), LDM_OK); /* the rest of its batch is dropped */
    expect_range(run, &all, 0, 7);
    assert_int_equal(ldm_run_range(run, 5, 3, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "0 to 6"));
    assert_int_equal(ldm_run_range(run, -1, 3, NULL), LDM_ERR_USAGE);
    assert_int_equal(ldm_run_range(run, 0, -1, NULL), LDM_ERR_USAGE);
    assert_int_equal(ldm_run_range(run, 2147483647, 2147483647, NULL), LDM_ERR_USAGE);
    assert_int_equal(ldm_run_range(NULL, 0, 1, NULL), LDM_ERR_USAGE);
    ldm_run_free(run);
    free(all.data);
    ldm_model_close(m);
}

/* ---- albums ---------------------------------------------------------------------------------- */

static void expect_same_file(const char *a, const char *b)
{
    char command[96];

    snprintf(command, sizeof command, "cmp -s %s %s", a, b);
    assert_int_equal(system(command), 0);
}

static void albums_have_the_bytes_of_the_whole(void **state)
{
    static const int counts[] = {1, 2, 3, 7, 9, 12};
    static const char recipe[] = "{\"ldm\": \"1\", \"prompt\": \"a cat\", \"steps\": 3}";
    ldm_image ims[12], grid;
    ldm_album *npz, *sheet;

    (void)state;
    for (int i = 0; i < 12; i++) {
        ims[i] = (ldm_image){10, 6, 3, calloc(1, 180)};
        for (int k = 0; k < 180 && i != 5; k++) /* the sixth is black */
            ims[i].pixels[k] = (uint8_t)(i * 37 + k * k);
    }
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        const size_t n = (size_t)counts[c];

        for (size_t columns = 0; columns < 4; columns += 3) {
            assert_int_equal(ldm_image_grid(ims, n, columns, &grid, NULL), LDM_OK);
            assert_int_equal(ldm_image_write("album-a.png", &grid, recipe, NULL), LDM_OK);
            ldm_release(grid.pixels);
            assert_int_equal(ldm_album_grid("album-b.png", n, columns, 10, 6, recipe, &sheet, NULL),
                             LDM_OK);
            assert_int_equal(ldm_image_write_npz("album-a.npz", ims, n, NULL), LDM_OK);
            assert_int_equal(ldm_album_npz("album-b.npz", n, 10, 6, &npz, NULL), LDM_OK);
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(ldm_album_add(sheet, i == 5 ? NULL : &ims[i], NULL), LDM_OK);
                assert_int_equal(ldm_album_add(npz, &ims[i], NULL), LDM_OK);
            }
            assert_int_equal(access("album-b.png", F_OK), -1);
            assert_int_equal(access("album-b.npz", F_OK), -1);
            assert_int_equal(ldm_album_close(sheet, NULL), LDM_OK);
            assert_int_equal(ldm_album_close(npz, NULL), LDM_OK);
            ldm_album_free(sheet);
            ldm_album_free(npz);
            expect_same_file("album-a.png", "album-b.png");
            expect_same_file("album-a.npz", "album-b.npz");
            assert_int_equal(unlink("album-b.png") | unlink("album-b.npz"), 0);
        }
    }
    assert_int_equal(unlink("album-a.png") | unlink("album-a.npz"), 0);
    for (int i = 0; i < 12; i++)
        free(ims[i].pixels);
}

static void unfinished_albums_leave_nothing(void **state)
{
    uint8_t pixels[12] = {0};
    const ldm_image small = {2, 2, 3, pixels}, wide = {4, 1, 3, pixels};
    ldm_album *a;
    ldm_error err;

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        assert_int_equal(kind ? ldm_album_npz("album.x", 2, 2, 2, &a, NULL)
                              : ldm_album_grid("album.x", 2, 0, 2, 2, NULL, &a, NULL),
                         LDM_OK);
        assert_int_equal(ldm_album_add(a, &wide, &err), LDM_ERR_USAGE);
        assert_non_null(strstr(err.msg, "4 x 1"));
        assert_int_equal(ldm_album_add(a, &small, NULL), LDM_OK);
        assert_int_equal(ldm_album_close(a, &err), LDM_ERR_USAGE);
        assert_non_null(strstr(err.msg, "1 pictures of the 2"));
        assert_int_equal(ldm_album_add(a, &small, NULL), LDM_OK);
        assert_int_equal(ldm_album_add(a, &small, NULL), LDM_ERR_USAGE);
        ldm_album_free(a);
        assert_int_equal(system("ls album.x* 2>/dev/null"), 2 << 8);
    }
    assert_int_equal(ldm_album_npz("album.x", 0, 2, 2, &a, NULL), LDM_ERR_USAGE);
    assert_int_equal(ldm_album_npz("album.x", 1, 0, 2, &a, NULL), LDM_ERR_USAGE);
    assert_int_equal(ldm_album_grid("album.x", SIZE_MAX / 2, 0, 65536, 65536, NULL, &a, NULL),
                     LDM_ERR_RANGE);
    assert_int_equal(ldm_album_grid("/nowhere/x.png", 1, 0, 2, 2, NULL, &a, NULL), LDM_ERR_IO);
    assert_null(a);
    assert_int_equal(ldm_album_npz("/nowhere/x.npz", 1, 2, 2, &a, NULL), LDM_ERR_IO);
    assert_null(a);
    assert_int_equal(ldm_album_add(NULL, &small, NULL), LDM_ERR_USAGE);
    assert_int_equal(ldm_album_close(NULL, NULL), LDM_ERR_USAGE);
    ldm_album_free(NULL);
}

/* ---- instructions ---------------------------------------------------------------------------- */

static ldm_status open_with(const char *isa, const char *most, ldm_model **m, ldm_error *err)
{
    ldm_model_options *o;
    ldm_status st;

    assert_int_equal(ldm_model_options_create(&o, NULL), LDM_OK);
    st = ldm_model_options_set(o, "ckpt", SMALL_CKPT, err);
    if (!st)
        st = ldm_model_options_set(o, "config", SMALL_CONFIG, err);
    if (!st)
        st = ldm_model_options_set(o, "isa", isa, err);
    if (!st && most)
        st = ldm_model_options_set(o, "max_isa", most, err);
    if (!st)
        st = ldm_model_open(o, m, err);
    ldm_model_options_free(o);
    return st;
}

static void instructions_are_those_that_were_named(void **state)
{
    ldm_model *m = NULL;
    ldm_error err;

    (void)state;
    assert_int_equal(open_with("c", NULL, &m, &err), LDM_OK);
    assert_string_equal(ldm_model_get_info(m)->isa, "c");
    ldm_model_close(m);
    assert_int_equal(open_with("c", "avx2", &m, &err), LDM_OK);
    assert_string_equal(ldm_model_get_info(m)->isa, "c");
    ldm_model_close(m);
    assert_int_equal(open_with("avx2", "c", &m, &err), LDM_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "allows c at most"));
    assert_int_equal(open_with("sse2", NULL, &m, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "avx512"));
}

int main(void)
{
    const struct CMUnitTest models[] = {
        cmocka_unit_test(ranges_give_the_pictures_of_the_whole),
        cmocka_unit_test(instructions_are_those_that_were_named),
    };
    const struct CMUnitTest files[] = {
        cmocka_unit_test(albums_have_the_bytes_of_the_whole),
        cmocka_unit_test(unfinished_albums_leave_nothing),
    };
    char folder[] = "/tmp/ldm-parts.XXXXXX";
    int failed = cmocka_run_group_tests(models, NULL, NULL);

    if (!mkdtemp(folder) || chdir(folder))
        return 1;
    failed += cmocka_run_group_tests(files, NULL, NULL);
    return rmdir(folder) ? 1 : failed; /* nothing was left in it */
}
