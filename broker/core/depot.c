/*
 * depot.c - tenants, leases and objects of the arena (depot.h). One thread; no clock, no descriptor.
 */
#include "broker/core/depot_state.h"

#include <inttypes.h>
#include <string.h>

enum { SLOTS_AT_A_TIME = 512 }; /* backed together */

uint32_t
tri_depot_granules(uint64_t bytes)
{
    return (uint32_t)((bytes + TRI_GRANULE - 1) / TRI_GRANULE);
}

trp_err
tri_depot_back(struct tri_depot *store, enum tri_arena_part part, const void *base, const void *at, uint64_t size,
               trp_error *error)
{
    const uint64_t offset = (uint64_t)((const uint8_t *)at - (const uint8_t *)base);
    const uint64_t first = offset / TRI_GRANULE * TRI_GRANULE;
    const uint64_t end = (offset + size + TRI_GRANULE - 1) / TRI_GRANULE * TRI_GRANULE;
    return store->arena.back(store->arena.user, part, first, end - first, error);
}

/* ---------------------------------------------------------------------------------------------------------- tenants */

static struct tri_pin_table *
pins_of(const struct tri_depot *store, uint32_t tenant)
{
    return (struct tri_pin_table *)(void *)(store->arena.pins + (uint64_t)tenant * TRI_PIN_TABLE_BYTES);
}

void
tri_depot_collect(const struct tri_depot *store, uint64_t *bits)
{
    const uint32_t slots = store->reg.head->slots_used;
    memset(bits, 0, ((size_t)slots / 64 + 1) * sizeof *bits);
    for (uint32_t i = 0; i < store->tenants_used; i++)
        if (store->reg.tenants[i].has_pins != 0)
            (void)tri_pins_collect(pins_of(store, i), store->arena.words, slots, bits);
}

static int
compare_pins(const void *left, const void *right)
{
    const struct tri_pinning *a = left, *b = right;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    return a->tenant < b->tenant ? -1 : a->tenant > b->tenant;
}

bool
tri_depot_pins(const struct tri_depot *store, struct tri_pinning **pins, size_t *count)
{
    size_t room = 0;
    *count = 0;
    *pins = NULL;
    for (uint32_t i = 0; i < store->tenants_used; i++) {
        if (store->reg.tenants[i].has_pins == 0)
            continue;
        struct tri_pin_table *table = pins_of(store, i);
        const uint32_t used = atomic_load(&table->used);
        for (uint32_t k = 0; k < used && k < TRI_PINS_MAX; k++) {
            const uint64_t entry = atomic_load(&table->entries[k]), slot = (entry >> 32) - 1;
            if (slot >= store->slots_used || store->objects[slot] == NULL ||
                tri_slot_generation(&store->arena.words[slot]) != (uint32_t)entry)
                continue;
            if (!TRI_RESERVE(*pins, room, *count + 1))
                return false;
            (*pins)[(*count)++] =
                (struct tri_pinning){.slot = (uint32_t)slot, .tenant = i, .pid = store->reg.tenants[i].pid};
        }
    }
    if (*count > 0)
        qsort(*pins, *count, sizeof **pins, compare_pins);
    return true;
}

/* Its entry, or the first one that is nobody's. TRI_TENANTS_MAX: neither. */
static uint32_t
entry_for(const struct tri_depot *store, uint64_t space)
{
    uint32_t unused = store->tenants_used;
    for (uint32_t i = store->tenants_used; i-- > 0;) {
        if (store->reg.tenants[i].space == space)
            return i;
        if (store->reg.tenants[i].space == 0)
            unused = i;
    }
    return unused;
}

trp_err
tri_depot_enter(struct tri_depot *store, uint64_t space, int32_t pid, uint32_t *tenant, trp_error *error)
{
    const uint32_t i = entry_for(store, space);
    if (i == TRI_TENANTS_MAX)
        return TRI_FAIL(error, TRP_ELIMIT,
                        "all %d tables of pins are in use, some of them by processes that were cut and live on",
                        TRI_TENANTS_MAX);
    struct tri_tenant_record *record = &store->reg.tenants[i];
    const uint8_t *end = (const uint8_t *)(record + 1);
    if (i == store->tenants_used) {
        TRP_TRY(tri_depot_back(store, TRI_PART_REGISTER, store->arena.reg, store->reg.head,
                               (uint64_t)(end - (const uint8_t *)store->reg.head), error));
        *record = (struct tri_tenant_record){0};
        store->reg.head->tenants_used = store->tenants_used = i + 1;
    }
    if (record->has_pins == 0 && tri_depot_back(store, TRI_PART_PINS, store->arena.pins, pins_of(store, i),
                                                TRI_PIN_TABLE_BYTES, error) != TRP_OK)
        return TRP_ESTOREFULL;
    record->has_pins = 1;
    record->pid = pid;
    record->space = space;
    store->tenants[i].space = space;
    store->tenants[i].present = true;
    store->tenants[i].revoked = false;
    *tenant = i;
    return TRP_OK;
}

