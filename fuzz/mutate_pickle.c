/* SPDX-License-Identifier: MIT */
/* Mutations of pickle streams by whole opcodes, for libFuzzer: bytes changed at random mostly move
 * the boundaries between opcodes, and the machine then stops at the first one. Here opcodes are
 * removed, repeated, moved and put in with arguments that fit. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MAX_OPS = 4096 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static unsigned next(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static size_t lines(const uint8_t *p, size_t left, int count)
{
    size_t used = 0;

    for (; count && used < left; used++)
        count -= p[used] == '\n';
    return used;
}

static size_t counted(const uint8_t *p, size_t left, size_t bytes)
{
    uint64_t n = 0;
    size_t i;

    for (i = 0; i < bytes && i < left; i++)
        n |= (uint64_t)p[i] << (8 * i);
    return n > left ? left : bytes + (size_t)n;
}

/* The bytes of the opcode at p with its argument; at most left, which is 1 or more. */
static size_t op_size(const uint8_t *p, size_t left)
{
    const uint8_t *arg = p + 1;
    size_t used = 0;

    left--;
    switch (*p) {
    /* clang-format off */
    case 0x80: case 'K': case 'q': case 'h': case 0x82: used = 1; break;
    case 'M': case 0x83: used = 2; break;
    case 'J': case 'r': case 'j': case 0x84: used = 4; break;
    case 0x95: case 'G': used = 8; break;
    case 'U': case 'C': case 0x8a: case 0x8c: used = counted(arg, left, 1); break;
    case 'T': case 'B': case 'X': case 0x8b: used = counted(arg, left, 4); break;
    case 0x8d: case 0x8e: case 0x96: used = counted(arg, left, 8); break;
    case 'I': case 'L': case 'F': case 'S': case 'V': case 'P': case 'p': case 'g':
        used = lines(arg, left, 1);
        break;
    case 'c': case 'i': used = lines(arg, left, 2); break;
    default: break;
        /* clang-format on */
    }
    return 1 + (used < left ? used : left);
}

static size_t split(const uint8_t *data, size_t size, size_t *starts)
{
    size_t at = 0, n = 0;

    while (at < size && n < MAX_OPS) {
        starts[n++] = at;
        at += op_size(data + at, size - at);
    }
    starts[n] = at;
    return n;
}

/* An opcode that does something, with an argument that it takes. */
static size_t invent(unsigned *rng, uint8_t *out)
{
    static const char *const wholes[] = {
        "(",
        "0",
        "1",
        "2",
        "N",
        ")",
        "]",
        "}",
        "t",
        "l",
        "d",
        "a",
        "s",
        "e",
        "u",
        "R",
        "b",
        "o",
        "Q",
        "\x85",
        "\x86",
        "\x87",
        "\x88",
        "\x8f",
        "\x90",
        "\x91",
        "\x93",
        "\x94",
        "\x92",
        "\x81",
        "ccollections\nOrderedDict\n",
        "ctorch._utils\n_rebuild_tensor_v2\n",
        "ctorch._utils\n_rebuild_parameter\n",
        "ctorch\nFloatStorage\n",
        "ctorch\nHalfStorage\n",
        "cos\nsystem\n",
        "X\x07" /* and three zeros */,
        "\x8c\x03"
        "key",
        "K\x01",
        "K\x04",
        "M\xff\xff",
        "J\xff\xff\xff\xff",
        "J\xff\xff\xff\x7f",
        "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
        "\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01",
        "\x8c\x07storage",
        "\x8c\x01"
        "0",
        "\x8c\x03"
        "cpu",
        "\x8c\x0astate_dict",
    };
    const char *pick = wholes[next(rng) % (sizeof wholes / sizeof wholes[0])];
    size_t n = strlen(pick);

    if (next(rng) % 3 == 0) { /* the memo joins what else stands apart */
        out[0] = next(rng) & 1 ? 'h' : 'q';
        out[1] = (uint8_t)(next(rng) % 32);
        return 2;
    }
    memcpy(out, pick, n);
    if (pick[0] == 'X') {
        memcpy(out + n, "\0\0\0storage", 10);
        n += 10;
    }
    return n;
}

static size_t insert(uint8_t *data, size_t size, size_t max, size_t at, const uint8_t *what,
                     size_t n)
{
    if (!n || n > max - size)
        return size;
    memmove(data + at + n, data + at, size - at);
    memcpy(data + at, what, n);
    return size + n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size_t starts[MAX_OPS + 1], n = split(data, size, starts), a, b, from, len;
    unsigned rng = seed;
    uint8_t piece[256];

    if (!n || next(&rng) % 3 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    a = next(&rng) % n;
    b = a + 1 + next(&rng) % 4;
    b = b < n ? b : n;
    from = starts[a];
    len = starts[b] - from;
    switch (next(&rng) % 4) {
    case 0: /* remove */
        memmove(data + from, data + from + len, size - from - len);
        return size - len;
    case 1: /* repeat somewhere */
        if (len > sizeof piece)
            len = sizeof piece;
        memcpy(piece, data + from, len);
        return insert(data, size, max_size, starts[next(&rng) % n], piece, len);
    case 2: /* another argument of the same length */
        len = starts[a + 1] - from;
        if (len > 1)
            LLVMFuzzerMutate(data + from + 1, len - 1, len - 1);
        return size;
    default:
        return insert(data, size, max_size, from, piece, invent(&rng, piece));
    }
}
