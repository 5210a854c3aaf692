/* SPDX-License-Identifier: MIT */
/* Inside the room: layouts, what the conditioner of layout2img reads, from JSON.
 *
 * The tokens are those of taming-transformers' ObjectsBoundingBoxConditionalBuilder
 * (taming/data/conditional_builder/objects_bbox.py and objects_center_points.py). With `entries`
 * tokens in all, s = floor(sqrt(entries)) sections a side and room for n objects in 3 n or 3 n + 2
 * ids (the published model: 8192, 90, 30 and 92):
 *   - an object is three tokens: its category, its box's left upper and its right lower corner;
 *   - a corner (x, y) in 0..1 is s * round(y * (s - 1)) + round(x * (s - 1)), halves to even;
 *   - a category is its number, plus `classes` times 1 for a group of such objects, 2 for an
 *     occluded one, 4 for a depiction, 8 for one seen from the inside, added up;
 *   - places that are free hold entries - 1, three times;
 *   - 3 n + 2 ids end with the two corners of the part of a larger picture that is to be made
 *     (crop), of which the boxes are said in parts of the larger picture. With 3 n ids they are
 * said in parts of the crop by the builder. The original shuffles the objects in training; here
 * they stay in the order given. */
#ifndef LDM_ENGINE_LAYOUT_H
#define LDM_ENGINE_LAYOUT_H

#include <stddef.h>

#include "base/error.h"

/* JSON, one of
 *   [ids], or {"tokens": [ids]}: `tokens` of them;
 *   {"objects": [{"category": N, "box": [x, y, width, height], "group": true, "occluded": true,
 *    "depiction": true, "inside": true}, ...], "crop": [x, y, width, height], "classes": N,
 *    "names": ["person", ...]}
 * Boxes are in parts of the picture, 0 to 1, from the left upper corner. crop is the whole picture
 * where it is not said; classes, how many categories there are, must be said where one of the four
 * marks is set; names, those of all categories in order, say it as well, and N may then be a name.
 * A box outside the crop is left out, one that reaches out of the picture is cut, as the builder
 * does. Numbers that can only be pixels are refused.
 *
 * ids: [tokens]. odd: which boxes leave the picture, by more than they may be rounded; NULL is
 * fine. LDM_ERR_USAGE names what is wrong, with the line where it is no JSON. */
typedef struct ldm_layout_odd {
    char outside[240], cut[320]; /* a sentence each about the first of them; "": there is none */
    int outside_count, cut_count;
} ldm_layout_odd;

ldm_status ldm_layout_read(const char *json, size_t size, int tokens, int entries, float *ids,
                           ldm_layout_odd *odd, ldm_error *err);

#endif
