/*
 * stock.c - the small parts of the core: pools of records, parcels (kept envelopes), the heap of timers. Any owner; knows
 * nothing of calls or actors.
 */
#include "broker/core/stock.h"

#include <string.h>
#include <sys/mman.h>

/* Slabs grow with the pool, up to a few large pages: what is looked up at random needs few entries of the page tables. */
enum { SLAB_RECORDS = 256, SLAB_BYTES_MAX = 8 << 20, LARGE_BYTES = 4 << 20, LARGE_PAGE = 2 << 20, PAGE = 4096 };

struct slab {
    struct slab *next;
    uint64_t align;
    unsigned char records[];
};

void
tri_pool_init(struct tri_pool *pool, size_t size)
{
    memset(pool, 0, sizeof *pool);
    pool->size = tri_pad8(size < sizeof(void *) ? sizeof(void *) : size);
}

void
tri_pool_fini(struct tri_pool *pool)
{
    for (struct slab *slab = pool->slabs; slab != NULL;) {
        struct slab *next = slab->next;
        free(slab);
        slab = next;
    }
    memset(pool, 0, sizeof *pool);
}

/* Whether the system has large pages or not: it is faster, no more. */
static void *
prefer_large(void *memory, size_t size)
{
    const size_t before = (uintptr_t)memory % PAGE; /* whole pages, so that neighbours join */
    if (memory != NULL && size >= LARGE_BYTES)
        (void)madvise((char *)memory - before, (before + size + PAGE - 1) & ~(size_t)(PAGE - 1), MADV_HUGEPAGE);
    return memory;
}

void *
tri_zeroed_new(size_t size)
{
    return prefer_large(calloc(1, size), size);
}

static size_t
slab_records(const struct tri_pool *pool)
{
    const size_t quarter = (pool->used + pool->free_count) / 4, most = SLAB_BYTES_MAX / pool->size;
    const size_t records = quarter < most ? quarter : most;
    return records > SLAB_RECORDS ? records : SLAB_RECORDS;
}

/* A large one is made of whole large pages, which makes it larger. */
static struct slab *
slab_new(size_t *size)
{
    if (*size < LARGE_BYTES)
        return malloc(*size);
    *size = (*size + LARGE_PAGE - 1) & ~(size_t)(LARGE_PAGE - 1);
    return prefer_large(aligned_alloc(LARGE_PAGE, *size), *size);
}

static void
push(struct tri_pool *pool, void *record)
{
    memcpy(record, &pool->free, sizeof pool->free);
    pool->free = record;
}

bool
tri_pool_grow(struct tri_pool *pool, size_t count)
{
    while (pool->free_count < count) {
        size_t records = slab_records(pool), size = sizeof(struct slab) + TRI_LINE + records * pool->size;
        struct slab *slab = slab_new(&size);
        if (slab == NULL)
            return false;
        records = (size - sizeof(struct slab) - TRI_LINE) / pool->size;
        for (; pool->fresh_count > 0; pool->fresh_count--, pool->fresh += pool->size)
            push(pool, pool->fresh);
        slab->next = pool->slabs;
        pool->slabs = slab;
        pool->fresh = slab->records + TRI_LINE - (uintptr_t)slab->records % TRI_LINE;
        pool->fresh_count = records;
        pool->free_count += records;
    }
    return true;
}

void *
tri_pool_take_raw(struct tri_pool *pool)
{
    bool reserved = pool->free_count > 0 || tri_pool_reserve(pool, 1);
    TRI_ASSERT(reserved);
    void *record = pool->free;
    if (record != NULL) {
        memcpy(&pool->free, record, sizeof pool->free);
    } else {
        record = pool->fresh;
        pool->fresh += pool->size;
        pool->fresh_count--;
    }
    pool->free_count--;
    pool->used++;
    return record;
}

void *
tri_pool_take(struct tri_pool *pool)
{
    return memset(tri_pool_take_raw(pool), 0, pool->size);
}

void
tri_pool_put(struct tri_pool *pool, void *record)
{
    push(pool, record);
    pool->free_count++;
    pool->used--;
}

/* What it takes behind itself: its entries, and data that are no frame. */
static size_t
room_of(const struct tri_section *section)
{
    return section->ref_count * sizeof *section->refs + (section->frame == NULL ? tri_pad8(section->size) : 0);
}

/* Copies it, with what it has, to `at`, which has the room; or retains its frame. Returns the end. */
static uint8_t *
keep(struct tri_section *kept, const struct tri_section *section, uint8_t *at)
{
    *kept = *section;
    kept->refs = (const struct tri_ref_entry *)(const void *)at;
    if (section->ref_count > 0)
        memcpy(at, section->refs, section->ref_count * sizeof *section->refs);
    at += section->ref_count * sizeof *section->refs;
    if (section->frame != NULL) {
        tri_buf_retain(section->frame);
        return at;
    }
    kept->data = at;
    if (section->size > 0)
        memcpy(at, section->data, section->size);
    return at + tri_pad8(section->size);
}

