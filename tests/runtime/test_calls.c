/*
 * test_calls.c - calls, references, waits, callbacks, against a broker of the test's own.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <troupe/troupe.h>

#include "fake.h"

TestSuite(calls, .timeout = 30);

static struct fake *fake;
static char directory[128];
static trp_runtime *rt;
static trp_actor *actor;
static trp_error error;

static void
start_with(uint32_t credit)
{
    fake = fake_start(NULL);
    strcpy(directory, fake_directory(fake));
    if (credit > 0)
        fake_credit(fake, credit);
    const trp_config config = {.address = directory};
    cr_assert_eq(trp_init(&config, &rt, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_spawn(rt, "m:C", TRP_NOARGS, NULL, &actor, &error), TRP_OK, "%s", error.message);
}

static void
start(void)
{
    start_with(0);
}

/* The credit is not enough for CALLS. */
enum { CALLS = 16 };
static void
start_short(void)
{
    start_with(8);
}

struct told {
    trp_err err;
    trp_error error;
};

static void
tell(trp_ref *ref, void *user)
{
    struct told *told = user;

    told->err = trp_get(ref, 0, NULL, &told->error);
}

static void
stop(void)
{
    trp_actor_release(&actor);
    trp_shutdown(&rt);
    fake_stop(&fake);
    fake_clean(directory);
}

static trp_ref *
call(const char *method, trp_value args)
{
    trp_ref *ref = NULL;

    cr_assert_eq(trp_call(actor, method, args, &ref, &error), TRP_OK, "%s", error.message);
    return ref;
}

Test(calls, result_is_read_in_place_as_often_as_wanted, .init = start, .fini = stop)
{
    trp_ref *ref = call("echo", TRP_ARGS("hello"));
    trp_value value;

    for (int i = 0; i < 3; i++) {
        cr_assert_eq(trp_get(ref, 20000, &value, &error), TRP_OK, "%s", error.message);
        cr_expect_str_eq(trp_as_str(value), "hello");
        trp_unpin(ref);
    }
    cr_expect_eq(trp_ref_location(ref), TRP_INLINE);
    trp_ref_release(&ref);
}

Test(calls, large_values_come_back_whole, .init = start, .fini = stop)
{
    const size_t size = 3 * 1024 * 1024;
    char *bytes = malloc(size);
    trp_value value;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 7);
    trp_ref *ref = call("echo", TRP_ARGS(trp_bytes(bytes, size)));
    cr_assert_eq(trp_get(ref, 10000, &value, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(value.size, size);
    cr_expect_eq(memcmp(value.as.bytes, bytes, size), 0);
    trp_ref_release(&ref);
    free(bytes);
}

Test(calls, failure_is_the_same_at_each_get, .init = start, .fini = stop)
{
    trp_ref *ref = call("fail", TRP_NOARGS);
    trp_value value;

    cr_expect_eq(trp_failure(ref).kind, TRP_NONE);
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(trp_get(ref, 20000, &value, &error), TRP_ETASK);
        cr_expect_eq(error.cause, 7);
        cr_expect_eq(error.ran, TRP_RAN);
        cr_expect_str_eq(error.message, "it failed, as told");
    }
    cr_expect_eq(trp_ref_location(ref), TRP_FAILED);
    value = trp_failure(ref);
    cr_assert_eq(value.kind, TRP_MAP);
    cr_expect_eq(trp_as_i64(trp_field(value, "code")), TRP_ETASK);
    cr_expect_str_eq(trp_as_str(trp_field(value, "message")), "it failed, as told");
    cr_expect_eq(trp_as_i64(trp_field(value, "number")), 7);
    cr_expect_eq(trp_field(value, "cause").kind, TRP_NULL);
    trp_ref_release(&ref);
}

Test(calls, get_in_vain_leaves_the_reference_as_it_was, .init = start, .fini = stop)
{
    trp_ref *ref = call("hold", TRP_NOARGS);
    trp_value value;

    cr_expect_eq(trp_get(ref, 0, &value, &error), TRP_ETIMEDOUT);
    cr_expect_eq(trp_get(ref, 20, &value, &error), TRP_ETIMEDOUT);
    cr_expect_eq(trp_ref_location(ref), TRP_PENDING);
    cr_assert(fake_await_calls(fake, 1));
    fake_answer_held(fake);
    cr_expect_eq(trp_get(ref, 20000, &value, &error), TRP_OK);
    trp_ref_release(&ref);
}

