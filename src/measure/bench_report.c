/* SPDX-License-Identifier: MIT */
/* What `ldm bench` measured, as text for a terminal and as JSON. */
#include <math.h>
#include <stdio.h>

#include "measure/bench.h"
#include "base/json_text.h"

static double gflops(double flop, double seconds)
{
    return seconds > 0 ? 1e-9 * flop / seconds : 0;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* JSON knows no infinity: null. */
static json_t *real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *spread_json(const ldm_spread *s)
{
    return json_pack("{s:o, s:o, s:o}", "median", real(s->median), "least", real(s->low),
                     "greatest", real(s->high));
}

/* Takes ownership of both. NULL (out of memory) if either is NULL. */
static json_t *appended(json_t *list, json_t *item)
{
    if (list && !json_array_append_new(list, item))
        return list;
    json_decref(list);
    return NULL;
}

static json_t *layers_json(const ldm_bench_data *b)
{
    json_t *list = json_array();
    int i;

    for (i = 0; list && i < b->layer_count; i++) {
        const ldm_layer_time *l = &b->layers[i];

        list = appended(list,
                        json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f}",
                                  "name", l->name, "op", l->op, "algorithm", l->algorithm, "kernel",
                                  l->kernel, "cin", l->cin, "channels", l->c, "height", l->h,
                                  "width", l->w, "ms", 1e3 * l->seconds, "gflops",
                                  gflops(l->flop, l->seconds), "flop", l->flop, "bytes", l->bytes));
    }
    return list;
}

static json_t *shapes_json(const ldm_bench_data *b)
{
    json_t *list = json_array();
    int i;

    for (i = 0; list && i < b->shape_count; i++) {
        const ldm_shape_time *s = &b->shapes[i];
        const ldm_conv_desc *d = &s->desc;

        list = appended(list,
                        json_pack("{s:i, s:i, s:i, s:i, s:b, s:i, s:i, s:i, s:s, s:f, s:f, "
                                  "s:f, s:f}",
                                  "cin", d->cin, "cout", d->cout, "kernel", d->kernel_h, "stride",
                                  d->stride, "upsample", (int)d->upsample, "in_h", d->in_h, "in_w",
                                  d->in_w, "count", s->count, "algorithm", s->algorithm, "ms",
                                  1e3 * s->seconds, "gflops", gflops(s->flop, s->seconds), "flop",
                                  s->flop, "bytes", s->bytes));
    }
    return list;
}

static json_t *generation_json(const ldm_bench_data *b)
{
    return json_pack("{s:i, s:i, s:f, s:i, s:i, s:i, s:I, s:o, s:o}", "steps_asked", b->steps_asked,
                     "steps_run", b->steps_run, "eta", b->eta, "pictures", b->seeds, "width",
                     b->image_w, "height", b->image_h, "first_seed", (json_int_t)b->first_seed,
                     "seconds", spread_json(&b->picture_s), "step_s", spread_json(&b->step_s));
}

static json_t *cache_json(const ldm_bench_data *b)
{
    return json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "every", b->o->cache,
                     "whole_steps", b->whole_steps, "latent_relative_l2",
                     spread_json(&b->latent_error), "picture_psnr_db", spread_json(&b->psnr),
                     "seconds", spread_json(&b->cached_picture_s), "step_s",
                     spread_json(&b->cached_step_s), "step_speedup", spread_json(&b->step_ratio),
                     "picture_speedup", spread_json(&b->picture_ratio));
}

static json_t *f32_json(const ldm_bench_f32 *f)
{
    return json_pack("{s:o, s:f, s:f, s:o, s:I, s:i, s:i, s:o, s:o}", "eps_relative_l2",
                     spread_json(&f->eps_error), "eps_s", f->eps_s, "bf16_eps_s", f->bf16_eps_s,
                     "eps_speedup", spread_json(&f->eps_ratio), "weight_bytes",
                     (json_int_t)f->weight_bytes, "steps", f->steps, "pictures", f->seeds,
                     "latent_relative_l2", spread_json(&f->latent_error), "picture_psnr_db",
                     spread_json(&f->psnr));
}

