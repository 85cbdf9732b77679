/*
 * core.c - the front of the broker's core: the table of messages, events in, what follows at the end of each, time. life.c
 * makes it and takes it apart. One thread; no socket, no clock.
 */
#include "broker/core/state.h"

#include <stdio.h>
#include <string.h>

enum { FROM_DRIVER = 1 << TRI_DRIVER, FROM_HOST = 1 << TRI_HOST, FROM_ANY = FROM_DRIVER | FROM_HOST };

static trp_err
on_nothing(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    (void)core, (void)peer, (void)message, (void)error;
    return TRP_OK;
}

static trp_err
on_goodbye(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    (void)core, (void)error;
    peer->leaves = true;
    peer->lends = (message->route->flags & TRI_LENT) != 0;
    return TRP_OK;
}

/* What may come in, from whom. */
static const struct {
    uint8_t roles;
    bool body;      /* exactly one section at least; else none is needed */
    uint16_t flags; /* that it may have */
    tri_core_handler *handle;
} routes[TRI_KIND_COUNT] = {
    [TRI_SNAPSHOT] = {FROM_ANY, true, TRI_LAST, tri_on_snapshot},
    [TRI_GOODBYE] = {FROM_ANY, false, TRI_LENT, on_goodbye}, /* the shell closes the peer */
    [TRI_PING] = {FROM_ANY, false, 0, on_nothing},           /* its acknowledgement is the answer */
    [TRI_PONG] = {FROM_HOST, false, 0, on_nothing},
    [TRI_CALL] = {FROM_ANY, true, TRI_ONE_WAY | TRI_TASK | TRI_NO_RETRY | TRI_RETRIED, tri_on_call},
    [TRI_RESULT] = {FROM_ANY, true, TRI_FAILED | TRI_TASK | TRI_IN_PLACE | TRI_RETRIED | TRI_NO_RETRY, tri_on_result},
    [TRI_CANCEL] = {FROM_ANY, true, TRI_ASKED, tri_on_cancel},
    [TRI_RETURNED] = {FROM_HOST, true, 0, tri_on_returned},
    [TRI_BLOCKED] = {FROM_HOST, true, TRI_ANY, tri_on_blocked},
    [TRI_UNBLOCKED] = {FROM_HOST, false, 0, tri_on_unblocked},
    [TRI_STARTED] = {FROM_HOST, false, 0, on_nothing},
    [TRI_PUT] = {FROM_ANY, true, TRI_FAILED | TRI_FETCHED, tri_on_put},
    [TRI_WAIT] = {FROM_ANY, true, 0, tri_on_wait},
    [TRI_RELEASE] = {FROM_ANY, true, 0, tri_on_release},
    [TRI_SPACE] = {FROM_ANY, false, 0, tri_on_space},
    [TRI_GIVEN] = {FROM_ANY, true, TRI_LAST, tri_on_given},
    [TRI_WANT] = {FROM_ANY, false, 0, tri_on_want},
    [TRI_SPAWN] = {FROM_ANY, true, TRI_RETRIED, tri_on_spawn},
    [TRI_CREATE] = {FROM_HOST, true, 0, tri_on_create},
    [TRI_READY] = {FROM_HOST, false, TRI_FAILED, tri_on_ready},
    [TRI_ENDED] = {FROM_HOST, false, 0, tri_on_ended},
    [TRI_KILL] = {FROM_ANY, true, 0, tri_on_kill},
    [TRI_LOOKUP] = {FROM_ANY, true, 0, tri_on_lookup},
    [TRI_WATCH] = {FROM_ANY, true, 0, tri_on_watch},
    [TRI_MODULE] = {FROM_HOST, true, 0, tri_on_module},
    [TRI_QUERY] = {FROM_ANY, true, 0, tri_on_query},
};

/* ------------------------------------------------------------------------------------------------------------- sending */

uint64_t
tri_send(struct tri_core *core, struct tri_peer *peer, const struct tri_route *route,
         const struct tri_section *sections, uint32_t count, bool credited)
{
    if (peer->struck)
        return 0;
    return core->ops.send(core->ops.user, peer->index, route, sections, count, credited);
}

