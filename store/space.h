/*
 * space.h - a process's own part of the arena: the leases that its broker gave it, and what of them is in use. From here it takes
 * room for objects without asking anybody, and here room comes back when one ends that nobody else has heard of. Pure: it hands
 * out numbers. One thread at a time; it must not know what a broker does with a lease.
 */
#ifndef TRI_SPACE_H
#define TRI_SPACE_H

#include "store/runs.h"

/* Zero-initialised is empty. */
struct tri_space {
    struct tri_span *pieces; /* free ones in the order of their addresses; neighbours are one piece */
    size_t count, capacity;
    uint64_t free_granules;
};
void tri_space_fini(struct tri_space *space);

/* A lease came; or room of an object that has ended comes back. TRP_ENOMEM, and then nothing has changed. A run that is free
 * already is a bug of ours. */
trp_err tri_space_give(struct tri_space *space, struct tri_span run);
/* Room for an object, from the shortest piece that has it; of equal ones from the lowest, which was used last. false: no piece is
 * so long, another lease is needed. */
bool tri_space_take(struct tri_space *space, uint32_t count, struct tri_span *run);
/* A piece of fewer than `least` granules leaves the space, to be given back to the broker. false: none is so short. */
bool tri_space_leave(struct tri_space *space, uint32_t least, struct tri_span *run);

#endif
