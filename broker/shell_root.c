/*
 * shell_root.c - what the root says: who lived under the broker before, hosts that were forked, their lines, their deaths.
 *
 * Thread: the router.
 */
#include "broker/shell.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { START_WAIT_MS = 10000 };

void
tri_shell_tell_root(struct tri_shell *shell, void *message, size_t size, const char *const *texts, uint32_t count)
{
    trp_error error;
    trp_err err = tri_control_send(&shell->control, message, size, texts, count, &error);
    if (err != TRP_OK && err != TRP_EBROKER) /* a root that is gone is noticed where it is read */
        tri_log(TRI_ERROR, "%s", error.message);
}

void
tri_shell_kill(struct tri_shell *shell, uint64_t token, const char *rule)
{
    struct tri_control_head head = {.kind = TRI_CONTROL_KILL, .token = token};
    char text[TRI_NAME_MAX + 1];
    const char *texts[] = {tri_text_copy(text, sizeof text, rule != NULL ? rule : "")};
    tri_shell_tell_root(shell, &head, sizeof head, texts, 1);
}

/* ----------------------------------------------------------------------------------------------------------- start */

static trp_err
await(struct tri_shell *shell, union tri_control_message *message, const char *texts[TRI_CONTROL_TEXTS_MAX],
      uint32_t kind, trp_error *error)
{
    for (;;) {
        trp_err err = tri_control_recv(&shell->control, message, texts, error);
        if (err == TRP_OK && message->head.kind != kind)
            return TRI_FAIL(error, TRP_EPROTO, "the root sent %s, not %s", tri_control_name(message->head.kind),
                            tri_control_name(kind));
        if (err != TRP_EAGAIN)
            return err;
        struct pollfd poller = {.fd = shell->control.fd, .events = POLLIN};
        if (poll(&poller, 1, START_WAIT_MS) == 0)
            return TRI_FAIL(error, TRP_ETIMEDOUT, "the root did not send %s within %d ms", tri_control_name(kind),
                            START_WAIT_MS);
    }
}

static void
take_start(struct tri_shell *shell, const struct tri_control_start *start, const char **texts)
{
    tri_text_copy(shell->directory, sizeof shell->directory, texts[0]);
    tri_text_copy(shell->node_name, sizeof shell->node_name, texts[1]);
    shell->is_service = start->is_service != 0;
    shell->config.incarnation = start->incarnation;
    shell->config.pid = (int32_t)getpid();
    shell->config.root_pid = (int32_t)getppid();
    shell->config.node = shell->node_name;
    shell->config.num_cpus = start->num_cpus;
    shell->config.num_gpus = start->num_gpus;
    shell->config.memory_bytes = start->memory_bytes;
    shell->config.service = shell->is_service;
    shell->config.spare_hosts = start->spare_hosts;
    shell->config.tasks_lost = start->tasks_lost != 0;
    shell->config.seed = tri_random_secret();
    tri_log_setup("troupe-broker", start->log_level <= TRI_DEBUG ? (enum tri_level)start->log_level : TRI_WARNING,
                  STDERR_FILENO);
}

