/* SPDX-License-Identifier: MIT */
/* Tensors of a part that the configuration builds, and builds without them: attention at other
 * levels, or fewer layers. All that a run reads is there, and yet the network is not the one that
 * was trained. */
#include <string.h>

#include "audit/internal.h"

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
    /* What is loaded partially has a warning of its own. */
    const char *first = a->fits && !a->initialised ? first_left_out(a, &count) : NULL;

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
