/*
 * wait.c - how threads wait: one of them polls for all, the others sleep until what they wait for has come. Any thread, with
 * the process's lock, which is dropped in sleep. It knows nothing of what is waited for.
 *
 * The socket's descriptor is edge-triggered: whoever sleeps on it has received until there was nothing, under the same lock,
 * and whoever sends while somebody sleeps on it receives afterwards.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "actors/process.h"

enum { ACKNOWLEDGE_AFTER_MS = 2, ACKNOWLEDGE_PACKETS = 16, MANY_POSTED = 8 };

uint64_t
tri_until_ns(int64_t timeout_ms)
{
    const uint64_t now_ns = tri_now_ns();

    if (timeout_ms < 0 || (uint64_t)timeout_ms > (TRI_NEVER - now_ns) / TRI_NS_PER_MS)
        return TRI_NEVER;
    return now_ns + (uint64_t)timeout_ms * TRI_NS_PER_MS;
}

int
tri_poll_ms(uint64_t until_ns, uint64_t now_ns)
{
    const uint64_t most_ms = 1000 * 1000;
    uint64_t left_ms;

    if (until_ns == TRI_NEVER)
        return -1;
    if (until_ns <= now_ns)
        return 0;
    left_ms = (until_ns - now_ns + TRI_NS_PER_MS - 1) / TRI_NS_PER_MS;
    return (int)(left_ms < most_ms ? left_ms : most_ms);
}

void
tri_waiter_init(struct tri_waiter *waiter)
{
    *waiter = (struct tri_waiter){.needed = 1};
    tri_list_init(&waiter->link);
}

void
tri_waiter_fini(struct tri_waiter *waiter)
{
    tri_list_remove(&waiter->link);
}

void
tri_waiter_poke(struct tri_process *process, struct tri_waiter *waiter)
{
    const uint64_t one = 1;

    if (atomic_load_explicit(&waiter->poked, memory_order_relaxed) != 0)
        return;
    atomic_store_explicit(&waiter->poked, 1, memory_order_relaxed);
    if (waiter->sleeping)
        process->rousing++;
    if (waiter->polling)
        (void)!write(process->bell, &one, sizeof one); /* full: it is ringing already */
    else if (waiter->sleeping && process->wake_count < TRI_WAKES_MAX)
        process->wakes[process->wake_count++] = &waiter->poked;
    else if (waiter->sleeping)
        tri_word_wake(&waiter->poked);
}

void
tri_waiters_poke(struct tri_process *process, bool all)
{
    struct tri_node *node;

    for (node = process->generic.next; node != &process->generic; node = node->next)
        tri_waiter_poke(process, TRI_OWNER(node, struct tri_waiter, link));
    for (node = process->waiters.next; all && node != &process->waiters; node = node->next)
        tri_waiter_poke(process, TRI_OWNER(node, struct tri_waiter, link));
}

void
tri_process_poke(struct tri_process *process)
{
    tri_waiters_poke(process, false);
}

/* Who sleeps and was not woken: one that was may have what it waits for, and goes. */
static struct tri_waiter *
find_sleeper(const struct tri_node *list)
{
    for (struct tri_node *node = list->next; node != list; node = node->next) {
        struct tri_waiter *waiter = TRI_OWNER(node, struct tri_waiter, link);
        if (waiter->sleeping && atomic_load_explicit(&waiter->poked, memory_order_relaxed) == 0)
            return waiter;
    }
    return NULL;
}

/* Nobody polls from here on: wakes somebody who will. */
static void
leave_poll(struct tri_process *process, const struct tri_waiter *waiter)
{
    struct tri_waiter *other;

    if (process->poller != waiter)
        return;
    process->poller = NULL;
    other = find_sleeper(&process->waiters);
    if (other == NULL)
        other = find_sleeper(&process->generic);
    if (other != NULL)
        tri_waiter_poke(process, other);
    else if (process->keeper_sleeps_long || process->callbacks > 0)
        tri_keeper_ring(process);
}

