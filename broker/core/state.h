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

#include "broker/core/parts.h"

#include <string.h>

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
    uint64_t calls_gone; /* that were given to hosts which have gone, and have ended (tri_host_ended) */
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
    struct tri_node held_tasks; /* queued, too: their callers are full */
    uint32_t actor_count, host_count, queued_tasks, queued_calls, hold_count, pending, object_count;
    uint32_t waiting_hosts; /* pool hosts of which an execution waits */
    uint32_t waiting_most;  /* the most of them at once, ever */
    uint64_t fetching;      /* objects whose values were asked for */
    uint64_t placed_tasks;  /* ever run on a thread that waited */
    uint32_t spares;        /* hosts without a role, forking ones too */
    uint32_t pool_hosts;
    bool tasks_changed; /* look at the queue when the event is over */
    bool placing_changed;
    uint64_t stock_ns;      /* no spare is forked before */
    uint64_t login_ns;      /* of the last host */
    bool judge_waits;       /* a circle may have closed: what is waited for has got a call, or a lane stands still */
    bool growth_waits;      /* a host for tasks, until then */
    uint64_t task_moved_ns; /* the last time a task was given or ended, or a host was asked for */
    struct tri_ledger ledger;
    struct tri_pool objects_pool, calls_pool, holds_pool, lanes_pool, actors_pool, texts_pool, parcels_pool, lost_pool;
    struct tri_timers timers;
    struct tri_depot *depot; /* NULL: the node has no arena */
    struct tri_node wishes;  /* for values in the arena (wishes.c) */
    uint32_t gathering;      /* tasks among those who have one */
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
    struct tri_declared_table declared; /* by them, of tasks */
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
uint64_t tri_send(struct tri_core *core, struct tri_peer *peer, const struct tri_route *route,
                  const struct tri_section *sections, uint32_t count, bool credited);
void tri_send_plain(struct tri_core *core, struct tri_peer *peer, uint8_t kind, uint16_t flags, struct tri_id target,
                    struct tri_id result, struct tri_id parent, const struct tri_section *section);
void tri_send_ids(struct tri_core *core, struct tri_peer *peer, uint8_t kind, uint16_t flags, const struct tri_id *ids,
                  uint32_t count);
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
/* Calls that it was given and that have ended: nothing is counted for it on their way. */
static inline uint64_t
tri_host_ended(const struct tri_host *host)
{
    const uint64_t open =
        host->returned + host->outstanding; /* a SPAWN is in there for a moment, and not in calls_sent */
    return host->calls_sent > open ? host->calls_sent - open : 0;
}

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
void tri_object_fetch(struct tri_core *core, struct tri_object *object);
void tri_object_keeper(struct tri_core *core, struct tri_object *object, struct tri_peer *keeper);
/* Its value comes, or goes: where that lies in the arena, this is the reference that does not need it there. */
void tri_object_set_value(struct tri_object *object, struct tri_value *value);
struct tri_value *tri_object_take_value(struct tri_object *object);
void tri_object_acknowledged(struct tri_core *core, struct tri_hold *hold);
void tri_object_relieve(struct tri_core *core, struct tri_object *object); /* its keeper, if it need not keep it */
void tri_object_unasked(struct tri_core *core, struct tri_object *object);
/* Who sent its value, and keeps that, is told what it is instead. */
void tri_object_correct(struct tri_core *core, const struct tri_object *object, struct tri_peer *peer,
                        const struct tri_section *error);
void tri_object_copies(struct tri_core *core, struct tri_object *object);
/* Its value lies in the arena: it is no burden to the broker, and stays as long as somebody holds the object. */
static inline bool
tri_object_stored(const struct tri_object *object)
{
    return object->value != NULL && tri_section_place(&object->value->section) != NULL;
}
/* Such a value without references is in the register, too, unless another object has the same: a new broker has it, whoever is
 * gone. Nobody else need keep it; any other has a keeper as long as anybody holds it. */
