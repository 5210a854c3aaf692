/* SPDX-License-Identifier: MIT */
/* See class_names.h. */
#include "cli/generate/class_names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/generate/lines.h"

enum { MOST_CLASSES = 100000 };

static char plain(char c)
{
    return c == '_' || c == '-' ? ' ' : (char)tolower((unsigned char)c);
}

/* A name without the blanks around it. */
typedef struct word {
    const char *at;
    size_t len;
} word;

static word trimmed(const char *at, size_t len)
{
    while (len && isspace((unsigned char)*at)) {
        at++;
        len--;
    }
    while (len && isspace((unsigned char)at[len - 1]))
        len--;
    return (word){at, len};
}

static bool same(word a, word b)
{
    size_t i;

    if (a.len != b.len)
        return false;
    for (i = 0; i < a.len && plain(a.at[i]) == plain(b.at[i]); i++)
        ;
    return i == a.len;
}

static bool contains(const char *line, word w)
{
    size_t n = strlen(line), i;

    for (i = 0; w.len && i + w.len <= n; i++) {
        if (same((word){line + i, w.len}, w))
            return true;
    }
    return false;
}

/* Is it one of the line's names? "tench, Tinca tinca" has two, and the whole is a third. */
static bool names(const char *line, word w)
{
    const char *p = line;

    if (same(trimmed(line, strlen(line)), w))
        return true;
    for (;;) {
        const size_t n = strcspn(p, ",");

        if (same(trimmed(p, n), w))
            return true;
        if (!p[n])
            return false;
        p += n + 1;
    }
}

static bool is_number(word w)
{
    size_t i;

    for (i = 0; i < w.len && isdigit((unsigned char)w.at[i]); i++)
        ;
    return w.len && i == w.len;
}

/* "; lines that hold it: 1 (goldfish), 72 (gold spider)": what comes near, or all of several. */
static void put_near(const ldm_lines *l, word w, bool whole, ldm_str *out)
{
    enum { MOST = 5 };
    size_t found = 0, i;

    for (i = 0; i < l->count; i++) {
        if (!(whole ? names(l->items[i], w) : contains(l->items[i], w)))
            continue;
        if (found < MOST)
            ldm_str_printf(out, "%s%zu (%.40s)", found ? ", " : "", i, l->items[i]);
        found++;
    }
    if (found > MOST)
        ldm_str_printf(out, " and %zu more", found - MOST);
}

static int refuse(const ldm_command *cmd, const char *path, const ldm_lines *l, word w,
                  size_t found)
{
    ldm_str near = {0};
    int code;

    put_near(l, w, found > 0, &near);
    if (near.failed)
        code = ldm_cli_nomem(cmd);
    else if (found)
        code = ldm_cli_usage(cmd, "--class: '%.*s' names %zu classes in %s: %s; give the number",
                             (int)(w.len < 80 ? w.len : 80), w.at, found, path, near.data);
    else
        code = ldm_cli_usage(cmd, "--class: no class in %s is named '%.*s'%s%s", path,
                             (int)(w.len < 80 ? w.len : 80), w.at,
                             near.data ? "; names that hold it: " : "", near.data ? near.data : "");
    ldm_str_free(&near);
    return code;
}

/* Names hold commas, so the longest name that begins here is looked for first: "tench, Tinca tinca"
 * before "tench". Returns the bytes of the text that it takes; 0: refused, *code says so. */
static size_t take_class(const ldm_command *cmd, const char *path, const ldm_lines *l,
                         const char *text, ldm_str *out, int *code)
{
    size_t len = strlen(text), found = 0, i;
    word w;

    for (;;) {
        w = trimmed(text, len);
        if (is_number(w)) {
            ldm_str_append(out, w.at, w.len);
            return len;
        }
        for (i = found = 0; i < l->count; i++) {
            if (w.len && names(l->items[i], w) && !found++)
                ldm_str_printf(out, "%zu", i);
        }
        if (found == 1)
            return len;
        if (found)
            break;
        while (len && text[len - 1] != ',')
            len--;
        if (!len) {
            w = trimmed(text, strcspn(text, ","));
            break;
        }
        len--;
    }
    *code = refuse(cmd, path, l, w, found);
    return 0;
}

