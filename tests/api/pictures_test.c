/* SPDX-License-Identifier: MIT */
/* ldm.h on finished pictures: arrays of pictures, faces, features and their distances; and on files
 * that come with ldm, and the difference of configurations. */
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
#include <jansson.h>

#include "support.h"

enum { SIDE = 32, COUNT = 12 };

/* Soft coloured blobs, another one for each seed. */
static ldm_image draw(int seed, int width, int height)
{
    ldm_image im = {width, height, 3, malloc(3 * (size_t)width * (size_t)height)};

    assert_non_null(im.pixels);
    for (int i = 0; i < 3 * width * height; i++) {
        int x = i / 3 % width, y = i / 3 / width, c = i % 3;
        double v = sin(0.2 * (1 + seed % 3) * x + seed) + cos(0.17 * y + 0.9 * seed * (c + 1));

        im.pixels[i] = (uint8_t)(127 + 60 * v);
    }
    return im;
}

static double *compute(ldm_features *f, const ldm_image *im)
{
    double *v = malloc(ldm_features_dim(f) * sizeof *v);
    ldm_error err = {.msg = ""};

    assert_non_null(v);
    if (ldm_features_compute(f, im, v, &err))
        fail_msg("%s", err.msg);
    return v;
}

/* The same picture has the same features to the last bit, whatever was computed before it and on
 * however many threads. */
static void features_depend_on_the_picture_alone(void **state)
{
    ldm_model *m = open_tiny(NULL);
    ldm_features *one, *three;
    ldm_image im = draw(1, SIDE, SIDE), other = draw(2, SIDE + 16, SIDE);
    double *first, *again, *elsewhere;
    size_t bytes;

    (void)state;
    assert_int_equal(ldm_features_open(m, 1, &one, NULL), LDM_OK);
    assert_int_equal(ldm_features_open(m, 3, &three, NULL), LDM_OK);
    bytes = ldm_features_dim(one) * sizeof *first;
    assert_int_equal(ldm_features_dim(one), 32 + 3 * 32 + 32); /* conv_in, three levels, mid */
    first = compute(one, &im);
    again = compute(one, &other);
    assert_memory_not_equal(first, again, bytes);
    free(again);
    again = compute(one, &im);
    assert_memory_equal(first, again, bytes);
    elsewhere = compute(three, &im);
    assert_memory_equal(first, elsewhere, bytes);
    free(first);
    free(again);
    free(elsewhere);
    free(im.pixels);
    free(other.pixels);
    ldm_features_close(one);
    ldm_features_close(three);
    ldm_model_close(m);
}

/* Means over positions do not grow with the picture: where it is of one colour, the first level
 * differs by its border alone, whose share halves as the side doubles. */
static void a_constant_picture_has_constant_levels(void **state)
{
    ldm_model *m = open_tiny(NULL);
    ldm_features *f;
    ldm_image small = draw(0, SIDE, SIDE), large = draw(0, 2 * SIDE, 2 * SIDE);
    double *a, *b, worst = 0;

    (void)state;
    memset(small.pixels, 200, 3 * SIDE * SIDE);
    memset(large.pixels, 200, 12 * SIDE * SIDE);
    assert_int_equal(ldm_features_open(m, 1, &f, NULL), LDM_OK);
    a = compute(f, &small);
    b = compute(f, &large);
    for (int i = 0; i < 32; i++)
        worst = fmax(worst, fabs(a[i] - b[i]));
    assert_true(worst > 0);
    assert_true(worst < 0.1);
    free(a);
    free(b);
    free(small.pixels);
    free(large.pixels);
    ldm_features_close(f);
    ldm_model_close(m);
}

static ldm_stats *gather(ldm_features *f, int from, int count, int step)
{
    ldm_stats *s;

    assert_int_equal(ldm_stats_create(f, &s, NULL), LDM_OK);
    for (int i = 0; i < count; i++) {
        ldm_image im = draw(from + i * step, SIDE, SIDE);
        double *v = compute(f, &im);

        assert_int_equal(ldm_stats_add(s, v, NULL), LDM_OK);
        free(v);
        free(im.pixels);
    }
    assert_int_equal(ldm_stats_count(s), count);
    return s;
}

