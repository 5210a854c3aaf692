/* SPDX-License-Identifier: MIT */
/* Direct convolution as an indirect matrix product. The rows of A are not gathered: a table of
 * pointers names, for each output pixel and tap, the input pixel under that tap, or a row of zeros
 * where the tap lies outside. Stride, padding and upsampling only change the table. With a kernel
 * of 1 the rows are the pixels themselves and no table is needed. Large weights of a kernel of 1
 * are not packed at load: each task packs what it needs of them, which takes 3 to 9 % of its time
 * but no memory.
 *
 * A task is a block of pixels by one panel of nr output channels. It goes through the panel in
 * segments that stay in the first-level cache, and through all tiles of the block for each segment;
 * the sums wait in scratch from one segment to the next. The outermost loop goes over chunks of
 * input channels, so that the part of the input which all taps share stays in the second-level
 * cache. Per output the order of terms is chunk, tap, channel, whatever the split.
 *
 * With a kernel of 1 the outputs may go over the inputs, where these are longer. They fall behind
 * the inputs then: once b pixels are done, outputs up to number b * (length of an input) / (length
 * of an output) lie over inputs that are not needed any more. So the pixels are made in rounds of
 * growing length. Only the first few, in rounds too short to be shared, wait in scratch. */
#include <string.h>

#include "cpu/conv_impl.h"

#define LATE_FLOATS (1 << 20) /* 4 MB */
#define HELD_PIXELS 64        /* of a round in place that waits in scratch */

typedef struct conv_job {
    const ldm_kernels *kernels;
    const ldm_conv_desc *desc;
    const ldm_conv_args *args;
    const float *zeros;
    float *worker_scratch;
    size_t worker_floats;

    size_t taps, chunks, chunk_len, panels;
    size_t units, unit_pixels; /* runs of output pixels that share a bias */
    size_t blocks;             /* of pixels, per unit */
    size_t panel_group;        /* panels per task */
    bool panel_major;          /* consecutive tasks share the panel, not the pixels */
    bool gated;                /* GEGLU: of panel p and its gate, panel p + panels, one is made */
    bool as_they_lie;          /* output pixel i is made of input pixel i alone */
} conv_job;

static size_t chunk_count(const ldm_kernels *k, const ldm_conv_desc *d)
{
    return ldm_ceil_div((size_t)d->cin, (size_t)k->chunk);
}

static size_t chunk_length(const ldm_kernels *k, const ldm_conv_desc *d)
{
    return ldm_ceil_div((size_t)d->cin, chunk_count(k, d));
}

bool ldm_direct_takes_pixels(const ldm_conv_desc *d)
{
    return ldm_conv_taps(d) == 1 && d->stride == 1 && d->pad_top == 0 && d->pad_left == 0 &&
           !d->upsample && d->in_h == d->out_h && d->in_w == d->out_w;
}

/* Large weights of a kernel of 1 are packed where they are used. Packed at load they would be
 * memory of our own, whose first touch takes longer than all else on a machine that is short of
 * memory. Small ones are packed at load: each block of pixels packs again, which would take too
 * much of an evaluation. */
bool ldm_direct_packs_late(const ldm_conv_desc *d)
{
    return ldm_conv_taps(d) == 1 && (size_t)d->cin * (size_t)d->cout >= LATE_FLOATS;
}

/* A chunk of a panel's weights, where they are packed late. */
static size_t late_floats(const ldm_kernels *k, const ldm_conv_desc *d)
{
    return ldm_direct_packs_late(d) ? chunk_length(k, d) * (size_t)k->nr : 0;
}

/* Results of a panel and of its gate, before GEGLU. */
static size_t gated_floats(const ldm_kernels *k, const ldm_conv_desc *d)
{
    return ldm_direct_takes_pixels(d) ? 2 * (size_t)k->block_pixels * (size_t)k->nr : 0;
}

/* Partial sums, then weights that are packed late, then results before GEGLU, then the pointer
 * table. */
