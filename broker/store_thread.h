/*
 * store_thread.h - the thread of the broker that writes objects of the arena to files and reads them back. The router tells it
 * what to do, in order, and takes up what was done when the descriptor is readable. It begins with the first job.
 *
 * It knows places in the arena and ids, not who holds an object. In the register it writes where an object's copy lies, and
 * nothing else.
 */
#ifndef TRI_STORE_THREAD_H
#define TRI_STORE_THREAD_H

#include "broker/core/core.h"

struct tri_store_thread;
struct tri_store_options {
    const char *directory; /* of this node alone; made when something is spilled, and its parent, too. Copied */
    uint64_t max_bytes;    /* 0: half of what is free there */
    uint8_t *arena;        /* mapped, to be read and written */
    struct tri_register reg;
    uint64_t seed;
};
/* TRP_ENOMEM, TRP_ELIMIT. */
trp_err tri_store_thread_new(const struct tri_store_options *options, struct tri_store_thread **made, trp_error *error);
/* What was not begun is not done. `remove`: nobody comes after us, the files go. NULL passes. */
void tri_store_thread_end(struct tri_store_thread **thread, bool remove);

/* For a core's configuration. */
void tri_store_thread_spiller(struct tri_store_thread *thread, struct tri_spiller *spiller);
/* All that is there was claimed: what is left of a broker that died goes. */
void tri_store_thread_sweep(struct tri_store_thread *thread);

struct tri_store_done {
    bool is_spilled; /* a batch; else one object was restored: */
    struct tri_id id, next;
    trp_err err;
    trp_error error;
};
int tri_store_thread_fd(const struct tri_store_thread *thread); /* readable when something was done */
bool tri_store_thread_done(struct tri_store_thread *thread, struct tri_store_done *done); /* false: nothing more */

#endif
