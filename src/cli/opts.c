/* Parsing of options by table; see opts.h. getopt_long splits the line, the rows do the rest. */
#include "cli/opts.h"
#include "cli/signals.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTS = 64, LONG_BASE = 256, HELP_VAL = 255, HELP_COLUMN = 26 };

int ldm_list_add(ldm_list *l, const char *item)
{
    const char **grown;

    if (l->count == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 8;

        grown = realloc(l->items, cap * sizeof *grown);
        if (!grown)
            return -1;
        l->items = grown;
        l->cap = cap;
    }
    l->items[l->count++] = item;
    return 0;
}

void ldm_list_free(ldm_list *l)
{
    free(l->items);
    memset(l, 0, sizeof *l);
}

/* ---- did you mean ---------------------------------------------------------------------------- */

size_t ldm_word_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    size_t row[3][64];
    size_t *two = row[0], *one = row[1], *cur = row[2], *t;

    if (n > 63 || m > 63)
        return 64;
    for (size_t j = 0; j <= m; j++)
        one[j] = j;
    for (size_t i = 1; i <= n; i++) {
        cur[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t d = one[j - 1] + (a[i - 1] != b[j - 1]);

            if (one[j] + 1 < d)
                d = one[j] + 1;
            if (cur[j - 1] + 1 < d)
                d = cur[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two[j - 2] + 1 < d)
                d = two[j - 2] + 1;
            cur[j] = d;
        }
        t = two;
        two = one;
        one = cur;
        cur = t;
    }
    return one[m];
}

const char *ldm_word_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t len = strlen(word), limit = len < 4 ? 1 : len < 8 ? 2 : 3, best = limit + 1;
    const char *found = NULL;

    for (size_t i = 0; i < count; i++) {
        size_t d = ldm_word_distance(word, candidates[i]);

        if (d < best) {
            best = d;
            found = candidates[i];
        }
    }
    return found;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Decimal digits only, with a sign where min is negative. */
static bool parse_int(const char *s, double min, double max, int *out)
{
    char *end;
    long v;

    if (!(s[0] >= '0' && s[0] <= '9') && !(s[0] == '-' && s[1] >= '0' && s[1] <= '9'))
        return false;
    errno = 0;
    v = strtol(s, &end, 10);
    if (errno || *end || v < min || v > max || v < INT_MIN || v > INT_MAX)
        return false;
    *out = (int)v;
    return true;
}

static bool parse_u64(const char *s, uint64_t *out)
{
    char *end;
    unsigned long long v;

    if (!(s[0] >= '0' && s[0] <= '9'))
        return false;
    errno = 0;
    v = strtoull(s, &end, 10);
    if (errno || *end)
        return false;
    *out = v;
    return true;
}

/* strtod without its hexadecimal, "inf" and "nan" forms. */
static bool parse_real(const char *s, double min, double max, double *out)
{
    char *end;
    double v;

    if (!*s || s[strspn(s, "+-.0123456789eE")])
        return false;
    v = strtod(s, &end);
    if (*end || !isfinite(v) || v < min || v > max)
        return false;
    *out = v;
    return true;
}

static bool parse_bytes(const char *s, uint64_t *out)
{
    static const char units[] = "KMGT";
    double factor = 1, v;
    char *end;
    const char *unit;

    if (!(s[0] >= '0' && s[0] <= '9'))
        return false;
    if (s[strspn(s, ".0123456789kmgtKMGTiB")])
        return false;
    v = strtod(s, &end);
    if (*end) {
        char c = *end >= 'a' ? (char)(*end - 'a' + 'A') : *end;

        unit = strchr(units, c);
        if (unit && c != 'B') {
            double base = end[1] == 'B' ? 1000 : 1024;

            for (const char *u = units; u <= unit; u++)
                factor *= base;
            end++;
            if (*end == 'i')
                end++;
        }
        if (*end == 'B')
            end++;
    }
    if (*end || v * factor < 1 || v * factor > 9e18)
        return false;
    *out = (uint64_t)(v * factor);
    return true;
}

