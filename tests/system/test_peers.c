/*
 * test_peers.c - the table "Bad peers" of docs/protocol.md against a real node: whoever says what is wrong is cut, or only
 * its call fails, and a driver that works meanwhile notices nothing. Afterwards the broker has no more memory and descriptors
 * than before.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/system/bad_peers.h"
#include "tests/system/support.h"

/* What is freed stays in AddressSanitizer's quarantine. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* ------------------------------------------------------------------------------------- the driver that works meanwhile */

static struct {
    trp_actor *counter;
    atomic_bool stop;
    atomic_llong calls;
    trp_error error;
} good;

static void *
work(void *user)
{
    trp_value value;
    (void)user;
    for (int64_t n = 1; !atomic_load(&good.stop); n++) {
        trp_ref *ref = NULL;
        trp_err err = trp_call(good.counter, "add", TRP_NOARGS, &ref, &good.error);
        if (err == TRP_OK)
            err = trp_get(ref, SYSTEM_WAIT_MS, &value, &good.error);
        if (err == TRP_OK && trp_as_i64(value) != n)
            snprintf(good.error.message, sizeof good.error.message, "call %lld gave %lld", (long long)n,
                     (long long)trp_as_i64(value));
        bool well = err == TRP_OK && trp_as_i64(value) == n;
        trp_ref_release(&ref);
        if (!well)
            return &good;
        atomic_fetch_add(&good.calls, 1);
    }
    return NULL;
}

static bool
has_advanced(void *user)
{
    return atomic_load(&good.calls) >= *(long long *)user;
}

/* The driver makes some more calls. */
static void
expect_progress(const char *name)
{
    long long target = atomic_load(&good.calls) + 3;
    cr_assert(system_await(has_advanced, &target), "%s: the good driver does not get on: %s", name, good.error.message);
}

static void
run_row(const struct bad_peer *row)
{
    struct peer peer;
    trp_error error = {0};
    peer_open(&peer, system_service_directory());
    if (!row->stranger)
        peer_log_in(&peer);
    row->act(&peer);
    if (row->cut != TRP_OK)
        cr_expect_eq(peer_await_cut(&peer, &error), row->cut, "%s: %s: %s", row->name, trp_strerror(error.code),
                     error.message);
    expect_progress(row->name);
    peer_close(&peer);
}

static void
run_failure(const struct bad_call *row)
{
    struct peer peer;
    trp_error error = {0};
    peer_open(&peer, system_service_directory());
    peer_log_in(&peer);
    struct tri_id result = row->act(&peer);
    cr_expect_eq(peer_await_result(&peer, result, &error), row->err, "%s: %s: %s", row->name, trp_strerror(error.code),
                 error.message);
    cr_expect_eq(error.ran, TRP_NOT_RUN, "%s", row->name);
    struct tri_id actor = peer_spawn(&peer), again = peer_id(&peer); /* it is not cut */
    peer_call(&peer, actor, again, 1, "add");
    cr_expect_eq(peer_await_result(&peer, again, &error), TRP_OK, "%s: %s", row->name, error.message);
    expect_progress(row->name);
    peer_close(&peer);
}

/* ------------------------------------------------------------------------------------------------------------- flat */

static pid_t broker;

