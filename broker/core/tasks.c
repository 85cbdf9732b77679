/*
 * tasks.c - stateless tasks: a queue over a pool of hosts. Plain ones (a CPU, no more) are given ahead, several to a host;
 * others one at a time. How much ahead depends on how quickly a host answers.
 */
#include "broker/core/state.h"

#include <string.h>

enum { WINDOW_MAX = 512 };
#define QUICK_NS  (250 * UINT64_C(1000))
#define SLOW_NS   TRI_NS_PER_MS
#define RECALL_NS (2 * TRI_NS_PER_MS)
#define RELIEF_NS (100 * TRI_NS_PER_MS)

struct tri_special *
tri_special_new(const struct tri_needs *needs)
{
    size_t size = sizeof(struct tri_special) + needs->resource_count * sizeof(struct tri_resource), texts = 0;
    for (uint32_t i = 0; i < needs->resource_count; i++)
        texts += strlen(needs->resources[i].name) + 1;
    struct tri_special *special = malloc(size + texts);
    if (special == NULL)
        return NULL;
    special->num_cpus = needs->num_cpus;
    special->num_gpus = needs->num_gpus;
    special->memory_bytes = needs->memory_bytes;
    special->resource_count = needs->resource_count;
    special->resources = (struct tri_resource *)(void *)(special + 1);
    char *at = (char *)special + size;
    for (uint32_t i = 0; i < needs->resource_count; i++) {
        size_t length = strlen(needs->resources[i].name) + 1;
        memcpy(at, needs->resources[i].name, length);
        special->resources[i].name = at;
        special->resources[i].amount = needs->resources[i].amount;
        at += length;
    }
    return special;
}

void
tri_special_free(struct tri_special **special)
{
    free(*special);
    *special = NULL;
}

static const struct tri_declared *
declared(const struct tri_core *core, const struct tri_section *body)
{
    return core->declared.count > 0 ? tri_declared_find(&core->declared, tri_call_method(body)) : NULL;
}

/* Where the call says nothing, what the row says; where that is not known, a CPU. */
static void
fill_in(struct tri_needs *needs, const struct tri_declared *row)
{
    if (needs->num_cpus == 0)
        needs->num_cpus = row != NULL ? row->num_cpus : 1;
    else if (needs->num_cpus < 0)
        needs->num_cpus = 0;
    if (needs->num_gpus == 0 && row != NULL)
        needs->num_gpus = row->num_gpus;
    if (needs->memory_bytes == 0 && row != NULL)
        needs->memory_bytes = row->memory_bytes;
}

trp_err
tri_task_check(const struct tri_core *core, const struct tri_message *message, struct tri_special **special,
               int32_t *max_retries, trp_error *error)
{
    struct tri_spawn_scratch scratch;
    struct tri_needs needs;
    bool present = false;
    TRP_TRY(tri_task_needs(&message->sections[0], &needs, &scratch, &present, error));
    *max_retries = needs.max_retries;
    fill_in(&needs, declared(core, &message->sections[0]));
    if (needs.num_cpus == 1 && needs.num_gpus == 0 && needs.memory_bytes == 0 && needs.resource_count == 0)
        return TRP_OK;
    *special = tri_special_new(&needs);
    return *special != NULL ? TRP_OK : TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for a task's needs");
}

bool
tri_task_is_usual(const struct tri_core *core, const struct tri_section *section)
{
    struct tri_spawn_scratch scratch;
    struct tri_needs needs;
    bool present;
    if (tri_task_needs(section, &needs, &scratch, &present, NULL) != TRP_OK || present)
        return false;
    const struct tri_declared *row = core->declared.needing > 0 ? declared(core, section) : NULL;
    return row == NULL || !tri_declared_needs(row);
}

int32_t
tri_task_retries(const struct tri_core *core, const struct tri_pending *call, const struct tri_section *body)
{
    if (call->no_retry)
        return 0;
    if (call->max_retries != 0)
        return call->max_retries;
    const struct tri_declared *row = declared(core, body);
    return row != NULL ? row->max_retries : TRI_USUAL_RETRIES;
}

