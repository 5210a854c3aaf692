/* SPDX-License-Identifier: MIT */
/* Where the pictures of ldm generate go; see generate.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/generate/generate.h"

static const char default_folder[] = "generated_outputs/"; /* of one folder a run */

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

/* The folder need not exist: its nearest ancestor that does must be one, and writable. */
static int check_folder(const ldm_command *cmd, const char *option, const char *folder)
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
    code = dir ? check_folder(cmd, option, dir) : ldm_cli_nomem(cmd);
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

/* ---- what a name says ------------------------------------------------------------------------ */

/* The ending of the last part of a path, with its dot; "": it has none. */
static const char *ending_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    return dot && dot != name ? dot : "";
}

static bool is_one_of(const char *ending, const char *const *list)
{
    for (; *list; list++) {
        if (!strcasecmp(ending, *list))
            return true;
    }
    return false;
}

/* A name of one picture in a format that is written. */
static bool names_picture(const char *path)
{
    static const char *const written[] = {".png", ".jpg", ".jpeg", NULL};

    return is_one_of(ending_of(path), written);
}

/* Names of other kinds of pictures are no folders either. */
static int refuse_ending(const ldm_command *cmd, const char *path, int count)
{
    static const char *const others[] = {".gif", ".bmp",  ".webp", ".tif", ".tiff", ".ppm",
                                         ".pnm", ".heic", ".avif", ".jxl", ".jp2",  ".exr",
                                         ".svg", ".npy",  ".npz",  NULL};
    const char *ending = ending_of(path);

    if (!*ending || (count > 1 && !is_one_of(ending, others)))
        return LDM_EXIT_OK;
    return ldm_cli_usage(cmd,
                         "-o: '%s' ends in %s, and pictures are written as .png, .jpg or .jpeg; "
                         "name one of these, or a folder: %s/",
                         path, ending, path);
}

/* "face.png" -> "face.npz" */
static char *with_suffix(const char *file, const char *suffix)
{
    size_t len = strlen(file);
    char *stem = strdup(file), *name;

    if (!stem)
        return NULL;
    stem[len - strlen(ending_of(file))] = '\0';
    name = ldm_cli_format("%s%s", stem, suffix);
    free(stem);
    return name;
}

/* The later of two results under one name would replace the earlier. */
static int check_names(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out)
{
    const char *names[] = {out->file, out->npz, o->save_latent, o->save_image};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t k = 0; k < i; k++) {
            if (names[i] && names[k] && !strcmp(names[i], names[k]))
                return ldm_cli_usage(cmd, "'%s' is named for two results; give each its own name",
                                     names[i]);
        }
    }
    return LDM_EXIT_OK;
}

/* ---- what is there already ------------------------------------------------------------------- */

bool ldm_output_is_ours(const char *name, size_t len)
{
    const size_t digits = strspn(name, "0123456789");

    return (len == strlen("grid.png") && !strncmp(name, "grid.png", len)) ||
           (len == strlen("samples.npz") && !strncmp(name, "samples.npz", len)) ||
           (digits >= 5 && len == digits + 4 && !strncmp(name + digits, ".png", 4));
}

/* The highest number that a run's folder has; 0: there is none. */
static int last_run(void)
{
    DIR *dir = opendir(default_folder);
    const struct dirent *e;
    int last = 0;

    while (dir && (e = readdir(dir))) {
        size_t digits = strspn(e->d_name, "0123456789");

        if (digits >= 4 && digits <= 9 && !e->d_name[digits] && strtol(e->d_name, NULL, 10) > last)
            last = (int)strtol(e->d_name, NULL, 10);
    }
    if (dir)
        closedir(dir);
    return last;
}

char *ldm_output_fresh_folder(void)
{
    return ldm_cli_format("%s%04d/", default_folder, last_run() + 1);
}

/* Whether this run of `count` pictures replaces the file. */
static bool is_replaced(const ldm_generate_opts *o, const char *name, int count)
{
    return name[0] == 'g' ? o->grid : name[0] == 's' ? o->npz : strtol(name, NULL, 10) < count;
}

/* Pictures of another run in the folder: an error, or a note about those that stay. */
static int check_taken(const ldm_command *cmd, const ldm_generate_opts *o, const char *folder,
                       int count)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;
    int there = 0, stay = 0;

    while (dir && (e = readdir(dir))) {
        if (ldm_output_is_ours(e->d_name, strlen(e->d_name))) {
            there++;
            stay += !is_replaced(o, e->d_name, count > 0 ? count : 1);
        }
    }
    if (dir)
        closedir(dir);
    if (there && !o->overwrite) {
        ldm_cli_say(cmd,
                    "-o: folder '%s' holds %d file%s of another run; --resume goes on with that "
                    "run, --overwrite replaces files of the same name; or name another folder",
                    folder, there, there == 1 ? "" : "s");
        return LDM_EXIT_FAILED;
    }
    if (stay && !o->quiet)
        ldm_cli_say(cmd, "note: %d file%s of another run stay%s in folder '%s'", stay,
                    stay == 1 ? "" : "s", stay == 1 ? "s" : "", folder);
    return LDM_EXIT_OK;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Names in the folder `path`. An exit code. */
