/* SPDX-License-Identifier: MIT */
/* The doctor: what a checkpoint's configuration is, by its tensors, and what no tensor shows, by
 * measuring. docs/DOCTOR.md has the probes and their power.
 *
 *   ldm_doctor_create(opt, &d, &err)     a checkpoint, with its configuration or without
 *   ldm_doctor_add_image(d, im, &err)    pictures as the model makes them, if there are any
 *   ldm_doctor_run(d, &err)              examines; a doctor runs once
 *   ldm_doctor_report(d, how, &text, &err), ldm_doctor_config(d, &yaml, &err), ...
 *
 * The rules of ldm.h hold here as well. */
#ifndef LDM_DOCTOR_H
#define LDM_DOCTOR_H

#include <ldm/ldm.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ldm_verdict {
    LDM_VERDICT_HEALTHY,   /* nothing is wrong */
    LDM_VERDICT_CHANGE,    /* something must be changed: the cures and flags say what */
    LDM_VERDICT_UNDECIDED, /* something could not be told */
    LDM_VERDICT_UNTRAINED  /* the network has learned nothing: no setting is concluded from it */
} ldm_verdict;
LDM_API const char *ldm_verdict_name(ldm_verdict v); /* "healthy", ...; static */

typedef struct ldm_doctor ldm_doctor;

/* opt is copied; without a configuration it is made from the checkpoint's tensors. NULL: the
 * shipped model. */
LDM_API ldm_status ldm_doctor_create(const ldm_model_options *opt, ldm_doctor **out,
                                     ldm_error *err);
LDM_API void ldm_doctor_free(ldm_doctor *d); /* NULL is fine */

/* A picture of the kind that the model was trained on; copied. The first 16 are used. RGB or grey.
 */
LDM_API ldm_status ldm_doctor_add_image(ldm_doctor *d, const ldm_image *im, ldm_error *err);

/* Called before each part of the examination with what it is and how much is done, 0 to 1; nonzero
 * ends the examination with LDM_ERR_CANCELLED. fn NULL: no call. */
LDM_API void ldm_doctor_set_progress(ldm_doctor *d,
                                     int (*fn)(void *ctx, const char *what, double done),
                                     void *ctx);

/* Shapes and buffers only: no network is run. */
LDM_API void ldm_doctor_set_quick(ldm_doctor *d, bool quick);

/* LDM_ERR_MISMATCH where the file holds nothing that could be examined. */
LDM_API ldm_status ldm_doctor_run(ldm_doctor *d, ldm_error *err);

/* After the run; before it, and after one that failed, undecided. */
LDM_API ldm_verdict ldm_doctor_get_verdict(const ldm_doctor *d);
/* Assignments for `--set`, one each; NULL after the last. */
LDM_API const char *ldm_doctor_cure(const ldm_doctor *d, size_t i);
/* Options of `ldm generate` ("--no-ema"); NULL after the last. */
LDM_API const char *ldm_doctor_flag(const ldm_doctor *d, size_t i);

/* how: LDM_REPORT_JSON: one object {"verdict", "settings": {path: {"given", "found", "sure",
 * "how"}}, "cures", "flags", "pictures", "seconds"}; else text, with LDM_REPORT_COLOUR in colours.
 * ldm_release it. */
LDM_API ldm_status ldm_doctor_report(const ldm_doctor *d, unsigned how, char **report,
                                     ldm_error *err);

/* The configuration as YAML text: what was given, or what the tensors show. cured: with all cures
 * in it, comments and order kept where nothing was wrong. ldm_release it. */
LDM_API ldm_status ldm_doctor_config(const ldm_doctor *d, bool cured, char **yaml, ldm_error *err);

#ifdef __cplusplus
}
#endif
#endif
