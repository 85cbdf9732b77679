/*
 * parts.h - the records that the broker's core has in its tables: peers, things (objects and actors) with their holds, calls,
 * hosts and waits. Only what they are; what is done with them is in state.h, which is what files here include.
 */
#ifndef TRI_CORE_PARTS_H
#define TRI_CORE_PARTS_H

#include "broker/core/core.h"
#include "broker/core/declared.h"
#include "broker/core/depot.h"
#include "broker/core/names.h"
#include "broker/core/stock.h"

/* Ids that travel together to one peer, so many in one envelope at most. */
enum { TRI_BATCH_IDS = 8192 };
struct tri_batch {
    struct tri_id *ids;
    size_t count, capacity;
};

/* ------------------------------------------------------------------------------------------------------------- peers */

/* Quiet calls by the numbers of their results; a power of two, so large that no two of them fall together. */
struct tri_ring {
    struct tri_pending **slots;
    uint32_t size;
};

struct tri_peer {
    struct tri_entry entry; /* {space, 0}, in core->spaces */
    tri_peer_index index;
    enum tri_role role;
    int32_t pid;
    uint64_t cookie;
    bool reporting; /* its SNAPSHOT is not complete */
    bool is_back;   /* it was logged in under a broker before */
    bool struck;    /* being cut: nothing is sent to it any more */
    bool leaves;    /* it has said GOODBYE, */
    bool lends;     /* and that what it has pinned is read all the same */
    char program[64];
    struct tri_host *host;    /* NULL: a driver */
    struct tri_node holds;    /* tri_hold.by_peer */
    struct tri_node kept;     /* tri_object.kept_link */
    struct tri_node calls;    /* tri_call.caller_link: made by it, not ended */
    struct tri_node answered; /* tri_call.link: RESULT sent to it, oldest first */
    struct tri_node copies;   /* tri_hold.sent_link: RESULT sent to it as a holder */
    struct tri_node
        left;        /* tri_pending.actor_link: of the calls whose results are left with hosts, those not asked for */
    uint64_t coming; /* bytes of those that were asked for */
    bool full;       /* a result had no room among what it has to take first: no call of it is given to a host */
    struct tri_node round_link;
    struct tri_batch accepted, freed;
    struct tri_ring quiet;
    uint64_t newest; /* the highest number in its space of which the core has heard; UINT64_MAX: that is not known */
    uint64_t used_calls, used_bytes; /* credit */
    uint64_t put_bytes;              /* of values that it published and keeps, and that lie here, too */
    uint64_t fetches;                /* ids asked of it by FETCH and not answered */
    uint32_t tenant;                 /* of the arena, and the number of its table of pins; TRI_NO_TENANT */
};

enum tri_host_state {
    TRI_HOST_FORKING = 1,
    TRI_HOST_LIVE,
    TRI_HOST_LOST
}; /* LOST: its door is closed, its death unknown */
enum tri_host_kind { TRI_HOST_SPARE = 0, TRI_HOST_POOL, TRI_HOST_ACTOR };
struct tri_host {
    struct tri_entry entry; /* {token, 0}, in core->hosts */
    struct tri_node all;    /* core->all_hosts */
    struct tri_node pool;   /* core->pool, as long as that is its kind */
    uint8_t state, kind;
    bool ending;      /* STOP or a kill was sent, or the constructor failed */
    bool recalled;    /* RECALL is out */
    bool busy_cpu;    /* the ledger has a CPU for it (pool) */
    bool expected;    /* recovery: has to report */
    trp_err unhoused; /* why it could not be had; TRP_OK */
    int32_t pid;
    struct tri_peer *peer; /* NULL until its login */
    struct tri_actor *actor;
    struct tri_node given;    /* tri_call.link: sent, not acknowledged, oldest first */
    struct tri_node accepted; /* tri_call.link */
    struct tri_node
        left; /* tri_call.link: it has returned, and its result stays here, for want of room at its caller */
    struct tri_node untold; /* core->untold: callers have not been told of the last of these */
    struct tri_node waits;  /* tri_wait.by_host */
    uint64_t forked_ns;     /* when the root was asked for it */
    uint64_t calls_sent;    /* CALL envelopes on this session */
    uint64_t returned;      /* of these, tasks that came back unstarted */
    uint32_t outstanding;   /* calls in given and accepted */
    uint32_t window;        /* tasks given ahead */
    uint32_t found;         /* calls in accepted that were found so: until all of them wait, one may stand on another */
    uint64_t progress_ns;   /* the last time a task ended or the first was given */
    uint32_t wait_count;
    struct tri_pending *special; /* the task with needs of its own that it was given */
    double lent_cpus;            /* of that task or of the actor, given back while it waits */
    struct tri_timer timer;
    char label[128];
};

