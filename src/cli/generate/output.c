/* Where the pictures of ldm generate go; see generate.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/generate/generate.h"

static const char default_folder[] = "generated_outputs/";

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

int ldm_output_check_file(const ldm_command *cmd, const char *option, const char *path)
{
    struct stat there;
    char *dir;
    int code = LDM_EXIT_OK;

    if (!path)
        return LDM_EXIT_OK;
    if (ldm_is_dir(path) || path[strlen(path) - 1] == '/')
        return ldm_cli_usage(cmd, "%s: '%s' is a folder; name a file", option, path);
    if (!lstat(path, &there) && !S_ISREG(there.st_mode))
        return ldm_cli_usage(cmd, "%s: '%s' is a device, pipe or link; name a file", option, path);
    dir = parent_of(path);
    if (!dir)
        return ldm_cli_nomem(cmd);
    if (!ldm_is_dir(dir)) {
        ldm_cli_say(cmd, "%s: cannot write '%s': there is no folder '%s'; make it first", option,
                    path, dir);
        code = LDM_EXIT_FAILED;
    } else if (access(dir, W_OK | X_OK)) {
        ldm_cli_say(cmd, "%s: cannot write '%s': folder '%s': %s", option, path, dir,
                    strerror(errno));
        code = LDM_EXIT_FAILED;
    }
    free(dir);
    return code;
}

/* The folder need not exist: its nearest ancestor that does must be one, and writable. */
static int check_folder(const ldm_command *cmd, const char *folder)
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
            ldm_cli_say(cmd, "-o: cannot make folder '%s': %s", folder, strerror(errno));
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
        ldm_cli_say(cmd, "-o: '%s' is a file; several pictures need a folder", dir);
        code = LDM_EXIT_FAILED;
    } else if (access(dir, W_OK | X_OK)) {
        ldm_cli_say(cmd, "-o: cannot write to folder '%s': %s", dir, strerror(errno));
        code = LDM_EXIT_FAILED;
    }
    free(dir);
    return code;
}

/* "face.png" -> "face.npz" */
static char *with_suffix(const char *file, const char *suffix)
{
    size_t len = strlen(file);
    char *stem = strdup(file), *name;

    if (!stem)
        return NULL;
    if (len > 4 && !strcmp(file + len - 4, ".png"))
        stem[len - 4] = '\0';
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

int ldm_output_plan(const ldm_command *cmd, const ldm_generate_opts *o, int count, ldm_output *out)
{
    const char *path = o->out ? o->out : default_folder;
    size_t len = strlen(path);
    int code;

    memset(out, 0, sizeof *out);
    out->lock = -1;
    if (!strcmp(path, "-"))
        return ldm_cli_usage(cmd, "-o: pictures cannot be written to stdout; name a file");
    if (ldm_is_dir(path) || path[len - 1] == '/' || count > 1) {
        out->folder = ldm_cli_format("%s%s", path, path[len - 1] == '/' ? "" : "/");
        if (out->folder && o->npz)
            out->npz = ldm_cli_format("%s%s", out->folder, "samples.npz");
        if (out->folder && o->grid)
            out->grid = ldm_cli_format("%s%s", out->folder, "grid.png");
        if (!out->folder || (o->npz && !out->npz) || (o->grid && !out->grid))
            return ldm_cli_nomem(cmd);
        code = check_folder(cmd, out->folder);
    } else {
        out->file = strdup(path);
        if (out->file && o->npz)
            out->npz = with_suffix(path, ".npz");
        if (!out->file || (o->npz && !out->npz))
            return ldm_cli_nomem(cmd);
        if (o->grid && !o->quiet)
            ldm_cli_say(cmd, "note: --grid of one picture is the picture itself: %s", path);
        code = ldm_output_check_file(cmd, "-o", path);
    }
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

int ldm_output_make(const ldm_command *cmd, const ldm_output *out)
{
    return out->folder ? ldm_output_make_folder(cmd, "-o", out->folder) : LDM_EXIT_OK;
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
