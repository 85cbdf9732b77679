/*
 * state.h - what the broker's core is made of; private to broker/core/. One thread at a time, no clock, no socket.
 *
 * Everything that has an id is a thing in one table: objects (names of values) and actors. A call is the execution that
 * will make an object's value; it lives from its CALL until its RESULT was acknowledged by the caller. Holds say which
 * process has which thing. Things whose last hold may be gone are put on a list and looked at when the event is over, so
 * that nothing is ever freed below somebody's feet and no chain of references becomes a recursion.
 */
#ifndef TRI_CORE_STATE_H
#define TRI_CORE_STATE_H

#include "broker/core/core.h"
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
    bool struck;    /* being cut: nothing is sent to it any more */
    bool leaves;    /* it has said GOODBYE */
    char program[64];
    struct tri_host *host;    /* NULL: a driver */
    struct tri_node holds;    /* tri_hold.by_peer */
    struct tri_node kept;     /* tri_object.kept_link */
    struct tri_node calls;    /* tri_call.caller_link: made by it, not ended */
    struct tri_node answered; /* tri_call.link: RESULT sent to it, oldest first */
    struct tri_node copies;   /* tri_hold.sent_link: RESULT sent to it as a holder */
    struct tri_node round_link;
    struct tri_batch accepted, freed;
    struct tri_ring quiet;
    uint64_t newest; /* the highest number in its space of which the core has heard; UINT64_MAX: that is not known */
    uint64_t used_calls, used_bytes; /* credit */
    uint64_t put_bytes;              /* of values that it published and keeps, and that lie here, too */
    uint64_t fetches;                /* ids asked of it by FETCH and not answered */
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
    bool ending;   /* STOP or a kill was sent, or the constructor failed */
    bool recalled; /* RECALL is out */
    bool busy_cpu; /* the ledger has a CPU for it (pool) */
    bool expected; /* recovery: has to report */
    int32_t pid;
    struct tri_peer *peer; /* NULL until its login */
    struct tri_actor *actor;
    struct tri_node given;    /* tri_call.link: sent, not acknowledged, oldest first */
    struct tri_node accepted; /* tri_call.link */
    struct tri_node untold;   /* core->untold: callers have not been told of the last of these */
    struct tri_node waits;    /* tri_wait.by_host */
    uint64_t calls_sent;      /* CALL envelopes on this session */
    uint32_t outstanding;     /* calls in given and accepted */
    uint32_t window;          /* tasks given ahead */
    uint32_t found;       /* calls in accepted that were found so: until all of them wait, one may stand on another */
    uint64_t progress_ns; /* the last time a task ended or the first was given */
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
    uint8_t state;  /* UNKNOWN: some process has it, or will say */
    bool recovered; /* a host told a new broker of it; its maker may send the CALL again */
    bool coming;    /* its maker, whose snapshot said so, will say again what makes it */
    bool charged;   /* its value counts among its keeper's put_bytes */
    bool carried;   /* an envelope named it: a value that was only PUT waits for that one */
    struct tri_pending *call;
    struct tri_parcel *value; /* NULL: only elsewhere */
    struct tri_refs *contains;
    struct tri_peer *keeper;
    struct tri_node kept_link;
    struct tri_peer *fetching; /* asked for the value */
    bool revoked;              /* FREED went to it after the FETCH: it will not keep what it sends */
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
    struct tri_node actor_link;  /* WATCH: actor->watchers */
    uint8_t kind, state, retries;
    bool credited, one_way, in_place, no_retry, event_death;
    bool again;            /* it was sent to a broker that died: it may have run there */
    bool told;             /* ACCEPTED: its caller has heard of it */
    bool quiet;            /* it has no object so far (quiet.c) */
    bool failed, released; /* quiet and answered: how, and that its caller has let go of the result */
    bool found;            /* recovery: its host had started it under the broker before */
    uint16_t flags;
    uint32_t missing, need_count;
    int32_t max_retries;
    struct tri_id id; /* of the result; none */
    struct tri_id parent;
    struct tri_object *object;
    struct tri_peer *caller; /* NULL: gone, or not back yet */
    struct tri_actor *actor;
    struct tri_host *host;
    struct tri_peer *keeper; /* quiet and answered: object->keeper */
    struct tri_lane *lane;
    uint64_t sequence, bytes, index, packet, deadline_ns, since_ns;
    uint64_t space; /* the caller's, also when it is gone */
    struct tri_parcel *parcel;
    struct tri_refs *refs;
    struct tri_need *needs;
    struct tri_special *special;
    struct tri_timer timer;
};