static uint32_t
cpus(const struct tri_core *core)
{
    return core->config.num_cpus < 1 ? 1 : (uint32_t)core->config.num_cpus;
}

static uint32_t
host_bound(const struct tri_core *core)
{
    return core->limits.waiting_hosts_per_cpu * cpus(core);
}

/* At the bound all hosts wait, and for something else than a queued task that they could run themselves: an actor, say, that
 * waits for such a task. When nothing has moved for a while, one host more is the only way on. */
static bool
starved(const struct tri_core *core)
{
    return core->pool_hosts >= host_bound(core) && core->pool_hosts == core->waiting_hosts &&
           !tri_list_empty(&core->tasks);
}

static bool
may_grow(const struct tri_core *core)
{
    return core->pool_hosts < host_bound(core) || (starved(core) && core->now_ns >= core->task_moved_ns + RELIEF_NS);
}

static bool
is_at_bound(const struct tri_core *core)
{
    return core->pool_hosts >= host_bound(core) && core->pool_hosts - core->waiting_hosts < cpus(core);
}

/* -------------------------------------------------------------------------------------------------------------- queue */

static void
queue(struct tri_core *core, struct tri_pending *call, struct tri_node *before)
{
    call->state = TRI_CALL_QUEUED;
    call->held = false;
    tri_list_append(before, &call->link);
    core->queued_tasks++;
    core->tasks_changed = true;
    if (call->deadline_ns != TRI_NEVER)
        tri_timer_set(&core->timers, &call->timer, TRI_TIMER_CALL, call->deadline_ns);
}

void
tri_task_ready(struct tri_core *core, struct tri_pending *call)
{
    queue(core, call, call->wish == NULL ? &core->tasks : core->tasks.next); /* it had its turn already */
}

/* A host had it from the broker before, with its arguments; to be given to another one it has to have them here. false: it
 * waits for them, or has failed. */
static bool
needs_again(struct tri_core *core, struct tri_pending *call)
{
    if (tri_call_needs(core, call, call->refs, NULL) != TRP_OK) {
        tri_call_fail(core, call, TRP_ENOMEM, "the broker has no memory for the call's arguments");
        return false;
    }
    if (tri_call_need_failed(core, call))
        return false;
    for (uint32_t i = 0; i < call->need_count; i++)
        if (call->needs[i].missing)
            tri_object_fetch(core, call->needs[i].object);
    if (call->missing > 0 && call->deadline_ns != TRI_NEVER)
        tri_timer_set(&core->timers, &call->timer, TRI_TIMER_CALL, call->deadline_ns);
    return call->missing == 0;
}

void
tri_task_requeue(struct tri_core *core, struct tri_pending *call)
{
    call->in_place = false;
    if (call->needs == NULL && call->refs != NULL && !needs_again(core, call))
        return;
    queue(core, call, core->tasks.next);
}

void
tri_task_submit(struct tri_core *core, struct tri_pending *call, const struct tri_message *message)
{
    const struct tri_special *special = call->special;
    if (call->again && core->config.tasks_lost && tri_task_retries(core, call, &message->sections[0]) == 0) {
        tri_call_fail_death(core, call, TRP_MAY_HAVE_RUN, NULL, "it, and the broker before it could tell what it ran");
        return;
    }
    call->parcel = tri_parcel_new(message->route, message->sections, message->section_count, message->bytes);
    if (call->parcel == NULL) {
        tri_call_fail(core, call, TRP_ENOMEM, "the broker has no memory to queue the task");
        return;
    }
    call->parcel->route.result = call->id;
    call->parcel->route.flags &= (uint16_t) ~(TRI_ONE_WAY | TRI_RETRIED);
    bool possible = special != NULL ? tri_ledger_feasible(&core->ledger, special->num_cpus, special->num_gpus,
                                                          special->memory_bytes, special)
                                    : tri_ledger_feasible(&core->ledger, 1, 0, 0, NULL);
    if (!possible) {
        char has[200], needs[200];
        tri_ledger_text(&core->ledger, has, sizeof has);
        if (special != NULL)
            tri_needs_text(special->resources, special->resource_count, special->num_cpus, special->num_gpus,
                           special->memory_bytes, needs, sizeof needs);
        else
            tri_needs_text(NULL, 0, 1, 0, 0, needs, sizeof needs);
        tri_call_fail(core, call, TRP_ENORESOURCE, "it needs %s, the node has %s", needs, has);
        return;
    }
    if (tri_call_need_failed(core, call))
        return;
    if (call->missing == 0)
        tri_task_ready(core, call);
    else if (call->deadline_ns != TRI_NEVER)
        tri_timer_set(&core->timers, &call->timer, TRI_TIMER_CALL, call->deadline_ns);
}

