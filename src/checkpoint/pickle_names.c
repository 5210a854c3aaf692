/* SPDX-License-Identifier: MIT */
/* What ldm knows of pickled names, and the text encodings of protocol 0; see pickle.h. */
#include "checkpoint/pickle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "checkpoint/checkpoint.h"

enum { MAX_NUMBER_TEXT = 320 };

static const ldm_global_row rows[] = {
    {"collections.OrderedDict", LDM_GLOBAL_DICT, -1, 0},
    {"collections.defaultdict", LDM_GLOBAL_DICT, -1, 0},
    {"torch._utils._rebuild_tensor", LDM_GLOBAL_TENSOR, -1, 0},
    {"torch._utils._rebuild_tensor_v2", LDM_GLOBAL_TENSOR, -1, 0},
    {"torch._utils._rebuild_parameter", LDM_GLOBAL_PARAMETER, -1, 0},
    {"torch._utils._rebuild_parameter_with_state", LDM_GLOBAL_PARAMETER, -1, 0},
    {"torch._utils._rebuild_tensor_v3", LDM_GLOBAL_TENSOR_V3, -1, 0},
    {"torch._utils._rebuild_sparse_tensor", LDM_GLOBAL_OTHER_TENSOR, -1, 0},
    {"torch._utils._rebuild_sparse_csr_tensor", LDM_GLOBAL_OTHER_TENSOR, -1, 0},
    {"torch._utils._rebuild_nested_tensor", LDM_GLOBAL_OTHER_TENSOR, -1, 0},
    {"torch._utils._rebuild_qtensor", LDM_GLOBAL_QTENSOR, -1, 0},
    {"torch._utils._rebuild_meta_tensor_no_storage", LDM_GLOBAL_OTHER_TENSOR, -1, 0},
    {"torch._utils._rebuild_device_tensor_from_numpy", LDM_GLOBAL_OTHER_TENSOR, -1, 0},
    {"torch._tensor._rebuild_from_type_v2", LDM_GLOBAL_TYPED, -1, 0},
    {"torch.Tensor", LDM_GLOBAL_TENSOR_CLASS, -1, 0},
    {"torch._tensor.Tensor", LDM_GLOBAL_TENSOR_CLASS, -1, 0},
    {"torch.nn.parameter.Parameter", LDM_GLOBAL_TENSOR_CLASS, -1, 0},
    {"torch.nn.parameter.Buffer", LDM_GLOBAL_TENSOR_CLASS, -1, 0},
    {"torch.DoubleStorage", LDM_GLOBAL_STORAGE, LDM_DTYPE_F64, 8},
    {"torch.FloatStorage", LDM_GLOBAL_STORAGE, LDM_DTYPE_F32, 4},
    {"torch.HalfStorage", LDM_GLOBAL_STORAGE, LDM_DTYPE_F16, 2},
    {"torch.BFloat16Storage", LDM_GLOBAL_STORAGE, LDM_DTYPE_BF16, 2},
    {"torch.LongStorage", LDM_GLOBAL_STORAGE, LDM_DTYPE_I64, 8},
    {"torch.IntStorage", LDM_GLOBAL_STORAGE, LDM_DTYPE_I32, 4},
    {"torch.ShortStorage", LDM_GLOBAL_STORAGE, LDM_DTYPE_I16, 2},
    {"torch.CharStorage", LDM_GLOBAL_STORAGE, LDM_DTYPE_I8, 1},
    {"torch.ByteStorage", LDM_GLOBAL_STORAGE, LDM_DTYPE_U8, 1},
    {"torch.BoolStorage", LDM_GLOBAL_STORAGE, LDM_DTYPE_BOOL, 1},
    {"torch.ComplexFloatStorage", LDM_GLOBAL_STORAGE, LDM_DTYPE_C64, 8},
    {"torch.ComplexDoubleStorage", LDM_GLOBAL_STORAGE, LDM_DTYPE_C128, 16},
    {"torch.QInt8Storage", LDM_GLOBAL_STORAGE, LDM_DTYPE_QI8, 1},
    {"torch.QUInt8Storage", LDM_GLOBAL_STORAGE, LDM_DTYPE_QU8, 1},
    {"torch.QInt32Storage", LDM_GLOBAL_STORAGE, LDM_DTYPE_QI32, 4},
    {"torch.storage.UntypedStorage", LDM_GLOBAL_STORAGE, -1, 1},
    {"torch.Size", LDM_GLOBAL_DATA, -1, 0},
    {"torch.device", LDM_GLOBAL_DATA, -1, 0},
    {"torch.float64", LDM_GLOBAL_DTYPE, LDM_DTYPE_F64, 8},
    {"torch.float32", LDM_GLOBAL_DTYPE, LDM_DTYPE_F32, 4},
    {"torch.float16", LDM_GLOBAL_DTYPE, LDM_DTYPE_F16, 2},
    {"torch.bfloat16", LDM_GLOBAL_DTYPE, LDM_DTYPE_BF16, 2},
    {"torch.int64", LDM_GLOBAL_DTYPE, LDM_DTYPE_I64, 8},
    {"torch.int32", LDM_GLOBAL_DTYPE, LDM_DTYPE_I32, 4},
    {"torch.uint64", LDM_GLOBAL_DTYPE, LDM_DTYPE_U64, 8},
    {"torch.uint32", LDM_GLOBAL_DTYPE, LDM_DTYPE_U32, 4},
    {"torch.uint16", LDM_GLOBAL_DTYPE, LDM_DTYPE_U16, 2},
    {"torch.float8_e4m3fn", LDM_GLOBAL_DTYPE, LDM_DTYPE_F8_E4M3, 1},
    {"torch.float8_e5m2", LDM_GLOBAL_DTYPE, LDM_DTYPE_F8_E5M2, 1},
    {"builtins.set", LDM_GLOBAL_DATA, -1, 0},
    {"__builtin__.set", LDM_GLOBAL_DATA, -1, 0},
    {"_codecs.encode", LDM_GLOBAL_DATA, -1, 0},
    {"_io.BytesIO", LDM_GLOBAL_DATA, -1, 0},
    {"_io.StringIO", LDM_GLOBAL_DATA, -1, 0},
    {"builtins.bytearray", LDM_GLOBAL_DATA, -1, 0},
    {"builtins.complex", LDM_GLOBAL_DATA, -1, 0},
    {"builtins.frozenset", LDM_GLOBAL_DATA, -1, 0},
    {"builtins.range", LDM_GLOBAL_DATA, -1, 0},
    {"builtins.slice", LDM_GLOBAL_DATA, -1, 0},
    {"collections.deque", LDM_GLOBAL_DATA, -1, 0},
    {"collections.Counter", LDM_GLOBAL_DATA, -1, 0},
    {"copyreg._reconstructor", LDM_GLOBAL_DATA, -1, 0},
    {"copy_reg._reconstructor", LDM_GLOBAL_DATA, -1, 0},
    {"argparse.Namespace", LDM_GLOBAL_DATA, -1, 0},
    {"types.SimpleNamespace", LDM_GLOBAL_DATA, -1, 0},
    {"uuid.UUID", LDM_GLOBAL_DATA, -1, 0},
    {"decimal.Decimal", LDM_GLOBAL_DATA, -1, 0},
    {"fractions.Fraction", LDM_GLOBAL_DATA, -1, 0},
};

