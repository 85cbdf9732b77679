/*
 * test_cancel.c - calls that somebody wants to end: at their caller, sent or not, and at their host, with what they called.
 */
#include "tests/proc/fake.h"

static struct tri_ref *
call_actor(struct fake *fake)
{
    struct tri_submit submit = {
        .kind = TRI_CALL, .target = {3, 4}, .deadline_ns = TRI_NEVER, .body = fake->body.section};
    struct tri_ref *ref = NULL;

    cr_assert_eq(tri_proc_submit(fake->proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    return ref;
}

static trp_error
error_of(const struct tri_ref *ref)
{
    struct tri_failure chain[8];
    uint32_t count = 0;

    cr_assert_eq(ref->state, TRI_REF_FAILED);
    cr_assert_eq(tri_error_unpack(tri_ref_value(ref), chain, &count, NULL), TRP_OK);
    return chain[0].error;
}

Test(cancel, a_call_that_waits_for_credit_is_cancelled_here_and_never_sent)
{
    struct tri_ref *sent, *cancelled, *last;
    struct fake fake;

    fake_open(&fake, false);
    fake.credit = 1;
    sent = call_actor(&fake);
    cancelled = call_actor(&fake);
    last = call_actor(&fake);
    cr_assert_eq(tri_proc_cancel(fake.proc, cancelled, 1, NULL), TRP_OK);
    cr_expect_eq(error_of(cancelled).code, TRP_ECANCELLED);
    cr_expect_eq(error_of(cancelled).ran, TRP_NOT_RUN);
    cr_expect_str_eq(error_of(cancelled).method, "method");
    cr_expect_eq(fake.ready, 1);
    fake.credit = 5;
    tri_proc_tick(fake.proc, 2);
    tri_proc_round(fake.proc, 2);
    cr_assert_eq(fake.count, 2);
    cr_expect_eq(fake.posts[1].sequence, 3, "a gap in its lane is legal");
    tri_proc_release(sent);
    tri_proc_release(cancelled);
    tri_proc_release(last);
    fake_close(&fake);
}

/* The broker knows its name already, and has asked for its value. */
Test(cancel, one_that_others_name_is_answered_when_it_is_cancelled_here)
{
    struct tri_ref *ref;
    struct fake fake;

    fake_open(&fake, false);
    fake.credit = 0;
    ref = call_actor(&fake);
    fake_hear_ids(&fake, TRI_FETCH, ref->entry.id);
    cr_assert_eq(fake.count, 0);
    cr_assert_eq(tri_proc_cancel(fake.proc, ref, 1, NULL), TRP_OK);
    cr_assert_eq(fake.count, 1);
    cr_expect_eq(fake.posts[0].kind, TRI_PUT);
    cr_expect_eq(fake.posts[0].flags, TRI_FETCHED | TRI_FAILED);
    tri_proc_release(ref);
    fake_close(&fake);
}

Test(cancel, a_cancel_is_said_once_to_each_broker_and_before_its_call)
{
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 2, .snapshot = true, .node = "", .credit_calls = 10, .credit_bytes = 1000};
    struct tri_ref *ref;
    struct fake fake;

    fake_open(&fake, false);
    ref = call_actor(&fake);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tri_proc_cancel(fake.proc, ref, 1, NULL), TRP_OK);
    cr_expect_neq(tri_proc_owed_ns(fake.proc), TRI_NEVER);
    tri_proc_round(fake.proc, 1);
    tri_proc_round(fake.proc, 2);
    cr_assert_eq(fake.count, 2);
    cr_expect_eq(fake.posts[1].kind, TRI_CANCEL);
    cr_expect_eq(fake.posts[1].flags, TRI_ASKED);
    fake.count = 0;
    cr_assert_eq(tri_proc_welcome(fake.proc, &welcome, 5, NULL), TRP_OK);
    cr_expect_eq(fake.posts[0].kind, TRI_SNAPSHOT);
    cr_expect_eq(fake.posts[1].kind, TRI_CANCEL);
    cr_expect_eq(fake.posts[2].kind, TRI_CALL);
    fake_hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = ref->entry.id}, &fake.value.section);
    cr_assert_eq(tri_proc_cancel(fake.proc, ref, 6, NULL), TRP_OK);
    cr_expect_eq(ref->state, TRI_REF_READY, "it has ended");
    fake.count = 0;
    tri_proc_round(fake.proc, 7);
    cr_expect_eq(fake.count, 0);
    tri_proc_release(ref);
    fake_close(&fake);
}

