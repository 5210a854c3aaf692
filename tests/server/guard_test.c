/* SPDX-License-Identifier: MIT */
/* Whom the server answers, and its readers of bodies, without a server. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base64.h"
#include "server/guard.h"
#include "server/multipart.h"
#include "server/png_text.h"
#include "server/job_preview.h"

static const char *const hosts[] = {"box.example", NULL};

static void hosts_that_cannot_be_rebound(void **state)
{
    static const char *const fine[] = {"127.0.0.1",   "127.0.0.1:7860", "[::1]:7860",
                                       "[::1]",       "localhost",      "LOCALHOST:1",
                                       "a.localhost", "localhost.",     "192.168.1.4:80",
                                       "box.example", "BOX.example:99"};
    static const char *const wrong[] = {"",
                                        ":7860",
                                        "evil.example",
                                        "evil.example:7860",
                                        "localhost.evil.example",
                                        "127.0.0.1.evil.example",
                                        "127.0.0.1:x",
                                        "127.0.0.1:",
                                        "[::1",
                                        "::1]",
                                        "[]",
                                        "notlocalhost",
                                        "localhost:7860@evil.example",
                                        "127.0.0.1 evil",
                                        "box.example.evil",
                                        "0x7f.1",
                                        "2130706433",
                                        "localhost:123456",
                                        ".localhost",
                                        "..localhost",
                                        "a..localhost",
                                        "localhost..",
                                        "local host",
                                        "127.0.0.1/",
                                        "[::1]x",
                                        "[::1]:80:80",
                                        "xbox.example",
                                        "\xff"};

    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        if (!ldm_guard_host(fine[i], hosts))
            fail_msg("%s is refused", fine[i]);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (ldm_guard_host(wrong[i], hosts))
            fail_msg("%s is taken", wrong[i]);
    }
    assert_false(ldm_guard_host("box.example", NULL));
}

static void loopback_addresses(void **state)
{
    (void)state;
    assert_true(ldm_guard_is_loopback("127.0.0.1"));
    assert_true(ldm_guard_is_loopback("127.9.9.9"));
    assert_true(ldm_guard_is_loopback("::1"));
    assert_true(ldm_guard_is_loopback("localhost"));
    assert_false(ldm_guard_is_loopback("0.0.0.0"));
    assert_false(ldm_guard_is_loopback("::"));
    assert_false(ldm_guard_is_loopback("192.168.0.1"));
    assert_false(ldm_guard_is_loopback("127.0.0.1.evil.example"));
}

static ldm_guarded request(void)
{
    return (ldm_guarded){.host = "127.0.0.1:7860", .host_count = 1};
}

static int status_of(const ldm_guard *g, ldm_guarded r)
{
    const char *why = NULL;
    const int status = ldm_guard_check(g, &r, &why);

    assert_int_equal(!status, !why);
    return status;
}

static void framing_is_unambiguous(void **state)
{
    const ldm_guard g = {0};
    ldm_guarded r = request();

    (void)state;
    assert_int_equal(status_of(&g, r), 0);
    r.host_count = 2;
    assert_int_equal(status_of(&g, r), 400);
    r = request();
    r.host_count = 0;
    r.host = NULL;
    assert_int_equal(status_of(&g, r), 400);
    r = request();
    r.host = "";
    assert_int_equal(status_of(&g, r), 400);
    r = request();
    r.length_count = 2;
    assert_int_equal(status_of(&g, r), 400);
    r = request();
    r.length_count = r.coding_count = 1;
    r.coding = "chunked";
    assert_int_equal(status_of(&g, r), 400);
    r.length_count = 0;
    assert_int_equal(status_of(&g, r), 0);
    r.coding = "gzip, chunked";
    assert_int_equal(status_of(&g, r), 400);
    r = request();
    r.absolute = true;
    assert_int_equal(status_of(&g, r), 400);
    r = request();
    r.repeated = true;
    assert_int_equal(status_of(&g, r), 400);
    r = request();
    r.odd = true;
    assert_int_equal(status_of(&g, r), 400);
}

/* In one piece and byte by byte. */
static void heads_are_read_along(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        bool odd, over;
    } heads[] = {
#define HEAD(text, odd, over) {text, sizeof text - 1, odd, over}
        HEAD("GET / HTTP/1.1\r\nHost: a\r\n\r\n", false, true),
        HEAD("GET / HTTP/1.1\nHost: a\n\n", false, true),
        HEAD("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", false, true),
        HEAD("GET / HTTP/1.1\r\nHost: a\r\n\r\n\0\r \n body", false, true),
        HEAD("GET / HTTP/1.1\r\nHost: a\r\n", false, false),
        HEAD("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", true, true),
        HEAD("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n", true, true),
        HEAD("GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", true, true),
        HEAD("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", true, true),
        HEAD("GET /\0 HTTP/1.1\r\n\r\n", true, true),
        HEAD("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", true, true),
        HEAD("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", true, true),
#undef HEAD
    };

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        ldm_head whole = {0}, bytes = {0};

        ldm_head_read(&whole, heads[i].text, heads[i].size);
        for (size_t k = 0; k < heads[i].size; k++)
            ldm_head_read(&bytes, heads[i].text + k, 1);
        if (whole.odd != heads[i].odd || whole.over != heads[i].over || bytes.odd != whole.odd ||
            bytes.over != whole.over)
            fail_msg("%s: odd %d, over %d", heads[i].text, whole.odd, whole.over);
    }
}