void
tri_depot_depart(struct tri_depot *store, uint32_t tenant)
{
    struct tri_tenant *departed = &store->tenants[tenant];
    departed->present = false;
    tri_depot_wait_no_more(store, &departed->ask);
}

bool
tri_depot_has_nothing(const struct tri_depot *store, uint32_t tenant)
{
    const struct tri_pin_table *table = pins_of(store, tenant);
    uint32_t used = atomic_load(&table->used);
    if (store->tenants[tenant].granules > 0 || store->tenants[tenant].slots > 0)
        return false;
    used = used < TRI_PINS_MAX ? used : TRI_PINS_MAX;
    for (uint32_t i = 0; i < used; i++)
        if (atomic_load(&table->entries[i]) != 0)
            return false;
    return true;
}

static void
give_slot(struct tri_depot *store, uint32_t slot)
{
    store->reg.records[slot].use = TRI_SLOT_FREE;
    tri_slot_clear(&store->arena.words[slot]);
    TRI_ASSERT(store->free_slot_count < store->free_slot_capacity); /* there is room for each that was ever used */
    store->free_slots[store->free_slot_count++] = slot;
}

/* The span is free; whoever waits may have it. */
void
tri_depot_free_span(struct tri_depot *store, struct tri_span span)
{
    const bool given = tri_runs_give(store->runs, span);
    TRI_ASSERT(given);
    for (uint32_t i = span.start / TRI_EXTENT_GRANULES; i <= (span.start + span.count - 1) / TRI_EXTENT_GRANULES; i++)
        store->freed_ns[i] = store->now_ns;
    if (store->idle_ns == TRI_NEVER)
        store->idle_ns = store->now_ns + TRI_IDLE_EXTENT_S * TRI_NS_PER_S;
    store->freed = true;
}

static void
unlease(struct tri_depot *store, uint32_t tenant, struct tri_span span)
{
    memset(store->reg.owners + span.start, 0, span.count * sizeof *store->reg.owners);
    store->tenants[tenant].granules -= span.count;
    store->leased -= span.count;
}

void
tri_depot_leave(struct tri_depot *store, uint32_t tenant)
{
    struct tri_tenant *left = &store->tenants[tenant];
    struct tri_span span;
    tri_depot_depart(store, tenant);
    uint32_t at = 0;
    while (left->granules > 0 && tri_runs_next(store->runs, at, store->arena.granules, &span)) {
        at = span.start + span.count;
        if (store->reg.owners[span.start] != tenant + 1)
            continue;
        unlease(store, tenant, span);
        tri_depot_free_span(store, span);
    }
    for (uint32_t slot = 0; slot < store->slots_used && left->slots > 0; slot++) {
        const struct tri_slot_record *record = &store->reg.records[slot];
        if (record->use != TRI_SLOT_LEASED || record->tenant != tenant)
            continue;
        left->slots--;
        give_slot(store, slot);
    }
    TRI_ASSERT(left->granules == 0 && left->slots == 0);
    store->reg.tenants[tenant].has_pins = 0;
    store->arena.unback(store->arena.user, TRI_PART_PINS, (uint64_t)tenant * TRI_PIN_TABLE_BYTES, TRI_PIN_TABLE_BYTES);
    store->reg.tenants[tenant].space = 0;
    left->space = 0;
    store->gone_ns = store->gone_count > 0 ? store->now_ns : TRI_NEVER; /* some of it may be free now */
}

bool
tri_depot_absent(const struct tri_depot *store, uint32_t *tenant, uint64_t *space, int32_t *pid)
{
    for (; *tenant < store->tenants_used; ++*tenant)
        if (store->reg.tenants[*tenant].space != 0 && !store->tenants[*tenant].present) {
            *space = store->reg.tenants[*tenant].space;
            *pid = store->reg.tenants[*tenant].pid;
            return true;
        }
    return false;
}

/* ----------------------------------------------------------------------------------------------------------- leases */

/* More than it asks for, so that it does not ask for each object; less of it as the arena fills. As many objects of this size, so that
 * nothing is left of it. */
