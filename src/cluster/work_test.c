/* SPDX-License-Identifier: MIT */
/* Several workers of one folder in one process: who gets which block, what happens to the claims of
 * those that fall silent, and folders that are damaged. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <ldm/cluster.h>

#include "base/alloc.h"
#include "base/file.h"

static const char run_text[] = "{\"seed\": 42}", about[] = "{\"isa\": \"c\"}";
static char room[64];

static int begin(void **state)
{
    (void)state;
    strcpy(room, "/tmp/ldm-work.XXXXXX");
    return mkdtemp(room) ? 0 : 1;
}

static int end(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", room);
    return system(command);
}

static ldm_work *join(int rank, int size, int pictures, int block, double lease, bool own_only)
{
    const ldm_work_options o = {room, run_text, about, pictures, block,
                                1,    lease,    rank,  size,     own_only};
    ldm_error err;
    ldm_work *w;
    char *run;

    if (ldm_work_open(&o, &w, &run, &err))
        fail_msg("%s", err.msg);
    assert_non_null(strstr(run, "\"seed\": 42"));
    ldm_free(run);
    return w;
}

/* What the worker is given; the block's first picture, or -1 - kind. */
static int next(ldm_work *w)
{
    ldm_work_item item;
    ldm_error err;

    if (ldm_work_next(w, &item, &err))
        fail_msg("%s", err.msg);
    return item.kind == LDM_WORK_BLOCK ? item.first : -1 - (int)item.kind;
}

static void complete(ldm_work *w)
{
    assert_int_equal(ldm_work_complete(w, "{\"pictures\": 1, \"seconds\": 0.5}", NULL), LDM_OK);
}

enum {
    FINISH = -1 - LDM_WORK_FINISH,
    WAIT = -1 - LDM_WORK_WAIT,
    LEFT = -1 - LDM_WORK_LEFT,
    DONE = -1 - LDM_WORK_DONE
};

/* Makes all of its claims look untouched for an hour, whoever holds the file. */
static void fall_silent(const char *worker_rank)
{
    char command[256];

    snprintf(command, sizeof command,
             "f=$(grep -l '\"rank\": %s' %s/.ldm-run/workers/*) && touch -d '1 hour ago' \"$f\"",
             worker_rank, room);
    assert_int_equal(system(command), 0);
}

static void ranks_take_their_own_then_the_rest(void **state)
{
    ldm_work *a = join(0, 2, 10, 2, 300, false), *b = join(1, 2, 99, 7, 300, false);

    (void)state;
    assert_int_equal(next(a), 0);
    assert_int_equal(next(b), 2); /* the block is the first process' */
    assert_int_equal(ldm_work_next(b, &(ldm_work_item){0}, NULL), LDM_ERR_USAGE);
    complete(b);
    assert_int_equal(next(b), 6);
    complete(b);
    assert_int_equal(next(b), 4); /* of the other's */
    complete(b);
    assert_int_equal(next(b), 8);
    complete(b);
    assert_int_equal(next(b), WAIT); /* for block 0 */
    assert_int_equal(ldm_work_complete(b, "{}", NULL), LDM_ERR_USAGE);
    complete(a);
    assert_int_equal(next(a), FINISH);
    assert_int_equal(next(b), WAIT);
    complete(a);
    assert_int_equal(next(a), DONE);
    assert_int_equal(next(b), DONE);
    ldm_work_close(a);
    ldm_work_close(b);
    a = join(0, 1, 10, 0, 300, false); /* the same command again has nothing to do */
    assert_int_equal(next(a), DONE);
    ldm_work_close(a);
}

static void what_is_given_back_is_taken_at_once(void **state)
{
    ldm_work *a = join(0, 2, 4, 2, 300, false), *b = join(1, 2, 4, 2, 300, false);

    (void)state;
    assert_int_equal(next(a), 0);
    assert_int_equal(next(b), 2);
    complete(b);
    assert_int_equal(next(b), WAIT);
    ldm_work_close(a); /* it ends without a word */
    assert_int_equal(next(b), 0);
    complete(b);
    assert_int_equal(next(b), FINISH);
    ldm_work_give_back(b);
    assert_int_equal(next(b), FINISH);
    complete(b);
    assert_int_equal(next(b), DONE);
    ldm_work_close(b);
}

