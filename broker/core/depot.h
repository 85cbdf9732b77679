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
    TRI_CLEAR_MS = 100,        /* all is spilled, so that what is gathered lies side by side, not more often */
    TRI_REVOKE_MS = 20,        /* idle leases are asked for not more often */
    TRI_SPACE_WAIT_MS = 1000,  /* a SPACE without a deadline waits so long for what others give back */
    TRI_LEASE_GRANULES = 2048, /* 8 MiB: a lease has at least so many, or a 64th of the arena */
    TRI_OBJECT_GRANULES = 26,  /* of the smallest objects: more than TRI_INLINE_MAX */
    TRI_SPILL_AT = 80,         /* percent of the arena: when more is taken, what was not used for long is spilled */
    TRI_SPILL_OBJECTS = 1024,  /* spilled together, */
    TRI_SPILL_RETRY_MS = 1000, /* what could not be spilled is tried again after so long */
    TRI_SPILL_LOOK_MS = 20,    /* while somebody waits: what cannot go now is looked at again */
    TRI_SPILL_AHEAD = 4,       /* neighbours that are restored with one that is asked for */
};
#define TRI_SPILL_BATCH_BYTES (UINT64_C(100) << 20) /* and so many bytes of them at most, or one object */

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
/* Whether room is short, so that tenants are to be asked for what they have on lease and do not use (REVOKE); true not more often
 * than every TRI_REVOKE_MS. */
bool tri_depot_revokes(struct tri_depot *store);
/* Then: whether this one is. Not before it has answered. */
bool tri_depot_revoke(struct tri_depot *store, uint32_t tenant);
void tri_depot_gave_all(struct tri_depot *store, uint32_t tenant); /* its answer is here */

/* ---------------------------------------------------------------------------------------------------------- objects */

/* What a tenant says lies there: sealed, if it was not; retained. TRP_EPROTO: nothing of its own, and no object, does. */
trp_err tri_depot_open(struct tri_depot *store, uint32_t tenant, const struct tri_place *place, struct tri_buf **buf,
                       trp_error *error);
/* What is said of an object that ended under a broker before, which had no time to tell its keeper: it is lost. TRP_ENOMEM. */
trp_err tri_depot_open_ended(const struct tri_place *place, struct tri_buf **buf, trp_error *error);
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

/* ---------------------------------------------------------------------------------------------------- spilled objects */

/*
 * An object is spilled when all of its references are at rest, no process has it pinned, and room is short. Whoever needs
 * it in the arena has it gathered first, and keeps it there by what it retains.
 */
void tri_depot_rest(const struct tri_buf *buf,
                    bool rests);                 /* one of its references is at rest from now on, or not any more */
void tri_depot_touch(const struct tri_buf *buf); /* somebody uses it */
bool tri_depot_is_here(const struct tri_buf *buf);
/* Why it never comes back. NULL: it may. */
const trp_error *tri_depot_lost(const struct tri_buf *buf);

struct tri_gather;
/* All of these shall be in the arena. A deadline of TRI_NEVER: `steps_aside` waits as long as it takes, others until nothing moves any
 * more. TRP_ESTOREFULL: they never can; TRP_ENOMEM. */
trp_err tri_depot_gather(struct tri_depot *store, struct tri_buf *const *bufs, uint32_t count, uint64_t deadline_ns,
                         bool steps_aside, void *user, struct tri_gather **made, trp_error *error);
/* The next one of which all are there, and stay until it is let go of; or that has failed. false: none. */
struct tri_gathered {
    struct tri_gather *gather;
    void *user;
    trp_err err;
    const trp_error *error;
};
bool tri_depot_gathered(struct tri_depot *store, struct tri_gathered *gathered);
void tri_depot_let_go(struct tri_depot *store, struct tri_gather **gather); /* whatever has become of it; NULL passes */

void tri_depot_spilled(struct tri_depot *store, trp_err err, const trp_error *error, uint64_t now_ns);
void tri_depot_restored(struct tri_depot *store, struct tri_id id, trp_err err, const trp_error *error,
                        struct tri_id next, uint64_t now_ns);

/* ------------------------------------------------------------------------------------------------------------- time */

void tri_depot_look(struct tri_depot *store,
                    uint64_t now_ns);                      /* what was released, what is gone, extents that are idle */
uint64_t tri_depot_next_ns(const struct tri_depot *store); /* TRI_NEVER */

/* ---------------------------------------------------------------------------------------------------------- looking */

struct tri_depot_stat {
    uint64_t limit, backed, taken, leased, sealed, gone, longest_free; /* bytes */
    uint32_t objects, gone_objects, waiters, tenants, slots, slots_free;
    uint64_t spilled; /* bytes of objects that are not in the arena; they are not in `sealed`, and */
    uint32_t spilled_objects, lost_objects, writing, reading;  /* and objects on their way */
    uint64_t out_bytes, out_objects, back_bytes, back_objects; /* spilled and restored so far */
    uint64_t out_ns, back_ns;                                  /* so long that took */
    bool spill_fails;
    struct tri_spill_files files;
};
struct tri_depot_stat tri_depot_stat(const struct tri_depot *store);
uint64_t tri_depot_pinned(struct tri_depot *store); /* bytes of the arena that processes have pinned */
/* Every pin of an object that there is, by slot, by tenant; the caller's to free. false: no memory. */
struct tri_pinning {
    uint32_t slot, tenant;
    int32_t pid;
};
bool tri_depot_pins(const struct tri_depot *store, struct tri_pinning **pins, size_t *count);
const char *tri_depot_check(const struct tri_depot *store); /* NULL, or what does not hold. O(all) */

#endif
