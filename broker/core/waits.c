/*
 * waits.c - executions that wait: CPUs given back, waits that can never end, tasks that run on the thread that waits for
 * them. The graph: an execution waits for objects, an object for the call that makes it, that for its own arguments, for
 * its actor's turn, or for what its execution waits for.
 */
#include "broker/core/state.h"

#include <stdio.h>
#include <string.h>

struct tri_wait *
tri_wait_find(const struct tri_host *host, struct tri_id parent)
{
    TRI_EACH(&host->waits, node)
    {
        struct tri_wait *wait = TRI_OWNER(node, struct tri_wait, by_host);
        if (tri_id_equal(wait->parent, parent))
            return wait;
    }
    return NULL;
}

/* Executions that may be at a time. Until it is constructed that is its constructor. */
static uint32_t
concurrency(const struct tri_actor *actor)
{
    return actor->state == TRI_ACTOR_READY && actor->max_concurrency > 0 ? actor->max_concurrency : 1;
}

/* The CPU of what waits is others' meanwhile. */
static void
lend(struct tri_core *core, struct tri_host *host)
{
    double cpus = 0;
    if (host->kind == TRI_HOST_POOL && host->wait_count == 1 && ++core->waiting_hosts > core->waiting_most)
        core->waiting_most = core->waiting_hosts;
    if (host->busy_cpu) {
        host->busy_cpu = false;
        tri_ledger_add(&core->ledger, 1, 0, 0, NULL, -1);
    } else if (host->special != NULL) {
        cpus = host->special->special->num_cpus;
    } else if (host->actor != NULL && host->actor->holds_resources && host->wait_count >= concurrency(host->actor)) {
        cpus = host->actor->num_cpus;
    }
    if (cpus > 0 && host->lent_cpus == 0) {
        host->lent_cpus = cpus;
        tri_ledger_add(&core->ledger, cpus, 0, 0, NULL, -1);
    }
    core->tasks_changed = core->placing_changed = true;
}

static void
take_back(struct tri_core *core, struct tri_host *host)
{
    if (host->kind == TRI_HOST_POOL && host->wait_count == 0)
        core->waiting_hosts--;
    if (host->actor != NULL && host->wait_count >= concurrency(host->actor))
        return;
    if (host->actor == NULL && host->wait_count > 0)
        return;
    tri_ledger_add(&core->ledger, host->lent_cpus, 0, 0, NULL, 1);
    host->lent_cpus = 0;
    if (host->kind == TRI_HOST_POOL && host->outstanding > 0 && host->special == NULL && !host->busy_cpu) {
        host->busy_cpu = true;
        tri_ledger_add(&core->ledger, 1, 0, 0, NULL, 1);
    }
    host->progress_ns = core->now_ns;
    core->tasks_changed = true;
}

static void
end_wait(struct tri_core *core, struct tri_wait *wait)
{
    struct tri_host *host = wait->host;
    tri_list_remove(&wait->by_host);
    tri_list_remove(&wait->all);
    host->wait_count--;
    take_back(core, host);
    free(wait);
}

void
tri_waits_of_host(struct tri_core *core, struct tri_host *host)
{
    while (!tri_list_empty(&host->waits))
        end_wait(core, TRI_OWNER(host->waits.next, struct tri_wait, by_host));
}

/* ------------------------------------------------------------------------------------------------------------- deadlock */

struct search {
    struct tri_core *core;
    size_t objects, waits;
    bool failed; /* no memory: nothing is said */
};

static void
add_object(struct search *search, struct tri_object *object)
{
    struct tri_core *core = search->core;
    if (object == NULL || object->thing.mark == core->mark)
        return;
    if (!TRI_RESERVE(core->search_objects, core->search_objects_capacity, search->objects + 1)) {
        search->failed = true;
        return;
    }
    object->thing.mark = core->mark;
    object->thing.proceeds = false;
    core->search_objects[search->objects++] = &object->thing;
}

static void
add_wait(struct search *search, struct tri_wait *wait)
{
    struct tri_core *core = search->core;
    if (wait == NULL || wait->mark == core->mark)
        return;
    if (!TRI_RESERVE(core->search_waits, core->search_waits_capacity, search->waits + 1)) {
        search->failed = true;
        return;
    }
    wait->mark = core->mark;
    wait->proceeds = false;
    core->search_waits[search->waits++] = wait;
}

