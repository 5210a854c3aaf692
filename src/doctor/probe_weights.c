/* SPDX-License-Identifier: MIT */
/* Values that no training leaves: NaN and infinity, tensors of zeros, tensors as a constructor made
 * them, one tensor under two names. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "doctor/probes.h"

enum { LEAST = 1000, NAMED = 3 };

typedef struct seen {
    const char *name;
    uint64_t hash, numel;
} seen;

/* Tensors of one fault: how many, and the first names. */
typedef struct fault {
    size_t count;
    const char *names[NAMED],
        *others[NAMED]; /* others: whose numbers they hold; NULL: it is not so */
} fault;

typedef struct survey {
    fault bad_raw, bad_ema, bad_stage, zero, fresh, twice, full, lone, dead;
    fault plain; /* norms at their initial values */
    size_t norms;
    size_t matrices, outputs, zero_outputs; /* outputs: those that a constructor makes zero */
    seen *seen;
    size_t seen_count, seen_cap;
} survey;

static void note(fault *f, const char *name)
{
    if (f->count < NAMED)
        f->names[f->count] = name;
    f->count++;
}

static void note_twin(fault *f, const char *name, const char *other)
{
    if (f->count < NAMED)
        f->others[f->count] = other;
    note(f, name);
}

static bool begins(const char *s, const char *prefix)
{
    return !strncmp(s, prefix, strlen(prefix));
}

static bool ends(const char *s, const char *tail)
{
    const size_t n = strlen(s), t = strlen(tail);

    return n >= t && !strcmp(s + n - t, tail);
}

/* Convolutions that UNetModel begins with zeros (zero_module). */
static bool is_output(const char *name)
{
    return ends(name, "out_layers.3.weight") || ends(name, "proj_out.weight") ||
           ends(name, "diffusion_model.out.2.weight");
}

typedef struct moments {
    double least, most, second, fourth;
    uint64_t wrong, hash, full; /* full: at the end of float16's range */
} moments;

static moments moments_of(const float *x, uint64_t n)
{
    moments m = {1e300, -1e300, 0, 0, 0, 0xcbf29ce484222325u, 0};

    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        const double v = x[i];

        memcpy(&bits, x + i, sizeof bits);
        m.hash = (m.hash ^ bits) * 0x100000001b3u;
        if (!isfinite(v)) {
            m.wrong++;
            continue;
        }
        m.full += fabs(v) == 65504;
        m.least = v < m.least ? v : m.least;
        m.most = v > m.most ? v : m.most;
        m.second += v * v / (double)n;
        m.fourth += v * v * v * v / (double)n;
    }
    return m;
}

/* PyTorch's Conv and Linear begin uniform in +-1 / sqrt(fan_in): a kurtosis of 1.8 (a trained
 * matrix is nearer to the normal's 3), a deviation of the bound over sqrt 3. */
static bool is_fresh(const moments *m, const ldm_tensor_info *t)
{
    double fan = 1, bound;

    for (int d = 1; d < t->ndim; d++)
        fan *= (double)t->shape[d];
    bound = 1 / sqrt(fan);
    return m->second > 0 && m->most <= 1.001 * bound && m->least >= -1.001 * bound &&
           fabs(m->fourth / (m->second * m->second) - 1.8) < 0.08 &&
           fabs(sqrt(m->second) / (bound / sqrt(3)) - 1) < 0.03;
}

/* One value that has nine tenths of a tensor's power: a bit of its exponent was turned over. */
static bool has_lone(const moments *m, uint64_t n)
{
    const double most = m->most > -m->least ? m->most : -m->least;

    return n >= LEAST && m->second > 0 && most * most > 0.9 * m->second * (double)n;
}

/* A quarter and more of the outputs of a matrix are zero: training leaves no such channels. */
static bool is_dead(const ldm_tensor_info *t, const float *x)
{
    const uint64_t rows = t->shape[0], each = t->numel / rows;
    uint64_t dead = 0;

    for (uint64_t r = 0; r < rows; r++) {
        bool zero = true;

        for (uint64_t i = 0; i < each && zero; i++)
            zero = x[r * each + i] == 0;
        dead += zero;
    }
    return 4 * dead >= rows;
}

/* A norm's weight, as its constructor leaves it: ones. */
static void look_at_norm(survey *s, const ldm_tensor_info *t, const moments *m)
{
    if (t->ndim != 1 || !ends(t->name, ".weight"))
        return;
    s->norms++;
    if (m->least == 1 && m->most == 1)
        note(&s->plain, t->name);
    if (m->least == 0 && m->most == 0)
        note(&s->zero, t->name);
}

static bool remember(survey *s, const ldm_tensor_info *t, uint64_t hash, ldm_error *err)
{
    for (size_t i = 0; i < s->seen_count; i++) {
        if (s->seen[i].hash == hash && s->seen[i].numel == t->numel) {
            note_twin(&s->twice, t->name, s->seen[i].name);
            break;
        }
    }
    if (!ldm_grow(&s->seen, &s->seen_cap, s->seen_count + 1, sizeof *s->seen)) {
        (void)ldm_error_nomem(err, 0, "the weights");
        return false;
    }
    s->seen[s->seen_count++] = (seen){t->name, hash, t->numel};
    return true;
}

