/* SPDX-License-Identifier: MIT */
/* YAML text into a tree, on libfyaml's event parser.
 *
 * It reads events and not libfyaml's documents. A document handles aliases, merge keys and
 * duplicate keys by recursion and by comparing nodes; here they are handled with limits, so that
 * hostile text takes bounded time and stack. In the resulting tree, aliases share their target. */
#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "config/tree.h"

/* A map or list that is being read. */
typedef struct frame {
    ldm_value *node;
    ldm_value **items; /* on the heap while it grows */
    size_t count, cap;
    ldm_value **merges; /* maps: targets of "<<", in order */
    size_t merge_count, merge_cap;
    const char *anchor;
    const char *key; /* maps: the key that waits for its value */
    int key_line, key_column;
    bool key_is_merge;
} frame;

typedef struct anchor {
    const char *name;
    ldm_value *node;
} anchor;

typedef struct parser {
    const ldm_yaml_input *in;
    ldm_arena *arena;
    ldm_error *err;
    frame frames[LDM_CONFIG_MAX_DEPTH];
    int depth;
    anchor *anchors;
    size_t anchor_count, anchor_cap, values;
    ldm_value *root;
} parser;

typedef struct place {
    int line, column; /* 1-based */
} place;

static ldm_status fail_at(const ldm_yaml_input *in, ldm_error *err, place at, ldm_status code,
                          const char *what, const char *detail)
{
    if (!in->positions) /* a value from the command line has no line to report */
        return ldm_error_set(err, code, "%s: %s%.300s", in->name, what, detail);
    return ldm_error_at_line(err, code, at.line, at.column, "%s:%d:%d: %s%.300s", in->name, at.line,
                             at.column, what, detail);
}

static ldm_status fail(const parser *p, place at, ldm_status code, const char *what,
                       const char *detail)
{
    return fail_at(p->in, p->err, at, code, what, detail);
}

static ldm_status nomem(const parser *p)
{
    if (ldm_arena_over_limit(p->arena))
        return ldm_error_set(p->err, LDM_ERR_LIMIT, "%s: too large; make it smaller", p->in->name);
    return ldm_error_nomem(p->err, 0, "the configuration");
}

/* A byte run that is not UTF-8, or a character that YAML forbids, is refused before libfyaml sees
 * it. Returns its length, 0 if it is to be refused. */
static size_t character_length(const unsigned char *s, size_t left)
{
    static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned long c = s[0];
    size_t len, i;

    if (c < 0x80)
        return c >= 0x20 ? c != 0x7f : c == '\t' || c == '\n' || c == '\r';
    len = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc0 && c < 0xe0 ? 2 : 0;
    if (!len || len > left)
        return 0;
    c &= 0x7fU >> len;
    for (i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || (c < 0xa0 && c != 0x85) ||
        c == 0xfeff || c == 0xfffe || c == 0xffff)
        return 0;
    return len;
}

/* Whether a token may begin here. libfyaml reads a whole line, and a whole flow collection, before
 * it returns their first event, and it takes 350 bytes for each token. Counting tokens in advance
 * is the only bound on that memory. */
static bool is_indicator(const unsigned char *s, size_t left)
{
    switch (*s) {
    /* clang-format off */
    case '[': case ']': case '{': case '}': case ',':
    case '&': case '*': case '!': case '"': case '\'':
        return true;
    /* clang-format on */
    case '-':
    case '?':
    case ':':
        return left < 2 || !s[1] || (s[1] < 0x80 && strchr(" \t\r\n[]{},\"'", s[1]));
    default:
        return false;
    }
}

/* libfyaml (0.7.12, and 1.0 still) frees a key twice where blanks with a tab part its ':' from an
 * indicator, as in "? a:<tab>?": an explicit key must have come before. Follows the text character
 * by character; true where that would happen. */
typedef struct tab_watch {
    bool explicit_key, after_colon, after_tab;
} tab_watch;

static bool tab_parts_indicators(tab_watch *w, const unsigned char *s, size_t left)
{
    bool bad = w->after_tab && strchr("?:|>-", *s) && w->explicit_key;

    if (*s == '?' && (left < 2 || strchr(" \t\r\n", s[1])))
        w->explicit_key = true;
    w->after_tab = w->after_colon && (*s == '\t' || (*s == ' ' && w->after_tab));
    w->after_colon = *s == ':' || (w->after_colon && (*s == ' ' || *s == '\t'));
    return bad;
}

