/* SPDX-License-Identifier: MIT */
/* Parsing of options by table; see opts.h. getopt_long splits the line, the rows and the library's
 * settings do the rest. */
#include "cli/opts.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/aliases.h"
#include "cli/terminal.h"

enum {
    MAX_OPTS = 192,
    LONG_BASE = 256,
    HELP_VAL = 255,
    HELP_COLUMN = 26,
    CHOICES_WIDTH = 60,
    CHOICES_NARROW = 44,
    NARROW_HELP = 80
};

static const ldm_opt no_option = {.type = LDM_OPT_FLAG};

const char *ldm_word_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t len = strlen(word), limit = len < 4 ? 1 : len < 8 ? 2 : 3, best = limit + 1;
    const char *found = NULL;

    for (size_t i = 0; i < count; i++) {
        size_t d = ldm_edit_distance(word, candidates[i], limit);

        if (d < best) {
            best = d;
            found = candidates[i];
        }
    }
    return found;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* One option as it is typed: a row of the command, or a setting of the library. */
typedef struct entry {
    const ldm_opt *own;             /* NULL: a setting by its group */
    const ldm_setting_row *setting; /* NULL: a row of the command's own */
    bool off;                       /* --no-KEY */
    bool heading;
    char letter;
    char name[48]; /* "max-memory" */
    const char *arg, *help;
    const struct entry *means; /* of CompVis' spelling of another entry: that one; else NULL */
    const char *value;         /* the value that this spelling stands for */
    const ldm_alias *alias;    /* this spelling's row */
} entry;

typedef struct entries {
    entry at[MAX_OPTS];
    size_t count;
} entries;

static bool has_setting(const entries *e, const char *key)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->at[i].setting && !strcmp(ldm_setting_key(e->at[i].setting), key))
            return true;
    }
    return false;
}

static void add_setting(entries *e, const ldm_setting_row *s, const ldm_opt *own, bool off)
{
    entry *to = &e->at[e->count];

    if (e->count == MAX_OPTS)
        return;
    e->count++;
    *to = (entry){.own = own, .setting = s, .off = off, .arg = ldm_setting_arg(s)};
    to->letter = own && own->letter ? own->letter : ldm_setting_letter(s);
    to->help = own && own->help ? own->help : off ? ldm_setting_help_no(s) : ldm_setting_help(s);
    snprintf(to->name, sizeof to->name, "%s%s", off ? "no-" : "", ldm_setting_key(s));
    for (char *p = to->name; *p; p++) {
        if (*p == '_')
            *p = '-';
    }
}

/* A switch that is on by default has an option that turns it off, one without default has both. */
static void add_switch(entries *e, const ldm_setting_row *s, const ldm_opt *own)
{
    const char *value = ldm_setting_default(s);

    if (ldm_setting_get_type(s) != LDM_TYPE_BOOL || !value || strcmp(value, "true"))
        add_setting(e, s, own, false);
    if (ldm_setting_get_type(s) == LDM_TYPE_BOOL && (!value || !strcmp(value, "true")))
        add_setting(e, s, own, true);
}

static void add_group(entries *e, ldm_setting_kind kind, const char *group)
{
    for (size_t i = 0; i < ldm_setting_count(kind); i++) {
        const ldm_setting_row *s = ldm_setting_at(kind, i);

        if (!strcmp(ldm_setting_group(s), group) && !has_setting(e, ldm_setting_key(s)))
            add_switch(e, s, NULL);
    }
}

static void add_own(entries *e, const ldm_opt *o)
{
    entry *to = &e->at[e->count];

    if (e->count == MAX_OPTS)
        return;
    e->count++;
    *to = (entry){.own = o,
                  .heading = o->type == LDM_OPT_HEADING,
                  .letter = o->letter,
                  .arg = o->arg,
                  .help = o->help};
    if (!to->heading)
        snprintf(to->name, sizeof to->name, "%s", o->name);
}

static void expand(const ldm_command *cmd, entries *e)
{
    e->count = 0;
    for (size_t i = 0; i < cmd->opt_count; i++) {
        const ldm_opt *o = &cmd->opts[i];

        if (o->type == LDM_OPT_SETTINGS)
            add_group(e, o->kind, o->name);
        else if (o->type == LDM_OPT_SETTING)
            add_switch(e, ldm_setting_find(o->kind, o->name), o);
        else
            add_own(e, o);
    }
}

/* ---- other programs' spellings --------------------------------------------------------------- */

