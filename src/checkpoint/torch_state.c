/* SPDX-License-Identifier: MIT */
/* The state dict of a pickled checkpoint: where it is, and its entries; see torch.h. CompVis'
 * loaders read sd["state_dict"]; a dictionary of tensors is taken as it is, and so is the only one
 * that lies deeper ("model", as other trainers save it), with a note. */
#include "checkpoint/torch.h"

#include <stdio.h>
#include <string.h>

/* torch.save({"model": {"net": {...}}}) and the like; an optimizer's states lie deeper. */
enum {
    MAX_NESTED = 3,
    MAX_LOOKED = 10000, /* dictionaries */
    PATH_BYTES = 200,
    LIST_BYTES = 400,
    WHAT_BYTES = 200
};

/* Why a value of the state dict that is no readable tensor cannot stand: LDM_ERR_UNSAFE where a
 * name that ldm does not know would be called. LDM_OK for data; `what` then says what it is. */
static ldm_status judge_opaque(const ldm_torch *t, const ldm_pk *key, const ldm_pk *v, char *what,
                               ldm_error *err)
{
    const ldm_pk *global = v->kind == LDM_PK_OBJECT ? v->u.object.callee : v;
    const ldm_global_row *row;
    ldm_shown name;

    snprintf(what, WHAT_BYTES, "%s, no tensor", ldm_pk_kind_name(v->kind));
    if (v->kind != LDM_PK_OBJECT && v->kind != LDM_PK_GLOBAL && v->kind != LDM_PK_PERSID)
        return LDM_OK;
    if (global->kind != LDM_PK_GLOBAL)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSAFE, v->pos,
                                "state dict key '%s' is %s, expected a tensor; nothing was "
                                "executed",
                                ldm_torch_show(key, &name),
                                v->kind == LDM_PK_PERSID ? "a bare storage"
                                                         : "the result of an unknown call");
    row = global->u.global.row;
    if (!row)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSAFE, v->pos,
                                "state dict key '%s' is made by the unknown global '%.120s' (byte "
                                "%llu), expected a tensor; nothing was executed",
                                ldm_torch_show(key, &name), global->u.global.name,
                                ldm_ull(t->src.base + global->pos));
    if (row->role == LDM_GLOBAL_OTHER_TENSOR || row->role == LDM_GLOBAL_TYPED)
        snprintf(what, WHAT_BYTES, "a tensor made by %.120s; ldm reads dense tensors only",
                 global->u.global.name);
    else
        snprintf(what, WHAT_BYTES, "an object of %.120s, no tensor; nothing was executed",
                 global->u.global.name);
    return LDM_OK;
}

static ldm_status index_entry(ldm_torch *t, const ldm_pk *key, const ldm_pk *v, ldm_error *err)
{
    ldm_tensor tensor;
    ldm_shown name;
    char what[WHAT_BYTES];
    ldm_status st;

    if (key->kind != LDM_PK_STR)
        return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, key->pos,
                                "a key of the state dict is %s, expected a string",
                                ldm_pk_kind_name(key->kind));
    ldm_torch_show(key, &name);
    if (ldm_torch_is_tensor(v)) {
        st = ldm_torch_tensor(t, v, name.text, &tensor, err);
        return st ? st
                  : ldm_index_add(t->ck, &tensor, key->u.text.data, key->u.text.len, &t->src,
                                  key->pos, err);
    }
    st = judge_opaque(t, key, v, what, err);
    return st ? st : ldm_index_skip(t->ck, name.text, what, err);
}

static ldm_status index_entries(ldm_torch *t, const ldm_pk *state, ldm_error *err)
{
    ldm_pk *const *item = state->u.seq.items;
    size_t i;
    ldm_status st;

    st = ldm_index_begin(t->ck, state->u.seq.count / 2, err);
    for (i = 0; !st && i < state->u.seq.count; i += 2)
        st = index_entry(t, item[i], item[i + 1], err);
    return st ? st : ldm_index_finish(t->ck, err);
}

static ldm_status no_state_dict(const ldm_torch *t, const ldm_pk *root, ldm_error *err)
{
    char keys[200] = "";
    size_t i, n = 0;
    ldm_shown name;

    if (ldm_torch_is_tensor(root))
        return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, root->pos,
                                "the file holds one tensor without a name, expected a dictionary "
                                "with 'state_dict' or one of tensors");
    if (root->kind == LDM_PK_OBJECT && root->u.object.callee->kind == LDM_PK_GLOBAL)
        return ldm_source_error(&t->src, err, LDM_ERR_UNSUPPORTED, root->pos,
                                "the file holds an object of %.120s, expected a dictionary with "
                                "'state_dict'; save model.state_dict() instead",
                                root->u.object.callee->u.global.name);
    if (root->kind != LDM_PK_DICT)
        return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, root->pos,
                                "the file holds %s, expected a dictionary with 'state_dict' or one "
                                "of tensors",
                                ldm_pk_kind_name(root->kind));
    for (i = 0; i < root->u.seq.count && n + sizeof name.text + 4 < sizeof keys; i += 2)
        n += (size_t)snprintf(keys + n, sizeof keys - n, "%s%.60s", i ? ", " : "",
                              ldm_torch_show(root->u.seq.items[i], &name));
    return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, root->pos,
                            "no state dict: the keys are %s%s, expected 'state_dict' or the "
                            "tensors themselves",
                            keys[0] ? keys : "none", i < root->u.seq.count ? ", ..." : "");
}

