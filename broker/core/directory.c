/*
 * directory.c - who asks for actors by name, ends them or watches them: LOOKUP, KILL, WATCH. The directory itself is
 * names.c.
 */
#include "broker/core/state.h"

#include <stdio.h>
#include <string.h>

static void
answer_nobody(struct tri_core *core, const struct tri_asked *asked)
{
    const struct tri_key *key = &asked->key;
    const int space_size = (int)(key->name - 1 - key->text);
    char space[TRI_NAME_MAX + 1];
    trp_error error;
    snprintf(space, sizeof space, "%.*s", space_size, key->text);
    tri_fail_nobody(&error, key->name, space, core->node, tri_epitaph_find(core, key));
    tri_answer_error(core, asked->peer, asked->result, error.code, "%s", error.message);
}

/* Once through all names for each thing that has to be fetched, so that the caches miss for several at once. */
void
tri_lookups_answer(struct tri_core *core)
{
    const uint32_t count = core->asked_count;
    struct tri_actor *actors[TRI_ASKED_MAX];
    struct tri_id ids[TRI_ASKED_MAX];
    core->asked_count = 0;
    for (uint32_t i = 0; i < count; i++)
        tri_key_fetch(core, &core->asked[i].key);
    for (uint32_t i = 0; i < count; i++)
        tri_key_near(core, &core->asked[i].key);
    for (uint32_t i = 0; i < count; i++) {
        actors[i] = tri_key_find(core, &core->asked[i].key, &ids[i]);
        if (actors[i] != NULL)
            __builtin_prefetch(actors[i], 1); /* a chained one's; the others' are here */
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct tri_asked *asked = &core->asked[i];
        if (actors[i] != NULL)
            tri_answer_actor(core, asked->peer, asked->result, ids[i], actors[i]);
        else
            answer_nobody(core, asked);
    }
}

/* Names are asked for in runs, and each costs two misses of the caches: the line of its slot, then its actor's. So a LOOKUP
 * is answered with those behind it, before anything else happens. */
trp_err
tri_on_lookup(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const char *name, *namespace_;
    TRP_TRY(tri_request_check(peer, message, error));
    TRP_TRY(tri_name_unpack(&message->sections[0], &name, &namespace_, error));
    TRP_TRY(tri_name_check(name, namespace_, error));
    if (core->asked_count == TRI_ASKED_MAX)
        tri_lookups_answer(core);
    struct tri_asked *asked = &core->asked[core->asked_count++];
    asked->peer = peer;
    asked->result = message->route->result;
    tri_key_set(core, &asked->key, namespace_, name);
    return TRP_OK;
}

