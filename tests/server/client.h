/* SPDX-License-Identifier: MIT */
/* A server under test, and a client that can also be rude. */
#ifndef LDM_TESTS_SERVER_CLIENT_H
#define LDM_TESTS_SERVER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>

typedef struct server {
    pid_t pid;
    int port;
    char out[64]; /* its folder of pictures */
} server;

/* Starts ldm-server with `more` options (NULL-terminated; NULL: none) and the tiny model, unless
 * the first of them is --ckpt or --models, in the folder `out` or, NULL, in a fresh one; waits
 * until it is well. Fails the test where it does not start. */
server server_start(const char *out, const char *const *more);
/* Sends the signal, waits, returns the exit code, or -signal. */
int server_stop(server *s, int sig);
/* Removes its folder. */
void server_clean(const server *s);

/* A connection; -1: refused. */
int client_connect(const server *s);
void client_send(int fd, const char *data, size_t size);
/* All that comes until the other side closes, or `seconds` have passed (*cut, which may be NULL).
 * NUL-terminated; free() it. */
char *client_read(int fd, double seconds, size_t *size, bool *cut);

typedef struct reply {
    int status; /* 0: no answer */
    char *all;  /* with the headers */
    char *body;
    size_t body_size;
    json_t *json; /* NULL: the body is none */
} reply;

/* One request; headers: lines that end with \r\n, or "". body NULL: none; else JSON, unless headers
 * say otherwise. */
reply ask(const server *s, const char *method, const char *path, const char *headers,
          const char *body);
reply ask_bytes(const server *s, const char *method, const char *path, const char *headers,
                const void *body, size_t size);
void reply_free(reply *r);

/* The text or number at the key of a reply's JSON; fails the test where it is another type. */
const char *reply_text(const reply *r, const char *key);

/* Submits a job of the native interface; id: 33 bytes. */
void submit(const server *s, const char *json, char *id);
/* Waits until the job is over; the state. */
const char *wait_over(const server *s, const char *id, double seconds);
/* The state of a job now. */
const char *state_of(const server *s, const char *id);

/* ---- pictures (server_pictures.c)
 * ------------------------------------------------------------------- */

/* The bytes of a file; free() them. */
char *file_bytes(const char *path, size_t *size);
/* Where `what` begins in the data, or NULL. */
const char *find_bytes(const char *data, size_t size, const char *what);
/* Base64; out has room for 4 characters for each 3 bytes, and a NUL. */
void base64_of(const void *data, size_t size, char *out);
size_t from_base64(const char *text, unsigned char *out, size_t cap);
/* A picture of a job; fails the test where there is none. */
reply picture(const server *s, const char *id, int index);
/* The command line's picture with these options, of the tiny model unless they begin with --ckpt;
 * free() it. */
char *cli_picture(const char *options, size_t *size);
/* Of two PNGs that were made alike: the same from the first IDAT on. */
void assert_same_picture(const char *a, size_t a_size, const char *b, size_t b_size);

void sleep_ms(int ms);
double now(void);

#endif
