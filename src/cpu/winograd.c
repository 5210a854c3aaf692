/* SPDX-License-Identifier: MIT */
/* Winograd convolution, 3x3 with stride 1: F(2x2, 3x3) and F(4x4, 3x3). The output is cut into
 * tiles of 2x2 or 4x4 pixels. The (out + 2)^2 inputs of a tile and the filters are transformed,
 * which turns the convolution into 16 or 36 independent matrix products over the channels, with
 * 2.25 or 4 times fewer multiplications; a last transform gives the outputs. Where the convolution
 * enlarges its input by 2 first, there are 9 or 25 products, 4 or 5.76 times fewer.
 *
 * The filters stay in the checkpoint's mapping. They are transposed and transformed where they are
 * used, a chunk of channels at a time, into a buffer that stays in the second-level cache. If they
 * were transformed at load, they would take 1.8 or 4 times the memory, and in a layer with few
 * tiles, reading them at each evaluation would cost more than the transform.
 *
 * Tiles are worked on in blocks, in two steps. First the block's inputs are transformed. Then come
 * its units: a unit is one panel of output channels for some of the tiles. It transforms its
 * filters, computes the products and writes the outputs. With enough tiles each worker has blocks
 * of its own; otherwise the workers share the steps of one block. The first step handles padding
 * and upsampling by a table of pointers, as in direct.c; the last adds bias and residual. The order
 * of an output's terms depends on the shape alone. */
#include <string.h>

#include "cpu/conv_impl.h"

#define MAX_SIDE 6
#define TAPS 9
#define CHUNK_STEP 16            /* channels: a whole vector, also at the end of a chunk */
#define UNIT_TILES 128           /* their products of a panel stay in the second-level cache */
#define FILTER_FLOATS (72 << 10) /* so do 288 KB of transformed filters */
#define BLOCK_FLOATS (512 << 10) /* 2 MB of transformed inputs at a time */
#define OWN_FLOATS (16 << 20)    /* or 64 MB for all workers, if each has a block of its own, */
#define OWN_SHARE 4              /* or a quarter of the input, if that is more */
#define TASKS_A_WORKER 16        /* with so many, it doesn't matter if one has one more */
#define MATRIX_PAD 80 /* floats between matrices: keeps them out of one set of the cache */

typedef struct wino_job {
    const ldm_kernels *kernels;
    const ldm_wino *wino;
    const ldm_conv_desc *desc;
    const ldm_conv_args *args;
    const float *zeros;

    size_t inputs, matrices; /* of a tile: in * in, side * side */
    size_t cin, panels;
    size_t chunks, chunk_len;      /* of input channels; a multiple of CHUNK_STEP */
    size_t tiles_x, tiles_y;       /* of one sample */
    size_t total, blocks;          /* tiles of the batch, and into how many blocks they are cut */
    size_t first, count, capacity; /* tiles of this block */
    size_t tasks;                  /* of the input step */
    size_t grain;                  /* blocks and units have a multiple of so many tiles */
    size_t parts, rest_parts;      /* units of a panel, and of each panel from `whole` on */
    size_t whole;
    size_t threads;
    float *lines; /* [MAX_SIDE][out_w][line_pitch]: rows of inputs, normalised; NULL: as they are */
    size_t line_pitch, line_stride;
    float *v; /* [chunk][input][tile][chunk_len], of one block */
    float *worker_scratch;
    size_t v_stride, m_stride, u_stride, worker_floats;
} wino_job;

static const ldm_wino *wino_of(const ldm_kernels *k, int algorithm, const ldm_conv_desc *d)
{
    if (ldm_wino_reads_small(d))
        return algorithm == LDM_CONV_WINOGRAD2 ? &k->wino_up2 : &k->wino_up4;
    return algorithm == LDM_CONV_WINOGRAD2 ? &k->wino2 : &k->wino4;
}

static size_t v_stride(const wino_job *j, size_t tiles)
{
    return tiles * j->chunk_len + MATRIX_PAD;
}

