/* SPDX-License-Identifier: MIT */
/* Changing single values of a YAML file and leaving all else: order, comments, blank lines. */
#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "config/config.h"

/* Offset of a 1-based line and column in the text; its length where the text ends before. */
static size_t offset_of(const char *text, int line, int column)
{
    const char *p = text;

    for (int l = 1; l < line && *p; l++) {
        p += strcspn(p, "\n");
        p += *p == '\n';
    }
    return (size_t)(p - text) + strnlen(p, (size_t)(column > 0 ? column - 1 : 0));
}

static size_t line_start(const char *text, size_t at)
{
    while (at && text[at - 1] != '\n')
        at--;
    return at;
}

static size_t line_end(const char *text, size_t at)
{
    return at + strcspn(text + at, "\n");
}

/* After the closing quote of the text at `at`. */
static size_t skip_quoted(const char *text, size_t at)
{
    const char quote = text[at++];

    while (text[at] && text[at] != quote)
        at += text[at] == '\\' && quote == '"' && text[at + 1] ? 2 : 1;
    return at + (text[at] != '\0');
}

/* After the bracket that closes the one at `at`. */
static size_t skip_flow(const char *text, size_t at)
{
    int depth = 0;

    do {
        if (text[at] == '"' || text[at] == '\'') {
            at = skip_quoted(text, at);
            continue;
        }
        depth += text[at] == '[' || text[at] == '{';
        depth -= text[at] == ']' || text[at] == '}';
        at++;
    } while (depth && text[at]);
    return at;
}

/* After a plain scalar: before a comment, and inside brackets before what ends an entry. */
static size_t skip_plain(const char *text, size_t at, bool in_flow)
{
    size_t end = at;

    while (text[end] && text[end] != '\n' && !(in_flow && strchr(",]}", text[end])) &&
           !(text[end] == '#' && end > at && isspace((unsigned char)text[end - 1])))
        end++;
    while (end > at && isspace((unsigned char)text[end - 1]))
        end--;
    return end;
}

/* Whether `at` lies within brackets on its own line. */
static bool inside_flow(const char *text, size_t at)
{
    int depth = 0;

    for (size_t i = line_start(text, at); i < at; i++) {
        depth += text[i] == '[' || text[i] == '{';
        depth -= text[i] == ']' || text[i] == '}';
    }
    return depth > 0;
}

static size_t indent_of(const char *text, size_t line)
{
    return strspn(text + line, " ");
}

/* ---- edits: each replaces text[from, to) by `with` ------------------------------------------- */

static void splice(ldm_str *text, size_t from, size_t to, const char *with)
{
    ldm_str out = {0};

    ldm_str_append(&out, text->data, from);
    ldm_str_puts(&out, with);
    ldm_str_puts(&out, text->data + to);
    out.failed |= text->failed;
    ldm_str_free(text);
    *text = out;
}

/* A block list or map becomes a value on its key's line, which is where its origin is. */
static void replace_block(ldm_str *text, size_t at, const char *value)
{
    const char *t = text->data;
    const size_t key = line_start(t, at);
    size_t first = line_end(t, at), end, line, from;

    first += t[first] == '\n';
    end = first;
    for (line = first; t[line]; line = line_end(t, line) + (t[line_end(t, line)] == '\n')) {
        const size_t indent = indent_of(t, line);
        const char c = t[line + indent];

        if (!strchr("#\n", c) && indent <= indent_of(t, key) &&
            !(c == '-' && indent == indent_of(t, key)))
            break;
        if (!strchr("#\n", c))
            end = line_end(t, line) + (t[line_end(t, line)] == '\n');
    }
    splice(text, first, end, "");
    from = skip_plain(text->data, key + indent_of(text->data, key), false);
    splice(text, from, from, value);
    splice(text, from, from, " ");
}

/* Where a value begins. Of a map or a list the origin is its key; in flow style it follows on the
 * key's line, and otherwise this is the key. */
static size_t value_at(const char *text, const ldm_value *v)
{
    const ldm_origin o = ldm_value_origin(v);
    const ldm_value_kind kind = ldm_value_get_kind(v);
    size_t at = offset_of(text, o.line, o.column), after = at;

    if ((kind != LDM_VALUE_MAP && kind != LDM_VALUE_LIST) || strchr("[{", text[at]))
        return at;
    after += strcspn(text + at, ":\n");
    after += text[after] == ':';
    after += strspn(text + after, " ");
    return text[after] && strchr("[{", text[after]) ? after : at;
}

static void replace(ldm_str *text, const ldm_value *v, const char *value)
{
    const size_t at = value_at(text->data, v);
    const ldm_value_kind kind = ldm_value_get_kind(v);
    const char c = text->data[at];

    if (c == '[' || c == '{')
        splice(text, at, skip_flow(text->data, at), value);
    else if (kind == LDM_VALUE_LIST || kind == LDM_VALUE_MAP)
        replace_block(text, at, value);
    else if (c == '"' || c == '\'')
        splice(text, at, skip_quoted(text->data, at), value);
    else
        splice(text, at, skip_plain(text->data, at, inside_flow(text->data, at)), value);
}

