/*
 * state.h - what a tri_proc is made of; private to actors/core/. One thread at a time (the process's lock), no clock, no
 * socket.
 *
 * A reference lives in the table while somebody here has a handle of it, while it is kept for the broker, or while the
 * envelope that makes it is. An outgoing envelope (tri_out) lives until nobody could need it again: it is in `outs`, in the
 * order made, those not posted yet last; or, when its host has it, in `accepted`, without its body.
 */
#ifndef TRI_PROC_STATE_H
#define TRI_PROC_STATE_H

#include <stdlib.h>

#include "actors/core/proc.h"

enum {
    TRI_BLOCK_STEP = 16,
    TRI_BLOCK_CLASSES = 96, /* pooled blocks up to 1,536 bytes */
    TRI_SLAB_BYTES = 32768,
    TRI_RELEASES_MAX = TRI_RUNS_IN_BATCH, /* posted when so many have gathered */
    TRI_OWED_MS = 2,                      /* or so long after the round before */
    TRI_SNAP_MAX = 1000,                  /* rows of a SNAPSHOT part */
    TRI_APPENDED_MAX = 256,               /* values that a call carries itself */
    TRI_APPENDED_FRAMES_MAX = 32,
    TRI_QUEUED_CALLS_MAX = 4 * 1024 * 1024, /* that wait here for credit; then who makes more waits, too */
    TRI_QUEUED_BYTES_MAX = 1024 * 1024 * 1024,
};

struct tri_memory_slab;
struct tri_memory {
    void *free[TRI_BLOCK_CLASSES];
    struct tri_memory_slab *slabs;
    char *fresh; /* of the newest slab: what was never given out */
    size_t fresh_bytes;
};
void tri_memory_fini(struct tri_memory *memory);
void *tri_memory_take(struct tri_memory *memory, size_t size); /* not zeroed; NULL: no memory */
void tri_memory_put(struct tri_memory *memory, void *block, size_t size);

/* References under names of this process's own making, which are counters: pages of them. A page goes with its last one. */
enum { TRI_OWN_PAGE = 64 };
struct tri_own_page {
    struct tri_entry entry; /* {0, number / TRI_OWN_PAGE} */
    uint32_t count;
    struct tri_ref *refs[TRI_OWN_PAGE];
};
struct tri_own {
    struct tri_table pages;
    struct tri_own_page *made,
        *seen; /* that were used last: where the newest is, and where older ones were looked for */
    struct tri_own_page *spare;
    uint64_t count;
};
trp_err tri_own_init(struct tri_own *own, uint64_t seed);
void tri_own_fini(struct tri_own *own, struct tri_memory *memory);
struct tri_ref *tri_own_find(struct tri_own *own, uint64_t number);                          /* NULL: there is none */
trp_err tri_own_insert(struct tri_own *own, struct tri_memory *memory, struct tri_ref *ref); /* TRP_ENOMEM */
void tri_own_remove(struct tri_own *own, struct tri_memory *memory, uint64_t number);
/* `visit` may make the reference that it was given go, and no other. */
void tri_own_each(struct tri_own *own, struct tri_memory *memory, void (*visit)(struct tri_ref *ref, void *user),
                  void *user);

/* What is kept of an envelope with references or large data to send it again: one block {sections, owners, entries, refs}. */
struct tri_body {
    size_t block_size;
    uint32_t section_count, ref_count;
    struct tri_section *sections;
    struct tri_buf **owners; /* by section: what its data lies in; NULL: this block */
    struct tri_ref **refs;   /* a handle of each reference that it names */
};

/* What few envelopes have. */
struct tri_out_more {
    uint64_t deadline_ns;
    size_t timer;              /* in the heap, from 1; 0: not in it */
    uint64_t allowed_ns;       /* by the deadline, when it was made */
    char method[64], name[64]; /* what is said of a call whose deadline passed: what, of whom */
};

/* Calls to one actor, in order. Stays when the handle goes: the host remembers the last number, too. */
struct tri_lane_out {
    struct tri_entry entry;
    uint64_t sequence;
    struct tri_out *first_one_way, *last_one_way; /* not known to be accepted */
};

