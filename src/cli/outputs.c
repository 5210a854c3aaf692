/* SPDX-License-Identifier: MIT */
/* Names of results; see outputs.h. */
#include "cli/outputs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* ---- folders --------------------------------------------------------------------------------- */

/* The folder part of a path: "." for a bare name. free() it. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir;

    if (!slash)
        return strdup(".");
    if (slash == path)
        return strdup("/");
    dir = strdup(path);
    if (dir)
        dir[slash - path] = '\0';
    return dir;
}

int ldm_output_check_folder(const ldm_command *cmd, const char *option, const char *folder)
{
    char *dir = strdup(folder), *up;
    struct stat st;
    int code = LDM_EXIT_OK;

    while (dir) {
        size_t len = strlen(dir);

        while (len > 1 && dir[len - 1] == '/')
            dir[--len] = '\0';
        if (!stat(dir, &st))
            break;
        if (errno != ENOENT) {
            ldm_cli_say(cmd, "%s: cannot make folder '%s': %s", option, folder, strerror(errno));
            free(dir);
            return LDM_EXIT_FAILED;
        }
        up = parent_of(dir);
        free(dir);
        dir = up;
    }
    if (!dir)
        return ldm_cli_nomem(cmd);
    if (!S_ISDIR(st.st_mode)) {
        ldm_cli_say(cmd, "%s: '%s' is a file, and a folder is needed there", option, dir);
        code = LDM_EXIT_FAILED;
    } else if (access(dir, W_OK | X_OK)) {
        ldm_cli_say(cmd, "%s: cannot write to folder '%s': %s", option, dir, strerror(errno));
        code = LDM_EXIT_FAILED;
    }
    free(dir);
    return code;
}

int ldm_output_check_file(const ldm_command *cmd, const char *option, const char *path)
{
    struct stat there;
    char *dir;
    int code;

    if (!path)
        return LDM_EXIT_OK;
    if (ldm_is_dir(path) || path[strlen(path) - 1] == '/')
        return ldm_cli_usage(cmd, "%s: '%s' is a folder; name a file", option, path);
    if (!lstat(path, &there) && !S_ISREG(there.st_mode))
        return ldm_cli_usage(cmd, "%s: '%s' is a device, pipe or link; name a file", option, path);
    dir = parent_of(path);
    code = dir ? ldm_output_check_folder(cmd, option, dir) : ldm_cli_nomem(cmd);
    free(dir);
    return code;
}

int ldm_output_make_parent(const ldm_command *cmd, const char *option, const char *path)
{
    char *dir = path ? parent_of(path) : NULL;
    int code = LDM_EXIT_OK;

    if (dir && !ldm_is_dir(dir))
        code = ldm_output_make_folder(cmd, option, dir);
    else if (path && !dir)
        code = ldm_cli_nomem(cmd);
    free(dir);
    return code;
}

int ldm_output_make_folder(const ldm_command *cmd, const char *option, const char *folder)
{
    ldm_error err;
    ldm_status st = ldm_make_dirs(folder, &err);

    if (!st)
        return LDM_EXIT_OK;
    ldm_cli_say(cmd, "%s: %s", option, err.msg);
    return LDM_EXIT_FAILED;
}

/* ---- what a name says ------------------------------------------------------------------------ */

const char *ldm_output_ending(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    return dot && dot != name ? dot : "";
}

bool ldm_output_ends_in(const char *path, const char *const *endings)
{
    const char *ending = ldm_output_ending(path);

    for (; *endings; endings++) {
        if (!strcasecmp(ending, *endings))
            return true;
    }
    return false;
}

static const char *const picture_endings[] = {".png", ".jpg", ".jpeg", NULL};
static const char *const animation_endings[] = {".png", ".apng", NULL};
const ldm_output_form ldm_output_pictures = {"pictures are written as .png, .jpg or .jpeg",
                                             picture_endings};
const ldm_output_form ldm_output_animations = {"an animation is written as .png or .apng",
                                               animation_endings};

/* Names of other kinds of pictures are no folders. */
static const char *const other_endings[] = {".gif", ".bmp",  ".webp", ".tif", ".tiff", ".ppm",
                                            ".pnm", ".heic", ".avif", ".jxl", ".jp2",  ".exr",
                                            ".svg", ".mp4",  ".webm", ".npy", ".npz",  NULL};

