/* SPDX-License-Identifier: MIT */
/* One process' part of a run in a shared folder; see cluster.h for the rules and run_folder.h for
 * the files. A claim is a hard link to the worker's own file: link(2) succeeds for one process
 * alone, on NFS as well, where a lost answer is told from a refusal by whose file the link leads
 * to. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ldm/cluster.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/random.h"
#include "cluster/run_folder.h"

enum { BEATS_A_LEASE = 10, POLLS_A_LEASE = 20, TRIES = 100 };

/* Seconds until a process that found nothing looks again, and for each block what it has to read.
 */
static const double first_poll = 0.05, poll_a_block = 1e-4;

struct ldm_work {
    ldm_run_folder folder;
    ldm_run_marks marks;
    char id[128];  /* "HOST-PID-RANDOM" */
    json_t *about; /* what that file says */
    char *sign;    /* path of its file in workers/; NULL: it has done nothing yet */
    uint64_t file;
    int rank, size;
    bool own_only;

    int own;                 /* block of its own that is tried next */
    int held, attempt;       /* what it has claimed, and the claim's number; held -1: nothing */
    double polled;           /* the last wait that was asked for */
    double touched, slowest; /* monotonic time of the last sign; the longest time between two while
                                it held a block */
};

/* ---- joining --------------------------------------------------------------------------------- */

static void name_worker(ldm_work *w)
{
    char host[64] = "";
    uint64_t random = 0;

    if (gethostname(host, sizeof host - 1))
        strcpy(host, "host");
    for (char *p = host; *p; p++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p))
            *p = '_';
    }
    if (!ldm_random_bytes(&random, sizeof random))
        random = (uint64_t)(ldm_seconds() * 1e9);
    snprintf(w->id, sizeof w->id, "%s-%ld-%016llx", host, (long)getpid(),
             (unsigned long long)random);
}

static ldm_status make_folders(const char *path, ldm_error *err)
{
    static const char *const subs[] = {"workers", "claims", "done"};
    ldm_status st = LDM_OK;

    for (size_t i = 0; !st && i < sizeof subs / sizeof *subs; i++) {
        char *sub = ldm_run_path(path, subs[i], "");

        st = sub ? ldm_make_dirs(sub, err) : ldm_error_nomem(err, 0, "a file name");
        ldm_free(sub);
    }
    return st;
}

static ldm_status refuse_links(const char *path, int why, ldm_error *err)
{
    if (why == EPERM || why == ENOTSUP || why == EOPNOTSUPP || why == ENOSYS || why == EMLINK)
        return ldm_error_set(err, LDM_ERR_UNSUPPORTED,
                             "%s: the file system has no hard links (%s), by which processes claim "
                             "their share; give every rank a folder of its own with --own-share, "
                             "and join them with `ldm merge`",
                             path, strerror(why));
    return ldm_error_set(err, LDM_ERR_IO, "cannot link %s: %s", path, strerror(why));
}

/* Writes the manifest under a name of this worker's, and links it to its own name: whoever comes
 * first has made it, complete. */
static ldm_status publish(const ldm_work *w, const char *path, const json_t *root, ldm_error *err)
{
    char *manifest = ldm_run_path(path, "manifest.json", ""), *own = NULL;
    ldm_status st = manifest ? LDM_OK : ldm_error_nomem(err, 0, "a file name");

    if (!st && access(manifest, F_OK)) {
        own = ldm_run_path(path, "workers", w->id);
        st = own ? ldm_run_write_json(own, root, err) : ldm_error_nomem(err, 0, "a file name");
        if (!st && link(own, manifest) && errno != EEXIST && access(manifest, F_OK))
            st = refuse_links(manifest, errno, err);
        if (own)
            unlink(own);
    }
    ldm_free(own);
    ldm_free(manifest);
    return st;
}

