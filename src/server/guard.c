/* SPDX-License-Identifier: MIT */
/* Whom the server answers; see guard.h. */
#include "server/guard.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "server/base64.h"

enum { MAX_NAME = 253, MAX_KEY = 512 };

/* The host of "host:port" in lower case, without brackets and the root's dot. False for what is no
 * host. */
static bool host_name(const char *host, char *name, size_t size)
{
    const bool bracket = host[0] == '[';
    const char *end = bracket ? strchr(host, ']') : host + strcspn(host, ":");
    const char *begin = host + bracket, *port;
    size_t len;

    if (!end || end == begin)
        return false;
    port = end + bracket;
    if (*port &&
        (*port != ':' || !port[1] || port[1 + strspn(port + 1, "0123456789")] || strlen(port) > 6))
        return false;
    len = (size_t)(end - begin);
    if (len >= size)
        return false;
    for (size_t i = 0; i < len; i++) {
        const char c = (char)tolower((unsigned char)begin[i]);

        if (!isalnum((unsigned char)c) && !strchr(bracket ? ":." : "-._", c))
            return false;
        if (c == '.' && !bracket && (!i || begin[i - 1] == '.'))
            return false; /* an empty label */
        name[i] = c;
    }
    if (len > 1 && name[len - 1] == '.')
        len--;
    name[len] = '\0';
    return true;
}

static bool is_address(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

bool ldm_guard_host(const char *host, const char *const *hosts)
{
    static const char local[] = ".localhost";
    char name[MAX_NAME + 1];
    size_t len;

    if (!host_name(host, name, sizeof name))
        return false;
    len = strlen(name);
    if (is_address(name) || !strcmp(name, local + 1) ||
        (len > sizeof local - 1 && !strcmp(name + len - (sizeof local - 1), local)))
        return true;
    for (; hosts && *hosts; hosts++) {
        if (!strcasecmp(*hosts, name))
            return true;
    }
    return false;
}

bool ldm_guard_is_loopback(const char *address)
{
    unsigned char v4[4];
    struct in6_addr v6;

    if (!strcmp(address, "localhost"))
        return true;
    if (inet_pton(AF_INET, address, v4) == 1)
        return v4[0] == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool ldm_guard_same(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    unsigned char differ = n != m;

    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(a[i] ^ b[m ? i % m : 0]);
    return !differ;
}

/* Origin "http://HOST" of the very host that was asked, or one of the listed. */
static bool origin_fits(const ldm_guard *g, const ldm_guarded *r)
{
    static const char http[] = "http://", https[] = "https://";
    const char *rest = NULL;

    if (!strncasecmp(r->origin, http, sizeof http - 1))
        rest = r->origin + sizeof http - 1;
    else if (!strncasecmp(r->origin, https, sizeof https - 1)) /* a proxy before the server */
        rest = r->origin + sizeof https - 1;
    if (rest && !strcasecmp(rest, r->host))
        return true;
    for (const char *const *o = g->origins; o && *o; o++) {
        if (!strcmp(*o, r->origin))
            return true;
    }
    return false;
}

/* The key in "Bearer KEY", or the password in "Basic base64(name:password)". */
static bool key_of(const char *authorization, char *key, size_t size)
{
    static const char bearer[] = "Bearer ", basic[] = "Basic ";
    const char *text, *colon;
    uint8_t plain[MAX_KEY];
    size_t len;

    if (!strncasecmp(authorization, bearer, sizeof bearer - 1))
        return snprintf(key, size, "%s", authorization + sizeof bearer - 1) < (int)size;
    if (strncasecmp(authorization, basic, sizeof basic - 1))
        return false;
    text = authorization + sizeof basic - 1;
    if (!ldm_base64_decode(text, strlen(text), plain, sizeof plain - 1, &len))
        return false;
    plain[len] = '\0';
    colon = strchr((const char *)plain, ':');
    return colon && snprintf(key, size, "%s", colon + 1) < (int)size;
}

static bool shows_key(const ldm_guard *g, const ldm_guarded *r)
{
    char key[MAX_KEY];
    bool shown = false;

    if (r->api_key)
        snprintf(key, sizeof key, "%s", r->api_key);
    else if (!r->authorization || !key_of(r->authorization, key, sizeof key))
        return false;
    for (const char *const *k = g->keys; *k; k++)
        shown |= ldm_guard_same(key, *k);
    return shown;
}

static bool type_is(const char *type, const char *name)
{
    const size_t len = strlen(name);

    return !strncasecmp(type, name, len) && (!type[len] || type[len] == ';' || type[len] == ' ');
}

static void head_byte(ldm_head *h, unsigned char c)
{
    const bool first = h->line == 0, after_cr = h->last == '\r' && !first;

    h->last = c;
    h->odd |= !c || (after_cr && c != '\n') || (first && h->begun && (c == ' ' || c == '\t'));
    if (c != '\n') {
        h->line++;
        return;
    }
    if (h->line == (after_cr ? 1 : 0))
        h->over = h->begun;
    else
        h->begun = true;
    h->line = 0;
}

void ldm_head_read(ldm_head *h, const void *data, size_t size)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < size && !h->over; i++)
        head_byte(h, p[i]);
}

/* Whether the framing is one that every reader reads alike. */
static const char *framing(const ldm_guarded *r)
{
    if (r->length_count > 1)
        return "more than one Content-Length";
    if (r->coding_count > 1 || (r->coding && strcasecmp(r->coding, "chunked")))
        return "a Transfer-Encoding other than chunked";
    if (r->coding && r->length_count)
        return "both Content-Length and Transfer-Encoding";
    if (r->host_count != 1 || !*r->host)
        return "not exactly one Host";
    if (r->repeated)
        return "a header twice that may be there once";
    if (r->odd)
        return "a NUL, a CR alone or a folded line in the head";
    if (r->absolute)
        return "the request line names a host";
    return NULL;
}

static bool is_foreign(const ldm_guard *g, const ldm_guarded *r)
{
    if (r->origin)
        return !origin_fits(g, r); /* "null" fits nothing */
    if (!r->site || !strcasecmp(r->site, "same-origin") || !strcasecmp(r->site, "none"))
        return false;
    /* A link or a bookmark leads to the page; nothing else is for other sites. */
    return r->changes || !r->page || !r->mode || strcasecmp(r->mode, "navigate") != 0;
}

int ldm_guard_check(const ldm_guard *g, const ldm_guarded *r, const char **why)
{
    *why = framing(r);
    if (*why)
        return 400;
    if (!ldm_guard_host(r->host, g->hosts)) {
        *why = "this name of the server is not known to it (--allow-host NAME)";
        return 403;
    }
    if (is_foreign(g, r)) {
        *why = "requests of other sites' pages are refused";
        return 403;
    }
    if (r->changes && r->body &&
        (!r->type ||
         (!type_is(r->type, "application/json") && !type_is(r->type, "multipart/form-data") &&
          !type_is(r->type, "image/png") && !type_is(r->type, "image/jpeg")))) {
        *why = "the body must be application/json, multipart/form-data or a picture";
        return 415;
    }
    if (g->keys && *g->keys && !r->open && !shows_key(g, r)) {
        *why = "a key is needed (Authorization: Bearer KEY)";
        return 401;
    }
    return 0;
}