static bool parse_shape(const char *s, int out[3])
{
    for (int i = 0; i < 3; i++) {
        char *end;
        long v;

        if (!(s[0] >= '0' && s[0] <= '9'))
            return false;
        errno = 0;
        v = strtol(s, &end, 10);
        if (errno || v < 1 || v > 65536 || *end != (i < 2 ? ',' : '\0'))
            return false;
        out[i] = (int)v;
        s = end + 1;
    }
    return true;
}

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

static int store(const ldm_command *cmd, const ldm_opt *o, const char *spelled, const char *value,
                 void *out)
{
    char *field = (char *)out + o->field;

    switch (o->type) {
    case LDM_OPT_HEADING:
        break;
    case LDM_OPT_FLAG:
        *(bool *)field = true;
        break;
    case LDM_OPT_UNFLAG:
        *(bool *)field = false;
        break;
    case LDM_OPT_YES:
        *(ldm_tristate *)field = LDM_YES;
        break;
    case LDM_OPT_NO:
        *(ldm_tristate *)field = LDM_NO;
        break;
    case LDM_OPT_TEXT:
    case LDM_OPT_LIST:
        if (!*value)
            return ldm_cli_usage(cmd, "%s: the value is empty; give it %s", spelled, o->arg);
        if (o->type == LDM_OPT_TEXT)
            *(const char **)field = value;
        else if (ldm_list_add((ldm_list *)field, value))
            return ldm_cli_nomem(cmd);
        break;
    case LDM_OPT_CHOICE:
        if (!is_choice(value, o->choices))
            return ldm_cli_usage(cmd, "%s: '%s' is not one of %s", spelled, value, o->choices);
        *(const char **)field = value;
        break;
    case LDM_OPT_INT:
        if (!parse_int(value, o->min, o->max, (int *)field))
            return ldm_cli_usage(cmd, "%s: '%s' is not a whole number from %.0f to %.0f", spelled,
                                 value, o->min, o->max);
        break;
    case LDM_OPT_U64:
        if (!parse_u64(value, (uint64_t *)field))
            return ldm_cli_usage(cmd,
                                 "%s: '%s' is not a whole number from 0 to 18446744073709551615",
                                 spelled, value);
        break;
    case LDM_OPT_REAL:
        if (!parse_real(value, o->min, o->max, (double *)field))
            return ldm_cli_usage(cmd, "%s: '%s' is not a number from %g to %g", spelled, value,
                                 o->min, o->max);
        break;
    case LDM_OPT_BYTES:
        if (!parse_bytes(value, (uint64_t *)field))
            return ldm_cli_usage(cmd, "%s: '%s' is not a size such as 500M or 2G", spelled, value);
        break;
    case LDM_OPT_SHAPE:
        if (!parse_shape(value, (int *)field))
            return ldm_cli_usage(cmd, "%s: '%s' is not C,H,W (three numbers from 1 to 65536)",
                                 spelled, value);
        break;
    }
    return 0;
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* "--steps" or "-n", as the user should read it. */
static void spell(const ldm_opt *o, bool letter, char *buf, size_t size)
{
    if (letter || !o->name)
        snprintf(buf, size, "-%c", o->letter);
    else
        snprintf(buf, size, "--%s", o->name);
}

/* Says what is wrong with a long option getopt does not know; `word` is what follows the dashes. */
static void unknown_long(const ldm_command *cmd, const char *word)
{
    const char *names[MAX_OPTS + 1], *hit[2] = {NULL, NULL};
    char bare[64];
    size_t count = 0, hits = 0;

    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word, "="), word);
    for (size_t i = 0; i < cmd->opt_count && count < MAX_OPTS; i++) {
        if (cmd->opts[i].type != LDM_OPT_HEADING && cmd->opts[i].name)
            names[count++] = cmd->opts[i].name;
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
    hit[0] = ldm_word_nearest(bare, names, count);
    if (hit[0])
        ldm_cli_usage(cmd, "unknown option '--%s'; did you mean --%s?", bare, hit[0]);
    else
        ldm_cli_usage(cmd, "unknown option '--%s'", bare);
}

