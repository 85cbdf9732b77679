/*
 * depot_queue.c - who waits for room in the arena: processes for leases, the core for objects that shall come back; served in
 * order, and refused with the numbers when nothing can be done for them. One thread; the time is passed in.
 */
#include "broker/core/depot_state.h"

#include <inttypes.h>

static struct tri_tenant *
tenant_of(struct tri_ask *ask)
{
    return TRI_OWNER(ask, struct tri_tenant, ask);
}

static struct tri_gather *
gather_of(struct tri_ask *ask)
{
    return TRI_OWNER(ask, struct tri_gather, ask);
}

void
tri_depot_wait(struct tri_depot *store, struct tri_ask *ask, uint64_t deadline_ns)
{
    ask->waits = true;
    ask->is_patient = deadline_ns == TRI_NEVER;
    ask->deadline_ns = ask->is_patient ? store->now_ns + TRI_SPACE_WAIT_MS * TRI_NS_PER_MS : deadline_ns;
    tri_list_append(&store->waiting, &ask->link);
    store->waiters++;
    store->freed = true; /* looked at once more */
}

void
tri_depot_wait_no_more(struct tri_depot *store, struct tri_ask *ask)
{
    if (!ask->waits)
        return;
    tri_list_remove(&ask->link);
    ask->waits = false;
    store->waiters--;
    store->freed = true; /* the next one may want less */
}

trp_err
tri_depot_ask(struct tri_depot *store, uint32_t tenant, uint64_t granules, uint64_t deadline_ns, trp_error *error)
{
    struct tri_tenant *asker = &store->tenants[tenant];
    if (granules == 0 || asker->ask.waits)
        return TRI_FAIL(error, TRP_EPROTO, "SPACE for %" PRIu64 " granules%s", granules,
                        asker->ask.waits ? " before the answer to another" : "");
    asker->wanted = granules;
    tri_depot_wait(store, &asker->ask, deadline_ns);
    return TRP_OK;
}

/* ----------------------------------------------------------------------------------------------------------- refusing */

static uint64_t
bytes_wanted(struct tri_ask *ask)
{
    uint64_t granules = ask->is_gathering ? 0 : tenant_of(ask)->wanted;
    if (ask->is_gathering) {
        const struct tri_gather *gather = gather_of(ask);
        for (uint32_t i = gather->taken; i < gather->count && granules == 0; i++)
            if (!tri_stored_has_span(tri_stored_of(gather->bufs[i])))
                granules = tri_depot_granules(gather->bufs[i]->size);
    }
    return granules > UINT64_MAX / TRI_GRANULE ? UINT64_MAX : granules * TRI_GRANULE;
}

static trp_err
say_full(struct tri_depot *store, struct tri_ask *ask, trp_error *error)
{
    const struct tri_depot_stat stat = tri_depot_stat(store);
    const uint64_t wanted = bytes_wanted(ask);
    if (wanted > stat.limit)
        return TRI_FAIL(error, TRP_ESTOREFULL,
                        "an object of %" PRIu64 " bytes, and the whole object store has %" PRIu64, wanted, stat.limit);
    return TRI_FAIL(error, TRP_ESTOREFULL,
                    "the object store has no %" PRIu64 " bytes in a row: of %" PRIu64 " it may have%s, %" PRIu64
                    " are taken, %" PRIu64 " of these on lease and %" PRIu64 " pinned; %" PRIu64
                    " more are spilled; the longest free run is %" PRIu64,
                    wanted, stat.limit, store->starved ? " (and the system has no memory for more)" : "", stat.taken,
                    stat.leased, tri_depot_pinned(store), stat.spilled, stat.longest_free);
}

/* What could make room cannot be written. */
static trp_err
say_unspilled(struct tri_depot *store, struct tri_ask *ask, trp_error *error)
{
    const trp_error *why = &store->spilling.error;
    const trp_err code = why->code == TRP_EDISKFULL ? TRP_EDISKFULL : TRP_ESTOREFULL;
    return TRI_FAIL(error, code,
                    "the object store has no %" PRIu64 " bytes in a row of its %" PRIu64
                    ", and what it has cannot be spilled: %s",
                    bytes_wanted(ask), (uint64_t)store->arena.granules * TRI_GRANULE, why->message);
}

/* true: *granted tells a process; else it is a gathering's end. */
static bool
refuse(struct tri_depot *store, struct tri_ask *ask, bool is_unspilled, struct tri_granted *granted)
{
    trp_error error;
    const trp_err err = is_unspilled ? say_unspilled(store, ask, &error) : say_full(store, ask, &error);
    if (ask->is_gathering) {
        tri_gather_end(store, gather_of(ask), err, &error);
        return false;
    }
    *granted = (struct tri_granted){.tenant = (uint32_t)(tenant_of(ask) - store->tenants), .err = err, .error = error};
    tri_depot_wait_no_more(store, ask);
    return true;
}

/* ------------------------------------------------------------------------------------------------------------ serving */

