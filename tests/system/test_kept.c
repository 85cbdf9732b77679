/*
 * test_kept.c - objects that the node holds (trp_keep): they outlive their makers, callers and brokers, and nothing else.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/system/support.h"

static trp_error error;

static trp_ref *
kept(trp_runtime *runtime, const char *name)
{
    trp_ref *ref = NULL;
    cr_assert_eq(trp_kept(runtime, name, &ref, &error), TRP_OK, "%s", error.message);
    return ref;
}

static void
expect_kept(trp_runtime *runtime, const char *name, const char *text)
{
    char found[256];
    trp_value value;
    trp_ref *ref = kept(runtime, name);
    cr_assert_eq(trp_get(ref, SYSTEM_WAIT_MS, &value, &error), TRP_OK, "%s: %s", name, error.message);
    trp_format(value, found, sizeof found);
    cr_expect_str_eq(found, text);
    trp_ref_release(&ref);
}

static void
put(trp_runtime *runtime, const char *name, trp_value value)
{
    trp_ref *ref = NULL;
    cr_assert_eq(trp_put(runtime, value, &ref, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_keep(ref, name, TRP_FOREVER, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&ref);
}

static trp_actor *
spawn_detached(trp_runtime *runtime, const char *name)
{
    const trp_actor_options options = {.name = name, .detached = true};
    trp_actor *actor = NULL;
    cr_assert_eq(trp_spawn(runtime, "system_module:Counter", TRP_NOARGS, &options, &actor, &error), TRP_OK, "%s",
                 error.message);
    return actor;
}

static const char *
make_fifo(const char *name)
{
    static char paths[4][128];
    static int count;
    char *path = paths[count++];
    snprintf(path, sizeof paths[0], "%s/%s", system_directory(), name);
    cr_assert_eq(mkfifo(path, 0600), 0);
    return path;
}

/* Once: it is gone then. */
static void
write_fifo(const char *path, const char *text)
{
    FILE *file = fopen(path, "w"); /* waits for who reads */
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    cr_expect_eq(unlink(path), 0);
}

static void
kill_broker(void)
{
    pid_t broker = system_find_one("troupe-broker");
    kill(broker, SIGKILL);
    system_expect_gone(broker);
}

static trp_runtime *
leave_and_join(trp_runtime *runtime)
{
    trp_shutdown(&runtime);
    return system_join();
}

/* ------------------------------------------------------------------------------------------------------------- makers */

