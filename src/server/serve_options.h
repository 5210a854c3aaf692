/* SPDX-License-Identifier: MIT */
/* The command line of ldm-server: rows of its own and the library's settings of a model. */
#ifndef LDM_SERVER_SERVE_OPTIONS_H
#define LDM_SERVER_SERVE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <ldm/ldm.h>

enum { LDM_SERVE_LIST = 16 };

typedef struct ldm_serve_options {
    ldm_model_options *model;
    const char *host, *socket, *models, *vocab, *out, *key_file;
    const char *hosts[LDM_SERVE_LIST + 1], *origins[LDM_SERVE_LIST + 1]; /* end with NULL */
    int port, queue, connections, seconds, max_count;
    double max_pixels, max_work;
    bool insecure, metrics, keep_disconnected;
    bool over; /* --help, --version or --tables was printed */
} ldm_serve_options;

/* Reads argv; an exit code: 0, or 2 after a line on stderr. max_isa: of the environment, or NULL.
 */
int ldm_serve_options_read(int argc, char **argv, const char *max_isa, ldm_serve_options *o);
void ldm_serve_options_free(ldm_serve_options *o);

/* "ldm-server: ..." as one line on stderr. */
void ldm_serve_say(const char *fmt, ...) LDM_PRINTF(1, 2);

#endif
