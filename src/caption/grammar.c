/* SPDX-License-Identifier: MIT */
/* Reading a grammar, line by line. */
#include "caption/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

enum { LARGEST_FILE = 1 << 20 };

typedef struct reader {
    ldm_grammar *g;
    const char *name;
    int line;
    ldm_ways *open; /* what the lines that follow belong to */
    bool of_facts;
    ldm_error *err;
} reader;

static ldm_status bad(const reader *r, const char *what, const char *shown)
{
    return ldm_error_set(r->err, LDM_ERR_FORMAT, "%s:%d: %s '%.60s'", r->name, r->line, what,
                         shown);
}

static ldm_status no_memory(const reader *r)
{
    return ldm_error_nomem(r->err, 0, "a grammar");
}

/* The next word of *p, which is cut off in place; NULL at the end. */
static char *word(char **p)
{
    char *at = *p + strspn(*p, " "), *end = at + strcspn(at, " ");

    if (!*at)
        return NULL;
    *p = *end ? end + 1 : end;
    *end = '\0';
    return at;
}

static bool find(const ldm_ways *list, size_t count, const char *name, size_t *out)
{
    for (*out = 0; *out < count; ++*out) {
        if (!strcmp(list[*out].name, name))
            return true;
    }
    return false;
}

/* ---- heads ------------------------------------------------------------------------------------
 */

/* "fact NAME" or "rule NAME" begins a list of lines. */
static ldm_status head(reader *r, char *text)
{
    ldm_grammar *g = r->g;
    char *p = text, *kind = word(&p), *name = word(&p);
    ldm_ways **list;
    size_t *count, *cap, at;

    if (!name || word(&p) || (strcmp(kind, "fact") && strcmp(kind, "rule")))
        return bad(r, "expected 'fact NAME' or 'rule NAME', found", text);
    r->of_facts = !strcmp(kind, "fact");
    list = r->of_facts ? &g->facts : &g->rules;
    count = r->of_facts ? &g->fact_count : &g->rule_count;
    cap = r->of_facts ? &g->fact_cap : &g->rule_cap;
    if (find(*list, *count, name, &at))
        return bad(r, "the second list of the name", name);
    if (!ldm_grow(list, cap, *count + 1, sizeof **list))
        return no_memory(r);
    r->open = &(*list)[(*count)++];
    *r->open = (ldm_ways){.name = ldm_arena_strdup(g->arena, name)};
    return r->open->name ? LDM_OK : no_memory(r);
}

/* ---- conditions -------------------------------------------------------------------------------
 */

static ldm_status condition(reader *r, char *text, ldm_condition *out)
{
    char *equal = strchr(text, '='), *value, *next;

    if (!equal || equal == text)
        return bad(r, "expected a condition such as hair=short|long, found", text);
    out->wanted = equal[-1] != '!';
    equal[out->wanted ? 0 : -1] = '\0';
    if (!find(r->g->facts, r->g->fact_count, text, &out->fact) ||
        (r->of_facts && r->g->facts + out->fact == r->open))
        return bad(r, "a condition on what is no fact above:", text);
    out->count = 1;
    for (value = equal + 1; *value; value++)
        out->count += *value == '|';
    out->values = ldm_arena_alloc(r->g->arena, out->count, sizeof *out->values);
    if (!out->values)
        return no_memory(r);
    out->count = 0;
    for (value = equal + 1; value; value = next) {
        next = strchr(value, '|');
        if (next)
            *next++ = '\0';
        out->values[out->count] = ldm_arena_strdup(r->g->arena, value);
        if (!out->values[out->count++])
            return no_memory(r);
    }
    return LDM_OK;
}

/* "[a=b c!=d]" at *p, if one stands there; *p goes behind it. */
static ldm_status conditions(reader *r, char **p, ldm_way *way)
{
    char *text, *end, *one;
    ldm_status st = LDM_OK;

    *p += strspn(*p, " ");
    if (**p != '[')
        return LDM_OK;
    text = *p + 1;
    end = strchr(text, ']');
    if (!end)
        return bad(r, "a bracket that does not close:", *p);
    *end = '\0';
    *p = end + 1;
    /* as many as there are words, at most half of the characters */
    way->conditions = ldm_arena_alloc(r->g->arena, strlen(text) / 2 + 1, sizeof *way->conditions);
    if (!way->conditions)
        return no_memory(r);
    while (!st && (one = word(&text)))
        st = condition(r, one, &way->conditions[way->condition_count++]);
    return st;
}

