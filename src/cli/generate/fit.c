/* SPDX-License-Identifier: MIT */
/* What a run of ldm generate takes: whether it fits this machine, and what --dry-run prints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_text.h"
#include "cli/generate/generate.h"

/* A number alone in a file of the system; 0 where there is none ("max": no limit). */
static uint64_t read_number(const char *path)
{
    FILE *f = fopen(path, "r");
    char text[32];
    uint64_t v = 0;

    if (!f)
        return 0;
    if (fgets(text, sizeof text, f) && text[0] >= '0' && text[0] <= '9')
        v = strtoull(text, NULL, 10);
    fclose(f);
    return v;
}

/* What this process can have: the machine's memory, or less where a control group says so. */
static uint64_t machine_memory(void)
{
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t most = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        uint64_t v = read_number(limits[i]);

        if (v && v < most)
            most = v;
    }
    return most;
}

uint64_t ldm_fit_limit(const ldm_generate_opts *o)
{
    return ldm_fit_limit_given(o) ? ldm_job_get_u64(o->to.job, "max_memory") : machine_memory();
}

bool ldm_fit_limit_given(const ldm_generate_opts *o)
{
    return ldm_job_is_set(o->to.job, "max_memory");
}

int ldm_fit_fail(const ldm_command *cmd, const ldm_generate_opts *o, ldm_status st,
                 const ldm_error *err)
{
    static const char limit[] = "max_memory is"; /* how the library calls it */
    const char *at = st == LDM_ERR_LIMIT ? strstr(err->msg, limit) : NULL;

    if (!at)
        return ldm_model_fail(cmd, o->to.model, st, err);
    ldm_cli_say(cmd, "%.*s%s%s", (int)(at - err->msg), err->msg,
                ldm_fit_limit_given(o) ? "--max-memory is" : "this machine has",
                at + strlen(limit));
    return LDM_EXIT_FAILED;
}

double ldm_fit_results(const ldm_generate_opts *o, const ldm_output *out, const ldm_run_info *ri)
{
    double pixels = (double)ri->image_w * ri->image_h;
    double latent = (double)ri->latent_c * ri->latent_h * ri->latent_w;

    return ri->count *
           ((o->save_latent ? 4 * latent : 0) +
            (o->save_intermediates
                 ? 8 * latent * (double)ldm_intermediates_entries(ri->steps_run, o->log_every_t)
                 : 0) +
            (o->save_image ? 4 * ri->image_c * pixels : 0) +
            ((out->npz || out->grid) && !out->shared ? 3 * pixels : 0));
}

int ldm_fit_check(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out,
                  const ldm_run_info *ri)
{
    double results = ldm_fit_results(o, out, ri), run = (double)ri->memory_total;
    double limit = (double)ldm_fit_limit(o);

    if (results + run <= limit)
        return LDM_EXIT_OK;
    ldm_cli_say(cmd,
                "%s: %d pictures kept for the arrays and sheets at the end need %.0f MB beside the "
                "run's %.0f MB, the limit is %.0f MB; make fewer at a time",
                ldm_fit_limit_given(o) ? "--max-memory" : "this machine's memory", ri->count,
                results / 1e6, run / 1e6, limit / 1e6);
    return LDM_EXIT_FAILED;
}

/* ---- --dry-run ------------------------------------------------------------------------------- */

/* Arithmetic of `pictures` pictures. */
static double flop(const ldm_run_info *ri, int pictures)
{
    return pictures * (ri->eps_evaluations * ri->flop_per_eps +
                       ri->shallow_evaluations * ri->flop_shallow + ri->flop_decode);
}

