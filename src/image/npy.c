/* SPDX-License-Identifier: MIT */
/* NumPy's array files: a strict reader of the header (a Python dict literal of three known keys,
 * nothing else) and a writer. Format: NumPy Enhancement Proposal 1 and numpy.lib.format. */
#include "image/npy.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/file.h"
#include "image/npy_header.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the .npy code moves elements as they lie in memory: little-endian machines only"
#endif

static const char magic[] = "\x93NUMPY";
enum { MAGIC_LEN = 6, HEADER_MAX = 65536 };

typedef struct element_type {
    char descr[4];
    unsigned width;
} element_type;

static const element_type element_types[] = {
    {"<f2", 2}, {"<f4", 4}, {"<f8", 8}, {"|b1", 1}, {"|i1", 1}, {"|u1", 1},
    {"<i2", 2}, {"<u2", 2}, {"<i4", 4}, {"<u4", 4}, {"<i8", 8}, {"<u8", 8},
};

/* The header's text and where the reader stands in it. */
typedef struct cursor {
    const char *at, *end;
    const char *name; /* of the file */
    ldm_error *err;
} cursor;

typedef struct header {
    const element_type *type;
    bool fortran_order;
    int ndim;
    uint64_t shape[LDM_NPY_MAX_DIMS];
    bool has_descr, has_order, has_shape;
} header;

static ldm_status bad_header(const cursor *c, const char *expected)
{
    int shown = (int)(c->end - c->at < 20 ? c->end - c->at : 20);
    char found[24];
    int i;

    for (i = 0; i < shown; i++)
        found[i] = (char)(isprint((unsigned char)c->at[i]) ? c->at[i] : '?');
    found[i] = '\0';
    return ldm_error_set(c->err, LDM_ERR_FORMAT,
                         "%s: the .npy header has '%s' where %s is expected; save the array with "
                         "numpy.save",
                         c->name, found, expected);
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t'))
        c->at++;
}

static bool take(cursor *c, const char *word)
{
    size_t len = strlen(word);

    skip_space(c);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len))
        return false;
    c->at += len;
    return true;
}

/* 'text' or "text", without escapes. */
static ldm_status take_string(cursor *c, char *out, size_t cap, const char *expected)
{
    size_t len = 0;
    char quote;

    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return bad_header(c, expected);
    quote = *c->at;
    while (c->at + 1 + len < c->end && c->at[1 + len] != quote)
        len++;
    if (c->at + 1 + len >= c->end || len >= cap)
        return bad_header(c, expected);
    memcpy(out, c->at + 1, len);
    out[len] = '\0';
    c->at += len + 2;
    return LDM_OK;
}

static ldm_status take_descr(cursor *c, header *h)
{
    char descr[32];
    ldm_status st;
    size_t i;

    skip_space(c);
    if (c->at < c->end && *c->at == '[')
        return ldm_error_set(c->err, LDM_ERR_UNSUPPORTED,
                             "%s: a structured array, expected plain numbers", c->name);
    st = take_string(c, descr, sizeof descr, "a dtype such as '<f4'");
    if (st)
        return st;
    for (i = 0; i < sizeof element_types / sizeof *element_types; i++)
        if (!strcmp(descr, element_types[i].descr)) {
            h->type = &element_types[i];
            return LDM_OK;
        }
    if (strchr(descr, 'O'))
        return ldm_error_set(c->err, LDM_ERR_UNSAFE,
                             "%s: dtype '%s' holds pickled Python objects, expected plain numbers; "
                             "convert it with .astype('float32')",
                             c->name, descr);
    if (descr[0] == '>')
        return ldm_error_set(
            c->err, LDM_ERR_UNSUPPORTED,
            "%s: dtype '%s' is big-endian, expected little-endian; convert it with "
            ".astype('<%s')",
            c->name, descr, descr + 1);
    return ldm_error_set(c->err, LDM_ERR_UNSUPPORTED,
                         "%s: dtype '%s', expected float16, float32, float64 or an integer type",
                         c->name, descr);
}

static ldm_status take_number(cursor *c, uint64_t *out)
{
    uint64_t v = 0;

    skip_space(c);
    if (c->at == c->end || !isdigit((unsigned char)*c->at))
        return bad_header(c, "a length in the shape");
    for (; c->at < c->end && isdigit((unsigned char)*c->at); c->at++)
        if (ldm_mul_u64(v, 10, &v) || ldm_add_u64(v, (uint64_t)(*c->at - '0'), &v))
            return ldm_error_set(c->err, LDM_ERR_RANGE, "%s: a length in the shape is too large",
                                 c->name);
    *out = v;
    return LDM_OK;
}

