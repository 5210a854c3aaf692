/* SPDX-License-Identifier: MIT */
/* Where the pictures of ldm generate go; see generate.h. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/generate/generate.h"

/* ---- what a name says ------------------------------------------------------------------------ */

/* "face.png" -> "face.npz" */
static char *with_suffix(const char *file, const char *suffix)
{
    size_t len = strlen(file);
    char *stem = strdup(file), *name;

    if (!stem)
        return NULL;
    stem[len - strlen(ldm_output_ending(file))] = '\0';
    name = ldm_cli_format("%s%s", stem, suffix);
    free(stem);
    return name;
}

/* The later of two results under one name would replace the earlier. */
static int check_names(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out)
{
    const char *names[] = {out->file, out->npz, o->save_latent, o->save_image, o->write_stats};

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

/* Whether this run of `count` pictures replaces the file. */
static bool is_replaced(const ldm_generate_opts *o, const char *name, int count)
{
    return name[0] == 'g' ? o->grid : name[0] == 's' ? o->npz : strtol(name, NULL, 10) < count;
}

/* Whether all that this run of `count` pictures would make is in the folder: it may be this very
 * run, which is done. */
static bool has_all(const ldm_generate_opts *o, const ldm_output *out, int count)
{
    const char *const files[] = {out->grid,     out->npz,       o->save_latent,
                                 o->save_image, o->write_stats, o->save_intermediates};
    bool all = true;

    for (size_t i = 0; all && i < sizeof files / sizeof *files; i++)
        all = !files[i] || !access(files[i], F_OK);
    for (int i = 0; all && i < count; i++) {
        char *name = ldm_output_name(out, i);

        all = name && !access(name, F_OK);
        free(name);
    }
    return all;
}

/* Whether a file with a name of ours is a run's: a picture says so itself. */
static bool is_made(const char *folder, const char *name)
{
    char *path = *name >= '0' && *name <= '9' ? ldm_cli_format("%s%s", folder, name) : NULL;
    const bool made = !path || ldm_output_made_picture(path);

    free(path);
    return made;
}

/* Pictures of another run in the folder: an error, or a note about those that stay. What may be
 * this run's own is left to ldm_resume_refuse, which looks into the pictures. */
static int check_taken(const ldm_command *cmd, const ldm_generate_opts *o, int count,
                       ldm_output *out)
{
    const char *folder = out->folder;
    DIR *dir = opendir(folder);
    const struct dirent *e;
    char foreign[NAME_MAX + 1] = "";
    int there = 0, stay = 0;

    while (dir && (e = readdir(dir))) {
        if (ldm_output_is_ours(e->d_name, strlen(e->d_name))) {
            there++;
            stay += !is_replaced(o, e->d_name, count > 0 ? count : 1);
            if (!o->overwrite && !*foreign && !is_made(folder, e->d_name))
                snprintf(foreign, sizeof foreign, "%s", e->d_name);
        }
    }
    if (dir)
        closedir(dir);
    if (*foreign) {
        ldm_cli_say(cmd,
                    "-o: folder '%s' holds %s, which has no recipe: ldm did not make it, or it is "
                    "damaged; name another folder, or --overwrite replaces files of the same name",
                    folder, foreign);
        return LDM_EXIT_FAILED;
    }
    if (there && !o->overwrite && has_all(o, out, count > 0 ? count : 1)) {
        out->taken = there;
        return LDM_EXIT_OK;
    }
    if (there && !o->overwrite) {
        ldm_cli_say(cmd,
                    "-o: folder '%s' holds %d file%s of an earlier run: name another folder; or "
                    "--resume goes on with it, if it was this very run, and --overwrite replaces "
                    "files of the same name",
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
    char *path = ldm_place_numbered(number);
    int code = path ? name_folder(cmd, o, path, out) : ldm_cli_nomem(cmd);

    out->fresh = true;
    free(path);
    return code;
}

/* Enters the folder and only then looks what lies in it: before, another run could still put
 * pictures there. */
static int enter(const ldm_command *cmd, const ldm_generate_opts *o, int count, ldm_output *out)
{
    int code = ldm_place_enter(cmd, "-o", out->folder, !o->shared, &out->place);

    if (!code && o->out && !o->resume)
        code = check_taken(cmd, o, count, out);
    return code;
}

static int plan_folder(const ldm_command *cmd, const ldm_generate_opts *o, int count,
                       ldm_output *out)
{
    const int last = o->out ? 0 : ldm_place_last();
    int code;

    if (o->out)
        code = name_folder(cmd, o, o->out, out);
    else
        code = name_numbered(cmd, o, o->resume && last ? last : last + 1, out);
    if (!code)
        code = ldm_output_check_folder(cmd, "-o", out->folder);
    /* Refused before a model is read, where that can be known. A fresh folder is another run's if
     * it appeared meanwhile. */
    if (!code && (o->out || o->resume) && !o->dry_run && ldm_is_dir(out->folder))
        code = enter(cmd, o, count, out);
    return code;
}

static int plan_file(const ldm_command *cmd, const ldm_generate_opts *o, ldm_output *out)
{
    const char *const inputs[] = {o->init_image, o->mask_image, o->image, o->segmentation};
    const bool replace = o->overwrite || o->dry_run; /* which writes nothing */
    int code = LDM_EXIT_OK;

    out->file = strdup(o->out);
    if (out->file && o->npz)
        out->npz = with_suffix(o->out, ".npz");
    if (!out->file || (o->npz && !out->npz))
        return ldm_cli_nomem(cmd);
    if (o->grid && !o->quiet)
        ldm_cli_say(cmd, "note: --grid of one picture is the picture itself: %s", o->out);
    for (size_t i = 0; !code && i < sizeof inputs / sizeof *inputs; i++)
        code = ldm_output_check_input(cmd, o->out, inputs[i]);
    if (!code)
        code = ldm_output_check(cmd, "-o", o->out, LDM_OUTPUT_PICTURE, replace);
    if (!code)
        code = ldm_output_check(cmd, "--npz", out->npz, LDM_OUTPUT_ARRAYS, replace);
    return code;
}

int ldm_output_plan(const ldm_command *cmd, const ldm_generate_opts *o, int count, ldm_output *out)
{
    const char *path = o->out ? o->out : "./"; /* a folder of the next free number */
    const bool replace = o->overwrite || o->dry_run;
    bool file;
    int code;

    memset(out, 0, sizeof *out);
    out->place.lock = -1;
    if (!strcmp(path, "-"))
        return ldm_cli_usage(cmd, "-o: pictures cannot be written to stdout; name a file");
    if (o->resume && o->overwrite)
        return ldm_cli_usage(cmd, "--resume keeps pictures and --overwrite replaces them: give "
                                  "one of the two");
    code = ldm_output_is_file(cmd, path, count, &ldm_output_pictures, &file);
    if (!code)
        code = file ? plan_file(cmd, o, out) : plan_folder(cmd, o, count, out);
    if (!code)
        code = check_names(cmd, o, out);
    if (!code)
        code = ldm_output_check_array(cmd, "--save-latent", o->save_latent, replace);
    if (!code)
        code = ldm_intermediates_check(cmd, o);
    if (!code)
        code = ldm_output_check_statistics(cmd, "--write-stats", o->write_stats, replace);
    return code ? code : ldm_output_check_array(cmd, "--save-image", o->save_image, replace);
}

void ldm_output_say_replaced(const ldm_command *cmd, const ldm_generate_opts *o,
                             const ldm_output *out, int kept)
{
    /* Of several processes each would say it, and a late one of the others' files. */
    if (o->quiet || o->overwrite || o->shared)
        return;
    if (!kept) /* of --resume */
        ldm_output_note_replaced(cmd, out->file);
    if (out->file)
        ldm_output_note_replaced(cmd, out->npz);
    ldm_output_note_replaced(cmd, o->save_latent);
    ldm_output_note_replaced(cmd, o->save_image);
    ldm_output_note_replaced(cmd, o->write_stats);
    ldm_intermediates_note_replaced(cmd, o);
}

int ldm_output_claim(const ldm_command *cmd, const ldm_generate_opts *o, int count, ldm_output *out)
{
    int code;

    if (!out->folder || out->place.folder)
        return LDM_EXIT_OK;
    if (!out->fresh)
        return enter(cmd, o, count, out);
    code = ldm_place_enter_fresh(cmd, "-o", &out->place);
    return code ? code : name_folder(cmd, o, out->place.folder, out);
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
    ldm_place_leave(&out->place);
    memset(out, 0, sizeof *out);
}

int ldm_generate_count(const ldm_generate_opts *o)
{
    return ldm_job_is_set(o->to.job, "count") ? ldm_job_get_int(o->to.job, "count") : 0;
}