static double distance(const ldm_stats *a, const ldm_stats *b)
{
    ldm_error err = {.msg = ""};
    double d;

    if (ldm_stats_distance(a, b, &d, &err))
        fail_msg("%s", err.msg);
    return d;
}

static void distances_of_sets(void **state)
{
    ldm_model *m = open_tiny(NULL), *small = open_small();
    char path[] = "/tmp/ldm-stats.XXXXXX";
    ldm_features *f, *g;
    ldm_stats *forward, *backward, *other, *back, *foreign, *empty;
    double d, far;
    ldm_error err;

    (void)state;
    assert_int_equal(ldm_features_open(m, 1, &f, NULL), LDM_OK);
    forward = gather(f, 1, COUNT, 1);
    backward = gather(f, COUNT, COUNT, -1);
    other = gather(f, 100, COUNT, 7);
    far = distance(forward, other);
    assert_true(far > 0);
    assert_true(distance(forward, forward) < 1e-6 * far);
    assert_true(distance(forward, backward) < 1e-6 * far); /* the order does not matter */
    assert_true(fabs(distance(other, forward) - far) < 1e-6 * far);

    close(mkstemp(path));
    assert_int_equal(ldm_stats_write(path, forward, NULL), LDM_OK);
    assert_int_equal(ldm_stats_read(path, &back, NULL), LDM_OK);
    unlink(path);
    assert_int_equal(ldm_stats_count(back), COUNT);
    assert_true(fabs(distance(back, other) - far) < 1e-9 * far);

    /* Another model's features, and too few pictures. */
    assert_int_equal(ldm_features_open(small, 1, &g, NULL), LDM_OK);
    assert_int_equal(ldm_stats_create(g, &foreign, NULL), LDM_OK);
    assert_int_equal(ldm_stats_distance(forward, foreign, &d, &err), LDM_ERR_USAGE);
    assert_int_equal(ldm_stats_create(f, &empty, NULL), LDM_OK);
    assert_int_equal(ldm_stats_distance(forward, empty, &d, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "found 0"));

    ldm_stats_free(forward);
    ldm_stats_free(backward);
    ldm_stats_free(other);
    ldm_stats_free(back);
    ldm_stats_free(foreign);
    ldm_stats_free(empty);
    ldm_features_close(f);
    ldm_features_close(g);
    ldm_model_close(m);
    ldm_model_close(small);
}

static void wrong_features(void **state)
{
    ldm_model *m = open_tiny(NULL);
    ldm_image odd = draw(1, SIDE + 1, SIDE);
    ldm_features *f;
    ldm_stats *s;
    double *v;
    ldm_error err;

    (void)state;
    assert_int_equal(ldm_features_open(m, 1, &f, NULL), LDM_OK);
    v = calloc(ldm_features_dim(f), sizeof *v);
    assert_non_null(v);
    assert_int_equal(ldm_features_compute(f, &odd, v, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "33 x 32"));
    odd.width = SIDE; /* and it works on after that */
    assert_int_equal(ldm_features_compute(f, &odd, v, &err), LDM_OK);
    assert_int_equal(ldm_stats_create(f, &s, NULL), LDM_OK);
    v[3] = NAN;
    assert_int_equal(ldm_stats_add(s, v, &err), LDM_ERR_NUMERIC);
    assert_int_equal(ldm_stats_count(s), 0);
    ldm_stats_free(s);
    free(v);
    free(odd.pixels);
    ldm_features_close(f);
    ldm_model_close(m);
}

/* ---- pictures from arrays -------------------------------------------------------------------- */

