/* SPDX-License-Identifier: MIT */
/* Drawing facts and the sentence that tells them. */
#include "caption/caption.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "caption/grammar.h"

/* A rule may call itself. A caption of the shipped grammar takes some 60 calls, at most 6 deep. */
enum { DEEPEST = 64, MOST_CALLS = 20000, LONGEST = 4096 };

typedef struct speaker {
    const ldm_grammar *g;
    const char **facts; /* [g->fact_count], the values drawn so far */
    uint64_t state;     /* of the random numbers */
    int depth, calls;
    bool lost;         /* no end was found */
    const char *stuck; /* the first fact or rule that had no line that holds */
    bool stuck_fact;
} speaker;

/* SplitMix64 (Steele, Lea and Flood 2014): a number from 0 to 1, 1 excluded. */
static double uniform(speaker *s)
{
    uint64_t z = s->state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static bool holds(const speaker *s, const ldm_way *w)
{
    size_t i, k;

    for (i = 0; i < w->condition_count; i++) {
        const ldm_condition *c = &w->conditions[i];

        for (k = 0; k < c->count && strcmp(c->values[k], s->facts[c->fact]); k++)
            ;
        if ((k < c->count) != c->wanted)
            return false;
    }
    return true;
}

/* One of the ways that are left, by their shares; NULL: none is. */
static const ldm_way *pick(speaker *s, const ldm_ways *ways, const bool *left)
{
    const ldm_way *last = NULL;
    double sum = 0;
    size_t i;

    for (i = 0; i < ways->count; i++)
        sum += left[i] ? ways->at[i].share : 0;
    sum *= uniform(s);
    for (i = 0; i < ways->count; i++) {
        if (!left[i])
            continue;
        last = &ways->at[i];
        sum -= last->share;
        if (sum < 0)
            break;
    }
    return last;
}

static bool expand(speaker *s, size_t rule, uint64_t *told, ldm_str *out);

/* `low` to `high` texts of a rule, as many as there are. */
static bool several(speaker *s, const ldm_piece *p, uint64_t *told, ldm_str *out)
{
    const int wanted = p->low + (int)(uniform(s) * (p->high - p->low + 1));
    size_t last = 0; /* where the text before begins to be joined to this one */
    int n;

    for (n = 0; n < wanted; n++) {
        const size_t before = out->len;

        if (n)
            ldm_str_puts(out, p->join == LDM_JOIN_SPACE ? " " : ", ");
        if (!expand(s, p->rule, told, out)) {
            out->len = before;
            break;
        }
        if (n)
            last = before;
    }
    if (n > 1 && p->join == LDM_JOIN_AND && !out->failed) {
        /* ", c" becomes " and c": three characters more */
        ldm_str_puts(out, "   ");
        if (!out->failed) {
            memmove(out->data + last + 5, out->data + last + 2, out->len - last - 5);
            memcpy(out->data + last, " and ", 5);
        }
    }
    return n >= p->low;
}

static bool fill(speaker *s, const ldm_way *w, uint64_t *told, ldm_str *out)
{
    size_t i;

    for (i = 0; i < w->piece_count; i++) {
        const ldm_piece *p = &w->pieces[i];

        if (p->words)
            ldm_str_puts(out, p->words);
        else if (!(p->join ? several(s, p, told, out) : expand(s, p->rule, told, out)))
            return false;
    }
    return true;
}

/* A text of the rule behind what out holds, or false and out as it was, where nothing can be told.
 * *told gains the topics that it tells. */
static bool expand(speaker *s, size_t rule, uint64_t *told, ldm_str *out)
{
    const ldm_ways *ways = &s->g->rules[rule];
    const size_t before = out->len;
    bool left[LDM_GRAMMAR_WAYS], done = false;
    const ldm_way *w;
    size_t i;

    s->lost |= s->depth == DEEPEST || ++s->calls > MOST_CALLS || out->len > LONGEST;
    if (s->lost)
        return false;
    s->depth++;
    for (i = 0; i < ways->count; i++) {
        w = &ways->at[i];
        left[i] = (w->topic < 0 || !(*told >> w->topic & 1)) && holds(s, w);
    }
    while (!done && !s->lost && (w = pick(s, ways, left))) {
        uint64_t mine = *told | (w->topic < 0 ? 0 : (uint64_t)1 << w->topic);

        done = fill(s, w, &mine, out);
        if (done)
            *told = mine;
        else
            out->len = before;
        left[w - ways->at] = false;
    }
    s->depth--;
    if (!done && !s->stuck)
        s->stuck = ways->name;
    return done;
}

static bool draw_facts(speaker *s)
{
    bool left[LDM_GRAMMAR_WAYS];
    size_t i, k;

    for (i = 0; i < s->g->fact_count; i++) {
        const ldm_ways *fact = &s->g->facts[i];
        const ldm_way *w;

        for (k = 0; k < fact->count; k++)
            left[k] = holds(s, &fact->at[k]);
        w = pick(s, fact, left);
        if (!w) {
            s->stuck = fact->name;
            s->stuck_fact = true;
            return false;
        }
        s->facts[i] = w->value;
    }
    return true;
}

static bool vowel(char c)
{
    return c && strchr("aeiou", c);
}

/* Makes spaces one, closes up commas and full stops, " - " too, and turns "a" before a vowel into
 * "an". */
static void finish(const char *text, ldm_str *out)
{
    const char *p = text;

    while (*p) {
        const size_t blank = strspn(p, " "), len = strcspn(p + blank, " ");
        const char *w = p + blank;
        const bool joined = len == 1 && *w == '-';

        if (!len)
            break;
        if (out->len && *w != ',' && *w != '.' && !joined && out->data[out->len - 1] != '-')
            ldm_str_puts(out, " ");
        ldm_str_append(out, w, len);
        p = w + len;
        if (len == 1 && *w == 'a' && vowel(p[strspn(p, " ")]))
            ldm_str_puts(out, "n");
    }
    if (!out->data)
        ldm_str_puts(out, "");
}

ldm_status ldm_grammar_caption(const ldm_grammar *g, uint64_t seed, char **out, ldm_error *err)
{
    speaker s = {.g = g, .state = seed};
    ldm_str raw = {0}, text = {0};
    uint64_t told = 0;
    ldm_status st = LDM_OK;
    bool done;

    *out = NULL;
    s.facts = ldm_reallocarray(NULL, g->fact_count + 1, sizeof *s.facts);
    if (!s.facts)
        return ldm_error_nomem(err, g->fact_count * sizeof *s.facts, "the facts of a caption");
    done = draw_facts(&s) && expand(&s, g->caption, &told, &raw);
    ldm_free(s.facts);
    if (done) {
        ldm_str_append(&raw, "", 0); /* ends it: what was cut off is still behind raw.len */
        finish(raw.failed ? "" : raw.data, &text);
    }
    if (raw.failed || text.failed)
        st = ldm_error_nomem(err, LONGEST, "a caption");
    else if (s.lost)
        st = ldm_error_set(err, LDM_ERR_LIMIT, "%s: the rules lead to no end", g->name);
    else if (!done)
        st = ldm_error_set(err, LDM_ERR_LIMIT,
                           "%s: %s '%.60s' has no line that holds for the facts drawn", g->name,
                           s.stuck_fact ? "fact" : "rule", s.stuck);
    ldm_str_free(&raw);
    if (st)
        ldm_str_free(&text);
    *out = text.data; /* handed on */
    return st;
}
