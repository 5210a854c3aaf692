/* SPDX-License-Identifier: MIT */
/* A configuration that was given, against what the tensors show. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/infer_private.h"

typedef enum row_kind {
    PLAIN,      /* equal by value */
    LEVELS,     /* factors of levels: a set, of which only the levels that there are count */
    ATTENDS,    /* picture sizes of levels: by the resolution that stands beside them */
    EVERY,      /* one number, or a list of it for every level */
    UNATTENDED, /* for every level whether it has no self-attention; no list: every one has */
    MODEL,      /* the model's class: only of those that differ in what the UNet is given */
    LOW,        /* the part that only an upscaler has */
    STAGE,      /* a first stage's class: only with a codebook or without */
    KEY,        /* conditioning_key, and what CompVis makes of it */
    COND        /* the conditioner as a whole */
} row_kind;

typedef struct row {
    const char *path, *fallback; /* of the constructor; NULL: it has no default */
    row_kind kind;
} row;

#define ROOT "model.params."
#define UNET ROOT "unet_config.params."
#define FIRST ROOT "first_stage_config.params."
#define EMBED ROOT "cond_stage_config.params."
static const row rows[] = {
    {"model.target", NULL, MODEL},
    {ROOT "low_scale_config", NULL, LOW},
    {ROOT "timesteps", "1000", PLAIN},
    {ROOT "beta_schedule", "linear", PLAIN},
    {ROOT "linear_start", "0.0001", PLAIN},
    {ROOT "linear_end", "0.02", PLAIN},
    {ROOT "cosine_s", "0.008", PLAIN},
    {ROOT "channels", "3", PLAIN},
    {ROOT "conditioning_key", NULL, KEY},
    {ROOT "scale_by_std", "false", PLAIN},
    {ROOT "learn_logvar", "false", PLAIN},
    {UNET "in_channels", NULL, PLAIN},
    {UNET "out_channels", NULL, PLAIN},
    {UNET "model_channels", NULL, PLAIN},
    {UNET "attention_resolutions", NULL, LEVELS},
    {UNET "num_res_blocks", NULL, EVERY},
    {UNET "channel_mult", "[1, 2, 4, 8]", PLAIN},
    {UNET "use_scale_shift_norm", "false", PLAIN},
    {UNET "resblock_updown", "false", PLAIN},
    {UNET "conv_resample", "true", PLAIN},
    {UNET "use_spatial_transformer", "false", PLAIN},
    {UNET "use_linear_in_transformer", "false", PLAIN},
    {UNET "transformer_depth", "1", PLAIN},
    {UNET "context_dim", "null", PLAIN},
    {UNET "disable_self_attentions", "null", UNATTENDED},
    {UNET "num_classes", "null", PLAIN},
    {UNET "adm_in_channels", "null", PLAIN},
    {ROOT "first_stage_config.target", NULL, STAGE},
    {FIRST "embed_dim", NULL, PLAIN},
    {FIRST "n_embed", NULL, PLAIN},
    {FIRST "ddconfig.z_channels", NULL, PLAIN},
    {FIRST "ddconfig.in_channels", NULL, PLAIN},
    {FIRST "ddconfig.out_ch", NULL, PLAIN},
    {FIRST "ddconfig.ch", NULL, PLAIN},
    {FIRST "ddconfig.ch_mult", "[1, 2, 4, 8]", PLAIN},
    {FIRST "ddconfig.num_res_blocks", NULL, PLAIN},
    {FIRST "ddconfig.attn_resolutions", NULL, ATTENDS},
    {FIRST "ddconfig.double_z", "true", PLAIN},
    {FIRST "ddconfig.resamp_with_conv", "true", PLAIN},
    {FIRST "ddconfig.attn_type", "vanilla", PLAIN},
    {ROOT "cond_stage_config", NULL, COND},
    {EMBED "n_classes", "1000", PLAIN},
    {EMBED "embed_dim", NULL, PLAIN},
    {EMBED "n_embed", NULL, PLAIN},
    {EMBED "n_layer", NULL, PLAIN},
    {EMBED "vocab_size", "30522", PLAIN},
    {EMBED "max_seq_len", "77", PLAIN},
    {EMBED "in_channels", "3", PLAIN},
    {EMBED "out_channels", NULL, PLAIN},
};

enum { ROW_COUNT = sizeof rows / sizeof *rows, TEXT = 512, BLOCK = 4096 };