enum { TRI_USUAL_RETRIES = 3 };

/* Calls of one caller to one actor that wait. It exists while there are some. */
struct tri_lane {
    struct tri_entry entry; /* {caller space, actor serial}, in core->lanes */
    struct tri_node link;   /* actor->ready or actor->stuck */
    struct tri_node calls;
    struct tri_actor *actor;
    bool stuck; /* its first call waits for an argument */
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
    trp_error error;          /* what its calls get: code TRP_EACTORDIED */
    struct tri_death death;   /* texts point into `texts` */
    struct tri_parcel *cause; /* an Error section, or NULL */
    char *texts;
};
struct tri_actor_texts {          /* apart: they are seldom read, and a look-up meets fewer pages */
    char label[TRI_NAME_MAX + 1]; /* name, or class */
    char class_name[TRI_NAME_MAX + 1];
};
struct tri_actor {
    struct tri_thing thing;
    struct tri_node all;  /* core->actors */
    struct tri_node link; /* core->placing */
    uint8_t state;
    bool detached, closing, killed, stop_sent, holds_resources, was_ready;
    bool orphan;                     /* its creator died: the timer says how long it may drain */
    bool outlived;                   /* recovery: a younger one has its name, so that it was to end */
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

/* -------------------------------------------------------------------------------------------------------------- core */

struct tri_ledger {
    double cpus, cpus_used, gpus, gpus_used;
    uint64_t memory, memory_used;
    struct tri_resource *custom;
    double *custom_used;
    uint32_t custom_count;
    char *texts;
};

struct tri_message {
    const struct tri_route *route;
    const struct tri_section *sections;
    uint32_t section_count;
    uint64_t bytes; /* in the batch and in frames: what it counts against a window */
};
struct tri_delayed { /* recovery: an envelope that came before anything is routed */
    struct tri_node link;
    struct tri_peer *peer;
    struct tri_parcel *parcel;
};
struct tri_module_row {
    char *name;
    struct tri_parcel *value;
};

enum { TRI_RECENT = 64 };

struct tri_core {
    struct tri_core_config config;
    struct tri_core_limits limits;
    struct tri_core_ops ops;
    char node[256];
    uint64_t now_ns, steps, dropped;
    uint64_t next_space, next_token, next_epoch, next_serial;

    struct tri_peer **peers; /* by index */
    size_t peer_capacity, peer_count;
    struct tri_table spaces, hosts, things, lanes;
    struct tri_table lost; /* actors that must not be made again (lost.c) */
    size_t lost_room;
    size_t things_room;                        /* `things` may grow to that many */
    struct tri_peer *recent_peers[TRI_RECENT]; /* found by space or id, before the table is asked */
    struct tri_actor *recent_actors[TRI_RECENT];
    uint64_t strangers; /* the highest space of which something was named while no process had it */
    uint32_t quiet_count;
    struct tri_names names;
    struct tri_epitaph epitaphs[TRI_EPITAPHS]; /* of actors that died with a name, the oldest is replaced */
    size_t next_epitaph;
    struct tri_asked asked[TRI_ASKED_MAX]; /* none while anything else happens */
    uint32_t asked_count;
    struct tri_node all_hosts, pool, actors, placing, tasks, waits, round, untold, delayed, unclaimed;
    uint32_t actor_count, host_count, queued_tasks, queued_calls, hold_count, pending, object_count;
    uint32_t waiting_hosts; /* pool hosts of which an execution waits */
    uint32_t waiting_most;  /* the most of them at once, ever */
    uint64_t placed_tasks;  /* ever run on a thread that waited */
    uint32_t spares;        /* hosts without a role, forking ones too */
    uint32_t pool_hosts;
    bool tasks_changed; /* look at the queue when the event is over */
    bool placing_changed;
    uint64_t stock_ns;      /* no spare is forked before */
    bool judge_waits;       /* a circle may have closed: what is waited for has got a call, or a lane stands still */
    bool growth_waits;      /* a host for tasks, until then */
    uint64_t task_moved_ns; /* the last time a task was given or ended, or a host was asked for */
    struct tri_ledger ledger;
    struct tri_pool objects_pool, calls_pool, holds_pool, lanes_pool, actors_pool, texts_pool, parcels_pool, lost_pool;
    struct tri_timers timers;
    struct tri_thing *settling;
    uint32_t mark;

