/* SPDX-License-Identifier: MIT */
/* Inside the room: a model as a folder of diffusers. */
#ifndef LDM_CONVERT_DIFFUSERS_WRITE_H
#define LDM_CONVERT_DIFFUSERS_WRITE_H

#include "convert/convert_private.h"
#include "network/network.h"

typedef struct ldm_folder_source {
    const ldm_network *network;
    const ldm_ckpt *ck;
    const ldm_out_list *list; /* under CompVis' names */
    double scale_factor;
    const ldm_value *sampling; /* the configuration's own defaults; NULL: it has none */
} ldm_folder_source;

/* Writes the folder under another name and renames it at the end. What it lacks is added to
 * *report. */
ldm_status ldm_diffusers_write(const char *folder, const ldm_folder_source *s, ldm_str *report,
                               ldm_error *err);

#endif
