/* SPDX-License-Identifier: MIT */
/* Files of about 10 MB that were made to take time or memory, given to the program: each must end
 * with one line and exit code 1, or be told from the configuration (3), within bars of processor
 * time and memory. The bars hold for release builds; a sanitizer's processor time and memory say
 * nothing, and the files are smaller there. Test files that are small stand in tests/crashers. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libdeflate.h>

#include "hostile.h"

static void refuse_ckpt(const place *p, const char *name, bytes *b)
{
    const char *const check[] = {"check", "--ckpt", p->ckpt, "--config", TINY_CONFIG, NULL};
    const char *const inspect[] = {"inspect", p->ckpt, "--json", "--keys", "--all", NULL};
    size_t size = write_file(p->ckpt, b);

    expect_refusal(p, name, check, size, false);
    expect_refusal(p, name, inspect, size, true);
}

static void refuse_yaml(const place *p, const char *name, bytes *b)
{
    const char *const check[] = {"check", "--ckpt", TINY_CKPT, "--config", p->yaml, NULL};

    expect_refusal(p, name, check, write_file(p->yaml, b), false);
}

/* ---- pickles --------------------------------------------------------------------------------- */

#define OS_SYSTEM                                                                                  \
    "cos\nsystem\nq\x00"                                                                           \
    "0"
#define ORDERED_DICT                                                                               \
    "ccollections\nOrderedDict\nq\x00"                                                             \
    "0"
#define STORAGE                                                                                    \
    "(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0"                                         \
    "0X\x03\0\0\0cpuK\x01tQ"

typedef struct repeated {
    const char *name, *head, *unit, *tail;
    size_t head_len, unit_len;
} repeated;
#define ROW(name, head, unit, tail)                                                                \
    {                                                                                              \
        name, head, unit, tail, sizeof(head) - 1, sizeof(unit) - 1                                 \
    }

static const repeated pickles[] = {
    ROW("memo entries", "}",
        "N\x94"
        "0",
        "."),
    ROW("memo and stack", "}", "N\x94", "."),
    ROW("memo, one index", "}",
        "Nq\x01"
        "0",
        "."),
    ROW("memo, index lines", "}", "Np1\n0", "."),
    ROW("one global", "}", "ca\nb\n0", "."),
    ROW("extension codes", "}",
        "\x82\x01"
        "0",
        "."),
    ROW("nested tuples", "N", "\x85", "."),
    ROW("nested lists", "", "]", "."),
    ROW("marks", "", "(", "."),
    ROW("values", "", "N", "."),
    ROW("copies of the top", "}", "2", "."),
    ROW("a dictionary", "}(", "K\x01N", "u."),
    ROW("a list", "](", "K\x01", "e."),
    ROW("appended one by one", "]", "Na", "."),
    ROW("calls", "}" OS_SYSTEM, "h\0)R0", "."),
    ROW("dictionaries called", "}" ORDERED_DICT, "h\0)R0", "."),
    ROW("persistent ids", "}", "NQ0", "."),
    ROW("persistent lines", "}", "P0\n0", "."),
    ROW("one storage", "}", STORAGE "0", "."),
    ROW("integer lines", "}", "I1\n0", "."),
    ROW("float lines", "}", "F1.000000000000000000000000000000000000000000000001e-300\n0", "."),
    ROW("escaped lines", "}", "V\\u1234\\u1234\\u1234\\u1234\n0", "."),
    ROW("integers of 9 bytes", "}",
        "\x8a\x09\1\1\1\1\1\1\1\1\1"
        "0",
        "."),
    ROW("states", "}" OS_SYSTEM "h\0)R", "}b", "0."),
    ROW("frames", "}", "\x95\0\0\0\0\0\0\0\0", "."),
};

static void fill(bytes *b, const char *unit, size_t len, size_t until)
{
    while (b->len + len <= until)
        put(b, unit, len);
}

