/*
 * chain.c - the client of the chain: starts its processes, calls, and takes times. One thread. Each reply is checked: its
 * size, and the number that its call carried in its first eight bytes.
 */
#include "bench/limits/chain.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

extern char **environ;

enum { REPLY_TIMEOUT_MS = 10000, HELLO_TIMEOUT_MS = 10, HELLO_PAUSE_NS = 1000000 };

struct tri_chain {
    void *context;
    void *socket;
    char directory[64];
    pid_t pids[TRI_CHAIN_WORKERS_MAX + 1]; /* the proxy, then the workers */
    int pid_count;
    uint8_t out[TRI_CHAIN_BODY_MAX], in[TRI_CHAIN_BODY_MAX + 8];
};

/* ------------------------------------------------------------------------------------------------ start and end */

static trp_err
start_role(struct tri_chain *chain, const char *role, trp_error *error)
{
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    char *const argv[] = {self, (char *)(uintptr_t)TRI_CHAIN_ROLE_OPTION, (char *)(uintptr_t)role, chain->directory,
                          NULL};
    int failed;

    self[size > 0 ? size : 0] = 0;
    failed = posix_spawn(&chain->pids[chain->pid_count], self, NULL, NULL, argv, environ);
    if (failed != 0)
        return tri_limit_fail(error, "the chain's %s does not start: %s", role, strerror(failed));
    chain->pid_count++;
    return TRP_OK;
}

static void
note_worker(int pid, int seen[TRI_CHAIN_WORKERS_MAX], int *seen_count)
{
    for (int i = 0; i < *seen_count; i++)
        if (seen[i] == pid)
            return;
    if (*seen_count < TRI_CHAIN_WORKERS_MAX)
        seen[(*seen_count)++] = pid;
}

