/*
 * process.c - a process's connection as a whole: its making, its end, its lock, and what the proc asks of it. Any thread. It
 * knows neither what calls are (calls.c, refs.c) nor what a host does with them (host.c).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "actors/process.h"

enum { GOODBYE_MS = 500 };

/* The process's one connection (docs/decisions.md), and whether this is a child that was forked from the one that made it. */
static struct {
    _Atomic(struct tri_process *) process;
    bool forked;
} here;

static void
in_the_child(void)
{
    here.forked = here.process != NULL;
}

static void
watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, in_the_child); /* ENOMEM: a child's calls hang instead of being refused */
}

bool
tri_process_forked(void)
{
    return here.forked;
}

struct tri_process *
tri_process_here(void)
{
    return here.process;
}

/* --------------------------------------------------------------------------------------------- what the proc asks */

static uint64_t
on_post(void *user, const struct tri_route *route, const struct tri_section *sections, uint32_t section_count,
        uint64_t credit_bytes)
{
    struct tri_process *process = user;
    uint64_t where = 0;

    if (process->local != NULL)
        return tri_local_post(process->local, route, sections, section_count);
    if (tri_channel_post(&process->channel, route, sections, section_count, &where, NULL) != TRP_OK) {
        process->no_memory = true;
        return 0;
    }
    if (credit_bytes > 0)
        tri_session_use(&process->channel.session, credit_bytes);
    return where;
}

static bool
on_has_credit(void *user, uint64_t bytes)
{
    const struct tri_process *process = user;

    return process->local != NULL || tri_session_has_credit(&process->channel.session, bytes);
}

static void
on_release(void *user, uint64_t bytes)
{
    struct tri_process *process = user;

    if (process->local == NULL)
        tri_session_release(&process->channel.session, bytes);
}

static void
on_ready(void *user, struct tri_ref *ref)
{
    struct tri_process *process = user;
    struct tri_node *node;

    for (node = ref->waiters.next; node != &ref->waiters; node = node->next) {
        struct tri_waiter *waiter = TRI_OWNER(node, struct tri_watcher, link)->waiter;
        if (++waiter->ended >= waiter->needed)
            tri_waiter_poke(process, waiter);
    }
    if (((struct tri_handle *)(void *)ref)->more != NULL)
        tri_callbacks_ready(process, (struct tri_handle *)(void *)ref);
    tri_waiters_poke(process, false);
}

static void
on_run(void *user, struct tri_incoming *call)
{
    struct tri_process *process = user;

    if (call->section_count > 1)
        tri_arguments_pin((struct tri_section *)(uintptr_t)call->sections, call->section_count); /* the call is ours */
    process->hooks.run(process->hooks.user, call); /* whoever receives pokes waiters when it is through */
}

static void
on_create(void *user, const struct tri_envelope *envelope)
{
    struct tri_process *process = user;

    process->hooks.create(process->hooks.user, envelope);
    tri_waiters_poke(process, false);
}

static void
on_stop(void *user, struct tri_id actor, bool drain)
{
    struct tri_process *process = user;

    process->hooks.stop(process->hooks.user, actor, drain);
    tri_waiters_poke(process, false);
}

static void
on_dropped(void *user, struct tri_incoming *call)
{
    struct tri_process *process = user;

    process->hooks.dropped(process->hooks.user, call);
    tri_waiters_poke(process, false);
}

static void
on_cancelled(void *user, struct tri_incoming *call)
{
    struct tri_process *process = user;

    process->hooks.cancelled(process->hooks.user, call);
    tri_waiters_poke(process, true); /* it may wait */
}

static void
on_deadlock(void *user, struct tri_id parent, const struct tri_section *section)
{
    struct tri_process *process = user;

    process->hooks.deadlock(process->hooks.user, parent, section);
    tri_waiters_poke(process, true);
}

static void
on_renumbered(void *user)
{
    struct tri_process *process = user;

    process->hooks.renumbered(process->hooks.user);
}

