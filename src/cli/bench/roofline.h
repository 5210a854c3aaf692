/* SPDX-License-Identifier: MIT */
/* A roofline as SVG: every operation of a report of `ldm bench` at its arithmetic intensity and its
 * rate, under the two lines that this machine cannot cross. */
#ifndef LDM_CLI_ROOFLINE_H
#define LDM_CLI_ROOFLINE_H

#include "cli/cli.h"

/* model: the checkpoint's path, NULL: the shipped one. report: JSON of
 * ldm_bench with "machine", and "layers" or "shapes". The file appears whole or not
 * at all. An exit code. */
int ldm_roofline_write(const ldm_command *cmd, const char *path, const char *model,
                       const json_t *report);

#endif
