/* SPDX-License-Identifier: MIT */
/* The pictures of --images: a folder, or files. */
#ifndef LDM_CLI_DOCTOR_IMAGES_H
#define LDM_CLI_DOCTOR_IMAGES_H

#include <ldm/doctor.h>

#include "cli/cli.h"

/* Whether the name ends as a picture's (.png, .jpg, .jpeg, in any case). */
bool ldm_doctor_is_picture(const char *path);

/* Gives the doctor a picture, or a folder's pictures in the order of their names, and unless quiet
 * notes which are left out. An exit code. */
int ldm_doctor_take_images(const ldm_command *cmd, ldm_doctor *d, const char *path, bool quiet);

#endif
