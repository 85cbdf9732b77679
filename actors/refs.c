/*
 * refs.c - references: get, wait, cancel, put, and looking at them. Any thread. It knows values and errors as the schemas have
 * them, and nothing of the socket.
 */
#include <stdio.h>
#include <stdlib.h>

#include "actors/begin.h"
#include "actors/checks.h"
#include "actors/invoke.h"
#include "actors/large.h"
#include "actors/process.h"

/* ------------------------------------------------------------------------------------------------------------ one */

trp_err
tri_ref_failure(const struct tri_ref *ref, trp_error *error)
{
    struct tri_failure chain[8];
    uint32_t count = 0;

    TRP_TRY(tri_error_unpack(tri_ref_value(ref), chain, &count, error));
    if (error != NULL) {
        *error = chain[0].error;
        tri_execution_note(error, tri_ref_value(ref));
    }
    return chain[0].error.code;
}

static bool
has_ended(void *user)
{
    const struct tri_ref *ref = user;

    return ref->state != TRI_REF_PENDING;
}

trp_err
tri_ref_wait(struct tri_process *process, struct tri_handle *handle, uint64_t until_ns, bool in_execution,
             trp_error *error)
{
    struct tri_ref *ref = &handle->ref;
    struct tri_watcher watcher;
    struct tri_waiter waiter;
    trp_err err;

    if (ref->state != TRI_REF_PENDING)
        return TRP_OK;
    TRP_TRY(tri_process_alive(process, error));
    TRP_TRY(tri_proc_want(process->proc, ref, error));
    tri_waiter_init(&waiter);
    watcher = (struct tri_watcher){.waiter = &waiter};
    tri_list_append(&ref->waiters, &watcher.link);
    err =
        tri_waiter_wait(process, &waiter, has_ended, ref, until_ns, &ref->entry.id, in_execution ? 1 : 0, false, error);
    tri_list_remove(&watcher.link);
    tri_waiter_fini(&waiter);
    return err;
}

/* With the lock: what an ended reference gives. */
static trp_err
take(struct tri_handle *handle, trp_value *value, trp_error *error)
{
    if (handle->ref.state == TRI_REF_FAILED)
        return tri_ref_failure(&handle->ref, error);
    if (value == NULL)
        return TRP_OK;
    if (handle->ref.is_actor) {
        *value = trp_actor_value((trp_actor *)(void *)handle);
        return TRP_OK;
    }
    TRP_TRY(tri_handle_open(handle, error));
    *value = tri_view_value(&handle->ref.held->view, 0);
    handle->gets++;
    return TRP_OK;
}

/* A wait that ended before its time is one of a method whose deadline has passed, or which has given way. */
static void
say_how_long(const struct tri_process *process, int64_t timeout_ms, char *text, size_t size)
{
    struct tri_inherited inherited = {.deadline_ns = TRI_NEVER};

    if (tri_current_execution != NULL)
        tri_execution_inherited(tri_current_execution, &inherited);
    if (inherited.deadline_ns != TRI_NEVER && tri_now_ns() >= inherited.deadline_ns)
        (void)tri_text_copy(text, size, "before the deadline of the method that waits");
    else if (process->gave_way)
        (void)tri_text_copy(text, size, "before who waits for this call had waited long enough: they have one thread");
    else
        (void)snprintf(text, size, "within %lld ms", (long long)timeout_ms);
}

/* The name, else class, that a handle here has for it; else its id. `text`: room for the id. */
static const char *
name_actor(struct tri_process *process, struct tri_id id, char *text)
{
    struct tri_ref *ref = tri_proc_find(process->proc, id);
    const struct tri_handle_more *more = ref == NULL ? NULL : ((struct tri_handle *)(void *)ref)->more;
    const bool named = more != NULL && more->name[0] != '\0';

    if (ref != NULL)
        tri_proc_release(ref); /* that of the look-up */
    return named ? more->name : tri_id_format(id, text);
}

