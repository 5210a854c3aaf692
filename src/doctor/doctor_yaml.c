/* SPDX-License-Identifier: MIT */
/* The configuration with the cures in it, as text. */
#include "doctor/doctor_private.h"

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

/* The text that was given, where it is one file; else the tree as text. */
static ldm_status base_text(const ldm_doctor *d, char **text, const char **name, size_t *sets,
                            ldm_error *err)
{
    enum { LIMIT = 4 << 20 };
    ldm_str tree = {0};
    size_t size;

    *name = "the configuration";
    *sets = 0;
    if (d->opt->ckpt && d->opt->configs.count == 1 && !d->opt->config_text) {
        *name = d->opt->configs.items[0];
        *sets = d->opt->sets.count;
        return ldm_file_read(*name, LIMIT, text, &size, err);
    }
    if (d->made)
        ldm_inference_yaml(d->inference, d->ckpt_path, &tree);
    else
        ldm_config_emit(d->config, &tree);
    if (tree.failed)
        return ldm_error_nomem(err, 0, "the configuration");
    if (d->made)
        *sets = d->opt->sets.count;
    *text = tree.data;
    return LDM_OK;
}

/* ---- comments -------------------------------------------------------------------------------- */

static const char head_mark[] = "# `ldm doctor` could not tell";

/* Comments that ldm itself wrote, in an earlier YAML or in this. */
static bool is_own(const char *comment)
{
    static const char *const marks[] = {
        "# undecided: ", "# measured: ", "# assumed: ", "# a guess: ", "# no tensor shows it; "};

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (!strncmp(comment, marks[i], strlen(marks[i])))
            return true;
    }
    return false;
}

/* Where a comment begins in the line [from, to): a # after a blank, outside quotes; else `to`. */
static size_t comment_at(const char *text, size_t from, size_t to)
{
    char quote = 0;

    for (size_t i = from; i < to; i++) {
        if (quote)
            quote = text[i] == quote ? 0 : quote;
        else if (text[i] == '"' || text[i] == '\'')
            quote = text[i];
        else if (text[i] == '#' && (i == from || text[i - 1] == ' ' || text[i - 1] == '\t'))
            return i;
    }
    return to;
}

/* Beyond line - 1 ends of lines. */
static size_t line_begin(const char *text, int line)
{
    size_t at = 0;

    for (int l = 1; l < line && text[at]; l++) {
        at += strcspn(text + at, "\n");
        at += text[at] == '\n';
    }
    return at;
}

/* Puts "what: how" at the end of a line, in the place of a comment of ldm's own and after one of
 * the user's. what NULL: only takes ldm's own away. */
static void comment_line(ldm_str *text, int line, const char *what, const char *how)
{
    const char *t = text->data;
    const size_t from = line_begin(t, line), to = from + strcspn(t + from, "\n");
    const size_t comment = comment_at(t, from, to);
    const bool own = is_own(t + comment), users = comment < to && !own;
    size_t end = own ? comment : to;
    ldm_str out = {0};

    while (end > from && (t[end - 1] == ' ' || t[end - 1] == '\r'))
        end--;
    ldm_str_append(&out, t, end);
    if (what && !(users && strstr(t + comment, "undecided: ")))
        ldm_str_printf(&out, "%s%s: %s", users ? "; " : "  # ", what, how);
    ldm_str_puts(&out, t + to);
    out.failed |= text->failed;
    ldm_str_free(text);
    *text = out;
}

/* The line of the value at `path` (of which the first `len` bytes count); 0: nowhere. */
static int line_of(const ldm_str *text, const char *path, size_t len)
{
    char *copy = ldm_strndup(path, len);
    ldm_config *cfg = NULL;
    const ldm_value *v = NULL;
    int line;

    if (copy && !ldm_config_create(&cfg, NULL) &&
        !ldm_config_load_text(cfg, "text", text->data, text->len, NULL))
        v = ldm_value_find(ldm_config_root(cfg), copy);
    line = v ? ldm_value_origin(v).line : 0;
    ldm_config_free(cfg);
    ldm_free(copy);
    return line;
}

