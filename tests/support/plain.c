/* SPDX-License-Identifier: MIT */
/* See plain.h. */
#include "plain.h"

#include <string.h>

void plain_options_init(plain_options *o)
{
    memset(o, 0, sizeof *o);
    o->ema = EMA_AUTO;
}

static ldm_status set_text(ldm_model_options *to, const char *key, const char *text, ldm_error *err)
{
    return text ? ldm_model_options_set(to, key, text, err) : LDM_OK;
}

static ldm_status fill_options(ldm_model_options *to, const plain_options *o, ldm_error *err)
{
    ldm_status st = set_text(to, "ckpt", o->ckpt, err);
    size_t i;

    if (!st)
        st = set_text(to, "model", o->model, err);

    for (i = 0; !st && i < o->config_count; i++)
        st = set_text(to, "config", o->configs[i], err);
    for (i = 0; !st && i < o->set_count; i++)
        st = set_text(to, "set", o->sets[i], err);
    if (!st)
        st = set_text(to, "config_text", o->config_text, err);
    if (!st)
        st = set_text(to, "config_name", o->config_name, err);
    if (!st)
        st = set_text(to, "max_isa", o->max_isa, err);
    if (!st)
        st = set_text(to, "precision", o->precision, err);
    if (!st && o->ema != EMA_AUTO)
        st = ldm_model_options_set_bool(to, "ema", o->ema == EMA_YES, err);
    if (!st && o->threads)
        st = ldm_model_options_set_int(to, "threads", o->threads, err);
    if (!st && o->max_memory)
        st = ldm_model_options_set_u64(to, "max_memory", o->max_memory, err);
    return st ? st : ldm_model_options_set_bool(to, "dry_run", o->dry_run, err);
}

static ldm_status make_options(const plain_options *o, ldm_model_options **out, ldm_error *err)
{
    ldm_status st = ldm_model_options_create(out, err);

    return st ? st : fill_options(*out, o, err);
}

ldm_status plain_model_open(const plain_options *o, ldm_model **out, ldm_error *err)
{
    ldm_model_options *made;
    ldm_status st = make_options(o, &made, err);

    *out = NULL;
    if (!st)
        st = ldm_model_open(made, out, err);
    ldm_model_options_free(made);
    return st;
}

ldm_status plain_check(const plain_options *o, unsigned how, char **report, bool *fits,
                       ldm_error *err)
{
    ldm_model_options *made;
    ldm_status st = make_options(o, &made, err);

    *report = NULL;
    if (!st)
        st = ldm_check(made, how, report, fits, err);
    ldm_model_options_free(made);
    return st;
}

ldm_status plain_difference(const plain_options *a, const plain_options *b, char **json,
                            ldm_error *err)
{
    ldm_model_options *made_a = NULL, *made_b = NULL;
    ldm_status st = make_options(a, &made_a, err);

    *json = NULL;
    if (!st)
        st = make_options(b, &made_b, err);
    if (!st)
        st = ldm_config_difference(made_a, made_b, json, err);
    ldm_model_options_free(made_a);
    ldm_model_options_free(made_b);
    return st;
}

void plain_job_init(plain_job *job)
{
    *job = (plain_job){.steps = 50,
                       .timesteps = "compvis",
                       .temperature = 1,
                       .scale = 1,
                       .cond = "none",
                       .seed = 42,
                       .cache = 1,
                       .count = 1,
                       .quantize = true};
}

static ldm_status fill_numbers(ldm_job *to, const plain_job *job, ldm_error *err)
{
    const int shape[3] = {job->latent_c, job->latent_h, job->latent_w};
    ldm_status st = ldm_job_set_int(to, "steps", job->steps, err);

    if (!st && job->sampler)
        st = ldm_job_set(to, "sampler", job->sampler, err);
    if (!st && (job->timesteps || !job->sampler))
        st = ldm_job_set(to, "timesteps", job->timesteps, err);
    if (!st && (job->eta >= 0 || !job->sampler))
        st = ldm_job_set_real(to, "eta", job->eta, err);
    if (!st)
        st = ldm_job_set_real(to, "temperature", job->temperature, err);
    if (!st)
        st = ldm_job_set_real(to, "scale", job->scale, err);
    if (!st)
        st = ldm_job_set(to, "cond", job->cond, err);
    if (!st)
        st = ldm_job_set_u64(to, "seed", job->seed, err);
    if (!st)
        st = ldm_job_set_int(to, "cache", job->cache, err);
    if (!st)
        st = ldm_job_set_int(to, "count", job->count, err);
    if (!st && job->batch)
        st = ldm_job_set_int(to, "batch", job->batch, err);
    if (!st && (shape[0] || shape[1] || shape[2]))
        st = ldm_job_set_shape(to, "shape", shape, err);
    if (!st && job->threads)
        st = ldm_job_set_int(to, "threads", job->threads, err);
    if (!st && job->max_memory)
        st = ldm_job_set_u64(to, "max_memory", job->max_memory, err);
    return st;
}

