/* SPDX-License-Identifier: MIT */
/* What the program's charts share: colours for light and dark, as CSS variables (--ground, --panel,
 * --ink, --soft, --line, --track; --a, --b, --c for what is drawn), and text. */
#ifndef LDM_CLI_SVG_H
#define LDM_CLI_SVG_H

#include <stdio.h>

#define LDM_SVG_LIGHT                                                                              \
    "--ground:#fbfaf7;--panel:#fff;--ink:#1f2328;--soft:#626a73;--line:#e4e1d9;--a:#c0713f;"       \
    "--b:#3f7f84;--c:#8a8f98;--track:#efece4"
#define LDM_SVG_DARK                                                                               \
    "--ground:#15171a;--panel:#1d2024;--ink:#e6e4df;--soft:#9aa0a8;--line:#2e3238;--a:#dc9362;"    \
    "--b:#6cb3b8;--c:#7d838c;--track:#272b30"

/* compare_html.c: with &, <, > and quotes escaped. */
void ldm_cmp_html_text(FILE *f, const char *text);

#endif
