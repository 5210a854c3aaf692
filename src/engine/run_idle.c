/* SPDX-License-Identifier: MIT */
/* Settings that do nothing in a run; see run_idle.h. */
#include "engine/run_idle.h"

#include <stdio.h>
#include <string.h>

#include "engine/run_state.h"

/* Takes back what the caller gave: the setting is what it is in a run without it, and recipes hold
 * that. *changed: another value than it was. */
static ldm_status take_back(ldm_run *r, const ldm_job *asked, const char *key, bool *changed,
                            ldm_error *err)
{
    *changed = false;
    if (!asked || !ldm_options_given(&asked->options, key))
        return LDM_OK;
    return ldm_options_drop(&r->job.options, key, &r->m->profile.sampling.options, changed, err);
}

/* The same, and says so. */
static ldm_status drop(ldm_run *r, const ldm_job *asked, const char *key, const char *why,
                       ldm_error *err)
{
    bool changed;
    ldm_status st = take_back(r, asked, key, &changed, err);

    return st || !changed ? st : ldm_notes_add(&r->notes, err, "%s has no effect: %s", key, why);
}

ldm_status ldm_run_idle_variation(ldm_run *r, const ldm_job *asked, ldm_error *err)
{
    const ldm_job *j = &r->job;

    if (!(j->vary_strength > 0))
        return drop(r, asked, "vary", "vary_strength is 0", err);
    if (!ldm_options_given(&j->options, "vary"))
        return drop(r, asked, "vary_strength", "vary, the seed to go towards, is not given", err);
    return LDM_OK;
}

/* ---- guidance -------------------------------------------------------------------------------- */

/* Why no step is guided; NULL: one is. */
static const char *why_unguided(const ldm_run *r)
{
    if (!r->m->audit->effective.cross_attention)
        return "this network has no cross-attention, so its conditional and unconditional eps are "
               "the same; each step is computed once";
    if (r->job.scale == 1.0)
        return "scale is 1, which is no guidance";
    if (!r->cond.guided)
        return "there is no unconditional context to hold against (uncond_context); each step is "
               "computed once";
    return ldm_run_guided_share(r) > 0 ? NULL : "no step is guided";
}

/* No step is left in the window between scale_from and scale_to. */
static ldm_status close_window(ldm_run *r, const ldm_job *asked, ldm_error *err)
{
    ldm_job *j = &r->job;
    bool changed;
    ldm_status st = ldm_notes_add(&r->notes, err,
                                  "scale_from %g and scale_to %g leave no step to guide: the run "
                                  "is without guidance, as with scale 1",
                                  j->scale_from, j->scale_to);

    if (!st)
        st = take_back(r, asked, "scale_from", &changed, err);
    if (!st)
        st = take_back(r, asked, "scale_to", &changed, err);
    j->scale = 1; /* which the recipe says without the window */
    r->cond.guided = false;
    return st;
}

static ldm_status idle_guidance(ldm_run *r, const ldm_job *asked, ldm_error *err)
{
    static const char *const keys[] = {"guidance_rescale", "negative", "uncond", "scale_from",
                                       "scale_to"};
    static const char given[] = "the unconditional context is given (uncond_context)";
    const char *why = why_unguided(r);
    ldm_status st = LDM_OK;
    bool changed;
    size_t i;

    if (!why && r->job.uncond_context) {
        st = drop(r, asked, "uncond", given, err);
        return st ? st : drop(r, asked, "negative", given, err);
    }
    if (!why)
        return ldm_run_uncond_zeros(r)
                   ? drop(r, asked, "negative", "uncond zeros is in its place", err)
                   : LDM_OK;
    if (r->cond.guided) {
        st = close_window(r, asked, err);
    } else if (r->job.scale != 1.0) { /* a configuration's is said, too */
        st = ldm_notes_add(&r->notes, err, "scale has no effect: %s", why);
        if (!st)
            st = take_back(r, asked, "scale", &changed, err);
    }
    for (i = 0; !st && i < sizeof keys / sizeof keys[0]; i++)
        st = drop(r, asked, keys[i], why, err);
    return st;
}