static trp_err
take_expected(struct tri_shell *shell, union tri_control_message *message, uint32_t count,
              struct tri_expected **expected, trp_error *error)
{
    const char *texts[TRI_CONTROL_TEXTS_MAX];
    uint32_t have = 0;
    *expected = calloc(count > 0 ? count : 1, sizeof **expected);
    if (*expected == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for %u processes that lived before", count);
    while (have < count) {
        TRP_TRY(await(shell, message, texts, TRI_CONTROL_EXPECTED, error));
        for (int64_t i = 0; i < message->head.number && have < count; i++) {
            const struct tri_control_living *living = &message->expected.living[i];
            (*expected)[have++] = (struct tri_expected){.token = living->token,
                                                        .space = living->space,
                                                        .ended = living->ended,
                                                        .pid = living->pid,
                                                        .tailored = living->tailored != 0};
        }
    }
    return TRP_OK;
}

trp_err
tri_shell_start(struct tri_shell *shell, const struct tri_core_ops *ops, trp_error *error)
{
    const char *texts[TRI_CONTROL_TEXTS_MAX];
    struct tri_expected *expected = NULL;
    union tri_control_message *message = malloc(sizeof *message);
    if (message == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the root's messages");
    tri_control_init(&shell->control, TRI_CONTROL_FD);
    trp_err err = await(shell, message, texts, TRI_CONTROL_START, error);
    if (err == TRP_OK) {
        uint32_t count = message->start.expected_count;
        take_start(shell, &message->start, texts);
        err = tri_shell_take_arena(shell, &message->start, texts[2], error);
        if (err == TRP_OK)
            err = take_expected(shell, message, count, &expected, error);
        if (err == TRP_OK)
            err = tri_core_new(&shell->config, ops, expected, count, shell->now_ns, &shell->core, error);
        if (err == TRP_OK)
            tri_shell_sweep_spill(shell);
    }
    free(expected);
    free(message);
    return err;
}

/* ---------------------------------------------------------------------------------------------------------- deaths */

/* The record and its texts, for the time until the core hears of it. */
static struct tri_exit *
exit_new(const struct tri_control_exited *exited, const char **texts)
{
    const char **where[6];
    size_t size = 0;
    for (int i = 0; i < 6; i++)
        size += strlen(texts[i]) + 1;
    struct tri_exit *made = malloc(sizeof *made + size);
    if (made == NULL)
        return NULL;
    *made = (struct tri_exit){.token = exited->head.token};
    made->death = (struct tri_death){.present = true,
                                     .pid = exited->pid,
                                     .exit_code = exited->exit_code,
                                     .signal = exited->signal,
                                     .memory_limit = exited->memory_limit != 0,
                                     .sequence = exited->sequence,
                                     .started = exited->started,
                                     .finished = exited->finished,
                                     .resident = exited->resident,
                                     .ran_tasks = exited->ran_tasks != 0};
    where[0] = &made->death.module;
    where[1] = &made->death.actor;
    where[2] = &made->death.method;
    where[3] = &made->death.backtrace;
    where[4] = &made->death.last_output;
    where[5] = &made->death.killed_by;
    char *at = made->texts;
    for (int i = 0; i < 6; i++) {
        size_t length = strlen(texts[i]) + 1;
        memcpy(at, texts[i], length);
        *where[i] = at;
        at += length;
    }
    return made;
}

static void
tell_core(struct tri_shell *shell, uint64_t token, const struct tri_death *death)
{
    struct tri_member *member = tri_member_of_token(shell, token);
    tri_core_host_exited(shell->core, token, death, shell->now_ns);
    if (member != NULL)
        tri_member_free(member);
    shell->busy = true;
}

/* On the link over which it came last. false: these were read already. */
static bool
await_last_words(struct tri_shell *shell, struct tri_exit *ended)
{
    const struct tri_member *member = tri_member_of_token(shell, ended->token);
    const uint64_t link_peer = member != NULL ? member->link_peer : 0;
    if (ended->last_words.since_ns != 0 && ended->link_peer == link_peer)
        return false;
    ended->link_peer = link_peer;
    ended->last_words = (struct tri_last_words){.since_ns = shell->now_ns};
    return true;
}

static void
on_exited(struct tri_shell *shell, const union tri_control_message *message, const char **texts)
{
    struct tri_exit *made = exit_new(&message->exited, texts);
    if (made == NULL) { /* told at once and without its texts */
        const struct tri_death death = {.present = true,
                                        .pid = message->exited.pid,
                                        .exit_code = message->exited.exit_code,
                                        .signal = message->exited.signal,
                                        .module = "",
                                        .actor = "",
                                        .method = "",
                                        .backtrace = "",
                                        .last_output = "",
                                        .killed_by = "",
                                        .started = message->exited.started,
                                        .finished = message->exited.finished,
                                        .resident = message->exited.resident,
                                        .ran_tasks = message->exited.ran_tasks != 0};
        tell_core(shell, message->head.token, &death);
        return;
    }
    (void)await_last_words(shell, made);
    tri_list_append(&shell->exits, &made->link);
}

void
tri_shell_exits(struct tri_shell *shell)
{
    struct tri_node *next;
    for (struct tri_node *node = shell->exits.next; node != &shell->exits; node = next) {
        struct tri_exit *ended = TRI_OWNER(node, struct tri_exit, link);
        next = node->next;
        if (!tri_shell_heard_all(shell, ended->link_peer, &ended->last_words) || await_last_words(shell, ended))
            continue;
        tri_list_remove(&ended->link);
        tell_core(shell, ended->token, &ended->death);
        free(ended);
    }
}

void
tri_shell_free_exits(struct tri_shell *shell)
{
    while (!tri_list_empty(&shell->exits)) {
        struct tri_exit *first = TRI_OWNER(shell->exits.next, struct tri_exit, link);
        tri_list_remove(&first->link);
        free(first);
    }
}

/* ----------------------------------------------------------------------------------------------- the other messages */

static void
on_forked(struct tri_shell *shell, const union tri_control_message *message, const char **texts)
{
    (void)shell;
    (void)texts;
    tri_log(TRI_DEBUG, "host %lld is forked", (long long)message->head.number);
}

static void
on_fork_failed(struct tri_shell *shell, const union tri_control_message *message, const char **texts)
{
    tri_log(shell->stopping ? TRI_DEBUG : TRI_WARNING, "no host: %s", texts[0]);
    tri_core_fork_failed(shell->core, message->head.token, (trp_err)message->head.number, texts[0], shell->now_ns);
    shell->busy = true;
}

static void
on_line(struct tri_shell *shell, const union tri_control_message *message, const char **texts)
{
    tri_shell_line(shell, message->head.token, message->line.pid, message->line.stream == STDERR_FILENO, texts[0]);
}

static void
on_stop(struct tri_shell *shell, const union tri_control_message *message, const char **texts)
{
    (void)message;
    (void)texts;
    tri_shell_stop(shell);
}

typedef void root_fn(struct tri_shell *shell, const union tri_control_message *message, const char **texts);
static root_fn *const handlers[TRI_CONTROL_KIND_COUNT] = {
    [TRI_CONTROL_FORKED] = on_forked, [TRI_CONTROL_FORK_FAILED] = on_fork_failed,
    [TRI_CONTROL_EXITED] = on_exited, [TRI_CONTROL_LINE] = on_line,
    [TRI_CONTROL_STOP] = on_stop,
};

/* Hosts end with the root; what they have started is in their process groups, and nobody else would end it. */
static void
kill_groups(const struct tri_shell *shell)
{
    for (const struct tri_node *node = shell->member_list.next; node != &shell->member_list; node = node->next) {
        const struct tri_member *member = TRI_OWNER(node, struct tri_member, link);
        if (member->token != 0 && member->pid > 1)
            (void)kill(-member->pid, SIGKILL);
    }
}

static void
on_root(struct tri_shell *shell, struct tri_source *source)
{
    static union tri_control_message message; /* 64 KiB; the one router thread's */
    const char *texts[TRI_CONTROL_TEXTS_MAX];
    trp_error error;
    (void)source;
    trp_err err = tri_control_flush(&shell->control, &error);
    for (int i = 0; i < TRI_ROUND_PACKETS && err == TRP_OK; i++) {
        err = tri_control_recv(&shell->control, &message, texts, &error);
        if (err == TRP_OK && handlers[message.head.kind] == NULL)
            err = TRI_FAIL(&error, TRP_EPROTO, "the root sent %s", tri_control_name(message.head.kind));
        if (err == TRP_OK)
            handlers[message.head.kind](shell, &message, texts);
    }
    if (err == TRP_OK || err == TRP_EAGAIN)
        return;
    tri_log(TRI_ERROR, "the root is gone, the broker ends: %s", error.message);
    kill_groups(shell);
    shell->root_gone = shell->ended = true;
}

/* Polled for writing while something waits for it. */
void
tri_shell_watch_root(struct tri_shell *shell)
{
    bool waits = tri_control_waits(&shell->control);
    struct epoll_event event = {.events = EPOLLIN | (waits ? (uint32_t)EPOLLOUT : 0), .data.ptr = &shell->root_source};
    if (shell->root_source.ready == NULL) {
        shell->root_source = (struct tri_source){on_root, shell->control.fd};
        if (epoll_ctl(shell->epoll_fd, EPOLL_CTL_ADD, shell->control.fd, &event) < 0)
            tri_log(TRI_ERROR, "cannot watch the root: %s", strerror(errno));
    } else if (waits != shell->root_waits &&
               epoll_ctl(shell->epoll_fd, EPOLL_CTL_MOD, shell->control.fd, &event) == 0) {
        shell->root_waits = waits;
    }
}
