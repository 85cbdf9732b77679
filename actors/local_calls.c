/*
 * local_calls.c - calls in local mode: which may start, running one on this thread, and delivering what came of it. With the
 * process's lock, dropped while a function runs. It knows nothing of names and watches.
 */
#include <stdio.h>
#include <stdlib.h>

#include "actors/local.h"

/* ---------------------------------------------------------------------------------------------------------- arrival */

bool
tri_local_new_call(struct tri_local *local, struct tri_local_message *message, struct tri_local_actor *actor,
                   bool constructs)
{
    struct tri_local_call *call = calloc(1, sizeof *call);
    const uint64_t left_us = message->letter->route.deadline_us;

    if (call == NULL) {
        local->process->no_memory = true;
        return false;
    }
    call->letter = message->letter;
    message->letter = NULL;
    call->actor = actor;
    call->caller = message->caller;
    call->constructs = constructs;
    call->deadline_ns = left_us > 0 && !constructs ? tri_now_ns() + left_us * 1000 : TRI_NEVER;
    call->execution.ops = &local->ops;
    call->execution.owner = call;
    call->execution.deadline_ns = call->deadline_ns;
    call->execution.cancelled = &call->cancelled;
    call->execution.actor = actor == NULL ? "" : actor->name[0] != '\0' ? actor->name : actor->class_name;
    call->execution.id = call->letter->route.result;
    call->execution.ctx.runtime = actor != NULL ? &actor->runtime : &local->runtime;
    call->execution.ctx.actor = actor != NULL ? &actor->handle : NULL;
    call->execution.ctx.place = actor != NULL ? &actor->place : &local->place;
    tri_list_append(&local->calls, &call->link);
    if (actor != NULL)
        actor->queued++;
    return true;
}

void
tri_local_on_call(struct tri_local *local, struct tri_local_message *message)
{
    const struct tri_route *route = &message->letter->route;
    struct tri_local_actor *actor = NULL;
    struct tri_failure failure = {0};

    if ((route->flags & TRI_TASK) == 0) {
        actor = tri_local_find(local, route->target);
        if (actor == NULL || actor->state >= TRI_LOCAL_FAILED || actor->draining) {
            tri_local_refuse(actor, message->letter, &failure);
            tri_local_fail(local, route->result, &failure);
            return;
        }
        if (actor->max_pending > 0 && actor->queued >= actor->max_pending) {
            char who[TRI_NAME_MAX + 64], why[TRI_NAME_MAX + 128];
            const struct tri_about about = tri_local_about(actor, message->letter, true, who, sizeof who);
            (void)snprintf(why, sizeof why, "%s has %u calls waiting, its limit", who, actor->max_pending);
            tri_about_refused(&failure.error, TRP_EAGAIN, &about, why);
            tri_local_fail(local, route->result, &failure);
            return;
        }
    }
    (void)tri_local_new_call(local, message, actor, false);
}

/* Frees it; it is out of the actor's count. */
TRI_APART void
tri_local_end_call(struct tri_local *local, struct tri_local_call *call)
{
    tri_list_remove(&call->link);
    if (local->process->proc != NULL) {
        tri_arguments_close(&call->arguments, local->process);
        tri_local_unhold(local, call->letter->sections, call->letter->section_count);
    }
    tri_execution_fini(&call->execution);
    tri_letter_free(&call->letter);
    free(call->fault);
    free(call);
}

void
tri_local_answer(struct tri_local *local, struct tri_local_call *call, const struct tri_section *section, bool failed)
{
    if (call->answered)
        return;
    call->answered = true;
    tri_local_result(local, call->letter->route.result, section, failed);
}

void
tri_local_fail_call(struct tri_local *local, struct tri_local_call *call, const struct tri_failure *failure)
{
    if (call->answered)
        return;
    call->answered = true;
    tri_local_fail(local, call->letter->route.result, failure);
}

/* Not started, and never will be. */
static void
drop_call(struct tri_local *local, struct tri_local_call *call)
{
    if (call->actor != NULL)
        call->actor->queued--;
    tri_local_end_call(local, call);
}

/* Not started: nobody waits for it any more, or somebody is told that it was cancelled. */
static void
drop_cancelled(struct tri_local *local, struct tri_local_call *call, bool asked)
{
    struct tri_failure failure = {0};
    char who[TRI_NAME_MAX + 64];
    const struct tri_about about = tri_local_about(call->actor, call->letter, true, who, sizeof who);

    tri_about_refused(&failure.error, TRP_ECANCELLED, &about, "it was cancelled before it started");
    if (asked)
        tri_local_fail_call(local, call, &failure);
    drop_call(local, call);
}

