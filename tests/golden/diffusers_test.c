/* SPDX-License-Identifier: MIT */
/* Models of Hugging Face diffusers, read as they are: eps against diffusers' own.
 * tests/data/diffusers has what tools/golden/gen_diffusers.py found: tensors, JSON files, inputs,
 * eps. The weights are computed from the tensors' names, there and here. */
#include <math.h>
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
#include <ldm/convert.h>
#include <ldm/doctor.h>

enum { PATH_LEN = 512 };

static char root[] = "/tmp/ldm-diffusers.XXXXXX";

/* ---- weights --------------------------------------------------------------------------------- */

static void numbers(const char *name, size_t count, float *out)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    for (size_t i = 0; i < count; i++) {
        uint64_t z = h + i * 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        out[i] = (float)((double)(z >> 40) / 8388608 - 1);
    }
}

static size_t numel_of(const json_t *shape)
{
    size_t n = 1;

    for (size_t d = 0; d < json_array_size(shape); d++)
        n *= (size_t)json_integer_value(json_array_get(shape, d));
    return n;
}

static float *weights(const char *name, const json_t *shape)
{
    const size_t n = numel_of(shape);
    const size_t fan = n / (size_t)json_integer_value(json_array_get(shape, 0));
    const size_t len = strlen(name);
    float *x = malloc(n * sizeof *x), one;

    assert_non_null(x);
    numbers(name, n, x);
    one = strstr(name, "norm") && len > 6 && !strcmp(name + len - 6, "weight") ? 1 : 0;
    for (size_t i = 0; i < n; i++)
        x[i] = json_array_size(shape) > 1 ? x[i] * (float)sqrt(3.0 / (double)fan)
                                          : x[i] * 0.125f + one;
    return x;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void folder_of(char *path, const char *a, const char *b)
{
    snprintf(path, PATH_LEN, "%s/%s%s%s", root, a, *b ? "/" : "", b);
    mkdir(path, 0777);
}

static void write_json(const char *folder, const char *name, const json_t *j)
{
    char path[4 * PATH_LEN];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(json_dump_file(j, path, 0), 0);
}

/* The tensors whose number in the list is `rest` modulo `parts`. */
static void write_tensors(const char *path, const json_t *tensors, int parts, int rest)
{
    json_t *header = json_object(), *shape;
    const char *name;
    unsigned char length[8];
    size_t at = 0;
    char *text;
    FILE *f = fopen(path, "wb");
    int i = 0;

    assert_non_null(f);
    json_object_foreach((json_t *)(uintptr_t)tensors, name, shape)
    {
        const size_t bytes = 4 * numel_of(shape);

        if (i++ % parts != rest)
            continue;
        json_object_set_new(header, name,
                            json_pack("{s:s,s:O,s:[I,I]}", "dtype", "F32", "shape", shape,
                                      "data_offsets", (json_int_t)at, (json_int_t)(at + bytes)));
        at += bytes;
    }
    text = json_dumps(header, JSON_COMPACT);
    for (i = 0; i < 8; i++)
        length[i] = (unsigned char)(strlen(text) >> 8 * i);
    fwrite(length, 1, 8, f);
    fwrite(text, 1, strlen(text), f);
    i = 0;
    json_object_foreach((json_t *)(uintptr_t)tensors, name, shape)
    {
        float *x;

        if (i++ % parts != rest)
            continue;
        x = weights(name, shape);
        fwrite(x, 4, numel_of(shape), f);
        free(x);
    }
    assert_int_equal(fclose(f), 0);
    free(text);
    json_decref(header);
}

/* Weights in two files and an index, under the names of save_pretrained's variant "fp16". */
static void write_shards(const char *folder, const char *stem, const json_t *tensors)
{
    json_t *map = json_object(), *shape;
    const char *name;
    char path[3 * PATH_LEN];
    int i = 0;

    json_object_foreach((json_t *)(uintptr_t)tensors, name, shape)
    {
        snprintf(path, sizeof path, "%s.fp16-0000%d-of-00002.safetensors", stem, 1 + i++ % 2);
        json_object_set_new(map, name, json_string(path));
    }
    for (i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s.fp16-0000%d-of-00002.safetensors", folder, stem, 1 + i);
        write_tensors(path, tensors, 2, i);
    }
    map = json_pack("{s:o}", "weight_map", map);
    snprintf(path, sizeof path, "%s.safetensors.index.fp16.json", stem);
    write_json(folder, path, map);
    json_decref(map);
}

/* The folder of a case; its path in `folder`. */
static json_t *write_case(const char *name, const char *as, bool shards, char *folder)
{
    char path[PATH_LEN], file[2 * PATH_LEN];
    json_error_t where;
    json_t *j, *part, *index = json_pack("{s:s}", "_class_name", "Pipeline");
    const char *key, *stem;

    snprintf(path, sizeof path, "tests/data/diffusers/%s.json", name);
    j = json_load_file(path, 0, &where);
    if (!j)
        fail_msg("%s: %s", path, where.text);
    folder_of(folder, as, "");
    write_json(folder, "model_index.json", index);
    json_object_foreach(json_object_get(j, "parts"), key, part)
    {
        folder_of(path, as, key);
        write_json(path, "config.json", json_object_get(part, "config"));
        stem = strcmp(key, "bert") && strcmp(key, "text_encoder") ? "diffusion_pytorch_model"
                                                                  : "model";
        snprintf(file, sizeof file, "%s/%s.safetensors", path, stem);
        if (shards)
            write_shards(path, stem, json_object_get(part, "tensors"));
        else
            write_tensors(file, json_object_get(part, "tensors"), 1, 0);
    }
    folder_of(path, as, "scheduler");
    write_json(path, "scheduler_config.json", json_object_get(j, "scheduler"));
    json_decref(index);
    return j;
}

/* ---- eps ------------------------------------------------------------------------------------- */

static ldm_array input(const json_t *j, const char *name)
{
    const json_t *shape = json_object_get(j, name);
    ldm_array a = {.ndim = (int)json_array_size(shape), .numel = numel_of(shape)};

    for (int d = 0; d < a.ndim; d++)
        a.shape[d] = (uint64_t)json_integer_value(json_array_get(shape, (size_t)d));
    a.data = malloc((size_t)a.numel * sizeof *a.data);
    assert_non_null(a.data);
    numbers(name, (size_t)a.numel, a.data);
    for (uint64_t i = 0; i < a.numel; i++)
        a.data[i] *= 1.7f;
    return a;
}

static void need(ldm_status st, const ldm_error *err)
{
    if (st)
        fail_msg("%s", err->msg);
}

static ldm_model_options *options_of(const char *ckpt, const char *config)
{
    ldm_model_options *opt;
    ldm_error err = {.msg = ""};

    need(ldm_model_options_create(&opt, &err), &err);
    need(ldm_model_options_set(opt, "ckpt", ckpt, &err), &err);
    if (config)
        need(ldm_model_options_set(opt, "config", config, &err), &err);
    return opt;
}

static void eps_agrees(const ldm_model_options *opt, const json_t *j, const char *what)
{
    const json_t *want = json_object_get(json_object_get(j, "eps"), "values");
    ldm_array x = input(j, "x"), context = {0}, out;
    ldm_error err = {.msg = ""};
    ldm_eval_job *job;
    ldm_model *m;
    double worst = 0;

    need(ldm_model_open(opt, &m, &err), &err);
    need(ldm_eval_job_create(LDM_PART_UNET, &job, &err), &err);
    need(ldm_eval_job_set_real(job, "t", 500, &err), &err);
    need(ldm_eval_job_set_array(job, "in", &x, &err), &err);
    if (json_object_get(j, "context")) {
        context = input(j, "context");
        need(ldm_eval_job_set_array(job, "context", &context, &err), &err);
    }
    need(ldm_eval(m, job, &out, &err), &err);
    assert_int_equal(out.numel, json_array_size(want));
    for (size_t i = 0; i < out.numel; i++)
        worst = fmax(worst, fabs(out.data[i] - json_number_value(json_array_get(want, i))));
    if (!(worst <= 5e-5))
        fail_msg("%s: eps differs by %g", what, worst);
    ldm_eval_job_free(job);
    ldm_array_free(&out);
    ldm_model_close(m);
    free(x.data);
    free(context.data);
}

static const char *const names[] = {"vq", "kl", "sd1", "sd2", "text2im"};
enum { CASES = sizeof names / sizeof *names };

static void folders_give_their_eps(void **state)
{
    char folder[PATH_LEN];

    (void)state;
    for (int i = 0; i < 2 * CASES; i++) {
        const bool shards = i >= CASES;
        char as[64];
        json_t *j;
        ldm_model_options *opt;

        if (shards && i % CASES) /* once is enough */
            continue;
        snprintf(as, sizeof as, "%s%d", names[i % CASES], i);
        j = write_case(names[i % CASES], as, shards, folder);
        opt = options_of(folder, NULL);
        eps_agrees(opt, j, as);
        ldm_model_options_free(opt);
        json_decref(j);
    }
}

/* Converted, they are one file that gives the same. */
static void converted_folders_give_their_eps(void **state)
{
    char folder[PATH_LEN], out[PATH_LEN], yaml[PATH_LEN];
    ldm_error err = {.msg = ""};

    (void)state;
    for (int i = 0; i < CASES; i++) {
        ldm_model_options *opt, *other;
        char as[64], *report;
        json_t *j;

        snprintf(as, sizeof as, "%s-in", names[i]);
        j = write_case(names[i], as, false, folder);
        snprintf(out, sizeof out, "%s/%s.safetensors", root, names[i]);
        snprintf(yaml, sizeof yaml, "%s/%s.yaml", root, names[i]);
        opt = options_of(folder, NULL);
        need(ldm_convert(opt, out, 0, NULL, NULL, &report, &err), &err);
        assert_non_null(strstr(report, "equal bit by bit"));
        ldm_release(report);
        other = options_of(out, yaml);
        eps_agrees(other, j, out);
        ldm_model_options_free(opt);
        ldm_model_options_free(other);
        json_decref(j);
    }
}

/* The header of a safetensors file. */
static json_t *header_of(const char *path)
{
    unsigned char length[8];
    size_t n = 0;
    json_t *j;
    char *text;
    FILE *f = fopen(path, "rb");

    if (!f)
        fail_msg("%s is not there", path);
    assert_int_equal(fread(length, 1, 8, f), 8);
    for (int i = 0; i < 8; i++)
        n |= (size_t)length[i] << 8 * i;
    text = malloc(n);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, n, f), n);
    fclose(f);
    j = json_loadb(text, n, 0, NULL);
    assert_non_null(j);
    free(text);
    return j;
}