/* ---- lists in JSON --------------------------------------------------------------------------- */

/* A class' names: "tench", or ["n01440764", "tench"]. False: it is neither. */
static bool put_names(const json_t *names, ldm_str *out)
{
    size_t i;

    if (json_is_string(names)) {
        ldm_str_puts(out, json_string_value(names));
        return true;
    }
    for (i = 0; i < json_array_size(names); i++) {
        const json_t *name = json_array_get(names, i);

        if (!json_is_string(name))
            return false;
        ldm_str_printf(out, "%s%s", i ? ", " : "", json_string_value(name));
    }
    return i > 0;
}

/* The key's class: {"0": NAMES} has it in the key, {"tench": 0} in the value. -1: in neither. */
static long class_of(const char *key, const json_t *value)
{
    char *end;
    long v = strtol(key, &end, 10);

    if (json_is_integer(value))
        v = json_integer_value(value) > MOST_CLASSES ? -1 : (long)json_integer_value(value);
    else if (!isdigit((unsigned char)*key) || *end)
        v = -1;
    return v < MOST_CLASSES ? v : -1;
}

/* Gives class `at` of the list these names, or one more where it has some. */
static bool set_names(json_t *list, long at, const char *key, json_t *value)
{
    json_t *had;

    while (at >= (long)json_array_size(list) && !json_array_append_new(list, json_null()))
        ;
    if (!json_is_integer(value))
        return !json_array_set(list, (size_t)at, value);
    had = json_array_get(list, (size_t)at);
    if (json_is_array(had))
        return !json_array_append_new(had, json_string(key));
    return !json_array_set_new(list, (size_t)at, json_pack("[s]", key));
}

/* {"0": NAMES, ...} or {"tench": 0, ...} as a list of names, null where a class has none; NULL: it
 * is neither, or no memory. */
