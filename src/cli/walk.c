/* SPDX-License-Identifier: MIT */
/* The recipes of `ldm interpolate`; see walk.h. */
#include "cli/walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/str.h"

/* "--steps 20", "--no-ema": a setting that the line gave. Lists have a line for each. */
static void add_setting(ldm_str *line, const char *key, ldm_setting_type type, char *value)
{
    const bool off = type == LDM_TYPE_BOOL && !strcmp(value, "false");
    char *name = ldm_cli_format("--%s%s", off ? "no-" : "", key), *rest = NULL;

    if (name)
        ldm_cli_spell(name);
    if (!name) {
        line->failed = true;
    } else if (type == LDM_TYPE_BOOL) {
        ldm_cli_add_word(line, name);
    } else if (type == LDM_TYPE_LIST) {
        for (char *w = strtok_r(value, "\n", &rest); w; w = strtok_r(NULL, "\n", &rest)) {
            ldm_cli_add_word(line, name);
            ldm_cli_add_word(line, w);
        }
    } else {
        ldm_cli_add_word(line, name);
        ldm_cli_add_word(line, value);
    }
    free(name);
}

/* A checkpoint's folder tells of its owner: its name is enough, as in a recipe. */
static void add_model(ldm_str *line, const ldm_model_options *model)
{
    static const char *const keys[] = {"model", "ckpt", "first_stage", "config", "set"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const ldm_setting_row *row = ldm_setting_find(LDM_SETTINGS_MODEL, keys[i]);
        char *value = NULL, *slash;

        if (!ldm_model_options_is_set(model, keys[i]) ||
            ldm_model_options_get(model, keys[i], &value, NULL))
            continue;
        slash = !strcmp(keys[i], "ckpt") ? strrchr(value, '/') : NULL;
        if (slash)
            memmove(value, slash + 1, strlen(slash));
        add_setting(line, keys[i], ldm_setting_get_type(row), value);
        ldm_release(value);
    }
}

static void add_job(ldm_str *line, const ldm_job *job)
{
    for (size_t i = 0; i < ldm_setting_count(LDM_SETTINGS_JOB); i++) {
        const ldm_setting_row *row = ldm_setting_at(LDM_SETTINGS_JOB, i);
        const char *key = ldm_setting_key(row);
        char *value = NULL;

        if (!(ldm_setting_flags(row) & LDM_SETTING_PIXELS) || !ldm_job_is_set(job, key) ||
            ldm_job_get(job, key, &value, NULL))
            continue;
        add_setting(line, key, ldm_setting_get_type(row), value);
        ldm_release(value);
    }
}

bool ldm_walk_begin(ldm_walk *w, const ldm_targets *to, const ldm_opt_list *prompts_to)
{
    char *frames = ldm_cli_format("%d", w->frames);
    ldm_str line = {0};

    ldm_str_puts(&line, "ldm interpolate");
    ldm_cli_add_word(&line, w->a);
    if (w->b)
        ldm_cli_add_word(&line, w->b);
    ldm_cli_add_word(&line, "--frames");
    ldm_cli_add_word(&line, frames ? frames : "");
    add_model(&line, to->model);
    add_job(&line, to->job);
    for (size_t i = 0; i < prompts_to->count; i++) {
        ldm_cli_add_word(&line, "--prompt-to");
        ldm_cli_add_word(&line, prompts_to->items[i]);
    }
    ldm_str_puts(&line, " -o walk");
    line.failed |= !frames;
    free(frames);
    w->command = ldm_cli_finish_line(&line);
    return w->command != NULL;
}

void ldm_walk_free(ldm_walk *w)
{
    free(w->command);
}

char *ldm_walk_recipe(const ldm_walk *w, const char *recipe, int frame)
{
    json_t *root = json_loads(recipe, 0, NULL), *walk = json_object();
    char *text = NULL;

    json_object_set_new(walk, "a", ldm_json_text(w->a));
    json_object_set_new(walk, "b", ldm_json_text(w->b ? w->b : w->a));
    if (frame >= 0)
        json_object_set_new(walk, "frame", json_integer(frame));
    json_object_set_new(walk, "frames", json_integer(w->frames));
    json_object_set_new(walk, "command", ldm_json_text(w->command));
    if (!json_object_set_new(root, "walk", walk))
        text = ldm_cli_json_dump(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    json_decref(root);
    return text;
}

bool ldm_walk_refused(const ldm_command *cmd, const char *path, const json_t *recipe)
{
    const json_t *walk = json_object_get(recipe, "walk"), *frame = json_object_get(walk, "frame");
    const char *command = json_string_value(json_object_get(walk, "command"));

    if (!json_is_object(walk))
        return false;
    command = command ? command : "ldm interpolate";
    if (frame)
        ldm_cli_say(cmd,
                    "--like: %s is frame %lld of the %lld of a walk, which makes them together: %s",
                    path, (long long)json_integer_value(frame),
                    (long long)json_integer_value(json_object_get(walk, "frames")), command);
    else
        ldm_cli_say(cmd, "--like: %s is of a walk, which is made again by: %s", path, command);
    return true;
}
