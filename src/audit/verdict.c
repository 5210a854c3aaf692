/* SPDX-License-Identifier: MIT */
/* Gathers a report and judges it: everything is gathered once (inferred configuration, settings,
 * counts, causes, notes), the verdict in a sentence with the next step, and the one line of a
 * refusal. */
#include <stdio.h>
#include <string.h>

#include "audit/cure.h"
#include "audit/model_kind.h"
#include "audit/takes.h"

/* Recommends another file or YAML if a cause demands it, or if no --set is a cure; otherwise all
 * --set options together, if they are so few that they are probably mistakes and not another model.
 */
static const char *cure(const ldm_audit *a, ldm_findings *f)
{
    enum { FEW = 4 };
    ldm_str s = {0};
    const char *text;
    bool withdrawn = false;
    size_t i;

    for (i = 0; i < f->cause_count; i++) {
        if (!f->causes[i].set && f->causes[i].remedy)
            return f->causes[i].remedy;
        withdrawn |= !f->causes[i].remedy;
    }
    if (withdrawn)
        return ldm_audit_other_yaml(a, f);
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

/* What must be given: " --prompt TEXT --image FILE". */
static void put_conditions(const ldm_audit *a, ldm_str *s)
{
    ldm_conditions_found found;
    int i;

    ldm_audit_find_conditions(a->network, &found);
    for (i = 0; i < found.count; i++) {
        const char *option = found.takes[i].option;

        if (strcmp(option, "noise-level")) /* it has a default */
            ldm_str_printf(s, " --%s %s", option,
                           !strcmp(option, "prompt")  ? "TEXT"
                           : !strcmp(option, "class") ? "N"
                                                      : "FILE");
    }
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
    put_conditions(a, &s);
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

/* What to do about a file that does not fit. */
static const char *remedy(const ldm_audit *a, ldm_findings *f)
{
    return f->cause_count ? cure(a, f) : "ldm check --all";
}

/* Tensors that a run reads and that hold NaN or infinity (only after values were read). */
static size_t count_bad_used(const ldm_audit *a, const ldm_findings *f)
{
    size_t i, n = 0;

    for (i = 0; i < f->bad_count; i++) {
        int k = ldm_network_find(a->network, f->bad[i].tensor->name);

        n += k >= 0 && ldm_audit_run_uses(a, &a->network->tensors[k]);
    }
    return n;
}

/* Whether the raw weights beside damaged EMA weights are sound. */
static bool raw_is_sound(const ldm_audit *a, const ldm_findings *f)
{
    size_t i;

    if (!a->effective.ema)
        return false;
    for (i = 0; i < f->bad_count; i++) {
        int k = ldm_network_find(a->network, f->bad[i].tensor->name);

        if (k >= 0 && a->network->tensors[k].component != LDM_COMPONENT_EMA)
            return false;
    }
    return true;
}

static void judge_mismatch(const ldm_audit *a, ldm_findings *f)
{
    f->tone = LDM_TONE_BAD;
    f->headline = "DOES NOT FIT";
    if (a->run_missing || a->run_mismatched)
        f->verdict = ldm_findings_text(f,
                                       "The checkpoint does not fit the configuration: of the "
                                       "tensors that a run reads, %s.",
                                       fault_counts(a, f));
    else
        f->verdict = ldm_findings_text(
            f,
            "The checkpoint does not fit strictly (ldm.load.strict): keys missing: %zu, "
            "unexpected: %zu, of another shape: %zu.",
            a->missing_count, a->unexpected_count, a->mismatched_count);
    f->next_step = remedy(a, f);
}

static void judge_damage(const ldm_audit *a, ldm_findings *f, size_t bad)
{
    f->tone = LDM_TONE_BAD;
    f->headline = "DAMAGED";
    f->verdict = ldm_findings_text(f, "Names and shapes fit, but %zu %s NaN or infinity%s.", bad,
                                   bad == 1 ? "tensor that a run reads holds"
                                            : "tensors that a run reads hold",
                                   a->effective.ema ? " (EMA weights)" : "");
    f->next_step = raw_is_sound(a, f) ? "add --no-ema: the raw weights in the file are sound"
                                      : "get the file again, or use an earlier checkpoint";
}

/* Adds the keys that the configuration should not have to what the verdict says. */
static void name_mistakes(const ldm_audit *a, ldm_findings *f)
{
    const ldm_unknown_key *first = NULL;
    size_t n = 0;
    char others[48] = "";

    for (size_t i = 0; i < a->network->unknown_count; i++) {
        const ldm_unknown_key *u = &a->network->unknown[i];

        if (!ldm_audit_key_is_mistake(u))
            continue;
        first = first ? first : u;
        n++;
    }
    if (!n)
        return;
    if (n > 1)
        snprintf(others, sizeof others, " (and %zu more such key%s)", n - 1, n == 2 ? "" : "s");
    f->verdict = ldm_findings_text(
        f, "%s But %s is no parameter of the original's model, and ldm ignores it%s%s%s%s",
        f->verdict, first->path, others, first->suggestion ? ": did you mean " : "",
        first->suggestion ? first->suggestion : "", first->suggestion ? "?" : ".");
}

/* Why a file that fits makes no ordinary pictures here; false: it does. */
static bool judge_reservations(const ldm_audit *a, ldm_findings *f)
{
    if (ldm_audit_no_generate(a, f) && !a->network->lone_first_stage) {
        f->tone = LDM_TONE_WARN;
        f->headline = "FITS, BUT CANNOT RUN HERE";
        f->verdict = ldm_findings_text(f,
                                       "Every tensor that a run reads is there with the right "
                                       "shape, but ldm makes no pictures of this model: %s",
                                       ldm_audit_no_generate(a, f));
        return true;
    }
    if (!a->initialised)
        return false;
    f->tone = LDM_TONE_WARN;
    f->headline = "LOADS PARTIALLY";
    f->verdict = ldm_findings_text(
        f,
        "The checkpoint is loaded partially, as ldm.load.missing permits: %zu tensors that a "
        "run reads are missing and are initialised at random.",
        a->initialised);
    return true;
}

static void judge(const ldm_audit *a, ldm_findings *f)
{
    size_t i, odd = 0, warnings = 0, bad = count_bad_used(a, f);

    for (i = 0; i < a->unexpected_count; i++)
        odd += ldm_audit_unexpected_reason(a, a->unexpected[i]->name) == NULL;
    if (!a->fits) {
        judge_mismatch(a, f);
        return;
    }
    if (bad) {
        judge_damage(a, f, bad);
        return;
    }
    f->next_step = a->network->lone_first_stage ? "ldm reconstruct, which takes pictures through "
                                                  "it and back, or ldm eval"
                   : ldm_audit_no_generate(a, f)
                       ? "ldm eval, which runs the parts of the network one by one"
                       : generate_command(a, f);
    if (judge_reservations(a, f))
        return;
    if (a->matching == a->model_keys && a->unexpected_count == 0)
        f->verdict = ldm_findings_text(
            f, "The checkpoint fits the configuration: all %zu keys match.", a->matching);
    else
        f->verdict = ldm_findings_text(
            f,
            "The checkpoint fits the configuration: every tensor that a run reads is there with "
            "the right shape%s.",
            odd ? ", but the file has keys this model does not know" : "");
    for (i = 0; i < f->note_count; i++)
        warnings += f->notes[i].tone == LDM_TONE_BAD || f->notes[i].tone == LDM_TONE_WARN;
    f->tone = warnings || odd || a->network->unknown_count ? LDM_TONE_WARN : LDM_TONE_GOOD;
    f->headline = "FITS";
    name_mistakes(a, f);
    if (warnings)
        f->headline =
            ldm_findings_text(f, "FITS, %zu warning%s", warnings, warnings == 1 ? "" : "s");
}

/* Tensors alike in all that a run reads, and yet the file is of another kind of model. */
static void note_other_model(const ldm_audit *a, ldm_findings *f)
{
    const char *what = a->fits ? ldm_audit_other_model(a, f) : NULL;

    if (what)
        ldm_findings_note(f, LDM_TONE_WARN,
                          ldm_findings_text(f, "%s; %s.", what, ldm_audit_other_yaml(a, f)));
}

static void file_notes(const ldm_audit *a, ldm_findings *f)
{
    static const char warning[] = "warning: ";
    const size_t prefix = sizeof warning - 1;
    size_t i;

    for (i = 0; i < ldm_ckpt_warning_count(a->ckpt); i++) { /* as `generate` */
        const char *text = ldm_ckpt_warning(a->ckpt, i);
        const bool warns = strncmp(text, warning, prefix) == 0;

        ldm_findings_note(f, warns ? LDM_TONE_WARN : LDM_TONE_PLAIN, warns ? text + prefix : text);
    }
    if (f->bad_count)
        ldm_findings_note(f, LDM_TONE_BAD,
                          ldm_findings_text(f,
                                            "%zu tensor%s NaN or infinity: the pictures will be "
                                            "broken wherever %s used.",
                                            f->bad_count, f->bad_count == 1 ? " holds" : "s hold",
                                            f->bad_count == 1 ? "it is" : "they are"));
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

ldm_status ldm_findings_create(const ldm_audit *a, bool values, ldm_findings *f, ldm_error *err)
{
    ldm_status st = ldm_findings_open(a, f, err);

    if (!st)
        st = ldm_audit_find_settings(a, f, err);
    if (!st && values)
        st = ldm_audit_find_values(a, f, err);
    if (st)
        return st;
    ldm_audit_find_config_keys(a, f);
    ldm_audit_find_mistakes(a, f);
    note_other_model(a, f);
    ldm_audit_find_stats(a, f);
    ldm_audit_find_causes(a, f);
    ldm_audit_find_left_out(a, f);
    file_notes(a, f);
    judge(a, f);
    return f->failed ? ldm_error_nomem(err, 0, "the report") : LDM_OK;
}

/* ---- one line -------------------------------------------------------------------------------- */

/* The first tensor at fault, in state_dict order, as "NAME is missing" or with both shapes. */
static void first_fault(const ldm_audit *a, ldm_str *out)
{
    const ldm_tensor_decl *missing = NULL;
    const ldm_shape_mismatch *wrong = NULL;
    size_t i;

    for (i = 0; i < a->missing_count && !missing; i++) {
        if (ldm_audit_run_uses(a, a->missing[i]))
            missing = a->missing[i];
    }
    for (i = 0; i < a->mismatched_count && !wrong; i++) {
        const ldm_tensor_decl *t = a->mismatched[i].expected;

        if (ldm_audit_run_uses(a, t) || strcmp(t->name, "alphas_cumprod") == 0)
            wrong = &a->mismatched[i];
    }
    if (wrong && (!missing || wrong->expected < missing)) {
        ldm_str_printf(out, "%s has shape ", wrong->expected->name);
        ldm_audit_put_shape_info(out, wrong->found);
        ldm_str_puts(out, ", the configuration expects ");
        ldm_audit_put_shape_spec(out, wrong->expected);
    } else if (missing) {
        ldm_str_printf(out, "%s is missing, expected with shape ", missing->name);
        ldm_audit_put_shape_spec(out, missing);
    }
}

/* One line needs only names and causes, no settings and no counts. */
ldm_status ldm_audit_verdict(const ldm_audit *a, ldm_error *err)
{
    const size_t others = a->run_missing + a->run_mismatched;
    const char *beside, *path = ldm_ckpt_path(a->ckpt);
    ldm_str fault = {0};
    const char *next;
    ldm_findings f;
    ldm_status st;

    if (a->fits)
        return LDM_OK;
    st = ldm_findings_open(a, &f, err);
    if (st)
        goto done;
    beside = ldm_audit_stage_beside(a);
    if (beside)
        path = beside;
    ldm_audit_find_causes(a, &f);
    next = remedy(a, &f);
    first_fault(a, &fault);
    if (!others)
        ldm_str_printf(&fault,
                       "keys missing: %zu, unexpected: %zu, of another shape: %zu, and "
                       "ldm.load.strict is true",
                       a->missing_count, a->unexpected_count, a->mismatched_count);
    if (others > 1)
        ldm_str_printf(&fault, " (and %zu more %s not fit)", others - 1,
                       others == 2 ? "tensor that a run reads does"
                                   : "tensors that a run reads do");
    if (fault.failed || f.failed)
        st = ldm_error_nomem(err, 0, "a message");
    else if (f.cause_count)
        st = ldm_error_set(err, LDM_ERR_MISMATCH, "%s: %s; %s: %s", path, fault.data,
                           f.causes[0].finding, next);
    else
        st = ldm_error_set(err, LDM_ERR_MISMATCH, "%s: %s; %s", path, fault.data, next);
done:
    ldm_str_free(&fault);
    ldm_findings_free(&f);
    return st;
}

/* ---- for those who make pictures ------------------------------------------------------------- */

ldm_status ldm_audit_warnings(const ldm_audit *a, ldm_audit_warning_fn *fn, void *ctx,
                              ldm_error *err)
{
    ldm_findings f;
    size_t i;
    ldm_status st = ldm_findings_open(a, &f, err);

    if (!st)
        st = ldm_audit_find_settings(a, &f, err);
    if (!st) {
        ldm_audit_find_mistakes(a, &f);
        note_other_model(a, &f);
        ldm_audit_find_left_out(a, &f);
    }
    for (i = 0; !st && i < f.note_count; i++) {
        if (f.notes[i].tone == LDM_TONE_WARN)
            st = fn(ctx, f.notes[i].text, err);
    }
    if (!st && f.failed)
        st = ldm_error_nomem(err, 0, "the warnings");
    ldm_findings_free(&f);
    return st;
}
