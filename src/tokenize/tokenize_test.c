/* SPDX-License-Identifier: MIT */
/* Tokenizers on small vocabularies made for this test (tests/data/tokenize; the ids are those that
 * transformers 4.57.6 gives with the same files), on files that are wrong, and with memory running
 * out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <libdeflate.h>

#include "base/alloc.h"
#include "base/file.h"
#include "tokenize/tokenize.h"

#define DATA "tests/data/tokenize"

typedef struct example {
    const char *text;
    int32_t ids[16]; /* from start to end token */
    size_t count;
} example;

static ldm_tokenizer *opened(ldm_token_kind kind, const char *path)
{
    ldm_error err = {.msg = ""};
    ldm_tokenizer *t;

    if (ldm_tokenizer_open(kind, path, &t, &err))
        fail_msg("%s", err.msg);
    return t;
}

static void encode(const ldm_tokenizer *t, const char *text, ldm_tokens *out)
{
    ldm_error err = {.msg = ""};

    if (ldm_tokenize(t, text, strlen(text), LDM_TEXT_FTFY, out, &err))
        fail_msg("%s", err.msg);
}

static void check(const ldm_tokenizer *t, const example *examples, size_t count, int32_t pad)
{
    ldm_tokens tokens;
    size_t i, k;

    for (i = 0; i < count; i++) {
        encode(t, examples[i].text, &tokens);
        assert_int_equal(tokens.used, examples[i].count);
        assert_int_equal(tokens.needed, examples[i].count);
        for (k = 0; k < LDM_TOKENS_LENGTH; k++) {
            int32_t want = k < tokens.used ? examples[i].ids[k] : pad;

            if (tokens.ids[k] != want)
                fail_msg("\"%s\": id %zu is %d, expected %d", examples[i].text, k, tokens.ids[k],
                         want);
        }
    }
}

/* ---- ids ------------------------------------------------------------------------------------- */

/* "xabab": the list's first merge needs what a later one makes, so its turn comes out of order. */
static const example clip_examples[] = {
    {"", {536, 537}, 2},
    {"hello the cat", {536, 516, 520, 518, 537}, 5},
    {"Hello  THE\ncat!!", {536, 516, 520, 518, 535, 537}, 6},
    {"xabab", {536, 512, 64, 321, 537}, 5},
    {"xabxab", {536, 512, 87, 64, 321, 537}, 6},
    {"abxab xaab", {536, 521, 87, 64, 321, 87, 532, 321, 537}, 9},
    {"aaaa", {536, 532, 64, 320, 537}, 5},
    {"aaaaa", {536, 531, 320, 537}, 4},
    {"aaaaaaaa", {536, 531, 532, 64, 320, 537}, 6},
    {"the cat's 12", {536, 520, 518, 533, 272, 273, 537}, 7},
    {"caf\u00e9", {536, 517, 69, 127, 358, 537}, 6},
    {"<|endoftext|> cat <|STARTOFTEXT|>", {536, 537, 518, 536, 537}, 5},
    {"astronaut", {536, 530, 537}, 3},
    {"<\u017f", {536, 283, 129, 379, 537}, 5},
};

enum { CLIP_EXAMPLES = sizeof clip_examples / sizeof clip_examples[0] };

static void clip_merges_as_transformers(void **state)
{
    ldm_tokenizer *t = opened(LDM_TOKEN_CLIP, DATA "/merges.txt");

    (void)state;
    assert_int_equal(ldm_tokenizer_size(t), 538);
    assert_string_equal(ldm_tokenizer_path(t), DATA "/merges.txt");
    check(t, clip_examples, CLIP_EXAMPLES, 537);
    assert_string_equal(ldm_tokenizer_piece(t, 518), "cat</w>");
    assert_string_equal(ldm_tokenizer_piece(t, 536), "<|startoftext|>");
    assert_string_equal(ldm_tokenizer_piece(t, 538), "");
    assert_string_equal(ldm_tokenizer_piece(t, -1), "");
    ldm_tokenizer_free(t);
}

