/*
 * keeper.c - the thread that does what nobody else does: sends what callers left, within 50 us; runs timers; polls the
 * socket while no other thread does; finds a new broker. Its own thread, under the process's lock but when it sleeps. It
 * knows nothing of calls.
 *
 * A host has none before it runs anything: its one thread polls all the time, and looks at the timers itself.
 *
 * Being woken costs a caller a microsecond or more, so it is woken seldom: armed once, it ticks for a while; while callers
 * are active it looks every 2 ms instead of polling; and it sleeps long only while somebody else sleeps in poll.
 */
#include <inttypes.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "actors/process.h"

enum {
    WATCH_MS = 2500,
    SILENT_INTERVALS = 4
}; /* of a broker that owes something: PING after the first, then the end */
enum { TICK_NS = 50000, BUSY_TICK_NS = 800000, LOOKS_NS = 150000, EMPTY_TICKS = 4, LOOK_MS = 2, MISSES = 4 };
enum { HELLO_AGAIN_MS = 1000, LOGIN_MS = 10 * 1000 };

void
tri_keeper_ring(struct tri_process *process)
{
    const uint64_t one = 1;

    if (!process->keeper_sleeps)
        return; /* it looks at everything before it sleeps */
    process->keeper_sleeps = false;
    (void)!write(process->keeper_bell, &one, sizeof one);
}

void
tri_keeper_arm(struct tri_process *process)
{
    if (process->keeper_ticks || !process->keeper_runs)
        return;
    process->keeper_ticks = true;
    process->keeper_pause_ns = TICK_NS;
    process->activity_seen = process->activity;
    tri_keeper_ring(process);
}

/* ----------------------------------------------------------------------------------------------------- a silent broker */

static bool
broker_owes(const struct tri_process *process)
{
    return process->state == TRI_UP && process->local == NULL &&
           (process->channel.session.sent_count > 0 || !tri_proc_is_lone(process->proc));
}

static uint64_t
next_watch(const struct tri_process *process)
{
    if (process->watching)
        return process->watch_ns;
    return broker_owes(process) ? 0 : TRI_NEVER;
}

/* It counts intervals, not time, so that a process that was stopped itself does not blame the broker. A broker that only
 * hangs may go on, and this one with it; one that dies is seen at the door. */
static void
watch_broker(struct tri_process *process, uint64_t now_ns)
{
    const uint64_t limit = SILENT_INTERVALS + (uint64_t)process->reconnect_ms / WATCH_MS;
    trp_error why;

    if (now_ns < next_watch(process))
        return;
    process->silent = process->watching && process->received == process->watch_packets ? process->silent + 1 : 0;
    process->watching = broker_owes(process);
    process->watch_packets = process->received;
    process->watch_ns = now_ns + WATCH_MS * TRI_NS_PER_MS;
    if (!process->watching || process->silent == 0)
        return;
    if (process->silent == 1) {
        tri_process_post(process, TRI_PING, NULL);
        tri_process_flush(process);
    }
    if (process->silent < limit || tri_process_receive(process))
        return;
    (void)TRI_FAIL(&why, TRP_EBROKER, "the broker in %s has said nothing for %" PRIu64 " s: it is stopped, or hangs",
                   process->directory, limit * WATCH_MS / 1000);
    tri_process_fail(process, &why);
}

/* WELCOME has not come for a second. The last HELLO of a process that was stopped itself is older: it asks once more. */
static void
ask_again(struct tri_process *process, uint64_t now_ns)
{
    const bool returns = process->space != 0 && process->reconnect_ms > 0;
    const int64_t patience_ms = returns ? process->reconnect_ms : LOGIN_MS;
    trp_error why;

    if (now_ns < process->gone_ns + (uint64_t)patience_ms * TRI_NS_PER_MS ||
        now_ns >= process->hello_ns + 2 * HELLO_AGAIN_MS * TRI_NS_PER_MS) {
        tri_process_hello(process);
        return;
    }
    if (tri_process_receive(process))
        return;
    (void)TRI_FAIL(&why, TRP_EBROKER,
                   "the broker in %s has not let this process in for %" PRId64 " ms: it is stopped, or hangs",
                   process->directory, patience_ms);
    tri_process_fail(process, &why);
}

