/*
 * begun.c - values of one's own that are written in place: their names may be known to others before there is anything to see.
 * Under the process's lock. It must not know where they lie, nor who writes.
 *
 * To the broker it is as the result of an own call: the name is known from what carried it, the value is asked for (FETCH), and
 * answered when it is there. It says of the entry that it is open, so that a call goes on to its host without it.
 */
#include "actors/core/state.h"

trp_err
tri_proc_begin(struct tri_proc *proc, const struct tri_packed *packed, struct tri_ref **ref, trp_error *error)
{
    TRI_ASSERT(packed->section.frame != NULL);
    TRP_TRY(tri_proc_put(proc, packed, ref, error));
    (*ref)->state = TRI_REF_PENDING;
    (*ref)->begun = proc->has_begun = true;
    proc->begun++;
    return TRP_OK;
}

/* It has ended: whoever knows the name hears it, asked or not. */
static trp_err
tell(struct tri_proc *proc, struct tri_ref *ref, trp_error *error)
{
    const struct tri_section *value = tri_ref_value(ref);

    if (!ref->shared || ref->held == NULL)
        return TRP_OK;
    for (uint32_t i = 0; i < value->ref_count; i++) {
        struct tri_ref *inner = tri_ref_find(proc, value->refs[i].id);
        if (inner != NULL)
            TRP_TRY(tri_publish(proc, inner, error));
    }
    return ref->asked ? tri_ref_answer(proc, ref, error) : tri_publish_one(proc, ref, error);
}

static trp_err
end(struct tri_proc *proc, struct tri_ref *ref, enum tri_ref_state state, trp_error *error)
{
    trp_err err;

    ref->begun = false;
    proc->begun--;
    ref->state = (uint8_t)state;
    ref->handles++; /* until this is over */
    err = tell(proc, ref, error);
    if (ref->handles > 1)
        proc->ops.ready(proc->ops.user, ref);
    tri_ref_drop(proc, ref);
    return err;
}

trp_err
tri_proc_seal(struct tri_proc *proc, struct tri_ref *ref, trp_error *error)
{
    char id[TRI_ID_TEXT_SIZE];

    if (!ref->begun)
        return TRI_FAIL(error, TRP_EALREADY,
                        "%s is nothing that this process is writing: it was sealed, or made otherwise",
                        tri_id_format(ref->entry.id, id));
    if (ref->held->frame != NULL)
        ref->held->section.data = ref->held->frame->data; /* it may be read elsewhere than it was written */
    return end(proc, ref, TRI_REF_READY, error);
}

void
tri_proc_give_up(struct tri_proc *proc, struct tri_ref *ref, const trp_error *why)
{
    const struct tri_failure failure = {.error = *why};
    struct tri_held *had = ref->held;

    TRI_ASSERT(ref->begun);
    ref->held = NULL;
    tri_ref_fail(proc, ref, &failure);
    ref->local = false;
    (void)end(proc, ref, TRI_REF_FAILED, NULL); /* without memory it is lost when its name is released */
    tri_held_drop(proc, had);
}

uint32_t
tri_proc_begun(const struct tri_proc *proc)
{
    return proc->begun;
}

void
tri_begun_mark(struct tri_proc *proc, const struct tri_section *section)
{
    struct tri_ref_entry *entries = (struct tri_ref_entry *)(uintptr_t)section->refs; /* in memory of our own */

    for (uint32_t i = 0; i < section->ref_count; i++) {
        const struct tri_ref *ref = tri_ref_find(proc, entries[i].id);
        entries[i].flags &= ~(uint32_t)TRI_REF_OPEN;
        entries[i].flags |= ref != NULL && ref->begun ? TRI_REF_OPEN : 0;
    }
}