/* ---- texts ------------------------------------------------------------------------------------
 */

static ldm_status topic(reader *r, char **p, ldm_way *way)
{
    ldm_grammar *g = r->g;
    const char *name;

    way->topic = -1;
    *p += strspn(*p, " ");
    if (**p != '@')
        return LDM_OK;
    ++*p;
    name = word(p);
    if (!name)
        return bad(r, "a topic without a name:", "@");
    for (way->topic = 0; way->topic < g->topic_count; way->topic++) {
        if (!strcmp(g->topics[way->topic], name))
            return LDM_OK;
    }
    if (g->topic_count == LDM_GRAMMAR_TOPICS)
        return bad(r, "one topic too many:", name);
    g->topics[g->topic_count] = ldm_arena_strdup(g->arena, name);
    return g->topics[g->topic_count++] ? LDM_OK : no_memory(r);
}

/* The inside of braces: "rule", or "and rule 1 3". */
static ldm_status call(reader *r, char *text, ldm_piece *out)
{
    static const char *const joins[] = {"", "and", "comma", "space"};
    char *p = text, *words[5];
    size_t n = 0;
    int join;

    while (n < 5 && (words[n] = word(&p)))
        n++;
    if (n != 1 && n != 4)
        return bad(r, "expected {rule} or {and rule 1 3}, found", text);
    if (n == 4) {
        for (join = LDM_JOIN_AND; join <= LDM_JOIN_SPACE && strcmp(joins[join], words[0]); join++)
            ;
        out->join = (ldm_join)join;
        out->low = atoi(words[2]);
        out->high = atoi(words[3]);
        if (join > LDM_JOIN_SPACE || out->low < 0 || out->high < out->low || out->high > 99)
            return bad(r, "expected and, comma or space and two numbers up to 99, found", words[0]);
    }
    out->name = ldm_arena_strdup(r->g->arena, words[n == 4]);
    return out->name ? LDM_OK : no_memory(r);
}

static ldm_status pieces(reader *r, char *p, ldm_way *way)
{
    size_t room = 1;
    const char *c;
    ldm_status st = LDM_OK;

    for (c = p; *c; c++)
        room += *c == '{' ? 2 : 0;
    way->pieces = ldm_arena_alloc(r->g->arena, room, sizeof *way->pieces);
    if (!way->pieces)
        return no_memory(r);
    while (!st && *p) {
        ldm_piece *piece = &way->pieces[way->piece_count++];
        const size_t len = strcspn(p, "{");

        if (len) {
            piece->words = ldm_arena_strndup(r->g->arena, p, len);
            st = piece->words ? LDM_OK : no_memory(r);
            p += len;
        } else {
            char *end = strchr(p, '}');

            if (!end)
                return bad(r, "a brace that does not close:", p);
            *end = '\0';
            st = call(r, p + 1, piece);
            p = end + 1;
        }
    }
    return st;
}

/* ---- lines ------------------------------------------------------------------------------------
 */

/* "SHARE VALUE [CONDITIONS]" of a fact, "SHARE [CONDITIONS] @TOPIC TEXT" of a rule. */
static ldm_status way(reader *r, char *text)
{
    ldm_ways *open = r->open;
    char *p = text, *share = word(&p), *end, *value;
    ldm_way *w;
    ldm_status st;

    if (!open)
        return bad(r, "a line that belongs to no fact and no rule:", share);
    if (open->count == LDM_GRAMMAR_WAYS)
        return bad(r, "one line too many of", open->name);
    if (!ldm_grow(&open->at, &open->cap, open->count + 1, sizeof *open->at))
        return no_memory(r);
    w = &open->at[open->count++];
    *w = (ldm_way){.line = r->line, .share = strtod(share, &end), .topic = -1};
    if (end == share || *end || !(w->share > 0 && w->share < 1e9))
        return bad(r, "expected a share above 0, found", share);
    if (!r->of_facts) {
        st = conditions(r, &p, w);
        if (!st)
            st = topic(r, &p, w);
        p += strspn(p, " ");
        return st ? st : pieces(r, p, w);
    }
    value = word(&p);
    if (!value)
        return bad(r, "a fact's line without a value:", share);
    w->value = ldm_arena_strdup(r->g->arena, value);
    if (!w->value)
        return no_memory(r);
    st = conditions(r, &p, w);
    if (!st && p[strspn(p, " ")])
        return bad(r, "expected the end of the line, found", p);
    return st;
}

