/*
 * check.c - every invariant that can be seen from inside, for tests and the simulator. Linear in what there is; changes
 * nothing but search marks.
 */
#include "broker/core/state.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

struct check {
    const struct tri_core *core;
    char *why;
    size_t size;
    bool ok;
    uint64_t holds, objects, actors, flights, calls, names, quiet;
    double cpus, gpus;
};

static void wrong(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void
wrong(struct check *check, const char *format, ...)
{
    va_list arguments;
    if (!check->ok)
        return;
    check->ok = false;
    va_start(arguments, format);
    vsnprintf(check->why, check->size, format, arguments);
    va_end(arguments);
}

static bool
listed(const struct tri_node *node)
{
    return node->next != NULL && node->next != node && node->next->prev == node && node->prev->next == node;
}

static const char *
name(const struct tri_thing *thing, char text[TRI_ID_TEXT_SIZE])
{
    return tri_id_format(tri_thing_id(thing), text);
}

static void
check_pending(struct check *check, const struct tri_object *object)
{
    char id[TRI_ID_TEXT_SIZE];
    const struct tri_pending *call = object->call;
    if (call == NULL || call->object != object) {
        wrong(check, "%s is pending and no call makes it", name(&object->thing, id));
        return;
    }
    bool caused = false;
    switch (call->state) {
    case TRI_CALL_WAITING:
        caused = call->missing > 0 || (call->kind == TRI_CALL_WATCH && listed(&call->actor_link));
        break;
    case TRI_CALL_QUEUED:
        caused = listed(&call->link) && (call->kind == TRI_CALL_TASK || call->lane != NULL);
        break;
    case TRI_CALL_GIVEN:
    case TRI_CALL_ACCEPTED:
    case TRI_CALL_LEFT:
        caused = listed(&call->link) && call->host != NULL;
        break;
    default:
        caused = call->state == TRI_CALL_UNCLAIMED && check->core->barrier;
    }
    if (call->cancelled && call->host == NULL)
        wrong(check, "%s is cancelled, and its call waits", name(&object->thing, id));
    if (!caused)
        wrong(check, "%s is pending, and its call (kind %d, state %d) is nowhere", name(&object->thing, id), call->kind,
              call->state);
    uint32_t missing = 0;
    for (uint32_t i = 0; i < call->need_count + call->hands_on; i++)
        missing += call->needs[i].missing;
    missing += tri_call_is_gathering(call);
    if (missing != call->missing)
        wrong(check, "%s misses %u arguments and says %u", name(&object->thing, id), missing, call->missing);
}

/* Another process makes or has it: one that lives, and was asked for it, as soon as somebody waits. */
static void
check_unknown(struct check *check, const struct tri_object *object)
{
    char id[TRI_ID_TEXT_SIZE];
    if ((object->waiting > 0 || !tri_list_empty(&object->needs)) && object->fetching == NULL && !object->coming &&
        !check->core->barrier && !tri_core_open(check->core))
        wrong(check, "%s is waited for, and nobody was asked for it", name(&object->thing, id));
    if (object->fetching != NULL && tri_peer_find(check->core, object->fetching->index) != object->fetching)
        wrong(check, "%s was asked for of a process that is gone", name(&object->thing, id));
}

static void
check_object(struct check *check, const struct tri_object *object)
{
    char id[TRI_ID_TEXT_SIZE];
    uint32_t waiting = 0;
    check->objects++;
    for (const struct tri_hold *hold = object->thing.holds; hold != NULL; hold = hold->next)
        waiting += hold->waiting;
    if (waiting != object->waiting)
        wrong(check, "%s: %u holders wait, %u are counted", name(&object->thing, id), waiting, object->waiting);
    if (object->state == TRI_OBJECT_PENDING)
        check_pending(check, object);
    else if (object->state == TRI_OBJECT_UNKNOWN)
        check_unknown(check, object);
    else if (object->call != NULL && object->call->state != TRI_CALL_ANSWERED)
        wrong(check, "%s is ready and its call goes on", name(&object->thing, id));
    if (object->state == TRI_OBJECT_FAILED && object->contains != NULL)
        wrong(check, "%s failed and contains references", name(&object->thing, id));
    bool resolved = object->state == TRI_OBJECT_READY || object->state == TRI_OBJECT_FAILED;
    if (resolved && object->value != NULL && !tri_list_empty(&object->needs))
        wrong(check, "%s is ready and calls wait for it", name(&object->thing, id));
    if (resolved && object->value != NULL && object->waiting > 0)
        wrong(check, "%s is here and holders wait for it", name(&object->thing, id));
    if (object->contains != NULL)
        check->flights += object->contains->count;
    if ((object->keeper != NULL) != listed(&object->kept_link))
        wrong(check, "%s: keeper and list do not agree", name(&object->thing, id));
    if (!tri_core_open(check->core) && !object->recovered && object->thing.hold_count == 0 &&
        object->thing.flights == 0 && object->wanted == 0 && object->call == NULL)
        wrong(check, "%s is held by nobody and still here", name(&object->thing, id));
}

static void
check_actor(struct check *check, const struct tri_actor *actor)
{
    char id[TRI_ID_TEXT_SIZE];
    bool housed =
        actor->state == TRI_ACTOR_STARTING || actor->state == TRI_ACTOR_CREATED || actor->state == TRI_ACTOR_READY;
    check->actors++;
    if (housed != (actor->host != NULL) || (actor->host != NULL && actor->host->actor != actor))
        wrong(check, "actor %s in state %d and its host do not agree", name(&actor->thing, id), actor->state);
    if (actor->name != NULL && (actor->name->actor != actor || actor->state == TRI_ACTOR_DEAD))
        wrong(check, "actor %s has a name that is not its own", name(&actor->thing, id));
    check->names += actor->name != NULL;
    uint32_t lanes = 0;
    const struct tri_node *lists[] = {&actor->ready, &actor->stuck};
    for (int i = 0; i < 2; i++) {
        TRI_EACH((struct tri_node *)(uintptr_t)lists[i], node)
        {
            const struct tri_lane *lane = TRI_OWNER(node, struct tri_lane, link);
            uint64_t last = 0;
            lanes++;
            if (tri_list_empty(&lane->calls) || lane->stuck != (i == 1) || lane->actor != actor)
                wrong(check, "actor %s has an empty or misplaced lane", name(&actor->thing, id));
            TRI_EACH((struct tri_node *)(uintptr_t)&lane->calls, link)
            {
                const struct tri_pending *call = TRI_OWNER(link, struct tri_pending, link);
                if (call->sequence <= last)
                    wrong(check, "a lane of actor %s has call %" PRIu64 " behind %" PRIu64, name(&actor->thing, id),
                          call->sequence, last);
                last = call->sequence;
                if (call->lane != lane)
                    wrong(check, "a call is in another's lane");
            }
        }
    }
    if (lanes != actor->lane_count)
        wrong(check, "actor %s has %u lanes and counts %u", name(&actor->thing, id), lanes, actor->lane_count);
    if (lanes > 0 && actor->state == TRI_ACTOR_DEAD)
        wrong(check, "actor %s is dead and calls wait for it", name(&actor->thing, id));
    if (actor->holds_resources) {
        check->cpus += actor->num_cpus;
        check->gpus += actor->num_gpus;
    }
}

static void
count_call(struct check *check, const struct tri_pending *call)
{
    if (call->refs != NULL)
        check->flights += call->refs->count;
    check->calls++;
}

/* A task whose caller is gone and whose arguments are awaited hangs on its result only. */
static bool
is_orphan(const struct tri_object *object)
{
    return object->call != NULL && object->call->caller == NULL && object->call->kind == TRI_CALL_TASK &&
           object->call->state == TRI_CALL_WAITING;
}

static void
check_thing(struct tri_entry *entry, void *user)
{
    struct check *check = user;
    const struct tri_thing *thing = TRI_OWNER(entry, struct tri_thing, entry);
    char id[TRI_ID_TEXT_SIZE];
    uint32_t holds = 0;
    for (const struct tri_hold *hold = thing->holds; hold != NULL; hold = hold->next) {
        holds++;
        if (hold->handed == 0 || hold->thing != thing || !listed(&hold->by_peer))
            wrong(check, "%s has a hold of nobody, or of nothing", name(thing, id));
        if (hold->peer == NULL || tri_peer_find(check->core, hold->peer->index) != hold->peer)
            wrong(check, "%s is held by a process that is gone", name(thing, id));
    }
    if (holds != thing->hold_count)
        wrong(check, "%s has %u holds and counts %u", name(thing, id), holds, thing->hold_count);
    check->holds += holds;
    check->flights -= thing->flights; /* wraps; the sum has to be 0 */
    if (thing->settling)
        wrong(check, "%s was not settled when the event was over", name(thing, id));
    if (thing->kind == TRI_THING_OBJECT && is_orphan(tri_as_object((struct tri_thing *)(uintptr_t)thing)))
        count_call(check, tri_as_object((struct tri_thing *)(uintptr_t)thing)->call);
    if (thing->kind == TRI_THING_OBJECT)
        check_object(check, tri_as_object((struct tri_thing *)(uintptr_t)thing));
    else
        check_actor(check, tri_as_actor((struct tri_thing *)(uintptr_t)thing));
}

static void
check_host(struct check *check, const struct tri_host *host)
{
    uint32_t calls = 0, waits = 0;
    uint64_t packet = 0, index = 0;
    const struct tri_node *lists[] = {&host->accepted, &host->given};
    for (int i = 0; i < 2; i++) {
        TRI_EACH((struct tri_node *)(uintptr_t)lists[i], node)
        {
            const struct tri_pending *call = TRI_OWNER(node, struct tri_pending, link);
            calls++;
            if (call->host != host || call->state != (i == 0 ? TRI_CALL_ACCEPTED : TRI_CALL_GIVEN))
                wrong(check, "host %d has a call that is elsewhere", host->pid);
            if (i == 1 && (call->packet < packet || (call->index != 0 && call->index <= index)))
                wrong(check, "host %d: what it was given is out of order", host->pid);
            packet = i == 1 ? call->packet : 0;
            index = i == 1 && call->index != 0 ? call->index : index;
            if (call->index > host->calls_sent)
                wrong(check, "host %d has a call that was not sent", host->pid);
            if (call->caller == NULL)
                count_call(check, call);
        }
    }
    TRI_EACH((struct tri_node *)(uintptr_t)&host->waits, node)
    waits++;
    TRI_EACH((struct tri_node *)(uintptr_t)&host->left, node)
    {
        const struct tri_pending *call = TRI_OWNER(node, struct tri_pending, link);
        if (call->host != host || call->state != TRI_CALL_LEFT || call->object == NULL)
            wrong(check, "host %d has a result for a call that has ended", host->pid);
        if (call->caller == NULL)
            count_call(check, call);
    }
    if (calls != host->outstanding || waits != host->wait_count)
        wrong(check, "host %d has %u calls and %u waits, counted %u and %u", host->pid, calls, waits, host->outstanding,
              host->wait_count);
    check->cpus += (host->busy_cpu ? 1 : 0) - host->lent_cpus;
    if (host->special != NULL) {
        check->cpus += host->special->special->num_cpus;
        check->gpus += host->special->special->num_gpus;
    }
    if (host->peer != NULL && host->peer->host != host)
        wrong(check, "host %d and its process do not agree", host->pid);
    if ((host->kind == TRI_HOST_POOL) != listed(&host->pool))
        wrong(check, "host %d and the pool do not agree", host->pid);
    if (host->kind == TRI_HOST_POOL && host->busy_cpu && host->outstanding == 0)
        wrong(check, "host %d has a CPU and nothing to run", host->pid);
}

static void
check_quiet(struct check *check, const struct tri_peer *peer, const struct tri_pending *call)
{
    char id[TRI_ID_TEXT_SIZE];
    const struct tri_ring *ring = &peer->quiet;
    check->quiet++;
    if (ring->size == 0 || ring->slots[call->id.number & (ring->size - 1)] != call || call->object != NULL)
        wrong(check, "quiet call %s is not where its caller looks for it", tri_id_format(call->id, id));
    if (tri_table_find(&check->core->things, call->id) != NULL)
        wrong(check, "quiet call %s is a thing, too", tri_id_format(call->id, id));
    const bool away = call->state == TRI_CALL_GIVEN || call->state == TRI_CALL_ACCEPTED;
    const bool queued = call->kind == TRI_CALL_TASK && call->state == TRI_CALL_QUEUED;
    if (call->needs != NULL || call->refs != NULL || call->one_way || (call->host != NULL) != away ||
        !(away || queued || call->state == TRI_CALL_ANSWERED) ||
        (call->parcel != NULL) != (call->kind == TRI_CALL_TASK && call->state != TRI_CALL_ANSWERED))
        wrong(check, "quiet call %s is none", tri_id_format(call->id, id));
}

static void
check_peer(struct check *check, const struct tri_peer *peer)
{
    uint64_t calls = 0, bytes = 0, coming = 0;
    uint32_t left = 0;
    TRI_EACH((struct tri_node *)(uintptr_t)&peer->left, node)
    left++;
    TRI_EACH((struct tri_node *)(uintptr_t)&peer->calls, node)
    {
        const struct tri_pending *call = TRI_OWNER(node, struct tri_pending, caller_link);
        calls += call->credited;
        bytes += call->credited ? call->bytes : 0;
        if (call->caller != peer)
            wrong(check, "process %d has another's call", peer->pid);
        coming += call->state == TRI_CALL_LEFT && call->asked ? call->packet : 0;
        left -= call->state == TRI_CALL_LEFT && listed(&call->actor_link);
        if (call->held && call->state == TRI_CALL_QUEUED && !peer->full)
            wrong(check, "process %d takes its results, and its tasks are held back", peer->pid);
        if (call->quiet)
            check_quiet(check, peer, call);
        count_call(check, call);
    }
    if (coming != peer->coming || left != 0 || (!tri_list_empty(&peer->left) && !peer->full))
        wrong(check, "process %d: %" PRIu64 " bytes of results are asked for, %" PRIu64 " counted, %d others wait",
              peer->pid, coming, peer->coming, (int)left);
    if (calls != peer->used_calls || bytes != peer->used_bytes)
        wrong(check, "process %d: %" PRIu64 " calls and %" PRIu64 " bytes are out, %" PRIu64 " and %" PRIu64 " counted",
              peer->pid, calls, bytes, peer->used_calls, peer->used_bytes);
}

static void
count_orphans(struct check *check, const struct tri_node *head)
{
    TRI_EACH((struct tri_node *)(uintptr_t)head, node)
    {
        const struct tri_pending *call = TRI_OWNER(node, struct tri_pending, link);
        if (call->caller == NULL)
            count_call(check, call);
    }
}

/* Calls whose caller is gone, where no host has them. */
static void
check_orphans(struct check *check)
{
    const struct tri_core *core = check->core;
    count_orphans(check, &core->tasks);
    TRI_EACH((struct tri_node *)(uintptr_t)&core->actors, node)
    {
        const struct tri_actor *actor = TRI_OWNER(node, struct tri_actor, all);
        TRI_EACH((struct tri_node *)(uintptr_t)&actor->ready, lane)
        count_orphans(check, &TRI_OWNER(lane, struct tri_lane, link)->calls);
        TRI_EACH((struct tri_node *)(uintptr_t)&actor->stuck, lane)
        count_orphans(check, &TRI_OWNER(lane, struct tri_lane, link)->calls);
        if (actor->creation != NULL && actor->creation->caller == NULL && actor->creation->state == TRI_CALL_WAITING)
            count_call(check, actor->creation);
        TRI_EACH((struct tri_node *)(uintptr_t)&actor->watchers, watcher)
        if (TRI_OWNER(watcher, struct tri_pending, actor_link)->caller == NULL)
            count_call(check, TRI_OWNER(watcher, struct tri_pending, actor_link));
    }
}

bool
tri_core_check(const struct tri_core *core, char *why, size_t size)
{
    struct check check = {.core = core, .why = why, .size = size, .ok = true};
    for (size_t i = 0; i < core->peer_capacity; i++)
        if (core->peers[i] != NULL)
            check_peer(&check, core->peers[i]);
    TRI_EACH((struct tri_node *)(uintptr_t)&core->all_hosts, node)
    check_host(&check, TRI_OWNER(node, struct tri_host, all));
    check_orphans(&check);
    tri_table_each((struct tri_table *)(uintptr_t)&core->things, check_thing, &check);
    if (check.holds != core->hold_count || check.objects != core->object_count || check.actors != core->actor_count)
        wrong(&check, "%" PRIu64 " holds, %" PRIu64 " objects, %" PRIu64 " actors; counted %u, %u, %u", check.holds,
              check.objects, check.actors, core->hold_count, core->object_count, core->actor_count);
    if (check.quiet != core->quiet_count)
        wrong(&check, "%" PRIu64 " calls are quiet, counted %u", check.quiet, core->quiet_count);
    if (check.names != core->names.count)
        wrong(&check, "%" PRIu64 " actors have names, the directory has %zu", check.names, core->names.count);
    if (fabs(check.cpus - core->ledger.cpus_used) > 1e-6 || fabs(check.gpus - core->ledger.gpus_used) > 1e-6)
        wrong(&check, "%g CPUs and %g GPUs are in use, the ledger says %g and %g", check.cpus, check.gpus,
              core->ledger.cpus_used, core->ledger.gpus_used);
    const char *store = core->depot != NULL ? tri_depot_check(core->depot) : NULL;
    if (store != NULL)
        wrong(&check, "%s", store);
    if (check.flights != 0)
        wrong(&check, "references in flight and what carries them differ by %" PRId64, (int64_t)check.flights);
    return check.ok;
}
