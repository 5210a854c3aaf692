/* SPDX-License-Identifier: MIT */
/* The process' signals: interrupts that end a run in good order, and a mapped file that goes away.
 */
#ifndef LDM_CLI_SIGNALS_H
#define LDM_CLI_SIGNALS_H

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

/* The signal that arrived, or 0. */
int ldm_signals_interrupted(void);

#endif
