/* SPDX-License-Identifier: MIT */
/* ldm compare: two configurations of one checkpoint, side by side, by measurement. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/compare/compare.h"
#include "cli/drawn.h"
#include "cli/generate/generate.h"
#include "cli/inputs.h"
#include "cli/signals.h"
#include "cli/sweep/sweep.h"

enum { DEFAULT_COUNT = 16 };

/* The study's approaches, for a UNet without and with cross-attention. */
static const char *const default_layers[2][2] = {
    {"configs/study/approach1.yaml", "configs/study/approach2.yaml"},
    {"configs/study/crossattn/approach1.yaml", "configs/study/crossattn/approach2.yaml"}};

static const ldm_opt rows[] = {
    {.type = LDM_OPT_HEADING, .name = "What A and B are laid over"},
    {.type = LDM_OPT_SETTING,
     .kind = LDM_SETTINGS_MODEL,
     .name = "model",
     .help = "the shipped model to use: portrait, demo;\n"
             "default: demo, of the kind that the study is about"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Model"},
    {.type = LDM_OPT_HEADING, .name = "Comparison"},
    {.type = LDM_OPT_SETTING,
     .kind = LDM_SETTINGS_JOB,
     .name = "count",
     .help = "pictures of each; default 16"},
    {.type = LDM_OPT_SETTING,
     .kind = LDM_SETTINGS_JOB,
     .name = "seed",
     .help = "picture i has seed N + i on both sides; default 42"},
    {.type = LDM_OPT_SETTING, .kind = LDM_SETTINGS_JOB, .name = "prompt"},
    {.type = LDM_OPT_SETTING, .kind = LDM_SETTINGS_JOB, .name = "class"},
    {.type = LDM_OPT_FLAG,
     .name = "ablate",
     .field = offsetof(ldm_compare_opts, ablate),
     .help = "also B with each of A's differences alone"},
    {.type = LDM_OPT_TEXTS,
     .name = "sweep",
     .arg = "KEY=V,V,...",
     .field = offsetof(ldm_compare_opts, sweep),
     .help = "in the place of A and B: one model, a grid over such a\n"
             "setting of ldm generate; repeatable, up to 4"},
    {.type = LDM_OPT_TEXT,
     .name = "cascade",
     .arg = "FILE.xml",
     .field = offsetof(ldm_compare_opts, cascade),
     .help = "face detector; default: where the package opencv-data\n"
             "puts haarcascade_frontalface_alt2.xml"},
    {.type = LDM_OPT_TEXT,
     .name = "stats",
     .arg = "FILE",
     .field = offsetof(ldm_compare_opts, stats),
     .help = "statistics for Frechet distances (ldm metrics\n"
             "--write-stats); default: renders.stats beside the\n"
             "checkpoint"},
    {.type = LDM_OPT_HEADING, .name = "Output"},
    {.type = LDM_OPT_TEXT,
     .letter = 'o',
     .name = "out",
     .arg = "DIR",
     .field = offsetof(ldm_compare_opts, out),
     .help = "folder of the pictures and reports; default: one for\n"
             "each comparison, generated_outputs/0001/, ..."},
    {.type = LDM_OPT_FLAG,
     .name = "overwrite",
     .field = offsetof(ldm_compare_opts, overwrite),
     .help = "replace an earlier report in the folder that -o names;\n"
             "without it that is an error"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(ldm_compare_opts, json),
     .help = "one JSON object on stdout in place of the tables"},
    {.type = LDM_OPT_FLAG,
     .name = "quiet",
     .field = offsetof(ldm_compare_opts, quiet),
     .help = "no notes and no progress bar on stderr"},
    {.type = LDM_OPT_HEADING, .name = "Machine"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_JOB, .name = "Machine"},
    {.type = LDM_OPT_SETTINGS, .kind = LDM_SETTINGS_MODEL, .name = "Machine"},
};

/* ---- names ----------------------------------------------------------------------------------- */

/* "configs/study/approach1.yaml" -> "approach1" */
static char *stem_of(const char *path)
{
    const char *name = ldm_file_name(path);
    const char *dot = strrchr(name, '.');

    return ldm_cli_format("%.*s", dot && dot > name ? (int)(dot - name) : (int)strlen(name), name);
}

/* Whether the UNet has cross-attention, as far as the model can be checked; what cannot be is
 * reported with the first side. */
static bool has_context(const ldm_compare *c)
{
    char *report = NULL;
    json_t *audit = NULL, *unet;
    bool fits, has;

    if (!ldm_check(c->o->to.model, LDM_REPORT_JSON, &report, &fits, NULL))
        audit = json_loads(report, 0, NULL);
    ldm_release(report);
    unet = json_object_get(json_object_get(audit, "conditions"), "unet");
    has = json_is_object(json_object_get(unet, "context"));
    json_decref(audit);
    return has;
}

static int name_layers(ldm_compare *c, int argc, char **argv)
{
    const char *const *study = argc ? NULL : default_layers[has_context(c)];
    ldm_cmp_side *sides[2] = {&c->a, &c->b};
    ldm_error err;
    bool alike;

    for (int i = 0; i < 2; i++) {
        ldm_cmp_side *s = sides[i];

        if (argc) {
            s->layer = strdup(argv[i]);
        } else {
            char *path;
            ldm_status st = ldm_shipped_path(study[i], &path, &err);

            if (st)
                return ldm_cli_fail(c->cmd, st, &err);
            s->layer = strdup(path);
            ldm_release(path);
        }
        s->whole = argc && s->layer && ldm_inputs_is_whole(s->layer);
        s->stem = s->layer ? stem_of(s->layer) : NULL;
        if (!s->stem)
            return ldm_cli_nomem(c->cmd);
    }
    alike = !strcmp(c->a.stem, c->b.stem); /* x/model.yaml and y/model.yaml */
    for (int i = 0; i < 2; i++) {
        ldm_cmp_side *s = sides[i];

        if (alike) {
            char *longer = ldm_cli_format("%s_%c", s->stem, "ab"[i]);

            free(s->stem);
            s->stem = longer;
        }
        s->folder = s->stem ? ldm_cli_format("%s%s_samples/", c->out, s->stem) : NULL;
        if (!s->folder)
            return ldm_cli_nomem(c->cmd);
    }
    return LDM_EXIT_OK;
}

/* published.json beside both layers holds what somebody measured before, under the layers' names.
 */
static int read_published(ldm_compare *c)
{
    const char *sa = strrchr(c->a.layer, '/'), *sb = strrchr(c->b.layer, '/');
    size_t na = sa ? (size_t)(sa - c->a.layer) + 1 : 0, nb = sb ? (size_t)(sb - c->b.layer) + 1 : 0;
    json_error_t jerr;
    json_t *root;
    char *path;
    FILE *f;

    if (na != nb || strncmp(c->a.layer, c->b.layer, na))
        return LDM_EXIT_OK;
    path = ldm_cli_format("%.*spublished.json", (int)na, c->a.layer);
    if (!path)
        return ldm_cli_nomem(c->cmd);
    f = fopen(path, "r");
    root = f ? json_loadf(f, 0, &jerr) : NULL;
    if (f)
        fclose(f);
    if (f && !root) {
        ldm_cli_say(c->cmd, "%s:%d: %s", path, jerr.line, jerr.text);
        free(path);
        return LDM_EXIT_FAILED;
    }
    free(path);
    c->study_a = json_incref(json_object_get(root, c->a.stem));
    c->study_b = json_incref(json_object_get(root, c->b.stem));
    json_decref(root);
    if (!c->study_a || !c->study_b) {
        json_decref(c->study_a);
        json_decref(c->study_b);
        c->study_a = c->study_b = NULL;
    }
    return LDM_EXIT_OK;
}

static int name_sides(ldm_compare *c, int argc, char **argv)
{
    int code = name_layers(c, argc, argv);
    const char *a, *b;

    if (!code)
        code = read_published(c);
    if (code)
        return code;
    a = json_string_value(json_object_get(c->study_a, "title"));
    b = json_string_value(json_object_get(c->study_b, "title"));
    c->a.title = strdup(a ? a : c->a.stem);
    c->b.title = strdup(b ? b : c->b.stem);
    return c->a.title && c->b.title ? LDM_EXIT_OK : ldm_cli_nomem(c->cmd);
}

/* ---- order ----------------------------------------------------------------------------------- */

static int find_difference(ldm_compare *c)
{
    ldm_model_options *a = NULL, *b = NULL;
    char *text = NULL;
    ldm_error err;
    ldm_status st;
    int code = ldm_cmp_model_options(c, &c->a, &a);

    if (!code)
        code = ldm_cmp_model_options(c, &c->b, &b);
    if (!code) {
        st = ldm_config_difference(a, b, &text, &err);
        code = st ? ldm_model_fail(c->cmd, a, st, &err) : LDM_EXIT_OK;
    }
    if (!code) {
        c->difference = json_loads(text, 0, NULL);
        code = c->difference ? LDM_EXIT_OK : ldm_cli_nomem(c->cmd);
    }
    ldm_release(text);
    ldm_model_options_free(a);
    ldm_model_options_free(b);
    return code;
}

/* Under a temporary name first, so that a browser never shows half a report. */
static int write_report(ldm_compare *c, const char *name, int html)
{
    char *path = ldm_cli_format("%s%s", c->out, name);
    char *tmp = ldm_cli_format("%s.%s.tmp", c->out, name);
    FILE *f = path && tmp ? fopen(tmp, "w") : NULL;
    int code = LDM_EXIT_OK;

    if (f) {
        if (html)
            code = ldm_cmp_write_html(c, f);
        else
            ldm_cmp_write_markdown(c, f);
        if (ferror(f) | fclose(f))
            code = LDM_EXIT_FAILED;
        else if (!code && rename(tmp, path))
            code = LDM_EXIT_FAILED;
    }
    if (!path || !tmp)
        code = ldm_cli_nomem(c->cmd);
    else if (!f || code)
        ldm_cli_say(c->cmd, "cannot write %s: %s", path, strerror(errno));
    if (f && code)
        remove(tmp);
    code = f ? code : LDM_EXIT_FAILED;
    free(path);
    free(tmp);
    return code;
}

static void say_whole(const ldm_compare *c)
{
    char *text = c->o->quiet ? NULL : ldm_cmp_whole_text(c);

    if (text)
        ldm_cli_say(c->cmd, "note: %s", text);
    free(text);
}

/* An earlier comparison in the folder that the line names. */
static int check_free(const ldm_compare *c, const char *name)
{
    char *path = ldm_cli_format("%s%s", c->out, name);
    int code = path ? LDM_EXIT_OK : ldm_cli_nomem(c->cmd);

    if (path && c->o->out && !c->o->overwrite && !access(path, F_OK)) {
        ldm_cli_say(c->cmd,
                    "-o: %s is there already, of an earlier comparison; --overwrite replaces it, "
                    "or name another folder",
                    path);
        code = LDM_EXIT_FAILED;
    }
    free(path);
    return code;
}

static int check_taken(const ldm_compare *c)
{
    const char *names[] = {"report.html", "report.md", c->a.folder + strlen(c->out),
                           c->b.folder + strlen(c->out)};
    int code = LDM_EXIT_OK;

    for (size_t i = 0; !code && i < sizeof names / sizeof *names; i++)
        code = check_free(c, names[i]);
    return code;
}

static int compare(ldm_compare *c, int argc, char **argv)
{
    const double begin = ldm_cli_now();
    int code = name_sides(c, argc, argv);

    if (!code)
        say_whole(c);
    if (!code)
        code = find_difference(c);
    if (!code)
        code = check_taken(c);
    if (!code)
        code = ldm_cmp_judge_open(c);
    if (!code)
        code = ldm_cmp_side_try(c, &c->a);
    if (!code)
        code = ldm_cmp_side_try(c, &c->b);
    if (!code)
        code = ldm_cmp_side_run(c, &c->a);
    if (!code)
        code = ldm_cmp_side_run(c, &c->b);
    if (!code)
        code = ldm_cmp_find_pairs(c);
    if (!code && c->o->ablate)
        code = ldm_cmp_ablate(c);
    if (!code)
        code = ldm_cmp_judge_distances(c);
    c->seconds = ldm_cli_now() - begin;
    if (!code)
        code = write_report(c, "report.html", 1);
    if (!code)
        code = write_report(c, "report.md", 0);
    if (code)
        return code;
    c->reported = true;
    if (c->o->json)
        code = ldm_cmp_print_json(c);
    else
        ldm_cmp_print_text(c, stdout);
    if (!code && c->a.sum.failed + c->b.sum.failed) {
        ldm_cli_say(c->cmd, "%zu of %zu pictures failed", c->a.sum.failed + c->b.sum.failed,
                    c->a.count + c->b.count);
        code = LDM_EXIT_FAILED;
    }
    return code;
}

static void compare_free(ldm_compare *c)
{
    ldm_cmp_side_free(&c->a);
    ldm_cmp_side_free(&c->b);
    for (size_t i = 0; i < c->variant_count; i++) {
        free(c->variants[i].name);
        json_decref(c->variants[i].settings);
        ldm_cmp_side_free(&c->variants[i].side);
    }
    free(c->variants);
    json_decref(c->difference);
    json_decref(c->study_a);
    json_decref(c->study_b);
    ldm_face_judge_close(c->judge);
    free(c->judge_missing);
    free(c->stats_file);
    free(c->stats_missing);
    ldm_place_leave(&c->place);
    free(c->pairs);
    free(c->command);
    free(c->date);
}

/* Checkpoints and folders among the arguments, and the configuration beside the checkpoint: it is
 * what layers are laid over, and two whole configurations need none. */
static int take_inputs(ldm_compare *c, int *argc, char **argv)
{
    ldm_model_options *model = c->o->to.model;
    int code = LDM_EXIT_OK;

    for (int i = 0; !code && i < *argc; i++) {
        const bool gallery = ldm_inputs_is_gallery(argv[i]);

        if (gallery || ldm_output_ends_in(argv[i], ldm_output_pictures.endings))
            code =
                ldm_cli_usage(c->cmd,
                              "'%s' is %s, and two configurations are compared; `ldm metrics` "
                              "measures pictures",
                              argv[i], gallery ? "a folder of pictures" : "the name of a picture");
    }
    if (!code)
        code = ldm_inputs_take_checkpoint(c->cmd, model, argc, argv, c->o->quiet);
    if (!code && *argc > 2)
        code = ldm_cli_usage(c->cmd, "unexpected argument '%s'; give two layers", argv[2]);
    if (!code && *argc == 1)
        code = ldm_cli_usage(c->cmd, "'%s' needs a second layer beside it", argv[0]);
    if (!code && !(*argc == 2 && ldm_inputs_is_whole(argv[0]) && ldm_inputs_is_whole(argv[1])))
        code = ldm_inputs_find_config(c->cmd, model, c->o->quiet);
    return code;
}

/* The folder that -o names, or a fresh one. */
static int take_folder(ldm_compare *c)
{
    const char *out = c->o->out;
    int code;

    if (!out) {
        code = ldm_place_enter_fresh(c->cmd, "-o", &c->place);
    } else {
        char *name = ldm_cli_format("%s%s", out, out[strlen(out) - 1] == '/' ? "" : "/");

        code = name ? ldm_place_enter(c->cmd, "-o", name, true, &c->place) : ldm_cli_nomem(c->cmd);
        free(name);
    }
    c->out = c->place.folder;
    return code;
}

static int describe(ldm_compare *c, int argc, char **argv)
{
    const time_t now = time(NULL);
    char date[48] = "unknown";
    ldm_str command = {0};
    struct tm utc;

    if (gmtime_r(&now, &utc))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &utc);
    c->date = strdup(date);
    ldm_str_puts(&command, "ldm");
    for (int i = 0; i < argc; i++)
        ldm_cli_add_word(&command, argv[i]);
    c->command = ldm_cli_finish_line(&command);
    return c->date && c->command ? LDM_EXIT_OK : ldm_cli_nomem(c->cmd);
}

