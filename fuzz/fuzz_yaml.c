/* SPDX-License-Identifier: MIT */
/* Fuzz target: any bytes as a YAML configuration. What is accepted must survive being read value by
 * value, written out, and read back to the same text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const ldm_value *v)
{
    ldm_error err;
    bool truth;
    int64_t integer;
    double real;
    const char *text;
    size_t i;

    (void)ldm_value_get_kind(v);
    (void)ldm_value_bool(v, &truth, &err);
    (void)ldm_value_int(v, &integer, &err);
    (void)ldm_value_double(v, &real, &err);
    (void)ldm_value_string(v, &text, &err);
    for (i = 0; i < ldm_value_count(v); i++)
        read_all(ldm_value_at(v, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ldm_config *first = NULL, *second = NULL;
    ldm_str once = {NULL}, twice = {NULL};
    ldm_error err;

    if (ldm_config_create(&first, &err) || ldm_config_create(&second, &err))
        goto done;
    if (ldm_config_load_text(first, "input", (const char *)data, size, &err))
        goto done;
    read_all(ldm_config_root(first));
    ldm_config_emit(first, &once);
    if (once.failed)
        goto done;
    if (ldm_config_load_text(second, "emitted", once.data, once.len, &err))
        abort();
    ldm_config_emit(second, &twice);
    if (twice.failed)
        goto done;
    if (once.len != twice.len || memcmp(once.data, twice.data, once.len))
        abort();
done:
    ldm_str_free(&once);
    ldm_str_free(&twice);
    ldm_config_free(first);
    ldm_config_free(second);
    return 0;
}
