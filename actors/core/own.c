/*
 * own.c - references under names that this process made. They are counters, so what is made, answered and released one after
 * the other lies side by side: a look is an index, not a hash. Under the process's lock. It must not know what they are of.
 */
#include "actors/core/state.h"

static struct tri_id
page_id(uint64_t number)
{
    return (struct tri_id){0, number / TRI_OWN_PAGE};
}

trp_err
tri_own_init(struct tri_own *own, uint64_t seed)
{
    return tri_table_init(&own->pages, seed);
}

static void
free_page(struct tri_own *own, struct tri_memory *memory, struct tri_own_page *page)
{
    tri_table_remove(&own->pages, &page->entry);
    if (own->made == page)
        own->made = NULL;
    if (own->seen == page)
        own->seen = NULL;
    if (own->spare == NULL)
        own->spare = page; /* all its places are empty */
    else
        tri_memory_put(memory, page, sizeof *page);
}

void
tri_own_fini(struct tri_own *own, struct tri_memory *memory)
{
    tri_memory_put(memory, own->spare, sizeof *own->spare);
    tri_table_fini(&own->pages);
    *own = (struct tri_own){0};
}

static struct tri_own_page *
page_of(struct tri_own *own, uint64_t number)
{
    const uint64_t wanted = number / TRI_OWN_PAGE;
    struct tri_entry *entry;

    if (own->seen != NULL && own->seen->entry.id.number == wanted)
        return own->seen;
    if (own->made != NULL && own->made->entry.id.number == wanted)
        return own->made;
    entry = tri_table_find(&own->pages, page_id(number));
    if (entry == NULL)
        return NULL;
    own->seen = TRI_OWNER(entry, struct tri_own_page, entry);
    return own->seen;
}

struct tri_ref *
tri_own_find(struct tri_own *own, uint64_t number)
{
    const struct tri_own_page *page = page_of(own, number);

    return page == NULL ? NULL : page->refs[number % TRI_OWN_PAGE];
}

static struct tri_own_page *
new_page(struct tri_own *own, struct tri_memory *memory, uint64_t number)
{
    struct tri_own_page *page = own->spare;

    if (tri_table_reserve(&own->pages, 1) != TRP_OK)
        return NULL;
    if (page == NULL) {
        page = tri_memory_take(memory, sizeof *page);
        if (page == NULL)
            return NULL;
        memset(page, 0, sizeof *page);
    }
    own->spare = NULL;
    page->entry.id = page_id(number);
    tri_table_insert(&own->pages, &page->entry);
    return page;
}

trp_err
tri_own_insert(struct tri_own *own, struct tri_memory *memory, struct tri_ref *ref)
{
    const uint64_t number = ref->entry.id.number;
    struct tri_own_page *page = own->made;

    if (page == NULL || page->entry.id.number != number / TRI_OWN_PAGE) {
        page = page_of(own, number);
        if (page == NULL)
            page = new_page(own, memory, number);
        if (page == NULL)
            return TRP_ENOMEM;
        own->made = page;
    }
    TRI_ASSERT(page->refs[number % TRI_OWN_PAGE] == NULL);
    page->refs[number % TRI_OWN_PAGE] = ref;
    page->count++;
    own->count++;
    return TRP_OK;
}

void
tri_own_remove(struct tri_own *own, struct tri_memory *memory, uint64_t number)
{
    struct tri_own_page *page = page_of(own, number);

    TRI_ASSERT(page != NULL && page->refs[number % TRI_OWN_PAGE] != NULL);
    page->refs[number % TRI_OWN_PAGE] = NULL;
    own->count--;
    if (--page->count == 0)
        free_page(own, memory, page);
}

struct each {
    struct tri_own *own;
    struct tri_memory *memory;
    void (*visit)(struct tri_ref *ref, void *user);
    void *user;
};

static void
visit_page(struct tri_entry *entry, void *user)
{
    struct tri_own_page *page = TRI_OWNER(entry, struct tri_own_page, entry);
    const struct each *each = user;

    page->count++; /* it stays meanwhile */
    for (size_t i = 0; i < TRI_OWN_PAGE; i++)
        if (page->refs[i] != NULL)
            each->visit(page->refs[i], each->user);
    if (--page->count == 0)
        free_page(each->own, each->memory, page);
}

void
tri_own_each(struct tri_own *own, struct tri_memory *memory, void (*visit)(struct tri_ref *ref, void *user), void *user)
{
    struct each each = {own, memory, visit, user};

    tri_table_each(&own->pages, visit_page, &each);
}
