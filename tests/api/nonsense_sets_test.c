/* SPDX-License-Identifier: MIT */
/* NULL and nonsense, as nonsense_test.c: what quality.h and cluster.h declare, and the albums and
 * ranges of ldm.h. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ldm/cluster.h>
#include <ldm/quality.h>

#include "nonsense.h"

static uint8_t pixels[4 * 4 * 4];
static const ldm_image good = {4, 4, 3, pixels};

/* ---- sets of pictures ------------------------------------------------------------------------ */

static void networks(void **state)
{
    ldm_inception *n = NULL;

    (void)state;
    REFUSED(ldm_inception_open(NULL, NULL, &n, e), "weights");
    REFUSED(ldm_inception_open("no.pth", NULL, NULL, e), "out");
    assert_int_not_equal(ldm_inception_open("no.pth", NULL, &n, &err), LDM_OK);
    assert_null(n);
    ldm_inception_close(NULL);
    assert_string_equal(ldm_inception_sha256(NULL), "");
    assert_string_equal(ldm_inception_isa(NULL), "");
    assert_false(ldm_inception_is_official(NULL));
    assert_null(ldm_fid_mode_name((ldm_fid_mode)99));
    assert_null(ldm_fid_mode_text((ldm_fid_mode)99));
}

static void sets(void **state)
{
    ldm_quality_settings how;
    ldm_quality_result result;
    ldm_quality_set *s = NULL;
    const char *hex;

    (void)state;
    ldm_quality_settings_default(NULL, 0);
    ldm_quality_settings_default(&how, sizeof how);
    REFUSED(ldm_quality_set_create(NULL, NULL, &s, e), "how");
    REFUSED(ldm_quality_set_create(NULL, &how, NULL, e), "out");
    assert_int_equal(ldm_quality_set_create(NULL, &how, &s, &err), LDM_OK);
    REFUSED(ldm_quality_set_add(NULL, &good, e), "s");
    REFUSED(ldm_quality_set_add(s, NULL, e), "im");
    assert_int_not_equal(ldm_quality_set_add(s, &good, &err), LDM_OK); /* there is no network */
    REFUSED(ldm_quality_set_add_file(NULL, "x.npz", e), "s");
    REFUSED(ldm_quality_set_add_file(s, NULL, e), "path");
    assert_int_not_equal(ldm_quality_set_add_file(s, "no.npz", &err), LDM_OK);
    REFUSED(ldm_quality_set_finish(NULL, e), "s");
    assert_int_equal(ldm_quality_set_pictures(NULL), 0);
    assert_int_equal(ldm_quality_set_count(NULL), 0);
    assert_true(ldm_quality_set_is_empty(NULL));
    assert_true(ldm_quality_set_is_empty(s));
    assert_string_equal(ldm_quality_set_text(NULL), "");
    REFUSED(ldm_quality_set_sha256(NULL, &hex, e), "s");
    REFUSED(ldm_quality_set_sha256(s, NULL, e), "hex");
    assert_int_not_equal(ldm_quality_set_sha256(s, &hex, &err), LDM_OK);
    REFUSED(ldm_quality_set_write_stats(NULL, "x.npz", e), "s");
    REFUSED(ldm_quality_set_write_stats(s, NULL, e), "path");
    assert_int_not_equal(ldm_quality_set_write_stats(s, "never.npz", &err), LDM_OK);
    REFUSED(ldm_quality_set_write_features(NULL, "x.npz", e), "s");
    REFUSED(ldm_quality_set_write_features(s, NULL, e), "path");
    assert_int_not_equal(ldm_quality_set_write_features(s, "never.npz", &err), LDM_OK);
    REFUSED(ldm_quality_compare(NULL, s, &how, &result, sizeof result, e), "samples");
    REFUSED(ldm_quality_compare(s, s, NULL, &result, sizeof result, e), "how");
    REFUSED(ldm_quality_compare(s, s, &how, NULL, sizeof result, e), "out");
    (void)ldm_quality_compare(s, s, &how, &result, sizeof result, &err); /* both are empty */
    ldm_quality_set_free(s);
    ldm_quality_set_free(NULL);
}

/* ---- several processes ----------------------------------------------------------------------- */

