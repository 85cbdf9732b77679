/*
 * test_room.c - where the system gives a node, a program or a host less than it needs (address space, descriptors, processes,
 * inodes), that is said where it is asked for, with the code, the number and the remedy; what was begun goes on, once.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/support.h"

static trp_error error;

enum { KIB = 1024, MIB = 1024 * KIB };

/* Starts a node service by way of a shell, which says `before` first. false: it did not start, and *line says why. */
static bool
starts(const char *before, char *line, size_t size)
{
    struct system_process node;
    char command[512];
    snprintf(command, sizeof command, "%s exec \"$TROUPE_NODE\" --service --store 0 --dir \"$0\" 2>&1", before);
    const char *argv[] = {"/bin/sh", "-c", command, system_service_directory(), NULL};
    system_start(&node, argv);
    cr_assert(system_line(&node, line, size), "%s: it says nothing", before);
    const bool ready = strncmp(line, "READY", 5) == 0;
    if (ready)
        cr_expect_eq(kill(node.pid, SIGTERM), 0);
    const int status = system_wait(&node);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == !ready, "%s: status %x", before, (unsigned)status);
    return ready;
}

/* ---------------------------------------------------------------------------------------------------------- inodes */

SYSTEM_TEST(system_room, a_directory_that_takes_no_more_files_is_refused_as_a_full_disk)
{
    char line[1024], options[64];
    unsigned refused = 0, files;
    cr_assert_eq(mkdir(system_service_directory(), 0700), 0);
    for (files = 2; files < 16; files++) { /* the directory is the first */
        snprintf(options, sizeof options, "size=1m,mode=700,nr_inodes=%u", files);
        if (mount("tmpfs", system_service_directory(), "tmpfs", 0, options) < 0) {
            rmdir(system_service_directory());
            cr_skip_test("no tmpfs can be mounted here: %s", strerror(errno));
        }
        const bool ready = starts("", line, sizeof line);
        if (!ready) {
            cr_expect(strstr(line, "No space left") != NULL && strstr(line, "df -i") != NULL, "%u: %s", files, line);
            refused++;
        }
        cr_expect_eq(umount(system_service_directory()), 0);
        if (ready)
            break;
    }
    cr_expect_geq(refused, 3);
    cr_expect_lt(files, 16, "it never started");
    rmdir(system_service_directory());
}

/* ---------------------------------------------------------------------------------------------------- address space */

static uint64_t
mapped_now(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%llu", &pages), 1);
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Of this process, and of what it starts. */
static void
allow(int resource, rlim_t most)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(resource, &limit), 0);
    limit.rlim_cur = most;
    cr_assert_eq(setrlimit(resource, &limit), 0);
}

static int
runs_of(const char *path)
{
    int count = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgetc(file) != EOF)
        count++;
    fclose(file);
    return count;
}

