/* SPDX-License-Identifier: MIT */
/* The parts of a multipart/form-data body (RFC 7578). */
#ifndef LDM_SERVER_MULTIPART_H
#define LDM_SERVER_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

enum { LDM_MULTIPART_PARTS = 64, LDM_MULTIPART_NAME = 64 };

/* One part; data points into the body. A file's name is not kept: it never becomes one here. */
typedef struct ldm_form_part {
    char name[LDM_MULTIPART_NAME];
    bool file; /* it came with a file name */
    const char *data;
    size_t size;
} ldm_form_part;

typedef struct ldm_form {
    ldm_form_part parts[LDM_MULTIPART_PARTS];
    size_t count;
} ldm_form;

/* type: the Content-Type with its boundary. Returns NULL, or what is wrong with the body (static).
 */
const char *ldm_form_parse(const char *type, const char *body, size_t size, ldm_form *out);

/* The first part of that name, or NULL. */
const ldm_form_part *ldm_form_find(const ldm_form *form, const char *name);

#endif