ldm_status ldm_yaml_check_text(const ldm_yaml_input *in, ldm_error *err)
{
    const unsigned char *s = (const unsigned char *)in->text;
    place at = {1, 1};
    size_t i = 0, indicators = 0;
    tab_watch watch = {false, false, false};

    while (i < in->size) {
        const size_t len = character_length(s + i, in->size - i);
        char detail[64];

        if (!len) {
            snprintf(detail, sizeof detail, "0x%02x%s", s[i],
                     ldm_is_utf16(in->text, in->size) ? "; it is UTF-16: save it as UTF-8" : "");
            return fail_at(in, err, at, LDM_ERR_FORMAT,
                           "not YAML text: this must be UTF-8 without control "
                           "characters; found byte ",
                           detail);
        }
        indicators += is_indicator(s + i, in->size - i);
        if (indicators > LDM_CONFIG_MAX_INDICATORS)
            return fail_at(in, err, at, LDM_ERR_LIMIT,
                           "more values than a configuration may have; make it smaller", "");
        if (tab_parts_indicators(&watch, s + i, in->size - i)) {
            snprintf(detail, sizeof detail, "%c", s[i]);
            return fail_at(in, err, at, LDM_ERR_UNSUPPORTED,
                           "with explicit keys (?) in the text, this must be parted from the ':' "
                           "before it by blanks, not tabs: ",
                           detail);
        }
        at.column++;
        if (s[i] == '\n' || (s[i] == '\r' && (i + 1 == in->size || s[i + 1] != '\n'))) {
            at.line++;
            at.column = 1;
        }
        i += len;
    }
    return LDM_OK;
}

/* Where an event begins. An omitted value ("key:") has no position of its own and takes that of its
 * key. */
static place event_place(const parser *p, struct fy_event *ev)
{
    const struct fy_mark *mark = fy_event_start_mark(ev);
    const frame *f = p->depth ? &p->frames[p->depth - 1] : NULL;
    place at = {1, 1};

    if (mark) {
        at.line = mark->line + 1;
        at.column = mark->column + 1;
    } else if (f && f->key) {
        at.line = f->key_line;
        at.column = f->key_column;
    } else if (f && f->node->line) {
        at.line = f->node->line;
        at.column = f->node->column;
    }
    return at;
}

/* A copy of a token's text; *out is NULL where there is no token. */
static ldm_status token_text(const parser *p, struct fy_token *token, place at, const char **out)
{
    const char *text = "";
    size_t len = 0;

    *out = NULL;
    if (!token)
        return LDM_OK;
    text = fy_token_get_text(token, &len);
    if (text && len && memchr(text, '\0', len))
        return fail(p, at, LDM_ERR_FORMAT, "a NUL character (\\0) in text; remove it", "");
    *out = ldm_arena_strndup(p->arena, text ? text : "", text ? len : 0);
    return *out ? LDM_OK : nomem(p);
}

/* As token_text for the text of a scalar, piece by piece: fy_token_get_text of libfyaml 0.7.12
 * leaks where quotes or line breaks cut the text into more than eight pieces. */
static ldm_status scalar_text(const parser *p, struct fy_token *token, place at, const char **out)
{
    struct fy_token_iter *iter = token ? fy_token_iter_create(token) : NULL;
    const struct fy_iter_chunk *chunk = NULL;
    ldm_str text = {NULL};
    int failed = 0;
    ldm_status st = LDM_OK;

    *out = "";
    if (!token)
        return LDM_OK;
    if (!iter)
        return nomem(p);
    while ((chunk = fy_token_iter_chunk_next(iter, chunk, &failed)) != NULL)
        ldm_str_append(&text, chunk->str, chunk->len);
    fy_token_iter_destroy(iter);
    if (failed || text.failed)
        st = nomem(p);
    else if (text.len && memchr(text.data, '\0', text.len))
        st = fail(p, at, LDM_ERR_FORMAT, "a NUL character (\\0) in text; remove it", "");
    else if (text.len && (*out = ldm_arena_strndup(p->arena, text.data, text.len)) == NULL)
        st = nomem(p);
    ldm_str_free(&text);
    return st;
}

