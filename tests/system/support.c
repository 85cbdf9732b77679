/* support.c - see support.h. Each Criterion test is a process of its own, so the state here is one test's. */
#include "tests/system/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/common/child.h"
#include "tests/common/scratch.h"

static char directory[SCRATCH_SIZE], service_directory[80], mark[SCRATCH_SIZE + 24];
static unsigned shm_before;

int64_t
system_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static unsigned
count_entries(const char *path)
{
    unsigned count = 0;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            count++;
    closedir(dir);
    return count;
}

/* Names that processes have left which have ended: of those that live, others may be at work beside this test. */
static unsigned
count_shm(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/dev/shm");
    if (dir == NULL)
        return 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        unsigned user;
        int pid;
        count += sscanf(entry->d_name, "troupe-%u-%d-", &user, &pid) == 2 && kill(pid, 0) < 0 && errno == ESRCH;
    }
    closedir(dir);
    return count;
}

void
system_open(void)
{
    scratch_make(directory, "system");
    snprintf(service_directory, sizeof service_directory, "%s/node", directory);
    snprintf(mark, sizeof mark, "TROUPE_TEST_MARK=%s", directory);
    setenv("TROUPE_TEST_MARK", directory, 1);
    setenv("XDG_RUNTIME_DIR", directory, 1); /* private nodes lie here, too */
    unsetenv("TROUPE_DIR");
    shm_before = count_shm();
}

void
system_close(void)
{
    char command[192];
    system_expect_no_processes();
    unsigned left = count_entries(directory);
    cr_expect_eq(left, 0, "%u files are left in %s", left, directory);
    cr_expect_eq(count_shm(), shm_before, "shared memory is left");
    snprintf(command, sizeof command, "find '%s' -mindepth 1 >&2", directory);
    if (left != 0)
        cr_expect_eq(system(command), 0);
    scratch_remove(directory);
}

const char *
system_directory(void)
{
    return directory;
}

const char *
system_service_directory(void)
{
    return service_directory;
}

/* ------------------------------------------------------------------------------------------------------- processes */

void
system_start(struct system_process *process, const char *const *argv)
{
    *process = (struct system_process){.out = -1};
    process->pid = child_start(argv, &process->out);
    cr_assert_gt(process->pid, 0, "cannot start %s: %s", argv[0], strerror(errno));
}

bool
system_line(struct system_process *process, char *line, size_t size)
{
    const int64_t until_ms = system_now_ms() + SYSTEM_WAIT_MS;
    for (;;) {
        char *end = memchr(process->pending, '\n', process->pending_size);
        if (end != NULL) {
            *end = '\0';
            snprintf(line, size, "%s", process->pending);
            process->pending_size -= (size_t)(end + 1 - process->pending);
            memmove(process->pending, end + 1, process->pending_size);
            return true;
        }
        struct pollfd poller = {.fd = process->out, .events = POLLIN};
        const int64_t left_ms = until_ms - system_now_ms();
        if (left_ms <= 0 || poll(&poller, 1, (int)left_ms) == 0)
            return false;
        ssize_t got = read(process->out, process->pending + process->pending_size,
                           sizeof process->pending - process->pending_size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        process->pending_size += (size_t)got;
    }
}

void
system_expect_line(struct system_process *process, const char *beginning)
{
    char line[1024] = "";
    cr_assert(system_line(process, line, sizeof line), "process %d did not say '%s'", (int)process->pid, beginning);
    cr_assert(strncmp(line, beginning, strlen(beginning)) == 0, "process %d said '%s', not '%s'", (int)process->pid,
              line, beginning);
}

static bool
await_end_for(pid_t pid, int timeout_ms)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return errno == ESRCH;
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int count;
    do
        count = poll(&poller, 1, timeout_ms);
    while (count < 0 && errno == EINTR);
    close(fd);
    return count == 1;
}

static bool
await_end(pid_t pid)
{
    return await_end_for(pid, SYSTEM_WAIT_MS);
}

int
system_wait(struct system_process *process)
{
    int status = 0;
    cr_assert(await_end(process->pid), "process %d does not end", (int)process->pid);
    cr_assert_eq(waitpid(process->pid, &status, 0), process->pid);
    close(process->out);
    process->out = -1;
    process->pid = 0;
    return status;
}

void
system_wait_ok(struct system_process *process)
{
    int status = system_wait(process);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it ended with status %x", (unsigned)status);
}

void
system_kill(struct system_process *process)
{
    kill(process->pid, SIGKILL);
    system_wait(process);
}

pid_t
system_driver_start(struct system_process *driver, const char *address, const char *calls)
{
    const char *argv[] = {getenv("SYSTEM_DRIVER"), address != NULL ? address : "-", NULL};
    char line[256] = "";
    int pid = 0;
    if (calls != NULL)
        setenv("SYSTEM_DRIVER_CALLS", calls, 1);
    system_start(driver, argv);
    unsetenv("SYSTEM_DRIVER_CALLS");
    cr_assert(system_line(driver, line, sizeof line), "the driver says nothing");
    cr_assert_eq(sscanf(line, "READY %d", &pid), 1, "%s", line);
    return pid;
}

long
system_resident_kib(pid_t pid)
{
    char path[40];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%*d %ld", &pages), 1);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static bool
is_marked(pid_t pid)
{
    char path[40];
    static char data[65536];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, data, sizeof data - 1);
    close(fd);
    return size > 0 && memmem(data, (size_t)size, mark, strlen(mark) + 1) != NULL;
}

