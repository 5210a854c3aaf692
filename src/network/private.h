/* SPDX-License-Identifier: MIT */
/* Private to this room: the storage of an ldm_network. */
#ifndef LDM_NETWORK_PRIVATE_H
#define LDM_NETWORK_PRIVATE_H

#include "network/network.h"

/* Larger ones are a mistake in a file, and would only lead to numbers that overflow. */
enum { LDM_MAX_WIDTH = 1 << 15, LDM_MAX_TOKENS = 4096 };

struct ldm_network_private {
    ldm_arena *arena;                    /* names, texts; the network's arrays are separate */
    const struct ldm_network_part *unet; /* what builds the UNet's graphs */
    size_t param_cap, unknown_cap, tensor_cap, conditioner_cap;
    int *buckets; /* hash of tensor names: numbers, -1 for free; bucket_count is a power of two */
    size_t bucket_count;
};

/* A description without tensors, and a graph without nodes. */
ldm_status ldm_network_begin(ldm_network **out, ldm_error *err);
ldm_status ldm_graph_begin(ldm_graph **out, ldm_error *err);

/* Adds a tensor; fails on memory only. Returns its number or -1. */
int ldm_network_add(ldm_network *s, const ldm_tensor_decl *t);

#endif
