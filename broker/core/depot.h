/*
 * depot.h - the broker's side of the arena: who has which part of it, what lies there, when it is free again. Private to
 * broker/core/. Pure but for the memory that brokers share; it knows tenants (processes with a table of pins), spans and slots,
 * not calls, peers or holds.
 *
 * A span is leased to a tenant until an object in it is sealed, which cuts it out; the rest stays leased. A sealed object is
 * a buffer that is counted like any. When it is released for the last time it is gone: its span is free when no process has
 * it pinned any more, which is looked for at the end of each round, once a second, and when space is wanted.
 */
#ifndef TRI_CORE_DEPOT_H
#define TRI_CORE_DEPOT_H

#include "broker/core/core.h"
#include "store/store.h"

enum {
    TRI_IDLE_EXTENT_S = 5,     /* an extent of which nothing is taken goes back after so long */
    TRI_GONE_LOOK_MS = 1000,   /* pins of what is gone are looked at so often */
    TRI_WARM_LOOK_MS = 1,      /* not more often, before a lease */
    TRI_SPACE_WAIT_MS = 1000,  /* a SPACE without a deadline waits so long for what others give back */
    TRI_LEASE_GRANULES = 2048, /* 8 MiB: a lease has at least so many, or a 64th of the arena */
    TRI_OBJECT_GRANULES = 26,  /* of the smallest objects: more than TRI_INLINE_MAX */
};

struct tri_depot;
/* TRP_ENOMEM. Takes what the register has, of a broker before this one. */
trp_err tri_depot_new(const struct tri_arena *arena, uint64_t now_ns, struct tri_depot **made, trp_error *error);
void
tri_depot_free(struct tri_depot **made); /* buffers that are still retained stay good to be released; NULL passes */

/* ---------------------------------------------------------------------------------------------------------- tenants */

/* A process logs in: the entry it has had, or a new one. TRP_ELIMIT: there is none left. */
trp_err tri_depot_enter(struct tri_depot *store, uint64_t space, int32_t pid, uint32_t *tenant, trp_error *error);
void tri_depot_depart(struct tri_depot *store,
                      uint32_t tenant); /* it is logged in no more, but may live: nothing is free yet */
bool tri_depot_has_nothing(const struct tri_depot *store, uint32_t tenant); /* on lease, nor pinned */
void tri_depot_leave(struct tri_depot *store,
                     uint32_t tenant); /* it is dead, or touches nothing any more: all it had is free */
/* Of the register, who is not logged in: from `*tenant` on; false: nobody. */
bool tri_depot_absent(const struct tri_depot *store, uint32_t *tenant, uint64_t *space, int32_t *pid);

/* ----------------------------------------------------------------------------------------------------------- leases */

/* SPACE. TRP_EPROTO: it asked before, or for nothing. */
trp_err tri_depot_ask(struct tri_depot *store, uint32_t tenant, uint64_t granules, uint64_t deadline_ns,
                      trp_error *error);
struct tri_granted {
    uint32_t tenant;
    trp_err err; /* TRP_ESTOREFULL, and why */
    struct tri_lease lease;
    trp_error error;
};
/* The next one that can be answered, in the order that they asked. false: none. Overwrites the slots of the one before. */
bool tri_depot_next(struct tri_depot *store, uint64_t now_ns, struct tri_granted *granted);
/* GIVEN. TRP_EPROTO: some of it is not this tenant's. */
trp_err tri_depot_given(struct tri_depot *store, uint32_t tenant, const struct tri_lease *lease, trp_error *error);

/* ---------------------------------------------------------------------------------------------------------- objects */

/* What a tenant says lies there: sealed, if it was not; retained. TRP_EPROTO: nothing of its own, and no object, does. */
trp_err tri_depot_open(struct tri_depot *store, uint32_t tenant, const struct tri_place *place, struct tri_buf **buf,
                       trp_error *error);
/* From now on the register has whose value this is: it outlives the broker. Of a value without references. false: it is another's,
 * and stays that. */
bool tri_depot_name(struct tri_depot *store, const struct tri_buf *buf, struct tri_id id, uint32_t meta_size);
/* What the register had: the objects with a name, from `*slot` on; retained. false: no more. */
struct tri_found {
    struct tri_id id;
    uint32_t meta_size;
    struct tri_buf *buf;
};
bool tri_depot_found(struct tri_depot *store, uint32_t *slot, struct tri_found *found);
/* All who may say what they have, have: what nobody has said is gone. */
void tri_depot_settle(struct tri_depot *store);

/* ------------------------------------------------------------------------------------------------------------- time */

void tri_depot_look(struct tri_depot *store,
                    uint64_t now_ns);                      /* what was released, what is gone, extents that are idle */
uint64_t tri_depot_next_ns(const struct tri_depot *store); /* TRI_NEVER */

/* ---------------------------------------------------------------------------------------------------------- looking */

struct tri_depot_stat {
    uint64_t limit, backed, taken, leased, sealed, gone, longest_free; /* bytes */
    uint32_t objects, gone_objects, waiters, tenants, slots, slots_free;
};
struct tri_depot_stat tri_depot_stat(const struct tri_depot *store);
/* Into counts[slots_used] how often each slot's object is pinned. Returns slots_used; NULL: only that. */
uint32_t tri_depot_pins(const struct tri_depot *store, uint32_t *counts);
const char *tri_depot_check(const struct tri_depot *store); /* NULL, or what does not hold. O(all) */

#endif
