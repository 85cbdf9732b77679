/* test_rules.c - what somebody who knows Ray expects (docs/decisions.md, D10), as rules R1 to R25 and R30: a test or more for
 * each. R6 to R13, of objects, are in test_objects.c; R17, R18 (shared addresses) are not part of this release; R20 is a
 * consequence of R16. */
#include "tests/conformance/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* R1, R2: tasks are stateless, run on any worker, and a submit returns before they run. */
ROW(r1_tasks_run_and_take_defaults_and_keywords)
{
    stage_expect(stage_task(rt, "conformance:add", TRP_ARGS(1)), "11");
    stage_expect(stage_task(rt, "conformance:add", TRP_ARGS(1, 2)), "3");
    stage_expect(stage_task(rt, "conformance:add", TRP_ARGS(1, TRP_KW("b", 5))), "6");
    stage_expect(stage_task(rt, "conformance:add", TRP_ARGS(TRP_KW("b", 5), TRP_KW("a", 2))), "7");
}

ROW(r2_a_call_returns_a_pending_reference)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *held = stage_call(log, "hold", TRP_NOARGS);
    trp_error error;
    cr_expect_eq(trp_get(held, 0, NULL, &error), TRP_ETIMEDOUT);
    cr_expect_eq(trp_ref_location(held), TRP_PENDING);
    stage_says(log, "let_go", TRP_ARGS("done"), "null");
    stage_expect(held, "\"done\"");
    trp_actor_release(&log);
}

/* R3: get of many: input order; the first failure in list order; the others stay gettable; a time limit. */
ROW(r3_get_of_many_keeps_order_and_raises_the_first_failure)
{
    trp_ref *refs[4] = {
        stage_task(rt, "conformance:add", TRP_ARGS(1)),
        stage_task(rt, "conformance:fail", TRP_ARGS(8, "first")),
        stage_task(rt, "conformance:fail", TRP_ARGS(9, "second")),
        stage_task(rt, "conformance:add", TRP_ARGS(2)),
    };
    trp_value values[4] = {{TRP_NULL, 0, 0, {0}}};
    trp_error error;
    cr_expect_eq(trp_get_all(refs, 4, 20000, values, &error), TRP_ETASK);
    cr_expect_eq(error.cause, 8, "%s", error.message);
    stage_expect(refs[0], "11");
    stage_expect(refs[3], "12");
    stage_expect_error(refs[1], TRP_ETASK, &error);
    stage_expect_error(refs[2], TRP_ETASK, &error);
    cr_expect_eq(error.cause, 9);
}

ROW(r3_a_get_in_vain_leaves_the_reference_as_it_was)
{
    trp_error error;
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *held = stage_call(log, "hold", TRP_NOARGS);
    cr_expect_eq(trp_get(held, 20, NULL, &error), TRP_ETIMEDOUT);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    cr_expect_str_eq(error.message, "hold() of actor 'conformance:Log' has no result within 20 ms");
    cr_expect_str_eq(error.actor, "conformance:Log");
    cr_expect_str_eq(error.method, "hold");
    error.ran = TRP_NOT_RUN;
    cr_expect_eq(trp_get(held, 0, NULL, &error), TRP_ETIMEDOUT);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    error.ran = TRP_NOT_RUN;
    cr_expect_eq(trp_get_all(&held, 1, 20, NULL, &error), TRP_ETIMEDOUT);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    trp_ref *death = NULL;
    cr_assert_eq(trp_watch(log, TRP_WATCH_DEATH, &death, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_get(death, 20, NULL, &error), TRP_ETIMEDOUT);
    cr_expect(strstr(error.message, trp_ref_id(death)) != NULL, "%s", error.message);
    trp_ref_release(&death);
    stage_says(log, "let_go", TRP_ARGS(3), "null");
    stage_expect(held, "3");
    trp_actor_release(&log);
}

/* R5: one runtime at a time. */
ROW(r5_a_second_init_is_refused)
{
    trp_runtime *second = NULL;
    trp_error error;
    cr_expect_eq(trp_init(NULL, &second, &error), TRP_EALREADY);
    cr_expect_null(second);
    stage_expect(stage_task(rt, "conformance:add", TRP_ARGS(1)), "11");
}

/* R15: different actors run at the same time: the one that holds a caller does not keep the other from answering. */
ROW_WITH_BROKER(r15_actors_are_processes_of_their_own)
{
    char first[32], second[32];
    trp_error error;
    trp_value value;
    trp_actor *a = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_actor *b = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *pid_a = stage_call(a, "getpid", TRP_NOARGS), *pid_b = stage_call(b, "getpid", TRP_NOARGS);
    cr_assert_eq(trp_get(pid_a, 20000, &value, &error), TRP_OK, "%s", error.message);
    trp_format(value, first, sizeof first);
    cr_assert_eq(trp_get(pid_b, 20000, &value, &error), TRP_OK, "%s", error.message);
    trp_format(value, second, sizeof second);
    cr_expect_str_neq(first, second);
    trp_ref_release(&pid_a);
    trp_ref_release(&pid_b);
    trp_actor_release(&a);
    trp_actor_release(&b);
}

/* R19: an actor stores, receives, sends, and makes other actors, whose handles it may return. */
ROW(r19_actors_make_actors)
{
    trp_error error;
    trp_value value;
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *born = stage_call(log, "beget", TRP_NOARGS);
    cr_assert_eq(trp_get(born, 20000, &value, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_at(value, 0).kind, TRP_ACTOR);
    cr_expect_eq(trp_as_i64(trp_at(value, 1)), 2);
    trp_actor *child = trp_actor_retain(trp_at(value, 0).as.actor);
    trp_ref_release(&born);
    stage_says(child, "read", TRP_NOARGS, "[41, 42]");
    trp_actor_release(&child);
    trp_actor_release(&log);
}

ROW(r14_a_method_may_answer_with_what_another_call_will_give)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    stage_says(log, "delegate", TRP_NOARGS, "3");
    trp_actor_release(&log);
}

ROW(r14_a_method_returns_once)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    stage_says(log, "return_twice", TRP_NOARGS, "1");
    trp_actor_release(&log);
}

