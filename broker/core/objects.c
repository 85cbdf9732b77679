/*
 * objects.c - objects: pending, ready, failed; where their values are, who waits for them, what they contain.
 */
#include "broker/core/state.h"

#include <string.h>

struct tri_object *
tri_object_new(struct tri_core *core, struct tri_id id, uint8_t state)
{
    struct tri_object *object = tri_pool_take(&core->objects_pool);
    object->thing.entry.id = id;
    object->thing.kind = TRI_THING_OBJECT;
    object->state = state;
    object->since_ds = (uint32_t)(core->now_ns / (TRI_NS_PER_S / 10));
    tri_list_init(&object->needs);
    tri_thing_add(core, &object->thing);
    core->object_count++;
    return object;
}

static bool
resolved(const struct tri_object *object)
{
    return object->state == TRI_OBJECT_READY || object->state == TRI_OBJECT_FAILED;
}

/* Its value does not lie here at its publisher's expense any more. */
static void
discharge(struct tri_object *object)
{
    if (object->charged)
        object->keeper->put_bytes -= object->value->bytes;
    object->charged = false;
}

void
tri_object_set_value(struct tri_object *object, struct tri_value *value)
{
    object->value = value;
    if (tri_object_stored(object))
        tri_depot_rest(value->section.frame, true);
}

struct tri_value *
tri_object_take_value(struct tri_object *object)
{
    struct tri_value *value = object->value;
    discharge(object);
    if (tri_object_stored(object))
        tri_depot_rest(value->section.frame, false);
    object->value = NULL;
    return value;
}

static void
drop_value(struct tri_object *object)
{
    struct tri_value *value = tri_object_take_value(object);
    tri_value_free(&value);
}

static void
forget(struct tri_core *core, struct tri_object *object)
{
    tri_object_keeper(core, object, NULL);
    tri_object_unasked(core, object);
    tri_refs_drop(core, &object->contains);
    drop_value(object);
    if (object->call != NULL)
        object->call->object = NULL;
    tri_table_remove(&core->things, &object->thing.entry);
    core->object_count--;
    tri_pool_put(&core->objects_pool, object);
}

/* Calls that waited for it. They may fail, and so resolve other objects, which come onto the list in their turn. */
static void
serve_needs(struct tri_core *core, struct tri_object *object)
{
    if (object->value == NULL) {
        tri_object_fetch(core, object);
        return;
    }
    while (!tri_list_empty(&object->needs))
        tri_call_need_ready(core, TRI_OWNER(object->needs.next, struct tri_need, link));
}

/* A host has it, and its maker may still say that it is the result of a call of its own: who then hears of it first is not known. */
static bool
may_be_claimed(struct tri_core *core, const struct tri_object *object)
{
    return object->recovered &&
           (tri_core_open(core) || (core->sweeping && tri_peer_of_space(core, object->thing.entry.id.space) != NULL));
}

static void
settle_object(struct tri_core *core, struct tri_object *object)
{
    struct tri_thing *thing = &object->thing;
    if (resolved(object) && !tri_list_empty(&object->needs))
        serve_needs(core, object);
    if (thing->settling) /* it comes again */
        return;
    if (tri_core_open(core) || object->wanted > 0 || thing->flights > 0)
        return;
    tri_object_relieve(core, object);
    if (thing->hold_count == 0 && object->call != NULL && object->call->kind == TRI_CALL_WATCH &&
        object->call->state != TRI_CALL_ANSWERED) {
        tri_call_end(core, object->call); /* nobody watches any more; then it comes again */
        return;
    }
    bool running = object->call != NULL; /* also answered: until its caller knows, a host has to have the result */
    if (may_be_claimed(core, object))
        return;
    if (thing->hold_count == 0 && !running) {
        forget(core, object);
    } else if (tri_object_stored(object)) {
        return;
    } else if (object->carried && thing->hold_count == 1 && resolved(object) && object->waiting == 0 &&
               thing->holds->has_value && thing->holds->seen == thing->holds->handed) {
        drop_value(object); /* its only holder has it */
    } else if (object->charged && object->waiting == 0 && tri_list_empty(&object->needs) &&
               object->keeper->put_bytes > core->limits.credit_bytes) {
        drop_value(object); /* its publisher has more here than it may: who wants it has it fetched */
    }
}

void
tri_settle_all(struct tri_core *core)
{
    while (core->settling != NULL) {
        struct tri_thing *thing = core->settling;
        core->settling = thing->settle_next;
        thing->settling = false;
        if (thing->kind == TRI_THING_OBJECT)
            settle_object(core, tri_as_object(thing));
        else
            tri_actor_settle(core, tri_as_actor(thing));
    }
}

/* -------------------------------------------------------------------------------------------------------------- values */

