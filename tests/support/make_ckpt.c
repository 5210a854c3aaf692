/* SPDX-License-Identifier: MIT */
/* make_ckpt CONFIG SEED OUT.safetensors [f64]: for command-line tests; see made.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "made.h"

int main(int argc, char **argv)
{
    const bool wide = argc == 5 && !strcmp(argv[4], "f64");

    if (argc != 4 && !wide) {
        fprintf(stderr, "usage: make_ckpt CONFIG SEED OUT.safetensors [f64]\n");
        return 2;
    }
    return made_checkpoint_as(argv[1], (unsigned)strtoul(argv[2], NULL, 10), wide, argv[3]);
}
