/* SPDX-License-Identifier: MIT */
/* Inside the room: a patient, what was found, and what is measured. */
#ifndef LDM_DOCTOR_PRIVATE_H
#define LDM_DOCTOR_PRIVATE_H

#include <ldm/doctor.h>

#include "base/arena.h"
#include "checkpoint/checkpoint.h"
#include "config/config.h"
#include "infer/infer.h"
#include "job/job.h"

typedef enum ldm_finding_state {
    LDM_FINDING_RIGHT,     /* confirmed */
    LDM_FINDING_WRONG,     /* must be changed: cure or flag says how */
    LDM_FINDING_UNDECIDED, /* could not be told, and it counts */
    LDM_FINDING_NOTE       /* worth a line, no reason to change anything */
} ldm_finding_state;

typedef struct ldm_finding {
    const char *path;          /* dotted, or a name of the doctor's own ("weights") */
    const char *given, *found; /* texts; NULL: nothing was given; undecided */
    const char *place;         /* "config.yaml:12"; NULL: none */
    const char *how;           /* one sentence */
    const char *before[2];     /* for --set before the cure's: a map is laid over another, and the
                                  old one must go, or other places of the same; NULL: none */
    const char *cure;          /* for --set; NULL: none */
    const char *flag;          /* for the command line; NULL: none */
    double sure;               /* 0 to 1 */
    ldm_finding_state state;
} ldm_finding;

enum { LDM_DOCTOR_IMAGES = 16 };

struct ldm_doctor {
    ldm_model_options *opt;
    ldm_arena *texts;
    ldm_config *config; /* as given, or made */
    ldm_config *cured;  /* the same with the cures */
    ldm_ckpt *ck;
    ldm_inference *inference;
    const char *ckpt_path, *made; /* made: the note of a configuration that was not given */
    const char *reason;           /* why no network could be run; NULL: it was, or need not be */
    ldm_finding *findings;
    size_t finding_count, finding_cap;
    ldm_image images[LDM_DOCTOR_IMAGES];
    size_t image_count;
    const char *pictures; /* what the probes used */
    bool quick, ran, untrained;
    bool fits;     /* as `ldm check` says, with the cures */
    bool examined; /* the run ended well */
    bool half_ema; /* a part of the shadows is missing: probes take the raw weights */
    double begin, seconds;
    int (*progress)(void *ctx, const char *what, double done);
    void *ctx;
    char step[160]; /* of progress, while it is shown */
};

/* Adds a finding; its texts are copied. */
ldm_status ldm_doctor_add(ldm_doctor *d, const ldm_finding *f, ldm_error *err);
/* A text in the doctor's arena; NULL when out of memory. */
const char *ldm_doctor_text(ldm_doctor *d, const char *fmt, ...) LDM_PRINTF(2, 3);
/* "config.yaml:12"; NULL: nowhere, or no memory. */
const char *ldm_doctor_place(ldm_doctor *d, const ldm_origin *o);
/* The options with the configuration as it is now, cures and all. */
ldm_status ldm_doctor_options(const ldm_doctor *d, ldm_model_options **out, ldm_error *err);
/* A message about that configuration without the place in its text, which nobody has: the setting's
 * path comes first. */
const char *ldm_doctor_placeless(const char *message);
/* The same of a sentence that has the place in brackets; NULL when out of memory. */
const char *ldm_doctor_unplaced(ldm_doctor *d, const char *text);

/* doctor_targets.c: targets that ldm does not know, and are spelled like others; before what
 * contradicts the tensors is looked for. */
ldm_status ldm_doctor_targets(ldm_doctor *d, ldm_error *err);
/* Whether `ldm check` objects to the configuration with all cures. */
ldm_status ldm_doctor_verify(ldm_doctor *d, ldm_error *err);

/* Whether the size of the pictures is a guess: no configuration was given, nor the setting. */
bool ldm_doctor_size_is_open(const ldm_doctor *d);

/* LDM_ERR_CANCELLED where the caller wants to stop. */
ldm_status ldm_doctor_step(ldm_doctor *d, const char *what, double done, ldm_error *err);

#endif