/* What was used is warm: it is taken again before what was never touched, if that is not looked for too often. */
static void
reclaim_warm(struct tri_depot *store)
{
    if (store->gone_count > 0 && store->now_ns - store->reclaimed_ns >= TRI_WARM_LOOK_MS * TRI_NS_PER_MS)
        (void)tri_depot_reclaim(store);
}

static enum tri_room
serve(struct tri_depot *store, struct tri_ask *ask, struct tri_granted *granted)
{
    if (ask->is_gathering)
        return tri_depot_gather_more(store, gather_of(ask));
    const uint64_t wanted = tenant_of(ask)->wanted;
    if (wanted > store->arena.granules)
        return TRI_ROOM_NONE;
    reclaim_warm(store);
    while (!tri_depot_grant(store, (uint32_t)(tenant_of(ask) - store->tenants), granted)) {
        const enum tri_room room = tri_depot_make_room(store, (uint32_t)wanted, true);
        if (room != TRI_ROOM_MADE)
            return room;
    }
    tri_depot_wait_no_more(store, ask);
    return TRI_ROOM_MADE;
}

static bool
can_never(const struct tri_depot *store, struct tri_ask *ask)
{
    return !ask->is_gathering && tenant_of(ask)->wanted > store->arena.granules;
}

/* Behind all others: what is freed for them would go to it, and be freed again when it finds no room for the rest. */
static void
step_behind(struct tri_depot *store, struct tri_ask *ask)
{
    tri_list_remove(&ask->link);
    tri_list_append(&store->waiting, &ask->link);
}

/* In order, up to the first one for whom there is no room yet. true: *granted is for a process. */
static bool
serve_all(struct tri_depot *store, struct tri_granted *granted)
{
    struct tri_node *next;
    uint32_t left = store->waiters; /* who steps behind is not looked at twice */
    for (struct tri_node *node = store->waiting.next; left > 0 && node != &store->waiting; node = next, left--) {
        struct tri_ask *ask = TRI_OWNER(node, struct tri_ask, link);
        const bool is_gathering = ask->is_gathering;
        next = node->next;
        const enum tri_room room = serve(store, ask, granted);
        if (room != TRI_ROOM_MADE && room != TRI_ROOM_LATER)
            store->is_short = true;
        if (room == TRI_ROOM_NONE && store->arena.spiller.spill != NULL)
            store->again_ns = store->now_ns + TRI_SPILL_LOOK_MS * TRI_NS_PER_MS;
        if (room == TRI_ROOM_MADE && !is_gathering)
            return true;
        if (room == TRI_ROOM_NONE && ask->steps_aside)
            step_behind(store, ask);
        if (room == TRI_ROOM_MADE || (room == TRI_ROOM_NONE && ask->steps_aside))
            continue;
        if (room == TRI_ROOM_UNSPILLED || can_never(store, ask)) {
            if (refuse(store, ask, room == TRI_ROOM_UNSPILLED, granted))
                return true;
            continue;
        }
        if (room == TRI_ROOM_LATER) {
            store->freed = true;
            store->spilling.moved_ns = store->now_ns;
        }
        return false;
    }
    return false;
}

/* Without a deadline: when nothing has moved for a while, and nothing is about to. */
static uint64_t
due_ns(const struct tri_depot *store, const struct tri_ask *ask)
{
    const struct tri_spilling *spilling = &store->spilling;
    const uint64_t moved = spilling->moved_ns + TRI_SPACE_WAIT_MS * TRI_NS_PER_MS;
    if (!ask->is_patient)
        return ask->deadline_ns;
    if (ask->steps_aside || spilling->count > 0 || spilling->reading > 0)
        return TRI_NEVER;
    return spilling->moved_ns > 0 && moved > ask->deadline_ns ? moved : ask->deadline_ns;
}

bool
tri_depot_next(struct tri_depot *store, uint64_t now_ns, struct tri_granted *granted)
{
    store->now_ns = now_ns;
    if (store->freed || store->again_ns <= now_ns) {
        store->freed = false;
        store->again_ns = TRI_NEVER;
        if (serve_all(store, granted)) {
            store->freed = true;
            return true;
        }
    }
    struct tri_node *next;
    for (struct tri_node *node = store->waiting.next; node != &store->waiting; node = next) {
        struct tri_ask *ask = TRI_OWNER(node, struct tri_ask, link);
        next = node->next;
        if ((can_never(store, ask) || due_ns(store, ask) <= now_ns) && refuse(store, ask, false, granted))
            return true;
    }
    return false;
}

uint64_t
tri_depot_queue_next_ns(const struct tri_depot *store)
{
    uint64_t next = store->waiters > 0 ? store->again_ns : TRI_NEVER;
    for (const struct tri_node *node = store->waiting.next; node != &store->waiting; node = node->next) {
        const uint64_t due = due_ns(store, TRI_OWNER((struct tri_node *)(uintptr_t)node, struct tri_ask, link));
        next = due < next ? due : next;
    }
    return next;
}
