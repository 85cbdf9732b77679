/*
 * clock.c - time and random numbers from the system. Any thread. Never called inside a pure part.
 */
#include "transport/base/base.h"

#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>

static _Atomic uint64_t standing_ns; /* 0: the system's clock is asked */

void
tri_clock_stand(uint64_t now_ns)
{
    atomic_store_explicit(&standing_ns, now_ns, memory_order_relaxed);
}

uint64_t
tri_now_ns(void)
{
    const uint64_t stands_ns = atomic_load_explicit(&standing_ns, memory_order_relaxed);
    struct timespec now;

    if (stands_ns != 0)
        return stands_ns;
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
