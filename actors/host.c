/*
 * host.c - the worker host's life: it logs in, takes what the broker sends into its mailbox, runs it, and ends in order when
 * it is told to. Threads: the main one, and for actors with max_concurrency as many more, all in host_loop; the hooks are
 * called by whichever thread receives, with the process's lock. It must not know what a call does.
 */
#include "actors/host.h"

#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/actors.h"
#include "actors/crash.h"

enum { KEEP_FREE_BYTES = 4 * 1024 * 1024 };
enum { EXIT_ENDED = 0, EXIT_NO_BROKER = 1, EXIT_NOT_CONSTRUCTED = 2, LAST_WORDS_MS = 2000 };

/* ------------------------------------------------------------------------------------------------------------- hooks */

static void
on_run(void *user, struct tri_incoming *call)
{
    struct tri_host *host = user;
    if ((call->route->flags & TRI_IN_PLACE) != 0 && tri_host_take_in_place(host, call))
        return;
    tri_mailbox_push(&host->mailbox, call);
}

static void
on_create(void *user, const struct tri_envelope *envelope)
{
    struct tri_host *host = user;
    if (host->actor.wanted)
        return;
    host->actor.wanted = true;
    host->actor.id = envelope->route.target;
    atomic_store(&host->progress->actor_space, host->actor.id.space);
    atomic_store(&host->progress->actor_number, host->actor.id.number);
    host->actor.create = tri_letter_copy(envelope);
    host->mailbox.open = false;
    if (host->actor.create == NULL) {
        tri_log(TRI_ERROR, "no memory for an actor");
        abort();
    }
    tri_arguments_pin(host->actor.create->sections, host->actor.create->section_count);
}

static void
on_stop(void *user, struct tri_id actor, bool drain)
{
    struct tri_host *host = user;
    (void)actor; /* there is one */
    host->drain = drain && (!host->stop || host->drain);
    host->stop = true;
}

static void
on_dropped(void *user, struct tri_incoming *call)
{
    struct tri_host *host = user;
    for (struct tri_node *node = host->in_place.next; node != &host->in_place; node = node->next)
        if (node == &call->link) {
            tri_list_remove(&call->link);
            return;
        }
    tri_mailbox_remove(&host->mailbox, call);
}

static void
on_cancelled(void *user, struct tri_incoming *call)
{
    tri_host_cancel_promise(user, call);
}

static void
on_renumbered(void *user)
{
    struct tri_host *host = user;
    tri_host_renumber(host);
    (void)tri_host_describe(host, true);
}

/* ---------------------------------------------------------------------------------------------------------- modules */

static void
tell_module(void *user, trp_value map)
{
    struct tri_host *host = user;
    struct tri_packed packed = {0};
    trp_error error;
    if (tri_value_pack(&packed, map, &tri_process_handles, NULL, &error) == TRP_OK)
        tri_process_post(host->process, TRI_MODULE, &packed.section);
    else
        tri_log(TRI_WARNING, "a module cannot be described: %s", error.message);
    tri_packed_fini(&packed);
}

bool
tri_host_describe(struct tri_host *host, bool again)
{
    return tri_modules_describe(host->modules, again, tell_module, host);
}

/* -------------------------------------------------------------------------------------------------------------- loop */

static bool
is_quiet(const struct tri_host *host)
{
    return host->mailbox.running == 0 && tri_list_empty(&host->running);
}

/* Everything that has to happen before the end has happened. With DRAIN that is all calls, what was delegated, and delayed
 * replies as long as there are callbacks that may still give them. */
static bool
may_end(const struct tri_host *host)
{
    if (!host->stop || !is_quiet(host))
        return false;
    if (!host->drain)
        return true;
    if (host->mailbox.count > 0 || host->delegated > 0)
        return false;
    return host->deferred == 0 || tri_process_callback_count(host->process) == 0;
}

static bool
something_to_do(void *user)
{
    struct tri_host *host = user;
    return host->ending || (tri_mailbox_ready(&host->mailbox) && (!host->stop || host->drain)) || may_end(host) ||
           tri_process_callback_due(host->process, NULL) || (host->actor.wanted && !host->actor.constructed);
}

static void *run_thread(void *user);

/* As many threads as calls may run at a time. With the lock. */
static void
start_threads(struct tri_host *host)
{
    while (host->thread_count + 1 < host->mailbox.limit) {
        if (pthread_create(&host->threads[host->thread_count], NULL, run_thread, host) != 0) {
            tri_log(TRI_WARNING, "only %u of %u threads could be started", host->thread_count + 1, host->mailbox.limit);
            return;
        }
        host->thread_count++;
    }
}

/* The main thread's part: constructs, and sees when it is over. */
static void
main_duties(struct tri_host *host)
{
    if (host->actor.wanted && !host->actor.constructed) {
        tri_process_unlock(host->process);
        tri_host_construct(host);
        tri_process_lock(host->process);
        if (!host->actor.failed)
            start_threads(host);
    }
    if (host->actor.failed || may_end(host))
        host->ending = true;
}

