/* SPDX-License-Identifier: MIT */
/* What a comparison comes to, what it warns of, and how it was made. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/str.h"
#include "cli/compare/compare.h"

static void add(json_t *list, char *text)
{
    if (text)
        json_array_append_new(list, ldm_json_text(text));
    free(text);
}

/* ---- conclusion ------------------------------------------------------------------------------ */

/* "B's pictures are A's" or how far they are from them. */
static void add_pairs(json_t *list, const ldm_compare *c)
{
    const ldm_cmp_pair_summary s = ldm_cmp_summarise_pairs(c);
    const bool same_settings = !json_array_size(c->difference);
    char psnr[32], latent[32];

    if (!s.both)
        return;
    ldm_cmp_number(s.psnr, psnr, sizeof psnr);
    ldm_cmp_number(s.latent, latent, sizeof latent);
    if (s.equal == s.both)
        add(list, ldm_cli_format("All %zu pictures are equal, byte by byte%s.", s.both,
                                 same_settings ? "" : ": what differs changes no picture here"));
    else if (isnan(s.psnr))
        add(list, strdup("The pictures of the two sides differ in size."));
    else if (!s.equal)
        add(list,
            ldm_cli_format("No picture is equal to that of the same seed on the other side: the "
                           "median PSNR is %s dB, the median latent distance %s.",
                           psnr, latent));
    else
        add(list, ldm_cli_format("%zu of %zu pictures are equal; of the others the median PSNR is "
                                 "%s dB, the median latent distance %s.",
                                 s.equal, s.both, psnr, latent));
}

static void add_random(json_t *list, const ldm_cmp_side *s)
{
    const json_int_t n = json_integer_value(json_object_get(s->audit, "initialised"));

    if (n)
        add(list, ldm_cli_format("%s lacks %d tensors that a run reads, and fills them at random: "
                                 "its pictures say nothing about its other settings.",
                                 s->title, (int)n));
}

static void add_faces(json_t *list, const ldm_compare *c)
{
    const ldm_cmp_side *more = &c->a, *less = &c->b;

    if (isnan(c->a.sum.face_share) || isnan(c->b.sum.face_share))
        return;
    if (c->a.sum.face_share < c->b.sum.face_share) {
        more = &c->b;
        less = &c->a;
    }
    if (more->sum.face_share > less->sum.face_share)
        add(list, ldm_cli_format("%s: the detector finds a face in %.0f %% of the pictures; %s: in "
                                 "%.0f %%.",
                                 more->title, 100 * more->sum.face_share, less->title,
                                 100 * less->sum.face_share));
    else
        add(list, ldm_cli_format("The detector finds a face in %.0f %% of the pictures of either "
                                 "side.",
                                 100 * more->sum.face_share));
}

static void add_distance(json_t *list, const ldm_compare *c)
{
    const bool a_nearer = c->a.sum.frechet < c->b.sum.frechet;
    const ldm_cmp_side *near = a_nearer ? &c->a : &c->b, *far = a_nearer ? &c->b : &c->a;
    const double clearly = 1.5; /* times: other seeds of few pictures move a distance by less */
    char x[32], y[32];

    if (isnan(c->a.sum.frechet) || isnan(c->b.sum.frechet) || near->sum.frechet == far->sum.frechet)
        return;
    if (c->a.count < LDM_CMP_FEW && far->sum.frechet < clearly * near->sum.frechet) {
        add(list,
            ldm_cli_format("Which side is nearer to the training set %zu picture%s cannot tell: "
                           "Frechet distance of %s %s, of %s %s (%d or more tell).",
                           c->a.count, c->a.count == 1 ? "" : "s", near->title,
                           ldm_cmp_number(near->sum.frechet, x, sizeof x), far->title,
                           ldm_cmp_number(far->sum.frechet, y, sizeof y), LDM_CMP_FEW));
        return;
    }
    add(list,
        ldm_cli_format("%s is nearer to the training set: Frechet distance %s, %s %s (less is "
                       "better).",
                       near->title, ldm_cmp_number(near->sum.frechet, x, sizeof x), far->title,
                       ldm_cmp_number(far->sum.frechet, y, sizeof y)));
}

/* What the ablation found: the changes that change no picture, and the one that costs most. */
static void add_findings(json_t *list, const ldm_compare *c)
{
    const ldm_cmp_variant *worst = NULL, *farthest = NULL;
    const ldm_cmp_summary *b = &c->b.sum;
    char *none = NULL, *longer, x[32], y[32];
    size_t i;

    for (i = 0; i < c->variant_count; i++) {
        const ldm_cmp_variant *v = &c->variants[i];
        const ldm_cmp_summary *s = &v->side.sum;

        if (v->side.failure)
            continue;
        if (v->same == v->side.count) {
            longer = ldm_cli_format("%s%s%s", none ? none : "", none ? ", " : "", v->name);
            free(none);
            none = longer;
        }
        if (s->face_share < b->face_share && (!worst || s->face_share < worst->side.sum.face_share))
            worst = v;
        if (s->frechet > b->frechet && (!farthest || s->frechet > farthest->side.sum.frechet))
            farthest = v;
    }
    if (none)
        add(list, ldm_cli_format("These change no picture at all: %s.", none));
    free(none);
    if (worst)
        add(list,
            ldm_cli_format("Alone, %s costs the most faces: from %.0f %% to %.0f %%.", worst->name,
                           100 * b->face_share, 100 * worst->side.sum.face_share));
    if (farthest)
        add(list,
            ldm_cli_format("Alone, %s moves the pictures farthest from the training set: "
                           "Frechet distance %s in place of %s.",
                           farthest->name, ldm_cmp_number(farthest->side.sum.frechet, x, sizeof x),
                           ldm_cmp_number(b->frechet, y, sizeof y)));
}

