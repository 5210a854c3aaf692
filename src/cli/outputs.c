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
        ldm_cli_say(cmd, "%s: '%s' is a %s, and a folder is needed there", option, dir,
                    S_ISREG(st.st_mode) ? "file" : "device, pipe or socket");
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
    const char *name = ldm_file_name(path);
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

const char *const ldm_unread_pictures[] = {".webp", ".gif",  ".bmp",  ".tif", ".tiff",
                                           ".heic", ".heif", ".avif", ".jxl", ".jp2",
                                           ".ppm",  ".pnm",  ".exr",  NULL};

/* Names of files of other kinds are no folders. */
static const char *const other_endings[] = {".svg", ".mp4", ".webm", ".npy", ".npz", NULL};

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
    if (*file || (count > 1 && !ldm_output_ends_in(path, other_endings) &&
                  !ldm_output_ends_in(path, ldm_unread_pictures)))
        return LDM_EXIT_OK;
    return ldm_cli_usage(cmd, "-o: '%s' ends in %s, and %s; name one of these, or a folder: %s/",
                         path, ending, form->said, path);
}

/* ---- what is there already ------------------------------------------------------------------- */

enum { HEAD = 512 };

/* The first bytes of a file, and a NUL; their number. */
static size_t read_head(const char *path, char head[HEAD + 1])
{
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(head, 1, HEAD, f) : 0;

    if (f)
        fclose(f);
    head[n] = '\0';
    return n;
}

bool ldm_output_made_picture(const char *path)
{
    char *recipe;

    if (ldm_image_read_recipe(path, &recipe, NULL))
        return false;
    ldm_release(recipe);
    return true;
}

static bool is_array(const char *path)
{
    char head[HEAD + 1];

    return read_head(path, head) > 6 && !memcmp(head, "\x93NUMPY", 6);
}

/* A zip (APPNOTE.TXT, 4.3.7: the first name is at byte 30, its length at 26) whose first entry is
 * an array. */
static bool is_arrays(const char *path)
{
    char head[HEAD + 1];
    const size_t n = read_head(path, head), most = HEAD - 30;
    const size_t len = n > 30 ? (unsigned char)head[26] + 256U * (unsigned char)head[27] : 0;

    return n > 30 && !memcmp(head, "PK\3\4", 4) && len > 4 && len <= most && n >= 30 + len &&
           !memcmp(head + 30 + len - 4, ".npy", 4);
}

static bool is_statistics(const char *path)
{
    ldm_stats *there = NULL;
    const bool is = !ldm_stats_read(path, &there, NULL);

    ldm_stats_free(there);
    return is;
}

static bool is_plot(const char *path)
{
    char head[HEAD + 1];

    return read_head(path, head) && !strncmp(head, "<svg ", 5) &&
           strstr(head, LDM_OUTPUT_PLOT_MARK);
}

static const struct {
    const char *missed; /* said of a file that is something else */
    bool (*is)(const char *path);
} kinds[] = {
    [LDM_OUTPUT_PICTURE] = {", and no picture that ldm made", ldm_output_made_picture},
    [LDM_OUTPUT_ARRAY] = {", and no array (.npy)", is_array},
    [LDM_OUTPUT_ARRAYS] = {", and holds no arrays (.npz)", is_arrays},
    [LDM_OUTPUT_STATISTICS] = {", and holds no statistics", is_statistics},
    [LDM_OUTPUT_PLOT] = {", and no roofline that ldm drew", is_plot},
    [LDM_OUTPUT_OTHER] = {"", NULL},
};

int ldm_output_check(const ldm_command *cmd, const char *option, const char *path,
                     ldm_output_kind kind, bool overwrite)
{
    struct stat there;
    const int code = ldm_output_check_file(cmd, option, path);

    if (code || !path || overwrite || stat(path, &there))
        return code;
    if (kinds[kind].is && (!there.st_size || kinds[kind].is(path)))
        return LDM_EXIT_OK;
    ldm_cli_say(cmd, "%s: %s is there already%s; --overwrite replaces it, or give another name",
                option, path, kinds[kind].missed);
    return LDM_EXIT_FAILED;
}

int ldm_output_check_array(const ldm_command *cmd, const char *option, const char *path,
                           bool overwrite)
{
    static const char *const endings[] = {".npy", NULL};
    const int code = ldm_output_check_file(cmd, option, path);

    if (code)
        return code;
    if (path && !ldm_output_ends_in(path, endings))
        return ldm_cli_usage(
            cmd, "%s: '%s': the result is an array, expected a name ending in .npy", option, path);
    return ldm_output_check(cmd, option, path, LDM_OUTPUT_ARRAY, overwrite);
}

int ldm_output_check_statistics(const ldm_command *cmd, const char *option, const char *path,
                                bool overwrite)
{
    static const char *const arrays[] = {".npz", NULL};

    if (path && ldm_output_ends_in(path, arrays))
        return ldm_cli_usage(
            cmd,
            "%s: %s is a name of the Inception network's statistics, which `ldm "
            "metrics --inception FILE --write-stats %s FOLDER` computes; statistics "
            "of the model's own encoder take another ending",
            option, path, path);
    return ldm_output_check(cmd, option, path, LDM_OUTPUT_STATISTICS, overwrite);
}

void ldm_output_note_replaced(const ldm_command *cmd, const char *path)
{
    if (path && !access(path, F_OK))
        ldm_cli_say(cmd, "note: %s is there already and will be replaced", path);
}

void ldm_output_say_written(const ldm_command *cmd, const char *what, const char *path)
{
    if (path)
        ldm_cli_say(cmd, "the %s are written to %s", what, path);
}

int ldm_output_check_input(const ldm_command *cmd, const char *path, const char *input)
{
    struct stat out, in;

    if (!path || !input || stat(path, &out) || stat(input, &in) || out.st_dev != in.st_dev ||
        out.st_ino != in.st_ino)
        return LDM_EXIT_OK;
    return ldm_cli_usage(cmd, "-o: %s is what is read here; give the result another name", path);
}
