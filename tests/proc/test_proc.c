/*
 * test_proc.c - a driver's side of the protocol: references, calls and spawns that wait, are sent, and are said again to a new
 * broker.
 */
#include "tests/proc/fake.h"

static struct tri_ref *
call_actor(struct fake *fake, uint64_t deadline_ns)
{
    struct tri_submit submit = {
        .kind = TRI_CALL, .target = {3, 4}, .deadline_ns = deadline_ns, .body = fake->body.section};
    struct tri_ref *ref = NULL;

    cr_assert_eq(tri_proc_submit(fake->proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    return ref;
}

Test(proc, a_result_lies_at_its_reference_and_letting_it_go_is_told_once)
{
    struct fake fake;
    struct tri_ref *ref;

    fake_open(&fake, false);
    ref = call_actor(&fake, TRI_NEVER);
    cr_assert_eq(fake.posts[0].kind, TRI_CALL);
    cr_assert_eq(fake.posts[0].sequence, 1);
    fake_hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = ref->entry.id}, &fake.value.section);
    cr_assert_eq(ref->state, TRI_REF_READY);
    cr_assert_eq(fake.ready, 1);
    tri_proc_release(ref);
    cr_assert_eq(fake.freed, 1);
    tri_proc_round(fake.proc, 2);
    cr_assert_eq(fake.count, 2);
    cr_assert_eq(fake.posts[1].kind, TRI_RELEASE);
    tri_proc_round(fake.proc, 3);
    cr_assert_eq(fake.count, 2);
    fake_close(&fake);
}

/* Or the broker would take the RELEASE for an end of the wait. */
Test(proc, what_was_let_go_of_and_came_back_is_released_before_it_is_waited_for)
{
    struct tri_ref *ref, *carrier;
    struct tri_ref_entry entry = {.place = TRI_NESTED};
    struct tri_section section;
    struct fake fake;

    fake_open(&fake, false);
    ref = call_actor(&fake, TRI_NEVER);
    carrier = call_actor(&fake, TRI_NEVER);
    entry.id = ref->entry.id;
    tri_proc_release(ref);
    fake_hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = entry.id}, &fake.value.section);
    section = fake.value.section;
    section.refs = &entry;
    section.ref_count = 1;
    fake_hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = carrier->entry.id}, &section);
    ref = tri_proc_find(fake.proc, entry.id);
    cr_assert_not_null(ref);
    cr_assert_eq(tri_proc_want(fake.proc, ref, NULL), TRP_OK);
    fake.count = 0;
    tri_proc_round(fake.proc, 2);
    cr_assert_eq(fake.count, 2);
    cr_assert_eq(fake.posts[0].kind, TRI_RELEASE);
    cr_assert_eq(fake.posts[1].kind, TRI_WAIT);
    tri_proc_release(ref);
    tri_proc_release(carrier);
    fake_close(&fake);
}

Test(proc, calls_wait_in_order_for_credit_and_nowait_is_refused)
{
    struct tri_submit submit = {.kind = TRI_CALL, .target = {3, 4}, .deadline_ns = TRI_NEVER};
    struct tri_ref *ref;
    struct fake fake;

    fake_open(&fake, false);
    fake.credit = 0;
    tri_proc_release(call_actor(&fake, TRI_NEVER));
    ref = call_actor(&fake, TRI_NEVER);
    submit.body = fake.body.section;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, true, 0, NULL, NULL, NULL), TRP_EAGAIN);
    cr_assert_eq(fake.count, 0);
    fake.credit = 2;
    tri_proc_tick(fake.proc, 1);
    cr_assert_eq(fake.count, 2);
    cr_assert_eq(fake.posts[1].sequence, 2);
    tri_proc_release(ref);
    fake_close(&fake);
}

Test(proc, a_deadline_fails_the_reference_here_and_cancels_the_call_there)
{
    struct tri_ref *ref;
    struct fake fake;

    fake_open(&fake, false);
    ref = call_actor(&fake, 1000);
    cr_assert_eq(tri_proc_next_ns(fake.proc), 1000);
    tri_proc_tick(fake.proc, 1000);
    cr_assert_eq(ref->state, TRI_REF_FAILED);
    tri_proc_round(fake.proc, 1000);
    cr_assert_eq(fake.posts[1].kind, TRI_CANCEL);
    fake_hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = ref->entry.id}, &fake.value.section);
    cr_assert_eq(ref->state, TRI_REF_FAILED);
    tri_proc_release(ref);
    fake_close(&fake);
}