/* Whether ldm's own comment is on the line, and so an assumption of an earlier YAML. */
static bool has_own(const ldm_str *text, int line)
{
    const size_t from = line_begin(text->data, line);
    const size_t to = from + strcspn(text->data + from, "\n");

    return is_own(text->data + comment_at(text->data, from, to));
}

static void comment_value(const ldm_finding *f, const char *path, size_t len, ldm_str *text)
{
    const int line = line_of(text, path, len);
    ldm_str how = {0};

    if (!line)
        return;
    ldm_str_puts(&how, f->how ? f->how : "");
    text->failed |= how.failed;
    if (!how.failed)
        ldm_flatten(how.data);
    if (!how.failed && f->state == LDM_FINDING_UNDECIDED)
        comment_line(text, line, "undecided", how.data);
    else if (!how.failed && f->state == LDM_FINDING_WRONG && has_own(text, line))
        comment_line(text, line, "measured", how.data);
    else if (!how.failed && f->state == LDM_FINDING_RIGHT && has_own(text, line) &&
             strncmp(how.data, "assumed", 7) && strncmp(how.data, "no tensor", 9))
        comment_line(text, line, "measured", how.data);
    ldm_str_free(&how);
}

static void comment_finding(const ldm_finding *f, ldm_str *text)
{
    comment_value(f, f->path, strlen(f->path), text);
    for (size_t i = 0; i < sizeof f->before / sizeof *f->before; i++) {
        const size_t len = f->before[i] ? strcspn(f->before[i], "=") : 0;

        if (len && f->before[i][len + 1]) /* another place of the same */
            comment_value(f, f->before[i], len, text);
    }
}

/* What is undecided and has no line at which it could be said. */
static void comment_absent(const ldm_finding *f, const ldm_str *text, ldm_str *out)
{
    if (f->state == LDM_FINDING_UNDECIDED && !strncmp(f->path, "model.", 6) &&
        !line_of(text, f->path, strlen(f->path)))
        ldm_str_printf(out, "%s %s: %s\n", head_mark, f->path, f->how);
}

/* "# `ldm doctor` could not tell: image_size, num_heads" before all else, in the place of an
 * earlier one. */
static void comment_head(const ldm_doctor *d, ldm_str *text)
{
    const char *rest = text->data;
    ldm_str out = {0};
    bool any = false;

    while (!strncmp(rest, head_mark, sizeof head_mark - 1))
        rest += strcspn(rest, "\n") + (rest[strcspn(rest, "\n")] == '\n');
    for (size_t i = 0; i < d->finding_count; i++) {
        const ldm_finding *f = &d->findings[i];

        if (f->state != LDM_FINDING_UNDECIDED)
            continue;
        ldm_str_printf(&out, "%s%s%s", any ? "" : head_mark, any ? ", " : ": ",
                       strrchr(f->path, '.') ? strrchr(f->path, '.') + 1 : f->path);
        any = true;
    }
    if (any)
        ldm_str_puts(&out, "\n");
    for (size_t i = 0; i < d->finding_count; i++)
        comment_absent(&d->findings[i], text, &out);
    ldm_str_puts(&out, rest);
    out.failed |= text->failed;
    ldm_str_free(text);
    *text = out;
}

/* The tree of a text, as text. */
static void emit(const char *text, ldm_str *out)
{
    ldm_config *cfg = NULL;

    if (!ldm_config_create(&cfg, NULL) &&
        !ldm_config_load_text(cfg, "text", text, strlen(text), NULL))
        ldm_config_emit(cfg, out);
    ldm_config_free(cfg);
}

/* Says in the text what is undecided. Comments change no value: where they would, there are none.
 */
