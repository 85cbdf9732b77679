/*
 * test_flood.c - many times the arena goes through it: four workers and the driver make objects of mixed sizes and read each
 * other's, a worker is killed at random again and again, and every object that was answered for is what it was to be. At the
 * end nothing is left in the store, in shared memory, on the disk, of processes.
 *
 * $FLOOD_MIB through $FLOOD_STORE_MIB, a worker killed each $FLOOD_KILL_MS; $FLOOD_SEED repeats what a run drew. The thread
 * of the test is the driver; one more thread kills.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/poll.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/soak/flood_data.h"
#include "tests/system/support.h"

enum { WORKERS = 4, PENDING_MAX = 16, OBJECTS_MAX = 1 << 16, MIB = 1 << 20, LEAST = 40000, SHARED_LEAST = 150000 };

struct object {
    trp_ref *ref;
    size_t size;
    uint64_t sum; /* known before it was made */
};

enum ask { MAKE, PUT, SUM };
struct pending {
    trp_ref *ref;
    enum ask ask;
    int worker;
    unsigned life; /* of the worker */
    struct object object;
};

struct worker {
    trp_actor *actor;
    unsigned life;
    _Atomic pid_t pid; /* 0: it is killed, or not yet there */
};

static struct flood {
    uint64_t random, total, store, largest;
    int kill_ms, stop; /* an eventfd */
    trp_runtime *runtime;
    struct worker workers[WORKERS];
    struct object objects[OBJECTS_MAX];
    size_t count;
    struct pending pending[PENDING_MAX];
    size_t first, pending_count;
    uint64_t made_bytes, checked, lost;
    unsigned made, released;
    _Atomic unsigned kills;
} flood;

static trp_error error;

#define OK(expression) cr_assert_eq((expression), TRP_OK, "%s", error.message)

static uint64_t
setting(const char *name, uint64_t usual)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : usual;
}

static uint64_t
below(uint64_t bound)
{
    return flood_random(&flood.random) % bound;
}

/* As many between n and 2 n as between 2 n and 4 n. */
static size_t
draw_size(size_t least)
{
    unsigned doublings = 0;
    while (least << (doublings + 1) <= flood.largest)
        doublings++;
    const size_t base = least << below(doublings);
    return base + below(base);
}

/* ------------------------------------------------------------------------------------------------------------ the end of workers */

static void *
kill_workers(void *user)
{
    struct pollfd stop = {.fd = flood.stop, .events = POLLIN};
    uint64_t random = *(const uint64_t *)user;
    while (poll(&stop, 1, flood.kill_ms) == 0) {
        const unsigned from = flood_random(&random) % WORKERS;
        for (unsigned i = 0; i < WORKERS; i++) {
            const pid_t pid = atomic_exchange(&flood.workers[(from + i) % WORKERS].pid, 0);
            if (pid == 0)
                continue;
            (void)kill(pid, SIGKILL);
            atomic_fetch_add(&flood.kills, 1);
            break;
        }
    }
    return NULL;
}

static void
start_worker(struct worker *worker)
{
    trp_actor_release(&worker->actor);
    OK(trp_spawn(flood.runtime, "flood_module:Worker", TRP_NOARGS, NULL, &worker->actor, &error));
    worker->life++;
    atomic_store(&worker->pid, (pid_t)system_call_i64(worker->actor, "pid", TRP_NOARGS));
}

/* ----------------------------------------------------------------------------------------------------------------------- objects */

static void
add_object(struct object object)
{
    cr_assert_lt(flood.count, (size_t)OBJECTS_MAX);
    flood.objects[flood.count++] = object;
    flood.made_bytes += object.size;
    flood.made++;
}

static void
check_object(const struct object *object)
{
    trp_value value;
    const trp_location location = trp_ref_location(object->ref);
    OK(trp_get(object->ref, 60000, &value, &error));
    cr_assert_eq(value.size, object->size);
    cr_assert_eq(flood_sum(value.as.bytes, value.size), object->sum,
                 "an object of %zu bytes, which lay in %d, is not what was made", object->size, (int)location);
    trp_unpin(object->ref);
    flood.checked++;
}

static void
release_object(size_t i)
{
    trp_ref_release(&flood.objects[i].ref);
    flood.objects[i] = flood.objects[--flood.count];
    flood.released++;
}

