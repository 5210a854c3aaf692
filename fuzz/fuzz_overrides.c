/* SPDX-License-Identifier: MIT */
/* Fuzz target: each line of the input as one `--set` assignment on a small configuration, which
 * must read back from its own text afterwards. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char start[] =
        "model: {params: {scale_factor: 1.0, mult: [1, 2, 4], key: null}}\n";
    ldm_config *cfg = NULL, *copy = NULL;
    ldm_str text = {NULL};
    ldm_error err;
    char *lines = malloc(size + 1), *line, *next;

    if (!lines || ldm_config_create(&cfg, &err) || ldm_config_create(&copy, &err) ||
        ldm_config_load_text(cfg, "start", start, sizeof start - 1, &err))
        goto done;
    memcpy(lines, data, size);
    lines[size] = '\0';
    for (line = lines; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        (void)ldm_config_set(cfg, line, &err);
    }
    ldm_config_emit(cfg, &text);
    if (!text.failed && ldm_config_load_text(copy, "emitted", text.data, text.len, &err))
        abort();
done:
    free(lines);
    ldm_str_free(&text);
    ldm_config_free(cfg);
    ldm_config_free(copy);
    return 0;
}
