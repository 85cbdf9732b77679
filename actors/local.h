/*
 * local.h - what the files of local mode share: a very small broker and host in the calling process. The proc posts the same
 * envelopes as to a broker, values are packed and unpacked as on the wire, so that results are the same.
 *
 *     local.c           messages in and out, what is due next, beginning and end
 *     local_calls.c     calls: their dependencies, running them, delivering what came of them
 *     local_promises.c  those whose function has returned without an answer
 *     local_actors.c    actors: construction, ends, and watches
 *     local_names.c     finding actors, and lists of them
 *     local_faults.c    what a test wants to go wrong, and its clock (troupe/testing.h)
 *
 * Everything is guarded by the process's lock, which is dropped while user code runs. Whoever waits does what is due.
 */
#ifndef TRI_LOCAL_H
#define TRI_LOCAL_H

#include <troupe/testing.h>

#include "actors/arguments.h"
#include "actors/invoke.h"
#include "actors/process.h"

/* Of a function that a step calls, and that runs no calls: its frame is none of those that calls within calls stack up, whatever
 * an optimiser would like to inline. */
#define TRI_APART __attribute__((noinline))

enum tri_local_state { TRI_LOCAL_NEW, TRI_LOCAL_READY, TRI_LOCAL_FAILED, TRI_LOCAL_DEAD };

struct tri_local_actor {
    struct tri_entry entry;          /* in local->actors */
    struct tri_node link;            /* in local->born, in the order of their making; dead ones, too */
    struct tri_local_actor *creator; /* NULL: the driver */
    enum tri_local_state state;
    bool draining, detached, killed, was_ready;
    bool crashed;                   /* a test's fault: its state goes without fini */
    char died_in[TRI_NAME_MAX + 1]; /* then: the method; "": none */
    char name[TRI_NAME_MAX + 1], space[TRI_NAME_MAX + 1];
    char full_name[2 * TRI_NAME_MAX + 2]; /* "namespace/name"; "": none */
    char class_name[TRI_NAME_MAX + 1];
    char text[TRI_ID_TEXT_SIZE];
    const trp_class *row;
    void *self;
    uint32_t running, limit, queued, max_pending;
    struct tri_failure why;  /* FAILED: the constructor's; DEAD: of its end */
    struct tri_node watches; /* tri_local_watch */
    struct trp_actor handle; /* of ctx->actor: not counted */
    trp_runtime runtime;
    trp_place place;
};

static inline struct tri_local_actor *
tri_local_born(const struct tri_node *node) /* of local->born */
{
    return TRI_OWNER(node, struct tri_local_actor, link);
}

struct tri_local_watch {
    struct tri_node link;
    uint32_t event; /* trp_watch_event; WATCH_END: a kill that waits for its drain */
    struct tri_id result;
};
enum { TRI_LOCAL_WATCH_END = 2 };

/* A call, or an actor's construction (`actor` NEW and `constructs`), from its arrival until it is answered. */
struct tri_local_call {
    struct tri_node link; /* in local->calls: not started; ->started: runs; ->promised: returned without an answer */
    struct tri_letter *letter;
    struct tri_local_actor *actor;  /* NULL: a task */
    struct tri_local_actor *caller; /* NULL: the driver. Its calls of one actor start in order */
    bool constructs, running, answered;
    uint8_t cancelled; /* enum tri_cancelled */
    uint64_t deadline_ns;
    struct tri_arguments arguments;
    struct tri_execution execution;
    trp_ref *delegate;
    struct tri_local_fault *fault; /* what is to go wrong with it; NULL: nothing */
};

/* trp_test_fault, and its texts. */
struct tri_local_fault {
    struct tri_node link; /* in local->faults */
    trp_test_fault given;
    char actor[TRI_NAME_MAX + 1], method[TRI_NAME_MAX + 1];
    char message[768];
};

struct tri_local_message {
    struct tri_node link;
    struct tri_letter *letter;
    struct tri_local_actor *caller;
};

struct tri_local {
    struct tri_process *process;
    struct tri_modules *modules;
    trp_runtime runtime; /* of tasks */
    trp_place place;
    struct tri_execution_ops ops;
    struct tri_table actors;
    struct tri_node born;
    struct tri_node arrived; /* tri_local_message, not looked at */
    struct tri_node calls, started, promised;
    uint32_t running;   /* functions that run and do not wait */
    uint32_t open;      /* replies that somebody may still give: deferred ones, and one for each function that runs */
    uint32_t abandoned; /* deferred ones that nobody waits for, and that are still to be given */
    uint32_t waiting;   /* functions that wait and have deferred nothing */
    struct tri_packed packed;
    uint64_t epochs;
    double num_cpus;
    pthread_mutex_t late; /* around replies: taken before the process's lock */
    bool gone;            /* the runtime is shut down; this stays until the last reply is given */
    struct tri_node faults;
    uint64_t clock_start_ns; /* when the clock was made to stand; 0: it runs */
    trp_ref *looked_at;      /* whose value trp_test_call gave last */
};

