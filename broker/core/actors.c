/*
 * actors.c - the life of an actor: SPAWN, a place, CREATE, READY, ENDED. How it ends is in endings.c, where its name and its
 * watchers are in directory.c, its calls in calls.c.
 */
#include "broker/core/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define START_NS (60 * TRI_NS_PER_S)

const char *
tri_actor_text(const struct tri_actor *actor, char text[TRI_NAME_MAX + 64])
{
    char id[TRI_ID_TEXT_SIZE];
    if (actor->texts->label[0] != '\0')
        snprintf(text, TRI_NAME_MAX + 64, "actor '%s'", actor->texts->label);
    else
        snprintf(text, TRI_NAME_MAX + 64, "actor %s", tri_id_format(tri_thing_id(&actor->thing), id));
    return text;
}

bool
tri_actor_lives(const struct tri_actor *actor)
{
    return actor->state != TRI_ACTOR_DEAD;
}

bool
tri_actors_reserve(struct tri_core *core, size_t count)
{
    return tri_pool_reserve(&core->actors_pool, count) && tri_pool_reserve(&core->texts_pool, count);
}

struct tri_actor *
tri_actor_new(struct tri_core *core, struct tri_id id)
{
    struct tri_actor *actor = tri_pool_take(&core->actors_pool);
    actor->texts = tri_pool_take(&core->texts_pool);
    actor->thing.entry.id = id;
    actor->thing.kind = TRI_THING_ACTOR;
    actor->thing.shared = true;
    actor->state = TRI_ACTOR_ABSENT;
    actor->serial = ++core->next_serial;
    actor->creator = id.space;
    actor->since_ns = core->now_ns;
    tri_list_init(&actor->ready);
    tri_list_init(&actor->stuck);
    tri_list_init(&actor->watchers);
    tri_list_init(&actor->link);
    tri_list_append(&core->actors, &actor->all);
    tri_thing_add(core, &actor->thing);
    core->actor_count++;
    return actor;
}

static struct tri_actor **
recent(struct tri_core *core, struct tri_id id)
{
    return &core->recent_actors[(id.number ^ id.space) % TRI_RECENT];
}

struct tri_actor *
tri_actor_find(struct tri_core *core, struct tri_id id)
{
    struct tri_actor **slot = recent(core, id);
    if (*slot == NULL || !tri_id_equal(tri_thing_id(&(*slot)->thing), id))
        *slot = tri_as_actor(tri_thing_find(core, id));
    return *slot;
}

bool
tri_actor_takes(const struct tri_actor *actor)
{
    return (actor->state == TRI_ACTOR_CREATED || actor->state == TRI_ACTOR_READY) && actor->host->peer != NULL &&
           !actor->host->peer->reporting;
}

/* What has to be free where it starts. Below 0: nothing has to be, as the node wants of an actor of its own. */
static double
cpus_to_start(const struct tri_spawn *spawn)
{
    if (spawn->num_cpus < 0)
        return 0;
    return spawn->num_cpus > 0 ? spawn->num_cpus : 1;
}

void
tri_actor_set(struct tri_actor *actor, const struct tri_spawn *spawn)
{
    actor->detached = spawn->detached;
    actor->num_cpus = spawn->num_cpus > 0 ? spawn->num_cpus : 0;
    actor->start_cpus = cpus_to_start(spawn);
    actor->num_gpus = spawn->num_gpus;
    actor->memory_bytes = spawn->memory_bytes;
    actor->max_concurrency = spawn->max_concurrency;
    actor->max_pending = spawn->max_pending_calls;
    actor->start_timeout_ns = spawn->start_timeout_ms > 0 && spawn->start_timeout_ms < INT64_C(1) << 40
                                  ? (uint64_t)spawn->start_timeout_ms * TRI_NS_PER_MS
                                  : START_NS;
    tri_text_copy(actor->texts->class_name, sizeof actor->texts->class_name, spawn->class_name);
    tri_text_copy(actor->texts->label, sizeof actor->texts->label,
                  spawn->name[0] != '\0' ? spawn->name : spawn->class_name);
}

/* --------------------------------------------------------------------------------------------------------------- SPAWN */

