/* SPDX-License-Identifier: MIT */
/* Seeds that nobody chose; see drawn.h. */
#include "cli/drawn.h"

/* Adds "--seed 3201", and releases the text. */
static void add(ldm_str *line, const char *key, char *text)
{
    ldm_str_printf(line, "%s--%s %s", line->len ? ", " : "", key, text);
    ldm_release(text);
}

void ldm_drawn_say(const ldm_command *cmd, const ldm_targets *targets)
{
    ldm_str line = {0};
    char *text;

    for (size_t i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const char *key = ldm_setting_key(ldm_setting_at(LDM_SETTINGS_JOB, i));

        if (ldm_job_is_drawn(targets->job, key) && !ldm_job_get(targets->job, key, &text, NULL))
            add(&line, key, text);
    }
    for (size_t i = 0; i < ldm_setting_count(LDM_SETTINGS_EVAL); i++) {
        const char *key = ldm_setting_key(ldm_setting_at(LDM_SETTINGS_EVAL, i));

        if (ldm_eval_job_is_drawn(targets->eval, key) &&
            !ldm_eval_job_get(targets->eval, key, &text, NULL))
            add(&line, key, text);
    }
    if (line.len)
        ldm_cli_say(cmd, "note: drawn at random: %s", line.data);
    ldm_str_free(&line);
}

const char *ldm_drawn_first(const ldm_job *job)
{
    for (size_t i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const char *key = ldm_setting_key(ldm_setting_at(LDM_SETTINGS_JOB, i));

        if (ldm_job_is_drawn(job, key))
            return key;
    }
    return NULL;
}