/* The tensors of one part are those that diffusers' class has. */
static void same_tensors(const char *folder, const char *part, const json_t *want)
{
    char path[2 * PATH_LEN];
    json_t *have, *shape, *t;
    const char *name;

    snprintf(path, sizeof path, "%s/%s/diffusion_pytorch_model.safetensors", folder, part);
    have = header_of(path);
    assert_int_equal(json_object_size(have) - 1, json_object_size(want));
    json_object_foreach((json_t *)(uintptr_t)want, name, shape)
    {
        t = json_object_get(have, name);
        if (!t || !json_equal(json_object_get(t, "shape"), shape))
            fail_msg("%s: %s is %s", path, name, t ? "of another shape" : "missing");
    }
    json_decref(have);
}

/* A folder read and written again has diffusers' own tensors, and gives the same eps. */
static void folders_are_written_as_they_were_read(void **state)
{
    char folder[PATH_LEN], out[PATH_LEN];
    ldm_error err = {.msg = ""};

    (void)state;
    for (int i = 0; i < CASES - 1; i++) { /* all but text2im */
        ldm_model_options *opt, *other;
        json_t *j, *parts;
        char as[64], *report;

        snprintf(as, sizeof as, "%s-back", names[i]);
        j = write_case(names[i], as, false, folder);
        parts = json_object_get(j, "parts");
        snprintf(out, sizeof out, "%s/%s-out", root, names[i]);
        opt = options_of(folder, NULL);
        need(ldm_convert(opt, out, LDM_CONVERT_DIFFUSERS, NULL, NULL, &report, &err), &err);
        ldm_release(report);
        same_tensors(out, "unet", json_object_get(json_object_get(parts, "unet"), "tensors"));
        same_tensors(
            out, i < 2 ? "vqvae" : "vae",
            json_object_get(json_object_get(parts, json_object_get(parts, "vae") ? "vae" : "vqvae"),
                            "tensors"));
        other = options_of(out, NULL);
        eps_agrees(other, j, out);
        assert_int_equal(ldm_convert(opt, out, LDM_CONVERT_DIFFUSERS, NULL, NULL, &report, &err),
                         LDM_ERR_IO);
        ldm_model_options_free(opt);
        ldm_model_options_free(other);
        json_decref(j);
    }
}

