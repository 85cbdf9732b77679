/*
 * absent.c - values that are known by their place, and were not found there: WANT, and the broker's HERE. Under the process's
 * lock. It must not know what a place is, nor who reads there.
 */
#include "actors/core/state.h"

trp_err
tri_proc_demand(struct tri_proc *proc, struct tri_ref *ref, uint64_t deadline_ns, uint64_t now_ns, trp_error *error)
{
    struct tri_route route = {.kind = TRI_WANT, .result = ref->entry.id};

    if (ref->absent)
        return TRP_OK;
    if (proc->gone) {
        if (error != NULL)
            *error = proc->gone_why;
        return proc->gone_why.code;
    }
    if (deadline_ns != TRI_NEVER)
        route.deadline_us = deadline_ns <= now_ns + 1000 ? 1 : (deadline_ns - now_ns) / 1000;
    tri_post(proc, &route, NULL);
    ref->absent = true;
    return TRP_OK;
}

static void
demand_again(struct tri_ref *ref, void *user)
{
    struct tri_proc *proc = user;
    const struct tri_route route = {.kind = TRI_WANT, .result = ref->entry.id};

    if (ref->absent && ref->handles > 0)
        tri_post(proc, &route, NULL);
}

void
tri_absent_again(struct tri_proc *proc)
{
    tri_refs_each(proc, demand_again, proc);
}

static trp_err
say(struct tri_proc *proc, struct tri_ref *ref, const trp_error *why, trp_error *error)
{
    return proc->ops.here != NULL ? proc->ops.here(proc->ops.user, ref, why, error) : TRP_OK;
}

trp_err
tri_absent_found(struct tri_proc *proc, struct tri_ref *ref, const struct tri_section *section, bool failed,
                 trp_error *error)
{
    const struct tri_place *ours = tri_section_place(tri_ref_value(ref)), *said = tri_section_place(section);
    struct tri_failure chain[8];
    uint32_t count = 0;

    ref->absent = false;
    if (!failed) {
        if (ours == NULL || said == NULL || said->slot != ours->slot || said->generation != ours->generation ||
            said->size != ours->size)
            return TRI_FAIL(error, TRP_EPROTO, "HERE of another value than was wanted");
        return say(proc, ref, NULL, error);
    }
    TRP_TRY(tri_error_unpack(section, chain, &count, error));
    TRP_TRY(say(proc, ref, &chain[0].error, error));
    if (chain[0].error.code != TRP_EOBJLOST)
        return TRP_OK; /* this was no time for it, another may be */
    ref->handles++;
    TRP_TRY(tri_ref_correct(proc, ref, section, error));
    tri_ref_drop(proc, ref);
    return TRP_OK;
}

trp_err
tri_on_here(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_ref *ref = tri_ref_find(proc, envelope->route.result);
    const struct tri_section *section = &envelope->body;

    if (envelope->route.section_count != 1 || section->ref_count > 0)
        return TRI_FAIL(error, TRP_EPROTO, "HERE came without a value, or with references");
    if (ref == NULL || !ref->absent)
        return TRP_OK; /* it was let go of meanwhile */
    return tri_absent_found(proc, ref, section, (envelope->route.flags & TRI_FAILED) != 0, error);
}
