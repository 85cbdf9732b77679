/*
 * open.c - the first log-in of a process: its node's door, its connection, and asking again while the node lives. The thread
 * that opens. It knows nothing of what the connection is for.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "actors/process.h"

enum { DOOR_MS = 2000, RETRY_MS = 20 };

static bool
logged_in(void *user)
{
    const struct tri_process *process = user;

    return process->state == TRI_UP;
}

static trp_err
open_door(const struct tri_process *process, struct tri_greeting *greeting, trp_error *error)
{
    char path[sizeof process->directory + 8];
    trp_err err;

    (void)snprintf(path, sizeof path, "%s/door", process->directory);
    err = tri_door_greet(path, DOOR_MS, greeting, error);
    if (err == TRP_ETIMEDOUT)
        err = TRI_FAIL(error, TRP_EBROKER, "the broker in %s does not open its door: it is stopped, or hangs",
                       process->directory);
    return err;
}

/* libzmq's come with its first socket, and cannot be refused then. A host's main thread polls until it runs something, and needs
 * no keeper before; where memory is limited it may not get one any more then. */
static trp_err
start_threads(struct tri_process *process, trp_error *error)
{
    TRP_TRY(tri_link_context(&process->context, error));
    if (!process->is_host)
        TRP_TRY(tri_room_try_threads(error));
    return !process->is_host || tri_room_is_limited() ? tri_process_begin(process, error) : TRP_OK;
}

/* Connects and logs in; the keeper, or who polls without one, ends the wait for WELCOME. */
static trp_err
open_connection(struct tri_process *process, trp_error *error)
{
    struct tri_greeting greeting;
    trp_err err;

    TRP_TRY(open_door(process, &greeting, error));
    err = start_threads(process, error);
    if (err != TRP_OK) {
        tri_stored_greeted(process, &greeting);
        (void)close(greeting.fd);
        return err;
    }
    tri_process_lock(process);
    err = tri_process_connect(process, &greeting, error);
    if (err == TRP_OK)
        err = tri_process_wait(process, logged_in, process, TRI_NEVER, NULL, 0, false, error);
    tri_process_unlock(process);
    return err;
}

static trp_err
open_once(const struct tri_process_config *config, struct tri_process **process, trp_error *error)
{
    struct tri_process *made = NULL;
    trp_err err;

    TRP_TRY(tri_process_new(config, &made, error));
    err = open_connection(made, error);
    if (err != TRP_OK) {
        tri_process_close(&made);
        return err;
    }
    *process = made;
    return TRP_OK;
}

bool
tri_node_lives(const char *directory)
{
    char path[sizeof((struct tri_process *)NULL)->directory + 16];
    FILE *file;
    int pid = 0;

    (void)snprintf(path, sizeof path, "%s/node.pid", directory);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    if (fscanf(file, "%d", &pid) != 1)
        pid = 0;
    (void)fclose(file);
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/* A broker that died a moment ago has a successor in the next one. One that dies between opening its door and saying the
 * cookie looks like one that does not let us in: that has to be seen twice. */
trp_err
tri_process_open(const struct tri_process_config *config, struct tri_process **process, trp_error *error)
{
    const uint64_t until_ns = tri_until_ns(config->reconnect_ms);
    const struct timespec pause = {0, RETRY_MS * 1000 * 1000};
    bool refused = false;

    for (;;) {
        const trp_err err = open_once(config, process, error);
        const bool again = err == TRP_EBROKER || (err == TRP_EACCES && !refused);
        if (!again || tri_now_ns() >= until_ns || !tri_node_lives(config->directory))
            return err;
        refused = err == TRP_EACCES;
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
}