static size_t worker_floats(const ldm_kernels *k, const ldm_conv_desc *d)
{
    size_t pixels = (size_t)k->block_pixels, taps = (size_t)ldm_conv_taps(d);
    size_t pointers = pixels * taps * sizeof(float *) / sizeof(float);

    return ldm_round_up(pixels * (size_t)k->nr + late_floats(k, d) + gated_floats(k, d) + pointers,
                        16);
}

size_t ldm_direct_scratch_floats(const ldm_kernels *k, const ldm_conv_desc *d, int threads)
{
    return ldm_conv_zero_floats(d) + (size_t)threads * worker_floats(k, d);
}

static size_t held_floats(const ldm_conv_desc *d)
{
    return HELD_PIXELS * ldm_round_up((size_t)d->cout, 16);
}

/* Rounds must grow quickly, and each would pack again what is packed late. */
size_t ldm_direct_in_place_floats(const ldm_kernels *k, const ldm_conv_desc *d, int threads)
{
    if (!ldm_direct_takes_pixels(d) || 3 * (size_t)d->cout > 2 * (size_t)d->cin ||
        ldm_direct_packs_late(d))
        return 0;
    return ldm_direct_scratch_floats(k, d, threads) + held_floats(d);
}

void ldm_direct_pack(const ldm_kernels *k, const ldm_conv_desc *d, const float *weights,
                     float *packed, int task)
{
    const size_t row = (size_t)ldm_conv_taps(d) * (size_t)d->cin;
    const int left = d->cout - task * k->nr;
    const ldm_pack p = {
        .src = weights + (size_t)task * (size_t)k->nr * row,
        .src_stride = row,
        .rows = left < k->nr ? left : k->nr,
        .taps = ldm_conv_taps(d),
        .cin = (size_t)d->cin,
        .chunk_len = chunk_length(k, d),
        .dst = packed + (size_t)task * (size_t)k->nr * row,
        .stream = true,
    };

    k->pack(&p);
}

/* rows[tap * mr + i] for the mr output pixels from `pixel` (counted over all samples). */
static void fill_rows(const conv_job *job, size_t pixel, int mr, const float **rows)
{
    const ldm_conv_desc *d = job->desc;
    const ldm_view *x = &job->args->x;
    const size_t out_w = (size_t)d->out_w, plane = (size_t)d->out_h * out_w;
    const int up = d->upsample ? 1 : 0, h = d->in_h << up, w = d->in_w << up;
    int sample = (int)(pixel / plane);
    int oy = (int)(pixel % plane / out_w), ox = (int)(pixel % out_w);
    int i, ky, kx;

    for (i = 0; i < mr; i++) {
        const float *base = x->data + (size_t)sample * (size_t)x->h * (size_t)x->w * x->pitch;
        const float **at = rows + i;

        for (ky = 0; ky < d->kernel_h; ky++) {
            const int iy = oy * d->stride + ky - d->pad_top;
            const bool inside = iy >= 0 && iy < h;
            const float *line = base + (inside ? (size_t)(iy >> up) * (size_t)x->w * x->pitch : 0);

            for (kx = 0; kx < d->kernel_w; kx++, at += mr) {
                const int ix = ox * d->stride + kx - d->pad_left;

                *at =
                    inside && ix >= 0 && ix < w ? line + (size_t)(ix >> up) * x->pitch : job->zeros;
            }
        }
        if (++ox == d->out_w) {
            ox = 0;
            if (++oy == d->out_h) {
                oy = 0;
                sample++;
            }
        }
    }
}

/* The weights of n input channels of a panel, from channel c on. buffer: where they go if they are
 * packed late. */
static const float *weights_of(const conv_job *job, size_t panel, size_t c, size_t n, float *buffer)
{
    const ldm_kernels *k = job->kernels;
    const size_t cin = (size_t)job->desc->cin, nr = (size_t)k->nr;

    if (!ldm_direct_packs_late(job->desc))
        return (const float *)job->args->packed + (panel * cin + c) * job->taps * nr;
    k->pack(&(ldm_pack){
        .src = ldm_weight_at(job->args->packed, panel * nr * cin + c, job->args->half),
        .half = job->args->half,
        .src_stride = cin,
        .rows = ldm_conv_columns(k, job->desc, panel),
        .taps = 1,
        .cin = n,
        .chunk_len = n,
        .dst = buffer,
    });
    return buffer;
}