Test(proc, a_new_broker_is_told_of_calls_that_no_host_has_again)
{
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 2, .snapshot = true, .node = "", .credit_calls = 10, .credit_bytes = 1000};
    struct tri_ref *first, *second;
    struct fake fake;
    size_t calls = 0;

    fake_open(&fake, false);
    first = call_actor(&fake, TRI_NEVER);
    second = call_actor(&fake, TRI_NEVER);
    fake_hear_ids(&fake, TRI_ACCEPTED, first->entry.id);
    fake.count = 0;
    cr_assert_eq(tri_proc_welcome(fake.proc, &welcome, 5, NULL), TRP_OK);
    cr_assert_eq(fake.posts[0].kind, TRI_SNAPSHOT);
    for (size_t i = 0; i < fake.count; i++)
        calls += fake.posts[i].kind == TRI_CALL;
    cr_assert_eq(calls, 1);
    cr_assert_eq(fake.posts[1].kind, TRI_CALL);
    cr_assert_eq(fake.posts[1].result.number, second->entry.id.number);
    cr_assert_eq(fake.posts[2].kind, TRI_RELEASE, "of the actor that it means, which was held until then");
    cr_assert_eq(fake.count, 3);
    tri_proc_release(first);
    tri_proc_release(second);
    fake_close(&fake);
}

/* What a call carries may be the last that has the result of that call. */
Test(proc, a_call_whose_argument_leads_to_its_own_result_ends_with_its_process)
{
    struct tri_submit submit = {.kind = TRI_CALL, .target = {3, 4}, .deadline_ns = TRI_NEVER};
    struct tri_ref_entry entry = {.place = TRI_NESTED};
    struct tri_ref *argument, *ref;
    struct tri_section value;
    struct fake fake;

    fake_open(&fake, false);
    argument = call_actor(&fake, TRI_NEVER);
    submit.body = fake.body.section;
    submit.body.refs = &entry;
    submit.body.ref_count = 1;
    entry.id = argument->entry.id;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    entry.id = ref->entry.id;
    value = fake.value.section;
    value.refs = &entry;
    value.ref_count = 1;
    fake_hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = argument->entry.id}, &value);
    tri_proc_release(argument);
    tri_proc_release(ref);
    fake_close(&fake);
    cr_assert_eq(fake.freed, 2);
}

Test(proc, a_watch_that_is_let_go_of_before_it_is_posted_ends_when_it_is)
{
    struct tri_submit submit = {.kind = TRI_SPAWN, .deadline_ns = TRI_NEVER};
    struct tri_ref *actor = NULL, *watch = NULL;
    struct tri_proc_counts counts;
    struct fake fake;

    fake_open(&fake, false);
    cr_assert_eq(tri_proc_actor_new(fake.proc, &actor, NULL), TRP_OK);
    submit.target = actor->entry.id;
    submit.body = fake.body.section;
    fake.credit = 0;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, NULL, NULL, NULL), TRP_OK);
    submit.kind = TRI_WATCH;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &watch, NULL, NULL), TRP_OK);
    tri_proc_release(watch);
    fake.credit = 1;
    tri_proc_tick(fake.proc, 1);
    tri_proc_round(fake.proc, 2);
    cr_assert_eq(fake.count, 3);
    cr_assert_eq(fake.posts[1].kind, TRI_WATCH);
    cr_assert_eq(fake.posts[2].kind, TRI_RELEASE);
    tri_proc_count(fake.proc, &counts);
    cr_assert_eq(counts.outstanding, 1, "the SPAWN");
    tri_proc_release(actor);
    fake_close(&fake);
}