trp_err
tri_process_runs(struct tri_process *process, trp_error *error)
{
    TRP_TRY(tri_process_need_keeper(process, error));
    if (process->poller == NULL)
        leave_poll(process, NULL);
    return TRP_OK;
}

static bool
may_poll(const struct tri_process *process, const struct tri_waiter *waiter)
{
    return process->link != NULL && process->state <= TRI_UP &&
           (process->poller == NULL || process->poller == waiter || process->poller == &process->keeper_place);
}

/* Sleeps on the socket, the door and the bell. */
static void
sleep_in_poll(struct tri_process *process, struct tri_waiter *waiter, uint64_t until_ns)
{
    struct pollfd fds[3] = {
        {.fd = tri_link_fd(process->link), .events = POLLIN},
        {.fd = process->door, .events = POLLIN},
        {.fd = process->bell, .events = POLLIN},
    };
    const struct tri_session *session = &process->channel.session;
    bool owes = process->state == TRI_UP && tri_session_owes(session);
    uint64_t count;
    int timeout_ms, woken;

    if (process->poller == &process->keeper_place)
        tri_keeper_ring(process); /* two that poll would both wake for each packet */
    process->poller = waiter;
    if (owes && session->received - session->told >= ACKNOWLEDGE_PACKETS) {
        tri_process_acknowledge(process);
        owes = false;
        if (tri_link_readable(process->link))
            return; /* sending may have taken the edge that this thread is about to sleep on */
    }
    if (!process->keeper_runs && tri_keeper_next_ns(process) < until_ns)
        until_ns = tri_keeper_next_ns(process);
    timeout_ms = until_ns == TRI_NEVER ? -1 : tri_poll_ms(until_ns, tri_now_ns());
    if (owes && (timeout_ms < 0 || timeout_ms > ACKNOWLEDGE_AFTER_MS))
        timeout_ms = ACKNOWLEDGE_AFTER_MS;
    waiter->polling = true;
    tri_process_leave(process);
    woken = poll(fds, 3, timeout_ms);
    tri_process_take(process);
    waiter->polling = false;
    if (woken == 0 && owes && process->state == TRI_UP)
        tri_process_acknowledge(process);
    if (woken > 0 && fds[2].revents != 0)
        (void)!read(process->bell, &count, sizeof count);
    if (woken > 0 && fds[1].revents != 0 && process->poller == waiter)
        tri_process_look_at_door(process);
    if (!process->keeper_runs)
        tri_keeper_run_timers(process, tri_now_ns());
}

static void
sleep_alone(struct tri_process *process, struct tri_waiter *waiter, uint64_t until_ns)
{
    waiter->sleeping = true;
    tri_process_leave(process);
    tri_word_sleep(&waiter->poked, until_ns);
    tri_process_take(process);
    waiter->sleeping = false;
    process->rousing -= atomic_load_explicit(&waiter->poked, memory_order_relaxed);
}

/* What this execution waits for does not come, since nothing runs that could bring it. */
static trp_err
refuse_wait(trp_err why, trp_error *error)
{
    char text[TRI_STACK_TEXT] = "";

    if (why == TRP_EDEADLOCK)
        return TRI_FAIL(error, why,
                        "this wait could never end: nothing else runs in local mode, and what it waits for waits, too");
    (void)tri_stack_low(text);
    return TRI_FAIL(error, why, "what this waits for could not be run: %s", text);
}

static trp_err
timed_out(struct tri_process *process, bool gave_way, trp_error *error)
{
    process->gave_way = gave_way;
    return TRI_FAIL(error, TRP_ETIMEDOUT, "not in time");
}

/* Local mode: the waits of this thread, each in the middle of the one before. */
static _Thread_local struct tri_waiter *innermost;

static void
enter_local(struct tri_waiter *waiter, uint64_t until_ns)
{
    const struct tri_waiter *outer = innermost;

    waiter->outer = innermost;
    waiter->until_ns = waiter->generic ? TRI_NEVER : until_ns; /* what is no get or wait may end later */
    waiter->outer_ns = TRI_NEVER;
    if (outer != NULL)
        waiter->outer_ns = outer->until_ns < outer->outer_ns ? outer->until_ns : outer->outer_ns;
    innermost = waiter;
}