static wino_job make_job(const ldm_kernels *k, int algorithm, const ldm_conv_desc *d)
{
    const ldm_wino *w = wino_of(k, algorithm, d);
    const size_t nr = (size_t)k->nr;
    wino_job j = {
        .kernels = k,
        .wino = w,
        .desc = d,
        .inputs = (size_t)(w->in * w->in),
        .matrices = (size_t)(w->side * w->side),
        .cin = (size_t)d->cin,
        .panels = ldm_ceil_div((size_t)d->cout, nr),
        .tiles_x = ldm_ceil_div((size_t)d->out_w, (size_t)w->out),
        .tiles_y = ldm_ceil_div((size_t)d->out_h, (size_t)w->out),
    };
    size_t fit = FILTER_FLOATS / (j.matrices * nr);

    fit = fit < (size_t)k->chunk ? fit : (size_t)k->chunk;
    j.chunks = ldm_ceil_div(j.cin, fit);
    j.chunk_len = ldm_round_up(ldm_ceil_div(j.cin, j.chunks), CHUNK_STEP);
    j.chunks = ldm_ceil_div(j.cin, j.chunk_len);
    fit = BLOCK_FLOATS / (j.inputs * j.chunks * j.chunk_len) / UNIT_TILES * UNIT_TILES;
    j.capacity = fit > UNIT_TILES ? fit : UNIT_TILES;
    j.m_stride = UNIT_TILES * nr + MATRIX_PAD;
    j.u_stride = j.chunk_len * nr + MATRIX_PAD;
    j.worker_floats = j.matrices * (j.m_stride + j.u_stride) + (CHUNK_STEP * TAPS + 3) * nr;
    j.line_pitch = ldm_round_up(j.cin, CHUNK_STEP);
    j.line_stride = (size_t)d->in_w * j.line_pitch + MATRIX_PAD;
    return j;
}

ldm_slabs ldm_wino_slabs(const ldm_kernels *k, const ldm_conv_desc *d)
{
    const wino_job j = make_job(k, LDM_CONV_WINOGRAD4, d);

    return j.tiles_x <= UNIT_TILES ? (ldm_slabs){j.wino->out, d->out_w} : (ldm_slabs){0, 0};
}

/* Transformed inputs of a worker's own block. */
static size_t own_floats(const wino_job *j)
{
    return j->chunks * j->inputs * v_stride(j, UNIT_TILES);
}

/* Of a large input they may take more: they are far smaller than its normalised copy, which is not
 * needed then (ldm_wino_normalises). */
static bool may_own(const wino_job *j, size_t threads)
{
    const size_t input = (size_t)j->desc->in_h * (size_t)j->desc->in_w * j->cin;
    const size_t share = input / OWN_SHARE;

    return threads * own_floats(j) <= (share > OWN_FLOATS ? share : OWN_FLOATS);
}

/* Tiles enough for blocks of its own for each worker. */
static bool are_own(const wino_job *j, size_t tiles, size_t threads)
{
    return tiles >= threads * UNIT_TILES && may_own(j, threads);
}

/* Whether inputs are normalised here: only where each worker has whole rows of tiles of its own, or
 * long parts of one. It then normalises each row of inputs once, except where blocks meet.
 * Elsewhere rows would be normalised again for every few tiles, which takes longer than writing
 * them once and reading them back. */
bool ldm_wino_normalises(const ldm_kernels *k, int algorithm, const ldm_conv_desc *d, int threads)
{
    const wino_job j = make_job(k, algorithm, d);

    return !d->upsample && are_own(&j, j.tiles_x * j.tiles_y, (size_t)threads);
}

