/*
 * lock.c - the slow half of lock.h: sleeping and waking by the kernel. Any thread.
 */
#include "actors/lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const uint64_t ns_per_s = 1000000000;

void
tri_lock_wait(struct tri_lock *lock)
{
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
        (void)syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void
tri_lock_wake(struct tri_lock *lock)
{
    (void)syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void
tri_word_sleep(_Atomic uint32_t *word, uint64_t until_ns)
{
    const struct timespec until = {(time_t)(until_ns / ns_per_s), (long)(until_ns % ns_per_s)};

    (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, 0, until_ns == UINT64_MAX ? NULL : &until, NULL,
                  FUTEX_BITSET_MATCH_ANY);
}

void
tri_word_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
