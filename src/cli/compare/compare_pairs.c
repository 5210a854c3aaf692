/* SPDX-License-Identifier: MIT */
/* The pictures of one seed on both sides, held against each other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sort.h"
#include "cli/compare/compare.h"

/* |a - b| / |b| */
static double distance(const float *a, const float *b, size_t n)
{
    double difference = 0, length = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];

        difference += d * d;
        length += (double)b[i] * (double)b[i];
    }
    return length > 0 ? sqrt(difference / length) : NAN;
}

static ldm_cmp_pair cmp_pair_of(const ldm_cmp_side *a, const ldm_cmp_side *b, size_t i)
{
    const ldm_cmp_picture *p = &a->pictures[i], *q = &b->pictures[i];
    ldm_cmp_pair pair = {.both = p->good && q->good, .psnr = NAN, .latent = NAN};
    ldm_image_difference d;

    if (!pair.both)
        return pair;
    pair.same_size = p->image.width == q->image.width && p->image.height == q->image.height &&
                     p->image.channels == q->image.channels;
    if (!pair.same_size || ldm_image_compare(&p->image, &q->image, &d, sizeof d, NULL))
        return pair;
    pair.psnr = d.psnr;
    pair.equal = !d.largest;
    if (a->latent_floats == b->latent_floats)
        pair.latent = distance(p->latent, q->latent, a->latent_floats);
    return pair;
}

int ldm_cmp_find_pairs(ldm_compare *c)
{
    c->pair_count = c->a.count < c->b.count ? c->a.count : c->b.count;
    c->pairs = calloc(c->pair_count + 1, sizeof *c->pairs);
    if (!c->pairs)
        return ldm_cli_nomem(c->cmd);
    for (size_t i = 0; i < c->pair_count; i++)
        c->pairs[i] = cmp_pair_of(&c->a, &c->b, i);
    return LDM_EXIT_OK;
}

size_t ldm_cmp_count_same(const ldm_compare *c, const ldm_cmp_side *s)
{
    size_t same = 0;

    for (size_t i = 0; i < s->count && i < c->b.count; i++)
        same += cmp_pair_of(s, &c->b, i).equal;
    return same;
}

/* Of n values, which are sorted; NaN: none. */
static double median(double *v, size_t n)
{
    ldm_sort_doubles(v, n);
    return !n ? NAN : n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

ldm_cmp_pair_summary ldm_cmp_summarise_pairs(const ldm_compare *c)
{
    ldm_cmp_pair_summary s = {.psnr = NAN, .latent = NAN};
    double *v = calloc(2 * (c->pair_count + 1), sizeof *v), *w = v ? v + c->pair_count + 1 : NULL;
    size_t n = 0, m = 0;

    for (size_t i = 0; i < c->pair_count; i++) {
        const ldm_cmp_pair *p = &c->pairs[i];

        s.both += p->both;
        s.equal += p->equal;
        if (v && p->same_size && !p->equal)
            v[n++] = p->psnr;
        if (v && !isnan(p->latent) && !p->equal)
            w[m++] = p->latent;
    }
    if (v) {
        s.psnr = median(v, n);
        s.latent = median(w, m);
    }
    free(v);
    return s;
}
