/* SPDX-License-Identifier: MIT */
/* The files of a model in folders: what lies where people name a folder, or a checkpoint alone. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "diffusers/diffusers.h"
#include "engine/engine.h"

enum { NAMED = 4 }; /* files of a folder that a message names */

/* Files of a folder: the first few and the last, by name. */
typedef struct listing {
    char *first[NAMED], *last;
    size_t count;
    bool failed;
} listing;

typedef bool accepts(const char *name);

static bool ends_in(const char *name, const char *ending)
{
    const size_t len = strlen(name), n = strlen(ending);

    return len > n && !strcmp(name + len - n, ending);
}

static bool is_checkpoint(const char *name)
{
    return ends_in(name, ".ckpt") || ends_in(name, ".pt") || ends_in(name, ".pth") ||
           ends_in(name, ".safetensors") || ends_in(name, ".bin");
}

static bool is_yaml(const char *name)
{
    return ends_in(name, ".yaml") || ends_in(name, ".yml");
}

static bool is_project(const char *name)
{
    return ends_in(name, "-project.yaml");
}

static void add(listing *l, const char *name)
{
    char *copy = ldm_strdup(name);

    l->failed |= !copy;
    l->count++;
    if (copy && (!l->last || strcmp(copy, l->last) > 0)) {
        ldm_free(l->last);
        l->last = ldm_strdup(copy);
        l->failed |= !l->last;
    }
    for (size_t i = 0; copy && i < NAMED; i++) {
        char *there = l->first[i];

        if (!there || strcmp(copy, there) < 0) {
            l->first[i] = copy;
            copy = there;
        }
    }
    ldm_free(copy);
}

static listing list_folder(const char *folder, accepts *is)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;
    listing l = {0};

    while (dir && (e = readdir(dir))) {
        if (e->d_name[0] != '.' && is(e->d_name))
            add(&l, e->d_name);
    }
    if (dir)
        closedir(dir);
    return l;
}

static void free_listing(listing *l)
{
    for (size_t i = 0; i < NAMED; i++)
        ldm_free(l->first[i]);
    ldm_free(l->last);
    *l = (listing){0};
}

/* "a.ckpt, b.ckpt, c.ckpt, ..."; ldm_str_free it. */
static ldm_str names_of(const listing *l)
{
    ldm_str s = {0};

    for (size_t i = 0; i < NAMED && i < l->count; i++)
        ldm_str_printf(&s, "%s%s", i ? ", " : "", l->first[i] ? l->first[i] : "");
    if (l->count > NAMED)
        ldm_str_puts(&s, ", ...");
    return s;
}

/* "folder/name"; ldm_free it. */
static char *join(const char *folder, const char *name)
{
    ldm_str s = {0};

    ldm_str_printf(&s, "%s%s%s", folder, ends_in(folder, "/") ? "" : "/", name);
    if (!s.failed)
        return s.data;
    ldm_str_free(&s);
    return NULL;
}

/* folder/name if there is such a file, else NULL; ldm_free it. */
static char *file_in(const char *folder, const char *name)
{
    char *path = join(folder, name);
    struct stat st;

    if (path && !stat(path, &st) && S_ISREG(st.st_mode))
        return path;
    ldm_free(path);
    return NULL;
}

/* The folder's one file that `is` accepts, else NULL and *l says how many there are; ldm_free it.
 */
