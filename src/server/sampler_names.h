/* SPDX-License-Identifier: MIT */
/* Samplers and schedules by the names that clients of AUTOMATIC1111's web UI have for them. */
#ifndef LDM_SERVER_SAMPLER_NAMES_H
#define LDM_SERVER_SAMPLER_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/* [{"name", "aliases", "options"}]: each row of the library's table once, by the web UI's name
 * where it has one ("Euler a"), else by the row's. NULL when out of memory. */
json_t *ldm_sampler_names(void);
/* [{"name", "label", "aliases", ...}]: "automatic" (the sampler's own), and the library's. */
json_t *ldm_schedule_names(void);

/* Whether the library has a sampler of that name, with or without a schedule in it ("DPM++ 2M
 * Karras"). */
bool ldm_sampler_is_known(const char *name);
/* Whether the sampler, by any of its names, takes a setting. */
bool ldm_sampler_takes_setting(const char *name, const char *setting);
/* The library's name of a schedule; NULL: there is none. It is static. */
const char *ldm_schedule_named(const char *name);
/* Whether the sampler runs with a schedule of the library's. False: `text` lists those that it runs
 * with, with commas between. */
bool ldm_sampler_runs_with(const char *name, const char *schedule, char *text, size_t size);

/* The names of the list that are spelt most alike, the nearest first: "'Euler a', 'Euler', 'LMS'".
 */
void ldm_sampler_nearest(const char *name, char *text, size_t size);
void ldm_schedule_nearest(const char *name, char *text, size_t size);

/* The web UI's name of a row's. */
json_t *ldm_sampler_webui(const json_t *row_name);

#endif
