/*
 * peers.c - who is logged in: hello, cut, gone, and whose terminal sees what a host prints.
 */
#include "broker/core/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct tri_peer *
tri_peer_find(const struct tri_core *core, tri_peer_index index)
{
    return index < core->peer_capacity ? core->peers[index] : NULL;
}

struct tri_peer *
tri_peer_of_space(struct tri_core *core, uint64_t space)
{
    struct tri_peer **recent = &core->recent_peers[space % TRI_RECENT];
    if (*recent != NULL && (*recent)->entry.id.space == space)
        return *recent;
    struct tri_entry *entry = tri_table_find(&core->spaces, (struct tri_id){space, 0});
    struct tri_peer *peer = entry != NULL ? TRI_OWNER(entry, struct tri_peer, entry) : NULL;
    if (peer != NULL)
        *recent = peer;
    return peer;
}

static bool
peer_slot(struct tri_core *core, size_t *slot)
{
    for (size_t i = 0; i < core->peer_capacity; i++) {
        if (core->peers[i] == NULL) {
            *slot = i;
            return true;
        }
    }
    size_t old = core->peer_capacity, grown = old ? 2 * old : 16;
    struct tri_peer **peers = realloc(core->peers, grown * sizeof(struct tri_peer *));
    if (peers == NULL)
        return false;
    core->peers = peers;
    memset(core->peers + old, 0, (grown - old) * sizeof *core->peers);
    core->peer_capacity = grown;
    *slot = old;
    return true;
}

static trp_err
check_login(const struct tri_core *core, const struct tri_login *login, int32_t pid, trp_error *error)
{
    if (login->version_min > TRI_WIRE_VERSION || login->version_max < TRI_WIRE_VERSION)
        return TRI_FAIL(error, TRP_EPROTO, "node '%s' speaks version %d of the protocol, this process %u to %u",
                        core->node, TRI_WIRE_VERSION, login->version_min, login->version_max);
    if (login->role != TRI_DRIVER && login->role != TRI_HOST)
        return TRI_FAIL(error, TRP_EPROTO, "HELLO of role %d", (int)login->role);
    if (login->pid != pid)
        return TRI_FAIL(error, TRP_EACCES, "HELLO says process %d, its door belongs to process %d", login->pid, pid);
    return TRP_OK;
}

static void
fill_welcome(const struct tri_core *core, const struct tri_peer *peer, bool snapshot, struct tri_welcome *welcome)
{
    *welcome = (struct tri_welcome){
        .version = TRI_WIRE_VERSION,
        .space = peer->entry.id.space,
        .broker = core->config.incarnation,
        .snapshot = snapshot,
        .node = core->node,
        .credit_calls = core->limits.credit_calls,
        .credit_bytes = core->limits.credit_bytes,
        .num_cpus = core->config.num_cpus,
        .arena_granules = peer->tenant != TRI_NO_TENANT ? core->config.arena.granules : 0,
        .slots = peer->tenant != TRI_NO_TENANT ? core->config.arena.slots : 0,
        .pins = peer->tenant != TRI_NO_TENANT ? peer->tenant : 0,
    };
}

/* The host that says HELLO with this token. */
static trp_err
login_host(struct tri_core *core, const struct tri_login *login, struct tri_host **host, trp_error *error)
{
    *host = tri_host_find(core, login->host_token);
    if (*host == NULL || (*host)->peer != NULL || (*host)->state == TRI_HOST_LOST)
        return TRI_FAIL(error, TRP_EACCES, "no host is expected with this token");
    return TRP_OK;
}

static trp_err
peer_new(struct tri_core *core, const struct tri_login *login, int32_t pid, struct tri_peer **made, trp_error *error)
{
    struct tri_host *host = NULL;
    size_t slot = 0;
    if (core->peer_count >= core->limits.peers)
        return TRI_FAIL(error, TRP_ELIMIT,
                        "node '%s' has %u processes logged in, as many as it may: end some, or start it with more open "
                        "files (ulimit -n)",
                        core->node, core->limits.peers);
    if (login->role == TRI_HOST)
        TRP_TRY(login_host(core, login, &host, error));
    struct tri_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL || tri_table_reserve(&core->spaces, 1) != TRP_OK || !peer_slot(core, &slot)) {
        free(peer);
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for another process");
    }
    peer->entry.id.space = login->space ? login->space : core->config.incarnation << 32 | ++core->next_space;
    const trp_err err = tri_arena_enter(core, peer->entry.id.space, pid, &peer->tenant, error);
    if (err != TRP_OK) {
        free(peer);
        return err;
    }
    peer->index = (tri_peer_index)slot;
    peer->role = login->role;
    peer->pid = pid;
    peer->cookie = login->cookie;
    peer->reporting = peer->is_back = login->space != 0;
    peer->newest = login->space != 0 || peer->entry.id.space <= core->strangers ? UINT64_MAX : 0;
    tri_text_copy(peer->program, sizeof peer->program, login->program != NULL ? login->program : "");
    struct tri_node *lists[] = {&peer->holds,  &peer->kept,       &peer->calls, &peer->answered,
                                &peer->copies, &peer->round_link, &peer->left};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        tri_list_init(lists[i]);
    core->peers[slot] = peer;
    core->peer_count++;
    tri_table_insert(&core->spaces, &peer->entry);
    peer->host = host;
    if (host != NULL) {
        host->peer = peer;
        host->pid = pid;
    }
    *made = peer;
    return TRP_OK;
}

