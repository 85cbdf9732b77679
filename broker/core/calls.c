/*
 * calls.c - calls: from CALL over lane to the host. A call whose lane is empty, whose arguments are there and whose host
 * has room is sent on at once and not copied. How they end is in results.c.
 */
#include "broker/core/state.h"

#include <string.h>

/* -------------------------------------------------------------------------------------------------------------- making */

trp_err
tri_credit_check(const struct tri_core *core, const struct tri_peer *peer, trp_error *error)
{
    if (peer->used_calls > core->limits.credit_calls || peer->used_bytes > core->limits.credit_bytes)
        return TRI_FAIL(error, TRP_ELIMIT, "process %d has sent more than its window of %u calls and %llu bytes",
                        peer->pid, core->limits.credit_calls, (unsigned long long)core->limits.credit_bytes);
    return TRP_OK;
}

void
tri_credit_take(struct tri_pending *call, struct tri_peer *peer, uint64_t bytes)
{
    call->credited = true;
    call->bytes = bytes;
    peer->used_calls++;
    peer->used_bytes += bytes;
}

void
tri_credit_return(struct tri_core *core, struct tri_pending *call)
{
    struct tri_peer *caller = call->caller;
    if (!call->credited || caller == NULL)
        return;
    caller->used_calls--;
    caller->used_bytes -= call->bytes;
    if (!caller->struck)
        core->ops.release(core->ops.user, caller->index, call->bytes);
}

struct tri_pending *
tri_call_new(struct tri_core *core, uint8_t kind, struct tri_peer *caller, struct tri_id id)
{
    struct tri_pending *call = tri_pool_take(&core->calls_pool);
    call->kind = kind;
    call->state = TRI_CALL_WAITING;
    call->id = id;
    call->caller = caller;
    call->since_ns = core->now_ns;
    call->deadline_ns = TRI_NEVER;
    tri_list_init(&call->link);
    tri_list_init(&call->actor_link);
    if (caller != NULL)
        tri_list_append(&caller->calls, &call->caller_link);
    return call;
}

/* Joins a call with the object that names its result; the maker's hold counts from now on. */
void
tri_call_name(struct tri_core *core, struct tri_pending *call, struct tri_object *object, struct tri_peer *peer)
{
    if (object == NULL)
        object = tri_object_new(core, call->id, TRI_OBJECT_PENDING);
    core->judge_waits = core->judge_waits || (object->state == TRI_OBJECT_UNKNOWN && !tri_list_empty(&core->waits));
    object->state = TRI_OBJECT_PENDING;
    object->call = call;
    call->object = object;
    if (peer != NULL && object->thing.own.handed == 0)
        tri_hold_hand(core, &object->thing, peer, 1);
    object->thing.own.has_value = false;
    object->recovered = object->recovered && peer == NULL;
}

