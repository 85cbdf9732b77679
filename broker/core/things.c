/*
 * things.c - names and who holds them: one table for objects and actors, holds with hand-over counts, the entries that
 * envelopes and values carry. What may have lost its last hold is put on a list and looked at when the event is over.
 */
#include "broker/core/state.h"

#include <inttypes.h>
#include <string.h>

bool
tri_things_grow(struct tri_core *core, size_t count)
{
    if (tri_table_reserve(&core->things, count + 256) != TRP_OK)
        return false;
    core->things_room = core->things.count + count + 256;
    return true;
}

void
tri_thing_add(struct tri_core *core, struct tri_thing *thing)
{
    const struct tri_id id = thing->entry.id;
    struct tri_peer *maker = tri_peer_of_space(core, id.space);
    if (maker == NULL)
        core->strangers = id.space > core->strangers ? id.space : core->strangers;
    else if (id.number > maker->newest)
        maker->newest = id.number;
    tri_table_insert(&core->things, &thing->entry);
}

struct tri_thing *
tri_thing_find(struct tri_core *core, struct tri_id id)
{
    struct tri_pending *quiet = tri_quiet_find(core, id);
    if (quiet != NULL)
        return &tri_quiet_name(core, quiet)->thing;
    struct tri_entry *entry = tri_table_find(&core->things, id);
    return entry != NULL ? TRI_OWNER(entry, struct tri_thing, entry) : NULL;
}

struct tri_hold *
tri_hold_find(const struct tri_thing *thing, const struct tri_peer *peer)
{
    if (thing->own.peer == peer)
        return thing->own.handed > 0 ? (struct tri_hold *)&thing->own : NULL;
    for (struct tri_hold *hold = thing->holds; hold != NULL; hold = hold->next)
        if (hold->peer == peer)
            return hold;
    return NULL;
}

struct tri_hold *
tri_hold_hand(struct tri_core *core, struct tri_thing *thing, struct tri_peer *peer, uint64_t times)
{
    struct tri_hold *hold = tri_hold_find(thing, peer);
    if (peer->struck || times == 0)
        return hold;
    if (hold == NULL) {
        bool own = peer->entry.id.space == thing->entry.id.space && thing->own.peer == NULL;
        hold = own ? &thing->own : tri_pool_take(&core->holds_pool);
        hold->thing = thing;
        hold->peer = peer;
        hold->next = thing->holds;
        thing->holds = hold;
        thing->hold_count++;
        core->hold_count++;
        tri_list_append(&peer->holds, &hold->by_peer);
        tri_list_init(&hold->sent_link);
    }
    hold->handed += times;
    return hold;
}

void
tri_hold_end(struct tri_core *core, struct tri_hold *hold)
{
    struct tri_thing *thing = hold->thing;
    struct tri_object *object = tri_as_object(thing);
    struct tri_peer *peer = hold->peer;
    bool had_value = hold->has_value || hold->sent;
    for (struct tri_hold **at = &thing->holds; *at != NULL; at = &(*at)->next) {
        if (*at == hold) {
            *at = hold->next;
            break;
        }
    }
    thing->hold_count--;
    core->hold_count--;
    tri_list_remove(&hold->by_peer);
    tri_list_remove(&hold->sent_link);
    if (object != NULL && hold->waiting)
        object->waiting--;
    if (hold == &thing->own)
        memset(hold, 0, sizeof *hold);
    else
        tri_pool_put(&core->holds_pool, hold);
    tri_settle(core, thing);
    if (object == NULL)
        return;
    if (object->fetching == peer && object->keeper != peer) {
        tri_object_unasked(core, object);
        had_value = true;
    }
    if (had_value)
        tri_object_copies(core, object);
}

uint64_t
tri_core_handed(const struct tri_core *core, tri_peer_index index, struct tri_id id)
{
    const struct tri_peer *peer = tri_peer_find(core, index);
    const struct tri_entry *entry = tri_table_find(&core->things, id);
    const struct tri_hold *hold =
        peer != NULL && entry != NULL ? tri_hold_find(TRI_OWNER(entry, struct tri_thing, entry), peer) : NULL;
    return hold != NULL ? hold->handed : 0;
}

