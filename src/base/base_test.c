/* SPDX-License-Identifier: MIT */
/* Tests of the base room: errors, arenas, strings, files, the thread team. */
#include <math.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/checked.h"
#include "base/cpuid.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/pool.h"
#include "base/probe.h"
#include "base/probe_impl.h"
#include "base/str.h"

static void error_wraps_and_flattens(void **state)
{
    ldm_error err;

    (void)state;
    assert_int_equal(ldm_error_at(&err, LDM_ERR_FORMAT, 17, "bad\nname"), LDM_ERR_FORMAT);
    ldm_error_wrap(&err, LDM_ERR_FORMAT, "reading %s", "x");
    assert_string_equal(err.msg, "reading x: bad?name");
    assert_int_equal(err.offset, 17);
    assert_int_equal(ldm_error_set(NULL, LDM_ERR_IO, "no record"), LDM_ERR_IO);
    assert_string_equal(ldm_status_name(LDM_ERR_IO), "ERR_IO");
}

static void checked_arithmetic_sees_overflow(void **state)
{
    uint64_t u = 5;
    size_t s;

    (void)state;
    assert_true(ldm_mul_u64(UINT64_MAX / 2, 3, &u));
    assert_int_equal(u, 5);
    assert_false(ldm_mul_u64(0, UINT64_MAX, &u));
    assert_true(ldm_add_u64(UINT64_MAX, 1, &u));
    assert_false(ldm_mul_size(1 << 20, 3, &s));
    assert_int_equal(s, 3 << 20);
}

static void arena_keeps_its_limit(void **state)
{
    ldm_arena *a = ldm_arena_create(1000);
    int i;

    (void)state;
    for (i = 0; i < 10; i++)
        assert_non_null(ldm_arena_alloc(a, 1, 64));
    assert_null(ldm_arena_alloc(a, 1, 512));
    assert_true(ldm_arena_over_limit(a));
    assert_null(ldm_arena_alloc(a, SIZE_MAX, 16));
    assert_string_equal(ldm_arena_printf(a, "%d-%s", 4, "x"), "4-x");
    ldm_arena_free(a);
}

static void failing_allocation_is_reported(void **state)
{
    size_t cap = 0;
    int *items = NULL;

    (void)state;
    ldm_alloc_fail_at(1);
    assert_false(ldm_grow(&items, &cap, 3, sizeof *items));
    assert_int_equal(cap, 0);
    assert_true(ldm_grow(&items, &cap, 3, sizeof *items));
    assert_true(cap >= 3);
    ldm_alloc_fail_at(0);
    ldm_free(items);
}

static void reals_have_the_fewest_digits(void **state)
{
    static const double values[] = {0.3, 50, 0, -0.1, 1e-5, 1.0 / 3, 1e300, 123456789.125};
    json_t *root =
        json_pack("{s:f, s:f, s:s}", "a", 0.3, "b", 1.0, "c", "0.29999999999999999\\\"0.1");
    ldm_str s = {0};
    char buf[LDM_REAL_TEXT];

    (void)state;
    assert_string_equal(ldm_format_real(0.3, buf), "0.3");
    assert_string_equal(ldm_format_real(50, buf), "50");
    assert_string_equal(ldm_format_real(0.1 + 0.2, buf), "0.30000000000000004");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_true(strtod(ldm_format_real(values[i], buf), NULL) == values[i]);
    assert_true(ldm_json_append(root, JSON_COMPACT | JSON_SORT_KEYS, &s)); /* strings stay */
    assert_string_equal(s.data, "{\"a\":0.3,\"b\":1.0,\"c\":\"0.29999999999999999\\\\\\\"0.1\"}");
    ldm_str_free(&s);
    json_decref(root);
}