/* An earlier sweep in the folder that the line names. */
static int check_swept(const ldm_compare *c)
{
    static const char *const names[] = {"sweep.md", "sweep.json", "sweep.svg", "cell_000.png"};
    int code = LDM_EXIT_OK;

    for (size_t i = 0; !code && i < sizeof names / sizeof *names; i++)
        code = check_free(c, names[i]);
    return code;
}

static int sweep(ldm_compare *c, int argc, char **argv)
{
    ldm_sweep s = {.cmd = c->cmd,
                   .to = &c->o->to,
                   .bar = &c->bar,
                   .quiet = c->o->quiet,
                   .json = c->o->json,
                   .out = c->out,
                   .command = c->command};
    int code = LDM_EXIT_OK;

    if (argc || c->o->ablate)
        return ldm_cli_usage(c->cmd, "--sweep and %s exclude each other",
                             argc ? argv[0] : "--ablate");
    code = check_swept(c);
    if (!code)
        code = ldm_inputs_find_config(c->cmd, c->o->to.model, c->o->quiet);
    if (!code)
        code = ldm_cmp_judge_open(c);
    s.judge = c->judge;
    s.stats_file = c->stats_file;
    return code ? code : ldm_sweep_run(&s, &c->o->sweep);
}

/* The study is about the face model, which has no conditioning: so is "demo", the shipped model
 * that is compared where none is named. */
