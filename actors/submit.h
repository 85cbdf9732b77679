/*
 * submit.h - between calls.c and spawn.c: what calls, spawns and requests have in common. With the process's lock.
 */
#ifndef TRI_SUBMIT_H
#define TRI_SUBMIT_H

#include "actors/process.h"

/* calls.c. Adds what the execution on this thread hands down, submits, sends when it is time, waits while credit is short.
 * *ref: one handle. */
trp_err tri_submit(struct tri_process *process, struct tri_submit *submit, bool nowait, struct tri_ref **ref,
                   trp_error *error);

/* spawn.c. A MAP of amounts into rows of TRI_SPAWN_LISTS_MAX; what no node here has: TRP_ENORESOURCE. */
trp_err tri_resources_of(trp_value map, struct tri_resource *rows, uint32_t *count, trp_error *error);
/* Without the lock: an actor of the node's own, in its namespace; the one that lives, or a new one, which no program's end ends
 * and which waits for no CPU. */
#define TRI_NODE_NAMESPACE "troupe"
trp_err tri_spawn_of_node(trp_runtime *runtime, const char *class_name, const char *name, trp_actor **actor,
                          trp_error *error);
/* keep.c. With the lock. Whether this is the name of the actor that holds what is kept, and one before it has left things on disk
 * for it: then it comes into being when it is looked up. */
#define TRI_HOLDER_CLASS "troupe:Kept"
bool tri_holder_sleeps(const struct tri_process *process, const char *name);
trp_err tri_check_node(const struct tri_process *process, const char *node, trp_error *error);
trp_err tri_check_amounts(const struct tri_process *process, double num_cpus, double num_gpus, trp_error *error);

#endif
