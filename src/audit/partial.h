/* SPDX-License-Identifier: MIT */
/* Private to this room: a model of which ldm knows some parts only. */
#ifndef LDM_AUDIT_PARTIAL_H
#define LDM_AUDIT_PARTIAL_H

#include "audit/internal.h"

enum {
    LDM_PARTIAL_MODEL,
    LDM_PARTIAL_UNET,
    LDM_PARTIAL_STAGE,
    LDM_PARTIAL_COND,
    LDM_PARTIAL_ROLES
};

/* One entry of the configuration that names a target, read among stand-ins for the others. */
typedef struct ldm_partial_role {
    const char *label;    /* "first stage"; static */
    const char *path;     /* "model.params.first_stage_config"; static */
    const char *target;   /* NULL: the configuration does not say */
    const char *place;    /* of the target, "config.yaml:41" */
    bool written;         /* the entry is there */
    ldm_config *cfg;      /* these three NULL: refused, or not written */
    ldm_network *network; /* the stand-ins' tensors are among its own */
    ldm_audit *audit;     /* NULL, too, without a checkpoint */
} ldm_partial_role;

/* A key at fault of a part that is known. */
typedef struct ldm_partial_fault {
    const ldm_tensor_decl *expected;
    const ldm_tensor_info *found; /* NULL: missing */
} ldm_partial_fault;

struct ldm_partial {
    const ldm_config *cfg;
    const ldm_ckpt *ck; /* NULL: none */
    ldm_arena *arena;
    const char *family; /* static; NULL: not recognised */
    ldm_partial_role roles[LDM_PARTIAL_ROLES];

    const char **reasons; /* why parts are refused, one line each, with their places */
    size_t reason_count, reason_cap;
    bool unsupported; /* one of them is LDM_ERR_UNSUPPORTED */

    ldm_inferred inferred;
    ldm_tally file[LDM_GROUP_COUNT];
    size_t want[LDM_GROUP_COUNT], matching[LDM_GROUP_COUNT]; /* of parts that are known */
    size_t used[LDM_PARTIAL_ROLES]; /* tensors of a known part that a run reads */
    ldm_partial_fault *faults;      /* of tensors that a run reads */
    size_t fault_count, fault_cap;
    const char **differences; /* between what shapes show and the configuration of a part that is
                                 not known, one line each */
    size_t difference_count, difference_cap;
    size_t agreements; /* such settings that agree */
};

#endif
