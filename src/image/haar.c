/* SPDX-License-Identifier: MIT */
/* Runs a Haar cascade over a picture so that every hit is the same as OpenCV 4's. The details that
 * decide single hits are reproduced: the pyramid is made by fixed-point bilinear resizing
 * (INTER_LINEAR_EXACT), scales are f32, window features are f32 sums times a f32 normalisation
 * while stage sums are f64, windows advance by 2 below scale 2 and by 1 from there on, the window
 * after one that fails the first stage is skipped, and rounding is to even. */
#include "image/haar.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "image/haar_cascade.h"

enum {
    SCALES_MAX = 1024,
    WEIGHT_ONE = 256,
    STRIPE_WIDTH = 32,
    FACE_SIDE = 192,
    HITS_MAX = 1 << 15 /* grouping takes their square */
};

static const double group_eps = 0.2;
static const double max_enlarged = 64e6; /* pixels, as many as a PNG may have */

typedef struct hits {
    ldm_rect *items;
    size_t count, cap;
} hits;

/* Offsets of a feature's corners in the integral image of one scale. */
typedef struct corners {
    size_t at[HAAR_RECTS][4];
} corners;

typedef struct detector {
    const ldm_haar *h;
    const uint8_t *grey;
    uint32_t width, height;
    /* Of the current scale, allocated for the largest one. sum and sqsum wrap around; differences
     * over a window are right nevertheless. */
    uint8_t *scaled;       /* [rows][cols] */
    uint32_t *sum, *sqsum; /* [rows + 1][cols + 1] */
    corners *corners;      /* per feature */
    int *x_from;           /* resizing: source column and weight of the next one, per column */
    uint16_t *x_weight;
    int rows, cols;
    hits found;
} detector;

/* ---- the pyramid ---- */

/* Source position of output pixel i and the weight (of 256) of its right-hand or lower neighbour;
 * pixel centres at + 0.5, edges clamped. */
static void linear_tap(int i, int in, int out, int *from, uint16_t *weight)
{
    const double scale = 1.0 / ((double)out / in);
    const double position = scale * (i + 0.5) - 0.5;
    const double whole = floor(position);

    if (whole < 0 || in == 1) {
        *from = 0;
        *weight = 0;
    } else if (whole < in - 1) {
        *from = (int)whole;
        *weight = (uint16_t)rint((position - whole) * WEIGHT_ONE);
    } else {
        *from = in - 1;
        *weight = 0;
    }
}

/* One value of the row `src`, in 1/256. */
static uint32_t blend_row(const detector *d, const uint8_t *src, int x)
{
    const int from = d->x_from[x];
    const uint32_t w = d->x_weight[x];

    return w ? src[from] * (WEIGHT_ONE - w) + src[from + 1] * w : src[from] * (uint32_t)WEIGHT_ONE;
}

static void make_scaled(detector *d)
{
    int x, y, from;
    uint16_t w;

    for (x = 0; x < d->cols; x++)
        linear_tap(x, (int)d->width, d->cols, &d->x_from[x], &d->x_weight[x]);
    for (y = 0; y < d->rows; y++) {
        uint8_t *out = d->scaled + (size_t)y * (size_t)d->cols;
        const uint8_t *upper, *lower;

        linear_tap(y, (int)d->height, d->rows, &from, &w);
        upper = d->grey + (size_t)from * d->width;
        lower = w ? upper + d->width : upper;
        for (x = 0; x < d->cols; x++)
            out[x] = (uint8_t)((blend_row(d, upper, x) * (WEIGHT_ONE - (uint32_t)w) +
                                blend_row(d, lower, x) * w + (1u << 15)) >>
                               16);
    }
}

