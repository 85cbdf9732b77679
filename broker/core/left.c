/*
 * left.c - results for which their callers have no room: a process that stands still takes nothing of what it is sent. Such a
 * result stays with its host, which keeps it anyway, and its call has not ended before it is FETCHed. Until then no further
 * calls of that caller are given to hosts; those of others go on. It must not know how much is on its way to whom (ops.unread).
 */
#include "broker/core/state.h"

static bool
fits(const struct tri_core *core, const struct tri_peer *peer, uint64_t bytes)
{
    const uint64_t unread = core->ops.unread(core->ops.user, peer->index) + peer->coming;
    return unread == 0 || unread + bytes <= core->limits.unread_bytes;
}

/* Somebody else has it, or waits for it: then it is taken in any case. And who is sent its own results would wait for itself. */
static bool
only_its_callers(const struct tri_peer *host, const struct tri_pending *call)
{
    const struct tri_object *object = call->object;
    return call->caller != NULL && call->caller != host && !call->caller->struck && !call->one_way &&
           object->thing.own.handed > 0 && object->thing.hold_count == 1 && object->thing.flights == 0 &&
           object->waiting == 0 && object->wanted == 0;
}

bool
tri_result_left(struct tri_core *core, struct tri_peer *peer, struct tri_pending *call, uint64_t bytes)
{
    struct tri_host *host = call->host;
    struct tri_peer *caller = call->caller;
    if (caller == NULL || tri_has_room(core, caller, bytes) || !only_its_callers(peer, call))
        return false;
    const bool accepted = call->told;
    tri_call_unlink(core, call);
    call->told = true;
    call->state = TRI_CALL_LEFT;
    call->host = host;
    call->packet = bytes;
    tri_list_append(&host->left, &call->link);
    tri_list_append(&caller->left, &call->actor_link);
    tri_object_keeper(core, call->object, peer);
    if (!accepted)
        tri_batch_add(core, caller, &caller->accepted, call->id);
    return true;
}

/* Its caller has room, or is gone, and others want it. */
static void
ask(struct tri_core *core, struct tri_pending *call)
{
    struct tri_peer *keeper = call->host->peer;
    tri_list_remove(&call->actor_link);
    if (call->asked || keeper == NULL || keeper->struck) /* who is gone is known to be dead soon */
        return;
    call->asked = true;
    keeper->fetches++;
    if (call->caller != NULL)
        call->caller->coming += call->packet;
    tri_send_ids(core, keeper, TRI_FETCH, 0, &call->id, 1);
}

void
tri_left_alone(struct tri_core *core, struct tri_pending *call, bool wanted)
{
    if (wanted) {
        ask(core, call);
        return;
    }
    call->object->state = TRI_OBJECT_UNKNOWN; /* under a new broker somebody may still say that he holds it */
    tri_call_end(core, call);
}

/* It is not left there any more: its result has come, or nobody wants it, or its host has died. */
void
tri_left_end(struct tri_core *core, struct tri_pending *call)
{
    struct tri_host *host = call->host;
    tri_list_remove(&call->link);
    tri_list_remove(&call->actor_link);
    if (call->asked && call->caller != NULL)
        call->caller->coming -= call->packet;
    call->asked = false;
    call->host = NULL;
    if (host->actor != NULL && host->actor->closing)
        tri_settle(core, &host->actor->thing);
}

/* A call that its caller's standing still holds up, or did. */
void
tri_call_turn(struct tri_core *core, struct tri_pending *call)
{
    if (call->state != TRI_CALL_QUEUED)
        return;
    if (call->lane != NULL) {
        tri_lane_look(core, call->lane);
        tri_settle(core, &call->actor->thing);
    } else if (call->held) {
        call->held = false;
        tri_list_remove(&call->link);
        tri_list_append(&core->tasks, &call->link);
        core->tasks_changed = true;
    }
}

/* Of what it was sent it has taken some, or something does not come. */
void
tri_left_look(struct tri_core *core, struct tri_peer *peer)
{
    while (!tri_list_empty(&peer->left)) {
        struct tri_pending *call = TRI_OWNER(peer->left.next, struct tri_pending, actor_link);
        if (!fits(core, peer, call->packet))
            return;
        ask(core, call);
    }
    if (!fits(core, peer, core->limits.unread_bytes / 2))
        return;
    peer->full = false;
    TRI_EACH(&peer->calls, node)
    tri_call_turn(core, TRI_OWNER(node, struct tri_pending, caller_link));
}

void
tri_left_look_all(struct tri_core *core)
{
    for (size_t i = 0; i < core->peer_capacity; i++)
        if (core->peers[i] != NULL && core->peers[i]->full)
            tri_left_look(core, core->peers[i]);
}
