/* SPDX-License-Identifier: MIT */
/* Inside the room: what a model is conditioned on, for the reports of check and inspect. */
#ifndef LDM_AUDIT_TAKES_H
#define LDM_AUDIT_TAKES_H

#include "audit/internal.h"

/* One thing that it takes. */
typedef struct ldm_condition {
    const char *option; /* of the command line, without "--": "prompt" */
    const char *what;   /* "a text" */
    int entries;        /* it is a whole number below this; 0: it is none */
} ldm_condition;

enum { LDM_CONDITIONS_MAX = 4 };

typedef struct ldm_conditions_found {
    ldm_condition takes[LDM_CONDITIONS_MAX];
    int count;                    /* 0: unconditional */
    double guidance;              /* default scale; 0: there is no guidance */
    const ldm_conditioner *tower; /* a text encoder whose size is in the file alone; or NULL */
    bool tower_differs;           /* it has another size than the published one */
} ldm_conditions_found;

void ldm_audit_find_conditions(const ldm_network *s, ldm_conditions_found *f);

/* The rows below the heading "Conditions"; scale: ldm_audit_scale of the configuration; width as
 * ldm_audit_put_wrapped takes it. */
void ldm_audit_put_conditions(const ldm_network *s, double scale, size_t width, ldm_str *out);

/* {"takes": ["prompt"], "details": {...}, "unet": {...}, "guidance": 7.5, "text_encoder": ...} */
json_t *ldm_audit_conditions_json(const ldm_network *s, double scale, ldm_json *j);

#endif
