/*
 * write.c - a Chrome trace (chrome://tracing, Perfetto) of what was read: of each call a slice while it waits and one while it
 * runs, an arrow from where it was made to where it runs, and the names of processes and threads. One thread.
 *
 * Slices of a thread have to lie in each other or apart. Those that run do; calls that wait at the same time for the same
 * process get threads that are none, as many as wait at once, up to LANES.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/trace/trace.h"

enum { LANES = 256, LANE_TID = 1000000000 };

static int
less(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* By process, then by the time when it was made. */
static int
by_submission(const void *a, const void *b)
{
    const struct tri_traced_call *x = a, *y = b;
    const int order = less(x->pid, y->pid);

    return order != 0 ? order : less(x->submitted_ns, y->submitted_ns);
}

/* Whoever waits takes the first lane that is free. */
static void
give_lanes(struct tri_traced *traced)
{
    int64_t free_ns[LANES] = {0};

    if (traced->call_count > 0)
        qsort(traced->calls, traced->call_count, sizeof *traced->calls, by_submission);
    for (size_t i = 0; i < traced->call_count; i++) {
        struct tri_traced_call *call = &traced->calls[i];
        int64_t lane = 0;
        if (i > 0 && traced->calls[i - 1].pid != call->pid)
            memset(free_ns, 0, sizeof free_ns);
        while (lane + 1 < LANES && free_ns[lane] > call->submitted_ns)
            lane++;
        call->lane = lane;
        free_ns[lane] = call->started_ns;
    }
}

/* -------------------------------------------------------------------------------------------------------------- events */

struct writing {
    const struct tri_traced *traced;
    FILE *out;
    bool begun;
};

static void
begin_event(struct writing *writing, const char *phase, int64_t pid, int64_t tid)
{
    fprintf(writing->out, "%s\n{\"ph\":\"%s\",\"pid\":%" PRId64 ",\"tid\":%" PRId64, writing->begun ? "," : "", phase,
            pid, tid);
    writing->begun = true;
}

static void
put_text(struct writing *writing, const char *key, const char *text)
{
    fprintf(writing->out, ",\"%s\":", key);
    tri_json_write_text(writing->out, text, strlen(text));
}

/* Microseconds since the trace began. */
static void
put_time(struct writing *writing, const char *key, int64_t ns)
{
    fprintf(writing->out, ",\"%s\":%" PRId64 ".%03" PRId64, key, ns / 1000, ns % 1000);
}

static void
put_name(struct writing *writing, const struct tri_traced_call *call)
{
    char text[600];

    (void)snprintf(text, sizeof text, "%.255s%s%.255s", call->actor, call->actor[0] != '\0' ? "." : "", call->method);
    put_text(writing, "name", text);
}

static void
put_slice(struct writing *writing, const char *category, int64_t from_ns, int64_t to_ns)
{
    put_text(writing, "cat", category);
    put_time(writing, "ts", from_ns - writing->traced->begins_ns);
    put_time(writing, "dur", to_ns - from_ns);
}

static void
put_call(struct writing *writing, const struct tri_traced_call *call, size_t id)
{
    const int64_t end_ns = call->finished_ns != 0 ? call->finished_ns : writing->traced->ends_ns;

    begin_event(writing, "X", call->pid, LANE_TID + call->lane);
    put_name(writing, call);
    put_slice(writing, "queue", call->submitted_ns, call->started_ns);
    fprintf(writing->out, ",\"args\":{\"call\":%zu}}", id);
    begin_event(writing, "X", call->pid, call->tid);
    put_name(writing, call);
    put_slice(writing, "run", call->started_ns, end_ns);
    fprintf(writing->out, ",\"args\":{\"call\":%zu,\"ended\":", id);
    tri_json_write_text(writing->out, call->how, strlen(call->how));
    fprintf(writing->out, ",\"caller\":%" PRId64 "}}", call->caller_pid);
    begin_event(writing, "s", call->caller_pid, call->caller_tid);
    fprintf(writing->out, ",\"id\":%zu,\"name\":\"call\",\"cat\":\"call\"", id);
    put_time(writing, "ts", call->submitted_ns - writing->traced->begins_ns);
    fprintf(writing->out, "}");
    begin_event(writing, "f", call->pid, call->tid);
    fprintf(writing->out, ",\"bp\":\"e\",\"id\":%zu,\"name\":\"call\",\"cat\":\"call\"", id);
    put_time(writing, "ts", call->started_ns - writing->traced->begins_ns);
    fprintf(writing->out, "}");
}

/* --------------------------------------------------------------------------------------------------------------- names */

