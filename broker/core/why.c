/*
 * why.c - why a result or an actor is not ready yet: what it waits for, what that waits for, and so on; of a result, or a value
 * that was put, also who has it. Where a call stands
 * behind others at its actor, the chain goes on with the first of those. Whether a host runs a call, or has deferred its
 * answer, only the host knows.
 */
#include "broker/core/page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LINKS_MAX = 64, WHO_SIZE = TRI_NAME_MAX + 64 };

static void
add_row(struct tri_page *page, const char *what, uint64_t since_ns)
{
    tri_page_text(page, "waits", what);
    tri_page_text(page, "node", page->core->node);
    tri_page_put(page, "since_s", trp_f64(tri_seconds_since(page->core, since_ns)));
    if (page->row_count == 0 && page->subject != NULL)
        tri_page_object(page, page->subject);
    tri_page_end_row(page);
}

/* -------------------------------------------------------------------------------------------------- what lies at a host */

/* The first call that it has not answered. */
static const struct tri_pending *
first_at(const struct tri_host *host)
{
    const struct tri_node *list = !tri_list_empty(&host->accepted) ? &host->accepted : &host->given;

    return tri_list_empty(list) ? NULL : TRI_OWNER(list->next, struct tri_pending, link);
}

/* How many it was given before this one and has not answered. */
static uint32_t
count_before(const struct tri_pending *call)
{
    struct tri_node *const lists[] = {&call->host->accepted, &call->host->given};
    uint32_t count = 0;

    for (int i = 0; i < 2; i++)
        TRI_EACH(lists[i], node)
        {
            if (TRI_OWNER(node, struct tri_pending, link) == call)
                return count;
            count++;
        }
    return 0; /* it is with neither: its answer is on its way */
}

/* So many that it cannot be running yet. */
static bool
is_behind(const struct tri_pending *call)
{
    const struct tri_actor *actor = call->host != NULL ? call->host->actor : NULL;
    const uint32_t most = actor != NULL && actor->max_concurrency > 1 ? actor->max_concurrency : 1;

    return call->host != NULL && !call->in_place && count_before(call) >= most;
}

/* The result of the first call there, which the others wait for, if that has a name; else a row tells of it. */
static struct tri_object *
first_of_host(struct tri_page *page, const struct tri_host *host)
{
    const struct tri_pending *call = host != NULL ? first_at(host) : NULL;
    char text[100];

    if (call == NULL || !call->one_way)
        return call != NULL ? tri_as_object(tri_thing_find(page->core, call->id)) : NULL;
    snprintf(text, sizeof text, "a call that nobody waits for is before it at process %d", host->pid);
    add_row(page, text, call->since_ns);
    return NULL;
}

/* ----------------------------------------------------------------------------------------------------------- resources */

/* "2 CPUs (1 of 2 are taken)"; and of GPUs, where some are asked for. */
static void
tell_amounts(const struct tri_ledger *ledger, double cpus, double gpus, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%g CPU%s (%g of %g are taken)", cpus, cpus == 1 ? "" : "s",
                                   ledger->cpus_used, ledger->cpus);

    if (gpus > 0 && used < size)
        snprintf(text + used, size - used, " and %g GPU%s (%g of %g are taken)", gpus, gpus == 1 ? "" : "s",
                 ledger->gpus_used, ledger->gpus);
}

/* Who has what others wait for: a row for each actor that holds some of it. */
static void
tell_holders(struct tri_page *page)
{
    char who[WHO_SIZE], text[WHO_SIZE + 100];

    TRI_EACH(&page->core->actors, node)
    {
        const struct tri_actor *actor = TRI_OWNER(node, struct tri_actor, all);
        if (!actor->holds_resources || (actor->num_cpus <= 0 && actor->num_gpus <= 0))
            continue;
        if (page->row_count + 3 >= page->limit)
            return;
        snprintf(text, sizeof text, "%s holds %g CPUs and %g GPUs", tri_actor_text(actor, who), actor->num_cpus,
                 actor->num_gpus);
        add_row(page, text, actor->since_ns);
    }
}

/* -------------------------------------------------------------------------------------------------------------- actors */

