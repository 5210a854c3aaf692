/* SPDX-License-Identifier: MIT */
/* Start noise of seeds, noise between two noises, and what runs from one picture to another are
 * shown as; the public functions. And a picture's start noise inside a run. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "engine/between.h"
#include "image/apng.h"
#include "sample/slerp.h"

void ldm_start_noise(const ldm_job *j, int picture, ldm_rng *rng, float *out, float *other,
                     size_t count)
{
    ldm_rng varied;

    ldm_rng_randn(rng, out, count);
    if (!(j->vary_strength > 0))
        return;
    ldm_rng_seed(&varied, j->vary + (uint64_t)picture);
    ldm_rng_randn(&varied, other, count);
    ldm_slerp(out, other, j->vary_strength, count, out);
}

uint64_t ldm_picture_seed(const ldm_job *j, int picture)
{
    return j->vary_strength > 0 ? j->seed : j->seed + (uint64_t)picture;
}

ldm_status ldm_noise(uint64_t seed, int ndim, const uint64_t *shape, ldm_array *out, ldm_error *err)
{
    ldm_rng rng;
    uint64_t numel = 1;
    bool overflow = false;
    int i;

    LDM_REQUIRE(out, "out", err);
    memset(out, 0, sizeof *out);
    LDM_REQUIRE(shape, "shape", err);
    if (ndim < 1 || ndim > 8)
        return ldm_error_set(err, LDM_ERR_USAGE, "ndim is %d, expected 1 to 8", ndim);
    for (i = 0; i < ndim && !overflow; i++) {
        overflow = ldm_mul_u64(numel, shape[i], &numel);
        out->shape[i] = shape[i];
    }
    if (overflow || !numel || numel > SIZE_MAX / sizeof *out->data) {
        memset(out, 0, sizeof *out);
        return ldm_error_set(err, LDM_ERR_USAGE, "the shape is empty or too large");
    }
    out->ndim = ndim;
    out->numel = numel;
    out->data = ldm_reallocarray(NULL, (size_t)numel, sizeof *out->data);
    if (!out->data) {
        memset(out, 0, sizeof *out);
        return ldm_error_nomem(err, numel * sizeof *out->data, "noise");
    }
    ldm_rng_seed(&rng, seed);
    ldm_rng_randn(&rng, out->data, (size_t)numel);
    return LDM_OK;
}

ldm_status ldm_noise_between(const ldm_array *a, const ldm_array *b, double t, float *out,
                             ldm_error *err)
{
    ldm_status st = ldm_array_check(a, "a", err);

    if (!st)
        st = ldm_array_check(b, "b", err);
    if (st)
        return st;
    LDM_REQUIRE(out, "out", err);
    if (a->numel != b->numel)
        return ldm_error_set(err, LDM_ERR_USAGE, "a has %llu elements and b %llu",
                             (unsigned long long)a->numel, (unsigned long long)b->numel);
    if (!(t >= 0 && t <= 1))
        return ldm_error_set(err, LDM_ERR_USAGE, "t is %g, expected 0 to 1", t);
    ldm_slerp(a->data, b->data, t, (size_t)a->numel, out);
    return LDM_OK;
}

ldm_status ldm_image_write_animation(const char *path, const ldm_image *ims, size_t count, int ms,
                                     const char *recipe, ldm_error *err)
{
    const ldm_text text = {"ldm", recipe};
    ldm_pixels *frames;
    ldm_status st = LDM_OK;
    size_t i;

    LDM_REQUIRE(path, "path", err);
    LDM_REQUIRE(ims, "ims", err);
    if (ms < 1)
        return ldm_error_set(err, LDM_ERR_USAGE, "ms is %d, expected 1 to 65535", ms);
    frames = ldm_calloc(count ? count : 1, sizeof *frames);
    if (!frames)
        return ldm_error_nomem(err, (uint64_t)count * sizeof *frames, "frames");
    for (i = 0; !st && i < count; i++) {
        if (ims[i].width < 1 || ims[i].height < 1 || ims[i].channels < 1 || !ims[i].pixels)
            st = ldm_error_set(err, LDM_ERR_USAGE, "frame %zu: %d x %d pixels of %d channels", i,
                               ims[i].width, ims[i].height, ims[i].channels);
        else
            frames[i] = (ldm_pixels){(uint32_t)ims[i].width, (uint32_t)ims[i].height,
                                     (unsigned)ims[i].channels, ims[i].pixels};
    }
    if (!st)
        st = ldm_apng_write(path, frames, count, (unsigned)ms, recipe ? &text : NULL, err);
    ldm_free(frames);
    return st;
}
