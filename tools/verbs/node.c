/*
 * node.c - `troupe stop` and `troupe status`: a node service that runs. One thread.
 */
#include "tools/verbs/verbs.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tools/cli/home.h"

enum { END_MS = 10 * 1000, LOOK_MS = 100 };

/* ---------------------------------------------------------------------------------------------------------------- stop */

/* Waits for the end of the process behind a pidfd. */
static int
await_end(struct tri_cli *cli, const struct tri_home *home, int process, int64_t timeout_ms)
{
    struct pollfd poller = {.fd = process, .events = POLLIN};

    for (int64_t waited_ms = 0; poll(&poller, 1, LOOK_MS) <= 0; waited_ms += LOOK_MS) {
        if (tri_stopped()) {
            (void)tri_fail_text(cli, "stopped waiting for the node at %s, which is ending", home->directory);
            return TRI_EXIT_STOPPED;
        }
        if (waited_ms >= timeout_ms)
            return TRI_EXIT_TIME;
    }
    return TRI_EXIT_OK;
}

static int
refuse_signal(struct tri_cli *cli, const struct tri_home *home)
{
    if (errno == EPERM)
        return tri_fail_text(cli, "the node at %s (process %d) is another user's", home->directory, (int)home->pid);
    return tri_fail_text(cli, "the node at %s (process %d) cannot be told to end: %s", home->directory, (int)home->pid,
                         strerror(errno));
}

static int
stop(struct tri_cli *cli, const struct tri_home *home, int process, bool force)
{
    const int64_t timeout_ms = cli->timeout_ms >= 0 ? cli->timeout_ms : END_MS;
    bool killed = false;
    int exit_code;

    if (syscall(SYS_pidfd_send_signal, process, SIGTERM, NULL, 0) != 0 && errno != ESRCH)
        return refuse_signal(cli, home);
    exit_code = await_end(cli, home, process, timeout_ms);
    if (exit_code == TRI_EXIT_TIME && force) {
        killed = syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0) == 0;
        exit_code = await_end(cli, home, process, END_MS);
    }
    if (exit_code == TRI_EXIT_TIME) {
        (void)tri_fail_text(cli,
                            "the node at %s (process %d) has not ended within %g s; `troupe stop --force` kills it",
                            home->directory, (int)home->pid, (double)timeout_ms / 1000);
        return TRI_EXIT_TIME;
    }
    if (exit_code == TRI_EXIT_OK)
        tri_print(cli, "the node at %s (process %d) %s\n", home->directory, (int)home->pid,
                  killed ? "was killed" : "has ended");
    return exit_code;
}

static int
run_stop(struct tri_cli *cli, const struct tri_args *args)
{
    struct tri_home home, again;
    int process, exit_code = tri_home_look(cli, &home);

    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (home.pid == 0)
        return tri_refuse_empty(cli, home.directory);
    tri_stop_watch();
    process = (int)syscall(SYS_pidfd_open, home.pid, 0);
    exit_code = tri_home_look(cli, &again);
    if (exit_code == TRI_EXIT_OK && (process < 0 || again.pid != home.pid)) /* it has ended meanwhile */
        exit_code = tri_refuse_empty(cli, home.directory);
    else if (exit_code == TRI_EXIT_OK)
        exit_code = stop(cli, &home, process, tri_option(args, "force") != NULL);
    if (process >= 0)
        (void)close(process);
    return exit_code;
}

static const struct tri_option stop_options[] = {
    {"force", 0, NULL, "kills it if it has not ended within --timeout", NULL},
    {0},
};

const struct tri_verb tri_verb_stop = {
    .name = "stop",
    .group = "Nodes",
    .about = "ends the node service, with its actors and tasks",
    .options = stop_options,
    .flags = TRI_NEEDS_NODE,
    .more = "It waits until the node has ended, for 10 s unless --timeout says otherwise.\n",
    .run = run_stop,
};

/* -------------------------------------------------------------------------------------------------------------- status */

static long long
number(trp_value row, const char *key)
{
    return (long long)trp_as_i64(trp_field(row, key));
}

static void
print_number(struct tri_cli *cli, long long count, const char *what, const char *end)
{
    tri_print(cli, "%lld %s%s%s", count, what, count == 1 ? "" : "s", end);
}

static int
print_status(struct tri_cli *cli, const struct tri_home *home, trp_value row)
{
    char log[512], age[32];
    const char *what;

    tri_home_log(home, log, sizeof log, &what);
    tri_seconds_text(tri_home_age(home), age, sizeof age);
    tri_print(cli, "node       %s at %s\n", trp_as_str(trp_field(row, "name")), home->directory);
    tri_print(cli, "state      %s, process %d, up %s\n", home->ending ? "ending" : "ready", (int)home->pid, age);
    tri_print(cli, "resources  %g of %g CPUs, %g of %g GPUs taken\n", trp_as_f64(trp_field(row, "cpus_used")),
              trp_as_f64(trp_field(row, "cpus")), trp_as_f64(trp_field(row, "gpus_used")),
              trp_as_f64(trp_field(row, "gpus")));
    tri_print(cli, "running    ");
    print_number(cli, number(row, "actors"), "actor", ", ");
    print_number(cli, number(row, "calls_pending"), "call", ", ");
    print_number(cli, number(row, "tasks_queued"), "task", " queued, ");
    print_number(cli, number(row, "objects"), "object", "\n");
    tri_print(cli, "processes  %lld logged in, %lld of them hosts\n", number(row, "processes"), number(row, "hosts"));
    tri_print(cli, "log        %s\n", what != NULL ? what : log);
    return TRI_EXIT_OK;
}

/* What the broker says, with what only the directory shows. */
static int
give_status(struct tri_cli *cli, const struct tri_home *home, trp_value row)
{
    enum { MOST = 40 };
    trp_value entries[2 * MOST];
    const double age = tri_home_age(home);
    char log[512];
    const char *what;
    size_t count = 0;

    tri_home_log(home, log, sizeof log, &what);
    for (; count < row.size && count < MOST - 5; count++) {
        entries[2 * count] = trp_key_at(row, count);
        entries[2 * count + 1] = trp_at(row, count);
    }
    const trp_value more[] = {trp_str("directory"), trp_str(home->directory),
                              trp_str("pid"),       trp_i64(home->pid),
                              trp_str("age_s"),     age < 0 ? trp_null() : trp_f64(round(age * 1000) / 1000),
                              trp_str("ending"),    trp_bool(home->ending),
                              trp_str("log"),       what == NULL ? trp_str(log) : trp_null()};
    memcpy(entries + 2 * count, more, sizeof more);
    return tri_give(cli, NULL, trp_map(entries, count + sizeof more / sizeof *more / 2));
}

static int
run_status(struct tri_cli *cli, const struct tri_args *args)
{
    struct tri_home home;
    trp_ref *ref = NULL;
    trp_value rows;
    int exit_code = tri_home_look(cli, &home);

    (void)args;
    if (exit_code == TRI_EXIT_OK && home.pid == 0)
        return tri_refuse_empty(cli, home.directory);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_join(cli);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_ask(cli, "nodes", &ref, &rows);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (tri_wants_value(cli))
        exit_code = give_status(cli, &home, trp_at(rows, 0));
    else
        exit_code = print_status(cli, &home, trp_at(rows, 0));
    trp_ref_release(&ref);
    return exit_code;
}

const struct tri_verb tri_verb_status = {
    .name = "status",
    .group = "Nodes",
    .about = "says whether a node service runs, and what it does",
    .flags = TRI_NEEDS_NODE | TRI_ASKS_FOR_NODE,
    .run = run_status,
};