/* What rank 0 has if every rank makes its own blocks alone: the most that one has. */
static int64_t largest_share(const ldm_work_options *o, int64_t block)
{
    const int64_t blocks = (o->pictures + block - 1) / block;
    const int64_t share = (blocks + o->size - 1) / o->size * block;

    return (blocks - 1) % o->size ? share : share - (blocks * block - o->pictures);
}

/* Of few pictures, less than two batches a rank: as equal shares as there are, in large blocks. */
static int64_t choose_even(const ldm_work_options *o)
{
    int64_t best = o->pictures > o->size ? o->pictures / o->size : 1;

    for (int64_t block = best - 1; block > 0; block--) {
        if (largest_share(o, block) < largest_share(o, best))
            best = block;
    }
    return best;
}

/* Several blocks a rank, so that a fast one can help; no part of a batch, which costs speed. Only
 * where that would leave a rank with twice another's work, or none, are blocks of other sizes. */
static int choose_block(const ldm_work_options *o)
{
    enum { BLOCKS_A_RANK = 8, MOST = 64 };
    int64_t block = o->block;

    if (!block) {
        block = o->pictures / ((int64_t)o->size * BLOCKS_A_RANK);
        block = block > MOST ? MOST : block;
        block = block > o->batch ? block / o->batch * o->batch : o->batch;
        if (o->size > 1 && o->pictures < 2 * (int64_t)o->size * o->batch)
            block = choose_even(o);
    }
    while ((o->pictures + block - 1) / block > LDM_RUN_MOST_BLOCKS)
        block *= 2;
    return (int)(block > o->pictures ? o->pictures : block);
}

static ldm_status begin_run(ldm_work *w, const ldm_work_options *o, ldm_error *err)
{
    json_t *run = json_loads(o->run, JSON_REJECT_DUPLICATES, NULL), *root;
    char *path = ldm_run_path(o->folder, ".ldm-run", "");
    ldm_status st = path ? make_folders(path, err) : ldm_error_nomem(err, 0, "a file name");

    if (!st && !json_is_object(run))
        st = ldm_error_set(err, LDM_ERR_USAGE, "run is no JSON object");
    if (!st) {
        root = json_pack("{s:i, s:i, s:i, s:f, s:O}", "ldm_run", 1, "pictures", o->pictures,
                         "block", choose_block(o), "lease", o->lease, "run", run);
        st = root ? publish(w, path, root, err) : ldm_error_nomem(err, 0, "the manifest");
        json_decref(root);
    }
    json_decref(run);
    ldm_free(path);
    return st ? st : ldm_run_folder_open(o->folder, &w->folder, err);
}

static ldm_status describe_worker(ldm_work *w, const ldm_work_options *o, ldm_error *err)
{
    char machine[160];

    ldm_run_machine(machine, sizeof machine);
    w->about = json_loads(o->about, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(w->about))
        return ldm_error_set(err, LDM_ERR_USAGE, "about is no JSON object");
    if (json_object_set_new(w->about, "worker", json_string(w->id)) ||
        json_object_set_new(w->about, "rank", json_integer(o->rank)) ||
        json_object_set_new(w->about, "size", json_integer(o->size)) ||
        json_object_set_new(w->about, "machine", ldm_json_text(machine)) ||
        json_object_set_new(w->about, "pid", json_integer((json_int_t)getpid())))
        return ldm_error_nomem(err, 0, "a worker");
    return LDM_OK;
}

/* Its file in workers/, which claims are linked to; made when it is needed, so that a process that
 * is refused leaves nothing. */
static ldm_status sign_in(ldm_work *w, ldm_error *err)
{
    ldm_run_sign sign;
    char *path;
    ldm_status st;

    if (w->sign)
        return LDM_OK;
    path = ldm_run_path(w->folder.path, "workers", w->id);
    st = path ? ldm_run_write_json(path, w->about, err) : ldm_error_nomem(err, 0, "a file name");
    if (!st)
        st = ldm_run_sign_read(path, &sign, err);
    if (st) {
        ldm_free(path);
        return st;
    }
    w->sign = path;
    w->file = sign.file;
    ldm_run_sign_free(&sign);
    w->touched = ldm_seconds();
    return LDM_OK;
}