/* One panel for `count` pixels from `pixel` on, which share the bias. rows: their table of
 * pointers. */
static void run_panel(const conv_job *job, size_t panel, size_t pixel, size_t count,
                      const float *const *rows, float *partial, float *buffer)
{
    const ldm_kernels *k = job->kernels;
    const size_t nr = (size_t)k->nr, cin = (size_t)job->desc->cin;
    const ldm_tile_out out =
        ldm_conv_outputs(job->kernels, job->desc, job->args, panel, pixel, partial);
    const ldm_cut tiles = ldm_cut_of(count, (size_t)k->mr);
    const size_t seg_taps = job->chunks > 1 || cin * 2 > (size_t)k->chunk ? 1
                            : (size_t)k->chunk / cin < job->taps          ? (size_t)k->chunk / cin
                                                                          : job->taps;
    size_t chunk, tap, i, start, mr, ahead, pace;
    ldm_tile t = {.out = out};

    for (chunk = 0; chunk < job->chunks; chunk++) {
        t.row_offset = chunk * job->chunk_len;
        t.k = cin - t.row_offset < job->chunk_len ? cin - t.row_offset : job->chunk_len;
        t.b = weights_of(job, panel, t.row_offset, t.k, buffer);
        for (tap = 0; tap < job->taps; tap += seg_taps) {
            t.taps = (int)(job->taps - tap < seg_taps ? job->taps - tap : seg_taps);
            t.out.first = chunk == 0 && tap == 0;
            t.out.last = chunk + 1 == job->chunks && tap + seg_taps >= job->taps;
            ahead = (size_t)t.taps * t.k * nr;
            pace = ahead / tiles.parts;
            for (i = start = 0; i < tiles.parts; i++, start += mr) {
                mr = ldm_cut_part(&tiles, i);
                t.rows = rows + start * job->taps + tap * mr;
                t.next = t.b + ahead + pace * i;
                t.ahead = (ptrdiff_t)(mr * (size_t)job->desc->stride * job->args->x.pitch);
                t.out.partial = out.partial + start * nr;
                t.out.y = out.y + start * out.y_pitch;
                t.out.residual = out.residual ? out.residual + start * out.residual_pitch : NULL;
                k->tile(&t, (int)mr);
            }
            t.b += ahead;
        }
    }
}

/* The same without a table of rows. While one panel is multiplied, the next is fetched from memory,
 * where it is one piece: each chunk fetches its share. */
static void run_strip(const conv_job *job, size_t panel, size_t pixel, size_t count,
                      ldm_tile_out out, float *buffer)
{
    const ldm_kernels *k = job->kernels;
    const ldm_view *x = &job->args->x;
    const size_t nr = (size_t)k->nr, cin = (size_t)job->desc->cin;
    const float *first = x->data + pixel * x->pitch;
    const bool half = job->args->half;
    ldm_strip s = {
        .a_stride = x->pitch,
        .rows = count,
        .following = first,
        .next = ldm_weight_at(job->args->packed, (panel + 1) * nr * cin, half),
        .pace = ldm_strip_pace(k, count, half ? nr / 2 : nr),
        .out = out,
    };
    size_t c;

    for (c = 0; c < cin; c += s.k) {
        s.k = cin - c < job->chunk_len ? cin - c : job->chunk_len;
        s.out.first = c == 0;
        s.out.last = c + s.k == cin;
        s.a = s.following;
        s.following = s.out.last ? first : s.a + s.k;
        s.b = weights_of(job, panel, c, s.k, buffer);
        k->strip(&s);
        s.next = ldm_weight_at(s.next, s.k * nr, half);
    }
}

