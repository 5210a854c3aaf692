/* SPDX-License-Identifier: MIT */
/* What a request asks for, checked against the library's table of settings, as an order for the
 * queue. */
#ifndef LDM_SERVER_ORDER_H
#define LDM_SERVER_ORDER_H

#include <ldm/ldm.h>

#include "server/job_queue.h"
#include "server/shelf.h"

/* Why a request is refused, in the terms of all dialects. */
typedef struct ldm_refusal {
    int status;     /* of HTTP: 422, 503, 500 */
    char code[32];  /* "ERR_USAGE", ... */
    char field[64]; /* the field at fault; "": none */
    char message[1024];
} ldm_refusal;

typedef struct ldm_order_limits {
    int count;     /* pictures of a job */
    double pixels; /* of one picture */
    double work;   /* evaluations of the network times pixels, of a job */
} ldm_order_limits;

/* Fills in a refusal and returns false, for `return`. */
bool ldm_refuse(ldm_refusal *r, int status, const char *code, const char *field, const char *fmt,
                ...) LDM_PRINTF(5, 6);

/* Whether a request may give the setting: it changes pictures, or is their number, and names no
 * file of this machine. */
bool ldm_order_takes(const ldm_setting_row *row);

/* Whether the settings of an order may have the key. */
bool ldm_order_names(const char *key);

/* Makes an order. "width" and "height" among the settings, in pixels, stand for a shape. model NULL
 * or "": the first one. settings: values by key, null ones do not count; "seed" may be -1 or
 * "random"; with `random`, so it is where it is not given. recipe: of a picture, for what settings
 * lack; NULL: none. Both are borrowed. False: *r says why, and out holds nothing. */
bool ldm_order_make(ldm_shelf *shelf, const ldm_order_limits *limits, const char *model,
                    const json_t *settings, const json_t *recipe, bool random, ldm_order *out,
                    ldm_refusal *r);

/* Sets the order's values in a job; on failure *field is the setting at fault. sizes: of the model,
 * for "width" and "height"; factor 0: not known yet, these are left out. */
ldm_status ldm_order_apply(const ldm_order *o, ldm_job *job, const ldm_sizes *sizes, char field[64],
                           ldm_error *err);
/* Whether "width" or "height" is the field's name. */
bool ldm_order_is_side(const char *field);

/* Whether the order has the pictures that its model reads beside the latent (to paint in, to
 * enlarge, a map of labels), and no others. picture, mask: what the request calls them. False: *r
 * says which is at fault. Of a model that is not judged yet nothing is known: true. */
bool ldm_order_pictures(ldm_shelf *shelf, const ldm_order *o, const char *picture, const char *mask,
                        ldm_refusal *r);

/* Releases what the order holds. */
void ldm_order_clear(ldm_order *o);

#endif
