/* SPDX-License-Identifier: MIT */
/* The first stage by itself: pictures go through encoder and decoder, and come back best where they
 * enter and leave as in training. What the search of settings needs of it comes first: latents of
 * pictures in another range than the encoder knows would spoil every other probe. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "doctor/probe_search.h"
#include "engine/engine.h"

#define TANH "model.params.first_stage_config.params.ddconfig.tanh_out"

/* What a first stage may be wrong in. A choice is a set of these bits: what differs from CompVis'
 * own way, or from what was given. */
enum { UNIT_RANGE = 1, OTHER_TANH = 2, NO_CODEBOOK = 4, CHOICES = 8 };

/* Pictures come back where less than so much of their power is lost. */
static const double most_lost = 0.5;
/* The codebook is another model's where without it the error is less than half as large. */
static const double half = 0.7;

typedef struct stage {
    ldm_doctor *d;
    const ldm_model *m;
    int n, side;
    bool tanh_given, codebook;
    float *picture, *back, *latent;
    size_t pixels;
    double log_error[CHOICES][LDM_STAGE_PICTURES]; /* |y - x|^2 / |x - mean|^2 of each picture */
} stage;

/* ---- measuring ------------------------------------------------------------------------------- */

/* What the decoder gives, as it would be with tanh_out the other way. */
static double other_tanh(const stage *s, double v)
{
    const double most = 0.999999;

    if (!s->tanh_given)
        return tanh(v);
    return atanh(v > most ? most : v < -most ? -most : v);
}

/* The logarithm of what is lost of a picture. tanh belongs to the decoder, so it comes before the
 * range: out of [0, 1] a value was 2 v - 1 already. */
static double loss_of(const stage *s, unsigned choice)
{
    double mean = 0, error = 0, power = 0;

    for (size_t i = 0; i < s->pixels; i++)
        mean += s->picture[i] / (double)s->pixels;
    for (size_t i = 0; i < s->pixels; i++) {
        const double x = s->picture[i];
        double y = s->back[i];

        if (choice & OTHER_TANH)
            y = choice & UNIT_RANGE ? 2 * other_tanh(s, 0.5 * (y + 1)) - 1 : other_tanh(s, y);
        error += (y - x) * (y - x);
        power += (x - mean) * (x - mean);
    }
    error = log((error + 1e-12) / (power + 1e-12));
    return isfinite(error) ? error : 40;
}

/* s->picture through encoder and decoder, into s->back. */
static ldm_status through(stage *s, ldm_picture_form form, bool codebook, ldm_error *err)
{
    ldm_status st = ldm_probe_encode(s->m, s->picture, s->side, form, s->latent, err);

    return st ? st : ldm_probe_decode(s->m, s->latent, s->side, form, codebook, s->back, err);
}

static ldm_status measure_picture(stage *s, int i, ldm_error *err)
{
    ldm_status st = ldm_probe_planes(s->m, &s->d->images[i], s->side, s->picture, err);

    for (unsigned range = 0; range <= UNIT_RANGE && !st; range++) {
        for (unsigned book = 0; book <= (s->codebook ? NO_CODEBOOK : 0U) && !st;
             book += NO_CODEBOOK) {
            st = through(s, (ldm_picture_form){.unit_range = range}, !book, err);
            for (unsigned other = 0; other <= OTHER_TANH; other += OTHER_TANH)
                s->log_error[range | book | other][i] = loss_of(s, range | book | other);
        }
    }
    return st;
}

static void release(stage *s)
{
    ldm_free(s->picture);
    ldm_free(s->back);
    ldm_free(s->latent);
    s->picture = s->back = s->latent = NULL;
}

static ldm_status allocate(stage *s, ldm_error *err)
{
    const size_t each = (size_t)s->m->latent_c * (size_t)s->side * (size_t)s->side;

    s->pixels = ldm_probe_pixels(s->m, s->side);
    s->picture = ldm_reallocarray(NULL, s->pixels, sizeof *s->picture);
    s->back = ldm_reallocarray(NULL, s->pixels, sizeof *s->back);
    s->latent = ldm_reallocarray(NULL, each, sizeof *s->latent);
    if (s->picture && s->back && s->latent)
        return LDM_OK;
    release(s);
    return ldm_error_nomem(err, s->pixels * sizeof *s->picture, "a picture");
}

