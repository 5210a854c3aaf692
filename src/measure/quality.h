/* SPDX-License-Identifier: MIT */
/* Inside the room: the measures, one file each kind. */
#ifndef LDM_MEASURE_QUALITY_H
#define LDM_MEASURE_QUALITY_H

#include "measure/quality_set.h"

/* Two sets and how they are compared. reference may be NULL for IS. */
typedef struct ldm_comparison {
    const ldm_quality_set *samples, *reference;
    const ldm_quality_settings *how;
} ldm_comparison;

/* figure.c: not computed, for this reason. */
void ldm_figure_refuse(ldm_quality_figure *f, const char *fmt, ...) LDM_PRINTF(2, 3);
/* Mean and standard deviation (divided by n; `sample`: by n - 1). */
void ldm_mean_and_deviation(const double *v, size_t n, bool sample, double *mean,
                            double *deviation);

/* pairs.c: out[na][nb] = a[na][dim] b[nb][dim]^T in float32, by the network's kernels. */
ldm_status ldm_inner_products(ldm_inception *n, const float *a, size_t na, const float *b,
                              size_t nb, size_t dim, float *out, ldm_error *err);

ldm_status ldm_measure_frechet(const ldm_comparison *c, ldm_stat_kind k, ldm_quality_figure *f,
                               ldm_error *err);
ldm_status ldm_measure_kid(const ldm_comparison *c, ldm_quality_figure *f, ldm_error *err);
ldm_status ldm_measure_is(const ldm_comparison *c, ldm_quality_figure *f, ldm_error *err);
ldm_status ldm_measure_pr(const ldm_comparison *c, ldm_quality_figure *precision,
                          ldm_quality_figure *recall, ldm_error *err);

#endif
