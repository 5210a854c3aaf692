/* SPDX-License-Identifier: MIT */
/* ldm compare --sweep: one model sampled with a grid of settings, every cell of it measured.
 * sweep.c makes the grid and runs it, sweep_measure.c measures pictures, sweep_report.c writes
 * table and JSON, sweep_plot.c the plot. */
#ifndef LDM_CLI_SWEEP_H
#define LDM_CLI_SWEEP_H

#include <stdio.h>

#include "cli/cli.h"
#include "cli/opts.h"
#include "cli/progress.h"

enum { LDM_SWEEP_AXES = 4, LDM_SWEEP_VALUES = 64, LDM_SWEEP_CELLS = 1024 };

/* "sampler=ddim,plms" */
typedef struct ldm_sweep_axis {
    char *key;
    char *values[LDM_SWEEP_VALUES];
    size_t count;
} ldm_sweep_axis;

/* What one combination gave. Figures are NaN where they could not be taken. */
typedef struct ldm_sweep_cell {
    size_t at[LDM_SWEEP_AXES]; /* a value of each axis */
    char *refused;             /* why it does not go together; NULL: it was run */
    int pictures, failed, steps;
    double evaluations; /* of the network, for a picture */
    double seconds;     /* for a picture, sampling and decoding */
    double contrast, faces, frechet;
    double saturation; /* of HSV, the mean over pixels and pictures; 0 grey to 1 */
    double variety;    /* ldm_sweep_variety */
} ldm_sweep_cell;

typedef struct ldm_sweep {
    const ldm_command *cmd;
    const ldm_targets *to;
    ldm_bar *bar;
    bool quiet, json;
    const char *out;             /* a folder with a trailing slash */
    const char *command;         /* as typed */
    const ldm_face_judge *judge; /* NULL: faces are not counted */
    const char *stats_file;      /* NULL: no distances */

    ldm_sweep_axis axes[LDM_SWEEP_AXES];
    size_t axis_count;
    ldm_sweep_cell *cells;
    size_t cell_count;
    char **idle; /* what the library says of settings that do nothing in a cell, each once */
    size_t idle_count;
    const char *model_name, *isa; /* of the model, for the report */
    int threads;
} ldm_sweep;

/* Runs the grid that `texts` ("KEY=V1,V2,...") span, and reports. sweep: cmd to stats_file are set.
 * An exit code, said on stderr. */
int ldm_sweep_run(ldm_sweep *s, const ldm_opt_list *texts);

/* ---- sweep_measure.c ------------------------------------------------------------------------- */

/* (max - min) / max of each pixel's red, green and blue, 0 where it is black; the mean. RGB. */
double ldm_sweep_saturation(const ldm_image *im);

/* How far two of n >= 2 pictures of one size are apart: the root of the mean squared difference of
 * their values in [0, 1], over all pairs; NaN for fewer. Linear in n: over pairs, the mean of
 * (a - b)^2 is twice the variance with n - 1. */
double ldm_sweep_variety(const ldm_image *pictures, int n);

/* ---- sweep_plot.c ---------------------------------------------------------------------------- */

/* An SVG. One setting of numbers besides steps and cache (guidance, eta): each measure over it.
 * Else Frechet distance over evaluations and over seconds, a line a value of the first axis. */
void ldm_sweep_draw(FILE *f, const ldm_sweep *s);

/* ---- sweep_report.c -------------------------------------------------------------------------- */

/* "sampler ddim, steps 20"; free() it. NULL when out of memory. */
char *ldm_sweep_name(const ldm_sweep *s, const ldm_sweep_cell *c);

/* sweep.md, sweep.json and, where there are distances, sweep.svg in the folder; the table or the
 * JSON on stdout. An exit code. */
int ldm_sweep_report(const ldm_sweep *s);

#endif
