/* SPDX-License-Identifier: MIT */
/* The vocabulary and the grammar that lie with a checkpoint, laid beside what it is converted to.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
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

/* What is said where the file is not laid beside the model: what another file of that name is, what
 * this one is, and what to do then. */
typedef struct words {
    const char *other, *own, *cure;
} words;

static const words of_vocabulary = {"another model's vocabulary", "vocabulary",
                                    "for this model give --vocab "};
static const words of_grammar = {"another model's grammar of captions", "grammar of captions",
                                 "this one's is "};

static bool is_checkpoint(const char *name)
{
    static const char *const endings[] = {".ckpt", ".pt", ".pth", ".safetensors"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++) {
        if (!strcasecmp(dot, endings[i]))
            return true;
    }
    return false;
}

/* Whether other models lie where `out` is written: what is laid there would be theirs, too. */
static bool has_company(const char *out)
{
    char *folder = ldm_folder_of(out);
    const char *own = ldm_file_name(out);
    DIR *dir = folder ? opendir(folder) : NULL;
    bool found = false;

    for (const struct dirent *e; !found && dir && (e = readdir(dir));)
        found = is_checkpoint(e->d_name) && strcmp(e->d_name, own) != 0;
    if (dir)
        closedir(dir);
    ldm_free(folder);
    return found;
}

/* Another file of the same name stays, and is said: words would get wrong ids by it. A folder of
 * several models gets none. */
static ldm_status copy(const char *from, const char *out, const words *say, ldm_str *report,
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
            ldm_str_printf(report, "note: %s is %s and stays; %s%s\n", to, say->other, say->cure,
                           from);
    } else if (!st && has_company(out)) {
        if (report)
            ldm_str_printf(report,
                           "note: the %s is not laid beside %s: other models lie there, too, which "
                           "would take it; %s%s\n",
                           say->own, out, say->cure, from);
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

/* Whether the text encoder's table has a row for every word; what cannot be read fits no table. */
static bool fits_table(const ldm_conditioner *c, ldm_token_kind kind, const char *path,
                       ldm_str *report)
{
    ldm_tokenizer *t;
    ldm_error err;
    bool fits;

    if (ldm_tokenizer_open(kind, path, &t, &err)) {
        if (report)
            ldm_str_printf(report, "note: the vocabulary is not copied: %s\n", err.msg);
        return false;
    }
    fits = !c->entries || ldm_tokenizer_size(t) <= (size_t)c->entries;
    if (!fits && report)
        ldm_str_printf(report,
                       "note: %s has %zu words and the text encoder's table %d: it is another "
                       "model's vocabulary and is not copied\n",
                       path, ldm_tokenizer_size(t), c->entries);
    ldm_tokenizer_free(t);
    return fits;
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
    if (!st && path && !fits_table(network->conditioners, kind, path, report)) {
        ldm_free(path);
        path = NULL;
    }
    if (!st && path)
        st = copy(path, out, &of_vocabulary, report, err);
    end = path ? strstr(path, "vocab.json") : NULL;
    if (!st && end && !end[strlen("vocab.json")]) { /* CLIP's in two files */
        merges = in_folder_of(path, "merges.txt");
        st = merges ? copy(merges, out, &of_vocabulary, report, err)
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
        st = copy(path, out, &of_grammar, report, err);
    ldm_free(path);
    return st;
}
