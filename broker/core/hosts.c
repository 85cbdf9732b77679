/*
 * hosts.c - processes that the root forks for us: spares kept ahead, those of the task pool, those of actors; how they
 * come and go.
 */
#include "broker/core/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOGIN_NS  (10 * TRI_NS_PER_S) /* without a login of any host: many that begin at once share the processors */
#define LOGINS_NS (60 * TRI_NS_PER_S) /* whatever others do */
#define EXIT_NS   (5 * TRI_NS_PER_S)
#define REFILL_NS (2 * TRI_NS_PER_MS)

struct tri_host *
tri_host_find(const struct tri_core *core, uint64_t token)
{
    struct tri_entry *entry = tri_table_find(&core->hosts, (struct tri_id){token, 0});
    return entry != NULL ? TRI_OWNER(entry, struct tri_host, entry) : NULL;
}

struct tri_host *
tri_host_new(struct tri_core *core, uint64_t token)
{
    struct tri_host *host = calloc(1, sizeof *host);
    if (host == NULL || tri_table_reserve(&core->hosts, 1) != TRP_OK) {
        free(host);
        return NULL;
    }
    host->entry.id.space = token;
    host->state = TRI_HOST_FORKING;
    host->window = 1;
    tri_list_init(&host->pool);
    tri_list_init(&host->given);
    tri_list_init(&host->accepted);
    tri_list_init(&host->left);
    tri_list_init(&host->untold);
    tri_list_init(&host->waits);
    tri_table_insert(&core->hosts, &host->entry);
    tri_list_append(&core->all_hosts, &host->all);
    core->host_count++;
    core->spares++; /* what it is until somebody gives it another role */
    return host;
}

void
tri_host_set_kind(struct tri_core *core, struct tri_host *host, uint8_t kind)
{
    core->spares -= host->kind == TRI_HOST_SPARE;
    core->pool_hosts -= host->kind == TRI_HOST_POOL;
    host->kind = kind;
    core->spares += kind == TRI_HOST_SPARE;
    core->pool_hosts += kind == TRI_HOST_POOL;
    tri_list_remove(&host->pool);
    if (kind == TRI_HOST_POOL)
        tri_list_append(&core->pool, &host->pool);
}

struct tri_host *
tri_host_fork(struct tri_core *core, uint8_t kind, const char *label, const struct tri_env *env, uint32_t env_count,
              uint64_t memory_bytes)
{
    struct tri_host *host = tri_host_new(core, core->config.incarnation << 32 | ++core->next_token);
    if (host == NULL)
        return NULL;
    tri_host_set_kind(core, host, kind);
    tri_text_copy(host->label, sizeof host->label, label);
    host->forked_ns = core->now_ns;
    tri_timer_set(&core->timers, &host->timer, TRI_TIMER_HOST, core->now_ns + LOGIN_NS);
    core->ops.fork(core->ops.user, host->entry.id.space, label, env, env_count, memory_bytes);
    return host;
}

struct tri_host *
tri_host_take(struct tri_core *core, uint8_t kind, const char *label)
{
    struct tri_host *best = NULL;
    TRI_EACH(&core->all_hosts, node)
    {
        struct tri_host *host = TRI_OWNER(node, struct tri_host, all);
        if (host->kind != TRI_HOST_SPARE || host->ending || host->expected || host->state == TRI_HOST_LOST)
            continue;
        if (host->state == TRI_HOST_LIVE && (host->peer == NULL || host->peer->reporting))
            continue;
        if (best == NULL || host->state == TRI_HOST_LIVE)
            best = host;
        if (host->state == TRI_HOST_LIVE)
            break;
    }
    if (best == NULL)
        return tri_host_fork(core, kind, label, NULL, 0, 0);
    if (core->stock_ns < core->now_ns + REFILL_NS)
        core->stock_ns =
            core->now_ns + REFILL_NS; /* who begins now is not to share the processors with the next spare */
    tri_host_set_kind(core, best, kind);
    tri_text_copy(best->label, sizeof best->label, label);
    core->ops.label(core->ops.user, best->entry.id.space, label);
    return best;
}

/* It has logged in, or reported under a new broker: what waited for it goes on. One that was forked under the broker before
 * with the environment or the memory limit of an actor that did not reach it is of no use to others: the actor is made
 * again elsewhere. */
void
tri_host_live(struct tri_core *core, struct tri_host *host)
{
    host->state = TRI_HOST_LIVE;
    core->login_ns = core->now_ns;
    tri_timer_clear(&core->timers, &host->timer);
    if (host->actor != NULL && host->actor->state == TRI_ACTOR_STARTING &&
        !host->ending) /* it may be about to be killed */
        tri_actor_create(core, host->actor);
    if (host->actor == NULL && host->kind == TRI_HOST_ACTOR && !host->ending)
        tri_host_kill(core, host, "the loss of the broker that had it made for one actor");
    core->tasks_changed = true;
}

void
tri_host_kill(struct tri_core *core, struct tri_host *host, const char *rule)
{
    host->ending = true;
    core->ops.kill(core->ops.user, host->entry.id.space, rule);
}

void
tri_host_leave(struct tri_core *core, struct tri_host *host)
{
    host->ending = true;
    host->actor = NULL;
    if (host->state == TRI_HOST_LIVE)
        tri_timer_set(&core->timers, &host->timer, TRI_TIMER_HOST, core->now_ns + EXIT_NS);
}

static uint64_t
login_due(const struct tri_core *core, const struct tri_host *host)
{
    const uint64_t since_ns = core->login_ns > host->forked_ns ? core->login_ns : host->forked_ns;
    const uint64_t due_ns = since_ns + LOGIN_NS, last_ns = host->forked_ns + LOGINS_NS;
    return due_ns < last_ns ? due_ns : last_ns;
}

