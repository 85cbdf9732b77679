/* test_testing.c - troupe/testing.h: calls, the clock that stands, faults, contexts for functions called directly, files. */
#include "tests/testing/teller.c"

#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <troupe/testing.h>
#include <unistd.h>

static trp_runtime *rt;
static trp_error error;

static void
start(void)
{
    static const trp_module *const modules[] = {&troupe_module_teller, NULL};
    cr_assert_eq(trp_test_init(modules, &rt, &error), TRP_OK, "%s", error.message);
}

static void
stop(void)
{
    trp_shutdown(&rt);
}

static trp_actor *
spawn(const char *name)
{
    const trp_actor_options options = {.name = name};
    trp_actor *actor = NULL;
    cr_assert_eq(trp_spawn(rt, "teller:Teller", TRP_NOARGS, &options, &actor, &error), TRP_OK, "%s", error.message);
    return actor;
}

static trp_ref *
call(trp_actor *actor, const char *method, trp_value args)
{
    trp_ref *ref = NULL;
    cr_assert_eq(trp_call(actor, method, args, &ref, &error), TRP_OK, "%s", error.message);
    return ref;
}

static void
inject(trp_test_fault fault)
{
    cr_assert_eq(trp_test_inject(rt, &fault, &error), TRP_OK, "%s", error.message);
}

/* The call gives this value. */
static void
says(trp_actor *actor, const char *method, trp_value args, trp_value expected)
{
    trp_value value;
    char text[200];
    cr_assert_eq(trp_test_call(actor, method, args, &value, &error), TRP_OK, "%s", error.message);
    trp_format(value, text, sizeof text);
    cr_expect(trp_equal(value, expected), "%s gave %s", method, text);
}

TestSuite(local, .init = start, .fini = stop);

/* --- calls --- */

Test(local, a_call_gives_its_value_or_its_error)
{
    trp_actor *teller = spawn(NULL);
    says(teller, "add", TRP_ARGS(5), trp_i64(5));
    says(teller, "add", TRP_NOARGS, trp_i64(6));
    cr_expect_eq(trp_test_call(teller, "add", TRP_ARGS(-7), NULL, &error), TRP_ETASK);
    cr_expect_str_eq(error.message, "1 is owed.");
    cr_expect_eq(trp_test_call(teller, "subtract", TRP_NOARGS, NULL, &error), TRP_ENOMETHOD);
    cr_expect_eq(trp_test_call(NULL, "add", TRP_NOARGS, NULL, &error), TRP_EINVAL);
    trp_actor_release(&teller);
}

/* --- the clock --- */

Test(local, a_wait_for_what_never_comes_ends_at_once)
{
    trp_actor *teller = spawn(NULL);
    trp_ref *ref = call(teller, "later", TRP_NOARGS);
    cr_expect_eq(trp_get(ref, 3600 * 1000, NULL, &error), TRP_ETIMEDOUT);
    cr_expect_eq(trp_test_now_ms(rt), 3600 * 1000);
    trp_ref_release(&ref);
    trp_actor_release(&teller);
}

Test(local, a_method_that_waits_takes_its_other_way_when_time_is_up)
{
    trp_actor *teller = spawn("one"), *silent = spawn("two");
    says(teller, "ask", TRP_ARGS(silent), trp_str("nobody answers"));
    cr_expect_eq(trp_test_now_ms(rt), 60000);
    trp_actor_release(&teller);
    trp_actor_release(&silent);
}

