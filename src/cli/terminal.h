/* SPDX-License-Identifier: MIT */
/* What the terminal behind a file can do. Asked each time: its window changes. */
#ifndef LDM_CLI_TERMINAL_H
#define LDM_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Columns of the terminal; 80 where it does not say, 0 where fd is none. */
int ldm_terminal_width(int fd);

/* A terminal on which a line can be drawn again: TERM is not "dumb". */
bool ldm_terminal_redraws(int fd);

/* The same with colours: NO_COLOR (no-color.org) is not set, or empty. */
bool ldm_terminal_colour(int fd);

/* Draws "42 %  what" on stderr over the line that stands there; what NULL: wipes that line. Only
 * for a terminal that redraws. */
void ldm_terminal_progress(const char *what, double done);

/* What a report is asked to be laid out for, as a part of its flags (LDM_REPORT_COLUMNS): the width
 * of the terminal that stdout is; none where it is no terminal. */
unsigned ldm_terminal_columns(void);

/* Prints one line to f, where that is a terminal broken at blanks; what follows is indented. */
void ldm_terminal_line(FILE *f, const char *line, size_t indent);

/* Prints a text that is laid out for 100 columns to stdout. On a narrower terminal its lines are
 * broken at blanks, and go on where the line began, but for the command after "Next:". Escape
 * sequences have no width. */
void ldm_terminal_print(const char *text);

/* Prints sentences that were broken for 80 to 86 columns: on a narrower terminal their lines become
 * paragraphs first, so that none is broken twice. Indented lines stay lines. */
void ldm_terminal_print_sentences(const char *text);

#endif
