/*
 * callbacks.c - trp_on_ready, trp_runtime_process, trp_runtime_fd: results for foreign event loops; and an alarm. Callbacks never run
 * inside of the function that made them due, but by trp_runtime_process, a host between two methods, or trp_shutdown.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "actors/checks.h"
#include "actors/invoke.h"
#include "actors/process.h"

#define ALARM_AGAIN_NS TRI_NS_PER_S /* unless the method sets another */

/* Keeps the descriptor readable exactly while something is due. */
static void
tell(struct tri_process *process)
{
    const bool due = !tri_list_empty(&process->due);
    const uint64_t one = 1;
    uint64_t count;

    if (process->due_fd < 0 || due == process->due_told)
        return;
    process->due_told = due;
    if (due)
        (void)!write(process->due_fd, &one, sizeof one); /* a counter of 1 is never full */
    else
        (void)!read(process->due_fd, &count, sizeof count);
}

/* NULL: of all. */
static void
make_due(struct tri_process *process, struct tri_handle *handle, const trp_runtime *runtime)
{
    struct tri_node *node, *next;

    for (node = handle->more->callbacks.next; node != &handle->more->callbacks; node = next) {
        next = node->next;
        if (runtime != NULL && TRI_OWNER(node, struct tri_callback, link)->runtime != runtime)
            continue;
        tri_list_remove(node);
        tri_list_append(&process->due, node);
        process->callbacks--;
    }
}

void
tri_callbacks_ready(struct tri_process *process, struct tri_handle *handle)
{
    if (handle->more != NULL)
        make_due(process, handle, NULL);
    tell(process);
}

static struct tri_callback *
first_due(struct tri_process *process, const trp_runtime *runtime)
{
    struct tri_node *node;

    for (node = process->due.next; node != &process->due; node = node->next) {
        struct tri_callback *callback = TRI_OWNER(node, struct tri_callback, link);
        if (runtime == NULL || callback->runtime == runtime)
            return callback;
    }
    return NULL;
}

bool
tri_process_callback_due(struct tri_process *process, const trp_runtime *runtime)
{
    return first_due(process, runtime) != NULL;
}

bool
tri_process_run_callback(struct tri_process *process, const trp_runtime *runtime)
{
    struct tri_callback *callback = first_due(process, runtime);

    if (callback == NULL)
        return false;
    tri_list_remove(&callback->link);
    tell(process);
    tri_process_unlock(process);
    callback->on_ready((trp_ref *)(void *)callback->handle, callback->user);
    tri_process_lock(process);
    tri_handle_drop(process, callback->handle);
    free(callback);
    return true;
}

void
tri_callbacks_end(struct tri_process *process, trp_runtime *runtime)
{
    for (struct tri_slab *slab = process->slabs; slab != NULL && process->callbacks > 0; slab = slab->next)
        for (size_t i = 0; i < slab->used; i++) {
            struct tri_handle *handle = &slab->handles[i];
            if (handle->live && handle->more != NULL)
                make_due(process, handle, runtime); /* it will not end any more */
        }
    tell(process);
    while (tri_process_run_callback(process, runtime)) {
    }
}

/* ------------------------------------------------------------------------------------------------------------ the alarm */

void
tri_process_alarm(struct tri_process *process, uint64_t at_ns, trp_actor *actor, const char *method)
{
    tri_process_lock(process);
    process->alarm_ns = at_ns;
    process->alarm_actor = actor;
    process->alarm_method = method;
    tri_process_unlock(process);
}

uint64_t
tri_process_alarm_ns(const struct tri_process *process)
{
    return process->alarm_ns;
}