static void texts_come_from_pipes(void **state)
{
    char *text, name[32];
    int ends[2];
    size_t size;
    ldm_error err;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "a\nb", 3), 3);
    close(ends[1]);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    assert_int_equal(ldm_file_read(name, 100, &text, &size, &err), LDM_ERR_IO);
    assert_non_null(strstr(err.msg, "is a pipe, expected a regular file"));
    assert_int_equal(ldm_text_read(name, 100, &text, &size, &err), LDM_OK);
    assert_int_equal(size, 3);
    assert_string_equal(text, "a\nb");
    ldm_free(text);
    close(ends[0]);
    assert_int_equal(ldm_text_read("/dev/zero", 100, &text, &size, &err), LDM_ERR_LIMIT);
    assert_int_equal(ldm_text_read("/", 100, &text, &size, &err), LDM_ERR_IO);
    assert_non_null(strstr(err.msg, "/ is a folder"));
}

static void numbers_for_people(void **state)
{
    char buf[32];

    (void)state;
    assert_string_equal(ldm_format_count(0, buf), "0");
    assert_string_equal(ldm_format_count(274056163, buf), "274,056,163");
    assert_string_equal(ldm_format_bytes(999, buf), "999 B");
    assert_string_equal(ldm_format_bytes(1317563780, buf), "1.32 GB");
    assert_int_equal(ldm_edit_distance("steps", "stpes", 3), 1);
    assert_int_equal(ldm_edit_distance("eta", "threads", 2), 3);
    assert_int_equal(ldm_edit_limit("ch"), 0);
    assert_int_equal(ldm_edit_limit("foo"), 1);
    assert_int_equal(ldm_edit_limit("temperature"), 3);
    ldm_lower(buf, 5, "LDM_Model");
    assert_string_equal(buf, "ldm_");
    ldm_lower(buf, sizeof buf, "Aé\xc3\x89Z");
    assert_string_equal(buf, "aé\xc3\x89z");
}

static void explanations_keep_to_80_columns(void **state)
{
    ldm_str s = {0};

    (void)state;
    ldm_str_explain(&s, "two lines\nas they are", 1, 3);
    assert_string_equal(s.data, "  two lines\n   as they are\n");
    ldm_str_free(&s);
    ldm_str_explain(&s, "a line that is wide\nand its rest", 0, 64);
    assert_int_equal(strspn(s.data, " "), 64);
    assert_non_null(strstr(s.data, "  a line that is\n   "));
    assert_non_null(strstr(s.data, "  wide and its\n   "));
    assert_non_null(strstr(s.data, "  rest\n"));
    ldm_str_free(&s);
}

static void output_appears_only_when_committed(void **state)
{
    char dir[] = "/tmp/ldm-base-XXXXXX", path[64], pipe[64];
    ldm_outfile out;
    struct stat is;
    ldm_error err;
    char *data;
    size_t size;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/out", dir);
    assert_int_equal(ldm_outfile_open(path, &out, &err), LDM_OK);
    fputs("hello", out.stream);
    assert_int_not_equal(access(path, F_OK), 0);
    ldm_outfile_abort(&out);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(ldm_file_write(path, "hello", 5, &err), LDM_OK);
    assert_int_equal(ldm_file_read(path, 100, &data, &size, &err), LDM_OK);
    assert_int_equal(size, 5);
    assert_string_equal(data, "hello");
    ldm_free(data);
    assert_int_equal(ldm_file_read(path, 4, &data, &size, &err), LDM_ERR_LIMIT);
    assert_int_equal(ldm_file_write(dir, "x", 1, &err), LDM_ERR_IO);
    snprintf(pipe, sizeof pipe, "%s/pipe", dir);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(ldm_file_write(pipe, "x", 1, &err), LDM_ERR_IO);
    assert_int_equal(lstat(pipe, &is), 0);
    assert_true(S_ISFIFO(is.st_mode));
    assert_int_equal(unlink(pipe), 0);
    assert_int_equal(symlink(path, pipe), 0);
    assert_int_equal(ldm_file_write(pipe, "x", 1, &err), LDM_ERR_IO);
    assert_int_equal(unlink(pipe), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0); /* no temporary file is left */
}