/* -------------------------------------------------------------------------------------------------------------- giving */

void
tri_task_give(struct tri_core *core, struct tri_pending *call, struct tri_host *host, struct tri_wait *wait)
{
    struct tri_route route = call->parcel->route;
    if (wait != NULL) {
        route.flags |= TRI_IN_PLACE;
        call->in_place = true;
        wait->placed = call;
        core->placed_tasks++;
    } else if (call->special != NULL) {
        host->special = call;
        tri_ledger_add(&core->ledger, call->special->num_cpus, call->special->num_gpus, call->special->memory_bytes,
                       call->special, 1);
    } else if (!host->busy_cpu) {
        host->busy_cpu = true;
        tri_ledger_add(&core->ledger, 1, 0, 0, NULL, 1);
    }
    core->task_moved_ns = core->now_ns;
    if (host->outstanding == 0)
        host->progress_ns = core->now_ns;
    if (call->retries > 0)
        route.flags |= TRI_RETRIED;
    route.deadline_us = call->deadline_ns == TRI_NEVER      ? 0
                        : call->deadline_ns <= core->now_ns ? 1
                                                            : (call->deadline_ns - core->now_ns) / 1000 + 1;
    tri_call_unlink(core, call);
    uint32_t count = call->parcel->section_count;
    const struct tri_section *sections = call->parcel->sections;
    if (call->need_count > 0) {
        count = tri_call_sections(core, call, sections, count);
        sections = core->sections;
    }
    tri_call_hand(core, call, host->peer);
    tri_call_sent(core, call, host, tri_send(core, host->peer, &route, sections, count, true));
}

static bool
usable(const struct tri_host *host)
{
    return host->kind == TRI_HOST_POOL && host->state == TRI_HOST_LIVE && !host->ending && host->wait_count == 0 &&
           host->special == NULL && host->peer != NULL && !host->peer->reporting;
}

/* A further host for the pool, if CPUs and the bound allow one. NULL, or one that can be given tasks now. */
static struct tri_host *
grow(struct tri_core *core, bool plain)
{
    uint32_t forking = 0;
    if (core->pool_hosts - core->waiting_hosts >= cpus(core) || !may_grow(core))
        return NULL;
    core->growth_waits = core->now_ns < core->stock_ns;
    if (core->growth_waits)
        return NULL;
    TRI_EACH(&core->pool, node)
    forking += TRI_OWNER(node, struct tri_host, pool)->state == TRI_HOST_FORKING;
    if (forking >= core->queued_tasks)
        return NULL;
    if (plain && !tri_ledger_fits(&core->ledger, 1.0 + forking, 0, 0, NULL))
        return NULL;
    core->task_moved_ns = core->now_ns;
    struct tri_host *host = tri_host_take(core, TRI_HOST_POOL, "tasks");
    return host != NULL && usable(host) ? host : NULL;
}

static bool
has_room(const struct tri_core *core, const struct tri_host *host, const struct tri_pending *call)
{
    return core->ops.has_credit(core->ops.user, host->peer->index, tri_call_bytes(call, call->parcel->bytes));
}

