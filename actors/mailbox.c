/* mailbox.c - what waits at an actor, and in which order it starts (mailbox.h). Pure; whoever holds the process's lock. It
 * must not know what a call is about. */
#include "actors/mailbox.h"

void
tri_mailbox_init(struct tri_mailbox *mailbox, uint32_t limit)
{
    for (size_t i = 0; i < TRI_PRIORITIES; i++)
        tri_list_init(&mailbox->queues[i]);
    mailbox->count = 0;
    mailbox->running = 0;
    mailbox->limit = limit > 0 ? limit : 1;
    mailbox->open = true;
}

static size_t
queue_of(int priority)
{
    if (priority > TRI_PRIORITY_MAX)
        priority = TRI_PRIORITY_MAX;
    if (priority < TRI_PRIORITY_MIN)
        priority = TRI_PRIORITY_MIN;
    return (size_t)(TRI_PRIORITY_MAX - priority);
}

static bool
holds_call_of(const struct tri_node *queue, struct tri_id caller)
{
    for (const struct tri_node *node = queue->next; node != queue; node = node->next)
        if (tri_id_equal(TRI_OWNER(node, struct tri_incoming, link)->caller, caller))
            return true;
    return false;
}

void
tri_mailbox_push(struct tri_mailbox *mailbox, struct tri_incoming *call)
{
    size_t wanted = queue_of(call->priority), at = wanted;
    /* Less urgent queues are empty unless somebody uses priorities: then this looks for the caller's own calls there. */
    for (size_t i = TRI_PRIORITIES - 1; i > wanted; i--) {
        if (!tri_list_empty(&mailbox->queues[i]) && holds_call_of(&mailbox->queues[i], call->caller)) {
            at = i;
            break;
        }
    }
    tri_list_append(&mailbox->queues[at], &call->link);
    mailbox->count++;
}

bool
tri_mailbox_ready(const struct tri_mailbox *mailbox)
{
    return mailbox->count > 0 && mailbox->open && mailbox->running < mailbox->limit;
}

static struct tri_incoming *
take_first(struct tri_mailbox *mailbox)
{
    for (size_t i = 0; i < TRI_PRIORITIES; i++) {
        struct tri_node *queue = &mailbox->queues[i];
        if (tri_list_empty(queue))
            continue;
        struct tri_incoming *call = TRI_OWNER(queue->next, struct tri_incoming, link);
        tri_mailbox_remove(mailbox, call);
        return call;
    }
    return NULL;
}

struct tri_incoming *
tri_mailbox_pop(struct tri_mailbox *mailbox)
{
    if (!tri_mailbox_ready(mailbox))
        return NULL;
    mailbox->running++;
    return take_first(mailbox);
}

void
tri_mailbox_finish(struct tri_mailbox *mailbox)
{
    TRI_ASSERT(mailbox->running > 0);
    mailbox->running--;
}

void
tri_mailbox_remove(struct tri_mailbox *mailbox, struct tri_incoming *call)
{
    TRI_ASSERT(mailbox->count > 0);
    tri_list_remove(&call->link);
    mailbox->count--;
}

size_t
tri_mailbox_take(struct tri_mailbox *mailbox, struct tri_incoming **calls, size_t max)
{
    size_t count = 0;
    while (count < max && mailbox->count > 0)
        calls[count++] = take_first(mailbox);
    return count;
}

uint64_t
tri_mailbox_lowest(const struct tri_mailbox *mailbox)
{
    uint64_t lowest = UINT64_MAX;
    for (size_t i = 0; i < TRI_PRIORITIES; i++) {
        const struct tri_node *queue = &mailbox->queues[i];
        if (tri_list_empty(queue))
            continue;
        uint64_t index = TRI_OWNER(queue->next, struct tri_incoming, link)->index;
        lowest = index < lowest ? index : lowest;
    }
    return lowest;
}
