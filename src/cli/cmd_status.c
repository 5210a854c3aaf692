/* SPDX-License-Identifier: MIT */
/* ldm status: who works on the run in a folder, how fast, and what is left. */
#include <stdio.h>
#include <string.h>

#include <ldm/cluster.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/opts.h"

typedef struct options {
    bool json;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "one JSON object"},
};

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "?";
}

static int int_of(const json_t *o, const char *key)
{
    return (int)json_integer_value(json_object_get(o, key));
}

static double real_of(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static bool is_true(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

/* "2 s ago", "left", "dead: silent for 12 min 3 s". */
static void put_life(ldm_str *out, const json_t *o)
{
    char time[48];

    ldm_cli_duration(real_of(o, "silent_seconds"), time, sizeof time);
    if (is_true(o, "left"))
        ldm_str_puts(out, "left");
    else if (is_true(o, "lives"))
        ldm_str_printf(out, "%s ago", time);
    else
        ldm_str_printf(out, "dead: silent for %s", time);
}

static void put_workers(ldm_str *out, const json_t *workers)
{
    json_t *w;
    size_t i;

    ldm_str_puts(out,
                 "\n  rank      host              isa     threads  pictures  a minute  sign\n");
    json_array_foreach(workers, i, w)
    {
        const double seconds = real_of(w, "seconds");
        char rank[32];

        snprintf(rank, sizeof rank, "%d/%d", int_of(w, "rank"), int_of(w, "size"));
        ldm_str_printf(out, "  %-9s %-17.17s %-7.7s %7d %9d %9.3g  ", rank, text_of(w, "host"),
                       text_of(w, "isa"), int_of(w, "threads"), int_of(w, "pictures"),
                       seconds > 0 ? 60 * int_of(w, "pictures") / seconds : 0);
        put_life(out, w);
        ldm_str_puts(out, "\n");
    }
}

static const json_t *worker_of(const json_t *workers, const char *id)
{
    json_t *w;
    size_t i;

    json_array_foreach(workers, i, w)
    {
        if (!strcmp(text_of(w, "worker"), id))
            return w;
    }
    return NULL;
}

static void put_claims(ldm_str *out, const json_t *claims, const json_t *workers)
{
    json_t *c;
    size_t i;

    json_array_foreach(claims, i, c)
    {
        const json_t *w = worker_of(workers, text_of(c, "worker"));
        const int first = int_of(c, "first"), count = int_of(c, "count");

        if (count)
            ldm_str_printf(out, "  pictures %d to %d: ", first, first + count - 1);
        else
            ldm_str_puts(out, "  sheets of all pictures: ");
        ldm_str_printf(out, "rank %d on %s, ", int_of(w, "rank"), text_of(w, "host"));
        put_life(out, c);
        ldm_str_puts(out, is_true(c, "lives") ? "\n" : ", another takes it\n");
    }
}

static void put_end(ldm_str *out, const json_t *root, int living)
{
    char time[48];

    if (is_true(root, "finished")) {
        ldm_str_puts(out, "finished\n");
    } else if (!living) {
        ldm_str_puts(out, "nobody is at work: the same command goes on\n");
    } else {
        ldm_str_printf(out, "%d process%s at work", living, living == 1 ? "" : "es");
        if (json_is_number(json_object_get(root, "seconds_left"))) {
            ldm_cli_duration(real_of(root, "seconds_left"), time, sizeof time);
            ldm_str_printf(out, ", %.3g pictures a minute, about %s to go",
                           60 * real_of(root, "per_second"), time);
        }
        ldm_str_puts(out, "\n");
    }
}

static int print_text(const ldm_command *cmd, const char *folder, const json_t *root)
{
    const json_t *workers = json_object_get(root, "workers");
    const int all = int_of(root, "pictures"), done = int_of(root, "pictures_done");
    ldm_str out = {0};
    int living = 0;
    json_t *w;
    size_t i;

    json_array_foreach(workers, i, w)
    {
        living += is_true(w, "lives");
    }
    ldm_str_printf(&out, "%s: %d of %d pictures are done (%.0f %%), blocks of %d, lease %.0f s\n",
                   folder, done, all, 100.0 * done / all, int_of(root, "block"),
                   real_of(root, "lease"));
    put_end(&out, root, living);
    put_workers(&out, workers);
    put_claims(&out, json_object_get(root, "claims"), workers);
    if (out.failed)
        return ldm_cli_nomem(cmd);
    fputs(out.data, stdout);
    ldm_str_free(&out);
    return LDM_EXIT_OK;
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    ldm_parse parse;
    ldm_error err;
    ldm_status st;
    char *text;
    json_t *root;
    int args, code;

    (void)cli;
    parse = ldm_opts_parse(cmd, argc, argv, &o, &(ldm_targets){0}, &args);
    if (parse)
        return ldm_parse_exit(parse);
    st = ldm_work_status(argv[args], &text, &err);
    if (st) {
        code = ldm_cli_fail(cmd, st, &err);
        if (o.json)
            ldm_cli_json_failure(cmd);
        return code;
    }
    root = json_loads(text, 0, NULL);
    ldm_release(text);
    if (!root)
        return ldm_cli_nomem(cmd);
    if (o.json)
        return ldm_cli_print_json(cmd, root);
    code = print_text(cmd, argv[args], root);
    json_decref(root);
    return code;
}

const ldm_command ldm_cmd_status = {
    .name = "status",
    .args = "FOLDER [options]",
    .summary = "how far are the processes that share a run?",
    .about =
        "Says of a run that several processes make in FOLDER (ldm generate -o FOLDER) what is\n"
        "done, who does what and how fast, what is left, and whose claims are dead.",
    .notes = "  ldm status samples/\n"
             "  watch -n 10 ldm status samples/",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