static ldm_status take_shape(cursor *c, header *h)
{
    bool more = true;
    ldm_status st;

    if (!take(c, "("))
        return bad_header(c, "a shape such as (1, 3, 16, 16)");
    while (!take(c, ")")) {
        if (!more)
            return bad_header(c, "',' or ')' in the shape");
        if (h->ndim == LDM_NPY_MAX_DIMS)
            return ldm_error_set(c->err, LDM_ERR_UNSUPPORTED,
                                 "%s: more than %d dimensions, expected at most that many", c->name,
                                 LDM_NPY_MAX_DIMS);
        st = take_number(c, &h->shape[h->ndim]);
        if (st)
            return st;
        h->ndim++;
        more = take(c, ",");
    }
    return LDM_OK;
}

static ldm_status take_entry(cursor *c, header *h)
{
    char key[32];
    ldm_status st = take_string(c, key, sizeof key, "a key");
    bool *seen;

    if (st)
        return st;
    seen = !strcmp(key, "descr")           ? &h->has_descr
           : !strcmp(key, "fortran_order") ? &h->has_order
           : !strcmp(key, "shape")         ? &h->has_shape
                                           : NULL;
    if (!seen || *seen)
        return ldm_error_set(c->err, LDM_ERR_FORMAT,
                             "%s: the .npy header has the key '%s' %s; expected descr, "
                             "fortran_order and shape, once each",
                             c->name, key, seen ? "twice" : "too");
    *seen = true;
    if (!take(c, ":"))
        return bad_header(c, "':'");
    if (seen == &h->has_descr)
        return take_descr(c, h);
    if (seen == &h->has_shape)
        return take_shape(c, h);
    if (take(c, "True"))
        h->fortran_order = true;
    else if (!take(c, "False"))
        return bad_header(c, "True or False");
    return LDM_OK;
}

static ldm_status parse_header(cursor *c, header *h)
{
    ldm_status st;

    memset(h, 0, sizeof *h);
    if (!take(c, "{"))
        return bad_header(c, "'{'");
    while (!take(c, "}")) {
        st = take_entry(c, h);
        if (st)
            return st;
        if (!take(c, ",")) {
            if (!take(c, "}"))
                return bad_header(c, "',' or '}'");
            break;
        }
    }
    skip_space(c);
    if (c->at != c->end)
        return bad_header(c, "nothing more");
    if (!h->has_descr || !h->has_order || !h->has_shape)
        return ldm_error_set(c->err, LDM_ERR_FORMAT,
                             "%s: the .npy header lacks '%s'; save the array with numpy.save",
                             c->name,
                             !h->has_descr   ? "descr"
                             : !h->has_order ? "fortran_order"
                                             : "shape");
    return LDM_OK;
}

static float half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, mantissa = h & 0x3ffu;
    const uint32_t exponent = h >> 10 & 0x1fu;
    uint32_t bits;
    float f;

    if (exponent == 0) { /* zero or subnormal: mantissa * 2^-24 is exact */
        f = (float)mantissa * (1.0f / 16777216.0f);
        return sign ? -f : f;
    }
    bits = exponent == 31 ? sign | 0x7f800000u | mantissa << 13
                          : sign | (exponent + 112) << 23 | mantissa << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

#define LOAD_AS(type, p)                                                                           \
    do {                                                                                           \
        type v_;                                                                                   \
        memcpy(&v_, p, sizeof v_);                                                                 \
        return v_;                                                                                 \
    } while (0)

static double element_f64(const element_type *t, const unsigned char *p)
{
    const char kind = t->descr[1];
    uint16_t half;

    switch (t->width) {
    case 1:
        if (kind == 'i')
            LOAD_AS(int8_t, p);
        return kind == 'b' ? *p != 0 : *p;
    case 2:
        if (kind == 'i')
            LOAD_AS(int16_t, p);
        memcpy(&half, p, sizeof half);
        return kind == 'f' ? half_to_float(half) : half;
    case 4:
        if (kind == 'f')
            LOAD_AS(float, p);
        if (kind == 'i')
            LOAD_AS(int32_t, p);
        LOAD_AS(uint32_t, p);
    default:
        if (kind == 'f')
            LOAD_AS(double, p);
        if (kind == 'i')
            LOAD_AS(int64_t, p);
        LOAD_AS(uint64_t, p);
    }
}

/* Rounded once: an integer of 64 bits does not go through a double. */
static float element(const element_type *t, const unsigned char *p)
{
    if (t->width == 8 && t->descr[1] == 'i')
        LOAD_AS(int64_t, p);
    if (t->width == 8 && t->descr[1] == 'u')
        LOAD_AS(uint64_t, p);
    return (float)element_f64(t, p);
}

