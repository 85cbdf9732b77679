/*
 * runtime.h - inside actors/: a process's connection to its node, and how threads share it. Private to the room.
 *
 * One lock guards everything of a process (proc, channel, socket, references). Whoever holds it may use the socket. A thread
 * that waits becomes the poller when nobody is: it sleeps in poll on the socket's descriptor, the door and a bell (eventfd)
 * without the lock, and takes the lock to receive. A thread that sends while another polls looks at the socket's events
 * afterwards and receives what is there, since the descriptor is edge-triggered. A keeper thread flushes what callers left
 * (ticks while there is something, asleep otherwise), runs timers, and polls when nobody else does but somebody has to:
 * a method that runs longer than 2 ms, callbacks that wait for results, acknowledgements that are owed.
 *
 * trp_runtime is a place to call from; the driver has one, each actor of a host has one, all of one tri_process.
 */
#ifndef TRI_RUNTIME_H
#define TRI_RUNTIME_H

#include <pthread.h>

#include <troupe/module.h>
#include <troupe/runtime.h>

#include "actors/core/proc.h"

struct tri_process;
struct tri_execution;

struct trp_runtime {
    struct tri_process *process;
    trp_actor *self; /* the actor; NULL: a driver */
    char default_namespace[256];
};

/* A trp_ref * or trp_actor * is a pointer to this. */
struct tri_handle {
    struct tri_ref ref; /* first: the proc's */
    struct tri_process *process;
    trp_runtime *runtime;         /* that it was made through: who calls */
    struct tri_handle_more *more; /* what few handles need: callbacks, texts, failures (handles.c) */
    uint64_t mark;                /* of the last trp_wait that saw it */
    uint32_t given;               /* handles that users and opened views have of it */
    uint32_t gets;                /* of its value, that were not taken back */
    uint32_t readers;             /* threads that wait for its value to be in the arena */
    bool live;                    /* not in the free list */
};
struct trp_ref {
    struct tri_handle handle;
};
struct trp_actor {
    struct tri_handle handle;
};

/* What a worker host adds to a process; NULL in a driver. Called with the lock held. */
struct tri_host_hooks {
    void (*run)(void *user, struct tri_incoming *call);
    void (*create)(void *user, const struct tri_envelope *envelope);
    void (*stop)(void *user, struct tri_id actor, bool drain);
    void (*dropped)(void *user, struct tri_incoming *call);
    void (*cancelled)(void *user, struct tri_incoming *call);
    void (*deadlock)(void *user, struct tri_id parent, const struct tri_section *section);
    void (*renumbered)(void *user);
    /* This thread, in the middle of `execution`, is about to wait for these (the lock is held, may be dropped and taken): says
     * BLOCKED, gives back tasks. And afterwards. */
    void (*wait_begins)(void *user, struct tri_execution *execution, const struct tri_id *ids, uint32_t count,
                        bool any);
    void (*wait_ends)(void *user, struct tri_execution *execution);
    /* While it waits: something that this very thread should do (an IN_PLACE task)? Runs it (lock dropped meanwhile); false: nothing.
     * *err is set and true returned where the wait shall fail (DEADLOCK, cancelled). */
    bool (*wait_work)(void *user, struct tri_execution *execution, trp_err *err, trp_error *error);
    void *user;
};

struct tri_process_config {
    const char *directory; /* of the node */
    bool is_host;
    bool is_service;      /* a host: of a node that outlives its programs */
    uint64_t token;       /* host */
    int64_t reconnect_ms; /* 0: a broker that is gone is gone */
    const struct tri_host_hooks *hooks;
    const char *program;
};
/* Connects, logs in, starts the keeper. While the node lives, a broker that is dying, starting or slow is asked again for
 * reconnect_ms. TRP_EBROKER, TRP_EACCES, TRP_EPROTO. */
trp_err tri_process_open(const struct tri_process_config *config, struct tri_process **process, trp_error *error);
/* Whether the root of a node in this directory lives: then its broker is there, or will be. */
bool tri_node_lives(const char *directory);
void
tri_process_close(struct tri_process **process); /* GOODBYE, ends the keeper; handles that exist answer TRP_ECLOSED */

void tri_process_lock(struct tri_process *process);
void tri_process_unlock(struct tri_process *process);
struct tri_proc *tri_process_proc(struct tri_process *process); /* under the lock */
/* With the lock: waits until done() (looked at after each change), or until_ns: TRP_ETIMEDOUT; or the process's end: its
 * error. Flushes first, polls the socket if nobody does, drops the lock while it sleeps. In an execution: hooks as above, with
 * what is waited for. */
trp_err tri_process_wait(struct tri_process *process, bool (*done)(void *user), void *user, uint64_t until_ns,
                         const struct tri_id *ids, uint32_t id_count, bool any, trp_error *error);
/* With the lock: sends what is posted, now. Otherwise the keeper does soon (keeper.c). */
void tri_process_flush(struct tri_process *process);
void tri_process_flush_full(struct tri_process *process); /* with the lock: only what fills packets */
void tri_process_poke(struct tri_process *process);       /* with the lock: waiters look at done() again */
/* What the worker host needs besides. All with the lock. */
const char *tri_process_node(const struct tri_process *process); /* the node's name, as WELCOME said; "" before */
/* Posts an envelope to the broker that the proc knows nothing of (MODULE). */
/* Where those who do not have the lock pack large values: asks for room, waits. Good as long as the process. */
void tri_stored_rooms(struct tri_process *process, struct tri_rooms *rooms);
void tri_process_post(struct tri_process *process, uint8_t kind, const struct tri_section *section);
bool tri_process_told(const struct tri_process *process); /* there are none, and the broker is there */
size_t
tri_process_callback_count(const struct tri_process *process); /* of trp_on_ready, whose reference has not ended */
void tri_callbacks_end(struct tri_process *process, trp_runtime *runtime); /* runs all that are left: before fini */
/* With the lock: a host's method starts on this thread, which will not poll meanwhile: somebody else does, the keeper after 2 ms.
 * TRP_ELIMIT: there is no keeper, and none can be had. */
