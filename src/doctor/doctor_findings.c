/* SPDX-License-Identifier: MIT */
/* A doctor's findings: making one, and what it says. */
#include "doctor/doctor_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

const char *ldm_verdict_name(ldm_verdict v)
{
    static const char *const names[] = {"healthy", "change", "undecided", "untrained"};

    return v >= LDM_VERDICT_HEALTHY && v <= LDM_VERDICT_UNTRAINED ? names[v] : "";
}

/* ---- making and keeping ---------------------------------------------------------------------- */

ldm_status ldm_doctor_create(const ldm_model_options *opt, ldm_doctor **out, ldm_error *err)
{
    ldm_doctor *d;
    ldm_status st;

    LDM_REQUIRE(out, "out", err);
    *out = NULL;
    d = ldm_calloc(1, sizeof *d);
    if (!d)
        return ldm_error_nomem(err, sizeof *d, "the doctor");
    d->texts = ldm_arena_create(0);
    st = d->texts ? LDM_OK : ldm_error_nomem(err, 0, "the doctor");
    if (!st)
        st = opt ? ldm_model_options_copy(opt, &d->opt, err)
                 : ldm_model_options_create(&d->opt, err);
    if (st) {
        ldm_doctor_free(d);
        return st;
    }
    *out = d;
    return LDM_OK;
}

void ldm_doctor_free(ldm_doctor *d)
{
    if (!d)
        return;
    ldm_model_options_free(d->opt);
    ldm_inference_free(d->inference);
    ldm_ckpt_close(d->ck);
    ldm_config_free(d->config);
    ldm_config_free(d->cured);
    for (size_t i = 0; i < d->image_count; i++)
        ldm_free(d->images[i].pixels);
    ldm_free(d->findings);
    ldm_arena_free(d->texts);
    ldm_free(d);
}

ldm_status ldm_doctor_add_image(ldm_doctor *d, const ldm_image *im, ldm_error *err)
{
    ldm_image *copy;
    size_t bytes;

    LDM_REQUIRE(d, "d", err);
    LDM_REQUIRE(im, "im", err);
    LDM_REQUIRE(im->pixels, "im->pixels", err);
    if (im->width < 1 || im->height < 1 || (im->channels != 1 && im->channels != 3))
        return ldm_error_set(err, LDM_ERR_USAGE, "the picture is %d x %d with %d channels",
                             im->width, im->height, im->channels);
    if (d->image_count == LDM_DOCTOR_IMAGES)
        return LDM_OK;
    bytes = (size_t)im->width * (size_t)im->height * (size_t)im->channels;
    copy = &d->images[d->image_count];
    *copy = *im;
    copy->pixels = ldm_malloc(bytes);
    if (!copy->pixels)
        return ldm_error_nomem(err, bytes, "a picture");
    memcpy(copy->pixels, im->pixels, bytes);
    d->image_count++;
    return LDM_OK;
}

void ldm_doctor_set_progress(ldm_doctor *d, int (*fn)(void *ctx, const char *what, double done),
                             void *ctx)
{
    if (!d)
        return;
    d->progress = fn;
    d->ctx = ctx;
}

void ldm_doctor_set_quick(ldm_doctor *d, bool quick)
{
    if (d)
        d->quick = quick;
}

const char *ldm_doctor_text(ldm_doctor *d, const char *fmt, ...)
{
    const char *copy = NULL;
    ldm_str s = {0};
    va_list ap;

    va_start(ap, fmt);
    ldm_str_vprintf(&s, fmt, ap);
    va_end(ap);
    if (!s.failed)
        copy = ldm_arena_strdup(d->texts, s.data ? s.data : "");
    ldm_str_free(&s);
    return copy;
}

const char *ldm_doctor_place(ldm_doctor *d, const ldm_origin *o)
{
    const char *slash = o->source ? strrchr(o->source, '/') : NULL;

    if (!o->source)
        return NULL;
    return o->line ? ldm_doctor_text(d, "%s:%d", slash ? slash + 1 : o->source, o->line)
                   : o->source;
}