/* One that is idle, if there is a CPU for it; else the one of those that have plain tasks that has the fewest. */
static struct tri_host *
pick(struct tri_core *core, const struct tri_pending *call)
{
    struct tri_host *least = NULL;
    const struct tri_special *special = call->special;
    bool cpu = special != NULL ? tri_ledger_fits(&core->ledger, special->num_cpus, special->num_gpus,
                                                 special->memory_bytes, special)
                               : tri_ledger_fits(&core->ledger, 1, 0, 0, NULL);
    TRI_EACH(&core->pool, node)
    {
        struct tri_host *host = TRI_OWNER(node, struct tri_host, pool);
        if (host->outstanding == 0) {
            if (cpu && usable(host) && has_room(core, host, call))
                return host;
        } else if (special == NULL && host->busy_cpu && host->outstanding < host->window &&
                   (least == NULL || host->outstanding < least->outstanding) && usable(host) &&
                   has_room(core, host, call)) {
            least = host;
        }
    }
    struct tri_host *more = cpu ? grow(core, special == NULL) : NULL;
    return more != NULL ? more : least;
}

/* Else they are sent for, or it has failed, and is queued no more; or as many as can run wait for theirs already. */
bool
tri_task_may_go(struct tri_core *core, struct tri_pending *call)
{
    if (tri_call_need_failed(core, call)) /* it was lost in the meantime */
        return false;
    if (tri_call_is_here(core, call, call->parcel->sections, call->parcel->section_count))
        return true;
    if (core->gathering < cpus(core)) {
        tri_call_unlink(core, call);
        (void)tri_call_gather(core, call);
    }
    return false;
}

void
tri_tasks_pump(struct tri_core *core)
{
    if (core->barrier)
        return;
    while (!tri_list_empty(&core->tasks)) {
        struct tri_pending *call = TRI_OWNER(core->tasks.next, struct tri_pending, link);
        if (call->deadline_ns <= core->now_ns) {
            tri_call_overdue(core, call);
            continue;
        }
        if (call->caller != NULL && call->caller->full) {
            call->held = true;
            tri_list_remove(&call->link);
            tri_list_append(&core->held_tasks, &call->link);
            continue;
        }
        struct tri_host *host = pick(core, call);
        if (host == NULL)
            break;
        if (tri_task_may_go(core, call))
            tri_task_give(core, call, host, NULL);
        else if (core->tasks.next == &call->link)
            break;
    }
    if (!tri_list_empty(&core->tasks) && is_at_bound(core))
        tri_waits_in_place(core);
}

/* A task has left its host: ended, given back, or the host died. */
void
tri_task_left(struct tri_core *core, struct tri_host *host, struct tri_pending *call)
{
    if (call->in_place) {
        TRI_EACH(&host->waits, node)
        {
            struct tri_wait *wait = TRI_OWNER(node, struct tri_wait, by_host);
            if (wait->placed == call)
                wait->placed = NULL;
        }
    } else if (host->special == call) {
        tri_ledger_add(&core->ledger, host->lent_cpus, 0, 0, NULL, 1);
        host->lent_cpus = 0;
        tri_ledger_add(&core->ledger, call->special->num_cpus, call->special->num_gpus, call->special->memory_bytes,
                       call->special, -1);
        host->special = NULL;
        core->placing_changed = true;
    }
    if (host->outstanding == 0 && host->busy_cpu) {
        host->busy_cpu = false;
        tri_ledger_add(&core->ledger, 1, 0, 0, NULL, -1);
        core->placing_changed = core->placing_changed || !tri_list_empty(&core->placing);
    }
    uint64_t took_ns = core->now_ns - host->progress_ns;
    if (took_ns < QUICK_NS && host->window < WINDOW_MAX)
        host->window *= 2;
    else if (took_ns > SLOW_NS)
        host->window = 1;
    host->progress_ns = core->task_moved_ns = core->now_ns;
    core->tasks_changed = true;
}