/* Time is up for a wait around this one, which can return only when this one has, and nothing is left to do here. */
static trp_err
give_way(struct tri_process *process, struct tri_waiter *waiter, trp_error *error)
{
    const uint64_t now_ns = tri_now_ns();

    for (struct tri_waiter *outer = waiter->outer; outer != NULL; outer = outer->outer)
        outer->over = outer->over || outer->until_ns <= now_ns;
    return timed_out(process, true, error);
}

/* Local mode: there is no broker to wait for, this thread does what is due. */
static trp_err
step_or_sleep(struct tri_process *process, struct tri_waiter *waiter, uint64_t until_ns, trp_error *error)
{
    struct tri_inherited inherited = {.deadline_ns = TRI_NEVER};
    uint64_t next_ns;
    trp_err stuck = TRP_OK;
    bool stepped, gives_way;

    if (tri_current_execution != NULL) {
        tri_execution_inherited(tri_current_execution, &inherited);
        if (inherited.cancelled)
            return TRI_FAIL(error, TRP_ECANCELLED, "this call was cancelled, so it waits for nothing either");
        tri_local_waits(process->local, true);
        atomic_store_explicit(&waiter->poked, 0, memory_order_relaxed); /* it has roused this one, too */
    }
    stepped = tri_local_step(process->local, &stuck);
    gives_way = !stepped && waiter->outer_ns < until_ns && tri_now_ns() >= waiter->outer_ns;
    if (!stepped && !gives_way && (stuck == TRP_OK || tri_current_execution == NULL)) {
        next_ns = tri_proc_next_ns(process->proc);
        if (process->alarm_ns < next_ns)
            next_ns = process->alarm_ns;
        next_ns = next_ns < until_ns ? next_ns : until_ns;
        next_ns = next_ns < waiter->outer_ns ? next_ns : waiter->outer_ns;
        if (!tri_local_leap(process->local, &next_ns))
            sleep_alone(process, waiter, next_ns);
    }
    if (tri_current_execution != NULL)
        tri_local_waits(process->local, false);
    if (gives_way)
        return give_way(process, waiter, error);
    return stepped || stuck == TRP_OK || tri_current_execution == NULL ? TRP_OK : refuse_wait(stuck, error);
}

/* Of many that are posted and young: what has come meanwhile is looked at first, and what that leads to goes along. A host's
 * results are waited for: they go when its mailbox is empty. */
static bool
may_wait(const struct tri_process *process)
{
    return !process->is_host && process->channel.envelope_count >= MANY_POSTED &&
           !tri_keeper_would_send(process, tri_now_ns());
}

/* One look, and if there is nothing, one sleep. *ended: the wait is over, with what is returned. */
static trp_err
wait_once(struct tri_process *process, struct tri_waiter *waiter, bool (*done)(void *user), void *user,
          uint64_t until_ns, bool *ended, trp_error *error)
{
    const uint64_t now_ns = until_ns == TRI_NEVER ? 0 : tri_now_ns();
    const bool only_looks = until_ns != TRI_NEVER && now_ns >= until_ns;
    bool got = false;

    *ended = true;
    atomic_store_explicit(&waiter->poked, 0, memory_order_relaxed);
    if (waiter->over)
        return timed_out(process, false, error);
    if (done(user))
        return TRP_OK;
    TRP_TRY(tri_process_alive(process, error));
    if (process->local == NULL) {
        if (!only_looks && may_wait(process))
            got = may_poll(process, waiter) && tri_process_receive(process);
        if (got && done(user))
            return TRP_OK;
        if (!only_looks || tri_keeper_would_send(process, now_ns))
            if (process->rousing ==
                0) /* else those who wake are likely to call, too: the last of them sends, or the keeper */
                tri_process_flush(process);
        got = (may_poll(process, waiter) && tri_process_receive(process)) || got;
        if (got && done(user))
            return TRP_OK;
    }
    if (only_looks)
        return timed_out(process, false, error);
    *ended = false;
    if (got || atomic_load_explicit(&waiter->poked, memory_order_relaxed) != 0)
        return TRP_OK;
    if (process->local != NULL) {
        const trp_err err = step_or_sleep(process, waiter, until_ns, error);
        *ended = err != TRP_OK;
        return err;
    }
    if (may_poll(process, waiter)) {
        sleep_in_poll(process, waiter, until_ns);
    } else {
        if (process->poller == waiter)
            process->poller = NULL; /* there is nothing to poll while the broker is away */
        sleep_alone(process, waiter, until_ns);
    }
    return TRP_OK;
}

