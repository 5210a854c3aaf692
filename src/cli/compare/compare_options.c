/* SPDX-License-Identifier: MIT */
/* The options of one side's model: a layer lies over the common configuration, a whole
 * configuration takes its place. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cli/compare/compare.h"

enum { MOST_YAML = 1 << 24 };

/* ---- whole configurations -------------------------------------------------------------------- */

/* Something lies under a layer: a configuration that was given or found, or a shipped model's. */
static bool has_base(const ldm_compare *c)
{
    return ldm_model_options_is_set(c->o->to.model, "config") ||
           !ldm_model_options_is_set(c->o->to.model, "ckpt");
}

char *ldm_cmp_whole_text(const ldm_compare *c)
{
    const ldm_cmp_side *one = c->a.whole ? &c->a : &c->b, *other = c->a.whole ? &c->b : &c->a;

    if (!one->whole || !has_base(c))
        return NULL;
    if (other->whole)
        return ldm_cli_format("%s and %s are whole configurations: each stands alone, and nothing "
                              "of the common configuration shows through",
                              ldm_file_name(c->a.layer), ldm_file_name(c->b.layer));
    return ldm_cli_format("%s is a whole configuration: it stands alone, and nothing of the common "
                          "configuration shows through; %s is laid over that",
                          ldm_file_name(one->layer), ldm_file_name(other->layer));
}

/* ---- options --------------------------------------------------------------------------------- */

/* The file in the place of all configurations. A shipped model goes on being one: its own would be
 * laid under files, and is not under a text. */
static ldm_status stand_alone(ldm_model_options *model, const char *path, ldm_error *err)
{
    char *text = NULL;
    size_t size;
    ldm_status st = ldm_model_options_unset(model, "config", err);

    if (!st && ldm_model_options_is_set(model, "ckpt"))
        return ldm_model_options_set(model, "config", path, err);
    if (!st)
        st = ldm_file_read(path, MOST_YAML, &text, &size, err);
    if (!st)
        st = ldm_model_options_set(model, "config_text", text, err);
    if (!st)
        st = ldm_model_options_set(model, "config_name", path, err);
    ldm_free(text);
    return st;
}

int ldm_cmp_model_options(const ldm_compare *c, const ldm_cmp_side *s, ldm_model_options **out)
{
    ldm_error err;
    ldm_status st = ldm_model_options_copy(c->o->to.model, out, &err);

    if (!st && s && s->whole)
        st = stand_alone(*out, s->layer, &err);
    else if (!st && s)
        st = ldm_model_options_set(*out, "config", s->layer, &err);
    if (!st)
        return LDM_EXIT_OK;
    ldm_model_options_free(*out);
    *out = NULL;
    return ldm_cli_fail(c->cmd, st, &err);
}
