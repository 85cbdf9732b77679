/*
 * results.c - how calls end: RESULT, the death of a host, and the acknowledgements of hosts (a call is accepted) and of
 * callers (they have their result).
 */
#include "broker/core/state.h"

/* ---------------------------------------------------------------------------------------------------------- the RESULT */

/* Takes a call out of whatever it waits in. */
void
tri_call_unlink(struct tri_core *core, struct tri_pending *call)
{
    if (call->state == TRI_CALL_QUEUED && call->lane != NULL) {
        tri_lane_leave(core, call);
    } else if (call->state == TRI_CALL_QUEUED) {
        tri_list_remove(&call->link);
        core->queued_tasks--;
    } else if (call->state == TRI_CALL_GIVEN || call->state == TRI_CALL_ACCEPTED) {
        struct tri_host *host = call->host;
        tri_list_remove(&call->link);
        host->outstanding--;
        host->found -= call->found;
        call->found = false;
        call->host = NULL;
        if (call->kind == TRI_CALL_TASK)
            tri_task_left(core, host, call);
    } else if (call->state == TRI_CALL_LEFT) {
        tri_left_end(core, call);
    } else {
        tri_list_remove(&call->link);
    }
    call->state = TRI_CALL_WAITING;
}

static void
leave_actor(struct tri_core *core, struct tri_pending *call)
{
    struct tri_actor *actor = call->actor;
    tri_list_remove(&call->actor_link);
    call->actor = NULL;
    if (actor == NULL)
        return;
    if (call->kind == TRI_CALL_ACTOR)
        actor->pending--;
    if (call->kind == TRI_CALL_SPAWN && actor->creation == call)
        actor->creation = NULL;
    if (actor->closing || actor->state == TRI_ACTOR_DEAD)
        tri_settle(core, &actor->thing);
}

static void
strip(struct tri_core *core, struct tri_pending *call)
{
    if (call->state != TRI_CALL_ANSWERED)
        tri_call_unlink(core, call);
    else
        tri_list_remove(&call->link);
    tri_timer_clear(&core->timers, &call->timer);
    tri_call_ungather(core, call);
    if (call->needs != NULL)
        tri_call_unwant(core, call);
    tri_refs_drop(core, &call->refs);
    tri_parcel_free(&call->parcel);
    tri_special_free(&call->special);
    leave_actor(core, call);
}

/* What becomes of a call whose host is gone: index says whether it had started. */
void
tri_call_dead_host(struct tri_core *core, struct tri_pending *call, struct tri_host *host,
                   const struct tri_death *death)
{
    trp_ran ran = call->state == TRI_CALL_LEFT ? TRP_RAN : TRP_MAY_HAVE_RUN;
    if (ran == TRP_MAY_HAVE_RUN && death != NULL && death->present && call->index > 0) {
        ran = call->index > death->started ? TRP_NOT_RUN : ran;
        ran = call->index <= death->finished ? TRP_RAN : ran;
    }
    (void)host;
    if (call->cancelled) {
        if (ran == TRP_NOT_RUN && call->kind == TRI_CALL_TASK && (call->again || call->retries > 0)) {
            ran = TRP_MAY_HAVE_RUN; /* not here, but on another host before */
            call->retries -= call->retries > 0;
        }
        tri_call_fail_death(core, call, ran, death, NULL);
        return;
    }
    if (call->kind == TRI_CALL_TASK && call->parcel != NULL) {
        const int32_t most = tri_task_retries(core, call, &call->parcel->sections[0]);
        if (ran == TRP_NOT_RUN || most < 0 || call->retries < (uint32_t)most) {
            tri_call_unlink(core, call);
            call->retries += ran != TRP_NOT_RUN && call->retries < UINT8_MAX;
            tri_task_requeue(core, call);
            return;
        }
    } else if (call->kind == TRI_CALL_TASK && tri_core_open(core) && call->object != NULL) {
        call->object->state = TRI_OBJECT_UNKNOWN; /* its caller will send it again */
        tri_call_end(core, call);
        return;
    }
    tri_call_fail_death(core, call, ran, death, NULL);
}

