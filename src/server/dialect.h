/* SPDX-License-Identifier: MIT */
/* What the two borrowed dialects share: reading their fields into settings, and giving out
 * pictures. */
#ifndef LDM_SERVER_DIALECT_H
#define LDM_SERVER_DIALECT_H

#include "server/server.h"

/* Fields of a request on their way into an order. The first that cannot be done fills in `refusal`.
 */
typedef struct ldm_dialect {
    ldm_server *server;
    const json_t *body;
    json_t *settings;
    char model[96];
    ldm_blob init, mask;       /* to begin with */
    const char *picture_field; /* what the dialect calls the former */
    bool preview;              /* somebody will look on */
    bool failed;
    ldm_refusal refusal;
} ldm_dialect;

bool ldm_dialect_refuse(ldm_dialect *d, const char *field, const char *fmt, ...) LDM_PRINTF(3, 4);

/* The body's number, text or switch as the setting; fields that are not there or null are passed
 * over. A field of another type is refused. */
void ldm_dialect_number(ldm_dialect *d, const char *field, const char *key);
/* The value of a number or of digits; `missing` where there is none. Refused outside min..max. */
double ldm_dialect_get(ldm_dialect *d, const char *field, double missing, double min, double max);
const char *ldm_dialect_text(ldm_dialect *d, const char *field); /* or NULL */
/* The model that is asked for. */
const char *ldm_dialect_model(const ldm_dialect *d);
/* A prompt, or the negative one. For a model that makes pictures of classes the prompt names them.
 * An empty one counts for models that take prompts alone: other dialects' clients always send it.
 */
void ldm_dialect_prompt(ldm_dialect *d, const char *field, const char *key);
/* Refuses a field that is set to something: not false, 0, "", [], {} or null. `what` it asks for.
 */
void ldm_dialect_only_off(ldm_dialect *d, const char *field, const char *what);
/* Whether the model that is asked for reads a picture beside the latent: to paint in, to enlarge, a
 * map of labels. */
bool ldm_dialect_reads_picture(const ldm_dialect *d);
/* False: guidance changes nothing with the model that is asked for (d->model), so `scale` is left
 * as it is. Of a model that is not open nothing is known: true. */
bool ldm_dialect_guides(const ldm_dialect *d);

/* Makes and submits the order, with `about` kept for the answer (taken). False: d->refusal says
 * why. Releases the settings. */
bool ldm_dialect_submit(ldm_dialect *d, json_t *about, char id[LDM_ID_LENGTH + 1]);

/* The recipe of a job's picture; NULL: it cannot be read. To be released. */
json_t *ldm_dialect_recipe(ldm_server *s, const char *id, int index);
/* A picture in base64; NULL: it cannot be read, or no memory. */
json_t *ldm_dialect_picture(ldm_server *s, const char *id, int index);
/* The parameters that a PNG holds, as AUTOMATIC1111 writes them ("Steps: 20, Sampler: ..."); "" for
 * a file that has none. NULL when out of memory. */
json_t *ldm_dialect_parameters(const char *png, size_t size);
/* The newest preview in base64; null: there is none. */
json_t *ldm_dialect_preview(ldm_server *s, const char *id);

/* Refuses with what a job's state says; false: the job is done. */
bool ldm_dialect_job_failed(const json_t *job, ldm_refusal *r);

#endif