SYSTEM_TEST(system_kept, what_is_kept_outlives_its_maker)
{
    enum { LARGE = 8 * 1024 * 1024 };
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    char *bytes = calloc(1, LARGE);
    trp_value value;
    put(runtime, "small", trp_i64(42));
    put(runtime, "large", trp_bytes(bytes, LARGE));
    runtime = leave_and_join(runtime);
    expect_kept(runtime, "small", "42");
    trp_ref *large = kept(runtime, "large");
    cr_assert_eq(trp_get(large, SYSTEM_WAIT_MS, &value, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(value.size, (size_t)LARGE);
    trp_ref_release(&large);
    free(bytes);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

SYSTEM_TEST(system_kept, what_is_kept_outlives_its_maker_that_was_killed_and_the_broker_besides)
{
    struct system_process service, driver;
    system_service_start(&service, NULL);
    (void)system_driver_start(&driver, system_service_directory(), "keep");
    system_kill(&driver);
    trp_runtime *runtime = system_join();
    expect_kept(runtime, "left", "\"of a driver\"");
    put(runtime, "mine", trp_i64(1));
    kill_broker();
    expect_kept(runtime, "left", "\"of a driver\"");
    runtime = leave_and_join(runtime);
    kill_broker();
    put(runtime, "more", trp_i64(2));
    expect_kept(runtime, "left", "\"of a driver\"");
    expect_kept(runtime, "mine", "1");
    expect_kept(runtime, "more", "2");
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* ------------------------------------------------------------------------------------------------------- a node's end */

/* The one file in DIRECTORY/node/kept that is larger than a page. */
static void
damage_large(void)
{
    char path[300];
    snprintf(path, sizeof path, "%s/node/kept", system_directory());
    DIR *directory = opendir(path);
    cr_assert_not_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat status;
        const int fd = openat(dirfd(directory), entry->d_name, O_RDWR);
        if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 4096)
            cr_expect_eq(pwrite(fd, "damaged", 7, status.st_size / 2), 7);
        close(fd);
    }
    closedir(directory);
}

static void
kill_node(struct system_process *service)
{
    system_kill(service);
    system_expect_no_processes();
}

SYSTEM_TEST(system_kept, what_is_kept_outlives_a_node_that_was_killed)
{
    enum { LARGE = 8 * 1024 * 1024 };
    struct system_process service;
    trp_value value;
    trp_ref *ref = NULL;
    char *bytes = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (char)(i * 7919 >> 3);
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *counter = spawn_detached(runtime, "counter");
    put(runtime, "small", TRP_LIST(42, "text"));
    put(runtime, "large", trp_bytes(bytes, LARGE));
    ref = system_call(counter, "add", TRP_ARGS(9));
    cr_assert_eq(trp_keep(ref, "result", 3600 * 1000, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_keep(ref, "result", 3600 * 1000, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&ref);
    put(runtime, "dropped", trp_i64(1));
    ref = kept(runtime, "dropped");
    cr_assert_eq(trp_keep(ref, "dropped", 0, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    for (int i = 0; i < 2; i++) { /* by nobody in between; and by who has got it */
        kill_node(&service);
        system_service_start(&service, NULL);
    }
    runtime = system_join();
    expect_kept(runtime, "small", "[42, \"text\"]");
    expect_kept(runtime, "result", "9");
    cr_expect_eq(trp_kept(runtime, "dropped", &ref, &error), TRP_ENOENT, "%s", error.message);
    ref = kept(runtime, "large");
    cr_assert_eq(trp_get(ref, SYSTEM_WAIT_MS, &value, &error), TRP_OK, "%s", error.message);
    cr_expect(value.size == LARGE && memcmp(value.as.bytes, bytes, LARGE) == 0);
    trp_ref_release(&ref);
    trp_shutdown(&runtime);
    kill_node(&service);
    damage_large();
    system_service_start(&service, NULL);
    runtime = system_join();
    expect_kept(runtime, "result", "9");
    cr_expect_eq(trp_kept(runtime, "large", &ref, &error), TRP_EOBJLOST, "%s", error.message);
    cr_expect_eq(trp_kept(runtime, "large", &ref, &error), TRP_ENOENT, "%s", error.message);
    free(bytes);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

SYSTEM_TEST(system_kept, what_is_kept_outlives_a_start_that_fails)
{
    static const char *const too_much[] = {"--store", "9999T"};
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    put(runtime, "x", trp_i64(1));
    trp_shutdown(&runtime);
    kill_node(&service);
    const char *argv[] = {getenv("TROUPE_NODE"), "--service", "--dir", system_service_directory(),
                          too_much[0],           too_much[1], NULL};
    system_start(&service, argv);
    cr_expect_neq(system_wait(&service), 0);
    system_service_start(&service, NULL);
    runtime = system_join();
    expect_kept(runtime, "x", "1");
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* trp_keep looks at what it is given; others may call the actor by its name. */
SYSTEM_TEST(system_kept, nonsense_does_not_hurt_its_holder)
{
    struct system_process service;
    trp_actor *holder = NULL;
    trp_ref *ref = NULL;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    put(runtime, "x", trp_i64(1));
    cr_assert_eq(trp_lookup(runtime, "troupe/kept", &holder, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_put(runtime, trp_i64(2), &ref, &error), TRP_OK, "%s", error.message);
    const trp_value rows[][4] = {
        {trp_list(NULL, 0), trp_str("y"), trp_i64(-1), trp_bool(true)},
        {TRP_LIST(ref, ref), trp_str("y"), trp_i64(-1), trp_bool(true)},
        {TRP_LIST(ref), trp_str(""), trp_i64(-1), trp_bool(true)},
        {TRP_LIST(ref), trp_str("y"), trp_i64(-7), trp_bool(true)},
        {TRP_LIST(ref), trp_str("y"), trp_i64(0), trp_bool(false)},
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        const trp_value *row = rows[i / 2];
        trp_ref *answer = NULL;
        answer = system_call(holder, "keep", TRP_ARGS(row[0], row[1], row[2], row[3]));
        cr_expect_eq(trp_get(answer, SYSTEM_WAIT_MS, NULL, &error), TRP_ETASK, "row %zu", i / 2);
        cr_expect_eq(error.cause, TRP_EINVAL, "row %zu: %s", i / 2, error.message);
        trp_ref_release(&answer);
    }
    cr_expect_eq(trp_kept(runtime, "y", &ref, &error), TRP_ENOENT);
    expect_kept(runtime, "x", "1");
    trp_ref_release(&ref);
    trp_actor_release(&holder);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* -------------------------------------------------------------------------------------------------------------- calls */

/* One that runs, one that waits behind it, a task that runs, and more tasks than there are processes for. */
SYSTEM_TEST(system_kept, calls_go_on_without_their_caller)
{
    static const char *const one_cpu[] = {"--num-cpus", "1", NULL};
    struct system_process service;
    system_service_start(&service, one_cpu);
    trp_runtime *runtime = system_join();
    const char *first = make_fifo("first"), *second = make_fifo("second");
    trp_actor *counter = spawn_detached(runtime, "counter");
    trp_ref *refs[4] = {NULL};
    static const char *const names[] = {"runs", "waits", "task", "queued"};
    refs[0] = system_call(counter, "read", TRP_ARGS(first));
    refs[1] = system_call(counter, "add", TRP_ARGS(9));
    cr_assert_eq(trp_task(runtime, "system_module:read", TRP_ARGS(second), &refs[2], &error), TRP_OK);
    cr_assert_eq(trp_task(runtime, "system_module:double", TRP_ARGS(21), &refs[3], &error), TRP_OK);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(trp_keep(refs[i], names[i], TRP_FOREVER, &error), TRP_OK, "%s", error.message);
        trp_ref_release(&refs[i]);
    }
    trp_actor_release(&counter);
    runtime = leave_and_join(runtime);
    for (int i = 0; i < 4; i++) {
        refs[i] = kept(runtime, names[i]);
        cr_expect_eq(trp_get(refs[i], 0, NULL, &error), TRP_ETIMEDOUT, "%s: %s", names[i], error.message);
        trp_ref_release(&refs[i]);
    }
    write_fifo(first, "one");
    write_fifo(second, "two");
    expect_kept(runtime, "runs", "\"one\"");
    expect_kept(runtime, "waits", "9");
    expect_kept(runtime, "task", "\"two\"");
    expect_kept(runtime, "queued", "42");
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* The result comes before, while or after it is said to be kept; its caller is gone as soon as that was. */
SYSTEM_TEST(system_kept, results_are_not_lost_between_their_caller_that_leaves_and_the_node)
{
    enum { COUNT = 40 };
    static char ids[COUNT][128];
    struct system_process service, driver;
    system_service_start(&service, NULL);
    const char *const argv[] = {getenv("SYSTEM_DRIVER"), system_service_directory(), NULL};
    setenv("SYSTEM_DRIVER_CALLS", "leave", 1);
    for (int i = 0; i < COUNT; i++) {
        system_start(&driver, argv);
        cr_assert(system_line(&driver, ids[i], sizeof ids[i]));
        cr_assert_eq(strncmp(ids[i], "KEPT ", 5), 0, "%s", ids[i]);
        system_wait_ok(&driver);
    }
    unsetenv("SYSTEM_DRIVER_CALLS");
    trp_runtime *runtime = system_join();
    for (int i = 0; i < COUNT; i++)
        expect_kept(runtime, ids[i] + 5, "42");
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

SYSTEM_TEST(system_kept, a_call_that_runs_goes_on_without_its_caller_and_its_broker)
{
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    const char *fifo = make_fifo("fifo");
    trp_actor *counter = spawn_detached(runtime, "counter");
    trp_ref *ref = NULL;
    (void)system_call_i64(counter, "pid", TRP_NOARGS);
    ref = system_call(counter, "read", TRP_ARGS(fifo));
    cr_assert_eq(trp_keep(ref, NULL, TRP_FOREVER, &error), TRP_OK, "%s", error.message);
    char id[64];
    snprintf(id, sizeof id, "%s", trp_ref_id(ref));
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    runtime = leave_and_join(runtime);
    kill_broker();
    ref = kept(runtime, id);
    cr_expect_eq(trp_get(ref, 0, NULL, &error), TRP_ETIMEDOUT, "%s", error.message);
    trp_ref_release(&ref);
    write_fifo(fifo, "late");
    expect_kept(runtime, id, "\"late\"");
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* --------------------------------------------------------------------------------------------------------- the holder */

/* What has references goes with its holder: the objects that they mean do. */
SYSTEM_TEST(system_kept, what_was_kept_comes_back_after_its_holder_was_killed)
{
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_ref *ref = NULL;
    trp_actor *holder = NULL;
    trp_value value;
    put(runtime, "x", trp_i64(1));
    cr_assert_eq(trp_put(runtime, trp_i64(5), &ref, &error), TRP_OK, "%s", error.message);
    put(runtime, "has references", TRP_LIST(ref));
    trp_ref_release(&ref);
    cr_assert_eq(trp_query(runtime, "actors", &ref, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_get(ref, SYSTEM_WAIT_MS, &value, &error), TRP_OK, "%s", error.message);
    pid_t pid = 0;
    for (size_t i = 0; i < value.size; i++)
        if (strcmp(trp_as_str(trp_field(trp_at(value, i), "class")), "troupe:Kept") == 0)
            pid = (pid_t)trp_as_i64(trp_field(trp_at(value, i), "pid"));
    trp_ref_release(&ref);
    cr_assert_gt(pid, 1);
    cr_assert_eq(trp_lookup(runtime, "troupe/kept", &holder, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_watch(holder, TRP_WATCH_DEATH, &ref, &error), TRP_OK, "%s", error.message);
    kill(pid, SIGKILL);
    cr_assert_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&holder);
    expect_kept(runtime, "x", "1");
    cr_expect_eq(trp_kept(runtime, "has references", &ref, &error), TRP_ENOENT, "%s", error.message);
    ref = kept(runtime, "x");
    cr_expect_eq(trp_keep(ref, "x", 0, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&ref);
    cr_expect_eq(trp_kept(runtime, "x", &ref, &error), TRP_ENOENT, "%s", error.message);
    put(runtime, "x", trp_i64(2));
    expect_kept(runtime, "x", "2");
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

SYSTEM_TEST(system_kept, nothing_has_to_be_free_for_the_holder)
{
    static const char *const one_cpu[] = {"--num-cpus", "1", NULL};
    const trp_actor_options whole = {.num_cpus = 1};
    struct system_process service;
    trp_actor *actors[2] = {NULL, NULL};
    system_service_start(&service, one_cpu);
    trp_runtime *runtime = system_join();
    for (int i = 0; i < 2; i++) /* the second one waits for the first one's end */
        cr_assert_eq(trp_spawn(runtime, "system_module:Counter", TRP_NOARGS, &whole, &actors[i], &error), TRP_OK);
    put(runtime, "x", trp_i64(1));
    expect_kept(runtime, "x", "1");
    for (int i = 0; i < 2; i++)
        trp_actor_release(&actors[i]);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}