static void
on_log(void *user, const struct tri_log_line *line)
{
    (void)user;
    (void)fprintf(stderr, "(%s pid=%d) %s\n", line->actor, (int)line->pid, line->text);
}

static void
on_cut(void *user, const trp_error *why)
{
    tri_process_fail(user, why);
}

/* ------------------------------------------------------------------------------------------------- making and ending */

static trp_err
make_proc(struct tri_process *process, trp_error *error)
{
    const struct tri_proc_ops ops = {
        .post = on_post,
        .has_credit = on_has_credit,
        .release = on_release,
        .ref_new = tri_handle_new,
        .ref_free = tri_handle_free,
        .ready = on_ready,
        .here = tri_pinned_here,
        .run = process->has_hooks ? on_run : NULL,
        .create = process->has_hooks ? on_create : NULL,
        .stop = process->has_hooks ? on_stop : NULL,
        .dropped = process->has_hooks ? on_dropped : NULL,
        .cancelled = process->has_hooks ? on_cancelled : NULL,
        .deadlock = process->has_hooks ? on_deadlock : NULL,
        .renumbered = process->has_hooks ? on_renumbered : NULL,
        .log = on_log,
        .cut = on_cut,
        .user = process,
    };

    return tri_proc_new(process->is_host, &ops, tri_random_secret(), &process->proc, error);
}

#define RECONNECT_MAX_MS (INT64_C(1) << 40) /* for ever, and no sum with it overflows */

static void
make_empty(struct tri_process *process, const struct tri_process_config *config)
{
    process->state = TRI_LOGGING_IN;
    process->is_host = config->is_host;
    process->is_service = config->is_service;
    process->token = config->token;
    process->reconnect_ms = config->reconnect_ms < RECONNECT_MAX_MS ? config->reconnect_ms : RECONNECT_MAX_MS;
    process->has_hooks = config->hooks != NULL;
    if (config->hooks != NULL)
        process->hooks = *config->hooks;
    tri_text_copy(process->directory, sizeof process->directory, config->directory != NULL ? config->directory : "");
    tri_text_copy(process->program, sizeof process->program, config->program != NULL ? config->program : "");
    process->door = process->bell = process->keeper_bell = process->due_fd = -1;
    process->gone_ns = tri_now_ns();
    process->keeper_wake_ns = process->alarm_ns = TRI_NEVER;
    tri_list_init(&process->unsent);
    tri_list_init(&process->waiters);
    tri_list_init(&process->generic);
    tri_list_init(&process->due);
    tri_waiter_init(&process->keeper_place);
    tri_channel_init(&process->channel, 1, 0); /* the real window comes with WELCOME */
    process->channel.session.spare_max = TRI_SPARES_MAX;
}

trp_err
tri_process_new(const struct tri_process_config *config, struct tri_process **process, trp_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct tri_process *made, *none = NULL;
    trp_err err = TRP_OK;

    if (config->directory != NULL && strlen(config->directory) >= sizeof made->directory)
        return TRI_FAIL(error, TRP_EINVAL, "the node's directory has a name of more than %zu bytes",
                        sizeof made->directory - 1);
    if (here.forked)
        return TRI_FAIL(error, TRP_EFORKED, "this process was forked from one that has a runtime");
    (void)pthread_once(&once, watch_forks);
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a runtime");
    make_empty(made, config);
    for (int i = 0; i < TRI_STORE_FDS; i++)
        made->arena_fds[i] = -1;
    made->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    made->keeper_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->bell < 0 || made->keeper_bell < 0)
        err = tri_fail_system(error, TRP_ELIMIT, errno, "no descriptor for a runtime");
    if (err == TRP_OK)
        err = make_proc(made, error);
    if (err == TRP_OK && !atomic_compare_exchange_strong(&here.process, &none, made))
        err = TRI_FAIL(error, TRP_EALREADY, "this process has a runtime already; there is one at a time");
    if (err != TRP_OK) {
        tri_process_free(made);
        return err;
    }
    *process = made;
    return TRP_OK;
}