static void
tell_actor(struct tri_page *page, const struct tri_actor *actor)
{
    char who[WHO_SIZE], amounts[200], text[900];
    const char *plural = actor->pending == 1 ? "" : "s";

    tri_actor_text(actor, who);
    tell_amounts(&page->core->ledger, actor->start_cpus, actor->num_gpus, amounts, sizeof amounts);
    if (actor->state == TRI_ACTOR_DEAD)
        snprintf(text, sizeof text, "%s is dead: %.500s", who,
                 actor->obituary != NULL ? actor->obituary->error.message : "it has ended");
    else if (actor->state == TRI_ACTOR_WAITING && actor->creation != NULL && actor->creation->missing > 0)
        snprintf(text, sizeof text, "%s waits for %u arguments of its constructor", who, actor->creation->missing);
    else if (actor->state == TRI_ACTOR_WAITING)
        snprintf(text, sizeof text, "%s waits for %s", who, amounts);
    else if (actor->state == TRI_ACTOR_STARTING)
        snprintf(text, sizeof text, "%s waits for its process to start", who);
    else if (actor->state == TRI_ACTOR_CREATED)
        snprintf(text, sizeof text, "%s runs its constructor in process %d", who, actor->host->pid);
    else if (actor->host == NULL)
        snprintf(text, sizeof text, "%s is not found yet, with %u call%s pending", who, actor->pending, plural);
    else
        snprintf(text, sizeof text, "%s has %u call%s pending, and is ready in process %d", who, actor->pending, plural,
                 actor->host->pid);
    add_row(page, text, actor->since_ns);
    if (actor->state == TRI_ACTOR_WAITING && (actor->creation == NULL || actor->creation->missing == 0))
        tell_holders(page);
}

/* ------------------------------------------------------------------------------------------------------------- results */

/* "its call of fib:fib", "its call of add to actor 'Ada'". */
static void
tell_call(const struct tri_pending *call, char *text, size_t size)
{
    const char *method = tri_method_text(call);
    char who[WHO_SIZE] = "";

    if (call->actor != NULL)
        tri_actor_text(call->actor, who);
    snprintf(text, size, "its call%s%.*s%s%s", method[0] != '\0' ? " of " : "", TRI_NAME_MAX, method,
             who[0] != '\0' ? " to " : "", who);
}

/* Where it is. */
static void
tell_place(const struct tri_core *core, const struct tri_pending *call, char *text, size_t size)
{
    const bool task = call->kind == TRI_CALL_TASK;

    if (call->missing > 0)
        snprintf(text, size, "waits for %u of its arguments", call->missing);
    else if (call->state == TRI_CALL_LEFT)
        snprintf(text, size, "has its result at process %d, until process %d takes what it was sent before",
                 call->host->pid, call->caller != NULL ? call->caller->pid : 0);
    else if (call->state == TRI_CALL_QUEUED && call->caller != NULL && call->caller->full)
        snprintf(text, size, "waits until its caller, process %d, takes the results that it has", call->caller->pid);
    else if (call->state == TRI_CALL_QUEUED && task)
        snprintf(text, size, "waits in the queue of tasks (%u, with %g of %g CPUs taken)", core->queued_tasks,
                 core->ledger.cpus_used, core->ledger.cpus);
    else if (call->state == TRI_CALL_QUEUED)
        snprintf(text, size, "waits in its queue");
    else if (call->host == NULL)
        snprintf(text, size, "%s", tri_call_state(call));
    else if (is_behind(call))
        snprintf(text, size, "is at process %d, behind %u more", call->host->pid, count_before(call));
    else if (call->state == TRI_CALL_GIVEN)
        snprintf(text, size, "is on its way to process %d", call->host->pid);
    else
        snprintf(text, size, "is at process %d, which runs it%s", call->host->pid, task ? "" : " or answers it later");
}

/* The first argument that it waits for. */
static struct tri_object *
missing_of(const struct tri_pending *call)
{
    for (uint32_t i = 0; i < call->need_count; i++)
        if (call->needs[i].missing)
            return call->needs[i].object;
    return NULL;
}

/* What its execution waits for; a row says so. */
static struct tri_object *
tell_wait(struct tri_page *page, const struct tri_pending *call, const char *id)
{
    const struct tri_wait *wait = call->host != NULL ? tri_wait_find(call->host, call->id) : NULL;
    char other[TRI_ID_TEXT_SIZE], text[2 * TRI_ID_TEXT_SIZE + 64];

    for (uint32_t i = 0; wait != NULL && i < wait->count; i++) {
        struct tri_object *next = tri_as_object(tri_thing_find(page->core, wait->ids[i]));
        if (next == NULL || next->state == TRI_OBJECT_READY || next->state == TRI_OBJECT_FAILED)
            continue;
        snprintf(text, sizeof text, "%s: its execution waits for %s", id, tri_id_format(wait->ids[i], other));
        add_row(page, text, wait->since_ns);
        return next;
    }
    return NULL;
}