static void annotate(const ldm_doctor *d, ldm_str *text)
{
    ldm_str plain = {0}, before = {0}, after = {0};

    ldm_str_append(&plain, text->data, text->len);
    emit(text->data, &before);
    for (size_t i = 0; i < d->finding_count && !text->failed; i++)
        comment_finding(&d->findings[i], text);
    if (!text->failed)
        comment_head(d, text);
    if (!text->failed)
        emit(text->data, &after);
    plain.failed |= text->failed || before.failed || after.failed;
    if (!plain.failed && !strcmp(before.data ? before.data : "", after.data ? after.data : "")) {
        ldm_str_free(&plain);
    } else {
        ldm_str_free(text);
        *text = plain;
    }
    ldm_str_free(&before);
    ldm_str_free(&after);
}

/* ---- the corrected configuration ------------------------------------------------------------- */

/* notes: with what is undecided as comments. */
static ldm_status make_text(const ldm_doctor *d, bool cured, bool notes, char **yaml,
                            ldm_error *err)
{
    const char *name, *cure, **list = NULL;
    size_t cap = 0, count = 0, sets;
    char *text = NULL;
    ldm_str out = {0};
    ldm_status st;

    *yaml = NULL;
    st = base_text(d, &text, &name, &sets, err);
    for (size_t i = 0; !st; i++) {
        cure = i < sets ? d->opt->sets.items[i] : cured ? ldm_doctor_cure(d, i - sets) : NULL;
        if (!cure)
            break;
        if (!ldm_grow(&list, &cap, count + 1, sizeof *list))
            st = ldm_error_nomem(err, 0, "the configuration");
        else
            list[count++] = cure;
    }
    if (!st)
        st = ldm_yaml_edit(name, text, list, count, &out, err);
    if (!st && notes && !out.failed)
        annotate(d, &out);
    if (!st && out.failed)
        st = ldm_error_nomem(err, 0, "the configuration");
    if (st)
        ldm_str_free(&out);
    *yaml = out.data;
    ldm_free(text);
    ldm_free((void *)list);
    return st;
}

ldm_status ldm_doctor_config(const ldm_doctor *d, bool cured, char **yaml, ldm_error *err)
{
    LDM_REQUIRE(yaml, "yaml", err);
    *yaml = NULL;
    LDM_REQUIRE(d, "d", err);
    if (!d->config)
        return ldm_error_set(err, LDM_ERR_USAGE, "nothing was examined");
    return make_text(d, cured, cured, yaml, err);
}

/* ---- the configuration as it is now ---------------------------------------------------------- */

static const char cured_name[] = "the cured configuration";

ldm_status ldm_doctor_options(const ldm_doctor *d, ldm_model_options **out, ldm_error *err)
{
    ldm_model_options *opt = NULL;
    char *yaml = NULL;
    ldm_status st = make_text(d, true, false, &yaml, err);

    *out = NULL;
    if (!st)
        st = ldm_model_options_copy(d->opt, &opt, err);
    if (!st)
        st = ldm_model_options_unset(opt, "config", err);
    if (!st)
        st = ldm_model_options_unset(opt, "set", err);
    if (!st)
        st = ldm_model_options_set(opt, "config_text", yaml, err);
    if (!st)
        st = ldm_model_options_set(opt, "config_name", cured_name, err);
    ldm_release(yaml);
    if (!st)
        *out = opt;
    else
        ldm_model_options_free(opt);
    return st;
}

const char *ldm_doctor_placeless(const char *message)
{
    const size_t len = sizeof cured_name - 1;

    if (strncmp(message, cured_name, len) || message[len] != ':')
        return message;
    message += len; /* ":51:16: the rest" */
    while (*message == ':' && message[1] >= '0' && message[1] <= '9')
        message += 1 + strspn(message + 1, "0123456789");
    return message + strspn(message, ": ");
}

const char *ldm_doctor_unplaced(ldm_doctor *d, const char *text)
{
    const char *at = strstr(text, cured_name), *end = at ? strchr(at, ')') : NULL;

    if (!end || at - text < 2 || strncmp(at - 2, " (", 2))
        return text;
    return ldm_doctor_text(d, "%.*s%s", (int)(at - 2 - text), text, end + 1);
}
