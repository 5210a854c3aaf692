/* SPDX-License-Identifier: MIT */
/* Where kept values lie in their rows, and whether rows belong to a program. */
#include "exec/program.h"

size_t ldm_program_kept_floats(const ldm_program *p, unsigned depends)
{
    return depends == LDM_DEPENDS_TIME ? p->time_floats : p->cond_floats;
}

ldm_status ldm_kept_check(const ldm_program *p, const ldm_kept *k, unsigned depends, bool has_rows,
                          ldm_error *err)
{
    if (k->depends != depends || k->floats != ldm_program_kept_floats(p, depends))
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the kept values are of another part of the network");
    if (!has_rows)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the kept values have other rows than are asked for");
    return LDM_OK;
}

ldm_view ldm_kept_view(const ldm_program *p, const ldm_kept *k, int value, int row, int rows)
{
    const ldm_graph_value *v = &p->graph->values[value];
    const size_t size = (size_t)v->c * (size_t)v->h * (size_t)v->w;

    return (ldm_view){
        .data = k->rows + p->keeping[value].offset * (size_t)k->capacity + (size_t)row * size,
        .n = rows,
        .h = v->h,
        .w = v->w,
        .c = v->c,
        .pitch = (size_t)v->c,
    };
}
