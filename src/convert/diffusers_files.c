/* SPDX-License-Identifier: MIT */
/* Files of a folder of diffusers: JSON, and the tensors of a part under diffusers' names, qkv taken
 * apart into q, k and v. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json_text.h"
#include "convert/diffusers_parts.h"

/* ---- files ----------------------------------------------------------------------------------- */

ldm_status ldm_folder_json_write(ldm_folder_writer *w, const char *part, const char *name,
                                 json_t *j)
{
    char path[LDM_FOLDER_PATH + 64];
    ldm_str text = {0};
    ldm_status st = LDM_OK;

    snprintf(path, sizeof path, "%s%s%s", w->root, *part ? "/" : "", part);
    st = ldm_make_dirs(path, w->err);
    snprintf(path, sizeof path, "%s%s%s/%s", w->root, *part ? "/" : "", part, name);
    if (!ldm_json_append(j, JSON_INDENT(2) | JSON_REAL_PRECISION(12), &text))
        text.failed = true;
    ldm_str_puts(&text, "\n");
    if (!st)
        st = text.failed ? ldm_error_nomem(w->err, 0, "a JSON file")
                         : ldm_file_write(path, text.data, text.len, w->err);
    json_decref(j);
    ldm_str_free(&text);
    return st;
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* Heads of the UNet's attention with so many channels. */
int ldm_folder_heads_at(const ldm_unet_config *u, int channels)
{
    return u->num_head_channels > 0 ? channels / u->num_head_channels : u->num_heads;
}

static ldm_status add(ldm_folder_writer *w, ldm_out_list *list, const ldm_out_tensor *t)
{
    if (!ldm_grow(&list->items, &list->cap, list->count + 1, sizeof *list->items) || !t->name)
        return ldm_error_nomem(w->err, 0, "the list of tensors");
    list->items[list->count++] = *t;
    return LDM_OK;
}

/* Theirs of one of ours: one tensor, or three. */
static ldm_status add_theirs(ldm_folder_writer *w, ldm_out_list *list, const ldm_out_tensor *ours,
                             const ldm_found_module *f)
{
    const ldm_inner *row = f->row;
    const int pieces = row && row->piece ? 3 : 1;
    ldm_status st = LDM_OK;

    for (int i = 0; i < pieces && !st; i++) {
        ldm_out_tensor t = *ours;

        t.name =
            row ? ldm_arena_printf(w->names, "%s.%s.%s", f->module->theirs, row[i].theirs, f->tail)
                : ldm_arena_printf(w->names, "%s.%s", f->module->theirs, f->tail);
        for (int d = 0; row && d < row->extra && !strcmp(f->tail, "weight") && t.ndim > 2; d++)
            t.ndim--;
        if (pieces == 3) {
            t.shape[0] /= 3;
            t.part = i;
            t.blocks = 1;
            if (f->module->kind == LDM_MODULE_ATTENTION &&
                !w->s->network->unet.use_new_attention_order)
                t.blocks = ldm_folder_heads_at(&w->s->network->unet, (int)t.shape[0]);
        }
        st = add(w, list, &t);
    }
    return st;
}

ldm_status ldm_folder_part_write(ldm_folder_writer *w, const char *part, const char *file,
                                 const char *prefix, const ldm_modules *modules)
{
    char path[LDM_FOLDER_PATH + 64];
    const ldm_out_meta meta[] = {{"format", "pt"}};
    ldm_out_list list = {.watch = w->s->list->watch, .not_finite = w->s->list->not_finite};
    ldm_status st = modules->failed ? ldm_error_nomem(w->err, 0, "the names") : LDM_OK;

    for (size_t i = 0; i < w->s->list->count && !st; i++) {
        const ldm_out_tensor *t = &w->s->list->items[i];
        ldm_found_module f;

        if (!strncmp(t->name, prefix, strlen(prefix)) &&
            ldm_modules_find_ours(modules, t->name, &f))
            st = add_theirs(w, &list, t, &f);
    }
    snprintf(path, sizeof path, "%s/%s/%s.safetensors", w->root, part, file);
    if (!st)
        st = ldm_safetensors_write(path, w->s->ck, &list, meta, 1, w->err);
    ldm_free(list.items);
    return st;
}

const ldm_out_tensor *ldm_folder_find(const ldm_folder_writer *w, const char *name)
{
    for (size_t i = 0; i < w->s->list->count; i++) {
        if (!strcmp(w->s->list->items[i].name, name))
            return &w->s->list->items[i];
    }
    return NULL;
}

int ldm_folder_extent(const ldm_folder_writer *w, const char *name, int axis)
{
    const ldm_out_tensor *t = ldm_folder_find(w, name);

    return t && axis < t->ndim ? (int)t->shape[axis] : 0;
}

json_t *ldm_folder_strings(int count, unsigned bits, bool reversed, const char *with,
                           const char *without)
{
    json_t *list = json_array();

    for (int i = 0; i < count; i++) {
        const int level = reversed ? count - 1 - i : i;

        json_array_append_new(list, json_string(bits >> level & 1U ? with : without));
    }
    return list;
}