/* Asks who is there until every worker has answered; then takes what still comes. */
static trp_err
meet_workers(struct tri_chain *chain, int worker_count, trp_error *error)
{
    int seen[TRI_CHAIN_WORKERS_MAX], seen_count = 0, pid = 0, asked = 0;
    int timeout_ms = HELLO_TIMEOUT_MS;
    uint64_t give_up = tri_limit_now_ns() + (uint64_t)REPLY_TIMEOUT_MS * 1000000u;

    zmq_setsockopt(chain->socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    while (seen_count < worker_count && tri_limit_now_ns() < give_up) {
        tri_limit_sleep_until(tri_limit_now_ns() + HELLO_PAUSE_NS);
        asked += zmq_send(chain->socket, "", 0, 0) == 0;
        if (zmq_recv(chain->socket, &pid, sizeof pid, 0) == (int)sizeof pid) {
            asked--;
            note_worker(pid, seen, &seen_count);
        }
    }
    timeout_ms = REPLY_TIMEOUT_MS;
    zmq_setsockopt(chain->socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    while (seen_count == worker_count && asked > 0 && zmq_recv(chain->socket, &pid, sizeof pid, 0) >= 0)
        asked--;
    if (seen_count < worker_count || asked > 0)
        return tri_limit_fail(error, "%d of the chain's %d workers answered", seen_count, worker_count);
    return TRP_OK;
}

static trp_err
start_all(struct tri_chain *chain, int worker_count, trp_error *error)
{
    char endpoint[TRI_CHAIN_ENDPOINT_SIZE];

    snprintf(chain->directory, sizeof chain->directory, "/tmp/troupe-limit-XXXXXX");
    if (mkdtemp(chain->directory) == NULL) {
        chain->directory[0] = 0;
        return tri_limit_fail(error, "no directory for the chain in /tmp: %s", strerror(errno));
    }
    chain->context = zmq_ctx_new();
    chain->socket = chain->context != NULL ? tri_chain_socket(chain->context, ZMQ_DEALER) : NULL;
    if (chain->socket == NULL)
        return tri_limit_fail(error, "no socket for the chain: %s", zmq_strerror(zmq_errno()));
    TRP_TRY(start_role(chain, "proxy", error));
    for (int i = 0; i < worker_count; i++)
        TRP_TRY(start_role(chain, "worker", error));
    snprintf(endpoint, sizeof endpoint, TRI_CHAIN_FRONT, chain->directory);
    if (zmq_connect(chain->socket, endpoint) != 0)
        return tri_limit_fail(error, "the chain's client: %s", zmq_strerror(zmq_errno()));
    return meet_workers(chain, worker_count, error);
}

trp_err
tri_chain_open(int worker_count, struct tri_chain **chain, trp_error *error)
{
    struct tri_chain *made;
    trp_err err;

    if (worker_count < 1 || worker_count > TRI_CHAIN_WORKERS_MAX)
        return tri_limit_fail(error, "a chain has 1 to %d workers", TRI_CHAIN_WORKERS_MAX);
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return tri_limit_fail(error, "no memory for a chain");
    err = start_all(made, worker_count, error);
    if (err != TRP_OK)
        tri_chain_close(&made);
    else
        *chain = made;
    return err;
}

void
tri_chain_close(struct tri_chain **chain)
{
    char path[TRI_CHAIN_ENDPOINT_SIZE];
    struct tri_chain *old = *chain;

    if (old == NULL)
        return;
    if (old->socket != NULL)
        zmq_close(old->socket);
    if (old->context != NULL)
        zmq_ctx_term(old->context);
    for (int i = 0; i < old->pid_count; i++)
        kill(old->pids[i], SIGKILL);
    for (int i = 0; i < old->pid_count; i++)
        waitpid(old->pids[i], NULL, 0);
    if (old->directory[0] != 0) {
        snprintf(path, sizeof path, "%s/front", old->directory);
        unlink(path);
        snprintf(path, sizeof path, "%s/back", old->directory);
        unlink(path);
        rmdir(old->directory);
    }
    free(old);
    *chain = NULL;
}

uint64_t
tri_chain_cpu_ns(const struct tri_chain *chain)
{
    uint64_t sum = 0;

    for (int i = 0; i < chain->pid_count; i++)
        sum += tri_limit_cpu_ns(chain->pids[i]);
    return sum;
}

int
tri_chain_pids(const struct tri_chain *chain, int pids[TRI_CHAIN_WORKERS_MAX + 1])
{
    for (int i = 0; i < chain->pid_count; i++)
        pids[i] = (int)chain->pids[i];
    return chain->pid_count;
}

/* -------------------------------------------------------------------------------------------------------- calls */

static trp_err
send_call(struct tri_chain *chain, size_t body_size, uint64_t number, trp_error *error)
{
    memcpy(chain->out, &number, sizeof number);
    if (zmq_send(chain->socket, chain->out, body_size, 0) != (int)body_size)
        return tri_limit_fail(error, "the chain's client cannot send: %s", zmq_strerror(zmq_errno()));
    return TRP_OK;
}

/* *got false: nothing there (only with ZMQ_DONTWAIT). */
static trp_err
take_reply(struct tri_chain *chain, size_t body_size, int flags, uint64_t *number, bool *got, trp_error *error)
{
    int size = zmq_recv(chain->socket, chain->in, sizeof chain->in, flags);

    *got = size >= 0;
    if (size < 0 && zmq_errno() == EAGAIN && flags == ZMQ_DONTWAIT)
        return TRP_OK;
    if (size < 0)
        return tri_limit_fail(error, "no reply from the chain: %s", zmq_strerror(zmq_errno()));
    if ((size_t)size != body_size)
        return tri_limit_fail(error, "a reply of the chain has %d bytes in place of %zu", size, body_size);
    memcpy(number, chain->in, sizeof *number);
    return TRP_OK;
}

static trp_err
refuse_size(size_t body_size, trp_error *error)
{
    if (body_size < sizeof(uint64_t) || body_size > TRI_CHAIN_BODY_MAX)
        return tri_limit_fail(error, "a call of the chain has 8 to %d bytes", TRI_CHAIN_BODY_MAX);
    return TRP_OK;
}

trp_err
tri_chain_sync(struct tri_chain *chain, size_t body_size, size_t count, uint64_t *latency_ns, trp_error *error)
{
    TRP_TRY(refuse_size(body_size, error));
    for (size_t i = 0; i < count; i++) {
        uint64_t number = 0, before = tri_limit_now_ns();
        bool got;

        TRP_TRY(send_call(chain, body_size, i, error));
        TRP_TRY(take_reply(chain, body_size, 0, &number, &got, error));
        latency_ns[i] = tri_limit_now_ns() - before;
        if (number != i)
            return tri_limit_fail(error, "the chain answered call %llu in place of %zu", (unsigned long long)number, i);
    }
    return TRP_OK;
}

trp_err
tri_chain_rate(struct tri_chain *chain, size_t body_size, size_t outstanding, size_t count, uint64_t think_ns,
               uint64_t *took_ns, trp_error *error)
{
    uint64_t before = tri_limit_now_ns(), number = 0, sum = 0;
    size_t sent = 0;

    TRP_TRY(refuse_size(body_size, error));
    for (size_t taken = 0; taken < count; taken++) {
        bool got;

        while (sent < count && sent - taken < outstanding) {
            if (think_ns > 0)
                tri_limit_think(think_ns);
            TRP_TRY(send_call(chain, body_size, sent++, error));
        }
        TRP_TRY(take_reply(chain, body_size, 0, &number, &got, error));
        if (number >= sent)
            return tri_limit_fail(error, "the chain answered a call that was not made");
        sum += number;
    }
    *took_ns = tri_limit_now_ns() - before;
    if (sum != (uint64_t)count * (count - 1) / 2)
        return tri_limit_fail(error, "the chain answered a call twice");
    return TRP_OK;
}

/* Takes all that has come. */
static trp_err
take_ready(struct tri_chain *chain, size_t body_size, uint64_t start_ns, double gap_ns, size_t sent,
           uint64_t *latency_ns, size_t *taken, trp_error *error)
{
    for (;;) {
        uint64_t number = 0;
        bool got;

        TRP_TRY(take_reply(chain, body_size, ZMQ_DONTWAIT, &number, &got, error));
        if (!got)
            return TRP_OK;
        if (number >= sent || *taken >= sent)
            return tri_limit_fail(error, "the chain answered a call that was not made");
        latency_ns[(*taken)++] = tri_limit_now_ns() - (start_ns + (uint64_t)(gap_ns * (double)number));
    }
}

trp_err
tri_chain_load(struct tri_chain *chain, size_t body_size, double rate, size_t count, uint64_t *latency_ns,
               trp_error *error)
{
    double gap_ns = 1e9 / rate;
    uint64_t start = tri_limit_now_ns(), now = start;
    uint64_t give_up = start + (uint64_t)(gap_ns * (double)count) + (uint64_t)REPLY_TIMEOUT_MS * 1000000u;
    size_t sent = 0, taken = 0;

    TRP_TRY(refuse_size(body_size, error));
    while (taken < count) {
        uint64_t tick = tri_limit_now_ns() + TRI_LIMIT_TICK_NS;

        for (now = tri_limit_now_ns(); sent < count && start + (uint64_t)(gap_ns * (double)sent) <= now; sent++)
            TRP_TRY(send_call(chain, body_size, sent, error));
        TRP_TRY(take_ready(chain, body_size, start, gap_ns, sent, latency_ns, &taken, error));
        if (now > give_up)
            return tri_limit_fail(error, "the chain does not keep up with %.0f calls per second", rate);
        tri_limit_sleep_until(tick);
    }
    return TRP_OK;
}
