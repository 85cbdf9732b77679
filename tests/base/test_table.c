/* test_table.c - the hash table against a naive model, and that it grows without a stop. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "transport/base/base.h"

enum { KEYS = 4096, STEPS = 200000 };

struct item {
    struct tri_entry entry;
    bool present;
    unsigned visits;
};

static void
count_visit(struct tri_entry *entry, void *user)
{
    (void)user;
    TRI_OWNER(entry, struct item, entry)->visits++;
}

static void
check_against_model(struct tri_table *table, struct item *items, size_t present)
{
    size_t seen = 0;

    cr_assert_eq(table->count, present);
    for (size_t i = 0; i < KEYS; i++)
        items[i].visits = 0;
    tri_table_each(table, count_visit, NULL);
    for (size_t i = 0; i < KEYS; i++) {
        cr_assert_eq(items[i].visits, items[i].present ? 1 : 0);
        seen += items[i].present;
    }
    cr_assert_eq(seen, present);
}

Test(table, agrees_with_a_naive_model_under_random_operations)
{
    static struct item items[KEYS];
    uint64_t random = 20260101;
    struct tri_table table;
    size_t present = 0;

    cr_assert_eq(tri_table_init(&table, tri_random_next(&random)), TRP_OK);
    for (size_t i = 0; i < KEYS; i++)
        items[i].entry.id = (struct tri_id){.space = i & 7, .number = i >> 3};
    for (int step = 0; step < STEPS; step++) {
        struct item *item = &items[tri_random_next(&random) % KEYS];
        struct tri_entry *found = tri_table_find(&table, item->entry.id);
        cr_assert_eq(found, item->present ? &item->entry : NULL);
        if (item->present) {
            tri_table_remove(&table, &item->entry);
            present--;
        } else {
            cr_assert_eq(tri_table_reserve(&table, 1), TRP_OK);
            tri_table_insert(&table, &item->entry);
            present++;
        }
        item->present = !item->present;
        if (step % 10000 == 0)
            check_against_model(&table, items, present);
    }
    check_against_model(&table, items, present);
    tri_table_fini(&table);
}

static void
remove_visited(struct tri_entry *entry, void *user)
{
    tri_table_remove(user, entry);
}

Test(table, a_visit_may_remove_the_entry_that_it_was_given)
{
    static struct item items[1000];
    struct tri_table table;

    cr_assert_eq(tri_table_init(&table, 7), TRP_OK);
    cr_assert_eq(tri_table_reserve(&table, 1000), TRP_OK);
    for (size_t i = 0; i < 1000; i++) {
        items[i].entry.id = (struct tri_id){.space = 1, .number = i};
        tri_table_insert(&table, &items[i].entry);
    }
    tri_table_each(&table, remove_visited, &table);
    cr_assert_eq(table.count, 0);
    cr_assert_null(tri_table_find(&table, items[3].entry.id));
    tri_table_fini(&table);
}

static size_t
longest_chain(const struct tri_table *table)
{
    size_t longest = 0;

    for (size_t bucket = 0, segment = 0, first = 0; bucket < table->buckets; bucket++) {
        size_t length = 0;
        if (bucket - first == (size_t)64 << segment)
            first += (size_t)64 << segment++;
        for (const struct tri_entry *e = table->segments[segment][bucket - first]; e != NULL; e = e->next)
            length++;
        if (length > longest)
            longest = length;
    }
    return longest;
}

Test(table, a_million_counters_spread_evenly)
{
    enum { MANY = 1000000 };
    struct tri_entry *entries = calloc(MANY, sizeof *entries);
    struct tri_table table;

    cr_assert_not_null(entries);
    cr_assert_eq(tri_table_init(&table, 99), TRP_OK);
    for (size_t i = 0; i < MANY; i++) {
        entries[i].id = (struct tri_id){.space = UINT64_C(5) << 32 | 1, .number = i + 1};
        cr_assert_eq(tri_table_reserve(&table, 1), TRP_OK);
        tri_table_insert(&table, &entries[i]);
    }
    cr_assert_eq(table.buckets, MANY, "a bucket per entry, got %zu", table.buckets);
    cr_assert_lt(longest_chain(&table), 20, "a chain of %zu", longest_chain(&table));
    for (size_t i = 0; i < MANY; i += 997)
        cr_assert_eq(tri_table_find(&table, entries[i].id), &entries[i]);
    tri_table_fini(&table);
    free(entries);
}

Test(table, what_was_reserved_at_once_can_be_inserted_without_asking)
{
    enum { MANY = 5000 };
    static struct tri_entry entries[MANY];
    struct tri_table table;

    cr_assert_eq(tri_table_init(&table, 1), TRP_OK);
    cr_assert_eq(tri_table_reserve(&table, MANY), TRP_OK);
    for (size_t i = 0; i < MANY; i++) {
        entries[i].id = (struct tri_id){.space = i, .number = i};
        tri_table_insert(&table, &entries[i]);
    }
    cr_assert_eq(table.count, MANY);
    tri_table_fini(&table);
}