static struct tri_local_call *
find_call(const struct tri_node *list, struct tri_id id)
{
    for (struct tri_node *node = list->next; node != list; node = node->next) {
        struct tri_local_call *call = TRI_OWNER(node, struct tri_local_call, link);
        if (tri_id_equal(call->letter->route.result, id) && !call->constructs)
            return call;
    }
    return NULL;
}

/* What runs on this call's behalf hears it now, too: its own message would be looked at when it has returned. */
static void
cancel_started(struct tri_local *local, const struct tri_node *list, struct tri_id parent)
{
    for (struct tri_node *node = list->next; node != list; node = node->next) {
        struct tri_local_call *call = TRI_OWNER(node, struct tri_local_call, link);
        if (tri_id_equal(call->letter->route.parent, parent) && call->cancelled != TRI_CANCELLED)
            tri_local_cancel(local, call->letter->route.result);
    }
}

void
tri_local_cancel(struct tri_local *local, struct tri_id id)
{
    struct tri_local_call *promised = find_call(&local->promised, id),
                          *call = promised != NULL ? promised : find_call(&local->started, id);

    if (call == NULL || tri_id_is_none(id))
        return;
    __atomic_store_n(&call->cancelled, TRI_CANCELLED, __ATOMIC_RELAXED);
    if (promised != NULL)
        tri_local_cancel_promise(local, promised);
    tri_proc_cancel_children(local->process->proc, id);
    tri_proc_round(local->process->proc, tri_now_ns()); /* before anything else is run */
    cancel_started(local, &local->started, id);
    cancel_started(local, &local->promised, id);
}

void
tri_local_on_cancel(struct tri_local *local, struct tri_local_message *message)
{
    const bool asked = (message->letter->route.flags & TRI_ASKED) != 0;
    const struct tri_id *ids = NULL;
    uint32_t count = 0;

    if (message->letter->section_count == 0 ||
        tri_ids_unpack(&message->letter->sections[0], &ids, &count, NULL) != TRP_OK)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct tri_local_call *call = find_call(&local->calls, ids[i]);
        if (call != NULL)
            drop_cancelled(local, call, asked);
        else if (asked)
            tri_local_cancel(local, ids[i]);
    }
}

void
tri_local_drop_calls(struct tri_local *local, struct tri_local_actor *actor)
{
    struct tri_node *node = local->calls.next;
    struct tri_failure failure;

    while (node != &local->calls) {
        struct tri_local_call *call = TRI_OWNER(node, struct tri_local_call, link);
        node = node->next;
        if (call->actor != actor)
            continue;
        if (!call->constructs) {
            tri_local_refuse(actor, call->letter, &failure);
            tri_local_fail_call(local, call, &failure);
        }
        drop_call(local, call);
    }
}

void
tri_local_drop_unstarted(struct tri_local *local)
{
    while (!tri_list_empty(&local->calls)) {
        struct tri_local_call *call = TRI_OWNER(local->calls.next, struct tri_local_call, link);
        tri_proc_unrun(local->process->proc, call->letter->route.result);
        drop_call(local, call);
    }
}

/* ------------------------------------------------------------------------------------------------------ dependencies */

enum tri_local_ready { PENDING, READY, BROKEN };
struct broken { /* the argument that failed */
    const struct tri_ref *ref;
    uint32_t place;
};

static bool
is_awaited(const struct tri_ref_entry *entry)
{
    return entry->place != TRI_NESTED && (entry->flags & TRI_REF_ACTOR) == 0;
}

/* Its arguments that are references: all here, or one failed (*broken), or one is to come. */
static enum tri_local_ready
look_at_dependencies(struct tri_local *local, const struct tri_local_call *call, struct broken *broken)
{
    const struct tri_section *body = &call->letter->sections[0];
    enum tri_local_ready ready = READY;

    for (uint32_t i = 0; i < body->ref_count; i++) {
        struct tri_ref *ref;
        if (!is_awaited(&body->refs[i]))
            continue;
        ref = tri_proc_find(local->process->proc, body->refs[i].id);
        if (ref == NULL)
            continue;
        tri_proc_release(ref); /* the call holds it anyway */
        if (ref->state == TRI_REF_FAILED) {
            *broken = (struct broken){ref, body->refs[i].place};
            return BROKEN;
        }
        if (ref->state == TRI_REF_PENDING)
            ready = PENDING;
    }
    return ready;
}

static trp_err
append_dependencies(struct tri_local *local, struct tri_local_call *call)
{
    const struct tri_section *body = &call->letter->sections[0];
    const uint32_t count = body->ref_count;

    for (uint32_t i = 0; i < count; i++) {
        const struct tri_ref_entry entry = call->letter->sections[0].refs[i];
        struct tri_ref *ref;
        if (!is_awaited(&entry) || (ref = tri_proc_find(local->process->proc, entry.id)) == NULL)
            continue;
        tri_proc_release(ref);
        tri_local_hold(local, tri_ref_value(ref), 1); /* the letter names what the value names, too */
        TRP_TRY(tri_letter_append(call->letter, tri_ref_value(ref), entry.place + 1));
    }
    return TRP_OK;
}

