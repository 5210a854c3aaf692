/* SPDX-License-Identifier: MIT */
/* See hostile.h. */
#include "hostile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int place_begin(void **state)
{
    place *p = calloc(1, sizeof *p);

    assert_non_null(p);
    snprintf(p->dir, sizeof p->dir, "%s", "/tmp/ldm-hostile.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->ckpt, sizeof p->ckpt, "%s/model.ckpt", p->dir);
    snprintf(p->yaml, sizeof p->yaml, "%s/config.yaml", p->dir);
    snprintf(p->said, sizeof p->said, "%s/said", p->dir);
    *state = p;
    return 0;
}

int place_end(void **state)
{
    place *p = *state;

    unlink(p->ckpt);
    unlink(p->yaml);
    unlink(p->said);
    rmdir(p->dir);
    free(p);
    return 0;
}

size_t write_file(const char *path, bytes *b)
{
    FILE *f = fopen(path, "wb");
    size_t size = b->len;

    assert_non_null(f);
    assert_true(!b->len || fwrite(b->data, 1, b->len, f) == b->len); /* an empty one has no data */
    assert_int_equal(fclose(f), 0);
    bytes_free(b);
    return size;
}

spent run_program(const place *p, const char *const *args)
{
    const char *argv[16] = {LDM_TEST_PROGRAM};
    spent s = {.code = -1};
    posix_spawn_file_actions_t files;
    struct rusage used;
    char rest[1024];
    size_t i;
    int status;
    pid_t pid;
    FILE *f;

    for (i = 0; args[i]; i++)
        argv[i + 1] = args[i];
    /* Not fork: it would copy the page tables of all that a sanitizer keeps of freed files. */
    assert_int_equal(posix_spawn_file_actions_init(&files), 0);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, p->said, O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    unsetenv("MALLOC_MMAP_THRESHOLD_"); /* read when this test began; see CMakeLists.txt */
    assert_int_equal(
        posix_spawn(&pid, LDM_TEST_PROGRAM, &files, NULL, (char *const *)(uintptr_t)argv, environ),
        0);
    posix_spawn_file_actions_destroy(&files);
    assert_int_equal(wait4(pid, &status, 0, &used), pid);
    if (WIFEXITED(status))
        s.code = WEXITSTATUS(status);
    s.ms = 1e3 * (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           1e-3 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    s.mb = (double)used.ru_maxrss / 1024;
    f = fopen(p->said, "r");
    assert_non_null(f);
    if (fgets(s.line, sizeof s.line, f))
        s.lines = 1;
    while (fgets(rest, sizeof rest, f))
        s.lines++;
    fclose(f);
    return s;
}

void expect_refusal(const place *p, const char *name, const char *const *args, size_t size,
                    bool loads)
{
    spent s = run_program(p, args);
    double beyond = s.mb - (double)size / (1 << 20);

    printf("%-24s %-7s code %d %4.0f ms %5.1f MB  %.*s\n", name, args[0], s.code, s.ms, beyond,
           (int)strcspn(s.line, "\n") < 90 ? (int)strcspn(s.line, "\n") : 90, s.line);
    if (s.code != 1 && s.code != 3 && !(loads && !s.code))
        fail_msg("%s: %s ended with %d: %s", name, args[0], s.code, s.line);
    if (s.lines != (s.code == 1) || (s.code == 1 && !strstr(s.line, p->dir)))
        fail_msg("%s: %s: expected one line that names the file: %s", name, args[0], s.line);
    if (LDM_TEST_BARS && (s.ms > MAX_MS || beyond > MAX_MB))
        fail_msg("%s: %s took %.0f ms (at most %d) and %.1f MB beyond the file (at most %d)", name,
                 args[0], s.ms, MAX_MS, beyond, MAX_MB);
}
