/* SPDX-License-Identifier: MIT */
/* What the checkpoint fuzzers do with a file: open it, look at everything, read what is small. */
#ifndef LDM_FUZZ_CKPT_FUZZ_H
#define LDM_FUZZ_CKPT_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "checkpoint/checkpoint.h"

enum { FUZZ_MAX_NUMEL = 1 << 16 };

static inline void fuzz_ckpt(const void *data, size_t size)
{
    static float values[FUZZ_MAX_NUMEL];
    const ldm_ckpt_options small = {.max_meta_bytes = 8 << 20};
    ldm_ckpt *ck = NULL;
    ldm_error err;
    volatile size_t length = 0; /* keeps the reads */
    size_t i;

    if (ldm_ckpt_open_memory(data, size, "fuzz", &small, &ck, &err)) {
        if (ck || !memchr(err.msg, 0, sizeof err.msg) || strchr(err.msg, '\n'))
            abort();
        return;
    }
    for (i = 0; i < ldm_ckpt_count(ck); i++) {
        const ldm_tensor_info *t = ldm_ckpt_at(ck, i);

        if (strcmp(ldm_ckpt_find(ck, t->name)->name, t->name) != 0)
            abort();
        if (t->numel <= FUZZ_MAX_NUMEL)
            (void)ldm_ckpt_read_f32(ck, t, values, &err);
        ldm_ckpt_will_need(ck, t);
        ldm_ckpt_release(ck, t);
        if (ldm_ckpt_data(ck, t) && t->numel)
            length += *(const unsigned char *)ldm_ckpt_data(ck, t);
    }
    for (i = 0; i < ldm_ckpt_meta_count(ck); i++)
        length += strlen(ldm_ckpt_meta_path(ck, i)) + strlen(ldm_ckpt_meta_value(ck, i));
    for (i = 0; i < ldm_ckpt_global_count(ck); i++)
        length += strlen(ldm_ckpt_global_at(ck, i).name);
    for (i = 0; i < ldm_ckpt_warning_count(ck); i++)
        length += strlen(ldm_ckpt_warning(ck, i));
    (void)length;
    ldm_ckpt_close(ck);
}

#endif
