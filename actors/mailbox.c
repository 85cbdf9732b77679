/* mailbox.c - what waits at an actor, and in which order it starts (mailbox.h). Pure; whoever holds the process's lock. It
 * must not know what a call is about. */
#include "actors/mailbox.h"

void
tri_mailbox_init(struct tri_mailbox *mailbox, uint32_t limit)
{
    for (size_t i = 0; i < TRI_PRIORITIES; i++)
        tri_list_init(&mailbox->queues[i]);
    mailbox->filled = 0;
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

/* The least urgent queue behind `wanted` with a call of this caller, which is not to be overtaken; else `wanted`. */
static size_t
queue_behind(const struct tri_mailbox *mailbox, size_t wanted, struct tri_id caller)
{
    for (size_t i = TRI_PRIORITIES - 1; i > wanted; i--)
        if (holds_call_of(&mailbox->queues[i], caller))
            return i;
    return wanted;
}

void
tri_mailbox_push(struct tri_mailbox *mailbox, struct tri_incoming *call)
{
    size_t at = queue_of(call->priority);
    if (mailbox->filled >> (at + 1) != 0) /* somebody uses priorities */
        at = queue_behind(mailbox, at, call->caller);
    tri_list_append(&mailbox->queues[at], &call->link);
    mailbox->filled |= 1u << at;
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
    const struct tri_node *queue = &mailbox->queues[__builtin_ctz(mailbox->filled)];
    struct tri_incoming *call = TRI_OWNER(queue->next, struct tri_incoming, link);
    tri_mailbox_remove(mailbox, call);
    return call;
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
    const struct tri_node *next = call->link.next;
    TRI_ASSERT(mailbox->count > 0);
    if (next == call->link.prev) /* the last one: that is its queue */
        mailbox->filled &= ~(1u << (next - mailbox->queues));
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
    for (uint32_t left = mailbox->filled; left != 0; left &= left - 1) {
        const struct tri_node *queue = &mailbox->queues[__builtin_ctz(left)];
        uint64_t index = TRI_OWNER(queue->next, struct tri_incoming, link)->index;
        lowest = index < lowest ? index : lowest;
    }
    return lowest;
}
