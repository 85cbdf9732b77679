/*
 * answers.c - what the broker says about envelopes of ours and about values: RESULT, ACCEPTED, FREED, FETCH. Under the
 * process's lock. It must not know how they were sent.
 */
#include "actors/core/state.h"

static trp_err
body_of(const struct tri_envelope *envelope, struct tri_section *section, trp_error *error)
{
    if (envelope->route.section_count != 1)
        return TRI_FAIL(error, TRP_EPROTO, "%s came with %u sections instead of one",
                        tri_kind_name(envelope->route.kind), envelope->route.section_count);
    tri_envelope_section(envelope, 0, section);
    return TRP_OK;
}

static void
accepted_one(struct tri_proc *proc, struct tri_id id)
{
    struct tri_ref *ref = tri_ref_find(proc, id);
    struct tri_out *out = ref == NULL ? NULL : ref->out;

    if (out == NULL || out->accepted || (out->flags & TRI_TASK) != 0 ||
        (out->kind != TRI_CALL && out->kind != TRI_SPAWN))
        return;
    if (out->lane != NULL)
        tri_lane_told(proc, out->lane, out->sequence);
    ref->handles++;
    tri_out_accepted(proc, out);
    tri_ref_drop(proc, ref);
}

/* The ids of an envelope whose body is nothing else; borrowed from it. */
static trp_err
ids_of(const struct tri_envelope *envelope, const struct tri_id **ids, uint32_t *count, trp_error *error)
{
    struct tri_section section;

    TRP_TRY(body_of(envelope, &section, error));
    return tri_ids_unpack(&section, ids, count, error);
}

/* The actor that a SPAWN asked for is admitted, and its name taken: the SPAWN is kept until a host has the actor. */
static bool
admitted(struct tri_proc *proc, struct tri_out *out, const struct tri_section *section)
{
    if (out->kind != TRI_SPAWN || out->accepted || !out->posted || section->ref_count == 0 ||
        !tri_id_equal(section->refs[0].id, out->target))
        return false;
    tri_timer_remove(proc, out);
    out->ref->out = NULL;
    out->ref = NULL;
    return true;
}

/* The envelope that asked for it has its answer. */
static void
answered(struct tri_proc *proc, struct tri_ref *ref, const struct tri_section *section)
{
    struct tri_out *out = ref->out;

    if (out == NULL || out->kind == TRI_PUT || out->ref != ref)
        return;
    ref->own_call = ref->local = false; /* to whoever asks from now on, this is how it ended */
    if (out->lane != NULL)
        tri_lane_told(proc, out->lane, out->sequence);
    if (!admitted(proc, out, section))
        tri_out_end(proc, out);
}