Test(proc, an_actor_is_not_released_before_the_calls_that_wait_for_credit)
{
    struct tri_submit submit = {.kind = TRI_CALL, .deadline_ns = TRI_NEVER};
    struct tri_ref *actor = NULL, *ref = NULL;
    struct fake fake;

    fake_open(&fake, false);
    cr_assert_eq(tri_proc_actor_new(fake.proc, &actor, NULL), TRP_OK);
    actor->shared = true;
    actor->handed = 1; /* as if it had been spawned */
    fake.credit = 0;
    submit.target = actor->entry.id;
    submit.body = fake.body.section;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    tri_proc_release(actor);
    tri_proc_round(fake.proc, 1);
    cr_assert_eq(fake.count, 0);
    fake.credit = 1;
    tri_proc_tick(fake.proc, 2);
    tri_proc_round(fake.proc, 2);
    cr_assert_eq(fake.count, 2);
    cr_assert_eq(fake.posts[0].kind, TRI_CALL);
    cr_assert_eq(fake.posts[1].kind, TRI_RELEASE);
    tri_proc_release(ref);
    fake_close(&fake);
}

Test(proc, a_spawn_that_was_answered_is_said_again_until_a_host_has_the_actor)
{
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 2, .snapshot = true, .node = "", .credit_calls = 10, .credit_bytes = 1000};
    struct tri_submit submit = {.kind = TRI_SPAWN, .deadline_ns = TRI_NEVER};
    struct tri_ref_entry entry = {.place = TRI_NESTED, .flags = TRI_REF_ACTOR};
    struct tri_ref *actor, *answer;
    struct fake fake;

    fake_open(&fake, false);
    cr_assert_eq(tri_proc_actor_new(fake.proc, &actor, NULL), TRP_OK);
    entry.id = submit.target = actor->entry.id;
    submit.body = fake.body.section;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &answer, NULL, NULL), TRP_OK);
    fake.value.section.refs = &entry;
    fake.value.section.ref_count = 1;
    fake_hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = answer->entry.id}, &fake.value.section);
    cr_assert_eq(answer->state, TRI_REF_READY);
    fake.value.section.ref_count = 0;
    tri_proc_release(answer);
    for (uint64_t broker = 2; broker < 4; broker++) { /* the first one had it given to no host */
        size_t spawns = 0;
        fake.count = 0;
        welcome.broker = broker;
        cr_assert_eq(tri_proc_welcome(fake.proc, &welcome, 5, NULL), TRP_OK);
        for (size_t i = 0; i < fake.count; i++)
            spawns += fake.posts[i].kind == TRI_SPAWN && tri_id_is_none(fake.posts[i].result);
        cr_assert_eq(spawns, broker == 2);
        fake_hear_ids(&fake, TRI_ACCEPTED, actor->entry.id);
    }
    tri_proc_release(actor);
    fake_close(&fake);
}

Test(proc, a_spawn_that_was_answered_with_another_actor_is_over)
{
    struct tri_submit submit = {.kind = TRI_SPAWN, .deadline_ns = TRI_NEVER};
    struct tri_ref_entry entry = {.id = {3, 4}, .place = TRI_NESTED, .flags = TRI_REF_ACTOR};
    struct tri_ref *actor, *answer;
    struct fake fake;

    fake_open(&fake, false);
    cr_assert_eq(tri_proc_actor_new(fake.proc, &actor, NULL), TRP_OK);
    submit.target = actor->entry.id;
    submit.body = fake.body.section;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &answer, NULL, NULL), TRP_OK);
    fake.value.section.refs = &entry;
    fake.value.section.ref_count = 1;
    fake_hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = answer->entry.id}, &fake.value.section);
    fake.value.section.ref_count = 0;
    cr_assert_null(actor->out);
    tri_proc_release(answer);
    tri_proc_release(actor);
    fake_close(&fake);
}

