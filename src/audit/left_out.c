/* SPDX-License-Identifier: MIT */
/* Tensors of a part that the configuration builds, and builds without them: attention at other
 * levels, or fewer layers. All that a run reads is there, and yet the network is not the one that
 * was trained. */
#include <string.h>

#include "audit/internal.h"

/* Whether two names differ in their numbers at most: "layers.2.norm.weight" and
 * "layers.0.norm.weight". */
static bool alike(const char *a, const char *b)
{
    static const char digits[] = "0123456789";

    while (*a && *b) {
        const size_t n = strspn(a, digits), m = strspn(b, digits);

        if (!n != !m || (!n && *a != *b))
            return false;
        a += n ? n : 1;
        b += m ? m : 1;
    }
    return *a == *b;
}

/* Whether the part is built, and, where `like` is not NULL, with a layer of the same kind. */
static bool builds(const ldm_network *s, int component, const char *like)
{
    for (int i = 0; i < s->tensor_count; i++) {
        if ((int)s->tensors[i].component == component && (!like || alike(s->tensors[i].name, like)))
            return true;
    }
    return false;
}

/* Text encoders' files hold more than the encoder now and then (CLIP's network for pictures); a
 * layer like those that are built is none of that. */
bool ldm_audit_left_out(const ldm_audit *a, const char *name)
{
    const int group = ldm_audit_key_group(name);

    switch (group) {
    case LDM_COMPONENT_UNET:
        return builds(a->network, group, NULL);
    case LDM_COMPONENT_FIRST_STAGE:
        return ldm_audit_starts_with(name, "first_stage_model.decoder.") &&
               builds(a->network, group, NULL);
    case LDM_COMPONENT_COND_STAGE:
        return builds(a->network, group, name);
    default:
        return false;
    }
}

static const char *first_left_out(const ldm_audit *a, size_t *count)
{
    const char *first = NULL;

    *count = 0;
    for (size_t i = 0; i < a->unexpected_count; i++) {
        const char *name = a->unexpected[i]->name;

        if (!ldm_audit_left_out(a, name))
            continue;
        first = first ? first : name;
        ++*count;
    }
    return first;
}

void ldm_audit_find_left_out(const ldm_audit *a, ldm_findings *f)
{
    size_t count;
    const char *first = a->fits ? first_left_out(a, &count) : NULL;

    if (!first)
        return;
    if (!f->cause_count)
        ldm_audit_find_causes(a, f);
    ldm_findings_note(
        f, LDM_TONE_WARN,
        ldm_findings_text(f,
                          "%zu tensor%s of the checkpoint %s to layers that this configuration "
                          "does not build (the first: %s), so the pictures are not those of the "
                          "model that was trained%s%s%s%s",
                          count, count == 1 ? "" : "s", count == 1 ? "belongs" : "belong", first,
                          f->cause_count ? ": " : ".", f->cause_count ? f->causes[0].finding : "",
                          f->cause_count ? "; " : "", f->cause_count ? f->causes[0].remedy : ""));
}
