/*
 * depot_spill.c - which objects leave the arena for a while, and how. They are copied away while they are there and may be
 * read; when that is done, those that nobody needs then are there no more. One thread; who writes them is told, and
 * answers later.
 */
#include "broker/core/depot_state.h"

#include <stdlib.h>
#include <string.h>

struct tri_candidate {
    struct tri_stored *object;
    uint64_t cost; /* granules, times 4 for what was used last */
};

void
tri_depot_rest(const struct tri_buf *buf, bool rests)
{
    struct tri_stored *object = tri_stored_of(buf);
    TRI_ASSERT(rests || object->at_rest > 0);
    object->at_rest += rests ? 1u : UINT32_MAX;
}

void
tri_depot_used(struct tri_depot *store, struct tri_stored *object)
{
    tri_list_remove(&object->recent);
    tri_list_append(&store->spilling.recent, &object->recent);
}

void
tri_depot_touch(const struct tri_buf *buf)
{
    struct tri_stored *object = tri_stored_of(buf);
    if (buf->foreign != NULL && tri_stored_has_span(object))
        tri_depot_used(buf->foreign, object);
}

bool
tri_depot_is_here(const struct tri_buf *buf)
{
    return tri_stored_is_readable(tri_stored_of(buf));
}

const trp_error *
tri_depot_lost(const struct tri_buf *buf)
{
    static const trp_error unsaid = {.code = TRP_EOBJLOST, .message = "it is gone"};
    const struct tri_stored *object = tri_stored_of(buf);
    if (object->state != TRI_STORED_LOST)
        return NULL;
    return object->lost != NULL ? object->lost : &unsaid;
}

void
tri_depot_drop_copy(struct tri_depot *store, const struct tri_stored *object)
{
    store->arena.spiller.drop(store->arena.spiller.user, tri_stored_id(object));
}

uint64_t
tri_depot_mark_granules(const struct tri_depot *store)
{
    const uint32_t percent = store->arena.spill_at != 0 ? store->arena.spill_at : TRI_SPILL_AT;
    return (uint64_t)store->arena.granules * percent / 100;
}

/* ----------------------------------------------------------------------------------------------------------- choosing */

/* Somebody holds it, and nobody needs it in the arena now. */
static bool
rests(const struct tri_stored *object)
{
    const uint32_t references = tri_stored_references(object);
    return object->state == TRI_STORED_RESIDENT && references > 0 && references == object->at_rest;
}

static bool
may_go(const struct tri_depot *store, const struct tri_stored *object)
{
    return rests(object) && (store->bits[object->place.slot / 64] >> object->place.slot % 64 & 1) == 0;
}

static bool
begin_batch(struct tri_depot *store)
{
    struct tri_spilling *spilling = &store->spilling;
    if (!TRI_RESERVE(spilling->pieces, spilling->piece_capacity, spilling->count)) {
        spilling->count = 0;
        return false;
    }
    for (uint32_t i = 0; i < spilling->count; i++) {
        struct tri_stored *object = spilling->batch[i];
        object->state = TRI_STORED_WRITING;
        spilling->pieces[i] = (struct tri_spill_piece){tri_stored_id(object), object->place.start, object->place.size};
    }
    spilling->out_since_ns = store->now_ns;
    if (store->arena.spiller.spill(store->arena.spiller.user, spilling->pieces, spilling->count))
        return true;
    for (uint32_t i = 0; i < spilling->count; i++)
        spilling->batch[i]->state = TRI_STORED_RESIDENT;
    spilling->count = 0;
    return false;
}

static bool
add_to_batch(struct tri_spilling *spilling, struct tri_stored *object)
{
    if (spilling->count == spilling->most ||
        !TRI_RESERVE(spilling->batch, spilling->batch_capacity, spilling->count + 1))
        return false;
    spilling->batch[spilling->count++] = object;
    return true;
}

/* The longest unused ones, of so many granules in all. */
static bool
spill_oldest(struct tri_depot *store, uint64_t granules)
{
    struct tri_spilling *spilling = &store->spilling;
    uint64_t bytes = 0, chosen = 0;
    tri_depot_collect(store, store->bits);
    for (struct tri_node *node = spilling->recent.next; node != &spilling->recent && chosen < granules;
         node = node->next) {
        struct tri_stored *object = TRI_OWNER(node, struct tri_stored, recent);
        if (!may_go(store, object))
            continue;
        if (spilling->count > 0 && bytes + object->place.size > TRI_SPILL_BATCH_BYTES)
            break;
        if (!add_to_batch(spilling, object))
            break;
        bytes += object->place.size;
        chosen += tri_depot_granules(object->place.size);
    }
    return spilling->count > 0 && begin_batch(store);
}

