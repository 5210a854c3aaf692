/* SPDX-License-Identifier: MIT */
/* Inside the room: what the UNet reads beside x and t, as arrays of one evaluation or run. */
#ifndef LDM_ENGINE_CONDITIONS_H
#define LDM_ENGINE_CONDITIONS_H

#include "engine/engine.h"

/* Arrays of the caller; NULL where the network takes none. Each has one entry a sample, or one for
 * all of them. */
typedef struct ldm_conditions {
    const ldm_array *context; /* [N or 1,tokens,width] */
    const ldm_array *concat;  /* [N or 1,C,h,w] */
    const ldm_array *labels;  /* [N or 1], [N or 1,1], or vectors [N or 1,W] */
} ldm_conditions;

/* Bits of them: what may be missing, because it is made later. */
enum { LDM_LATER_CONTEXT = 1, LDM_LATER_CONCAT = 2, LDM_LATER_LABELS = 4 };

/* Holds them against the network, for n samples with latents of h x w. LDM_ERR_USAGE names what is
 * missing, or has another shape than expected, is not finite, or no class of the model's. later:
 * LDM_LATER_* bits. what: a word before the names in messages, "" or "unconditional ". */
ldm_status ldm_conditions_check(const ldm_model *m, const ldm_conditions *c, uint64_t n, int h,
                                int w, unsigned later, const char *what, ldm_error *err);

/* Tokens of the context; 0: there is none. */
int ldm_conditions_tokens(const ldm_conditions *c);

/* Sample i of an array that has one entry a sample or one for all; NULL for NULL. */
const float *ldm_condition_of(const ldm_array *a, uint64_t i);
size_t ldm_condition_floats(const ldm_array *a); /* of one entry; 0 for NULL */

/* Whole numbers from 0 to entries - 1? LDM_ERR_USAGE names the first other one. what: "the ids". */
ldm_status ldm_check_ids(const ldm_array *a, int entries, const char *what, ldm_error *err);
/* Finite? The same. */
ldm_status ldm_check_finite(const ldm_array *a, const char *what, ldm_error *err);
bool ldm_all_finite(const float *v, size_t n);
/* "[2,77,768]" in buf. */
const char *ldm_shape_text(const ldm_array *a, char *buf, size_t size);

#endif
