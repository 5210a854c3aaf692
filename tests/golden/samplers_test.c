/* SPDX-License-Identifier: MIT */
/* Parity of the samplers: each row of the table on a network of a reference case (ffhq-small;
 * class-cond and Stable Diffusion with guidance; sd2, which predicts v), with the noise that the
 * original code drew, against its noise levels and its latents at the end and on the way (the
 * network evaluated by ldm_eval, the loop the library's), and against the latents of whole runs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "engine/engine.h"
#include "sample/sampler.h"

enum { T = 1000, MARKS = 8 };

typedef struct sampler_case {
    const char *folder, *name; /* arrays NAME_z, NAME_noise, NAME_x_inter ... of a golden case */
    const char *sampler;
    ldm_spacing spacing;
    int steps;
    int marks[MARKS]; /* after how many steps each entry of x_inter was taken; 0 ends the list */
    bool whole_t, zero_snr;
    ldm_solver solver;
    double eta;
    int start;     /* step of the plan that runs first */
    const char *x; /* where it starts; NULL: x_T */
} sampler_case;

static const sampler_case cases[] = {
    {"ffhq-small", "plms50", "plms", LDM_SPACING_COMPVIS, 50, .start = 0},
    {"ffhq-small", "ddpm40", "ddpm", LDM_SPACING_LINSPACE, 1000, .start = 960},
    {"samplers/uncond", "dpm5", "dpm-solver++", LDM_SPACING_LINSPACE, 5, .marks = {1, 2, 4}},
    {"samplers/uncond", "dpm10", "dpm-solver++", LDM_SPACING_LINSPACE, 10, .marks = {1, 2, 5, 9}},
    {"samplers/uncond", "dpm20", "dpm-solver++", LDM_SPACING_LINSPACE, 20, .marks = {1, 2, 10, 19}},
    {"samplers/uncond", "k_euler", "euler", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_euler_karras", "euler", LDM_SPACING_KARRAS, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_euler_ancestral", "euler_a", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_euler_ancestral_karras", "euler_a", LDM_SPACING_KARRAS, 10,
     .marks = {1, 5}},
    {"samplers/uncond", "k_heun", "heun", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_heun_karras", "heun", LDM_SPACING_KARRAS, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_dpm_2", "dpm2", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_dpm_2_karras", "dpm2", LDM_SPACING_KARRAS, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_lms", "lms", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_lms_karras", "lms", LDM_SPACING_KARRAS, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_dpmpp_2m", "dpmpp_2m", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_dpmpp_2m_karras", "dpmpp_2m", LDM_SPACING_KARRAS, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_dpmpp_sde", "dpmpp_sde", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_dpmpp_sde_karras", "dpmpp_sde", LDM_SPACING_KARRAS, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_dpmpp_2m_sde", "dpmpp_2m_sde", LDM_SPACING_DISCRETE, 10,
     .marks = {1, 5}},
    {"samplers/uncond", "k_dpmpp_2m_sde_karras", "dpmpp_2m_sde", LDM_SPACING_KARRAS, 10,
     .marks = {1, 5}},
    {"samplers/uncond", "k_dpm_2_ancestral", "dpm2_a", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/uncond", "k_dpm_2_ancestral_karras", "dpm2_a", LDM_SPACING_KARRAS, 10,
     .marks = {1, 5}},
    {"samplers/uncond", "k_euler_karras_quant", "euler", LDM_SPACING_KARRAS, 10, .marks = {1, 5},
     .whole_t = true},
    {"samplers/uncond", "k_heun_karras_quant", "heun", LDM_SPACING_KARRAS, 10, .marks = {1, 5},
     .whole_t = true},
    {"samplers/uncond", "k_dpm_2_karras_quant", "dpm2", LDM_SPACING_KARRAS, 10, .marks = {1, 5},
     .whole_t = true},
    {"samplers/uncond", "k_lms_karras_quant", "lms", LDM_SPACING_KARRAS, 10, .marks = {1, 5},
     .whole_t = true},
    {"samplers/uncond", "k_dpmpp_2m_karras_quant", "dpmpp_2m", LDM_SPACING_KARRAS, 10,
     .marks = {1, 5}, .whole_t = true},
    {"samplers/uncond", "k_euler_ancestral_karras_quant", "euler_a", LDM_SPACING_KARRAS, 10,
     .marks = {1, 5}, .whole_t = true},
    {"samplers/uncond", "k_dpmpp_2m_exponential", "dpmpp_2m", LDM_SPACING_EXPONENTIAL, 10,
     .marks = {1, 5}},
    {"samplers/uncond", "d_euler", "euler", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/uncond", "d_euler_karras", "euler", LDM_SPACING_KARRAS, 10, .marks = {1, 5}},
    {"samplers/uncond", "d_euler", "euler", LDM_SPACING_LINSPACE, 10, .marks = {1, 5}},
    {"samplers/uncond", "d_euler_leading", "euler", LDM_SPACING_LEADING, 8, .marks = {1, 4}},
    {"samplers/uncond", "d_dpmpp2m", "dpmpp_2m_diffusers", LDM_SPACING_LINSPACE, 10,
     .marks = {1, 5}},
    {"samplers/uncond", "d_dpmpp2m_karras", "dpmpp_2m_diffusers", LDM_SPACING_KARRAS, 10,
     .marks = {1, 5}},
    {"samplers/uncond", "d_dpmpp2m_leading", "dpmpp_2m_diffusers", LDM_SPACING_LEADING, 8,
     .marks = {1, 4}},
    {"samplers/uncond", "d_dpmpp2m_sde", "dpmpp_2m_sde_diffusers", LDM_SPACING_LINSPACE, 10,
     .marks = {1, 5}},
    {"samplers/uncond", "d_unipc_bh1", "unipc", LDM_SPACING_LINSPACE, 8, .marks = {1, 4},
     .solver = LDM_SOLVER_BH1},
    {"samplers/uncond", "d_unipc", "unipc", LDM_SPACING_LINSPACE, 10, .marks = {1, 5}},
    {"samplers/uncond", "d_unipc_order3", "unipc3", LDM_SPACING_LINSPACE, 8, .marks = {1, 4}},
    {"samplers/uncond", "d_deis", "deis", LDM_SPACING_LINSPACE, 10, .marks = {1, 5}},
    {"samplers/uncond", "d_lcm", "lcm", LDM_SPACING_TRAILING, 8, .marks = {1, 4}},
    /* Their x_inter counts evaluations. */
    {"samplers/uncond", "d_pndm", "pndm", LDM_SPACING_COMPVIS, 10, .start = 0},
    {"samplers/uncond", "d_pndm_prk", "pndm_prk", LDM_SPACING_LEADING, 8, .start = 0},
    {"samplers/uncond", "img2img", "ddim", LDM_SPACING_COMPVIS, 20, .start = 10,
     .x = "img2img_z_enc"},
    {"samplers/uncond", "d_ddim_leading", "ddim_diffusers", LDM_SPACING_LEADING, 10,
     .marks = {1, 5}},
    {"samplers/uncond", "d_ddim_trailing", "ddim_diffusers", LDM_SPACING_TRAILING, 10,
     .marks = {1, 5}},
    {"samplers/uncond", "d_ddim_linspace", "ddim_diffusers", LDM_SPACING_LINSPACE, 10,
     .marks = {1, 5}},
    {"samplers/uncond", "d_ddim_zsnr_leading", "ddim_diffusers", LDM_SPACING_LEADING, 10,
     .marks = {1, 5}, .zero_snr = true},
    {"samplers/uncond", "d_ddim_leading", "ddim", LDM_SPACING_COMPVIS, 10, .marks = {1, 5}},
    {"samplers/uncond", "d_ddim_eta1", "ddim", LDM_SPACING_COMPVIS, 10, .eta = 1, .marks = {1, 5}},
    {"samplers/cfg", "dpm5", "dpm-solver++", LDM_SPACING_LINSPACE, 5, .marks = {1, 2, 4}},
    {"samplers/cfg", "dpm10", "dpm-solver++", LDM_SPACING_LINSPACE, 10, .marks = {1, 2, 5, 9}},
    {"samplers/cfg", "dpm20", "dpm-solver++", LDM_SPACING_LINSPACE, 20, .marks = {1, 2, 10, 19}},
    {"samplers/cfg", "k_euler", "euler", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/cfg", "k_euler_ancestral_karras", "euler_a", LDM_SPACING_KARRAS, 10,
     .marks = {1, 5}},
    {"samplers/cfg", "k_dpmpp_2m_karras", "dpmpp_2m", LDM_SPACING_KARRAS, 10, .marks = {1, 5}},
    {"samplers/cfg", "k_dpmpp_2m_sde_karras", "dpmpp_2m_sde", LDM_SPACING_KARRAS, 10,
     .marks = {1, 5}},
    {"samplers/cfg", "d_euler_leading", "euler", LDM_SPACING_LEADING, 8, .marks = {1, 4}},
    {"samplers/cfg", "d_dpmpp2m", "dpmpp_2m_diffusers", LDM_SPACING_LINSPACE, 10, .marks = {1, 5}},
    {"samplers/cfg", "d_dpmpp2m_karras", "dpmpp_2m_diffusers", LDM_SPACING_KARRAS, 10,
     .marks = {1, 5}},
    {"samplers/cfg", "d_dpmpp2m_leading", "dpmpp_2m_diffusers", LDM_SPACING_LEADING, 8,
     .marks = {1, 4}},
    {"samplers/cfg", "d_dpmpp2m_sde", "dpmpp_2m_sde_diffusers", LDM_SPACING_LINSPACE, 10,
     .marks = {1, 5}},
    {"samplers/cfg", "d_unipc_bh1", "unipc", LDM_SPACING_LINSPACE, 8, .marks = {1, 4},
     .solver = LDM_SOLVER_BH1},
    {"samplers/cfg", "d_unipc", "unipc", LDM_SPACING_LINSPACE, 10, .marks = {1, 5}},
    {"samplers/cfg", "d_ddim_trailing", "ddim_diffusers", LDM_SPACING_TRAILING, 10,
     .marks = {1, 5}},
    {"samplers/cfg", "d_euler", "euler", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/cfg", "k_heun_quant", "heun", LDM_SPACING_DISCRETE, 10, .marks = {1, 5},
     .whole_t = true},
    {"samplers/cfg", "d_unipc_order3", "unipc3", LDM_SPACING_LINSPACE, 8, .marks = {1, 4}},
    {"samplers/cfg", "d_deis", "deis", LDM_SPACING_LINSPACE, 10, .marks = {1, 5}},
    {"samplers/cfg", "d_lcm", "lcm", LDM_SPACING_TRAILING, 8, .marks = {1, 4}},
    {"samplers/cfg", "d_pndm", "pndm", LDM_SPACING_COMPVIS, 10, .start = 0},
    {"samplers/cfg", "d_pndm_prk", "pndm_prk", LDM_SPACING_LEADING, 8, .start = 0},
    {"samplers/cfg", "d_ddim_leading", "ddim_diffusers", LDM_SPACING_LEADING, 10, .marks = {1, 5}},
    {"samplers/cfg", "d_ddim_linspace", "ddim_diffusers", LDM_SPACING_LINSPACE, 10,
     .marks = {1, 5}},
    {"samplers/cfg", "d_ddim_zsnr_leading", "ddim_diffusers", LDM_SPACING_LEADING, 10,
     .marks = {1, 5}, .zero_snr = true},
    {"samplers/cfg", "d_ddim_eta1", "ddim", LDM_SPACING_COMPVIS, 10, .eta = 1, .marks = {1, 5}},
    {"samplers/cfg", "d_euler_karras", "euler", LDM_SPACING_KARRAS, 10, .marks = {1, 5}},
    {"samplers/cfg", "img2img", "ddim", LDM_SPACING_COMPVIS, 20, .start = 10, .x = "img2img_z_enc"},
    {"samplers/v", "k_euler", "euler", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/v", "k_euler_ancestral_karras", "euler_a", LDM_SPACING_KARRAS, 10, .marks = {1, 5}},
    {"samplers/v", "k_dpmpp_2m_karras", "dpmpp_2m", LDM_SPACING_KARRAS, 10, .marks = {1, 5}},
    {"samplers/v", "k_dpmpp_2m_sde_karras", "dpmpp_2m_sde", LDM_SPACING_KARRAS, 10,
     .marks = {1, 5}},
    {"samplers/v", "d_dpmpp2m", "dpmpp_2m_diffusers", LDM_SPACING_LINSPACE, 10, .marks = {1, 5}},
    {"samplers/v", "d_dpmpp2m_karras", "dpmpp_2m_diffusers", LDM_SPACING_KARRAS, 10,
     .marks = {1, 5}},
    {"samplers/v", "d_dpmpp2m_sde", "dpmpp_2m_sde_diffusers", LDM_SPACING_LINSPACE, 10,
     .marks = {1, 5}},
    {"samplers/v", "d_euler_zsnr_trailing", "euler", LDM_SPACING_TRAILING, 10, .marks = {1, 5},
     .zero_snr = true},
    {"samplers/v", "d_unipc", "unipc", LDM_SPACING_LINSPACE, 10, .marks = {1, 5}},
    {"samplers/v", "d_ddim_trailing", "ddim_diffusers", LDM_SPACING_TRAILING, 10, .marks = {1, 5}},
    {"samplers/v", "d_euler", "euler", LDM_SPACING_DISCRETE, 10, .marks = {1, 5}},
    {"samplers/v", "d_ddim_zsnr_trailing", "ddim_diffusers", LDM_SPACING_TRAILING, 10,
     .marks = {1, 5}, .zero_snr = true},
    {"sd1", "ddim20", "ddim", LDM_SPACING_COMPVIS, 20, .marks = {1, 5, 10, 15, 20}},
    {"sd1", "plms20", "plms", LDM_SPACING_COMPVIS, 20, .start = 0},
    {"sd1", "dpm15", "dpm-solver++", LDM_SPACING_LINSPACE, 15, .marks = {1, 2, 7, 14}},
    {"sd1", "img2img", "ddim", LDM_SPACING_COMPVIS, 20, .start = 5, .x = "img2img_z_enc"},
    {"sd2", "ddim20", "ddim", LDM_SPACING_COMPVIS, 20, .marks = {1, 5, 10, 15, 20}},
    {"sd2", "plms20", "plms", LDM_SPACING_COMPVIS, 20, .start = 0},
    {"sd2", "dpm15", "dpm-solver++", LDM_SPACING_LINSPACE, 15, .marks = {1, 2, 7, 14}},
    {"sd2", "img2img", "ddim", LDM_SPACING_COMPVIS, 20, .start = 5, .x = "img2img_z_enc"},
};

/* The networks, and how they are guided. */
typedef struct network {
    const char *folders[2]; /* of cases; the second may be NULL */
    const char *model;      /* folder of its checkpoint */
    plain_ema ema;
    double scale; /* 1: no context */
    ldm_prediction prediction;
    double bar; /* the least one: guidance by 9 on v amplifies the rounding of an evaluation */
} network;

static const network networks[] = {
    {{"ffhq-small", "samplers/uncond"}, "ffhq-small", EMA_YES, 1, LDM_PREDICTS_EPS, 0},
    {{"samplers/cfg"}, "class-cond", EMA_NO, 3, LDM_PREDICTS_EPS, 0},
    {{"sd1"}, "sd1", EMA_NO, 7.5, LDM_PREDICTS_EPS, 0},
    {{"samplers/v", "sd2"}, "sd2", EMA_NO, 9, LDM_PREDICTS_V, 2e-4},
};

/* What a run's callbacks are about. */
typedef struct replay {
    const sampler_case *c;
    const network *net;
    const ldm_model *m;
    ldm_array context, uncond; /* no data: none */
    ldm_array x;               /* [B,C,H,W]; also the shape of all others */
    ldm_array noise;           /* [draws,B,C,H,W]; no data: none is drawn */
    ldm_array marked;          /* x_inter, or no data */
    int mark, skipped;
    double bar;
    int evaluations;
    double *times; /* [plan.evaluations], as evaluated */
} replay;

static ldm_status evaluate(const replay *r, const float *x, double t, const ldm_array *context,
                           ldm_array *y, ldm_error *err)
{
    ldm_array in = r->x;
    const plain_eval job = {
        .part = LDM_PART_UNET, .in = &in, .t = t, .context = context->data ? context : NULL};

    in.data = (float *)x;
    return plain_eval_run(r->m, &job, y, err);
}

/* Guidance as the original computes it, on what the network gives: eps, or v. */
static ldm_status predict(void *ctx, int step, const float *x, double t, float *out, ldm_error *err)
{
    replay *r = ctx;
    const float scale = (float)r->net->scale;
    ldm_array y, u = {0};
    ldm_status st = evaluate(r, x, t, &r->context, &y, err);
    uint64_t i;

    (void)step;
    r->times[r->evaluations++] = t;
    if (!st && r->uncond.data)
        st = evaluate(r, x, t, &r->uncond, &u, err);
    if (st)
        return st;
    for (i = 0; i < y.numel; i++)
        out[i] = u.data ? u.data[i] + scale * (y.data[i] - u.data[i]) : y.data[i];
    ldm_array_free(&y);
    ldm_array_free(&u);
    return LDM_OK;
}

static ldm_status noise(void *ctx, ldm_draw draw, float *out, ldm_error *err)
{
    const replay *r = ctx;

    (void)err;
    assert_false(draw.mask);
    if (!r->noise.data) { /* drawn, and counted 0 times */
        memset(out, 0, (size_t)r->x.numel * sizeof *out);
        return LDM_OK;
    }
    assert_true((uint64_t)draw.number < r->noise.shape[0]);
    memcpy(out, r->noise.data + (uint64_t)draw.number * r->x.numel,
           (size_t)r->x.numel * sizeof *out);
    return LDM_OK;
}

static int progress(void *ctx, int step, int count, double t, const float *x, const float *pred_x0)
{
    replay *r = ctx;
    char what[128];

    (void)count;
    (void)t;
    (void)pred_x0;
    if (r->marked.data && r->c->marks[r->mark] == step + 1) {
        snprintf(what, sizeof what, "%s after step %d", r->c->name, step + 1);
        golden_near(what, x, r->marked.data + (uint64_t)(r->skipped + r->mark++) * r->x.numel,
                    r->x.numel, r->bar);
    }
    return 0;
}

static ldm_array load_if_there(const char *folder, const char *name, const char *what)
{
    char file[128];

    snprintf(file, sizeof file, "%s_%s.npy", name, what);
    return golden_has(folder, file) ? golden_load(folder, "%s", file) : (ldm_array){0};
}

/* All three buffers are the model's: in a file of half precision none follows from another. */
static void make_plan(const sampler_case *c, const network *net, const ldm_model *m,
                      ldm_sampler_plan *plan)
{
    const ldm_diffusion d = {.train_steps = T,
                             .alphas_cumprod = m->alphas_cumprod,
                             .sqrt_alphas_cumprod = m->sqrt_alphas_cumprod,
                             .sqrt_one_minus_alphas_cumprod = m->sqrt_one_minus_alphas_cumprod,
                             .prediction = net->prediction};
    const ldm_sampler *row = ldm_sampler_find(c->sampler);
    const ldm_sampling s = {.steps = c->steps,
                            .spacing = c->spacing,
                            .eta = c->eta,
                            .own_eta = !(c->eta > 0),
                            .temperature = 1,
                            .whole_t = c->whole_t,
                            .zero_snr = c->zero_snr,
                            .solver = c->solver};
    ldm_error err = {.msg = ""};

    assert_non_null(row);
    if (ldm_sampler_plan_create(row, &d, &s, plan, &err))
        fail_msg("%s: %s", c->name, err.msg);
}

/* NAME_sigmas has one more entry than steps: the level at the end. */
static void check_sigmas(const sampler_case *c, const char *folder, const ldm_sampler_plan *p)
{
    ldm_array want = load_if_there(folder, c->name, "sigmas");
    int i;

    if (!want.data)
        return;
    assert_int_equal(want.numel, p->count + 1);
    for (i = 0; i <= p->count; i++) {
        const double got = i < p->count ? p->steps[i].sigma : p->steps[i - 1].sigma_next;

        if (!(fabs(got - (double)want.data[i]) <= 1e-6 * (double)want.data[i]))
            fail_msg("%s: sigma %d is %.9g, expected %.9g", c->name, i, got, (double)want.data[i]);
    }
    ldm_array_free(&want);
}

static void load_context(const char *folder, const network *net, ldm_array *with,
                         ldm_array *without)
{
    *with = net->scale > 1 ? golden_load(folder, "context.npy") : (ldm_array){0};
    *without = net->scale > 1 ? golden_load(folder, "context_uncond.npy") : (ldm_array){0};
}

/* x_inter, and which of its entries the first mark is about: some begin with x_T. */
static void load_marked(replay *r, const char *folder)
{
    uint64_t marks = 0;

    if (!r->c->marks[0])
        return;
    r->marked = load_if_there(folder, r->c->name, "x_inter");
    while (marks < MARKS && r->c->marks[marks])
        marks++;
    assert_non_null(r->marked.data);
    assert_in_range(r->marked.shape[0] - marks, 0, 1);
    r->skipped = (int)(r->marked.shape[0] - marks);
}

static void execute(replay *r, const ldm_sampler_plan *plan)
{
    const ldm_denoiser model = {.ctx = r, .predict = predict, .noise = noise, .progress = progress};
    ldm_sampler_job job = {.plan = plan, .start = r->c->start};
    ldm_error err = {.msg = ""};

    job.n = (size_t)r->x.shape[0];
    job.chw = (size_t)(r->x.numel / r->x.shape[0]);
    job.scratch = calloc(ldm_sampler_scratch_latents(plan->sampler) * (size_t)r->x.numel,
                         sizeof *job.scratch);
    r->times = calloc((size_t)plan->evaluations + 1, sizeof *r->times);
    assert_true(job.scratch && r->times);
    if (ldm_sampler_execute(&job, &model, r->x.data, &err))
        fail_msg("%s: %s", r->c->name, err.msg);
    free(job.scratch);
    free(r->times);
}

static void run_case(const sampler_case *c, const network *net, const ldm_model *m, double bar)
{
    char folder[1024];
    ldm_sampler_plan plan;
    replay r = {.c = c, .net = net, .m = m, .bar = bar};
    ldm_array z;

    snprintf(folder, sizeof folder, "%s", golden_folder(c->folder));
    make_plan(c, net, m, &plan);
    check_sigmas(c, folder, &plan);
    r.x = golden_load(folder, "%s.npy", c->x ? c->x : "x_T");
    r.noise = load_if_there(folder, c->name, "noise");
    load_context(folder, net, &r.context, &r.uncond);
    load_marked(&r, folder);
    if (r.noise.data && c->start == 0)
        assert_int_equal(r.noise.shape[0], plan.draws);
    execute(&r, &plan);
    z = golden_load(folder, "%s_z.npy", c->name);
    golden_near(c->name, r.x.data, z.data, z.numel, bar);
    if (r.marked.data)
        assert_int_equal(r.skipped + r.mark, r.marked.shape[0]);
    ldm_array_free(&z);
    ldm_array_free(&r.x);
    ldm_array_free(&r.noise);
    ldm_array_free(&r.marked);
    ldm_array_free(&r.context);
    ldm_array_free(&r.uncond);
    ldm_sampler_plan_free(&plan);
}

/* For ldm_job_set_progress; ctx is the replay: the latents after each marked step. */
static int check_latents(void *ctx, const ldm_progress *p)
{
    replay *r = ctx;
    const size_t chw = (size_t)(r->x.numel / r->x.shape[0]);
    char what[128];

    if (!strcmp(p->stage, "decoding")) {
        assert_null(p->latents);
        return 0;
    }
    assert_non_null(p->latents);
    for (int i = 0; i < MARKS && r->c->marks[i]; i++) {
        if (r->c->marks[i] != p->step)
            continue;
        snprintf(what, sizeof what, "%s by ldm_run, after step %d", r->c->name, p->step);
        golden_near(what, p->latents,
                    r->marked.data + (uint64_t)(r->skipped + i) * r->x.numel +
                        (size_t)p->first_image * chw,
                    (size_t)p->images_in_batch * chw, r->bar);
        r->mark++;
    }
    return 0;
}

/* The same by a run of the interface: settings by key, noise by ldm_job_set_array. */
static void run_whole(const sampler_case *c, const network *net, const ldm_model *m, double bar)
{
    char folder[1024];
    ldm_array x_t, noise, want, context, uncond;
    replay r = {.c = c, .net = net, .m = m, .bar = bar};
    plain_job job;
    ldm_result res;
    ldm_run *run;
    ldm_error err = {.msg = ""};
    uint64_t i, chw;
    bool have;

    snprintf(folder, sizeof folder, "%s", golden_folder(c->folder));
    x_t = golden_load(folder, "x_T.npy");
    noise = load_if_there(folder, c->name, "noise");
    want = golden_load(folder, "%s_z.npy", c->name);
    load_context(folder, net, &context, &uncond);
    r.x = x_t;
    load_marked(&r, folder);
    chw = want.numel / want.shape[0];
    plain_job_init(&job);
    job.sampler = c->sampler;
    job.steps = c->steps;
    job.timesteps = ldm_spacing_name(c->spacing);
    job.eta = c->eta > 0 ? c->eta : -1;
    job.whole_timesteps = c->whole_t;
    job.zero_snr = c->zero_snr;
    job.solver = ldm_solver_name(c->solver);
    job.x_t = &x_t;
    job.noise = noise.data ? &noise : NULL;
    job.progress = r.marked.data ? check_latents : NULL;
    job.ctx = &r;
    job.scale = net->scale;
    job.context = context.data ? &context : NULL;
    job.uncond_context = uncond.data ? &uncond : NULL;
    if (plain_run_create(m, &job, &run, &err))
        fail_msg("%s: %s", c->name, err.msg);
    for (i = 0; i < want.shape[0]; i++) {
        if (plain_run_next(run, &res, &have, &err))
            fail_msg("%s: %s", c->name, err.msg);
        assert_true(have && res.status == LDM_OK);
        golden_near(c->name, res.latent, want.data + i * chw, chw, bar);
    }
    if (r.marked.data)
        assert_true(r.skipped + r.mark >= (int)r.marked.shape[0]); /* a batch or more each */
    ldm_run_free(run);
    ldm_array_free(&r.marked);
    ldm_array_free(&x_t);
    ldm_array_free(&noise);
    ldm_array_free(&want);
    ldm_array_free(&context);
    ldm_array_free(&uncond);
}

/* CompVis' img2img from a latent, by a run of the interface: the noise of stochastic_encode is
 * given, none of the steps' (eta 0). */
static void image_to_image(const ldm_model *m, double bar)
{
    char folder[1024];
    ldm_array z0, noise, want;
    const ldm_result *res = NULL;
    ldm_job *job = NULL;
    ldm_run *run = NULL;
    ldm_error err = {.msg = ""};

    snprintf(folder, sizeof folder, "%s", golden_folder("samplers/uncond"));
    z0 = golden_load(folder, "z0.npy");
    noise = golden_load(folder, "img2img_q_noise.npy");
    want = golden_load(folder, "img2img_z.npy");
    memmove(noise.shape + 1, noise.shape, 4 * sizeof *noise.shape); /* one draw of a batch of 1 */
    noise.shape[0] = 1;
    noise.ndim = 5;
    if (ldm_job_create(m, &job, &err) || ldm_job_set_int(job, "steps", 20, &err) ||
        ldm_job_set_real(job, "strength", 0.5, &err) || ldm_job_set_array(job, "init", &z0, &err) ||
        ldm_job_set_array(job, "noise", &noise, &err) || ldm_run_create(m, job, &run, &err) ||
        ldm_run_next(run, &res, &err))
        fail_msg("img2img: %s", err.msg);
    assert_non_null(res);
    assert_int_equal(res->status, LDM_OK);
    assert_int_equal(ldm_run_get_info(run)->steps_run, 10);
    assert_int_equal((int)ldm_run_get_info(run)->timesteps[0], 451);
    golden_near("img2img by ldm_run", res->latent, want.data, want.numel, bar);
    ldm_run_free(run);
    ldm_job_free(job);
    ldm_array_free(&z0);
    ldm_array_free(&noise);
    ldm_array_free(&want);
}

enum { SLOW_STRIDE = 11, EXACT_STRIDE = 3 };

static bool is_of(const sampler_case *c, const network *net)
{
    return !strcmp(c->folder, net->folders[0]) ||
           (net->folders[1] && !strcmp(c->folder, net->folders[1]));
}

static void run_network(const network *net, const golden_variant *v, double bar, bool whole_runs)
{
    const char *folder = golden_folder(net->model), *only = getenv("LDM_CASE");
    ldm_model *m = golden_open(folder, "model.ckpt", folder, net->ema, v);
    size_t i;

    bar = bar > net->bar ? bar : net->bar;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const sampler_case *c = &cases[i];
        const bool own = !strncmp(c->folder, "sd", 2);

        /* Sanitizers look at every access whatever the case, and sampler_test.c has them all. */
        if (golden_slow_build() && i % SLOW_STRIDE)
            continue;
        /* Exact differs in the network's convolutions alone: every third run will show that. */
        if (!whole_runs && !only && i % EXACT_STRIDE)
            continue;
        /* Stable Diffusion's own runs: once here, and as whole runs in models_test.c. */
        if (!is_of(c, net) || (only && strcmp(only, c->name)) || (own && !whole_runs))
            continue;
        run_case(c, net, m, bar);
        if (whole_runs && !c->start && !c->x && !own)
            run_whole(c, net, m, bar);
        if (only || getenv("LDM_EACH"))
            golden_report(v, c->name);
    }
    if (net->scale <= 1)
        image_to_image(m, bar);
    golden_report(v, net->model);
    ldm_model_close(m);
}

static void run_variant(const golden_variant *v, double bar, bool whole_runs)
{
    size_t i;

    for (i = 0; i < sizeof networks / sizeof *networks; i++)
        run_network(&networks[i], v, bar, whole_runs);
}

static void test_f32(void **state)
{
    (void)state;
    run_variant(&golden_variants[0], 2e-4, true);
}

static void test_exact(void **state)
{
    (void)state;
    if (golden_slow_build()) {
        print_message("skipped: exact sampling runs, and most others (a build with sanitizers)\n");
        skip();
    }
    run_variant(&golden_variants[1], 5e-5, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