static TRI_APART void
fail_with_cause(struct tri_local *local, struct tri_local_call *call, const struct broken *broken)
{
    struct tri_failure chain[8], failure = {0};
    char who[TRI_NAME_MAX + 64];
    const struct tri_about about = tri_local_about(call->actor, call->letter, true, who, sizeof who);
    uint32_t count = 0;
    const bool known = tri_error_unpack(tri_ref_value(broken->ref), chain, &count, NULL) == TRP_OK && count > 0;

    tri_about_argument(&failure, &about, broken->place, known ? &chain[0] : NULL);
    tri_local_fail_call(local, call, &failure);
}

/* --------------------------------------------------------------------------------------------------------- running */

/* Without the lock: what the function is, its arguments, the function. */
static trp_err
run_call(struct tri_local *local, struct tri_local_call *call, trp_error *error)
{
    struct tri_execution *execution = &call->execution;
    const struct tri_letter *letter = call->letter;
    struct tri_call body;
    trp_err err;

    TRP_TRY(tri_call_unpack(&letter->sections[0], &body, error));
    if (call->actor != NULL)
        err = tri_modules_find_method(local->modules, call->actor->row, body.method, &execution->callable, error);
    else
        err = tri_modules_find_task(local->modules, body.method, &execution->callable, error);
    if (err != TRP_OK) {
        (void)tri_text_copy(error->method, sizeof error->method, body.method);
        execution->callable = NULL;
        tri_view_close(&body.args);
        return err;
    }
    TRP_TRY(tri_arguments_open(&call->arguments, local->process, execution->ctx.runtime, &body.args, letter->sections,
                               letter->section_count, &execution->memory, error));
    tri_invoke(execution, call->actor != NULL ? call->actor->self : NULL, call->arguments.positional,
               call->arguments.keywords);
    return TRP_OK;
}

/* A one-way call has nobody to tell. */
static TRI_APART void
log_failure(const struct tri_local_call *call)
{
    struct tri_failure chain[8];
    uint32_t count = 0;

    if (tri_error_unpack(call->execution.section, chain, &count, NULL) == TRP_OK && count > 0)
        tri_log(TRI_WARNING, "%s: nobody waits for it: %s", chain[0].error.method, chain[0].error.message);
}

/* With the lock: what came of it. true: it is answered and gone. */
static TRI_APART bool
settle(struct tri_local *local, struct tri_local_call *call)
{
    struct tri_execution *execution = &call->execution;
    struct trp_reply *reply = execution->reply;

    if (execution->deadline_ns != TRI_NEVER && tri_now_ns() >= execution->deadline_ns)
        tri_proc_tick(local->process->proc, tri_now_ns()); /* too late: its caller is told so, as through a broker */
    if (tri_execution_cancelled(execution) &&
        (execution->outcome == TRI_RAN_DEFERRED || execution->outcome == TRI_RAN_DELEGATED))
        tri_local_cancel_promise(local, call);
    if (execution->outcome == TRI_RAN_DEFERRED && reply->answered) {
        tri_local_answer(local, call, &reply->packed.section, reply->failed);
        local->open--;
        tri_reply_free(&execution->reply);
        return true;
    }
    if (execution->outcome == TRI_RAN_DEFERRED) {
        reply->owner = call;
        tri_list_append(&local->promised, &call->link);
        return false;
    }
    if (execution->outcome == TRI_RAN_DELEGATED) {
        call->delegate = execution->delegate;
        execution->delegate = NULL;
        tri_list_append(&local->promised, &call->link);
        return false;
    }
    tri_local_abandon(local, call); /* it deferred and then failed */
    if (execution->outcome == TRI_RAN_FAILURE && tri_id_is_none(call->letter->route.result))
        log_failure(call);
    tri_local_answer(local, call, execution->section, execution->outcome == TRI_RAN_FAILURE);
    return true;
}

/* Without the lock: its function, unless a test wants it to fail instead. */
static void
run_function(struct tri_local *local, struct tri_local_call *call)
{
    trp_error error;
    trp_err err;

    memset(&error, 0, sizeof error);
    err = tri_local_fault_before(call, &error);
    if (err == TRP_OK && call->constructs) {
        tri_local_construct(local, call);
    } else if (err == TRP_OK) {
        err = run_call(local, call, &error);
        error.ran = TRP_NOT_RUN;
    }
    if (err == TRP_OK)
        err = tri_local_fault_after(call, &error);
    if (err != TRP_OK)
        tri_execution_refuse(&call->execution, &error);
}

