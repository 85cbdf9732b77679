/*
 * test_holds.c - references: hand-over counts and their races, objects, who keeps values, nested references, loss.
 */
#include "tests/core/fake.h"

static struct tri_ref_entry
entry(struct tri_id id, uint32_t place)
{
    return (struct tri_ref_entry){.id = id, .place = place};
}

static trp_err
return_with(struct fake *fake, tri_peer_index host, struct tri_id result, struct tri_ref_entry ref)
{
    struct tri_section section = fake_value(fake, 1);
    section.refs = &ref;
    section.ref_count = 1;
    return fake_send(fake, host, (struct tri_route){.kind = TRI_RESULT, .result = result}, &section, 1);
}

static uint64_t
handed(struct fake *fake, tri_peer_index peer, struct tri_id id)
{
    struct tri_thing *thing = tri_thing_find(fake->core, id);
    struct tri_hold *hold = thing != NULL ? tri_hold_find(thing, tri_peer_find(fake->core, peer)) : NULL;
    return hold != NULL ? hold->handed : 0;
}

/* The result of a call, and a call of a second actor's, `carrier`, that carries it there; `ended`: it was there before that. */
static struct tri_id
hand_on(struct fake *fake, tri_peer_index driver, bool ended, tri_peer_index *host, tri_peer_index *other,
        struct tri_id *carrier)
{
    struct tri_id first = fake_actor(fake, driver, "", host), second = fake_actor(fake, driver, "", other);
    struct tri_id result = fake_id(fake, driver);
    struct tri_ref_entry nested = entry(result, TRI_NESTED);
    *carrier = fake_id(fake, driver);
    fake_call(fake, driver, first, result, 1, NULL, 0);
    if (ended)
        fake_return(fake, *host, result, 9);
    fake_call(fake, driver, second, *carrier, 1, &nested, 1);
    return result;
}

Test(holds, a_nested_reference_is_handed_to_the_host_and_released_by_count)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), object = fake_id(fake, driver);
    struct tri_ref_entry nested = entry(object, TRI_NESTED);
    cr_assert_eq(fake_put(fake, driver, object, 5, NULL, 0), TRP_OK);
    struct tri_id first = fake_id(fake, driver), second = fake_id(fake, driver);
    fake_call(fake, driver, actor, first, 1, &nested, 1);
    cr_assert_eq(handed(fake, host, object), 1);
    fake_call(fake, driver, actor, second, 2, &nested, 1);
    cr_assert_eq(handed(fake, host, object), 2);
    cr_assert_eq(fake_release(fake, driver, object, 1), TRP_OK);
    cr_assert_eq(fake_release(fake, host, object, 1), TRP_OK, "it knew of one: the hold stays");
    cr_assert_eq(handed(fake, host, object), 1);
    fake_return(fake, host, first, 0);
    fake_return(fake, host, second, 0);
    cr_assert_not_null(tri_thing_find(fake->core, object));
    cr_assert_eq(fake_release(fake, host, object, 1), TRP_OK);
    cr_assert_null(tri_thing_find(fake->core, object));
    cr_assert(fake_names(fake, driver, TRI_FREED, object));
    fake_free(fake);
}

Test(holds, release_of_more_than_is_held_is_refused)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index one = fake_driver(fake), two = fake_driver(fake);
    struct tri_id object = fake_id(fake, one);
    fake_put(fake, one, object, 5, NULL, 0);
    cr_assert_eq(fake_release(fake, one, object, 2), TRP_EPROTO);
    cr_assert_eq(fake_release(fake, two, object, 1), TRP_EPROTO);
    cr_assert_eq(fake_release(fake, one, fake_id(fake, one), 1), TRP_OK, "its own, private");
    fake_free(fake);
}

Test(holds, waiting_holders_get_the_result_and_the_keeper_is_freed)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host, other;
    struct tri_id carrier, result = hand_on(fake, driver, false, &host, &other, &carrier);
    cr_assert_eq(handed(fake, other, result), 1);
    fake_ids(fake, other, TRI_WAIT, 0, no_id, &result, 1);
    cr_assert_null(fake_result(fake, other, result));
    fake_return(fake, host, result, 9);
    cr_assert_eq(fake_number(fake_result(fake, other, result)), 9);
    cr_assert_eq(fake_number(fake_result(fake, driver, result)), 9);
    cr_assert_not(fake_names(fake, host, TRI_FREED, result));
    fake_acknowledge(fake, other);
    cr_assert_not(fake_names(fake, host, TRI_FREED, result), "its caller does not know that it has ended");
    fake_acknowledge(fake, driver);
    cr_assert_not(fake_names(fake, host, TRI_FREED, result), "a call that carries it goes on");
    fake_return(fake, other, carrier, 1);
    fake_acknowledge(fake, driver);
    cr_assert(fake_names(fake, host, TRI_FREED, result), "living holders have it");
    fake_release(fake, driver, result, 1);
    fake_release(fake, other, result, 1);
    cr_assert_null(tri_thing_find(fake->core, result));
    fake_free(fake);
}