static ldm_status new_node(parser *p, place at, ldm_value_kind kind, ldm_value **out)
{
    ldm_value *v;

    if (++p->values > LDM_CONFIG_MAX_VALUES)
        return fail(p, at, LDM_ERR_LIMIT,
                    "more values than a configuration may have; make it "
                    "smaller",
                    "");
    v = ldm_arena_alloc(p->arena, 1, sizeof *v);
    if (!v)
        return nomem(p);
    v->kind = kind;
    v->source = p->in->source;
    if (p->in->positions) {
        v->line = at.line;
        v->column = at.column;
    }
    *out = v;
    return LDM_OK;
}

static ldm_status add_anchor(parser *p, const char *name, place at, ldm_value *node)
{
    if (!name)
        return LDM_OK;
    if (p->anchor_count == LDM_CONFIG_MAX_ANCHORS)
        return fail(p, at, LDM_ERR_LIMIT, "too many anchors; this one is &", name);
    if (!ldm_grow(&p->anchors, &p->anchor_cap, p->anchor_count + 1, sizeof *p->anchors))
        return nomem(p);
    p->anchors[p->anchor_count++] = (anchor){name, node};
    return LDM_OK;
}

static ldm_status push_item(const parser *p, ldm_value ***items, size_t *count, size_t *cap,
                            ldm_value *v)
{
    if (!ldm_grow(items, cap, *count + 1, sizeof **items))
        return nomem(p);
    (*items)[(*count)++] = v;
    return LDM_OK;
}

/* The value of "<<": a map, or a list of maps. */
static ldm_status add_merge(parser *p, frame *f, ldm_value *v, place at)
{
    size_t i;
    ldm_status st = LDM_OK;

    if (v->kind == LDM_VALUE_MAP)
        return push_item(p, &f->merges, &f->merge_count, &f->merge_cap, v);
    for (i = 0; v->kind == LDM_VALUE_LIST && i < v->u.list.count && !st; i++) {
        if (v->u.list.items[i]->kind != LDM_VALUE_MAP)
            break;
        st = push_item(p, &f->merges, &f->merge_count, &f->merge_cap, v->u.list.items[i]);
    }
    if (st || (v->kind == LDM_VALUE_LIST && i == v->u.list.count))
        return st;
    return fail(p, at, LDM_ERR_CONFIG, "the merge key << takes a map or a list of maps, not ",
                ldm_value_kind_name(v->kind));
}

/* Puts a finished value into the collection that is being read. `v` may be shared with an anchor,
 * so a shallow copy of it receives the key. */
static ldm_status deliver(parser *p, ldm_value *v, place at)
{
    frame *f = p->depth ? &p->frames[p->depth - 1] : NULL;
    ldm_value *own;
    char index[24];

    if (!f) {
        p->root = v;
        return LDM_OK;
    }
    if (f->node->kind == LDM_VALUE_MAP && f->key_is_merge) {
        f->key = NULL;
        f->key_is_merge = false;
        return add_merge(p, f, v, at);
    }
    own = ldm_arena_alloc(p->arena, 1, sizeof *own);
    if (!own)
        return nomem(p);
    *own = *v;
    if (f->node->kind == LDM_VALUE_MAP) {
        own->key = f->key;
        own->key_line = f->key_line;
        own->key_column = f->key_column;
        /* A map or list stands where its key does, not where its first entry is. */
        if (p->in->positions && (own->kind == LDM_VALUE_MAP || own->kind == LDM_VALUE_LIST)) {
            own->line = f->key_line;
            own->column = f->key_column;
        }
        f->key = NULL;
    } else {
        snprintf(index, sizeof index, "%zu", f->count);
        own->key = ldm_arena_strdup(p->arena, index);
        if (!own->key)
            return nomem(p);
    }
    return push_item(p, &f->items, &f->count, &f->cap, own);
}

/* True if the next event is a key. */
static bool wants_key(const parser *p)
{
    const frame *f = p->depth ? &p->frames[p->depth - 1] : NULL;

    return f && f->node->kind == LDM_VALUE_MAP && !f->key;
}

static ldm_status refuse_key(const parser *p, place at, const char *found)
{
    return fail(p, at, LDM_ERR_CONFIG, "a key must be plain text, not ", found);
}

