/*
 * test_quiet.c - quiet calls: results without an object, until somebody else than the caller asks for them.
 */
#include "tests/core/fake.h"

static const struct tri_pending *
quiet(const struct fake *fake, struct tri_id id)
{
    return tri_quiet_find(fake->core, id);
}

static struct tri_hold *
own_hold(const struct fake *fake, struct tri_id id)
{
    struct tri_thing *thing = tri_thing_find(fake->core, id);
    return thing != NULL && thing->own.handed > 0 ? &thing->own : NULL;
}

struct scene {
    struct fake *fake;
    tri_peer_index driver, host;
    struct tri_id actor, result;
};

static struct scene
scene(void)
{
    struct scene scene = {.fake = fake_new(NULL, NULL, 0)};
    scene.driver = fake_driver(scene.fake);
    scene.actor = fake_actor(scene.fake, scene.driver, "", &scene.host);
    scene.result = fake_id(scene.fake, scene.driver);
    cr_assert_eq(fake_call(scene.fake, scene.driver, scene.actor, scene.result, 1, NULL, 0), TRP_OK);
    cr_assert_not_null(quiet(scene.fake, scene.result));
    return scene;
}

Test(quiet, a_call_stays_quiet_from_its_host_to_its_callers_acknowledgement)
{
    struct scene s = scene();
    struct tri_core_counts counts;
    fake_acknowledge(s.fake, s.host);
    cr_assert_not_null(quiet(s.fake, s.result));
    cr_assert_eq(fake_return(s.fake, s.host, s.result, 5), TRP_OK);
    cr_assert_eq(fake_number(fake_result(s.fake, s.driver, s.result)), 5);
    cr_assert_not_null(quiet(s.fake, s.result));
    cr_assert_not(fake_names(s.fake, s.host, TRI_FREED, s.result), "the caller may not have it");
    fake_acknowledge(s.fake, s.driver);
    cr_assert(fake_names(s.fake, s.host, TRI_FREED, s.result));
    cr_assert_null(quiet(s.fake, s.result));
    tri_core_count(s.fake->core, &counts);
    cr_assert_eq(counts.objects, 0);
    fake_free(s.fake);
}

Test(quiet, a_reference_to_a_pending_result_gives_it_an_object)
{
    struct scene s = scene();
    struct tri_ref_entry nested = {.id = s.result, .place = TRI_NESTED};
    struct tri_id carrier = fake_id(s.fake, s.driver);
    cr_assert_eq(fake_call(s.fake, s.driver, s.actor, carrier, 2, &nested, 1), TRP_OK);
    cr_assert_null(quiet(s.fake, s.result));
    cr_assert_not_null(own_hold(s.fake, s.result));
    fake_ids(s.fake, s.host, TRI_WAIT, 0, no_id, &s.result, 1);
    fake_return(s.fake, s.host, s.result, 6);
    cr_assert_eq(fake_number(fake_result(s.fake, s.host, s.result)), 6, "also to who waits");
    cr_assert_eq(fake_number(fake_result(s.fake, s.driver, s.result)), 6);
    fake_free(s.fake);
}

Test(quiet, a_reference_to_an_answered_result_is_fetched_from_who_has_it)
{
    struct scene s = scene();
    struct tri_ref_entry nested = {.id = s.result, .place = TRI_NESTED};
    fake_return(s.fake, s.host, s.result, 6);
    fake_call(s.fake, s.driver, s.actor, fake_id(s.fake, s.driver), 2, &nested, 1);
    cr_assert_null(quiet(s.fake, s.result));
    cr_assert(fake_names(s.fake, s.host, TRI_FETCH, s.result), "its host keeps it");
    fake_put(s.fake, s.host, s.result, 6, NULL, 0);
    fake_acknowledge(s.fake, s.driver);
    cr_assert_not_null(own_hold(s.fake, s.result));
    fake_free(s.fake);
}

Test(quiet, a_release_before_the_acknowledgement_is_read_needs_no_object)
{
    struct scene s = scene();
    fake_return(s.fake, s.host, s.result, 6);
    cr_assert_eq(fake_release(s.fake, s.driver, s.result, 1), TRP_OK);
    cr_assert_not_null(quiet(s.fake, s.result));
    cr_assert_eq(fake_release(s.fake, s.driver, s.result, 1), TRP_OK, "its own, and private again");
    cr_assert_null(own_hold(s.fake, s.result));
    fake_acknowledge(s.fake, s.driver);
    cr_assert(fake_names(s.fake, s.host, TRI_FREED, s.result));
    cr_assert_null(tri_thing_find(s.fake->core, s.result));
    fake_free(s.fake);
}

