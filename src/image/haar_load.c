/* SPDX-License-Identifier: MIT */
/* Reads a cascade in OpenCV's XML format. expat calls back for each element; the path of element
 * names decides what its text means. Whatever the file says is checked here, so that detection
 * needs no checks: trees end, features lie in the window, indices exist. */
#include <ctype.h>
#include <expat.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/haar.h"
#include "image/haar_cascade.h"

enum {
    PATH_CAP = 256,
    TEXT_CAP = 65536,
    FILE_CAP = 64 << 20,
    NUMBERS_CAP = 4096,
    /* What OpenCV's own cascades have: 100,000 elements, 60 of names that the trees are not made
     * of, 2 attributes. expat keeps every name that it meets. */
    ELEMENTS_CAP = 1 << 20,
    STRANGE_CAP = 1000,
    ATTRIBUTES_CAP = 1000,
    PIECE_BYTES = 32 << 10, /* given to expat at a time */
    MARKUP_PIECES = 3,      /* that one tag or comment may take */
    NODE_NUMBERS = 4,
    RECT_NUMBERS = 5
};

/* OpenCV lowers each stage's threshold by this much. */
static const float threshold_eps = 1e-5f;

typedef struct loader {
    XML_Parser parser;
    const char *file;
    ldm_error *err;
    ldm_status st; /* the first failure; stops the parser */
    ldm_haar *h;
    size_t feature_cap, node_cap, leaf_cap, tree_cap, stage_cap;
    char path[PATH_CAP]; /* "/opencv_storage/cascade/..." of the open elements */
    size_t path_len;
    char *text; /* of the innermost element, TEXT_CAP bytes */
    size_t text_len;
    double *numbers;         /* NUMBERS_CAP */
    size_t feature_rects;    /* of the open feature */
    size_t tree_nodes;       /* of the open tree */
    size_t stage_first_tree; /* of the open stage */
    bool has_threshold;
    float stage_threshold;
    size_t elements, strange, attributes; /* so far */
} loader;

static void failed(loader *l, ldm_status st, const char *what)
{
    if (l->st)
        return;
    l->st = ldm_error_at_line(l->err, st, (int)XML_GetCurrentLineNumber(l->parser),
                              (int)XML_GetCurrentColumnNumber(l->parser) + 1,
                              "%s:%d: %s; expected a cascade in OpenCV's XML format such as "
                              "haarcascade_frontalface_alt2.xml",
                              l->file, (int)XML_GetCurrentLineNumber(l->parser), what);
    XML_StopParser(l->parser, XML_FALSE);
}

/* A new element at the end of a growing array, or NULL after noting the failure. */
static void *append(loader *l, void *items, size_t *cap, size_t *count, size_t size)
{
    char *base;

    if (!ldm_grow(items, cap, *count + 1, size)) {
        failed(l, LDM_ERR_NOMEM, "out of memory");
        return NULL;
    }
    memcpy(&base, items, sizeof base);
    base += (*count)++ * size;
    memset(base, 0, size);
    return base;
}

/* The element's text as numbers between blanks. Returns how many. */
static size_t take_numbers(loader *l)
{
    const char *at = l->text;
    size_t count = 0;
    char *end;

    for (;;) {
        while (isspace((unsigned char)*at))
            at++;
        if (!*at)
            return count;
        if (count == NUMBERS_CAP) {
            failed(l, LDM_ERR_LIMIT, "too many numbers in one element");
            return 0;
        }
        l->numbers[count] = strtod(at, &end);
        if (end == at || !isfinite(l->numbers[count]) || fabs(l->numbers[count]) > 1e9) {
            failed(l, LDM_ERR_FORMAT, "a value is not a number");
            return 0;
        }
        count++;
        at = end;
    }
}

static int take_int(loader *l)
{
    if (take_numbers(l) != 1 || l->numbers[0] != floor(l->numbers[0]))
        failed(l, LDM_ERR_FORMAT, "a value is not one whole number");
    return l->st ? 0 : (int)l->numbers[0];
}