void
tri_settle(struct tri_core *core, struct tri_thing *thing)
{
    if (thing->settling)
        return;
    thing->settling = true;
    thing->settle_next = core->settling;
    core->settling = thing;
}

/* ------------------------------------------------------------------------------------------------------------- entries */

/* Finds or makes what an entry names. A name of the sender's own that is new here was private so far. */
static struct tri_thing *
adopt(struct tri_core *core, struct tri_peer *peer, const struct tri_ref_entry *entry)
{
    struct tri_thing *thing = tri_thing_find(core, entry->id);
    bool own = entry->id.space == peer->entry.id.space;
    if (thing == NULL && (entry->flags & TRI_REF_ACTOR) != 0) {
        struct tri_actor *actor = tri_actor_new(core, entry->id);
        thing = &actor->thing;
        actor->coming = own && !peer->reporting; /* its SPAWN waits for credit; a value was quicker */
        if (!own && !tri_core_open(core))
            tri_actor_die(core, actor, NULL, NULL, "nobody on this node knows it");
    } else if (thing == NULL) {
        struct tri_object *object = tri_object_new(core, entry->id, TRI_OBJECT_UNKNOWN);
        thing = &object->thing;
        if (!own && !tri_core_open(core))
            tri_object_lost(core, object);
    }
    if (own && thing->own.handed == 0 && !peer->reporting) { /* its SNAPSHOT says what it holds */
        struct tri_hold *hold = tri_hold_hand(core, thing, peer, 1);
        struct tri_object *object = tri_as_object(thing);
        if (object != NULL && hold != NULL && object->state != TRI_OBJECT_PENDING)
            hold->has_value = true;
    }
    if (own && thing->kind == TRI_THING_OBJECT) {
        struct tri_object *object = tri_as_object(thing);
        object->open = object->state == TRI_OBJECT_UNKNOWN && (entry->flags & TRI_REF_OPEN) != 0;
    }
    thing->shared = true;
    thing->flights++;
    return thing;
}

static trp_err
check_entry(struct tri_core *core, const struct tri_ref_entry *entry, trp_error *error)
{
    struct tri_thing *thing = tri_thing_find(core, entry->id);
    char text[TRI_ID_TEXT_SIZE];
    if (thing != NULL && (thing->kind == TRI_THING_ACTOR) != ((entry->flags & TRI_REF_ACTOR) != 0))
        return TRI_FAIL(error, TRP_EPROTO, "a reference entry takes %s for what it is not",
                        tri_id_format(entry->id, text));
    return TRP_OK;
}

trp_err
tri_refs_take(struct tri_core *core, struct tri_peer *peer, const struct tri_section *sections, uint32_t count,
              struct tri_refs **made, trp_error *error)
{
    uint32_t total = 0;
    *made = NULL;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < sections[i].ref_count; k++)
            TRP_TRY(check_entry(core, &sections[i].refs[k], error));
        total += sections[i].ref_count;
    }
    if (total == 0)
        return TRP_OK;
    if (core->object_count + total > core->limits.objects)
        return TRI_FAIL(error, TRP_ELIMIT, "node '%s' has %u objects, its limit", core->node, core->object_count);
    struct tri_refs *refs = malloc(sizeof *refs + total * sizeof *refs->uses);
    if (refs == NULL || !tri_things_reserve(core, total + 1) ||
        !tri_pool_reserve(&core->holds_pool, 2 * (size_t)total)) {
        free(refs);
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for %u references", total);
    }
    refs->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < sections[i].ref_count; k++) {
            const struct tri_ref_entry *entry = &sections[i].refs[k];
            if (tri_id_is_none(entry->id))
                continue; /* its value came along */
            struct tri_use *use = &refs->uses[refs->count++];
            use->thing = adopt(core, peer, entry);
            use->place = i == 0 && use->thing->kind == TRI_THING_OBJECT ? entry->place : TRI_NESTED;
            if (use->thing->kind == TRI_THING_OBJECT) {
                tri_as_object(use->thing)->carried = true;
                tri_object_fetch(core, tri_as_object(use->thing));
            }
        }
    }
    *made = refs;
    return TRP_OK;
}

