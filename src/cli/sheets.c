/* SPDX-License-Identifier: MIT */
/* Contact sheets, animations and folders of pictures; see sheets.h. */
#include "cli/sheets.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json_text.h"
#include "cli/outputs.h"

/* By ldm_sheet_kind: the key of its mark in a recipe, and what messages call it. */
static const char *const kinds[][2] = {{"sheet", "a contact sheet"}, {"animation", "an animation"}};

char *ldm_sheet_recipe(const char *first, ldm_sheet_kind kind, size_t pictures)
{
    json_t *root = first ? json_loads(first, 0, NULL) : json_object();
    json_t *mark = json_pack("{s:I}", "pictures", (json_int_t)pictures);
    char *text = NULL;

    if (!json_object_set_new(root, kinds[kind][0], mark))
        text = ldm_cli_json_dump(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    json_decref(root);
    return text;
}

int ldm_sheet_pictures(const char *path, const char **what)
{
    char *text = NULL;
    json_t *root;
    json_int_t n = 0;

    if (ldm_image_read_recipe(path, &text, NULL))
        return 0;
    root = json_loads(text, 0, NULL);
    ldm_release(text);
    for (size_t i = 0; n <= 0 && i < sizeof kinds / sizeof *kinds; i++) {
        n = json_integer_value(json_object_get(json_object_get(root, kinds[i][0]), "pictures"));
        if (what)
            *what = kinds[i][1];
    }
    json_decref(root);
    return n < 0 ? 0 : n > 1000000 ? 1000000 : (int)n;
}

static int is_picture(const struct dirent *e)
{
    const char *dot = strrchr(e->d_name, '.');

    return e->d_name[0] != '.' && dot &&
           (!strcasecmp(dot, ".png") || !strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
}

static int is_unread(const struct dirent *e)
{
    return e->d_name[0] != '.' && ldm_output_ends_in(e->d_name, ldm_unread_pictures);
}

/* How many pictures of other kinds are in the folder, and the first (free() it), or NULL. */
static int unread_in(const char *folder, char **first)
{
    struct dirent **found = NULL;
    const int n = scandir(folder, &found, is_unread, alphasort);

    *first = n > 0 ? strdup(found[0]->d_name) : NULL;
    for (int i = 0; i < n; i++)
        free(found[i]);
    free(found);
    return *first ? n : 0;
}

void ldm_folder_note_unread(const ldm_command *cmd, const char *folder)
{
    char *first;
    const int n = unread_in(folder, &first);

    if (n)
        ldm_cli_say(cmd,
                    "note: '%s' holds %d picture%s of a kind that ldm does not read (%s%s), left "
                    "out; save as PNG or JPEG",
                    folder, n, n == 1 ? "" : "s", first, n == 1 ? "" : ", ...");
    free(first);
}

void ldm_paths_free(char **paths, size_t count)
{
    for (size_t i = 0; paths && i < count; i++)
        free(paths[i]);
    free(paths);
}

static int say_empty(const ldm_command *cmd, const char *folder)
{
    char *first;
    const int n = unread_in(folder, &first);

    if (n)
        ldm_cli_say(cmd,
                    "'%s' is a folder without pictures that ldm reads (*.png, *.jpg); %s%s: save "
                    "as PNG or JPEG",
                    folder, first, n == 1 ? "" : ", ...");
    else
        ldm_cli_say(cmd, "'%s' is a folder without pictures (*.png, *.jpg)", folder);
    free(first);
    return LDM_EXIT_FAILED;
}

int ldm_folder_pictures(const ldm_command *cmd, const char *folder, bool quiet, char ***paths,
                        size_t *count)
{
    const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
    struct dirent **found = NULL;
    int n = scandir(folder, &found, is_picture, alphasort), code = LDM_EXIT_OK;

    *paths = NULL;
    *count = 0;
    if (n < 0) {
        ldm_cli_say(cmd, "cannot read folder '%s': %s", folder, strerror(errno));
        return LDM_EXIT_FAILED;
    }
    if (!n) {
        code = say_empty(cmd, folder);
    } else {
        if (!quiet)
            ldm_folder_note_unread(cmd, folder);
        *paths = calloc((size_t)n, sizeof **paths);
        for (int i = 0; *paths && i < n; i++) {
            (*paths)[i] = ldm_cli_format("%s%s%s", folder, slash, found[i]->d_name);
            *count += (*paths)[i] != NULL;
        }
        if (*count < (size_t)n)
            code = ldm_cli_nomem(cmd);
    }
    for (int i = 0; i < n; i++)
        free(found[i]);
    free(found);
    return code;
}
