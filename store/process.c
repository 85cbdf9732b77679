/*
 * process.c - process.h: one mapping to read, one to write, and the books of what is in use. It knows neither messages nor when to
 * ask for more.
 */
#include "store/process.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schemas/schemas.h"
#include "store/register.h"
#include "store/segment.h"

struct tri_store {
    pthread_mutex_t lock;
    uint32_t references; /* the process, and each buffer */
    struct tri_store_shape shape;
    int fds[TRI_STORE_FDS];                           /* -1: mapped, and not needed any more */
    struct tri_segment reading, writing, words, pins; /* mapped when they are wanted */
    struct tri_pinner pinner;
    struct tri_space space;
    uint32_t *slots; /* leased, and of no object */
    size_t slot_count, slot_capacity;
    size_t slots_out; /* of objects that nobody has heard of: they may come back, and have room there */
};

/* A buffer in the arena. */
struct stored {
    struct tri_buf buf;
    struct tri_place place;
    struct tri_store *store;
    struct tri_span run;
    uint32_t entry;    /* of the pin */
    bool is_own, told; /* made here; and a broker has heard of it */
    void *copy;        /* no pin was left: what was read; else NULL */
};

static uint32_t
granules_of(uint64_t size)
{
    return (uint32_t)((size + TRI_GRANULE - 1) / TRI_GRANULE);
}

/* -------------------------------------------------------------------------------------------------- beginning, ending */

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void
close_fds(int fds[TRI_STORE_FDS])
{
    for (int i = 0; i < TRI_STORE_FDS; i++)
        close_fd(&fds[i]);
}

trp_err
tri_store_begin(const int fds[TRI_STORE_FDS], const struct tri_store_shape *shape, struct tri_store **made,
                trp_error *error)
{
    struct tri_store *store = calloc(1, sizeof *store);
    int given[TRI_STORE_FDS];
    memcpy(given, fds, sizeof given);
    if (store == NULL || shape->granules == 0) {
        close_fds(given);
        free(store);
        return store == NULL ? TRI_FAIL(error, TRP_ENOMEM, "no memory for this process's part of the arena")
                             : TRI_FAIL(error, TRP_EPROTO, "an arena of no size");
    }
    *store = (struct tri_store){.references = 1, .shape = *shape};
    memcpy(store->fds, given, sizeof given);
    (void)pthread_mutex_init(&store->lock, NULL);
    *made = store;
    return TRP_OK;
}

static void
destroy(struct tri_store *store)
{
    tri_segment_close(&store->reading);
    tri_segment_close(&store->writing);
    tri_segment_close(&store->words);
    tri_segment_close(&store->pins);
    close_fds(store->fds);
    tri_pinner_fini(&store->pinner);
    tri_space_fini(&store->space);
    free(store->slots);
    (void)pthread_mutex_destroy(&store->lock);
    free(store);
}

/* With the lock, which it gives back. */
static void
let_go(struct tri_store *store)
{
    const bool last = --store->references == 0;
    (void)pthread_mutex_unlock(&store->lock);
    if (last)
        destroy(store);
}

void
tri_store_end(struct tri_store **store)
{
    struct tri_store *gone = *store;
    *store = NULL;
    if (gone == NULL)
        return;
    (void)pthread_mutex_lock(&gone->lock);
    let_go(gone);
}

/* One of the segments, if it is not mapped yet. */
static trp_err
map_one(const struct tri_store *store, enum tri_arena_part part, bool writable, struct tri_segment *segment,
        trp_error *error)
{
    return segment->base != NULL
               ? TRP_OK
               : tri_segment_view(store->fds[part], tri_part_bytes(part, store->shape.granules, store->shape.slots),
                                  writable, segment, error);
}

/* At the first use: most processes never have any. */
static trp_err
map_all(struct tri_store *store, trp_error *error)
{
    if (store->pins.base != NULL)
        return TRP_OK;
    if (store->shape.table >= TRI_TENANTS_MAX)
        return TRI_FAIL(error, TRP_EPROTO, "a table of pins of number %u", store->shape.table);
    TRP_TRY(map_one(store, TRI_PART_ARENA, false, &store->reading, error));
    TRP_TRY(map_one(store, TRI_PART_WORDS, false, &store->words, error));
    TRP_TRY(map_one(store, TRI_PART_PINS, true, &store->pins, error));
    tri_pinner_init(
        &store->pinner,
        (struct tri_pin_table *)(void *)(store->pins.base + store->shape.table * (uint64_t)TRI_PIN_TABLE_BYTES));
    close_fd(&store->fds[TRI_PART_WORDS]);
    close_fd(&store->fds[TRI_PART_PINS]);
    return TRP_OK;
}

