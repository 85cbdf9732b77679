/*
 * test_handing.c - references that are handed on in calls: whoever has the call's answer may go, and what it handed on is not
 * lost with it.
 */
#include "tests/core/fake.h"

struct scene {
    struct fake *fake;
    tri_peer_index driver, host, other;
    struct tri_id maker, keeper, result, carrier; /* actors at host and other; a result of maker's, a call to keeper */
    struct tri_ref_entry nested;
};

static struct scene
scene(void)
{
    struct scene s = {.fake = fake_new(NULL, NULL, 0)};
    s.driver = fake_driver(s.fake);
    s.maker = fake_actor(s.fake, s.driver, "", &s.host);
    s.keeper = fake_actor(s.fake, s.driver, "", &s.other);
    s.result = fake_id(s.fake, s.driver);
    s.carrier = fake_id(s.fake, s.driver);
    s.nested = (struct tri_ref_entry){.id = s.result, .place = TRI_NESTED};
    cr_assert_eq(fake_call(s.fake, s.driver, s.maker, s.result, 1, NULL, 0), TRP_OK);
    return s;
}

static void
hand_on(struct scene *s)
{
    cr_assert_eq(fake_call(s->fake, s->driver, s->keeper, s->carrier, 1, &s->nested, 1), TRP_OK);
}

/* The keeper answers, the driver hears it and dies, and only then does the keeper wait. NULL: nothing has come. */
static const struct sent *
outlives_its_caller(struct scene *s)
{
    cr_assert_eq(fake_count(s->fake, s->other, TRI_CALL), 1);
    fake_acknowledge(s->fake, s->other);
    fake_return(s->fake, s->other, s->carrier, 0);
    cr_assert_not_null(fake_result(s->fake, s->driver, s->carrier));
    fake_gone(s->fake, s->driver);
    fake_ids(s->fake, s->other, TRI_WAIT, 0, no_id, &s->result, 1);
    return fake_result(s->fake, s->other, s->result);
}

Test(handing, a_result_that_only_its_caller_has_is_here_before_it_is_handed_on)
{
    struct scene s = scene();
    fake_return(s.fake, s.host, s.result, 9);
    fake_acknowledge(s.fake, s.driver);
    cr_assert(fake_names(s.fake, s.host, TRI_FREED, s.result));
    hand_on(&s);
    cr_assert(fake_names(s.fake, s.driver, TRI_FETCH, s.result));
    cr_assert_eq(fake_count(s.fake, s.other, TRI_CALL), 0, "not before it is here");
    cr_assert_eq(fake_answer_fetch(s.fake, s.driver, s.result, 9), TRP_OK);
    cr_assert_eq(fake_number(outlives_its_caller(&s)), 9);
    fake_free(s.fake);
}

Test(handing, an_error_that_only_its_caller_heard_is_here_before_it_is_handed_on)
{
    for (int acknowledged = 0; acknowledged < 2; acknowledged++) {
        struct scene s = scene();
        struct tri_section failure = fake_failure(s.fake, TRP_EACTORDIED, "it died");
        struct tri_route answer = {.kind = TRI_PUT, .flags = TRI_FETCHED | TRI_FAILED, .result = s.result};
        fake_acknowledge(s.fake, s.host);
        fake_died(s.fake, s.host, 6, 1, 0);
        cr_assert_eq(fake_error(fake_result(s.fake, s.driver, s.result)).code, TRP_EACTORDIED);
        if (acknowledged)
            fake_acknowledge(s.fake, s.driver);
        hand_on(&s);
        cr_assert(fake_names(s.fake, s.driver, TRI_FETCH, s.result));
        cr_assert_eq(fake_count(s.fake, s.other, TRI_CALL), 0);
        failure = fake_failure(s.fake, TRP_EACTORDIED, "it died");
        cr_assert_eq(fake_send(s.fake, s.driver, answer, &failure, 1), TRP_OK);
        cr_assert_eq(fake_error(outlives_its_caller(&s)).code, TRP_EACTORDIED);
        fake_free(s.fake);
    }
}

Test(handing, a_result_on_its_way_to_its_caller_comes_from_its_host)
{
    struct scene s = scene();
    fake_return(s.fake, s.host, s.result, 9);
    hand_on(&s);
    cr_assert(fake_names(s.fake, s.host, TRI_FETCH, s.result));
    cr_assert_eq(fake_count(s.fake, s.other, TRI_CALL), 0);
    cr_assert_eq(fake_answer_fetch(s.fake, s.host, s.result, 9), TRP_OK);
    cr_assert_eq(fake_number(outlives_its_caller(&s)), 9);
    cr_assert_not(fake_names(s.fake, s.host, TRI_FREED, s.result), "the broker may die, too");
    fake_acknowledge(s.fake, s.other);
    cr_assert(fake_names(s.fake, s.host, TRI_FREED, s.result));
    fake_free(s.fake);
}

Test(handing, a_host_that_ends_before_it_is_asked_leaves_its_result_to_the_caller)
{
    struct scene s = scene();
    fake_return(s.fake, s.host, s.result, 9);
    hand_on(&s);
    fake_forget(s.fake);
    fake_gone(s.fake, s.host);
    cr_assert(fake_names(s.fake, s.driver, TRI_FETCH, s.result), "it has it, or gets it");
    cr_assert_eq(fake_count(s.fake, s.other, TRI_CALL), 0);
    cr_assert_eq(fake_answer_fetch(s.fake, s.driver, s.result, 9), TRP_OK);
    cr_assert_eq(fake_number(outlives_its_caller(&s)), 9);
    fake_free(s.fake);
}