/* Panel and gate side by side in `pair`, which stays in the cache, and their product to y. */
static void run_gated(const conv_job *job, size_t panel, size_t pixel, size_t count, float *partial,
                      float *buffer, float *pair)
{
    const ldm_kernels *k = job->kernels;
    const size_t nr = (size_t)k->nr, gate = panel + job->panels;
    const ldm_tile_out out =
        ldm_conv_outputs(job->kernels, job->desc, job->args, panel, pixel, partial);
    ldm_tile_out a = out,
                 b = ldm_conv_outputs(job->kernels, job->desc, job->args, gate, pixel, partial);

    a.y = pair;
    b.y = pair + nr;
    a.y_pitch = b.y_pitch = 2 * nr;
    run_strip(job, panel, pixel, count, a, buffer);
    run_strip(job, gate, pixel, count, b, buffer);
    ldm_conv_gate(k, pair, &out, count);
}

static void run_pixels(const conv_job *job, size_t panel, size_t pixel, size_t count,
                       float *partial, float *buffer)
{
    const ldm_tile_out out =
        ldm_conv_outputs(job->kernels, job->desc, job->args, panel, pixel, partial);

    if (job->gated) {
        run_gated(job, panel, pixel, count, partial, buffer,
                  buffer + late_floats(job->kernels, job->desc));
        return;
    }
    run_strip(job, panel, pixel, count, out, buffer);
    ldm_conv_activate(job->kernels, job->args->activation, &out, count);
}

static void conv_task(void *arg, size_t index, int worker)
{
    const conv_job *job = arg;
    const ldm_kernels *k = job->kernels;
    const size_t groups = ldm_ceil_div(job->panels, job->panel_group);
    const size_t parts = job->units * job->blocks;
    const size_t part = job->panel_major ? index % parts : index / groups;
    const size_t group = job->panel_major ? index / parts : index % groups;
    const size_t unit = part / job->blocks, block = part % job->blocks;
    const size_t begin = ldm_split(job->unit_pixels, job->blocks, block);
    const size_t count = ldm_split(job->unit_pixels, job->blocks, block + 1) - begin;
    const size_t pixel = unit * job->unit_pixels + begin;
    const ldm_cut tiles = ldm_cut_of(count, (size_t)k->mr);
    float *partial = job->worker_scratch + (size_t)worker * job->worker_floats;
    float *buffer = partial + k->block_pixels * k->nr;
    const float **rows =
        (const float **)(void *)(buffer + late_floats(k, job->desc) + gated_floats(k, job->desc));
    size_t i, start, mr, panel, end;

    for (i = start = 0; i < tiles.parts && !job->as_they_lie; i++, start += mr) {
        mr = ldm_cut_part(&tiles, i);
        fill_rows(job, pixel + start, (int)mr, rows + start * job->taps);
    }
    panel = group * job->panel_group;
    end = panel + job->panel_group < job->panels ? panel + job->panel_group : job->panels;
    for (; panel < end; panel++) {
        if (job->as_they_lie)
            run_pixels(job, panel, pixel, count, partial, buffer);
        else
            run_panel(job, panel, pixel, count, rows, partial, buffer);
    }
}

/* A task is a block of pixels by a group of panels. Pixels are cut into blocks until there are
 * tasks enough that all workers end at about the same time: MANY_TASKS a worker, or FEW_TASKS if
 * every worker gets as many. Where there are more than GROUPED_TASKS a worker, a task takes several
 * panels, and its pixels' table of rows is made once for them.
 *
 * Examples with AVX-512 (panels of 32 channels, blocks of at most 384 pixels) and 2 workers:
 *   16x16 pixels, 64 channels: 1 block x 2 panels are 2 tasks. 2, 3, 4 blocks give 4, 6, 8 tasks; 8
 *     are 4 a worker, so the 256 pixels are cut into 4 blocks of 64.
 *   256x256 pixels, 128 channels: 171 blocks x 4 panels are 684 tasks. 684 / 64 is 10, there are 4
 *     panels, so a task takes all of them: 171 tasks. */
enum { FEW_TASKS = 4, MANY_TASKS = 16, GROUPED_TASKS = 32 };

