/* SPDX-License-Identifier: MIT */
/* Pictures far from the model's own size: the one sentence about them. */
#include "base/str.h"
#include "engine/engine.h"

/* Pictures of another size than those of the training are made, but few models make them well, and
 * first stages shift their colours. SD's 768 x 768 has 2.25 times the pixels of 512 x 512 and is
 * often asked for; 1024 x 1024 repeats, and so does what is twice as wide. */
static const double far = 3, wide = 2;

ldm_status ldm_model_size_note(const ldm_model *m, int width, int height, char **text,
                               ldm_error *err)
{
    double asked, own;
    ldm_str line = {0};
    int f;

    LDM_REQUIRE(text, "text", err);
    *text = NULL;
    LDM_REQUIRE(m, "m", err);
    if (width < 1 || height < 1)
        return ldm_error_set(err, LDM_ERR_USAGE, "width x height is %d x %d, expected 1 and more",
                             width, height);
    f = m->network->first_stage.factor;
    asked = (double)width * height;
    own = (double)m->latent_w * f * ((double)m->latent_h * f);
    if (m->shape_ambiguous || (asked <= far * own && own <= far * asked &&
                               width < wide * m->latent_w * f && height < wide * m->latent_h * f))
        return LDM_OK;
    ldm_str_printf(
        &line,
        "the pictures have %d x %d pixels, and this model's own are %d x %d: so far from "
        "its size, most models make patterns or shift colours",
        width, height, m->latent_w * f, m->latent_h * f);
    if (line.failed) {
        ldm_str_free(&line);
        return ldm_error_nomem(err, 0, "a note");
    }
    *text = line.data;
    return LDM_OK;
}
