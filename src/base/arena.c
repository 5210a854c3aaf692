/* SPDX-License-Identifier: MIT */
/* Arena of chained blocks; see arena.h. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

#if defined(__SANITIZE_ADDRESS__)
#define SEPARATE_OBJECTS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEPARATE_OBJECTS 1
#endif
#endif

#define BLOCK_BYTES ((size_t)64 << 10)

typedef struct block {
    struct block *next;
    size_t size, used;
    alignas(max_align_t) unsigned char data[];
} block;

struct ldm_arena {
    block *blocks;
    uint64_t used, limit;
    int over_limit;
};

ldm_arena *ldm_arena_create(uint64_t limit)
{
    ldm_arena *a = ldm_calloc(1, sizeof *a);

    if (a)
        a->limit = limit;
    return a;
}

void ldm_arena_free(ldm_arena *a)
{
    block *b, *next;

    if (!a)
        return;
    for (b = a->blocks; b; b = next) {
        next = b->next;
        ldm_free(b);
    }
    ldm_free(a);
}

static block *add_block(ldm_arena *a, size_t size)
{
    block *b;
    size_t bytes;

    if (ldm_add_size(sizeof *b, size, &bytes))
        return NULL;
    b = ldm_calloc(1, bytes);
    if (!b)
        return NULL;
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *ldm_arena_alloc(ldm_arena *a, size_t count, size_t size)
{
    const size_t align = alignof(max_align_t);
    block *b = a->blocks;
    size_t bytes, rounded;
    uint64_t total;
    void *p;

    if (ldm_mul_size(count, size, &bytes) || ldm_add_size(bytes, align - 1, &rounded))
        return NULL;
    rounded = rounded / align * align;
    if (!rounded)
        rounded = align;
    if (ldm_add_u64(a->used, rounded, &total) || (a->limit && total > a->limit)) {
        a->over_limit = 1;
        return NULL;
    }
#ifdef SEPARATE_OBJECTS
    b = add_block(a, bytes ? bytes : 1);
    if (!b)
        return NULL;
    b->used = b->size;
    p = b->data;
#else
    if (!b || b->size - b->used < rounded) {
        b = add_block(a, rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES);
        if (!b)
            return NULL;
    }
    p = b->data + b->used;
    b->used += rounded;
#endif
    a->used = total;
    return p;
}

char *ldm_arena_strndup(ldm_arena *a, const char *s, size_t len)
{
    char *copy;

    if (len == SIZE_MAX)
        return NULL;
    copy = ldm_arena_alloc(a, len + 1, 1);
    if (copy)
        memcpy(copy, s, len);
    return copy;
}

char *ldm_arena_strdup(ldm_arena *a, const char *s)
{
    return ldm_arena_strndup(a, s, strlen(s));
}

char *ldm_arena_printf(ldm_arena *a, const char *fmt, ...)
{
    va_list ap;
    char *s;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        return NULL;
    s = ldm_arena_alloc(a, (size_t)len + 1, 1);
    if (!s)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(s, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return s;
}

uint64_t ldm_arena_used(const ldm_arena *a)
{
    return a->used;
}

int ldm_arena_over_limit(const ldm_arena *a)
{
    return a->over_limit;
}
