/*
 * test_trouble.c - real worker hosts of a private node run what modules can do wrong (tests/modules/trouble.c) and put off
 * (gate.c). Events are waited for with a deadline; nothing sleeps.
 */
#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <troupe/troupe.h>

enum { PATIENCE_MS = 20000 };

static trp_runtime *rt;
static trp_error error;
static char directory[] = "/tmp/troupe-trouble-XXXXXX";

static void
start(void)
{
    trp_config config = {.node = {.num_cpus = 2, .module_path = TEST_MODULE_DIR}};
    cr_assert_not_null(mkdtemp(directory));
    setenv("TROUPE_DIR", directory, 1); /* nobody's node is there */
    cr_assert_eq(trp_init(&config, &rt, &error), TRP_OK, "%s", error.message);
}

static void
stop(void)
{
    trp_shutdown(&rt);
    rmdir(directory);
}

static trp_actor *
spawn(const char *class_name, trp_value args, const char *name)
{
    trp_actor *actor = NULL;
    trp_actor_options options = {.name = name};
    cr_assert_eq(trp_spawn(rt, class_name, args, &options, &actor, &error), TRP_OK, "%s", error.message);
    return actor;
}

static trp_ref *
call(trp_actor *actor, const char *method, trp_value args)
{
    trp_ref *ref = NULL;
    cr_assert_eq(trp_call(actor, method, args, &ref, &error), TRP_OK, "%s", error.message);
    return ref;
}

/* Gets a value as text. */
static void
expect(trp_ref *ref, const char *expected)
{
    trp_value value;
    char text[512];
    cr_assert_eq(trp_get(ref, PATIENCE_MS, &value, &error), TRP_OK, "wanted %s, got: %s", expected, error.message);
    trp_format(value, text, sizeof text);
    cr_expect_str_eq(text, expected);
    trp_ref_release(&ref);
}

static void
expect_failure(trp_ref *ref, trp_err err, const char *says)
{
    trp_err got = trp_get(ref, PATIENCE_MS, NULL, &error);
    cr_assert_eq(got, err, "wanted %s, got %s: %s", trp_strerror(err), trp_strerror(got), error.message);
    cr_expect(strstr(error.message, says) != NULL, "wanted '%s' in: %s", says, error.message);
    trp_ref_release(&ref);
}

TestSuite(trouble, .init = start, .fini = stop);

/* Each way to die, and what the death record says of it. */
Test(trouble, a_crash_says_how_and_where)
{
    static const struct {
        const char *how, *says;
        int signal_number;
    } rows[] = {
        {"segv", "SIGSEGV", 11},  {"null", "SIGSEGV", 11},
        {"stack", "SIGSEGV", 11}, {"abort", "SIGABRT", 6},
        {"fpe", "SIGFPE", 8},     {"kill", "SIGKILL", 9},
        {"exit", "7", 0},         {"thread", "Trouble.crash() ended its thread", 9},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        trp_actor *actor = spawn("trouble:Trouble", TRP_NOARGS, "victim");
        trp_ref *crash = call(actor, "crash", TRP_ARGS(rows[i].how)), *after = call(actor, "self", TRP_NOARGS);
        cr_assert_eq(trp_get(crash, PATIENCE_MS, NULL, &error), TRP_EACTORDIED, "%s: %s", rows[i].how, error.message);
        cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN, "%s", rows[i].how);
        cr_expect(strstr(error.message, rows[i].says) != NULL, "%s: %s", rows[i].how, error.message);
        cr_expect_str_eq(error.actor, "victim");
        cr_expect_str_eq(error.method, "crash");
        trp_value death = trp_field(trp_failure(crash), "death");
        cr_expect_eq(trp_as_i64(trp_field(death, "signal")), rows[i].signal_number, "%s", rows[i].how);
        cr_expect_str_eq(trp_as_str(trp_field(death, "module")), "trouble");
        cr_expect_str_eq(trp_as_str(trp_field(death, "method")), "crash");
        if (rows[i].signal_number != 0 && rows[i].signal_number != 9)
            cr_expect(strstr(trp_as_str(trp_field(death, "backtrace")), "trouble.so") != NULL, "%s: %s", rows[i].how,
                      trp_as_str(trp_field(death, "backtrace")));
        cr_expect_eq(trp_get(after, PATIENCE_MS, NULL, &error), TRP_EACTORDIED);
        cr_expect_eq(error.ran, TRP_NOT_RUN, "%s: %s", rows[i].how, error.message);
        trp_ref_release(&crash);
        trp_ref_release(&after);
        trp_actor_release(&actor);
    }
}

