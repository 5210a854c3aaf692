/* SPDX-License-Identifier: MIT */
/* Open connections; see connections.h. */
#include "server/connections.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"

typedef struct peer {
    bool own; /* the machine's own address, or a socket in the file system */
    unsigned char address[16];
} peer;

typedef struct connection {
    int fd; /* -1: a free place */
    dev_t dev;
    ino_t ino; /* of the socket: a descriptor is used again, its number is not */
    peer from;
    ldm_head head;
    double since; /* idle since, where it is not busy */
    bool busy;
} connection;

struct ldm_connections {
    int limit, share, seconds;
    connection at[];
};

ldm_connections *ldm_connections_create(int limit, int share, int seconds)
{
    ldm_connections *c = ldm_calloc(1, sizeof *c + (size_t)limit * sizeof c->at[0]);

    if (!c)
        return NULL;
    c->limit = limit;
    c->share = share;
    c->seconds = seconds;
    for (int i = 0; i < limit; i++)
        c->at[i].fd = -1;
    return c;
}

void ldm_connections_free(ldm_connections *c)
{
    ldm_free(c);
}

static peer peer_of(int fd)
{
    struct sockaddr_storage s;
    socklen_t len = sizeof s;
    peer p = {.own = true};

    memset(&s, 0, sizeof s);
    if (getpeername(fd, (struct sockaddr *)&s, &len))
        return p;
    if (s.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&s;

        memcpy(p.address, &in->sin_addr, sizeof in->sin_addr);
        p.own = p.address[0] == 127;
    } else if (s.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&s;

        memcpy(p.address, &in->sin6_addr, sizeof p.address);
        p.own = IN6_IS_ADDR_LOOPBACK(&in->sin6_addr);
    }
    return p;
}

/* Frees the place of a connection that was closed. */
static bool is_open(connection *at)
{
    struct stat st;

    if (at->fd >= 0 && (fstat(at->fd, &st) || st.st_ino != at->ino || st.st_dev != at->dev))
        at->fd = -1;
    return at->fd >= 0;
}

ldm_head *ldm_connections_add(ldm_connections *c, int fd)
{
    const peer from = peer_of(fd);
    connection *place = NULL;
    struct stat st;
    int same = 0;

    if (fstat(fd, &st))
        return NULL;
    for (int i = 0; i < c->limit; i++) {
        if (!is_open(&c->at[i]))
            place = &c->at[i];
        else if (!from.own && !memcmp(c->at[i].from.address, from.address, sizeof from.address))
            same++;
    }
    if (!place || same >= c->share)
        return NULL;
    *place = (connection){
        .fd = fd, .dev = st.st_dev, .ino = st.st_ino, .from = from, .since = ldm_seconds()};
    return &place->head;
}

ldm_head *ldm_connections_head(ldm_connections *c, int fd)
{
    for (int i = 0; i < c->limit; i++) {
        if (c->at[i].fd == fd && is_open(&c->at[i]))
            return &c->at[i].head;
    }
    return NULL;
}

void ldm_connections_mark(ldm_connections *c, int fd, bool busy)
{
    for (int i = 0; i < c->limit; i++) {
        if (c->at[i].fd == fd && is_open(&c->at[i])) {
            c->at[i].busy = busy;
            c->at[i].since = ldm_seconds();
        }
    }
}

void ldm_connections_sweep(ldm_connections *c)
{
    const double now = ldm_seconds();

    for (int i = 0; i < c->limit; i++) {
        connection *at = &c->at[i];

        if (is_open(at) && !at->busy && now - at->since > c->seconds)
            shutdown(at->fd, SHUT_RDWR);
    }
}

size_t ldm_connections_count(ldm_connections *c)
{
    size_t n = 0;

    for (int i = 0; i < c->limit; i++)
        n += is_open(&c->at[i]);
    return n;
}