static unsigned
count_descriptors(pid_t pid)
{
    char path[40];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    cr_assert_not_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static bool
has_few_descriptors(void *user)
{
    return count_descriptors(broker) <= *(unsigned *)user;
}

static void
run_all(void)
{
    for (size_t i = 0; i < bad_peer_count; i++)
        run_row(&bad_peers[i]);
    for (size_t i = 0; i < bad_call_count; i++)
        run_failure(&bad_calls[i]);
}

SYSTEM_TEST(peers, bad_peers_are_cut_and_others_notice_nothing)
{
    const char *quiet[] = {"--log-level", "error", NULL};
    struct system_process service;
    pthread_t worker;
    void *failed = NULL;
    system_service_start(&service, quiet);
    trp_runtime *runtime = system_join();
    good.counter = system_spawn(runtime, "Ada");
    cr_assert_eq(pthread_create(&worker, NULL, work, NULL), 0);
    broker = system_find_one("troupe-broker");
    expect_progress("nobody");
    run_all(); /* meanwhile the node has its spare hosts */
    unsigned descriptors = count_descriptors(broker);
    long resident = system_resident_kib(broker);
    for (int i = 0; i < 2; i++)
        run_all();
    cr_expect_eq(system_find_one("troupe-broker"), broker, "the broker is another");
    cr_expect(system_await(has_few_descriptors, &descriptors), "the broker had %u descriptors and has %u", descriptors,
              count_descriptors(broker));
    if (!SANITIZED)
        cr_expect_lt(system_resident_kib(broker), resident + 4096, "the broker had %ld KiB and has %ld", resident,
                     system_resident_kib(broker));
    atomic_store(&good.stop, true);
    cr_assert_eq(pthread_join(worker, &failed), 0);
    cr_expect_null(failed, "the good driver failed: %s", good.error.message);
    trp_actor_release(&good.counter);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* ----------------------------------------------------------------------------------------------- what only a peer hears */

/* A driver of the library ends such a call itself. */
SYSTEM_TEST(peers, a_call_whose_deadline_passes_at_its_host_is_told_by_name)
{
    struct system_process service;
    struct peer peer;
    trp_error error;
    system_service_start(&service, NULL);
    peer_open(&peer, system_service_directory());
    peer_log_in(&peer);
    struct tri_id actor = peer_spawn(&peer), results[] = {peer_id(&peer), peer_id(&peer), peer_id(&peer)};
    peer_call(&peer, actor, results[0], 1, "pid");
    cr_expect_eq(peer_await_result(&peer, results[0], &error), TRP_OK, "%s", error.message);
    for (uint64_t i = 1; i < 3; i++) {
        struct tri_route route = {.kind = TRI_CALL,
                                  .target = actor,
                                  .result = results[i],
                                  .sequence = i + 1,
                                  .deadline_us = i == 1 ? 300000 : 100000};
        cr_assert_eq(tri_call_pack(&peer.packed, i == 1 ? "spin" : "add", trp_null(), NULL, &error), TRP_OK);
        peer_say(&peer, route, &peer.packed.section);
    }
    cr_expect_eq(peer_await_result(&peer, results[2], &error), TRP_ETIMEDOUT, "%s", error.message);
    cr_expect_str_eq(error.actor, "system_module:Counter");
    cr_expect_str_eq(error.method, "add");
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    cr_expect_not_null(strstr(error.message, "actor 'system_module:Counter'"), "%s", error.message);
    peer_close(&peer);
    system_service_stop(&service);
}

/* ------------------------------------------------------------------------------------------------------------- the log */

struct wanted {
    const char *path, *words;
};

static bool
log_says(void *user)
{
    const struct wanted *wanted = user;
    static char text[65536];
    FILE *file = fopen(wanted->path, "r");
    if (file == NULL)
        return false;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    return strstr(text, wanted->words) != NULL;
}

/* What a stranger sends over a link, or, where it is said at the door, there; and what is in the log then. */
SYSTEM_TEST(peers, what_strangers_say_wrong_costs_a_line_in_the_log)
{
    static const struct {
        const char *said;
        size_t size;
        bool at_door;
        const char *words;
    } rows[] = {
        {"this is no batch", 16, false, "a process that is not logged in is cut: "},
        {"hello?", 6, true, "says 6 bytes at the door"},
        {"a word that is larger than all that could be said at this door ...", 65, true, "larger than 64 bytes"},
    };
    struct system_process service;
    char log[128], pid[32];
    snprintf(log, sizeof log, "%s/log", system_directory());
    snprintf(pid, sizeof pid, "process %d ", (int)getpid());
    const char *more[] = {"--log-file", log, "--log-level", "warning", NULL};
    system_service_start(&service, more);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer peer;
        struct wanted wanted = {log, rows[i].words};
        peer_open(&peer, system_service_directory());
        if (rows[i].at_door)
            cr_assert_eq(send(peer.door, rows[i].said, rows[i].size, MSG_NOSIGNAL), (ssize_t)rows[i].size);
        else
            peer_send(&peer, rows[i].said, rows[i].size, false);
        cr_expect(system_await(log_says, &wanted), "nothing of '%s' is in the log", rows[i].words);
        wanted.words = pid;
        cr_expect(!rows[i].at_door || log_says(&wanted), "'%s' without the process", rows[i].words);
        peer_close(&peer);
    }
    system_service_stop(&service);
    unlink(log);
}
