/*
 * mailbox.h - the calls that an actor, or a host of tasks, has accepted and not started. Pure: no lock, clock or memory
 * of its own; calls are linked through tri_incoming.link. Its bound is the broker's credit: what was accepted fits.
 *
 * Calls of one caller start in the order in which they came; between callers the priority decides, then the order of
 * arrival. A call never overtakes one of its own caller, however urgent it is: then it goes behind that one.
 */
#ifndef TRI_MAILBOX_H
#define TRI_MAILBOX_H

#include "actors/core/proc.h"

enum { TRI_PRIORITY_MIN = -2, TRI_PRIORITY_MAX = 2, TRI_PRIORITIES = 5 };

struct tri_mailbox {
    struct tri_node queues[TRI_PRIORITIES]; /* most urgent first; each in the order of arrival */
    uint32_t filled;                        /* bit i: queue i is not empty */
    size_t count;                           /* of calls in it */
    uint32_t running, limit;                /* started by pop and not finished; at most so many */
    bool open;                              /* closed: pop gives nothing (before the constructor has returned) */
};

void tri_mailbox_init(struct tri_mailbox *mailbox, uint32_t limit);
void tri_mailbox_push(struct tri_mailbox *mailbox, struct tri_incoming *call);
bool tri_mailbox_ready(const struct tri_mailbox *mailbox); /* pop would give one */
/* The next one to start; it counts as running until tri_mailbox_finish. NULL: none, all that may run do, or closed. */
struct tri_incoming *tri_mailbox_pop(struct tri_mailbox *mailbox);
void tri_mailbox_finish(struct tri_mailbox *mailbox);
/* Takes out a call that was pushed and not popped. */
void tri_mailbox_remove(struct tri_mailbox *mailbox, struct tri_incoming *call);
/* Takes out up to `max`, in the order in which they would have started; returns how many. */
size_t tri_mailbox_take(struct tri_mailbox *mailbox, struct tri_incoming **calls, size_t max);
/* The smallest index of what is in it; UINT64_MAX: nothing is. */
uint64_t tri_mailbox_lowest(const struct tri_mailbox *mailbox);

#endif
