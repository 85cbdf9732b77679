/*
 * test_spill.c - objects of real processes that the arena has no room for: they are on the disk, and come back as they were.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/system/support.h"

enum { MIB = 1 << 20, COUNT = 8, SIZE = 16 * MIB };

static trp_error error;

#define OK(expression) cr_assert_eq((expression), TRP_OK, "%s", error.message)

/* Not a byte of it is like that of another, nor does it become shorter. */
static uint8_t *
pattern(size_t size, uint64_t seed)
{
    uint64_t *words = malloc(size);
    cr_assert_not_null(words);
    for (size_t i = 0; i < size / 8; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        words[i] = seed ^ seed >> 29;
    }
    return (uint8_t *)words;
}

static trp_err
try_put(trp_runtime *runtime, size_t size, uint64_t seed, trp_ref **ref)
{
    uint8_t *bytes = pattern(size, seed);
    const trp_err err = trp_put(runtime, trp_bytes(bytes, size), ref, &error);
    free(bytes);
    return err;
}

static trp_ref *
put(trp_runtime *runtime, size_t size, uint64_t seed)
{
    trp_ref *ref = NULL;
    OK(try_put(runtime, size, seed, &ref));
    return ref;
}

static void
expect_same(trp_ref *ref, size_t size, uint64_t seed)
{
    uint8_t *expected = pattern(size, seed);
    trp_value value;
    OK(trp_get(ref, SYSTEM_WAIT_MS, &value, &error));
    cr_assert_eq(value.size, size);
    cr_assert(memcmp(value.as.bytes, expected, size) == 0, "object %d is not what was put", (int)seed);
    trp_unpin(ref);
    free(expected);
}

static void
put_all(trp_runtime *runtime, trp_ref *refs[COUNT])
{
    for (int i = 0; i < COUNT; i++)
        refs[i] = put(runtime, SIZE, (uint64_t)i + 1);
}

static int
count_spilled(trp_ref *const refs[COUNT])
{
    int spilled = 0;
    for (int i = 0; i < COUNT; i++)
        spilled += trp_ref_location(refs[i]) == TRP_SPILLED;
    return spilled;
}

static void
release_all(trp_ref *refs[COUNT])
{
    for (int i = 0; i < COUNT; i++)
        trp_ref_release(&refs[i]);
}

/* Where nodes of this test spill to. */
static const char *
spill_directory(void)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/spill", system_directory());
    cr_assert_eq(setenv("TROUPE_SPILL_DIR", path, 1), 0);
    return path;
}

/* Visits each file there of each node; `flip`: a byte in the middle of each is changed. Returns how many there are. */
static int
visit_files(const char *directory, bool flip)
{
    char path[1024];
    int count = 0;
    DIR *nodes = opendir(directory);
    const struct dirent *node, *file;
    while (nodes != NULL && (node = readdir(nodes)) != NULL) {
        if (node->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", directory, node->d_name);
        DIR *files = opendir(path);
        while (files != NULL && (file = readdir(files)) != NULL) {
            struct stat status;
            uint8_t byte;
            if (file->d_name[0] == '.')
                continue;
            count++;
            if (!flip)
                continue;
            const int fd = openat(dirfd(files), file->d_name, O_RDWR | O_CLOEXEC);
            cr_assert(fd >= 0 && fstat(fd, &status) == 0);
            const off_t middle = 8 * MIB; /* of its first object */
            cr_assert(pread(fd, &byte, 1, middle) == 1);
            byte ^= 1;
            cr_assert(pwrite(fd, &byte, 1, middle) == 1);
            close(fd);
            flip = false;
        }
        if (files != NULL)
            closedir(files);
    }
    if (nodes != NULL)
        closedir(nodes);
    return count;
}

static bool
is_empty(void *user)
{
    return visit_files(user, false) == 0;
}

static trp_runtime *
private_node(void)
{
    const trp_config config = {.node = {.store_bytes = 64 * MIB, .num_cpus = 2}};
    trp_runtime *runtime = NULL;
    (void)spill_directory();
    OK(trp_init(&config, &runtime, &error));
    return runtime;
}

static trp_runtime *
service_node(struct system_process *service, const char *const *more)
{
    static const char *const usual[] = {"--store", "64M", NULL};
    (void)spill_directory();
    system_service_start(service, more != NULL ? more : usual);
    return system_join();
}

static void
expect_all(trp_runtime *runtime)
{
    trp_ref *refs[COUNT];
    put_all(runtime, refs);
    cr_expect_geq(count_spilled(refs), 4);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < COUNT; i++)
            expect_same(refs[i], SIZE, (uint64_t)i + 1);
    cr_expect_geq(count_spilled(refs), 4);
    release_all(refs);
    cr_expect(system_await(is_empty, (void *)(uintptr_t)spill_directory()), "files of objects that are gone");
}

