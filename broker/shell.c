/*
 * shell.c - troupe-broker: starts, loops, ends. It sleeps in one epoll: the link, the door, the root. Between two sleeps it
 * reads until nothing is there, lets the core finish its round, and sends what was posted.
 *
 * Thread: the router, the only one besides libzmq's.
 */
#include "broker/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ROUNDS_WITHOUT_LOOK = 32, EVENTS = 64, KEEP_FREE_BYTES = 16 * 1024 * 1024 };

trp_err
tri_shell_watch(struct tri_shell *shell, struct tri_source *source, trp_error *error)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (epoll_ctl(shell->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
        return tri_fail_errno(error, TRP_ELIMIT, errno, "cannot watch descriptor %d", source->fd);
    return TRP_OK;
}

void
tri_shell_unwatch(struct tri_shell *shell, struct tri_source *source)
{
    (void)epoll_ctl(shell->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    close(source->fd);
    source->fd = -1;
}

/* ------------------------------------------------------------------------------------------------------------ loop */

/* The link's descriptor is readable until the socket is looked at. */
static void
on_link(struct tri_shell *shell, struct tri_source *source)
{
    (void)source;
    shell->dry = false;
    if (!tri_list_empty(&shell->backlogs))
        tri_shell_retry(shell);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* For last packets. */
static uint64_t
next_look(const struct tri_shell *shell)
{
    return shell->now_ns + TRI_LAST_LOOK_MS * TRI_NS_PER_MS;
}

static uint64_t
next_leaving(const struct tri_shell *shell)
{
    uint64_t next = TRI_NEVER;
    if (shell->leaving_count == 0)
        return next;
    for (struct tri_node *node = shell->member_list.next; node != &shell->member_list; node = node->next) {
        uint64_t leaves_ns = TRI_OWNER(node, struct tri_member, link)->leaves_ns;
        next = earlier(next, leaves_ns > shell->now_ns ? leaves_ns : next_look(shell));
    }
    return next;
}

static uint64_t
next_ns(const struct tri_shell *shell)
{
    uint64_t next = earlier(tri_core_next_ns(shell->core), earlier(shell->heartbeat_ns, shell->retry_ns));
    next = earlier(next, next_leaving(shell));
    if (!tri_list_empty(&shell->exits))
        next = earlier(next, next_look(shell));
    if (!tri_list_empty(&shell->owing))
        next = earlier(next, TRI_OWNER(shell->owing.next, struct tri_member, owing)->owes_since_ns +
                                 TRI_ACK_MS * TRI_NS_PER_MS);
    return shell->stopping ? earlier(next, shell->stop_ns) : next;
}

static void
run_timers(struct tri_shell *shell)
{
    if (tri_core_next_ns(shell->core) <= shell->now_ns) {
        tri_core_tick(shell->core, shell->now_ns);
        shell->busy = true;
    }
    tri_shell_exits(shell);
    tri_shell_leaving(shell);
    tri_shell_heartbeat(shell);
    if (shell->retry_ns <= shell->now_ns)
        tri_shell_retry(shell);
    tri_shell_ended_spaces(shell);
    tri_shell_report_failures(shell);
}

static void
finish_round(struct tri_shell *shell)
{
    if (shell->busy)
        tri_core_round(shell->core, shell->now_ns);
    shell->busy = false;
    tri_shell_flush(shell);
    tri_shell_close_doomed(shell);
    tri_shell_acknowledge(shell);
}

/* wait: sleeps until something is there or due; else only looks. */
static void
look(struct tri_shell *shell, bool wait)
{
    struct epoll_event events[EVENTS];
    int wait_ms = 0;
    if (wait) {
        uint64_t next = next_ns(shell);
        shell->now_ns = tri_now_ns();
        if (next == TRI_NEVER)
            wait_ms = -1;
        else if (next > shell->now_ns)
            wait_ms = (int)((next - shell->now_ns + TRI_NS_PER_MS - 1) / TRI_NS_PER_MS);
    }
    tri_shell_watch_root(shell);
    int count = epoll_wait(shell->epoll_fd, events, EVENTS, wait_ms);
    shell->now_ns = tri_now_ns();
    for (int i = 0; i < count; i++) {
        struct tri_source *source = events[i].data.ptr;
        source->ready(shell, source);
    }
    tri_shell_free_visitors(shell);
}

/* The node ends, and either nobody is left who has to end in order, or that takes too long. */
static bool
may_end(struct tri_shell *shell)
{
    struct tri_core_counts counts;
    if (!shell->stopping)
        return false;
    tri_core_count(shell->core, &counts);
    return shell->now_ns >= shell->stop_ns || (counts.actors == 0 && counts.peers == counts.hosts);
}

static void
loop(struct tri_shell *shell)
{
    unsigned rounds = 0;
    while (!shell->ended) {
        (void)tri_shell_receive(shell);
        shell->now_ns = tri_now_ns();
        if (shell->dry || rounds % ROUNDS_WITHOUT_LOOK == 0)
            run_timers(shell);
        finish_round(shell);
        rounds++;
        if (may_end(shell))
            return;
        if (shell->dry && !shell->busy)
            look(shell, true);
        else if (rounds % ROUNDS_WITHOUT_LOOK == 0)
            look(shell, false);
    }
}

/* A node service's drivers are told; a private node's has left already, and its actors end because of that. */
void
tri_shell_stop(struct tri_shell *shell)
{
    trp_error why;
    if (shell->stopping)
        return;
    shell->stopping = true;
    shell->stop_ns = shell->now_ns + TRI_STOP_MS * TRI_NS_PER_MS;
    (void)TRI_FAIL(
        &why, TRP_EBROKER,
        "the node '%s' was ended; when one runs again (troupe-node --service), join it with trp_shutdown and "
        "trp_init",
        shell->node_name);
    struct tri_node *next;
    for (struct tri_node *node = shell->member_list.next; node != &shell->member_list; node = next) {
        struct tri_member *member = TRI_OWNER(node, struct tri_member, link);
        next = node->next;
        if (member->token == 0 && member->linked && shell->is_service)
            tri_shell_send_cut(shell, member->link_peer, &why);
    }
}

/* ----------------------------------------------------------------------------------------------------- start and end */

/* As many processes as there are descriptors for; the root has made sure that these are enough to begin with. */
static void
set_limits(struct tri_shell *shell)
{
    struct rlimit limit;
    uint64_t descriptors = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
    uint64_t peers = descriptors > TRI_DESCRIPTORS_OWN ? (descriptors - TRI_DESCRIPTORS_OWN) / TRI_DESCRIPTORS : 1;
    shell->config.limits.peers = peers < TRI_PEERS_MAX ? (uint32_t)peers : TRI_PEERS_MAX;
    shell->visitor_limit = shell->config.limits.peers + shell->config.limits.peers / 8;
}

static trp_err
open_sockets(struct tri_shell *shell, trp_error *error)
{
    char address[sizeof shell->directory + 32];
    snprintf(address, sizeof address, "ipc://%s/broker.sock", shell->directory);
    TRP_TRY(tri_link_context(&shell->context, error));
    TRP_TRY(tri_room_try_threads(error));
    TRP_TRY(tri_link_find(address)->bind(shell->context, address, &shell->server, error));
    shell->link_source = (struct tri_source){on_link, tri_link_fd(shell->server)};
    TRP_TRY(tri_shell_watch(shell, &shell->link_source, error));
    return tri_shell_open_door(shell, error);
}

static trp_err
start(struct tri_shell *shell, trp_error *error)
{
    struct tri_core_ops ops;
    struct tri_node *lists[] = {&shell->visitor_list, &shell->closed_visitors, &shell->member_list,
                                &shell->dirty,        &shell->owing,           &shell->backlogs,
                                &shell->exits,        &shell->doomed,          &shell->awaited};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        tri_list_init(lists[i]);
    shell->heartbeat_ns = shell->retry_ns = TRI_NEVER;
    shell->now_ns = tri_now_ns();
    set_limits(shell);
    shell->members = calloc(shell->config.limits.peers, sizeof(struct tri_member *));
    shell->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (shell->members == NULL || tri_table_init(&shell->by_link, tri_random_secret()) != TRP_OK ||
        tri_table_init(&shell->by_cookie, tri_random_secret()) != TRP_OK)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a broker");
    if (shell->epoll_fd < 0)
        return tri_fail_system(error, TRP_ELIMIT, errno, "no epoll descriptor");
    tri_shell_ops(shell, &ops);
    TRP_TRY(tri_shell_start(shell, &ops, error));
    return open_sockets(shell, error);
}

/* What the root would remove, if it is gone. Whoever locks the directory first may. */
static void
close_all(struct tri_shell *shell)
{
    while (!tri_list_empty(&shell->member_list))
        tri_member_free(TRI_OWNER(shell->member_list.next, struct tri_member, link));
    while (!tri_list_empty(&shell->visitor_list))
        tri_visitor_close(TRI_OWNER(shell->visitor_list.next, struct tri_visitor, link), shell);
    tri_shell_free_visitors(shell);
    tri_shell_free_exits(shell);
    tri_door_server_close(&shell->door);
    tri_link_close(&shell->server);
    tri_link_context_end(&shell->context);
    tri_core_destroy(&shell->core);
    tri_shell_end_arena(shell);
    tri_table_fini(&shell->by_link);
    tri_table_fini(&shell->by_cookie);
    tri_packed_fini(&shell->packed);
    tri_control_fini(&shell->control);
    free(shell->members);
    free(shell->failed_forks);
    if (shell->epoll_fd >= 0)
        close(shell->epoll_fd);
    if (shell->root_gone)
        tri_home_remove_dead(shell->directory, shell->config.root_pid);
}

static void
say_failed(struct tri_shell *shell, const trp_error *error)
{
    struct tri_control_head head = {.kind = TRI_CONTROL_FAILED, .number = error->code};
    const char *texts[] = {error->message};
    tri_log(TRI_ERROR, "the broker cannot start: %s", error->message);
    tri_shell_tell_root(shell, &head, sizeof head, texts, 1);
}

static bool
has_root(void)
{
    if (fcntl(3, F_GETFD) >= 0)
        return true;
    fprintf(stderr, "troupe-broker is started by troupe-node; run troupe-node --service\n");
    return false;
}

int
tri_broker_main(int argc, char **argv)
{
    static struct tri_shell shell; /* one per process */
    struct sched_param batch = {0};
    struct tri_control_head ready = {.kind = TRI_CONTROL_READY};
    trp_error error;
    (void)argc;
    (void)argv;
    shell.epoll_fd = shell.control.fd = -1;
    tri_log_setup("troupe-broker", TRI_WARNING, STDERR_FILENO);
    if (!has_root())
        return 2;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sched_setscheduler(0, SCHED_BATCH, &batch);
    (void)mallopt(M_ARENA_MAX, 1); /* what one thread receives the other frees: one heap keeps it warm */
    (void)mallopt(M_MMAP_THRESHOLD, KEEP_FREE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEEP_FREE_BYTES); /* batches come and go: not through the kernel each time */
    trp_err err = start(&shell, &error);
    if (err != TRP_OK) {
        say_failed(&shell, &error);
    } else {
        tri_shell_tell_root(&shell, &ready, sizeof ready, NULL, 0);
        loop(&shell);
    }
    close_all(&shell);
    return err == TRP_OK ? 0 : 1;
}