void
tri_call_end(struct tri_core *core, struct tri_pending *call)
{
    strip(core, call);
    tri_credit_return(core, call);
    tri_list_remove(&call->caller_link);
    if (call->object != NULL) {
        call->object->call = NULL;
        tri_object_relieve(core, call->object);
        tri_settle(core, &call->object->thing);
    }
    tri_pool_put(&core->calls_pool, call);
}

/* The call has its outcome: it goes to the caller, to who else waits, and to the calls that depend on it. `section` must
 * stay good meanwhile; `contains` is taken over. */
void
tri_call_finish(struct tri_core *core, struct tri_pending *call, const struct tri_route *route,
                const struct tri_section *section, bool failed, struct tri_refs *contains, struct tri_peer *keeper)
{
    struct tri_object *object = call->quiet ? tri_quiet_name(core, call) : call->object;
    struct tri_peer *caller = call->caller;
    if (object == NULL && call->kind == TRI_CALL_ACTOR && caller != NULL && call->actor != NULL) {
        struct tri_route lane = {.target = tri_thing_id(&call->actor->thing), .sequence = call->sequence};
        lane.acknowledged = call->sequence; /* it failed, and says nothing of those before it */
        tri_lane_tell(core, &lane, caller);
    }
    strip(core, call);
    if (object == NULL) {
        tri_refs_drop(core, &contains);
        tri_call_end(core, call);
        return;
    }
    struct tri_hold *own = &object->thing.own;
    tri_object_resolve(core, object, route, section, failed, contains, keeper);
    if (caller == NULL || caller->struck || own->sent || call->one_way) {
        tri_call_end(core, call);
        return;
    }
    struct tri_route answer = {.kind = TRI_RESULT};
    answer.result = call->id;
    answer.flags = failed ? TRI_FAILED : 0;
    if (own->handed > 0) {
        tri_refs_hand(core, contains, caller);
        own->sent = true;
        own->at_send = own->handed;
        if (own->waiting) {
            own->waiting = false;
            object->waiting--;
        }
    } else { /* it let the result go: that it has ended is all it needs to know */
        answer.flags = 0;
        section = &core->null_packed.section;
    }
    call->packet = tri_send(core, caller, &answer, section, 1, false);
    call->state = TRI_CALL_ANSWERED;
    tri_list_append(&caller->answered, &call->link);
}

void
tri_value_take(struct tri_core *core, struct tri_peer *peer, struct tri_object *object,
               const struct tri_message *message, struct tri_refs *refs)
{
    const struct tri_section *section = &message->sections[0];
    bool failed = (message->route->flags & TRI_FAILED) != 0;
    if (refs != NULL && tri_object_leads_to(core, refs, object)) {
        struct tri_failure failure = {0};
        tri_refs_drop(core, &refs);
        tri_fail_cycle(&failure.error);
        section = tri_error_section(core, &failure);
        failed = true;
        tri_object_correct(core, object, peer, section);
    }
    if (object->call != NULL)
        tri_call_finish(core, object->call, message->route, section, failed, refs, peer);
    else
        tri_object_resolve(core, object, message->route, section, failed, refs, peer);
}

/* Under a new broker a process tells what it keeps before anybody asks. */
static trp_err
kept_result(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    struct tri_id id = message->route->result;
    struct tri_thing *thing = tri_thing_find(core, id);
    struct tri_refs *refs = NULL;
    if (thing != NULL && thing->kind != TRI_THING_OBJECT)
        return TRI_FAIL(error, TRP_EPROTO, "RESULT of something that is no call");
    TRP_TRY(tri_refs_take(core, peer, message->sections, 1, &refs, error));
    struct tri_object *object = tri_as_object(tri_thing_find(core, id));
    if (object == NULL)
        object = tri_object_new(core, id, TRI_OBJECT_UNKNOWN);
    object->thing.shared = true;
    object->recovered = true;
    if (object->value != NULL || (object->call != NULL && peer->host == NULL))
        tri_refs_drop(core, &refs);
    else
        tri_value_take(core, peer, object, message, refs);
    return TRP_OK;
}

