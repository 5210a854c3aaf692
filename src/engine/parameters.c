/* SPDX-License-Identifier: MIT */
/* See parameters.h. The form is that of create_infotext in stable-diffusion-webui's
 * modules/processing.py: the prompt, a line of the negative prompt where there is one, and one line
 * of "Name: value" with commas between. */
#include "engine/parameters.h"

#include <jansson.h>
#include <string.h>

#include "base/alloc.h"

enum { HASH_DIGITS = 10 }; /* of the SHA-256, as webui shows it */

const char *ldm_parameters_sampler(const char *name)
{
    static const char *const names[][2] = {
        {"ddim", "DDIM"},
        {"ddim_diffusers", "DDIM"},
        {"plms", "PLMS"},
        {"unipc", "UniPC"},
        {"euler", "Euler"},
        {"euler_a", "Euler a"},
        {"heun", "Heun"},
        {"dpm2", "DPM2"},
        {"dpm2_a", "DPM2 a"},
        {"lms", "LMS"},
        {"dpmpp_2m", "DPM++ 2M"},
        {"dpmpp_2m_sde", "DPM++ 2M SDE"},
        {"dpmpp_sde", "DPM++ SDE"},
        {"dpmpp_2s_a", "DPM++ 2S a"},
        {"dpmpp_3m_sde", "DPM++ 3M SDE"},
        {"lcm", "LCM"},
        {"deis", "DEIS"},
    };
    size_t i;

    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!strcmp(names[i][0], name))
            return names[i][1];
    }
    return name;
}

static const char *schedule_name(const char *spacing)
{
    return !strcmp(spacing, "karras")        ? "Karras"
           : !strcmp(spacing, "exponential") ? "Exponential"
                                             : NULL;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

/* "photo.v2.ckpt" -> "photo.v2" */
static void put_model(const json_t *checkpoint, ldm_str *out)
{
    const char *hash = text_of(checkpoint, "sha256"), *name = text_of(checkpoint, "name");
    const char *dot = strrchr(name, '.');

    if (*hash)
        ldm_str_printf(out, ", Model hash: %.*s", HASH_DIGITS, hash);
    if (*name)
        ldm_str_printf(out, ", Model: %.*s", dot && dot > name ? (int)(dot - name) : 200, name);
}

static void put_settings(const json_t *r, int width, int height, ldm_str *out)
{
    const char *schedule = schedule_name(text_of(r, "timesteps"));
    const json_t *seed = json_object_get(r, "seed"), *eta = json_object_get(r, "eta");
    const json_t *strength = json_object_get(r, "init") ? json_object_get(r, "strength") : NULL;

    ldm_str_printf(out, "Steps: %lld, Sampler: %s",
                   (long long)json_integer_value(json_object_get(r, "steps")),
                   ldm_parameters_sampler(text_of(r, "sampler")));
    if (schedule)
        ldm_str_printf(out, ", Schedule type: %s", schedule);
    ldm_str_printf(out, ", CFG scale: %g", json_number_value(json_object_get(r, "scale")));
    if (json_is_string(seed)) /* above 2^63 - 1 */
        ldm_str_printf(out, ", Seed: %s", json_string_value(seed));
    else
        ldm_str_printf(out, ", Seed: %lld", (long long)json_integer_value(seed));
    ldm_str_printf(out, ", Size: %dx%d", width, height);
    put_model(json_object_get(r, "checkpoint"), out);
    if (json_is_number(strength))
        ldm_str_printf(out, ", Denoising strength: %g", json_number_value(strength));
    if (json_number_value(eta) > 0)
        ldm_str_printf(out, ", Eta: %g", json_number_value(eta));
    ldm_str_printf(out, ", Version: ldm %s", text_of(r, "ldm"));
}

bool ldm_parameters_write(const char *recipe, int width, int height, ldm_str *out)
{
    json_t *r = json_loads(recipe, 0, NULL);

    if (json_is_integer(json_object_get(r, "steps")) && *text_of(r, "sampler")) {
        if (*text_of(r, "prompt"))
            ldm_str_printf(out, "%s\n", text_of(r, "prompt"));
        if (*text_of(r, "negative"))
            ldm_str_printf(out, "Negative prompt: %s\n", text_of(r, "negative"));
        put_settings(r, width, height, out);
    }
    json_decref(r);
    return !out->failed;
}

ldm_status ldm_png_texts_make(const char *recipe, int width, int height, ldm_png_texts *out,
                              ldm_error *err)
{
    *out = (ldm_png_texts){.items = {{"Software", "ldm"}, {"parameters", ""}, {LDM_RECIPE_KEY, ""}},
                           .count = recipe ? 3 : 1};
    if (!recipe)
        return LDM_OK;
    out->recipe = ldm_strdup(recipe);
    if (!out->recipe || !ldm_parameters_write(recipe, width, height, &out->parameters)) {
        ldm_png_texts_free(out);
        return ldm_error_nomem(err, 0, "the picture's texts");
    }
    out->items[2].value = out->recipe;
    if (out->parameters.data)
        out->items[1].value = out->parameters.data;
    return LDM_OK;
}

void ldm_png_texts_free(ldm_png_texts *t)
{
    ldm_str_free(&t->parameters);
    ldm_free(t->recipe);
    *t = (ldm_png_texts){0};
}
