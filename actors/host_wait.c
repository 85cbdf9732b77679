/*
 * host_wait.c - when a method waits for results: the broker is told (it gives the CPU to somebody else and looks for cycles),
 * tasks that have not started go back, and tasks that the broker sends to be run in place run on the thread that waits.
 * Hooks of the process, with its lock. It must not know how a wait ends.
 *
 * A task may only be run above a wait that depends on it: a stack of executions is a chain of dependencies then, which the
 * broker's wait-for graph sees. One that comes for a wait further down stays until that one goes on.
 */
#include "actors/host.h"

#include <stdlib.h>

/* What the broker knows a wait by: its call; of a constructor, which is none, the actor that it makes. */
static struct tri_id
wait_id(const struct tri_host *host, const struct tri_execution *execution)
{
    const struct tri_frame *frame = execution->owner;
    return frame->call != NULL ? execution->id : host->actor.id;
}

static bool
waits_for(const struct tri_execution *execution, struct tri_id id)
{
    for (uint32_t i = 0; i < execution->wait_count; i++)
        if (tri_id_equal(execution->wait_ids[i], id))
            return true;
    return false;
}

/* Who is to run it: whoever waits for its result; else, since somebody's wait depends on it, who began to wait last. */
static struct tri_execution *
runner_of(const struct tri_host *host, const struct tri_incoming *call)
{
    struct tri_execution *last = NULL;
    for (struct tri_node *node = host->waiting.next; node != &host->waiting; node = node->next) {
        last = TRI_OWNER(node, struct tri_execution, waiting_link);
        if (waits_for(last, call->entry.id))
            return last;
    }
    return last;
}

bool
tri_host_take_in_place(struct tri_host *host, struct tri_incoming *call)
{
    if (tri_list_empty(&host->waiting))
        return false;
    tri_list_append(&host->in_place, &call->link);
    return true;
}

/* All that has not started and is a task goes back to the broker. */
static void
give_back_queue(struct tri_host *host)
{
    if (host->actor.wanted || host->mailbox.count == 0)
        return;
    size_t count = host->mailbox.count;
    struct tri_incoming **calls = malloc(count * sizeof(struct tri_incoming *));
    if (calls == NULL)
        return; /* they run later, here */
    count = tri_mailbox_take(&host->mailbox, calls, count);
    tri_proc_give_back(tri_process_proc(host->process), calls, count);
    free(calls);
}

void
tri_host_wait_begins(void *user, struct tri_execution *execution, const struct tri_id *ids, uint32_t count, bool any)
{
    struct tri_host *host = user;
    execution->wait_ids = ids;
    execution->wait_count = count;
    execution->wait_failed = false;
    execution->waiting = true;
    tri_list_append(&host->waiting, &execution->waiting_link);
    give_back_queue(host);
    tri_proc_blocked(tri_process_proc(host->process), wait_id(host, execution), ids, count, any);
}

/* What came to be run in place and has not been goes back, if nobody else waits here. */
static void
give_back_in_place(struct tri_host *host)
{
    if (!tri_list_empty(&host->waiting))
        return;
    while (!tri_list_empty(&host->in_place)) {
        struct tri_incoming *call = TRI_OWNER(host->in_place.next, struct tri_incoming, link);
        tri_list_remove(&call->link);
        tri_proc_give_back(tri_process_proc(host->process), &call, 1);
    }
}

void
tri_host_wait_ends(void *user, struct tri_execution *execution)
{
    struct tri_host *host = user;
    execution->waiting = false;
    execution->wait_ids = NULL;
    execution->wait_count = 0;
    tri_list_remove(&execution->waiting_link);
    give_back_in_place(host);
    tri_proc_unblocked(tri_process_proc(host->process), wait_id(host, execution));
}

/* The first call that this execution is to run while it waits. NULL: none. */
static struct tri_incoming *
next_in_place(struct tri_host *host, const struct tri_execution *execution)
{
    for (struct tri_node *node = host->in_place.next; node != &host->in_place; node = node->next) {
        struct tri_incoming *call = TRI_OWNER(node, struct tri_incoming, link);
        if (runner_of(host, call) == execution)
            return call;
    }
    return NULL;
}

/* One that went back would come again: nobody but who waits for it may run it. */
static void
refuse_in_place(struct tri_host *host, struct tri_incoming *call)
{
    char why[TRI_STACK_TEXT];
    struct tri_frame *frame = tri_frame_get(host);
    if (frame == NULL) { /* as where it would have run */
        tri_log(TRI_ERROR, "no memory to refuse a call");
        abort();
    }
    const char *method = tri_call_method(&call->sections[0]);
    trp_error error;
    (void)tri_stack_low(why);
    TRI_FAIL(&error, TRP_ELIMIT, "%s() could not start: all hosts wait, and %s", method, why);
    tri_text_copy(error.method, sizeof error.method, method);
    error.ran = TRP_NOT_RUN;
    frame->call = call;
    frame->execution.id = call->entry.id;
    frame->execution.actor = "";
    tri_host_fail_call(frame, &error);
    tri_frame_put(frame);
}

bool
tri_host_wait_work(void *user, struct tri_execution *execution, trp_err *err, trp_error *error)
{
    struct tri_host *host = user;
    *err = TRP_OK;
    if (execution->wait_failed) {
        execution->wait_failed = false;
        *err = execution->wait_error.code;
        if (error != NULL)
            *error = execution->wait_error;
        return true;
    }
    if (execution->cancelled != NULL && *execution->cancelled != TRI_GOES_ON) {
        *err = TRI_FAIL(error, TRP_ECANCELLED, "%s, so it waits for nothing either",
                        tri_execution_cancelled(execution) ? "this call was cancelled"
                                                           : "nobody waits for this call any more");
        return true;
    }
    give_back_queue(host);
    if (tri_list_empty(&host->in_place))
        return false;
    struct tri_incoming *call = next_in_place(host, execution);
    if (call == NULL)
        return false;
    tri_list_remove(&call->link);
    if (tri_stack_low(NULL)) {
        refuse_in_place(host, call);
        return true;
    }
    tri_host_run(host, call, true);
    tri_host_show(host, execution->callable);
    return true;
}

void
tri_host_deadlock(void *user, struct tri_id parent, const struct tri_section *section)
{
    struct tri_host *host = user;
    struct tri_failure chain[8];
    uint32_t count = 0;
    for (struct tri_node *node = host->waiting.next; node != &host->waiting; node = node->next) {
        struct tri_execution *execution = TRI_OWNER(node, struct tri_execution, waiting_link);
        if (!tri_id_equal(wait_id(host, execution), parent))
            continue;
        execution->wait_failed = true;
        (void)TRI_FAIL(&execution->wait_error, TRP_EDEADLOCK, "this wait could never end");
        if (tri_error_unpack(section, chain, &count, NULL) == TRP_OK && count > 0)
            execution->wait_error = chain[0].error;
        return;
    }
}
