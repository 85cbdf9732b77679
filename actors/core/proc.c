/*
 * proc.c - a process's side of the protocol: making and ending it, the table of envelopes that it understands, time. Under
 * the process's lock. It must not know a socket, a clock or a thread.
 */
#include "actors/core/state.h"

#include <inttypes.h>

/* ------------------------------------------------------------------------------------------------------ making, ending */

static trp_err
tables_init(struct tri_proc *proc)
{
    TRP_TRY(tri_table_init(&proc->refs, proc->seed));
    TRP_TRY(tri_own_init(&proc->own, proc->seed));
    TRP_TRY(tri_table_init(&proc->lanes_out, proc->seed ^ 1));
    TRP_TRY(tri_table_init(&proc->calls, proc->seed ^ 2));
    TRP_TRY(tri_table_init(&proc->lanes_in, proc->seed ^ 3));
    return tri_table_init(&proc->residents, proc->seed ^ 4);
}

trp_err
tri_proc_new(bool is_host, const struct tri_proc_ops *ops, uint64_t seed, struct tri_proc **made, trp_error *error)
{
    struct tri_proc *proc = calloc(1, sizeof *proc);

    if (proc == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the state of a process");
    proc->is_host = is_host;
    proc->ops = *ops;
    proc->seed = seed;
    tri_list_init(&proc->outs);
    tri_list_init(&proc->accepted_outs);
    tri_list_init(&proc->accepted);
    tri_list_init(&proc->answered);
    tri_list_init(&proc->kept);
    proc->kept_near = &proc->kept;
    tri_list_init(&proc->resident_list);
    tri_list_init(&proc->blocked);
    proc->unposted = &proc->outs;
    if (tables_init(proc) != TRP_OK) {
        tri_proc_destroy(&proc);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the state of a process");
    }
    *made = proc;
    return TRP_OK;
}

static void
outs_fini(struct tri_proc *proc, struct tri_node *head)
{
    while (!tri_list_empty(head))
        tri_out_end(proc, TRI_OWNER(head->next, struct tri_out, link));
}

static void
end_ref(struct tri_ref *ref, void *user)
{
    tri_ref_end(user, ref);
}

static void
free_lane(struct tri_entry *entry, void *user)
{
    struct tri_proc *proc = user;

    tri_table_remove(&proc->lanes_out, entry);
    tri_memory_put(&proc->memory, TRI_OWNER(entry, struct tri_lane_out, entry), sizeof(struct tri_lane_out));
}

void
tri_proc_destroy(struct tri_proc **given)
{
    struct tri_proc *proc = *given;

    if (proc == NULL)
        return;
    *given = NULL;
    proc->ending = true;
    outs_fini(proc, &proc->outs);
    outs_fini(proc, &proc->accepted_outs);
    tri_incoming_fini(proc);
    tri_refs_each(proc, end_ref, proc);
    tri_table_each(&proc->lanes_out, free_lane, proc);
    tri_table_fini(&proc->refs);
    tri_own_fini(&proc->own, &proc->memory);
    tri_table_fini(&proc->lanes_out);
    tri_table_fini(&proc->calls);
    tri_table_fini(&proc->lanes_in);
    tri_table_fini(&proc->residents);
    free(proc->timers);
    tri_cancels_fini(proc);
    free(proc->waits.ids);
    free(proc->unsaid.ids);
    tri_packed_fini(&proc->packed);
    tri_memory_fini(&proc->memory);
    free(proc);
}

/* --------------------------------------------------------------------------------------------------------- envelopes */

static trp_err
on_log(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_log_line line;
    struct tri_section section;

    if (envelope->route.section_count == 0)
        return TRI_FAIL(error, TRP_EPROTO, "LOG came without a line");
    tri_envelope_section(envelope, 0, &section);
    TRP_TRY(tri_log_unpack(&section, &line, error));
    if (proc->ops.log != NULL)
        proc->ops.log(proc->ops.user, &line);
    return TRP_OK;
}

static trp_err
on_cut(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_failure chain[8];
    struct tri_section section;
    uint32_t count = 0;

    if (envelope->route.section_count == 0)
        return TRI_FAIL(error, TRP_EBROKER, "the broker cut this process and did not say why");
    tri_envelope_section(envelope, 0, &section);
    TRP_TRY(tri_error_unpack(&section, chain, &count, error));
    if (proc->ops.cut != NULL)
        proc->ops.cut(proc->ops.user, &chain[0].error);
    return TRP_OK;
}

static trp_err
on_ping(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_route route = {.kind = TRI_PONG};

    (void)envelope;
    (void)error;
    tri_post(proc, &route, NULL);
    return TRP_OK;
}

enum { BY_HOST = 1, BY_ANY = 3 };
static const struct {
    uint8_t who;
    tri_proc_handler *handle;
} handlers[TRI_KIND_COUNT] = {
    [TRI_CUT] = {BY_ANY, on_cut},
    [TRI_PING] = {BY_ANY, on_ping},
    [TRI_CALL] = {BY_HOST, tri_on_incoming_call},
    [TRI_RESULT] = {BY_ANY, tri_on_answer},
    [TRI_ACCEPTED] = {BY_ANY, tri_on_accepted},
    [TRI_CANCEL] = {BY_HOST, tri_on_incoming_cancel},
    [TRI_RECALL] = {BY_HOST, tri_on_incoming_recall},
    [TRI_DEADLOCK] = {BY_HOST, tri_on_incoming_deadlock},
    [TRI_FREED] = {BY_ANY, tri_on_freed},
    [TRI_FETCH] = {BY_ANY, tri_on_fetch},
    [TRI_HERE] = {BY_ANY, tri_on_here},
    [TRI_CREATE] = {BY_HOST, tri_on_incoming_create},
    [TRI_STOP] = {BY_HOST, tri_on_incoming_stop},
    [TRI_LOG] = {BY_ANY, on_log},
};

trp_err
tri_proc_envelope(struct tri_proc *proc, const struct tri_envelope *envelope, uint64_t now_ns, trp_error *error)
{
    uint8_t kind = envelope->route.kind;

    proc->now_ns = now_ns;
    if (kind >= TRI_KIND_COUNT || handlers[kind].handle == NULL || (handlers[kind].who == BY_HOST && !proc->is_host))
        return TRI_FAIL(error, TRP_EPROTO, "the broker sent %s, which is not for a %s", tri_kind_name(kind),
                        proc->is_host ? "host" : "driver");
    return handlers[kind].handle(proc, envelope, error);
}

/* -------------------------------------------------------------------------------------------------------------- time */

/* Without memory it stays what it was, private, until something names it. */
static void
publish_unsaid(struct tri_proc *proc)
{
    for (size_t i = 0; i < proc->unsaid.count; i++) {
        struct tri_ref *ref = tri_ref_find(proc, proc->unsaid.ids[i]);
        if (ref != NULL)
            (void)tri_publish(proc, ref, NULL);
    }
    proc->unsaid.count = 0;
}

void
tri_proc_round(struct tri_proc *proc, uint64_t now_ns)
{
    proc->now_ns = now_ns;
    publish_unsaid(proc);
    tri_cancels_post(proc);
    tri_post_releases(proc); /* before WAIT: what was let go of and came again is waited for anew */
    tri_post_ids(proc, TRI_WAIT, 0, &proc->waits);
    proc->waits.count = 0;
    proc->round_ns = now_ns;
}

uint64_t
tri_proc_owed_ns(const struct tri_proc *proc)
{
    if (proc->release_count == 0 && proc->overdue.count == 0 && proc->cancels.count == 0 && proc->waits.count == 0 &&
        proc->unsaid.count == 0)
        return TRI_NEVER;
    return proc->round_ns + TRI_OWED_MS * TRI_NS_PER_MS;
}

void
tri_proc_tick(struct tri_proc *proc, uint64_t now_ns)
{
    proc->now_ns = now_ns;
    tri_outs_pump(proc);
    while (proc->timer_count > 0 && proc->timers[0]->more->deadline_ns <= now_ns)
        tri_out_overdue(proc, proc->timers[0]);
}

uint64_t
tri_proc_next_ns(const struct tri_proc *proc)
{
    return proc->timer_count == 0 ? TRI_NEVER : proc->timers[0]->more->deadline_ns;
}

trp_ran
tri_proc_ran(const struct tri_ref *ref)
{
    const struct tri_out *out = ref->out;

    if (ref->unrun)
        return TRP_NOT_RUN;
    return out != NULL && out->ref == ref && !out->posted && !out->again ? TRP_NOT_RUN : TRP_MAY_HAVE_RUN;
}

void
tri_proc_unrun(struct tri_proc *proc, struct tri_id id)
{
    struct tri_ref *ref = tri_ref_find(proc, id);

    if (ref != NULL)
        ref->unrun = true;
}

struct pending {
    struct pending_ref {
        struct tri_ref *ref;
        trp_ran ran;
    } * refs;
    size_t count, capacity;
};

static void
collect_pending(struct tri_ref *ref, void *user)
{
    struct pending *pending = user;

    if (ref->state != TRI_REF_PENDING || ref->begun ||
        !TRI_RESERVE(pending->refs, pending->capacity, pending->count + 1))
        return;
    ref->handles++;
    pending->refs[pending->count++] = (struct pending_ref){ref, tri_proc_ran(ref)};
}

static void
no_one_way(struct tri_entry *entry, void *user)
{
    struct tri_lane_out *lane = TRI_OWNER(entry, struct tri_lane_out, entry);

    (void)user;
    lane->first_one_way = lane->last_one_way = NULL;
}

void
tri_proc_fail_all(struct tri_proc *proc, const trp_error *why)
{
    struct tri_failure failure = {.error = *why};
    struct pending pending = {0};

    proc->gone = true;
    proc->gone_why = *why;
    proc->gone_why.ran = TRP_NOT_RUN; /* what is asked for from now on */
    tri_refs_each(proc, collect_pending, &pending);
    tri_table_each(&proc->lanes_out, no_one_way, NULL);
    outs_fini(proc, &proc->outs);
    outs_fini(proc, &proc->accepted_outs);
    for (size_t i = 0; i < pending.count; i++) {
        struct tri_ref *ref = pending.refs[i].ref;
        failure.error.ran = pending.refs[i].ran;
        ref->own_call = false;
        ref->unrun = failure.error.ran == TRP_NOT_RUN;
        if (ref->state == TRI_REF_PENDING)
            tri_ref_fail(proc, ref, &failure);
        if (ref->handles > 1)
            proc->ops.ready(proc->ops.user, ref);
        tri_ref_drop(proc, ref);
    }
    free(pending.refs);
}

uint64_t
tri_proc_space(const struct tri_proc *proc)
{
    return proc->space;
}