static void on_width(loader *l)
{
    l->h->width = take_int(l);
}

static void on_height(loader *l)
{
    l->h->height = take_int(l);
}

static void on_stage_type(loader *l)
{
    if (strcmp(l->text, "BOOST"))
        failed(l, LDM_ERR_UNSUPPORTED, "stageType is not BOOST");
}

static void on_feature_type(loader *l)
{
    if (strcmp(l->text, "HAAR"))
        failed(l, LDM_ERR_UNSUPPORTED, "featureType is not HAAR");
}

static void on_max_cat_count(loader *l)
{
    if (take_int(l) != 0)
        failed(l, LDM_ERR_UNSUPPORTED, "the features are categorical");
}

static void on_stage_threshold(loader *l)
{
    if (take_numbers(l) != 1) {
        failed(l, LDM_ERR_FORMAT, "stageThreshold is not one number");
        return;
    }
    l->stage_threshold = (float)l->numbers[0] - threshold_eps;
    l->has_threshold = true;
}

static void on_internal_nodes(loader *l)
{
    const size_t count = take_numbers(l);
    size_t i, k;

    if (count == 0 || count % NODE_NUMBERS || l->tree_nodes)
        failed(l, LDM_ERR_FORMAT, "internalNodes is not a list of left, right, feature, threshold");
    for (i = 0; i < count && !l->st; i += NODE_NUMBERS) {
        const double *v = l->numbers + i;
        haar_node *n = append(l, &l->h->nodes, &l->node_cap, &l->h->node_count, sizeof *n);

        if (!n)
            return;
        for (k = 0; k < 3; k++)
            if (v[k] != floor(v[k]))
                failed(l, LDM_ERR_FORMAT, "internalNodes has a fraction for an index");
        n->left = (int)v[0];
        n->right = (int)v[1];
        n->feature = (int)v[2];
        n->threshold = (float)v[3];
        l->tree_nodes++;
    }
}

/* A child must come after its parent, so that every walk ends, or be one of count + 1 leaves. */
static bool child_exists(int child, size_t parent, size_t count)
{
    return child > 0 ? (size_t)child > parent && (size_t)child < count : (size_t)-child <= count;
}

static void on_leaf_values(loader *l)
{
    const size_t count = take_numbers(l), first_node = l->h->node_count - l->tree_nodes;
    haar_tree *t;
    size_t i;

    if (!l->tree_nodes || count != l->tree_nodes + 1)
        failed(l, LDM_ERR_FORMAT,
               "leafValues does not have one value more than its tree has nodes");
    for (i = 0; i < l->tree_nodes; i++) {
        const haar_node *n = &l->h->nodes[first_node + i];

        if (!child_exists(n->left, i, l->tree_nodes) || !child_exists(n->right, i, l->tree_nodes))
            failed(l, LDM_ERR_FORMAT, "a tree has a branch that leads nowhere");
    }
    if (l->st)
        return;
    t = append(l, &l->h->trees, &l->tree_cap, &l->h->tree_count, sizeof *t);
    if (!t)
        return;
    t->first_node = first_node;
    t->first_leaf = l->h->leaf_count;
    l->tree_nodes = 0;
    for (i = 0; i < count && !l->st; i++) {
        float *leaf = append(l, &l->h->leaves, &l->leaf_cap, &l->h->leaf_count, sizeof *leaf);

        if (leaf)
            *leaf = (float)l->numbers[i];
    }
}

static void on_weak_end(loader *l)
{
    if (l->tree_nodes)
        failed(l, LDM_ERR_FORMAT, "a tree has no leafValues");
}

