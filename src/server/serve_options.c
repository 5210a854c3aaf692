/* SPDX-License-Identifier: MIT */
/* The command line of ldm-server; see serve_options.h. */
#include "server/serve_options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { HELP_COLUMN = 26, MAX_ROWS = 64, LONG_BASE = 256 };

typedef enum row_type { ROW_TEXT, ROW_LIST, ROW_INT, ROW_REAL, ROW_FLAG } row_type;

typedef struct row {
    row_type type;
    const char *heading; /* above it; NULL: as the row before */
    const char *name, *arg, *help;
    size_t field;
    double min, max;
} row;

#define FIELD(name) offsetof(ldm_serve_options, name)

static const row rows[] = {
    {ROW_TEXT, "Models", "models", "DIR",
     "offer every checkpoint in this folder, each with the YAML\nbeside it", FIELD(models), 0, 0},
    {ROW_TEXT, NULL, "vocab", "FILE",
     "the text encoder's vocabulary; default: beside the\ncheckpoint, or as `make vocab` installed "
     "it",
     FIELD(vocab), 0, 0},
    {ROW_TEXT, "Address", "host", "ADDRESS",
     "where to listen; default 127.0.0.1. Another machine's\nview needs --api-key-file",
     FIELD(host), 0, 0},
    {ROW_INT, NULL, "port", "N", "default 7860; 0: any that is free", FIELD(port), 0, 65535},
    {ROW_TEXT, NULL, "socket", "SOCKET", "listen on this socket in the file system instead",
     FIELD(socket), 0, 0},
    {ROW_TEXT, "Safety", "api-key-file", "FILE", "keys, one a line; each request must show one",
     FIELD(key_file), 0, 0},
    {ROW_LIST, NULL, "allow-host", "NAME", "answer to this name, too (behind a proxy); repeatable",
     FIELD(hosts), 0, 0},
    {ROW_LIST, NULL, "cors-origin", "ORIGIN",
     "let pages of this site, https://NAME, use the server;\nrepeatable", FIELD(origins), 0, 0},
    {ROW_FLAG, NULL, "insecure", NULL, "listen on other addresses without a key", FIELD(insecure),
     0, 0},
    {ROW_INT, "Limits", "queue", "N", "jobs that may wait; default 64", FIELD(queue), 1, 10000},
    {ROW_INT, NULL, "connections", "N", "open at once; default 64", FIELD(connections), 4, 4096},
    {ROW_INT, NULL, "timeout", "SECONDS",
     "to send a request in, and for an idle connection;\ndefault 30", FIELD(seconds), 1, 3600},
    {ROW_INT, NULL, "max-count", "N", "pictures in one job; default 100", FIELD(max_count), 1,
     10000},
    {ROW_REAL, NULL, "max-pixels", "N", "of one picture; default 4194304", FIELD(max_pixels), 1,
     1e9},
    {ROW_REAL, NULL, "max-work", "N", "pixels x steps x pictures of one job; default 1e11",
     FIELD(max_work), 1, 1e18},
    {ROW_TEXT, "Pictures", "out", "DIR", "where they are kept; default generated_outputs/server",
     FIELD(out), 0, 0},
    {ROW_FLAG, NULL, "keep-going", NULL, "go on with a job whose waiting client went away",
     FIELD(keep_disconnected), 0, 0},
    {ROW_FLAG, NULL, "metrics", NULL, "figures for Prometheus at /metrics", FIELD(metrics), 0, 0},
};

enum { ROW_COUNT = sizeof rows / sizeof *rows };

static const char about[] =
    "Serves pictures from a latent diffusion model over HTTP: a page for people,\n"
    "/api/v1 with progress and previews, and the interfaces that clients of\n"
    "AUTOMATIC1111 (/sdapi/v1) and of OpenAI's images (/v1) know. Listens on this\n"
    "machine alone unless told otherwise.";

static const char notes[] =
    "'ldm serve' starts the same program. docs/SERVER.md describes the interfaces.\n"
    "SIGTERM and Ctrl-C end it: the running job is kept as broken, and can be\n"
    "started again from the page.\n"
    "Environment: LDM_MAX_ISA=c|avx2|avx512 limits the instructions used.";