static trp_err
map_to_write(struct tri_store *store, trp_error *error)
{
    if (store->writing.base != NULL)
        return TRP_OK;
    TRP_TRY(map_all(store, error));
    TRP_TRY(map_one(store, TRI_PART_ARENA, true, &store->writing, error));
    close_fd(&store->fds[TRI_PART_ARENA]);
    return TRP_OK;
}

static tri_slot_word *
words_of(const struct tri_store *store)
{
    return (tri_slot_word *)(void *)store->words.base;
}

/* ------------------------------------------------------------------------------------------------------------ buffers */

static void
free_stored(struct tri_buf *buf)
{
    struct stored *stored = buf->foreign;
    struct tri_store *store = stored->store;
    (void)pthread_mutex_lock(&store->lock);
    if (stored->copy == NULL)
        tri_unpin(&store->pinner, stored->entry);
    if (stored->is_own && !stored->told) {
        /* Without memory for the books this process does not use them again; the broker has them back when it ends. */
        (void)tri_space_give(&store->space, stored->run);
        store->slots_out--;
        store->slots[store->slot_count++] = stored->place.slot;
    }
    free(stored->copy);
    free(stored);
    let_go(store);
}

static void
fill(struct stored *stored, struct tri_store *store, const struct tri_place *place, uint8_t *data)
{
    stored->place = *place;
    stored->place.frame = 0;
    stored->store = store;
    stored->buf = (struct tri_buf){
        .data = data, .size = (size_t)place->size, .place = &stored->place, .free = free_stored, .foreign = stored};
    atomic_init(&stored->buf.references, 1);
    store->references++;
}

/* With the lock: run, slot and pin. */
static bool
make_own(struct tri_store *store, struct stored *stored, uint64_t size, uint32_t *wanted)
{
    const uint32_t granules = granules_of(size);
    if (store->slot_count == 0 || !tri_space_take(&store->space, granules, &stored->run)) {
        *wanted = granules;
        return false;
    }
    const uint32_t slot = store->slots[store->slot_count - 1];
    const struct tri_place place = {.slot = slot,
                                    .generation = tri_slot_generation(&words_of(store)[slot]),
                                    .start = stored->run.start,
                                    .size = size};
    if (!tri_pin_new(&store->pinner, slot, place.generation, &stored->entry)) {
        (void)tri_space_give(&store->space, stored->run);
        return false;
    }
    store->slot_count--;
    store->slots_out++;
    stored->is_own = true;
    fill(stored, store, &place, store->writing.base + (uint64_t)place.start * TRI_GRANULE);
    return true;
}

struct tri_buf *
tri_store_take(struct tri_store *store, uint64_t size, uint32_t *wanted)
{
    struct stored *stored = calloc(1, sizeof *stored);
    *wanted = 0;
    TRI_ASSERT(size > 0 && size <= TRI_STORED_MAX);
    if (stored == NULL)
        return NULL;
    (void)pthread_mutex_lock(&store->lock);
    const bool made = map_to_write(store, NULL) == TRP_OK && make_own(store, stored, size, wanted);
    (void)pthread_mutex_unlock(&store->lock);
    if (made)
        return &stored->buf;
    free(stored);
    return NULL;
}

void
tri_store_tell(struct tri_buf *const *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (frames[i]->place == NULL || frames[i]->free != free_stored)
            continue;
        struct stored *stored = frames[i]->foreign;
        (void)pthread_mutex_lock(&stored->store->lock);
        if (stored->is_own && !stored->told)
            stored->store->slots_out--;
        stored->told = true;
        (void)pthread_mutex_unlock(&stored->store->lock);
    }
}

static bool
is_inside(const struct tri_store *store, uint32_t start, uint64_t size)
{
    return size > 0 && size <= TRI_STORED_MAX && start < store->shape.granules &&
           granules_of(size) <= store->shape.granules - start;
}

