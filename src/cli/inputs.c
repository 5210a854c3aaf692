/* SPDX-License-Identifier: MIT */
/* Files by what they are; see inputs.h. */
#include "cli/inputs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

typedef enum kind { NOTHING, FOLDER, CHECKPOINT, YAML, OTHER } kind;

static bool ends_in_one_of(const char *name, const char *const *endings, size_t count)
{
    const size_t len = strlen(name);

    for (size_t i = 0; i < count; i++) {
        const size_t n = strlen(endings[i]);

        if (len > n && !strcmp(name + len - n, endings[i]))
            return true;
    }
    return false;
}

static bool named_checkpoint(const char *name)
{
    static const char *const endings[] = {".ckpt", ".pt", ".pth", ".safetensors", ".bin"};

    return ends_in_one_of(name, endings, sizeof endings / sizeof *endings);
}

static bool named_yaml(const char *name)
{
    static const char *const endings[] = {".yaml", ".yml"};

    return ends_in_one_of(name, endings, sizeof endings / sizeof *endings);
}

static bool named_picture(const char *name)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg"};

    return ends_in_one_of(name, endings, sizeof endings / sizeof *endings);
}

/* A key at the beginning of a line. */
static bool has_key(const char *text, const char *key)
{
    const char *at = text;

    while ((at = strstr(at, key))) {
        if (at == text || at[-1] == '\n')
            return true;
        at++;
    }
    return false;
}

/* By the first bytes, by the name where they do not tell. */
static kind kind_of(const char *path)
{
    char head[4097];
    struct stat st;
    size_t n;
    FILE *f;

    if (stat(path, &st))
        return NOTHING;
    if (S_ISDIR(st.st_mode))
        return FOLDER;
    f = S_ISREG(st.st_mode) ? fopen(path, "rb") : NULL;
    if (!f)
        return OTHER;
    n = fread(head, 1, sizeof head - 1, f);
    fclose(f);
    head[n] = '\0';
    if ((n > 4 && !memcmp(head, "PK\3\4", 4)) || (n > 1 && (unsigned char)head[0] == 0x80) ||
        (n > 8 && head[8] == '{' && !head[7]))
        return CHECKPOINT; /* a zip, a pickle, a safetensors file of less than 2^56 bytes */
    if (strlen(head) == n && has_key(head, "model:"))
        return YAML;
    return named_checkpoint(path) ? CHECKPOINT : named_yaml(path) ? YAML : OTHER;
}

static void note(const ldm_command *cmd, bool quiet, const char *what, const char *path,
                 const char *as)
{
    if (!quiet)
        ldm_cli_say(cmd, "note: %s %s is taken as %s", what, path, as);
}