static ldm_status take_key(parser *p, const char *text, bool plain, place at)
{
    frame *f = &p->frames[p->depth - 1];

    if (!*text)
        return refuse_key(p, at, "empty");
    if (strlen(text) > LDM_CONFIG_MAX_KEY)
        return fail(p, at, LDM_ERR_LIMIT, "this key is too long: ", text);
    f->key = text;
    f->key_line = at.line;
    f->key_column = at.column;
    f->key_is_merge = plain && !strcmp(text, "<<");
    return LDM_OK;
}

static bool has_tag(const char *tag, const char *name)
{
    static const char prefix[] = "tag:yaml.org,2002:";

    return tag && !strncmp(tag, prefix, sizeof prefix - 1) &&
           !strcmp(tag + sizeof prefix - 1, name);
}

/* Gives a scalar its type: quoted and block text stays text, and a tag takes precedence. */
static ldm_status type_scalar(const parser *p, ldm_value *v, const char *text, bool plain,
                              const char *tag, place at)
{
    v->kind = LDM_VALUE_STRING;
    v->u.text = text;
    if (!tag) {
        if (plain)
            ldm_scalar_resolve(text, v);
        return LDM_OK;
    }
    if (!strcmp(tag, "!") || has_tag(tag, "str"))
        return LDM_OK;
    ldm_scalar_resolve(text, v);
    if (has_tag(tag, "float") && v->kind == LDM_VALUE_INT) {
        v->kind = LDM_VALUE_FLOAT;
        v->u.real = (double)v->u.integer;
    }
    if ((has_tag(tag, "null") && v->kind == LDM_VALUE_NULL) ||
        (has_tag(tag, "bool") && v->kind == LDM_VALUE_BOOL) ||
        (has_tag(tag, "int") && v->kind == LDM_VALUE_INT) ||
        (has_tag(tag, "float") && v->kind == LDM_VALUE_FLOAT))
        return LDM_OK;
    return fail(p, at, LDM_ERR_CONFIG,
                "this value does not fit its tag, or the tag is unknown: ", tag);
}

static ldm_status on_scalar(parser *p, struct fy_event *ev)
{
    place at = event_place(p, ev);
    const char *name, *tag, *text;
    enum fy_scalar_style style = FYSS_PLAIN;
    ldm_value *v;
    ldm_status st;

    if (ev->scalar.value)
        style = fy_token_scalar_style(ev->scalar.value);
    if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && at.column > 1)
        at.column--; /* libfyaml reports the column after the quote */
    if ((st = token_text(p, ev->scalar.anchor, at, &name)) ||
        (st = token_text(p, ev->scalar.tag, at, &tag)) ||
        (st = scalar_text(p, ev->scalar.value, at, &text)) ||
        (st = new_node(p, at, LDM_VALUE_STRING, &v)))
        return st;
    st = type_scalar(p, v, text, style == FYSS_PLAIN, tag, at);
    if (!st)
        st = add_anchor(p, name, at, v);
    if (st)
        return st;
    return wants_key(p) ? take_key(p, text, style == FYSS_PLAIN && !tag, at) : deliver(p, v, at);
}

static ldm_status on_alias(parser *p, struct fy_event *ev)
{
    place at = event_place(p, ev);
    const char *name;
    size_t i;
    ldm_status st;

    if (at.column > 1)
        at.column--; /* libfyaml reports the column after the star */
    st = token_text(p, ev->alias.anchor, at, &name);
    if (st)
        return st;
    if (wants_key(p))
        return refuse_key(p, at, "an alias");
    for (i = p->anchor_count; name && i-- > 0;) {
        if (strcmp(p->anchors[i].name, name))
            continue;
        if (++p->values > LDM_CONFIG_MAX_VALUES)
            break;
        return deliver(p, p->anchors[i].node, at);
    }
    return fail(p, at, LDM_ERR_CONFIG, "no anchor of this name is complete above this line: *",
                name ? name : "");
}

static ldm_status on_start(parser *p, struct fy_event *ev, ldm_value_kind kind,
                           struct fy_token *anchor_token, struct fy_token *tag_token)
{
    const place at = event_place(p, ev);
    const char *name, *tag;
    ldm_value *v;
    frame *f;
    ldm_status st;