static void map_refuses_what_is_no_file(void **state)
{
    ldm_map m;
    ldm_error err;

    (void)state;
    assert_int_equal(ldm_map_open("/tmp", &m, &err), LDM_ERR_IO);
    assert_non_null(strstr(err.msg, "/tmp is a folder"));
    assert_int_equal(ldm_map_open("/nonexistent/x", &m, &err), LDM_ERR_IO);
    assert_int_equal(ldm_map_open("/dev/null", &m, &err), LDM_ERR_IO);
    ldm_map_close(&m);
}

static void count_up(void *arg, size_t index, int worker)
{
    unsigned *seen = arg;

    (void)worker;
    seen[index]++;
}

static void pool_runs_each_index_once(void **state)
{
    enum { N = 257 };
    int threads, round;
    size_t i;

    (void)state;
    for (threads = 1; threads <= 5; threads++) {
        unsigned seen[N] = {0};
        ldm_pool *p;
        ldm_error err;

        assert_int_equal(ldm_pool_create(threads, &p, &err), LDM_OK);
        assert_int_equal(ldm_pool_threads(p), threads);
        for (round = 0; round < 100; round++) {
            ldm_pool_run(p, N, count_up, seen);
            ldm_pool_run(p, 0, count_up, seen);
        }
        for (i = 0; i < N; i++)
            assert_int_equal(seen[i], 100);
        ldm_pool_free(p);
    }
}

typedef struct giving_up {
    atomic_int done;
    int asked, at;
} giving_up;

static bool at_the_nth(void *ctx)
{
    giving_up *g = ctx;

    return ++g->asked == g->at;
}

static void rest(void *arg, size_t index, int worker)
{
    giving_up *g = arg;
    const struct timespec ms = {0, 1000000};

    (void)index;
    (void)worker;
    nanosleep(&ms, NULL);
    atomic_fetch_add(&g->done, 1);
}

/* Work of seconds ends when the caller is told so, and the pool is as it was afterwards. */
static void pool_gives_up(void **state)
{
    enum { LONG = 4000, SHORT = 5 };

    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        giving_up g = {.at = 3};
        ldm_pool *p;

        assert_int_equal(ldm_pool_create(threads, &p, NULL), LDM_OK);
        assert_false(ldm_pool_given_up(p));
        ldm_pool_watch(p, at_the_nth, &g);
        ldm_pool_run(p, LONG, rest, &g);
        assert_true(ldm_pool_given_up(p));
        assert_int_equal(g.asked, 3); /* and never again */
        assert_in_range(atomic_load(&g.done), 1, LONG - 1);
        atomic_store(&g.done, 0);
        ldm_pool_run(p, SHORT, rest, &g);
        assert_int_equal(atomic_load(&g.done), 0);
        ldm_pool_watch(p, NULL, NULL);
        assert_false(ldm_pool_given_up(p));
        ldm_pool_run(p, SHORT, rest, &g);
        assert_int_equal(atomic_load(&g.done), SHORT);
        ldm_pool_free(p);
    }
}

static void isa_cap_lowers_only(void **state)
{
    ldm_cpu cpu;
    ldm_error err;
    ldm_isa best;

    (void)state;
    ldm_cpu_detect(&cpu);
    best = cpu.isa;
    assert_int_equal(ldm_cpu_cap(&cpu, "avx512", &err), LDM_OK);
    assert_int_equal(cpu.isa, best);
    assert_int_equal(ldm_cpu_cap(&cpu, "c", &err), LDM_OK);
    assert_int_equal(cpu.isa, LDM_ISA_C);
    assert_int_equal(ldm_cpu_cap(&cpu, "mmx", &err), LDM_ERR_USAGE);
}

/* Every lane goes from v towards 1: after r rounds v * 0.999^r + 1 - 0.999^r. */
static void check_fma(ldm_probe_fma_fn *fn, int lanes, int of_a_start)
{
    const double left = 0.999 * 0.999 * 0.999;
    double want = 0;
    int i;

    for (i = 0; i < lanes; i++)
        want += (3.0 + i / of_a_start) * left + 1 - left;
    assert_true(fabs(fn(3, 3.0f) / want - 1) < 1e-5);
}

