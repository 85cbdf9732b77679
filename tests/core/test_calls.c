/*
 * test_calls.c - calls through the core: forwarding, order, arguments that are not ready, credit, cancelling, deaths.
 */
#include <stdio.h>

#include "tests/core/fake.h"

static struct tri_ref_entry
entry(struct tri_id id, uint32_t place)
{
    return (struct tri_ref_entry){.id = id, .place = place};
}

Test(calls, a_call_goes_to_the_host_and_its_result_to_the_caller)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), result = fake_id(fake, driver);
    cr_assert_eq(fake_call(fake, driver, actor, result, 1, NULL, 0), TRP_OK);
    const struct sent *call = fake_last(fake, host, TRI_CALL);
    cr_assert_not_null(call);
    cr_assert(call->credited);
    cr_assert_neq(call->parcel->route.epoch, 0);
    cr_assert_eq(call->parcel->route.sequence, 1);
    uint64_t released = fake->released;
    cr_assert_eq(fake_return(fake, host, result, 42), TRP_OK);
    cr_assert_eq(fake_number(fake_result(fake, driver, result)), 42);
    cr_assert_eq(fake->released, released, "not before the caller has it");
    fake_acknowledge(fake, driver);
    cr_assert_eq(fake->released, released + 1);
    cr_assert(fake_names(fake, host, TRI_FREED, result));
    cr_assert_null(tri_thing_find(fake->core, result), "private again");
    fake_free(fake);
}

Test(calls, accepted_is_said_of_calls_without_a_result_in_one_envelope)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), results[3];
    cr_assert(fake_names(fake, driver, TRI_ACCEPTED, actor), "a spawn is accepted under the actor's id");
    for (int i = 0; i < 3; i++) {
        results[i] = fake_id(fake, driver);
        fake_call(fake, driver, actor, results[i], (uint64_t)i + 1, NULL, 0);
    }
    fake_return(fake, host, results[0], 0);
    fake_forget(fake);
    fake_acknowledge(fake, host);
    cr_assert_eq(fake_count(fake, driver, TRI_ACCEPTED), 1);
    cr_assert(fake_names(fake, driver, TRI_ACCEPTED, results[1]));
    cr_assert(fake_names(fake, driver, TRI_ACCEPTED, results[2]));
    cr_assert_not(fake_names(fake, driver, TRI_ACCEPTED, results[0]));
    fake_free(fake);
}

Test(calls, one_way_calls_end_when_the_host_has_them)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host);
    uint64_t released = fake->released;
    cr_assert_eq(fake_call(fake, driver, actor, no_id, 1, NULL, 0), TRP_OK);
    cr_assert_eq(fake->released, released);
    fake_acknowledge(fake, host);
    cr_assert_eq(fake->released, released + 1);
    const struct sent *sent = fake_last(fake, driver, TRI_ACCEPTED);
    cr_assert_eq(sent->parcel->route.sequence, 1, "the lane, up to there");
    cr_assert_eq(sent->parcel->section_count, 0);
    fake_free(fake);
}

Test(calls, a_pending_argument_blocks_its_own_lane_only_and_is_appended)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index one = fake_driver(fake), two = fake_driver(fake), host, other_host;
    struct tri_id actor = fake_actor(fake, one, "", &host), other = fake_actor(fake, one, "", &other_host);
    struct tri_id first = fake_id(fake, one), second = fake_id(fake, one), third = fake_id(fake, one);
    struct tri_id theirs = fake_id(fake, two);
    fake_call(fake, one, other, first, 1, NULL, 0);
    struct tri_ref_entry needs = entry(first, 0);
    fake_call(fake, one, actor, second, 1, &needs, 1);
    fake_call(fake, one, actor, third, 2, NULL, 0);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 0, "the lane waits");
    fake_call(fake, two, actor, theirs, 1, NULL, 0);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 1, "another caller's does not");
    fake_return(fake, other_host, first, 7);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 3);
    size_t seen = 0;
    for (size_t i = 0; i < fake->sent_count; i++) {
        const struct tri_parcel *parcel = fake->sent[i].parcel;
        if (fake->sent[i].peer != host || parcel->route.kind != TRI_CALL)
            continue;
        if (seen == 1) {
            cr_assert(tri_id_equal(parcel->route.result, second));
            cr_assert_eq(parcel->section_count, 2);
            cr_assert_eq(parcel->sections[1].place, 1);
        }
        cr_assert(seen != 2 || tri_id_equal(parcel->route.result, third));
        seen++;
    }
    fake_free(fake);
}

