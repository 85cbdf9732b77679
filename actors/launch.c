/*
 * launch.c - a private node: the program troupe-node is started in a directory of its own and ends with us. The one thing
 * between us is a line (descriptor 3 over there): it says READY or ERROR, and whose end closes, ends. No signal, no handler.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/process.h"

#ifndef TRI_BINDIR
#define TRI_BINDIR "/usr/bin"
#endif

enum { READY_MS = 20 * 1000, END_MS = 10 * 1000, CHILD_LINE = 3, ARGUMENTS_MAX = 28 };

extern char **environ;

/* ------------------------------------------------------------------------------------------------ finding the program */

static bool
try_path(char *path, size_t size, const char *directory, const char *rest)
{
    return snprintf(path, size, "%s%s", directory, rest) < (int)size && access(path, X_OK) == 0;
}

static trp_err
find_program(char *path, size_t size, trp_error *error)
{
    const char *given = getenv("TROUPE_NODE");
    char directory[4096] = "";
    char *real = NULL, *slash = NULL;
    Dl_info info;

    if (given != NULL && given[0] != '\0') {
        if (try_path(path, size, given, ""))
            return TRP_OK;
        return tri_fail_errno(error, TRP_EBROKER, errno, "TROUPE_NODE is '%s', which cannot be run", given);
    }
    if (dladdr((const void *)&tri_process_handles, &info) ==
        0) /* lies in the library, or in a program with all of it */
        info.dli_fname = NULL;
    if (info.dli_fname != NULL)
        real = realpath(info.dli_fname, NULL);
    if (real != NULL)
        slash = strrchr(real, '/');
    if (slash != NULL) {
        *slash = '\0';
        (void)tri_text_copy(directory, sizeof directory, real);
    }
    free(real);
    if (directory[0] != '\0' && (try_path(path, size, directory, "/../tools/troupe-node") ||
                                 try_path(path, size, directory, "/../bin/troupe-node") ||
                                 try_path(path, size, directory, "/../../bin/troupe-node")))
        return TRP_OK;
    if (try_path(path, size, TRI_BINDIR, "/troupe-node"))
        return TRP_OK;
    return TRI_FAIL(
        error, TRP_EBROKER,
        "no node runs here, and the program troupe-node to start one is neither beside libtroupe (%s) nor in "
        "%s; $TROUPE_NODE can name it",
        directory, TRI_BINDIR);
}

/* --------------------------------------------------------------------------------------------------------- starting */

struct arguments {
    char *list[ARGUMENTS_MAX];
    size_t count;
    char cpus[32], gpus[32], store[32], spill[32], spill_at[32];
};

static void
add(struct arguments *arguments, const char *word)
{
    TRI_ASSERT(arguments->count < ARGUMENTS_MAX - 1);
    arguments->list[arguments->count++] = (char *)word; /* posix_spawn changes none */
}

static void
add_spill(struct arguments *arguments, const trp_node_options *node)
{
    if (node->spill_dir != NULL) {
        add(arguments, "--spill-dir");
        add(arguments, node->spill_dir);
    }
    if (node->spill_max_bytes != 0) {
        const int64_t bytes = node->spill_max_bytes;
        (void)snprintf(arguments->spill, sizeof arguments->spill, "%lld", (long long)(bytes > 0 ? bytes : 0));
        add(arguments, "--spill-max");
        add(arguments, arguments->spill);
    }
    if (node->store_spill_at != 0) {
        (void)snprintf(arguments->spill_at, sizeof arguments->spill_at, "%lld", (long long)node->store_spill_at);
        add(arguments, "--spill-at");
        add(arguments, arguments->spill_at);
    }
}

static void
make_arguments(const trp_config *config, const char *program, const char *directory, struct arguments *arguments)
{
    static const char *const levels[] = {"warning", "error", "info", "debug"};

    *arguments = (struct arguments){.count = 0};
    add(arguments, program);
    add(arguments, "--private");
    add(arguments, "--dir");
    add(arguments, directory);
    add(arguments, "--parent-fd");
    add(arguments, "3");
    if (config->node.module_path != NULL) {
        add(arguments, "--module-path");
        add(arguments, config->node.module_path);
    }
    if (config->node.num_cpus > 0) {
        (void)snprintf(arguments->cpus, sizeof arguments->cpus, "%.17g", config->node.num_cpus);
        add(arguments, "--num-cpus");
        add(arguments, arguments->cpus);
    }
    if (config->node.num_gpus > 0) {
        (void)snprintf(arguments->gpus, sizeof arguments->gpus, "%.17g", config->node.num_gpus);
        add(arguments, "--num-gpus");
        add(arguments, arguments->gpus);
    }
    if (config->node.store_bytes != 0) {
        const int64_t bytes = config->node.store_bytes;
        (void)snprintf(arguments->store, sizeof arguments->store, "%lld", (long long)(bytes > 0 ? bytes : 0));
        add(arguments, "--store");
        add(arguments, arguments->store);
    }
    add_spill(arguments, &config->node);
    add(arguments, "--log-level");
    add(arguments, levels[config->log_level]);
}

/* The new process gets its line as descriptor 3, our stderr for its log, and nothing else of ours: no descriptors, no
 * signal mask, no terminal whose Ctrl-C would end it before us. */
