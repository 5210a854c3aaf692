/* SPDX-License-Identifier: MIT */
/* ldm metrics: the study's figures of finished pictures, one by one or as a set. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json_text.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/compare/compare.h"
#include "cli/inputs.h"
#include "cli/opts.h"
#include "cli/measures.h"
#include "cli/outputs.h"
#include "cli/psnr.h"
#include "cli/sheets.h"
#include "cli/signals.h"
#include "cli/terminal.h"

typedef struct options {
    const char *cascade, *frechet, *write_stats;
    bool json, summary, psnr, overwrite;
    ldm_quality_options quality;
} options;

#define QUALITY(name) (offsetof(options, quality) + offsetof(ldm_quality_options, name))

static const ldm_opt rows[] = {
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "a JSON array with one object per picture"},
    {.type = LDM_OPT_TEXT,
     .name = "cascade",
     .arg = "FILE.xml",
     .field = offsetof(options, cascade),
     .help = "face detector; default: where the package opencv-data\n"
             "puts haarcascade_frontalface_alt2.xml"},
    {.type = LDM_OPT_FLAG,
     .name = "psnr",
     .field = offsetof(options, psnr),
     .help = "how far apart two pictures are: PSNR, mean squared\n"
             "error, largest difference, or that they are equal; of\n"
             "two folders those of the same names. JSON: an object"},
    {.type = LDM_OPT_HEADING, .name = "Sets of pictures"},
    {.type = LDM_OPT_FLAG,
     .name = "summary",
     .field = offsetof(options, summary),
     .help = "the means over all pictures, not each one (with --json:\n"
             "one object)"},
    {.type = LDM_OPT_TEXT,
     .name = "frechet",
     .arg = "STATS",
     .field = offsetof(options, frechet),
     .help = "Frechet distance of the pictures to the statistics in\n"
             "this file; implies --summary"},
    {.type = LDM_OPT_TEXT,
     .name = "write-stats",
     .arg = "STATS",
     .field = offsetof(options, write_stats),
     .help = "write the pictures' statistics; implies --summary. A\n"
             "name that ends in .npz: mu and sigma of the Inception\n"
             "network's features (--inception), of all arguments;\n"
             "files of such statistics are merged"},
    {.type = LDM_OPT_HEADING, .name = "Published measures: ldm metrics ... SAMPLES REFERENCE"},
    {.type = LDM_OPT_FLAG,
     .name = "fid",
     .field = QUALITY(fid),
     .help = "Frechet Inception distance. Each side is a folder, an\n"
             ".npz of pictures (arr_0), or statistics (mu, sigma),\n"
             "such as ADM's reference files"},
    {.type = LDM_OPT_FLAG,
     .name = "kid",
     .field = QUALITY(kid),
     .help = "kernel Inception distance"},
    {.type = LDM_OPT_FLAG,
     .name = "is",
     .field = QUALITY(is),
     .help = "Inception score of the samples; takes no reference"},
    {.type = LDM_OPT_FLAG, .name = "pr", .field = QUALITY(pr), .help = "precision and recall"},
    {.type = LDM_OPT_FLAG,
     .name = "sfid",
     .field = QUALITY(sfid),
     .help = "FID of spatial features, as ADM's evaluator has it"},
    {.type = LDM_OPT_TEXT,
     .name = "inception",
     .arg = "FILE",
     .field = QUALITY(inception),
     .help = "weights of the Inception network of 2015:\n"
             "pt_inception-2015-12-05-6726825d.pth, or safetensors"},
    {.type = LDM_OPT_CHOICE,
     .name = "fid-mode",
     .arg = "MODE",
     .field = QUALITY(mode),
     .choices = "tf1|pytorch|clean",
     .help = "how pictures are resized: tf1 as TTUR, ADM and\n"
             "torch-fidelity (default), pytorch as pytorch-fid, clean\n"
             "as clean-fid"},
    {.type = LDM_OPT_TEXT,
     .name = "kid-subsets",
     .arg = "N",
     .field = QUALITY(kid_subsets),
     .help = "subsets that KID is the mean of; default 100"},
    {.type = LDM_OPT_TEXT,
     .name = "kid-subset-size",
     .arg = "N",
     .field = QUALITY(kid_subset_size),
     .help = "pictures of a subset; default 1000"},
    {.type = LDM_OPT_TEXT,
     .name = "is-splits",
     .arg = "N",
     .field = QUALITY(is_splits),
     .help = "parts that the Inception score is the mean of;\n"
             "default 10"},
    {.type = LDM_OPT_TEXT,
     .name = "neighbours",
     .arg = "K",
     .field = QUALITY(neighbours),
     .help = "nearest neighbour that sets the radius for precision\n"
             "and recall; default 3"},
    {.type = LDM_OPT_TEXT,
     .name = "bootstrap",
     .arg = "N",
     .field = QUALITY(bootstrap),
     .help = "resamplings for the standard errors; default 20,\n"
             "0: no errors"},
    {.type = LDM_OPT_TEXT,
     .name = "write-features",
     .arg = "FILE.npz",
     .field = QUALITY(write_features),
     .help = "write all features of the samples: 64, 192, 768, 2048,\n"
             "logits_unbiased, logits, spatial"},
    LDM_OVERWRITE_ROW(offsetof(options, overwrite)),
    {.type = LDM_OPT_HEADING, .name = "Several processes or machines (docs/CLUSTER.md)"},
    LDM_RANK_ROWS(QUALITY(ranks), "the features for --write-stats FILE.npz"),
    {.type = LDM_OPT_HEADING, .name = "Model"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Model"},
    {.type = LDM_OPT_SETTING, .kind = LDM_SETTINGS_MODEL, .name = "threads"},
    {.type = LDM_OPT_SETTING, .kind = LDM_SETTINGS_MODEL, .name = "precision"},
    {.type = LDM_OPT_SETTING, .kind = LDM_SETTINGS_MODEL, .name = "isa"},
};

typedef struct task {
    const ldm_command *cmd;
    const options *o;
    ldm_model_options *options;
    ldm_face_judge *judge;
    char no_judge[1024]; /* why there is none */

    ldm_model *model; /* the three for --frechet and --write-stats; else NULL */
    ldm_features *features;
    ldm_stats *stats, *reference;
    double *values;

    json_t *list;
    size_t count, faces_in, skin; /* pictures; those with a face; those with R > G > B */
    size_t skipped;               /* contact sheets */
    double brightness, contrast, r, g, b, coherence;
    int width, height; /* of the set's first picture; 0: there was none yet */
    char first[256];   /* its name, for messages */
    bool mixed;        /* another one has another size */
} task;

