/* SPDX-License-Identifier: MIT */
/* The options of one side's model. */
#include "cli/compare/compare.h"

int ldm_cmp_model_options(const ldm_compare *c, const char *layer, ldm_model_options **out)
{
    ldm_error err;
    ldm_status st = ldm_model_options_copy(c->o->to.model, out, &err);

    if (!st && layer)
        st = ldm_model_options_set(*out, "config", layer, &err);
    if (!st)
        return LDM_EXIT_OK;
    ldm_model_options_free(*out);
    *out = NULL;
    return ldm_cli_fail(c->cmd, st, &err);
}