/* No host could be had for the pool. Where there is none at all, what waits would wait for ever. */
void
tri_tasks_no_host(struct tri_core *core, trp_err code, const char *why)
{
    core->stock_ns = core->now_ns + TRI_NS_PER_S;
    if (core->pool_hosts > 0)
        return;
    while (!tri_list_empty(&core->tasks))
        tri_call_fail(core, TRI_OWNER(core->tasks.next, struct tri_pending, link), code,
                      "no host for tasks could be started: %s", why);
}

/* ------------------------------------------------------------------------------------------------------------ recalling */

static bool
somebody_idle(const struct tri_core *core)
{
    if (!tri_list_empty(&core->tasks) || !tri_ledger_fits(&core->ledger, 1, 0, 0, NULL))
        return false;
    TRI_EACH(&core->pool, node)
    {
        const struct tri_host *host = TRI_OWNER(node, struct tri_host, pool);
        if (usable(host) && host->outstanding == 0)
            return true;
    }
    return core->pool_hosts < host_bound(core) && core->pool_hosts - core->waiting_hosts < cpus(core);
}

static bool
hoards(const struct tri_host *host)
{
    return usable(host) && host->outstanding >= 2 && !host->recalled;
}

void
tri_tasks_recall(struct tri_core *core)
{
    struct tri_id none = {0, 0};
    if ((starved(core) && may_grow(core)) || (core->growth_waits && core->now_ns >= core->stock_ns)) {
        core->growth_waits = false;
        core->tasks_changed = true;
    }
    if (core->barrier || !somebody_idle(core))
        return;
    TRI_EACH(&core->pool, node)
    {
        struct tri_host *host = TRI_OWNER(node, struct tri_host, pool);
        if (!hoards(host) || host->progress_ns + RECALL_NS > core->now_ns)
            continue;
        host->recalled = true;
        tri_send_plain(core, host->peer, TRI_RECALL, 0, none, none, none, NULL);
    }
}

uint64_t
tri_tasks_next_ns(const struct tri_core *core)
{
    uint64_t next = TRI_NEVER;
    if (core->barrier)
        return next;
    if (core->growth_waits)
        next = core->stock_ns;
    else if (starved(core))
        next = core->task_moved_ns + RELIEF_NS;
    if (core->pool_hosts == 0 || !somebody_idle(core))
        return next;
    TRI_EACH(&core->pool, node)
    {
        const struct tri_host *host = TRI_OWNER(node, struct tri_host, pool);
        if (hoards(host) && host->progress_ns + RECALL_NS < next)
            next = host->progress_ns + RECALL_NS;
    }
    return next;
}

trp_err
tri_on_returned(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const struct tri_id *ids;
    uint32_t count;
    char text[TRI_ID_TEXT_SIZE];
    TRP_TRY(tri_ids_unpack(&message->sections[0], &ids, &count, error));
    for (uint32_t i = 0; i < count; i++) {
        struct tri_object *object = tri_as_object(tri_thing_find(core, ids[i]));
        struct tri_pending *call = object != NULL ? object->call : NULL;
        if (call == NULL || call->kind != TRI_CALL_TASK || call->host != peer->host || call->state == TRI_CALL_LEFT)
            return TRI_FAIL(error, TRP_EPROTO, "RETURNED names %s, no task that this host was given",
                            tri_id_format(ids[i], text));
    }
    peer->host->recalled = false;
    for (uint32_t i = count; i-- > 0;) {
        struct tri_pending *call = tri_as_object(tri_thing_find(core, ids[i]))->call;
        if (call == NULL || call->host != peer->host) /* twice in the list */
            continue;
        tri_call_unlink(core, call);
        peer->host->returned++;
        if (call->cancelled) {
            call->again = call->again || call->parcel == NULL; /* what became of it before is not known here */
            tri_call_fail(core, call, TRP_ECANCELLED, "it was cancelled before it started");
        } else if (call->parcel != NULL) {
            tri_task_requeue(core, call);
        } else { /* known from a snapshot; its caller sends it again */
            call->object->state = TRI_OBJECT_UNKNOWN;
            tri_call_end(core, call);
        }
    }
    core->tasks_changed = true;
    return TRP_OK;
}
