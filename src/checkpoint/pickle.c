/* SPDX-License-Identifier: MIT */
/* The pickle machine; see pickle.h. The opcodes are those of Python's Lib/pickletools.py. Marks,
 * stack and memo are arrays on the heap: no input makes this code recurse. The first failure sticks
 * in `st`; after it every helper returns at once, so that the opcodes read straight. */
#include "checkpoint/pickle_machine.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

enum {
    MAX_PROTOCOL = 5,
    MAX_GLOBAL_NAME = 1000,
    MAX_INT_BYTES = 128 /* of a LONG: torch's magic number has 10 */
};

static void push_kind(ldm_pkm *m, ldm_pk_kind kind)
{
    ldm_pkm_push(m, ldm_pkm_make(m, kind));
}

static void push_bool(ldm_pkm *m, bool b)
{
    ldm_pk *v = ldm_pkm_make(m, LDM_PK_BOOL);

    if (v)
        v->u.boolean = b;
    ldm_pkm_push(m, v);
}

static void push_int(ldm_pkm *m, int64_t i)
{
    ldm_pk *v = ldm_pkm_make(m, LDM_PK_INT);

    if (v)
        v->u.integer = i;
    ldm_pkm_push(m, v);
}

static void push_float(ldm_pkm *m, double f)
{
    ldm_pk *v = ldm_pkm_make(m, LDM_PK_FLOAT);

    if (v)
        v->u.real = f;
    ldm_pkm_push(m, v);
}

static void push_text(ldm_pkm *m, ldm_pk_kind kind, const void *data, size_t len)
{
    ldm_pk *v = data ? ldm_pkm_make(m, kind) : NULL;

    if (v) {
        v->u.text.data = data;
        v->u.text.len = len;
    }
    ldm_pkm_push(m, v);
}

static void push_counted(ldm_pkm *m, ldm_pk_kind kind, unsigned length_bytes)
{
    uint64_t len = ldm_pkm_take_uint(m, length_bytes);

    push_text(m, kind, ldm_pkm_take(m, len), (size_t)len);
}

/* Two's complement, little-endian, any length. */
static void push_long(ldm_pkm *m, uint64_t len)
{
    const unsigned char *p = ldm_pkm_take(m, len);
    char *text;
    size_t i;

    if (!p)
        return;
    if (len > MAX_INT_BYTES) {
        FAIL(m, LDM_ERR_UNSUPPORTED, "an integer of %llu bytes, at most %d are expected",
             ldm_ull(len), MAX_INT_BYTES);
        return;
    }
    if (len <= 8) {
        uint64_t v = len && p[len - 1] & 0x80 ? UINT64_MAX : 0;

        for (i = (size_t)len; i-- > 0;)
            v = v << 8 | p[i];
        push_int(m, (int64_t)v);
        return;
    }
    text = ldm_pkm_alloc(m, (size_t)len + 2, 2);
    if (text)
        push_text(m, LDM_PK_BIGINT, text, ldm_pickle_hex(p, (size_t)len, text));
}

static void push_number_line(ldm_pkm *m)
{
    size_t len = 0;
    const char *line = ldm_pkm_take_line(m, &len);
    ldm_pk *v = line ? ldm_pkm_make(m, LDM_PK_INT) : NULL;

    if (v && !ldm_pickle_number(m->op, line, len, v))
        FAIL(m, LDM_ERR_FORMAT, "'%.*s' is no number", (int)(len < 40 ? len : 40), line);
    ldm_pkm_push(m, v);
}

