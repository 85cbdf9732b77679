/*
 * trace.h - what `troupe trace` makes of what the processes wrote (actors/trace.h in libtroupe says in which lines): reading it,
 * and writing it as a Chrome trace. Private to tools/. One thread.
 */
#ifndef TRI_TRACE_TOOL_H
#define TRI_TRACE_TOOL_H

#include "tools/cli/cli.h"

/* One execution. Texts are borrowed from the files. */
struct tri_traced_call {
    int64_t pid, tid, started_ns, finished_ns; /* 0: it has not */
    int64_t submitted_ns, caller_pid, caller_tid;
    int64_t number;
    const char *actor; /* "" of a task */
    const char *method, *how;
    int64_t lane; /* of those that wait at the same time, for the same process */
};
struct tri_traced_driver {
    int64_t pid, began_ns, ended_ns; /* 0: it did not say */
    const char *program;
};
struct tri_traced {
    struct tri_traced_call *calls;
    struct tri_traced_driver *drivers;
    size_t call_count, call_capacity, driver_count, driver_capacity;
    char **texts; /* the files */
    size_t text_count, text_capacity;
    int64_t begins_ns, ends_ns; /* of all that was written */
    size_t unfinished;
    bool incomplete; /* a line was cut, or is none, or a process said that it could not write */
};

/* All that lies in the directory; zeroed before. 0, or the exit code of what is said. */
int tri_traced_read(struct tri_cli *cli, const char *directory, struct tri_traced *traced);
void tri_traced_fini(struct tri_traced *traced);
/* Events of what was read, as JSON. false: no memory. */
bool tri_traced_write(struct tri_traced *traced, FILE *out);

#endif
