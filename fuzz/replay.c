/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over files and folders of files, as an ordinary test: no fuzz engine needed.
 * Each must be there, and the first must hold at least one input. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;

    if (f && !fseek(f, 0, SEEK_END))
        size = ftell(f);
    if (size >= 0 && !fseek(f, 0, SEEK_SET))
        data = malloc(size ? (size_t)size : 1); /* exactly: a byte read after it is an error */
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size) {
        fprintf(stderr, "cannot read %s\n", path);
        free(data);
        if (f)
            fclose(f);
        return -1;
    }
    fclose(f);
    printf("%s\n", path);
    fflush(stdout); /* the last name printed is the one that crashed */
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return 1;
}

/* The number of files run, -1 on failure. */
static int replay(const char *path)
{
    struct stat st;
    struct dirent *e;
    DIR *dir;
    int total = 0;

    if (stat(path, &st)) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    dir = opendir(path);
    if (!dir)
        return -1;
    while (total >= 0 && (e = readdir(dir))) {
        char name[4096];
        int n;

        if (e->d_name[0] == '.')
            continue;
        if (snprintf(name, sizeof name, "%s/%s", path, e->d_name) >= (int)sizeof name)
            n = -1;
        else
            n = replay(name);
        total = n < 0 ? -1 : total + n;
    }
    closedir(dir);
    return total;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int n = replay(argv[i]);

        if (n < 0 || (i == 1 && n == 0)) {
            fprintf(stderr, "%s: no inputs\n", argv[i]);
            return 1;
        }
        total += n;
    }
    printf("%d inputs\n", total);
    return 0;
}