static void the_probes_compute_what_they_count(void **state)
{
    ldm_error err;
    ldm_pool *pool;
    ldm_cpu cpu;
    double bytes;
    int isa;

    (void)state;
    ldm_cpu_detect(&cpu);
    check_fma(ldm_probe_fma_c, LDM_PROBE_LANES_C, 1);
#if defined(__x86_64__)
    if (cpu.isa >= LDM_ISA_AVX2)
        check_fma(ldm_probe_fma_avx2, LDM_PROBE_LANES_AVX2, 8);
    if (cpu.isa >= LDM_ISA_AVX512)
        check_fma(ldm_probe_fma_avx512, LDM_PROBE_LANES_AVX512, 16);
#endif
    assert_int_equal(ldm_pool_create(2, &pool, &err), LDM_OK);
    for (isa = LDM_ISA_C; isa <= (int)cpu.isa; isa++)
        assert_true(ldm_probe_flops((ldm_isa)isa, pool) > 1e6);
    /* A small block here: cli_bench reads one as large as the machine asks for. */
    assert_int_equal(ldm_probe_read(pool, (size_t)16 << 20, &bytes, &err), LDM_OK);
    assert_true(bytes > 1e6);
    ldm_alloc_fail_at(1);
    assert_int_equal(ldm_probe_bandwidth(pool, &bytes, &err), LDM_ERR_NOMEM);
    ldm_alloc_fail_at(0);
    ldm_pool_free(pool);
}

/* What reaches a terminal moves no cursor and turns no text, whatever a name in a file holds. */
static void parts_of_texts_are_removed(void **state)
{
    char text[] = "a/b/x: a/b/a/y";

    (void)state;
    ldm_remove_all(text, "");
    assert_string_equal(text, "a/b/x: a/b/a/y");
    ldm_remove_all(text, "a/b/");
    assert_string_equal(text, "x: a/y");
    ldm_remove_all(text, "x: a/y");
    assert_string_equal(text, "");
}

static void texts_are_flattened(void **state)
{
    static const char *const cases[][2] = {
        {"plain \xc3\xa9 \xe2\x82\xac", "plain \xc3\xa9 \xe2\x82\xac"},
        {"a\x1b[31m\nb", "a?[31m?b"},
        {"a\xc2\x9b"
         "31mb",
         "a??31mb"},
        {"a\x9b"
         "b\xff",
         "a?b?"},
        {"a\xe2\x80\xae"
         "b\xe2\x81\xa6",
         "a???b???"},
    };
    char text[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "%s", cases[i][0]);
        ldm_flatten(text);
        assert_string_equal(text, cases[i][1]);
    }
}

static void long_texts_are_cut(void **state)
{
    static const char *const cases[][2] = {
        {"abcd", "abcd"}, {"abcde", "abcd..."}, {"", ""}, {"abc\xc3\xa9", "abc\xc3\xa9"},
        {"a\nb", "a?b"},  {"ab\xff", "ab..."},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ldm_str s = {0};

        ldm_str_puts(&s, "> ");
        ldm_str_put_short(&s, cases[i][0], 4);
        assert_memory_equal(s.data, "> ", 2);
        assert_string_equal(s.data + 2, cases[i][1]);
        ldm_str_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_texts_are_removed),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(texts_are_flattened),
        cmocka_unit_test(error_wraps_and_flattens),
        cmocka_unit_test(checked_arithmetic_sees_overflow),
        cmocka_unit_test(arena_keeps_its_limit),
        cmocka_unit_test(failing_allocation_is_reported),
        cmocka_unit_test(numbers_for_people),
        cmocka_unit_test(explanations_keep_to_80_columns),
        cmocka_unit_test(reals_have_the_fewest_digits),
        cmocka_unit_test(texts_come_from_pipes),
        cmocka_unit_test(output_appears_only_when_committed),
        cmocka_unit_test(map_refuses_what_is_no_file),
        cmocka_unit_test(pool_runs_each_index_once),
        cmocka_unit_test(pool_gives_up),
        cmocka_unit_test(isa_cap_lowers_only),
        cmocka_unit_test(the_probes_compute_what_they_count),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
