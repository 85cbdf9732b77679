/*
 * process.h - what the files of the runtime (process.c, login.c, wait.c, keeper.c, handles.c, refs.c, callbacks.c, calls.c,
 * local.c, driver.c) share of a process. Nobody else includes it: the worker host sees runtime.h.
 *
 * Everything here is guarded by `lock` except where said.
 */
#ifndef TRI_PROCESS_H
#define TRI_PROCESS_H

#include "actors/lock.h"
#include "actors/runtime.h"
#include "store/store.h"

enum tri_process_state {
    TRI_LOGGING_IN, /* HELLO is said */
    TRI_UP,
    TRI_AWAY, /* no broker; the keeper looks for one */
    TRI_DEAD, /* for good, with `fatal` */
    TRI_CLOSED
};

/* A thread that waits, on its stack; linked while it does. */
struct tri_waiter {
    struct tri_node link;
    _Atomic uint32_t poked; /* look at done() again; what it sleeps on */
    bool polling;           /* asleep in poll: woken by the bell */
    bool sleeping;          /* asleep on `poked` */
    bool generic;           /* poked by every change, not only by its references */
    bool over;              /* it is given up, whatever has come meanwhile */
    /* Local mode: the wait in the middle of which this one is, on the same thread, and when the first of those is over. */
    struct tri_waiter *outer;
    uint64_t until_ns, outer_ns;
    size_t ended, needed;
};

/* One of a waiter's references, linked at tri_ref.waiters. */
struct tri_watcher {
    struct tri_node link;
    struct tri_waiter *waiter;
    trp_error refusal; /* of HERE; TRP_OK: none came */
};

struct tri_callback {
    struct tri_node link; /* at its handle, or in process->due */
    struct tri_handle *handle;
    trp_runtime *runtime; /* whose it is: that of the method which asked, else the handle's */
    trp_on_ready_fn *on_ready;
    void *user;
};

struct tri_unsent { /* a packet that the link did not take: its queue was full */
    struct tri_node link;
    struct tri_packet packet;
};

struct tri_handle_more {
    struct tri_node callbacks;   /* of trp_on_ready */
    char text[TRI_ID_TEXT_SIZE]; /* of trp_ref_id, trp_actor_id */
    char name[64];               /* of an actor that was spawned or looked up here: name, else class; "" */
    trp_value failure;           /* of trp_failure, made when asked */
    void *failure_memory;
};

enum { TRI_SLAB_HANDLES = 128 };
struct tri_slab {
    struct tri_slab *next;
    size_t used; /* the rest was never given out */
    struct tri_handle handles[TRI_SLAB_HANDLES];
};

enum { TRI_WAKES_MAX = 32 };

struct tri_process {
    struct tri_lock lock;
    uint32_t wake_count; /* who was poked under the lock is woken without it: by tri_process_leave */
    _Atomic uint32_t *wakes[TRI_WAKES_MAX];
    enum tri_process_state state;
    struct tri_proc *proc; /* NULL once closed */
    trp_error fatal;       /* DEAD: why */
    struct tri_local *local;

    /* as configured */
    char directory[256];
    char program[64];
    bool is_host, is_service; /* a worker; of a node service */
    uint64_t token;
    int64_t reconnect_ms;
    struct tri_host_hooks hooks;
    bool has_hooks;

    /* the connection */
    void *context;
    struct tri_link *link;
    int door;
    uint64_t cookie;
    struct tri_channel channel;
    struct tri_node unsent; /* tri_unsent */
    uint64_t hello_ns;      /* LOGGING_IN: when HELLO was said last */
    uint64_t gone_ns;       /* LOGGING_IN, AWAY: since when there is no broker */
    uint64_t received;      /* packets, ever */
    bool no_memory;         /* an envelope could not be posted: the process ends */
    bool leaves;            /* trp_shutdown: whatever ends it now, it is closed */

    /* the arena */
    int arena_fds[TRI_STORE_FDS];  /* that came through the door, until WELCOME; -1 */
    struct tri_store *store;       /* NULL: the node has none */
    struct tri_places places;      /* of the channel */
    uint32_t space_asked;          /* granules, of the SPACE that is outstanding; 0: none is */
    uint64_t space_answers;        /* counts LEASEs */
    struct tri_packed space_given; /* of the GIVEN being said */
    uint32_t space_waits;          /* threads that wait for room, */
    uint32_t space_least;          /* and what was asked for last */
    trp_error space_refusal;       /* of the last one; code TRP_OK: it was given */

    /* what WELCOME said */
    uint64_t space, broker;
    char node[TRI_NAME_MAX + 1];
    double num_cpus;

    /* waiting */
    struct tri_node waiters;   /* those that their references poke */
    struct tri_node generic;   /* those that every change does */
    uint32_t rousing;          /* who was poked in its sleep and has not yet taken the lock */
    struct tri_waiter *poller; /* who polls; &keeper_place: the keeper; NULL: nobody */
    struct tri_waiter keeper_place;
    int bell;                 /* eventfd: the polling waiter is to look */
    uint32_t inside;          /* threads in a wait: trp_shutdown waits for them */
    _Atomic uint32_t emptied; /* CLOSED: the last of them has left */

