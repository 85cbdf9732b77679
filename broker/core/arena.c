/*
 * arena.c - the core and the arena: processes as tenants, SPACE and its answer, and what the objects of a broker before
 * this one are. What is whose, depot.c knows.
 */
#include "broker/core/state.h"

trp_err
tri_arena_init(struct tri_core *core, trp_error *error)
{
    if (core->config.arena.granules == 0)
        return TRP_OK;
    return tri_depot_new(&core->config.arena, core->now_ns, &core->depot, error);
}

/* The values that the register has, under their names: ready, and held by those who will report so. */
trp_err
tri_arena_found(struct tri_core *core, trp_error *error)
{
    struct tri_found found;
    uint32_t slot = 0;
    if (core->depot == NULL)
        return TRP_OK;
    if (!tri_core_open(core)) {
        tri_arena_settle(core);
        return TRP_OK;
    }
    while (tri_depot_found(core->depot, &slot, &found)) {
        const struct tri_section value = {.meta_size = found.meta_size, .size = found.buf->size, .frame = found.buf};
        struct tri_object *object = NULL;
        if (tri_things_reserve(core, 1) && tri_table_find(&core->things, found.id) == NULL) {
            object = tri_object_new(core, found.id, TRI_OBJECT_READY);
            tri_object_set_value(object, tri_value_new(&value, false));
            object->thing.shared = object->recovered = object->registered = true;
        }
        tri_buf_release(&found.buf);
        if (object == NULL || object->value == NULL)
            return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for the objects of the one before");
    }
    return TRP_OK;
}

/* All have reported, or will not. */
void
tri_arena_settle(struct tri_core *core)
{
    uint32_t tenant = 0;
    uint64_t space;
    int32_t pid;
    if (core->depot == NULL)
        return;
    tri_depot_settle(core->depot);
    for (; tri_depot_absent(core->depot, &tenant, &space, &pid); tenant++)
        core->config.arena.await_end(core->config.arena.user, space, pid);
}

trp_err
tri_arena_enter(struct tri_core *core, uint64_t space, int32_t pid, uint32_t *tenant, trp_error *error)
{
    *tenant = TRI_NO_TENANT;
    return core->depot != NULL ? tri_depot_enter(core->depot, space, pid, tenant, error) : TRP_OK;
}

/* One that has said GOODBYE has promised, if it said nothing else, that it touches nothing any more; others that have something may, for as long as they
 * live. */
void
tri_arena_left(struct tri_core *core, const struct tri_peer *peer)
{
    if (peer->tenant == TRI_NO_TENANT)
        return;
    tri_wishes_leave(core, peer);
    if ((peer->leaves && !peer->lends) || tri_depot_has_nothing(core->depot, peer->tenant)) {
        tri_depot_leave(core->depot, peer->tenant);
        return;
    }
    tri_depot_depart(core->depot, peer->tenant);
    core->config.arena.await_end(core->config.arena.user, peer->entry.id.space, peer->pid);
}

void
tri_core_space_ended(struct tri_core *core, uint64_t space, uint64_t now_ns)
{
    uint32_t tenant = 0;
    uint64_t absent;
    int32_t pid;
    tri_event_begin(core, now_ns);
    /* One that is logged in says its last words yet: its end is awaited once more when it leaves. */
    for (; core->depot != NULL && tri_depot_absent(core->depot, &tenant, &absent, &pid); tenant++)
        if (absent == space)
            tri_depot_leave(core->depot, tenant);
    tri_event_end(core);
}

trp_err
tri_core_open_place(struct tri_core *core, tri_peer_index index, const struct tri_place *place, struct tri_buf **buf,
                    trp_error *error)
{
    const struct tri_peer *peer = tri_peer_find(core, index);
    if (peer == NULL || peer->tenant == TRI_NO_TENANT)
        return TRI_FAIL(error, TRP_EPROTO, "a place in an arena that it does not have");
    const trp_err err = tri_depot_open(core->depot, peer->tenant, place, buf, error);
    /* Its keeper has not been FREED by the broker that ended it. */
    if (err == TRP_EPROTO && place->size > 0 && peer->is_back)
        return tri_depot_open_ended(place, buf, error);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------ messages */

static void
answer(struct tri_core *core, const struct tri_granted *granted)
{
    const struct tri_id none = {0, 0};
    struct tri_peer *peer = tri_peer_of_tenant(core, granted->tenant);
    if (peer == NULL)
        return; /* it goes: what it was given is free with the rest */
    if (granted->err != TRP_OK) {
        struct tri_failure failure = {.error = granted->error};
        tri_text_copy(failure.error.node, sizeof failure.error.node, core->node);
        tri_send_plain(core, peer, TRI_LEASE, TRI_FAILED, none, none, none, tri_error_section(core, &failure));
    } else if (tri_lease_pack(&core->ids_packed, &granted->lease, NULL) == TRP_OK) {
        tri_send_plain(core, peer, TRI_LEASE, 0, none, none, none, &core->ids_packed.section);
    } else {
        tri_send_plain(core, peer, TRI_LEASE, TRI_FAILED, none, none, none, &core->memory_packed.section);
    }
}

struct tri_peer *
tri_peer_of_tenant(const struct tri_core *core, uint32_t tenant)
{
    for (size_t i = 0; i < core->peer_capacity; i++)
        if (core->peers[i] != NULL && core->peers[i]->tenant == tenant)
            return core->peers[i];
    return NULL;
}

/* Whoever has more on lease than it uses is asked for the rest. */
static void
revoke(struct tri_core *core)
{
    const struct tri_id none = {0, 0};
    for (size_t i = 0; i < core->peer_capacity; i++) {
        struct tri_peer *peer = core->peers[i];
        if (peer != NULL && peer->tenant != TRI_NO_TENANT && tri_depot_revoke(core->depot, peer->tenant))
            tri_send_plain(core, peer, TRI_REVOKE, 0, none, none, none, NULL);
    }
}

void
tri_arena_look(struct tri_core *core)
{
    struct tri_granted granted;
    if (core->depot == NULL)
        return;
    tri_depot_look(core->depot, core->now_ns);
    while (tri_depot_next(core->depot, core->now_ns, &granted))
        answer(core, &granted);
    if (tri_depot_revokes(core->depot))
        revoke(core);
    tri_wishes_look(core);
}

static trp_err
check_tenant(const struct tri_peer *peer, uint8_t kind, trp_error *error)
{
    if (peer->tenant == TRI_NO_TENANT)
        return TRI_FAIL(error, TRP_EPROTO, "%s on a node without an arena", tri_kind_name(kind));
    return TRP_OK;
}

/* Answered when the round is over, or later. */
trp_err
tri_on_space(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const struct tri_route *route = message->route;
    TRP_TRY(check_tenant(peer, route->kind, error));
    return tri_depot_ask(core->depot, peer->tenant, route->sequence, tri_deadline_ns(core, route->deadline_us), error);
}

trp_err
tri_on_given(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    struct tri_lease lease;
    TRP_TRY(check_tenant(peer, message->route->kind, error));
    TRP_TRY(tri_lease_unpack(&message->sections[0], &lease, error));
    if ((message->route->flags & TRI_LAST) != 0)
        tri_depot_gave_all(core->depot, peer->tenant);
    return tri_depot_given(core->depot, peer->tenant, &lease, error);
}
