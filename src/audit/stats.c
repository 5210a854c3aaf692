/* SPDX-License-Identifier: MIT */
/* Counting: tensors, elements and bytes of both sides, by component, by kind and by dtype. */
#include <string.h>

#include "audit/internal.h"

void ldm_audit_tally_add(ldm_tally *t, uint64_t elements, uint64_t bytes)
{
    t->tensors++;
    t->elements += elements;
    t->bytes += bytes;
}

static void add_matched(const ldm_audit *a, ldm_report_counts *s, int group,
                        const ldm_tensor_decl *t)
{
    const ldm_tensor_info *have = ldm_ckpt_find(a->ckpt, t->name);

    if (have && ldm_audit_same_shape(t, have))
        ldm_audit_tally_add(&s->matched[group], t->numel,
                            have->numel * ldm_dtype_size(have->dtype));
}

void ldm_audit_find_stats(const ldm_audit *a, ldm_findings *f)
{
    ldm_report_counts *s = &f->stats;
    size_t i;
    int k;

    for (k = 0; k < a->network->tensor_count; k++) {
        const ldm_tensor_decl *t = &a->network->tensors[k];

        ldm_audit_tally_add(&s->model[t->component], t->numel, 4 * t->numel);
        ldm_audit_tally_add(&s->model_kind[ldm_audit_key_kind_of(t->name)], t->numel, 4 * t->numel);
        ldm_audit_tally_add(&s->model_total, t->numel, 4 * t->numel);
        if (ldm_audit_key_is_parameter(t->name) && !ldm_network_is_copy(a->network, t->name))
            s->model_parameters += t->numel;
        add_matched(a, s, (int)t->component, t);
    }
    for (i = 0; i < ldm_ckpt_count(a->ckpt); i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(a->ckpt, i);
        uint64_t bytes = t->numel * ldm_dtype_size(t->dtype);

        ldm_audit_tally_add(&s->file[ldm_audit_key_group(t->name)], t->numel, bytes);
        ldm_audit_tally_add(&s->kind[ldm_audit_key_kind_of(t->name)], t->numel, bytes);
        ldm_audit_tally_add(&s->dtype[t->dtype], t->numel, bytes);
        ldm_audit_tally_add(&s->file_total, t->numel, bytes);
        if (ldm_audit_key_is_parameter(t->name) && !ldm_network_is_copy(a->network, t->name))
            s->file_parameters += t->numel;
    }
}
