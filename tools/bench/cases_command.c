/*
 * cases_command.c - what a call from a shell costs: `troupe call` as a process, from its start to its end, beside an empty
 * libzmq program that makes one round trip. One thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/bench/bench.h"

extern char **environ;

enum { RUNS = 20 };

struct tri_echo {
    pid_t pid;
    int in; /* its end ends it */
};

/* ----------------------------------------------------------------------------------------------- the limit's echo */

static void
echo_address(const struct tri_bench *bench, char *text, size_t size)
{
    (void)snprintf(text, size, "ipc://%s/echo.sock", tri_service_directory(bench->service));
}

/* Starts it with both ends of its pipes. */
static trp_err
start_echo(struct tri_bench *bench, int in, int out, pid_t *pid, trp_error *error)
{
    char address[256];
    char *argv[] = {(char *)(uintptr_t)tri_limit_program("bench-roundtrip"), (char *)(uintptr_t) "serve", address,
                    NULL};
    posix_spawn_file_actions_t actions;
    int failed;

    echo_address(bench, address, sizeof address);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    failed = posix_spawn(pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed == 0 ? TRP_OK : tri_limit_fail(error, "%s does not start: %s", argv[0], strerror(failed));
}

static trp_err
open_both(struct tri_bench *bench, trp_error *error)
{
    struct tri_echo *echo = calloc(1, sizeof *echo);
    int in[2], out[2];
    char byte;
    trp_err err;

    TRP_TRY(tri_bench_serve(bench, 0, error));
    bench->echo = echo;
    if (echo == NULL || pipe2(in, O_CLOEXEC) != 0)
        return tri_limit_fail(error, "no pipe for the echo: %s", strerror(errno));
    echo->in = in[1];
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        return tri_limit_fail(error, "no pipe for the echo: %s", strerror(errno));
    }
    err = start_echo(bench, in[0], out[1], &echo->pid, error);
    close(in[0]);
    close(out[1]);
    if (err == TRP_OK && read(out[0], &byte, 1) != 1)
        err = tri_limit_fail(error, "the echo of the limit did not start");
    close(out[0]);
    return err;
}

void
tri_bench_echo_close(struct tri_bench *bench)
{
    struct tri_echo *echo = bench->echo;
    char address[256];

    if (echo == NULL)
        return;
    close(echo->in);
    if (echo->pid > 0)
        waitpid(echo->pid, NULL, 0);
    echo_address(bench, address, sizeof address);
    unlink(address + strlen("ipc://"));
    free(echo);
    bench->echo = NULL;
}

/* ------------------------------------------------------------------------------------------------------- processes */

static trp_err
run_one(char *const *argv, uint64_t *took_ns, trp_error *error)
{
    const uint64_t before = tri_limit_now_ns();
    int status = 0, failed;
    pid_t pid;

    failed = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
    if (failed != 0)
        return tri_limit_fail(error, "%s does not start: %s", argv[0], strerror(failed));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return tri_limit_fail(error, "waiting for %s: %s", argv[0], strerror(errno));
    *took_ns = tri_limit_now_ns() - before;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return tri_limit_fail(error, "%s did not end well (status %d)", argv[0], status);
    return TRP_OK;
}

static trp_err
run_all(struct tri_bench *bench, char *const *argv, struct tri_bench_sample *samples, trp_error *error)
{
    for (size_t i = 0; i < RUNS; i++)
        TRP_TRY(run_one(argv, &bench->latency_ns[i], error));
    tri_bench_latencies(bench, RUNS, samples);
    return TRP_OK;
}

static trp_err
command_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    char self[PATH_MAX], directory[PATH_MAX];
    char *argv[] = {self,
                    (char *)(uintptr_t) "call",
                    (char *)(uintptr_t) "bench-echo-0",
                    (char *)(uintptr_t) "echo",
                    (char *)(uintptr_t) "bytes:5:68656c6c6f",
                    (char *)(uintptr_t) "--quiet",
                    (char *)(uintptr_t) "--dir",
                    directory,
                    NULL};
    const ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

    self[size > 0 ? size : 0] = 0;
    snprintf(directory, sizeof directory, "%s", tri_service_directory(bench->service));
    return run_all(bench, argv, samples, error);
}

static trp_err
command_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    char address[256];
    char *argv[] = {(char *)(uintptr_t)tri_limit_program("bench-roundtrip"), address, NULL};

    echo_address(bench, address, sizeof address);
    return run_all(bench, argv, samples, error);
}

const struct tri_bench_measurement tri_bench_commands[] = {
    {{{"call.command", "us", "`troupe call` from a shell, with its start and end", TRI_BENCH_RATIO_MOST, 1.5, false}},
     open_both,
     command_ours,
     command_limit,
     0,
     false,
     0},
};
const size_t tri_bench_command_count = sizeof tri_bench_commands / sizeof *tri_bench_commands;
