/*
 * driver.c - trp_init and trp_shutdown: which node a program joins, and the place that it calls from. It knows how a node is
 * found and started (launch.c), and nothing of calls.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/checks.h"
#include "actors/process.h"
#include "actors/trace.h"

#define TRI_TEXT_(x) #x
#define TRI_TEXT(x)  TRI_TEXT_(x)

enum { RECONNECT_MS = 10 * 1000 };

/* What trp_init makes. */
struct driver {
    trp_runtime runtime; /* first */
    struct tri_child child;
};

const char *
trp_version(void)
{
    return TRI_TEXT(TRP_VERSION_MAJOR) "." TRI_TEXT(TRP_VERSION_MINOR) "." TRI_TEXT(TRP_VERSION_PATCH);
}

static enum tri_level
level_of(trp_log_level level)
{
    static const enum tri_level levels[] = {TRI_WARNING, TRI_ERROR, TRI_INFO, TRI_DEBUG};

    return levels[level];
}

static trp_err
check_config(const trp_config *config, trp_error *error)
{
    if (config->mode != TRP_MODE_CLUSTER && config->mode != TRP_MODE_LOCAL)
        return TRI_FAIL(error, TRP_EINVAL, "config.mode is %d, there is no such mode", (int)config->mode);
    if ((unsigned)config->log_level > TRP_LOG_DEBUG)
        return TRI_FAIL(error, TRP_EINVAL, "config.log_level is %d, there is no such level", (int)config->log_level);
    TRP_TRY(tri_check_time("config.reconnect_ms", config->reconnect_ms, error));
    if (!(config->node.num_cpus >= 0 && config->node.num_cpus < INFINITY) ||
        !(config->node.num_gpus >= 0 && config->node.num_gpus < INFINITY))
        return TRI_FAIL(error, TRP_EINVAL, "config.node has %g CPUs and %g GPUs; both have to be 0 or more",
                        config->node.num_cpus, config->node.num_gpus);
    if (config->default_namespace != NULL) {
        TRP_TRY(tri_check_text("config.default_namespace", config->default_namespace, error));
        if (strchr(config->default_namespace, '/') != NULL)
            return TRI_FAIL(error, TRP_EINVAL, "config.default_namespace is '%s'; it has to be without a '/'",
                            config->default_namespace);
    }
    if (config->certificate != NULL || (config->address != NULL && strncmp(config->address, "tcp:", 4) == 0))
        return TRI_FAIL(error, TRP_ENOTSUP, "nodes are reached through their directory; keys for tcp do not exist yet");
    if (config->modules != NULL && config->modules[0] != NULL && config->mode != TRP_MODE_LOCAL)
        return TRI_FAIL(error, TRP_ENOTSUP,
                        "config.modules has '%.64s', which is linked into this program, but a node's actors run in "
                        "processes of their own: set config.mode to TRP_MODE_LOCAL, or build it as a .so and give "
                        "config.node.module_path",
                        config->modules[0]->name != NULL ? config->modules[0]->name : "");
    TRP_TRY(tri_check_reserved("config", config->reserved, 8, error));
    return tri_check_reserved("config.node", config->node.reserved, 4, error);
}

static trp_err
join(struct driver *driver, const char *directory, int64_t reconnect_ms, trp_error *error)
{
    const struct tri_process_config config = {
        .directory = directory, .reconnect_ms = reconnect_ms, .program = program_invocation_short_name};

    return tri_process_open(&config, &driver->runtime.process, error);
}

static trp_err
start_private(const trp_config *config, struct driver *driver, trp_error *error)
{
    trp_err err;

    TRP_TRY(tri_child_start(config, &driver->child, error));
    err = join(driver, driver->child.directory, 0, error);
    if (err != TRP_OK)
        tri_child_end(&driver->child);
    return err;
}

static trp_err
start_local(const trp_config *config, struct driver *driver, trp_error *error)
{
    const struct tri_process_config process_config = {.program = program_invocation_short_name};
    trp_err err;

    TRP_TRY(tri_process_new(&process_config, &driver->runtime.process, error));
    err = tri_local_new(driver->runtime.process, config, error);
    if (err != TRP_OK)
        tri_process_close(&driver->runtime.process);
    return err;
}

