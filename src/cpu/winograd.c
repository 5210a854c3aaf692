/* Winograd convolution, 3x3 with stride 1: F(2x2, 3x3) and F(4x4, 3x3). The output is cut into
 * tiles of 2x2 or 4x4; the (out + 2)^2 inputs of a tile and the filters are transformed, which
 * turns the convolution into 16 or 36 independent matrix products over the channels, with 2.25 or 4
 * times fewer multiplications; a last transform gives the outputs. Behind nearest upsampling it is
 * 9 or 25 products, 4 or 5.76 times fewer.
 *
 * A block of tiles at a time goes through the three steps, each split among the workers. Padding
 * and upsampling are folded into the first through a table of pointers, as in conv.c; bias and
 * residual into the last. Per output the order of terms depends on the shape alone. */
#include <string.h>

#include "cpu/conv_impl.h"

#define MAX_SIDE 6
#define ROW_PAD 16             /* rows of transformed tiles end at a whole vector */
#define BLOCK_FLOATS (4 << 20) /* 16 MB of transformed inputs and outputs at a time */
#define MATRIX_PAD 80          /* floats between matrices: keeps them out of one set of the cache */

typedef struct wino_job {
    const ldm_kernels *kernels;
    const ldm_wino *wino;
    const ldm_conv_desc *desc;
    const ldm_conv_args *args;
    const float *zeros;

    size_t inputs, matrices;       /* of a tile: in * in, side * side */
    size_t cin, row, panels;       /* row: floats from tile to tile in v */
    size_t tiles_x, tiles_y;       /* of one sample */
    size_t first, count, capacity; /* tiles of this block */
    size_t tasks;                  /* of the input and output steps */
    size_t groups;                 /* of panels, per matrix, in the product step */
    float *v, *m;                  /* [input][tile][cin], [matrix][panel][tile][nr] */
    size_t v_stride, m_stride;
} wino_job;

static const ldm_wino *wino_of(const ldm_kernels *k, int algorithm, const ldm_conv_desc *d)
{
    if (ldm_wino_reads_small(d))
        return algorithm == LDM_CONV_WINOGRAD2 ? &k->wino_up2 : &k->wino_up4;
    return algorithm == LDM_CONV_WINOGRAD2 ? &k->wino2 : &k->wino4;
}

/* Tiles in a block: a multiple of mr within the budget, at least two tiles of the matrix product.
 */
static size_t block_capacity(const ldm_kernels *k, const ldm_wino *w, const ldm_conv_desc *d)
{
    const size_t inputs = (size_t)(w->in * w->in), matrices = (size_t)(w->side * w->side);
    const size_t per_tile = inputs * ldm_round_up((size_t)d->cin, ROW_PAD) +
                            matrices * ldm_round_up((size_t)d->cout, (size_t)k->nr);
    const size_t mr = (size_t)k->mr;
    const size_t fit = BLOCK_FLOATS / per_tile / mr * mr;

    return fit > 4 * mr ? fit : 4 * mr;
}

static wino_job make_job(const ldm_kernels *k, int algorithm, const ldm_conv_desc *d)
{
    const ldm_wino *w = wino_of(k, algorithm, d);
    wino_job j = {
        .kernels = k,
        .wino = w,
        .desc = d,
        .inputs = (size_t)(w->in * w->in),
        .matrices = (size_t)(w->side * w->side),
        .cin = (size_t)d->cin,
        .row = ldm_round_up((size_t)d->cin, ROW_PAD),
        .panels = ldm_ceil_div((size_t)d->cout, (size_t)k->nr),
        .tiles_x = ldm_ceil_div((size_t)d->out_w, (size_t)w->out),
        .tiles_y = ldm_ceil_div((size_t)d->out_h, (size_t)w->out),
        .capacity = block_capacity(k, w, d),
    };

    if (j.row % 256 == 0)
        j.row += ROW_PAD; /* 12 rows are read side by side: not from one set of the cache */
    j.v_stride = ldm_round_up(j.capacity * j.row, 16) + MATRIX_PAD;
    j.m_stride = ldm_round_up(j.capacity * j.panels * (size_t)k->nr, 16) + MATRIX_PAD;
    return j;
}

size_t ldm_wino_packed_floats(const ldm_kernels *k, int algorithm, const ldm_conv_desc *d)
{
    const wino_job j = make_job(k, algorithm, d);

    return j.matrices * j.panels * j.cin * (size_t)k->nr;
}