/* Where the elements stand in the file, in C order; for Fortran order the source index of each is
 * counted along. */
typedef struct walk {
    const header *h;
    uint64_t index[LDM_NPY_MAX_DIMS], stride[LDM_NPY_MAX_DIMS], from;
} walk;

static walk walk_begin(const header *h)
{
    walk w = {.h = h};
    int d;

    for (d = 0; h->fortran_order && d < h->ndim; d++)
        w.stride[d] = d ? w.stride[d - 1] * h->shape[d - 1] : 1;
    return w;
}

/* The place of the next element. */
static uint64_t walk_next(walk *w)
{
    const header *h = w->h;
    const uint64_t at = w->from;
    int d;

    if (!h->fortran_order)
        return w->from++;
    for (d = h->ndim - 1; d >= 0; d--) {
        w->from += w->stride[d];
        if (++w->index[d] < h->shape[d])
            break;
        w->from -= w->stride[d] * h->shape[d];
        w->index[d] = 0;
    }
    return at;
}

static void convert(const header *h, const unsigned char *src, ldm_npy *out)
{
    walk w = walk_begin(h);
    uint64_t i;

    if (!h->fortran_order && !strcmp(h->type->descr, "<f4")) {
        memcpy(out->data, src, (size_t)out->numel * sizeof *out->data);
        return;
    }
    for (i = 0; i < out->numel; i++)
        out->data[i] = element(h->type, src + walk_next(&w) * h->type->width);
}

/* Splits the file: the header's text into `text`, the elements into *body. */
static ldm_status split(const unsigned char *p, size_t size, const char *name, cursor *text,
                        const unsigned char **body, size_t *body_bytes, ldm_error *err)
{
    size_t prefix, len;

    if (size < 10 || memcmp(p, magic, MAGIC_LEN))
        return ldm_error_set(err, LDM_ERR_FORMAT,
                             "%s is not a .npy file (it does not begin with \\x93NUMPY); save the "
                             "array with numpy.save",
                             name);
    if (p[6] < 1 || p[6] > 3)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "%s: .npy version %d, expected version 1, 2 or 3", name, p[6]);
    prefix = p[6] == 1 ? 10 : 12;
    if (size < prefix)
        return ldm_error_set(err, LDM_ERR_FORMAT, "%s ends within the .npy header", name);
    len = (size_t)p[8] | (size_t)p[9] << 8;
    if (prefix == 12)
        len |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (len > HEADER_MAX || len > size - prefix)
        return ldm_error_set(err, LDM_ERR_FORMAT,
                             "%s: the .npy header claims %zu bytes, the file has %zu of them (at "
                             "most %d are read)",
                             name, len, size - prefix, HEADER_MAX);
    *text = (cursor){(const char *)p + prefix, (const char *)p + prefix + len, name, err};
    *body = p + prefix + len;
    *body_bytes = size - prefix - len;
    return LDM_OK;
}

/* The header, and the elements that belong to it. */
static ldm_status inspect(const void *data, size_t size, const char *name, header *h,
                          uint64_t *numel, const unsigned char **body, ldm_error *err)
{
    uint64_t bytes;
    size_t body_bytes = 0;
    bool overflow = false;
    cursor text;
    ldm_status st = split(data, size, name, &text, body, &body_bytes, err);
    int d;

    if (!st)
        st = parse_header(&text, h);
    if (st)
        return st;
    *numel = 1;
    for (d = 0; d < h->ndim; d++)
        overflow |= ldm_mul_u64(*numel, h->shape[d], numel);
    if (overflow || ldm_mul_u64(*numel, h->type->width, &bytes))
        return ldm_error_set(err, LDM_ERR_RANGE, "%s: the shape has more elements than memory",
                             name);
    if (bytes != body_bytes)
        return ldm_error_set(err, LDM_ERR_FORMAT,
                             "%s: %zu bytes of elements, expected %llu from shape and dtype '%s'; "
                             "the file is %s",
                             name, body_bytes, (unsigned long long)bytes, h->type->descr,
                             body_bytes < bytes ? "truncated" : "longer than its array");
    return LDM_OK;
}

ldm_status ldm_npy_read_memory(const void *data, size_t size, const char *name, ldm_npy *out,
                               ldm_error *err)
{
    const unsigned char *body = NULL;
    uint64_t numel = 0;
    header h;
    ldm_status st;

    memset(out, 0, sizeof *out);
    st = inspect(data, size, name, &h, &numel, &body, err);
    if (st)
        return st;
    out->data = ldm_calloc((size_t)(numel ? numel : 1), sizeof *out->data);
    if (!out->data)
        return ldm_error_nomem(err, numel * sizeof *out->data, name);
    out->ndim = h.ndim;
    memcpy(out->shape, h.shape, sizeof out->shape);
    out->numel = numel;
    convert(&h, body, out);
    return LDM_OK;
}