Test(calls, a_failed_argument_fails_the_call_with_its_error)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host);
    struct tri_id chain[100];
    chain[0] = fake_id(fake, driver);
    fake_call(fake, driver, actor, chain[0], 1, NULL, 0);
    for (int i = 1; i < 100; i++) {
        struct tri_ref_entry needs = entry(chain[i - 1], 0);
        chain[i] = fake_id(fake, driver);
        fake_call(fake, driver, actor, chain[i], (uint64_t)i + 1, &needs, 1);
    }
    fake_fail(fake, host, chain[0], TRP_ETASK, "The board is empty.");
    trp_error error = fake_error(fake_result(fake, driver, chain[99]));
    cr_assert_eq(error.code, TRP_ETASK);
    cr_assert_eq(error.ran, TRP_NOT_RUN);
    cr_assert_not_null(strstr(fake_error(fake_result(fake, driver, chain[1])).message, "The board is empty."));
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 1);
    fake_free(fake);
}

Test(calls, an_argument_that_failed_is_named_by_its_first_place)
{
    static const uint32_t rows[][3] = {{1, 2, 1}, {2, 1, 1}, {0, 3, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fake *fake = fake_new(NULL, NULL, 0);
        tri_peer_index driver = fake_driver(fake), host;
        struct tri_id actor = fake_actor(fake, driver, "", &host);
        struct tri_id made = fake_id(fake, driver), early = fake_id(fake, driver), late = fake_id(fake, driver);
        struct tri_ref_entry needs[] = {entry(made, rows[i][0]), entry(made, rows[i][1])};
        char words[40];
        fake_call(fake, driver, actor, made, 1, NULL, 0);
        fake_call(fake, driver, actor, early, 2, needs, 2); /* waits for it */
        fake_fail(fake, host, made, TRP_ETASK, "The board is empty.");
        fake_call(fake, driver, actor, late, 3, needs, 2); /* it has failed */
        snprintf(words, sizeof words, "its argument %u failed", rows[i][2]);
        for (int k = 0; k < 2; k++) {
            trp_error error = fake_error(fake_result(fake, driver, k == 0 ? early : late));
            cr_expect_not_null(strstr(error.message, words), "row %zu, no '%s' in: %s", i, words, error.message);
        }
        fake_free(fake);
    }
}

Test(calls, without_room_at_the_host_lanes_take_turns)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index one = fake_driver(fake), two = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, one, "", &host);
    fake->no_credit = true;
    for (uint64_t i = 1; i <= 3; i++)
        fake_call(fake, one, actor, fake_id(fake, one), i, NULL, 0);
    for (uint64_t i = 1; i <= 3; i++)
        fake_call(fake, two, actor, fake_id(fake, two), i, NULL, 0);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 0);
    fake->no_credit = false;
    fake_acknowledge(fake, host);
    uint64_t spaces[6], count = 0;
    for (size_t i = 0; i < fake->sent_count; i++)
        if (fake->sent[i].peer == host && fake->sent[i].parcel->route.kind == TRI_CALL)
            spaces[count++] = fake->sent[i].parcel->route.result.space;
    cr_assert_eq(count, 6);
    for (int i = 1; i < 6; i++)
        cr_assert_neq(spaces[i], spaces[i - 1]);
    fake_free(fake);
}

