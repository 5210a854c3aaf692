/* SPDX-License-Identifier: MIT */
/* Layouts as token ids; see layout.h. */
#include "engine/layout.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/json_text.h"
#include "base/str.h"

typedef struct box {
    double x, y, w, h;
} box;

typedef struct layout {
    int entries, sections, room; /* room: objects */
    bool has_crop;               /* two ids of it at the end */
    box crop;
    int classes;         /* 0: not said */
    const json_t *names; /* of the categories, by number; NULL: not given */
    float *ids;
    int count; /* objects so far */
    ldm_layout_odd *odd;
    ldm_error *err;
} layout;

/* The builder cuts boxes at the border, and some reach a little beyond it; none is twice as large
 * as the picture. What a rounded number may be off is no matter. */
#define FARTHEST 2.0
#define ROUNDED 0.01

static const char object_form[] =
    "{\"category\": N, \"box\": [x, y, width, height]} and the marks group, occluded, depiction, "
    "inside";

/* ---- values ---------------------------------------------------------------------------------- */

static ldm_status read_whole(const json_t *v, const char *what, int max, int *out, ldm_error *err)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
        return ldm_error_set(err, LDM_ERR_USAGE, "%s is not a whole number from 0 to %d", what,
                             max);
    *out = (int)json_integer_value(v);
    return LDM_OK;
}

static ldm_status read_box(const json_t *v, const char *what, box *out, ldm_error *err)
{
    double *const to[4] = {&out->x, &out->y, &out->w, &out->h};
    size_t i;

    for (i = 0; i < 4; i++) {
        const json_t *one = json_array_get(v, i);

        if (!json_is_number(one) || json_array_size(v) != 4)
            return ldm_error_set(err, LDM_ERR_USAGE,
                                 "%s is not [x, y, width, height] in parts of the picture, 0 to 1",
                                 what);
        *to[i] = json_number_value(one);
    }
    for (i = 0; i < 4; i++) {
        if (!(fabs(*to[i]) <= FARTHEST)) /* also for NaN */
            return ldm_error_set(
                err, LDM_ERR_USAGE,
                "%s is [%g, %g, %g, %g], which looks like pixels: it is [x, y, width, height] in "
                "parts of the picture, 0 to 1; divide x and width by the picture's width in "
                "pixels, y and height by its height",
                what, out->x, out->y, out->w, out->h);
    }
    if (!(out->w > 0 && out->h > 0))
        return ldm_error_set(err, LDM_ERR_USAGE, "%s has width %g and height %g: it is empty", what,
                             out->w, out->h);
    return LDM_OK;
}

/* Only names of the list, which ends with NULL. */
static ldm_status check_names(json_t *object, const char *what, const char *const *names,
                              const char *form, ldm_error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        size_t i = 0;

        while (names[i] && strcmp(names[i], key))
            i++;
        if (!names[i])
            return ldm_error_set(err, LDM_ERR_USAGE, "%s has \"%.60s\", expected %s", what, key,
                                 form);
    }
    return LDM_OK;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* rint: Python's round, halves to even. */
static int corner(const layout *l, double x, double y)
{
    const int steps = l->sections - 1;

    return (int)rint(y * steps) * l->sections + (int)rint(x * steps);
}

