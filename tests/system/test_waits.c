/*
 * test_waits.c - waits that cannot end, or not in time: cycles, constructors that block, replies that nobody gives, processes
 * that were forked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/support.h"

static trp_error error;

static trp_actor *
spawn(trp_runtime *runtime, const char *class_name, trp_value args, const char *name, int64_t start_timeout_ms)
{
    const trp_actor_options options = {.name = name, .start_timeout_ms = start_timeout_ms};
    trp_actor *actor = NULL;
    cr_assert_eq(trp_spawn(runtime, class_name, args, &options, &actor, &error), TRP_OK, "%s", error.message);
    return actor;
}

static void
expect_says(const char *word)
{
    cr_expect_not_null(strstr(error.message, word), "no '%s' in: %s", word, error.message);
}

static void
expect_alive(trp_actor *actor)
{
    trp_ref *ref = system_call(actor, "slow", TRP_ARGS(1));
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&ref);
}

/* a calls b, which calls a. Whichever of them closes the cycle is told; the chain of causes ends there. */
static void
close_cycle(trp_runtime *runtime, size_t count)
{
    static const char *const names[] = {"Ada", "Bob", "Cy"};
    trp_actor *actors[3];
    for (size_t i = 0; i < count; i++)
        actors[i] = spawn(runtime, "trouble:Trouble", TRP_NOARGS, names[i], 0);
    trp_ref *ref = count == 2
                       ? system_call(actors[0], "call_other", TRP_ARGS(actors[1], "call_other", actors[0], "slow", 1))
                       : system_call(actors[0], "call_other",
                                     TRP_ARGS(actors[1], "call_other", actors[2], "call_other", actors[0], "slow", 1));
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_ETASK, "%s", error.message);
    char text[8192] = "";
    trp_format(trp_failure(ref), text, sizeof text);
    cr_expect_not_null(strstr(text, "wait"), "%s", text);
    trp_value why = trp_failure(ref);
    while (trp_field(why, "cause").kind == TRP_MAP)
        why = trp_field(why, "cause");
    cr_expect_eq(trp_as_i64(trp_field(why, "code")), TRP_EDEADLOCK, "%s", text);
    for (size_t i = 0; i < count; i++)
        cr_expect_not_null(strstr(trp_as_str(trp_field(why, "message")), names[i]), "no %s in: %s", names[i],
                           trp_as_str(trp_field(why, "message")));
    trp_ref_release(&ref);
    for (size_t i = 0; i < count; i++) {
        expect_alive(actors[i]);
        trp_actor_release(&actors[i]);
    }
}