    /* the keeper's watch over the broker, while that owes something */
    bool watching;
    uint32_t silent;        /* intervals without a packet, one after the other */
    uint64_t watch_ns;      /* when this one ends */
    uint64_t watch_packets; /* `received` at its beginning */

    /* the keeper */
    pthread_t keeper;
    bool keeper_runs, keeper_quit, keeper_ticks;
    bool keeper_sleeps, keeper_sleeps_long; /* on its bell; until it is rung */
    int keeper_bell;
    uint64_t keeper_wake_ns;
    uint64_t now_ns; /* when the last packet came, or a call with a deadline was made: as exact as calls without need */
    uint64_t glance_ns;               /* when the keeper last looked for threads that do not */
    uint64_t activity, activity_seen; /* counts uses of the lock by callers; as the keeper's last tick saw it */
    uint64_t flushes, flushes_seen;   /* counts sends; as the keeper's last tick saw it */
    uint64_t posted_ns;               /* since when something posted waits to be sent; 0: nothing does */
    uint64_t keeper_pause_ns;         /* between two ticks */

    /* handles */
    struct tri_slab *slabs;
    struct tri_handle *free_handles; /* linked by ref.out */
    uint64_t zombies;                /* after the end: handles that users still have */
    uint64_t marks;

    /* callbacks */
    struct tri_node due; /* tri_callback */
    size_t callbacks;    /* registered and not due */
    int due_fd;          /* trp_runtime_fd; -1: nobody asked */
    bool due_told;

    /* the alarm */
    uint64_t alarm_ns; /* TRI_NEVER: none */
    bool gave_way;     /* the wait that ended last without a result did so for one around it (local mode) */
    trp_actor *alarm_actor;
    const char *alarm_method;

    struct tri_packed packed;    /* of the call being made */
    struct tri_trace *trace;     /* of a driver that is traced; NULL */
    const char *trace_directory; /* of its calls; NULL: they are not */
};

/* The lock alone: who only drops it to sleep, and takes it again. */
static inline void
tri_process_take(struct tri_process *process)
{
    tri_lock_take(&process->lock);
}
void tri_process_wake(struct tri_process *process); /* drops it and wakes who was poked */
static inline void
tri_process_leave(struct tri_process *process)
{
    if (process->wake_count > 0)
        tri_process_wake(process);
    else
        tri_lock_give(&process->lock);
}

/* process.c */
void tri_process_fail(struct tri_process *process, const trp_error *why); /* for good: state DEAD */
void tri_process_free(struct tri_process *process);                       /* without the lock: nothing is left of it */
struct tri_process *tri_process_here(void);                               /* this process's; NULL: none */
trp_err tri_process_new(const struct tri_process_config *config, struct tri_process **process, trp_error *error);
trp_err tri_process_begin(struct tri_process *process, trp_error *error); /* the keeper */
/* `section`: the body; NULL: none. */
uint64_t tri_process_post_route(struct tri_process *process, const struct tri_route *route,
                                const struct tri_section *section);
trp_err tri_process_need_keeper(struct tri_process *process, trp_error *error); /* with the lock; TRP_ELIMIT */

/* login.c: with the lock */
trp_err tri_process_connect(struct tri_process *process, const struct tri_greeting *greeting, trp_error *error);
void tri_process_hello(struct tri_process *process);
bool tri_process_receive(struct tri_process *process); /* all that has come; true: there was something */
void tri_process_look_at_door(struct tri_process *process);
void tri_process_acknowledge(struct tri_process *process);
void tri_process_away(struct tri_process *process); /* the broker is gone */
/* The keeper's: one try to find a broker again; drops the lock meanwhile. */
void tri_process_reconnect(struct tri_process *process, uint64_t now_ns);
void tri_process_disconnect(struct tri_process *process);

/* wait.c: with the lock */
void tri_waiter_init(struct tri_waiter *waiter);
void tri_waiter_fini(struct tri_waiter *waiter);
void tri_waiter_poke(struct tri_process *process, struct tri_waiter *waiter);
void tri_waiters_poke(struct tri_process *process, bool all); /* false: generic ones only */
trp_err tri_waiter_wait(struct tri_process *process, struct tri_waiter *waiter, bool (*done)(void *user), void *user,
                        uint64_t until_ns, const struct tri_id *ids, uint32_t id_count, bool any, trp_error *error);
uint64_t tri_until_ns(int64_t timeout_ms);

/* keeper.c */
void *tri_keeper_main(void *process);
void tri_keeper_ring(struct tri_process *process);  /* with the lock: wakes it */
void tri_keeper_arm(struct tri_process *process);   /* with the lock: something is to be flushed soon */
void tri_keeper_timer(struct tri_process *process); /* with the lock: a nearer timer may have been set */
/* Its timers, with the lock; of whoever polls where there is no keeper. */
uint64_t tri_keeper_next_ns(const struct tri_process *process);
void tri_keeper_run_timers(struct tri_process *process, uint64_t now_ns);
/* Whether what was posted has waited as long as it may: a caller that only looks sends it then, like the keeper. */
bool tri_keeper_would_send(const struct tri_process *process, uint64_t now_ns);
int tri_poll_ms(uint64_t until_ns, uint64_t now_ns);

