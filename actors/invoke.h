/*
 * invoke.h - running one method, constructor or task: its arguments are fitted to its row, its function runs on this
 * thread, and what came of it is in the execution. The worker host and local mode run everything through here; it knows
 * neither of them, nor sockets or locks. trp_return, trp_fail, trp_defer... (ctx.c) work on what this defines.
 *
 *     struct tri_execution *execution = ...;            // zeroed once, reused after tri_execution_reset
 *     execution->ops = &ops; execution->callable = callable; execution->id = ...; execution->deadline_ns = ...;
 *     execution->ctx.runtime = ...; execution->ctx.actor = ...; execution->ctx.place = &place;
 *     tri_invoke(execution, self, positional, keywords);
 *     switch (execution->outcome)
 *         TRI_RAN_VALUE:     execution->section is the packed value (null, if the function returned none)
 *         TRI_RAN_FAILURE:   execution->section is the packed Error
 *         TRI_RAN_DELEGATED: execution->delegate is a reference (retained, now yours): its value or error is the result
 *         TRI_RAN_DEFERRED:  somebody holds execution->reply, or has answered it by now: see struct trp_reply
 *     tri_execution_reset(execution);                   // with the surroundings' lock
 *
 * A function that deferred its reply and then failed leaves outcome FAILURE and execution->reply set: nobody waits for it, it
 * is to be abandoned (tri_reply_abandon).
 */
#ifndef TRI_INVOKE_H
#define TRI_INVOKE_H

#include "actors/runtime.h"

/* Something that can be run: a row of a module's tables with its parsed description. Lives as long as its module. */
struct tri_callable {
    const trp_module *module;
    const char *class_name; /* "" of a task */
    const char *name;       /* "increment", "init"; of a task "module:function" */
    trp_method_fn *method;  /* one of the two */
    trp_task_fn *task;
    struct tri_signature *signature;
};
/* Found in loaded modules (modules.c). Same errors as tri_modules_class; TRP_ENOMETHOD lists the
 * methods that there are. `class_row` as tri_modules_class gave it. Not for several threads at once with tri_modules_*. */
trp_err tri_modules_find_task(struct tri_modules *modules, const char *name, const struct tri_callable **callable,
                              trp_error *error);
trp_err tri_modules_find_method(struct tri_modules *modules, const trp_class *class_row, const char *name,
                                const struct tri_callable **callable, trp_error *error);
/* The class's constructor; NULL: it has none (and takes no arguments). */
const struct tri_callable *tri_modules_find_init(struct tri_modules *modules, const trp_class *class_row);
/* All loaded modules as one value each, MAP {name, version, about, classes, tasks}: what MODULE and
 * trp_query("modules") show. `visit` borrows the value. Each module is visited once, unless `again`. true: one of them
 * has tasks that declare how often they are started again. */
bool tri_modules_describe(struct tri_modules *modules, bool again, void (*visit)(void *user, trp_value map),
                          void *user);

/* Memory that goes all at once: trp_alloc's. Zero-initialised is empty; the first block is kept for reuse. */
struct tri_arena {
    struct tri_arena_block *first, *last;
};
void *tri_arena_alloc(struct tri_arena *arena, size_t size); /* zeroed, 16-aligned; NULL: no memory */
void tri_arena_reset(struct tri_arena *arena);               /* keeps one block of usual size */
void tri_arena_fini(struct tri_arena *arena);

enum tri_outcome { TRI_RAN_VALUE = 0, TRI_RAN_FAILURE, TRI_RAN_DELEGATED, TRI_RAN_DEFERRED };

/* What surrounds an execution gives. */
struct tri_execution;
struct tri_execution_ops {
    const struct tri_handles *handles; /* for packing what it returns */
    const struct tri_rooms *rooms;     /* where that lies if it is large; NULL: where all values do */
    /* What it returns may be an argument that lies in the arena: then packs its place, and nothing is copied. NULL; false: it is not. */
    bool (*again)(struct tri_execution *execution, trp_value value, struct tri_packed *packed);
    /* The packed value names references that the function may let go of before it is delivered: hold them (called without the
     * surroundings' lock; returns what unhold wants, or NULL); and no longer (called with the lock). NULL where packed values
     * hold by themselves. */
    void *(*hold)(void *user, const struct tri_section *section);
    void (*unhold)(void *user, void *held);
    /* A deferred reply has its answer (reply->packed, reply->failed). Any thread, without the lock. The reply is the callee's
     * from now on (tri_reply_free). */
    void (*replied)(void *user, struct trp_reply *reply);
    void *user;
};