static void arrays_of_pictures(void **state)
{
    char path[] = "/tmp/ldm-pictures.XXXXXX.npz", npy[] = "/tmp/ldm-pictures.XXXXXX.npy";
    ldm_image ims[3] = {draw(1, 5, 4), draw(2, 5, 4), draw(3, 5, 4)}, *back;
    float values[12] = {0, 1, 2, 253, 254, 255, 0, 0, 0, 9, 9, 9};
    ldm_array a = {4, {2, 1, 2, 3}, 12, values};
    ldm_error err;
    size_t n;

    (void)state;
    close(mkstemps(path, 4));
    assert_int_equal(ldm_image_write_npz(path, ims, 3, NULL), LDM_OK);
    assert_int_equal(ldm_images_read(path, &back, &n, NULL), LDM_OK);
    assert_int_equal(n, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(back[i].width, 5);
        assert_int_equal(back[i].height, 4);
        assert_memory_equal(back[i].pixels, ims[i].pixels, 60);
        free(ims[i].pixels);
    }
    ldm_images_free(back, n);
    unlink(path);

    close(mkstemps(npy, 4));
    assert_int_equal(ldm_array_write(npy, &a, NULL), LDM_OK);
    assert_int_equal(ldm_images_read(npy, &back, &n, NULL), LDM_OK);
    assert_int_equal(n, 2);
    assert_int_equal(back[0].pixels[5], 255);
    ldm_images_free(back, n);
    values[7] = 0.5f; /* no byte */
    assert_int_equal(ldm_array_write(npy, &a, NULL), LDM_OK);
    assert_int_equal(ldm_images_read(npy, &back, &n, &err), LDM_ERR_FORMAT);
    assert_null(back);
    assert_non_null(strstr(err.msg, "picture 1 holds 0.5"));
    a.ndim = 2;
    a.shape[0] = 4;
    a.shape[1] = 3;
    assert_int_equal(ldm_array_write(npy, &a, NULL), LDM_OK);
    assert_int_equal(ldm_images_read(npy, &back, &n, &err), LDM_ERR_FORMAT);
    unlink(npy);
}

/* ---- faces ----------------------------------------------------------------------------------- */

static void faces_need_a_cascade(void **state)
{
    ldm_face_judge *j;
    ldm_error err;

    (void)state;
    assert_int_equal(ldm_face_judge_open("/nowhere/cascade.xml", &j, &err), LDM_ERR_IO);
    assert_null(j);
    assert_non_null(strstr(err.msg, "/nowhere/cascade.xml"));
    ldm_face_judge_close(NULL);
}

/* The same number with and without the list; rectangles inside the picture, in order. */
static void faces_are_handed_out(void **state)
{
    ldm_image sheet = {0};
    ldm_face_judge *j;
    ldm_face *faces;
    size_t n, again;

    (void)state;
    assert_int_equal(ldm_face_judge_open("tests/data/haar/synthetic.xml", &j, NULL), LDM_OK);
    assert_int_equal(ldm_image_read("tests/data/haar/faces.png", &sheet, NULL), LDM_OK);
    assert_int_equal(ldm_face_judge_find(j, &sheet, &faces, &n, NULL), LDM_OK);
    assert_int_equal(ldm_face_judge_find(j, &sheet, NULL, &again, NULL), LDM_OK);
    assert_int_equal(n, again);
    assert_int_equal(n > 0, faces != NULL);
    for (size_t i = 0; i < n; i++) {
        assert_in_range(faces[i].width, 1, sheet.width);
        assert_true(faces[i].x >= 0 && faces[i].x + faces[i].width <= sheet.width);
        assert_true(i == 0 || faces[i].y >= faces[i - 1].y);
    }
    ldm_release(faces);
    ldm_release(sheet.pixels);
    ldm_face_judge_close(j);
}

/* ---- files and differences ------------------------------------------------------------------- */

