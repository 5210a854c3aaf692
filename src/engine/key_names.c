/* SPDX-License-Identifier: MIT */
/* Keys that name CompVis' tensors in another spelling that leaves no doubt: torch.compile and other
 * wrappers put a name of theirs into the path of the module that they wrap, DataParallel and its
 * like `module.` before all, and some trainers write LitEma's shadows with dots, where LitEma
 * itself drops them (ldm/modules/ema.py). Some files have all keys below one more name, or the text
 * encoder below the name that another version of transformers or another program gives it. All are
 * read as CompVis spells them. */
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"

static const char shadows[] = "model_ema.", parallel[] = "module.";

/* What wrappers put into paths, and whose it is. */
static const char *const wrappers[][2] = {
    {"_orig_mod", "torch.compile"},
    {"_checkpoint_wrapped_module", "activation checkpointing"},
    {"_fsdp_wrapped_module", "FullyShardedDataParallel"},
};
enum { WRAPPERS = sizeof wrappers / sizeof wrappers[0] };

/* Bytes of the wrapper's name at p, with the dot after it; 0: there is none. Shadows have no dots.
 */
static size_t wrapper_at(const char *p, bool ema)
{
    for (size_t i = 0; *p == '_' && i < WRAPPERS; i++) {
        const size_t n = strlen(wrappers[i][0]);

        if (!strncmp(p, wrappers[i][0], n) && (ema || p[n] == '.'))
            return n + (p[n] == '.');
    }
    return 0;
}

/* `name` without wrappers, and behind model_ema. without dots; false: it stays. */
static bool spell(const char *name, ldm_str *out)
{
    bool changed = !strncmp(name, parallel, sizeof parallel - 1);
    const char *p = changed ? name + sizeof parallel - 1 : name;
    const bool ema = !strncmp(p, shadows, sizeof shadows - 1);

    if (ema) {
        ldm_str_puts(out, shadows);
        p += sizeof shadows - 1;
    }
    while (*p) {
        const size_t skip = wrapper_at(p, ema);

        if (skip) {
            p += skip;
            changed = true;
        } else if (ema && *p == '.') {
            p++;
            changed = true;
        } else {
            const size_t run = 1 + strcspn(p + 1, ema ? "_." : "_"); /* nothing begins before */

            ldm_str_append(out, p, run);
            p += run;
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

static bool any_begins(const ldm_ckpt *ck, const char *text)
{
    for (size_t i = 0; i < ldm_ckpt_count(ck); i++) {
        if (!strncmp(ldm_ckpt_at(ck, i)->name, text, strlen(text)))
            return true;
    }
    return false;
}

/* Keys that hold the text; NULL: shadows with dots. */
static size_t count_keys(const ldm_ckpt *ck, const char *text)
{
    size_t i, n = 0;

    for (i = 0; i < ldm_ckpt_count(ck); i++) {
        const char *name = ldm_ckpt_at(ck, i)->name;
        const bool shadow = !strncmp(name, shadows, sizeof shadows - 1);

        if (text)
            n += strstr(name, text) != NULL;
        else
            n += shadow && strchr(name + sizeof shadows - 1, '.');
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

static ldm_status warn_wrapped(ldm_ckpt *ck, size_t n, const char *const wrapper[2], ldm_error *err)
{
    char what[256];

    snprintf(what, sizeof what,
             "carry the `%s` of %s: they are read without it, as --set "
             "'ldm.load.rename={\"%s.\": \"\"}' would do (the EMA shadows as well)",
             wrapper[0], wrapper[1], wrapper[0]);
    return warn(ck, n, what, err);
}

static ldm_status warn_taken(ldm_ckpt *ck, size_t n, ldm_error *err)
{
    char text[160];

    if (!n)
        return LDM_OK;
    snprintf(text, sizeof text,
             "%zu key%s there twice, with the name of a wrapper in it and without: the one without "
             "is read",
             n, n == 1 ? " stands" : "s stand");
    return ldm_ckpt_warn(ck, text, err);
}

/* ---- other names ----------------------------------------------------------------------------- */

#define CLIP "cond_stage_model.transformer."

/* A beginning of keys that is read as another, where the file has one key that begins with `where`
 * and none that begins with `unless`. */
typedef struct beginning {
    const char *where, *unless;
    ldm_ckpt_rename_rule rule;
    const char *what;
} beginning;

static const beginning beginnings[] = {
    {"state_dict.model.diffusion_model.",
     "model.",
     {"^state_dict.", ""},
     "begin with `state_dict.`: they are read without it"},
    {"state_dict.first_stage_model.",
     "first_stage_model.",
     {"^state_dict.", ""},
     "begin with `state_dict.`: they are read without it"},
    {"model.model.diffusion_model.",
     "model.diffusion_model.",
     {"^model.", ""},
     "begin with one more `model.`: they are read without it"},
    {CLIP "embeddings.",
     CLIP "text_model.",
     {"^" CLIP, CLIP "text_model."},
     "of the text encoder lack the `text_model.` that CompVis' code has: they are read with it"},
    {"conditioner.embedders.0.",
     "conditioner.embedders.1.",
     {"^conditioner.embedders.0.", "cond_stage_model."},
     "are named `conditioner.embedders.0.`: they are read as cond_stage_model."},
};

static ldm_status rename_beginnings(ldm_ckpt *ck, ldm_error *err)
{
    ldm_status st = LDM_OK;

    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings && !st; i++) {
        const beginning *b = &beginnings[i];
        size_t n = 0;

        if (!any_begins(ck, b->where) || any_begins(ck, b->unless))
            continue;
        st = ldm_ckpt_rename(ck, &b->rule, 1, &n, err);
        if (!st)
            st = warn(ck, n, b->what, err);
    }
    return st;
}

ldm_status ldm_ckpt_spell_keys(ldm_ckpt *ck, ldm_error *err)
{
    const size_t dotted = count_keys(ck, NULL), module = count_parallel(ck);
    size_t wrapped[WRAPPERS], renamed, taken, i;
    ldm_status st;

    for (i = 0; i < WRAPPERS; i++)
        wrapped[i] = count_keys(ck, wrappers[i][0]);
    st = ldm_ckpt_rename_by(ck, spell, &renamed, &taken, err);
    if (!st)
        st = warn_taken(ck, taken, err);
    if (st || !renamed)
        return st ? st : rename_beginnings(ck, err);
    for (i = 0; i < WRAPPERS && !st; i++)
        st = warn_wrapped(ck, wrapped[i], wrappers[i], err);
    if (!st)
        st = warn(ck, module,
                  "carry the `module.` of DataParallel or DistributedDataParallel: they are read "
                  "without it",
                  err);
    if (!st)
        st = warn(ck, dotted,
                  "of EMA shadows are named with dots (model_ema.a.b): they are read as LitEma "
                  "names them (model_ema.ab)",
                  err);
    return st ? st : rename_beginnings(ck, err);
}