/*
 * A deferred reply. Made by trp_defer; its holder answers once, from any thread, at any time, maybe before the function has
 * returned. So ops->replied, under the surroundings' lock: sets `answered`; if `abandoned`: frees it; if `owner` is set:
 * delivers and frees it; else leaves it to whoever runs the function. That one, under the lock, after tri_invoke: if
 * `answered`, delivers and frees it; else sets `owner` and keeps what the arguments lie in until it is answered.
 */
struct trp_reply {
    struct tri_node link; /* the surroundings' list of open ones */
    const struct tri_execution_ops *ops;
    const struct tri_callable *callable;
    char actor[64], node[64]; /* for the text of a failure */
    void *owner;              /* the surroundings': what waits for it; NULL: nothing yet, or any more */
    bool answered;            /* `packed` is filled, ops->replied was called (which sets this) */
    bool abandoned;           /* nobody waits for it: replied only frees it */
    bool failed;
    bool cancelled;       /* nobody waits for it; read by its holder without the lock */
    uint64_t deadline_ns; /* of its call: TRI_NEVER */
    void *held;           /* what ops->hold gave for `packed` */
    struct tri_packed packed;
};
void tri_reply_cancel(trp_reply *reply);          /* with the lock: its holder sees it; NULL is left alone */
void tri_reply_free(struct trp_reply **reply);    /* with the lock: unholds what it carries */
void tri_reply_abandon(struct trp_reply **reply); /* with the lock: freed now if answered, else by its holder */
/* Its answer is this failure, in the surroundings' words: packs it into reply->packed. */
void tri_reply_refuse(struct trp_reply *reply, const trp_error *error);

struct tri_execution {
    trp_ctx ctx; /* first: what the function sees */
    /* filled in before tri_invoke */
    const struct tri_execution_ops *ops;
    const struct tri_callable *callable;
    struct tri_id id;         /* the parent of what it calls */
    uint64_t deadline_ns;     /* TRI_NEVER */
    const uint8_t *cancelled; /* enum tri_cancelled, of its call; NULL: it never is */
    const char *actor;        /* for texts: name or id; "" in a task */
    const char *trace;        /* the directory that what it calls is traced in; NULL: it is not (trace.h) */
    /* what came of it */
    enum tri_outcome outcome;
    const struct tri_section *section;
    trp_ref *delegate;
    trp_reply *reply;
    /* private to invoke.c and ctx.c */
    struct tri_execution *outer; /* what this thread is in the middle of, besides */
    uint32_t depth;              /* of executions on this thread: 0, 1, ... */
    bool replied, own_words;
    bool writes;                       /* trp_return_begin: `packed` is final when the function has returned */
    void *held;                        /* what ops->hold gave for `packed` */
    struct tri_packed packed, failure; /* what it returned; what it failed with */
    struct tri_arena memory;
    uint32_t allocs,
        alloc_fails; /* a test's fault: from trp_alloc number alloc_fails on there is no memory; 0: there is */
    void *fit_memory;
    trp_error error;
    struct tri_section why; /* the Error section that its ctx->error was made of, with all its causes */
    struct tri_buf *why_buf;
    trp_value fitted[TRI_PARAMETERS_MAX + 2];
    /* the surroundings' own: what it waits for */
    void *owner;
    const struct tri_id *wait_ids;
    uint32_t wait_count;
    bool waiting, wait_failed;
    struct tri_node waiting_link;
    trp_error wait_error;
};

/* Somebody asked for its end (trp_cancel), and what it returns is TRP_ECANCELLED. */
static inline bool
tri_execution_cancelled(const struct tri_execution *execution)
{
    return execution->cancelled != NULL && __atomic_load_n(execution->cancelled, __ATOMIC_RELAXED) == TRI_CANCELLED;
}
/* What a call is told then whose function has returned, and had put its answer off. */
void tri_fail_promise(trp_error *error, const struct tri_execution *execution);

/* Runs it, with tri_current_execution set meanwhile. Never fails itself: whatever goes wrong is the outcome. */
void tri_invoke(struct tri_execution *execution, void *self, trp_value positional, trp_value keywords);
/* The same where execution->fitted has the arguments already. */
void tri_invoke_fitted(struct tri_execution *execution, void *self);
/* The outcome is this failure (a call that cannot even be tried): packs it. `error` complete but for actor, method, node. */
void tri_execution_refuse(struct tri_execution *execution, const trp_error *error);
/* With the surroundings' lock, which unhold needs; `delegate` and `reply` were taken over. Ready for the next; keeps memory. */
void tri_execution_reset(struct tri_execution *execution);
void tri_execution_fini(struct tri_execution *execution); /* the same, and gives the memory back */

/* trp_get and the like: a failure that came as an Error section was put into `error`. If that is the ctx->error of what runs on
 * this thread, the whole chain of causes is kept, to be passed on. Costs nothing outside of executions. */
void tri_execution_note(const trp_error *error, const struct tri_section *section);

#endif