void
tri_refs_drop(struct tri_core *core, struct tri_refs **refs)
{
    if (*refs == NULL)
        return;
    for (uint32_t i = 0; i < (*refs)->count; i++) {
        struct tri_thing *thing = (*refs)->uses[i].thing;
        TRI_ASSERT(thing->flights > 0);
        if (--thing->flights == 0)
            tri_settle(core, thing);
    }
    free(*refs);
    *refs = NULL;
}

/* The peer gets an envelope with these: one more hand-over of each that stays a reference. */
void
tri_refs_hand(struct tri_core *core, const struct tri_refs *refs, struct tri_peer *peer)
{
    for (uint32_t i = 0; refs != NULL && i < refs->count; i++)
        if (refs->uses[i].place == TRI_NESTED)
            tri_hold_hand(core, refs->uses[i].thing, peer, 1);
}

/* Whether `object` is among these or what they contain. Each is looked at once, by a list. */
bool
tri_object_leads_to(struct tri_core *core, const struct tri_refs *refs, const struct tri_object *object)
{
    struct tri_thing *work = NULL;
    if (refs == NULL)
        return false;
    core->mark++;
    for (;;) {
        for (uint32_t i = 0; refs != NULL && i < refs->count; i++) {
            struct tri_thing *thing = refs->uses[i].thing;
            if (thing == &object->thing)
                return true;
            if (thing->mark == core->mark || thing->kind != TRI_THING_OBJECT)
                continue;
            thing->mark = core->mark;
            thing->search_next = work;
            work = thing;
        }
        if (work == NULL)
            return false;
        refs = tri_as_object(work)->contains;
        work = work->search_next;
    }
}

static trp_err
release_one(struct tri_core *core, struct tri_peer *peer, struct tri_id id, uint64_t handed, trp_error *error)
{
    char text[TRI_ID_TEXT_SIZE];
    if (tri_quiet_release(peer, id, handed))
        return TRP_OK;
    struct tri_thing *thing = tri_thing_find(core, id);
    struct tri_hold *hold = thing != NULL ? tri_hold_find(thing, peer) : NULL;
    if (hold == NULL && id.space == peer->entry.id.space)
        return TRP_OK; /* its own, and private again */
    if (hold == NULL || handed > hold->handed)
        return TRI_FAIL(error, TRP_EPROTO, "RELEASE of %s, %" PRIu64 " times, of which the process holds %" PRIu64,
                        tri_id_format(id, text), handed, hold != NULL ? hold->handed : 0);
    if (handed == hold->handed) {
        tri_hold_end(core, hold);
        return TRP_OK;
    }
    /* It let go, and one more is on its way to it: whatever it had of the value is gone. */
    bool had_value = hold->has_value || hold->sent;
    struct tri_object *object = tri_as_object(thing);
    hold->handed -= handed;
    hold->has_value = hold->sent = false;
    hold->seen = 0;
    tri_list_remove(&hold->sent_link);
    if (object != NULL && hold->waiting)
        object->waiting--;
    hold->waiting = false;
    if (object != NULL && object->fetching == peer && object->keeper != peer) {
        tri_object_unasked(core, object); /* it will not answer */
        had_value = true;
    }
    if (object != NULL && had_value)
        tri_object_copies(core, object);
    return TRP_OK;
}

trp_err
tri_on_release(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const struct tri_run *runs;
    uint32_t count;
    TRP_TRY(tri_runs_unpack(&message->sections[0], &runs, &count, error));
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < runs[i].count; k++)
            TRP_TRY(release_one(core, peer, tri_run_id(&runs[i], k), runs[i].handed, error));
    return TRP_OK;
}
