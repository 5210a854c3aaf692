/* SPDX-License-Identifier: MIT */
/* Cleaning of text: UTF-8, Unicode's forms, entities, mojibake, white space. Expected values are
 * those of ftfy 6.3.1 and Python 3.11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "tokenize/badness.h"
#include "tokenize/clean.h"

typedef void step(const ldm_utext *in, ldm_utext *out);

typedef struct example {
    const char *in, *out;
} example;

static ldm_utext points(const char *text, size_t bytes)
{
    ldm_utext t = {0};

    assert_int_equal(ldm_utext_decode(&t, (const unsigned char *)text, bytes, false), bytes);
    assert_false(t.failed);
    return t;
}

static void check(step *does, const char *in, size_t in_bytes, const char *want)
{
    ldm_utext a = points(in, in_bytes), b = {0}, c = points(want, strlen(want));

    does(&a, &b);
    assert_false(b.failed);
    if (!ldm_utext_same(&b, &c)) {
        fprintf(stderr, "of \"%s\" (expected \"%s\"):", in, want);
        for (size_t i = 0; i < b.len; i++)
            fprintf(stderr, " %04x", (unsigned)b.at[i]);
        fail_msg("another text");
    }
    ldm_utext_free(&a);
    ldm_utext_free(&b);
    ldm_utext_free(&c);
}

static void check_all(step *does, const example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(does, examples[i].in, strlen(examples[i].in), examples[i].out);
}

#define CHECK_ALL(does, examples) check_all(does, examples, sizeof(examples) / sizeof *(examples))

/* ---- UTF-8 and Unicode -------------------------------------------------------------------------
 */

static size_t good_bytes(const char *text, size_t bytes, bool variants)
{
    ldm_utext t = {0};
    size_t good = ldm_utext_decode(&t, (const unsigned char *)text, bytes, variants);

    ldm_utext_free(&t);
    return good;
}

