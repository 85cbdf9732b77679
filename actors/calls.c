/*
 * calls.c - calls of actors and tasks: trp_call, trp_send, trp_task, trp_submit. Any thread. It knows how a call is
 * packed and when it is sent at once; what becomes of it is the proc's.
 */
#include <stdlib.h>

#include "actors/checks.h"
#include "actors/large.h"
#include "actors/process.h"
#include "actors/submit.h"
#include "actors/trace.h"

/* ------------------------------------------------------------------------------------------------ for every envelope */

static bool
has_room(void *user)
{
    const struct tri_process *process = user;

    return process->state >= TRI_DEAD || tri_proc_room(process->proc);
}

/* With nothing outstanding it goes at once; else with others, when they fill a batch, or soon by the keeper. */
static void
send_soon(struct tri_process *process, bool lone)
{
    if (process->local != NULL)
        return;
    if (lone)
        tri_process_flush(process);
    else if (process->channel.full_count > 0) {
        tri_process_flush_full(process);
        (void)tri_process_receive(process); /* acknowledgements and credit, in the same breath */
    }
}

/* What a cancelled call sends one way may put right what it leaves behind. */
static trp_err
refuse_child(trp_error *error)
{
    (void)TRI_FAIL(error, TRP_ECANCELLED, "the call that makes this one was cancelled, so it calls nothing more");
    if (error != NULL)
        error->ran = TRP_NOT_RUN;
    return TRP_ECANCELLED;
}

trp_err
tri_submit(struct tri_process *process, struct tri_submit *submit, bool nowait, struct tri_ref **ref, trp_error *error)
{
    const char *trace = process->trace_directory;
    struct tri_trace_mark mark;
    const bool lone = tri_proc_is_lone(process->proc);
    bool queued = false;

    TRP_TRY(tri_process_alive(process, error));
    if (tri_current_execution != NULL) {
        struct tri_inherited inherited = {.deadline_ns = TRI_NEVER};
        tri_execution_inherited(tri_current_execution, &inherited);
        submit->parent = inherited.parent;
        trace = inherited.trace;
        if (inherited.cancelled && submit->kind == TRI_CALL && ref != NULL)
            return refuse_child(error);
        if (inherited.deadline_ns < submit->deadline_ns)
            submit->deadline_ns = inherited.deadline_ns;
    }
    if (submit->deadline_ns != TRI_NEVER || lone)
        process->now_ns = tri_now_ns();
    if (trace != NULL && submit->kind == TRI_CALL)
        submit->trace = tri_trace_submitted(trace, &mark);
    TRP_TRY(tri_proc_submit(process->proc, submit, nowait, process->now_ns, ref, &queued, error));
    send_soon(process, lone);
    if (submit->deadline_ns != TRI_NEVER)
        tri_keeper_timer(process);
    if (queued && process->local == NULL) /* it is taken; who made it waits here, so that queues stay short */
        (void)tri_process_wait(process, has_room, process, submit->deadline_ns, NULL, 0, false, NULL);
    return TRP_OK;
}

/* --------------------------------------------------------------------------------------------------------- requests */

static bool
is_set(trp_value value)
{
    return value.kind != TRP_NULL;
}

static trp_err
check_call(const trp_request *request, trp_error *error)
{
    if (request->num_cpus != 0 || request->num_gpus != 0 || request->memory_bytes != 0 || is_set(request->resources) ||
        is_set(request->env) || request->node != NULL)
        return TRI_FAIL(error, TRP_EINVAL,
                        "a call takes no resources, environment or node: its actor has them since trp_spawn");
    if (request->max_retries != 0)
        return TRI_FAIL(error, TRP_ENOTSUP,
                        "max_retries of a call: actors are not restarted, so it would have no "
                        "effect; it is for tasks");
    return TRP_OK;
}

/* What every call has. */
static inline trp_err
check_basics(const char *method, trp_value args, trp_error *error)
{
    if (method == NULL || method[0] == '\0')
        return TRI_FAIL(error, TRP_EINVAL, "method is %s", method == NULL ? "NULL" : "empty");
    if (strlen(method) > TRI_NAME_MAX)
        return TRI_FAIL(error, TRP_EINVAL, "method has %zu bytes, at most %d are allowed", strlen(method),
                        TRI_NAME_MAX);
    if (args.kind != TRP_ARGS && args.kind != TRP_NULL)
        return TRI_FAIL(error, TRP_EINVAL, "args is neither TRP_ARGS(...) nor TRP_NOARGS");
    return TRP_OK;
}

static trp_err
check_request(const trp_request *request, trp_ref *const *ref, trp_error *error)
{
    if (request == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "request is NULL");
    TRP_TRY(check_basics(request->method, request->args, error));
    if ((request->flags & ~(TRP_NOWAIT | TRP_ONE_WAY | TRP_NO_RETRY)) != 0)
        return TRI_FAIL(error, TRP_EINVAL, "flags has bits that mean nothing: 0x%x", request->flags);
    if (ref == NULL && (request->flags & TRP_ONE_WAY) == 0)
        return TRI_FAIL(error, TRP_EINVAL, "ref is NULL");
    TRP_TRY(tri_check_time("deadline_ms", request->deadline_ms, error));
    TRP_TRY(tri_check_reserved("request", request->reserved, 8, error));
    return request->actor != NULL ? check_call(request, error) : TRP_OK;
}

static uint16_t
route_flags(const trp_request *request)
{
    return (uint16_t)((request->flags & TRP_ONE_WAY ? TRI_ONE_WAY : 0) |
                      (request->flags & TRP_NO_RETRY ? TRI_NO_RETRY : 0) | (request->actor == NULL ? TRI_TASK : 0));
}