/* sum[y][x] is the sum of all pixels above and left of (x, y). */
static void make_integrals(detector *d)
{
    const size_t stride = (size_t)d->cols + 1;
    int x, y;

    memset(d->sum, 0, stride * sizeof *d->sum);
    memset(d->sqsum, 0, stride * sizeof *d->sqsum);
    for (y = 0; y < d->rows; y++) {
        const uint8_t *in = d->scaled + (size_t)y * (size_t)d->cols;
        uint32_t *s = d->sum + ((size_t)y + 1) * stride, *q = d->sqsum + ((size_t)y + 1) * stride;
        uint32_t row = 0, row_squares = 0;

        s[0] = q[0] = 0;
        for (x = 0; x < d->cols; x++) {
            row += in[x];
            row_squares += (uint32_t)in[x] * in[x];
            s[x + 1] = s[x + 1 - (ptrdiff_t)stride] + row;
            q[x + 1] = q[x + 1 - (ptrdiff_t)stride] + row_squares;
        }
    }
}

static void rect_corners(int x, int y, int width, int height, size_t stride, size_t at[4])
{
    at[0] = (size_t)y * stride + (size_t)x;
    at[1] = at[0] + (size_t)width;
    at[2] = at[0] + (size_t)height * stride;
    at[3] = at[2] + (size_t)width;
}

static uint32_t area_sum(const uint32_t *origin, const size_t at[4])
{
    return origin[at[0]] - origin[at[1]] - origin[at[2]] + origin[at[3]];
}

static void make_corners(detector *d)
{
    size_t i, k;

    for (i = 0; i < d->h->feature_count; i++)
        for (k = 0; k < HAAR_RECTS; k++) {
            const haar_rect *r = &d->h->features[i].rect[k];

            rect_corners(r->x, r->y, r->width, r->height, (size_t)d->cols + 1, d->corners[i].at[k]);
        }
}

/* ---- one window ---- */

/* 1 / (area * standard deviation) of the window without its border; false for one so flat that a
 * face cannot be there. */
static bool window_norm(const detector *d, size_t origin, float *norm)
{
    const int width = d->h->width - 2, height = d->h->height - 2;
    const double area = (double)width * height;
    size_t at[4];
    double sum, squares, nf;

    rect_corners(1, 1, width, height, (size_t)d->cols + 1, at);
    sum = (int32_t)area_sum(d->sum + origin, at);
    squares = area_sum(d->sqsum + origin, at);
    nf = area * squares - sum * sum;
    if (nf <= 0)
        return false;
    *norm = (float)(1. / sqrt(nf));
    return area * (double)*norm < 1e-1;
}

static float feature_value(const detector *d, int index, const uint32_t *origin)
{
    const haar_rect *r = d->h->features[index].rect;
    const corners *c = &d->corners[index];
    float v = r[0].weight * (float)(int32_t)area_sum(origin, c->at[0]) +
              r[1].weight * (float)(int32_t)area_sum(origin, c->at[1]);

    if (r[2].weight != 0.0f)
        v += r[2].weight * (float)(int32_t)area_sum(origin, c->at[2]);
    return v;
}

static float tree_value(const detector *d, const haar_tree *t, const uint32_t *origin, float norm)
{
    int at = 0;

    do {
        const haar_node *n = &d->h->nodes[t->first_node + (size_t)at];
        const float v = feature_value(d, n->feature, origin) * norm;

        at = v < n->threshold ? n->left : n->right;
    } while (at > 0);
    return d->h->leaves[t->first_leaf + (size_t)-at];
}

/* How many stages the window passes; -1 if it is not even looked at. */
static int stages_passed(const detector *d, size_t origin)
{
    size_t s, t;
    float norm;

    if (!window_norm(d, origin, &norm))
        return -1;
    for (s = 0; s < d->h->stage_count; s++) {
        const haar_stage *stage = &d->h->stages[s];
        double sum = 0;

        for (t = 0; t < stage->tree_count; t++)
            sum +=
                (double)tree_value(d, &d->h->trees[stage->first_tree + t], d->sum + origin, norm);
        if (sum < (double)stage->threshold)
            break;
    }
    return (int)s;
}

/* ---- one scale ---- */

