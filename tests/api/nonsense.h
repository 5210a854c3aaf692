/* SPDX-License-Identifier: MIT */
/* For the tests that give every public call NULL and nonsense. tests/api/nonsense.sh holds that
 * none of the calls is missing there. */
#ifndef LDM_TESTS_API_NONSENSE_H
#define LDM_TESTS_API_NONSENSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

static ldm_error err;

/* The call is refused as a wrong argument, with a message that names `name`; without an ldm_error
 * as well (`call` uses the variable e). */
#define REFUSED(call, name)                                                                        \
    do {                                                                                           \
        ldm_error *e = &err;                                                                       \
        err.msg[0] = '\0';                                                                         \
        assert_int_equal((call), LDM_ERR_USAGE);                                                   \
        if (!strstr(err.msg, name))                                                                \
            fail_msg("%s: the message does not name %s: %s", #call, name, err.msg);                \
        e = NULL;                                                                                  \
        assert_int_equal((call), LDM_ERR_USAGE);                                                   \
    } while (0)

#endif
