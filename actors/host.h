/*
 * host.h - what the files of the worker host share. Private to them.
 *
 *     host.c         the entry, the main loop, what the process asks of the host (hooks), the end
 *     host_actor.c   one actor: its construction, its state, its end
 *     host_call.c    one call: opening, running, delivering what came of it; delayed and delegated replies
 *     host_wait.c    a method that waits: BLOCKED, tasks given back, tasks run in place, DEADLOCK
 *
 * A host is one actor, or runs tasks one after another. Everything here is guarded by the process's lock, except what a frame
 * needs while its function runs. Threads: the main thread and, for an actor with max_concurrency above 1, as many more; all
 * run host_loop. User code always runs without the lock.
 */
#ifndef TRI_HOST_H
#define TRI_HOST_H

#include <pthread.h>

#include "actors/arguments.h"
#include "actors/invoke.h"
#include "actors/mailbox.h"
#include "actors/trace.h"

enum { TRI_CALLABLE_CACHE = 16, TRI_KNOWN_SHAPES = 4 };

/* What a call was for, by the look of its body: of the next one with the same, only the arguments are looked at. */
struct tri_known {
    const struct tri_callable *callable; /* NULL: none yet */
    const uint8_t *kinds;
    uint32_t count;
    bool is_task;
    struct tri_call_shape shape;
};

/* One call while it is here: from its start until it is answered. Reused. */
struct tri_frame {
    struct tri_node link; /* in host->running, promised or idle */
    struct tri_host *host;
    struct tri_incoming *call; /* NULL: the constructor's */
    struct tri_arguments arguments;
    trp_ref *delegate;       /* promised: what the answer will be */
    trp_reply *reply;        /* promised: who will answer */
    struct tri_known *known; /* TRI_KNOWN_SHAPES of them; NULL: none yet */
    struct tri_execution execution;
};

/* The actor that a host is; all zero: it runs tasks. */
struct tri_host_actor {
    struct tri_id id;
    struct tri_letter *create; /* until it is constructed */
    bool wanted, constructed, failed;
    const trp_class *row;
    void *self;
    bool has_state; /* fini is owed */
    char name[TRI_NAME_MAX + 1];
    char text[TRI_ID_TEXT_SIZE];
    trp_actor *handle; /* ctx->actor: the proc's, without a handle, so it keeps nobody alive */
};

struct tri_host {
    struct tri_process *process;
    struct tri_progress *progress;
    struct tri_modules *modules;
    struct tri_trace *trace; /* made for the first call that is traced; NULL */
    trp_runtime runtime;
    trp_place place;
    char node[TRI_NAME_MAX + 1];
    struct tri_execution_ops ops;
    struct tri_rooms rooms; /* of large results */
    struct tri_host_actor actor;

    struct tri_mailbox mailbox;
    struct tri_node running;  /* frames whose function runs, oldest first */
    struct tri_node promised; /* frames whose function has returned without an answer */
    struct tri_node idle;     /* frames to be reused */
    size_t delegated, deferred;
    struct tri_known *known;  /* of a frame that is promised now, for the next; or NULL */
    struct tri_node waiting;  /* executions that wait, oldest first (waiting_link) */
    struct tri_node in_place; /* calls to be run by a thread that waits */

    bool stop, drain; /* STOP has come */
    bool ending;      /* threads leave */
    uint32_t thread_count;
    pthread_t threads[256];

    const struct tri_callable *cache[TRI_CALLABLE_CACHE]; /* by the hash of the name that calls use */
    const struct tri_callable *shown;                     /* what the progress page names */
};

/* host.c */
/* With the lock: MODULE of what was loaded. true: tasks of it declare how often they are started again. */
bool tri_host_describe(struct tri_host *host, bool again);

/* host_actor.c: without the lock */
void tri_host_construct(struct tri_host *host);
void tri_host_end_actor(struct tri_host *host);

/* host_call.c */
struct tri_frame *tri_frame_get(struct tri_host *host); /* with the lock; NULL: no memory */
void tri_frame_put(struct tri_frame *frame);            /* with the lock: closed, and to be reused */
void tri_frame_leave_known(struct tri_frame *frame);    /* with the lock: it is not to run for a while */
void tri_frames_free(struct tri_host *host);
/* With the lock, dropped while it runs: a call from the mailbox, or in place. */
void tri_host_run(struct tri_host *host, struct tri_incoming *call, bool in_place);
bool tri_host_again(struct tri_execution *execution, trp_value value,
                    struct tri_packed *packed);                     /* tri_execution_ops, too */
void *tri_host_hold(void *host, const struct tri_section *section); /* tri_execution_ops */
void tri_host_unhold(void *host, void *held);                       /* tri_execution_ops */
/* With the lock: the answer of a call, which is gone afterwards; an error as the answer of a frame's. */
void tri_host_deliver(struct tri_host *host, struct tri_incoming *call, const struct tri_section *section, bool failed);
void tri_host_fail_call(struct tri_frame *frame, const trp_error *error);
void tri_host_show(struct tri_host *host,
                   const struct tri_callable *callable); /* with the lock: what starts, or goes on */
void tri_host_renumber(struct tri_host *host);           /* with the lock */

/* host_promise.c: with the lock. What a function put off, and what it delegated, which drops the lock for a moment. */
void tri_host_defer(struct tri_frame *frame);
void tri_host_delegate(struct tri_frame *frame);
void tri_host_replied(void *host, struct trp_reply *reply); /* tri_execution_ops: takes the lock */
void tri_host_fail_promises(struct tri_host *host);         /* the actor has ended */
/* Its caller hears now that it is cancelled; what would have been the answer may come later, and the frame is done with then. */
void tri_host_cancel_frame(struct tri_frame *frame);
/* If it is one of these: whoever is to answer sees that nobody waits; and the same, if somebody has cancelled it. */
void tri_host_cancel_promise(struct tri_host *host, const struct tri_incoming *call);

/* host_wait.c: hooks, with the lock */
void tri_host_wait_begins(void *host, struct tri_execution *execution, const struct tri_id *ids, uint32_t count,
                          bool any);
void tri_host_wait_ends(void *host, struct tri_execution *execution);
bool tri_host_wait_work(void *host, struct tri_execution *execution, trp_err *err, trp_error *error);
void tri_host_deadlock(void *host, struct tri_id parent, const struct tri_section *section);
/* A call to be run in place came: true if somebody waits who will run it. */
bool tri_host_take_in_place(struct tri_host *host, struct tri_incoming *call);

#endif