trp_err
tri_core_hello(struct tri_core *core, const struct tri_login *login, int32_t pid, uint64_t now_ns,
               tri_peer_index *index, struct tri_welcome *welcome, trp_error *error)
{
    tri_event_begin(core, now_ns);
    core->steps++;
    TRP_TRY(check_login(core, login, pid, error));
    struct tri_peer *peer = login->space != 0 ? tri_peer_of_space(core, login->space) : NULL;
    if (peer != NULL && login->broker == core->config.incarnation) {
        if (peer->role != login->role || peer->pid != pid ||
            (peer->host != NULL && peer->host->entry.id.space != login->host_token))
            return TRI_FAIL(error, TRP_EPROTO, "HELLO of another process under the name of process %d", peer->pid);
        *index = peer->index;
        fill_welcome(core, peer, false, welcome);
        return TRP_OK;
    }
    if (peer != NULL)
        return TRI_FAIL(error, TRP_EPROTO, "HELLO of process %d twice, for different brokers", pid);
    uint64_t maker = login->space >> 32;
    if (login->space != 0 && (maker == 0 || maker > core->config.incarnation ||
                              (maker == core->config.incarnation && (uint32_t)login->space > core->next_space)))
        return TRI_FAIL(error, TRP_EPROTO, "HELLO under a name that this node never gave");
    if (login->space != 0 && (login->broker == core->config.incarnation || maker == core->config.incarnation))
        return TRI_FAIL(error, TRP_ECLOSED, "process %d was taken for dead or cut by node '%s'", pid, core->node);
    TRP_TRY(peer_new(core, login, pid, &peer, error));
    *index = peer->index;
    fill_welcome(core, peer, peer->reporting, welcome);
    if (peer->host != NULL && !peer->reporting) {
        peer->host->expected =
            false; /* the old broker had it forked and did not live to see it: it has nothing to report */
        tri_host_live(core, peer->host);
        tri_recovery_look(core);
    }
    tri_event_end(core);
    return TRP_OK;
}

/* Its calls go on without it; those that nobody else waits for are dropped where they have not left. */
static void
drop_calls(struct tri_core *core, struct tri_peer *peer)
{
    while (!tri_list_empty(&peer->calls)) {
        struct tri_pending *call = TRI_OWNER(peer->calls.next, struct tri_pending, caller_link);
        tri_list_remove(&call->caller_link);
        if (call->state == TRI_CALL_ANSWERED) {
            tri_call_end(core, call);
            continue;
        }
        call->caller = NULL;
        call->credited = false;
        bool wanted = call->object != NULL && (call->object->thing.hold_count > 0 || call->object->thing.flights > 0);
        if (peer->full)
            tri_call_turn(core, call);
        if (call->state == TRI_CALL_LEFT)
            tri_left_alone(core, call, wanted);
        else if (call->kind == TRI_CALL_WATCH && !wanted)
            tri_call_fail(core, call, TRP_ECANCELLED, "its caller is gone");
        else if ((call->state == TRI_CALL_QUEUED || call->state == TRI_CALL_WAITING) && !call->one_way && !wanted &&
                 call->kind != TRI_CALL_SPAWN)
            tri_call_fail(core, call, TRP_ECANCELLED, "its caller is gone");
    }
}

struct fetcher {
    struct tri_core *core;
    struct tri_peer *peer;
};

/* It was asked for this value, and had been told since that it need not keep it. */
static void
drop_fetch(struct tri_entry *entry, void *user)
{
    struct tri_object *object = tri_as_object(TRI_OWNER(entry, struct tri_thing, entry));
    struct fetcher *fetcher = user;
    if (object == NULL || object->fetching != fetcher->peer)
        return;
    tri_object_unasked(fetcher->core, object);
    object->revoked = false;
    tri_object_copies(fetcher->core, object);
}

static void
drop_holds(struct tri_core *core, struct tri_peer *peer)
{
    struct fetcher fetcher = {core, peer};
    while (!tri_list_empty(&peer->holds)) {
        struct tri_hold *hold = TRI_OWNER(peer->holds.next, struct tri_hold, by_peer);
        tri_hold_end(core, hold);
    }
    while (!tri_list_empty(&peer->kept)) {
        struct tri_object *object = TRI_OWNER(peer->kept.next, struct tri_object, kept_link);
        tri_list_remove(&object->kept_link);
        object->keeper = NULL;
        object->charged = false;
        if (object->fetching == peer)
            tri_object_unasked(core, object);
        tri_object_copies(core, object);
    }
    if (peer->fetches > 0)
        tri_table_each(&core->things, drop_fetch, &fetcher);
}

