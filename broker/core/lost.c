/*
 * lost.c - actors that have ended where a broker before could tell nobody, as the root or their hosts say. Who made one and has
 * not heard that it was accepted sends SPAWN again: it is dead, and what was called in it may have run. It must not know how
 * the root learns of them.
 */
#include "broker/core/state.h"

struct tri_lost {
    struct tri_entry entry;
};

trp_err
tri_lost_init(struct tri_core *core, size_t count)
{
    tri_pool_init(&core->lost_pool, sizeof(struct tri_lost));
    TRP_TRY(tri_table_init(&core->lost, core->config.seed ^ 5));
    core->lost_room = count;
    if (count == 0)
        return TRP_OK;
    return tri_pool_reserve(&core->lost_pool, count) ? tri_table_reserve(&core->lost, count) : TRP_ENOMEM;
}

void
tri_lost_fini(struct tri_core *core)
{
    tri_table_fini(&core->lost);
    tri_pool_fini(&core->lost_pool);
}

/* Room was reserved: one for each that the root named, and for each host that it named. */
void
tri_lost_add(struct tri_core *core, struct tri_id id)
{
    if (tri_id_is_none(id) || core->lost_room == 0 || tri_table_find(&core->lost, id) != NULL)
        return;
    struct tri_lost *lost = tri_pool_take(&core->lost_pool);
    core->lost_room--;
    lost->entry.id = id;
    tri_table_insert(&core->lost, &lost->entry);
}

/* A host is gone. One of those that the broker before had made may not have said here what lived in it. */
void
tri_lost_host(struct tri_core *core, const struct tri_host *host, const struct tri_death *death)
{
    if (host->entry.id.space >> 32 == core->config.incarnation || death == NULL)
        return;
    tri_lost_add(core, death->resident);
    core->config.tasks_lost |= death->ran_tasks;
}

bool
tri_lost_has(const struct tri_core *core, struct tri_id id)
{
    return tri_table_find(&core->lost, id) != NULL;
}

/* SPAWN of one: it was made, and is dead. */
void
tri_lost_spawn(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message,
               const struct tri_spawn *spawn)
{
    const struct tri_route *route = message->route;
    struct tri_actor *actor = tri_as_actor(tri_thing_find(core, route->target));
    core->ops.release(core->ops.user, peer->index, message->bytes);
    if (actor == NULL)
        actor = tri_actor_new(core, route->target);
    tri_actor_set(actor, spawn);
    if (actor->thing.own.handed == 0)
        tri_hold_hand(core, &actor->thing, peer, 1);
    tri_batch_add(core, peer, &peer->accepted, route->target);
    tri_answer_actor(core, peer, route->result, route->target, actor);
    tri_actor_die(core, actor, NULL, NULL, "it ended about when the broker before did");
}