/* ---- one picture ----------------------------------------------------------------------------- */

static json_t *faces_json(const task *t, const ldm_face *faces, size_t count)
{
    json_t *list;

    if (!t->judge)
        return json_null();
    list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list,
                              json_pack("{s:i, s:i, s:i, s:i}", "x", faces[i].x, "y", faces[i].y,
                                        "width", faces[i].width, "height", faces[i].height));
    return list;
}

/* The study's sentence goes by colours alone, and noise can have a face's: it counts where a face
 * was found. NULL: nobody looked. */
static const char *verdict(const task *t, const ldm_image_metrics *m, size_t faces)
{
    if (!t->judge)
        return NULL;
    return faces ? m->verdict : "unlikely to be a face image: no face was found";
}

static json_t *to_json(const task *t, const char *name, const ldm_image *im,
                       const ldm_image_metrics *m, const ldm_face *faces, size_t count)
{
    json_t *o = json_object();

    json_object_set_new(o, "file", ldm_json_text(name));
    json_object_set_new(o, "width", json_integer(im->width));
    json_object_set_new(o, "height", json_integer(im->height));
    json_object_set_new(o, "brightness", ldm_json_real(m->brightness));
    json_object_set_new(o, "contrast", ldm_json_real(m->contrast));
    json_object_set_new(o, "mean_r", ldm_json_real(m->mean_r));
    json_object_set_new(o, "mean_g", ldm_json_real(m->mean_g));
    json_object_set_new(o, "mean_b", ldm_json_real(m->mean_b));
    json_object_set_new(o, "skin_like", json_boolean(m->skin_like));
    json_object_set_new(o, "colour_coherence", ldm_json_real(m->colour_coherence));
    json_object_set_new(o, "colour_grade", json_string(m->colour_grade));
    json_object_set_new(o, "verdict", t->judge ? json_string(verdict(t, m, count)) : json_null());
    json_object_set_new(o, "faces", faces_json(t, faces, count));
    if (!t->judge)
        json_object_set_new(o, "faces_reason", ldm_json_text(t->no_judge));
    return o;
}

