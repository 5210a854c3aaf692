/* SPDX-License-Identifier: MIT */
/* Unicode's normalisation forms. Decompositions and compositions are utf8proc's; the order of marks
 * is brought about here, since utf8proc's own takes quadratic time: 100 kB of alternating marks
 * (U+0316, U+0301) would take seconds. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/alloc.h"
#include "tokenize/utext.h"

static int combining_class(uint32_t c)
{
    return c < 0x300 ? 0 : utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

/* A stable counting sort of marks by their combining class. `spare` holds as many. */
static void sort_run(uint32_t *run, size_t len, uint32_t *spare)
{
    size_t start[257] = {0};
    size_t i;

    for (i = 0; i < len; i++)
        start[combining_class(run[i]) + 1]++;
    for (i = 1; i < 257; i++)
        start[i] += start[i - 1];
    for (i = 0; i < len; i++)
        spare[start[combining_class(run[i])]++] = run[i];
    memcpy(run, spare, len * sizeof *run);
}

/* Canonical order: between two characters of class 0 the classes do not fall. */
static bool sort_marks(uint32_t *at, size_t len)
{
    uint32_t *spare = NULL;
    size_t i, end;

    for (i = 0; i < len; i = end) {
        bool falls = false;

        end = i + 1;
        if (combining_class(at[i]) == 0)
            continue;
        for (; end < len && combining_class(at[end]) != 0; end++)
            falls |= combining_class(at[end]) < combining_class(at[end - 1]);
        if (!falls)
            continue;
        if (!spare && !(spare = ldm_reallocarray(NULL, len, sizeof *spare)))
            return false;
        sort_run(at + i, end - i, spare);
    }
    ldm_free(spare);
    return true;
}

/* options: UTF8PROC_DECOMPOSE, with UTF8PROC_COMPAT for the compatibility forms. */
static void decompose(const uint32_t *in, size_t len, utf8proc_option_t options, ldm_utext *out)
{
    utf8proc_int32_t parts[32]; /* the longest decomposition has 18 */
    size_t from = out->len;
    utf8proc_ssize_t count, k;

    for (size_t i = 0; i < len; i++) {
        if (in[i] < 0xc0 && !(options & UTF8PROC_COMPAT)) {
            ldm_utext_put(out, in[i]);
            continue;
        }
        count = utf8proc_decompose_char((utf8proc_int32_t)in[i], parts, 32, options, NULL);
        if (count < 0 || count > 32)
            ldm_utext_put(out, in[i]);
        else
            for (k = 0; k < count; k++)
                ldm_utext_put(out, (uint32_t)parts[k]);
    }
    if (!out->failed && out->len > from && !sort_marks(out->at + from, out->len - from))
        out->failed = true;
}

static void compose(ldm_utext *t, size_t from)
{
    utf8proc_ssize_t len;

    if (t->failed || t->len == from)
        return;
    len = utf8proc_normalize_utf32((utf8proc_int32_t *)(t->at + from),
                                   (utf8proc_ssize_t)(t->len - from),
                                   UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (len >= 0)
        t->len = from + (size_t)len;
}

void ldm_utext_nfd(const uint32_t *in, size_t len, ldm_utext *out)
{
    decompose(in, len, UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, out);
}

void ldm_utext_nfc(const uint32_t *in, size_t len, ldm_utext *out)
{
    size_t from = out->len, i;

    for (i = 0; i < len && in[i] < 0x300; i++) /* nothing below combines with what precedes it */
        ;
    if (i == len) {
        ldm_utext_append(out, in, len);
        return;
    }
    ldm_utext_nfd(in, len, out);
    compose(out, from);
}

void ldm_utext_nfkc_one(ldm_utext *out, uint32_t c)
{
    size_t from = out->len;

    decompose(&c, 1, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STABLE, out);
    compose(out, from);
}