static void on_stage_end(loader *l)
{
    haar_stage *s;

    if (!l->has_threshold || l->h->tree_count == l->stage_first_tree) {
        failed(l, LDM_ERR_FORMAT, "a stage lacks its stageThreshold or its weakClassifiers");
        return;
    }
    s = append(l, &l->h->stages, &l->stage_cap, &l->h->stage_count, sizeof *s);
    if (!s)
        return;
    s->first_tree = l->stage_first_tree;
    s->tree_count = l->h->tree_count - l->stage_first_tree;
    s->threshold = l->stage_threshold;
    l->stage_first_tree = l->h->tree_count;
    l->has_threshold = false;
}

static void on_rect(loader *l)
{
    const size_t count = take_numbers(l);
    haar_feature *f;
    haar_rect *r;
    size_t i;

    if (l->st)
        return;
    if (count != RECT_NUMBERS || l->feature_rects == HAAR_RECTS) {
        failed(l, LDM_ERR_FORMAT,
               "a feature is not two or three rectangles x y width height weight");
        return;
    }
    if (l->feature_rects == 0 &&
        !append(l, &l->h->features, &l->feature_cap, &l->h->feature_count, sizeof *f))
        return;
    f = &l->h->features[l->h->feature_count - 1];
    r = &f->rect[l->feature_rects++];
    for (i = 0; i < 4; i++)
        if (l->numbers[i] < 0 || l->numbers[i] > HAAR_WINDOW_MAX ||
            l->numbers[i] != floor(l->numbers[i])) {
            failed(l, LDM_ERR_FORMAT, "a rectangle is not of whole numbers in the window");
            return;
        }
    r->x = (int)l->numbers[0];
    r->y = (int)l->numbers[1];
    r->width = (int)l->numbers[2];
    r->height = (int)l->numbers[3];
    r->weight = (float)l->numbers[4];
}

static void on_tilted(loader *l)
{
    if (take_int(l) != 0)
        failed(l, LDM_ERR_UNSUPPORTED, "the cascade has tilted features");
}

static void on_feature_end(loader *l)
{
    if (l->feature_rects < 2)
        failed(l, LDM_ERR_FORMAT, "a feature has fewer than two rectangles");
    l->feature_rects = 0;
}

/* What the end of an element means, by its path below /opencv_storage/cascade. */
static const struct handler {
    const char *path;
    void (*end)(loader *l);
} handlers[] = {
    {"/stageType", on_stage_type},
    {"/featureType", on_feature_type},
    {"/width", on_width},
    {"/height", on_height},
    {"/featureParams/maxCatCount", on_max_cat_count},
    {"/stages/_/stageThreshold", on_stage_threshold},
    {"/stages/_/weakClassifiers/_/internalNodes", on_internal_nodes},
    {"/stages/_/weakClassifiers/_/leafValues", on_leaf_values},
    {"/stages/_/weakClassifiers/_", on_weak_end},
    {"/stages/_", on_stage_end},
    {"/features/_/rects/_", on_rect},
    {"/features/_/tilted", on_tilted},
    {"/features/_", on_feature_end},
};

