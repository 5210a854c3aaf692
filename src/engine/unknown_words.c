/* SPDX-License-Identifier: MIT */
/* Words that a model does not know; see unknown_words.h. */
#include "engine/unknown_words.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/str.h"

/* LARGE: ids of a vocabulary that knows all words. NAMED: words that the note names. KEPT:
 * different words that are counted; SHOWN: bytes of each. */
enum { LARGE = 4096, NAMED = 8, KEPT = 256, SHOWN = 60 };

typedef struct unknown_word {
    char *text;
    size_t first; /* text that has it, from 0 */
} unknown_word;

typedef struct unknown_words {
    unknown_word words[KEPT];
    size_t count; /* of the different words */
    bool more;    /* than are kept */
    size_t texts; /* that have any */
} unknown_words;

/* A piece of WordPiece that goes on with a word: "##en". */
static bool goes_on(const char *piece)
{
    return !strncmp(piece, "##", 2) && piece[2];
}

/* Whether a vocabulary has nothing for some of a word, or a letter alone for a part of it ("m
 * ##en"): these say nothing to the model. "a" is a word. */
static bool is_unknown(const ldm_text_ids *ids)
{
    const size_t used = ldm_text_ids_used(ids);

    for (size_t i = 1; i + 1 < used; i++) {
        const char *piece = ldm_text_ids_piece(ids, i);
        const char *letters = goes_on(piece) ? piece + 2 : piece;
        const bool part =
            goes_on(piece) || (i + 2 < used && goes_on(ldm_text_ids_piece(ids, i + 1)));

        if (!strcmp(piece, "[UNK]") || (part && !letters[1]))
            return true;
    }
    return false;
}

static ldm_status keep_word(unknown_words *u, const char *word, size_t len, size_t first,
                            ldm_error *err)
{
    for (size_t i = 0; i < u->count; i++) {
        if (strlen(u->words[i].text) == len && !memcmp(u->words[i].text, word, len))
            return LDM_OK;
    }
    u->more |= u->count == KEPT;
    if (u->more)
        return LDM_OK;
    u->words[u->count] = (unknown_word){ldm_strndup(word, len), first};
    if (!u->words[u->count].text)
        return ldm_error_nomem(err, len, "a note");
    u->count++;
    return LDM_OK;
}

/* Bytes at the text's beginning that end a word for WordPiece: white space, ASCII punctuation, and
 * of what else is punctuation there the quotes and dashes that text programs write. */
static size_t end_of_word(const char *text)
{
    static const char ends[] = " \t\r\n\v\f!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    const unsigned char *at = (const unsigned char *)text;

    if (*text && strchr(ends, *text))
        return 1;
    if (at[0] == 0xc2 && (at[1] == 0xab || at[1] == 0xbb))
        return 2; /* U+00AB, U+00BB */
    return at[0] == 0xe2 && at[1] == 0x80 && at[2] >= 0x90 && at[2] <= 0xa7 ? 3 : 0;
}

/* Adds the unknown words of a text, as far as it is read: each is looked up alone, as pieces do not
 * say which word they are of. */
static ldm_status list_unknown(const ldm_text_vocab *vocab, const char *text, size_t number,
                               unknown_words *u, ldm_error *err)
{
    ldm_status st = LDM_OK;
    size_t len, tokens = 2, room = tokens + 1;
    bool any = false;

    while (!st && *text && tokens < room) {
        ldm_text_ids *ids;

        for (len = 0; text[len] && !end_of_word(text + len);)
            len++;
        if (!len) {
            text += end_of_word(text);
            continue;
        }
        st = ldm_text_encode(vocab, text, len, true, &ids, err);
        if (st)
            break;
        if (is_unknown(ids)) {
            st = keep_word(u, text, len, number, err);
            any = true;
        }
        tokens += ldm_text_ids_used(ids) - 2;
        room = ldm_text_ids_length(ids);
        ldm_text_ids_free(ids);
        text += len;
    }
    u->texts += any;
    return st;
}

/* Whether the vocabulary has a piece that is the whole word. */
static bool knows(const ldm_text_vocab *vocab, const char *word)
{
    const size_t size = ldm_text_vocab_size(vocab);

    for (size_t i = 0; i < size; i++) {
        if (!strcmp(ldm_vocab_piece(vocab, i), word))
            return true;
    }
    return false;
}

/* Whether one letter stands for another and all else is equal: "frog" and "from". */
static bool is_replaced(const char *a, const char *b)
{
    size_t differ = 0;

    if (strlen(a) != strlen(b))
        return false;
    for (size_t i = 0; a[i]; i++)
        differ += a[i] != b[i];
    return differ == 1;
}

