/* SPDX-License-Identifier: MIT */
/* safetensors: 8 bytes of header length, a JSON header, then the tensors' bytes without holes:
 *   {"__metadata__": {"key": "text", ...},
 *    "NAME": {"dtype": "F32", "shape": [3, 4], "data_offsets": [BEGIN, END]}, ...}
 * The header has this one shape only, so it is read by a small strict reader instead of a general
 * JSON library: no tree whose size a hostile header could blow up, no recursion, and each error
 * knows its byte. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "checkpoint/index.h"

enum { LENGTH_BYTES = 8, META_TEXT = 400 };

typedef struct parser {
    ldm_ckpt *ck;
    ldm_error *err;
    ldm_status st; /* the first failure sticks */
    uint64_t pos, end;
    bool has_meta;
} parser;

typedef struct text {
    const char *data;
    size_t len;
    uint64_t pos;
} text;

#define FAIL(p, at, status, ...)                                                                   \
    ((p)->st ? (p)->st                                                                             \
             : ((p)->st = ldm_source_error(&(p)->ck->src, (p)->err, status, at, __VA_ARGS__)))

static int peek(parser *p)
{
    const unsigned char *data = p->ck->src.data;

    while (p->pos < p->end && (data[p->pos] == ' ' || data[p->pos] == '\n' ||
                               data[p->pos] == '\r' || data[p->pos] == '\t'))
        p->pos++;
    return p->st || p->pos == p->end ? -1 : data[p->pos];
}

static bool accept(parser *p, int c)
{
    if (peek(p) != c)
        return false;
    p->pos++;
    return true;
}

static bool expect(parser *p, int c, const char *where)
{
    if (accept(p, c))
        return true;
    FAIL(p, p->pos, LDM_ERR_FORMAT, "the JSON header is malformed: expected '%c' %s", c, where);
    return false;
}

