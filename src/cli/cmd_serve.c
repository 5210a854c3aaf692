/* SPDX-License-Identifier: MIT */
/* ldm serve: starts ldm-server, a program of its own, so that this one has no sockets. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static const char server[] = "ldm-server";

/* The name of ldm-server in the folder of this program. False where the system does not tell it. */
static bool beside_program(char *path, size_t size)
{
    const ssize_t len = readlink("/proc/self/exe", path, size - 1);
    char *slash;

    if (len <= 0)
        return false;
    path[len] = '\0';
    slash = strrchr(path, '/');
    return slash && (size_t)snprintf(slash + 1, size - (size_t)(slash + 1 - path), "%s", server) <
                        size - (size_t)(slash + 1 - path);
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    char path[PATH_MAX];

    (void)cli;
    (void)argc;
    if (!beside_program(path, sizeof path)) {
        ldm_cli_say(cmd, "where this program lies is not known; start %s itself", server);
        return LDM_EXIT_FAILED;
    }
    argv[0] = path;
    execv(path, argv);
    ldm_cli_say(cmd, "%s: %s; it is a program of its own, which a build without libevent lacks",
                path, strerror(errno));
    return LDM_EXIT_FAILED;
}

const ldm_command ldm_cmd_serve = {
    .name = "serve",
    .args = "[options]",
    .summary = "a page and interfaces for programs over HTTP (ldm-server)",
    .about = "Starts ldm-server, which lies beside this program, with the same options:\n"
             "'ldm serve --help' lists them. Open the address that it prints in a browser.",
    .notes = "  ldm serve --ckpt model.ckpt --config config.yaml\n"
             "  ldm serve --models checkpoints/",
    .program = server,
    .max_args = -1,
    .run = run,
};