/* RY09 */
SYSTEM_TEST(spill, twice_the_arena_is_put_and_got_on_a_private_node)
{
    trp_runtime *runtime = private_node();
    expect_all(runtime);
    trp_shutdown(&runtime);
    cr_expect_eq(visit_files(spill_directory(), false), 0);
    (void)rmdir(spill_directory());
}

SYSTEM_TEST(spill, twice_the_arena_is_put_and_got_on_a_node_service)
{
    struct system_process service;
    trp_runtime *runtime = service_node(&service, NULL);
    expect_all(runtime);
    trp_shutdown(&runtime);
    system_service_stop(&service);
    (void)rmdir(spill_directory());
}

SYSTEM_TEST(spill, a_method_gets_arguments_that_were_spilled)
{
    trp_runtime *runtime = private_node();
    trp_actor *actor = NULL;
    trp_ref *refs[COUNT], *made[COUNT];
    OK(trp_spawn(runtime, "store_module:Worker", TRP_NOARGS, NULL, &actor, &error));
    for (int i = 0; i < COUNT; i++) {
        OK(trp_call(actor, "make", TRP_ARGS((int64_t)SIZE, i), &refs[i], &error));
        OK(trp_get(refs[i], SYSTEM_WAIT_MS, NULL, &error));
    }
    for (int i = 0; i < COUNT; i++)
        OK(trp_call(actor, "check", TRP_ARGS(refs[i], i), &made[i], &error));
    for (int i = 0; i < COUNT; i++) {
        trp_value wrong;
        OK(trp_get(made[i], SYSTEM_WAIT_MS, &wrong, &error));
        cr_expect_eq(trp_as_i64(wrong), 0, "object %d", i);
        trp_ref_release(&made[i]);
    }
    release_all(refs);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
    (void)rmdir(spill_directory());
}

SYSTEM_TEST(spill, of_a_service_whose_broker_is_killed_while_it_spills_every_object_is_there)
{
    struct system_process service;
    trp_runtime *runtime = service_node(&service, NULL);
    trp_ref *refs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        refs[i] = put(runtime, SIZE, (uint64_t)i + 1);
        if (i == 4 || i == 6) { /* it has more than shall be in the arena, and writes */
            const pid_t broker = system_find_one("troupe-broker");
            kill(broker, SIGKILL);
            system_expect_gone(broker);
        }
    }
    for (int i = 0; i < COUNT; i++)
        expect_same(refs[i], SIZE, (uint64_t)i + 1);
    release_all(refs);
    cr_expect(system_await(is_empty, (void *)(uintptr_t)spill_directory()));
    trp_shutdown(&runtime);
    system_service_stop(&service);
    (void)rmdir(spill_directory());
}

SYSTEM_TEST(spill, of_a_private_node_whose_broker_is_killed_nothing_is_left)
{
    trp_runtime *runtime = private_node();
    trp_ref *refs[COUNT];
    put_all(runtime, refs);
    cr_expect_gt(visit_files(spill_directory(), false), 0);
    const pid_t node = system_find_one("troupe-node");
    kill(system_find_one("troupe-broker"), SIGKILL);
    system_expect_gone(node);
    release_all(refs);
    trp_shutdown(&runtime);
    cr_expect_eq(visit_files(spill_directory(), false), 0);
    (void)rmdir(spill_directory());
}

SYSTEM_TEST(spill, a_damaged_object_is_lost_with_the_reason_and_the_others_are_not)
{
    trp_runtime *runtime = private_node();
    trp_ref *refs[COUNT];
    trp_value value;
    int lost = 0;
    put_all(runtime, refs);
    cr_assert_gt(visit_files(spill_directory(), true), 0);
    for (int i = 0; i < COUNT; i++) {
        const trp_err err = trp_get(refs[i], SYSTEM_WAIT_MS, &value, &error);
        if (err == TRP_EOBJLOST) {
            lost++;
            cr_expect_not_null(strstr(error.message, "spill"), "%s", error.message);
            cr_expect_eq(trp_get(refs[i], SYSTEM_WAIT_MS, &value, &error), TRP_EOBJLOST, "and stays so");
        } else {
            OK(err);
            trp_unpin(refs[i]);
            expect_same(refs[i], SIZE, (uint64_t)i + 1);
        }
    }
    cr_expect_eq(lost, 1);
    release_all(refs);
    trp_shutdown(&runtime);
    (void)rmdir(spill_directory());
}