static void a_silent_worker_loses_its_block_and_may_come_back(void **state)
{
    ldm_work *a = join(0, 3, 3, 1, 300, false), *b = join(1, 3, 3, 1, 300, false),
             *c = join(2, 3, 3, 1, 300, false);
    ldm_work_item item;

    (void)state;
    assert_int_equal(next(a), 0);
    assert_int_equal(next(b), 1);
    assert_int_equal(next(c), 2);
    complete(c);
    fall_silent("0");
    assert_int_equal(ldm_work_next(c, &item, NULL), LDM_OK);
    assert_int_equal(item.kind, LDM_WORK_BLOCK);
    assert_int_equal(item.first, 0);
    assert_true(item.taken_over);
    complete(b);
    assert_int_equal(next(b), WAIT); /* block 0 is c's: nobody else takes it */
    /* a wakes up in the middle of its block, completes it, and both do */
    complete(a);
    complete(c);
    assert_int_equal(next(a), FINISH);
    assert_int_equal(next(b), WAIT);
    fall_silent("0");
    assert_int_equal(next(b), FINISH); /* the finish is taken over as blocks are */
    ldm_work_give_back(a);             /* and a's claim below stays, so that nobody fills the gap */
    assert_int_equal(next(c), WAIT);
    complete(b);
    assert_int_equal(next(c), DONE);
    ldm_work_close(a);
    ldm_work_close(b);
    ldm_work_close(c);
}

static void own_share_leaves_the_rest(void **state)
{
    ldm_work *a = join(1, 2, 5, 1, 300, true);

    (void)state;
    assert_int_equal(next(a), 1);
    complete(a);
    assert_int_equal(next(a), 3);
    complete(a);
    assert_int_equal(next(a), LEFT);
    ldm_work_close(a);
}

static void blocks_cover_the_pictures_once(void **state)
{
    static const struct {
        int pictures, size, block;
    } cases[] = {{1, 1, 0}, {7, 3, 0}, {300, 3, 0}, {50, 8, 7}, {64, 1, 64}, {5, 100, 0}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool made[512] = {false};
        ldm_work_item item;
        ldm_work *w;

        end(state); /* a fresh folder */
        begin(state);
        w = join(cases[i].size - 1, cases[i].size, cases[i].pictures, cases[i].block, 1, false);
        for (;;) {
            assert_int_equal(ldm_work_next(w, &item, NULL), LDM_OK);
            if (item.kind != LDM_WORK_BLOCK)
                break;
            assert_true(item.count > 0 && item.first + item.count <= cases[i].pictures);
            for (int k = 0; k < item.count; k++) {
                assert_false(made[item.first + k]);
                made[item.first + k] = true;
            }
            complete(w);
        }
        assert_int_equal(item.kind, LDM_WORK_FINISH);
        for (int k = 0; k < cases[i].pictures; k++)
            assert_true(made[k]);
        ldm_work_close(w);
    }
}

static void the_folder_says_who_does_what(void **state)
{
    ldm_work *a = join(0, 2, 6, 1, 300, false), *b = join(1, 2, 6, 1, 300, false);
    ldm_work_count count;
    json_t *root, *claim;
    char *text;

    (void)state;
    assert_int_equal(next(a), 0);
    complete(a);
    assert_int_equal(next(a), 2);
    assert_int_equal(next(b), 1);
    fall_silent("1");
    assert_int_equal(ldm_work_get_count(a, &count, NULL), LDM_OK);
    assert_int_equal(count.pictures_done, 1);
    assert_int_equal(count.workers, 1);
    assert_int_equal(ldm_work_status(room, &text, NULL), LDM_OK);
    root = json_loads(text, 0, NULL);
    ldm_free(text);
    assert_int_equal(json_integer_value(json_object_get(root, "pictures_done")), 1);
    assert_true(json_number_value(json_object_get(root, "per_second")) == 2);
    assert_true(json_number_value(json_object_get(root, "seconds_left")) == 2.5);
    assert_int_equal(json_array_size(json_object_get(root, "workers")), 2);
    assert_int_equal(json_array_size(json_object_get(root, "claims")), 2);
    claim = json_array_get(json_object_get(root, "claims"), 0);
    assert_int_equal(json_integer_value(json_object_get(claim, "first")), 1);
    assert_true(json_is_false(json_object_get(claim, "lives")));
    assert_true(json_number_value(json_object_get(claim, "silent_seconds")) > 3500);
    json_decref(root);
    assert_int_equal(ldm_work_records(room, &text, NULL), LDM_OK);
    root = json_loads(text, 0, NULL);
    ldm_free(text);
    assert_int_equal(json_array_size(root), 1);
    json_decref(root);
    ldm_work_close(a);
    ldm_work_close(b);
    assert_int_equal(ldm_work_status("/nowhere", &text, NULL), LDM_ERR_IO);
}

