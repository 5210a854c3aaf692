/* SPDX-License-Identifier: MIT */
/* The `ldm:` section that a configuration layer may carry beside `model:`.
 *
 *   ldm:
 *     description: text              # shown when the shipped model is used
 *     sampling: {steps: 50, ...}   # settings of a job with LDM_SETTING_CONFIG, see settings.inc
 *     load:
 *       strict: true                 # any missing or unexpected key is a mismatch (default: false)
 *       rename:                      # old: new, for every key of the checkpoint, in this order
 *         "^model.": "net."          # ^ only at the beginning; else wherever it occurs
 *       missing: init                # or error (default): tensors that are missing afterwards
 *       seed: 0                      # of that initialisation
 */
#ifndef LDM_JOB_PROFILE_H
#define LDM_JOB_PROFILE_H

#include <ldm/ldm.h>

#include "base/arena.h"
#include "checkpoint/checkpoint.h"
#include "config/config.h"
#include "job/job.h"

typedef struct ldm_profile {
    const char *description; /* NULL: none */
    ldm_job sampling;        /* what the section gives is given, the rest is at its default */

    bool strict, init_missing;
    uint64_t seed;
    ldm_ckpt_rename_rule *rename; /* in the arena given */
    size_t rename_count;
} ldm_profile;

/* Reads the section; an unknown key in it is an error, for it is ours. cfg must outlive the
 * profile. On failure, too, ldm_profile_free releases it. */
ldm_status ldm_profile_read(const ldm_config *cfg, ldm_arena *arena, ldm_profile *out,
                            ldm_error *err);
void ldm_profile_free(ldm_profile *p); /* a zeroed struct is fine */

#endif