trp_err
tri_process_begin(struct tri_process *process, trp_error *error)
{
    sigset_t all, before;
    int err;

    (void)sigfillset(&all); /* the user's handlers run on the user's threads */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&process->keeper, NULL, tri_keeper_main, process);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0)
        return tri_fail_system(error, TRP_ELIMIT, err, "this process gets no thread");
    process->keeper_runs = true;
    return TRP_OK;
}

trp_err
tri_process_need_keeper(struct tri_process *process, trp_error *error)
{
    if (process->keeper_runs || process->local != NULL || process->state > TRI_UP)
        return TRP_OK;
    return tri_process_begin(process, error);
}

static trp_err
is_shut_down(trp_error *error)
{
    return TRI_FAIL(error, TRP_ECLOSED, "the runtime is shut down");
}

static bool
is_parted(void *user)
{
    const struct tri_process *process = user;

    return process->state != TRI_UP || process->channel.session.sent_count == 0;
}

/* The socket drops what it has not sent when it is closed: waits until the broker has all, or has closed its door. */
static void
say_goodbye(struct tri_process *process)
{
    const bool lends = process->store != NULL && tri_store_has_lent(process->store);
    const struct tri_route route = {.kind = TRI_GOODBYE, .flags = lends ? TRI_LENT : 0};
    const uint64_t until_ns = tri_now_ns() + GOODBYE_MS * TRI_NS_PER_MS;

    process->reconnect_ms = 0;
    if (process->state != TRI_UP || process->local != NULL ||
        tri_channel_post(&process->channel, &route, NULL, 0, NULL, NULL) != TRP_OK)
        return;
    tri_process_flush(process);
    (void)tri_process_wait(process, is_parted, process, until_ns, NULL, 0, false, NULL);
}

static void
end_keeper(struct tri_process *process)
{
    if (!process->keeper_runs)
        return;
    tri_process_lock(process);
    process->keeper_quit = true;
    tri_keeper_ring(process);
    tri_process_unlock(process);
    (void)pthread_join(process->keeper, NULL);
    process->keeper_runs = false;
}

/* Threads that wait look, find the end and leave; the last of them says so. */
static void
empty_waits(struct tri_process *process)
{
    tri_waiters_poke(process, true);
    while (process->inside > 0) {
        atomic_store(&process->emptied, 0);
        tri_process_leave(process);
        tri_word_sleep(&process->emptied, TRI_NEVER);
        tri_process_take(process);
    }
}

void
tri_process_close(struct tri_process **process)
{
    struct tri_process *gone = *process;
    bool last;

    if (gone == NULL)
        return;
    *process = NULL;
    tri_process_lock(gone);
    gone->leaves = true;
    say_goodbye(gone);
    if (gone->state != TRI_DEAD)
        is_shut_down(&gone->fatal);
    tri_proc_fail_all(gone->proc, &gone->fatal);
    gone->state = TRI_CLOSED;
    empty_waits(gone);
    tri_process_unlock(gone);
    end_keeper(gone);
    tri_process_disconnect(gone); /* nobody else is here any more, except releases of handles */
    tri_link_context_end(&gone->context);

    tri_process_take(gone);
    tri_local_destroy(&gone->local);
    tri_handles_end(gone);
    tri_proc_destroy(&gone->proc);
    here.process = NULL;
    last = gone->zombies == 0;
    tri_process_leave(gone);
    if (last)
        tri_process_free(gone);
}

void
tri_process_free(struct tri_process *process)
{
    struct tri_slab *slab;

    tri_proc_destroy(&process->proc);
    tri_channel_fini(&process->channel);
    tri_packed_fini(&process->packed);
    tri_packed_fini(&process->space_given);
    tri_stored_end(process);
    while ((slab = process->slabs) != NULL) {
        process->slabs = slab->next;
        free(slab);
    }
    for (size_t i = 0; i < 3; i++) {
        const int fd = i == 0 ? process->bell : i == 1 ? process->keeper_bell : process->due_fd;
        if (fd >= 0)
            (void)close(fd);
    }
    tri_waiter_fini(&process->keeper_place);
    free(process);
}