/* Nothing was waited for with a timeout of 0, and who polls looks often: that has no more than the code. */
static trp_err
out_of_time(struct tri_process *process, const struct tri_ref *ref, int64_t timeout_ms, trp_error *error)
{
    struct tri_id target = {0, 0};
    char how_long[96], id[TRI_ID_TEXT_SIZE];
    const char *method, *actor = "";

    if (error == NULL)
        return TRP_ETIMEDOUT;
    if (timeout_ms != 0) {
        method = tri_proc_method(ref, &target);
        say_how_long(process, timeout_ms, how_long, sizeof how_long);
        if (method == NULL)
            (void)TRI_FAIL(error, TRP_ETIMEDOUT, "reference %s has no result %s", tri_id_format(ref->entry.id, id),
                           how_long);
        else if (tri_id_is_none(target))
            (void)TRI_FAIL(error, TRP_ETIMEDOUT, "task %s has no result %s", method, how_long);
        else
            (void)TRI_FAIL(error, TRP_ETIMEDOUT, "%s() of actor '%s' has no result %s", method,
                           actor = name_actor(process, target, id), how_long);
        (void)tri_text_copy(error->actor, sizeof error->actor, actor);
        (void)tri_text_copy(error->method, sizeof error->method, method != NULL ? method : "");
        (void)tri_text_copy(error->node, sizeof error->node, process->node);
    }
    error->ran = tri_proc_ran(ref);
    return TRP_ETIMEDOUT;
}

/* A reference of a runtime that is shut down may be of a call that runs, or has run. */
static trp_err
enter(const trp_ref *ref, const char *what, struct tri_process **process, trp_error *error)
{
    const trp_err err = tri_handle_enter(ref != NULL ? &ref->handle : NULL, what, process, error);

    if (err == TRP_ECLOSED && error != NULL)
        error->ran = ref->handle.ref.unrun ? TRP_NOT_RUN : TRP_MAY_HAVE_RUN;
    return err;
}

/* Where it lies in the arena it may have to be brought back first. */
static trp_err
pin(struct tri_process *process, struct tri_handle *handle, uint64_t until_ns, int64_t timeout_ms, trp_error *error)
{
    if (handle->ref.held != NULL && handle->ref.held->pinned)
        return TRP_OK;
    if (until_ns == 0 && !tri_pinned_is_there(handle))
        until_ns = tri_until_ns(timeout_ms);
    return tri_pinned_get(process, handle, until_ns, error);
}

static uint64_t
until_of(int64_t timeout_ms, const struct tri_ref *ref)
{
    return ref->state != TRI_REF_PENDING ? 0 : tri_until_ns(timeout_ms); /* what is here needs no clock */
}

