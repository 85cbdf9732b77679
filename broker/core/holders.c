/*
 * holders.c - what is told of objects: how large they are, where they lie, how old they are, and who has them: processes, calls
 * on their way, objects in whose values their names are, readers. Only for looking: nothing here changes anything, and names
 * are looked for in all that there is.
 */
#include "broker/core/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HELD_MOST = 65536, /* that are found for a page, */
    LISTED_MOST = 16   /* and listed of an object: the others are counted */
};

/* -------------------------------------------------------------------------------------------------------------- states */

const char *
tri_call_state(const struct tri_pending *call)
{
    static const char *const states[] = {"?",        "waits for arguments", "queued",   "given",
                                         "accepted", "answered, not taken", "answered", "not found yet"};
    if (call->missing == 0 && call->state == TRI_CALL_WAITING)
        return call->kind == TRI_CALL_WATCH ? call->event_death ? "until it ends" : "until it is constructed"
                                            : "waits for a place";
    if (call->cancelled && call->host != NULL)
        return "cancelled"; /* and it has not ended */
    return call->missing > 0 ? states[TRI_CALL_WAITING] : states[call->state];
}

const char *
tri_object_state(const struct tri_object *object)
{
    static const char *const states[] = {"?", "pending", "unknown", "ready", "failed"};
    return states[object->state];
}

/* ------------------------------------------------------------------------------------------------------------- finding */

/* Each name once, however often it is there. */
static bool
note(struct tri_page *page, const struct tri_refs *refs, const struct tri_pending *call, const struct tri_object *in)
{
    for (uint32_t i = 0; refs != NULL && i < refs->count; i++) {
        const struct tri_thing *thing = refs->uses[i].thing;
        if (thing->mark != page->core->mark || page->held_count == HELD_MOST)
            continue;
        if (!TRI_RESERVE(page->held, page->held_capacity, page->held_count + 1))
            return false;
        page->held[page->held_count++] = (struct tri_held){.thing = thing, .call = call, .in = in};
    }
    return true;
}

struct search {
    struct tri_page *page;
    bool failed;
};

/* Those in whose values names are; and calls whose callers are gone, which are known by their results. */
static void
look_at(struct tri_entry *entry, void *user)
{
    struct search *search = user;
    const struct tri_object *object = tri_as_object(TRI_OWNER(entry, struct tri_thing, entry));
    if (object == NULL || search->failed)
        return;
    const struct tri_pending *call = object->call;
    search->failed = !note(search->page, object->contains, NULL, object) ||
                     (call != NULL && call->caller == NULL && !note(search->page, call->refs, call, NULL));
}

static int
compare_held(const void *left, const void *right)
{
    const struct tri_held *a = left, *b = right;
    if (a->thing != b->thing)
        return (uintptr_t)a->thing < (uintptr_t)b->thing ? -1 : 1;
    if (a->call != b->call)
        return (uintptr_t)a->call < (uintptr_t)b->call ? -1 : 1;
    return (uintptr_t)a->in < (uintptr_t)b->in ? -1 : (uintptr_t)a->in > (uintptr_t)b->in;
}

bool
tri_holders_find(struct tri_page *page)
{
    struct tri_core *core = page->core;
    struct search search = {.page = page};
    for (size_t i = 0; i < core->peer_capacity; i++) {
        if (core->peers[i] == NULL)
            continue;
        TRI_EACH(&core->peers[i]->calls, node)
        {
            const struct tri_pending *call = TRI_OWNER(node, struct tri_pending, caller_link);
            search.failed = search.failed || !note(page, call->refs, call, NULL);
        }
    }
    tri_table_each(&core->things, look_at, &search);
    if (search.failed)
        return false;
    if (page->held_count > 0)
        qsort(page->held, page->held_count, sizeof *page->held, compare_held);
    return core->depot == NULL || tri_depot_pins(core->depot, &page->pins, &page->pin_count);
}

/* The first one of this thing; *count of them follow. */
static const struct tri_held *
held_of(const struct tri_page *page, const struct tri_thing *thing, size_t *count)
{
    size_t low = 0, high = page->held_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((uintptr_t)page->held[middle].thing < (uintptr_t)thing)
            low = middle + 1;
        else
            high = middle;
    }
    for (*count = 0; low + *count < page->held_count && page->held[low + *count].thing == thing;)
        (*count)++;
    return page->held + low;
}

size_t
tri_object_pins(const struct tri_page *page, const struct tri_object *object, const struct tri_pinning **first)
{
    const struct tri_place *place = tri_object_stored(object) ? tri_section_place(&object->value->section) : NULL;
    size_t low = 0, high = page->pin_count, count = 0;
    *first = NULL;
    if (place == NULL)
        return 0;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (page->pins[middle].slot < place->slot)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + count < page->pin_count && page->pins[low + count].slot == place->slot)
        count++;
    *first = page->pins + low;
    return count;
}

/* ------------------------------------------------------------------------------------------------------------- listing */

/* What holds an object, as a LIST of MAPs. */
struct listing {
    struct tri_page *page;
    trp_value *items;
    size_t count;
    uint64_t more; /* that are not listed */
};

/* One more, of at most four fields. NULL: there are enough, or no memory. */
static trp_value *
add_item(struct listing *listing, size_t fields, const char *kind)
{
    trp_value *entries = listing->count < LISTED_MOST ? tri_page_values(listing->page, 2 * fields) : NULL;
    if (entries == NULL) {
        listing->more++;
        return NULL;
    }
    entries[0] = trp_str("kind");
    entries[1] = trp_str(kind);
    listing->items[listing->count++] = trp_map(entries, fields);
    return entries + 2;
}