    /* recovery */
    bool barrier;   /* hosts have not all reported */
    bool returning; /* drivers have not all reported */
    bool sweeping;  /* calls may still be sent again whose results or executions hosts have */
    uint64_t barrier_ns, returning_ns;
    uint64_t *drivers; /* spaces that have not reported */
    size_t driver_count;
    size_t delayed_count;

    struct tri_thing **search_objects; /* of the search through waits */
    struct tri_wait **search_waits;
    size_t search_objects_capacity, search_waits_capacity;

    struct tri_module_row *modules;
    size_t module_count, module_capacity;
    struct tri_packed packed, ids_packed, null_packed, memory_packed, actor_packed;
    struct tri_section sections[2 * TRI_SECTIONS_MAX];
};

typedef trp_err tri_core_handler(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message,
                                 trp_error *error);

static inline struct tri_object *
tri_as_object(struct tri_thing *thing)
{
    return thing != NULL && thing->kind == TRI_THING_OBJECT ? (struct tri_object *)(void *)thing : NULL;
}
static inline struct tri_actor *
tri_as_actor(struct tri_thing *thing)
{
    return thing != NULL && thing->kind == TRI_THING_ACTOR ? (struct tri_actor *)(void *)thing : NULL;
}
static inline struct tri_id
tri_thing_id(const struct tri_thing *thing)
{
    return thing->entry.id;
}
static inline bool
tri_core_open(const struct tri_core *core) /* recovery: what is not known may still be told */
{
    return core->barrier || core->returning;
}
#define TRI_EACH(head, node) for (struct tri_node *node = (head)->next; node != (head); node = node->next)

/* Room for so many things more, and for an object of each quiet call. */
bool tri_things_grow(struct tri_core *core, size_t count);
static inline bool
tri_things_reserve(struct tri_core *core, size_t count)
{
    const size_t all = count + core->quiet_count;
    return tri_pool_reserve(&core->objects_pool, all) &&
           (core->things.count + all <= core->things_room || tri_things_grow(core, all));
}
static inline uint64_t
tri_deadline_ns(const struct tri_core *core, uint64_t deadline_us) /* 0: none */
{
    return deadline_us - 1 < (UINT64_C(1) << 50) - 1 ? core->now_ns + deadline_us * 1000 : TRI_NEVER;
}

/* core.c */
uint64_t tri_message_bytes(const struct tri_section *sections, uint32_t count);
uint64_t tri_send(struct tri_core *core, struct tri_peer *peer, const struct tri_route *route,
                  const struct tri_section *sections, uint32_t count, bool credited);
void tri_send_plain(struct tri_core *core, struct tri_peer *peer, uint8_t kind, uint16_t flags, struct tri_id target,
                    struct tri_id result, struct tri_id parent, const struct tri_section *section);
void tri_send_ids(struct tri_core *core, struct tri_peer *peer, uint8_t kind, const struct tri_id *ids, uint32_t count);
void tri_answer(struct tri_core *core, struct tri_peer *peer, struct tri_id result, const struct tri_section *section,
                bool failed);
void tri_answer_error(struct tri_core *core, struct tri_peer *peer, struct tri_id result, trp_err code,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));
void tri_answer_actor(struct tri_core *core, struct tri_peer *peer, struct tri_id result, struct tri_id id,
                      struct tri_actor *actor);