/* ------------------------------------------------------------------------------------------------------------- timers */

uint64_t
tri_keeper_next_ns(const struct tri_process *process)
{
    uint64_t next_ns = process->local == NULL || process->proc != NULL ? tri_proc_next_ns(process->proc) : TRI_NEVER;

    if (process->state == TRI_UP && process->local == NULL) {
        const uint64_t owed_ns = tri_proc_owed_ns(process->proc);
        const uint64_t watch_ns = next_watch(process);
        if (owed_ns < next_ns)
            next_ns = owed_ns;
        if (watch_ns < next_ns)
            next_ns = watch_ns;
    }
    if (process->state == TRI_LOGGING_IN && process->link != NULL) {
        const uint64_t again_ns = process->hello_ns + HELLO_AGAIN_MS * TRI_NS_PER_MS;
        if (again_ns < next_ns)
            next_ns = again_ns;
    }
    return next_ns;
}

void
tri_keeper_timer(struct tri_process *process)
{
    const uint64_t next_ns = tri_keeper_next_ns(process);

    if (next_ns >= process->keeper_wake_ns || !process->keeper_runs)
        return;
    process->keeper_wake_ns = next_ns;
    tri_keeper_ring(process);
}

void
tri_keeper_run_timers(struct tri_process *process, uint64_t now_ns)
{
    if (process->state == TRI_UP && process->local == NULL)
        watch_broker(process, now_ns);
    if (now_ns < tri_keeper_next_ns(process))
        return;
    tri_proc_tick(process->proc, now_ns);
    tri_process_flush(process);
    if (process->state == TRI_LOGGING_IN && process->link != NULL &&
        now_ns >= process->hello_ns + HELLO_AGAIN_MS * TRI_NS_PER_MS)
        ask_again(process, now_ns);
}

/* Sleeps on its own bell. */
static void
sleep_alone(struct tri_process *process, uint64_t now_ns, uint64_t until_ns)
{
    struct pollfd fd = {.fd = process->keeper_bell, .events = POLLIN};
    const uint64_t timer_ns = tri_keeper_next_ns(process);
    uint64_t count;
    int woken;

    if (timer_ns < until_ns)
        until_ns = timer_ns;
    process->keeper_wake_ns = until_ns;
    process->keeper_sleeps = true;
    tri_process_leave(process);
    woken = poll(&fd, 1, tri_poll_ms(until_ns, now_ns));
    tri_process_take(process);
    process->keeper_sleeps = false;
    if (woken > 0)
        (void)!read(process->keeper_bell, &count, sizeof count);
}

/* Sleeps on everything, as the process's poller. */
static void
sleep_in_poll(struct tri_process *process, uint64_t now_ns)
{
    struct pollfd fds[3] = {
        {.fd = tri_link_fd(process->link), .events = POLLIN},
        {.fd = process->door, .events = POLLIN},
        {.fd = process->keeper_bell, .events = POLLIN},
    };
    const uint64_t wake_ns = tri_keeper_next_ns(process);
    uint64_t count;
    int woken;

    process->poller = &process->keeper_place;
    process->keeper_wake_ns = wake_ns;
    process->keeper_sleeps = true;
    tri_process_leave(process);
    woken = poll(fds, 3, tri_poll_ms(wake_ns, now_ns));
    tri_process_take(process);
    process->keeper_sleeps = false;
    if (woken > 0 && fds[2].revents != 0)
        (void)!read(process->keeper_bell, &count, sizeof count);
    if (process->poller != &process->keeper_place)
        return; /* somebody took over, or the connection is another */
    process->poller = NULL;
    if (woken > 0 && fds[1].revents != 0)
        tri_process_look_at_door(process);
}

bool
tri_keeper_would_send(const struct tri_process *process, uint64_t now_ns)
{
    return process->posted_ns != 0 && now_ns >= process->posted_ns + LOOKS_NS;
}

