/* ldm metrics: the study's figures of finished pictures. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/opts.h"

typedef struct options {
    bool json;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "a JSON array with one object per picture"},
};

static json_t *to_json(const char *path, const ldm_image *im, const ldm_image_metrics *m)
{
    json_t *o = json_object();

    json_object_set_new(o, "file", ldm_cli_json_text(path));
    json_object_set_new(o, "width", json_integer(im->width));
    json_object_set_new(o, "height", json_integer(im->height));
    json_object_set_new(o, "brightness", ldm_cli_json_real(m->brightness));
    json_object_set_new(o, "contrast", ldm_cli_json_real(m->contrast));
    json_object_set_new(o, "mean_r", ldm_cli_json_real(m->mean_r));
    json_object_set_new(o, "mean_g", ldm_cli_json_real(m->mean_g));
    json_object_set_new(o, "mean_b", ldm_cli_json_real(m->mean_b));
    json_object_set_new(o, "skin_like", json_boolean(m->skin_like));
    json_object_set_new(o, "colour_coherence", ldm_cli_json_real(m->colour_coherence));
    json_object_set_new(o, "colour_grade", json_string(m->colour_grade));
    json_object_set_new(o, "verdict", json_string(m->verdict));
    return o;
}

static json_t *failure_to_json(const char *path, const ldm_error *err)
{
    json_t *o = json_object();

    json_object_set_new(o, "file", ldm_cli_json_text(path));
    json_object_set_new(o, "error", ldm_cli_json_text(err->msg));
    return o;
}

static void to_text(const char *path, const ldm_image *im, const ldm_image_metrics *m)
{
    printf("%s: %d x %d\n", path, im->width, im->height);
    printf("  brightness        %.3f  %s\n", m->brightness,
           m->brightness < 0.4   ? "dark (0.4 to 0.6 is ideal)"
           : m->brightness > 0.6 ? "bright (0.4 to 0.6 is ideal)"
                                 : "ideal (0.4 to 0.6)");
    printf("  contrast          %.3f  %s\n", m->contrast,
           m->contrast > 0.3 ? "good (above 0.3)" : "low (above 0.3 is good)");
    printf("  mean colour       R %.3f  G %.3f  B %.3f  %s\n", m->mean_r, m->mean_g, m->mean_b,
           m->skin_like ? "skin-like (R > G > B)" : "not skin-like (that is R > G > B)");
    printf("  colour coherence  %.3f  %s (excellent from 0.95, fair from 0.85)\n",
           m->colour_coherence, m->colour_grade);
    printf("  %s\n", m->verdict);
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {0};
    json_t *list = NULL;
    ldm_parse parse;
    int args, code = LDM_EXIT_OK, printed;

    (void)cli;
    parse = ldm_opts_parse(cmd, argc, argv, &o, &args);
    if (parse)
        return ldm_parse_exit(parse);
    if (o.json)
        list = json_array();
    for (int i = args; i < argc; i++) {
        ldm_image_metrics m;
        ldm_image im;
        ldm_error err;
        ldm_status st = ldm_image_read(argv[i], &im, &err);

        if (st) { /* the others are still worth measuring */
            ldm_cli_fail(cmd, st, &err);
            code = LDM_EXIT_FAILED;
            if (o.json)
                json_array_append_new(list, failure_to_json(argv[i], &err));
            continue;
        }
        ldm_image_measure(&im, &m);
        if (o.json)
            json_array_append_new(list, to_json(argv[i], &im, &m));
        else
            to_text(argv[i], &im, &m);
        ldm_release(im.rgb);
    }
    if (o.json) {
        printed = ldm_cli_print_json(cmd, list);
        code = code ? code : printed;
    }
    return code;
}

const ldm_command ldm_cmd_metrics = {
    .name = "metrics",
    .args = "IMAGE... [options]",
    .summary = "brightness, contrast and colour of pictures",
    .about =
        "Measures PNG pictures as the study does: brightness (mean luma), contrast (standard\n"
        "deviation over mean of the luma), mean colours and their order, colour coherence\n"
        "(lag-1 spatial autocorrelation of Cb and Cr), and the study's verdict. docs/METRICS.md\n"
        "has the formulas. The figures say nothing about whether a face is recognisable.",
    .notes = "Exit code 1 if any of the pictures could not be read; the others are measured.",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