/* diffusers writes 0.18215 for every VQModel: LDM's have 1. */
static void a_codebook_keeps_its_scale(void **state)
{
    char folder[PATH_LEN], *yaml;
    ldm_error err = {.msg = ""};
    ldm_model_options *opt;
    ldm_doctor *d;
    json_t *j = write_case("vq", "scale", false, folder);

    (void)state;
    opt = options_of(folder, NULL);
    need(ldm_doctor_create(opt, &d, &err), &err);
    ldm_doctor_set_quick(d, true);
    need(ldm_doctor_run(d, &err), &err);
    need(ldm_doctor_config(d, true, &yaml, &err), &err);
    assert_non_null(strstr(yaml, "scale_factor: 1.0"));
    assert_non_null(strstr(yaml, "num_head_channels: 16"));
    ldm_release(yaml);
    ldm_doctor_free(d);
    ldm_model_options_free(opt);
    json_decref(j);
}

/* Broken folders are refused with a line that names what is wrong. */
static void broken_folders_are_refused(void **state)
{
    char folder[PATH_LEN], path[2 * PATH_LEN];
    ldm_error err = {.msg = ""};
    ldm_model_options *opt;
    ldm_model *m;
    json_t *j = write_case("vq", "broken", false, folder);

    (void)state;
    opt = options_of(folder, NULL);
    snprintf(path, sizeof path, "%s/unet/config.json", folder);
    unlink(path);
    assert_int_equal(symlink("config.json", path), 0); /* a loop is no file */
    (void)ldm_model_open(opt, &m, &err);
    ldm_model_close(m);
    unlink(path);
    json_dump_file(json_object_get(j, "eps"), path, 0);
    (void)ldm_model_open(opt, &m, &err); /* a configuration that says nothing */
    ldm_model_close(m);
    unlink(path);
    {
        FILE *f = fopen(path, "wb");

        assert_non_null(f);
        fputs("{\"attention_head_dim\": ", f);
        fclose(f);
    }
    assert_int_equal(ldm_model_open(opt, &m, &err), LDM_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "config.json:1"));
    unlink(path);
    snprintf(path, sizeof path, "%s/unet/diffusion_pytorch_model.safetensors", folder);
    unlink(path);
    assert_int_equal(ldm_model_open(opt, &m, &err), LDM_ERR_IO);
    assert_non_null(strstr(err.msg, "holds no weights"));
    ldm_model_options_free(opt);
    json_decref(j);
}

static int clean(void **state)
{
    char command[PATH_LEN];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_give_their_eps),
        cmocka_unit_test(converted_folders_give_their_eps),
        cmocka_unit_test(folders_are_written_as_they_were_read),
        cmocka_unit_test(a_codebook_keeps_its_scale),
        cmocka_unit_test(broken_folders_are_refused),
    };

    if (!mkdtemp(root))
        return 1;
    return cmocka_run_group_tests(tests, NULL, clean);
}
