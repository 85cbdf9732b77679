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
#include "store/seals.h"
#include "store/segment.h"

struct tri_store {
    pthread_mutex_t lock;
    uint32_t references; /* the process, and each buffer */
    struct tri_store_shape shape;
    int fds[TRI_STORE_FDS];                           /* -1: mapped, and not needed any more */
    struct tri_segment reading, writing, words, pins; /* mapped when they are wanted */
    struct tri_pinner pinner;
    struct tri_seals seals;
    struct tri_space space;
    uint32_t *slots; /* leased, and of no object */
    size_t slot_count, slot_capacity;
    size_t slots_out;     /* of objects that nobody has heard of: they may come back, and have room there */
    struct tri_node told; /* stored: of those that the broker may not have seen yet */
    size_t lent;          /* pins for others, who may keep them for longer than this process has an arena */
};

/* A buffer in the arena. Its data is set while it is pinned. */
struct stored {
    struct tri_buf buf;
    struct tri_place place;
    struct tri_store *store;
    struct tri_span run;
    struct tri_node link; /* told, and pinned by us until the broker has seen it */
    uint32_t pins;        /* who wants it to stay */
    uint32_t entry;       /* of the pin; NO_ENTRY: the table was full, and it is copied */
    bool is_own, told;    /* made here; and a broker has heard of it */
    bool sealed;          /* nobody writes there any more, nor does this process */
    void *copy;
};
#define NO_ENTRY UINT32_MAX

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
    tri_list_init(&store->told);
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

/* With the lock. */
static void
drop_pin(struct stored *stored)
{
    if (stored->entry != NO_ENTRY)
        tri_unpin(&stored->store->pinner, stored->entry);
    free(stored->copy);
    stored->copy = NULL;
    stored->pins = 0;
    stored->buf.data = NULL;
}

static void
free_stored(struct tri_buf *buf)
{
    struct stored *stored = buf->foreign;
    struct tri_store *store = stored->store;
    (void)pthread_mutex_lock(&store->lock);
    if (stored->pins > 0)
        drop_pin(stored);
    tri_list_remove(&stored->link);
    if (stored->is_own && !stored->told) {
        /* Without memory for the books this process does not use them again; the broker has them back when it ends. */
        (void)tri_space_give(&store->space, stored->run);
        store->slots_out--;
        store->slots[store->slot_count++] = stored->place.slot;
    }
    free(stored);
    let_go(store);
}

static void
fill(struct stored *stored, struct tri_store *store, const struct tri_place *place)
{
    stored->place = *place;
    stored->place.frame = 0;
    stored->store = store;
    stored->buf =
        (struct tri_buf){.size = (size_t)place->size, .place = &stored->place, .free = free_stored, .foreign = stored};
    atomic_init(&stored->buf.references, 1);
    tri_list_init(&stored->link);
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
    if (!tri_seals_open(&store->seals, store->writing.base, stored->run) ||
        !tri_pin_new(&store->pinner, slot, place.generation, &stored->entry)) {
        (void)tri_space_give(&store->space, stored->run);
        return false;
    }
    store->slot_count--;
    store->slots_out++;
    fill(stored, store, &place);
    stored->is_own = true;
    stored->pins = 1;
    stored->buf.data = store->writing.base + (uint64_t)place.start * TRI_GRANULE;
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
tri_store_seal(struct tri_buf *buf)
{
    struct stored *stored = buf->foreign;
    if (buf->free != free_stored) {
        tri_buf_seal(buf);
        return;
    }
    struct tri_store *store = stored->store;
    (void)pthread_mutex_lock(&store->lock);
    if (stored->is_own && !stored->sealed && !stored->told) {
        stored->sealed = true;
        tri_seals_close(&store->seals, store->writing.base, stored->run);
        buf->data = store->reading.base + (uint64_t)stored->place.start * TRI_GRANULE;
    }
    (void)pthread_mutex_unlock(&store->lock);
}

void
tri_store_written(struct tri_buf *buf)
{
    struct stored *stored = buf->foreign;
    if (buf->free != free_stored)
        return;
    (void)pthread_mutex_lock(&stored->store->lock);
    if (stored->is_own && !stored->told)
        buf->data = stored->store->reading.base + (uint64_t)stored->place.start * TRI_GRANULE;
    (void)pthread_mutex_unlock(&stored->store->lock);
}

void
tri_store_tell(struct tri_buf *const *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (frames[i]->place == NULL || frames[i]->free != free_stored)
            continue;
        struct stored *stored = frames[i]->foreign;
        struct tri_store *store = stored->store;
        (void)pthread_mutex_lock(&store->lock);
        if (stored->is_own && !stored->told) {
            store->slots_out--;
            tri_list_append(&store->told, &stored->link);
        }
        stored->told = true;
        (void)pthread_mutex_unlock(&store->lock);
    }
}

void
tri_store_settle(struct tri_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    struct tri_node *next;
    for (struct tri_node *node = store->told.next; node != &store->told; node = next) {
        struct stored *stored = TRI_OWNER(node, struct stored, link);
        next = node->next;
        if (tri_slot_state(&words_of(store)[stored->place.slot]) == TRI_SLOT_ABSENT)
            continue;
        tri_list_remove(&stored->link);
        if (stored->pins > 1)
            stored->pins--;
        else
            drop_pin(stored);
    }
    (void)pthread_mutex_unlock(&store->lock);
}

static bool
is_inside(const struct tri_store *store, uint32_t start, uint64_t size)
{
    return size > 0 && size <= TRI_STORED_MAX && start < store->shape.granules &&
           granules_of(size) <= store->shape.granules - start;
}

