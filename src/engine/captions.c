/* SPDX-License-Identifier: MIT */
/* A text model without a prompt makes pictures of captions such as it was trained on. */
#include "engine/captions.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "caption/caption.h"
#include "engine/between.h"
#include "engine/engine.h"

enum { SHOWN = 16 };

/* The grammar beside the checkpoint; *out is NULL where there is none. */
static ldm_status open_grammar(const char *ckpt, ldm_grammar **out, ldm_error *err)
{
    char *folder = ldm_folder_of(ckpt);
    ldm_str path = {0};
    ldm_status st = LDM_OK;

    *out = NULL;
    if (folder)
        ldm_str_printf(&path, "%s/grammar.txt", folder);
    if (!folder || path.failed)
        st = ldm_error_nomem(err, 0, "a path");
    else if (access(path.data, R_OK) == 0)
        st = ldm_grammar_load(path.data, out, err);
    ldm_str_free(&path);
    ldm_free(folder);
    return st;
}

ldm_status ldm_captions_draw(ldm_run *r, bool *drawn, ldm_error *err)
{
    ldm_job *j = &r->job;
    const size_t count = (size_t)j->count;
    const char **texts;
    ldm_grammar *g;
    ldm_status st = open_grammar(ldm_ckpt_path(r->m->ckpt), &g, err);
    size_t i;

    *drawn = false;
    if (st || !g)
        return st;
    texts = ldm_arena_alloc(r->texts, count, sizeof *texts);
    if (!texts)
        st = ldm_error_nomem(err, count * sizeof *texts, "the captions");
    for (i = 0; !st && i < count; i++) {
        char *text = NULL;

        st = ldm_grammar_caption(g, ldm_picture_seed(j, (int)i), &text, err);
        texts[i] = st ? NULL : ldm_arena_strdup(r->texts, text);
        if (!st && !texts[i])
            st = ldm_error_nomem(err, 0, "a caption");
        ldm_free(text);
    }
    ldm_grammar_free(g);
    if (st)
        return st;
    j->prompts = texts;
    j->prompt_count = count;
    *drawn = r->captions_drawn = true;
    return LDM_OK;
}

ldm_status ldm_captions_note(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    ldm_status st = LDM_OK;
    size_t i;

    if (!r->captions_drawn)
        return LDM_OK;
    for (i = 0; !st && i < j->prompt_count && i < SHOWN; i++) {
        if (i && ldm_picture_seed(j, (int)i) == ldm_picture_seed(j, (int)i - 1))
            return LDM_OK; /* variations of one picture have one seed, and so one caption */
        st = ldm_notes_add(&r->notes, err, "no prompt was given; that of seed %" PRIu64 " is: %s",
                           ldm_picture_seed(j, (int)i), j->prompts[i]);
    }
    if (!st && j->prompt_count > SHOWN)
        st = ldm_notes_add(&r->notes, err, "%zu more: each picture's recipe holds its own",
                           j->prompt_count - SHOWN);
    return st;
}

ldm_status ldm_model_caption(const ldm_model *m, uint64_t seed, char **out, ldm_error *err)
{
    ldm_grammar *g = NULL;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(m, "m", err);
    if (!ldm_network_reads_text(m->network))
        return LDM_OK;
    st = open_grammar(ldm_ckpt_path(m->ckpt), &g, err);
    if (!st && g)
        st = ldm_grammar_caption(g, seed, out, err);
    ldm_grammar_free(g);
    return st;
}