static ldm_status look_at(survey *s, const ldm_tensor_info *t, const float *x, ldm_error *err)
{
    const bool unet = begins(t->name, "model.diffusion_model."),
               ema = begins(t->name, "model_ema.");
    const bool stage = begins(t->name, "first_stage_model.");
    const moments m = moments_of(x, t->numel);
    const bool zero = m.least == 0 && m.most == 0 && !m.wrong;

    if (m.wrong)
        note(ema ? &s->bad_ema : unet ? &s->bad_raw : &s->bad_stage, t->name);
    if (m.full && t->dtype == LDM_DTYPE_F16)
        note(&s->full, t->name);
    if (!m.wrong && (unet || stage) && has_lone(&m, t->numel))
        note(&s->lone, t->name);
    if (!m.wrong && unet)
        look_at_norm(s, t, &m);
    if (m.wrong || t->ndim < 2 || t->numel < LEAST || (!unet && !stage))
        return LDM_OK;
    if (unet && is_output(t->name)) {
        s->outputs++;
        s->zero_outputs += zero;
    }
    if (zero) {
        note(&s->zero, t->name);
        return LDM_OK;
    }
    if (is_dead(t, x))
        note(&s->dead, t->name);
    if (unet) {
        s->matrices++;
        if (is_fresh(&m, t))
            note(&s->fresh, t->name);
    }
    return remember(s, t, m.hash, err) ? LDM_OK : LDM_ERR_NOMEM;
}

static bool is_read(const ldm_tensor_info *t)
{
    return t->numel && ldm_dtype_readable(t->dtype) &&
           (begins(t->name, "model.diffusion_model.") || begins(t->name, "model_ema.") ||
            begins(t->name, "first_stage_model."));
}

/* A large file takes longer to read than others to be examined: once its pace is known, how long.
 */
static ldm_status say_reading(ldm_doctor *d, double seconds, double part, bool *said,
                              ldm_error *err)
{
    if (!*said && seconds > 1 && part < 0.7) {
        snprintf(d->step, sizeof d->step, "about %.0f s for the weights%s: reading the weights",
                 seconds / part, d->inference->whole ? ", and the probes' time is said then" : "");
        *said = true;
    }
    return ldm_doctor_step(d, d->step, 0.02 + 0.01 * part, err);
}

static ldm_status read_all(ldm_doctor *d, survey *s, ldm_error *err)
{
    const size_t count = ldm_ckpt_count(d->ck);
    const double begin = ldm_seconds();
    uint64_t most = 1, all = 0, done = 0;
    bool said = false;
    float *x;
    ldm_status st = LDM_OK;

    for (size_t i = 0; i < count; i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(d->ck, i);

        most = is_read(t) && t->numel > most ? t->numel : most;
        all += is_read(t) ? t->numel : 0;
    }
    x = ldm_reallocarray(NULL, (size_t)most, sizeof *x);
    if (!x)
        return ldm_error_nomem(err, most * sizeof *x, "a tensor");
    for (size_t i = 0; i < count && !st; i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(d->ck, i);

        if (!is_read(t))
            continue;
        st = ldm_ckpt_read_f32(d->ck, t, x, err);
        if (!st)
            st = look_at(s, t, x, err);
        ldm_ckpt_release(d->ck, t);
        done += t->numel;
        if (!st)
            st = say_reading(d, ldm_seconds() - begin, (double)done / (double)all, &said, err);
    }
    ldm_free(x);
    return st;
}

/* ---- findings -------------------------------------------------------------------------------- */

static ldm_status report(ldm_doctor *d, const char *path, const fault *f, const char *what,
                         const char *cure, const char *flag, ldm_error *err)
{
    static const char cureless[] =
        "; no setting cures it: get the file again, or use an earlier checkpoint";
    ldm_str names = {0};
    const char *how;
    ldm_finding finding = {.path = path,
                           .found = "damaged",
                           .cure = cure,
                           .flag = flag,
                           .sure = 0.99,
                           .state = LDM_FINDING_WRONG};

    for (size_t i = 0; i < f->count && i < NAMED; i++)
        ldm_str_printf(&names, "%s%s%s%s%s", i ? ", " : "", f->names[i],
                       f->others[i] ? " (those of " : "", f->others[i] ? f->others[i] : "",
                       f->others[i] ? ")" : "");
    if (f->count > NAMED)
        ldm_str_puts(&names, ", ...");
    how = names.failed
              ? NULL
              : ldm_doctor_text(d, "%s in %zu tensor%s: %s%s", what, f->count,
                                f->count == 1 ? "" : "s", names.data, cure || flag ? "" : cureless);
    ldm_str_free(&names);
    finding.how = how;
    return how ? ldm_doctor_add(d, &finding, err) : ldm_error_nomem(err, 0, "a finding");
}

