/* SPDX-License-Identifier: MIT */
/* The only caller of malloc and mmap for memory; see alloc.h. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"

/* The one mutable global of the library: a counter for tests that fail the n-th allocation. */
static atomic_ulong alloc_calls;
static atomic_ulong alloc_fail;

unsigned long ldm_alloc_fail_at(unsigned long n)
{
    atomic_store(&alloc_fail, n);
    return atomic_exchange(&alloc_calls, 0);
}

static bool must_fail(void)
{
    unsigned long call = atomic_fetch_add_explicit(&alloc_calls, 1, memory_order_relaxed) + 1;

    return call == atomic_load_explicit(&alloc_fail, memory_order_relaxed);
}

void *ldm_malloc(size_t bytes)
{
    return must_fail() ? NULL : malloc(bytes ? bytes : 1);
}

void *ldm_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *ldm_reallocarray(void *p, size_t count, size_t size)
{
    size_t bytes;

    if (must_fail() || ldm_mul_size(count, size, &bytes))
        return NULL;
    return realloc(p, bytes ? bytes : 1);
}

char *ldm_strndup(const char *s, size_t len)
{
    char *copy = ldm_malloc(len + 1);

    if (copy) {
        memcpy(copy, s, len);
        copy[len] = '\0';
    }
    return copy;
}

char *ldm_strdup(const char *s)
{
    return ldm_strndup(s, strlen(s));
}

void ldm_free(void *p)
{
    free(p);
}

void *ldm_pages_alloc(size_t bytes)
{
    void *p;

    if (must_fail())
        return NULL;
    if (bytes < LDM_HUGE_PAGE) {
        /* Small blocks come from the heap: there, sanitizers notice an overrun. */
        if (posix_memalign(&p, 64, bytes ? bytes : 64))
            return NULL;
        memset(p, 0, bytes);
        return p;
    }
    p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
#ifdef MADV_HUGEPAGE
    (void)madvise(p, bytes, MADV_HUGEPAGE); /* a hint: if it fails, only speed is lost */
#endif
    return p;
}

void ldm_pages_free(void *p, size_t bytes)
{
    if (!p)
        return;
    if (bytes < LDM_HUGE_PAGE)
        free(p);
    else
        munmap(p, bytes);
}

bool ldm_grow(void *items, size_t *cap, size_t need, size_t elem_size)
{
    size_t want = *cap ? *cap : 8;
    void *p;

    if (need <= *cap)
        return true;
    while (want < need) {
        if (want > SIZE_MAX / 2)
            return false;
        want *= 2;
    }
    memcpy(&p, items, sizeof p); /* items is a `T **` of any T: no aliasing through void ** */
    p = ldm_reallocarray(p, want, elem_size);
    if (!p)
        return false;
    memcpy(items, &p, sizeof p);
    *cap = want;
    return true;
}