/* One block: small data without references, which most have, lies behind the record. */
struct tri_out {
    struct tri_node link;
    struct tri_ref *ref;   /* result, or what is PUT; NULL: none */
    struct tri_ref *actor; /* SPAWN: whom; else the target, while this waits to be posted */
    struct tri_lane_out *lane;
    struct tri_id target, parent;
    uint64_t sequence, bytes;
    struct tri_out *next_one_way;
    struct tri_body *body;     /* what does not lie behind; NULL */
    struct tri_out_more *more; /* NULL: has none of that */
    uint32_t meta_size, size;  /* of the data behind */
    uint16_t flags;
    uint8_t kind;
    int8_t priority;
    bool posted : 1;
    bool accepted : 1;
    bool overdue : 1;
    bool fetched : 1;
    bool again : 1; /* it was posted to a broker that died */
};

/* A caller's calls to an actor here: the last one that was accepted. */
struct tri_lane_in {
    struct tri_entry entry; /* {mixed from the three, low}, chained by `same` where that is equal */
    struct tri_lane_in *same;
    struct tri_id actor;
    uint64_t caller, last;
};

/* Host: an actor that lives here. */
struct tri_resident {
    struct tri_entry entry;
    struct tri_node link;
    uint64_t epoch;
    bool ready;
    uint32_t concurrency;      /* calls at a time; 0: not constructed */
    struct tri_letter *create; /* said again to a new broker */
    struct tri_ref **refs;     /* held until it is constructed */
    uint32_t ref_count;
};

/* Host: an accepted call as the proc sees it; in one block with its sections and, behind these, its envelope's bytes. When it
 * has returned a small value that names nothing, that is kept in their place until FREED. */
struct tri_accepted {
    struct tri_incoming call; /* first */
    size_t block_size;
    struct tri_node link; /* in the order accepted; kept: in that of their returns */
    struct tri_ref **refs;
    struct tri_lane_in *lane;
    uint32_t ref_count;
    struct tri_route route;
    bool one_way, task;
    bool credited;     /* it came from this broker: one before has taken its window with it */
    bool answered;     /* before its return: it waits for that in proc->answered */
    bool kept, failed; /* it has returned: sections[0] is its value, or why it failed */
    struct tri_section sections[];
};

struct tri_block_wait {
    struct tri_node link;
    struct tri_id execution;
    bool any;
    uint32_t count;
    struct tri_id ids[];
};

struct tri_ids {
    struct tri_id *ids;
    size_t count, capacity;
};

struct tri_proc {
    bool is_host, pool;
    struct tri_id ended; /* host: the actor that lived here, and the process is about to end, too */
    struct tri_proc_ops ops;
    struct tri_memory memory;
    uint64_t seed, space, broker, now_ns, next_number, next_one_way;
    char node[64];
    bool ending; /* tri_proc_destroy: nothing is said any more */
    bool gone;   /* the broker is, for good */
    trp_error gone_why;

    struct tri_table refs; /* of names that others made */
    struct tri_own own;
    size_t value_count; /* of both, those that are no actor's */
    uint32_t begun;     /* of one's own, those that are being written */
    bool has_begun;     /* there ever was one */
    struct tri_table lanes_out;
    struct tri_lane_out *last_lane;
    struct tri_lane_in *last_lane_in;
    const struct tri_resident *last_resident;

    struct tri_node outs, accepted_outs;
    struct tri_node *unposted; /* the first in `outs` that was not posted; &outs: none */
    uint64_t queued_count, queued_bytes, queued_spawns, out_count;
    struct tri_out **timers;
    size_t timer_count, timer_capacity;

    struct tri_run releases[TRI_RELEASES_MAX];
    uint32_t release_count;
    struct tri_ids overdue, cancels, waits; /* said with the next round; `cancels`: asked for */
    struct tri_ids unsaid;                  /* values of our own, likewise, if they are still there then */
    uint64_t round_ns;                      /* of the last round */