static trp_err
fetch_one(struct tri_proc *proc, struct tri_id id, trp_error *error)
{
    struct tri_ref *ref = tri_ref_find(proc, id);
    struct tri_out *out;

    if (ref == NULL)
        ref = tri_kept_take(proc, id);
    if (ref != NULL && (ref->own_call || ref->begun)) {
        ref->asked = true; /* the broker knows the name from a call that carries it, and not yet what it is of */
        return TRP_OK;
    }
    if (ref == NULL || ref->held == NULL)
        return TRP_OK; /* our RELEASE is on its way: the broker asks another */
    if (ref->out != NULL && !ref->out->posted)
        return TRP_OK; /* its PUT is on its way */
    out = tri_out_new(proc, TRI_PUT, 0);
    if (out == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to send a value");
    out->fetched = true;
    out->flags = TRI_FETCHED;
    out->ref = ref;
    out->bytes = tri_envelope_bytes(tri_ref_value(ref), 1);
    ref->kept = true;
    proc->out_count++;
    tri_out_append(proc, out);
    return TRP_OK;
}

trp_err
tri_ref_answer(struct tri_proc *proc, struct tri_ref *ref, trp_error *error)
{
    if (!ref->asked || ref->own_call)
        return TRP_OK;
    ref->asked = false;
    return fetch_one(proc, ref->entry.id, error);
}

/* The broker does not keep what it has given to a host: which method it was is known here. */
static void
add_method(struct tri_proc *proc, const struct tri_ref *ref, struct tri_section *section)
{
    struct tri_failure chain[8];
    struct tri_id target;
    const char *method = tri_proc_method(ref, &target);
    uint32_t count = 0;

    if (method == NULL || section->ref_count > 0 || tri_error_unpack(section, chain, &count, NULL) != TRP_OK ||
        count == 0 || chain[0].error.method[0] != '\0')
        return;
    (void)tri_text_copy(chain[0].error.method, sizeof chain[0].error.method, method);
    if (tri_error_pack(&proc->packed, &chain[0], NULL) == TRP_OK)
        *section = proc->packed.section;
}

TRI_HOP trp_err
tri_on_answer(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    const struct tri_route *route = &envelope->route;
    struct tri_ref **handles = NULL;
    struct tri_section section;
    struct tri_ref *ref;
    uint32_t count = 0;
    bool became = false;

    TRP_TRY(body_of(envelope, &section, error));
    if (section.ref_count > 0)
        TRP_TRY(tri_refs_adopt(proc, envelope, false, &handles, &count, error));
    ref = tri_ref_find(proc, route->result);
    became = ref != NULL && ref->state == TRI_REF_PENDING && ref->handles > 0;
    if (ref != NULL)
        ref->handles++; /* until this is over */
    if (became && (route->flags & TRI_FAILED) != 0)
        add_method(proc, ref, &section);
    if (became)
        TRP_TRY(tri_ref_set(proc, ref, &section, (route->flags & TRI_FAILED) != 0, error));
    else if (ref != NULL && ref->absent)
        TRP_TRY(tri_absent_found(proc, ref, &section, (route->flags & TRI_FAILED) != 0, error));
    else if (ref != NULL && ref->kept && ref->state == TRI_REF_READY && (route->flags & TRI_FAILED) != 0)
        TRP_TRY(tri_ref_correct(proc, ref, &section, error));
    if (became && count > 0)
        tri_memory_put(&proc->memory, handles, count * sizeof(struct tri_ref *)); /* the value has them now */
    else if (count > 0)
        tri_refs_let_go(proc, &handles, &count);
    if (ref == NULL)
        return TRP_OK;
    answered(proc, ref, &section);
    TRP_TRY(tri_ref_answer(proc, ref, error));
    if (became && ref->handles > 1)
        proc->ops.ready(proc->ops.user, ref);
    if (ref->handles > 1)
        ref->handles--;
    else
        tri_ref_drop(proc, ref);
    return TRP_OK;
}

trp_err
tri_on_accepted(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    const struct tri_id *ids;
    uint32_t count;

    if (!tri_id_is_none(envelope->route.target)) {
        struct tri_entry *entry = tri_table_find(&proc->lanes_out, envelope->route.target);
        if (entry != NULL && envelope->route.acknowledged != 0)
            tri_lane_failed(proc, TRI_OWNER(entry, struct tri_lane_out, entry), envelope->route.sequence);
        else if (entry != NULL)
            tri_lane_told(proc, TRI_OWNER(entry, struct tri_lane_out, entry), envelope->route.sequence);
        if (envelope->route.section_count == 0)
            return TRP_OK;
    }
    TRP_TRY(ids_of(envelope, &ids, &count, error));
    for (uint32_t i = 0; i < count; i++)
        accepted_one(proc, ids[i]);
    return TRP_OK;
}

static void
freed_one(struct tri_proc *proc, struct tri_id id)
{
    struct tri_ref *ref = tri_ref_find(proc, id);
    struct tri_out *out = ref == NULL ? NULL : ref->out;

    if (ref == NULL)
        return;
    if (out != NULL && !out->posted)
        return; /* it is about to be said to a new broker, which will say this again */
    ref->kept = ref->returned = false;
    if (out != NULL && (out->kind == TRI_PUT || ref->handles == 0))
        tri_out_end(proc, out);
    else
        tri_ref_look(proc, ref);
}

trp_err
tri_on_freed(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_section section;
    const struct tri_run *runs;
    uint32_t count;

    TRP_TRY(body_of(envelope, &section, error));
    TRP_TRY(tri_runs_unpack(&section, &runs, &count, error));
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < runs[i].count; k++) {
            const struct tri_id id = tri_run_id(&runs[i], k);
            if (!tri_kept_free(proc, id))
                freed_one(proc, id);
        }
    }
    return TRP_OK;
}

trp_err
tri_on_fetch(struct tri_proc *proc, const struct tri_envelope *envelope, trp_error *error)
{
    const struct tri_id *ids;
    uint32_t count;

    TRP_TRY(ids_of(envelope, &ids, &count, error));
    for (uint32_t i = 0; i < count; i++)
        TRP_TRY(fetch_one(proc, ids[i], error));
    tri_outs_pump(proc);
    return TRP_OK;
}
