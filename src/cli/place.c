/* SPDX-License-Identifier: MIT */
/* Folders that a command has for itself; see place.h. */
#include "cli/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/outputs.h"

static const char default_folder[] = "generated_outputs/"; /* of one folder a run */

/* The length of the topmost part of a path that is not there yet; 0: all of it is there. */
static size_t missing_part(const char *path)
{
    struct stat st;

    for (size_t len = 1; path[len - 1]; len++) {
        char *part;
        bool missing;

        if (path[len] != '/' && path[len])
            continue;
        part = strndup(path, len);
        missing = part && stat(part, &st) && errno == ENOENT;
        free(part);
        if (missing)
            return len;
    }
    return 0;
}

/* Whether the path still names the folder that is open: whoever had it may have removed it. */
static bool is_still_there(int fd, const char *path)
{
    struct stat open, named;

    return !fstat(fd, &open) && !stat(path, &named) && open.st_dev == named.st_dev &&
           open.st_ino == named.st_ino;
}

/* 1: it is this process' now, or cannot be locked at all; 0: it went meanwhile; -1: another's. */
static int try_lock(const char *folder, bool alone, int *lock)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = 1;

    if (fd < 0)
        return errno != ENOENT; /* not readable: writing will report what is wrong */
    /* flock() and not fcntl(): the latter cannot lock a folder. It ends with the process, however
     * that ends; a file system without locks does without. */
    if (flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB))
        result = errno == EWOULDBLOCK ? -1 : 1;
    else if (!is_still_there(fd, folder))
        result = 0;
    if (result == 1)
        *lock = fd;
    else
        close(fd);
    return result;
}

int ldm_place_enter(const ldm_command *cmd, const char *option, const char *folder, bool alone,
                    ldm_place *p)
{
    const size_t missing = missing_part(folder);
    int code, locked;

    do {
        code = ldm_output_make_folder(cmd, option, folder);
        locked = code ? -1 : try_lock(folder, alone, &p->lock);
    } while (!locked);
    if (!code && locked < 0) {
        ldm_cli_say(cmd,
                    "%s: another ldm is at work in this folder; wait for its end, or name "
                    "another folder",
                    folder);
        code = LDM_EXIT_FAILED;
    }
    if (code)
        return code;
    p->folder = strdup(folder);
    /* Of several processes another may need the folder that this one leaves empty. */
    if (missing && alone && !p->made)
        p->made = strndup(folder, missing);
    return p->folder ? LDM_EXIT_OK : ldm_cli_nomem(cmd);
}

int ldm_place_last(void)
{
    DIR *dir = opendir(default_folder);
    const struct dirent *e;
    int last = 0;

    while (dir && (e = readdir(dir))) {
        size_t digits = strspn(e->d_name, "0123456789");

        if (digits >= 4 && digits <= 9 && !e->d_name[digits] && strtol(e->d_name, NULL, 10) > last)
            last = (int)strtol(e->d_name, NULL, 10);
    }
    if (dir)
        closedir(dir);
    return last;
}

char *ldm_place_numbered(int number)
{
    return ldm_cli_format("%s%04d/", default_folder, number);
}

int ldm_place_enter_fresh(const ldm_command *cmd, const char *option, ldm_place *p)
{
    const size_t missing = missing_part(default_folder);
    int code = LDM_EXIT_OK;
    char *name = NULL;

    /* A number is free only if mkdir() made its folder: looking first would be too early. */
    do {
        free(name);
        name = ldm_place_numbered(ldm_place_last() + 1);
        code = name ? ldm_output_make_folder(cmd, option, default_folder) : ldm_cli_nomem(cmd);
        if (code || !mkdir(name, 0777))
            break;
        if (errno != EEXIST && errno != ENOENT) { /* ENOENT: another run left it empty */
            ldm_cli_say(cmd, "%s: cannot make folder '%s': %s", option, name, strerror(errno));
            code = LDM_EXIT_FAILED;
        }
    } while (!code);
    if (!code)
        p->made = missing ? strndup(default_folder, missing) : strdup(name);
    if (!code)
        code = ldm_place_enter(cmd, option, name, true, p);
    free(name);
    return code;
}

void ldm_place_leave(ldm_place *p)
{
    const size_t top = p->made ? strlen(p->made) : 0;
    size_t len = p->folder ? strlen(p->folder) : 0;

    while (top && len >= top) {
        p->folder[len] = '\0';
        if (rmdir(p->folder))
            break;
        while (len && p->folder[len - 1] == '/') /* the slash behind the name */
            len--;
        while (len && p->folder[len - 1] != '/') /* the name */
            len--;
        while (len && p->folder[len - 1] == '/')
            len--;
    }
    free(p->folder);
    free(p->made);
    if (p->lock >= 0)
        close(p->lock);
    *p = (ldm_place){.lock = -1};
}

int ldm_place_claim_file(const ldm_command *cmd, const char *option, const char *path,
                         bool overwrite)
{
    const int fd = overwrite ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd >= 0)
        close(fd);
    return fd < 0 && !overwrite && errno == EEXIST
               ? ldm_output_check(cmd, option, path, LDM_OUTPUT_OTHER, overwrite)
               : LDM_EXIT_OK;
}

void ldm_place_drop_file(const char *path)
{
    struct stat st;

    if (!stat(path, &st) && !st.st_size)
        (void)unlink(path);
}
