/* SPDX-License-Identifier: MIT */
/* The table of samplers for people and programs. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/parameters.h"
#include "sample/sampler.h"

typedef struct taken {
    const char *setting;
    bool yes;
} taken;

enum { TAKEN = 9, LINE = 80 };

/* The settings that not all samplers take. */
static void what_it_takes(const ldm_sampler *s, taken out[TAKEN])
{
    out[0] = (taken){"eta", s->takes_eta};
    out[1] = (taken){"temperature", s->takes_temperature};
    out[2] = (taken){"mask", s->takes_mask};
    out[3] = (taken){"quantize_x0", s->takes_quantize_x0};
    out[4] = (taken){"whole_timesteps", s->takes_whole_t};
    out[5] = (taken){"zero_snr", s->takes_zero_snr};
    out[6] = (taken){"solver", s->solvers};
    out[7] = (taken){"final_sigma", s->takes_final_sigma};
    out[8] = (taken){"lower_order_final", s->takes_lower_order};
}

/* "S", "S + 1", "2 S - 1". */
static void print_evaluations(const ldm_sampler *s, ldm_str *out)
{
    if (s->evaluations_per_step > 1)
        ldm_str_printf(out, "%d ", s->evaluations_per_step);
    ldm_str_printf(out, "S");
    if (s->evaluations_more)
        ldm_str_printf(out, " %c %d", s->evaluations_more < 0 ? '-' : '+',
                       s->evaluations_more < 0 ? -s->evaluations_more : s->evaluations_more);
}

static void print_spacings(const ldm_sampler *s, ldm_str *out)
{
    int k;

    ldm_str_printf(out, "%s", ldm_spacing_name(s->default_spacing));
    for (k = 0; k < LDM_SPACING_COUNT; k++) {
        if (s->spacings & LDM_SPACING_BIT(k) && k != (int)s->default_spacing)
            ldm_str_printf(out, ", %s", ldm_spacing_name((ldm_spacing)k));
    }
}

/* In as many lines as they take. */
static void print_aliases(const ldm_sampler *s, ldm_str *out)
{
    size_t used = 0, i;

    for (i = 0; s->aliases[i]; i++) {
        if (used == 0 || used + strlen(s->aliases[i]) > LINE) {
            ldm_str_printf(out, i ? ",\n       %s" : "\n  also %s", s->aliases[i]);
            used = strlen(s->aliases[i]);
        } else {
            ldm_str_printf(out, ", %s", s->aliases[i]);
            used += strlen(s->aliases[i]) + 2;
        }
    }
}

static void print_one(const ldm_sampler *s, ldm_str *out)
{
    taken settings[TAKEN];
    const char *separator = "\n  takes ";
    size_t i;

    what_it_takes(s, settings);
    ldm_str_printf(out, "\n%s: %s\n  evaluations of S steps: ", s->name, s->summary);
    print_evaluations(s, out);
    ldm_str_printf(out, "\n  timesteps ");
    print_spacings(s, out);
    for (i = 0; i < TAKEN; i++) {
        if (!settings[i].yes)
            continue;
        ldm_str_printf(out, "%s%s", separator, settings[i].setting);
        if (i == 0)
            ldm_str_printf(out, " (default %g)", s->own_eta);
        separator = ", ";
    }
    print_aliases(s, out);
    ldm_str_printf(out, "\n");
}

static json_t *json_of(const ldm_sampler *s)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:b, s:s, s:f}", "name", s->name, "webui",
                          ldm_parameters_sampler(s->name), "summary", s->summary,
                          "evaluations_per_step", s->evaluations_per_step, "evaluations_more",
                          s->evaluations_more, "least_steps", s->least_steps ? s->least_steps : 1,
                          "distilled", s->distilled, "default_timesteps",
                          ldm_spacing_name(s->default_spacing), "default_eta", s->own_eta);
    json_t *aliases = json_array(), *takes = json_array(), *timesteps = json_array();
    taken settings[TAKEN];
    bool failed = !o;
    int i;

    what_it_takes(s, settings);
    for (i = 0; s->aliases[i]; i++)
        failed = json_array_append_new(aliases, json_string(s->aliases[i])) || failed;
    for (i = 0; i < TAKEN; i++) {
        if (settings[i].yes)
            failed = json_array_append_new(takes, json_string(settings[i].setting)) || failed;
    }
    for (i = 0; i < LDM_SPACING_COUNT; i++) {
        if (s->spacings & LDM_SPACING_BIT(i))
            failed =
                json_array_append_new(timesteps, json_string(ldm_spacing_name((ldm_spacing)i))) ||
                failed;
    }
    failed = json_object_set_new(o, "aliases", aliases) || failed;
    failed = json_object_set_new(o, "takes", takes) || failed;
    failed = json_object_set_new(o, "timesteps", timesteps) || failed;
    if (!failed)
        return o;
    json_decref(o);
    return NULL;
}

static char *json_report(void)
{
    json_t *all = json_array();
    const ldm_sampler *s;
    char *made, *copy;
    size_t i;

    for (i = 0; (s = ldm_sampler_at(i)) != NULL; i++) {
        if (json_array_append_new(all, json_of(s))) {
            json_decref(all);
            return NULL;
        }
    }
    made = json_dumps(all, JSON_INDENT(2));
    json_decref(all);
    copy = made ? ldm_strdup(made) : NULL;
    free(made);
    return copy;
}

static char *text_report(void)
{
    ldm_str out = {0};
    const ldm_sampler *s;
    size_t i;

    ldm_str_printf(&out, "Samplers (--sampler NAME), the first is the default. A name may be "
                         "written in any case,\nwith '_', '-' or a space between its words.\n");
    for (i = 0; (s = ldm_sampler_at(i)) != NULL; i++)
        print_one(s, &out);
    if (!out.failed)
        return out.data;
    ldm_str_free(&out);
    return NULL;
}

ldm_status ldm_samplers(unsigned how, char **report, ldm_error *err)
{
    LDM_REQUIRE(report, "report", err);
    *report = NULL;
    if (how & ~(unsigned)LDM_REPORT_JSON)
        return ldm_error_set(err, LDM_ERR_USAGE, "how is %u, expected 0 or LDM_REPORT_JSON", how);
    *report = how & LDM_REPORT_JSON ? json_report() : text_report();
    return *report ? LDM_OK : ldm_error_nomem(err, 0, "the list of samplers");
}