trp_err
tri_on_result(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const struct tri_route *route = message->route;
    char text[TRI_ID_TEXT_SIZE];
    if (message->section_count != 1 || tri_id_is_none(route->result))
        return TRI_FAIL(error, TRP_EPROTO, "RESULT without a name or with %u sections", message->section_count);
    if (peer->reporting)
        return kept_result(core, peer, message, error);
    if (peer->host == NULL)
        return TRI_FAIL(error, TRP_EPROTO, "RESULT from a process that is no host and does not report");
    struct tri_object *object = tri_as_object(tri_thing_find(core, route->result));
    struct tri_pending *call = object != NULL ? object->call : NULL;
    if (call == NULL || call->host != peer->host ||
        (call->state != TRI_CALL_GIVEN && call->state != TRI_CALL_ACCEPTED)) {
        if (peer->host->ending) {
            core->dropped++;
            return TRP_OK;
        }
        return TRI_FAIL(error, TRP_EPROTO, "RESULT of %s, a call that this host was not given",
                        tri_id_format(route->result, text));
    }
    const bool is_stored =
        tri_section_place(&message->sections[0]) != NULL; /* next to nothing, and nobody else keeps it */
    if (!is_stored && tri_result_left(core, peer, call, message->bytes))
        return TRP_OK;
    struct tri_refs *refs = NULL;
    if (message->sections[0].ref_count > 0)
        TRP_TRY(tri_refs_take(core, peer, message->sections, 1, &refs, error));
    tri_value_take(core, peer, object, message, refs);
    return TRP_OK;
}

/* -------------------------------------------------------------------------------------------------- acknowledgements */

void
tri_caller_acknowledged(struct tri_core *core, struct tri_peer *peer, uint64_t sequence)
{
    while (!tri_list_empty(&peer->answered)) {
        struct tri_pending *call = TRI_OWNER(peer->answered.next, struct tri_pending, link);
        if (call->packet > sequence)
            break;
        if (call->quiet) {
            tri_quiet_acknowledged(core, call);
            continue;
        }
        struct tri_object *object = call->object;
        struct tri_hold *own = object != NULL ? &object->thing.own : NULL;
        if (own != NULL && own->sent && !object->thing.shared && own->handed > 0)
            tri_hold_end(core, own); /* nobody else knows of it: private again */
        else if (own != NULL && own->sent && own->handed > 0 && tri_list_empty(&own->sent_link))
            tri_object_acknowledged(core, own); /* not that of a copy, sent after the caller had let go of this one */
        tri_call_end(core, call);
    }
    while (!tri_list_empty(&peer->copies)) {
        struct tri_hold *hold = TRI_OWNER(peer->copies.next, struct tri_hold, sent_link);
        if (hold->packet > sequence)
            break;
        tri_list_remove(&hold->sent_link);
        tri_object_acknowledged(core, hold);
    }
}

/* A SPAWN is over: its caller need not keep it. */
void
tri_call_spawned(struct tri_core *core, const struct tri_pending *call)
{
    if (call->caller != NULL && !call->caller->struck && call->actor != NULL)
        tri_batch_add(core, call->caller, &call->caller->accepted, tri_thing_id(&call->actor->thing));
}

void
tri_host_acknowledged(struct tri_core *core, struct tri_host *host, uint64_t sequence)
{
    struct tri_route lane = {0};
    struct tri_peer *teller = NULL;
    while (!tri_list_empty(&host->given)) {
        struct tri_pending *call = TRI_OWNER(host->given.next, struct tri_pending, link);
        if (call->packet > sequence)
            break;
        if (call->kind == TRI_CALL_SPAWN) {
            tri_call_spawned(core, call);
            tri_call_end(core, call);
            continue;
        }
        if (call->one_way && call->kind == TRI_CALL_ACTOR) {
            if (call->caller != teller)
                tri_lane_tell(core, &lane, teller);
            teller = call->caller;
            lane.target = tri_thing_id(&call->actor->thing);
            lane.sequence = call->sequence;
            tri_call_end(core, call);
            continue;
        }
        tri_list_remove(&call->link);
        tri_list_append(&host->accepted, &call->link);
        call->state = TRI_CALL_ACCEPTED;
        call->told = call->kind != TRI_CALL_ACTOR;
        if (call->told || !tri_list_empty(&host->untold))
            continue;
        tri_list_append(&core->untold, &host->untold);
    }
    tri_lane_tell(core, &lane, teller);
    if (host->actor != NULL)
        tri_lanes_pump(core, host->actor);
    else if (host->kind == TRI_HOST_POOL && core->queued_tasks > 0)
        core->tasks_changed = true;
}