/* The word of the vocabulary that was probably meant, or NULL. Of short words a replaced letter
 * more often makes another word than a mistyped one: "cat" is no "cap". */
static const char *nearest(const ldm_text_vocab *vocab, const char *word)
{
    enum { SHORT = 6, LONGEST = 32 };
    const size_t size = ldm_text_vocab_size(vocab);
    char small[LONGEST];
    const char *found = NULL;
    size_t best;

    if (strlen(word) >= sizeof small)
        return NULL;
    ldm_lower(small, sizeof small, word);
    best = ldm_edit_limit(small) + 1;
    for (size_t i = 0; i < size; i++) {
        const char *piece = ldm_vocab_piece(vocab, i);
        size_t d;

        if (goes_on(piece) || *piece == '[' || strlen(piece) < 3 ||
            (strlen(small) < SHORT && is_replaced(small, piece)))
            continue;
        d = ldm_edit_distance(small, piece, best - 1);
        if (d < best) {
            best = d;
            found = piece;
        }
    }
    return found;
}

/* Ways to deny that are not "no" and "without"; an apostrophe ends a word: "isn't". */
static bool is_denial(const char *word)
{
    static const char *const ways[] = {"not", "never", "non",  "isn",   "aren",
                                       "don", "doesn", "hasn", "cannot"};

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (!strcasecmp(word, ways[i]))
            return true;
    }
    return false;
}

/* `not (say "no" or "without")`, `blu ("blue"?)`, and where there are several texts the first that
 * has it: `blu (prompt 3; "blue"?)`. */
static void put_word(ldm_str *s, const ldm_text_vocab *vocab, const unknown_word *w,
                     const char *which, size_t texts)
{
    const bool denies = is_denial(w->text) && knows(vocab, "no") && knows(vocab, "without");
    const char *near = denies ? NULL : nearest(vocab, w->text);

    ldm_str_puts(s, s->len ? ", " : "");
    ldm_str_put_short(s, w->text, SHOWN);
    if (texts > 1 || near || denies)
        ldm_str_puts(s, " (");
    if (texts > 1)
        ldm_str_printf(s, "%s %zu%s", which, w->first + 1, near || denies ? "; " : "");
    if (near) {
        ldm_str_puts(s, "\"");
        ldm_str_put_short(s, near, SHOWN);
        ldm_str_puts(s, "\"?");
    } else if (denies) {
        ldm_str_puts(s, "say \"no\" or \"without\"");
    }
    if (texts > 1 || near || denies)
        ldm_str_puts(s, ")");
}

static ldm_status add_note(ldm_notes *notes, const ldm_text_vocab *vocab, const unknown_words *u,
                           const char *which, size_t texts, ldm_error *err)
{
    ldm_str words = {0};
    ldm_status st;

    for (size_t i = 0; i < u->count && i < NAMED; i++)
        put_word(&words, vocab, &u->words[i], which, texts);
    if (u->count > NAMED)
        ldm_str_printf(&words, " and %s%zu other%s", u->more ? "more than " : "", u->count - NAMED,
                       u->count - NAMED == 1 ? "" : "s");
    if (words.failed)
        st = ldm_error_nomem(err, 0, "a note");
    else if (texts == 1)
        st = ldm_notes_add(notes, err, "this model knows few words; of the %s it does not know: %s",
                           which, words.data);
    else
        st = ldm_notes_add(notes, err,
                           "this model knows few words; in %zu of the %zu %ss it does not know: %s",
                           u->texts, texts, which, words.data);
    ldm_str_free(&words);
    return st;
}

ldm_status ldm_unknown_words_note(ldm_notes *notes, const ldm_text_vocab *vocab, const char *which,
                                  const char *const *texts, size_t count, ldm_error *err)
{
    unknown_words *u;
    ldm_status st = LDM_OK;

    if (ldm_text_vocab_size(vocab) >= LARGE)
        return LDM_OK;
    u = ldm_calloc(1, sizeof *u);
    if (!u)
        return ldm_error_nomem(err, sizeof *u, "a note");
    for (size_t i = 0; !st && i < count; i++)
        st = list_unknown(vocab, texts[i], i, u, err);
    if (!st && u->count)
        st = add_note(notes, vocab, u, which, count, err);
    for (size_t i = 0; i < u->count; i++)
        ldm_free(u->words[i].text);
    ldm_free(u);
    return st;
}