static int name_folder(const ldm_command *cmd, const ldm_generate_opts *o, const char *path,
                       ldm_output *out)
{
    free(out->folder);
    free(out->npz);
    free(out->grid);
    out->folder = ldm_cli_format("%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/");
    out->npz = out->folder && o->npz ? ldm_cli_format("%ssamples.npz", out->folder) : NULL;
    out->grid = out->folder && o->grid ? ldm_cli_format("%sgrid.png", out->folder) : NULL;
    return out->folder && !o->npz == !out->npz && !o->grid == !out->grid ? LDM_EXIT_OK
                                                                         : ldm_cli_nomem(cmd);
}

static int name_numbered(const ldm_command *cmd, const ldm_generate_opts *o, int number,
                         ldm_output *out)
{
    char path[48];

    snprintf(path, sizeof path, "%s%04d/", default_folder, number);
    out->number = number;
    return name_folder(cmd, o, path, out);
}

static int plan_folder(const ldm_command *cmd, const ldm_generate_opts *o, int count,
                       ldm_output *out)
{
    int last = o->out ? 0 : last_run(), code;

    if (o->out)
        code = name_folder(cmd, o, o->out, out);
    else
        code = name_numbered(cmd, o, o->resume && last ? last : last + 1, out);
    if (!code)
        code = check_folder(cmd, "-o", out->folder);
    if (!code && o->out && !o->resume && !o->dry_run)
        code = check_taken(cmd, o, out->folder, count);
    return code;
}

static int plan_file(const ldm_command *cmd, const ldm_generate_opts *o, ldm_output *out)
{
    int code;

    out->file = strdup(o->out);
    if (out->file && o->npz)
        out->npz = with_suffix(o->out, ".npz");
    if (!out->file || (o->npz && !out->npz))
        return ldm_cli_nomem(cmd);
    if (o->grid && !o->quiet)
        ldm_cli_say(cmd, "note: --grid of one picture is the picture itself: %s", o->out);
    code = ldm_output_check_file(cmd, "-o", o->out);
    if (!code && !o->quiet && !o->overwrite && !o->dry_run && !access(o->out, F_OK))
        ldm_cli_say(cmd, "note: %s is there already and will be replaced", o->out);
    return code;
}

int ldm_output_plan(const ldm_command *cmd, const ldm_generate_opts *o, int count, ldm_output *out)
{
    const char *path = o->out ? o->out : default_folder;
    int code;

    memset(out, 0, sizeof *out);
    out->lock = -1;
    if (!strcmp(path, "-"))
        return ldm_cli_usage(cmd, "-o: pictures cannot be written to stdout; name a file");
    if (o->resume && o->overwrite)
        return ldm_cli_usage(cmd, "--resume keeps pictures and --overwrite replaces them: give "
                                  "one of the two");
    if (ldm_is_dir(path) || path[strlen(path) - 1] == '/')
        code = plan_folder(cmd, o, count, out);
    else if (names_picture(path) && count > 1)
        code = ldm_cli_usage(cmd,
                             "-o: '%s' is the name of one picture, and %d are made; name a folder, "
                             "e.g. %.*s/",
                             path, count, (int)(strlen(path) - strlen(ending_of(path))), path);
    else if (names_picture(path))
        code = plan_file(cmd, o, out);
    else
        code = refuse_ending(cmd, path, count);
    if (!code && !out->file && !out->folder)
        code = plan_folder(cmd, o, count, out);
    if (!code)
        code = ldm_output_check_file(cmd, "--save-latent", o->save_latent);
    if (!code)
        code = ldm_output_check_file(cmd, "--save-image", o->save_image);
    return code ? code : check_names(cmd, o, out);
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

int ldm_output_make(const ldm_command *cmd, const ldm_generate_opts *o, ldm_output *out)
{
    int code;

    if (!out->folder)
        return ldm_output_make_parent(cmd, "-o", out->file);
    if (!out->number || o->resume)
        return ldm_output_make_folder(cmd, "-o", out->folder);
    code = ldm_output_make_folder(cmd, "-o", default_folder);
    while (!code && mkdir(out->folder, 0777)) {
        if (errno == EEXIST) {
            code = name_numbered(cmd, o, out->number + 1, out);
        } else {
            ldm_cli_say(cmd, "-o: cannot make folder '%s': %s", out->folder, strerror(errno));
            code = LDM_EXIT_FAILED;
        }
    }
    return code;
}

char *ldm_output_name(const ldm_output *out, int i)
{
    char name[24];

    if (!out->folder)
        return strdup(out->file);
    snprintf(name, sizeof name, "%05d.png", i);
    return ldm_cli_format("%s%s", out->folder, name);
}

void ldm_output_free(ldm_output *out)
{
    free(out->folder);
    free(out->file);
    free(out->npz);
    free(out->grid);
    if (out->lock >= 0)
        close(out->lock);
    memset(out, 0, sizeof *out);
}

int ldm_generate_count(const ldm_generate_opts *o)
{
    return ldm_job_is_set(o->to.job, "count") ? ldm_job_get_int(o->to.job, "count") : 0;
}
