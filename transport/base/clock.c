/*
 * clock.c - time and random numbers from the system. Any thread. Never called inside a pure part.
 */
#include "transport/base/base.h"

#include <sys/random.h>
#include <time.h>

uint64_t
tri_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * TRI_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t
tri_random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t
tri_random_secret(void)
{
    uint64_t secret = 0;

    /* So few bytes come whole; only before the kernel's pool is ready can a signal interrupt. 0 stands for "none". */
    while (secret == 0)
        if (getrandom(&secret, sizeof secret, 0) != (ssize_t)sizeof secret)
            secret = 0;
    return secret;
}
