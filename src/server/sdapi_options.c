/* SPDX-License-Identifier: MIT */
/* The web UI's options; see sdapi_options.h. Their names and defaults are those of its
 * modules/shared_options.py, up to version 1.10. */
#include "server/sdapi_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

/* An option that changes pictures where the web UI makes them, and the values at which it asks for
 * nothing that this server does not do anyway: numbers, "true" and "false", or texts, with `|`
 * between them. `null`, and for a text "", are always among them. */
typedef struct picture_option {
    const char *name, *neutral, *what;
} picture_option;

static const picture_option of_pictures[] = {
    {"CLIP_stop_at_last_layers", "1|0", "skipping layers of the text encoder"},
    {"sd_vae", "Automatic|None", "another first stage (VAE)"},
    {"sd_vae_encode_method", "Full", "encoding by another network"},
    {"sd_vae_decode_method", "Full", "decoding by another network"},
    {"sd_unet", "Automatic|None", "another UNet"},
    {"sd_hypernetwork", "None", "a hypernetwork"},
    {"sd_lora", "None", "a LoRA"},
    {"sd_noise_schedule", "Default", "another noise schedule"},
    {"eta_noise_seed_delta", "0", "another seed for the noise of the steps"},
    {"randn_source", "GPU|CPU", "the noise of another generator"},
    {"enable_quantization", "false", "rounding the noise levels of the steps"},
    {"enable_batch_seeds", "true", "noise that depends on the batch"},
    {"comma_padding_backtrack", "20", "cutting long prompts elsewhere"},
    {"fp8_storage", "Disable", "weights of 8 bits"},
    {"tiling", "false", "tiling"},
    {"face_restoration", "false", "restoring faces"},
    {"sdxl_crop_top", "0", "the crop of SDXL"},
    {"sdxl_crop_left", "0", "the crop of SDXL"},
    {"sdxl_refiner_low_aesthetic_score", "2.5", "the score of SDXL's refiner"},
    {"sdxl_refiner_high_aesthetic_score", "6", "the score of SDXL's refiner"},
    {"inpainting_mask_weight", "1", "a weaker mask"},
    {"initial_noise_multiplier", "1", "a factor on the noise to begin with"},
    {"img2img_extra_noise", "0", "more noise to begin with"},
    {"img2img_color_correction", "false", "taking over the colours of the picture"},
    {"img2img_fix_steps", "false", "all steps whatever the strength"},
    {"img2img_background_color", "#ffffff", "another colour for transparent parts"},
    {"overlay_inpaint", "true", "leaving the parts that are not painted as they come out"},
    {"return_mask", "false", "an answer with the mask"},
    {"return_mask_composite", "false", "an answer with the painted part alone"},
    {"samples_format", "png", "another format than PNG"},
    {"upscaler_for_img2img", "None", "an upscaler"},
    {"token_merging_ratio", "0", "merging tokens"},
    {"token_merging_ratio_img2img", "0", "merging tokens"},
    {"token_merging_ratio_hr", "0", "merging tokens"},
    {"pad_cond_uncond", "false", "padding prompts to one length"},
    {"pad_cond_uncond_v0", "false", "padding prompts to one length"},
    {"s_min_uncond", "0", "steps without the negative prompt"},
    {"s_min_uncond_all", "false", "steps without the negative prompt"},
    {"skip_early_cond", "0", "steps without the negative prompt"},
    {"use_old_karras_scheduler_sigmas", "false", "the noise levels of an older version"},
    {"use_downcasted_alpha_bar", "false", "the noise levels of an older version"},
    {"no_dpmpp_sde_batch_determinism", "false", "noise that depends on the batch"},
    {"dont_fix_second_order_samplers_schedule", "false", "the schedules of an older version"},
    {"use_old_scheduling", "false", "the schedules of an older version"},
    {"refiner_switch_by_sample_steps", "false", "a refiner"},
    {"eta_ddim", "0", "an eta for all requests (a request's own \"eta\" counts)"},
    {"eta_ancestral", "1", "an eta for all requests (a request's own \"eta\" counts)"},
    {"ddim_discretize", "uniform", "another spacing of DDIM's steps"},
    {"s_churn", "0", "noise in k-diffusion's steps"},
    {"s_tmin", "0", "noise in k-diffusion's steps"},
    {"s_tmax", "0", "noise in k-diffusion's steps"},
    {"s_noise", "1", "noise in k-diffusion's steps"},
    {"k_sched_type", "Automatic",
     "a schedule for all requests (a request's own \"scheduler\" counts)"},
    {"sigma_min", "0", "another range of noise levels"},
    {"sigma_max", "0", "another range of noise levels"},
    {"rho", "0", "another form of the schedule"},
    {"sgm_noise_multiplier", "false", "the first noise level of another program"},
    {"beta_dist_alpha", "0.6", "another form of the schedule"},
    {"beta_dist_beta", "0.6", "another form of the schedule"},
    {"always_discard_next_to_last_sigma", "false", "leaving out a noise level"},
    {"uni_pc_variant", "bh1", "another variant of UniPC"},
    {"uni_pc_skip_type", "time_uniform", "another variant of UniPC"},
    {"uni_pc_order", "3", "another variant of UniPC"},
    {"uni_pc_lower_order_final", "true", "another variant of UniPC"},
    {"postprocessing_enable_in_main_ui", "", "working on pictures afterwards"},
};