static void other_sites_are_kept_out(void **state)
{
    static const char *const listed[] = {"https://app.example", NULL};
    const ldm_guard g = {.origins = listed};
    ldm_guarded r = request();

    (void)state;
    r.changes = r.body = true;
    r.type = "application/json";
    assert_int_equal(status_of(&g, r), 0); /* no browser */
    r.origin = "http://127.0.0.1:7860";
    assert_int_equal(status_of(&g, r), 0);
    r.origin = "https://app.example";
    assert_int_equal(status_of(&g, r), 0);
    r.origin = "null";
    assert_int_equal(status_of(&g, r), 403);
    r.origin = "http://127.0.0.1:7861";
    assert_int_equal(status_of(&g, r), 403);
    r.origin = "http://127.0.0.1:7860.evil.example";
    assert_int_equal(status_of(&g, r), 403);
    r.origin = "https://app.example.evil.example";
    assert_int_equal(status_of(&g, r), 403);
    /* rebinding: Host and Origin agree, and neither is known */
    r.host = "evil.example:7860";
    r.origin = "http://evil.example:7860";
    assert_int_equal(status_of(&g, r), 403);
    r = request();
    r.host = "evil.example:7860"; /* a rebound GET has no Origin at all */
    assert_int_equal(status_of(&g, r), 403);
    r = request();
    r.site = "cross-site";
    assert_int_equal(status_of(&g, r), 403); /* a picture in a foreign page */
    r.page = true;
    assert_int_equal(status_of(&g, r), 403); /* the page in a frame */
    r.mode = "navigate";
    assert_int_equal(status_of(&g, r), 0); /* a link */
    r.page = false;
    assert_int_equal(status_of(&g, r), 403);
    r.page = r.changes = true;
    assert_int_equal(status_of(&g, r), 403); /* a form */
}

static void bodies_that_a_form_could_send_are_refused(void **state)
{
    static const char *const wrong[] = {"text/plain", "application/x-www-form-urlencoded",
                                        "application/jsonx", ""};
    const ldm_guard g = {0};
    ldm_guarded r = request();

    (void)state;
    r.changes = r.body = true;
    assert_int_equal(status_of(&g, r), 415);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        r.type = wrong[i];
        assert_int_equal(status_of(&g, r), 415);
    }
    r.type = "application/json; charset=utf-8";
    assert_int_equal(status_of(&g, r), 0);
    r.type = NULL;
    r.body = false;
    assert_int_equal(status_of(&g, r), 0); /* an empty POST: interrupt */
}

