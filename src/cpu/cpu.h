/* The CPU backends: portable C as the definition, AVX2 + FMA, AVX-512. */
#ifndef LDM_CPU_CPU_H
#define LDM_CPU_CPU_H

#include "base/cpuid.h"
#include "exec/backend.h"

/* The backend for this processor (already capped by the caller); static, never freed, stateless. */
const ldm_backend *ldm_cpu_backend(const ldm_cpu *cpu);

#endif
