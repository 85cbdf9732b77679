/*
 * handles.c - the memory behind trp_ref and trp_actor: a slab of them, who holds how many, the opened views of values and the
 * handles inside of these. With the process's lock, but for the trp_ functions. It sends nothing itself: the proc does.
 *
 * A handle lives while the proc knows it. The view of its value lives as long, and holds a handle of each reference that is in
 * the value; so the end of one may be the end of others: the proc ends those one after another, never one inside another.
 */
#include <stdlib.h>

#include "actors/begin.h"

/* ---------------------------------------------------------------------------------------------------------- the slab */

/* One that was given back, else the next of the newest slab: what is not used is not touched either. NULL: no memory. */
static struct tri_handle *
take_handle(struct tri_process *process)
{
    struct tri_slab *slab = process->slabs;
    struct tri_handle *handle = process->free_handles;

    if (handle != NULL) {
        process->free_handles = (void *)handle->ref.out;
        return handle;
    }
    if (slab == NULL || slab->used == TRI_SLAB_HANDLES) {
        slab = malloc(sizeof *slab);
        if (slab == NULL)
            return NULL;
        slab->next = process->slabs;
        slab->used = 0;
        process->slabs = slab;
    }
    return &slab->handles[slab->used++];
}

struct tri_ref *
tri_handle_new(void *user, bool is_actor)
{
    struct tri_process *process = user;
    struct tri_handle *handle = take_handle(process);

    if (handle == NULL)
        return NULL;
    handle->process = process; /* the rest of ref is set by the proc */
    handle->runtime = NULL;
    handle->more = NULL;
    handle->mark = 0;
    handle->given = handle->gets = handle->readers = 0;
    handle->live = true;
    handle->ref.is_actor = is_actor;
    tri_list_init(&handle->ref.waiters);
    return &handle->ref;
}

static void
put_back(struct tri_process *process, struct tri_handle *handle)
{
    if (handle->more != NULL) {
        free(handle->more->failure_memory);
        free(handle->more);
    }
    handle->more = NULL;
    handle->live = false;
    handle->ref.out = (void *)process->free_handles;
    process->free_handles = handle;
}

static struct tri_handle *
held_at(const struct tri_view *view, uint32_t i)
{
    if (view->refs[i] != NULL)
        return &view->refs[i]->handle;
    return view->actors[i] != NULL ? &view->actors[i]->handle : NULL;
}

void
tri_process_disown(struct tri_process *process, struct tri_view *view)
{
    if (view->refs == NULL)
        return;
    for (uint32_t i = 0; i < view->ref_count; i++) {
        struct tri_handle *held = held_at(view, i);
        if (held != NULL)
            tri_handle_drop(process, held);
    }
    free(view->refs); /* one block with the actors */
    view->refs = NULL;
    view->actors = NULL;
}

void
tri_handle_close(struct tri_process *process, struct tri_held *held)
{
    if (!held->open)
        return;
    held->open = false;
    tri_process_disown(process, &held->view);
    tri_view_close(&held->view);
}

/* The proc has forgotten it. */
void
tri_handle_free(void *user, struct tri_ref *ref)
{
    struct tri_process *process = user;
    struct tri_handle *handle = (struct tri_handle *)(void *)ref;

    if (ref->held != NULL)
        tri_handle_close(process, ref->held);
    ref->held = NULL;
    if (process->state == TRI_CLOSED && handle->given > 0)
        process->zombies++;
    else
        put_back(process, handle);
}

/* Closes all views; what is in them is released. Handles stay. */
void
tri_handles_end(struct tri_process *process)
{
    for (struct tri_slab *slab = process->slabs; slab != NULL; slab = slab->next)
        for (size_t i = 0; i < slab->used; i++) {
            struct tri_handle *handle = &slab->handles[i];
            if (handle->live && handle->ref.held != NULL)
                tri_handle_close(process, handle->ref.held);
        }
}

