/* SPDX-License-Identifier: MIT */
/* The matrix of launchers, with environments set by hand, and how many threads follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ldm/cluster.h>

/* The environment as "NAME=VALUE NAME=VALUE". */
static const char *look(void *ctx, const char *name)
{
    static char value[64];
    const size_t len = strlen(name);
    const char *at = ctx;

    while (at && *at) {
        const size_t word = strcspn(at, " ");

        if (word > len && at[len] == '=' && !strncmp(at, name, len)) {
            assert_true(word - len - 1 < sizeof value);
            memcpy(value, at + len + 1, word - len - 1);
            value[word - len - 1] = '\0';
            return value;
        }
        at += word + (at[word] == ' ');
    }
    return NULL;
}

#define ARRAY(id)                                                                                  \
    "SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_STEP=5 "                    \
    "SLURM_ARRAY_TASK_ID=" id " "
#define BATCH "SLURM_JOB_ID=7 SLURM_NTASKS=8 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 "
#define STEP(rank)                                                                                 \
    "SLURM_JOB_ID=7 SLURM_NTASKS=8 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=6 SLURM_PROCID=" rank " "

static const struct {
    const char *what, *environment;
    int rank, size, local, cpus;
    const char *launcher;
} rows[] = {
    {"nothing", "", 0, 1, 0, 0, "none"},
    {"Open MPI",
     "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=3 OMPI_COMM_WORLD_LOCAL_SIZE=2 "
     "OMPI_COMM_WORLD_LOCAL_RANK=1",
     2, 3, 2, 0, "Open MPI"},
    {"MPICH and Intel MPI", "PMI_RANK=1 PMI_SIZE=4 MPI_LOCALNRANKS=4 MPI_LOCALRANKID=1", 1, 4, 4, 0,
     "PMI"},
    {"PMIx gives no size", "PMIX_RANK=3", 0, 1, 0, 0, "none"},
    {"a Slurm step",
     STEP("5") "SLURM_STEP_TASKS_PER_NODE=2(x2),1(x2) SLURM_NODEID=2 SLURM_CPUS_PER_TASK=6", 5, 6,
     1, 6, "Slurm step"},
    {"its first node", STEP("1") "SLURM_STEP_TASKS_PER_NODE=4,2 SLURM_NODEID=0", 1, 6, 4, 0,
     "Slurm step"},
    {"its second node", STEP("4") "SLURM_STEP_TASKS_PER_NODE=4,2 SLURM_NODEID=1", 4, 6, 2, 0,
     "Slurm step"},
    {"a node beyond the list", STEP("4") "SLURM_STEP_TASKS_PER_NODE=4,2 SLURM_NODEID=7", 4, 6, 0, 0,
     "Slurm step"},
    {"a batch script without srun", BATCH, 0, 1, 0, 0, "none"},
    {"salloc's shell", BATCH "SLURM_STEP_ID=interactive", 0, 1, 0, 0, "none"},
    {"mpirun inside a Slurm job", BATCH "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2", 1, 2, 0, 0,
     "Open MPI"},
    {"mpirun whose daemons are a step", STEP("0") "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2",
     1, 2, 0, 0, "Open MPI"},
    {"torchrun", "RANK=3 WORLD_SIZE=8 LOCAL_RANK=1 LOCAL_WORLD_SIZE=2 TORCHELASTIC_RUN_ID=none", 3,
     8, 2, 0, "torchrun"},
    {"anybody's RANK", "RANK=3 WORLD_SIZE=8", 0, 1, 0, 0, "none"},
    {"a job array", ARRAY("20") "SLURM_PROCID=0 SLURM_CPUS_PER_TASK=3", 2, 4, 0, 3, "Slurm array"},
    {"its first task", ARRAY("10"), 0, 4, 0, 0, "Slurm array"},
    {"its last task", ARRAY("25"), 3, 4, 0, 0, "Slurm array"},
    {"a sparse array goes round", ARRAY("35"), 1, 4, 0, 0, "Slurm array"},
    {"steps in an array", ARRAY("15") STEP("5"), 11, 24, 0, 0, "Slurm array of steps"},
    {"an array of one task", "SLURM_ARRAY_TASK_COUNT=1 SLURM_ARRAY_TASK_ID=3", 0, 1, 0, 0, "none"},
};

static void every_launcher_is_known_by_its_own_variables(void **state)
{
    ldm_rank got;
    ldm_error err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        print_message("%s\n", rows[i].what);
        assert_int_equal(
            ldm_rank_find(look, (void *)(uintptr_t)rows[i].environment, 0, 0, &got, &err), LDM_OK);
        assert_string_equal(got.launcher, rows[i].launcher);
        assert_int_equal(got.rank, rows[i].rank);
        assert_int_equal(got.size, rows[i].size);
        assert_int_equal(got.local_size, rows[i].local);
        assert_int_equal(got.cpus, rows[i].cpus);
        assert_int_equal(got.array_only, !strcmp(got.launcher, "Slurm array"));
    }
}