/* ----------------------------------------------------------------------------------------------------------- reading */

/* With the lock, and an entry that keeps it there: where its word says. A word of nonsense names nothing. */
static uint8_t *
data_at(const struct stored *stored, uint32_t start)
{
    const struct tri_store *store = stored->store;
    return is_inside(store, start, stored->place.size) ? store->reading.base + (uint64_t)start * TRI_GRANULE : NULL;
}

static enum tri_pinned
pin_copy(struct stored *stored)
{
    struct tri_store *store = stored->store;
    const struct tri_place *place = &stored->place;
    uint32_t start;
    if (tri_pin_to_copy(&store->pinner, words_of(store), place->slot, place->generation, &start) != TRI_PINNED)
        return TRI_PIN_GONE;
    const uint8_t *data = data_at(stored, start);
    stored->copy = data != NULL ? malloc((size_t)place->size) : NULL;
    if (stored->copy != NULL)
        stored->buf.data = memcpy(stored->copy, data, (size_t)place->size);
    tri_pin_copied(&store->pinner);
    stored->entry = NO_ENTRY;
    return data == NULL ? TRI_PIN_GONE : stored->copy != NULL ? TRI_PINNED : TRI_PIN_FULL;
}

/* With the lock. */
static enum tri_pinned
first_pin(struct stored *stored)
{
    struct tri_store *store = stored->store;
    const struct tri_place *place = &stored->place;
    uint32_t start;
    enum tri_pinned pinned =
        tri_pin(&store->pinner, words_of(store), place->slot, place->generation, &stored->entry, &start);
    if (pinned != TRI_PINNED)
        return pinned;
    stored->buf.data = data_at(stored, start);
    if (stored->buf.data == NULL) {
        tri_unpin(&store->pinner, stored->entry);
        return TRI_PIN_GONE;
    }
    (void)*(volatile const uint8_t *)stored->buf.data;
    return TRI_PINNED;
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
        err = TRI_FAIL(error, TRP_EPROTO, "an object of %llu bytes in slot %u, of an arena of %u granules and %u slots",
                       (unsigned long long)place->size, place->slot, store->shape.granules, store->shape.slots);
    if (err == TRP_OK)
        fill(stored, store, place);
    if (err == TRP_OK && first_pin(stored) == TRI_PINNED)
        drop_pin(stored); /* who reads it soon finds its first page there */
    (void)pthread_mutex_unlock(&store->lock);
    if (err == TRP_OK)
        *buf = &stored->buf;
    else
        free(stored);
    return err;
}

enum tri_pinned
tri_store_pin(struct tri_buf *buf)
{
    struct stored *stored = buf->foreign;
    TRI_ASSERT(buf->free == free_stored);
    (void)pthread_mutex_lock(&stored->store->lock);
    enum tri_pinned pinned = stored->pins > 0 ? TRI_PINNED : first_pin(stored);
    if (pinned == TRI_PIN_FULL)
        pinned = pin_copy(stored);
    stored->pins += pinned == TRI_PINNED;
    (void)pthread_mutex_unlock(&stored->store->lock);
    return pinned;
}

void
tri_store_unpin(struct tri_buf *buf)
{
    struct stored *stored = buf->foreign;
    TRI_ASSERT(buf->free == free_stored && stored->pins > 0);
    (void)pthread_mutex_lock(&stored->store->lock);
    if (--stored->pins == 0)
        drop_pin(stored);
    (void)pthread_mutex_unlock(&stored->store->lock);
}

bool
tri_store_is_resident(struct tri_buf *buf)
{
    const struct stored *stored = buf->foreign;
    tri_slot_word *word = &words_of(stored->store)[stored->place.slot];
    return stored->pins > 0 ||
           (tri_slot_state(word) == TRI_SLOT_RESIDENT && tri_slot_generation(word) == stored->place.generation);
}

void
tri_store_lend(struct tri_buf *buf)
{
    struct stored *stored = buf->foreign;
    TRI_ASSERT(buf->free == free_stored && stored->pins > 0);
    (void)pthread_mutex_lock(&stored->store->lock);
    stored->pins++;
    stored->store->lent++;
    (void)pthread_mutex_unlock(&stored->store->lock);
}

void
tri_store_lent_back(struct tri_buf *buf)
{
    const struct stored *stored = buf->foreign;
    (void)pthread_mutex_lock(&stored->store->lock);
    stored->store->lent--;
    (void)pthread_mutex_unlock(&stored->store->lock);
    tri_store_unpin(buf);
}

bool
tri_store_has_lent(struct tri_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    const bool has_lent = store->lent > 0;
    (void)pthread_mutex_unlock(&store->lock);
    return has_lent;
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
tri_store_give(struct tri_store *store, uint32_t least, struct tri_span *run)
{
    (void)pthread_mutex_lock(&store->lock);
    const bool leaves = tri_space_leave(&store->space, least, run);
    (void)pthread_mutex_unlock(&store->lock);
    return leaves;
}

uint32_t
tri_store_give_slots(struct tri_store *store, uint32_t *slots, uint32_t most)
{
    (void)pthread_mutex_lock(&store->lock);
    const uint32_t count = store->slot_count < most ? (uint32_t)store->slot_count : most;
    store->slot_count -= count;
    memcpy(slots, store->slots + store->slot_count, count * sizeof *slots);
    (void)pthread_mutex_unlock(&store->lock);
    return count;
}