struct tri_handle_more *
tri_handle_more(struct tri_handle *handle)
{
    if (handle->more == NULL) {
        handle->more = calloc(1, sizeof *handle->more);
        if (handle->more != NULL) {
            tri_list_init(&handle->more->callbacks);
            handle->more->failure.kind = TRP_NONE;
        }
    }
    return handle->more;
}

/* ------------------------------------------------------------------------------------------------------ who has them */

trp_ref *
tri_handle_give(struct tri_process *process, trp_runtime *runtime, struct tri_ref *ref)
{
    struct tri_handle *handle = (struct tri_handle *)(void *)ref;

    (void)process;
    handle->given++;
    if (handle->runtime == NULL)
        handle->runtime = runtime;
    return (trp_ref *)(void *)ref;
}

void
tri_handle_drop(struct tri_process *process, struct tri_handle *handle)
{
    TRI_ASSERT(handle->given > 0);
    handle->given--;
    if (handle->ref.proc == NULL) {
        return; /* an actor's handle on itself: not counted */
    } else if (process->proc != NULL) {
        if (handle->ref.begun)
            tri_begin_look(process, handle);
        tri_proc_release(&handle->ref);
    } else if (handle->given == 0) { /* the runtime is gone, this one was left */
        put_back(process, handle);
        process->zombies--;
    }
}

