/* SPDX-License-Identifier: MIT */
/* Pictures that callers pass. */
#include "engine/engine.h"

ldm_status ldm_image_check_any(const ldm_image *im, const char *what, ldm_error *err)
{
    LDM_REQUIRE(im, what, err);
    if (im->width < 1 || im->height < 1 || !im->pixels)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s: %d x %d pixels%s", what, im->width,
                             im->height, im->pixels ? "" : ", and none are there");
    if (im->channels != 1 && im->channels != 3 && im->channels != 4)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s has %d channels, expected 1, 3 or 4", what,
                             im->channels);
    return LDM_OK;
}

ldm_status ldm_image_check(const ldm_image *im, const char *what, ldm_error *err)
{
    ldm_status st = ldm_image_check_any(im, what, err);

    if (!st && im->channels != 3)
        st = ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                           "%s has %d channel%s, and this is done with 3 only", what, im->channels,
                           im->channels == 1 ? "" : "s");
    return st;
}