size_t ldm_wino_scratch_floats(const ldm_kernels *k, int algorithm, const ldm_conv_desc *d,
                               int threads)
{
    const wino_job j = make_job(k, algorithm, d);
    const size_t workers = (size_t)threads, own = workers * own_floats(&j);
    size_t v = j.chunks * j.inputs * v_stride(&j, j.capacity);

    if (may_own(&j, workers) && v < own)
        v = own;
    if (ldm_wino_normalises(k, algorithm, d, threads))
        v += workers * MAX_SIDE * j.line_stride;
    return ldm_conv_zero_floats(d) + workers * j.worker_floats + v;
}

/* Tile number (over all samples) to its sample and its first output pixel. */
static void locate(const wino_job *j, size_t tile, size_t *sample, int *y, int *x)
{
    const size_t per_sample = j->tiles_x * j->tiles_y, in_sample = tile % per_sample;

    *sample = tile / per_sample;
    *y = (int)(in_sample / j->tiles_x) * j->wino->out;
    *x = (int)(in_sample % j->tiles_x) * j->wino->out;
}

/* Channels of the chunk that begins at c. */
static size_t chunk_at(const wino_job *j, size_t c)
{
    return j->cin - c < j->chunk_len ? j->cin - c : j->chunk_len;
}

/* Where row y of a sample's inputs is while it is normalised. */
static float *line_at(const wino_job *j, int y)
{
    return j->lines + (size_t)(y % MAX_SIDE) * j->line_stride;
}

static void input_tile(const wino_job *j, size_t tile)
{
    const ldm_conv_desc *d = j->desc;
    const ldm_view *x = &j->args->x;
    const bool small = ldm_wino_reads_small(d);
    const int up = d->upsample && !small ? 1 : 0, h = d->in_h << up, w = d->in_w << up;
    const int in = j->wino->in;
    const size_t pitch = j->lines ? j->line_pitch : x->pitch;
    const float *pixels[MAX_SIDE * MAX_SIDE], *base;
    float *v = j->v + (tile - j->first) * j->chunk_len;
    size_t sample, c, i;
    int oy, ox, top, left, row, col;

    locate(j, tile, &sample, &oy, &ox);
    top = small ? oy / 2 - 1 : oy - d->pad_top;
    left = small ? ox / 2 - 1 : ox - d->pad_left;
    base = x->data + sample * (size_t)x->h * (size_t)x->w * x->pitch;
    for (row = 0; row < in; row++) {
        const int iy = top + row;
        const float *line = NULL;

        if (iy >= 0 && iy < h)
            line = j->lines ? line_at(j, iy) : base + (size_t)(iy >> up) * (size_t)x->w * x->pitch;
        for (col = 0; col < in; col++) {
            const int ix = left + col;

            pixels[row * in + col] =
                line && ix >= 0 && ix < w ? line + (size_t)(ix >> up) * pitch : j->zeros;
        }
    }
    for (c = 0;; c += j->chunk_len, v += j->inputs * j->v_stride) {
        const size_t n = chunk_at(j, c);

        j->wino->input(pixels, n, v, j->v_stride);
        if (c + n == j->cin)
            break;
        for (i = 0; i < j->inputs; i++)
            pixels[i] += n;
    }
}

/* The transformed input of product number `matrix`. Where there are more products than inputs, the
 * third and the fourth product of a row or column share one. */
static const float *input_of(const wino_job *j, size_t chunk, size_t matrix)
{
    const size_t side = (size_t)j->wino->side, in = (size_t)j->wino->in;
    size_t row = matrix / side, col = matrix % side;

    if (side > in) {
        row -= row > 2;
        col -= col > 2;
    }
    return j->v + (chunk * j->inputs + row * in + col) * j->v_stride;
}

/* Filters of a panel: `rows` output channels, `stride` floats apart, n input channels of each. */
typedef struct filters {
    const void *at;
    bool half;
    size_t stride, rows, n;
} filters;

static filters filters_of(const wino_job *j, size_t panel, size_t c, size_t n)
{
    const size_t nr = (size_t)j->kernels->nr, left = (size_t)j->desc->cout - panel * nr;

    return (filters){
        .at = ldm_weight_at(j->args->packed, (panel * nr * j->cin + c) * TAPS, j->args->half),
        .half = j->args->half,
        .stride = j->cin * TAPS,
        .rows = left < nr ? left : nr,
        .n = n,
    };
}