trp_err
tri_process_adopt(struct tri_process *process, trp_runtime *runtime, const struct tri_section *section,
                  struct tri_view *view, trp_error *error)
{
    TRI_ASSERT(view->ref_count <= section->ref_count);
    if (view->ref_count == 0)
        return TRP_OK;
    view->refs = calloc(view->ref_count, sizeof *view->refs + sizeof *view->actors);
    if (view->refs == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the %u references of a value", view->ref_count);
    view->actors = (trp_actor **)(void *)(view->refs + view->ref_count);
    for (uint32_t i = 0; i < view->ref_count; i++) {
        const struct tri_ref_entry *entry = &section->refs[i];
        struct tri_ref *ref = tri_proc_find(process->proc, entry->id);
        trp_ref *held;
        if (ref == NULL && entry->place != TRI_NESTED && (entry->flags & TRI_REF_ACTOR) == 0)
            continue; /* an argument of its own: its value came along instead */
        if (ref == NULL) {
            char text[TRI_ID_TEXT_SIZE];
            tri_process_disown(process, view);
            return TRI_FAIL(error, TRP_EOBJLOST, "the value names %s, which this process does not hold",
                            tri_id_format(entry->id, text));
        }
        held = tri_handle_give(process, runtime, ref);
        if (ref->is_actor)
            view->actors[i] = (trp_actor *)(void *)held;
        else
            view->refs[i] = held;
    }
    return TRP_OK;
}

trp_err
tri_handle_open(struct tri_handle *handle, trp_error *error)
{
    struct tri_held *held = handle->ref.held;

    TRI_ASSERT(held != NULL);
    if (held->open)
        return TRP_OK;
    if (tri_section_place(&held->section) != NULL) {
        if (!held->pinned)
            return TRI_FAIL(error, TRP_EPROTO, "a value in the arena where one has to lie in the message");
        held->section.data = held->frame->data;
    }
    TRP_TRY(tri_view_open(&held->view, &held->section, error));
    if (held->section.ref_count > 0) {
        trp_err err = tri_process_adopt(handle->process, handle->runtime, &held->section, &held->view, error);
        if (err != TRP_OK) {
            tri_view_close(&held->view);
            return err;
        }
    }
    held->open = true;
    return TRP_OK;
}

/* --------------------------------------------------------------------------------------------------------- packing */

static trp_err
id_of(const struct tri_handle *handle, struct tri_id *id, trp_error *error)
{
    /* one process has one runtime: another's handle is one that outlived it */
    if (handle->process->state == TRI_CLOSED)
        return TRI_FAIL(error, TRP_ECLOSED, "a handle in the value is of a runtime that is shut down");
    *id = handle->ref.entry.id;
    return TRP_OK;
}

static trp_err
ref_id(void *user, trp_ref *ref, struct tri_id *id, trp_error *error)
{
    (void)user;
    return id_of(&ref->handle, id, error);
}

static trp_err
actor_id(void *user, trp_actor *actor, struct tri_id *id, trp_error *error)
{
    (void)user;
    return id_of(&actor->handle, id, error);
}

const struct tri_handles tri_process_handles = {ref_id, actor_id, NULL};

/* ------------------------------------------------------------------------------------------------- coming from outside */

static trp_err
enter(struct tri_process *inside, struct tri_process **process, trp_error *error)
{
    if (tri_process_forked())
        return TRI_FAIL(error, TRP_EFORKED, "this process was forked from the one that made the runtime");
    tri_process_lock(inside);
    if (inside->state == TRI_CLOSED) {
        tri_process_unlock(inside);
        return TRI_FAIL(error, TRP_ECLOSED, "the runtime is shut down");
    }
    *process = inside;
    return TRP_OK;
}

trp_err
tri_handle_enter(const struct tri_handle *handle, const char *what, struct tri_process **process, trp_error *error)
{
    if (handle == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "%s is NULL", what);
    return enter(handle->process, process, error);
}

trp_err
tri_runtime_enter(const trp_runtime *runtime, struct tri_process **process, trp_error *error)
{
    if (runtime == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "runtime is NULL");
    return enter(runtime->process, process, error);
}

static void
retain(struct tri_handle *handle)
{
    struct tri_process *process;

    if (handle == NULL || tri_process_forked())
        return;
    process = handle->process;
    tri_process_lock(process);
    handle->given++;
    if (process->proc != NULL && handle->ref.proc != NULL)
        tri_proc_retain(&handle->ref);
    tri_process_unlock(process);
}

static void
release(struct tri_handle *handle, const char *function)
{
    struct tri_process *process;
    bool last;

    if (handle == NULL || tri_process_forked())
        return;
    process = handle->process;
    tri_process_lock(process);
    if (handle->given == 0) {
        tri_log(TRI_ERROR, "%s: a reference was released more often than it was retained", function);
        abort();
    }
    tri_handle_drop(process, handle);
    last = process->proc == NULL && process->zombies == 0;
    tri_process_unlock(process);
    if (last)
        tri_process_free(process);
}

trp_ref *
trp_ref_retain(trp_ref *ref)
{
    retain(ref != NULL ? &ref->handle : NULL);
    return ref;
}

void
trp_ref_release(trp_ref **ref)
{
    if (ref == NULL)
        return;
    release(*ref != NULL ? &(*ref)->handle : NULL, "trp_ref_release");
    *ref = NULL;
}

trp_actor *
trp_actor_retain(trp_actor *actor)
{
    retain(actor != NULL ? &actor->handle : NULL);
    return actor;
}

void
trp_actor_release(trp_actor **actor)
{
    if (actor == NULL)
        return;
    release(*actor != NULL ? &(*actor)->handle : NULL, "trp_actor_release");
    *actor = NULL;
}

/* The text is kept with the handle; "" where there is no memory for it. */
static const char *
id_text(const struct tri_handle *handle)
{
    struct tri_handle *own = (struct tri_handle *)handle; /* what it keeps is no part of what it means */
    const char *text = "";

    if (handle == NULL || tri_process_forked())
        return text;
    tri_process_lock(handle->process);
    if (tri_handle_more(own) != NULL)
        text = tri_id_format(handle->ref.entry.id, own->more->text);
    tri_process_unlock(handle->process);
    return text;
}

const char *
trp_ref_id(const trp_ref *ref)
{
    return id_text(ref != NULL ? &ref->handle : NULL);
}

const char *
trp_actor_id(const trp_actor *actor)
{
    return id_text(actor != NULL ? &actor->handle : NULL);
}
