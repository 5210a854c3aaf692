/* SPDX-License-Identifier: MIT */
/* Small pieces of a terminal report: colour, headings, shapes, wrapped sentences. */
#include <inttypes.h>
#include <string.h>

#include "audit/internal.h"

enum { FULL_WIDTH = 100 };

void ldm_audit_paint(ldm_str *out, bool colour, ldm_tone tone, const char *text)
{
    static const char *const codes[] = {"\033[32m", "\033[33m", "\033[31m", ""};

    if (!colour || tone == LDM_TONE_PLAIN)
        ldm_str_puts(out, text);
    else
        ldm_str_printf(out, "%s%s\033[0m", codes[tone], text);
}

void ldm_audit_heading(ldm_str *out, bool colour, const char *text)
{
    ldm_str_printf(out, colour ? "\n\033[1m%s\033[0m\n" : "\n%s\n", text);
}

void ldm_audit_put_shape_spec(ldm_str *out, const ldm_tensor_decl *t)
{
    int i;

    ldm_str_puts(out, "[");
    for (i = 0; i < t->ndim; i++)
        ldm_str_printf(out, i ? ", %" PRId64 : "%" PRId64, t->shape[i]);
    ldm_str_puts(out, "]");
}

void ldm_audit_put_shape_info(ldm_str *out, const ldm_tensor_info *t)
{
    int i;

    ldm_str_puts(out, "[");
    for (i = 0; i < t->ndim; i++)
        ldm_str_printf(out, i ? ", %" PRIu64 : "%" PRIu64, t->shape[i]);
    ldm_str_puts(out, "]");
}

/* Names and values out of a file must not move the cursor. */
static void put_clean(ldm_str *out, const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        char c = text[i];

        if ((unsigned char)c < 0x20 || c == 0x7f)
            c = '?';
        ldm_str_append(out, &c, 1);
    }
}

void ldm_audit_put_wrapped(ldm_str *out, size_t width, size_t indent, size_t column,
                           const char *text)
{
    width = width ? width : FULL_WIDTH;
    while (*text) {
        size_t word = strcspn(text, " ");

        if (column > indent && column + word > width) {
            ldm_str_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        put_clean(out, text, word);
        column += word;
        text += word;
        if (*text == ' ') {
            /* The blank goes only before a word that stays on the line. */
            if (text[1] && column + 1 + strcspn(text + 1, " ") <= width) {
                ldm_str_puts(out, " ");
                column++;
            } else if (text[1]) {
                column = width;
            }
            text++;
        }
    }
    ldm_str_puts(out, "\n");
}

void ldm_audit_put_name(ldm_str *out, const char *name)
{
    put_clean(out, name, strlen(name));
}

void ldm_audit_put_padded(ldm_str *out, size_t width, const char *text)
{
    size_t n = strlen(text);

    put_clean(out, text, n);
    ldm_str_printf(out, "%*s", n < width ? (int)(width - n) : 0, "");
}

/* The columns that a width has room for. */
static bool has_numbers(size_t width)
{
    return !width || width >= 80;
}

static bool has_bytes(size_t width)
{
    return !width || width >= 66;
}

void ldm_audit_put_component_head(ldm_str *out, size_t width)
{
    ldm_str_printf(out, "  %-21s %-13s%11s %7s", "", "", "keys match", "in file");
    if (has_numbers(width))
        ldm_str_printf(out, " %13s", "numbers");
    if (has_bytes(width))
        ldm_str_printf(out, " %9s", "bytes");
    ldm_str_puts(out, "\n");
}

void ldm_audit_put_component(ldm_str *out, size_t width, const char *matching, uint64_t tensors,
                             uint64_t elements, uint64_t bytes)
{
    char n[32], size[16];

    ldm_str_printf(out, "%11s %7" PRIu64, matching, tensors);
    if (has_numbers(width))
        ldm_str_printf(out, " %13s", ldm_format_count(elements, n));
    if (has_bytes(width))
        ldm_str_printf(out, " %9s", ldm_format_bytes(bytes, size));
    ldm_str_puts(out, "\n");
}

void ldm_audit_put_setting(ldm_str *out, size_t width, const char *path, const char *value)
{
    const size_t column = !width || width >= 88 ? 50 : width >= 60 ? width - 48 : 12;

    ldm_str_puts(out, "  ");
    ldm_audit_put_padded(out, column, path);
    if (strlen(path) > column && width && width < 88)
        ldm_str_printf(out, "\n%*s", (int)column + 2, "");
    ldm_str_puts(out, " ");
    ldm_audit_put_padded(out, 14, value);
}
