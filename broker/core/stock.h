/*
 * stock.h - what the core is built with: pools of records, parcels (kept envelopes), values, the heap of timers. Private to
 * broker/core/, and knows nothing of calls or actors.
 */
#ifndef TRI_CORE_STOCK_H
#define TRI_CORE_STOCK_H

#include <stdlib.h>

#include "schemas/schemas.h"

#define TRI_LINE 64 /* bytes of a line of the cache */

/* Records of one size, never given back to the system before the end. */
struct tri_pool {
    size_t size, free_count, used, fresh_count;
    void *free;           /* given back; free_count counts the fresh ones, too */
    unsigned char *fresh; /* the rest of the newest slab, never used */
    void *slabs;
};
void tri_pool_init(struct tri_pool *pool, size_t size);
void tri_pool_fini(struct tri_pool *pool);
bool tri_pool_grow(struct tri_pool *pool, size_t count);
static inline bool
tri_pool_reserve(struct tri_pool *pool, size_t count)
{
    return pool->free_count >= count || tri_pool_grow(pool, count);
}
void *tri_zeroed_new(size_t size);          /* free() it; a large one lies in large pages, where the system has some */
void *tri_pool_take(struct tri_pool *pool); /* zeroed; aborts only where memory ends after the reserve was used up */
void *tri_pool_take_raw(struct tri_pool *pool); /* as it comes */
void tri_pool_put(struct tri_pool *pool, void *record);

/* An envelope that has to be kept: one block; frames are retained. */
struct tri_parcel {
    struct tri_route route;
    uint32_t section_count;
    uint64_t bytes; /* as tri_message's */
    struct tri_section *sections;
    struct tri_pool *pool; /* that it is from; NULL: malloc */
};
enum { TRI_PARCEL_BYTES = 576 }; /* of those from a pool, with all that they have */
struct tri_parcel *tri_parcel_new(const struct tri_route *route, const struct tri_section *sections,
                                  uint32_t section_count, uint64_t bytes);                       /* NULL: no memory */
struct tri_parcel *tri_parcel_plain(struct tri_pool *pool, const struct tri_envelope *envelope); /* one section */
void tri_parcel_free(struct tri_parcel **parcel);

/* The value of an object, or the error that it is: one block; a frame is retained. There are many: a parcel is twice as large. */
struct tri_value {
    struct tri_section section;
    uint32_t bytes; /* as tri_parcel's */
    bool failed;
};
struct tri_value *tri_value_new(const struct tri_section *section, bool failed); /* NULL: no memory */
void tri_value_free(struct tri_value **value);                                   /* NULL passes */

enum tri_timer_kind { TRI_TIMER_CALL = 1, TRI_TIMER_ACTOR, TRI_TIMER_HOST };
struct tri_timer {
    uint64_t due_ns;
    size_t slot; /* in the heap, from 1; 0: not set */
    uint8_t kind;
};
struct tri_timers {
    struct tri_timer **heap;
    size_t count, capacity;
};
bool tri_timer_set(struct tri_timers *timers, struct tri_timer *timer, uint8_t kind, uint64_t due_ns);
void tri_timer_clear(struct tri_timers *timers, struct tri_timer *timer);

#endif
