/* SPDX-License-Identifier: MIT */
/* A configuration that was given, against the published model of exactly these shapes: settings
 * that no tensor shows, and that a retraining may have changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/infer_private.h"

#define ROOT "model.params."
#define UNET ROOT "unet_config.params."

enum { TEXT = 64 };

/* With the constructor's default. Heads are compared by themselves, and a size is whose pictures
 * are wanted. */
static const char *const rows[][2] = {
    {ROOT "scale_factor", "1.0"},
    {ROOT "parameterization", "eps"},
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

typedef struct held {
    const ldm_inference *in;
    const ldm_value *given;
    ldm_arena *arena;
    ldm_contradiction *out;
    size_t count;
    bool failed;
} held;

static void add(held *h, const ldm_infer_setting *s, const char *path, const char *given,
                const char *fallback)
{
    const ldm_value *v = ldm_value_find(h->given, path);
    const char *copy = given ? ldm_arena_strdup(h->arena, given) : NULL;

    h->failed |= given && !copy;
    h->out[h->count++] =
        (ldm_contradiction){.path = path,
                            .origin = v ? ldm_value_origin(v) : (ldm_origin){NULL, 0, 0},
                            .given = copy,
                            .fallback = fallback,
                            .found = s->value,
                            .part = strcmp(s->path, path) ? s->path : NULL,
                            .from = s->from};
}

static void hold_value(held *h, const char *path, const char *fallback)
{
    const ldm_infer_setting *s = ldm_inference_find(h->in, path);
    const ldm_value *v = ldm_value_find(h->given, path);
    char text[TEXT];

    if (!s || s->from != LDM_INFER_PUBLISHED)
        return;
    if (v)
        ldm_infer_scalar_text(v, text, sizeof text);
    if (!ldm_infer_equal_text(v ? text : fallback, s->value))
        add(h, s, path, v ? text : NULL, fallback);
}

static int int_at(const ldm_value *root, const char *path)
{
    const ldm_value *v = ldm_value_find(root, path);
    int64_t i;

    return v && !ldm_value_int(v, &i, NULL) && i > 0 && i < 1 << 20 ? (int)i : 0;
}

/* Heads of `channels` that num_head_channels or, without it, num_heads gives; 0: neither does. */
static int heads_of(int channels, int head_channels, int heads)
{
    return head_channels ? channels / head_channels : heads;
}

/* The number of heads or their width: what counts is how many there are at each level that attends.
 * The setting that was given is named, and beside it the published model's, which may be the other.
 */
static void hold_heads(held *h)
{
    const ldm_infer_setting *n = ldm_inference_find(h->in, UNET "num_heads");
    const ldm_infer_setting *w = ldm_inference_find(h->in, UNET "num_head_channels");
    const ldm_infer_setting *s = n ? n : w;
    const int number = n ? (int)strtol(n->value, NULL, 10) : 0;
    const int width = w ? (int)strtol(w->value, NULL, 10) : 0;
    const int given = int_at(h->given, UNET "num_heads");
    const int given_width = int_at(h->given, UNET "num_head_channels");
    const ldm_infer_setting *channels = ldm_inference_find(h->in, UNET "model_channels");
    const ldm_infer_setting *mult = ldm_inference_find(h->in, UNET "channel_mult");
    bool same = true;
    char text[TEXT];

    if (!s || s->from != LDM_INFER_PUBLISHED || !channels || !mult || !(given || given_width))
        return;
    for (const char *p = mult->value; *p; p++) { /* "[1, 2, 4, 4]" */
        char *end;
        const long m = strtol(p, &end, 10);
        const int c = (int)m * (int)strtol(channels->value, NULL, 10);

        if (end == p)
            continue;
        same &= heads_of(c, given_width, given) == heads_of(c, width, number);
        p = end - 1;
    }
    if (same)
        return;
    snprintf(text, sizeof text, "%d", given_width ? given_width : given);
    add(h, s, given_width ? UNET "num_head_channels" : UNET "num_heads", text, NULL);
}

ldm_status ldm_infer_compare_published(const ldm_inference *in, const ldm_config *cfg,
                                       ldm_arena *arena, ldm_contradiction **out, size_t *count,
                                       ldm_error *err)
{
    held h = {.in = in, .given = ldm_config_root(cfg), .arena = arena};

    *count = 0;
    h.out = *out = ldm_arena_alloc(arena, ROW_COUNT + 1, sizeof *h.out);
    if (!h.out)
        return ldm_error_nomem(err, sizeof *h.out, "the comparison");
    for (size_t i = 0; i < ROW_COUNT; i++)
        hold_value(&h, rows[i][0], rows[i][1]);
    hold_heads(&h);
    *count = h.count;
    return h.failed ? ldm_error_nomem(err, 0, "the comparison") : LDM_OK;
}