Test(calls, a_queued_call_whose_deadline_passes_was_not_run)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), result = fake_id(fake, driver);
    fake->no_credit = true;
    struct tri_section body;
    trp_err err = tri_call_pack(&fake->packed, "slow", trp_null(), NULL, NULL);
    cr_assert_eq(err, TRP_OK);
    body = fake->packed.section;
    struct tri_route route = {.kind = TRI_CALL, .target = actor, .result = result, .sequence = 1, .deadline_us = 5000};
    cr_assert_eq(fake_send(fake, driver, route, &body, 1), TRP_OK);
    cr_assert_leq(tri_core_next_ns(fake->core), fake->now_ns + 5 * TRI_NS_PER_MS);
    fake_tick(fake, 6);
    trp_error error = fake_error(fake_result(fake, driver, result));
    cr_assert_eq(error.code, TRP_ETIMEDOUT);
    cr_assert_eq(error.ran, TRP_NOT_RUN);
    cr_assert_str_eq(error.method, "slow");
    fake_free(fake);
}

Test(calls, cancelling_drops_what_is_queued_and_is_passed_on_otherwise)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host);
    struct tri_id given = fake_id(fake, driver), queued = fake_id(fake, driver);
    fake_call(fake, driver, actor, given, 1, NULL, 0);
    fake->no_credit = true;
    fake_call(fake, driver, actor, queued, 2, NULL, 0);
    struct tri_id both[2] = {given, queued};
    cr_assert_eq(fake_ids(fake, driver, TRI_CANCEL, 0, no_id, both, 2), TRP_OK);
    cr_assert(fake_names(fake, host, TRI_CANCEL, given));
    cr_assert_eq(fake_error(fake_result(fake, driver, queued)).code, TRP_ECANCELLED);
    fake_free(fake);
}

Test(calls, a_holder_cancels_what_another_one_has_called)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), holder = fake_driver(fake), stranger = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host);
    struct tri_id given = fake_id(fake, driver), object = fake_id(fake, driver);
    struct tri_ref_entry entry = {.id = given, .place = TRI_NESTED};
    fake_call(fake, driver, actor, given, 1, NULL, 0);
    cr_assert_eq(fake_ids(fake, stranger, TRI_CANCEL, TRI_ASKED, no_id, &given, 1), TRP_OK);
    cr_assert_eq(fake_count(fake, host, TRI_CANCEL), 0, "it holds nothing of it");
    fake_put(fake, driver, object, 1, &entry, 1);
    tri_hold_hand(fake->core, tri_thing_find(fake->core, given), tri_peer_find(fake->core, holder), 1);
    cr_assert_eq(fake_ids(fake, holder, TRI_CANCEL, 0, no_id, &given, 1), TRP_OK);
    cr_assert_eq(fake_count(fake, host, TRI_CANCEL), 0, "its deadline is its caller's business");
    cr_assert_eq(fake_ids(fake, holder, TRI_CANCEL, TRI_ASKED, no_id, &given, 1), TRP_OK);
    cr_assert(fake_names(fake, host, TRI_CANCEL, given));
    cr_assert_eq(fake_last(fake, host, TRI_CANCEL)->parcel->route.flags, TRI_ASKED);
    fake_free(fake);
}

Test(calls, a_cancel_that_overtakes_its_call_drops_it)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), holder = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host);
    struct tri_id results[2] = {fake_id(fake, driver), fake_id(fake, driver)}, object = fake_id(fake, driver);
    for (int i = 0; i < 2; i++) {
        struct tri_ref_entry entry = {.id = results[i], .place = TRI_NESTED};
        fake_put(fake, driver, i == 0 ? object : fake_id(fake, driver), 1, &entry, 1);
        tri_hold_hand(fake->core, tri_thing_find(fake->core, results[i]), tri_peer_find(fake->core, holder), 1);
        cr_assert_eq(fake_ids(fake, holder, TRI_CANCEL, TRI_ASKED, no_id, &results[i], 1), TRP_OK);
    }
    fake_call(fake, driver, actor, results[0], 1, NULL, 0);
    fake_task(fake, driver, results[1], NULL, 0);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 0);
    for (int i = 0; i < 2; i++) {
        const trp_error error = fake_error(fake_result(fake, driver, results[i]));
        cr_assert_eq(error.code, TRP_ECANCELLED);
        cr_assert_eq(error.ran, TRP_NOT_RUN);
        cr_assert(strstr(error.message, "cancelled before it came") != NULL, "%s", error.message);
    }
    fake_free(fake);
}

