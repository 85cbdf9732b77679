/*
 * incoming.c - the host's side: actors that live here, which calls are accepted, executions that wait. Under the process's
 * lock. It must not know how methods are run, nor in which order (the mailbox).
 */
#include "actors/core/state.h"

/* ------------------------------------------------------------------------------------------------------------- lanes */

static struct tri_id
lane_key(uint64_t caller, struct tri_id actor)
{
    return (struct tri_id){caller * UINT64_C(0x9e3779b97f4a7c15) ^ actor.space,
                           actor.number ^ (caller << 32 | caller >> 32)};
}

static struct tri_lane_in *
lane_of(struct tri_proc *proc, uint64_t caller, struct tri_id actor)
{
    struct tri_lane_in *lane = proc->last_lane_in, *first;
    struct tri_entry *entry;
    struct tri_id key;

    if (lane != NULL && lane->caller == caller && tri_id_equal(lane->actor, actor))
        return lane;
    key = lane_key(caller, actor);
    entry = tri_table_find(&proc->lanes_in, key);
    first = entry == NULL ? NULL : TRI_OWNER(entry, struct tri_lane_in, entry);
    for (lane = first; lane != NULL; lane = lane->same)
        if (lane->caller == caller && tri_id_equal(lane->actor, actor)) {
            proc->last_lane_in = lane;
            return lane;
        }
    if (tri_table_reserve(&proc->lanes_in, 1) != TRP_OK)
        return NULL;
    lane = tri_memory_take(&proc->memory, sizeof *lane);
    if (lane == NULL)
        return NULL;
    memset(lane, 0, sizeof *lane);
    lane->actor = actor;
    lane->caller = caller;
    lane->entry.id = key;
    if (first != NULL) {
        lane->same = first->same;
        first->same = lane;
    } else {
        tri_table_insert(&proc->lanes_in, &lane->entry);
    }
    proc->lane_count++;
    return lane;
}

/* ----------------------------------------------------------------------------------------------------------- handlers */

enum verdict { TAKE, REPEAT, LATE, REFUSE };

static enum verdict
judge_task(struct tri_proc *proc, struct tri_id id)
{
    struct tri_ref *ref = tri_ref_find(proc, id);

    if (tri_table_find(&proc->calls, id) != NULL)
        return REPEAT;
    return ref != NULL && ref->returned ? REPEAT : TAKE;
}

static enum verdict
judge_call(struct tri_proc *proc, const struct tri_route *route, struct tri_lane_in **lane)
{
    const struct tri_resident *resident = proc->last_resident;
    struct tri_entry *entry;

    if (resident == NULL || !tri_id_equal(resident->entry.id, route->target)) {
        entry = tri_table_find(&proc->residents, route->target);
        resident = entry == NULL ? NULL : TRI_OWNER(entry, struct tri_resident, entry);
        proc->last_resident = resident;
    }
    if (resident == NULL || resident->epoch != route->epoch)
        return REFUSE;
    if (*lane == NULL)
        return TAKE; /* one-way, of a caller that was not named */
    if (route->sequence <= (*lane)->last)
        return (route->flags & TRI_ONE_WAY) != 0 || judge_task(proc, route->result) == REPEAT ? REPEAT : LATE;
    (*lane)->last = route->sequence;
    return TAKE;
}

/* What most calls are: one section, and no reference in it. */
static bool
names_nothing(const struct tri_envelope *envelope)
{
    return envelope->route.section_count == 1 && envelope->body.ref_count == 0;
}

TRI_HOP trp_err
tri_on_incoming_call(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    const struct tri_route *route = &envelope->route;
    bool task = (route->flags & TRI_TASK) != 0;
    struct tri_lane_in *lane = NULL;
    struct tri_ref **refs = NULL;
    uint32_t count = 0;
    enum verdict verdict;

    if (route->section_count == 0)
        return TRI_FAIL(error, TRP_EPROTO, "CALL came without a body");
    if ((route->flags & TRI_ONE_WAY) == 0 && tri_id_is_none(route->result))
        return TRI_FAIL(error, TRP_EPROTO, "CALL came without a result's name");
    proc->next_index++;
    if (!task && route->result.space != 0) {
        lane = lane_of(proc, route->result.space, route->target);
        if (lane == NULL)
            return TRI_FAIL(error, TRP_ENOMEM, "no memory for a lane");
    }
    if (!names_nothing(envelope))
        TRP_TRY(tri_refs_adopt(proc, envelope, true, &refs, &count, error));
    if (task)
        verdict = (route->flags & TRI_ONE_WAY) != 0 ? TAKE : judge_task(proc, route->result);
    else
        verdict = judge_call(proc, route, &lane);
    if (verdict == TAKE)
        return tri_accept(proc, envelope, lane, refs, count, error);
    tri_refs_let_go(proc, &refs, &count);
    proc->ops.release(proc->ops.user, envelope->bytes);
    return verdict == REPEAT ? TRP_OK : tri_refuse_call(proc, envelope, verdict == LATE, error);
}