void
tri_object_keeper(struct tri_core *core, struct tri_object *object, struct tri_peer *keeper)
{
    if (object->keeper == keeper)
        return;
    if (object->keeper != NULL) {
        discharge(object);
        tri_list_remove(&object->kept_link);
        object->revoked |= object->fetching == object->keeper;
        if (!object->keeper->struck)
            tri_batch_add(core, object->keeper, &object->keeper->freed, tri_thing_id(&object->thing));
    }
    object->keeper = keeper;
    if (keeper != NULL)
        tri_list_append(&keeper->kept, &object->kept_link);
}

static void
send_value(struct tri_core *core, struct tri_object *object, struct tri_hold *hold)
{
    const struct tri_route route = {
        .kind = TRI_RESULT, .flags = object->value->failed ? TRI_FAILED : 0, .result = tri_thing_id(&object->thing)};
    tri_refs_hand(core, object->contains, hold->peer);
    hold->packet = tri_send(core, hold->peer, &route, &object->value->section, 1, false);
    hold->sent = true;
    hold->at_send = hold->handed;
    if (hold->waiting)
        object->waiting--;
    hold->waiting = false;
    tri_list_remove(&hold->sent_link);
    tri_list_append(&hold->peer->copies, &hold->sent_link);
}

static void
serve_waiting(struct tri_core *core, struct tri_object *object)
{
    for (struct tri_hold *hold = object->thing.holds; hold != NULL && object->waiting > 0; hold = hold->next)
        if (hold->waiting)
            send_value(core, object, hold);
}

static void
keep_value(struct tri_core *core, struct tri_object *object, const struct tri_section *section, bool failed)
{
    drop_value(object);
    tri_object_set_value(object, tri_value_new(section, failed));
    object->registered = object->value != NULL && tri_section_place(section) != NULL && section->ref_count == 0 &&
                         tri_depot_name(core->depot, section->frame, tri_thing_id(&object->thing), section->meta_size);
}

/* A value that leads back to itself would be kept for ever: by what it names, which is held as long as it is kept. */
void
tri_object_correct(struct tri_core *core, const struct tri_object *object, struct tri_peer *peer,
                   const struct tri_section *error)
{
    const struct tri_route route = {.kind = TRI_RESULT, .flags = TRI_FAILED, .result = object->thing.entry.id};
    tri_send(core, peer, &route, error, 1, false);
}

/* Its value, or error, is known. Takes `contains` over. `keeper` (may be NULL) keeps it until FREED. */
void
tri_object_resolve(struct tri_core *core, struct tri_object *object, const struct tri_route *route,
                   const struct tri_section *section, bool failed, struct tri_refs *contains, struct tri_peer *keeper)
{
    struct tri_thing *thing = &object->thing;
    bool answers_caller = object->call != NULL && object->call->caller != NULL;
    bool others = thing->hold_count > (answers_caller && thing->own.handed > 0 ? 1u : 0u);
    (void)route;
    object->state = failed ? TRI_OBJECT_FAILED : TRI_OBJECT_READY;
    tri_refs_drop(core, &object->contains);
    object->contains = contains;
    if (keeper != NULL)
        tri_object_keeper(core, object, keeper);
    thing->shared |= tri_section_place(section) != NULL; /* who reads it there pins it only meanwhile */
    if (others || thing->flights > 0 || object->waiting > 0 || object->wanted > 0 || thing->shared ||
        tri_core_open(core) || !answers_caller)
        keep_value(core, object, section, failed);
    if (tri_object_registered(object))
        tri_object_keeper(core, object, NULL);
    if (object->value != NULL)
        serve_waiting(core, object);
    tri_settle(core, thing);
}

void
tri_object_lost(struct tri_core *core, struct tri_object *object)
{
    struct tri_failure failure = {0};
    char text[TRI_ID_TEXT_SIZE];
    tri_fail(&failure.error, TRP_EOBJLOST, "object %s is lost: no process of node '%s' that had its value is left",
             tri_id_format(tri_thing_id(&object->thing), text), core->node);
    failure.error.ran = TRP_MAY_HAVE_RUN;
    tri_object_keeper(core, object, NULL);
    tri_object_resolve(core, object, NULL, tri_error_section(core, &failure), true, NULL, NULL);
}

/* Its maker waits for it, too, and is here: then the call that makes it is on its way again, behind the maker's snapshot. */
static bool
comes_again(struct tri_core *core, const struct tri_object *object)
{
    const struct tri_peer *maker = tri_peer_of_space(core, tri_thing_id(&object->thing).space);
    const struct tri_hold *hold = maker != NULL ? tri_hold_find(&object->thing, maker) : NULL;
    return object->state == TRI_OBJECT_UNKNOWN && object->coming && hold != NULL && !hold->has_value && !hold->sent;
}

