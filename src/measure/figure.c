/* SPDX-License-Identifier: MIT */
/* What all measures of sets share. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "measure/quality.h"

void ldm_figure_refuse(ldm_quality_figure *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(f->reason, sizeof f->reason, fmt, ap);
    va_end(ap);
}

void ldm_mean_and_deviation(const double *v, size_t n, bool sample, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += v[i];
    *mean = sum / (double)n;
    for (i = 0; i < n; i++)
        squares += (v[i] - *mean) * (v[i] - *mean);
    *deviation = sqrt(squares / (double)(sample ? n - 1 : n));
}