SYSTEM_TEST(system_waits, a_class_that_runs_two_calls_at_a_time_may_call_itself)
{
    trp_runtime *runtime = system_private();
    trp_actor *pair = spawn(runtime, "trouble:Pair", TRP_NOARGS, "Pat", 0);
    trp_ref *ref = system_call(pair, "call_other", TRP_ARGS(pair, "slow", 1));
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&pair);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_waits, two_actors_that_wait_for_each_other_are_told_so)
{
    trp_runtime *runtime = system_private();
    close_cycle(runtime, 2);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_waits, three_actors_that_wait_in_a_ring_are_told_so)
{
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    close_cycle(runtime, 3);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

SYSTEM_TEST(system_waits, a_constructor_that_blocks_is_ended_by_its_start_deadline)
{
    trp_runtime *runtime = system_private();
    trp_actor *actor = spawn(runtime, "trouble:Stillborn", TRP_ARGS("hang"), "Never", 300);
    trp_ref *ready = NULL, *ref = system_call(actor, "self", TRP_NOARGS);
    cr_assert_eq(trp_watch(actor, TRP_WATCH_READY, &ready, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    expect_says("the limit of 300 ms for its constructor");
    cr_expect_str_eq(error.actor, "Never");
    cr_expect_neq(trp_get(ready, SYSTEM_WAIT_MS, NULL, &error), TRP_OK);
    expect_says("the limit of 300 ms for its constructor");
    trp_ref_release(&ready);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_waits, a_reply_that_is_lost_with_its_actor_fails)
{
    trp_runtime *runtime = system_private();
    trp_actor *actor = spawn(runtime, "trouble:Trouble", TRP_NOARGS, NULL, 0);
    trp_ref *never = system_call(actor, "never", TRP_NOARGS);
    expect_alive(actor);
    cr_expect_eq(trp_get(never, 50, NULL, &error), TRP_ETIMEDOUT);
    cr_assert_eq(trp_kill(actor, NULL, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_get(never, SYSTEM_WAIT_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    trp_ref_release(&never);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}

static int64_t
nest(trp_runtime *runtime, int64_t depth)
{
    trp_ref *ref = NULL;
    trp_value value = trp_null();
    cr_assert_eq(trp_task(runtime, "system_module:nest", TRP_ARGS(depth), &ref, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, &value, &error), TRP_OK, "%" PRId64 ": %s", depth, error.message);
    const int64_t reached = value.kind == TRP_I64 ? trp_as_i64(value) : -1;
    trp_ref_release(&ref);
    return reached;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { DEEP = 400 }; /* frames are larger */
#else
enum { DEEP = 1000 };
#endif

/* 2 CPUs: 16 hosts wait, and the rest stands on the thread of the last one, as long as it has stack. */
SYSTEM_TEST(system_waits, tasks_that_are_nested_too_deeply_end_with_the_limit_named)
{
    const trp_config config = {.node = {.num_cpus = 2}};
    trp_runtime *runtime = NULL;
    cr_assert_eq(trp_init(&config, &runtime, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(nest(runtime, DEEP), DEEP);
    const int64_t reached = nest(runtime, 20000);
    cr_expect(reached >= DEEP && reached < 20000, "%" PRId64 " deep", reached);
    cr_expect_eq(nest(runtime, 3), 3);
    trp_shutdown(&runtime);
}

/* What a child of a fork may not do; each has to return, and say why. */
static int
try_everything(trp_runtime *runtime, trp_actor *actor, trp_ref *ref)
{
    trp_ref *other = NULL;
    trp_actor *another = NULL;
    trp_runtime *second = NULL;
    trp_value value;
    size_t ready = 0, count = 0;
    if (trp_call(actor, "slow", TRP_ARGS(1), &other, &error) != TRP_EFORKED)
        return 1;
    if (trp_get(ref, 0, &value, &error) != TRP_EFORKED)
        return 2;
    if (trp_spawn(runtime, "trouble:Trouble", TRP_NOARGS, NULL, &another, &error) != TRP_EFORKED)
        return 3;
    if (trp_put(runtime, trp_i64(1), &other, &error) != TRP_EFORKED)
        return 4;
    if (trp_wait(&ref, 1, 1, 0, &ready, &count, &error) != TRP_EFORKED)
        return 5;
    if (trp_init(NULL, &second, &error) != TRP_EFORKED)
        return 6;
    trp_ref_release(&ref);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
    return 0;
}

SYSTEM_TEST(system_waits, a_child_of_a_driver_is_refused_and_its_parent_unharmed)
{
    trp_runtime *runtime = system_private();
    trp_actor *actor = spawn(runtime, "trouble:Trouble", TRP_NOARGS, NULL, 0);
    trp_ref *ref = system_call(actor, "slow", TRP_ARGS(1));
    int status = 0;
    cr_assert_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_OK, "%s", error.message);
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_everything(runtime, actor, ref));
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    expect_alive(actor);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_waits, a_child_of_a_method_is_refused_and_its_actor_unharmed)
{
    struct system_process service;
    trp_value value;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *actor = spawn(runtime, "trouble:Trouble", TRP_NOARGS, NULL, 0);
    trp_ref *ref = system_call(actor, "fork", TRP_NOARGS);
    cr_assert_eq(trp_get(ref, SYSTEM_WAIT_MS, &value, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_as_i64(value), TRP_EFORKED);
    expect_alive(actor);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}
