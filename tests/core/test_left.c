/*
 * test_left.c - results for which their callers have no room: they stay with their hosts, and others do not notice.
 */
#include "tests/core/fake.h"

#include <string.h>

enum { FULL = 64 << 20 };

struct scene {
    struct fake *fake;
    tri_peer_index driver, other, host;
    struct tri_id actor, result;
};

/* The driver stands still, and its call has returned. */
static struct scene
scene(void)
{
    struct scene s = {.fake = fake_new(NULL, NULL, 0)};
    s.driver = fake_driver(s.fake);
    s.other = fake_driver(s.fake);
    s.actor = fake_actor(s.fake, s.driver, "one", &s.host);
    s.result = fake_id(s.fake, s.driver);
    fake_acknowledge(s.fake, s.driver);
    cr_assert_eq(fake_call(s.fake, s.driver, s.actor, s.result, 1, NULL, 0), TRP_OK);
    fake_acknowledge(s.fake, s.host);
    s.fake->unread[s.driver] = FULL;
    cr_assert_eq(fake_return(s.fake, s.host, s.result, 5), TRP_OK);
    cr_assert_null(fake_result(s.fake, s.driver, s.result));
    return s;
}

static void
goes_on(struct scene *s)
{
    s->fake->unread[s->driver] = 0;
    fake_acknowledge(s->fake, s->driver);
}

Test(left, a_result_comes_when_what_was_sent_before_it_is_acknowledged)
{
    struct scene s = scene();
    cr_assert_not(fake_names(s.fake, s.host, TRI_FREED, s.result), "its host keeps it");
    cr_assert_not(fake_names(s.fake, s.host, TRI_FETCH, s.result));
    cr_assert_eq(s.fake->released, 1, "of the SPAWN only: the call has not ended");
    goes_on(&s);
    cr_assert(fake_names(s.fake, s.host, TRI_FETCH, s.result));
    cr_assert_eq(fake_answer_fetch(s.fake, s.host, s.result, 5), TRP_OK);
    cr_assert_eq(fake_number(fake_result(s.fake, s.driver, s.result)), 5);
    fake_acknowledge(s.fake, s.driver);
    cr_assert(fake_names(s.fake, s.host, TRI_FREED, s.result));
    cr_assert_eq(s.fake->released, 2);
    fake_free(s.fake);
}

static void
ask_why(struct scene *s, struct tri_id id, const char *words)
{
    char what[40] = "why ", text[TRI_ID_TEXT_SIZE];
    struct tri_id asked = fake_id(s->fake, s->other);
    struct tri_view view;
    strcat(what, tri_id_format(id, text));
    cr_assert_eq(tri_name_pack(&s->fake->packed, what, "", NULL), TRP_OK);
    cr_assert_eq(fake_request(s->fake, s->other, TRI_QUERY, no_id, asked, &s->fake->packed.section), TRP_OK);
    cr_assert_eq(tri_view_open(&view, &fake_result(s->fake, s->other, asked)->parcel->sections[0], NULL), TRP_OK);
    const uint64_t first =
        view.nodes[view.nodes[0].payload].payload; /* of the first row: a key, and what it waits for */
    const char *said = tri_view_value(&view, (uint32_t)first + 1).as.str;
    cr_assert_not_null(strstr(said, words), "%s", said);
    tri_view_close(&view);
}

Test(left, why_says_who_does_not_take_what)
{
    struct scene s = scene();
    struct tri_id waits = fake_id(s.fake, s.driver);
    fake_call(s.fake, s.driver, s.actor, waits, 2, NULL, 0);
    ask_why(&s, s.result, "has its result at process");
    ask_why(&s, waits, "waits until its caller, process");
    fake_free(s.fake);
}

Test(left, one_result_is_sent_to_who_has_nothing_to_take_first)
{
    struct tri_core_config config = {.incarnation = 1, .node = "test", .num_cpus = 2, .limits = {.unread_bytes = 1}};
    struct fake *fake = fake_new(&config, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), result = fake_id(fake, driver);
    fake_call(fake, driver, actor, result, 1, NULL, 0);
    fake_return(fake, host, result, 5);
    cr_assert_eq(fake_number(fake_result(fake, driver, result)), 5);
    fake_free(fake);
}