static void
hear_cancel(struct fake *fake, struct tri_id id, uint16_t flags)
{
    struct tri_packed packed = {0};

    cr_assert_eq(tri_ids_pack(&packed, &id, 1, NULL), TRP_OK);
    fake_hear(fake, (struct tri_route){.kind = TRI_CANCEL, .flags = flags}, &packed.section);
    tri_packed_fini(&packed);
}

static void
hear_task(struct fake *fake, struct tri_id id)
{
    fake_hear(fake, (struct tri_route){.kind = TRI_CALL, .flags = TRI_TASK, .result = id}, &fake->body.section);
}

Test(cancel, a_host_drops_what_has_not_started_and_tells_what_runs_with_its_children)
{
    const struct tri_id waits = {9, 1}, runs = {9, 2};
    struct tri_submit submit = {.kind = TRI_CALL, .flags = TRI_TASK, .parent = runs, .deadline_ns = TRI_NEVER};
    struct tri_ref *child = NULL, *other;
    struct fake fake;

    fake_open(&fake, true);
    submit.body = fake.body.section;
    hear_task(&fake, waits);
    hear_task(&fake, runs);
    tri_proc_start(fake.proc, fake.call);
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &child, NULL, NULL), TRP_OK);
    other = call_actor(&fake);
    fake.count = 0;
    hear_cancel(&fake, waits, TRI_ASKED);
    cr_expect_eq(fake.dropped, 1);
    cr_assert_eq(fake.count, 1);
    cr_expect_eq(fake.posts[0].kind, TRI_RESULT);
    cr_expect_eq(fake.posts[0].flags, TRI_FAILED);
    hear_cancel(&fake, runs, 0);
    cr_expect_eq(fake.cancelled, TRI_OVERDUE);
    cr_expect_not(child->cancelled, "its deadline is its own");
    hear_cancel(&fake, runs, TRI_ASKED);
    cr_expect_eq(fake.cancelled, TRI_CANCELLED);
    cr_expect(child->cancelled);
    cr_expect_not(other->cancelled);
    cr_assert_eq(tri_proc_return(fake.proc, fake.call, &fake.value.section, false, NULL), TRP_OK);
    tri_proc_release(child);
    tri_proc_release(other);
    fake_close(&fake);
}

/* What the caller's arguments lie in stays until whoever put the answer off is done with them. */
Test(cancel, a_call_that_is_answered_before_it_returns_is_over_for_the_broker)
{
    struct tri_proc_counts counts;
    struct tri_incoming *call;
    struct fake fake;

    fake_open(&fake, true);
    hear_task(&fake, (struct tri_id){9, 1});
    call = fake.call;
    tri_proc_start(fake.proc, call);
    tri_proc_answer(fake.proc, call, &fake.value.section);
    cr_assert_eq(fake.count, 1);
    cr_expect_eq(fake.posts[0].kind, TRI_RESULT);
    cr_expect_gt(fake.released, 0);
    tri_proc_count(fake.proc, &counts);
    cr_expect_eq(counts.incoming, 0);
    hear_task(&fake, (struct tri_id){9, 1});
    cr_expect_eq(fake.ran, 1, "it comes again, and is known");
    cr_assert_eq(tri_proc_return(fake.proc, call, &fake.value.section, false, NULL), TRP_OK);
    cr_expect_eq(fake.count, 1);
    fake_close(&fake);
}
