/*
 * proc.h - the process's side of the protocol, pure: what a driver or a host has outstanding, holds, keeps and has
 * accepted. No socket, clock or thread; the runtime (actors/process.h) and the worker host drive it under their lock, the
 * simulator drives it in the open. It is to the runtime what core.h is to the broker.
 *
 * It solves the process's half of "the broker's memory may vanish": calls are kept until their host has them, results and
 * published values until FREED, and tri_proc_welcome tells a new broker everything.
 */
#ifndef TRI_PROC_H
#define TRI_PROC_H

#include "transport/transport.h"

struct tri_proc;
struct tri_incoming;
struct tri_out;

/* A value that is here: one pooled block with its data behind it, or the owner of a frame. Its entries are all nested ones,
 * each holds a handle of ours. The view is the runtime's: opened by the first who looks, closed before the value goes. */
struct tri_held {
    struct tri_buf buf; /* first: this block. An envelope that carries the value on retains it */
    struct tri_buf *frame;
    struct tri_section section;
    struct tri_ref_entry *entries;
    bool open;
    struct tri_view view;
    bool pinned; /* in the arena; the runtime's, too */
};

/* A reference as this process knows it. The runtime's trp_ref begins with one. Freed by `freed` when nothing needs it. */
enum tri_ref_state { TRI_REF_PENDING = 0, TRI_REF_READY, TRI_REF_FAILED };
struct tri_ref {
    struct tri_entry entry; /* id; in the proc's table, or at its place among the proc's own names */
    struct tri_proc *proc;
    uint32_t handles; /* of this process: user's handles and those inside of held values */
    uint8_t state;
    bool is_actor : 1;
    bool shared : 1;   /* an envelope carried it out, or it came from elsewhere */
    bool wanted : 1;   /* WAIT was sent */
    bool kept : 1;     /* kept for the broker until FREED */
    bool returned : 1; /* kept, and the result of a call that ran here */
    bool own_call : 1; /* result of a call of ours that is outstanding */
    bool
        resident : 1; /* an actor that lives here: known while it does, also without a handle; a hold only while `handed` */
    bool local : 1;     /* FAILED here only (a deadline that passed): not for others */
    bool asked : 1;     /* FETCH came before its RESULT: to be answered then */
    bool unrun : 1;     /* the process ended before its call began */
    bool seen : 1;      /* by a search that goes on */
    bool cancelled : 1; /* somebody here asked for the end of its call */
    bool absent : 1;    /* its value was not where it lies: WANT was sent */
    bool begun : 1;     /* PENDING: `held` is being written here, and nobody sees it before tri_proc_seal */
    uint64_t handed;    /* times handed over to this process (its maker starts with 1) */
    struct tri_held *
        held; /* READY: the value; FAILED: the Error; begun: what will be; NULL: an actor, or an Error without memory */
    struct tri_out *out;     /* the call, request or spawn that makes it, while it must be kept */
    struct tri_node waiters; /* the runtime's */
};
/* Its value or Error; an empty section if it has none. */
static inline const struct tri_section *
tri_ref_value(const struct tri_ref *ref)
{
    static const struct tri_section none;

    return ref->held != NULL ? &ref->held->section : &none;
}

struct tri_proc_ops {
    /* Credited envelopes are only posted when has_credit said yes; others wait inside, in order. */
    uint64_t (*post)(void *user, const struct tri_route *route, const struct tri_section *sections,
                     uint32_t section_count, uint64_t credit_bytes); /* 0: not credited */
    bool (*has_credit)(void *user, uint64_t bytes);
    void (*release)(void *user, uint64_t bytes); /* host: a credited CALL of the broker's has ended */
    /* Memory for references: the runtime allocates trp_ref, of which tri_ref is the first member. NULL: no memory. Given back
     * with its value still there: an open view is closed now, and lets go of the handles in it. */
    struct tri_ref *(*ref_new)(void *user, bool is_actor);
    void (*ref_free)(void *user, struct tri_ref *ref);
    /* It has become READY or FAILED. */
    void (*ready)(void *user, struct tri_ref *ref);
    /* HERE has come: its value is where it lies until the packet is acknowledged, or (why) it is not. */
    trp_err (*here)(void *user, struct tri_ref *ref, const trp_error *why, trp_error *error);
    /* Host: accepted, run it when its turn comes. `call` belongs to the proc until tri_proc_return. */
    void (*run)(void *user, struct tri_incoming *call);
    void (*create)(void *user, const struct tri_envelope *envelope); /* host: CREATE */
    void (*stop)(void *user, struct tri_id actor, bool drain);       /* host: STOP */
    void (*dropped)(void *user, struct tri_incoming *call);          /* host: cancelled or recalled before it started */
    void (*cancelled)(void *user, struct tri_incoming *call);        /* host: one that has started is to end */
    void (*deadlock)(void *user, struct tri_id parent, const struct tri_section *section); /* host: that wait fails */
    void (*renumbered)(void *user);                           /* host: indices start anew (a new broker): rewrite the
                                                                         progress page from incoming->index of what runs */
    void (*log)(void *user, const struct tri_log_line *line); /* driver: print it */
    void (*cut)(void *user, const trp_error *why);            /* the broker cut us */
    void *user;
};

