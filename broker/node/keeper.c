/*
 * keeper.c - the root keeps a broker: starts it, does what it asks for, and, in a node service, starts another when it dies,
 * telling it who lives. It does not know what the broker is for.
 */
#include "broker/node/root.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { SHORT_LIFE_MS = 1000, SHORT_LIVES_MAX = 5, SPARE_HOSTS = 1 };

/* ----------------------------------------------------------------------------------------------------------- start */

static trp_err
find_broker(const struct tri_root *root, char *path, size_t size, trp_error *error)
{
    if (root->broker_path != NULL) {
        tri_text_copy(path, size, root->broker_path);
        return TRP_OK;
    }
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    if (length < 0)
        return tri_fail_errno(error, TRP_EACCES, errno, "cannot find our own program in /proc");
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    size_t room = size - (size_t)(slash + 1 - path);
    if (slash == NULL || room < sizeof "troupe-broker")
        return TRI_FAIL(error, TRP_EINVAL, "the path of our own program is too long: %.200s", path);
    strcpy(slash + 1, "troupe-broker");
    return TRP_OK;
}

static int
hand_arena(const struct tri_node_arena *arena, posix_spawn_file_actions_t *actions)
{
    int errnum = 0;
    for (int i = 0; i < TRI_PARTS && errnum == 0; i++)
        errnum = posix_spawn_file_actions_adddup2(actions, arena->parts[i].fd, TRI_ARENA_FD + i);
    return errnum != 0
               ? errnum
               : posix_spawn_file_actions_adddup2(actions, arena->parts[TRI_PART_WORDS].read_fd, TRI_ARENA_READ_FD);
}

