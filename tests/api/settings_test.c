/* SPDX-License-Identifier: MIT */
/* Every row of the tables of settings, held against everything that reads them: the setters, the
 * getters, the ends of its range, the configuration's section, recipes and what an older one lacks.
 * `--list` prints the job's rows for tests/cli/settings.sh, which holds the command line against
 * them: option, a value that is not the default, key, "pixels" or "-", a sampler that takes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "support.h"

static const ldm_setting_kind kinds[] = {LDM_SETTINGS_MODEL, LDM_SETTINGS_JOB, LDM_SETTINGS_EVAL,
                                         LDM_SETTINGS_BENCH};

/* A sampler that takes the setting. */
static const char *sampler_for(const char *key)
{
    static const char *const others[] = {"solver", "final_sigma", "lower_order_final"};
    size_t i;

    for (i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (!strcmp(key, others[i]))
            return "dpmpp_2m_diffusers";
    }
    return "ddim";
}

/* A value that the row can have and that is not its default, if there is more than one. It suits
 * the small model. */
static void other_value(const ldm_setting_row *row, char *text, size_t size)
{
    const char *value = ldm_setting_default(row);
    double min = ldm_setting_min(row);

    switch (ldm_setting_get_type(row)) {
    case LDM_TYPE_INT:
        snprintf(text, size, "%.0f", value && atof(value) == min ? min + 1 : min);
        break;
    case LDM_TYPE_REAL:
        snprintf(text, size, "%g", min + 0.625 == (value ? atof(value) : -1) ? 0.5 : min + 0.625);
        break;
    case LDM_TYPE_U64:
        snprintf(text, size, "18446744073709551610");
        break;
    case LDM_TYPE_BYTES:
        snprintf(text, size, "8000000000");
        break;
    case LDM_TYPE_BOOL:
        snprintf(text, size, "%s", value && !strcmp(value, "true") ? "false" : "true");
        break;
    case LDM_TYPE_CHOICE:
        snprintf(text, size, "%s",
                 ldm_setting_choice(row, value && !strcmp(value, ldm_setting_choice(row, 0)) &&
                                             ldm_setting_choice(row, 1)));
        break;
    case LDM_TYPE_SHAPE:
        snprintf(text, size, "3,16,8");
        break;
    case LDM_TYPE_TEXT:
    case LDM_TYPE_LIST:
        /* Without a picture to begin with there can be no pads. */
        snprintf(text, size, "%s",
                 !strcmp(ldm_setting_key(row), "pad")    ? "0,0,0,0"
                 : !strcmp(ldm_setting_key(row), "size") ? "64x64"
                                                         : "some/file");
        break;
    }
}

static ldm_job *new_job(void)
{
    ldm_job *job;

    assert_int_equal(ldm_job_create(NULL, &job, NULL), LDM_OK);
    return job;
}

static void value_is(const ldm_job *job, const char *key, const char *want)
{
    char *text = NULL;

    assert_int_equal(ldm_job_get(job, key, &text, NULL), LDM_OK);
    if (strcmp(text, want))
        fail_msg("%s is %s, expected %s", key, text, want);
    ldm_release(text);
}

/* ---- the tables ------------------------------------------------------------------------------ */