static inline bool
tri_object_registered(const struct tri_object *object)
{
    return tri_object_stored(object) && object->registered;
}
void tri_object_wait(struct tri_core *core, struct tri_peer *peer,
                     struct tri_id id); /* sends RESULT when it is there */
tri_core_handler tri_on_put, tri_on_wait;

/* calls.c, results.c */
struct tri_pending *tri_call_new(struct tri_core *core, uint8_t kind, struct tri_peer *caller, struct tri_id id);
trp_err tri_call_object(struct tri_core *core, struct tri_peer *peer, struct tri_id id, struct tri_object **object,
                        trp_error *error);
void tri_call_name(struct tri_core *core, struct tri_pending *call, struct tri_object *object, struct tri_peer *peer);
trp_err tri_call_needs(struct tri_core *core, struct tri_pending *call, struct tri_refs *refs, trp_error *error);
/* Whether one of its arguments is an error: then so is the call, which has ended. */
bool tri_call_need_failed(struct tri_core *core, struct tri_pending *call);
void tri_call_need_ready(struct tri_core *core, struct tri_need *need);
void tri_call_proceed(struct tri_core *core, struct tri_pending *call); /* it misses one argument less */
void tri_handing_look(struct tri_core *core, struct tri_pending *call); /* handing.c: of one with `hands_on` */
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
void tri_lane_leave(struct tri_core *core, struct tri_pending *call);
void tri_lane_look(struct tri_core *core, struct tri_lane *lane); /* whether its first call is held up */
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
/* What a call returned, or, where that leads back to its own name, the error that it is then. Takes `refs` over or drops them. */
void tri_value_take(struct tri_core *core, struct tri_peer *peer, struct tri_object *object,
                    const struct tri_message *message, struct tri_refs *refs);
tri_core_handler tri_on_call, tri_on_result, tri_on_cancel;

/* methods.c */
const struct tri_method *tri_method_find(struct tri_actor *actor, const struct tri_section *section);
/* Usually it is the one before, which lies where it lay. NULL: not known. */
static inline const struct tri_method *
tri_method_of(struct tri_actor *actor, const struct tri_section *section)
{
    const struct tri_method *last = actor->methods;
    uint64_t head = 0;
    if (last != NULL && last->end <= section->size)
        memcpy(&head, section->data + last->at, sizeof head);
    if (head != 0 && head == last->head &&
        (last->length <= 4 || memcmp(section->data + last->at + 8, last->text + 4, last->length - 4) == 0))
        return last;
    return tri_method_find(actor, section);
}
const char *tri_method_text(const struct tri_pending *call); /* "": not known */
void tri_methods_free(struct tri_actor *actor);

/* left.c */
static inline bool
tri_has_room(struct tri_core *core, struct tri_peer *peer, uint64_t bytes)
{
    const uint64_t unread = core->ops.unread(core->ops.user, peer->index) + peer->coming;
    if (unread == 0 || unread + bytes <= core->limits.unread_bytes)
        return true;
    peer->full = true;
    return false;
}
/* Its RESULT, of so many bytes, has come, and is not taken: true. */
bool tri_result_left(struct tri_core *core, struct tri_peer *peer, struct tri_pending *call, uint64_t bytes);
void tri_left_alone(struct tri_core *core, struct tri_pending *call, bool wanted); /* its caller is gone */
void tri_left_end(struct tri_core *core, struct tri_pending *call);
void tri_left_look(struct tri_core *core, struct tri_peer *peer); /* of one that is full */
void tri_left_look_all(struct tri_core *core);
void tri_call_turn(struct tri_core *core, struct tri_pending *call);

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
trp_err tri_task_check(const struct tri_core *core, const struct tri_message *message, struct tri_special **special,
                       int32_t *max_retries, trp_error *error);