/* The size of a block that nobody chose: the first item's. Of few pictures no batches, but equal
 * shares. */
static void chosen_blocks_are_whole_batches(void **state)
{
    static const struct {
        int pictures, batch, size, block;
    } cases[] = {{300, 4, 3, 12},     {24, 3, 3, 3}, {50000, 4, 10, 64}, {50000, 8, 10000, 5},
                 {50000, 8, 3000, 8}, {5, 8, 2, 2},  {1000, 6, 1, 60},   {8, 8, 2, 4},
                 {24, 8, 2, 12},      {10, 4, 4, 1}, {3, 8, 8, 1},       {12, 8, 1, 8}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ldm_work_options o = {room,           run_text, about, cases[i].pictures, 0,
                                    cases[i].batch, 300,      0,     cases[i].size,     false};
        ldm_work_item item;
        ldm_work *w;
        char *run;

        end(state); /* a fresh folder */
        begin(state);
        assert_int_equal(ldm_work_open(&o, &w, &run, NULL), LDM_OK);
        ldm_free(run);
        assert_int_equal(ldm_work_next(w, &item, NULL), LDM_OK);
        assert_int_equal(item.count, cases[i].block);
        ldm_work_close(w);
    }
}

static void few_pictures_are_shared_evenly(void **state)
{
    for (int pictures = 1; pictures < 24; pictures += 2) {
        for (int size = 2; size < 9; size += 2) {
            int least = pictures, most = 0;

            end(state);
            begin(state);
            for (int rank = 0; rank < size; rank++) {
                const ldm_work_options o = {room, run_text, about, pictures, 0,
                                            20,   300,      rank,  size,     true};
                ldm_work_item item = {0};
                ldm_work *w;
                char *run;
                int share = 0;

                assert_int_equal(ldm_work_open(&o, &w, &run, NULL), LDM_OK);
                ldm_free(run);
                while (!ldm_work_next(w, &item, NULL) && item.kind == LDM_WORK_BLOCK) {
                    share += item.count;
                    complete(w);
                }
                ldm_work_close(w);
                least = share < least ? share : least;
                most = share > most ? share : most;
            }
            assert_int_equal(most, (pictures + size - 1) / size);
            assert_true(least > 0 || pictures < size);
        }
    }
}

static void damaged_manifests_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"ldm_run\": 2}",
        "{\"ldm_run\": 1, \"pictures\": 0, \"block\": 1, \"lease\": 1, \"run\": {}}",
        "{\"ldm_run\": 1, \"pictures\": 5, \"block\": -1, \"lease\": 1, \"run\": {}}",
        "{\"ldm_run\": 1, \"pictures\": 5, \"block\": 1, \"lease\": 0, \"run\": {}}",
        "{\"ldm_run\": 1, \"pictures\": 5, \"block\": 1, \"lease\": 1, \"run\": 3}",
        "{\"ldm_run\": 1, \"pictures\": 1000000000, \"block\": 1, \"lease\": 1, \"run\": {}}",
        "{\"ldm_run\": 1, \"pictures\": 1e999, \"block\": 1, \"lease\": 1, \"run\": {}}"};
    const ldm_work_options o = {room, run_text, about, 5, 1, 1, 300, 0, 1, false};
    char path[96], *run;
    ldm_work *w;
    ldm_error err;

    (void)state;
    ldm_work_close(join(0, 1, 5, 1, 300, false));
    snprintf(path, sizeof path, "%s/.ldm-run/manifest.json", room);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(ldm_file_write(path, texts[i], strlen(texts[i]), &err), LDM_OK);
        assert_int_not_equal(ldm_work_open(&o, &w, &run, &err), LDM_OK);
        assert_non_null(strstr(err.msg, "manifest.json"));
        assert_null(w);
        assert_null(run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ranks_take_their_own_then_the_rest, begin, end),
        cmocka_unit_test_setup_teardown(what_is_given_back_is_taken_at_once, begin, end),
        cmocka_unit_test_setup_teardown(a_silent_worker_loses_its_block_and_may_come_back, begin,
                                        end),
        cmocka_unit_test_setup_teardown(own_share_leaves_the_rest, begin, end),
        cmocka_unit_test_setup_teardown(blocks_cover_the_pictures_once, begin, end),
        cmocka_unit_test_setup_teardown(chosen_blocks_are_whole_batches, begin, end),
        cmocka_unit_test_setup_teardown(few_pictures_are_shared_evenly, begin, end),
        cmocka_unit_test_setup_teardown(the_folder_says_who_does_what, begin, end),
        cmocka_unit_test_setup_teardown(damaged_manifests_are_refused, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
