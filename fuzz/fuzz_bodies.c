/* SPDX-License-Identifier: MIT */
/* Bodies and headers of requests to the server: forms, base64, settings as JSON, names of hosts,
 * and PNGs that get a text. The first byte says which. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "server/base64.h"
#include "server/guard.h"
#include "server/multipart.h"
#include "server/order.h"
#include "server/png_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first line is Content-Type, the rest the body. */
static void read_form(char *text, size_t size)
{
    char *end = memchr(text, '\n', size);
    ldm_form form;
    volatile size_t sum = 0; /* keeps the reads */

    if (!end)
        return;
    *end = '\0';
    if (!ldm_form_parse(text, end + 1, size - (size_t)(end + 1 - text), &form)) {
        for (size_t i = 0; i < form.count; i++) {
            for (size_t k = 0; k < form.parts[i].size; k++)
                sum += (unsigned char)form.parts[i].data[k];
            sum += strlen(form.parts[i].name);
        }
    }
    (void)ldm_form_find(&form, "image");
    (void)sum;
}

/* What decodes comes back when it is encoded and decoded again. */
static void read_base64(const char *text, size_t size)
{
    uint8_t *out = malloc(ldm_base64_room(size)), *back = malloc(ldm_base64_room(size) + 4);
    ldm_str again = {0};
    size_t n, m;

    if (out && back && ldm_base64_decode(text, size, out, ldm_base64_room(size), &n)) {
        ldm_base64_append(&again, out, n);
        if (!again.failed &&
            (!ldm_base64_decode(again.data ? again.data : "", again.len, back, n, &m) || m != n ||
             memcmp(out, back, n) != 0))
            abort();
    }
    ldm_str_free(&again);
    free(out);
    free(back);
}

static void read_settings(const char *text, size_t size)
{
    const ldm_sizes sizes = {.factor = 4, .step = 8, .most = 16384, .shape = {3, 16, 16}};
    ldm_order order = {.settings = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL)};
    ldm_job *job = NULL;
    char field[64];

    if (json_is_object(order.settings) && !ldm_job_create(NULL, &job, NULL)) {
        order.recipe = json_deep_copy(json_object_get(order.settings, "recipe"));
        (void)ldm_order_apply(&order, job, &sizes, field, NULL);
    }
    ldm_job_free(job);
    ldm_order_clear(&order);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = size ? malloc(size) : NULL;
    ldm_str out = {0};

    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 5) {
    case 0:
        read_form(text, size - 1);
        break;
    case 1:
        read_base64(text, size - 1);
        break;
    case 2:
        read_settings(text, size - 1);
        break;
    case 3:
        if (ldm_guard_host(text, NULL) && strpbrk(text, "/@ "))
            abort();
        break;
    default:
        ldm_png_append_text(&out, text, size - 1, "parameters");
        ldm_str_free(&out);
    }
    free(text);
    return 0;
}
