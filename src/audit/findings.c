/* Everything a report says, gathered once: inferred configuration, causes, settings, counts, notes,
 * and the verdict in a sentence with the next step. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audit/internal.h"
#include "base/alloc.h"

const char *ldm_findings_text(ldm_findings *f, const char *fmt, ...)
{
    char small[512], *text;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    text = n < 0 ? NULL : ldm_arena_alloc(f->arena, (size_t)n + 1, 1);
    if (!text) {
        f->failed = true;
        return "";
    }
    if ((size_t)n < sizeof small) {
        memcpy(text, small, (size_t)n + 1);
    } else {
        va_start(ap, fmt);
        vsnprintf(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    return text;
}

void ldm_findings_note(ldm_findings *f, ldm_tone tone, const char *text)
{
    if (!ldm_grow(&f->notes, &f->note_cap, f->note_count + 1, sizeof *f->notes)) {
        f->failed = true;
        return;
    }
    f->notes[f->note_count].tone = tone;
    f->notes[f->note_count++].text = text;
}

const char *ldm_origin_text(ldm_arena *arena, ldm_origin o)
{
    if (!o.source)
        return "default";
    if (o.line <= 0)
        return o.source;
    return ldm_arena_printf(arena, "%s:%d", o.source, o.line);
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

const char *ldm_origin_short(ldm_findings *f, ldm_origin o)
{
    const char *text;
    size_t i, alike = 0;

    for (i = 0; o.source && i < f->source_count; i++)
        alike += strcmp(file_name(f->sources[i]), file_name(o.source)) == 0;
    if (alike == 1)
        o.source = file_name(o.source);
    text = ldm_origin_text(f->arena, o);
    if (!text)
        f->failed = true;
    return text ? text : "";
}

static void add_source(ldm_findings *f, const char *source)
{
    size_t i;

    if (!source || strcmp(source, "--set") == 0)
        return;
    for (i = 0; i < f->source_count; i++) {
        if (strcmp(f->sources[i], source) == 0)
            return;
    }
    if (!ldm_grow(&f->sources, &f->source_cap, f->source_count + 1, sizeof *f->sources)) {
        f->failed = true;
        return;
    }
    f->sources[f->source_count++] = source;
}

static void find_sources(const ldm_audit *a, ldm_findings *f)
{
    size_t i;

    for (i = 0; i < a->given.config_count; i++)
        add_source(f, a->given.configs[i]);
    for (i = 0; i < a->network->param_count; i++)
        add_source(f, a->network->params[i].origin.source);
    for (i = 0; i < a->network->unknown_count; i++)
        add_source(f, a->network->unknown[i].origin.source);
}

static void file_notes(const ldm_audit *a, ldm_findings *f)
{
    size_t i;

    for (i = 0; i < ldm_ckpt_warning_count(a->ckpt); i++)
        ldm_findings_note(f, LDM_TONE_WARN, ldm_ckpt_warning(a->ckpt, i));
    if (f->bad_count)
        ldm_findings_note(f, LDM_TONE_BAD,
                          ldm_findings_text(f,
                                            "%zu tensors hold NaN or infinity: the pictures will "
                                            "be broken wherever they are used.",
                                            f->bad_count));
    if (f->values_read && f->codebook_std > 0)
        ldm_findings_note(
            f, LDM_TONE_PLAIN,
            ldm_findings_text(f,
                              "The codebook's entries have a standard deviation of %.4g; times "
                              "scale_factor %.6g that is %.4g. A diffusion model is trained on "
                              "latents near 1.",
                              f->codebook_std, a->effective.scale_factor,
                              f->codebook_std * a->effective.scale_factor));
}

/* Another file or YAML where a cause demands it; else all the --set options together, as long as
 * they are few enough to be slips and not another model. */
static const char *cure(ldm_findings *f)
{
    enum { FEW = 4 };
    ldm_str s = {0};
    const char *text;
    size_t i;

    for (i = 0; i < f->cause_count; i++) {
        if (!f->causes[i].set)
            return f->causes[i].remedy;
    }
    if (f->cause_count > FEW)
        return ldm_findings_text(f,
                                 "use the YAML that was published with this checkpoint: %zu "
                                 "settings differ",
                                 f->cause_count);
    ldm_str_puts(&s, "run again with");
    for (i = 0; i < f->cause_count; i++)
        ldm_str_printf(&s, " %s", f->causes[i].remedy);
    f->failed |= s.failed;
    text = ldm_findings_text(f, "%s", s.failed ? "" : s.data);
    ldm_str_free(&s);
    return text;
}

/* " --option word", quoted where a shell would take the word apart. */
static void put_option(ldm_str *s, const char *option, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./=:,+@%-";
    size_t n;

    ldm_str_printf(s, " %s ", option);
    if (*word && !word[strspn(word, plain)]) {
        ldm_str_puts(s, word);
        return;
    }
    ldm_str_puts(s, "'");
    while (word[n = strcspn(word, "'")]) {
        ldm_str_append(s, word, n);
        ldm_str_puts(s, "'\\''");
        word += n + 1;
    }
    ldm_str_puts(s, word);
    ldm_str_puts(s, "'");
}