/* Notes which objects have to be ready first. Takes `refs` over in every case. */
trp_err
tri_call_needs(struct tri_core *core, struct tri_pending *call, struct tri_refs *refs, trp_error *error)
{
    uint32_t count = 0;
    call->refs = refs;
    for (uint32_t i = 0; refs != NULL && i < refs->count; i++)
        count += refs->uses[i].place != TRI_NESTED;
    const bool hands_on = refs != NULL && core->fetching > 0;
    if (count + hands_on == 0)
        return TRP_OK;
    call->needs = calloc(count + hands_on, sizeof *call->needs);
    if (call->needs == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for a call's arguments");
    call->hands_on = hands_on;
    for (uint32_t i = 0; i < refs->count; i++) {
        struct tri_object *object = tri_as_object(refs->uses[i].thing);
        if (refs->uses[i].place == TRI_NESTED)
            continue;
        struct tri_need *need = &call->needs[call->need_count++];
        need->call = call;
        need->object = object;
        need->place = refs->uses[i].place;
        object->wanted++;
        need->missing = object->value == NULL;
        if (need->missing) {
            call->missing++;
            tri_list_append(&object->needs, &need->link);
        }
    }
    if (call->hands_on)
        tri_handing_look(core, call);
    return TRP_OK;
}

static struct tri_object *
failed_need(const struct tri_pending *call)
{
    for (uint32_t i = 0; i < call->need_count; i++)
        if (call->needs[i].object->state == TRI_OBJECT_FAILED && call->needs[i].object->value != NULL)
            return call->needs[i].object;
    return NULL;
}

bool
tri_call_need_failed(struct tri_core *core, struct tri_pending *call)
{
    const struct tri_object *failed = failed_need(call);
    if (failed != NULL)
        tri_call_fail_need(core, call, failed);
    return failed != NULL;
}

/* What it waits for is not wanted by it any more: it was sent on, or ends. */
void
tri_call_unwant(struct tri_core *core, struct tri_pending *call)
{
    for (uint32_t i = 0; i < call->need_count + call->hands_on; i++) {
        struct tri_need *need = &call->needs[i];
        if (need->object == NULL)
            continue;
        tri_list_remove(&need->link);
        need->object->wanted--;
        tri_settle(core, &need->object->thing);
    }
    free(call->needs);
    call->needs = NULL;
    call->hands_on = false;
    call->need_count = call->missing = 0;
}

static bool
first_in_lane(const struct tri_pending *call)
{
    return call->lane != NULL && call->lane->calls.next == &call->link;
}

static bool
held_up(const struct tri_pending *call)
{
    return call->missing > 0 || (call->caller != NULL && call->caller->full);
}

void
tri_lane_look(struct tri_core *core, struct tri_lane *lane)
{
    (void)core;
    const bool stuck = held_up(TRI_OWNER(lane->calls.next, struct tri_pending, link));
    if (lane->stuck == stuck)
        return;
    lane->stuck = stuck;
    tri_list_remove(&lane->link);
    tri_list_append(lane->stuck ? &lane->actor->stuck : &lane->actor->ready, &lane->link);
}

void
tri_call_need_ready(struct tri_core *core, struct tri_need *need)
{
    struct tri_pending *call = need->call;
    tri_list_remove(&need->link);
    need->missing = false;
    call->missing--;
    if (need->place == TRI_NESTED) {
        tri_handing_look(core, call);
    } else if (need->object->state == TRI_OBJECT_FAILED) {
        tri_call_fail_need(core, call, need->object);
        return;
    }
    tri_call_proceed(core, call);
}

void
tri_call_proceed(struct tri_core *core, struct tri_pending *call)
{
    if (call->missing > 0)
        return;
    if (call->kind == TRI_CALL_TASK) {
        tri_task_ready(core, call);
    } else if (call->kind == TRI_CALL_SPAWN) {
        tri_actor_creation_ready(core, call);
    } else if (first_in_lane(call)) {
        struct tri_actor *actor = call->actor;
        tri_lane_look(core, call->lane);
        tri_lanes_pump(core, actor);
    }
}

/* ------------------------------------------------------------------------------------------------------------- sending */

/* The call's sections with the values of its arguments behind them, in core->sections. */
uint32_t
tri_call_sections(struct tri_core *core, const struct tri_pending *call, const struct tri_section *sections,
                  uint32_t count)
{
    if (sections != core->sections)
        memcpy(core->sections, sections, count * sizeof *sections);
    for (uint32_t i = 0; i < call->need_count; i++) {
        core->sections[count] = call->needs[i].object->value->section;
        core->sections[count].place = call->needs[i].place + 1;
        count++;
    }
    return count;
}

/* The host's holds of what travels in a call: entries that stay references, and those of the values appended. */
void
tri_call_hand(struct tri_core *core, struct tri_pending *call, struct tri_peer *peer)
{
    tri_refs_hand(core, call->refs, peer);
    for (uint32_t i = 0; i < call->need_count; i++)
        tri_refs_hand(core, call->needs[i].object->contains, peer);
}

void
tri_call_sent(struct tri_core *core, struct tri_pending *call, struct tri_host *host, uint64_t packet)
{
    tri_timer_clear(&core->timers, &call->timer);
    tri_call_ungather(core, call);
    call->state = TRI_CALL_GIVEN;
    call->host = host;
    call->packet = packet;
    call->index = call->kind == TRI_CALL_SPAWN ? 0 : ++host->calls_sent;
    tri_list_append(&host->given, &call->link);
    host->outstanding++;
}

static void
forward(struct tri_core *core, struct tri_pending *call, const struct tri_route *from,
        const struct tri_section *sections, uint32_t count)
{
    struct tri_actor *actor = call->actor;
    struct tri_host *host = actor->host;
    struct tri_route route = *from;
    call->method = tri_method_of(actor, &sections[0]);
    route.epoch = actor->epoch;
    route.flags &= (uint16_t)~TRI_RETRIED;
    if (call->one_way) /* so that the host knows the lane */
        route.result.space = call->space;
    route.deadline_us = call->deadline_ns == TRI_NEVER ? 0 : (call->deadline_ns - core->now_ns) / 1000 + 1;
    if (call->need_count > 0)
        count = tri_call_sections(core, call, sections, count);
    if (call->refs != NULL)
        tri_call_hand(core, call, host->peer);
    uint64_t packet = tri_send(core, host->peer, &route, call->need_count > 0 ? core->sections : sections, count, true);
    if (call->needs != NULL)
        tri_call_unwant(core, call);
    tri_call_sent(core, call, host, packet);
    if (call->parcel != NULL)
        tri_parcel_free(&call->parcel);
}

/* What it takes of its host's window: itself, and the values of its arguments behind it. */
uint64_t
tri_call_bytes(const struct tri_pending *call, uint64_t bytes)
{
    for (uint32_t i = 0; i < call->need_count; i++)
        bytes += tri_envelope_bytes(&call->needs[i].object->value->section, 1) - tri_envelope_size(NULL, 0);
    return bytes;
}

/* Its arguments are there. Else it waits for them, or has failed. */
static bool
may_be_sent(struct tri_core *core, struct tri_pending *call)
{
    if (tri_call_need_failed(core, call)) /* it was lost in the meantime */
        return false;
    if (tri_call_is_here(core, call, call->parcel->sections, call->parcel->section_count))
        return true;
    if (tri_call_gather(core, call))
        tri_lane_look(core, call->lane);
    return false;
}

/* Sends on what can be, one call per lane in turn. */
void
tri_lanes_pump(struct tri_core *core, struct tri_actor *actor)
{
    while (!tri_list_empty(&actor->ready) && !core->barrier && tri_actor_takes(actor)) {
        struct tri_lane *lane = TRI_OWNER(actor->ready.next, struct tri_lane, link);
        struct tri_pending *call = TRI_OWNER(lane->calls.next, struct tri_pending, link);
        struct tri_parcel *parcel = call->parcel;
        if (call->deadline_ns <= core->now_ns) {
            tri_call_overdue(core, call);
            continue;
        }
        if (held_up(call)) {
            tri_lane_look(core, lane);
            continue;
        }
        if (!core->ops.has_credit(core->ops.user, actor->host->peer->index, tri_call_bytes(call, parcel->bytes)))
            return;
        if (!may_be_sent(core, call))
            continue;
        tri_list_remove(&lane->link); /* to the end of the turn */
        tri_list_append(&actor->ready, &lane->link);
        tri_call_unlink(core, call);
        forward(core, call, &parcel->route, parcel->sections, parcel->section_count);
    }
    tri_actor_drained(core, actor);
}

static void
lane_append(struct tri_core *core, struct tri_actor *actor, struct tri_pending *call)
{
    struct tri_id key = {call->parcel->route.acknowledged, actor->serial};
    struct tri_entry *entry = tri_table_find(&core->lanes, key);
    struct tri_lane *lane = entry != NULL ? TRI_OWNER(entry, struct tri_lane, entry) : NULL;
    call->parcel->route.acknowledged = 0;
    if (lane == NULL) {
        lane = tri_pool_take(&core->lanes_pool);
        lane->entry.id = key;
        lane->actor = actor;
        tri_list_init(&lane->calls);
        lane->stuck = held_up(call);
        tri_list_append(lane->stuck ? &actor->stuck : &actor->ready, &lane->link);
        tri_table_insert(&core->lanes, &lane->entry);
        actor->lane_count++;
    }
    call->lane = lane;
    call->state = TRI_CALL_QUEUED;
    tri_list_append(&lane->calls, &call->link);
    core->queued_calls++;
}

void
tri_lane_leave(struct tri_core *core, struct tri_pending *call)
{
    struct tri_lane *lane = call->lane;
    struct tri_actor *actor = lane->actor;
    tri_list_remove(&call->link);
    call->lane = NULL;
    core->queued_calls--;
    if (!tri_list_empty(&lane->calls)) {
        const struct tri_pending *first = TRI_OWNER(lane->calls.next, struct tri_pending, link);
        core->judge_waits = core->judge_waits || (first->missing > 0 && !tri_list_empty(&core->waits));
        tri_lane_look(core, lane);
        tri_settle(core, &actor->thing); /* its next call may go */
        return;
    }
    tri_list_remove(&lane->link);
    tri_table_remove(&core->lanes, &lane->entry);
    tri_pool_put(&core->lanes_pool, lane);
    actor->lane_count--;
}

/* ------------------------------------------------------------------------------------------------------------ the CALL */

/* It fails at once; its message is kept until then, for what is said of it. */
static void
refuse(struct tri_core *core, struct tri_pending *call, const struct tri_object *failed, uint32_t most,
       const struct tri_message *message)
{
    char text[TRI_NAME_MAX + 64];
    call->parcel = tri_parcel_new(message->route, message->sections, message->section_count, message->bytes);
    if (failed != NULL)
        tri_call_fail_need(core, call, failed);
    else if (most > 0)
        tri_call_fail(core, call, TRP_EAGAIN, "%s has %u calls waiting, its limit", tri_actor_text(call->actor, text),
                      most);
    else
        tri_call_fail_actor(core, call, call->actor);
}

static void
submit(struct tri_core *core, struct tri_pending *call, struct tri_actor *actor, const struct tri_message *message,
       uint64_t space)
{
    const struct tri_object *failed = failed_need(call);
    call->actor = actor;
    actor->pending++;
    if (actor->state == TRI_ACTOR_DEAD || actor->killed || (actor->closing && actor->stop_sent) ||
        (message->route->epoch != 0 && message->route->epoch != actor->epoch && actor->state != TRI_ACTOR_ABSENT)) {
        refuse(core, call, NULL, 0, message);
        return;
    }
    uint32_t most = actor->max_pending > 0 ? actor->max_pending : core->limits.pending_per_actor;
    if (failed != NULL || (most > 0 && actor->pending > most)) {
        refuse(core, call, failed, most, message);
        return;
    }
    struct tri_lane *lane = NULL;
    if (actor->lane_count > 0) {
        struct tri_entry *entry = tri_table_find(&core->lanes, (struct tri_id){space, actor->serial});
        lane = entry != NULL ? TRI_OWNER(entry, struct tri_lane, entry) : NULL;
    }
    const bool has_turn =
        lane == NULL && !held_up(call) && tri_actor_takes(actor) &&
        core->ops.has_credit(core->ops.user, actor->host->peer->index, tri_call_bytes(call, message->bytes));
    if (has_turn && tri_call_is_here(core, call, message->sections, message->section_count)) {
        forward(core, call, message->route, message->sections, message->section_count);
        return;
    }
    call->parcel = tri_parcel_new(message->route, message->sections, message->section_count, message->bytes);
    if (call->parcel == NULL || !tri_pool_reserve(&core->lanes_pool, 1) ||
        tri_table_reserve(&core->lanes, 1) != TRP_OK ||
        (call->deadline_ns != TRI_NEVER &&
         !tri_timer_set(&core->timers, &call->timer, TRI_TIMER_CALL, call->deadline_ns))) {
        tri_call_fail(core, call, TRP_ENOMEM, "the broker has no memory to queue the call");
        return;
    }
    call->parcel->route.acknowledged = space; /* read by lane_append */
    lane_append(core, actor, call);
    if (has_turn)
        tri_settle(core, &actor->thing); /* its arguments are to be brought into the arena */
}

static trp_err
check_call(const struct tri_core *core, const struct tri_peer *peer, const struct tri_message *message,
           trp_error *error)
{
    const struct tri_route *route = message->route;
    bool none = tri_id_is_none(route->result);
    if (((route->flags & TRI_TASK) != 0) != tri_id_is_none(route->target))
        return TRI_FAIL(error, TRP_EPROTO, "CALL has a target and flag TASK, or neither");
    if (none != ((route->flags & TRI_ONE_WAY) != 0))
        return TRI_FAIL(error, TRP_EPROTO, "CALL without a result that is not one-way, or one-way with one");
    if (!none && route->result.space != peer->entry.id.space)
        return TRI_FAIL(error, TRP_EPROTO, "CALL names its result in a space that is not the sender's");
    if ((route->flags & TRI_TASK) == 0 && route->sequence == 0)
        return TRI_FAIL(error, TRP_EPROTO, "CALL without a number in its lane");
    return tri_credit_check(core, peer, error);
}

/* The object of a name that a call is about to take; *object NULL: none yet. */
trp_err
tri_call_object(struct tri_core *core, struct tri_peer *peer, struct tri_id id, struct tri_object **object,
                trp_error *error)
{
    struct tri_thing *thing = tri_thing_find(core, id);
    char text[TRI_ID_TEXT_SIZE];
    (void)peer;
    *object = tri_as_object(thing);
    if (thing != NULL && (*object == NULL || ((*object)->state != TRI_OBJECT_UNKNOWN && core->config.incarnation < 2)))
        return TRI_FAIL(error, TRP_EPROTO, "the name %s is taken", tri_id_format(id, text));
    return TRP_OK;
}

/* One-way calls have no id: their caller hears how far the lane is accepted. */
void
tri_lane_tell(struct tri_core *core, const struct tri_route *lane, struct tri_peer *caller)
{
    struct tri_route route = {.kind = TRI_ACCEPTED, .acknowledged = lane->acknowledged};
    if (caller == NULL)
        return;
    route.target = lane->target;
    route.sequence = lane->sequence;
    tri_send(core, caller, &route, NULL, 0, false);
}

trp_err
tri_on_call(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const struct tri_route *route = message->route;
    bool task = (route->flags & TRI_TASK) != 0;
    struct tri_object *object = NULL;
    struct tri_refs *refs = NULL;
    struct tri_special *special = NULL;
    int32_t max_retries = 0;
    TRP_TRY(check_call(core, peer, message, error));
    bool one_way = (route->flags & TRI_ONE_WAY) != 0;
    if (!one_way) {
        TRP_TRY(tri_call_object(core, peer, route->result, &object, error));
        if (object != NULL && (object->call != NULL || object->state != TRI_OBJECT_UNKNOWN))
            return tri_recovery_call(core, peer, object->call, message, error);
    }
    if (task)
        TRP_TRY(tri_task_check(core, message, &special, &max_retries, error));
    trp_err err = tri_refs_take(core, peer, message->sections, message->section_count, &refs, error);
    if (err != TRP_OK) {
        tri_special_free(&special);
        return err;
    }
    struct tri_pending *call = tri_call_new(core, task ? TRI_CALL_TASK : TRI_CALL_ACTOR, peer, route->result);
    tri_credit_take(call, peer, message->bytes);
    call->special = special;
    call->max_retries = max_retries;
    call->one_way = one_way;
    call->space = peer->entry.id.space;
    call->no_retry = (route->flags & TRI_NO_RETRY) != 0;
    call->again = (route->flags & TRI_RETRIED) != 0;
    call->parent = route->parent;
    call->sequence = route->sequence;
    call->deadline_ns = tri_deadline_ns(core, route->deadline_us);
    if (!one_way) {
        if (refs != NULL)
            object = tri_as_object(tri_thing_find(core, route->result)); /* a call may carry its own name */
        tri_call_name(core, call, object, peer);
    } else if (task) { /* its end has to be seen: it gets a name of ours */
        call->id = (struct tri_id){core->config.incarnation << 32, ++core->next_serial};
        tri_call_name(core, call, NULL, NULL);
    }
    if (tri_call_needs(core, call, refs, NULL) != TRP_OK) {
        tri_call_fail(core, call, TRP_ENOMEM, "the broker has no memory for the call's arguments");
        return TRP_OK;
    }
    if (message->section_count + call->need_count > TRI_SECTIONS_MAX) {
        tri_call_fail(core, call, TRP_ELIMIT, "the call would have more than %d sections", TRI_SECTIONS_MAX);
        return TRP_OK;
    }
    if (call->object != NULL && call->object->cancelled) {
        call->parcel = tri_parcel_new(route, message->sections, message->section_count, message->bytes);
        tri_call_fail(core, call, TRP_ECANCELLED, "it was cancelled before it came to the broker");
        return TRP_OK;
    }
    if (task) {
        tri_task_submit(core, call, message);
        return TRP_OK;
    }
    struct tri_thing *target = tri_thing_find(core, route->target);
    if (target == NULL && tri_core_open(core) && tri_things_reserve(core, 1))
        target = &tri_actor_new(core, route->target)->thing;
    if (tri_as_actor(target) == NULL) {
        char text[TRI_ID_TEXT_SIZE];
        struct tri_route lane = {.target = route->target, .sequence = route->sequence, .acknowledged = route->sequence};
        if (one_way)
            tri_lane_tell(core, &lane, peer);
        tri_call_fail(core, call, TRP_EACTORDIED, "no actor %s is known on node '%s': it was never there, or has ended",
                      tri_id_format(route->target, text), core->node);
        return TRP_OK;
    }
    submit(core, call, tri_as_actor(target), message, peer->entry.id.space);
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------- cancelling */

void
tri_call_overdue(struct tri_core *core, struct tri_pending *call)
{
    double waited = (double)(core->now_ns - call->since_ns) / 1e9;
    if (call->missing > 0)
        tri_call_fail(core, call, TRP_ETIMEDOUT,
                      "the deadline passed after %.3f s, while the call waited for %u of its arguments", waited,
                      call->missing);
    else
        tri_call_fail(core, call, TRP_ETIMEDOUT, "the deadline passed after %.3f s, while the call waited for its turn",
                      waited);
}

static void
cancel_call(struct tri_core *core, struct tri_pending *call, bool asked)
{
    struct tri_host *host = call->host;
    call->cancelled = call->cancelled || asked;
    if (host != NULL && host->peer != NULL)
        tri_send_ids(core, host->peer, TRI_CANCEL, asked ? TRI_ASKED : 0, &call->id, 1);
    else if (host == NULL && !asked && call->deadline_ns != TRI_NEVER)
        tri_call_overdue(core, call); /* a caller's clock is ahead by the way here: it cancels what is overdue */
    else if (host == NULL)
        tri_call_fail(core, call, TRP_ECANCELLED, "it was cancelled before it was given to a host");
}

/* Its caller's deadline has passed, or somebody who holds the result asks for its end: of a call, and before that has ended. */
trp_err
tri_on_cancel(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const bool asked = (message->route->flags & TRI_ASKED) != 0;
    const struct tri_id *ids;
    uint32_t count;
    TRP_TRY(tri_ids_unpack(&message->sections[0], &ids, &count, error));
    for (uint32_t i = 0; i < count; i++) {
        struct tri_object *object = tri_as_object(tri_thing_find(core, ids[i]));
        struct tri_pending *call = object != NULL ? object->call : NULL;
        const bool is_caller = call != NULL && call->caller == peer;
        if (object == NULL || (!is_caller && (!asked || tri_hold_find(&object->thing, peer) == NULL)))
            continue;
        if (call == NULL)
            object->cancelled = object->cancelled || object->state == TRI_OBJECT_UNKNOWN;
        else if ((call->kind == TRI_CALL_ACTOR || call->kind == TRI_CALL_TASK) && call->state != TRI_CALL_ANSWERED &&
                 call->state != TRI_CALL_LEFT && call->state != TRI_CALL_UNCLAIMED)
            cancel_call(core, call, asked);
    }
    return TRP_OK;
}