static ldm_status resolve(reader *r)
{
    const ldm_grammar *g = r->g;
    size_t i, k, n;

    for (i = 0; i < g->rule_count; i++) {
        for (k = 0; k < g->rules[i].count; k++) {
            const ldm_way *w = &g->rules[i].at[k];

            r->line = w->line;
            for (n = 0; n < w->piece_count; n++) {
                if (!w->pieces[n].words &&
                    !find(g->rules, g->rule_count, w->pieces[n].name, &w->pieces[n].rule))
                    return bad(r, "no rule has the name", w->pieces[n].name);
            }
        }
    }
    if (!find(g->rules, g->rule_count, "caption", &r->g->caption))
        return ldm_error_set(r->err, LDM_ERR_FORMAT, "%s: there is no rule 'caption'", r->name);
    return LDM_OK;
}

static ldm_status read_lines(reader *r, char *text)
{
    char *next;
    ldm_status st = LDM_OK;

    for (; !st && text; text = next) {
        next = strchr(text, '\n');
        if (next)
            *next++ = '\0';
        r->line++;
        text[strcspn(text, "\r")] = '\0';
        if (*text == '#' || !text[strspn(text, " ")])
            continue;
        st = *text == ' ' ? way(r, text) : head(r, text);
    }
    return st ? st : resolve(r);
}

/* A caption goes on to the tokenizer, which takes UTF-8; a NUL would end the grammar unseen. */
static ldm_status check_text(reader *r, const char *text, size_t bytes)
{
    size_t i, len;

    r->line = 1;
    for (i = 0; i < bytes; i += len) {
        len = text[i] ? ldm_utf8_len(text + i, bytes - i) : 0;
        if (!len)
            return ldm_error_set(r->err, LDM_ERR_FORMAT, "%s:%d: %s", r->name, r->line,
                                 text[i] ? "not UTF-8" : "a NUL, expected text");
        r->line += text[i] == '\n';
    }
    r->line = 0;
    return LDM_OK;
}

ldm_status ldm_grammar_parse(const char *name, const char *text, size_t bytes, ldm_grammar **out,
                             ldm_error *err)
{
    ldm_grammar *g = ldm_calloc(1, sizeof *g);
    reader r = {.g = g, .name = name, .err = err};
    const size_t mark = ldm_utf8_mark(text, bytes);
    char *copy;
    ldm_status st;

    *out = NULL;
    if (!g)
        return ldm_error_nomem(err, sizeof *g, "a grammar");
    st = check_text(&r, text, bytes);
    if (st) {
        ldm_grammar_free(g);
        return st;
    }
    g->arena = ldm_arena_create(0);
    g->name = g->arena ? ldm_arena_strdup(g->arena, name) : NULL;
    copy = g->name ? ldm_strndup(text + mark, bytes - mark) : NULL;
    st = copy ? read_lines(&r, copy) : ldm_error_nomem(err, bytes, "a grammar");
    ldm_free(copy);
    if (st) {
        ldm_grammar_free(g);
        return st;
    }
    *out = g;
    return LDM_OK;
}

ldm_status ldm_grammar_load(const char *path, ldm_grammar **out, ldm_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    ldm_status st = ldm_file_read(path, LARGEST_FILE, &text, &bytes, err);

    *out = NULL;
    if (!st)
        st = ldm_grammar_parse(path, text, bytes, out, err);
    ldm_free(text);
    return st;
}

void ldm_grammar_free(ldm_grammar *g)
{
    size_t i;

    if (!g)
        return;
    for (i = 0; i < g->fact_count; i++)
        ldm_free(g->facts[i].at);
    for (i = 0; i < g->rule_count; i++)
        ldm_free(g->rules[i].at);
    ldm_free(g->facts);
    ldm_free(g->rules);
    ldm_arena_free(g->arena);
    ldm_free(g);
}