/* What an object of this size and seed will be. */
static struct object
plan(size_t size, uint64_t seed, uint8_t **bytes)
{
    *bytes = malloc(size);
    cr_assert_not_null(*bytes);
    flood_fill(*bytes, size, seed);
    return (struct object){.size = size, .sum = flood_sum(*bytes, size)};
}

static void
put_object(void)
{
    uint8_t *bytes;
    struct object object = plan(draw_size(LEAST), flood_random(&flood.random), &bytes);
    OK(trp_put(flood.runtime, trp_bytes(bytes, object.size), &object.ref, &error));
    free(bytes);
    add_object(object);
}

/* ------------------------------------------------------------------------------------------------------------------------- calls */

static void
settle(void)
{
    struct pending *oldest = &flood.pending[flood.first++ % PENDING_MAX];
    trp_value value;
    const trp_err err = trp_get(oldest->ref, 60000, oldest->ask == MAKE ? NULL : &value, &error);
    flood.pending_count--;
    if (err == TRP_OK && oldest->ask == SUM) {
        cr_assert_eq((uint64_t)trp_as_i64(value), oldest->object.sum, "a worker has read something else");
        flood.checked++;
    } else if (err == TRP_OK) {
        oldest->object.ref = trp_ref_retain(oldest->ask == MAKE ? oldest->ref : trp_at(value, 0).as.ref);
        add_object(oldest->object);
    } else {
        cr_assert_eq(err, TRP_EACTORDIED, "%d: %s", (int)err, error.message);
        flood.lost++;
        if (flood.workers[oldest->worker].life == oldest->life)
            start_worker(&flood.workers[oldest->worker]);
    }
    trp_ref_release(&oldest->ref);
}

static void
ask_worker(enum ask ask)
{
    const int i = (int)below(WORKERS);
    const struct worker *worker = &flood.workers[i];
    struct pending pending = {.ask = ask, .worker = i, .life = worker->life};
    if (ask == SUM && flood.count == 0)
        return;
    if (ask == SUM) {
        pending.object = flood.objects[below(flood.count)];
        OK(trp_call(worker->actor, "sum", TRP_ARGS(pending.object.ref), &pending.ref, &error));
    } else {
        /* A small one that its worker has put goes with it. */
        const size_t size = draw_size(ask == PUT ? SHARED_LEAST : LEAST);
        const uint64_t seed = flood_random(&flood.random);
        uint8_t *bytes;
        pending.object = plan(size, seed, &bytes);
        free(bytes);
        OK(trp_call(worker->actor, ask == PUT ? "put" : "make", TRP_ARGS((int64_t)size, (int64_t)seed), &pending.ref,
                    &error));
    }
    flood.pending[(flood.first + flood.pending_count++) % PENDING_MAX] = pending;
}

static void
step(void)
{
    const uint64_t draw = below(100);
    if (draw < 20)
        put_object();
    else if (draw < 50)
        ask_worker(MAKE);
    else if (draw < 70)
        ask_worker(PUT);
    else if (draw < 85)
        ask_worker(SUM);
    else if (draw < 95 && flood.count > 0)
        check_object(&flood.objects[below(flood.count)]);
    else if (flood.count > 0)
        release_object(below(flood.count));
    if (flood.pending_count == PENDING_MAX)
        settle();
}

/* ----------------------------------------------------------------------------------------------------------------- before and after */

static uint64_t
free_bytes(const char *path)
{
    struct statvfs stat;
    cr_assert_eq(statvfs(path, &stat), 0);
    return (uint64_t)stat.f_bavail * stat.f_frsize;
}

static void
skip_where_there_is_no_room(void)
{
    const struct {
        const char *path;
        uint64_t need;
    } rooms[] = {{system_directory(), flood.total + flood.total / 4}, {"/dev/shm", flood.store + flood.store / 8}};
    for (size_t i = 0; i < 2; i++) {
        const uint64_t there = free_bytes(rooms[i].path);
        if (there >= rooms[i].need)
            continue;
        fprintf(stderr, "SKIP: %s has %llu MiB, and %llu are needed\n", rooms[i].path, (unsigned long long)there / MIB,
                (unsigned long long)rooms[i].need / MIB);
        system_close();
        cr_skip_test("there is not room enough");
    }
}

/* Numbers of the store's page. */
static void
store_says(size_t count, const char *const names[], int64_t numbers[])
{
    trp_ref *page = NULL;
    trp_value value;
    OK(trp_query(flood.runtime, "store", &page, &error));
    OK(trp_get(page, SYSTEM_WAIT_MS, &value, &error));
    for (size_t i = 0; i < count; i++) {
        const trp_value number = trp_field(trp_at(value, 0), names[i]);
        cr_assert_neq(number.kind, TRP_NULL, "the store says nothing of %s", names[i]);
        numbers[i] = trp_as_i64(number);
    }
    trp_ref_release(&page);
}