/* A node at an address; or the one that this user runs; or one of our own. */
static trp_err
start(const trp_config *config, struct driver *driver, trp_error *error)
{
    const int64_t reconnect_ms = config->reconnect_ms != 0 ? config->reconnect_ms : RECONNECT_MS;
    const char *named = getenv("TROUPE_DIR");
    char directory[256];
    trp_error why; /* of the try: with a private node all is well */
    trp_err err;

    if (config->mode == TRP_MODE_LOCAL)
        return start_local(config, driver, error);
    err = tri_directory(config->address, false, directory, sizeof directory, &why);
    if (err == TRP_OK)
        err = join(driver, directory, reconnect_ms, &why);
    if (err == TRP_ENOENT && config->address != NULL)
        return TRI_FAIL(error, TRP_EBROKER, "no node runs in '%s'", config->address);
    /* One that hangs may go on: what this program looks for is there and not in another node. A stranger's /tmp/troupe-UID is left
     * alone. */
    if (config->address == NULL && (err == TRP_ENOENT || (err == TRP_EBROKER && !tri_node_lives(directory)) ||
                                    (err == TRP_EACCES && (named == NULL || named[0] == '\0'))))
        return start_private(config, driver, error);
    if (err != TRP_OK && error != NULL)
        *error = why;
    return err;
}

/* Starts, or joins, a node; traced, if `troupe trace` has run this program. */
static trp_err
start_traced(const trp_config *config, struct driver *driver, trp_error *error)
{
    struct tri_trace *trace = NULL;
    struct tri_process *process;
    trp_err err;

    TRP_TRY(tri_trace_begin(program_invocation_short_name, &trace, error));
    err = start(config, driver, error);
    if (err != TRP_OK) {
        tri_trace_end(&trace);
        return err;
    }
    process = driver->runtime.process;
    tri_process_lock(process);
    process->trace = trace;
    if (process->local == NULL)
        process->trace_directory = tri_trace_directory(trace);
    tri_process_unlock(process);
    return TRP_OK;
}

trp_err
trp_init(const trp_config *config, trp_runtime **runtime, trp_error *error)
{
    static const trp_config defaults;
    struct driver *driver;
    trp_err err;

    if (runtime == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "runtime is NULL");
    if (tri_process_forked())
        return TRI_FAIL(error, TRP_EFORKED, "this process was forked from the one that made the runtime");
    if (tri_process_here() != NULL)
        return TRI_FAIL(error, TRP_EALREADY, "this process has a runtime already; there is one at a time");
    if (config == NULL)
        config = &defaults;
    TRP_TRY(check_config(config, error));
    driver = calloc(1, sizeof *driver);
    if (driver == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a runtime");
    (void)tri_text_copy(driver->runtime.default_namespace, sizeof driver->runtime.default_namespace,
                        config->default_namespace != NULL ? config->default_namespace : "default");
    tri_log_setup("driver", level_of(config->log_level), 2);
    err = start_traced(config, driver, error);
    if (err != TRP_OK) {
        free(driver);
        return err;
    }
    *runtime = &driver->runtime;
    return TRP_OK;
}

void
trp_shutdown(trp_runtime **runtime)
{
    struct driver *driver;
    struct tri_process *process;
    trp_error why;

    if (runtime == NULL || *runtime == NULL || (*runtime)->self != NULL)
        return;
    driver = (struct driver *)(void *)*runtime;
    *runtime = NULL;
    if (tri_process_forked())
        return; /* it is the parent's */
    process = driver->runtime.process;
    tri_process_lock(process);
    process->leaves = true;
    tri_process_flush(process);
    if (process->local != NULL)
        tri_local_end(process);
    (void)TRI_FAIL(&why, TRP_ECLOSED, "the runtime is shut down");
    tri_proc_fail_all(process->proc, &why);
    process->trace_directory = NULL;
    tri_trace_end(&process->trace);
    tri_callbacks_end(process, NULL);
    tri_process_unlock(process);
    tri_process_close(&process);
    tri_child_end(&driver->child);
    free(driver);
}
