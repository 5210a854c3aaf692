/* SPDX-License-Identifier: MIT */
/* Stack, marks, memory and values of the pickle machine; see pickle_machine.h. Marks, stack and
 * memo are arrays on the heap: no input makes this code recurse. */
#include "checkpoint/pickle_machine.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "checkpoint/index.h"

enum {
    MAX_DEPTH = 1000, /* the depth that Python's own pickler reaches, by its recursion limit */
    KEPT_NUMBERS =
        10000, /* of one sequence; a training's history of millions is counted, not kept */
    NAME_SHOWN = 100
};

/* The key of the outermost dictionary whose value is being read, for messages; "" where none is
 * seen. A pickler writes a dictionary as MARK key value key value ... SETITEMS, so the key stands
 * at an even distance above the first mark; values that are being filled have marks of their own
 * further up. */
static void key_at_work(const ldm_pkm *m, char *dst, size_t cap)
{
    const size_t low = m->mark_count ? m->marks[0] : 0;
    const size_t high = m->mark_count > 1 ? m->marks[1] : m->depth;
    const ldm_pk *key;

    dst[0] = '\0';
    if (high <= low)
        return;
    key = m->stack[low + (high - low - 1) / 2 * 2];
    if (key->kind == LDM_PK_STR)
        ldm_printable(key->u.text.data, key->u.text.len, dst, cap);
}

static void fail_limit(ldm_pkm *m)
{
    char key[NAME_SHOWN];

    key_at_work(m, key, sizeof key);
    FAIL(m, LDM_ERR_LIMIT,
         "the pickle asks for more than %llu MB of memory, the limit for a file of this "
         "size%s%s%s",
         ldm_ull(m->limit >> 20), key[0] ? "; most of it is below the key '" : "", key,
         key[0] ? "': save the file again without that key" : "");
}

void *ldm_pkm_alloc(ldm_pkm *m, size_t count, size_t size)
{
    void *p;

    if (m->st)
        return NULL;
    p = ldm_arena_alloc(m->arena, count, size);
    if (!p && ldm_arena_over_limit(m->arena))
        fail_limit(m);
    else if (!p)
        FAIL(m, LDM_ERR_NOMEM, "out of memory for the pickle");
    return p;
}

/* Grows one of the machine's own arrays, which count against the limit like the arena. */
bool ldm_pkm_grow(ldm_pkm *m, void *items, size_t *cap, size_t need)
{
    const size_t each = sizeof(void *); /* marks are as large */
    uint64_t total;

    if (m->st)
        return false;
    if (need <= *cap)
        return true;
    total = ldm_arena_used(m->arena) +
            each * (uint64_t)(m->stack_cap + m->mark_cap + m->memo_count - *cap);
    if (ldm_add_u64(total, 2 * each * (uint64_t)need, &total) || total > m->limit) {
        fail_limit(m);
        return false;
    }
    if (!ldm_grow(items, cap, need, each)) {
        FAIL(m, LDM_ERR_NOMEM, "out of memory for the pickle");
        return false;
    }
    return true;
}

const unsigned char *ldm_pkm_take(ldm_pkm *m, uint64_t n)
{
    const unsigned char *p;

    if (m->st)
        return NULL;
    if (n > m->src->size - m->pos) {
        FAIL(m, LDM_ERR_FORMAT,
             "pickle opcode 0x%02x needs %llu bytes more, %llu are left: the file is cut off or "
             "damaged",
             (unsigned)m->op, ldm_ull(n), ldm_ull(m->src->size - m->pos));
        return NULL;
    }
    p = m->src->data + m->pos;
    m->pos += n;
    return p;
}

