/* SPDX-License-Identifier: MIT */
/* The files that a job is given; see given.h. */
#include "cli/generate/given.h"

int ldm_given_read(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_recipe *recipe,
                   ldm_given *g)
{
    ldm_error err;
    ldm_status st;
    int code = ldm_arrays_read(cmd, o, &g->arrays);

    if (!code)
        code = ldm_starts_read(cmd, o, &g->starts);
    if (!code)
        code = ldm_layout_set(cmd, o);
    if (!code && recipe)
        code = ldm_starts_check(cmd, &g->starts, recipe, o->like);
    if (code)
        return code;
    st = ldm_arrays_set(o, &g->arrays, o->to.job, &err);
    if (!st)
        st = ldm_starts_set(&g->starts, o->to.job, &err);
    return st ? ldm_cli_fail(cmd, st, &err) : ldm_texts_apply(cmd, o, &g->prompts, &g->class_names);
}

void ldm_given_free(ldm_given *g)
{
    ldm_arrays_free(&g->arrays);
    ldm_starts_free(&g->starts);
    ldm_lines_free(&g->prompts);
    ldm_lines_free(&g->class_names);
}