static void rows_are_whole(void **state)
{
    size_t k, i, j;

    (void)state;
    for (k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const ldm_setting_kind kind = kinds[k];

        assert_true(ldm_setting_count(kind) > 0);
        for (i = 0; i < ldm_setting_count(kind); i++) {
            const ldm_setting_row *row = ldm_setting_at(kind, i);
            const char *key = ldm_setting_key(row);
            const ldm_setting_type type = ldm_setting_get_type(row);

            assert_ptr_equal(ldm_setting_find(kind, key), row); /* no key twice */
            assert_int_equal(strspn(key, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(key));
            assert_non_null(ldm_setting_group(row));
            assert_true(ldm_setting_help(row) && *ldm_setting_help(row));
            assert_int_equal(ldm_setting_arg(row) == NULL, type == LDM_TYPE_BOOL);
            assert_int_equal(ldm_setting_choice(row, 0) != NULL, type == LDM_TYPE_CHOICE);
            if (type == LDM_TYPE_INT || type == LDM_TYPE_REAL || type == LDM_TYPE_SHAPE)
                assert_true(ldm_setting_min(row) < ldm_setting_max(row));
            for (j = 0; j < i; j++) {
                if (ldm_setting_letter(row))
                    assert_int_not_equal(ldm_setting_letter(row),
                                         ldm_setting_letter(ldm_setting_at(kind, j)));
            }
        }
    }
}

/* A setting that changes pictures is in recipes; so a new one must say what an older recipe means.
 * These were in the first recipes. */
static void new_settings_say_what_their_absence_means(void **state)
{
    static const char first[] = " seed sampler steps timesteps eta temperature scale cond quantize "
                                "quantize_x0 shape ";
    char word[64];
    size_t i;

    (void)state;
    for (i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);

        snprintf(word, sizeof word, " %s ", ldm_setting_key(row));
        if (ldm_setting_flags(row) & LDM_SETTING_CONDITION)
            assert_null(ldm_setting_lacking(row)); /* absent is absent */
        else if (ldm_setting_flags(row) & LDM_SETTING_PIXELS)
            assert_int_equal(ldm_setting_lacking(row) == NULL, strstr(first, word) != NULL);
    }
}

/* ---- set and get ----------------------------------------------------------------------------- */

static void values_come_back(void **state)
{
    char value[64];
    size_t i;

    (void)state;
    for (i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);
        const char *key = ldm_setting_key(row);
        ldm_job *job = new_job();

        assert_false(ldm_job_is_set(job, key));
        if (ldm_setting_default(row))
            value_is(job, key, ldm_setting_default(row));
        other_value(row, value, sizeof value);
        assert_int_equal(ldm_job_set(job, key, value, NULL), LDM_OK);
        assert_true(ldm_job_is_set(job, key));
        value_is(job, key, value);
        assert_int_equal(ldm_job_unset(job, key, NULL), LDM_OK);
        assert_false(ldm_job_is_set(job, key));
        if (ldm_setting_default(row))
            value_is(job, key, ldm_setting_default(row));
        ldm_job_free(job);
    }
}

/* As other programs write a seed that is drawn: once, when it is set. */
static void seeds_are_drawn(void **state)
{
    static const char *const texts[] = {"-1", "random"};
    ldm_job *job = new_job();
    uint64_t drawn[3];
    ldm_error err;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(i < 2 ? ldm_job_set(job, "seed", texts[i], NULL)
                               : ldm_job_set_int(job, "seed", -1, NULL),
                         LDM_OK);
        assert_true(ldm_job_is_drawn(job, "seed") && ldm_job_is_set(job, "seed"));
        drawn[i] = ldm_job_get_u64(job, "seed");
        assert_true(drawn[i] <= UINT32_MAX);
    }
    assert_true(drawn[0] != drawn[1] || drawn[1] != drawn[2]);
    assert_int_equal(ldm_job_set_u64(job, "seed", UINT64_MAX, NULL), LDM_OK); /* a seed as others */
    assert_true(ldm_job_get_u64(job, "seed") == UINT64_MAX && !ldm_job_is_drawn(job, "seed"));
    assert_int_equal(ldm_job_set(job, "vary", "-1", NULL), LDM_OK);
    assert_true(ldm_job_is_drawn(job, "vary"));
    assert_int_equal(ldm_job_unset(job, "vary", NULL), LDM_OK);
    assert_false(ldm_job_is_drawn(job, "vary"));
    assert_int_equal(ldm_job_set(job, "seed", "-2", &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "or -1 for one that is drawn"));
    assert_int_equal(ldm_job_set(job, "steps", "-1", &err), LDM_ERR_USAGE);
    ldm_job_free(job);
}

static ldm_status set_number(ldm_job *job, const ldm_setting_row *row, double v, ldm_error *err)
{
    return ldm_setting_get_type(row) == LDM_TYPE_INT
               ? ldm_job_set_int(job, ldm_setting_key(row), (int)v, err)
               : ldm_job_set_real(job, ldm_setting_key(row), v, err);
}