/* R21: options. */
ROW_WITH_BROKER(r21_what_no_node_has_is_refused_at_once)
{
    trp_actor *actor = NULL;
    trp_ref *ref = NULL;
    trp_error error;
    trp_actor_options options = {.name = "big", .num_cpus = 1000};
    cr_expect_eq(trp_spawn(rt, "counter:Counter", TRP_NOARGS, &options, &actor, &error), TRP_ENORESOURCE);
    cr_expect(strstr(error.message, "1000") != NULL && strstr(error.message, "2") != NULL, "%s", error.message);
    options = (trp_actor_options){.name = "vast", .memory_bytes = UINT64_C(1) << 50};
    cr_expect_eq(trp_spawn(rt, "counter:Counter", TRP_NOARGS, &options, &actor, &error), TRP_ENORESOURCE);
    cr_expect(strstr(error.message, "1125899906842624 bytes of memory to be placed; node") != NULL &&
                  strstr(error.message, "0 GPUs, ") != NULL,
              "%s", error.message);
    const trp_request requests[] = {
        {.method = "conformance:add", .args = TRP_ARGS(1), .num_cpus = 1000},
        {.method = "conformance:add", .args = TRP_ARGS(1), .memory_bytes = UINT64_C(1) << 50},
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        trp_err err = trp_submit(rt, &requests[i], &ref, &error);
        if (err == TRP_OK)
            err = trp_get(ref, 20000, NULL, &error);
        cr_expect_eq(err, TRP_ENORESOURCE, "%zu: %s", i, error.message);
        trp_ref_release(&ref);
    }
}