static void utf8_is_read_strictly(void **state)
{
    static const struct {
        const char *text;
        size_t bytes, good;
    } cases[] = {
        {"abc", 3, 3},
        {"a\0b", 3, 3},
        {"\xf4\x8f\xbf\xbf", 4, 4},
        {"\xf4\x90\x80\x80", 4, 0}, /* above U+10FFFF */
        {"x\xc0\x80", 3, 1},        /* two bytes for NUL */
        {"\xc1\xbf", 2, 0},         /* two bytes for U+007F */
        {"\xe0\x9f\xbf", 3, 0},     /* three for U+07FF */
        {"\xf0\x8f\xbf\xbf", 4, 0}, /* four for U+FFFF */
        {"\xed\xa0\x80", 3, 0},     /* a surrogate */
        {"\xee\x80\x80", 3, 3},
        {"ab\xe2\x82", 4, 2}, /* ends within a character */
        {"\x80", 1, 0},
        {"\xff", 1, 0},
        {"\xc3(", 2, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(good_bytes(cases[i].text, cases[i].bytes, false), cases[i].good);
    assert_int_equal(good_bytes("x\xc0\x80", 3, true), 3);
    assert_int_equal(good_bytes("\xed\xa0\xbd\xed\xb8\x8d", 6, true), 6);
    assert_int_equal(good_bytes("\xed\xa0\xbd\xed\xb8", 5, true), 0);
    assert_int_equal(good_bytes("\xed\xb8\x8d\xed\xa0\xbd", 6, true), 0);
}

static void lower_knows_the_final_sigma(void **state)
{
    static const example cases[] = {
        {"ÀÉÎ Straße ẞ", "àéî straße ß"},
        {"ΣΊΣΥΦΟΣ ΣΑΣ.", "σίσυφος σας."},
        {"Σ", "σ"},
        {"ΑΣ'Β ΑΣ' Β", "ασ'β ας' β"},
        {"İ", "i̇"},
        {"ǅ Ⅷ Ⓐ 𐐀", "ǆ ⅷ ⓐ 𐐨"},
    };

    (void)state;
    CHECK_ALL(ldm_utext_lower, cases);
}

static void nfc(const ldm_utext *in, ldm_utext *out)
{
    ldm_utext_nfc(in->at, in->len, out);
}

static void nfd(const ldm_utext *in, ldm_utext *out)
{
    ldm_utext_nfd(in->at, in->len, out);
}

static void forms_c_and_d(void **state)
{
    static const example c[] = {
        {"cafe\u0301", "caf\u00e9"},
        {"a\u0301\u0316", "\u00e1\u0316"}, /* the mark below goes first, and does not bar */
        {"\u1112\u1161\u11ab", "\ud55c"},  /* Hangul */
        {"\u0958", "\u0915\u093c"},        /* excluded from composition */
        {"\u212b \u2126", "\u00c5 \u03a9"},
        {"\u0301a", "\u0301a"},
    };
    static const example d[] = {
        {"\u1ec7", "e\u0323\u0302"},
        {"\ud55c", "\u1112\u1161\u11ab"},
        {"\u0344", "\u0308\u0301"},
    };

    (void)state;
    CHECK_ALL(nfc, c);
    CHECK_ALL(nfd, d);
}

/* utf8proc's own ordering would take some 10^10 steps here. */
static void many_marks_take_no_quadratic_time(void **state)
{
    ldm_utext t = {0}, out = {0};
    size_t i, n = 300000;

    (void)state;
    ldm_utext_put(&t, 'a');
    for (i = 0; i < n; i++)
        ldm_utext_put(&t, i & 1 ? 0x316 : 0x301);
    ldm_utext_nfc(t.at, t.len, &out);
    assert_int_equal(out.len, n); /* one went into the letter */
    assert_int_equal(out.at[0], 0xe1);
    assert_int_equal(out.at[1], 0x316);
    assert_int_equal(out.at[n - 1], 0x301);
    ldm_utext_free(&t);
    ldm_utext_free(&out);
}

/* ---- entities -------------------------------------------------------------------------------- */

static void ftfy_takes_closed_entities_alone(void **state)
{
    static const example cases[] = {
        {"fish &amp; chips &lt;b&gt;", "fish & chips <b>"},
        {"P&eacute;rez P&EACUTE;REZ &nTILDE;", "Pérez PÉREZ &nTILDE;"},
        {"BUNDESSTRA&SZLIG;E &NAPOS; &FFILIG;", "BUNDESSTRASSE ʼN FFI"},
        {"&LTRIE; &GTDOT;", "&LTRIE; &GTDOT;"}, /* in capitals it begins with another entity */
        {"this&not that &amp &copy", "this&not that &amp &copy"},
        {"&#233;&#xE9;&#XE9;&#128512;&#x80;&#0;&#xD800;&#1;|", "ééé😀€\ufffd\ufffd|"},
        {"&#59; &#x3b; &#; &#x; &#12ab;", "&#59; &#x3b; &#; &#x; &#12ab;"},
        {"&#0000000000000000000000038;", "&#0000000000000000000000038;"}, /* 25 digits */
        {"&NotEqualTilde; &fjlig;", "≂̸ fj"},
        {"&;&& &", "&;&& &"},
        {"&CounterClockwiseContourIntegral;", "&CounterClockwiseContourIntegral;"},
    };

    (void)state;
    CHECK_ALL(ldm_unescape_ftfy, cases);
}

static void html_takes_old_names_without_semicolon(void **state)
{
    static const example cases[] = {
        {"&ampfoo &copy2023 &notin; &notit;", "&foo ©2023 ∉ ¬it;"},
        {"&lt5 &gt;&LTfoo", "<5 ><foo"},
        {"&#65b&#x41g&#65;b&#59;", "AbAgAb;"},
        {"&CounterClockwiseContourIntegral;", "∳"},
        {"&é &amp\u00e9 &a &", "&é &\u00e9 &a &"},
        {"&EACUTE; &#x110000; &#xFDD0;|", "&EACUTE; \ufffd |"},
    };

    (void)state;
    CHECK_ALL(ldm_unescape_html, cases);
}

/* ---- ftfy ------------------------------------------------------------------------------------ */

static void ftfy_makes_plain(void **state)
{
    static const example cases[] = {
        {"“curly” ‘quotes’ it’s", "\"curly\" 'quotes' it's"},
        {"ﬁne ﬂow oﬃce Ĳ ŉ ǆ ﬅ", "fine flow office IJ 'n dž ſt"},
        {"ＬＯＵＤ　ﾅ\uff9e ￣", "LOUD ナ\u3099  \u0304"},
        {"one\r\ntwo\rthree\u2028four\u2029five", "one\ntwo\nthree\nfour\nfive"},
        {"\033[36;44mblue\033[0m \033[x\033[5 \033", "blue [5 "},
        {"a\001b\013c\177d\ufeffe\u206af\ufffcg\fh", "abcdefg\fh"},
        {"cafe\u0301", "caf\u00e9"},
        {"&amp;amp;lt;", "<"},
        {"<b>&amp;</b>\n&amp;", "<b>&amp;</b>\n&amp;"},
        {"&amp;\n<b>&amp;", "&\n<b>&amp;"},
        {"", ""},
    };

    (void)state;
    CHECK_ALL(ldm_fix_text, cases);
}

static void ftfy_mends_mojibake(void **state)
{
    static const example cases[] = {
        {"cafÃ© and naÃ¯ve", "café and naïve"},
        {"itâ€™s broken â€” here", "it's broken — here"},
        {"Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "привет"},
        {"ã\xc2\x81"
         "“ã‚“ã\xc2\x81"
         "«ã\xc2\x81"
         "¡ã\xc2\x81"
         "¯",
         "こんにちは"},
        {"schÃƒÂ¶n doubly", "schön doubly"},
        {"\xc2\x93smart\xc2\x94 \xc2\x85", "\"smart\" …"},
        {"Ã©tÃ© Ã  Paris", "été à Paris"},                  /* A0 became a space */
        {"Ã s vezes, Ã quele dia", "às vezes, àquele dia"}, /* but not before these */
        {"voilÃ le travail", "voilà le travail"},
        {"â€œ like this â€\ufffd", "\" like this \ufffd"}, /* a byte was lost */
        {"ðŸ˜€", "😀"},
        {"Ã­Â\u00a0Â½", "í\u00a0½"},
        {"l’humanitÃ© “ooh”", "l'humanité \"ooh\""}, /* only a part is damaged */
        {"√©t√©", "été"},                            /* MacRoman */
        {"caf├⌐", "café"},                           /* cp437 */
        {"РїСЂРёРІРµС‚", "привет"},                  /* Windows-1251 */
        {"żółta łódź Ł", "żółta łódź Ł"},            /* sound text stays */
        {"Ünïcode × 3² ±1 © 2023 ®", "Ünïcode × 3² ±1 © 2023 ®"},
        {"l’été “Œuvre” €5", "l'été \"Œuvre\" €5"},
    };

    (void)state;
    CHECK_ALL(ldm_fix_text, cases);
}

static void badness_needs_unlikely_neighbours(void **state)
{
    static const struct {
        const char *text;
        bool bad;
    } cases[] = {
        {"plain", false},    {"é", false},      {"Ã©", true},        {"¤¤", true},
        {"a\xc2\x80", true}, {"à la", false},   {"Ã la", true},      {"x Ã la", true},
        {"X Ã la", false},   {"xÃ la", true},   {"в Ђ", false},      {"вЂ", true},
        {"œ", false},        {"œu", false},     {"œ.", true},        {"É°", true},
        {"É 5°", false},     {"ГўВЂВxa", true}, {"ГўВ ЂВxa", false}, {"×²", true},
        {"2×3", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ldm_utext t = points(cases[i].text, strlen(cases[i].text));

        if (ldm_is_bad(t.at, t.len) != cases[i].bad)
            fail_msg("is_bad(\"%s\") is not %d", cases[i].text, cases[i].bad);
        ldm_utext_free(&t);
    }
}

/* ftfy peels one level a round; so do we, until the budget is spent, which this chain takes care
 * of: its 25,000 rounds over 100,000 letters would be 2.5e9 steps. */
static void a_long_chain_of_entities_ends(void **state)
{
    ldm_utext in = {0}, out = {0};
    size_t i;

    (void)state;
    ldm_utext_put(&in, '&');
    for (i = 0; i < 100000; i++)
        ldm_utext_put(&in, (unsigned char)"amp;"[i % 4]);
    ldm_fix_text(&in, &out);
    assert_false(out.failed);
    assert_in_range(out.len, 2, in.len - 1);
    in.len = 4 * 1000 + 1; /* short enough to be peeled to its end */
    out.len = 0;
    ldm_fix_text(&in, &out);
    assert_int_equal(out.len, 1);
    ldm_utext_free(&in);
    ldm_utext_free(&out);
}

/* ---- white space and BERT ----------------------------------------------------------------------
 */

static void bert(const ldm_utext *in, ldm_utext *out)
{
    ldm_clean_bert(in->at, in->len, out);
}

static void white_space(void **state)
{
    static const example white[] = {
        {"  a \t\n b\u00a0\u3000c\u2028 ", "a b c"},
        {"zero\u200bwidth", "zero\u200bwidth"},
        {" \n ", ""},
    };
    static const example cleaned[] = {
        {"a\tb\001c\u00adde\u00a0f\ufffd", "a bcde f"},
        {"日本go", " 日  本 go"},
        {"e\u0301\ue000", "\u00e9"},
    };

    (void)state;
    CHECK_ALL(ldm_clean_white, white);
    CHECK_ALL(bert, cleaned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_read_strictly),
        cmocka_unit_test(lower_knows_the_final_sigma),
        cmocka_unit_test(forms_c_and_d),
        cmocka_unit_test(many_marks_take_no_quadratic_time),
        cmocka_unit_test(ftfy_takes_closed_entities_alone),
        cmocka_unit_test(html_takes_old_names_without_semicolon),
        cmocka_unit_test(ftfy_makes_plain),
        cmocka_unit_test(ftfy_mends_mojibake),
        cmocka_unit_test(badness_needs_unlikely_neighbours),
        cmocka_unit_test(a_long_chain_of_entities_ends),
        cmocka_unit_test(white_space),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