static trp_err
fail_outside(const struct tri_store *store, uint32_t slot, uint32_t start, uint64_t size, trp_error *error)
{
    return TRI_FAIL(error, TRP_EPROTO, "an object of %llu bytes at granule %u, slot %u, of an arena of %u and %u",
                    (unsigned long long)size, start, slot, store->shape.granules, store->shape.slots);
}

/* With the lock; where it lies its word says. No pin is left: it is copied, while the broker keeps it there until this packet is
 * acknowledged. */
static trp_err
find_pinned(struct tri_store *store, struct stored *stored, const struct tri_place *said, trp_error *error)
{
    struct tri_place found = *said, *place = &found;
    tri_slot_word *words = words_of(store);
    const enum tri_pinned pinned =
        tri_pin(&store->pinner, words, place->slot, place->generation, &stored->entry, &found.start);
    if (pinned == TRI_PIN_GONE)
        return TRI_FAIL(error, TRP_EOBJLOST, "the object in slot %u of the arena is not there any more", place->slot);
    if (pinned == TRI_PIN_FULL)
        found.start = tri_slot_start(&words[place->slot]);
    if (!is_inside(store, found.start, found.size)) {
        if (pinned == TRI_PINNED)
            tri_unpin(&store->pinner, stored->entry);
        return fail_outside(store, place->slot, found.start, found.size, error);
    }
    uint8_t *data = store->reading.base + (uint64_t)found.start * TRI_GRANULE;
    if (pinned == TRI_PIN_FULL) {
        stored->copy = malloc((size_t)place->size);
        if (stored->copy == NULL)
            return TRI_FAIL(error, TRP_ENOMEM, "no memory to copy an object of %llu bytes, and %u are pinned already",
                            (unsigned long long)place->size, TRI_PINS_MAX);
        data = memcpy(stored->copy, data, (size_t)place->size);
    }
    fill(stored, store, place, data);
    (void)*(volatile const uint8_t *)data; /* who reads it soon finds its first page there */
    return TRP_OK;
}

trp_err
tri_store_find(struct tri_store *store, const struct tri_place *place, struct tri_buf **buf, trp_error *error)
{
    struct stored *stored = calloc(1, sizeof *stored);
    if (stored == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for an object in the arena");
    (void)pthread_mutex_lock(&store->lock);
    trp_err err = map_all(store, error);
    if (err == TRP_OK && (place->slot >= store->shape.slots || !is_inside(store, 0, place->size)))
        err = fail_outside(store, place->slot, place->start, place->size, error);
    if (err == TRP_OK)
        err = find_pinned(store, stored, place, error);
    (void)pthread_mutex_unlock(&store->lock);
    if (err == TRP_OK)
        *buf = &stored->buf;
    else
        free(stored);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- leases */

static trp_err
take_lease(struct tri_store *store, struct tri_span run, const uint32_t *slots, uint32_t slot_count, trp_error *error)
{
    for (uint32_t i = 0; i < slot_count; i++)
        if (slots[i] >= store->shape.slots)
            return TRI_FAIL(error, TRP_EPROTO, "a lease of slot %u, of %u", slots[i], store->shape.slots);
    if (run.start >= store->shape.granules || run.count > store->shape.granules - run.start)
        return TRI_FAIL(error, TRP_EPROTO, "a lease of %u granules at %u, of %u", run.count, run.start,
                        store->shape.granules);
    if (!TRI_RESERVE(store->slots, store->slot_capacity, store->slot_count + store->slots_out + slot_count) ||
        (run.count > 0 && tri_space_give(&store->space, run) != TRP_OK))
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the books of a lease");
    memcpy(store->slots + store->slot_count, slots, slot_count * sizeof *slots);
    store->slot_count += slot_count;
    return TRP_OK;
}

trp_err
tri_store_lease(struct tri_store *store, struct tri_span run, const uint32_t *slots, uint32_t slot_count,
                trp_error *error)
{
    (void)pthread_mutex_lock(&store->lock);
    const trp_err err = take_lease(store, run, slots, slot_count, error);
    (void)pthread_mutex_unlock(&store->lock);
    return err;
}

bool
tri_store_give(struct tri_store *store, uint64_t keep, struct tri_span *run)
{
    (void)pthread_mutex_lock(&store->lock);
    const bool leaves = tri_space_leave(&store->space, keep, run);
    (void)pthread_mutex_unlock(&store->lock);
    return leaves;
}