/* Whom it was asked for has answered, or will not. */
void
tri_object_unasked(struct tri_core *core, struct tri_object *object)
{
    core->fetching -= object->fetching != NULL;
    object->fetching = NULL;
}

/* Asks somebody who has the value. */
void
tri_object_fetch(struct tri_core *core, struct tri_object *object)
{
    struct tri_id id = tri_thing_id(&object->thing);
    struct tri_peer *source = object->keeper;
    if (object->value != NULL || object->fetching != NULL || object->state == TRI_OBJECT_PENDING || core->barrier)
        return;
    for (struct tri_hold *hold = object->thing.holds; hold != NULL && source == NULL; hold = hold->next)
        if (hold->has_value || hold->sent)
            source = hold->peer;
    if (source == NULL) {
        if (!tri_core_open(core) && !comes_again(core, object))
            tri_object_lost(core, object);
        return;
    }
    object->fetching = source;
    core->fetching++;
    object->revoked = false;
    source->fetches++;
    tri_send_ids(core, source, TRI_FETCH, 0, &id, 1);
}

/* A copy of the value is gone with a process. Another one has to outlive the broker; or it is lost. */
void
tri_object_copies(struct tri_core *core, struct tri_object *object)
{
    struct tri_hold *spare = NULL;
    if (object->state == TRI_OBJECT_PENDING)
        return;
    bool sources = object->keeper != NULL || object->fetching != NULL; /* what was asked for is on its way */
    for (struct tri_hold *hold = object->thing.holds; hold != NULL; hold = hold->next) {
        sources = sources || hold->has_value || hold->sent;
        if (!hold->sent && !hold->has_value)
            spare = hold;
    }
    if (object->value != NULL) {
        if (!sources && spare != NULL && !tri_object_registered(object))
            send_value(core, object, spare);
    } else if (sources) {
        if (spare != NULL || object->thing.flights > 0 || object->waiting > 0 || !tri_list_empty(&object->needs) ||
            object->wanted > 0)
            tri_object_fetch(core, object);
    } else if (!tri_core_open(core) && (object->thing.hold_count > 0 || object->thing.flights > 0) &&
               !comes_again(core, object)) {
        tri_object_lost(core, object);
    }
}

/* The keeper need not keep it any longer once all holders have it, and its caller knows that the call has ended: one that
 * does not would send it again to a new broker, and it would run again. One holder that has it is not enough: it may go, and
 * then the broker, too, before another one has what it waits for. Of a value in the arena the others have its place alone, and
 * a new broker would free what lies there: it is kept as long as anybody holds the object. */
void
tri_object_relieve(struct tri_core *core, struct tri_object *object)
{
    const struct tri_pending *call = object->call;
    bool there = false;
    if (object->keeper == NULL || object->fetching != NULL || object->thing.flights > 0 ||
        may_be_claimed(core, object) || (tri_object_stored(object) && !object->registered))
        return;
    for (const struct tri_hold *hold = object->thing.holds; hold != NULL; hold = hold->next) {
        if (hold->peer == object->keeper)
            continue;
        if (!hold->has_value)
            return;
        there = there || call == NULL || call->caller == hold->peer;
    }
    if (there)
        tri_object_keeper(core, object, NULL);
}

/* A holder has acknowledged the RESULT that it was sent. */
void
tri_object_acknowledged(struct tri_core *core, struct tri_hold *hold)
{
    struct tri_object *object = tri_as_object(hold->thing);
    hold->has_value = true;
    hold->seen = hold->at_send;
    tri_object_relieve(core, object);
    tri_settle(core, hold->thing);
}

/* ------------------------------------------------------------------------------------------------------------ messages */

static void
put_value(struct tri_core *core, struct tri_peer *peer, struct tri_object *object, const struct tri_message *message,
          struct tri_refs *refs)
{
    bool failed = (message->route->flags & TRI_FAILED) != 0;
    const struct tri_section *section = &message->sections[0];
    struct tri_failure failure = {0};
    if (!failed && tri_object_leads_to(core, refs, object)) {
        tri_refs_drop(core, &refs);
        tri_fail(&failure.error, TRP_ECYCLE, "the value of an object leads back to the object itself");
        section = tri_error_section(core, &failure);
        failed = true;
        tri_object_correct(core, object, peer, section);
    }
    struct tri_peer *keeper = object->keeper == NULL && !object->revoked ? peer : object->keeper;
    object->revoked = object->revoked && object->fetching != NULL;
    tri_object_resolve(core, object, message->route, section, failed, refs, keeper);
    if (object->value == NULL)
        keep_value(core, object, section, failed);
    if (object->keeper == peer && object->value != NULL && !object->charged) {
        object->charged = true;
        peer->put_bytes += object->value->bytes;
    }
    if (object->keeper != peer && keeper != peer) /* whoever sends a value keeps it until it is told not to */
        tri_batch_add(core, peer, &peer->freed, tri_thing_id(&object->thing));
}