static int set(const ldm_command *cmd, ldm_model_options *model, const char *key, const char *value)
{
    ldm_error err;
    ldm_status st = ldm_model_options_set(model, key, value, &err);

    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

/* "steps=5": an option's name without its dashes. */
static bool refuse_assignment(const ldm_command *cmd, const char *path)
{
    char *key = ldm_cli_format("%.*s", (int)strcspn(path, "="), path);
    const bool is = key && ldm_setting_find(LDM_SETTINGS_JOB, key);

    if (is)
        ldm_cli_usage(cmd, "'%s' is no setting of the model; the option is written --%s %s", path,
                      key, strchr(path, '=') + 1);
    free(key);
    return is;
}

/* ---- arguments and exchanged options --------------------------------------------------------- */

static int take_argument(const ldm_command *cmd, ldm_model_options *model, const char *path,
                         bool quiet)
{
    const kind k = kind_of(path);

    if (k == NOTHING && strchr(path, '=') &&
        !refuse_assignment(cmd, path)) { /* as at the end of CompVis' command lines */
        note(cmd, quiet, "the assignment", path, "--set");
        return set(cmd, model, "set", path);
    }
    if (k == NOTHING && strchr(path, '='))
        return LDM_EXIT_USAGE;
    if (k == NOTHING && named_picture(path))
        return ldm_cli_usage(cmd,
                             "unexpected argument '%s': there is no such file; a result is named "
                             "by -o %s",
                             path, path);
    if (k == NOTHING && !strcmp(path, "help"))
        return ldm_cli_usage(cmd, "'ldm help %s' explains this command", cmd->name);
    if (k == NOTHING && (named_checkpoint(path) || named_yaml(path) || strchr(path, '/')))
        return ldm_cli_usage(cmd, "there is no file '%s'", path);
    if (k == NOTHING)
        return ldm_cli_usage(cmd,
                             "unexpected argument '%s'; files are given by options, e.g. --ckpt "
                             "FILE, and no file has that name",
                             path);
    if (k == OTHER)
        return ldm_cli_usage(cmd, "'%s' is neither a checkpoint nor a YAML configuration", path);
    if (k == YAML) {
        note(cmd, quiet, "the YAML file", path, "--config");
        return set(cmd, model, "config", path);
    }
    if (ldm_model_options_is_set(model, "ckpt"))
        return ldm_cli_usage(cmd, "'%s' is a second checkpoint beside '%s'; give one", path,
                             ldm_model_options_get_text(model, "ckpt"));
    note(cmd, quiet, k == FOLDER ? "the folder" : "the checkpoint", path, "--ckpt");
    return set(cmd, model, "ckpt", path);
}

/* A checkpoint among the configurations is the one of --ckpt; a YAML there is a configuration. */
static int exchange(const ldm_command *cmd, ldm_model_options *model, bool quiet)
{
    const char *ckpt = ldm_model_options_get_text(model, "ckpt");
    char *wrong = ckpt && kind_of(ckpt) == YAML ? strdup(ckpt) : NULL, *list = NULL, *found = NULL;
    char *line, *rest = NULL;
    int code = LDM_EXIT_OK;

    if (ldm_model_options_is_set(model, "config") &&
        ldm_model_options_get(model, "config", &list, NULL))
        return ldm_cli_nomem(cmd);
    for (line = list; line && !found;) { /* looked at without being taken apart */
        size_t len = strcspn(line, "\n");
        char *path = ldm_cli_format("%.*s", (int)len, line);

        if (path && kind_of(path) == CHECKPOINT)
            found = path;
        else
            free(path);
        line = line[len] ? line + len + 1 : NULL;
    }
    if (wrong && !found)
        code = ldm_cli_usage(cmd,
                             "--ckpt: %s is a YAML file, no checkpoint; give it with --config, and "
                             "the checkpoint with --ckpt",
                             wrong);
    else if (found && ckpt && !wrong)
        code = ldm_cli_usage(cmd, "--config: %s is a checkpoint, no YAML file, and --ckpt names %s",
                             found, ckpt);
    if (code || !found)
        goto done;
    (void)ldm_model_options_unset(model, "config", NULL);
    for (line = strtok_r(list, "\n", &rest); line && !code; line = strtok_r(NULL, "\n", &rest))
        code = strcmp(line, found) ? set(cmd, model, "config", line) : LDM_EXIT_OK;
    if (!code && wrong) {
        note(cmd, quiet, "the YAML file", wrong, "--config");
        code = set(cmd, model, "config", wrong);
    }
    note(cmd, quiet, "the checkpoint", found, "--ckpt");
    if (!code)
        code = set(cmd, model, "ckpt", found);
done:
    ldm_release(list);
    free(found);
    free(wrong);
    return code;
}

/* ---- looking into folders -------------------------------------------------------------------- */

/* The one file of the folder whose name `is` accepts, or NULL; *count: how many there are. With
 * `last` the last of several by name. free() it. */
static char *only_file(const char *folder, bool (*is)(const char *name), bool last, int *count)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;
    char *name = NULL, *path = NULL;

    *count = 0;
    while (dir && (e = readdir(dir))) {
        if (e->d_name[0] == '.' || !is(e->d_name))
            continue;
        if (!name || strcmp(e->d_name, name) > 0) {
            free(name);
            name = strdup(e->d_name);
        }
        ++*count;
    }
    if (dir)
        closedir(dir);
    if (name && (*count == 1 || last))
        path = ldm_cli_format("%s/%s", folder, name);
    free(name);
    return path;
}

