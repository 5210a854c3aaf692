/* Files by what they are: what people type where --ckpt and --config are meant. */
#ifndef LDM_CLI_INPUTS_H
#define LDM_CLI_INPUTS_H

#include "cli/cli.h"

/* Understands, with one note each:
 *
 *   - arguments without an option (argv of argc): a checkpoint, configurations, a folder,
 * a.b=value;
 *   - --ckpt and --config exchanged;
 *   - a folder as --ckpt: model.ckpt, last.ckpt or the one checkpoint in it or in its checkpoints/.
 *
 * quiet: no notes. An exit code. */
int ldm_inputs_resolve(const ldm_command *cmd, ldm_model_options *model, int argc, char **argv,
                       bool quiet);

/* Takes the configuration that lies beside the checkpoint where none was given: of the same stem,
 * config.yaml, the folder's one YAML, or CompVis' configs/DATE-project.yaml beside or above. Where
 * there is none, the library says so. An exit code. */
int ldm_inputs_find_config(const ldm_command *cmd, ldm_model_options *model, bool quiet);

#endif