static double clamp(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static bool meets(const box *a, const box *b)
{
    const double w = least(a->x + a->w, b->x + b->w) - (a->x > b->x ? a->x : b->x);
    const double h = least(a->y + a->h, b->y + b->h) - (a->y > b->y ? a->y : b->y);

    return w > 0 && h > 0;
}

/* rescale_annotations: a corner is cut at the border, the width only at the right one. */
static box in_parts_of(const box *b, const box *whole)
{
    box out = {clamp((b->x - whole->x) / whole->w), clamp((b->y - whole->y) / whole->h),
               b->w / whole->w, b->h / whole->h};

    out.w = least(out.w, 1 - out.x);
    out.h = least(out.h, 1 - out.y);
    return out;
}

/* Names are taken letter by letter: those of a dataset differ in little ("Bat (Animal)"). */
static ldm_status find_category(const layout *l, const char *name, int *out)
{
    size_t found = 0, i;

    if (!l->names)
        return ldm_error_set(l->err, LDM_ERR_USAGE,
                             "category is \"%.60s\", and which number that is no model says: give "
                             "the number, or all names in order as \"names\" beside \"objects\"",
                             name);
    for (i = 0; i < json_array_size(l->names); i++) {
        if (!strcmp(json_string_value(json_array_get(l->names, i)), name) && !found++)
            *out = (int)i;
    }
    if (found == 1)
        return LDM_OK;
    return ldm_error_set(l->err, LDM_ERR_USAGE, "category \"%.60s\" is %s \"names\"", name,
                         found ? "there more than once in" : "not in");
}

static ldm_status read_number(layout *l, const json_t *v, int *out)
{
    const int most = l->classes ? l->classes - 1 : l->entries - 2;

    if (json_is_string(v))
        return find_category(l, json_string_value(v), out);
    return read_whole(v, "category", most, out, l->err);
}

/* object_representation, with the marks. */
static ldm_status read_category(layout *l, const json_t *object, const char *what, int *out)
{
    static const char *const marks[] = {"group", "occluded", "depiction", "inside"};
    const int none = l->entries - 1;
    int mark = 0, number = 0;
    ldm_status st;
    size_t i;

    for (i = 0; i < 4; i++) {
        const json_t *v = json_object_get(object, marks[i]);

        if (v && !json_is_boolean(v))
            return ldm_error_set(l->err, LDM_ERR_USAGE, "%s: \"%s\" is neither true nor false",
                                 what, marks[i]);
        mark |= json_is_true(v) << i;
    }
    if (mark && !l->classes)
        return ldm_error_set(l->err, LDM_ERR_USAGE,
                             "%s has a mark, which is told by the number of categories: say "
                             "\"classes\": N beside \"objects\"",
                             what);
    st = read_number(l, json_object_get(object, "category"), &number);
    if (st)
        return ldm_error_wrap(l->err, st, "%s", what);
    if (number + (long long)l->classes * mark >= none)
        return ldm_error_set(l->err, LDM_ERR_USAGE,
                             "%s: category %d with its marks is token %lld, and this model has "
                             "tokens up to %d",
                             what, number, number + (long long)l->classes * mark, none - 1);
    *out = number + l->classes * mark;
    return LDM_OK;
}

/* Notes the box that is not, or not all, in the picture. */
static void judge(const layout *l, size_t i, const box *b)
{
    static const box all = {0, 0, 1, 1};
    ldm_layout_odd *odd = l->odd;
    const double right = b->x + b->w, lower = b->y + b->h;
    const bool corners = b->x >= 0 && b->y >= 0 && b->w <= 1 && b->h <= 1 && b->w > b->x &&
                         b->h > b->y; /* [x0, y0, x1, y1] would be a box */

    if (!odd ||
        (b->x >= -ROUNDED && b->y >= -ROUNDED && right <= 1 + ROUNDED && lower <= 1 + ROUNDED))
        return;
    if (!meets(b, &all)) {
        if (!odd->outside_count++)
            snprintf(odd->outside, sizeof odd->outside,
                     "the box of object %zu, [%g, %g, %g, %g], lies outside of the picture, and "
                     "the object is left out",
                     i, b->x, b->y, b->w, b->h);
        return;
    }
    if (odd->cut_count++)
        return;
    snprintf(odd->cut, sizeof odd->cut,
             "the box of object %zu, [%g, %g, %g, %g], reaches out of the picture and is cut at "
             "the border",
             i, b->x, b->y, b->w, b->h);
    if (corners) {
        const size_t n = strlen(odd->cut);

        snprintf(odd->cut + n, sizeof odd->cut - n,
                 "; if that is meant as two corners, its width and height are %g and %g",
                 b->w - b->x, b->h - b->y);
    }
}

static ldm_status add_object(layout *l, json_t *object, size_t i)
{
    static const char *const names[] = {"category",  "box",    "group", "occluded",
                                        "depiction", "inside", NULL};
    static const box all = {0, 0, 1, 1};
    char what[48];
    int category = 0;
    box b, placed;
    ldm_status st;

    snprintf(what, sizeof what, "object %zu", i);
    if (!json_is_object(object))
        return ldm_error_set(l->err, LDM_ERR_USAGE, "%s is not %s", what, object_form);
    st = check_names(object, what, names, object_form, l->err);
    if (!st)
        st = read_category(l, object, what, &category);
    if (!st) {
        st = read_box(json_object_get(object, "box"), "box", &b, l->err);
        if (st)
            st = ldm_error_wrap(l->err, st, "%s", what);
    }
    if (!st)
        judge(l, i, &b);
    if (st || !meets(&b, &l->crop))
        return st;
    placed = in_parts_of(&b, l->has_crop ? &all : &l->crop);
    l->ids[3 * l->count] = (float)category;
    l->ids[3 * l->count + 1] = (float)corner(l, placed.x, placed.y);
    l->ids[3 * l->count + 2] = (float)corner(l, placed.x + placed.w, placed.y + placed.h);
    l->count++;
    return LDM_OK;
}

/* The crop's corners are tokens only inside the picture. */
static ldm_status read_crop(layout *l, const json_t *v)
{
    ldm_status st;

    l->crop = (box){0, 0, 1, 1};
    if (!v)
        return LDM_OK;
    st = read_box(v, "crop", &l->crop, l->err);
    if (!st &&
        (l->crop.x < 0 || l->crop.y < 0 || l->crop.x + l->crop.w > 1 || l->crop.y + l->crop.h > 1))
        st = ldm_error_set(l->err, LDM_ERR_USAGE, "crop reaches out of the picture, 0 to 1");
    return st;
}

/* The names say how many categories there are. */
static ldm_status read_category_names(layout *l, const json_t *names)
{
    const size_t count = json_array_size(names);
    size_t i;

    if (!names)
        return LDM_OK;
    for (i = 0; i < count && json_is_string(json_array_get(names, i)); i++)
        ;
    if (!count || i < count || count >= (size_t)l->entries)
        return ldm_error_set(
            l->err, LDM_ERR_USAGE,
            "\"names\" is not a list of 1 to %d texts, the name of category 0 first",
            l->entries - 1);
    if (l->classes && (size_t)l->classes != count)
        return ldm_error_set(l->err, LDM_ERR_USAGE, "\"classes\" is %d, and \"names\" holds %zu",
                             l->classes, count);
    l->classes = (int)count;
    l->names = names;
    return LDM_OK;
}

static ldm_status read_objects(layout *l, json_t *root, int tokens)
{
    static const char *const names[] = {"objects", "crop", "classes", "names", NULL};
    json_t *objects = json_object_get(root, "objects");
    const json_t *classes = json_object_get(root, "classes");
    const size_t count = json_array_size(objects);
    ldm_status st = check_names(root, "the layout", names, "objects, crop, classes, names", l->err);
    size_t i;

    if (!st && (tokens % 3 == 1 || l->sections < 2))
        st = ldm_error_set(l->err, LDM_ERR_UNSUPPORTED,
                           "this model reads %d of %d token ids: neither three an object nor two "
                           "more; how boxes become its ids is not known: give the ids (tokens)",
                           tokens, l->entries);
    if (!st && !json_is_array(objects))
        st = ldm_error_set(l->err, LDM_ERR_USAGE, "\"objects\" is not a list of %s", object_form);
    if (!st && count > (size_t)l->room)
        st = ldm_error_set(l->err, LDM_ERR_USAGE, "%zu objects: this model has room for %d", count,
                           l->room);
    if (!st && classes)
        st = read_whole(classes, "classes", l->entries - 1, &l->classes, l->err);
    if (!st)
        st = read_category_names(l, json_object_get(root, "names"));
    if (!st)
        st = read_crop(l, json_object_get(root, "crop"));
    for (i = 0; i < (size_t)tokens; i++)
        l->ids[i] = (float)(l->entries - 1);
    for (i = 0; !st && i < count; i++)
        st = add_object(l, json_array_get(objects, i), i);
    if (!st && l->has_crop) {
        l->ids[tokens - 2] = (float)corner(l, l->crop.x, l->crop.y);
        l->ids[tokens - 1] = (float)corner(l, l->crop.x + l->crop.w, l->crop.y + l->crop.h);
    }
    return st;
}

static ldm_status read_ids(layout *l, const json_t *list, int tokens)
{
    char what[48];
    ldm_status st = LDM_OK;
    int i, v = 0;

    if (json_is_object(json_array_get(list, 0)))
        return ldm_error_set(l->err, LDM_ERR_USAGE,
                             "the layout is a list of objects, and a list alone is of token ids: "
                             "write {\"objects\": [...]}, each %s",
                             object_form);
    if (!json_is_array(list) || json_array_size(list) != (size_t)tokens)
        return ldm_error_set(l->err, LDM_ERR_USAGE,
                             "the layout holds %zu token ids, this model reads %d",
                             json_array_size(list), tokens);
    for (i = 0; !st && i < tokens; i++) {
        snprintf(what, sizeof what, "token id %d", i);
        st = read_whole(json_array_get(list, (size_t)i), what, l->entries - 1, &v, l->err);
        l->ids[i] = (float)v;
    }
    return st;
}

ldm_status ldm_layout_read(const char *json, size_t size, int tokens, int entries, float *ids,
                           ldm_layout_odd *odd, ldm_error *err)
{
    static const char *const names[] = {"tokens", NULL};
    layout l = {.entries = entries,
                .sections = (int)sqrt((double)entries),
                .room = tokens / 3,
                .has_crop = tokens % 3 == 2,
                .ids = ids,
                .odd = odd,
                .err = err};
    json_error_t at;
    const size_t mark = ldm_utf8_mark(json, size);
    json_t *root = json_loadb(json + mark, size - mark, JSON_REJECT_DUPLICATES, &at);
    json_t *list = json_is_array(root) ? root : json_object_get(root, "tokens");
    ldm_status st = LDM_OK;
    bool valid;

    if (odd)
        *odd = (ldm_layout_odd){0};
    if (!root && (json_error_code(&at) == json_error_out_of_memory || !at.text[0]))
        return ldm_error_nomem(err, size, "a layout");
    if (!root) {
        const char *why = ldm_json_wrong(&at, &valid);

        return ldm_error_set(err, LDM_ERR_USAGE, "the layout%s: line %d, column %d: %s",
                             valid ? "" : " is no JSON", at.line, at.column, why);
    }
    if (list && json_is_object(root))
        st = check_names(root, "the layout", names, "tokens alone, or objects", err);
    if (!st)
        st = list ? read_ids(&l, list, tokens) : read_objects(&l, root, tokens);
    json_decref(root);
    return st;
}