/* Whether a call that was accepted is to end. */
enum tri_cancelled {
    TRI_GOES_ON = 0,
    TRI_OVERDUE,  /* its deadline has passed at its caller, who waits no more */
    TRI_CANCELLED /* a holder of its result asked for that: TRP_ECANCELLED, whatever it returns */
};

/* Host: a call that was accepted and has not ended. */
struct tri_incoming {
    struct tri_entry entry;             /* result id; for one-way calls an id made up here (space 0) */
    const struct tri_route *route;      /* as it came */
    const struct tri_section *sections; /* body, appended values */
    uint32_t section_count;
    const struct tri_section *trace; /* its mark (actors/trace.h), which is none of these sections; NULL: not traced */
    int8_t priority;
    bool started, in_place;
    uint8_t cancelled;    /* enum tri_cancelled; read without the lock by what runs */
    struct tri_id caller; /* {space of the caller, 0} */
    uint64_t deadline_ns; /* absolute, TRI_NEVER: none */
    uint64_t bytes;       /* credit that it took */
    uint64_t index;       /* of its CALL among those that this host got, 1...: what the progress page shows */
    struct tri_node link; /* the mailbox's */
};

trp_err tri_proc_new(bool is_host, const struct tri_proc_ops *ops, uint64_t seed, struct tri_proc **proc,
                     trp_error *error);
void tri_proc_destroy(struct tri_proc **proc); /* every reference is given to ref_free */

/* WELCOME has come. First login: sets the space. snapshot: posts SNAPSHOT parts, for hosts their actors as CREATE and what
 * they keep as RESULT, for all what is unanswered again (spawns, puts, calls, waits, requests) in the order made. */
trp_err tri_proc_welcome(struct tri_proc *proc, const struct tri_welcome *welcome, uint64_t now_ns, trp_error *error);
/* An envelope of a numbered packet. An error: the broker broke the protocol; the runtime gives up with it. */
trp_err tri_proc_envelope(struct tri_proc *proc, const struct tri_envelope *envelope, uint64_t now_ns,
                          trp_error *error);
/* Credit has come back, or time has passed: posts what waited, fails what is overdue (TRP_ETIMEDOUT). */
void tri_proc_tick(struct tri_proc *proc, uint64_t now_ns);
/* When what is left for the next round (RELEASE, CANCEL, WAIT) has waited long enough for other messages to travel with: then a
 * round is due. TRI_NEVER: nothing is left. */
uint64_t tri_proc_owed_ns(const struct tri_proc *proc);
uint64_t tri_proc_next_ns(const struct tri_proc *proc);
/* Posts what is said in batches: RELEASE, CANCEL, WAIT. Called before each flush. */
void tri_proc_round(struct tri_proc *proc, uint64_t now_ns);
/* The broker is gone for good: everything pending fails with this, as run or not by tri_proc_ran; later calls were not run. */
void tri_proc_fail_all(struct tri_proc *proc, const trp_error *why);

/* --- caller's side --- */
struct tri_submit {
    uint8_t kind; /* TRI_CALL, TRI_SPAWN, TRI_KILL, TRI_LOOKUP, TRI_WATCH, TRI_QUERY */
    uint16_t flags;
    int8_t priority;
    struct tri_id target; /* actor, or none */
    struct tri_id parent;
    uint64_t deadline_ns;    /* absolute; TRI_NEVER */
    struct tri_section body; /* packed; its entries name references of this process (held by the caller meanwhile) */
    const char *method;      /* for error texts; copied short */
    const char *actor;       /* its name, likewise; NULL: the id is said */
    const struct tri_section *trace; /* CALL: its mark, which is copied; NULL: not traced */
};
/* Sends it, or queues it while credit is short. *ref (NULL: one-way or unnamed spawn): the result, with one handle, the caller's.
 * References in the body that are private and READY: their values are published first (PUT); those at top level and READY here are
 * appended as sections instead of travelling as names. nowait: TRP_EAGAIN when it would have to queue for credit.
 * *queued (may be NULL): credit is short; a polite caller waits until tri_proc_room. */
trp_err tri_proc_submit(struct tri_proc *proc, const struct tri_submit *submit, bool nowait, uint64_t now_ns,
                        struct tri_ref **ref, bool *queued, trp_error *error);
bool tri_proc_room(const struct tri_proc *proc); /* not too much waits in here */
/* A new actor's handle: id for TRI_SPAWN's target. One handle. */
trp_err tri_proc_actor_new(struct tri_proc *proc, struct tri_ref **actor, trp_error *error);
/* A READY reference made of a packed value; private until it is carried out. One handle. */
trp_err tri_proc_put(struct tri_proc *proc, const struct tri_packed *packed, struct tri_ref **ref, trp_error *error);
/* The broker hears of a value of our own now, not when something names it; or (soon) with the next round, unless it is released
 * before. */