/* Callers that are at work send themselves, when a packet is full or when they wait: what is young is theirs. */
static bool
should_send(const struct tri_process *process)
{
    return process->flushes == process->flushes_seen &&
           (process->activity == process->activity_seen || tri_keeper_would_send(process, tri_now_ns()));
}

/* Who has the lock after the pause is at work, and would have to wake the keeper: it comes another time. */
static void
pause_tick(struct tri_process *process)
{
    const struct timespec pause = {0, (long)process->keeper_pause_ns};

    tri_process_leave(process);
    for (unsigned i = 0; i < MISSES; i++) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        if (tri_lock_try(&process->lock))
            return;
    }
    tri_process_take(process);
}

/*
 * What is left to be sent goes out, fifty microseconds after it was left; 150 while callers go on. While they send themselves,
 * each look costs them a part of their processor: the pauses grow, and what the last of them leaves waits that much longer,
 * once.
 */
static void
tick(struct tri_process *process, unsigned *empty)
{
    const bool output =
        process->state == TRI_UP && (tri_channel_has_output(&process->channel) || !tri_list_empty(&process->unsent));

    if (output || process->flushes != process->flushes_seen) {
        *empty = 0;
    } else if (++*empty > EMPTY_TICKS) {
        process->keeper_ticks = false;
        *empty = 0;
        return;
    }
    if (output && should_send(process)) {
        tri_process_flush(process);
        process->keeper_pause_ns = TICK_NS;
    } else if (process->keeper_pause_ns < BUSY_TICK_NS) {
        process->keeper_pause_ns *= 2;
    }
    process->flushes_seen = process->flushes;
    process->activity_seen = process->activity;
    pause_tick(process);
}

/* Threads are busy, none of them polls: a glance, so that a host with a long queue of short methods notices a new broker,
 * too, and what came is acknowledged. */
static void
glance(struct tri_process *process, uint64_t now_ns)
{
    struct pollfd door = {.fd = process->door, .events = POLLIN};

    if (process->poller != NULL || process->link == NULL || process->state > TRI_UP ||
        now_ns < process->glance_ns + LOOK_MS * TRI_NS_PER_MS)
        return;
    process->glance_ns = now_ns;
    if (poll(&door, 1, 0) > 0)
        tri_process_look_at_door(process);
    if (process->state <= TRI_UP && process->link != NULL)
        (void)tri_process_receive(process);
}

static void
be_idle(struct tri_process *process, uint64_t now_ns, uint64_t *seen)
{
    const bool quiet = process->activity == *seen;
    const bool others = process->poller != NULL && process->poller != &process->keeper_place;
    const uint64_t look_ns = now_ns + LOOK_MS * TRI_NS_PER_MS;

    *seen = process->activity;
    if (process->link == NULL || process->state > TRI_UP) {
        sleep_alone(process, now_ns, TRI_NEVER);
    } else if (others) {
        process->keeper_sleeps_long = quiet;
        sleep_alone(process, now_ns, quiet ? TRI_NEVER : look_ns);
        process->keeper_sleeps_long = false;
    } else if (quiet || process->callbacks > 0) {
        tri_process_flush(process);
        tri_process_acknowledge(process);
        if (!tri_process_receive(process) && process->link != NULL)
            sleep_in_poll(process, now_ns);
    } else {
        sleep_alone(process, now_ns, look_ns);
    }
}

static void
step(struct tri_process *process, unsigned *empty, uint64_t *seen)
{
    const uint64_t now_ns = tri_now_ns();

    tri_keeper_run_timers(process, now_ns);
    glance(process, now_ns);
    if (process->state == TRI_AWAY)
        tri_process_reconnect(process, now_ns);
    else if (process->keeper_ticks)
        tick(process, empty);
    else
        be_idle(process, now_ns, seen);
}

void *
tri_keeper_main(void *user)
{
    struct tri_process *process = user;
    unsigned empty = 0;
    uint64_t seen = 0;

    (void)prctl(PR_SET_NAME, "trp-keeper");
    (void)prctl(PR_SET_TIMERSLACK, 1000);
    tri_process_take(process);
    while (!process->keeper_quit)
        step(process, &empty, &seen);
    tri_process_leave(process);
    return NULL;
}
