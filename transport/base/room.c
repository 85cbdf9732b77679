/*
 * room.c - whether a process may still have what it is about to need: address space, and threads. To be asked before libzmq is,
 * which aborts the program where it gets no thread. Any thread. Knows nothing of what it is for.
 */
#include "transport/base/base.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
enum { SMALL_STACK = 128 * 1024 };

static const struct limit {
    __rlimit_resource_t resource;
    const char *what, *option;
    int field; /* of /proc/self/statm: how many pages of it there are */
} limits[] = {
    {RLIMIT_AS, "address space", "ulimit -v", 0},
    {RLIMIT_DATA, "data", "ulimit -d", 5},
};

static bool
most_of(const struct limit *limit, uint64_t *most)
{
    struct rlimit set;

    if (getrlimit(limit->resource, &set) != 0 || set.rlim_cur == RLIM_INFINITY)
        return false;
    *most = (uint64_t)set.rlim_cur;
    return true;
}

bool
tri_room_is_limited(void)
{
    uint64_t most;

    return most_of(&limits[0], &most) || most_of(&limits[1], &most);
}

/* UINT64_MAX: it cannot be told. */
static uint64_t
used_of(const struct limit *limit)
{
    unsigned long long pages[6] = {0};
    FILE *file = fopen("/proc/self/statm", "re");
    int count;

    if (file == NULL)
        return UINT64_MAX;
    count =
        fscanf(file, "%llu %llu %llu %llu %llu %llu", &pages[0], &pages[1], &pages[2], &pages[3], &pages[4], &pages[5]);
    (void)fclose(file);
    return count == 6 ? pages[limit->field] * (uint64_t)sysconf(_SC_PAGESIZE) : UINT64_MAX;
}

static uint64_t
thread_bytes(void)
{
    pthread_attr_t attributes;
    size_t stack = 8 * MIB, guard = 4 * KIB;

    if (pthread_getattr_default_np(&attributes) == 0) {
        (void)pthread_attr_getstacksize(&attributes, &stack);
        (void)pthread_attr_getguardsize(&attributes, &guard);
        (void)pthread_attr_destroy(&attributes);
    }
    return stack + guard;
}

trp_err
tri_room_for(unsigned threads, uint64_t bytes, trp_error *error)
{
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const struct limit *limit = &limits[i];
        uint64_t most, used, needed;
        if (!most_of(limit, &most) || (used = used_of(limit)) == UINT64_MAX)
            continue;
        needed = threads * thread_bytes() + bytes;
        if (used + needed <= most)
            continue;
        return TRI_FAIL(error, TRP_ELIMIT,
                        "this process may have %llu MiB of %s, has %llu and needs %llu more, for %u threads: allow it "
                        "%llu KiB or more (%s %llu)",
                        (unsigned long long)(most / MIB), limit->what, (unsigned long long)(used / MIB),
                        (unsigned long long)((needed + MIB - 1) / MIB), threads,
                        (unsigned long long)((used + needed + KIB - 1) / KIB), limit->option,
                        (unsigned long long)((used + needed + MIB - 1) / MIB * KIB));
    }
    return TRP_OK;
}

static void *
wait_for_all(void *go)
{
    while (sem_wait(go) != 0)
        continue; /* a signal */
    return NULL;
}

trp_err
tri_room_try_threads(trp_error *error)
{
    pthread_t started[TRI_ROOM_THREADS];
    pthread_attr_t small;
    sigset_t all, before;
    unsigned count = 0;
    int errnum = 0;
    sem_t go;

    (void)sem_init(&go, 0, 0);
    (void)pthread_attr_init(&small);
    (void)pthread_attr_setstacksize(&small,
                                    SMALL_STACK); /* so that the system's refusal is of threads, not of memory */
    (void)sigfillset(&all);                       /* the user's handlers run on the user's threads */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (count < TRI_ROOM_THREADS && (errnum = pthread_create(&started[count], &small, wait_for_all, &go)) == 0)
        count++;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    for (unsigned i = 0; i < count; i++)
        (void)sem_post(&go);
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(started[i], NULL);
    (void)pthread_attr_destroy(&small);
    (void)sem_destroy(&go);
    return errnum == 0 ? TRP_OK
                       : tri_fail_system(error, TRP_ELIMIT, errnum, "this process gets %u threads of %d", count,
                                         TRI_ROOM_THREADS);
}
