/* SPDX-License-Identifier: MIT */
/* B with one group of A's settings at a time. Each variant is a layer of its own in OUT/ablation,
 * so that `ldm generate --config` can repeat it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/compare.h"
#include "cli/generate/generate.h"

/* Settings that only mean something together, and names for people. A key that is in no row makes a
 * group of its own, called by its last part. */
static const struct {
    const char *ending, *group;
} groups[] = {
    {"num_heads", "attention heads"},          {"num_head_channels", "attention heads"},
    {"num_heads_upsample", "attention heads"}, {"ldm.load", "key loading"},
    {"ldm.sampling.cond", "conditioning"},     {"ldm.sampling.scale", "guidance"},
    {"ldm.sampling.cache", "step cache"},      {"scale_factor", "scale_factor"},
    {"scale_by_std", "scale_factor"},
};

static bool ends_in(const char *text, const char *ending)
{
    size_t n = strlen(text), e = strlen(ending);

    return n >= e && !strcmp(text + n - e, ending) && (n == e || text[n - e - 1] == '.');
}

/* The group's name; *own: it is the key's own, not one of the table. */
static const char *group_of(const char *key, bool *own)
{
    const char *dot = strrchr(key, '.');
    size_t i;

    *own = false;

    if (!strncmp(key, "ldm.load.", 9))
        return "key loading";
    for (i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if (ends_in(key, groups[i].ending))
            return groups[i].group;
    }
    *own = true;
    return dot ? dot + 1 : key;
}