static void ranges_end_where_they_say(void **state)
{
    ldm_job *job = new_job();
    size_t i;

    (void)state;
    for (i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);
        const double min = ldm_setting_min(row), max = ldm_setting_max(row);
        const double wrong[] = {min - 1, max + 1};
        ldm_error err;
        char text[64];
        size_t k;

        if (ldm_setting_get_type(row) != LDM_TYPE_INT && ldm_setting_get_type(row) != LDM_TYPE_REAL)
            continue;
        assert_int_equal(set_number(job, row, min, NULL), LDM_OK);
        assert_int_equal(set_number(job, row, max, NULL), LDM_OK);
        snprintf(text, sizeof text, "%.17g", max);
        for (k = 0; k < 2; k++) {
            char found[64];

            assert_int_equal(set_number(job, row, wrong[k], &err), LDM_ERR_USAGE);
            assert_int_equal(strncmp(err.msg, ldm_setting_key(row), strlen(ldm_setting_key(row))),
                             0);
            snprintf(found, sizeof found, "%.17g", wrong[k]);
            assert_int_equal(ldm_job_set(job, ldm_setting_key(row), found, &err), LDM_ERR_USAGE);
        }
        value_is(job, ldm_setting_key(row), text); /* as it was */
    }
    ldm_job_free(job);
}

/* ---- settings that do nothing ---------------------------------------------------------------- */

/* Whether the run says "KEY has no effect: why". */
static bool is_idle(const ldm_run *run, const char *key)
{
    char said[80];

    snprintf(said, sizeof said, "%s has no effect", key);
    for (size_t i = 0; i < ldm_run_note_count(run); i++) {
        const char *at = strstr(ldm_run_note(run, i), said);

        if (at && (at == ldm_run_note(run, i) || at[-1] == '-'))
            return true;
    }
    return false;
}

/* One that does nothing is as if it had not been given; *value becomes the default. */
static void expect_dropped(const ldm_run *run, const ldm_setting_row *row, char *value, size_t size)
{
    if (is_idle(run, ldm_setting_key(row)))
        snprintf(value, size, "%s", ldm_setting_default(row) ? ldm_setting_default(row) : "");
}

/* ---- the configuration ----------------------------------------------------------------------- */

static ldm_status open_with(const char *key, const char *value, ldm_model **m, ldm_error *err)
{
    char sampler[160], set[160];
    const char *const sets[] = {sampler, set};
    plain_options opt = small_options();

    snprintf(sampler, sizeof sampler, "ldm.sampling.sampler=%s", sampler_for(key));
    snprintf(set, sizeof set, "ldm.sampling.%s=%s", key, value);
    opt.sets = sets;
    opt.set_count = 2;
    return plain_model_open(&opt, m, err);
}

static void the_configuration_gives_defaults(void **state)
{
    char value[64];
    size_t i;

    (void)state;
    for (i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);
        const char *key = ldm_setting_key(row);
        ldm_error err = {.msg = ""};
        ldm_model *m;
        ldm_job *job;
        ldm_run *run;

        other_value(row, value, sizeof value);
        if (!(ldm_setting_flags(row) & LDM_SETTING_CONFIG)) {
            assert_int_equal(open_with(key, value, &m, &err), LDM_ERR_CONFIG);
            assert_non_null(strstr(err.msg, "is unknown"));
            continue;
        }
        if (open_with(key, value, &m, &err))
            fail_msg("%s: %s", key, err.msg);
        assert_int_equal(ldm_job_create(m, &job, NULL), LDM_OK);
        assert_false(ldm_job_is_set(job, key)); /* a default */
        value_is(job, key, value);
        ldm_job_free(job);
        assert_int_equal(ldm_run_create(m, NULL, &run, &err), LDM_OK);
        value_is(ldm_run_get_job(run), key, value);
        ldm_run_free(run);
        ldm_model_close(m);
        assert_int_equal(
            open_with(key, ldm_setting_get_type(row) == LDM_TYPE_CHOICE ? "other" : "-100000", &m,
                      &err),
            LDM_ERR_CONFIG);
        assert_non_null(strstr(err.msg, key));
        assert_non_null(strstr(err.msg, "expected"));
    }
}