/* Options that change no picture here: how the web UI looks, saves, computes and trains, and what
 * counts beside one of the above alone. A name that ends with `*` stands for all that begin so.
 * Weights in prompts (emphasis) are read as words whatever is asked; a note says so. */
static const char *const of_no_picture[] = {
    "add_*",
    "api_*",
    "auto_backcompat",
    "auto_launch_browser",
    "auto_vae_precision*",
    "batch_cond_uncond",
    "cache_fp16_weight",
    "canvas_*",
    "clean_temp_dir_at_start",
    "code_former_weight",
    "compact_prompt_box",
    "cross_attention_optimization",
    "dataset_filename_*",
    "deepbooru_*",
    "dimensions_and_batch_together",
    "directories_*",
    "disable_*",
    "disabled_extensions",
    "do_not_show_images",
    "dump_stacks_on_signal",
    "emphasis",
    "enable_console_prompts",
    "enable_emphasis",
    "enable_pnginfo",
    "enable_prompt_comments",
    "enable_reloading_ui_scripts",
    "enable_upscale_progressbar",
    "export_for_4chan",
    "extra_networks_*",
    "ESRGAN_tile*",
    "DAT_*",
    "SWIN_*",
    "face_restoration_model",
    "face_restoration_unload",
    "font",
    "fp8_*",
    "gallery_height",
    "gradio_*",
    "grid_*",
    "hidden_tabs",
    "hide_*",
    "hires_*",
    "img2img_autosize",
    "img2img_batch_*",
    "img2img_editor_height",
    "img2img_inpaint_*",
    "img2img_settings_accordion",
    "img2img_sketch_*",
    "img_*",
    "include_styles_into_token_counters",
    "infotext_*",
    "input_history*",
    "interrogate_*",
    "interrupt_after_current",
    "jpeg_quality",
    "js_*",
    "keyedit_*",
    "list_hidden_files",
    "live_preview*",
    "localization",
    "lora_*",
    "memmon_poll_rate",
    "multiple_tqdm",
    "n_rows",
    "notification_*",
    "open_dir_button_choice",
    "outdir_*",
    "persistent_cond_cache",
    "pin_memory",
    "postprocessing_existing_caption_action",
    "postprocessing_operation_order",
    "print_hypernet_extra",
    "prioritized_callbacks_*",
    "prevent_screen_sleep_during_generation",
    "profiling_*",
    "quicksettings*",
    "realesrgan_enabled_models",
    "restore_config_state_file",
    "return_grid",
    "samplers_in_dropdown",
    "samples_filename_pattern",
    "samples_log_stdout",
    "samples_save",
    "save_*",
    "sd_checkpoint*",
    "sd_vae_checkpoint_cache",
    "sd_vae_explanation",
    "sd_vae_overrides_per_model_preferences",
    "sd_webui_modal_lightbox_*",
    "send_*",
    "set_scale_by_when_changing_upscaler",
    "show_*",
    "target_side_length",
    "temp_dir",
    "textual_inversion_*",
    "training_*",
    "txt2img_settings_accordion",
    "ui_*",
    "unload_models_when_training",
    "upcast_attn",
    "upscaling_max_images_in_cache",
    "use_old_emphasis_implementation",
    "use_old_hires_fix_width_height",
    "use_original_name_batch",
    "use_save_to_dirs_for_ui",
    "use_upscaler_name_as_suffix",
    "webp_lossless",
};

