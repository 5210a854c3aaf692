/* SPDX-License-Identifier: MIT */
/* Names of samplers and schedules; see sampler_names.h. */
#include "server/sampler_names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ldm/ldm.h>

#include "base/str.h"

enum { NEAREST = 3, LONGEST = 64 };

/* The library's list. To be released. */
static json_t *all_samplers(void)
{
    char *report;
    json_t *all;

    if (ldm_samplers(LDM_REPORT_JSON, &report, NULL))
        return NULL;
    all = json_loads(report, 0, NULL);
    ldm_release(report);
    return all;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

static bool has_text(const json_t *list, const char *text)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (json_is_string(v) && !strcasecmp(json_string_value(v), text))
            return true;
    }
    return false;
}

/* ---- samplers -------------------------------------------------------------------------------- */

/* The row that the library takes for this name; NULL: none. Of `all`. */
static const json_t *row_of(const json_t *all, const char *name)
{
    const json_t *found = NULL, *v;
    ldm_job *job;
    size_t i;

    if (ldm_job_create(NULL, &job, NULL))
        return NULL;
    if (!ldm_job_set(job, "sampler", name, NULL)) {
        json_array_foreach(all, i, v)
        {
            if (!strcmp(text_of(v, "name"), ldm_job_get_text(job, "sampler")))
                found = v;
        }
    }
    ldm_job_free(job);
    return found;
}

/* The other names, of which the row's own may be one. */
static json_t *aliases_of(const json_t *row, const char *shown)
{
    const json_t *all = json_object_get(row, "aliases");
    json_t *out = json_array(), *v;
    size_t i;

    if (strcmp(text_of(row, "name"), shown) != 0)
        json_array_append(out, json_object_get(row, "name"));
    json_array_foreach(all, i, v)
    {
        if (strcmp(json_string_value(v), shown) != 0)
            json_array_append(out, v);
    }
    return out;
}

json_t *ldm_sampler_names(void)
{
    json_t *all = all_samplers(), *out = json_array(), *shown = json_array(), *v;
    size_t i;

    json_array_foreach(all, i, v)
    {
        /* of two rows that the web UI knows as one the second keeps its own name */
        const char *name = text_of(v, has_text(shown, text_of(v, "webui")) ? "name" : "webui");

        json_array_append_new(shown, json_string(name));
        json_array_append_new(out, json_pack("{s:s, s:o, s:{}}", "name", name, "aliases",
                                             aliases_of(v, name), "options"));
    }
    json_decref(shown);
    json_decref(all);
    return out;
}

bool ldm_sampler_is_known(const char *name)
{
    json_t *all = all_samplers();
    const bool known = row_of(all, name) != NULL;

    json_decref(all);
    return known;
}

bool ldm_sampler_takes_setting(const char *name, const char *setting)
{
    json_t *all = all_samplers();
    const bool takes = has_text(json_object_get(row_of(all, name), "takes"), setting);

    json_decref(all);
    return takes;
}

json_t *ldm_sampler_webui(const json_t *row_name)
{
    json_t *all = all_samplers(), *name = NULL;

    if (json_is_string(row_name))
        name = json_incref(json_object_get(row_of(all, json_string_value(row_name)), "webui"));
    json_decref(all);
    return name ? name : json_string("");
}

/* ---- schedules ------------------------------------------------------------------------------- */

/* The web UI's schedules that are the library's "discrete": S timesteps from the last to the first.
 */
static const char *const discrete[] = {"uniform", "normal"};

const char *ldm_schedule_named(const char *name)
{
    const ldm_setting_row *row = ldm_setting_find(LDM_SETTINGS_JOB, "timesteps");
    const char *choice;

    for (size_t i = 0; i < sizeof discrete / sizeof *discrete; i++) {
        if (!strcasecmp(discrete[i], name))
            name = "discrete";
    }
    for (size_t i = 0; (choice = ldm_setting_choice(row, i)); i++) {
        if (!strcasecmp(choice, name))
            return choice;
    }
    return NULL;
}

static void append_quoted(char *text, size_t size, const char *name)
{
    const size_t used = strlen(text);

    snprintf(text + used, size - used, "%s'%s'", used ? ", " : "", name);
}

bool ldm_sampler_runs_with(const char *name, const char *schedule, char *text, size_t size)
{
    json_t *all = all_samplers();
    const json_t *schedules = json_object_get(row_of(all, name), "timesteps"), *v;
    const bool runs = has_text(schedules, schedule);
    size_t i;

    *text = '\0';
    json_array_foreach(schedules, i, v) append_quoted(text, size, json_string_value(v));
    json_decref(all);
    return runs;
}

/* "karras" is "Karras" to people. */
static json_t *schedule(const char *name, json_t *aliases)
{
    char label[32];

    snprintf(label, sizeof label, "%s", name);
    label[0] = (char)toupper((unsigned char)label[0]);
    return json_pack("{s:s, s:s, s:o, s:i, s:b}", "name", name, "label", label, "aliases", aliases,
                     "default_rho", -1, "need_inner_model", false);
}

json_t *ldm_schedule_names(void)
{
    const ldm_setting_row *row = ldm_setting_find(LDM_SETTINGS_JOB, "timesteps");
    json_t *all = json_array();
    const char *name;

    json_array_append_new(all, schedule("automatic", json_array()));
    for (size_t i = 0; (name = ldm_setting_choice(row, i)); i++)
        json_array_append_new(all, !strcmp(name, "discrete")
                                       ? schedule(discrete[0], json_pack("[ss]", name, discrete[1]))
                                       : schedule(name, json_array()));
    return all;
}

/* ---- what was meant -------------------------------------------------------------------------- */

static void fold(const char *text, char out[LONGEST])
{
    size_t n = 0;

    for (; *text && n < LONGEST - 1; text++)
        out[n++] = (char)tolower((unsigned char)*text);
    out[n] = '\0';
}

/* Of a list of objects with names; taken. */
static void put_nearest(json_t *list, const char *name, char *text, size_t size)
{
    char wanted[LONGEST], known[LONGEST];
    size_t i;
    json_t *v;

    *text = '\0';
    fold(name, wanted);
    for (int k = 0; k < NEAREST && json_array_size(list); k++) {
        size_t best = LONGEST, at = 0;

        json_array_foreach(list, i, v)
        {
            size_t d;

            fold(text_of(v, "name"), known);
            d = ldm_edit_distance(wanted, known, best);
            if (d < best) {
                best = d;
                at = i;
            }
        }
        append_quoted(text, size, text_of(json_array_get(list, at), "name"));
        json_array_remove(list, at);
    }
    json_decref(list);
}

void ldm_sampler_nearest(const char *name, char *text, size_t size)
{
    put_nearest(ldm_sampler_names(), name, text, size);
}

void ldm_schedule_nearest(const char *name, char *text, size_t size)
{
    put_nearest(ldm_schedule_names(), name, text, size);
}