/* Four hex digits at p, or -1. */
static int32_t hex4(const unsigned char *p, uint64_t left)
{
    int32_t v = 0;
    int i;

    if (left < 4)
        return -1;
    for (i = 0; i < 4; i++) {
        int c = p[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;

        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* \uXXXX, and a pair of them for a code point above 16 bits; *used counts from after the 'u'. */
static int32_t code_point(const unsigned char *p, uint64_t left, size_t *used)
{
    int32_t c = hex4(p, left), low;

    *used = 4;
    if (c < 0xd800 || c > 0xdfff)
        return c;
    if (c > 0xdbff || left < 10 || p[4] != '\\' || p[5] != 'u')
        return -1;
    low = hex4(p + 6, left - 6);
    *used = 10;
    return low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static size_t put_utf8(int32_t c, char *dst)
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    size_t i;

    for (i = n - 1; i > 0; i--) {
        dst[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    dst[0] = (char)(lead[n] | c);
    return n;
}

/* Decodes src[0..len), which holds escapes, into the scratch arena. */
static bool unescape(parser *p, const unsigned char *src, size_t len, text *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char *dst = ldm_arena_alloc(p->ck->scratch, len, 1);
    size_t i = 0, n = 0, used;

    if (!dst) {
        p->st = ldm_index_no_room(p->ck, out->pos, "strings", p->err);
        return false;
    }
    while (i < len) {
        const char *simple;
        int32_t c;

        if (src[i] != '\\') {
            dst[n++] = (char)src[i++];
            continue;
        }
        simple = memchr(from, src[i + 1], sizeof from - 1); /* a quote follows src[len - 1] */
        i += 2;
        if (simple) {
            dst[n++] = to[simple - from];
            continue;
        }
        c = src[i - 1] == 'u' ? code_point(src + i, len - i, &used) : -1;
        if (c < 0) {
            FAIL(p, out->pos, LDM_ERR_FORMAT, "a string with a malformed escape");
            return false;
        }
        n += put_utf8(c, dst + n);
        i += used;
    }
    out->data = dst;
    out->len = n;
    return true;
}

static bool read_string(parser *p, text *out)
{
    const unsigned char *data = p->ck->src.data;
    bool escaped = false;
    uint64_t begin;

    if (!expect(p, '"', "at the start of a string"))
        return false;
    begin = p->pos;
    out->pos = begin;
    while (p->pos < p->end && data[p->pos] != '"' && data[p->pos] >= 0x20) {
        if (data[p->pos] == '\\') {
            escaped = true;
            p->pos++;
        }
        p->pos++;
    }
    if (p->pos >= p->end || data[p->pos] != '"') {
        FAIL(p, begin, LDM_ERR_FORMAT, "a string without its closing quote in the header");
        return false;
    }
    out->data = (const char *)data + begin;
    out->len = (size_t)(p->pos - begin);
    p->pos++;
    return !escaped || unescape(p, data + begin, out->len, out);
}

static bool text_is(const text *t, const char *s)
{
    return t->len == strlen(s) && !memcmp(t->data, s, t->len);
}

static bool read_number(parser *p, uint64_t *out)
{
    const unsigned char *data = p->ck->src.data;
    uint64_t v = 0, begin;
    int c = peek(p);

    begin = p->pos;
    if (c < '0' || c > '9') {
        FAIL(p, begin, LDM_ERR_FORMAT, "expected an integer of 0 or more");
        return false;
    }
    while (p->pos < p->end && data[p->pos] >= '0' && data[p->pos] <= '9') {
        if (ldm_mul_u64(v, 10, &v) || ldm_add_u64(v, data[p->pos] - '0', &v)) {
            FAIL(p, begin, LDM_ERR_RANGE, "an integer beyond 64 bits");
            return false;
        }
        p->pos++;
    }
    if (c == '0' && p->pos > begin + 1) {
        FAIL(p, begin, LDM_ERR_FORMAT, "an integer with leading zeros");
        return false;
    }
    *out = v;
    return true;
}

/* [n, n, ...] with at most `cap` numbers. */
static bool read_numbers(parser *p, uint64_t *out, int cap, int *count)
{
    *count = 0;
    if (!expect(p, '[', "before a list of integers"))
        return false;
    if (accept(p, ']'))
        return true;
    do {
        if (*count == cap) {
            FAIL(p, p->pos, LDM_ERR_UNSUPPORTED, "a list of more than %d integers", cap);
            return false;
        }
        if (!read_number(p, &out[*count]))
            return false;
        ++*count;
    } while (accept(p, ','));
    return expect(p, ']', "after a list of integers");
}

static bool read_dtype(parser *p, ldm_dtype *out)
{
    static const char *const names[LDM_DTYPE_COUNT] = {
        [LDM_DTYPE_F64] = "F64",         [LDM_DTYPE_F32] = "F32", [LDM_DTYPE_F16] = "F16",
        [LDM_DTYPE_BF16] = "BF16",       [LDM_DTYPE_I64] = "I64", [LDM_DTYPE_I32] = "I32",
        [LDM_DTYPE_I16] = "I16",         [LDM_DTYPE_I8] = "I8",   [LDM_DTYPE_U8] = "U8",
        [LDM_DTYPE_BOOL] = "BOOL",       [LDM_DTYPE_U64] = "U64", [LDM_DTYPE_U32] = "U32",
        [LDM_DTYPE_U16] = "U16",         [LDM_DTYPE_C64] = "C64", [LDM_DTYPE_F8_E4M3] = "F8_E4M3",
        [LDM_DTYPE_F8_E5M2] = "F8_E5M2",
    };
    text t;
    int d;

    if (!read_string(p, &t))
        return false;
    for (d = 0; d < LDM_DTYPE_COUNT; d++) {
        if (names[d] && text_is(&t, names[d])) {
            *out = (ldm_dtype)d;
            return true;
        }
    }
    /* F4, F6_E2M3, ...: newer than this table. The tensor is listed; only who needs it is refused.
     */
    *out = LDM_DTYPE_OTHER;
    return true;
}

/* {"dtype": ..., "shape": ..., "data_offsets": ...} in any order, nothing else, each once. */
static bool read_tensor(parser *p, const text *name, ldm_tensor *t)
{
    ldm_tensor_info *info = &t->info;
    uint64_t range[2] = {0, 0}, at = p->pos;
    unsigned seen = 0, field;
    char shown[120];
    int two = 0;
    text key;

    memset(t, 0, sizeof *t);
    ldm_printable(name->data, name->len, shown, sizeof shown);
    if (!expect(p, '{', "before a tensor's description"))
        return false;
    do {
        if (!read_string(p, &key) || !expect(p, ':', "after a key"))
            return false;
        field = text_is(&key, "dtype")          ? 1
                : text_is(&key, "shape")        ? 2
                : text_is(&key, "data_offsets") ? 4
                                                : 0;
        if (!field || seen & field) {
            FAIL(p, key.pos, LDM_ERR_FORMAT,
                 "tensor '%s': expected each of dtype, shape, data_offsets once and nothing else",
                 shown);
            return false;
        }
        seen |= field;
        if (field == 1   ? !read_dtype(p, &info->dtype)
            : field == 2 ? !read_numbers(p, info->shape, LDM_MAX_DIMS, &info->ndim)
                         : !read_numbers(p, range, 2, &two))
            return false;
    } while (accept(p, ','));
    if (!expect(p, '}', "after a tensor's description"))
        return false;
    if (seen != 7 || two != 2 || range[0] > range[1]) {
        FAIL(p, at, LDM_ERR_FORMAT,
             "tensor '%s': expected dtype, shape and data_offsets [begin, end]", shown);
        return false;
    }
    if (range[1] > p->ck->src.size - p->end) {
        FAIL(p, at, LDM_ERR_FORMAT,
             "tensor '%s' ends at byte %llu of the data, which has %llu: the file is cut off",
             shown, ldm_ull(range[1]), ldm_ull(p->ck->src.size - p->end));
        return false;
    }
    info->storage = "";
    info->storage_offset = p->end + range[0];
    info->storage_bytes = range[1] - range[0];
    p->st = ldm_index_dense(info, shown, &p->ck->src, at, p->err);
    if (!p->st)
        p->st = ldm_index_add(p->ck, t, name->data, name->len, &p->ck->src, name->pos, p->err);
    if (!p->st) {
        info = &p->ck->tensors[p->ck->tensor_count - 1].info;
        if (info->dtype != LDM_DTYPE_OTHER &&
            info->numel * ldm_dtype_size(info->dtype) != info->storage_bytes)
            FAIL(p, at, LDM_ERR_FORMAT, "tensor '%s' has %llu elements of %s in %llu bytes", shown,
                 ldm_ull(info->numel), ldm_dtype_name(info->dtype), ldm_ull(info->storage_bytes));
    }
    return !p->st;
}

/* The word null, which the safetensors library takes for an absent __metadata__. */
static bool accept_null(parser *p)
{
    static const char word[] = "null";

    if (peek(p) != 'n' || p->end - p->pos < sizeof word - 1 ||
        memcmp(p->ck->src.data + p->pos, word, sizeof word - 1))
        return false;
    p->pos += sizeof word - 1;
    return true;
}

/* {"key": "text", ...}, or null */
static bool read_metadata(parser *p, uint64_t at)
{
    static const char prefix[] = "__metadata__.";
    char path[META_TEXT], value[META_TEXT];
    text key, val;

    if (p->has_meta) {
        FAIL(p, at, LDM_ERR_FORMAT, "a second __metadata__");
        return false;
    }
    p->has_meta = true;
    if (accept_null(p))
        return true;
    if (!expect(p, '{', "after __metadata__"))
        return false;
    if (accept(p, '}'))
        return true;
    memcpy(path, prefix, sizeof prefix);
    do {
        if (!read_string(p, &key) || !expect(p, ':', "after a key") || !read_string(p, &val))
            return false;
        ldm_printable(key.data, key.len, path + sizeof prefix - 1,
                      sizeof path - (sizeof prefix - 1));
        ldm_printable(val.data, val.len, value, sizeof value);
        if (text_is(&key, "config") && !memchr(val.data, '\0', val.len))
            p->ck->config = ldm_arena_strndup(p->ck->keep, val.data, val.len);
        if (!ldm_index_meta(p->ck, path, value, &p->st) && p->st)
            p->st = ldm_index_no_room(p->ck, key.pos, "metadata", p->err);
    } while (accept(p, ','));
    return expect(p, '}', "after __metadata__");
}

typedef struct range {
    uint64_t begin, end;
    size_t tensor;
} range;

static int by_begin(const void *a, const void *b)
{
    const range *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* A download that was broken off after its room was laid out ends with zeros, and this format has
 * no checksum. Zeros for single tensors are common (biases, layers that begin without effect);
 * where the file's last matrices are all zeros, it is said. r: all tensors by their place. */
static ldm_status warn_zeros(ldm_ckpt *ck, const range *r, ldm_error *err)
{
    const uint64_t end = ldm_source_zeros_begin(&ck->src);
    size_t whole = 0, matrices = 0, i;

    for (i = ck->tensor_count; i > 0 && r[i - 1].begin >= end; i--) {
        const ldm_tensor_info *t = &ck->tensors[r[i - 1].tensor].info;

        whole += t->numel > 0;
        matrices += t->ndim > 1 && t->numel >= 64;
    }
    if (matrices < 2)
        return LDM_OK;
    return ldm_index_warn(ck, err,
                          "warning: the file ends with %.3g MB of nothing but zeros, %zu whole "
                          "tensors from '%.120s' on: a download that was broken off leaves that; "
                          "get it again, unless they were meant so",
                          (double)(ck->src.size - end) / 1e6, whole,
                          ck->tensors[r[i].tensor].info.name);
}

/* The format allows neither overlaps nor holes, nor bytes that belong to no tensor. */
static ldm_status check_ranges(ldm_ckpt *ck, uint64_t data, ldm_error *err)
{
    range *r = ldm_arena_alloc(ck->scratch, ck->tensor_count, sizeof *r);
    uint64_t at = data;
    size_t i;

    if (!r)
        return ldm_index_no_room(ck, data, "byte ranges", err);
    for (i = 0; i < ck->tensor_count; i++) {
        const ldm_tensor_info *t = &ck->tensors[i].info;

        r[i].begin = t->storage_offset;
        r[i].end = t->storage_offset + t->storage_bytes;
        r[i].tensor = i;
    }
    if (ck->tensor_count)
        qsort(r, ck->tensor_count, sizeof *r, by_begin);
    for (i = 0; i < ck->tensor_count; i++) {
        if (r[i].begin != at)
            return ldm_source_error(&ck->src, err, LDM_ERR_FORMAT, r[i].begin,
                                    "tensor '%.120s' begins here, the one before it ends at byte "
                                    "%llu: byte ranges %s",
                                    ck->tensors[r[i].tensor].info.name, ldm_ull(at),
                                    r[i].begin < at ? "overlap" : "leave a hole");
        at = r[i].end;
    }
    if (at != ck->src.size)
        return ldm_source_error(&ck->src, err, LDM_ERR_FORMAT, at,
                                "%llu bytes behind the last tensor, expected the end of the file",
                                ldm_ull(ck->src.size - at));
    return warn_zeros(ck, r, err);
}

/* Each tensor has a brace of its own: an upper bound, whatever strings hold. */
static size_t count_braces(const parser *p)
{
    const unsigned char *at = p->ck->src.data + p->pos, *end = p->ck->src.data + p->end;
    size_t n = 0;

    while (at < end && (at = memchr(at, '{', (size_t)(end - at)))) {
        n++;
        at++;
    }
    return n;
}

ldm_status ldm_read_safetensors(ldm_ckpt *ck, ldm_error *err)
{
    parser p = {.ck = ck, .err = err, .pos = LENGTH_BYTES};
    uint64_t length = ldm_le64(ck->src.data); /* sniffing has seen the brace behind it */
    ldm_tensor t;
    text name;

    ck->format = "safetensors";
    if (length > ck->src.size - LENGTH_BYTES)
        return ldm_source_error(
            &ck->src, err, LDM_ERR_FORMAT, 0,
            "the first 8 bytes say that a header of %llu bytes follows, but the "
            "file ends after %llu: it is cut off, or no safetensors file",
            ldm_ull(length), ldm_ull(ck->src.size - LENGTH_BYTES));
    p.end = LENGTH_BYTES + length;
    p.st = ldm_index_begin(ck, count_braces(&p), err);
    if (p.st || !expect(&p, '{', "at the start of the header"))
        return p.st;
    if (!accept(&p, '}')) {
        do {
            if (!read_string(&p, &name) || !expect(&p, ':', "after a name") ||
                !(text_is(&name, "__metadata__") ? read_metadata(&p, name.pos)
                                                 : read_tensor(&p, &name, &t)))
                return p.st;
        } while (accept(&p, ','));
        if (!expect(&p, '}', "after the last tensor"))
            return p.st;
    }
    if (peek(&p) >= 0)
        FAIL(&p, p.pos, LDM_ERR_FORMAT, "text behind the JSON header's closing brace");
    if (!p.st)
        p.st = ldm_index_finish(ck, err);
    if (!p.st)
        p.st = check_ranges(ck, p.end, err);
    return p.st;
}
