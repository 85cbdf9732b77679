/*
 * link.c - which links there are, and the context that they share. Any thread. Knows no packet.
 */
#include "transport/link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

enum { DESCRIPTORS_WANTED = 64, SOCKETS_MAX = 16 };

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

static bool
have_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    if (limit.rlim_cur < limit.rlim_max) {
        const struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    if (limit.rlim_cur == RLIM_INFINITY || next_are_free(limit.rlim_cur) ||
        limit.rlim_cur >= count_open() + DESCRIPTORS_WANTED)
        return true;
    errno = EMFILE;
    return false;
}

void *
tri_link_context(void)
{
    void *context;

    if (!have_descriptors() || (context = zmq_ctx_new()) == NULL)
        return NULL;
    /* One I/O thread: a process has one peer, and the broker's core is the bottleneck, not its reading. */
    (void)zmq_ctx_set(context, ZMQ_IO_THREADS, 1);
    /* A process has one socket or two: a small table, made for each context. */
    (void)zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    /* The I/O thread does not interrupt who feeds it: that one goes on and gives it more (docs/decisions.md). */
    (void)zmq_ctx_set(context, ZMQ_THREAD_SCHED_POLICY, SCHED_BATCH);
    /* Ending never waits for peers that are gone. */
    (void)zmq_ctx_set(context, ZMQ_BLOCKY, 0);
    return context;
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