Test(calls, a_get_in_vain_says_not_run_of_a_call_that_was_never_sent, .init = start_short, .fini = stop)
{
    trp_ref *refs[CALLS];

    for (int i = 0; i < CALLS; i++)
        refs[i] = call("hold", TRP_NOARGS);
    cr_expect_eq(trp_get(refs[0], 20, NULL, &error), TRP_ETIMEDOUT);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    cr_expect_eq(trp_get(refs[CALLS - 1], 20, NULL, &error), TRP_ETIMEDOUT);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    cr_expect_str_eq(error.message, "hold() of actor 'm:C' has no result within 20 ms");
    error.ran = TRP_RAN;
    cr_expect_eq(trp_get(refs[CALLS - 1], 0, NULL, &error), TRP_ETIMEDOUT);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    for (int i = 0; i < CALLS; i++)
        trp_ref_release(&refs[i]);
}

/* Also where a get says it after the shutdown. */
Test(calls, calls_that_were_sent_may_have_run_when_the_runtime_is_shut_down, .init = start_short, .fini = stop)
{
    struct told first = {0}, last = {0};
    trp_ref *refs[CALLS];

    for (int i = 0; i < CALLS; i++)
        refs[i] = call("hold", TRP_NOARGS);
    cr_assert_eq(trp_on_ready(refs[0], tell, &first, &error), TRP_OK);
    cr_assert_eq(trp_on_ready(refs[CALLS - 1], tell, &last, &error), TRP_OK);
    trp_shutdown(&rt);
    cr_expect_eq(first.err, TRP_ECLOSED);
    cr_expect_eq(first.error.ran, TRP_MAY_HAVE_RUN);
    cr_expect_eq(last.err, TRP_ECLOSED);
    cr_expect_eq(last.error.ran, TRP_NOT_RUN);
    cr_expect_eq(trp_get(refs[0], 0, NULL, &error), TRP_ECLOSED);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    cr_expect_eq(trp_get(refs[CALLS - 1], 0, NULL, &error), TRP_ECLOSED);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    for (int i = 0; i < CALLS; i++)
        trp_ref_release(&refs[i]);
}