static void
post_returned(struct tri_proc *proc, const struct tri_ids *ids)
{
    struct tri_route route = {.kind = TRI_RETURNED};

    if (tri_ids_pack(&proc->packed, ids->ids, (uint32_t)ids->count, NULL) == TRP_OK)
        tri_post(proc, &route, &proc->packed.section);
}

trp_err
tri_on_incoming_recall(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_ids ids = {0};
    struct tri_node *node, *next;

    (void)envelope;
    for (node = proc->accepted.next; node != &proc->accepted; node = next) {
        struct tri_accepted *accepted = TRI_OWNER(node, struct tri_accepted, link);
        next = node->next;
        if (!accepted->task || accepted->one_way || accepted->call.started || accepted->call.in_place)
            continue;
        if (!tri_ids_add(&ids, accepted->call.entry.id)) {
            free(ids.ids);
            return TRI_FAIL(error, TRP_ENOMEM, "no memory to give tasks back");
        }
        proc->ops.dropped(proc->ops.user, &accepted->call);
        tri_accepted_end(proc, accepted);
    }
    post_returned(proc, &ids);
    free(ids.ids);
    return TRP_OK;
}

void
tri_proc_give_back(struct tri_proc *proc, struct tri_incoming *const *calls, size_t count)
{
    struct tri_ids ids = {0};

    for (size_t i = 0; i < count; i++)
        if (tri_ids_add(&ids, calls[i]->entry.id))
            tri_accepted_end(proc, tri_accepted_of(calls[i]));
    post_returned(proc, &ids);
    free(ids.ids);
}