    /* host */
    struct tri_table calls, lanes_in, residents; /* calls: accepted and kept ones */
    struct tri_node accepted, answered, kept, resident_list, blocked;
    struct tri_node *kept_near; /* in `kept`, or its head: behind the last one that was freed */
    uint64_t next_index, incoming_count, lane_count, kept_count;

    struct tri_packed packed;
    struct tri_ref *dying; /* references to be freed, linked by entry.next */
    bool reaping;
};

/* refs.c */
struct tri_ref *tri_ref_find(struct tri_proc *proc, struct tri_id id);
/* All of them; `visit` may make the one that it was given go, and no other. */
void tri_refs_each(struct tri_proc *proc, void (*visit)(struct tri_ref *ref, void *user), void *user);
struct tri_ref *tri_ref_make(struct tri_proc *proc, struct tri_id id,
                             bool is_actor);                   /* no handle yet; NULL: no memory */
void tri_ref_drop(struct tri_proc *proc, struct tri_ref *ref); /* one handle less */
void tri_ref_look(struct tri_proc *proc, struct tri_ref *ref); /* frees it if nothing needs it */
void tri_ref_end(struct tri_proc *proc, struct tri_ref *ref);  /* at the proc's end: with all that it has */
void tri_refs_let_go(struct tri_proc *proc, struct tri_ref ***refs, uint32_t *count);
/* Gives it a value (a copy; retains frames); each entry must be here, and its handle be had already. TRP_ENOMEM. */
trp_err tri_ref_set(struct tri_proc *proc, struct tri_ref *ref, const struct tri_section *section, bool failed,
                    trp_error *error);
/* What it had goes. */
void tri_held_drop(struct tri_proc *proc, struct tri_held *held);
/* What is kept leads back to itself, the broker says: it is this error from now on, unless somebody here has looked at it. */
trp_err tri_ref_correct(struct tri_proc *proc, struct tri_ref *ref, const struct tri_section *section,
                        trp_error *error);
/* Whether a section names `own`, itself or through the values of what it names, as far as they are here. */
bool tri_ref_is_in(struct tri_proc *proc, const struct tri_ref *own, const struct tri_section *section);
void tri_ref_fail(struct tri_proc *proc, struct tri_ref *ref, const struct tri_failure *failure);
void tri_ref_announce(struct tri_proc *proc, struct tri_ref *ref); /* ops.ready, if anybody here has it */
void tri_ref_carried(struct tri_proc *proc, struct tri_ref *ref);  /* an envelope that makes or names it was posted */
/* A handle of everything that a section names, which must be here. */
trp_err tri_refs_hold(struct tri_proc *proc, const struct tri_section *section, trp_error *error);
void tri_refs_unhold(struct tri_proc *proc, const struct tri_section *section);
/* Adopts what an envelope hands over. `call`: section 0's top-level references come as values instead. */
trp_err tri_refs_adopt(struct tri_proc *proc, const struct tri_envelope *envelope, bool call, struct tri_ref ***refs,
                       uint32_t *count, trp_error *error);