/* In an execution of a host: the thread may have something else to do meanwhile (an IN_PLACE task). */
static trp_err
work_instead(struct tri_process *process, struct tri_waiter *waiter, bool *worked, trp_error *error)
{
    trp_err err = TRP_OK;

    *worked = false;
    if (tri_current_execution == NULL || !process->has_hooks || process->hooks.wait_work == NULL)
        return TRP_OK;
    if (process->poller == waiter)
        process->poller = NULL; /* what runs now may wait itself, on this thread */
    *worked = process->hooks.wait_work(process->hooks.user, tri_current_execution, &err, error);
    return *worked ? err : TRP_OK;
}

static trp_err
wait_loop(struct tri_process *process, struct tri_waiter *waiter, bool (*done)(void *user), void *user,
          uint64_t until_ns, bool blocked, trp_error *error)
{
    bool ended = false, worked = false;
    trp_err err;

    do {
        if (blocked) {
            TRP_TRY(work_instead(process, waiter, &worked, error));
            if (worked && !done(user))
                continue;
        }
        err = wait_once(process, waiter, done, user, until_ns, &ended, error);
    } while (!ended);
    return err;
}

static void
leave_wait(struct tri_process *process)
{
    if (--process->inside > 0 || process->state != TRI_CLOSED)
        return;
    atomic_store(&process->emptied, 1);
    tri_word_wake(&process->emptied); /* who sleeps on it looks when this thread has left the lock */
}

trp_err
tri_waiter_wait(struct tri_process *process, struct tri_waiter *waiter, bool (*done)(void *user), void *user,
                uint64_t until_ns, const struct tri_id *ids, uint32_t id_count, bool any, trp_error *error)
{
    struct tri_execution *execution = tri_current_execution;
    const bool blocked = execution != NULL && id_count > 0 && process->has_hooks && process->local == NULL;
    struct tri_inherited inherited = {.deadline_ns = TRI_NEVER};
    trp_err err;

    if (done(user))
        return TRP_OK;
    if (execution != NULL)
        tri_execution_inherited(execution, &inherited);
    if (inherited.deadline_ns < until_ns)
        until_ns = inherited.deadline_ns;
    if (process->local != NULL)
        enter_local(waiter, until_ns);
    process->inside++;
    tri_list_append(waiter->generic ? &process->generic : &process->waiters, &waiter->link);
    if (blocked)
        process->hooks.wait_begins(process->hooks.user, execution, ids, id_count, any);
    err = wait_loop(process, waiter, done, user, until_ns, blocked, error);
    if (blocked)
        process->hooks.wait_ends(process->hooks.user, execution);
    if (process->local != NULL)
        innermost = waiter->outer;
    tri_list_remove(&waiter->link);
    leave_poll(process, waiter);
    leave_wait(process);
    return err;
}

trp_err
tri_process_wait(struct tri_process *process, bool (*done)(void *user), void *user, uint64_t until_ns,
                 const struct tri_id *ids, uint32_t id_count, bool any, trp_error *error)
{
    struct tri_waiter waiter;
    trp_err err;

    if (done(user))
        return TRP_OK;
    tri_waiter_init(&waiter);
    waiter.generic = true;
    err = tri_waiter_wait(process, &waiter, done, user, until_ns, ids, id_count, any, error);
    tri_waiter_fini(&waiter);
    return err;
}