static int
spawn(const char *program, const struct arguments *arguments, int line, int32_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    pid_t started = 0;
    int err;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    err = posix_spawn_file_actions_init(&actions);
    if (err != 0)
        return err;
    err = posix_spawnattr_init(&attributes);
    if (err != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return err;
    }
    if ((err = posix_spawn_file_actions_adddup2(&actions, line, CHILD_LINE)) == 0 &&
        (err = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
        (err = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)) == 0 &&
        (err = posix_spawn_file_actions_addclosefrom_np(&actions, CHILD_LINE + 1)) == 0 &&
        (err = posix_spawnattr_setsigmask(&attributes, &none)) == 0 &&
        (err = posix_spawnattr_setsigdefault(&attributes, &all)) == 0 &&
        (err = posix_spawnattr_setflags(&attributes,
                                        POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID)) == 0)
        err = posix_spawn(&started, program, &actions, &attributes, arguments->list, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    *pid = (int32_t)started;
    return err;
}

static trp_err
make_directory(char *path, size_t size, trp_error *error)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    int length;

    for (int i = 0; i < 2; i++) {
        length = snprintf(path, size, "%s/troupe-private-XXXXXX",
                          i == 0 && base != NULL && base[0] == '/' && strlen(base) < 60 ? base : "/tmp");
        if (length < (int)size && mkdtemp(path) != NULL)
            return TRP_OK;
    }
    return tri_fail_system(error, TRP_EACCES, errno, "no directory for a private node can be made in /tmp");
}

/* ------------------------------------------------------------------------------------------------------ its first words */

/* Reads up to the end of a line; "" at the end of the file. */
static trp_err
read_line(int fd, char *line, size_t size, uint64_t until_ns, trp_error *error)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    size_t length = 0;

    while (length + 1 < size) {
        const int woken = poll(&poller, 1, tri_poll_ms(until_ns, tri_now_ns()));
        ssize_t got;
        if (woken == 0)
            return TRI_FAIL(error, TRP_EBROKER, "the private node was not ready within %d s", READY_MS / 1000);
        got = woken < 0 ? -1 : read(fd, line + length, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || line[length] == '\n')
            break;
        length++;
    }
    line[length] = '\0';
    return TRP_OK;
}

static trp_err
understand(const char *line, trp_error *error)
{
    int code = 0, at = 0;

    if (strcmp(line, "READY") == 0)
        return TRP_OK;
    if (sscanf(line, "ERROR %d %n", &code, &at) == 1 && at > 0 && code > 0 && code < TRP_ERR_LAST_)
        return TRI_FAIL(error, (trp_err)code, "%s", line + at);
    if (line[0] == '\0')
        return TRI_FAIL(error, TRP_EBROKER, "the private node ended before it was ready");
    return TRI_FAIL(error, TRP_EBROKER, "the private node said '%.200s'", line);
}

trp_err
tri_child_start(const trp_config *config, struct tri_child *child, trp_error *error)
{
    struct arguments arguments;
    char program[4096], line[1024];
    int pair[2];
    int err;
    trp_err result;

    TRP_TRY(find_program(program, sizeof program, error));
    TRP_TRY(make_directory(child->directory, sizeof child->directory, error));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        err = errno;
        (void)rmdir(child->directory);
        return tri_fail_system(error, TRP_ELIMIT, err, "no descriptors for a private node");
    }
    make_arguments(config, program, child->directory, &arguments);
    err = spawn(program, &arguments, pair[1], &child->pid);
    (void)close(pair[1]);
    child->line = pair[0];
    if (err != 0) {
        (void)close(pair[0]);
        (void)rmdir(child->directory);
        child->pid = 0;
        return err == EACCES ? tri_fail_errno(error, TRP_EBROKER, err, "'%s' cannot be started", program)
                             : tri_fail_system(error, TRP_EBROKER, err, "'%s' cannot be started", program);
    }
    result = read_line(child->line, line, sizeof line, tri_now_ns() + READY_MS * TRI_NS_PER_MS, error);
    if (result == TRP_OK)
        result = understand(line, error);
    if (result != TRP_OK)
        tri_child_end(child);
    return result;
}

/* Our end closes first, which is how the node hears that it is over; its own end says that everything is gone. */
void
tri_child_end(struct tri_child *child)
{
    const uint64_t until_ns = tri_now_ns() + END_MS * TRI_NS_PER_MS;
    struct pollfd poller = {.fd = child->line, .events = POLLIN};
    char rest[64];

    if (child->pid == 0)
        return;
    (void)shutdown(child->line, SHUT_WR);
    for (;;) {
        const int woken = poll(&poller, 1, tri_poll_ms(until_ns, tri_now_ns()));
        if (woken < 0 && errno == EINTR)
            continue;
        if (woken <= 0) {
            (void)kill(child->pid, SIGKILL); /* its processes die with it */
            break;
        }
        if (read(child->line, rest, sizeof rest) <= 0)
            break;
    }
    (void)close(child->line);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
    }                              /* ECHILD: the user's program has reaped it, or ignores SIGCHLD */
    (void)rmdir(child->directory); /* empty already, or gone */
    child->pid = 0;
}