json_t *ldm_cmp_conclusion(const ldm_compare *c)
{
    json_t *list = json_array();
    const size_t failed = c->a.sum.failed + c->b.sum.failed;

    if (!list)
        return NULL;
    if (!json_array_size(c->difference))
        add(list, strdup("Both configurations say the same: no setting differs."));
    add_random(list, &c->a);
    add_random(list, &c->b);
    add_faces(list, c);
    add_distance(list, c);
    add_pairs(list, c);
    if (c->variant_count)
        add_findings(list, c);
    if (failed)
        add(list, ldm_cli_format("%zu of %zu pictures failed.", failed, c->a.count + c->b.count));
    return list;
}

/* ---- warnings -------------------------------------------------------------------------------- */

static bool holds(const json_t *list, const json_t *text)
{
    const json_t *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        if (json_equal(one, text))
            return true;
    }
    return false;
}

/* The warnings of one side; one that both have is said with the first. */
static void add_warnings(json_t *list, const ldm_cmp_side *s, const ldm_cmp_side *other, bool first)
{
    static const char mark[] = "warning: ";
    const json_t *note;
    size_t i;

    json_array_foreach(s->notes, i, note)
    {
        const char *text = json_string_value(note);
        const bool both = holds(other->notes, note);

        if (!text || strncmp(text, mark, strlen(mark)) || (both && !first))
            continue;
        add(list, ldm_cli_format("%s%s%s: %s", s->title, both ? " and " : "",
                                 both ? other->title : "", text + strlen(mark)));
    }
}

static bool differs(const ldm_compare *c, const char *key)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(c->difference, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "key"));

        if (name && !strcmp(name, key))
            return true;
    }
    return false;
}

/* What a side's layer says and nothing reads, as num_heads where the common configuration's
 * num_head_channels goes before it. Of a whole configuration: what the other side says otherwise.
 */
static void add_idle(json_t *list, const ldm_compare *c, const ldm_cmp_side *s)
{
    const json_t *keys = json_object_get(s->audit, "config_keys"), *entry;
    size_t i;

    json_array_foreach(keys, i, entry)
    {
        const char *key = json_string_value(json_object_get(entry, "key"));
        const char *file = json_string_value(json_object_get(entry, "file"));
        const char *status = json_string_value(json_object_get(entry, "status"));

        if (!key || !file || !status || strcmp(file, s->layer) || strcmp(status, "no effect") ||
            (s->whole && !differs(c, key)))
            continue;
        add(list, ldm_cli_format("%s: %s is set, and has no effect here: %s", s->title, key,
                                 json_string_value(json_object_get(entry, "reason"))));
    }
}

json_t *ldm_cmp_warnings(const ldm_compare *c)
{
    json_t *list = json_array();

    if (!list)
        return NULL;
    add_warnings(list, &c->a, &c->b, true);
    add_warnings(list, &c->b, &c->a, false);
    add_idle(list, c, &c->a);
    add_idle(list, c, &c->b);
    return list;
}

/* ---- how it was made ------------------------------------------------------------------------- */

/* The processor's name as Linux tells it; "" where it does not. */
static void processor(char *buf, size_t size)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");

    buf[0] = '\0';
    while (f && fgets(line, sizeof line, f)) {
        char *name = strncmp(line, "model name", 10) ? NULL : strchr(line, ':');

        if (!name)
            continue;
        name += 1 + strspn(name + 1, " ");
        snprintf(buf, size, "%.*s, ", (int)strcspn(name, "\n"), name);
        break;
    }
    if (f)
        fclose(f);
}

static void put(json_t *list, const char *name, char *text)
{
    json_t *row = json_array();

    if (text && row) {
        json_array_append_new(row, json_string(name));
        json_array_append_new(row, ldm_json_text(text));
        json_array_append(list, row);
    }
    json_decref(row);
    free(text);
}

json_t *ldm_cmp_provenance(const ldm_compare *c)
{
    const json_t *file = json_object_get(c->a.audit, "checkpoint");
    const char *path = json_string_value(json_object_get(file, "path"));
    const char *slash = path ? strrchr(path, '/') : NULL;
    json_t *list = json_array();
    char cpu[192], time[48];

    if (!list)
        return NULL;
    processor(cpu, sizeof cpu);
    ldm_cli_duration(c->seconds, time, sizeof time);
    put(list, "command", ldm_cli_format("%s", c->command));
    put(list, "date", ldm_cli_format("%s, took %s", c->date, time));
    put(list, "checkpoint",
        ldm_cli_format("%s (%s), SHA-256 %s",
                       slash  ? slash + 1
                       : path ? path
                              : "?",
                       ldm_model_ckpt(c->o->to.model) ? "given" : "the shipped model",
                       c->a.sha256 ? c->a.sha256 : "unknown"));
    put(list, "machine",
        ldm_cli_format("%s%d thread%s, %s kernels, %s", cpu, c->a.threads,
                       c->a.threads == 1 ? "" : "s", c->a.isa, c->a.precision));
    put(list, "program", ldm_cli_format("ldm %s", ldm_version()));
    return list;
}