static int choose_model(const ldm_compare *c)
{
    ldm_error err;
    ldm_status st = LDM_OK;

    if (!ldm_model_ckpt(c->o->to.model) && !ldm_model_options_is_set(c->o->to.model, "model"))
        st = ldm_model_options_set(c->o->to.model, "model", "demo", &err);
    return st ? ldm_cli_fail(c->cmd, st, &err) : LDM_EXIT_OK;
}

static int work(ldm_compare *c, int argc, char **argv)
{
    int code = c->o->sweep.count
                   ? ldm_inputs_take_checkpoint(c->cmd, c->o->to.model, &argc, argv, c->o->quiet)
                   : take_inputs(c, &argc, argv);

    if (!code)
        code = choose_model(c);
    if (!code)
        code = take_folder(c);
    if (code)
        return code;
    ldm_model_name(c->o->to.model);
    ldm_bar_init(&c->bar);
    ldm_signals_catch_interrupts();
    if (c->o->quiet)
        c->bar.on = false;
    return c->o->sweep.count ? sweep(c, argc, argv) : compare(c, argc, argv);
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    ldm_compare_opts o = {0};
    ldm_compare c = {.cmd = cmd, .o = &o, .place = {.lock = -1}};
    ldm_error err;
    ldm_status st = LDM_OK;
    ldm_parse parse;
    int args, code = ldm_model_begin(cli, cmd, &o.to);

    if (!code)
        code = describe(&c, argc, argv); /* before the words are put in order */
    if (!code)
        st = ldm_job_create(NULL, &o.to.job, &err);
    if (!code && !st) {
        parse = ldm_opts_parse(cmd, argc, argv, &o, &o.to, &args);
        if (parse)
            code = ldm_parse_exit(parse);
        else if (!ldm_job_is_set(o.to.job, "count"))
            st = ldm_job_set_int(o.to.job, "count", DEFAULT_COUNT, &err);
        if (!parse && !st) {
            ldm_drawn_say(cmd, &o.to);
            code = work(&c, argc - args, argv + args);
        }
    }
    if (st)
        code = ldm_cli_fail(cmd, st, &err);
    if (code && o.json && !c.reported)
        ldm_cli_json_failure(cmd);
    compare_free(&c);
    ldm_targets_free(&o.to);
    return code;
}

