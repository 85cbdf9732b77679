/*
 * local_promises.c - calls in local mode whose function has returned without an answer: replies that were put off, and results that
 * come from another call; they are given, late or never. With the process's lock, but for tri_local_replied. It knows nothing of what
 * is run.
 */
#include <stdlib.h>

#include "actors/local.h"

/* Its function has returned, and had put its answer off. */
void
tri_local_cancel_promise(struct tri_local *local, struct tri_local_call *call)
{
    struct tri_failure failure = {0};

    tri_fail_promise(&failure.error, &call->execution);
    tri_reply_cancel(call->execution.reply);
    tri_local_fail_call(local, call, &failure);
}

void
tri_local_abandon(struct tri_local *local, struct tri_local_call *call)
{
    if (call->execution.reply == NULL)
        return;
    local->open--;
    if (!call->execution.reply->answered)
        local->abandoned++;
    tri_reply_abandon(&call->execution.reply);
}

void
tri_local_fail_promises(struct tri_local *local, const struct tri_local_actor *actor)
{
    struct tri_node *node = local->promised.next;

    while (node != &local->promised) {
        struct tri_local_call *call = TRI_OWNER(node, struct tri_local_call, link);
        struct tri_failure failure = {0};
        char who[TRI_NAME_MAX + 64];
        node = node->next;
        if (call->actor != actor || call->execution.reply == NULL)
            continue;
        struct tri_about about = tri_local_about(actor, call->letter, true, who, sizeof who);
        about.fate = "ran";
        about.ran = TRP_RAN;
        tri_about_ended(&failure.error, &about, "it ended before it gave the reply that it had put off");
        tri_local_abandon(local, call);
        tri_local_fail_call(local, call, &failure);
        tri_local_end_call(local, call);
    }
}

TRI_APART bool
tri_local_keep_promises(struct tri_local *local)
{
    for (struct tri_node *node = local->promised.next; node != &local->promised; node = node->next) {
        struct tri_local_call *call = TRI_OWNER(node, struct tri_local_call, link);
        const struct tri_ref *ref = call->delegate != NULL ? &call->delegate->handle.ref : NULL;
        if (ref == NULL || ref->state == TRI_REF_PENDING)
            continue;
        tri_local_answer(local, call, tri_ref_value(ref), ref->state == TRI_REF_FAILED);
        tri_handle_drop(local->process, &call->delegate->handle);
        call->delegate = NULL;
        tri_local_end_call(local, call);
        return true;
    }
    return false;
}

/* There is no runtime any more that it could be an answer in. */
static void
reply_is_late(struct tri_local *local, struct trp_reply *reply)
{
    bool last;

    *(reply->abandoned ? &local->abandoned : &local->open) -= 1;
    last = local->open + local->abandoned == 0;
    free(reply->held);
    reply->held = NULL; /* what it held went with the runtime */
    tri_reply_free(&reply);
    (void)pthread_mutex_unlock(&local->late);
    if (last) {
        (void)pthread_mutex_destroy(&local->late);
        free(local);
    }
}

void
tri_local_replied(void *user, struct trp_reply *reply)
{
    struct tri_local *local = user;
    struct tri_process *process = local->process;
    struct tri_local_call *call;

    (void)pthread_mutex_lock(&local->late);
    if (local->gone) {
        reply_is_late(local, reply);
        return;
    }
    tri_process_lock(process);
    reply->answered = true;
    call = reply->owner;
    if (reply->abandoned) {
        local->abandoned--;
        tri_reply_free(&reply);
    } else if (call != NULL) {
        tri_local_answer(local, call, &reply->packed.section, reply->failed);
        local->open--;
        tri_reply_free(&reply);
        tri_local_end_call(local, call);
    }
    tri_waiters_poke(process, true);
    tri_process_unlock(process);
    (void)pthread_mutex_unlock(&local->late);
}