SYSTEM_TEST(spill, where_the_budget_is_spent_who_puts_hears_the_numbers_and_the_node_goes_on)
{
    static const char *const more[] = {"--store", "64M", "--spill-max", "40M", NULL};
    struct system_process service;
    trp_runtime *runtime = service_node(&service, more);
    trp_ref *refs[COUNT] = {NULL}, *more_ref = NULL;
    trp_err err = TRP_OK;
    int count = 0;
    while (count < COUNT && (err = try_put(runtime, SIZE, (uint64_t)count + 1, &refs[count])) == TRP_OK)
        count++;
    cr_assert_eq(err, TRP_EDISKFULL, "%d of them, %d: %s", count, (int)err, error.message);
    cr_expect_not_null(strstr(error.message, "41943040"), "%s", error.message);
    cr_expect_geq(count, 4);
    for (int i = 0; i < count; i++)
        if (trp_ref_location(refs[i]) == TRP_SHM)
            expect_same(refs[i], SIZE, (uint64_t)i + 1);
    for (int i = 0; i < 3; i++)
        trp_ref_release(&refs[i]);
    more_ref = put(runtime, SIZE, 77);
    expect_same(more_ref, SIZE, 77);
    for (int i = 3; i < count; i++)
        expect_same(refs[i], SIZE, (uint64_t)i + 1);
    trp_ref_release(&more_ref);
    release_all(refs);
    trp_shutdown(&runtime);
    system_service_stop(&service);
    (void)rmdir(spill_directory());
}

SYSTEM_TEST(spill, where_the_disk_is_full_who_puts_hears_so_and_nothing_is_lost)
{
    const char *directory = spill_directory();
    cr_assert(mkdir(directory, 0700) == 0);
    if (mount("tmpfs", directory, "tmpfs", 0, "size=40m,mode=0700") != 0) {
        fprintf(stderr, "SKIP: no small tmpfs can be mounted here: %s\n", strerror(errno));
        (void)rmdir(directory);
        cr_skip_test("no small tmpfs can be mounted here");
    }
    static const char *const more[] = {"--store", "64M", "--spill-max", "1G", NULL};
    struct system_process service;
    trp_runtime *runtime = service_node(&service, more);
    trp_ref *refs[COUNT] = {NULL};
    trp_err err = TRP_OK;
    int count = 0;
    while (count < COUNT && (err = try_put(runtime, SIZE, (uint64_t)count + 1, &refs[count])) == TRP_OK)
        count++;
    cr_expect_eq(err, TRP_EDISKFULL, "%d of them, %d: %s", count, (int)err, error.message);
    trp_ref_release(&refs[0]);
    trp_ref_release(&refs[1]);
    for (int i = 2; i < count; i++)
        expect_same(refs[i], SIZE, (uint64_t)i + 1);
    release_all(refs);
    trp_shutdown(&runtime);
    system_service_stop(&service);
    cr_expect_eq(umount2(directory, MNT_DETACH), 0);
    (void)rmdir(directory);
}

/* Of the hosts that run tasks, one that there is. */
static void
kill_a_worker(void)
{
    pid_t pids[SYSTEM_PROCESSES_MAX];
    const size_t count = system_find("troupe-worker", pids);
    if (count > 0)
        kill(pids[count / 2], SIGKILL);
}

SYSTEM_TEST(spill, eight_times_the_arena_goes_through_four_workers_that_are_killed_now_and_then)
{
    enum { OBJECTS = 128, EACH = 8 * MIB, KILL_EVERY = 24 };
    const trp_config config = {.node = {.store_bytes = 128 * MIB, .num_cpus = 4}};
    trp_runtime *runtime = NULL;
    trp_ref *made[OBJECTS], *checked[OBJECTS];
    trp_value wrong;
    size_t ready, count;
    (void)spill_directory();
    OK(trp_init(&config, &runtime, &error));
    for (int64_t i = 0; i < OBJECTS; i++)
        OK(trp_task(runtime, "store_module:make", TRP_ARGS((int64_t)EACH, i), &made[i], &error));
    for (int64_t i = 0; i < OBJECTS; i++) {
        OK(trp_wait(&made[i], 1, 1, SYSTEM_WAIT_MS, &ready, &count, &error));
        if (i % KILL_EVERY == KILL_EVERY - 1)
            kill_a_worker();
    }
    for (int64_t i = 0; i < OBJECTS; i++)
        OK(trp_task(runtime, "store_module:check", TRP_ARGS(made[i], i), &checked[i], &error));
    for (int64_t i = 0; i < OBJECTS; i++) {
        OK(trp_get(checked[i], SYSTEM_WAIT_MS, &wrong, &error));
        cr_assert_eq(trp_as_i64(wrong), 0, "object %d", (int)i);
        if (i % KILL_EVERY == KILL_EVERY - 1)
            kill_a_worker();
    }
    for (int64_t i = 0; i < OBJECTS; i++) {
        trp_ref_release(&made[i]);
        trp_ref_release(&checked[i]);
    }
    cr_expect(system_await(is_empty, (void *)(uintptr_t)spill_directory()));
    trp_shutdown(&runtime);
    (void)rmdir(spill_directory());
}