const ldm_command ldm_cmd_compare = {
    .name = "compare",
    .args = "[A.yaml B.yaml] [--ckpt FILE|FOLDER --config BASE.yaml] [options]",
    .summary = "two configurations of a checkpoint, by measurement",
    .about =
        "Lays A and B over the same configuration (one that is whole, with a model.target and a\n"
        "unet_config of its own, takes its place), checks both against the checkpoint, samples\n"
        "both with the same seeds, and measures: keys that match, times, contrast, brightness,\n"
        "colours, in how many pictures an independent detector finds a face, and how far apart\n"
        "the pictures of each seed are. Without A and B: the two approaches of the study, and\n"
        "without a checkpoint: of the shipped model demo. Prints a conclusion, the study's tables\n"
        "and each seed, and writes DIR/A_samples, DIR/B_samples, DIR/report.html and\n"
        "DIR/report.md.",
    .notes = "A layer says what differs from the common configuration; what it does not say shows\n"
             "through. Of a whole configuration nothing shows through, which a note says.\n\n"
             "A layer's section ldm: says how it is sampled and what loading permits. --ablate\n"
             "writes its layers and pictures to DIR/ablation.\n\n"
             "  ldm compare\n"
             "  ldm compare -n 64 --ablate\n"
             "  ldm compare --model portrait -n 64 --ablate\n"
             "  ldm compare --sweep sampler=ddim,dpmpp_2m --sweep steps=10,20,50 -n 64 -o grid\n"
             "  ldm compare mine.yaml other.yaml --ckpt model.ckpt --config config.yaml -o out",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .max_args = -1,
    .run = run,
};
