/* SPDX-License-Identifier: MIT */
/* A comparison as one JSON object. */
#include <math.h>
#include <stdlib.h>

#include "base/json_text.h"
#include "cli/compare/compare.h"

static json_t *picture_json(const ldm_cmp_picture *p)
{
    json_t *o = json_object();

    json_object_set_new(o, "seed", ldm_json_u64(p->seed));
    json_object_set_new(o, "file", p->good ? ldm_json_text(p->file) : json_null());
    if (!p->good)
        return o;
    json_object_set_new(o, "brightness", ldm_json_real(p->m.brightness));
    json_object_set_new(o, "contrast", ldm_json_real(p->m.contrast));
    json_object_set_new(o, "mean_r", ldm_json_real(p->m.mean_r));
    json_object_set_new(o, "mean_g", ldm_json_real(p->m.mean_g));
    json_object_set_new(o, "mean_b", ldm_json_real(p->m.mean_b));
    json_object_set_new(o, "skin_like", json_boolean(p->m.skin_like));
    json_object_set_new(o, "colour_coherence", ldm_json_real(p->m.colour_coherence));
    json_object_set_new(o, "colour_grade", json_string(p->m.colour_grade));
    json_object_set_new(o, "faces", p->faces < 0 ? json_null() : json_integer(p->faces));
    return o;
}

static json_t *summary_json(const ldm_cmp_summary *s)
{
    json_t *o = json_object();

    json_object_set_new(o, "pictures", json_integer((json_int_t)s->good));
    json_object_set_new(o, "failed", json_integer((json_int_t)s->failed));
    json_object_set_new(o, "contrast", ldm_json_real(s->contrast));
    json_object_set_new(o, "brightness", ldm_json_real(s->brightness));
    json_object_set_new(o, "mean_r", ldm_json_real(s->r));
    json_object_set_new(o, "mean_g", ldm_json_real(s->g));
    json_object_set_new(o, "mean_b", ldm_json_real(s->b));
    json_object_set_new(o, "colour_coherence", ldm_json_real(s->coherence));
    json_object_set_new(o, "colour_grade", json_string(s->grade));
    json_object_set_new(o, "skin_like_share", ldm_json_real(s->skin_share));
    json_object_set_new(o, "face_share", ldm_json_real(s->face_share));
    json_object_set_new(o, "frechet", ldm_json_real(s->frechet));
    return o;
}

static json_t *side_json(const ldm_cmp_side *s, bool details)
{
    json_t *o = json_object(), *list;

    json_object_set_new(o, "name", ldm_json_text(s->stem));
    json_object_set_new(o, "layer", ldm_json_text(s->layer));
    if (s->failure) {
        json_object_set_new(o, "error", ldm_json_text(s->failure));
        return o;
    }
    json_object_set_new(o, "folder", ldm_json_text(s->folder));
    json_object_set_new(o, "steps_asked", json_integer(s->steps_asked));
    json_object_set_new(o, "steps_run", json_integer(s->steps_run));
    json_object_set_new(o, "eta", ldm_json_real(s->eta));
    json_object_set_new(o, "scale", ldm_json_real(s->scale));
    json_object_set_new(o, "cond", json_string(s->cond));
    json_object_set_new(o, "guidance_has_effect", json_boolean(s->guidance_works));
    json_object_set_new(o, "load_seconds", ldm_json_real(s->load_seconds));
    json_object_set_new(o, "generation_seconds", ldm_json_real(s->sample_seconds));
    json_object_set_new(o, "complete",
                        json_boolean(json_integer_value(json_object_get(s->audit, "matching")) ==
                                     json_integer_value(json_object_get(s->audit, "model_keys"))));
    json_object_set_new(o, "summary", summary_json(&s->sum));
    json_object_set(o, "notes", s->notes);
    if (!details)
        return o;
    list = json_array();
    for (size_t i = 0; i < s->count; i++)
        json_array_append_new(list, picture_json(&s->pictures[i]));
    json_object_set_new(o, "pictures", list);
    json_object_set(o, "check", s->audit);
    return o;
}