static json_t *failure_to_json(const char *path, const ldm_error *err)
{
    json_t *o = json_object();

    json_object_set_new(o, "file", ldm_json_text(path));
    json_object_set_new(o, "error", ldm_json_text(err->msg));
    return o;
}

/* A line of figures; on a terminal that is too narrow it goes on below its text. */
static LDM_PRINTF(1, 2) void put_line(const char *fmt, ...)
{
    ldm_str line = {0};
    va_list ap;

    va_start(ap, fmt);
    ldm_str_vprintf(&line, fmt, ap);
    va_end(ap);
    if (!line.failed)
        ldm_terminal_line(stdout, line.data, 20);
    ldm_str_free(&line);
}

static void print_faces(const task *t, const ldm_face *faces, size_t count)
{
    ldm_str list = {0};

    if (!t->judge) {
        put_line("  faces             not judged: %s", t->no_judge);
        return;
    }
    for (size_t i = 0; i < count; i++)
        ldm_str_printf(&list, "%s %d x %d at %d,%d", i ? "," : ":", faces[i].width, faces[i].height,
                       faces[i].x, faces[i].y);
    put_line("  faces             %zu found%s", count, list.data ? list.data : "");
    ldm_str_free(&list);
}

static void to_text(const char *path, const ldm_image *im, const ldm_image_metrics *m)
{
    char *name = strdup(path);

    if (name)
        ldm_flatten(name);
    printf("%s: %d x %d\n", name ? name : "?", im->width, im->height);
    free(name);
    put_line("  brightness        %.3f  %s", m->brightness,
             m->brightness < 0.4   ? "dark (0.4 to 0.6 is ideal)"
             : m->brightness > 0.6 ? "bright (0.4 to 0.6 is ideal)"
                                   : "ideal (0.4 to 0.6)");
    put_line("  contrast          %.3f  %s", m->contrast,
             m->contrast > 0.3 ? "good (above 0.3)" : "low (above 0.3 is good)");
    put_line("  mean colour       R %.3f  G %.3f  B %.3f  %s", m->mean_r, m->mean_g, m->mean_b,
             m->skin_like ? "skin-like (R > G > B)" : "not skin-like (that is R > G > B)");
    put_line("  colour coherence  %.3f  %s (excellent from 0.95, fair from 0.85)",
             m->colour_coherence, m->colour_grade);
}

/* A set is one size: means over several say nothing, and one of them is likely no sample. */
static int check_size(task *t, const char *name, const ldm_image *im)
{
    if (!t->o->summary || (im->width == t->width && im->height == t->height))
        return LDM_EXIT_OK;
    if (t->width) {
        ldm_cli_say(t->cmd, "%s is %d x %d, and %s is %d x %d: a set has pictures of one size",
                    name, im->width, im->height, t->first, t->width, t->height);
        t->mixed = true;
        return LDM_EXIT_FAILED;
    }
    t->width = im->width;
    t->height = im->height;
    snprintf(t->first, sizeof t->first, "%s", name);
    return LDM_EXIT_OK;
}

static int measure(task *t, const char *name, const ldm_image *im)
{
    ldm_image_metrics m;
    ldm_face *faces = NULL;
    size_t count = 0;
    ldm_error err;
    ldm_status st;

    if (check_size(t, name, im))
        return LDM_EXIT_FAILED;
    st = ldm_image_measure(im, &m, sizeof m, &err);
    if (!st && t->judge)
        st = ldm_face_judge_find(t->judge, im, &faces, &count, &err);
    if (!st && t->features)
        st = ldm_features_compute(t->features, im, t->values, &err);
    if (!st && t->features)
        st = ldm_stats_add(t->stats, t->values, &err);
    if (st) {
        ldm_release(faces);
        return ldm_cli_fail(t->cmd, st, &err);
    }
    t->count++;
    t->faces_in += count > 0;
    t->skin += m.skin_like;
    t->brightness += m.brightness;
    t->contrast += m.contrast;
    t->r += m.mean_r;
    t->g += m.mean_g;
    t->b += m.mean_b;
    t->coherence += m.colour_coherence;
    if (!t->o->summary && t->o->json) {
        json_array_append_new(t->list, to_json(t, name, im, &m, faces, count));
    } else if (!t->o->summary) {
        to_text(name, im, &m);
        print_faces(t, faces, count);
        if (t->judge)
            put_line("  verdict           %s", verdict(t, &m, count));
    }
    ldm_release(faces);
    return LDM_EXIT_OK;
}

