/* SPDX-License-Identifier: MIT */
/* Finding values: dotted paths ("a.b[0].c") and references (${a.b.c}) as text, and maps by key. */
#include <stdlib.h>
#include <string.h>

#include "config/tree.h"

bool ldm_parse_index(const char *text, size_t count, size_t *out)
{
    size_t n = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > SIZE_MAX / 10 - 1)
            return false;
        n = n * 10 + (size_t)(*text - '0');
    }
    *out = n;
    return n < count;
}

const char *ldm_path_part(const char **path, size_t *len)
{
    const char *s = *path, *end;

    if (*s == '[') {
        end = strchr(s, ']');
        if (end && (!end[1] || end[1] == '.' || end[1] == '[')) {
            *path = s + 1;
            *len = (size_t)(end - s - 1);
            return end[1] == '.' ? end + 2 : end[1] ? end + 1 : NULL;
        }
    }
    *len = strcspn(s, ".[");
    if (*len == 0 && *s == '[') /* no index after all: part of the name */
        *len = 1 + strcspn(s + 1, ".");
    end = s + *len;
    return *end == '.' ? end + 1 : *end ? end : NULL;
}

bool ldm_reference_path(const char *text, char *path, size_t cap)
{
    const size_t len = strlen(text);

    if (strncmp(text, "${", 2) != 0 || text[len - 1] != '}' || len == 3 || len - 3 >= cap ||
        text[2] == '.' || strcspn(text + 2, "${}:'\" ") != len - 3)
        return false;
    memcpy(path, text + 2, len - 3);
    path[len - 3] = '\0';
    return true;
}

static int by_key(const void *a, const void *b)
{
    const ldm_value *const *x = a, *const *y = b;

    return strcmp((*x)->key, (*y)->key);
}

bool ldm_map_sort(ldm_value *map, ldm_arena *arena)
{
    const size_t count = map->u.list.count;

    map->u.list.sorted = ldm_arena_alloc(arena, count, sizeof *map->u.list.sorted);
    if (!map->u.list.sorted)
        return false;
    if (count) {
        memcpy(map->u.list.sorted, map->u.list.items, count * sizeof *map->u.list.items);
        qsort(map->u.list.sorted, count, sizeof *map->u.list.sorted, by_key);
    }
    return true;
}

ldm_value *ldm_map_get(const ldm_value *map, const char *key)
{
    size_t low = 0, high = map->u.list.count;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = strcmp(map->u.list.sorted[mid]->key, key);

        if (!order)
            return map->u.list.sorted[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
