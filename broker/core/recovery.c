/*
 * recovery.c - a new broker after the old one died: who has to report, what is held back until then, and what becomes of
 * what nobody reported. First hosts (the barrier: nothing is routed), then drivers (nothing is freed for want of holders).
 */
#include "broker/core/state.h"

#include <string.h>

#define HOSTS_NS   (2 * TRI_NS_PER_S)
#define DRIVERS_NS (10 * TRI_NS_PER_S)
enum { DELAYED_MAX = 4 * 1024 * 1024 };

/* An actor that somebody holds and nobody runs: its death record, if it had one, was the old broker's. */
static const char no_host[] = "no process runs it since the broker died; whether it had ended before, and how, "
                              "was known to that broker only";

trp_err
tri_recovery_init(struct tri_core *core, const struct tri_expected *expected, size_t count)
{
    core->barrier_ns = core->now_ns + HOSTS_NS;
    core->returning_ns = core->now_ns + DRIVERS_NS;
    TRP_TRY(tri_lost_init(core, count));
    if (count == 0)
        return TRP_OK;
    core->drivers = calloc(count, sizeof *core->drivers);
    if (core->drivers == NULL)
        return TRP_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (!tri_id_is_none(expected[i].ended)) {
            tri_lost_add(core, expected[i].ended);
            continue;
        }
        core->returning = true;
        if (expected[i].token == 0) {
            core->drivers[core->driver_count++] = expected[i].space;
            continue;
        }
        struct tri_host *host = tri_host_new(core, expected[i].token);
        if (host == NULL)
            return TRP_ENOMEM;
        host->expected = true;
        host->pid = expected[i].pid;
        if (expected[i].tailored)
            tri_host_set_kind(core, host, TRI_HOST_ACTOR);
        core->barrier = true;
        if ((uint32_t)expected[i].token > core->next_token && expected[i].token >> 32 == core->config.incarnation)
            core->next_token = (uint32_t)expected[i].token;
    }
    return TRP_OK;
}

void
tri_recovery_fini(struct tri_core *core)
{
    while (core->delayed.next != NULL && !tri_list_empty(&core->delayed)) {
        struct tri_delayed *delayed = TRI_OWNER(core->delayed.next, struct tri_delayed, link);
        tri_list_remove(&delayed->link);
        tri_parcel_free(&delayed->parcel);
        free(delayed);
    }
    free(core->drivers);
    tri_lost_fini(core);
}

/* Until the barrier falls only reports are read. */
bool
tri_recovery_delays(struct tri_core *core, const struct tri_peer *peer, const struct tri_message *message)
{
    uint8_t kind = message->route->kind;
    if (!core->barrier)
        return false;
    if (kind == TRI_SNAPSHOT || kind == TRI_MODULE) /* before anything else: what its tasks declare is of use at once */
        return false;
    return !(peer->reporting && (kind == TRI_RESULT || (peer->role == TRI_HOST && kind == TRI_CREATE)));
}

trp_err
tri_recovery_delay(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    struct tri_delayed *delayed = core->delayed_count < DELAYED_MAX ? calloc(1, sizeof *delayed) : NULL;
    if (delayed != NULL)
        delayed->parcel = tri_parcel_new(message->route, message->sections, message->section_count, message->bytes);
    if (delayed == NULL || delayed->parcel == NULL) {
        free(delayed);
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no room for more messages before all hosts have reported");
    }
    delayed->peer = peer;
    tri_list_append(&core->delayed, &delayed->link);
    core->delayed_count++;
    return TRP_OK;
}

void
tri_recovery_peer_gone(struct tri_core *core, struct tri_peer *peer)
{
    struct tri_node *next;
    for (struct tri_node *node = core->delayed.next; node != &core->delayed; node = next) {
        struct tri_delayed *delayed = TRI_OWNER(node, struct tri_delayed, link);
        next = node->next;
        if (delayed->peer != peer)
            continue;
        tri_list_remove(node);
        core->delayed_count--;
        tri_parcel_free(&delayed->parcel);
        free(delayed);
    }
    for (size_t i = 0; i < core->driver_count; i++)
        if (core->drivers[i] == peer->entry.id.space)
            core->drivers[i--] = core->drivers[--core->driver_count];
}