/* The pickle as a checkpoint; released. */
static void refuse_pickle(const place *p, const char *name, bytes *pickle)
{
    bytes file = {0};

    put_ckpt(&file, pickle, "abcd", 4);
    bytes_free(pickle);
    refuse_ckpt(p, name, &file);
}

static void pickles_of_one_opcode(void **state)
{
    size_t i;

    for (i = 0; i < sizeof pickles / sizeof pickles[0]; i++) {
        const repeated *r = &pickles[i];
        bytes b = {0};

        put(&b, "\x80\x04", 2);
        put(&b, r->head, r->head_len);
        fill(&b, r->unit, r->unit_len, FILE_BYTES - 1000);
        put_text(&b, r->tail);
        refuse_pickle(*state, r->name, &b);
    }
}

/* Globals in turn, so that each has to be found among the others; then one too many of them. */
static void pickles_of_many_globals(void **state)
{
    static const int counts[] = {250, 1 << 20};
    static const int lengths[] = {1, 900};
    size_t i, k;

    for (i = 0; i < 2; i++) {
        for (k = 0; k < 2; k++) {
            bytes b = {0};
            char text[1024];
            int n;

            put(&b, "\x80\x02}", 3);
            for (n = 0; b.len < FILE_BYTES - 2000; n = (n + 1) % counts[i]) {
                snprintf(text, sizeof text, "c%0*d\nb\n0", lengths[k], n);
                put_text(&b, text);
            }
            put_text(&b, ".");
            refuse_pickle(*state, "many globals", &b);
        }
    }
}

static void pickles_that_nest_and_copy(void **state)
{
    bytes b = {0};
    int i;

    put(&b, "\x80\x02", 2);
    for (i = 0; i < 100000; i++)
        put_text(&b, "(");
    for (i = 0; i < 100000; i++)
        put_text(&b, "t");
    put_text(&b, ".");
    refuse_pickle(*state, "100,000 nested tuples", &b);

    /* A list of 10,000 pairs, and OrderedDict(list) again and again. */
    put(&b, "\x80\x02}" ORDERED_DICT "](", sizeof("\x80\x02}" ORDERED_DICT "](") - 1);
    for (i = 0; i < 10000; i++)
        put(&b,
            "](K\x01K\x02"
            "e",
            7);
    put(&b,
        "eq\x01"
        "0",
        4);
    fill(&b, "h\0h\x01\x85R0", 7, FILE_BYTES - 1000);
    put_text(&b, ".");
    refuse_pickle(*state, "one list copied", &b);

    put(&b, "\x80\x02V", 3);
    fill(&b, "a", 1, FILE_BYTES - 1000);
    refuse_pickle(*state, "one line", &b);

    put(&b, "\x80\x02}(X", 5);
    put_le(&b, FILE_BYTES - 2000, 4);
    fill(&b, "a", 1, b.len + FILE_BYTES - 2000);
    put_text(&b, "Nu.");
    refuse_pickle(*state, "one key", &b);
}

/* The pickle of n tensors of `dims` dimensions, on one storage or one each. */
static void put_tensors(bytes *b, int n, int dims, bool own)
{
    char key[32];
    int i, d;

    put_text(b, "}(");
    for (i = 0; i < n; i++) {
        pk_view v = {.type = "FloatStorage", .key = "0", .numel = 1, .ndim = dims};

        snprintf(key, sizeof key, "%d", i);
        if (own)
            v.key = key;
        for (d = 0; d < dims; d++)
            v.shape[d] = v.stride[d] = 1;
        pk_str(b, key);
        pk_tensor(b, &v);
    }
    put_text(b, "u.");
}

static void many_tensors(void **state)
{
    const int n = FILE_BYTES / 200;
    bytes b = {0};

    put(&b, "\x80\x02", 2);
    put_tensors(&b, n, 1, false);
    refuse_pickle(*state, "tensors of one storage", &b);
    put(&b, "\x80\x02", 2);
    put_tensors(&b, n / 2, LDM_MAX_DIMS, false);
    refuse_pickle(*state, "tensors of 8 dimensions", &b);
}