static struct tri_wait *
wait_of(const struct tri_pending *call)
{
    return call->host != NULL ? tri_wait_find(call->host, call->id) : NULL;
}

/* The host whose waiting executions take all of the actor's turns; NULL: there is one free. */
static struct tri_host *
full_host(const struct tri_pending *call)
{
    const struct tri_actor *actor = call->actor;
    if (call->kind != TRI_CALL_ACTOR || actor == NULL || actor->host == NULL)
        return NULL;
    return actor->host->wait_count >= concurrency(actor) ? actor->host : NULL;
}

/* The call before it in its lane that waits for arguments. */
static struct tri_pending *
first_of_lane(const struct tri_pending *call)
{
    if (call->lane == NULL || !call->lane->stuck)
        return NULL;
    return TRI_OWNER(call->lane->calls.next, struct tri_pending, link);
}

/* What its actor is made with, while that has not come to a host. */
static struct tri_pending *
creation_of(const struct tri_pending *call)
{
    return call->kind == TRI_CALL_ACTOR && call->actor != NULL ? call->actor->creation : NULL;
}

static void
expand_needs(struct search *search, const struct tri_pending *call)
{
    for (uint32_t i = 0; call != NULL && i < call->need_count; i++)
        if (call->needs[i].missing)
            add_object(search, call->needs[i].object);
}

static void
expand_object(struct search *search, struct tri_object *object)
{
    struct tri_pending *call = object->call;
    if (object->state != TRI_OBJECT_PENDING || call == NULL)
        return;
    expand_needs(search, call);
    expand_needs(search, first_of_lane(call));
    expand_needs(search, creation_of(call));
    struct tri_wait *own = wait_of(call);
    add_wait(search, own);
    struct tri_host *full = own == NULL ? full_host(call) : NULL;
    if (full != NULL)
        TRI_EACH(&full->waits, node)
    add_wait(search, TRI_OWNER(node, struct tri_wait, by_host));
}

static bool
needs_proceed(const struct tri_pending *call)
{
    for (uint32_t i = 0; call != NULL && i < call->need_count; i++)
        if (call->needs[i].missing && !call->needs[i].object->thing.proceeds)
            return false;
    return true;
}

static bool
object_proceeds(const struct tri_object *object)
{
    const struct tri_pending *call = object->call;
    if (object->state != TRI_OBJECT_PENDING || call == NULL)
        return true;
    struct tri_wait *own = wait_of(call);
    if (own != NULL)
        return own->proceeds;
    if (!needs_proceed(call) || !needs_proceed(first_of_lane(call)) || !needs_proceed(creation_of(call)))
        return false;
    struct tri_host *full = full_host(call);
    if (full == NULL)
        return true;
    TRI_EACH(&full->waits, node)
    if (TRI_OWNER(node, struct tri_wait, by_host)->proceeds)
        return true;
    return false;
}

static bool
wait_proceeds(struct tri_core *core, const struct tri_wait *wait)
{
    for (uint32_t i = 0; i < wait->count; i++) {
        const struct tri_object *object = tri_as_object(tri_thing_find(core, wait->ids[i]));
        bool proceeds = object == NULL || object->thing.proceeds;
        if (proceeds == wait->any)
            return wait->any;
    }
    return !wait->any || wait->count == 0;
}

/* Whether this wait can never end. What can proceed is found from the ends, until no more is found. */
static bool
stuck(struct tri_core *core, struct tri_wait *wait)
{
    struct search search = {.core = core};
    size_t objects = 0, waits = 0;
    core->mark++;
    add_wait(&search, wait);
    while (objects < search.objects || waits < search.waits) {
        if (waits < search.waits) {
            const struct tri_wait *next = core->search_waits[waits++];
            for (uint32_t i = 0; i < next->count; i++)
                add_object(&search, tri_as_object(tri_thing_find(core, next->ids[i])));
        } else {
            expand_object(&search, tri_as_object(core->search_objects[objects++]));
        }
    }
    for (bool changed = true; changed && !search.failed;) {
        changed = false;
        for (size_t i = search.objects; i-- > 0;) {
            struct tri_object *object = tri_as_object(core->search_objects[i]);
            if (!object->thing.proceeds && object_proceeds(object))
                changed = object->thing.proceeds = true;
        }
        for (size_t i = search.waits; i-- > 0;)
            if (!core->search_waits[i]->proceeds && wait_proceeds(core, core->search_waits[i]))
                changed = core->search_waits[i]->proceeds = true;
    }
    return !search.failed && !wait->proceeds;
}