/* ---- recipes --------------------------------------------------------------------------------- */

/* value: becomes the one that the recipe holds. */
static char *recipe_with(const ldm_model *m, const ldm_setting_row *row, char *value, size_t size)
{
    const char *key = ldm_setting_key(row);
    ldm_error err = {.msg = ""};
    ldm_job *job = new_job();
    ldm_run *run;
    char *recipe = NULL;

    assert_int_equal(ldm_job_set(job, "sampler", sampler_for(key), NULL), LDM_OK);
    assert_int_equal(ldm_job_set(job, key, value, NULL), LDM_OK);
    if (ldm_run_create(m, job, &run, &err) || ldm_run_recipe(run, 0, &recipe, &err))
        fail_msg("%s: %s", key, err.msg);
    expect_dropped(run, row, value, size);
    ldm_job_free(job);
    ldm_run_free(run);
    return recipe;
}

/* A model that nothing conditions says so. */
static void is_refused(const ldm_model *m, const char *key, const char *value)
{
    ldm_error err = {.msg = ""};
    ldm_job *job = new_job();
    ldm_run *run;

    assert_int_equal(ldm_job_set(job, key, value, NULL), LDM_OK);
    assert_int_equal(ldm_run_create(m, job, &run, &err), LDM_ERR_USAGE);
    assert_non_null(strstr(err.msg, "this model takes nothing: it is unconditional"));
    ldm_job_free(job);
}

/* The recipe without the key, as an older version wrote it; of a key that every version wrote it is
 * damage. */
static void check_older(const ldm_setting_row *row, const char *recipe)
{
    const char *key = ldm_setting_key(row);
    const bool damage = !ldm_setting_lacking(row) && ldm_setting_default(row);
    ldm_error err = {.msg = ""};
    json_t *root = json_loads(recipe, 0, NULL);
    ldm_job *job = new_job();
    char *text;

    assert_int_equal(json_object_del(root, key), 0);
    text = json_dumps(root, 0);
    assert_int_equal(ldm_job_use_recipe(job, text, &err), damage ? LDM_ERR_FORMAT : LDM_OK);
    assert_true(!damage || strstr(err.msg, key));
    assert_int_equal(ldm_job_is_set(job, key), ldm_setting_lacking(row) != NULL);
    if (ldm_setting_lacking(row))
        value_is(job, key, ldm_setting_lacking(row));
    free(text);
    json_decref(root);
    ldm_job_free(job);
}

/* A value of another type in the recipe is damage. */
static void check_damaged(const ldm_setting_row *row, const char *recipe)
{
    json_t *root = json_loads(recipe, 0, NULL);
    ldm_job *job = new_job();
    ldm_error err;
    char *text;

    json_object_set_new(root, ldm_setting_key(row), json_object());
    text = json_dumps(root, 0);
    assert_int_equal(ldm_job_use_recipe(job, text, &err), LDM_ERR_FORMAT);
    assert_non_null(strstr(err.msg, ldm_setting_key(row)));
    assert_false(ldm_job_is_set(job, ldm_setting_key(row)));
    free(text);
    json_decref(root);
    ldm_job_free(job);
}

