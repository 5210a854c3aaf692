/* SPDX-License-Identifier: MIT */
/* --write-stats: the statistics of the pictures, as `ldm metrics --write-stats` over their folder
 * computes them: the features of every picture, added in the pictures' order. Of a shared run each
 * process computes the features of its own blocks, and the last one adds them, so that the result
 * does not depend on how many there were. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cli/generate/task.h"
#include "cli/signals.h"

int ldm_generate_stats_open(ldm_task *t)
{
    ldm_error err;
    ldm_status st;

    if (!t->o->write_stats || t->o->dry_run)
        return LDM_EXIT_OK;
    st = ldm_features_open(t->model, t->ri->threads, &t->features, &err);
    return st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
}

/* Of the picture's file. An exit code. */
static int compute(ldm_task *t, int i, double *values)
{
    char *name = ldm_output_name(&t->output, i);
    ldm_image im = {0};
    ldm_error err;
    ldm_status st;

    if (!name)
        return ldm_cli_nomem(t->cmd);
    st = ldm_image_read(name, &im, &err);
    if (!st)
        st = ldm_features_compute(t->features, &im, values, &err);
    ldm_release(im.pixels);
    free(name);
    ldm_work_beat(t->work);
    return st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
}

/* "DIR/.ldm-run/features/0000012": of the block that begins with this picture. free() it. */
static char *block_path(const ldm_task *t, int first)
{
    return ldm_cli_format("%s.ldm-run/features/%07d", t->output.folder, first);
}

int ldm_generate_stats_block(ldm_task *t, int first, int count)
{
    const size_t dim = ldm_features_dim(t->features);
    char *folder, *path;
    double *values;
    size_t good = 0;
    ldm_error err;
    ldm_status st;
    int code = LDM_EXIT_OK;

    if (!t->features)
        return LDM_EXIT_OK;
    folder = ldm_cli_format("%s.ldm-run/features", t->output.folder);
    path = block_path(t, first);
    values = calloc((size_t)count, dim * sizeof *values);
    if (!folder || !path || !values)
        code = ldm_cli_nomem(t->cmd);
    for (int i = first; !code && i < first + count && !ldm_signals_interrupted(); i++) {
        if (t->good[i])
            code = compute(t, i, values + dim * good++);
    }
    if (!code && !ldm_signals_interrupted()) {
        st = ldm_make_dirs(folder, &err);
        if (!st)
            st = ldm_file_write(path, values, good * dim * sizeof *values, &err);
        code = st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
    }
    free(values);
    free(path);
    free(folder);
    return code;
}

/* The features of a block's pictures as its process wrote them; NULL where there is no such file
 * of `good` pictures. ldm_free it. */
static double *read_block(const ldm_task *t, int first, size_t good)
{
    const size_t bytes = good * ldm_features_dim(t->features) * sizeof(double);
    char *path = block_path(t, first), *data = NULL;
    size_t size = 0;

    if (path && ldm_file_read(path, bytes, &data, &size, NULL))
        data = NULL;
    free(path);
    if (data && size != bytes) {
        ldm_free(data);
        data = NULL;
    }
    return (double *)(void *)data;
}

static int add_block(ldm_task *t, ldm_stats *stats, int first, int count, double *values)
{
    const size_t dim = ldm_features_dim(t->features);
    double *stored;
    size_t good = 0;
    ldm_error err;
    int code = LDM_EXIT_OK;

    for (int i = first; i < first + count; i++)
        good += t->good[i];
    stored = t->work ? read_block(t, first, good) : NULL;
    good = 0;
    for (int i = first; !code && i < first + count && !ldm_signals_interrupted(); i++) {
        ldm_status st;

        if (!t->good[i])
            continue;
        if (!stored)
            code = compute(t, i, values);
        if (code)
            break;
        st = ldm_stats_add(stats, stored ? stored + dim * good++ : values, &err);
        code = st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
    }
    ldm_free(stored);
    ldm_work_beat(t->work);
    return code;
}

int ldm_generate_stats_write(ldm_task *t, int block)
{
    double *values;
    ldm_stats *stats;
    ldm_error err;
    ldm_status st;
    int code = LDM_EXIT_OK;

    if (!t->features)
        return LDM_EXIT_OK;
    values = malloc(ldm_features_dim(t->features) * sizeof *values);
    st = ldm_stats_create(t->features, &stats, &err);
    if (st || !values)
        code = st ? ldm_cli_fail(t->cmd, st, &err) : ldm_cli_nomem(t->cmd);
    for (int i = 0; !code && i < t->ri->count; i += block)
        code = add_block(t, stats, i, i + block < t->ri->count ? block : t->ri->count - i, values);
    if (!code && !ldm_signals_interrupted())
        code = ldm_output_make_parent(t->cmd, "--write-stats", t->o->write_stats);
    if (!code && !ldm_signals_interrupted()) {
        st = ldm_stats_write(t->o->write_stats, stats, &err);
        code = st ? ldm_generate_fail(t, st, &err) : LDM_EXIT_OK;
    }
    ldm_stats_free(stats);
    free(values);
    return code;
}
