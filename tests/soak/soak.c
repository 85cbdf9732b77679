/*
 * soak.c - numbered calls from several drivers to several actors of a node service, whose broker is killed again and again,
 * each time with at least 1,000 calls outstanding. What happened is written down by those to whom it happened; soak_checker,
 * which knows only those files, judges.
 *
 *     soak [--calls N] [--drivers N] [--actors N] [--kills N] [--seconds N] [--work-us N]
 *
 * The same program is each driver: soak --driver I. Processes share counters in a mapped file.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <troupe/troupe.h>

#include "tests/common/child.h"
#include "tests/soak/soak.h"

enum { DRIVERS_MAX = 16, WINDOW = 1000, LEAST_OUTSTANDING = 1000 };

struct soak {
    long calls; /* per driver */
    int drivers, actors, kills;
    double seconds;
    int work_us;
    char directory[64], node[80];
};

struct shared {
    _Atomic long submitted[DRIVERS_MAX], ended[DRIVERS_MAX];
    _Atomic bool ready[DRIVERS_MAX];
    _Atomic bool go;
};

static double
now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static _Noreturn void
give_up(const char *what, const char *why)
{
    fprintf(stderr, "soak: %s: %s\n", what, why);
    exit(1);
}

static struct shared *
map_shared(const struct soak *soak)
{
    char path[128];
    snprintf(path, sizeof path, "%s/shared", soak->directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct shared)) != 0)
        give_up(path, strerror(errno));
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        give_up(path, strerror(errno));
    close(fd);
    return shared;
}

/* ------------------------------------------------------------------------------------------------------------ a driver */

struct outstanding {
    trp_ref *ref;
    uint32_t actor, number;
};

/* Gets the oldest and writes its end down. */
static void
end_one(struct outstanding *oldest, FILE *file)
{
    trp_value value;
    trp_error error;
    struct soak_end end = {oldest->actor, oldest->number, 0, -1};
    end.err = trp_get(oldest->ref, 60000, &value, &error);
    if (end.err == TRP_OK)
        end.value = (int32_t)trp_as_i64(value);
    else
        fprintf(stderr, "soak: call %u: %s\n", end.number, error.message);
    trp_ref_release(&oldest->ref);
    if (fwrite(&end, sizeof end, 1, file) != 1)
        give_up("driver's file", strerror(errno));
}