static uint32_t
preferred(const struct tri_depot *store, uint32_t wanted)
{
    const struct tri_runs_stat stat = tri_runs_stat(store->runs);
    const uint64_t share = stat.limit / 64, left = (stat.limit - stat.taken) / 16;
    uint64_t most = share < TRI_LEASE_GRANULES ? share : TRI_LEASE_GRANULES;
    most = left < most ? left : most;
    return wanted > most ? wanted : (uint32_t)(most - most % wanted);
}

static bool
owned_by(const struct tri_depot *store, struct tri_span span, uint32_t tenant)
{
    for (uint32_t i = 0; i < span.count; i++)
        if (store->reg.owners[span.start + i] != tenant + 1)
            return false;
    return true;
}

/* Neighbours on lease to one tenant are one taken run. */
static void
take_lease(struct tri_depot *store, uint32_t tenant, struct tri_span span)
{
    const uint16_t *owners = store->reg.owners;
    const uint32_t end = span.start + span.count;
    for (uint32_t i = span.start; i < end; i++)
        store->reg.owners[i] = (uint16_t)(tenant + 1);
    if (span.start > 0 && tri_depot_has_owners(store, span.start - 1) && owners[span.start - 1] == tenant + 1)
        (void)tri_runs_join(store->runs, span.start);
    if (end < store->arena.granules && tri_depot_has_owners(store, end) && owners[end] == tenant + 1)
        (void)tri_runs_join(store->runs, end);
    store->tenants[tenant].granules += span.count;
    store->leased += span.count;
}

/* Memory for the words and records of more slots, up to `slots`. */
static bool
more_slots(struct tri_depot *store, uint32_t slots, trp_error *error)
{
    struct tri_register *reg = &store->reg;
    if (slots <= store->slots_backed)
        return true;
    if (store->slots_backed == store->arena.slots)
        return false;
    const uint32_t first = store->slots_backed, left = store->arena.slots - first;
    const uint32_t count = left < SLOTS_AT_A_TIME ? left : SLOTS_AT_A_TIME;
    if (!TRI_RESERVE(store->free_slots, store->free_slot_capacity, first + count) ||
        !TRI_RESERVE(store->objects, store->object_capacity, first + count) ||
        !TRI_RESERVE(store->bits, store->bits_capacity, (first + count) / 64 + 1) ||
        tri_depot_back(store, TRI_PART_REGISTER, store->arena.reg, &reg->records[first], count * sizeof *reg->records,
                       error) != TRP_OK ||
        tri_depot_back(store, TRI_PART_WORDS, store->arena.words, &store->arena.words[first],
                       count * sizeof *store->arena.words, error) != TRP_OK)
        return false;
    memset(store->objects + first, 0, count * sizeof(struct tri_stored *));
    store->slots_backed = first + count;
    return true;
}

/* Up to `count` free slots, each in its next generation. Returns how many. */
static uint32_t
take_slots(struct tri_depot *store, uint32_t tenant, uint32_t count, trp_error *error)
{
    uint32_t taken = 0;
    while (taken < count) {
        uint32_t slot;
        if (store->free_slot_count > 0) {
            slot = store->free_slots[--store->free_slot_count];
        } else if (more_slots(store, store->slots_used + 1, error)) {
            slot = store->slots_used;
            store->reg.records[slot] = (struct tri_slot_record){0};
            store->reg.head->slots_used = ++store->slots_used;
        } else {
            break;
        }
        tri_slot_renew(&store->arena.words[slot]);
        store->reg.records[slot].tenant = (uint16_t)tenant;
        __atomic_store_n(&store->reg.records[slot].use, (uint8_t)TRI_SLOT_LEASED, __ATOMIC_RELEASE);
        store->lease_slots[taken++] = slot;
    }
    store->tenants[tenant].slots += taken;
    return taken;
}

bool
tri_depot_grant(struct tri_depot *store, uint32_t tenant, struct tri_granted *granted)
{
    const uint32_t wanted = (uint32_t)store->tenants[tenant].wanted;
    struct tri_span span;
    trp_error why;
    if (store->free_slot_count == 0 && !more_slots(store, store->slots_used + 1, &why))
        return false;
    if (tri_runs_reserve(store->runs, 2) != TRP_OK)
        return false;
    uint32_t count = preferred(store, wanted);
    while (!tri_runs_take(store->runs, count, (uint16_t)tenant, &span)) {
        if (count == wanted)
            return false;
        count = count / 2 > wanted ? count / 2 - count / 2 % wanted : wanted;
    }
    take_lease(store, tenant, span);
    const uint32_t most = span.count / TRI_OBJECT_GRANULES + 1, has = store->tenants[tenant].slots;
    uint32_t slots = most < TRI_LEASE_SLOTS_MAX ? most : TRI_LEASE_SLOTS_MAX;
    slots = slots > has ? slots - has : 1;
    slots = take_slots(store, tenant, slots, &why);
    *granted = (struct tri_granted){.tenant = tenant, .err = TRP_OK};
    granted->lease = (struct tri_lease){span.start, span.count, store->lease_slots, slots};
    return true;
}

