/* Parity of UNets that no FFHQ model has: resblock_updown with use_scale_shift_norm and num_heads
 * (uncond-kl8), and inputs of more channels than the latent (inpaint, superres). Their models are
 * not supported as a whole; the UNet is, and is evaluated alone on latent and conditioning
 * together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"

enum { PATH_LEN = 1024, TIMES = 5 };

typedef struct unet_case {
    const char *name, *reference;
    plain_ema ema;
    bool cond; /* cond.npy follows the latent's channels */
} unet_case;

static const unet_case cases[] = {
    {"uncond-kl8", "eps_raw", EMA_NO, false},
    {"uncond-kl8", "eps_ema", EMA_YES, false},
    {"inpaint", "eps_ema", EMA_YES, true},
    {"superres", "eps", EMA_NO, true},
};

static ldm_model *open_unet(const char *folder, plain_ema ema, const golden_variant *v)
{
    char ckpt[PATH_LEN], config[PATH_LEN];
    const char *configs[] = {config, "tests/golden/unet_alone.yaml"};
    ldm_error err = {.msg = ""};
    plain_options opt;
    ldm_model *m;

    snprintf(ckpt, sizeof ckpt, "%s/model.ckpt", folder);
    snprintf(config, sizeof config, "%s/config.yaml", folder);
    plain_options_init(&opt);
    opt.ckpt = ckpt;
    opt.configs = configs;
    opt.config_count = 2;
    opt.ema = ema;
    opt.max_isa = v->max_isa;
    opt.precision = v->precision;
    if (plain_model_open(&opt, &m, &err))
        fail_msg("%s", err.msg);
    return m;
}

/* [N,C,H,W] and [N,K,H,W] as [N,C+K,H,W]. */
static ldm_array join_channels(const ldm_array *a, const ldm_array *b)
{
    ldm_array out = *a;
    uint64_t n = a->shape[0], a_each = a->numel / n, b_each = b->numel / n, i;

    out.shape[1] = a->shape[1] + b->shape[1];
    out.numel = a->numel + b->numel;
    out.data = malloc((size_t)out.numel * sizeof *out.data);
    assert_non_null(out.data);
    for (i = 0; i < n; i++) {
        float *to = out.data + i * (a_each + b_each);

        memcpy(to, a->data + i * a_each, (size_t)a_each * sizeof *to);
        memcpy(to + a_each, b->data + i * b_each, (size_t)b_each * sizeof *to);
    }
    return out;
}

static void check_case(const unet_case *c, const golden_variant *v)
{
    static const double times[TIMES] = {0, 1, 250, 500, 999};
    const char *folder = golden_folder(c->name);
    ldm_model *m = open_unet(folder, c->ema, v);
    ldm_array latent = golden_load(folder, "x_T.npy"), cond = {0}, x = latent;
    ldm_array want = golden_load(folder, "%s.npy", c->reference);
    int i;

    if (c->cond) {
        cond = golden_load(folder, "cond.npy");
        x = join_channels(&latent, &cond);
    }
    assert_int_equal(want.shape[0], TIMES);
    for (i = 0; i < TIMES; i++) {
        plain_eval job = {.part = LDM_PART_UNET, .in = &x, .t = times[i]};
        ldm_error err = {.msg = ""};
        ldm_array got;

        if (plain_eval_run(m, &job, &got, &err))
            fail_msg("%s: %s", c->name, err.msg);
        assert_int_equal(got.numel * TIMES, want.numel);
        golden_near(c->name, got.data, want.data + (uint64_t)i * got.numel, got.numel, v->eps);
        ldm_array_free(&got);
    }
    if (c->cond)
        free(x.data);
    ldm_array_free(&latent);
    ldm_array_free(&cond);
    ldm_array_free(&want);
    ldm_model_close(m);
    golden_report(v, c->name);
}

static void unets(void **state)
{
    size_t i;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_case(&cases[i], *state);
}

int main(void)
{
    static struct CMUnitTest tests[GOLDEN_VARIANTS];
    int k;

    for (k = 0; k < GOLDEN_VARIANTS; k++)
        tests[k] = (struct CMUnitTest){golden_variants[k].name, unets, NULL, NULL,
                                       (void *)(uintptr_t)&golden_variants[k]};
    return cmocka_run_group_tests_name("unets", tests, NULL, NULL);
}
