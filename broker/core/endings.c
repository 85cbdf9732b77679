/*
 * endings.c - how an actor ends: closed and drained (STOP), killed by a rule, dead; and what becomes of its calls, its host
 * and its resources then. It must not know who decided that.
 */
#include "broker/core/state.h"

#include <inttypes.h>
#include <stdio.h>

#define ORPHAN_NS (5 * TRI_NS_PER_S) /* tri_actor_overdue says it, too */

static void
end_creation(struct tri_core *core, struct tri_actor *actor)
{
    struct tri_pending *call = actor->creation;
    if (call == NULL)
        return;
    tri_call_spawned(core, call);
    tri_call_end(core, call);
    actor->creation = NULL;
}

static void
fail_lanes(struct tri_core *core, struct tri_actor *actor)
{
    while (!tri_list_empty(&actor->ready) || !tri_list_empty(&actor->stuck)) { /* a lane may go from one to the other */
        struct tri_node *lanes = tri_list_empty(&actor->ready) ? &actor->stuck : &actor->ready;
        struct tri_lane *lane = TRI_OWNER(lanes->next, struct tri_lane, link);
        tri_call_fail_actor(core, TRI_OWNER(lane->calls.next, struct tri_pending, link), actor);
    }
}

/* The host that it lived in goes on without it, for as long as it takes to exit; what it was given will not run. */
static void
leave_host(struct tri_core *core, struct tri_actor *actor)
{
    struct tri_host *host = actor->host;
    if (host == NULL)
        return;
    struct tri_node *lists[] = {&host->accepted, &host->given};
    for (int i = 0; i < 2; i++) {
        while (!tri_list_empty(lists[i])) {
            struct tri_pending *call = TRI_OWNER(lists[i]->next, struct tri_pending, link);
            if (call->kind == TRI_CALL_TASK)
                tri_call_dead_host(core, call, host, NULL);
            else
                tri_call_fail_actor(core, call, actor);
        }
    }
    tri_host_leave(core, host);
    actor->host = NULL;
}

void
tri_actor_die(struct tri_core *core, struct tri_actor *actor, const struct tri_death *death,
              const struct tri_section *cause, const char *why)
{
    struct tri_failure unhoused = {0};
    char how[400];
    if (actor->state == TRI_ACTOR_DEAD)
        return;
    tri_death_text(death, why != NULL ? why : actor->kill_rule, how, sizeof how);
    if (death == NULL && actor->kill_rule != NULL && cause == NULL)
        snprintf(how, sizeof how, "it was ended by %s", actor->kill_rule);
    if (actor->unhoused != TRP_OK && cause == NULL) {
        tri_fail(&unhoused.error, actor->unhoused, "%s", how);
        cause = tri_error_section(core, &unhoused);
    }
    actor->state = TRI_ACTOR_DEAD;
    if (actor->creation != NULL &&
        actor->creation->caller != NULL) /* who may send its SPAWN again to the next broker */
        core->ops.bury(core->ops.user, tri_thing_id(&actor->thing));
    if (actor->epoch != 0 && actor->epoch >> 32 != core->config.incarnation)
        tri_lost_add(core, tri_thing_id(&actor->thing));
    actor->obituary = tri_obituary_new(death, cause);
    if (actor->obituary != NULL)
        tri_fail(&actor->obituary->error, actor->unhoused != TRP_OK ? actor->unhoused : TRP_EACTORDIED, "%s", how);
    tri_epitaph_add(core, actor);
    tri_name_free(core, actor);
    tri_timer_clear(&core->timers, &actor->timer);
    tri_list_remove(&actor->link);
    if (actor->holds_resources) {
        if (actor->host != NULL) {
            tri_ledger_add(&core->ledger, actor->host->lent_cpus, 0, 0, NULL, 1);
            actor->host->lent_cpus = 0;
        }
        tri_actor_account(core, actor, -1);
        core->placing_changed = core->tasks_changed = true;
    }
    end_creation(core, actor);
    fail_lanes(core, actor);
    leave_host(core, actor);
    tri_watchers_tell(core, actor);
    tri_settle(core, &actor->thing);
}

void
tri_actor_close(struct tri_core *core, struct tri_actor *actor)
{
    actor->closing = true;
    tri_name_free(core, actor);
    if (actor->kill_rule == NULL)
        actor->kill_rule = "the loss of its last handle, or the end of its creator";
    if ((actor->state == TRI_ACTOR_WAITING || actor->state == TRI_ACTOR_ABSENT) && actor->pending == 0)
        tri_actor_die(core, actor, NULL, NULL, actor->kill_rule);
    else
        tri_actor_drained(core, actor);
}

/* Whoever would kill a method that never returns is gone. */
void
tri_actor_orphan(struct tri_core *core, struct tri_actor *actor)
{
    const uint64_t due_ns = core->now_ns + ORPHAN_NS;
    tri_actor_close(core, actor);
    if (!tri_actor_lives(actor) || (actor->killed && actor->timer.slot != 0 && actor->timer.due_ns <= due_ns))
        return;
    actor->orphan = tri_timer_set(&core->timers, &actor->timer, TRI_TIMER_ACTOR, due_ns);
}

/* It is to end, and its lanes are empty: the host hears of it. */
void
tri_actor_drained(struct tri_core *core, struct tri_actor *actor)
{
    struct tri_id none = {0, 0};
    bool created = actor->state == TRI_ACTOR_CREATED || actor->state == TRI_ACTOR_READY;
    if (!actor->closing || actor->stop_sent || !created || actor->lane_count > 0 || actor->host->peer == NULL ||
        !tri_list_empty(&actor->host->left)) /* results that would go with it */
        return;
    actor->stop_sent = true;
    tri_send_plain(core, actor->host->peer, TRI_STOP, TRI_DRAIN, tri_thing_id(&actor->thing), none, none, NULL);
}

/* Its constructor, or its draining, has taken too long. */
void
tri_actor_overdue(struct tri_core *core, struct tri_actor *actor)
{
    const char *drain = actor->orphan ? "the limit of 5 s for finishing its queue after its creator died"
                                      : "trp_kill, as its queue was not finished in the time given";
    const bool drains = actor->orphan || actor->killed;
    char limit[100];
    snprintf(limit, sizeof limit, "the limit of %" PRIu64 " ms for its constructor",
             actor->start_timeout_ns / TRI_NS_PER_MS);
    actor->killed = true;
    if (actor->host != NULL) {
        tri_host_kill(core, actor->host, drains ? drain : limit);
        return;
    }
    actor->kill_rule = drain; /* what has no host has no constructor that runs */
    tri_actor_die(core, actor, NULL, NULL, drain);
}