static int rounded(double v)
{
    return (int)rint(v);
}

static ldm_status add_hit(hits *l, ldm_rect r, ldm_error *err)
{
    if (l->count == HITS_MAX)
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "the face detector finds more than %d candidates in one picture: its "
                             "cascade accepts nearly everything; use another",
                             HITS_MAX);
    if (!ldm_grow(&l->items, &l->cap, l->count + 1, sizeof *l->items))
        return ldm_error_nomem(err, (l->count + 1) * sizeof *l->items, "detections");
    l->items[l->count++] = r;
    return LDM_OK;
}

/* OpenCV shares rows out to `stripes` threads, in whole steps of equal number; where the division
 * leaves a remainder, the last row belongs to no thread. */
static int rows_searched(int rows, int step, int stripes)
{
    int per_stripe = (rows / step + stripes - 1) / stripes;

    if (per_stripe < 1)
        per_stripe = 1;
    return per_stripe * step * stripes < rows ? per_stripe * step * stripes : rows;
}

static ldm_status search_scale(detector *d, float scale, int stripes, ldm_error *err)
{
    const int step = scale >= 2 ? 1 : 2;
    const int x_end = d->cols + 1 - d->h->width, y_end = d->rows + 1 - d->h->height;
    const ldm_rect window = {0, 0, rounded((double)((float)d->h->width * scale)),
                             rounded((double)((float)d->h->height * scale))};
    const int y_last = rows_searched(y_end > 0 ? y_end : 0, step, stripes);
    ldm_status st = LDM_OK;
    int x, y;

    for (y = 0; y < y_last && !st; y += step)
        for (x = 0; x < x_end && !st; x += step) {
            const int passed = stages_passed(d, (size_t)y * ((size_t)d->cols + 1) + (size_t)x);

            if (passed == (int)d->h->stage_count) {
                ldm_rect r = window;

                r.x = rounded((double)((float)x * scale));
                r.y = rounded((double)((float)y * scale));
                st = add_hit(&d->found, r, err);
            } else if (passed == 0) {
                x += step;
            }
        }
    return st;
}

static ldm_status search(detector *d, double scale_step, ldm_error *err)
{
    ldm_status st = LDM_OK;
    double factor = 1;
    int stripes = 0, n;

    for (n = 0; n < SCALES_MAX && !st; n++, factor *= scale_step) {
        const float scale = (float)factor;

        if (rounded(d->h->width * factor) > (int)d->width ||
            rounded(d->h->height * factor) > (int)d->height)
            break;
        d->cols = rounded((double)((float)d->width / scale));
        d->rows = rounded((double)((float)d->height / scale));
        if (n == 0)
            stripes = (d->cols + 1 - d->h->width + STRIPE_WIDTH - 1) / STRIPE_WIDTH;
        make_scaled(d);
        make_integrals(d);
        make_corners(d);
        st = search_scale(d, scale, stripes, err);
    }
    return st;
}

/* ---- grouping ---- */

static bool similar(const ldm_rect *a, const ldm_rect *b)
{
    const int w = a->width < b->width ? a->width : b->width;
    const int h = a->height < b->height ? a->height : b->height;
    const double delta = group_eps * (w + h) * 0.5;

    return abs(a->x - b->x) <= delta && abs(a->y - b->y) <= delta &&
           abs(a->x + a->width - b->x - b->width) <= delta &&
           abs(a->y + a->height - b->y - b->height) <= delta;
}

static size_t root_of(const size_t *parent, size_t i)
{
    while (parent[i] != i)
        i = parent[i];
    return i;
}

/* Mean of the group whose sums are in r, as f32. */
static ldm_rect group_mean(ldm_rect r, int weight)
{
    const float s = 1.0f / (float)weight;

    r.x = rounded((double)((float)r.x * s));
    r.y = rounded((double)((float)r.y * s));
    r.width = rounded((double)((float)r.width * s));
    r.height = rounded((double)((float)r.height * s));
    return r;
}