Test(left, no_more_than_there_is_room_for_is_asked_for_at_once)
{
    struct scene s = scene();
    struct tri_id second = fake_id(s.fake, s.driver);
    goes_on(&s);
    fake_answer_fetch(s.fake, s.host, s.result, 5);
    fake_call(s.fake, s.driver, s.actor, second, 2, NULL, 0);
    s.fake->unread[s.driver] = FULL;
    fake_return(s.fake, s.host, second, 6);
    s.fake->unread[s.driver] = FULL - 1;
    fake_acknowledge(s.fake, s.driver);
    cr_assert_not(fake_names(s.fake, s.host, TRI_FETCH, second));
    goes_on(&s);
    cr_assert(fake_names(s.fake, s.host, TRI_FETCH, second));
    fake_free(s.fake);
}

Test(left, further_calls_of_its_caller_wait_and_those_of_others_go_on)
{
    struct scene s = scene();
    struct tri_id waits = fake_id(s.fake, s.driver), others = fake_id(s.fake, s.other);
    size_t before = fake_count(s.fake, s.host, TRI_CALL);
    cr_assert_eq(fake_call(s.fake, s.driver, s.actor, waits, 2, NULL, 0), TRP_OK);
    cr_assert_eq(fake_count(s.fake, s.host, TRI_CALL), before);
    cr_assert_eq(fake_call(s.fake, s.other, s.actor, others, 1, NULL, 0), TRP_OK);
    cr_assert_eq(fake_count(s.fake, s.host, TRI_CALL), before + 1);
    fake_return(s.fake, s.host, others, 7);
    cr_assert_eq(fake_number(fake_result(s.fake, s.other, others)), 7);
    goes_on(&s);
    cr_assert_eq(fake_count(s.fake, s.host, TRI_CALL), before + 2);
    fake_free(s.fake);
}

Test(left, further_tasks_of_its_caller_wait_and_those_of_others_go_on)
{
    struct scene s = scene();
    struct tri_id waits = fake_id(s.fake, s.driver), others = fake_id(s.fake, s.other);
    fake_task(s.fake, s.driver, waits, NULL, 0);
    fake_task(s.fake, s.other, others, NULL, 0);
    tri_peer_index pool = fake_host(s.fake);
    const struct sent *given = fake_last(s.fake, pool, TRI_CALL);
    cr_assert_not_null(given);
    cr_assert(tri_id_equal(given->parcel->route.result, others));
    fake_acknowledge(s.fake, pool);
    fake_return(s.fake, pool, others, 7);
    cr_assert_eq(fake_number(fake_result(s.fake, s.other, others)), 7);
    cr_assert_eq(fake_count(s.fake, pool, TRI_CALL), 1);
    goes_on(&s);
    given = fake_last(s.fake, pool, TRI_CALL);
    cr_assert(tri_id_equal(given->parcel->route.result, waits));
    fake_free(s.fake);
}

Test(left, a_call_has_failed_and_ran_when_its_host_dies_with_its_result)
{
    struct scene s = scene();
    fake_died(s.fake, s.host, 9, 1, 1);
    trp_error error = fake_error(fake_result(s.fake, s.driver, s.result));
    cr_assert_eq(error.code, TRP_EACTORDIED, "%s", error.message);
    cr_assert_eq(error.ran, TRP_RAN, "%s", error.message);
    cr_assert_not_null(strstr(error.message, "had not taken its result"), "%s", error.message);
    fake_free(s.fake);
}

Test(left, a_call_has_failed_when_its_host_dies_after_it_was_asked)
{
    struct scene s = scene();
    goes_on(&s);
    fake_died(s.fake, s.host, 9, 1, 1);
    cr_assert_eq(fake_error(fake_result(s.fake, s.driver, s.result)).ran, TRP_RAN);
    fake_free(s.fake);
}

Test(left, a_task_runs_again_when_its_host_dies_with_its_result)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id task = fake_id(fake, driver);
    fake_task(fake, driver, task, NULL, 0);
    tri_peer_index pool = fake_host(fake);
    fake_acknowledge(fake, pool);
    fake->unread[driver] = FULL;
    fake_return(fake, pool, task, 5);
    cr_assert_null(fake_result(fake, driver, task));
    fake_died(fake, pool, 9, 1, 1);
    fake->unread[driver] = 0;
    fake_acknowledge(fake, driver);
    pool = fake_host(fake);
    cr_assert(tri_id_equal(fake_last(fake, pool, TRI_CALL)->parcel->route.result, task));
    fake_acknowledge(fake, pool);
    fake_return(fake, pool, task, 6);
    cr_assert_eq(fake_number(fake_result(fake, driver, task)), 6);
    fake_free(fake);
}

