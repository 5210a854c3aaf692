/* SPDX-License-Identifier: MIT */
/* Keys that name CompVis' tensors in another spelling that leaves no doubt: torch.compile puts
 * `_orig_mod.` into the path of the module that it wraps, DataParallel and its like `module.`
 * before all, and some trainers write LitEma's shadows with dots, where LitEma itself drops them
 * (ldm/modules/ema.py). Both are read as CompVis spells them. */
#include <string.h>

#include "engine/engine.h"

static const char compiled[] = "_orig_mod", shadows[] = "model_ema.", parallel[] = "module.";

/* `name` without _orig_mod, and behind model_ema. without dots; false: it stays. */
static bool spell(const char *name, ldm_str *out)
{
    const size_t skip = sizeof compiled - 1;
    bool changed = !strncmp(name, parallel, sizeof parallel - 1);
    const char *p = changed ? name + sizeof parallel - 1 : name;
    const bool ema = !strncmp(p, shadows, sizeof shadows - 1);

    if (ema) {
        ldm_str_puts(out, shadows);
        p += sizeof shadows - 1;
    }
    while (*p) {
        if (!strncmp(p, compiled, skip) && (ema || p[skip] == '.')) {
            p += skip + (p[skip] == '.');
            changed = true;
        } else if (ema && *p == '.') {
            p++;
            changed = true;
        } else {
            ldm_str_append(out, p++, 1);
        }
    }
    return changed;
}

static size_t count_parallel(const ldm_ckpt *ck)
{
    size_t i, n = 0;

    for (i = 0; i < ldm_ckpt_count(ck); i++)
        n += !strncmp(ldm_ckpt_at(ck, i)->name, parallel, sizeof parallel - 1);
    return n;
}

static size_t count_keys(const ldm_ckpt *ck, bool ema)
{
    size_t i, n = 0;

    for (i = 0; i < ldm_ckpt_count(ck); i++) {
        const char *name = ldm_ckpt_at(ck, i)->name;
        const bool shadow = !strncmp(name, shadows, sizeof shadows - 1);

        if (ema)
            n += shadow && strchr(name + sizeof shadows - 1, '.');
        else
            n += strstr(name, compiled) != NULL;
    }
    return n;
}

static ldm_status warn(ldm_ckpt *ck, size_t n, const char *what, ldm_error *err)
{
    ldm_str text = {0};
    ldm_status st;

    if (!n)
        return LDM_OK;
    ldm_str_printf(&text, "%zu keys %s", n, what);
    st = text.failed ? ldm_error_nomem(err, 0, "a note") : ldm_ckpt_warn(ck, text.data, err);
    ldm_str_free(&text);
    return st;
}

ldm_status ldm_ckpt_spell_keys(ldm_ckpt *ck, ldm_error *err)
{
    const size_t wrapped = count_keys(ck, false), dotted = count_keys(ck, true);
    const size_t module = count_parallel(ck);
    size_t renamed;
    ldm_status st = ldm_ckpt_rename_by(ck, spell, &renamed, err);

    if (!st)
        st = warn(ck, wrapped,
                  "carry the `_orig_mod` of torch.compile: they are read without it, as --set "
                  "'ldm.load.rename={\"_orig_mod.\": \"\"}' would do (the EMA shadows as well)",
                  err);
    if (!st)
        st = warn(ck, module,
                  "carry the `module.` of DataParallel or DistributedDataParallel: they are read "
                  "without it",
                  err);
    return st ? st
              : warn(ck, dotted,
                     "of EMA shadows are named with dots (model_ema.a.b): they are read as LitEma "
                     "names them (model_ema.ab)",
                     err);
}
