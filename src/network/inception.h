/* SPDX-License-Identifier: MIT */
/* The Inception network of 2015 that published picture metrics take their features from
 * (classify_image_graph_def.pb of inception-2015-12-05; C. Szegedy et al., "Rethinking the
 * Inception Architecture for Computer Vision", 2016), with the tensor names of its PyTorch
 * conversion (pytorch-fid's FIDInceptionV3, torch-fidelity). It differs from torchvision's
 * inception_v3: average pools do not count the padding, the pool of Mixed_7c takes the largest, and
 * there are 1008 classes.
 *
 * A convolution and its BatchNorm are one node here: its weight is `conv.weight` and its bias is
 * `bn.bias`, and whoever supplies the weights folds the other BatchNorm tensors into these two. */
#ifndef LDM_NETWORK_INCEPTION_H
#define LDM_NETWORK_INCEPTION_H

#include "network/network.h"

enum {
    LDM_INCEPTION_SIDE = 299, /* of the pictures that it takes */
    LDM_INCEPTION_CLASSES = 1008,
    LDM_INCEPTION_SPATIAL = 7 /* channels of "spatial" that sFID takes */
};

/* BatchNorm's epsilon. */
#define LDM_INCEPTION_EPS 0.001

/* A convolution's tensors follow one another in the network's list. */
enum {
    LDM_INCEPTION_CONV_WEIGHT,
    LDM_INCEPTION_BN_WEIGHT,
    LDM_INCEPTION_BN_BIAS,
    LDM_INCEPTION_BN_MEAN,
    LDM_INCEPTION_BN_VARIANCE,
    LDM_INCEPTION_UNIT /* so many a convolution */
};

/* Its tensors: 94 convolutions of LDM_INCEPTION_UNIT each, then fc.weight and fc.bias. */
ldm_status ldm_inception_create(ldm_network **out, ldm_error *err);

/* x [299,299,3] (channels last) of values from -1 to 1 -> the 1008 logits without fc.bias. Values
 * for an observer (ldm_step_info.dump): "64" [64,73,73] and "192" [192,35,35], whose means are the
 * features of that name; "768", four values [192,17,17] one after the other, of which the same is
 * true; "2048", the features themselves; "spatial" [192,17,17] (mixed_6/conv). */
ldm_status ldm_inception_graph(const ldm_network *s, ldm_graph **out, ldm_error *err);

#endif
