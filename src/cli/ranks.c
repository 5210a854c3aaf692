/* SPDX-License-Identifier: MIT */
#include "cli/ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json_text.h"
#include "base/pool.h"
#include "base/str.h"
#include "cli/terminal.h"

enum { DEFAULT_LEASE = 300, MOST_LEASE = 86400, MOST_BLOCK = 100000, MOST_RANK = 1000000 };

/* Seconds between two lines about the progress, on a terminal and elsewhere; and how much longer
 * than looking takes they are at least. */
static const double terminal_pause = 2, log_pause = 30, pause_to_look = 50;

/* ---- which of how many ----------------------------------------------------------------------- */

static int read_numbers(const ldm_command *cmd, ldm_ranks *r, int *rank, int *size)
{
    int code;

    r->lease = DEFAULT_LEASE;
    *rank = *size = 0;
    if (!r->rank_text != !r->of_text)
        return ldm_cli_usage(cmd, "--rank R and --of N belong together: process R of N, from 0");
    code = ldm_cli_read_whole(cmd, "--rank", r->rank_text, 0, MOST_RANK, rank);
    if (!code)
        code = ldm_cli_read_whole(cmd, "--of", r->of_text, 1, MOST_RANK, size);
    if (!code)
        code = ldm_cli_read_whole(cmd, "--lease", r->lease_text, 1, MOST_LEASE, &r->lease);
    if (!code)
        code = ldm_cli_read_whole(cmd, "--block", r->block_text, 1, MOST_BLOCK, &r->block);
    return code;
}

static void read_host(char host[65])
{
    memset(host, 0, 65);
    if (gethostname(host, 64))
        host[0] = '\0';
}

