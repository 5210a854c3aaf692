/* SPDX-License-Identifier: MIT */
/* Layouts as JSON, for models of several sizes: the first byte chooses one. What is accepted must
 * be tokens that the model has. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        int tokens, entries;
    } models[] = {{92, 8192}, {14, 128}, {3, 128}, {12, 5}, {1, 1}, {4, 128}, {2, 4}};
    float ids[92];
    size_t which;
    int i;

    if (!size)
        return 0;
    which = data[0] % (sizeof models / sizeof models[0]);
    if (ldm_layout_read((const char *)data + 1, size - 1, models[which].tokens,
                        models[which].entries, ids, NULL, NULL))
        return 0;
    for (i = 0; i < models[which].tokens; i++) {
        if (!(ids[i] >= 0 && ids[i] < (float)models[which].entries))
            abort();
    }
    return 0;
}