/* Whether "--name" or "--name=..." is on the line: only then it may take part in shortening. */
static bool is_typed(const char *name, int argc, char **argv)
{
    const size_t len = strlen(name);

    for (int i = 1; i < argc && len; i++) {
        if (!strncmp(argv[i], "--", 2) && !strncmp(argv[i] + 2, name, len) &&
            (!argv[i][2 + len] || argv[i][2 + len] == '='))
            return true;
    }
    return false;
}

static const entry *find_entry(const entries *e, const char *name, char letter)
{
    for (size_t i = 0; i < e->count; i++) {
        const entry *at = &e->at[i];

        if (!at->heading &&
            ((*name && !strcmp(at->name, name)) || (letter && at->letter == letter)))
            return at;
    }
    return NULL;
}

/* Adds the spellings of the entries that the command has; its own take precedence. */
static void add_aliases(entries *e, int argc, char **argv)
{
    const ldm_alias *a;

    for (size_t i = 0; (a = ldm_alias_at(i)) && e->count < MAX_OPTS; i++) {
        const entry *means = find_entry(e, a->here, 0);
        const bool typed = is_typed(a->there, argc, argv) && !find_entry(e, a->there, 0);
        const bool letter = a->letter && !find_entry(e, "", a->letter);
        entry *to = &e->at[e->count];

        if (!means || (!typed && !letter))
            continue;
        *to = *means;
        to->letter = '\0';
        if (letter)
            to->letter = a->letter;
        snprintf(to->name, sizeof to->name, "%s", typed ? a->there : "");
        to->arg = a->value ? NULL : means->arg;
        to->means = means;
        to->value = a->value;
        to->alias = a;
        e->count++;
    }
}

/* Whether a spelling on the line is not CompVis' but another program's. */
static bool of_others(const entries *e, int argc, char **argv)
{
    for (size_t i = 0; i < e->count; i++) {
        const ldm_alias *a = e->at[i].alias;

        if (a && a->others && is_typed(a->there, argc, argv))
            return true;
    }
    return false;
}

/* "-r is --ckpt", added to what was understood before. */
static void add_understood(ldm_str *said, const entry *e, const char *spelled)
{
    char begin[80];

    snprintf(begin, sizeof begin, "%s is ", spelled);
    if (!said->len || !strstr(said->data, begin)) /* repeated: said once */
        ldm_str_printf(said, "%s%s--%s%s%s", said->len ? ", " : "", begin, e->means->name,
                       e->value ? " " : "", e->value ? e->value : "");
}

/* ---- values ---------------------------------------------------------------------------------- */

static bool is_choice(const char *s, const char *choices)
{
    size_t len = strlen(s);

    while (len && *choices) {
        size_t n = strcspn(choices, "|");

        if (n == len && !memcmp(s, choices, n))
            return true;
        choices += n + (choices[n] == '|');
    }
    return false;
}

/* Sets the key in every object that has it. */
static ldm_status set_all(const ldm_targets *t, const char *key, const char *text, ldm_error *err)
{
    ldm_status st = LDM_OK;

    if (t->model && ldm_setting_find(LDM_SETTINGS_MODEL, key))
        st = ldm_model_options_set(t->model, key, text, err);
    if (!st && t->job && ldm_setting_find(LDM_SETTINGS_JOB, key))
        st = ldm_job_set(t->job, key, text, err);
    if (!st && t->eval && ldm_setting_find(LDM_SETTINGS_EVAL, key))
        st = ldm_eval_job_set(t->eval, key, text, err);
    if (!st && t->bench && ldm_setting_find(LDM_SETTINGS_BENCH, key))
        st = ldm_bench_options_set(t->bench, key, text, err);
    return st;
}

static int store_setting(const ldm_command *cmd, const entry *e, const char *spelled,
                         const char *value, const ldm_targets *targets)
{
    const char *key = ldm_setting_key(e->setting);
    ldm_error err;
    ldm_status st = set_all(targets, key, value ? value : e->off ? "false" : "true", &err);

    if (!st)
        return 0;
    if (st != LDM_ERR_USAGE || strncmp(err.msg, key, strlen(key)))
        return ldm_cli_fail(cmd, st, &err);
    return ldm_cli_usage(cmd, "%s%s", spelled, err.msg + strlen(key)); /* "KEY: what is wrong" */
}

static bool names_file(const entry *e)
{
    return e->arg && (strstr(e->arg, "FILE") || strstr(e->arg, "DIR") || strstr(e->arg, "OUT"));
}

