/* SPDX-License-Identifier: MIT */
/* Comparing ldm with stored outputs of the original code, through the public interface; see
 * golden.h. */
#include "golden.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_LEN = 1024, TIMES = 5, SD_TIMES = 6 };

static const double eps_times[TIMES] = {0, 1, 250, 500, 999};
static const double sd_times[SD_TIMES] = {0, 1, 250, 500, 981, 999};

/* The bars of a correct float32 implementation, with Winograd's algorithm ("f32") or without; seen
 * on the small cases: at most 1.8e-6. */
const golden_variant golden_variants[GOLDEN_VARIANTS] = {
    {"best isa, f32", NULL, "f32", 2e-5, 1e-4, 2},
    {"best isa, exact", NULL, "exact", 2e-5, 1e-4, 2},
    {"avx2, f32", "avx2", "f32", 2e-5, 1e-4, 1},
    {"avx2, exact", "avx2", "exact", 2e-5, 1e-4, 1},
    {"c, f32", "c", "f32", 2e-5, 1e-4, 0},
    {"c, exact", "c", "exact", 2e-5, 1e-4, 0},
};

static double worst;
static char worst_name[256];

bool golden_slow_build(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

static bool best_is(const char *isa)
{
    static char best[16];
    plain_options opt;
    ldm_error err;
    ldm_model *m;

    if (!*best) {
        plain_options_init(&opt);
        if (plain_model_open(&opt, &m, &err)) /* the shipped model */
            fail_msg("%s", err.msg);
        snprintf(best, sizeof best, "%s", ldm_model_get_info(m)->isa);
        ldm_model_close(m);
    }
    return !strcmp(best, isa);
}

bool golden_variant_runs(int k)
{
    const char *isa = golden_variants[k].max_isa;

    return golden_slow_build() ? k < 2 : !isa || strcmp(isa, "avx2") || !best_is(isa);
}

bool golden_has(const char *folder, const char *name)
{
    char path[PATH_LEN];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, R_OK) == 0;
}

const char *golden_folder(const char *case_name)
{
    static char path[PATH_LEN];
    const char *root = getenv("LDM_GOLDEN");

    snprintf(path, sizeof path, "%s/%s", root && *root ? root : "../shared/golden", case_name);
    if (access(path, R_OK)) {
        print_message("skipped: no folder %s (set LDM_GOLDEN)\n", path);
        skip();
    }
    return path;
}

ldm_array golden_load(const char *folder, const char *fmt, ...)
{
    char path[PATH_LEN];
    int used = snprintf(path, sizeof path, "%s/", folder);
    ldm_error err = {.msg = ""};
    ldm_array a;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(path + used, sizeof path - (size_t)used, fmt, ap);
    va_end(ap);
    if (ldm_array_read(path, &a, &err))
        fail_msg("%s", err.msg);
    return a;
}

ldm_model *golden_open(const char *ckpt_dir, const char *ckpt, const char *config_dir,
                       plain_ema ema, const golden_variant *v)
{
    char ckpt_path[PATH_LEN], config_path[PATH_LEN];
    const char *configs[] = {config_path};
    ldm_error err = {.msg = ""};
    plain_options opt;
    ldm_model *m;

    snprintf(ckpt_path, sizeof ckpt_path, "%s%s%s", ckpt_dir ? ckpt_dir : "", ckpt_dir ? "/" : "",
             ckpt);
    snprintf(config_path, sizeof config_path, "%s/config.yaml", config_dir);
    plain_options_init(&opt);
    opt.ckpt = ckpt_path;
    opt.configs = configs;
    opt.config_count = 1;
    opt.ema = ema;
    opt.max_isa = v->max_isa;
    opt.precision = v->precision;
    if (plain_model_open(&opt, &m, &err))
        fail_msg("%s", err.msg);
    return m;
}

