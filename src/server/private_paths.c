/* SPDX-License-Identifier: MIT */
/* Texts without the folders of the machine; see private_paths.h. */
#include "server/private_paths.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json_text.h"

/* The longest first, so that no folder within another is left half. Written at the start alone. */
static struct {
    char **folders;
    size_t count, cap;
} known;

/* The first len bytes of the path, and a '/'. */
static bool add(const char *path, size_t len)
{
    char *folder = ldm_malloc(len + 2);
    size_t at;

    if (!folder || !ldm_grow(&known.folders, &known.cap, known.count + 1, sizeof *known.folders)) {
        ldm_free(folder);
        return false;
    }
    memcpy(folder, path, len);
    memcpy(folder + len, "/", 2);
    for (at = known.count++; at && strlen(known.folders[at - 1]) < len + 1; at--)
        known.folders[at] = known.folders[at - 1];
    known.folders[at] = folder;
    return true;
}

bool ldm_private_add(const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t len = strlen(path);

    if (slash && slash > path && !add(path, (size_t)(slash - path)))
        return false;
    return !ldm_is_dir(path) || path[len - 1] == '/' || add(path, len);
}

void ldm_private_clear(void)
{
    for (size_t i = 0; i < known.count; i++)
        ldm_free(known.folders[i]);
    ldm_free(known.folders);
    memset(&known, 0, sizeof known);
}

/* Whether a path may begin at p: not within a word, another path or an address. */
static bool begins(const char *text, const char *p)
{
    return p == text || !(isalnum((unsigned char)p[-1]) || strchr("/._-:~", p[-1]));
}

static size_t known_folder(const char *p)
{
    for (size_t i = 0; i < known.count; i++) {
        const size_t len = strlen(known.folders[i]);

        if (!strncmp(p, known.folders[i], len))
            return len;
    }
    return 0;
}

static bool is_route(const char *p)
{
    static const char *const routes[] = {"/api/v1/", "/sdapi/v1/", "/v1/"};

    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (!strncmp(p, routes[i], strlen(routes[i])))
            return true;
    }
    return false;
}

/* The length of an absolute path's folder, with its last '/'. A word that follows belongs to it,
 * too, where it has a '/' and what stands before it is no file's name: folders may have blanks. */
static size_t absolute_folder(const char *p)
{
    size_t folder = 0, at = 0;

    if (*p != '/' || is_route(p))
        return 0;
    for (;;) {
        const size_t word = at + strcspn(p + at, " \"'`,;()");

        for (size_t i = at; i < word; i++) {
            if (p[i] == '/')
                folder = i + 1;
        }
        if (p[word] != ' ' || memchr(p + folder, '.', word - folder) ||
            memchr(p + folder, ':', word - folder) || p[word + 1] == '/' ||
            !memchr(p + word + 1, '/', strcspn(p + word + 1, " \"'`,;()")))
            return folder > 1 ? folder : 0;
        at = word + 1;
    }
}

void ldm_private_hide(char *text)
{
    char *to = text;

    for (const char *p = text; *p;) {
        size_t len = 0;

        if (begins(text, p)) {
            len = known_folder(p);
            if (!len)
                len = absolute_folder(p);
        }
        p += len;
        if (!len)
            *to++ = *p++;
    }
    *to = '\0';
}

/* The text without folders; null when out of memory. */
static json_t *hidden(const json_t *v)
{
    char *copy = ldm_strdup(json_string_value(v));
    json_t *out = NULL;

    if (copy) {
        ldm_private_hide(copy);
        out = ldm_json_text(copy);
    }
    ldm_free(copy);
    return out ? out : json_null(); /* rather none than one with the path */
}

void ldm_private_hide_json(json_t *root)
{
    const char *key;
    json_t *v;
    size_t i;

    json_object_foreach(root, key, v)
    {
        if (json_is_string(v))
            json_object_set_new(root, key, hidden(v));
        else
            ldm_private_hide_json(v);
    }
    json_array_foreach(root, i, v)
    {
        if (json_is_string(v))
            json_array_set_new(root, i, hidden(v));
        else
            ldm_private_hide_json(v);
    }
}
