/*
 * wishes.c - values that have to be in the arena before something can go on: the arguments of a call that a host is to get, and
 * what a process wants to read (WANT). How they get there, depot.c and its neighbours know.
 */
#include "broker/core/state.h"

/* Who wished for it: a call, or a process. */
struct tri_wish {
    struct tri_node link;     /* core->wishes */
    struct tri_pending *call; /* NULL: */
    struct tri_peer *peer;    /* of this process, */
    struct tri_id id;         /* the object's value */
    struct tri_gather *gather;
    bool granted;
};

static void
wish_free(struct tri_core *core, struct tri_wish *wish)
{
    if (wish->call != NULL) {
        core->gathering -= wish->call->kind == TRI_CALL_TASK;
        core->tasks_changed = true; /* another one may send for its arguments */
        wish->call->wish = NULL;
    }
    tri_depot_let_go(core->depot, &wish->gather);
    tri_list_remove(&wish->link);
    free(wish);
}

static trp_err
wish_new(struct tri_core *core, struct tri_buf *const *bufs, uint32_t count, uint64_t deadline_ns, bool is_call,
         struct tri_wish **made, trp_error *error)
{
    struct tri_wish *wish = calloc(1, sizeof *wish);
    if (wish == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory to restore objects");
    const trp_err err = tri_depot_gather(core->depot, bufs, count, deadline_ns, is_call, wish, &wish->gather, error);
    if (err != TRP_OK) {
        free(wish);
        return err;
    }
    tri_list_append(&core->wishes, &wish->link);
    *made = wish;
    return TRP_OK;
}

/* What it had is damaged: the object's value is that error from now on. */
static void
spoil(struct tri_core *core, struct tri_object *object, const trp_error *why)
{
    struct tri_failure failure = {.error = *why};
    tri_text_copy(failure.error.node, sizeof failure.error.node, core->node);
    failure.error.ran = TRP_RAN;
    for (struct tri_hold *hold = object->thing.holds; hold != NULL; hold = hold->next)
        hold->has_value = false; /* what it has is a place */
    tri_object_keeper(core, object, NULL);
    tri_object_resolve(core, object, NULL, tri_error_section(core, &failure), true, NULL, NULL);
}

static bool
spoil_if_lost(struct tri_core *core, struct tri_object *object)
{
    const trp_error *why = tri_object_stored(object) ? tri_depot_lost(object->value->section.frame) : NULL;
    if (why != NULL)
        spoil(core, object, why);
    return why != NULL;
}

/* --------------------------------------------------------------------------------------------------------------- calls */

/* Adds the section's value; *absent, if it is not in the arena. */
static void
add_value(const struct tri_section *section, struct tri_buf **bufs, uint32_t *count, bool *absent)
{
    if (tri_section_place(section) == NULL)
        return;
    *absent = *absent || !tri_depot_is_here(section->frame);
    bufs[(*count)++] = section->frame;
}

/* Of all that the host would get with it. */
static uint32_t
values_of(const struct tri_pending *call, const struct tri_section *sections, uint32_t section_count,
          struct tri_buf **bufs, bool *absent)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < section_count; i++)
        add_value(&sections[i], bufs, &count, absent);
    for (uint32_t i = 0; i < call->need_count; i++)
        add_value(&call->needs[i].object->value->section, bufs, &count, absent);
    return count;
}

bool
tri_call_is_here(const struct tri_core *core, const struct tri_pending *call, const struct tri_section *sections,
                 uint32_t section_count)
{
    struct tri_buf *bufs[2 * TRI_SECTIONS_MAX];
    bool absent = false;
    if (core->depot == NULL || (section_count <= 1 && call->need_count == 0))
        return true;
    if (call->wish != NULL)
        return call->wish->granted;
    (void)values_of(call, sections, section_count, bufs, &absent);
    return !absent;
}

bool
tri_call_is_gathering(const struct tri_pending *call)
{
    return call->wish != NULL && !call->wish->granted;
}

bool
tri_call_gather(struct tri_core *core, struct tri_pending *call)
{
    struct tri_buf *bufs[2 * TRI_SECTIONS_MAX];
    bool absent = false;
    trp_error why;
    const uint32_t count = values_of(call, call->parcel->sections, call->parcel->section_count, bufs, &absent);
    const trp_err err = wish_new(core, bufs, count, TRI_NEVER, true, &call->wish, &why);
    if (err != TRP_OK) {
        tri_call_fail(core, call, err, "%s", why.message);
        return false;
    }
    call->wish->call = call;
    call->missing++;
    core->gathering += call->kind == TRI_CALL_TASK;
    return true;
}

void
tri_call_ungather(struct tri_core *core, struct tri_pending *call)
{
    if (call->wish == NULL)
        return;
    call->missing -= !call->wish->granted;
    wish_free(core, call->wish);
}

static void
fail_call(struct tri_core *core, struct tri_pending *call, trp_err err, const trp_error *error)
{
    for (uint32_t i = 0; i < call->need_count; i++)
        (void)spoil_if_lost(core, call->needs[i].object);
    tri_call_ungather(core, call);
    if (!tri_call_need_failed(core, call))
        tri_call_fail(core, call, err, "its arguments cannot be restored: %s", error->message);
}

/* --------------------------------------------------------------------------------------------------------------- WANT */

static void
say_here(struct tri_core *core, struct tri_peer *peer, struct tri_id id, const struct tri_section *value, bool failed)
{
    const struct tri_route route = {.kind = TRI_HERE, .flags = failed ? TRI_FAILED : 0, .result = id};
    struct tri_section said = *value;
    said.place = 0;
    said.ref_count = 0; /* it has what the value names */
    said.refs = NULL;
    tri_send(core, peer, &route, &said, 1, false);
}