static int
spawn(const struct tri_root *root, const char *path, int control_fd, pid_t *pid)
{
    char *argv[] = {(char *)(uintptr_t) "troupe-broker", (char *)(uintptr_t)root->home.path, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int errnum = posix_spawn_file_actions_init(&actions);
    if (errnum != 0)
        return errnum;
    if ((errnum = posix_spawnattr_init(&attributes)) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return errnum;
    }
    errnum = posix_spawn_file_actions_adddup2(&actions, root->null_fd, STDIN_FILENO);
    if (errnum == 0)
        errnum = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (errnum == 0)
        errnum = posix_spawn_file_actions_adddup2(&actions, control_fd, TRI_CONTROL_FD);
    if (errnum == 0 && root->arena.granules > 0)
        errnum = hand_arena(&root->arena, &actions);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    if (errnum == 0)
        errnum = posix_spawn(pid, path, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return errnum;
}

static void
drop_dead_drivers(struct tri_root *root)
{
    size_t kept = 0;
    for (size_t i = 0; i < root->driver_count; i++)
        if (kill(root->drivers[i].pid, 0) == 0 || errno == EPERM)
            root->drivers[kept++] = root->drivers[i];
    root->driver_count = kept;
}

/* Who lived under the broker before, and who does not any more. */
static void
send_expected(struct tri_root *root)
{
    struct tri_control_expected *expected = &root->message.expected;
    expected->head = (struct tri_control_head){.kind = TRI_CONTROL_EXPECTED};
    struct tri_node *node = root->host_list.next;
    size_t driver = 0, ended = 0;
    while (node != &root->host_list || driver < root->driver_count || ended < root->ended_count) {
        int64_t n = 0;
        for (; node != &root->host_list && n < TRI_CONTROL_LIVING_MAX; node = node->next) {
            const struct tri_hosted *host = TRI_OWNER(node, struct tri_hosted, link);
            expected->living[n++] = (struct tri_control_living){
                .token = host->token, .pid = (int32_t)host->pid, .tailored = host->tailored};
        }
        for (; driver < root->driver_count && n < TRI_CONTROL_LIVING_MAX; driver++)
            expected->living[n++] =
                (struct tri_control_living){.space = root->drivers[driver].space, .pid = root->drivers[driver].pid};
        for (; ended < root->ended_count && n < TRI_CONTROL_LIVING_MAX; ended++)
            expected->living[n++] = (struct tri_control_living){.ended = root->ended[ended]};
        expected->head.number = n;
        tri_keeper_send(root, expected,
                        offsetof(struct tri_control_expected, living) + (size_t)n * sizeof *expected->living, NULL, 0);
    }
}

static void
send_start(struct tri_root *root)
{
    const char *texts[] = {root->home.path, root->node_name, root->spill_directory};
    drop_dead_drivers(root);
    struct tri_control_start start = {
        .head = {.kind = TRI_CONTROL_START},
        .incarnation = root->incarnation,
        .num_cpus = root->options.num_cpus,
        .num_gpus = root->options.num_gpus,
        .memory_bytes = root->memory_bytes,
        .is_service = root->options.mode == TRI_ROOT_SERVICE,
        .log_level = (uint32_t)root->options.log_level,
        .spare_hosts = SPARE_HOSTS,
        .expected_count = (uint32_t)(root->host_count + root->driver_count + root->ended_count),
        .tasks_lost = root->tasks_lost,
        .arena_granules = root->arena.granules,
        .arena_slots = root->arena.slots,
        .arena_used = root->arena.used,
        .spill_at = root->options.spill_at,
        .spill_max_bytes = root->options.spill_max_bytes,
    };
    tri_keeper_send(root, &start, sizeof start, texts, sizeof texts / sizeof *texts);
    send_expected(root);
    root->arena.used = true;
}

static void on_broker(struct tri_root *root, struct tri_watch *watch);

trp_err
tri_keeper_start(struct tri_root *root, trp_error *error)
{
    char path[PATH_MAX];
    int fds[2];
    TRP_TRY(find_broker(root, path, sizeof path, error));
    tri_home_unlink_sockets(&root->home);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return tri_fail_system(error, TRP_ELIMIT, errno, "cannot make the broker's socket");
    int errnum = spawn(root, path, fds[1], &root->broker_pid);
    close(fds[1]);
    if (errnum != 0) {
        root->broker_pid = 0;
        close(fds[0]);
        return errnum == EACCES ? tri_fail_errno(error, TRP_EACCES, errnum, "cannot start the broker %.300s", path)
                                : tri_fail_system(error, TRP_ENOENT, errnum, "cannot start the broker %.300s", path);
    }
    tri_control_init(&root->control, fds[0]);
    root->incarnation++;
    root->broker_started_ns = tri_now_ns();
    root->broker = (struct tri_watch){on_broker, fds[0]};
    TRP_TRY(tri_root_watch(root, &root->broker, error));
    send_start(root);
    return TRP_OK;
}

/* -------------------------------------------------------------------------------------------------------- messages */

/* What cannot be sent because the broker is gone needs no report: its end is collected and says more. */
void
tri_keeper_send(struct tri_root *root, void *message, size_t size, const char *const *texts, uint32_t text_count)
{
    trp_error error;
    trp_err err = tri_control_send(&root->control, message, size, texts, text_count, &error);
    if (err != TRP_OK && err != TRP_EBROKER)
        tri_log(TRI_ERROR, "%s", error.message);
}

void
tri_keeper_stop(struct tri_root *root)
{
    struct tri_control_head stop = {.kind = TRI_CONTROL_STOP};
    if (root->broker_pid != 0)
        tri_keeper_send(root, &stop, sizeof stop, NULL, 0);
}

static void
on_ready(struct tri_root *root, const union tri_control_message *message, const char **texts)
{
    (void)message;
    (void)texts;
    if (!root->ready)
        tri_root_started(root);
    else
        tri_log(TRI_WARNING, "broker %llu has taken over", (unsigned long long)root->incarnation);
}

static void
on_failed(struct tri_root *root, const union tri_control_message *message, const char **texts)
{
    trp_error error;
    (void)TRI_FAIL(&error, (trp_err)message->head.number, "%s", texts[0]);
    if (!root->ready)
        tri_root_start_failed(root, &error);
    else
        tri_log(TRI_ERROR, "the broker cannot start: %s", texts[0]);
}

static void
on_fork(struct tri_root *root, const union tri_control_message *message, const char **texts)
{
    const struct tri_control_head *head = &message->head;
    struct tri_control_head answer = {.kind = TRI_CONTROL_FORKED, .token = head->token};
    pid_t pid = 0;
    trp_error error;
    if (root->broker_pid == 0)
        return; /* said before it died: who asked for it is gone */
    trp_err err = root->ending ? TRI_FAIL(&error, TRP_ECLOSED, "the node ends")
                               : tri_hosts_fork(root, head->token, message->fork.memory_bytes, texts[0],
                                                (const char *const *)texts + 1, head->text_count - 1, &pid, &error);
    answer.number = pid;
    const char *why = error.message;
    if (err != TRP_OK) {
        answer.kind = TRI_CONTROL_FORK_FAILED;
        answer.number = err;
    }
    tri_keeper_send(root, &answer, sizeof answer, &why, err != TRP_OK);
}

static void
on_label(struct tri_root *root, const union tri_control_message *message, const char **texts)
{
    struct tri_hosted *host = tri_hosts_find(root, message->head.token);
    if (host != NULL)
        tri_text_copy(host->label, sizeof host->label, texts[0]);
}

static void
on_kill(struct tri_root *root, const union tri_control_message *message, const char **texts)
{
    struct tri_hosted *host = tri_hosts_find(root, message->head.token);
    if (host != NULL)
        tri_hosts_kill(host, texts[0]);
}

static void
on_driver(struct tri_root *root, const union tri_control_message *message, const char **texts)
{
    (void)texts;
    size_t i = 0;
    while (i < root->driver_count && root->drivers[i].space != message->driver.space)
        i++;
    if (message->driver.gone && i < root->driver_count) {
        root->drivers[i] = root->drivers[--root->driver_count];
    } else if (!message->driver.gone) {
        if (i == root->driver_count && !TRI_RESERVE(root->drivers, root->driver_capacity, i + 1)) {
            tri_log(TRI_ERROR, "no memory to remember a driver: it is not waited for if the broker dies");
            return;
        }
        root->drivers[i] = message->driver;
        root->driver_count += i == root->driver_count;
    }
}

void
tri_keeper_ended(struct tri_root *root, struct tri_id actor)
{
    if (tri_id_is_none(actor) || root->options.mode != TRI_ROOT_SERVICE)
        return;
    if (root->ended_count == TRI_ENDED_MAX) {
        root->ended[root->ended_next++ % TRI_ENDED_MAX] = actor;
        return;
    }
    if (!TRI_RESERVE(root->ended, root->ended_capacity, root->ended_count + 1)) {
        tri_log(TRI_ERROR, "no memory to remember that an actor has ended: it may come back if the broker dies");
        return;
    }
    root->ended[root->ended_count++] = actor;
}

static void
on_bury(struct tri_root *root, const union tri_control_message *message, const char **texts)
{
    (void)texts;
    tri_keeper_ended(root, message->bury.actor);
}

typedef void keeper_fn(struct tri_root *root, const union tri_control_message *message, const char **texts);
static keeper_fn *const handlers[TRI_CONTROL_KIND_COUNT] = {
    [TRI_CONTROL_READY] = on_ready, [TRI_CONTROL_FAILED] = on_failed, [TRI_CONTROL_FORK] = on_fork,
    [TRI_CONTROL_LABEL] = on_label, [TRI_CONTROL_KILL] = on_kill,     [TRI_CONTROL_DRIVER] = on_driver,
    [TRI_CONTROL_BURY] = on_bury,
};

static void
forget_control(struct tri_root *root)
{
    if (root->broker.fd < 0)
        return;
    tri_root_unwatch(root, &root->broker); /* closes it */
    root->control.fd = -1;
    tri_control_fini(&root->control);
}

/* An end of file is not acted upon: the process is, when it is collected, or killed for it. */
static void
on_broker(struct tri_root *root, struct tri_watch *watch)
{
    const char *texts[TRI_CONTROL_TEXTS_MAX];
    trp_error error;
    (void)watch;
    trp_err err = tri_control_flush(&root->control, &error);
    if (err == TRP_EBROKER)
        err = TRP_OK; /* what it said last is read nevertheless */
    while (err == TRP_OK && root->control.fd >= 0) {
        err = tri_control_recv(&root->control, &root->message, texts, &error);
        if (err == TRP_OK && handlers[root->message.head.kind] == NULL)
            err = TRI_FAIL(&error, TRP_EPROTO, "the broker sent %s", tri_control_name(root->message.head.kind));
        if (err == TRP_OK)
            handlers[root->message.head.kind](root, &root->message, texts);
    }
    if (err == TRP_OK || err == TRP_EAGAIN)
        return;
    if (err != TRP_EBROKER)
        tri_log(TRI_ERROR, "the broker is killed: %s", error.message);
    forget_control(root);
    if (root->broker_pid != 0)
        (void)kill(root->broker_pid, SIGKILL);
}

/* ----------------------------------------------------------------------------------------------------------- death */

/* Whether brokers die too fast to go on: several in a row that lived less than a second. One that somebody kills now and
 * then, however often, is not our fault. */
static bool
give_up(struct tri_root *root, uint64_t now_ns)
{
    bool short_life = now_ns - root->broker_started_ns < SHORT_LIFE_MS * TRI_NS_PER_MS;
    root->short_lives = short_life ? root->short_lives + 1 : 0;
    return root->short_lives > SHORT_LIVES_MAX;
}

/* What it still said before it died counts, but for the hosts that it asked for: they would have no broker. */
void
tri_keeper_died(struct tri_root *root, int status)
{
    trp_error error;
    char how[64];
    pid_t pid = root->broker_pid;
    if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "signal %d", WTERMSIG(status));
    else
        snprintf(how, sizeof how, "exit status %d", WEXITSTATUS(status));
    root->broker_pid = 0;
    if (root->broker.fd >= 0)
        on_broker(root, &root->broker); /* FAILED says why */
    forget_control(root);
    if (root->ending)
        return;
    if (!root->ready) {
        (void)TRI_FAIL(&error, TRP_EBROKER, "the broker (process %d) ended with %s before it was ready", (int)pid, how);
        tri_root_start_failed(root, &error);
        return;
    }
    tri_log(root->options.mode == TRI_ROOT_SERVICE ? TRI_WARNING : TRI_ERROR, "the broker (process %d) ended with %s",
            (int)pid, how);
    if (root->options.mode == TRI_ROOT_PRIVATE) {
        tri_root_end(root, 3);
    } else if (give_up(root, tri_now_ns())) {
        tri_log(TRI_ERROR, "%u brokers in a row died within a second: the node ends; what they last said stands above",
                root->short_lives);
        tri_root_end(root, 3);
    } else if (tri_keeper_start(root, &error) != TRP_OK) {
        tri_log(TRI_ERROR, "%s", error.message);
        tri_root_end(root, 3);
    }
}