static ldm_status measure_all(stage *s, ldm_error *err)
{
    ldm_status st = allocate(s, err);

    for (int i = 0; i < s->n && !st; i++)
        st = measure_picture(s, i, err);
    release(s);
    return st;
}

static double mean_of(const stage *s, unsigned choice)
{
    double sum = 0;

    for (int i = 0; i < s->n; i++)
        sum += s->log_error[choice][i] / s->n;
    return sum;
}

static unsigned best_of(const stage *s)
{
    unsigned best = 0;

    for (unsigned c = 1; c < CHOICES; c++) {
        if ((c & NO_CODEBOOK && !s->codebook) || mean_of(s, c) >= mean_of(s, best))
            continue;
        best = c;
    }
    return best;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

/* How much larger the error is without one of the best choice's bits. */
static ldm_margin without(const stage *s, unsigned best, unsigned bit)
{
    return ldm_margin_of(s->log_error[best ^ bit], s->log_error[best], s->n, 1);
}

/* Whether the best choice needs the bit: without it the error is larger by `least` in each of three
 * pictures and more, or in the mean and by four standard errors. A picture has thousands of values,
 * so that what it says by itself is no accident. */
static bool needs(const stage *s, unsigned best, unsigned bit, double least)
{
    const ldm_margin m = without(s, best, bit);
    bool each = s->n >= 3;

    if (!(best & bit))
        return false;
    for (int i = 0; i < s->n; i++)
        each &= s->log_error[best ^ bit][i] - s->log_error[best][i] > least;
    return each || (m.difference > least && m.sigmas > ldm_sigmas_needed);
}

static double sure_of(const ldm_margin *m)
{
    return m->sigmas > 2.5 ? ldm_search_sure(m) : 0.99; /* every picture said so */
}

static ldm_status add(const stage *s, const ldm_finding *f, ldm_error *err)
{
    return f->how ? ldm_doctor_add(s->d, f, err) : ldm_error_nomem(err, 0, "a finding");
}

static const char *larger(const stage *s, const ldm_margin *m, const char *what)
{
    return ldm_doctor_text(
        s->d,
        "%s: the error of pictures that went through the first stage is %.1f times as large "
        "with what was given (%.1f standard errors)",
        what, exp(m->difference), m->sigmas);
}

static ldm_status judge_tanh(const stage *s, unsigned best, ldm_error *err)
{
    const ldm_margin m = without(s, best, OTHER_TANH);
    const char *names[] = {"false", "true"};
    const char *given = names[s->tanh_given], *found = names[!s->tanh_given];
    char cure[LDM_PROBE_TEXT];

    if (!(best & OTHER_TANH))
        return LDM_OK;
    if (!needs(s, best, OTHER_TANH, ldm_worse))
        return add(s,
                   &(ldm_finding){.path = TANH,
                                  .given = given,
                                  .state = LDM_FINDING_UNDECIDED,
                                  .how = larger(s, &m, "the other may fit better")},
                   err);
    snprintf(cure, sizeof cure, TANH "=%s", found);
    return add(s,
               &(ldm_finding){.path = TANH,
                              .given = given,
                              .found = found,
                              .cure = cure,
                              .sure = sure_of(&m),
                              .state = LDM_FINDING_WRONG,
                              .how = larger(s, &m, found)},
               err);
}

static ldm_status judge_range(const stage *s, unsigned best, ldm_error *err)
{
    const ldm_margin m = without(s, best, UNIT_RANGE);

    if (!needs(s, best, UNIT_RANGE, ldm_worse))
        return LDM_OK;
    return add(s,
               &(ldm_finding){.path = "first_stage.value_range",
                              .given = "-1 to 1",
                              .found = "0 to 1",
                              .sure = sure_of(&m),
                              .state = LDM_FINDING_WRONG,
                              .how = larger(s, &m,
                                            "it was trained on pictures from 0 to 1; CompVis' code "
                                            "and ldm know -1 to 1, and no setting changes that")},
               err);
}

static ldm_status judge_codebook(const stage *s, unsigned best, ldm_error *err)
{
    const ldm_margin m = without(s, best, NO_CODEBOOK);

    if (!needs(s, best, NO_CODEBOOK, half))
        return LDM_OK;
    return add(s,
               &(ldm_finding){.path = "first_stage.codebook",
                              .given = "used",
                              .found = "not used",
                              .flag = "--no-quantize",
                              .sure = sure_of(&m),
                              .state = LDM_FINDING_WRONG,
                              .how = larger(s, &m, "the codebook is not this decoder's")},
               err);
}

static ldm_status judge(const stage *s, unsigned best, ldm_error *err)
{
    const ldm_margin range =
        ldm_margin_of(s->log_error[best ^ UNIT_RANGE], s->log_error[best], s->n, 1);
    ldm_status st = judge_tanh(s, best, err);

    if (!st)
        st = judge_range(s, best, err);
    if (!st)
        st = judge_codebook(s, best, err);
    if (st || best & (OTHER_TANH | UNIT_RANGE))
        return st;
    return add(
        s,
        &(ldm_finding){.path = "first_stage",
                       .found = "gives pictures back",
                       .sure = sure_of(&range),
                       .state = LDM_FINDING_RIGHT,
                       .how = ldm_doctor_text(
                           s->d,
                           "%.2g %% of the pictures' power is lost; %.0f times as much where they "
                           "go in as 0 to 1 in place of -1 to 1, and %.1f times with tanh_out %s",
                           100 * exp(mean_of(s, best)), exp(range.difference),
                           exp(mean_of(s, best ^ OTHER_TANH) - mean_of(s, best)),
                           s->tanh_given ? "false" : "true")},
        err);
}

static bool setting_is(const ldm_doctor *d, const char *path)
{
    const ldm_value *v = ldm_value_find(ldm_config_root(d->config), path);
    bool is = false;

    return v && !ldm_value_bool(v, &is, NULL) && is;
}

/* How much worse pictures come back with red and blue exchanged, by the best choice. */
static ldm_status measure_exchanged(stage *s, unsigned best, ldm_margin *exchanged, ldm_error *err)
{
    const ldm_picture_form form = {.unit_range = best & UNIT_RANGE, .bgr = true};
    double log_error[LDM_STAGE_PICTURES];
    ldm_status st = s->m->network->first_stage.in_channels == 3 ? allocate(s, err) : LDM_OK;

    *exchanged = (ldm_margin){0, 0};
    if (st || !s->picture)
        return st;
    for (int i = 0; i < s->n && !st; i++) {
        st = ldm_probe_planes(s->m, &s->d->images[i], s->side, s->picture, err);
        if (!st)
            st = through(s, form, !(best & NO_CODEBOOK), err);
        log_error[i] = st ? 0 : loss_of(s, best);
    }
    if (!st)
        *exchanged = ldm_margin_of(log_error, s->log_error[best], s->n, 1);
    release(s);
    return st;
}

ldm_status ldm_probe_stage(ldm_doctor *d, const ldm_model *m, int pictures, ldm_stage_report *out,
                           ldm_error *err)
{
    stage s = {.d = d,
               .m = m,
               .n = pictures < LDM_STAGE_PICTURES ? pictures : LDM_STAGE_PICTURES,
               .side = ldm_probe_side(d, m),
               .tanh_given = setting_is(d, TANH),
               .codebook = m->network->first_stage.codebook};
    unsigned best;
    ldm_status st = ldm_doctor_step(d, "pictures through the first stage", 0.05, err);

    *out = (ldm_stage_report){.lost = 1};
    if (!st)
        st = measure_all(&s, err);
    if (st)
        return st;
    best = best_of(&s);
    out->lost = exp(mean_of(&s, best));
    out->gives_back = out->lost < most_lost;
    if (!out->gives_back)
        return LDM_OK;
    out->form.unit_range = best & UNIT_RANGE;
    st = measure_exchanged(&s, best, &out->exchanged, err);
    return st ? st : judge(&s, best, err);
}
