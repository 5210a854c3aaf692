/* SPDX-License-Identifier: MIT */
/* Other programs' prompt syntax; see prompt_syntax.h. */
#include "engine/prompt_syntax.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

/* "(red hair:1.4)": a weight, as other programs take it out of a prompt. */
static bool has_weight(const char *text)
{
    for (const char *at = strchr(text, '('); at; at = strchr(at + 1, '(')) {
        const char *end = at + strcspn(at, ":)");

        if (*end != ':')
            continue;
        end += 1 + strspn(end + 1, " -");
        if (*end >= '0' && *end <= '9' && end[strspn(end, "0123456789.")] == ')')
            return true;
    }
    return false;
}

/* "<lora:NAME:1>" and its like: a network that other programs load for a prompt. *len: its length.
 * NULL: there is none. */
static const char *find_network(const char *text, size_t *len)
{
    static const char *const kinds[] = {"<lora:", "<lyco:", "<hypernet:"};

    for (const char *at = strchr(text, '<'); at; at = strchr(at + 1, '<')) {
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            *len = strcspn(at, ">") + 1;
            if (!strncasecmp(at, kinds[i], strlen(kinds[i])) && at[*len - 1])
                return at;
        }
    }
    return NULL;
}

/* ---- the others, each with an example of its form -------------------------------------------- */

/* A word in capitals that stands alone: "a cat BREAK a dog". */
static bool has_word(const char *text, const char *word)
{
    const size_t len = strlen(word);

    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        if ((at == text || strchr(" ,\n", at[-1])) && (!at[len] || strchr(" ,\n", at[len])))
            return true;
    }
    return false;
}

static bool has_break(const char *text)
{
    return has_word(text, "BREAK");
}

static bool has_and(const char *text)
{
    return has_word(text, "AND");
}

/* `open`, something without it, `close`. */
static bool has_pair(const char *text, const char *open, const char *close)
{
    const char *at = strstr(text, open);

    return at && strstr(at + strlen(open) + 1, close);
}

static bool has_double(const char *text)
{
    return has_pair(text, "((", "))");
}

static bool has_square(const char *text)
{
    return has_pair(text, "[", "]");
}

static bool has_choice(const char *text)
{
    const char *at = strchr(text, '{');
    const char *bar = at ? strchr(at, '|') : NULL;

    return bar && strchr(bar, '}');
}

static bool has_wildcard(const char *text)
{
    return has_pair(text, "__", "__");
}

static bool has_embedding(const char *text)
{
    return strstr(text, "embedding:") != NULL;
}

/* compel's "cat++": a word with two signs or more at its end. */
static bool has_signs(const char *text)
{
    for (const char *at = strstr(text, "++"); at; at = strstr(at + 1, "++")) {
        const char *end = at + strspn(at, "+");

        if (at > text && !strchr(" C", at[-1]) && (!*end || strchr(" ,", *end)))
            return true; /* not C++ */
    }
    return false;
}

static ldm_status note_others(ldm_prompt_syntax *said, const char *text, ldm_notes *notes,
                              ldm_error *err)
{
    static const struct {
        bool (*has)(const char *text);
        const char *form;
    } forms[] = {
        {has_break, "BREAK"},
        {has_and, "AND"},
        {has_double, "((double brackets))"},
        {has_square, "[square brackets]"},
        {has_choice, "{one|or another}"},
        {has_wildcard, "__wildcards__"},
        {has_embedding, "embedding:NAME"},
        {has_signs, "word++"},
    };
    ldm_str list = {0};
    ldm_status st = LDM_OK;

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (forms[i].has(text))
            ldm_str_printf(&list, "%s%s", list.len ? ", " : "", forms[i].form);
    }
    if (list.failed)
        st = ldm_error_nomem(err, 0, "a note");
    else if (list.len) {
        said->others = true;
        st = ldm_notes_add(notes, err,
                           "other programs read the prompt's %s as instructions; here they are "
                           "plain text",
                           list.data);
    }
    ldm_str_free(&list);
    return st;
}

ldm_status ldm_prompt_syntax_note(ldm_prompt_syntax *said, const char *text, ldm_notes *notes,
                                  ldm_error *err)
{
    size_t len = 0;
    const char *network = said->networks ? NULL : find_network(text, &len);
    ldm_status st = LDM_OK;

    if (!said->weights && has_weight(text)) {
        said->weights = true;
        st = ldm_notes_add(notes, err,
                           "weights such as (red:1.4) belong to other programs; they are read as "
                           "plain text here");
    }
    if (!st && network) {
        said->networks = true;
        st = ldm_notes_add(notes, err,
                           "%.*s%s names a network to load (LoRA and the like), which ldm does not "
                           "have: it is read as words",
                           len > 60 ? 60 : (int)len, network, len > 60 ? "..." : "");
    }
    return st || said->others ? st : note_others(said, text, notes, err);
}