Test(calls, a_call_with_a_deadline_that_is_cancelled_has_not_timed_out)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), queued = fake_id(fake, driver);
    struct tri_route route = {
        .kind = TRI_CALL, .target = actor, .result = queued, .sequence = 1, .deadline_us = 60000000};
    fake->no_credit = true;
    cr_assert_eq(tri_call_pack(&fake->packed, "slow", trp_null(), NULL, NULL), TRP_OK);
    cr_assert_eq(fake_send(fake, driver, route, &fake->packed.section, 1), TRP_OK);
    cr_assert_eq(fake_ids(fake, driver, TRI_CANCEL, TRI_ASKED, no_id, &queued, 1), TRP_OK);
    const trp_error error = fake_error(fake_result(fake, driver, queued));
    cr_assert_eq(error.code, TRP_ECANCELLED);
    cr_assert_str_eq(error.method, "slow");
    fake_free(fake);
}

Test(calls, a_cancelled_call_whose_host_dies_is_cancelled_and_says_what_ran)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "Tally", &host), result = fake_id(fake, driver);
    fake_call(fake, driver, actor, result, 1, NULL, 0);
    fake_ids(fake, driver, TRI_CANCEL, TRI_ASKED, no_id, &result, 1);
    fake_died(fake, host, 11, 1, 0);
    const trp_error error = fake_error(fake_result(fake, driver, result));
    cr_assert_eq(error.code, TRP_ECANCELLED);
    cr_assert_eq(error.cause, TRP_EACTORDIED);
    cr_assert_eq(error.ran, TRP_MAY_HAVE_RUN);
    cr_assert(strstr(error.message, "signal 11") != NULL, "%s", error.message);
    fake_free(fake);
}

Test(calls, a_call_with_a_deadline_is_cancelled_because_it_has_passed)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), queued = fake_id(fake, driver);
    struct tri_route route = {
        .kind = TRI_CALL, .target = actor, .result = queued, .sequence = 1, .deadline_us = 60000000};
    fake->no_credit = true;
    cr_assert_eq(tri_call_pack(&fake->packed, "slow", trp_null(), NULL, NULL), TRP_OK);
    cr_assert_eq(fake_send(fake, driver, route, &fake->packed.section, 1), TRP_OK);
    cr_assert_eq(fake_ids(fake, driver, TRI_CANCEL, 0, no_id, &queued, 1), TRP_OK);
    cr_assert_eq(fake_error(fake_result(fake, driver, queued)).code, TRP_ETIMEDOUT, "the caller's clock is ahead");
    fake_free(fake);
}

Test(calls, a_death_says_what_ran_and_what_did_not)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "Tally", &host), results[4];
    for (uint64_t i = 0; i < 4; i++) {
        results[i] = fake_id(fake, driver);
        fake->no_credit = i == 3;
        fake_call(fake, driver, actor, results[i], i + 1, NULL, 0);
    }
    fake_died(fake, host, 11, 2, 1);
    const trp_ran ran[] = {TRP_RAN, TRP_MAY_HAVE_RUN, TRP_NOT_RUN, TRP_NOT_RUN};
    for (int i = 0; i < 4; i++) {
        trp_error error = fake_error(fake_result(fake, driver, results[i]));
        cr_assert_eq(error.code, TRP_EACTORDIED);
        cr_assert_eq(error.ran, ran[i], "call %d", i);
        cr_assert_not_null(strstr(error.message, "Tally"));
        cr_assert_not_null(strstr(error.message, "signal 11"), "%s", error.message);
    }
    struct tri_id late = fake_id(fake, driver);
    fake_call(fake, driver, actor, late, 5, NULL, 0);
    cr_assert_eq(fake_error(fake_result(fake, driver, late)).ran, TRP_NOT_RUN);
    fake_free(fake);
}