/* Sets a key. A NULL value (out of memory) is recorded as a failure. */
static void put(json_t *root, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(root, key, value))
        *failed = true;
}

static void put_model(json_t *root, const ldm_bench_data *b, bool *failed)
{
    put(root, "ready_s", json_real(b->ready), failed);
    put(root, "load_s", json_real(b->m->info.load_seconds), failed);
    put(root, "first_eps_s", json_real(b->first), failed);
    put(root, "eps_s", json_real(b->eps.median), failed);
    put(root, "eps_min_s", json_real(b->eps.low), failed);
    put(root, "rounds", json_integer(b->rounds), failed);
    put(root, "latent", json_pack("[i, i]", b->h, b->w), failed);
    put(root, "decode_s", json_real(b->decode_s), failed);
    put(root, "picture_50_s", json_real(b->usual_s), failed);
    put(root, "encode_s", b->encode_s < 0 ? json_null() : json_real(b->encode_s), failed);
    if (b->encode_s < 0)
        put(root, "no_encoder", json_string(b->no_encoder.msg), failed);
    put(root, "peak_rss_bytes", json_integer((json_int_t)b->peak), failed);
    put(root, "weight_bytes",
        json_integer((json_int_t)ldm_weights_bytes(b->m->weights[LDM_GRAPH_UNET])), failed);
    if (b->seeds)
        put(root, "generation", generation_json(b), failed);
    if (b->seeds && b->o->cache > 1)
        put(root, "cache", cache_json(b), failed);
    if (b->settings)
        put(root, "settings", json_incref(b->settings), failed);
    if (b->prompts)
        put(root, "prompts", json_incref(b->prompts), failed);
    if (b->notes)
        put(root, "notes", json_incref(b->notes), failed);
    if (b->f32.measured)
        put(root, "against_f32", f32_json(&b->f32), failed);
    if (b->layers)
        put(root, "layers", layers_json(b), failed);
}

