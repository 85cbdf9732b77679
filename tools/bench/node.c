/*
 * node.c - what a measurement runs on: a private node with echo actors, or a node service in a directory of its own. One
 * thread. It must not know what is measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/bench/bench.h"

extern char **environ;

enum { SERVICE_TIMEOUT_MS = 10000 };

/* `path` of a thing that lies beside this program, or in a place told by its directory. */
static bool
find_beside(const char *const *places, const char *probe, char *path, size_t size)
{
    char self[PATH_MAX], file[2 * PATH_MAX];
    ssize_t self_size = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    self[self_size > 0 ? self_size : 0] = 0;
    slash = strrchr(self, '/');
    for (; slash != NULL && *places != NULL; places++) {
        int made = snprintf(path, size, "%.*s%s", (int)(slash - self), self, *places);
        snprintf(file, sizeof file, "%s%s", path, probe);
        if (made > 0 && (size_t)made < size && access(file, R_OK) == 0)
            return true;
    }
    return false;
}

const char *
tri_bench_module_path(void)
{
    static const char *const places[] = {"/../bench/modules", "/../lib/troupe/bench",
                                         "/../lib/x86_64-linux-gnu/troupe/bench",
                                         "/../lib/aarch64-linux-gnu/troupe/bench", NULL};
    static char path[PATH_MAX];

    return find_beside(places, "/echo.so", path, sizeof path) ? path : NULL;
}

static const char *
node_program(void)
{
    static const char *const places[] = {"/troupe-node", "/../broker/node/troupe-node", "/../broker/troupe-node", NULL};
    static char path[PATH_MAX];
    const char *said = getenv("TROUPE_NODE");

    if (said != NULL)
        return said;
    return find_beside(places, "", path, sizeof path) ? path : "troupe-node";
}

trp_err
tri_bench_init(const char *module_path, const char *address, trp_runtime **runtime, trp_error *error)
{
    trp_config config = {.address = address, .node = {.module_path = module_path}};

    return trp_init(&config, runtime, error);
}

trp_err
tri_bench_spawn(struct tri_bench *bench, int count, trp_error *error)
{
    int first = bench->actor_count;

    for (int i = 0; i < count; i++) {
        if (bench->actor_count == TRI_BENCH_ACTORS_MAX)
            return tri_limit_fail(error, "a measurement has at most %d actors", TRI_BENCH_ACTORS_MAX);
        TRP_TRY(trp_spawn(bench->runtime, "echo:Echo", TRP_NOARGS, NULL, &bench->actors[bench->actor_count], error));
        bench->actor_count++;
    }
    for (int i = first; i < bench->actor_count; i++)
        TRP_TRY(tri_bench_sync(bench, bench->actors[i], TRI_BENCH_BODY_SIZE, 1, error));
    return TRP_OK;
}

trp_err
tri_bench_start(struct tri_bench *bench, int actors, trp_error *error)
{
    TRP_TRY(tri_bench_init(bench->module_path, NULL, &bench->runtime, error));
    return tri_bench_spawn(bench, actors, error);
}

trp_err
tri_bench_serve(struct tri_bench *bench, int drivers, trp_error *error)
{
    static const char *const names[] = {"bench-echo-0", "bench-echo-1"};

    TRP_TRY(tri_service_open(bench->module_path, &bench->service, error));
    TRP_TRY(tri_bench_init(NULL, tri_service_directory(bench->service), &bench->runtime, error));
    for (int i = 0; i < 2; i++) {
        trp_actor_options options = {.name = names[i]};
        TRP_TRY(trp_spawn(bench->runtime, "echo:Echo", TRP_NOARGS, &options, &bench->actors[i], error));
        bench->actor_count++;
        TRP_TRY(tri_bench_sync(bench, bench->actors[i], TRI_BENCH_BODY_SIZE, 1, error));
    }
    for (int i = 0; i < drivers; i++) {
        TRP_TRY(tri_driver_open(tri_service_directory(bench->service), &bench->drivers[i], error));
        bench->driver_count++;
    }
    return TRP_OK;
}

