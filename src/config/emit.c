/* SPDX-License-Identifier: MIT */
/* A tree as YAML text that reads back to the same tree. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/tree.h"

/* Whether text needs no quotes: no YAML reader would take it for anything but text. */
static bool is_plain(const char *s)
{
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
    ldm_value v;

    if (!strspn(s, LETTERS) || s[strspn(s, LETTERS "0123456789./-")])
        return false;
    ldm_scalar_resolve(s, &v);
    return v.kind == LDM_VALUE_STRING;
#undef LETTERS
}

static void put_text(const char *s, ldm_str *out)
{
    const unsigned char *c = (const unsigned char *)s;

    if (is_plain(s)) {
        ldm_str_puts(out, s);
        return;
    }
    ldm_str_puts(out, "\"");
    for (; *c; c++) {
        if (*c == '"' || *c == '\\')
            ldm_str_printf(out, "\\%c", *c);
        else if (*c < 0x20 || *c == 0x7f)
            ldm_str_printf(out, "\\x%02x", *c);
        else if (*c == 0xc2 && c[1] < 0xa0) /* C1 controls, the line break U+0085 among them */
            ldm_str_printf(out, "\\x%02x", *++c);
        else if (*c == 0xe2 && c[1] == 0x80 && (c[2] == 0xa8 || c[2] == 0xa9)) {
            ldm_str_puts(out, c[2] == 0xa8 ? "\\u2028" : "\\u2029"); /* line breaks too */
            c += 2;
        } else if (*c == 0xef && c[1] == 0xbb && c[2] == 0xbf) {
            ldm_str_puts(out, "\\ufeff"); /* a byte order mark */
            c += 2;
        } else if (*c == 0xef && c[1] == 0xbf && c[2] >= 0xbe) {
            ldm_str_puts(out, c[2] == 0xbe ? "\\ufffe" : "\\uffff"); /* no characters */
            c += 2;
        } else
            ldm_str_append(out, (const char *)c, 1);
    }
    ldm_str_puts(out, "\"");
}

/* The fewest digits that read back to the same number, and always something that reads as a float.
 */
static void put_float(double x, ldm_str *out)
{
    char buf[LDM_REAL_TEXT];

    if (isnan(x) || isinf(x)) {
        ldm_str_puts(out, isnan(x) ? ".nan" : x > 0 ? ".inf" : "-.inf");
        return;
    }
    ldm_str_puts(out, ldm_format_real(x, buf));
    if (!strpbrk(buf, ".e"))
        ldm_str_puts(out, ".0");
}

static bool is_block(const ldm_value *v)
{
    size_t i;

    if (v->kind == LDM_VALUE_MAP)
        return v->u.list.count > 0;
    for (i = 0; v->kind == LDM_VALUE_LIST && i < v->u.list.count; i++) {
        if (v->u.list.items[i]->kind == LDM_VALUE_MAP || v->u.list.items[i]->kind == LDM_VALUE_LIST)
            return true;
    }
    return false;
}

/* A scalar, an empty map, or a list of scalars: what is written on the line of its key. */
static void put_inline(const ldm_value *v, ldm_str *out)
{
    size_t i;

    switch (v->kind) {
    case LDM_VALUE_NULL:
        ldm_str_puts(out, "null");
        break;
    case LDM_VALUE_BOOL:
        ldm_str_puts(out, v->u.truth ? "true" : "false");
        break;
    case LDM_VALUE_INT:
        ldm_str_printf(out, "%" PRId64, v->u.integer);
        break;
    case LDM_VALUE_FLOAT:
        put_float(v->u.real, out);
        break;
    case LDM_VALUE_STRING:
        put_text(v->u.text, out);
        break;
    case LDM_VALUE_MAP:
        ldm_str_puts(out, "{}");
        break;
    case LDM_VALUE_LIST:
        ldm_str_puts(out, "[");
        for (i = 0; i < v->u.list.count; i++) {
            ldm_str_puts(out, i ? ", " : "");
            put_inline(v->u.list.items[i], out);
        }
        ldm_str_puts(out, "]");
        break;
    }
}

static void put_block(const ldm_value *v, int indent, ldm_str *out)
{
    size_t i;

    for (i = 0; i < v->u.list.count; i++) {
        const ldm_value *item = v->u.list.items[i];

        ldm_str_printf(out, "%*s", indent, "");
        if (v->kind == LDM_VALUE_MAP) {
            put_text(item->key, out);
            ldm_str_puts(out, ":");
        } else {
            ldm_str_puts(out, "-");
        }
        if (is_block(item)) {
            ldm_str_puts(out, "\n");
            put_block(item, indent + 2, out);
        } else {
            ldm_str_puts(out, " ");
            put_inline(item, out);
            ldm_str_puts(out, "\n");
        }
    }
}

void ldm_config_emit(const ldm_config *cfg, ldm_str *out)
{
    ldm_c_locale locale;

    if (!ldm_c_locale_enter(&locale)) {
        out->failed = true;
        return;
    }
    if (cfg->root->u.list.count)
        put_block(cfg->root, 0, out);
    else
        ldm_str_puts(out, "{}\n");
    ldm_c_locale_leave(&locale);
}
