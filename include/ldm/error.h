/* SPDX-License-Identifier: MIT */
/* Status codes and the error record that every fallible call of ldm fills.
 *
 * A call that can fail returns an ldm_status and takes an `ldm_error *` last, which may be NULL.
 * The deepest frame sets code, position and message; callers may put context in front. */
#ifndef LDM_ERROR_H
#define LDM_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LDM_API __attribute__((visibility("default")))
#define LDM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define LDM_API
#define LDM_PRINTF(fmt, args)
#endif

/* name, one-line meaning */
#define LDM_STATUS_LIST(X)                                                                         \
    X(OK, "success")                                                                               \
    X(ERR_NOMEM, "out of memory")                                                                  \
    X(ERR_IO, "a file could not be read or written")                                               \
    X(ERR_USAGE, "an argument or option is wrong")                                                 \
    X(ERR_FORMAT, "a file is malformed")                                                           \
    X(ERR_UNSAFE, "a file asks for code to be executed")                                           \
    X(ERR_UNSUPPORTED, "valid, but ldm cannot do it")                                              \
    X(ERR_CONFIG, "a configuration value is missing or wrong")                                     \
    X(ERR_MISMATCH, "configuration and checkpoint do not match")                                   \
    X(ERR_RANGE, "a size or number is out of range")                                               \
    X(ERR_LIMIT, "a memory or size limit would be exceeded")                                       \
    X(ERR_NUMERIC, "a computation produced NaN or infinity")                                       \
    X(ERR_CANCELLED, "the caller asked to stop")

typedef enum ldm_status {
#define LDM_STATUS_ENUM(name, text) LDM_##name,
    LDM_STATUS_LIST(LDM_STATUS_ENUM)
#undef LDM_STATUS_ENUM
} ldm_status;

/* This struct is final: it never gets another field. */
typedef struct ldm_error {
    ldm_status code;
    int64_t offset; /* byte offset in the file at fault, -1 where there is none */
    int line;       /* 1-based line and column in a text file, 0 where there is none */
    int column;
    char msg[1024]; /* one line, no newline at its end */
} ldm_error;

/* The status' name ("ERR_IO") and its meaning; both static strings. */
LDM_API const char *ldm_status_name(ldm_status st);
LDM_API const char *ldm_status_text(ldm_status st);

#ifdef __cplusplus
}
#endif
#endif