/* ---- looking for it -------------------------------------------------------------------------- */

typedef struct search {
    const ldm_pk *state; /* the first dictionary of tensors */
    char path[PATH_BYTES];
    int found, looked;
    bool cut;             /* `all` ends with "..." */
    char all[LIST_BYTES]; /* their paths and sizes, for the message that there are several */
} search;

static size_t count_tensors(const ldm_pk *dict)
{
    size_t i, n = 0;

    for (i = 0; i < dict->u.seq.count; i += 2)
        n += ldm_torch_is_tensor(dict->u.seq.items[i + 1]);
    return n;
}

/* A module's state: some tensor's key is a path with a dot. An optimizer's state of one parameter
 * ("exp_avg", "step") has none. */
static bool is_module_state(const ldm_pk *dict)
{
    size_t i;

    for (i = 0; i < dict->u.seq.count; i += 2) {
        const ldm_pk *key = dict->u.seq.items[i];

        if (key->kind == LDM_PK_STR && memchr(key->u.text.data, '.', key->u.text.len) &&
            ldm_torch_is_tensor(dict->u.seq.items[i + 1]))
            return true;
    }
    return false;
}

static void note_found(search *s, const ldm_pk *dict, const char *path)
{
    static const char more[] = ", ...";
    const size_t used = strlen(s->all), tensors = count_tensors(dict);
    char one[PATH_BYTES + 48];
    size_t len;

    if (!s->found++) {
        s->state = dict;
        snprintf(s->path, sizeof s->path, "%s", path);
    }
    len = (size_t)snprintf(one, sizeof one, "%s'%s' (%zu tensor%s)", used ? ", " : "", path,
                           tensors, tensors == 1 ? "" : "s");
    if (used + len + sizeof more <= sizeof s->all && !s->cut) {
        memcpy(s->all + used, one, len + 1);
    } else if (!s->cut) { /* whole names only */
        memcpy(s->all + used, more, sizeof more);
        s->cut = true;
    }
}

/* Looks through the dictionaries below `dict` for modules' states. It calls itself MAX_NESTED times
 * at most; a dictionary that holds itself is only looked through so often. */
static void look_below(search *s, const ldm_pk *dict, const char *path, int depth)
{
    char below[PATH_BYTES];
    ldm_shown name;
    size_t i;

    for (i = 0; i < dict->u.seq.count; i += 2) {
        const ldm_pk *key = dict->u.seq.items[i], *v = dict->u.seq.items[i + 1];

        if (key->kind != LDM_PK_STR || v->kind != LDM_PK_DICT || ++s->looked > MAX_LOOKED)
            continue;
        snprintf(below, sizeof below, "%.100s%s%.80s", path, *path ? "." : "",
                 ldm_torch_show(key, &name));
        if (is_module_state(v))
            note_found(s, v, below);
        else if (depth < MAX_NESTED)
            look_below(s, v, below, depth + 1);
    }
}

/* The value of root["state_dict"], NULL where there is none. */
static ldm_status find_key(const ldm_torch *t, const ldm_pk *root, const ldm_pk **state,
                           ldm_error *err)
{
    size_t i;

    *state = NULL;
    for (i = 0; i < root->u.seq.count; i += 2) {
        const ldm_pk *key = root->u.seq.items[i], *v = root->u.seq.items[i + 1];

        if (!ldm_pk_is(key, "state_dict"))
            continue;
        if (*state)
            return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, key->pos,
                                    "a second 'state_dict', expected one");
        if (v->kind != LDM_PK_DICT)
            return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, v->pos,
                                    "'state_dict' is %s, expected a dictionary",
                                    ldm_pk_kind_name(v->kind));
        *state = v;
    }
    return LDM_OK;
}