Test(calls, a_death_names_to_each_call_its_own_method)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "Tally", &host), results[2];
    for (uint64_t i = 0; i < 2; i++) {
        results[i] = fake_id(fake, driver);
        fake_call(fake, driver, actor, results[i], i + 1, NULL, 0);
    }
    fake_acknowledge(fake, host);
    const struct tri_death death = {
        .present = true, .pid = 77, .exit_code = -1, .signal = 11, .method = "crash", .sequence = 3, .started = 3};
    const uint64_t token = tri_core_token(fake->core, host);
    fake_gone(fake, host);
    tri_core_host_exited(fake->core, token, &death, fake->now_ns);
    for (int i = 0; i < 2; i++) {
        const trp_error error = fake_error(fake_result(fake, driver, results[i]));
        cr_assert_eq(error.ran, TRP_MAY_HAVE_RUN);
        cr_assert_str_eq(error.method, "m");
        cr_assert_not_null(strstr(error.message, "The call of m may have run"), "%s", error.message);
    }
    fake_free(fake);
}

Test(calls, too_many_waiting_for_an_actor_with_a_limit_get_eagain)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id actor = fake_id(fake, driver), result;
    struct tri_spawn body = fake_spawn_body("");
    body.max_pending_calls = 2;
    fake_spawn(fake, driver, actor, no_id, &body);
    for (uint64_t i = 1; i <= 3; i++) {
        result = fake_id(fake, driver);
        fake_call(fake, driver, actor, result, i, NULL, 0);
    }
    trp_error error = fake_error(fake_result(fake, driver, result));
    cr_assert_eq(error.code, TRP_EAGAIN);
    cr_assert_eq(error.ran, TRP_NOT_RUN);
    fake_free(fake);
}

Test(calls, without_a_limit_of_its_own_an_actor_lets_all_wait_that_its_callers_may_send)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id actor = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body("");
    struct tri_core_counts counts;
    fake_spawn(fake, driver, actor, no_id, &body);
    for (uint64_t i = 1; i <= 10001; i++)
        fake_call(fake, driver, actor, fake_id(fake, driver), i, NULL, 0);
    tri_core_count(fake->core, &counts);
    cr_assert_eq(counts.queued_calls, 10001);
    fake_free(fake);
}

Test(calls, who_sends_more_than_the_window_is_cut)
{
    struct tri_core_config config = {.incarnation = 1, .node = "test", .num_cpus = 2, .limits = {.credit_calls = 4}};
    struct fake *fake = fake_new(&config, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    trp_err err = TRP_OK;
    uint64_t sent = 0;
    for (; err == TRP_OK && sent < 10; sent++)
        err = fake_task(fake, driver, fake_id(fake, driver), NULL, 0);
    cr_assert_eq(err, TRP_ELIMIT);
    cr_assert_eq(sent, 6);
    fake_free(fake);
}

Test(calls, calls_of_a_dead_caller_go_on_where_they_were_given)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index owner = fake_driver(fake), caller = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, owner, "", &host);
    struct tri_id given = fake_id(fake, caller), queued = fake_id(fake, caller);
    fake_call(fake, caller, actor, given, 1, NULL, 0);
    fake->no_credit = true;
    fake_call(fake, caller, actor, queued, 2, NULL, 0);
    fake_gone(fake, caller);
    cr_assert_null(tri_thing_find(fake->core, queued));
    cr_assert_eq(fake_return(fake, host, given, 1), TRP_OK);
    cr_assert(fake_names(fake, host, TRI_FREED, given));
    fake_free(fake);
}
