/* SPDX-License-Identifier: MIT */
/* The weights of the Inception network: recognising the file, and folding each BatchNorm into the
 * convolution before it. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "measure/inception_net.h"

/* ---- recognising ----------------------------------------------------------------------------- */

static const char where_from[] =
    "expected pytorch-fid's pt_inception-2015-12-05-6726825d.pth (torch-fidelity's "
    "weights-inception-2015-12-05-6726825d.pth is the same file)";

static ldm_status refuse(const ldm_ckpt *ck, const char *why, ldm_error *err)
{
    return ldm_error_set(err, LDM_ERR_MISMATCH, "%.300s: %s; %s", ldm_ckpt_path(ck), why,
                         where_from);
}

/* torchvision's inception_v3 has the same names: the number of classes tells it, and its second
 * classifier. */
static bool is_torchvision(const ldm_ckpt *ck)
{
    const ldm_tensor_info *fc = ldm_ckpt_find(ck, "fc.weight");

    return ldm_ckpt_find(ck, "AuxLogits.fc.weight") ||
           (fc && fc->ndim == 2 && fc->shape[0] == 1000 && fc->shape[1] == 2048);
}

static bool has_shape(const ldm_tensor_info *t, const ldm_tensor_decl *want)
{
    int i;

    if (t->ndim != want->ndim)
        return false;
    for (i = 0; i < want->ndim; i++) {
        if (t->shape[i] != (uint64_t)want->shape[i])
            return false;
    }
    return true;
}

static void shape_text(const uint64_t *shape, int ndim, char text[120])
{
    size_t at = 0;
    int i;

    text[0] = '\0';
    for (i = 0; i < ndim && at < 90; i++)
        at += (size_t)snprintf(text + at, 120 - at, "%s%llu", i ? ", " : "",
                               (unsigned long long)shape[i]);
}

static ldm_status wrong_shape(const ldm_ckpt *ck, const ldm_tensor_info *t,
                              const ldm_tensor_decl *want, ldm_error *err)
{
    uint64_t shape[4];
    char found[120], expected[120];
    int i;

    for (i = 0; i < want->ndim; i++)
        shape[i] = (uint64_t)want->shape[i];
    shape_text(t->shape, t->ndim, found);
    shape_text(shape, want->ndim, expected);
    return ldm_error_set(
        err, LDM_ERR_MISMATCH,
        "%.300s: %s has the shape [%s], the Inception network of 2015 has [%s]; %s",
        ldm_ckpt_path(ck), want->name, found, expected, where_from);
}

static ldm_status check_tensors(const ldm_ckpt *ck, const ldm_network *network, ldm_error *err)
{
    int i;

    for (i = 0; i < network->tensor_count; i++) {
        const ldm_tensor_decl *want = &network->tensors[i];
        const ldm_tensor_info *t = ldm_ckpt_find(ck, want->name);

        if (!t)
            return ldm_error_set(err, LDM_ERR_MISMATCH,
                                 "%.300s lacks the tensor %s of the Inception network of 2015; %s",
                                 ldm_ckpt_path(ck), want->name, where_from);
        if (!has_shape(t, want))
            return wrong_shape(ck, t, want, err);
    }
    return LDM_OK;
}

ldm_status ldm_inception_read(const char *path, const ldm_network *network, ldm_ckpt **out,
                              ldm_error *err)
{
    ldm_ckpt *ck;
    ldm_status st = ldm_ckpt_open(path, NULL, &ck, err);

    *out = NULL;
    if (st)
        return ldm_error_wrap(err, st, "the weights of the Inception network");
    if (is_torchvision(ck))
        st = refuse(ck,
                    "these are torchvision's inception_v3 weights, another network (1000 classes) "
                    "trained by others, whose features compare with no published FID",
                    err);
    else
        st = check_tensors(ck, network, err);
    if (st)
        ldm_ckpt_close(ck);
    else
        *out = ck;
    return st;
}

/* ---- folding --------------------------------------------------------------------------------- */