trp_err
trp_get(trp_ref *ref, int64_t timeout_ms, trp_value *value, trp_error *error)
{
    struct tri_process *process = NULL;
    trp_err err;

    TRP_TRY(tri_check_timeout(timeout_ms, error));
    TRP_TRY(enter(ref, "ref", &process, error));
    const uint64_t until = until_of(timeout_ms, &ref->handle.ref);
    err = tri_ref_wait(process, &ref->handle, until, true, error);
    if (err == TRP_ETIMEDOUT)
        err = out_of_time(process, &ref->handle.ref, timeout_ms, error);
    else if (err == TRP_OK && value != NULL)
        err = pin(process, &ref->handle, until, timeout_ms, error);
    if (err == TRP_OK)
        err = take(&ref->handle, value, error);
    tri_pinned_look(process, &ref->handle);
    tri_process_unlock(process);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- many */

struct get_all {
    trp_ref *const *refs;
    size_t count, next; /* next: the first in order that has not ended */
    struct tri_watcher watcher;
};

/* All have ended, or one has failed and all before it have ended. */
static bool
all_have_ended(void *user)
{
    struct get_all *all = user;

    while (all->next < all->count) {
        struct tri_ref *ref = &all->refs[all->next]->handle.ref;
        if (ref->state == TRI_REF_FAILED)
            return true;
        if (ref->state == TRI_REF_PENDING) {
            tri_list_remove(&all->watcher.link);
            tri_list_append(&ref->waiters, &all->watcher.link);
            return false;
        }
        all->next++;
    }
    return true;
}

/* The ids of those that have not ended, for the broker's wait-for graph; only in an execution. */
static trp_err
pending_ids(trp_ref *const *refs, size_t count, struct tri_id **ids, uint32_t *id_count, trp_error *error)
{
    *ids = NULL;
    *id_count = 0;
    if (tri_current_execution == NULL)
        return TRP_OK;
    *ids = calloc(count, sizeof **ids);
    if (*ids == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to wait for %zu references", count);
    for (size_t i = 0; i < count; i++)
        if (refs[i]->handle.ref.state == TRI_REF_PENDING)
            (*ids)[(*id_count)++] = refs[i]->handle.ref.entry.id;
    return TRP_OK;
}

static trp_err
want_all(struct tri_process *process, trp_ref *const *refs, size_t count, trp_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (refs[i]->handle.ref.state == TRI_REF_PENDING)
            TRP_TRY(tri_proc_want(process->proc, &refs[i]->handle.ref, error));
    return TRP_OK;
}

static trp_err
wait_for_all(struct tri_process *process, trp_ref *const *refs, size_t count, uint64_t until_ns, int64_t timeout_ms,
             trp_error *error)
{
    struct get_all all = {.refs = refs, .count = count};
    struct tri_waiter waiter;
    struct tri_id *ids = NULL;
    uint32_t id_count = 0;
    trp_err err;

    tri_waiter_init(&waiter);
    all.watcher.waiter = &waiter;
    err = TRP_OK;
    if (!all_have_ended(&all)) {
        err = tri_process_alive(process, error);
        if (err == TRP_OK)
            err = want_all(process, refs, count, error);
        if (err == TRP_OK)
            err = pending_ids(refs, count, &ids, &id_count, error);
        if (err == TRP_OK)
            err = tri_waiter_wait(process, &waiter, all_have_ended, &all, until_ns, ids, id_count, false, error);
    }
    if (err == TRP_ETIMEDOUT)
        err = out_of_time(process, &refs[all.next]->handle.ref, timeout_ms, error);
    tri_list_remove(&all.watcher.link);
    tri_waiter_fini(&waiter);
    free(ids);
    return err;
}

static trp_err
check_refs(trp_ref *const *refs, size_t count, trp_error *error)
{
    if (refs == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "refs is NULL");
    if (count > UINT32_MAX)
        return TRI_FAIL(error, TRP_EINVAL, "count is %zu, more than can be waited for", count);
    for (size_t i = 0; i < count; i++)
        if (refs[i] == NULL)
            return TRI_FAIL(error, TRP_EINVAL, "refs[%zu] is NULL", i);
        else if (refs[i]->handle.process != refs[0]->handle.process)
            return TRI_FAIL(error, TRP_ECLOSED, "refs[%zu] is of another runtime than refs[0]", i);
    return TRP_OK;
}

/* Those that are not in the arena are asked for first, and each stays when it has come. */
static trp_err
open_all(struct tri_process *process, trp_ref *const *refs, size_t count, uint64_t until_ns, trp_error *error)
{
    trp_err err = TRP_OK;

    for (size_t i = 0; i < count; i++)
        refs[i]->handle.readers++;
    for (size_t i = 0; i < count && err == TRP_OK; i++)
        err = tri_pinned_want(process, &refs[i]->handle, until_ns, error);
    for (size_t i = 0; i < count && err == TRP_OK; i++)
        err = tri_pinned_get(process, &refs[i]->handle, until_ns, error);
    for (size_t i = 0; i < count && err == TRP_OK; i++)
        err = refs[i]->handle.ref.is_actor || refs[i]->handle.ref.state == TRI_REF_FAILED
                  ? TRP_OK
                  : tri_handle_open(&refs[i]->handle, error);
    for (size_t i = 0; i < count; i++)
        refs[i]->handle.readers--;
    return err;
}

trp_err
trp_get_all(trp_ref *const *refs, size_t count, int64_t timeout_ms, trp_value *values, trp_error *error)
{
    struct tri_process *process = NULL;
    trp_err err;

    TRP_TRY(tri_check_timeout(timeout_ms, error));
    if (count == 0)
        return TRP_OK;
    TRP_TRY(check_refs(refs, count, error));
    TRP_TRY(enter(refs[0], "refs", &process, error));
    const uint64_t until = tri_until_ns(timeout_ms);
    err = wait_for_all(process, refs, count, until, timeout_ms, error);
    for (size_t i = 0; i < count && err == TRP_OK; i++) /* first all, so that values are written on success only */
        err = take(&refs[i]->handle, NULL, error);
    if (err == TRP_OK && values != NULL)
        err = open_all(process, refs, count, until, error);
    for (size_t i = 0; i < count && err == TRP_OK && values != NULL; i++)
        err = take(&refs[i]->handle, &values[i], error);
    for (size_t i = 0; i < count && values != NULL; i++)
        tri_pinned_look(process, &refs[i]->handle);
    tri_process_unlock(process);
    return err;
}

void
trp_unpin(trp_ref *ref)
{
    struct tri_process *process = NULL;

    if (tri_handle_enter(ref != NULL ? &ref->handle : NULL, "ref", &process, NULL) != TRP_OK)
        return;
    if (ref->handle.gets > 0)
        ref->handle.gets--;
    tri_pinned_look(process, &ref->handle);
    tri_process_unlock(process);
}

static trp_err
check_twice(struct tri_process *process, trp_ref *const *refs, size_t count, trp_error *error)
{
    const uint64_t mark = ++process->marks;

    for (size_t i = 0; i < count; i++) {
        if (refs[i]->handle.mark == mark)
            return TRI_FAIL(error, TRP_EINVAL, "refs[%zu] is there twice", i);
        refs[i]->handle.mark = mark;
    }
    return TRP_OK;
}

static bool
enough_have_ended(void *user)
{
    const struct tri_waiter *waiter = user;

    return waiter->ended >= waiter->needed;
}

static void
watch_pending(struct tri_waiter *waiter, struct tri_watcher *watchers, trp_ref *const *refs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        watchers[i].waiter = waiter;
        tri_list_init(&watchers[i].link);
        if (refs[i]->handle.ref.state == TRI_REF_PENDING)
            tri_list_append(&refs[i]->handle.ref.waiters, &watchers[i].link);
    }
}

/* Some have not ended: registers once at each of them. */
static trp_err
wait_for_some(struct tri_process *process, trp_ref *const *refs, size_t count, size_t ended, size_t needed,
              int64_t timeout_ms, trp_error *error)
{
    struct tri_watcher *watchers;
    struct tri_waiter waiter;
    struct tri_id *ids = NULL;
    uint32_t id_count = 0;
    trp_err err;

    TRP_TRY(tri_process_alive(process, error));
    TRP_TRY(want_all(process, refs, count, error));
    watchers = malloc(count * sizeof *watchers);
    if (watchers == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to wait for %zu references", count);
    tri_waiter_init(&waiter);
    waiter.ended = ended;
    waiter.needed = needed;
    watch_pending(&waiter, watchers, refs, count);
    err = pending_ids(refs, count, &ids, &id_count, error);
    if (err == TRP_OK)
        err = tri_waiter_wait(process, &waiter, enough_have_ended, &waiter, tri_until_ns(timeout_ms), ids, id_count,
                              true, error);
    for (size_t i = 0; i < count; i++)
        tri_list_remove(&watchers[i].link);
    tri_waiter_fini(&waiter);
    free(ids);
    free(watchers);
    return err == TRP_ETIMEDOUT ? TRP_OK : err;
}

static size_t
count_ended(trp_ref *const *refs, size_t count)
{
    size_t ended = 0;

    for (size_t i = 0; i < count; i++)
        ended += refs[i]->handle.ref.state != TRI_REF_PENDING;
    return ended;
}

trp_err
trp_wait(trp_ref *const *refs, size_t count, size_t num_returns, int64_t timeout_ms, size_t *ready, size_t *ready_count,
         trp_error *error)
{
    struct tri_process *process = NULL;
    size_t ended, found = 0;
    trp_err err;

    if (ready == NULL || ready_count == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "%s is NULL", ready == NULL ? "ready" : "ready_count");
    TRP_TRY(tri_check_timeout(timeout_ms, error));
    if (count == 0) {
        *ready_count = 0;
        return TRP_OK;
    }
    if (num_returns == 0 || num_returns > count)
        return TRI_FAIL(error, TRP_EINVAL, "num_returns is %zu; it has to be 1 to %zu, the number of references",
                        num_returns, count);
    TRP_TRY(check_refs(refs, count, error));
    TRP_TRY(tri_handle_enter(&refs[0]->handle, "refs", &process, error));
    err = check_twice(process, refs, count, error);
    ended = count_ended(refs, count);
    if (err == TRP_OK && ended < num_returns)
        err = wait_for_some(process, refs, count, ended, num_returns, timeout_ms, error);
    if (err == TRP_OK) {
        for (size_t i = 0; i < count && found < num_returns; i++)
            if (refs[i]->handle.ref.state != TRI_REF_PENDING)
                ready[found++] = i;
        *ready_count = found;
    }
    tri_process_unlock(process);
    return err;
}

/* ----------------------------------------------------------------------------------------------------------- others */

/* Whoever packs into process->packed with room from the arena must not wait meanwhile: others pack there, too. So the first try says
 * how much is wanted (TRP_EAGAIN), and the second one finds it. */
struct room {
    struct tri_process *process;
    struct tri_buf *buf; /* that was waited for */
    uint64_t wanted;     /* bytes */
    bool travels;        /* there is none to be had */
};

static trp_err
take_room(void *user, uint64_t size, struct tri_buf **buf, trp_error *error)
{
    struct room *room = user;

    (void)error;
    if (room->travels || room->process->store == NULL)
        return TRP_OK;
    if (room->buf == NULL || room->buf->size != size) {
        room->wanted = size;
        return TRP_EAGAIN;
    }
    *buf = room->buf;
    room->buf = NULL;
    return TRP_OK;
}

trp_err
tri_pack_with_room(struct tri_process *process, trp_value value, struct tri_blanks *blanks, trp_error *error)
{
    struct room room = {.process = process};
    const struct tri_rooms rooms = {take_room, &room};
    trp_err err;

    do {
        process->packed.rooms = &rooms;
        process->packed.blanks = blanks;
        err = tri_value_pack(&process->packed, value, &tri_process_handles, NULL, error);
        process->packed.rooms = NULL;
        process->packed.blanks = NULL;
        if (err != TRP_OK && blanks != NULL)
            tri_blanks_undo(blanks);
        if (err != TRP_EAGAIN)
            break;
        tri_buf_release(&room.buf);
        err = tri_stored_take(process, room.wanted, &room.buf, error);
        room.travels = room.buf == NULL;
    } while (err == TRP_OK);
    tri_buf_release(&room.buf);
    return err;
}

trp_err
tri_put(struct tri_process *process, trp_runtime *runtime, trp_value value, trp_ref **ref, trp_error *error)
{
    struct tri_ref *made = NULL;

    TRP_TRY(tri_process_alive(process, error));
    TRP_TRY(tri_pack_with_room(process, value, NULL, error));
    const bool is_stored = tri_section_place(&process->packed.section) != NULL;
    if (is_stored) {
        tri_store_written(process->packed.buf);
        process->packed.section.data = process->packed.buf->data;
    }
    trp_err err = tri_proc_put(process->proc, &process->packed, &made, error);
    tri_packed_forget(&process->packed);
    if (err == TRP_OK && is_stored)
        err = tri_proc_publish_soon(process->proc, made,
                                    error); /* what lives so short that it is not said has its room back */
    if (err != TRP_OK && made != NULL)
        tri_proc_release(made);
    if (err == TRP_OK)
        *ref = tri_handle_give(process, runtime, made);
    return err;
}

trp_err
trp_cancel(trp_ref *ref, unsigned flags, trp_error *error)
{
    struct tri_process *process = NULL;
    trp_err err = TRP_OK;

    if (flags != 0)
        return TRI_FAIL(error, TRP_EINVAL, "flags is 0x%x; it stays 0 in this release", flags);
    TRP_TRY(enter(ref, "ref", &process, error));
    if (ref->handle.ref.state == TRI_REF_PENDING)
        err = tri_process_alive(process, error);
    if (err == TRP_OK)
        err = tri_proc_cancel(process->proc, &ref->handle.ref, tri_now_ns(), error);
    if (err == TRP_OK && process->local != NULL) {
        tri_proc_round(process->proc, tri_now_ns()); /* before anything else is run */
        tri_local_cancel(process->local, ref->handle.ref.entry.id);
        tri_waiters_poke(process, true);
    } else if (err == TRP_OK) {
        tri_process_flush(process);
        tri_waiters_poke(process, false); /* there may be room for further calls */
    }
    tri_process_unlock(process);
    return err;
}

trp_err
trp_put(trp_runtime *runtime, trp_value value, trp_ref **ref, trp_error *error)
{
    struct tri_process *process = NULL;
    trp_err err;

    if (ref == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "ref is NULL");
    TRP_TRY(tri_runtime_enter(runtime, &process, error));
    err = tri_put(process, runtime, value, ref, error);
    tri_process_unlock(process);
    return err;
}

trp_location
trp_ref_location(const trp_ref *ref)
{
    struct tri_process *process = NULL;
    trp_location location = TRP_PENDING;

    if (tri_handle_enter(ref != NULL ? &ref->handle : NULL, "ref", &process, NULL) != TRP_OK)
        return TRP_PENDING;
    if (ref->handle.ref.state == TRI_REF_FAILED)
        location = TRP_FAILED;
    else if (ref->handle.ref.state == TRI_REF_READY)
        location = tri_section_place(tri_ref_value(&ref->handle.ref)) == NULL ? TRP_INLINE
                   : tri_pinned_is_there(&ref->handle)                        ? TRP_SHM
                                                                              : TRP_SPILLED;
    tri_process_unlock(process);
    return location;
}