static void
release_delayed(struct tri_core *core)
{
    while (!tri_list_empty(&core->delayed)) {
        struct tri_delayed *delayed = TRI_OWNER(core->delayed.next, struct tri_delayed, link);
        struct tri_parcel *parcel = delayed->parcel;
        struct tri_peer *peer = delayed->peer;
        trp_error error;
        tri_list_remove(&delayed->link);
        core->delayed_count--;
        free(delayed);
        memcpy(core->sections, parcel->sections, parcel->section_count * sizeof *parcel->sections);
        struct tri_message message = {&parcel->route, core->sections, parcel->section_count, parcel->bytes};
        bool room = tri_things_reserve(core, 1) && tri_pool_reserve(&core->calls_pool, 1) &&
                    tri_pool_reserve(&core->holds_pool, 64);
        trp_err err = room ? tri_dispatch(core, peer, &message, &error)
                           : tri_fail(&error, TRP_ENOMEM, "the broker has no memory");
        tri_lookups_answer(core);
        if (err != TRP_OK)
            tri_peer_cut(core, peer, &error);
        tri_event_end(core);
        tri_parcel_free(&parcel);
    }
}

static void
fail_unclaimed(struct tri_core *core)
{
    while (!tri_list_empty(&core->unclaimed)) {
        struct tri_pending *call = TRI_OWNER(core->unclaimed.next, struct tri_pending, link);
        tri_call_fail_death(core, call, TRP_MAY_HAVE_RUN, NULL, "the host that had accepted the call is gone");
    }
}

static void
settle_entry(struct tri_entry *entry, void *user)
{
    struct tri_core *core = user;
    struct tri_thing *thing = TRI_OWNER(entry, struct tri_thing, entry);
    tri_settle(core, thing);
}

static void
end_barrier(struct tri_core *core)
{
    core->barrier = false;
    fail_unclaimed(core);
    tri_table_each(&core->things, settle_entry, core);
    tri_event_end(core);
    release_delayed(core);
    core->tasks_changed = core->placing_changed = true;
    tri_event_end(core);
}

/* Another one has its name: it was about to end. Whoever holds it may be about to say calls again that it was to run first;
 * one that is detached has lost its name by KILL only. */
static bool
has_to_end(const struct tri_core *core, const struct tri_actor *actor)
{
    return actor->outlived && tri_actor_lives(actor) && !actor->closing && (actor->detached || !core->sweeping);
}

/* Nothing comes again any more. */
static void
end_sweeping(struct tri_core *core)
{
    core->sweeping = false;
    TRI_EACH(&core->actors, node)
    {
        struct tri_actor *actor = TRI_OWNER(node, struct tri_actor, all);
        if (has_to_end(core, actor))
            tri_actor_close(core, actor);
    }
    tri_table_each(&core->things, settle_entry, core);
    tri_event_end(core);
}

/* What is still unknown now is lost. */
static void
end_returning(struct tri_core *core)
{
    core->returning = false;
    core->sweeping = core->now_ns < core->returning_ns;
    TRI_EACH(&core->actors, node)
    {
        struct tri_actor *actor = TRI_OWNER(node, struct tri_actor, all);
        if (actor->state == TRI_ACTOR_ABSENT && actor->coming && tri_peer_of_space(core, actor->creator) != NULL)
            continue;
        if (actor->state == TRI_ACTOR_ABSENT)
            tri_actor_die(core, actor, NULL, NULL, no_host);
        else if (has_to_end(core, actor))
            tri_actor_close(core, actor);
        else if (tri_actor_lives(actor) && !actor->detached && !actor->closing &&
                 tri_peer_of_space(core, actor->creator) == NULL)
            tri_actor_orphan(core, actor);
    }
    tri_table_each(&core->things, settle_entry, core);
    for (struct tri_thing *thing = core->settling; thing != NULL; thing = thing->settle_next) {
        struct tri_object *object = tri_as_object(thing);
        if (object != NULL && object->call == NULL)
            tri_object_copies(core, object);
    }
    tri_event_end(core);
    tri_arena_settle(core);
}

static bool
hosts_reported(const struct tri_core *core)
{
    TRI_EACH(&core->all_hosts, node)
    if (TRI_OWNER(node, struct tri_host, all)->expected)
        return false;
    return true;
}

/* Each is waited for until it is gone: what lived in it must not be made again before. */
static void
kill_silent(struct tri_core *core)
{
    TRI_EACH(&core->all_hosts, node)
    {
        struct tri_host *host = TRI_OWNER(node, struct tri_host, all);
        if (!host->expected || host->state == TRI_HOST_LOST)
            continue;
        tri_host_kill(core, host, "the limit of 2 s for its report to a new broker");
        host->state = TRI_HOST_LOST;
        tri_timer_set(&core->timers, &host->timer, TRI_TIMER_HOST, core->now_ns + TRI_NS_PER_S);
    }
    core->barrier_ns = TRI_NEVER;
}