    if (wants_key(p))
        return refuse_key(p, at, ldm_value_kind_name(kind));
    if (p->depth == LDM_CONFIG_MAX_DEPTH)
        return fail(p, at, LDM_ERR_LIMIT, "nested too deeply; make it flatter", "");
    if ((st = token_text(p, anchor_token, at, &name)) ||
        (st = token_text(p, tag_token, at, &tag)) || (st = new_node(p, at, kind, &v)))
        return st;
    if (tag && strcmp(tag, "!") && !has_tag(tag, kind == LDM_VALUE_MAP ? "map" : "seq"))
        return fail(p, at, LDM_ERR_CONFIG, "unknown tag: ", tag);
    f = &p->frames[p->depth++];
    memset(f, 0, sizeof *f);
    f->node = v;
    f->anchor = name;
    return LDM_OK;
}

/* An entry of a map, for finding duplicate keys; order is its place in the list. */
typedef struct entry {
    ldm_value *value;
    size_t order;
} entry;

static int by_key_and_order(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int order = strcmp(x->value->key, y->value->key);

    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

static int by_order(const void *a, const void *b)
{
    const entry *x = a, *y = b;

    return x->order < y->order ? -1 : x->order > y->order;
}

/* Fills f->node's list with the map's own entries and those that "<<" merges in. Of equal keys the
 * map's own takes precedence, then the first one merged. Two own entries with the same key are an
 * error. */
static ldm_status finish_map(parser *p, frame *f)
{
    size_t total = f->count, kept = 0, i, j;
    entry *all = NULL;
    ldm_status st = LDM_OK;

    for (i = 0; i < f->merge_count; i++)
        total += f->merges[i]->u.list.count;
    p->values += total - f->count;
    if (p->values > LDM_CONFIG_MAX_VALUES)
        return ldm_error_set(p->err, LDM_ERR_LIMIT,
                             "%s: more than %zu values once merge keys are expanded; make it "
                             "smaller",
                             p->in->name, LDM_CONFIG_MAX_VALUES);
    all = ldm_reallocarray(NULL, total, sizeof *all);
    if (!all)
        return nomem(p);
    for (i = 0; i < f->count; i++)
        all[i] = (entry){f->items[i], i};
    total = f->count;
    for (i = 0; i < f->merge_count; i++) {
        for (j = 0; j < f->merges[i]->u.list.count; j++, total++)
            all[total] = (entry){f->merges[i]->u.list.items[j], total};
    }
    if (total)
        qsort(all, total, sizeof *all, by_key_and_order);
    for (i = 0; i < total; i++) {
        if (!kept || strcmp(all[kept - 1].value->key, all[i].value->key)) {
            all[kept++] = all[i];
        } else if (all[i].order < f->count) {
            const place at = {all[i].value->key_line, all[i].value->key_column};

            char detail[LDM_CONFIG_MAX_KEY + 64];

            snprintf(detail, sizeof detail, "%s, first on line %d; remove one", all[i].value->key,
                     all[kept - 1].value->key_line);
            st = fail(p, at, LDM_ERR_CONFIG, "duplicate key ", detail);
            goto done;
        }
    }
    if (kept)
        qsort(all, kept, sizeof *all, by_order);
    f->node->u.list.items = ldm_arena_alloc(p->arena, kept, sizeof *f->node->u.list.items);
    if (!f->node->u.list.items) {
        st = nomem(p);
        goto done;
    }
    for (i = 0; i < kept; i++)
        f->node->u.list.items[i] = all[i].value;
    f->node->u.list.count = kept;
    if (!ldm_map_sort(f->node, p->arena))
        st = nomem(p);
done:
    ldm_free(all);
    return st;
}

static ldm_status finish_list(parser *p, frame *f)
{
    f->node->u.list.items = ldm_arena_alloc(p->arena, f->count, sizeof *f->node->u.list.items);
    if (!f->node->u.list.items)
        return nomem(p);
    if (f->count)
        memcpy(f->node->u.list.items, f->items, f->count * sizeof *f->items);
    f->node->u.list.count = f->count;
    return LDM_OK;
}

static void free_frame(frame *f)
{
    ldm_free(f->items);
    ldm_free(f->merges);
}

static ldm_status on_end(parser *p, struct fy_event *ev)
{
    const place at = event_place(p, ev);
    frame f = p->frames[--p->depth];
    ldm_status st;

    st = f.node->kind == LDM_VALUE_MAP ? finish_map(p, &f) : finish_list(p, &f);
    /* An anchor becomes known at the end of its value, so a value cannot contain itself. */
    if (!st)
        st = add_anchor(p, f.anchor, at, f.node);
    free_frame(&f);
    return st ? st : deliver(p, f.node, at);
}

static ldm_status on_event(parser *p, struct fy_event *ev, int *documents)
{
    switch (ev->type) {
    case FYET_DOCUMENT_START:
        if (++*documents > 1)
            return fail(p, event_place(p, ev), LDM_ERR_CONFIG,
                        "a second document begins here; a configuration is one document", "");
        return LDM_OK;
    case FYET_SCALAR:
        return on_scalar(p, ev);
    case FYET_ALIAS:
        return on_alias(p, ev);
    case FYET_MAPPING_START:
        return on_start(p, ev, LDM_VALUE_MAP, ev->mapping_start.anchor, ev->mapping_start.tag);
    case FYET_SEQUENCE_START:
        return on_start(p, ev, LDM_VALUE_LIST, ev->sequence_start.anchor, ev->sequence_start.tag);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return on_end(p, ev);
    default:
        return LDM_OK;
    }
}

/* libfyaml's first complaint as our error. */
static ldm_status syntax_error(const parser *p, struct fy_diag *diag)
{
    void *iter = NULL;
    const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &iter);
    place at = {1, 1};

    if (!e)
        return ldm_error_set(p->err, LDM_ERR_FORMAT, "%s: not readable as YAML", p->in->name);
    at.line = e->line > 0 ? e->line : 1;
    at.column = e->column > 0 ? e->column : 1;
    return fail(p, at, LDM_ERR_FORMAT, "not readable as YAML: ", e->msg ? e->msg : "");
}