Test(holds, what_one_holder_waits_for_is_kept_when_another_one_has_it)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host, other;
    struct tri_id carrier, result = hand_on(fake, driver, false, &host, &other, &carrier);
    fake_return(fake, other, carrier, 1);
    fake_return(fake, host, result, 9);
    fake_acknowledge(fake, driver);
    cr_assert_not(fake_names(fake, host, TRI_FREED, result), "the driver may go, and the broker, too");
    fake_ids(fake, other, TRI_WAIT, 0, no_id, &result, 1);
    fake_gone(fake, driver);
    cr_assert_not(fake_names(fake, host, TRI_FREED, result));
    fake_acknowledge(fake, other);
    cr_assert(fake_names(fake, host, TRI_FREED, result));
    fake_free(fake);
}

/* What a process lets go of may come back to it in a value. */
static struct tri_id
come_back(struct fake *fake, tri_peer_index driver, bool after_its_result)
{
    tri_peer_index host, other;
    struct tri_id carrier, result = hand_on(fake, driver, false, &host, &other, &carrier);
    if (after_its_result)
        fake_return(fake, host, result, 9);
    cr_assert_eq(fake_release(fake, driver, result, 1), TRP_OK);
    if (!after_its_result)
        fake_return(fake, host, result, 9);
    cr_assert_eq(return_with(fake, other, carrier, entry(result, TRI_NESTED)), TRP_OK);
    cr_assert_eq(handed(fake, driver, result), 1);
    return result;
}

Test(holds, a_result_that_was_let_go_of_and_came_back_is_sent_before_the_answer_is_acknowledged)
{
    for (int i = 0; i < 2; i++) {
        struct fake *fake = fake_new(NULL, NULL, 0);
        tri_peer_index driver = fake_driver(fake);
        struct tri_id result = come_back(fake, driver, i == 1);
        uint64_t answered = fake->packets[driver];
        fake_forget(fake);
        fake_ids(fake, driver, TRI_WAIT, 0, no_id, &result, 1);
        cr_assert_not_null(fake_result(fake, driver, result));
        cr_assert_eq(fake_number(fake_result(fake, driver, result)), 9);
        struct tri_hold *hold = tri_hold_find(tri_thing_find(fake->core, result), tri_peer_find(fake->core, driver));
        tri_core_acknowledged(fake->core, driver, answered, fake->now_ns);
        cr_assert_not(hold->has_value, "the answer is there, not what was sent after it");
        fake_acknowledge(fake, driver);
        cr_assert(hold->has_value);
        cr_assert_eq(fake_release(fake, driver, result, 1), TRP_OK);
        fake_free(fake);
    }
}

Test(holds, a_value_on_its_way_is_not_lost_when_its_last_holder_lets_go)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host, other;
    struct tri_id carrier, result = hand_on(fake, driver, true, &host, &other, &carrier);
    cr_assert(fake_names(fake, host, TRI_FETCH, result));
    fake_acknowledge(fake, driver);
    cr_assert_not(fake_names(fake, host, TRI_FREED, result), "it is to send it first");
    cr_assert_eq(fake_release(fake, driver, result, 1), TRP_OK);
    cr_assert_eq(fake_answer_fetch(fake, host, result, 9), TRP_OK);
    fake_ids(fake, other, TRI_WAIT, 0, no_id, &result, 1);
    cr_assert_eq(fake_number(fake_result(fake, other, result)), 9);
    cr_assert_not(fake_names(fake, host, TRI_FREED, result));
    fake_return(fake, other, carrier, 1);
    fake_acknowledge(fake, other);
    fake_acknowledge(fake, driver);
    cr_assert(fake_names(fake, host, TRI_FREED, result));
    fake_free(fake);
}