void
tri_recovery_look(struct tri_core *core)
{
    if (core->barrier) {
        if (core->now_ns >= core->barrier_ns)
            kill_silent(core);
        if (hosts_reported(core))
            end_barrier(core);
    }
    if (!core->barrier && core->returning && (core->driver_count == 0 || core->now_ns >= core->returning_ns))
        end_returning(core);
    if (core->sweeping && core->now_ns >= core->returning_ns)
        end_sweeping(core);
}

uint64_t
tri_recovery_next_ns(const struct tri_core *core)
{
    if (core->barrier)
        return core->barrier_ns;
    return core->returning || core->sweeping ? core->returning_ns : TRI_NEVER;
}

/* ------------------------------------------------------------------------------------------------------------- reports */

static void
report_hold(struct tri_core *core, struct tri_peer *peer, const struct tri_snap_hold *held)
{
    struct tri_thing *thing = tri_thing_find(core, held->id);
    bool is_actor = (held->flags & TRI_SNAP_ACTOR) != 0;
    if (thing == NULL && is_actor) {
        thing = &tri_actor_new(core, held->id)->thing;
    } else if (thing == NULL) {
        thing = &tri_object_new(core, held->id, TRI_OBJECT_UNKNOWN)->thing;
    }
    struct tri_hold *hold = tri_hold_hand(core, thing, peer, held->handed);
    struct tri_object *object = tri_as_object(thing);
    thing->shared = true;
    if (is_actor && object == NULL && (held->flags & TRI_SNAP_COMING) != 0 && held->id.space == peer->entry.id.space)
        tri_as_actor(thing)->coming = true;
    if (object == NULL) {
        struct tri_actor *actor = tri_as_actor(thing);
        if (!tri_core_open(core) && actor->state == TRI_ACTOR_ABSENT && !actor->coming)
            tri_actor_die(core, actor, NULL, NULL, no_host);
        return;
    }
    object->coming |= (held->flags & TRI_SNAP_COMING) != 0 && held->id.space == peer->entry.id.space;
    object->open |= (held->flags & TRI_SNAP_OPEN) != 0 && object->state == TRI_OBJECT_UNKNOWN;
    if (hold != NULL && (held->flags & TRI_SNAP_VALUE) != 0) {
        hold->has_value = true;
        hold->seen = hold->handed;
    }
    if ((held->flags & TRI_SNAP_KEPT) != 0 && object->keeper == NULL && !tri_object_registered(object))
        tri_object_keeper(core, object, peer);
    else if ((held->flags & TRI_SNAP_KEPT) != 0 && object->keeper != peer)
        tri_batch_add(core, peer, &peer->freed, held->id); /* one is enough */
    tri_settle(core, thing);
}

