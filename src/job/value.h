/* SPDX-License-Identifier: MIT */
/* Inside the room: one value of any type, between the form it is read from and its field. */
#ifndef LDM_JOB_VALUE_H
#define LDM_JOB_VALUE_H

#include "job/settings.h"

typedef union ldm_setting_value {
    int64_t i;        /* INT */
    uint64_t u;       /* U64, BYTES */
    double r;         /* REAL */
    bool b;           /* BOOL */
    const char *text; /* CHOICE, TEXT, LIST: one more item */
    int shape[3];
} ldm_setting_value;

/* The row of a key, NULL without one; a row's field, and its bit in `given`. */
const ldm_setting_row *ldm_setting_of(const ldm_options *o, const char *key);
static inline void *ldm_setting_field(const ldm_options *o, const ldm_setting_row *row)
{
    return (char *)(uintptr_t)o + row->offset;
}
uint64_t ldm_setting_bit(const ldm_options *o, const ldm_setting_row *row);

/* What the row takes, for "... is not %s"; s is the caller's to free. */
const char *ldm_setting_expected(const ldm_setting_row *row, ldm_str *s);

/* Whether the row can have the value; a choice becomes the table's own text. */
bool ldm_setting_fits(const ldm_setting_row *row, ldm_setting_value *v);

/* Checks, stores, and counts as given. found: the value as text, for the message. */
ldm_status ldm_setting_give(ldm_options *o, const ldm_setting_row *row, ldm_setting_value v,
                            const char *found, ldm_error *err);

/* The field's value; a list has none. */
ldm_setting_value ldm_setting_value_of(const ldm_options *o, const ldm_setting_row *row);

/* setting_text.c: false where the text is no value of the row's type. */
bool ldm_setting_read_text(const ldm_setting_row *row, const char *text, ldm_setting_value *v);
bool ldm_setting_read_u64(const char *s, uint64_t *out);

#endif