static void many_storages(void **state)
{
    const int n = FILE_BYTES / 240;
    bytes b = {0};
    char key[32];
    int i;

    put(&b, "\x80\x02", 2);
    put_tensors(&b, n, 1, true);
    refuse_pickle(*state, "storages without entries", &b);

    put_legacy_head(&b);
    put(&b, "\x80\x02", 2);
    put_tensors(&b, n, 1, true);
    put(&b, "\x80\x02](", 4);
    for (i = 0; i < n; i++) {
        snprintf(key, sizeof key, "%d", i);
        pk_str(&b, key);
    }
    put_text(&b, "e.");
    for (i = 0; i < n; i++) {
        put_le(&b, 1, 8);
        put_le(&b, 0, 4);
    }
    refuse_ckpt(*state, "legacy storages", &b);
}

/* What --values would read, of one element on the disk: a stride of 0, and one storage for all. */
static void values_without_end(void **state)
{
    const place *p = *state;
    const char *const check[] = {"check",     "--ckpt",   p->ckpt, "--config",
                                 TINY_CONFIG, "--values", NULL};
    static const int64_t lengths[] = {4000000000, (int64_t)1 << 59, 1000000};
    const int64_t storage = FILE_BYTES / 8;
    pk_view v = {.type = "FloatStorage", .key = "0", .numel = 1, .ndim = 1};
    char *zeros = calloc(1, FILE_BYTES / 2), key[32];
    bytes pickle = {0}, file = {0};
    int i;

    assert_non_null(zeros);
    for (i = 0; i < 3; i++) {
        v.shape[0] = lengths[i];
        put(&pickle, "\x80\x02}(", 4);
        pk_str(&pickle, "model.diffusion_model.out.2.bias");
        pk_tensor(&pickle, &v);
        put_text(&pickle, "u.");
        put_ckpt(&file, &pickle, zeros, 4);
        bytes_free(&pickle);
        expect_refusal(p, "a stride of 0", check, write_file(p->ckpt, &file), false);
    }
    v.numel = v.shape[0] = storage;
    v.stride[0] = 1;
    put(&pickle, "\x80\x02}(", 4);
    for (i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "%d", i);
        pk_str(&pickle, key);
        pk_tensor(&pickle, &v);
    }
    put_text(&pickle, "u.");
    put_ckpt(&file, &pickle, zeros, (size_t)storage * 4);
    bytes_free(&pickle);
    free(zeros);
    expect_refusal(p, "5000 times one storage", check, write_file(p->ckpt, &file), false);
}

/* ---- containers ------------------------------------------------------------------------------ */

static void many_entries(void **state)
{
    enum { COUNT = LDM_TEST_BARS ? 80000 : 8000, LONG = 150 };
    zip_item *items = calloc(COUNT, sizeof *items);
    char *names = malloc((size_t)COUNT * 16), *longs = malloc((size_t)LONG * 32768);
    bytes b = {0};
    int i;

    assert_true(items && names && longs);
    for (i = 0; i < COUNT; i++) {
        snprintf(names + 16 * i, 16, "a/%d", i);
        items[i].name = names + 16 * i;
    }
    put_zip(&b, items, COUNT, &(zip_end){.zip64 = 1});
    refuse_ckpt(*state, "zip entries", &b);
    for (i = 0; i < LONG; i++) {
        memset(longs + 32768 * i, 'a', 32000);
        snprintf(longs + 32768 * i + 32000, 16, "%d", i);
        items[i].name = longs + 32768 * i;
    }
    put_zip(&b, items, LONG, NULL);
    refuse_ckpt(*state, "zip entries' names", &b);
    free(longs);
    free(names);
    free(items);
}

/* {head unit unit ... tail} as a header; %d in the unit counts, where it has one. */
static void refuse_header(const place *p, const char *name, const char *head, const char *unit,
                          const char *tail)
{
    bytes b = {0};
    char text[200];
    int i;

    put_le(&b, 0, 8);
    put_text(&b, head);
    for (i = 0; b.len < FILE_BYTES - 1000; i++) {
        char *percent;

        snprintf(text, sizeof text, "%s", unit);
        percent = strchr(text, '%');
        if (percent)
            snprintf(percent, sizeof text - (size_t)(percent - text), "%07d%s", i,
                     strchr(unit, '%') + 1);
        put_text(&b, text);
    }
    put_text(&b, tail);
    set_le(&b, 0, b.len - 8, 8);
    refuse_ckpt(p, name, &b);
}