static ldm_pack pack_of(const filters *f, size_t channels, float *g)
{
    return (ldm_pack){
        .src = f->at,
        .half = f->half,
        .src_stride = f->stride,
        .rows = (int)f->rows,
        .taps = TAPS,
        .cin = channels,
        .chunk_len = 1, /* all taps of a channel together */
        .dst = g,
    };
}

/* A few channels at a time, so that they are still in the first-level cache when they have been
 * transposed. */
static void transform_filters(const wino_job *j, const filters *f, float *g, float *u)
{
    const ldm_kernels *k = j->kernels;
    const size_t nr = (size_t)k->nr;
    ldm_pack p = pack_of(f, CHUNK_STEP, g);
    size_t c;

    for (c = 0; c < f->n; c += CHUNK_STEP) {
        p.src = ldm_weight_at(f->at, c * TAPS, f->half);
        p.cin = f->n - c < CHUNK_STEP ? f->n - c : CHUNK_STEP;
        k->pack(&p);
        j->wino->filter(g, p.cin, nr, u + c * nr, j->u_stride);
    }
}

/* All products for the tiles [begin, end) over n channels from c on, added to m unless c is 0. u:
 * the transformed filters of these channels. While a product is computed, a row of the next filters
 * is fetched. */
static void products(const wino_job *j, size_t begin, size_t end, size_t c, size_t n,
                     const float *u, float *m, const filters *next)
{
    const ldm_kernels *k = j->kernels;
    ldm_strip s = {
        .a_stride = j->chunk_len,
        .rows = end - begin,
        .k = n,
        .following = input_of(j, c / j->chunk_len, 0) + begin * j->chunk_len,
        .pace = ldm_strip_pace(k, end - begin, next->half ? (TAPS + 1) / 2 : TAPS),
        .out = {.first = c == 0, .cols = k->nr},
    };
    size_t i;

    for (i = 0; i < j->matrices; i++) {
        s.a = s.following;
        if (i + 1 < j->matrices)
            s.following = input_of(j, c / j->chunk_len, i + 1) + begin * j->chunk_len;
        s.b = u + i * j->u_stride;
        s.next = ldm_weight_at(next->at, ldm_split(next->rows, j->matrices, i) * next->stride,
                               next->half);
        s.out.partial = m + i * j->m_stride;
        k->strip(&s);
    }
}

/* The same, with the filters transformed in registers, for few tiles. g: room for all n channels of
 * the packed filters. */
static void few_products(const wino_job *j, size_t begin, size_t tiles, size_t c,
                         const filters *now, float *g, float *m, const filters *next)
{
    const ldm_kernels *k = j->kernels;
    const ldm_pack p = pack_of(now, now->n, g);
    ldm_wino_few f = {
        .g = g,
        .channels = now->n,
        .v = input_of(j, c / j->chunk_len, 0) + begin * j->chunk_len,
        .v_stride = j->v_stride,
        .first = c == 0,
        .m = m,
        .m_stride = j->m_stride,
        .next = next->at,
        .next_row = next->half ? next->stride / 2 : next->stride,
    };
    size_t i;

    for (i = 0; i < LDM_WINO_FEW; i++)
        f.tile[i] = (i < tiles ? i : 0) * j->chunk_len; /* no matter what is computed beyond them */
    k->pack(&p);
    k->wino_few(&f);
}

static bool are_few(const wino_job *j, size_t tiles)
{
    return j->kernels->wino_few && j->wino == &j->kernels->wino4 && tiles > LDM_WINO_FEW / 2 &&
           tiles <= LDM_WINO_FEW;
}