/* Call it before the file is touched. Others go by the file's time: more than a lease after a touch
 * they may take the block over, however often ldm_work_beat was called in between. */
static void note_touch(ldm_work *w)
{
    const double now = ldm_seconds();

    if (w->held >= 0 && now - w->touched > w->slowest)
        w->slowest = now - w->touched;
    w->touched = now;
}

static ldm_status check_options(const ldm_work_options *o, ldm_error *err)
{
    LDM_REQUIRE(o, "o", err);
    LDM_REQUIRE(o->folder, "folder", err);
    LDM_REQUIRE(o->run, "run", err);
    LDM_REQUIRE(o->about, "about", err);
    if (o->pictures < 1 || o->block < 0 || o->batch < 1 || !(o->lease > 0) || o->size < 1 ||
        o->rank < 0 || o->rank >= o->size)
        return ldm_error_set(
            err, LDM_ERR_USAGE,
            "%d pictures in blocks of %d (%d at a time), lease %g s, rank %d of %d: "
            "expected 1 or more, a lease above 0, a rank below the size",
            o->pictures, o->block, o->batch, o->lease, o->rank, o->size);
    return LDM_OK;
}

ldm_status ldm_work_open(const ldm_work_options *o, ldm_work **out, char **run, ldm_error *err)
{
    ldm_work *w;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    LDM_REQUIRE(run, "run", err);
    *run = NULL;
    st = check_options(o, err);
    if (st)
        return st;
    w = ldm_calloc(1, sizeof *w);
    if (!w)
        return ldm_error_nomem(err, sizeof *w, "the run");
    w->held = -1;
    w->own = w->rank = o->rank;
    w->size = o->size;
    w->own_only = o->own_only;
    name_worker(w);
    st = begin_run(w, o, err);
    if (!st)
        st = ldm_run_marks_create(&w->folder, &w->marks, err);
    if (!st)
        st = describe_worker(w, o, err);
    if (!st)
        st = ldm_work_get_run(o->folder, run, err);
    if (st) {
        ldm_work_close(w);
        return st;
    }
    *out = w;
    return LDM_OK;
}

void ldm_work_close(ldm_work *w)
{
    static const struct timespec long_ago[2] = {{0, 0}, {0, 0}};

    if (!w)
        return;
    ldm_work_give_back(w);
    if (w->sign) /* claims that are left over are nobody's from now on */
        (void)utimensat(AT_FDCWD, w->sign, long_ago, 0);
    ldm_run_marks_free(&w->marks);
    ldm_run_folder_close(&w->folder);
    json_decref(w->about);
    ldm_free(w->sign);
    ldm_free(w);
}

/* ---- claims ---------------------------------------------------------------------------------- */

/* The path of a claim; ldm_free it. */
static char *claim_path(const ldm_work *w, int block, int attempt)
{
    char name[32], whole[48];

    snprintf(whole, sizeof whole, "%s.%d", ldm_run_block_name(&w->folder, block, name), attempt);
    return ldm_run_path(w->folder.path, "claims", whole);
}

static char *done_path(const ldm_work *w, int block)
{
    char name[32];

    return ldm_run_path(w->folder.path, "done", ldm_run_block_name(&w->folder, block, name));
}

typedef enum outcome { TAKEN, LIVES, DEAD, FAILED } outcome;

/* One claim of a block: TAKEN by this process, or another's that LIVES or is DEAD. */
static outcome try_claim(ldm_work *w, const char *path, double now, ldm_status *st, ldm_error *err)
{
    ldm_run_sign sign;
    outcome result;

    for (int i = 0; i < TRIES; i++) {
        const int why = link(w->sign, path) ? errno : 0;

        if (!why)
            return TAKEN;
        *st = ldm_run_sign_read(path, &sign, err);
        if (*st)
            return FAILED;
        result = sign.there && sign.file == w->file                ? TAKEN /* the answer was lost */
                 : ldm_run_sign_lives(&sign, now, w->folder.lease) ? LIVES
                                                                   : DEAD;
        if (!sign.there && why != EEXIST) {
            *st = refuse_links(path, why, err);
            return FAILED;
        }
        if (sign.there) {
            ldm_run_sign_free(&sign);
            return result;
        }
    } /* it was given back between the two calls: again */
    return LIVES;
}