trp_err
tri_depot_given(struct tri_depot *store, uint32_t tenant, const struct tri_lease *lease, trp_error *error)
{
    const struct tri_span span = {lease->start, lease->count};
    if (span.start > store->arena.granules || span.count > store->arena.granules - span.start ||
        !tri_depot_is_backed(store, span) || !owned_by(store, span, tenant))
        return TRI_FAIL(error, TRP_EPROTO, "GIVEN of %u granules from %u, which are not on lease to it", span.count,
                        span.start);
    if (tri_runs_reserve(store->runs, 2) != TRP_OK)
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory to take a lease back");
    if (span.count > 0) {
        const bool parted = tri_runs_part(store->runs, span);
        TRI_ASSERT(parted);
        unlease(store, tenant, span);
        tri_depot_free_span(store, span);
    }
    for (uint32_t i = 0; i < lease->slot_count; i++) {
        const uint32_t slot = lease->slots[i];
        if (slot >= store->slots_used || store->reg.records[slot].use != TRI_SLOT_LEASED ||
            store->reg.records[slot].tenant != tenant)
            return TRI_FAIL(error, TRP_EPROTO, "GIVEN of slot %u, which is not on lease to it", slot);
        store->tenants[tenant].slots--;
        give_slot(store, slot);
    }
    return TRP_OK;
}

bool
tri_depot_revokes(struct tri_depot *store)
{
    if (!store->is_short || store->now_ns - store->revoked_ns < TRI_REVOKE_MS * TRI_NS_PER_MS)
        return false;
    store->is_short = false;
    if (store->waiters == 0)
        return false;
    store->revoked_ns = store->now_ns;
    return true;
}

bool
tri_depot_revoke(struct tri_depot *store, uint32_t tenant)
{
    struct tri_tenant *asked = &store->tenants[tenant];
    if (asked->granules == 0 || !asked->present || asked->revoked)
        return false;
    return asked->revoked = true;
}

void
tri_depot_gave_all(struct tri_depot *store, uint32_t tenant)
{
    store->tenants[tenant].revoked = false;
}

/* ---------------------------------------------------------------------------------------------------------- objects */

/* Called from wherever it is released for the last time, in the middle of whatever: it is looked at later. */
static void
on_released(struct tri_buf *buf)
{
    struct tri_stored *object = (struct tri_stored *)(void *)buf;
    struct tri_depot *store = object->buf.foreign;
    if (store == NULL) {
        free(object->lost);
        free(object);
        return;
    }
    const uint32_t granules = tri_stored_has_span(object) ? tri_depot_granules(object->place.size) : 0;
    store->sealed -= granules;
    store->gone += granules;
    store->object_count--;
    store->gone_count++;
    tri_list_append(&store->released, &object->link);
}

struct tri_stored *
tri_stored_new(struct tri_depot *store, const struct tri_place *place, bool is_spilled)
{
    struct tri_stored *object = calloc(1, sizeof *object);
    if (object == NULL)
        return NULL;
    object->place = *place;
    object->place.frame = 0;
    object->buf = (struct tri_buf){
        .references = 1, .size = place->size, .place = &object->place, .free = on_released, .foreign = store};
    tri_list_init(&object->link);
    tri_list_init(&object->recent);
    store->objects[place->slot] = object;
    store->object_count++;
    if (is_spilled) {
        object->state = TRI_STORED_SPILLED;
        store->spilling.spilled += place->size;
        store->spilling.objects++;
        return object;
    }
    store->sealed += tri_depot_granules(place->size);
    tri_depot_used(store, object);
    return object;
}