struct tri_parcel *
tri_parcel_new(const struct tri_route *route, const struct tri_section *sections, uint32_t section_count,
               uint64_t bytes)
{
    size_t size = sizeof(struct tri_parcel) + section_count * sizeof *sections;
    for (uint32_t i = 0; i < section_count; i++)
        size += room_of(&sections[i]);
    struct tri_parcel *parcel = malloc(size);
    if (parcel == NULL)
        return NULL;
    parcel->route = *route;
    parcel->section_count = section_count;
    parcel->bytes = bytes;
    parcel->pool = NULL;
    parcel->sections = (struct tri_section *)(void *)(parcel + 1);
    uint8_t *at = (uint8_t *)(parcel->sections + section_count);
    for (uint32_t i = 0; i < section_count; i++)
        at = keep(&parcel->sections[i], &sections[i], at);
    return parcel;
}

struct tri_parcel *
tri_parcel_plain(struct tri_pool *pool, const struct tri_envelope *envelope)
{
    const size_t size = sizeof(struct tri_parcel) + sizeof(struct tri_section) + tri_envelope_room(envelope);
    bool small = size <= TRI_PARCEL_BYTES && tri_pool_reserve(pool, 1);
    struct tri_parcel *parcel = small ? tri_pool_take_raw(pool) : malloc(size);
    if (parcel == NULL)
        return NULL;
    struct tri_section *section = (struct tri_section *)(void *)(parcel + 1);
    *parcel = (struct tri_parcel){envelope->route, 1, envelope->bytes, section, small ? pool : NULL};
    tri_envelope_keep(envelope, section + 1, section);
    return parcel;
}

void
tri_parcel_free(struct tri_parcel **parcel)
{
    if (*parcel == NULL)
        return;
    for (uint32_t i = 0; i < (*parcel)->section_count; i++)
        tri_buf_release(&(*parcel)->sections[i].frame);
    if ((*parcel)->pool != NULL)
        tri_pool_put((*parcel)->pool, *parcel);
    else
        free(*parcel);
    *parcel = NULL;
}

struct tri_value *
tri_value_new(const struct tri_section *section, bool failed)
{
    struct tri_value *value = malloc(sizeof *value + room_of(section));
    if (value == NULL)
        return NULL;
    (void)keep(&value->section, section, (uint8_t *)(value + 1));
    value->section.place = 0;
    value->bytes = tri_section_place(section) != NULL ? sizeof(struct tri_place) : (uint32_t)section->size;
    value->failed = failed;
    return value;
}

void
tri_value_free(struct tri_value **value)
{
    if (*value != NULL)
        tri_buf_release(&(*value)->section.frame);
    free(*value);
    *value = NULL;
}

static void
heap_move(struct tri_timers *timers, struct tri_timer *timer, size_t slot)
{
    timers->heap[slot - 1] = timer;
    timer->slot = slot;
}

static void
heap_up(struct tri_timers *timers, struct tri_timer *timer, size_t slot)
{
    while (slot > 1 && timers->heap[slot / 2 - 1]->due_ns > timer->due_ns) {
        heap_move(timers, timers->heap[slot / 2 - 1], slot);
        slot /= 2;
    }
    heap_move(timers, timer, slot);
}

static void
heap_down(struct tri_timers *timers, struct tri_timer *timer, size_t slot)
{
    for (;;) {
        size_t child = 2 * slot;
        if (child > timers->count)
            break;
        if (child < timers->count && timers->heap[child]->due_ns < timers->heap[child - 1]->due_ns)
            child++;
        if (timers->heap[child - 1]->due_ns >= timer->due_ns)
            break;
        heap_move(timers, timers->heap[child - 1], slot);
        slot = child;
    }
    heap_move(timers, timer, slot);
}

bool
tri_timer_set(struct tri_timers *timers, struct tri_timer *timer, uint8_t kind, uint64_t due_ns)
{
    tri_timer_clear(timers, timer);
    if (!TRI_RESERVE(timers->heap, timers->capacity, timers->count + 1))
        return false;
    timer->kind = kind;
    timer->due_ns = due_ns;
    heap_up(timers, timer, ++timers->count);
    return true;
}

void
tri_timer_clear(struct tri_timers *timers, struct tri_timer *timer)
{
    size_t slot = timer->slot;
    if (slot == 0)
        return;
    timer->slot = 0;
    struct tri_timer *last = timers->heap[--timers->count];
    if (last == timer)
        return;
    if (slot > 1 && timers->heap[slot / 2 - 1]->due_ns > last->due_ns)
        heap_up(timers, last, slot);
    else
        heap_down(timers, last, slot);
}