static json_t *listed(json_t *object)
{
    json_t *list = json_array(), *value;
    const char *key;

    json_object_foreach(object, key, value)
    {
        const long at = class_of(key, value);

        if (at < 0 || !set_names(list, at, key, value)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* Makes a line a class of a list in JSON. False: it is none that is known. */
static bool lines_of(const json_t *list, ldm_str *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *names = json_array_get(list, i);
        size_t at = text->len;

        if (!json_is_null(names) && !put_names(names, text))
            return false;
        for (; at < text->len; at++) {
            if (text->data[at] == '\n')
                text->data[at] = ' ';
        }
        ldm_str_puts(text, "\n");
    }
    return text->len > 0;
}

/* The lines of a list in JSON in the place of the text's own. */
static int read_json(const ldm_command *cmd, const char *path, ldm_lines *l)
{
    ldm_str text = {0};
    json_t *root, *list;
    json_error_t where;
    int code;

    for (size_t i = 0; i < l->count; i++) {
        ldm_str_puts(&text, l->items[i]);
        ldm_str_puts(&text, "\n");
    }
    ldm_lines_free(l);
    if (text.failed) {
        ldm_str_free(&text);
        return ldm_cli_nomem(cmd);
    }
    root = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &where);
    ldm_str_free(&text);
    if (!root)
        return ldm_cli_usage(cmd, "--class-names: %s:%d: no JSON that can be read: %s", path,
                             where.line, where.text);
    list = json_is_object(root) ? listed(root) : json_incref(root);
    json_decref(root);
    if (!list || !lines_of(list, &text))
        code = ldm_cli_usage(cmd,
                             "--class-names: %s: expected a list of names, or an object with a "
                             "number and names for each class",
                             path);
    else if (text.failed)
        code = ldm_cli_nomem(cmd);
    else
        code = ldm_lines_split(cmd, text.data, true, l);
    if (!l->text)
        ldm_str_free(&text);
    json_decref(list);
    return code;
}

/* ---- lists of lines -------------------------------------------------------------------------- */

/* The number that a line begins with, as in "1,goldfish" or "1: goldfish"; -1: none. */
static long told_number(const char *line)
{
    char *end;
    const long v = isdigit((unsigned char)*line) ? strtol(line, &end, 10) : -1;

    return v >= 0 && *end && strchr(",:;\t", *end) ? v : -1;
}

/* A line that is no class moves the names of all after it: a heading, a comment, a class left out.
 */
static int check_numbers(const ldm_command *cmd, const char *path, const ldm_lines *l)
{
    size_t numbered = 0, i;

    for (i = 0; i < l->count; i++)
        numbered += told_number(l->items[i]) >= 0;
    for (i = 0; numbered > l->count / 2 && i < l->count; i++) {
        const long v = told_number(l->items[i]);

        if (v >= 0 && v != (long)i)
            return ldm_cli_usage(cmd,
                                 "--class-names: %s:%zu: the line says %ld and stands for class "
                                 "%zu; expected a line for each class from class 0 on, and no "
                                 "heading",
                                 path, l->numbers[i], v, i);
        if (v >= 0)
            l->items[i] += strspn(l->items[i], "0123456789") + 1;
    }
    if (l->count == 1 && strchr(l->items[0], ','))
        return ldm_cli_usage(cmd,
                             "--class-names: %s: its only line is class 0 with all of its names; "
                             "expected a line for each class",
                             path);
    if (*l->items[0] == '#')
        ldm_cli_say(cmd, "note: %s:1: the line begins with # and is class 0 all the same", path);
    return LDM_EXIT_OK;
}

static int read_names(const ldm_command *cmd, const char *path, ldm_lines *l)
{
    int code = ldm_lines_read(cmd, path, true, l);
    const char *first = code ? "" : l->items[0] + strspn(l->items[0], " \t");

    if (!code && (*first == '[' || *first == '{'))
        return read_json(cmd, path, l);
    return code ? code : check_numbers(cmd, path, l);
}

int ldm_class_numbers(const ldm_command *cmd, const char *path, const char *text, ldm_lines *list,
                      char **numbers)
{
    ldm_str out = {0};
    int code = read_names(cmd, path, list);

    *numbers = NULL;
    while (!code) {
        const size_t n = take_class(cmd, path, list, text, &out, &code);

        if (code || !text[n])
            break;
        ldm_str_puts(&out, ",");
        text += n + 1;
    }
    if (!code) {
        *numbers = out.failed || !out.data ? NULL : strdup(out.data);
        code = *numbers ? LDM_EXIT_OK : ldm_cli_nomem(cmd);
    }
    ldm_str_free(&out);
    return code;
}

/* ---- the model's classes --------------------------------------------------------------------- */

/* Lines without names at the end, as editors leave them, are no classes. */
static size_t count_names(const ldm_lines *l)
{
    size_t n = l->count;

    while (n && !trimmed(l->items[n - 1], strlen(l->items[n - 1])).len)
        n--;
    return n;
}

static int refuse_class(const ldm_command *cmd, const char *path, const ldm_lines *l, size_t class,
                        const ldm_model_info *model)
{
    return ldm_cli_usage(cmd,
                         "--class: '%.80s' is class %zu in %s, which has %zu names, and this model "
                         "has %d classes, 0 to %d",
                         l->items[class], class, path, count_names(l), model->classes,
                         model->classes - 1);
}

int ldm_class_names_check(const ldm_command *cmd, const char *path, const ldm_lines *list,
                          const char *numbers, const ldm_model_info *model)
{
    const size_t names = count_names(list), classes = (size_t)model->classes;
    const char *p;

    if (!classes) /* the run says that there is none */
        return LDM_EXIT_OK;
    for (p = numbers; p && *p; p += *p == ',') {
        const size_t class = strtoul(p, (char **)&p, 10);

        if (class >= classes && class < names)
            return refuse_class(cmd, path, list, class, model);
        p += strcspn(p, ",");
    }
    /* Lists leave out the class that stands for none: it is the last. */
    if (names == classes || (names + 1 == classes && model->uncond_class == (int)names))
        return LDM_EXIT_OK;
    ldm_cli_say(cmd,
                "warning: %s has %zu names, and this model has %zu classes: %s, the names are of "
                "other classes than they say",
                path, names, classes,
                names > classes ? "where it is another model's list, or has lines that are no class"
                                : "where a line is missing");
    return LDM_EXIT_OK;
}