void
tri_send_plain(struct tri_core *core, struct tri_peer *peer, uint8_t kind, uint16_t flags, struct tri_id target,
               struct tri_id result, struct tri_id parent, const struct tri_section *section)
{
    struct tri_route route = {.kind = kind, .flags = flags};
    route.target = target;
    route.result = result;
    route.parent = parent;
    tri_send(core, peer, &route, section, section != NULL ? 1 : 0, false);
}

void
tri_send_ids(struct tri_core *core, struct tri_peer *peer, uint8_t kind, uint16_t flags, const struct tri_id *ids,
             uint32_t count)
{
    struct tri_id none = {0, 0};
    for (uint32_t done = 0; done < count; done += TRI_IDS_IN_BATCH) {
        uint32_t n = count - done < TRI_IDS_IN_BATCH ? count - done : TRI_IDS_IN_BATCH;
        if (tri_ids_pack(&core->ids_packed, ids + done, n, NULL) == TRP_OK)
            tri_send_plain(core, peer, kind, flags, none, none, none, &core->ids_packed.section);
    }
}

void
tri_answer(struct tri_core *core, struct tri_peer *peer, struct tri_id result, const struct tri_section *section,
           bool failed)
{
    struct tri_id none = {0, 0};
    if (tri_id_is_none(result))
        return;
    tri_send_plain(core, peer, TRI_RESULT, failed ? TRI_FAILED : 0, none, result, none, section);
    /* The answer is only at its asker; somebody may have been told of its name already, and wait for it. */
    if (result.space == peer->entry.id.space && result.number > peer->newest)
        return;
    struct tri_object *object = tri_as_object(tri_thing_find(core, result));
    struct tri_hold *hold = object != NULL ? tri_hold_find(&object->thing, peer) : NULL;
    if (hold == NULL || object->state != TRI_OBJECT_UNKNOWN)
        return;
    hold->has_value = true;
    object->coming = false;
    if (object->carried || object->wanted > 0 || object->waiting > 0)
        tri_object_fetch(core, object);
}

