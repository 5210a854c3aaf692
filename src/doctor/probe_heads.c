/* SPDX-License-Identifier: MIT */
/* Heads of the attention: which there may be, and which fit the weights. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/probe_search.h"

/* ---- candidates ------------------------------------------------------------------------------ */

/* Widths of the UNet's attention, each once. */
static void list_widths(ldm_search *s, const ldm_unet_config *u)
{
    for (int l = 0; l < u->channel_mult.count; l++) {
        bool attends = l == u->channel_mult.count - 1; /* the middle block */
        const int width = u->model_channels * u->channel_mult.items[l];

        for (int i = 0; i < u->attention_resolutions.count; i++)
            attends |= u->attention_resolutions.items[i] == 1 << l;
        for (int i = 0; i < s->width_count; i++)
            attends &= s->widths[i] != width;
        if (attends)
            s->widths[s->width_count++] = width;
    }
}

static bool fill_tuple(const ldm_search *s, ldm_heads *h, int number, int width, int up)
{
    for (int i = 0; i < s->width_count; i++) {
        if (width > 0 ? s->widths[i] % width : s->widths[i] % number)
            return false;
        h->tuple[i] = width > 0 ? s->widths[i] / width : number;
    }
    h->tuple[s->width_count] = width > 0 ? 0 : up - number;
    return true;
}

/* Adds a candidate unless it is the same as an earlier one; the given one comes first. */
static void add_heads(ldm_search *s, int number, int width, int up, bool given, bool flip)
{
    ldm_heads *h = &s->heads[s->head_count];
    const bool order = s->new_order != flip;
    int most = 0;

    if (s->head_count == LDM_MAX_HEADS)
        return;
    memset(h, 0, sizeof *h);
    if (!fill_tuple(s, h, number, width, up))
        return;
    for (int i = 0; i < s->width_count; i++)
        most = h->tuple[i] > most ? h->tuple[i] : most;
    h->tuple[LDM_MAX_WIDTHS + 1] = order && most > 1; /* one head has no order */
    for (int i = 0; i < s->head_count; i++) {
        if (!memcmp(s->heads[i].tuple, h->tuple, sizeof h->tuple))
            return;
    }
    if (width > 0)
        snprintf(h->name, sizeof h->name, "num_head_channels %d%s", width,
                 flip ? " in the other order" : "");
    else
        snprintf(h->name, sizeof h->name, "num_heads %d%s", number,
                 flip ? " in the other order" : "");
    h->usual = !order && (width > 0 ? width == s->usual_width : number == s->usual_number);
    if (!given && width > 0) {
        snprintf(h->sets[h->set_count++], LDM_PROBE_TEXT, LDM_UNET "num_head_channels=%d", width);
    } else if (!given) {
        snprintf(h->sets[h->set_count++], LDM_PROBE_TEXT, LDM_UNET "num_heads=%d", number);
        snprintf(h->sets[h->set_count++], LDM_PROBE_TEXT, LDM_UNET "num_head_channels=-1");
        if (s->has_up)
            snprintf(h->sets[h->set_count++], LDM_PROBE_TEXT, LDM_UNET "num_heads_upsample=-1");
    }
    if (flip)
        snprintf(h->sets[h->set_count++], LDM_PROBE_TEXT, LDM_UNET "use_new_attention_order=%s",
                 order ? "true" : "false");
    s->head_count++;
}

/* The heads of the published model of this kind, where the doctor's own inference knows one. */
static void find_usual(ldm_search *s)
{
    const ldm_infer_setting *width =
        ldm_inference_find(s->d->inference, LDM_UNET "num_head_channels");
    const ldm_infer_setting *number = ldm_inference_find(s->d->inference, LDM_UNET "num_heads");

    s->usual_width = width && width->from != LDM_INFER_META ? atoi(width->value) : 0;
    s->usual_number = number && number->from != LDM_INFER_META ? atoi(number->value) : 0;
}

void ldm_heads_list(ldm_search *s, const ldm_unet_config *u)
{
    static const int widths[] = {32, 64, 16, 8, 128, 40, 24}, numbers[] = {8, 1, 4, 2, 16};
    const int up = u->num_heads_upsample > 0 ? u->num_heads_upsample : u->num_heads;

    s->has_up = up != u->num_heads;
    s->new_order = u->use_new_attention_order;
    find_usual(s);
    list_widths(s, u);
    add_heads(s, u->num_heads, u->num_head_channels, up, true, false);
    for (int flip = 0; flip < (u->use_spatial_transformer ? 1 : 2); flip++) {
        if (flip)
            add_heads(s, u->num_heads, u->num_head_channels, up, true, true);
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
            add_heads(s, 0, widths[i], 0, false, flip);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            add_heads(s, numbers[i], 0, numbers[i], false, flip);
    }
}

