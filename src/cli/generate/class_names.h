/* SPDX-License-Identifier: MIT */
/* Names of classes, for `ldm generate --class-names`. */
#ifndef LDM_CLI_CLASS_NAMES_H
#define LDM_CLI_CLASS_NAMES_H

#include <ldm/ldm.h>

#include "cli/cli.h"
#include "cli/generate/lines.h"

/* Names in the place of numbers: `text` is what --class says, "tench,1,tabby cat". The file has a
 * line a class, from class 0 on, with one name or several that commas separate; or it is JSON: a
 * list of names, {"0": "tench"}, {"0": ["n01440764", "tench"]} or {"tench": 0}. Case, '_' and '-'
 * do not matter. *numbers: "0,1,281", free() it. *list: a line a class. An exit code: a name that
 * is not there, or that stands for several classes, is refused with what comes near. */
int ldm_class_numbers(const ldm_command *cmd, const char *path, const char *text, ldm_lines *list,
                      char **numbers);

/* Holds the number of names against the model's classes: refuses a class of `numbers` that the list
 * names and the model lacks; warns of another number, as the names may then be of other classes. */
int ldm_class_names_check(const ldm_command *cmd, const char *path, const ldm_lines *list,
                          const char *numbers, const ldm_model_info *model);

#endif