static ldm_status fill_conditions(ldm_job *to, const plain_job *job, ldm_error *err)
{
    ldm_status st = ldm_job_set_array(to, "context", job->context, err);

    if (!st)
        st = ldm_job_set_array(to, "uncond_context", job->uncond_context, err);
    if (!st)
        st = ldm_job_set_array(to, "concat", job->concat, err);
    if (!st)
        st = ldm_job_set_array(to, "labels", job->labels, err);
    if (!st)
        st = ldm_job_set_array(to, "ids", job->ids, err);
    if (!st && job->classes)
        st = ldm_job_set(to, "class", job->classes, err);
    if (!st && job->prompts)
        st = ldm_job_set_prompts(to, job->prompts, job->prompt_count, err);
    return st;
}

static ldm_status fill_job(ldm_job *to, const plain_job *job, ldm_error *err)
{
    ldm_status st = fill_numbers(to, job, err);

    if (!st)
        st = ldm_job_set_bool(to, "quantize", job->quantize, err);
    if (!st)
        st = ldm_job_set_bool(to, "quantize_x0", job->quantize_x0, err);
    if (!st && job->whole_timesteps)
        st = ldm_job_set_bool(to, "whole_timesteps", true, err);
    if (!st && job->zero_snr)
        st = ldm_job_set_bool(to, "zero_snr", true, err);
    if (!st && job->solver)
        st = ldm_job_set(to, "solver", job->solver, err);
    if (!st)
        st = ldm_job_set_array(to, "x_t", job->x_t, err);
    if (!st)
        st = ldm_job_set_array(to, "noise", job->noise, err);
    if (!st)
        st = ldm_job_set_array(to, "mask", job->mask, err);
    if (!st)
        st = ldm_job_set_array(to, "x0", job->x0, err);
    if (!st)
        st = fill_conditions(to, job, err);
    ldm_job_set_progress(to, job->progress, job->ctx);
    return st;
}

ldm_status plain_run_create(const ldm_model *m, const plain_job *job, ldm_run **out, ldm_error *err)
{
    ldm_job *made;
    ldm_status st = ldm_job_create(NULL, &made, err);

    *out = NULL;
    if (!st)
        st = fill_job(made, job, err);
    if (!st)
        st = ldm_run_create(m, made, out, err);
    ldm_job_free(made);
    return st;
}

ldm_status plain_run_next(ldm_run *r, ldm_result *out, bool *have, ldm_error *err)
{
    const ldm_result *res;
    ldm_status st = ldm_run_next(r, &res, err);

    memset(out, 0, sizeof *out);
    *have = res != NULL;
    if (res)
        *out = *res;
    return st;
}

ldm_status plain_eval_run(const ldm_model *m, const plain_eval *job, ldm_array *out, ldm_error *err)
{
    ldm_eval_job *made;
    ldm_status st = ldm_eval_job_create(job->part, &made, err);

    memset(out, 0, sizeof *out);
    if (!st)
        st = ldm_eval_job_set_array(made, "in", job->in, err);
    if (!st)
        st = ldm_eval_job_set_array(made, "context", job->context, err);
    if (!st)
        st = ldm_eval_job_set_array(made, "concat", job->concat, err);
    if (!st)
        st = ldm_eval_job_set_array(made, "labels", job->labels, err);
    if (!st)
        st = ldm_eval_job_set_real(made, "t", job->t, err);
    if (!st)
        st = ldm_eval_job_set_bool(made, "quantize", job->quantize, err);
    if (!st && job->mean)
        st = ldm_eval_job_set_bool(made, "mean", true, err);
    if (!st && job->sample)
        st = ldm_eval_job_set_bool(made, "sample", true, err);
    if (!st && job->seed)
        st = ldm_eval_job_set_int(made, "seed", (int)job->seed, err);
    if (!st)
        st = ldm_eval_job_set_array(made, "noise", job->noise, err);
    if (!st && job->threads)
        st = ldm_eval_job_set_int(made, "threads", job->threads, err);
    if (!st && job->dump_dir)
        st = ldm_eval_job_set(made, "dump", job->dump_dir, err);
    if (!st)
        st = ldm_eval(m, made, out, err);
    ldm_eval_job_free(made);
    return st;
}
