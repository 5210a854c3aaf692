/* SPDX-License-Identifier: MIT */
/* Processor detection; see cpuid.h. A feature counts only if the operating system saves its
 * registers (xgetbv), and AMX only if the kernel grants the tile data to this process. */
#include "base/cpuid.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define XCR0_AVX 0x06u
#define XCR0_AVX512 0xe6u
#define XCR0_AMX 0x60000u
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static uint64_t xgetbv0(void)
{
    uint32_t lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static void brand(ldm_cpu *cpu)
{
    uint32_t r[12], i, eax, ebx, ecx, edx;
    char text[49], *s = text;

    if (!__get_cpuid(0x80000000u, &eax, &ebx, &ecx, &edx) || eax < 0x80000004u)
        return;
    for (i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
    memcpy(text, r, 48);
    text[48] = '\0';
    while (*s == ' ')
        s++;
    memcpy(cpu->name, s, strlen(s) + 1);
}

void ldm_cpu_detect(ldm_cpu *cpu)
{
    uint32_t eax, ebx, ecx, edx, b7, d7, c7, a71 = 0, tmp;
    uint64_t xcr0;
    bool avx2, avx512;

    memset(cpu, 0, sizeof *cpu);
    strcpy(cpu->name, "unknown");
    brand(cpu);
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
        return;
    xcr0 = xgetbv0();
    if ((xcr0 & XCR0_AVX) != XCR0_AVX || !(ecx & bit_AVX) || !(ecx & bit_FMA) || !(ecx & bit_F16C))
        return;
    if (!__get_cpuid_count(7, 0, &eax, &b7, &c7, &d7))
        return;
    avx2 = b7 & bit_AVX2;
    if (!avx2)
        return;
    cpu->isa = LDM_ISA_AVX2;
    avx512 = (b7 & bit_AVX512F) && (b7 & bit_AVX512BW) && (b7 & bit_AVX512DQ) &&
             (b7 & bit_AVX512VL) && (xcr0 & XCR0_AVX512) == XCR0_AVX512;
    if (!avx512)
        return;
    cpu->isa = LDM_ISA_AVX512;
    if (eax >= 1)
        __get_cpuid_count(7, 1, &a71, &tmp, &tmp, &tmp);
    cpu->avx512_bf16 = a71 >> 5 & 1;
    if ((d7 >> 22 & 1) && (d7 >> 24 & 1) && (xcr0 & XCR0_AMX) == XCR0_AMX)
        cpu->amx_bf16 = syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

#else

void ldm_cpu_detect(ldm_cpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    strcpy(cpu->name, "unknown");
}

#endif

static const char *const isa_names[] = {"c", "avx2", "avx512"};

const char *ldm_isa_name(ldm_isa isa)
{
    return isa_names[isa];
}

ldm_status ldm_cpu_cap(ldm_cpu *cpu, const char *cap, ldm_error *err)
{
    int i;

    if (!cap || !*cap)
        return LDM_OK;
    for (i = 0; i <= LDM_ISA_AVX512; i++) {
        if (strcmp(cap, isa_names[i]) == 0) {
            if (cpu->isa > (ldm_isa)i)
                cpu->isa = (ldm_isa)i;
            if (cpu->isa < LDM_ISA_AVX512)
                cpu->avx512_bf16 = cpu->amx_bf16 = false;
            return LDM_OK;
        }
    }
    return ldm_error_set(err, LDM_ERR_USAGE, "max_isa is \"%s\", expected c, avx2 or avx512", cap);
}