static ldm_status read_tensor(const ldm_inception_source *s, int tensor, float **out,
                              ldm_error *err)
{
    const ldm_tensor_decl *t = &s->network->tensors[tensor];

    *out = ldm_reallocarray(NULL, (size_t)t->numel, sizeof **out);
    if (!*out)
        return ldm_error_nomem(err, t->numel * sizeof **out, t->name);
    return ldm_ckpt_read_f32(s->ckpt, ldm_ckpt_find(s->ckpt, t->name), *out, err);
}

/* What a convolution's outputs are multiplied by: gamma / sqrt(variance + eps). first: the
 * convolution's weight, the other tensors follow it. */
static ldm_status read_factors(const ldm_inception_source *s, int first, double **out,
                               ldm_error *err)
{
    const ldm_tensor_decl *t = &s->network->tensors[first];
    const size_t channels = (size_t)t->shape[0];
    float *gamma = NULL, *variance = NULL;
    ldm_status st = read_tensor(s, first + LDM_INCEPTION_BN_WEIGHT, &gamma, err);
    size_t i;

    *out = ldm_reallocarray(NULL, channels, sizeof **out);
    if (!st && !*out)
        st = ldm_error_nomem(err, channels * sizeof **out, t->name);
    if (!st)
        st = read_tensor(s, first + LDM_INCEPTION_BN_VARIANCE, &variance, err);
    for (i = 0; !st && i < channels; i++) {
        (*out)[i] = gamma[i] / sqrt((double)variance[i] + LDM_INCEPTION_EPS);
        if (!isfinite((*out)[i]))
            st = ldm_error_set(err, LDM_ERR_NUMERIC,
                               "%.300s: the BatchNorm of %s has the variance %g and the weight %g "
                               "in channel %zu; the file is damaged",
                               ldm_ckpt_path(s->ckpt), t->name, (double)variance[i],
                               (double)gamma[i], i);
    }
    ldm_free(gamma);
    ldm_free(variance);
    return st;
}

/* W * factor of its output channel. */
static void fold_weight(const ldm_tensor_decl *t, const double *factors, float *w)
{
    const size_t channels = (size_t)t->shape[0], row = (size_t)t->numel / channels;
    size_t i;

    for (i = 0; i < (size_t)t->numel; i++)
        w[i] = (float)(w[i] * factors[i / row]);
}

/* beta - mean * factor; first: the convolution's weight. */
static ldm_status fold_bias(const ldm_inception_source *s, int first, const double *factors,
                            float *beta, ldm_error *err)
{
    float *mean = NULL;
    ldm_status st = read_tensor(s, first + LDM_INCEPTION_BN_MEAN, &mean, err);
    size_t i;

    for (i = 0; !st && i < (size_t)s->network->tensors[first].shape[0]; i++)
        beta[i] = (float)(beta[i] - mean[i] * factors[i]);
    ldm_free(mean);
    return st;
}

static ldm_status read_folded(void *ctx, int tensor, const float **data, float **owned,
                              ldm_error *err)
{
    const ldm_inception_source *s = ctx;
    const int units = s->network->tensor_count / LDM_INCEPTION_UNIT * LDM_INCEPTION_UNIT;
    const int kind = tensor < units ? tensor % LDM_INCEPTION_UNIT : -1; /* -1: of the last layer */
    double *factors = NULL;
    ldm_status st = read_tensor(s, tensor, owned, err);

    if (!st && kind >= 0)
        st = read_factors(s, tensor - kind, &factors, err);
    if (!st && kind == LDM_INCEPTION_CONV_WEIGHT)
        fold_weight(&s->network->tensors[tensor], factors, *owned);
    if (!st && kind == LDM_INCEPTION_BN_BIAS)
        st = fold_bias(s, tensor - kind, factors, *owned, err);
    ldm_free(factors);
    if (st) {
        ldm_free(*owned);
        *owned = NULL;
    }
    *data = *owned;
    return st;
}

static void done(void *ctx, int tensor, float *owned)
{
    (void)ctx;
    (void)tensor;
    ldm_free(owned);
}

ldm_weight_source ldm_inception_weight_source(ldm_inception_source *s)
{
    return (ldm_weight_source){s, read_folded, done, NULL};
}
