/*
 * support.h - for tests that start real processes: a directory of their own, a node service in it or private nodes, drivers
 * in processes of their own, and the proof that nothing is left. Every process that a test starts, at whatever distance,
 * carries a mark in its environment, by which it is found. Nothing here sleeps: all waits are for events, with a deadline.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <criterion/criterion.h>
#include <sys/types.h>
#include <troupe/troupe.h>

enum { SYSTEM_WAIT_MS = 20000, SYSTEM_PROCESSES_MAX = 256 };

/* A test in a directory of its own; at its end nothing is left of processes, files and shared memory, or it fails. (Not by
 * .fini, whose failures Criterion does not count.) */
#define SYSTEM_TEST(suite, name)                                                                                       \
    static void name(void);                                                                                            \
    Test(suite, name, .timeout = 60, .fini = system_sweep)                                                             \
    {                                                                                                                  \
        system_open();                                                                                                 \
        name();                                                                                                        \
        system_close();                                                                                                \
    }                                                                                                                  \
    static void name(void)
void system_open(void);
void system_close(void);
int64_t system_now_ms(void);        /* monotonic */
void system_sweep(void);            /* kills and removes what a test that failed has left */
const char *system_directory(void); /* the test's own; TMP of everything that it starts */

/* A process that says lines on its stdout. */
struct system_process {
    pid_t pid;
    int out;
    char pending[4096];
    size_t pending_size;
};
void system_start(struct system_process *process, const char *const *argv);
/* The next line that it says, without its end; false: it has ended, or says nothing until the deadline. */
bool system_line(struct system_process *process, char *line, size_t size);
void system_expect_line(struct system_process *process, const char *beginning);
int system_wait(struct system_process *process); /* its status, as of waitpid */
void system_wait_ok(struct system_process *process);
void system_kill(struct system_process *process); /* SIGKILL, and it has ended */
/* A driver in a process of its own (driver.c), ready, on the service in `address`; NULL: on a private node. `calls`: what it
 * does, "hang", "keep" or "work", or NULL. Returns the process of its actor. */
pid_t system_driver_start(struct system_process *driver, const char *address, const char *calls);
long system_resident_kib(pid_t pid);

/* A node service in DIRECTORY/node, ready. `more`: further arguments, ended by NULL, or NULL. */
void system_service_start(struct system_process *service, const char *const *more);
void system_service_stop(struct system_process *service); /* SIGTERM, and it ends in order */
const char *system_service_directory(void);
/* A runtime of this process: on the service, or on a private node. */
trp_runtime *system_join(void);
trp_runtime *system_private(void);

/* Marked processes other than this one, whose name (comm) is `name`; NULL: any. Returns how many. */
size_t system_find(const char *name, pid_t pids[SYSTEM_PROCESSES_MAX]);
pid_t system_find_one(const char *name);                  /* there must be exactly one */
void system_expect_gone(pid_t pid);                       /* waits until it has ended */
void system_expect_gone_in(pid_t pid, int timeout_ms);    /* the same, for so long */
void system_expect_no_processes(void);                    /* waits until all marked ones have */
bool system_await(bool (*is_so)(void *user), void *user); /* looks again whenever a little time has passed */

/* Calls that must succeed. */
trp_ref *system_call(trp_actor *actor, const char *method, trp_value args);
int64_t system_call_i64(trp_actor *actor, const char *method, trp_value args); /* and what it returns */
trp_actor *system_spawn(trp_runtime *runtime, const char *name);               /* system:Counter */

#endif