static void vocab_json_gives_its_own_ids(void **state)
{
    ldm_tokenizer *t = opened(LDM_TOKEN_CLIP, DATA "/vocab.json");

    (void)state;
    check(t, clip_examples, CLIP_EXAMPLES, 537);
    ldm_tokenizer_free(t);
    t = opened(LDM_TOKEN_CLIP, DATA); /* the folder: vocab.json, for want of the packed list */
    assert_string_equal(ldm_tokenizer_path(t), DATA "/vocab.json");
    ldm_tokenizer_free(t);
}

static void openclip_has_other_special_tokens_and_padding(void **state)
{
    static const example examples[] = {
        {"hello", {536, 516, 537}, 3},
        {"<start_of_text> a <END_OF_TEXT>", {536, 536, 320, 537, 537}, 5},
        {"&amp;#97; &a", {536, 320, 261, 320, 537}, 5},
    };
    ldm_tokenizer *t = opened(LDM_TOKEN_OPENCLIP, DATA "/merges.txt");

    (void)state;
    check(t, examples, 3, 0);
    ldm_tokenizer_free(t);
    t = opened(LDM_TOKEN_OPENCLIP, DATA "/vocab.json"); /* under version 1's names */
    check(t, examples, 3, 0);
    ldm_tokenizer_free(t);
}

static void bert_takes_the_longest_pieces(void **state)
{
    static const example examples[] = {
        {"", {3, 4}, 2},
        {"The CAT!", {3, 14, 12, 6, 4}, 5},
        {"playing unaffable jumped", {3, 17, 16, 23, 24, 25, 18, 19, 4}, 9},
        {"dog\u0301s caf\u00e9", {3, 13, 15, 22, 4}, 5},
        {"日本", {3, 26, 27, 4}, 4},
        {"[MASK] [mask] 123", {3, 5, 2, 2, 2, 28, 29, 30, 4}, 9},
        {"\u0130i", {3, 31, 32, 4}, 4},
        {"zebra cat", {3, 2, 12, 4}, 4},
    };
    ldm_tokenizer *t = opened(LDM_TOKEN_BERT, DATA);

    (void)state;
    check(t, examples, sizeof examples / sizeof examples[0], 0);
    assert_string_equal(ldm_tokenizer_piece(t, 24), "##aff");
    ldm_tokenizer_free(t);
}

static void long_texts_are_cut_to_75(void **state)
{
    static const ldm_token_kind kinds[] = {LDM_TOKEN_CLIP, LDM_TOKEN_OPENCLIP};
    char text[4 * 80 + 1];
    ldm_tokens tokens;
    int count;

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        ldm_tokenizer *t = opened(kinds[k], DATA "/merges.txt");

        for (count = 74; count <= 80; count++) {
            for (int i = 0; i < count; i++)
                memcpy(text + 4 * i, "cat ", 5);
            encode(t, text, &tokens);
            assert_int_equal(tokens.needed, count + 2);
            assert_int_equal(tokens.used, count < 75 ? count + 2 : 77);
            assert_int_equal(tokens.ids[tokens.used - 1], 537);
            assert_int_equal(tokens.ids[tokens.used - 2], 518);
        }
        ldm_tokenizer_free(t);
    }
}

static double seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* Each of these of 100 kB would take minutes with a search of the whole word for every merge. Some
 * 10 ms each, and under sanitizers some 100. */
