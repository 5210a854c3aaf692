/* SPDX-License-Identifier: MIT */
/* See naive.h. */
#include "naive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct naive {
    const ldm_graph *g;
    float *const *weights;
    float **values; /* [value_count][c * h * w] */
} naive;

static const ldm_graph_value *spec_of(const naive *x, int value)
{
    return &x->g->values[value];
}

static size_t numel_of(const naive *x, int value)
{
    const ldm_graph_value *v = spec_of(x, value);

    return (size_t)v->c * (size_t)v->h * (size_t)v->w;
}

static void conv(const naive *x, const ldm_node *n)
{
    const ldm_graph_value *a = spec_of(x, n->in[0]), *o = spec_of(x, n->out);
    const float *in = x->values[n->in[0]], *w = x->weights[n->weight];
    float *out = x->values[n->out];
    int co, ci, y, xx, ky, kx;

    for (co = 0; co < o->c; co++) {
        for (y = 0; y < o->h; y++) {
            for (xx = 0; xx < o->w; xx++) {
                double sum = n->bias >= 0 ? x->weights[n->bias][co] : 0;

                for (ci = 0; ci < a->c; ci++) {
                    for (ky = 0; ky < n->kernel_h; ky++) {
                        for (kx = 0; kx < n->kernel_w; kx++) {
                            int iy = y * n->stride + ky - n->pad_top;
                            int ix = xx * n->stride + kx - n->pad_left;

                            if (iy < 0 || ix < 0 || iy >= a->h || ix >= a->w)
                                continue;
                            sum += (double)
                                       w[((co * a->c + ci) * n->kernel_h + ky) * n->kernel_w + kx] *
                                   in[(ci * a->h + iy) * a->w + ix];
                        }
                    }
                }
                out[(co * o->h + y) * o->w + xx] = (float)sum;
            }
        }
    }
}

static void norm(const naive *x, const ldm_node *n)
{
    const ldm_graph_value *a = spec_of(x, n->in[0]);
    const float *in = x->values[n->in[0]], *gamma = x->weights[n->weight];
    const float *beta = x->weights[n->bias];
    float *out = x->values[n->out];
    size_t hw = (size_t)a->h * (size_t)a->w, per = (size_t)(a->c / n->groups), i;
    int group;

    for (group = 0; group < n->groups; group++) {
        size_t first = (size_t)group * per * hw, count = per * hw;
        double mean = 0, var = 0;

        for (i = 0; i < count; i++)
            mean += in[first + i];
        mean /= (double)count;
        for (i = 0; i < count; i++)
            var += (in[first + i] - mean) * (in[first + i] - mean);
        var /= (double)count;
        for (i = 0; i < count; i++) {
            size_t c = (first + i) / hw;

            out[first + i] =
                (float)((in[first + i] - mean) / sqrt(var + n->eps) * gamma[c] + beta[c]);
        }
    }
}

/* Channel of q (part 0), k (1) or v (2), dimension d of head h, in a joint tensor. */
static size_t channel(const ldm_node *n, int c, int part, int head, int d)
{
    if (n->in[1] >= 0)
        return (size_t)(head * n->head_dim + d);
    if (n->heads_first)
        return (size_t)((head * 3 + part) * n->head_dim + d);
    return (size_t)(part * c + head * n->head_dim + d);
}

static void attention(const naive *x, const ldm_node *n)
{
    const ldm_graph_value *o = spec_of(x, n->out);
    const ldm_graph_value *other = spec_of(x, n->in[n->in[1] >= 0]);
    const float *q = x->values[n->in[0]];
    const float *k = n->in[1] >= 0 ? x->values[n->in[1]] : q;
    const float *v = n->in[2] >= 0 ? x->values[n->in[2]] : q;
    float *out = x->values[n->out];
    size_t hw = (size_t)o->h * (size_t)o->w, all = (size_t)other->h * (size_t)other->w, i, j;
    double *p = malloc(all * sizeof *p);
    int head, d;

    for (head = 0; p && head < n->heads; head++) {
        for (i = 0; i < hw; i++) {
            const size_t keys = n->causal ? i + 1 : all;
            double top = -1e300, sum = 0;

            for (j = 0; j < keys; j++) {
                p[j] = 0;
                for (d = 0; d < n->head_dim; d++)
                    p[j] += (double)q[channel(n, o->c, 0, head, d) * hw + i] *
                            k[channel(n, o->c, 1, head, d) * all + j];
                p[j] /= sqrt(n->head_dim);
                top = p[j] > top ? p[j] : top;
            }
            for (j = 0; j < keys; j++)
                sum += p[j] = exp(p[j] - top);
            for (d = 0; d < n->head_dim; d++) {
                double y = 0;

                for (j = 0; j < keys; j++)
                    y += p[j] / sum * v[channel(n, o->c, 2, head, d) * all + j];
                out[(size_t)(head * n->head_dim + d) * hw + i] = (float)y;
            }
        }
    }
    free(p);
}

