/* SPDX-License-Identifier: MIT */
/* Which of how many processes this one is, as its launcher says in the environment. One row a
 * launcher; the variables are those of Open MPI's mpirun(1), Hydra and PMI-1, srun(1) and
 * sbatch(1), and torch.distributed.run. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <ldm/cluster.h>

#include "base/error.h"

typedef struct launcher {
    const char *name;
    const char *rank, *size;
    const char *local_size;   /* NULL: see local_tasks */
    const char *evidence;     /* without this variable the row does not count; NULL: it does */
    bool evidence_is_number;  /* and it must be a number */
    const char *cpus;         /* processors of a process; NULL: none says so */
    const char *tasks, *node; /* "2(x3),1" processes of each node, and which node this is */
} launcher;

/* In the order of precedence: mpirun inside of a Slurm job sets both kinds of variables. In a batch
 * script and in salloc's shell SLURM_PROCID and SLURM_NTASKS are set although there is one process
 * alone; only a step has a number as SLURM_STEP_ID. RANK alone is anybody's variable. */
static const launcher launchers[] = {
    {.name = "Open MPI",
     .rank = "OMPI_COMM_WORLD_RANK",
     .size = "OMPI_COMM_WORLD_SIZE",
     .local_size = "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {.name = "PMI", .rank = "PMI_RANK", .size = "PMI_SIZE", .local_size = "MPI_LOCALNRANKS"},
    {.name = "Slurm step",
     .rank = "SLURM_PROCID",
     .size = "SLURM_STEP_NUM_TASKS",
     .evidence = "SLURM_STEP_ID",
     .evidence_is_number = true,
     .cpus = "SLURM_CPUS_PER_TASK",
     .tasks = "SLURM_STEP_TASKS_PER_NODE",
     .node = "SLURM_NODEID"},
    {.name = "torchrun",
     .rank = "RANK",
     .size = "WORLD_SIZE",
     .local_size = "LOCAL_WORLD_SIZE",
     .evidence = "TORCHELASTIC_RUN_ID"},
};

enum { LAUNCHERS = sizeof launchers / sizeof launchers[0], MOST_RANKS = 1000000 };

typedef struct environment {
    const char *(*look)(void *ctx, const char *name);
    void *ctx;
} environment;

static const char *value_of(const environment *e, const char *name)
{
    return name ? e->look(e->ctx, name) : NULL;
}

/* A whole number of digits only, at most INT_MAX. */
static bool read_number(const char *text, int *out)
{
    char *end;
    long v;

    if (!text || *text < '0' || *text > '9')
        return false;
    v = strtol(text, &end, 10);
    if (*end || v > INT_MAX)
        return false;
    *out = (int)v;
    return true;
}

static ldm_status need_number(const environment *e, const char *name, const char *who, int *out,
                              ldm_error *err)
{
    const char *text = value_of(e, name);

    if (read_number(text, out))
        return LDM_OK;
    if (!text)
        return ldm_error_set(err, LDM_ERR_USAGE,
                             "%s is not set, although %s is at work; --rank R --of N says which of "
                             "how many processes this is",
                             name, who);
    return ldm_error_set(err, LDM_ERR_USAGE,
                         "%s is \"%.40s\", expected a whole number (of %s); --rank R --of N says "
                         "which of how many processes this is",
                         name, text, who);
}

/* Entry `node` of "2(x3),1", which stands for 2, 2, 2, 1. 0: there is none. */
static int local_tasks(const char *list, int node)
{
    while (list && *list) {
        char *end;
        const long tasks = strtol(list, &end, 10);
        long times = 1;

        if (end == list || tasks < 1 || tasks > MOST_RANKS)
            return 0;
        if (end[0] == '(' && end[1] == 'x') {
            times = strtol(end + 2, &end, 10);
            if (*end != ')' || times < 1)
                return 0;
            end++;
        }
        if (node < times)
            return (int)tasks;
        node -= (int)(times < INT_MAX ? times : INT_MAX);
        list = *end == ',' ? end + 1 : NULL;
    }
    return 0;
}

/* What a row says beside rank and size; a value that is no number is as good as none. */
static void read_local(const environment *e, const launcher *l, ldm_rank *out)
{
    int node;

    if (!read_number(value_of(e, l->local_size), &out->local_size) &&
        read_number(value_of(e, l->node), &node))
        out->local_size = local_tasks(value_of(e, l->tasks), node);
    (void)read_number(value_of(e, l->cpus), &out->cpus);
}

static bool applies(const environment *e, const launcher *l)
{
    const char *evidence = value_of(e, l->evidence);
    int number;

    if (l->evidence && (!evidence || (l->evidence_is_number && !read_number(evidence, &number))))
        return false;
    return value_of(e, l->rank) || (!l->evidence && value_of(e, l->size));
}

static ldm_status check(int rank, int size, const char *rank_name, const char *size_name,
                        ldm_error *err)
{
    if (size >= 1 && size <= MOST_RANKS && rank >= 0 && rank < size)
        return LDM_OK;
    return ldm_error_set(err, LDM_ERR_USAGE,
                         "%s is %d and %s is %d, expected a rank from 0 to the size less one, and "
                         "a size of 1 to %d",
                         rank_name, rank, size_name, size, MOST_RANKS);
}

static ldm_status read_row(const environment *e, const launcher *l, ldm_rank *out, ldm_error *err)
{
    const char *who = l->evidence_is_number ? "a Slurm step" : l->name;
    ldm_status st = need_number(e, l->rank, who, &out->rank, err);

    if (!st)
        st = need_number(e, l->size, who, &out->size, err);
    if (!st)
        st = check(out->rank, out->size, l->rank, l->size, err);
    if (st)
        return st;
    out->launcher = l->name;
    read_local(e, l, out);
    return LDM_OK;
}

/* Every task of the array runs `out->size` processes. A sparse array (--array=1,5,9) has numbers
 * beyond its count: two tasks may then begin with the same blocks, which costs them a look each. */
static ldm_status add_array(const environment *e, ldm_rank *out, ldm_error *err)
{
    static const char who[] = "a Slurm array";
    const bool step = out->size > 1;
    int id, least = 0, stride = 1, count;
    ldm_status st;

    if (!value_of(e, "SLURM_ARRAY_TASK_COUNT"))
        return LDM_OK;
    st = need_number(e, "SLURM_ARRAY_TASK_COUNT", who, &count, err);
    if (!st)
        st = need_number(e, "SLURM_ARRAY_TASK_ID", who, &id, err);
    if (st)
        return st;
    (void)read_number(value_of(e, "SLURM_ARRAY_TASK_MIN"), &least);
    (void)read_number(value_of(e, "SLURM_ARRAY_TASK_STEP"), &stride);
    if (count < 2 || id < least || stride < 1)
        return LDM_OK;
    if (count > MOST_RANKS / out->size)
        return check(0, MOST_RANKS + 1, "SLURM_PROCID", "SLURM_ARRAY_TASK_COUNT", err);
    out->rank += (id - least) / stride % count * out->size;
    out->size *= count;
    out->launcher = step ? "Slurm array of steps" : "Slurm array";
    out->array_only = !step;
    return LDM_OK;
}

ldm_status ldm_rank_find(const char *(*look)(void *ctx, const char *name), void *ctx, int rank,
                         int size, ldm_rank *out, ldm_error *err)
{
    const environment e = {look, ctx};
    ldm_status st = LDM_OK;

    LDM_REQUIRE(out, "out", err);
    *out = (ldm_rank){.size = 1, .launcher = "none"};
    LDM_REQUIRE(look, "look", err);
    if (size) {
        st = check(rank, size, "--rank", "--of", err);
        if (!st)
            *out = (ldm_rank){.rank = rank, .size = size, .launcher = "--rank and --of"};
        return st;
    }
    for (int i = 0; i < LAUNCHERS; i++) {
        const bool slurm = launchers[i].tasks != NULL;

        if (!applies(&e, &launchers[i]))
            continue;
        st = read_row(&e, &launchers[i], out, err);
        if (!st && slurm)
            st = add_array(&e, out, err);
        if (st)
            *out = (ldm_rank){.size = 1, .launcher = "none"};
        return st;
    }
    st = add_array(&e, out, err);
    if (!st && out->array_only)
        (void)read_number(value_of(&e, "SLURM_CPUS_PER_TASK"), &out->cpus);
    return st;
}

int ldm_rank_threads(const ldm_rank *r, int allowed, int machine)
{
    int threads = allowed;

    if (!r || allowed < 1)
        return 1;
    if (r->cpus > 0)
        threads = r->cpus < allowed ? r->cpus : allowed;
    else if (allowed >= machine && r->local_size > 1) /* nobody divided the machine */
        threads = machine / r->local_size;
    return threads > 0 ? threads : 1;
}