/* The result that its caller had no room for (left.c). */
static trp_err
left_comes(struct tri_core *core, struct tri_peer *peer, struct tri_object *object, const struct tri_message *message,
           trp_error *error)
{
    struct tri_refs *refs = NULL;
    TRP_TRY(tri_refs_take(core, peer, message->sections, 1, &refs, error));
    tri_value_take(core, peer, object, message, refs);
    return TRP_OK;
}

trp_err
tri_on_put(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    struct tri_id id = message->route->result;
    bool fetched = (message->route->flags & TRI_FETCHED) != 0;
    struct tri_thing *thing = tri_thing_find(core, id);
    struct tri_object *object = tri_as_object(thing);
    if (tri_id_is_none(id) || message->section_count != 1 || (thing != NULL && object == NULL))
        return TRI_FAIL(error, TRP_EPROTO, "PUT of something that is no object, or without one value");
    if (!fetched && id.space != peer->entry.id.space)
        return TRI_FAIL(error, TRP_EPROTO, "PUT under a name of another process");
    if (fetched && peer->fetches == 0)
        return TRI_FAIL(error, TRP_EPROTO, "PUT as an answer to FETCH, of which there was none");
    peer->fetches -= fetched;
    if (object == NULL && fetched) { /* it was freed while it was fetched */
        core->dropped++;
        tri_batch_add(core, peer, &peer->freed, id);
        return TRP_OK;
    }
    struct tri_pending *left = fetched && object->call != NULL ? object->call : NULL;
    if (left != NULL && left->state == TRI_CALL_LEFT && left->host == peer->host)
        return left_comes(core, peer, object, message, error);
    bool wanted = object == NULL || object->state == TRI_OBJECT_UNKNOWN ||
                  (resolved(object) && object->value == NULL && object->fetching == peer);
    struct tri_refs *refs = NULL;
    if (wanted)
        TRP_TRY(tri_refs_take(core, peer, message->sections, 1, &refs, error));
    object = tri_as_object(tri_thing_find(core, id)); /* a value may name itself */
    if (object == NULL)
        object = tri_object_new(core, id, TRI_OBJECT_UNKNOWN);
    if (!fetched && object->thing.own.handed == 0)
        tri_hold_hand(core, &object->thing, peer, 1);
    object->thing.shared = true;
    if (fetched && object->fetching == peer)
        tri_object_unasked(core, object);
    struct tri_hold *hold = tri_hold_find(&object->thing, peer);
    if (hold != NULL && object->state != TRI_OBJECT_PENDING)
        hold->has_value = true;
    if (hold != NULL && wanted)
        hold->seen = hold->handed;
    if (wanted)
        put_value(core, peer, object, message, refs);
    else if (object->keeper != peer)
        tri_batch_add(core, peer, &peer->freed, id);
    return TRP_OK;
}

void
tri_object_wait(struct tri_core *core, struct tri_peer *peer, struct tri_id id)
{
    struct tri_thing *thing = tri_thing_find(core, id);
    struct tri_object *object = tri_as_object(thing);
    struct tri_hold *hold = object != NULL ? tri_hold_find(thing, peer) : NULL;
    char text[TRI_ID_TEXT_SIZE];
    if (thing != NULL && object == NULL) {
        tri_answer_error(core, peer, id, TRP_EINVAL, "%s is an actor: there is no value to wait for",
                         tri_id_format(id, text));
        return;
    }
    if (hold == NULL) {
        tri_answer_error(core, peer, id, TRP_EOBJLOST, "object %s is unknown on node '%s'", tri_id_format(id, text),
                         core->node);
        return;
    }
    /* An answer that was sent to a caller that had let go brought nothing. */
    bool answers = object->call != NULL && object->call->caller == peer && object->call->state != TRI_CALL_ANSWERED;
    if (hold->sent || hold->waiting || answers)
        return;
    if (object->value != NULL && resolved(object)) {
        send_value(core, object, hold);
        return;
    }
    hold->waiting = true;
    object->waiting++;
    hold->has_value = false; /* or it would not ask */
    tri_object_fetch(core, object);
}

trp_err
tri_on_wait(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const struct tri_id *ids;
    uint32_t count;
    TRP_TRY(tri_ids_unpack(&message->sections[0], &ids, &count, error));
    for (uint32_t i = 0; i < count; i++)
        tri_object_wait(core, peer, ids[i]);
    return TRP_OK;
}
