/* SPDX-License-Identifier: MIT */
/* Inside the room: checking a job before anything is allocated for it. */
#ifndef LDM_ENGINE_RUN_JOB_H
#define LDM_ENGINE_RUN_JOB_H

#include "engine/engine.h"
#include "sample/spacing.h"

/* Checks every value against the model and fills in what is open: count and shape from the arrays
 * or the configuration, timesteps and eta as the sampler's authors take them. asked: the caller's
 * job, of which *job is made, or NULL. */
ldm_status ldm_job_settle(const ldm_model *m, const ldm_job *asked, ldm_job *job,
                          ldm_spacing *spacing, ldm_error *err);

/* The noise array against what a picture of these steps draws (ldm_run_draws). `least` entries will
 * do without a mask: where a picture's start takes noise and its steps add none. With a mask and
 * eta 0 one entry a step will do: q_sample's. */
ldm_status ldm_job_check_noise(const ldm_job *job, int steps_run, int draws, int least,
                               ldm_error *err);

#endif
