/* SPDX-License-Identifier: MIT */
/* The options of AUTOMATIC1111's web UI, which requests bring in `override_settings` or set by
 * /sdapi/v1/options: which of them mean something here. */
#ifndef LDM_SERVER_SDAPI_OPTIONS_H
#define LDM_SERVER_SDAPI_OPTIONS_H

#include "server/order.h"

/* Holds the members of `options` against what the server does. Fine are `sd_model_checkpoint` with
 * a model that can be used (its name, else NULL, to *model), an option at the value that asks for
 * nothing, and one that changes no picture. False: *r names the first that is none of these. */
bool ldm_sdapi_options_fit(const json_t *options, ldm_shelf *shelf, const char **model,
                           ldm_refusal *r);

#endif