/* ---- the verdict ----------------------------------------------------------------------------- */

/* Of those that the pictures do not tell apart, the published model's heads are taken, if they are
 * among them: at small pictures the coarse levels' heads hardly matter. */
ldm_status ldm_heads_prefer_usual(ldm_search *s)
{
    ldm_status st = LDM_OK;

    for (int i = 0; i < s->head_count && !st; i++) {
        ldm_scores scores;
        ldm_margin m;
        ldm_model *model;

        if (!s->heads[i].usual || i == s->best.heads || s->heads[s->best.heads].usual)
            continue;
        st = ldm_search_open(s, s->best.weights, i, &model);
        if (st)
            break;
        st = ldm_search_measure(s, model, s->fine, s->best.scale, &scores);
        ldm_model_close(model);
        m = ldm_scores_margin(&scores, s->best.reading, &s->best_scores, s->best.reading);
        if (!st && m.difference < ldm_slightly) {
            s->best.heads = i;
            s->best_scores = scores;
        }
    }
    return st;
}

/* One finding for each assignment that the configuration does not have yet. */
static ldm_status cure_heads(ldm_search *s, const ldm_heads *h, double sure, const char *how)
{
    ldm_status st = LDM_OK;

    for (int i = 0; i < h->set_count && !st; i++) {
        const char *value = strchr(h->sets[i], '=') + 1;
        char path[LDM_PROBE_TEXT], given[LDM_PROBE_TEXT] = "";
        const ldm_value *v;
        int64_t number;
        bool truth;

        snprintf(path, sizeof path, "%.*s", (int)(value - 1 - h->sets[i]), h->sets[i]);
        v = ldm_value_find(ldm_config_root(s->d->config), path);
        if (v && !ldm_value_bool(v, &truth, NULL))
            snprintf(given, sizeof given, "%s", truth ? "true" : "false");
        else if (v && !ldm_value_int(v, &number, NULL))
            snprintf(given, sizeof given, "%lld", (long long)number);
        if (!strcmp(given, value) || (!*given && !strcmp(value, "-1")))
            continue;
        st = ldm_search_add(s, path, *given ? given : NULL, value, sure, LDM_FINDING_WRONG,
                            h->sets[i], NULL, how);
    }
    return st;
}

static const char *given_heads_path(const ldm_unet_config *u)
{
    return u->num_head_channels > 0 ? LDM_UNET "num_head_channels" : LDM_UNET "num_heads";
}

ldm_status ldm_heads_judge(ldm_search *s, const ldm_unet_config *u)
{
    const ldm_heads *best = &s->heads[s->best.heads];
    const char *path = given_heads_path(u), *how;
    char given[LDM_PROBE_TEXT];
    ldm_margin m;
    ldm_rival near;
    ldm_status st;

    if (s->head_count < 2)
        return LDM_OK;
    st = ldm_search_judge(s, true, &near, &m);
    if (st)
        return st;
    snprintf(given, sizeof given, "%d",
             u->num_head_channels > 0 ? u->num_head_channels : u->num_heads);
    /* Against what the user gave speaks only much; what nobody gave is replaced by what is better.
     */
    const bool better =
        s->best.heads && m.difference > ldm_slightly && m.sigmas > ldm_sigmas_needed;
    const bool wrong = s->d->made ? better : ldm_search_against(&m);

    if (better && !wrong)
        return ldm_search_add(
            s, path, given, NULL, 0, LDM_FINDING_UNDECIDED, NULL, NULL,
            ldm_search_worse_text(s, best->name, &m, &near, s->heads[near.index].name));
    if (s->best.heads == 0 || !wrong) {
        const bool alike = near.to_best.difference < ldm_slightly;
        const bool open = s->d->made && !ldm_search_against(&near.to_best) && !s->heads[0].usual;

        how = ldm_search_right_text(s, &near, s->heads[near.index].name);
        if (alike && !open)
            how = ldm_doctor_text(s->d, "%s would do as well, heads hardly matter here: %s",
                                  s->heads[near.index].name, how);
        return ldm_search_add(s, path, given, open ? NULL : given, ldm_search_sure(&near.to_best),
                              open    ? LDM_FINDING_UNDECIDED
                              : alike ? LDM_FINDING_NOTE
                                      : LDM_FINDING_RIGHT,
                              NULL, NULL, how);
    }
    how = ldm_search_worse_text(s, best->name, &m, &near, s->heads[near.index].name);
    if (near.index && !ldm_search_against(&near.to_best) && !best->usual)
        return ldm_search_add(s, path, given, NULL, ldm_search_sure(&near.to_best),
                              LDM_FINDING_UNDECIDED, NULL, NULL, how);
    return cure_heads(s, best,
                      ldm_search_sure(ldm_search_against(&near.to_best) ? &near.to_best : &m), how);
}