trp_err
tri_on_incoming_create(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    const struct tri_route *route = &envelope->route;
    struct tri_resident *resident;
    struct tri_envelope said;

    if (route->section_count == 0 || tri_id_is_none(route->target))
        return TRI_FAIL(error, TRP_EPROTO, "CREATE came without an actor or a body");
    if (tri_table_find(&proc->residents, route->target) != NULL)
        return TRI_FAIL(error, TRP_EPROTO, "CREATE came twice for the same actor");
    resident = tri_memory_take(&proc->memory, sizeof *resident);
    if (resident == NULL || tri_table_reserve(&proc->residents, 1) != TRP_OK)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for an actor");
    memset(resident, 0, sizeof *resident);
    said = *envelope; /* a new broker wants to know what it is, and not what its constructor read */
    said.route.section_count = 1;
    resident->create = tri_letter_copy(&said);
    if (resident->create == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for an actor");
    resident->entry.id = route->target;
    resident->epoch = route->epoch;
    tri_table_insert(&proc->residents, &resident->entry);
    tri_list_append(&proc->resident_list, &resident->link);
    TRP_TRY(tri_refs_adopt(proc, envelope, true, &resident->refs, &resident->ref_count, error));
    proc->ops.create(proc->ops.user, envelope);
    return TRP_OK;
}

trp_err
tri_on_incoming_stop(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    (void)error;
    proc->ops.stop(proc->ops.user, envelope->route.target, (envelope->route.flags & TRI_DRAIN) != 0);
    return TRP_OK;
}

trp_err
tri_on_incoming_deadlock(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_section section;

    if (envelope->route.section_count == 0)
        return TRI_FAIL(error, TRP_EPROTO, "DEADLOCK came without an error");
    tri_envelope_section(envelope, 0, &section);
    proc->ops.deadlock(proc->ops.user, envelope->route.parent, &section);
    return TRP_OK;
}

/* -------------------------------------------------------------------------------------------------- what the host says */

void
tri_proc_start(struct tri_proc *proc, struct tri_incoming *call)
{
    (void)proc;
    call->started = true;
}

static struct tri_resident *
resident_of(const struct tri_proc *proc, struct tri_id actor)
{
    struct tri_entry *entry = tri_table_find(&proc->residents, actor);

    return entry == NULL ? NULL : TRI_OWNER(entry, struct tri_resident, entry);
}

void
tri_proc_ready(struct tri_proc *proc, struct tri_id actor, uint32_t concurrency, const struct tri_section *failure)
{
    struct tri_resident *resident = resident_of(proc, actor);
    struct tri_route route = {.kind = TRI_READY, .target = actor};

    if (resident == NULL)
        return;
    resident->ready = failure == NULL;
    resident->concurrency = failure == NULL ? concurrency : 0;
    route.epoch = resident->epoch;
    route.sequence = resident->concurrency;
    route.flags = failure == NULL ? 0 : TRI_FAILED;
    tri_post(proc, &route, failure);
    tri_refs_let_go(proc, &resident->refs, &resident->ref_count); /* its arguments are its own business now */
}

static void
resident_end(struct tri_proc *proc, struct tri_resident *resident)
{
    tri_table_remove(&proc->residents, &resident->entry);
    proc->last_resident = NULL;
    tri_list_remove(&resident->link);
    tri_refs_let_go(proc, &resident->refs, &resident->ref_count);
    tri_letter_free(&resident->create);
    tri_memory_put(&proc->memory, resident, sizeof *resident);
}

void
tri_proc_ended(struct tri_proc *proc, struct tri_id actor)
{
    struct tri_resident *resident = resident_of(proc, actor);
    struct tri_route route = {.kind = TRI_ENDED, .target = actor};

    if (resident == NULL)
        return;
    route.epoch = resident->epoch;
    tri_post(proc, &route, NULL);
    resident_end(proc, resident);
    proc->ended = actor;
}

trp_err
tri_proc_resident(struct tri_proc *proc, struct tri_id actor, struct tri_ref **ref, trp_error *error)
{
    *ref = tri_ref_find(proc, actor);
    if (*ref == NULL)
        *ref = tri_ref_make(proc, actor, true);
    if (*ref == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for an actor's own handle");
    (*ref)->shared = (*ref)->resident = true;
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------- executions that wait */

static struct tri_block_wait *
find_wait(const struct tri_proc *proc, struct tri_id execution)
{
    struct tri_node *node;

    for (node = proc->blocked.next; node != &proc->blocked; node = node->next) {
        struct tri_block_wait *wait = TRI_OWNER(node, struct tri_block_wait, link);
        if (tri_id_equal(wait->execution, execution))
            return wait;
    }
    return NULL;
}

static void
wait_free(struct tri_proc *proc, struct tri_block_wait *wait)
{
    tri_list_remove(&wait->link);
    tri_memory_put(&proc->memory, wait, sizeof *wait + wait->count * sizeof(struct tri_id));
}

void
tri_proc_blocked(struct tri_proc *proc, struct tri_id execution, const struct tri_id *ids, uint32_t count, bool any)
{
    struct tri_block_wait *wait = find_wait(proc, execution);

    if (wait != NULL)
        wait_free(proc, wait);
    wait = tri_memory_take(&proc->memory, sizeof *wait + count * sizeof(struct tri_id));
    if (wait == NULL)
        return; /* it keeps its CPU while it waits */
    wait->execution = execution;
    wait->any = any;
    wait->count = count;
    memcpy(wait->ids, ids, count * sizeof(struct tri_id));
    tri_list_append(&proc->blocked, &wait->link);
    tri_post_blocked(proc, wait);
}

void
tri_proc_unblocked(struct tri_proc *proc, struct tri_id execution)
{
    struct tri_block_wait *wait = find_wait(proc, execution);
    struct tri_route route = {.kind = TRI_UNBLOCKED, .parent = execution};

    if (wait == NULL)
        return;
    wait_free(proc, wait);
    tri_post(proc, &route, NULL);
}

/* -------------------------------------------------------------------------------------------------------------- the end */

static void
free_lane(struct tri_entry *entry, void *user)
{
    struct tri_proc *proc = user;
    struct tri_lane_in *lane = TRI_OWNER(entry, struct tri_lane_in, entry);

    tri_table_remove(&proc->lanes_in, entry);
    while (lane != NULL) {
        struct tri_lane_in *same = lane->same;
        tri_memory_put(&proc->memory, lane, sizeof *lane);
        lane = same;
    }
}

void
tri_incoming_fini(struct tri_proc *proc)
{
    while (!tri_list_empty(&proc->accepted))
        tri_accepted_end(proc, TRI_OWNER(proc->accepted.next, struct tri_accepted, link));
    while (!tri_list_empty(&proc->answered))
        tri_accepted_end(proc, TRI_OWNER(proc->answered.next, struct tri_accepted, link));
    tri_kept_fini(proc);
    while (!tri_list_empty(&proc->resident_list))
        resident_end(proc, TRI_OWNER(proc->resident_list.next, struct tri_resident, link));
    while (!tri_list_empty(&proc->blocked))
        wait_free(proc, TRI_OWNER(proc->blocked.next, struct tri_block_wait, link));
    tri_table_each(&proc->lanes_in, free_lane, proc);
}