static void
say_absent(struct tri_core *core, struct tri_peer *peer, struct tri_id id, const trp_error *error)
{
    struct tri_failure failure = {.error = *error};
    tri_text_copy(failure.error.node, sizeof failure.error.node, core->node);
    say_here(core, peer, id, tri_error_section(core, &failure), true);
}

/* The object, if this process holds it; else it hears that it does not. */
static struct tri_object *
held_by(struct tri_core *core, struct tri_peer *peer, struct tri_id id)
{
    struct tri_thing *thing = tri_thing_find(core, id);
    struct tri_object *object = tri_as_object(thing);
    trp_error error;
    char text[TRI_ID_TEXT_SIZE];
    if (object != NULL && tri_hold_find(thing, peer) != NULL)
        return object;
    (void)TRI_FAIL(&error, TRP_EOBJLOST, "object %s is unknown on node '%s'", tri_id_format(id, text), core->node);
    say_absent(core, peer, id, &error);
    return NULL;
}

static void
wish_for(struct tri_core *core, struct tri_peer *peer, struct tri_object *object, uint64_t deadline_ns)
{
    struct tri_wish *wish = NULL;
    trp_error why;
    const trp_err err = wish_new(core, &object->value->section.frame, 1, deadline_ns, false, &wish, &why);
    if (err != TRP_OK) {
        say_absent(core, peer, tri_thing_id(&object->thing), &why);
        return;
    }
    wish->peer = peer;
    wish->id = tri_thing_id(&object->thing);
}

/* A value that a process has the place of and did not find there. */
trp_err
tri_on_want(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const struct tri_id id = message->route->result;
    if (peer->tenant == TRI_NO_TENANT)
        return TRI_FAIL(error, TRP_EPROTO, "%s on a node without an arena", tri_kind_name(message->route->kind));
    if (tri_id_is_none(id))
        return TRI_FAIL(error, TRP_EPROTO, "WANT of nothing");
    struct tri_object *object = held_by(core, peer, id);
    if (object == NULL)
        return TRP_OK;
    (void)spoil_if_lost(core, object);
    if (object->value == NULL || (object->state != TRI_OBJECT_FAILED && !tri_object_stored(object))) {
        tri_object_wait(core, peer, id); /* a new broker is going to hear of it */
        return TRP_OK;
    }
    const struct tri_section *value = &object->value->section;
    if (object->state == TRI_OBJECT_FAILED || tri_depot_is_here(value->frame)) {
        if (object->state != TRI_OBJECT_FAILED)
            tri_depot_touch(value->frame);
        say_here(core, peer, id, value, object->state == TRI_OBJECT_FAILED);
        return TRP_OK;
    }
    wish_for(core, peer, object, tri_deadline_ns(core, message->route->deadline_us));
    return TRP_OK;
}

static void
answer_want(struct tri_core *core, struct tri_wish *wish, const struct tri_gathered *gathered)
{
    struct tri_object *object = held_by(core, wish->peer, wish->id);
    if (object == NULL)
        return;
    (void)spoil_if_lost(core, object);
    const bool failed = object->state == TRI_OBJECT_FAILED && object->value != NULL;
    if (failed || (gathered->err == TRP_OK && tri_object_stored(object)))
        say_here(core, wish->peer, wish->id, &object->value->section, failed);
    else if (gathered->err != TRP_OK)
        say_absent(core, wish->peer, wish->id, gathered->error);
    else
        tri_object_wait(core, wish->peer, wish->id);
}

/* -------------------------------------------------------------------------------------------------------------- granted */

void
tri_wishes_look(struct tri_core *core)
{
    struct tri_gathered gathered;
    while (tri_depot_gathered(core->depot, &gathered)) {
        struct tri_wish *wish = gathered.user;
        if (wish->call == NULL) {
            answer_want(core, wish, &gathered);
            wish_free(core, wish);
        } else if (gathered.err != TRP_OK) {
            const trp_error error = *gathered.error;
            fail_call(core, wish->call, gathered.err, &error);
        } else {
            wish->granted = true;
            wish->call->missing--;
            tri_call_proceed(core, wish->call);
        }
        tri_event_end(core);
    }
}

void
tri_wishes_leave(struct tri_core *core, const struct tri_peer *peer)
{
    struct tri_node *next;
    for (struct tri_node *node = core->wishes.next; node != &core->wishes; node = next) {
        struct tri_wish *wish = TRI_OWNER(node, struct tri_wish, link);
        next = node->next;
        if (wish->call == NULL && wish->peer == peer)
            wish_free(core, wish);
    }
}

void
tri_wishes_fini(struct tri_core *core)
{
    while (core->wishes.next != NULL && !tri_list_empty(&core->wishes)) {
        struct tri_wish *wish = TRI_OWNER(core->wishes.next, struct tri_wish, link);
        tri_depot_let_go(core->depot, &wish->gather);
        tri_list_remove(&wish->link);
        free(wish);
    }
}

/* -------------------------------------------------------------------------------------------------------------- events */

void
tri_core_spilled(struct tri_core *core, trp_err err, const trp_error *error, uint64_t now_ns)
{
    tri_event_begin(core, now_ns);
    tri_depot_spilled(core->depot, err, error, now_ns);
    tri_event_end(core);
}

void
tri_core_restored(struct tri_core *core, struct tri_id id, trp_err err, const trp_error *error, struct tri_id next,
                  uint64_t now_ns)
{
    tri_event_begin(core, now_ns);
    tri_depot_restored(core->depot, id, err, error, next, now_ns);
    tri_event_end(core);
}