size_t ldm_wino_scratch_floats(const ldm_kernels *k, int algorithm, const ldm_conv_desc *d)
{
    const wino_job j = make_job(k, algorithm, d);

    return ldm_conv_zero_floats(d) + j.inputs * j.v_stride + j.matrices * j.m_stride;
}

/* A few input channels of a panel at a time: gathered as [tap][channel][nr], then transformed. */
#define FILTER_CHANNELS 16

void ldm_wino_pack(const ldm_kernels *k, const ldm_conv_plan *plan, const float *weights,
                   float *packed, int panel)
{
    const ldm_conv_desc *d = &plan->desc;
    const ldm_wino *w = wino_of(k, plan->algorithm, d);
    const size_t nr = (size_t)k->nr, cin = (size_t)d->cin, taps = 9;
    const size_t panels = ldm_ceil_div((size_t)d->cout, nr);
    const int left = d->cout - panel * k->nr;
    _Alignas(64) float gathered[9 * FILTER_CHANNELS * LDM_CPU_MAX_NR];
    size_t ci;

    for (ci = 0; ci < cin; ci += FILTER_CHANNELS) {
        const size_t n = cin - ci < FILTER_CHANNELS ? cin - ci : FILTER_CHANNELS;
        ldm_pack p = {
            .src = weights + ((size_t)panel * nr * cin + ci) * taps,
            .src_stride = cin * taps,
            .rows = left < k->nr ? left : k->nr,
            .taps = (int)taps,
            .cin = n,
            .chunk_len = n,
            .dst = gathered,
        };

        k->pack(&p);
        w->filter(gathered, n * nr, packed + ((size_t)panel * cin + ci) * nr, panels * cin * nr);
    }
}

/* Tile number (over all samples) to its sample and its first output pixel. */
static void locate(const wino_job *j, size_t tile, size_t *sample, int *y, int *x)
{
    const size_t per_sample = j->tiles_x * j->tiles_y, in_sample = tile % per_sample;

    *sample = tile / per_sample;
    *y = (int)(in_sample / j->tiles_x) * j->wino->out;
    *x = (int)(in_sample % j->tiles_x) * j->wino->out;
}

static void input_tile(const wino_job *j, size_t tile)
{
    const ldm_conv_desc *d = j->desc;
    const ldm_view *x = &j->args->x;
    const bool small = ldm_wino_reads_small(d);
    const int up = d->upsample && !small ? 1 : 0, h = d->in_h << up, w = d->in_w << up;
    const int in = j->wino->in;
    const float *pixels[MAX_SIDE * MAX_SIDE], *base;
    size_t sample;
    int oy, ox, top, left, row, col;

    locate(j, tile, &sample, &oy, &ox);
    top = small ? oy / 2 - 1 : oy - d->pad_top;
    left = small ? ox / 2 - 1 : ox - d->pad_left;
    base = x->data + sample * (size_t)x->h * (size_t)x->w * x->pitch;
    for (row = 0; row < in; row++) {
        const int iy = top + row;

        for (col = 0; col < in; col++) {
            const int ix = left + col;
            const bool inside = iy >= 0 && iy < h && ix >= 0 && ix < w;

            pixels[row * in + col] =
                inside ? base + ((size_t)(iy >> up) * (size_t)x->w + (size_t)(ix >> up)) * x->pitch
                       : j->zeros;
        }
    }
    j->wino->input(pixels, j->cin, j->v + (tile - j->first) * j->row, j->v_stride);
}

static void input_task(void *arg, size_t index, int worker)
{
    const wino_job *j = arg;
    size_t t = ldm_split(j->count, j->tasks, index), end = ldm_split(j->count, j->tasks, index + 1);

    (void)worker;
    for (; t < end; t++)
        input_tile(j, j->first + t);
}

/* The transformed input that a matrix multiplies. Where there are more products than inputs, the
 * third and the fourth of a row or column take the same. */
static const float *input_of(const wino_job *j, size_t matrix)
{
    const size_t side = (size_t)j->wino->side, in = (size_t)j->wino->in;
    size_t row = matrix / side, col = matrix % side;

    if (side > in) {
        row -= row > 2;
        col -= col > 2;
    }
    return j->v + (row * in + col) * j->v_stride;
}

