/*
 * cancel.c - calls that are to end before they would: deadlines that pass, and trp_cancel; at the caller, whose calls go with
 * their parents, and at the host. Under the process's lock. It must not know how a method sees it, nor who asked.
 */
#include "actors/core/state.h"

#include <inttypes.h>

/* --------------------------------------------------------------------------------------------------------- deadlines */

/* Its deadline has passed: here it is over. What it makes is told so, and what comes later is not taken. */
void
tri_out_overdue(struct tri_proc *proc, struct tri_out *out)
{
    struct tri_failure failure = {0};
    struct tri_ref *ref = out->ref;
    const struct tri_out_more *more = out->more;
    const uint64_t waited_ms = (more->allowed_ns + TRI_NS_PER_MS / 2) / TRI_NS_PER_MS;

    tri_timer_remove(proc, out);
    out->overdue = true;
    if (out->posted && out->kind == TRI_CALL)
        (void)tri_ids_add(&proc->overdue, ref->entry.id);
    if (ref->state != TRI_REF_PENDING)
        return;
    if (more->name[0] != '\0')
        (void)TRI_FAIL(&failure.error, TRP_ETIMEDOUT,
                       "%s() of actor '%s' on node '%s' did not answer before its deadline of %" PRIu64 " ms",
                       more->method, more->name, proc->node, waited_ms);
    else
        (void)TRI_FAIL(&failure.error, TRP_ETIMEDOUT,
                       "%s() on node '%s' did not answer before its deadline of %" PRIu64 " ms", more->method,
                       proc->node, waited_ms);
    (void)tri_text_copy(failure.error.actor, sizeof failure.error.actor, more->name);
    (void)tri_text_copy(failure.error.method, sizeof failure.error.method, more->method);
    (void)tri_text_copy(failure.error.node, sizeof failure.error.node, proc->node);
    failure.error.ran = tri_proc_ran(ref);
    tri_ref_fail(proc, ref, &failure);
    tri_ref_announce(proc, ref);
}

/* ------------------------------------------------------------------------------------------------- on somebody's request */

/* Of a call that the broker has never seen. What names it already hears this as it would hear an answer. */
static trp_err
drop_unsent(struct tri_proc *proc, struct tri_ref *ref, trp_error *error)
{
    struct tri_failure failure = {0};
    struct tri_id target;
    const char *method = tri_proc_method(ref, &target);
    const struct tri_about about = {.who = "",
                                    .actor = "",
                                    .method = method != NULL ? method : "",
                                    .node = proc->node,
                                    .fate = "was not run",
                                    .ran = TRP_NOT_RUN,
                                    .is_task = (ref->out->flags & TRI_TASK) != 0};
    trp_err err;

    tri_about_refused(&failure.error, TRP_ECANCELLED, &about, "it was cancelled before it was sent");
    ref->handles++; /* until this is over */
    tri_ref_fail(proc, ref, &failure);
    ref->local = false;
    tri_out_end(proc, ref->out);
    err = tri_ref_answer(proc, ref, error);
    proc->ops.ready(proc->ops.user, ref);
    tri_ref_drop(proc, ref);
    return err;
}

trp_err
tri_proc_cancel(struct tri_proc *proc, struct tri_ref *ref, uint64_t now_ns, trp_error *error)
{
    const struct tri_out *out = ref->out != NULL && ref->out->ref == ref ? ref->out : NULL;

    proc->now_ns = now_ns;
    if (ref->state != TRI_REF_PENDING || ref->is_actor || ref->cancelled || ref->begun ||
        (out != NULL && out->kind != TRI_CALL))
        return TRP_OK;
    if (out != NULL && !out->posted && !out->again)
        return drop_unsent(proc, ref, error);
    if (!tri_ids_add(&proc->cancels, ref->entry.id))
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to cancel a call");
    ref->cancelled = true;
    return TRP_OK;
}

