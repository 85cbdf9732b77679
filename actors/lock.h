/*
 * lock.h - a lock that is two instructions when nobody else wants it, and sleeping on a word of one's own. Any thread. It
 * knows nothing of what is guarded or waited for.
 *
 * A process's lock is taken several times for each call. A pthread mutex and a condition would do, at five times the price,
 * and whoever is woken through a condition under the mutex runs into the mutex.
 */
#ifndef TRI_LOCK_H
#define TRI_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Zeroed: free. */
struct tri_lock {
    _Atomic uint32_t word; /* 0 free, 1 held, 2 held and somebody may sleep on it */
};

void tri_lock_wait(struct tri_lock *lock);
void tri_lock_wake(struct tri_lock *lock);

static inline void
tri_lock_take(struct tri_lock *lock)
{
    uint32_t is_free = 0;

    if (!atomic_compare_exchange_strong_explicit(&lock->word, &is_free, 1, memory_order_acquire, memory_order_relaxed))
        tri_lock_wait(lock);
}

/* false: somebody has it. */
static inline bool
tri_lock_try(struct tri_lock *lock)
{
    uint32_t is_free = 0;

    return atomic_compare_exchange_strong_explicit(&lock->word, &is_free, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void
tri_lock_give(struct tri_lock *lock)
{
    if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)
        tri_lock_wake(lock);
}

/* Sleeps until the word is not 0, or until_ns on the monotonic clock (UINT64_MAX: never); or for no reason at all. */
void tri_word_sleep(_Atomic uint32_t *word, uint64_t until_ns);
/* Wakes who sleeps on it. The word may be gone meanwhile: then nobody, or somebody else for no reason. */
void tri_word_wake(_Atomic uint32_t *word);

#endif