/* Its thread is the user's own, in the middle of a wait that it never comes back to: there is nobody to tell any more. */
static void
on_thread_ended(void *user)
{
    const struct tri_callable *callable = ((const struct tri_local_call *)user)->execution.callable;
    const char *class_name = callable != NULL ? callable->class_name : "";

    tri_log(TRI_ERROR, "%s%s%s() ended its thread, which in local mode is the program's", class_name,
            class_name[0] != '\0' ? "." : "", callable != NULL ? callable->name : "a module");
    abort();
}

static void
run_guarded(struct tri_local *local, struct tri_local_call *call)
{
    pthread_cleanup_push(on_thread_ended, call);
    run_function(local, call);
    pthread_cleanup_pop(0);
}

static void
run(struct tri_local *local, struct tri_local_call *call)
{
    struct tri_local_actor *actor = call->actor;

    tri_list_remove(&call->link);
    tri_list_append(&local->started, &call->link);
    call->running = true;
    local->running++;
    local->open++; /* of a reply that it may defer */
    if (actor != NULL) {
        actor->queued--;
        actor->running++;
    }
    call->fault = tri_local_take_fault(local, call);
    tri_process_unlock(local->process);
    run_guarded(local, call);
    tri_process_lock(local->process);
    if (call->execution.reply == NULL)
        local->open--;
    local->running--;
    tri_list_remove(&call->link);
    call->running = false;
    tri_local_die_of_fault(local, call);
    if (call->constructs)
        tri_local_constructed(local, call);
    if (actor != NULL)
        actor->running--;
    if (call->constructs || settle(local, call))
        tri_local_end_call(local, call);
    if (actor != NULL)
        tri_local_idle(local, actor);
    tri_waiters_poke(local->process, true);
}

/* Whether it may start now, if no call before it in its lane waits. */
static TRI_APART enum tri_local_ready
may_start(struct tri_local *local, struct tri_local_call *call, struct broken *broken)
{
    const struct tri_local_actor *actor = call->actor;

    if (actor != NULL && !call->constructs && (actor->state == TRI_LOCAL_NEW || actor->running >= actor->limit))
        return PENDING;
    if (call->letter->section_count == 0)
        return READY;
    return look_at_dependencies(local, call, broken);
}

/* Made by what runs on this thread, and for a result: it can be told. */
static bool
is_own(const struct tri_local_call *call)
{
    const struct tri_route *route = &call->letter->route;

    return !call->constructs && !tri_id_is_none(route->result) &&
           tri_id_equal(route->parent, tri_current_execution->id);
}

static TRI_APART void
refuse_deep(struct tri_local *local, struct tri_local_call *call)
{
    struct tri_failure failure = {0};
    char who[TRI_NAME_MAX + 64], why[TRI_STACK_TEXT] = "";
    const struct tri_about about = tri_local_about(call->actor, call->letter, true, who, sizeof who);

    (void)tri_stack_low(why);
    tri_about_refused(&failure.error, TRP_ELIMIT, &about, why);
    tri_local_fail_call(local, call, &failure);
    drop_call(local, call);
}

struct lane {
    const struct tri_local_actor *actor, *caller;
};
enum { LANES_MAX = 64 };

static bool
is_blocked(const struct lane *lanes, size_t count, const struct tri_local_call *call)
{
    if (count == LANES_MAX)
        return true; /* more lanes than are looked at: it starts when one of them is free */
    for (size_t i = 0; i < count; i++)
        if (lanes[i].actor == call->actor && lanes[i].caller == call->caller)
            return true;
    return false;
}

TRI_APART bool
tri_local_run_next(struct tri_local *local, trp_err *too_deep)
{
    const bool deep = tri_stack_low(NULL);
    struct lane lanes[LANES_MAX];
    size_t lane_count = 0;
    struct tri_node *node;

    for (node = local->calls.next; node != &local->calls; node = node->next) {
        struct tri_local_call *call = TRI_OWNER(node, struct tri_local_call, link);
        struct broken broken = {NULL, 0};
        enum tri_local_ready ready;
        if (call->actor != NULL && is_blocked(lanes, lane_count, call))
            continue;
        ready = may_start(local, call, &broken);
        if (ready == BROKEN && !call->constructs) {
            fail_with_cause(local, call, &broken);
            drop_call(local, call);
            return true;
        }
        if (ready != PENDING && deep && is_own(call)) {
            refuse_deep(local, call);
            return true;
        }
        if (ready != PENDING && deep) {
            *too_deep = TRP_ELIMIT;
        } else if (ready != PENDING) {
            if (append_dependencies(local, call) != TRP_OK)
                local->process->no_memory = true;
            run(local, call);
            return true;
        }
        if (call->actor != NULL && lane_count < LANES_MAX)
            lanes[lane_count++] = (struct lane){call->actor, call->caller};
    }
    return false;
}
