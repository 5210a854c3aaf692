/* SPDX-License-Identifier: MIT */
/* The parts of the pickle machine that its opcodes (pickle.c) are made of: stack, marks, memory,
 * values. Private to these two files. */
#ifndef LDM_CHECKPOINT_PICKLE_MACHINE_H
#define LDM_CHECKPOINT_PICKLE_MACHINE_H

#include "checkpoint/pickle.h"

typedef struct ldm_pkm {
    const ldm_source *src;
    ldm_arena *arena;
    ldm_pickle *out;
    ldm_error *err;
    ldm_status st;
    uint64_t limit;
    uint64_t pos;    /* of the next byte */
    uint64_t op_pos; /* of the opcode at work */
    int op;
    ldm_pk **stack;
    size_t depth, stack_cap;
    size_t *marks; /* stack depths */
    size_t mark_count, mark_cap;
    ldm_pk **memo;         /* NULL: not set */
    size_t memo_count;     /* allocated */
    size_t memo_next;      /* entries set: MEMOIZE takes this index */
    ldm_pk *spare;         /* a linked list of dropped values that may be used again */
    size_t numbers;        /* numbers pushed since the last opcode of another kind */
    uint64_t no_run_until; /* up to here the numbers are known to be needed one by one */
    ldm_pk **last_persid;
    ldm_pk *by_name[LDM_PICKLE_MAX_GLOBALS]; /* the globals, sorted */
} ldm_pkm;

/* The first failure sticks. */
#define FAIL(m, status, ...)                                                                       \
    ((m)->st ? (m)->st                                                                             \
             : ((m)->st = ldm_source_error((m)->src, (m)->err, status, (m)->op_pos, __VA_ARGS__)))

/* Zeroed memory in the arena; NULL after any failure. */
void *ldm_pkm_alloc(ldm_pkm *m, size_t count, size_t size);
/* Grows one of the machine's own arrays, which count against the limit like the arena. */
bool ldm_pkm_grow(ldm_pkm *m, void *items, size_t *cap, size_t need);
/* The next n bytes of the stream, or NULL where it ends before. */
const unsigned char *ldm_pkm_take(ldm_pkm *m, uint64_t n);
/* A line of protocol 0, without its newline. */
const char *ldm_pkm_take_line(ldm_pkm *m, size_t *len);
/* A length or index of 1, 2, 4 or 8 bytes; 0 on failure. */
uint64_t ldm_pkm_take_uint(ldm_pkm *m, unsigned bytes);
/* NULL is fine: a failure came before. */
void ldm_pkm_push(ldm_pkm *m, ldm_pk *v);
/* The depth at which the last mark stands. */
size_t ldm_pkm_floor(const ldm_pkm *m);
/* The value on top, down to the last mark; NULL on failure. */
ldm_pk *ldm_pkm_pop(ldm_pkm *m);
ldm_pk *ldm_pkm_top(ldm_pkm *m);
/* Drops the last mark; *items, *count are what stood above it, still in the stack's memory. */
bool ldm_pkm_pop_mark(ldm_pkm *m, ldm_pk ***items, size_t *count);
/* A new value of this kind, made by the opcode at work. */
ldm_pk *ldm_pkm_make(ldm_pkm *m, ldm_pk_kind kind);
/* v is put into outer: the depth is bounded. */
void ldm_pkm_nest(ldm_pkm *m, ldm_pk *outer, const ldm_pk *v);
/* Puts items into a sequence. */
bool ldm_pkm_append(ldm_pkm *m, ldm_pk *v, ldm_pk **items, size_t count);
/* The number of bytes of the opcode at `pos` with its argument if it pushes a number, else 0. */
uint64_t ldm_pkm_number_bytes(const ldm_source *src, uint64_t pos);
/* Long sequences of numbers are counted instead of kept: see pickle_machine.c. */
bool ldm_pkm_skip_numbers(ldm_pkm *m);
bool ldm_pkm_drop_numbers(ldm_pkm *m, ldm_pk *v, ldm_pk **items, size_t count);

#endif
