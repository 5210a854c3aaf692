/* SPDX-License-Identifier: MIT */
/* Vocabulary files: gzip, lines, ids. */
#include "tokenize/vocab.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "tokenize/utext.h"

ldm_status ldm_vocab_init(ldm_vocab *v, ldm_error *err)
{
    memset(v, 0, sizeof *v);
    return ldm_words_init(&v->words, err);
}

void ldm_vocab_free(ldm_vocab *v)
{
    ldm_words_free(&v->words);
    ldm_free(v->pieces);
    memset(v, 0, sizeof *v);
}

ldm_status ldm_vocab_give(ldm_vocab *v, const char *text, size_t len, int64_t id, ldm_error *err)
{
    uint32_t number;
    ldm_status st;

    if (id < 0 || id >= LDM_VOCAB_IDS)
        return ldm_error_set(err, LDM_ERR_RANGE, "id %" PRId64 " is not from 0 to %d", id,
                             LDM_VOCAB_IDS - 1);
    st = ldm_words_add(&v->words, text, len, &number, err);
    if (st)
        return st;
    if (!ldm_grow(&v->pieces, &v->cap, (size_t)id + 1, sizeof *v->pieces))
        return ldm_error_nomem(err, ((uint64_t)id + 1) * sizeof *v->pieces, "a vocabulary");
    while (v->size <= (size_t)id)
        v->pieces[v->size++] = NULL;
    v->words.at[number].id = (int32_t)id;
    v->pieces[id] = v->words.at[number].text;
    return LDM_OK;
}

int32_t ldm_vocab_id(const ldm_vocab *v, const char *text)
{
    uint32_t number = ldm_words_find(&v->words, text, strlen(text));

    return number == LDM_NO_WORD ? -1 : v->words.at[number].id;
}

/* ---- lines ----------------------------------------------------------------------------------- */

ldm_status ldm_lines_init(ldm_lines *l, const char *name, const char *text, size_t bytes,
                          ldm_error *err)
{
    size_t good = ldm_utf8_good((const unsigned char *)text, bytes);

    memset(l, 0, sizeof *l);
    l->name = name;
    l->at = text + ldm_utf8_mark(text, bytes);
    l->end = text + bytes;
    if (good < bytes)
        return ldm_error_at(err, LDM_ERR_FORMAT, good, "%s: byte %zu: not UTF-8", name, good);
    return LDM_OK;
}

bool ldm_lines_next(ldm_lines *l)
{
    const char *end;

    if (l->at == l->end)
        return false;
    end = memchr(l->at, '\n', (size_t)(l->end - l->at));
    l->line = l->at;
    l->len = (size_t)((end ? end : l->end) - l->at);
    l->at = end ? end + 1 : l->end;
    l->number++;
    if (l->len > 0 && l->line[l->len - 1] == '\r')
        l->len--;
    return true;
}

ldm_status ldm_lines_error(const ldm_lines *l, ldm_error *err, const char *what)
{
    return ldm_error_at_line(err, LDM_ERR_FORMAT, l->number, 1, "%s, line %d: %s", l->name,
                             l->number, what);
}

/* ---- gzip ------------------------------------------------------------------------------------ */

/* The unpacked size as the file's last four bytes give it; they may lie, and then unpacking fails.
 */
static size_t size_told(const unsigned char *data, size_t bytes)
{
    const unsigned char *p = data + bytes - 4;

    return p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

ldm_status ldm_gunzip(const char *name, const void *data, size_t bytes, char **out,
                      size_t *out_bytes, ldm_error *err)
{
    struct libdeflate_decompressor *d;
    enum libdeflate_result r;
    size_t size, used;

    *out = NULL;
    if (bytes < 18) /* an empty gzip file has 20 bytes */
        return ldm_error_set(err, LDM_ERR_FORMAT, "%s: a gzip file that ends within its header",
                             name);
    size = size_told(data, bytes);
    if (size > LDM_VOCAB_LIMIT) /* in a file that is cut off these bytes are others */
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "%s: a gzip file that is cut off or damaged, or else unpacks to more "
                             "than %d bytes: get it again",
                             name, LDM_VOCAB_LIMIT);
    *out = ldm_malloc(size + 1);
    d = libdeflate_alloc_decompressor();
    if (!*out || !d) {
        ldm_free(*out);
        *out = NULL;
        libdeflate_free_decompressor(d);
        return ldm_error_nomem(err, size, "a vocabulary");
    }
    r = libdeflate_gzip_decompress_ex(d, data, bytes, *out, size, &used, out_bytes);
    libdeflate_free_decompressor(d);
    if (r == LIBDEFLATE_SUCCESS && used < bytes) { /* size is the last member's */
        ldm_free(*out);
        *out = NULL;
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "%s: a gzip file of several members, or with other bytes behind it: "
                             "pack it again as one (gzip -d, then gzip)",
                             name);
    }
    if (r == LIBDEFLATE_SUCCESS) {
        (*out)[*out_bytes] = '\0';
        return LDM_OK;
    }
    ldm_free(*out);
    *out = NULL;
    return ldm_error_set(err, LDM_ERR_FORMAT,
                         "%s: a gzip file that is cut off or damaged: get it again", name);
}