/* A call that a host has, or that its caller says a host has. */
static void
report_call(struct tri_core *core, struct tri_peer *peer, const struct tri_snap_call *told)
{
    struct tri_host *host = peer->host;
    bool hosts = host != NULL && (told->flags & TRI_SNAP_ACCEPTED) == 0; /* a host may run what it asked for itself */
    bool task = tri_id_is_none(told->target);
    struct tri_object *object = tri_as_object(tri_thing_find(core, told->id));
    struct tri_pending *call = object != NULL ? object->call : NULL;
    if (!hosts) {
        if ((told->flags & TRI_SNAP_ACCEPTED) == 0 || task)
            return; /* it comes again */
        if (call != NULL && call->caller == NULL && call->id.space == peer->entry.id.space) {
            call->caller = peer;
            object->recovered = false;
            tri_list_append(&peer->calls, &call->caller_link);
            tri_hold_hand(core, &object->thing, peer, object->thing.own.handed == 0 ? 1 : 0);
            return;
        }
        if (call != NULL)
            return;
        call = tri_call_new(core, TRI_CALL_ACTOR, peer, told->id);
        call->sequence = told->sequence;
        bool resolved = object != NULL && (object->state == TRI_OBJECT_READY || object->state == TRI_OBJECT_FAILED);
        if (resolved && object->value != NULL) { /* a host keeps its result */
            struct tri_value *value = tri_object_take_value(object);
            struct tri_refs *contains = object->contains;
            object->contains = NULL;
            tri_call_name(core, call, object, peer);
            tri_call_finish(core, call, NULL, &value->section, value->failed, contains, object->keeper);
            tri_value_free(&value);
            return;
        }
        tri_call_name(core, call, object, peer);
        call->state = TRI_CALL_UNCLAIMED;
        tri_list_append(&core->unclaimed, &call->link);
        if (!core->barrier)
            fail_unclaimed(core);
        return;
    }
    if (call != NULL && call->state == TRI_CALL_UNCLAIMED) {
        tri_list_remove(&call->link);
    } else if (call == NULL && (object == NULL || object->state == TRI_OBJECT_UNKNOWN)) {
        call = tri_call_new(core, task ? TRI_CALL_TASK : TRI_CALL_ACTOR, NULL, told->id);
        call->one_way = tri_id_is_none(told->id);
        if (!call->one_way)
            tri_call_name(core, call, object, NULL);
    } else {
        return;
    }
    if (call->object != NULL) {
        call->object->thing.shared = true;
        call->object->recovered = call->caller == NULL;
    }
    call->sequence = told->sequence;
    call->host = host;
    call->index = ++host->calls_sent;
    call->state = TRI_CALL_ACCEPTED;
    call->found = (told->flags & TRI_SNAP_RUNNING) != 0 && !call->one_way;
    host->found += call->found;
    tri_list_append(&host->accepted, &call->link);
    host->outstanding++;
    if (!task && call->actor == NULL && host->actor != NULL) {
        call->actor = host->actor;
        host->actor->pending++;
    }
    if (task && host->kind == TRI_HOST_POOL && !host->busy_cpu) {
        host->busy_cpu = true;
        tri_ledger_add(&core->ledger, 1, 0, 0, NULL, 1);
    }
}

static trp_err
check_snapshot(struct tri_core *core, const struct tri_peer *peer, const struct tri_snapshot *snapshot,
               trp_error *error)
{
    size_t count = (size_t)snapshot->hold_count + snapshot->call_count + snapshot->actor_count;
    if (peer->host == NULL && snapshot->actor_count > 0)
        return TRI_FAIL(error, TRP_EPROTO, "a driver reports actors that live in it");
    for (uint32_t i = 0; i < snapshot->hold_count; i++) {
        const struct tri_thing *thing = tri_thing_find(core, snapshot->holds[i].id);
        bool is_actor = (snapshot->holds[i].flags & TRI_SNAP_ACTOR) != 0;
        if (thing != NULL && (thing->kind == TRI_THING_ACTOR) != is_actor)
            return TRI_FAIL(error, TRP_EPROTO, "a snapshot takes an actor for an object, or the other way round");
    }
    for (uint32_t i = 0; i < snapshot->call_count; i++) {
        const struct tri_snap_call *told = &snapshot->calls[i];
        const struct tri_thing *thing = tri_thing_find(core, told->id);
        if (thing != NULL && thing->kind == TRI_THING_ACTOR)
            return TRI_FAIL(error, TRP_EPROTO, "a snapshot takes an actor for a call");
        if (peer->host == NULL && told->id.space != peer->entry.id.space)
            return TRI_FAIL(error, TRP_EPROTO, "a driver reports a call of another process");
    }
    if (!tri_things_reserve(core, count + 1) || !tri_pool_reserve(&core->holds_pool, count) ||
        !tri_pool_reserve(&core->calls_pool, count) || !tri_actors_reserve(core, count))
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for a snapshot");
    return TRP_OK;
}

static void
reported(struct tri_core *core, struct tri_peer *peer)
{
    peer->reporting = false;
    for (size_t i = 0; i < core->driver_count; i++)
        if (core->drivers[i] == peer->entry.id.space)
            core->drivers[i--] = core->drivers[--core->driver_count];
    if (peer->host != NULL && peer->host->state == TRI_HOST_FORKING) {
        peer->host->expected = false;
        tri_host_live(core, peer->host);
        if (peer->host->ending)
            tri_host_leave(core, peer->host);
    }
    tri_recovery_look(core);
}