/* A line of protocol 0, without its newline. */
const char *ldm_pkm_take_line(ldm_pkm *m, size_t *len)
{
    const unsigned char *p, *end;

    if (m->st)
        return NULL;
    p = m->src->data + m->pos;
    end = m->pos < m->src->size ? memchr(p, '\n', (size_t)(m->src->size - m->pos)) : NULL;
    if (!end) {
        FAIL(m, LDM_ERR_FORMAT, "pickle opcode 0x%02x: no end of line", (unsigned)m->op);
        return NULL;
    }
    *len = (size_t)(end - p);
    m->pos += *len + 1;
    return (const char *)p;
}

/* A length or index of 1, 4 or 8 bytes. */
uint64_t ldm_pkm_take_uint(ldm_pkm *m, unsigned bytes)
{
    const unsigned char *p = ldm_pkm_take(m, bytes);

    if (!p)
        return 0;
    return bytes == 1 ? p[0] : bytes == 2 ? ldm_le16(p) : bytes == 4 ? ldm_le32(p) : ldm_le64(p);
}

void ldm_pkm_push(ldm_pkm *m, ldm_pk *v)
{
    if (!v || !ldm_pkm_grow(m, &m->stack, &m->stack_cap, m->depth + 1))
        return;
    m->stack[m->depth++] = v;
}

size_t ldm_pkm_floor(const ldm_pkm *m)
{
    return m->mark_count ? m->marks[m->mark_count - 1] : 0;
}

ldm_pk *ldm_pkm_pop(ldm_pkm *m)
{
    if (m->st)
        return NULL;
    if (m->depth <= ldm_pkm_floor(m)) {
        FAIL(m, LDM_ERR_FORMAT, "pickle opcode 0x%02x finds the stack empty", (unsigned)m->op);
        return NULL;
    }
    return m->stack[--m->depth];
}

ldm_pk *ldm_pkm_top(ldm_pkm *m)
{
    ldm_pk *v = ldm_pkm_pop(m);

    if (v)
        m->depth++;
    return v;
}

/* Drops the last mark; *items, *count are what stood above it, still in the stack's memory. */
bool ldm_pkm_pop_mark(ldm_pkm *m, ldm_pk ***items, size_t *count)
{
    size_t mark;

    if (m->st)
        return false;
    if (!m->mark_count) {
        FAIL(m, LDM_ERR_FORMAT, "pickle opcode 0x%02x finds no mark", (unsigned)m->op);
        return false;
    }
    mark = m->marks[--m->mark_count];
    *items = m->stack ? m->stack + mark : NULL;
    *count = m->depth - mark;
    m->depth = mark;
    return true;
}

ldm_pk *ldm_pkm_make(ldm_pkm *m, ldm_pk_kind kind)
{
    ldm_pk *v = m->spare;

    if (v) {
        m->spare = v->u.spare;
        memset(v, 0, sizeof *v);
    } else {
        v = ldm_pkm_alloc(m, 1, sizeof *v);
    }
    if (v) {
        v->kind = kind;
        v->pos = m->op_pos;
    }
    return v;
}

/* Notes the depth when v is put into outer. What is put into v later is not counted; picklers do
 * not write that. */
void ldm_pkm_nest(ldm_pkm *m, ldm_pk *outer, const ldm_pk *v)
{
    if (v != outer && v->depth == MAX_DEPTH)
        FAIL(m, LDM_ERR_LIMIT, "values nested more than %d deep", MAX_DEPTH);
    else if (v != outer && v->depth >= outer->depth)
        outer->depth = v->depth + 1;
}

bool ldm_pkm_append(ldm_pkm *m, ldm_pk *v, ldm_pk **items, size_t count)
{
    size_t need, cap = v->u.seq.cap, i;
    ldm_pk **bigger;

    for (i = 0; i < count && !m->st; i++)
        ldm_pkm_nest(m, v, items[i]);
    if (m->st || !count)
        return !m->st;
    need = v->u.seq.count + count; /* both are bounded by the stream's length */
    if (need > cap) {
        cap = need > 2 * cap ? need : 2 * cap;
        bigger = ldm_pkm_alloc(m, cap, sizeof *bigger);
        if (!bigger)
            return false;
        if (v->u.seq.count)
            memcpy(bigger, v->u.seq.items, v->u.seq.count * sizeof *bigger);
        v->u.seq.items = bigger;
        v->u.seq.cap = cap;
    }
    memcpy(v->u.seq.items + v->u.seq.count, items, count * sizeof *items);
    v->u.seq.count = need;
    return true;
}