/* A letter that is no option: perhaps a long option written with one dash. */
static void unknown_letter(const ldm_command *cmd, int letter, int argc, char **argv)
{
    for (int a = 1; a < argc; a++) {
        if (argv[a][0] != '-' || argv[a][1] != letter)
            continue;
        for (size_t i = 0; i < cmd->opt_count; i++) {
            const char *name = cmd->opts[i].name;

            if (cmd->opts[i].type != LDM_OPT_HEADING && name && !strcmp(name, argv[a] + 1)) {
                ldm_cli_usage(cmd, "unknown option '-%s'; did you mean --%s?", name, name);
                return;
            }
        }
    }
    ldm_cli_usage(cmd, "unknown option '-%c'", letter);
}

ldm_parse ldm_opts_parse(const ldm_command *cmd, int argc, char **argv, void *out, int *args)
{
    struct option longs[MAX_OPTS + 2];
    char shorts[2 * MAX_OPTS + 4], spelled[64];
    size_t long_count = 0, s = 0;
    int c, extra;

    /* ':' first: getopt tells a missing value from an unknown option, and prints nothing itself. */
    shorts[s++] = ':';
    shorts[s++] = 'h';
    for (size_t i = 0; i < cmd->opt_count && i < MAX_OPTS; i++) {
        const ldm_opt *o = &cmd->opts[i];

        if (o->type == LDM_OPT_HEADING)
            continue;
        if (o->name)
            longs[long_count++] = (struct option){o->name, o->arg ? required_argument : no_argument,
                                                  NULL, LONG_BASE + (int)i};
        if (o->letter) {
            shorts[s++] = o->letter;
            if (o->arg)
                shorts[s++] = ':';
        }
    }
    longs[long_count++] = (struct option){"help", no_argument, NULL, HELP_VAL};
    longs[long_count] = (struct option){NULL, 0, NULL, 0};
    shorts[s] = '\0';

    opterr = 0;
    optind = 0; /* start again, also on a second pass */
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const ldm_opt *o = NULL;

        if (c == 'h' || c == HELP_VAL) {
            ldm_opts_help(cmd);
            return LDM_PARSE_HELP;
        }
        if (c == '?') {
            /* getopt sets optopt for letters, and for known flags that were given a value */
            if (optopt > 0 && optopt < HELP_VAL)
                unknown_letter(cmd, optopt, argc, argv);
            else
                unknown_long(cmd, argv[optind - 1] + 2);
            return LDM_PARSE_ERROR;
        }
        if (c == ':') {
            if (optopt >= LONG_BASE)
                ldm_cli_usage(cmd, "--%s needs a value (%s)", cmd->opts[optopt - LONG_BASE].name,
                              cmd->opts[optopt - LONG_BASE].arg);
            else
                ldm_cli_usage(cmd, "-%c needs a value", optopt);
            return LDM_PARSE_ERROR;
        }
        if (c >= LONG_BASE) {
            o = &cmd->opts[c - LONG_BASE];
        } else {
            for (size_t i = 0; i < cmd->opt_count; i++) {
                if (cmd->opts[i].letter == c)
                    o = &cmd->opts[i];
            }
        }
        if (!o)
            continue;
        spell(o, c < LONG_BASE, spelled, sizeof spelled);
        if (store(cmd, o, spelled, optarg, out))
            return LDM_PARSE_ERROR;
    }

    extra = argc - optind;
    *args = optind;
    if (extra < cmd->min_args) {
        ldm_cli_usage(cmd, "%.*s is missing; usage: ldm %s %s", (int)strcspn(cmd->args, " ."),
                      cmd->args, cmd->name, cmd->args);
        return LDM_PARSE_ERROR;
    }
    if (cmd->max_args >= 0 && extra > cmd->max_args) {
        ldm_cli_usage(cmd, "unexpected argument '%s'; %s", argv[optind + cmd->max_args],
                      cmd->max_args > 1 ? "give two files"
                      : cmd->max_args   ? "give one file"
                                        : "files are given by options, e.g. --ckpt FILE");
        return LDM_PARSE_ERROR;
    }
    return LDM_PARSE_OK;
}

