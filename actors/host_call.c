/*
 * host_call.c - one call in a worker host: its body is opened, its function found, run without the lock, and what came of it
 * delivered; host_promise.c has those that are promised. Threads: those that run the host's loop. It must not know why a call
 * was chosen, nor how messages travel.
 */
#include "actors/host.h"

#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------------ frames */

/* What a frame knows of calls goes on to the next when it has to wait for its answer: thousands of them may. */
void
tri_frame_leave_known(struct tri_frame *frame)
{
    struct tri_host *host = frame->host;
    if (host->known == NULL)
        host->known = frame->known;
    else
        free(frame->known);
    frame->known = NULL;
}

static void
take_known(struct tri_frame *frame)
{
    if (frame->known != NULL)
        return;
    frame->known = frame->host->known;
    frame->host->known = NULL;
}

struct tri_frame *
tri_frame_get(struct tri_host *host)
{
    struct tri_frame *frame;
    if (!tri_list_empty(&host->idle)) { /* the last one that was put back: it is warm */
        frame = TRI_OWNER(host->idle.prev, struct tri_frame, link);
        tri_list_remove(&frame->link);
        take_known(frame);
        return frame;
    }
    frame = calloc(1, sizeof *frame);
    if (frame == NULL)
        return NULL;
    frame->host = host;
    take_known(frame);
    tri_list_init(&frame->link);
    struct tri_execution *execution = &frame->execution;
    execution->ops = &host->ops;
    execution->ctx.runtime = &host->runtime;
    execution->ctx.place = &host->place;
    execution->deadline_ns = TRI_NEVER;
    execution->actor = "";
    execution->owner = frame;
    tri_list_init(&execution->waiting_link);
    return frame;
}

void
tri_frame_put(struct tri_frame *frame)
{
    tri_arguments_close(&frame->arguments, frame->host->process);
    tri_execution_reset(&frame->execution);
    frame->call = NULL;
    frame->delegate = NULL;
    frame->reply = NULL;
    tri_list_remove(&frame->link);
    tri_list_append(&frame->host->idle, &frame->link);
}

void
tri_frames_free(struct tri_host *host)
{
    while (!tri_list_empty(&host->idle)) {
        struct tri_frame *frame = TRI_OWNER(host->idle.next, struct tri_frame, link);
        tri_list_remove(&frame->link);
        tri_execution_fini(&frame->execution);
        free(frame->known);
        free(frame);
    }
    free(host->known);
    host->known = NULL;
}

/* -------------------------------------------------------------------------------------------------- the progress page */

void
tri_host_show(struct tri_host *host, const struct tri_callable *callable)
{
    struct tri_progress *progress = host->progress;
    if (host->shown == callable) /* one of the tables: the same pointer, the same names */
        return;
    host->shown = callable;
    tri_text_copy(progress->module, sizeof progress->module, callable != NULL ? callable->module->name : "");
    tri_text_copy(progress->method, sizeof progress->method, callable != NULL ? callable->name : "");
}

/* All calls up to this one have ended. */
static uint64_t
all_ended(const struct tri_host *host)
{
    uint64_t lowest = tri_mailbox_lowest(&host->mailbox);
    for (const struct tri_node *node = host->running.next; node != &host->running; node = node->next) {
        const struct tri_frame *frame = TRI_OWNER(node, struct tri_frame, link);
        if (frame->call != NULL && frame->call->index < lowest)
            lowest = frame->call->index;
    }
    for (const struct tri_node *node = host->in_place.next; node != &host->in_place; node = node->next) {
        const struct tri_incoming *call = TRI_OWNER(node, struct tri_incoming, link);
        lowest = call->index < lowest ? call->index : lowest;
    }
    uint64_t started = atomic_load_explicit(&host->progress->started, memory_order_relaxed);
    return lowest == UINT64_MAX || lowest > started ? started : lowest - 1;
}

static void
progress_started(struct tri_host *host, const struct tri_incoming *call)
{
    struct tri_progress *progress = host->progress;
    atomic_store_explicit(&progress->sequence, call->route->sequence, memory_order_relaxed);
    if ((call->route->flags & TRI_TASK) != 0)
        atomic_store_explicit(&progress->ran_tasks, 1, memory_order_relaxed);
    if (call->index > atomic_load_explicit(&progress->started, memory_order_relaxed))
        atomic_store_explicit(&progress->started, call->index, memory_order_release);
}

static void
progress_finished(struct tri_host *host)
{
    atomic_store_explicit(&host->progress->finished, all_ended(host), memory_order_release);
}

