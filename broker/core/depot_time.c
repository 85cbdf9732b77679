/*
 * depot_time.c - the store's beginning, from the register of a broker before it or from nothing; what becomes of it in time; and
 * whether it is right. One thread; the time is passed in.
 */
#include "broker/core/depot_state.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------- what is gone */

/* Or on its way. */
static bool
is_pinned(const struct tri_depot *store, const struct tri_stored *object)
{
    if (!tri_stored_has_span(object))
        return false;
    return object->state != TRI_STORED_RESIDENT ||
           (store->bits[object->place.slot / 64] >> object->place.slot % 64 & 1) != 0;
}

/* Whether any of these is free now. The others are pinned. */
static bool
sweep(struct tri_depot *store, struct tri_node *gone)
{
    struct tri_node kept;
    bool any = false;
    tri_list_init(&kept);
    if (tri_list_empty(gone))
        return false;
    tri_depot_collect(store, store->bits);
    while (!tri_list_empty(gone)) {
        struct tri_stored *object = TRI_OWNER(gone->next, struct tri_stored, link);
        if (!is_pinned(store, object)) {
            tri_depot_end(store, object);
            any = true;
            continue;
        }
        tri_list_remove(&object->link);
        tri_list_append(&kept, &object->link);
    }
    while (!tri_list_empty(&kept)) {
        struct tri_node *first = kept.next;
        tri_list_remove(first);
        tri_list_append(&store->pinned, first);
    }
    if (!tri_list_empty(&store->pinned) && store->gone_ns == TRI_NEVER)
        store->gone_ns = store->now_ns + TRI_GONE_LOOK_MS * TRI_NS_PER_MS;
    return any;
}

/* Nobody can pin them any more; who did already is found when the tables are read. */
static void
mark_released(struct tri_depot *store)
{
    for (struct tri_node *node = store->released.next; node != &store->released; node = node->next) {
        const struct tri_stored *object = TRI_OWNER(node, struct tri_stored, link);
        if (tri_stored_is_readable(object))
            tri_slot_mark(&store->arena.words[object->place.slot]);
    }
}

bool
tri_depot_reclaim(struct tri_depot *store)
{
    mark_released(store);
    store->reclaimed_ns = store->now_ns;
    const bool some = sweep(store, &store->released);
    store->gone_ns = TRI_NEVER;
    return sweep(store, &store->pinned) || some;
}

void
tri_depot_look(struct tri_depot *store, uint64_t now_ns)
{
    store->now_ns = now_ns;
    if (!tri_list_empty(&store->released)) {
        mark_released(store);
        (void)sweep(store, &store->released);
    }
    if (store->gone_ns <= now_ns)
        (void)tri_depot_reclaim(store);
    tri_depot_spill_look(store);
    if (store->idle_ns <= now_ns)
        tri_depot_give_idle(store);
    if (store->waiters == 0)
        tri_depot_stop_backing(store);
}

uint64_t
tri_depot_next_ns(const struct tri_depot *store)
{
    if (!tri_list_empty(&store->released) || (store->freed && store->waiters > 0))
        return 0;
    if (!tri_list_empty(&store->gathered))
        return 0;
    const uint64_t all[] = {store->gone_ns, store->idle_ns, tri_depot_queue_next_ns(store),
                            tri_depot_spill_next_ns(store)};
    uint64_t next = TRI_NEVER;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        next = all[i] < next ? all[i] : next;
    return next;
}

/* ---------------------------------------------------------------------------------------------------------- beginning */