static char *only_file(const char *folder, accepts *is, listing *l)
{
    *l = list_folder(folder, is);
    return l->count == 1 && l->last ? join(folder, l->last) : NULL;
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

/* What an unpacker leaves of a checkpoint, which is a zip file: data.pkl, here or in a folder in
 * it, which has the name of the file that was saved. */
static bool is_unpacked(const char *folder)
{
    char *path = file_in(folder, "data.pkl");
    DIR *dir = path ? NULL : opendir(folder);
    const struct dirent *e;
    bool found;

    while (dir && !path && (e = readdir(dir))) {
        char *inner = e->d_name[0] != '.' ? join(folder, e->d_name) : NULL;

        path = inner ? file_in(inner, "data.pkl") : NULL;
        ldm_free(inner);
    }
    if (dir)
        closedir(dir);
    found = path != NULL;
    ldm_free(path);
    return found;
}

static ldm_status refuse_folder(const char *folder, const listing *l, ldm_error *err)
{
    ldm_str names = names_of(l);
    ldm_status st;

    if (l->count > 1)
        st = ldm_error_set(err, LDM_ERR_USAGE, "folder %s holds %zu checkpoints: %s; name one",
                           folder, l->count, names.data ? names.data : "");
    else if (is_unpacked(folder))
        st = ldm_error_set(err, LDM_ERR_USAGE,
                           "%s is an unpacked checkpoint (it holds data.pkl): give the file as it "
                           "was before it was unpacked",
                           folder);
    else
        st =
            ldm_error_set(err, LDM_ERR_USAGE,
                          "%s is a folder without a checkpoint (model.ckpt, checkpoints/last.ckpt, "
                          "or one *.ckpt or *.safetensors)",
                          folder);
    ldm_str_free(&names);
    return st;
}

ldm_status ldm_find_checkpoint(const char *folder, char **path, ldm_error *err)
{
    static const char *const names[] = {"model.ckpt", "last.ckpt", "checkpoints/last.ckpt"};
    listing l = {0};
    char *deeper;
    ldm_status st = LDM_OK;

    *path = NULL;
    if (ldm_diffusers_is_folder(folder)) { /* read as it is */
        *path = ldm_strdup(folder);
        return *path ? LDM_OK : ldm_error_nomem(err, strlen(folder), "a path");
    }
    for (size_t i = 0; !*path && i < sizeof names / sizeof *names; i++)
        *path = file_in(folder, names[i]);
    if (!*path)
        *path = only_file(folder, is_checkpoint, &l);
    if (!*path && !l.count) {
        deeper = join(folder, "checkpoints");
        free_listing(&l);
        *path = deeper ? only_file(deeper, is_checkpoint, &l) : NULL;
        ldm_free(deeper);
    }
    if (!*path)
        st = l.failed ? ldm_error_nomem(err, 0, "a path") : refuse_folder(folder, &l, err);
    free_listing(&l);
    return st;
}

/* ---- configurations -------------------------------------------------------------------------- */

/* What CompVis' training leaves: configs/2022-03-01T10-11-12-project.yaml, one for each start. */
static char *project_in(const char *folder)
{
    char *configs = join(folder, "configs"), *path;
    listing l = configs ? list_folder(configs, is_project) : (listing){0};

    path = l.last ? join(configs, l.last) : NULL;
    free_listing(&l);
    ldm_free(configs);
    return path;
}

/* The configuration in a folder; name: a checkpoint's there, or NULL: "x.safetensors.yaml" goes
 * before "x.yaml", which may be another form's. NULL: none, and *l lists the YAML files of the
 * folder if that is because they are several. */
static char *config_in(const char *folder, const char *name, listing *l)
{
    const char *dot = name ? strrchr(name, '.') : NULL;
    const char *slash = strrchr(folder, '/');
    char *above, *path = NULL;
    ldm_str own = {0}, stem = {0};

    *l = (listing){0};
    if (name) {
        ldm_str_printf(&own, "%s.yaml", name);
        ldm_str_printf(&stem, "%.*s.yaml", (int)(dot ? dot - name : (long)strlen(name)), name);
    }
    if (name && !own.failed)
        path = file_in(folder, own.data);
    if (name && !path && !stem.failed)
        path = file_in(folder, stem.data);
    if (!path)
        path = file_in(folder, "config.yaml");
    if (!path)
        path = only_file(folder, is_yaml, l);
    if (!path && !l->count)
        path = project_in(folder);
    if (!path && !l->count && !strcmp(slash ? slash + 1 : folder, "checkpoints")) {
        above = slash ? ldm_strndup(folder, (size_t)(slash - folder)) : ldm_strdup(".");
        path = above ? project_in(above) : NULL;
        ldm_free(above);
    }
    ldm_str_free(&own);
    ldm_str_free(&stem);
    return path;
}

/* Of a folder that was named as the configuration. */
static ldm_status find_config(const char *folder, char **path, ldm_error *err)
{
    ldm_status st = LDM_OK;
    ldm_str names;
    listing l;

    *path = config_in(folder, NULL, &l);
    names = names_of(&l);
    if (!*path && l.count > 1)
        st = ldm_error_set(err, LDM_ERR_USAGE, "folder %s holds %zu YAML files: %s; name one",
                           folder, l.count, names.data ? names.data : "");
    else if (!*path)
        st = ldm_error_set(err, LDM_ERR_USAGE,
                           "%s is a folder without a configuration (config.yaml, one *.yaml, or "
                           "CompVis' configs/DATE-project.yaml)",
                           folder);
    ldm_str_free(&names);
    free_listing(&l);
    return st;
}

/* Beside a checkpoint. *path NULL: there is none. */
static ldm_status find_beside(const char *ckpt, char **path, ldm_error *err)
{
    const char *slash = strrchr(ckpt, '/'), *name = ldm_file_name(ckpt);
    char *folder =
        !slash ? ldm_strdup(".") : ldm_strndup(ckpt, slash == ckpt ? 1 : (size_t)(slash - ckpt));
    ldm_status st = folder ? LDM_OK : ldm_error_nomem(err, strlen(ckpt), "a path");
    listing l = {0};

    *path = st ? NULL : config_in(folder, name, &l);
    if (!st && !*path && l.count > 1) {
        ldm_str names = names_of(&l);

        st = ldm_error_set(err, LDM_ERR_USAGE,
                           "no configuration was given, and %zu YAML files lie beside %s: %s; name "
                           "one with --config FILE, or none with --config none",
                           l.count, ckpt, names.data ? names.data : "");
        ldm_str_free(&names);
    }
    if (*path && !slash) /* without the "./" that was not typed */
        memmove(*path, *path + 2, strlen(*path) - 1);
    free_listing(&l);
    ldm_free(folder);
    return st;
}

/* ---- options --------------------------------------------------------------------------------- */

static bool is_file(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISREG(st.st_mode);
}

/* Whether an option names a folder that stands for a file in it. */
bool ldm_names_folder(const ldm_model_options *opt)
{
    if (opt->ckpt && ldm_is_dir(opt->ckpt) && !ldm_diffusers_is_folder(opt->ckpt))
        return true;
    for (size_t i = 0; i < opt->configs.count; i++) {
        if (ldm_is_dir(opt->configs.items[i]))
            return true;
    }
    return false;
}

/* Puts the list of configurations in again, each folder as the file in it. */
static ldm_status exchange_configs(ldm_model_options *opt, ldm_error *err)
{
    ldm_model_options *before = NULL;
    ldm_status st = ldm_model_options_copy(opt, &before, err);

    if (!st)
        st = ldm_model_options_unset(opt, "config", err);
    for (size_t i = 0; !st && i < before->configs.count; i++) {
        const char *given = before->configs.items[i];
        char *path = NULL;

        if (ldm_is_dir(given))
            st = find_config(given, &path, err);
        if (!st)
            st = ldm_model_options_set(opt, "config", path ? path : given, err);
        ldm_free(path);
    }
    ldm_model_options_free(before);
    return st;
}

ldm_status ldm_model_options_find_files(ldm_model_options *opt, bool beside, ldm_error *err)
{
    char *path = NULL;
    ldm_status st = LDM_OK;

    LDM_REQUIRE(opt, "opt", err);
    if (opt->ckpt && ldm_is_dir(opt->ckpt) && !ldm_diffusers_is_folder(opt->ckpt)) {
        st = ldm_find_checkpoint(opt->ckpt, &path, err);
        if (!st)
            st = ldm_model_options_set(opt, "ckpt", path, err);
        ldm_free(path);
        path = NULL;
    }
    if (!st && beside && opt->configs.count == 1 && !strcmp(opt->configs.items[0], "none"))
        return ldm_model_options_unset(opt, "config", err);
    if (!st && ldm_names_folder(opt))
        st = exchange_configs(opt, err);
    if (!st && beside && opt->ckpt && !opt->configs.count && !opt->config_text &&
        is_file(opt->ckpt)) {
        st = find_beside(opt->ckpt, &path, err);
        if (!st && path)
            st = ldm_model_options_set(opt, "config", path, err);
        ldm_free(path);
    }
    return st;
}

ldm_status ldm_found_options(const ldm_model_options *opt, ldm_model_options **out, ldm_error *err)
{
    ldm_status st = ldm_model_options_copy(opt, out, err);

    if (!st)
        st = ldm_model_options_find_files(*out, true, err);
    if (st) {
        ldm_model_options_free(*out);
        *out = NULL;
    }
    return st;
}