/* The table's texts as the reports show them. */
static json_t *table_json(const ldm_compare *c, ldm_cmp_table_kind kind)
{
    json_t *o = json_object(), *rows = json_array(), *head = json_array();
    ldm_cmp_table t;
    size_t r, k;

    ldm_cmp_table_make(c, kind, &t);
    for (k = 0; k < t.columns; k++)
        json_array_append_new(head, ldm_json_text(t.head[k]));
    for (r = 0; r < t.rows; r++) {
        json_t *row = json_array();

        for (k = 0; k < t.columns; k++)
            json_array_append_new(row, ldm_json_text(t.cell[r][k]));
        json_array_append_new(rows, row);
    }
    json_object_set_new(o, "title", json_string(t.title));
    json_object_set_new(o, "columns", head);
    json_object_set_new(o, "rows", rows);
    return o;
}

static json_t *variant_json(const ldm_cmp_variant *v)
{
    json_t *o = side_json(&v->side, false);

    json_object_set_new(o, "change", ldm_json_text(v->name));
    json_object_set(o, "settings", v->settings);
    json_object_set_new(o, "same_pictures", json_integer((json_int_t)v->same));
    return o;
}

static json_t *seeds_json(const ldm_compare *c)
{
    json_t *all = json_array();

    for (size_t i = 0; i < c->pair_count; i++) {
        const ldm_cmp_pair *p = &c->pairs[i];
        json_t *o = json_object();

        json_object_set_new(o, "seed", ldm_json_u64(c->a.pictures[i].seed));
        json_object_set_new(o, "equal", p->both ? json_boolean(p->equal) : json_null());
        json_object_set_new(o, "psnr", ldm_json_real(p->psnr));
        json_object_set_new(o, "latent_distance", ldm_json_real(p->latent));
        json_array_append_new(all, o);
    }
    return all;
}

/* {"command": "ldm compare ...", "date": ..., ...} */
static json_t *provenance_json(const ldm_compare *c)
{
    json_t *list = ldm_cmp_provenance(c), *o = json_object(), *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        json_object_set(o, json_string_value(json_array_get(row, 0)), json_array_get(row, 1));
    }
    json_decref(list);
    return o;
}

int ldm_cmp_print_json(const ldm_compare *c)
{
    json_t *root = json_object(), *faces = json_object(), *frechet = json_object();
    json_t *tables = json_array(), *variants;

    json_object_set_new(root, "conclusion", ldm_cmp_conclusion(c));
    json_object_set_new(root, "warnings", ldm_cmp_warnings(c));
    json_object_set_new(root, "provenance", provenance_json(c));
    json_object_set_new(root, "count", json_integer(ldm_job_get_int(c->o->to.job, "count")));
    json_object_set_new(root, "seed", ldm_json_u64(ldm_job_get_u64(c->o->to.job, "seed")));
    json_object_set_new(faces, "judged", json_boolean(c->judge != NULL));
    if (c->judge_missing)
        json_object_set_new(faces, "reason", ldm_json_text(c->judge_missing));
    json_object_set_new(root, "faces", faces);
    json_object_set_new(frechet, "measured", json_boolean(!c->stats_missing));
    if (c->stats_missing)
        json_object_set_new(frechet, "reason", ldm_json_text(c->stats_missing));
    else
        json_object_set_new(frechet, "reference", ldm_json_text(c->stats_file));
    json_object_set_new(root, "frechet", frechet);
    json_object_set_new(root, "a", side_json(&c->a, true));
    json_object_set_new(root, "b", side_json(&c->b, true));
    json_object_set(root, "difference", c->difference);
    json_object_set_new(root, "seeds", seeds_json(c));
    if (c->o->ablate) {
        variants = json_array();
        for (size_t i = 0; i < c->variant_count; i++)
            json_array_append_new(variants, variant_json(&c->variants[i]));
        json_object_set_new(root, "ablation", variants);
    }
    for (int kind = 0; kind < LDM_CMP_TABLE_KINDS; kind++) {
        if (ldm_cmp_table_exists(c, kind))
            json_array_append_new(tables, table_json(c, kind));
    }
    json_object_set_new(root, "tables", tables);
    json_object_set_new(root, "remarks", ldm_cmp_remarks(c));
    return ldm_cli_print_json(c->cmd, root);
}
