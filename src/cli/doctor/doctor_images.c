/* SPDX-License-Identifier: MIT */
/* Pictures for the doctor; see doctor_images.h. */
#include "cli/doctor/doctor_images.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "cli/sheets.h"

enum { MAX_IN_FOLDER = 100000 };

bool ldm_doctor_is_picture(const char *path)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg"};
    const size_t len = strlen(path);

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i]);

        if (len > n && !strcasecmp(path + len - n, endings[i]))
            return true;
    }
    return false;
}

static int take_file(const ldm_command *cmd, ldm_doctor *d, const char *path)
{
    ldm_image im;
    ldm_error err;
    ldm_status st = ldm_image_read(path, &im, &err);

    if (!st) {
        st = ldm_doctor_add_image(d, &im, &err);
        ldm_release(im.pixels);
    }
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

static int is_wanted(const struct dirent *e)
{
    return e->d_name[0] != '.' && ldm_doctor_is_picture(e->d_name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int ldm_doctor_take_images(const ldm_command *cmd, ldm_doctor *d, const char *path, bool quiet)
{
    struct dirent **list;
    int n, code = LDM_EXIT_OK;

    if (!ldm_is_dir(path))
        return take_file(cmd, d, path);
    n = scandir(path, &list, is_wanted, by_name);
    if (n < 0)
        return ldm_cli_usage(cmd, "--images: the folder %s cannot be read", path);
    if (!n)
        code = ldm_cli_usage(cmd, "--images: the folder %s holds no .png, .jpg or .jpeg", path);
    else if (!quiet)
        ldm_folder_note_unread(cmd, path);
    for (int i = 0; i < n; i++) {
        char *file =
            code || i >= MAX_IN_FOLDER ? NULL : ldm_cli_format("%s/%s", path, list[i]->d_name);

        if (file)
            code = take_file(cmd, d, file);
        else if (!code)
            code = ldm_cli_nomem(cmd);
        free(file);
        free(list[i]);
    }
    free(list);
    return code;
}
