/* SPDX-License-Identifier: MIT */
/* make_inception OUT.safetensors [CLASSES]: weights of the Inception network by a formula. */
#include <stdio.h>
#include <stdlib.h>

#include "made_inception.h"

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: make_inception OUT.safetensors [CLASSES]\n");
        return 2;
    }
    return made_inception(argv[1], argc > 2 ? atoi(argv[2]) : 1008);
}