/* What numpy pickles its scalars, arrays, types and random states by, and dates and paths. */
static const ldm_global_row families[] = {
    {"numpy.core.multiarray.", LDM_GLOBAL_DATA, -1, 0},
    {"numpy._core.multiarray.", LDM_GLOBAL_DATA, -1, 0},
    {"numpy.core.numeric.", LDM_GLOBAL_DATA, -1, 0},
    {"numpy._core.numeric.", LDM_GLOBAL_DATA, -1, 0},
    {"numpy.random.", LDM_GLOBAL_DATA, -1, 0},
    {"numpy.dtypes.", LDM_GLOBAL_DATA, -1, 0},
    {"numpy.dtype", LDM_GLOBAL_DATA, -1, 0},
    {"numpy.ndarray", LDM_GLOBAL_DATA, -1, 0},
    {"datetime.", LDM_GLOBAL_DATA, -1, 0},
    {"pathlib.", LDM_GLOBAL_DATA, -1, 0},
    {"omegaconf.", LDM_GLOBAL_DATA, -1, 0},
};

const ldm_global_row *ldm_global_lookup(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    }
    for (i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (!strncmp(families[i].name, name, strlen(families[i].name)))
            return &families[i];
    }
    return NULL;
}

const char *ldm_pk_kind_name(ldm_pk_kind kind)
{
    static const char *const names[] = {
        "None",         "a bool",  "an integer", "a huge integer", "a float",
        "a string",     "bytes",   "a tuple",    "a list",         "a set",
        "a dictionary", "a class", "an object",  "a storage",      "numbers",
    };

    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "a value";
}

