/* SPDX-License-Identifier: MIT */
/* The instruction sets that the processor has and the operating system lets this process use. */
#ifndef LDM_BASE_CPUID_H
#define LDM_BASE_CPUID_H

#include <stdbool.h>

#include "base/error.h"

/* Instruction sets that kernels are written for, weakest first. */
typedef enum ldm_isa { LDM_ISA_C, LDM_ISA_AVX2, LDM_ISA_AVX512 } ldm_isa;

typedef struct ldm_cpu {
    ldm_isa
        isa; /* strongest usable: AVX2 means AVX2 + FMA + F16C, AVX512 means F+BW+DQ+VL as well */
    bool avx512_bf16; /* VDPBF16PS, at isa AVX512 only */
    bool amx_bf16;    /* tiles granted by the operating system too */
    char name[64];    /* brand string, or "unknown" */
} ldm_cpu;

/* cpuid and xgetbv; no cap. */
void ldm_cpu_detect(ldm_cpu *cpu);

/* Lowers cpu->isa to `cap`: "c", "avx2" or "avx512" (the values of LDM_MAX_ISA); NULL or "" leaves
 * it. Anything else is LDM_ERR_USAGE. */
ldm_status ldm_cpu_cap(ldm_cpu *cpu, const char *cap, ldm_error *err);

const char *ldm_isa_name(ldm_isa isa); /* "c", "avx2", "avx512" */

#endif