trp_err
tri_on_snapshot(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    struct tri_snapshot snapshot;
    if (!peer->reporting)
        return TRI_FAIL(error, TRP_EPROTO, "SNAPSHOT of a process that was not asked for one");
    TRP_TRY(tri_snapshot_unpack(&message->sections[0], &snapshot, error));
    TRP_TRY(check_snapshot(core, peer, &snapshot, error));
    for (uint32_t i = 0; i < snapshot.actor_count; i++) {
        const struct tri_snap_actor *told = &snapshot.actors[i];
        struct tri_actor *actor = peer->host->actor;
        if ((told->flags & TRI_SNAP_POOL) != 0) {
            tri_host_set_kind(core, peer->host, TRI_HOST_POOL);
            tri_text_copy(peer->host->label, sizeof peer->host->label, "tasks");
        } else if ((told->flags & TRI_SNAP_ENDED) != 0 && actor == NULL) {
            tri_host_set_kind(core, peer->host, TRI_HOST_ACTOR);
            peer->host->ending = true; /* nothing is given to it any more */
            tri_lost_add(core, told->id);
        } else if (actor == NULL || !tri_id_equal(tri_thing_id(&actor->thing), told->id)) {
            return TRI_FAIL(error, TRP_EPROTO, "a snapshot has an actor without its CREATE");
        } else {
            actor->epoch = told->epoch;
            actor->was_ready = (told->flags & TRI_SNAP_READY) != 0;
            actor->state = actor->was_ready ? TRI_ACTOR_READY : TRI_ACTOR_CREATED;
        }
    }
    for (uint32_t i = 0; i < snapshot.hold_count; i++)
        report_hold(core, peer, &snapshot.holds[i]);
    for (uint32_t i = 0; i < snapshot.call_count; i++)
        report_call(core, peer, &snapshot.calls[i]);
    if ((message->route->flags & TRI_LAST) != 0)
        reported(core, peer);
    return TRP_OK;
}

/* A task that runs already, as a host said. With all this it can be given to another one. */
static trp_err
task_again(struct tri_core *core, struct tri_peer *peer, struct tri_pending *call, const struct tri_message *message,
           trp_error *error)
{
    const struct tri_route *route = message->route;
    TRP_TRY(tri_task_check(core, message, &call->special, &call->max_retries, error));
    TRP_TRY(tri_refs_take(core, peer, message->sections, message->section_count, &call->refs, error));
    call->no_retry = (route->flags & TRI_NO_RETRY) != 0;
    call->parent = route->parent;
    if (route->deadline_us != 0 && route->deadline_us < UINT64_C(1) << 50)
        call->deadline_ns = core->now_ns + route->deadline_us * 1000;
    call->parcel = tri_parcel_new(route, message->sections, message->section_count, message->bytes);
    if (call->parcel == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for a task");
    call->parcel->route.flags &= (uint16_t)~TRI_RETRIED;
    return TRP_OK;
}

/* A CALL comes again whose name is known: a host has it, or has its result, or it is queued here already. */
trp_err
tri_recovery_call(struct tri_core *core, struct tri_peer *peer, struct tri_pending *call,
                  const struct tri_message *message, trp_error *error)
{
    char text[TRI_ID_TEXT_SIZE];
    const struct tri_route *route = message->route;
    struct tri_object *object = tri_as_object(tri_thing_find(core, route->result));
    if (core->config.incarnation >= 2 && call == NULL && object->thing.own.sent) { /* it outlived its host, as a copy */
        core->ops.release(core->ops.user, peer->index, message->bytes);
        return TRP_OK;
    }
    bool fresh = object->thing.own.sent || (call != NULL && (call->caller != NULL || call->kind == TRI_CALL_WATCH));
    if (core->config.incarnation < 2 || fresh)
        return TRI_FAIL(error, TRP_EPROTO, "CALL under the name %s, which is taken",
                        tri_id_format(route->result, text));
    if (call != NULL) { /* it runs */
        call->caller = peer;
        object->recovered = false;
        tri_list_append(&peer->calls, &call->caller_link);
        tri_credit_take(call, peer, message->bytes);
        if (object->thing.own.handed == 0)
            tri_hold_hand(core, &object->thing, peer, 1);
        if (call->kind == TRI_CALL_TASK && call->parcel == NULL)
            return task_again(core, peer, call, message, error);
        return TRP_OK;
    }
    if (object->value == NULL) {
        core->ops.release(core->ops.user, peer->index, message->bytes);
        return TRP_OK; /* it was answered */
    }
    call = tri_call_new(core, TRI_CALL_ACTOR, peer, route->result);
    tri_credit_take(call, peer, message->bytes);
    call->sequence = route->sequence;
    call->parent = route->parent;
    struct tri_refs *contains = object->contains;
    struct tri_value *value = tri_object_take_value(object);
    object->contains = NULL;
    tri_call_name(core, call, object, peer);
    tri_call_finish(core, call, route, &value->section, value->failed, contains, object->keeper);
    tri_value_free(&value);
    return TRP_OK;
}