double golden_distance(const float *a, const float *b, uint64_t numel)
{
    double diff = 0, norm = 0;
    uint64_t i;

    for (i = 0; i < numel; i++) {
        diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(diff / norm);
}

void golden_near(const char *what, const float *got, const float *want, uint64_t numel, double bar)
{
    double d = golden_distance(got, want, numel);

    if (!(d <= bar)) /* NaN too */
        fail_msg("%s: relative distance %.2e, expected at most %.0e", what, d, bar);
    if (d > worst) {
        worst = d;
        snprintf(worst_name, sizeof worst_name, "%s", what);
    }
}

void golden_report(const golden_variant *v, const char *what)
{
    print_message("ran: %s, %s: worst relative distance %.2e (%s)\n", what, v->name, worst,
                  worst_name);
    worst = 0;
}

ldm_array golden_eval(const ldm_model *m, const plain_eval *job)
{
    ldm_error err = {.msg = ""};
    ldm_array out;

    if (plain_eval_run(m, job, &out, &err))
        fail_msg("%s", err.msg);
    return out;
}

static ldm_array eval(const ldm_model *m, ldm_part part, const ldm_array *in)
{
    const plain_eval job = {.part = part, .in = in, .quantize = true};

    return golden_eval(m, &job);
}

void golden_eps_of(const ldm_model *m, const char *folder, plain_eval job, const char *reference,
                   double bar)
{
    ldm_array want = golden_load(folder, "%s.npy", reference);
    const uint64_t each = job.in->numel;
    uint64_t i;

    assert_true(want.shape[0] == TIMES || want.shape[0] == SD_TIMES);
    assert_int_equal(want.numel, want.shape[0] * each);
    job.part = LDM_PART_UNET;
    for (i = 0; i < want.shape[0]; i++) {
        ldm_array got;
        char what[128];

        job.t = want.shape[0] == TIMES ? eps_times[i] : sd_times[i];
        got = golden_eval(m, &job);
        assert_int_equal(got.numel, each);
        snprintf(what, sizeof what, "%s at t = %g", reference, job.t);
        golden_near(what, got.data, want.data + i * each, each, bar);
        ldm_array_free(&got);
    }
    ldm_array_free(&want);
}

void golden_eps(const ldm_model *m, const char *folder, const char *input, const char *reference,
                double bar)
{
    ldm_array x = golden_load(folder, "%s.npy", input);
    const plain_eval job = {.in = &x};

    golden_eps_of(m, folder, job, reference, bar);
    ldm_array_free(&x);
}

static bool is_listed(const char *name, const char *const *list)
{
    for (; list && *list; list++) {
        if (strcmp(name, *list) == 0)
            return true;
    }
    return false;
}

/* The files of `what` against those in dir, which are removed. */
static int compare_dumps(const char *dir, const char *what, const char *const *but, double bar)
{
    char path[PATH_LEN];
    struct dirent *e;
    int count = 0;
    DIR *d = opendir(what);

    assert_non_null(d);
    while ((e = readdir(d))) {
        ldm_array want, got;

        if (!strstr(e->d_name, ".npy") || is_listed(e->d_name, but))
            continue;
        want = golden_load(what, "%s", e->d_name);
        got = golden_load(dir, "%s", e->d_name);
        assert_int_equal(got.ndim, want.ndim);
        assert_memory_equal(got.shape, want.shape, sizeof *got.shape * (size_t)got.ndim);
        golden_near(e->d_name, got.data, want.data, want.numel, bar);
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        assert_int_equal(unlink(path), 0);
        ldm_array_free(&want);
        ldm_array_free(&got);
        count++;
    }
    closedir(d);
    return count;
}

/* What is left in dir begins with `more`. */
static void remove_dumps(const char *dir, const char *more)
{
    char path[PATH_LEN];
    struct dirent *e;
    DIR *d = opendir(dir);

    assert_non_null(d);
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        if (!*more || strncmp(e->d_name, more, strlen(more)))
            fail_msg("%s was dumped; there is no reference for it", e->d_name);
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        assert_int_equal(unlink(path), 0);
    }
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

int golden_dumps(const ldm_model *m, const char *folder, const char *what, plain_eval job,
                 const char *const *but, const char *more, double bar)
{
    char dir[] = "/tmp/ldm_dumps_XXXXXX", path[PATH_LEN];
    ldm_array out;
    int count;

    assert_non_null(mkdtemp(dir));
    job.dump_dir = dir;
    out = golden_eval(m, &job);
    snprintf(path, sizeof path, "%s/%s", folder, what);
    count = compare_dumps(dir, path, but, bar);
    remove_dumps(dir, more);
    ldm_array_free(&out);
    return count;
}

/* custom_to_pil of the original: clamp, (x + 1) / 2, truncation of 255 times that. */
static int to_byte(float x)
{
    x = x < -1 ? -1 : x > 1 ? 1 : x;
    return (int)(255.0f * ((x + 1.0f) / 2.0f));
}

/* At least 99.5 % of the bytes equal, none off by more than 2. */
static void bytes_near(const char *name, uint64_t differ, int largest, uint64_t numel)
{
    if (differ * 200 > numel || largest > 2)
        fail_msg("%s_u8: %llu of %llu bytes differ, by up to %d", name, (unsigned long long)differ,
                 (unsigned long long)numel, largest);
}

static void compare_bytes(const char *name, const ldm_array *image, const ldm_array *u8)
{
    uint64_t h = image->shape[2], w = image->shape[3], hw = h * w, i, differ = 0;
    int largest = 0;

    assert_int_equal(u8->numel, image->numel);
    for (i = 0; i < u8->numel; i++) {
        uint64_t n = i / (3 * hw), pixel = i / 3 % hw, c = i % 3;
        int d = abs(to_byte(image->data[(n * 3 + c) * hw + pixel]) - (int)u8->data[i]);

        differ += d > 0;
        largest = d > largest ? d : largest;
    }
    bytes_near(name, differ, largest, u8->numel);
}

static ldm_array indices_of(const ldm_model *m, const ldm_array *z, double scale)
{
    ldm_array unscaled = *z, out;
    uint64_t i;

    unscaled.data = malloc(z->numel * sizeof *z->data);
    assert_non_null(unscaled.data);
    for (i = 0; i < z->numel; i++)
        unscaled.data[i] = (float)(1.0 / scale) * z->data[i];
    out = eval(m, LDM_PART_INDICES, &unscaled);
    free(unscaled.data);
    return out;
}

static bool has_codebook(const ldm_model *m)
{
    return ldm_model_get_info(m)->codebook;
}

/* Does a latent have the codebook indices of the reference? */
static bool same_indices(const ldm_model *m, const char *folder, const char *name,
                         const ldm_array *z, double scale)
{
    ldm_array a = indices_of(m, z, scale), b = golden_load(folder, "%s_indices.npy", name);
    bool same = a.numel == b.numel && memcmp(a.data, b.data, a.numel * sizeof *a.data) == 0;

    ldm_array_free(&a);
    ldm_array_free(&b);
    return same;
}

void golden_decode_files(const ldm_model *m, const char *folder, const char *name,
                         const char *image_file, const char *u8_file, double scale, float bar)
{
    ldm_array z = golden_load(folder, "%s_z.npy", name);
    ldm_array want = golden_load(folder, "%s", image_file);
    ldm_array u8 = golden_load(folder, "%s", u8_file);
    ldm_array image = eval(m, LDM_PART_DECODE, &z);
    uint64_t i;

    if (has_codebook(m) && !same_indices(m, folder, name, &z, scale))
        fail_msg("%s: other codebook indices for the stored latent", name);
    assert_int_equal(image.numel, want.numel);
    for (i = 0; i < want.numel; i++) {
        if (!(fabsf(image.data[i] - want.data[i]) <= bar))
            fail_msg("%s[%llu] is %g, expected %g", image_file, (unsigned long long)i,
                     (double)image.data[i], (double)want.data[i]);
    }
    compare_bytes(name, &image, &u8);
    ldm_array_free(&z);
    ldm_array_free(&want);
    ldm_array_free(&u8);
    ldm_array_free(&image);
}

void golden_decode(const ldm_model *m, const char *folder, const char *name, double scale)
{
    char image[128], u8[128];

    snprintf(image, sizeof image, "%s_image.npy", name);
    snprintf(u8, sizeof u8, "%s_u8.npy", name);
    golden_decode_files(m, folder, name, image, u8, scale, 1e-4f);
}

/* The run's own bytes: only where the sampled latent has the reference's indices. */
static void compare_rgb(const ldm_model *m, const char *folder, const char *name,
                        const ldm_array *z, const uint8_t *rgb, double scale)
{
    ldm_array u8;
    char file[128];
    uint64_t i, differ = 0;
    int largest = 0;

    snprintf(file, sizeof file, "%s_u8.npy", name);
    if (!golden_has(folder, file))
        return;
    u8 = golden_load(folder, "%s", file);
    if (!has_codebook(m) || same_indices(m, folder, name, z, scale)) {
        for (i = 0; i < u8.numel; i++) {
            int d = abs(rgb[i] - (int)u8.data[i]);

            differ += d > 0;
            largest = d > largest ? d : largest;
        }
        bytes_near(name, differ, largest, u8.numel);
    } else {
        print_message("skipped: the picture of %s (an index of the sampled latent flipped)\n",
                      name);
    }
    ldm_array_free(&u8);
}

ldm_array golden_sample(const ldm_model *m, const char *folder, const char *name, plain_job job,
                        double scale, double bar)
{
    ldm_array x_t = golden_load(folder, "x_T.npy"), want = golden_load(folder, "%s_z.npy", name);
    ldm_array z = golden_load(folder, "%s_z.npy", name); /* for its shape; overwritten */
    ldm_error err = {.msg = ""};
    uint8_t *rgb;
    ldm_run *run;
    int i;

    job.x_t = &x_t;
    if (plain_run_create(m, &job, &run, &err))
        fail_msg("%s: %s", name, err.msg);
    rgb = malloc(want.numel * 64 * 3); /* enough for f8 of one channel */
    assert_non_null(rgb);
    for (i = 0; (uint64_t)i < want.shape[0]; i++) {
        uint64_t chw = want.numel / want.shape[0];
        ldm_result res;
        bool have;

        if (plain_run_next(run, &res, &have, &err))
            fail_msg("%s: %s", name, err.msg);
        assert_true(have && res.index == i && res.status == LDM_OK);
        memcpy(z.data + (uint64_t)i * chw, res.latent, chw * sizeof *z.data);
        memcpy(rgb + (size_t)i * 3 * (size_t)res.width * (size_t)res.height, res.pixels,
               3 * (size_t)res.width * (size_t)res.height);
    }
    golden_near(name, z.data, want.data, want.numel, bar);
    compare_rgb(m, folder, name, &z, rgb, scale);
    free(rgb);
    ldm_run_free(run);
    ldm_array_free(&x_t);
    ldm_array_free(&want);
    return z;
}