/* ----------------------------------------------------------------------------------------------------- the chain, told */

static void
say(char *text, size_t size, const char *format, const char *a, const char *b)
{
    size_t used = strlen(text);
    if (used + 1 < size) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text + used, size - used, format, a, b);
#pragma GCC diagnostic pop
    }
}

static const struct tri_object *
first_stuck(struct tri_core *core, const struct tri_wait *wait)
{
    for (uint32_t i = 0; i < wait->count; i++) {
        const struct tri_object *object = tri_as_object(tri_thing_find(core, wait->ids[i]));
        if (object != NULL && !object->thing.proceeds)
            return object;
    }
    return NULL;
}

static const struct tri_object *
missing_of(const struct tri_pending *call)
{
    for (uint32_t i = 0; call != NULL && i < call->need_count; i++)
        if (call->needs[i].missing && !call->needs[i].object->thing.proceeds)
            return call->needs[i].object;
    return NULL;
}

static const char *
runner(const struct tri_host *host, char text[TRI_NAME_MAX + 64])
{
    if (host->actor != NULL)
        return tri_actor_text(host->actor, text);
    snprintf(text, TRI_NAME_MAX + 64, "a task in process %d", host->pid);
    return text;
}

static void
tell_chain(struct tri_core *core, const struct tri_wait *start, char *text, size_t size)
{
    const struct tri_wait *wait = start;
    char who[TRI_NAME_MAX + 64], id[TRI_ID_TEXT_SIZE];
    text[0] = '\0';
    for (int i = 0; i < 12 && wait != NULL; i++) {
        const struct tri_object *object = first_stuck(core, wait);
        if (object == NULL)
            break;
        say(text, size, i == 0 ? "%s waits for result %s" : ", and %s waits for result %s", runner(wait->host, who),
            tri_id_format(tri_thing_id(&object->thing), id));
        wait = NULL;
        for (int hops = 0; hops < 12 && object != NULL && wait == NULL; hops++) {
            const struct tri_object *missing = missing_of(object->call);
            if (missing == NULL)
                missing = missing_of(first_of_lane(object->call));
            wait = wait_of(object->call);
            struct tri_host *full = full_host(object->call);
            if (wait == NULL && missing == NULL && full != NULL) {
                say(text, size, ", whose call is in the queue of %s%s", runner(full, who), "");
                wait = TRI_OWNER(full->waits.next, struct tri_wait, by_host);
            } else if (wait == NULL && missing != NULL) {
                say(text, size, ", which waits for its argument %s%s", tri_id_format(tri_thing_id(&missing->thing), id),
                    "");
            }
            object = missing;
        }
        if (wait == start) {
            say(text, size, ": a circle%s%s", "", "");
            break;
        }
    }
}

static void
refuse(struct tri_core *core, struct tri_peer *peer, const struct tri_wait *wait)
{
    struct tri_failure failure = {0};
    struct tri_id none = {0, 0};
    char chain[600];
    tell_chain(core, wait, chain, sizeof chain);
    tri_fail(&failure.error, TRP_EDEADLOCK, "This wait on node '%s' could never end: %s.", core->node, chain);
    tri_text_copy(failure.error.node, sizeof failure.error.node, core->node);
    failure.error.ran = TRP_MAY_HAVE_RUN;
    if (wait->host->actor != NULL)
        tri_text_copy(failure.error.actor, sizeof failure.error.actor, wait->host->actor->texts->label);
    tri_send_plain(core, peer, TRI_DEADLOCK, 0, none, none, wait->parent, tri_error_section(core, &failure));
}

/* ------------------------------------------------------------------------------------------------------------- messages */

