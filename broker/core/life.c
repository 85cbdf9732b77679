/*
 * life.c - the broker's core is made, with its limits and all its tables, and taken apart, with whatever is under way. One
 * thread. It must not know messages.
 */
#include "broker/core/state.h"

static void
set_limits(struct tri_core *core)
{
    struct tri_core_limits *limits = &core->limits;
    *limits = core->config.limits;
    limits->peers = limits->peers ? limits->peers : 4096;
    limits->actors = limits->actors ? limits->actors : 1048576;
    limits->credit_calls = limits->credit_calls ? limits->credit_calls : 65536;
    limits->credit_bytes = limits->credit_bytes ? limits->credit_bytes : UINT64_C(64) << 20;
    limits->host_window_calls = limits->host_window_calls ? limits->host_window_calls : 4096;
    limits->host_window_bytes = limits->host_window_bytes ? limits->host_window_bytes : UINT64_C(16) << 20;
    limits->waiting_hosts_per_cpu = limits->waiting_hosts_per_cpu ? limits->waiting_hosts_per_cpu : 8;
    limits->objects = limits->objects ? limits->objects : 16777216;
    limits->unread_bytes = limits->unread_bytes ? limits->unread_bytes : UINT64_C(64) << 20;
}

/* Of core->actor_packed: each answer has another id. */
static trp_err
on_handle(void *user, trp_actor *actor, struct tri_id *id, trp_error *error)
{
    (void)user, (void)actor, (void)error;
    *id = (struct tri_id){0, 0};
    return TRP_OK;
}

static trp_err
init(struct tri_core *core)
{
    uint64_t seed = core->config.seed;
    tri_list_init(&core->wishes);
    tri_list_init(&core->all_hosts);
    tri_list_init(&core->pool);
    tri_list_init(&core->actors);
    tri_list_init(&core->placing);
    tri_list_init(&core->tasks);
    tri_list_init(&core->held_tasks);
    tri_list_init(&core->waits);
    tri_list_init(&core->round);
    tri_list_init(&core->untold);
    tri_list_init(&core->delayed);
    tri_list_init(&core->unclaimed);
    tri_pool_init(&core->objects_pool, sizeof(struct tri_object));
    tri_pool_init(&core->calls_pool, sizeof(struct tri_pending));
    tri_pool_init(&core->holds_pool, sizeof(struct tri_hold));
    tri_pool_init(&core->lanes_pool, sizeof(struct tri_lane));
    tri_pool_init(&core->actors_pool, (sizeof(struct tri_actor) + TRI_LINE - 1) / TRI_LINE * TRI_LINE);
    tri_pool_init(&core->texts_pool, sizeof(struct tri_actor_texts));
    tri_pool_init(&core->parcels_pool, TRI_PARCEL_BYTES);
    TRP_TRY(tri_table_init(&core->spaces, tri_random_next(&seed)));
    TRP_TRY(tri_table_init(&core->hosts, tri_random_next(&seed)));
    TRP_TRY(tri_table_init(&core->things, tri_random_next(&seed)));
    TRP_TRY(tri_names_init(&core->names, tri_random_next(&seed)));
    TRP_TRY(tri_table_init(&core->lanes, tri_random_next(&seed)));
    TRP_TRY(tri_ledger_init(&core->ledger, &core->config));
    trp_error memory;
    tri_fail(&memory, TRP_ENOMEM, "the broker of node '%s' has no memory left to say more", core->node);
    struct tri_failure failure = {.error = memory};
    TRP_TRY(tri_error_pack(&core->memory_packed, &failure, NULL));
    TRP_TRY(tri_value_pack(&core->null_packed, trp_null(), NULL, NULL, NULL));
    const struct tri_handles handles = {.actor_id = on_handle};
    return tri_value_pack(&core->actor_packed, trp_actor_value((trp_actor *)(void *)core), &handles, NULL, NULL);
}

