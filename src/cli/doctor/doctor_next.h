/* SPDX-License-Identifier: MIT */
/* What follows an examination: a run with the cures, or pictures before and after them. */
#ifndef LDM_CLI_DOCTOR_NEXT_H
#define LDM_CLI_DOCTOR_NEXT_H

#include <ldm/doctor.h>

#include "cli/cli.h"

/* Runs `ldm generate ARGV` with the checkpoint, the cured configuration and the flags. An exit
 * code: generate's, or LDM_EXIT_FAILED where the examination could not tell. */
int ldm_doctor_fix(const ldm_cli *cli, const ldm_command *cmd, const ldm_doctor *d,
                   const ldm_model_options *model, int argc, char **argv);

/* Whether the files of ldm_doctor_before_after could be written to the folder. An exit code. */
int ldm_doctor_check_report(const ldm_command *cmd, const char *folder, bool overwrite);

/* `ldm compare` of the configuration that was given and the cured one: folder/report.html. */
int ldm_doctor_before_after(const ldm_cli *cli, const ldm_command *cmd, const ldm_doctor *d,
                            const ldm_model_options *model, const char *folder, bool overwrite);

#endif