/* An actor's call and a task, each run once. */
static void
work_once(trp_runtime *runtime, const char *path)
{
    trp_actor *actor = system_spawn(runtime, NULL);
    trp_ref *ref = NULL;
    trp_value value;
    cr_expect_eq(system_call_i64(actor, "add", TRP_NOARGS), 1);
    cr_assert_eq(trp_task(runtime, "system_module:mark", TRP_ARGS(path), &ref, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, &value, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
    cr_expect_eq(runs_of(path), 1, "it ran %d times", runs_of(path));
    unlink(path);
}

SYSTEM_TEST(system_room, too_little_address_space_is_refused_at_the_start_or_is_enough)
{
    unsigned refused = 0, worked = 0;
    char path[128];
    snprintf(path, sizeof path, "%s/ran", system_directory());
    for (uint64_t more = 8; more <= 264; more += more < 120 ? 8 : 24) {
        trp_runtime *runtime = NULL;
        allow(RLIMIT_AS, mapped_now() + more * MIB);
        const trp_err err = trp_init(NULL, &runtime, &error);
        if (err != TRP_OK) {
            cr_expect_eq(err, TRP_ELIMIT, "with %d MiB more: %d %s", (int)more, (int)err, error.message);
            cr_expect_not_null(strstr(error.message, "ulimit -v"), "with %d MiB more: %s", (int)more, error.message);
            refused++;
        } else {
            work_once(runtime, path);
            trp_shutdown(&runtime);
            worked++;
        }
    }
    cr_expect(refused > 0 && worked > 0, "%u refused, %u worked", refused, worked);
    allow(RLIMIT_AS, RLIM_INFINITY);
}

SYSTEM_TEST(system_room, a_service_with_too_little_address_space_is_refused_with_the_remedy)
{
    static const char *const rows[] = {"ulimit -v 24000;", "ulimit -v 40000;", "ulimit -v 60000;", "ulimit -d 20000;"};
    char line[1024];
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    cr_skip_test("the sanitizer takes terabytes of address space");
#endif
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_not(starts(rows[i], line, sizeof line), "%s", rows[i]);
        cr_expect(strstr(line, i < 3 ? "(ulimit -v " : "(ulimit -d ") != NULL && strstr(line, "KiB or more") != NULL,
                  "%s: %s", rows[i], line);
    }
    cr_expect(starts("ulimit -v 400000;", line, sizeof line), "%s", line);
}

/* ------------------------------------------------------------------------------------------- descriptors and processes */

/* What a call of a new actor is answered with. */
static trp_err
call_new(trp_runtime *runtime, trp_actor **actor, trp_error *why)
{
    trp_ref *ref = NULL;
    trp_value value;
    trp_err err = trp_spawn(runtime, "system_module:Counter", TRP_NOARGS, NULL, actor, why);
    if (err == TRP_OK)
        err = trp_call(*actor, "add", TRP_NOARGS, &ref, why);
    if (err == TRP_OK)
        err = trp_get(ref, SYSTEM_WAIT_MS, &value, why);
    trp_ref_release(&ref);
    return err;
}

/* Actors until one cannot be had: that one says why, and the others go on. Returns how many there were. */
static unsigned
fill(trp_runtime *runtime, unsigned most, const char *remedy)
{
    trp_actor *actors[64] = {NULL};
    unsigned count = 0;
    trp_err err = TRP_OK;
    while (count < most && (err = call_new(runtime, &actors[count], &error)) == TRP_OK)
        count++;
    cr_expect_eq(err, TRP_ELIMIT, "%u actors: %d %s", count, (int)err, error.message);
    cr_expect_not_null(strstr(error.message, remedy), "%s", error.message);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    for (unsigned i = 0; i < count; i++)
        cr_expect_eq(system_call_i64(actors[i], "add", TRP_NOARGS), 2);
    for (unsigned i = 0; i <= count && i < most; i++)
        trp_actor_release(&actors[i]);
    return count;
}

SYSTEM_TEST(system_room, too_few_descriptors_for_another_host_are_told_to_who_calls_it)
{
    const trp_config config = {.node = {.num_cpus = 1}};
    trp_runtime *runtime = NULL;
    const struct rlimit enough = {196, 196};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &enough), 0);
    cr_assert_eq(trp_init(&config, &runtime, &error), TRP_OK, "%s", error.message);
    cr_expect_geq(fill(runtime, 64, "ulimit -n"), 20);
    trp_shutdown(&runtime);
}

/* Limits of processes are for users that are not root: this process becomes one. */
static void
become_nobody(void)
{
    const uid_t user = 60000 + (uid_t)getpid() % 5000;
    if (geteuid() != 0)
        return;
    cr_assert_eq(chown(system_directory(), user, user), 0);
    cr_assert_eq(setgroups(0, NULL), 0);
    cr_assert_eq(setgid(user), 0);
    cr_assert_eq(setuid(user), 0);
    if (access(getenv("TROUPE_NODE"), X_OK) != 0 || access("/dev/null", R_OK | W_OK) != 0)
        cr_skip_test("another user may not run %s, or write /dev/null", getenv("TROUPE_NODE"));
}

SYSTEM_TEST(system_room, too_few_processes_are_refused_at_the_start_or_where_they_lack)
{
    const trp_config config = {.node = {.num_cpus = 1}};
    unsigned refused = 0, filled = 0;
    become_nobody();
    for (rlim_t most = 2; most <= 26; most += 2) {
        trp_runtime *runtime = NULL;
        allow(RLIMIT_NPROC, most);
        const trp_err err = trp_init(&config, &runtime, &error);
        if (err != TRP_OK) {
            cr_expect_eq(err, TRP_ELIMIT, "%d processes: %d %s", (int)most, (int)err, error.message);
            cr_expect_not_null(strstr(error.message, "ulimit -u"), "%d processes: %s", (int)most, error.message);
            refused++;
            continue;
        }
        filled += fill(runtime, 64, "ulimit -u");
        trp_shutdown(&runtime);
    }
    cr_expect(refused > 0 && filled > 0, "%u refused, %u actors", refused, filled);
}