static void quantize(const naive *x, const ldm_node *n, int entries)
{
    const ldm_graph_value *a = spec_of(x, n->in[0]);
    const float *z = x->values[n->in[0]], *e = x->weights[n->weight];
    float *out = x->values[n->out];
    size_t hw = (size_t)a->h * (size_t)a->w, i, c = (size_t)a->c, k;
    int j;

    for (i = 0; i < hw; i++) {
        double least = 1e300;
        size_t best = 0;

        for (j = 0; j < entries; j++) {
            double d = 0;

            for (k = 0; k < c; k++)
                d += pow((double)z[k * hw + i] - e[(size_t)j * c + k], 2);
            if (d < least) {
                least = d;
                best = (size_t)j;
            }
        }
        if (n->op == LDM_OP_QUANTIZE_INDEX)
            out[i] = (float)best;
        for (k = 0; n->op == LDM_OP_QUANTIZE && k < c; k++)
            out[k * hw + i] = e[best * c + k];
    }
}

static double gelu(double v)
{
    return v * 0.5 * erfc(-v / sqrt(2));
}

static void layer_norm(const naive *x, const ldm_node *n)
{
    const ldm_graph_value *a = spec_of(x, n->in[0]);
    const size_t hw = (size_t)a->h * (size_t)a->w, c = (size_t)a->c;
    const float *in = x->values[n->in[0]];
    size_t i, k;

    for (i = 0; i < hw; i++) {
        double mean = 0, var = 0;

        for (k = 0; k < c; k++)
            mean += in[k * hw + i];
        mean /= (double)c;
        for (k = 0; k < c; k++)
            var += (in[k * hw + i] - mean) * (in[k * hw + i] - mean);
        var /= (double)c;
        for (k = 0; k < c; k++)
            x->values[n->out][k * hw + i] =
                (float)((in[k * hw + i] - mean) / sqrt(var + n->eps) * x->weights[n->weight][k] +
                        x->weights[n->bias][k]);
    }
}

static void embedding(const naive *x, const ldm_node *n)
{
    const ldm_graph_value *o = spec_of(x, n->out);
    const size_t hw = (size_t)o->h * (size_t)o->w, c = (size_t)o->c;
    const float *ids = x->values[n->in[0]], *table = x->weights[n->weight];
    size_t i, k;

    for (i = 0; i < hw; i++) {
        for (k = 0; k < c; k++)
            x->values[n->out][k * hw + i] =
                table[(size_t)ids[i] * c + k] + (n->bias >= 0 ? x->weights[n->bias][i * c + k] : 0);
    }
}