static trp_err
pack_task(struct tri_process *process, const trp_request *request, trp_error *error)
{
    struct tri_spawn_scratch scratch;
    struct tri_needs needs = {.num_cpus = request->num_cpus,
                              .num_gpus = request->num_gpus,
                              .memory_bytes = request->memory_bytes,
                              .max_retries = request->max_retries,
                              .resources = scratch.resources};
    const bool plain = request->num_cpus == 0 && request->num_gpus == 0 && request->memory_bytes == 0 &&
                       request->max_retries == 0 && !is_set(request->resources);

    TRP_TRY(tri_check_path("method", request->method, "module:function", error));
    if (request->max_retries < -1)
        return TRI_FAIL(error, TRP_EINVAL, "max_retries is %d; -1 stands for always", request->max_retries);
    if (is_set(request->env))
        return TRI_FAIL(error, TRP_ENOTSUP, "a task runs in a worker that is there already: env is for actors");
    TRP_TRY(tri_check_node(process, request->node, error));
    TRP_TRY(tri_resources_of(request->resources, scratch.resources, &needs.resource_count, error));
    TRP_TRY(tri_check_amounts(process, request->num_cpus, request->num_gpus, error));
    return tri_task_pack(&process->packed, request->method, request->args, plain ? NULL : &needs, &tri_process_handles,
                         error);
}

/* With the lock: of an actor. */
static inline trp_err
pack_call(struct tri_process *process, const trp_actor *actor, trp_value args, struct tri_submit *submit,
          trp_error *error)
{
    const struct tri_handle_more *more = actor->handle.more;

    submit->target = actor->handle.ref.entry.id;
    submit->actor = more != NULL && more->name[0] != '\0' ? more->name : NULL;
    TRP_TRY(tri_call_pack(&process->packed, submit->method, args, &tri_process_handles, error));
    submit->body = process->packed.section;
    return TRP_OK;
}

/* With the lock. */
static trp_err
submit_request(struct tri_process *process, trp_runtime *runtime, const trp_request *request, trp_ref **ref,
               trp_error *error)
{
    const bool one_way = (request->flags & TRP_ONE_WAY) != 0;
    struct tri_submit submit = {
        .kind = TRI_CALL,
        .flags = route_flags(request),
        .deadline_ns = request->deadline_ms > 0 ? tri_until_ns(request->deadline_ms) : TRI_NEVER,
        .method = request->method,
    };
    struct tri_ref *made = NULL;

    if (request->actor != NULL) {
        TRP_TRY(pack_call(process, request->actor, request->args, &submit, error));
    } else {
        TRP_TRY(pack_task(process, request, error));
        submit.body = process->packed.section;
    }
    TRP_TRY(tri_submit(process, &submit, (request->flags & TRP_NOWAIT) != 0, one_way ? NULL : &made, error));
    if (!one_way)
        *ref = tri_handle_give(process, runtime, made);
    return TRP_OK;
}

/* The usual call: without what a request may say besides. `ref` NULL: one-way. */
static trp_err
call_actor(trp_actor *actor, const char *method, trp_value args, trp_ref **ref, trp_error *error)
{
    struct tri_submit submit = {.kind = TRI_CALL, .deadline_ns = TRI_NEVER, .method = method};
    struct tri_process *process = NULL;
    struct tri_large large = {0};
    struct tri_ref *made = NULL;
    trp_err err;

    TRP_TRY(tri_handle_enter(actor != NULL ? &actor->handle : NULL, "actor", &process, error));
    err = check_basics(method, args, error);
    if (err == TRP_OK)
        err = tri_large_args(process, actor->handle.runtime, &args, &large, error);
    if (err == TRP_OK)
        err = pack_call(process, actor, args, &submit, error);
    if (err == TRP_OK)
        err = tri_submit(process, &submit, false, ref == NULL ? NULL : &made, error);
    if (err == TRP_OK && ref != NULL)
        *ref = tri_handle_give(process, actor->handle.runtime, made);
    tri_large_end(process, &large);
    tri_process_unlock(process);
    return err;
}

trp_err
trp_call(trp_actor *actor, const char *method, trp_value args, trp_ref **ref, trp_error *error)
{
    if (ref == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "ref is NULL");
    return call_actor(actor, method, args, ref, error);
}

trp_err
trp_send(trp_actor *actor, const char *method, trp_value args, trp_error *error)
{
    return call_actor(actor, method, args, NULL, error);
}

trp_err
trp_submit(trp_runtime *runtime, const trp_request *request, trp_ref **ref, trp_error *error)
{
    struct tri_process *process = NULL;
    struct tri_large large = {0};
    trp_request named;
    trp_err err;

    TRP_TRY(tri_runtime_enter(runtime, &process, error));
    err = check_request(request, ref, error);
    if (err == TRP_OK && request->actor != NULL && request->actor->handle.process != process)
        err = TRI_FAIL(error, TRP_ECLOSED, "the actor is of a runtime that is shut down");
    if (err == TRP_OK) {
        named = *request;
        err = tri_large_args(process, runtime, &named.args, &large, error);
    }
    if (err == TRP_OK)
        err = submit_request(process, runtime, &named, ref, error);
    tri_large_end(process, &large);
    tri_process_unlock(process);
    return err;
}

trp_err
trp_task(trp_runtime *runtime, const char *function, trp_value args, trp_ref **ref, trp_error *error)
{
    const trp_request request = {.method = function, .args = args};

    return trp_submit(runtime, &request, ref, error);
}