/* Wherever a module's code ends the thread that it was given, its host dies of it, and nobody waits for ever. */
Test(trouble, code_that_ends_its_thread_is_a_crash)
{
    trp_actor *pair = spawn("trouble:Pair", TRP_NOARGS, NULL),
              *born = spawn("trouble:Stillborn", TRP_ARGS("thread"), NULL);
    trp_ref *slow = call(pair, "slow", TRP_ARGS(10000)), *task = NULL;
    expect_failure(call(pair, "crash", TRP_ARGS("thread")), TRP_EACTORDIED, "Pair.crash() ended its thread");
    expect_failure(slow, TRP_EACTORDIED, "Pair.crash() ended its thread");
    expect_failure(call(born, "self", TRP_NOARGS), TRP_EACTORDIED, "Stillborn.init() ended its thread");
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    cr_assert_eq(trp_task(rt, "trouble:crash", TRP_ARGS("thread"), &task, &error), TRP_OK, "%s", error.message);
    expect_failure(task, TRP_EACTORDIED, "trouble:crash() ended its thread");
    trp_actor_release(&pair);
    trp_actor_release(&born);
}

/* Methods that misbehave without dying: the actor answers afterwards. */
Test(trouble, an_actor_outlives_its_methods_mistakes)
{
    trp_actor *actor = spawn("trouble:Trouble", TRP_NOARGS, NULL);
    expect_failure(call(actor, "fail", TRP_ARGS(77, "words")), TRP_ETASK, "words");
    cr_expect_eq(error.cause, 77);
    cr_expect_eq(error.ran, TRP_RAN);
    expect_failure(call(actor, "bare_code", TRP_ARGS(TRP_ENOMEM)), TRP_ETASK, "TRP_ENOMEM");
    expect_failure(call(actor, "bare_code", TRP_ARGS(TRP_ESTOP)), TRP_ESTOP, "");
    expect_failure(call(actor, "return_none", TRP_NOARGS), TRP_ETASK, "");
    cr_expect_eq(error.cause, TRP_EINVAL);
    expect_failure(call(actor, "no_such", TRP_NOARGS), TRP_ENOMETHOD, "it has");
    expect_failure(call(actor, "slow", TRP_ARGS("long")), TRP_ETYPE, "ms");
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    expect(call(actor, "return_twice", TRP_NOARGS), "1");
    expect(call(actor, "fork", TRP_NOARGS), "52");     /* TRP_EFORKED */
    expect(call(actor, "fork_back", TRP_NOARGS), "1"); /* ended, and did not go on as the host */
    expect(call(actor, "slow", TRP_ARGS(1)), "1");
    trp_actor_release(&actor);
}

Test(trouble, arguments_arrive_as_they_were_given)
{
    trp_actor *actor = spawn("trouble:Trouble", TRP_NOARGS, NULL);
    expect(call(actor, "wide",
                TRP_ARGS(1, 2, "three", trp_bytes("4", 1), TRP_LIST(5, 6), TRP_MAP("seven", 7.5), TRP_KW("h", "last"))),
           "[1, 2.0, \"three\", \"bytes:1:34\", [5, 6], {\"seven\": 7.5}, false, \"last\"]");
    trp_actor_release(&actor);
}

