/*
 * pinned.c - values that lie in the arena, as they are read: pinned from a get to its trp_unpin, arguments from their arrival
 * on. One that is not there is asked for. With the process's lock, which is dropped in waits. It must not know how a broker
 * brings one back.
 */
#include "actors/process.h"

/* What lies in the arena of it; NULL: it lies here, or there is nothing. */
static struct tri_buf *
stored_in(const struct tri_ref *ref)
{
    const struct tri_held *held = ref->held;

    return held != NULL && ref->state == TRI_REF_READY && tri_section_place(&held->section) != NULL ? held->frame
                                                                                                    : NULL;
}

static bool
try_pin(struct tri_ref *ref)
{
    if (!ref->held->pinned)
        ref->held->pinned = tri_store_pin(ref->held->frame) == TRI_PINNED;
    return ref->held->pinned;
}

void
tri_pinned_look(struct tri_process *process, struct tri_handle *handle)
{
    struct tri_held *held = handle->ref.held;

    if (held == NULL || !held->pinned || handle->gets > 0 || handle->readers > 0)
        return;
    tri_handle_close(process, held);
    held->pinned = false;
    tri_store_unpin(held->frame);
}

/* Who waits for it, beside its reference's other waiters. */
struct reader {
    struct tri_watcher watcher;
    struct tri_waiter waiter;
    const struct tri_ref *ref;
};

static bool
is_answered(void *user)
{
    const struct reader *reader = user;

    return !reader->ref->absent || reader->watcher.refusal.code != TRP_OK;
}

/* One question and its answer. */
static trp_err
ask(struct tri_process *process, struct tri_ref *ref, uint64_t until_ns, trp_error *error)
{
    struct reader reader = {.ref = ref};
    char id[TRI_ID_TEXT_SIZE];
    trp_err err;

    TRP_TRY(tri_process_alive(process, error));
    TRP_TRY(tri_proc_demand(process->proc, ref, until_ns, tri_now_ns(), error));
    tri_waiter_init(&reader.waiter);
    reader.watcher.waiter = &reader.waiter;
    tri_list_append(&ref->waiters, &reader.watcher.link);
    err = tri_waiter_wait(process, &reader.waiter, is_answered, &reader, until_ns, NULL, 0, false, error);
    tri_list_remove(&reader.watcher.link);
    tri_waiter_fini(&reader.waiter);
    if (err == TRP_ETIMEDOUT)
        return TRI_FAIL(error, TRP_ETIMEDOUT,
                        "object %s is to be brought back into the arena, and was not there in time",
                        tri_id_format(ref->entry.id, id));
    if (err != TRP_OK || reader.watcher.refusal.code == TRP_OK)
        return err;
    if (reader.watcher.refusal.code == TRP_ETIMEDOUT && (until_ns == TRI_NEVER || tri_now_ns() < until_ns))
        return TRP_OK; /* that was the time of another who waits */
    if (error != NULL)
        *error = reader.watcher.refusal;
    return reader.watcher.refusal.code;
}

trp_err
tri_pinned_get(struct tri_process *process, struct tri_handle *handle, uint64_t until_ns, trp_error *error)
{
    struct tri_ref *ref = &handle->ref;
    trp_err err = TRP_OK;

    handle->readers++;
    tri_proc_retain(ref); /* it stays what it is, while others release it */
    while (err == TRP_OK && stored_in(ref) != NULL && !try_pin(ref))
        if (tri_store_is_resident(ref->held->frame))
            err = TRI_FAIL(error, TRP_ENOMEM, "no memory to copy an object of %llu bytes, and %u are pinned already",
                           (unsigned long long)ref->held->section.size, TRI_PINS_HELD);
        else
            err = ask(process, ref, until_ns, error);
    handle->readers--;
    tri_proc_release(ref);
    return err;
}

trp_err
tri_pinned_want(struct tri_process *process, struct tri_handle *handle, uint64_t until_ns, trp_error *error)
{
    struct tri_ref *ref = &handle->ref;

    if (stored_in(ref) == NULL || ref->held->pinned || tri_store_is_resident(ref->held->frame))
        return TRP_OK;
    return tri_proc_demand(process->proc, ref, until_ns, tri_now_ns(), error);
}

bool
tri_pinned_is_there(const struct tri_handle *handle)
{
    struct tri_buf *buf = stored_in(&handle->ref);

    return buf == NULL || tri_store_is_resident(buf);
}

/* Whoever reads it has it pinned before the packet is acknowledged: until then the broker leaves it there. */
trp_err
tri_pinned_here(void *user, struct tri_ref *ref, const trp_error *why, trp_error *error)
{
    struct tri_process *process = user;
    struct tri_node *node;

    if (why == NULL && stored_in(ref) != NULL && ((struct tri_handle *)(void *)ref)->readers > 0 && !try_pin(ref) &&
        !tri_store_is_resident(ref->held->frame))
        return TRI_FAIL(error, TRP_EPROTO, "HERE of a value that is not in the arena");
    for (node = ref->waiters.next; node != &ref->waiters; node = node->next) {
        struct tri_watcher *watcher = TRI_OWNER(node, struct tri_watcher, link);
        if (why != NULL)
            watcher->refusal = *why;
        tri_waiter_poke(process, watcher->waiter);
    }
    return TRP_OK;
}

/* What cannot be pinned has no data: the call says so when its arguments are opened. */
void
tri_arguments_pin(struct tri_section *sections, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (tri_section_place(&sections[i]) == NULL)
            continue;
        (void)tri_store_pin(sections[i].frame);
        sections[i].data = sections[i].frame->data;
    }
}

struct tri_buf *
tri_process_again(struct tri_process *process, const struct tri_buf *stored)
{
    struct tri_buf *buf = NULL;

    return tri_store_find(process->store, stored->place, &buf, NULL) == TRP_OK ? buf : NULL;
}
