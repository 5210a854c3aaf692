/* How long a run may take: its arithmetic over the rate at which this machine does a convolution of
 * the network's width, measured for a few hundredths of a second. An estimate, for dry runs only.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "engine/engine.h"

enum { SIDE = 32, MOST_CHANNELS = 256 };

static const double MEASURE_SECONDS = 0.05;

ldm_status ldm_measure_rate(const ldm_model *m, ldm_pool *pool, double *flop_per_s, ldm_error *err)
{
    /* The narrow layers of a small network run at another rate than wide ones: take its own width.
     */
    const int own = m->network->unet.model_channels;
    const int c = own < MOST_CHANNELS ? own : MOST_CHANNELS;
    const ldm_conv_desc d = {.cin = c,
                             .cout = c,
                             .kernel = 3,
                             .stride = 1,
                             .pad_top = 1,
                             .pad_left = 1,
                             .in_h = SIDE,
                             .in_w = SIDE,
                             .out_h = SIDE,
                             .out_w = SIDE};
    const double flop = 2.0 * d.out_h * d.out_w * d.cin * d.cout * 9;
    const size_t pixels = (size_t)d.in_h * (size_t)d.in_w;
    const ldm_backend *b = m->backend;
    ldm_conv_plan plan;
    ldm_exec_ctx ctx = {.pool = pool, .threads = ldm_pool_threads(pool)};
    ldm_conv_args a = {0};
    float *packed, *x, *y;
    double begin, end;
    int calls = 0;
    ldm_status st = b->conv_plan(b, &d, m->precision, -1, ctx.threads, &plan, err);

    if (st)
        return st;
    packed = ldm_pages_alloc(plan.packed_floats * sizeof *packed);
    x = ldm_pages_alloc(pixels * (size_t)d.cin * sizeof *x);
    y = ldm_pages_alloc(pixels * (size_t)d.cout * sizeof *y);
    ctx.scratch = ldm_pages_alloc(plan.scratch_floats * sizeof *ctx.scratch);
    ctx.scratch_floats = plan.scratch_floats;
    if (packed && x && y && ctx.scratch) {
        a.x = (ldm_view){x, 1, d.in_h, d.in_w, d.cin, (size_t)d.cin};
        a.y = (ldm_view){y, 1, d.out_h, d.out_w, d.cout, (size_t)d.cout};
        a.packed = packed;
        b->conv(b, &ctx, &plan, &a); /* touches the memory; not counted */
        begin = ldm_seconds();
        do {
            b->conv(b, &ctx, &plan, &a);
            calls++;
            end = ldm_seconds();
        } while (end - begin < MEASURE_SECONDS);
        *flop_per_s = flop * calls / (end - begin);
    } else {
        st = ldm_error_nomem(err, plan.packed_floats * sizeof *packed, "measuring this machine");
    }
    ldm_pages_free(packed, plan.packed_floats * sizeof *packed);
    ldm_pages_free(x, pixels * (size_t)d.cin * sizeof *x);
    ldm_pages_free(y, pixels * (size_t)d.cout * sizeof *y);
    ldm_pages_free(ctx.scratch, plan.scratch_floats * sizeof *ctx.scratch);
    return st;
}
