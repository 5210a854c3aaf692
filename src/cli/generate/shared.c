/* SPDX-License-Identifier: MIT */
/* ldm generate by several processes that share a folder; see ldm/cluster.h for how they divide the
 * pictures among them. A picture depends on its seed alone, so their files are those of one process
 * byte by byte. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "cli/drawn.h"
#include "cli/generate/task.h"
#include "cli/sampling.h"
#include "cli/signals.h"

/* ---- which of how many ----------------------------------------------------------------------- */

/* What only a shared run has. */
static int refuse_alone(const ldm_command *cmd, const ldm_generate_opts *o)
{
    const char *option = o->own_share ? "--own-share" : ldm_ranks_given(&o->ranks);

    if (!option)
        return LDM_EXIT_OK;
    return ldm_cli_usage(cmd,
                         "%s is about a run of several processes, and this one is alone: give "
                         "--rank R --of N, or start it by mpirun or srun",
                         option);
}

/* Whose pictures are to go together must have one seed, and not each process its own. */
static int refuse_drawn(const ldm_command *cmd, const ldm_generate_opts *o)
{
    const char *key = ldm_drawn_first(o->to.job);

    if (!key || (!o->resume && !o->shared))
        return LDM_EXIT_OK;
    if (o->resume)
        return ldm_cli_usage(cmd,
                             "--resume goes on with a run that has its seed, and --%s -1 draws "
                             "another; give the run's own, which `ldm inspect` of one of its "
                             "pictures shows",
                             key);
    return ldm_cli_usage(cmd,
                         "--%s -1: each of the processes would draw a seed of its own; give all of "
                         "them the same number",
                         key);
}

static int set_threads(const ldm_command *cmd, ldm_generate_opts *o)
{
    const int threads = ldm_ranks_threads(&o->ranks);
    ldm_error err;
    ldm_status st;

    if (o->ranks.rank.size < 2 || ldm_job_is_set(o->to.job, "threads"))
        return LDM_EXIT_OK;
    st = ldm_job_set_int(o->to.job, "threads", threads, &err);
    if (!st)
        st = ldm_model_options_set_int(o->to.model, "threads", threads, &err);
    return st ? ldm_cli_fail(cmd, st, &err) : LDM_EXIT_OK;
}

int ldm_shared_find(const ldm_command *cmd, const ldm_cli *cli, ldm_generate_opts *o)
{
    const ldm_rank *rank = &o->ranks.rank;
    const int code = ldm_ranks_find(cmd, cli, &o->ranks);

    if (code)
        return code;
    /* Tasks of an array that name no common folder belong to different jobs. */
    if (rank->array_only && (!o->out || ldm_output_ends_in(o->out, ldm_output_pictures.endings)))
        ldm_ranks_alone(&o->ranks);
    o->shared =
        o->ranks.said || rank->size > 1 || (o->resume && o->out && ldm_work_is_there(o->out));
    if (refuse_drawn(cmd, o))
        return LDM_EXIT_USAGE;
    if (!o->shared)
        return refuse_alone(cmd, o);
    if (!o->out)
        return ldm_cli_usage(cmd,
                             "%d processes (%s) share the folder that -o names, and there is "
                             "no -o",
                             rank->size, rank->launcher);
    if (o->overwrite)
        return ldm_cli_usage(cmd, "--overwrite: of several processes none could tell its own "
                                  "run's pictures from those to replace; name an empty folder");
    o->resume = o->resume || !o->dry_run;
    o->hushed = !o->quiet && rank->rank > 0; /* one of them speaks */
    o->quiet = o->quiet || o->hushed;
    return set_threads(cmd, o);
}

int ldm_shared_check(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out)
{
    const char *array = ldm_arrays_first(o), *kept = ldm_generate_array_option(o);

    if (!array && kept)
        array = kept + strlen("--");
    if (array)
        return ldm_cli_usage(cmd,
                             "--%s: several processes share a run by its pictures' files, which "
                             "hold no arrays; make such a run in one process",
                             array);
    if (!out->folder)
        return ldm_cli_usage(cmd,
                             "-o: several processes share a folder of pictures, and '%s' is "
                             "the name of one picture",
                             out->file);
    return LDM_EXIT_OK;
}

/* ---- what the run makes ---------------------------------------------------------------------- */

static int add_hashes(const ldm_task *t, json_t *run, const char *key, const ldm_image *ims,
                      size_t count)
{
    json_t *list = json_array();
    ldm_error err;
    char hex[65];

    for (size_t i = 0; i < count; i++) {
        const ldm_status st = ldm_image_hash(&ims[i], hex, &err);

        if (st) {
            json_decref(list);
            return ldm_cli_fail(t->cmd, st, &err);
        }
        json_array_append_new(list, json_string(hex));
    }
    if (json_object_set_new(run, key, list))
        return ldm_cli_nomem(t->cmd);
    return LDM_EXIT_OK;
}

