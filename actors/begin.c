/*
 * begin.c - trp_put_begin, trp_put_room, trp_put_end: values that are written where they will lie. Any thread. It knows values as
 * the schemas have them, and nothing of the socket.
 */
#include "actors/begin.h"

#include "actors/checks.h"

trp_err
trp_put_begin(trp_runtime *runtime, trp_value value, trp_ref **ref, trp_error *error)
{
    struct tri_process *process = NULL;
    struct tri_blanks blanks = {0};
    struct tri_ref *made = NULL;
    trp_err err;

    if (ref == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "ref is NULL");
    TRP_TRY(tri_runtime_enter(runtime, &process, error));
    err = tri_process_alive(process, error);
    if (err == TRP_OK)
        err = tri_pack_with_room(process, value, &blanks, error);
    if (err == TRP_OK) {
        err = tri_proc_begin(process->proc, &process->packed, &made, error);
        tri_packed_forget(&process->packed);
    }
    if (err == TRP_OK)
        *ref = tri_handle_give(process, runtime, made);
    else
        tri_blanks_undo(&blanks);
    tri_process_unlock(process);
    tri_blanks_fini(&blanks);
    return err;
}

void *
trp_put_room(trp_ref *ref)
{
    struct tri_process *process = NULL;
    struct tri_view view;
    void *room = NULL;

    if (tri_handle_enter(ref != NULL ? &ref->handle : NULL, "ref", &process, NULL) != TRP_OK)
        return NULL;
    if (ref->handle.ref.begun && tri_view_open(&view, &ref->handle.ref.held->section, NULL) == TRP_OK) {
        const trp_value value = tri_view_value(&view, 0);
        if (value.kind == TRP_BYTES)
            room = (void *)(uintptr_t)value.as.bytes;
        tri_view_close(&view);
    }
    tri_process_unlock(process);
    return room;
}

trp_err
trp_put_end(trp_ref *ref, trp_error *error)
{
    struct tri_process *process = NULL;
    trp_err err;

    TRP_TRY(tri_handle_enter(ref != NULL ? &ref->handle : NULL, "ref", &process, error));
    if (ref->handle.ref.begun)
        tri_store_seal(ref->handle.ref.held->frame);
    if (ref->handle.ref.state == TRI_REF_PENDING && !ref->handle.ref.begun)
        err = TRI_FAIL(error, TRP_EINVAL, "ref was not made by trp_put_begin in this process");
    else
        err = tri_proc_seal(process->proc, &ref->handle.ref, error);
    if (err == TRP_OK && tri_section_place(tri_ref_value(&ref->handle.ref)) != NULL)
        err = tri_proc_publish(process->proc, &ref->handle.ref, error); /* so that the broker can make room of it */
    if (process->local == NULL)
        tri_process_flush(process); /* somebody may wait for it */
    tri_waiters_poke(process, process->local != NULL);
    tri_process_unlock(process);
    return err;
}

/* Those of trp_on_ready are the runtime's. */
static uint32_t
kept_by_callbacks(const struct tri_handle *handle)
{
    uint32_t count = 0;

    if (handle->more != NULL)
        for (const struct tri_node *node = handle->more->callbacks.next; node != &handle->more->callbacks;
             node = node->next)
            count++;
    return count;
}

void
tri_begin_look(struct tri_process *process, struct tri_handle *handle)
{
    char id[TRI_ID_TEXT_SIZE];
    trp_error why;

    if (handle->given > kept_by_callbacks(handle))
        return;
    (void)TRI_FAIL(&why, TRP_EOBJLOST, "object %s is lost: it was released before trp_put_end",
                   tri_id_format(handle->ref.entry.id, id));
    (void)tri_text_copy(why.node, sizeof why.node, process->node);
    tri_proc_give_up(process->proc, &handle->ref, &why);
}