/* local.c */
/* RESULT of `result` to the proc; nothing where it is none. */
void tri_local_result(struct tri_local *local, struct tri_id result, const struct tri_section *section, bool failed);
void tri_local_fail(struct tri_local *local, struct tri_id result, const struct tri_failure *failure);
void tri_local_value(struct tri_local *local, struct tri_id result, trp_value value);
/* Handles of what sections name: kept while a call is on its way. */
void tri_local_hold(struct tri_local *local, const struct tri_section *sections, uint32_t count);
void tri_local_unhold(struct tri_local *local, const struct tri_section *sections, uint32_t count);

/* local_calls.c */
void tri_local_on_call(struct tri_local *local, struct tri_local_message *message);
void tri_local_on_cancel(struct tri_local *local, struct tri_local_message *message);
bool tri_local_new_call(struct tri_local *local, struct tri_local_message *message, struct tri_local_actor *actor,
                        bool constructs);
/* Runs one that may start; false: none may, or (*too_deep: TRP_ELIMIT, else unchanged) this thread has no stack for it. */
bool tri_local_run_next(struct tri_local *local, trp_err *too_deep);
/* One that is due of an actor of which no method runs (trp_on_ready). false: there is none. */
bool tri_local_run_callback(struct tri_local *local);
void tri_local_drop_calls(struct tri_local *local, struct tri_local_actor *actor); /* those not started fail */
void tri_local_drop_unstarted(struct tri_local *local); /* of all; they fail with the process, not run */
void tri_local_answer(struct tri_local *local, struct tri_local_call *call, const struct tri_section *section,
                      bool failed);
void tri_local_fail_call(struct tri_local *local, struct tri_local_call *call, const struct tri_failure *failure);
void tri_local_end_call(struct tri_local *local, struct tri_local_call *call);

/* local_promises.c */
bool tri_local_keep_promises(struct tri_local *local);        /* answers what was delegated and has ended */
void tri_local_replied(void *local, struct trp_reply *reply); /* tri_execution_ops: without the lock */
/* Its function has returned, and had put its answer off. */
void tri_local_cancel_promise(struct tri_local *local, struct tri_local_call *call);
/* Those whose reply was put off fail: the actor has ended. */
void tri_local_fail_promises(struct tri_local *local, const struct tri_local_actor *actor);
/* Nobody waits for the reply that it has put off, if it has; its holder sees that. */
void tri_local_abandon(struct tri_local *local, struct tri_local_call *call);

/* local_actors.c */
struct tri_local_actor *tri_local_find(struct tri_local *local, struct tri_id id);
void tri_local_on_spawn(struct tri_local *local, struct tri_local_message *message);
void tri_local_on_kill(struct tri_local *local, struct tri_local_message *message);
void tri_local_on_watch(struct tri_local *local, struct tri_local_message *message);
void tri_local_on_release(struct tri_local *local, struct tri_local_message *message);
/* Without the lock: its state and its constructor. What came of it is in the execution. */
void tri_local_construct(struct tri_local *local, struct tri_local_call *call);
void tri_local_constructed(struct tri_local *local, struct tri_local_call *call); /* with the lock */
/* Of whom and what an error of a call (or a request) speaks, that was not run. `actor` NULL: a task. */
struct tri_about tri_local_about(const struct tri_local_actor *actor, const struct tri_letter *letter, bool is_call,
                                 char *who, size_t size);
/* Why it takes no calls; NULL: nobody knows it. */
void tri_local_refuse(const struct tri_local_actor *actor, const struct tri_letter *letter,
                      struct tri_failure *failure);
/* A call of it has ended: ends the actor where that was the last that it had to do. */
void tri_local_idle(struct tri_local *local, struct tri_local_actor *actor);
void tri_local_end_actor(struct tri_local *local, struct tri_local_actor *actor, const char *why);
/* Its death record; `message` is borrowed. */
struct tri_death tri_local_death(const struct tri_local_actor *actor, const char *message);
void tri_local_free_actors(struct tri_local *local);

/* local_names.c */
void tri_local_on_lookup(struct tri_local *local, struct tri_local_message *message);
void tri_local_on_query(struct tri_local *local, struct tri_local_message *message);
/* The bearer of a name, who lives. NULL: nobody has it. */
struct tri_local_actor *tri_local_find_name(struct tri_local *local, const char *name, const char *space);
void tri_local_answer_actor(struct tri_local *local, struct tri_id result, struct tri_local_actor *actor);

/* local_faults.c */
/* With the lock: the oldest fault that fits a call about to start, a copy; NULL: none does. */
struct tri_local_fault *tri_local_take_fault(struct tri_local *local, const struct tri_local_call *call);
/* Without the lock, before and after its function: the error that it is to have instead of being run, or of its answer. TRP_OK:
 * none. */
trp_err tri_local_fault_before(struct tri_local_call *call, trp_error *error);
trp_err tri_local_fault_after(struct tri_local_call *call, trp_error *error);
/* With the lock, afterwards: its process dies, where that is the fault. */
void tri_local_die_of_fault(struct tri_local *local, struct tri_local_call *call);
/* Its process dies, as by a crash in `method`. */
void tri_local_crash(struct tri_local *local, struct tri_local_actor *actor, const char *method);
void tri_local_end_faults(struct tri_local *local);

/* testing.c: with the lock, unless it fails: this is local mode, and the test's own thread. `what`: the function, for the text. */
trp_err tri_test_enter(const trp_runtime *runtime, const char *what, struct tri_process **process, trp_error *error);

#endif