/* An actor that is not detached ends with its creator. */
static void
close_creations(struct tri_core *core, uint64_t space, bool leaves)
{
    if (core->returning || core->barrier)
        return;
    TRI_EACH(&core->actors, node)
    {
        struct tri_actor *actor = TRI_OWNER(node, struct tri_actor, all);
        if (actor->creator != space || actor->detached || !tri_actor_lives(actor))
            continue;
        if (actor->state == TRI_ACTOR_ABSENT) { /* its SPAWN will not come any more */
            tri_actor_die(core, actor, NULL, NULL, "its creator ended before it was made");
            continue;
        }
        if (leaves)
            tri_actor_close(core, actor);
        else
            tri_actor_orphan(core, actor);
    }
}

void
tri_peer_drop(struct tri_core *core, struct tri_peer *peer)
{
    tri_quiet_end(core, peer);
    if (peer->host != NULL)
        tri_quiet_unkept(core, peer);
    peer->struck = true;
    core->peers[peer->index] = NULL;
    core->peer_count--;
    tri_table_remove(&core->spaces, &peer->entry);
    if (core->recent_peers[peer->entry.id.space % TRI_RECENT] == peer)
        core->recent_peers[peer->entry.id.space % TRI_RECENT] = NULL;
    if (peer->host != NULL)
        peer->host->peer = NULL;
    tri_arena_left(core, peer);
    tri_recovery_peer_gone(core, peer);
    drop_holds(core, peer);
    drop_calls(core, peer);
    close_creations(core, peer->entry.id.space, peer->leaves);
    tri_list_remove(&peer->round_link);
    free(peer->accepted.ids);
    free(peer->freed.ids);
    free(peer);
}

void
tri_core_peer_gone(struct tri_core *core, tri_peer_index index, const struct tri_death *death, uint64_t now_ns)
{
    struct tri_peer *peer = tri_peer_find(core, index);
    if (peer == NULL)
        return;
    tri_event_begin(core, now_ns);
    core->steps++;
    struct tri_host *host = peer->host;
    if (host != NULL && death == NULL) { /* the root will say how; it is killed in case it lives */
        host->state = TRI_HOST_LOST;
        tri_host_kill(core, host, "the loss of its connection");
        tri_timer_set(&core->timers, &host->timer, TRI_TIMER_HOST, now_ns + TRI_NS_PER_S);
        tri_waits_of_host(core, host);
    }
    if (host != NULL && death != NULL)
        tri_host_gone(core, host, death, NULL);
    else
        tri_peer_drop(core, peer);
    tri_event_end(core);
}

void
tri_peer_cut(struct tri_core *core, struct tri_peer *peer, const trp_error *why)
{
    struct tri_failure failure = {.error = *why};
    struct tri_id none = {0, 0};
    tri_peer_index index = peer->index;
    struct tri_host *host = peer->host;
    tri_send_plain(core, peer, TRI_CUT, 0, none, none, none, tri_error_section(core, &failure));
    if (host != NULL) {
        host->state = TRI_HOST_LOST;
        tri_timer_set(&core->timers, &host->timer, TRI_TIMER_HOST, core->now_ns + TRI_NS_PER_S);
        tri_waits_of_host(core, host);
    }
    tri_peer_drop(core, peer);
    if (host != NULL) {
        char rule[160];
        snprintf(rule, sizeof rule, "the broker, which refused what it sent: %.100s", why->message);
        tri_host_kill(core, host, rule);
    }
    core->ops.cut(core->ops.user, index, why->message);
}

/* ------------------------------------------------------------------------------------------------------------- looking */

uint64_t
tri_core_token(const struct tri_core *core, tri_peer_index index)
{
    const struct tri_peer *peer = tri_peer_find(core, index);
    return peer != NULL && peer->host != NULL ? peer->host->entry.id.space : 0;
}

uint64_t
tri_core_space(const struct tri_core *core, tri_peer_index index)
{
    const struct tri_peer *peer = tri_peer_find(core, index);
    return peer != NULL ? peer->entry.id.space : 0;
}

bool
tri_core_recovering(const struct tri_core *core)
{
    return core->barrier;
}

/* Who is behind what runs in a host: its actor's creator, or its first task's caller. */
static struct tri_peer *
patron(struct tri_core *core, const struct tri_host *host)
{
    if (host->actor != NULL)
        return tri_peer_of_space(core, host->actor->creator);
    const struct tri_node *head = !tri_list_empty(&host->accepted) ? &host->accepted : &host->given;
    return tri_list_empty(head) ? NULL : TRI_OWNER(head->next, struct tri_pending, link)->caller;
}

tri_peer_index
tri_core_log_reader(struct tri_core *core, uint64_t token, const char **label)
{
    const struct tri_host *host = tri_host_find(core, token);
    *label = host != NULL ? host->label : "";
    for (int hops = 0; host != NULL && hops < 64; hops++) {
        struct tri_peer *peer = patron(core, host);
        if (peer == NULL)
            break;
        if (peer->role == TRI_DRIVER)
            return peer->index;
        host = peer->host;
    }
    return TRI_NO_PEER;
}