static void split_work(conv_job *job, int threads)
{
    const size_t workers = (size_t)threads, min_block = 2 * (size_t)job->kernels->mr;
    const size_t most = ldm_ceil_div(job->unit_pixels, min_block);
    size_t tasks, parts, input, weights, block = (size_t)job->kernels->block_pixels;

    job->blocks = ldm_ceil_div(job->unit_pixels, block);
    if (workers > 1) {
        while (job->blocks < most) {
            tasks = job->units * job->blocks * job->panels;
            if (tasks >= MANY_TASKS * workers ||
                (tasks >= FEW_TASKS * workers && tasks % workers == 0))
                break;
            job->blocks++;
        }
    }
    /* What is read again: the weights for each block, or the input for each panel. */
    parts = job->units * job->blocks;
    input = (size_t)job->args->x.n * (size_t)job->desc->in_h * (size_t)job->desc->in_w;
    weights = job->taps * (size_t)job->desc->cout;
    job->panel_major = weights * parts > input * job->panels;
    tasks = job->units * job->blocks * job->panels;
    job->panel_group = 1;
    if (!job->panel_major && tasks > GROUPED_TASKS * workers) {
        const size_t group = tasks / (GROUPED_TASKS * workers);

        job->panel_group = group < job->panels ? group : job->panels;
    }
}

static void run_job(conv_job *job, const ldm_exec_ctx *ctx)
{
    split_work(job, ctx->threads);
    ldm_pool_run(ctx->pool, job->units * job->blocks * ldm_ceil_div(job->panels, job->panel_group),
                 conv_task, job);
}

static void run_in_place(const conv_job *whole, const ldm_exec_ctx *ctx, float *held)
{
    const ldm_conv_args *a = whole->args;
    const size_t pixels = whole->unit_pixels, x_pitch = a->x.pitch, y_pitch = a->y.pitch;
    const size_t held_pitch = ldm_round_up((size_t)a->y.c, 16);
    ldm_conv_args part = *a;
    conv_job job = *whole;
    size_t done, end, i;

    job.args = &part;
    for (done = 0; done < pixels; done = end) {
        const bool holds = done * x_pitch / y_pitch - done < HELD_PIXELS;

        end = holds ? done + HELD_PIXELS : done * x_pitch / y_pitch;
        end = end < pixels ? end : pixels;
        part.x.data = a->x.data + done * x_pitch;
        part.y.data = holds ? held : a->y.data + done * y_pitch;
        part.y.pitch = holds ? held_pitch : y_pitch;
        if (a->residual.data)
            part.residual.data = a->residual.data + done * a->residual.pitch;
        job.unit_pixels = end - done;
        run_job(&job, ctx);
        for (i = done; holds && i < end; i++)
            memcpy(a->y.data + i * y_pitch, held + (i - done) * held_pitch,
                   (size_t)a->y.c * sizeof *held);
    }
}

void ldm_direct_conv(const ldm_kernels *k, const ldm_exec_ctx *ctx, const ldm_conv_plan *plan,
                     const ldm_conv_args *a)
{
    const ldm_conv_desc *d = &plan->desc;
    const size_t plane = (size_t)d->out_h * (size_t)d->out_w, n = (size_t)a->x.n;
    conv_job job = {
        .kernels = k,
        .desc = d,
        .args = a,
        .zeros = ctx->scratch,
        .worker_scratch = ctx->scratch + ldm_conv_zero_floats(d),
        .worker_floats = worker_floats(k, d),
        .taps = (size_t)ldm_conv_taps(d),
        .chunks = chunk_count(k, d),
        .chunk_len = chunk_length(k, d),
        .panels = ldm_ceil_div((size_t)d->cout, (size_t)k->nr),
        .units = a->bias && a->bias_stride ? n : 1,
        .unit_pixels = a->bias && a->bias_stride ? plane : plane * n,
        .as_they_lie = ldm_direct_takes_pixels(d),
        .gated = a->activation == LDM_ACTIVATION_GEGLU,
    };

    if (job.gated)
        job.panels /= 2;
    memset(ctx->scratch, 0, ldm_conv_zero_floats(d) * sizeof(float));
    if (a->y.data == a->x.data)
        run_in_place(&job, ctx, job.worker_scratch + (size_t)ctx->threads * job.worker_floats);
    else
        run_job(&job, ctx);
}
