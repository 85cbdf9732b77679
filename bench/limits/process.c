/*
 * process.c - what the kernel takes to start programs that do nothing. One thread at a time. It must not know libzmq.
 */
#include "bench/limits/limits.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PROCESSES_MAX = 1000 };

const char *
tri_limit_program(const char *name)
{
    static const char *const places[] = {"/", "/../bench/limits/", "/../libexec/troupe/"};
    static char path[PATH_MAX + 128];
    char self[PATH_MAX];
    char *slash;
    ssize_t size;

    size = readlink("/proc/self/exe", self, sizeof self - 1);
    self[size > 0 ? size : 0] = 0;
    slash = strrchr(self, '/');
    for (size_t i = 0; slash != NULL && i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%.*s%s%s", (int)(slash - self), self, places[i], name);
        if (access(path, X_OK) == 0)
            return path;
    }
    snprintf(path, sizeof path, "/bin/true");
    return path;
}

/* The one that does nothing. */
static const char *
empty_program(void)
{
    static char path[PATH_MAX + 128];

    if (path[0] == 0)
        snprintf(path, sizeof path, "%s", tri_limit_program("bench-empty"));
    return path;
}

static trp_err
wait_for(pid_t pid, trp_error *error)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return tri_limit_fail(error, "waiting for %s: %s", empty_program(), strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return tri_limit_fail(error, "%s did not end well (status %d)", empty_program(), status);
    return TRP_OK;
}

static trp_err
spawn(pid_t *pid, trp_error *error)
{
    char *const argv[] = {(char *)(uintptr_t)empty_program(), NULL};
    int failed = posix_spawn(pid, argv[0], NULL, NULL, argv, environ);

    if (failed != 0)
        return tri_limit_fail(error, "%s does not start: %s", argv[0], strerror(failed));
    return TRP_OK;
}

static trp_err
fork_and_exec(pid_t *pid, trp_error *error)
{
    char *const argv[] = {(char *)(uintptr_t)empty_program(), NULL};

    *pid = fork();
    if (*pid == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    if (*pid < 0)
        return tri_limit_fail(error, "fork: %s", strerror(errno));
    return TRP_OK;
}

static trp_err
start_many(trp_err (*start)(pid_t *pid, trp_error *error), size_t count, uint64_t *took_ns, trp_error *error)
{
    pid_t pids[PROCESSES_MAX];
    size_t started = 0;
    trp_err err = count <= PROCESSES_MAX ? TRP_OK : tri_limit_fail(error, "at most %d at once", PROCESSES_MAX);
    uint64_t before;

    empty_program();
    before = tri_limit_now_ns();
    while (err == TRP_OK && started < count) {
        err = start(&pids[started], error);
        started += err == TRP_OK;
    }
    for (size_t i = 0; i < started; i++) {
        trp_err ended = wait_for(pids[i], error);
        err = err != TRP_OK ? err : ended;
    }
    if (err == TRP_OK)
        *took_ns = tri_limit_now_ns() - before;
    return err;
}

trp_err
tri_limit_spawn_one(uint64_t *took_ns, trp_error *error)
{
    return start_many(spawn, 1, took_ns, error);
}

trp_err
tri_limit_spawn_many(size_t count, uint64_t *took_ns, trp_error *error)
{
    return start_many(spawn, count, took_ns, error);
}

trp_err
tri_limit_fork_many(size_t count, uint64_t *took_ns, trp_error *error)
{
    return start_many(fork_and_exec, count, took_ns, error);
}