static const char *nothing(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

static void ranks(void **state)
{
    ldm_rank r;

    (void)state;
    REFUSED(ldm_rank_find(NULL, NULL, -1, 0, &r, e), "look");
    REFUSED(ldm_rank_find(nothing, NULL, -1, 0, NULL, e), "out");
    REFUSED(ldm_rank_find(nothing, NULL, 7, 3, &r, e), "rank");
    assert_int_equal(ldm_rank_threads(NULL, 4, 4), 1);
    assert_int_equal(ldm_rank_find(nothing, NULL, -1, 0, &r, &err), LDM_OK);
    assert_true(ldm_rank_threads(&r, -5, 0) >= 1);
}

static void work(void **state)
{
    ldm_work *w = NULL;
    ldm_work_item item;
    ldm_work_count count;
    char *text = NULL;

    (void)state;
    REFUSED(ldm_work_open(NULL, &w, &text, e), "o");
    ldm_work_close(NULL);
    assert_false(ldm_work_finished(NULL));
    assert_int_equal(ldm_work_block(NULL), 0);
    REFUSED(ldm_work_next(NULL, &item, e), "w");
    REFUSED(ldm_work_complete(NULL, "{}", e), "w");
    ldm_work_give_back(NULL);
    ldm_work_beat(NULL);
    assert_true(ldm_work_silence(NULL) == 0);
    REFUSED(ldm_work_get_count(NULL, &count, e), "w");
    REFUSED(ldm_work_get_run(NULL, &text, e), "folder");
    REFUSED(ldm_work_get_run("no", NULL, e), "run");
    assert_int_not_equal(ldm_work_get_run("no", &text, &err), LDM_OK);
    REFUSED(ldm_work_records(NULL, &text, e), "folder");
    REFUSED(ldm_work_records("no", NULL, e), "json");
    assert_int_not_equal(ldm_work_records("no", &text, &err), LDM_OK);
    REFUSED(ldm_work_status(NULL, &text, e), "folder");
    REFUSED(ldm_work_status("no", NULL, e), "json");
    assert_int_not_equal(ldm_work_status("no", &text, &err), LDM_OK);
    assert_false(ldm_work_is_there(NULL));
    assert_false(ldm_work_is_there("no"));
}

/* ---- albums and ranges ----------------------------------------------------------------------- */

static void albums(void **state)
{
    char path[] = "/tmp/ldm-album-XXXXXX";
    char *name;
    ldm_album *a = NULL;
    const ldm_image small = {2, 2, 3, pixels};

    (void)state;
    REFUSED(ldm_album_npz(NULL, 1, 4, 4, &a, e), "path");
    REFUSED(ldm_album_npz("x.npz", 1, 4, 4, NULL, e), "out");
    REFUSED(ldm_album_npz("x.npz", 0, 4, 4, &a, e), "pictures");
    REFUSED(ldm_album_npz("x.npz", 1, -4, 4, &a, e), "pictures");
    REFUSED(ldm_album_grid(NULL, 1, 1, 4, 4, NULL, &a, e), "path");
    REFUSED(ldm_album_grid("x.png", 1, 1, 4, 4, NULL, NULL, e), "out");
    REFUSED(ldm_album_grid("x.png", 0, 1, 4, 4, NULL, &a, e), "pictures");
    assert_null(a);
    REFUSED(ldm_album_add(NULL, &good, e), "a");
    REFUSED(ldm_album_close(NULL, e), "a");
    ldm_album_free(NULL);
    assert_non_null(mkdtemp(path));
    name = malloc(sizeof path + 8);
    assert_non_null(name);
    snprintf(name, sizeof path + 8, "%s/a.npz", path);
    assert_int_equal(ldm_album_npz(name, 1, 4, 4, &a, &err), LDM_OK);
    assert_int_not_equal(ldm_album_add(a, &small, &err), LDM_OK);
    assert_int_not_equal(ldm_album_close(a, &err), LDM_OK); /* a picture is missing */
    ldm_album_free(a);
    assert_int_equal(rmdir(path), 0); /* and nothing was left */
    free(name);
}

static void ranges(void **state)
{
    ldm_model *m = open_small();
    ldm_job *job;
    ldm_run *run;

    (void)state;
    assert_int_equal(ldm_job_create(m, &job, &err), LDM_OK);
    assert_int_equal(ldm_job_set(job, "count", "3", &err), LDM_OK);
    assert_int_equal(ldm_run_create(m, job, &run, &err), LDM_OK);
    REFUSED(ldm_run_range(NULL, 0, 1, e), "r");
    REFUSED(ldm_run_range(run, -1, 1, e), "-1");
    REFUSED(ldm_run_range(run, 0, 4, e), "0 to 2");
    REFUSED(ldm_run_range(run, 2, 2, e), "0 to 2");
    REFUSED(ldm_run_range(run, 2, -1, e), "-1");
    ldm_run_free(run);
    ldm_job_free(job);
    ldm_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks), cmocka_unit_test(sets),   cmocka_unit_test(ranks),
        cmocka_unit_test(work),     cmocka_unit_test(albums), cmocka_unit_test(ranges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