static const char *const emptied[] = {"objects", "objects_gone", "objects_spilled", "objects_lost",
                                      "sealed",  "spilled",      "pinned",          "waiting"};
enum { EMPTIED = sizeof emptied / sizeof *emptied };

static bool
is_store_empty(void *user)
{
    int64_t numbers[EMPTIED];
    (void)user;
    store_says(EMPTIED, emptied, numbers);
    for (int i = 0; i < EMPTIED; i++)
        if (numbers[i] != 0)
            return false;
    return true;
}

static void
expect_empty_store(void)
{
    int64_t numbers[EMPTIED];
    if (system_await(is_store_empty, NULL))
        return;
    store_says(EMPTIED, emptied, numbers);
    for (int i = 0; i < EMPTIED; i++)
        cr_expect_eq(numbers[i], 0, "%lld: %s", (long long)numbers[i], emptied[i]);
}

static void
report(int64_t ms)
{
    static const char *const names[] = {"spilled_total", "restored_total", "spilled"};
    int64_t numbers[3];
    store_says(3, names, numbers);
    fprintf(stderr, "flood: %.1f s; %u objects, %llu MiB, of which %u were released; %llu checks\n", (double)ms / 1000,
            flood.made, (unsigned long long)flood.made_bytes / MIB, flood.released, (unsigned long long)flood.checked);
    fprintf(stderr, "flood: %u workers killed, %llu calls lost; MiB spilled: %lld, restored: %lld, on the disk: %lld\n",
            atomic_load(&flood.kills), (unsigned long long)flood.lost, (long long)numbers[0] / MIB,
            (long long)numbers[1] / MIB, (long long)numbers[2] / MIB);
    cr_expect_gt(atomic_load(&flood.kills), 0u);
    cr_expect_gt(numbers[0], 0, "nothing was spilled");
}

static void
run_flood(void)
{
    pthread_t killer;
    uint64_t killers_random = flood_random(&flood.random);
    flood.stop = eventfd(0, EFD_CLOEXEC);
    cr_assert(flood.stop >= 0);
    for (int i = 0; i < WORKERS; i++)
        start_worker(&flood.workers[i]);
    cr_assert_eq(pthread_create(&killer, NULL, kill_workers, &killers_random), 0);
    while (flood.made_bytes < flood.total)
        step();
    while (flood.pending_count > 0)
        settle();
    cr_assert_eq(eventfd_write(flood.stop, 1), 0);
    pthread_join(killer, NULL);
    close(flood.stop);
    for (size_t i = 0; i < flood.count; i++)
        check_object(&flood.objects[i]);
}

Test(flood, every_object_that_was_answered_for_is_what_it_was_to_be_whoever_is_killed, .timeout = 900,
     .fini = system_sweep)
{
    char spill[256];
    const uint64_t seed = setting("FLOOD_SEED", (uint64_t)system_now_ms());
    system_open();
    flood.random = seed;
    flood.total = setting("FLOOD_MIB", 512) * MIB;
    flood.store = setting("FLOOD_STORE_MIB", 64) * MIB;
    flood.largest = flood.store / 32;
    flood.kill_ms = (int)setting("FLOOD_KILL_MS", 250);
    fprintf(stderr, "flood: FLOOD_SEED=%llu\n", (unsigned long long)seed);
    skip_where_there_is_no_room();
    (void)snprintf(spill, sizeof spill, "%s/spill", system_directory());
    const trp_config config = {.node = {.store_bytes = (int64_t)flood.store,
                                        .num_cpus = 4,
                                        .spill_dir = spill,
                                        .spill_max_bytes = (int64_t)(flood.total + flood.total / 4)}};
    const int64_t began = system_now_ms();
    OK(trp_init(&config, &flood.runtime, &error));
    run_flood();
    report(system_now_ms() - began);
    while (flood.count > 0)
        release_object(flood.count - 1);
    expect_empty_store();
    for (int i = 0; i < WORKERS; i++)
        trp_actor_release(&flood.workers[i].actor);
    trp_shutdown(&flood.runtime);
    cr_expect(rmdir(spill) == 0 || errno == ENOENT, "%s is not empty: %s", spill, strerror(errno));
    system_close();
}