/* ------------------------------------------------------------------------------------------------------------ things */

enum tri_thing_kind { TRI_THING_OBJECT = 1, TRI_THING_ACTOR };
struct tri_hold {
    struct tri_hold *next; /* of the thing */
    struct tri_peer *peer;
    struct tri_thing *thing;
    struct tri_node by_peer, sent_link;
    uint64_t handed, packet;
    uint64_t at_send, seen; /* `handed` when RESULT was sent, and that of the last one acknowledged */
    bool waiting;           /* WAIT */
    bool sent;              /* RESULT is on its way or there */
    bool has_value;         /* it is there */
};
struct tri_thing { /* what tri_hold_hand needs lies in its first line */
    struct tri_entry entry;
    uint8_t kind;
    bool shared;      /* an envelope carried it: no longer private to its maker */
    bool settling;    /* on core->settling */
    bool proceeds;    /* of the search for deadlocks */
    uint32_t mark;    /* of searches */
    uint32_t flights; /* calls in flight and objects that carry it */
    uint32_t hold_count;
    struct tri_hold *holds;
    struct tri_hold own; /* the maker's, while handed > 0: also in holds */
    struct tri_thing *settle_next, *search_next;
};
_Static_assert(offsetof(struct tri_thing, own.peer) < 64, "of a look-up's actor one line of the cache is fetched");
struct tri_use {
    struct tri_thing *thing;
    uint32_t place; /* argument, of objects at top level; else TRI_NESTED */
};
struct tri_refs {
    uint32_t count;
    struct tri_use uses[];
};

enum tri_object_state { TRI_OBJECT_PENDING = 1, TRI_OBJECT_UNKNOWN, TRI_OBJECT_READY, TRI_OBJECT_FAILED };
struct tri_object {
    struct tri_thing thing;
    uint8_t state;   /* UNKNOWN: some process has it, or will say */
    bool recovered;  /* a host told a new broker of it; its maker may send the CALL again */
    bool coming;     /* its maker, whose snapshot said so, will say again what makes it */
    bool registered; /* its value lies in the arena, and the register has it under this object's name */
    bool charged;    /* its value counts among its keeper's put_bytes */
    bool open;       /* UNKNOWN: its maker writes it, and calls that carry its name do not wait for that */
    bool carried;    /* an envelope named it: a value that was only PUT waits for that one */
    bool cancelled;  /* a holder's CANCEL was quicker than its CALL, which fails when it comes */
    struct tri_pending *call;
    struct tri_value *value; /* NULL: only elsewhere */
    struct tri_refs *contains;
    struct tri_peer *keeper;
    struct tri_node kept_link;
    struct tri_peer *fetching; /* asked for the value */
    bool revoked;              /* FREED went to it after the FETCH: it will not keep what it sends */
    uint32_t since_ds;         /* when this broker heard of it first, in tenths of a second */
    uint32_t wanted;           /* needs of calls that were not sent on */
    uint32_t waiting;          /* holds that wait */
    struct tri_node needs;     /* tri_need.link of calls that wait for it */
};

/* ------------------------------------------------------------------------------------------------------------- calls */

struct tri_need {
    struct tri_node link;
    struct tri_pending *call;
    struct tri_object *object;
    uint32_t place;
    bool missing;
};
enum tri_call_kind { TRI_CALL_ACTOR = 1, TRI_CALL_TASK, TRI_CALL_SPAWN, TRI_CALL_WATCH };
enum tri_call_state {
    TRI_CALL_WAITING = 1, /* for its arguments (tasks, spawns), for an event */
    TRI_CALL_QUEUED,      /* in a lane or the task queue */
    TRI_CALL_GIVEN,
    TRI_CALL_ACCEPTED,
    TRI_CALL_LEFT,     /* its host has its result, and its caller no room for it (left.c); `packet` is its size */
    TRI_CALL_ANSWERED, /* RESULT is on its way to the caller */
    TRI_CALL_UNCLAIMED /* recovery: its caller says that a host has it */
};
struct tri_special { /* what a task needs beyond a CPU */
    double num_cpus, num_gpus;
    uint64_t memory_bytes;
    uint32_t resource_count;
    struct tri_resource *resources;
    char *texts;
};
struct tri_pending {
    struct tri_node link;        /* by state: lane, task queue, host, answered, unclaimed */
    struct tri_node caller_link; /* peer->calls */
    struct tri_node actor_link;  /* WATCH: actor->watchers; LEFT: peer->left */
    uint8_t kind, state, retries;
    bool credited, one_way, in_place, no_retry, event_death;
    bool again;            /* it was sent to a broker that died: it may have run there */
    bool told;             /* ACCEPTED: its caller has heard of it */
    bool quiet;            /* it has no object so far (quiet.c) */
    bool failed, released; /* quiet and answered: how, and that its caller has let go of the result */
    bool found;            /* recovery: its host had started it under the broker before */
    bool asked;            /* LEFT: its host was asked for the result */
    bool held;             /* a task in core->held_tasks */
    bool cancelled;        /* a holder asked for its end: it is given to nobody, any more */
    bool hands_on;         /* behind `need_count` needs is one more: for what it names and was asked for (handing.c) */
    uint16_t flags;
    uint32_t missing, need_count;
    int32_t max_retries; /* 0: as the task's row declares; -1: always */
    struct tri_id id;    /* of the result; none */
    struct tri_id parent;
    struct tri_object *object;
    struct tri_peer *caller; /* NULL: gone, or not back yet */
    struct tri_actor *actor;
    const struct tri_method *method; /* of `actor`, as long as that is there; NULL: not known */
    struct tri_host *host;
    struct tri_peer *keeper; /* quiet and answered: object->keeper */
    struct tri_lane *lane;
    uint64_t sequence, bytes, index, packet, deadline_ns, since_ns;
    uint64_t space; /* the caller's, also when it is gone */
    struct tri_parcel *parcel;
    struct tri_refs *refs;
    struct tri_need *needs;
    struct tri_special *special;
    struct tri_wish *wish; /* its arguments are brought into the arena, or are kept there for it (wishes.c) */
    struct tri_timer timer;
};

