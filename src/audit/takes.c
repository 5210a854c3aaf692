/* SPDX-License-Identifier: MIT */
/* What a model is conditioned on: which options give it, what reaches the UNet, the guidance scale
 * that counts unless another is given, and whether the text encoder in the file has the size of the
 * published one that the configuration names. */
#include "audit/takes.h"

#include <string.h>

#include "audit/internal.h"

enum { HEADS_OF = 64 };

static const ldm_conditioner *first(const ldm_network *s)
{
    return s->conditioner_count ? s->conditioners : NULL;
}

static void add(ldm_conditions_found *f, const char *option, const char *what, int entries)
{
    f->takes[f->count++] = (ldm_condition){option, what, entries};
}

static void add_concat(const ldm_network *s, ldm_conditions_found *f)
{
    const ldm_concat_kind kind = s->unet_inputs.concat_kind;

    switch (kind) {
    case LDM_CONCAT_NONE:
        if (s->unet_inputs.concat)
            add(f, "concat", "an array of the latent's size", 0);
        break;
    case LDM_CONCAT_PICTURE:
    case LDM_CONCAT_MASK_LAST:
    case LDM_CONCAT_MASK_FIRST:
        add(f, "image", "a picture", 0);
        if (kind != LDM_CONCAT_PICTURE)
            add(f, "mask", "where it is painted", 0);
        break;
    case LDM_CONCAT_LOW:
        add(f, "image", "a picture of the latent's size", 0);
        break;
    case LDM_CONCAT_LOW_NOISED:
        add(f, "image", "a picture to enlarge", 0);
        break;
    case LDM_CONCAT_MAP:
        add(f, "segmentation", "a map of labels", first(s)->channels_in);
        break;
    }
    if (s->low_scale.present)
        add(f, "noise-level", "how much noise it gets", s->low_scale.max_noise_level);
}

static void add_context(const ldm_network *s, ldm_conditions_found *f)
{
    const ldm_conditioner *c = first(s);

    if (!c || !s->unet_inputs.context_width)
        return;
    if (c->takes == LDM_COND_TAKES_CLASS)
        add(f, "class", "a class", c->entries);
    else if (ldm_network_reads_text(s))
        add(f, "prompt", "a text", 0);
    else if (c->takes == LDM_COND_TAKES_TOKENS)
        add(f, "layout", "boxes with classes, or token ids", c->entries);
}

double ldm_audit_scale(const ldm_config *cfg)
{
    const ldm_value *v = ldm_value_find(ldm_config_root(cfg), "ldm.sampling.scale");
    double scale = 0;

    return v && !ldm_value_double(v, &scale, NULL) && scale > 0 ? scale : 0;
}

void ldm_audit_find_conditions(const ldm_network *s, ldm_conditions_found *f)
{
    const ldm_conditioner *c = first(s);

    *f = (ldm_conditions_found){0};
    add_context(s, f);
    add_concat(s, f);
    if (s->unet_inputs.classes && !s->low_scale.present)
        add(f, "class", "a class", s->unet_inputs.classes);
    else if (s->unet_inputs.labels && !s->low_scale.present)
        add(f, "labels", "numbers for label_emb", 0);
    if (c && s->unet_inputs.context_width)
        f->guidance = c->scale;
    if (c && c->published) {
        f->tower = c;
        f->tower_differs =
            c->context_width != c->published_width || c->layers != c->published_layers;
    }
}

/* ---- text ------------------------------------------------------------------------------------ */

static void put_line(ldm_str *out, size_t width, const char *name, const char *text)
{
    enum { COLUMN = 14 };

    ldm_str_printf(out, "  %-11s ", name);
    ldm_audit_put_wrapped(out, width, COLUMN, COLUMN, text);
}

/* "a text (--prompt), a class from 0 to 9 (--class)" */
static void put_takes(const ldm_conditions_found *f, ldm_str *out)
{
    int i;

    if (!f->count)
        ldm_str_puts(out, "nothing: it is unconditional");
    for (i = 0; i < f->count; i++) {
        const ldm_condition *c = &f->takes[i];

        ldm_str_printf(out, "%s%s", i ? ", " : "", c->what);
        if (c->entries)
            ldm_str_printf(out, ", 0 to %d", c->entries - 1);
        ldm_str_printf(out, " (--%s)", c->option);
    }
}

static void put_inputs(const ldm_unet_inputs *in, ldm_str *out)
{
    ldm_str_printf(out, "a latent of %d channels", in->latent);
    if (in->concat)
        ldm_str_printf(out, ", %d channels after them (concat)", in->concat);
    if (in->context_width)
        ldm_str_printf(out, ", a context of %d x %d numbers (cross-attention)", in->context_tokens,
                       in->context_width);
    if (in->classes)
        ldm_str_printf(out, ", a label from 0 to %d (label_emb)", in->classes - 1);
    else if (in->labels)
        ldm_str_printf(out, ", a label of %d number%s (label_emb)", in->labels,
                       in->labels == 1 ? "" : "s");
}