/* Runs calls and callbacks until the host ends: TRP_OK; or the process does: its error. With the lock. */
static trp_err
host_loop(struct tri_host *host, bool is_main, trp_error *error)
{
    trp_err err = TRP_OK;
    while (err == TRP_OK) {
        if (is_main)
            main_duties(host);
        if (host->ending)
            break;
        if (tri_process_callback_due(host->process, NULL))
            (void)tri_process_run_callback(host->process, NULL);
        if (is_main)
            (void)tri_process_ring(host->process);
        struct tri_incoming *call = host->stop && !host->drain ? NULL : tri_mailbox_pop(&host->mailbox);
        if (call != NULL) {
            tri_host_run(host, call, false);
            continue;
        }
        err = tri_process_wait(host->process, something_to_do, host,
                               is_main ? tri_process_alarm_ns(host->process) : TRI_NEVER, NULL, 0, false, error);
        if (err == TRP_ETIMEDOUT)
            err = TRP_OK;
    }
    return err;
}

/* A thread of ours ends in the middle of a module's code (pthread_exit, pthread_cancel): what it was in the middle of could never
 * be answered, so the process dies of it. It may hold the lock. */
static void
on_thread_ended(void *user)
{
    struct tri_host *host = user;
    const struct tri_execution *execution = tri_current_execution;
    const struct tri_callable *callable = execution != NULL ? execution->callable : NULL;
    if (callable != NULL)
        snprintf(host->progress->rule, sizeof host->progress->rule, "%.110s%s%.110s() ended its thread",
                 callable->class_name, callable->class_name[0] != '\0' ? "." : "", callable->name);
    else
        tri_text_copy(host->progress->rule, sizeof host->progress->rule, "its module ended a thread of the host");
    (void)raise(SIGKILL);
}

static void *
run_thread(void *user)
{
    struct tri_host *host = user;
    trp_error error;
    if (tri_crash_thread_begin(&error) != TRP_OK)
        tri_log(TRI_WARNING, "%s", error.message);
    pthread_cleanup_push(on_thread_ended, host);
    tri_process_lock(host->process);
    (void)host_loop(host, false, &error); /* the main thread gets the same error, and says it */
    tri_process_poke(host->process);
    tri_process_unlock(host->process);
    pthread_cleanup_pop(0);
    tri_crash_thread_end();
    return NULL;
}

/* --------------------------------------------------------------------------------------------------- beginning and end */

static const struct tri_host_hooks hooks = {
    .run = on_run,
    .create = on_create,
    .stop = on_stop,
    .dropped = on_dropped,
    .cancelled = on_cancelled,
    .deadlock = tri_host_deadlock,
    .renumbered = on_renumbered,
    .wait_begins = tri_host_wait_begins,
    .wait_ends = tri_host_wait_ends,
    .wait_work = tri_host_wait_work,
};

static void
host_init(struct tri_host *host, const struct tri_worker_start *start)
{
    memset(host, 0, sizeof *host);
    host->progress = start->progress;
    tri_mailbox_init(&host->mailbox, 1);
    tri_list_init(&host->running);
    tri_list_init(&host->promised);
    tri_list_init(&host->idle);
    tri_list_init(&host->waiting);
    tri_list_init(&host->in_place);
    host->ops = (struct tri_execution_ops){
        .handles = &tri_process_handles,
        .rooms = &host->rooms,
        .again = tri_host_again,
        .hold = tri_host_hold,
        .unhold = tri_host_unhold,
        .replied = tri_host_replied,
        .user = host,
    };
    host->place = (trp_place){
        .node = host->node,
        .name = "",
        .group = "",
        .world_size = 1,
        .local_world_size = 1,
        .master_addr = "",
        .master_port = -1,
    };
    tri_text_copy(host->runtime.default_namespace, sizeof host->runtime.default_namespace, "default");
}

/* What a program with a private node sets means nothing to a node that was joined, and the other way round. */
static trp_err
open_modules(struct tri_host *host, const struct tri_worker_start *start, trp_error *error)
{
    char remedy[320];

    if (start->is_private)
        snprintf(remedy, sizeof remedy,
                 "no node was running, so this is the program's private one: set TRP_MODULE_PATH or "
                 "config.node.module_path for the program, or start a node service first");
    else
        snprintf(remedy, sizeof remedy,
                 "the program has joined the node in %.107s: start that with --module-path, as the program's "
                 "TRP_MODULE_PATH means nothing there; `troupe stop`, or another TROUPE_DIR, gives the program its own",
                 start->directory);
    return tri_modules_new(start->module_path, remedy, NULL, &host->modules, error);
}