/* outgoing.c */
struct tri_out *tri_out_new(struct tri_proc *proc, uint8_t kind, size_t data_size);
void tri_out_discard(struct tri_proc *proc, struct tri_out **out);             /* one that never was in the queue */
struct tri_out_more *tri_out_more(struct tri_proc *proc, struct tri_out *out); /* NULL: no memory */
void tri_out_append(struct tri_proc *proc, struct tri_out *out);               /* at the end of the queue: not posted */
bool tri_out_aims(const struct tri_out *out);                                  /* it has an actor to go to */
void tri_out_accepted(struct tri_proc *proc, struct tri_out *out);
void tri_out_end(struct tri_proc *proc, struct tri_out *out);
void tri_outs_pump(struct tri_proc *proc);
bool tri_out_credited(uint8_t kind);
trp_err tri_timer_reserve(struct tri_proc *proc);
void tri_timer_add(struct tri_proc *proc, struct tri_out *out);
void tri_timer_remove(struct tri_proc *proc, struct tri_out *out);
void tri_lane_told(struct tri_proc *proc, struct tri_lane_out *lane, uint64_t sequence);
void tri_lane_failed(struct tri_proc *proc, struct tri_lane_out *lane, uint64_t sequence); /* that one alone */
struct tri_lane_out *tri_lane_out(struct tri_proc *proc, struct tri_id target);
/* Makes PUTs of a private value and of all private values that it leads to. */
trp_err tri_publish(struct tri_proc *proc, struct tri_ref *ref, trp_error *error);
trp_err tri_publish_one(struct tri_proc *proc, struct tri_ref *ref, trp_error *error); /* whoever knows its name */
void tri_post(struct tri_proc *proc, const struct tri_route *route, const struct tri_section *section);
void tri_post_ids(struct tri_proc *proc, uint8_t kind, uint16_t flags, const struct tri_ids *ids);
void tri_post_blocked(struct tri_proc *proc, const struct tri_block_wait *wait);
void tri_post_releases(struct tri_proc *proc);
bool tri_ids_add(struct tri_ids *ids, struct tri_id id);

/* begun.c */
/* Before these travel: which of what they name is still being written here. */
void tri_begun_mark(struct tri_proc *proc, const struct tri_section *section);

/* incoming.c */
typedef trp_err tri_proc_handler(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error);
tri_proc_handler tri_on_incoming_call, tri_on_incoming_recall, tri_on_incoming_create, tri_on_incoming_stop,
    tri_on_incoming_deadlock;
void tri_incoming_fini(struct tri_proc *proc);

/* accepted.c */
struct tri_accepted *tri_accepted_of(struct tri_incoming *call);
trp_err tri_accept(struct tri_proc *proc, const struct tri_envelope *envelope, struct tri_lane_in *lane,
                   struct tri_ref **refs, uint32_t ref_count, trp_error *error);
void tri_accepted_end(struct tri_proc *proc, struct tri_accepted *accepted);
/* It ends without having run. */
trp_err tri_accepted_fail(struct tri_proc *proc, struct tri_accepted *accepted, trp_err code, const char *text,
                          trp_error *error);
/* A call that is not even accepted: its actor is not, or no longer, here; or (late) it comes after later ones of its lane, as
 * the broker that died had failed it, and its caller did not hear of that. */
trp_err tri_refuse_call(struct tri_proc *proc, const struct tri_envelope *envelope, bool late, trp_error *error);
/* A call whose result is kept in its place is forgotten. false: it is not, or not so. */
bool tri_kept_free(struct tri_proc *proc, struct tri_id id);
/* It becomes a reference, kept likewise, for whoever names it or asks for its value. NULL: none; or no memory, then it stays. */
struct tri_ref *tri_kept_take(struct tri_proc *proc, struct tri_id id);
void tri_kept_fini(struct tri_proc *proc);

/* answers.c */
tri_proc_handler tri_on_answer, tri_on_accepted, tri_on_freed, tri_on_fetch;
/* It has ended here: the broker hears it, if it has asked. TRP_ENOMEM. */
trp_err tri_ref_answer(struct tri_proc *proc, struct tri_ref *ref, trp_error *error);

/* absent.c */
tri_proc_handler tri_on_here;
void tri_absent_again(struct tri_proc *proc); /* to a new broker */
/* What was asked for has come, as HERE or as RESULT of a broker that had to hear of it first. */
trp_err tri_absent_found(struct tri_proc *proc, struct tri_ref *ref, const struct tri_section *section, bool failed,
                         trp_error *error);

/* cancel.c */
tri_proc_handler tri_on_incoming_cancel;
void tri_out_overdue(struct tri_proc *proc, struct tri_out *out); /* its deadline has passed */
void tri_cancels_post(struct tri_proc *proc);
void tri_cancels_again(struct tri_proc *proc); /* to a new broker, before the calls are said again */
void tri_cancels_fini(struct tri_proc *proc);

#endif
