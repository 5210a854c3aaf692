/* SPDX-License-Identifier: MIT */
/* Private to this room: a --set is proposed only where it makes the whole fit. */
#ifndef LDM_AUDIT_CURE_H
#define LDM_AUDIT_CURE_H

#include "audit/internal.h"

/* Where the YAML is another model's: what to do, as a text of f. */
const char *ldm_audit_other_yaml(const ldm_audit *a, ldm_findings *f);

/* What contradicts the tensors by the inference's comparison, a cause for each; for a mismatch that
 * nothing else explains. false: nothing does. */
bool ldm_audit_find_contradictions(const ldm_audit *a, ldm_findings *f);

/* The attention's heads, where they do not divide its channels; false: they do. */
bool ldm_audit_find_odd_heads(const ldm_audit *a, ldm_findings *f);

/* Tries what the causes propose to set, all together, and withdraws it where the checkpoint does
 * not fit then. Nothing is tried where the configuration is not at hand (a->given.config). */
void ldm_audit_try_cures(const ldm_audit *a, ldm_findings *f);

#endif
