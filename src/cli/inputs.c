/* SPDX-License-Identifier: MIT */
/* Files by what they are; see inputs.h. */
#include "cli/inputs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cli/opts.h"

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

/* The last two are none, but meant as one: the library says what they are. */
static bool named_checkpoint(const char *name)
{
    static const char *const endings[] = {".ckpt", ".pt",   ".pth",       ".safetensors",
                                          ".bin",  ".onnx", ".index.json"};

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

/* Whether the command has an option of its own of this name. */
static bool takes(const ldm_command *cmd, const char *name)
{
    for (size_t i = 0; i < cmd->opt_count; i++) {
        if (cmd->opts[i].type == LDM_OPT_TEXT && !strcmp(cmd->opts[i].name, name))
            return true;
    }
    return false;
}

/* U+2013 or U+2014, as text programs make of two hyphens. */
static bool has_long_dash(const char *arg)
{
    return !strncmp(arg, "\xe2\x80\x93", 3) || !strncmp(arg, "\xe2\x80\x94", 3);
}

/* What stands there for an argument that may be a word of a prompt; OTHER for one that is spelled
 * like something else. */
static kind kind_of_word(const char *arg)
{
    return !*arg || strpbrk(arg, "/=") || has_long_dash(arg) || named_checkpoint(arg) ||
                   named_yaml(arg) || named_picture(arg)
               ? OTHER
               : kind_of(arg);
}

/* Refuses a prompt without quotes: several words, at least one of which is nothing else. A folder
 * may have a word's name by chance: "a". */
static bool refuse_words(const ldm_command *cmd, int argc, char **argv)
{
    const char *stray = NULL;
    char *text = NULL;
    int words = 0;

    for (int i = 0; i < argc; i++) {
        const kind k = kind_of_word(argv[i]);
        char *longer;

        if (k != NOTHING && k != FOLDER)
            continue;
        longer = ldm_cli_format("%s%s%s", text ? text : "", text ? " " : "", argv[i]);
        free(text);
        text = longer;
        words++;
        if (!stray && k == NOTHING)
            stray = argv[i];
    }
    if (words < 2 || !text)
        stray = NULL;
    if (stray)
        ldm_cli_usage(cmd,
                      "unexpected argument '%s'; a text of several words stands in quotes: "
                      "--prompt \"%.400s\"",
                      stray, text);
    free(text);
    return stray != NULL;
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
    if (k == NOTHING && strstr(path, "://"))
        return ldm_cli_usage(cmd,
                             "'%s' is no file: nothing is loaded from the network; download it, "
                             "and name the file",
                             path);
    if (k == NOTHING && (named_checkpoint(path) || named_yaml(path) || strchr(path, '/')))
        return ldm_cli_usage(cmd, "there is no file '%s'", path);
    if (k == NOTHING && has_long_dash(path))
        return ldm_cli_usage(cmd,
                             "'%s' begins with a long dash, as text programs make of two hyphens; "
                             "write --%s",
                             path, path + 3);
    if (k == NOTHING)
        return ldm_cli_usage(cmd,
                             "unexpected argument '%s'; files are given by options, e.g. --ckpt "
                             "FILE, and no file has that name; a text is given by --prompt \"%s\"",
                             path, path);
    if (k == OTHER && named_picture(path) && takes(cmd, "init"))
        return ldm_cli_usage(cmd, "'%s' is a picture; one to begin with is given by --init %s",
                             path, path);
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

/* Notes what a folder was taken for: the items of `key` that are new. */
static void note_found(const ldm_command *cmd, const ldm_model_options *model, const char *key,
                       char *before)
{
    char *now = NULL, *rest = NULL;

    if (!ldm_model_options_is_set(model, key) || ldm_model_options_get(model, key, &now, NULL))
        return;
    for (char *line = strtok_r(now, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *at = before ? strstr(before, line) : NULL;
        const size_t n = strlen(line);

        if (!at || (at != before && at[-1] != '\n') || (at[n] && at[n] != '\n'))
            note(cmd, false, strcmp(key, "ckpt") ? "the YAML file" : "the checkpoint", line,
                 strcmp(key, "ckpt") ? "--config" : "--ckpt");
    }
    ldm_release(now);
}

/* The value of a setting as text, NULL: none; ldm_release it. */
static char *value_of(const ldm_model_options *model, const char *key)
{
    char *text = NULL;

    if (ldm_model_options_is_set(model, key))
        (void)ldm_model_options_get(model, key, &text, NULL);
    return text;
}

static int find_files(const ldm_command *cmd, ldm_model_options *model, bool beside, bool quiet)
{
    char *ckpt = value_of(model, "ckpt"), *config = value_of(model, "config");
    ldm_error err;
    const ldm_status st = ldm_model_options_find_files(model, beside, &err);
    int code = LDM_EXIT_OK;

    if (st)
        code =
            st == LDM_ERR_USAGE ? ldm_cli_usage(cmd, "%s", err.msg) : ldm_cli_fail(cmd, st, &err);
    if (!code && !quiet) {
        note_found(cmd, model, "ckpt", ckpt);
        note_found(cmd, model, "config", config);
    }
    ldm_release(ckpt);
    ldm_release(config);
    return code;
}

int ldm_inputs_resolve(const ldm_command *cmd, ldm_model_options *model, int argc, char **argv,
                       bool quiet)
{
    int code = refuse_words(cmd, argc, argv) ? LDM_EXIT_USAGE : LDM_EXIT_OK;

    for (int i = 0; i < argc && !code; i++)
        code = take_argument(cmd, model, argv[i], quiet);
    if (!code)
        code = exchange(cmd, model, quiet);
    return code ? code : find_files(cmd, model, false, quiet);
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

/* The last part of a path, and how long it is without its ending. */
static const char *name_of(const char *path, size_t *stem)
{
    const char *name = ldm_file_name(path);
    const char *dot = strrchr(name, '.');

    *stem = dot ? (size_t)(dot - name) : strlen(name);
    return name;
}

bool ldm_inputs_is_foreign(const char *ckpt, const char *yaml)
{
    static const char project[] = "-project";
    size_t a, b;
    const char *x = name_of(ckpt, &a), *y = name_of(yaml, &b);

    if (x - ckpt != y - yaml || strncmp(ckpt, yaml, (size_t)(x - ckpt)) != 0)
        return false; /* of another folder: it was named */
    if (b > sizeof project - 1 &&
        !strncmp(y + b - (sizeof project - 1), project, sizeof project - 1))
        return false;
    if (b == strlen(x) && !strncmp(x, y, b)) /* model.safetensors.yaml */
        return false;
    return strncmp(y, "config.", 7) && (a != b || strncmp(x, y, a) != 0);
}

bool ldm_inputs_is_gallery(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;
    bool pictures = false, others = false;

    while (dir && (e = readdir(dir))) {
        pictures |= named_picture(e->d_name);
        others |= named_checkpoint(e->d_name) || named_yaml(e->d_name);
    }
    if (dir)
        closedir(dir);
    return pictures && !others;
}

char *ldm_inputs_in_folder(const ldm_command *cmd, const char *folder)
{
    ldm_model_options *model = NULL;
    ldm_error err;
    ldm_status st = ldm_model_options_create(&model, &err);
    char *path = NULL;

    if (!st)
        st = ldm_model_options_set(model, "ckpt", folder, &err);
    if (st)
        ldm_cli_fail(cmd, st, &err);
    else if (!find_files(cmd, model, false, true))
        path = strdup(ldm_model_options_get_text(model, "ckpt"));
    ldm_model_options_free(model);
    return path;
}

/* ---- whole configurations -------------------------------------------------------------------- */

/* The map "model" of a YAML file, with what it refers to, as JSON; NULL: it has none, or the file
 * cannot be read, which loading says better. */
static json_t *model_of(const char *path)
{
    ldm_model_options *with = NULL, *without = NULL;
    char *text = NULL;
    json_t *list = NULL, *entry, *found = NULL;
    size_t i;
    bool failed = ldm_model_options_create(&with, NULL) ||
                  ldm_model_options_create(&without, NULL) ||
                  ldm_model_options_set(with, "ckpt", "-", NULL) || /* none is opened */
                  ldm_model_options_set(with, "config", path, NULL) ||
                  ldm_model_options_set(without, "ckpt", "-", NULL) ||
                  ldm_model_options_set(without, "config_text", "{}", NULL);

    if (!failed && !ldm_config_difference(with, without, &text, NULL))
        list = json_loads(text, 0, NULL);
    json_array_foreach(list, i, entry)
    {
        const char *key = json_string_value(json_object_get(entry, "key"));

        if (key && !strcmp(key, "model"))
            found = json_incref(json_object_get(entry, "a"));
    }
    json_decref(list);
    ldm_release(text);
    ldm_model_options_free(with);
    ldm_model_options_free(without);
    return found;
}

bool ldm_inputs_is_whole(const char *path)
{
    json_t *model = model_of(path);
    const json_t *unet = json_object_get(json_object_get(model, "params"), "unet_config");
    const bool whole = json_is_string(json_object_get(model, "target")) &&
                       json_is_string(json_object_get(unet, "target")) &&
                       json_is_object(json_object_get(unet, "params"));

    json_decref(model);
    return whole;
}

int ldm_inputs_need_checkpoint(const ldm_command *cmd, const ldm_model_options *model)
{
    char *list, *rest = NULL;
    int code = LDM_EXIT_OK;

    if (ldm_model_options_is_set(model, "ckpt") || ldm_model_options_is_set(model, "model"))
        return LDM_EXIT_OK;
    list = value_of(model, "config");
    for (char *line = list ? strtok_r(list, "\n", &rest) : NULL; line && !code;
         line = strtok_r(NULL, "\n", &rest)) {
        if (ldm_inputs_is_whole(line))
            code = ldm_cli_usage(cmd,
                                 "%s is the whole configuration of a model, and its checkpoint is "
                                 "not given: --ckpt FILE",
                                 line);
    }
    ldm_release(list);
    return code;
}

int ldm_inputs_find_config(const ldm_command *cmd, ldm_model_options *model, bool quiet)
{
    int code = ldm_inputs_resolve(cmd, model, 0, NULL, quiet);

    if (!code)
        code = ldm_inputs_need_checkpoint(cmd, model);
    return code ? code : find_files(cmd, model, true, quiet);
}

char *ldm_inputs_prompt_of(const char *path)
{
    char *text, *prompt = NULL;
    json_t *recipe, *said;

    if (ldm_image_read_recipe(path, &text, NULL))
        return NULL;
    recipe = json_loads(text, 0, NULL);
    ldm_release(text);
    said = json_object_get(recipe, "prompt");
    if (json_is_string(said))
        prompt = ldm_cli_format("%s", json_string_value(said));
    json_decref(recipe);
    return prompt;
}
