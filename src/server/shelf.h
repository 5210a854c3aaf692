/* SPDX-License-Identifier: MIT */
/* The models that the server offers by name, one of which is open. The worker opens and closes; the
 * other thread asks for facts. */
#ifndef LDM_SERVER_SHELF_H
#define LDM_SERVER_SHELF_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>
#include <ldm/ldm.h>

typedef struct ldm_shelf ldm_shelf;

/* Which sizes a model's pictures may have. */
typedef struct ldm_sizes {
    int factor; /* picture pixels per latent pixel; 0: the model is not open, nothing is known */
    int step, most; /* of a side, in pixels: a multiple of the one, at most the other */
    int shape[3];   /* of the model's own latents */
} ldm_sizes;

ldm_sizes ldm_sizes_of(const ldm_model_info *m);

/* common: the command line's options of a model, which the shelf copies. The first model is theirs:
 * the checkpoint that they name, else the shipped one; with dir and no checkpoint it is the first
 * of dir. dir: a folder of checkpoints
 * (*.ckpt, *.pt, *.pth, *.safetensors), each with a YAML beside it: of the same stem, or the
 * folder's config.yaml; NULL: none. A name is a file's stem; where two files share it, the later
 * one's has the ending. No file is listed twice. */
ldm_status ldm_shelf_create(const ldm_model_options *common, const char *dir, ldm_shelf **out,
                            ldm_error *err);
void ldm_shelf_free(ldm_shelf *s); /* NULL is fine */

const char *ldm_shelf_first(const ldm_shelf *s);
bool ldm_shelf_has(const ldm_shelf *s, const char *name);

/* [{"name", "file" (its name alone; null: shipped), "current", "fits": true, false or null,
 * "verdict"}]; NULL when out of memory. */
json_t *ldm_shelf_list(ldm_shelf *s);
/* Why the model cannot be used, as far as that is known; "" if it can. False: it is not known yet.
 */
bool ldm_shelf_verdict(ldm_shelf *s, const char *name, char *why, size_t size);
/* Whether the model's pictures are made of `what`: a name of the audit's conditions ("prompt",
 * "class", "image", "mask", "segmentation"). False as well where it is not known yet. */
bool ldm_shelf_takes(ldm_shelf *s, const char *name, const char *what);
/* The audit (`ldm check --json`), without paths of this machine. ldm_release it. */
ldm_status ldm_shelf_check(ldm_shelf *s, const char *name, char **report, ldm_error *err);

/* Facts of the open model, null: none is open yet. */
json_t *ldm_shelf_model(ldm_shelf *s);
/* A job with the defaults of the model of that name if it is the open one, else with the library's.
 */
ldm_status ldm_shelf_job(ldm_shelf *s, const char *name, ldm_job **out, ldm_error *err);
/* Of the open model, if it is that one; else factor 0. */
ldm_sizes ldm_shelf_sizes(ldm_shelf *s, const char *name);

/* The worker's: opens it, if it is not open already, and closes the one that was. *model: the
 * shelf's. */
ldm_status ldm_shelf_open(ldm_shelf *s, const char *name, const ldm_model **model, ldm_error *err);
/* Before the worker starts: makes the first model that fits the first one, where the command line
 * leaves that open, and says of each before it why it is not. say: takes a line. False: none fits,
 * and the first one stays, which opening then refuses. */
bool ldm_shelf_choose(ldm_shelf *s, void (*say)(const char *fmt, ...) LDM_PRINTF(1, 2));
/* The worker's: the first one could not be opened, which *err tells; the next that fits takes its
 * place. False: there is none. */
bool ldm_shelf_pass_over(ldm_shelf *s, const ldm_error *err,
                         void (*say)(const char *fmt, ...) LDM_PRINTF(1, 2));
/* The worker's: finds out whether the first model fits and what it takes, and the same of those
 * that are not judged yet, of which it says which do not. */
void ldm_shelf_judge_first(ldm_shelf *s);
void ldm_shelf_judge_others(ldm_shelf *s, void (*say)(const char *fmt, ...) LDM_PRINTF(1, 2));

#endif