/* ---- long sequences of numbers ----------------------------------------------------------------
 */

static bool is_number(const ldm_pk *v)
{
    return v->kind <= LDM_PK_FLOAT && v->kind != LDM_PK_BIGINT;
}

/* The number of bytes of the opcode at `pos` with its argument if it pushes a number, else 0. */
uint64_t ldm_pkm_number_bytes(const ldm_source *src, uint64_t pos)
{
    const uint64_t left = src->size - pos;
    uint64_t n = 0;

    switch (src->data[pos]) {
    case 'N':
    case 0x88:
    case 0x89:
        n = 1;
        break;
    case 'K':
        n = 2;
        break;
    case 'M':
        n = 3;
        break;
    case 'J':
        n = 5;
        break;
    case 'G':
        n = 9;
        break;
    case 0x8a:
        n = left > 1 && src->data[pos + 1] <= 8 ? 2 + (uint64_t)src->data[pos + 1] : 0;
        break;
    default:
        break;
    }
    return n <= left ? n : 0;
}

/* The opcodes that take everything above the last mark. */
static bool takes_from_mark(int op)
{
    return op == 'e' || op == 't' || op == 'l' || op == 'd' || op == 'u' || op == 0x90 ||
           op == 0x91;
}

/* With KEPT_NUMBERS numbers on the stack, those that follow up to the opcode that takes them all
 * are counted instead of kept: a list of 3,000,000 losses would take 150 MB. True if it was done;
 * the stream then stands before that opcode. */
bool ldm_pkm_skip_numbers(ldm_pkm *m)
{
    uint64_t pos = m->op_pos, count = 0, n;
    ldm_pk *v;

    if (m->numbers < KEPT_NUMBERS || pos < m->no_run_until)
        return false;
    while (pos < m->src->size && (n = ldm_pkm_number_bytes(m->src, pos))) {
        pos += n;
        count++;
    }
    m->no_run_until = pos;
    if (!count || pos == m->src->size || !takes_from_mark(m->src->data[pos]))
        return false;
    v = ldm_pkm_make(m, LDM_PK_RUN);
    if (v)
        v->u.run = count;
    ldm_pkm_push(m, v);
    m->pos = pos;
    return true;
}

/* Numbers for a sequence that already has KEPT_NUMBERS are dropped, and a RUN at its end counts
 * them (picklers append a thousand at a time). Returns true if that was done. */
bool ldm_pkm_drop_numbers(ldm_pkm *m, ldm_pk *v, ldm_pk **items, size_t count)
{
    const size_t each = v->kind == LDM_PK_DICT ? 2 : 1;
    ldm_pk *last;
    uint64_t dropped = 0;
    size_t i;

    if (v->u.seq.count < each * KEPT_NUMBERS)
        return false;
    for (i = 0; i < count; i++) {
        if (items[i]->shared || !(is_number(items[i]) || items[i]->kind == LDM_PK_RUN))
            return false;
        dropped += items[i]->kind == LDM_PK_RUN ? items[i]->u.run : 1;
    }
    for (i = 0; i < count; i++) {
        items[i]->u.spare = m->spare;
        m->spare = items[i];
    }
    if (v->kind == LDM_PK_DICT || !count)
        return true;
    last = v->u.seq.items[v->u.seq.count - 1];
    if (last->kind != LDM_PK_RUN || last->shared) {
        last = ldm_pkm_make(m, LDM_PK_RUN);
        if (!last || !ldm_pkm_append(m, v, &last, 1))
            return true;
    }
    last->u.run += dropped;
    return true;
}
