/* SPDX-License-Identifier: MIT */
/* Published measures of sets of pictures; see measures.h. */
#include "cli/measures.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ldm/quality.h>

#include "base/file.h"
#include "base/json_text.h"
#include "cli/outputs.h"
#include "cli/shared_measures.h"
#include "cli/sheets.h"
#include "cli/signals.h"
#include "cli/terminal.h"

/* TTUR's README asks for so many pictures at least, and for more than there are features. */
enum { ENOUGH = 10000, FEATURES = 2048 };

typedef struct task {
    const ldm_command *cmd;
    const ldm_quality_options *o;
    ldm_quality_settings how;
    ldm_inception *net;
    ldm_quality_set *samples, *reference; /* reference NULL: none */
    ldm_quality_result result;
    const char *write_stats; /* NULL: none */
    bool overwrite;
    bool shared; /* with other processes */
} task;

/* The measures in the order in which they are printed. */
typedef struct measure_row {
    const char *name, *key;
    size_t figure; /* offset in ldm_quality_result */
    unsigned bit;
} measure_row;

static const measure_row rows[] = {
    {"FID", "fid", offsetof(ldm_quality_result, fid), LDM_QUALITY_FID},
    {"KID", "kid", offsetof(ldm_quality_result, kid), LDM_QUALITY_KID},
    {"Inception score", "inception_score", offsetof(ldm_quality_result, is), LDM_QUALITY_IS},
    {"precision", "precision", offsetof(ldm_quality_result, precision), LDM_QUALITY_PR},
    {"recall", "recall", offsetof(ldm_quality_result, recall), LDM_QUALITY_PR},
    {"sFID", "sfid", offsetof(ldm_quality_result, sfid), LDM_QUALITY_SFID},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static const ldm_quality_figure *figure_of(const task *t, const measure_row *r)
{
    return (const ldm_quality_figure *)(const void *)((const char *)&t->result + r->figure);
}

/* ---- settings -------------------------------------------------------------------------------- */

static bool ends_in_npz(const char *path)
{
    const size_t n = path ? strlen(path) : 0;

    return n >= 4 && !strcmp(path + n - 4, ".npz");
}

static unsigned measures_of(const ldm_quality_options *o)
{
    return (o->fid ? LDM_QUALITY_FID : 0u) | (o->kid ? LDM_QUALITY_KID : 0u) |
           (o->is ? LDM_QUALITY_IS : 0u) | (o->pr ? LDM_QUALITY_PR : 0u) |
           (o->sfid ? LDM_QUALITY_SFID : 0u);
}

bool ldm_quality_asked(const ldm_quality_options *o, const char *write_stats)
{
    return measures_of(o) || o->inception || o->write_features || ends_in_npz(write_stats);
}

static int read_number(const task *t, const char *option, const char *text, int least, int *out)
{
    char *end;
    long v;

    if (!text)
        return LDM_EXIT_OK;
    errno = 0;
    v = strtol(text, &end, 10);
    if (errno || *end || text[0] < '0' || text[0] > '9' || v > 1000000 || v < least)
        return ldm_cli_usage(t->cmd, "--%s is '%s', expected a whole number from %d to 1000000",
                             option, text, least);
    *out = (int)v;
    return LDM_EXIT_OK;
}

static int read_settings(task *t)
{
    const ldm_quality_options *o = t->o;
    ldm_quality_settings *how = &t->how;
    int mode, code;

    ldm_quality_settings_default(how, sizeof *how);
    how->measures = measures_of(o) | (o->write_features ? LDM_QUALITY_FEATURES : 0u);
    for (mode = 0; o->mode && ldm_fid_mode_name((ldm_fid_mode)mode); mode++) {
        if (!strcmp(o->mode, ldm_fid_mode_name((ldm_fid_mode)mode)))
            how->mode = (ldm_fid_mode)mode;
    }
    code = read_number(t, "kid-subsets", o->kid_subsets, 1, &how->kid_subsets);
    if (!code)
        code = read_number(t, "kid-subset-size", o->kid_subset_size, 2, &how->kid_subset_size);
    if (!code)
        code = read_number(t, "is-splits", o->is_splits, 1, &how->is_splits);
    if (!code)
        code = read_number(t, "neighbours", o->neighbours, 1, &how->neighbours);
    if (!code)
        code = read_number(t, "bootstrap", o->bootstrap, 0, &how->bootstrap);
    if (!code && how->bootstrap == 1)
        code = ldm_cli_usage(t->cmd, "--bootstrap 1 gives no error: expected 0 or at least 2");
    return code;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static const char *which_of(const task *t, const ldm_quality_set *s)
{
    return s == t->samples ? "samples" : "reference";
}

static void show_progress(const task *t, const ldm_quality_set *s)
{
    const uint64_t n = ldm_quality_set_pictures(s);

    if (n % 50 == 0 && ldm_terminal_redraws(STDERR_FILENO))
        fprintf(stderr, "\r%s: %llu pictures", which_of(t, s), (unsigned long long)n);
}

static void end_progress(void)
{
    if (ldm_terminal_redraws(STDERR_FILENO))
        fputs("\r                                        \r", stderr);
}

static int add_file(const task *t, ldm_quality_set *s, const char *path)
{
    const char *what;
    const int sheet = ldm_sheet_pictures(path, &what);
    ldm_error err;
    ldm_status st;

    if (sheet) {
        ldm_cli_say(t->cmd, "note: %s is %s of %d pictures and is skipped", path, what, sheet);
        return LDM_EXIT_OK;
    }
    st = ldm_quality_set_add_file(s, path, &err);
    if (st)
        return ldm_cli_fail(t->cmd, st, &err);
    show_progress(t, s);
    return LDM_EXIT_OK;
}

static int add_path(const task *t, ldm_quality_set *s, const char *path)
{
    char **paths;
    size_t count, i;
    int code;

    if (!ldm_is_dir(path))
        return add_file(t, s, path);
    code = ldm_folder_pictures(t->cmd, path, false, &paths, &count);
    for (i = 0; !code && i < count; i++)
        code = add_file(t, s, paths[i]);
    ldm_paths_free(paths, count);
    return code;
}

static int make_set(task *t, char **paths, int count, ldm_quality_set **out)
{
    ldm_error err;
    ldm_status st = ldm_quality_set_create(t->net, &t->how, out, &err);
    int code = st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
    int i;

    for (i = 0; !code && i < count; i++)
        code = add_path(t, *out, paths[i]);
    if (!code) {
        st = ldm_quality_set_finish(*out, &err);
        end_progress();
        if (st)
            code = ldm_cli_fail(t->cmd, st, &err);
    }
    if (!code && ldm_quality_set_is_empty(*out)) {
        ldm_cli_say(t->cmd, "only contact sheets were given: there is no picture to measure");
        code = LDM_EXIT_FAILED;
    }
    return code;
}

/* ---- results --------------------------------------------------------------------------------- */

static void warn_few(const task *t, const char *which, const ldm_quality_set *s)
{
    const uint64_t n = ldm_quality_set_count(s);

    if (!n || n >= ENOUGH || !(t->how.measures & (LDM_QUALITY_FID | LDM_QUALITY_SFID)))
        return;
    if (n <= FEATURES)
        ldm_cli_say(t->cmd,
                    "warning: %llu %s for %d features: their covariance is singular, and the FID "
                    "is far too high to compare with any published one; take %d at least",
                    (unsigned long long)n, which, FEATURES, ENOUGH);
    else
        ldm_cli_say(t->cmd,
                    "warning: %llu %s: FID falls with their number, so it compares with FIDs of as "
                    "many only; papers take %d and more",
                    (unsigned long long)n, which, ENOUGH);
}

static const char *stats_hash(ldm_quality_set *s)
{
    const char *hex = NULL;

    return ldm_quality_set_sha256(s, &hex, NULL) ? "?" : hex;
}

static json_t *set_json(const task *t, ldm_quality_set *s)
{
    const uint64_t count = ldm_quality_set_count(s);
    json_t *o = json_object();

    json_object_set_new(o, "pictures", count ? json_integer((json_int_t)count) : json_null());
    json_object_set_new(o, "through_network",
                        json_integer((json_int_t)ldm_quality_set_pictures(s)));
    json_object_set_new(o, "how", ldm_json_text(ldm_quality_set_text(s)));
    if (t->how.measures & (LDM_QUALITY_FID | LDM_QUALITY_SFID))
        json_object_set_new(o, "statistics_sha256", json_string(stats_hash(s)));
    return o;
}

static json_t *figure_json(const measure_row *r, const ldm_quality_figure *f)
{
    json_t *o = json_object();

    json_object_set_new(o, "value", ldm_json_real(f->value));
    json_object_set_new(o, "error", ldm_json_real(f->error));
    if (r->bit == LDM_QUALITY_KID || r->bit == LDM_QUALITY_IS)
        json_object_set_new(o, "deviation", ldm_json_real(f->spread));
    if (f->reason[0])
        json_object_set_new(o, "reason", ldm_json_text(f->reason));
    return o;
}

static json_t *protocol_json(const task *t)
{
    json_t *o = json_object();

    json_object_set_new(o, "mode", json_string(ldm_fid_mode_name(t->how.mode)));
    json_object_set_new(o, "resize", json_string(ldm_fid_mode_text(t->how.mode)));
    json_object_set_new(o, "kid_subsets", json_integer(t->how.kid_subsets));
    json_object_set_new(o, "kid_subset_size", json_integer(t->how.kid_subset_size));
    json_object_set_new(o, "is_splits", json_integer(t->how.is_splits));
    json_object_set_new(o, "neighbours", json_integer(t->how.neighbours));
    json_object_set_new(o, "bootstrap", json_integer(t->how.bootstrap));
    json_object_set_new(o, "seed", json_integer(t->how.seed));
    return o;
}

static json_t *weights_json(const task *t)
{
    json_t *o;

    if (!t->net)
        return json_null();
    o = json_object();
    json_object_set_new(o, "sha256", json_string(ldm_inception_sha256(t->net)));
    json_object_set_new(o, "official", json_boolean(ldm_inception_is_official(t->net)));
    return o;
}

static int print_json(const task *t)
{
    json_t *o = json_object();
    int i;

    json_object_set_new(o, "protocol", protocol_json(t));
    json_object_set_new(o, "weights", weights_json(t));
    json_object_set_new(o, "samples", set_json(t, t->samples));
    if (t->reference)
        json_object_set_new(o, "reference", set_json(t, t->reference));
    for (i = 0; i < ROWS; i++) {
        if (t->how.measures & rows[i].bit)
            json_object_set_new(o, rows[i].key, figure_json(&rows[i], figure_of(t, &rows[i])));
    }
    return ldm_cli_print_json(t->cmd, o);
}

static void print_figure(const measure_row *r, const ldm_quality_figure *f)
{
    if (f->reason[0]) {
        printf("%-16s not computed: %s\n", r->name, f->reason);
        return;
    }
    printf("%-16s %.7g", r->name, f->value);
    if (!isnan(f->error))
        printf("  standard error %.2g", f->error);
    if (!isnan(f->spread))
        printf("  deviation over %s %.3g", r->bit == LDM_QUALITY_KID ? "subsets" : "splits",
               f->spread);
    putchar('\n');
}

static void print_set(const task *t, const char *label, ldm_quality_set *s)
{
    printf("%-16s %s\n", label, ldm_quality_set_text(s));
    if (t->how.measures & (LDM_QUALITY_FID | LDM_QUALITY_SFID))
        printf("%-16s SHA-256 of mean and covariance %s\n", "", stats_hash(s));
}

static void print_protocol(const task *t)
{
    const unsigned m = t->how.measures;

    printf("%-16s %s", "protocol", ldm_fid_mode_name(t->how.mode));
    if (m & LDM_QUALITY_KID)
        printf("; KID of %d subsets of %d", t->how.kid_subsets, t->how.kid_subset_size);
    if (m & LDM_QUALITY_IS)
        printf("; %d splits", t->how.is_splits);
    if (m & LDM_QUALITY_PR)
        printf("; %d neighbours", t->how.neighbours);
    if (t->how.bootstrap)
        printf("; errors of %d resamplings", t->how.bootstrap);
    putchar('\n');
    if (t->net)
        printf("%-16s %s, SHA-256 %s\n", "weights",
               ldm_inception_is_official(t->net) ? "the published ones of 2015-12-05"
                                                 : "not the published file",
               ldm_inception_sha256(t->net));
}

static int print_text(const task *t)
{
    int i;

    print_protocol(t);
    print_set(t, "samples", t->samples);
    if (t->reference)
        print_set(t, "reference", t->reference);
    for (i = 0; i < ROWS; i++) {
        if (t->how.measures & rows[i].bit)
            print_figure(&rows[i], figure_of(t, &rows[i]));
    }
    return LDM_EXIT_OK;
}

/* A measure that was asked for and could not be computed shows in the exit code. */
static bool any_refused(const task *t)
{
    int i;

    for (i = 0; i < ROWS; i++) {
        if (t->how.measures & rows[i].bit && figure_of(t, &rows[i])->reason[0])
            return true;
    }
    return false;
}

static int compare(task *t, bool json)
{
    ldm_error err;
    ldm_status st;
    int code;

    if (!(t->how.measures & ~(unsigned)LDM_QUALITY_FEATURES))
        return LDM_EXIT_OK;
    warn_few(t, "samples", t->samples);
    if (t->reference)
        warn_few(t, "reference pictures", t->reference);
    st = ldm_quality_compare(t->samples, t->reference, &t->how, &t->result, sizeof t->result, &err);
    ldm_signals_catch_interrupts();
    if (st)
        return ldm_cli_fail(t->cmd, st, &err);
    code = json ? print_json(t) : print_text(t);
    return code ? code : any_refused(t) ? LDM_EXIT_FAILED : LDM_EXIT_OK;
}

/* ---- what is asked for ----------------------------------------------------------------------- */

/* Measures against a reference take two sets; the Inception score, statistics and features one. */
static int check_paths(task *t, const char *write_stats, int count, bool *merge)
{
    const unsigned m = t->how.measures;
    const bool pairs = m & ~(unsigned)(LDM_QUALITY_IS | LDM_QUALITY_FEATURES); /* of a reference */

    *merge =
        !m || (write_stats && !(m & ~(unsigned)(LDM_QUALITY_SFID | LDM_QUALITY_FID)) && count == 1);
    if (*merge && !write_stats)
        return ldm_cli_usage(t->cmd, "no measure was named: --fid, --kid, --is, --pr, --sfid, or "
                                     "--write-stats FILE.npz");
    if (*merge || (!pairs && count >= 1))
        return LDM_EXIT_OK;
    if (count != 2)
        return ldm_cli_usage(t->cmd, "%d set%s of pictures given, expected two: SAMPLES REFERENCE",
                             count, count == 1 ? "" : "s");
    return LDM_EXIT_OK;
}

static int write_files(const task *t, ldm_quality_set *set)
{
    ldm_error err;
    ldm_status st = LDM_OK;

    if (t->write_stats)
        st = ldm_quality_set_write_stats(set, t->write_stats, &err);
    if (!st && t->o->write_features)
        st = ldm_quality_set_write_features(set, t->o->write_features, &err);
    return st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
}

static int open_network(task *t, const ldm_model_options *model)
{
    ldm_error err;
    ldm_status st;

    if (!t->o->inception)
        return LDM_EXIT_OK;
    st = ldm_inception_open(t->o->inception, model, &t->net, &err);
    if (st)
        return ldm_cli_fail(t->cmd, st, &err);
    return LDM_EXIT_OK;
}

/* Said with results only: a failure is one line. */
static void warn_weights(const task *t)
{
    if (t->net && !ldm_inception_is_official(t->net))
        ldm_cli_say(t->cmd,
                    "warning: %s is not the published file of weights (its SHA-256 is %.16s...): "
                    "the figures compare with none that was published",
                    t->o->inception, ldm_inception_sha256(t->net));
}

/* ---- several processes ----------------------------------------------------------------------- */

/* Whether this run is shared: a launcher started several processes, and they make files of the
 * features of pictures. What the user said and cannot be done is an error. */
static int find_ranks(task *t, const ldm_cli *cli, ldm_quality_options *o, bool merge, char **paths,
                      int count)
{
    const int code = ldm_ranks_find(t->cmd, cli, &o->ranks);
    const bool can = merge && o->inception && ldm_measures_can_share(paths, count);
    const char *given = ldm_ranks_given(&o->ranks);

    if (code)
        return code;
    if (o->ranks.said && !can)
        return ldm_cli_usage(t->cmd,
                             "--rank: several processes share the features of folders and files of "
                             "pictures, for --write-stats FILE.npz or --write-features; measures "
                             "are one process's");
    t->shared = can && (o->ranks.said || o->ranks.rank.size > 1);
    if (!t->shared && given)
        return ldm_cli_usage(t->cmd,
                             "%s is about features that several processes compute, and this one is "
                             "alone: give --rank R --of N, or start it by mpirun or srun",
                             given);
    return LDM_EXIT_OK;
}

static int set_threads(const task *t, ldm_model_options *model)
{
    ldm_error err;
    ldm_status st = LDM_OK;

    if (t->shared && t->o->ranks.rank.size > 1 && !ldm_model_options_is_set(model, "threads"))
        st = ldm_model_options_set_int(model, "threads", ldm_ranks_threads(&t->o->ranks), &err);
    return st ? ldm_cli_fail(t->cmd, st, &err) : LDM_EXIT_OK;
}

static int write_shared(void *ctx, ldm_quality_set *set)
{
    task *t = ctx;

    if (ldm_quality_set_is_empty(set)) {
        ldm_cli_say(t->cmd, "only contact sheets were given: there is no picture to measure");
        return LDM_EXIT_FAILED;
    }
    warn_weights(t);
    return write_files(t, set);
}

static int run_shared(task *t, const ldm_model_options *model, char **paths, int count)
{
    const int threads = ldm_model_options_get_int(model, "threads");
    const ldm_measures_share share = {
        .cmd = t->cmd,
        .ranks = &t->o->ranks,
        .net = t->net,
        .how = &t->how,
        .threads = threads ? threads : ldm_ranks_threads(&t->o->ranks),
        .result = t->write_stats ? t->write_stats : t->o->write_features,
        .paths = paths,
        .count = count,
        .write = write_shared,
        .ctx = t,
    };

    return ldm_measures_share_run(&share);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* What an interrupt finds while measures are computed. */
static void end_without_measures(const task *t)
{
    char *text = ldm_cli_format("no measure is computed%s%s%s%s",
                                t->write_stats || t->o->write_features ? "; written: " : "",
                                t->write_stats ? t->write_stats : "",
                                t->write_stats && t->o->write_features ? " and " : "",
                                t->o->write_features ? t->o->write_features : "");

    ldm_signals_end_at_once(t->cmd, text ? text : "no measure is computed", false);
    free(text);
}

static int run_alone(task *t, bool json, bool merge, char **paths, int count)
{
    const int first = merge || !(measures_of(t->o) & ~(unsigned)LDM_QUALITY_IS) ? count : 1;
    int code = make_set(t, paths, first, &t->samples);

    if (!code && first < count)
        code = make_set(t, paths + first, count - first, &t->reference);
    if (!code)
        warn_weights(t);
    if (!code && !t->overwrite) {
        ldm_output_note_replaced(t->cmd, t->write_stats);
        ldm_output_note_replaced(t->cmd, t->o->write_features);
    }
    ldm_signals_catch_interrupts();
    if (!code)
        code = write_files(t, t->samples);
    if (!code) {
        ldm_output_say_written(t->cmd, "statistics", t->write_stats);
        ldm_output_say_written(t->cmd, "features", t->o->write_features);
    }
    t->how.measures = measures_of(t->o);
    if (code || merge)
        return code;
    end_without_measures(t);
    return compare(t, json);
}

int ldm_quality_run(const ldm_cli *cli, const ldm_command *cmd, ldm_quality_options *o,
                    ldm_model_options *model, const char *write_stats, bool overwrite, bool json,
                    char **paths, int count)
{
    ldm_command named;
    task t = {.cmd = cmd, .o = o, .write_stats = write_stats, .overwrite = overwrite};
    bool merge = false;
    int code = read_settings(&t);

    if (!code)
        code = check_paths(&t, write_stats, count, &merge);
    if (!code)
        code = ldm_output_check(cmd, "--write-stats", write_stats, LDM_OUTPUT_ARRAYS, overwrite);
    if (!code)
        code = ldm_output_check(cmd, "--write-features", o->write_features, LDM_OUTPUT_ARRAYS,
                                overwrite);
    if (!code)
        code = find_ranks(&t, cli, o, merge || !measures_of(o), paths, count);
    if (t.shared) {
        named = ldm_ranks_command(cmd, &o->ranks);
        t.cmd = &named;
    }
    if (!code)
        code = set_threads(&t, model);
    ldm_signals_end_at_once(t.cmd, "nothing is measured, and nothing is written", false);
    if (!code)
        code = open_network(&t, model);
    if (write_stats && !(t.how.measures & LDM_QUALITY_FID))
        t.how.measures |= LDM_QUALITY_FID;
    if (!code)
        code = t.shared ? run_shared(&t, model, paths, count)
                        : run_alone(&t, json, merge, paths, count);
    ldm_quality_set_free(t.samples);
    ldm_quality_set_free(t.reference);
    ldm_inception_close(t.net);
    return code;
}