static bool is_done(ldm_work *w, int block)
{
    char *path = done_path(w, block);

    if (!w->marks.done[block] && path && !access(path, F_OK))
        ldm_run_marks_done(&w->folder, &w->marks, block);
    ldm_free(path);
    return w->marks.done[block];
}

/* Claims the block, from the attempt on that may be free. */
static outcome take(ldm_work *w, int block, int attempt, ldm_status *st, ldm_error *err)
{
    outcome result = DEAD;
    double now;

    note_touch(w);
    *st = ldm_run_touch(w->sign, &now, err);
    for (; !*st && result == DEAD; attempt++) {
        char *path = claim_path(w, block, attempt);

        if (!path) {
            *st = ldm_error_nomem(err, 0, "a file name");
            break;
        }
        result = try_claim(w, path, now, st, err);
        if (result == TAKEN && is_done(w, block)) { /* meanwhile: the claim shows nothing */
            unlink(path);
            result = LIVES;
        }
        ldm_free(path);
        if (result == TAKEN) {
            w->held = block;
            w->attempt = attempt;
        }
    }
    return *st ? FAILED : result;
}

void ldm_work_give_back(ldm_work *w)
{
    char *path, *next;

    if (!w || w->held < 0)
        return;
    path = claim_path(w, w->held, w->attempt);
    next = claim_path(w, w->held, w->attempt + 1);
    /* Where another went on with it, the claim stays below that one's: a gap would be claimed. */
    if (path && next && access(next, F_OK))
        unlink(path);
    ldm_free(path);
    ldm_free(next);
    w->held = -1;
}

/* ---- what to do next ------------------------------------------------------------------------- */

static void hand_out(ldm_work *w, ldm_work_item *out)
{
    out->kind = w->held == w->folder.blocks ? LDM_WORK_FINISH : LDM_WORK_BLOCK;
    out->first = w->held * w->folder.block;
    out->count = ldm_run_block_count(&w->folder, w->held);
    out->taken_over = w->attempt > 0;
    w->polled = 0;
}

/* The next of the blocks rank, rank + size, rank + 2 size, ... */
static ldm_status take_own(ldm_work *w, ldm_error *err)
{
    ldm_status st = LDM_OK;

    while (!st && w->held < 0 && w->own < w->folder.blocks) {
        const int block = w->own;

        w->own = block > w->folder.blocks - w->size ? w->folder.blocks : block + w->size;
        if (!is_done(w, block))
            (void)take(w, block, 0, &st, err);
    }
    return st;
}

/* Others' blocks: begun: those that have a claim, of which the last is looked at. Ranks begin at
 * different places, so that they seldom try the same one. */
static ldm_status take_others(ldm_work *w, bool begun, ldm_error *err)
{
    const int blocks = w->folder.blocks;
    const int start = (int)((int64_t)blocks * w->rank / w->size);
    ldm_status st = LDM_OK;

    for (int i = 0; !st && w->held < 0 && i < blocks; i++) {
        const int block = (start + i) % blocks, attempts = w->marks.attempts[block];

        if (!w->marks.done[block] && (attempts > 0) == begun)
            (void)take(w, block, begun ? attempts - 1 : 0, &st, err);
    }
    return st;
}

static void wait_a_little(ldm_work *w, ldm_work_item *out)
{
    const double most = w->folder.lease / POLLS_A_LEASE;

    w->polled = w->polled > 0 ? 2 * w->polled : first_poll + poll_a_block * w->folder.blocks;
    if (w->polled > most)
        w->polled = most;
    out->kind = LDM_WORK_WAIT;
    out->seconds = w->polled;
}

