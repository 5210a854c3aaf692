/* SPDX-License-Identifier: MIT */
/* Files by what they are: what people type where --ckpt and --config are meant. */
#ifndef LDM_CLI_INPUTS_H
#define LDM_CLI_INPUTS_H

#include "cli/cli.h"

/* Understands, with one note each:
 *
 *   - arguments without an option (argv of argc): a checkpoint, configurations, a folder,
 * a.b=value;
 *   - --ckpt and --config exchanged;
 *   - folders as --ckpt and --config, as ldm_model_options_find_files does.
 *
 * quiet: no notes. An exit code. */
int ldm_inputs_resolve(const ldm_command *cmd, ldm_model_options *model, int argc, char **argv,
                       bool quiet);

/* Resolves what --ckpt and --config name, if that was not done yet, and takes the configuration
 * that lies beside the checkpoint where none was given: of the same stem, config.yaml, the folder's
 * one YAML, or CompVis' configs/DATE-project.yaml beside or above. Where there is none, the library
 * says so. An exit code. */
int ldm_inputs_find_config(const ldm_command *cmd, ldm_model_options *model, bool quiet);

/* The YAML file is the configuration of a whole model, and no layer to be laid over one: the model
 * and its UNet have a target each, and the UNet parameters. */
bool ldm_inputs_is_whole(const char *path);

/* Refuses such a file among the configurations where neither a checkpoint nor a shipped model is
 * named: it would be laid over the default model, which is another one. An exit code.
 * ldm_inputs_find_config asks it. */
int ldm_inputs_need_checkpoint(const ldm_command *cmd, const ldm_model_options *model);

/* Whether a YAML that lies in the checkpoint's folder may be another model's: it has neither the
 * checkpoint's name nor one that a model's own has (config.yaml, DATE-project.yaml). */
bool ldm_inputs_is_foreign(const char *ckpt, const char *yaml);

/* Takes checkpoints and folders out of the arguments, which are --ckpt, and assignments, --set.
 * *argc of argv are left. */
int ldm_inputs_take_checkpoint(const ldm_command *cmd, ldm_model_options *model, int *argc,
                               char **argv, bool quiet);

/* A folder that holds pictures, and nothing that could be a model. */
bool ldm_inputs_is_gallery(const char *folder);

/* The checkpoint in a folder, as --ckpt would find it: free() it. NULL: said why not. */
char *ldm_inputs_in_folder(const ldm_command *cmd, const char *folder);

/* The prompt that a picture was made of, by its recipe; NULL where it says none. free() it. */
char *ldm_inputs_prompt_of(const char *path);

#endif