static ldm_status parse_events(parser *p, const char *text, size_t size)
{
    /* No stream and no callback: libfyaml's messages are collected and not printed. */
    const struct fy_diag_cfg quiet = {.level = FYET_ERROR, .module_mask = ~0U};
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE |
                                        FYPCF_SLOPPY_FLOW_INDENTATION};
    struct fy_parser *fy = NULL;
    struct fy_event *ev;
    int documents = 0;
    ldm_status st = LDM_OK;

    cfg.diag = fy_diag_create(&quiet);
    if (!cfg.diag)
        return nomem(p);
    fy_diag_set_collect_errors(cfg.diag, true);
    fy = fy_parser_create(&cfg);
    if (!fy || fy_parser_set_string(fy, text, size)) {
        st = nomem(p);
        goto done;
    }
    while (!st && (ev = fy_parser_parse(fy)) != NULL) {
        st = on_event(p, ev, &documents);
        fy_parser_event_free(fy, ev);
    }
    if (!st && (fy_parser_get_stream_error(fy) || p->depth))
        st = syntax_error(p, cfg.diag);
done:
    while (p->depth)
        free_frame(&p->frames[--p->depth]);
    fy_parser_destroy(fy);
    fy_diag_destroy(cfg.diag);
    return st;
}

ldm_status ldm_yaml_parse(const ldm_yaml_input *in, ldm_arena *arena, ldm_value **out,
                          ldm_error *err)
{
    ldm_yaml_input body = *in; /* after the byte order mark */
    parser *p;
    ldm_status st;

    *out = NULL;
    if (in->size > LDM_CONFIG_MAX_BYTES)
        return ldm_error_set(
            err, LDM_ERR_LIMIT,
            "%s: %zu bytes; a configuration has at most %zu: is this another file?", in->name,
            in->size, LDM_CONFIG_MAX_BYTES);
    body.text += ldm_utf8_mark(in->text, in->size);
    body.size -= (size_t)(body.text - in->text);
    p = ldm_calloc(1, sizeof *p);
    if (!p)
        return ldm_error_nomem(err, sizeof *p, "the YAML parser");
    p->in = in;
    p->arena = arena;
    p->err = err;
    st = ldm_yaml_check_text(&body, err);
    if (!st && body.size) {
        /* libfyaml looks ahead: give it a copy that ends with a NUL. */
        const char *copy = ldm_arena_strndup(arena, body.text, body.size);

        st = copy ? parse_events(p, copy, body.size) : nomem(p);
    }
    if (!st)
        *out = p->root;
    ldm_free(p->anchors);
    ldm_free(p);
    return st;
}
