/* Tests of the schedules: hand-worked timesteps, then every stored array of CompVis' own code. */
#include "sample/schedule.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "golden_npy.h"

enum { T = 1000 };

/* The parameters of the reference schedules, by file name. */
static const struct named_schedule {
    const char *name;
    ldm_beta_schedule kind;
    double start, end;
} schedules[] = {
    {"linear_default", LDM_BETA_LINEAR, 1e-4, 2e-2},
    {"linear_sd", LDM_BETA_LINEAR, 0.00085, 0.012},
    {"linear", LDM_BETA_LINEAR, 0.0015, 0.0195},
    {"cosine", LDM_BETA_COSINE, 1e-4, 2e-2},
    {"sqrt_linear", LDM_BETA_SQRT_LINEAR, 1e-4, 2e-2},
    {"sqrt", LDM_BETA_SQRT, 1e-4, 2e-2},
};

static void make_alphas(size_t which, double *betas, float *alphas)
{
    ldm_betas(schedules[which].kind, T, schedules[which].start, schedules[which].end, 8e-3, betas);
    ldm_alphas_cumprod(betas, T, NULL, alphas);
}

static void ffhq_alphas(float *alphas)
{
    double betas[T];

    make_alphas(2, betas, alphas);
}

static void check_steps(ldm_spacing s, int steps, int count, int dropped, int first, int second,
                        int last)
{
    ldm_ddim_schedule d;
    ldm_error err = {0};
    float alphas[T];
    int i;

    ffhq_alphas(alphas);
    if (ldm_ddim_schedule_create(alphas, T, s, steps, 0, &d, &err))
        fail_msg("%s %d: %s", ldm_spacing_name(s), steps, err.msg);
    assert_int_equal(d.count, count);
    assert_int_equal(d.dropped, dropped);
    assert_int_equal(d.timesteps[0], first);
    if (count > 1)
        assert_int_equal(d.timesteps[1], second);
    assert_int_equal(d.timesteps[count - 1], last);
    for (i = 1; i < count; i++)
        assert_true(d.timesteps[i] > d.timesteps[i - 1] ||
                    (s == LDM_SPACING_QUAD && d.timesteps[i] == d.timesteps[i - 1]));
    ldm_ddim_schedule_free(&d);
}

static void test_compvis_timesteps(void **state)
{
    (void)state;
    check_steps(LDM_SPACING_COMPVIS, 50, 50, 0, 1, 21, 981);
    check_steps(LDM_SPACING_COMPVIS, 150, 167, 0, 1, 7, 997);
    check_steps(LDM_SPACING_COMPVIS, 7, 8, 0, 1, 143, 995);
    check_steps(LDM_SPACING_COMPVIS, 1, 1, 0, 1, 0, 1);
    /* The original raises IndexError at these: the timestep 1000 is left out. */
    check_steps(LDM_SPACING_COMPVIS, 37, 37, 1, 1, 28, 973);
    check_steps(LDM_SPACING_COMPVIS, 3, 3, 1, 1, 334, 667);
    check_steps(LDM_SPACING_COMPVIS, 1000, 999, 1, 1, 2, 999);
    check_steps(LDM_SPACING_QUAD, 50, 50, 0, 1, 1, 801);
    check_steps(LDM_SPACING_QUAD, 10, 10, 0, 1, 10, 801);
}

/* The steps for which the original raises, from running it on all 1000 of them. */
static void test_compvis_dropped(void **state)
{
    ldm_ddim_schedule d;
    float alphas[T];
    int s;

    (void)state;
    ffhq_alphas(alphas);
    for (s = 1; s <= T; s++) {
        const int raises = s == 3 || s == 9 || s == 27 || s == 36 || s == 37 ||
                           (s >= 101 && s <= 111) || (s >= 251 && s <= 333) || s >= 501;

        assert_int_equal(ldm_ddim_schedule_create(alphas, T, LDM_SPACING_COMPVIS, s, 0, &d, NULL),
                         LDM_OK);
        assert_int_equal(d.dropped, raises);
        assert_true(d.timesteps[d.count - 1] < T);
        ldm_ddim_schedule_free(&d);
    }
}

/* Table 2 of "Common diffusion noise schedules and sample steps are flawed", T = 1000, S = 10, one
 * less than there because it counts from 1. */