/* What output tiles have added up of a row of them. */
static void write_moments(const wino_job *j, size_t row, size_t panel, const float *sums)
{
    const ldm_conv_desc *d = j->desc;
    const size_t nr = (size_t)j->kernels->nr, cout = (size_t)d->cout, column = panel * nr;
    const int out = j->wino->out, y = (int)(row % j->tiles_y) * out;
    const float pixels = (float)((d->out_h - y < out ? d->out_h - y : out) * d->out_w);
    float *mean = j->args->moments + row * 2 * cout + column, *deviation = mean + cout;
    size_t i;

    for (i = 0; i < nr && column + i < cout; i++) {
        const float sum = sums[nr + i], share = sum / pixels, rest = sums[2 * nr + i] - sum * share;

        mean[i] = sums[i] + share;
        deviation[i] = rest < 0.0f ? 0.0f : rest;
    }
}

static void output_tile(const wino_job *j, size_t tile, size_t panel, const float *m, float *sums)
{
    const ldm_conv_desc *d = j->desc;
    const ldm_conv_args *a = j->args;
    const size_t nr = (size_t)j->kernels->nr, column = panel * nr, w = (size_t)d->out_w;
    const int out = j->wino->out, left = d->cout - (int)column;
    size_t sample, pixel;
    ldm_wino_out o;
    int y, x;

    locate(j, tile, &sample, &y, &x);
    pixel = (sample * (size_t)d->out_h + (size_t)y) * w + (size_t)x;
    o = (ldm_wino_out){
        .y = a->y.data + pixel * a->y.pitch + column,
        .y_row = w * a->y.pitch,
        .y_pitch = a->y.pitch,
        .bias = a->bias ? a->bias + sample * a->bias_stride + column : NULL,
        .residual = a->residual.data ? a->residual.data + pixel * a->residual.pitch + column : NULL,
        .residual_row = w * a->residual.pitch,
        .residual_pitch = a->residual.pitch,
        .rows = d->out_h - y < out ? d->out_h - y : out,
        .cols = d->out_w - x < out ? d->out_w - x : out,
        .columns = left < j->kernels->nr ? left : j->kernels->nr,
        .relu = a->activation == LDM_ACTIVATION_RELU,
        .sums = a->moments ? sums : NULL,
        .sums_stride = nr,
        .start = x == 0,
    };
    j->wino->output(m, j->m_stride, &o);
    if (a->moments && (tile + 1) % j->tiles_x == 0)
        write_moments(j, tile / j->tiles_x, panel, sums);
}

/* The outputs of one panel for the tiles [begin, end) of the block. */
static void unit(const wino_job *j, size_t panel, size_t begin, size_t end, int worker)
{
    const ldm_kernels *k = j->kernels;
    const size_t nr = (size_t)k->nr;
    float *m = j->worker_scratch + (size_t)worker * j->worker_floats;
    float *u = m + j->matrices * j->m_stride, *g = u + j->matrices * j->u_stride;
    float *sums = g + CHUNK_STEP * TAPS * nr;
    const size_t following = panel + 1 < j->panels ? panel + 1 : panel;
    const bool few = are_few(j, end - begin);
    filters now, next = filters_of(j, panel, 0, chunk_at(j, 0));
    size_t c, n, t;

    for (c = 0; c < j->cin; c += n) {
        n = chunk_at(j, c);
        now = next;
        next = c + n < j->cin ? filters_of(j, panel, c + n, chunk_at(j, c + n))
                              : filters_of(j, following, 0, chunk_at(j, 0));
        if (few) {
            few_products(j, begin, end - begin, c, &now, u, m, &next);
        } else {
            transform_filters(j, &now, g, u);
            products(j, begin, end, c, n, u, m, &next);
        }
    }
    for (t = begin; t < end; t++)
        output_tile(j, j->first + t, panel, m + (t - begin) * nr, sums);
}

/* As ldm_split. */
static size_t split_tiles(const wino_job *j, size_t total, size_t n, size_t i)
{
    return j->grain * ldm_split(total / j->grain, n, i);
}

/* ---- a block for each worker ---- */