static ldm_status report_json(const ldm_bench_data *b, ldm_str *out)
{
    json_t *root = json_object();
    bool failed = !root;

    put(root, "ldm", json_string(ldm_version()), &failed);
    put(root, "cpu", json_string(b->m->cpu.name), &failed);
    put(root, "isa", json_string(b->m->backend->name), &failed);
    put(root, "threads", json_integer(ldm_pool_threads(b->pool)), &failed);
    put(root, "precision", json_string(ldm_model_precision_name(b->m)), &failed);
    put(root, "batch", json_integer(b->batch), &failed);
    if (b->o->shapes)
        put(root, "shapes", shapes_json(b), &failed);
    else
        put_model(root, b, &failed);
    if (b->o->machine)
        put(root, "machine",
            json_pack("{s:f, s:f}", "peak_gflops", 1e-9 * b->peak_flops, "bandwidth_gbs",
                      1e-9 * b->bandwidth),
            &failed);
    failed = failed || !ldm_json_append(root, JSON_INDENT(2), out);
    json_decref(root);
    ldm_str_puts(out, "\n");
    return failed ? LDM_ERR_NOMEM : LDM_OK;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void text_layers(const ldm_bench_data *b, ldm_str *out)
{
    int i;

    ldm_str_printf(out, "\n%9s %8s %7s  %-10s %-11s %5s %5s %4s %9s  %s\n", "ms", "GFLOP/s", "GB/s",
                   "op", "algorithm", "cin", "cout", "k", "size", "module");
    for (i = 0; i < b->layer_count; i++) {
        const ldm_layer_time *l = &b->layers[i];
        char size[24];

        snprintf(size, sizeof size, "%dx%d", l->h, l->w);
        ldm_str_printf(out, "%9.3f %8.1f %7.1f  %-10s %-11s %5d %5d %4d %9s  %s\n",
                       1e3 * l->seconds, gflops(l->flop, l->seconds), gflops(l->bytes, l->seconds),
                       l->op, l->algorithm, l->cin, l->c, l->kernel, size, l->name);
    }
}

static void text_shapes(const ldm_bench_data *b, ldm_str *out)
{
    double seconds = 0, flop = 0;
    int i;

    ldm_str_printf(out, "%5s %5s %2s %2s %3s %9s %5s  %-11s %9s %8s %7s\n", "cin", "cout", "k", "s",
                   "up", "input", "count", "algorithm", "ms", "GFLOP/s", "GB/s");
    for (i = 0; i < b->shape_count; i++) {
        const ldm_shape_time *s = &b->shapes[i];
        const ldm_conv_desc *d = &s->desc;
        char size[24];

        snprintf(size, sizeof size, "%dx%d", d->in_h, d->in_w);
        ldm_str_printf(out, "%5d %5d %2d %2d %3s %9s %5d  %-11s %9.3f %8.1f %7.1f\n", d->cin,
                       d->cout, d->kernel_h, d->stride, d->upsample ? "x2" : "", size, s->count,
                       s->algorithm, 1e3 * s->seconds, gflops(s->flop, s->seconds),
                       gflops(s->bytes, s->seconds));
        seconds += s->count * s->seconds;
        flop += s->count * s->flop;
    }
    ldm_str_printf(out, "all with their counts: %.2f ms, %.1f GFLOP, %.1f GFLOP/s\n", 1e3 * seconds,
                   1e-9 * flop, gflops(flop, seconds));
}

static void text_spread(ldm_str *out, const char *what, const ldm_spread *s, int digits,
                        const char *unit, int n)
{
    ldm_str_printf(out, "  %-22s %.*f%s", what, digits, s->median, unit);
    if (n > 1)
        ldm_str_printf(out, "  (%.*f to %.*f)", digits, s->low, digits, s->high);
    ldm_str_puts(out, "\n");
}

static void text_pictures(const ldm_bench_data *b, ldm_str *out)
{
    ldm_str_printf(out, "\nWhole pictures: %d step%s, eta %g, %d seed%s from %llu; medians\n",
                   b->steps_run, b->steps_run == 1 ? "" : "s", b->eta, b->seeds,
                   b->seeds == 1 ? "" : "s", (unsigned long long)b->first_seed);
    text_spread(out, "picture", &b->picture_s, 3, " s", b->seeds);
    text_spread(out, "step", &b->step_s, 4, " s", b->seeds);
    if (b->o->cache < 2)
        return;
    ldm_str_printf(out, "\nThe same with --cache %d: %d steps evaluate the whole network\n",
                   b->o->cache, b->whole_steps);
    text_spread(out, "picture", &b->cached_picture_s, 3, " s", b->seeds);
    text_spread(out, "step", &b->cached_step_s, 4, " s", b->seeds);
    text_spread(out, "step faster by", &b->step_ratio, 2, "x", b->seeds);
    text_spread(out, "picture faster by", &b->picture_ratio, 2, "x", b->seeds);
    text_spread(out, "latent, relative L2", &b->latent_error, 4, "", b->seeds);
    text_spread(out, "picture, PSNR", &b->psnr, 1, " dB", b->seeds);
}

static void text_f32(const ldm_bench_data *b, ldm_str *out)
{
    const ldm_bench_f32 *f = &b->f32;
    char ours[16], theirs[16];

    ldm_str_printf(out,
                   "\nbf16 against f32, in turn: %d evaluations, %d picture%s of %d steps; "
                   "medians\n",
                   b->rounds, f->seeds, f->seeds == 1 ? "" : "s", f->steps);
    ldm_str_printf(out, "  %-22s %.4f s, f32 %.4f s\n", "eps evaluation", f->bf16_eps_s, f->eps_s);
    text_spread(out, "eps faster by", &f->eps_ratio, 2, "x", b->rounds);
    ldm_str_printf(out, "  %-22s %s, f32 %s\n", "weights of the UNet",
                   ldm_format_bytes(ldm_weights_bytes(b->m->weights[LDM_GRAPH_UNET]), ours),
                   ldm_format_bytes(f->weight_bytes, theirs));
    text_spread(out, "eps, relative L2", &f->eps_error, 6, "", b->rounds);
    text_spread(out, "latent, relative L2", &f->latent_error, 6, "", f->seeds);
    text_spread(out, "picture, PSNR", &f->psnr, 1, " dB", f->seeds);
}

/* What the pictures show, where something was said of it. */
static void text_condition(const ldm_bench_data *b, ldm_str *out)
{
    ldm_str what = {0};

    ldm_bench_text_condition(b, &what);
    if (what.len)
        ldm_str_printf(out, "condition            %s\n", what.data);
    out->failed |= what.failed;
    ldm_str_free(&what);
}

/* What everybody wants to know: measured where pictures were made, else by the parts. */
static void text_picture(const ldm_bench_data *b, ldm_str *out)
{
    const int factor = ldm_model_get_info(b->m)->downsample;
    const ldm_guidance *g = b->seeds ? &b->guidance : &b->usual;

    ldm_str_printf(out, "a %d x %d picture of %d steps takes %s%.3g s",
                   b->seeds ? b->image_w : b->w * factor, b->seeds ? b->image_h : b->h * factor,
                   b->seeds ? b->steps_run : LDM_BENCH_USUAL_STEPS, b->seeds ? "" : "about ",
                   b->seeds ? b->picture_s.median : b->usual_s);
    if (g->share > 0 && g->share < 1)
        ldm_str_printf(out, ", with guidance %g over %.0f %% of the steps", g->scale,
                       100 * g->share);
    else if (g->share > 0)
        ldm_str_printf(out, ", with guidance %g", g->scale);
    ldm_str_puts(out, "\n");
}

static void text_model(const ldm_bench_data *b, ldm_str *out)
{
    char buf[16];

    ldm_str_printf(out, "ready to sample      %8.3f s\n", b->ready);
    ldm_str_printf(out, "first eps evaluation %8.4f s\n", b->first);
    ldm_str_printf(out, "eps evaluation       %8.4f s  (median of %d, batch %d, latent %dx%d)\n",
                   b->eps.median, b->rounds, b->batch, b->h, b->w);
    ldm_str_printf(out, "decode               %8.4f s\n", b->decode_s);
    if (b->encode_s < 0)
        ldm_str_printf(out, "encode                    no  (%s)\n", b->no_encoder.msg);
    else
        ldm_str_printf(out, "encode               %8.4f s\n", b->encode_s);
    ldm_str_printf(out, "peak resident memory %8s  (loading, evaluations, decodes)\n",
                   ldm_format_bytes(b->peak, buf));
    text_condition(b, out);
    if (b->seeds)
        text_pictures(b, out);
    if (b->f32.measured)
        text_f32(b, out);
    if (b->o->layers)
        text_layers(b, out);
    text_picture(b, out);
}

static void report_text(const ldm_bench_data *b, ldm_str *out)
{
    ldm_str_printf(out, "%s, %d thread%s, %s, %s\n", b->m->cpu.name, ldm_pool_threads(b->pool),
                   ldm_pool_threads(b->pool) == 1 ? "" : "s", b->m->backend->name,
                   ldm_model_precision_name(b->m));
    if (b->o->machine)
        ldm_str_printf(out, "multiply-adds at most %.0f GFLOP/s, reading from memory %.1f GB/s\n",
                       1e-9 * b->peak_flops, 1e-9 * b->bandwidth);
    if (b->o->shapes)
        text_shapes(b, out);
    else
        text_model(b, out);
}

ldm_status ldm_bench_report(const ldm_bench_data *b, char **text, char **json, ldm_error *err)
{
    ldm_str t = {0}, j = {0};
    ldm_status st = LDM_OK;

    if (json)
        st = report_json(b, &j);
    if (text)
        report_text(b, &t);
    if (st || t.failed || j.failed) {
        ldm_str_free(&t);
        ldm_str_free(&j);
        return ldm_error_nomem(err, 0, "the report");
    }
    if (text)
        *text = t.data;
    if (json)
        *json = j.data;
    return LDM_OK;
}
