/* SPDX-License-Identifier: MIT */
/* The settings as YAML text. */
#include <stdio.h>
#include <string.h>

#include "infer/infer_private.h"

enum { PATH_MAX_BYTES = 256, WIDTH = 2 };

/* The comment of a setting that neither a shape nor a buffer has. */
static void put_comment(const ldm_infer_setting *s, ldm_str *out)
{
    static const char *const words[] = {
        [LDM_INFER_META] = "the file says so",
        [LDM_INFER_PUBLISHED] = "no tensor shows it; as published",
        [LDM_INFER_ASSUMED] = "assumed: no tensor shows it",
        [LDM_INFER_OPEN] = "a guess: no tensor shows it",
    };

    if (s->from >= LDM_INFER_META)
        ldm_str_printf(out, "  # %s%s%s", words[s->from], s->how ? ": " : "", s->how ? s->how : "");
    ldm_str_puts(out, "\n");
}

/* Whether an earlier setting has the same `len` bytes of path, so that its map is written already.
 */
static bool written(const ldm_inference *in, size_t before, const char *path, size_t len)
{
    for (size_t i = 0; i < before; i++) {
        if (!strncmp(in->settings[i].path, path, len) && in->settings[i].path[len] == '.')
            return true;
    }
    return false;
}

/* All below a prefix of `len` bytes (with its dot), in the order in which its parts appear. */
static void put_map(const ldm_inference *in, const char *prefix, size_t len, int indent,
                    ldm_str *out)
{
    for (size_t i = 0; i < in->count; i++) {
        const ldm_infer_setting *s = &in->settings[i];
        const char *part = s->path + len, *dot;

        if (strncmp(s->path, prefix, len))
            continue;
        dot = strchr(part, '.');
        if (!dot) {
            ldm_str_printf(out, "%*s%s: %s", indent, "", part, s->value);
            put_comment(s, out);
        } else if (!written(in, i, s->path, (size_t)(dot - s->path))) {
            ldm_str_printf(out, "%*s%.*s:\n", indent, "", (int)(dot - part), part);
            put_map(in, s->path, (size_t)(dot - s->path) + 1, indent + WIDTH, out);
        }
    }
}

void ldm_inference_yaml(const ldm_inference *in, const char *name, ldm_str *out)
{
    char shown[PATH_MAX_BYTES];

    snprintf(shown, sizeof shown, "%s", name);
    ldm_flatten(shown);
    ldm_str_printf(out, "# Made by ldm from the tensors of %s%s%s.\n", shown,
                   in->family ? ", after " : "", in->family ? in->family : "");
    put_map(in, "", 0, 0, out);
}