static int
by_start(const void *a, const void *b)
{
    const struct tri_place *left = a, *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

static void
forget_slot(struct tri_depot *store, uint32_t slot)
{
    store->reg.records[slot].use = TRI_SLOT_FREE;
    tri_slot_clear(&store->arena.words[slot]);
    store->free_slots[store->free_slot_count++] = slot;
}

/* The objects, in the order of their addresses. */
static trp_err
attach_objects(struct tri_depot *store, struct tri_place *places, uint32_t count)
{
    qsort(places, count, sizeof *places, by_start);
    for (uint32_t i = 0; i < count; i++) {
        const struct tri_span span = {places[i].start, tri_depot_granules(places[i].size)};
        if (!tri_runs_claim(store->runs, span)) {
            tri_log(TRI_ERROR, "the register of the object store names an object where none can be; it is dropped");
            forget_slot(store, places[i].slot);
            continue;
        }
        struct tri_stored *object = tri_stored_new(store, &places[i], false);
        if (object == NULL)
            return TRP_ENOMEM;
        tri_list_append(&store->found, &object->link);
        memset(store->reg.owners + span.start, 0, span.count * sizeof *store->reg.owners);
        tri_slot_show(&store->arena.words[places[i].slot], places[i].generation, places[i].start);
    }
    return TRP_OK;
}

static int
by_file(const void *a, const void *b, void *user)
{
    const struct tri_slot_record *records = user, *left = &records[*(const uint32_t *)a],
                                 *right = &records[*(const uint32_t *)b];
    const struct tri_file_place *l = &left->files[left->file_at & 1], *r = &right->files[right->file_at & 1];
    if (l->file != r->file)
        return l->file < r->file ? -1 : 1;
    return l->offset < r->offset ? -1 : l->offset > r->offset;
}

/* The spilled objects, in the order of their files. */
static trp_err
attach_spilled(struct tri_depot *store, uint32_t *slots, uint32_t count)
{
    qsort_r(slots, count, sizeof *slots, by_file, store->reg.records);
    for (uint32_t i = 0; i < count; i++) {
        const struct tri_slot_record *record = &store->reg.records[slots[i]];
        const struct tri_place place = {
            .slot = slots[i], .generation = tri_slot_generation(&store->arena.words[slots[i]]), .size = record->size};
        struct tri_stored *object = tri_stored_new(store, &place, true);
        if (object == NULL)
            return TRP_ENOMEM;
        tri_list_append(&store->found, &object->link);
        tri_slot_clear(&store->arena.words[slots[i]]);
        store->arena.spiller.claim(store->arena.spiller.user, tri_stored_id(object), record->size,
                                   &record->files[record->file_at & 1]);
    }
    return TRP_OK;
}

static bool
is_leased(const struct tri_depot *store, uint32_t tenant)
{
    return tenant < store->tenants_used && store->reg.tenants[tenant].space != 0;
}

static trp_err
sort_slots(struct tri_depot *store, struct tri_place *places, uint32_t *spilled)
{
    uint32_t count = 0, spilled_count = 0;
    for (uint32_t slot = 0; slot < store->slots_used; slot++) {
        const struct tri_slot_record *record = &store->reg.records[slot];
        const bool has_size = record->size > 0 && record->size <= TRI_STORED_MAX;
        if (record->use == TRI_SLOT_SEALED && has_size)
            places[count++] = (struct tri_place){.slot = slot,
                                                 .generation = tri_slot_generation(&store->arena.words[slot]),
                                                 .start = record->start,
                                                 .size = record->size};
        else if (record->use == TRI_SLOT_SPILLED && has_size && store->arena.spiller.spill != NULL)
            spilled[spilled_count++] = slot;
        else if (record->use == TRI_SLOT_LEASED && is_leased(store, record->tenant))
            store->tenants[record->tenant].slots++;
        else
            forget_slot(store, slot);
    }
    const trp_err err = attach_objects(store, places, count);
    return err == TRP_OK ? attach_spilled(store, spilled, spilled_count) : err;
}

static trp_err
attach_slots(struct tri_depot *store)
{
    struct tri_place *places = calloc(store->slots_used + 1, sizeof *places);
    uint32_t *spilled = calloc(store->slots_used + 1, sizeof *spilled);
    const trp_err err = places != NULL && spilled != NULL ? sort_slots(store, places, spilled) : TRP_ENOMEM;
    free(places);
    free(spilled);
    return err;
}

/* What is on lease: stretches of granules of one tenant. */
static trp_err
attach_leases(struct tri_depot *store)
{
    const uint16_t *owners = store->reg.owners;
    for (uint32_t at = 0; at < store->arena.granules;) {
        struct tri_span span = {at, 1};
        if (!tri_depot_has_owners(store, at)) {
            at = (at / TRI_EXTENT_GRANULES + 1) * TRI_EXTENT_GRANULES;
            continue;
        }
        while (span.start + span.count < store->arena.granules &&
               tri_depot_has_owners(store, span.start + span.count) && owners[span.start + span.count] == owners[at])
            span.count++;
        at += span.count;
        if (owners[span.start] == 0)
            continue;
        const uint32_t tenant = owners[span.start] - 1u;
        if (tri_runs_reserve(store->runs, 1) != TRP_OK)
            return TRP_ENOMEM;
        if (!is_leased(store, tenant) || !tri_runs_claim(store->runs, span)) {
            memset(store->reg.owners + span.start, 0, span.count * sizeof *owners);
            continue;
        }
        store->tenants[tenant].granules += span.count;
        store->leased += span.count;
    }
    return TRP_OK;
}

/* What a broker before this one wrote down. */
static trp_err
attach(struct tri_depot *store, trp_error *error)
{
    struct tri_register *reg = &store->reg;
    const uint32_t extents = tri_runs_extents(store->runs);
    TRP_TRY(tri_depot_back(store, TRI_PART_REGISTER, store->arena.reg, reg->head, sizeof *reg->head, error));
    TRP_TRY(tri_depot_back(store, TRI_PART_REGISTER, store->arena.reg, reg->backed, extents, error));
    store->tenants_used = reg->head->tenants_used < TRI_TENANTS_MAX ? reg->head->tenants_used : TRI_TENANTS_MAX;
    store->slots_used = reg->head->slots_used < store->arena.slots ? reg->head->slots_used : store->arena.slots;
    store->slots_backed = store->slots_used;
    const size_t slots = (size_t)store->slots_used + 1;
    if (!TRI_RESERVE(store->free_slots, store->free_slot_capacity, slots) ||
        !TRI_RESERVE(store->objects, store->object_capacity, slots) ||
        !TRI_RESERVE(store->bits, store->bits_capacity, slots / 64 + 1) ||
        tri_runs_reserve(store->runs, store->slots_used + extents) != TRP_OK)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for %u slots of the object store", store->slots_used);
    memset(store->objects, 0, slots * sizeof(struct tri_stored *));
    for (uint32_t i = 0; i < store->tenants_used; i++)
        store->tenants[i].space = reg->tenants[i].space;
    for (uint32_t i = 0; i < extents; i++)
        if (reg->backed[i] != 0)
            tri_runs_back(store->runs, i);
    if (attach_slots(store) != TRP_OK || attach_leases(store) != TRP_OK)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for what the object store has");
    return TRP_OK;
}

trp_err
tri_depot_new(const struct tri_arena *arena, uint64_t now_ns, struct tri_depot **made, trp_error *error)
{
    struct tri_depot *store = calloc(1, sizeof *store);
    if (store == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the object store");
    struct tri_node *lists[] = {&store->waiting, &store->released, &store->pinned,         &store->found,
                                &store->reading, &store->gathered, &store->spilling.recent};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        tri_list_init(lists[i]);
    store->arena = *arena;
    store->now_ns = now_ns;
    store->spilling.most = TRI_SPILL_OBJECTS;
    store->gone_ns = store->idle_ns = store->again_ns = TRI_NEVER;
    store->backing = TRI_NO_EXTENT;
    tri_register_at(&store->reg, arena->reg, arena->granules);
    trp_err err = tri_runs_create(arena->granules, &store->runs, error);
    if (err == TRP_OK) {
        store->tenants = calloc(TRI_TENANTS_MAX, sizeof *store->tenants);
        store->freed_ns = calloc(tri_runs_extents(store->runs), sizeof *store->freed_ns);
        if (store->tenants == NULL || store->freed_ns == NULL)
            err = TRI_FAIL(error, TRP_ENOMEM, "no memory for the object store");
    }
    if (err == TRP_OK && !arena->fresh)
        err = attach(store, error);
    if (err != TRP_OK)
        tri_depot_free(&store);
    else
        *made = store;
    return err;
}

static void
free_object(struct tri_stored *object)
{
    tri_list_remove(&object->link);
    tri_list_remove(&object->recent);
    if (tri_stored_references(object) > 0) {
        object->buf.foreign = NULL; /* somebody has it, and frees it */
        return;
    }
    free(object->lost);
    free(object);
}

void
tri_depot_free(struct tri_depot **made)
{
    struct tri_depot *store = *made;
    if (store == NULL)
        return;
    tri_depot_settle(store);
    for (uint32_t slot = 0; slot < store->slots_used && store->objects != NULL; slot++)
        if (store->objects[slot] != NULL)
            free_object(store->objects[slot]);
    tri_runs_destroy(&store->runs);
    free(store->tenants);
    free(store->objects);
    free(store->free_slots);
    free(store->bits);
    free(store->freed_ns);
    free(store->spilling.batch);
    free(store->spilling.sorted);
    free(store->spilling.pieces);
    free(store);
    *made = NULL;
}

bool
tri_depot_found(struct tri_depot *store, uint32_t *slot, struct tri_found *found)
{
    for (; *slot < store->slots_used; ++*slot) {
        struct tri_stored *object = store->objects[*slot];
        const struct tri_slot_record *record = &store->reg.records[*slot];
        if (object == NULL || tri_id_is_none(record->id) || tri_list_empty(&object->link))
            continue;
        tri_list_remove(&object->link);
        *found = (struct tri_found){.id = record->id, .meta_size = record->meta_size, .buf = &object->buf};
        ++*slot;
        return true;
    }
    return false;
}

void
tri_depot_settle(struct tri_depot *store)
{
    while (!tri_list_empty(&store->found)) {
        struct tri_stored *object = TRI_OWNER(store->found.next, struct tri_stored, link);
        struct tri_buf *buf = &object->buf;
        tri_list_remove(&object->link);
        tri_buf_release(&buf);
    }
}

/* ---------------------------------------------------------------------------------------------------------- looking */

struct tri_depot_stat
tri_depot_stat(const struct tri_depot *store)
{
    const struct tri_runs_stat runs = tri_runs_stat(store->runs);
    uint32_t tenants = 0;
    for (uint32_t i = 0; i < store->tenants_used; i++)
        tenants += store->tenants[i].space != 0;
    return (struct tri_depot_stat){
        .limit = runs.limit * TRI_GRANULE,
        .backed = runs.backed * TRI_GRANULE,
        .taken = runs.taken * TRI_GRANULE,
        .leased = store->leased * TRI_GRANULE,
        .sealed = store->sealed * TRI_GRANULE,
        .gone = store->gone * TRI_GRANULE,
        .longest_free = (uint64_t)runs.longest_free * TRI_GRANULE,
        .objects = store->object_count,
        .gone_objects = store->gone_count,
        .waiters = store->waiters,
        .tenants = tenants,
        .slots = store->arena.slots,
        .slots_free = tri_depot_slots_free(store),
        .spilled = store->spilling.spilled,
        .spilled_objects = store->spilling.objects,
        .lost_objects = (uint32_t)store->spilling.lost,
        .writing = store->spilling.count,
        .reading = store->spilling.reading,
        .out_bytes = store->spilling.out_bytes,
        .out_objects = store->spilling.out_objects,
        .back_bytes = store->spilling.back_bytes,
        .back_objects = store->spilling.back_objects,
        .out_ns = store->spilling.out_ns,
        .back_ns = store->spilling.back_ns,
        .spill_fails = store->spilling.failed,
        .files = store->arena.spiller.spill != NULL ? store->arena.spiller.files(store->arena.spiller.user)
                                                    : (struct tri_spill_files){0},
    };
}

uint64_t
tri_depot_pinned(struct tri_depot *store)
{
    uint64_t granules = 0;
    if (store->slots_used == 0)
        return 0;
    tri_depot_collect(store, store->bits);
    for (uint32_t slot = 0; slot < store->slots_used; slot++)
        if (store->objects[slot] != NULL && (store->bits[slot / 64] >> slot % 64 & 1) != 0)
            granules += tri_depot_granules(store->objects[slot]->place.size);
    return granules * TRI_GRANULE;
}

struct sums {
    uint64_t leased, sealed, gone, spilled;
    uint32_t slots[TRI_SLOT_SPILLED + 1], objects, gone_objects, spilled_objects, writing, reading;
};

/* Its words and record, and its span. */
static const char *
check_object(const struct tri_depot *store, const struct tri_stored *object)
{
    const struct tri_slot_record *record = &store->reg.records[object->place.slot];
    const struct tri_span span = {object->place.start, tri_depot_granules(object->place.size)};
    tri_slot_word *word = &store->arena.words[object->place.slot];
    const bool held = tri_stored_references(object) > 0, readable = tri_stored_is_readable(object);
    const enum tri_slot_state state = tri_slot_state(word);
    struct tri_span run;
    if (record->size != object->place.size || tri_slot_generation(word) != object->place.generation)
        return "an object is not what its record says";
    if (record->use != (readable ? TRI_SLOT_SEALED : TRI_SLOT_SPILLED))
        return "an object's record does not say where it is";
    if (object->at_rest > tri_stored_references(object))
        return "more references of an object are at rest than there are";
    if (!readable && state != TRI_SLOT_ABSENT)
        return "an object that is not in the arena may be pinned";
    if (readable && (record->start != object->place.start || tri_slot_start(word) != object->place.start))
        if (state != TRI_SLOT_ABSENT)
            return "an object is not where its record says";
    if (readable && (held ? state != TRI_SLOT_RESIDENT : state != TRI_SLOT_LEAVING && tri_list_empty(&store->released)))
        return "an object's word does not say whether it may be pinned";
    if (!tri_stored_has_span(object))
        return NULL;
    if (!tri_runs_next(store->runs, span.start, span.start + 1, &run) || run.start != span.start ||
        run.count != span.count)
        return "an object's span is no taken run";
    for (uint32_t i = 0; i < span.count; i++)
        if (store->reg.owners[span.start + i] != 0)
            return "an object's span is on lease, too";
    return NULL;
}

static const char *
check_slots(const struct tri_depot *store, struct sums *sums)
{
    for (uint32_t slot = 0; slot < store->slots_used; slot++) {
        const struct tri_slot_record *record = &store->reg.records[slot];
        const struct tri_stored *object = store->objects[slot];
        if (record->use > TRI_SLOT_SPILLED || (record->use >= TRI_SLOT_SEALED) != (object != NULL))
            return "a slot's record and its object do not agree";
        sums->slots[record->use]++;
        if (object == NULL)
            continue;
        const char *wrong = check_object(store, object);
        if (wrong != NULL)
            return wrong;
        const bool held = tri_stored_references(object) > 0, has_span = tri_stored_has_span(object);
        const uint32_t granules = has_span ? tri_depot_granules(object->place.size) : 0;
        sums->sealed += held ? granules : 0;
        sums->gone += held ? 0 : granules;
        sums->objects += held;
        sums->gone_objects += !held;
        sums->spilled += has_span ? 0 : object->place.size;
        sums->spilled_objects += !has_span;
        sums->writing += object->state == TRI_STORED_WRITING;
        sums->reading += object->state == TRI_STORED_READING;
    }
    return NULL;
}

static const char *
check_tenants(const struct tri_depot *store, struct sums *sums)
{
    uint64_t granules = 0, slots = 0;
    for (uint32_t i = 0; i < store->tenants_used; i++) {
        const struct tri_tenant *tenant = &store->tenants[i];
        granules += tenant->granules;
        slots += tenant->slots;
        if (tenant->space != store->reg.tenants[i].space ||
            (tenant->space == 0 && (tenant->present || tenant->granules + tenant->slots > 0)))
            return "a process that is nobody has something of the arena";
    }
    for (uint32_t i = 0; i < store->arena.granules; i++)
        sums->leased += tri_depot_has_owners(store, i) && store->reg.owners[i] != 0;
    if (granules != sums->leased || slots != sums->slots[TRI_SLOT_LEASED])
        return "what processes have on lease and what the register says differ";
    return NULL;
}

const char *
tri_depot_check(const struct tri_depot *store)
{
    struct sums sums = {0};
    const char *wrong = tri_runs_check(store->runs);
    wrong = wrong != NULL ? wrong : check_slots(store, &sums);
    wrong = wrong != NULL ? wrong : check_tenants(store, &sums);
    if (wrong != NULL)
        return wrong;
    if (sums.leased != store->leased || sums.sealed != store->sealed || sums.gone != store->gone)
        return "the store's sums are wrong";
    if (tri_runs_stat(store->runs).taken != sums.leased + sums.sealed + sums.gone)
        return "what is taken of the arena is not what is on lease, sealed or gone";
    if (sums.objects != store->object_count || sums.gone_objects != store->gone_count ||
        sums.slots[TRI_SLOT_FREE] != store->free_slot_count)
        return "the store's counts are wrong";
    if (sums.spilled != store->spilling.spilled || sums.spilled_objects != store->spilling.objects ||
        sums.writing != store->spilling.count || sums.reading != store->spilling.reading)
        return "what is spilled, and what is on its way, is counted wrongly";
    return NULL;
}