static void test_paper_timesteps(void **state)
{
    static const int leading[] = {0, 100, 200, 300, 400, 500, 600, 700, 800, 900};
    static const int linspace[] = {0, 111, 222, 333, 444, 555, 666, 777, 888, 999};
    static const int trailing[] = {99, 199, 299, 399, 499, 599, 699, 799, 899, 999};
    static const int *const want[] = {leading, trailing, linspace};
    ldm_ddim_schedule d;
    float alphas[T];
    int s, i;

    (void)state;
    ffhq_alphas(alphas);
    for (s = 0; s < 3; s++) {
        assert_int_equal(ldm_ddim_schedule_create(alphas, T, (ldm_spacing)(LDM_SPACING_LEADING + s),
                                                  10, 0, &d, NULL),
                         LDM_OK);
        assert_int_equal(d.count, 10);
        for (i = 0; i < 10; i++)
            assert_int_equal(d.timesteps[i], want[s][i]);
        assert_true(d.alphas_prev[0] == 1); /* clean data */
        ldm_ddim_schedule_free(&d);
    }
    check_steps(LDM_SPACING_LEADING, 150, 150, 0, 0, 6, 894);
    check_steps(LDM_SPACING_TRAILING, 150, 150, 0, 6, 12, 999);
    check_steps(LDM_SPACING_LINSPACE, 1, 1, 0, 0, 0, 0);
    check_steps(LDM_SPACING_TRAILING, 1, 1, 0, 999, 0, 999);
    check_steps(LDM_SPACING_TRAILING, 16, 16, 0, 61, 124, 999); /* 62.5 rounds to 62 */
}

/* Exactly as many as asked for, all different and in range, whatever the number. */
static void test_paper_counts(void **state)
{
    float alphas[T];
    int s, spacing, i;

    (void)state;
    ffhq_alphas(alphas);
    for (spacing = LDM_SPACING_LEADING; spacing <= LDM_SPACING_LINSPACE; spacing++)
        for (s = 1; s <= T; s++) {
            ldm_ddim_schedule d;

            assert_int_equal(
                ldm_ddim_schedule_create(alphas, T, (ldm_spacing)spacing, s, 1, &d, NULL), LDM_OK);
            assert_true(d.count == s && d.dropped == 0);
            assert_true(d.timesteps[0] >= 0 && d.timesteps[s - 1] < T);
            for (i = 1; i < s; i++)
                assert_true(d.timesteps[i] > d.timesteps[i - 1]);
            for (i = 0; i < s; i++)
                assert_true(isfinite(d.sigmas[i]));
            ldm_ddim_schedule_free(&d);
        }
}

static void test_wrong_requests(void **state)
{
    ldm_ddim_schedule d;
    ldm_beta_schedule b;
    ldm_error err = {0};
    ldm_spacing s;
    float alphas[T];

    (void)state;
    ffhq_alphas(alphas);
    assert_int_equal(ldm_ddim_schedule_create(alphas, T, LDM_SPACING_COMPVIS, 0, 0, &d, &err),
                     LDM_ERR_USAGE);
    assert_int_equal(ldm_ddim_schedule_create(alphas, T, LDM_SPACING_COMPVIS, 1001, 0, &d, &err),
                     LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "1 to 1000"));
    assert_int_equal(ldm_ddim_schedule_create(alphas, T, LDM_SPACING_COMPVIS, 10, -1, &d, &err),
                     LDM_ERR_USAGE);
    assert_int_equal(ldm_ddim_schedule_create(alphas, T, LDM_SPACING_COMPVIS, 10, NAN, &d, &err),
                     LDM_ERR_USAGE);
    /* A model of one timestep: CompVis' + 1 leaves nothing. */
    assert_int_equal(ldm_ddim_schedule_create(alphas, 1, LDM_SPACING_COMPVIS, 1, 0, &d, &err),
                     LDM_ERR_CONFIG);
    ldm_ddim_schedule_free(&d);
    alphas[7] = NAN;
    assert_int_equal(ldm_ddim_schedule_create(alphas, T, LDM_SPACING_COMPVIS, 10, 0, &d, &err),
                     LDM_ERR_RANGE);
    assert_non_null(strstr(err.msg, "alphas_cumprod[7]"));
    assert_int_equal(ldm_beta_schedule_parse("linnear", &b, &err), LDM_ERR_CONFIG);
    assert_int_equal(ldm_beta_schedule_parse("cosine", &b, &err), LDM_OK);
    assert_string_equal(ldm_beta_schedule_name(b), "cosine");
    assert_int_equal(ldm_spacing_parse("uniform?", &s, &err), LDM_ERR_USAGE);
    assert_int_equal(ldm_spacing_parse("trailing", &s, &err), LDM_OK);
    assert_string_equal(ldm_spacing_name(s), "trailing");
}