/* What the call itself waits for, after its own row. */
static struct tri_object *
tell_next(struct tri_page *page, const struct tri_pending *call, const char *id)
{
    const struct tri_actor *actor = call->kind == TRI_CALL_ACTOR ? call->actor : NULL;

    if (call->missing > 0)
        return missing_of(call);
    if (actor != NULL && actor->state != TRI_ACTOR_READY) {
        tell_actor(page, actor);
        return actor->creation != NULL ? missing_of(actor->creation) : NULL;
    }
    if (actor != NULL && call->lane != NULL && call->lane->stuck)
        return missing_of(TRI_OWNER(call->lane->calls.next, struct tri_pending, link)); /* the one before it waits */
    if (actor != NULL && call->state == TRI_CALL_QUEUED)
        return first_of_host(page, actor->host);
    if (call->kind == TRI_CALL_TASK && call->state == TRI_CALL_QUEUED)
        tell_holders(page);
    if (is_behind(call))
        return first_of_host(page, call->host);
    if (call->state == TRI_CALL_LEFT)
        return NULL;
    return tell_wait(page, call, id);
}

/* "... is ready: 204800 bytes in shared memory, pinned 2 times". */
static void
tell_value(struct tri_page *page, const struct tri_object *object, const char *id)
{
    static const struct {
        const char *location, *words;
    } places[] = {{"inline", " at the broker"},
                  {"shared memory", " in shared memory"},
                  {"spilled", " in a file of the spill directory"},
                  {"lost", ", of which the file is damaged"}};
    const char *state = tri_object_state(object), *location = tri_object_location(object), *words = "";
    const struct tri_pinning *first;
    const size_t pins = tri_object_pins(page, object, &first);
    char pinned[64] = "", text[2 * TRI_ID_TEXT_SIZE + 200];

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strcmp(places[i].location, location) == 0)
            words = places[i].words;
    if (pins > 0)
        snprintf(pinned, sizeof pinned, ", pinned %zu time%s", pins, pins == 1 ? "" : "s");
    if (object->value == NULL)
        snprintf(text, sizeof text, "%s is %s: processes that hold it have its value", id, state);
    else
        snprintf(text, sizeof text, "%s is %s: %" PRIu64 " bytes%s%s", id, state, (uint64_t)object->value->section.size,
                 words, pinned);
    add_row(page, text, page->core->now_ns);
}

/* A result's rows. Returns the one that it waits for; NULL: that is the end of the chain. */
static struct tri_object *
tell_object(struct tri_page *page, struct tri_object *object)
{
    char id[TRI_ID_TEXT_SIZE], name[2 * WHO_SIZE], place[200], text[sizeof name + sizeof place + sizeof id + 4];
    char who[WHO_SIZE];
    const struct tri_pending *call = object->call;

    tri_id_format(tri_thing_id(&object->thing), id);
    if (object->state == TRI_OBJECT_READY || object->state == TRI_OBJECT_FAILED) {
        tell_value(page, object, id);
        return NULL;
    }
    if (call == NULL) {
        snprintf(text, sizeof text, "%s: no call that makes it is known; a process that has it is asked", id);
        add_row(page, text, page->core->now_ns);
        return NULL;
    }
    if (call->kind == TRI_CALL_WATCH && call->state == TRI_CALL_WAITING) {
        snprintf(text, sizeof text, "%s: it watches %s %s", id, tri_actor_text(call->actor, who), tri_call_state(call));
        add_row(page, text, call->since_ns);
        tell_actor(page, call->actor);
        return NULL;
    }
    tell_call(call, name, sizeof name);
    tell_place(page->core, call, place, sizeof place);
    snprintf(text, sizeof text, "%s: %s %s", id, name, place);
    add_row(page, text, call->since_ns);
    return tell_next(page, call, id);
}

bool
tri_page_why(struct tri_core *core, struct tri_page *page, const char *what)
{
    struct tri_object *object = NULL;
    struct tri_id id;

    if (!tri_page_init(page, core, LINKS_MAX))
        return false;
    struct tri_thing *thing = tri_id_parse(what, &id) ? tri_thing_find(core, id) : NULL;
    if (thing == NULL) {
        add_row(page, "nothing of that name is known here: it is private to its process, or gone", core->now_ns);
    } else if (thing->kind == TRI_THING_ACTOR) {
        const struct tri_actor *actor = tri_as_actor(thing);
        tell_actor(page, actor);
        object = actor->state == TRI_ACTOR_READY ? first_of_host(page, actor->host)
                 : actor->creation != NULL       ? missing_of(actor->creation)
                                                 : NULL;
    } else {
        object = tri_as_object(thing);
        page->subject = object;
        core->mark++;
        object->thing.mark = core->mark;
        if (!tri_holders_find(page))
            return false;
    }
    core->mark++; /* an answer that is given later may close a circle */
    while (object != NULL && object->thing.mark != core->mark && page->row_count + 3 < page->limit) {
        object->thing.mark = core->mark;
        object = tell_object(page, object);
    }
    return true;
}