/* Row y of a sample's inputs from column x0 to before x1. */
static void normalise_row(const wino_job *j, size_t sample, int y, int x0, int x1)
{
    const ldm_view *x = &j->args->x;
    const size_t row = sample * (size_t)x->h + (size_t)y, at = (size_t)x0;
    const float *factor = j->args->affine + sample * 2 * j->cin;

    j->kernels->affine(x->data + (row * (size_t)x->w + at) * x->pitch, x->pitch,
                       line_at(j, y) + at * j->line_pitch, j->line_pitch, (size_t)(x1 - x0), j->cin,
                       factor, factor + j->cin, j->args->silu);
}

/* Normalises the inputs of `tiles` tiles of a row of them, the first at output (oy, ox). Rows
 * before *next are there already. */
static void normalise_tiles(const wino_job *j, size_t sample, int oy, int ox, size_t tiles,
                            int *next)
{
    const ldm_conv_desc *d = j->desc;
    const int top = oy - d->pad_top, left = ox - d->pad_left;
    const int right = left + ((int)tiles - 1) * j->wino->out + j->wino->in;
    const int end = top + j->wino->in < d->in_h ? top + j->wino->in : d->in_h;

    if (*next < top)
        *next = top;
    for (; *next < end; ++*next)
        normalise_row(j, sample, *next, left > 0 ? left : 0, right < d->in_w ? right : d->in_w);
}

/* Transforms the inputs of all tiles of a block. Where they are normalised first, the block is
 * whole rows of tiles, or where a row has more tiles than a block, parts of one or two rows. */
static void block_inputs(const wino_job *j)
{
    size_t t, n, sample;
    int oy, ox, next = 0;

    for (t = 0; t < j->count; t++) {
        locate(j, j->first + t, &sample, &oy, &ox);
        if (j->lines && (t == 0 || ox == 0)) {
            n = j->tiles_x - (size_t)(ox / j->wino->out);
            n = n < j->count - t ? n : j->count - t;
            if (t == 0 || oy == 0 || n < j->tiles_x)
                next = 0; /* what was normalised is of other columns, or another sample */
            normalise_tiles(j, sample, oy, ox, n, &next);
        }
        input_tile(j, j->first + t);
    }
}

/* With enough tiles the workers share only the filters, and none waits for another. */
static void block_task(void *arg, size_t index, int worker)
{
    wino_job j = *(const wino_job *)arg;
    size_t panel;

    j.first = split_tiles(&j, j.total, j.blocks, index);
    j.count = split_tiles(&j, j.total, j.blocks, index + 1) - j.first;
    j.v += (size_t)worker * own_floats(&j);
    if (j.args->affine)
        j.lines += (size_t)worker * MAX_SIDE * j.line_stride;
    block_inputs(&j);
    for (panel = 0; panel < j.panels; panel++)
        unit(&j, panel, 0, j.count, worker);
}

/* ---- one block for all workers ---- */

static void input_task(void *arg, size_t index, int worker)
{
    const wino_job *j = arg;
    size_t t = ldm_split(j->count, j->tasks, index), end = ldm_split(j->count, j->tasks, index + 1);

    (void)worker;
    for (; t < end; t++)
        input_tile(j, j->first + t);
}

static size_t gcd(size_t a, size_t b)
{
    while (b) {
        const size_t r = a % b;

        a = b;
        b = r;
    }
    return a;
}

/* Panels are handed out whole, or in as many parts as keep a worker's products in its cache. Where
 * the panels are no multiple of the workers, the last few are cut finer, though their filters are
 * then transformed once for each part.
 *
 * Example: 7 panels, 64 tiles, 2 workers. 7 units would leave one worker idle for the time of the
 * last. So 6 panels stay whole and the seventh is cut into 2 parts of 32 tiles: 8 units. */
