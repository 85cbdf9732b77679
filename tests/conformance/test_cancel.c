/*
 * test_cancel.c - trp_cancel: what waits never runs, what runs sees it, what it called goes with it; each on a private node, a
 * node service, in local mode.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/conformance/stage.h"

/* Whether a file of the row comes within 20 s. */
static bool
comes(const char *name)
{
    const time_t until = time(NULL) + 20;
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", stage_directory(), name);
    while (access(path, F_OK) != 0) {
        if (time(NULL) >= until)
            return false;
        sched_yield();
    }
    (void)unlink(path);
    return true;
}

/* Cancels, from another thread: in local mode this one runs the methods. First what waits behind the one that runs. */
struct canceller {
    pthread_t thread;
    trp_ref *behind, *running;
};

static void *
cancel_when_it_runs(void *user)
{
    struct canceller *canceller = user;
    trp_error error;

    cr_assert(comes("runs"));
    if (canceller->behind != NULL) {
        cr_expect_eq(trp_cancel(canceller->behind, 0, &error), TRP_OK, "%s", error.message);
        cr_expect_eq(trp_cancel(canceller->behind, 0, &error), TRP_OK, "%s", error.message);
    }
    cr_expect_eq(trp_cancel(canceller->running, 0, &error), TRP_OK, "%s", error.message);
    return NULL;
}

static void
start_canceller(struct canceller *canceller)
{
    cr_assert_eq(pthread_create(&canceller->thread, NULL, cancel_when_it_runs, canceller), 0);
}

/* Waits for what was cancelled. */
static void
expect_cancelled(struct canceller *canceller, trp_ran ran, const char *says)
{
    trp_error error;

    cr_expect_eq(trp_get(canceller->running, 20000, NULL, &error), TRP_ECANCELLED, "%s", error.message);
    cr_expect_eq(error.ran, ran, "%s", error.message);
    cr_expect(strstr(error.message, says) != NULL, "%s", error.message);
    (void)pthread_join(canceller->thread, NULL);
    cr_expect_eq(trp_get(canceller->running, 0, NULL, &error), TRP_ECANCELLED, "each time: %s", error.message);
    trp_ref_release(&canceller->running);
}

static const struct {
    int how;
    const char *says;
} leaves[] = {{0, "left when it was cancelled"}, {1, "its time was up"}, {2, "returned after it was cancelled"}};

ROW(what_waits_behind_a_call_never_runs_and_what_runs_sees_it)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, "patient");
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        struct canceller canceller = {0};
        trp_error error;
        canceller.running = stage_call(log, "last", TRP_ARGS(stage_directory(), leaves[i].how));
        canceller.behind = stage_call(log, "append", TRP_ARGS(1));
        start_canceller(&canceller);
        expect_cancelled(&canceller, TRP_RAN, leaves[i].says);
        stage_expect_error(canceller.behind, TRP_ECANCELLED, &error);
        cr_expect_eq(error.ran, TRP_NOT_RUN, "%s", error.message);
        cr_expect_str_eq(error.method, "append", "%s", error.message);
    }
    stage_says(log, "read", TRP_NOARGS, "[]");
    trp_actor_release(&log);
}

ROW(a_task_sees_that_it_is_cancelled)
{
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        struct canceller canceller = {0};
        canceller.running = stage_task(rt, "conformance:last", TRP_ARGS(stage_directory(), leaves[i].how));
        start_canceller(&canceller);
        expect_cancelled(&canceller, TRP_RAN, leaves[i].says);
    }
}

ROW(what_a_cancelled_call_waits_for_is_cancelled_with_it)
{
    struct canceller canceller = {.running = stage_task(rt, "conformance:parent", TRP_ARGS(stage_directory()))};
    start_canceller(&canceller);
    expect_cancelled(&canceller, TRP_RAN, "");
    cr_expect(comes("seen"), "the task that it had called goes on");
}

ROW(what_a_cancelled_call_was_handed_on_to_is_cancelled_with_it)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    struct canceller canceller = {.running = stage_call(log, "hand_on", TRP_ARGS(stage_directory()))};
    start_canceller(&canceller);
    expect_cancelled(&canceller, TRP_RAN, "");
    cr_expect(comes("seen"), "the task that it was handed on to goes on");
    stage_says(log, "append", TRP_ARGS(1), "1");
    trp_actor_release(&log);
}

ROW(a_cancelled_call_sends_and_neither_calls_nor_waits)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    struct canceller canceller = {.running = stage_call(log, "clean_up", TRP_ARGS(stage_directory()))};
    trp_error error;
    start_canceller(&canceller);
    cr_expect_eq(trp_get(canceller.running, 20000, NULL, &error), TRP_ECANCELLED, "%s", error.message);
    cr_expect_eq(error.cause, TRP_ECANCELLED, "what its calls gave: %s", error.message);
    expect_cancelled(&canceller, TRP_RAN, "cleaned up");
    stage_says(log, "read", TRP_NOARGS, "[7]");
    trp_actor_release(&log);
}

