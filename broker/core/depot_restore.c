/*
 * depot_restore.c - objects that come back into the arena: who needs some of them together, what is read for that, and their
 * neighbours. One thread; who reads them is told, and answers later.
 */
#include "broker/core/depot_state.h"

#include <inttypes.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------------ reading */

/* A run of it that nobody has on lease; its record says that it is spilled until it is whole. */
static bool
begin_reading(struct tri_depot *store, struct tri_stored *object, struct tri_span span, uint8_t ahead)
{
    const struct tri_spill_piece piece = {tri_stored_id(object), span.start, object->place.size};
    if (!store->arena.spiller.restore(store->arena.spiller.user, &piece)) {
        (void)tri_runs_give(store->runs, span);
        return false;
    }
    object->place.start = span.start;
    object->state = TRI_STORED_READING;
    object->ahead = ahead;
    *(tri_stored_references(object) > 0 ? &store->sealed : &store->gone) += span.count;
    store->spilling.spilled -= object->place.size;
    store->spilling.objects--;
    if (store->spilling.reading++ == 0)
        store->spilling.back_since_ns = store->now_ns;
    return true;
}

static enum tri_room
restore(struct tri_depot *store, struct tri_stored *object)
{
    const uint32_t wanted = tri_depot_granules(object->place.size);
    struct tri_span span;
    for (;;) {
        if (tri_runs_reserve(store->runs, 2) != TRP_OK)
            return TRI_ROOM_NONE;
        if (tri_runs_take(store->runs, wanted, TRI_PROCESS_NOBODY, &span))
            break;
        const enum tri_room room = tri_depot_make_room(store, wanted, false);
        if (room != TRI_ROOM_MADE)
            return room;
    }
    return begin_reading(store, object, span, TRI_SPILL_AHEAD) ? TRI_ROOM_MADE : TRI_ROOM_NONE;
}

/* What lies behind it in its file, if that wants no more than what is free anyway. */
static void
read_ahead(struct tri_depot *store, const struct tri_stored *object, struct tri_id next)
{
    const uint32_t slot = tri_spilled_slot(next);
    struct tri_span span;
    if (object->ahead == 0 || tri_id_is_none(next) || slot >= store->slots_used || store->waiters > 0)
        return;
    struct tri_stored *neighbour = store->objects[slot];
    if (neighbour == NULL || neighbour->state != TRI_STORED_SPILLED || tri_stored_references(neighbour) == 0 ||
        neighbour->place.generation != tri_spilled_generation(next))
        return;
    const uint32_t granules = tri_depot_granules(neighbour->place.size);
    if (tri_runs_stat(store->runs).taken + granules <= tri_depot_mark_granules(store) &&
        tri_runs_reserve(store->runs, 2) == TRP_OK && tri_runs_take(store->runs, granules, TRI_PROCESS_NOBODY, &span))
        (void)begin_reading(store, neighbour, span, (uint8_t)(object->ahead - 1));
}

static void
be_lost(struct tri_depot *store, struct tri_stored *object, const trp_error *error)
{
    object->state = TRI_STORED_LOST;
    object->lost = malloc(sizeof *object->lost);
    if (object->lost != NULL) {
        *object->lost = *error;
        object->lost->code = TRP_EOBJLOST;
    }
    store->spilling.lost++;
    tri_log(TRI_ERROR, "%s", error->message);
}

/* ---------------------------------------------------------------------------------------------------------- gathering */

/* It goes on later, and holds nothing meanwhile: others behind it may need the room. */
static void
step_back(struct tri_gather *gather)
{
    while (gather->taken > 0)
        tri_stored_of(gather->bufs[--gather->taken])->at_rest++;
}

void
tri_gather_end(struct tri_depot *store, struct tri_gather *gather, trp_err err, const trp_error *error)
{
    tri_depot_wait_no_more(store, &gather->ask);
    tri_list_remove(&gather->link);
    tri_list_append(&store->gathered, &gather->link);
    gather->err = err;
    if (err != TRP_OK) {
        gather->error = *error;
        step_back(gather);
    }
}

static void
end_lost(struct tri_depot *store, struct tri_gather *gather, const struct tri_stored *object)
{
    trp_error error;
    if (object->lost == NULL)
        (void)TRI_FAIL(&error, TRP_EOBJLOST, "it is gone");
    tri_gather_end(store, gather, TRP_EOBJLOST, object->lost != NULL ? object->lost : &error);
}

static void
look_reading(struct tri_depot *store, struct tri_gather *gather)
{
    for (uint32_t i = 0; i < gather->count; i++) {
        const struct tri_stored *object = tri_stored_of(gather->bufs[i]);
        if (object->state == TRI_STORED_LOST) {
            end_lost(store, gather, object);
            return;
        }
        if (!tri_stored_is_readable(object))
            return;
    }
    tri_gather_end(store, gather, TRP_OK, NULL);
}

enum tri_room
tri_depot_gather_more(struct tri_depot *store, struct tri_gather *gather)
{
    for (; gather->taken < gather->count; gather->taken++) {
        struct tri_stored *object = tri_stored_of(gather->bufs[gather->taken]);
        if (object->state == TRI_STORED_LOST) {
            end_lost(store, gather, object);
            return TRI_ROOM_MADE;
        }
        object->at_rest--;
        const enum tri_room room = object->state == TRI_STORED_SPILLED ? restore(store, object) : TRI_ROOM_MADE;
        if (room != TRI_ROOM_MADE) {
            object->at_rest++;
            if (room != TRI_ROOM_LATER && room != TRI_ROOM_SPILLING)
                step_back(gather);
            return room == TRI_ROOM_NONE && tri_depot_clear(store) ? TRI_ROOM_SPILLING : room;
        }
        tri_depot_used(store, object);
    }
    tri_depot_wait_no_more(store, &gather->ask);
    tri_list_append(&store->reading, &gather->link);
    look_reading(store, gather);
    return TRI_ROOM_MADE;
}