static void
add_process(struct listing *listing, const char *kind, const struct tri_peer *peer, int32_t pid)
{
    const struct tri_actor *actor = peer != NULL && peer->host != NULL ? peer->host->actor : NULL;
    const char *role = peer == NULL ? "process" : peer->host == NULL ? "driver" : actor != NULL ? "actor" : "tasks";
    const char *name = "";
    if (actor != NULL)
        name = actor->name != NULL ? actor->name->text : actor->texts->label;
    else if (peer != NULL && peer->host == NULL)
        name = peer->program;
    trp_value *entries = add_item(listing, 4, kind);
    if (entries == NULL)
        return;
    entries[0] = trp_str("role");
    entries[1] = trp_str(role);
    entries[2] = trp_str("name");
    entries[3] = tri_page_string(listing->page, name);
    entries[4] = trp_str("pid");
    entries[5] = trp_i64(peer != NULL ? peer->pid : pid);
}

static void
add_call(struct listing *listing, const struct tri_pending *call)
{
    const char *method = call->kind == TRI_CALL_SPAWN ? "its constructor" : tri_method_text(call);
    const char *label = call->actor != NULL ? call->actor->texts->label : "";
    char name[2 * TRI_NAME_MAX + 4], id[TRI_ID_TEXT_SIZE];
    snprintf(name, sizeof name, "%s%s%s", label, label[0] != '\0' && method[0] != '\0' ? "." : "", method);
    trp_value *entries = add_item(listing, 4, "call");
    if (entries == NULL)
        return;
    entries[0] = trp_str("name");
    entries[1] = tri_page_string(listing->page, name);
    entries[2] = trp_str("result");
    entries[3] = tri_page_string(listing->page, tri_id_format(call->id, id));
    entries[4] = trp_str("state");
    entries[5] = trp_str(tri_call_state(call));
}

/* By calls and by other objects; each once. Returns how many names those are. */
static size_t
add_held(struct listing *listing, const struct tri_object *object)
{
    char id[TRI_ID_TEXT_SIZE];
    size_t count = 0;
    const struct tri_held *held = held_of(listing->page, &object->thing, &count);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && held[i].call == held[i - 1].call && held[i].in == held[i - 1].in)
            continue;
        if (held[i].call != NULL) {
            add_call(listing, held[i].call);
            continue;
        }
        trp_value *entries = add_item(listing, 2, "object");
        if (entries == NULL)
            continue;
        entries[0] = trp_str("id");
        entries[1] = tri_page_string(listing->page, tri_id_format(tri_thing_id(&held[i].in->thing), id));
    }
    return count;
}

static void
add_pins(struct listing *listing, const struct tri_object *object)
{
    const struct tri_pinning *pins;
    const size_t count = tri_object_pins(listing->page, object, &pins);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || pins[i].tenant != pins[i - 1].tenant)
            add_process(listing, "pin", tri_peer_of_tenant(listing->page->core, pins[i].tenant), pins[i].pid);
}

static void
put_holders(struct tri_page *page, const struct tri_object *object)
{
    struct listing listing = {.page = page, .items = tri_page_values(page, LISTED_MOST)};
    if (listing.items == NULL)
        return;
    for (const struct tri_hold *hold = object->thing.holds; hold != NULL; hold = hold->next)
        add_process(&listing, "process", hold->peer, 0);
    if (add_held(&listing, object) < object->thing.flights)
        (void)add_item(&listing, 1, "message"); /* whose sender is gone */
    add_pins(&listing, object);
    tri_page_put(page, "held_by", trp_list(listing.items, listing.count));
    tri_page_put(page, "held_more", trp_u64(listing.more));
}

/* ------------------------------------------------------------------------------------------------------------- objects */

const char *
tri_object_location(const struct tri_object *object)
{
    if (object->state != TRI_OBJECT_READY && object->state != TRI_OBJECT_FAILED)
        return "";
    if (object->value == NULL)
        return "processes"; /* that hold it */
    if (!tri_object_stored(object))
        return "inline";
    const struct tri_buf *stored = object->value->section.frame;
    return tri_depot_lost(stored) != NULL ? "lost" : tri_depot_is_here(stored) ? "shared memory" : "spilled";
}

void
tri_page_object(struct tri_page *page, const struct tri_object *object)
{
    const uint32_t now_ds = (uint32_t)(page->core->now_ns / (TRI_NS_PER_S / 10));
    const struct tri_pinning *pins;
    tri_page_put(page, "state", trp_str(tri_object_state(object)));
    tri_page_put(page, "bytes", object->value != NULL ? trp_u64(object->value->section.size) : trp_null());
    tri_page_put(page, "location", trp_str(tri_object_location(object)));
    tri_page_put(page, "holders", trp_u64(object->thing.hold_count));
    tri_page_put(page, "in_flight", trp_u64(object->thing.flights));
    tri_page_put(page, "pins", trp_u64(tri_object_pins(page, object, &pins)));
    tri_page_put(page, "waiting", trp_u64(object->waiting));
    tri_page_put(page, "age_s", trp_f64((double)(uint32_t)(now_ds - object->since_ds) / 10));
    put_holders(page, object);
}