/* Also by somebody who was given the reference, of a call that another one has made. */
ROW(a_reply_that_was_put_off_is_waited_for_no_more)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    for (int i = 0; i < 2; i++) {
        trp_error error;
        trp_ref *held = stage_call(log, "hold", TRP_NOARGS);
        stage_says(log, "read", TRP_NOARGS, "[]");
        if (i == 0)
            cr_expect_eq(trp_cancel(held, 0, &error), TRP_OK, "%s", error.message);
        else
            stage_expect(stage_task(rt, "conformance:cancel", TRP_ARGS(TRP_LIST(held))), "null");
        stage_expect_error(held, TRP_ECANCELLED, &error);
        cr_expect_eq(error.ran, TRP_RAN, "%s", error.message);
        cr_expect_str_eq(error.method, "hold", "%s", error.message);
        stage_says(log, "let_go", TRP_ARGS("nobody hears it"), "null");
    }
    trp_actor_release(&log);
}

/* The host's clock may be behind by the way there. */
static bool
is_forsaken(trp_actor *log)
{
    const time_t until = time(NULL) + 20;
    bool forsaken = false;

    while (!forsaken && time(NULL) < until) {
        trp_ref *ref = stage_call(log, "forsaken", TRP_NOARGS);
        trp_value value;
        trp_error error;
        cr_assert_eq(trp_get(ref, 20000, &value, &error), TRP_OK, "%s", error.message);
        forsaken = value.kind == TRP_BOOL && value.as.boolean;
        trp_ref_release(&ref);
    }
    return forsaken;
}

/* However nobody came to wait for it any more. */
ROW(who_is_to_reply_later_sees_that_nobody_waits)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    const trp_request in_time = {.actor = log, .method = "hold", .deadline_ms = 300};
    trp_ref *held = stage_call(log, "hold", TRP_NOARGS), *late = NULL;
    trp_error error;
    stage_says(log, "forsaken", TRP_NOARGS, "false");
    cr_expect_eq(trp_cancel(held, 0, &error), TRP_OK, "%s", error.message);
    stage_expect_error(held, TRP_ECANCELLED, &error);
    stage_says(log, "forsaken", TRP_NOARGS, "true");
    stage_says(log, "let_go", TRP_NOARGS, "null");
    stage_says(log, "forsaken", TRP_NOARGS, "false");

    cr_assert_eq(trp_submit(rt, &in_time, &late, &error), TRP_OK, "%s", error.message);
    stage_expect_error(late, TRP_ETIMEDOUT, &error);
    cr_expect(is_forsaken(log));
    stage_says(log, "let_go", TRP_NOARGS, "null");

    held = stage_call(log, "hold", TRP_NOARGS);
    stage_says(log, "forsaken", TRP_NOARGS, "false");
    stage_says(log, "let_go", TRP_ARGS("heard"), "null");
    stage_expect(held, "\"heard\"");
    trp_actor_release(&log);
}

/* An argument that will never come fails the call that waits for it. */
ROW(what_depends_on_a_cancelled_call_fails_with_it)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_error error;
    trp_ref *held = stage_call(log, "hold", TRP_NOARGS), *echo = stage_task(rt, "conformance:echo", TRP_ARGS(held));
    stage_says(log, "read", TRP_NOARGS, "[]");
    cr_expect_eq(trp_cancel(held, 0, &error), TRP_OK, "%s", error.message);
    stage_expect_error(echo, TRP_ECANCELLED, &error);
    cr_expect_eq(error.ran, TRP_NOT_RUN, "%s", error.message);
    trp_ref_release(&held);
    trp_actor_release(&log);
}

ROW(what_has_ended_or_is_no_call_is_not_cancelled)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_error error;
    trp_value value;
    trp_ref *ended = stage_call(log, "append", TRP_ARGS(1)), *object = stage_put(rt, trp_i64(2)), *death = NULL;
    cr_assert_eq(trp_get(ended, 20000, NULL, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_watch(log, TRP_WATCH_DEATH, &death, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_cancel(ended, 0, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_cancel(object, 0, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_cancel(death, 0, &error), TRP_OK, "%s", error.message);
    stage_expect(ended, "1");
    stage_expect(object, "2");
    cr_assert_eq(trp_kill(log, NULL, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_get(death, 20000, &value, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&death);
    trp_actor_release(&log);
}

ROW(flags_that_there_are_not_are_refused)
{
    trp_error error;
    trp_ref *object = stage_put(rt, trp_i64(2));
    cr_expect_eq(trp_cancel(object, 1, &error), TRP_EINVAL);
    cr_expect_str_eq(error.message, "flags is 0x1; it stays 0 in this release");
    cr_expect_eq(trp_cancel(NULL, 0, &error), TRP_EINVAL);
    cr_expect_str_eq(error.message, "ref is NULL");
    trp_ref_release(&object);
}
