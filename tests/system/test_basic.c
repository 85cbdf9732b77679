/*
 * test_basic.c - a whole node: a driver calls an actor through a broker, and whatever is killed, nothing stays behind.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/support.h"

static trp_error error;

SYSTEM_TEST(system_basic, an_actor_of_a_private_node_counts)
{
    trp_runtime *runtime = system_private();
    trp_actor *counter = system_spawn(runtime, NULL);
    cr_expect_eq(system_call_i64(counter, "add", TRP_ARGS(2)), 2);
    cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), 3);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    system_expect_no_processes();
}

SYSTEM_TEST(system_basic, a_task_of_a_private_node_runs)
{
    trp_runtime *runtime = system_private();
    trp_ref *ref = NULL;
    trp_value value;
    cr_assert_eq(trp_task(runtime, "system_module:double", TRP_ARGS(21), &ref, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_get(ref, SYSTEM_WAIT_MS, &value, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_as_i64(value), 42);
    trp_ref_release(&ref);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_basic, an_actor_of_a_service_counts_and_the_service_ends_in_order)
{
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, "Ada");
    for (int64_t i = 1; i <= 100; i++)
        cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), i);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

SYSTEM_TEST(system_basic, two_drivers_see_the_same_named_actor)
{
    struct system_process service, other;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, "Ada"), *same = NULL;
    system_driver_start(&other, system_service_directory(), NULL);
    cr_assert_eq(trp_lookup(runtime, "Ada", &same, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), 1);
    cr_expect_eq(system_call_i64(same, "add", TRP_NOARGS), 2);
    system_kill(&other);
    cr_expect_eq(system_call_i64(same, "add", TRP_NOARGS), 3);
    trp_actor_release(&counter);
    trp_actor_release(&same);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

SYSTEM_TEST(system_basic, a_second_node_in_the_directory_is_refused_with_the_first_ones_pid)
{
    struct system_process service, second;
    char command[256], line[512] = "", pid[32];
    system_service_start(&service, NULL);
    snprintf(command, sizeof command, "'%s' --service --dir '%s' 2>&1", getenv("TROUPE_NODE"),
             system_service_directory());
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    system_start(&second, argv);
    cr_assert(system_line(&second, line, sizeof line));
    snprintf(pid, sizeof pid, "process %d", (int)service.pid);
    cr_expect_not_null(strstr(line, pid), "%s", line);
    int status = system_wait(&second);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    system_service_stop(&service);
}

/* ---------------------------------------------------------------------------------------------------------- deaths */

static void
expect_death(trp_actor *actor, const char *method, trp_ran ran)
{
    trp_ref *ref = NULL;
    ref = system_call(actor, method, TRP_NOARGS);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    cr_expect_eq(error.ran, ran, "%s", error.message);
    trp_ref_release(&ref);
}

SYSTEM_TEST(system_basic, a_method_that_crashes_fails_its_call_and_later_ones_and_no_other_actor)
{
    trp_runtime *runtime = system_private();
    trp_actor *counter = system_spawn(runtime, NULL), *other = system_spawn(runtime, NULL);
    cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), 1);
    expect_death(counter, "crash", TRP_MAY_HAVE_RUN);
    expect_death(counter, "add", TRP_NOT_RUN);
    cr_expect_eq(system_call_i64(other, "add", TRP_NOARGS), 1);
    trp_actor_release(&counter);
    trp_actor_release(&other);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_basic, a_host_that_is_killed_is_told_as_a_death)
{
    struct system_process service;
    trp_ref *ref = NULL;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, NULL);
    pid_t pid = (pid_t)system_call_i64(counter, "pid", TRP_NOARGS);
    ref = system_call(counter, "hang", TRP_NOARGS);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

SYSTEM_TEST(system_basic, a_private_node_whose_broker_is_killed_leaves_nothing)
{
    trp_ref *ref = NULL;
    trp_runtime *runtime = system_private();
    trp_actor *counter = system_spawn(runtime, NULL);
    cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), 1);
    ref = system_call(counter, "hang", TRP_NOARGS);
    kill(system_find_one("troupe-broker"), SIGKILL);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EBROKER, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_basic, a_private_node_whose_root_is_killed_leaves_nothing)
{
    trp_ref *ref = NULL;
    trp_runtime *runtime = system_private();
    trp_actor *counter = system_spawn(runtime, NULL);
    cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), 1);
    ref = system_call(counter, "hang", TRP_NOARGS);
    kill(system_find_one("troupe-node"), SIGKILL);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EBROKER, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_basic, a_service_whose_broker_is_killed_goes_on)
{
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, "Ada");
    for (int64_t i = 1; i <= 4; i++) {
        cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), i);
        kill(system_find_one("troupe-broker"), SIGKILL);
    }
    cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), 5);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

