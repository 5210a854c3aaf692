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
#include "cli/arguments.h"
#include "cli/entries.h"
#include "cli/joined.h"
#include "cli/terminal.h"

enum {
    LONG_BASE = 256,
    HELP_VAL = 255,
    HELP_COLUMN = 26,
    CHOICES_WIDTH = 51,
    CHOICES_NARROW = 44,
    NARROW_HELP = 80
};

static const ldm_opt no_option = {.type = LDM_OPT_FLAG};

const char *ldm_word_nearest(const char *word, const char *const *candidates, size_t count)
{
    const size_t limit = ldm_edit_limit(word);
    size_t best = limit + 1;
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

/* ---- what was understood --------------------------------------------------------------------- */

/* What the line had that was said in other words. */
typedef struct understood {
    bool typed[LDM_ENTRY_MOST];
    bool others;   /* not in CompVis' */
    ldm_str said;  /* "-r is --ckpt, -c is --steps" */
    ldm_str twice; /* notes of options with two values, a line each */
    ldm_behind behind;
    const char *values[LDM_ENTRY_MOST]; /* that each option has so far; NULL: none */
} understood;

/* "-r is --ckpt", added to what was understood before. */
static void add_understood(understood *u, const char *spelled, const char *name, const char *value)
{
    char begin[80];

    snprintf(begin, sizeof begin, "%s is ", spelled);
    if (!u->said.len || !strstr(u->said.data, begin)) /* repeated: said once */
        ldm_str_printf(&u->said, "%s%s--%s%s%s", u->said.len ? ", " : "", begin, name,
                       value ? " " : "", value ? value : "");
}

static void say_understood(const ldm_command *cmd, const ldm_entries *all, const understood *u)
{
    const char *line = u->twice.len ? u->twice.data : "";

    for (size_t n; (n = strcspn(line, "\n")); line += n + 1)
        ldm_cli_say(cmd, "%.*s", (int)n, line);
    if (u->said.len)
        ldm_cli_say(cmd, "note: %s spellings: %s", u->others ? "other programs'" : "CompVis'",
                    u->said.data);
    for (size_t i = 0; i < all->count; i++) {
        const ldm_alias *a = u->typed[i] ? all->at[i].alias : NULL;

        if (a && a->idle)
            ldm_cli_say(cmd, "note: --%s has no effect: %s", all->at[i].name, a->idle);
    }
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

static int store_setting(const ldm_command *cmd, const ldm_entry *e, const char *spelled,
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

static bool names_file(const ldm_entry *e)
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

static int store(const ldm_command *cmd, const ldm_entry *e, const char *spelled, const char *value,
                 void *out, const ldm_targets *targets)
{
    const ldm_opt *o = e->own;
    char *field;

    if (value && *value && value[strlen(value) - 1] == '\r')
        return ldm_cli_usage(cmd,
                             "%s: the value ends with a carriage return (\\r): the script or list "
                             "that it comes from has Windows' line ends; remove them",
                             spelled);
    if (e->alias && e->alias->only && strcmp(e->alias->only, value))
        return ldm_cli_usage(cmd, "%s: '%s' is not possible: %s", spelled, value,
                             e->alias->refusal);
    if (e->alias && e->alias->idle)
        return 0;
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
static void spell(const ldm_entry *o, bool letter, char *buf, size_t size)
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
static void add_seconds(const ldm_entries *all, const ldm_targets *targets, understood *u)
{
    char spelled[64];

    for (size_t i = 0; i < all->count; i++) {
        const ldm_alias *a = u->typed[i] ? all->at[i].alias : NULL;

        if (!a || !a->also || !targets->job || ldm_job_is_set(targets->job, a->also) ||
            ldm_job_set(targets->job, a->also, a->also_value, NULL))
            continue;
        spell(&all->at[i], false, spelled, sizeof spelled);
        say_second(&u->said, spelled, a);
    }
}

/* A setting that is no option of this command: one of ldm generate (where its value is said
 * instead), or a switch that is on. */
static bool of_generate(const ldm_command *cmd, const ldm_entries *all, const char *word)
{
    char key[64];
    const ldm_setting_row *row;

    snprintf(key, sizeof key, "%s", word);
    for (char *p = key; *p; p++)
        *p = *p == '-' ? '_' : *p;
    row = ldm_setting_find(LDM_SETTINGS_JOB, key);
    if (!row || !*ldm_setting_group(row))
        return false;
    for (size_t i = 0; i < all->count; i++) {
        if (all->at[i].setting == row && all->at[i].off) {
            ldm_cli_usage(cmd, "--%s is done anyway; the option --%s turns it off", word,
                          all->at[i].name);
            return true;
        }
    }
    if (ldm_entries_find(all, "sweep", 0) && ldm_setting_flags(row) & LDM_SETTING_CONFIG)
        ldm_cli_usage(cmd,
                      "--%s is said by each configuration here, in its section ldm: sampling:, or "
                      "for both by --set ldm.sampling.%s=%s",
                      word, key, ldm_setting_arg(row) ? ldm_setting_arg(row) : "true");
    else
        ldm_cli_usage(cmd, "--%s is an option of 'ldm generate', not of 'ldm %s'", word, cmd->name);
    return true;
}

/* What is an option elsewhere and an argument of this command: its picture or its text. */
static bool of_argument(const ldm_command *cmd, const char *word)
{
    static const char *const pictures[] = {"image", "img", "init", "input", "picture", NULL};
    static const char *const texts[] = {"prompt", "text", NULL};
    const bool text = strstr(cmd->args, "TEXT") != NULL;
    const char *const *words = text ? texts : strstr(cmd->args, "IMAGE") ? pictures : NULL;

    while (words && *words && strcmp(*words, word))
        words++;
    if (!words || !*words)
        return false;
    ldm_cli_usage(cmd, "unknown option '--%s'; the %s stands without an option: ldm %s %s", word,
                  text ? "text" : "picture", cmd->name, cmd->args);
    return true;
}

/* The nearest of the names, other programs' among them, where it is near. */
static void suggest(const ldm_command *cmd, const ldm_entries *all, const char *word)
{
    const char *names[2 * LDM_ENTRY_MOST], *near;
    const ldm_alias *a;
    size_t count = 0;

    for (size_t i = 0; i < all->count; i++) {
        if (*all->at[i].name)
            names[count++] = all->at[i].name;
    }
    names[count++] = "help";
    for (size_t i = 0; (a = ldm_alias_at(i)) && count < 2 * LDM_ENTRY_MOST; i++) {
        if (ldm_entries_take(all, a))
            names[count++] = a->there;
    }
    near = ldm_word_nearest(word, names, count);
    if (near)
        ldm_cli_usage(cmd, "unknown option '--%s'; did you mean --%s?", word, near);
    else
        ldm_cli_usage(cmd, "unknown option '--%s'", word);
}

/* Reports a long option that getopt does not know; `word` is the text after the dashes. */
static void unknown_long(const ldm_command *cmd, const ldm_entries *all, const char *word)
{
    const char *hit[2] = {NULL, NULL};
    char bare[64];
    size_t hits = 0;

    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word, "="), word);
    for (size_t i = 0; i <= all->count; i++) {
        const char *name = i < all->count ? all->at[i].name : "help";

        if (*name && !strcmp(name, bare)) {
            ldm_cli_usage(cmd, "--%s takes no value", bare);
            return;
        }
        if (ldm_alias_begins(name, bare) && hits++ < 2)
            hit[hits - 1] = name;
    }
    if (hits > 1 && *bare) {
        ldm_cli_usage(cmd, "'--%s' could be --%s or --%s; write it out", bare, hit[0], hit[1]);
        return;
    }
    if (!of_argument(cmd, bare) && !ldm_alias_refused(cmd, bare, '\0') &&
        !of_generate(cmd, all, bare))
        suggest(cmd, all, bare);
}

/* Whether the option was shortened to what may well be another: to a whole word of its name
 * ("--guidance" of guidance-rescale, "--quantize" of quantize-x0), or to the beginning of another
 * program's option that means something else here. Says so. */
static bool shortened_badly(const ldm_command *cmd, const ldm_entries *all, const ldm_entry *o,
                            const char *word)
{
    const size_t len = strcspn(word, "=");
    char bare[64];
    const ldm_alias *a;

    snprintf(bare, sizeof bare, "%.*s", (int)len, word);
    if (!strcmp(o->name, bare))
        return false;
    if (o->name[strlen(bare)] == '-') {
        if (!ldm_alias_refused(cmd, bare, '\0') && !of_generate(cmd, all, bare))
            ldm_cli_usage(cmd, "unknown option '--%s'; did you mean --%s?", bare, o->name);
        return true;
    }
    for (size_t i = 0; (a = ldm_alias_at(i)); i++) {
        if (ldm_alias_begins(a->there, bare) && ldm_entries_take(all, a) &&
            (a->idle || strcmp(a->here, o->name))) {
            ldm_cli_usage(cmd, "'--%s' could be --%s or another program's --%s; write it out", bare,
                          o->name, a->there);
            return true;
        }
    }
    return false;
}

/* A letter that is no option: perhaps a long option written with one dash. */
static void unknown_letter(const ldm_command *cmd, const ldm_entries *all, int letter, int argc,
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
    if (ldm_alias_refused(cmd, "", (char)letter))
        return;
    if (letter >= '0' && letter <= '9')
        ldm_cli_usage(cmd, "unknown option '-%c'; seeds and other numbers are from 0 on", letter);
    else if (letter == 'o')
        ldm_cli_usage(cmd, "unknown option '-o': the result is printed; '> FILE' at the end of the "
                           "line keeps it");
    else
        ldm_cli_usage(cmd, "unknown option '-%c'", letter);
}

typedef struct getopt_tables {
    struct option longs[LDM_ENTRY_MOST + 2];
    char shorts[2 * LDM_ENTRY_MOST + 4];
} getopt_tables;

static void make_tables(const ldm_entries *all, getopt_tables *t)
{
    size_t count = 0, s = 0;

    /* ':' first: getopt tells a missing value from an unknown option, and prints nothing itself. */
    t->shorts[s++] = ':';
    t->shorts[s++] = 'h';
    for (size_t i = 0; i < all->count; i++) {
        const ldm_entry *o = &all->at[i];

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

static void missing_value(const ldm_command *cmd, const ldm_entries *all)
{
    if (optopt >= LONG_BASE)
        ldm_cli_usage(cmd, "--%s needs a value (%s)", all->at[optopt - LONG_BASE].name,
                      all->at[optopt - LONG_BASE].arg);
    else
        ldm_cli_usage(cmd, "-%c needs a value", optopt);
}

static const ldm_entry *entry_of(const ldm_entries *all, int c)
{
    return c >= LONG_BASE ? &all->at[c - LONG_BASE] : ldm_entries_find(all, "", (char)c);
}

/* Whether the value of `o`, the word before the next, is an option that stands where its value is
 * missing: "-o --steps 5", "--prompt -o a.png". */
static bool swallowed(const ldm_entries *all, const ldm_entry *o, const char *word)
{
    char name[64];

    if (!o->arg || optarg != word || *word != '-')
        return false;
    if (word[1] != '-')
        return word[1] && !word[2] && ldm_entries_find(all, "", word[1]);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    return ldm_entries_find(all, name, 0) != NULL;
}

static ldm_parse refuse_schedule(const ldm_command *cmd, const ldm_entry *timesteps,
                                 const char *whole, const char *near)
{
    ldm_str names = {0};
    const char *name;

    for (size_t i = 0; (name = ldm_setting_choice(timesteps->setting, i)); i++)
        ldm_str_printf(&names, "%s%s", i ? ", " : "", name);
    ldm_cli_usage(cmd,
                  "%s: ldm has no such spacing%s%s; --timesteps takes %s (`ldm help samplers` says "
                  "which sampler runs with which)",
                  whole, near ? "; " : "", near ? near : "", names.data ? names.data : "");
    ldm_str_free(&names);
    return LDM_PARSE_ERROR;
}

/* "--scheduler karras", which is --timesteps karras. */
static ldm_parse take_schedule(const ldm_command *cmd, const ldm_entry *timesteps,
                               const ldm_alias_schedule_row *row, const char *spelled,
                               const char *value, const ldm_targets *targets, understood *u)
{
    char whole[128];

    snprintf(whole, sizeof whole, "%s %.40s", spelled, value);
    if (!row->here && !row->own)
        return refuse_schedule(cmd, timesteps, whole, row->near);
    u->others = true;
    if (row->own) {
        ldm_str_printf(&u->said, "%s%s is the sampler's own --timesteps", u->said.len ? ", " : "",
                       whole);
        return LDM_PARSE_OK;
    }
    add_understood(u, whole, timesteps->name, row->here);
    return store_setting(cmd, timesteps, spelled, row->here, targets) ? LDM_PARSE_ERROR
                                                                      : LDM_PARSE_OK;
}

/* The entry that another spelling is of, by the first that has its row. */
static size_t index_of(const ldm_entries *all, const ldm_entry *o)
{
    for (size_t i = 0; i < all->count; i++) {
        const ldm_entry *at = &all->at[i];

        if (!at->heading && at->own == o->own && at->setting == o->setting && at->off == o->off)
            return i;
    }
    return (size_t)(o - all->at);
}

/* An option with one value that was given another one before: the last one is taken, which is said.
 * Of two prompts neither is meant to go, so they are refused. */
static bool repeated(const ldm_command *cmd, const ldm_entries *all, const ldm_entry *o,
                     const char *spelled, const char *value, understood *u)
{
    const char **before = &u->values[index_of(all, o)], *first = *before;
    const bool many = o->setting ? ldm_setting_get_type(o->setting) == LDM_TYPE_LIST
                                 : o->own && o->own->type == LDM_OPT_TEXTS;

    if (many || !value || (o->alias && o->alias->idle))
        return false;
    *before = value;
    if (!first || !strcmp(first, value))
        return false;
    if (o->setting && !strcmp(ldm_setting_key(o->setting), "prompt")) {
        ldm_cli_usage(cmd, "%s is given twice; %s", spelled,
                      ldm_entries_find(all, "prompts", 0)
                          ? "several prompts stand in a file, one a line: --prompts FILE"
                      : ldm_entries_find(all, "prompt-to", 0)
                          ? "what the way leads to is said by --prompt-to"
                          : "give one");
        return true;
    }
    ldm_str_printf(&u->twice, "note: %s is given twice: %s is taken, and not %s\n", spelled, value,
                   first);
    return false;
}

/* One option as getopt found it, of the code c. */
static ldm_parse take_option(const ldm_command *cmd, const ldm_entries *all, int c, char **argv,
                             void *out, const ldm_targets *targets, understood *u)
{
    const ldm_entry *o = entry_of(all, c), *timesteps = ldm_entries_find(all, "timesteps", 0);
    const ldm_alias_schedule_row *schedule;
    const char *value, *theirs, *word = argv[optind - 1];
    char spelled[80];

    if (!o)
        return LDM_PARSE_OK;
    spell(o, c < LONG_BASE, spelled, sizeof spelled);
    if (swallowed(all, o, word)) {
        ldm_cli_usage(cmd, "%s needs a value (%s), and the option %s follows it", spelled, o->arg,
                      optarg);
        return LDM_PARSE_ERROR;
    }
    if (c < LONG_BASE && o->arg && optarg == word + 2 && *optarg == '=') {
        ldm_cli_usage(cmd, "%s: no '=' stands between a letter and its value; write -%c %s",
                      spelled, c, optarg + 1);
        return LDM_PARSE_ERROR;
    }
    if (o->arg && optarg == word)
        word = argv[optind - 2];
    if (c >= LONG_BASE && shortened_badly(cmd, all, o, word + 2))
        return LDM_PARSE_ERROR;
    value = o->value ? o->value : o->arg ? optarg : NULL;
    theirs = o->setting ? ldm_alias_value(ldm_setting_key(o->setting), value, &u->others) : NULL;
    schedule = timesteps ? ldm_alias_schedule(o->alias, value) : NULL;
    if (schedule)
        return take_schedule(cmd, timesteps, schedule, spelled, value, targets, u);
    if (store(cmd, o, spelled, theirs ? theirs : value, out, targets) ||
        repeated(cmd, all, o, spelled, theirs ? theirs : value, u))
        return LDM_PARSE_ERROR;
    if (o->arg)
        ldm_behind_add(&u->behind, o->means ? o->means->name : o->name, value, argv[optind]);
    u->typed[o - all->at] = true;
    u->others = u->others || (o->alias && o->alias->others);
    if (o->means)
        add_understood(u, spelled, o->means->name, o->value);
    if (theirs) {
        snprintf(spelled, sizeof spelled, "--%s %s", o->name, value);
        add_understood(u, spelled, o->name, theirs);
    }
    return LDM_PARSE_OK;
}

static ldm_parse parse_options(const ldm_command *cmd, const ldm_entries *all, int argc,
                               char **argv, void *out, const ldm_targets *targets, understood *u)
{
    getopt_tables tables;
    int c;

    make_tables(all, &tables);
    opterr = 0;
    optind = 0; /* start again, also on a second pass */
    while ((c = getopt_long(argc, argv, tables.shorts, tables.longs, NULL)) != -1) {
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
        if (take_option(cmd, all, c, argv, out, targets, u))
            return LDM_PARSE_ERROR;
    }
    add_seconds(all, targets, u);
    return LDM_PARSE_OK;
}

ldm_parse ldm_opts_parse(const ldm_command *cmd, int argc, char **argv, void *out,
                         const ldm_targets *targets, int *args)
{
    ldm_entries all;
    understood u = {.others = false};
    const ldm_entry *quiet;
    ldm_parse parse;

    ldm_entries_expand(cmd, &all);
    ldm_joined_rewrite(&all, argc, argv, &u.said, &u.others);
    ldm_entries_add_spelled(&all, argc, argv);
    parse = parse_options(cmd, &all, argc, argv, out, targets, &u);
    quiet = ldm_entries_find(&all, "quiet", '\0');
    for (size_t i = 0; quiet && i < all.count; i++) {
        if (u.typed[i] && (&all.at[i] == quiet || all.at[i].means == quiet))
            ldm_cli_hush();
    }
    if (!parse)
        say_understood(cmd, &all, &u);
    ldm_str_free(&u.said);
    ldm_str_free(&u.twice);
    *args = optind;
    return parse ? parse : ldm_arguments_check(cmd, &all, &u.behind, argc, argv);
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
static void put_choices(help_page *h, const ldm_entry *e)
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
static void put_explanation(help_page *h, const char *text, int used)
{
    if (!h->narrow) {
        ldm_str_explain(&h->text, text, (size_t)used, (size_t)h->column);
        return;
    }
    ldm_str_printf(&h->text, "%*s", h->column, "");
    for (const char *p = text; *p; p++)
        ldm_str_append(&h->text, *p == '\n' ? " " : p, 1);
    ldm_str_puts(&h->text, "\n");
}

static void put_option(help_page *h, const ldm_entry *e)
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
    put_explanation(h, e->help ? e->help : "", used);
    put_choices(h, e);
}

static void put_options(help_page *h, const ldm_command *cmd)
{
    ldm_entries all;

    ldm_entries_expand(cmd, &all);
    if (!cmd->opt_count || cmd->opts[0].type != LDM_OPT_HEADING)
        ldm_str_puts(&h->text, "\nOptions\n");
    for (size_t i = 0; i < all.count; i++) {
        if (all.at[i].heading)
            ldm_str_printf(&h->text, "\n%s\n", all.at[i].own->name);
        else
            put_option(h, &all.at[i]);
    }
    put_option(h,
               &(ldm_entry){.letter = 'h', .name = "help", .help = "this text", .own = &no_option});
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
    ldm_entries all;

    ldm_entries_expand(cmd, &all);
    for (size_t i = 0; i < all.count; i++) {
        const ldm_entry *e = &all.at[i];
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
