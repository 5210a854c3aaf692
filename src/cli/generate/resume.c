/* SPDX-License-Identifier: MIT */
/* ldm generate --resume: which pictures of an earlier, broken run can stay; see generate.h. A
 * picture is this run's if its recipe is the one that this run would write. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/generate/generate.h"
#include "cli/signals.h"

int ldm_resume_check(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out)
{
    const char *array = ldm_arrays_first(o);

    if (array)
        return ldm_cli_usage(cmd,
                             "--resume with --%s: a picture's recipe does not hold the array, so "
                             "nothing shows whether a kept picture was made with it",
                             array);
    if (ldm_generate_array_option(o))
        return ldm_cli_usage(cmd,
                             "--resume with %s: kept pictures are PNGs, the floating-point values "
                             "of the earlier run are gone; make the run again without --resume",
                             ldm_generate_array_option(o));
    if (!out->folder)
        return ldm_cli_usage(cmd, "--resume goes on with a folder of pictures, '%s' is one picture",
                             out->file);
    return LDM_EXIT_OK;
}

/* ---- the folder ------------------------------------------------------------------------------ */

/* The library's name for a file that is not complete yet (".part-" and six letters behind the name
 * that it will have), for one of the names that a folder of pictures has. */
static bool is_leftover(const char *name)
{
    static const char mark[] = ".part-", letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRS"
                                                     "TUVWXYZ0123456789";
    size_t len = strlen(name), tail = strlen(mark) + 6;

    return len > tail && !strncmp(name + len - tail, mark, strlen(mark)) &&
           strspn(name + len - 6, letters) == 6 && ldm_output_is_ours(name, len - tail);
}

int ldm_resume_sweep(const ldm_command *cmd, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *e;
    int code = LDM_EXIT_OK;

    if (!dir) {
        ldm_cli_say(cmd, "cannot read folder '%s': %s", folder, strerror(errno));
        return LDM_EXIT_FAILED;
    }
    while (!code && (e = readdir(dir))) {
        /* gone: another process cleans up at the same time */
        if (is_leftover(e->d_name) && unlinkat(dirfd(dir), e->d_name, 0) && errno != ENOENT) {
            ldm_cli_say(cmd, "cannot remove '%s%s' of the broken run: %s", folder, e->d_name,
                        strerror(errno));
            code = LDM_EXIT_FAILED;
        }
    }
    closedir(dir);
    return code;
}

/* ---- one picture ----------------------------------------------------------------------------- */

/* Where cmd is NULL, nobody is told why a picture is none of this run's. */

static int fail(const ldm_command *cmd, ldm_status st, const ldm_error *err)
{
    return cmd ? ldm_cli_fail(cmd, st, err) : LDM_EXIT_FAILED;
}

/* One "is of another run" line; an exit code. */
static int other_run(const ldm_command *cmd, const char *name, const char *what, const char *its,
                     const char *ours)
{
    if (!cmd)
        return LDM_EXIT_FAILED;
    ldm_cli_say(cmd,
                "%s is of another run (%s: %.200s there, %.200s here); give the options "
                "that it was made with, or another folder",
                name, what, its ? its : "absent", ours ? ours : "absent");
    return LDM_EXIT_FAILED;
}

static int other_value(const ldm_command *cmd, const char *name, const char *key, const json_t *its,
                       const json_t *ours)
{
    const size_t flags = JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15);
    char *a = ldm_cli_json_dump(its, flags), *b = ldm_cli_json_dump(ours, flags);
    int code = other_run(cmd, name, key, a, b);

    free(a);
    free(b);
    return code;
}

/* Two configurations as text: the first line that differs says more than all of both. */
static int other_config(const ldm_command *cmd, const char *name, const char *its, const char *ours)
{
    char a[120], b[120], what[48];
    int line = 1;

    for (;;) {
        size_t n = strcspn(its, "\n"), m = strcspn(ours, "\n");

        if (n != m || strncmp(its, ours, n) || !its[n] || !ours[m]) {
            snprintf(a, sizeof a, "\"%.*s\"", (int)(n < 100 ? n : 100), its);
            snprintf(b, sizeof b, "\"%.*s\"", (int)(m < 100 ? m : 100), ours);
            snprintf(what, sizeof what, "config, line %d", line);
            return other_run(cmd, name, what, *its ? a : NULL, *ours ? b : NULL);
        }
        its += n + 1;
        ours += m + 1;
        line++;
    }
}

/* Whether a recipe that is older than the setting means this value. */
static bool was_implied(const char *key, const json_t *ours)
{
    const char *lacking = ldm_setting_lacking(ldm_setting_find(LDM_SETTINGS_JOB, key));

    if (!lacking)
        return false;
    if (json_is_number(ours))
        return strtod(lacking, NULL) == json_number_value(ours);
    if (json_is_boolean(ours))
        return !strcmp(lacking, json_is_true(ours) ? "true" : "false");
    return json_is_string(ours) && !strcmp(lacking, json_string_value(ours));
}

/* Keys of a recipe that do not affect the pixels: the version, names of files, the number asked
 * for. */
static bool is_incidental(const char *key)
{
    return !strcmp(key, "ldm") || !strcmp(key, "files");
}