/* What a shell, or somebody who copied a line, leaves at a file's name; where there is such a file
 * it is what was meant. */
static bool looks_mistyped(const ldm_command *cmd, const char *spelled, const char *value)
{
    const size_t n = strlen(value);

    if (!n || !access(value, F_OK))
        return false;
    if (value[0] == '~' && value[1] == '/')
        ldm_cli_usage(cmd,
                      "%s: '%s' begins with ~, which shells replace by the home folder only at the "
                      "beginning of a word and outside of quotes; write $HOME%s",
                      spelled, value, value + 1);
    else if (value[0] == ' ' || value[n - 1] == ' ')
        ldm_cli_usage(cmd, "%s: '%s' begins or ends with a blank; leave it out", spelled, value);
    else if (n > 1 && (value[0] == '\'' || value[0] == '"') && value[n - 1] == value[0])
        ldm_cli_usage(cmd, "%s: %s has quotes of its own in it; leave them out", spelled, value);
    else
        return false;
    return true;
}

static int store(const ldm_command *cmd, const entry *e, const char *spelled, const char *value,
                 void *out, const ldm_targets *targets)
{
    const ldm_opt *o = e->own;
    char *field;

    if (value && *value && value[strlen(value) - 1] == '\r')
        return ldm_cli_usage(cmd,
                             "%s: the value ends with a carriage return (\\r): the script or list "
                             "that it comes from has Windows' line ends; remove them",
                             spelled);
    if (value && names_file(e) && looks_mistyped(cmd, spelled, value))
        return LDM_EXIT_USAGE;
    if (e->setting)
        return store_setting(cmd, e, spelled, value, targets);
    field = (char *)out + o->field;
    if (o->type == LDM_OPT_FLAG) {
        *(bool *)field = true;
        return 0;
    }
    if (!*value && !o->may_be_empty && (o->type == LDM_OPT_TEXT || o->type == LDM_OPT_TEXTS))
        return ldm_cli_usage(cmd, "%s: the value is empty; give it %s", spelled, o->arg);
    if (o->type == LDM_OPT_CHOICE && !is_choice(value, o->choices))
        return ldm_cli_usage(cmd, "%s: '%s' is not one of %s", spelled, value, o->choices);
    if (o->type == LDM_OPT_TEXTS) {
        ldm_opt_list *list = (ldm_opt_list *)(void *)field;

        if (list->count == LDM_OPT_LIST_MOST)
            return ldm_cli_usage(cmd, "%s: at most %d of them", spelled, LDM_OPT_LIST_MOST);
        list->items[list->count++] = value;
        return 0;
    }
    *(const char **)field = value;
    return 0;
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* "--steps" or "-n", as the user should read it. */
static void spell(const entry *o, bool letter, char *buf, size_t size)
{
    if (letter || !*o->name)
        snprintf(buf, size, "-%c", o->letter);
    else
        snprintf(buf, size, "--%s", o->name);
}

/* "-v is --sampler ddpm" becomes "-v is --sampler ddpm --steps 1000". */
static void say_second(ldm_str *said, const char *spelled, const ldm_alias *a)
{
    const char *item = said->len ? strstr(said->data, spelled) : NULL;
    size_t end = item ? (size_t)(item - said->data) + strcspn(item, ",") : said->len;
    ldm_str whole = {0};

    ldm_str_append(&whole, said->len ? said->data : "", end);
    ldm_str_printf(&whole, " --%s %s%s", a->also, a->also_value, said->len ? said->data + end : "");
    ldm_str_free(said);
    *said = whole;
}

/* The second settings of the spellings that were typed, once the whole line is read: what the line
 * itself says takes precedence. */
static void add_seconds(const entries *all, const bool *typed, const ldm_targets *targets,
                        ldm_str *said)
{
    char spelled[64];

    for (size_t i = 0; i < all->count; i++) {
        const ldm_alias *a = typed[i] ? all->at[i].alias : NULL;

        if (!a || !a->also || !targets->job || ldm_job_is_set(targets->job, a->also) ||
            ldm_job_set(targets->job, a->also, a->also_value, NULL))
            continue;
        spell(&all->at[i], false, spelled, sizeof spelled);
        say_second(said, spelled, a);
    }
}

/* An option of ldm generate that this command lacks: where its value is said instead. */
static bool of_generate(const ldm_command *cmd, const entries *all, const char *word)
{
    char key[64];
    const ldm_setting_row *row;

    snprintf(key, sizeof key, "%s", word);
    for (char *p = key; *p; p++)
        *p = *p == '-' ? '_' : *p;
    row = ldm_setting_find(LDM_SETTINGS_JOB, key);
    if (!row || !*ldm_setting_group(row))
        return false;
    if (find_entry(all, "sweep", 0) && ldm_setting_flags(row) & LDM_SETTING_CONFIG)
        ldm_cli_usage(cmd,
                      "--%s is said by each configuration here, in its section ldm: sampling:, or "
                      "for both by --set ldm.sampling.%s=%s",
                      word, key, ldm_setting_arg(row) ? ldm_setting_arg(row) : "true");
    else
        ldm_cli_usage(cmd, "--%s is an option of 'ldm generate', not of 'ldm %s'", word, cmd->name);
    return true;
}

/* Reports a long option that getopt does not know; `word` is the text after the dashes. */
static void unknown_long(const ldm_command *cmd, const entries *all, const char *word)
{
    const char *names[MAX_OPTS + 1], *hit[2] = {NULL, NULL};
    char bare[64];
    size_t count = 0, hits = 0;

    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word, "="), word);
    for (size_t i = 0; i < all->count; i++) {
        if (*all->at[i].name)
            names[count++] = all->at[i].name;
    }
    names[count++] = "help";
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(names[i], bare)) {
            ldm_cli_usage(cmd, "--%s takes no value", bare);
            return;
        }
        if (!strncmp(names[i], bare, strlen(bare)) && hits++ < 2)
            hit[hits - 1] = names[i];
    }
    if (hits > 1 && *bare) {
        ldm_cli_usage(cmd, "'--%s' could be --%s or --%s; write it out", bare, hit[0], hit[1]);
        return;
    }
    if (ldm_alias_refused(cmd, bare) || of_generate(cmd, all, bare))
        return;
    hit[0] = ldm_word_nearest(bare, names, count);
    if (hit[0])
        ldm_cli_usage(cmd, "unknown option '--%s'; did you mean --%s?", bare, hit[0]);
    else
        ldm_cli_usage(cmd, "unknown option '--%s'", bare);
}