trp_err
tri_on_kill(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    int64_t drain_ms;
    bool allow_restart;
    char text[TRI_ID_TEXT_SIZE];
    struct tri_id id = message->route->target;
    TRP_TRY(tri_request_check(peer, message, error));
    TRP_TRY(tri_kill_unpack(&message->sections[0], &drain_ms, &allow_restart, error));
    struct tri_actor *actor = tri_as_actor(tri_thing_find(core, id));
    if (actor == NULL) {
        tri_answer_error(core, peer, message->route->result, TRP_ENOENT, "No actor %s is known on node '%s'",
                         tri_id_format(id, text), core->node);
        return TRP_OK;
    }
    if (actor->state != TRI_ACTOR_READY) /* it may never have had a host, and its SPAWN may come again */
        core->ops.bury(core->ops.user, id);
    if (actor->state != TRI_ACTOR_DEAD) {
        const bool drains = (actor->killed || actor->orphan) && actor->timer.slot != 0;
        tri_name_free(core, actor);
        actor->killed = true;
        actor->kill_rule = "trp_kill";
        if (drain_ms > 0) {
            const int64_t most_ms = INT64_C(1) << 40;
            const uint64_t due_ns = core->now_ns + (uint64_t)(drain_ms < most_ms ? drain_ms : most_ms) * TRI_NS_PER_MS;
            if (!drains || due_ns < actor->timer.due_ns) { /* of two limits the sooner one counts */
                actor->orphan = false;
                tri_timer_set(&core->timers, &actor->timer, TRI_TIMER_ACTOR, due_ns);
            }
            tri_actor_close(core, actor);
        } else if (actor->host == NULL) {
            tri_actor_die(core, actor, NULL, NULL, actor->kill_rule);
        } else {
            while (!tri_list_empty(&actor->ready) || !tri_list_empty(&actor->stuck)) {
                struct tri_node *lanes = tri_list_empty(&actor->ready) ? &actor->stuck : &actor->ready;
                struct tri_lane *lane = TRI_OWNER(lanes->next, struct tri_lane, link);
                tri_call_fail_actor(core, TRI_OWNER(lane->calls.next, struct tri_pending, link), actor);
            }
            tri_host_kill(core, actor->host, actor->kill_rule);
        }
    }
    tri_answer(core, peer, message->route->result, &core->null_packed.section, false);
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------ watching */

static const struct tri_section *
death_value(struct tri_core *core, const struct tri_actor *actor)
{
    const struct tri_obituary *obituary = actor->obituary;
    struct tri_death death = {0};
    trp_value entries[2 * TRI_DEATH_FIELDS], map;
    char id[TRI_ID_TEXT_SIZE];
    if (obituary != NULL)
        death = obituary->death;
    if (!death.present && actor->killed)
        death.killed_by = actor->kill_rule;
    if (!death.present)
        death.exit_code = 0;
    tri_death_sign(core, actor, obituary != NULL ? obituary->error.message : "it has ended", id, &death);
    map = tri_death_map(&death, entries);
    if (tri_value_pack(&core->packed, map, NULL, NULL, NULL) != TRP_OK)
        return &core->null_packed.section;
    return &core->packed.section;
}

static void
tell(struct tri_core *core, struct tri_pending *call, struct tri_actor *actor)
{
    if (call->event_death) {
        if (actor->state == TRI_ACTOR_DEAD)
            tri_call_finish(core, call, NULL, death_value(core, actor), false, NULL, NULL);
    } else if (actor->was_ready) {
        tri_call_finish(core, call, NULL, &core->null_packed.section, false, NULL, NULL);
    } else if (actor->state == TRI_ACTOR_DEAD && actor->obituary != NULL && actor->obituary->cause != NULL) {
        tri_call_finish(core, call, NULL, &actor->obituary->cause->sections[0], true, NULL, NULL);
    } else if (actor->state == TRI_ACTOR_DEAD) {
        tri_call_fail_actor(core, call, actor);
    }
}

/* Something has happened to it. */
void
tri_watchers_tell(struct tri_core *core, struct tri_actor *actor)
{
    for (struct tri_node *node = actor->watchers.next, *next; node != &actor->watchers; node = next) {
        next = node->next;
        tell(core, TRI_OWNER(node, struct tri_pending, actor_link), actor);
    }
}

trp_err
tri_on_watch(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    uint32_t event;
    struct tri_object *object;
    TRP_TRY(tri_request_check(peer, message, error));
    TRP_TRY(tri_watch_unpack(&message->sections[0], &event, error));
    if (event > 1)
        return TRI_FAIL(error, TRP_EPROTO, "WATCH of event %u", event);
    TRP_TRY(tri_call_object(core, peer, message->route->result, &object, error));
    if (object != NULL && (object->call != NULL || object->state != TRI_OBJECT_UNKNOWN))
        return TRI_FAIL(error, TRP_EPROTO, "WATCH under a name that is taken");
    struct tri_thing *thing = tri_thing_find(core, message->route->target);
    if (thing == NULL && tri_core_open(core) && tri_actors_reserve(core, 1) && tri_things_reserve(core, 2))
        thing = &tri_actor_new(core, message->route->target)->thing;
    struct tri_actor *actor = tri_as_actor(thing);
    if (actor == NULL) {
        char text[TRI_ID_TEXT_SIZE];
        tri_answer_error(core, peer, message->route->result, TRP_ENOENT, "No actor %s is known on node '%s'",
                         tri_id_format(message->route->target, text), core->node);
        return TRP_OK;
    }
    struct tri_pending *call = tri_call_new(core, TRI_CALL_WATCH, peer, message->route->result);
    call->event_death = event == 1;
    call->actor = actor;
    tri_call_name(core, call, object, peer);
    tri_list_append(&actor->watchers, &call->actor_link);
    tell(core, call, actor);
    return TRP_OK;
}