int ldm_resume_compare(const ldm_command *cmd, const char *name, json_t *its, json_t *ours)
{
    const char *key;
    json_t *value;

    json_object_foreach(ours, key, value)
    {
        const json_t *other = json_object_get(its, key);

        if (is_incidental(key) ||
            (!other && (was_implied(key, value) || !strcmp(key, "vocabulary"))))
            continue; /* recipes had no vocabulary once */
        if (!strcmp(key, "checkpoint")) {
            /* The same bytes under another name are the same model. */
            value = json_object_get(value, "sha256");
            other = json_object_get(other, "sha256");
            if (!json_equal(value, other))
                return other_value(cmd, name, "checkpoint's SHA-256", other, value);
        } else if (!json_equal(value, other)) {
            return !strcmp(key, "config") && json_is_string(value) && json_is_string(other)
                       ? other_config(cmd, name, json_string_value(other), json_string_value(value))
                       : other_value(cmd, name, key, other, value);
        }
    }
    json_object_foreach(its, key, value)
    {
        if (!is_incidental(key) && !json_object_get(ours, key))
            return other_value(cmd, name, key, value, NULL);
    }
    return LDM_EXIT_OK;
}

static int parse_recipe(const ldm_command *cmd, const char *name, const char *text, json_t **out)
{
    json_error_t jerr;

    *out = json_loads(text, JSON_REJECT_DUPLICATES, &jerr);
    if (json_is_object(*out))
        return LDM_EXIT_OK;
    if (cmd)
        ldm_cli_say(cmd, "the recipe in %s is damaged: %s", name,
                    *out ? "it is not a JSON object" : jerr.text);
    return LDM_EXIT_FAILED;
}

/* A picture that cannot be read, with what to do about it. */
static int unreadable(const ldm_command *cmd, ldm_status st, const ldm_error *err)
{
    if (!cmd || st != LDM_ERR_FORMAT)
        return fail(cmd, st, err);
    ldm_cli_say(cmd, "%s; remove or move it, and --resume makes it again", err->msg);
    return LDM_EXIT_FAILED;
}

static int check_recipe(const ldm_command *cmd, ldm_run *run, const char *name, int index)
{
    char *its_text = NULL, *our_text = NULL;
    json_t *its = NULL, *ours = NULL;
    ldm_error err;
    ldm_status st = ldm_image_read_recipe(name, &its_text, &err);
    int code;

    if (st)
        return unreadable(cmd, st, &err);
    st = ldm_run_recipe(run, index, &our_text, &err);
    code = st ? fail(cmd, st, &err) : parse_recipe(cmd, name, its_text, &its);
    if (!code)
        code = parse_recipe(cmd, "this run", our_text, &ours);
    if (!code)
        code = ldm_resume_compare(cmd, name, its, ours);
    json_decref(its);
    json_decref(ours);
    ldm_release(its_text);
    ldm_release(our_text);
    return code;
}

/* The pixels are read although only sheets need them: a kept picture has to be whole. */
static int check_pixels(const ldm_command *cmd, const char *name, const ldm_run_info *ri,
                        uint8_t *rgb)
{
    ldm_image im;
    ldm_error err;
    ldm_status st = ldm_image_read(name, &im, &err);
    int code = LDM_EXIT_OK;

    if (st)
        return unreadable(cmd, st, &err);
    if (im.width != ri->image_w || im.height != ri->image_h) {
        if (cmd)
            ldm_cli_say(cmd, "%s is %d x %d, its recipe makes %d x %d; move it away", name,
                        im.width, im.height, ri->image_w, ri->image_h);
        code = LDM_EXIT_FAILED;
    } else if (rgb) {
        memcpy(rgb, im.pixels, (size_t)im.width * (size_t)im.height * 3);
    }
    ldm_release(im.pixels);
    return code;
}

int ldm_resume_look(const ldm_command *cmd, const ldm_output *out, ldm_run *run,
                    const ldm_run_info *ri, int i, uint8_t *rgb, bool *kept)
{
    char *name = ldm_output_name(out, i);
    int code = LDM_EXIT_OK;

    *kept = false;
    if (!name)
        return fail(cmd, LDM_ERR_NOMEM, &(ldm_error){.msg = "out of memory"});
    if (!access(name, F_OK)) {
        code = check_recipe(cmd, run, name, i);
        if (!code)
            code = check_pixels(cmd, name, ri, rgb);
        *kept = !code;
    }
    free(name);
    return code;
}

int ldm_resume_scan(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out,
                    ldm_run *run, const ldm_run_info *ri, bool *kept, uint8_t *rgb, int *count)
{
    size_t bytes = (size_t)ri->image_w * (size_t)ri->image_h * 3;
    int code = LDM_EXIT_OK;

    *count = 0;
    if (access(out->folder, F_OK))
        return LDM_EXIT_OK; /* nothing was made yet */
    if (!o->dry_run)
        code = ldm_resume_sweep(cmd, out->folder);
    for (int i = 0; !code && i < ri->count && !ldm_signals_interrupted(); i++) {
        code =
            ldm_resume_look(cmd, out, run, ri, i, rgb ? rgb + (size_t)i * bytes : NULL, &kept[i]);
        *count += kept[i];
    }
    return code;
}

int ldm_resume_refuse(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out,
                      ldm_run *run, const ldm_run_info *ri)
{
    bool ours = !ldm_arrays_first(o); /* they are in no recipe: nothing would show it */

    for (int i = 0; ours && i < ri->count; i++) {
        if (ldm_resume_look(NULL, out, run, ri, i, NULL, &ours))
            ours = false;
    }
    if (ours)
        ldm_cli_say(cmd,
                    "-o: folder '%s' holds the %d picture%s of this command already, complete: "
                    "nothing is left to do; --resume -n N makes more of them, another --seed and "
                    "folder make others, --overwrite makes the same ones again",
                    out->folder, ri->count, ri->count == 1 ? "" : "s");
    else
        ldm_cli_say(cmd,
                    "-o: folder '%s' holds %d file%s of another run; --overwrite replaces files of "
                    "the same name; or name another folder",
                    out->folder, out->taken, out->taken == 1 ? "" : "s");
    return LDM_EXIT_FAILED;
}