/* Both are on one thread: the outer wait can end only when the inner one has. */
static void
expect_both_end(void)
{
    trp_actor *teller = spawn("one"), *silent = spawn("two");
    trp_ref *ref = call(teller, "insist", TRP_ARGS(silent));
    cr_expect_eq(trp_get(ref, 200, NULL, &error), TRP_ETIMEDOUT, "%s", error.message);
    cr_expect(strstr(error.message, " has no result within 200 ms") != NULL, "%s", error.message);
    cr_expect_eq(trp_get(ref, TRP_FOREVER, NULL, &error), TRP_ETASK, "%s", error.message);
    cr_expect_eq(error.cause, TRP_ETIMEDOUT);
    cr_expect_str_eq(error.message, "later() of actor 'two' has no result before who waits for this call had waited "
                                    "long enough: they have one thread");
    trp_ref_release(&ref);
    says(teller, "heard", TRP_NOARGS, trp_i64(TRP_ETIMEDOUT));
    ref = call(teller, "insist", TRP_ARGS(silent));
    cr_expect_eq(trp_get_all(&ref, 1, 100, NULL, &error), TRP_ETIMEDOUT, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&teller);
    trp_actor_release(&silent);
}

Test(local, a_method_that_waits_for_ever_gives_way_when_its_callers_time_is_up)
{
    expect_both_end();
}

Test(plain, a_method_that_waits_for_ever_gives_way_by_the_clock_that_runs)
{
    static const trp_module *const modules[] = {&troupe_module_teller, NULL};
    const trp_config config = {.mode = TRP_MODE_LOCAL, .modules = modules};
    cr_assert_eq(trp_init(&config, &rt, &error), TRP_OK, "%s", error.message);
    expect_both_end();
    trp_shutdown(&rt);
}