/* It cannot be: the answer says so, or else every call does. */
static void
refuse_spawn(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message,
             const struct tri_spawn *spawn, trp_err code, const char *why)
{
    core->ops.release(core->ops.user, peer->index, message->bytes);
    if (!tri_id_is_none(message->route->result) && code != TRP_OK)
        tri_answer_error(core, peer, message->route->result, code, "%s", why);
    /* Its handle is with the sender, and may be with others: they are told when they call. */
    struct tri_actor *actor = tri_as_actor(tri_thing_find(core, message->route->target));
    if (actor == NULL)
        actor = tri_actor_new(core, message->route->target);
    struct tri_failure failure = {0};
    tri_fail(&failure.error, code != TRP_OK ? code : TRP_EEXIST, "%s", why);
    tri_actor_set(actor, spawn);
    tri_batch_add(core, peer, &peer->accepted, message->route->target);
    if (actor->thing.own.handed == 0)
        tri_hold_hand(core, &actor->thing, peer, 1);
    tri_actor_die(core, actor, NULL, tri_error_section(core, &failure), why);
}

static bool
spawn_admitted(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message,
               const struct tri_spawn *spawn, const struct tri_special *special)
{
    char why[600], has[200], needs[200];
    struct tri_id id;
    struct tri_actor *taken = spawn->name[0] != '\0' ? tri_name_find(core, spawn->namespace_, spawn->name, &id) : NULL;
    if (taken != NULL && spawn->get_if_exists && !tri_id_is_none(message->route->result)) {
        tri_answer_actor(core, peer, message->route->result, id, taken);
        refuse_spawn(core, peer, message, spawn, TRP_OK, "another actor has its name, which was asked for instead");
        return false;
    }
    if (taken != NULL) {
        trp_error taken_error;
        tri_fail_taken(&taken_error, spawn->name, spawn->namespace_);
        tri_text_copy(why, sizeof why, taken_error.message);
        refuse_spawn(core, peer, message, spawn, TRP_EEXIST, why);
        return false;
    }
    if (core->actor_count >= core->limits.actors) {
        snprintf(why, sizeof why, "Node '%s' has %u actors, its limit", core->node, core->actor_count);
        refuse_spawn(core, peer, message, spawn, TRP_ELIMIT, why);
        return false;
    }
    if (!tri_ledger_feasible(&core->ledger, cpus_to_start(spawn), spawn->num_gpus, spawn->memory_bytes, special)) {
        tri_ledger_text(&core->ledger, has, sizeof has);
        tri_needs_text(spawn->resources, spawn->resource_count, cpus_to_start(spawn), spawn->num_gpus,
                       spawn->memory_bytes, needs, sizeof needs);
        snprintf(why, sizeof why, "Actor '%.100s' needs %.180s to be placed; node '%.60s' has %.180s",
                 spawn->name[0] ? spawn->name : spawn->class_name, needs, core->node, has);
        refuse_spawn(core, peer, message, spawn, TRP_ENORESOURCE, why);
        return false;
    }
    return true;
}

static void
spawn(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, const struct tri_spawn *spawn,
      struct tri_special *special, struct tri_refs *refs)
{
    const struct tri_route *route = message->route;
    struct tri_actor *actor = tri_as_actor(tri_thing_find(core, route->target));
    if (actor == NULL)
        actor = tri_actor_new(core, route->target);
    actor->special = special;
    actor->state = TRI_ACTOR_WAITING;
    actor->epoch = core->config.incarnation << 32 | ++core->next_epoch;
    tri_actor_set(actor, spawn);
    if (actor->thing.own.handed == 0)
        tri_hold_hand(core, &actor->thing, peer, 1);
    struct tri_pending *call = tri_call_new(core, TRI_CALL_SPAWN, peer, (struct tri_id){0, 0});
    tri_credit_take(call, peer, message->bytes);
    call->actor = actor;
    actor->creation = call;
    call->parcel = tri_parcel_new(route, message->sections, message->section_count, message->bytes);
    if (tri_call_needs(core, call, refs, NULL) != TRP_OK || call->parcel == NULL ||
        (spawn->name[0] != '\0' && tri_name_bind(core, actor, spawn->namespace_, spawn->name, NULL) != TRP_OK)) {
        tri_call_fail(core, call, TRP_ENOMEM, "the broker has no memory for another actor");
        return;
    }
    tri_answer_actor(core, peer, route->result, route->target, actor);
    if (!tri_call_need_failed(core, call) && call->missing == 0)
        tri_actor_creation_ready(core, call);
}

