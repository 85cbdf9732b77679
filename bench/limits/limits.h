/*
 * limits.h - what the raw library and the bare kernel reach: the same work as the bench's cases, done with libzmq and
 * system calls only. The door of bench/limits.
 *
 * The chain is a client (DEALER, the calling process), a proxy (zmq_proxy between ROUTER and DEALER) and one or more
 * workers (DEALER), each a process of its own, over ipc. All sockets have libzmq's defaults, except that queues are
 * unbounded, so that an open loop cannot lose replies.
 *
 * Threads: one at a time. It must not know Troupe: only the public error type is shared.
 */
#ifndef TRI_LIMITS_H
#define TRI_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <troupe/base.h>

/* Fills *error with a sentence and returns TRP_EUNAVAILABLE. */
trp_err tri_limit_fail(trp_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ----------------------------------------------------------------------------------------------------- the clock */

static inline uint64_t
tri_limit_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Sleeps until then, to within microseconds: sets the thread's timer slack to its least on first use. */
void tri_limit_sleep_until(uint64_t then_ns);
/* Processor time of a process so far; 0 when it is gone. */
uint64_t tri_limit_cpu_ns(int pid);
/* Computes for about so long: what a caller does between two calls. Calibrated at the first use. */
void tri_limit_think(uint64_t ns);
/* Sorts, and gives the value that `percent` of all are not above; 0 of none. */
uint64_t tri_limit_percentile(uint64_t *values, size_t count, double percent);

/* ----------------------------------------------------------------------------------------------------- processes */

/* The program that calls this offers the chain's proxy and workers, by running itself again: true when it was started
 * as one of them, has done that work, and should end with *exit_code. To be called first in main. */
bool tri_limit_role(int argc, char **argv, int *exit_code);

/* A program of the limits by its name, beside this one or in the build tree; /bin/true where it is not found. Static, until the
 * next one is asked for. */
const char *tri_limit_program(const char *name);
/* posix_spawn of it and waiting for its end. */
trp_err tri_limit_spawn_one(uint64_t *took_ns, trp_error *error);
/* `count` at once, and waiting for all. */
trp_err tri_limit_spawn_many(size_t count, uint64_t *took_ns, trp_error *error);
/* fork and exec of `count` of them, and waiting for all. */
trp_err tri_limit_fork_many(size_t count, uint64_t *took_ns, trp_error *error);

/* ----------------------------------------------------------------------------------------------------- memory */

/* Memory of so many bytes to copy from, all of them 7, and shared memory to copy to, all of whose pages this process has touched. */
struct tri_memory_limit;
trp_err tri_memory_limit_open(size_t size, struct tri_memory_limit **made, trp_error *error);
void tri_memory_limit_close(struct tri_memory_limit **made); /* NULL passes */
const void *tri_memory_limit_source(const struct tri_memory_limit *memory);
uint64_t tri_memory_limit_copy(struct tri_memory_limit *memory); /* ns of one copy */
/* A new mapping of it, and reading its first byte. */
trp_err tri_memory_limit_read(struct tri_memory_limit *memory, uint64_t *took_ns, trp_error *error);
/* Reading all of these bytes, once; and all of that memory, where it is mapped already. */
uint64_t tri_limit_pass(const void *bytes, size_t size);
uint64_t tri_memory_limit_pass(const struct tri_memory_limit *memory);

/* What is to be compressed (data.c). */
void tri_limit_text(void *to, size_t size);
void tri_limit_weights(void *to, size_t size);

/* ----------------------------------------------------------------------------------------------------- the chain */

struct tri_chain;
enum { TRI_CHAIN_WORKERS_MAX = 8, TRI_CHAIN_BODY_MAX = 4096 };

/* Starts proxy and workers; returns when each worker has answered. */
trp_err tri_chain_open(int worker_count, struct tri_chain **chain, trp_error *error);
void tri_chain_close(struct tri_chain **chain);
/* Processor time of proxy and workers so far; the client is the caller's own process. */
uint64_t tri_chain_cpu_ns(const struct tri_chain *chain);
/* Its processes: written to `pids`, the number returned. */
int tri_chain_pids(const struct tri_chain *chain, int pids[TRI_CHAIN_WORKERS_MAX + 1]);

/* One call after the other; latency_ns: room for `count`. */
trp_err tri_chain_sync(struct tri_chain *chain, size_t body_size, size_t count, uint64_t *latency_ns, trp_error *error);
/* `outstanding` at any time, `count` in all; before each call the client computes think_ns. */
trp_err tri_chain_rate(struct tri_chain *chain, size_t body_size, size_t outstanding, size_t count, uint64_t think_ns,
                       uint64_t *took_ns, trp_error *error);
/* Open loop: a call is due every 1/rate s, whether others have ended or not; latency_ns counts from when it was due. */
trp_err tri_chain_load(struct tri_chain *chain, size_t body_size, double rate, size_t count, uint64_t *latency_ns,
                       trp_error *error);

/* The tick of open loops, here and in the bench: calls that are due are sent, then what has come is taken. */
enum { TRI_LIMIT_TICK_NS = 20000 };

#endif