bool tri_batch_begin(struct tri_core *core, struct tri_peer *peer, struct tri_batch *batch); /* or makes room */
static inline bool
tri_batch_add(struct tri_core *core, struct tri_peer *peer, struct tri_batch *batch, struct tri_id id)
{
    if ((batch->count == 0 || batch->count == batch->capacity || batch->count == TRI_BATCH_IDS) &&
        !tri_batch_begin(core, peer, batch))
        return false;
    batch->ids[batch->count++] = id;
    return true;
}
void tri_event_begin(struct tri_core *core, uint64_t now_ns);
void tri_event_follow(struct tri_core *core);
static inline void
tri_event_end(struct tri_core *core) /* what one event leads to, until nothing changes any more */
{
    if (core->settling != NULL || core->tasks_changed || core->placing_changed)
        tri_event_follow(core);
}
trp_err tri_dispatch(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error);
trp_err tri_request_check(const struct tri_peer *peer, const struct tri_message *message, trp_error *error);

/* peers.c */
struct tri_peer *tri_peer_find(const struct tri_core *core, tri_peer_index index);
struct tri_peer *tri_peer_of_space(struct tri_core *core, uint64_t space);
void tri_peer_drop(struct tri_core *core, struct tri_peer *peer);
void tri_peer_cut(struct tri_core *core, struct tri_peer *peer, const trp_error *why);

/* hosts.c */
struct tri_host *tri_host_find(const struct tri_core *core, uint64_t token);
struct tri_host *tri_host_new(struct tri_core *core, uint64_t token);
struct tri_host *tri_host_fork(struct tri_core *core, uint8_t kind, const char *label, const struct tri_env *env,
                               uint32_t env_count, uint64_t memory_bytes);
struct tri_host *tri_host_take(struct tri_core *core, uint8_t kind, const char *label); /* a spare, or a fork */
void tri_host_set_kind(struct tri_core *core, struct tri_host *host, uint8_t kind);
void tri_host_live(struct tri_core *core, struct tri_host *host);
void tri_host_gone(struct tri_core *core, struct tri_host *host, const struct tri_death *death, const char *why);
void tri_host_kill(struct tri_core *core, struct tri_host *host, const char *rule);
void tri_host_overdue(struct tri_core *core, struct tri_host *host);
void tri_host_leave(struct tri_core *core, struct tri_host *host); /* its actor has ended: it should exit */
void tri_hosts_stock(struct tri_core *core);

/* things.c */
struct tri_thing *tri_thing_find(struct tri_core *core, struct tri_id id); /* a quiet call gets its object */
void tri_thing_add(struct tri_core *core, struct tri_thing *thing);        /* table reserved */
struct tri_hold *tri_hold_find(const struct tri_thing *thing, const struct tri_peer *peer);
struct tri_hold *tri_hold_hand(struct tri_core *core, struct tri_thing *thing, struct tri_peer *peer, uint64_t times);
void tri_hold_end(struct tri_core *core, struct tri_hold *hold);
void tri_settle(struct tri_core *core, struct tri_thing *thing);
void tri_settle_all(struct tri_core *core);
trp_err tri_refs_take(struct tri_core *core, struct tri_peer *peer, const struct tri_section *sections, uint32_t count,
                      struct tri_refs **refs, trp_error *error);
void tri_refs_drop(struct tri_core *core, struct tri_refs **refs);
void tri_refs_hand(struct tri_core *core, const struct tri_refs *refs, struct tri_peer *peer);
bool tri_object_leads_to(struct tri_core *core, const struct tri_refs *refs, const struct tri_object *object);
tri_core_handler tri_on_release;