static void put_tower(const ldm_conditions_found *f, ldm_str *out)
{
    const ldm_conditioner *c = f->tower;

    ldm_str_printf(out, "%d layers of width %d, %d heads of %d; ", c->layers, c->context_width,
                   c->context_width / HEADS_OF, HEADS_OF);
    if (f->tower_differs)
        ldm_str_printf(out, "another size than %s, which has %d of width %d", c->published,
                       c->published_layers, c->published_width);
    else
        ldm_str_printf(out, "the size of %s", c->published);
}

void ldm_audit_put_conditions(const ldm_network *s, double scale, size_t width, ldm_str *out)
{
    ldm_conditions_found f;
    ldm_str text = {0};

    ldm_audit_find_conditions(s, &f);
    put_takes(&f, &text);
    put_line(out, width, "takes", text.data ? text.data : "");
    text.len = 0;
    put_inputs(&s->unet_inputs, &text);
    put_line(out, width, "UNet reads", text.data ? text.data : "");
    if (f.guidance > 0) {
        text.len = 0;
        ldm_str_printf(&text, "%g%s, unless --scale says otherwise", scale > 0 ? scale : f.guidance,
                       scale > 0 ? " (ldm.sampling.scale)" : "");
        put_line(out, width, "guidance", text.data ? text.data : "");
    }
    if (f.tower) {
        text.len = 0;
        put_tower(&f, &text);
        put_line(out, width, "text", text.data ? text.data : "");
    }
    out->failed |= text.failed;
    ldm_str_free(&text);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *takes_json(ldm_json *j, const ldm_conditions_found *f)
{
    json_t *all = json_array();
    int i;

    for (i = 0; i < f->count; i++)
        ldm_audit_json_add(j, all, ldm_json_text(f->takes[i].option));
    return all;
}

static json_t *details_json(ldm_json *j, const ldm_conditions_found *f)
{
    json_t *all = json_object();
    int i;

    for (i = 0; i < f->count; i++) {
        json_t *o = json_object();

        ldm_audit_json_set(j, o, "what", ldm_json_text(f->takes[i].what));
        if (f->takes[i].entries) {
            ldm_audit_json_set(j, o, "from", json_integer(0));
            ldm_audit_json_set(j, o, "to", json_integer(f->takes[i].entries - 1));
        }
        ldm_audit_json_set(j, all, f->takes[i].option, o);
    }
    return all;
}

static json_t *inputs_json(ldm_json *j, const ldm_unet_inputs *in)
{
    json_t *o = json_object(), *context = json_null();

    if (in->context_width) {
        context = json_object();
        ldm_audit_json_set(j, context, "tokens", json_integer(in->context_tokens));
        ldm_audit_json_set(j, context, "width", json_integer(in->context_width));
    }
    ldm_audit_json_set(j, o, "latent", json_integer(in->latent));
    ldm_audit_json_set(j, o, "concat", json_integer(in->concat));
    ldm_audit_json_set(j, o, "context", context);
    ldm_audit_json_set(j, o, "labels", json_integer(in->labels));
    ldm_audit_json_set(j, o, "classes", in->classes ? json_integer(in->classes) : json_null());
    return o;
}

static json_t *tower_json(ldm_json *j, const ldm_conditions_found *f)
{
    const ldm_conditioner *c = f->tower;
    json_t *o;

    if (!c)
        return json_null();
    o = json_object();
    ldm_audit_json_set(j, o, "target", ldm_json_text(c->target));
    ldm_audit_json_set(j, o, "width", json_integer(c->context_width));
    ldm_audit_json_set(j, o, "layers", json_integer(c->layers));
    ldm_audit_json_set(j, o, "heads", json_integer(c->context_width / HEADS_OF));
    ldm_audit_json_set(j, o, "published", ldm_json_text(c->published));
    ldm_audit_json_set(j, o, "published_width", json_integer(c->published_width));
    ldm_audit_json_set(j, o, "published_layers", json_integer(c->published_layers));
    ldm_audit_json_set(j, o, "is_published_size", json_boolean(!f->tower_differs));
    return o;
}

json_t *ldm_audit_conditions_json(const ldm_network *s, double scale, ldm_json *j)
{
    const ldm_conditioner *c = first(s);
    ldm_conditions_found f;
    json_t *o = json_object();

    ldm_audit_find_conditions(s, &f);
    ldm_audit_json_set(j, o, "takes", takes_json(j, &f));
    ldm_audit_json_set(j, o, "details", details_json(j, &f));
    ldm_audit_json_set(j, o, "conditioner", c ? ldm_json_text(c->target) : json_null());
    ldm_audit_json_set(j, o, "vocabulary",
                       c && c->vocabulary ? ldm_json_text(c->vocabulary) : json_null());
    ldm_audit_json_set(j, o, "unet", inputs_json(j, &s->unet_inputs));
    if (f.guidance > 0 && scale > 0)
        f.guidance = scale;
    ldm_audit_json_set(j, o, "guidance", f.guidance > 0 ? ldm_json_real(f.guidance) : json_null());
    ldm_audit_json_set(j, o, "text_encoder", tower_json(j, &f));
    return o;
}