typedef struct comparison {
    const ldm_inference *in;
    const ldm_value *given, *found; /* roots */
    ldm_config *made;               /* of found */
    ldm_arena *arena;
    ldm_contradiction *out;
    size_t count;
    int levels;
    ldm_status st;
    ldm_error *err;
} comparison;

/* Whether a configuration is of a first stage by itself: its parameters are the model's. */
static bool is_alone(const ldm_value *root)
{
    return ldm_value_find(root, ROOT "ddconfig") && !ldm_value_find(root, ROOT "unet_config");
}

/* Where a row's path is in a configuration; in buf, where that is elsewhere. */
static const char *place(const ldm_value *root, const char *path, char *buf, size_t size)
{
    const size_t len = sizeof ROOT "first_stage_config" - 1;

    if (strncmp(path, ROOT "first_stage_config", len) || !is_alone(root))
        return path;
    snprintf(buf, size, "model%s", path + len);
    return buf;
}

static const ldm_value *find(const ldm_value *root, const char *path)
{
    char buf[TEXT];
    const ldm_value *v = ldm_value_find(root, place(root, path, buf, sizeof buf));

    return v && ldm_value_get_kind(v) == LDM_VALUE_NULL ? NULL : v;
}

static const ldm_infer_setting *shown_at(const comparison *c, const char *path)
{
    char buf[TEXT];

    return ldm_inference_find(c->in, place(c->found, path, buf, sizeof buf));
}

/* ---- values as text -------------------------------------------------------------------------- */

void ldm_infer_scalar_text(const ldm_value *v, char *buf, size_t size)
{
    const char *s;
    int64_t i;
    double d;
    bool b;

    if (!ldm_value_bool(v, &b, NULL))
        snprintf(buf, size, "%s", b ? "true" : "false");
    else if (!ldm_value_int(v, &i, NULL))
        snprintf(buf, size, "%lld", (long long)i);
    else if (!ldm_value_double(v, &d, NULL))
        snprintf(buf, size, "%.12g", d);
    else if (!ldm_value_string(v, &s, NULL))
        snprintf(buf, size, "%s", s);
    else
        snprintf(buf, size, "...");
}

/* A value on one line, as YAML's flow style writes it; cut where it is longer than buf. */
static void flow(const ldm_value *v, char *buf, size_t size)
{
    const ldm_value_kind kind = ldm_value_get_kind(v);
    size_t n;

    if (kind != LDM_VALUE_LIST && kind != LDM_VALUE_MAP) {
        ldm_infer_scalar_text(v, buf, size);
        return;
    }
    snprintf(buf, size, "%s", kind == LDM_VALUE_LIST ? "[" : "{");
    for (size_t i = 0; i < ldm_value_count(v) && strlen(buf) + 4 < size; i++) {
        const ldm_value *item = ldm_value_at(v, i);

        n = strlen(buf);
        snprintf(buf + n, size - n, "%s%s%s", i ? ", " : "",
                 kind == LDM_VALUE_MAP ? ldm_value_key(item) : "",
                 kind == LDM_VALUE_MAP ? ": " : "");
        n = strlen(buf);
        flow(item, buf + n, size - n);
    }
    n = strlen(buf);
    snprintf(buf + n, size - n, "%s", kind == LDM_VALUE_LIST ? "]" : "}");
}

/* ---- what a value means ---------------------------------------------------------------------- */

static int whole(const ldm_value *v)
{
    int64_t i;

    return v && !ldm_value_int(v, &i, NULL) && i > 0 && i <= 1 << 24 ? (int)i : 0;
}

/* Bit l: level l is in the list of factors, which are powers of 2. */
static unsigned level_bits(const ldm_value *list, int levels)
{
    unsigned bits = 0;

    for (size_t i = 0; i < ldm_value_count(list); i++) {
        for (int l = 0; l < levels; l++)
            bits |= whole(ldm_value_at(list, i)) == 1 << l ? 1U << l : 0U;
    }
    return bits;
}

/* The same of picture sizes, by the resolution beside the list. */
static unsigned size_bits(const ldm_value *root, const ldm_value *list)
{
    const int resolution = whole(find(root, FIRST "ddconfig.resolution"));
    unsigned bits = 0;

    for (size_t i = 0; list && i < ldm_value_count(list); i++) {
        for (int l = 0; l < LDM_INFER_LEVELS; l++)
            bits |= resolution && whole(ldm_value_at(list, i)) == resolution >> l ? 1U << l : 0U;
    }
    return bits;
}