/* Calls of one caller to one actor that wait. It exists while there are some. */
struct tri_lane {
    struct tri_entry entry; /* {caller space, actor serial}, in core->lanes */
    struct tri_node link;   /* actor->ready or actor->stuck */
    struct tri_node calls;
    struct tri_actor *actor;
    bool stuck; /* its first call waits for an argument, or its caller is full */
};

enum tri_actor_state {
    TRI_ACTOR_ABSENT = 1, /* recovery: somebody holds it, nobody has said where it is */
    TRI_ACTOR_WAITING,    /* for its arguments or for resources */
    TRI_ACTOR_STARTING,   /* has a host that has not logged in */
    TRI_ACTOR_CREATED,    /* CREATE was sent */
    TRI_ACTOR_READY,
    TRI_ACTOR_DEAD
};
/* How it ended. */
struct tri_obituary {
    trp_error error;          /* what its calls get: code TRP_EACTORDIED, or why it had no process */
    struct tri_death death;   /* texts point into `texts` */
    struct tri_parcel *cause; /* an Error section, or NULL */
    char *texts;
};
struct tri_actor_texts {          /* apart: they are seldom read, and a look-up meets fewer pages */
    char label[TRI_NAME_MAX + 1]; /* name, or class */
    char class_name[TRI_NAME_MAX + 1];
};
struct tri_method {
    struct tri_method *next;
    uint64_t head;    /* the first bytes of its string in a call, the length and some of the text */
    uint32_t at, end; /* where that lay in the last call that was looked at */
    uint32_t length;
    char text[];
};
struct tri_actor {
    struct tri_thing thing;
    struct tri_node all;  /* core->actors */
    struct tri_node link; /* core->placing */
    uint8_t state;
    bool detached, closing, killed, stop_sent, holds_resources, was_ready;
    bool orphan;                     /* its creator died: the timer says how long it may drain */
    bool outlived;                   /* recovery: a younger one has its name, so that it was to end */
    trp_err unhoused;                /* why no process could be had for it; TRP_OK */
    bool coming;                     /* ABSENT, and its creator, who is here, will send SPAWN again */
    uint64_t epoch, serial, creator; /* creator: space */
    double num_cpus, num_gpus;
    double start_cpus; /* that have to be free where it starts */
    uint64_t memory_bytes;
    uint32_t max_concurrency, max_pending, pending;
    uint64_t start_timeout_ns, since_ns;
    struct tri_host *host;
    struct tri_pending *creation; /* SPAWN that was not accepted by a host */
    struct tri_node ready, stuck; /* lanes */
    uint32_t lane_count;
    struct tri_node watchers;
    struct tri_name *name;
    struct tri_method *methods;  /* that were called in it, the last one first */
    struct tri_special *special; /* custom resources */
    struct tri_obituary *obituary;
    const char *kill_rule;
    struct tri_timer timer; /* start deadline, or the end of draining */
    struct tri_actor_texts *texts;
};
/* An execution that waits. */
struct tri_wait {
    struct tri_node by_host, all; /* core->waits */
    struct tri_host *host;
    struct tri_id parent;
    bool any, proceeds;
    uint32_t mark, count;
    uint64_t since_ns;
    struct tri_pending *placed; /* the task that runs on its thread meanwhile */
    struct tri_id ids[];
};

#endif