trp_err
tri_depot_gather(struct tri_depot *store, struct tri_buf *const *bufs, uint32_t count, uint64_t deadline_ns,
                 bool steps_aside, void *user, struct tri_gather **made, trp_error *error)
{
    uint64_t granules = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t before = 0;
        while (bufs[before] != bufs[i])
            before++;
        granules += before == i ? tri_depot_granules(bufs[i]->size) : 0;
    }
    if (granules > store->arena.granules)
        return TRI_FAIL(error, TRP_ESTOREFULL,
                        "objects of %" PRIu64 " bytes are wanted together, and the whole object store has %" PRIu64,
                        granules * TRI_GRANULE, (uint64_t)store->arena.granules * TRI_GRANULE);
    struct tri_gather *gather = calloc(1, sizeof *gather + count * sizeof(struct tri_buf *));
    if (gather == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory to restore objects");
    gather->ask.is_gathering = true;
    gather->ask.steps_aside = steps_aside;
    gather->user = user;
    gather->count = count;
    tri_list_init(&gather->link);
    for (uint32_t i = 0; i < count; i++) {
        gather->bufs[i] = tri_buf_retain(bufs[i]);
        tri_stored_of(bufs[i])->at_rest++;
    }
    tri_depot_wait(store, &gather->ask, deadline_ns);
    *made = gather;
    return TRP_OK;
}

bool
tri_depot_gathered(struct tri_depot *store, struct tri_gathered *gathered)
{
    if (tri_list_empty(&store->gathered))
        return false;
    struct tri_gather *gather = TRI_OWNER(store->gathered.next, struct tri_gather, link);
    tri_list_remove(&gather->link);
    *gathered = (struct tri_gathered){gather, gather->user, gather->err, &gather->error};
    return true;
}

void
tri_depot_let_go(struct tri_depot *store, struct tri_gather **made)
{
    struct tri_gather *gather = *made;
    if (gather == NULL)
        return;
    tri_depot_wait_no_more(store, &gather->ask);
    tri_list_remove(&gather->link);
    store->freed = true; /* what it held may go */
    for (uint32_t i = 0; i < gather->count; i++) {
        if (i >= gather->taken)
            tri_stored_of(gather->bufs[i])->at_rest--;
        tri_buf_release(&gather->bufs[i]);
    }
    free(gather);
    *made = NULL;
}

/* ----------------------------------------------------------------------------------------------------------- restored */

static void
be_resident(struct tri_depot *store, struct tri_stored *object)
{
    struct tri_slot_record *record = &store->reg.records[object->place.slot];
    tri_slot_word *word = &store->arena.words[object->place.slot];
    record->start = object->place.start;
    __atomic_store_n(&record->use, (uint8_t)TRI_SLOT_SEALED, __ATOMIC_RELEASE);
    tri_slot_show(word, object->place.generation, object->place.start);
    if (tri_stored_references(object) == 0)
        tri_slot_mark(word);
    object->state = TRI_STORED_RESIDENT;
    tri_depot_used(store, object);
    tri_depot_drop_copy(store, object);
    store->spilling.back_bytes += object->place.size;
    store->spilling.back_objects++;
}

static void
stay_away(struct tri_depot *store, struct tri_stored *object, trp_err err, const trp_error *error)
{
    const struct tri_span span = {object->place.start, tri_depot_granules(object->place.size)};
    *(tri_stored_references(object) > 0 ? &store->sealed : &store->gone) -= span.count;
    store->spilling.spilled += object->place.size;
    store->spilling.objects++;
    object->state = TRI_STORED_SPILLED;
    tri_depot_free_span(store, span);
    if (err == TRP_EOBJLOST || err == TRP_ENOENT || err == TRP_EINVAL)
        be_lost(store, object, error);
}

void
tri_depot_restored(struct tri_depot *store, struct tri_id id, trp_err err, const trp_error *error,
                   struct tri_id next_id, uint64_t now_ns)
{
    const uint32_t slot = tri_spilled_slot(id);
    struct tri_stored *object = slot < store->slots_used ? store->objects[slot] : NULL;
    store->now_ns = store->spilling.moved_ns = now_ns;
    TRI_ASSERT(object != NULL && object->state == TRI_STORED_READING &&
               object->place.generation == tri_spilled_generation(id));
    if (--store->spilling.reading == 0)
        store->spilling.back_ns += now_ns - store->spilling.back_since_ns;
    store->freed = true;
    if (err == TRP_OK)
        be_resident(store, object);
    else
        stay_away(store, object, err, error);
    struct tri_node *next;
    for (struct tri_node *node = store->reading.next; node != &store->reading; node = next) {
        struct tri_gather *gather = TRI_OWNER(node, struct tri_gather, link);
        bool wants = false;
        next = node->next;
        for (uint32_t i = 0; i < gather->count; i++)
            wants = wants || gather->bufs[i] == &object->buf;
        if (wants && object->state == TRI_STORED_SPILLED)
            tri_gather_end(store, gather, err, error);
        else if (wants)
            look_reading(store, gather);
    }
    if (err == TRP_OK)
        read_ahead(store, object, next_id);
    if (tri_stored_references(object) == 0)
        store->gone_ns = now_ns; /* it waited for this */
}