Test(holds, a_value_that_its_maker_did_not_send_any_more_is_asked_of_who_has_it_before_that_lets_go)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host, other;
    struct tri_id carrier, result = hand_on(fake, driver, true, &host, &other, &carrier);
    cr_assert(fake_names(fake, host, TRI_FETCH, result));
    fake_died(fake, host, 9, 1, 1);
    cr_assert(fake_names(fake, driver, TRI_FETCH, result), "nobody waits so far");
    cr_assert_eq(fake_answer_fetch(fake, driver, result, 9), TRP_OK);
    cr_assert_eq(fake_release(fake, driver, result, 1), TRP_OK);
    fake_ids(fake, other, TRI_WAIT, 0, no_id, &result, 1);
    cr_assert_eq(fake_number(fake_result(fake, other, result)), 9);
    fake_free(fake);
}

Test(holds, a_result_with_references_makes_its_receiver_a_holder)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), result = fake_id(fake, driver);
    struct tri_id inner = fake_id(fake, host);
    fake_call(fake, driver, actor, result, 1, NULL, 0);
    fake_put(fake, host, inner, 3, NULL, 0);
    cr_assert_eq(return_with(fake, host, result, entry(inner, TRI_NESTED)), TRP_OK);
    cr_assert_eq(handed(fake, driver, inner), 1);
    fake_release(fake, host, inner, 1);
    cr_assert_not_null(tri_thing_find(fake->core, inner));
    fake_acknowledge(fake, driver);
    fake_ids(fake, driver, TRI_WAIT, 0, no_id, &inner, 1);
    cr_assert_eq(fake_number(fake_result(fake, driver, inner)), 3);
    fake_release(fake, driver, inner, 1);
    cr_assert_null(tri_thing_find(fake->core, inner));
    fake_free(fake);
}

Test(holds, a_result_that_leads_back_to_itself_fails)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host);
    struct tri_id one = fake_id(fake, driver), two = fake_id(fake, driver);
    fake_call(fake, driver, actor, one, 1, NULL, 0);
    struct tri_ref_entry nested = entry(one, TRI_NESTED);
    fake_call(fake, driver, actor, two, 2, &nested, 1);
    cr_assert_eq(return_with(fake, host, two, nested), TRP_OK);
    cr_assert_eq(return_with(fake, host, one, entry(two, TRI_NESTED)), TRP_OK);
    cr_assert_eq(fake_error(fake_result(fake, driver, one)).code, TRP_ECYCLE);
    cr_assert_not_null(fake_result(fake, host, one), "or it would hold what leads back to it");
    cr_assert_eq(fake_error(fake_result(fake, host, one)).code, TRP_ECYCLE);
    fake_free(fake);
}

Test(holds, a_value_that_the_broker_does_not_have_is_fetched)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host);
    struct tri_id one = fake_id(fake, driver), two = fake_id(fake, driver);
    fake_call(fake, driver, actor, one, 1, NULL, 0);
    fake_return(fake, host, one, 11); /* goes through; not kept */
    struct tri_ref_entry top = entry(one, 0);
    fake_call(fake, driver, actor, two, 2, &top, 1);
    cr_assert(fake_names(fake, host, TRI_FETCH, one));
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 1);
    cr_assert_eq(fake_put(fake, host, one, 11, NULL, 0), TRP_EPROTO, "not said to be an answer");
    cr_assert_eq(fake_answer_fetch(fake, host, one, 11), TRP_OK);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 2);
    cr_assert_eq(fake_last(fake, host, TRI_CALL)->parcel->section_count, 2);
    cr_assert_eq(fake_answer_fetch(fake, host, one, 11), TRP_EPROTO, "asked for once");
    fake_free(fake);
}

static bool
lies_here(const struct fake *fake, struct tri_id id)
{
    return tri_as_object(tri_thing_find(fake->core, id))->value != NULL;
}