/* A letter that is no option: perhaps a long option written with one dash. */
static void unknown_letter(const ldm_command *cmd, const entries *all, int letter, int argc,
                           char **argv)
{
    for (int a = 1; a < argc; a++) {
        if (argv[a][0] != '-' || argv[a][1] != letter)
            continue;
        for (size_t i = 0; i < all->count; i++) {
            const char *name = all->at[i].name;

            if (*name && !strcmp(name, argv[a] + 1)) {
                ldm_cli_usage(cmd, "unknown option '-%s'; did you mean --%s?", name, name);
                return;
            }
        }
    }
    ldm_cli_usage(cmd, "unknown option '-%c'", letter);
}

typedef struct getopt_tables {
    struct option longs[MAX_OPTS + 2];
    char shorts[2 * MAX_OPTS + 4];
} getopt_tables;

static void make_tables(const entries *all, getopt_tables *t)
{
    size_t count = 0, s = 0;

    /* ':' first: getopt tells a missing value from an unknown option, and prints nothing itself. */
    t->shorts[s++] = ':';
    t->shorts[s++] = 'h';
    for (size_t i = 0; i < all->count; i++) {
        const entry *o = &all->at[i];

        if (*o->name)
            t->longs[count++] = (struct option){o->name, o->arg ? required_argument : no_argument,
                                                NULL, LONG_BASE + (int)i};
        if (o->letter) {
            t->shorts[s++] = o->letter;
            if (o->arg)
                t->shorts[s++] = ':';
        }
    }
    t->longs[count++] = (struct option){"help", no_argument, NULL, HELP_VAL};
    t->longs[count] = (struct option){NULL, 0, NULL, 0};
    t->shorts[s] = '\0';
}

static void missing_value(const ldm_command *cmd, const entries *all)
{
    if (optopt >= LONG_BASE)
        ldm_cli_usage(cmd, "--%s needs a value (%s)", all->at[optopt - LONG_BASE].name,
                      all->at[optopt - LONG_BASE].arg);
    else
        ldm_cli_usage(cmd, "-%c needs a value", optopt);
}

static const entry *entry_of(const entries *all, int c)
{
    return c >= LONG_BASE ? &all->at[c - LONG_BASE] : find_entry(all, "", (char)c);
}

/* Whether the value of `o`, the word before the next, is an option that stands where its value is
 * missing: "-o --steps 5". */