/* The dictionary of tensors that lies below `top`, if there is just one. */
static ldm_status find_nested(ldm_torch *t, const ldm_pk *top, const char *path,
                              const ldm_pk **state, ldm_error *err)
{
    search s = {0};

    look_below(&s, top, path, 1);
    if (s.found > 1)
        return ldm_source_error(&t->src, err, LDM_ERR_FORMAT, top->pos,
                                "the tensors are not in 'state_dict' but in %d dictionaries: %s; "
                                "save the one that is meant as {'state_dict': ...}",
                                s.found, s.all);
    if (!s.found)
        return LDM_OK;
    *state = s.state;
    t->ck->state_path = ldm_arena_strdup(t->ck->keep, s.path);
    if (!t->ck->state_path)
        return ldm_index_no_room(t->ck, t->src.base, "metadata", err);
    return ldm_index_warn(t->ck, err,
                          "the tensors are below the key '%s' instead of 'state_dict': they are "
                          "read from there (CompVis' scripts would need "
                          "torch.save({'state_dict': ...}))",
                          s.path);
}

/* Reports why a value that stands in the place of a state dict is none. */
static ldm_status judge_entries(const ldm_torch *t, const ldm_pk *root, ldm_error *err)
{
    char what[WHAT_BYTES];
    size_t i;
    ldm_status st = LDM_OK;

    for (i = 0; !st && i < root->u.seq.count; i += 2)
        st = judge_opaque(t, root->u.seq.items[i], root->u.seq.items[i + 1], what, err);
    return st;
}

/* A dictionary, or torch's ParameterDict. What another global makes is told as that. */
static bool holds_parameters(const ldm_pk *v)
{
    static const char torch[] = "torch.nn.";

    return v->kind == LDM_PK_DICT ||
           (v->kind == LDM_PK_OBJECT && v->u.object.callee->kind == LDM_PK_GLOBAL &&
            !strncmp(v->u.object.callee->u.global.name, torch, sizeof torch - 1));
}

/* The embeddings of words that textual inversion saves; whatever the words are, they are no model.
 */
static bool is_textual_inversion(const ldm_pk *root)
{
    for (size_t i = 0; i < root->u.seq.count; i += 2) {
        if (ldm_pk_is(root->u.seq.items[i], "string_to_param") &&
            holds_parameters(root->u.seq.items[i + 1]))
            return true;
    }
    return false;
}

static ldm_status find_state(ldm_torch *t, const ldm_pk **state, ldm_error *err)
{
    const ldm_pk *root = t->pickle.root, *given;
    ldm_status st;

    *state = NULL;
    if (root->kind != LDM_PK_DICT)
        return no_state_dict(t, root, err);
    st = find_key(t, root, &given, err);
    if (st)
        return st;
    if (given) {
        *state = given;
        t->ck->state_path = "state_dict";
        return count_tensors(given) ? LDM_OK : find_nested(t, given, "state_dict", state, err);
    }
    if (is_textual_inversion(root))
        return ldm_source_error(&t->src, err, LDM_ERR_UNSUPPORTED, root->pos,
                                "the file holds a textual inversion (the embedding of a word); "
                                "give the checkpoint of the model that it is added to");
    if (count_tensors(root)) {
        *state = root;
        return LDM_OK;
    }
    st = find_nested(t, root, "", state, err);
    if (!st && !*state)
        st = judge_entries(t, root, err);
    return st || *state ? st : no_state_dict(t, root, err);
}

/* Copies what the accessors show of the globals, and warns of those that ldm does not know. */
static ldm_status index_globals(ldm_torch *t, ldm_error *err)
{
    ldm_ckpt *ck = t->ck;
    ldm_status st = LDM_OK;
    size_t i;

    ck->globals = ldm_arena_alloc(ck->keep, t->pickle.global_count, sizeof *ck->globals);
    if (!ck->globals)
        return ldm_index_no_room(ck, t->src.base, "globals", err);
    for (i = 0; i < t->pickle.global_count && !st; i++) {
        const ldm_pk *g = t->pickle.globals[i];

        ck->globals[i].name = ldm_arena_strdup(ck->keep, g->u.global.name);
        ck->globals[i].offset = t->src.base + g->pos;
        ck->globals[i].known = g->u.global.row != NULL;
        if (!ck->globals[i].name)
            return ldm_index_no_room(ck, ck->globals[i].offset, "globals", err);
        ck->global_count++;
        if (!g->u.global.row)
            st = ldm_index_warn(ck, err,
                                "unknown global '%.160s' (byte %llu): kept as data, nothing is "
                                "executed",
                                g->u.global.name, ldm_ull(ck->globals[i].offset));
    }
    return st;
}

ldm_status ldm_torch_index(ldm_torch *t, ldm_error *err)
{
    const ldm_pk *state = NULL;
    ldm_status st;

    st = find_state(t, &state, err);
    if (!st)
        st = index_entries(t, state, err);
    if (!st)
        st = index_globals(t, err);
    if (!st)
        st = ldm_torch_metadata(t, state, err);
    return st;
}