/* What a host remembers of a call that it has seen never stands for one that is otherwise. */
Test(trouble, each_call_is_judged_by_its_own_arguments)
{
    trp_actor *actor = spawn("trouble:Trouble", TRP_NOARGS, NULL);
    for (int i = 0; i < 3; i++) {
        char words[16];
        snprintf(words, sizeof words, "words %d", i);
        expect_failure(call(actor, "fail", TRP_ARGS(70 + i, words)), TRP_ETASK, words);
        cr_expect_eq(error.cause, 70 + i);
        expect_failure(call(actor, "fail", TRP_ARGS(words, 1)), TRP_ETYPE, "cause");
        expect_failure(call(actor, "fail", TRP_ARGS(1, trp_bytes(words, 7))), TRP_ETYPE, "text");
        expect_failure(call(actor, "fail", TRP_ARGS(1)), TRP_EINVAL, "text");
        expect_failure(call(actor, "fail", TRP_ARGS(1, words, 2)), TRP_EINVAL, "at most 2");
        expect_failure(call(actor, "fail", TRP_ARGS(TRP_KW("text", "named"), TRP_KW("cause", 5))), TRP_ETASK, "named");
        expect_failure(call(actor, "faix", TRP_ARGS(1, words)), TRP_ENOMETHOD, "faix");
        expect(call(actor, "slow", TRP_ARGS(0)), "0");
    }
    trp_actor_release(&actor);
}

Test(trouble, a_constructor_that_fails_or_crashes_is_every_calls_error)
{
    trp_actor *fails = spawn("trouble:Stillborn", TRP_ARGS("fail"), NULL);
    expect_failure(call(fails, "self", TRP_NOARGS), TRP_EACTORDIED, "not born");
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    trp_actor *crashes = spawn("trouble:Stillborn", TRP_ARGS("abort"), NULL);
    expect_failure(call(crashes, "self", TRP_NOARGS), TRP_EACTORDIED, "SIGABRT");
    trp_actor *unknown = spawn("trouble:Nobody", TRP_NOARGS, NULL);
    expect_failure(call(unknown, "self", TRP_NOARGS), TRP_EACTORDIED, "it has Trouble, Stillborn");
    trp_actor *too_many = spawn("trouble:Trouble", TRP_ARGS(1), NULL);
    expect_failure(call(too_many, "self", TRP_NOARGS), TRP_EACTORDIED, "takes no arguments");
    trp_actor_release(&fails);
    trp_actor_release(&crashes);
    trp_actor_release(&unknown);
    trp_actor_release(&too_many);
}