ldm_status ldm_npy_look(const void *data, size_t size, const char *name, ldm_npy_shape *out,
                        ldm_error *err)
{
    header h;
    ldm_status st;

    memset(out, 0, sizeof *out);
    st = inspect(data, size, name, &h, &out->numel, &out->data, err);
    if (st)
        return st;
    out->ndim = h.ndim;
    memcpy(out->shape, h.shape, sizeof out->shape);
    out->bytes = !h.fortran_order && !strcmp(h.type->descr, "|u1");
    return LDM_OK;
}

ldm_status ldm_npy_read_f64(const void *data, size_t size, const char *name, double *out,
                            ldm_error *err)
{
    const unsigned char *body;
    uint64_t numel, i;
    header h;
    walk w;
    ldm_status st = inspect(data, size, name, &h, &numel, &body, err);

    if (st)
        return st;
    w = walk_begin(&h);
    for (i = 0; i < numel; i++)
        out[i] = element_f64(h.type, body + walk_next(&w) * h.type->width);
    return LDM_OK;
}

ldm_status ldm_npy_read(const char *path, ldm_npy *out, ldm_error *err)
{
    ldm_status st;
    ldm_map map;

    memset(out, 0, sizeof *out);
    st = ldm_map_open(path, &map, err);
    if (st)
        return st;
    st = ldm_npy_read_memory(map.data, (size_t)map.size, path, out, err);
    ldm_map_close(&map);
    return st;
}

void ldm_npy_free(ldm_npy *a)
{
    ldm_free(a->data);
    memset(a, 0, sizeof *a);
}

ldm_status ldm_npy_header(ldm_npy_type type, int ndim, const uint64_t *shape, ldm_npy_text *out,
                          uint64_t *data_bytes, ldm_error *err)
{
    static const struct {
        const char *descr;
        unsigned width;
    } types[] = {[LDM_NPY_F32] = {"<f4", 4},
                 [LDM_NPY_F64] = {"<f8", 8},
                 [LDM_NPY_I64] = {"<i8", 8},
                 [LDM_NPY_U8] = {"|u1", 1}};
    char *text = out->bytes;
    size_t len = MAGIC_LEN + 4;
    int d;

    if (ndim < 0 || ndim > LDM_NPY_MAX_DIMS)
        return ldm_error_set(err, LDM_ERR_RANGE, "an array of %d dimensions, expected 0 to %d",
                             ndim, LDM_NPY_MAX_DIMS);
    *data_bytes = types[type].width;
    for (d = 0; d < ndim; d++)
        if (ldm_mul_u64(*data_bytes, shape[d], data_bytes))
            return ldm_error_set(err, LDM_ERR_RANGE, "an array larger than memory");
    len +=
        (size_t)snprintf(text + len, sizeof out->bytes - len,
                         "{'descr': '%s', 'fortran_order': False, 'shape': (", types[type].descr);
    for (d = 0; d < ndim; d++)
        len += (size_t)snprintf(text + len, sizeof out->bytes - len, "%s%llu", d ? ", " : "",
                                (unsigned long long)shape[d]);
    len += (size_t)snprintf(text + len, sizeof out->bytes - len, "%s), }", ndim == 1 ? "," : "");
    /* Blanks and a newline bring the elements to a multiple of 64 bytes, for mapping. */
    while ((len + 1) % 64)
        text[len++] = ' ';
    text[len++] = '\n';
    memcpy(text, magic, MAGIC_LEN);
    text[6] = 1;
    text[7] = 0;
    text[8] = (char)((len - 10) & 0xff);
    text[9] = (char)((len - 10) >> 8);
    out->len = len;
    return LDM_OK;
}

ldm_status ldm_npy_write(const char *path, ldm_npy_type type, int ndim, const uint64_t *shape,
                         const void *data, ldm_error *err)
{
    ldm_npy_text text;
    ldm_outfile out;
    uint64_t bytes;
    ldm_status st = ldm_npy_header(type, ndim, shape, &text, &bytes, err);

    if (!st)
        st = ldm_outfile_open(path, &out, err);
    if (st)
        return st;
    if (fwrite(text.bytes, 1, text.len, out.stream) != text.len ||
        (bytes && fwrite(data, 1, (size_t)bytes, out.stream) != bytes)) {
        st = ldm_error_set(err, LDM_ERR_IO, "cannot write %s: %s", path, strerror(errno));
        ldm_outfile_abort(&out);
        return st;
    }
    return ldm_outfile_commit(&out, err);
}
