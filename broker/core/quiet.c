/*
 * quiet.c - calls as most are: to an actor whose host has room, or a usual task, with a plain value in them, and with a
 * result of which nobody but the caller has heard. A quiet call has no object; its caller's ring finds it by its result's number, and its
 * envelopes are passed on as they lie. Where anybody else asks for the name of its result (tri_thing_find), or something
 * becomes of it that is not said here, it gets its object and is a call like all others (calls.c).
 */
#include "broker/core/state.h"

enum { RING_FIRST = 64, RING_MOST = 131072 };

static struct tri_pending **
slot_of(const struct tri_ring *ring, uint64_t number)
{
    return &ring->slots[number & (ring->size - 1)];
}

static struct tri_pending *
in_ring(const struct tri_peer *peer, uint64_t number)
{
    struct tri_pending *call = peer->quiet.size > 0 ? *slot_of(&peer->quiet, number) : NULL;
    return call != NULL && call->id.number == number ? call : NULL;
}

/* Numbers that differ in a ring differ in one of twice the size. */
static bool
grow(struct tri_ring *ring)
{
    struct tri_ring larger = {.size = ring->size > 0 ? 2 * ring->size : RING_FIRST};
    larger.slots = larger.size <= RING_MOST ? calloc(larger.size, sizeof(struct tri_pending *)) : NULL;
    if (larger.slots == NULL)
        return false;
    for (uint32_t i = 0; i < ring->size; i++)
        if (ring->slots[i] != NULL)
            *slot_of(&larger, ring->slots[i]->id.number) = ring->slots[i];
    free(ring->slots);
    *ring = larger;
    return true;
}

/* Room for one more, and for the object that each of them may need. */
static bool
reserve(struct tri_core *core, struct tri_peer *peer, uint64_t number)
{
    struct tri_ring *ring = &peer->quiet;
    while (ring->size == 0 || *slot_of(ring, number) != NULL)
        if (!grow(ring))
            return false;
    return tri_things_reserve(core, 1) && tri_pool_reserve(&core->calls_pool, 1);
}

static void
leave_ring(struct tri_core *core, struct tri_pending *call)
{
    *slot_of(&call->caller->quiet, call->id.number) = NULL;
    call->quiet = false;
    core->quiet_count--;
}

struct tri_pending *
tri_quiet_find(struct tri_core *core, struct tri_id id)
{
    const struct tri_peer *peer = core->quiet_count > 0 ? tri_peer_of_space(core, id.space) : NULL;
    return peer != NULL ? in_ring(peer, id.number) : NULL;
}

struct tri_object *
tri_quiet_name(struct tri_core *core, struct tri_pending *call)
{
    struct tri_peer *caller = call->caller;
    leave_ring(core, call);
    struct tri_object *object = tri_object_new(core, call->id, TRI_OBJECT_PENDING);
    object->call = call;
    object->since_ds = (uint32_t)(call->since_ns / (TRI_NS_PER_S / 10));
    call->object = object;
    struct tri_hold *own = call->released ? NULL : tri_hold_hand(core, &object->thing, caller, 1);
    if (call->state == TRI_CALL_ANSWERED) {
        object->state = call->failed ? TRI_OBJECT_FAILED : TRI_OBJECT_READY;
        tri_object_keeper(core, object, call->keeper);
        if (own != NULL) {
            own->sent = true;
            own->at_send = own->handed;
        }
    }
    return object;
}

void
tri_quiet_end(struct tri_core *core, struct tri_peer *peer)
{
    TRI_EACH(&peer->calls, node)
    {
        struct tri_pending *call = TRI_OWNER(node, struct tri_pending, caller_link);
        if (call->quiet)
            tri_quiet_name(core, call);
    }
    free(peer->quiet.slots);
    peer->quiet = (struct tri_ring){0};
}

/* The results that a host kept are at their callers, or on the way to them. */
void
tri_quiet_unkept(struct tri_core *core, const struct tri_peer *keeper)
{
    for (size_t i = 0; i < core->peer_capacity && core->quiet_count > 0; i++) {
        if (core->peers[i] == NULL)
            continue;
        TRI_EACH(&core->peers[i]->answered, node)
        {
            struct tri_pending *call = TRI_OWNER(node, struct tri_pending, link);
            if (call->keeper == keeper)
                call->keeper = NULL;
        }
    }
}

/* -------------------------------------------------------------------------------------------------------------- the way */

/* One section in the batch, without references. */
static bool
plain(const struct tri_envelope *envelope)
{
    return envelope->route.section_count == 1 && envelope->body.frame == NULL && envelope->body.ref_count == 0;
}

static bool
is_new(struct tri_core *core, const struct tri_peer *peer, struct tri_id id)
{
    return id.number > peer->newest || tri_thing_find(core, id) == NULL;
}

static bool
takes(const struct tri_core *core, const struct tri_actor *actor, const struct tri_route *route)
{
    return tri_actor_takes(actor) && !actor->killed && !(actor->closing && actor->stop_sent) &&
           (route->epoch == 0 || route->epoch == actor->epoch) && actor->lane_count == 0 && actor->max_pending == 0 &&
           core->limits.pending_per_actor == 0;
}

/* Of all quiet calls. */
static bool
may_be_quiet(const struct tri_core *core, const struct tri_peer *peer, const struct tri_envelope *envelope)
{
    return envelope->route.result.space == peer->entry.id.space && plain(envelope) && !tri_core_open(core) &&
           !core->sweeping && !peer->full && tri_credit_check(core, peer, NULL) == TRP_OK;
}