static trp_err
seal(struct tri_depot *store, uint32_t tenant, const struct tri_place *place, struct tri_buf **buf, trp_error *error)
{
    const struct tri_span span = {place->start, tri_depot_granules(place->size)};
    struct tri_slot_record *record = &store->reg.records[place->slot];
    if (place->size == 0 || place->size > TRI_STORED_MAX || span.start >= store->arena.granules ||
        span.count > store->arena.granules - span.start || !tri_depot_is_backed(store, span) ||
        !owned_by(store, span, tenant))
        return TRI_FAIL(error, TRP_EPROTO,
                        "an object of %" PRIu64 " bytes from granule %u on, which are not on lease to it", place->size,
                        place->start);
    struct tri_stored *object = tri_runs_reserve(store->runs, 2) == TRP_OK ? tri_stored_new(store, place, false) : NULL;
    if (object == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for another object");
    const bool parted = tri_runs_part(store->runs, span);
    TRI_ASSERT(parted);
    record->size = place->size;
    record->start = place->start;
    record->id = (struct tri_id){0, 0};
    __atomic_store_n(&record->use, (uint8_t)TRI_SLOT_SEALED, __ATOMIC_RELEASE);
    unlease(store, tenant, span);
    store->tenants[tenant].slots--;
    tri_slot_show(&store->arena.words[place->slot], place->generation, place->start);
    *buf = &object->buf;
    return TRP_OK;
}

/* An object that has been sealed: also one that nobody held any more, but its sender, who has it pinned. */
static struct tri_buf *
again(struct tri_depot *store, struct tri_stored *object)
{
    tri_depot_touch(&object->buf);
    if (tri_stored_references(object) > 0)
        return tri_buf_retain(&object->buf);
    const uint32_t granules = tri_stored_has_span(object) ? tri_depot_granules(object->place.size) : 0;
    tri_list_remove(&object->link);
    store->gone_count--;
    store->object_count++;
    store->gone -= granules;
    store->sealed += granules;
    atomic_store_explicit(&object->buf.references, 1, memory_order_relaxed);
    if (tri_stored_is_readable(object))
        tri_slot_show(&store->arena.words[object->place.slot], object->place.generation, object->place.start);
    return &object->buf;
}

trp_err
tri_depot_open(struct tri_depot *store, uint32_t tenant, const struct tri_place *place, struct tri_buf **buf,
               trp_error *error)
{
    if (place->slot >= store->slots_used || tri_slot_generation(&store->arena.words[place->slot]) != place->generation)
        return TRI_FAIL(error, TRP_EPROTO, "a place in slot %u, generation %u, which is nobody's", place->slot,
                        place->generation);
    const struct tri_slot_record *record = &store->reg.records[place->slot];
    if (record->use == TRI_SLOT_LEASED && record->tenant == tenant)
        return seal(store, tenant, place, buf, error);
    struct tri_stored *object = store->objects[place->slot];
    if (object == NULL || object->place.size != place->size)
        return TRI_FAIL(error, TRP_EPROTO, "a place in slot %u, which has %s", place->slot,
                        object != NULL ? "another object" : "none of its own");
    *buf = again(store, object);
    return TRP_OK;
}

trp_err
tri_depot_open_ended(const struct tri_place *place, struct tri_buf **buf, trp_error *error)
{
    struct tri_stored *object = calloc(1, sizeof *object);
    if (object == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for another object");
    object->place = *place;
    object->place.frame = 0;
    object->state = TRI_STORED_LOST;
    object->buf = (struct tri_buf){.references = 1, .size = place->size, .place = &object->place, .free = on_released};
    tri_list_init(&object->link);
    tri_list_init(&object->recent);
    *buf = &object->buf;
    return TRP_OK;
}

bool
tri_depot_name(struct tri_depot *store, const struct tri_buf *buf, struct tri_id id, uint32_t meta_size)
{
    struct tri_slot_record *record = &store->reg.records[buf->place->slot];
    if (buf->foreign == NULL)
        return false;
    if (!tri_id_is_none(record->id))
        return tri_id_equal(record->id, id);
    record->meta_size = meta_size;
    record->id.number = id.number;
    __atomic_store_n(&record->id.space, id.space, __ATOMIC_RELEASE); /* no space: no name yet */
    return true;
}

/* Nobody holds it, and no process has it pinned. */
void
tri_depot_end(struct tri_depot *store, struct tri_stored *object)
{
    const struct tri_span span = {object->place.start, tri_depot_granules(object->place.size)};
    tri_list_remove(&object->link);
    tri_list_remove(&object->recent);
    store->gone_count--;
    store->objects[object->place.slot] = NULL;
    give_slot(store, object->place.slot);
    if (tri_stored_has_span(object)) {
        store->gone -= span.count;
        tri_depot_free_span(store, span);
    } else {
        store->spilling.spilled -= object->place.size;
        store->spilling.objects--;
        store->spilling.retry_ns = store->now_ns; /* the disk has room again */
        tri_depot_drop_copy(store, object);
    }
    free(object->lost);
    free(object);
}