/* objects.c */
struct tri_object *tri_object_new(struct tri_core *core, struct tri_id id, uint8_t state); /* table reserved */
void tri_object_resolve(struct tri_core *core, struct tri_object *object, const struct tri_route *route,
                        const struct tri_section *section, bool failed, struct tri_refs *contains,
                        struct tri_peer *keeper);
void tri_object_lost(struct tri_core *core, struct tri_object *object);
void tri_object_send(struct tri_core *core, struct tri_object *object, struct tri_hold *hold);
void tri_object_fetch(struct tri_core *core, struct tri_object *object);
void tri_object_keeper(struct tri_core *core, struct tri_object *object, struct tri_peer *keeper);
void tri_object_discharge(struct tri_object *object); /* its value is about to be taken, or its keeper */
void tri_object_acknowledged(struct tri_core *core, struct tri_hold *hold);
void tri_object_relieve(struct tri_core *core, struct tri_object *object); /* its keeper, if it need not keep it */
void tri_object_copies(struct tri_core *core, struct tri_object *object);
tri_core_handler tri_on_put, tri_on_wait;

/* calls.c, results.c */
struct tri_pending *tri_call_new(struct tri_core *core, uint8_t kind, struct tri_peer *caller, struct tri_id id);
trp_err tri_call_object(struct tri_core *core, struct tri_peer *peer, struct tri_id id, struct tri_object **object,
                        trp_error *error);
void tri_call_name(struct tri_core *core, struct tri_pending *call, struct tri_object *object, struct tri_peer *peer);
trp_err tri_call_needs(struct tri_core *core, struct tri_pending *call, struct tri_refs *refs, trp_error *error);
struct tri_object *tri_call_failed_need(const struct tri_pending *call);
void tri_call_need_ready(struct tri_core *core, struct tri_need *need);
void tri_call_unlink(struct tri_core *core, struct tri_pending *call);
void tri_call_sent(struct tri_core *core, struct tri_pending *call, struct tri_host *host, uint64_t packet);
uint32_t tri_call_sections(struct tri_core *core, const struct tri_pending *call, const struct tri_section *sections,
                           uint32_t count);
uint64_t tri_call_bytes(const struct tri_pending *call, uint64_t bytes);
void tri_call_hand(struct tri_core *core, struct tri_pending *call, struct tri_peer *peer);
void tri_call_unwant(struct tri_core *core, struct tri_pending *call);
void tri_call_finish(struct tri_core *core, struct tri_pending *call, const struct tri_route *route,
                     const struct tri_section *section, bool failed, struct tri_refs *contains,
                     struct tri_peer *keeper);
void tri_call_end(struct tri_core *core, struct tri_pending *call);
void tri_call_overdue(struct tri_core *core, struct tri_pending *call);
void tri_call_dead_host(struct tri_core *core, struct tri_pending *call, struct tri_host *host,
                        const struct tri_death *death);
void tri_lane_append(struct tri_core *core, struct tri_actor *actor, struct tri_pending *call);
void tri_lane_leave(struct tri_core *core, struct tri_pending *call);
/* One-way calls have no id: their caller hears how far the lane is accepted. */
void tri_lane_tell(struct tri_core *core, const struct tri_route *lane, struct tri_peer *caller);
void tri_lanes_pump(struct tri_core *core, struct tri_actor *actor);
trp_err tri_credit_check(const struct tri_core *core, const struct tri_peer *peer, trp_error *error);
void tri_credit_take(struct tri_pending *call, struct tri_peer *peer, uint64_t bytes);
void tri_credit_return(struct tri_core *core, struct tri_pending *call);
void tri_call_spawned(struct tri_core *core, const struct tri_pending *call);
void tri_host_acknowledged(struct tri_core *core, struct tri_host *host, uint64_t sequence);
void tri_calls_tell(struct tri_core *core); /* ACCEPTED of what did not get its RESULT meanwhile */
void tri_caller_acknowledged(struct tri_core *core, struct tri_peer *peer, uint64_t sequence);
tri_core_handler tri_on_call, tri_on_result, tri_on_cancel;

