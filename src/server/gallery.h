/* SPDX-License-Identifier: MIT */
/* What the server keeps on disk: a folder for each job, DIR/ID/, with job.json and the pictures
 * 00000.png, ... ID is made here, of 128 random bits; no text of a request ever becomes part of a
 * path. */
#ifndef LDM_SERVER_GALLERY_H
#define LDM_SERVER_GALLERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <ldm/error.h>

enum { LDM_ID_LENGTH = 32 };

typedef struct ldm_gallery ldm_gallery;

/* Makes the folder, and takes it for this process alone. */
ldm_status ldm_gallery_open(const char *dir, ldm_gallery **out, ldm_error *err);
void ldm_gallery_close(ldm_gallery *g); /* NULL is fine */

/* A fresh name, and its folder; id: room for LDM_ID_LENGTH + 1. */
ldm_status ldm_gallery_new(const ldm_gallery *g, char *id, ldm_error *err);

/* Whether text has the form of a name: 32 digits 0-9a-f. */
bool ldm_gallery_is_id(const char *text);

/* Replaces DIR/ID/job.json: all of it or nothing. */
ldm_status ldm_gallery_save(const ldm_gallery *g, const char *id, const json_t *job,
                            ldm_error *err);

/* Every job.json of the folder, in no order; what is none is passed over. fn takes no reference.
 * What a server that was killed left half written is removed, and folders that hold no job yet. */
ldm_status ldm_gallery_each(const ldm_gallery *g,
                            void (*fn)(void *ctx, const char *id, const json_t *job), void *ctx,
                            ldm_error *err);

/* The pictures that a job begins with, "init" and "mask", are files of the job's folder. name: one
 * of these two. */
ldm_status ldm_gallery_put(const ldm_gallery *g, const char *id, const char *name, const void *data,
                           size_t size, ldm_error *err);
/* The path of one; ldm_free it. NULL: there is none, or no memory. */
char *ldm_gallery_start(const ldm_gallery *g, const char *id, const char *name);

/* Removes a job's pictures and its folder. */
void ldm_gallery_remove(const ldm_gallery *g, const char *id, int count);

/* The paths of a picture, and of the file that previews go through. ldm_free them; NULL when out of
 * memory. id: of ldm_gallery_new, or one that ldm_gallery_is_id takes. */
char *ldm_gallery_picture(const ldm_gallery *g, const char *id, int index);
char *ldm_gallery_scratch(const ldm_gallery *g, const char *name);

/* A seed in JSON: a number, or above 2^63 - 1 a text. */
uint64_t ldm_gallery_seed_of(const json_t *v);
/* The seed in the recipe of a picture on disk; false: there is no such picture. */
bool ldm_gallery_seed(const ldm_gallery *g, const char *id, int index, uint64_t *seed);

#endif