Test(calls, deadline_ends_a_call, .init = start, .fini = stop)
{
    const trp_request request = {.actor = actor, .method = "hold", .deadline_ms = 30};
    trp_ref *ref = NULL;

    cr_assert_eq(trp_submit(rt, &request, &ref, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_get(ref, 20000, NULL, &error), TRP_ETIMEDOUT);
    cr_expect_eq(trp_ref_location(ref), TRP_FAILED, "it has ended, other than the reference of a get in vain");
    trp_ref_release(&ref);
}

Test(calls, get_all_keeps_the_order_and_names_the_first_failure, .init = start, .fini = stop)
{
    trp_ref *refs[4];
    trp_value values[4];

    for (int i = 0; i < 4; i++)
        refs[i] = call("echo", TRP_ARGS(i));
    cr_assert_eq(trp_get_all(refs, 4, 5000, values, &error), TRP_OK, "%s", error.message);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(trp_as_i64(values[i]), i);
    trp_ref_release(&refs[2]);
    refs[2] = call("fail", TRP_NOARGS);
    cr_expect_eq(trp_get_all(refs, 4, 5000, values, &error), TRP_ETASK);
    cr_expect_eq(trp_get(refs[3], 20000, values, &error), TRP_OK);
    cr_expect_eq(trp_get_all(refs, 0, 0, values, &error), TRP_OK);
    for (int i = 0; i < 4; i++)
        trp_ref_release(&refs[i]);
}

Test(calls, wait_gives_what_has_ended_ascending, .init = start, .fini = stop)
{
    trp_ref *refs[5] = {call("hold", TRP_NOARGS), call("echo", TRP_ARGS(1)), call("hold", TRP_NOARGS),
                        call("fail", TRP_NOARGS), call("echo", TRP_ARGS(2))};
    size_t ready[5], count = 9;

    cr_assert_eq(trp_wait(refs, 5, 3, 20000, ready, &count, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(count, 3);
    cr_expect(ready[0] == 1 && ready[1] == 3 && ready[2] == 4);
    cr_assert_eq(trp_wait(refs, 5, 5, 20, ready, &count, &error), TRP_OK);
    cr_expect_eq(count, 3);
    cr_assert(fake_await_calls(fake, 5));
    fake_answer_held(fake);
    cr_assert_eq(trp_wait(refs, 5, 5, 20000, ready, &count, &error), TRP_OK);
    cr_expect_eq(count, 5);
    for (int i = 0; i < 5; i++)
        trp_ref_release(&refs[i]);
}

Test(calls, refused_waits, .init = start, .fini = stop)
{
    trp_ref *ref = call("echo", TRP_ARGS(1));
    trp_ref *twice[2] = {ref, ref}, *hole[2] = {ref, NULL};
    size_t ready[2], count = 7;

    cr_expect_eq(trp_wait(twice, 2, 1, 0, ready, &count, &error), TRP_EINVAL);
    cr_expect_eq(trp_wait(hole, 2, 1, 0, ready, &count, &error), TRP_EINVAL);
    cr_expect_eq(trp_wait(twice, 1, 0, 0, ready, &count, &error), TRP_EINVAL);
    cr_expect_eq(trp_wait(twice, 1, 2, 0, ready, &count, &error), TRP_EINVAL);
    cr_expect_eq(trp_wait(NULL, 1, 1, 0, ready, &count, &error), TRP_EINVAL);
    cr_expect_eq(trp_wait(twice, 1, 1, 0, NULL, &count, &error), TRP_EINVAL);
    cr_expect_eq(count, 7);
    cr_expect_eq(trp_wait(NULL, 0, 0, 0, ready, &count, &error), TRP_OK);
    cr_expect_eq(count, 0);
    trp_ref_release(&ref);
}

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

Test(calls, wait_for_a_thousand_that_are_ready_costs_little, .init = start, .fini = stop)
{
    enum { COUNT = 1000 };
    static trp_ref *refs[COUNT];
    static size_t ready[COUNT];
    size_t count;
    double best = 1;

    for (int i = 0; i < COUNT; i++)
        refs[i] = call("echo", TRP_ARGS(i));
    cr_assert_eq(trp_wait(refs, COUNT, COUNT, 20000, ready, &count, &error), TRP_OK);
    cr_assert_eq(count, COUNT);
    for (int i = 0; i < 5; i++) {
        const double from = seconds();
        cr_assert_eq(trp_wait(refs, COUNT, COUNT, 0, ready, &count, &error), TRP_OK);
        best = seconds() - from < best ? seconds() - from : best;
    }
    cr_expect_lt(best, 0.002, "%g s", best);
    for (int i = 0; i < COUNT; i++)
        trp_ref_release(&refs[i]);
}

Test(calls, put_values_hold_what_they_name, .init = start, .fini = stop)
{
    trp_ref *inner = NULL, *outer = NULL;
    trp_value value;

    cr_assert_eq(trp_put(rt, trp_str("deep"), &inner, &error), TRP_OK);
    cr_assert_eq(trp_put(rt, TRP_MAP("ref", inner, "actor", actor), &outer, &error), TRP_OK);
    trp_ref_release(&inner);
    cr_assert_eq(trp_get(outer, 0, &value, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_field(value, "ref").kind, TRP_REF);
    inner = trp_ref_retain(trp_field(value, "ref").as.ref);
    cr_expect(trp_field(value, "actor").as.actor == actor);
    trp_ref_release(&outer);
    cr_assert_eq(trp_get(inner, 0, &value, &error), TRP_OK);
    cr_expect_str_eq(trp_as_str(value), "deep");
    trp_ref_release(&inner);
}

Test(calls, chain_of_a_hundred_thousand_values_is_released_without_recursion, .init = start, .fini = stop)
{
    trp_ref *ref = NULL, *next = NULL;
    trp_value value;

    cr_assert_eq(trp_put(rt, trp_i64(0), &ref, &error), TRP_OK);
    for (int i = 0; i < 100000; i++) {
        cr_assert_eq(trp_put(rt, TRP_LIST(ref), &next, &error), TRP_OK);
        trp_ref_release(&ref);
        ref = next;
        next = NULL;
        if (i % 2 == 0)
            cr_assert_eq(trp_get(ref, 0, &value, &error), TRP_OK);
    }
    trp_ref_release(&ref);
}

/* Bad parameters are in test_refusals.c. */
Test(calls, what_no_node_has_is_refused, .init = start, .fini = stop)
{
    trp_ref *ref = NULL;
    trp_actor *other = NULL;
    const trp_request cpus = {.method = "m:f", .num_cpus = 400};
    const trp_actor_options many = {.num_cpus = 1000};
    const trp_actor_options elsewhere = {.node = "moon"};

    cr_expect_eq(trp_submit(rt, &cpus, &ref, &error), TRP_ENORESOURCE);
    cr_expect_eq(trp_spawn(rt, "m:C", TRP_NOARGS, &many, &other, &error), TRP_ENORESOURCE);
    cr_expect_eq(trp_spawn(rt, "m:C", TRP_NOARGS, &elsewhere, &other, &error), TRP_ENORESOURCE);
    cr_expect_eq(trp_lookup(rt, "nope", &other, &error), TRP_ENOENT);
    cr_expect_null(ref);
    cr_expect_null(other);
}

Test(calls, full_window_is_eagain_for_those_who_do_not_wait, .fini = stop)
{
    start_with(8);
    const trp_request request = {.actor = actor, .method = "hold", .flags = TRP_NOWAIT};
    const trp_request patient = {.actor = actor, .method = "echo", .deadline_ms = 50};
    trp_ref *refs[64] = {NULL}, *late = NULL;
    trp_err err = TRP_OK;
    size_t count = 0;

    cr_assert_eq(trp_query(rt, "actors", &late, &error), TRP_OK);
    cr_assert_eq(trp_get(late, 20000, NULL, &error), TRP_OK, "the credit of trp_spawn is back");
    trp_ref_release(&late);
    while (count < 64 && (err = trp_submit(rt, &request, &refs[count], &error)) == TRP_OK)
        count++;
    cr_expect_eq(err, TRP_EAGAIN, "%zu were taken", count);
    cr_expect_leq(count, 8);
    cr_assert_eq(trp_submit(rt, &patient, &late, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_get(late, 20000, NULL, &error), TRP_ETIMEDOUT);
    fake_answer_held(fake);
    for (size_t i = 0; i < count; i++) {
        cr_expect_eq(trp_get(refs[i], 20000, NULL, &error), TRP_OK, "%s", error.message);
        trp_ref_release(&refs[i]);
    }
    trp_ref_release(&late);
}

Test(calls, call_without_a_wait_leaves_within_moments, .init = start, .fini = stop)
{
    cr_assert_eq(trp_send(actor, "echo", TRP_ARGS(1), &error), TRP_OK);
    trp_ref *ref = call("hold", TRP_NOARGS);
    cr_expect(fake_await_calls(fake, 2), "%zu calls came", fake_calls(fake));
    trp_ref_release(&ref);
}

static void
count_up(trp_ref *ref, void *user)
{
    trp_value value;

    cr_expect_eq(trp_get(ref, 0, &value, NULL), TRP_OK);
    (*(int *)user)++;
}

Test(calls, callbacks_run_when_their_owner_says_so, .init = start, .fini = stop)
{
    trp_ref *ref = call("hold", TRP_NOARGS), *now = call("echo", TRP_ARGS(1));
    struct pollfd fd = {.fd = trp_runtime_fd(rt), .events = POLLIN};
    int count = 0;

    cr_assert_geq(fd.fd, 0);
    cr_assert_eq(trp_get(now, 20000, NULL, &error), TRP_OK);
    cr_assert_eq(trp_on_ready(ref, count_up, &count, &error), TRP_OK);
    cr_expect_eq(trp_runtime_process(rt, 0, &error), TRP_ETIMEDOUT);
    cr_assert_eq(trp_on_ready(now, count_up, &count, &error), TRP_OK);
    cr_expect_eq(count, 0, "never from inside a function");
    cr_expect_eq(poll(&fd, 1, 0), 1);
    cr_expect_eq(trp_runtime_process(rt, 0, &error), TRP_OK);
    cr_expect_eq(count, 1);
    cr_expect_eq(poll(&fd, 1, 0), 0);
    cr_assert(fake_await_calls(fake, 2));
    fake_answer_held(fake);
    trp_ref_release(&ref);
    cr_expect_eq(poll(&fd, 1, 20000), 1, "the keeper looks for results while nobody waits");
    cr_expect_eq(trp_runtime_process(rt, 20000, &error), TRP_OK);
    cr_expect_eq(count, 2);
    cr_expect_eq(poll(&fd, 1, 0), 0);
    trp_ref_release(&now);
}

static void
count_closed(trp_ref *ref, void *user)
{
    *(int *)user += trp_get(ref, 0, NULL, NULL) == TRP_ECLOSED;
}

Test(calls, callbacks_that_are_left_run_at_shutdown, .init = start, .fini = stop)
{
    trp_ref *ref = call("hold", TRP_NOARGS);
    int count = 0;

    cr_assert_eq(trp_on_ready(ref, count_closed, &count, &error), TRP_OK);
    trp_ref_release(&ref);
    trp_shutdown(&rt);
    cr_expect_eq(count, 1);
}

Test(calls, ids_are_hex_digits_and_requests_are_answered, .init = start, .fini = stop)
{
    trp_ref *ref = NULL;
    trp_value value;

    cr_expect_eq(strspn(trp_actor_id(actor), "0123456789abcdef"), 32);
    cr_assert_eq(trp_query(rt, "actors", &ref, &error), TRP_OK);
    cr_assert_eq(trp_get(ref, 20000, &value, &error), TRP_OK);
    cr_expect_eq(value.kind, TRP_LIST);
    trp_ref_release(&ref);
    cr_assert_eq(trp_watch(actor, TRP_WATCH_READY, &ref, &error), TRP_OK);
    cr_expect_eq(trp_get(ref, 20000, &value, &error), TRP_OK);
    trp_ref_release(&ref);
    cr_expect_eq(trp_kill(actor, NULL, &error), TRP_OK, "%s", error.message);
}