static const picture_option *find(const char *name)
{
    for (size_t i = 0; i < sizeof of_pictures / sizeof *of_pictures; i++) {
        if (!strcmp(of_pictures[i].name, name))
            return &of_pictures[i];
    }
    return NULL;
}

static bool changes_nothing(const char *name)
{
    for (size_t i = 0; i < sizeof of_no_picture / sizeof *of_no_picture; i++) {
        const size_t len = strlen(of_no_picture[i]);

        if (of_no_picture[i][len - 1] == '*' ? !strncmp(of_no_picture[i], name, len - 1)
                                             : !strcmp(of_no_picture[i], name))
            return true;
    }
    return false;
}

/* Whether the value is the word: clients also send numbers and switches as texts. */
static bool equals(const json_t *v, const char *word)
{
    char *end;
    const double number = strtod(word, &end);

    if (json_is_string(v))
        return !strcasecmp(json_string_value(v), word);
    if (json_is_boolean(v))
        return !strcmp(word, json_is_true(v) ? "true" : "false");
    return json_is_number(v) && end != word && !*end && json_number_value(v) == number;
}

static bool is_neutral(const json_t *v, const char *words)
{
    char word[32];

    if (json_is_null(v) || (json_is_string(v) && !*json_string_value(v)) ||
        (json_is_array(v) && !json_array_size(v)))
        return true;
    for (const char *at = words; *at; at += *at == '|') {
        const size_t len = strcspn(at, "|");

        snprintf(word, sizeof word, "%.*s", (int)len, at);
        if (equals(v, word))
            return true;
        at += len;
    }
    return false;
}

/* The option that is written nearly so, for "did you mean"; NULL: none. */
static const char *nearest(const char *name)
{
    const char *found = NULL;
    size_t best = ldm_edit_limit(name) + 1;

    for (size_t i = 0; i < sizeof of_pictures / sizeof *of_pictures; i++) {
        const size_t d = ldm_edit_distance(name, of_pictures[i].name, best);

        if (d < best) {
            best = d;
            found = of_pictures[i].name;
        }
    }
    return ldm_edit_distance(name, "sd_model_checkpoint", best) < best ? "sd_model_checkpoint"
                                                                       : found;
}

static bool model_fits(const json_t *v, ldm_shelf *shelf, const char **model, ldm_refusal *r)
{
    static const char field[] = "sd_model_checkpoint";
    const char *name = json_string_value(v);
    char why[800];

    if (json_is_null(v) || (name && !*name))
        return true;
    if (!name || !ldm_shelf_has(shelf, name))
        return ldm_refuse(r, 422, "ERR_USAGE", field,
                          "there is no such model; /sdapi/v1/sd-models lists them");
    if (ldm_shelf_verdict(shelf, name, why, sizeof why) && *why)
        return ldm_refuse(r, 422, "ERR_MISMATCH", field, "%s", why);
    *model = name;
    return true;
}

static bool option_fits(const char *name, const json_t *v, ldm_refusal *r)
{
    const picture_option *o = find(name);
    const char *near;

    if (o)
        return is_neutral(v, o->neutral) ||
               ldm_refuse(r, 422, "ERR_USAGE", name, "%s cannot be done here", o->what);
    if (changes_nothing(name))
        return true;
    near = nearest(name);
    if (near)
        return ldm_refuse(r, 422, "ERR_USAGE", name, "there is no such option; did you mean '%s'?",
                          near);
    return ldm_refuse(r, 422, "ERR_USAGE", name,
                      "this option is not known here: whether it changes pictures cannot be told");
}

bool ldm_sdapi_options_fit(const json_t *options, ldm_shelf *shelf, const char **model,
                           ldm_refusal *r)
{
    const char *name;
    json_t *v;

    *model = NULL;
    json_object_foreach((json_t *)(uintptr_t)options, name, v) /* only read */
    {
        if (!strcmp(name, "sd_model_checkpoint") ? !model_fits(v, shelf, model, r)
                                                 : !option_fits(name, v, r))
            return false;
    }
    return true;
}
