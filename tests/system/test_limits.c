/*
 * test_limits.c - what a node cannot have is refused at its start, with the remedy in the text and nothing left; what a
 * program may not have is refused where it asks.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/support.h"

static trp_error error;

/* ------------------------------------------------------------------------------------------------------------- start */

/* `before`: shell commands; $0 is the node's directory. It has to end with status 1 and to say all of `words`. */
static void
expect_refused(const char *before, const char *directory, const char *const *words)
{
    struct system_process node;
    char command[512], line[1024] = "";
    snprintf(command, sizeof command, "%s exec \"$TROUPE_NODE\" --service --dir \"$0\" \"$@\" 2>&1", before);
    const char *argv[] = {"/bin/sh", "-c", command, directory, NULL};
    system_start(&node, argv);
    cr_expect(system_line(&node, line, sizeof line), "%s: it says nothing", before);
    for (size_t i = 0; words[i] != NULL; i++)
        cr_expect_not_null(strstr(line, words[i]), "%s: no '%s' in: %s", before, words[i], line);
    int status = system_wait(&node);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%s: status %x", before, (unsigned)status);
    system_expect_no_processes();
}

#define REFUSED(before, directory, ...) expect_refused(before, directory, (const char *const[]){__VA_ARGS__, NULL})

SYSTEM_TEST(system_limits, a_directory_that_is_open_to_others_is_refused)
{
    REFUSED("mkdir -m 755 \"$0\";", system_service_directory(), "open to other users", "a directory of your own");
    rmdir(system_service_directory());
}

SYSTEM_TEST(system_limits, a_directory_of_somebody_else_is_refused)
{
    cr_assert_eq(mkdir(system_service_directory(), 0700), 0);
    if (chown(system_service_directory(), 65534, 65534) == 0) {
        trp_runtime *runtime = NULL;
        const trp_config config = {.address = system_service_directory()};
        REFUSED("", system_service_directory(), "belongs to user 65534", "TROUPE_DIR");
        cr_expect_eq(trp_init(&config, &runtime, &error), TRP_EACCES, "%s", error.message);
        cr_expect_not_null(strstr(error.message, "TROUPE_DIR"), "%s", error.message);
    }
    rmdir(system_service_directory());
}

SYSTEM_TEST(system_limits, a_directory_that_cannot_be_made_is_refused)
{
    char path[160];
    snprintf(path, sizeof path, "%s/no/such/place", system_directory());
    REFUSED("", path, path, "TROUPE_DIR");
    REFUSED("", "/proc/troupe", "/proc/troupe", "TROUPE_DIR");
}

SYSTEM_TEST(system_limits, a_path_that_is_too_long_for_sockets_is_refused)
{
    char path[200];
    trp_runtime *runtime = NULL;
    const trp_config config = {.address = path};
    snprintf(path, sizeof path, "%s/%0120d", system_directory(), 7);
    REFUSED("", path, "bytes", "TROUPE_DIR");
    cr_expect_eq(trp_init(&config, &runtime, &error), TRP_EINVAL, "%s", error.message);
    cr_expect_not_null(strstr(error.message, "TROUPE_DIR"), "%s", error.message);
}

SYSTEM_TEST(system_limits, too_few_file_descriptors_are_refused)
{
    REFUSED("ulimit -n 40;", system_service_directory(), "open files", "ulimit -n");
    REFUSED("ulimit -n 195; set -- --num-cpus 1;", system_service_directory(), "196 open files", "33 processes",
            "ulimit -n 1024");
    REFUSED("ulimit -n 1024; set -- --num-cpus 300;", system_service_directory(), "1392 open files", "ulimit -n 1392");
}

SYSTEM_TEST(system_limits, with_just_enough_file_descriptors_a_node_works)
{
    const struct rlimit enough = {196, 196};
    const trp_config config = {.node = {.num_cpus = 1}};
    trp_runtime *runtime = NULL;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &enough), 0);
    cr_assert_eq(trp_init(&config, &runtime, &error), TRP_OK, "%s", error.message);
    trp_actor *actors[20];
    for (int i = 0; i < 20; i++)
        actors[i] = system_spawn(runtime, NULL);
    for (int i = 0; i < 20; i++) {
        cr_expect_eq(system_call_i64(actors[i], "add", TRP_NOARGS), 1);
        trp_actor_release(&actors[i]);
    }
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_limits, too_few_file_descriptors_for_a_private_node_are_told_to_its_driver)
{
    const struct rlimit few = {64, 64};
    trp_runtime *runtime = NULL;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    cr_expect_eq(trp_init(NULL, &runtime, &error), TRP_ELIMIT, "%s", error.message);
    cr_expect_not_null(strstr(error.message, "ulimit -n"), "%s", error.message);
    cr_expect_null(runtime);
}

