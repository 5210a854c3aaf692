/* SPDX-License-Identifier: MIT */
/* The CPU backends: portable C as the definition, AVX2 + FMA, AVX-512. */
#ifndef LDM_CPU_CPU_H
#define LDM_CPU_CPU_H

#include "base/cpuid.h"
#include "exec/backend.h"

/* The backend for this processor (already capped by the caller); static, never freed, stateless. */
const ldm_backend *ldm_cpu_backend(const ldm_cpu *cpu);

/* LDM_OK where that backend computes at LDM_PRECISION_BF16; else LDM_ERR_UNSUPPORTED, and what is
 * missing: the library in this build, the instructions in this processor. */
ldm_status ldm_cpu_bf16(const ldm_cpu *cpu, ldm_error *err);
/* By what it does, where it does: "AVX512_BF16", "AMX_BF16 through oneDNN 3.2.0". Returns buf. */
const char *ldm_cpu_bf16_text(const ldm_cpu *cpu, char buf[64]);

#endif
