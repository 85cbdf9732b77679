/*
 * check.c - looking at a process's state from inside: counts, and invariants for tests and the simulator. Under the
 * process's lock. It changes nothing.
 */
#include <stdio.h>

#include "actors/core/state.h"

struct check {
    const struct tri_proc *proc;
    char *why;
    size_t size;
    bool ok;
    uint64_t kept, values;
};

static void
wrong(struct check *check, struct tri_id id, const char *what)
{
    char text[TRI_ID_TEXT_SIZE];

    if (check->ok)
        (void)snprintf(check->why, check->size, "%s: %s", tri_id_format(id, text), what);
    check->ok = false;
}

static void
check_ref(struct tri_ref *ref, void *user)
{
    struct check *check = user;
    struct tri_id id = ref->entry.id;

    check->values += !ref->is_actor;
    if (ref->handles == 0 && ref->out == NULL && !ref->kept)
        wrong(check, id, "nothing needs this reference");
    if (ref->handles == 0 && ref->handed > 0)
        wrong(check, id, "held at the broker without a handle here");
    if (ref->handles > 0 && ref->handed == 0 && id.space != check->proc->space && !ref->returned)
        wrong(check, id, "another's reference that was never handed over");
    if (ref->returned && !ref->kept)
        wrong(check, id, "a result that is not kept");
    if (ref->kept && ref->held == NULL)
        wrong(check, id, "kept without a value");
    if (ref->out != NULL && ref->out->ref != ref && ref->out->actor != ref)
        wrong(check, id, "made by an envelope that does not know it");
    if (ref->own_call != (ref->out != NULL && ref->out->kind != TRI_PUT && ref->out->ref == ref))
        wrong(check, id, "a call of ours without its envelope");
    for (uint32_t i = 0; i < tri_ref_value(ref)->ref_count; i++) {
        const struct tri_id named = tri_ref_value(ref)->refs[i].id;
        const struct tri_ref *inner = tri_ref_find((struct tri_proc *)(uintptr_t)check->proc, named);
        if (!tri_id_is_none(named) && (inner == NULL || inner->handles == 0))
            wrong(check, id, "its value names a reference that is not held");
    }
}

static void
check_outs(struct check *check)
{
    const struct tri_proc *proc = check->proc;
    struct tri_id none = {0, 0};
    uint64_t queued = 0, bytes = 0, count = 0;
    bool posted = true;
    struct tri_node *node;

    for (node = proc->outs.next; node != &proc->outs; node = node->next, count++) {
        const struct tri_out *out = TRI_OWNER(node, struct tri_out, link);
        if (proc->unposted == node)
            posted = false;
        if (out->posted != posted)
            wrong(check, none, "an envelope stands on the wrong side of the queue's head");
        if (out->accepted || (out->kind != TRI_PUT && out->body == NULL && out->size == 0))
            wrong(check, none, "an envelope that may be sent again has no body");
        queued += !out->posted;
        bytes += out->posted ? 0 : out->bytes;
    }
    for (node = proc->accepted_outs.next; node != &proc->accepted_outs; node = node->next, count++) {
        const struct tri_out *out = TRI_OWNER(node, struct tri_out, link);
        if (!out->accepted || out->body != NULL || out->ref == NULL)
            wrong(check, none, "an accepted call has a body, or no result");
    }
    if (queued != proc->queued_count || bytes != proc->queued_bytes || count != proc->out_count)
        wrong(check, none, "the counts of envelopes are wrong");
    for (size_t i = 0; i < proc->timer_count; i++)
        if (proc->timers[i]->more->timer != i + 1 ||
            (i > 0 && proc->timers[(i + 1) / 2 - 1]->more->deadline_ns > proc->timers[i]->more->deadline_ns))
            wrong(check, none, "the heap of deadlines is out of order");
}

bool
tri_proc_check(const struct tri_proc *proc, char *why, size_t size)
{
    struct check check = {.proc = proc, .why = why, .size = size, .ok = true};

    tri_refs_each((struct tri_proc *)(uintptr_t)proc, check_ref, &check);
    if (check.values != proc->value_count)
        wrong(&check, (struct tri_id){0, 0}, "the count of values is wrong");
    check_outs(&check);
    return check.ok;
}

static void
count_kept(struct tri_ref *ref, void *user)
{
    struct check *check = user;

    check->kept += ref->kept;
}

uint64_t
tri_proc_queued(const struct tri_proc *proc)
{
    return proc->queued_count;
}

bool
tri_proc_is_lone(const struct tri_proc *proc)
{
    return proc->out_count == proc->queued_count;
}

void
tri_proc_count(const struct tri_proc *proc, struct tri_proc_counts *counts)
{
    struct check check = {.proc = proc};

    tri_refs_each((struct tri_proc *)(uintptr_t)proc, count_kept, &check);
    counts->refs = proc->refs.count + proc->own.count + proc->kept_count;
    counts->outstanding = proc->out_count - proc->queued_count;
    counts->queued = proc->queued_count;
    counts->kept = check.kept + proc->kept_count;
    counts->incoming = proc->incoming_count;
    counts->lanes = proc->lanes_out.count + proc->lane_count;
}

struct each {
    void (*visit)(void *user, const struct tri_ref *ref);
    void *user;
};

static void
visit_ref(struct tri_ref *ref, void *user)
{
    struct each *each = user;

    each->visit(each->user, ref);
}

void
tri_proc_each(const struct tri_proc *proc, void (*visit)(void *user, const struct tri_ref *ref), void *user)
{
    struct each each = {visit, user};

    tri_refs_each((struct tri_proc *)(uintptr_t)proc, visit_ref, &each);
}
