/* SPDX-License-Identifier: MIT */
/* peak_memory FILE COMMAND...: runs the command, writes the most resident memory that it had, in
 * kilobytes, to the file, and ends as it did. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct rusage used;
    pid_t child;
    FILE *f;
    int status;

    if (argc < 3)
        return 2;
    child = fork();
    if (!child) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child || !(f = fopen(argv[1], "w")))
        return 1;
    fprintf(f, "%ld\n", used.ru_maxrss);
    if (fclose(f))
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
