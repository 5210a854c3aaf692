/* SPDX-License-Identifier: MIT */
/* Inside the room: the Inception network with its weights, ready to run; features of prepared
 * pictures. */
#ifndef LDM_MEASURE_INCEPTION_NET_H
#define LDM_MEASURE_INCEPTION_NET_H

#include <ldm/quality.h>

#include "engine/engine.h"
#include "network/inception.h"

/* What can be taken of a picture: name, number of values. Of SPATIAL the order is [17][17][7]. */
#define LDM_TAP_LIST(X)                                                                            \
    X(LDM_TAP_64, "64", 64)                                                                        \
    X(LDM_TAP_192, "192", 192)                                                                     \
    X(LDM_TAP_768, "768", 768)                                                                     \
    X(LDM_TAP_2048, "2048", 2048)                                                                  \
    X(LDM_TAP_LOGITS_UNBIASED, "logits_unbiased", LDM_INCEPTION_CLASSES)                           \
    X(LDM_TAP_LOGITS, "logits", LDM_INCEPTION_CLASSES)                                             \
    X(LDM_TAP_SPATIAL, "spatial", 17 * 17 * LDM_INCEPTION_SPATIAL)

#define LDM_TAP_ENUM(tap, name, dim) tap,
typedef enum ldm_tap { LDM_TAP_LIST(LDM_TAP_ENUM) LDM_TAPS } ldm_tap;
#undef LDM_TAP_ENUM

const char *ldm_tap_name(ldm_tap t);
size_t ldm_tap_dim(ldm_tap t);

/* Where features go: [pictures][ldm_tap_dim] of each tap; NULL: it is not wanted. */
typedef struct ldm_taps {
    float *values[LDM_TAPS];
} ldm_taps;

enum { LDM_INCEPTION_FLOATS = LDM_INCEPTION_SIDE * LDM_INCEPTION_SIDE * 3 };

/* Pictures that go through the network together: enough that the small layers keep all threads
 * busy; more only takes memory. */
enum { LDM_INCEPTION_BATCH = 8 };

struct ldm_inception {
    char *path;
    char sha256[65];
    bool official;
    ldm_network *network;
    ldm_weights *weights;
    const ldm_backend *backend;
    ldm_precision precision;
    float bias[LDM_INCEPTION_CLASSES]; /* of the last layer */

    ldm_pool *pool;
    ldm_program *programs[LDM_INCEPTION_BATCH + 1]; /* by the number of pictures; NULL: not made */
    float *arena;                                   /* pages */
    size_t arena_floats;
    float *x;      /* [LDM_INCEPTION_BATCH][299][299][3], where the caller puts prepared pictures */
    float *logits; /* [LDM_INCEPTION_BATCH][1008] */
};

/* Features of the first `count` pictures in n->x; the first `count` rows of each array are
 * written. LDM_ERR_NUMERIC where one is NaN or infinite. */
ldm_status ldm_inception_run(ldm_inception *n, int count, const ldm_taps *taps, ldm_error *err);

/* inception_weights.c: opens the file and checks it against the network. LDM_ERR_MISMATCH with the
 * likely mix-up. */
ldm_status ldm_inception_read(const char *path, const ldm_network *network, ldm_ckpt **out,
                              ldm_error *err);

/* The tensors of the network with BatchNorm folded into convolutions. */
typedef struct ldm_inception_source {
    const ldm_network *network;
    const ldm_ckpt *ckpt;
} ldm_inception_source;
ldm_weight_source ldm_inception_weight_source(ldm_inception_source *s);

#endif