void
tri_answer_error(struct tri_core *core, struct tri_peer *peer, struct tri_id result, trp_err code, const char *format,
                 ...)
{
    char text[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct tri_failure failure = {0};
    tri_fail(&failure.error, code, "%s", text);
    tri_text_copy(failure.error.node, sizeof failure.error.node, core->node);
    tri_answer(core, peer, result, tri_error_section(core, &failure), true);
}

void
tri_answer_actor(struct tri_core *core, struct tri_peer *peer, struct tri_id result, struct tri_id id,
                 struct tri_actor *actor)
{
    if (tri_id_is_none(result))
        return;
    core->actor_packed.refs[0].id = id;
    tri_answer(core, peer, result, &core->actor_packed.section, false);
    tri_hold_hand(core, &actor->thing, peer, 1); /* last: a look-up has fetched it from afar meanwhile */
    actor->thing.shared = true;
}

static void
send_freed(struct tri_core *core, struct tri_peer *peer, const struct tri_id *ids, size_t count)
{
    struct tri_id none = {0, 0};
    struct tri_run runs[TRI_RUNS_IN_BATCH];
    uint32_t run = 0;
    for (size_t i = 0; i < count; i++) {
        if (run > 0 && tri_run_takes(&runs[run - 1], ids[i], 0))
            continue;
        if (run == TRI_RUNS_IN_BATCH) {
            if (tri_runs_pack(&core->ids_packed, runs, run, NULL) == TRP_OK)
                tri_send_plain(core, peer, TRI_FREED, 0, none, none, none, &core->ids_packed.section);
            run = 0;
        }
        runs[run++] = (struct tri_run){.id = ids[i], .count = 1};
    }
    if (run > 0 && tri_runs_pack(&core->ids_packed, runs, run, NULL) == TRP_OK)
        tri_send_plain(core, peer, TRI_FREED, 0, none, none, none, &core->ids_packed.section);
}

static void
send_batch(struct tri_core *core, struct tri_peer *peer, struct tri_batch *batch)
{
    if (batch == &peer->freed)
        send_freed(core, peer, batch->ids, batch->count);
    else
        tri_send_ids(core, peer, TRI_ACCEPTED, 0, batch->ids, (uint32_t)batch->count);
    batch->count = 0;
}

bool
tri_batch_begin(struct tri_core *core, struct tri_peer *peer, struct tri_batch *batch)
{
    if (batch->count >= TRI_BATCH_IDS) {
        send_batch(core, peer, batch);
    }
    if (!TRI_RESERVE(batch->ids, batch->capacity, batch->count + 1))
        return false;
    if (peer->round_link.next == NULL || tri_list_empty(&peer->round_link)) {
        tri_list_init(&peer->round_link);
        tri_list_append(&core->round, &peer->round_link);
    }
    return true;
}

static void
round_emit(struct tri_core *core)
{
    tri_calls_tell(core);
    while (!tri_list_empty(&core->round)) {
        struct tri_peer *peer = TRI_OWNER(core->round.next, struct tri_peer, round_link);
        tri_list_remove(&peer->round_link);
        send_batch(core, peer, &peer->accepted);
        send_batch(core, peer, &peer->freed);
    }
}

/* -------------------------------------------------------------------------------------------------------------- events */

/* Each event but another LOOKUP begins so. */
void
tri_event_begin(struct tri_core *core, uint64_t now_ns)
{
    core->now_ns = now_ns;
    if (core->asked_count > 0)
        tri_lookups_answer(core);
}

void
tri_event_follow(struct tri_core *core)
{
    while (core->settling != NULL || core->tasks_changed || core->placing_changed) {
        tri_settle_all(core);
        if (core->barrier)
            core->tasks_changed = core->placing_changed = false;
        if (core->placing_changed) {
            core->placing_changed = false;
            tri_actor_place(core);
        }
        if (core->tasks_changed) {
            core->tasks_changed = false;
            tri_tasks_pump(core);
        }
    }
}

trp_err
tri_request_check(const struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    if (tri_id_is_none(message->route->result) || message->route->result.space != peer->entry.id.space)
        return TRI_FAIL(error, TRP_EPROTO, "%s names its result in a space that is not the sender's",
                        tri_kind_name(message->route->kind));
    return TRP_OK;
}

trp_err
tri_dispatch(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    return routes[message->route->kind].handle(core, peer, message, error);
}

static trp_err
check_legal(const struct tri_peer *peer, const struct tri_route *route, trp_error *error)
{
    if (route->kind >= TRI_KIND_COUNT || routes[route->kind].handle == NULL)
        return TRI_FAIL(error, TRP_EPROTO, "%s is not for the broker", tri_kind_name(route->kind));
    if ((routes[route->kind].roles & 1 << peer->role) == 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s does not come from a driver", tri_kind_name(route->kind));
    if ((route->flags & ~routes[route->kind].flags) != 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s has flags 0x%x, which it cannot have", tri_kind_name(route->kind),
                        route->flags);
    if (routes[route->kind].body && route->section_count == 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s has no body", tri_kind_name(route->kind));
    return TRP_OK;
}

static trp_err
take_envelope(struct tri_core *core, struct tri_peer *peer, const struct tri_envelope *envelope, trp_error *error)
{
    const struct tri_route *route = &envelope->route;
    TRP_TRY(check_legal(peer, route, error));
    if ((route->kind == TRI_CALL && tri_quiet_call(core, peer, envelope)) ||
        (route->kind == TRI_RESULT && tri_quiet_result(core, peer, envelope)))
        return TRP_OK;
    if (route->section_count > TRI_SECTIONS_MAX)
        return TRI_FAIL(error, TRP_EPROTO, "%u sections", route->section_count);
    struct tri_message message = {.route = route, .sections = core->sections, .section_count = route->section_count};
    message.bytes = envelope->bytes;
    for (uint32_t i = 0; i < message.section_count; i++)
        tri_envelope_section(envelope, i, &core->sections[i]);
    if (!tri_things_reserve(core, 1) || !tri_pool_reserve(&core->calls_pool, 1) ||
        !tri_pool_reserve(&core->holds_pool, 64))
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for %s", tri_kind_name(route->kind));
    if (tri_recovery_delays(core, peer, &message))
        return tri_recovery_delay(core, peer, &message, error);
    return routes[route->kind].handle(core, peer, &message, error);
}

trp_err
tri_core_envelope(struct tri_core *core, tri_peer_index index, const struct tri_envelope *envelope, uint64_t now_ns,
                  trp_error *error)
{
    struct tri_peer *peer = tri_peer_find(core, index);
    if (peer == NULL)
        return TRI_FAIL(error, TRP_EPROTO, "peer %u is not logged in", index);
    if (envelope->route.kind == TRI_LOOKUP)
        core->now_ns = now_ns;
    else
        tri_event_begin(core, now_ns);
    core->steps++;
    trp_err err = take_envelope(core, peer, envelope, error);
    tri_event_end(core);
    return err;
}

void
tri_core_acknowledged(struct tri_core *core, tri_peer_index index, uint64_t sequence, uint64_t now_ns)
{
    struct tri_peer *peer = tri_peer_find(core, index);
    if (peer == NULL)
        return;
    tri_event_begin(core, now_ns);
    tri_caller_acknowledged(core, peer, sequence);
    if (peer->full)
        tri_left_look(core, peer);
    if (peer->host != NULL)
        tri_host_acknowledged(core, peer->host, sequence);
    tri_event_end(core);
}

static void
fire(struct tri_core *core, struct tri_timer *timer)
{
    if (timer->kind == TRI_TIMER_CALL) {
        tri_call_overdue(core, TRI_OWNER(timer, struct tri_pending, timer));
    } else if (timer->kind == TRI_TIMER_ACTOR) {
        tri_actor_overdue(core, TRI_OWNER(timer, struct tri_actor, timer));
    } else {
        tri_host_overdue(core, TRI_OWNER(timer, struct tri_host, timer));
    }
}

void
tri_core_tick(struct tri_core *core, uint64_t now_ns)
{
    tri_event_begin(core, now_ns);
    tri_recovery_look(core);
    while (core->timers.count > 0 && core->timers.heap[0]->due_ns <= now_ns) {
        struct tri_timer *timer = core->timers.heap[0];
        tri_timer_clear(&core->timers, timer);
        fire(core, timer);
        tri_event_end(core);
    }
    tri_hosts_stock(core);
    tri_tasks_recall(core);
    tri_event_end(core);
    tri_arena_look(core);
    round_emit(core);
}

void
tri_core_round(struct tri_core *core, uint64_t now_ns)
{
    tri_event_begin(core, now_ns);
    tri_event_end(core);
    if (core->judge_waits)
        tri_waits_judge(core);
    tri_arena_look(core);
    round_emit(core);
}

uint64_t
tri_core_next_ns(const struct tri_core *core)
{
    if (core->asked_count > 0 || !tri_list_empty(&core->round) || !tri_list_empty(&core->untold))
        return 0;
    uint64_t next = core->timers.count > 0 ? core->timers.heap[0]->due_ns : TRI_NEVER;
    uint64_t recovery = tri_recovery_next_ns(core), tasks = tri_tasks_next_ns(core);
    next = recovery < next ? recovery : next;
    next = tasks < next ? tasks : next;
    if (core->depot != NULL) {
        const uint64_t store = tri_depot_next_ns(core->depot);
        next = store < next ? store : next;
    }
    if (!core->barrier && core->spares < core->config.spare_hosts && core->stock_ns < next)
        next = core->stock_ns;
    return next;
}

void
tri_core_count(const struct tri_core *core, struct tri_core_counts *counts)
{
    *counts = (struct tri_core_counts){
        .peers = core->peer_count,
        .hosts = core->host_count,
        .actors = core->actor_count,
        .names = core->names.count,
        .pending = core->calls_pool.used,
        .objects = core->object_count + core->quiet_count,
        .holds = core->hold_count + core->quiet_count,
        .queued_calls = core->queued_calls,
        .queued_tasks = core->queued_tasks,
        .blocked = core->waiting_hosts,
        .steps = core->steps,
        .dropped = core->dropped,
        .cpus_used = core->ledger.cpus_used,
    };
}