const char *ldm_cmp_value_text(const json_t *v, char *buf, size_t size)
{
    char *text;

    if (!v)
        return "not set";
    if (json_is_null(v))
        return "null";
    if (json_is_string(v)) {
        snprintf(buf, size, "%s", json_string_value(v));
        return buf;
    }
    if (json_is_object(v)) {
        const char *key;
        json_t *value;
        size_t used = 0;

        snprintf(buf, size, "{}");
        json_object_foreach((json_t *)(uintptr_t)v, key, value)
        {
            if (used < size)
                used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "", key);
        }
        return buf;
    }
    text = ldm_cli_json_dump(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    snprintf(buf, size, "%s", text ? text : "?");
    if (text && strlen(text) >= size && size > 4)
        memcpy(buf + size - 4, "...", 4);
    free(text);
    return buf;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static size_t find_group(const ldm_compare *c, const char *name)
{
    size_t i;

    for (i = 0; i < c->variant_count && strcmp(c->variants[i].name, name); i++)
        ;
    return i;
}

static int add_setting(ldm_compare *c, json_t *entry)
{
    const char *key = json_string_value(json_object_get(entry, "key"));
    bool own;
    const char *name = group_of(key, &own);
    size_t i = find_group(c, name);
    ldm_cmp_variant *v;

    if (own && i < c->variant_count) { /* image_size here and image_size there */
        name = key;
        i = c->variant_count;
    }
    v = &c->variants[i]; /* there is room for a group per entry */
    if (i == c->variant_count) {
        v->name = strdup(name);
        v->settings = json_array();
        if (!v->name || !v->settings)
            return ldm_cli_nomem(c->cmd);
        c->variant_count++;
    }
    json_array_append(v->settings, entry);
    return LDM_EXIT_OK;
}

/* Of the heads' number and their width the one that B alone has would go on deciding: A's is -1, as
 * where it is not said. NULL: the setting is another. */
static json_t *turned_off(const json_t *entry)
{
    const char *key = json_string_value(json_object_get(entry, "key"));
    const bool heads = ends_in(key, "num_heads") || ends_in(key, "num_head_channels");
    json_t *off = heads ? json_deep_copy(entry) : NULL;

    if (off)
        json_object_set_new(off, "a", json_integer(-1));
    return off;
}

static int make_groups(ldm_compare *c)
{
    size_t i;
    json_t *entry;
    int code = LDM_EXIT_OK;

    c->variants = calloc(json_array_size(c->difference) + 1, sizeof *c->variants);
    if (!c->variants)
        return ldm_cli_nomem(c->cmd);
    json_array_foreach(c->difference, i, entry)
    {
        json_t *off = json_object_get(entry, "a") ? NULL : turned_off(entry);

        if (off || json_object_get(entry, "a"))
            code = add_setting(c, off ? off : entry);
        else if (!c->o->quiet)
            ldm_cli_say(c->cmd, "note: --ablate: %s is set in %s alone and stays as it is",
                        json_string_value(json_object_get(entry, "key")), c->b.stem);
        json_decref(off);
        if (code)
            return code;
    }
    return LDM_EXIT_OK;
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* {"a.b.c": v} as {"a": {"b": {"c": v}}}, into root. */
static int put_path(json_t *root, const char *path, json_t *value)
{
    const char *dot;

    while ((dot = strchr(path, '.'))) {
        char key[256];
        json_t *next;

        snprintf(key, sizeof key, "%.*s", (int)(dot - path), path);
        next = json_object_get(root, key);
        if (!next) {
            next = json_object();
            if (json_object_set_new(root, key, next))
                return -1;
        }
        root = next;
        path = dot + 1;
    }
    return json_object_set(root, path, value);
}

static int write_layer(ldm_compare *c, const ldm_cmp_variant *v)
{
    json_t *root = json_object(), *entry;
    char *text = NULL;
    int code = LDM_EXIT_OK;
    FILE *f;
    size_t i;

    json_array_foreach(v->settings, i, entry)
    {
        if (put_path(root, json_string_value(json_object_get(entry, "key")),
                     json_object_get(entry, "a")))
            code = ldm_cli_nomem(c->cmd);
    }
    text = code ? NULL : ldm_cli_json_dump(root, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(root);
    if (!text)
        return code ? code : ldm_cli_nomem(c->cmd);
    f = fopen(v->side.layer, "w");
    if (f) {
        fprintf(f, "# The %s of %s, to be laid over %s (ldm compare --ablate).\n%s\n", v->name,
                c->a.stem, c->b.stem, text);
        i = (size_t)ferror(f);
    }
    if (!f || (fclose(f) != 0) | (i != 0)) {
        ldm_cli_say(c->cmd, "cannot write %s: %s", v->side.layer, strerror(errno));
        code = LDM_EXIT_FAILED;
    }
    free(text);
    return code;
}

/* A group's name as part of a file's: letters, digits and _. */
static char *file_name(const char *name)
{
    char *s = strdup(name);

    for (char *p = s; p && *p; p++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *p))
            *p = '_';
    }
    return s;
}

static int run_variant(ldm_compare *c, ldm_cmp_variant *v)
{
    ldm_cmp_side *s = &v->side;
    ldm_compare over = *c; /* the same, but B's layer is one of the common ones */
    ldm_compare_opts o = *c->o;
    char *name = file_name(v->name);
    int code;

    if (name) {
        s->stem = strdup(name);
        s->title = strdup(v->name);
        s->layer = ldm_cli_format("%sablation/%s.yaml", c->out, name);
        s->folder = ldm_cli_format("%sablation/%s_samples/", c->out, name);
    }
    free(name);
    if (!s->stem || !s->title || !s->layer || !s->folder)
        return ldm_cli_nomem(c->cmd);
    code = ldm_cmp_model_options(c, &c->b, &o.to.model);
    over.o = &o;
    if (!code)
        code = write_layer(c, v);
    if (!code && ldm_cmp_side_run(&over, s) && !s->failure) /* its failure is a result */
        code = LDM_EXIT_FAILED;
    ldm_model_options_free(o.to.model);
    return code;
}

int ldm_cmp_ablate(ldm_compare *c)
{
    char *folder = ldm_cli_format("%sablation", c->out);
    int code = folder ? make_groups(c) : ldm_cli_nomem(c->cmd);

    if (!code)
        code = ldm_output_make_folder(c->cmd, "--out", folder);
    free(folder);
    for (size_t i = 0; !code && i < c->variant_count; i++) {
        code = run_variant(c, &c->variants[i]);
        c->variants[i].same = ldm_cmp_count_same(c, &c->variants[i].side);
    }
    return code;
}