/* The names that trees and features are made of; of any other a cascade has few. */
static bool is_frequent(const char *name)
{
    static const char *const names[] = {
        "_", "rects", "internalNodes", "leafValues", "weakClassifiers", "stageThreshold", "tilted"};
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

static void XMLCALL on_start(void *user, const XML_Char *name, const XML_Char **attributes)
{
    loader *l = user;
    const size_t len = strlen(name);

    for (; *attributes; attributes += 2)
        l->attributes++;
    l->strange += !is_frequent(name);
    if (++l->elements > ELEMENTS_CAP)
        failed(l, LDM_ERR_LIMIT, "too many elements");
    else if (l->strange > STRANGE_CAP)
        failed(l, LDM_ERR_LIMIT, "too many elements of other names than a cascade has");
    else if (l->attributes > ATTRIBUTES_CAP)
        failed(l, LDM_ERR_LIMIT, "too many attributes");
    if (l->path_len + len + 2 > sizeof l->path) {
        failed(l, LDM_ERR_LIMIT, "elements are nested too deeply");
        return;
    }
    l->path[l->path_len] = '/';
    memcpy(l->path + l->path_len + 1, name, len + 1);
    l->path_len += len + 1;
    l->text_len = 0;
}

static void XMLCALL on_text(void *user, const XML_Char *s, int len)
{
    loader *l = user;

    if (l->text_len + (size_t)len >= TEXT_CAP) {
        failed(l, LDM_ERR_LIMIT, "an element's text is too long");
        return;
    }
    memcpy(l->text + l->text_len, s, (size_t)len);
    l->text_len += (size_t)len;
}

static void XMLCALL on_end(void *user, const XML_Char *name)
{
    static const char root[] = "/opencv_storage/cascade";
    loader *l = user;
    size_t i;

    if (l->st)
        return; /* expat may deliver a few more events after XML_StopParser */
    l->text[l->text_len] = '\0';
    if (!strncmp(l->path, root, sizeof root - 1))
        for (i = 0; i < sizeof handlers / sizeof *handlers; i++)
            if (!strcmp(l->path + sizeof root - 1, handlers[i].path)) {
                handlers[i].end(l);
                break;
            }
    l->path_len -= strlen(name) + 1;
    l->path[l->path_len] = '\0';
    l->text_len = 0;
}

/* A cascade has no document type; refusing it keeps entity tricks out altogether. */
static void XMLCALL on_doctype(void *user, const XML_Char *name, const XML_Char *system_id,
                               const XML_Char *public_id, int has_internal_subset)
{
    (void)name, (void)system_id, (void)public_id, (void)has_internal_subset;
    failed(user, LDM_ERR_FORMAT, "a document type declaration");
}

/* Checks that need the whole file. */
static ldm_status check_cascade(const ldm_haar *h, const char *file, ldm_error *err)
{
    size_t i, k;

    if (h->width < 3 || h->height < 3 || h->width > HAAR_WINDOW_MAX || h->height > HAAR_WINDOW_MAX)
        return ldm_error_set(err, LDM_ERR_FORMAT, "%s: a window of %d x %d, expected 3 to %d", file,
                             h->width, h->height, HAAR_WINDOW_MAX);
    if (!h->stage_count || !h->feature_count)
        return ldm_error_set(err, LDM_ERR_FORMAT,
                             "%s has no stages or no features; expected a cascade in OpenCV's XML "
                             "format such as haarcascade_frontalface_alt2.xml",
                             file);
    for (i = 0; i < h->node_count; i++)
        if (h->nodes[i].feature < 0 || (size_t)h->nodes[i].feature >= h->feature_count)
            return ldm_error_set(err, LDM_ERR_FORMAT, "%s: node %zu uses feature %d of %zu", file,
                                 i, h->nodes[i].feature, h->feature_count);
    for (i = 0; i < h->feature_count; i++)
        for (k = 0; k < HAAR_RECTS; k++) {
            const haar_rect *r = &h->features[i].rect[k];

            if (r->x + r->width > h->width || r->y + r->height > h->height)
                return ldm_error_set(err, LDM_ERR_FORMAT,
                                     "%s: feature %zu reaches beyond the %d x %d window", file, i,
                                     h->width, h->height);
        }
    return LDM_OK;
}

static void *expat_realloc(void *p, size_t size)
{
    return ldm_reallocarray(p, 1, size);
}

/* Parses piece by piece, so that one tag as large as the file is refused before it takes memory. */
static enum XML_Status feed(loader *l, const char *data, size_t size)
{
    enum XML_Status status;
    size_t at = 0, piece;
    XML_Index begins;

    do {
        piece = size - at < PIECE_BYTES ? size - at : PIECE_BYTES;
        status = XML_Parse(l->parser, data + at, (int)piece, at + piece == size);
        at += piece;
        begins = XML_GetCurrentByteIndex(l->parser);
        if (status == XML_STATUS_OK && at < size &&
            at - (begins > 0 ? (size_t)begins : 0) > MARKUP_PIECES * PIECE_BYTES)
            failed(l, LDM_ERR_LIMIT, "one piece of markup is too long");
    } while (status == XML_STATUS_OK && !l->st && at < size);
    return status;
}

static ldm_status parse(loader *l, const void *data, size_t size)
{
    static const XML_Memory_Handling_Suite memory = {ldm_malloc, expat_realloc, ldm_free};
    enum XML_Status status;

    l->h = ldm_calloc(1, sizeof *l->h);
    l->text = ldm_malloc(TEXT_CAP);
    l->numbers = ldm_malloc(NUMBERS_CAP * sizeof *l->numbers);
    l->parser = XML_ParserCreate_MM(NULL, &memory, NULL);
    if (!l->h || !l->text || !l->numbers || !l->parser)
        return ldm_error_nomem(l->err, TEXT_CAP, l->file);
    XML_SetUserData(l->parser, l);
    XML_SetElementHandler(l->parser, on_start, on_end);
    XML_SetCharacterDataHandler(l->parser, on_text);
    XML_SetStartDoctypeDeclHandler(l->parser, on_doctype);
    status = feed(l, data, size);
    if (!l->st && status != XML_STATUS_OK)
        failed(l,
               XML_GetErrorCode(l->parser) == XML_ERROR_NO_MEMORY ? LDM_ERR_NOMEM : LDM_ERR_FORMAT,
               XML_ErrorString(XML_GetErrorCode(l->parser)));
    return l->st ? l->st : check_cascade(l->h, l->file, l->err);
}

ldm_status ldm_haar_load_memory(const void *data, size_t size, const char *name, ldm_haar **out,
                                ldm_error *err)
{
    loader l = {.file = name, .err = err};
    locale_t c_locale, before;
    ldm_status st;

    *out = NULL;
    if (size > FILE_CAP)
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "%s has %zu bytes, expected a cascade of at most %d", name, size,
                             FILE_CAP);
    c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0); /* "0.5", whatever the user's comma */
    if (!c_locale)
        return ldm_error_nomem(err, 0, name);
    before = uselocale(c_locale);
    st = parse(&l, data, size);
    uselocale(before);
    freelocale(c_locale);
    if (l.parser)
        XML_ParserFree(l.parser);
    ldm_free(l.text);
    ldm_free(l.numbers);
    if (st)
        ldm_haar_free(l.h);
    else
        *out = l.h;
    return st;
}