/* The recipe of the first picture, and what it does not say: of all of them, and of the files made
 * of them. *run: json_decref it. */
static int describe_run(ldm_task *t, json_t **run)
{
    const ldm_job *job = ldm_run_get_job(t->run);
    const char *classes = ldm_job_get_text(t->o->to.job, "class");
    json_t *prompts = json_array();
    char *text = NULL;
    ldm_error err;
    ldm_status st = ldm_run_recipe(t->run, 0, &text, &err);
    int code;

    *run = st ? NULL : json_loads(text, 0, NULL);
    ldm_release(text);
    for (size_t i = 0; i < t->given.prompts.count; i++)
        json_array_append_new(prompts, ldm_json_text(t->given.prompts.items[i]));
    if (st) {
        json_decref(prompts);
        return ldm_cli_fail(t->cmd, st, &err);
    }
    if (json_object_set_new(*run, "prompts", prompts) ||
        json_object_set_new(*run, "classes", classes ? ldm_json_text(classes) : json_null()) ||
        json_object_set_new(*run, "pictures", json_integer(t->ri->count)) ||
        json_object_set_new(*run, "seeds_from", ldm_json_u64(ldm_job_get_u64(job, "seed"))) ||
        json_object_set_new(*run, "width", json_integer(t->ri->image_w)) ||
        json_object_set_new(*run, "height", json_integer(t->ri->image_h)) ||
        json_object_set_new(*run, "full_path", json_boolean(t->o->full_path)) ||
        json_object_set_new(*run, "grid", json_boolean(t->output.grid != NULL)) ||
        json_object_set_new(*run, "npz", json_boolean(t->output.npz != NULL)) ||
        json_object_set_new(*run, "statistics", json_boolean(t->o->write_stats != NULL)) ||
        json_object_set_new(*run, "isa", ldm_json_text(t->mi->isa)))
        return ldm_cli_nomem(t->cmd);
    code = add_hashes(t, *run, "inputs", t->given.starts.ims, t->given.starts.count);
    return code ? code
                : add_hashes(t, *run, "masks", t->given.starts.masks, t->given.starts.mask_count);
}

/* Whether the first process makes the same; its instructions may be others. */
static int compare_runs(const ldm_task *t, const char *theirs, json_t *ours)
{
    char *name = ldm_cli_format("%s.ldm-run/manifest.json", t->output.folder);
    json_t *its = json_loads(theirs, 0, NULL);
    const char *isa = json_string_value(json_object_get(its, "isa"));
    int code = name && its ? LDM_EXIT_OK : ldm_cli_nomem(t->cmd);

    if (!code)
        ldm_ranks_warn_isa(t->cmd, isa, t->mi->isa);
    json_object_del(its, "isa");
    json_object_del(ours, "isa");
    if (!code && ldm_resume_compare(t->cmd, name, its, ours))
        code = LDM_EXIT_USAGE;
    json_decref(its);
    free(name);
    return code;
}

/* ---- joining --------------------------------------------------------------------------------- */

static int open_work(ldm_task *t, json_t *run)
{
    const ldm_generate_opts *o = t->o;
    char *text = ldm_cli_json_dump(run, JSON_REAL_PRECISION(17)), *theirs = NULL;
    ldm_error err;
    char *about = ldm_ranks_about(&o->ranks, t->ri->threads, t->mi->isa);
    int code = text && about ? LDM_EXIT_OK : ldm_cli_nomem(t->cmd);

    if (!code) {
        const ldm_work_options options = {.folder = t->output.folder,
                                          .run = text,
                                          .about = about,
                                          .pictures = t->ri->count,
                                          .block = o->ranks.block,
                                          .batch = t->ri->batch,
                                          .lease = o->ranks.lease,
                                          .rank = o->ranks.rank.rank,
                                          .size = o->ranks.rank.size,
                                          .own_only = o->own_share};
        const ldm_status st = ldm_work_open(&options, &t->work, &theirs, &err);

        code = st ? ldm_cli_fail(t->cmd, st, &err) : compare_runs(t, theirs, run);
    }
    ldm_release(theirs);
    free(about);
    free(text);
    return code;
}

int ldm_shared_join(ldm_task *t)
{
    json_t *run = NULL;
    int code = describe_run(t, &run);

    if (!code)
        code = open_work(t, run);
    json_decref(run);
    t->together =
        (ldm_ranks_view){.cmd = t->cmd, .work = t->work, .bar = &t->bar, .quiet = t->o->quiet};
    if (!code && !t->o->quiet)
        ldm_ranks_say(t->cmd, &t->o->ranks, t->ri->threads, t->output.folder);
    return code;
}