static void safetensors_headers(void **state)
{
#define EMPTY "{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}"
    refuse_header(*state, "safetensors tensors", "{\"a\":" EMPTY, ",\"%\":" EMPTY, "}");
    refuse_header(*state, "one tensor's name", "{\"a\":" EMPTY, ",\"t\":" EMPTY, "}");
    refuse_header(*state, "blanks", "{", "          ", "}");
    refuse_header(*state, "nesting", "{\"a\":", "[[[[[[[[[[", "");
    refuse_header(*state, "metadata", "{\"__metadata__\":{\"a\":\"\"", ",\"%\":\"v\"", "}}");
    refuse_header(*state, "escapes", "{\"__metadata__\":{\"a\":\"", "\\u0001\\u1234", "\"}}");
    refuse_header(*state, "a long name", "{\"", "aaaaaaaaaa", "\":" EMPTY "}");
    refuse_header(*state, "a long shape", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1", ",1,1,1,1",
                  "],\"data_offsets\":[0,0]}}");
#undef EMPTY
}

/* As many tensors as are read, and one more; the rest of the file is one. */
static void tensors_to_the_limit(void **state)
{
    static const char row[] =
        "{\"dtype\":\"F32\",\"shape\":[0,1,1,1,1,1,1,1],\"data_offsets\":[0,0]}";
    enum { DATA = 6 << 20 };
    const place *p = *state;
    const char *const inspect[] = {"inspect", p->ckpt, "--json", "--all", NULL};
    char text[200], *zeros = calloc(1, DATA);
    size_t size;
    int more, i;

    assert_non_null(zeros);
    for (more = 0; more < 2; more++) {
        bytes b = {0};

        put_le(&b, 0, 8);
        put_text(&b, "{");
        for (i = 1; i < LDM_MAX_TENSORS + more; i++) {
            snprintf(text, sizeof text, "\"model.diffusion_model.%05d\":%s,", i, row);
            put_text(&b, text);
        }
        snprintf(text, sizeof text,
                 "\"a\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", DATA, DATA);
        put_text(&b, text);
        set_le(&b, 0, b.len - 8, 8);
        put(&b, zeros, DATA);
        size = b.len;
        refuse_ckpt(p, more ? "too many tensors" : "20000 tensors", &b);
        expect_refusal(p, "all of them", inspect, size, true);
    }
    free(zeros);
}

/* ---- configurations -------------------------------------------------------------------------- */

static const repeated texts[] = {
    ROW("flow lists", "", "[", ""),
    ROW("flow lists on lines", "", "[\n ", ""),
    ROW("flow maps", "", "{", ""),
    ROW("flow maps in maps", "", "{a: ", ""),
    ROW("flow maps as keys", "", "{{}:", ""),
    ROW("empty lists", "a: [", "[],", "]"),
    ROW("empty texts", "a: [", "\"\",", "]"),
    ROW("questions", "[", "? ", ""),
    ROW("dashes", "[", "- ", ""),
    ROW("dashes in dashes", "", "- ", ""),
    ROW("aliases", "a: &a 1\nb: [", "*a,", "]"),
    ROW("aliases in a row", "", "*a ", ""),
    ROW("anchors in a row", "", "&a ", ""),
    ROW("tags in a row", "", "!!seq ", ""),
    ROW("the same key", "", "a: 1\n", ""),
    ROW("a list of numbers", "a:\n", "- 1\n", ""),
    ROW("comments", "", "# x\n", ""),
    ROW("blank lines", "", "\n", ""),
    ROW("a plain text", "a: ", "x", ""),
    ROW("a text of lines", "a: |\n", "  x\n", ""),
    ROW("escapes", "a: \"", "\\u1234", "\""),
    ROW("documents", "", "a: 1\n---\n", ""),
};