ldm_status ldm_haar_load(const char *path, ldm_haar **out, ldm_error *err)
{
    ldm_status st;
    ldm_map map;

    *out = NULL;
    st = ldm_map_open(path, &map, err);
    if (st)
        return st;
    st = ldm_haar_load_memory(map.data, (size_t)map.size, path, out, err);
    ldm_map_close(&map);
    return st;
}

void ldm_haar_free(ldm_haar *h)
{
    if (!h)
        return;
    ldm_free(h->features);
    ldm_free(h->nodes);
    ldm_free(h->leaves);
    ldm_free(h->trees);
    ldm_free(h->stages);
    ldm_free(h);
}

ldm_status ldm_haar_load_face(const char *path, ldm_haar **out, ldm_error *err)
{
    static const char *const folders[] = {
        "/usr/share/opencv4/haarcascades", "/usr/local/share/opencv4/haarcascades",
        "/usr/share/opencv/haarcascades", "/usr/share/OpenCV/haarcascades"};
    static const char file[] = "haarcascade_frontalface_alt2.xml";
    char full[256];
    size_t i;

    *out = NULL;
    if (path)
        return ldm_haar_load(path, out, err);
    for (i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(full, sizeof full, "%s/%s", folders[i], file);
        if (!access(full, F_OK))
            return ldm_haar_load(full, out, err);
    }
    return ldm_error_set(err, LDM_ERR_IO,
                         "no face detector: %s is not in %s; install it (Debian: apt install "
                         "opencv-data) or name the file",
                         file, folders[0]);
}