static void
add_children(const struct tri_node *list, struct tri_id parent, struct tri_ids *ids)
{
    for (const struct tri_node *node = list->next; node != list; node = node->next) {
        const struct tri_out *out = TRI_OWNER(node, struct tri_out, link);
        if (out->kind == TRI_CALL && out->ref != NULL && tri_id_equal(out->parent, parent))
            (void)tri_ids_add(ids,
                              out->ref->entry.id); /* no memory: it goes on, as one of which nobody knows any more */
    }
}

void
tri_proc_cancel_children(struct tri_proc *proc, struct tri_id parent)
{
    struct tri_ids ids = {0};

    add_children(&proc->outs, parent, &ids);
    add_children(&proc->accepted_outs, parent, &ids);
    for (size_t i = 0; i < ids.count; i++) { /* each may end others, with what it names */
        struct tri_ref *ref = tri_ref_find(proc, ids.ids[i]);
        if (ref != NULL)
            (void)tri_proc_cancel(proc, ref, proc->now_ns, NULL);
    }
    free(ids.ids);
}

void
tri_cancels_post(struct tri_proc *proc)
{
    tri_post_ids(proc, TRI_CANCEL, 0, &proc->overdue);
    tri_post_ids(proc, TRI_CANCEL, TRI_ASKED, &proc->cancels);
    proc->overdue.count = proc->cancels.count = 0;
}

static void
cancel_again(struct tri_ref *ref, void *user)
{
    struct tri_proc *proc = user;

    if (ref->cancelled && ref->state != TRI_REF_READY) /* its caller may not have heard of it, and ask for it again */
        ref->cancelled = tri_ids_add(&proc->cancels, ref->entry.id);
}

void
tri_cancels_again(struct tri_proc *proc)
{
    tri_refs_each(proc, cancel_again, proc);
    tri_cancels_post(proc);
}

void
tri_cancels_fini(struct tri_proc *proc)
{
    free(proc->overdue.ids);
    free(proc->cancels.ids);
}

/* --------------------------------------------------------------------------------------------------------------- host */

static trp_err
fail_unstarted(struct tri_proc *proc, struct tri_incoming *call, trp_error *error)
{
    /* A caller's clock is ahead by the way here: what it cancels is overdue, also where that has not passed here. */
    const bool overdue = call->cancelled == TRI_OVERDUE && call->deadline_ns != TRI_NEVER;

    proc->ops.dropped(proc->ops.user, call);
    return tri_accepted_fail(proc, tri_accepted_of(call), overdue ? TRP_ETIMEDOUT : TRP_ECANCELLED,
                             overdue ? "its deadline passed before it started" : "it was cancelled before it started",
                             error);
}

static trp_err
cancel_one(struct tri_proc *proc, struct tri_incoming *call, uint8_t how, trp_error *error)
{
    if (call->cancelled >= how)
        return TRP_OK;
    __atomic_store_n(&call->cancelled, how, __ATOMIC_RELAXED);
    if (!call->started)
        return fail_unstarted(proc, call, error);
    if (how == TRI_CANCELLED)
        tri_proc_cancel_children(proc, call->entry.id);
    proc->ops.cancelled(proc->ops.user, call);
    return TRP_OK;
}

trp_err
tri_on_incoming_cancel(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    const bool asked = (envelope->route.flags & TRI_ASKED) != 0;
    const struct tri_id *ids;
    struct tri_section section;
    uint32_t count;

    if (envelope->route.section_count == 0)
        return TRI_FAIL(error, TRP_EPROTO, "CANCEL came without a body");
    tri_envelope_section(envelope, 0, &section);
    TRP_TRY(tri_ids_unpack(&section, &ids, &count, error));
    for (uint32_t i = 0; i < count; i++) {
        struct tri_entry *entry = tri_table_find(&proc->calls, ids[i]);
        struct tri_incoming *call = entry == NULL ? NULL : TRI_OWNER(entry, struct tri_incoming, entry);
        if (call != NULL && !tri_accepted_of(call)->kept)
            TRP_TRY(cancel_one(proc, call, asked ? TRI_CANCELLED : TRI_OVERDUE, error));
    }
    return TRP_OK;
}
