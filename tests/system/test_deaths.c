/*
 * test_deaths.c - whoever is killed, and whenever: what others see of it, and that nothing stays behind, of processes, files
 * and sockets, now or after the next start.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/support.h"

static trp_error error;

/* ------------------------------------------------------------------------------------------- services that are stopped */

SYSTEM_TEST(system_deaths, a_call_that_runs_when_the_service_is_stopped_may_have_run)
{
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, NULL);
    (void)system_call_i64(counter, "pid", TRP_NOARGS);
    trp_ref *ref = system_call(counter, "hang", TRP_NOARGS), *later = NULL;
    cr_expect_eq(trp_get(ref, 50, NULL, &error), TRP_ETIMEDOUT);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    system_service_stop(&service);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EBROKER, "%s", error.message);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN, "%s", error.message);
    cr_expect_eq(trp_as_i64(trp_field(trp_failure(ref), "ran")), TRP_MAY_HAVE_RUN);
    cr_expect_eq(trp_call(counter, "pid", TRP_NOARGS, &later, &error), TRP_EBROKER);
    cr_expect_eq(error.ran, TRP_NOT_RUN, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
}

/* ------------------------------------------------------------------------------------------------------------- hosts */

SYSTEM_TEST(system_deaths, a_module_that_is_written_to_while_it_is_loaded_is_named_as_the_cause)
{
    char modules[128], command[1024];
    const char *const more[] = {"--module-path", modules, NULL};
    struct system_process service;
    trp_ref *ref = NULL;
    snprintf(modules, sizeof modules, "%s/modules", system_directory());
    snprintf(command, sizeof command,
             "mkdir -m 700 '%s' && IFS=: && for d in $TRP_MODULE_PATH; do "
             "test ! -e $d/system_module.so || install $d/system_module.so '%s'; done",
             modules, modules);
    cr_assert_eq(system(command), 0);
    system_service_start(&service, more);
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, NULL);
    cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), 1);
    snprintf(command, sizeof command, "install '%s/system_module.so' '%s/new' && mv '%s/new' '%s/system_module.so'",
             modules, modules, modules, modules);
    cr_assert_eq(system(command), 0);
    cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), 2, "a new file in its place changes nothing");
    trp_actor *younger = system_spawn(runtime, NULL);
    cr_expect_eq(system_call_i64(younger, "add", TRP_NOARGS), 1);
    snprintf(command, sizeof command, ": >'%s/system_module.so'", modules);
    cr_assert_eq(system(command), 0);
    ref = system_call(younger, "add", TRP_NOARGS);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    cr_expect_not_null(strstr(error.message, "SIGBUS"), "%s", error.message);
    cr_expect_not_null(strstr(error.message, "system_module.so was written to while it was loaded"), "%s",
                       error.message);
    trp_ref_release(&ref);
    cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), 3);
    trp_actor_release(&counter);
    trp_actor_release(&younger);
    trp_shutdown(&runtime);
    system_service_stop(&service);
    snprintf(command, sizeof command, "rm -rf '%s'", modules);
    cr_expect_eq(system(command), 0);
}

SYSTEM_TEST(system_deaths, an_actor_that_is_released_is_gone_soon_though_its_driver_does_nothing)
{
    trp_runtime *runtime = system_private();
    for (int i = 0; i < 3; i++) {
        trp_actor *counter = system_spawn(runtime, NULL);
        pid_t pid = (pid_t)system_call_i64(counter, "pid", TRP_NOARGS);
        trp_actor_release(&counter);
        system_expect_gone(pid);
    }
    trp_shutdown(&runtime);
}

/* ------------------------------------------------------------------------------------------------- brokers that hang */