static void
put_label(struct writing *writing, const char *what, int64_t pid, int64_t tid, const char *name)
{
    begin_event(writing, "M", pid, tid);
    put_text(writing, "name", what);
    fprintf(writing->out, ",\"args\":{\"name\":");
    tri_json_write_text(writing->out, name, strlen(name));
    fprintf(writing->out, "}}");
}

/* Lanes come below the threads. */
static void
put_lane(struct writing *writing, int64_t pid, int64_t lane)
{
    char name[64];

    (void)snprintf(name, sizeof name, "waiting %" PRId64, lane + 1);
    put_label(writing, "thread_name", pid, LANE_TID + lane, name);
    begin_event(writing, "M", pid, LANE_TID + lane);
    fprintf(writing->out, ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%" PRId64 "}}", LANE_TID + lane);
}

/* Each process and each of its lanes once; calls lie in the order of processes. */
static void
put_hosts(struct writing *writing)
{
    const struct tri_traced *traced = writing->traced;
    int64_t lanes = 0;

    for (size_t i = 0; i < traced->call_count; i++) {
        const struct tri_traced_call *call = &traced->calls[i];
        if (i == 0 || traced->calls[i - 1].pid != call->pid) {
            lanes = 0;
            put_label(writing, "process_name", call->pid, call->pid, call->actor[0] != '\0' ? call->actor : "tasks");
        }
        for (; lanes <= call->lane; lanes++)
            put_lane(writing, call->pid, lanes);
    }
}

static bool
is_driver(const struct tri_traced *traced, int64_t pid)
{
    for (size_t i = 0; i < traced->driver_count; i++)
        if (traced->drivers[i].pid == pid)
            return true;
    return false;
}

/* A thread of a driver, that arrows begin in: from its first call to the end of its last. */
struct thread {
    int64_t pid, tid, from_ns, to_ns;
};

static int
by_thread(const void *a, const void *b)
{
    const struct thread *x = a, *y = b;
    const int order = less(x->pid, y->pid);

    return order != 0 ? order : less(x->tid, y->tid);
}

static void
put_thread(struct writing *writing, const struct thread *thread)
{
    begin_event(writing, "X", thread->pid, thread->tid);
    put_text(writing, "name", "calls");
    put_slice(writing, "driver", thread->from_ns, thread->to_ns);
    fprintf(writing->out, "}");
}

/* Threads of drivers besides the main one, which has the program's slice. */
static bool
put_threads(struct writing *writing)
{
    const struct tri_traced *traced = writing->traced;
    struct thread *threads = calloc(traced->call_count + 1, sizeof *threads);
    size_t count = 0, kept = 0;

    if (threads == NULL)
        return false;
    for (size_t i = 0; i < traced->call_count; i++) {
        const struct tri_traced_call *call = &traced->calls[i];
        const int64_t to_ns = call->finished_ns != 0 ? call->finished_ns : traced->ends_ns;
        if (call->caller_tid != call->caller_pid && is_driver(traced, call->caller_pid))
            threads[count++] = (struct thread){call->caller_pid, call->caller_tid, call->submitted_ns, to_ns};
    }
    if (count > 0)
        qsort(threads, count, sizeof *threads, by_thread);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || by_thread(&threads[kept - 1], &threads[i]) != 0) {
            threads[kept++] = threads[i];
            continue;
        }
        struct thread *thread = &threads[kept - 1];
        thread->from_ns = threads[i].from_ns < thread->from_ns ? threads[i].from_ns : thread->from_ns;
        thread->to_ns = threads[i].to_ns > thread->to_ns ? threads[i].to_ns : thread->to_ns;
    }
    for (size_t i = 0; i < kept; i++)
        put_thread(writing, &threads[i]);
    free(threads);
    return true;
}

static void
put_driver(struct writing *writing, const struct tri_traced_driver *driver)
{
    put_label(writing, "process_name", driver->pid, driver->pid, driver->program);
    begin_event(writing, "X", driver->pid, driver->pid);
    put_text(writing, "name", driver->program);
    put_slice(writing, "driver", driver->began_ns, driver->ended_ns != 0 ? driver->ended_ns : writing->traced->ends_ns);
    fprintf(writing->out, "}");
}

bool
tri_traced_write(struct tri_traced *traced, FILE *out)
{
    struct writing writing = {.traced = traced, .out = out};
    bool has_memory;

    give_lanes(traced);
    fprintf(out, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
    for (size_t i = 0; i < traced->driver_count; i++)
        put_driver(&writing, &traced->drivers[i]);
    has_memory = put_threads(&writing);
    put_hosts(&writing);
    for (size_t i = 0; i < traced->call_count; i++)
        put_call(&writing, &traced->calls[i], i + 1);
    fprintf(out, "\n]}\n");
    return has_memory;
}