Test(left, a_result_that_nobody_wants_any_more_is_freed_at_its_host)
{
    struct scene s = scene();
    fake_gone(s.fake, s.driver);
    cr_assert(fake_names(s.fake, s.host, TRI_FREED, s.result));
    fake_free(s.fake);
}

Test(left, a_result_that_others_want_is_asked_for_when_its_caller_is_gone)
{
    struct scene s = scene();
    struct tri_ref_entry argument = {.id = s.result, .place = 0};
    struct tri_route route = {.kind = TRI_CALL, .flags = TRI_TASK | TRI_ONE_WAY};
    cr_assert_eq(tri_call_pack(&s.fake->packed, "m", trp_null(), NULL, NULL), TRP_OK);
    struct tri_section section = s.fake->packed.section;
    section.refs = &argument;
    section.ref_count = 1;
    cr_assert_eq(fake_send(s.fake, s.driver, route, &section, 1), TRP_OK);
    cr_assert_not(fake_names(s.fake, s.host, TRI_FETCH, s.result));
    fake_gone(s.fake, s.driver);
    cr_assert(fake_names(s.fake, s.host, TRI_FETCH, s.result));
    fake_answer_fetch(s.fake, s.host, s.result, 5);
    tri_peer_index pool = fake_host(s.fake);
    cr_assert_not_null(fake_last(s.fake, pool, TRI_CALL));
    fake_free(s.fake);
}

Test(left, what_others_hold_is_taken_also_without_room)
{
    struct scene s = scene();
    struct tri_id second = fake_id(s.fake, s.driver);
    goes_on(&s);
    fake_answer_fetch(s.fake, s.host, s.result, 5);
    struct tri_ref_entry nested = {.id = second, .place = TRI_NESTED};
    fake_call(s.fake, s.driver, s.actor, second, 2, NULL, 0);
    fake_call(s.fake, s.driver, s.actor, fake_id(s.fake, s.driver), 3, &nested, 1);
    fake_acknowledge(s.fake, s.host);
    s.fake->unread[s.driver] = FULL;
    fake_return(s.fake, s.host, second, 6);
    cr_assert_eq(fake_number(fake_result(s.fake, s.driver, second)), 6);
    fake_free(s.fake);
}

Test(left, an_actor_ends_when_its_results_are_taken)
{
    struct scene s = scene();
    cr_assert_eq(fake_release(s.fake, s.driver, s.actor, 2), TRP_OK);
    cr_assert_null(fake_last(s.fake, s.host, TRI_STOP));
    goes_on(&s);
    cr_assert_null(fake_last(s.fake, s.host, TRI_STOP));
    fake_answer_fetch(s.fake, s.host, s.result, 5);
    cr_assert_not_null(fake_last(s.fake, s.host, TRI_STOP));
    fake_free(s.fake);
}

Test(left, the_death_of_an_actor_is_told_to_who_has_no_room_without_its_record)
{
    struct scene s = scene();
    struct tri_id waits = fake_id(s.fake, s.driver);
    fake_call(s.fake, s.driver, s.actor, waits, 2, NULL, 0);
    fake_died(s.fake, s.host, 9, 1, 1);
    const struct sent *sent = fake_result(s.fake, s.driver, waits);
    struct tri_failure chain[8];
    uint32_t count;
    cr_assert_eq(fake_error(sent).ran, TRP_NOT_RUN);
    cr_assert_eq(tri_error_unpack(&sent->parcel->sections[0], chain, &count, NULL), TRP_OK);
    cr_assert_not(chain[0].death.present);
    fake_free(s.fake);
}

Test(left, a_result_that_is_left_is_returned_once)
{
    struct scene s = scene();
    cr_assert_eq(fake_return(s.fake, s.host, s.result, 5), TRP_EPROTO);
    fake_free(s.fake);
}

Test(left, a_cancel_finds_a_result_that_is_left_to_be_there)
{
    struct scene s = scene();
    fake_ids(s.fake, s.driver, TRI_CANCEL, TRI_ASKED, no_id, &s.result, 1);
    cr_assert_null(fake_last(s.fake, s.host, TRI_CANCEL));
    goes_on(&s);
    fake_answer_fetch(s.fake, s.host, s.result, 5);
    cr_assert_eq(fake_number(fake_result(s.fake, s.driver, s.result)), 5);
    fake_free(s.fake);
}