static void test_out_of_memory(void **state)
{
    ldm_ddim_schedule d;
    float alphas[T];
    unsigned long n;

    (void)state;
    ffhq_alphas(alphas);
    for (n = 1; n <= 2; n++) {
        ldm_alloc_fail_at(n);
        assert_int_equal(ldm_ddim_schedule_create(alphas, T, LDM_SPACING_QUAD, 10, 0, &d, NULL),
                         LDM_ERR_NOMEM);
        ldm_ddim_schedule_free(&d);
    }
    ldm_alloc_fail_at(0);
}

static void assert_close(double got, double want, double rel, const char *what, size_t i)
{
    if (!(fabs(got - want) <= rel * fabs(want)))
        fail_msg("%s, value %zu: %.17g, expected %.17g", what, i, got, want);
}

static void test_golden_betas(void **state)
{
    const char *folder = golden_schedules("betas, alphas_cumprod");
    double betas[T], *want;
    float alphas[T];
    char name[128];
    size_t k, i, n;

    (void)state;
    if (!folder)
        skip();
    for (k = 0; k < sizeof schedules / sizeof *schedules; k++) {
        make_alphas(k, betas, alphas);
        snprintf(name, sizeof name, "betas64_%s.npy", schedules[k].name);
        want = golden_read(folder, name, &n);
        assert_int_equal(n, T);
        for (i = 0; i < T; i++)
            assert_close(betas[i], want[i], 1e-12, name, i);
        ldm_free(want);
        snprintf(name, sizeof name, "betas_%s.npy", schedules[k].name);
        want = golden_read(folder, name, &n);
        for (i = 0; i < T; i++)
            assert_true((double)(float)betas[i] == want[i]);
        ldm_free(want);
        snprintf(name, sizeof name, "alphas_cumprod_%s.npy", schedules[k].name);
        want = golden_read(folder, name, &n);
        for (i = 0; i < T; i++)
            assert_true((double)alphas[i] == want[i]);
        ldm_free(want);
    }
}

/* SCHEDULE_DISCR_Sn_etaXpY.npy; rows timesteps, sigmas, alphas, alphas_prev. */
static void check_ddim_file(const char *folder, const char *file)
{
    const ldm_spacing spacing = strstr(file, "_quad_") ? LDM_SPACING_QUAD : LDM_SPACING_COMPVIS;
    const char *discr = strstr(file, spacing == LDM_SPACING_QUAD ? "_quad_" : "_uniform_");
    const char *eta_at = strstr(file, "_eta");
    const int steps = atoi(strstr(file, "_S") + 2);
    const double eta = atoi(eta_at + 4) + 0.1 * atoi(strchr(eta_at, 'p') + 1);
    double betas[T], *want;
    float alphas[T];
    ldm_ddim_schedule d;
    ldm_error err = {0};
    char path[512];
    size_t k, n, i, c;

    for (k = 0; k < sizeof schedules / sizeof *schedules; k++)
        if (strlen(schedules[k].name) == (size_t)(discr - file) &&
            !strncmp(file, schedules[k].name, (size_t)(discr - file)))
            break;
    assert_true(k < sizeof schedules / sizeof *schedules);
    make_alphas(k, betas, alphas);
    snprintf(path, sizeof path, "ddim/%s", file);
    want = golden_read(folder, path, &n);
    if (ldm_ddim_schedule_create(alphas, T, spacing, steps, eta, &d, &err))
        fail_msg("%s: %s", file, err.msg);
    c = (size_t)d.count;
    assert_int_equal(n, 4 * c);
    for (i = 0; i < c; i++) {
        assert_true((double)d.timesteps[i] == want[i]);
        assert_close(d.sigmas[i], want[c + i], 1e-7, file, i);
        assert_close(d.alphas[i], want[2 * c + i], 1e-12, file, i);
        assert_close(d.alphas_prev[i], want[3 * c + i], 1e-12, file, i);
    }
    ldm_ddim_schedule_free(&d);
    ldm_free(want);
}

static void test_golden_ddim(void **state)
{
    const char *folder = golden_schedules("ddim");
    char path[8192];
    struct dirent *e;
    int files = 0;
    DIR *d;

    (void)state;
    if (!folder)
        skip();
    snprintf(path, sizeof path, "%s/ddim", folder);
    d = opendir(path);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL)
        if (strstr(e->d_name, ".npy")) {
            check_ddim_file(folder, e->d_name);
            files++;
        }
    closedir(d);
    print_message("ddim: %d files agree\n", files);
    assert_true(files > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compvis_timesteps), cmocka_unit_test(test_compvis_dropped),
        cmocka_unit_test(test_paper_timesteps),   cmocka_unit_test(test_paper_counts),
        cmocka_unit_test(test_wrong_requests),    cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_golden_betas),      cmocka_unit_test(test_golden_ddim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