SYSTEM_TEST(system_basic, a_service_whose_root_is_killed_leaves_nothing_and_the_next_one_starts)
{
    struct system_process service, next;
    struct system_process driver;
    system_service_start(&service, NULL);
    system_driver_start(&driver, system_service_directory(), NULL);
    system_kill(&service);
    system_kill(&driver);
    system_expect_no_processes();
    system_service_start(&next, NULL);
    system_service_stop(&next);
}

SYSTEM_TEST(system_basic, a_driver_that_is_killed_takes_its_private_node_along)
{
    struct system_process driver;
    system_driver_start(&driver, NULL, NULL);
    system_kill(&driver);
}

/* As a test that fails or is killed: nothing outlives what support.c starts. */
SYSTEM_TEST(system_basic, a_test_that_is_killed_takes_its_node_service_along)
{
    struct system_process service;
    int ready[2];
    char byte;
    cr_assert_eq(pipe(ready), 0);
    const pid_t test = fork();
    if (test == 0) {
        system_service_start(&service, NULL);
        cr_assert_eq(write(ready[1], "r", 1), 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1, "the service was not ready");
    close(ready[0]);
    kill(test, SIGKILL);
    cr_assert_eq(waitpid(test, NULL, 0), test);
    system_expect_no_processes();
}

SYSTEM_TEST(system_basic, a_driver_that_is_killed_takes_its_actors_of_a_service_along)
{
    struct system_process service, driver;
    system_service_start(&service, NULL);
    pid_t pid = system_driver_start(&driver, system_service_directory(), NULL);
    system_kill(&driver);
    system_expect_gone(pid);
    system_service_stop(&service);
}

SYSTEM_TEST(system_basic, an_actor_that_takes_more_memory_than_it_may_dies_and_its_record_says_so)
{
    trp_runtime *runtime = system_private();
    trp_actor *counter = NULL;
    trp_ref *ref = NULL;
    const trp_actor_options options = {.memory_bytes = 32 << 20};
    cr_assert_eq(trp_spawn(runtime, "system_module:Counter", TRP_NOARGS, &options, &counter, &error), TRP_OK, "%s",
                 error.message);
    cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), 1);
    ref = system_call(counter, "grow", TRP_ARGS(64 << 20));
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    char text[8192] = "";
    trp_format(trp_failure(ref), text, sizeof text);
    cr_expect_not_null(strstr(text, "memory"), "%s", text);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_basic, a_host_that_is_silent_while_somebody_waits_for_it_is_killed)
{
    trp_runtime *runtime = system_private();
    trp_actor *counter = system_spawn(runtime, NULL);
    trp_ref *ref = NULL;
    pid_t pid = (pid_t)system_call_i64(counter, "pid", TRP_NOARGS);
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    ref = system_call(counter, "add", TRP_NOARGS);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    cr_expect_not_null(strstr(error.message, "sign of life"), "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_basic, calls_that_are_under_way_when_brokers_die_end_once_and_in_order)
{
    enum { KILLS = 5, CALLS = 500 }; /* a sixth within 10 s is too many for a node */
    struct system_process service;
    trp_ref *refs[CALLS];
    trp_value value;
    int64_t expected = 0;
    const char *quiet[] = {"--log-level", "error", NULL};
    system_service_start(&service, quiet);
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, NULL);
    for (int round = 0; round < KILLS; round++) {
        for (int i = 0; i < CALLS; i++) {
            refs[i] = system_call(counter, "add", TRP_NOARGS);
            if (i == CALLS / 2)
                kill(system_find_one("troupe-broker"), SIGKILL);
        }
        for (int i = 0; i < CALLS; i++) {
            cr_assert_eq(trp_get(refs[i], SYSTEM_WAIT_MS, &value, &error), TRP_OK, "round %d, call %d: %s", round, i,
                         error.message);
            cr_assert_eq(trp_as_i64(value), ++expected, "round %d, call %d", round, i);
            trp_ref_release(&refs[i]);
        }
    }
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}