bool ldm_doctor_size_is_open(const ldm_doctor *d)
{
    const ldm_infer_setting *s = ldm_inference_find(d->inference, "model.params.image_size");

    for (size_t i = 0; i < d->opt->sets.count; i++) {
        if (strstr(d->opt->sets.items[i], "image_size=")) /* the UNet's, or the model's */
            return false;
    }
    return d->made && s && s->from >= LDM_INFER_ASSUMED;
}

static bool copy_text(ldm_doctor *d, const char **text)
{
    if (!*text)
        return true;
    *text = ldm_arena_strdup(d->texts, *text);
    return *text != NULL;
}

/* Whether a finding is of what an earlier one was of. The number of heads that was assumed says
 * nothing any more where their width was measured, which takes precedence. */
static bool same_matter(const ldm_doctor *d, const ldm_finding *earlier, const ldm_finding *f)
{
    static const char unet[] = "model.params.unet_config.params.";
    const size_t len = strlen(unet);

    if (!strcmp(earlier->path, f->path))
        return true;
    return d->made && !strncmp(earlier->path, unet, len) && !strncmp(f->path, unet, len) &&
           !strcmp(earlier->path + len, "num_heads") && !strcmp(f->path + len, "num_head_channels");
}

ldm_status ldm_doctor_add(ldm_doctor *d, const ldm_finding *f, ldm_error *err)
{
    ldm_finding copy = *f;

    for (size_t i = 0; i < d->finding_count; i++) { /* what was measured replaces an assumption */
        if (same_matter(d, &d->findings[i], f) && d->findings[i].state != LDM_FINDING_WRONG &&
            f->state != LDM_FINDING_NOTE) {
            memmove(d->findings + i, d->findings + i + 1,
                    (--d->finding_count - i) * sizeof *d->findings);
            break;
        }
    }
    if (!ldm_grow(&d->findings, &d->finding_cap, d->finding_count + 1, sizeof *d->findings) ||
        !copy_text(d, &copy.path) || !copy_text(d, &copy.given) || !copy_text(d, &copy.found) ||
        !copy_text(d, &copy.place) || !copy_text(d, &copy.how) || !copy_text(d, &copy.cure) ||
        !copy_text(d, &copy.before[0]) || !copy_text(d, &copy.before[1]) ||
        !copy_text(d, &copy.flag))
        return ldm_error_nomem(err, 0, "a finding");
    d->findings[d->finding_count++] = copy;
    return LDM_OK;
}

ldm_status ldm_doctor_step(ldm_doctor *d, const char *what, double done, ldm_error *err)
{
    if (d->progress && d->progress(d->ctx, what, done))
        return ldm_error_set(err, LDM_ERR_CANCELLED, "the examination was ended");
    return LDM_OK;
}

ldm_verdict ldm_doctor_get_verdict(const ldm_doctor *d)
{
    ldm_verdict v = LDM_VERDICT_HEALTHY;

    if (!d || !d->examined)
        return LDM_VERDICT_UNDECIDED;
    for (size_t i = 0; i < d->finding_count; i++) {
        if (d->findings[i].state == LDM_FINDING_WRONG)
            return LDM_VERDICT_CHANGE;
        if (d->findings[i].state == LDM_FINDING_UNDECIDED)
            v = LDM_VERDICT_UNDECIDED;
    }
    if (d->untrained)
        return LDM_VERDICT_UNTRAINED;
    return d->reason && !d->fits && v == LDM_VERDICT_HEALTHY ? LDM_VERDICT_UNDECIDED : v;
}

static const char *nth(const ldm_doctor *d, size_t n, bool flag)
{
    for (size_t i = 0; d && i < d->finding_count; i++) {
        const ldm_finding *f = &d->findings[i];
        const char *text = flag ? f->flag : f->cure;

        if (!text || f->state != LDM_FINDING_WRONG)
            continue;
        for (size_t k = 0; !flag && k < sizeof f->before / sizeof *f->before; k++) {
            if (f->before[k] && !n--)
                return f->before[k];
        }
        if (!n--)
            return text;
    }
    return NULL;
}

const char *ldm_doctor_cure(const ldm_doctor *d, size_t i)
{
    return nth(d, i, false);
}

const char *ldm_doctor_flag(const ldm_doctor *d, size_t i)
{
    return nth(d, i, true);
}