int ldm_ranks_find(const ldm_command *cmd, const ldm_cli *cli, ldm_ranks *r)
{
    ldm_error err;
    ldm_status st;
    int rank, size, code = read_numbers(cmd, r, &rank, &size);

    ldm_ranks_alone(r);
    if (code)
        return code;
    r->said = size > 0;
    st = ldm_rank_find(cli->look, NULL, rank, size, &r->rank, &err);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

void ldm_ranks_alone(ldm_ranks *r)
{
    r->rank = (ldm_rank){.size = 1, .launcher = "none", .cpus = r->rank.cpus};
}

const char *ldm_ranks_given(const ldm_ranks *r)
{
    return r->no_wait ? "--no-wait" : r->lease_text ? "--lease" : r->block_text ? "--block" : NULL;
}

const char *ldm_ranks_option(const ldm_ranks *r)
{
    return r->rank_text ? "--rank" : r->of_text ? "--of" : ldm_ranks_given(r);
}

int ldm_ranks_threads(const ldm_ranks *r)
{
    const long machine = sysconf(_SC_NPROCESSORS_ONLN);

    return ldm_rank_threads(&r->rank, ldm_cpu_count(), machine > 0 ? (int)machine : 1);
}

char *ldm_ranks_about(const ldm_ranks *r, int threads, const char *isa)
{
    char host[65], *text;
    json_t *about = json_pack("{s:s, s:i, s:s}", "launcher", r->rank.launcher, "threads", threads,
                              "version", ldm_version());

    read_host(host);
    json_object_set_new(about, "host", ldm_json_text(host));
    json_object_set_new(about, "isa", ldm_json_text(isa));
    text = ldm_cli_json_dump(about, 0);
    json_decref(about);
    return text;
}

ldm_command ldm_ranks_command(const ldm_command *cmd, ldm_ranks *r)
{
    ldm_command named = *cmd;
    char host[65];

    if (r->rank.size > 1) {
        read_host(host);
        snprintf(r->prefix, sizeof r->prefix, "[%d/%d %s] ", r->rank.rank, r->rank.size, host);
        named.prefix = r->prefix;
    }
    return named;
}

void ldm_ranks_say(const ldm_command *cmd, const ldm_ranks *r, int threads, const char *folder)
{
    ldm_cli_say(cmd, "note: process %d of %d (%s), %d thread%s; the run is shared in %s",
                r->rank.rank, r->rank.size, r->rank.launcher, threads, threads == 1 ? "" : "s",
                folder);
}

void ldm_ranks_warn_isa(const ldm_command *cmd, const char *theirs, const char *ours)
{
    if (theirs && strcmp(theirs, ours))
        ldm_cli_say(cmd,
                    "warning: this machine computes with %s, the first process of this run with "
                    "%s: their results may differ in the last bits; --isa %s gives all the same",
                    ours, theirs, strcmp(theirs, "c") ? "avx2" : "c");
}

void ldm_ranks_warn_mixed(const ldm_command *cmd, const json_t *records, const char *what)
{
    const char *first = NULL;
    bool mixed = false;
    json_t *record;
    size_t i;

    json_array_foreach(records, i, record)
    {
        const char *isa = json_string_value(json_object_get(record, "isa"));

        mixed = mixed || (first && isa && strcmp(first, isa));
        first = first ? first : isa;
    }
    if (mixed)
        ldm_cli_say(cmd,
                    "warning: machines with different instructions made these %s: they may differ "
                    "in the last bits from those of one machine (--isa)",
                    what);
}

int ldm_ranks_complete(const ldm_command *cmd, ldm_work *work, json_t *record)
{
    char *text = ldm_cli_json_dump(record, 0);
    ldm_error err;
    ldm_status st;

    json_decref(record);
    if (!text)
        return ldm_cli_nomem(cmd);
    st = ldm_work_complete(work, text, &err);
    free(text);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

void ldm_ranks_pause(double seconds)
{
    const struct timespec time = {(time_t)seconds,
                                  (long)(1e9 * (seconds - (double)(time_t)seconds))};

    nanosleep(&time, NULL);
}

/* ---- progress -------------------------------------------------------------------------------- */

/* The line is drawn over the last one; else each is a line of its own, as in a log. */
static bool redraws(const ldm_ranks_view *v)
{
    return v->bar && ldm_terminal_redraws(STDERR_FILENO);
}

static void show_line(ldm_ranks_view *v, const ldm_work_count *c, double now)
{
    const int made = c->pictures_done - v->shown_from;
    const double pace = now > v->begun && made > 0 ? made / (now - v->begun) : 0;
    ldm_str line = {0};
    char eta[48];

    ldm_str_printf(&line, "%d of %d pictures, %d process%s at work", c->pictures_done, c->pictures,
                   c->workers, c->workers == 1 ? "" : "es");
    if (pace > 0) {
        ldm_cli_duration((c->pictures - c->pictures_done) / pace, eta, sizeof eta);
        ldm_str_printf(&line, ", %.3g a second, ETA %s", pace, eta);
    }
    if (line.failed)
        return;
    if (redraws(v)) {
        fprintf(stderr, "\r\033[K%.*s", ldm_terminal_width(STDERR_FILENO) - 1, line.data);
        fflush(stderr);
        v->bar->drawn = true; /* so that messages wipe it */
    } else {
        ldm_cli_say(v->cmd, "%s", line.data);
    }
    ldm_str_free(&line);
}

void ldm_ranks_show(ldm_ranks_view *v)
{
    const double now = ldm_cli_now();
    ldm_work_count count;
    double took;

    if (v->quiet || now < v->shown || ldm_work_get_count(v->work, &count, NULL))
        return;
    took = ldm_cli_now() - now;
    if (!v->looked) {
        v->looked = true;
        v->shown_from = count.pictures_done;
        v->begun = now;
    } else {
        show_line(v, &count, now);
    }
    v->shown = now + (redraws(v) ? terminal_pause : log_pause) + pause_to_look * took;
}

void ldm_ranks_say_end(ldm_ranks_view *v, int made, bool all)
{
    ldm_work_count c;

    if (ldm_work_silence(v->work) > 0)
        ldm_cli_say(v->cmd,
                    "warning: %.0f s passed between two signs of life of this process, longer than "
                    "the lease: others may have made its pictures as well; --lease S",
                    ldm_work_silence(v->work));
    if (v->quiet || ldm_work_get_count(v->work, &c, NULL))
        return;
    if (v->bar)
        ldm_bar_clear(v->bar);
    ldm_cli_say(v->cmd, "%d of %d pictures are done, %d of them by this process%s", c.pictures_done,
                c.pictures, made,
                all ? "" : "; the rest is others', or is made by the same command again");
}