bool ldm_pk_is(const ldm_pk *v, const char *text)
{
    size_t len = strlen(text);

    return v->kind == LDM_PK_STR && v->u.text.len == len && !memcmp(v->u.text.data, text, len);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Exactly n hex digits, or -1. */
static int64_t hex_number(const char *text, size_t len, size_t n)
{
    int64_t v = 0;
    size_t i;

    if (len < n)
        return -1;
    for (i = 0; i < n; i++) {
        int d = hex_digit(text[i]);

        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* One backslash escape of a Python string literal; *used is its length after the backslash. */
static int escape(const char *text, size_t len, size_t *used)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *at;
    int v = 0;

    if (!len)
        return -1;
    *used = 1;
    at = memchr(from, text[0], sizeof from - 1);
    if (at)
        return (unsigned char)to[at - from];
    if (text[0] == 'x') {
        *used = 3;
        return (int)hex_number(text + 1, len - 1, 2);
    }
    if (text[0] < '0' || text[0] > '7')
        return -1;
    for (*used = 0; *used < 3 && *used < len && text[*used] >= '0' && text[*used] <= '7'; ++*used)
        v = v * 8 + (text[*used] - '0');
    return v <= 255 ? v : -1;
}

size_t ldm_pickle_unquote_repr(const char *text, size_t len, char *dst)
{
    size_t i, n = 0, used;

    if (len < 2 || (text[0] != '\'' && text[0] != '"') || text[len - 1] != text[0])
        return SIZE_MAX;
    for (i = 1; i < len - 1; i++) {
        int c = (unsigned char)text[i];

        if (c == '\\') {
            c = escape(text + i + 1, len - 2 - i, &used);
            if (c < 0)
                return SIZE_MAX;
            i += used;
        }
        dst[n++] = (char)c;
    }
    return n;
}

static size_t put_utf8(uint32_t c, char *dst)
{
    if (c < 0x80) {
        dst[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        dst[0] = (char)(0xc0 | c >> 6);
        dst[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        dst[0] = (char)(0xe0 | c >> 12);
        dst[1] = (char)(0x80 | (c >> 6 & 0x3f));
        dst[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    dst[0] = (char)(0xf0 | c >> 18);
    dst[1] = (char)(0x80 | (c >> 12 & 0x3f));
    dst[2] = (char)(0x80 | (c >> 6 & 0x3f));
    dst[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

size_t ldm_pickle_raw_unicode(const char *text, size_t len, char *dst)
{
    size_t i = 0, n = 0;

    /* Bytes are Latin-1 code points, so that one byte may become two: the caller makes room. */
    while (i < len) {
        int64_t c = (unsigned char)text[i++];

        if (c == '\\' && i < len && (text[i] == 'u' || text[i] == 'U')) {
            size_t digits = text[i] == 'u' ? 4 : 8;

            c = hex_number(text + i + 1, len - i - 1, digits);
            if (c < 0 || c > 0x10ffff)
                return SIZE_MAX;
            i += 1 + digits;
        }
        n += put_utf8((uint32_t)c, dst + n);
    }
    return n;
}

size_t ldm_pickle_hex(const unsigned char *p, size_t len, char *dst)
{
    static const char digits[] = "0123456789abcdef";
    const bool negative = len && p[len - 1] & 0x80;
    unsigned carry = negative;
    bool leading = true;
    size_t i, n = 0;
    char *low = dst + (negative ? 3 : 2), *from, *to;

    /* Writes the digits of the magnitude, the least significant first, then reverses them and drops
     * leading zeros. */
    for (i = 0; i < len; i++) {
        unsigned byte = (negative ? p[i] ^ 0xffu : p[i]) + carry;

        carry = byte >> 8;
        low[n++] = digits[byte & 15];
        low[n++] = digits[byte >> 4 & 15];
    }
    while (leading && n > 1) {
        leading = low[n - 1] == '0';
        n -= leading;
    }
    for (from = low, to = low + n; from + 1 < to; from++) {
        char swap = *--to;

        *to = *from;
        *from = swap;
    }
    memcpy(dst, negative ? "-0x" : "0x", negative ? 3 : 2);
    return (size_t)(low - dst) + n;
}

bool ldm_pickle_index(const char *text, size_t len, uint64_t *out)
{
    uint64_t v = 0;
    size_t i;

    for (i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || ldm_mul_u64(v, 10, &v) ||
            ldm_add_u64(v, (uint64_t)(text[i] - '0'), &v))
            return false;
    }
    *out = v;
    return len > 0;
}

bool ldm_pickle_number(int op, const char *line, size_t len, ldm_pk *v)
{
    char text[MAX_NUMBER_TEXT], *end;

    if (op == 'I' && len == 2 && line[0] == '0' && (line[1] == '0' || line[1] == '1')) {
        v->kind = LDM_PK_BOOL;
        v->u.boolean = line[1] == '1';
        return true;
    }
    if (op == 'L' && len && line[len - 1] == 'L')
        len--;
    if (!len || len >= sizeof text)
        return false;
    memcpy(text, line, len);
    text[len] = '\0';
    errno = 0;
    if (op == 'F') {
        v->kind = LDM_PK_FLOAT;
        v->u.real = strtod(text, &end);
    } else {
        v->kind = LDM_PK_INT;
        v->u.integer = strtoll(text, &end, 10);
        if (errno == ERANGE) {
            v->kind = LDM_PK_BIGINT;
            v->u.text.data = line;
            v->u.text.len = len;
        }
    }
    return end == text + len;
}