void
tri_host_renumber(struct tri_host *host)
{
    uint64_t started = 0;
    for (const struct tri_node *node = host->running.next; node != &host->running; node = node->next) {
        const struct tri_frame *frame = TRI_OWNER(node, struct tri_frame, link);
        if (frame->call != NULL && frame->call->index > started)
            started = frame->call->index;
    }
    atomic_store(&host->progress->finished, 0);
    atomic_store(&host->progress->started, started);
    progress_finished(host);
}

/* -------------------------------------------------------------------------------------------------------- delivering */

/* The answer of a call, which is gone afterwards. With the lock. */
void
tri_host_deliver(struct tri_host *host, struct tri_incoming *call, const struct tri_section *section, bool failed)
{
    struct tri_proc *proc = tri_process_proc(host->process);
    trp_error error;
    trp_err err = tri_proc_return(proc, call, section, failed, &error);
    if (err != TRP_OK) { /* it names what is gone, or there is no memory for it: then that is the answer */
        struct tri_packed packed = {0};
        struct tri_failure failure = {.error = {.code = TRP_ETASK, .ran = TRP_RAN, .cause = (int32_t)err, .rank = -1}};
        tri_text_copy(failure.error.message, sizeof failure.error.message, error.message);
        err = tri_error_pack(&packed, &failure, &error);
        if (err == TRP_OK)
            err = tri_proc_return(proc, call, &packed.section, true, &error);
        if (err != TRP_OK)
            tri_log(TRI_ERROR, "a result could not be delivered: %s", error.message);
        tri_packed_fini(&packed);
    }
}

/* A one-way call has nobody to tell. */
static __attribute__((noinline)) void
log_failure(const struct tri_frame *frame)
{
    struct tri_failure chain[8];
    uint32_t count = 0;
    if (tri_error_unpack(frame->execution.section, chain, &count, NULL) == TRP_OK && count > 0)
        tri_log(TRI_WARNING, "%s%s%s failed, and nobody waits for it: %s", frame->execution.actor,
                frame->execution.actor[0] != '\0' ? "." : "", chain[0].error.method, chain[0].error.message);
}

void
tri_host_fail_call(struct tri_frame *frame, const trp_error *error)
{
    struct tri_host *host = frame->host;
    tri_execution_refuse(&frame->execution, error);
    tri_host_deliver(host, frame->call, frame->execution.section, true);
    frame->call = NULL;
}

/* What a packed value names: one more handle of each; NULL where the proc knows none (an actor's own). */
struct held {
    uint32_t count;
    struct tri_ref *refs[];
};

void *
tri_host_hold(void *user, const struct tri_section *section)
{
    struct tri_host *host = user;
    struct held *held = malloc(sizeof *held + section->ref_count * sizeof held->refs[0]);
    if (held == NULL) {
        tri_log(TRI_ERROR, "no memory for the references of a result");
        abort();
    }
    held->count = section->ref_count;
    tri_process_lock(host->process);
    for (uint32_t i = 0; i < held->count; i++)
        held->refs[i] = tri_proc_find(tri_process_proc(host->process), section->refs[i].id);
    tri_process_unlock(host->process);
    return held;
}

void
tri_host_unhold(void *user, void *given)
{
    struct held *held = given;
    (void)user;
    for (uint32_t i = 0; i < held->count; i++)
        if (held->refs[i] != NULL)
            tri_proc_release(held->refs[i]);
    free(held);
}

bool
tri_host_again(struct tri_execution *execution, trp_value value, struct tri_packed *packed)
{
    const struct tri_frame *frame = execution->owner;
    const struct tri_arguments *arguments = &frame->arguments;
    for (uint32_t i = 0; frame->call != NULL && i < arguments->appended_count; i++) {
        const struct tri_section *section = &frame->call->sections[i + 1];
        const trp_value whole = tri_view_value(&arguments->appended[i], 0);
        if (tri_section_place(section) == NULL || section->ref_count > 0 || whole.kind != value.kind ||
            whole.form != value.form || whole.size != value.size || whole.as.opaque != value.as.opaque)
            continue;
        struct tri_buf *buf = tri_process_again(frame->host->process, section->frame);
        return buf != NULL && tri_packed_take(packed, buf, section->meta_size, NULL) == TRP_OK;
    }
    return false;
}

/* ----------------------------------------------------------------------------------------------------------- finishing */