Test(quiet, a_release_before_the_result_leaves_the_caller_an_end_without_a_value)
{
    struct scene s = scene();
    fake_release(s.fake, s.driver, s.result, 1);
    cr_assert_null(quiet(s.fake, s.result));
    fake_return(s.fake, s.host, s.result, 6);
    cr_assert_not_null(fake_result(s.fake, s.driver, s.result));
    fake_acknowledge(s.fake, s.driver);
    cr_assert(fake_names(s.fake, s.host, TRI_FREED, s.result));
    fake_free(s.fake);
}

Test(quiet, more_is_released_than_was_handed_over)
{
    struct scene s = scene();
    fake_return(s.fake, s.host, s.result, 6);
    cr_assert_eq(fake_release(s.fake, s.driver, s.result, 2), TRP_EPROTO);
    fake_free(s.fake);
}

Test(quiet, a_name_that_a_quiet_call_has_is_taken)
{
    struct scene s = scene();
    cr_assert_eq(fake_call(s.fake, s.driver, s.actor, s.result, 2, NULL, 0), TRP_EPROTO);
    cr_assert_eq(fake_count(s.fake, s.host, TRI_CALL), 1);
    fake_free(s.fake);
}

Test(quiet, a_result_of_another_host_is_refused)
{
    struct scene s = scene();
    tri_peer_index other;
    fake_actor(s.fake, s.driver, "", &other);
    cr_assert_eq(fake_return(s.fake, other, s.result, 6), TRP_EPROTO);
    fake_free(s.fake);
}

Test(quiet, a_second_result_is_refused)
{
    struct scene s = scene();
    fake_return(s.fake, s.host, s.result, 6);
    cr_assert_eq(fake_return(s.fake, s.host, s.result, 7), TRP_EPROTO);
    fake_free(s.fake);
}

Test(quiet, the_death_of_its_host_fails_it_with_what_is_known)
{
    struct scene s = scene();
    fake_died(s.fake, s.host, 11, 1, 0);
    const trp_error error = fake_error(fake_result(s.fake, s.driver, s.result));
    cr_assert_eq(error.code, TRP_EACTORDIED);
    cr_assert_eq(error.ran, TRP_MAY_HAVE_RUN);
    fake_free(s.fake);
}

Test(quiet, the_death_of_its_host_does_not_touch_a_result_that_is_on_its_way)
{
    struct scene s = scene();
    fake_return(s.fake, s.host, s.result, 6);
    fake_died(s.fake, s.host, 11, 1, 1);
    fake_acknowledge(s.fake, s.driver);
    cr_assert_null(tri_thing_find(s.fake->core, s.result));
    fake_free(s.fake);
}

Test(quiet, the_death_of_its_caller_lets_it_run_to_its_end)
{
    struct scene s = scene();
    fake_gone(s.fake, s.driver);
    fake_check(s.fake);
    fake_return(s.fake, s.host, s.result, 6);
    fake_free(s.fake);
}

Test(quiet, a_cancelled_one_is_told_to_its_host)
{
    struct scene s = scene();
    fake_ids(s.fake, s.driver, TRI_CANCEL, 0, no_id, &s.result, 1);
    cr_assert(fake_names(s.fake, s.host, TRI_CANCEL, s.result));
    fake_return(s.fake, s.host, s.result, 6);
    cr_assert_eq(fake_number(fake_result(s.fake, s.driver, s.result)), 6);
    fake_free(s.fake);
}

Test(quiet, without_credit_at_the_host_a_call_is_queued_as_an_object)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), first = fake_id(fake, driver);
    struct tri_id second = fake_id(fake, driver);
    fake->no_credit = true;
    fake_call(fake, driver, actor, first, 1, NULL, 0);
    cr_assert_null(quiet(fake, first));
    fake->no_credit = false;
    fake_call(fake, driver, actor, second, 2, NULL, 0);
    cr_assert_null(quiet(fake, second), "not before the one that waits");
    fake_acknowledge(fake, host);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 2);
    fake_free(fake);
}

Test(quiet, numbers_far_apart_are_told_from_each_other)
{
    struct scene s = scene();
    struct tri_id ids[40];
    for (uint32_t i = 0; i < 40; i++) { /* at most one of them in any ring */
        ids[i] = (struct tri_id){s.result.space, s.result.number + ((uint64_t)(i + 1) << 24)};
        cr_assert_eq(fake_call(s.fake, s.driver, s.actor, ids[i], i + 2, NULL, 0), TRP_OK);
    }
    cr_assert_null(quiet(s.fake, ids[0]), "an object, as there is no room for it");
    for (uint32_t i = 40; i-- > 0;) {
        cr_assert_eq(fake_return(s.fake, s.host, ids[i], i), TRP_OK);
        cr_assert_eq(fake_number(fake_result(s.fake, s.driver, ids[i])), i);
    }
    fake_free(s.fake);
}