static bool swallowed(const entries *all, const entry *o, const char *word)
{
    char name[64];

    if (!o->arg || optarg != word || strncmp(word, "--", 2))
        return false;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    return find_entry(all, name, 0) != NULL;
}

static ldm_parse parse_options(const ldm_command *cmd, const entries *all, int argc, char **argv,
                               void *out, const ldm_targets *targets, ldm_str *understood)
{
    getopt_tables tables;
    bool typed[MAX_OPTS] = {false};
    char spelled[64];
    int c;

    make_tables(all, &tables);
    opterr = 0;
    optind = 0; /* start again, also on a second pass */
    while ((c = getopt_long(argc, argv, tables.shorts, tables.longs, NULL)) != -1) {
        const entry *o;

        if (c == 'h' || c == HELP_VAL) {
            ldm_opts_help(cmd);
            return LDM_PARSE_HELP;
        }
        if (c == '?') {
            /* getopt sets optopt for letters, and for known flags that were given a value */
            if (optopt > 0 && optopt < HELP_VAL)
                unknown_letter(cmd, all, optopt, argc, argv);
            else
                unknown_long(cmd, all, argv[optind - 1] + 2);
            return LDM_PARSE_ERROR;
        }
        if (c == ':') {
            missing_value(cmd, all);
            return LDM_PARSE_ERROR;
        }
        o = entry_of(all, c);
        if (!o)
            continue;
        spell(o, c < LONG_BASE, spelled, sizeof spelled);
        if (swallowed(all, o, argv[optind - 1])) {
            ldm_cli_usage(cmd, "%s needs a value (%s), and the option %s follows it", spelled,
                          o->arg, optarg);
            return LDM_PARSE_ERROR;
        }
        if (store(cmd, o, spelled, o->value ? o->value : o->arg ? optarg : NULL, out, targets))
            return LDM_PARSE_ERROR;
        typed[o - all->at] = true;
        if (o->means)
            add_understood(understood, o, spelled);
    }
    add_seconds(all, typed, targets, understood);
    return LDM_PARSE_OK;
}

static ldm_parse check_arguments(const ldm_command *cmd, int argc, char **argv)
{
    const int extra = argc - optind;

    if (extra < cmd->min_args) {
        const char *name = cmd->args; /* of the first that is missing */

        for (int i = 0; i < extra && strchr(name, ' '); i++)
            name = strchr(name, ' ') + 1;
        ldm_cli_usage(cmd, "%.*s is missing; usage: ldm %s %s", (int)strcspn(name, " ."), name,
                      cmd->name, cmd->args);
        return LDM_PARSE_ERROR;
    }
    if (cmd->max_args >= 0 && extra > cmd->max_args) {
        ldm_cli_usage(cmd, "unexpected argument '%s'; %s", argv[optind + cmd->max_args],
                      cmd->max_args > 1 ? "give two files"
                      : cmd->max_args   ? "give one file"
                                        : "files are given by options, e.g. --ckpt FILE");
        return LDM_PARSE_ERROR;
    }
    for (int i = optind; i < argc; i++) {
        if (*argv[i] && argv[i][strlen(argv[i]) - 1] == '\r') {
            ldm_cli_usage(cmd,
                          "'%s': the argument ends with a carriage return (\\r): the script or "
                          "list that it comes from has Windows' line ends; remove them",
                          argv[i]);
            return LDM_PARSE_ERROR;
        }
    }
    return LDM_PARSE_OK;
}

ldm_parse ldm_opts_parse(const ldm_command *cmd, int argc, char **argv, void *out,
                         const ldm_targets *targets, int *args)
{
    entries all;
    ldm_str understood = {0};
    ldm_parse parse;

    expand(cmd, &all);
    add_aliases(&all, argc, argv);
    parse = parse_options(cmd, &all, argc, argv, out, targets, &understood);
    if (!parse && understood.len)
        ldm_cli_say(cmd, "note: %s spellings: %s",
                    of_others(&all, argc, argv) ? "other programs'" : "CompVis'", understood.data);
    ldm_str_free(&understood);
    *args = optind;
    return parse ? parse : check_arguments(cmd, argc, argv);
}

int ldm_parse_exit(ldm_parse p)
{
    return p == LDM_PARSE_ERROR ? LDM_EXIT_USAGE : LDM_EXIT_OK;
}

/* ---- help ------------------------------------------------------------------------------------ */

/* A help text as it is written, and the column that explanations begin in: below the options' names
 * on a narrow terminal. */