/* It did not log in, or exit, in time. */
void
tri_host_overdue(struct tri_core *core, struct tri_host *host)
{
    if (host->state == TRI_HOST_LIVE) {
        tri_host_kill(core, host, "the time limit for its exit after its actor had ended");
        tri_timer_set(&core->timers, &host->timer, TRI_TIMER_HOST, core->now_ns + EXIT_NS);
        return;
    }
    if (host->state != TRI_HOST_FORKING) {
        tri_host_gone(core, host, NULL, "its process is gone");
        return;
    }
    const uint64_t due_ns = login_due(core, host);
    if (due_ns > core->now_ns) {
        tri_timer_set(&core->timers, &host->timer, TRI_TIMER_HOST, due_ns);
        return;
    }
    char why[80];
    snprintf(why, sizeof why, "its process did not log in within %" PRIu64 " s",
             (core->now_ns - host->forked_ns) / TRI_NS_PER_S);
    tri_host_kill(core, host, "the time limit for its login");
    tri_host_gone(core, host, NULL, why);
}

/* At the end of the round: a RESULT says that a call was accepted, too. Not later: if broker and host died meanwhile, the
 * caller would take a call that ran for one that no host ever had. */
void
tri_calls_tell(struct tri_core *core)
{
    while (!tri_list_empty(&core->untold)) {
        struct tri_host *host = TRI_OWNER(core->untold.next, struct tri_host, untold);
        struct tri_node *node = &host->accepted;
        tri_list_remove(&host->untold);
        while (node->prev != &host->accepted && !TRI_OWNER(node->prev, struct tri_pending, link)->told)
            node = node->prev;
        for (; node != &host->accepted; node = node->next) {
            struct tri_pending *call = TRI_OWNER(node, struct tri_pending, link);
            call->told = true;
            if (call->kind == TRI_CALL_ACTOR && call->caller != NULL && !call->caller->struck)
                tri_batch_add(core, call->caller, &call->caller->accepted, call->id);
        }
    }
}

/* The calls that it had: actors' fail with what is known, tasks go elsewhere. */
static void
bury_calls(struct tri_core *core, struct tri_host *host, const struct tri_death *death)
{
    struct tri_node *lists[] = {&host->given, &host->accepted, &host->left};
    for (int i = 0; i < 3; i++) /* from the last one: each goes before what is there */
        while (!tri_list_empty(lists[i]))
            tri_call_dead_host(core, TRI_OWNER(lists[i]->prev, struct tri_pending, link), host, death);
}

void
tri_host_gone(struct tri_core *core, struct tri_host *host, const struct tri_death *death, const char *why)
{
    struct tri_peer *peer = host->peer;
    struct tri_actor *actor = host->actor;
    bool started = host->state != TRI_HOST_FORKING || host->expected;
    uint8_t kind = host->kind;
    const trp_err code = host->unhoused != TRP_OK ? host->unhoused : TRP_ENOWORKER;
    host->state = TRI_HOST_LOST;
    host->ending = true;
    tri_waits_of_host(core, host);
    tri_list_remove(&host->untold);
    tri_lost_host(core, host, death);
    if (actor != NULL) {
        host->actor = NULL;
        actor->host = NULL;
        tri_actor_die(core, actor, death, NULL, why);
    }
    bury_calls(core, host, death);
    TRI_ASSERT(host->outstanding == 0);
    core->calls_gone += tri_host_ended(host);
    TRI_ASSERT(!host->busy_cpu && host->special == NULL);
    if (peer != NULL)
        tri_peer_drop(core, peer);
    tri_host_set_kind(core, host, TRI_HOST_SPARE);
    core->spares--;
    core->host_count--;
    tri_timer_clear(&core->timers, &host->timer);
    tri_list_remove(&host->all);
    tri_table_remove(&core->hosts, &host->entry);
    free(host);
    if (!started && kind == TRI_HOST_SPARE)
        core->stock_ns = core->now_ns + TRI_NS_PER_S;
    if (!started && kind == TRI_HOST_POOL)
        tri_tasks_no_host(core, code, why != NULL ? why : "it ended before it logged in");
    core->tasks_changed = core->placing_changed = true;
    tri_left_look_all(core);
    tri_recovery_look(core);
}

void
tri_core_host_exited(struct tri_core *core, uint64_t token, const struct tri_death *death, uint64_t now_ns)
{
    struct tri_host *host = tri_host_find(core, token);
    tri_event_begin(core, now_ns);
    core->steps++;
    if (host != NULL)
        tri_host_gone(core, host, death,
                      host->state == TRI_HOST_FORKING ? "its process ended before it logged in" : NULL);
    tri_event_end(core);
}

void
tri_core_fork_failed(struct tri_core *core, uint64_t token, trp_err code, const char *why, uint64_t now_ns)
{
    struct tri_host *host = tri_host_find(core, token);
    tri_event_begin(core, now_ns);
    core->steps++;
    if (host != NULL) {
        host->unhoused = code;
        if (host->actor != NULL)
            host->actor->unhoused = code;
        tri_host_gone(core, host, NULL, why);
    }
    tri_event_end(core);
}

void
tri_hosts_stock(struct tri_core *core)
{
    if (core->barrier || core->now_ns < core->stock_ns)
        return;
    while (core->spares < core->config.spare_hosts)
        if (tri_host_fork(core, TRI_HOST_SPARE, "spare", NULL, 0, 0) == NULL)
            break;
}