static const char *generate_command(const ldm_audit *a, ldm_findings *f)
{
    ldm_str s = {0};
    const char *text;
    size_t i;

    ldm_str_puts(&s, "ldm generate");
    put_option(&s, "--ckpt", ldm_ckpt_path(a->ckpt));
    for (i = 0; i < f->source_count; i++)
        put_option(&s, "--config", f->sources[i]);
    for (i = 0; i < a->given.set_count; i++)
        put_option(&s, "--set", a->given.sets[i]);
    if (a->priv->ema_asked >= 0)
        ldm_str_puts(&s, a->priv->ema_asked ? " --ema" : " --no-ema");
    ldm_str_puts(&s, " -o picture.png");
    f->failed |= s.failed;
    text = ldm_findings_text(f, "%s", s.failed ? "" : s.data);
    ldm_str_free(&s);
    return text;
}

/* "3 are missing", "1 has another shape", or both. */
static const char *fault_counts(const ldm_audit *a, ldm_findings *f)
{
    const char *are = a->run_missing == 1 ? "is" : "are";
    const char *have = a->run_mismatched == 1 ? "has" : "have";

    if (!a->run_mismatched)
        return ldm_findings_text(f, "%zu %s missing", a->run_missing, are);
    if (!a->run_missing)
        return ldm_findings_text(f, "%zu %s another shape", a->run_mismatched, have);
    return ldm_findings_text(f, "%zu %s missing and %zu %s another shape", a->run_missing, are,
                             a->run_mismatched, have);
}

static void judge(const ldm_audit *a, ldm_findings *f)
{
    size_t unknown = a->network->unknown_count, i, odd = 0;

    for (i = 0; i < a->unexpected_count; i++)
        odd += ldm_unexpected_reason(a->unexpected[i]->name) == NULL;
    if (!a->fits) {
        f->tone = LDM_TONE_BAD;
        if (a->run_missing || a->run_mismatched)
            f->verdict = ldm_findings_text(f,
                                           "The checkpoint does not fit the configuration: of the "
                                           "tensors that a run reads, %s.",
                                           fault_counts(a, f));
        else
            f->verdict = ldm_findings_text(
                f,
                "The checkpoint does not fit strictly (ldm.load.strict): %zu keys missing, %zu "
                "unexpected, %zu of another shape.",
                a->missing_count, a->unexpected_count, a->mismatched_count);
        f->next_step = f->cause_count ? cure(f) : "ldm check --all";
        return;
    }
    f->next_step = generate_command(a, f);
    if (a->initialised) {
        f->tone = LDM_TONE_WARN;
        f->verdict = ldm_findings_text(
            f,
            "The checkpoint is loaded partially, as ldm.load.missing permits: %zu tensors that a "
            "run reads are missing and are initialised at random.",
            a->initialised);
        return;
    }
    f->tone = LDM_TONE_GOOD;
    if (a->matching == a->model_keys && a->unexpected_count == 0)
        f->verdict = ldm_findings_text(
            f, "The checkpoint fits the configuration: all %zu keys match.", a->matching);
    else
        f->verdict = ldm_findings_text(
            f,
            "The checkpoint fits the configuration: every tensor that a run reads is there with "
            "the right shape%s.",
            odd ? ", but the file has keys this model does not know" : "");
    for (i = 0; i < f->note_count; i++) {
        if (f->notes[i].tone == LDM_TONE_BAD)
            f->tone = LDM_TONE_WARN;
    }
    if (odd || unknown || f->bad_count)
        f->tone = LDM_TONE_WARN;
}

ldm_status ldm_findings_create(const ldm_audit *a, bool values, ldm_findings *f, ldm_error *err)
{
    ldm_status st;

    memset(f, 0, sizeof *f);
    f->arena = ldm_arena_create(0);
    if (!f->arena)
        return ldm_error_nomem(err, 0, "the report");
    find_sources(a, f);
    st = ldm_infer(a->ckpt, f->arena, &f->inferred, err);
    if (!st)
        st = ldm_find_settings(a, f, err);
    if (!st && values)
        st = ldm_find_values(a, f, err);
    if (st)
        return st;
    ldm_find_config_keys(a, f);
    ldm_find_stats(a, f);
    ldm_find_causes(a, f);
    file_notes(a, f);
    judge(a, f);
    return f->failed ? ldm_error_nomem(err, 0, "the report") : LDM_OK;
}

void ldm_findings_free(ldm_findings *f)
{
    ldm_arena_free(f->arena);
    ldm_free(f->causes);
    ldm_free(f->rows);
    ldm_free(f->heads);
    ldm_free(f->keys);
    ldm_free(f->notes);
    ldm_free(f->sources);
    ldm_free(f->bad);
    memset(f, 0, sizeof *f);
}