bool
tri_depot_clear(struct tri_depot *store)
{
    const struct tri_spilling *spilling = &store->spilling;
    if (store->arena.spiller.spill == NULL || spilling->count > 0 ||
        (spilling->failed && store->now_ns < spilling->retry_ns) ||
        store->now_ns - store->cleared_ns < TRI_CLEAR_MS * TRI_NS_PER_MS)
        return false;
    store->cleared_ns = store->now_ns;
    return spill_oldest(store, UINT64_MAX);
}

static int
by_start(const void *a, const void *b)
{
    const uint32_t left = ((const struct tri_candidate *)a)->object->place.start,
                   right = ((const struct tri_candidate *)b)->object->place.start;
    return left < right ? -1 : left > right;
}

static const struct tri_candidate *
candidate_at(const struct tri_spilling *spilling, uint32_t start)
{
    uint32_t low = 0, high = spilling->sorted_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (spilling->sorted[middle].object->place.start < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low < spilling->sorted_count && spilling->sorted[low].object->place.start == start ? &spilling->sorted[low]
                                                                                              : NULL;
}

static uint64_t
cost_of(void *user, struct tri_span run)
{
    const struct tri_candidate *candidate = candidate_at(&((struct tri_depot *)user)->spilling, run.start);
    return candidate != NULL ? candidate->cost : TRI_COST_NEVER;
}

/* All that may go, by address. The longer unused, the cheaper. */
static bool
find_candidates(struct tri_depot *store)
{
    struct tri_spilling *spilling = &store->spilling;
    uint64_t rank = 0;
    spilling->sorted_count = 0;
    tri_depot_collect(store, store->bits);
    for (struct tri_node *node = spilling->recent.next; node != &spilling->recent; node = node->next) {
        struct tri_stored *object = TRI_OWNER(node, struct tri_stored, recent);
        rank++;
        if (!may_go(store, object))
            continue;
        if (!TRI_RESERVE(spilling->sorted, spilling->sorted_capacity, spilling->sorted_count + 1))
            return false;
        spilling->sorted[spilling->sorted_count++] = (struct tri_candidate){
            object, tri_depot_granules(object->place.size) * (100 + 300 * rank / store->object_count)};
    }
    if (spilling->sorted_count > 1)
        qsort(spilling->sorted, spilling->sorted_count, sizeof *spilling->sorted, by_start);
    return spilling->sorted_count > 0;
}

/* The neighbours that have to go for a run of so many granules. */
static bool
spill_window(struct tri_depot *store, uint32_t wanted)
{
    struct tri_spilling *spilling = &store->spilling;
    struct tri_span window, run;
    if (!tri_runs_window(store->runs, wanted, cost_of, store, &window))
        return false;
    const uint32_t end = window.start + window.count;
    for (uint32_t at = window.start; tri_runs_next(store->runs, at, end, &run); at = run.start + run.count) {
        const struct tri_candidate *candidate = candidate_at(spilling, run.start);
        if (candidate == NULL || !add_to_batch(spilling, candidate->object))
            break;
        if (run.start + run.count >= end)
            break;
    }
    return spilling->count > 0 && begin_batch(store);
}

enum tri_room
tri_depot_spill_for(struct tri_depot *store, uint32_t wanted)
{
    struct tri_spilling *spilling = &store->spilling;
    if (store->arena.spiller.spill == NULL)
        return TRI_ROOM_NONE;
    if (spilling->count > 0)
        return TRI_ROOM_SPILLING;
    if (!find_candidates(store))
        return spilling->reading > 0 ? TRI_ROOM_SPILLING : TRI_ROOM_NONE;
    if (spilling->failed && store->now_ns < spilling->retry_ns)
        return TRI_ROOM_UNSPILLED;
    return spill_window(store, wanted) ? TRI_ROOM_SPILLING : TRI_ROOM_NONE;
}

void
tri_depot_spill_look(struct tri_depot *store)
{
    struct tri_spilling *spilling = &store->spilling;
    const uint64_t taken = tri_runs_stat(store->runs).taken, mark = tri_depot_mark_granules(store);
    if (store->arena.spiller.spill == NULL || spilling->count > 0 || taken <= mark)
        return;
    if (store->now_ns < spilling->look_ns || (spilling->failed && store->now_ns < spilling->retry_ns))
        return;
    if (!spill_oldest(store, taken - mark))
        spilling->look_ns = store->now_ns + TRI_GONE_LOOK_MS * TRI_NS_PER_MS;
}

/* Of what is over the mark, and of what could not be written. */
uint64_t
tri_depot_spill_next_ns(const struct tri_depot *store)
{
    const struct tri_spilling *spilling = &store->spilling;
    if (store->arena.spiller.spill == NULL || spilling->count > 0 || store->object_count == 0 ||
        tri_runs_stat(store->runs).taken <= tri_depot_mark_granules(store))
        return TRI_NEVER;
    return spilling->failed && spilling->retry_ns > spilling->look_ns ? spilling->retry_ns : spilling->look_ns;
}

/* ------------------------------------------------------------------------------------------------------------- spilled */

/* The register says where it is before anything else may lie where it was. */
static void
leave_arena(struct tri_depot *store, struct tri_stored *object)
{
    const struct tri_span span = {object->place.start, tri_depot_granules(object->place.size)};
    __atomic_store_n(&store->reg.records[object->place.slot].use, (uint8_t)TRI_SLOT_SPILLED, __ATOMIC_RELEASE);
    tri_slot_clear(&store->arena.words[object->place.slot]);
    object->state = TRI_STORED_SPILLED;
    tri_list_remove(&object->recent);
    store->sealed -= span.count;
    store->spilling.spilled += object->place.size;
    store->spilling.objects++;
    store->spilling.out_bytes += object->place.size;
    store->spilling.out_objects++;
    tri_depot_free_span(store, span);
}

static void
end_batch(struct tri_depot *store)
{
    struct tri_spilling *spilling = &store->spilling;
    for (uint32_t i = 0; i < spilling->count; i++) {
        struct tri_stored *object = spilling->batch[i];
        object->state = TRI_STORED_RESIDENT;
        if (rests(object))
            tri_slot_mark(&store->arena.words[object->place.slot]);
    }
    tri_depot_collect(store, store->bits);
    for (uint32_t i = 0; i < spilling->count; i++) {
        struct tri_stored *object = spilling->batch[i];
        if (may_go(store, object)) {
            leave_arena(store, object);
            continue;
        }
        if (rests(object))
            tri_slot_show(&store->arena.words[object->place.slot], object->place.generation, object->place.start);
        tri_depot_drop_copy(store, object);
    }
}

/* What has no room as a whole may have in parts. */
static void
batch_failed(struct tri_depot *store, trp_err err, const trp_error *error)
{
    struct tri_spilling *spilling = &store->spilling;
    for (uint32_t i = 0; i < spilling->count; i++)
        spilling->batch[i]->state = TRI_STORED_RESIDENT;
    if (err == TRP_EDISKFULL && spilling->count > 1) {
        spilling->most = spilling->count / 2;
        return;
    }
    if (!spilling->failed)
        tri_log(TRI_WARNING, "objects cannot be spilled: %s", error->message);
    spilling->failed = true;
    spilling->error = *error;
    spilling->error.code = err;
    spilling->retry_ns = store->now_ns + TRI_SPILL_RETRY_MS * TRI_NS_PER_MS;
}

void
tri_depot_spilled(struct tri_depot *store, trp_err err, const trp_error *error, uint64_t now_ns)
{
    struct tri_spilling *spilling = &store->spilling;
    store->now_ns = now_ns;
    TRI_ASSERT(spilling->count > 0);
    if (err == TRP_OK) {
        end_batch(store);
        spilling->out_ns += now_ns - spilling->out_since_ns;
        spilling->moved_ns = now_ns;
        spilling->failed = false;
        spilling->most = spilling->most < TRI_SPILL_OBJECTS / 2 ? spilling->most * 2 : TRI_SPILL_OBJECTS;
    } else {
        batch_failed(store, err, error);
    }
    spilling->count = 0;
    spilling->look_ns = 0;
    store->freed = true;
    if (store->gone_count > 0)
        store->gone_ns = now_ns; /* some of it may have waited for this */
}