static void push_binfloat(ldm_pkm *m)
{
    const unsigned char *p = ldm_pkm_take(m, 8);
    uint64_t bits = 0;
    double f;
    int i;

    if (!p)
        return;
    for (i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    memcpy(&f, &bits, sizeof f);
    push_float(m, f);
}

static void push_text_line(ldm_pkm *m)
{
    size_t len = 0, n;
    const char *line = ldm_pkm_take_line(m, &len);
    char *dst = line ? ldm_pkm_alloc(m, len, 2) : NULL;

    if (!dst)
        return;
    n = m->op == 'S' ? ldm_pickle_unquote_repr(line, len, dst)
                     : ldm_pickle_raw_unicode(line, len, dst);
    if (n == SIZE_MAX)
        FAIL(m, LDM_ERR_FORMAT, "a malformed string in a pickle of protocol 0");
    else
        push_text(m, LDM_PK_STR, dst, n);
}

/* After a RUN it is unknown which values are keys: only the pairs before it are kept. */
static size_t pairs_before_run(ldm_pk **items, size_t count)
{
    return count && items[count - 1]->kind == LDM_PK_RUN ? (count - 1) / 2 * 2 : count;
}

static void push_seq(ldm_pkm *m, ldm_pk_kind kind, ldm_pk **items, size_t count)
{
    ldm_pk *v = ldm_pkm_make(m, kind);

    if (kind == LDM_PK_DICT)
        count = pairs_before_run(items, count);
    if (v && kind == LDM_PK_DICT && count % 2)
        FAIL(m, LDM_ERR_FORMAT, "a dictionary of %zu items, expected pairs", count);
    else if (v && ldm_pkm_append(m, v, items, count))
        ldm_pkm_push(m, v);
}

static void push_tuple_n(ldm_pkm *m, size_t n)
{
    if (m->st)
        return;
    if (m->depth - ldm_pkm_floor(m) < n) {
        FAIL(m, LDM_ERR_FORMAT, "pickle opcode 0x%02x finds too few values", (unsigned)m->op);
        return;
    }
    m->depth -= n;
    push_seq(m, LDM_PK_TUPLE, m->stack ? m->stack + m->depth : NULL, n);
}

static void push_from_mark(ldm_pkm *m, ldm_pk_kind kind)
{
    ldm_pk **items;
    size_t count;

    if (ldm_pkm_pop_mark(m, &items, &count))
        push_seq(m, kind, items, count);
}

/* Puts items into the container on top of the stack. Items for an opaque object are dropped. */
static void add_to_top(ldm_pkm *m, ldm_pk_kind kind, ldm_pk **items, size_t count)
{
    ldm_pk *v = ldm_pkm_top(m);

    if (!v)
        return;
    if (v->kind == LDM_PK_OBJECT)
        return;
    if (v->kind != kind)
        FAIL(m, LDM_ERR_FORMAT, "pickle opcode 0x%02x adds to %s, expected %s", (unsigned)m->op,
             ldm_pk_kind_name(v->kind), ldm_pk_kind_name(kind));
    else if (kind == LDM_PK_DICT && (count = pairs_before_run(items, count)) % 2)
        FAIL(m, LDM_ERR_FORMAT, "%zu items for a dictionary, expected pairs", count);
    else if (!ldm_pkm_drop_numbers(m, v, items, count))
        ldm_pkm_append(m, v, items, count);
}

static void add_from_mark(ldm_pkm *m, ldm_pk_kind kind)
{
    ldm_pk **items;
    size_t count;

    if (ldm_pkm_pop_mark(m, &items, &count))
        add_to_top(m, kind, items, count);
}

static void add_one(ldm_pkm *m, ldm_pk_kind kind)
{
    ldm_pk *items[2] = {NULL, NULL};

    items[1] = ldm_pkm_pop(m);
    items[0] = kind == LDM_PK_DICT ? ldm_pkm_pop(m) : items[1];
    if (items[0])
        add_to_top(m, kind, items, kind == LDM_PK_DICT ? 2 : 1);
}

static void memo_put(ldm_pkm *m, uint64_t index)
{
    ldm_pk *v = ldm_pkm_top(m);
    size_t old = m->memo_count;

    if (!v)
        return;
    /* Picklers number memo entries from 0, one for each opcode. A larger index would only take
     * memory. */
    if (index > m->pos) {
        FAIL(m, LDM_ERR_FORMAT, "memo index %llu in a pickle that has used at most %llu",
             ldm_ull(index), ldm_ull(m->pos));
        return;
    }
    if (index >= old) {
        if (!ldm_pkm_grow(m, &m->memo, &m->memo_count, (size_t)index + 1))
            return;
        memset(m->memo + old, 0, (m->memo_count - old) * sizeof *m->memo);
    }
    m->memo_next += !m->memo[index];
    m->memo[index] = v;
    v->shared = true;
}

static void memo_get(ldm_pkm *m, uint64_t index)
{
    if (m->st)
        return;
    if (index >= m->memo_count || !m->memo[index])
        FAIL(m, LDM_ERR_FORMAT, "memo entry %llu is used before it is set", ldm_ull(index));
    else
        ldm_pkm_push(m, m->memo[index]);
}

static uint64_t memo_index_line(ldm_pkm *m)
{
    size_t len = 0;
    const char *line = ldm_pkm_take_line(m, &len);
    uint64_t v = 0;

    if (line && !ldm_pickle_index(line, len, &v))
        FAIL(m, LDM_ERR_FORMAT, "'%.*s' is no memo index", (int)(len < 40 ? len : 40), line);
    return v;
}

/* Equal names share one value, so repeating a name takes no memory. They are found by binary
 * search, so no choice of names makes the search slow. */
static ldm_pk *intern_global(ldm_pkm *m, const char *name)
{
    size_t count = m->out->global_count, low = 0, high = count;
    ldm_pk *v;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(m->by_name[middle]->u.global.name, name);

        if (!order)
            return m->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (count == LDM_PICKLE_MAX_GLOBALS) {
        FAIL(m, LDM_ERR_LIMIT, "more than %d different globals, no checkpoint names so many",
             LDM_PICKLE_MAX_GLOBALS);
        return NULL;
    }
    v = ldm_pkm_make(m, LDM_PK_GLOBAL);
    if (!v)
        return NULL;
    v->u.global.name = ldm_arena_strdup(m->arena, name);
    if (!v->u.global.name) {
        FAIL(m, LDM_ERR_NOMEM, "out of memory for a global's name");
        return NULL;
    }
    v->u.global.row = ldm_global_lookup(name);
    memmove(m->by_name + low + 1, m->by_name + low, (count - low) * sizeof *m->by_name);
    m->by_name[low] = v;
    m->out->globals[count] = v;
    m->out->global_count++;
    return v;
}

static ldm_pk *make_global(ldm_pkm *m, const char *module, size_t module_len, const char *name,
                           size_t name_len)
{
    char full[MAX_GLOBAL_NAME + 2];

    if (module_len > MAX_GLOBAL_NAME || name_len > MAX_GLOBAL_NAME - module_len ||
        memchr(module, 0, module_len) || memchr(name, 0, name_len)) {
        FAIL(m, LDM_ERR_FORMAT, "a global's name of %zu bytes or with a NUL, at most %d expected",
             module_len + name_len, MAX_GLOBAL_NAME);
        return NULL;
    }
    memcpy(full, module, module_len);
    full[module_len] = '.';
    memcpy(full + module_len + 1, name, name_len);
    full[module_len + 1 + name_len] = '\0';
    return intern_global(m, full);
}

static ldm_pk *take_global_lines(ldm_pkm *m)
{
    size_t module_len = 0, name_len = 0;
    const char *module = ldm_pkm_take_line(m, &module_len);
    const char *name = ldm_pkm_take_line(m, &name_len);

    return name ? make_global(m, module, module_len, name, name_len) : NULL;
}

static void stack_global(ldm_pkm *m)
{
    ldm_pk *name = ldm_pkm_pop(m), *module = ldm_pkm_pop(m);

    if (!module)
        return;
    if (name->kind != LDM_PK_STR || module->kind != LDM_PK_STR)
        FAIL(m, LDM_ERR_FORMAT, "a global named by %s and %s, expected strings",
             ldm_pk_kind_name(module->kind), ldm_pk_kind_name(name->kind));
    else
        ldm_pkm_push(m, make_global(m, module->u.text.data, module->u.text.len, name->u.text.data,
                                    name->u.text.len));
}

/* Extension codes stand for names that the writer's process registered; Python refuses them, too.
 */
static void extension(ldm_pkm *m, unsigned bytes)
{
    uint64_t code = ldm_pkm_take_uint(m, bytes);

    FAIL(m, LDM_ERR_UNSUPPORTED,
         "extension code %llu, a name that only the program knew which wrote this; save it again "
         "with torch.save",
         ldm_ull(code));
}

/* OrderedDict() and OrderedDict([[key, value], ...]), as Python 3 and 2 write it. The factory of a
 * defaultdict is no pair and is dropped. */
static void push_dict_call(ldm_pkm *m, const ldm_pk *args)
{
    ldm_pk *dict = ldm_pkm_make(m, LDM_PK_DICT);
    size_t i, k;

    if (!dict)
        return;
    for (i = 0; i < args->u.seq.count; i++) {
        const ldm_pk *list = args->u.seq.items[i];

        if (list->kind != LDM_PK_LIST && list->kind != LDM_PK_TUPLE)
            continue;
        for (k = 0; k < list->u.seq.count; k++) {
            const ldm_pk *pair = list->u.seq.items[k];

            if ((pair->kind != LDM_PK_LIST && pair->kind != LDM_PK_TUPLE) ||
                pair->u.seq.count != 2) {
                FAIL(m, LDM_ERR_FORMAT, "a dictionary made of %s, expected pairs",
                     ldm_pk_kind_name(pair->kind));
                return;
            }
            if (!ldm_pkm_append(m, dict, pair->u.seq.items, 2))
                return;
        }
    }
    ldm_pkm_push(m, dict);
}

static void push_call(ldm_pkm *m, ldm_pk *callee, ldm_pk *args)
{
    ldm_pk *v;

    if (!callee || !args)
        return;
    if (callee->kind == LDM_PK_GLOBAL && callee->u.global.row &&
        callee->u.global.row->role == LDM_GLOBAL_DICT && args->kind == LDM_PK_TUPLE) {
        push_dict_call(m, args);
        return;
    }
    v = ldm_pkm_make(m, LDM_PK_OBJECT);
    if (v) {
        ldm_pkm_nest(m, v, callee);
        ldm_pkm_nest(m, v, args);
        v->u.object.callee = callee;
        v->u.object.args = args;
    }
    ldm_pkm_push(m, v);
}

/* NEWOBJ_EX has keyword arguments on top; they are dropped. */
static void reduce(ldm_pkm *m, bool keywords)
{
    ldm_pk *args = ldm_pkm_pop(m), *callee;

    if (keywords)
        args = ldm_pkm_pop(m);
    callee = ldm_pkm_pop(m);
    push_call(m, callee, args);
}

/* INST names its class on two lines, OBJ has it below the arguments; both take them from a mark. */
static void instance(ldm_pkm *m, bool named)
{
    ldm_pk *cls = named ? take_global_lines(m) : NULL, *args;
    ldm_pk **items;
    size_t count;

    if (!ldm_pkm_pop_mark(m, &items, &count))
        return;
    if (!named) {
        if (!count) {
            FAIL(m, LDM_ERR_FORMAT, "a pickled object without a class");
            return;
        }
        cls = items[0];
        items++;
        count--;
    }
    push_seq(m, LDM_PK_TUPLE, items, count);
    args = ldm_pkm_pop(m);
    push_call(m, cls, args);
}

/* Python passes the state to an object's __setstate__ or __dict__. For data (OrderedDict's
 * _metadata) it has no meaning here; for an opaque object it is not read. */
static void build(ldm_pkm *m)
{
    ldm_pk *state = ldm_pkm_pop(m), *v = ldm_pkm_top(m);

    if (!state || !v)
        return;
    if (v->kind != LDM_PK_DICT && v->kind != LDM_PK_OBJECT && v->kind != LDM_PK_GLOBAL)
        FAIL(m, LDM_ERR_FORMAT, "a pickle gives attributes to %s", ldm_pk_kind_name(v->kind));
}

static void push_persid(ldm_pkm *m, ldm_pk *id)
{
    ldm_pk *v = id ? ldm_pkm_make(m, LDM_PK_PERSID) : NULL;

    if (!v)
        return;
    ldm_pkm_nest(m, v, id);
    v->u.persid.id = id;
    v->u.persid.storage = SIZE_MAX;
    *m->last_persid = v;
    m->last_persid = &v->u.persid.next;
    ldm_pkm_push(m, v);
}

static void push_persid_line(ldm_pkm *m)
{
    size_t len = 0;
    const char *line = ldm_pkm_take_line(m, &len);

    push_text(m, LDM_PK_STR, line, len);
    push_persid(m, ldm_pkm_pop(m));
}

static void protocol(ldm_pkm *m)
{
    uint64_t version = ldm_pkm_take_uint(m, 1);

    if (!m->st && version > MAX_PROTOCOL)
        FAIL(m, LDM_ERR_UNSUPPORTED, "pickle protocol %llu, expected 0 to %d", ldm_ull(version),
             MAX_PROTOCOL);
}

static void frame(ldm_pkm *m)
{
    uint64_t len = ldm_pkm_take_uint(m, 8);

    if (!m->st && len > m->src->size - m->pos)
        FAIL(m, LDM_ERR_FORMAT, "a pickle frame of %llu bytes, %llu are left", ldm_ull(len),
             ldm_ull(m->src->size - m->pos));
}

static void push_mark(ldm_pkm *m)
{
    if (ldm_pkm_grow(m, &m->marks, &m->mark_cap, m->mark_count + 1))
        m->marks[m->mark_count++] = m->depth;
}

/* POP on a fresh mark removes the mark. */
static void pop_any(ldm_pkm *m)
{
    if (m->mark_count && m->marks[m->mark_count - 1] == m->depth)
        m->mark_count--;
    else
        ldm_pkm_pop(m);
}

static void duplicate(ldm_pkm *m)
{
    ldm_pk *v = ldm_pkm_top(m);

    if (v)
        v->shared = true;
    ldm_pkm_push(m, v);
}

static void stop(ldm_pkm *m)
{
    m->out->root = ldm_pkm_pop(m);
    m->out->end = m->pos;
}

static void step(ldm_pkm *m)
{
    ldm_pk **items;
    size_t count;

    switch (m->op) {
    /* clang-format off */
    case 0x80: protocol(m); break;
    case 0x95: frame(m); break;
    case '(': push_mark(m); break;
    case '0': pop_any(m); break;
    case '1': ldm_pkm_pop_mark(m, &items, &count); break;
    case '2': duplicate(m); break;
    case 'N': push_kind(m, LDM_PK_NONE); break;
    case 0x88: push_bool(m, true); break;
    case 0x89: push_bool(m, false); break;
    case 'I': case 'L': case 'F': push_number_line(m); break;
    case 'J': push_int(m, (int32_t)ldm_pkm_take_uint(m, 4)); break;
    case 'K': push_int(m, (int64_t)ldm_pkm_take_uint(m, 1)); break;
    case 'M': push_int(m, (int64_t)ldm_pkm_take_uint(m, 2)); break;
    case 0x8a: push_long(m, ldm_pkm_take_uint(m, 1)); break;
    case 0x8b: push_long(m, ldm_pkm_take_uint(m, 4)); break;
    case 'G': push_binfloat(m); break;
    case 'S': case 'V': push_text_line(m); break;
    case 'X': case 'T': push_counted(m, LDM_PK_STR, 4); break;
    case 0x8c: case 'U': push_counted(m, LDM_PK_STR, 1); break;
    case 0x8d: push_counted(m, LDM_PK_STR, 8); break;
    case 'B': push_counted(m, LDM_PK_BYTES, 4); break;
    case 'C': push_counted(m, LDM_PK_BYTES, 1); break;
    case 0x8e: case 0x96: push_counted(m, LDM_PK_BYTES, 8); break;
    case 0x98: break; /* READONLY_BUFFER has no effect here */
    case ')': push_kind(m, LDM_PK_TUPLE); break;
    case ']': push_kind(m, LDM_PK_LIST); break;
    case '}': push_kind(m, LDM_PK_DICT); break;
    case 0x8f: push_kind(m, LDM_PK_SET); break;
    case 't': push_from_mark(m, LDM_PK_TUPLE); break;
    case 'l': push_from_mark(m, LDM_PK_LIST); break;
    case 'd': push_from_mark(m, LDM_PK_DICT); break;
    case 0x91: push_from_mark(m, LDM_PK_SET); break;
    case 0x85: case 0x86: case 0x87: push_tuple_n(m, (size_t)(m->op - 0x84)); break;
    case 'a': add_one(m, LDM_PK_LIST); break;
    case 's': add_one(m, LDM_PK_DICT); break;
    case 'e': add_from_mark(m, LDM_PK_LIST); break;
    case 'u': add_from_mark(m, LDM_PK_DICT); break;
    case 0x90: add_from_mark(m, LDM_PK_SET); break;
    case 'p': memo_put(m, memo_index_line(m)); break;
    case 'q': memo_put(m, ldm_pkm_take_uint(m, 1)); break;
    case 'r': memo_put(m, ldm_pkm_take_uint(m, 4)); break;
    case 0x94: memo_put(m, m->memo_next); break;
    case 'g': memo_get(m, memo_index_line(m)); break;
    case 'h': memo_get(m, ldm_pkm_take_uint(m, 1)); break;
    case 'j': memo_get(m, ldm_pkm_take_uint(m, 4)); break;
    case 'c': ldm_pkm_push(m, take_global_lines(m)); break;
    case 0x93: stack_global(m); break;
    case 0x82: case 0x83: case 0x84: extension(m, 1u << (m->op - 0x82)); break;
    case 'R': case 0x81: case 0x92: reduce(m, m->op == 0x92); break; /* NEWOBJ: as REDUCE */
    case 'i': instance(m, true); break;
    case 'o': instance(m, false); break;
    case 'b': build(m); break;
    case 'P': push_persid_line(m); break;
    case 'Q': push_persid(m, ldm_pkm_pop(m)); break;
    case '.': stop(m); break;
    case 0x97: FAIL(m, LDM_ERR_UNSUPPORTED, "a pickle with out-of-band buffers"); break;
    /* clang-format on */
    default:
        FAIL(m, LDM_ERR_FORMAT, "0x%02x is no pickle opcode: the file is damaged", (unsigned)m->op);
        break;
    }
}

ldm_status ldm_pickle_read(const ldm_source *src, uint64_t start, ldm_arena *arena, uint64_t limit,
                           ldm_pickle *out, ldm_error *err)
{
    ldm_pkm m = {.src = src, .arena = arena, .out = out, .err = err, .limit = limit, .pos = start};

    memset(out, 0, sizeof *out);
    m.last_persid = &out->persids;
    while (!m.st && !out->root) {
        m.op_pos = m.pos;
        if (m.pos >= src->size) {
            FAIL(&m, LDM_ERR_FORMAT,
                 "the pickle ends without its STOP opcode: the file is cut off");
            break;
        }
        m.op = src->data[m.pos++];
        if (!ldm_pkm_number_bytes(src, m.op_pos)) {
            m.numbers = 0;
        } else {
            if (ldm_pkm_skip_numbers(&m))
                continue;
            m.numbers++;
        }
        step(&m);
    }
    ldm_free(m.stack);
    ldm_free(m.marks);
    ldm_free(m.memo);
    return m.st;
}