static size_t indicators(const repeated *r)
{
    size_t n = 0, i;

    for (i = 0; i < r->unit_len; i++)
        n += ispunct((unsigned char)r->unit[i]) != 0;
    return n ? n : 1;
}

static void configurations(void **state)
{
    bytes b = {0};
    char line[64];
    size_t i;

    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const repeated *r = &texts[i];

        put(&b, r->head, r->head_len);
        fill(&b, r->unit, r->unit_len, YAML_BYTES);
        put_text(&b, r->tail);
        refuse_yaml(*state, r->name, &b);
        /* As many as just pass for the values of a configuration. */
        put(&b, r->head, r->head_len);
        fill(&b, r->unit, r->unit_len, 130000 / indicators(r) * r->unit_len);
        put_text(&b, r->tail);
        refuse_yaml(*state, r->name, &b);
    }
    for (i = 0; b.len < YAML_BYTES; i++) {
        snprintf(line, sizeof line, "k%zu: ${k%zu}\n", i, i + 1);
        put_text(&b, line);
    }
    refuse_yaml(*state, "interpolations", &b);
    put_text(&b, "a: &a {x: 1");
    for (i = 0; i < 2000; i++) {
        snprintf(line, sizeof line, ", k%zu: 1", i);
        put_text(&b, line);
    }
    put_text(&b, "}\n");
    for (i = 0; i < 100000; i++) {
        snprintf(line, sizeof line, "m%zu:\n  <<: *a\n", i);
        put_text(&b, line);
    }
    refuse_yaml(*state, "merge keys", &b);
    put_text(&b, "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n");
    for (i = 1; i < 20; i++) {
        snprintf(line, sizeof line, "a%zu: &a%zu [*a%zu, *a%zu, *a%zu, *a%zu]\n", i, i, i - 1,
                 i - 1, i - 1, i - 1);
        put_text(&b, line);
    }
    refuse_yaml(*state, "aliases of aliases", &b);
    fill(&b, "a: 1\n", 5, (size_t)10 << 20);
    refuse_yaml(*state, "more than is read", &b);
}

/* ---- pictures and cascades ------------------------------------------------------------------- */

static void put_be32(bytes *b, uint32_t v)
{
    const unsigned char be[] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16),
                                (unsigned char)(v >> 8), (unsigned char)v};

    put(b, be, 4);
}

static void put_chunk(bytes *b, const char *type, const void *data, size_t len)
{
    size_t at = b->len + 4;

    put_be32(b, (uint32_t)len);
    put(b, type, 4);
    if (len)
        put(b, data, len);
    put_be32(b, libdeflate_crc32(0, b->data + at, b->len - at));
}

static void *deflated(const void *data, size_t len, size_t *packed)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    size_t room = libdeflate_zlib_compress_bound(c, len);
    void *out = malloc(room);

    assert_non_null(c);
    assert_non_null(out);
    *packed = libdeflate_zlib_compress(c, data, len, out, room);
    assert_true(*packed);
    libdeflate_free_compressor(c);
    return out;
}

/* A picture of side x side black pixels. */
static void begin_png(bytes *b, uint32_t side)
{
    bytes head = {0};

    put(b, "\x89PNG\r\n\x1a\n", 8);
    put_be32(&head, side);
    put_be32(&head, side);
    put(&head, "\x08\x02\0\0\0", 5);
    put_chunk(b, "IHDR", head.data, head.len);
    bytes_free(&head);
}

static void end_png(bytes *b, uint32_t side)
{
    const size_t row = 1 + 3 * (size_t)side;
    size_t packed;
    void *black = calloc(side, row), *data = deflated(black, side * row, &packed);

    put_chunk(b, "IDAT", data, packed);
    put_chunk(b, "IEND", NULL, 0);
    free(data);
    free(black);
}