/* Is the group (a, na) inside another group (b, nb) that has more hits? */
static bool swallowed(const ldm_rect *a, int na, const ldm_rect *b, int nb)
{
    const int dx = rounded(b->width * group_eps), dy = rounded(b->height * group_eps);

    return a->x >= b->x - dx && a->y >= b->y - dy && a->x + a->width <= b->x + b->width + dx &&
           a->y + a->height <= b->y + b->height + dy && (nb > (na > 3 ? na : 3) || na < 3);
}

/* OpenCV's groupRectangles: hits that are transitively similar become one rectangle. In place. */
static ldm_status group(hits *l, int min_neighbours, ldm_error *err)
{
    size_t *parent = ldm_calloc(l->count, sizeof *parent);
    int *weight = ldm_calloc(l->count, sizeof *weight);
    ldm_rect *sum = ldm_calloc(l->count, sizeof *sum);
    size_t i, j, groups = 0, kept = 0;

    if (!parent || !weight || !sum) {
        ldm_free(parent);
        ldm_free(weight);
        ldm_free(sum);
        return ldm_error_nomem(err, l->count * (sizeof *parent + sizeof *sum), "detections");
    }
    for (i = 0; i < l->count; i++) {
        parent[i] = i;
        for (j = 0; j < i; j++)
            if (similar(&l->items[i], &l->items[j]))
                parent[root_of(parent, i)] = root_of(parent, j);
    }
    for (i = 0; i < l->count; i++) {
        const size_t g = root_of(parent, i);

        sum[g].x += l->items[i].x;
        sum[g].y += l->items[i].y;
        sum[g].width += l->items[i].width;
        sum[g].height += l->items[i].height;
        weight[g]++;
    }
    for (i = 0; i < l->count; i++)
        if (weight[i] > min_neighbours) {
            sum[groups] = group_mean(sum[i], weight[i]);
            weight[groups++] = weight[i];
        }
    for (i = 0; i < groups; i++) {
        for (j = 0; j < groups; j++)
            if (j != i && swallowed(&sum[i], weight[i], &sum[j], weight[j]))
                break;
        if (j == groups)
            l->items[kept++] = sum[i];
    }
    l->count = kept;
    ldm_free(parent);
    ldm_free(weight);
    ldm_free(sum);
    return LDM_OK;
}

/* Cuts rectangles at the picture's edges. */
static void clip(hits *l, int width, int height)
{
    size_t i;

    for (i = 0; i < l->count; i++) {
        ldm_rect *r = &l->items[i];

        if (r->x + r->width > width)
            r->width = width - r->x;
        if (r->y + r->height > height)
            r->height = height - r->y;
    }
}

static int by_position(const void *va, const void *vb)
{
    const ldm_rect *a = va, *b = vb;

    if (a->y != b->y)
        return a->y < b->y ? -1 : 1;
    if (a->x != b->x)
        return a->x < b->x ? -1 : 1;
    return (a->width > b->width) - (a->width < b->width);
}

/* ---- the interface ---- */

/* Memory for the first scale, which is the largest. */
static ldm_status allocate(detector *d, ldm_error *err)
{
    const size_t cells = ((size_t)d->width + 1) * ((size_t)d->height + 1);

    d->scaled = ldm_malloc(cells);
    d->sum = ldm_calloc(cells, sizeof *d->sum);
    d->sqsum = ldm_calloc(cells, sizeof *d->sqsum);
    d->x_from = ldm_calloc(d->width, sizeof *d->x_from);
    d->x_weight = ldm_calloc(d->width, sizeof *d->x_weight);
    d->corners = ldm_calloc(d->h->feature_count, sizeof *d->corners);
    if (!d->scaled || !d->sum || !d->sqsum || !d->x_from || !d->x_weight || !d->corners)
        return ldm_error_nomem(err, cells * 9, "face detection");
    return LDM_OK;
}