void
tri_bench_close(struct tri_bench *bench)
{
    while (bench->driver_count > 0)
        tri_driver_close(&bench->drivers[--bench->driver_count]);
    while (bench->actor_count > 0)
        trp_actor_release(&bench->actors[--bench->actor_count]);
    trp_shutdown(&bench->runtime);
    tri_chain_close(&bench->chain);
    tri_bench_echo_close(bench);
    tri_memory_limit_close(&bench->memory);
    tri_service_close(&bench->service);
    while (waitpid(-1, NULL, WNOHANG) > 0) /* orphans of the node that fell to us */
        ;
}

/* ------------------------------------------------------------------------------------------------ a node service */

struct tri_service {
    char directory[64];
    pid_t pid;
};

const char *
tri_service_directory(const struct tri_service *service)
{
    return service->directory;
}

/* Waits for the line "READY ...". */
static trp_err
await_ready(int fd, trp_error *error)
{
    char line[512];
    size_t size = 0;

    do {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (poll(&poller, 1, SERVICE_TIMEOUT_MS) != 1)
            return tri_limit_fail(error, "the node service was not ready in %d s", SERVICE_TIMEOUT_MS / 1000);
        got = read(fd, line + size, sizeof line - 1 - size);
        if (got <= 0)
            return tri_limit_fail(error, "the node service ended at its start");
        size += (size_t)got;
        line[size] = 0;
    } while (strchr(line, '\n') == NULL && size < sizeof line - 1);
    if (strncmp(line, "READY", 5) != 0)
        return tri_limit_fail(error, "the node service said: %.200s", line);
    return TRP_OK;
}

static trp_err
start_program(struct tri_service *service, const char *module_path, int *out, trp_error *error)
{
    char node_directory[80], program[PATH_MAX], path[PATH_MAX];
    char *argv[] = {program,
                    (char *)(uintptr_t) "--service",
                    (char *)(uintptr_t) "--dir",
                    node_directory,
                    (char *)(uintptr_t) "--module-path",
                    path,
                    (char *)(uintptr_t) "--log-level=warning",
                    NULL};
    posix_spawn_file_actions_t actions;
    int fds[2], failed;

    snprintf(node_directory, sizeof node_directory, "%s", service->directory);
    snprintf(program, sizeof program, "%s", node_program());
    snprintf(path, sizeof path, "%s", module_path);
    if (pipe2(fds, O_CLOEXEC) != 0)
        return tri_limit_fail(error, "pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    failed = posix_spawnp(&service->pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    *out = fds[0];
    if (failed != 0) {
        service->pid = 0;
        return tri_limit_fail(error, "%s does not start: %s", program, strerror(failed));
    }
    return TRP_OK;
}

trp_err
tri_service_open(const char *module_path, struct tri_service **service, trp_error *error)
{
    struct tri_service *made = calloc(1, sizeof *made);
    int out = -1;
    trp_err err;

    if (made == NULL)
        return tri_limit_fail(error, "no memory");
    snprintf(made->directory, sizeof made->directory, "/tmp/troupe-bench-XXXXXX");
    if (mkdtemp(made->directory) == NULL) {
        free(made);
        return tri_limit_fail(error, "no directory in /tmp: %s", strerror(errno));
    }
    err = start_program(made, module_path, &out, error);
    if (err == TRP_OK)
        err = await_ready(out, error);
    if (out >= 0)
        close(out);
    if (err != TRP_OK)
        tri_service_close(&made);
    else
        *service = made;
    return err;
}

void
tri_service_close(struct tri_service **service)
{
    struct tri_service *old = *service;

    if (old == NULL)
        return;
    if (old->pid > 0) {
        kill(old->pid, SIGTERM);
        waitpid(old->pid, NULL, 0);
    }
    rmdir(old->directory);
    free(old);
    *service = NULL;
}