/* Operations that treat each value by itself or with a neighbour. */
static void simple(const naive *x, const ldm_node *n)
{
    const ldm_graph_value *a = spec_of(x, n->in[0]), *o = spec_of(x, n->out);
    const float *in = x->values[n->in[0]], *b = n->in[1] >= 0 ? x->values[n->in[1]] : NULL;
    float *out = x->values[n->out];
    size_t hw = (size_t)o->h * (size_t)o->w, count = numel_of(x, n->out), i;
    size_t split = (size_t)a->c * hw;

    for (i = 0; i < count; i++) {
        size_t c = i / hw, y = i % hw / (size_t)o->w, xx = i % (size_t)o->w;
        const float *plane = in + c * (size_t)a->h * (size_t)a->w;
        size_t aw = (size_t)a->w;

        switch (n->op) {
        case LDM_OP_SILU:
            out[i] = (float)(in[i] / (1 + exp(-(double)in[i])));
            break;
        case LDM_OP_GELU:
            out[i] = (float)gelu(in[i]);
            break;
        case LDM_OP_QUICK_GELU:
            out[i] = (float)(in[i] / (1 + exp(-1.702 * in[i])));
            break;
        case LDM_OP_GEGLU:
            out[i] = (float)(in[i] * gelu(in[count + i]));
            break;
        case LDM_OP_TANH:
            out[i] = (float)tanh(in[i]);
            break;
        case LDM_OP_ADD:
            out[i] = in[i] + b[i];
            break;
        case LDM_OP_ADD_VECTOR:
            out[i] = in[i] + b[c];
            break;
        case LDM_OP_SCALE_SHIFT:
            out[i] = in[i] * (1 + b[c]) + b[(size_t)o->c + c];
            break;
        case LDM_OP_CONCAT:
            out[i] = i < split ? in[i] : b[i - split];
            break;
        case LDM_OP_UPSAMPLE:
            out[i] = plane[y / 2 * aw + xx / 2];
            break;
        default: /* LDM_OP_AVG_POOL */
            out[i] = (plane[2 * y * aw + 2 * xx] + plane[2 * y * aw + 2 * xx + 1] +
                      plane[(2 * y + 1) * aw + 2 * xx] + plane[(2 * y + 1) * aw + 2 * xx + 1]) /
                     4;
        }
    }
}

/* In float32, as the original: at t = 999 the angle's rounding shows. */
static void embed(const naive *x, const ldm_node *n)
{
    int half = spec_of(x, n->out)->c / 2, i;
    float t = x->values[n->in[0]][0];

    for (i = 0; i < half; i++) {
        float angle = t * expf((float)-log(10000.0) * (float)i / (float)half);

        x->values[n->out][i] = cosf(angle);
        x->values[n->out][half + i] = sinf(angle);
    }
}

/* Copies one sample of an input's array to its value, [c][h][w]. */
static void take(const naive *x, const ldm_input *in, const float *data, int sample)
{
    const ldm_graph_value *v = spec_of(x, in->value);
    const size_t pixels = (size_t)v->h * (size_t)v->w, c = (size_t)v->c, numel = c * pixels;
    float *to = x->values[in->value];
    size_t i;

    data += (size_t)sample * numel;
    for (i = 0; i < numel; i++)
        to[i] = in->channels_last ? data[i % pixels * c + i / pixels] : data[i];
}

float *naive_run(const ldm_network *s, const ldm_graph *g, float *const *weights,
                 const ldm_named_array *inputs, int sample)
{
    naive x = {g, weights, calloc((size_t)g->value_count, sizeof *x.values)};
    float *out;
    int i;

    if (!x.values)
        return NULL;
    for (i = 0; i < g->value_count; i++) {
        x.values[i] = calloc(numel_of(&x, i), sizeof **x.values);
        if (!x.values[i])
            abort();
    }
    for (i = 0; i < g->input_count; i++) {
        const ldm_named_array *a = inputs;

        while (strcmp(a->name, g->inputs[i].name))
            a++;
        take(&x, &g->inputs[i], a->data, sample);
    }
    for (i = 0; i < g->node_count; i++) {
        const ldm_node *n = &g->nodes[i];

        switch (n->op) {
        case LDM_OP_CONV:
        case LDM_OP_LINEAR:
            conv(&x, n);
            break;
        case LDM_OP_NORM:
            norm(&x, n);
            break;
        case LDM_OP_LAYER_NORM:
            layer_norm(&x, n);
            break;
        case LDM_OP_EMBEDDING:
            embedding(&x, n);
            break;
        case LDM_OP_ATTENTION:
            attention(&x, n);
            break;
        case LDM_OP_TIMESTEP_EMBED:
            embed(&x, n);
            break;
        case LDM_OP_QUANTIZE:
        case LDM_OP_QUANTIZE_INDEX:
            quantize(&x, n, (int)s->tensors[n->weight].shape[0]);
            break;
        default:
            simple(&x, n);
        }
    }
    out = x.values[g->output];
    for (i = 0; i < g->value_count; i++) {
        if (i != g->output)
            free(x.values[i]);
    }
    free(x.values);
    return out;
}