Test(local, advancing_lets_deadlines_pass_in_their_order)
{
    trp_actor *teller = spawn(NULL);
    trp_ref *refs[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        const trp_request request = {.actor = teller, .method = "later", .deadline_ms = 1000 * (i + 1)};
        cr_assert_eq(trp_submit(rt, &request, &refs[i], &error), TRP_OK, "%s", error.message);
    }
    cr_assert_eq(trp_test_advance(rt, 1500, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_test_now_ms(rt), 1500);
    cr_expect_eq(trp_ref_location(refs[0]), TRP_FAILED);
    cr_expect_eq(trp_ref_location(refs[1]), TRP_PENDING);
    cr_assert_eq(trp_test_advance(rt, 500, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_get(refs[1], 0, NULL, &error), TRP_ETIMEDOUT);
    cr_expect_eq(trp_ref_location(refs[1]), TRP_FAILED);
    trp_ref_release(&refs[0]);
    trp_ref_release(&refs[1]);
    trp_actor_release(&teller);
}

Test(local, what_the_node_keeps_goes_when_its_time_has_passed)
{
    trp_ref *kept = NULL, *found = NULL;
    cr_assert_eq(trp_put(rt, trp_i64(7), &kept, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_keep(kept, "seven", 60000, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&kept);
    cr_expect_eq(trp_test_advance(rt, 59000, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_kept(rt, "seven", &found, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&found);
    cr_expect_eq(trp_test_advance(rt, 1100, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_kept(rt, "seven", &found, &error), TRP_ENOENT, "%s", error.message);
}

Test(local, time_stands_while_nobody_moves_it)
{
    trp_actor *teller = spawn(NULL);
    for (int i = 1; i <= 100; i++)
        says(teller, "add", TRP_NOARGS, trp_i64(i));
    cr_expect_eq(trp_test_now_ms(rt), 0);
    cr_expect_eq(trp_test_advance(rt, 0, &error), TRP_OK);
    cr_expect_eq(trp_test_advance(rt, -1, &error), TRP_EINVAL);
    cr_expect_str_eq(error.message, "ms is -1; it has to be 0 or more milliseconds");
    trp_actor_release(&teller);
}

static void *
answer(void *reply)
{
    trp_reply *given = reply;
    trp_reply_value(&given, trp_str("from a thread"));
    return NULL;
}

Test(local, an_answer_of_another_thread_is_waited_for_without_a_timeout)
{
    trp_ctx *ctx = NULL;
    struct teller state = {0};
    pthread_t thread;
    cr_assert_eq(trp_test_ctx(rt, NULL, TRP_NOARGS, &ctx, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(teller_later(ctx, &state), TRP_OK);
    cr_expect_eq(trp_test_result(ctx).kind, TRP_NONE);
    cr_assert_eq(pthread_create(&thread, NULL, answer, state.replies[0]), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_str_eq(trp_as_str(trp_test_result(ctx)), "from a thread");
    trp_test_ctx_free(&ctx);
}

/* --- faults --- */

Test(local, a_call_fails_as_told_and_is_not_run)
{
    trp_actor *teller = spawn("Ann");
    inject((trp_test_fault){.actor = "Ann", .method = "add", .skip = 1, .times = 2, .code = TRP_EUNAVAILABLE});
    cr_expect_eq(trp_test_pending(rt), 2);
    says(teller, "add", TRP_ARGS(1), trp_i64(1));
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(trp_test_call(teller, "add", TRP_ARGS(10), NULL, &error), TRP_EUNAVAILABLE);
        cr_expect_eq(error.ran, TRP_NOT_RUN);
        cr_expect_str_eq(error.message, trp_strerror(TRP_EUNAVAILABLE));
        cr_expect_str_eq(error.actor, "Ann");
        cr_expect_str_eq(error.method, "add");
    }
    cr_expect_eq(trp_test_pending(rt), 0);
    says(teller, "add", TRP_ARGS(1), trp_i64(2));
    trp_actor_release(&teller);
}

Test(local, an_answer_is_lost_after_the_method_ran)
{
    trp_actor *teller = spawn(NULL), *other = spawn("other");
    inject((trp_test_fault){.method = "add", .code = TRP_EBROKER, .runs = true, .message = "the line is cut"});
    cr_expect_eq(trp_test_call(teller, "add", TRP_ARGS(10), NULL, &error), TRP_EBROKER);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    cr_expect_str_eq(error.message, "the line is cut");
    says(teller, "add", TRP_ARGS(1), trp_i64(11));
    inject((trp_test_fault){.method = "later", .code = TRP_EOBJLOST, .runs = true});
    cr_expect_eq(trp_test_call(teller, "later", TRP_NOARGS, NULL, &error), TRP_EOBJLOST);
    says(teller, "now", TRP_ARGS(1), trp_null());
    inject((trp_test_fault){.method = "pass", .code = TRP_EOBJLOST, .runs = true});
    cr_expect_eq(trp_test_call(teller, "pass", TRP_ARGS(other, 3), NULL, &error), TRP_EOBJLOST);
    says(other, "add", TRP_ARGS(1), trp_i64(4));
    trp_actor_release(&teller);
    trp_actor_release(&other);
}

Test(local, a_methods_failure_has_the_number_that_was_told)
{
    trp_actor *teller = spawn(NULL);
    inject((trp_test_fault){.actor = "teller:Teller", .code = TRP_ETASK, .cause = 77, .message = "no"});
    cr_expect_eq(trp_test_call(teller, "add", TRP_NOARGS, NULL, &error), TRP_EACTORDIED,
                 "the constructor is a call, too");
    trp_actor_release(&teller);
    teller = spawn(NULL);
    says(teller, "add", TRP_ARGS(1), trp_i64(1));
    inject((trp_test_fault){.method = "add", .code = TRP_ETASK, .cause = 77, .message = "no"});
    cr_expect_eq(trp_test_call(teller, "add", TRP_NOARGS, NULL, &error), TRP_ETASK);
    cr_expect_eq(error.cause, 77);
    cr_expect_eq(error.ran, TRP_RAN);
    trp_actor_release(&teller);
}

Test(local, a_constructor_fails_as_told)
{
    trp_actor *teller = NULL;
    inject((trp_test_fault){.actor = "teller:Teller", .method = "init", .code = TRP_ENOMEM, .message = "no room"});
    teller = spawn(NULL);
    cr_expect_eq(trp_test_call(teller, "add", TRP_NOARGS, NULL, &error), TRP_EACTORDIED);
    cr_expect(strstr(error.message, "its constructor failed: no room") != NULL, "%s", error.message);
    trp_actor_release(&teller);
}

Test(local, an_actor_dies_in_a_method_and_takes_what_waits_along)
{
    trp_actor *teller = spawn("Bob");
    trp_ref *first, *second, *death = NULL;
    trp_value record;
    inject((trp_test_fault){.actor = "Bob", .method = "add", .dies = true, .runs = true});
    cr_assert_eq(trp_watch(teller, TRP_WATCH_DEATH, &death, &error), TRP_OK);
    first = call(teller, "add", TRP_ARGS(1));
    second = call(teller, "say", TRP_ARGS("x"));
    cr_expect_eq(trp_get(first, 1000, NULL, &error), TRP_EACTORDIED);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    cr_expect(strstr(error.message, "ended by signal 11 (SIGSEGV). The call of add may have run.") != NULL, "%s",
              error.message);
    cr_expect_eq(trp_at(trp_failure(first), 9).kind, TRP_MAP, "there is a death record");
    cr_expect_eq(trp_get(second, 1000, NULL, &error), TRP_EACTORDIED);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    cr_expect_eq(trp_field(trp_field(trp_failure(second), "death"), "signal").as.i64, 11);
    cr_assert_eq(trp_get(death, 1000, &record, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_field(record, "signal").as.i64, 11);
    cr_expect_eq(trp_field(record, "exit_code").as.i64, -1);
    cr_expect_str_eq(trp_as_str(trp_field(record, "method")), "add");
    cr_expect_eq(teller_ended, 0, "fini does not run after a crash");
    trp_ref_release(&first);
    trp_ref_release(&second);
    trp_ref_release(&death);
    trp_actor_release(&teller);
}

Test(local, an_actor_dies_before_a_method_or_in_its_constructor)
{
    trp_actor *teller = spawn(NULL);
    trp_ref *ready = NULL;
    inject((trp_test_fault){.method = "add", .dies = true});
    cr_expect_eq(trp_test_call(teller, "add", TRP_NOARGS, NULL, &error), TRP_EACTORDIED);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    cr_expect_eq(trp_test_crash(teller, &error), TRP_OK, "of a dead one");
    trp_actor_release(&teller);
    inject((trp_test_fault){.method = "init", .dies = true});
    teller = spawn(NULL);
    cr_assert_eq(trp_watch(teller, TRP_WATCH_READY, &ready, &error), TRP_OK);
    cr_expect_eq(trp_get(ready, 1000, NULL, &error), TRP_EACTORDIED);
    trp_ref_release(&ready);
    trp_actor_release(&teller);
    cr_expect_eq(teller_ended, 0);
}

Test(local, a_task_dies_with_its_process)
{
    trp_ref *ref = NULL;
    inject((trp_test_fault){.method = "teller:double", .dies = true, .runs = true});
    cr_assert_eq(trp_task(rt, "teller:double", TRP_ARGS(2), &ref, &error), TRP_OK);
    cr_expect_eq(trp_get(ref, 1000, NULL, &error), TRP_EACTORDIED);
    cr_expect(strstr(error.message, "The task's host on node 'local' died: ") == error.message, "%s", error.message);
    trp_ref_release(&ref);
}

Test(local, an_actor_is_crashed_from_outside)
{
    trp_actor *teller = spawn("Cid"), *again = NULL;
    trp_ref *later = call(teller, "later", TRP_NOARGS);
    cr_assert_eq(trp_test_crash(teller, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_get(later, TRP_FOREVER, NULL, &error), TRP_EACTORDIED, "%s", error.message);
    cr_expect_eq(trp_test_call(teller, "add", TRP_NOARGS, NULL, &error), TRP_EACTORDIED);
    again = spawn("Cid"); /* the name is free */
    says(again, "add", TRP_ARGS(2), trp_i64(2));
    trp_ref_release(&later);
    trp_actor_release(&teller);
    trp_actor_release(&again);
}

Test(local, memory_runs_out_at_each_allocation)
{
    trp_actor *teller = spawn(NULL);
    inject((trp_test_fault){.method = "say", .alloc = 1});
    cr_expect_eq(trp_test_call(teller, "say", TRP_ARGS("a"), NULL, &error), TRP_ETASK);
    cr_expect_str_eq(error.message, "There is no first piece.");
    inject((trp_test_fault){.method = "say", .alloc = 2});
    cr_expect_eq(trp_test_call(teller, "say", TRP_ARGS("a"), NULL, &error), TRP_ETASK);
    cr_expect_str_eq(error.message, "There is no second piece.");
    cr_expect_eq(error.cause, TRP_ENOMEM);
    inject((trp_test_fault){.method = "say", .alloc = 3});
    says(teller, "say", TRP_ARGS("a"), trp_str("a"));
    trp_actor_release(&teller);
}

Test(local, faults_that_make_no_sense_are_refused)
{
    const struct {
        trp_test_fault fault;
        const char *says;
    } rows[] = {
        {{.method = "add"}, "fault has none of code, dies and alloc; exactly one of them has to be set"},
        {{.code = TRP_ENOMEM, .dies = true},
         "fault has more than one of code, dies and alloc; exactly one of them has to be set"},
        {{.dies = true, .alloc = 1},
         "fault has more than one of code, dies and alloc; exactly one of them has to be set"},
        {{.method = "", .dies = true}, "fault.method is empty"},
        {{.actor = "a\nb", .dies = true}, "fault.actor is 'a b', with the control character 0x0a at byte 1"},
        {{.dies = true, .reserved = {0, 1}}, "fault.reserved[1] is not 0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(trp_test_inject(rt, &rows[i].fault, &error), TRP_EINVAL, "row %zu", i);
        cr_expect_str_eq(error.message, rows[i].says);
    }
    cr_expect_eq(trp_test_inject(rt, NULL, &error), TRP_EINVAL);
    cr_expect_eq(trp_test_inject(NULL, &rows[2].fault, NULL), TRP_EINVAL);
    cr_expect_eq(trp_test_pending(rt), 0);
}

/* --- functions called directly --- */

static trp_ctx *
context(const char *description, trp_value args)
{
    trp_ctx *ctx = NULL;
    cr_assert_eq(trp_test_ctx(rt, description, args, &ctx, &error), TRP_OK, "%s", error.message);
    return ctx;
}

Test(local, a_function_is_called_directly)
{
    struct teller state = {.sum = 2};
    trp_ctx *ctx = context("amount:i=1", TRP_ARGS(5));
    cr_expect_eq(teller_add(ctx, &state), TRP_OK);
    cr_expect(trp_equal(trp_test_result(ctx), trp_i64(7)));
    trp_test_ctx_free(&ctx);
    cr_expect_null(ctx);
    ctx = context("amount:i=1", TRP_ARGS(TRP_KW("amount", -100)));
    cr_expect_eq(teller_add(ctx, &state), TRP_ETASK);
    cr_expect_eq(trp_test_result(ctx).kind, TRP_NONE);
    cr_expect_str_eq(ctx->error->message, "93 is owed.");
    cr_expect_eq(ctx->error->cause, TRP_EINVAL);
    trp_test_ctx_free(&ctx);
    trp_test_ctx_free(&ctx);
    trp_test_ctx_free(NULL);
}

Test(local, a_context_has_what_a_host_gives)
{
    trp_ctx *ctx = context("a:i=1, b:d=2, c:s=null", TRP_ARGS(3, TRP_KW("b", 4)));
    cr_expect_eq(ctx->args[0].as.i64, 3);
    cr_expect_eq(ctx->args[1].kind, TRP_F64);
    cr_expect_eq(ctx->args[2].kind, TRP_NULL);
    cr_expect_eq(ctx->runtime, rt);
    cr_expect_null(ctx->actor);
    cr_expect_str_eq(ctx->place->node, "local");
    cr_expect_not_null(trp_alloc(ctx, 10));
    cr_expect_not(trp_cancelled(ctx));
    trp_test_cancel(ctx);
    cr_expect(trp_cancelled(ctx));
    cr_expect_eq(teller_work(ctx, NULL), TRP_ECANCELLED);
    trp_test_ctx_free(&ctx);
}

Test(local, arguments_that_do_not_fit_are_refused)
{
    const struct {
        const char *description;
        trp_value args;
        trp_err err;
        const char *says;
    } rows[] = {
        {"a:i", TRP_NOARGS, TRP_EINVAL, "function: parameter 'a' is missing; it wants an int64"},
        {"a:i", TRP_ARGS("x"), TRP_ETYPE, "function: parameter 'a' wants an int64, found a string"},
        {"a:i", TRP_ARGS(1, 2), TRP_EINVAL, NULL},
        {"a:i", TRP_ARGS(TRP_KW("b", 1)), TRP_EINVAL, NULL},
        {NULL, TRP_ARGS(1), TRP_EINVAL, NULL},
        {"a:q", TRP_ARGS(1), TRP_EMODULE, NULL},
        {"a", TRP_ARGS(1), TRP_EMODULE, NULL},
        {"a:i", trp_i64(1), TRP_EINVAL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trp_ctx *ctx = NULL;
        cr_expect_eq(trp_test_ctx(rt, rows[i].description, rows[i].args, &ctx, &error), rows[i].err, "row %zu: %s", i,
                     error.message);
        cr_expect_null(ctx);
        if (rows[i].says != NULL)
            cr_expect_str_eq(error.message, rows[i].says);
    }
    cr_expect_eq(trp_test_ctx(rt, NULL, TRP_NOARGS, NULL, &error), TRP_EINVAL);
}

Test(local, references_are_passed_as_their_values)
{
    struct teller state = {0};
    trp_ref *ref = NULL;
    trp_ctx *ctx;
    cr_assert_eq(trp_task(rt, "teller:double", TRP_ARGS(21), &ref, &error), TRP_OK);
    ctx = context("amount:i", TRP_ARGS(TRP_KW("amount", ref)));
    cr_expect_eq(teller_add(ctx, &state), TRP_OK);
    cr_expect_eq(state.sum, 42);
    trp_test_ctx_free(&ctx);
    trp_ref_release(&ref);
}

Test(local, a_delegated_result_is_there_when_its_reference_is)
{
    trp_actor *teller = spawn(NULL);
    trp_ctx *ctx = context("other:a, amount:i", TRP_ARGS(teller, 3));
    cr_expect_eq(teller_pass(ctx, NULL), TRP_OK);
    cr_expect_eq(trp_test_result(ctx).kind, TRP_NONE, "nothing has run");
    cr_expect_eq(trp_test_advance(rt, 0, &error), TRP_OK);
    cr_expect_eq(trp_test_result(ctx).as.i64, 3);
    trp_test_ctx_free(&ctx);
    trp_actor_release(&teller);
}

Test(local, a_result_keeps_the_references_in_it)
{
    trp_ctx *ctx = context("value:v", TRP_ARGS("kept"));
    trp_value list, value;
    cr_assert_eq(teller_object(ctx, NULL), TRP_OK, "%s", ctx->error->message);
    list = trp_test_result(ctx);
    cr_assert_eq(trp_at(list, 0).kind, TRP_REF);
    cr_assert_eq(trp_get(trp_at(list, 0).as.ref, 1000, &value, &error), TRP_OK, "%s", error.message);
    cr_expect_str_eq(trp_as_str(value), "kept");
    trp_test_ctx_free(&ctx);
}

Test(local, a_deferred_reply_may_come_late_or_fail)
{
    struct teller state = {0};
    trp_ctx *ctx = context(NULL, TRP_NOARGS), *now = context("value:v", TRP_ARGS("now"));
    cr_expect_eq(teller_later(ctx, &state), TRP_OK);
    cr_expect_eq(teller_now(now, &state), TRP_OK);
    cr_expect_str_eq(trp_as_str(trp_test_result(ctx)), "now");
    cr_expect_eq(trp_test_result(now).kind, TRP_NONE);
    trp_test_ctx_free(&ctx);
    trp_test_ctx_free(&now);
    ctx = context(NULL, TRP_NOARGS);
    cr_expect_eq(teller_later(ctx, &state), TRP_OK);
    teller_fini(&state);
    cr_expect_eq(trp_test_result(ctx).kind, TRP_NONE);
    cr_expect_str_eq(ctx->error->message, "The teller has gone home.");
    trp_test_ctx_free(&ctx);
    ctx = context(NULL, TRP_NOARGS);
    cr_expect_eq(teller_later(ctx, &state), TRP_OK);
    cr_expect_not(trp_reply_cancelled(state.replies[0]));
    trp_test_ctx_free(&ctx);
    cr_expect(trp_reply_cancelled(state.replies[0]));
    trp_reply_value(&state.replies[0], trp_i64(1)); /* nobody is there any more */
    cr_expect_not(trp_reply_cancelled(state.replies[0]), "it is answered");
    ctx = context(NULL, TRP_NOARGS);
    cr_expect_eq(teller_later(ctx, &state), TRP_OK);
    trp_test_cancel(ctx);
    cr_expect(trp_reply_cancelled(state.replies[1]));
    trp_reply_value(&state.replies[1], trp_i64(1));
    trp_test_ctx_free(&ctx);
}

/* --- where none of it is allowed --- */

static trp_err
task_misuse(trp_ctx *ctx)
{
    const trp_test_fault fault = {.dies = true};
    trp_ctx *made = NULL;
    TRP_TRY(trp_return(ctx, trp_i64(trp_test_pending(ctx->runtime) + trp_test_now_ms(ctx->runtime))));
    if (trp_test_advance(ctx->runtime, 1, ctx->error) != TRP_EINVAL ||
        trp_test_clock(ctx->runtime, NULL) != TRP_EINVAL || trp_test_inject(ctx->runtime, &fault, NULL) != TRP_EINVAL ||
        trp_test_ctx(ctx->runtime, NULL, TRP_NOARGS, &made, NULL) != TRP_EINVAL)
        return trp_fail(ctx, 0, "a method may use what is for tests");
    return TRP_EINVAL;
}

static const trp_function misuse_tasks[] = {{.name = "all", .fn = task_misuse}, {0}};
TRP_MODULE(misuse, .tasks = misuse_tasks);

Test(misuse, a_method_may_use_nothing_of_it)
{
    trp_ref *ref = NULL;
    cr_assert_eq(trp_test_init((const trp_module *[]){&troupe_module_misuse, NULL}, &rt, &error), TRP_OK);
    cr_assert_eq(trp_task(rt, "misuse:all", TRP_NOARGS, &ref, &error), TRP_OK);
    cr_expect_eq(trp_get(ref, 1000, NULL, &error), TRP_ETASK);
    cr_expect_str_eq(error.message, "trp_test_advance is for the test, and not for a method");
    trp_ref_release(&ref);
    trp_shutdown(&rt);
}

Test(misuse, the_clock_runs_until_it_is_made_to_stand)
{
    const trp_config config = {.mode = TRP_MODE_LOCAL};
    cr_assert_eq(trp_init(&config, &rt, &error), TRP_OK);
    cr_expect_eq(trp_test_advance(rt, 1, &error), TRP_EINVAL);
    cr_expect_eq(trp_test_now_ms(rt), 0);
    cr_expect_eq(trp_test_clock(rt, &error), TRP_OK);
    cr_expect_eq(trp_test_clock(rt, &error), TRP_OK);
    cr_expect_eq(trp_test_advance(rt, 10, &error), TRP_OK);
    cr_expect_eq(trp_test_now_ms(rt), 10);
    trp_shutdown(&rt);
    cr_expect_eq(trp_test_advance(rt, 1, &error), TRP_EINVAL, "there is no runtime");
}

/* --- files --- */

static void
copy_file(const char *from, const char *to)
{
    char command[1000];
    snprintf(command, sizeof command, "cp '%s' '%s' && chmod 755 '%s'", from, to, to);
    cr_assert_eq(system(command), 0, "%s", command);
}

Test(files, a_module_is_loaded_as_a_host_would)
{
    const trp_module *module = NULL;
    trp_value value;
    trp_actor *counter = NULL;
    char directory[] = "/tmp/troupe-testing-XXXXXX", file[100];
    cr_assert_not_null(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/counter.so", directory);
    copy_file(EXAMPLES_DIR "/counter.so", file);
    cr_assert_eq(trp_test_load(file, &module, &error), TRP_OK, "%s", error.message);
    cr_expect_str_eq(module->name, "counter");
    cr_assert_eq(trp_test_init((const trp_module *[]){module, NULL}, &rt, &error), TRP_OK);
    cr_assert_eq(trp_spawn(rt, "counter:Counter", TRP_NOARGS, NULL, &counter, &error), TRP_OK);
    cr_expect_eq(trp_test_call(counter, "increment", TRP_NOARGS, &value, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(value.as.i64, 1);
    trp_actor_release(&counter);
    trp_shutdown(&rt);
    unlink(file);
    rmdir(directory);
}

Test(files, what_is_no_module_is_refused_with_the_loaders_words)
{
    char directory[] = "/tmp/troupe-testing-XXXXXX", file[200];
    const struct {
        const char *from, *name;
        int mode;
        trp_err err;
        const char *says;
    } rows[] = {
        {EXAMPLES_DIR "/counter.so", "other.so", 0755, TRP_EMODULE,
         "describes the module 'counter': it has to be called counter.so"},
        {EXAMPLES_DIR "/counter.so", "counter.so", 0775, TRP_EACCES, "can be written by others (mode 0775)"},
        {EXAMPLES_DIR "/counter.so", "counter.txt", 0755, TRP_EINVAL, "is not the name of a module's file"},
        {EXAMPLES_DIR "/counter.so", "my-counter.so", 0755, TRP_EINVAL, "is not the name of a module's file"},
        {TEST_MODULE_DIR "/bad_stamp.so", "bad_stamp.so", 0755, TRP_EMODULE, "was built for another version"},
        {TEST_MODULE_DIR "/bad_name.so", "bad_name.so", 0755, TRP_EMODULE, "calls itself"},
        {TEST_MODULE_DIR "/bad_symbol.so", "bad_symbol.so", 0755, TRP_EMODULE, "cannot be loaded"},
        {TEST_MODULE_DIR "/bad_rows.so", "bad_rows.so", 0755, TRP_EMODULE, "cannot be used"},
        {"/etc/passwd", "passwd.so", 0755, TRP_EMODULE, "is not a shared object"},
        {NULL, "none.so", 0755, TRP_ENOENT, "cannot look at"},
    };
    cr_assert_not_null(mkdtemp(directory));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const trp_module *module = NULL;
        snprintf(file, sizeof file, "%s/%s", directory, rows[i].name);
        if (rows[i].from != NULL) {
            copy_file(rows[i].from, file);
            cr_assert_eq(chmod(file, (mode_t)rows[i].mode), 0);
        }
        cr_expect_eq(trp_test_load(file, &module, &error), rows[i].err, "row %zu: %s", i, error.message);
        cr_expect(strstr(error.message, rows[i].says) != NULL, "row %zu: %s", i, error.message);
        cr_expect_null(module);
        unlink(file);
    }
    rmdir(directory);
    cr_expect_eq(trp_test_load(NULL, NULL, &error), TRP_EINVAL);
}
