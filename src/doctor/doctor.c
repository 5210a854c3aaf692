/* The examination: what the tensors show, what contradicts it, and then the probes. */
#include "doctor/probes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "engine/engine.h"

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

static bool copy_text(ldm_doctor *d, const char **text)
{
    if (!*text)
        return true;
    *text = ldm_arena_strdup(d->texts, *text);
    return *text != NULL;
}

ldm_status ldm_doctor_add(ldm_doctor *d, const ldm_finding *f, ldm_error *err)
{
    ldm_finding copy = *f;

    for (size_t i = 0; i < d->finding_count; i++) { /* what was measured replaces an assumption */
        if (!strcmp(d->findings[i].path, f->path) && d->findings[i].state != LDM_FINDING_WRONG &&
            f->state != LDM_FINDING_NOTE) {
            memmove(d->findings + i, d->findings + i + 1,
                    (--d->finding_count - i) * sizeof *d->findings);
            break;
        }
    }
    if (!ldm_grow(&d->findings, &d->finding_cap, d->finding_count + 1, sizeof *d->findings) ||
        !copy_text(d, &copy.path) || !copy_text(d, &copy.given) || !copy_text(d, &copy.found) ||
        !copy_text(d, &copy.place) || !copy_text(d, &copy.how) || !copy_text(d, &copy.cure) ||
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

/* ---- the file and its configuration ---------------------------------------------------------- */

/* The configuration that was given, laid over each other; or the one that the tensors show,
 * whatever that leaves open. */
static ldm_status open_config(ldm_doctor *d, ldm_error *err)
{
    const ldm_model_options *opt = d->opt;
    const char *ignored;
    bool is_default;
    ldm_str yaml = {0};
    ldm_status st;

    if (!opt->ckpt || opt->configs.count || opt->config_text)
        return ldm_layers_load(opt, d->texts, &d->config, &d->ckpt_path, &is_default, &ignored,
                               err);
    ldm_inference_yaml(d->inference, opt->ckpt, &yaml);
    st = yaml.failed ? ldm_error_nomem(err, 0, "the configuration") : LDM_OK;
    if (!st)
        st = ldm_config_create(&d->config, err);
    if (!st)
        st =
            ldm_config_load_text(d->config, "the inferred configuration", yaml.data, yaml.len, err);
    for (size_t i = 0; !st && i < opt->sets.count; i++)
        st = ldm_config_set(d->config, opt->sets.items[i], err);
    d->made = ldm_doctor_text(d, "no configuration was given: it is made from the tensors%s%s",
                              d->inference->family ? ", after " : "",
                              d->inference->family ? d->inference->family : "");
    ldm_str_free(&yaml);
    return st || d->made ? st : ldm_error_nomem(err, 0, "a note");
}

/* Keys as ldm.load.rename and the spellings of other trainers make them. */
static ldm_status open_ckpt(ldm_doctor *d, ldm_error *err)
{
    ldm_profile profile = {0};
    size_t renamed;
    ldm_status st = ldm_ckpt_open_any(d->ckpt_path, d->opt->first_stage, &d->ck, err);

    if (!st && d->config)
        st = ldm_profile_read(d->config, d->texts, &profile, err);
    if (!st && profile.rename_count)
        st = ldm_ckpt_rename(d->ck, profile.rename, profile.rename_count, &renamed, err);
    ldm_profile_free(&profile);
    return st ? st : ldm_ckpt_spell_keys(d->ck, err);
}

static ldm_status open_patient(ldm_doctor *d, ldm_error *err)
{
    const ldm_model_options *opt = d->opt;
    const bool given = !opt->ckpt || opt->configs.count || opt->config_text;
    ldm_status st = given ? open_config(d, err) : LDM_OK;

    if (!given)
        d->ckpt_path = opt->ckpt;
    if (!st)
        st = open_ckpt(d, err);
    if (!st)
        st = ldm_infer(d->ck, &d->inference, err);
    return st || given ? st : open_config(d, err);
}

/* ---- what contradicts the tensors ------------------------------------------------------------ */

static const char *place_of(ldm_doctor *d, const ldm_origin *o)
{
    const char *slash = o->source ? strrchr(o->source, '/') : NULL;

    if (!o->source)
        return NULL;
    return o->line ? ldm_doctor_text(d, "%s:%d", slash ? slash + 1 : o->source, o->line)
                   : o->source;
}

static ldm_status add_contradiction(ldm_doctor *d, const ldm_contradiction *c, ldm_error *err)
{
    ldm_finding f = {.path = c->path, .found = c->found, .sure = 1, .state = LDM_FINDING_WRONG};

    f.place = place_of(d, &c->origin);
    f.given = c->given      ? c->given
              : c->fallback ? ldm_doctor_text(d, "%s (default)", c->fallback)
                            : NULL;
    f.how = ldm_doctor_text(d, "%s %s it%s",
                            c->from == LDM_INFER_BUFFER ? "the values of the file's buffers"
                                                        : "names and shapes of the tensors",
                            c->from == LDM_INFER_BUFFER ? "give" : "show",
                            c->obeyed ? "; a run takes the file's schedule in any case" : "");
    f.cure = ldm_doctor_text(d, "%s=%s", c->path, c->found);
    if (!f.how || !f.cure)
        return ldm_error_nomem(err, 0, "a finding");
    return ldm_doctor_add(d, &f, err);
}

static ldm_status find_contradictions(ldm_doctor *d, ldm_error *err)
{
    ldm_contradiction *list;
    size_t count;
    ldm_status st = ldm_infer_compare(d->inference, d->config, d->texts, &list, &count, err);

    for (size_t i = 0; !st && i < count; i++)
        st = add_contradiction(d, &list[i], err);
    for (size_t i = 0; !st && i < d->inference->problem_count; i++)
        st = ldm_doctor_add(d,
                            &(ldm_finding){.path = "checkpoint",
                                           .how = d->inference->problems[i],
                                           .state = LDM_FINDING_NOTE},
                            err);
    return st;
}

/* The settings of a made configuration that only published models have, until a probe says more. */
static ldm_status list_assumed(ldm_doctor *d, ldm_error *err)
{
    ldm_status st = LDM_OK;

    for (size_t i = 0; !st && d->made && i < d->inference->count; i++) {
        const ldm_infer_setting *s = &d->inference->settings[i];
        const bool sized = strstr(s->path, "image_size") || strstr(s->path, "resolution");
        const double sure[] = {1, 1, 0.95, 0.9, 0.6, 0.3};
        ldm_finding f = {.path = s->path,
                         .found = s->from == LDM_INFER_OPEN ? NULL : s->value,
                         .sure = sure[s->from],
                         .how = ldm_doctor_text(d, "%s%s%s", ldm_infer_from_text(s->from),
                                                s->how ? ": " : "", s->how ? s->how : ""),
                         .state =
                             s->from == LDM_INFER_OPEN ? LDM_FINDING_UNDECIDED : LDM_FINDING_RIGHT};

        if (s->from < LDM_INFER_META || sized)
            continue;
        st = f.how ? ldm_doctor_add(d, &f, err) : ldm_error_nomem(err, 0, "a finding");
    }
    return st;
}

/* ---- the run --------------------------------------------------------------------------------- */

static ldm_status probe(ldm_doctor *d, ldm_error *err)
{
    double fresh;
    ldm_status st = ldm_doctor_step(d, "reading the weights", 0.02, err);

    if (!st)
        st = ldm_probe_weights(d, &fresh, err);
    if (!st && d->inference->whole)
        st = ldm_probe_settings(d, fresh, err);
    return st;
}

static ldm_status examine(ldm_doctor *d, ldm_error *err)
{
    ldm_status st = ldm_doctor_step(d, "reading names and shapes", 0, err);

    if (!st)
        st = open_patient(d, err);
    if (!st)
        st = find_contradictions(d, err);
    if (!st)
        st = list_assumed(d, err);
    if (!st && !d->inference->whole && !d->inference->problem_count) {
        d->reason = ldm_doctor_text(d, "the file holds %s%s", d->inference->kind,
                                    strstr(d->inference->kind, "UNet")
                                        ? "; --first-stage lays another file's over it"
                                        : "");
        st = d->reason ? LDM_OK : ldm_error_nomem(err, 0, "a text");
    }
    return st || d->quick ? st : probe(d, err);
}

ldm_status ldm_doctor_run(ldm_doctor *d, ldm_error *err)
{
    const double begin = ldm_seconds();
    ldm_status st;

    LDM_REQUIRE(d, "d", err);
    if (d->ran)
        return ldm_error_set(err, LDM_ERR_USAGE, "a doctor examines once");
    d->ran = true;
    st = examine(d, err);
    d->seconds = ldm_seconds() - begin;
    return st;
}

ldm_verdict ldm_doctor_get_verdict(const ldm_doctor *d)
{
    ldm_verdict v = LDM_VERDICT_HEALTHY;

    for (size_t i = 0; d && i < d->finding_count; i++) {
        if (d->findings[i].state == LDM_FINDING_WRONG)
            return LDM_VERDICT_CHANGE;
        if (d->findings[i].state == LDM_FINDING_UNDECIDED)
            v = LDM_VERDICT_UNDECIDED;
    }
    if (d && d->untrained)
        return LDM_VERDICT_UNTRAINED;
    return d && d->reason && v == LDM_VERDICT_HEALTHY ? LDM_VERDICT_UNDECIDED : v;
}

static const char *nth(const ldm_doctor *d, size_t n, bool flag)
{
    for (size_t i = 0; d && i < d->finding_count; i++) {
        const char *text = flag ? d->findings[i].flag : d->findings[i].cure;

        if (text && d->findings[i].state == LDM_FINDING_WRONG && !n--)
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

/* ---- the corrected configuration ------------------------------------------------------------- */

/* The text that was given, where it is one file; else the tree as text. */
static ldm_status base_text(const ldm_doctor *d, char **text, const char **name, size_t *sets,
                            ldm_error *err)
{
    enum { LIMIT = 4 << 20 };
    ldm_str tree = {0};
    size_t size;

    *name = "the configuration";
    *sets = 0;
    if (d->opt->ckpt && d->opt->configs.count == 1 && !d->opt->config_text) {
        *name = d->opt->configs.items[0];
        *sets = d->opt->sets.count;
        return ldm_file_read(*name, LIMIT, text, &size, err);
    }
    if (d->made)
        ldm_inference_yaml(d->inference, d->ckpt_path, &tree);
    else
        ldm_config_emit(d->config, &tree);
    if (tree.failed)
        return ldm_error_nomem(err, 0, "the configuration");
    if (d->made)
        *sets = d->opt->sets.count;
    *text = tree.data;
    return LDM_OK;
}

ldm_status ldm_doctor_config(const ldm_doctor *d, bool cured, char **yaml, ldm_error *err)
{
    const char *name, *cure, **list = NULL;
    size_t cap = 0, count = 0, sets;
    char *text = NULL;
    ldm_str out = {0};
    ldm_status st;

    LDM_REQUIRE(yaml, "yaml", err);
    *yaml = NULL;
    LDM_REQUIRE(d, "d", err);
    if (!d->config)
        return ldm_error_set(err, LDM_ERR_USAGE, "nothing was examined");
    st = base_text(d, &text, &name, &sets, err);
    for (size_t i = 0; !st; i++) {
        cure = i < sets ? d->opt->sets.items[i] : cured ? ldm_doctor_cure(d, i - sets) : NULL;
        if (!cure)
            break;
        if (!ldm_grow(&list, &cap, count + 1, sizeof *list))
            st = ldm_error_nomem(err, 0, "the configuration");
        else
            list[count++] = cure;
    }
    if (!st)
        st = ldm_yaml_edit(name, text, list, count, &out, err);
    if (!st && out.failed)
        st = ldm_error_nomem(err, 0, "the configuration");
    if (st)
        ldm_str_free(&out);
    *yaml = out.data;
    ldm_free(text);
    ldm_free((void *)list);
    return st;
}