/* quiet.c */
bool tri_quiet_call(struct tri_core *core, struct tri_peer *peer, const struct tri_envelope *envelope);
bool tri_quiet_result(struct tri_core *core, struct tri_peer *peer, const struct tri_envelope *envelope);
bool tri_quiet_release(const struct tri_peer *peer, struct tri_id id, uint64_t handed);
void tri_quiet_acknowledged(struct tri_core *core, struct tri_pending *call);
struct tri_pending *tri_quiet_find(struct tri_core *core, struct tri_id id);
struct tri_object *tri_quiet_name(struct tri_core *core, struct tri_pending *call); /* quiet no more */
void tri_quiet_end(struct tri_core *core, struct tri_peer *peer);                   /* all of a caller's */
void tri_quiet_unkept(struct tri_core *core, const struct tri_peer *keeper);

/* errors.c */
const struct tri_section *tri_error_section(struct tri_core *core, const struct tri_failure *failure);
void tri_call_fail(struct tri_core *core, struct tri_pending *call, trp_err code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void tri_call_fail_actor(struct tri_core *core, struct tri_pending *call, const struct tri_actor *actor);
void tri_call_fail_need(struct tri_core *core, struct tri_pending *call, const struct tri_object *object);
void tri_call_fail_death(struct tri_core *core, struct tri_pending *call, trp_ran ran, const struct tri_death *death,
                         const char *rule);
/* Whose death it is, for users; NULL: a task's host. `id`: TRI_ID_TEXT_SIZE, as long as the record. */
void tri_death_sign(const struct tri_core *core, const struct tri_actor *actor, const char *message, char *id,
                    struct tri_death *death);
void tri_death_text(const struct tri_death *death, const char *why, char *text, size_t size);
struct tri_obituary *tri_obituary_new(const struct tri_death *death, const struct tri_section *cause);
void tri_obituary_free(struct tri_obituary **obituary);

/* tasks.c */
trp_err tri_task_check(const struct tri_message *message, struct tri_special **special, int32_t *max_retries,
                       trp_error *error);
bool tri_task_is_usual(const struct tri_section *section); /* it says nothing of what it needs */
void tri_task_submit(struct tri_core *core, struct tri_pending *call, const struct tri_message *message);
void tri_task_give(struct tri_core *core, struct tri_pending *call, struct tri_host *host, struct tri_wait *wait);
uint32_t tri_tasks_cpus(const struct tri_core *core);
void tri_task_ready(struct tri_core *core, struct tri_pending *call);
void tri_task_requeue(struct tri_core *core, struct tri_pending *call); /* at the front */
void tri_task_left(struct tri_core *core, struct tri_host *host, struct tri_pending *call);
void tri_tasks_pump(struct tri_core *core);
void tri_tasks_recall(struct tri_core *core);
uint64_t tri_tasks_next_ns(const struct tri_core *core);
void tri_tasks_no_host(struct tri_core *core, const char *why);
struct tri_special *tri_special_new(const struct tri_needs *needs);
void tri_special_free(struct tri_special **special);
tri_core_handler tri_on_returned;

/* actors.c */
bool tri_actors_reserve(struct tri_core *core, size_t count);
struct tri_actor *tri_actor_new(struct tri_core *core, struct tri_id id); /* ABSENT; table reserved */
struct tri_actor *tri_actor_find(struct tri_core *core, struct tri_id id);
bool tri_actor_takes(const struct tri_actor *actor); /* calls, now */
void tri_actor_place(struct tri_core *core);
void tri_actor_place_one(struct tri_core *core, struct tri_actor *actor);
void tri_actor_create(struct tri_core *core, struct tri_actor *actor);
void tri_actor_settle(struct tri_core *core, struct tri_actor *actor);
void tri_actor_die(struct tri_core *core, struct tri_actor *actor, const struct tri_death *death,
                   const struct tri_section *cause, const char *why);
void tri_actor_close(struct tri_core *core, struct tri_actor *actor);
void tri_actor_orphan(struct tri_core *core,
                      struct tri_actor *actor); /* the same, but not for ever: its creator died */
void tri_actor_drained(struct tri_core *core, struct tri_actor *actor);
void tri_actor_creation_ready(struct tri_core *core, struct tri_pending *call);
void tri_actor_overdue(struct tri_core *core, struct tri_actor *actor);
void tri_actor_creation_end(struct tri_core *core, struct tri_actor *actor);
void tri_actor_set(struct tri_actor *actor, const struct tri_spawn *spawn);
const char *tri_actor_text(const struct tri_actor *actor, char text[TRI_NAME_MAX + 64]);
bool tri_actor_lives(const struct tri_actor *actor);
tri_core_handler tri_on_spawn, tri_on_create, tri_on_ready, tri_on_ended;

/* directory.c */
void tri_lookups_answer(struct tri_core *core); /* those that were read; before anything changes */
const struct tri_section *tri_death_value(struct tri_core *core, const struct tri_actor *actor);
void tri_watchers_tell(struct tri_core *core, struct tri_actor *actor);
tri_core_handler tri_on_lookup, tri_on_watch, tri_on_kill;

/* waits.c */
void tri_wait_end(struct tri_core *core, struct tri_wait *wait);
void tri_waits_of_host(struct tri_core *core, struct tri_host *host);
struct tri_wait *tri_wait_find(const struct tri_host *host, struct tri_id parent);
bool tri_waits_at_bound(const struct tri_core *core);
void tri_waits_in_place(struct tri_core *core);
void tri_waits_judge(struct tri_core *core); /* those that can never end any more */
tri_core_handler tri_on_blocked, tri_on_unblocked;

/* recovery.c */
trp_err tri_recovery_init(struct tri_core *core, const struct tri_expected *expected, size_t count);
bool tri_recovery_delays(struct tri_core *core, const struct tri_peer *peer, const struct tri_message *message);
trp_err tri_recovery_delay(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message,
                           trp_error *error);
void tri_recovery_peer_gone(struct tri_core *core, struct tri_peer *peer);
void tri_recovery_look(struct tri_core *core); /* is the barrier, or the wait for drivers, over? */
uint64_t tri_recovery_next_ns(const struct tri_core *core);
trp_err tri_recovery_call(struct tri_core *core, struct tri_peer *peer, struct tri_pending *call,
                          const struct tri_message *message, trp_error *error);
void tri_recovery_fini(struct tri_core *core);
tri_core_handler tri_on_snapshot;

/* lost.c */
trp_err tri_lost_init(struct tri_core *core, size_t count); /* room for so many */
void tri_lost_fini(struct tri_core *core);
void tri_lost_add(struct tri_core *core, struct tri_id id);
void tri_lost_host(struct tri_core *core, const struct tri_host *host, const struct tri_death *death);
bool tri_lost_has(const struct tri_core *core, struct tri_id id);
void tri_lost_spawn(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message,
                    const struct tri_spawn *spawn);

/* query.c */
tri_core_handler tri_on_query, tri_on_module;

/* ledger.c */
trp_err tri_ledger_init(struct tri_ledger *ledger, const struct tri_core_config *config);
void tri_ledger_fini(struct tri_ledger *ledger);
bool tri_ledger_feasible(const struct tri_ledger *ledger, double cpus, double gpus, uint64_t memory,
                         const struct tri_special *special);
bool tri_ledger_fits(const struct tri_ledger *ledger, double cpus, double gpus, uint64_t memory,
                     const struct tri_special *special);
void tri_ledger_add(struct tri_ledger *ledger, double cpus, double gpus, uint64_t memory,
                    const struct tri_special *special, int sign);
void tri_ledger_text(const struct tri_ledger *ledger, char *text, size_t size);
void tri_needs_text(const struct tri_resource *resources, uint32_t count, double cpus, double gpus, uint64_t memory,
                    char *text, size_t size); /* the same of what is asked for */

#endif