int ldm_output_is_file(const ldm_command *cmd, const char *path, int count,
                       const ldm_output_form *form, bool *file)
{
    const char *ending = ldm_output_ending(path);

    *file = false;
    if (ldm_is_dir(path) || path[strlen(path) - 1] == '/' || !*ending)
        return LDM_EXIT_OK;
    *file = ldm_output_ends_in(path, form->endings);
    if (*file && count > 1)
        return ldm_cli_usage(cmd,
                             "-o: '%s' is the name of one picture, and %d are made; name a folder, "
                             "e.g. %.*s/",
                             path, count, (int)(strlen(path) - strlen(ending)), path);
    if (*file || (count > 1 && !ldm_output_ends_in(path, other_endings)))
        return LDM_EXIT_OK;
    return ldm_cli_usage(cmd, "-o: '%s' ends in %s, and %s; name one of these, or a folder: %s/",
                         path, ending, form->said, path);
}

/* ---- what is there already ------------------------------------------------------------------- */

void ldm_output_note_replaced(const ldm_command *cmd, const char *path)
{
    if (!access(path, F_OK))
        ldm_cli_say(cmd, "note: %s is there already and will be replaced", path);
}

int ldm_output_check_picture(const ldm_command *cmd, const char *path, bool quiet)
{
    struct stat there;
    char *recipe;

    if (stat(path, &there) || !there.st_size)
        return LDM_EXIT_OK;
    if (ldm_image_read_recipe(path, &recipe, NULL)) {
        ldm_cli_say(cmd,
                    "-o: %s is there already, and no picture that ldm made; --overwrite replaces "
                    "it, or give another name",
                    path);
        return LDM_EXIT_FAILED;
    }
    ldm_release(recipe);
    if (!quiet)
        ldm_output_note_replaced(cmd, path);
    return LDM_EXIT_OK;
}

int ldm_output_check_input(const ldm_command *cmd, const char *path, const char *input)
{
    struct stat out, in;

    if (!path || !input || stat(path, &out) || stat(input, &in) || out.st_dev != in.st_dev ||
        out.st_ino != in.st_ino)
        return LDM_EXIT_OK;
    return ldm_cli_usage(cmd, "-o: %s is what is read here; give the result another name", path);
}

int ldm_output_check_array(const ldm_command *cmd, const char *option, const char *path, bool quiet)
{
    static const char *const endings[] = {".npy", NULL};
    int code = ldm_output_check_file(cmd, option, path);

    if (code || !path)
        return code;
    if (!ldm_output_ends_in(path, endings))
        return ldm_cli_usage(
            cmd, "%s: '%s': the result is an array, expected a name ending in .npy", option, path);
    if (!quiet)
        ldm_output_note_replaced(cmd, path);
    return LDM_EXIT_OK;
}

int ldm_output_check_new(const ldm_command *cmd, const char *option, const char *path,
                         bool overwrite)
{
    const int code = ldm_output_check_file(cmd, option, path);

    if (code || overwrite || access(path, F_OK))
        return code;
    ldm_cli_say(cmd, "%s: %s is there already; --overwrite replaces it, or give another name",
                option, path);
    return LDM_EXIT_FAILED;
}

int ldm_output_check_statistics(const ldm_command *cmd, const char *option, const char *path)
{
    static const char *const arrays[] = {".npz", NULL};
    ldm_stats *there = NULL;
    int code = ldm_output_check_file(cmd, option, path);

    if (!code && path && ldm_output_ends_in(path, arrays))
        return ldm_cli_usage(
            cmd,
            "%s: %s is a name of the Inception network's statistics, which `ldm "
            "metrics --inception FILE --write-stats %s FOLDER` computes; statistics "
            "of the model's own encoder take another ending",
            option, path, path);
    if (code || !path || access(path, F_OK))
        return code;
    if (ldm_stats_read(path, &there, NULL))
        return ldm_cli_usage(cmd,
                             "%s: %s is there already and holds no statistics; give another name",
                             option, path);
    ldm_stats_free(there);
    ldm_output_note_replaced(cmd, path);
    return LDM_EXIT_OK;
}
