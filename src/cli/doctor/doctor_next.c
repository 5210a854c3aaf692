/* SPDX-License-Identifier: MIT */
/* What follows an examination; see doctor_next.h. */
#include "cli/doctor/doctor_next.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/outputs.h"

enum { MAX_ARGS = 1024, MAX_FLAGS = 8 };

/* A command line that is put together; the texts are others'. */
typedef struct line {
    char *argv[MAX_ARGS + 1];
    int argc;
} line;

static void put(line *l, const char *text)
{
    if (l->argc < MAX_ARGS)
        l->argv[l->argc++] = (char *)(uintptr_t)text;
}

/* Options of the model that do not stand in the configuration. */
static void put_model(line *l, const ldm_model_options *model)
{
    static const char *const keys[][2] = {{"ckpt", "--ckpt"}, {"first_stage", "--first-stage"}};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value = ldm_model_options_get_text(model, keys[i][0]);

        if (value) {
            put(l, keys[i][1]);
            put(l, value);
        }
    }
}

static int write_yaml(const ldm_command *cmd, const ldm_doctor *d, bool cured, const char *path)
{
    ldm_error err;
    char *yaml;
    ldm_status st = ldm_doctor_config(d, cured, &yaml, &err);

    if (!st) {
        st = ldm_file_write(path, yaml, strlen(yaml), &err);
        ldm_release(yaml);
    }
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

/* A fresh folder for the configuration; NULL: there is none. */
static char *make_folder(void)
{
    const char *tmp = getenv("TMPDIR");
    char *folder = ldm_cli_format("%s/ldm-doctor.XXXXXX", tmp && *tmp ? tmp : "/tmp");

    if (folder && !mkdtemp(folder)) {
        free(folder);
        return NULL;
    }
    return folder;
}

int ldm_doctor_fix(const ldm_cli *cli, const ldm_command *cmd, const ldm_doctor *d,
                   const ldm_model_options *model, int argc, char **argv)
{
    const ldm_verdict v = ldm_doctor_get_verdict(d);
    char *folder, *path;
    line l = {.argc = 0};
    int code;

    if (argc < 1 || strcmp(argv[0], "generate"))
        return ldm_cli_usage(cmd, "--fix is followed by -- generate and its options");
    if (v != LDM_VERDICT_HEALTHY && v != LDM_VERDICT_CHANGE) {
        ldm_cli_say(cmd, "nothing is generated: the verdict is %s", ldm_verdict_name(v));
        return LDM_EXIT_FAILED;
    }
    folder = make_folder();
    path = folder ? ldm_cli_format("%s/cured.yaml", folder) : NULL;
    if (!path) {
        free(folder);
        ldm_cli_say(cmd, "no folder for the cured configuration can be made");
        return LDM_EXIT_FAILED;
    }
    code = write_yaml(cmd, d, true, path);
    for (int i = 0; i < argc; i++)
        put(&l, argv[i]);
    put_model(&l, model);
    put(&l, "--config");
    put(&l, path);
    for (size_t i = 0; i < MAX_FLAGS && ldm_doctor_flag(d, i); i++)
        put(&l, ldm_doctor_flag(d, i));
    if (!code)
        code = ldm_cmd_generate.run(cli, &ldm_cmd_generate, l.argc, l.argv);
    (void)unlink(path);
    (void)rmdir(folder);
    free(path);
    free(folder);
    return code;
}

int ldm_doctor_check_report(const ldm_command *cmd, const char *folder, bool overwrite)
{
    static const char *const names[] = {"given.yaml", "cured.yaml", "report.html", "report.md"};
    int code = ldm_output_check_folder(cmd, "--report", folder);

    for (size_t i = 0; !code && i < sizeof names / sizeof *names; i++) {
        char *path = ldm_cli_format("%s/%s", folder, names[i]);

        code = path ? ldm_output_check(cmd, "--report", path, LDM_OUTPUT_OTHER, overwrite)
                    : ldm_cli_nomem(cmd);
        free(path);
    }
    return code;
}

int ldm_doctor_before_after(const ldm_cli *cli, const ldm_command *cmd, const ldm_doctor *d,
                            const ldm_model_options *model, const char *folder, bool overwrite)
{
    char *given = ldm_cli_format("%s/given.yaml", folder);
    char *cured = ldm_cli_format("%s/cured.yaml", folder);
    line l = {.argc = 0};
    ldm_error err;
    ldm_status st = ldm_make_dirs(folder, &err);
    int code = st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;

    if (!code && (!given || !cured))
        code = ldm_cli_nomem(cmd);
    if (!code)
        code = write_yaml(cmd, d, false, given);
    if (!code)
        code = write_yaml(cmd, d, true, cured);
    put(&l, "compare");
    put(&l, given);
    put(&l, cured);
    put_model(&l, model);
    put(&l, "--config");
    put(&l, given);
    put(&l, "-n");
    put(&l, "4");
    put(&l, "-o");
    put(&l, folder);
    if (overwrite)
        put(&l, "--overwrite");
    if (!code)
        code = ldm_cmd_compare.run(cli, &ldm_cmd_compare, l.argc, l.argv);
    free(given);
    free(cured);
    return code;
}