static int
drive(const struct soak *soak, int self)
{
    struct shared *shared = map_shared(soak);
    static struct outstanding window[WINDOW];
    trp_actor *actors[64] = {NULL};
    trp_runtime *rt = NULL;
    trp_error error;
    char text[128];
    trp_config config = {.address = soak->node, .reconnect_ms = 30000};
    if (trp_init(&config, &rt, &error) != TRP_OK)
        give_up("trp_init", error.message);
    for (int i = 0; i < soak->actors; i++) {
        snprintf(text, sizeof text, "soak-%d", i);
        if (trp_lookup(rt, text, &actors[i], &error) != TRP_OK)
            give_up(text, error.message);
    }
    snprintf(text, sizeof text, "%s/ended.%d", soak->directory, self);
    FILE *file = fopen(text, "wb");
    if (file == NULL)
        give_up(text, strerror(errno));
    atomic_store(&shared->ready[self], true);
    for (long n = 0; n < soak->calls; n++) {
        struct outstanding *slot = &window[n % WINDOW];
        if (n >= WINDOW) {
            end_one(slot, file);
            atomic_fetch_add(&shared->ended[self], 1);
        }
        slot->actor = (uint32_t)(n % soak->actors);
        slot->number = (uint32_t)n;
        if (trp_call(actors[slot->actor], "take", TRP_ARGS(self, n), &slot->ref, &error) != TRP_OK)
            give_up("trp_call", error.message);
        atomic_fetch_add(&shared->submitted[self], 1);
    }
    for (long n = soak->calls > WINDOW ? soak->calls - WINDOW : 0; n < soak->calls; n++) {
        end_one(&window[n % WINDOW], file);
        atomic_fetch_add(&shared->ended[self], 1);
    }
    if (fclose(file) != 0)
        give_up("driver's file", strerror(errno));
    for (int i = 0; i < soak->actors; i++)
        trp_actor_release(&actors[i]);
    trp_shutdown(&rt);
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------- the director */

static pid_t
start(const char *const *argv)
{
    pid_t pid = child_start(argv, NULL);
    if (pid < 0)
        give_up(argv[0], strerror(errno));
    return pid;
}

static pid_t
start_node(const struct soak *soak)
{
    char line[256];
    pid_t pid = child_start_node(soak->node, NULL, line, sizeof line);
    if (pid < 0)
        give_up("troupe-node", line);
    return pid;
}

static void
spawn_actors(const struct soak *soak, trp_runtime *rt)
{
    trp_error error;
    for (int i = 0; i < soak->actors; i++) {
        char name[32], path[128];
        trp_actor *actor = NULL;
        trp_ref *ready = NULL;
        snprintf(name, sizeof name, "soak-%d", i);
        snprintf(path, sizeof path, "%s/ran.%d", soak->directory, i);
        trp_actor_options options = {.name = name, .detached = true};
        if (trp_spawn(rt, "soak:Recorder", TRP_ARGS(path, soak->work_us), &options, &actor, &error) != TRP_OK ||
            trp_watch(actor, TRP_WATCH_READY, &ready, &error) != TRP_OK ||
            trp_get(ready, 20000, NULL, &error) != TRP_OK)
            give_up(name, error.message);
        trp_ref_release(&ready);
        trp_actor_release(&actor);
    }
}

/* The broker is the node's child whose program is troupe-broker. 0: there is none at the moment. */
static pid_t
find_broker(pid_t node)
{
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", node, node);
    FILE *file = fopen(path, "r");
    pid_t found = 0;
    int pid;
    while (file != NULL && found == 0 && fscanf(file, "%d", &pid) == 1) {
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        FILE *comm = fopen(path, "r");
        if (comm != NULL && fgets(text, sizeof text, comm) != NULL && strncmp(text, "troupe-broker", 13) == 0)
            found = pid;
        if (comm != NULL)
            fclose(comm);
    }
    if (file != NULL)
        fclose(file);
    return found;
}

static long
sum(const _Atomic long *counters, int count)
{
    long total = 0;
    for (int i = 0; i < count; i++)
        total += atomic_load(&counters[i]);
    return total;
}

/* Descriptors that are readable when a driver has ended. */
static void
watch_drivers(struct pollfd *ends, const pid_t *drivers, int count)
{
    for (int i = 0; i < count; i++) {
        ends[i] = (struct pollfd){.fd = (int)syscall(SYS_pidfd_open, drivers[i], 0), .events = POLLIN};
        if (ends[i].fd < 0)
            give_up("pidfd_open", strerror(errno));
    }
}

/* Waits until `until`, or until a driver has ended before its time: false. */
static bool
pause_until(double until, struct pollfd *ends, int count)
{
    for (double left = until - now(); left > 0; left = until - now())
        if (poll(ends, (nfds_t)count, (int)(left * 1e3) + 1) > 0)
            return false;
    return true;
}

/* Kills brokers in regular intervals over `seconds`; returns how many died with enough calls outstanding. */
static int
kill_brokers(const struct soak *soak, pid_t node, const struct shared *shared, const pid_t *drivers)
{
    struct pollfd ends[DRIVERS_MAX];
    int kills = 0, thin = 0;
    watch_drivers(ends, drivers, soak->drivers);
    double begin = now(), interval = soak->seconds / (soak->kills + 1);
    for (int i = 1; i <= soak->kills + 5; i++) {
        if (!pause_until(begin + i * interval, ends, soak->drivers))
            break;
        long outstanding = sum(shared->submitted, soak->drivers) - sum(shared->ended, soak->drivers);
        pid_t broker = find_broker(node);
        if (outstanding < LEAST_OUTSTANDING || broker == 0) {
            thin++;
            continue;
        }
        if (kill(broker, SIGKILL) == 0)
            kills++;
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\rsoak: broker killed %d times, %ld calls outstanding, %ld ended ", kills, outstanding,
                    sum(shared->ended, soak->drivers));
    }
    for (int i = 0; i < soak->drivers; i++)
        close(ends[i].fd);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\n");
    printf("broker killed %d times, each with %d or more calls outstanding (%d times passed over)\n", kills,
           LEAST_OUTSTANDING, thin);
    return kills;
}

