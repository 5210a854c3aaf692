/* SPDX-License-Identifier: MIT */
/* Command line of kernelcheck; see kernelcheck.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/bf16.h"
#include "cpu/cpu.h"
#include "kernelcheck.h"

static const char usage[] =
    "usage: kernelcheck [--isa NAME] [--seed N] [--rounds N]\n"
    "       kernelcheck --bench [--isa NAME] [--shapes FILE] [--threads N] [--seconds S] "
    "[--exact | --bf16]\n"
    "                   [--algorithm 0|1|2|3]\n"
    "  checks all kernels on random shapes, or times them; --isa is c, avx2 or avx512;\n"
    "  --algorithm: 3x3 convolutions direct, winograd2, winograd4 or (--bf16) bf16 instead of the "
    "backend's "
    "choice\n";

typedef struct options {
    const char *isa, *shapes;
    int threads, rounds, algorithm;
    uint64_t seed;
    double seconds;
    bool bench, exact, bf16;
} options;

static bool parse(int argc, char **argv, options *o)
{
    int i;

    *o = (options){.threads = 2, .rounds = 40, .algorithm = -1, .seed = 1, .seconds = 0.3};
    for (i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(name, "--bench") == 0) {
            o->bench = true;
            continue;
        }
        if (strcmp(name, "--exact") == 0) {
            o->exact = true;
            continue;
        }
        if (strcmp(name, "--bf16") == 0) {
            o->bf16 = true;
            continue;
        }
        if (!value)
            return false;
        i++;
        if (strcmp(name, "--isa") == 0)
            o->isa = value;
        else if (strcmp(name, "--shapes") == 0)
            o->shapes = value;
        else if (strcmp(name, "--threads") == 0)
            o->threads = atoi(value);
        else if (strcmp(name, "--algorithm") == 0)
            o->algorithm = atoi(value);
        else if (strcmp(name, "--rounds") == 0)
            o->rounds = atoi(value);
        else if (strcmp(name, "--seed") == 0)
            o->seed = strtoull(value, NULL, 10);
        else if (strcmp(name, "--seconds") == 0)
            o->seconds = atof(value);
        else
            return false;
    }
    return o->threads > 0 && o->rounds > 0 && o->seconds > 0.0;
}

static long report(const check *k, const char *what, uint64_t seed)
{
    printf("%s%s: %ld comparisons, %ld failed (seed %llu)\n", k->tested->name, what, k->done,
           k->failed, (unsigned long long)seed);
    return k->failed;
}

static long check_bf16(const options *o, const ldm_backend *b, const ldm_backend *c)
{
    check k = {.tested = b, .c = c, .rng = o->seed, .rounds = o->rounds, .what = "", .bf16 = true};

    check_conv(&k);
    if (ldm_cpu_impl(b)->bf16->activates)
        check_activated(&k);
    check_attention(&k);
    return report(&k, " bf16", o->seed);
}

/* The definition, and where the build and the processor have it; says so where not. */
static long run_bf16(const options *o, const ldm_cpu *best, const ldm_backend *c)
{
    ldm_cpu cpu = *best;
    long failed = check_bf16(o, c, c);
    ldm_error err;

    cpu.amx_bf16 = false;
    if (ldm_cpu_bf16(&cpu, &err)) {
        printf("skipped: bf16: %s\n", err.msg);
        return failed;
    }
    failed += check_bf16(o, ldm_cpu_backend(&cpu), c);
    /* oneDNN's products are meant for AMX; without it, it makes them by AVX512_BF16. */
    cpu.amx_bf16 = true;
    if (!ldm_cpu_bf16(&cpu, &err) && !ldm_cpu_impl(ldm_cpu_backend(&cpu))->bf16->activates)
        failed += check_bf16(o, ldm_cpu_backend(&cpu), c);
    return failed;
}

int main(int argc, char **argv)
{
    ldm_cpu cpu, best;
    ldm_error err;
    options o;
    const ldm_backend *c;
    long failed = 0;
    int isa, strongest;

    if (!parse(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    ldm_cpu_detect(&cpu);
    strongest = (int)cpu.isa;
    if (ldm_cpu_cap(&cpu, o.isa, &err)) {
        fprintf(stderr, "kernelcheck: %s\n", err.msg);
        return 2;
    }
    if (o.isa && strcmp(ldm_isa_name(cpu.isa), o.isa) != 0) {
        fprintf(stderr, "kernelcheck: this processor has no %s\n", o.isa);
        return 2;
    }
    if (o.bench)
        return bench_run(ldm_cpu_backend(&cpu), o.shapes, o.threads, o.seconds,
                         o.exact  ? LDM_PRECISION_EXACT
                         : o.bf16 ? LDM_PRECISION_BF16
                                  : LDM_PRECISION_F32,
                         o.algorithm);
    best = cpu;
    if (o.isa)
        strongest = (int)cpu.isa;
    cpu.isa = LDM_ISA_C;
    c = ldm_cpu_backend(&cpu);
    for (isa = o.isa ? strongest : LDM_ISA_C; isa <= strongest; isa++) {
        check k = {.c = c, .rng = o.seed, .rounds = o.rounds, .what = ""};

        cpu.isa = (ldm_isa)isa;
        cpu.avx512_bf16 = cpu.amx_bf16 = false;
        k.tested = ldm_cpu_backend(&cpu);
        check_conv(&k);
        check_activated(&k);
        check_in_place(&k);
        check_norm(&k);
        check_layer_norm(&k);
        check_attention(&k);
        check_elementwise(&k);
        check_vq(&k);
        failed += report(&k, "", o.seed);
    }
    failed += run_bf16(&o, &best, c);
    return failed ? 1 : 0;
}
