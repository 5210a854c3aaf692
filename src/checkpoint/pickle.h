/* SPDX-License-Identifier: MIT */
/* Pickle streams, protocols 0 to 5, read as data. The opcodes of Python's pickle machine build
 * values in an arena; nothing is imported, called or constructed. A global is a name; what REDUCE,
 * NEWOBJ and the like would call becomes an OBJECT that keeps callee and arguments. Only callables
 * that make plain dictionaries (collections.OrderedDict) are followed, by building the dictionary
 * here.
 *
 * Values may be shared and, as in Python, may contain themselves: code that walks them must limit
 * depth and count. */
#ifndef LDM_CHECKPOINT_PICKLE_H
#define LDM_CHECKPOINT_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "checkpoint/source.h"

typedef enum ldm_pk_kind {
    LDM_PK_NONE,
    LDM_PK_BOOL,
    LDM_PK_INT,
    LDM_PK_BIGINT, /* beyond 64 bits: text, "0x..." or decimal */
    LDM_PK_FLOAT,
    LDM_PK_STR,   /* text; Python 2's 8-bit strings too, so not always UTF-8 */
    LDM_PK_BYTES, /* text */
    LDM_PK_TUPLE, /* seq, so are the next four; DICT alternates keys and values, in order written */
    LDM_PK_LIST,
    LDM_PK_SET,
    LDM_PK_DICT,
    LDM_PK_GLOBAL,
    LDM_PK_OBJECT,
    LDM_PK_PERSID,
    LDM_PK_RUN /* a count of numbers in a long sequence that were not kept, such as a history of
                  losses */
} ldm_pk_kind;

/* What ldm makes of a global. */
typedef enum ldm_global_role {
    LDM_GLOBAL_DATA, /* harmless and without meaning here */
    LDM_GLOBAL_DICT, /* makes a dictionary */
    LDM_GLOBAL_STORAGE,
    LDM_GLOBAL_TENSOR,       /* torch._utils._rebuild_tensor and _v2 */
    LDM_GLOBAL_TENSOR_V3,    /* the same with the type of its elements beside an untyped storage */
    LDM_GLOBAL_QTENSOR,      /* the same with a quantiser */
    LDM_GLOBAL_PARAMETER,    /* wraps a tensor: first argument */
    LDM_GLOBAL_TYPED,        /* wraps a call: (function, class, arguments, attributes) */
    LDM_GLOBAL_TENSOR_CLASS, /* a class that TYPED may name without meaning more than a dense tensor
                              */
    LDM_GLOBAL_DTYPE,        /* torch.float32, ... */
    LDM_GLOBAL_OTHER_TENSOR  /* sparse, nested, ...: known, but ldm cannot read it */
} ldm_global_role;

typedef struct ldm_global_row {
    const char *name;
    ldm_global_role role;
    int dtype;           /* of a storage or DTYPE; -1: none */
    unsigned elem_bytes; /* of a storage */
} ldm_global_row;

typedef struct ldm_pk ldm_pk;
struct ldm_pk {
    ldm_pk_kind kind;
    bool shared;  /* the memo or a second place on the stack refers to it */
    int depth;    /* of what it held when it was put into another value; bounded */
    uint64_t pos; /* of its opcode in the stream */
    union {
        bool boolean;
        int64_t integer;
        double real;
        uint64_t run;  /* how many values a RUN stands for */
        ldm_pk *spare; /* the next one that the reader may use again */
        struct {
            const char *data; /* not NUL-terminated */
            size_t len;
        } text;
        struct {
            ldm_pk **items;
            size_t count, cap; /* of items: two per pair in a DICT */
        } seq;
        struct {
            const char *name;          /* "module.name" */
            const ldm_global_row *row; /* NULL: unknown to ldm */
        } global;
        struct {
            ldm_pk *callee, *args; /* args may be any value */
        } object;
        struct {
            ldm_pk *id;
            ldm_pk *next;   /* the next persistent id of the stream */
            size_t storage; /* for the torch readers */
        } persid;
    } u;
};

/* More different globals than any checkpoint names. */
enum { LDM_PICKLE_MAX_GLOBALS = 256 };

typedef struct ldm_pickle {
    ldm_pk *root;
    uint64_t end;                            /* offset after the STOP opcode */
    ldm_pk *persids;                         /* all in order, linked */
    ldm_pk *globals[LDM_PICKLE_MAX_GLOBALS]; /* each name once, where it first stood */
    size_t global_count;
} ldm_pickle;

/* Reads one pickle that begins at `start`. Values live in `arena`, texts partly in the source.
 * `limit` bounds the arena and the machine's own stack and memo together. */
ldm_status ldm_pickle_read(const ldm_source *src, uint64_t start, ldm_arena *arena, uint64_t limit,
                           ldm_pickle *out, ldm_error *err);

/* The row of a global that ldm knows, or NULL. Names of modules that hold plain data (numpy,
 * pathlib, ...) share rows of the role DATA: what they make is skipped where no run needs it. */
const ldm_global_row *ldm_global_lookup(const char *name);

const char *ldm_pk_kind_name(ldm_pk_kind kind); /* "a tuple" */

/* True for a STR with exactly this text. */
bool ldm_pk_is(const ldm_pk *v, const char *text);

/* Decodes the texts of protocol 0 into dst (room for 2 * len bytes) and
 * returns the bytes written, or SIZE_MAX where the text is malformed. repr: Python 2's repr() of a
 * string, quotes included. raw_unicode: backslash-u escapes to UTF-8. */
size_t ldm_pickle_unquote_repr(const char *text, size_t len, char *dst);
size_t ldm_pickle_raw_unicode(const char *text, size_t len, char *dst);

/* A little-endian two's complement number as "0x..." or "-0x..."; dst has room for 2 * len + 3
 * bytes. Returns the length; no NUL is written. */
size_t ldm_pickle_hex(const unsigned char *p, size_t len, char *dst);

/* A decimal number without sign. False where the text is none or it does not fit. */
bool ldm_pickle_index(const char *text, size_t len, uint64_t *out);

/* The line after an opcode I, L or F ("12", "12L", "00" and "01" for bools, "1e-3"): fills v's
 * kind and value; a number beyond 64 bits points into the line. False where it is no number. */
bool ldm_pickle_number(int op, const char *line, size_t len, ldm_pk *v);

#endif