static ldm_status take_anything(ldm_work *w, ldm_work_item *out, ldm_error *err)
{
    const int blocks = w->folder.blocks;
    ldm_status st = ldm_run_marks_read(&w->folder, &w->marks, err);

    if (!st && w->marks.blocks_done < blocks && w->own_only) {
        out->kind = LDM_WORK_LEFT;
        return LDM_OK;
    }
    if (!st)
        st = take_others(w, false, err);
    if (!st && w->held < 0)
        st = take_others(w, true, err);
    if (!st && w->held < 0 && w->marks.blocks_done == blocks && !w->marks.done[blocks]) {
        const int attempts = w->marks.attempts[blocks];

        (void)take(w, blocks, attempts ? attempts - 1 : 0, &st, err);
    }
    if (!st && w->held >= 0)
        hand_out(w, out);
    else if (!st && w->marks.blocks_done == blocks && is_done(w, blocks))
        out->kind = LDM_WORK_DONE;
    else if (!st)
        wait_a_little(w, out);
    return st;
}

ldm_status ldm_work_next(ldm_work *w, ldm_work_item *out, ldm_error *err)
{
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = (ldm_work_item){0};
    LDM_REQUIRE(w, "w", err);
    if (w->held >= 0)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "the item before is neither complete nor given back");
    st = sign_in(w, err);
    if (st)
        return st;
    ldm_work_beat(w);
    st = take_own(w, err);
    if (!st && w->held < 0)
        return take_anything(w, out, err);
    if (!st)
        hand_out(w, out);
    return st;
}

ldm_status ldm_work_complete(ldm_work *w, const char *record, ldm_error *err)
{
    json_t *root;
    char *path;
    ldm_status st = LDM_OK;

    LDM_REQUIRE(w, "w", err);
    LDM_REQUIRE(record, "record", err);
    if (w->held < 0)
        return ldm_error_set(err, LDM_ERR_USAGE, "nothing is claimed that could be complete");
    root = json_loads(record, JSON_REJECT_DUPLICATES, NULL);
    path = done_path(w, w->held);
    if (!json_is_object(root) || json_object_set_new(root, "worker", json_string(w->id)) ||
        json_object_set_new(root, "block", json_integer(w->held)))
        st = ldm_error_set(err, LDM_ERR_USAGE, "record is no JSON object");
    if (!st)
        st = path ? ldm_run_write_json(path, root, err) : ldm_error_nomem(err, 0, "a file name");
    json_decref(root);
    ldm_free(path);
    if (st)
        return st;
    ldm_run_marks_done(&w->folder, &w->marks, w->held);
    ldm_work_beat(w); /* a silence in which the block was held counts */
    w->held = -1;
    return LDM_OK;
}

ldm_status ldm_work_get_count(ldm_work *w, ldm_work_count *out, ldm_error *err)
{
    double now;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = (ldm_work_count){0};
    LDM_REQUIRE(w, "w", err);
    st = sign_in(w, err);
    if (!st) {
        note_touch(w);
        st = ldm_run_touch(w->sign, &now, err);
    }
    return st ? st : ldm_run_count(&w->folder, &w->marks, now, out, err);
}

/* ---- signs of life --------------------------------------------------------------------------- */

void ldm_work_beat(ldm_work *w)
{
    double server;

    if (!w || !w->sign || ldm_seconds() - w->touched < w->folder.lease / BEATS_A_LEASE)
        return;
    note_touch(w);
    (void)ldm_run_touch(w->sign, &server, NULL); /* a failure shows where something is written */
}

double ldm_work_silence(const ldm_work *w)
{
    return w && w->slowest > w->folder.lease ? w->slowest : 0;
}

int ldm_work_block(const ldm_work *w)
{
    return w ? w->folder.block : 0;
}

bool ldm_work_finished(const ldm_work *w)
{
    char *path = w ? done_path(w, w->folder.blocks) : NULL;
    const bool there = path && !access(path, F_OK);

    ldm_free(path);
    return there;
}