static size_t split_units(wino_job *j)
{
    const size_t rest = j->panels % j->threads, grains = j->count / j->grain;
    size_t units;

    j->parts = j->rest_parts = ldm_ceil_div(grains, UNIT_TILES / j->grain);
    j->whole = j->panels;
    units = j->panels * j->parts;
    if (rest && units % j->threads && units < TASKS_A_WORKER * j->threads) {
        j->whole -= rest;
        j->rest_parts *= j->threads / gcd(rest, j->threads);
        if (j->rest_parts > grains)
            j->rest_parts = grains;
    }
    return j->whole * j->parts + (j->panels - j->whole) * j->rest_parts;
}

/* The pool gives each worker a run of numbers. Where the runs are equal, each begins with whole
 * panels and ends with parts of the rest, so that all workers do the same.
 *
 * The example of split_units: worker 0 has the numbers 0 to 3, worker 1 has 4 to 7. A share is 4
 * units, of which the head is 3 whole panels. Numbers 0, 1, 2 are panels 0, 1, 2, number 3 is the
 * first part of panel 6; numbers 4, 5, 6 are panels 3, 4, 5, number 7 the second part of panel 6.
 */
static void unit_task(void *arg, size_t index, int worker)
{
    const wino_job *j = arg;
    const size_t whole = j->whole * j->parts, rest = (j->panels - j->whole) * j->rest_parts;
    size_t i = index, panel = 0, parts = j->parts;

    if (rest && whole % j->threads == 0 && rest % j->threads == 0) {
        const size_t share = (whole + rest) / j->threads, head = whole / j->threads;
        const size_t at = index % share;

        i = index / share * head + at;
        if (at >= head)
            i = whole + index / share * (share - head) + at - head;
    }
    if (i >= whole) {
        i -= whole;
        panel = j->whole;
        parts = j->rest_parts;
    }
    unit(j, panel + i / parts, split_tiles(j, j->count, parts, i % parts),
         split_tiles(j, j->count, parts, i % parts + 1), worker);
}

void ldm_wino_conv(const ldm_kernels *k, const ldm_exec_ctx *ctx, const ldm_conv_plan *plan,
                   const ldm_conv_args *a)
{
    wino_job j = make_job(k, plan->algorithm, &plan->desc);
    size_t i;

    j.args = a;
    j.zeros = ctx->scratch;
    memset(ctx->scratch, 0, ldm_conv_zero_floats(&plan->desc) * sizeof(float));
    j.threads = (size_t)ctx->threads;
    j.worker_scratch = ctx->scratch + ldm_conv_zero_floats(&plan->desc);
    j.v = j.worker_scratch + j.threads * j.worker_floats;
    j.total = (size_t)a->x.n * j.tiles_x * j.tiles_y;
    j.grain = (a->moments || a->affine) && j.tiles_x <= UNIT_TILES ? j.tiles_x : 1;
    if (are_own(&j, j.total, j.threads)) {
        j.blocks = ldm_round_up(ldm_ceil_div(j.total, UNIT_TILES / j.grain * j.grain), j.threads);
        if (j.blocks > j.total / j.grain)
            j.blocks = j.total / j.grain;
        j.v_stride = v_stride(&j, UNIT_TILES);
        if (a->affine)
            j.lines = j.v + j.threads * own_floats(&j);
        ldm_pool_run(ctx->pool, j.blocks, block_task, &j);
        return;
    }
    j.capacity = j.capacity / j.grain * j.grain;
    j.blocks = ldm_ceil_div(j.total, j.capacity);
    j.v_stride = v_stride(&j, j.grain * ldm_ceil_div(j.total / j.grain, j.blocks));
    for (i = 0; i < j.blocks; i++) {
        j.first = split_tiles(&j, j.total, j.blocks, i);
        j.count = split_tiles(&j, j.total, j.blocks, i + 1) - j.first;
        j.tasks = TASKS_A_WORKER * j.threads;
        j.tasks = j.count < j.tasks ? j.count : j.tasks;
        ldm_pool_run(ctx->pool, j.tasks, input_task, &j);
        ldm_pool_run(ctx->pool, split_units(&j), unit_task, &j);
    }
}