void
tri_process_fail(struct tri_process *process, const trp_error *why)
{
    if (process->state == TRI_DEAD || process->state == TRI_CLOSED)
        return;
    process->state = TRI_DEAD;
    process->fatal = *why;
    if (process->leaves) /* the broker shuts its door when it hears GOODBYE */
        is_shut_down(&process->fatal);
    tri_proc_fail_all(process->proc, &process->fatal);
    tri_waiters_poke(process, true);
    tri_keeper_ring(process);
}

/* ------------------------------------------------------------------------------------------------------- the lock */

void
tri_process_wake(struct tri_process *process)
{
    _Atomic uint32_t *wakes[TRI_WAKES_MAX];
    const uint32_t count = process->wake_count;

    for (uint32_t i = 0; i < count; i++)
        wakes[i] = process->wakes[i];
    process->wake_count = 0;
    tri_lock_give(&process->lock);
    for (uint32_t i = 0; i < count; i++)
        tri_word_wake(wakes[i]);
}

void
tri_process_lock(struct tri_process *process)
{
    tri_process_take(process);
    process->activity++;
}

/* What is left behind under the lock: somebody has to send it, or look at the time. */
static void
leave_chores(struct tri_process *process)
{
    if (process->no_memory) {
        trp_error why;
        process->no_memory = false;
        (void)TRI_FAIL(&why, TRP_ENOMEM, "no memory for a message to the broker");
        tri_process_fail(process, &why);
    }
    if (process->state != TRI_UP || process->local != NULL)
        return;
    if (tri_channel_has_output(&process->channel)) {
        if (process->posted_ns == 0)
            process->posted_ns = tri_now_ns();
        tri_keeper_arm(process);
    } else if (!process->keeper_ticks) {
        tri_keeper_timer(process); /* what was released may have nothing to travel with */
    }
}

void
tri_process_unlock(struct tri_process *process)
{
    const bool told = process->keeper_ticks && process->posted_ns != 0; /* the keeper is about to send */

    if (!told || process->no_memory)
        leave_chores(process);
    tri_process_leave(process);
}

struct tri_proc *
tri_process_proc(struct tri_process *process)
{
    return process->proc;
}

trp_err
tri_process_alive(struct tri_process *process, trp_error *error)
{
    if (process->state < TRI_DEAD)
        return TRP_OK;
    if (process->state == TRI_CLOSED)
        return is_shut_down(error);
    if (error != NULL)
        *error = process->fatal;
    return process->fatal.code;
}

/* ---------------------------------------------------------------------------------------------- for the worker host */

const char *
tri_process_node(const struct tri_process *process)
{
    return process->node;
}

uint64_t
tri_process_post_route(struct tri_process *process, const struct tri_route *route, const struct tri_section *section)
{
    return on_post(process, route, section, section != NULL ? 1 : 0, 0);
}

void
tri_process_post(struct tri_process *process, uint8_t kind, const struct tri_section *section)
{
    const struct tri_route route = {.kind = kind};

    (void)tri_process_post_route(process, &route, section);
}

/* Packets that the broker has not acknowledged, or that are not sent: a host waits for none before it exits. */
static bool
is_owed(const struct tri_process *process)
{
    return process->state == TRI_UP && process->local == NULL &&
           (process->channel.session.sent_count > 0 || tri_channel_has_output(&process->channel) ||
            !tri_list_empty(&process->unsent));
}

bool
tri_process_told(const struct tri_process *process)
{
    return process->state == TRI_UP && !is_owed(process);
}

size_t
tri_process_callback_count(const struct tri_process *process)
{
    return process->callbacks;
}
