/* SPDX-License-Identifier: MIT */
/* Mutations of zip files for libFuzzer: fields of the end record, of directory records and of local
 * headers get values that lie (ends of ranges, another entry's place, all ones). Checksums are set
 * to 0, "not checked", so that what is changed in an entry is read. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MAX_RECORDS = 256, CRC_CENTRAL = 16, CRC_LOCAL = 14 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

typedef struct field {
    unsigned offset, bytes;
} field;

/* Of a kind of record: its magic number, its length without names, the fields that matter. */
typedef struct record_kind {
    char magic[4];
    size_t size;
    field fields[10];
    size_t count;
} record_kind;

static const record_kind kinds[] = {
    {"PK\1\2",
     46,
     {{8, 2}, {10, 2}, {16, 4}, {20, 4}, {24, 4}, {28, 2}, {30, 2}, {32, 2}, {42, 4}},
     9},
    {"PK\3\4", 30, {{6, 2}, {8, 2}, {14, 4}, {18, 4}, {22, 4}, {26, 2}, {28, 2}}, 7},
    {"PK\5\6", 22, {{4, 2}, {6, 2}, {8, 2}, {10, 2}, {12, 4}, {16, 4}, {20, 2}}, 7},
    {"PK\6\6", 56, {{4, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 8}}, 5},
    {"PK\6\7", 20, {{4, 4}, {8, 8}, {16, 4}}, 3},
};

typedef struct record {
    const record_kind *kind;
    size_t at;
} record;

static unsigned next(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static size_t find_records(const uint8_t *data, size_t size, record *out)
{
    size_t at, n = 0, k;

    for (at = 0; at + 4 <= size && n < MAX_RECORDS; at++) {
        for (k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            if (!memcmp(data + at, kinds[k].magic, 4) && size - at >= kinds[k].size)
                out[n++] = (record){&kinds[k], at};
        }
    }
    return n;
}

static uint64_t invent(unsigned *rng, const record *records, size_t n, size_t size, uint64_t old)
{
    switch (next(rng) % 8) {
    /* clang-format off */
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return size;
    case 3: return records[next(rng) % n].at;
    case 4: return old + 1;
    case 5: return old - 1;
    case 6: return (uint64_t)1 << next(rng) % 64;
    default: return next(rng) % (size + 1);
        /* clang-format on */
    }
}

static void change_field(uint8_t *data, size_t size, const record *records, size_t n, unsigned *rng)
{
    const record *r = &records[next(rng) % n];
    const field *f = &r->kind->fields[next(rng) % r->kind->count];
    uint64_t v = 0;
    unsigned i;

    for (i = 0; i < f->bytes; i++)
        v |= (uint64_t)data[r->at + f->offset + i] << (8 * i);
    v = invent(rng, records, n, size, v);
    for (i = 0; i < f->bytes; i++)
        data[r->at + f->offset + i] = (uint8_t)(v >> (8 * i));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    record records[MAX_RECORDS];
    unsigned rng = seed;
    size_t n, i;

    if (next(&rng) % 2)
        size = LLVMFuzzerMutate(data, size, max_size);
    n = find_records(data, size, records);
    for (i = 0; i < n; i++) {
        if (records[i].kind == &kinds[0])
            memset(data + records[i].at + CRC_CENTRAL, 0, 4);
        else if (records[i].kind == &kinds[1])
            memset(data + records[i].at + CRC_LOCAL, 0, 4);
    }
    if (n && next(&rng) % 2)
        change_field(data, size, records, n, &rng);
    return size;
}
