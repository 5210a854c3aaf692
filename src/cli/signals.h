/* SPDX-License-Identifier: MIT */
/* The process' signals: interrupts that end a run in good order, and a mapped file that goes away.
 */
#ifndef LDM_CLI_SIGNALS_H
#define LDM_CLI_SIGNALS_H

#include "cli/cli.h"

/* Once, at the start of main. Writing to a closed pipe or beyond a size limit becomes an error of
 * that write; a mapped file that is cut off while it is read (SIGBUS) ends the process with one
 * line on stderr and exit code 1. Also opens what the caller left closed of stdin, stdout and
 * stderr, so that no file gets their numbers: reading and writing there fails as before. */
void ldm_signals_init(void);

/* The file that the SIGBUS line names from now on. */
void ldm_signals_name_file(const char *path);

/* From now on the first SIGINT or SIGTERM is only remembered, the second ends the process at once.
 * One that is ignored on arrival (as in a shell's background job) stays ignored. */
void ldm_signals_catch_interrupts(void);

/* For work that cannot be asked to stop, and writes nothing meanwhile: from now on the first SIGINT
 * or SIGTERM says "ldm NAME: interrupted: TEXT" and ends the process at once. json: stdout gets the
 * same as an object with "error". ldm_signals_catch_interrupts ends this. */
void ldm_signals_end_at_once(const ldm_command *cmd, const char *text, bool json);

/* The signal that arrived, or 0. */
int ldm_signals_interrupted(void);
/* The same for the library's cancel callbacks: one has arrived. ctx: not used. */
bool ldm_signals_stop(void *ctx);

#endif