/* handles.c: with the lock */
struct tri_ref *tri_handle_new(void *user, bool is_actor);
void tri_handle_free(void *user, struct tri_ref *ref);
void tri_handles_end(struct tri_process *process); /* at the end, before the proc goes: closes every view */
struct tri_handle_more *tri_handle_more(struct tri_handle *handle); /* NULL: no memory */
trp_err tri_handle_open(struct tri_handle *handle,
                        trp_error *error); /* ref.held->view of a READY one, which is pinned */
void tri_handle_close(struct tri_process *process, struct tri_held *held); /* if it is open */
/* Locks the handle's process if it may be used: TRP_EINVAL (NULL), TRP_EFORKED, TRP_ECLOSED. */
trp_err tri_handle_enter(const struct tri_handle *handle, const char *what, struct tri_process **process,
                         trp_error *error);
trp_err tri_runtime_enter(const trp_runtime *runtime, struct tri_process **process, trp_error *error);

/* stored.c: with the lock */
void tri_stored_greeted(struct tri_process *process,
                        const struct tri_greeting *greeting); /* takes its descriptors over */
trp_err tri_stored_welcome(struct tri_process *process, const struct tri_welcome *welcome, trp_error *error);
void tri_stored_again(struct tri_process *process); /* another broker has this process's snapshot */
trp_err tri_stored_lease(struct tri_process *process, const struct tri_envelope *envelope, trp_error *error);
trp_err tri_stored_revoke(struct tri_process *process, trp_error *error); /* REVOKE */
void tri_stored_end(struct tri_process *process);
/* A buffer in the arena; waits for the broker to give room. TRP_OK with NULL: there is none to be had, and the value can travel.
 * TRP_ESTOREFULL: it is too large for that. Or what ends a wait. */
trp_err tri_stored_take(struct tri_process *process, uint64_t size, struct tri_buf **buf, trp_error *error);

/* pinned.c: with the lock. What lies here is there, and pinned. */
/* Pins it, and waits until it is in the arena: until somebody looks and finds no `gets` and `readers`. The errors of HERE, and
 * of waits. */
trp_err tri_pinned_get(struct tri_process *process, struct tri_handle *handle, uint64_t until_ns, trp_error *error);
trp_err tri_pinned_want(struct tri_process *process, struct tri_handle *handle, uint64_t until_ns,
                        trp_error *error); /* asks, if it is not there, and does not wait */
void tri_pinned_look(struct tri_process *process, struct tri_handle *handle); /* nobody reads it: not pinned any more */
bool tri_pinned_is_there(const struct tri_handle *handle);
trp_err tri_pinned_here(void *process, struct tri_ref *ref, const trp_error *why, trp_error *error);

/* callbacks.c: with the lock */
void tri_callbacks_ready(struct tri_process *process, struct tri_handle *handle);

/* refs.c: with the lock */
trp_err tri_ref_wait(struct tri_process *process, struct tri_handle *handle, uint64_t until_ns, bool in_execution,
                     trp_error *error);
trp_err tri_ref_failure(const struct tri_ref *ref, trp_error *error); /* fills error, returns its code */

/* launch.c */
struct tri_child { /* a private node of ours */
    int32_t pid;   /* 0: none */
    int line;      /* our end; closing it ends the node */
    char directory[256];
};
trp_err tri_child_start(const trp_config *config, struct tri_child *child, trp_error *error);
void tri_child_end(struct tri_child *child);

/* local.c: with the lock */
trp_err tri_local_new(struct tri_process *process, const trp_config *config, trp_error *error);
void tri_local_end(struct tri_process *process);
void tri_local_destroy(struct tri_local **local);
uint64_t tri_local_post(struct tri_local *local, const struct tri_route *route, const struct tri_section *sections,
                        uint32_t section_count);
/* Does something that is due: true. `*stuck`: TRP_EDEADLOCK: nothing is and nothing ever will be, if nobody outside does something;
 * TRP_ELIMIT: something is, for which this thread has too little stack left; else TRP_OK. */
void tri_local_waits(struct tri_local *local, bool waits); /* a function on this thread waits, or goes on */
bool tri_local_step(struct tri_local *local, trp_err *stuck);
/* trp_cancel: what runs hears it now, what has not started when what was said so far is looked at. */
void tri_local_cancel(struct tri_local *local, struct tri_id id);
/* There is nothing to do until *to_ns. Under a clock that stands (troupe/testing.h) it is that time now: true; or as long as
 * somebody pokes, since others run: *to_ns is TRI_NEVER. */
bool tri_local_leap(struct tri_local *local, uint64_t *to_ns);

#endif