bool ldm_infer_equal_text(const char *a, const char *b)
{
    char *end_a, *end_b;
    const double x = strtod(a, &end_a), y = strtod(b, &end_b);

    if (end_a != a && end_b != b && !*end_a && !*end_b)
        return x == y;
    return !strcmp(a, b);
}

static bool equal(const ldm_value *a, const ldm_value *b)
{
    char x[TEXT], y[TEXT];

    flow(a, x, sizeof x);
    flow(b, y, sizeof y);
    return ldm_infer_equal_text(x, y);
}

static bool every(const ldm_value *list, const ldm_value *one)
{
    if (ldm_value_get_kind(list) != LDM_VALUE_LIST || !ldm_value_count(list))
        return equal(list, one);
    for (size_t i = 0; i < ldm_value_count(list); i++) {
        if (!equal(ldm_value_at(list, i), one))
            return false;
    }
    return true;
}

static bool text_has(const ldm_value *v, const char *part)
{
    const char *s;

    return v && !ldm_value_string(v, &s, NULL) && strstr(s, part);
}

/* What LatentDiffusion.__init__ makes of conditioning_key; "" for none. */
static const char *effective_key(const ldm_value *root)
{
    const ldm_value *key = ldm_value_find(root, ROOT "conditioning_key");
    const ldm_value *mode = find(root, ROOT "concat_mode");
    const char *s;
    bool concat = true;

    if (text_has(find(root, ROOT "cond_stage_config"), "__is_unconditional__"))
        return "";
    if (key && ldm_value_get_kind(key) != LDM_VALUE_NULL)
        return ldm_value_string(key, &s, NULL) ? "" : s;
    if (mode)
        (void)ldm_value_bool(mode, &concat, NULL);
    return concat ? "concat" : "crossattn";
}

/* A class without its modules; "" where no class is named. */
static const char *last_name(const ldm_value *target)
{
    const char *s = "", *dot;

    if (!target || ldm_value_string(target, &s, NULL))
        return "";
    dot = strrchr(s, '.');
    return dot ? dot + 1 : s;
}

/* The class of a conditioner, without its modules. */
static const char *class_of(const ldm_value *root)
{
    const ldm_value *target = find(root, ROOT "cond_stage_config.target");
    const char *s = last_name(target ? target : find(root, ROOT "cond_stage_config"));

    return !strcmp(s, "TransformerEmbedder") ? "BERTEmbedder" : s; /* the same tensors */
}

/* Whether the first stage is of a class with a codebook, and should be of one without, or not. */
static bool other_stage(const comparison *c)
{
    const ldm_value *a = find(c->given, ROOT "first_stage_config.target");
    const ldm_value *b = find(c->found, ROOT "first_stage_config.target");

    return a && b && !text_has(a, "Identity") && text_has(a, "VQ") != text_has(b, "VQ");
}

/* ---- one row --------------------------------------------------------------------------------- */

static ldm_origin origin_of(const comparison *c, const char *path)
{
    char above[TEXT], buf[TEXT];
    const ldm_value *v;

    snprintf(above, sizeof above, "%s", place(c->given, path, buf, sizeof buf));
    v = ldm_value_find(c->given, above);
    while (!v && strrchr(above, '.')) {
        *strrchr(above, '.') = '\0';
        v = ldm_value_find(c->given, above);
    }
    return v ? ldm_value_origin(v) : (ldm_origin){NULL, 0, 0};
}

static void add(comparison *c, const row *r, const ldm_value *given, const char *found)
{
    const ldm_infer_setting *s = shown_at(c, r->path);
    ldm_contradiction *out = &c->out[c->count++];
    char text[TEXT] = "", buf[TEXT];

    if (given)
        flow(given, text, sizeof text);
    out->path = ldm_arena_strdup(c->arena, place(c->given, r->path, buf, sizeof buf));
    out->origin = origin_of(c, r->path);
    out->given = given ? ldm_arena_strdup(c->arena, text) : NULL;
    out->fallback = r->fallback;
    out->found = ldm_arena_strdup(c->arena, found);
    out->from = s ? s->from : LDM_INFER_SHAPE;
    out->obeyed = out->from == LDM_INFER_BUFFER && !strstr(r->path, "scale_by_std");
    if (!out->path || !out->found || (given && !out->given))
        c->st = ldm_error_nomem(c->err, 0, "the comparison");
}

