/* SPDX-License-Identifier: MIT */
/* ldm inspect: says what is in a checkpoint or YAML file, without loading weights; and a picture's
 * recipe. */
#include <string.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/opts.h"
#include "cli/terminal.h"
#include "cli/signals.h"

typedef struct options {
    bool json, shapes, keys, all;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_FLAG,
     .name = "keys",
     .field = offsetof(options, keys),
     .help = "the list of tensors: name, type, shape"},
    {.type = LDM_OPT_FLAG,
     .name = "shapes",
     .field = offsetof(options, shapes),
     .help = "the layers of the network that a YAML describes"},
    {.type = LDM_OPT_FLAG,
     .name = "all",
     .field = offsetof(options, all),
     .help = "list everything, not the first 10 of each kind"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "one JSON object instead of text"},
};

/* ---- pictures -------------------------------------------------------------------------------- */

/* By its first bytes; a pipe is not waited for. */
static bool is_picture(const char *path)
{
    static const unsigned char png[] = {0x89, 'P', 'N', 'G'}, jpeg[] = {0xff, 0xd8, 0xff};
    unsigned char head[4] = {0};
    struct stat there;
    FILE *f = !stat(path, &there) && S_ISREG(there.st_mode) ? fopen(path, "rb") : NULL;
    const size_t n = f ? fread(head, 1, sizeof head, f) : 0;

    if (f)
        fclose(f);
    return n == sizeof head && (!memcmp(head, png, sizeof png) || !memcmp(head, jpeg, sizeof jpeg));
}

/* The configuration's lines, or how long it is. */
static void put_config(ldm_str *out, const char *name, const char *yaml, bool all)
{
    if (!all) {
        ldm_str_printf(out, "  %-22s YAML of %zu bytes; --all shows it\n", name, strlen(yaml));
        return;
    }
    ldm_str_printf(out, "  %s\n", name);
    while (*yaml) {
        const size_t n = strcspn(yaml, "\n");
        char *line = ldm_cli_format("%.*s", (int)n, yaml);

        if (!line) {
            out->failed = true;
            return;
        }
        ldm_flatten(line);
        ldm_str_printf(out, "      %s\n", line);
        free(line);
        yaml += n + (yaml[n] == '\n');
    }
}

/* A line a value, "  checkpoint.name    model.ckpt". A stranger may have written them: what must
 * not reach a terminal does not. */
static void put_values(ldm_str *out, const json_t *object, const char *above, bool all)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)object, key, v)
    {
        char *name = ldm_cli_format("%s%s%s", above, *above ? "." : "", key);
        char *text = json_is_string(v) ? strdup(json_string_value(v))
                                       : ldm_cli_json_dump(v, JSON_COMPACT | JSON_ENCODE_ANY);

        if (!name || !text) {
            out->failed = true;
        } else if (json_is_object(v)) {
            put_values(out, v, name, all);
        } else if (json_is_string(v) && !strcmp(name, "config")) {
            put_config(out, name, text, all);
        } else {
            ldm_flatten(name);
            ldm_flatten(text);
            ldm_str_printf(out, "  %-22s %s\n", name, text);
        }
        free(name);
        free(text);
    }
}

static int print_recipe(const ldm_command *cmd, const char *path, const json_t *recipe, bool all)
{
    ldm_str out = {0};
    int code = LDM_EXIT_OK;

    ldm_str_printf(&out, "%s: a picture that ldm made, from\n", path);
    put_values(&out, recipe, "", all);
    ldm_str_printf(&out, "The same again: ldm generate --like %s\n", path);
    if (out.failed)
        code = ldm_cli_nomem(cmd);
    else
        ldm_terminal_print(out.data);
    ldm_str_free(&out);
    return code;
}

static int inspect_picture(const ldm_command *cmd, const char *path, const options *o)
{
    char *text = NULL;
    json_t *recipe = NULL;
    json_error_t why;
    ldm_error err;
    ldm_status st = ldm_image_read_recipe(path, &text, &err);
    int code = LDM_EXIT_FAILED;

    if (st) {
        code = ldm_cli_fail(cmd, st, &err);
    } else {
        recipe = json_loads(text, JSON_REJECT_DUPLICATES, &why);
        if (!recipe)
            ldm_cli_say(cmd, "%s: the recipe is damaged: line %d: %s", path, why.line, why.text);
        else if (!json_is_object(recipe))
            ldm_cli_say(cmd, "%s: the recipe is damaged: it is no JSON object", path);
        else
            code = o->json ? ldm_cli_print_json(cmd, json_incref(recipe))
                           : print_recipe(cmd, path, recipe, o->all);
    }
    if (code && o->json)
        ldm_cli_json_failure(cmd);
    json_decref(recipe);
    ldm_release(text);
    return code;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    unsigned how;
    ldm_parse parse;
    ldm_status st;
    ldm_error err;
    char *report, *found = NULL;
    const char *path;
    int args, code;

    (void)cli;
    parse = ldm_opts_parse(cmd, argc, argv, &o, &(ldm_targets){0}, &args);
    if (parse)
        return ldm_parse_exit(parse);
    how = (o.json ? LDM_REPORT_JSON : 0U) | (o.shapes ? LDM_REPORT_SHAPES : 0U) |
          (o.keys ? LDM_REPORT_KEYS : 0U) | (o.all ? LDM_REPORT_ALL : 0U) |
          (ldm_terminal_colour(STDOUT_FILENO) ? LDM_REPORT_COLOUR : 0U) | ldm_terminal_columns();
    path = argv[args];
    if (ldm_is_dir(path)) {
        found = ldm_inputs_in_folder(cmd, path);
        if (!found && o.json)
            ldm_cli_json_failure(cmd);
        if (!found)
            return LDM_EXIT_USAGE;
        if (strcmp(found, path))
            ldm_cli_say(cmd, "note: this is about %s", found);
        path = found;
    }
    ldm_signals_name_file(path);
    if (is_picture(path))
        return inspect_picture(cmd, path, &o);
    st = ldm_inspect(path, how, &report, &err);
    code = ldm_cli_report(cmd, st, &err, report, o.json);
    free(found);
    return code;
}

const ldm_command ldm_cmd_inspect = {
    .name = "inspect",
    .args = "FILE|FOLDER [options]",
    .summary = "what is in this checkpoint, YAML file or picture?",
    .about =
        "Lists a checkpoint's tensors, types, storages, metadata and every name its pickle asks\n"
        "for, with byte offsets; or a YAML's settings and layers; or the recipe of a picture that\n"
        "ldm made. The format is told from the content. Nothing in the file is executed and no\n"
        "weights are loaded.",
    .notes = "Where no report can be made, --json prints {\"error\": what stderr says}.\n\n"
             "  ldm inspect model.ckpt --keys\n"
             "  ldm inspect config.yaml --shapes\n"
             "  ldm inspect 00000.png",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