/* folder/name if there is such a file. free() it. */
static char *file_in(const char *folder, const char *name)
{
    char *path = ldm_cli_format("%s/%s", folder, name);
    struct stat st;

    if (path && !stat(path, &st) && S_ISREG(st.st_mode))
        return path;
    free(path);
    return NULL;
}

/* What an unpacker leaves of a checkpoint, which is a zip file: data.pkl, here or in a folder in
 * it, which has the name of the file that was saved. */
static bool is_unpacked(const char *folder)
{
    char *path = file_in(folder, "data.pkl");
    DIR *dir = path ? NULL : opendir(folder);
    const struct dirent *e;
    bool found;

    while (dir && !path && (e = readdir(dir))) {
        char *name = e->d_name[0] != '.' ? ldm_cli_format("%s/data.pkl", e->d_name) : NULL;

        path = name ? file_in(folder, name) : NULL;
        free(name);
    }
    if (dir)
        closedir(dir);
    found = path != NULL;
    free(path);
    return found;
}

/* What diffusers writes: the library reads it as it is. */
static bool is_diffusers(const char *folder)
{
    char *path = file_in(folder, "model_index.json");
    bool is;

    if (!path)
        path = file_in(folder, "config.json");
    is = path != NULL;
    free(path);
    return is;
}

static int take_folder(const ldm_command *cmd, ldm_model_options *model, bool quiet)
{
    static const char *const names[] = {"model.ckpt", "last.ckpt", "checkpoints/last.ckpt"};
    char *folder = strdup(ldm_model_options_get_text(model, "ckpt")), *deeper = NULL, *path = NULL;
    int count = 0, code;

    for (size_t i = 0; folder && !path && i < sizeof names / sizeof *names; i++)
        path = file_in(folder, names[i]);
    if (folder && !path)
        path = only_file(folder, named_checkpoint, false, &count);
    if (folder && !path && !count) {
        deeper = ldm_cli_format("%s/checkpoints", folder);
        path = deeper ? only_file(deeper, named_checkpoint, false, &count) : NULL;
    }
    if (!path && count)
        code =
            ldm_cli_usage(cmd, "--ckpt: folder %s holds %d checkpoints; name one", folder, count);
    else if (!path && folder && is_unpacked(folder))
        code = ldm_cli_usage(cmd,
                             "--ckpt: %s is an unpacked checkpoint (it holds data.pkl): give the "
                             "file as it was before it was unpacked",
                             folder);
    else if (!path)
        code = ldm_cli_usage(cmd,
                             "--ckpt: %s is a folder without a checkpoint (model.ckpt, "
                             "checkpoints/last.ckpt, or one *.ckpt or *.safetensors)",
                             folder ? folder : "");
    else
        code = set(cmd, model, "ckpt", path);
    if (!code)
        note(cmd, quiet, "the checkpoint", path, "--ckpt");
    free(path);
    free(deeper);
    free(folder);
    return code;
}

int ldm_inputs_resolve(const ldm_command *cmd, ldm_model_options *model, int argc, char **argv,
                       bool quiet)
{
    int code = LDM_EXIT_OK;

    for (int i = 0; i < argc && !code; i++)
        code = take_argument(cmd, model, argv[i], quiet);
    if (!code)
        code = exchange(cmd, model, quiet);
    if (!code && ldm_model_options_is_set(model, "ckpt") &&
        kind_of(ldm_model_options_get_text(model, "ckpt")) == FOLDER &&
        !is_diffusers(ldm_model_options_get_text(model, "ckpt")))
        code = take_folder(cmd, model, quiet);
    return code;
}

