/*
 * local_names.c - what is found in local mode: actors by their names, and lists of all. With the process's lock. It changes none of
 * them.
 */
#include <stdlib.h>
#include <unistd.h>

#include "actors/local.h"

struct tri_local_actor *
tri_local_find_name(struct tri_local *local, const char *name, const char *space)
{
    for (struct tri_node *node = local->born.next; node != &local->born; node = node->next) {
        struct tri_local_actor *actor = tri_local_born(node);
        if (actor->state < TRI_LOCAL_FAILED && !actor->draining && strcmp(actor->name, name) == 0 &&
            strcmp(actor->space, space) == 0)
            return actor;
    }
    return NULL;
}

void
tri_local_answer_actor(struct tri_local *local, struct tri_id result, struct tri_local_actor *actor)
{
    if (!tri_id_is_none(result))
        tri_local_value(local, result, trp_actor_value(&actor->handle));
}

/* The last bearer of a name that died with it. */
static struct tri_local_actor *
find_dead(struct tri_local *local, const char *name, const char *space)
{
    for (struct tri_node *node = local->born.prev; node != &local->born; node = node->prev) {
        struct tri_local_actor *actor = tri_local_born(node);
        if (actor->state == TRI_LOCAL_FAILED && strcmp(actor->name, name) == 0 && strcmp(actor->space, space) == 0)
            return actor;
    }
    return NULL;
}

void
tri_local_on_lookup(struct tri_local *local, struct tri_local_message *message)
{
    const struct tri_id result = message->letter->route.result;
    const char *name = NULL, *space = NULL;
    struct tri_local_actor *actor;
    struct tri_failure failure = {0};
    char died[600];

    if (message->letter->section_count == 0 ||
        tri_name_unpack(&message->letter->sections[0], &name, &space, &failure.error) != TRP_OK) {
        tri_local_fail(local, result, &failure);
        return;
    }
    actor = tri_local_find_name(local, name, space);
    if (actor != NULL) {
        tri_local_answer_actor(local, result, actor);
        return;
    }
    actor = find_dead(local, name, space);
    if (actor != NULL)
        tri_say_unmade(died, sizeof died, &actor->why.error);
    (void)tri_fail_nobody(&failure.error, name, space, "local", actor != NULL ? died : NULL);
    tri_local_fail(local, result, &failure);
}

/* ------------------------------------------------------------------------------------------------------------ lists */

/* A LIST that grows; its maps' entries live as long. */
struct listing {
    trp_value *items, *entries;
    size_t count;
};
enum { ACTOR_FIELDS = 8, LISTED_MAX = 10000 };

static trp_value
tell_actor(const struct tri_local_actor *actor, trp_value *entries)
{
    static const char *const states[] = {"created", "ready", "dead", "dead"};
    const trp_value fields[2 * ACTOR_FIELDS] = {
        trp_str("id"),       trp_str(actor->text),       trp_str("name"),    trp_str(actor->full_name),
        trp_str("class"),    trp_str(actor->class_name), trp_str("state"),   trp_str(states[actor->state]),
        trp_str("pid"),      trp_i64(getpid()),          trp_str("pending"), trp_i64(actor->queued + actor->running),
        trp_str("detached"), trp_bool(actor->detached),  trp_str("death"),   trp_str(actor->why.error.message)};

    (void)memcpy(entries, fields, sizeof fields);
    return trp_map(entries, ACTOR_FIELDS);
}

static void
list_actors(struct tri_local *local, struct listing *listing)
{
    for (struct tri_node *node = local->born.next; node != &local->born; node = node->next) {
        const struct tri_local_actor *actor = tri_local_born(node);
        if (actor->state == TRI_LOCAL_DEAD || listing->count == LISTED_MAX)
            continue;
        listing->items[listing->count] = tell_actor(actor, &listing->entries[listing->count * 2 * ACTOR_FIELDS]);
        listing->count++;
    }
}

void
tri_local_on_query(struct tri_local *local, struct tri_local_message *message)
{
    const struct tri_id result = message->letter->route.result;
    const char *what = NULL, *space = NULL;
    struct tri_failure failure = {0};
    struct listing listing = {0};

    if (message->letter->section_count == 0 ||
        tri_name_unpack(&message->letter->sections[0], &what, &space, &failure.error) != TRP_OK) {
        tri_local_fail(local, result, &failure);
        return;
    }
    if (strcmp(what, "nodes") == 0) {
        const trp_value node = TRP_MAP("name", "local", "cpus", local->num_cpus, "gpus", 0.0, "processes", 1, "hosts",
                                       0, "actors", (int64_t)local->actors.count);
        tri_local_value(local, result, trp_list(&node, 1));
        return;
    }
    if (strcmp(what, "actors") == 0) {
        listing.items = calloc(LISTED_MAX, sizeof *listing.items);
        listing.entries = calloc(LISTED_MAX, 2 * ACTOR_FIELDS * sizeof *listing.entries);
        if (listing.items != NULL && listing.entries != NULL)
            list_actors(local, &listing);
    }
    tri_local_value(local, result, trp_list(listing.items, listing.count));
    free(listing.items);
    free(listing.entries);
}