Test(quiet, older_numbers_may_be_used_after_newer_ones)
{
    struct scene s = scene();
    const struct tri_id later = {s.result.space, s.result.number + 50}, between = {s.result.space, later.number - 20};
    cr_assert_eq(fake_call(s.fake, s.driver, s.actor, later, 2, NULL, 0), TRP_OK);
    cr_assert_eq(fake_call(s.fake, s.driver, s.actor, between, 3, NULL, 0), TRP_OK);
    cr_assert_not_null(quiet(s.fake, between));
    fake_put(s.fake, s.driver, (struct tri_id){s.result.space, later.number - 10}, 1, NULL, 0);
    cr_assert_eq(fake_call(s.fake, s.driver, s.actor, (struct tri_id){s.result.space, later.number - 10}, 4, NULL, 0),
                 TRP_EPROTO, "taken by a value");
    fake_free(s.fake);
}

Test(quiet, what_somebody_named_before_is_no_new_name)
{
    struct scene s = scene();
    const struct tri_id future = {s.result.space + 2, 1}; /* of the next process that logs in */
    struct tri_ref_entry stranger = {.id = future, .place = TRI_NESTED};
    fake_call(s.fake, s.driver, s.actor, fake_id(s.fake, s.driver), 2, &stranger, 1);
    tri_peer_index next = fake_driver(s.fake);
    cr_assert_eq(tri_core_space(s.fake->core, next), future.space);
    cr_assert_eq(fake_call(s.fake, next, s.actor, future, 1, NULL, 0), TRP_EPROTO);
    fake_free(s.fake);
}

/* ---------------------------------------------------------------------------------------------------------------- tasks */

static struct scene
task_scene(void)
{
    struct scene scene = {.fake = fake_new(NULL, NULL, 0)};
    scene.driver = fake_driver(scene.fake);
    scene.result = fake_id(scene.fake, scene.driver);
    cr_assert_eq(fake_task(scene.fake, scene.driver, scene.result, NULL, 0), TRP_OK);
    cr_assert_not_null(quiet(scene.fake, scene.result), "it waits for a host");
    scene.host = fake_host(scene.fake);
    cr_assert_eq(fake_count(scene.fake, scene.host, TRI_CALL), 1);
    cr_assert_not_null(quiet(scene.fake, scene.result));
    return scene;
}

Test(quiet, a_usual_task_stays_quiet_to_its_end)
{
    struct scene s = task_scene();
    fake_return(s.fake, s.host, s.result, 6);
    cr_assert_eq(fake_number(fake_result(s.fake, s.driver, s.result)), 6);
    cr_assert_not_null(quiet(s.fake, s.result));
    fake_acknowledge(s.fake, s.driver);
    cr_assert(fake_names(s.fake, s.host, TRI_FREED, s.result));
    cr_assert_null(tri_thing_find(s.fake->core, s.result));
    fake_free(s.fake);
}

Test(quiet, a_task_whose_host_dies_is_tried_again_as_it_was)
{
    struct scene s = task_scene();
    const uint32_t forks = s.fake->fork_count;
    fake_died(s.fake, s.host, 11, 1, 0);
    fake_tick(s.fake, 2000);
    cr_assert_gt(s.fake->fork_count, forks);
    tri_peer_index other = fake_host(s.fake);
    const struct sent *sent = fake_last(s.fake, other, TRI_CALL);
    cr_assert_not_null(sent);
    cr_assert(tri_id_equal(sent->parcel->route.result, s.result));
    cr_assert_neq(sent->parcel->route.flags & TRI_RETRIED, 0);
    fake_return(s.fake, other, s.result, 8);
    cr_assert_eq(fake_number(fake_result(s.fake, s.driver, s.result)), 8);
    fake_free(s.fake);
}

Test(quiet, a_task_that_its_host_gives_back_goes_on_as_an_object)
{
    struct scene s = task_scene();
    cr_assert_eq(fake_ids(s.fake, s.host, TRI_RETURNED, 0, no_id, &s.result, 1), TRP_OK);
    cr_assert_null(quiet(s.fake, s.result));
    cr_assert_eq(fake_count(s.fake, s.host, TRI_CALL), 2, "it is given again");
    fake_return(s.fake, s.host, s.result, 8);
    cr_assert_eq(fake_number(fake_result(s.fake, s.driver, s.result)), 8);
    fake_free(s.fake);
}

Test(quiet, a_task_in_the_queue_can_be_cancelled)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id result = fake_id(fake, driver);
    fake_task(fake, driver, result, NULL, 0);
    fake_ids(fake, driver, TRI_CANCEL, 0, no_id, &result, 1);
    cr_assert_eq(fake_error(fake_result(fake, driver, result)).code, TRP_ECANCELLED);
    fake_free(fake);
}

Test(quiet, a_queued_task_ends_with_its_caller)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_core_counts counts;
    fake_task(fake, driver, fake_id(fake, driver), NULL, 0);
    fake_gone(fake, driver);
    tri_core_count(fake->core, &counts);
    cr_assert_eq(counts.queued_tasks, 0);
    fake_free(fake);
}