static void
finish(struct tri_frame *frame)
{
    struct tri_execution *execution = &frame->execution;
    const bool promises = execution->outcome == TRI_RAN_DEFERRED || execution->outcome == TRI_RAN_DELEGATED;
    if (promises && frame->call != NULL && frame->call->cancelled == TRI_CANCELLED)
        tri_host_cancel_frame(frame);
    switch (execution->outcome) {
    case TRI_RAN_DEFERRED:
        tri_host_defer(frame);
        return;
    case TRI_RAN_DELEGATED:
        tri_host_delegate(frame);
        return;
    case TRI_RAN_FAILURE:
        if (execution->reply != NULL)
            tri_reply_abandon(&execution->reply);
        if ((frame->call->route->flags & TRI_ONE_WAY) != 0)
            log_failure(frame);
        break;
    case TRI_RAN_VALUE:
        break;
    }
    tri_host_deliver(frame->host, frame->call, execution->section, execution->outcome == TRI_RAN_FAILURE);
    tri_frame_put(frame);
}

/* ------------------------------------------------------------------------------------------------------------ running */

static size_t
hash_name(const char *name)
{
    size_t hash = 5381;
    for (; *name != '\0'; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash % TRI_CALLABLE_CACHE;
}

static bool
is_told(void *user)
{
    const struct tri_host *host = user;
    return tri_process_told(host->process);
}

/* Tells the broker of a module that this loaded. Before a task of it runs that may not be started as often as usual, the broker
 * has to know: this process may die of it at once, and with it what was on its way. */
static trp_err
describe(struct tri_host *host, trp_error *error)
{
    trp_err err = TRP_OK;
    tri_process_lock(host->process);
    if (tri_host_describe(host, false))
        err = tri_process_wait(host->process, is_told, host, TRI_NEVER, NULL, 0, false, error);
    tri_process_unlock(host->process);
    return err;
}

/* The row that a call is for, from the cache or the tables. */
static trp_err
find_callable(struct tri_host *host, const char *name, bool is_task, const struct tri_callable **callable,
              trp_error *error)
{
    const struct tri_callable **cached = &host->cache[hash_name(name)];
    *callable = __atomic_load_n(cached, __ATOMIC_ACQUIRE);
    if (*callable != NULL && ((*callable)->task != NULL) == is_task && strcmp((*callable)->name, name) == 0)
        return TRP_OK;
    trp_err err = is_task ? tri_modules_find_task(host->modules, name, callable, error)
                          : tri_modules_find_method(host->modules, host->actor.row, name, callable, error);
    if (is_task) {
        const trp_err told = describe(host, err == TRP_OK ? error : NULL);
        err = err == TRP_OK ? told : err;
    }
    if (err == TRP_OK)
        __atomic_store_n(cached, *callable, __ATOMIC_RELEASE);
    return err;
}

/* Where a frame remembers calls that look like this one. NULL: it knows none. */
static struct tri_known *
known_of(struct tri_frame *frame)
{
    const uint32_t place = frame->call->sections[0].meta_size / 8 % TRI_KNOWN_SHAPES;
    return frame->known != NULL ? &frame->known[place] : NULL;
}

static bool
is_task_call(const struct tri_incoming *call)
{
    return (call->route->flags & TRI_TASK) != 0;
}

/* One like those before: the arguments are in their places. false: it has to be opened. */
static bool
open_known(struct tri_frame *frame)
{
    const struct tri_incoming *call = frame->call;
    const struct tri_known *known = known_of(frame);
    if (known == NULL || call->section_count != 1 || known->callable == NULL || known->is_task != is_task_call(call) ||
        !tri_call_plain(&known->shape, &call->sections[0], known->kinds, known->count, frame->execution.fitted))
        return false;
    frame->execution.callable = known->callable;
    return true;
}

static void
get_to_know(struct tri_frame *frame, const struct tri_call *body)
{
    const struct tri_callable *callable = frame->execution.callable;
    struct tri_known *known;
    uint32_t count;
    const uint8_t *kinds = tri_signature_plain(callable->signature, &count);
    if (kinds == NULL || frame->call->section_count != 1)
        return;
    if (frame->known == NULL)
        frame->known = calloc(TRI_KNOWN_SHAPES, sizeof *frame->known);
    known = known_of(frame);
    if (known == NULL)
        return; /* no memory: it goes the long way each time */
    known->callable = callable;
    known->kinds = kinds;
    known->count = count;
    known->is_task = is_task_call(frame->call);
    tri_call_shape(&known->shape, &frame->call->sections[0], body);
}

static trp_err
open_call(struct tri_frame *frame, trp_error *error)
{
    struct tri_host *host = frame->host;
    const struct tri_incoming *call = frame->call;
    struct tri_execution *execution = &frame->execution;
    struct tri_call body;
    const bool is_task = is_task_call(call);
    TRP_TRY(tri_call_unpack(&call->sections[0], &body, error));
    trp_err err = is_task || host->actor.row != NULL
                      ? find_callable(host, body.method, is_task, &execution->callable, error)
                      : TRI_FAIL(error, TRP_EPROTO, "no actor lives here");
    if (err != TRP_OK) {
        if (error->method[0] == '\0')
            tri_text_copy(error->method, sizeof error->method, body.method);
        execution->callable = NULL;
        tri_view_close(&body.args);
        return err;
    }
    get_to_know(frame, &body);
    return tri_arguments_open(&frame->arguments, host->process, &host->runtime, &body.args, call->sections,
                              call->section_count, &execution->memory, error);
}

static trp_err
too_late(const struct tri_frame *frame, trp_error *error)
{
    const char *actor = frame->execution.actor, *method = tri_call_method(&frame->call->sections[0]);
    (void)TRI_FAIL(error, TRP_ETIMEDOUT, "The deadline of %s()%s%s%s had passed before it could start", method,
                   actor[0] != '\0' ? " of actor '" : "", actor, actor[0] != '\0' ? "'" : "");
    tri_text_copy(error->method, sizeof error->method, method);
    return TRP_ETIMEDOUT;
}

/* Without the lock. */
static void
execute(struct tri_frame *frame)
{
    struct tri_host *host = frame->host;
    struct tri_execution *execution = &frame->execution;
    bool fitted = false;
    trp_error error;
    trp_err err = TRP_OK;
    if (execution->deadline_ns != TRI_NEVER && tri_now_ns() >= execution->deadline_ns)
        err = too_late(frame, &error);
    else if (!(fitted = open_known(frame)))
        err = open_call(frame, &error);
    if (err != TRP_OK) {
        tri_execution_refuse(execution, &error);
        return;
    }
    if (host->thread_count == 0) { /* else several would write there, and names may be another's anyway */
        tri_host_show(host, execution->callable);
    } else {
        tri_process_lock(host->process);
        tri_host_show(host, execution->callable);
        tri_process_unlock(host->process);
    }
    if (fitted)
        tri_invoke_fitted(execution, host->actor.self);
    else
        tri_invoke(execution, host->actor.self, frame->arguments.positional, frame->arguments.keywords);
    if (__fpending(stdout) > 0)
        fflush(stdout);
}

/* What runs from here on is traced, and what it calls. false: the call is refused, its mark is none. */
static bool
trace_starts(struct tri_frame *frame, struct tri_trace_run *run)
{
    const struct tri_incoming *call = frame->call;
    trp_error error;
    run->trace = NULL;
    if (tri_trace_started(frame->host->trace, call->trace, frame->execution.actor, tri_call_method(&call->sections[0]),
                          run, &error) != TRP_OK) {
        tri_execution_refuse(&frame->execution, &error);
        return false;
    }
    frame->execution.trace = run->mark.directory;
    return true;
}

static void
trace_ends(struct tri_frame *frame, const struct tri_trace_run *run)
{
    frame->execution.trace = NULL;
    tri_trace_finished(run, frame->execution.outcome);
}

TRI_HOP void
tri_host_run(struct tri_host *host, struct tri_incoming *call, bool in_place)
{
    struct tri_frame *frame = tri_frame_get(host);
    if (frame == NULL) { /* nothing can be packed either: the process is at its end, and its death says so */
        tri_log(TRI_ERROR, "no memory to run a call");
        abort();
    }
    const bool is_task = is_task_call(call);
    struct tri_trace_run run = {.trace = NULL};
    trp_error error;
    frame->call = call;
    frame->execution.id = call->entry.id;
    frame->execution.deadline_ns = call->deadline_ns;
    frame->execution.cancelled = &call->cancelled;
    frame->execution.actor = is_task ? "" : host->actor.name;
    frame->execution.ctx.actor = is_task ? NULL : host->actor.handle;
    tri_list_append(&host->running, &frame->link);
    tri_proc_start(tri_process_proc(host->process), call);
    progress_started(host, call);
    const trp_err begun = tri_process_runs(host->process, &error);
    if (call->trace != NULL && host->trace == NULL)
        host->trace = tri_trace_new();
    tri_process_unlock(host->process);
    if (begun != TRP_OK)
        tri_execution_refuse(&frame->execution, &error);
    else if (call->trace == NULL || trace_starts(frame, &run))
        execute(frame);
    if (call->trace != NULL)
        trace_ends(frame, &run);
    tri_process_lock(host->process);
    tri_list_remove(&frame->link);
    progress_finished(host);
    if (!in_place)
        tri_mailbox_finish(&host->mailbox);
    finish(frame);
    tri_process_flush_full(host->process); /* the rest when the mailbox is empty, or soon by the keeper */
}
