/* SPDX-License-Identifier: MIT */
/* Captions of small grammars, whose every way is known, of the shipped one, and of files that are
 * wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "caption/caption.h"

#define SHIPPED "models/portrait/grammar.txt"

static ldm_grammar *parsed(const char *text)
{
    ldm_error err = {.msg = ""};
    ldm_grammar *g;

    if (ldm_grammar_parse("g", text, strlen(text), &g, &err))
        fail_msg("%s", err.msg);
    return g;
}

static char *caption(const ldm_grammar *g, uint64_t seed)
{
    ldm_error err = {.msg = ""};
    char *text;

    if (ldm_grammar_caption(g, seed, &text, &err))
        fail_msg("%s", err.msg);
    return text;
}

static void says(const char *grammar, const char *expected)
{
    ldm_grammar *g = parsed(grammar);
    char *text = caption(g, 1);

    assert_string_equal(text, expected);
    ldm_free(text);
    ldm_grammar_free(g);
}

static void test_sentences(void **state)
{
    (void)state;
    says("rule caption\n 1 a  {x} , a b .\nrule x\n 1 old man\n", "an old man, a b.");
    says("rule caption\n 1 with {and x 3 3}\nrule x\n 1 @a p\n 1e-8 @b q\n 1e-9 @c r\n",
         "with p, q and r");
    says("rule caption\n 1 {and x 2 2}\nrule x\n 1 @a p\n 1e-8 @b q\n", "p and q");
    says("rule caption\n 1 {comma x 1 9}\nrule x\n 1 @a p\n", "p");
    says("rule caption\n 1 {space x 0 0}z\nrule x\n 1 p\n", "z");
    says("rule caption\n 1e8 {comma x 2 2}\n 1e-6 only this\nrule x\n 1 @a p\n", "only this");
    says("fact f\n 1 one\nfact g\n 9 two [f!=one]\n 1 three [f=one|two]\nrule caption\n 9 [g=two] "
         "no\n 1 [g=three f=one] yes\n",
         "yes");
    says("# a note\r\nrule caption\r\n\r\n  1 dark - haired\r\n", "dark-haired");
    says("rule caption\n  1\n", "");
}

/* Lines come as often as their shares say. */
static void test_shares(void **state)
{
    ldm_grammar *g = parsed("fact f\n 3 a\n 1 b\nrule caption\n 1 [f=a] x\n 1 [f=b] y\n");
    int seen = 0;
    uint64_t seed;

    (void)state;
    for (seed = 0; seed < 4000; seed++) {
        char *text = caption(g, seed);

        seen += *text == 'x';
        ldm_free(text);
    }
    /* 3000 expected, with a deviation of 27 */
    assert_in_range(seen, 2850, 3150);
    ldm_grammar_free(g);
}

static void test_shipped(void **state)
{
    ldm_error err = {.msg = ""};
    ldm_grammar *g;
    uint64_t seed;
    int glasses = 0;

    (void)state;
    if (ldm_grammar_load(SHIPPED, &g, &err))
        fail_msg("%s", err.msg);
    for (seed = 0; seed < 3000; seed++) {
        char *text = caption(g, seed), *again = caption(g, seed);
        const char *p;

        assert_string_equal(text, again);
        assert_in_range(strlen(text), 3, 400);
        assert_null(strpbrk(text, "{}[]@|"));
        assert_null(strstr(text, "  "));
        assert_null(strstr(text, " ,"));
        assert_true(text[strlen(text) - 1] != ' ' && *text != ' ');
        for (p = strstr(text, " a "); p; p = strstr(p + 1, " a "))
            assert_null(strchr("aeiou", p[3]));
        glasses += strstr(text, "glasses") != NULL;
        ldm_free(text);
        ldm_free(again);
    }
    /* 29 % wear some, and not every caption tells it */
    assert_in_range(glasses, 300, 1200);
    ldm_grammar_free(g);
}

static void test_wrong(void **state)
{
    static const char *const texts[][2] = {
        {"", "g: there is no rule 'caption'"},
        {"  1 x\n", "g:1: "},
        {"rule caption\n  0 x\n", "g:2: expected a share above 0"},
        {"rule caption\n  nan x\n", "g:2: expected a share above 0"},
        {"rule caption\n  1 {x}\n", "g:2: no rule has the name 'x'"},
        {"rule caption\n  1 {x\n", "g:2: a brace"},
        {"rule caption\n  1 {and x 3 1}\n", "g:2: expected and, comma or space"},
        {"rule caption\n  1 {or x 1 1}\n", "g:2: expected and, comma or space"},
        {"rule caption\n  1 {}\n", "g:2: expected {rule}"},
        {"rule caption\n  1 [f=x] y\n", "g:2: a condition on what is no fact above"},
        {"fact f\n  1 x [f=x]\n", "g:2: a condition on what is no fact above"},
        {"fact f\n  1 x [f=x\n", "g:2: a bracket"},
        {"fact f\n  1\n", "g:2: a fact's line without a value"},
        {"fact f\n  1 x y\n", "g:2: expected the end of the line"},
        {"fact f\nfact f\n", "g:2: the second list of the name 'f'"},
        {"rule caption\n  1 @\n", "g:2: a topic without a name"},
        {"law caption\n", "g:1: expected 'fact NAME' or 'rule NAME'"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ldm_error err = {.msg = ""};
        ldm_grammar *g;

        assert_int_equal(ldm_grammar_parse("g", texts[i][0], strlen(texts[i][0]), &g, &err),
                         LDM_ERR_FORMAT);
        assert_null(g);
        if (strncmp(err.msg, texts[i][1], strlen(texts[i][1])))
            fail_msg("'%s' gives '%s', expected '%s'", texts[i][0], err.msg, texts[i][1]);
    }
}

/* Rules that call themselves, or double with every call, end with an error instead of never. */
static void test_endless(void **state)
{
    static const char *const texts[] = {
        "rule caption\n 1 x{caption}\n",
        "rule caption\n 1 {caption}{caption}\n",
        "rule caption\n 1 {space caption 99 99}\n",
        "fact f\n 1 a\nrule caption\n 1 [f=b] x\n",
        "fact e\n 1 a\nfact f\n 1 a [e=b]\nrule caption\n 1 x\n",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ldm_grammar *g = parsed(texts[i]);
        ldm_error err = {.msg = ""};
        char *text;

        assert_int_equal(ldm_grammar_caption(g, 1, &text, &err), LDM_ERR_LIMIT);
        assert_null(text);
        ldm_grammar_free(g);
    }
}

static void test_memory(void **state)
{
    const char *grammar = "fact f\n 1 a\nrule caption\n 1 [f=a] @t x {and y 2 2}\nrule y\n 1 p\n";
    unsigned long n;

    (void)state;
    for (n = 1;; n++) {
        ldm_error err = {.msg = ""};
        ldm_grammar *g = NULL;
        char *text = NULL;
        ldm_status st;
        unsigned long calls;

        ldm_alloc_fail_at(n);
        st = ldm_grammar_parse("g", grammar, strlen(grammar), &g, &err);
        if (!st)
            st = ldm_grammar_caption(g, 1, &text, &err);
        calls = ldm_alloc_fail_at(0);
        ldm_free(text);
        ldm_grammar_free(g);
        if (calls < n)
            break;
        if (st != LDM_ERR_NOMEM)
            fail_msg("allocation %lu: %d %s", n, (int)st, err.msg);
    }
    assert_in_range(n, 8, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences), cmocka_unit_test(test_shares),
        cmocka_unit_test(test_shipped),   cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_endless),   cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