/* The picture sizes at which `bits`' levels attend in the resolution that was given. */
static void sizes_text(const comparison *c, unsigned bits, char *buf, size_t size)
{
    int resolution = whole(find(c->given, FIRST "ddconfig.resolution"));
    bool any = false;

    resolution = resolution ? resolution : 256;
    snprintf(buf, size, "[");
    for (int l = 0; l < LDM_INFER_LEVELS; l++) {
        if (bits >> l & 1U) {
            snprintf(buf + strlen(buf), size - strlen(buf), "%s%d", any ? ", " : "",
                     resolution >> l);
            any = true;
        }
    }
    snprintf(buf + strlen(buf), size - strlen(buf), "]");
}

static void compare_plain(comparison *c, const row *r, const ldm_value *a, const ldm_value *b)
{
    char found[TEXT] = "", text[TEXT] = "";

    if (b)
        flow(b, found, sizeof found);
    else if (r->fallback)
        snprintf(found, sizeof found, "%s", r->fallback);
    else
        return; /* the tensors do not say it */
    if (a)
        flow(a, text, sizeof text);
    else
        snprintf(text, sizeof text, "%s", r->fallback ? r->fallback : b ? "" : "null");
    if (!ldm_infer_equal_text(text, found) && !(r->kind == EVERY && a && b && every(a, b)))
        add(c, r, a, found);
}

/* A part of another class: all of it is the tensors', the old class's parameters go. */
static void add_part(comparison *c, const row *r, const ldm_value *given, const ldm_value *found,
                     const char *part)
{
    char text[TEXT], block[BLOCK], buf[TEXT];
    ldm_contradiction *out = &c->out[c->count];

    flow(found, text, sizeof text);
    flow(find(c->found, part), block, sizeof block);
    add(c, r, given, text);
    out->part = ldm_arena_strdup(c->arena, place(c->given, part, buf, sizeof buf));
    out->block = ldm_arena_strdup(c->arena, block);
    if (!out->part || !out->block)
        c->st = ldm_error_nomem(c->err, 0, "the comparison");
}

static void compare_key(comparison *c, const row *r)
{
    const char *a = effective_key(c->given), *b = effective_key(c->found);

    if (!*b || !*a || !strcmp(a, b)) /* an unconditional model ignores it */
        return;
    add(c, r, find(c->given, r->path), b);
}

/* Whether a conditioner of this class has tensors, so that a file without any has another. */
static bool has_tensors(const ldm_value *root, const char *name)
{
    static const char *const names[] = {"ClassEmbedder", "BERTEmbedder", "FrozenCLIPEmbedder",
                                        "FrozenOpenCLIPEmbedder"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(names[i], name))
            return true;
    }
    return !strcmp(name, "SpatialRescaler") && find(root, EMBED "out_channels");
}

static void compare_cond(comparison *c, const row *r)
{
    const ldm_value *found = find(c->found, r->path);
    const char *a = class_of(c->given), *b = class_of(c->found);

    const bool none = !strcmp(b, "__is_unconditional__") || !strcmp(b, "Identity");

    if (!found || !strcmp(a, b) || (none && !has_tensors(c->given, a)))
        return;
    add_part(c, r, find(c->given, r->path), found, r->path);
}

/* Classes of ldm.models.diffusion.ddpm that ldm or the tensors tell apart; a user's own is left. */
static bool is_diffusion(const char *name)
{
    static const char *const names[] = {"LatentDiffusion", "LatentInpaintDiffusion",
                                        "LatentUpscaleDiffusion", "LatentDepth2ImageDiffusion"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(names[i], name))
            return true;
    }
    return false;
}

/* A UNet for masks serves LatentDiffusion as well, which is given mask and picture ready. */
static void compare_model(comparison *c, const row *r)
{
    const ldm_value *given = find(c->given, r->path), *found = find(c->found, r->path);
    const char *a = last_name(given), *b = last_name(found);
    char text[TEXT];

    if (!is_diffusion(a) || !is_diffusion(b) || !strcmp(a, b) ||
        (!strcmp(a, "LatentDiffusion") && !strcmp(b, "LatentInpaintDiffusion")))
        return;
    flow(found, text, sizeof text);
    add(c, r, given, text);
}

static void compare_low(comparison *c, const row *r)
{
    const ldm_value *found = find(c->found, r->path);

    if (found && !find(c->given, r->path))
        add_part(c, r, NULL, found, r->path);
}

static bool all_false(const ldm_value *list)
{
    for (size_t i = 0; i < ldm_value_count(list); i++) {
        bool b;

        if (ldm_value_bool(ldm_value_at(list, i), &b, NULL) || b)
            return false;
    }
    return true;
}