SYSTEM_TEST(system_deaths, a_broker_of_a_private_node_that_is_stopped_is_given_up)
{
    trp_runtime *runtime = system_private();
    trp_actor *counter = system_spawn(runtime, NULL);
    (void)system_call_i64(counter, "pid", TRP_NOARGS);
    kill(system_find_one("troupe-broker"), SIGSTOP);
    trp_ref *ref = system_call(counter, "pid", TRP_NOARGS);
    cr_expect_eq(trp_get(ref, 2 * SYSTEM_WAIT_MS, NULL, &error), TRP_EBROKER, "%s", error.message);
    cr_expect_not_null(strstr(error.message, "stopped"), "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_deaths, a_broker_of_a_service_that_is_stopped_for_a_while_is_waited_for)
{
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, NULL);
    pid_t pid = (pid_t)system_call_i64(counter, "pid", TRP_NOARGS), broker = system_find_one("troupe-broker");
    kill(broker, SIGSTOP);
    trp_ref *ref = system_call(counter, "pid", TRP_NOARGS);
    cr_expect_eq(trp_get(ref, 6000, NULL, &error), TRP_ETIMEDOUT, "%s", error.message); /* PING was said meanwhile */
    kill(broker, SIGCONT);
    trp_value value;
    cr_assert_eq(trp_get(ref, SYSTEM_WAIT_MS, &value, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_as_i64(value), pid);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* Nor is a private node started instead of the one that is there. */
SYSTEM_TEST(system_deaths, a_driver_that_comes_while_the_broker_is_stopped_is_refused)
{
    struct system_process service;
    pid_t brokers[SYSTEM_PROCESSES_MAX];
    trp_runtime *runtime = NULL;
    system_service_start(&service, NULL);
    pid_t broker = system_find_one("troupe-broker");
    kill(broker, SIGSTOP);
    setenv("TROUPE_DIR", system_service_directory(), 1);
    cr_expect_eq(trp_init(NULL, &runtime, &error), TRP_EBROKER, "%s", error.message);
    cr_expect_not_null(strstr(error.message, "stopped, or hangs"), "%s", error.message);
    trp_shutdown(&runtime);
    kill(broker, SIGCONT);
    cr_assert_eq(trp_init(NULL, &runtime, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(system_find("troupe-broker", brokers), 1, "a second node was started");
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* ------------------------------------------------------------------------------------------------------------- hosts */

SYSTEM_TEST(system_deaths, an_actor_whose_last_handle_was_in_a_result_is_gone_soon)
{
    trp_runtime *runtime = system_private();
    trp_actor *counter = system_spawn(runtime, NULL);
    trp_ref *put = NULL;
    pid_t pid = (pid_t)system_call_i64(counter, "pid", TRP_NOARGS);
    cr_assert_eq(trp_put(runtime, TRP_LIST(counter), &put, &error), TRP_OK, "%s", error.message);
    trp_actor_release(&counter);
    trp_ref_release(&put);
    system_expect_gone(pid);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_deaths, a_host_that_is_killed_takes_what_it_started_along)
{
    trp_runtime *runtime = system_private();
    trp_actor *counter = system_spawn(runtime, NULL);
    pid_t pid = (pid_t)system_call_i64(counter, "pid", TRP_NOARGS);
    pid_t child = (pid_t)system_call_i64(counter, "leave_child", TRP_NOARGS);
    kill(pid, SIGKILL);
    system_expect_gone(child);
    trp_ref *ref = system_call(counter, "add", TRP_NOARGS);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
}

static void
expect_children_gone_with_root(trp_runtime *runtime)
{
    trp_actor *counter = system_spawn(runtime, NULL);
    pid_t pid = (pid_t)system_call_i64(counter, "pid", TRP_NOARGS);
    pid_t child = (pid_t)system_call_i64(counter, "leave_child", TRP_NOARGS);
    kill(system_find_one("troupe-node"), SIGKILL);
    system_expect_gone(pid);
    system_expect_gone(child);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_deaths, a_root_that_is_killed_takes_what_its_hosts_started_along)
{
    struct system_process service;
    expect_children_gone_with_root(system_private());
    system_service_start(&service, NULL);
    expect_children_gone_with_root(system_join());
    system_wait(&service);
}

/* ----------------------------------------------------------------------------------------------------------- drivers */

SYSTEM_TEST(system_deaths, an_actor_that_never_returns_does_not_outlive_its_driver_that_was_killed)
{
    struct system_process service, driver;
    system_service_start(&service, NULL);
    pid_t pid = system_driver_start(&driver, system_service_directory(), "hang");
    system_kill(&driver);
    system_expect_gone(pid);
    system_service_stop(&service);
}

SYSTEM_TEST(system_deaths, a_driver_that_is_stopped_for_a_while_goes_on)
{
    struct system_process service, driver;
    system_service_start(&service, NULL);
    pid_t pid = system_driver_start(&driver, system_service_directory(), "work");
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, NULL);
    kill(driver.pid, SIGSTOP);
    for (int i = 1; i <= 2000; i++)
        cr_assert_eq(system_call_i64(counter, "add", TRP_NOARGS), i);
    cr_expect_eq(kill(pid, 0), 0, "the actor of the stopped driver is gone");
    kill(driver.pid, SIGCONT);
    system_expect_line(&driver, "DONE"); /* a hundred calls after READY */
    system_kill(&driver);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

SYSTEM_TEST(system_deaths, two_drivers_that_start_at_once_without_a_node_both_get_one)
{
    struct system_process drivers[2];
    const char *argv[] = {getenv("SYSTEM_DRIVER"), "-", NULL};
    for (int i = 0; i < 2; i++)
        system_start(&drivers[i], argv);
    for (int i = 0; i < 2; i++)
        system_expect_line(&drivers[i], "READY");
    for (int i = 0; i < 2; i++)
        system_kill(&drivers[i]);
}

/* ---------------------------------------------------------------------------------------------------- brokers, roots */

/* Kills the broker of a private node: milliseconds until its program knew and nothing of the node was left. All of it happens
 * long before anybody's silence is noticed (10 s). */
static int64_t
ms_without_broker(void)
{
    trp_runtime *runtime = system_private();
    trp_actor *counter = system_spawn(runtime, NULL);
    pid_t pid = (pid_t)system_call_i64(counter, "pid", TRP_NOARGS), root = system_find_one("troupe-node");
    trp_ref *ref = system_call(counter, "hang", TRP_NOARGS);
    int64_t begin_ms = system_now_ms(), end_ms;
    kill(system_find_one("troupe-broker"), SIGKILL);
    cr_expect_eq(trp_get(ref, 8000, NULL, &error), TRP_EBROKER, "%s", error.message);
    system_expect_gone_in(pid, 8000);
    end_ms = system_now_ms();
    cr_expect_eq(trp_call(counter, "add", TRP_NOARGS, &ref, &error), TRP_EBROKER, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    system_expect_gone_in(root, 8000);
    return end_ms - begin_ms;
}

/* Other work on the machine may hold one of them up, and not each of five. */
SYSTEM_TEST(system_deaths, a_private_node_without_its_broker_ends_within_a_second)
{
    int64_t taken_ms = INT64_MAX;
    for (int i = 0; i < 5 && taken_ms >= 1000; i++)
        taken_ms = ms_without_broker();
    cr_expect_lt(taken_ms, 1000);
}

/* Its death record went with the broker: the error is the right one all the same, and says so. */
SYSTEM_TEST(system_deaths, an_actor_that_died_before_the_broker_is_dead_to_the_next_one)
{
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, NULL);
    pid_t pid = (pid_t)system_call_i64(counter, "pid", TRP_NOARGS);
    kill(pid, SIGKILL);
    trp_ref *ref = system_call(counter, "pid", TRP_NOARGS);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    trp_ref_release(&ref);
    kill(system_find_one("troupe-broker"), SIGKILL);
    ref = system_call(counter, "pid", TRP_NOARGS);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    cr_expect_not_null(strstr(error.message, "had ended before"), "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* Everybody at once, as when the machine's memory runs out. */
SYSTEM_TEST(system_deaths, a_service_whose_root_broker_and_drivers_are_killed_leaves_nothing_after_the_next_start)
{
    struct system_process service, next, driver;
    char path[128];
    system_service_start(&service, NULL);
    system_driver_start(&driver, system_service_directory(), NULL);
    pid_t broker = system_find_one("troupe-broker");
    kill(broker, SIGSTOP); /* else it would clean up when its root is gone */
    kill(service.pid, SIGKILL);
    kill(driver.pid, SIGKILL);
    kill(broker, SIGKILL);
    system_wait(&service);
    system_wait(&driver);
    system_expect_no_processes();
    snprintf(path, sizeof path, "%s/door", system_service_directory());
    cr_expect_eq(access(path, F_OK), 0, "nobody was left to remove it");
    system_service_start(&next, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *counter = system_spawn(runtime, "Ada");
    cr_expect_eq(system_call_i64(counter, "add", TRP_NOARGS), 1);
    trp_actor_release(&counter);
    trp_shutdown(&runtime);
    system_service_stop(&next);
}

/* The directory of a private node that was killed with all its processes is removed by the next private node. */
SYSTEM_TEST(system_deaths, the_next_private_node_removes_what_a_dead_one_left)
{
    struct system_process driver;
    system_driver_start(&driver, NULL, NULL);
    pid_t root = system_find_one("troupe-node"), broker = system_find_one("troupe-broker");
    kill(root, SIGSTOP); /* so that it cannot clean up */
    kill(broker, SIGKILL);
    kill(root, SIGKILL);
    system_kill(&driver);
    system_expect_no_processes();
    trp_runtime *runtime = system_private();
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_deaths, a_second_service_in_a_directory_is_refused_with_the_first_ones_pid)
{
    struct system_process service, second;
    char line[512] = "", pid[32];
    const char *argv[] = {"/bin/sh", "-c", "exec \"$TROUPE_NODE\" --service --dir \"$0\" 2>&1",
                          system_service_directory(), NULL};
    system_service_start(&service, NULL);
    system_start(&second, argv);
    cr_assert(system_line(&second, line, sizeof line));
    snprintf(pid, sizeof pid, "process %d)", (int)service.pid);
    cr_expect_not_null(strstr(line, pid), "%s", line);
    cr_expect_not_null(strstr(line, "--dir"), "%s", line);
    int status = system_wait(&second);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    trp_runtime *runtime = system_join(); /* the first one is as it was */
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

SYSTEM_TEST(system_deaths, a_broker_that_is_killed_while_a_driver_is_stopped_does_not_lose_the_driver)
{
    struct system_process service, driver;
    system_service_start(&service, NULL);
    system_driver_start(&driver, system_service_directory(), "work");
    kill(driver.pid, SIGSTOP);
    kill(system_find_one("troupe-broker"), SIGKILL);
    trp_runtime *runtime = system_join();
    trp_shutdown(&runtime);
    kill(driver.pid, SIGCONT);
    system_expect_line(&driver, "DONE");
    system_kill(&driver);
    system_service_stop(&service);
}
