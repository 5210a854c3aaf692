/* SPDX-License-Identifier: MIT */
/* The connections that are open, and how long they have been idle: libevent 2.1 limits neither. A
 * connection is known by its descriptor and the socket behind it, as nobody reports that one was
 * closed. */
#ifndef LDM_SERVER_CONNECTIONS_H
#define LDM_SERVER_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/guard.h"

typedef struct ldm_connections ldm_connections;

/* limit: in all; share: of one address that is not the machine's own; seconds: idle at most, where
 * a request that is still being sent counts as idle. NULL when out of memory. */
ldm_connections *ldm_connections_create(int limit, int share, int seconds);
void ldm_connections_free(ldm_connections *c); /* NULL is fine */

/* A new connection; what reads along with its heads, which is the connection's as long as that is
 * open. NULL: there are too many; it is not counted. */
ldm_head *ldm_connections_add(ldm_connections *c, int fd);
/* The same of an open connection; NULL: it is not counted. */
ldm_head *ldm_connections_head(ldm_connections *c, int fd);

/* The connection waits for its answer (busy), or has got it. */
void ldm_connections_mark(ldm_connections *c, int fd, bool busy);

/* Shuts down what has been idle for too long; libevent then reads the end and closes it. */
void ldm_connections_sweep(ldm_connections *c);

size_t ldm_connections_count(ldm_connections *c);

#endif