trp_err tri_proc_publish(struct tri_proc *proc, struct tri_ref *ref, trp_error *error);
trp_err tri_proc_publish_soon(struct tri_proc *proc, struct tri_ref *ref, trp_error *error);
/* The same of a value that is still to be written, in section.frame: PENDING for everybody until it is sealed (TRP_EALREADY: it
 * is, or never was begun here; of one that has failed, its code without a sentence), or given up: it fails with `why`. */
trp_err tri_proc_begin(struct tri_proc *proc, const struct tri_packed *packed, struct tri_ref **ref, trp_error *error);
trp_err tri_proc_seal(struct tri_proc *proc, struct tri_ref *ref, trp_error *error);
void tri_proc_give_up(struct tri_proc *proc, struct tri_ref *ref, const trp_error *why);
uint32_t tri_proc_begun(const struct tri_proc *proc); /* how many there are */
void tri_proc_retain(struct tri_ref *ref);
void tri_proc_release(
    struct tri_ref *ref); /* the last one: RELEASE, or forgotten if private; calls nobody waits for still run */
/* Somebody here wants it: WAIT is sent unless it is ready, our own call, or asked for already. */
trp_err tri_proc_want(struct tri_proc *proc, struct tri_ref *ref, trp_error *error);
/* Its value is known by its place, and is not there: WANT is sent, unless one is. */
trp_err tri_proc_demand(struct tri_proc *proc, struct tri_ref *ref, uint64_t deadline_ns, uint64_t now_ns,
                        trp_error *error);
/* Asks for the end of the call that makes it. One that has never left this process is over now, and was not run. Of what has
 * ended, is no call, or was asked for before: nothing. */
trp_err tri_proc_cancel(struct tri_proc *proc, struct tri_ref *ref, uint64_t now_ns, trp_error *error);
/* The same of the calls that were made in this execution and that this process still knows. */
void tri_proc_cancel_children(struct tri_proc *proc, struct tri_id parent);
/* Of a reference that is PENDING: TRP_NOT_RUN, its call has never left this process; else nobody here can say. */
trp_ran tri_proc_ran(const struct tri_ref *ref);
/* Its call has not begun and never will: the process ends. */
void tri_proc_unrun(struct tri_proc *proc, struct tri_id id);
/* The method or task whose result it will be, and the actor (none: a task). NULL: it is of no call, or that is forgotten here.
 * Valid until the reference changes. */
const char *tri_proc_method(const struct tri_ref *ref, struct tri_id *target);
/* The reference behind an id in a value of ours (held): one more handle. NULL: unknown here. */
struct tri_ref *tri_proc_find(struct tri_proc *proc, struct tri_id id);

/* --- host's side --- */
/* It starts: the lane's order is kept by the mailbox. */
void tri_proc_start(struct tri_proc *proc, struct tri_incoming *call);
/* It has ended with a value or (failed) an Error section: RESULT is posted and kept until FREED; credit is released; `call` is gone.
 * One-way: nothing is posted. */
trp_err tri_proc_return(struct tri_proc *proc, struct tri_incoming *call, const struct tri_section *section,
                        bool failed, trp_error *error);
/* It ends with this Error before what it stands on is done with: that comes later, by tri_proc_return, which says nothing then. */
void tri_proc_answer(struct tri_proc *proc, struct tri_incoming *call, const struct tri_section *section);
void tri_proc_give_back(struct tri_proc *proc, struct tri_incoming *const *calls,
                        size_t count); /* RETURNED: tasks, not started */
void tri_proc_blocked(struct tri_proc *proc, struct tri_id execution, const struct tri_id *ids, uint32_t count,
                      bool any);
void tri_proc_unblocked(struct tri_proc *proc, struct tri_id execution);
/* Constructed, to run so many calls at a time; or (failure) not. */
void tri_proc_ready(struct tri_proc *proc, struct tri_id actor, uint32_t concurrency,
                    const struct tri_section *failure);
void tri_proc_ended(struct tri_proc *proc, struct tri_id actor);
/* The reference to an actor that lives here, without a handle: what it knows itself by. Handing it on makes holders of others;
 * it keeps nobody alive. Good as long as the proc. TRP_ENOMEM. */
trp_err tri_proc_resident(struct tri_proc *proc, struct tri_id actor, struct tri_ref **ref, trp_error *error);

/* --- looking --- */
uint64_t tri_proc_space(const struct tri_proc *proc);
struct tri_proc_counts {
    uint64_t refs, outstanding, queued, kept, incoming, lanes;
};
void tri_proc_count(const struct tri_proc *proc, struct tri_proc_counts *counts); /* O(references) */
uint64_t tri_proc_queued(const struct tri_proc *proc);                            /* what waits here for credit */
bool tri_proc_is_lone(const struct tri_proc *proc);                               /* nothing of ours is outstanding */
/* Every reference that it knows. */
void tri_proc_each(const struct tri_proc *proc, void (*visit)(void *user, const struct tri_ref *ref), void *user);
bool tri_proc_check(const struct tri_proc *proc, char *why, size_t size);

#endif
