/* SPDX-License-Identifier: MIT */
/* Files that come with ldm: beside the library (which may lie anywhere, inside a Python package for
 * example), beside the program (build/ldm or bin/ldm), where it was installed, where it was built.
 */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/engine.h"

/* Removes the last `count` parts of a path. False where there are not so many. */
static bool cut_parts(char *path, int count)
{
    for (; count; count--) {
        char *slash = strrchr(path, '/');

        if (!slash)
            return false;
        *slash = '\0';
    }
    return true;
}

/* The folder two above the program's name, which holds ../models in a source tree and ../share in
 * an installation. False where the system does not tell. */
static bool program_root(char *dir, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", dir, size - 1);

    if (len <= 0)
        return false;
    dir[len] = '\0';
    return cut_parts(dir, 2);
}

/* The folder above that of the file which this code was mapped from: of /usr/lib/libldmc.so.0 it is
 * /usr. False where the system does not tell. */
static bool library_root(char *dir, size_t size)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    const uintptr_t here = (uintptr_t)cut_parts;
    char line[PATH_MAX + 128];
    bool found = false;

    while (maps && !found && fgets(line, sizeof line, maps)) {
        char *end, *path = strchr(line, '/');
        const uintptr_t from = (uintptr_t)strtoull(line, &end, 16);
        const uintptr_t to = *end == '-' ? (uintptr_t)strtoull(end + 1, NULL, 16) : 0;

        if (!path || here < from || here >= to)
            continue;
        path[strcspn(path, "\n")] = '\0';
        found = strlen(path) < size && cut_parts(path, 2);
        if (found)
            snprintf(dir, size, "%s", path);
    }
    if (maps)
        fclose(maps);
    return found;
}

static bool readable(const char *dir, const char *name)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", dir, name);

    return len > 0 && (size_t)len < sizeof path && access(path, R_OK) == 0;
}

static bool holds(const char *dir, const char *const *names)
{
    for (; *names; names++) {
        if (!readable(dir, *names))
            return false;
    }
    return true;
}

bool ldm_shipped_find(const char *const *names, char *dir, size_t size)
{
    static const char *const beside[] = {"", "/share/ldmc"};
    static const char *const fixed[] = {LDM_SHARE_INSTALLED, LDM_SHARE_BUILT};
    char root[PATH_MAX];
    size_t i;

    for (i = 0; i < 4; i++) {
        int n;

        if (!(i < 2 ? library_root : program_root)(root, sizeof root))
            continue;
        n = snprintf(dir, size, "%s%s", root, beside[i % 2]);
        if (n > 0 && (size_t)n < size && holds(dir, names))
            return true;
    }
    for (i = 0; i < 2; i++) {
        snprintf(dir, size, "%s", fixed[i]);
        if (holds(dir, names))
            return true;
    }
    return false;
}

ldm_status ldm_shipped_path(const char *name, char **path, ldm_error *err)
{
    const char *names[] = {name, NULL};
    ldm_str text = {0};
    char dir[PATH_MAX];

    LDM_REQUIRE(path, "path", err);
    *path = NULL;
    LDM_REQUIRE(name, "name", err);
    if (!ldm_shipped_find(names, dir, sizeof dir))
        return ldm_error_set(err, LDM_ERR_IO,
                             "%s, which comes with ldm, is not in %s or %s; install ldm again",
                             name, LDM_SHARE_INSTALLED, LDM_SHARE_BUILT);
    ldm_str_printf(&text, "%s/%s", dir, name);
    if (text.failed) {
        ldm_str_free(&text);
        return ldm_error_nomem(err, strlen(name), "a path");
    }
    *path = text.data;
    return LDM_OK;
}
