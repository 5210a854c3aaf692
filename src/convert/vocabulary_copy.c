/* SPDX-License-Identifier: MIT */
/* The vocabulary and the grammar that lie with a checkpoint, laid beside what it is converted to.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "convert/convert_private.h"
#include "tokenize/tokenize.h"

enum { LIMIT = 16 << 20 };

static char *in_folder_of(const char *beside, const char *name)
{
    char *folder = ldm_folder_of(beside);
    ldm_str path = {0};

    if (folder)
        ldm_str_printf(&path, "%s/%s", !strcmp(folder, "/") ? "" : folder, name);
    ldm_free(folder);
    return path.data;
}

/* What another file of that name is, and what to do then. */
static const char other_words[] =
    "another model's vocabulary and stays; for this model give --vocab ";
static const char other_grammar[] = "another model's grammar of captions and stays; this one's is ";

/* Another file of the same name stays, and is said: words would get wrong ids by it. */
static ldm_status copy(const char *from, const char *out, const char *other, ldm_str *report,
                       ldm_error *err)
{
    const char *slash = strrchr(from, '/');
    char *to = in_folder_of(out, slash ? slash + 1 : from), *text = NULL, *there = NULL;
    size_t bytes = 0, there_bytes = 0;
    ldm_status st = to ? ldm_file_read(from, LIMIT, &text, &bytes, err)
                       : ldm_error_nomem(err, strlen(from), "a path");

    if (!st && !access(to, F_OK)) {
        st = ldm_file_read(to, LIMIT, &there, &there_bytes, err);
        if (!st && report && (there_bytes != bytes || memcmp(there, text, bytes)))
            ldm_str_printf(report, "note: %s is %s%s\n", to, other, from);
    } else if (!st) {
        st = ldm_file_write(to, text, bytes, err);
        if (!st && report)
            ldm_str_printf(report, "%s\n", to);
    }
    ldm_free(there);
    ldm_free(text);
    ldm_free(to);
    return st;
}

ldm_status ldm_vocabulary_copy(const ldm_network *network, const char *ckpt, const char *out,
                               ldm_str *report, ldm_error *err)
{
    const char *name = network->conditioner_count ? network->conditioners->vocabulary : NULL;
    char *path = NULL, *merges = NULL, *end;
    ldm_token_kind kind;
    ldm_status st;

    if (!name)
        return LDM_OK;
    st = ldm_token_kind_parse(name, &kind, err);
    if (!st)
        st = ldm_vocab_beside(kind, ckpt, &path, err);
    if (!st && path)
        st = copy(path, out, other_words, report, err);
    end = path ? strstr(path, "vocab.json") : NULL;
    if (!st && end && !end[strlen("vocab.json")]) { /* CLIP's in two files */
        merges = in_folder_of(path, "merges.txt");
        st = merges ? copy(merges, out, other_words, report, err)
                    : ldm_error_nomem(err, 0, "a path");
    }
    ldm_free(merges);
    ldm_free(path);
    return st;
}

ldm_status ldm_grammar_copy(const ldm_network *network, const char *ckpt, const char *out,
                            ldm_str *report, ldm_error *err)
{
    char *path;
    ldm_status st = LDM_OK;

    if (!network->conditioner_count || !network->conditioners->vocabulary)
        return LDM_OK;
    path = in_folder_of(ckpt, "grammar.txt");
    if (!path)
        st = ldm_error_nomem(err, 0, "a path");
    else if (!access(path, R_OK))
        st = copy(path, out, other_grammar, report, err);
    ldm_free(path);
    return st;
}