static void keys(void **state)
{
    static const char *const all[] = {"first-key", "second-key", NULL};
    const ldm_guard g = {.keys = all};
    ldm_guarded r = request();

    (void)state;
    assert_int_equal(status_of(&g, r), 401);
    r.authorization = "Bearer second-key";
    assert_int_equal(status_of(&g, r), 0);
    r.authorization = "Bearer second-keyx";
    assert_int_equal(status_of(&g, r), 401);
    r.authorization = "Bearer second-ke";
    assert_int_equal(status_of(&g, r), 401);
    r.authorization = "Bearer ";
    assert_int_equal(status_of(&g, r), 401);
    r.authorization = "Basic bWU6Zmlyc3Qta2V5"; /* me:first-key */
    assert_int_equal(status_of(&g, r), 0);
    r.authorization = "Basic Zmlyc3Qta2V5"; /* without a name */
    assert_int_equal(status_of(&g, r), 401);
    r.authorization = "Basic ****";
    assert_int_equal(status_of(&g, r), 401);
    r.authorization = NULL;
    r.api_key = "first-key";
    assert_int_equal(status_of(&g, r), 0);
    r.api_key = "";
    assert_int_equal(status_of(&g, r), 401);
    r.open = true;
    assert_int_equal(status_of(&g, r), 0);
    assert_false(ldm_guard_same("", "x"));
    assert_false(ldm_guard_same("x", ""));
    assert_false(ldm_guard_same("ab", "abab"));
    assert_false(ldm_guard_same("abab", "ab"));
    assert_true(ldm_guard_same("abc", "abc"));
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void base64_round_trips(void **state)
{
    unsigned char data[300] = {0}, back[300];

    (void)state;
    for (size_t n = 0; n < sizeof data; n++) {
        ldm_str text = {0};
        size_t got;

        for (size_t i = 0; i < n; i++)
            data[i] = (unsigned char)(i * 37 + n);
        ldm_base64_append(&text, data, n);
        assert_true(
            ldm_base64_decode(text.data ? text.data : "", text.len, back, sizeof back, &got));
        assert_int_equal(got, n);
        assert_memory_equal(data, back, n);
        if (n) { /* without padding, and with too little room */
            assert_true(ldm_base64_decode(text.data, strcspn(text.data, "="), back, n, &got));
            assert_int_equal(got, n);
            assert_false(ldm_base64_decode(text.data, text.len, back, n - 1, &got));
        }
        assert_true(ldm_base64_room(text.len) >= n);
        ldm_str_free(&text);
    }
}

static void base64_refuses(void **state)
{
    static const char *const wrong[] = {"A",       "AAAAA", "A=A=",     "AA*A",
                                        "AAAA===", "====",  "\xc3\xa4", "AA-_"};
    unsigned char out[64];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (ldm_base64_decode(wrong[i], strlen(wrong[i]), out, sizeof out, &n))
            fail_msg("%s is taken", wrong[i]);
        assert_int_equal(n, 0);
    }
    assert_true(ldm_base64_decode("QU\r\nJD", 6, out, sizeof out, &n));
    assert_memory_equal(out, "ABC", 3);
    assert_false(
        ldm_base64_decode("QUJD\0QUJD", 9, out, sizeof out, &n)); /* a NUL is no character */
}

static const char type[] = "multipart/form-data; boundary=\"xYz\"";

static void forms(void **state)
{
    static const char body[] =
        "--xYz\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na -- b\r\n"
        "--xYz\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"../../etc/x\"\r\n"
        "Content-Type: image/png\r\n\r\n\0\r\n-\r\n--xY\r\n"
        "--xYz\r\nContent-Disposition: form-data; filename=a; name=empty\r\n\r\n\r\n--xYz--\r\n";
    ldm_form f;
    const ldm_form_part *p;

    (void)state;
    assert_null(ldm_form_parse(type, body, sizeof body - 1, &f));
    assert_int_equal(f.count, 3);
    p = ldm_form_find(&f, "prompt");
    assert_non_null(p);
    assert_int_equal(p->size, 6);
    assert_memory_equal(p->data, "a -- b", 6);
    assert_false(p->file);
    p = ldm_form_find(&f, "image[]");
    assert_non_null(p);
    assert_true(p->file);
    assert_int_equal(p->size, 10);
    assert_memory_equal(p->data, "\0\r\n-\r\n--xY", 10);
    p = ldm_form_find(&f, "empty");
    assert_non_null(p);
    assert_int_equal(p->size, 0);
    assert_null(ldm_form_find(&f, "other"));
    /* cut off anywhere it is refused, and nothing is read beyond */
    for (size_t n = 0; n < sizeof body - 5; n++) {
        char *copy = malloc(n + 1);

        memcpy(copy, body, n);
        assert_non_null(ldm_form_parse(type, copy, n, &f));
        free(copy);
    }
}