static trp_err
host_open(struct tri_host *host, const struct tri_worker_start *start, trp_error *error)
{
    struct tri_host_hooks with_host = hooks;
    with_host.user = host;
    const struct tri_process_config config = {
        .directory = start->directory,
        .is_host = true,
        .is_service = !start->is_private,
        .token = start->token,
        .reconnect_ms = 10000, /* a private node's root ends its hosts sooner */
        .hooks = &with_host,
        .program = "troupe-worker",
    };
    TRP_TRY(tri_crash_install(start->progress, error));
    TRP_TRY(open_modules(host, start, error));
    tri_crash_starting(
        "ZeroMQ did not get what it needs to start in a host's process: allow more processes and threads "
        "(ulimit -u, or pids.max of the control group), more open files (ulimit -n), more memory");
    TRP_TRY(tri_process_open(&config, &host->process, error));
    tri_crash_starting(NULL);
    tri_stored_rooms(host->process, &host->rooms);
    tri_process_lock(host->process);
    host->runtime.process = host->process;
    tri_text_copy(host->node, sizeof host->node, tri_process_node(host->process));
    tri_process_unlock(host->process);
    return TRP_OK;
}

/* A broker that died meanwhile has a successor soon, which hears it in the report. */
static bool
all_told(void *user)
{
    const struct tri_host *host = user;
    return tri_process_told(host->process) || tri_process_alive(host->process, NULL) != TRP_OK;
}

/* In order: threads, callbacks, fini, ENDED; then it waits until the broker has everything. */
static void
host_end(struct tri_host *host)
{
    tri_process_lock(host->process);
    tri_process_poke(host->process);
    tri_process_unlock(host->process);
    for (uint32_t i = 0; i < host->thread_count; i++)
        pthread_join(host->threads[i], NULL);
    if (!host->actor.failed) {
        tri_process_lock(host->process);
        tri_callbacks_end(host->process, &host->runtime);
        tri_process_unlock(host->process);
    }
    tri_host_end_actor(host);
    tri_process_lock(host->process);
    tri_process_flush(host->process);
    uint64_t until_ns = tri_now_ns() + LAST_WORDS_MS * TRI_NS_PER_MS;
    (void)tri_process_wait(host->process, all_told, host, until_ns, NULL, 0, false, NULL); /* else the death says it */
    tri_process_unlock(host->process);
}

/* What one thread receives the other frees: one heap for both stays warm, and batches come and go without the kernel. A forked
 * host begins with those that the root's threads had when it warmed up, and gets no others. glibc's variable says otherwise,
 * for actors whose own threads allocate much; what is no number in it is passed over. */
static void
set_heap(void)
{
    const char *arenas = getenv("MALLOC_ARENA_MAX");
    char *end = NULL;
    const long wanted = arenas != NULL ? strtol(arenas, &end, 10) : 0;
    const bool is_number = end != arenas && *end == '\0' && wanted > 0 && wanted < INT_MAX;

    (void)mallopt(M_ARENA_MAX, is_number ? (int)wanted : 1);
    (void)mallopt(M_MMAP_THRESHOLD, KEEP_FREE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEEP_FREE_BYTES);
}

/* From the first call to the actor's end. */
static trp_err
live(struct tri_host *host, trp_error *error)
{
    trp_err err;
    pthread_cleanup_push(on_thread_ended, host);
    tri_process_lock(host->process);
    err = host_loop(host, true, error);
    host->ending = true;
    tri_process_unlock(host->process);
    if (err == TRP_OK)
        host_end(host);
    pthread_cleanup_pop(0);
    return err;
}

void
trp_worker_warm(void)
{
    tri_crash_warm();
}

int
trp_worker_main(const struct tri_worker_start *start)
{
    static struct tri_host host; /* one per process; threads and hooks have its address */
    trp_error error;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    tri_log_setup("troupe-worker", start->log_level, 2);
    set_heap();
    host_init(&host, start);
    trp_err err = host_open(&host, start, &error);
    if (err != TRP_OK) {
        tri_log(TRI_ERROR, "%s", error.message);
        if (err != TRP_EBROKER) { /* which dies with those that wait for this host */
            tri_text_copy(start->progress->failure, sizeof start->progress->failure, error.message);
            atomic_store(&start->progress->unstarted, err);
        }
        tri_modules_destroy(&host.modules);
        return EXIT_NO_BROKER;
    }
    err = live(&host, &error);
    if (err != TRP_OK) { /* methods of other threads may run still: nothing is taken from under them */
        tri_log(TRI_INFO, "%s", error.message);
        _exit(EXIT_NO_BROKER);
    }
    int code = host.actor.failed ? EXIT_NOT_CONSTRUCTED : EXIT_ENDED;
    tri_frames_free(&host);
    tri_process_close(&host.process);
    tri_trace_end(&host.trace);
    tri_modules_destroy(&host.modules);
    fflush(stdout);
    return code;
}
