/*
 * large.h - arguments that are too large to travel in a call: they become objects in the arena first, and the call names those.
 * actors/calls.c and refs.c only. With the process's lock.
 */
#ifndef TRI_LARGE_H
#define TRI_LARGE_H

#include "actors/process.h"

/* trp_put, with the lock. */
trp_err tri_put(struct tri_process *process, trp_runtime *runtime, trp_value value, trp_ref **ref, trp_error *error);

/* Zero-initialise. What `args` are instead, until tri_large_end. */
struct tri_large {
    trp_value *values; /* one block: the items, pairs of keywords, then the references */
    trp_ref **refs;
    size_t ref_count;
};
/* Puts those of *args that are large, and makes *args name them. Most have none, and stay. The errors of trp_put. */
trp_err tri_large_args(struct tri_process *process, trp_runtime *runtime, trp_value *args, struct tri_large *large,
                       trp_error *error);
void tri_large_end(struct tri_process *process, struct tri_large *large); /* when the call is packed, or is not to be */

#endif
