/* SPDX-License-Identifier: MIT */
/* The reference lists of the original tokenizers (LDM_GOLDEN, else ../shared/golden): every id of
 * every line. Needs the vocabularies of `make vocab`, too; says so where something is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "tokenize/tokenize.h"

enum { PATH_LEN = 1024 };

/* The list and the tokenizer for it; skips the test where one is not there. */
static FILE *open_list(const char *name, ldm_token_kind kind, ldm_tokenizer **t)
{
    const char *root = getenv("LDM_GOLDEN");
    char list[PATH_LEN], vocab[PATH_LEN];
    ldm_error err = {.msg = ""};
    FILE *f;

    snprintf(list, sizeof list, "%s/tokenizers/%s", root && *root ? root : "../shared/golden",
             name);
    snprintf(vocab, sizeof vocab, "build/vocab/%s", ldm_token_kind_file(kind));
    f = fopen(list, "r");
    if (!f || access(vocab, R_OK)) {
        printf("skipped: %s: %s\n", name, f ? "no vocabulary (make vocab)" : "no reference list");
        if (f)
            fclose(f);
        skip();
    }
    if (ldm_tokenizer_open(kind, vocab, t, &err))
        fail_msg("%s", err.msg);
    return f;
}

static int differences(const ldm_tokenizer *t, const char *text, size_t bytes,
                       ldm_text_cleaning cleaning, const json_t *want)
{
    ldm_error err = {.msg = ""};
    ldm_tokens tokens;
    size_t i;

    assert_int_equal(json_array_size(want), LDM_TOKENS_LENGTH);
    if (ldm_tokenize(t, text, bytes, cleaning, &tokens, &err))
        fail_msg("%s", err.msg);
    for (i = 0; i < LDM_TOKENS_LENGTH; i++) {
        if (tokens.ids[i] != json_integer_value(json_array_get(want, i))) {
            fprintf(stderr, "\"%.100s\": id %zu is %d, expected %d\n", text, i, (int)tokens.ids[i],
                    (int)json_integer_value(json_array_get(want, i)));
            return 1;
        }
    }
    return 0;
}

static void compare(const char *name, ldm_token_kind kind)
{
    ldm_tokenizer *t;
    FILE *f = open_list(name, kind, &t);
    int lines = 0, bad = 0;
    json_t *line;

    while ((line = json_loadf(f, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL))) {
        const json_t *text = json_object_get(line, "text"), *without;

        bad += differences(t, json_string_value(text), json_string_length(text), LDM_TEXT_FTFY,
                           json_object_get(line, "ids"));
        without = json_object_get(line, "ids_without_ftfy");
        if (kind == LDM_TOKEN_CLIP)
            bad += differences(t, json_string_value(text), json_string_length(text),
                               LDM_TEXT_NO_FTFY, without ? without : json_object_get(line, "ids"));
        json_decref(line);
        lines++;
    }
    printf("%s: %d texts, %d differ\n", name, lines, bad);
    fclose(f);
    ldm_tokenizer_free(t);
    assert_true(lines >= 100);
    assert_int_equal(bad, 0);
}

static void clip(void **state)
{
    (void)state;
    compare("clip.jsonl", LDM_TOKEN_CLIP);
}

static void open_clip(void **state)
{
    (void)state;
    compare("open_clip.jsonl", LDM_TOKEN_OPENCLIP);
}

static void bert(void **state)
{
    (void)state;
    compare("bert.jsonl", LDM_TOKEN_BERT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clip),
        cmocka_unit_test(open_clip),
        cmocka_unit_test(bert),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
