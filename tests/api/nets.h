/* SPDX-License-Identifier: MIT */
/* Random small networks with random weights, and their execution. For tests. */
#ifndef LDM_TESTS_NETS_H
#define LDM_TESTS_NETS_H

#include "exec/exec.h"

typedef struct test_net {
    ldm_config *cfg;
    ldm_network *network;
    float **weights; /* [tensor_count] */
    int filled;      /* tensors that have weights, if they are used at all */
    char text[512];  /* its options, for messages */
} test_net;

/* Small numbers from one seed: the same networks in every run. */
int net_pick(uint32_t *seed, int below);
/* All of its options but the sizes are drawn. */
test_net net_make(uint32_t seed);
/* With another first stage, of odd dimensions: the last name of its target. */
test_net net_make_stage(uint32_t seed, const char *first_stage);
void net_free(test_net *n);
/* Weights for tensors that were declared later. */
void net_fill(test_net *n);
ldm_weight_source net_source(const test_net *n);

size_t net_numel(const ldm_graph *g, int value);
/* |a - b| / |b| */
double net_distance(const float *a, const float *b, size_t n);

typedef struct net_run {
    const ldm_backend *backend;
    ldm_precision precision;
    int n, threads;
    ldm_named_array inputs[LDM_MAX_INPUTS];
    bool keep_cond; /* what follows from the conditioning is computed first and kept */
    int times, row; /* likewise for so many timesteps, of which `row` is used; 0: none */
    ldm_named_array time_rows[LDM_MAX_INPUTS]; /* the inputs of those */
} net_run;

/* One execution in memory that holds NaN. g is taken over. Returns the output in fresh memory
 * (free). */
float *net_execute(const test_net *net, ldm_graph *g, const net_run *r, const char *what);

/* plan_check.c: fails where a step of the graph would read what another has overwritten. Returns
 * how many blocks' ends were turned round (ldm_steps_turn). */
int net_check_plan(const ldm_graph *g);

#endif