static int
wait_all(const pid_t *pids, int count)
{
    int failed = 0, status;
    for (int i = 0; i < count; i++)
        if (waitpid(pids[i], &status, 0) != pids[i] || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            failed++;
    return failed;
}

static int
direct(const struct soak *soak, const char *self)
{
    struct shared *shared = map_shared(soak);
    pid_t drivers[DRIVERS_MAX];
    trp_runtime *rt = NULL;
    trp_error error;
    pid_t node = start_node(soak);
    trp_config config = {.address = soak->node};
    if (trp_init(&config, &rt, &error) != TRP_OK)
        give_up("trp_init", error.message);
    spawn_actors(soak, rt);
    trp_shutdown(&rt);
    double begin = now();
    for (int i = 0; i < soak->drivers; i++) {
        char index[16], calls[32], actors[16];
        snprintf(index, sizeof index, "%d", i);
        snprintf(calls, sizeof calls, "%ld", soak->calls);
        snprintf(actors, sizeof actors, "%d", soak->actors);
        const char *const argv[] = {self,      "--driver", index,      "--directory", soak->directory,
                                    "--calls", calls,      "--actors", actors,        NULL};
        drivers[i] = start(argv);
    }
    int kills = kill_brokers(soak, node, shared, drivers);
    int failed = wait_all(drivers, soak->drivers);
    double took = now() - begin;
    if (!child_end(node))
        give_up("troupe-node", "did not end in order");
    printf("%ld calls in %.1f s, %d drivers failed\n", sum(shared->ended, soak->drivers), took, failed);
    return failed == 0 && kills >= soak->kills && took >= soak->seconds ? 0 : 1;
}

static int
judge(const struct soak *soak, const char *self)
{
    char program[512], drivers[16], actors[16], calls[32];
    const char *slash = strrchr(self, '/');
    snprintf(program, sizeof program, "%.*ssoak_checker", slash == NULL ? 0 : (int)(slash - self + 1), self);
    snprintf(drivers, sizeof drivers, "%d", soak->drivers);
    snprintf(actors, sizeof actors, "%d", soak->actors);
    snprintf(calls, sizeof calls, "%ld", soak->calls);
    const char *const argv[] = {program, soak->directory, drivers, actors, calls, NULL};
    pid_t pid = start(argv);
    return wait_all(&pid, 1);
}

static void
sweep(const struct soak *soak)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", soak->directory);
    if (system(command) != 0)
        fprintf(stderr, "soak: %s was not removed\n", soak->directory);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"calls", required_argument, NULL, 'c'},
        {"drivers", required_argument, NULL, 'd'},
        {"actors", required_argument, NULL, 'a'},
        {"kills", required_argument, NULL, 'k'},
        {"seconds", required_argument, NULL, 's'},
        {"work-us", required_argument, NULL, 'w'},
        {"driver", required_argument, NULL, 'D'},
        {"directory", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    struct soak soak = {.calls = 250000, .drivers = 4, .actors = 8, .kills = 40, .seconds = 120, .work_us = 900};
    int driver = -1, letter;
    while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (letter) {
        case 'c':
            soak.calls = atol(optarg);
            break;
        case 'd':
            soak.drivers = atoi(optarg);
            break;
        case 'a':
            soak.actors = atoi(optarg);
            break;
        case 'k':
            soak.kills = atoi(optarg);
            break;
        case 's':
            soak.seconds = atof(optarg);
            break;
        case 'w':
            soak.work_us = atoi(optarg);
            break;
        case 'D':
            driver = atoi(optarg);
            break;
        case 'p':
            snprintf(soak.directory, sizeof soak.directory, "%s", optarg);
            break;
        default:
            return 2;
        }
    }
    if (driver < 0) {
        strcpy(soak.directory, "/tmp/troupe-soak-XXXXXX");
        if (mkdtemp(soak.directory) == NULL)
            give_up(soak.directory, strerror(errno));
    }
    snprintf(soak.node, sizeof soak.node, "%s/node", soak.directory);
    if (driver >= 0)
        return drive(&soak, driver);
    int result = direct(&soak, argv[0]);
    if (judge(&soak, argv[0]) != 0)
        result = 1;
    sweep(&soak);
    printf("%s\n", result == 0 ? "soak passed" : "soak FAILED");
    return result;
}
