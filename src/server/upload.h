/* SPDX-License-Identifier: MIT */
/* Pictures that a request sends to begin with: checked, and made into what the library takes. */
#ifndef LDM_SERVER_UPLOAD_H
#define LDM_SERVER_UPLOAD_H

#include "server/server.h"

typedef enum ldm_upload_kind {
    LDM_UPLOAD_PICTURE,     /* kept as it is */
    LDM_UPLOAD_MASK,        /* kept: light is painted */
    LDM_UPLOAD_MASK_ALPHA,  /* transparent is painted */
    LDM_UPLOAD_MASK_OPAQUE, /* where nothing is transparent light is painted, else what is opaque */
    LDM_UPLOAD_MASK_INVERT, /* what the one before leaves alone is painted */
} ldm_upload_kind;

/* data: a PNG or JPEG. field: what a refusal names. False: *r says why. */
bool ldm_upload_take(ldm_server *s, ldm_upload_kind kind, const char *field, const void *data,
                     size_t size, ldm_blob *out, ldm_refusal *r);

/* The same of base64, or of a data: URL. */
bool ldm_upload_take_text(ldm_server *s, ldm_upload_kind kind, const char *field,
                          const json_t *text, ldm_blob *out, ldm_refusal *r);

/* The bytes of base64 or of a data: URL; NULL: it is neither, or no memory. ldm_free them. */
unsigned char *ldm_upload_bytes(const char *text, size_t *size);

#endif
