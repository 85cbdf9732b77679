/*
 * resume.c - logging in, and what a broker that has never heard of us is told: where actors live, what is held, kept and
 * outstanding, then everything unanswered again. Under the process's lock. It must not know about sockets and doors.
 */
#include "actors/core/state.h"

/* Rows of SNAPSHOT parts, posted when a part is full. */
struct part {
    struct tri_proc *proc;
    struct tri_snap_hold holds[TRI_SNAP_MAX];
    struct tri_snap_call calls[TRI_SNAP_MAX];
    struct tri_snap_actor actors[TRI_SNAP_MAX];
    struct tri_snapshot snapshot;
};

static void
post_part(struct part *part, bool last)
{
    struct tri_snapshot *snapshot = &part->snapshot;
    struct tri_route route = {.kind = TRI_SNAPSHOT, .flags = last ? TRI_LAST : 0};

    if (tri_snapshot_pack(&part->proc->packed, snapshot, NULL) == TRP_OK)
        tri_post(part->proc, &route, &part->proc->packed.section);
    snapshot->hold_count = snapshot->call_count = snapshot->actor_count = 0;
}

static void
add_hold(struct tri_ref *ref, void *user)
{
    struct part *part = user;
    uint32_t flags = 0;

    ref->asked = false;
    if (ref->handed == 0 && ref->out != NULL && !ref->out->accepted && ref->entry.id.space == part->proc->space)
        ref->handed = 1; /* what makes it is said again behind this, and may cross a hand-over: held from now on */
    if (ref->handed == 0 && !ref->kept)
        return;
    if (ref->held != NULL && !ref->local)
        flags |= TRI_SNAP_VALUE;
    if (ref->is_actor)
        flags |= TRI_SNAP_ACTOR;
    if (ref->out != NULL && !ref->out->accepted)
        flags |= TRI_SNAP_COMING;
    if (ref->kept)
        flags |= TRI_SNAP_KEPT;
    if (ref->begun)
        flags |= TRI_SNAP_OPEN;
    part->holds[part->snapshot.hold_count++] =
        (struct tri_snap_hold){.id = ref->entry.id, .handed = ref->handed, .flags = flags};
    if (part->snapshot.hold_count == TRI_SNAP_MAX)
        post_part(part, false);
}

static void
add_call(struct part *part, struct tri_id id, struct tri_id target, uint64_t sequence, uint32_t flags)
{
    part->calls[part->snapshot.call_count++] =
        (struct tri_snap_call){.id = id, .target = target, .sequence = sequence, .flags = flags};
    if (part->snapshot.call_count == TRI_SNAP_MAX)
        post_part(part, false);
}

static void
add_calls(struct part *part)
{
    struct tri_proc *proc = part->proc;
    struct tri_node *node;

    for (node = proc->accepted_outs.next; node != &proc->accepted_outs; node = node->next) {
        const struct tri_out *out = TRI_OWNER(node, struct tri_out, link);
        if (out->kind == TRI_CALL)
            add_call(part, out->ref->entry.id, out->target, out->sequence, TRI_SNAP_ACCEPTED);
    }
    proc->next_index = 0;
    for (node = proc->accepted.next; node != &proc->accepted; node = node->next) {
        struct tri_accepted *accepted = TRI_OWNER(node, struct tri_accepted, link);
        const struct tri_route *route = accepted->call.route;
        struct tri_id none = {0, 0};
        accepted->call.index = ++proc->next_index;
        accepted->credited = false;
        add_call(part, accepted->one_way ? none : route->result, route->target, route->sequence,
                 accepted->call.started ? TRI_SNAP_RUNNING : 0);
    }
}

static void
add_actor(struct part *part, struct tri_id id, uint64_t epoch, uint32_t flags)
{
    part->actors[part->snapshot.actor_count++] = (struct tri_snap_actor){.id = id, .epoch = epoch, .flags = flags};
    if (part->snapshot.actor_count == TRI_SNAP_MAX)
        post_part(part, false);
}

static void
post_residents(struct part *part)
{
    struct tri_proc *proc = part->proc;
    struct tri_node *node;

    for (node = proc->resident_list.next; node != &proc->resident_list; node = node->next) {
        const struct tri_resident *resident = TRI_OWNER(node, struct tri_resident, link);
        struct tri_route route = resident->create->route;
        route.kind = TRI_CREATE;
        route.flags = 0;
        route.epoch = resident->epoch;
        route.sequence = resident->concurrency;
        (void)proc->ops.post(proc->ops.user, &route, resident->create->sections, resident->create->section_count, 0);
        add_actor(part, resident->entry.id, resident->epoch, resident->ready ? TRI_SNAP_READY : 0);
    }
    if (proc->pool)
        add_actor(part, (struct tri_id){0, 0}, 0, TRI_SNAP_POOL);
    if (!tri_id_is_none(proc->ended) && tri_list_empty(&proc->resident_list))
        add_actor(part, proc->ended, 0, TRI_SNAP_ENDED);
}

/* In the arena, and with references, which is why its name is not there: it is kept for the broker by everybody who holds it, until
 * one of them is enough. */
static bool
is_nameless(const struct tri_ref *ref)
{
    const struct tri_section *value = tri_ref_value(ref);

    return ref->handed > 0 && ref->state == TRI_REF_READY && !ref->local && value->ref_count > 0 &&
           tri_section_place(value) != NULL;
}

static void
post_kept(struct tri_ref *ref, void *user)
{
    struct tri_proc *proc = user;
    struct tri_route route = {.kind = TRI_RESULT, .result = ref->entry.id};

    if (ref->is_actor || ref->held == NULL)
        return;
    if (is_nameless(ref))
        ref->kept = ref->returned = true;
    if (!ref->returned)
        return;
    route.flags = ref->state == TRI_REF_FAILED ? TRI_FAILED : 0;
    if (proc->has_begun)
        tri_begun_mark(proc, tri_ref_value(ref));
    tri_post(proc, &route, tri_ref_value(ref));
}