/* Zombies are somebody's to collect, and are gone otherwise: their environment is empty. */
size_t
system_find(const char *name, pid_t pids[SYSTEM_PROCESSES_MAX])
{
    size_t count = 0;
    DIR *proc = opendir("/proc");
    cr_assert_not_null(proc);
    for (struct dirent *entry = readdir(proc); entry != NULL; entry = readdir(proc)) {
        char path[40], comm[32] = "";
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid <= 0 || pid == getpid() || !is_marked(pid))
            continue;
        snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
        FILE *file = fopen(path, "re");
        if (file == NULL)
            continue;
        if (fgets(comm, sizeof comm, file) != NULL)
            comm[strcspn(comm, "\n")] = '\0';
        fclose(file);
        if ((name == NULL || strcmp(comm, name) == 0) && count < SYSTEM_PROCESSES_MAX)
            pids[count++] = pid;
    }
    closedir(proc);
    return count;
}

struct search {
    const char *name;
    pid_t pids[SYSTEM_PROCESSES_MAX];
    size_t count;
};

static bool
is_found(void *user)
{
    struct search *search = user;
    search->count = system_find(search->name, search->pids);
    return search->count == 1;
}

/* A host is called as the root is, for a moment after its fork. */
pid_t
system_find_one(const char *name)
{
    struct search search = {.name = name};
    cr_assert(system_await(is_found, &search), "there are %zu of %s", search.count, name);
    return search.pids[0];
}

void
system_expect_gone_in(pid_t pid, int timeout_ms)
{
    cr_expect(await_end_for(pid, timeout_ms), "process %d is still there after %d ms", (int)pid, timeout_ms);
}

void
system_expect_gone(pid_t pid)
{
    cr_expect(await_end(pid), "process %d is still there", (int)pid);
}

void
system_expect_no_processes(void)
{
    pid_t pids[SYSTEM_PROCESSES_MAX];
    size_t count;
    while ((count = system_find(NULL, pids)) > 0) {
        for (size_t i = 0; i < count; i++) {
            if (await_end(pids[i])) {
                waitpid(pids[i], NULL, WNOHANG); /* our own children */
                continue;
            }
            char command[64];
            snprintf(command, sizeof command, "ps -fp %d >&2", (int)pids[i]);
            cr_expect_eq(system(command), 0);
            kill(pids[i], SIGKILL);
            cr_expect(false, "process %d is left", (int)pids[i]);
        }
    }
}

void
system_sweep(void)
{
    pid_t pids[SYSTEM_PROCESSES_MAX];
    char command[128];
    if (directory[0] == '\0' || access(directory, F_OK) < 0)
        return; /* it has ended well */
    for (size_t count = system_find(NULL, pids); count > 0; count = system_find(NULL, pids))
        for (size_t i = 0; i < count; i++) {
            kill(pids[i], SIGKILL);
            if (await_end(pids[i]))
                waitpid(pids[i], NULL, WNOHANG);
        }
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", directory);
}

bool
system_await(bool (*is_so)(void *user), void *user)
{
    const int64_t until_ms = system_now_ms() + SYSTEM_WAIT_MS;
    while (!is_so(user)) {
        if (system_now_ms() >= until_ms)
            return false;
        (void)poll(NULL, 0, 5);
    }
    return true;
}

/* ----------------------------------------------------------------------------------------------------------- nodes */

void
system_service_start(struct system_process *service, const char *const *more)
{
    const char *argv[32] = {getenv("TROUPE_NODE"),     "--service",  "--dir", service_directory, "--module-path",
                            getenv("TRP_MODULE_PATH"), "--num-cpus", "2"};
    size_t count = 8;
    for (size_t i = 0; more != NULL && more[i] != NULL && count < 31; i++)
        argv[count++] = more[i];
    system_start(service, argv);
    system_expect_line(service, "READY");
}

void
system_service_stop(struct system_process *service)
{
    cr_assert_eq(kill(service->pid, SIGTERM), 0);
    system_wait_ok(service);
}

static trp_runtime *
start_runtime(const char *address)
{
    trp_runtime *runtime = NULL;
    trp_error error = {.code = TRP_OK};
    const trp_config config = {.address = address, .node = {.num_cpus = 2}};
    cr_assert_eq(trp_init(&config, &runtime, &error), TRP_OK, "%s", error.message);
    cr_assert(error.code == TRP_OK && error.message[0] == '\0', "success says: %s", error.message);
    return runtime;
}

trp_runtime *
system_join(void)
{
    return start_runtime(service_directory);
}

trp_runtime *
system_private(void)
{
    return start_runtime(NULL);
}

trp_actor *
system_spawn(trp_runtime *runtime, const char *name)
{
    trp_actor *actor = NULL;
    trp_error error;
    const trp_actor_options options = {.name = name};
    cr_assert_eq(trp_spawn(runtime, "system_module:Counter", TRP_NOARGS, &options, &actor, &error), TRP_OK, "%s",
                 error.message);
    return actor;
}

trp_ref *
system_call(trp_actor *actor, const char *method, trp_value args)
{
    trp_ref *ref = NULL;
    trp_error error;
    cr_assert_eq(trp_call(actor, method, args, &ref, &error), TRP_OK, "%s: %s", method, error.message);
    return ref;
}

int64_t
system_call_i64(trp_actor *actor, const char *method, trp_value args)
{
    trp_ref *ref = system_call(actor, method, args);
    trp_value value;
    trp_error error;
    cr_assert_eq(trp_get(ref, SYSTEM_WAIT_MS, &value, &error), TRP_OK, "%s: %s", method, error.message);
    int64_t number = trp_as_i64(value);
    trp_ref_release(&ref);
    return number;
}