Test(holds, values_beyond_their_publishers_window_stay_with_it_and_are_fetched)
{
    enum { PUTS = 40 };
    struct tri_core_config config = {.incarnation = 1, .node = "test", .num_cpus = 2, .limits = {.credit_bytes = 500}};
    struct fake *fake = fake_new(&config, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), objects[PUTS];
    size_t here = 0;
    for (int i = 0; i < PUTS; i++) {
        objects[i] = fake_id(fake, driver);
        cr_assert_eq(fake_put(fake, driver, objects[i], i, NULL, 0), TRP_OK);
        here += lies_here(fake, objects[i]);
    }
    cr_assert(here > 0 && here < PUTS / 2, "%zu", here);
    struct tri_id last = objects[PUTS - 1];
    struct tri_ref_entry nested = entry(last, TRI_NESTED);
    fake_call(fake, driver, actor, no_id, 1, &nested, 1);
    cr_assert(fake_names(fake, driver, TRI_FETCH, last), "it is asked for before it is handed on");
    cr_assert_eq(fake_answer_fetch(fake, driver, last, PUTS - 1), TRP_OK);
    fake_acknowledge(fake, host);
    cr_assert_not(lies_here(fake, last));
    fake_forget(fake);
    fake_ids(fake, host, TRI_WAIT, 0, no_id, &last, 1);
    cr_assert(fake_names(fake, driver, TRI_FETCH, last));
    cr_assert_eq(fake_answer_fetch(fake, driver, last, PUTS - 1), TRP_OK);
    cr_assert_eq(fake_number(fake_result(fake, host, last)), PUTS - 1);
    cr_assert_not(lies_here(fake, last));
    for (int i = 0; i < PUTS - 1; i++) /* what it lets go makes room */
        cr_assert_eq(fake_release(fake, driver, objects[i], 1), TRP_OK);
    struct tri_id next = fake_id(fake, driver);
    cr_assert_eq(fake_put(fake, driver, next, 1, NULL, 0), TRP_OK);
    cr_assert(lies_here(fake, next));
    fake_free(fake);
}

Test(holds, the_last_copy_outside_the_broker_is_replaced)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), maker = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), object = fake_id(fake, maker);
    fake_put(fake, maker, object, 21, NULL, 0);
    struct tri_ref_entry nested = entry(object, TRI_NESTED);
    fake_call(fake, maker, actor, no_id, 1, &nested, 1);
    fake_acknowledge(fake, host);
    cr_assert_null(fake_result(fake, host, object));
    fake_gone(fake, maker);
    cr_assert_eq(fake_number(fake_result(fake, host, object)), 21);
    fake_acknowledge(fake, host);
    fake_free(fake);
}

Test(holds, an_object_whose_only_holder_of_the_value_died_is_lost)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), maker = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), object = fake_id(fake, maker);
    struct tri_ref_entry nested = entry(object, TRI_NESTED);
    fake_call(fake, maker, actor, no_id, 1, &nested, 1); /* and never published */
    fake_ids(fake, host, TRI_WAIT, 0, no_id, &object, 1);
    cr_assert(fake_names(fake, maker, TRI_FETCH, object));
    fake_gone(fake, maker);
    cr_assert_eq(fake_error(fake_result(fake, host, object)).code, TRP_EOBJLOST);
    struct tri_id unknown = {1, 2};
    fake_ids(fake, host, TRI_WAIT, 0, no_id, &unknown, 1);
    cr_assert_eq(fake_error(fake_result(fake, host, unknown)).code, TRP_EOBJLOST);
    fake_free(fake);
}

Test(holds, a_caller_that_let_its_result_go_hears_only_that_it_ended)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), result = fake_id(fake, driver);
    fake_call(fake, driver, actor, result, 1, NULL, 0);
    cr_assert_eq(fake_release(fake, driver, result, 1), TRP_OK);
    uint64_t released = fake->released;
    fake_return(fake, host, result, 4);
    cr_assert_eq(fake_number(fake_result(fake, driver, result)), 0);
    cr_assert_not(fake_names(fake, host, TRI_FREED, result), "its caller has not acknowledged that it ended");
    fake_acknowledge(fake, driver);
    cr_assert(fake_names(fake, host, TRI_FREED, result));
    cr_assert_eq(fake->released, released + 1);
    fake_free(fake);
}

Test(holds, long_chains_of_objects_are_let_go_without_recursion)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    enum { LENGTH = 3000 };
    struct tri_id last = no_id;
    for (int i = 0; i < LENGTH; i++) {
        struct tri_id object = fake_id(fake, driver);
        struct tri_ref_entry nested = entry(last, TRI_NESTED);
        trp_err err = fake_put(fake, driver, object, i, &nested, i > 0 ? 1 : 0);
        cr_assert_eq(err, TRP_OK);
        if (i > 0)
            fake_release(fake, driver, last, 1);
        last = object;
    }
    struct tri_core_counts counts;
    tri_core_count(fake->core, &counts);
    cr_assert_eq(counts.objects, LENGTH);
    fake_release(fake, driver, last, 1);
    tri_core_count(fake->core, &counts);
    cr_assert_eq(counts.objects, 0);
    fake_free(fake);
}