static void what_the_user_says_takes_precedence(void **state)
{
    static const char open_mpi[] = "OMPI_COMM_WORLD_RANK=x OMPI_COMM_WORLD_SIZE=3";
    ldm_rank got;

    (void)state;
    assert_int_equal(ldm_rank_find(look, (void *)(uintptr_t)open_mpi, 4, 9, &got, NULL), LDM_OK);
    assert_int_equal(got.rank, 4);
    assert_int_equal(got.size, 9);
    assert_string_equal(got.launcher, "--rank and --of");
}

static void wrong_values_name_their_variable(void **state)
{
    static const struct {
        const char *environment;
        int rank, size;
        const char *says;
    } wrong[] = {
        {"OMPI_COMM_WORLD_RANK=one OMPI_COMM_WORLD_SIZE=3", 0, 0,
         "OMPI_COMM_WORLD_RANK is \"one\""},
        {"OMPI_COMM_WORLD_RANK=1", 0, 0, "OMPI_COMM_WORLD_SIZE is not set"},
        {"OMPI_COMM_WORLD_SIZE=1", 0, 0, "OMPI_COMM_WORLD_RANK is not set"},
        {"PMI_RANK=4 PMI_SIZE=4", 0, 0, "PMI_RANK is 4 and PMI_SIZE is 4"},
        {"PMI_RANK=-1 PMI_SIZE=4", 0, 0, "PMI_RANK is \"-1\""},
        {"PMI_RANK=1x PMI_SIZE=4", 0, 0, "PMI_RANK is \"1x\""},
        {"PMI_RANK= PMI_SIZE=4", 0, 0, "PMI_RANK is \"\""},
        {"PMI_RANK=99999999999999999999 PMI_SIZE=4", 0, 0, "PMI_RANK is \"9999"},
        {"PMI_RANK=0 PMI_SIZE=0", 0, 0, "PMI_SIZE is 0"},
        {STEP("6"), 0, 0, "SLURM_PROCID is 6 and SLURM_STEP_NUM_TASKS is 6"},
        {"SLURM_STEP_ID=0 SLURM_PROCID=0", 0, 0,
         "SLURM_STEP_NUM_TASKS is not set, although a Slurm step is at work"},
        {"SLURM_ARRAY_TASK_COUNT=4", 0, 0, "SLURM_ARRAY_TASK_ID is not set"},
        {"SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_ID=q", 0, 0, "SLURM_ARRAY_TASK_ID is \"q\""},
        {"", 3, 3, "--rank is 3 and --of is 3"},
        {"", -1, 3, "--rank is -1"},
        {"", 0, 2000000, "--of is 2000000"},
    };
    ldm_rank got;
    ldm_error err;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(ldm_rank_find(look, (void *)(uintptr_t)wrong[i].environment, wrong[i].rank,
                                       wrong[i].size, &got, &err),
                         LDM_ERR_USAGE);
        if (!strstr(err.msg, wrong[i].says))
            fail_msg("'%s' lacks '%s'", err.msg, wrong[i].says);
        assert_int_equal(got.size, 1);
    }
}

static void threads_follow_from_the_mask_and_the_neighbours(void **state)
{
    static const struct {
        int local, cpus, allowed, machine, threads;
    } cases[] = {
        {0, 0, 8, 8, 8},  /* alone */
        {4, 0, 8, 8, 2},  /* four processes, none of them bound */
        {4, 0, 2, 8, 2},  /* bound by the launcher */
        {3, 0, 8, 8, 2},  /* rounded down */
        {9, 0, 8, 8, 1},  /* more processes than processors */
        {4, 6, 8, 8, 6},  /* the launcher says how many */
        {4, 16, 8, 8, 8}, /* but not more than there are */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ldm_rank r = {.size = 16, .local_size = cases[i].local, .cpus = cases[i].cpus};

        assert_int_equal(ldm_rank_threads(&r, cases[i].allowed, cases[i].machine),
                         cases[i].threads);
    }
    assert_int_equal(ldm_rank_threads(NULL, 8, 8), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_launcher_is_known_by_its_own_variables),
        cmocka_unit_test(what_the_user_says_takes_precedence),
        cmocka_unit_test(wrong_values_name_their_variable),
        cmocka_unit_test(threads_follow_from_the_mask_and_the_neighbours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
