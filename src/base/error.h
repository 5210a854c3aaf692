/* SPDX-License-Identifier: MIT */
/* Fills ldm_error: the deepest function sets it, its callers may put context before the message.
 * Every function returns the status it was given, so `return ldm_error_set(...)` is the idiom.
 * `err` may be NULL. */
#ifndef LDM_BASE_ERROR_H
#define LDM_BASE_ERROR_H

#include <ldm/error.h>

ldm_status ldm_error_set(ldm_error *err, ldm_status st, const char *fmt, ...) LDM_PRINTF(3, 4);

/* As ldm_error_set, with a byte offset in a binary file. */
ldm_status ldm_error_at(ldm_error *err, ldm_status st, uint64_t offset, const char *fmt, ...)
    LDM_PRINTF(4, 5);

/* As ldm_error_set, with a 1-based line and column in a text file. */
ldm_status ldm_error_at_line(ldm_error *err, ldm_status st, int line, int column, const char *fmt,
                             ...) LDM_PRINTF(5, 6);

/* Puts "context: " before the present message. Position and code stay. */
ldm_status ldm_error_wrap(ldm_error *err, ldm_status st, const char *fmt, ...) LDM_PRINTF(3, 4);

/* "out of memory (N bytes for what)". */
ldm_status ldm_error_nomem(ldm_error *err, uint64_t bytes, const char *what);

/* For a public call: a pointer that must not be NULL. Returns from the caller with a message that
 * names the argument. */
#define LDM_REQUIRE(pointer, name, err)                                                            \
    do {                                                                                           \
        if (!(pointer))                                                                            \
            return ldm_error_set(err, LDM_ERR_USAGE, "%s is NULL", name);                          \
    } while (0)

/* What clang-tidy's analyzer cannot see from another file: these calls return the status they are
 * given, so code after `if (st) return st;` runs only where nothing failed. */
#if defined(__clang_analyzer__) && !defined(LDM_ERROR_IS_DEFINED_HERE)
#define ldm_error_set(err, st, ...) ((void)ldm_error_set(err, st, __VA_ARGS__), (st))
#define ldm_error_at(err, st, ...) ((void)ldm_error_at(err, st, __VA_ARGS__), (st))
#define ldm_error_at_line(err, st, ...) ((void)ldm_error_at_line(err, st, __VA_ARGS__), (st))
#define ldm_error_wrap(err, st, ...) ((void)ldm_error_wrap(err, st, __VA_ARGS__), (st))
#define ldm_error_nomem(err, ...) ((void)ldm_error_nomem(err, __VA_ARGS__), LDM_ERR_NOMEM)
#endif

#endif
