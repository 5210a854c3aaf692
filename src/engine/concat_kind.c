/* SPDX-License-Identifier: MIT */
/* What a network concatenates with the latent, and the pictures of a job that it is made of; see
 * concat.h. */
#include "engine/concat.h"
#include "job/job.h"

bool ldm_concat_takes_mask(ldm_concat_kind kind)
{
    return kind == LDM_CONCAT_MASK_LAST || kind == LDM_CONCAT_MASK_FIRST;
}

bool ldm_concat_draws(const ldm_network *n)
{
    const ldm_concat_kind kind = n->unet_inputs.concat_kind;

    return kind == LDM_CONCAT_LOW_NOISED ||
           (kind == LDM_CONCAT_MASK_FIRST && n->first_stage.posterior);
}

int ldm_concat_unit(const ldm_network *n)
{
    switch (n->unet_inputs.concat_kind) {
    case LDM_CONCAT_NONE:
        break;
    case LDM_CONCAT_PICTURE:
    case LDM_CONCAT_MASK_LAST:
    case LDM_CONCAT_MASK_FIRST:
        return n->first_stage.factor;
    case LDM_CONCAT_LOW:
    case LDM_CONCAT_LOW_NOISED:
        return 1;
    case LDM_CONCAT_MAP:
        return n->conditioners->factor;
    }
    return 0;
}

const ldm_image *ldm_concat_pictures(const ldm_job *j, size_t *count)
{
    const bool map = j->segmentation_images != NULL;

    *count = map ? j->segmentation_count : j->image_count;
    return map ? j->segmentation_images : j->image_images;
}

const char *ldm_concat_wants(ldm_concat_kind kind)
{
    switch (kind) {
    case LDM_CONCAT_NONE:
        break;
    case LDM_CONCAT_PICTURE:
        return "a picture (image)";
    case LDM_CONCAT_MASK_LAST:
    case LDM_CONCAT_MASK_FIRST:
        return "a picture and a mask, white where it is to be painted (image, mask)";
    case LDM_CONCAT_LOW:
    case LDM_CONCAT_LOW_NOISED:
        return "a picture to enlarge (image)";
    case LDM_CONCAT_MAP:
        return "a map of labels (segmentation)";
    }
    return NULL;
}
