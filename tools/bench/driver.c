/*
 * driver.c - drivers in processes of their own, for the case with several of them: this program runs itself again. They
 * say when they are ready, start when told to, and report when they started and ended. One thread on either side.
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

#define ROLE_OPTION "--bench-driver" /* PROGRAM --bench-driver DIRECTORY */

extern char **environ;

struct command {
    uint64_t kind, count;
};
struct report {
    uint64_t start_ns, end_ns;
};

struct tri_driver {
    pid_t pid;
    int to, from;
};

/* --------------------------------------------------------------------------------------------- the driver itself */

struct state {
    trp_runtime *runtime;
    trp_actor *actors[2];
    trp_ref **refs; /* made by FILL, taken by DRAIN */
    size_t ref_count;
};

static trp_err
run_ring(struct state *state, size_t count, trp_error *error)
{
    uint64_t took;

    return tri_bench_ring(state->runtime, state->actors, 2, TRI_BENCH_BODY_SIZE, TRI_BENCH_OUTSTANDING, count, 0, &took,
                          error);
}

static trp_err
fill(struct state *state, size_t count, trp_error *error)
{
    if (state->refs != NULL)
        return tri_limit_fail(error, "filled already");
    state->refs = calloc(count, sizeof *state->refs);
    if (state->refs == NULL)
        return tri_limit_fail(error, "no memory");
    for (; state->ref_count < count; state->ref_count++)
        TRP_TRY(tri_bench_call(state->runtime, state->actors[0], state->ref_count, sizeof(uint64_t),
                               &state->refs[state->ref_count], error));
    return TRP_OK;
}

static trp_err
drain(struct state *state, size_t count, trp_error *error)
{
    for (size_t i = 0; i < count && i < state->ref_count; i++)
        TRP_TRY(tri_bench_take(&state->refs[i], i, sizeof(uint64_t), TRI_BENCH_TIMEOUT_MS, error));
    free(state->refs);
    state->refs = NULL;
    state->ref_count = 0;
    return TRP_OK;
}

static trp_err (*const works[])(struct state *state, size_t count, trp_error *error) = {
    [TRI_DRIVER_RUN] = run_ring,
    [TRI_DRIVER_FILL] = fill,
    [TRI_DRIVER_DRAIN] = drain,
};

static trp_err
serve(struct state *state, trp_error *error)
{
    struct command command;

    TRP_TRY(trp_lookup(state->runtime, "bench-echo-0", &state->actors[0], error));
    TRP_TRY(trp_lookup(state->runtime, "bench-echo-1", &state->actors[1], error));
    if (write(STDOUT_FILENO, "R", 1) != 1)
        return tri_limit_fail(error, "nobody listens");
    while (read(STDIN_FILENO, &command, sizeof command) == (ssize_t)sizeof command) {
        struct report report = {.start_ns = tri_limit_now_ns()};

        TRP_TRY(works[command.kind](state, command.count, error));
        report.end_ns = tri_limit_now_ns();
        if (write(STDOUT_FILENO, &report, sizeof report) != (ssize_t)sizeof report)
            return tri_limit_fail(error, "nobody listens");
    }
    return TRP_OK;
}

bool
tri_bench_role(int argc, char **argv, int *exit_code)
{
    struct state state = {.runtime = NULL};
    trp_error error;
    trp_err err;

    if (argc != 3 || strcmp(argv[1], ROLE_OPTION) != 0)
        return false;
    err = tri_bench_init(NULL, argv[2], &state.runtime, &error);
    if (err == TRP_OK)
        err = serve(&state, &error);
    if (err != TRP_OK)
        fprintf(stderr, "troupe bench: a driver: %s\n", error.message);
    for (size_t i = 0; i < state.ref_count; i++)
        trp_ref_release(&state.refs[i]);
    free(state.refs);
    trp_actor_release(&state.actors[0]);
    trp_actor_release(&state.actors[1]);
    trp_shutdown(&state.runtime);
    *exit_code = err == TRP_OK ? 0 : 1;
    return true;
}

/* ------------------------------------------------------------------------------------------- who starts and tells */

static trp_err
start_program(struct tri_driver *driver, const char *directory, trp_error *error)
{
    char self[PATH_MAX], address[108];
    char *const argv[] = {self, (char *)(uintptr_t)ROLE_OPTION, address, NULL};
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    posix_spawn_file_actions_t actions;
    int in[2], out[2], failed;

    self[size > 0 ? size : 0] = 0;
    snprintf(address, sizeof address, "%s", directory);
    if (pipe2(in, O_CLOEXEC) != 0)
        return tri_limit_fail(error, "pipe: %s", strerror(errno));
    driver->to = in[1];
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        return tri_limit_fail(error, "pipe: %s", strerror(errno));
    }
    driver->from = out[0];
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    failed = posix_spawn(&driver->pid, self, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    if (failed == 0)
        return TRP_OK;
    driver->pid = 0;
    return tri_limit_fail(error, "a driver does not start: %s", strerror(failed));
}

trp_err
tri_driver_open(const char *directory, struct tri_driver **driver, trp_error *error)
{
    struct tri_driver *made = calloc(1, sizeof *made);
    char ready = 0;
    trp_err err;

    if (made == NULL)
        return tri_limit_fail(error, "no memory");
    made->to = made->from = -1;
    err = start_program(made, directory, error);
    if (err == TRP_OK && (read(made->from, &ready, 1) != 1 || ready != 'R'))
        err = tri_limit_fail(error, "a driver ended before it was ready");
    if (err != TRP_OK)
        tri_driver_close(&made);
    else
        *driver = made;
    return err;
}

void
tri_driver_close(struct tri_driver **driver)
{
    struct tri_driver *old = *driver;

    if (old == NULL)
        return;
    if (old->to >= 0)
        close(old->to);
    if (old->pid > 0)
        waitpid(old->pid, NULL, 0);
    if (old->from >= 0)
        close(old->from);
    free(old);
    *driver = NULL;
}

trp_err
tri_driver_tell(struct tri_driver *const *drivers, size_t driver_count, enum tri_driver_work work, size_t count,
                uint64_t *took_ns, trp_error *error)
{
    struct command command = {work, count};
    uint64_t start_ns = UINT64_MAX, end_ns = 0;

    for (size_t i = 0; i < driver_count; i++)
        if (write(drivers[i]->to, &command, sizeof command) != (ssize_t)sizeof command)
            return tri_limit_fail(error, "a driver has ended");
    for (size_t i = 0; i < driver_count; i++) {
        struct report report;

        if (read(drivers[i]->from, &report, sizeof report) != (ssize_t)sizeof report)
            return tri_limit_fail(error, "a driver has failed");
        start_ns = report.start_ns < start_ns ? report.start_ns : start_ns;
        end_ns = report.end_ns > end_ns ? report.end_ns : end_ns;
    }
    *took_ns = end_ns - start_ns;
    return TRP_OK;
}