static struct tri_pending *
enter(struct tri_core *core, uint8_t kind, struct tri_peer *peer, const struct tri_envelope *envelope)
{
    const struct tri_route *route = &envelope->route;
    const struct tri_id id = route->result;
    struct tri_pending *call = tri_call_new(core, kind, peer, id);
    tri_credit_take(call, peer, envelope->bytes);
    call->quiet = true;
    call->space = id.space;
    call->parent = route->parent;
    call->sequence = route->sequence;
    call->deadline_ns = tri_deadline_ns(core, route->deadline_us);
    *slot_of(&peer->quiet, id.number) = call;
    core->quiet_count++;
    if (id.number > peer->newest)
        peer->newest = id.number;
    return call;
}

static bool
quiet_actor_call(struct tri_core *core, struct tri_peer *peer, const struct tri_envelope *envelope)
{
    const struct tri_route *route = &envelope->route;
    struct tri_actor *actor = tri_actor_find(core, route->target);
    if (actor == NULL || route->sequence == 0 || !takes(core, actor, route) || !is_new(core, peer, route->result) ||
        !core->ops.has_credit(core->ops.user, actor->host->peer->index, envelope->bytes) ||
        !reserve(core, peer, route->result.number))
        return false;
    struct tri_pending *call = enter(core, TRI_CALL_ACTOR, peer, envelope);
    call->actor = actor;
    call->method = tri_method_of(actor, &envelope->body);
    actor->pending++;
    struct tri_route onward = *route;
    onward.epoch = actor->epoch;
    onward.deadline_us = call->deadline_ns == TRI_NEVER ? 0 : route->deadline_us + 1;
    tri_call_sent(core, call, actor->host, tri_send(core, actor->host->peer, &onward, &envelope->body, 1, true));
    return true;
}

/* One that needs what most need: a CPU. */
static bool
quiet_task(struct tri_core *core, struct tri_peer *peer, const struct tri_envelope *envelope)
{
    const struct tri_route *route = &envelope->route;
    if (!tri_id_is_none(route->target) || route->deadline_us != 0 || !tri_task_is_usual(core, &envelope->body) ||
        !tri_ledger_feasible(&core->ledger, 1, 0, 0, NULL) || !is_new(core, peer, route->result) ||
        !reserve(core, peer, route->result.number))
        return false;
    struct tri_parcel *parcel = tri_parcel_plain(&core->parcels_pool, envelope);
    if (parcel == NULL)
        return false;
    struct tri_pending *call = enter(core, TRI_CALL_TASK, peer, envelope);
    call->parcel = parcel;
    parcel->route.flags = TRI_TASK;
    tri_task_ready(core, call);
    return true;
}

/* false: it is not one of these, or not even legal; calls.c says. */
TRI_HOP bool
tri_quiet_call(struct tri_core *core, struct tri_peer *peer, const struct tri_envelope *envelope)
{
    const struct tri_route *route = &envelope->route;
    if (!may_be_quiet(core, peer, envelope))
        return false;
    return (route->flags == 0 && quiet_actor_call(core, peer, envelope)) ||
           (route->flags == TRI_TASK && quiet_task(core, peer, envelope));
}

TRI_HOP bool
tri_quiet_result(struct tri_core *core, struct tri_peer *peer, const struct tri_envelope *envelope)
{
    const struct tri_route *route = &envelope->route;
    struct tri_peer *caller = tri_peer_of_space(core, route->result.space);
    struct tri_pending *call = caller != NULL ? in_ring(caller, route->result.number) : NULL;
    if (call == NULL || call->host != peer->host || call->host == NULL || !plain(envelope) ||
        !tri_has_room(core, caller, envelope->bytes))
        return false;
    tri_call_unlink(core, call);
    if (call->parcel != NULL)
        tri_parcel_free(&call->parcel);
    struct tri_actor *actor = call->actor;
    if (actor != NULL) {
        call->actor = NULL;
        actor->pending--;
        if (actor->closing || actor->state == TRI_ACTOR_DEAD)
            tri_settle(core, &actor->thing);
    }
    struct tri_route answer = {.kind = TRI_RESULT, .flags = route->flags & TRI_FAILED};
    answer.result = call->id;
    call->failed = answer.flags != 0;
    call->keeper = peer;
    call->packet = tri_send(core, caller, &answer, &envelope->body, 1, false);
    call->state = TRI_CALL_ANSWERED;
    tri_list_append(&caller->answered, &call->link);
    return true;
}

/* The caller has its result: nobody need know of it any more. */
void
tri_quiet_acknowledged(struct tri_core *core, struct tri_pending *call)
{
    if (call->keeper != NULL && !call->keeper->struck)
        tri_batch_add(core, call->keeper, &call->keeper->freed, call->id);
    leave_ring(core, call);
    tri_list_remove(&call->link);
    tri_list_remove(&call->caller_link);
    tri_credit_return(core, call);
    tri_pool_put(&core->calls_pool, call);
}

/* The caller lets go of the result that it was sent, whose acknowledgement is still to be read. */
bool
tri_quiet_release(const struct tri_peer *peer, struct tri_id id, uint64_t handed)
{
    struct tri_pending *call = id.space == peer->entry.id.space ? in_ring(peer, id.number) : NULL;
    if (call == NULL || call->state != TRI_CALL_ANSWERED || handed != 1 || call->released)
        return false;
    call->released = true;
    return true;
}