int ldm_parse_exit(ldm_parse p)
{
    return p == LDM_PARSE_ERROR ? LDM_EXIT_USAGE : LDM_EXIT_OK;
}

/* ---- help ------------------------------------------------------------------------------------ */

void ldm_opts_help(const ldm_command *cmd)
{
    printf("usage: ldm %s %s\n\n%s\n", cmd->name, cmd->args, cmd->about);
    if (!cmd->opt_count || cmd->opts[0].type != LDM_OPT_HEADING)
        printf("\nOptions\n");
    for (size_t i = 0; i < cmd->opt_count; i++) {
        const ldm_opt *o = &cmd->opts[i];
        const char *line = o->help;
        int used;

        if (o->type == LDM_OPT_HEADING) {
            printf("\n%s\n", o->name);
            continue;
        }
        if (o->letter && o->name)
            used = printf("  -%c, --%s", o->letter, o->name);
        else if (o->letter)
            used = printf("  -%c", o->letter);
        else
            used = printf("  --%s", o->name);
        if (o->arg)
            used += printf(" %s", o->arg);
        if (used >= HELP_COLUMN) {
            putchar('\n');
            used = 0;
        }
        while (line) {
            const char *end = strchr(line, '\n');

            printf("%*s%.*s\n", HELP_COLUMN - used, "", end ? (int)(end - line) : (int)strlen(line),
                   line);
            line = end ? end + 1 : NULL;
            used = 0;
        }
        if (o->type == LDM_OPT_CHOICE)
            printf("%*s(%s)\n", HELP_COLUMN, "", o->choices);
    }
    printf("%*s%s\n", -HELP_COLUMN, "  -h, --help", "this text");
    if (cmd->notes)
        printf("\n%s\n", cmd->notes);
}

/* ---- the model's options --------------------------------------------------------------------- */

void ldm_model_opts_init(ldm_model_opts *m)
{
    memset(m, 0, sizeof *m);
    m->ema = LDM_AUTO;
}

void ldm_model_opts_free(ldm_model_opts *m)
{
    ldm_list_free(&m->configs);
    ldm_list_free(&m->sets);
}

void ldm_model_opts_export(const ldm_model_opts *m, const ldm_cli *cli, ldm_model_options *out)
{
    ldm_signals_name_file(m->ckpt ? m->ckpt : "the shipped model");
    ldm_model_options_init(out);
    out->ckpt = m->ckpt;
    out->configs = m->configs.items;
    out->config_count = m->configs.count;
    out->sets = m->sets.items;
    out->set_count = m->sets.count;
    out->ema = m->ema;
    out->threads = m->threads;
    out->max_isa = cli->max_isa;
    out->precision = m->precision;
    out->max_memory = m->max_memory;
}

bool ldm_model_opts_begin(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv,
                          void *options, ldm_model_opts *m, ldm_model_options *out, int *code)
{
    ldm_parse parse;
    int args;

    ldm_model_opts_init(m);
    parse = ldm_opts_parse(cmd, argc, argv, options, &args);
    if (parse) {
        ldm_model_opts_free(m);
        *code = ldm_parse_exit(parse);
        return false;
    }
    ldm_model_opts_export(m, cli, out);
    return true;
}

int ldm_model_opts_open(const ldm_model_opts *m, const ldm_cli *cli, const ldm_command *cmd,
                        ldm_model **out)
{
    ldm_model_options mo;
    ldm_error err;
    ldm_status st;

    ldm_model_opts_export(m, cli, &mo);
    st = ldm_model_open(&mo, out, &err);
    if (st)
        return ldm_cli_fail(cmd, st, &err);
    for (size_t i = 0; i < ldm_model_note_count(*out); i++)
        ldm_cli_say(cmd, "note: %s", ldm_model_note(*out, i));
    return 0;
}