void ldm_serve_say(const char *fmt, ...)
{
    char line[1400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    ldm_flatten(line);
    fprintf(stderr, "ldm-server: %s\n", line);
}

LDM_PRINTF(1, 2) static int usage(const char *fmt, ...)
{
    char line[1200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    ldm_serve_say("%s (see 'ldm-server --help')", line);
    return 2;
}

/* ---- the options as they are typed ----------------------------------------------------------- */

typedef struct option_entry {
    const row *own; /* NULL: a setting of the library */
    const ldm_setting_row *setting;
    bool off;
    char name[48];
    const char *arg, *help;
    const char *heading; /* above it, or NULL */
} option_entry;

typedef struct option_entries {
    option_entry at[MAX_ROWS];
    int count;
} option_entries;

static void add_setting(option_entries *e, const ldm_setting_row *s, bool off, const char *heading)
{
    option_entry *to = &e->at[e->count++];

    *to = (option_entry){.setting = s,
                         .off = off,
                         .arg = ldm_setting_arg(s),
                         .help = off ? ldm_setting_help_no(s) : ldm_setting_help(s),
                         .heading = heading};
    snprintf(to->name, sizeof to->name, "%s%s", off ? "no-" : "", ldm_setting_key(s));
    for (char *p = to->name; *p; p++) {
        if (*p == '_')
            *p = '-';
    }
}

static void add_settings(option_entries *e, const char *group)
{
    const char *heading = group;

    for (size_t i = 0; i < ldm_setting_count(LDM_SETTINGS_MODEL); i++) {
        const ldm_setting_row *s = ldm_setting_at(LDM_SETTINGS_MODEL, i);

        if (strcmp(ldm_setting_group(s), group) != 0 || e->count + 2 > MAX_ROWS)
            continue;
        add_setting(e, s, false, heading);
        heading = NULL;
        if (ldm_setting_get_type(s) == LDM_TYPE_BOOL)
            add_setting(e, s, true, NULL);
    }
}

static void list_options(option_entries *e)
{
    e->count = 0;
    add_settings(e, "Model");
    for (size_t i = 0; i < ROW_COUNT && e->count < MAX_ROWS - 8; i++) {
        option_entry *to = &e->at[e->count++];

        *to = (option_entry){
            .own = &rows[i], .arg = rows[i].arg, .help = rows[i].help, .heading = rows[i].heading};
        snprintf(to->name, sizeof to->name, "%s", rows[i].name);
    }
    add_settings(e, "Machine");
}

/* ---- help ------------------------------------------------------------------------------------ */

static void print_choices(const option_entry *e, const char *before, const char *after)
{
    const char *c;

    for (size_t i = 0; e->setting && (c = ldm_setting_choice(e->setting, i)); i++)
        printf("%s%s", i ? "|" : before, c);
    if (e->setting && ldm_setting_choice(e->setting, 0))
        fputs(after, stdout);
}

static void print_option(const char *name, const char *arg, const char *help)
{
    int used = printf("  --%s%s%s", name, arg ? " " : "", arg ? arg : "");
    ldm_str text = {0};

    if (used >= HELP_COLUMN) {
        putchar('\n');
        used = 0;
    }
    ldm_str_explain(&text, help, (size_t)used, HELP_COLUMN);
    if (!text.failed)
        fputs(text.data, stdout);
    ldm_str_free(&text);
}

static void print_help(const option_entries *e)
{
    printf("usage: ldm-server [options]\n\n%s\n", about);
    for (int i = 0; i < e->count; i++) {
        if (e->at[i].heading)
            printf("\n%s\n", e->at[i].heading);
        print_option(e->at[i].name, e->at[i].arg, e->at[i].help);
        print_choices(&e->at[i], "                          (", ")\n");
    }
    puts("\nOthers");
    print_option("help", NULL, "this text");
    print_option("version", NULL, "the version");
    print_option("tables", NULL, "this text for programs");
    printf("\n%s\n", notes);
}

static void print_column(const char *text)
{
    putchar('\t');
    for (; text && *text; text++) {
        if (*text == '\n')
            fputs("\\n", stdout);
        else if (*text == '\\')
            fputs("\\\\", stdout);
        else
            putchar(*text);
    }
}

static void print_row(const option_entry *e)
{
    const bool list = e->own ? e->own->type == ROW_LIST
                             : e->setting && ldm_setting_get_type(e->setting) == LDM_TYPE_LIST;

    fputs("option\t", stdout);
    print_column(e->name);
    print_column(e->arg);
    putchar('\t');
    print_choices(e, "", "");
    if (e->setting && !strcmp(ldm_setting_key(e->setting), "model")) {
        for (const char *p = LDM_SHIPPED_MODELS; *p; p++) { /* "portrait, demo" */
            if (*p != ' ')
                putchar(*p == ',' ? '|' : *p);
        }
    }
    print_column(list ? "1" : "0");
    print_column(e->help);
    putchar('\n');
}

/* As `ldm help tables` prints them; src/cli/overview.h describes the rows. */
static void print_tables(const option_entries *e)
{
    static const option_entry others[] = {{.name = "help", .help = "the help text"},
                                          {.name = "version", .help = "the version"},
                                          {.name = "tables", .help = "the options for programs"}};

    printf("program\tldm-server\t%s\tserves pictures from latent diffusion models", ldm_version());
    print_column(about);
    puts("\nexit\t0\tended by SIGTERM or Ctrl-C\nexit\t1\tthe server cannot go on\nexit\t2\twrong "
         "usage\n"
         "exit\t3\tconfig and checkpoint do not match\n"
         "variable\tLDM_MAX_ISA\tc|avx2|avx512\tlimits the instructions used");
    for (int i = 0; i < e->count; i++) {
        if (e->at[i].heading) {
            fputs("heading", stdout);
            print_column(e->at[i].heading);
            putchar('\n');
        }
        print_row(&e->at[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        print_row(&others[i]);
}

/* ---- values ---------------------------------------------------------------------------------- */

static int store_number(const row *r, const char *value, void *field)
{
    char *end;
    const double v = strtod(value, &end);
    const bool whole = r->type == ROW_REAL || v == (double)(long)v;

    if (end == value || *end || !(v >= r->min && v <= r->max) || !whole)
        return usage("--%s: '%s' is not a %snumber from %.10g to %.10g", r->name, value,
                     r->type == ROW_INT ? "whole " : "", r->min, r->max);
    if (r->type == ROW_INT)
        *(int *)field = (int)v;
    else
        *(double *)field = v;
    return 0;
}

static int store_item(const row *r, const char *value, const char **list)
{
    size_t n = 0;

    while (list[n])
        n++;
    if (n == LDM_SERVE_LIST)
        return usage("--%s: at most %d of them", r->name, LDM_SERVE_LIST);
    list[n] = value;
    return 0;
}

static int store_own(const row *r, const char *value, ldm_serve_options *o)
{
    char *field = (char *)o + r->field;

    if (r->type == ROW_FLAG) {
        *(bool *)field = true;
        return 0;
    }
    if (!*value)
        return usage("--%s: the value is empty; give it %s", r->name, r->arg);
    if (r->type == ROW_INT || r->type == ROW_REAL)
        return store_number(r, value, field);
    if (r->type == ROW_LIST)
        return store_item(r, value, (const char **)field);
    *(const char **)field = value;
    return 0;
}

static int store_setting(const option_entry *e, const char *value, ldm_serve_options *o)
{
    const char *key = ldm_setting_key(e->setting);
    const size_t len = strlen(key);
    ldm_error err;

    if (!ldm_model_options_set(o->model, key, value ? value : e->off ? "false" : "true", &err))
        return 0;
    return strncmp(err.msg, key, len) != 0 ? usage("%s", err.msg)
                                           : usage("--%s%s", e->name, err.msg + len);
}

/* ---- parsing --------------------------------------------------------------------------------- */

static int unknown(const option_entries *e, const char *word)
{
    const char *found = NULL;
    char bare[64];
    size_t best;

    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word, "="), word);
    best = ldm_edit_limit(bare) + 1;
    for (int i = 0; i < e->count; i++) {
        const size_t d = ldm_edit_distance(bare, e->at[i].name, best);

        if (d < best) {
            best = d;
            found = e->at[i].name;
        }
    }
    if (found)
        return usage("unknown option '--%s'; did you mean --%s?", word, found);
    return usage("unknown option '--%s'", word);
}

static int parse(int argc, char **argv, const option_entries *e, ldm_serve_options *o)
{
    struct option longs[MAX_ROWS + 4];
    int c, code = 0, n = 0;

    for (; n < e->count; n++)
        longs[n] = (struct option){e->at[n].name, e->at[n].arg ? required_argument : no_argument,
                                   NULL, LONG_BASE + n};
    longs[n++] = (struct option){"help", no_argument, NULL, 'h'};
    longs[n++] = (struct option){"version", no_argument, NULL, 'V'};
    longs[n++] = (struct option){"tables", no_argument, NULL, 't'};
    longs[n] = (struct option){NULL, 0, NULL, 0};
    opterr = 0;
    while (!code && (c = getopt_long(argc, argv, ":hV", longs, NULL)) != -1) {
        if (c == 'h')
            print_help(e);
        else if (c == 'V')
            printf("ldm-server %s\n", ldm_version());
        else if (c == 't')
            print_tables(e);
        if (c == 'h' || c == 'V' || c == 't') {
            o->over = true;
            return 0;
        }
        if (c == ':')
            code = usage("%s needs a value", argv[optind - 1]);
        else if (c == '?')
            code = argv[optind - 1][1] == '-' ? unknown(e, argv[optind - 1] + 2)
                                              : usage("unknown option '%s'", argv[optind - 1]);
        else if (e->at[c - LONG_BASE].own)
            code = store_own(e->at[c - LONG_BASE].own, optarg, o);
        else
            code = store_setting(&e->at[c - LONG_BASE], optarg, o);
    }
    if (!code && optind < argc)
        code = usage("unexpected argument '%s'", argv[optind]);
    return code;
}

int ldm_serve_options_read(int argc, char **argv, const char *max_isa, ldm_serve_options *o)
{
    option_entries all;
    ldm_error err;

    *o = (ldm_serve_options){.host = "127.0.0.1",
                             .out = "generated_outputs/server",
                             .port = 7860,
                             .queue = 64,
                             .connections = 64,
                             .seconds = 30,
                             .max_count = 100,
                             .max_pixels = 4194304,
                             .max_work = 1e11};
    if (ldm_model_options_create(&o->model, &err)) {
        ldm_serve_say("%s", err.msg);
        return 1;
    }
    if (max_isa && *max_isa && ldm_model_options_set(o->model, "max_isa", max_isa, &err))
        return usage("LDM_MAX_ISA%s", strchr(err.msg, ':') ? strchr(err.msg, ':') : "");
    list_options(&all);
    return parse(argc, argv, &all, o);
}

void ldm_serve_options_free(ldm_serve_options *o)
{
    ldm_model_options_free(o->model);
}