/* Whether a run takes the shadows, as far as the configuration and the options say. */
static bool ema_is_used(const ldm_doctor *d)
{
    const ldm_value *v = ldm_value_find(ldm_config_root(d->config), "model.params.use_ema");
    bool used = true;

    if (v)
        (void)ldm_value_bool(v, &used, NULL);
    return used && ldm_model_options_ema(d->opt) != 0;
}

/* LitEma counts its updates: with none, the shadows are the weights of the first step. */
static ldm_status report_never_updated(ldm_doctor *d, ldm_error *err)
{
    const ldm_tensor_info *t = ldm_ckpt_find(d->ck, "model_ema.num_updates");
    float updates;

    if (!t || t->numel != 1 || ldm_ckpt_read_f32(d->ck, t, &updates, NULL) || updates != 0 ||
        !ema_is_used(d))
        return LDM_OK;
    return ldm_doctor_add(d,
                          &(ldm_finding){.path = "weights.ema",
                                         .found = "never updated",
                                         .how = "model_ema.num_updates is 0: the EMA weights are "
                                                "those of the first step of training",
                                         .flag = "--no-ema",
                                         .sure = 0.99,
                                         .state = LDM_FINDING_WRONG},
                          err);
}

/* A file that lost a part of its shadows, in a download or a conversion: no run can take them. */
static ldm_status report_incomplete(ldm_doctor *d, ldm_error *err)
{
    size_t raw = 0, shadows = 0;
    const char *how;

    for (size_t i = 0; i < ldm_ckpt_count(d->ck); i++) {
        const char *name = ldm_ckpt_at(d->ck, i)->name;

        raw += begins(name, "model.diffusion_model.");
        shadows += begins(name, "model_ema.diffusion_model");
    }
    if (!shadows || shadows >= raw || !ema_is_used(d))
        return LDM_OK;
    d->half_ema = true;
    how = ldm_doctor_text(d, "the UNet has %zu tensors, and %zu of them have EMA weights", raw,
                          shadows);
    return how ? ldm_doctor_add(d,
                                &(ldm_finding){.path = "weights.ema",
                                               .found = "incomplete",
                                               .how = how,
                                               .flag = "--no-ema",
                                               .sure = 1,
                                               .state = LDM_FINDING_WRONG},
                                err)
               : ldm_error_nomem(err, 0, "a finding");
}

static ldm_status report_bad(ldm_doctor *d, const survey *s, ldm_error *err)
{
    const char *what = "NaN or infinity";
    ldm_status st = LDM_OK;

    if (s->bad_ema.count && ema_is_used(d))
        st = report(d, "weights.ema", &s->bad_ema, what, NULL, s->bad_raw.count ? NULL : "--no-ema",
                    err);
    if (!st && s->bad_raw.count)
        st = report(d, "weights.unet", &s->bad_raw, what, NULL, NULL, err);
    if (!st && s->bad_stage.count)
        st = report(d, "weights.first_stage", &s->bad_stage, what, NULL, NULL, err);
    return st;
}

/* In a network of which a part was trained, the rest must not be as it began. Where a quarter of
 * the matrices and more are equal to others, the file was made so, for a test. */
static ldm_status report_left(ldm_doctor *d, const survey *s, double fresh, ldm_error *err)
{
    const bool begun = s->outputs && s->zero_outputs * 2 > s->outputs;
    ldm_status st = LDM_OK;

    if (s->fresh.count && fresh < 0.5)
        st = report(d, "weights.initial", &s->fresh, "values as a constructor leaves them", NULL,
                    NULL, err);
    if (!st && s->zero.count && !begun && fresh < 0.5)
        st = report(d, "weights.zero", &s->zero, "nothing but zeros", NULL, NULL, err);
    if (!st && s->plain.count && 4 * s->plain.count < s->norms && fresh < 0.5)
        st = report(d, "weights.norms", &s->plain, "ones, as a constructor leaves norms,", NULL,
                    NULL, err);
    if (!st && s->dead.count && !begun && fresh < 0.5)
        st = report(d, "weights.dead", &s->dead, "outputs of nothing but zeros", NULL, NULL, err);
    if (!st && s->full.count)
        st = report(d, "weights.overflow", &s->full,
                    "65504, the end of float16's range, where larger values were cut off,", NULL,
                    NULL, err);
    if (!st && s->lone.count)
        st = report(d, "weights.value", &s->lone, "one value that outweighs all others", NULL, NULL,
                    err);
    if (!st && s->twice.count && 4 * s->twice.count < s->matrices)
        st =
            report(d, "weights.twice", &s->twice, "the numbers of another tensor", NULL, NULL, err);
    return st;
}

ldm_status ldm_probe_weights(ldm_doctor *d, double *fresh, ldm_error *err)
{
    survey s = {0};
    ldm_status st = read_all(d, &s, err);

    *fresh = s.matrices ? (double)s.fresh.count / (double)s.matrices : 0;
    if (!st)
        st = report_bad(d, &s, err);
    if (!st)
        st = report_incomplete(d, err);
    if (!st && !s.bad_ema.count && !d->half_ema)
        st = report_never_updated(d, err);
    if (!st)
        st = report_left(d, &s, *fresh, err);
    ldm_free(s.seen);
    return st;
}