static void recipes(void **state)
{
    const place *p = *state;
    const char *const like[] = {"generate", "--dry-run", "--like", p->yaml,
                                "--ckpt",   TINY_CKPT,   NULL};
    static const char broken[] = "ldm\0{\"config\": \"model: [\"}";
    bytes b = {0}, text = {0};
    size_t packed, i;
    void *zeros = calloc(15, 1 << 20), *data = deflated(zeros, (size_t)15 << 20, &packed);

    /* 64 million pixels without a recipe, which is all that is wanted. */
    begin_png(&b, LDM_TEST_BARS ? 8000 : 1000);
    end_png(&b, LDM_TEST_BARS ? 8000 : 1000);
    expect_refusal(p, "64 million pixels", like, write_file(p->yaml, &b), false);
    /* Texts of 15 MB each out of 15 kB. */
    begin_png(&b, 1);
    put(&text, "ldm\0\0", 5);
    put(&text, data, packed);
    for (i = 0; i < 10; i++)
        put_chunk(&b, "zTXt", text.data, text.len);
    end_png(&b, 1);
    expect_refusal(p, "packed texts", like, write_file(p->yaml, &b), false);
    begin_png(&b, 1);
    while (b.len < FILE_BYTES)
        put_chunk(&b, "tEXt", "a\0b", 3);
    end_png(&b, 1);
    expect_refusal(p, "many texts", like, write_file(p->yaml, &b), false);
    begin_png(&b, 1);
    put_chunk(&b, "tEXt", broken, sizeof broken - 1);
    end_png(&b, 1);
    expect_refusal(p, "a recipe's configuration", like, write_file(p->yaml, &b), false);
    bytes_free(&text);
    free(data);
    free(zeros);
}

