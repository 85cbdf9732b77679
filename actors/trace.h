/*
 * trace.h - where the time of calls goes, for `troupe trace`. A call that is traced carries a mark: when and by which thread it
 * was made, and the directory that its trace is collected in. The host that runs it writes down when it started and ended, in
 * a file of its own there, and what the method calls is traced likewise. docs/decisions.md, D28, says why.
 *
 * What is written are lines of fields parted by tabs; times are CLOCK_MONOTONIC's, in ns:
 *
 *     D pid ns program                   a driver has logged in
 *     E pid ns                           and has shut down
 *     S number pid tid ns submitted caller-pid caller-tid actor method     a call has started
 *     F number ns how                    and its function has returned: value, failure, delegated or deferred
 *
 * Nothing here may make a call fail: what cannot be written is left out, and the directory's mode (0710) says so.
 */
#ifndef TRI_TRACE_H
#define TRI_TRACE_H

#include "actors/invoke.h"

enum { TRI_TRACE_DIRECTORY_MAX = 200 };

/* As it travels from `submitted_ns` on, in a section of its own; the directory ends with its NUL. */
struct tri_trace_mark {
    struct tri_section section;
    uint64_t submitted_ns;
    uint32_t pid, tid;
    char directory[TRI_TRACE_DIRECTORY_MAX + 1];
};

struct tri_trace; /* a process's */

/* A driver: $TROUPE_TRACE. *trace stays NULL where that is not set, or its directory is gone. TRP_EINVAL, TRP_ENOMEM. */
trp_err tri_trace_begin(const char *program, struct tri_trace **trace, trp_error *error);
void tri_trace_end(struct tri_trace **trace);
/* Where the calls of this process are traced that no traced execution makes. */
const char *tri_trace_directory(const struct tri_trace *trace);

/* The section of a call that is made now, by this thread: it lies in *mark. */
const struct tri_section *tri_trace_submitted(const char *directory, struct tri_trace_mark *mark);

/* A host: what runs. Any of its threads, without the process's lock. */
struct tri_trace_run {
    struct tri_trace *trace;
    struct tri_trace_mark mark;
    uint64_t number;
};
struct tri_trace *tri_trace_new(void); /* NULL: no memory */
/* `trace` NULL: it runs without. TRP_EPROTO: this is no mark. */
trp_err tri_trace_started(struct tri_trace *trace, const struct tri_section *section, const char *actor,
                          const char *method, struct tri_trace_run *run, trp_error *error);
void tri_trace_finished(const struct tri_trace_run *run, enum tri_outcome outcome);

#endif