trp_err
tri_on_spawn(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const struct tri_route *route = message->route;
    struct tri_spawn_scratch scratch;
    struct tri_spawn body;
    if (tri_id_is_none(route->target) || route->target.space != peer->entry.id.space ||
        (!tri_id_is_none(route->result) && route->result.space != peer->entry.id.space))
        return TRI_FAIL(error, TRP_EPROTO, "SPAWN under a name that is not of the sender's space");
    TRP_TRY(tri_credit_check(core, peer, error));
    TRP_TRY(tri_spawn_unpack(&message->sections[0], &body, &scratch, error));
    tri_view_close(&body.args);
    struct tri_thing *thing = tri_thing_find(core, route->target);
    struct tri_actor *known = tri_as_actor(thing);
    if (thing != NULL && (known == NULL || (known->state != TRI_ACTOR_ABSENT && core->config.incarnation < 2)))
        return TRI_FAIL(error, TRP_EPROTO, "SPAWN of an actor that exists");
    if (tri_lost_has(core, route->target) && (known == NULL || known->state == TRI_ACTOR_ABSENT)) {
        if (!tri_actors_reserve(core, 1))
            return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for another actor");
        tri_lost_spawn(core, peer, message, &body);
        return TRP_OK;
    }
    if (known != NULL && known->state != TRI_ACTOR_ABSENT) { /* its host told a new broker of it */
        core->ops.release(core->ops.user, peer->index, message->bytes);
        tri_batch_add(core, peer, &peer->accepted, route->target);
        tri_answer_actor(core, peer, route->result, route->target, known);
        return TRP_OK;
    }
    TRP_TRY(tri_name_check(body.name, body.namespace_, error));
    struct tri_needs needs = {.resources = body.resources, .resource_count = body.resource_count};
    struct tri_special *special = body.resource_count > 0 ? tri_special_new(&needs) : NULL;
    if ((special == NULL && body.resource_count > 0) || !tri_actors_reserve(core, 1))
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for another actor");
    struct tri_refs *refs = NULL;
    if (!spawn_admitted(core, peer, message, &body, special)) {
        tri_special_free(&special);
        return TRP_OK;
    }
    trp_err err = tri_refs_take(core, peer, message->sections, message->section_count, &refs, error);
    if (err != TRP_OK) {
        tri_special_free(&special);
        return err;
    }
    spawn(core, peer, message, &body, special, refs);
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------- placing */

void
tri_actor_creation_ready(struct tri_core *core, struct tri_pending *call)
{
    struct tri_actor *actor = call->actor;
    if (actor->host != NULL) /* its arguments have come back into the arena */
        tri_actor_create(core, actor);
    else if (actor->start_cpus > 0)
        tri_list_append(&core->placing, &actor->link);
    else /* it waits behind nobody */
        tri_list_append(core->placing.next, &actor->link);
    core->placing_changed = true;
}

void
tri_actor_account(struct tri_core *core, struct tri_actor *actor, int sign)
{
    tri_ledger_add(&core->ledger, actor->num_cpus, actor->num_gpus, actor->memory_bytes, actor->special, sign);
    actor->holds_resources = sign > 0;
}

static void
place_one(struct tri_core *core, struct tri_actor *actor)
{
    struct tri_spawn_scratch scratch;
    struct tri_spawn body;
    struct tri_host *host = NULL;
    if (tri_spawn_unpack(&actor->creation->parcel->sections[0], &body, &scratch, NULL) == TRP_OK) {
        if (body.env_count > 0 || body.memory_bytes > 0)
            host =
                tri_host_fork(core, TRI_HOST_ACTOR, actor->texts->label, body.env, body.env_count, body.memory_bytes);
        else
            host = tri_host_take(core, TRI_HOST_ACTOR, actor->texts->label);
        tri_view_close(&body.args);
    }
    tri_list_remove(&actor->link);
    if (host == NULL) {
        tri_actor_die(core, actor, NULL, NULL, "the broker has no memory for another host");
        return;
    }
    tri_actor_account(core, actor, 1);
    host->actor = actor;
    actor->host = host;
    actor->state = TRI_ACTOR_STARTING;
    if (host->state == TRI_HOST_LIVE)
        tri_actor_create(core, actor);
}

/* In the order made: the first that does not fit holds up the others. */
void
tri_actor_place(struct tri_core *core)
{
    while (!tri_list_empty(&core->placing)) {
        struct tri_actor *actor = TRI_OWNER(core->placing.next, struct tri_actor, link);
        if (!tri_ledger_fits(&core->ledger, actor->start_cpus, actor->num_gpus, actor->memory_bytes, actor->special))
            return;
        place_one(core, actor);
    }
}

void
tri_actor_create(struct tri_core *core, struct tri_actor *actor)
{
    struct tri_pending *call = actor->creation;
    struct tri_host *host = actor->host;
    if (tri_call_need_failed(core, call))
        return;
    if (!tri_call_is_here(core, call, call->parcel->sections, call->parcel->section_count)) {
        if (call->wish == NULL)
            tri_call_gather(core, call);
        return;
    }
    struct tri_route route = call->parcel->route;
    uint32_t count = tri_call_sections(core, call, call->parcel->sections, call->parcel->section_count);
    route.kind = TRI_CREATE;
    route.flags = 0;
    route.result = (struct tri_id){0, 0};
    route.epoch = actor->epoch;
    route.deadline_us = 0;
    tri_call_hand(core, call, host->peer);
    tri_call_sent(core, call, host, tri_send(core, host->peer, &route, core->sections, count, false));
    tri_call_unwant(core, call);
    actor->state = TRI_ACTOR_CREATED;
    if (!actor->killed && !actor->orphan)
        tri_timer_set(&core->timers, &actor->timer, TRI_TIMER_ACTOR, core->now_ns + actor->start_timeout_ns);
    tri_lanes_pump(core, actor);
}

/* ------------------------------------------------------------------------------------------------- when an event is over */

void
tri_actor_settle(struct tri_core *core, struct tri_actor *actor)
{
    struct tri_thing *thing = &actor->thing;
    bool held = thing->hold_count > 0 || thing->flights > 0;
    tri_lanes_pump(core, actor);
    if (tri_core_open(core) || thing->settling)
        return;
    if (actor->state != TRI_ACTOR_DEAD) {
        if (!held && !actor->detached && !actor->closing)
            tri_actor_close(core, actor);
        else if (actor->closing && actor->state == TRI_ACTOR_WAITING && actor->pending == 0)
            tri_actor_die(core, actor, NULL, NULL, actor->kill_rule);
        return;
    }
    if (held || actor->pending > 0 || actor->creation != NULL || !tri_list_empty(&actor->watchers))
        return;
    tri_special_free(&actor->special);
    tri_obituary_free(&actor->obituary);
    tri_methods_free(actor);
    tri_list_remove(&actor->all);
    tri_table_remove(&core->things, &thing->entry);
    if (*recent(core, thing->entry.id) == actor)
        *recent(core, thing->entry.id) = NULL;
    core->actor_count--;
    tri_pool_put(&core->texts_pool, actor->texts);
    tri_pool_put(&core->actors_pool, actor);
}

/* ------------------------------------------------------------------------------------------------------ from the host */

static trp_err
own_actor(const struct tri_peer *peer, const struct tri_message *message, struct tri_actor **actor, trp_error *error)
{
    *actor = peer->host->actor;
    if (*actor != NULL && tri_id_equal(tri_thing_id(&(*actor)->thing), message->route->target))
        return TRP_OK;
    *actor = NULL;
    if (peer->host->ending)
        return TRP_OK;
    return TRI_FAIL(error, TRP_EPROTO, "%s of an actor that does not live in this host",
                    tri_kind_name(message->route->kind));
}

/* How many calls at a time its class allows, and its creator asked for: known only where its module is. */
static trp_err
check_concurrency(const struct tri_route *route, trp_error *error)
{
    if (route->sequence > TRI_CONCURRENCY_MAX)
        return TRI_FAIL(error, TRP_EPROTO, "%s of an actor that runs %" PRIu64 " calls at a time; the limit is %d",
                        tri_kind_name(route->kind), route->sequence, TRI_CONCURRENCY_MAX);
    return TRP_OK;
}

static void
set_concurrency(struct tri_actor *actor, const struct tri_route *route)
{
    if (route->sequence > 0)
        actor->max_concurrency = (uint32_t)route->sequence;
}

trp_err
tri_on_ready(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    struct tri_actor *actor;
    TRP_TRY(own_actor(peer, message, &actor, error));
    if (actor == NULL)
        return TRP_OK;
    if (actor->state != TRI_ACTOR_CREATED)
        return TRI_FAIL(error, TRP_EPROTO, "READY of an actor that was ready");
    if ((message->route->flags & TRI_FAILED) != 0 && message->section_count == 0)
        return TRI_FAIL(error, TRP_EPROTO, "READY failed without an error");
    TRP_TRY(check_concurrency(message->route, error));
    if (!actor->killed && !actor->orphan) /* else it says until when it may drain */
        tri_timer_clear(&core->timers, &actor->timer);
    if ((message->route->flags & TRI_FAILED) != 0) {
        struct tri_failure chain[8];
        uint32_t count;
        TRP_TRY(tri_error_unpack(&message->sections[0], chain, &count, error));
        char why[600];
        tri_say_unmade(why, sizeof why, &chain[0].error);
        if (chain[0].error.code == TRP_ELIMIT) /* before the constructor, whose own failures are TRP_ETASK */
            actor->unhoused = TRP_ELIMIT;
        tri_actor_die(core, actor, NULL, &message->sections[0], why);
        return TRP_OK;
    }
    set_concurrency(actor, message->route);
    actor->state = TRI_ACTOR_READY;
    actor->was_ready = true;
    tri_watchers_tell(core, actor);
    return TRP_OK;
}

trp_err
tri_on_ended(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    struct tri_actor *actor;
    TRP_TRY(own_actor(peer, message, &actor, error));
    if (actor != NULL)
        tri_actor_die(core, actor, NULL, NULL, actor->kill_rule != NULL ? actor->kill_rule : "it has ended");
    return TRP_OK;
}

/* Two hosts may report the same name: from the older actor it was taken before the broker died, as it was to end. */
static trp_err
bind_again(struct tri_core *core, struct tri_actor *actor, const struct tri_spawn *spawn, trp_error *error)
{
    struct tri_id id;
    struct tri_actor *other = tri_name_find(core, spawn->namespace_, spawn->name, &id);
    if (other != NULL && other->epoch > actor->epoch) {
        actor->outlived = true;
        return TRP_OK;
    }
    if (other != NULL) {
        tri_name_free(core, other);
        other->outlived = true;
    }
    return tri_name_bind(core, actor, spawn->namespace_, spawn->name, error);
}

/* Under a new broker: an actor that lives in this host. */
trp_err
tri_on_create(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const struct tri_route *route = message->route;
    struct tri_spawn_scratch scratch;
    struct tri_spawn body;
    if (!peer->reporting || peer->host->actor != NULL || tri_id_is_none(route->target))
        return TRI_FAIL(error, TRP_EPROTO, "CREATE from a host that is not reporting, or has an actor");
    TRP_TRY(check_concurrency(route, error));
    TRP_TRY(tri_spawn_unpack(&message->sections[0], &body, &scratch, error));
    tri_view_close(&body.args);
    TRP_TRY(tri_name_check(body.name, body.namespace_, error));
    struct tri_thing *thing = tri_thing_find(core, route->target);
    struct tri_actor *actor = tri_as_actor(thing);
    if (thing != NULL && (actor == NULL || actor->state != TRI_ACTOR_ABSENT))
        return TRI_FAIL(error, TRP_EPROTO, "CREATE of an actor that is elsewhere");
    struct tri_needs needs = {.resources = body.resources, .resource_count = body.resource_count};
    struct tri_special *special = body.resource_count > 0 ? tri_special_new(&needs) : NULL;
    if (!tri_actors_reserve(core, 1) || (special == NULL && body.resource_count > 0)) {
        tri_special_free(&special);
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for another actor");
    }
    if (actor == NULL)
        actor = tri_actor_new(core, route->target);
    tri_actor_set(actor, &body);
    set_concurrency(actor, route);
    actor->special = special;
    actor->state = TRI_ACTOR_CREATED;
    actor->epoch = route->epoch;
    actor->host = peer->host;
    peer->host->actor = actor;
    tri_host_set_kind(core, peer->host, TRI_HOST_ACTOR);
    tri_text_copy(peer->host->label, sizeof peer->host->label, actor->texts->label);
    tri_actor_account(core, actor, 1);
    if (body.name[0] != '\0')
        TRP_TRY(bind_again(core, actor, &body, error));
    return TRP_OK;
}