static int measure_file(task *t, const char *path)
{
    ldm_image *ims;
    size_t count;
    ldm_error err;
    ldm_status st = ldm_images_read(path, &ims, &count, &err);
    int code = LDM_EXIT_OK;

    if (st) { /* the others are still worth measuring */
        ldm_cli_fail(t->cmd, st, &err);
        if (t->o->json && !t->o->summary)
            json_array_append_new(t->list, failure_to_json(path, &err));
        return LDM_EXIT_FAILED;
    }
    for (size_t i = 0; i < count && !code && !ldm_signals_interrupted(); i++) {
        char *name = malloc(strlen(path) + 24);

        if (!name) {
            code = ldm_cli_nomem(t->cmd);
            break;
        }
        strcpy(name, path);
        if (count > 1) /* of an array */
            sprintf(name + strlen(name), "[%zu]", i);
        code = measure(t, name, &ims[i]);
        free(name);
    }
    ldm_images_free(ims, count);
    return code;
}

/* Contact sheets and animations are left out: they are no samples. */
static int measure_path(task *t, const char *path)
{
    const char *what;
    const int pictures = ldm_sheet_pictures(path, &what);

    if (!pictures)
        return measure_file(t, path);
    ldm_cli_say(t->cmd, "note: %s is %s of %d pictures and is skipped", path, what, pictures);
    t->skipped++;
    return LDM_EXIT_OK;
}