static void large_words_take_no_quadratic_time(void **state)
{
    static const char *const units[] = {
        "a", "xab", "ab", "!", "\xc3\xa9", "\xc3\x83\xc2\xa9", "Σ'", "&amp;", "\xcc\x81\xcc\x96",
        "1"};
    static const struct {
        ldm_token_kind kind;
        const char *path;
    } kinds[] = {{LDM_TOKEN_CLIP, DATA "/merges.txt"},
                 {LDM_TOKEN_OPENCLIP, DATA "/merges.txt"},
                 {LDM_TOKEN_BERT, DATA "/vocab.txt"}};
    enum { SIZE = 100000 };
    char *text = ldm_malloc(SIZE + 16);
    double start = seconds();
    ldm_tokens tokens;

    (void)state;
    assert_non_null(text);
    for (size_t k = 0; k < 3; k++) {
        ldm_tokenizer *t = opened(kinds[k].kind, kinds[k].path);

        for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
            size_t len = strlen(units[u]), n;

            for (n = 0; n + len <= SIZE; n += len)
                memcpy(text + n, units[u], len);
            assert_int_equal(ldm_tokenize(t, text, n, LDM_TEXT_FTFY, &tokens, NULL), LDM_OK);
        }
        ldm_tokenizer_free(t);
    }
    ldm_free(text);
    assert_true(seconds() - start < 60);
}

static void texts_that_are_wrong(void **state)
{
    ldm_tokenizer *t = opened(LDM_TOKEN_CLIP, DATA "/merges.txt");
    char *large = ldm_calloc(1, LDM_TEXT_LIMIT + 1);
    ldm_tokens tokens;
    ldm_error err;

    (void)state;
    assert_int_equal(ldm_tokenize(t, "cat \xff", 5, LDM_TEXT_FTFY, &tokens, &err), LDM_ERR_USAGE);
    assert_int_equal(err.offset, 4);
    assert_non_null(strstr(err.msg, "byte 4"));
    assert_int_equal(ldm_tokenize(t, large, LDM_TEXT_LIMIT + 1, LDM_TEXT_FTFY, &tokens, &err),
                     LDM_ERR_LIMIT);
    assert_int_equal(ldm_tokenize(t, large, LDM_TEXT_LIMIT, LDM_TEXT_FTFY, &tokens, &err), LDM_OK);
    assert_int_equal(tokens.needed, 2); /* NULs are control characters */
    assert_int_equal(ldm_tokenize(t, "cat\0cat", 7, LDM_TEXT_NO_FTFY, &tokens, &err), LDM_OK);
    assert_int_equal(tokens.needed, 5); /* "catcat" */
    ldm_free(large);
    ldm_tokenizer_free(t);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void fails(ldm_token_kind kind, const char *vocab, size_t bytes, const char *merges,
                  ldm_status want, const char *said)
{
    ldm_error err = {.msg = ""};
    ldm_tokenizer *t;
    ldm_status st = ldm_tokenizer_read(kind, "FILE", vocab, bytes, merges,
                                       merges ? strlen(merges) : 0, &t, &err);

    assert_null(t);
    if (st != want || !strstr(err.msg, said))
        fail_msg("%s: %s (expected %s: %s)", ldm_status_name(st), err.msg, ldm_status_name(want),
                 said);
}

static void merges_that_are_wrong(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "no merges"},
        {"#version\n", "no merges"},
        {"#version\na b\nab\n", "line 3: expected two symbols"},
        {"#version\na b\n\nc d\n", "line 3: expected two symbols"},
        {"#version\na  b\n", "line 2: expected two symbols"},
        {"#version\na b c\n", "line 2: expected two symbols"},
        {"#version\n a\n", "line 2: expected two symbols"},
        {"#version\na \n", "line 2: expected two symbols"},
        {"#version\na \xff\n", "byte 11: not UTF-8"},
    };
    char *large = ldm_malloc(5000);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        fails(LDM_TOKEN_CLIP, cases[i].text, strlen(cases[i].text), NULL, LDM_ERR_FORMAT,
              cases[i].said);
    fails(LDM_TOKEN_CLIP, "#\na \0b\n", 7, NULL, LDM_ERR_FORMAT, "line 2");
    memset(large, 'x', 5000);
    memcpy(large, "#\n", 2);
    large[2500] = ' ';
    fails(LDM_TOKEN_CLIP, large, 5000, NULL, LDM_ERR_FORMAT, "1024 bytes");
    ldm_free(large);
}

