/* Shared inside the room: storage behind ldm_network, and reading of constructor parameters. */
#ifndef LDM_NETWORK_PRIVATE_H
#define LDM_NETWORK_PRIVATE_H

#include "network/network.h"

struct ldm_network_private {
    ldm_arena *arena; /* names, texts; the network's arrays are separate */
    size_t setting_cap, unknown_cap, tensor_cap;
    int *buckets; /* hash of tensor names: numbers, -1 for free; bucket_count is a power of two */
    size_t bucket_count;
};

/* Adds a tensor; fails on memory only. Returns its number or -1. */
int ldm_network_add(ldm_network *s, const ldm_tensor_decl *t);

/* params.c: fills the three configurations and the settings from cfg. */
ldm_status ldm_network_read_params(ldm_network *s, const ldm_config *cfg, ldm_error *err);

/* Marks settings that have no effect with the others as they are (params_effect.c). */
void ldm_network_mark_effects(ldm_network *s);

#endif