int ldm_inputs_take_checkpoint(const ldm_command *cmd, ldm_model_options *model, int *argc,
                               char **argv, bool quiet)
{
    int code = LDM_EXIT_OK, kept = 0;

    for (int i = 0; i < *argc && !code; i++) {
        const kind k = kind_of(argv[i]);

        if (k == CHECKPOINT || k == FOLDER || (k == NOTHING && strchr(argv[i], '=')))
            code = take_argument(cmd, model, argv[i], quiet);
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    return code ? code : ldm_inputs_resolve(cmd, model, 0, NULL, quiet);
}

bool ldm_inputs_is_whole(const char *path)
{
    char text[1 << 14];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;

    if (f)
        fclose(f);
    text[n] = '\0';
    return has_key(text, "model:") && strstr(text, "unet_config:") && strstr(text, "target:");
}

char *ldm_inputs_in_folder(const ldm_command *cmd, const char *folder)
{
    ldm_model_options *model = NULL;
    ldm_error err;
    ldm_status st;
    char *path = NULL;

    if (is_diffusers(folder)) /* read as it is */
        return strdup(folder);
    st = ldm_model_options_create(&model, &err);
    if (!st)
        st = ldm_model_options_set(model, "ckpt", folder, &err);
    if (st)
        ldm_cli_fail(cmd, st, &err);
    else if (!take_folder(cmd, model, true))
        path = strdup(ldm_model_options_get_text(model, "ckpt"));
    ldm_model_options_free(model);
    return path;
}

/* ---- the configuration beside a checkpoint --------------------------------------------------- */

static bool is_project(const char *name)
{
    static const char *const endings[] = {"-project.yaml"};

    return ends_in_one_of(name, endings, 1);
}

/* What CompVis' training leaves: configs/2022-03-01T10-11-12-project.yaml, one for each start. */
static char *project_in(const char *folder)
{
    char *configs = ldm_cli_format("%s/configs", folder), *path;
    int count;

    path = configs ? only_file(configs, is_project, true, &count) : NULL;
    free(configs);
    return path;
}

/* *count: YAML files of the folder, where that is the reason why none is taken. */
static char *config_beside(const char *folder, const char *name, int *count)
{
    const char *dot = strrchr(name, '.');
    char *same = ldm_cli_format("%.*s.yaml", (int)(dot ? dot - name : (long)strlen(name)), name);
    char *path = same ? file_in(folder, same) : NULL, *above;
    const char *slash = strrchr(folder, '/');

    *count = 0;
    if (!path)
        path = file_in(folder, "config.yaml");
    if (!path)
        path = only_file(folder, named_yaml, false, count);
    if (!path && !*count)
        path = project_in(folder);
    if (!path && !*count && !strcmp(slash ? slash + 1 : folder, "checkpoints")) {
        above = slash ? ldm_cli_format("%.*s", (int)(slash - folder), folder) : strdup(".");
        path = above ? project_in(above) : NULL;
        free(above);
    }
    free(same);
    return path;
}

int ldm_inputs_find_config(const ldm_command *cmd, ldm_model_options *model, bool quiet)
{
    const char *ckpt, *slash;
    char *folder, *path;
    int count = 0, code = ldm_inputs_resolve(cmd, model, 0, NULL, quiet);

    if (code)
        return code;
    ckpt = ldm_model_options_get_text(model, "ckpt");
    if (!ckpt || ldm_model_options_is_set(model, "config") ||
        ldm_model_options_is_set(model, "config_text") || kind_of(ckpt) != CHECKPOINT)
        return LDM_EXIT_OK;
    slash = strrchr(ckpt, '/');
    folder =
        slash ? ldm_cli_format("%.*s", slash == ckpt ? 1 : (int)(slash - ckpt), ckpt) : strdup(".");
    path = folder ? config_beside(folder, slash ? slash + 1 : ckpt, &count) : NULL;
    if (path) {
        if (!strncmp(path, "./", 2) && strncmp(ckpt, "./", 2))
            memmove(path, path + 2, strlen(path) - 1);
        note(cmd, quiet, "the YAML file", path, "--config");
        code = set(cmd, model, "config", path);
    } else if (count > 1) {
        code = ldm_cli_usage(
            cmd, "no --config was given, and %d YAML files lie beside %s; name one", count, ckpt);
    }
    free(path);
    free(folder);
    return code;
}