/* Its calls are in its own queue. What the constructor was told is the cause of every call's error. */
static void
expect_stuck_constructor(void)
{
    trp_actor *actor = spawn("trouble:Stillborn", TRP_ARGS("self"), NULL);
    trp_ref *ref = call(actor, "self", TRP_NOARGS);
    cr_assert_eq(trp_get(ref, PATIENCE_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    cr_expect(strstr(error.message, "could never end") != NULL, "%s", error.message);
    trp_value cause = trp_field(trp_failure(ref), "cause");
    cr_expect_eq(trp_as_i64(trp_field(cause, "number")), TRP_EDEADLOCK);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
}

Test(trouble, a_constructor_that_waits_for_its_own_actor_is_told_so)
{
    expect_stuck_constructor();
}

/* The class is known where it is loaded: the actor is not made, and READY and every call say why. */
static void
expect_unmade(void)
{
    static const struct {
        const char *class_name, *says;
        uint32_t asked;
    } rows[] = {
        {"trouble:Pair", "max_concurrency 3 is asked for, class trouble:Pair declares 2", 3},
        {"trouble:Trouble", "max_concurrency 2 is asked for, class trouble:Trouble declares 1", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trp_actor *actor = NULL;
        trp_ref *ready = NULL, *ref;
        const trp_actor_options options = {.max_concurrency = rows[i].asked};
        cr_assert_eq(trp_spawn(rt, rows[i].class_name, TRP_NOARGS, &options, &actor, &error), TRP_OK, "%s",
                     error.message);
        cr_assert_eq(trp_watch(actor, TRP_WATCH_READY, &ready, &error), TRP_OK, "%s", error.message);
        ref = call(actor, "self", TRP_NOARGS);
        expect_failure(ready, TRP_EINVAL, rows[i].says);
        cr_assert_eq(trp_get(ref, PATIENCE_MS, NULL, &error), TRP_EACTORDIED, "%s", error.message);
        cr_expect(strstr(error.message, rows[i].says) != NULL, "%s", error.message);
        cr_expect(strstr(error.message, "could not be made") != NULL, "%s", error.message);
        cr_expect_eq(error.cause, TRP_EINVAL);
        cr_expect_eq(error.ran, TRP_NOT_RUN);
        trp_ref_release(&ref);
        trp_actor_release(&actor);
    }
}

Test(trouble, more_calls_at_a_time_than_the_class_declares_make_no_actor)
{
    expect_unmade();
}

Test(trouble, an_error_passed_on_keeps_its_cause)
{
    trp_actor *first = spawn("trouble:Trouble", TRP_NOARGS, "first"),
              *second = spawn("trouble:Trouble", TRP_NOARGS, "second");
    trp_ref *ref = call(first, "call_other", TRP_ARGS(second, "fail", 9, "deep down"));
    cr_assert_eq(trp_get(ref, PATIENCE_MS, NULL, &error), TRP_ETASK, "%s", error.message);
    cr_expect_eq(error.cause, 9);
    cr_expect_str_eq(error.actor, "first");
    trp_value cause = trp_field(trp_failure(ref), "cause");
    cr_expect_str_eq(trp_as_str(trp_field(cause, "actor")), "second");
    cr_expect(strstr(trp_as_str(trp_field(cause, "message")), "deep down") != NULL);
    trp_ref_release(&ref);
    expect(call(first, "call_other", TRP_ARGS(second, "slow", 1)), "1");
    trp_actor_release(&first);
    trp_actor_release(&second);
}

Test(trouble, an_actor_can_pass_itself_on)
{
    trp_value value;
    trp_actor *actor = spawn("trouble:Trouble", TRP_NOARGS, NULL);
    trp_ref *ref = call(actor, "self", TRP_NOARGS);
    cr_assert_eq(trp_get(ref, PATIENCE_MS, &value, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(value.kind, TRP_ACTOR);
    cr_expect_str_eq(trp_actor_id(value.as.actor), trp_actor_id(actor));
    expect(call(value.as.actor, "slow", TRP_ARGS(1)), "1");
    trp_ref_release(&ref);
    trp_actor_release(&actor);
}

Test(trouble, a_reply_that_was_put_off_comes_when_it_is_given)
{
    trp_actor *gate = spawn("gate:Gate", TRP_NOARGS, NULL);
    trp_ref *held[3];
    for (int i = 0; i < 3; i++)
        held[i] = call(gate, "hold", TRP_NOARGS);
    expect(call(gate, "waiting", TRP_NOARGS), "3");
    cr_expect_eq(trp_get(held[0], 0, NULL, &error), TRP_ETIMEDOUT);
    expect(call(gate, "open", TRP_ARGS("now")), "3");
    for (int i = 0; i < 3; i++)
        expect(held[i], "\"now\"");
    trp_ref *refused = call(gate, "hold", TRP_NOARGS);
    expect(call(gate, "refuse", TRP_ARGS(4, "no")), "null");
    expect_failure(refused, TRP_ETASK, "the gate stays closed: no");
    cr_expect_eq(error.cause, 4);
    for (int i = 0; i < 50; i++)
        held[i % 3] = NULL;
    trp_ref *many[50];
    for (int i = 0; i < 50; i++)
        many[i] = call(gate, "from_thread", TRP_ARGS(i));
    for (int i = 0; i < 50; i++) {
        char text[8];
        snprintf(text, sizeof text, "%d", i);
        expect(many[i], text);
    }
    trp_actor_release(&gate);
}

static void
expect_promises_failed(void)
{
    trp_actor *gate = spawn("gate:Gate", TRP_NOARGS, NULL), *trouble = spawn("trouble:Trouble", TRP_NOARGS, NULL);
    trp_ref *held = call(gate, "hold", TRP_NOARGS), *never = call(trouble, "never", TRP_NOARGS);
    trp_actor_release(&gate);
    trp_actor_release(&trouble);
    expect_failure(held, TRP_EACTORDIED, "put off");
    expect_failure(never, TRP_EACTORDIED, "put off");
}

Test(trouble, a_reply_that_is_never_given_fails_when_the_actor_ends)
{
    expect_promises_failed();
}

Test(trouble, calls_of_a_class_that_allows_it_run_side_by_side)
{
    trp_ref *refs[4];
    trp_actor *crowd = spawn("gate:Crowd", TRP_NOARGS, NULL);
    for (int i = 0; i < 4; i++)
        refs[i] = call(crowd, "meet", TRP_ARGS(4));
    for (int i = 0; i < 4; i++)
        expect(refs[i], "4");
    trp_actor_release(&crowd);
}

Test(trouble, a_task_waits_for_what_it_was_given_by_name)
{
    trp_ref *inner[2] = {NULL, NULL}, *outer = NULL;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(trp_task(rt, "trouble:slow", TRP_ARGS(2), &inner[i], &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_task(rt, "trouble:wait_for", TRP_ARGS(TRP_LIST(inner[0], inner[1])), &outer, &error), TRP_OK, "%s",
                 error.message);
    expect(outer, "2");
    trp_ref_release(&inner[0]);
    trp_ref_release(&inner[1]);
}

Test(trouble, unknown_modules_and_tasks_say_what_there_is)
{
    static const struct {
        const char *name;
        trp_err err;
        const char *says;
    } rows[] = {
        {"nomodule:x", TRP_ENOENT, "trouble"},
        {"trouble:x", TRP_ENOENT, "wait_for"},
        {"bad_stamp:x", TRP_EMODULE, "abi"},
        {"bad_symbol:missing", TRP_EMODULE, "nobody_has_this_function"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        trp_ref *ref = NULL;
        trp_err err = trp_task(rt, rows[i].name, TRP_NOARGS, &ref, &error);
        cr_assert_eq(err, TRP_OK, "%s", error.message);
        expect_failure(ref, rows[i].err, rows[i].says);
        cr_expect_str_eq(error.method, rows[i].name);
    }
}

/* ------------------------------------------------------------------------------------------------------- local mode */

static void
start_local(void)
{
    trp_config config = {.mode = TRP_MODE_LOCAL, .node = {.module_path = TEST_MODULE_DIR}};
    cr_assert_eq(trp_init(&config, &rt, &error), TRP_OK, "%s", error.message);
}

static void
stop_local(void)
{
    trp_shutdown(&rt);
}

TestSuite(local_trouble, .init = start_local, .fini = stop_local);

/* The thread is the program's own: there is nobody left to tell, and nobody waits for ever. */
Test(local_trouble, code_that_ends_its_thread_ends_the_program, .signal = SIGABRT)
{
    trp_actor *actor = spawn("trouble:Trouble", TRP_NOARGS, NULL);
    trp_err err = trp_get(call(actor, "crash", TRP_ARGS("thread")), PATIENCE_MS, NULL, &error);
    cr_assert_fail("it came back with %s", trp_strerror(err));
}

Test(local_trouble, a_constructor_that_waits_for_its_own_actor_is_told_so)
{
    expect_stuck_constructor();
}

Test(local_trouble, more_calls_at_a_time_than_the_class_declares_make_no_actor)
{
    expect_unmade();
}

Test(local_trouble, a_reply_that_is_never_given_fails_when_the_actor_ends)
{
    expect_promises_failed();
}