typedef struct help_page {
    ldm_str text;
    int column;
    bool narrow;
} help_page;

/* "(a|b|c)" below a choice, in as many lines as it takes. */
static void put_choices(help_page *h, const entry *e)
{
    const size_t most = h->narrow ? CHOICES_NARROW : CHOICES_WIDTH;
    const char *c;
    size_t used = 0;

    if (!e->setting && e->own->type == LDM_OPT_CHOICE)
        ldm_str_printf(&h->text, "%*s(%s)\n", h->column, "", e->own->choices);
    for (size_t i = 0; (c = ldm_setting_choice(e->setting, i)); i++) {
        if (i == 0)
            ldm_str_printf(&h->text, "%*s(", h->column, "");
        else if (used + strlen(c) < most)
            ldm_str_puts(&h->text, "|");
        else {
            ldm_str_printf(&h->text, "|\n%*s", h->column + 1, "");
            used = 0;
        }
        ldm_str_puts(&h->text, c);
        used += strlen(c) + 1;
    }
    if (used)
        ldm_str_puts(&h->text, ")\n");
}

/* The lines of an explanation; on a narrow terminal one line, which is broken there. */
static void put_explanation(help_page *h, const char *line, int used)
{
    if (h->narrow && line)
        ldm_str_printf(&h->text, "%*s", h->column, "");
    while (line) {
        const char *end = strchr(line, '\n');
        const int len = end ? (int)(end - line) : (int)strlen(line);

        if (h->narrow)
            ldm_str_printf(&h->text, "%.*s%s", len, line, end ? " " : "\n");
        else
            ldm_str_printf(&h->text, "%*s%.*s\n", h->column - used, "", len, line);
        line = end ? end + 1 : NULL;
        used = 0;
    }
}

static void put_option(help_page *h, const entry *e)
{
    const size_t begin = h->text.len;
    int used;

    if (e->letter && *e->name)
        ldm_str_printf(&h->text, "  -%c, --%s", e->letter, e->name);
    else if (e->letter)
        ldm_str_printf(&h->text, "  -%c", e->letter);
    else
        ldm_str_printf(&h->text, "  --%s", e->name);
    if (e->arg)
        ldm_str_printf(&h->text, " %s", e->arg);
    used = (int)(h->text.len - begin);
    if (used >= h->column || h->narrow) {
        ldm_str_puts(&h->text, "\n");
        used = 0;
    }
    put_explanation(h, e->help, used);
    put_choices(h, e);
}

static void put_options(help_page *h, const ldm_command *cmd)
{
    entries all;

    expand(cmd, &all);
    if (!cmd->opt_count || cmd->opts[0].type != LDM_OPT_HEADING)
        ldm_str_puts(&h->text, "\nOptions\n");
    for (size_t i = 0; i < all.count; i++) {
        if (all.at[i].heading)
            ldm_str_printf(&h->text, "\n%s\n", all.at[i].own->name);
        else
            put_option(h, &all.at[i]);
    }
    put_option(h, &(entry){.letter = 'h', .name = "help", .help = "this text", .own = &no_option});
}

void ldm_opts_help(const ldm_command *cmd)
{
    const int width = ldm_terminal_width(STDOUT_FILENO);
    help_page h = {.narrow = width && width < NARROW_HELP};

    h.column = h.narrow ? 6 : HELP_COLUMN;
    ldm_str_printf(&h.text, "usage: ldm %s %s\n\n%s\n", cmd->name, cmd->args, cmd->about);
    put_options(&h, cmd);
    if (cmd->notes)
        ldm_str_printf(&h.text, "\n%s\n", cmd->notes);
    if (h.text.failed)
        ldm_cli_nomem(cmd);
    else
        ldm_terminal_print_sentences(h.text.data);
    ldm_str_free(&h.text);
}

void ldm_opts_each(const ldm_command *cmd, void (*fn)(void *ctx, const ldm_opt_shown *o), void *ctx)
{
    entries all;

    expand(cmd, &all);
    for (size_t i = 0; i < all.count; i++) {
        const entry *e = &all.at[i];
        const ldm_opt_shown shown = {.heading = e->heading,
                                     .letter = e->letter,
                                     .name = e->heading ? e->own->name : e->name,
                                     .arg = e->arg,
                                     .help = e->help,
                                     .choices = e->setting ? NULL : e->own->choices,
                                     .setting = e->setting};

        fn(ctx, &shown);
    }
}