static void forms_refused(void **state)
{
    static const char long_boundary[] =
        "multipart/form-data; boundary=0123456789012345678901234567890123456789"
        "01234567890123456789012345678901234567890";
    static const char *const types[] = {
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"x",
        long_boundary,
    };
    static const char *const bodies[] = {
        "",
        "--",
        "--xYz",
        "--xYzz\r\n",
        "x\r\n--xYz\r\n",
        "--xYz\r\n\r\nno name\r\n--xYz--",
        "--xYz\r\nContent-Disposition: form-data\r\n\r\n\r\n--xYz--",
        "--xYz\r\nContent-Disposition: form-data; name=\"a\r\n\r\n\r\n--xYz--"};
    ldm_form f;
    ldm_str many = {0};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        assert_non_null(ldm_form_parse(types[i], "--x\r\n", 5, &f));
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        if (!ldm_form_parse(type, bodies[i], strlen(bodies[i]), &f))
            fail_msg("taken: %s", bodies[i]);
    }
    for (int i = 0; i < LDM_MULTIPART_PARTS + 1; i++)
        ldm_str_puts(&many, "--xYz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n");
    ldm_str_puts(&many, "--xYz--");
    assert_non_null(ldm_form_parse(type, many.data, many.len, &f));
    ldm_str_free(&many);
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* A chunk without its sum's worth: nobody looks at it. */
static void append_chunk(ldm_str *png, const char *name, const char *data, size_t size)
{
    const char length[4] = {0, 0, (char)(size >> 8), (char)size};

    ldm_str_append(png, length, 4);
    ldm_str_puts(png, name);
    ldm_str_append(png, data, size);
    ldm_str_append(png, "\0\0\0", 4);
}

static void assert_text(const ldm_str *png, size_t size, const char *want)
{
    char *copy = malloc(size + 1); /* not a byte more than there is */
    ldm_str out = {0};

    memcpy(copy, png->data, size);
    ldm_png_append_text(&out, copy, size, "key");
    assert_string_equal(out.data ? out.data : "", want);
    ldm_str_free(&out);
    free(copy);
}

static void texts_of_a_png(void **state)
{
    static const char *const names[] = {"tEXt", "iTXt"};
    static const char *const data[] = {"key\0a\xe4z", "key\0\0\0en\0\0a\xc3\xa4z"};
    static const size_t sizes[] = {7, 14};

    (void)state;
    for (int i = 0; i < 2; i++) {
        ldm_str png = {0};
        size_t whole;

        ldm_str_append(&png, "\x89PNG\r\n\x1a\n", 8);
        append_chunk(&png, "IHDR", "1234567890123", 13);
        append_chunk(&png, "tEXt", "keyed\0no", 8);
        append_chunk(&png, names[i], data[i], sizes[i]);
        whole = png.len;
        append_chunk(&png, "tEXt", "key\0second", 10);
        assert_text(&png, png.len, "a\xc3\xa4z");
        for (size_t n = 0; n < whole; n++)
            assert_text(&png, n, "");
        ldm_str_free(&png);
    }
}

static void previews(void **state)
{
    float latent[4 * 2 * 2];
    uint8_t rgb[2 * 2 * 3];

    (void)state;
    for (int i = 0; i < 16; i++)
        latent[i] = i < 4 ? (float)i : 7;
    ldm_preview_paint(latent, 4, 2, 2, rgb);
    assert_true(rgb[0] < rgb[3] && rgb[3] < rgb[6] && rgb[6] < rgb[9]);
    assert_int_equal(rgb[1], 127); /* a channel that does not vary */
    ldm_preview_paint(latent, 1, 2, 2, rgb);
    assert_int_equal(rgb[0], rgb[2]);
    latent[0] = NAN;
    ldm_preview_paint(latent, 4, 2, 2, rgb); /* no value is undefined */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_that_cannot_be_rebound),
        cmocka_unit_test(loopback_addresses),
        cmocka_unit_test(framing_is_unambiguous),
        cmocka_unit_test(heads_are_read_along),
        cmocka_unit_test(other_sites_are_kept_out),
        cmocka_unit_test(bodies_that_a_form_could_send_are_refused),
        cmocka_unit_test(keys),
        cmocka_unit_test(base64_round_trips),
        cmocka_unit_test(base64_refuses),
        cmocka_unit_test(forms),
        cmocka_unit_test(forms_refused),
        cmocka_unit_test(texts_of_a_png),
        cmocka_unit_test(previews),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