/* ---- progress -------------------------------------------------------------------------------- */

int ldm_shared_progress(void *ctx, const ldm_progress *p)
{
    ldm_task *t = ctx;

    if (t->work) {
        ldm_work_beat(t->work);
        ldm_ranks_show(&t->together);
    }
    return ldm_sampling_progress(&t->bar, p);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* Those of a broken run stay. */
static int keep_pictures(ldm_task *t, const ldm_work_item *item, int *count)
{
    int code = LDM_EXIT_OK;

    *count = 0;
    for (int i = item->first; !code && i < item->first + item->count; i++) {
        code = ldm_resume_look(t->cmd, &t->output, t->run, t->ri, i, NULL, &t->kept[i]);
        t->good[i] = t->kept[i];
        *count += t->kept[i];
        ldm_work_beat(t->work);
    }
    t->kept_count += *count;
    return code;
}

static int report_block(ldm_task *t, const ldm_work_item *item, int kept, double seconds)
{
    json_t *record = json_object(), *failed = json_array();
    int made = item->count - kept;

    for (int i = item->first; i < item->first + item->count; i++) {
        if (!t->good[i]) {
            json_array_append_new(failed, json_integer(i));
            made--;
        }
    }
    json_object_set_new(record, "pictures", json_integer(made));
    json_object_set_new(record, "kept", json_integer(kept));
    json_object_set_new(record, "failed", failed);
    json_object_set_new(record, "seconds", ldm_json_real(seconds));
    json_object_set_new(record, "isa", ldm_json_text(t->mi->isa));
    return ldm_ranks_complete(t->cmd, t->work, record);
}

static int make_block(ldm_task *t, const ldm_work_item *item)
{
    const double begin = ldm_cli_now();
    ldm_sampling s = {.run = t->run, .bar = &t->bar};
    ldm_error err;
    int kept, code = keep_pictures(t, item, &kept);

    if (!code) {
        const ldm_status st = ldm_run_range(t->run, item->first, item->count, &err);

        code = st ? ldm_cli_fail(t->cmd, st, &err) : ldm_sampling_run(&s, ldm_generate_take, t);
    }
    if (s.status)
        code = ldm_cli_fail(t->cmd, s.status, &s.error);
    if (!code && !s.cancelled)
        code = ldm_generate_stats_block(t, item->first, item->count);
    if (!code && !ldm_signals_interrupted())
        return report_block(t, item, kept, ldm_cli_now() - begin);
    ldm_work_give_back(t->work);
    return code;
}

/* ---- what is made of all pictures ------------------------------------------------------------ */

/* What the records say: pictures that failed (bad[i]; *failed of them), and instructions. */
static int read_records(ldm_task *t, bool *bad, int *failed)
{
    char *text = NULL;
    json_t *list, *record, *index;
    size_t i, k;
    ldm_error err;
    const ldm_status st = ldm_work_records(t->output.folder, &text, &err);

    *failed = 0;
    if (st)
        return ldm_cli_fail(t->cmd, st, &err);
    list = json_loads(text, 0, NULL);
    ldm_release(text);
    json_array_foreach(list, i, record)
    {
        json_array_foreach(json_object_get(record, "failed"), k, index)
        {
            const json_int_t at = json_integer_value(index);

            if (at >= 0 && at < t->ri->count && !bad[at]) {
                bad[at] = true;
                ++*failed;
            }
        }
    }
    ldm_ranks_warn_mixed(t->cmd, list, "pictures");
    json_decref(list);
    return LDM_EXIT_OK;
}

/* The albums; NULL where none was asked for, or there is no picture. */
typedef struct albums {
    ldm_album *grid, *npz;
} albums;

static int open_albums(ldm_task *t, int good, albums *a)
{
    const int w = t->ri->image_w, h = t->ri->image_h;
    ldm_error err;
    ldm_status st = LDM_OK;
    char *recipe = NULL;
    int code = LDM_EXIT_OK;

    if (t->output.grid && good) {
        code = ldm_generate_sheet_recipe(t, (size_t)t->ri->count, &recipe);
        if (!code)
            st = ldm_album_grid(t->output.grid, (size_t)t->ri->count, ldm_generate_sheet_columns(t),
                                w, h, recipe, &a->grid, &err);
        free(recipe);
    }
    if (!code && !st && t->output.npz && good)
        st = ldm_album_npz(t->output.npz, (size_t)good, w, h, &a->npz, &err);
    return st ? ldm_cli_fail(t->cmd, st, &err) : code;
}

/* The pictures' own files are read, whoever made them. */
static int fill_albums(ldm_task *t, const bool *bad, const albums *a)
{
    ldm_error err;
    ldm_status st = LDM_OK;

    for (int i = 0; !st && i < t->ri->count && !ldm_signals_interrupted(); i++) {
        char *name = ldm_output_name(&t->output, i);
        ldm_image im = {0};

        if (!name)
            return ldm_cli_nomem(t->cmd);
        if (!bad[i])
            st = ldm_image_read(name, &im, &err);
        if (!st && a->grid)
            st = ldm_album_add(a->grid, bad[i] ? NULL : &im, &err);
        if (!st && a->npz && !bad[i])
            st = ldm_album_add(a->npz, &im, &err);
        ldm_release(im.pixels);
        free(name);
        ldm_work_beat(t->work);
        ldm_ranks_show(&t->together);
    }
    if (!st && a->grid && !ldm_signals_interrupted())
        st = ldm_album_close(a->grid, &err);
    if (!st && a->npz && !ldm_signals_interrupted())
        st = ldm_album_close(a->npz, &err);
    ldm_bar_clear(&t->bar);
    return st ? ldm_generate_fail(t, st, &err) : LDM_EXIT_OK;
}

static int write_albums(ldm_task *t, const bool *bad, int failed)
{
    albums a = {0};
    int code = LDM_EXIT_OK;

    if (t->output.grid || t->output.npz)
        code = open_albums(t, t->ri->count - failed, &a);
    if (!code && (a.grid || a.npz))
        code = fill_albums(t, bad, &a);
    t->wrote_sheets = !code && failed < t->ri->count && !ldm_signals_interrupted();
    ldm_album_free(a.grid);
    ldm_album_free(a.npz);
    return code;
}

static int finish(ldm_task *t)
{
    bool *bad = calloc((size_t)t->ri->count, sizeof *bad);
    int failed, code = bad ? read_records(t, bad, &failed) : ldm_cli_nomem(t->cmd);

    for (int i = 0; !code && i < t->ri->count; i++)
        t->good[i] = !bad[i];
    if (!code)
        code = write_albums(t, bad, failed);
    if (!code && !ldm_signals_interrupted() && failed < t->ri->count)
        code = ldm_generate_stats_write(t, ldm_work_block(t->work));
    free(bad);
    if (code || ldm_signals_interrupted()) {
        ldm_work_give_back(t->work);
        return code;
    }
    code = ldm_ranks_complete(t->cmd, t->work, json_pack("{s:i}", "failed", failed));
    if (!code) /* not before: others may still be at it, and then look whether it is done */
        code = ldm_resume_sweep(t->cmd, t->output.folder);
    if (!code && failed > t->failed) { /* one's own are reported in any case */
        ldm_cli_say(t->cmd, "%d of %d pictures failed", failed, t->ri->count);
        return LDM_EXIT_FAILED;
    }
    return code;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Of a process that speaks or not: it would look as if it had not run. */
static void say_idle(const ldm_task *t)
{
    const ldm_rank *rank = &t->o->ranks.rank;

    if (t->seen || t->kept_count || t->wrote_sheets || (t->o->quiet && !t->o->hushed))
        return;
    if (t->o->own_share)
        ldm_cli_say(t->cmd,
                    "note: process %d of %d has no share: the %d pictures are the others', in "
                    "blocks of %d",
                    rank->rank, rank->size, t->ri->count, ldm_work_block(t->work));
    else
        ldm_cli_say(t->cmd,
                    "note: process %d of %d found nothing to do: the others made or make "
                    "all pictures",
                    rank->rank, rank->size);
}

int ldm_shared_sample(ldm_task *t)
{
    ldm_work_item item = {0};
    ldm_error err;
    int code = LDM_EXIT_OK;

    while (!code && !ldm_signals_interrupted()) {
        const ldm_status st = ldm_work_next(t->work, &item, &err);

        ldm_ranks_show(&t->together);
        if (st)
            code = ldm_cli_fail(t->cmd, st, &err);
        else if (item.kind == LDM_WORK_BLOCK)
            code = make_block(t, &item);
        else if (item.kind == LDM_WORK_FINISH)
            code = finish(t);
        else if (item.kind == LDM_WORK_WAIT && !t->o->ranks.no_wait)
            ldm_ranks_pause(item.seconds);
        else
            break;
    }
    ldm_bar_clear(&t->bar);
    /* Whoever finished may have died before it cleaned up. */
    if (!code && item.kind == LDM_WORK_DONE && !t->seen && !t->wrote_sheets)
        code = ldm_resume_sweep(t->cmd, t->output.folder);
    if (!code && !ldm_signals_interrupted())
        ldm_ranks_say_end(&t->together, t->written, item.kind == LDM_WORK_DONE);
    if (!code && !ldm_signals_interrupted())
        say_idle(t);
    return code;
}
