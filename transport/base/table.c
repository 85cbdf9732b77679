/*
 * table.c - hash table by linear hashing (Litwin 1980): with each insert that finds the table full one bucket, the next in
 * turn, is split in two, so that no insert stops to rehash everything. Buckets lie in segments that double and never move.
 * Pure but for malloc. Knows nothing of the entries but their ids.
 */
#include "transport/base/base.h"

#include <stdlib.h>

enum { TABLE_FIRST = 64, TABLE_FIRST_LOG = 6, SEGMENT_COUNT = 48, RUN_LOG = 12 };

/* Ids are counters: neighbours fall into neighbouring buckets, which are in the cache already. A peer that chooses them
 * otherwise cannot tell which runs of 4,096 fall together without the seed. */
static inline uint64_t
hash_id(const struct tri_table *table, struct tri_id id)
{
    const uint64_t a = (id.number >> RUN_LOG) ^ table->seed;
    const uint64_t b = id.space ^ (table->seed >> 32 | table->seed << 32);
    const unsigned __int128 first =
        (unsigned __int128)(a + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xa0761d6478bd642f);
    const uint64_t folded = (uint64_t)first ^ (uint64_t)(first >> 64) ^ b;
    const unsigned __int128 second = (unsigned __int128)folded * UINT64_C(0xe7037ed1a0b428db);
    return ((uint64_t)second ^ (uint64_t)(second >> 64)) + (id.number & (((uint64_t)1 << RUN_LOG) - 1));
}

/* Segment s begins at bucket (2^s - 1) * TABLE_FIRST. */
static inline unsigned
segment_of(size_t bucket)
{
    return 63u - (unsigned)__builtin_clzll(bucket + TABLE_FIRST) - TABLE_FIRST_LOG;
}

static inline struct tri_entry **
bucket_at(const struct tri_table *table, size_t bucket)
{
    const unsigned segment = segment_of(bucket);
    return &table->segments[segment][bucket + TABLE_FIRST - ((size_t)TABLE_FIRST << segment)];
}

static inline struct tri_entry **
bucket_of(const struct tri_table *table, struct tri_id id)
{
    const uint64_t hash = hash_id(table, id);
    size_t bucket = hash & (table->level_size - 1);

    if (bucket < table->split)
        bucket = hash & (2 * table->level_size - 1);
    return bucket_at(table, bucket);
}

trp_err
tri_table_init(struct tri_table *table, uint64_t seed)
{
    *table = (struct tri_table){.buckets = TABLE_FIRST, .level_size = TABLE_FIRST, .seed = seed};
    table->segments[0] = calloc(TABLE_FIRST, sizeof *table->segments[0]);
    if (table->segments[0] != NULL)
        return TRP_OK;
    *table = (struct tri_table){0};
    return TRP_ENOMEM;
}

void
tri_table_fini(struct tri_table *table)
{
    for (unsigned s = 0; s < SEGMENT_COUNT; s++)
        free(table->segments[s]);
    *table = (struct tri_table){0};
}

trp_err
tri_table_reserve(struct tri_table *table, size_t n)
{
    unsigned last;

    if (table->count + n <= table->buckets)
        return TRP_OK;
    last = segment_of(table->count + n);
    if (last >= SEGMENT_COUNT)
        return TRP_ENOMEM;
    for (unsigned s = 1; s <= last; s++) {
        if (table->segments[s] == NULL)
            table->segments[s] = calloc((size_t)TABLE_FIRST << s, sizeof *table->segments[s]);
        if (table->segments[s] == NULL)
            return TRP_ENOMEM;
    }
    return TRP_OK;
}

static void
split_one(struct tri_table *table)
{
    struct tri_entry **from = bucket_at(table, table->split);
    struct tri_entry **to, *entry = *from, *next;

    TRI_ASSERT(table->segments[segment_of(table->buckets)] != NULL);
    to = bucket_at(table, table->buckets);
    *from = NULL;
    for (; entry != NULL; entry = next) {
        struct tri_entry **bucket = (hash_id(table, entry->id) & table->level_size) != 0 ? to : from;
        next = entry->next;
        entry->next = *bucket;
        *bucket = entry;
    }
    table->buckets++;
    if (++table->split == table->level_size) {
        table->split = 0;
        table->level_size *= 2;
    }
}

void
tri_table_insert(struct tri_table *table, struct tri_entry *entry)
{
    struct tri_entry **bucket;

    if (table->count >= table->buckets)
        split_one(table);
    bucket = bucket_of(table, entry->id);
    entry->next = *bucket;
    *bucket = entry;
    table->count++;
}

struct tri_entry *
tri_table_find(const struct tri_table *table, struct tri_id id)
{
    struct tri_entry *entry = *bucket_of(table, id);

    while (entry != NULL && !tri_id_equal(entry->id, id))
        entry = entry->next;
    return entry;
}

void
tri_table_remove(struct tri_table *table, struct tri_entry *entry)
{
    struct tri_entry **place = bucket_of(table, entry->id);

    while (*place != entry) {
        TRI_ASSERT(*place != NULL);
        place = &(*place)->next;
    }
    *place = entry->next;
    entry->next = NULL;
    table->count--;
}

void
tri_table_each(struct tri_table *table, void (*visit)(struct tri_entry *entry, void *user), void *user)
{
    for (size_t i = 0; i < table->buckets; i++)
        for (struct tri_entry *entry = *bucket_at(table, i), *next; entry != NULL; entry = next) {
            next = entry->next;
            visit(entry, user);
        }
}