static void cascades(void **state)
{
    static const char *const units[] = {"<a%/>", "<_ a%=\"\"/>",    "<_/>", "<!---->", "<?a?>",
                                        "&#49;", "<_>1 1 1 1 1</_>"};
    static const char head[] = "<opencv_storage><cascade>";
    const place *p = *state;
    const char *const metrics[] = {"metrics", p->ckpt, "--cascade", p->yaml, NULL};
    bytes b = {0};
    char text[64];
    size_t i;
    int n;

    begin_png(&b, 30);
    end_png(&b, 30);
    write_file(p->ckpt, &b);
    for (i = 0; i < sizeof units / sizeof *units; i++) {
        const char *percent = strchr(units[i], '%');

        put_text(&b, head);
        for (n = 0; b.len < FILE_BYTES; n++) {
            snprintf(text, sizeof text, "%.*s%d%s", (int)strcspn(units[i], "%"), units[i], n,
                     percent ? percent + 1 : "");
            put_text(&b, percent ? text : units[i]);
        }
        expect_refusal(p, units[i], metrics, write_file(p->yaml, &b), false);
    }
    put_text(&b, "<opencv_storage ");
    for (n = 0; b.len < FILE_BYTES; n++) {
        snprintf(text, sizeof text, "a%d=\"\" ", n);
        put_text(&b, text);
    }
    expect_refusal(p, "attributes of one tag", metrics, write_file(p->yaml, &b), false);
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* Many of the same kind, for sanitizers to look at; where nothing instruments the program, every
 * fourth will do. */
enum { DAMAGED_EVERY = LDM_TEST_BARS ? 4 : 1 };

static void cut_off_anywhere(void **state)
{
    const place *p = *state;
    const char *const check[] = {"check", "--ckpt", p->ckpt, "--config", TINY_CONFIG, NULL};
    bytes whole = read_whole(TINY_CKPT), part = {0};
    size_t k, size = whole.len;

    for (k = 0; k < 64; k += DAMAGED_EVERY) {
        put(&part, whole.data, size * k / 64);
        expect_refusal(p, "cut off", check, write_file(p->ckpt, &part), false);
    }
    bytes_free(&whole);
}

/* One bit in each of the file's 64 parts, and in each 64th of its last 4096 bytes, the directory.
 */
static void bits_turned(void **state)
{
    const place *p = *state;
    const char *const check[] = {"check",     "--ckpt",   p->ckpt, "--config",
                                 TINY_CONFIG, "--values", NULL};
    size_t k;

    for (k = 0; k < 128; k += DAMAGED_EVERY) {
        bytes b = read_whole(TINY_CKPT);
        size_t at = k < 64 ? b.len * k / 64 + 37 * k % 64 : b.len - 4096 + 64 * (k - 64) + k % 64;
        spent s;

        b.data[at] ^= (unsigned char)(1u << k % 8);
        write_file(p->ckpt, &b);
        s = run_program(p, check);
        if ((s.code != 0 && s.code != 1 && s.code != 3) || s.lines != (s.code == 1))
            fail_msg("bit %zu of byte %zu: code %d, %d lines: %s", k % 8, at, s.code, s.lines,
                     s.line);
    }
}

/* The directory's and the local header's CRC-32 of an entry become 0: not known. */
static void forget_crc(bytes *b, const char *name)
{
    const size_t len = strlen(name);
    int found = 0;
    size_t at;

    for (at = 0; at + 46 + len <= b->len; at++) {
        const bool local = !memcmp(b->data + at, "PK\3\4", 4);

        if (!local && memcmp(b->data + at, "PK\1\2", 4) != 0)
            continue;
        if (memcmp(b->data + at + (local ? 30 : 46), name, len) != 0)
            continue;
        memset(b->data + at + (local ? 14 : 16), 0, 4);
        found++;
    }
    assert_int_equal(found, 2);
}

static size_t find(const bytes *b, size_t from, const char *what, size_t len)
{
    while (from + len <= b->len && memcmp(b->data + from, what, len) != 0)
        from++;
    assert_true(from + len <= b->len);
    return from;
}

/* A sound file but for the strides of one weight: all of it is one element. */
static void strides_of_zero(void **state)
{
    static const char name[] = "model_ema.diffusion_modelout2weight";
    static const char strides[] = "M\x20\x01K\x09K\x03K\x01", zeros[] = "M\0\0K\0K\0K\0";
    const place *p = *state;
    const char *const check[] = {"check", "--ckpt", p->ckpt, "--config", TINY_CONFIG, NULL};
    bytes b = read_whole(TINY_CKPT);
    size_t at = find(&b, find(&b, 0, name, sizeof name - 1), strides, sizeof strides - 1);
    spent s;

    memcpy(b.data + at, zeros, sizeof zeros - 1);
    forget_crc(&b, "model/data.pkl");
    write_file(p->ckpt, &b);
    s = run_program(p, check);
    assert_int_equal(s.code, 3);
    assert_int_equal(s.lines, 1);
    assert_non_null(strstr(s.line, "repeats its elements (stride 0 in dimension 0)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pickles_of_one_opcode, place_begin, place_end),
        cmocka_unit_test_setup_teardown(pickles_of_many_globals, place_begin, place_end),
        cmocka_unit_test_setup_teardown(pickles_that_nest_and_copy, place_begin, place_end),
        cmocka_unit_test_setup_teardown(many_tensors, place_begin, place_end),
        cmocka_unit_test_setup_teardown(many_storages, place_begin, place_end),
        cmocka_unit_test_setup_teardown(values_without_end, place_begin, place_end),
        cmocka_unit_test_setup_teardown(many_entries, place_begin, place_end),
        cmocka_unit_test_setup_teardown(safetensors_headers, place_begin, place_end),
        cmocka_unit_test_setup_teardown(tensors_to_the_limit, place_begin, place_end),
        cmocka_unit_test_setup_teardown(configurations, place_begin, place_end),
        cmocka_unit_test_setup_teardown(recipes, place_begin, place_end),
        cmocka_unit_test_setup_teardown(cascades, place_begin, place_end),
        cmocka_unit_test_setup_teardown(cut_off_anywhere, place_begin, place_end),
        cmocka_unit_test_setup_teardown(bits_turned, place_begin, place_end),
        cmocka_unit_test_setup_teardown(strides_of_zero, place_begin, place_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
