/* SPDX-License-Identifier: MIT */
/* The reference arrays of this room's tests; see golden_npy.h. */
#include "golden_npy.h"

#include <dirent.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"

const char *golden_schedules(const char *case_name)
{
    static char folder[4096];
    const char *root = getenv("LDM_GOLDEN");

    snprintf(folder, sizeof folder, "%s/schedules", root && *root ? root : "../shared/golden");
    if (ldm_is_dir(folder)) {
        print_message("%s: compared with %s\n", case_name, folder);
        return folder;
    }
    print_message("skipped: %s (no folder %s)\n", case_name, folder);
    return NULL;
}

static double element(const char *p, const char *descr)
{
    double d;
    float f;
    int64_t i;

    if (!strcmp(descr, "<f8")) {
        memcpy(&d, p, sizeof d);
        return d;
    }
    if (!strcmp(descr, "<f4")) {
        memcpy(&f, p, sizeof f);
        return (double)f;
    }
    assert_string_equal(descr, "<i8");
    memcpy(&i, p, sizeof i);
    return (double)i;
}

double *golden_read(const char *folder, const char *name, size_t *count)
{
    char path[8192], descr[4] = "", *bytes;
    const char *at;
    size_t size, header, width, i;
    ldm_error err = {0};
    double *out;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (ldm_file_read(path, (size_t)1 << 24, &bytes, &size, &err))
        fail_msg("%s", err.msg);
    assert_true(size > 10 && !memcmp(bytes, "\x93NUMPY\x01", 7));
    header = 10 + ((unsigned char)bytes[8] | (size_t)(unsigned char)bytes[9] << 8);
    assert_true(header <= size);
    at = strstr(bytes + 10, "'descr': '");
    assert_non_null(at);
    memcpy(descr, at + 10, 3);
    width = descr[2] == '4' ? 4 : 8;
    *count = (size - header) / width;
    out = ldm_calloc(*count + 1, sizeof *out);
    assert_non_null(out);
    for (i = 0; i < *count; i++)
        out[i] = element(bytes + header + i * width, descr);
    ldm_free(bytes);
    return out;
}

void golden_each(const char *part, void (*check)(const char *folder, const char *file))
{
    const char *folder = golden_schedules(part);
    char path[8192];
    struct dirent *e;
    int files = 0;
    DIR *d;

    if (!folder)
        skip();
    snprintf(path, sizeof path, "%s/%s", folder, part);
    d = opendir(path);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL)
        if (strstr(e->d_name, ".npy")) {
            check(folder, e->d_name);
            files++;
        }
    closedir(d);
    print_message("%s: %d files agree\n", part, files);
    assert_true(files > 0);
}

const golden_schedule golden_schedule_list[GOLDEN_SCHEDULES] = {
    {"linear_default", LDM_BETA_LINEAR, 1e-4, 2e-2},
    {"linear_sd", LDM_BETA_LINEAR, 0.00085, 0.012},
    {"linear", LDM_BETA_LINEAR, 0.0015, 0.0195},
    {"cosine", LDM_BETA_COSINE, 1e-4, 2e-2},
    {"sqrt_linear", LDM_BETA_SQRT_LINEAR, 1e-4, 2e-2},
    {"sqrt", LDM_BETA_SQRT, 1e-4, 2e-2},
};

void golden_schedule_compute(const golden_schedule *s, double *betas, float *alphas)
{
    ldm_betas(s->kind, GOLDEN_TIMESTEPS, s->start, s->end, 8e-3, betas);
    ldm_alphas_cumprod(betas, GOLDEN_TIMESTEPS, NULL, alphas);
}