/* One matrix, one panel, all tiles of the block. */
static void product(const wino_job *j, size_t matrix, size_t panel)
{
    const ldm_kernels *k = j->kernels;
    const size_t nr = (size_t)k->nr;
    const size_t chunks = ldm_ceil_div(j->cin, (size_t)k->chunk);
    const size_t chunk_len = ldm_ceil_div(j->cin, chunks);
    const ldm_cut tiles = ldm_cut_of(j->count, (size_t)k->mr);
    const float *v = input_of(j, matrix), *rows[LDM_CPU_MAX_MR];
    float *m = j->m + matrix * j->m_stride + panel * j->count * nr;
    const int left = j->desc->cout - (int)(panel * nr);
    ldm_tile t = {
        .rows = rows,
        .taps = 1,
        .b = j->args->packed + (matrix * j->panels + panel) * j->cin * nr,
        .first = true,
        .cols = left < k->nr ? left : k->nr,
    };
    size_t c, i, r, start, mr, pace;

    for (c = 0; c < j->cin; c += chunk_len) {
        t.row_offset = c;
        t.k = j->cin - c < chunk_len ? j->cin - c : chunk_len;
        pace = t.k / tiles.parts * nr;
        for (i = start = 0; i < tiles.parts; i++, start += mr) {
            mr = ldm_cut_part(&tiles, i);
            for (r = 0; r < mr; r++)
                rows[r] = v + (start + r) * j->row;
            t.partial = m + start * nr;
            t.next = t.b + t.k * nr + pace * i;
            k->tile(&t, (int)mr);
        }
        t.b += t.k * nr;
        t.first = false;
    }
}

static void product_task(void *arg, size_t index, int worker)
{
    const wino_job *j = arg;
    const size_t matrix = index / j->groups, group = index % j->groups;
    const size_t end = ldm_split(j->panels, j->groups, group + 1);
    size_t panel = ldm_split(j->panels, j->groups, group);

    (void)worker;
    /* The other workers wrote most of it: fetching it in order is faster than tile by tile. */
    j->kernels->fetch(input_of(j, matrix), j->count * j->row);
    for (; panel < end; panel++)
        product(j, matrix, panel);
}

static void output_tile(const wino_job *j, size_t tile, size_t panel)
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
    };
    j->wino->output(j->m + (panel * j->count + tile - j->first) * nr, j->m_stride, &o);
}

static void output_task(void *arg, size_t index, int worker)
{
    const wino_job *j = arg;
    const size_t begin = ldm_split(j->count, j->tasks, index);
    const size_t end = ldm_split(j->count, j->tasks, index + 1);
    size_t t, panel;

    (void)worker;
    for (panel = 0; panel < j->panels; panel++) {
        for (t = begin; t < end; t++)
            output_tile(j, j->first + t, panel);
    }
}

void ldm_wino_conv(const ldm_kernels *k, const ldm_exec_ctx *ctx, const ldm_conv_plan *plan,
                   const ldm_conv_args *a)
{
    wino_job j = make_job(k, plan->algorithm, &plan->desc);
    const size_t total = (size_t)a->x.n * j.tiles_x * j.tiles_y;
    const size_t blocks = ldm_ceil_div(total, j.capacity);
    size_t i;

    j.groups = ldm_ceil_div(16 * (size_t)ctx->threads, j.matrices);
    j.groups = j.groups < j.panels ? j.groups : j.panels;
    j.args = a;
    j.zeros = ctx->scratch;
    memset(ctx->scratch, 0, ldm_conv_zero_floats(&plan->desc) * sizeof(float));
    j.v = ctx->scratch + ldm_conv_zero_floats(&plan->desc);
    j.m = j.v + j.inputs * j.v_stride;
    for (i = 0; i < blocks; i++) {
        j.first = ldm_split(total, blocks, i);
        j.count = ldm_split(total, blocks, i + 1) - j.first;
        j.tasks = j.count < 16 * (size_t)ctx->threads ? j.count : 16 * (size_t)ctx->threads;
        ldm_pool_run(ctx->pool, j.tasks, input_task, &j);
        ldm_pool_run(ctx->pool, j.matrices * j.groups, product_task, &j);
        ldm_pool_run(ctx->pool, j.tasks, output_task, &j);
    }
}
