/*
 * host_promise.c - calls of a worker host whose function has returned and whose answer comes later: it put its reply off, or
 * delegated it to another call. Replies come from any thread, what was delegated to ends between two methods. It must not know
 * how a function is run, nor how messages travel.
 */
#include "actors/host.h"

static void
keep_promise(struct tri_frame *frame, const struct tri_section *section, bool failed)
{
    tri_host_deliver(frame->host, frame->call, section, failed);
    frame->call = NULL;
    tri_process_poke(frame->host->process); /* an actor that ends waits for its promises */
    tri_frame_put(frame);
}

void
tri_host_replied(void *user, struct trp_reply *reply)
{
    struct tri_host *host = user;
    tri_process_lock(host->process);
    reply->answered = true;
    struct tri_frame *frame = reply->owner;
    if (frame != NULL) {
        host->deferred--;
        keep_promise(frame, &reply->packed.section, reply->failed);
        tri_reply_free(&reply);
    } else if (reply->abandoned) {
        tri_reply_free(&reply);
    } /* else its function has not returned: tri_host_defer */
    tri_process_unlock(host->process);
}

void
tri_host_cancel_frame(struct tri_frame *frame)
{
    struct tri_packed packed = {0};
    struct tri_failure failure = {0};
    tri_fail_promise(&failure.error, &frame->execution);
    if (tri_error_pack(&packed, &failure, NULL) == TRP_OK)
        tri_proc_answer(tri_process_proc(frame->host->process), frame->call, &packed.section);
    tri_packed_fini(&packed);
}

void
tri_host_cancel_promise(struct tri_host *host, const struct tri_incoming *call)
{
    for (struct tri_node *node = host->promised.next; node != &host->promised; node = node->next) {
        struct tri_frame *frame = TRI_OWNER(node, struct tri_frame, link);
        if (frame->call != call)
            continue;
        tri_reply_cancel(frame->reply);
        if (call->cancelled == TRI_CANCELLED)
            tri_host_cancel_frame(frame);
        return;
    }
}

void
tri_host_defer(struct tri_frame *frame)
{
    struct tri_host *host = frame->host;
    trp_reply *reply = frame->execution.reply;
    if (frame->call == NULL) { /* a constructor has no result */
        tri_reply_abandon(&reply);
        tri_frame_put(frame);
    } else if (reply->answered) {
        keep_promise(frame, &reply->packed.section, reply->failed);
        tri_reply_free(&reply);
    } else {
        if (frame->call->cancelled != TRI_GOES_ON) /* while its function ran */
            tri_reply_cancel(reply);
        reply->owner = frame;
        frame->reply = reply;
        host->deferred++;
        tri_list_append(&host->promised, &frame->link);
        tri_frame_leave_known(frame);
    }
}

/* What a call was delegated to has ended. Between two methods, without the lock. */
static void
on_delegate(trp_ref *ref, void *user)
{
    struct tri_frame *frame = user;
    struct tri_host *host = frame->host;
    const struct tri_ref *state = &ref->handle.ref;
    tri_process_lock(host->process);
    trp_ref *delegate = frame->delegate;
    frame->delegate = NULL;
    host->delegated--;
    if (state->state == TRI_REF_PENDING) { /* the actor ends, or the broker is gone */
        trp_error error;
        TRI_FAIL(&error, TRP_EACTORDIED, "the actor ended before the result that it had delegated to was there");
        error.ran = TRP_RAN;
        tri_host_fail_call(frame, &error);
        tri_frame_put(frame);
    } else {
        keep_promise(frame, tri_ref_value(state), state->state == TRI_REF_FAILED);
    }
    tri_process_unlock(host->process);
    trp_ref_release(&delegate);
}

/* With the lock, which is dropped to register the callback. */
void
tri_host_delegate(struct tri_frame *frame)
{
    struct tri_host *host = frame->host;
    trp_error error;
    frame->delegate = frame->execution.delegate;
    frame->execution.delegate = NULL;
    trp_ref *delegate = frame->delegate;
    const struct tri_ref *state = &delegate->handle.ref;
    bool now = frame->call == NULL || state->state != TRI_REF_PENDING;
    if (now) {
        if (frame->call != NULL)
            tri_host_deliver(host, frame->call, tri_ref_value(state), state->state == TRI_REF_FAILED);
        tri_frame_put(frame);
        tri_process_unlock(host->process);
        trp_ref_release(&delegate);
        tri_process_lock(host->process);
        return;
    }
    host->delegated++;
    tri_list_append(&host->promised, &frame->link);
    tri_frame_leave_known(frame);
    tri_process_unlock(host->process);
    trp_err err = trp_on_ready(delegate, on_delegate, frame, &error);
    if (err != TRP_OK)
        trp_ref_release(&delegate);
    tri_process_lock(host->process);
    if (err != TRP_OK) {
        host->delegated--;
        tri_host_fail_call(frame, &error);
        tri_frame_put(frame);
    }
}

void
tri_host_fail_promises(struct tri_host *host)
{
    while (!tri_list_empty(&host->promised)) {
        struct tri_frame *frame = TRI_OWNER(host->promised.next, struct tri_frame, link);
        trp_error error;
        TRI_FAIL(&error, TRP_EACTORDIED, "%s ended before it gave the reply that it had put off",
                 host->actor.name[0] != '\0' ? host->actor.name : "the actor");
        error.ran = TRP_RAN;
        if (frame->reply != NULL) {
            host->deferred--;
            tri_reply_abandon(&frame->reply);
        } else { /* its callback comes no more: the reference goes with the process */
            host->delegated--;
        }
        tri_host_fail_call(frame, &error);
        tri_frame_put(frame);
    }
}