/* ---- the others ------------------------------------------------------------------------------ */

/* What stands in the place of a context made of a prompt; NULL: nothing. */
static const char *instead_of_prompt(const ldm_job *j)
{
    return j->context                  ? "the context is given (context)"
           : !strcmp(j->cond, "zeros") ? "cond zeros is in its place"
           : j->ids                    ? "token ids are given (ids)"
                                       : NULL;
}

/* A configuration's eta is about the sampler that it was chosen for. Where that is another by now
 * (--set, a later file) and takes none, it says so; where the job itself asks for another, that is
 * nothing to tell. */
static ldm_status idle_eta(ldm_run *r, const ldm_job *asked, ldm_error *err)
{
    const ldm_options *of_config = &r->m->profile.sampling.options;
    const ldm_sampler *s = ldm_sampler_find(r->job.sampler);

    if (s->takes_eta || !ldm_options_given(of_config, "eta") || !(r->m->profile.sampling.eta > 0) ||
        (asked && (ldm_options_given(&asked->options, "eta") ||
                   ldm_options_given(&asked->options, "sampler"))))
        return LDM_OK;
    return ldm_notes_add(&r->notes, err,
                         "the configuration's eta has no effect: sampler %s takes none", s->name);
}

/* Networks that are told what is where (LDM's inpainting, super-resolution, semantic models) make
 * pictures of any size. */
static ldm_status note_size(ldm_run *r, ldm_error *err)
{
    const ldm_network *n = r->m->network;
    const int f = n->first_stage.factor;
    const ldm_concat_kind kind = n->unet_inputs.concat_kind;
    char *text = NULL;
    ldm_status st;

    if (n->low_scale.present || (kind != LDM_CONCAT_NONE && kind != LDM_CONCAT_MASK_FIRST))
        return LDM_OK;
    st = ldm_model_size_note(r->m, r->job.latent_w * f, r->job.latent_h * f, &text, err);
    if (!st && text)
        st = ldm_notes_add(&r->notes, err, "%s", text);
    ldm_release(text);
    return st;
}

ldm_status ldm_run_idle(ldm_run *r, const ldm_job *asked, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const bool pictures = j->init_images || j->image_images || j->segmentation_images;
    const struct {
        bool idle;
        const char *key, *why;
    } rows[] = {
        {!r->m->audit->effective.cross_attention, "cond", "this network has no cross-attention"},
        {instead_of_prompt(j) != NULL, "prompt", instead_of_prompt(j)},
        {!ldm_network_reads_text(r->m->network), "vocab", "this model reads no text"},
        {!r->plan.adds_noise, "temperature", "the steps of this run add no noise (eta)"},
        {!r->start, "strength", "there is no picture to begin with (init)"},
        {!pictures, "fit", "there is no picture to resize (init, image, segmentation)"},
        {!j->painted && !(j->masked && !j->mask), "mask_blur",
         "no part of a picture is painted (mask)"},
        {(j->painted || (j->masked && !j->mask)) && !j->mask_images, "mask_blur",
         "a transparent part is as soft at its edge as it is transparent, and a pad begins at once "
         "(mask)"},
        {!j->preview, "preview_decode", "no previews are asked for (preview)"},
    };
    ldm_status st = idle_guidance(r, asked, err);
    bool changed = false;
    size_t i;

    if (!st)
        st = idle_eta(r, asked, err);
    if (!st)
        st = note_size(r, err);
    for (i = 0; !st && i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].idle)
            st = drop(r, asked, rows[i].key, rows[i].why, err);
    }
    if (!st && !r->m->network->first_stage.codebook) /* its option is a switch off */
        st = take_back(r, asked, "quantize", &changed, err);
    return st || !changed
               ? st
               : ldm_notes_add(
                     &r->notes, err,
                     "no-quantize has no effect: this model's first stage has no codebook");
}
