/* Parity of the samplers: each row of the table on the network of ffhq-small, with the noise that
 * the original code drew, against its noise levels and its latents at the end and on the way (the
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
#include "sample/sampler.h"

enum { T = 1000, MARKS = 8 };

typedef struct sampler_case {
    const char *folder, *name; /* arrays NAME_z, NAME_noise, NAME_x_inter ... of a golden case */
    const char *sampler;
    ldm_spacing spacing;
    int steps;
    int marks[MARKS]; /* after how many steps each entry of x_inter was taken; 0 ends the list */
    bool whole_t, zero_snr;
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
};

/* What a run's callbacks are about. */
typedef struct replay {
    const sampler_case *c;
    const ldm_model *m;
    ldm_array x;      /* [B,C,H,W]; also the shape of all others */
    ldm_array noise;  /* [draws,B,C,H,W]; no data: none is drawn */
    ldm_array marked; /* x_inter, or no data */
    int mark;
    double bar;
    int evaluations;
    double *times; /* [plan.evaluations], as evaluated */
} replay;

static ldm_status predict(void *ctx, int step, const float *x, double t, float *out, ldm_error *err)
{
    replay *r = ctx;
    ldm_array in = r->x, y;
    const plain_eval job = {.part = LDM_PART_UNET, .in = &in, .t = t};
    ldm_status st;

    (void)step;
    in.data = (float *)x;
    r->times[r->evaluations++] = t;
    st = plain_eval_run(r->m, &job, &y, err);
    if (!st) {
        memcpy(out, y.data, (size_t)y.numel * sizeof *out);
        ldm_array_free(&y);
    }
    return st;
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
        golden_near(what, x, r->marked.data + (uint64_t)r->mark++ * r->x.numel, r->x.numel, r->bar);
    }
    return 0;
}

static ldm_array load_if_there(const char *folder, const char *name, const char *what)
{
    char file[128];

    snprintf(file, sizeof file, "%s_%s.npy", name, what);
    return golden_has(folder, file) ? golden_load(folder, "%s", file) : (ldm_array){0};
}

/* alphas_cumprod of the case, or of the schedule that it has. */
static ldm_array load_alphas(const char *folder)
{
    char schedules[1024];

    if (golden_has(folder, "alphas_cumprod.npy"))
        return golden_load(folder, "alphas_cumprod.npy");
    snprintf(schedules, sizeof schedules, "%s", golden_folder("schedules"));
    return golden_load(schedules, "alphas_cumprod_linear.npy");
}

static void make_plan(const sampler_case *c, const ldm_array *alphas, ldm_sampler_plan *plan)
{
    const ldm_diffusion d = {.train_steps = T, .alphas_cumprod = alphas->data};
    const ldm_sampler *row = ldm_sampler_find(c->sampler);
    const ldm_sampling s = {.steps = c->steps,
                            .spacing = c->spacing,
                            .eta = c->eta,
                            .own_eta = !(c->eta > 0),
                            .temperature = 1,
                            .whole_t = c->whole_t,
                            .zero_snr = c->zero_snr};
    ldm_error err = {.msg = ""};

    assert_non_null(row);
    assert_int_equal(alphas->numel, T);
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

static void run_case(const sampler_case *c, const ldm_model *m, double bar)
{
    char folder[1024];
    ldm_sampler_plan plan;
    replay r = {.c = c, .m = m, .bar = bar};
    const ldm_denoiser model = {
        .ctx = &r, .predict = predict, .noise = noise, .progress = progress};
    ldm_sampler_job job = {.plan = &plan, .start = c->start};
    ldm_array alphas, z;
    ldm_error err = {.msg = ""};

    snprintf(folder, sizeof folder, "%s", golden_folder(c->folder));
    alphas = load_alphas(folder);
    make_plan(c, &alphas, &plan);
    check_sigmas(c, folder, &plan);
    r.x = golden_load(folder, "%s.npy", c->x ? c->x : "x_T");
    r.noise = load_if_there(folder, c->name, "noise");
    r.marked = c->marks[0] ? load_if_there(folder, c->name, "x_inter") : (ldm_array){0};
    if (r.noise.data && c->start == 0)
        assert_int_equal(r.noise.shape[0], plan.draws);
    job.n = (size_t)r.x.shape[0];
    job.chw = (size_t)(r.x.numel / r.x.shape[0]);
    job.scratch =
        calloc(ldm_sampler_scratch_latents(plan.sampler) * (size_t)r.x.numel, sizeof *job.scratch);
    r.times = calloc((size_t)plan.evaluations + 1, sizeof *r.times);
    assert_true(job.scratch && r.times);
    if (ldm_sampler_execute(&job, &model, r.x.data, &err))
        fail_msg("%s: %s", c->name, err.msg);
    z = golden_load(folder, "%s_z.npy", c->name);
    golden_near(c->name, r.x.data, z.data, z.numel, bar);
    if (r.marked.data)
        assert_int_equal(r.mark, r.marked.shape[0]);
    free(job.scratch);
    free(r.times);
    ldm_array_free(&z);
    ldm_array_free(&r.x);
    ldm_array_free(&r.noise);
    ldm_array_free(&r.marked);
    ldm_array_free(&alphas);
    ldm_sampler_plan_free(&plan);
}

/* The same by a run of the interface: settings by key, noise by ldm_job_set_array. */
static void run_whole(const sampler_case *c, const ldm_model *m, double bar)
{
    char folder[1024];
    ldm_array x_t, noise, want;
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
    chw = want.numel / want.shape[0];
    plain_job_init(&job);
    job.sampler = c->sampler;
    job.steps = c->steps;
    job.timesteps = ldm_spacing_name(c->spacing);
    job.eta = c->eta > 0 ? c->eta : -1;
    job.whole_timesteps = c->whole_t;
    job.zero_snr = c->zero_snr;
    job.x_t = &x_t;
    job.noise = noise.data ? &noise : NULL;
    if (plain_run_create(m, &job, &run, &err))
        fail_msg("%s: %s", c->name, err.msg);
    for (i = 0; i < want.shape[0]; i++) {
        if (plain_run_next(run, &res, &have, &err))
            fail_msg("%s: %s", c->name, err.msg);
        assert_true(have && res.status == LDM_OK);
        golden_near(c->name, res.latent, want.data + i * chw, chw, bar);
    }
    ldm_run_free(run);
    ldm_array_free(&x_t);
    ldm_array_free(&noise);
    ldm_array_free(&want);
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

static void run_variant(const golden_variant *v, double bar, bool whole_runs)
{
    const char *folder = golden_folder("ffhq-small");
    ldm_model *m = golden_open(folder, "model.ckpt", folder, EMA_YES, v);
    const char *only = getenv("LDM_CASE");
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (only && strcmp(only, cases[i].name))
            continue;
        run_case(&cases[i], m, bar);
        if (whole_runs && !cases[i].start && !cases[i].x)
            run_whole(&cases[i], m, bar);
        if (only || getenv("LDM_EACH"))
            golden_report(v, cases[i].name);
    }
    golden_report(v, "samplers");
    image_to_image(m, bar);
    golden_report(v, "img2img");
    ldm_model_close(m);
}

static void test_f32(void **state)
{
    (void)state;
    run_variant(&golden_variants[0], 2e-4, true);
}

static void test_exact(void **state)
{
    (void)state;
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