static int measure_folder(task *t, const char *folder)
{
    char **paths;
    size_t count, i;
    int code = ldm_folder_pictures(t->cmd, folder, false, &paths, &count);

    for (i = 0; i < count && !ldm_signals_interrupted(); i++) {
        if (measure_path(t, paths[i]))
            code = LDM_EXIT_FAILED;
    }
    ldm_paths_free(paths, count);
    return code;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static int open_features(task *t)
{
    ldm_error err;
    ldm_status st = LDM_OK;
    int code;

    if (!t->o->frechet && !t->o->write_stats)
        return LDM_EXIT_OK;
    if (ldm_inputs_find_config(t->cmd, t->options, false))
        return LDM_EXIT_USAGE;
    code = ldm_output_check_statistics(t->cmd, "--write-stats", t->o->write_stats, t->o->overwrite);
    if (code)
        return code;
    if (t->o->frechet)
        st = ldm_stats_read(t->o->frechet, &t->reference, &err);
    ldm_model_name(t->options);
    if (!st) {
        st = ldm_model_open(t->options, &t->model, &err);
        if (st)
            return ldm_model_fail(t->cmd, t->options, st, &err);
    }
    if (!st)
        st = ldm_features_open(t->model, ldm_model_options_get_int(t->options, "threads"),
                               &t->features, &err);
    if (!st)
        st = ldm_stats_create(t->features, &t->stats, &err);
    if (st)
        return ldm_cli_fail(t->cmd, st, &err);
    t->values = malloc(ldm_features_dim(t->features) * sizeof *t->values);
    return t->values ? LDM_EXIT_OK : ldm_cli_nomem(t->cmd);
}

/* A detector named by --cascade must be there; otherwise its absence is reported with the pictures.
 */
static int open_judge(task *t)
{
    ldm_error err;
    ldm_status st = ldm_face_judge_open(t->o->cascade, &t->judge, &err);

    if (!st)
        return LDM_EXIT_OK;
    if (t->o->cascade || st != LDM_ERR_IO)
        return ldm_cli_fail(t->cmd, st, &err);
    snprintf(t->no_judge, sizeof t->no_judge, "%s", err.msg);
    return LDM_EXIT_OK;
}

/* Of a set to its own statistics the eigenvalues leave 2e-16 or so, where 0 is meant. */
static const double ROUNDING = 1e-9;

/* What is to be known of a distance, and where the statistics went. */
static void say_sets(const task *t)
{
    const uint64_t others = t->reference ? ldm_stats_count(t->reference) : 0;
    const size_t fewer = others < t->count ? (size_t)others : t->count;
    char *trust = t->reference ? ldm_cmp_trust(fewer) : NULL;

    if (trust)
        ldm_cli_say(t->cmd, "note: Frechet distance: %s", trust);
    free(trust);
    ldm_output_say_written(t->cmd, "statistics", t->o->write_stats);
}

static int print_summary(task *t)
{
    double n = (double)t->count, distance = NAN;
    ldm_error err;
    ldm_status st = LDM_OK;
    json_t *o;

    if (t->reference)
        st = ldm_stats_distance(t->stats, t->reference, &distance, &err);
    if (!st && fabs(distance) < ROUNDING)
        distance = 0;
    if (!st && !t->o->overwrite)
        ldm_output_note_replaced(t->cmd, t->o->write_stats);
    if (!st && t->o->write_stats)
        st = ldm_stats_write(t->o->write_stats, t->stats, &err);
    if (st)
        return ldm_cli_fail(t->cmd, st, &err);
    if (!t->o->json) {
        printf("%zu picture%s, means\n", t->count, t->count == 1 ? "" : "s");
        put_line("  brightness        %.3f", t->brightness / n);
        put_line("  contrast          %.3f", t->contrast / n);
        put_line("  mean colour       R %.3f  G %.3f  B %.3f", t->r / n, t->g / n, t->b / n);
        put_line("  colour coherence  %.3f", t->coherence / n);
        put_line("  skin-like         %zu of %zu", t->skin, t->count);
        if (t->judge)
            put_line("  faces             in %zu of %zu pictures", t->faces_in, t->count);
        else
            put_line("  faces             not judged: %s", t->no_judge);
        if (t->reference)
            put_line("  Frechet distance  %.6g to %llu pictures", distance,
                     (unsigned long long)ldm_stats_count(t->reference));
        say_sets(t);
        return LDM_EXIT_OK;
    }
    o = json_object();
    json_object_set_new(o, "pictures", json_integer((json_int_t)t->count));
    json_object_set_new(o, "brightness", ldm_json_real(t->brightness / n));
    json_object_set_new(o, "contrast", ldm_json_real(t->contrast / n));
    json_object_set_new(o, "mean_r", ldm_json_real(t->r / n));
    json_object_set_new(o, "mean_g", ldm_json_real(t->g / n));
    json_object_set_new(o, "mean_b", ldm_json_real(t->b / n));
    json_object_set_new(o, "colour_coherence", ldm_json_real(t->coherence / n));
    json_object_set_new(o, "skin_like", json_integer((json_int_t)t->skin));
    json_object_set_new(o, "with_face",
                        t->judge ? json_integer((json_int_t)t->faces_in) : json_null());
    if (!t->judge)
        json_object_set_new(o, "faces_reason", ldm_json_text(t->no_judge));
    if (t->reference)
        json_object_set_new(o, "frechet", ldm_json_real(distance));
    say_sets(t);
    return ldm_cli_print_json(t->cmd, o);
}

/* Figures of single pictures stand for themselves, those of a part of a set for nothing. */
static int say_interrupted(task *t)
{
    int code = LDM_EXIT_SIGNAL + ldm_signals_interrupted();

    if (t->list)
        (void)ldm_cli_print_json(t->cmd, json_incref(t->list));
    ldm_cli_say(t->cmd, "interrupted: %zu picture%s measured%s%s", t->count,
                t->count == 1 ? " is" : "s are",
                t->o->summary ? ", and there is no summary" : "; the others are not",
                t->o->write_stats ? "; no statistics are written" : "");
    return code;
}

static int measure_all(task *t, int argc, char **argv, int args)
{
    int code, printed = LDM_EXIT_OK;

    ldm_signals_end_at_once(t->cmd, "nothing is measured, and nothing is written", false);
    code = open_judge(t);
    if (!code)
        code = open_features(t);
    if (code)
        return code;
    ldm_signals_catch_interrupts();
    if (t->o->json && !t->o->summary)
        t->list = json_array();
    for (int i = args; i < argc && !ldm_signals_interrupted(); i++) {
        if (ldm_is_dir(argv[i]) ? measure_folder(t, argv[i]) : measure_path(t, argv[i]))
            code = LDM_EXIT_FAILED;
    }
    if (ldm_signals_interrupted())
        return say_interrupted(t);
    if (!code && !t->count) {
        ldm_cli_say(
            t->cmd,
            "only contact sheets and animations were given: there is no picture to measure");
        code = LDM_EXIT_FAILED;
    }
    if (!code && argc - args == 2 && t->count == 2 && !t->o->summary && !t->o->json)
        ldm_cli_say(t->cmd, "note: `ldm metrics --psnr %s %s` says how far apart the two are",
                    argv[args], argv[args + 1]);
    if (!t->o->summary && t->o->json) {
        printed = ldm_cli_print_json(t->cmd, t->list);
        t->list = NULL;
    } else if (t->o->summary && code && (t->features || t->mixed || !t->count)) {
        ldm_cli_say(t->cmd, "not all pictures could be measured: no summary%s",
                    t->o->write_stats ? ", no statistics" : "");
    } else if (t->o->summary) {
        printed = print_summary(t);
    }
    return code ? code : printed;
}

static int run_psnr(const ldm_command *cmd, const options *o, char **paths, int count)
{
    if (o->frechet || o->write_stats || ldm_quality_asked(&o->quality, o->write_stats))
        return ldm_cli_usage(cmd, "--psnr compares pictures one by one, the other measures are of "
                                  "sets: run ldm metrics twice");
    return ldm_psnr_run(cmd, o->json, o->summary, paths, count);
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    task t = {.cmd = cmd, .o = &o};
    ldm_targets targets = {0};
    ldm_parse parse;
    int args, code = ldm_model_begin(cli, cmd, &targets);

    if (!code) {
        t.options = targets.model;
        parse = ldm_opts_parse(cmd, argc, argv, &o, &targets, &args);
        o.summary |= o.frechet || o.write_stats;
        if (parse)
            code = ldm_parse_exit(parse);
        else if (o.psnr)
            code = run_psnr(cmd, &o, argv + args, argc - args);
        else if (ldm_quality_asked(&o.quality, o.write_stats))
            code = ldm_quality_run(cli, cmd, &o.quality, targets.model, o.write_stats, o.overwrite,
                                   o.json, argv + args, argc - args);
        else if (ldm_ranks_option(&o.quality.ranks))
            code = ldm_cli_usage(cmd,
                                 "%s: several processes share the Inception network's "
                                 "features alone (--inception, --write-stats FILE.npz)",
                                 ldm_ranks_option(&o.quality.ranks));
        else
            code = measure_all(&t, argc, argv, args);
    }
    free(t.values);
    ldm_stats_free(t.stats);
    ldm_stats_free(t.reference);
    ldm_features_close(t.features);
    ldm_model_close(t.model);
    ldm_face_judge_close(t.judge);
    json_decref(t.list);
    ldm_targets_free(&targets);
    return code;
}

const ldm_command ldm_cmd_metrics = {
    .name = "metrics",
    .args = "IMAGE|FOLDER... [options]",
    .summary = "figures of pictures; FID, KID, precision and recall of sets",
    .about =
        "Measures pictures (PNG, JPEG, or .npy and .npz arrays [N,H,W,3] of bytes) as the study\n"
        "does: brightness (mean luma), contrast (standard deviation over mean of the luma), mean\n"
        "colours and their order, colour coherence (lag-1 spatial autocorrelation of Cb and Cr),\n"
        "the study's verdict, and the faces that OpenCV's frontal face cascade finds. Of a folder\n"
        "the pictures in it are measured; contact sheets and animations that ldm made are\n"
        "skipped. docs/METRICS.md has the formulas.",
    .notes = "Exit code 1 if any of the pictures could not be read; the others are measured.\n"
             "PSNR is 10 log10(255^2 / MSE) over the bytes, in decibels; above 30 a difference is\n"
             "hard to see:\n\n"
             "  ldm metrics --psnr a.png b.png\n"
             "  ldm metrics --psnr before/ after/ --json\n\n"
             "Frechet distances are taken on the encoder of the model that --ckpt and --config\n"
             "name, by default the shipped one:\n\n"
             "  ldm metrics renders.npz --write-stats renders.stats\n"
             "  ldm metrics samples/ --frechet renders.stats\n\n"
             "Published measures need the Inception network's weights, which ldm does not bring:\n"
             "pytorch-fid and torch-fidelity fetch the file and keep it under\n"
             "~/.cache/torch/hub/checkpoints.\n\n"
             "  ldm metrics --fid --kid --inception pt_inception-2015-12-05-6726825d.pth \\\n"
             "      samples/ ffhq256.npz",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