trp_err
tri_core_new(const struct tri_core_config *config, const struct tri_core_ops *ops, const struct tri_expected *expected,
             size_t expected_count, uint64_t now_ns, struct tri_core **made, trp_error *error)
{
    struct tri_core *core = calloc(1, sizeof *core);
    if (core == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the broker's core");
    core->config = *config;
    core->ops = *ops;
    core->now_ns = now_ns;
    tri_text_copy(core->node, sizeof core->node, config->node != NULL ? config->node : "node");
    core->config.node = core->node;
    set_limits(core);
    trp_err err = init(core);
    if (err == TRP_OK)
        err = tri_recovery_init(core, expected, expected_count);
    if (err != TRP_OK)
        (void)TRI_FAIL(error, err, "no memory for the broker's core");
    if (err == TRP_OK)
        err = tri_arena_init(core, error);
    if (err == TRP_OK)
        err = tri_arena_found(core, error);
    if (err != TRP_OK) {
        tri_core_destroy(&core);
        return err;
    }
    *made = core;
    return TRP_OK;
}

static void
free_call(struct tri_pending *call)
{
    tri_parcel_free(&call->parcel);
    free(call->refs);
    free(call->needs);
    tri_special_free(&call->special);
}

static void
free_thing(struct tri_entry *entry, void *user)
{
    struct tri_core *core = user;
    struct tri_thing *thing = TRI_OWNER(entry, struct tri_thing, entry);
    struct tri_object *object = tri_as_object(thing);
    struct tri_actor *actor = tri_as_actor(thing);
    if (object != NULL) {
        if (object->call != NULL && object->call->caller == NULL && object->call->kind == TRI_CALL_TASK &&
            object->call->state == TRI_CALL_WAITING)
            free_call(object->call); /* nothing else knows of it */
        tri_value_free(&object->value);
        free(object->contains);
    }
    if (actor != NULL) {
        tri_special_free(&actor->special);
        tri_obituary_free(&actor->obituary);
        tri_methods_free(actor);
        if (actor->name != NULL)
            tri_name_drop(&core->names, actor->name);
    }
}

static void
free_calls(struct tri_node *head, size_t offset)
{
    TRI_EACH(head, node)
    free_call((struct tri_pending *)(void *)((char *)node - offset));
}

/* Calls whose caller is gone hang on hosts and lanes only. */
static void
free_orphans(struct tri_node *head, size_t offset)
{
    TRI_EACH(head, node)
    {
        struct tri_pending *call = (struct tri_pending *)(void *)((char *)node - offset);
        if (call->caller == NULL)
            free_call(call);
    }
}

static void
free_hosts(struct tri_core *core)
{
    while (!tri_list_empty(&core->all_hosts)) {
        struct tri_host *host = TRI_OWNER(core->all_hosts.next, struct tri_host, all);
        tri_list_remove(&host->all);
        free_orphans(&host->given, offsetof(struct tri_pending, link));
        free_orphans(&host->accepted, offsetof(struct tri_pending, link));
        free_orphans(&host->left, offsetof(struct tri_pending, link));
        while (!tri_list_empty(&host->waits)) {
            struct tri_wait *wait = TRI_OWNER(host->waits.next, struct tri_wait, by_host);
            tri_list_remove(&wait->by_host);
            free(wait);
        }
        free(host);
    }
}

static void
free_actor_calls(struct tri_core *core)
{
    TRI_EACH(&core->actors, node)
    {
        struct tri_actor *actor = TRI_OWNER(node, struct tri_actor, all);
        struct tri_node *lanes[] = {&actor->ready, &actor->stuck};
        for (int i = 0; i < 2; i++)
            TRI_EACH(lanes[i], link)
        free_orphans(&TRI_OWNER(link, struct tri_lane, link)->calls, offsetof(struct tri_pending, link));
        if (actor->creation != NULL && actor->creation->caller == NULL && actor->creation->state == TRI_CALL_WAITING)
            free_call(actor->creation);
        free_orphans(&actor->watchers, offsetof(struct tri_pending, actor_link));
    }
}

void
tri_core_destroy(struct tri_core **made)
{
    struct tri_core *core = *made;
    if (core == NULL)
        return;
    tri_wishes_fini(core);
    for (size_t i = 0; i < core->peer_capacity; i++) {
        struct tri_peer *peer = core->peers[i];
        if (peer == NULL)
            continue;
        free_calls(&peer->calls, offsetof(struct tri_pending, caller_link));
        free(peer->accepted.ids);
        free(peer->freed.ids);
        free(peer->quiet.slots);
    }
    if (core->all_hosts.next != NULL) {
        free_actor_calls(core);
        free_orphans(&core->tasks, offsetof(struct tri_pending, link));
        free_hosts(core);
        tri_table_each(&core->things, free_thing, core);
    }
    for (size_t i = 0; i < core->peer_capacity; i++)
        free(core->peers[i]);
    for (size_t i = 0; i < core->module_count; i++) {
        free(core->modules[i].name);
        tri_parcel_free(&core->modules[i].value);
    }
    tri_recovery_fini(core);
    tri_depot_free(&core->depot);
    free(core->modules);
    tri_declared_fini(&core->declared);
    free(core->peers);
    free(core->timers.heap);
    free(core->search_objects);
    free(core->search_waits);
    tri_table_fini(&core->spaces);
    tri_table_fini(&core->hosts);
    tri_table_fini(&core->things);
    tri_names_fini(&core->names);
    tri_epitaphs_fini(core);
    tri_table_fini(&core->lanes);
    tri_pool_fini(&core->objects_pool);
    tri_pool_fini(&core->calls_pool);
    tri_pool_fini(&core->holds_pool);
    tri_pool_fini(&core->lanes_pool);
    tri_pool_fini(&core->actors_pool);
    tri_pool_fini(&core->texts_pool);
    tri_pool_fini(&core->parcels_pool);
    tri_ledger_fini(&core->ledger);
    tri_packed_fini(&core->packed);
    tri_packed_fini(&core->ids_packed);
    tri_packed_fini(&core->null_packed);
    tri_packed_fini(&core->memory_packed);
    tri_packed_fini(&core->actor_packed);
    free(core);
    *made = NULL;
}
