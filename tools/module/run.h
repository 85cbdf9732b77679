/* run.h - what the files of the conformance run (test.c, calls.c) share. Private to them. */
#ifndef TRI_MODULE_RUN_H
#define TRI_MODULE_RUN_H

#include "tools/module/module.h"

enum tri_verdict { TRI_PASSED, TRI_FAILED, TRI_SKIPPED };

/* One line of the report. */
struct tri_outcome {
    struct tri_outcome *next;
    enum tri_verdict verdict;
    char what[256];
    char why[600];
};

struct tri_run {
    struct tri_cli *cli;
    trp_runtime *runtime;
    const char *name; /* the module's */
    int64_t timeout_ms;
    struct tri_values values;
    trp_value init; /* --init: LIST for every class, or MAP by class; TRP_NONE: made up */
    struct tri_samples samples;
    struct tri_outcome *first, **last;
    int counts[3];
    char class_name[512]; /* "module:Class" of `actor` */
    trp_actor *actor;     /* that methods are called of; NULL: there is none */
    trp_value class_row;
    bool died; /* what the last call was made of has died, and that was said */
};

/* Says what came of one check. */
void tri_run_note(struct tri_run *run, enum tri_verdict verdict, const char *why, const char *format, ...)
    TRP_PRINTF(4, 5);

/* calls.c: all calls of one row: `actor` NULL: a task. `label`: "Counter.add", "task fib". Where the actor died, run->died. */
void tri_run_calls(struct tri_run *run, trp_actor *actor, const char *method, const char *args, const char *label);
/* Until it has ended, time is up, or Ctrl-C was pressed: TRP_ECANCELLED. */
trp_err tri_run_wait(trp_ref *ref, int64_t most_ms, trp_error *error);
/* The constructor's arguments that do not fit. */
void tri_run_constructions(struct tri_run *run, const char *args, const char *label);
/* Spawns run->class_name with arguments that fit. false: it is said why there is none. */
bool tri_run_spawn(struct tri_run *run, const char *name, trp_actor **actor);
/* The death record of what a reference failed with, in a line. */
void tri_run_death(trp_ref *ref, const trp_error *error, char *text, size_t size);

#endif