/* Results that are kept where their calls lay. */
static void
add_kept(struct part *part)
{
    struct tri_proc *proc = part->proc;
    struct tri_node *node;

    for (node = proc->kept.next; node != &proc->kept; node = node->next) {
        const struct tri_accepted *kept = TRI_OWNER(node, struct tri_accepted, link);
        const struct tri_id id = kept->call.entry.id;
        const struct tri_route route = {.kind = TRI_RESULT, .flags = kept->failed ? TRI_FAILED : 0, .result = id};
        tri_post(proc, &route, &kept->sections[0]);
        part->holds[part->snapshot.hold_count++] =
            (struct tri_snap_hold){.id = id, .flags = TRI_SNAP_VALUE | TRI_SNAP_KEPT};
        if (part->snapshot.hold_count == TRI_SNAP_MAX)
            post_part(part, false);
    }
}

static trp_err
post_snapshot(struct tri_proc *proc, trp_error *error)
{
    struct part *part = calloc(1, sizeof *part);

    if (part == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a snapshot");
    part->proc = proc;
    part->snapshot.holds = part->holds;
    part->snapshot.calls = part->calls;
    part->snapshot.actors = part->actors;
    post_residents(part);
    tri_refs_each(proc, post_kept, proc);
    add_kept(part);
    tri_refs_each(proc, add_hold, part);
    add_calls(part);
    post_part(part, true);
    free(part);
    return TRP_OK;
}

/* All that was posted and not ended is posted again, in the order made, with what has waited behind it. */
static void
queue_again(struct tri_proc *proc)
{
    struct tri_node all;

    tri_list_init(&all);
    while (!tri_list_empty(&proc->outs)) {
        struct tri_out *out = TRI_OWNER(proc->outs.next, struct tri_out, link);
        tri_list_remove(&out->link);
        tri_list_append(&all, &out->link);
        out->again |= out->posted;
        if (out->posted) {
            out->posted = false;
            continue;
        }
        if (out->ref != NULL) /* given again by tri_out_append */
            out->ref->handles--;
        if (out->actor != NULL && out->kind == TRI_SPAWN)
            out->actor->handles--;
    }
    proc->unposted = &proc->outs;
    proc->queued_count = proc->queued_bytes = proc->queued_spawns = 0;
    while (!tri_list_empty(&all)) {
        struct tri_out *out = TRI_OWNER(all.next, struct tri_out, link);
        struct tri_ref *target = out->kind == TRI_SPAWN ? NULL : out->actor;
        tri_list_remove(&out->link);
        tri_out_append(proc, out);
        if (target != NULL)
            tri_ref_drop(proc, target); /* hold_targets' handle: the queue has its own */
        tri_outs_pump(proc);
    }
}

static void
want_again(struct tri_ref *ref, void *user)
{
    struct tri_proc *proc = user;

    if (ref->wanted && ref->state == TRI_REF_PENDING && ref->handles > 0)
        ref->wanted = tri_ids_add(&proc->waits, ref->entry.id);
}

/* Whom calls mean that are said again has to live until then, also if its handle was released behind them. */
static void
hold_targets(struct tri_proc *proc)
{
    struct tri_node *node;

    for (node = proc->outs.next; node != &proc->outs; node = node->next) {
        struct tri_out *out = TRI_OWNER(node, struct tri_out, link);
        if (!tri_out_aims(out) || out->actor != NULL)
            continue;
        out->actor = tri_ref_find(proc, out->target);
        if (out->actor == NULL)
            out->actor = tri_ref_make(proc, out->target, true);
        if (out->actor == NULL)
            continue; /* no memory: it may find its actor ended */
        out->actor->shared = true;
        out->actor->handed += out->actor->handed == 0;
        out->actor->handles++;
    }
}

static trp_err
tell_everything(struct tri_proc *proc, trp_error *error)
{
    struct tri_node *node;

    proc->release_count = 0; /* what is not held is not said to be */
    proc->overdue.count = proc->cancels.count = 0;
    proc->waits.count = 0;
    hold_targets(proc);
    TRP_TRY(post_snapshot(proc, error));
    if (proc->is_host && proc->ops.renumbered != NULL)
        proc->ops.renumbered(proc->ops.user);
    tri_cancels_again(proc);
    queue_again(proc);
    tri_refs_each(proc, want_again, proc);
    tri_absent_again(proc);
    tri_outs_pump(proc);
    tri_proc_round(proc, proc->now_ns);
    for (node = proc->blocked.next; node != &proc->blocked; node = node->next)
        tri_post_blocked(proc, TRI_OWNER(node, struct tri_block_wait, link));
    return TRP_OK;
}

trp_err
tri_proc_welcome(struct tri_proc *proc, const struct tri_welcome *welcome, uint64_t now_ns, trp_error *error)
{
    proc->now_ns = now_ns;
    if (proc->space != 0 && welcome->space != proc->space)
        return TRI_FAIL(error, TRP_EPROTO, "the broker took this process for another one");
    if (welcome->space == 0)
        return TRI_FAIL(error, TRP_EPROTO, "the broker gave no space");
    proc->broker = welcome->broker;
    (void)tri_text_copy(proc->node, sizeof proc->node, welcome->node != NULL ? welcome->node : "");
    if (proc->space == 0)
        proc->space = welcome->space;
    else if (welcome->snapshot)
        return tell_everything(proc, error);
    tri_outs_pump(proc);
    return TRP_OK;
}