Test(proc, a_private_value_at_top_level_goes_along_and_a_nested_one_is_put_first)
{
    struct tri_ref_entry entries[2] = {{.place = 0}, {.place = TRI_NESTED}};
    struct tri_submit submit = {.kind = TRI_CALL, .flags = TRI_TASK, .deadline_ns = TRI_NEVER};
    struct tri_ref *along = NULL, *nested = NULL, *ref = NULL;
    struct fake fake;

    fake_open(&fake, false);
    cr_assert_eq(tri_proc_put(fake.proc, &fake.value, &along, NULL), TRP_OK);
    cr_assert_eq(tri_proc_put(fake.proc, &fake.value, &nested, NULL), TRP_OK);
    entries[0].id = along->entry.id;
    entries[1].id = nested->entry.id;
    submit.body = fake.body.section;
    submit.body.refs = entries;
    submit.body.ref_count = 2;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    cr_assert_eq(fake.posts[0].kind, TRI_PUT);
    cr_assert_eq(fake.posts[1].kind, TRI_CALL);
    cr_assert_eq(fake.sections[1], 2);
    tri_proc_release(along);
    tri_proc_release(nested);
    tri_proc_release(ref);
    fake_close(&fake);
}

Test(proc, a_value_is_said_with_the_next_round_unless_it_is_released_before)
{
    struct tri_ref *stays = NULL, *goes = NULL;
    struct fake fake;

    fake_open(&fake, false);
    cr_assert_eq(tri_proc_put(fake.proc, &fake.value, &stays, NULL), TRP_OK);
    cr_assert_eq(tri_proc_put(fake.proc, &fake.value, &goes, NULL), TRP_OK);
    cr_assert_eq(tri_proc_owed_ns(fake.proc), TRI_NEVER);
    cr_assert_eq(tri_proc_publish_soon(fake.proc, stays, NULL), TRP_OK);
    cr_assert_eq(tri_proc_publish_soon(fake.proc, goes, NULL), TRP_OK);
    cr_expect_neq(tri_proc_owed_ns(fake.proc), TRI_NEVER, "a round is due");
    tri_proc_release(goes);
    cr_assert_eq(fake.count, 0);
    tri_proc_round(fake.proc, 5);
    cr_assert_eq(fake.count, 1);
    cr_expect(fake.posts[0].kind == TRI_PUT && tri_id_equal(fake.posts[0].result, stays->entry.id));
    tri_proc_round(fake.proc, 6);
    cr_expect_eq(fake.count, 1, "once");
    cr_expect_eq(tri_proc_owed_ns(fake.proc), TRI_NEVER);
    tri_proc_release(stays);
    fake_close(&fake);
}

Test(proc, a_watch_that_is_let_go_is_forgotten)
{
    struct tri_submit submit = {.kind = TRI_WATCH, .target = {3, 4}, .deadline_ns = TRI_NEVER};
    struct tri_proc_counts counts;
    struct tri_ref *ref;
    struct fake fake;

    fake_open(&fake, false);
    submit.body = fake.body.section;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    tri_proc_release(ref);
    tri_proc_round(fake.proc, 2);
    cr_assert_eq(fake.posts[fake.count - 1].kind, TRI_RELEASE);
    tri_proc_count(fake.proc, &counts);
    cr_assert_eq(counts.refs, 0);
    cr_assert_eq(counts.outstanding, 0);
    fake_close(&fake);
}

Test(proc, a_driver_refuses_what_is_for_hosts)
{
    struct tri_envelope envelope = {.route = {.kind = TRI_RECALL}};
    struct fake fake;

    fake_open(&fake, false);
    cr_assert_eq(tri_proc_envelope(fake.proc, &envelope, 0, NULL), TRP_EPROTO);
    fake_close(&fake);
}

Test(proc, the_mark_of_a_traced_call_travels_with_it_and_is_said_again)
{
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 2, .snapshot = true, .node = "", .credit_calls = 10, .credit_bytes = 1000};
    struct tri_submit submit = {.kind = TRI_CALL, .flags = TRI_TASK, .deadline_ns = TRI_NEVER, .trace = &fake_mark};
    struct tri_ref *ref = NULL;
    struct fake fake;

    fake_open(&fake, false);
    submit.body = fake.body.section;
    for (int again = 0; again < 2; again++) {
        fake.count = 0;
        if (again == 0)
            cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
        else
            cr_assert_eq(tri_proc_welcome(fake.proc, &welcome, 5, NULL), TRP_OK);
        cr_assert_eq(fake.posts[fake.count - 1].kind, TRI_CALL);
        cr_expect_eq(fake.sections[fake.count - 1], 2);
        cr_expect_eq(fake.last_place, TRI_PLACE_TRACE);
    }
    tri_proc_release(ref);
    fake_close(&fake);
}