static void json_that_is_wrong(void **state)
{
    static const struct {
        const char *text, *said;
        ldm_status st;
    } cases[] = {
        {"{", "line 1", LDM_ERR_FORMAT},
        {"[]", "one JSON object", LDM_ERR_FORMAT},
        {"{\"a\": \"b\"}", "no whole number", LDM_ERR_FORMAT},
        {"{\"a\": 1.5}", "no whole number", LDM_ERR_FORMAT},
        {"{\"a\": -1}", "\"a\": id -1 is not from 0", LDM_ERR_RANGE},
        {"{\"a\": 9223372036854775807}", "is not from 0", LDM_ERR_RANGE},
        {"{\"a\": 1048576}", "is not from 0", LDM_ERR_RANGE},
        {"{\"a\": 1}", "has no <|startoftext|>", LDM_ERR_FORMAT},
        {"{\"<|startoftext|>\": 1}", "has no <|endoftext|>", LDM_ERR_FORMAT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        fails(LDM_TOKEN_CLIP, cases[i].text, strlen(cases[i].text), "#\na b\n", cases[i].st,
              cases[i].said);
}

/* A merges.txt that was cut off would split words otherwise, without a word. */
static void merges_that_are_too_few(void **state)
{
    char *words;
    size_t bytes;

    (void)state;
    assert_int_equal(ldm_file_read(DATA "/vocab.json", 100000, &words, &bytes, NULL), LDM_OK);
    fails(LDM_TOKEN_CLIP, words, bytes, "#version: 0.2\nt h\n", LDM_ERR_FORMAT,
          "merges.txt has 1 merges, and FILE 538 words");
    ldm_free(words);
}

static void words_that_are_wrong(void **state)
{
    (void)state;
    fails(LDM_TOKEN_BERT, "", 0, NULL, LDM_ERR_FORMAT, "has no [UNK]");
    fails(LDM_TOKEN_BERT, "[UNK]\n[SEP]\n[PAD]\n[CLS]\n", 24, NULL, LDM_ERR_FORMAT,
          "has no [MASK]");
    fails(LDM_TOKEN_BERT, "\xef\xbb\xbf[UNK]\n[SEP]\n[PAD]\n[CLS]\n", 27, NULL, LDM_ERR_FORMAT,
          "has no [MASK]"); /* and the first word is one */
    fails(LDM_TOKEN_BERT, "a\0b\n", 4, NULL, LDM_ERR_FORMAT, "line 1: a NUL");
    fails(LDM_TOKEN_BERT, "a\n\xc3\n", 4, NULL, LDM_ERR_FORMAT, "byte 2: not UTF-8");
}

static void gzip_files(void **state)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    unsigned char packed[1024];
    char *plain, twice[sizeof packed * 2];
    size_t bytes, n;
    ldm_tokenizer *t;

    (void)state;
    assert_int_equal(ldm_file_read(DATA "/merges.txt", 10000, &plain, &bytes, NULL), LDM_OK);
    n = libdeflate_gzip_compress(c, plain, bytes, packed, sizeof packed);
    libdeflate_free_compressor(c);
    ldm_free(plain);
    assert_true(n > 0);
    assert_int_equal(ldm_tokenizer_read(LDM_TOKEN_CLIP, "FILE", packed, n, NULL, 0, &t, NULL),
                     LDM_OK);
    check(t, clip_examples, CLIP_EXAMPLES, 537);
    ldm_tokenizer_free(t);

    memcpy(twice, packed, n);
    memcpy(twice + n, packed, n);
    fails(LDM_TOKEN_CLIP, twice, 2 * n, NULL, LDM_ERR_UNSUPPORTED, "of several members");
    fails(LDM_TOKEN_CLIP, (char *)packed, 10, NULL, LDM_ERR_FORMAT, "ends within its header");
    fails(LDM_TOKEN_CLIP, (char *)packed, n - 9, NULL, LDM_ERR_LIMIT, "cut off or damaged");
    packed[n - 4] ^= 1; /* the size that it tells */
    fails(LDM_TOKEN_CLIP, (char *)packed, n, NULL, LDM_ERR_FORMAT,
          "cut off or damaged: get it again");
    packed[n - 4] ^= 1;
    packed[n / 2] ^= 1;
    fails(LDM_TOKEN_CLIP, (char *)packed, n, NULL, LDM_ERR_FORMAT,
          "cut off or damaged: get it again");
}

static void paths_that_are_wrong(void **state)
{
    ldm_error err = {.msg = ""};
    ldm_token_kind kind;
    ldm_tokenizer *t;

    (void)state;
    assert_int_equal(ldm_tokenizer_open(LDM_TOKEN_CLIP, DATA "/none", &t, &err), LDM_ERR_IO);
    assert_int_equal(ldm_tokenizer_open(LDM_TOKEN_BERT, "tests/data", &t, &err), LDM_ERR_IO);
    assert_non_null(strstr(err.msg, "the folder has no vocab.txt"));
    assert_int_equal(ldm_tokenizer_open(LDM_TOKEN_CLIP, "tests/data", &t, &err), LDM_ERR_IO);
    assert_non_null(strstr(err.msg, "and no vocab.json"));
    assert_int_equal(ldm_token_kind_parse("t5", &kind, &err), LDM_ERR_USAGE);
    assert_int_equal(ldm_token_kind_parse("openclip", &kind, &err), LDM_OK);
    assert_int_equal(kind, LDM_TOKEN_OPENCLIP);
    ldm_tokenizer_free(NULL);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static ldm_status everything(ldm_token_kind kind, const char *path, ldm_error *err)
{
    static const char text[] =
        "cafÃ© &amp; <|endoftext|> Σ’s [MASK] e\u0316\u0301\u0316 日 √© “Ã©\xc2\x91"
        "”";
    ldm_tokenizer *t;
    ldm_tokens tokens;
    ldm_status st = ldm_tokenizer_open(kind, path, &t, err);

    if (!st)
        st = ldm_tokenize(t, text, sizeof text - 1, LDM_TEXT_FTFY, &tokens, err);
    ldm_tokenizer_free(t);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    static const struct {
        ldm_token_kind kind;
        const char *path;
    } kinds[] = {{LDM_TOKEN_CLIP, DATA "/merges.txt"},
                 {LDM_TOKEN_OPENCLIP, DATA "/vocab.json"},
                 {LDM_TOKEN_BERT, DATA "/vocab.txt"}};
    double start = seconds();
    ldm_error err;

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        unsigned long calls, n;

        ldm_alloc_fail_at(0);
        assert_int_equal(everything(kinds[k].kind, kinds[k].path, &err), LDM_OK);
        calls = ldm_alloc_fail_at(0);
        assert_true(calls > 10);
        for (n = 1; n <= calls; n++) {
            ldm_alloc_fail_at(n);
            if (everything(kinds[k].kind, kinds[k].path, &err) != LDM_ERR_NOMEM)
                fail_msg("kind %zu: allocation %lu of %lu failed unseen", k, n, calls);
        }
        ldm_alloc_fail_at(0);
    }
    assert_true(seconds() - start < 10); /* a round without memory is the last */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clip_merges_as_transformers),
        cmocka_unit_test(vocab_json_gives_its_own_ids),
        cmocka_unit_test(openclip_has_other_special_tokens_and_padding),
        cmocka_unit_test(bert_takes_the_longest_pieces),
        cmocka_unit_test(long_texts_are_cut_to_75),
        cmocka_unit_test(large_words_take_no_quadratic_time),
        cmocka_unit_test(texts_that_are_wrong),
        cmocka_unit_test(merges_that_are_wrong),
        cmocka_unit_test(json_that_is_wrong),
        cmocka_unit_test(merges_that_are_too_few),
        cmocka_unit_test(words_that_are_wrong),
        cmocka_unit_test(gzip_files),
        cmocka_unit_test(paths_that_are_wrong),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