static int print_json(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out,
                      const ldm_run_info *ri, int kept, double seconds)
{
    double results = ldm_fit_results(o, out, ri);
    json_t *root = json_object(), *memory = json_object(), *work = json_object();

    json_object_set_new(memory, "weights_bytes", ldm_json_u64(ri->memory_weights));
    json_object_set_new(memory, "activations_bytes", ldm_json_u64(ri->memory_activations));
    json_object_set_new(memory, "results_bytes", ldm_json_u64((uint64_t)results));
    json_object_set_new(memory, "total_bytes", ldm_json_u64(ri->memory_total + (uint64_t)results));
    json_object_set_new(memory, "limit_bytes", ldm_json_u64(ldm_fit_limit(o)));
    json_object_set_new(memory, "limit_given", json_boolean(ldm_fit_limit_given(o)));
    json_object_set_new(work, "per_eps", ldm_json_real(ri->flop_per_eps));
    if (ri->shallow_evaluations > 0)
        json_object_set_new(work, "per_shallow_eps", ldm_json_real(ri->flop_shallow));
    json_object_set_new(work, "per_decode", ldm_json_real(ri->flop_decode));
    json_object_set_new(work, "total", ldm_json_real(flop(ri, ri->count - kept)));
    json_object_set_new(root, "dry_run", json_true());
    json_object_set_new(root, "pictures", json_integer(ri->count));
    json_object_set_new(root, "kept", json_integer(kept));
    json_object_set_new(root, "batch", json_integer(ri->batch));
    json_object_set_new(root, "threads", json_integer(ri->threads));
    json_object_set_new(root, "steps_asked", json_integer(ri->steps_asked));
    json_object_set_new(root, "steps_run", json_integer(ri->steps_run));
    json_object_set_new(root, "latent_shape",
                        json_pack("[iii]", ri->latent_c, ri->latent_h, ri->latent_w));
    json_object_set_new(root, "width", json_integer(ri->image_w));
    json_object_set_new(root, "height", json_integer(ri->image_h));
    json_object_set_new(root, "memory", memory);
    json_object_set_new(root, "flop", work);
    json_object_set_new(root, "estimated_seconds", ldm_json_real(seconds));
    json_object_set_new(root, "processes", json_integer(o->ranks.rank.size));
    return ldm_cli_print_json(cmd, root);
}

/* "12.3 TFLOP": no powers of ten for people. */
static void flop_text(double flop, char *buf, size_t size)
{
    static const char *const units[] = {"GFLOP", "TFLOP", "PFLOP", "EFLOP"};
    size_t i = 0;

    for (flop /= 1e9; flop >= 1000 && i + 1 < sizeof units / sizeof *units; i++)
        flop /= 1000;
    snprintf(buf, size, flop < 1000 ? "%.3g %s" : "%.0f %s", flop, units[i]);
}

int ldm_fit_print(const ldm_command *cmd, const ldm_generate_opts *o, const ldm_output *out,
                  const ldm_run_info *ri, int kept)
{
    double results = ldm_fit_results(o, out, ri);
    double seconds = ri->estimated_seconds * (ri->count - kept) / ri->count;
    char time[48], step[24], decode[24], all[24];

    if (o->json)
        return print_json(cmd, o, out, ri, kept, seconds);
    printf("memory      %.1f MB weights, %.1f MB activations", (double)ri->memory_weights / 1e6,
           (double)ri->memory_activations / 1e6);
    if (results > 0)
        printf(", %.1f MB results kept for the end", results / 1e6);
    printf("\n            %.1f MB together, of %.0f MB (%s)\n",
           ((double)ri->memory_total + results) / 1e6, (double)ldm_fit_limit(o) / 1e6,
           ldm_fit_limit_given(o) ? "--max-memory" : "this machine's");
    flop_text(ri->flop_per_eps, step, sizeof step);
    flop_text(ri->flop_decode, decode, sizeof decode);
    flop_text(flop(ri, ri->count - kept), all, sizeof all);
    printf("arithmetic  %s a step and picture, %s to decode one,\n"
           "            %s in all (%d step%s, %d picture%s)\n",
           step, decode, all, ri->steps_run, ri->steps_run == 1 ? "" : "s", ri->count - kept,
           ri->count - kept == 1 ? "" : "s");
    if (kept)
        printf("kept        %d of %d pictures are there already\n", kept, ri->count);
    ldm_cli_duration(seconds, time, sizeof time);
    printf("time        about %s\n", time);
    if (o->ranks.rank.size > 1) {
        ldm_cli_duration(seconds / o->ranks.rank.size, time, sizeof time);
        printf("            about %s for %d processes that are as fast as this one\n", time,
               o->ranks.rank.size);
    }
    return LDM_EXIT_OK;
}