static void recipes_hold_what_changes_pixels(void **state)
{
    plain_options opt = small_options();
    char value[64];
    ldm_model *m;
    size_t i;

    (void)state;
    assert_int_equal(plain_model_open(&opt, &m, NULL), LDM_OK);
    for (i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);
        const char *key = ldm_setting_key(row);
        char *recipe;
        json_t *root;
        ldm_job *job;

        other_value(row, value, sizeof value);
        if (ldm_setting_flags(row) & LDM_SETTING_CONDITION) {
            is_refused(m, key, value);
            continue;
        }
        recipe = recipe_with(m, row, value, sizeof value);
        root = json_loads(recipe, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(root);
        if (!(ldm_setting_flags(row) & LDM_SETTING_PIXELS)) {
            assert_null(json_object_get(root, key));
        } else {
            assert_non_null(json_object_get(root, key));
            job = new_job();
            assert_int_equal(ldm_job_use_recipe(job, recipe, NULL), LDM_OK);
            value_is(job, key, value);
            ldm_job_free(job);
            job = new_job(); /* what is set takes precedence */
            if (ldm_setting_default(row)) {
                assert_int_equal(ldm_job_set(job, key, ldm_setting_default(row), NULL), LDM_OK);
                assert_int_equal(ldm_job_use_recipe(job, recipe, NULL), LDM_OK);
                value_is(job, key, ldm_setting_default(row));
            }
            ldm_job_free(job);
            check_older(row, recipe);
            check_damaged(row, recipe);
        }
        json_decref(root);
        ldm_release(recipe);
    }
    ldm_model_close(m);
}

/* A recipe's model comes back, too: what was set takes precedence here as well. */
static void recipes_hold_their_model(void **state)
{
    static const char recipe[] = "{\"config\": \"model: {}\", \"weights\": \"raw\", "
                                 "\"precision\": \"exact\"}";
    ldm_model_options *opt;
    char *text;

    (void)state;
    assert_int_equal(ldm_model_options_create(&opt, NULL), LDM_OK);
    assert_int_equal(ldm_model_options_set(opt, "precision", "f32", NULL), LDM_OK);
    assert_int_equal(ldm_model_options_use_recipe(opt, recipe, "that one", NULL), LDM_OK);
    assert_string_equal(ldm_model_options_get_text(opt, "precision"), "f32");
    assert_string_equal(ldm_model_options_get_text(opt, "config_text"), "model: {}");
    assert_string_equal(ldm_model_options_get_text(opt, "config_name"), "that one");
    assert_int_equal(ldm_model_options_get(opt, "ema", &text, NULL), LDM_OK);
    assert_string_equal(text, "false");
    assert_true(ldm_model_options_is_set(opt, "ema"));
    ldm_release(text);
    ldm_model_options_free(opt);
}

/* ---- tests/cli/settings.sh ------------------------------------------------------------------- */

static int list(void)
{
    char value[64];
    size_t i;

    for (i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);
        const char *key = ldm_setting_key(row), *p;
        bool is_bool = ldm_setting_get_type(row) == LDM_TYPE_BOOL;

        if (!strcmp(ldm_setting_group(row), "Inversion")) /* of ldm invert */
            continue;
        other_value(row, value, sizeof value);
        printf("--%s", is_bool && !strcmp(value, "false") ? "no-" : "");
        for (p = key; *p; p++)
            putchar(*p == '_' ? '-' : *p);
        printf("\t%s\t%s\t%s\t%s\n", is_bool ? "-" : value, key,
               (ldm_setting_flags(row) & (LDM_SETTING_PIXELS | LDM_SETTING_CONDITION)) ==
                       LDM_SETTING_PIXELS
                   ? "pixels"
                   : "-",
               sampler_for(key));
    }
    return 0;
}

/* A list of numbers is a text, and one number is such a list; other texts take none. */
static void a_class_is_a_number_for_people(void **state)
{
    ldm_job *job = new_job();
    ldm_error err;

    (void)state;
    assert_int_equal(ldm_job_set_int(job, "class", 1, &err), LDM_OK);
    value_is(job, "class", "1");
    assert_int_equal(ldm_job_set_int(job, "prompt", 1, &err), LDM_ERR_USAGE);
    assert_string_equal(err.msg, "prompt: 1 is not a text");
    ldm_job_free(job);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(new_settings_say_what_their_absence_means),
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(seeds_are_drawn),
        cmocka_unit_test(ranges_end_where_they_say),
        cmocka_unit_test(the_configuration_gives_defaults),
        cmocka_unit_test(recipes_hold_what_changes_pixels),
        cmocka_unit_test(recipes_hold_their_model),
        cmocka_unit_test(a_class_is_a_number_for_people),
    };

    if (argc > 1 && !strcmp(argv[1], "--list"))
        return list();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
