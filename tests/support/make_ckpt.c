/* SPDX-License-Identifier: MIT */
/* make_ckpt CONFIG SEED OUT.safetensors: for command-line tests; see made.h. */
#include <stdio.h>
#include <stdlib.h>

#include "made.h"

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: make_ckpt CONFIG SEED OUT.safetensors\n");
        return 2;
    }
    return made_checkpoint(argv[1], (unsigned)strtoul(argv[2], NULL, 10), argv[3]);
}
