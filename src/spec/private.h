/* Shared inside the room: storage behind ldm_spec, and reading of constructor parameters. */
#ifndef LDM_SPEC_PRIVATE_H
#define LDM_SPEC_PRIVATE_H

#include "spec/spec.h"

struct ldm_spec_private {
    ldm_arena *arena; /* names, texts; the spec's arrays are separate */
    size_t setting_cap, unknown_cap, tensor_cap;
    int *buckets; /* hash of tensor names: numbers, -1 for free; bucket_count is a power of two */
    size_t bucket_count;
};

/* Adds a tensor; fails on memory only. Returns its number or -1. */
int ldm_spec_add(ldm_spec *s, const ldm_tensor_spec *t);

/* params.c: fills the three configurations and the settings from cfg. */
ldm_status ldm_spec_read_params(ldm_spec *s, const ldm_config *cfg, ldm_error *err);

/* Marks settings that have no effect with the others as they are (params_effect.c). */
void ldm_spec_mark_effects(ldm_spec *s);

#endif
