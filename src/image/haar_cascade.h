/* SPDX-License-Identifier: MIT */
/* A cascade in memory: private to haar_load.c, which builds and checks it, and haar.c, which runs
 * it and relies on what was checked. */
#ifndef LDM_IMAGE_HAAR_CASCADE_H
#define LDM_IMAGE_HAAR_CASCADE_H

#include <stddef.h>

enum { HAAR_RECTS = 3, HAAR_WINDOW_MAX = 200 };

typedef struct haar_rect {
    int x, y, width, height; /* within the window */
    float weight;            /* 0: not there */
} haar_rect;

typedef struct haar_feature {
    haar_rect rect[HAAR_RECTS];
} haar_feature;

/* A child above 0 is a later node of the same tree; otherwise its negative is the number of a leaf.
 */
typedef struct haar_node {
    int left, right; /* for values below the threshold, and for others */
    int feature;
    float threshold;
} haar_node;

typedef struct haar_tree {
    size_t first_node, first_leaf;
} haar_tree;

typedef struct haar_stage {
    size_t first_tree, tree_count;
    float threshold;
} haar_stage;

struct ldm_haar {
    int width, height; /* of the window */
    haar_feature *features;
    haar_node *nodes;
    float *leaves;
    haar_tree *trees;
    haar_stage *stages;
    size_t feature_count, node_count, leaf_count, tree_count, stage_count;
};

#endif