SYSTEM_TEST(system_limits, files_that_may_not_grow_are_refused)
{
    REFUSED("ulimit -f 0;", system_service_directory(), "ulimit -f", "--dir");
}

SYSTEM_TEST(system_limits, a_full_disk_is_refused)
{
    char command[160];
    cr_assert_eq(mkdir(system_service_directory(), 0700), 0);
    if (mount("tmpfs", system_service_directory(), "tmpfs", 0, "size=4k,mode=700") < 0) {
        rmdir(system_service_directory());
        cr_skip_test("no tmpfs can be mounted here: %s", strerror(errno));
    }
    snprintf(command, sizeof command, "dd if=/dev/zero of='%s/full' bs=4096 count=1 2>/dev/null",
             system_service_directory());
    cr_expect_eq(system(command), 0);
    REFUSED("", system_service_directory(), "No space left", "free some room", "--dir");
    cr_expect_eq(umount(system_service_directory()), 0);
    rmdir(system_service_directory());
}

/* ------------------------------------------------------------------------------------------------------------ floods */

SYSTEM_TEST(system_limits, a_flood_is_eagain_for_those_who_do_not_wait_and_waits_for_others)
{
    enum { MANY = 200000 };
    static trp_ref *refs[MANY];
    trp_runtime *runtime = system_private();
    trp_request request = {.method = "trouble:hang", .flags = TRP_NOWAIT};
    trp_ref *late = NULL;
    int count = 0;
    trp_err err = TRP_OK;
    while (count < MANY && (err = trp_submit(runtime, &request, &refs[count], &error)) == TRP_OK)
        count++;
    cr_expect_eq(err, TRP_EAGAIN, "%d: %s", count, error.message);
    cr_expect(count >= 10000 && count < MANY, "%d were taken", count);
    cr_expect_lt(system_resident_kib(system_find_one("troupe-broker")) / 1024, 200);
    request = (trp_request){.method = "trouble:hang", .deadline_ms = 100};
    cr_expect_eq(trp_submit(runtime, &request, &late, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_get(late, SYSTEM_WAIT_MS, NULL, &error), TRP_ETIMEDOUT, "%s", error.message);
    trp_ref_release(&late);
    for (int i = 0; i < count; i++)
        trp_ref_release(&refs[i]);
    trp_shutdown(&runtime);
}

struct steady {
    pid_t pid;
    long kib;
    int looks;
};

static bool
is_steady(void *user)
{
    struct steady *steady = user;
    const long kib = system_resident_kib(steady->pid);
    steady->looks = kib == steady->kib ? steady->looks + 1 : 0;
    steady->kib = kib;
    return steady->looks >= 40;
}

static long
steady_mib(pid_t pid)
{
    struct steady steady = {.pid = pid};
    cr_assert(system_await(is_steady, &steady), "process %d grows and grows", (int)pid);
    return steady.kib / 1024;
}

/* 400 MB of results. */
SYSTEM_TEST(system_limits, the_results_of_a_driver_that_is_stopped_do_not_fill_the_broker)
{
    struct system_process service, driver;
    int status = 0;
    system_service_start(&service, NULL);
    const pid_t host = system_driver_start(&driver, system_service_directory(), "flood");
    cr_assert_eq(waitpid(driver.pid, &status, WUNTRACED), driver.pid);
    cr_assert(WIFSTOPPED(status));
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, NULL);
    trp_ref *task = NULL;
    trp_value value;
    for (int i = 1; i <= 100; i++)
        cr_assert_eq(system_call_i64(counter, "add", TRP_NOARGS), i);
    cr_assert_eq(trp_task(runtime, "system_module:double", TRP_ARGS(21), &task, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_get(task, SYSTEM_WAIT_MS, &value, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_as_i64(value), 42);
    const long broker_mib = steady_mib(system_find_one("troupe-broker")), host_mib = steady_mib(host);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    cr_expect_lt(broker_mib, 120);
    cr_expect_lt(host_mib, 250, "calls of who takes nothing are not given to a host");
#else
    (void)broker_mib, (void)host_mib;
#endif
    kill(driver.pid, SIGCONT);
    system_expect_line(&driver, "DONE");
    system_kill(&driver);
    trp_ref_release(&task);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* ------------------------------------------------------------------------------------------------------------- heaps */

static int64_t
count_heaps(trp_runtime *runtime, const char *text)
{
    trp_actor *actor = NULL;
    trp_actor_options options = {0};
    const trp_value env = TRP_MAP("MALLOC_ARENA_MAX", text != NULL ? text : "");
    if (text != NULL)
        options.env = env;
    cr_assert_eq(trp_spawn(runtime, "system_module:Counter", TRP_NOARGS, &options, &actor, &error), TRP_OK, "%s",
                 error.message);
    const int64_t heaps = system_call_i64(actor, "heaps", TRP_NOARGS);
    trp_actor_release(&actor);
    return heaps;
}

/* MALLOC_ARENA_MAX in an actor's env gives its host more of them; what is no such number is as if it were not there. */
SYSTEM_TEST(system_limits, a_host_has_as_many_heaps_as_its_actors_environment_says)
{
    static const char *const ignored[] = {"1", "0", "-8", "", "x", "8x", "8.5", "99999999999999999999"};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    cr_skip_test("it has a malloc of its own");
#endif
    trp_runtime *runtime = system_private();
    const int64_t few = count_heaps(runtime, NULL), more = count_heaps(runtime, "8");
    cr_expect(few < more && more <= 8, "%lld heaps, and %lld of 8", (long long)few, (long long)more);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        cr_expect_eq(count_heaps(runtime, ignored[i]), few, "'%s'", ignored[i]);
    trp_shutdown(&runtime);
}

/* ------------------------------------------------------------------------------------------------------------ values */

static trp_err
put(trp_runtime *runtime, trp_value value)
{
    trp_ref *ref = NULL;
    trp_err err = trp_put(runtime, value, &ref, &error);
    trp_ref_release(&ref);
    return err;
}

static trp_err
call(trp_actor *actor, trp_value args)
{
    trp_ref *ref = NULL;
    trp_err err = trp_call(actor, "self", args, &ref, &error);
    trp_ref_release(&ref);
    return err;
}

SYSTEM_TEST(system_limits, values_that_are_too_large_too_deep_or_name_too_much_are_refused)
{
    enum { FRAME = 64 * 1024 * 1024, DEEP = TRP_NESTING_MAX + 2, REFS = 4097 };
    static trp_value nested[DEEP], named[REFS];
    const trp_config config = {.node = {.num_cpus = 2, .store_bytes = -1}}; /* all values travel */
    trp_runtime *runtime = NULL;
    trp_actor *actor = NULL;
    trp_ref *one = NULL;
    char *bytes = calloc(1, FRAME + 1);
    cr_assert_eq(trp_init(&config, &runtime, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_spawn(runtime, "trouble:Trouble", TRP_NOARGS, NULL, &actor, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_put(runtime, trp_i64(1), &one, &error), TRP_OK);
    nested[0] = trp_i64(1);
    for (size_t i = 1; i < DEEP; i++)
        nested[i] = trp_list(&nested[i - 1], 1);
    for (size_t i = 0; i < REFS; i++)
        named[i] = trp_ref_value(one);
    const trp_value rows[] = {trp_bytes(bytes, FRAME + 1), trp_bytes(bytes, FRAME), nested[DEEP - 1],
                              trp_list(named, REFS)};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(put(runtime, rows[i]), TRP_ELIMIT, "row %zu: %s", i, error.message);
        cr_expect_eq(call(actor, TRP_ARGS(rows[i])), TRP_ELIMIT, "row %zu: %s", i, error.message);
    }
    cr_expect_eq(put(runtime, nested[TRP_NESTING_MAX]), TRP_OK, "%s", error.message);
    cr_expect_eq(put(runtime, trp_list(named, REFS - 1)), TRP_OK, "%s", error.message);
    free(bytes);
    trp_ref_release(&one);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_limits, names_that_are_too_long_or_empty_are_refused)
{
    static char name[300];
    trp_runtime *runtime = system_private();
    trp_actor *actor = NULL;
    const trp_actor_options options = {.name = name};
    memset(name, 'a', 256);
    cr_expect_eq(trp_spawn(runtime, "trouble:Trouble", TRP_NOARGS, &options, &actor, &error), TRP_EINVAL);
    cr_expect_not_null(strstr(error.message, "255"), "%s", error.message);
    cr_expect_eq(trp_lookup(runtime, name, &actor, &error), TRP_EINVAL, "%s", error.message);
    name[255] = '\0';
    cr_assert_eq(trp_spawn(runtime, "trouble:Trouble", TRP_NOARGS, &options, &actor, &error), TRP_OK, "%s",
                 error.message);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}
