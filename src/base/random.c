/* SPDX-License-Identifier: MIT */
/* Bytes from the system; see random.h. */
#include "base/random.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

bool ldm_random_bytes(void *out, size_t size)
{
    const int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    const bool fine = fd >= 0 && read(fd, out, size) == (ssize_t)size;

    if (fd >= 0)
        close(fd);
    return fine;
}

bool ldm_random_hex(char *out, size_t size)
{
    unsigned char bytes[64];

    if (size > sizeof bytes || !ldm_random_bytes(bytes, size))
        return false;
    for (size_t i = 0; i < size; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return true;
}
