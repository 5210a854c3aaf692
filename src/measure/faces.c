/* SPDX-License-Identifier: MIT */
/* The face judge of the public interface, over the image room's Haar cascade. */
#include "base/alloc.h"
#include "engine/engine.h"
#include "image/haar.h"

struct ldm_face_judge {
    ldm_haar *cascade;
};

ldm_status ldm_face_judge_open(const char *cascade, ldm_face_judge **out, ldm_error *err)
{
    ldm_face_judge *j;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    j = ldm_calloc(1, sizeof *j);
    if (!j)
        return ldm_error_nomem(err, sizeof *j, "the face judge");
    st = ldm_haar_load_face(cascade, &j->cascade, err);
    if (st)
        ldm_free(j);
    else
        *out = j;
    return st;
}

void ldm_face_judge_close(ldm_face_judge *j)
{
    if (!j)
        return;
    ldm_haar_free(j->cascade);
    ldm_free(j);
}

ldm_status ldm_face_judge_find(const ldm_face_judge *j, const ldm_image *im, ldm_face **faces,
                               size_t *count, ldm_error *err)
{
    ldm_picture p;
    ldm_rect *rects;
    ldm_status st;
    size_t i;

    if (faces)
        *faces = NULL;
    LDM_REQUIRE(count, "count", err);
    *count = 0;
    LDM_REQUIRE(j, "j", err);
    st = ldm_image_check(im, "im", err);
    if (st)
        return st;
    p = (ldm_picture){(uint32_t)im->width, (uint32_t)im->height, im->pixels};
    st = ldm_haar_faces(j->cascade, &p, &rects, count, err);
    if (!st && faces && *count) {
        *faces = ldm_reallocarray(NULL, *count, sizeof **faces);
        if (!*faces)
            st = ldm_error_nomem(err, *count * sizeof **faces, "faces");
        for (i = 0; *faces && i < *count; i++)
            (*faces)[i] = (ldm_face){rects[i].x, rects[i].y, rects[i].width, rects[i].height};
    }
    ldm_free(rects);
    if (st)
        *count = 0;
    return st;
}
