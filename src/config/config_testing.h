/* SPDX-License-Identifier: MIT */
/* For the room's tests: configurations from text; a failure ends the test. */
#ifndef LDM_CONFIG_CONFIG_TESTING_H
#define LDM_CONFIG_CONFIG_TESTING_H

#include "config/config.h"

ldm_config *new_config(void);                                      /* an empty one */
ldm_status lay(ldm_config *cfg, const char *text, ldm_error *err); /* as the file t.yaml */
ldm_config *from(const char *text);
const ldm_value *at(const ldm_config *cfg, const char *path); /* must be there */
void assert_emits(const ldm_config *cfg, const char *expected);
void set_ok(ldm_config *cfg, const char *assignment);

#endif