ldm_status ldm_haar_detect(const ldm_haar *h, const uint8_t *grey, uint32_t width, uint32_t height,
                           double scale_step, int min_neighbours, ldm_rect **out, size_t *count,
                           ldm_error *err)
{
    detector d = {.h = h, .grey = grey, .width = width, .height = height};
    ldm_status st;

    *out = NULL;
    *count = 0;
    if (!(scale_step > 1) || !isfinite(scale_step))
        return ldm_error_set(err, LDM_ERR_USAGE, "a scale step of %g, expected more than 1",
                             scale_step);
    if (width > 1 << 16 || height > 1 << 16)
        return ldm_error_set(err, LDM_ERR_LIMIT,
                             "a picture of %u x %u pixels, expected at most 65536 a side", width,
                             height);
    st = allocate(&d, err);
    if (!st)
        st = search(&d, scale_step, err);
    if (!st && min_neighbours > 0 && d.found.count)
        st = group(&d.found, min_neighbours, err);
    ldm_free(d.scaled);
    ldm_free(d.sum);
    ldm_free(d.sqsum);
    ldm_free(d.x_from);
    ldm_free(d.x_weight);
    ldm_free(d.corners);
    if (st || !d.found.count) {
        ldm_free(d.found.items);
        return st;
    }
    clip(&d.found, (int)width, (int)height);
    qsort(d.found.items, d.found.count, sizeof *d.found.items, by_position);
    *out = d.found.items;
    *count = d.found.count;
    return LDM_OK;
}

void ldm_picture_grey(const ldm_picture *p, uint8_t *grey)
{
    const size_t pixels = (size_t)p->width * p->height;
    size_t i;

    for (i = 0; i < pixels; i++) {
        const uint8_t *c = p->rgb + 3 * i;

        grey[i] = (uint8_t)((9798u * c[0] + 19235u * c[1] + 3735u * c[2] + (1u << 14)) >> 15);
    }
}

/* The picture, or a copy enlarged to FACE_SIDE on its shorter side; *ratio is how much. A long
 * strip, which would become huge, stays as it is. */
static ldm_status enlarge(const ldm_picture *p, ldm_picture *copy, double *ratio, ldm_error *err)
{
    const uint32_t side = p->width < p->height ? p->width : p->height;

    memset(copy, 0, sizeof *copy);
    *ratio = 1;
    if (side >= FACE_SIDE)
        return LDM_OK;
    *ratio = (double)FACE_SIDE / side;
    if (*ratio * p->width * (*ratio * p->height) > max_enlarged) {
        *ratio = 1;
        return LDM_OK;
    }
    return ldm_resize_bicubic(p, (uint32_t)rounded(p->width * *ratio),
                              (uint32_t)rounded(p->height * *ratio), copy, err);
}

ldm_status ldm_haar_faces(const ldm_haar *h, const ldm_picture *p, ldm_rect **out, size_t *count,
                          ldm_error *err)
{
    const ldm_picture *used = p;
    ldm_picture copy;
    uint8_t *grey;
    double ratio;
    size_t i;
    ldm_status st;

    *out = NULL;
    *count = 0;
    st = enlarge(p, &copy, &ratio, err);
    if (st)
        return st;
    if (copy.rgb)
        used = &copy;
    grey = ldm_calloc(used->width, used->height);
    if (grey) {
        ldm_picture_grey(used, grey);
        st = ldm_haar_detect(h, grey, used->width, used->height, 1.1, 3, out, count, err);
    } else {
        st = ldm_error_nomem(err, (uint64_t)used->width * used->height, "face detection");
    }
    for (i = 0; i < *count; i++) {
        ldm_rect *r = *out + i;

        r->x = rounded(r->x / ratio);
        r->y = rounded(r->y / ratio);
        r->width = rounded(r->width / ratio);
        r->height = rounded(r->height / ratio);
    }
    ldm_free(grey);
    ldm_picture_free(&copy);
    return st;
}
