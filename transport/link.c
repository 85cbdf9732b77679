/*
 * link.c - which links there are, and the context that they share. Any thread. Knows no packet.
 */
#include "transport/link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

enum {
    DESCRIPTORS_WANTED = 64,
    SOCKETS_MAX = 16,
    THREADS = 3,                   /* libzmq's two, and the keeper */
    OTHER_BYTES = 8 * 1024 * 1024, /* what the first packets take, and the heap that they come from */
    HEAP_BYTES = 64 * 1024 * 1024, /* of address space, for each thread that allocates */
};

const struct tri_link_ops *const tri_link_table[] = {&tri_link_ipc, &tri_link_inproc, &tri_link_tcp, NULL};

const struct tri_link_ops *
tri_link_find(const char *address)
{
    const char *end = strstr(address, "://");

    if (end == NULL)
        return NULL;
    for (const struct tri_link_ops *const *ops = tri_link_table; *ops != NULL; ops++)
        if (strlen((*ops)->scheme) == (size_t)(end - address) &&
            memcmp((*ops)->scheme, address, (size_t)(end - address)) == 0)
            return *ops;
    return NULL;
}

static rlim_t
count_open(void)
{
    DIR *open_ones = opendir("/proc/self/fd");
    rlim_t count = 0;

    if (open_ones == NULL)
        return 0; /* cannot be told: libzmq will find out */
    while (readdir(open_ones) != NULL)
        count++;
    (void)closedir(open_ones);
    return count;
}

/* Whether the next ones are free: one look, where counting would read a directory. */
static bool
next_are_free(rlim_t limit)
{
    struct pollfd fds[DESCRIPTORS_WANTED];
    const int next = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

    if (next < 0)
        return false;
    (void)close(next);
    if (limit < (rlim_t)next + DESCRIPTORS_WANTED)
        return false;
    for (int i = 0; i < DESCRIPTORS_WANTED; i++)
        fds[i] = (struct pollfd){.fd = next + i};
    if (poll(fds, DESCRIPTORS_WANTED, 0) != DESCRIPTORS_WANTED)
        return false;
    for (int i = 0; i < DESCRIPTORS_WANTED; i++)
        if (fds[i].revents != POLLNVAL)
            return false;
    return true;
}

static trp_err
check_descriptors(trp_error *error)
{
    struct rlimit limit;
    rlim_t open_ones;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return tri_fail_system(error, TRP_ELIMIT, errno, "cannot learn how many files may be open");
    if (limit.rlim_cur < limit.rlim_max) {
        const struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    if (limit.rlim_cur == RLIM_INFINITY || next_are_free(limit.rlim_cur))
        return TRP_OK;
    open_ones = count_open();
    if (limit.rlim_cur >= open_ones + DESCRIPTORS_WANTED)
        return TRP_OK;
    return TRI_FAIL(error, TRP_ELIMIT,
                    "this process may have %llu open files, has %llu and needs %d more: allow it more (ulimit -n)",
                    (unsigned long long)limit.rlim_cur, (unsigned long long)open_ones, DESCRIPTORS_WANTED);
}

trp_err
tri_link_context_room(trp_error *error)
{
    return tri_room_for(THREADS, OTHER_BYTES, error);
}

trp_err
tri_link_context(void **context, trp_error *error)
{
    void *made;

    TRP_TRY(check_descriptors(error));
    TRP_TRY(tri_link_context_room(error));
    if (tri_room_for(THREADS, OTHER_BYTES + THREADS * HEAP_BYTES, NULL) != TRP_OK)
        (void)mallopt(M_ARENA_MAX, 1); /* else one thread's heap might take what another one's stack needs */
    made = zmq_ctx_new();
    if (made == NULL)
        return tri_fail_system(error, TRP_ELIMIT, errno, "ZeroMQ cannot be started");
    /* One I/O thread: a process has one peer, and the broker's core is the bottleneck, not its reading. */
    (void)zmq_ctx_set(made, ZMQ_IO_THREADS, 1);
    /* A process has one socket or two: a small table, made for each context. */
    (void)zmq_ctx_set(made, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    /* The I/O thread does not interrupt who feeds it: that one goes on and gives it more (docs/decisions.md). */
    (void)zmq_ctx_set(made, ZMQ_THREAD_SCHED_POLICY, SCHED_BATCH);
    /* Ending never waits for peers that are gone. */
    (void)zmq_ctx_set(made, ZMQ_BLOCKY, 0);
    *context = made;
    return TRP_OK;
}

void
tri_link_context_end(void **context)
{
    void *gone = *context;

    *context = NULL;
    if (gone == NULL)
        return;
    while (zmq_ctx_term(gone) != 0 && errno == EINTR)
        continue;
}