static void recipes_have_a_limit(void **state)
{
    static const size_t lengths[] = {1 << 20, (1 << 20) + 1};
    ldm_image im = draw(1, 8, 8);
    char *recipe = malloc(lengths[1] + 1), *read, path[64];
    ldm_error err = {.msg = ""};

    (void)state;
    assert_non_null(recipe);
    snprintf(path, sizeof path, "/tmp/ldm-recipe-%ld.png", (long)getpid());
    memset(recipe, 'x', lengths[1]);
    for (size_t i = 0; i < 2; i++) {
        recipe[lengths[i]] = '\0';
        assert_int_equal(ldm_image_write(path, &im, recipe, &err), LDM_OK);
        assert_int_equal(ldm_image_read_recipe(path, &read, &err), i ? LDM_ERR_LIMIT : LDM_OK);
        recipe[lengths[i]] = 'x';
        ldm_release(read);
    }
    assert_non_null(strstr(err.msg, "its recipe has 1048577 bytes"));
    unlink(path);
    free(recipe);
    free(im.pixels);
}

static void shipped_files(void **state)
{
    ldm_error err;
    char *path;

    (void)state;
    assert_int_equal(ldm_shipped_path("configs/study/approach1.yaml", &path, NULL), LDM_OK);
    assert_int_equal(access(path, R_OK), 0);
    ldm_release(path);
    assert_int_equal(ldm_shipped_path("configs/nothing.yaml", &path, &err), LDM_ERR_IO);
    assert_null(path);
    assert_non_null(strstr(err.msg, "configs/nothing.yaml"));
}

static json_t *difference(const char *const *sets_a, size_t na, const char *const *sets_b,
                          size_t nb)
{
    plain_options a = small_options(), b = small_options();
    ldm_error err = {.msg = ""};
    json_t *list;
    char *text;

    a.sets = sets_a;
    a.set_count = na;
    b.sets = sets_b;
    b.set_count = nb;
    if (plain_difference(&a, &b, &text, &err))
        fail_msg("%s", err.msg);
    list = json_loads(text, 0, NULL);
    assert_true(json_is_array(list));
    ldm_release(text);
    return list;
}

static const char *key_at(const json_t *list, size_t i)
{
    return json_string_value(json_object_get(json_array_get(list, i), "key"));
}

static void differences(void **state)
{
    static const char *const a[] = {"model.params.scale_factor=0.5", "ldm.sampling.eta=1.0",
                                    "ldm.load.rename={\"x.y\": z}", "only.a=null"};
    static const char *const b[] = {"model.params.scale_factor=0.25", "ldm.sampling.eta=1",
                                    "ldm.load.rename={\"x.y\": w}", "only.b=[1, two]"};
    json_t *list = difference(NULL, 0, NULL, 0), *e;

    (void)state;
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    list = difference(a, 4, b, 4);
    assert_int_equal(json_array_size(list), 4); /* 1.0 and 1 are the same eta */
    assert_string_equal(key_at(list, 0), "model.params.scale_factor");
    e = json_array_get(list, 0);
    assert_true(json_real_value(json_object_get(e, "a")) == 0.5);
    assert_true(json_real_value(json_object_get(e, "b")) == 0.25);
    assert_string_equal(key_at(list, 1), "ldm.load.rename"); /* whole, for its names hold dots */
    assert_string_equal(key_at(list, 2), "only.a");
    assert_true(json_is_null(json_object_get(json_array_get(list, 2), "a")));
    assert_null(json_object_get(json_array_get(list, 2), "b"));
    assert_string_equal(key_at(list, 3), "only.b");
    assert_int_equal(json_array_size(json_object_get(json_array_get(list, 3), "b")), 2);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_depend_on_the_picture_alone),
        cmocka_unit_test(a_constant_picture_has_constant_levels),
        cmocka_unit_test(distances_of_sets),
        cmocka_unit_test(wrong_features),
        cmocka_unit_test(arrays_of_pictures),
        cmocka_unit_test(faces_need_a_cascade),
        cmocka_unit_test(faces_are_handed_out),
        cmocka_unit_test(recipes_have_a_limit),
        cmocka_unit_test(shipped_files),
        cmocka_unit_test(differences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