bool
tri_process_ring(struct tri_process *process)
{
    const uint64_t now_ns = process->alarm_ns != TRI_NEVER ? tri_now_ns() : 0;
    trp_request request = {.flags = TRP_ONE_WAY | TRP_NOWAIT};
    trp_error error;

    if (now_ns < process->alarm_ns)
        return false;
    process->alarm_ns = now_ns + ALARM_AGAIN_NS;
    request.actor = process->alarm_actor;
    request.method = process->alarm_method;
    tri_process_unlock(process);
    if (trp_submit(request.actor->handle.runtime, &request, NULL, &error) != TRP_OK)
        tri_log(TRI_WARNING, "%s() waits a second: %s", request.method, error.message);
    tri_process_lock(process);
    return true;
}

/* ------------------------------------------------------------------------------------------------------- for everybody */

trp_err
trp_on_ready(trp_ref *ref, trp_on_ready_fn *on_ready, void *user, trp_error *error)
{
    struct tri_process *process = NULL;
    struct tri_callback *callback;
    trp_err err = TRP_OK;

    if (on_ready == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "on_ready is NULL");
    callback = calloc(1, sizeof *callback);
    if (callback == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a callback");
    err = tri_handle_enter(ref != NULL ? &ref->handle : NULL, "ref", &process, error);
    if (err != TRP_OK) {
        free(callback);
        return err;
    }
    if (tri_handle_more(&ref->handle) == NULL)
        err = TRI_FAIL(error, TRP_ENOMEM, "no memory for a callback");
    *callback = (struct tri_callback){.handle = &ref->handle,
                                      .runtime = tri_current_execution != NULL ? tri_current_execution->ctx.runtime
                                                                               : ref->handle.runtime,
                                      .on_ready = on_ready,
                                      .user = user};
    if (err == TRP_OK && ref->handle.ref.state == TRI_REF_PENDING)
        err = tri_proc_want(process->proc, &ref->handle.ref, error);
    if (err == TRP_OK) {
        tri_proc_retain(&ref->handle.ref); /* until it has run */
        ref->handle.given++;
        tri_list_append(&ref->handle.more->callbacks, &callback->link);
        process->callbacks++;
        if (ref->handle.ref.state != TRI_REF_PENDING)
            tri_callbacks_ready(process, &ref->handle);
        else if (process->poller == NULL)
            tri_keeper_ring(process); /* somebody has to look for results from now on */
        tri_waiters_poke(process, false);
    } else {
        free(callback);
    }
    tri_process_unlock(process);
    return err;
}

struct due_wait {
    struct tri_process *process;
    const trp_runtime *runtime;
};

static bool
is_due(void *user)
{
    const struct due_wait *wait = user;

    return first_due(wait->process, wait->runtime) != NULL;
}

trp_err
trp_runtime_process(trp_runtime *runtime, int64_t timeout_ms, trp_error *error)
{
    struct due_wait wait = {.runtime = runtime};
    struct tri_process *process = NULL;
    const uint64_t until_ns = tri_until_ns(timeout_ms);
    size_t left = 0;
    trp_err err;

    TRP_TRY(tri_check_timeout(timeout_ms, error));
    TRP_TRY(tri_runtime_enter(runtime, &process, error));
    wait.process = process;
    if (tri_current_execution != NULL)
        err = TRI_FAIL(error, TRP_EINVAL, "a method does not run callbacks: they run between methods");
    else
        err = tri_process_wait(process, is_due, &wait, until_ns, NULL, 0, false, error);
    if (err == TRP_OK) { /* those that are due now; what they make due themselves waits for the next time */
        struct tri_node *node;
        for (node = process->due.next; node != &process->due; node = node->next)
            left++;
        while (left-- > 0 && tri_process_run_callback(process, runtime)) {
        }
    }
    tri_process_unlock(process);
    return err;
}

int
trp_runtime_fd(trp_runtime *runtime)
{
    struct tri_process *process = NULL;
    int fd;

    if (tri_current_execution != NULL || tri_runtime_enter(runtime, &process, NULL) != TRP_OK)
        return -1;
    if (process->due_fd < 0)
        process->due_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    tell(process);
    fd = process->due_fd;
    tri_process_unlock(process);
    return fd;
}
