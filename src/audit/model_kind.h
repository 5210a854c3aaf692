/* SPDX-License-Identifier: MIT */
/* Private to this room: of which kind a model is, by what conditions it. */
#ifndef LDM_AUDIT_MODEL_KIND_H
#define LDM_AUDIT_MODEL_KIND_H

#include "audit/internal.h"

/* Where the checkpoint's tensors show a model of another kind than the configuration describes: one
 * sentence about both, as a text of f. NULL: they do not, or nothing shows it. */
const char *ldm_audit_other_model(const ldm_audit *a, ldm_findings *f);

#endif
