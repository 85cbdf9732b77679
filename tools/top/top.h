/*
 * top.h - what `troupe top` is made of: a sample of the node, and the screen that it is shown on. Private to tools/. One thread.
 */
#ifndef TRI_TOP_H
#define TRI_TOP_H

#include "tools/cli/cli.h"

enum { TRI_TOP_NAME_SIZE = 256 };

/* A process, or an actor that has none yet (pid 0). */
struct tri_top_row {
    char kind[16], state[16], name[TRI_TOP_NAME_SIZE], class_name[TRI_TOP_NAME_SIZE], actor[40];
    int64_t pid, calls, pending, given, running, waiting;
    int64_t memory_bytes;
    int64_t ticks, started; /* processor time, and when it began: of /proc; 0: it has gone */
    double calls_per_s, cpu_percent;
};
struct tri_top_sample {
    int64_t at_ns; /* CLOCK_MONOTONIC */
    char node[256];
    double cpus, cpus_used, calls_per_s, cpu_percent, over_s;
    int64_t incarnation, calls, calls_pending, tasks_queued, actors, processes, objects;
    struct tri_top_row *rows;
    size_t count, capacity;
};

/* What the broker says, and /proc of each process that it names. Replaces what was in the sample; zeroed before its first use.
 * Where it fails nothing is said: *error is set. */
trp_err tri_top_take(struct tri_cli *cli, struct tri_top_sample *sample, trp_error *error);
/* What is per second, of what has changed since then. */
void tri_top_compare(struct tri_top_sample *now, const struct tri_top_sample *before);
void tri_top_sample_fini(struct tri_top_sample *sample);

/* The terminal: what was there comes back when it is closed, and when a signal ends or stops the process. */
void tri_screen_open(struct tri_cli *cli);
void tri_screen_close(void);
/* Its size; false: it is not open. */
bool tri_screen_size(size_t *columns, size_t *lines);
/* Waits so long, or until the size has changed, the process has come back from being stopped, or q was pressed. */
enum tri_screen_event { TRI_SCREEN_TIME, TRI_SCREEN_CHANGED, TRI_SCREEN_QUIT };
enum tri_screen_event tri_screen_wait(int64_t ms);

#endif