/* A new entry, the first of the map `v`; rest: the path below it, "a.b". */
static void insert(ldm_str *text, const ldm_value *v, const char *rest, const char *value)
{
    const ldm_origin child = ldm_value_origin(ldm_value_at(v, 0));
    size_t at = value_at(text->data, v), deep = 0;
    const bool flow = text->data[at] == '{';
    ldm_str entry = {0};

    for (const char *p = rest;;) {
        const size_t n = strcspn(p, ".");

        ldm_str_append(&entry, p, n);
        ldm_str_puts(&entry, p[n] ? ": {" : ": ");
        if (!p[n])
            break;
        deep++;
        p += n + 1;
    }
    ldm_str_puts(&entry, value);
    while (deep--)
        ldm_str_puts(&entry, "}");
    if (flow) {
        at++;
        ldm_str_puts(&entry, ldm_value_count(v) ? ", " : "");
    } else {
        at = line_start(text->data, offset_of(text->data, child.line, 1));
        at += indent_of(text->data, at);
        ldm_str_puts(&entry, "\n");
        for (size_t i = at - line_start(text->data, at); i; i--)
            ldm_str_puts(&entry, " ");
    }
    if (entry.failed)
        text->failed = true;
    else
        splice(text, at, at, entry.data);
    ldm_str_free(&entry);
}

/* ---- one assignment -------------------------------------------------------------------------- */

static ldm_status load(const char *name, const char *text, ldm_config **out, ldm_error *err)
{
    ldm_status st = ldm_config_create(out, err);

    if (!st)
        st = ldm_config_load_text(*out, name, text, strlen(text), err);
    return st;
}

static ldm_status apply(const char *name, ldm_str *text, const char *assignment, ldm_error *err)
{
    const size_t len = strcspn(assignment, "=");
    char *path = ldm_strndup(assignment, len), *dot;
    const char *value = assignment + len + (assignment[len] == '=');
    ldm_config *cfg = NULL;
    const ldm_value *v;
    ldm_status st;

    if (!path)
        return ldm_error_nomem(err, len, "the configuration");
    st = load(name, text->data, &cfg, err);
    v = st ? NULL : ldm_value_find(ldm_config_root(cfg), path);
    if (v && ldm_value_origin(v).line) {
        replace(text, v, value);
    } else if (!st) { /* below the nearest map that is there */
        while (!v && (dot = strrchr(path, '.'))) {
            *dot = '\0';
            v = ldm_value_find(ldm_config_root(cfg), path);
        }
        if (v && ldm_value_get_kind(v) == LDM_VALUE_MAP && ldm_value_count(v)) {
            char *rest = ldm_strndup(assignment + strlen(path) + 1, len - strlen(path) - 1);

            if (rest)
                insert(text, v, rest, value);
            else
                st = ldm_error_nomem(err, len, "the configuration");
            ldm_free(rest);
        }
    }
    ldm_config_free(cfg);
    ldm_free(path);
    return st || !text->failed ? st : ldm_error_nomem(err, 0, "the configuration");
}

static bool same_scalar(const ldm_value *a, const ldm_value *b)
{
    const char *s, *t;
    double x, y;
    bool p, q;

    if (!ldm_value_bool(a, &p, NULL))
        return !ldm_value_bool(b, &q, NULL) && p == q;
    if (!ldm_value_double(a, &x, NULL))
        return !ldm_value_double(b, &y, NULL) && x == y;
    if (!ldm_value_string(a, &s, NULL))
        return !ldm_value_string(b, &t, NULL) && !strcmp(s, t);
    return ldm_value_get_kind(a) == LDM_VALUE_NULL;
}

/* Keys in another order are the same tree. */
static bool same_tree(const ldm_value *a, const ldm_value *b)
{
    const ldm_value_kind kind = ldm_value_get_kind(a);

    if (kind != ldm_value_get_kind(b))
        return false;
    if (kind != LDM_VALUE_MAP && kind != LDM_VALUE_LIST)
        return same_scalar(a, b);
    if (ldm_value_count(a) != ldm_value_count(b))
        return false;
    for (size_t i = 0; i < ldm_value_count(a); i++) {
        const ldm_value *item = ldm_value_at(a, i), *other = ldm_value_at(b, i);

        for (size_t k = 0; kind == LDM_VALUE_MAP && k < ldm_value_count(b); k++) {
            other = ldm_value_at(b, k);
            if (!strcmp(ldm_value_key(item), ldm_value_key(other)))
                break;
        }
        if (kind == LDM_VALUE_MAP && strcmp(ldm_value_key(item), ldm_value_key(other)))
            return false;
        if (!same_tree(item, other))
            return false;
    }
    return true;
}

/* "a.b=" before "a.b={...}": in a tree two maps would merge, in a text the one takes the other's
 * place. */
static bool is_cleared_for(const char *assignment, const char *next)
{
    const size_t len = strcspn(assignment, "=");

    return assignment[len] && !assignment[len + 1] && !strncmp(assignment, next, len + 1);
}

ldm_status ldm_yaml_edit(const char *name, const char *text, const char *const *sets, size_t count,
                         ldm_str *out, ldm_error *err)
{
    ldm_config *want = NULL, *have = NULL;
    ldm_str edited = {0};
    ldm_status st = load(name, text, &want, err);

    for (size_t i = 0; !st && i < count; i++)
        st = ldm_config_set(want, sets[i], err);
    ldm_str_puts(&edited, text);
    for (size_t i = 0; !st && i < count; i++) {
        if (i + 1 == count || !is_cleared_for(sets[i], sets[i + 1]))
            st = apply(name, &edited, sets[i], err);
    }
    if (!st && !load(name, edited.data, &have, NULL) &&
        same_tree(ldm_config_root(want), ldm_config_root(have))) {
        *out = edited;
        edited = (ldm_str){0};
    } else if (!st) {
        ldm_config_emit(want, out);
    }
    ldm_str_free(&edited);
    ldm_config_free(want);
    ldm_config_free(have);
    return st;
}