static void compare_row(comparison *c, const row *r)
{
    const ldm_value *a = find(c->given, r->path), *b = find(c->found, r->path);
    char text[TEXT];

    switch (r->kind) {
    case PLAIN:
    case EVERY:
        compare_plain(c, r, a, b);
        break;
    case UNATTENDED:
        if (b || !a || !all_false(a))
            compare_plain(c, r, a, b);
        break;
    case MODEL:
        compare_model(c, r);
        break;
    case LOW:
        compare_low(c, r);
        break;
    case LEVELS:
        if (b && (!a || level_bits(a, c->levels) != level_bits(b, c->levels))) {
            flow(b, text, sizeof text);
            add(c, r, a, text);
        }
        break;
    case ATTENDS:
        if (b && size_bits(c->given, a) != size_bits(c->found, b)) {
            sizes_text(c, size_bits(c->found, b), text, sizeof text);
            add(c, r, a, text);
        }
        break;
    case STAGE:
        if (other_stage(c))
            add_part(c, r, a, b, ROOT "first_stage_config");
        break;
    case KEY:
        compare_key(c, r);
        break;
    case COND:
        compare_cond(c, r);
        break;
    }
}

/* Whether the file holds the part that the row is of. */
static bool is_there(const comparison *c, const row *r)
{
    const char *part = !strncmp(r->path, ROOT "first_stage_config.", sizeof ROOT - 1 + 19)
                           ? ROOT "first_stage_config.target"
                           : ROOT "unet_config.target";

    return find(c->found, part) != NULL;
}

/* Rows of a part's parameters count only where both are of one class. */
static bool applies(const comparison *c, const row *r)
{
    const bool schedule = !strncmp(r->path, ROOT "linear_", sizeof ROOT - 1 + 7);

    if (!strncmp(r->path, FIRST, sizeof FIRST - 1) && other_stage(c))
        return false;
    if (!strncmp(r->path, EMBED, sizeof EMBED - 1))
        return !strcmp(class_of(c->given), class_of(c->found));
    if (schedule) /* a cosine has no ends */
        return ldm_inference_find(c->in, r->path) != NULL;
    if (!strcmp(r->path, ROOT "cosine_s"))
        return ldm_inference_find(c->in, r->path) != NULL;
    return true;
}

static ldm_status make_found(comparison *c, ldm_error *err)
{
    ldm_str text = {0};
    ldm_status st = ldm_config_create(&c->made, err);

    if (st)
        return st;
    ldm_inference_yaml(c->in, "the tensors", &text);
    st = text.failed ? ldm_error_nomem(err, 0, "the configuration")
                     : ldm_config_load_text(c->made, "the tensors", text.data, text.len, err);
    ldm_str_free(&text);
    c->found = ldm_config_root(c->made);
    return st;
}

/* What only assumptions say is no contradiction. */
static bool is_shown(const comparison *c, const row *r)
{
    const ldm_infer_setting *s = shown_at(c, r->path);

    return !s || s->from <= LDM_INFER_META;
}

ldm_status ldm_infer_compare(const ldm_inference *in, const ldm_config *cfg, ldm_arena *arena,
                             ldm_contradiction **out, size_t *count, ldm_error *err)
{
    comparison c = {.in = in, .given = ldm_config_root(cfg), .arena = arena, .err = err};
    const ldm_value *mult;
    bool other;

    *out = NULL;
    *count = 0;
    c.out = ldm_arena_alloc(arena, ROW_COUNT, sizeof *c.out);
    if (!c.out)
        return ldm_error_nomem(err, sizeof *c.out * ROW_COUNT, "the comparison");
    c.st = make_found(&c, err);
    mult = c.st ? NULL : find(c.found, UNET "channel_mult");
    c.levels = mult ? (int)ldm_value_count(mult) : 0;
    other = !c.st && is_alone(c.given) != is_alone(c.found);
    if (other) /* nothing of one is anything of the other */
        add_part(&c, &(row){"model.target", NULL, MODEL}, find(c.given, "model.target"),
                 find(c.found, "model.target"), "model");
    for (size_t i = 0; i < ROW_COUNT && !c.st && !other; i++) {
        if (is_there(&c, &rows[i]) && is_shown(&c, &rows[i]) && applies(&c, &rows[i]))
            compare_row(&c, &rows[i]);
    }
    ldm_config_free(c.made);
    *out = c.out;
    *count = c.count;
    return c.st;
}