/* R22: killed actors free their name; calls to them fail; kill of a dead one is no failure. */
ROW(r22_a_killed_actor_frees_its_name)
{
    trp_error error;
    trp_actor *found = NULL;
    trp_actor *first = stage_spawn(rt, "counter:Counter", TRP_NOARGS, "unique");
    stage_says(first, "increment", TRP_NOARGS, "1");
    cr_assert_eq(trp_kill(first, NULL, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_lookup(rt, "unique", &found, &error), TRP_ENOENT);
    trp_actor *second = stage_spawn(rt, "counter:Counter", TRP_NOARGS, "unique");
    stage_says(second, "increment", TRP_ARGS(7), "7");
    stage_expect_error(stage_call(first, "increment", TRP_NOARGS), TRP_EACTORDIED, &error);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    cr_expect_eq(trp_kill(first, NULL, &error), TRP_OK, "%s", error.message);
    trp_actor_release(&second);
    trp_actor_release(&first);
}

ROW(r22_watch_tells_readiness_and_death)
{
    trp_error error;
    trp_ref *ready = NULL, *death = NULL;
    trp_actor *actor = stage_spawn(rt, "counter:Counter", TRP_NOARGS, NULL);
    cr_assert_eq(trp_watch(actor, TRP_WATCH_READY, &ready, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_watch(actor, TRP_WATCH_DEATH, &death, &error), TRP_OK, "%s", error.message);
    stage_expect(ready, "null");
    cr_expect_eq(trp_get(death, 0, NULL, &error), TRP_ETIMEDOUT);
    cr_assert_eq(trp_kill(actor, NULL, &error), TRP_OK, "%s", error.message);
    trp_value record;
    cr_assert_eq(trp_get(death, 20000, &record, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(record.kind, TRP_MAP);
    trp_ref_release(&death);
    trp_actor_release(&actor);
}

/* R23: constructors take positional and keyword arguments and defaults. */
ROW(r23_constructors_take_keywords_and_defaults)
{
    trp_actor *strict = stage_spawn(rt, "ranking:Ranking", TRP_ARGS(TRP_KW("minimal_score", 80)), NULL);
    stage_says(strict, "add", TRP_ARGS("Bob", 79.5), "null");
    stage_says(strict, "add", TRP_ARGS("Alice", 80), "{\"Alice\": 80.0}");
    trp_actor_release(&strict);
    strict = stage_spawn(rt, "ranking:Ranking", TRP_ARGS(90), NULL);
    stage_says(strict, "add", TRP_ARGS("Alice", 80), "null");
    trp_actor_release(&strict);
}

ROW(r23_a_constructor_that_fails_shows_in_every_call)
{
    trp_error error;
    trp_ref *ready = NULL;
    trp_actor *picky = stage_spawn(rt, "conformance:Picky", TRP_ARGS("rain"), NULL);
    for (int i = 0; i < 2; i++) {
        stage_expect_error(stage_call(picky, "read", TRP_NOARGS), TRP_EACTORDIED, &error);
        cr_expect_eq(error.ran, TRP_NOT_RUN);
        cr_expect(strstr(error.message, "not today: rain") != NULL, "%s", error.message);
    }
    cr_assert_eq(trp_watch(picky, TRP_WATCH_READY, &ready, &error), TRP_OK, "%s", error.message);
    trp_err err = trp_get(ready, 20000, NULL, &error);
    cr_expect_neq(err, TRP_OK);
    cr_expect(strstr(error.message, "not today: rain") != NULL, "%s", error.message);
    trp_ref_release(&ready);
    trp_actor_release(&picky);
}

/* R24: a failure is given again by every get. */
ROW(r24_every_get_of_a_failure_fails_alike)
{
    trp_error error;
    trp_ref *failed = stage_task(rt, "conformance:fail", TRP_ARGS(5, "words of the task"));
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(trp_get(failed, 20000, NULL, &error), TRP_ETASK);
        cr_expect_eq(error.cause, 5);
        cr_expect_eq(error.ran, TRP_RAN);
        cr_expect(strstr(error.message, "words of the task") != NULL, "%s", error.message);
        cr_expect(strstr(error.method, "conformance:fail") != NULL, "%s", error.method);
    }
    cr_expect_eq(trp_ref_location(failed), TRP_FAILED);
    trp_value why = trp_failure(failed);
    cr_assert_eq(why.kind, TRP_MAP);
    cr_expect_eq(trp_as_i64(trp_field(why, "code")), TRP_ETASK);
    trp_ref_release(&failed);
}

/* R25: a crash fails what ran and what waits, and says which is which. */
ROW_WITH_BROKER(r25_a_crash_fails_running_and_later_calls)
{
    trp_error error;
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, "victim");
    stage_says(log, "append", TRP_ARGS(1), "1");
    trp_ref *crash = stage_call(log, "crash", TRP_NOARGS);
    trp_ref *queued = stage_call(log, "read", TRP_NOARGS);
    cr_expect_eq(trp_get(crash, 20000, NULL, &error), TRP_EACTORDIED);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    cr_expect(strstr(error.message, "SIGSEGV") != NULL, "%s", error.message);
    cr_expect_str_eq(error.actor, "victim");
    cr_expect_str_eq(error.method, "crash");
    trp_value why = trp_failure(crash);
    cr_expect_eq(trp_field(why, "death").kind, TRP_MAP);
    trp_ref_release(&crash);
    stage_expect_error(queued, TRP_EACTORDIED, &error);
    cr_expect_eq(error.ran, TRP_NOT_RUN, "%s", error.message);
    stage_expect_error(stage_call(log, "read", TRP_NOARGS), TRP_EACTORDIED, &error);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    trp_actor_release(&log);
}

ROW_WITH_BROKER(r25_a_task_whose_worker_dies_runs_again)
{
    char path[128];
    snprintf(path, sizeof path, "%s/once", stage_directory());
    stage_expect(stage_task(rt, "conformance:die_once", TRP_ARGS(path)), "\"survived\"");
}

ROW_WITH_BROKER(r25_a_task_that_must_not_be_repeated_is_not)
{
    char path[128];
    trp_error error;
    trp_ref *ref = NULL;
    snprintf(path, sizeof path, "%s/never", stage_directory());
    trp_request request = {.method = "conformance:die_once", .args = TRP_ARGS(path), .flags = TRP_NO_RETRY};
    cr_assert_eq(trp_submit(rt, &request, &ref, &error), TRP_OK, "%s", error.message);
    trp_err err = trp_get(ref, 20000, NULL, &error);
    cr_expect(err == TRP_EACTORDIED, "%s", error.message);
    trp_ref_release(&ref);
}

/* Waiting gives the slot back: nested tasks deeper than the node has CPUs. */
ROW(tasks_that_wait_for_tasks_do_not_block_the_node)
{
    stage_expect(stage_task(rt, "conformance:nested", TRP_ARGS(40)), "40");
}

/* Those for which there is no host stand on one thread. Where its stack ends the call that would be one more is refused; whoever
 * called it hears why. */
ROW(r17_calls_that_wait_for_calls_end_at_a_limit)
{
    trp_error error;
#ifdef __SANITIZE_ADDRESS__
    stage_expect(stage_task(rt, "conformance:nested", TRP_ARGS(60)), "60"); /* its frames are many times as large */
#else
    stage_expect(stage_task(rt, "conformance:nested", TRP_ARGS(1000)), "1000");
#endif
    stage_expect_error(stage_task(rt, "conformance:nested", TRP_ARGS(1000000)), TRP_ETASK, &error);
    cr_expect_eq(error.cause, TRP_ELIMIT, "%s", error.message);
    cr_expect(strstr(error.message, "stack") != NULL, "%s", error.message);
    stage_expect(stage_task(rt, "conformance:nested", TRP_ARGS(40)), "40");
}

ROW(an_actor_that_waits_for_itself_is_told_so)
{
    trp_error error;
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *ref = stage_call(log, "wait_for_self", TRP_NOARGS);
    trp_err err = trp_get(ref, 20000, NULL, &error);
    cr_expect_eq(err, TRP_ETASK, "%s", error.message);
    cr_expect_eq(error.cause, TRP_EDEADLOCK, "%s", error.message);
    trp_ref_release(&ref);
    stage_says(log, "append", TRP_ARGS(1), "1");
    trp_actor_release(&log);
}

/* R4: shutdown is harmless before init and twice. */
Test(without_a_node, r4_shutdown_is_harmless_at_any_time)
{
    trp_runtime *rt = NULL;
    trp_shutdown(&rt);
    trp_shutdown(&rt);
    cr_expect_null(rt);
}

/* R21: variables reach the process of the actor; resources that the node does not have are refused at once. */
ROW_WITH_BROKER(r21_environment_and_custom_resources)
{
    trp_error error;
    trp_actor *actor = NULL;
    trp_actor_options with = {.env = TRP_MAP("TRP_ROW", "here")};
    cr_assert_eq(trp_spawn(rt, "counter:Counter", TRP_NOARGS, &with, &actor, &error), TRP_OK, "%s", error.message);
    stage_says(actor, "increment", TRP_NOARGS, "1");
    trp_actor_release(&actor);
    trp_actor_options lacking = {.name = "lacking", .resources = TRP_MAP("slots", 1)};
    cr_expect_eq(trp_spawn(rt, "counter:Counter", TRP_NOARGS, &lacking, &actor, &error), TRP_ENORESOURCE);
    cr_expect(strstr(error.message, "slots") != NULL, "%s", error.message);
}

/* A limit on waiting calls refuses what is beyond it, not run; without one they wait, however many. */
ROW(r21_calls_beyond_max_pending_calls_are_eagain)
{
    enum { CALLS = 10500, LIMIT = 20 };
    static trp_ref *refs[CALLS];
    for (int limited = 0; limited < 2; limited++) {
        const trp_actor_options options = {.max_pending_calls = limited ? LIMIT : 0};
        const int count = limited ? 5 * LIMIT : CALLS;
        int ended = 0, refused = 0;
        trp_actor *actor = NULL;
        trp_error error;
        cr_assert_eq(trp_spawn(rt, "counter:Counter", TRP_NOARGS, &options, &actor, &error), TRP_OK);
        for (int i = 0; i < count; i++)
            refs[i] = stage_call(actor, "increment", TRP_NOARGS);
        for (int i = 0; i < count; i++) {
            trp_err err = trp_get(refs[i], 20000, NULL, &error);
            ended += err == TRP_OK;
            refused += err == TRP_EAGAIN && error.ran == TRP_NOT_RUN && strstr(error.message, "its limit") != NULL;
            trp_ref_release(&refs[i]);
        }
        cr_expect_eq(ended + refused, count, "%d and %d of %d: %s", ended, refused, count, error.message);
        cr_expect(limited ? ended > 0 && refused > 0 : refused == 0, "%d and %d of %d", ended, refused, count);
        trp_actor_release(&actor);
    }
}