Test(handing, a_pending_result_is_handed_on_at_once_and_kept_for_who_waits)
{
    struct scene s = scene();
    hand_on(&s);
    cr_assert_null(outlives_its_caller(&s));
    fake_return(s.fake, s.host, s.result, 9);
    cr_assert_eq(fake_number(fake_result(s.fake, s.other, s.result)), 9);
    cr_assert_not(fake_names(s.fake, s.host, TRI_FREED, s.result));
    fake_acknowledge(s.fake, s.other);
    cr_assert(fake_names(s.fake, s.host, TRI_FREED, s.result));
    fake_free(s.fake);
}

Test(handing, what_values_name_is_here_before_they_are_handed_on)
{
    struct scene s = scene();
    struct tri_id list = fake_id(s.fake, s.driver);
    struct tri_ref_entry inner = s.nested;
    fake_return(s.fake, s.host, s.result, 9);
    fake_acknowledge(s.fake, s.driver);
    cr_assert_eq(fake_put(s.fake, s.driver, list, 1, &inner, 1), TRP_OK);
    s.nested.id = list;
    hand_on(&s);
    cr_assert_eq(fake_count(s.fake, s.other, TRI_CALL), 0, "the list is here, and not what it names");
    cr_assert_eq(fake_answer_fetch(s.fake, s.driver, s.result, 9), TRP_OK);
    cr_assert_eq(fake_count(s.fake, s.other, TRI_CALL), 1);
    fake_free(s.fake);
}

Test(handing, what_a_value_that_has_come_names_is_waited_for_too)
{
    struct scene s = scene();
    struct tri_id inner = fake_id(s.fake, s.driver);
    struct tri_section list;
    struct tri_ref_entry entry = {.id = inner, .place = TRI_NESTED};
    struct tri_route answer = {.kind = TRI_PUT, .flags = TRI_FETCHED, .result = s.result};
    cr_assert_eq(fake_call(s.fake, s.driver, s.maker, inner, 2, NULL, 0), TRP_OK);
    fake_return(s.fake, s.host, inner, 7);
    fake_return(s.fake, s.host, s.result, 9);
    fake_acknowledge(s.fake, s.driver);
    hand_on(&s);
    list = fake_value(s.fake, 1);
    list.refs = &entry;
    list.ref_count = 1;
    cr_assert_eq(fake_send(s.fake, s.driver, answer, &list, 1), TRP_OK);
    cr_assert(fake_names(s.fake, s.driver, TRI_FETCH, inner));
    cr_assert_eq(fake_count(s.fake, s.other, TRI_CALL), 0);
    cr_assert_eq(fake_answer_fetch(s.fake, s.driver, inner, 7), TRP_OK);
    cr_assert_eq(fake_count(s.fake, s.other, TRI_CALL), 1);
    fake_free(s.fake);
}

Test(handing, calls_of_a_lane_keep_their_order_behind_one_that_waits)
{
    struct scene s = scene();
    fake_return(s.fake, s.host, s.result, 9);
    fake_acknowledge(s.fake, s.driver);
    hand_on(&s);
    cr_assert_eq(fake_call(s.fake, s.driver, s.keeper, fake_id(s.fake, s.driver), 2, NULL, 0), TRP_OK);
    cr_assert_eq(fake_count(s.fake, s.other, TRI_CALL), 0);
    cr_assert_eq(fake_answer_fetch(s.fake, s.driver, s.result, 9), TRP_OK);
    cr_assert_eq(fake_count(s.fake, s.other, TRI_CALL), 2);
    cr_assert_eq(fake_last(s.fake, s.other, TRI_CALL)->parcel->route.sequence, 2);
    fake_free(s.fake);
}

Test(handing, a_task_waits_for_what_it_is_handed)
{
    struct scene s = scene();
    struct tri_core_counts counts;
    fake_return(s.fake, s.host, s.result, 9);
    fake_acknowledge(s.fake, s.driver);
    cr_assert_eq(fake_task(s.fake, s.driver, s.carrier, &s.nested, 1), TRP_OK);
    tri_core_count(s.fake->core, &counts);
    cr_assert_eq(counts.queued_tasks, 0);
    cr_assert_eq(fake_answer_fetch(s.fake, s.driver, s.result, 9), TRP_OK);
    tri_core_count(s.fake->core, &counts);
    cr_assert_eq(counts.queued_tasks, 1);
    fake_free(s.fake);
}

Test(handing, the_death_of_the_caller_ends_a_call_that_waits_for_its_values)
{
    struct scene s = scene();
    fake_return(s.fake, s.host, s.result, 9);
    fake_acknowledge(s.fake, s.driver);
    hand_on(&s);
    fake_gone(s.fake, s.driver);
    cr_assert_eq(fake_count(s.fake, s.other, TRI_CALL), 0, "it had no answer: nothing was handed on");
    cr_assert_null(tri_thing_find(s.fake->core, s.result));
    cr_assert_eq(s.fake->core->fetching, 0);
    fake_free(s.fake);
}