trp_err
tri_on_blocked(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const struct tri_id *ids;
    uint32_t count;
    struct tri_host *host = peer->host;
    TRP_TRY(tri_ids_unpack(&message->sections[0], &ids, &count, error));
    if (tri_id_is_none(message->route->parent) || tri_wait_find(host, message->route->parent) != NULL)
        return TRI_FAIL(error, TRP_EPROTO, "BLOCKED of no execution, or of one that waits already");
    struct tri_wait *wait = calloc(1, sizeof *wait + count * sizeof *ids);
    if (wait == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for a wait");
    wait->host = host;
    wait->parent = message->route->parent;
    wait->any = (message->route->flags & TRI_ANY) != 0;
    wait->since_ns = core->now_ns;
    wait->count = count;
    if (count > 0)
        memcpy(wait->ids, ids, count * sizeof *ids);
    tri_list_append(&host->waits, &wait->by_host);
    tri_list_append(&core->waits, &wait->all);
    host->wait_count++;
    lend(core, host);
    if (stuck(core, wait)) {
        refuse(core, peer, wait);
        end_wait(core, wait);
    }
    return TRP_OK;
}

/* Under a new broker BLOCKED may come before the calls that it leads to; and of a lane only the first call is looked at. */
void
tri_waits_judge(struct tri_core *core)
{
    core->judge_waits = false;
    for (struct tri_node *node = core->waits.next, *next; node != &core->waits; node = next) {
        struct tri_wait *wait = TRI_OWNER(node, struct tri_wait, all);
        next = node->next;
        if (wait->host->peer == NULL || !stuck(core, wait))
            continue;
        refuse(core, wait->host->peer, wait);
        end_wait(core, wait);
    }
    tri_event_end(core);
}

trp_err
tri_on_unblocked(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    struct tri_wait *wait = tri_wait_find(peer->host, message->route->parent);
    (void)error;
    if (wait != NULL) /* not after DEADLOCK */
        end_wait(core, wait);
    return TRP_OK;
}

/* -------------------------------------------------------------------------------------------------------------- in place */

/* A queued task that this wait depends on. */
static struct tri_pending *
queued_below(struct tri_core *core, const struct tri_wait *wait)
{
    struct search search = {.core = core};
    core->mark++;
    for (uint32_t i = 0; i < wait->count; i++)
        add_object(&search, tri_as_object(tri_thing_find(core, wait->ids[i])));
    for (size_t i = 0; i < search.objects; i++) {
        struct tri_object *object = tri_as_object(core->search_objects[i]);
        struct tri_pending *call = object->call;
        if (object->state != TRI_OBJECT_PENDING || call == NULL)
            continue;
        if (call->kind == TRI_CALL_TASK && call->state == TRI_CALL_QUEUED)
            return call;
        expand_needs(&search, call);
        expand_needs(&search, first_of_lane(call));
        expand_needs(&search, creation_of(call));
    }
    return NULL;
}

/* Whether a task may run on the thread that waits here: nothing stands on it yet. Which thread it is was known to the broker
 * before, if that died meanwhile. */
static bool
is_top(const struct tri_wait *wait)
{
    const struct tri_host *host = wait->host;
    bool one_thread = host->kind == TRI_HOST_POOL || host->actor == NULL || host->actor->max_concurrency <= 1;
    if (wait->placed != NULL || host->wait_count < host->found)
        return false;
    if (wait->any && wait->count > 1)
        return false; /* it may go on without that task, but not below it */
    return host->waits.prev == &wait->by_host || (!one_thread && host->found == 0);
}

void
tri_waits_in_place(struct tri_core *core)
{
    TRI_EACH(&core->waits, node)
    {
        struct tri_wait *wait = TRI_OWNER(node, struct tri_wait, all);
        struct tri_host *host = wait->host;
        if (!is_top(wait) || host->ending || host->peer == NULL || host->peer->reporting)
            continue;
        struct tri_pending *call = queued_below(core, wait);
        if (call != NULL &&
            core->ops.has_credit(core->ops.user, host->peer->index, tri_call_bytes(call, call->parcel->bytes)) &&
            tri_task_may_go(core, call))
            tri_task_give(core, call, host, wait);
    }
}
