/*
 * stage.h - a broker's core with nothing around it: what it sends goes to the case, its drivers are the case itself, and whatever
 * else it wants done is not done. One thread; it must not know what is measured.
 */
#ifndef TRI_BENCH_CORE_STAGE_H
#define TRI_BENCH_CORE_STAGE_H

#include "broker/core/state.h"

/* tri_core_ops.send: returns the number of the packet. */
typedef uint64_t tri_stage_send(void *user, tri_peer_index peer, const struct tri_route *route,
                                const struct tri_section *sections, uint32_t section_count, bool credited);

/* A core that sends to `send`, with `user`. `arena` NULL: it has none. It is ended with tri_core_destroy. TRP_ENOMEM. */
trp_err tri_stage_core(tri_stage_send *send, void *user, const struct tri_arena *arena, uint64_t now_ns,
                       struct tri_core **core, trp_error *error);
/* Another driver. */
trp_err tri_stage_driver(struct tri_core *core, uint64_t now_ns, tri_peer_index *driver, trp_error *error);

#endif