trp_err tri_process_runs(struct tri_process *process, trp_error *error);
/* Callbacks of trp_on_ready that are due, of this runtime (NULL: of any). With the lock, which is dropped while one runs: runs
 * one; false: none is due. A host calls it between two methods; tri_process_wait looks at done() again when one becomes due. */
bool tri_process_callback_due(struct tri_process *process, const trp_runtime *runtime);
bool tri_process_run_callback(struct tri_process *process, const trp_runtime *runtime);

/* One alarm a process, of the actor that the node has of its own (kept.c): when the time has come, this method of the actor,
 * which outlives the process's work, is called one way. TRI_NEVER: none. Takes the lock. */
void tri_process_alarm(struct tri_process *process, uint64_t at_ns, trp_actor *actor, const char *method);
uint64_t tri_process_alarm_ns(const struct tri_process *process); /* with the lock */
/* With the lock, which is dropped meanwhile: makes the call if it is due. By whoever runs methods, between two of them. */
bool tri_process_ring(struct tri_process *process);

/* With the lock, when a call, or CREATE, has come: appended values that lie in the arena stay there until the sections' frames are
 * released. */
void tri_arguments_pin(struct tri_section *sections, uint32_t count);
/* What lies in the arena, once more: it outlives the call's. NULL: no memory. Any thread, without the lock. */
struct tri_buf *tri_process_again(struct tri_process *process, const struct tri_buf *stored);

/* Packing with this process's handles. */
extern const struct tri_handles tri_process_handles;
/* Makes handles for the entries of a section (each one more handle of ours) and fills them into an opened view. */
trp_err tri_process_adopt(struct tri_process *process, trp_runtime *runtime, const struct tri_section *section,
                          struct tri_view *view, trp_error *error);
void tri_process_disown(struct tri_process *process, struct tri_view *view);

/* The execution that this thread is in the middle of; NULL: none. Thread-local (docs/decisions.md). */
extern _Thread_local __attribute__((tls_model("initial-exec"))) struct tri_execution *tri_current_execution;
/* Whether so much stands on this thread that no further function may be run in the middle of that: what is left of its stack is
 * for what runs. `text`: why, and the limit; NULL, or unchanged otherwise. */
enum { TRI_STACK_TEXT = 256 };
bool tri_stack_low(char *text);

/* What calls made on this thread inherit. */
struct tri_inherited {
    struct tri_id parent;
    uint64_t deadline_ns; /* TRI_NEVER */
    const char *trace;    /* the directory of its trace; NULL: none */
    bool cancelled;       /* trp_cancel: nothing more is called or waited for */
};
void tri_execution_inherited(const struct tri_execution *execution, struct tri_inherited *inherited); /* of the host */

/* --- modules and invocation (host and local mode) --- */
struct tri_modules; /* loaded and linked-in ones */
/* `path` NULL: $TRP_MODULE_PATH, else the installed one. `remedy`: what to do where a module is not found. */
trp_err tri_modules_new(const char *path, const char *remedy, const trp_module *const *linked,
                        struct tri_modules **modules, trp_error *error);
void tri_modules_destroy(struct tri_modules **modules);
/* "module:Class". Loads on demand: TRP_ENOENT (what exists is in the text), TRP_EMODULE, TRP_EACCES. */
trp_err tri_modules_class(struct tri_modules *modules, const char *name, const trp_module **module,
                          const trp_class **row, trp_error *error);

/* Fits the arguments of a call (ARGS, or an unpacked Call's root with appended values already in place) to a row's description:
 * `fitted` (room for TRI_PARAMETERS_MAX + 2) gets a value per parameter. Texts of defaults live as long as the module.
 * TRP_EINVAL, TRP_ETYPE with a sentence, expected and found. */
enum { TRI_PARAMETERS_MAX = 32 };
struct tri_signature; /* parsed description */
trp_err tri_signature_parse(const char *description, struct tri_signature **signature, trp_error *error);
void tri_signature_free(struct tri_signature **signature);
trp_err tri_signature_fit(const struct tri_signature *signature, const char *what, trp_value positional,
                          trp_value keywords, trp_value *fitted, uint32_t *count, void **memory,
                          trp_error *error); /* *memory: freed by the caller */
/* What tri_call_plain wants: kinds that need no fitting, one per parameter. NULL: this one needs more than that. */
const uint8_t *tri_signature_plain(const struct tri_signature *signature, uint32_t *count);

/* What a handle is of, with the lock: TRP_ECLOSED, TRP_EFORKED, or the error that the process ended with. */
trp_err tri_process_alive(struct tri_process *process, trp_error *error);
/* In a child of a process that has a runtime: true. */
bool tri_process_forked(void);
/* More handles, with the lock: one for the caller of what is in the proc; and one less. */
trp_ref *tri_handle_give(struct tri_process *process, trp_runtime *runtime, struct tri_ref *ref); /* takes over the
                                                                                     handle that `ref` was got with */
void tri_handle_drop(struct tri_process *process, struct tri_handle *handle);

/* Local mode (actors/local.c): the same functions without a broker; NULL in a process with one. */
struct tri_local;

#endif
