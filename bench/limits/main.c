/*
 * main.c - prints the limits alone: what the raw library and the bare kernel reach on this machine, before any of our
 * own is measured. `limits [ROUNDS]`. One thread.
 */
#include "bench/limits/limits.h"

#include <stdio.h>
#include <stdlib.h>

enum { SYNC_CALLS = 3000, RATE_CALLS = 300000, LARGE_CALLS = 100000, OUTSTANDING = 1000, SPAWNS = 30, AT_ONCE = 100 };

static void
show(const char *what, const char *unit, double value, double p99)
{
    printf("%-28s %12.1f %s", what, value, unit);
    if (p99 > 0)
        printf("   p99 %.1f", p99);
    printf("\n");
    fflush(stdout);
}

static trp_err
show_rate(struct tri_chain *chain, const char *what, size_t body_size, size_t count, double *rate, trp_error *error)
{
    uint64_t took = 0;

    TRP_TRY(tri_chain_rate(chain, body_size, OUTSTANDING, count, 0, &took, error));
    *rate = (double)count * 1e9 / (double)took;
    show(what, "/s", *rate, 0);
    return TRP_OK;
}

static trp_err
show_chain(uint64_t *latency, trp_error *error)
{
    struct tri_chain *chain = NULL;
    double rate = 0, ignored = 0;
    size_t loaded;
    trp_err err;

    TRP_TRY(tri_chain_open(1, &chain, error));
    err = tri_chain_sync(chain, 64, SYNC_CALLS, latency, error);
    if (err == TRP_OK)
        show("sync 64 B", "us", (double)tri_limit_percentile(latency, SYNC_CALLS, 50) / 1e3,
             (double)tri_limit_percentile(latency, SYNC_CALLS, 99) / 1e3);
    if (err == TRP_OK)
        err = show_rate(chain, "1,000 outstanding, 64 B", 64, RATE_CALLS, &rate, error);
    if (err == TRP_OK)
        err = show_rate(chain, "1,000 outstanding, 1 KiB", 1024, LARGE_CALLS, &ignored, error);
    loaded = rate / 2 * 0.3 < RATE_CALLS ? (size_t)(rate / 2 * 0.3) : RATE_CALLS;
    if (err == TRP_OK)
        err = tri_chain_load(chain, 64, rate / 2, loaded, latency, error);
    if (err == TRP_OK)
        show("open loop at half of it", "us", (double)tri_limit_percentile(latency, loaded, 50) / 1e3,
             (double)tri_limit_percentile(latency, loaded, 99) / 1e3);
    tri_chain_close(&chain);
    TRP_TRY(err);
    TRP_TRY(tri_chain_open(2, &chain, error));
    err = show_rate(chain, "the same, two workers, 64 B", 64, RATE_CALLS, &rate, error);
    tri_chain_close(&chain);
    return err;
}

static trp_err
show_processes(uint64_t *latency, trp_error *error)
{
    uint64_t took = 0;

    for (size_t i = 0; i < SPAWNS; i++)
        TRP_TRY(tri_limit_spawn_one(&latency[i], error));
    show("posix_spawn and wait", "us", (double)tri_limit_percentile(latency, SPAWNS, 50) / 1e3,
         (double)tri_limit_percentile(latency, SPAWNS, 99) / 1e3);
    TRP_TRY(tri_limit_spawn_many(AT_ONCE, &took, error));
    show("100 at once", "/s", AT_ONCE * 1e9 / (double)took, 0);
    TRP_TRY(tri_limit_fork_many(3, &took, error));
    show("fork and exec of three", "us", (double)took / 1e3, 0);
    return TRP_OK;
}

int
main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 1, exit_code = 0;
    uint64_t *latency;
    trp_error error;
    trp_err err = TRP_OK;

    if (tri_limit_role(argc, argv, &exit_code))
        return exit_code;
    latency = calloc(RATE_CALLS, sizeof *latency);
    if (latency == NULL || rounds < 1) {
        fprintf(stderr, "usage: limits [ROUNDS]\n");
        free(latency);
        return 2;
    }
    for (int i = 0; i < rounds && err == TRP_OK; i++) {
        err = show_chain(latency, &error);
        err = err == TRP_OK ? show_processes(latency, &error) : err;
    }
    free(latency);
    if (err != TRP_OK)
        fprintf(stderr, "limits: %s\n", error.message);
    return err == TRP_OK ? 0 : 1;
}