/* It says nothing of what it needs, and nor does its row, as far as that is known. */
bool tri_task_is_usual(const struct tri_core *core, const struct tri_section *section);
/* How often it is started again, as its call says, or else its row; -1: always. */
int32_t tri_task_retries(const struct tri_core *core, const struct tri_pending *call, const struct tri_section *body);
void tri_task_submit(struct tri_core *core, struct tri_pending *call, const struct tri_message *message);
bool tri_task_may_go(struct tri_core *core, struct tri_pending *call); /* of a queued one: its arguments are there */
void tri_task_give(struct tri_core *core, struct tri_pending *call, struct tri_host *host, struct tri_wait *wait);
void tri_task_ready(struct tri_core *core, struct tri_pending *call);
void tri_task_requeue(struct tri_core *core, struct tri_pending *call); /* at the front */
void tri_task_left(struct tri_core *core, struct tri_host *host, struct tri_pending *call);
void tri_tasks_pump(struct tri_core *core);
void tri_tasks_recall(struct tri_core *core);
uint64_t tri_tasks_next_ns(const struct tri_core *core);
void tri_tasks_no_host(struct tri_core *core, trp_err code, const char *why);
struct tri_special *tri_special_new(const struct tri_needs *needs);
void tri_special_free(struct tri_special **special);
tri_core_handler tri_on_returned;

/* actors.c */
bool tri_actors_reserve(struct tri_core *core, size_t count);
struct tri_actor *tri_actor_new(struct tri_core *core, struct tri_id id); /* ABSENT; table reserved */
struct tri_actor *tri_actor_find(struct tri_core *core, struct tri_id id);
bool tri_actor_takes(const struct tri_actor *actor); /* calls, now */
void tri_actor_place(struct tri_core *core);
void tri_actor_account(struct tri_core *core, struct tri_actor *actor,
                       int sign); /* its resources: 1 takes, -1 gives back */
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
void tri_actor_set(struct tri_actor *actor, const struct tri_spawn *spawn);
const char *tri_actor_text(const struct tri_actor *actor, char text[TRI_NAME_MAX + 64]);
bool tri_actor_lives(const struct tri_actor *actor);
tri_core_handler tri_on_spawn, tri_on_create, tri_on_ready, tri_on_ended;

/* directory.c */
void tri_lookups_answer(struct tri_core *core); /* those that were read; before anything changes */
void tri_watchers_tell(struct tri_core *core, struct tri_actor *actor);
tri_core_handler tri_on_lookup, tri_on_watch, tri_on_kill;

/* waits.c */
void tri_waits_of_host(struct tri_core *core, struct tri_host *host);
struct tri_wait *tri_wait_find(const struct tri_host *host, struct tri_id parent);
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

/* arena.c */
trp_err tri_arena_init(struct tri_core *core, trp_error *error);
trp_err tri_arena_found(struct tri_core *core, trp_error *error);
void tri_arena_settle(struct tri_core *core);
trp_err tri_arena_enter(struct tri_core *core, uint64_t space, int32_t pid, uint32_t *tenant, trp_error *error);
void tri_arena_left(struct tri_core *core, const struct tri_peer *peer);
void tri_arena_look(struct tri_core *core);
struct tri_peer *tri_peer_of_tenant(const struct tri_core *core, uint32_t tenant); /* NULL: it is not logged in */
tri_core_handler tri_on_space, tri_on_given;

/* wishes.c */
bool tri_call_is_here(const struct tri_core *core, const struct tri_pending *call, const struct tri_section *sections,
                      uint32_t section_count);
bool tri_call_is_gathering(const struct tri_pending *call);
/* It misses its arguments until they are there, and proceeds then (tri_call_proceed); or it fails. false: it has failed.
 * It is in no queue of tasks. */
bool tri_call_gather(struct tri_core *core, struct tri_pending *call);
void tri_call_ungather(struct tri_core *core, struct tri_pending *call); /* it was sent, or ends */
void tri_wishes_look(struct tri_core *core);
void tri_wishes_leave(struct tri_core *core, const struct tri_peer *peer);
void tri_wishes_fini(struct tri_core *core);
tri_core_handler tri_on_want;

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
